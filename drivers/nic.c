/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/inet_sum.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/net.h"
#include "lib/fmt.h"

#define LOOK_NS 1000000000UL

static struct nic *first;
static struct timer look_timer;

void nic_add(struct nic *n)
{
    struct nic **end = &first;
    u32 count = 0;

    for (; *end != NULL; end = &(*end)->next)
        count++;
    (void)fmt_sn(n->name, sizeof(n->name), "net%u", count);
    n->next = NULL;
    *end = n;
    log_info("%s: %s, %02x:%02x:%02x:%02x:%02x:%02x", n->name, n->where, n->mac[0], n->mac[1], n->mac[2],
             n->mac[3], n->mac[4], n->mac[5]);
}

struct nic *nic_first(void) { return first; }

struct nic *nic_find(const char *name)
{
    struct nic *n = first;

    while (n != NULL && strcmp(n->name, name) != 0)
        n = n->next;
    return n;
}

static void look(void *arg)
{
    (void)arg;
    for (struct nic *n = first; n != NULL; n = n->next)
        if (n->user != NULL && __atomic_load_n(&n->dead, __ATOMIC_RELAXED) == 0)
            n->ops->look(n);
    timer_arm(&look_timer, arch_ticks() + time_ns_to_ticks(LOOK_NS));
}

enum kerr nic_open(struct nic *n, const struct nic_user *user, void *arg)
{
    enum kerr e;

    if (n->user != NULL)
        return K_BUSY;
    n->arg = arg;
    n->user = user;
    e = n->ops->open(n);
    if (e == K_OK && !look_timer.armed) {
        unsigned long flags = arch_irq_save();

        timer_init(&look_timer, look, NULL);
        timer_arm(&look_timer, arch_ticks() + time_ns_to_ticks(LOOK_NS));
        arch_irq_restore(flags);
    }
    return e;
}

void nic_set_link(struct nic *n, bool up)
{
    if (__atomic_exchange_n(&n->link, up, __ATOMIC_RELAXED) == (u32)up)
        return;
    log_info("%s: link %s", n->name, up ? "up" : "down");
    n->user->link(n->arg, up);
}

void nic_give_up(struct nic *n, enum kerr why)
{
    log_error("%s: given up: %s", n->name, kerr_str(why));
    __atomic_store_n(&n->dead, 1, __ATOMIC_RELAXED);
    nic_set_link(n, false);
}

void nic_copy(u8 *to, const struct net_frame *f)
{
    u32 skip = f->csum ? f->csum_start : f->len; /* before what is summed */
    u8 *at = to;
    bool odd = false;
    u64 sum = 0;
    u16 done;

    for (u32 i = 0; i < f->vecs; i++) {
        const u8 *from = f->vec[i].at;
        u32 plain = f->vec[i].len < skip ? f->vec[i].len : skip, n = f->vec[i].len - plain;

        memcpy(at, from, plain);
        skip -= plain;
        if (n != 0)
            sum = odd ? inet_add(sum, inet_swap(inet_sum_copy(at + plain, from + plain, n, 0)))
                      : inet_sum_copy(at + plain, from + plain, n, sum);
        odd ^= (n & 1) != 0; /* then the next byte is the second of a word */
        at += f->vec[i].len;
    }
    if (f->csum) {
        done = inet_finish(sum);
        memcpy(to + f->csum_start + f->csum_offset, &done, sizeof(done));
    }
}
