/* SPDX-License-Identifier: Apache-2.0 */
/* The host's ITS and LPIs (Arm IHI 0069, chapters 5 and 6, 12.10, 12.12). Tables and the command queue are ordinary memory,
 * which the ITS reads through the caches where it says that it does, and else is cleaned to. Collection n is CPU n. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "arch/arm64/msi.h"
#include "arch/mmu.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/timer.h"
#include "lib/mmio.h"

#define ITS_SIZE 0x20000UL
#define GITS_CTLR 0x0
#define GITS_TYPER 0x8
#define GITS_CBASER 0x80
#define GITS_CWRITER 0x88
#define GITS_CREADR 0x90
#define GITS_BASER(n) (0x100 + (n)*8UL)
#define GITS_TRANSLATER 0x10040
#define CTLR_ENABLED BIT(0)
#define CTLR_QUIESCENT BIT(31)
#define TYPER_ITT_ENTRY(t) ((u32)FIELD_GET(t, 7, 4) + 1)
#define TYPER_EVENT_BITS(t) ((u32)FIELD_GET(t, 12, 8) + 1)
#define TYPER_DEVICE_BITS(t) ((u32)FIELD_GET(t, 17, 13) + 1)
#define TYPER_PTA BIT(19)
#define CREADR_STALLED BIT(0)
#define BASERS 8U
#define BASER_VALID BIT(63)
#define BASER_INDIRECT BIT(62)
#define BASER_TYPE(b) FIELD_GET(b, 58, 56)
#define BASER_ENTRY(b) (FIELD_GET(b, 52, 48) + 1)
#define BASER_PAGE(b) (SZ_4K << (2 * FIELD_GET(b, 9, 8)))
#define BASER_DEVICES 1U
#define BASER_COLLECTIONS 4U
#define BASER_PAGES_MAX 256U
/* Fields of GITS_BASER and GITS_CBASER, and lower down of GICR_PROPBASER and GICR_PENDBASER. */
#define ITS_CACHED FIELD_PREP(7, 61, 59) /* inner write-back, allocate on reads and writes */
#define ITS_UNCACHED FIELD_PREP(1, 61, 59)
#define ITS_CACHE_FIELD GENMASK(61, 59)
#define ITS_SHARED FIELD_PREP(1, 11, 10)
#define SHARED_FIELD GENMASK(11, 10)
#define GICR_CTLR 0x0
#define GICR_TYPER 0x8
#define GICR_PROPBASER 0x70
#define GICR_PENDBASER 0x78
#define GICR_CTLR_LPIS BIT(0)
#define GICR_CTLR_RWP BIT(3)
#define GICR_TYPER_NUMBER(t) FIELD_GET(t, 23, 8)
#define GICR_CACHED FIELD_PREP(7, 9, 7)
#define GICR_UNCACHED FIELD_PREP(1, 9, 7)
#define GICR_CACHE_FIELD GENMASK(9, 7)
#define GICR_SHARED FIELD_PREP(1, 11, 10)
#define PENDBASER_ZERO BIT(62)
#define LPI_BITS 14U /* of INTIDs: 8192 LPIs, the fewest that can be */
#define LPI_PROPERTY ((u8)(GIC_PRIORITY & 0xfc) | 2U)
#define LPI_ENABLED 1U
#define PENDING_SIZE (BIT(LPI_BITS) / 8)
#define QUEUE_SIZE PAGE_SIZE
#define COMMAND_SIZE 32UL
#define WAIT_NS 1000000000UL

struct command {
    u64 word[4];
};

enum its_command {
    ITS_SYNC = 0x05,
    ITS_MAPD = 0x08,
    ITS_MAPC = 0x09,
    ITS_MAPTI = 0x0a,
    ITS_INV = 0x0c,
    ITS_INVALL = 0x0d,
    ITS_DISCARD = 0x0f,
};

/* Device table: flat, or two levels whose second is made as devices come. */
struct device_table {
    u64 *level1;
    u64 size, page; /* of all of level1, or of the flat table; of a page of the second level */
    u64 entry;
    bool indirect, flush;
};

static uintptr_t base;
static u64 typer;
static char *queue;
static u64 written;
static bool not_coherent, queue_flush, property_flush;
static u8 *properties;
static u64 target[MAX_CPUS]; /* as commands name a redistributor */
static struct device_table devices;
static struct spinlock its_lock = SPINLOCK_INIT(LOCK_RANK_MMU); /* the queue, the device table */

