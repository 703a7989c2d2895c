/* SPDX-License-Identifier: Apache-2.0 */
/* Where BARs go. Two kinds of memory: below 4 GiB, which takes everything, and above, for what is 64 bits wide and, behind
 * a bridge, prefetchable (a bridge's other window has 32 bits). On each bus the largest alignment goes first, so that
 * nothing is lost between; what a bridge's window must hold is known before it is placed, as a bus is the sum of
 * what is on it. */
#include "core/log.h"
#include "drivers/pci/internal.h"
#include "lib/bits.h"
#include "lib/checked.h"

#define BRIDGE_UNIT 0x100000UL
#define BAR_SIZE_MAX (1UL << 40)
#define PREFETCH_WIDE 1U

enum kind { LOW, HIGH };

static u32 bar_offset(u32 bar) { return CFG_BAR0 + bar * 4; }

/* What of the BAR's bits can be set: its flags, and the address as far as it does not say its size. */
static u32 probe_word(const struct pcie_device *d, u32 offset, u32 *now)
{
    u32 mask;

    *now = pcie_read(d, offset, 4);
    pcie_write(d, offset, 4, ~0U);
    mask = pcie_read(d, offset, 4);
    pcie_write(d, offset, 4, *now);
    return mask;
}

/* Decoding is off. */
void pcie_size_bars(struct pcie_device *d)
{
    u32 count = d->is_bridge ? 2 : PCIE_BARS, step;

    for (u32 i = 0; i < count; i += step) {
        struct pcie_bar *b = &d->bar[i];
        u32 now, high_now;
        u64 mask = probe_word(d, bar_offset(i), &now);
        u32 flags = now & BAR_FLAGS;

        step = 1;
        if (mask == 0 || mask == 0xffffffff || (flags & BAR_IO) != 0)
            continue;
        b->wide = (flags & BAR_TYPE) == BAR_TYPE_64;
        b->prefetchable = (flags & BAR_PREFETCHABLE) != 0;
        if (b->wide && i + 1 == count) {
            log_warn("PCI %s: BAR %u is said to go on where there is none: the function stays off", d->name,
                     i);
            d->unusable = true;
            continue;
        }
        if (b->wide) {
            mask |= (u64)probe_word(d, bar_offset(i + 1), &high_now) << 32;
            step = 2;
        } else {
            mask |= 0xffffffffUL << 32;
        }
        mask &= ~(u64)BAR_FLAGS;
        b->size = mask & -mask;
        if (mask == 0 || (mask | (b->size - 1)) != ~0UL || b->size > BAR_SIZE_MAX) {
            log_warn("PCI %s: BAR %u has no size (mask %#lx): the function stays off", d->name, i, mask);
            d->unusable = true;
            b->size = 0;
        }
    }
    if (d->is_bridge) {
        pcie_write(d, CFG_PREFETCH_BASE, 4, 0xfff0fff0U);
        d->high_is_wide = (pcie_read(d, CFG_PREFETCH_BASE, 2) & BAR_FLAGS) == PREFETCH_WIDE;
        pcie_write(d, CFG_PREFETCH_BASE, 4, 0x0000fff0U); /* none: begins behind its end */
        pcie_write(d, CFG_PREFETCH_BASE_HIGH, 4, 0);
        pcie_write(d, CFG_PREFETCH_LIMIT_HIGH, 4, 0);
        pcie_write(d, CFG_MEMORY_BASE, 4, 0x0000fff0U);
        pcie_write(d, CFG_IO_BASE, 2, 0x00f0U);
    }
}

/* Which window of the way up takes the BAR. */
static enum kind kind_of(const struct pcie_device *d, const struct pcie_bar *b)
{
    if (!b->wide || d->host->high.size == 0 || (d->bridge != NULL && !b->prefetchable))
        return LOW;
    for (const struct pcie_device *up = d->bridge; up != NULL; up = up->bridge)
        if (!up->high_is_wide)
            return LOW;
    return HIGH;
}

