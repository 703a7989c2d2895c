/* SPDX-License-Identifier: Apache-2.0 */
#include "irq/inject/vits.h"

#include <string.h>

#include "core/heap.h"
#include "irq/inject/vgic_lpi.h"
#include "irq/inject/vits_state.h"

#define CTLR_ENABLED BIT(0)
#define CTLR_QUIESCENT BIT(31)
#define TYPER_PHYSICAL BIT(0)

#define BASER_INDIRECT BIT(62)
#define BASER_TYPE_DEVICES 1UL
#define BASER_TYPE_COLLECTIONS 4UL
#define BASER_FIXED (GENMASK(58, 56) | GENMASK(52, 48))
#define BASER_PAGE_64K FIELD_PREP(2, 9, 8)

#define CBASER_WRITABLE                                                                                      \
    (BIT(63) | GENMASK(61, 59) | GENMASK(55, 53) | GENMASK(51, 16) | GENMASK(11, 10) | 0xffUL)
#define QUEUE_OFFSET GENMASK(19, 5)

/* --- guest memory --- */

bool vits_load(const struct vits *its, gpa_t at, u64 *entry)
{
    u32 visit = vm_enter(its->vm);
    const u64 *p = vm_mem(its->vm, at, sizeof(*p), false);

    if (p)
        *entry = __atomic_load_n(p, __ATOMIC_RELAXED);
    vm_leave(its->vm, visit);
    return p != NULL;
}

bool vits_store(const struct vits *its, gpa_t at, u64 entry)
{
    u32 visit = vm_enter(its->vm);
    u64 *p = vm_mem(its->vm, at, sizeof(*p), true);

    if (p) {
        __atomic_store_n(p, entry, __ATOMIC_RELAXED);
        vm_wrote(its->vm, at, sizeof(*p));
    }
    vm_leave(its->vm, visit);
    return p != NULL;
}

bool vits_table_entry(const struct vits *its, u32 n, u32 id, gpa_t *out)
{
    u64 baser = vgic_load64(&its->baser[n]), page = SZ_4K << 2 * min_u64(FIELD_GET(baser, 9, 8), 2);
    u64 base = baser & GENMASK(47, 12), slots = (FIELD_GET(baser, 7, 0) + 1) * page / VITS_ENTRY_SIZE;
    u64 per_page = page / VITS_ENTRY_SIZE, entry;

    if (!(baser & VITS_VALID))
        return false;
    if (page == SZ_64K) /* bits 15 to 12 are address bits 51 to 48 */
        base = (base & GENMASK(47, 16)) | FIELD_GET(baser, 15, 12) << 48;
    if (!(baser & BASER_INDIRECT)) {
        *out = GPA(base + (u64)id * VITS_ENTRY_SIZE);
        return id < slots;
    }
    if (id / per_page >= slots || !vits_load(its, GPA(base + id / per_page * sizeof(entry)), &entry) ||
        !(entry & VITS_VALID))
        return false;
    *out = GPA((entry & GENMASK(51, 12) & ~(page - 1)) + id % per_page * VITS_ENTRY_SIZE);
    return true;
}

bool vits_event_entry(const struct vits *its, u32 device_id, u32 event_id, gpa_t *out)
{
    gpa_t at;
    u64 dte;

    if (device_id >> VITS_DEVICE_BITS != 0 || !vits_table_entry(its, VITS_TABLE_DEVICES, device_id, &at) ||
        !vits_load(its, at, &dte) || !(dte & VITS_VALID) ||
        event_id >= BIT(min_u64(DTE_EVENT_BITS(dte), VITS_EVENT_BITS)))
        return false;
    *out = GPA(DTE_ITT(dte).v + (u64)event_id * VITS_ENTRY_SIZE);
    return true;
}

struct vcpu *vits_collection(const struct vits *its, u32 id)
{
    gpa_t at;
    u64 cte;

