/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-width names and address types. Each kind of address is its own one-member struct, so that
 * a guest's address cannot be used where a host's is meant: mixing them does not compile. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

typedef struct {
    u64 v;
} hpa_t; /* host physical: what stage 2 and EL2 tables point at */
typedef struct {
    u64 v;
} gpa_t; /* guest physical (Arm: IPA): what the guest believes is physical */
typedef struct {
    u64 v;
} iova_t; /* what a device puts on the bus before its IOMMU */

#define HPA(x) ((hpa_t){ (u64)(x) })
#define GPA(x) ((gpa_t){ (u64)(x) })

#define PAGE_SHIFT 12U
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define SZ_4K 0x1000UL
#define SZ_64K 0x10000UL
#define SZ_2M 0x200000UL
#define SZ_1G 0x40000000UL

#define MUST_USE __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ALIGNED(n) __attribute__((aligned(n)))
#define COLD __attribute__((cold))
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* Written during boot only; the page tables make it read-only before the first guest runs. */
#define RO_AFTER_INIT __attribute__((section(".data.ro_after_init")))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
