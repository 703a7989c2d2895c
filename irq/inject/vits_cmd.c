/* SPDX-License-Identifier: Apache-2.0 */
/* The ITS's command queue (IHI 0069 5.3). One vCPU at a time carries out commands: the one that found them, in the
 * register write that made them known. After a batch it lets interrupts in, and goes on before it enters its
 * guest again. A command that is wrong has no effect (5.3.2 allows that). */
#include "core/virq.h"
#include "irq/inject/vgic_lpi.h"
#include "irq/inject/vits_state.h"

#define COMMAND_SIZE 32U
#define CBASER_SIZE(cbaser) (((cbaser & 0xff) + 1) * SZ_4K)
#define BATCH 12U      /* simple commands, each of which may look into the guest's tables */
#define COST_RECALL 4U /* of one that waits for another vCPU to put its list registers into memory */

enum {
    CMD_MOVI = 0x01,
    CMD_INT = 0x03,
    CMD_CLEAR = 0x04,
    CMD_SYNC = 0x05,
    CMD_MAPD = 0x08,
    CMD_MAPC = 0x09,
    CMD_MAPTI = 0x0a,
    CMD_MAPI = 0x0b,
    CMD_INV = 0x0c,
    CMD_INVALL = 0x0d,
    CMD_MOVALL = 0x0e,
    CMD_DISCARD = 0x0f,
};

struct command {
    u64 word[COMMAND_SIZE / sizeof(u64)];
};

#define DEVICE(c) ((u32)((c)->word[0] >> 32))
#define EVENT(c) ((u32)(c)->word[1])
#define INTID(c) ((u32)((c)->word[1] >> 32))
#define COLLECTION(c) ((u32)(c)->word[2] & 0xffffU)
#define TARGET(word) FIELD_GET(word, 50, 16)

static void mapd(struct vits *its, const struct command *c)
{
    u64 dte = (c->word[2] & (VITS_VALID | GENMASK(51, 8))) | (c->word[1] & 0x1f);
    gpa_t at;

    if (DEVICE(c) >> VITS_DEVICE_BITS != 0 || !vits_table_entry(its, VITS_TABLE_DEVICES, DEVICE(c), &at))
        return;
    if (!(dte & VITS_VALID))
        dte = 0;
    else if (DTE_EVENT_BITS(dte) > VITS_EVENT_BITS)
        return;
    if (vits_store(its, at, dte))
        vits_forget_all(its);
}

static void mapc(struct vits *its, const struct command *c)
{
    u64 cte = c->word[2] & (VITS_VALID | GENMASK(50, 16));
    gpa_t at;

    if (!vits_table_entry(its, VITS_TABLE_COLLECTIONS, COLLECTION(c), &at))
        return;
    if (!(cte & VITS_VALID))
        cte = 0;
    else if (TARGET(cte) >= its->vm->vcpu_count)
        return;
    if (vits_store(its, at, cte))
        vits_forget_all(its);
}

static void mapti(struct vits *its, const struct command *c, u32 intid)
{
    gpa_t at, collection;

    if (intid < VGIC_LPI_FIRST || intid >> VGIC_ID_BITS != 0 ||
        !vits_table_entry(its, VITS_TABLE_COLLECTIONS, COLLECTION(c), &collection) ||
        !vits_event_entry(its, DEVICE(c), EVENT(c), &at))
        return;
    if (vits_store(its, at, ITE(intid, COLLECTION(c))))
        vits_forget(its, DEVICE(c), EVENT(c));
}

/* Who brings an interrupt about in between finds the old target or the new one. */
static void movi(struct vcpu *v, struct vits *its, const struct command *c)
{
    struct vcpu *to = vits_collection(its, COLLECTION(c));
    struct vits_target t;
    gpa_t at;

    if (!to || !vits_lookup(its, DEVICE(c), EVENT(c), &t) ||
        !vits_event_entry(its, DEVICE(c), EVENT(c), &at) || !vits_store(its, at, ITE(t.lpi, COLLECTION(c))))
        return;
    vits_forget(its, DEVICE(c), EVENT(c));
    vgic_lpi_move(v, t.vcpu, to, t.lpi);
}

static void discard(struct vcpu *v, struct vits *its, const struct command *c)
{
    struct vits_target t;
    gpa_t at;

    if (!vits_lookup(its, DEVICE(c), EVENT(c), &t) || !vits_event_entry(its, DEVICE(c), EVENT(c), &at) ||
        !vits_store(its, at, 0))
        return;
    vits_forget(its, DEVICE(c), EVENT(c));
    vgic_lpi_clear(v, t.vcpu, t.lpi);
}

static void movall(struct vcpu *v, const struct vits *its, const struct command *c)
{
    u64 from = TARGET(c->word[2]), to = TARGET(c->word[3]);

    if (from < its->vm->vcpu_count && to < its->vm->vcpu_count)
        vgic_lpi_move_all(v, its->vm->vcpu[from], its->vm->vcpu[to]);
}

