/* SPDX-License-Identifier: Apache-2.0 */
/* LPIs between redistributor and CPU interface; commands are in test_vits.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "irq/inject/vgic_state.h"
#include "irq/inject/vgic_timing.h"
#include "test_its_machine.h"

#define SPURIOUS HOST_SPURIOUS
#define ENABLED 3U

static void make(u32 vcpus, u32 lrs, bool active)
{
    its_machine_make(vcpus, lrs);
    if (active)
        host_gich_lpis_active();
    its_set_up();
}

static int setup(void **state)
{
    (void)state;
    make(2, 4, false);
    memset(guest_memory + CONFIG, ENABLED, 0xe000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    its_machine_end();
    return 0;
}

static void raise_lpi(u32 id, u32 lpi)
{
    vgic_lpi_raise(vcpu(id), lpi);
    settle();
}

static u32 take(u32 id)
{
    u32 lpi = ack(id, true);

    if (lpi != SPURIOUS)
        eoi(id, true, lpi);
    settle();
    return lpi;
}

static void configured(u32 id, u32 lpi, u8 byte)
{
    *config(lpi) = byte;
    on_cpu_of(0);
    vgic_lpi_configured(vcpu(0), vcpu(id), lpi);
    settle();
}

/* --- one --- */

static void test_raised_lpi_is_delivered_once(void **state)
{
    (void)state;
    raise_lpi(1, LPI0 + 5);
    raise_lpi(1, LPI0 + 5);
    assert_int_equal(take(0), SPURIOUS);
    assert_int_equal(take(1), LPI0 + 5);
    assert_int_equal(take(1), SPURIOUS);
}

static void test_lpi_is_pending_again_while_it_is_handled(void **state)
{
    (void)state;
    for (u32 active = 0; active < 2; active++) {
        raise_lpi(0, LPI0);
        assert_int_equal(ack(0, true), LPI0);
        raise_lpi(0, LPI0);
        on_cpu_of(0);
        assert_false(host_gich_signals(true)); /* its priority runs */
        eoi(0, true, LPI0);
        settle();
        assert_int_equal(take(0), LPI0);
        assert_int_equal(take(0), SPURIOUS);
        host_gich_lpis_active();
    }
}

static void test_more_urgent_interrupts_come_first_of_whatever_kind(void **state)
{
    (void)state;
    *config(LPI0 + 1) = 0x40 | ENABLED;
    *config(LPI0 + 2) = 0xc0 | ENABLED;
    gicr_write(0, 0, 0x10080, 4, ~0U);
    bit_write(0, 0, ISENABLER, 3);
    priority_write(0, 0, 3, 0x80);
    on_cpu_of(0);
    vgic_lpi_raise(vcpu(0), LPI0 + 2);
    sgi(0, 3, 1);
    vgic_lpi_raise(vcpu(0), LPI0 + 1);
    settle();
    assert_int_equal(take(0), LPI0 + 1);
    assert_int_equal(take(0), 3);
    assert_int_equal(take(0), LPI0 + 2);
}

static void test_disabled_lpi_waits_for_its_configuration(void **state)
{
    (void)state;
    *config(LPI0) = 0;
    raise_lpi(0, LPI0);
    assert_int_equal(take(0), SPURIOUS);
    configured(0, LPI0, ENABLED);
    assert_int_equal(take(0), LPI0);
}

static void test_new_priority_counts_for_one_that_is_pending(void **state)
{
    (void)state;
    *config(LPI0) = 0x80 | ENABLED;
    *config(LPI0 + 1) = 0x40 | ENABLED;
    raise_lpi(0, LPI0);
    raise_lpi(0, LPI0 + 1);
    configured(0, LPI0, 0x20 | ENABLED);
    assert_int_equal(take(0), LPI0);
    assert_int_equal(take(0), LPI0 + 1);
}