/* BARs have pages of their own: what is given to one owner holds nothing of another's. */
static u64 room_of(const struct pcie_bar *b) { return max_u64(b->size, PAGE_SIZE); }

static struct pcie_window *window_of(struct pcie_device *bridge, enum kind kind)
{
    return kind == LOW ? &bridge->low : &bridge->high;
}

static u64 align_of(const struct pcie_device *bridge, enum kind kind)
{
    return kind == LOW ? bridge->low_align : bridge->high_align;
}

/* Bit n: something on the bus behind `bridge` (NULL: the root bus) wants an alignment of 2^n, `limit` at most. */
static u64 alignments(const struct pcie_host *h, const struct pcie_device *bridge, enum kind kind, u64 limit)
{
    u64 seen = 0;

    for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
        if (d->host != h || d->bridge != bridge)
            continue;
        for (u32 i = 0; i < PCIE_BARS; i++)
            if (d->bar[i].size != 0 && kind_of(d, &d->bar[i]) == kind)
                seen |= room_of(&d->bar[i]);
        if (d->is_bridge && window_of(d, kind)->size != 0)
            seen |= align_of(d, kind);
    }
    return limit < BIT(63) ? seen & (BIT(log2_floor(limit | 1) + 1) - 1) : seen;
}

static u64 upper(u64 v) { return v >> 32; }

static void set_bar(struct pcie_device *d, u32 i, const struct pcie_window *from, u64 bus)
{
    struct pcie_bar *b = &d->bar[i];
    bool kept;

    pcie_write(d, bar_offset(i), 4, (u32)bus);
    kept = (pcie_read(d, bar_offset(i), 4) & ~BAR_FLAGS) == (u32)bus;
    if (b->wide) {
        pcie_write(d, bar_offset(i + 1), 4, (u32)upper(bus));
        kept = kept && pcie_read(d, bar_offset(i + 1), 4) == (u32)upper(bus);
    }
    if (!kept) { /* it would decode anywhere */
        log_warn("PCI %s: BAR %u does not keep its address: the function stays off", d->name, i);
        d->unusable = true;
        return;
    }
    b->bus = bus;
    b->base = HPA(bus - from->bus + from->cpu);
}

static void set_window(struct pcie_device *d, enum kind kind, const struct pcie_window *from, u64 bus)
{
    struct pcie_window *w = window_of(d, kind);
    u64 last = bus + w->size - 1;
    u32 word = (u32)(bus >> 16 & 0xfff0) | ((u32)(last >> 16) & 0xfff0) << 16;

    w->bus = bus;
    w->cpu = bus - from->bus + from->cpu;
    if (kind == LOW) {
        pcie_write(d, CFG_MEMORY_BASE, 4, word);
        return;
    }
    pcie_write(d, CFG_PREFETCH_BASE_HIGH, 4,
               (u32)upper(bus)); /* first: never a window that reaches too far down */
    pcie_write(d, CFG_PREFETCH_LIMIT_HIGH, 4, (u32)upper(last));
    pcie_write(d, CFG_PREFETCH_BASE, 4, word);
}

/* Lays out one bus from `at` on, within [.., end); returns what is needed of it, or where it ends. With `from`, writes
 * it to the devices; what does not fit is left out. */
