/* SPDX-License-Identifier: Apache-2.0 */
/* Device registers of the host. The mapping (device memory) orders accesses to one device among
 * themselves; against RAM that a device reads or writes, the caller orders. Little-endian. */
#ifndef LIB_MMIO_H
#define LIB_MMIO_H

#include "lib/types.h"

static inline u8 mmio_read8(uintptr_t a) { return *(const volatile u8 *)a; }
static inline u16 mmio_read16(uintptr_t a) { return *(const volatile u16 *)a; }
static inline u32 mmio_read32(uintptr_t a) { return *(const volatile u32 *)a; }
static inline u64 mmio_read64(uintptr_t a) { return *(const volatile u64 *)a; }
static inline void mmio_write8(uintptr_t a, u8 v) { *(volatile u8 *)a = v; }
static inline void mmio_write16(uintptr_t a, u16 v) { *(volatile u16 *)a = v; }
static inline void mmio_write32(uintptr_t a, u32 v) { *(volatile u32 *)a = v; }
static inline void mmio_write64(uintptr_t a, u64 v) { *(volatile u64 *)a = v; }

#endif
