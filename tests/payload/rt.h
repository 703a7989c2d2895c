/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime of the payloads: tiny guests of ours for the arm64 `virt` machine, entered at EL1 with x0 =
 * device tree, MMU off. They run on bare QEMU as under Keel, so that the machine itself says what is right.
 * A payload defines payload_main(), which runs on the boot CPU and powers the machine off when it returns. */
#ifndef PAYLOAD_RT_H
#define PAYLOAD_RT_H

#include "lib/bits.h"
#include "lib/types.h"

#define RT_MAX_CPUS 8U

/* One image: no indirection through a GOT, for symbols that assembler or the linker script define too. */
#pragma GCC visibility push(hidden)

/* What the device tree said, and the counters. */
struct rt_boot {
    u64 entry_pct, entry_vct; /* CNTPCT_EL0 and CNTVCT_EL0 at the first instruction */
    u64 ram_base, ram_size;
    u64 uart, gicd, gicr;
    u64 its; /* 0: none */
    u32 cpus;
    bool psci_smc;
    char bootargs[256];
};
extern struct rt_boot rt_boot;

void payload_main(void);

/* Saved by the vectors; what a handler changes is restored. sp_el0 is not touched. */
struct rt_frame {
    u64 x[31];
    u64 elr, spsr;
    u64 from_32; /* set where the vectors for AArch32 were taken, and never cleared by others */
};

enum rt_kind { RT_SYNC, RT_IRQ, RT_FIQ, RT_SERROR };

/* Handlers, shared by all CPUs. The default prints the exception and powers off. */
typedef void rt_handler_fn(struct rt_frame *f);
extern rt_handler_fn *rt_handlers[4];

/* Starts CPU `index` in fn(index) with a stack of its own; a return parks it. False if PSCI refuses. */
bool rt_cpu_start(u32 index, void (*fn)(u32 index));
NORETURN void rt_power_off(void);
struct rt_res {
    u64 x0, x1, x2, x3;
};
struct rt_res rt_hvc(u64 x0, u64 x1, u64 x2, u64 x3);
struct rt_res rt_smc(u64 x0, u64 x1, u64 x2, u64 x3);
u64 rt_psci(u32 function, u64 a, u64 b, u64 c);

/* %s %c, %u and %x of u64 (0x is not printed), %% . Not locked: one CPU prints at a time. */
void rt_printf(const char *fmt, ...);
void rt_uart_init(void);
/* Value of `key=` in the boot arguments, copied up to the next space; false if absent. */
bool rt_arg(const char *key, char *out, size_t size);
u64 rt_arg_number(const char *key);                   /* decimal; 0 if absent */
bool rt_list_has(const char *list, const char *word); /* comma-separated */

/* This CPU's MMU and caches on: every address is itself, what is in a GiB with RAM is normal memory, all else
 * Device. */
void rt_mmu_on(void);

/* GICv3 with one security state (GICD_CTLR.DS = 1). Distributor once, redistributor and CPU interface on
 * each CPU. All interrupts: group 1, priority 0xa0, disabled. */
void rt_gicd_init(void);
void rt_gicr_init(void);
u64 rt_gicr_base(void); /* RD_base of this CPU; SGI_base is 64 KiB on */
void rt_irq_enable(u32 intid);
void rt_irq_disable(u32 intid);

#define PSCI_VERSION 0x84000000U
#define PSCI_CPU_ON 0xc4000003U
#define PSCI_SYSTEM_OFF 0x84000008U

#define GICD_CTLR 0x0
#define GICD_TYPER 0x4
#define GICD_IIDR 0x8
#define GIC_IGROUPR 0x80 /* these also within SGI_base, for INTID 0 to 31 */
#define GIC_ISENABLER 0x100
#define GIC_ICENABLER 0x180
#define GIC_ISPENDR 0x200
#define GIC_ICPENDR 0x280
#define GIC_ISACTIVER 0x300
#define GIC_ICACTIVER 0x380
#define GIC_IPRIORITYR 0x400
#define GIC_ICFGR 0xc00
#define GICD_IROUTER 0x6000
#define GICR_SGI_BASE 0x10000UL

#define ICC_PMR S3_0_C4_C6_0
#define ICC_IAR0 S3_0_C12_C8_0
#define ICC_EOIR0 S3_0_C12_C8_1
#define ICC_DIR S3_0_C12_C11_1
#define ICC_RPR S3_0_C12_C11_3
#define ICC_SGI1R S3_0_C12_C11_5
#define ICC_IAR1 S3_0_C12_C12_0
#define ICC_EOIR1 S3_0_C12_C12_1
#define ICC_HPPIR1 S3_0_C12_C12_2
#define ICC_BPR1 S3_0_C12_C12_3
#define ICC_CTLR S3_0_C12_C12_4
#define ICC_SRE S3_0_C12_C12_5
#define ICC_IGRPEN0 S3_0_C12_C12_6
#define ICC_IGRPEN1 S3_0_C12_C12_7
#define ICC_SPURIOUS 1023U

#define PPI_VTIMER 27U
#define PPI_PTIMER 30U
#define SPI_UART 33U

#define STR_(x) #x
#define STR(x) STR_(x)
#define rd_sys(reg)                                                                                          \
    ({                                                                                                       \
        u64 v_;                                                                                              \
        asm volatile("mrs %0, " STR(reg) : "=r"(v_) : : "memory");                                           \
        v_;                                                                                                  \
    })
#define wr_sys(reg, v) asm volatile("msr " STR(reg) ", %0" : : "r"((u64)(v)) : "memory")

static inline void isb(void) { asm volatile("isb" ::: "memory"); }
static inline void dsb(void) { asm volatile("dsb sy" ::: "memory"); }
static inline void wfi(void) { asm volatile("wfi" ::: "memory"); }
/* Ends this CPU's turn on QEMU's -icount, where CPUs run one after the other. */
static inline void relax(void) { asm volatile("yield" ::: "memory"); }
/* For long waits, that may have to last a hypervisor's time slice: a yield does not end that one, and costs
 * QEMU more than a thousand instructions. */
static inline void relax_long(void)
{
    for (u32 i = 0; i < 1000; i++)
        asm volatile("nop");
    relax();
}
static inline void irq_unmask(void) { asm volatile("msr daifclr, #3" ::: "memory"); }
static inline void irq_mask(void) { asm volatile("msr daifset, #3" ::: "memory"); }
static inline u32 cpu_index(void) { return (u32)rd_sys(mpidr_el1) & 0xff; }

/* asm, so that each access is the one plain instruction whose syndrome a hypervisor can decode */
static inline u32 rd32(u64 a)
{
    u32 v;

    asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}
static inline u64 rd64(u64 a)
{
    u64 v;

    asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}
static inline void wr8(u64 a, u32 v) { asm volatile("strb %w0, [%1]" : : "r"(v), "r"(a) : "memory"); }
static inline void wr32(u64 a, u32 v) { asm volatile("str %w0, [%1]" : : "r"(v), "r"(a) : "memory"); }
static inline void wr64(u64 a, u64 v) { asm volatile("str %0, [%1]" : : "r"(v), "r"(a) : "memory"); }

#pragma GCC visibility pop

#endif
