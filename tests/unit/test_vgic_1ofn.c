/* SPDX-License-Identifier: Apache-2.0 */
/* SPIs that any one vCPU takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_vgic_machine.h"

#define SPI 40U
#define VCPUS 4U
#define ROUTE_ANY BIT(31)
#define WAKER 0x14U
#define DPG0 BIT(24)
#define DPG1NS BIT(25)

static void route_any(u32 intid) { gicd_write(0, 0x6000 + 8 * intid, 8, ROUTE_ANY); }

static void set_waker(u32 id, bool sleep)
{
    gicr_write(id, id, WAKER, 4, sleep ? 2 : 0);
    settle();
}

static void open_groups(u32 id, u64 groups)
{
    on_cpu_of(id);
    host_gich()->vmcr = groups | 0xf8UL << 24;
    settle();
}

static int setup(void **state)
{
    (void)state;
    machine_make(VCPUS, 96, 4);
    for (u32 i = 32; i < 128; i += 32) {
        gicd_write(0, IGROUPR + i / 8, 4, 0xffffffff);
        gicd_write(0, ISENABLER + i / 8, 4, 0xffffffff);
    }
    for (u32 i = 0xc08; i < 0xc20; i += 4)
        gicd_write(0, i, 4, 0xaaaaaaaa);
    gicd_write(0, 0, 4, 3);
    for (u32 id = 0; id < VCPUS; id++) {
        vcpu(id)->task.state = TASK_RUNNING;
        open_groups(id, VMCR_VENG0 | VMCR_VENG1);
        set_waker(id, false);
    }
    route_any(SPI);
    settle();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_end();
    return 0;
}

/* The one vCPU that gets the interrupt, NOWHERE if none, after all had the chance. */
static u32 taken_by(u32 intid)
{
    u32 by = NOWHERE;

    settle();
    for (u32 id = 0; id < VCPUS; id++) {
        if (m.cpu[id] == NOWHERE)
            continue;
        on_cpu_of(id);
        if (!host_gich_signals(true))
            continue;
        assert_int_equal(by, NOWHERE);
        assert_int_equal(ack(id, true), intid);
        by = id;
    }
    return by;
}

/* Ends it, and has its list register forgotten, which else would draw the next one. */
static void end(u32 by)
{
    eoi(by, true, SPI);
    stop(by);
    start(by, by);
    settle();
}

static void taken_and_ended_by(u32 want)
{
    assert_int_equal(taken_by(SPI), want);
    end(want);
}

static void test_exactly_one_takes_it_and_all_have_turns(void **state)
{
    u32 turns[VCPUS] = { 0 };

    (void)state;
    for (u32 n = 0; n < 4 * VCPUS; n++) {
        u32 by;

        vgic_spi_pulse(&m.vm, SPI);
        by = taken_by(SPI);
        assert_int_not_equal(by, NOWHERE);
        end(by);
        turns[by]++;
    }
    for (u32 id = 0; id < VCPUS; id++)
        assert_int_equal(turns[id], 4);
}

static void test_one_that_sleeps_declines_or_closed_its_group_is_passed_over(void **state)
{
    (void)state;
    set_waker(0, true);
    gicr_write(1, 1, 0, 4, DPG1NS);
    open_groups(2, VMCR_VENG0);
    assert_int_equal(gicr_read(1, 1, 0, 4) & (DPG0 | DPG1NS), DPG1NS);
    for (u32 n = 0; n < 6; n++) {
        vgic_spi_pulse(&m.vm, SPI);
        taken_and_ended_by(3);
    }
}

static void test_declining_is_by_group(void **state)
{
    (void)state;
    for (u32 id = 1; id < VCPUS; id++)
        vcpu(id)->power = VCPU_OFF;
    gicr_write(0, 0, 0, 4, DPG0);
    vgic_spi_pulse(&m.vm, SPI);
    taken_and_ended_by(0);
    gicr_write(0, 0, 0, 4, DPG1NS);
    vgic_spi_pulse(&m.vm, SPI);
    assert_int_equal(taken_by(SPI), NOWHERE);
    gicr_write(0, 0, 0, 4, 0);
    taken_and_ended_by(0);
}