    if (!vits_table_entry(its, VITS_TABLE_COLLECTIONS, id, &at) || !vits_load(its, at, &cte) ||
        !(cte & VITS_VALID) || CTE_TARGET(cte) >= its->vm->vcpu_count)
        return NULL;
    return its->vm->vcpu[CTE_TARGET(cte)];
}

bool vits_lookup(const struct vits *its, u32 device_id, u32 event_id, struct vits_target *t)
{
    gpa_t at;
    u64 ite;

    if (!vits_event_entry(its, device_id, event_id, &at) || !vits_load(its, at, &ite) || !(ite & VITS_VALID))
        return false;
    /* The guest may have written what MAPTI would have refused. */
    t->lpi = ITE_INTID(ite);
    t->vcpu = vits_collection(its, ITE_COLLECTION(ite));
    return t->vcpu && t->lpi >= VGIC_LPI_FIRST && t->lpi >> VGIC_ID_BITS == 0;
}

/* --- translation --- */

static u64 *cache_slot(struct vits *its, u32 device_id, u32 event_id)
{
    return &its->cache[(event_id + device_id * 5) % VITS_CACHE_SIZE];
}

static u64 cache_key(u32 device_id, u32 event_id) { return (u64)device_id << 48 | (u64)event_id << 32; }

/* The table was changed before: a translation that was read before that is found here, or finds the count
 * changed when it has been put here. */
static void count_change(struct vits *its) { __atomic_fetch_add(&its->map_gen, 1, __ATOMIC_SEQ_CST); }

void vits_forget(struct vits *its, u32 device_id, u32 event_id)
{
    count_change(its);
    __atomic_store_n(cache_slot(its, device_id, event_id), 0, __ATOMIC_SEQ_CST);
}

void vits_forget_all(struct vits *its)
{
    count_change(its);
    for (u32 i = 0; i < VITS_CACHE_SIZE; i++)
        __atomic_store_n(&its->cache[i], 0, __ATOMIC_SEQ_CST);
}

static COLD void msi_miss(struct vits *its, u32 device_id, u32 event_id)
{
    u32 gen = __atomic_load_n(&its->map_gen, __ATOMIC_SEQ_CST);
    u64 *slot = cache_slot(its, device_id, event_id);
    struct vits_target t;

    if (!vits_lookup(its, device_id, event_id, &t))
        return;
    __atomic_store_n(slot, cache_key(device_id, event_id) | (u64)t.lpi << 16 | (t.vcpu->id + 1),
                     __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&its->map_gen, __ATOMIC_SEQ_CST) != gen)
        __atomic_store_n(slot, 0, __ATOMIC_SEQ_CST);
    vgic_lpi_raise(t.vcpu, t.lpi);
}

void vits_msi(struct vm *vm, u32 device_id, u32 event_id)
{
    struct vits *its = vm->vgic->its;
    u64 entry;

    if (unlikely(!its || !__atomic_load_n(&its->enabled, __ATOMIC_RELAXED) ||
                 device_id >> VITS_DEVICE_BITS != 0 || event_id >> VITS_EVENT_BITS != 0))
        return;
    entry = __atomic_load_n(cache_slot(its, device_id, event_id), __ATOMIC_RELAXED);
    if (likely((u16)entry != 0 && (entry ^ cache_key(device_id, event_id)) >> 32 == 0))
        vgic_lpi_raise(vm->vcpu[(u16)entry - 1], (u16)(entry >> 16));
    else
        msi_miss(its, device_id, event_id);
}

/* --- registers --- */

struct vits *vits_of(const struct vm *vm) { return vm->vgic->its; }

