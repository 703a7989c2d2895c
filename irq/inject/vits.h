/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual Interrupt Translation Service (IHI 0069 chapter 5 and 12.18 to 12.20): which device's event is
 * which LPI for which vCPU. As in hardware, what is mapped lies in the tables that the guest supplied, and
 * nowhere else; here are the registers and a cache of translations. The register window is in vdev/gic/. */
#ifndef IRQ_INJECT_VITS_H
#define IRQ_INJECT_VITS_H

#include "lib/types.h"

struct vcpu;
struct vits;
struct vm;

#define VITS_DEVICE_BITS 16U
#define VITS_EVENT_BITS 16U
#define VITS_ENTRY_SIZE 8U /* of every table */
#define VITS_BASERS 2U     /* devices, collections */

/* With vm->vgic; NULL: out of memory. */
MUST_USE struct vits *vits_create(struct vm *vm);
void vits_destroy(struct vits *its); /* may be NULL */
void vits_reset(struct vits *its);   /* all vCPUs parked */

/* A device of vm wrote event_id to GITS_TRANSLATER. What is not mapped is lost. Any context, no lock is
 * taken; reads guest memory where the translation is not in the cache. */
void vits_msi(struct vm *vm, u32 device_id, u32 event_id);

/* Registers; v is the accessing vCPU, current, interrupts masked, no lock held. mask: bits that are written.
 * Commands run in the write that makes them known, the first few at least; the others before v is in its
 * guest again. */
u32 vits_ctlr_read(const struct vits *its);
void vits_ctlr_write(struct vcpu *v, struct vits *its, u32 value);
u64 vits_typer(void);
u64 vits_cbaser_read(const struct vits *its);
void vits_cbaser_write(struct vcpu *v, struct vits *its, u64 value, u64 mask);
u64 vits_cwriter_read(const struct vits *its);
void vits_cwriter_write(struct vcpu *v, struct vits *its, u64 value, u64 mask);
u64 vits_creadr_read(const struct vits *its);
u64 vits_baser_read(const struct vits *its, u32 n);
void vits_baser_write(struct vcpu *v, struct vits *its, u32 n, u64 value, u64 mask);

struct vits *vits_of(const struct vm *vm);

#endif
