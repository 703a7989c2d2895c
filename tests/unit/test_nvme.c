/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as commands, and what a controller answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/log.h"
#include "drivers/nvme/internal.h"

#define ENTRIES 8U
#define PAGES 70U

static struct nvme n;
static ALIGNED(4096) struct nvme_command sq[ENTRIES];
static ALIGNED(4096) struct nvme_completion cq[ENTRIES];
static ALIGNED(4096) u64 lists[DISK_TAGS_MAX * NVME_LIST_ENTRIES];
static ALIGNED(4096) u8 memory[PAGES * 4096];
static u32 doorbells[2];
static u32 failures, answers;
static enum kerr last_result;

bool disk_complete(struct disk_queue *q, u32 tag, enum kerr result)
{
    if (tag >= q->tags || q->tag[tag].request == NULL)
        return false;
    q->tag[tag].request = NULL;
    last_result = result;
    answers++;
    return true;
}

void disk_host_failed(void) { failures++; }

static int setup(void **state)
{
    (void)state;
    memset(&n, 0, sizeof(n));
    memset(sq, 0, sizeof(sq));
    memset(cq, 0, sizeof(cq));
    n.host.coherent = true;
    n.host.queues = 1;
    n.host.queue[0].host = &n.host;
    n.host.queue[0].tags = ENTRIES - 1;
    n.nsid = 3;
    n.io[0] = (struct nvme_queue){ .id = 1,
                                   .entries = ENTRIES,
                                   .sq = sq,
                                   .cq = cq,
                                   .phase = 1,
                                   .sq_doorbell = (uintptr_t)&doorbells[0],
                                   .cq_doorbell = (uintptr_t)&doorbells[1] };
    n.lists[0] = lists;
    failures = answers = 0;
    return 0;
}

static const struct nvme_command *start(u32 tag, enum block_op op, u64 sector, u64 sectors,
                                        const struct block_vec *vec, u32 vecs)
{
    static struct block_request r[ENTRIES];
    u32 at = n.io[0].tail;

    r[tag] =
        (struct block_request){ .op = op, .sector = sector, .sectors = sectors, .vec = vec, .vecs = vecs };
    n.host.queue[0].tag[tag].request = &r[tag];
    assert_int_equal(nvme_start(&n.host.queue[0], tag), K_OK);
    return &sq[at];
}

static void answer(u32 at, u16 command, u16 status, u16 phase)
{
    cq[at].command = command;
    cq[at].status = (u16)(status << 1 | phase);
}

static struct block_vec vec_at(u64 offset, u32 len)
{
    return (struct block_vec){ ptr_to_hpa(memory + offset), len };
}

static void test_a_request_becomes_a_command_in_the_namespaces_blocks(void **state)
{
    struct block_vec v = vec_at(512, 4096);
    const struct nvme_command *c;

    (void)state;
    n.unit_shift = 3;
    c = start(2, BLOCK_WRITE, 80, 8, &v, 1);
    assert_int_equal(c->dw0, 2 << 16 | 1);
    assert_int_equal(c->nsid, 3);
    assert_int_equal(c->dw10, 10);
    assert_int_equal(c->dw12, 0);
    assert_int_equal(c->prp1, v.addr.v);
    assert_int_equal(c->prp2, (uintptr_t)memory + 4096); /* the rest */
    assert_int_equal(start(1, BLOCK_FLUSH, 0, 0, NULL, 0)->dw0, 1 << 16);
    nvme_kick(&n.host.queue[0]);
    assert_int_equal(doorbells[0], 2);
}

static void test_many_pages_go_by_a_list(void **state)
{
    struct block_vec v[] = { vec_at(0, 8192), vec_at(5 * 4096, 4096) };
    struct block_vec large = vec_at(4096 - 512, 64 * 4096);
    const struct nvme_command *c;

    (void)state;
    c = start(1, BLOCK_READ, 0, 24, v, 2);
    assert_int_equal(c->prp1, (uintptr_t)memory);
    assert_int_equal(c->prp2, (uintptr_t)(lists + NVME_LIST_ENTRIES));
    assert_int_equal(lists[NVME_LIST_ENTRIES], (uintptr_t)memory + 4096);
    assert_int_equal(lists[NVME_LIST_ENTRIES + 1], (uintptr_t)memory + 5 * 4096);
    c = start(0, BLOCK_READ, 0, 512, &large, 1); /* as much as there may be, at the worst place */
    assert_int_equal(lists[63], (uintptr_t)memory + 64 * 4096);
}