static void test_lpis_that_do_not_exist_are_lost(void **state)
{
    (void)state;
    raise_lpi(0, 8191);
    raise_lpi(0, 65536);
    raise_lpi(0, ~0U);
    assert_int_equal(take(0), SPURIOUS);
    raise_lpi(0, 65535);
    assert_int_equal(take(0), 65535);
    lpis_on(0, 0, false);
    lpis_on(0, 1, false);
    gicr_write(0, 0, 0x70, 8, (MEM_BASE + CONFIG) | 13); /* 14 ID bits: up to 16383 */
    lpis_on(0, 0, true);
    raise_lpi(0, 16384);
    assert_int_equal(take(0), SPURIOUS);
    raise_lpi(0, 16383);
    assert_int_equal(take(0), 16383);
}

static void test_group_1_off_keeps_lpis_pending(void **state)
{
    (void)state;
    raise_lpi(0, LPI0);
    gicd_write(0, 0, 4, 1);
    settle();
    raise_lpi(0, LPI0 + 1);
    assert_int_equal(take(0), SPURIOUS);
    gicd_write(1, 0, 4, 3);
    settle();
    assert_int_equal(take(0) + take(0), 2 * LPI0 + 1);
}

static void test_sleeping_vcpu_is_woken_by_an_lpi_alone(void **state)
{
    (void)state;
    on_cpu_of(0);
    assert_false(virq_pending(vcpu(0)));
    vgic_lpi_raise(vcpu(0), LPI0);
    assert_true(vcpu(0)->work & WORK_IRQ);
    assert_true(virq_pending(vcpu(0)));
    assert_int_equal(take(0), LPI0);
    assert_false(virq_pending(vcpu(0)));
}

static void test_lpis_are_timed_unless_disabled_or_cleared(void **state)
{
    struct latency l;

    (void)state;
    assert_int_equal(vgic_timing_set(&m.vm, true), K_OK);
    host_tick_hz_set(1000000000);
    host_clock_set(1000);
    for (u32 n = 0; n < 3; n++) {
        vgic_lpi_raise(vcpu(0), LPI0);
        host_clock_advance(40);
        settle();
        assert_int_equal(take(0), LPI0);
    }
    configured(0, LPI0, ENABLED & ~1U);
    raise_lpi(0, LPI0);
    host_clock_advance(1000);
    configured(0, LPI0, ENABLED);
    assert_int_equal(take(0), LPI0);
    stop(1);
    vgic_lpi_raise(vcpu(1), LPI0 + 1);
    on_cpu_of(0);
    vgic_lpi_clear(vcpu(0), vcpu(1), LPI0 + 1);
    host_clock_advance(1000);
    start(1, 1);
    raise_lpi(1, LPI0 + 1);
    assert_int_equal(take(1), LPI0 + 1);
    assert_true(vgic_timing_get(&m.vm, VGIC_LPI, &l));
    assert_int_equal(l.count, 4);
    assert_int_equal(l.max_ns, 40);
}

static void test_lpis_survive_a_switch(void **state)
{
    (void)state;
    raise_lpi(0, LPI0);
    stop(0);
    vgic_lpi_raise(vcpu(0), LPI0 + 1);
    drop(0);
    start(0, 3);
    settle();
    assert_int_equal(take(0) + take(0), 2 * LPI0 + 1);
}

/* --- pending tables --- */

static void test_enabling_reads_the_pending_table(void **state)
{
    u32 seen = 0;

    (void)state;
    lpis_on(0, 1, false);
    for (u32 i = 0; i < 128; i++)
        *pending_byte(1, LPI0 + 2 * i) |= (u8)(1U << (LPI0 + 2 * i) % 8);
    gicr_write(0, 1, 0x78, 8, MEM_BASE + PENDING + 0x10000);
    assert_int_equal(take(1), SPURIOUS);
    lpis_on(0, 1, true);
    for (u32 lpi; (lpi = take(1)) != SPURIOUS; seen++)
        assert_int_equal(lpi % 2, 0);
    assert_int_equal(seen, 128);
}

static void test_zero_bit_spares_reading_the_pending_table(void **state)
{
    (void)state;
    lpis_on(0, 1, false);
    *pending_byte(1, LPI0) = 0xff;
    assert_int_equal(gicr_read(0, 1, 0x78, 8) >> 62, 0); /* reads as zero, but was set */
    lpis_on(0, 1, true);
    assert_int_equal(take(1), SPURIOUS);
}

