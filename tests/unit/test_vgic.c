/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "test_vgic_machine.h"

#define SPI 40U

static int teardown(void **state)
{
    (void)state;
    machine_end();
    return 0;
}

/* All groups and interrupts on, group 1, priority 0x80. */
static void make_ready(u32 vcpus, u32 lrs)
{
    machine_make(vcpus, 96, lrs);
    for (u32 id = 0; id < vcpus; id++) {
        on_cpu_of(id);
        host_gich()->vmcr = VMCR_ALL;
        gicr_write(id, id, 0x10080, 4, 0xffffffff);
        gicr_write(id, id, 0x10100, 4, 0xffffffff);
        for (u32 i = 0; i < 32; i += 4)
            gicr_write(id, id, 0x10400 + i, 4, 0x80808080);
    }
    for (u32 i = 32; i < 128; i += 32) {
        gicd_write(0, IGROUPR + i / 8, 4, 0xffffffff);
        gicd_write(0, ISENABLER + i / 8, 4, 0xffffffff);
    }
    for (u32 i = 32; i < 128; i += 4)
        gicd_write(0, 0x400 + i, 4, 0x80808080);
    gicd_write(0, 0, 4, 3);
    settle();
}

static int one(void **state)
{
    (void)state;
    make_ready(1, 4);
    return 0;
}
static int two(void **state)
{
    (void)state;
    make_ready(2, 4);
    return 0;
}
static int four(void **state)
{
    (void)state;
    make_ready(4, 4);
    return 0;
}
static int two_with_one_lr(void **state)
{
    (void)state;
    make_ready(2, 1);
    return 0;
}

static void assert_nothing(u32 id)
{
    settle();
    assert_int_equal(ack(id, true), HOST_SPURIOUS);
    assert_int_equal(ack(id, false), HOST_SPURIOUS);
}

static void test_sgi_reaches_its_targets_once(void **state)
{
    (void)state;
    sgi(0, 5, 0xa);
    settle();
    assert_int_equal(ack(1, true), 5);
    assert_int_equal(ack(3, true), 5);
    eoi(1, true, 5);
    eoi(3, true, 5);
    for (u32 id = 0; id < 4; id++)
        assert_nothing(id);
}

static void test_sgi_to_all_others_spares_the_sender(void **state)
{
    (void)state;
    on_cpu_of(2);
    guest_sgi(vcpu(2), SGI_REG_SGI1R, BIT(40) | 7UL << 24 | 0xffff);
    settle();
    assert_int_equal(ack(0, true), 7);
    assert_int_equal(ack(1, true), 7);
    assert_int_equal(ack(3, true), 7);
    assert_nothing(2);
}

static void test_sgi_to_foreign_affinities_goes_nowhere(void **state)
{
    static const u64 others[] = { 1UL << 16, 1UL << 32, 1UL << 44, 1UL << 48 };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(others); i++)
        guest_sgi(vcpu(0), SGI_REG_SGI1R, others[i] | 0xf);
    guest_sgi(vcpu(0), SGI_REG_SGI1R, 0xfff0); /* vCPUs that do not exist */
    for (u32 id = 0; id < 4; id++)
        assert_nothing(id);
}

static void test_group_0_sgi_registers_make_no_group_1_sgi(void **state)
{
    (void)state;
    guest_sgi(vcpu(0), SGI_REG_SGI0R, 3UL << 24 | 2);
    guest_sgi(vcpu(0), SGI_REG_ASGI1R, 3UL << 24 | 2);
    assert_nothing(1);
    gicr_write(1, 1, 0x10080, 4, ~8U);
    guest_sgi(vcpu(0), SGI_REG_SGI0R, 3UL << 24 | 2);
    settle();
    assert_int_equal(ack(1, false), 3);
}

static void test_level_lowered_in_the_handler_costs_no_maintenance(void **state)
{
    (void)state;
    vgic_spi_level(&m.vm, SPI, true);
    settle();
    assert_int_equal(ack(0, true), SPI);
    vgic_spi_level(&m.vm, SPI, false);
    settle();
    eoi(0, true, SPI);
    assert_nothing(0);
    assert_int_equal(m.maintenance, 0);
}

static void test_level_still_high_after_eoi_comes_again(void **state)
{
    (void)state;
    vgic_spi_level(&m.vm, SPI, true);
    for (u32 n = 0; n < 3; n++) {
        settle();
        assert_int_equal(ack(0, true), SPI);
        assert_int_equal(ack(0, true), HOST_SPURIOUS);
        eoi(0, true, SPI);
    }
    assert_int_equal(m.maintenance, 2);
}

