/* SPDX-License-Identifier: Apache-2.0 */
/* A load on one spinlock: each vCPU takes it with interrupts masked, works a little within, and more without.
 * For ms= milliseconds; kind=ticket (first come, first served) or taken when it is free.
 *
 * LOCKS acquisitions longest_hold_ns */
#include "tests/payload/rt.h"

#define WITHIN 300U /* rounds of two instructions */
#define WITHOUT 900U

static u32 next_ticket, now_serving; /* atomic; now_serving: 1 = taken, where there are no tickets */
static bool tickets;
static u32 running; /* atomic */
static u64 end;
static u64 taken, longest; /* guarded by the lock */

static u64 counter(void)
{
    isb();
    return rd_sys(cntvct_el0);
}

static void work(u32 rounds)
{
    for (; rounds > 0; rounds--)
        asm volatile("");
}

static void lock(void)
{
    if (tickets) {
        u32 mine = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);

        while (__atomic_load_n(&now_serving, __ATOMIC_ACQUIRE) != mine)
            asm volatile("wfe");
    } else {
        while (__atomic_exchange_n(&now_serving, 1, __ATOMIC_ACQUIRE) != 0)
            asm volatile("wfe");
    }
}

static void unlock(void)
{
    __atomic_store_n(&now_serving, tickets ? now_serving + 1 : 0, __ATOMIC_RELEASE);
    asm volatile("dsb ishst\n\tsev" ::: "memory");
}

static void load(u32 index)
{
    (void)index;
    __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) < rt_boot.cpus)
        relax();
    while (counter() < end) {
        u64 start;

        irq_mask();
        lock();
        start = counter();
        work(WITHIN);
        taken++;
        if (counter() - start > longest)
            longest = counter() - start;
        unlock();
        irq_unmask();
        work(WITHOUT);
    }
}

void payload_main(void)
{
    char arg[16];
    u64 hz = rd_sys(cntfrq_el0), ms = rt_arg_number("ms");

    tickets = rt_arg("kind", arg, sizeof(arg)) && rt_list_has("ticket", arg);
    end = counter() + ms * hz / 1000;
    for (u32 i = 1; i < rt_boot.cpus; i++)
        if (!rt_cpu_start(i, load))
            rt_printf("CPU %u does not start\n", (u64)i);
    load(0);
    rt_printf("LOCKS %u %u\nLOCKS-END\n", taken, longest * 1000000000UL / hz);
}
