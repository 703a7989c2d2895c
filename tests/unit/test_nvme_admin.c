/* SPDX-License-Identifier: Apache-2.0 */
/* Boot and reset of a controller, and those that it must be left alone for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/time.h"
#include "core/timer.h"
#include "tests/unit/test_nvme_machine.h"

static const struct nvme_command *wrong; /* NULL: all; else only such a one */
static struct answer wrong_answer;

static int setup(void **state)
{
    (void)state;
    wrong = NULL;
    machine_up();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_down();
    return 0;
}

static void answer_wrong(const struct nvme_command *c, u8 *page, struct answer *a)
{
    answer_well(c, page, a);
    if ((u8)c->dw0 == (u8)wrong->dw0 && ((u8)c->dw0 != NVME_IDENTIFY || c->dw10 == wrong->dw10))
        *a = wrong_answer;
}

static u32 count(u8 op)
{
    u32 found = 0;

    for (u32 i = 0; i < commands; i++)
        found += (u8)last[i].dw0 == op;
    return found;
}

static void test_a_controller_becomes_a_disk(void **state)
{
    const struct block_device *d;

    (void)state;
    assert_int_equal(probe(), K_OK);
    d = &n->host.disk.dev;
    assert_string_equal(added->serial, "serial-1");
    assert_string_equal(added->name, "pci-00:02.0");
    assert_int_equal(d->sectors, 8000);
    assert_int_equal(d->unit, 4096);
    assert_int_equal(d->max_sectors, 256);
    assert_true(d->has_discard);
    assert_false(d->has_write_zeroes);
    assert_false(n->host.no_flush);
    assert_int_equal(n->nsid, 5);
    assert_int_equal(n->host.queues, 3); /* as many as messages */
    assert_int_equal(count(NVME_CREATE_SQ), 3);
    assert_int_equal(count(NVME_CREATE_CQ), 3);
}

static void test_fewer_queues_than_asked_for_are_enough(void **state)
{
    const struct nvme_command c = { .dw0 = NVME_SET_FEATURES };

    (void)state;
    wrong = &c;
    wrong_answer = (struct answer){ .result = 7 | 1 << 16 };
    answering = answer_wrong;
    assert_int_equal(probe(), K_OK);
    assert_int_equal(n->host.queues, 2);
    wrong_answer.result = 0; /* later it has fewer than are in use */
    n->host.ops->stop(&n->host);
    assert_int_equal(n->host.ops->restart(&n->host), K_IO);
    assert_int_equal(master, 0);
}

static void test_any_command_that_fails_or_is_not_answered_is_the_end(void **state)
{
    static const struct nvme_command each[] = {
        { .dw0 = NVME_IDENTIFY, .dw10 = 0 }, { .dw0 = NVME_IDENTIFY, .dw10 = 1 },
        { .dw0 = NVME_IDENTIFY, .dw10 = 2 }, { .dw0 = NVME_SET_FEATURES },
        { .dw0 = NVME_CREATE_CQ },           { .dw0 = NVME_CREATE_SQ },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(each); i++) {
        for (u32 none = 0; none < 2; none++) {
            machine_up();
            wrong = &each[i];
            wrong_answer = (struct answer){ .none = none != 0, .status = 2 };
            answering = answer_wrong;
            assert_int_equal(probe(), none != 0 ? K_TIMEOUT : K_IO);
            assert_null(added);
            machine_down();
        }
    }
}

static void answer_metadata(const struct nvme_command *c, u8 *page, struct answer *a)
{
    answer_well(c, page, a);
    if ((u8)c->dw0 == NVME_IDENTIFY && c->dw10 == 0)
        page[128 + 4] = 8;
}

static void answer_nowhere(const struct nvme_command *c, u8 *page, struct answer *a)
{
    answer_well(c, page, a);
    if ((u8)c->dw0 == NVME_IDENTIFY && c->dw10 == 2)
        page[0] = 0;
}

static void answer_unusually(const struct nvme_command *c, u8 *page, struct answer *a)
{
    answer_well(c, page, a);
    a->status = 0x2000; /* there is more to know, but no error */
    if ((u8)c->dw0 != NVME_IDENTIFY || c->dw10 != 0)
        return;
    page[26] = 0x21; /* format 17 */
    page[99] = 1;
    page[128 + 4 + 2] = 0;
    page[128 + 17 * 4 + 2] = 9;
}

static void test_an_old_controller_a_late_format_and_write_protection_are_understood(void **state)
{
    (void)state;
    *reg(NVME_CC) = *reg(NVME_CSTS) = 1; /* as firmware left it */
    *reg(NVME_VERSION) = 0x10000;
    answering = answer_unusually;
    assert_int_equal(probe(), K_OK);
    assert_int_equal(n->nsid, 1);
    assert_int_equal(count(NVME_IDENTIFY), 2); /* there was no list of namespaces */
    assert_int_equal(n->host.disk.dev.unit, 512);
    assert_true(n->host.disk.dev.read_only);
}