static void test_disabling_writes_the_pending_table(void **state)
{
    (void)state;
    for (u32 i = 0; i < 70; i++)
        vgic_lpi_raise(vcpu(1), LPI0 + 3 * i);
    settle();
    assert_int_equal(take(1) % 3, LPI0 % 3);
    lpis_on(0, 1, false);
    assert_int_equal(take(1), SPURIOUS);
    raise_lpi(1, LPI0 + 1);
    for (u32 i = 0, set = 0; i <= 210; i++) {
        set += pending_bit(1, LPI0 + i);
        assert_true(i % 3 == 0 || !pending_bit(1, LPI0 + i));
        assert_true(i < 210 || set == 69);
    }
    gicr_write(0, 1, 0x78, 8, MEM_BASE + PENDING + 0x10000);
    lpis_on(0, 1, true);
    for (u32 i = 0; i < 69; i++)
        assert_int_equal(take(1) % 3, LPI0 % 3);
    assert_int_equal(take(1), SPURIOUS);
}

static void test_tables_outside_of_memory_are_empty(void **state)
{
    (void)state;
    lpis_on(0, 0, false);
    lpis_on(0, 1, false);
    gicr_write(0, 0, 0x70, 8, 0xffffffff0000UL | 15);
    gicr_write(0, 0, 0x78, 8, 0xffffffff0000UL);
    lpis_on(0, 0, true);
    raise_lpi(0, LPI0); /* disabled, as far as can be told */
    assert_int_equal(take(0), SPURIOUS);
    lpis_on(0, 0, false);
    assert_int_equal(gicr_read(0, 0, 0, 4), 2);
}

/* --- many --- */

static void test_very_many_come_in_order_of_priority(void **state)
{
    u32 last = 0, seen = 0, wanted = 0;

    (void)state;
    for (u32 lpi = LPI0; lpi < 65536; lpi += 9) {
        *config(lpi) = (u8)((lpi * 40503U >> 7 & 0xf8) | ENABLED);
        wanted += (*config(lpi) & 0xf8) < 0xf8; /* else below the priority mask's */
        vgic_lpi_raise(vcpu(0), lpi);
    }
    settle();
    for (u32 lpi; (lpi = take(0)) != SPURIOUS; seen++) {
        u32 priority = *config(lpi) & 0xf8;

        assert_true(priority >= last);
        last = priority;
    }
    assert_int_equal(seen, wanted);
}

static void test_urgent_lpi_overtakes_many(void **state)
{
    (void)state;
    memset(guest_memory + CONFIG, 0x80 | ENABLED, 0x1000);
    *config(LPI0 + 777) = 0x10 | ENABLED;
    for (u32 i = 0; i < 500; i++)
        vgic_lpi_raise(vcpu(0), LPI0 + i);
    settle();
    assert_true(take(0) < LPI0 + 500);
    raise_lpi(0, LPI0 + 777);
    assert_int_equal(take(0), LPI0 + 777);
    for (u32 i = 1; i < 500; i++)
        assert_true(take(0) < LPI0 + 500);
    assert_int_equal(take(0), SPURIOUS);
}

static void test_flush_of_many_asks_to_go_on_later(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4096; i++)
        vgic_lpi_raise(vcpu(0), LPI0 + 13 * i);
    on_cpu_of(0);
    vcpu(0)->work = 0;
    virq_flush(vcpu(0));
    assert_true(vcpu(0)->work & WORK_MORE);
}

/* Also one that was looked at in the first batch, and is raised again before the second. */
static void test_all_of_one_word_come_in_the_end(void **state)
{
    u32 seen = 0;

    (void)state;
    memset(guest_memory + CONFIG, 0x80 | ENABLED, 64);
    *config(LPI0) = 0;
    for (u32 i = 0; i < 64; i++)
        vgic_lpi_raise(vcpu(0), LPI0 + i);
    on_cpu_of(0);
    vcpu(0)->work = 0;
    virq_flush(vcpu(0));
    assert_true(vcpu(0)->work & WORK_MORE);
    *config(LPI0) = 0x80 | ENABLED;
    vgic_lpi_configured(vcpu(0), vcpu(0), LPI0);
    settle();
    while (take(0) != SPURIOUS)
        seen++;
    assert_int_equal(seen, 64);
}

