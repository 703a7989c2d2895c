/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test_virtio_driver.h"

#include <cmocka.h>

static struct ring_driver d;
static struct vq_chain c;

/* Every test that takes `state` runs for both kinds of rings. */
static bool packed_ring(void **state) { return *state != NULL; }

static int split(void **state)
{
    *state = NULL;
    return 0;
}

static int packed(void **state)
{
    static int yes;

    *state = &yes;
    return 0;
}

static void start(void **state, u32 size, bool event_idx)
{
    assert_int_equal(driver_start(&d, packed_ring(state), size, event_idx), K_OK);
}

static void test_an_empty_ring_has_nothing(void **state)
{
    start(state, 8, false);
    assert_int_equal(vq_pop(&d.vq, &c), K_NOENT);
    assert_false(vq_publish(&d.vq));
}

static void test_a_chain_comes_as_it_was_offered_and_goes_back(void **state)
{
    u16 id = 99;
    u32 len = 0;
    char text[8] = { 0 };

    start(state, 8, false);
    driver_offer(&d, 2, 2, 1, 4, false);
    memcpy(ram_at(&d, DRIVER_BUFFERS + 512), "abcdefgh", 8);
    assert_int_equal(vq_pop(&d.vq, &c), K_OK);
    assert_int_equal(c.reads, 2);
    assert_int_equal(c.writes, 1);
    assert_int_equal(c.read_len, 8);
    assert_int_equal(c.write_len, 4);
    assert_int_equal(vq_copy_out(&d.vq, &c, 1, text, 6), K_OK);
    assert_memory_equal(text, "bcdefg", 6);
    assert_int_equal(vq_copy_in(&d.vq, &c, 1, "XY", 2), K_OK);
    assert_memory_equal((char *)ram_at(&d, DRIVER_BUFFERS + 512 + 9), "XY", 2);
    assert_int_equal(vq_copy_out(&d.vq, &c, 4, text, 5), K_RANGE);
    assert_int_equal(vq_copy_in(&d.vq, &c, 3, text, 2), K_RANGE);
    vq_push(&d.vq, &c, 3);
    assert_true(vq_publish(&d.vq));
    assert_true(driver_take(&d, &id, &len));
    assert_int_equal(id, 2);
    assert_int_equal(len, 3);
    assert_false(driver_take(&d, &id, &len));
}

static void test_an_indirect_table_is_one_entry_of_the_ring(void **state)
{
    start(state, 4, false);
    driver_offer(&d, 1, 3, 5, 16, true);
    assert_int_equal(vq_pop(&d.vq, &c), K_OK);
    assert_int_equal(c.reads, 3);
    assert_int_equal(c.writes, 5);
    assert_int_equal(c.slots, 1);
    assert_int_equal(vq_pop(&d.vq, &c), K_NOENT);
}

static void test_rings_go_round_for_long(void **state)
{
    u32 sizes[] = { 1, 2, 8, 256 };

    for (u32 s = 0; s < 4; s++) {
        start(state, sizes[s], s % 2 != 0);
        for (u32 i = 0; i < 70000; i++) {
            u32 n = sizes[s] >= 8 ? i % 3 + 1 : 1, len = 0;
            u16 id = 99;

            driver_offer(&d, 0, n, 0, 8, i % 5 == 0);
            assert_int_equal(vq_pop(&d.vq, &c), K_OK);
            assert_int_equal(c.reads, n);
            assert_int_equal(vq_pop(&d.vq, &c), K_NOENT);
            vq_push(&d.vq, &c, i);
            (void)vq_publish(&d.vq);
            assert_true(driver_take(&d, &id, &len));
            assert_int_equal(len, i);
        }
    }
}

