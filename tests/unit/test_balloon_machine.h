/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with a balloon, whose memory is said to be given on first touch: what the device takes is noted, and nothing
 * goes. For its unit test and its fuzz target. */
#ifndef TESTS_UNIT_TEST_BALLOON_MACHINE_H
#define TESTS_UNIT_TEST_BALLOON_MACHINE_H

#include "core/vm_retire.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/balloon.h"
#include "vdev/virtio/balloon.h"

#define RAM_PAGES 0x20000UL /* as the balloon knows it: from DRIVER_RAM_BASE on */
#define TAKEN_MAX 4096U

static struct vm_retire retire;
static struct vm_extent retire_extent;
static u16 retire_pins[RAM_PAGES * PAGE_SIZE / SZ_2M];
static struct {
    u64 gpa, size;
} taken[TAKEN_MAX];
static u32 taken_count;
static u32 room, room_each; /* calls that vm_retire() obeys before it wants the next vm_retire_finish() */
static u32 visitors;        /* so often somebody still looks */
static enum kerr init_result;

enum kerr vm_retire_init(struct vm *vm)
{
    retire_extent =
        (struct vm_extent){ .gpa = GPA(DRIVER_RAM_BASE), .size = RAM_PAGES * PAGE_SIZE, .map = (void *)1 };
    retire = (struct vm_retire){ .x = &retire_extent, .pins = retire_pins };
    memset(retire_pins, 0, sizeof(retire_pins));
    vm->retire = &retire;
    spin_init(&vm->lock, LOCK_RANK_VM);
    taken_count = 0;
    room = room_each = ~0U;
    visitors = 0;
    return init_result;
}

u64 vm_retire(struct vm *vm, gpa_t gpa, u64 size)
{
    if (vm != &ring.vm || size == 0 || ((gpa.v | size) & (PAGE_SIZE - 1)) != 0 || gpa.v + size < gpa.v ||
        arch_irqs_masked())
        abort();
    if (room == 0)
        return 0;
    room--;
    size = size < SZ_2M ? size : SZ_2M;
    taken[taken_count % TAKEN_MAX].gpa = gpa.v;
    taken[taken_count++ % TAKEN_MAX].size = size;
    return size;
}

bool vm_retire_finish(struct vm *vm)
{
    (void)vm;
    if (visitors != 0) {
        visitors--;
        return false;
    }
    room = room_each;
    return true;
}

u64 vm_retire_pages(const struct vm *vm)
{
    (void)vm;
    return taken_count;
}

static inline u32 pins(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < ARRAY_SIZE(retire_pins); i++)
        sum += retire_pins[i];
    return sum;
}

#endif
