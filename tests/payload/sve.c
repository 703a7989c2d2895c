/* SPDX-License-Identifier: Apache-2.0 */
/* SVE: do vectors, predicates, FFR and the vector length survive what a hypervisor does with the CPU, and is
 * nobody else's data in them at first? Every vCPU fills them with patterns of its own, gives the CPU away, and looks.
 * Boot arguments: rounds=N, id=N to tell VMs apart.
 *
 * SVE cpu N FAIL ... | SVE absent | SVE ok N bits, N CPUs */
#include "tests/payload/rt.h"

#define MAX_BYTES 256U /* a vector of 2048 bits */
#define ZCR S3_0_C1_C2_0
#define CPACR_ZEN (3UL << 16)
#define CPACR_FPEN (3UL << 20)
#define SGI_NUDGE 3U
#define ID_AA64ZFR0 S3_0_C0_C4_4

struct vectors {
    u8 z[32 * MAX_BYTES];
    u8 p[17 * MAX_BYTES / 8]; /* P0 to P15, FFR */
} ALIGNED(16);

#pragma GCC visibility push(hidden)
void sve_fill(const struct vectors *v);
void sve_look(struct vectors *v);
u64 sve_length(void);
#pragma GCC visibility pop

asm(".pushsection .text\n"
    ".arch armv8-a+sve\n"
    ".macro each_z op, base\n"
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, "
    "26, 27, "
    "28, 29, 30, 31\n"
    "    \\op z\\n, [\\base, #\\n, mul vl]\n"
    ".endr\n"
    ".endm\n"
    ".macro each_p op, base\n"
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "    \\op p\\n, [\\base, #\\n, mul vl]\n"
    ".endr\n"
    ".endm\n"
    "sve_fill:\n"
    "    add x1, x0, #8192\n"
    "    each_z ldr, x0\n"
    "    ldr p0, [x1, #16, mul vl]\n"
    "    wrffr p0.b\n"
    "    each_p ldr, x1\n"
    "    ret\n"
    "sve_look:\n"
    "    add x1, x0, #8192\n"
    "    each_z str, x0\n"
    "    each_p str, x1\n"
    "    rdffr p0.b\n"
    "    str p0, [x1, #16, mul vl]\n"
    "    ret\n"
    "sve_length:\n"
    "    rdvl x0, #1\n"
    "    ret\n"
    ".popsection\n");

static struct vectors in[RT_MAX_CPUS], out[RT_MAX_CPUS];
static u64 rounds = 40, vm_id, undefined;
static u32 finished, failures, print_lock;

static void on_sync(struct rt_frame *f)
{
    undefined++;
    f->elr += 4;
}

static u64 number_arg(const char *key, u64 fallback)
{
    char text[24];
    u64 v = 0;

    if (!rt_arg(key, text, sizeof(text)))
        return fallback;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (u64)(*s - '0');
    return v;
}

static void fail(const char *what, u64 round, u64 at, u64 got, u64 want)
{
    while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE))
        relax();
    if (failures++ < 10)
        rt_printf("SVE cpu %u FAIL %s round %u at %u: %x, not %x\n", (u64)cpu_index(), what, round, at, got,
                  want);
    __atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

static void set_length(u64 len)
{
    wr_sys(ZCR, len);
    isb();
}

static u8 pattern(u64 seed, u64 at) { return (u8)((seed * 0x9e3779b97f4a7c15 >> 17) + at * 167 + (at >> 8)); }

/* FFR may only hold a run of ones from the lowest bit on. */
static void make(struct vectors *v, u64 seed, u64 bytes)
{
    u64 ffr = 16 * bytes / 8, ones = seed % (bytes / 8 + 1);

    for (u64 i = 0; i < 32 * bytes; i++)
        v->z[i] = pattern(seed, i);
    for (u64 i = 0; i < ffr; i++)
        v->p[i] = pattern(seed + 1, i);
    for (u64 i = 0; i < bytes / 8; i++)
        v->p[ffr + i] = i < ones ? 0xff : 0;
}