/* The same ring, on pages that do not lie together for the device: it has them by another mapping, each apart. */
static void scatter(void)
{
    int fd = memfd_create("ram", 0);
    char *apart = mmap(NULL, 2UL * DRIVER_RAM_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct vq_layout layout = driver_layout(&d);

    assert_int_equal(ftruncate(fd, DRIVER_RAM_SIZE), 0);
    assert_true(apart != MAP_FAILED);
    assert_ptr_equal(mmap(d.ram, DRIVER_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
                     d.ram);
    for (u32 i = 0; i < DRIVER_RAM_SIZE / PAGE_SIZE; i++) {
        void *page = apart + 2 * i * PAGE_SIZE;

        assert_ptr_equal(
            mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)(i * PAGE_SIZE)),
            page);
        d.vm.extent[i] = (struct vm_extent){ .gpa = GPA(d.base + i * PAGE_SIZE),
                                             .hpa = ptr_to_hpa(page),
                                             .size = PAGE_SIZE };
    }
    d.vm.extent_count = DRIVER_RAM_SIZE / PAGE_SIZE;
    d.vm.recent = NULL;
    close(fd);
    assert_int_equal(vq_enable(&d.vq, &d.vm, &layout), K_OK);
    assert_null(d.vq.desc.flat);
}

static void test_rings_and_tables_on_scattered_pages_are_as_good(void **state)
{
    start(state, 512, true);
    scatter();
    for (u32 i = 0; i < 2000; i++) {
        u32 writes = i % 3, len = 0;
        u16 id = 99;

        driver_offer(&d, (u16)(i % 8), 1, writes, 8, i % 5 != 0);
        if (i % 5 != 0 && i % 2 != 0) { /* the table goes over the end of a page */
            struct ring_desc *e =
                packed_ring(state) ? ring_desc(&d, (d.next + 511U) % 512) : ring_desc(&d, i % 8);
            u32 at = DRIVER_TABLE + 0x2000 - 16;

            memcpy(ram_at(&d, at), ram_at(&d, (u32)(e->addr - d.base)), 48);
            e->addr = d.base + at;
        }
        assert_int_equal(vq_pop(&d.vq, &c), K_OK);
        assert_int_equal(c.reads, 1);
        assert_int_equal(c.writes, writes);
        assert_int_equal(c.seg[writes].gpa.v, d.base + DRIVER_BUFFERS + i % 8 * 256 + writes * 8);
        assert_int_equal(vq_pop(&d.vq, &c), K_NOENT);
        vq_push(&d.vq, &c, i);
        (void)vq_publish(&d.vq);
        assert_true(driver_take(&d, &id, &len));
        assert_int_equal(id, i % 8);
        assert_int_equal(len, i);
    }
}

static void test_chains_may_go_back_in_another_order(void **state)
{
    struct vq_chain first;
    u16 id = 99;
    u32 len;

    start(state, 8, false);
    driver_offer(&d, 0, 1, 0, 8, true);
    driver_offer(&d, 1, 1, 0, 8, true);
    assert_int_equal(vq_pop(&d.vq, &first), K_OK);
    assert_int_equal(vq_pop(&d.vq, &c), K_OK);
    vq_push(&d.vq, &c, 0);
    vq_push(&d.vq, &first, 0);
    assert_true(vq_publish(&d.vq));
    assert_true(driver_take(&d, &id, &len));
    assert_int_equal(id, 1);
    assert_true(driver_take(&d, &id, &len));
    assert_int_equal(id, 0);
}

static void one_round(u16 id)
{
    driver_offer(&d, id, 1, 0, 8, false);
    assert_int_equal(vq_pop(&d.vq, &c), K_OK);
    vq_push(&d.vq, &c, 0);
}

static void test_no_interrupt_where_the_driver_wants_none(void **state)
{
    start(state, 8, false);
    if (packed_ring(state))
        *ring_u16(&d, DRIVER_AREA, 2) = 1;
    else
        *ring_u16(&d, DRIVER_AREA, 0) = 1;
    one_round(0);
    assert_false(vq_publish(&d.vq));
    *ring_u16(&d, DRIVER_AREA, packed_ring(state) ? 2 : 0) = 0;
    one_round(0);
    assert_true(vq_publish(&d.vq));
    assert_false(vq_publish(&d.vq)); /* once */
}

static void test_event_index_delays_the_interrupt_to_the_entry_asked_for(void **state)
{
    start(state, 8, true);
    for (u32 lap = 0; lap < 40; lap++) {
        u32 at = lap * 4 % 8;

        /* The driver wants to hear when the third from now is given back. */
        if (packed_ring(state)) {
            *ring_u16(&d, DRIVER_AREA, 0) = (u16)((at + 2) | (lap / 2 % 2 == 0 ? 0x8000 : 0));
            *ring_u16(&d, DRIVER_AREA, 2) = 2;
        } else {
            *ring_u16(&d, DRIVER_AREA, 4 + 2 * 8) = (u16)(lap * 4 + 2);
        }
        for (u32 i = 0; i < 4; i++) {
            one_round(0);
            assert_int_equal(vq_publish(&d.vq), i == 2);
        }
    }
}