/* 2^order pages, zeros, out of the caches. */
static void *table_alloc(u64 size, u32 *order)
{
    hpa_t pa;

    *order = log2_ceil(align_up(size, PAGE_SIZE) / PAGE_SIZE);
    if (frames_alloc(*order, &pa) != K_OK)
        return NULL;
    memset(hpa_to_ptr(pa), 0, PAGE_SIZE << *order);
    arch_dcache_clean(hpa_to_ptr(pa), PAGE_SIZE << *order);
    return hpa_to_ptr(pa);
}

static bool wait_for(uintptr_t reg, u64 mask, u64 value)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(WAIT_NS);

    while ((mmio_read32(reg) & mask) != value) {
        if (arch_ticks() > deadline)
            return false;
        arch_relax();
    }
    return true;
}

/* Writes a register with shareability and cacheability, and again as not cacheable where the first is not to be had.
 * False: what the table has must be cleaned to memory. */
static bool write_attributes(uintptr_t reg, u64 value, u64 cache_field, u64 uncached)
{
    if (!not_coherent) {
        mmio_write64(reg, value);
        if ((mmio_read64(reg) & SHARED_FIELD) != 0)
            return true;
    }
    mmio_write64(reg, (value & ~(cache_field | SHARED_FIELD)) | uncached);
    return false;
}

/* --- commands --- */

/* Puts them in and waits until the ITS has done all. */
static enum kerr run_locked(const struct command *c, u32 count)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(WAIT_NS);

    for (u32 i = 0; i < count; i++) { /* the queue is empty between calls, and larger than any */
        memcpy(queue + written, &c[i], COMMAND_SIZE);
        if (queue_flush)
            arch_dcache_clean(queue + written, COMMAND_SIZE);
        written = (written + COMMAND_SIZE) % QUEUE_SIZE;
    }
    dsb(ishst); /* the tables too */
    mmio_write64(base + GITS_CWRITER, written);
    for (;;) {
        u64 read = mmio_read64(base + GITS_CREADR);

        if ((read & CREADR_STALLED) != 0)
            return K_IO;
        if (read == written)
            return K_OK;
        if (arch_ticks() > deadline)
            return K_TIMEOUT;
        arch_relax();
    }
}

static enum kerr run(const struct command *c, u32 count)
{
    unsigned long flags = spin_lock_irq(&its_lock);
    enum kerr e = run_locked(c, count);

    spin_unlock_irq(&its_lock, flags);
    if (e != K_OK)
        log_error("ITS: command %#lx is not carried out: %s", c->word[0] & 0xff, kerr_str(e));
    return e;
}

static struct command sync(u32 cpu) { return (struct command){ { ITS_SYNC, 0, target[cpu], 0 } }; }

static u64 for_device(enum its_command c, u32 device) { return c | (u64)device << 32; }

/* --- device table --- */

static enum kerr make_level2_locked(u32 device)
{
    u64 index = (u64)device * devices.entry / devices.page;
    void *page;
    u32 order;

    if (!devices.indirect)
        return (u64)device * devices.entry < devices.size ? K_OK : K_RANGE;
    if ((index + 1) * sizeof(u64) > devices.size)
        return K_RANGE;
    if ((devices.level1[index] & BASER_VALID) != 0)
        return K_OK;
    page = table_alloc(devices.page, &order);
    if (page == NULL)
        return K_NOMEM;
    devices.level1[index] = BASER_VALID | ptr_to_hpa(page).v;
    if (devices.flush)
        arch_dcache_clean(&devices.level1[index], sizeof(u64));
    return K_OK;
}

enum kerr its_map_device(u32 device, u32 bits, void **table, u32 *order)
{
    struct command c;
    unsigned long flags;
    enum kerr e;

    if (bits > TYPER_EVENT_BITS(typer) || (u64)device >> TYPER_DEVICE_BITS(typer) != 0)
        return K_RANGE;
    *table = table_alloc(max_u64((u64)TYPER_ITT_ENTRY(typer) << bits, 256), order);
    if (*table == NULL)
        return K_NOMEM;
    flags = spin_lock_irq(&its_lock);
    e = make_level2_locked(device);
    spin_unlock_irq(&its_lock, flags);
    if (e != K_OK) {
        frames_free(ptr_to_hpa(*table), *order);
        return e;
    }
    c = (struct command){ { for_device(ITS_MAPD, device), bits - 1, BASER_VALID | ptr_to_hpa(*table).v, 0 } };
    return run(&c, 1); /* where that fails the ITS may still look into it */
}

