/* SPDX-License-Identifier: Apache-2.0 */
/* A host bridge with functions and bridges behind it, whose configuration space acts as hardware's: for tests and fuzzers of
 * what finds and places them. */
#ifndef TESTS_UNIT_TEST_PCIE_MACHINE_H
#define TESTS_UNIT_TEST_PCIE_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "drivers/pci/internal.h"
#include "lib/bits.h"
#include "lib/checked.h"

/* Here, so that what it found can be forgotten. */
#include "drivers/pci/enumerate.c"

#define FAKE_MAX 40U
#define FAKE_ROOT (-1)

struct fake {
    int parent; /* index of the bridge it lies behind; FAKE_ROOT */
    u8 slot, fn;
    u8 config[256];
    u32 bar_mask[PCIE_BARS]; /* bits that can be set; 0: read-only */
    u32 cap_mask[16];        /* the same from 0x40 on */
};

static struct fake fakes[FAKE_MAX];
static u32 fake_count;
static struct pcie_host host;
static char *objects[PCIE_DEVICES_MAX];
static u32 object_count;

void *heap_alloc(size_t size)
{
    if (object_count == PCIE_DEVICES_MAX)
        abort();
    return objects[object_count++] = calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)p, (void)size;
    abort();
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

static u32 word(const struct fake *f, u32 at)
{
    u32 v;

    memcpy(&v, f->config + (at & 0xfc), 4);
    return v;
}

static void set_word(struct fake *f, u32 at, u32 v) { memcpy(f->config + (at & 0xfc), &v, 4); }

static u8 bus_of(const struct fake *f)
{
    return f->parent == FAKE_ROOT ? 0 : fakes[f->parent].config[CFG_SECONDARY];
}

/* As the bridges route: a bus that nobody was given has nobody on it. */
static struct fake *fake_at(u16 rid)
{
    for (u32 i = 0; i < fake_count; i++)
        if (RID(bus_of(&fakes[i]), fakes[i].slot, fakes[i].fn) == rid &&
            (fakes[i].parent == FAKE_ROOT || bus_of(&fakes[i]) != 0))
            return &fakes[i];
    return NULL;
}

static u32 fake_read(void *arg, u16 rid, u32 offset, u32 size)
{
    const struct fake *f = fake_at(rid);
    u32 v = 0;

    (void)arg;
    host_clock_advance(1000);
    if (f == NULL || offset + size > 256)
        return ~0U;
    memcpy(&v, f->config + offset, size);
    return v;
}

static bool is_bridge(const struct fake *f)
{
    return (f->config[CFG_HEADER_TYPE] & HEADER_TYPE) == HEADER_BRIDGE;
}

static u32 writable(const struct fake *f, u32 at)
{
    u32 bar = (at - CFG_BAR0) / 4;

    if (at >= CFG_BAR0 && bar < (is_bridge(f) ? 2U : PCIE_BARS))
        return f->bar_mask[bar];
    if (at == PCIE_COMMAND)
        return 0x547;
    if (at == (is_bridge(f) ? CFG_BRIDGE_ROM : CFG_ROM))
        return 0xfffff801;
    if (at >= 0x40)
        return (at - 0x40) / 4 < ARRAY_SIZE(f->cap_mask) ? f->cap_mask[(at - 0x40) / 4] : 0;
    if (!is_bridge(f))
        return 0;
    switch (at) {
    case CFG_PRIMARY: return 0xffffff;
    case CFG_MEMORY_BASE:
    case CFG_PREFETCH_BASE: return 0xfff0fff0;
    case CFG_IO_BASE: return 0xf0f0;
    case CFG_PREFETCH_BASE_HIGH:
    case CFG_PREFETCH_LIMIT_HIGH: return f->config[CFG_PREFETCH_BASE] & 1 ? ~0U : 0;
    default: return 0;
    }
}

static void fake_write(void *arg, u16 rid, u32 offset, u32 size, u32 value)
{
    struct fake *f = fake_at(rid);
    u32 shift = offset % 4 * 8, mask = (u32)width_mask(size) << shift;

    (void)arg;
    if (f == NULL || offset + size > 256)
        return;
    mask &= writable(f, offset & 0xfc);
    set_word(f, offset, (word(f, offset) & ~mask) | (value << shift & mask));
}

static const struct pcie_config_ops fake_ops = { fake_read, fake_write };

static void time_passes(void) { host_clock_advance(1000); }

