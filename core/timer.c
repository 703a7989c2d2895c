/* SPDX-License-Identifier: Apache-2.0 */
#include "core/timer.h"

#include "arch/time.h"
#include "core/percpu.h"
#include "lib/checked.h"
#include "lib/debug.h"
#include "lib/panic.h"

#define NS_PER_S 1000000000UL

void timer_queue_init(struct timer_queue *q) { list_init(&q->sorted); }

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg)
{
    *t = (struct timer){ .fn = fn, .arg = arg };
    list_init(&t->node);
}

static struct timer *first(const struct timer_queue *q)
{
    return list_empty(&q->sorted) ? NULL : list_entry(q->sorted.next, struct timer, node);
}

static bool is_first(const struct timer_queue *q, const struct timer *t)
{
    return q->sorted.next == &t->node;
}

static void program(const struct timer_queue *q)
{
    const struct timer *t = first(q);

    if (t)
        arch_timer_set(t->deadline);
    else
        arch_timer_stop();
}

void timer_arm(struct timer *t, u64 deadline)
{
    struct timer_queue *q = &this_cpu()->timers;
    bool was_first = is_first(q, t);
    struct list *at;

    if (DEBUG_BUILD)
        ASSERT(arch_irqs_masked());
    if (t->armed)
        list_remove(&t->node);
    t->armed = true;
    t->deadline = deadline;
    /* Before the first that is due later: timers with one deadline run in the order they were armed. */
    for (at = q->sorted.next; at != &q->sorted; at = at->next) {
        if (list_entry(at, struct timer, node)->deadline > deadline)
            break;
    }
    list_insert(at, &t->node);
    if (was_first || is_first(q, t))
        program(q);
}

void timer_cancel(struct timer *t)
{
    struct timer_queue *q = &this_cpu()->timers;
    bool was_first = is_first(q, t);

    if (DEBUG_BUILD)
        ASSERT(arch_irqs_masked());
    if (!t->armed)
        return;
    list_remove(&t->node);
    t->armed = false;
    if (was_first)
        program(q);
}

void timer_expired(void)
{
    struct timer_queue *q = &this_cpu()->timers;
    u64 now = arch_ticks();
    struct list due;
    struct timer *t;

    /* Taken out first: a function that arms its timer for a moment that has passed would otherwise
     * keep us here. Functions may cancel and re-arm the others that are due. */
    list_init(&due);
    while ((t = first(q)) != NULL && t->deadline <= now) {
        list_remove(&t->node);
        list_insert(&due, &t->node);
    }
    while (!list_empty(&due)) {
        t = list_entry(due.next, struct timer, node);
        list_remove(&t->node);
        t->armed = false;
        t->fn(t->arg);
    }
    program(q);
}

/* v * to / from without a wrap in between: from and to are rates of up to 2^32, so that the
 * remainder's product fits. Saturates. Exact, rounded down. */
static inline u64 scale(u64 v, u64 to, u64 from)
{
    u64 whole, part = v % from * to / from;

    if (mul_wraps(v / from, to, &whole) || add_wraps(whole, part, &whole))
        return UINT64_MAX;
    return whole;
}

u64 time_ns_to_ticks(u64 ns) { return scale(ns, arch_tick_hz(), NS_PER_S); }

u64 time_ticks_to_ns(u64 ticks) { return scale(ticks, NS_PER_S, arch_tick_hz()); }

u64 time_now_ns(void) { return time_ticks_to_ns(arch_ticks()); }
