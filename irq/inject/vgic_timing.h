/* SPDX-License-Identifier: Apache-2.0 */
/* How long a VM's interrupts take from being raised until the guest is entered with them, by kind. Off until it is
 * asked for: the usual paths then pay nothing, as what is tested there anyway says no while it is on. */
#ifndef IRQ_INJECT_VGIC_TIMING_H
#define IRQ_INJECT_VGIC_TIMING_H

#include "lib/err.h"
#include "lib/types.h"
#include "observe/latency.h"

struct vm;

enum vgic_kind { VGIC_TIMER, VGIC_IPI, VGIC_DEVICE, VGIC_LPI, VGIC_KINDS };

/* Thread context, one caller at a time; the VM stays meanwhile. What was measured stays when it is turned off. */
MUST_USE enum kerr vgic_timing_set(struct vm *vm, bool on);
bool vgic_timing_on(const struct vm *vm);
void vgic_timing_clear(struct vm *vm);
/* False: it was never on. */
bool vgic_timing_get(const struct vm *vm, enum vgic_kind kind, struct latency *out);

#endif