static void fake_reset(void)
{
    host_hooks.wait = time_passes;
    for (u32 i = 0; i < object_count; i++)
        free(objects[i]);
    object_count = 0;
    first = NULL;
    fake_count = 0;
    host = (struct pcie_host){ .ecam_size = 256UL << 20,
                               .last_bus = 255,
                               .low = { 0x10000000, 0x10000000, 0x20000000 },
                               .high = { 0x8000000000, 0x9000000000, 0x1000000000 },
                               .ops = &fake_ops };
}

static int fake_add(int parent, u8 slot, u8 fn, u16 device)
{
    struct fake *f = &fakes[fake_count];

    *f = (struct fake){ .parent = parent, .slot = slot, .fn = fn };
    set_word(f, CFG_VENDOR, 0x1234U | (u32)device << 16);
    f->config[CFG_PIN] = 1;
    return (int)fake_count++;
}

static int fake_bridge(int parent, u8 slot, bool wide)
{
    int i = fake_add(parent, slot, 0, 0xb);

    fakes[i].config[CFG_HEADER_TYPE] = HEADER_BRIDGE;
    set_word(&fakes[i], CFG_PREFETCH_BASE, wide ? 0x10001 : 0);
    return i;
}

static void fake_bar(int i, u32 bar, u64 size, u32 flags)
{
    u64 mask = ~(size - 1) & ~(u64)BAR_FLAGS;

    set_word(&fakes[i], CFG_BAR0 + bar * 4, flags);
    fakes[i].bar_mask[bar] = (u32)mask;
    if ((flags & BAR_TYPE) == BAR_TYPE_64 && bar + 1 < PCIE_BARS)
        fakes[i].bar_mask[bar + 1] = (u32)(mask >> 32);
}

static u64 fake_bar_value(const struct fake *f, u32 bar, bool wide)
{
    u64 v = word(f, CFG_BAR0 + bar * 4) & ~BAR_FLAGS;

    return wide ? v | (u64)word(f, CFG_BAR0 + bar * 4 + 4) << 32 : v;
}

/* What a bridge passes on, from its registers; size 0: nothing. */
static struct pcie_window fake_window(const struct fake *f, bool high)
{
    u32 w = word(f, high ? CFG_PREFETCH_BASE : CFG_MEMORY_BASE);
    u64 from = (w & 0xfff0UL) << 16, to = (u64)(w & 0xfff00000U) | 0xfffff;

    if (high && (w & 1) != 0) {
        from |= (u64)word(f, CFG_PREFETCH_BASE_HIGH) << 32;
        to |= (u64)word(f, CFG_PREFETCH_LIMIT_HIGH) << 32;
    }
    return (struct pcie_window){ .bus = from, .size = to > from ? to - from + 1 : 0 };
}

static bool window_holds(const struct pcie_window *w, u64 at, u64 size)
{
    return range_within(at, size, w->bus, w->size);
}

static bool reaches(const struct fake *f, u64 at, u64 size)
{
    for (int up = f->parent; up != FAKE_ROOT; up = fakes[up].parent) {
        struct pcie_window low = fake_window(&fakes[up], false), high = fake_window(&fakes[up], true);

        if (!window_holds(&low, at, size) && !window_holds(&high, at, size))
            return false;
    }
    return window_holds(&host.low, at, size) || window_holds(&host.high, at, size);
}

/* What must hold of all that was placed, by what the hardware was told. */
static void check_places(void)
{
    static struct {
        u64 at, size;
    } all[PCIE_DEVICES_MAX * PCIE_BARS];
    u32 n = 0;

    for (struct pcie_device *d = pcie_first(); d != NULL; d = d->next) {
        const struct fake *f = fake_at(d->rid);

        if (f == NULL)
            abort();
        for (u32 i = 0; i < PCIE_BARS; i++) {
            const struct pcie_bar *b = &d->bar[i];

            if (b->size == 0 || b->base.v == 0)
                continue;
            if (!is_aligned(b->bus, b->size) || !is_aligned(b->bus, PAGE_SIZE) ||
                fake_bar_value(f, i, b->wide) != b->bus || !reaches(f, b->bus, b->size) ||
                (b->bus >> 32 != 0 && !b->wide) ||
                b->base.v - b->bus != (b->bus >> 32 != 0 ? host.high.cpu - host.high.bus : 0))
                abort();
            for (u32 k = 0; k < n; k++)
                if (ranges_overlap(all[k].at, all[k].size, b->bus, b->size))
                    abort();
            all[n].at = b->bus;
            all[n++].size = max_u64(b->size, PAGE_SIZE);
        }
    }
}

#endif
