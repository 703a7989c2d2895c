/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/arm64/gich2_format.h"
#include "arch/host/host.h"
#include "irq/inject/vgic_timing.h"
#include "test_vgic_machine.h"

enum { ITARGETSR = 0x800, SGIR = 0xf00, CPENDSGIR = 0xf10, SPENDSGIR = 0xf20 };
#define FROM(sender, sgi) ((sender) << 10 | (sgi)) /* as GICC_IAR has it */
#define OTHERS (1U << 24)
#define SELF (2U << 24)
#define TO(targets) ((u32)(targets) << 16)

static void write_reg(u32 id, u32 offset, unsigned size, u64 value)
{
    on_cpu_of(id);
    reg_write(&gicd_v2_regs, &m.vm, vcpu(id), offset, size, value);
}

static u64 read_reg(u32 id, u32 offset, unsigned size)
{
    on_cpu_of(id);
    return reg_read(&gicd_v2_regs, &m.vm, vcpu(id), offset, size);
}

static u32 take(u32 id)
{
    settle();
    return ack(id, false);
}

static void end(u32 id, u32 iar)
{
    eoi(id, false, iar);
    settle();
}

static void make(u32 vcpus, u32 lrs)
{
    machine_make(vcpus, 64, lrs);
    write_reg(0, 0, 4, 1);
    for (u32 id = 0; id < vcpus; id++) {
        on_cpu_of(id);
        host_gich()->vmcr = VMCR_ALL;
    }
    for (u32 i = 32; i < 96; i++)
        write_reg(0, ISENABLER + i / 32 * 4, 4, 1U << i % 32);
}

