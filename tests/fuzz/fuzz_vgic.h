/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzzers of the virtual interrupt controller share: where their choices come from, and who runs where. */
#ifndef TESTS_FUZZ_FUZZ_VGIC_H
#define TESTS_FUZZ_FUZZ_VGIC_H

#include <stdlib.h>

#include "irq/inject/vgic_state.h"
#include "irq/inject/vgic_timing.h"
#include "tests/unit/test_vgic_machine.h"

struct input {
    const u8 *at, *end;
};

static u32 byte(struct input *in) { return in->at < in->end ? *in->at++ : 0; }

static u64 number(struct input *in, unsigned bytes)
{
    u64 v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (u64)byte(in) << (8 * i);
    return v;
}

static void require(bool truth)
{
    if (!truth)
        abort();
}

static inline u32 count_bits(const u64 *words)
{
    u32 n = 0;

    for (u32 w = 0; w < VGIC_WORDS; w++)
        n += (u32)__builtin_popcountll(words[w]);
    return n;
}

/* On another CPU, from which it drives away who runs there; or nowhere. */
static void place(struct input *in, u32 id)
{
    u32 cpu = byte(in) % VM_MAX_VCPUS;

    if (m.cpu[id] != NOWHERE)
        stop(id);
    if (cpu >= m.vm.vcpu_count)
        return;
    for (u32 other = 0; other < m.vm.vcpu_count; other++)
        if (m.cpu[other] == cpu)
            stop(other);
    vcpu(id)->power = VCPU_ON;
    start(id, cpu);
}

#endif
