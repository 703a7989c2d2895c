/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs with TLBs that forget nothing by themselves: an entry stands for "this number translates for that
 * VM" from when a CPU ran the VM until it is invalidated. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "core/heap.h"
#include "core/vmid.h"
#include "lib/bits.h"

#include <cmocka.h>

#define CPUS 4U
#define BITS 4U
#define NUMBERS (1U << BITS)
#define VMS 40U

static struct vmid vm[VMS];
static u32 epoch;    /* atomic: flushes so far */
static u64 *the_map; /* what vmid_init() allocated */

/* As a load does it. */
static u64 take(struct vmid *v)
{
    u64 id = vmid_take_fast(v);

    return id != 0 ? id : vmid_take(v);
}

/* What a CPU's TLB knows of a number, as of an epoch. */
static struct {
    u32 vm, epoch; /* vm + 1 */
} tlb[CPUS][NUMBERS];

void *heap_alloc(size_t size) { return the_map = calloc(1, size); }
void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

static void flush(void) { __atomic_fetch_add(&epoch, 1, __ATOMIC_SEQ_CST); }

static u32 number_of(u64 id) { return (u32)id & ((1U << VMID_BITS_MAX) - 1); }

/* One stay of VM `n` on `cpu`, which has loaded `number`: what the TLB knows of it is used, and more is learnt.
 * False: it was another VM's. */
static bool run(u32 cpu, u32 n, u32 number)
{
    u32 now = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
    bool stale = tlb[cpu][number].vm != n + 1 && tlb[cpu][number].vm != 0 && tlb[cpu][number].epoch == now;

    tlb[cpu][number].vm = n + 1;
    tlb[cpu][number].epoch = now;
    return number > 0 && number < NUMBERS && !stale;
}