static void test_listening_finds_what_came_meanwhile(void **state)
{
    for (u32 event_idx = 0; event_idx < 2; event_idx++) {
        start(state, 8, event_idx != 0);
        vq_silence(&d.vq);
        assert_false(vq_listen(&d.vq));
        vq_silence(&d.vq);
        driver_offer(&d, 0, 1, 0, 8, false);
        assert_true(vq_listen(&d.vq));
    }
}

static void test_the_driver_is_told_whether_to_notify(void **state)
{
    start(state, 8, false);
    vq_silence(&d.vq);
    assert_int_equal(*ring_u16(&d, DRIVER_DEVICE, packed_ring(state) ? 2 : 0), 1);
    (void)vq_listen(&d.vq);
    assert_int_equal(*ring_u16(&d, DRIVER_DEVICE, packed_ring(state) ? 2 : 0), 0);
    start(state, 8, true);
    one_round(0);
    (void)vq_publish(&d.vq);
    (void)vq_listen(&d.vq);
    if (packed_ring(state)) {
        assert_int_equal(*ring_u16(&d, DRIVER_DEVICE, 0), 0x8001);
        assert_int_equal(*ring_u16(&d, DRIVER_DEVICE, 2), 2);
    } else {
        assert_int_equal(*ring_u16(&d, DRIVER_DEVICE, 4 + 8 * 8), 1);
    }
}

static void expect_broken(void)
{
    assert_int_equal(vq_pop(&d.vq, &c), K_INVAL);
    assert_true(d.vq.broken);
    assert_int_equal(vq_pop(&d.vq, &c), K_INVAL);
    vq_push(&d.vq, &c, 0);
    assert_false(vq_publish(&d.vq));
    assert_false(vq_listen(&d.vq));
}

static void test_a_looping_chain_breaks_the_queue(void **state)
{
    start(state, 256, false);
    driver_offer(&d, 0, 2, 0, 8, false);
    if (packed_ring(state)) {
        for (u32 i = 0; i < 256; i++)
            ring_desc(&d, i)->b = 0x80 | 1;
    } else {
        ring_desc(&d, 1)->a = 1;
        ring_desc(&d, 1)->b = 0;
    }
    expect_broken();
}

static void test_a_readable_buffer_behind_a_writable_one_breaks_the_queue(void **state)
{
    start(state, 8, false);
    driver_offer(&d, 0, 0, 2, 8, false);
    if (packed_ring(state))
        ring_desc(&d, 1)->b &= (u16)~2U;
    else
        ring_desc(&d, 1)->a &= (u16)~2U;
    expect_broken();
}

static void test_a_table_within_a_table_breaks_the_queue(void **state)
{
    struct ring_desc *table = ram_at(&d, DRIVER_TABLE);

    start(state, 8, false);
    driver_offer(&d, 0, 2, 0, 8, true);
    if (packed_ring(state))
        table[1].b |= 4;
    else
        table[1].a |= 4;
    expect_broken();
}

static void test_tables_of_odd_or_no_or_huge_size_break_the_queue(void **state)
{
    u32 lens[] = { 0, 8, 24, 16 * (VQ_SEGMENTS_MAX + 1), 0xfffffff0 };

    for (u32 i = 0; i < 5; i++) {
        struct ring_desc *table = ram_at(&d, DRIVER_TABLE);

        start(state, 8, false);
        driver_offer(&d, 0, 1, 0, 8, true);
        for (u32 j = 1; j < 200; j++) { /* a split table goes on as long as it says */
            table[j] = table[0];
            if (!packed_ring(state)) {
                table[j - 1].a |= 1;
                table[j - 1].b = (u16)j;
            }
        }
        ring_desc(&d, 0)->len = lens[i];
        expect_broken();
    }
}