static void test_level_lowered_before_the_ack_is_taken_back(void **state)
{
    (void)state;
    vgic_spi_level(&m.vm, SPI, true);
    settle();
    assert_true(bit_read(0, 0, ISPENDR, SPI));
    vgic_spi_level(&m.vm, SPI, false);
    assert_false(bit_read(0, 0, ISPENDR, SPI));
    assert_nothing(0);
}

static void test_pending_written_by_the_guest_survives_the_line(void **state)
{
    (void)state;
    vgic_spi_level(&m.vm, SPI, true);
    bit_write(0, 0, ISPENDR, SPI);
    settle();
    vgic_spi_level(&m.vm, SPI, false);
    settle();
    assert_int_equal(ack(0, true), SPI);
}

static void test_edge_during_the_handler_is_delivered_after_it(void **state)
{
    (void)state;
    gicd_write(0, 0xc08, 4, 0xaaaaaaaa);
    vgic_spi_pulse(&m.vm, SPI);
    settle();
    assert_int_equal(ack(0, true), SPI);
    vgic_spi_pulse(&m.vm, SPI);
    vgic_spi_pulse(&m.vm, SPI);
    settle();
    assert_int_equal(ack(0, true), HOST_SPURIOUS);
    eoi(0, true, SPI);
    assert_int_equal(ack(0, true), SPI);
    eoi(0, true, SPI);
    assert_nothing(0);
    assert_int_equal(m.maintenance, 0);
}

static void test_disable_is_complete_when_the_write_returns(void **state)
{
    (void)state;
    gicd_write(0, 0x6000 + 8 * SPI, 8, 1);
    vgic_spi_level(&m.vm, SPI, true);
    settle();
    on_cpu_of(1);
    assert_true(host_gich_signals(true));
    bit_write(0, 0, ICENABLER, SPI); /* vCPU 1 has it in a list register */
    virq_load(vcpu(1));
    on_cpu_of(1);
    assert_false(host_gich_signals(true));
    assert_true(bit_read(0, 0, ISPENDR, SPI));
    bit_write(0, 0, ISENABLER, SPI);
    settle();
    assert_int_equal(ack(1, true), SPI);
}

static void test_disabling_a_group_takes_back_what_it_made_pending(void **state)
{
    (void)state;
    sgi(0, 1, 3);
    settle();
    gicd_write(0, 0, 4, 1);
    virq_load(vcpu(1));
    assert_int_equal(ack(0, true), HOST_SPURIOUS);
    assert_int_equal(ack(1, true), HOST_SPURIOUS);
    gicd_write(0, 0, 4, 3);
    settle();
    assert_int_equal(ack(0, true), 1);
    assert_int_equal(ack(1, true), 1);
}

static void test_rerouted_spi_leaves_a_vcpu_that_does_not_run(void **state)
{
    (void)state;
    vgic_spi_pulse(&m.vm, SPI);
    settle();
    stop(0);
    gicd_write(1, 0x6000 + 8 * SPI, 8, 1);
    settle();
    assert_int_equal(ack(1, true), SPI);
}

static void test_active_spi_is_pending_elsewhere_only_after_its_end(void **state)
{
    (void)state;
    vgic_spi_level(&m.vm, SPI, true);
    settle();
    assert_int_equal(ack(0, true), SPI);
    gicd_write(0, 0x6000 + 8 * SPI, 8, 1);
    assert_nothing(1);
    eoi(0, true, SPI);
    settle();
    assert_int_equal(ack(1, true), SPI);
}

static void test_dir_of_another_vcpus_spi_deactivates_it(void **state)
{
    (void)state;
    for (u32 id = 0; id < 2; id++) {
        on_cpu_of(id);
        host_gich()->vmcr |= VMCR_VEOIM;
    }
    vgic_spi_pulse(&m.vm, SPI);
    settle();
    assert_int_equal(ack(0, true), SPI);
    eoi(0, true, SPI);
    assert_true(bit_read(1, 1, ISACTIVER, SPI));
    settle();
    dir(1, SPI);
    settle();
    assert_false(bit_read(0, 0, ISACTIVER, SPI));
}

