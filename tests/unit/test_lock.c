/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include "arch/host/host.h"
#include "core/lock.h"

#include <cmocka.h>

static jmp_buf panicked;
static void jump(const char *message)
{
    (void)message;
    longjmp(panicked, 1);
}

static int setup(void **state)
{
    (void)state;
    host_reset();
    host_set_cpu(0);
    arch_irq_save();
    return 0;
}

#define ROUNDS 20000
static struct spinlock shared;
static u64 counter;

static void *count_up(void *cpu)
{
    host_set_cpu((u32)(uintptr_t)cpu);
    for (u32 i = 0; i < ROUNDS; i++) {
        spin_lock(&shared);
        counter++;
        spin_unlock(&shared);
    }
    return NULL;
}

static void test_one_cpu_at_a_time_also_when_tickets_wrap(void **state)
{
    pthread_t t[4];

    (void)state;
    spin_init(&shared, LOCK_RANK_VM);
    counter = 0;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count_up, (void *)(i + 1)), 0);
    for (u32 i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(counter, 4 * ROUNDS);
}

static void test_irq_variant_restores_the_mask_it_found(void **state)
{
    static struct spinlock l = SPINLOCK_INIT(LOCK_RANK_VM);
    unsigned long flags;

    (void)state;
    arch_irq_restore(0);
    flags = spin_lock_irq(&l);
    assert_true(arch_irqs_masked());
    spin_unlock_irq(&l, flags);
    assert_false(arch_irqs_masked());
    arch_irq_save();
    flags = spin_lock_irq(&l);
    spin_unlock_irq(&l, flags);
    assert_true(arch_irqs_masked());
}

static void test_rising_ranks_are_accepted_in_any_order_of_release(void **state)
{
    static struct spinlock low = SPINLOCK_INIT(LOCK_RANK_VM), high = SPINLOCK_INIT(LOCK_RANK_FRAMES);

    (void)state;
    spin_lock(&low);
    spin_lock(&high);
    spin_unlock(&low);
    spin_unlock(&high);
    spin_lock(&low);
    spin_unlock(&low);
}

/* The locks that these leave taken belong to CPUs of their own. */
static void test_falling_rank_is_caught(void **state)
{
    static struct spinlock low = SPINLOCK_INIT(LOCK_RANK_VM), high = SPINLOCK_INIT(LOCK_RANK_FRAMES);

    (void)state;
    host_set_cpu(8);
    spin_lock(&high);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        spin_lock(&low);
        fail();
    }
}

static void test_equal_rank_is_caught(void **state)
{
    static struct spinlock a = SPINLOCK_INIT(LOCK_RANK_VGIC_CPU), b = SPINLOCK_INIT(LOCK_RANK_VGIC_CPU);

    (void)state;
    host_set_cpu(9);
    spin_lock(&a);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        spin_lock(&b);
        fail();
    }
}

static void test_locking_with_interrupts_on_is_caught(void **state)
{
    static struct spinlock l = SPINLOCK_INIT(LOCK_RANK_VM);

    (void)state;
    arch_irq_restore(0);
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        spin_lock(&l);
        fail();
    }
}

static void test_unlocking_what_is_not_held_is_caught(void **state)
{
    static struct spinlock l = SPINLOCK_INIT(LOCK_RANK_VM);

    (void)state;
    host_hooks.panic = jump;
    if (setjmp(panicked) == 0) {
        spin_unlock(&l);
        fail();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_cpu_at_a_time_also_when_tickets_wrap, setup),
        cmocka_unit_test_setup(test_irq_variant_restores_the_mask_it_found, setup),
        cmocka_unit_test_setup(test_rising_ranks_are_accepted_in_any_order_of_release, setup),
        cmocka_unit_test_setup(test_falling_rank_is_caught, setup),
        cmocka_unit_test_setup(test_equal_rank_is_caught, setup),
        cmocka_unit_test_setup(test_locking_with_interrupts_on_is_caught, setup),
        cmocka_unit_test_setup(test_unlocking_what_is_not_held_is_caught, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
