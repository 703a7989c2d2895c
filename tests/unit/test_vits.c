/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "irq/inject/vgic_state.h"
#include "test_its_machine.h"

#define SPURIOUS HOST_SPURIOUS
#define DEVICE 2U
#define EVENT 20U
#define LPI (LPI0 + 7)

static int setup(void **state)
{
    (void)state;
    its_machine_make(2, 4);
    its_set_up();
    *config(LPI) = 0xa0 | 3;
    mapd(DEVICE, ITTS, 8, true);
    mapti(DEVICE, EVENT, LPI, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    its_machine_end();
    return 0;
}

static u32 take(u32 id)
{
    u32 lpi = ack(id, true);

    if (lpi != SPURIOUS)
        eoi(id, true, lpi);
    settle();
    return lpi;
}

static void assert_nobody_has(void)
{
    for (u32 id = 0; id < m.vm.vcpu_count; id++)
        assert_int_equal(take(id), SPURIOUS);
}

/* --- registers --- */

static void test_registers_describe_the_its(void **state)
{
    (void)state;
    assert_int_equal(gits_read(0, 0x4, 4), GIC_IIDR);
    assert_int_equal(gits_read(0, 0x8, 8), 15 << 13 | 15 << 8 | 7 << 4 | 1);
    assert_int_equal(gits_read(0, 0xc, 4), 0);
    assert_int_equal(gits_read(0, 0xffe8, 4), 0x3b);
    assert_int_equal(gits_read(0, GITS_TRANSLATER, 4), 0);
    assert_int_equal(gits_read(0, 0x110, 8), 0); /* two tables */
}

static void test_reset_turns_all_off(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    for (u32 id = 0; id < 2; id++)
        stop(id);
    vgic_reset(&m.vm);
    for (u32 id = 0; id < 2; id++)
        start(id, id);
    assert_int_equal(gits_read(0, GITS_CTLR, 4), 1U << 31);
    assert_int_equal(gits_read(0, GITS_CBASER, 8), 0);
    assert_int_equal(gits_read(0, GITS_BASER0, 8), 1UL << 56 | 7UL << 48 | PAGE_64K);
    assert_int_equal(gits_read(0, GITS_BASER1, 8), 4UL << 56 | 7UL << 48 | PAGE_64K);
    assert_int_equal(gicr_read(0, 1, 0, 4), 2);
    assert_int_equal(gicr_read(0, 1, 0x70, 8), 0);
    assert_int_equal(gicr_read(0, 1, 0x78, 8), 0);
    vits_msi(&m.vm, DEVICE, EVENT);
    settle();
    assert_nobody_has();
    memset(guest_memory, 0, MEM_SIZE);
    queue_end = 0;
    its_set_up(); /* and on again */
    *config(LPI) = 0xa0 | 3;
    mapd(DEVICE, ITTS, 8, true);
    mapti(DEVICE, EVENT, LPI, 1);
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_tables_and_queue_are_fixed_while_enabled(void **state)
{
    u64 cbaser = gits_read(0, GITS_CBASER, 8), baser = gits_read(0, GITS_BASER0, 8);

    (void)state;
    gits_write(0, GITS_CBASER, 8, 0);
    gits_write(0, GITS_BASER0, 8, 0);
    assert_int_equal(gits_read(0, GITS_CBASER, 8), cbaser);
    assert_int_equal(gits_read(0, GITS_BASER0, 8), baser);
    gits_write(0, GITS_CTLR, 4, 0);
    assert_int_equal(gits_read(0, GITS_CTLR, 4), 1U << 31);
    gits_write(0, GITS_CBASER + 4, 4, 0);
    gits_write(0, GITS_BASER0, 8, ~0UL);
    assert_int_equal(gits_read(0, GITS_CBASER, 8), (u32)cbaser);
    assert_int_equal(gits_read(0, GITS_CREADR, 8), 0);
    assert_int_equal(gits_read(0, GITS_BASER0, 8),
                     ~0UL & ~(6UL << 56) & ~(24UL << 48)); /* type, entry size */
}

static void test_lpi_tables_are_fixed_while_lpis_are_enabled(void **state)
{
    u64 prop = gicr_read(0, 0, 0x70, 8), pend = gicr_read(0, 1, 0x78, 8);

    (void)state;
    gicr_write(0, 0, 0x70, 8, 0);
    gicr_write(0, 1, 0x78, 8, 0);
    assert_int_equal(gicr_read(0, 1, 0x70, 8), prop);
    assert_int_equal(gicr_read(0, 1, 0x78, 8), pend);
    lpis_on(0, 1, false);
    gicr_write(0, 1, 0x78, 8, ~0UL);
    assert_int_equal(gicr_read(0, 1, 0x78, 8), 7UL << 56 | 0xfffffffff0000UL | 0xf80);
    gicr_write(0, 0, 0x70, 8, 0); /* vCPU 0 still uses it */
    assert_int_equal(gicr_read(0, 1, 0x70, 8), prop);
    lpis_on(0, 0, false);
    gicr_write(0, 0, 0x70, 8, 0);
    assert_int_equal(gicr_read(0, 1, 0x70, 8), 0);
    lpis_on(0, 0, true); /* no ID bits, no LPIs */
    assert_int_equal(gicr_read(0, 0, 0, 4), 2);
}

/* --- commands --- */

static void test_int_command_raises_the_lpi_on_its_vcpu(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3; i++) { /* the first one fills the cache */
        int_(DEVICE, EVENT);
        assert_int_equal(take(0), SPURIOUS);
        assert_int_equal(take(1), LPI);
    }
    assert_nobody_has();
}

static void test_msi_of_a_device_raises_the_lpi(void **state)
{
    (void)state;
    vits_msi(&m.vm, DEVICE, EVENT);
    settle();
    assert_int_equal(take(1), LPI);
    vits_msi(&m.vm, DEVICE, EVENT + 1);
    vits_msi(&m.vm, DEVICE + 1, EVENT);
    vits_msi(&m.vm, DEVICE + 0x10000, EVENT);
    vits_msi(&m.vm, DEVICE, EVENT + 0x10000);
    settle();
    assert_nobody_has();
}

static void test_write_to_translater_is_from_device_0(void **state)
{
    (void)state;
    gits_write(0, GITS_TRANSLATER, 4, EVENT);
    settle();
    assert_nobody_has();
    mapd(0, ITTS + 0x1000, 8, true);
    mapti(0, EVENT, LPI, 0);
    gits_write(0, GITS_TRANSLATER, 2, EVENT);
    settle();
    assert_int_equal(take(0), LPI);
}

static void test_mapi_uses_the_event_as_lpi(void **state)
{
    (void)state;
    *config(LPI0 + 3) = 3;
    mapd(3, LEVEL2, 14, true);
    mapi(3, LPI0 + 3, 0);
    int_(3, LPI0 + 3);
    assert_int_equal(take(0), LPI0 + 3);
    mapi(3, 5, 0); /* not an LPI */
    int_(3, 5);
    assert_nobody_has();
}

static void test_discard_unmaps_and_forgets_what_is_pending(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    discard(DEVICE, EVENT);
    assert_nobody_has();
    int_(DEVICE, EVENT);
    assert_nobody_has();
    assert_int_equal(*mem64(ITTS + 8 * EVENT), 0);
}

static void test_clear_forgets_what_is_pending(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    clear(DEVICE, EVENT);
    assert_nobody_has();
    stop(1);
    int_(DEVICE, EVENT);
    clear(DEVICE, EVENT);
    start(1, 1);
    settle();
    assert_nobody_has();
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_movi_takes_what_is_pending_along(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    movi(DEVICE, EVENT, 0);
    assert_int_equal(take(1), SPURIOUS);
    assert_int_equal(take(0), LPI);
    int_(DEVICE, EVENT);
    assert_int_equal(take(0), LPI);
    movi(DEVICE, EVENT, 5); /* not mapped */
    int_(DEVICE, EVENT);
    assert_int_equal(take(0), LPI);
}

static void test_movall_moves_what_is_pending(void **state)
{
    (void)state;
    for (u32 i = 0; i < 10; i++) {
        *config(LPI + i) = 3;
        mapti(DEVICE, i, LPI + i, 1);
        int_(DEVICE, i);
    }
    movall(1, 0);
    assert_int_equal(take(1), SPURIOUS);
    for (u32 i = 0; i < 10; i++)
        assert_in_range(take(0), LPI, LPI + 9);
    assert_nobody_has();
    int_(DEVICE, 3); /* what is mapped stays so */
    assert_int_equal(take(1), LPI + 3);
    movall(1, 2);
    movall(2, 1);
    movall(1, 1);
}

/* While the ITS waits for one vCPU's list registers, another vCPU goes on. */
static void enable_meanwhile(struct vcpu *v, u32 work)
{
    if (!(work & WORK_HOLD))
        return;
    m.request = NULL;
    vgic_lpis_enable(vcpu(0), vcpu(1), true);
    vcpu_request(v, work);
}

static void test_movall_to_a_vcpu_that_enables_lpis_only_now(void **state)
{
    (void)state;
    its_machine_end();
    its_machine_make(2, 4);
    its_set_up();
    vgic_lpi_reset(m.vm.vgic); /* as before anybody enabled them */
    gicr_write(0, 0, 0x70, 8, (MEM_BASE + CONFIG) | 15);
    lpis_on(0, 0, true);
    *config(LPI) = 3;
    mapd(DEVICE, ITTS, 8, true);
    mapti(DEVICE, EVENT, LPI, 0);
    int_(DEVICE, EVENT);
    queue(0x0e, 0, 0, 1UL << 16);
    m.request = enable_meanwhile;
    commit(1);
    settle();
    assert_null(m.request);
    assert_int_equal(take(1), LPI);
    assert_nobody_has();
}

static void test_mapc_moves_a_collection(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
    mapc(1, 0, true);
    int_(DEVICE, EVENT);
    assert_int_equal(take(0), LPI);
    mapc(1, 2, true); /* no such vCPU */
    int_(DEVICE, EVENT);
    assert_int_equal(take(0), LPI);
    mapc(1, 0, false);
    int_(DEVICE, EVENT);
    assert_nobody_has();
}

static void test_mapd_replaces_and_unmaps(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
    mapd(DEVICE, ITTS, 8, false);
    int_(DEVICE, EVENT);
    assert_nobody_has();
    mapd(DEVICE, ITTS, 4, true);
    int_(DEVICE, EVENT); /* beyond 16 */
    assert_nobody_has();
    mapd(DEVICE, ITTS, 8, true);
    int_(DEVICE, EVENT); /* its table is still there */
    assert_int_equal(take(1), LPI);
    mapd(DEVICE, ITTS, 17, true); /* more events than there are: as it was */
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_inv_rereads_one_configuration(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
    *config(LPI) = 0xa0 | 2;
    int_(DEVICE, EVENT); /* the old one counts until it is told */
    assert_int_equal(take(1), LPI);
    inv(DEVICE, EVENT);
    int_(DEVICE, EVENT);
    assert_nobody_has();
    *config(LPI) = 0xa0 | 3;
    inv(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_inv_takes_a_disabled_one_back(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    *config(LPI) = 2;
    inv(DEVICE, EVENT);
    assert_nobody_has();
    *config(LPI) = 3;
    invall(1);
    assert_int_equal(take(1), LPI);
}

static void test_invall_rereads_all(void **state)
{
    (void)state;
    for (u32 i = 0; i < 8; i++) {
        mapti(DEVICE, i, LPI0 + 4096 * i + 9, 1);
        int_(DEVICE, i);
    }
    assert_nobody_has();
    for (u32 i = 0; i < 8; i++)
        *config(LPI0 + 4096 * i + 9) = 3;
    invall(5); /* not mapped */
    assert_nobody_has();
    invall(1);
    for (u32 i = 0; i < 8; i++)
        assert_int_equal(take(1) % 4096, 9);
    assert_nobody_has();
}

static void test_what_is_mapped_is_noted_as_written(void **state)
{
    struct vm_dirty *log = (void *)&m;

    (void)state;
    m.vm.dirty = log;
    mapti(DEVICE, EVENT + 1, LPI + 1, 1);
    assert_int_equal(last_noted.v, MEM_BASE + ITTS + (EVENT + 1) * 8UL);
    mapc(1, 0, true);
    assert_int_equal(last_noted.v, MEM_BASE + COLLECTIONS + 8);
    m.vm.dirty = NULL;
}

static void test_unknown_commands_do_nothing(void **state)
{
    (void)state;
    for (u32 code = 0; code < 256; code++)
        if (code == 0 || code == 2 || code == 6 || code == 7 || code > 15)
            command((u64)DEVICE << 32 | code, EVENT, VALID, 0);
    sync_();
    assert_int_equal(gits_read(0, GITS_CREADR, 8), queue_end);
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_mapti_is_refused_where_something_is_out_of_range(void **state)
{
    (void)state;
    mapti(DEVICE, EVENT + 1, 8191, 1);
    mapti(DEVICE, EVENT + 1, 65536, 1);
    mapti(DEVICE, EVENT + 1, LPI, 0x2000); /* the table has 8192 collections */
    mapti(DEVICE, 256, LPI, 1);
    mapti(DEVICE + 1, EVENT + 1, LPI, 1);
    mapti(0x2000, EVENT, LPI, 1);
    for (u32 i = EVENT + 1; i < 512; i++)
        assert_int_equal(*mem64(ITTS + 8UL * i), 0);
}

/* --- tables --- */

static void test_two_level_tables(void **state)
{
    (void)state;
    gits_write(0, GITS_CTLR, 4, 0);
    for (u32 n = 0; n < 2; n++) /* 4 KiB pages, of 512 entries */
        gits_write(0, GITS_BASER0 + 8 * n, 8, (MEM_BASE + DEVICES + 0x1000 * n) | INDIRECT | VALID);
    memset(guest_memory + DEVICES, 0, 0x2000);
    *mem64(DEVICES + 8 * (0x1234 / 512)) = (MEM_BASE + LEVEL2) | VALID;
    *mem64(DEVICES + 8 * (0x5678 / 512)) = MEM_BASE + LEVEL2; /* not valid */
    *mem64(DEVICES + 0x1000) = (MEM_BASE + LEVEL2 + 0x1000) | VALID;
    gits_write(0, GITS_CTLR, 4, 1);
    mapc(3, 0, true);
    mapd(0x1234, ITTS, 8, true);
    mapd(0x5678, ITTS + 0x1000, 8, true);
    mapti(0x1234, 1, LPI, 3);
    mapti(0x5678, 1, LPI, 3);
    int_(0x1234, 1);
    assert_int_equal(take(0), LPI);
    int_(0x5678, 1);
    assert_nobody_has();
    assert_int_equal(*mem64(LEVEL2 + 8 * (0x1234 % 512)) & VALID, VALID);
}

static void test_page_sizes_bound_the_tables(void **state)
{
    static const u32 entries[] = { 0x1000 / 8, 0x4000 / 8, 0x10000 / 8, 0x10000 / 8 };

    (void)state;
    for (u32 page = 0; page < 4; page++) {
        gits_write(0, GITS_CTLR, 4, 0);
        gits_write(0, GITS_BASER0, 8, (MEM_BASE + DEVICES) | (u64)page << 8 | VALID);
        gits_write(0, GITS_CTLR, 4, 1);
        memset(guest_memory + DEVICES, 0, 0x10000);
        *mem64(COLLECTIONS) = VALID;
        mapd(entries[page] - 1, ITTS, 8, true);
        mapd(entries[page], ITTS, 8, true);
        assert_int_equal(*mem64(DEVICES + 8UL * (entries[page] - 1)), VALID | (MEM_BASE + ITTS) | 7);
        assert_int_equal(*mem64(DEVICES + 8UL * entries[page]), page < 2 ? 0 : *mem64(COLLECTIONS));
    }
}

static void test_what_is_not_in_memory_is_not_mapped(void **state)
{
    (void)state;
    command((u64)3 << 32 | 0x08, 7, 0x80000000UL | VALID, 0); /* ITT in no memory */
    mapti(3, EVENT, LPI, 1);
    int_(3, EVENT);
    assert_nobody_has();
    gits_write(0, GITS_CTLR, 4, 0);
    gits_write(0, GITS_BASER0, 8, 0xfff0000000f0UL | INDIRECT | PAGE_64K | VALID);
    gits_write(0, GITS_BASER1, 8, 0x3fff0000UL | PAGE_64K | VALID | 0xff);
    gits_write(0, GITS_CTLR, 4, 1);
    mapd(DEVICE, ITTS, 8, true);
    mapc(1, 1, true);
    int_(DEVICE, EVENT);
    assert_nobody_has();
}

static void test_entries_that_the_guest_forged_are_checked(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4; i++) { /* as no MAPTI would have written them */
        static const u64 forged[] = { 8191UL << 16 | 1, 65536UL << 16 | 1, (u64)LPI << 16 | 0xffff, 1 };

        *mem64(ITTS + 8 * EVENT) = VALID | forged[i];
        gits_write(0, GITS_CTLR, 4, 1); /* out of the cache */
        int_(DEVICE, EVENT);
        clear(DEVICE, EVENT);
        discard(DEVICE, EVENT);
        assert_nobody_has();
    }
    *mem64(ITTS + 8 * EVENT) = VALID | (u64)LPI << 16 | 9;
    *mem64(COLLECTIONS + 8 * 9) = VALID | 77UL << 16; /* vCPU 77 */
    int_(DEVICE, EVENT);
    inv(DEVICE, EVENT);
    movi(DEVICE, EVENT, 9);
    *mem64(DEVICES + 8 * DEVICE) = ~0UL;
    int_(DEVICE, EVENT);
    assert_nobody_has();
}

/* --- queue --- */

static void test_queue_wraps(void **state)
{
    (void)state;
    for (u32 i = 0; i < 0x10000 / 32 + 5; i++)
        sync_();
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_long_queue_is_done_in_batches(void **state)
{
    u64 after_write;

    (void)state;
    queue_end = gits_read(0, GITS_CWRITER, 8);
    for (u32 i = 0; i < 2000; i++)
        queue((u64)DEVICE << 32 | 0x03, EVENT, 0, 0);
    commit(0);
    after_write = gits_read(1, GITS_CREADR, 8);
    assert_true(after_write != queue_end);
    assert_true(vcpu(0)->work & WORK_MORE);
    gits_write(1, GITS_CTLR, 4, 1); /* another vCPU does not take over */
    assert_int_equal(gits_read(1, GITS_CREADR, 8), after_write);
    gits_write(1, GITS_CBASER, 8, 0);
    settle();
    assert_int_equal(gits_read(0, GITS_CREADR, 8), queue_end);
    assert_int_equal(take(1), LPI);
}

static void test_disabling_stops_a_long_queue(void **state)
{
    u64 at;

    (void)state;
    for (u32 i = 0; i < 1000; i++)
        queue(0x05, 0, 0, 0);
    commit(0);
    gits_write(1, GITS_CTLR, 4, 0);
    assert_int_equal(gits_read(1, GITS_CTLR, 4), 0); /* a command may be on its way */
    settle();
    assert_int_equal(gits_read(1, GITS_CTLR, 4), 1U << 31);
    at = gits_read(0, GITS_CREADR, 8);
    assert_true(at != queue_end);
    gits_write(1, GITS_CTLR, 4, 1);
    settle();
    assert_int_equal(gits_read(0, GITS_CREADR, 8), queue_end);
}

static void test_queue_outside_of_memory_stalls(void **state)
{
    (void)state;
    gits_write(0, GITS_CTLR, 4, 0);
    gits_write(0, GITS_CBASER, 8, (MEM_BASE + MEM_SIZE - 0x10000) | VALID | 31);
    gits_write(0, GITS_CTLR, 4, 1);
    gits_write(0, GITS_CWRITER, 8, 0x18000);
    settle();
    assert_int_equal(gits_read(0, GITS_CREADR, 8), 0x10001); /* the end of memory, Stalled */
    gits_write(0, GITS_CWRITER, 8, 0x18000);
    assert_int_equal(gits_read(0, GITS_CREADR, 8), 0x10001);
    guest_memory_size -= 0x10000; /* it stays without; then it tries again */
    gits_write(0, GITS_CWRITER, 8, 0x18001);
    assert_int_equal(gits_read(0, GITS_CREADR, 8), 0x10001);
    guest_memory_size += 0x10000;
}

static void test_offset_beyond_the_queue_does_nothing(void **state)
{
    u64 at = gits_read(0, GITS_CREADR, 8);

    (void)state;
    gits_write(0, GITS_CWRITER, 8, 0x10000);
    settle();
    assert_int_equal(gits_read(0, GITS_CREADR, 8), at);
    gits_write(0, GITS_CWRITER, 4, (u32)at);
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
}

static void test_disabled_its_does_nothing(void **state)
{
    (void)state;
    int_(DEVICE, EVENT);
    assert_int_equal(take(1), LPI);
    gits_write(0, GITS_CTLR, 4, 0);
    int_(DEVICE, EVENT);
    vits_msi(&m.vm, DEVICE, EVENT);
    settle();
    assert_nobody_has();
    gits_write(0, GITS_CTLR, 4, 1);
    settle();
    assert_int_equal(take(1), LPI); /* the command was still in the queue */
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers_describe_the_its),
        TEST(test_reset_turns_all_off),
        TEST(test_tables_and_queue_are_fixed_while_enabled),
        TEST(test_lpi_tables_are_fixed_while_lpis_are_enabled),
        TEST(test_int_command_raises_the_lpi_on_its_vcpu),
        TEST(test_msi_of_a_device_raises_the_lpi),
        TEST(test_write_to_translater_is_from_device_0),
        TEST(test_mapi_uses_the_event_as_lpi),
        TEST(test_discard_unmaps_and_forgets_what_is_pending),
        TEST(test_clear_forgets_what_is_pending),
        TEST(test_movi_takes_what_is_pending_along),
        TEST(test_movall_moves_what_is_pending),
        TEST(test_movall_to_a_vcpu_that_enables_lpis_only_now),
        TEST(test_what_is_mapped_is_noted_as_written),
        TEST(test_mapc_moves_a_collection),
        TEST(test_mapd_replaces_and_unmaps),
        TEST(test_inv_rereads_one_configuration),
        TEST(test_inv_takes_a_disabled_one_back),
        TEST(test_invall_rereads_all),
        TEST(test_unknown_commands_do_nothing),
        TEST(test_mapti_is_refused_where_something_is_out_of_range),
        TEST(test_two_level_tables),
        TEST(test_page_sizes_bound_the_tables),
        TEST(test_what_is_not_in_memory_is_not_mapped),
        TEST(test_entries_that_the_guest_forged_are_checked),
        TEST(test_queue_wraps),
        TEST(test_long_queue_is_done_in_batches),
        TEST(test_disabling_stops_a_long_queue),
        TEST(test_queue_outside_of_memory_stalls),
        TEST(test_offset_beyond_the_queue_does_nothing),
        TEST(test_disabled_its_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