static void test_another_configuration_table_is_read_anew(void **state)
{
    (void)state;
    raise_lpi(0, LPI0);
    assert_int_equal(take(0), LPI0); /* known to be enabled */
    *config(LPI0) = 2;
    for (u32 i = 0; i < 2; i++)
        lpis_on(0, i, false);
    gicr_write(0, 0, 0x70, 8, (MEM_BASE + CONFIG) | 15);
    for (u32 i = 0; i < 2; i++)
        lpis_on(0, i, true);
    raise_lpi(0, LPI0);
    assert_int_equal(take(0), SPURIOUS);
}

static void test_memory_for_lpis_is_had_when_they_are_enabled(void **state)
{
    (void)state;
    its_machine_end();
    its_machine_make(1, 4);
    assert_null(vcpu(0)->vgic->lpis);
    its_set_up();
    assert_non_null(vcpu(0)->vgic->lpis);
    vgic_reset(&m.vm);
    assert_null(vcpu(0)->vgic->lpis);
}

/* --- against a model: pending and enabled or not --- */

#define MODEL_LPIS 150U

static u32 seed;

static u32 rnd(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (u32)((u64)(seed >> 8) * n >> 24);
}

static struct {
    bool pending[2][MODEL_LPIS];
    bool makes_active, active[2][MODEL_LPIS];
    u8 config[MODEL_LPIS]; /* as it was told */
    u32 stack[2][40], depth[2];
} model;

static u32 running(u32 id) { return model.depth[id] ? model.stack[id][model.depth[id] - 1] >> 24 : 256; }

static u32 best_priority(u32 id)
{
    u32 best = 256;

    for (u32 i = 0; i < MODEL_LPIS; i++)
        if (model.pending[id][i] && !model.active[id][i] && (model.config[i] & 1) &&
            (model.config[i] & 0xf8U) < best)
            best = model.config[i] & 0xf8;
    return best;
}

static void model_ack(u32 id)
{
    u32 best = best_priority(id), lpi;
    bool expected = best < running(id) && best < 0xf8;

    on_cpu_of(id);
    assert_int_equal(host_gich_signals(true), expected);
    if (!expected || model.depth[id] == 40)
        return;
    lpi = ack(id, true);
    assert_in_range(lpi, LPI0, LPI0 + MODEL_LPIS - 1);
    assert_true(model.pending[id][lpi - LPI0]);
    assert_int_equal(model.config[lpi - LPI0] & 1, 1);
    assert_int_equal(model.config[lpi - LPI0] & 0xf8, best);
    model.pending[id][lpi - LPI0] = false;
    model.active[id][lpi - LPI0] = model.makes_active;
    model.stack[id][model.depth[id]++] = lpi | best << 24;
}

static void model_eoi(u32 id)
{
    u32 lpi;

    if (model.depth[id] == 0)
        return;
    lpi = model.stack[id][--model.depth[id]] & 0xffffff;
    model.active[id][lpi - LPI0] = false;
    eoi(id, true, lpi);
}

static void model_configure(u32 id, u32 i)
{
    u8 byte = (u8)(rnd(32) << 3 | 2 | (rnd(4) != 0));

    if (model.active[0][i] || model.active[1][i])
        return; /* whose end would be found by another priority: docs/interrupts.md, limits */
    *config(LPI0 + i) = byte;
    on_cpu_of(id);
    if (rnd(4) != 0) {
        /* On whose vCPU it is pending, that one has to know. */
        vgic_lpi_configured(vcpu(id), vcpu(0), LPI0 + i);
        vgic_lpi_configured(vcpu(id), vcpu(1), LPI0 + i);
        model.config[i] = byte;
    } else {
        vgic_lpi_configured_all(vcpu(id), vcpu(0));
        vgic_lpi_configured_all(vcpu(id), vcpu(1));
        for (u32 k = 0; k < MODEL_LPIS; k++)
            model.config[k] = *config(LPI0 + k);
    }
}

