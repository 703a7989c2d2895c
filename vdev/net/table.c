/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that were seen behind ports, 4 ways of 128 sets. The hash has a seed, so that nobody outside can choose
 * addresses that share a set. */
#include "core/timer.h"
#include "vdev/net/internal.h"

/* Never 0: VLANs are numbered from 1 in it. */
static u64 make_key(u64 mac, u32 vlan) { return mac | (u64)(vlan + 1) << 48; }

static u32 set_of(const struct net_table *t, u64 key)
{
    return (u32)(((key ^ t->seed) * 0x9e3779b97f4a7c15) >> 57);
}

static bool is_old(const struct net_entry *e, u64 now)
{
    return now - e->seen > time_ns_to_ticks(NET_TABLE_AGE_NS);
}

u8 net_table_find(const struct net_table *t, u64 mac, u32 vlan, u64 now)
{
    u64 key = make_key(mac, vlan);
    const struct net_entry *set = t->entry[set_of(t, key)];

    for (u32 i = 0; i < NET_TABLE_WAYS; i++)
        if (set[i].key == key)
            return is_old(&set[i], now) ? NET_SLOT_NONE : set[i].slot;
    return NET_SLOT_NONE;
}

static void drop(struct net_table *t, struct net_entry *e)
{
    if (e->key != 0)
        t->used[e->slot]--;
    e->key = 0;
}

/* Where a new address of slot may go, the best place first: free, old, of its own port. */
static struct net_entry *place(struct net_table *t, struct net_entry *set, u8 slot, u64 now)
{
    struct net_entry *own = NULL;

    for (u32 i = 0; i < NET_TABLE_WAYS; i++) {
        if (set[i].key != 0 && is_old(&set[i], now))
            drop(t, &set[i]);
        if (set[i].key == 0 && t->used[slot] < NET_TABLE_QUOTA)
            return &set[i];
        if (set[i].key != 0 && set[i].slot == slot && (own == NULL || set[i].seen < own->seen))
            own = &set[i];
    }
    return own;
}

static struct net_entry *entry_of(struct net_table *t, u32 number)
{
    return &t->entry[number / NET_TABLE_WAYS][number % NET_TABLE_WAYS];
}

static u16 number_of(const struct net_table *t, const struct net_entry *e)
{
    return (u16)(e - &t->entry[0][0]);
}

bool net_table_again(struct net_table *t, u64 mac, u32 vlan, u8 slot, u64 now)
{
    struct net_entry *e = entry_of(t, t->last[slot]);

    if (e->key != make_key(mac, vlan) || e->slot != slot)
        return false;
    e->seen = now;
    return true;
}

bool net_table_learn(struct net_table *t, u64 mac, u32 vlan, u8 slot, u64 now)
{
    u64 key = make_key(mac, vlan);
    struct net_entry *set = t->entry[set_of(t, key)], *e = NULL;

    for (u32 i = 0; i < NET_TABLE_WAYS; i++)
        if (set[i].key == key)
            e = &set[i];
    if (e != NULL && e->slot == slot) {
        e->seen = now;
        t->last[slot] = number_of(t, e);
        return true;
    }
    if (e != NULL)
        drop(t, e); /* it moved */
    e = place(t, set, slot, now);
    if (e == NULL)
        return false;
    drop(t, e);
    *e = (struct net_entry){ key, now, slot };
    t->used[slot]++;
    t->last[slot] = number_of(t, e);
    return true;
}

void net_table_forget(struct net_table *t, u8 slot)
{
    for (u32 i = 0; i < NET_TABLE_SETS; i++)
        for (u32 j = 0; j < NET_TABLE_WAYS; j++)
            if (t->entry[i][j].key != 0 && t->entry[i][j].slot == slot)
                drop(t, &t->entry[i][j]);
}