void its_unmap_device(u32 device, u32 bits, void *table, u32 order)
{
    struct command c[] = { { { for_device(ITS_MAPD, device), bits - 1, 0, 0 } }, sync(0) };

    if (run(c, ARRAY_SIZE(c)) == K_OK) /* else the ITS may still look into it */
        frames_free(ptr_to_hpa(table), order);
}

static void set_property(u32 intid, u8 value)
{
    u8 *p = &properties[intid - LPI_FIRST];

    *p = value;
    if (property_flush)
        arch_dcache_clean(p, 1);
    else
        dsb(ishst);
}

enum kerr its_map_event(u32 device, u32 event, u32 intid, u32 cpu)
{
    struct command c[] = {
        { { for_device(ITS_MAPTI, device), event | (u64)intid << 32, cpu, 0 } },
        { { for_device(ITS_INV, device), event, 0, 0 } },
        sync(cpu),
    };

    set_property(intid, LPI_PROPERTY | LPI_ENABLED);
    return run(c, ARRAY_SIZE(c));
}

void its_unmap_event(u32 device, u32 event, u32 intid)
{
    struct command c[2 + MAX_CPUS] = { { { for_device(ITS_INV, device), event, 0, 0 } },
                                       { { for_device(ITS_DISCARD, device), event, 0, 0 } } };

    set_property(intid, LPI_PROPERTY);
    for (u32 i = 0; i < cpu_count; i++)
        c[2 + i] = sync(i);
    (void)run(c, 2 + cpu_count);
}

u64 its_translater(void) { return base + GITS_TRANSLATER; }

/* --- set-up --- */

static enum kerr set_table(u32 n, u64 want)
{
    u64 old = mmio_read64(base + GITS_BASER(n)), entry = BASER_ENTRY(old), size, page, value;
    bool is_devices = BASER_TYPE(old) == BASER_DEVICES, indirect, cached;
    void *table;
    u32 order;

    /* Which page sizes and whether two levels there are: what of them stays. */
    mmio_write64(base + GITS_BASER(n), is_devices ? BASER_INDIRECT : 0);
    indirect = (mmio_read64(base + GITS_BASER(n)) & BASER_INDIRECT) != 0;
    page = BASER_PAGE(mmio_read64(base + GITS_BASER(n)));
    size = want * entry;
    if (indirect)
        size = align_up(size, page) / page * sizeof(u64);
    size = min_u64(align_up(size, page), BASER_PAGES_MAX * page);
    table = table_alloc(max_u64(size, page), &order);
    if (table == NULL)
        return K_NOMEM;
    if (page > PAGE_SIZE && !is_aligned((uintptr_t)table, page))
        return K_NOMEM;
    value = BASER_VALID | (indirect ? BASER_INDIRECT : 0) | ITS_CACHED | ITS_SHARED | ptr_to_hpa(table).v |
            (mmio_read64(base + GITS_BASER(n)) & GENMASK(9, 8)) | (size / page - 1);
    cached = write_attributes(base + GITS_BASER(n), value, ITS_CACHE_FIELD, ITS_UNCACHED);
    if ((mmio_read64(base + GITS_BASER(n)) & BASER_VALID) == 0)
        return K_IO;
    if (is_devices)
        devices = (struct device_table){ table, size, page, entry, indirect, !cached };
    return K_OK;
}

static enum kerr set_tables(void)
{
    enum kerr e = K_OK;

    for (u32 n = 0; n < BASERS && e == K_OK; n++) {
        u64 type = BASER_TYPE(mmio_read64(base + GITS_BASER(n)));

        if (type == BASER_DEVICES)
            e = set_table(n, BIT(TYPER_DEVICE_BITS(typer)));
        else if (type == BASER_COLLECTIONS)
            e = set_table(n, MAX_CPUS);
    }
    return e;
}

static enum kerr set_queue(void)
{
    u32 order;

    queue = table_alloc(QUEUE_SIZE, &order);
    if (queue == NULL)
        return K_NOMEM;
    queue_flush = !write_attributes(base + GITS_CBASER,
                                    BASER_VALID | ITS_CACHED | ITS_SHARED | ptr_to_hpa(queue).v |
                                        (QUEUE_SIZE / SZ_4K - 1),
                                    ITS_CACHE_FIELD, ITS_UNCACHED);
    mmio_write64(base + GITS_CWRITER, 0);
    written = 0;
    return K_OK;
}

