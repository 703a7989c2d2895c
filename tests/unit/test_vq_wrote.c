/* SPDX-License-Identifier: Apache-2.0 */
/* What a device wrote is told to who notes writes: of a chain just the bytes that were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "vdev/virtio/queue.h"

static struct vm vm;
static struct vq q;
static struct vq_chain chain;
static u64 noted[8][2];
static u32 notes;

void vcpu_request(struct vcpu *v, u32 work) { (void)v, (void)work; }
void vm_ended(struct vm *which) { (void)which; }

void vm_dirty_note(struct vm *which, gpa_t gpa, u64 size)
{
    assert_ptr_equal(which, &vm);
    noted[notes][0] = gpa.v;
    noted[notes++][1] = size;
}

/* One segment that is read, three that are written. */
static int setup(void **state)
{
    (void)state;
    notes = 0;
    vm.dirty = (struct vm_dirty *)&vm;
    q.vm = &vm;
    chain.reads = 1;
    chain.writes = 3;
    for (u32 i = 0; i < 4; i++) {
        chain.seg[i].gpa = GPA(0x40000000 + i * 0x10000);
        chain.seg[i].len = 0x1000;
    }
    return 0;
}

static void assert_noted(u32 n, u64 gpa, u64 size)
{
    assert_int_equal(noted[n][0], gpa);
    assert_int_equal(noted[n][1], size);
}

static void test_all_that_was_written_is_noted(void **state)
{
    (void)state;
    vq_wrote(&q, &chain, 0x3000);
    assert_int_equal(notes, 3);
    assert_noted(0, 0x40010000, 0x1000);
    assert_noted(2, 0x40030000, 0x1000);
}

static void test_what_lies_behind_is_not(void **state)
{
    (void)state;
    vq_wrote(&q, &chain, 0x1001);
    assert_int_equal(notes, 2);
    assert_noted(1, 0x40020000, 1);
}

static void test_nothing_is_noted_for_nothing_or_without_need(void **state)
{
    (void)state;
    vq_wrote(&q, &chain, 0);
    assert_int_equal(notes, 0);
    vm.dirty = NULL;
    vq_wrote(&q, &chain, 0x3000);
    assert_int_equal(notes, 0);
}

static void test_no_more_is_noted_than_there_is(void **state)
{
    (void)state;
    vq_wrote(&q, &chain, 0x100000); /* a back end that says too much */
    assert_int_equal(notes, 3);
    assert_noted(2, 0x40030000, 0x1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_that_was_written_is_noted, setup),
        cmocka_unit_test_setup(test_what_lies_behind_is_not, setup),
        cmocka_unit_test_setup(test_nothing_is_noted_for_nothing_or_without_need, setup),
        cmocka_unit_test_setup(test_no_more_is_noted_than_there_is, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