static void test_memory_that_lists_cannot_say_is_refused(void **state)
{
    const struct block_vec v[][2] = { { vec_at(100, 700), vec_at(12288, 324) },
                                      { vec_at(4096, 4096), vec_at(12800, 512) },
                                      { vec_at(4096, 512), vec_at(12288, 512) },
                                      { vec_at(4098, 4094), vec_at(12288, 2) } };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
        struct block_request r = { .op = BLOCK_WRITE, .sectors = 2, .vec = v[i], .vecs = 2 };

        n.host.queue[0].tag[0].request = &r;
        assert_int_equal(nvme_start(&n.host.queue[0], 0), K_RANGE);
    }
    assert_int_equal(n.io[0].tail, 0);
}

static void test_a_discard_is_one_range(void **state)
{
    const struct nvme_command *c = start(4, BLOCK_DISCARD, 1000, 24, NULL, 0);
    const u32 *range = (const u32 *)(const void *)(lists + 4 * NVME_LIST_ENTRIES);

    (void)state;
    assert_int_equal(c->dw0, 4 << 16 | 9);
    assert_int_equal(c->dw10, 0);
    assert_int_equal(c->dw11, 4);
    assert_int_equal(range[1], 24);
    assert_int_equal(range[2], 1000);
    assert_int_equal(start(5, BLOCK_WRITE_ZEROES, 8, 16, NULL, 0)->dw12, 15);
}

static void test_completions_are_taken_by_their_phase_around_the_ring(void **state)
{
    struct block_vec v = vec_at(0, 512);

    (void)state;
    for (u32 i = 0; i < 3 * ENTRIES; i++) {
        start(0, BLOCK_READ, i, 1, &v, 1);
        nvme_reap(&n.host.queue[0]);
        assert_int_equal(answers, i); /* nothing new */
        answer(i % ENTRIES, 0, 0, (i / ENTRIES) % 2 == 0);
        nvme_reap(&n.host.queue[0]);
        assert_int_equal(answers, i + 1);
        assert_int_equal(doorbells[1], (i + 1) % ENTRIES);
    }
    assert_int_equal(failures, 0);
}

static void test_an_error_is_the_requests(void **state)
{
    struct block_vec v = vec_at(0, 512);

    (void)state;
    start(0, BLOCK_READ, 0, 1, &v, 1);
    answer(0, 0, 0x281, 1);
    nvme_reap(&n.host.queue[0]);
    assert_int_equal(last_result, K_IO);
    assert_int_equal(failures, 0);
    start(0, BLOCK_READ, 0, 1, &v, 1);
    answer(1, 0, 0x2000, 1); /* more is to be known of it, but it is none */
    nvme_reap(&n.host.queue[0]);
    assert_int_equal(last_result, K_OK);
}

static void test_what_was_not_asked_for_is_a_failure_of_the_controller(void **state)
{
    struct block_vec v = vec_at(0, 512);

    (void)state;
    start(0, BLOCK_READ, 0, 1, &v, 1);
    answer(0, 5, 0, 1);
    answer(1, 0xffff, 0, 1);
    nvme_reap(&n.host.queue[0]);
    assert_int_equal(failures, 2);
    assert_int_equal(answers, 0);
    assert_int_equal(n.broken, 1);
}

static void test_a_ring_that_is_always_new_is_left_after_one_round(void **state)
{
    (void)state;
    n.io[0].entries = 1; /* its phase turns with each entry */
    for (u32 i = 0; i < 4; i++) {
        answer(0, 9, 0, n.io[0].phase);
        nvme_reap(&n.host.queue[0]);
    }
    assert_int_equal(failures, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_request_becomes_a_command_in_the_namespaces_blocks, setup),
        cmocka_unit_test_setup(test_many_pages_go_by_a_list, setup),
        cmocka_unit_test_setup(test_memory_that_lists_cannot_say_is_refused, setup),
        cmocka_unit_test_setup(test_a_discard_is_one_range, setup),
        cmocka_unit_test_setup(test_completions_are_taken_by_their_phase_around_the_ring, setup),
        cmocka_unit_test_setup(test_an_error_is_the_requests, setup),
        cmocka_unit_test_setup(test_what_was_not_asked_for_is_a_failure_of_the_controller, setup),
        cmocka_unit_test_setup(test_a_ring_that_is_always_new_is_left_after_one_round, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