static u64 lay_out(struct pcie_host *h, struct pcie_device *bridge, enum kind kind, u64 at, u64 end,
                   const struct pcie_window *from)
{
    u64 left = alignments(h, bridge, kind, ~0UL);

    while (left != 0) {
        u64 align = BIT(log2_floor(left)), next;

        left &= ~align;
        for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
            if (d->host != h || d->bridge != bridge)
                continue;
            for (u32 i = 0; i < PCIE_BARS; i++) {
                struct pcie_bar *b = &d->bar[i];

                if (b->size == 0 || room_of(b) != align || kind_of(d, b) != kind)
                    continue;
                if (add_wraps(align_up(at, align), align, &next) || next > end) {
                    if (from != NULL)
                        log_warn("PCI %s: no room for BAR %u of %#lx bytes", d->name, i, b->size);
                    continue;
                }
                if (from != NULL)
                    set_bar(d, i, from, align_up(at, align));
                at = next;
            }
            if (d->is_bridge && window_of(d, kind)->size != 0 && align_of(d, kind) == align) {
                struct pcie_window *w = window_of(d, kind);

                if (add_wraps(align_up(at, align), w->size, &next) || next > end) {
                    if (from != NULL) {
                        log_warn("PCI %s: no room for %#lx bytes behind this bridge", d->name, w->size);
                        w->size = 0;
                    }
                    continue;
                }
                if (from != NULL)
                    set_window(d, kind, from, align_up(at, align));
                at = next;
            }
        }
    }
    return at;
}

static void size_bridge(struct pcie_device *d, enum kind kind)
{
    u64 limit = kind == LOW ? d->host->low.size : d->host->high.size;
    u64 size = lay_out(d->host, d, kind, 0, limit, NULL);
    u64 seen = alignments(d->host, d, kind, limit);
    u64 align = seen != 0 ? max_u64(BIT(log2_floor(seen)), BRIDGE_UNIT) : BRIDGE_UNIT;

    *window_of(d, kind) = (struct pcie_window){ .size = align_up(size, BRIDGE_UNIT) };
    if (kind == LOW)
        d->low_align = align;
    else
        d->high_align = align;
}

/* Bridges are found before what is behind them: sizes are known from the list's end to its start. */
static void size_bridges(struct pcie_host *h, struct pcie_device *d)
{
    struct pcie_device *bridge[PCIE_DEVICES_MAX];
    u32 n = 0;

    for (; d != NULL && n < PCIE_DEVICES_MAX; d = d->next)
        if (d->host == h && d->is_bridge)
            bridge[n++] = d;
    while (n-- > 0) {
        size_bridge(bridge[n], LOW);
        size_bridge(bridge[n], HIGH);
    }
}

static void place_behind(struct pcie_device *d, enum kind kind)
{
    const struct pcie_window *w = window_of(d, kind);

    if (w->bus != 0) /* else there was no room for the window */
        (void)lay_out(d->host, d, kind, w->bus, w->bus + w->size, w);
}

static void place_root(struct pcie_host *h, enum kind kind)
{
    const struct pcie_window *w = kind == LOW ? &h->low : &h->high;

    /* A BAR at 0 would look like none. */
    if (w->size != 0)
        (void)lay_out(h, NULL, kind, max_u64(w->bus, PAGE_SIZE), w->bus + w->size, w);
}

/* A BAR without a place would decode wherever it was left, as soon as one that has a place is to be used. Behind a bridge
 * that stays off nothing is reached. */
static bool all_placed(const struct pcie_device *d)
{
    for (u32 i = 0; i < PCIE_BARS; i++)
        if (d->bar[i].size != 0 && d->bar[i].base.v == 0)
            return false;
    return d->bridge == NULL || !d->bridge->unusable;
}

void pcie_place(struct pcie_host *h)
{
    size_bridges(h, pcie_first());
    place_root(h, LOW);
    place_root(h, HIGH);
    for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
        if (d->host != h)
            continue;
        d->unusable |= !all_placed(d);
        if (!d->is_bridge || d->unusable)
            continue;
        place_behind(d, LOW);
        place_behind(d, HIGH);
        pcie_write(d, CFG_BRIDGE_CONTROL, 2, 0);
        pcie_write(d, PCIE_COMMAND, 2, PCIE_COMMAND_MEMORY | PCIE_COMMAND_MASTER | PCIE_COMMAND_INTX_OFF);
    }
}