/* One CPU's LPIs. The pending table's alignment is 64 KiB, its size a page. */
static enum kerr set_redistributor(u32 cpu)
{
    uintptr_t gicr = percpu[cpu].arch.gic_private - SZ_64K;
    u64 got;
    hpa_t pending;
    enum kerr e;

    if ((mmio_read32(gicr + GICR_CTLR) & GICR_CTLR_LPIS) != 0) {
        mmio_write32(gicr + GICR_CTLR, mmio_read32(gicr + GICR_CTLR) & ~(u32)GICR_CTLR_LPIS);
        if ((mmio_read32(gicr + GICR_CTLR) & GICR_CTLR_LPIS) != 0 ||
            !wait_for(gicr + GICR_CTLR, GICR_CTLR_RWP, 0))
            return K_BUSY; /* firmware's tables, which cannot be taken from it */
    }
    e = frames_alloc_run(align_up(PENDING_SIZE, PAGE_SIZE) / PAGE_SIZE,
                         align_up(PENDING_SIZE, PAGE_SIZE) / PAGE_SIZE, SZ_64K, &pending, &got);
    if (e != K_OK)
        return e;
    memset(hpa_to_ptr(pending), 0, got * PAGE_SIZE);
    arch_dcache_clean(hpa_to_ptr(pending), got * PAGE_SIZE);
    if (!write_attributes(gicr + GICR_PROPBASER,
                          ptr_to_hpa(properties).v | GICR_CACHED | GICR_SHARED | (LPI_BITS - 1),
                          GICR_CACHE_FIELD, GICR_UNCACHED))
        property_flush = true;
    (void)write_attributes(gicr + GICR_PENDBASER, PENDBASER_ZERO | pending.v | GICR_CACHED | GICR_SHARED,
                           GICR_CACHE_FIELD, GICR_UNCACHED);
    dsb(sy);
    mmio_write32(gicr + GICR_CTLR, mmio_read32(gicr + GICR_CTLR) | (u32)GICR_CTLR_LPIS);
    dsb(sy);
    target[cpu] = (typer & TYPER_PTA) != 0 ? gicr : GICR_TYPER_NUMBER(mmio_read64(gicr + GICR_TYPER)) << 16;
    return K_OK;
}

static enum kerr set_redistributors(void)
{
    u32 order;
    enum kerr e = K_OK;

    properties = table_alloc(BIT(LPI_BITS) - LPI_FIRST, &order);
    if (properties == NULL)
        return K_NOMEM;
    memset(properties, LPI_PROPERTY, BIT(LPI_BITS) - LPI_FIRST);
    arch_dcache_clean(properties, BIT(LPI_BITS) - LPI_FIRST);
    for (u32 i = 0; i < cpu_count && e == K_OK; i++)
        e = set_redistributor(i);
    return e;
}

static enum kerr map_collections(void)
{
    enum kerr e = K_OK;

    for (u32 i = 0; i < cpu_count && e == K_OK; i++) {
        struct command c[] = { { { ITS_MAPC, 0, BASER_VALID | target[i] | i, 0 } },
                               { { ITS_INVALL, 0, i, 0 } },
                               sync(i) };

        e = run(c, ARRAY_SIZE(c));
    }
    return e;
}

enum kerr its_init(u64 at, bool is_not_coherent)
{
    enum kerr e = arch_map_device(HPA(at), ITS_SIZE);

    if (e != K_OK)
        return e;
    base = at;
    not_coherent = is_not_coherent;
    mmio_write32(base + GITS_CTLR, mmio_read32(base + GITS_CTLR) & ~(u32)CTLR_ENABLED);
    if (!wait_for(base + GITS_CTLR, CTLR_QUIESCENT, CTLR_QUIESCENT))
        return K_TIMEOUT;
    typer = mmio_read64(base + GITS_TYPER);
    e = set_redistributors();
    if (e == K_OK)
        e = set_tables();
    if (e == K_OK)
        e = set_queue();
    if (e != K_OK)
        return e;
    mmio_write32(base + GITS_CTLR, mmio_read32(base + GITS_CTLR) | CTLR_ENABLED);
    return map_collections();
}
