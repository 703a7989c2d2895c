/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for room in a receiver, so that frames between guests are not lost where a wire would not lose them. Who sends pays
 * for the wait with the rest of his traffic, and what the receiver says of its room may be a lie: so a port is waited for as
 * long as it has earned, by what it took and by time. */
#include "arch/time.h"
#include "core/task.h"
#include "core/timer.h"
#include "vdev/net/internal.h"

#define WAIT_NS 2000000UL /* at once */
#define WAIT_LEAST_NS 50000UL
#define PATIENCE_NS 20000000UL
/* Earned by a frame and by each of its bytes: some times what a slow guest takes to receive them. */
#define FRAME_NS 100000UL
#define BYTE_NS 50UL
#define TIME_SHARE 4U /* and a part of the time */

void net_patience_init(struct net_port *p)
{
    p->patience_ns = PATIENCE_NS;
    p->earned_at = arch_ticks();
    p->earned_frames = p->earned_bytes = 0;
}

/* For how long q may be waited for now. */
static u64 patience_ns(struct net_port *q)
{
    u64 now = arch_ticks(), frames = __atomic_load_n(&q->count.rx_frames, __ATOMIC_RELAXED);
    u64 bytes = __atomic_load_n(&q->count.rx_bytes, __ATOMIC_RELAXED), earned;
    unsigned long flags = spin_lock_irq(&q->network->lock);

    earned = min_u64(time_ticks_to_ns(now - q->earned_at) / TIME_SHARE, PATIENCE_NS) +
             min_u64(frames - q->earned_frames, PATIENCE_NS / FRAME_NS) * FRAME_NS +
             min_u64(bytes - q->earned_bytes, PATIENCE_NS / BYTE_NS) * BYTE_NS;
    q->patience_ns = min_u64(q->patience_ns + earned, PATIENCE_NS);
    q->earned_at = now;
    q->earned_frames = frames;
    q->earned_bytes = bytes;
    earned = q->patience_ns;
    spin_unlock_irq(&q->network->lock, flags);
    return earned < WAIT_LEAST_NS ? 0 : min_u64(earned, WAIT_NS);
}

static void lose_patience(struct net_port *q, u64 ns)
{
    unsigned long flags = spin_lock_irq(&q->network->lock);

    q->patience_ns -= min_u64(ns, q->patience_ns);
    spin_unlock_irq(&q->network->lock, flags);
}

void net_room(struct net_port *p)
{
    struct net_network *n = p->network;
    u64 waiters = __atomic_exchange_n(&p->waiters, 0, __ATOMIC_SEQ_CST);
    unsigned long flags;

    __atomic_store_n(&p->stuck, 0, __ATOMIC_SEQ_CST);
    if (waiters == 0)
        return;
    flags = spin_lock_irq(&n->lock); /* a port that is there has its sender */
    for (waiters &= n->slots; waiters != 0; waiters &= waiters - 1) {
        struct task *t = __atomic_load_n(&n->port[ctz64(waiters)]->sender, __ATOMIC_SEQ_CST);

        if (t != NULL)
            task_wake(t);
    }
    spin_unlock_irq(&n->lock, flags);
}

enum kerr net_wait_and_deliver(struct net_port *p, struct net_port *q, const struct net_frame *f)
{
    u64 start = arch_ticks(), patience = patience_ns(q), deadline = start + time_ns_to_ticks(patience);
    enum kerr e = K_FULL;

    if (patience == 0)
        return K_FULL;
    net_count(&p->count.tx_waits, 1);
    if (q->ops->flush != NULL)
        q->ops->flush(q); /* what it has already, so that it makes room */
    __atomic_store_n(&p->sender, task_current(), __ATOMIC_SEQ_CST);
    for (;;) {
        __atomic_fetch_or(&q->waiters, BIT(p->slot), __ATOMIC_SEQ_CST);
        e = net_is_open(q) ? q->ops->receive(q, f) : K_NOENT;
        if (e != K_FULL)
            break;
        if (arch_ticks() >= deadline) {
            __atomic_store_n(&q->stuck, 1, __ATOMIC_SEQ_CST);
            break;
        }
        (void)task_block_until(deadline);
    }
    __atomic_store_n(&p->sender, NULL, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&q->waiters, ~BIT(p->slot), __ATOMIC_SEQ_CST);
    lose_patience(q, time_ticks_to_ns(arch_ticks() - start));
    return e;
}
