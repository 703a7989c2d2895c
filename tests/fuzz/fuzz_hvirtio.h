/* SPDX-License-Identifier: Apache-2.0 */
/* The transport of a virtio device of the host that a fuzzer plays: it lies of its status as the fuzzer likes, and time
 * passes when it is asked. What drivers allocate goes with forget(). */
#ifndef TESTS_FUZZ_FUZZ_HVIRTIO_H
#define TESTS_FUZZ_FUZZ_HVIRTIO_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "drivers/virtio.h"

#define OBJECTS 16U

static struct hvirtio dev;
static u32 status, lie; /* lie: of its status, 0: none */
static u64 offered;
static void *objects[OBJECTS];
static u32 object_count;

static void *keep(void *p)
{
    if (object_count == OBJECTS)
        abort();
    return objects[object_count++] = p;
}

static void forget(void)
{
    while (object_count != 0)
        free(objects[--object_count]);
}

void *heap_alloc(size_t size) { return keep(calloc(1, size)); }
void heap_free(void *p, size_t size) { (void)p, (void)size; }

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    *out = ptr_to_hpa(keep(aligned_alloc(4096, 4096UL << order)));
    return K_OK;
}

void frames_free(hpa_t pa, u32 order) { (void)pa, (void)order; }
void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static u32 get_status(struct hvirtio *d)
{
    (void)d;
    host_clock_advance(10000000);
    return lie != 0 ? lie : status;
}

static void set_status(struct hvirtio *d, u32 v)
{
    (void)d;
    status = v;
}

static u64 features(struct hvirtio *d)
{
    (void)d;
    return offered;
}

static void accept(struct hvirtio *d, u64 f)
{
    (void)d;
    if ((f & ~offered) != 0)
        abort();
}

static void notify(struct hvirtio *d, u32 queue) { (void)d, (void)queue; }

static enum kerr irqs(struct hvirtio *d, u32 queues)
{
    (void)d, (void)queues;
    return K_OK;
}

static enum kerr queue_irq(struct hvirtio *d, u32 queue, u32 cpu)
{
    (void)d, (void)queue, (void)cpu;
    return K_OK;
}

static void irqs_again(struct hvirtio *d) { (void)d; }

/* The fuzzer's. */
static u32 generation(struct hvirtio *d);
static u32 config_read(struct hvirtio *d, u32 offset, u32 size);
static u32 queue_size_max(struct hvirtio *d, u32 queue);
static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l);

static const struct hvirtio_ops ops = { .status = get_status,
                                        .set_status = set_status,
                                        .features = features,
                                        .accept = accept,
                                        .generation = generation,
                                        .config_read = config_read,
                                        .queue_size_max = queue_size_max,
                                        .queue_enable = queue_enable,
                                        .notify = notify,
                                        .irqs = irqs,
                                        .queue_irq = queue_irq,
                                        .irqs_again = irqs_again };

#endif
