/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list with a head node. Not synchronised: the owner locks. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_insert(struct list *at, struct list *n) /* before `at`: at the tail of head `at` */
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_push_front(struct list *head, struct list *n) { list_insert(head->next, n); }

static inline void list_remove(struct list *n) /* leaves n initialised: removing twice is harmless */
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

#endif
