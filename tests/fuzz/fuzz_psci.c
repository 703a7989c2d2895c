/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls with any arguments, by any vCPU, one after the other: function identifiers are drawn mostly from
 * where there are functions. */
#include <stdlib.h>

#include "tests/unit/test_psci.h"

struct record {
    u8 caller, function, flags, spare[5];
    u64 arg[3];
};

static void check(void)
{
    for (u32 i = 0; i < FAKE_VCPUS; i++) {
        const struct vcpu *v = &fake_vcpus[i];

        if (v->power > VCPU_ON_PENDING)
            abort();
        if (v->power == VCPU_ON_PENDING &&
            (v->start_entry.v < FAKE_RAM_BASE || v->start_entry.v >= FAKE_RAM_BASE + FAKE_RAM_SIZE))
            abort();
    }
}

/* What core/ does when the vCPU comes to its work check. */
static void finish_work(u32 i)
{
    if ((fake.requests[i] & WORK_RESET) && fake_vcpus[i].power == VCPU_ON_PENDING)
        fake_vcpus[i].power = VCPU_ON;
    fake.requests[i] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fake_reset();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        struct record r;
        u64 args[4], entered[4];
        u32 id;

        memcpy(&r, data, sizeof(r));
        id = (r.flags & 2 ? 0xc4000000U : 0x84000000U) | (r.function & 0x1fU);
        if (r.flags & 1)
            id = r.flags & 64 ? 0xc5000020U | (r.function & 3U) : (u32)r.arg[2];
        memcpy(args, (const u64[4]){ id, r.arg[0], r.arg[1], r.arg[2] }, sizeof(args));
        if (r.flags & 4)
            args[1] &= FAKE_VCPUS - 1;
        if (r.flags & 8)
            args[2] = FAKE_RAM_BASE | (args[2] & (FAKE_RAM_SIZE - 1));
        memcpy(entered, args, sizeof(args));

        guest_hypercall(&fake_vcpus[r.caller % FAKE_VCPUS], args);
        if (memcmp(args + 1, entered + 1, 3 * sizeof(args[0])) != 0)
            abort();
        check();
        if (id == 0xc5000021U && args[0] != 0x090a0000U + 64U * (r.caller % FAKE_VCPUS))
            abort();
        if (r.flags & 16)
            finish_work(r.caller % FAKE_VCPUS);
        if (r.flags & 32)
            finish_work((r.caller / FAKE_VCPUS) % FAKE_VCPUS);
    }
    return 0;
}