static void test_more_interrupts_than_list_registers_come_by_priority(void **state)
{
    (void)state;
    for (u32 i = 0; i < 20; i++) {
        priority_write(0, 0, 50 + i, (u8)(8 * ((i * 7) % 20)));
        vgic_spi_pulse(&m.vm, 50 + i);
    }
    for (u32 n = 0; n < 20; n++) {
        u32 intid;

        settle();
        intid = ack(0, true);
        assert_in_range(intid, 50, 69);
        assert_int_equal((intid - 50) * 7 % 20, n);
        eoi(0, true, intid);
    }
    assert_nothing(0);
    assert_int_equal(host_gich()->hcr & (ICH_HCR_NPIE | ICH_HCR_LRENPIE), 0);
}

static void test_interrupt_pending_again_keeps_no_urgent_one_out(void **state)
{
    (void)state;
    priority_write(0, 0, 50, 0xa0);
    vgic_spi_pulse(&m.vm, 50);
    settle();
    assert_int_equal(ack(0, true), 50);
    vgic_spi_pulse(&m.vm, 50); /* active and pending */
    settle();
    for (u32 i = 60; i < 66; i++) {
        priority_write(0, 0, i, (u8)(0x40 + 8 * (i - 60)));
        vgic_spi_pulse(&m.vm, i);
    }
    settle();
    eoi(0, true, 50); /* before the others are taken */
    for (u32 i = 60; i < 66; i++) {
        settle();
        assert_int_equal(ack(0, true), i);
        eoi(0, true, i);
    }
    settle();
    assert_int_equal(ack(0, true), 50);
    eoi(0, true, 50);
    assert_nothing(0);
}

static void test_timer_set_active_by_the_guest_rings_after_its_end(void **state)
{
    (void)state;
    m.timer_line[0] = true;
    settle();
    bit_write(0, 0, ISACTIVER, TIMER);
    assert_nothing(0);
    bit_write(0, 0, ICACTIVER, TIMER);
    settle();
    assert_int_equal(ack(0, true), TIMER);
}

static void test_timer_pending_by_a_write_first_ends_with_the_physical_one(void **state)
{
    (void)state;
    bit_write(0, 0, ISPENDR, TIMER);
    settle();
    m.timer_line[0] = true; /* its list register has no physical interrupt behind it */
    settle();
    assert_int_equal(ack(0, true), TIMER);
    m.timer_line[0] = false;
    eoi(0, true, TIMER);
    settle();
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    bit_write(0, 0, ISPENDR, TIMER);
    settle();
    assert_int_equal(ack(0, true), TIMER);
    m.timer_line[0] = true; /* the same while it is active */
    settle();
    m.timer_line[0] = false;
    eoi(0, true, TIMER);
    assert_nothing(0);
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
}

static void test_preemption_deeper_than_the_list_registers(void **state)
{
    (void)state;
    for (u32 n = 0; n < 10; n++) {
        priority_write(0, 0, 50 + n, (u8)(0xa0 - 8 * n));
        vgic_spi_pulse(&m.vm, 50 + n);
        settle();
        assert_int_equal(ack(0, true), 50 + n);
    }
    for (u32 n = 10; n-- > 0;) {
        assert_true(bit_read(0, 0, ISACTIVER, 50 + n));
        eoi(0, true, 50 + n);
        settle();
        assert_false(bit_read(0, 0, ISACTIVER, 50 + n));
    }
    assert_nothing(0);
}

static void test_disabled_group_does_not_keep_the_other_out(void **state)
{
    (void)state;
    gicd_write(0, IGROUPR + 4, 4, ~0xf0U);
    for (u32 i = 36; i < 40; i++) {
        priority_write(0, 0, i, 0);
        vgic_spi_pulse(&m.vm, i);
    }
    settle();
    host_gich()->vmcr &= ~VMCR_VENG0; /* four of group 0 fill all list registers */
    vgic_spi_pulse(&m.vm, 60);
    settle();
    assert_int_equal(ack(0, true), 60);
    eoi(0, true, 60);
    host_gich()->vmcr |= VMCR_VENG0;
    for (u32 n = 0; n < 4; n++) {
        u32 intid;

        settle();
        intid = ack(0, false);
        assert_in_range(intid, 36, 39);
        eoi(0, false, intid);
    }
    assert_nothing(0);
}