static int setup(void **state)
{
    (void)state;
    host_gic_is_v2 = true;
    make(3, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_end();
    host_gic_is_v2 = false;
    return 0;
}

static void test_register_table_is_valid(void **state)
{
    (void)state;
    assert_true(reg_block_valid(&gicd_v2_regs));
}

static void test_distributor_describes_itself(void **state)
{
    (void)state;
    assert_int_equal(read_reg(0, 0x4, 4), 2 << 5 | 2); /* three CPUs, 96 interrupts */
    assert_int_equal(read_reg(0, 0x8, 4), GIC_IIDR);
    assert_int_equal(read_reg(0, 0xfe8, 4), 0x2b);
    write_reg(0, 0x0, 4, 0xffffffff);
    assert_int_equal(read_reg(0, 0x0, 4), 3);
}

static void test_sgi_names_its_sender(void **state)
{
    (void)state;
    write_reg(2, SGIR, 4, TO(1 << 1) | 5);
    assert_int_equal(take(1), FROM(2, 5));
    end(1, FROM(2, 5));
    assert_int_equal(take(1), HOST_SPURIOUS);
}

static void test_sgi_is_pending_once_for_each_sender(void **state)
{
    (void)state;
    write_reg(2, SGIR, 4, TO(1 << 0) | 5);
    write_reg(1, SGIR, 4, TO(1 << 0) | 5);
    write_reg(1, SGIR, 4, TO(1 << 0) | 5);
    assert_int_equal(take(0), FROM(1, 5));
    assert_int_equal(take(0), HOST_SPURIOUS);
    end(0, FROM(1, 5));
    assert_int_equal(take(0), FROM(2, 5));
    end(0, FROM(2, 5));
    assert_int_equal(take(0), HOST_SPURIOUS);
}

static void test_sgi_sent_again_while_pending_or_active_is_not_lost(void **state)
{
    (void)state;
    write_reg(1, SGIR, 4, TO(1 << 0) | 5);
    settle();
    write_reg(2, SGIR, 4, TO(1 << 0) | 5); /* one is in a list register */
    write_reg(1, SGIR, 4, TO(1 << 0) | 5); /* this one is that */
    assert_int_equal(take(0), FROM(1, 5));
    write_reg(1, SGIR, 4, TO(1 << 0) | 5); /* and this one is not */
    end(0, FROM(1, 5));
    for (u32 n = 0; n < 2; n++) {
        u32 iar = take(0);

        assert_true(iar == FROM(1, 5) || iar == FROM(2, 5));
        end(0, iar);
    }
    assert_int_equal(take(0), HOST_SPURIOUS);
}

static void test_target_filters_name_others_and_self(void **state)
{
    (void)state;
    write_reg(1, SGIR, 4, OTHERS | TO(0xff) | 3);
    assert_int_equal(take(1), HOST_SPURIOUS);
    assert_int_equal(take(0), FROM(1, 3));
    assert_int_equal(take(2), FROM(1, 3));
    write_reg(1, SGIR, 4, SELF | TO(0) | 4);
    assert_int_equal(take(1), FROM(1, 4));
    assert_int_equal(take(0), HOST_SPURIOUS);
    write_reg(1, SGIR, 4, 3U << 24 | TO(0xff) | 6); /* reserved */
    write_reg(1, SGIR, 4, TO(0xf8) | 6);            /* nobody there */
    for (u32 id = 0; id < 3; id++)
        assert_int_equal(take(id), HOST_SPURIOUS);
}

static void test_sgis_are_timed(void **state)
{
    struct latency l;

    (void)state;
    assert_int_equal(vgic_timing_set(&m.vm, true), K_OK);
    host_tick_hz_set(1000000000);
    host_clock_set(1000);
    write_reg(2, SGIR, 4, TO(1 << 1) | 5);
    host_clock_advance(40);
    end(1, take(1));
    assert_true(vgic_timing_get(&m.vm, VGIC_IPI, &l));
    assert_int_equal(l.count, 1);
    assert_int_equal(l.max_ns, 40);
}

static void test_senders_are_shown_set_and_cleared(void **state)
{
    (void)state;
    write_reg(0, SPENDSGIR + 4, 4, 0xff03); /* SGI 4 from 0 and 1; SGI 5 from all there are */
    settle();
    assert_int_equal(read_reg(0, SPENDSGIR + 4, 4), 0x0703);
    assert_int_equal(read_reg(0, CPENDSGIR + 5, 1), 0x07);
    assert_int_equal(read_reg(1, SPENDSGIR + 4, 4), 0); /* each vCPU has its own */
    write_reg(0, CPENDSGIR + 4, 1, 0xff);
    write_reg(0, CPENDSGIR + 5, 1, 0x05);
    assert_int_equal(read_reg(0, SPENDSGIR + 4, 4), 0x0200);
    assert_int_equal(read_reg(0, ISPENDR, 4), 1 << 5);
    assert_int_equal(take(0), FROM(1, 5));
    end(0, FROM(1, 5));
    assert_int_equal(take(0), HOST_SPURIOUS);
}

static void test_sgis_ignore_registers_that_do_not_tell_senders(void **state)
{
    (void)state;
    write_reg(0, ISPENDR, 4, 0xffff);
    assert_int_equal(read_reg(0, ISPENDR, 4), 0);
    write_reg(1, SGIR, 4, TO(1) | 2);
    settle();
    write_reg(0, ICPENDR, 4, 0xffff);
    write_reg(0, ICENABLER, 4, 0xffffffff);
    assert_int_equal(read_reg(0, ISENABLER, 4), 0xffff); /* always enabled */
    assert_int_equal(take(0), FROM(1, 2));
}

static void test_sgi_survives_being_switched_off_by_its_group(void **state)
{
    (void)state;
    write_reg(2, SGIR, 4, TO(1) | 2);
    settle();
    write_reg(0, 0, 4, 0); /* out of its list register */
    assert_int_equal(read_reg(0, SPENDSGIR + 2, 1), 1 << 2);
    write_reg(0, 0, 4, 1);
    assert_int_equal(take(0), FROM(2, 2));
}

/* The one vCPU that takes it, or 3. */
static u32 taken_by(u32 intid)
{
    u32 by = 3;

    for (u32 id = 0; id < 3; id++) {
        if (take(id) != intid)
            continue;
        assert_int_equal(by, 3);
        by = id;
    }
    if (by < 3)
        end(by, intid);
    return by;
}

static void open_interface(u32 id, bool open)
{
    on_cpu_of(id);
    host_gich()->vmcr = open ? VMCR_ALL : VMCR_ALL & ~(VMCR_VENG0 | VMCR_VENG1);
    settle();
}

static void test_spi_goes_to_any_one_of_its_targets(void **state)
{
    u32 seen = 0;

    (void)state;
    write_reg(0, ITARGETSR + 40, 1, 0xfe);
    assert_int_equal(read_reg(0, ITARGETSR + 40, 1), 0x06); /* of those that there are */
    for (u32 n = 0; n < 8; n++) {
        vgic_spi_pulse(&m.vm, 40);
        seen |= 1U << taken_by(40);
    }
    assert_int_equal(seen & ~6U, 0);
    vcpu(2)->power = VCPU_OFF;
    vgic_spi_pulse(&m.vm, 40);
    assert_int_equal(taken_by(40), 1);
    vcpu(2)->power = VCPU_ON;
}

static void test_spi_goes_to_a_target_whose_interface_is_open(void **state)
{
    (void)state;
    write_reg(0, ITARGETSR + 40, 1, 6);
    settle();
    open_interface(1, false);
    for (u32 n = 0; n < 4; n++) {
        vgic_spi_pulse(&m.vm, 40);
        assert_int_equal(taken_by(40), 2);
    }
    vgic_spi_pulse(&m.vm, 40);
    settle();
    open_interface(2, false); /* it has it, and closes */
    open_interface(1, true);
    assert_int_equal(taken_by(40), 1);
    open_interface(1, false);
    vgic_spi_pulse(&m.vm, 40);
    assert_int_equal(taken_by(40), 3);
    open_interface(2, true);
    assert_int_equal(taken_by(40), 2);
}

static void test_pending_spi_follows_its_targets(void **state)
{
    (void)state;
    open_interface(2, false);
    write_reg(0, ITARGETSR + 40, 1, 6);
    vgic_spi_pulse(&m.vm, 40);
    settle(); /* in a list register of 1 */
    write_reg(0, ITARGETSR + 40, 1, 5);
    assert_int_equal(taken_by(40), 0);
    open_interface(0, false);
    vgic_spi_pulse(&m.vm, 40);
    settle();
    write_reg(0, ITARGETSR + 40, 1, 7);
    assert_int_equal(taken_by(40), 1);
    write_reg(0, ITARGETSR + 40, 1, 2);
    vgic_spi_pulse(&m.vm, 40);
    assert_int_equal(taken_by(40), 1);
}

static void test_spi_without_a_target_waits_for_one(void **state)
{
    (void)state;
    vgic_spi_pulse(&m.vm, 41);
    for (u32 id = 0; id < 3; id++)
        assert_int_equal(take(id), HOST_SPURIOUS);
    write_reg(0, ITARGETSR + 40, 4, 1 << 2 << 8); /* a word of four */
    assert_int_equal(take(2), 41);
}

static void test_pending_spi_follows_its_target(void **state)
{
    (void)state;
    write_reg(0, ITARGETSR + 42, 1, 1 << 1);
    vgic_spi_pulse(&m.vm, 42);
    settle();
    write_reg(0, ITARGETSR + 42, 1, 1 << 2);
    assert_int_equal(take(1), HOST_SPURIOUS);
    assert_int_equal(take(2), 42);
}

static void test_private_interrupts_target_the_reader(void **state)
{
    (void)state;
    assert_int_equal(read_reg(2, ITARGETSR, 4), 0x04040404);
    write_reg(2, ITARGETSR + 28, 4, 0xffffffff);
    assert_int_equal(read_reg(1, ITARGETSR + 28, 4), 0x02020202);
}

static void test_only_cpu_gets_spis_without_being_named(void **state)
{
    (void)state;
    machine_end();
    make(1, 4);
    vgic_spi_pulse(&m.vm, 50);
    assert_int_equal(take(0), 50);
}

static void test_many_sgis_pass_through_one_list_register(void **state)
{
    (void)state;
    machine_end();
    make(3, 1);
    for (u32 sgi = 0; sgi < 16; sgi++)
        for (u32 sender = 0; sender < 3; sender++)
            write_reg(sender, SGIR, 4, TO(1) | sgi);
    for (u32 n = 0, seen[3] = { 0 }; n < 48; n++) {
        u32 iar = take(0);

        assert_int_not_equal(iar, HOST_SPURIOUS);
        assert_false(seen[iar >> 10] >> (iar & 15) & 1);
        seen[iar >> 10] |= 1U << (iar & 15);
        end(0, iar);
    }
    assert_int_equal(take(0), HOST_SPURIOUS);
}

static void test_reset_forgets_senders_and_targets(void **state)
{
    (void)state;
    write_reg(1, SGIR, 4, TO(1) | 2);
    write_reg(0, ITARGETSR + 40, 1, 1);
    for (u32 id = 0; id < 3; id++)
        stop(id);
    vgic_reset(&m.vm);
    for (u32 id = 0; id < 3; id++)
        start(id, id);
    assert_int_equal(read_reg(0, SPENDSGIR, 4), 0);
    assert_int_equal(read_reg(0, ITARGETSR + 40, 1), 0);
}

static void test_list_register_forms_translate_both_ways(void **state)
{
    static const struct {
        u64 ich;
        u32 gich;
    } pairs[] = {
        { 0, 0 },
        { LR_PENDING | LR_VINTID(40) | LR_PRIORITY(0xa0), 0x10000000 | 20U << 23 | 40 },
        { LR_ACTIVE | LR_VINTID(5) | LR_SOURCE(7) | LR_EOI, 0x20000000 | 1 << 19 | 7 << 10 | 5 },
        { LR_STATE | LR_VINTID(1019) | LR_GROUP1 | LR_PRIORITY(0xf8), 0x70000000 | 31U << 23 | 1019 },
        { LR_PENDING | LR_HW | LR_VINTID(27) | LR_PINTID(30), 0x90000000 | 30 << 10 | 27 },
        { LR_HW | LR_PINTID(1019), 0x80000000 | 1019 << 10 },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_int_equal(gich2_lr_encode(pairs[i].ich), pairs[i].gich);
        assert_int_equal(gich2_lr_decode(pairs[i].gich), pairs[i].ich);
    }
    assert_int_equal(gich2_lr_encode(LR_PRIORITY(0xff)), 31U << 23); /* five bits */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_register_table_is_valid),
        TEST(test_distributor_describes_itself),
        TEST(test_sgi_names_its_sender),
        TEST(test_sgi_is_pending_once_for_each_sender),
        TEST(test_sgi_sent_again_while_pending_or_active_is_not_lost),
        TEST(test_target_filters_name_others_and_self),
        TEST(test_sgis_are_timed),
        TEST(test_senders_are_shown_set_and_cleared),
        TEST(test_sgis_ignore_registers_that_do_not_tell_senders),
        TEST(test_sgi_survives_being_switched_off_by_its_group),
        TEST(test_spi_goes_to_any_one_of_its_targets),
        TEST(test_spi_goes_to_a_target_whose_interface_is_open),
        TEST(test_pending_spi_follows_its_targets),
        TEST(test_spi_without_a_target_waits_for_one),
        TEST(test_pending_spi_follows_its_target),
        TEST(test_private_interrupts_target_the_reader),
        TEST(test_only_cpu_gets_spis_without_being_named),
        TEST(test_many_sgis_pass_through_one_list_register),
        TEST(test_reset_forgets_senders_and_targets),
        TEST(test_list_register_forms_translate_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