static void test_tables_and_buffers_outside_of_memory_do_no_harm(void **state)
{
    u64 places[] = { 0, DRIVER_RAM_BASE + DRIVER_RAM_SIZE - 8, ~0UL - 15, ~0UL - 4 };
    char byte[8];

    for (u32 i = 0; i < 4; i++) {
        start(state, 8, false);
        driver_offer(&d, 0, 1, 0, 8, true);
        ring_desc(&d, 0)->addr = places[i];
        expect_broken();
    }
    start(state, 8, false);
    driver_offer(&d, 0, 1, 0, 8, false);
    ring_desc(&d, 0)->addr = 0x1000;
    assert_int_equal(vq_pop(&d.vq, &c), K_OK);
    assert_int_equal(vq_copy_out(&d.vq, &c, 0, byte, 8), K_RANGE);
    start(state, 8, false);
    driver_offer(&d, 0, 1, 0, 8, false);
    ring_desc(&d, 0)->addr = ~0UL - 4; /* wraps */
    expect_broken();
}

static void test_a_split_ring_whose_index_jumps_or_names_no_entry_is_broken(void **state)
{
    (void)state;
    assert_int_equal(driver_start(&d, false, 8, false), K_OK);
    *ring_u16(&d, DRIVER_AREA, 2) = 9;
    expect_broken();
    assert_int_equal(driver_start(&d, false, 8, false), K_OK);
    *ring_u16(&d, DRIVER_AREA, 4) = 8;
    *ring_u16(&d, DRIVER_AREA, 2) = 1;
    expect_broken();
    assert_int_equal(driver_start(&d, false, 8, false), K_OK);
    driver_offer(&d, 0, 2, 0, 8, false);
    ring_desc(&d, 0)->b = 8;
    expect_broken();
}

static void test_impossible_layouts_are_refused(void **state)
{
    struct vq_layout l;

    (void)state;
    assert_int_equal(driver_start(&d, false, 0, false), K_INVAL);
    assert_int_equal(driver_start(&d, false, 3, false), K_INVAL);
    assert_int_equal(driver_start(&d, false, 32768, false), K_INVAL);
    assert_int_equal(driver_start(&d, true, VQ_SIZE_MAX + 1, false), K_INVAL);
    assert_int_equal(driver_start(&d, true, 3, false), K_OK);
    assert_int_equal(driver_start(&d, false, 8, false), K_OK);
    l = driver_layout(&d);
    l.desc.v += 8;
    assert_int_equal(vq_enable(&d.vq, &d.vm, &l), K_INVAL);
    l = driver_layout(&d);
    l.driver.v = DRIVER_RAM_BASE + DRIVER_RAM_SIZE - 2;
    assert_int_equal(vq_enable(&d.vq, &d.vm, &l), K_RANGE);
    l = driver_layout(&d);
    l.device.v = ~0UL - 3;
    assert_int_equal(vq_enable(&d.vq, &d.vm, &l), K_RANGE);
    assert_false(d.vq.enabled);
    assert_int_equal(vq_pop(&d.vq, &c), K_NOENT);
}

#define BOTH(f) cmocka_unit_test_setup(f, split), cmocka_unit_test_setup(f, packed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_an_empty_ring_has_nothing),
        BOTH(test_a_chain_comes_as_it_was_offered_and_goes_back),
        BOTH(test_an_indirect_table_is_one_entry_of_the_ring),
        BOTH(test_rings_go_round_for_long),
        BOTH(test_rings_and_tables_on_scattered_pages_are_as_good),
        BOTH(test_chains_may_go_back_in_another_order),
        BOTH(test_no_interrupt_where_the_driver_wants_none),
        BOTH(test_event_index_delays_the_interrupt_to_the_entry_asked_for),
        BOTH(test_listening_finds_what_came_meanwhile),
        BOTH(test_the_driver_is_told_whether_to_notify),
        BOTH(test_a_looping_chain_breaks_the_queue),
        BOTH(test_a_readable_buffer_behind_a_writable_one_breaks_the_queue),
        BOTH(test_a_table_within_a_table_breaks_the_queue),
        BOTH(test_tables_of_odd_or_no_or_huge_size_break_the_queue),
        BOTH(test_tables_and_buffers_outside_of_memory_do_no_harm),
        cmocka_unit_test(test_a_split_ring_whose_index_jumps_or_names_no_entry_is_broken),
        cmocka_unit_test(test_impossible_layouts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