static void test_timer_needs_neither_maintenance_nor_flush(void **state)
{
    u64 writes;

    (void)state;
    for (u32 n = 0; n < 4; n++) {
        m.timer_line[0] = true;
        writes = host_gich()->lr_writes;
        assert_true(timer_fires(0));
        assert_int_equal(host_gich()->lr_writes, writes + 1);
        assert_int_equal(vcpu(0)->work, 0);
        assert_int_equal(ack(0, true), TIMER);
        m.timer_line[0] = false;
        assert_true(host_gich()->ppi_active >> HOST_TIMER & 1);
        eoi(0, true, TIMER);
        assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    }
    assert_nothing(0);
    assert_int_equal(m.maintenance, 0);
}

static void test_timer_that_the_guest_turns_off_is_not_pending_any_more(void **state)
{
    (void)state;
    m.timer_line[0] = true;
    assert_true(timer_fires(0));
    m.timer_line[0] = false;
    host_gich()->ppi_fallen = BIT(HOST_TIMER);
    assert_false(gicr_read(0, 0, 0x10000 + ISPENDR, 4) >> TIMER & 1);
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    host_gich()->ppi_fallen = 0;
    assert_nothing(0);
}

static void test_switch_hands_the_physical_timer_over(void **state)
{
    (void)state;
    stop(1);
    m.timer_line[0] = true;
    settle();
    stop(0);
    assert_true(host_gich()->ppi_active >> HOST_TIMER & 1); /* still this vCPU's CPU */
    m.timer_line[0] = false;
    start(1, 0);
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    stop(1);
    m.timer_line[0] = true;
    start(0, 0);
    assert_true(host_gich()->ppi_active >> HOST_TIMER & 1);
    assert_int_equal(ack(0, true), TIMER);
}

static void test_timer_during_sleep_is_there_on_waking(void **state)
{
    (void)state;
    assert_false(virq_pending(vcpu(0)));
    stop(0);
    m.requests[0] = 0;
    m.timer_line[0] = true;
    assert_true(timer_fires(0));
    assert_int_equal(m.requests[0], 1);
    assert_false(timer_fires(0));
    start(0, 0);
    assert_true(virq_pending(vcpu(0)));
    assert_int_equal(ack(0, true), TIMER);
}

static void test_timer_found_due_on_a_switch_moves_with_its_vcpu(void **state)
{
    (void)state;
    stop(1);
    stop(0);
    m.timer_line[0] = true; /* nobody has acknowledged it */
    guest_vtimer_due(vcpu(0), HOST_TIMER);
    guest_vtimer_due(vcpu(0), HOST_TIMER); /* known already */
    drop(0);
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    start(0, 1);
    assert_true(host_gich()->ppi_active >> HOST_TIMER & 1);
    assert_int_equal(ack(0, true), TIMER);
    m.timer_line[0] = false;
    eoi(0, true, TIMER);
    assert_nothing(0);
}

static void test_timer_that_fell_while_disabled_is_not_delivered(void **state)
{
    (void)state;
    bit_write(0, 0, ICENABLER, TIMER);
    m.timer_line[0] = true;
    settle();
    m.timer_line[0] = false;
    bit_write(0, 0, ISENABLER, TIMER);
    assert_nothing(0);
    m.timer_line[0] = true;
    settle();
    assert_int_equal(ack(0, true), TIMER);
}

static void test_timer_deactivated_by_another_vcpu_fires_again(void **state)
{
    (void)state;
    m.timer_line[0] = true;
    settle();
    assert_int_equal(ack(0, true), TIMER);
    gicr_write(1, 0, 0x10000 + ICACTIVER, 4, 1U << TIMER);
    settle();
    eoi(0, true, TIMER); /* which drops the priority only */
    settle();
    assert_int_equal(ack(0, true), TIMER);
}

static void test_save_of_an_idle_interface_touches_no_list_register(void **state)
{
    u64 lr_writes = host_gich()->lr_writes;

    (void)state;
    virq_save(vcpu(0));
    virq_load(vcpu(0));
    assert_int_equal(host_gich()->lr_writes, lr_writes);
}

static void test_interrupts_move_with_their_vcpu(void **state)
{
    (void)state;
    priority_write(0, 0, 50, 0x40);
    vgic_spi_pulse(&m.vm, 50);
    vgic_spi_level(&m.vm, 51, true);
    settle();
    assert_int_equal(ack(0, true), 50);
    stop(0);
    sgi(1, 2, 1); /* comes while it is nowhere */
    stop(1);
    start(0, 3);
    eoi(0, true, 50);
    settle();
    for (u32 n = 0; n < 2; n++) {
        u32 intid = ack(0, true);

        assert_true(intid == 51 || intid == 2);
        eoi(0, true, intid);
    }
}