static void test_one_that_runs_is_preferred_then_one_that_waits(void **state)
{
    (void)state;
    vcpu(0)->task.state = TASK_READY;
    vcpu(1)->task.state = TASK_BLOCKED;
    vcpu(3)->task.state = TASK_READY;
    for (u32 n = 0; n < 6; n++) {
        vgic_spi_pulse(&m.vm, SPI);
        taken_and_ended_by(2);
    }
    vcpu(2)->task.state = TASK_READY;
    for (u32 n = 0; n < 6; n++) {
        vgic_spi_pulse(&m.vm, SPI);
        taken_and_ended_by(1);
    }
}

/* The vCPU that has it in a list register, not acknowledged. */
static u32 offered_to(void)
{
    u32 to = NOWHERE;

    settle();
    for (u32 id = 0; id < VCPUS; id++) {
        on_cpu_of(id);
        if (host_gich_signals(true)) {
            assert_int_equal(to, NOWHERE);
            to = id;
        }
    }
    assert_int_not_equal(to, NOWHERE);
    return to;
}

static void test_one_that_leaves_hands_it_on(void **state)
{
    u32 had;

    (void)state;
    vgic_spi_pulse(&m.vm, SPI);
    had = offered_to();
    set_waker(had, true);
    assert_int_not_equal(offered_to(), had);
    had = offered_to();
    gicr_write((had + 1) % VCPUS, had, 0, 4, DPG1NS); /* another one writes it */
    assert_int_not_equal(offered_to(), had);
    had = offered_to();
    open_groups(had, VMCR_VENG0);
    assert_int_not_equal(offered_to(), had);
    had = offered_to();
    on_cpu_of(had); /* the last: then nobody takes it */
    vcpu(had)->power = VCPU_OFF;
    virq_off(vcpu(had));
    assert_int_equal(taken_by(SPI), NOWHERE);
    assert_true(bit_read(0, 0, ISPENDR, SPI));
    set_waker(0, false);
    gicr_write(0, 0, 0, 4, 0);
    for (u32 id = 0; id < VCPUS; id++)
        gicr_write(id, id, 0, 4, 0);
    for (u32 id = 0; id < VCPUS; id++)
        set_waker(id, false);
    for (u32 id = 0; id < VCPUS; id++)
        open_groups(id, VMCR_VENG0 | VMCR_VENG1);
    had = taken_by(SPI);
    assert_int_not_equal(had, NOWHERE);
    assert_int_equal(vcpu(had)->power, VCPU_ON);
}

static void test_active_one_stays_where_it_was_taken(void **state)
{
    u32 by;

    (void)state;
    vgic_spi_pulse(&m.vm, SPI);
    by = taken_by(SPI);
    vgic_spi_pulse(&m.vm, SPI);
    set_waker(by, true);
    assert_int_equal(taken_by(SPI), NOWHERE);
    assert_true(bit_read(0, 0, ISACTIVER, SPI));
    eoi(by, true, SPI);
    assert_int_not_equal(taken_by(SPI), by);
}

static void test_preempted_one_hands_it_on(void **state)
{
    u32 had;

    (void)state;
    vgic_spi_pulse(&m.vm, SPI);
    had = offered_to();
    vcpu(had)->task.state = TASK_READY;
    stop(had);
    assert_int_not_equal(taken_by(SPI), NOWHERE);
}

static void test_affinity_again_ends_it(void **state)
{
    (void)state;
    gicd_write(0, 0x6000 + 8 * SPI, 8, 2);
    for (u32 n = 0; n < 3; n++) {
        vgic_spi_pulse(&m.vm, SPI);
        taken_and_ended_by(2);
    }
    assert_int_equal(gicd_read(0, 0x6000 + 8 * SPI, 8), 2);
}

/* --- at random --- */

static u32 seed;

static u32 rnd(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (u32)((u64)(seed >> 8) * n >> 24);
}