/* All but INT. Returns what it cost, of BATCH. SYNC has nothing to wait for. */
static COLD u32 execute(struct vcpu *v, struct vits *its, const struct command *c)
{
    struct vits_target t;
    struct vcpu *all;

    switch (c->word[0] & 0xff) {
    case CMD_MAPD: mapd(its, c); return 1;
    case CMD_MAPC: mapc(its, c); return 1;
    case CMD_MAPTI: mapti(its, c, INTID(c)); return 1;
    case CMD_MAPI: mapti(its, c, EVENT(c)); return 1;
    case CMD_MOVI: movi(v, its, c); return COST_RECALL;
    case CMD_DISCARD: discard(v, its, c); return COST_RECALL;
    case CMD_CLEAR:
        if (vits_lookup(its, DEVICE(c), EVENT(c), &t))
            vgic_lpi_clear(v, t.vcpu, t.lpi);
        return COST_RECALL;
    case CMD_INV:
        if (vits_lookup(its, DEVICE(c), EVENT(c), &t))
            vgic_lpi_configured(v, t.vcpu, t.lpi);
        return COST_RECALL;
    case CMD_INVALL:
        all = vits_collection(its, COLLECTION(c));
        if (all)
            vgic_lpi_configured_all(v, all);
        return BATCH;
    case CMD_MOVALL: movall(v, its, c); return BATCH;
    default: return 1;
    }
}

/* A batch by itself. */
static bool is_about_all(const struct command *c)
{
    u64 code = c->word[0] & 0xff;

    return code == CMD_INVALL || code == CMD_MOVALL;
}

/* Where the queue is not in memory, the ITS stalls there until it is told to try again. */
static COLD void stall(struct vits *its, u64 creadr)
{
    __atomic_store_n(&its->creadr, creadr | CREADR_STALLED, __ATOMIC_SEQ_CST);
}

/* Something to do, and no reason not to. An offset beyond the queue is none. */
static inline bool runnable(const struct vits *its)
{
    u64 cwriter = vgic_load64(&its->cwriter), creadr = __atomic_load_n(&its->creadr, __ATOMIC_RELAXED);
    u64 cbaser = __atomic_load_n(&its->cbaser, __ATOMIC_RELAXED);

    return creadr != cwriter && (cbaser & VITS_VALID) && __atomic_load_n(&its->enabled, __ATOMIC_RELAXED) &&
           !(creadr & CREADR_STALLED) && cwriter < CBASER_SIZE(cbaser);
}

/* As the worker. False: there is more. */
static inline bool run_batch(struct vcpu *v, struct vits *its)
{
    u64 cbaser = its->cbaser, at = __atomic_load_n(&its->creadr, __ATOMIC_RELAXED);

    for (u32 done = 0; runnable(its);) {
        const u64 *p;
        struct command c;
        u32 visit;

        if (unlikely(done >= BATCH))
            return false;
        visit = vm_enter(its->vm);
        p = vm_mem(its->vm, GPA((cbaser & GENMASK(51, 16)) + at), COMMAND_SIZE, false);
        for (u32 i = 0; likely(p != NULL) && i < ARRAY_SIZE(c.word); i++)
            c.word[i] = __atomic_load_n(&p[i], __ATOMIC_RELAXED);
        vm_leave(its->vm, visit);
        if (unlikely(!p)) {
            stall(its, at);
            return true;
        }
        if (likely((c.word[0] & 0xff) == CMD_INT)) {
            vits_msi(its->vm, DEVICE(&c), EVENT(&c));
            done++;
        } else if (done != 0 && is_about_all(&c)) {
            return false;
        } else {
            done += execute(v, its, &c);
        }
        at += COMMAND_SIZE;
        if (unlikely(at >= CBASER_SIZE(cbaser)))
            at = 0;
        __atomic_store_n(&its->creadr, at, __ATOMIC_SEQ_CST);
    }
    return true;
}

/* A writer of CWRITER writes, then looks for a worker; the worker stops to be one, then looks at CWRITER. */
void vits_run(struct vcpu *v, struct vits *its)
{
    while (runnable(its)) {
        if (!vits_claim(v, its))
            return;
        if (!run_batch(v, its)) {
            __atomic_fetch_or(&v->work, WORK_MORE, __ATOMIC_SEQ_CST);
            return;
        }
        __atomic_store_n(&its->worker, 0, __ATOMIC_SEQ_CST);
    }
}

void virq_more(struct vcpu *v)
{
    struct vits *its = v->vgic->vgic->its;

    if (its && __atomic_load_n(&its->worker, __ATOMIC_SEQ_CST) == v->id + 1) {
        __atomic_store_n(&its->worker, 0, __ATOMIC_SEQ_CST);
        vits_run(v, its);
    } else if (v->vgic->lpi_left != 0) {
        vgic_lpi_more(v->vgic);
    } else {
        virq_flush(v);
        return;
    }
    __atomic_fetch_or(&v->work, WORK_MORE, __ATOMIC_SEQ_CST); /* interrupts are let in before the rest */
}