static void test_cpu_interface_is_kept_per_vcpu(void **state)
{
    (void)state;
    stop(1);
    on_cpu_of(0);
    host_gich()->ap1r = 0x10;
    stop(0);
    start(1, 0);
    assert_int_equal(host_gich()->ap1r, 0);
    host_gich()->vmcr = VMCR_VENG1;
    stop(1);
    start(0, 1);
    assert_int_equal(host_gich()->ap1r, 0x10);
    assert_int_equal(host_gich()->vmcr, VMCR_ALL);
    virq_reset_sys(vcpu(0));
    assert_int_equal(host_gich()->ap1r, 0);
    assert_int_equal(host_gich()->vmcr, 0);
    virq_reset_sys(vcpu(1)); /* not running */
    start(1, 0);
    assert_int_equal(host_gich()->vmcr, 0);
}

static void test_reset_forgets_everything(void **state)
{
    (void)state;
    m.timer_line[0] = true;
    vgic_spi_level(&m.vm, SPI, true);
    sgi(0, 1, 3);
    settle();
    stop(0);
    stop(1);
    m.timer_line[0] = false;
    vgic_reset(&m.vm);
    start(0, 0);
    start(1, 1);
    on_cpu_of(0);
    assert_false(host_gich()->ppi_active >> HOST_TIMER & 1);
    assert_int_equal(host_gich()->vmcr, 0);
    assert_int_equal(gicd_read(0, ISENABLER + 4, 4), 0);
    assert_int_equal(gicd_read(0, ISPENDR + 4, 4), 0);
    assert_int_equal(gicd_read(0, 0, 4), 0x50);
    for (u32 id = 0; id < 2; id++) {
        on_cpu_of(id);
        host_gich()->vmcr = VMCR_ALL;
        assert_nothing(id);
    }
}

static void test_priority_mask_decides_whether_a_wait_ends(void **state)
{
    (void)state;
    vgic_ppi_level(vcpu(0), 30, true);
    host_gich()->vmcr = (VMCR_ALL & ~(0xffUL << 24)) | 0x80UL << 24;
    assert_false(virq_pending(vcpu(0)));
    host_gich()->vmcr = (VMCR_ALL & ~(0xffUL << 24)) | 0x88UL << 24;
    assert_true(virq_pending(vcpu(0)));
    guest_ptimer_level(vcpu(0), false);
    assert_false(virq_pending(vcpu(0)));
}

/* --- two vCPUs on two threads that look into each other's list registers --- */

#define HOLD_ROUNDS 4000U
static u32 threads_done;

static void thread_work(struct vcpu *v)
{
    u32 work = __atomic_exchange_n(&v->work, 0, __ATOMIC_SEQ_CST);

    if (work & WORK_IRQ)
        virq_flush(v);
    if (work & WORK_HOLD)
        virq_hold_point(v);
    if (host_gich_misr())
        guest_gic_maintenance(v);
}

static void thread_handle(u32 id)
{
    u32 intid = host_gich_ack(true);

    if (intid != HOST_SPURIOUS)
        host_gich_eoi(true, intid);
    thread_work(vcpu(id));
}

static void *thread_vcpu(void *arg)
{
    u32 id = (u32)(uintptr_t)arg, other = id ^ 1;
    struct vcpu *v = vcpu(id);

    host_set_cpu(id);
    host_gich_select(id);
    for (u32 n = 0; n < HOLD_ROUNDS; n++) {
        reg_write(&gicr_regs, vcpu(other), v, 0x10000 + (n & 1 ? ISENABLER : ICENABLER), 4, 0xfe);
        guest_sgi(v, SGI_REG_SGI1R, (u64)(n % 8) << 24 | 3);
        (void)reg_read(&gicr_regs, vcpu(other), v, 0x10000 + ISPENDR, 4);
        vgic_spi_pulse(&m.vm, 50 + n % 8);
        reg_write(&gicd_regs, &m.vm, v, 0x6000 + 8 * (50 + n % 8), 8, n >> id & 1);
        reg_write(&gicd_regs, &m.vm, v, (n & 4 ? ISENABLER : ICENABLER) + 4, 4, 0xff << 18);
        thread_work(v);
        thread_handle(id);
        if (n % 16 == 0) {
            virq_save(v);
            virq_load(v);
        }
    }
    /* Serves the other one until it is done, too. */
    __atomic_fetch_add(&threads_done, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&threads_done, __ATOMIC_SEQ_CST) < 2) {
        thread_handle(id);
        sched_yield();
    }
    return NULL;
}