static void compare(const struct vectors *got, const struct vectors *want, u64 bytes, u64 round)
{
    for (u64 i = 0; i < 32 * bytes; i++)
        if (got->z[i] != want->z[i]) {
            fail("z", round, i, got->z[i], want->z[i]);
            return;
        }
    for (u64 i = 0; i < 17 * bytes / 8; i++)
        if (got->p[i] != want->p[i]) {
            fail("p", round, i, got->p[i], want->p[i]);
            return;
        }
}

static void give_way(u64 round)
{
    switch (round % 4) {
    case 0:
        wr_sys(cntv_cval_el0, rd_sys(cntvct_el0) + 2000 + round * 100);
        wr_sys(cntv_ctl_el0, 1);
        isb();
        wfi();
        wr_sys(cntv_ctl_el0, 0);
        isb();
        break;
    case 1: relax_long(); break;
    case 2: (void)rt_psci(0x84000005, 0, 0, 0); break;
    default:
        for (volatile u32 i = 0; i < 40000; i++)
            ;
    }
}

static void drain(void)
{
    u64 intid;

    while ((intid = rd_sys(ICC_IAR1)) != ICC_SPURIOUS) {
        wr_sys(ICC_EOIR1, intid);
        isb();
    }
}

static void run(u32 cpu)
{
    struct vectors *mine = &in[cpu], *seen = &out[cpu];
    u64 longest;

    irq_mask();
    wr_sys(cpacr_el1, CPACR_FPEN | CPACR_ZEN);
    isb();
    rt_gicr_init();
    rt_irq_enable(SGI_NUDGE);
    rt_irq_enable(PPI_VTIMER);

    /* SIMD registers first, then the look at the rest: what was in them stays, the rest is nobody's. */
    asm volatile(".arch armv8-a+simd\n movi v7.16b, #0x5a\n" ::: "memory");
    set_length(0xf);
    longest = sve_length();
    sve_look(seen);
    for (u64 i = 0; i < 32 * longest; i++) {
        u8 want = i >= 7 * longest && i < 7 * longest + 16 ? 0x5a : 0;

        if (seen->z[i] != want) {
            fail("first z", 0, i, seen->z[i], want);
            break;
        }
    }
    for (u64 i = 0; i < 17 * longest / 8; i++)
        if (seen->p[i] != 0) {
            fail("first p", 0, i, seen->p[i], 0);
            break;
        }

    for (u64 round = 0; round < rounds; round++) {
        u64 len = round % 3 == 0 ? 0 : 0xf, bytes;

        set_length(len);
        bytes = sve_length();
        if (len != 0 && bytes != longest)
            fail("length", round, 0, bytes, longest);
        make(mine, vm_id << 32 | (u64)cpu << 16 | round, bytes);
        sve_fill(mine);
        if (round % 5 == 0)
            wr_sys(ICC_SGI1R, (u64)SGI_NUDGE << 24 | BIT((cpu + 1) % rt_boot.cpus));
        give_way(round);
        if (rd_sys(ZCR) != len)
            fail("zcr", round, 0, rd_sys(ZCR), len);
        sve_look(seen);
        compare(seen, mine, bytes, round);
        drain();
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

void payload_main(void)
{
    rounds = number_arg("rounds", rounds);
    vm_id = number_arg("id", 0);
    if (FIELD_GET(rd_sys(id_aa64pfr0_el1), 35, 32) == 0) {
        rt_handlers[RT_SYNC] = on_sync;
        wr_sys(cpacr_el1, CPACR_FPEN | CPACR_ZEN);
        isb();
        (void)rd_sys(ZCR);
        (void)sve_length();
        rt_printf("SVE absent %s\n", undefined == 2 && rd_sys(ID_AA64ZFR0) == 0 ? "ok" : "FAIL");
        return;
    }
    rt_gicd_init();
    for (u32 i = 1; i < rt_boot.cpus; i++)
        if (!rt_cpu_start(i, run))
            fail("start", 0, i, 0, 0);
    run(0);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < rt_boot.cpus)
        relax_long();
    set_length(0xf);
    if (failures == 0)
        rt_printf("SVE ok %u bits, %u CPUs\n", sve_length() * 8, (u64)rt_boot.cpus);
}