static int setup(void **state)
{
    (void)state;
    host_reset();
    host_hooks.stage2_invalidate_all = flush;
    memset(vm, 0, sizeof(vm));
    memset(tlb, 0, sizeof(tlb));
    memset(percpu, 0, sizeof(struct percpu) * MAX_CPUS);
    host_set_cpu(0);
    (void)arch_irq_save();
    vmid_init(BITS, CPUS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(the_map);
    return 0;
}

static u32 load(u32 cpu, u32 n)
{
    host_set_cpu(cpu);
    return number_of(take(&vm[n]));
}

static void test_a_vm_keeps_its_number_while_there_are_enough(void **state)
{
    u32 first[NUMBERS];
    u64 before = vmid_rollovers();

    (void)state;
    for (u32 n = 0; n < NUMBERS - 1; n++) {
        first[n] = load(0, n);
        for (u32 i = 0; i < n; i++)
            assert_int_not_equal(first[i], first[n]);
    }
    for (u32 n = 0; n < NUMBERS - 1; n++)
        assert_int_equal(load(n % CPUS, n), first[n]);
    assert_int_equal(vmid_rollovers(), before);
}

static void test_number_zero_is_nobodys(void **state)
{
    (void)state;
    for (u32 n = 0; n < 10 * NUMBERS; n++)
        assert_int_not_equal(load(0, n % VMS), 0);
}

static void test_one_more_vm_than_numbers_flushes_once(void **state)
{
    u64 before = vmid_rollovers();
    u32 flushes = epoch;

    (void)state;
    for (u32 n = 0; n < NUMBERS; n++)
        (void)load(0, n);
    assert_int_equal(vmid_rollovers(), before + 1);
    assert_int_equal(epoch, flushes + 1);
}

static void test_running_vms_keep_their_numbers_through_generations(void **state)
{
    u32 held[3];

    (void)state;
    for (u32 cpu = 0; cpu < 3; cpu++)
        held[cpu] = load(cpu, cpu);
    for (u32 n = 0; n < 8 * NUMBERS; n++) {
        u32 number = load(3, 3 + n % (VMS - 3));

        for (u32 cpu = 0; cpu < 3; cpu++)
            assert_int_not_equal(number, held[cpu]);
    }
    for (u32 cpu = 0; cpu < 3; cpu++) {
        assert_int_equal(load(cpu, cpu), held[cpu]);
        assert_int_equal(load(3, cpu), held[cpu]); /* its second vCPU, elsewhere */
    }
}

static void test_a_number_held_when_idle_does_not_pile_up(void **state)
{
    (void)state;
    for (u32 n = 0; n < 100 * NUMBERS; n++)
        (void)load(n % CPUS, n * 7 % VMS);
    for (u32 cpu = 0; cpu < CPUS; cpu++)
        (void)load(cpu, cpu);
}

static void test_too_few_bits_are_raised_to_what_the_cpus_need(void **state)
{
    (void)state;
    free(the_map);
    vmid_init(1, 32);
    assert_int_equal(vmid_bits(), 6);
    for (u32 n = 0; n < 1000; n++) {
        host_set_cpu(n % 32);
        (void)take(&vm[n % VMS]);
    }
}

static void test_no_cpu_ever_uses_what_its_tlb_knows_of_another_vm(void **state)
{
    u32 loaded[CPUS] = { 0 }, number[CPUS], seed = 1;

    (void)state;
    for (u32 cpu = 0; cpu < CPUS; cpu++)
        number[cpu] = load(cpu, 0);
    for (u32 i = 0; i < 200000; i++) {
        u32 cpu = (seed = seed * 1664525 + 1013904223) >> 16 & (CPUS - 1);

        if ((seed >> 20 & 3) != 0) {
            loaded[cpu] = (seed >> 8) % VMS;
            number[cpu] = load(cpu, loaded[cpu]);
        }
        assert_true(run(cpu, loaded[cpu], number[cpu]));
    }
    assert_true(vmid_rollovers() > 1000);
}

/* Who holds a number just now: VM + 1 above a count of CPUs. */
static u64 holder[NUMBERS];
static u32 wrong; /* atomic */

static bool hold(u32 number, u32 n)
{
    u64 old = __atomic_load_n(&holder[number], __ATOMIC_SEQ_CST);

    do {
        if (old != 0 && old >> 32 != n + 1)
            return false;
    } while (!__atomic_compare_exchange_n(&holder[number], &old, ((u64)(n + 1) << 32) + (u32)old + 1, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return true;
}

static void let_go(u32 number)
{
    u64 old = __atomic_load_n(&holder[number], __ATOMIC_SEQ_CST);

    while (!__atomic_compare_exchange_n(&holder[number], &old, (u32)old == 1 ? 0 : old - 1, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static void *cpu_thread(void *arg)
{
    u32 cpu = (u32)(uintptr_t)arg, seed = cpu + 1;

    host_set_cpu(cpu);
    (void)arch_irq_save();
    for (u32 i = 0; i < 50000; i++) {
        u32 n = ((seed = seed * 1664525 + 1013904223) >> 8) % VMS;
        u32 number = number_of(take(&vm[n]));

        if (!hold(number, n)) {
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
            continue;
        }
        for (u32 stay = 0; stay < 3; stay++)
            if (!run(cpu, n, number))
                __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        let_go(number);
    }
    return NULL;
}

static void test_cpus_that_race_never_share_a_number_between_vms(void **state)
{
    pthread_t t[CPUS];

    (void)state;
    memset(holder, 0, sizeof(holder));
    for (uintptr_t i = 0; i < CPUS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, cpu_thread, (void *)i), 0);
    for (u32 i = 0; i < CPUS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(wrong, 0);
    assert_true(vmid_rollovers() > 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_vm_keeps_its_number_while_there_are_enough),
        TEST(test_number_zero_is_nobodys),
        TEST(test_one_more_vm_than_numbers_flushes_once),
        TEST(test_running_vms_keep_their_numbers_through_generations),
        TEST(test_a_number_held_when_idle_does_not_pile_up),
        TEST(test_too_few_bits_are_raised_to_what_the_cpus_need),
        TEST(test_no_cpu_ever_uses_what_its_tlb_knows_of_another_vm),
        TEST(test_cpus_that_race_never_share_a_number_between_vms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