static void test_what_the_driver_cannot_serve_is_left_alone(void **state)
{
    (void)state;
    answering = answer_metadata;
    assert_int_equal(probe(), K_UNSUPPORTED);
    machine_down();
    machine_up();
    answering = answer_nowhere;
    assert_int_equal(probe(), K_UNSUPPORTED);
    machine_down();
    machine_up();
    *reg(NVME_CAP + 4) = 0; /* another command set */
    assert_int_equal(probe(), K_UNSUPPORTED);
    machine_down();
    machine_up();
    *reg(NVME_CAP + 4) |= 1 << 16; /* pages of 8 KiB at least */
    assert_int_equal(probe(), K_UNSUPPORTED);
    assert_int_equal(commands, 0);
}

static void test_one_that_is_gone_or_never_ready_is_given_up_in_time(void **state)
{
    (void)state;
    *reg(NVME_CSTS) = 0xffffffff;
    assert_int_equal(probe(), K_IO);
    machine_down();
    machine_up();
    *reg(NVME_CSTS) = 1;
    deaf = true;
    assert_int_equal(probe(), K_TIMEOUT);
}

static void test_a_reset_makes_the_queues_again_in_the_same_memory(void **state)
{
    u64 at[6];
    u32 made = 0, before;

    (void)state;
    assert_int_equal(probe(), K_OK);
    for (u32 i = 0; i < commands; i++)
        if ((u8)last[i].dw0 == NVME_CREATE_SQ || (u8)last[i].dw0 == NVME_CREATE_CQ)
            at[made++] = last[i].prp1;
    n->broken = 1;
    before = objects;
    commands = 0;
    n->host.ops->stop(&n->host);
    assert_int_equal(*reg(NVME_CC) & 1, 0);
    assert_int_equal(n->host.ops->restart(&n->host), K_OK);
    assert_int_equal(objects, before);
    assert_int_equal(n->broken, 0);
    assert_int_equal(commands, 7);
    for (u32 i = 0; i < 6; i++)
        assert_int_equal(last[1 + i].prp1, at[i]);
}

static void test_one_that_does_not_stop_loses_its_access_to_memory(void **state)
{
    (void)state;
    assert_int_equal(probe(), K_OK);
    deaf = true;
    n->host.ops->stop(&n->host);
    assert_int_equal(master, 0);
    assert_int_equal(n->host.ops->restart(&n->host), K_TIMEOUT);
    assert_int_equal(master, 0);
    deaf = false;
    assert_int_equal(n->host.ops->restart(&n->host), K_OK);
    assert_int_equal(master, 1);
}

static void test_a_wire_stays_low_while_commands_are_polled(void **state)
{
    (void)state;
    pci.msi = NULL;
    vectors = 1;
    assert_int_equal(probe(), K_OK);
    n->host.ops->silence(&n->host);
    n->host.ops->stop(&n->host);
    assert_int_equal(n->host.ops->restart(&n->host), K_OK); /* a reset, which forgets what was masked */
    assert_int_not_equal(commands, 0);
    assert_int_equal(loud, 0);
}

static u64 seconds_to_shut_down(void)
{
    u64 begun = arch_ticks();

    n->host.ops->shut_down(&n->host);
    return (arch_ticks() - begun) / time_ns_to_ticks(1000000000UL);
}

static void answer_slow_end(const struct nvme_command *c, u8 *page, struct answer *a)
{
    static const u32 us = 20000000;

    answer_well(c, page, a);
    if ((u8)c->dw0 == NVME_IDENTIFY && c->dw10 == 1)
        memcpy(page + 88, &us, sizeof(us));
}

static void test_it_is_told_of_the_end_and_waited_for_but_not_for_ever(void **state)
{
    (void)state;
    assert_int_equal(probe(), K_OK);
    assert_int_equal(seconds_to_shut_down(), 1);
    assert_int_equal(*reg(NVME_CSTS) >> 2 & 3, 2);
    assert_int_equal(*reg(NVME_CC) & 1, 1);
    *reg(NVME_CSTS) = 1;
    deaf = true;
    assert_int_equal(seconds_to_shut_down(), 5);
    *reg(NVME_CSTS) = 0xffffffff;
    assert_int_equal(seconds_to_shut_down(), 0);
    machine_down();
    machine_up();
    answering = answer_slow_end;
    assert_int_equal(probe(), K_OK);
    deaf = true;
    assert_int_equal(seconds_to_shut_down(), 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_controller_becomes_a_disk),
        T(test_fewer_queues_than_asked_for_are_enough),
        T(test_any_command_that_fails_or_is_not_answered_is_the_end),
        T(test_an_old_controller_a_late_format_and_write_protection_are_understood),
        T(test_what_the_driver_cannot_serve_is_left_alone),
        T(test_one_that_is_gone_or_never_ready_is_given_up_in_time),
        T(test_a_reset_makes_the_queues_again_in_the_same_memory),
        T(test_one_that_does_not_stop_loses_its_access_to_memory),
        T(test_a_wire_stays_low_while_commands_are_polled),
        T(test_it_is_told_of_the_end_and_waited_for_but_not_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
