/* SPDX-License-Identifier: Apache-2.0 */
/* What vits.c (registers, tables, translation) and vits_cmd.c (commands) share. Internal. */
#ifndef IRQ_INJECT_VITS_STATE_H
#define IRQ_INJECT_VITS_STATE_H

#include "irq/inject/vgic_state.h"
#include "irq/inject/vits.h"

#define VITS_CACHE_SIZE 64U /* a power of two */
#define VITS_TABLE_DEVICES 0U
#define VITS_TABLE_COLLECTIONS 1U

#define CREADR_STALLED BIT(0) /* and in CWRITER: Retry */

/* Entries of the tables; they are as the fields of the commands. */
#define VITS_VALID BIT(63)
#define DTE_ITT(e) GPA((e)&GENMASK(51, 8))
#define DTE_EVENT_BITS(e) ((u32)FIELD_GET(e, 4, 0) + 1)
#define ITE_INTID(e) ((u32)FIELD_GET(e, 47, 16))
#define ITE_COLLECTION(e) ((u32)FIELD_GET(e, 15, 0))
#define ITE(intid, collection) (VITS_VALID | FIELD_PREP(intid, 47, 16) | (collection))
#define CTE_TARGET(e) FIELD_GET(e, 50, 16)

struct vits {
    struct vm *vm;
    u32 enabled; /* atomic */

    /* Atomic: 0, or 1 + the vCPU that carries out commands. It alone changes `creadr` and what is mapped, and
     * the registers that say where tables and queue are change only while nobody does. */
    u32 worker;
    u64 cbaser, cwriter, creadr; /* atomic; creadr with its Stalled bit */
    u64 baser[VITS_BASERS];      /* atomic */

    /* Translations: 1 + vCPU | INTID << 16 | event << 32 | device << 48, or 0. */
    u64 cache[VITS_CACHE_SIZE]; /* atomic */
    u32 map_gen;                /* atomic: counts changes of what is mapped */
};

/* An LPI's destination. */
struct vits_target {
    struct vcpu *vcpu;
    u32 lpi;
};

/* Whoever changed what is mapped calls one of these before the next step. */
void vits_forget(struct vits *its, u32 device_id, u32 event_id);
void vits_forget_all(struct vits *its);

/* Where the entry of an ID in one of the two tables is; false: the table has none. */
bool vits_table_entry(const struct vits *its, u32 n, u32 id, gpa_t *out);
/* Where a mapped device has its event's entry. */
bool vits_event_entry(const struct vits *its, u32 device_id, u32 event_id, gpa_t *out);
/* The vCPU that a collection is mapped to, or NULL. */
struct vcpu *vits_collection(const struct vits *its, u32 id);
/* False: the event is not mapped, or its collection is not. */
bool vits_lookup(const struct vits *its, u32 device_id, u32 event_id, struct vits_target *t);

/* False where there is no memory (that may be written). */
bool vits_load(const struct vits *its, gpa_t at, u64 *entry);
bool vits_store(const struct vits *its, gpa_t at, u64 entry);

/* Makes v the worker, where nobody is. */
MUST_USE bool vits_claim(struct vcpu *v, struct vits *its);
/* vits_cmd.c: carries out what is in the queue, or sees that it is done. */
void vits_run(struct vcpu *v, struct vits *its);

#endif