#define SPIS 40U

static void leave_or_join(u32 id)
{
    on_cpu_of(id);
    switch (rnd(5)) {
    case 0: gicr_write(id, id, WAKER, 4, rnd(2) ? 2 : 0); break;
    case 1: gicr_write(id, rnd(VCPUS), 0, 4, rnd(4) << 24); break;
    case 2: host_gich()->vmcr = rnd(4) | 0xf8UL << 24; break;
    case 3:
        vcpu(id)->power = vcpu(id)->power == VCPU_ON ? VCPU_OFF : VCPU_ON;
        if (vcpu(id)->power == VCPU_OFF) {
            virq_off(vcpu(id));
            stop(id);
        }
        break;
    default: vcpu(id)->task.state = rnd(3); break;
    }
}

/* What was pulsed is taken: never twice at once, and all of it when somebody takes part again. */
static void test_nothing_is_lost_or_doubled_whoever_comes_and_goes(void **state)
{
    u32 stack[VCPUS][64], depth[VCPUS] = { 0 };
    bool pulsed[32 + SPIS] = { false }, active[32 + SPIS] = { false };

    (void)state;
    for (u32 i = 32; i < 32 + SPIS; i++) {
        priority_write(0, 0, i, (u8)(8 * rnd(20)));
        route_any(i);
    }
    for (u32 step = 0; step < 30000; step++) {
        u32 id = rnd(VCPUS), intid = 32 + rnd(SPIS);

        if (m.cpu[id] == NOWHERE) {
            vcpu(id)->power = VCPU_ON;
            start(id, id);
        }
        switch (rnd(8)) {
        case 0 ... 2:
            vgic_spi_pulse(&m.vm, intid);
            pulsed[intid] = true;
            break;
        case 3 ... 4:
            on_cpu_of(id);
            if (depth[id] == 30 || !host_gich_signals(true))
                break;
            intid = ack(id, true);
            assert_true(pulsed[intid] && !active[intid]);
            pulsed[intid] = false;
            active[intid] = true;
            stack[id][depth[id]++] = intid;
            break;
        case 5 ... 6:
            if (depth[id] == 0)
                break;
            active[stack[id][--depth[id]]] = false;
            eoi(id, true, stack[id][depth[id]]);
            break;
        default:
            if (rnd(4) == 0)
                leave_or_join(id);
            break;
        }
        settle();
    }
    for (u32 id = 0; id < VCPUS; id++) {
        vcpu(id)->power = VCPU_ON;
        if (m.cpu[id] == NOWHERE)
            start(id, id);
        while (depth[id] > 0)
            eoi(id, true, stack[id][--depth[id]]);
        gicr_write(id, id, 0, 4, 0);
        set_waker(id, false);
        open_groups(id, VMCR_VENG0 | VMCR_VENG1);
    }
    for (u32 idle = 0, turn = 0; idle < VCPUS; turn++) {
        u32 id = turn % VCPUS, intid;

        settle();
        intid = ack(id, true);
        idle = intid == HOST_SPURIOUS ? idle + 1 : 0;
        if (intid == HOST_SPURIOUS)
            continue;
        assert_true(pulsed[intid]);
        pulsed[intid] = false;
        eoi(id, true, intid);
    }
    for (u32 i = 32; i < 32 + SPIS; i++)
        assert_false(pulsed[i]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exactly_one_takes_it_and_all_have_turns),
        TEST(test_one_that_sleeps_declines_or_closed_its_group_is_passed_over),
        TEST(test_declining_is_by_group),
        TEST(test_one_that_runs_is_preferred_then_one_that_waits),
        TEST(test_one_that_leaves_hands_it_on),
        TEST(test_active_one_stays_where_it_was_taken),
        TEST(test_preempted_one_hands_it_on),
        TEST(test_affinity_again_ends_it),
        TEST(test_nothing_is_lost_or_doubled_whoever_comes_and_goes),
    };

    seed = argc > 1 ? (u32)atoi(argv[1]) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