static void model_step(void)
{
    u32 id = rnd(2), i = rnd(MODEL_LPIS), to = rnd(2);

    if (m.cpu[id] == NOWHERE) {
        start(id, id);
        return;
    }
    on_cpu_of(id);
    switch (rnd(12)) {
    case 0 ... 4:
        vgic_lpi_raise(vcpu(to), LPI0 + i);
        model.pending[to][i] = true;
        break;
    case 5 ... 6: model_ack(id); break;
    case 7: model_eoi(id); break;
    case 8:
        vgic_lpi_clear(vcpu(id), vcpu(to), LPI0 + i);
        model.pending[to][i] = false;
        break;
    case 9:
        vgic_lpi_move(vcpu(id), vcpu(to), vcpu(1 - to), LPI0 + i);
        model.pending[1 - to][i] |= model.pending[to][i];
        model.pending[to][i] = false;
        break;
    case 10: model_configure(id, i); break;
    default:
        if (rnd(20) == 0) {
            vgic_lpi_move_all(vcpu(id), vcpu(to), vcpu(1 - to));
            for (u32 k = 0; k < MODEL_LPIS; k++) {
                model.pending[1 - to][k] |= model.pending[to][k];
                model.pending[to][k] = false;
            }
        } else if (rnd(3) == 0) {
            stop(id);
        } else if (rnd(20) == 0) { /* out and in again, by way of memory; what is active stays so */
            lpis_on(id, to, false);
            gicr_write(id, to, 0x78, 8, MEM_BASE + PENDING + to * 0x10000UL);
            lpis_on(id, to, true);
        }
        break;
    }
}

static void run_model(u32 lrs, bool active, u32 from)
{
    make(2, lrs, active);
    memset(&model, 0, sizeof(model));
    model.makes_active = active;
    memset(guest_memory + CONFIG, 2, 0xe000);
    memset(model.config, 2, sizeof(model.config));
    seed = from;
    for (u32 n = 0; n < 6000; n++) {
        model_step();
        settle();
        for (u32 id = 0; id < 2; id++)
            if (m.cpu[id] != NOWHERE && rnd(3) == 0)
                model_ack(id);
        settle();
    }
    its_machine_end();
}

static void test_lpis_agree_with_the_specification(void **state)
{
    static const u32 lrs[] = { 1, 2, 4, 16 };

    (void)state;
    for (u32 i = 0; i < 4; i++)
        for (u32 round = 0; round < 6; round++)
            run_model(lrs[i], false, round * 77 + i);
}

static void test_lpis_agree_where_hardware_makes_them_active(void **state)
{
    (void)state;
    for (u32 round = 0; round < 10; round++)
        run_model(4, true, round * 131);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_raised_lpi_is_delivered_once),
        TEST(test_lpi_is_pending_again_while_it_is_handled),
        TEST(test_more_urgent_interrupts_come_first_of_whatever_kind),
        TEST(test_disabled_lpi_waits_for_its_configuration),
        TEST(test_new_priority_counts_for_one_that_is_pending),
        TEST(test_lpis_that_do_not_exist_are_lost),
        TEST(test_group_1_off_keeps_lpis_pending),
        TEST(test_sleeping_vcpu_is_woken_by_an_lpi_alone),
        TEST(test_lpis_are_timed_unless_disabled_or_cleared),
        TEST(test_lpis_survive_a_switch),
        TEST(test_enabling_reads_the_pending_table),
        TEST(test_zero_bit_spares_reading_the_pending_table),
        TEST(test_disabling_writes_the_pending_table),
        TEST(test_tables_outside_of_memory_are_empty),
        TEST(test_very_many_come_in_order_of_priority),
        TEST(test_urgent_lpi_overtakes_many),
        TEST(test_flush_of_many_asks_to_go_on_later),
        TEST(test_all_of_one_word_come_in_the_end),
        TEST(test_another_configuration_table_is_read_anew),
        TEST(test_memory_for_lpis_is_had_when_they_are_enabled),
        cmocka_unit_test(test_lpis_agree_with_the_specification),
        cmocka_unit_test(test_lpis_agree_where_hardware_makes_them_active),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