static void request_only(struct vcpu *v, u32 work)
{
    (void)v;
    (void)work;
}

static void test_vcpus_hold_each_other_without_deadlock_or_loss(void **state)
{
    pthread_t thread[2];

    (void)state;
    m.request = request_only;
    threads_done = 0;
    for (uintptr_t id = 0; id < 2; id++)
        assert_int_equal(pthread_create(&thread[id], NULL, thread_vcpu, (void *)id), 0);
    for (u32 id = 0; id < 2; id++)
        pthread_join(thread[id], NULL);
    m.request = NULL;
    gicr_write(0, 0, 0x10000 + ISENABLER, 4, 0xffffffff);
    gicr_write(1, 1, 0x10000 + ISENABLER, 4, 0xffffffff);
    gicd_write(0, ISENABLER + 4, 4, 0xffffffff);
    for (u32 n = 0; n < 64; n++) {
        settle();
        for (u32 id = 0; id < 2; id++) {
            u32 intid = ack(id, true);

            if (intid != HOST_SPURIOUS)
                eoi(id, true, intid);
        }
    }
    for (u32 id = 0; id < 2; id++) {
        assert_nothing(id);
        assert_int_equal(gicr_read(id, id, 0x10000 + ISPENDR, 4), 0);
        assert_int_equal(gicr_read(id, id, 0x10000 + ISACTIVER, 4), 0);
    }
    assert_int_equal(gicd_read(0, ISPENDR + 4, 4), 0);
    assert_int_equal(gicd_read(0, ISACTIVER + 4, 4), 0);
}

#define WITH(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_sgi_reaches_its_targets_once, four),
        WITH(test_sgi_to_all_others_spares_the_sender, four),
        WITH(test_sgi_to_foreign_affinities_goes_nowhere, four),
        WITH(test_group_0_sgi_registers_make_no_group_1_sgi, two),
        WITH(test_level_lowered_in_the_handler_costs_no_maintenance, one),
        WITH(test_level_still_high_after_eoi_comes_again, one),
        WITH(test_level_lowered_before_the_ack_is_taken_back, one),
        WITH(test_pending_written_by_the_guest_survives_the_line, one),
        WITH(test_edge_during_the_handler_is_delivered_after_it, one),
        WITH(test_disable_is_complete_when_the_write_returns, two),
        WITH(test_disabling_a_group_takes_back_what_it_made_pending, two),
        WITH(test_rerouted_spi_leaves_a_vcpu_that_does_not_run, two),
        WITH(test_active_spi_is_pending_elsewhere_only_after_its_end, two),
        WITH(test_dir_of_another_vcpus_spi_deactivates_it, two),
        WITH(test_more_interrupts_than_list_registers_come_by_priority, one),
        WITH(test_interrupt_pending_again_keeps_no_urgent_one_out, one),
        WITH(test_timer_set_active_by_the_guest_rings_after_its_end, two),
        WITH(test_timer_pending_by_a_write_first_ends_with_the_physical_one, one),
        WITH(test_preemption_deeper_than_the_list_registers, one),
        WITH(test_disabled_group_does_not_keep_the_other_out, one),
        WITH(test_timer_needs_neither_maintenance_nor_flush, one),
        WITH(test_timer_that_the_guest_turns_off_is_not_pending_any_more, two),
        WITH(test_switch_hands_the_physical_timer_over, two),
        WITH(test_timer_during_sleep_is_there_on_waking, one),
        WITH(test_timer_found_due_on_a_switch_moves_with_its_vcpu, two),
        WITH(test_timer_that_fell_while_disabled_is_not_delivered, one),
        WITH(test_timer_deactivated_by_another_vcpu_fires_again, two),
        WITH(test_save_of_an_idle_interface_touches_no_list_register, one),
        WITH(test_interrupts_move_with_their_vcpu, two),
        WITH(test_cpu_interface_is_kept_per_vcpu, two),
        WITH(test_reset_forgets_everything, two),
        WITH(test_priority_mask_decides_whether_a_wait_ends, one),
        WITH(test_vcpus_hold_each_other_without_deadlock_or_loss, two),
        WITH(test_vcpus_hold_each_other_without_deadlock_or_loss, two_with_one_lr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
