/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/log.h"
#include "drivers/net.h"
#include "lib/fmt.h"

static struct nic *first;

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

enum kerr nic_open(struct nic *n, const struct nic_user *user, void *arg)
{
    if (n->user != NULL)
        return K_BUSY;
    n->arg = arg;
    n->user = user;
    return n->ops->open(n);
}

void nic_set_link(struct nic *n, bool up)
{
    if (__atomic_exchange_n(&n->link, up, __ATOMIC_RELAXED) != (u32)up)
        log_info("%s: link %s", n->name, up ? "up" : "down");
}
