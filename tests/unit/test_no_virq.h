/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs without an interrupt controller, and VMs whose end nobody has to hear of. virq_pending() is the test's. */
#ifndef TESTS_UNIT_TEST_NO_VIRQ_H
#define TESTS_UNIT_TEST_NO_VIRQ_H

#include "core/vcpu.h"
#include "core/virq.h"
#include "core/vm.h"

void virq_save(struct vcpu *v) { (void)v; }
void virq_load(struct vcpu *v) { (void)v; }
void virq_flush(struct vcpu *v) { (void)v; }
void virq_reset_sys(struct vcpu *v) { (void)v; }
void virq_hold_point(struct vcpu *v) { (void)v; }
void virq_more(struct vcpu *v) { (void)v; }
void virq_off(struct vcpu *v) { (void)v; }
void vm_ended(struct vm *which) { (void)which; }

#endif