bool vits_claim(struct vcpu *v, struct vits *its)
{
    u32 nobody = 0;

    return __atomic_compare_exchange_n(&its->worker, &nobody, v->id + 1, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* Quiescent once it is disabled and no command is on its way. */
u32 vits_ctlr_read(const struct vits *its)
{
    bool enabled = __atomic_load_n(&its->enabled, __ATOMIC_RELAXED) != 0;

    return enabled ? CTLR_ENABLED : __atomic_load_n(&its->worker, __ATOMIC_RELAXED) ? 0 : (u32)CTLR_QUIESCENT;
}

void vits_ctlr_write(struct vcpu *v, struct vits *its, u32 value)
{
    __atomic_store_n(&its->enabled, (value & CTLR_ENABLED) != 0, __ATOMIC_SEQ_CST);
    vits_forget_all(its);
    vits_run(v, its);
}

/* Targets are numbers of processors (PTA 0), collections all in memory (HCC 0), their IDs of 16 bits (CIL 0). */
u64 vits_typer(void)
{
    return FIELD_PREP(VITS_DEVICE_BITS - 1, 17, 13) | FIELD_PREP(VITS_EVENT_BITS - 1, 12, 8) |
           FIELD_PREP(VITS_ENTRY_SIZE - 1, 7, 4) | TYPER_PHYSICAL;
}

static inline u64 merged(const u64 *reg, u64 value, u64 mask)
{
    return (__atomic_load_n(reg, __ATOMIC_RELAXED) & ~mask) | (value & mask);
}

u64 vits_cbaser_read(const struct vits *its) { return vgic_load64(&its->cbaser); }

/* UNPREDICTABLE while the ITS is not quiescent (12.19.4): ignored then. So is GITS_BASER. */
void vits_cbaser_write(struct vcpu *v, struct vits *its, u64 value, u64 mask)
{
    if (__atomic_load_n(&its->enabled, __ATOMIC_SEQ_CST) || !vits_claim(v, its))
        return;
    __atomic_store_n(&its->cbaser, merged(&its->cbaser, value, mask & CBASER_WRITABLE), __ATOMIC_SEQ_CST);
    __atomic_store_n(&its->creadr, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&its->cwriter, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&its->worker, 0, __ATOMIC_SEQ_CST);
}

u64 vits_cwriter_read(const struct vits *its) { return vgic_load64(&its->cwriter); }

/* An offset beyond the queue never matches CREADR: it stays without effect until a better one is written. */
void vits_cwriter_write(struct vcpu *v, struct vits *its, u64 value, u64 mask)
{
    if (value & mask & CREADR_STALLED) /* Retry */
        __atomic_fetch_and(&its->creadr, ~CREADR_STALLED, __ATOMIC_SEQ_CST);
    __atomic_store_n(&its->cwriter, merged(&its->cwriter, value, mask & QUEUE_OFFSET), __ATOMIC_SEQ_CST);
    vits_run(v, its);
}

u64 vits_creadr_read(const struct vits *its) { return vgic_load64(&its->creadr); }

u64 vits_baser_read(const struct vits *its, u32 n) { return vgic_load64(&its->baser[n]); }

void vits_baser_write(struct vcpu *v, struct vits *its, u32 n, u64 value, u64 mask)
{
    if (__atomic_load_n(&its->enabled, __ATOMIC_SEQ_CST) || !vits_claim(v, its))
        return;
    __atomic_store_n(&its->baser[n], merged(&its->baser[n], value, mask & ~BASER_FIXED), __ATOMIC_SEQ_CST);
    vits_forget_all(its);
    __atomic_store_n(&its->worker, 0, __ATOMIC_SEQ_CST);
}

struct vits *vits_create(struct vm *vm)
{
    struct vits *its = heap_alloc(sizeof(*its));

    if (its)
        its->vm = vm;
    return its;
}

void vits_destroy(struct vits *its) { heap_free(its, sizeof(*its)); }

void vits_reset(struct vits *its)
{
    *its = (struct vits){ .vm = its->vm };
    its->baser[VITS_TABLE_DEVICES] = FIELD_PREP(BASER_TYPE_DEVICES, 58, 56);
    its->baser[VITS_TABLE_COLLECTIONS] = FIELD_PREP(BASER_TYPE_COLLECTIONS, 58, 56);
    for (u32 n = 0; n < VITS_BASERS; n++)
        its->baser[n] |= FIELD_PREP(VITS_ENTRY_SIZE - 1, 52, 48) | BASER_PAGE_64K;
}
