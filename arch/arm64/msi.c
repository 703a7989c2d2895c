/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of messages: a slot each, which is an LPI, or an SPI of a GICv2m frame. */
#include "arch/arm64/msi.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/gic.h"
#include "arch/irq.h"
#include "arch/mmu.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/mmio.h"

#define V2M_TYPER 0x8
#define V2M_SETSPI 0x40
#define V2M_BASE(typer) ((u32)FIELD_GET(typer, 25, 16))
#define V2M_COUNT(typer) ((u32)FIELD_GET(typer, 9, 0))
#define VECTORS_MAX 64U

struct slot {
    void (*fn)(void *arg); /* atomic; NULL: none */
    void *arg;
    const char *name;
    u64 count; /* these two: its CPU writes them */
    u32 running;
    u32 cpu, device;
    bool used;
};

struct msi_device {
    u32 id, vectors, bits;
    void *table;
    u32 order;
    u16 slot[VECTORS_MAX]; /* one more than its number; 0: none */
};

static struct slot *slots; /* NULL: no messages here */
static RO_AFTER_INIT u32 slot_count, first_intid;
static RO_AFTER_INIT u64 v2m;
static struct spinlock slot_lock = SPINLOCK_INIT(LOCK_RANK_MMU);

static bool by_its(void) { return v2m == 0; }

static enum kerr v2m_init(const struct msi_params *p)
{
    u32 typer;
    enum kerr e = arch_map_device(HPA(p->v2m), p->v2m_size);

    if (e != K_OK)
        return e;
    typer = mmio_read32(p->v2m + V2M_TYPER);
    first_intid = V2M_BASE(typer);
    slot_count = (u32)min_u64(V2M_COUNT(typer), MSI_SLOTS);
    if (first_intid < 32 || slot_count == 0 || first_intid + slot_count > 1020)
        return K_UNSUPPORTED;
    v2m = p->v2m;
    return K_OK;
}

void msi_init(const struct msi_params *p)
{
    enum kerr e;

    if (p->its == 0 && p->v2m == 0)
        return;
    if (p->its != 0 && !arch_gic_is_v2()) {
        e = its_init(p->its, p->not_coherent);
        first_intid = LPI_FIRST;
        slot_count = MSI_SLOTS;
    } else {
        e = p->v2m != 0 ? v2m_init(p) : K_UNSUPPORTED;
    }
    if (e == K_OK) {
        slots = heap_alloc(slot_count * sizeof(*slots));
        e = slots != NULL ? K_OK : K_NOMEM;
    }
    if (e != K_OK)
        log_warn("messages as interrupts cannot be had: %s", kerr_str(e));
}

bool arch_msi_present(void) { return slots != NULL; }

bool msi_irq(u32 intid)
{
    struct slot *s;
    void (*fn)(void *arg);

    if (slots == NULL || intid - first_intid >= slot_count)
        return false;
    s = &slots[intid - first_intid];
    __atomic_store_n(&s->running, 1, __ATOMIC_SEQ_CST);
    fn = __atomic_load_n(&s->fn, __ATOMIC_SEQ_CST);
    if (fn != NULL) {
        s->count++;
        fn(s->arg);
    }
    __atomic_store_n(&s->running, 0, __ATOMIC_RELEASE);
    return fn != NULL || by_its(); /* a stray LPI has no owner elsewhere */
}

static u32 slots_left(void)
{
    unsigned long flags = spin_lock_irq(&slot_lock);
    u32 n = 0;

    for (u32 i = 0; i < slot_count; i++)
        n += !slots[i].used;
    spin_unlock_irq(&slot_lock, flags);
    return n;
}

enum kerr arch_msi_device_create(u32 device_id, u32 vectors, struct msi_device **out)
{
    struct msi_device *d;
    enum kerr e = K_OK;

    if (slots == NULL)
        return K_UNSUPPORTED;
    if (vectors == 0 || vectors > VECTORS_MAX || vectors > slots_left())
        return K_FULL;
    d = heap_alloc(sizeof(*d));
    if (d == NULL)
        return K_NOMEM;
    d->id = device_id;
    d->vectors = vectors;
    d->bits = (u32)max_u64(log2_ceil(vectors), 1);
    if (by_its())
        e = its_map_device(d->id, d->bits, &d->table, &d->order);
    if (e != K_OK)
        heap_free(d, sizeof(*d));
    else
        *out = d;
    return e;
}

void arch_msi_device_destroy(struct msi_device *d)
{
    for (u32 i = 0; i < d->vectors; i++)
        arch_msi_detach(d, i);
    if (by_its())
        its_unmap_device(d->id, d->bits, d->table, d->order);
    heap_free(d, sizeof(*d));
}

static struct slot *take_slot(u32 *number)
{
    unsigned long flags = spin_lock_irq(&slot_lock);
    struct slot *s = NULL;

    for (u32 i = 0; i < slot_count && s == NULL; i++)
        if (!slots[i].used) {
            s = &slots[i];
            *number = i;
        }
    if (s != NULL)
        s->used = true;
    spin_unlock_irq(&slot_lock, flags);
    return s;
}

static void give_slot_back(struct slot *s)
{
    unsigned long flags = spin_lock_irq(&slot_lock);

    s->name = NULL;
    s->used = false;
    spin_unlock_irq(&slot_lock, flags);
}

enum kerr arch_msi_attach(struct msi_device *d, u32 vector, u32 cpu, const char *name, void (*fn)(void *arg),
                          void *arg, struct msi_message *out)
{
    u32 number = 0;
    struct slot *s;
    enum kerr e = K_OK;

    if (vector >= d->vectors || cpu >= cpu_count)
        return K_RANGE;
    if (d->slot[vector] != 0)
        return K_EXIST;
    s = take_slot(&number);
    if (s == NULL)
        return K_FULL;
    s->arg = arg;
    s->name = name;
    s->cpu = cpu;
    s->device = d->id;
    s->count = 0;
    __atomic_store_n(&s->fn, fn, __ATOMIC_SEQ_CST);
    if (by_its()) {
        e = its_map_event(d->id, vector, first_intid + number, cpu);
        *out = (struct msi_message){ its_translater(), vector };
    } else {
        arch_irq_setup(first_intid + number, true, cpu);
        *out = (struct msi_message){ v2m + V2M_SETSPI, first_intid + number };
    }
    if (e != K_OK) {
        __atomic_store_n(&s->fn, NULL, __ATOMIC_SEQ_CST);
        give_slot_back(s);
        return e;
    }
    d->slot[vector] = (u16)(number + 1);
    return K_OK;
}

void arch_msi_detach(struct msi_device *d, u32 vector)
{
    u32 number;
    struct slot *s;

    if (vector >= d->vectors || d->slot[vector] == 0)
        return;
    number = d->slot[vector] - 1U;
    s = &slots[number];
    d->slot[vector] = 0;
    if (by_its())
        its_unmap_event(d->id, vector, first_intid + number);
    else
        arch_irq_mask(first_intid + number);
    __atomic_store_n(&s->fn, NULL, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&s->running, __ATOMIC_SEQ_CST) != 0) /* a handler: short */
        arch_relax();
    give_slot_back(s);
}

bool arch_msi_get(u32 i, struct msi_info *out)
{
    if (slots == NULL || i >= slot_count)
        return false;
    *out = (struct msi_info){ first_intid + i, slots[i].cpu, slots[i].device, slots[i].name, slots[i].count };
    return true;
}
