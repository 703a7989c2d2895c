/* SPDX-License-Identifier: Apache-2.0 */
/* A VM without a machine beneath it, for PSCI's unit test and fuzz target: the calls that PSCI makes
 * are recorded. */
#ifndef TESTS_UNIT_TEST_PSCI_H
#define TESTS_UNIT_TEST_PSCI_H

#include <string.h>

#include "arch/guest_events.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "lib/checked.h"

#define FAKE_VCPUS 4U
#define FAKE_RAM_BASE 0x40000000UL
#define FAKE_RAM_SIZE 0x04000000UL

static struct {
    u32 waits, ends;
    enum vm_end end;
    u32 requests[FAKE_VCPUS]; /* work asked for, or-ed */
    int workaround[4];
} fake;

static struct vm fake_vm;
static struct vcpu fake_vcpus[FAKE_VCPUS];
static u64 fake_stolen[FAKE_VCPUS];

int arch_smccc_workaround(u32 which) { return fake.workaround[which]; }

void vcpu_request(struct vcpu *v, u32 work) { fake.requests[v->id] |= work; }

void vcpu_wait_for_interrupt(struct vcpu *v)
{
    (void)v;
    fake.waits++;
}

void vm_end(struct vm *vm, enum vm_end how, const char *reason)
{
    (void)vm, (void)reason;
    fake.ends++;
    fake.end = how;
}

void *vm_mem(struct vm *vm, gpa_t gpa, u64 size, bool write)
{
    static char byte;

    (void)vm, (void)write;
    return range_within(gpa.v, size, FAKE_RAM_BASE, FAKE_RAM_SIZE) ? &byte : NULL;
}

/* vCPU 0 runs, the others are off. */
static void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    memset(&fake_vm, 0, sizeof(fake_vm));
    memset(fake_vcpus, 0, sizeof(fake_vcpus));
    spin_init(&fake_vm.lock, LOCK_RANK_VM);
    fake_vm.vcpu_count = FAKE_VCPUS;
    for (u32 i = 0; i < FAKE_VCPUS; i++) {
        fake_vcpus[i].id = i;
        fake_vcpus[i].vm = &fake_vm;
        fake_vcpus[i].stolen_ns = &fake_stolen[i];
        fake_vcpus[i].power = i == 0 ? VCPU_ON : VCPU_OFF;
        fake_vm.vcpu[i] = &fake_vcpus[i];
    }
}

#endif
