/* SPDX-License-Identifier: Apache-2.0 */
/* LSR must not contradict itself, and the interrupt line must be what IIR says. */
#include "tests/fuzz/fuzz_serial.h"
#include "vdev/uart/ns16550.h"

static u64 rd(const struct bus_region *r, u64 offset) { return r->ops->read(r->ctx, NULL, offset, 1); }

static void check(const struct bus_region *r, bool was)
{
    u64 iir = rd(r, 2), lsr;

    if (was != !(iir & 1)) /* reading it may lower the line */
        abort();
    lsr = rd(r, 5);
    if ((lsr & 0x60) != 0 && (lsr & 0x60) != 0x60)
        abort();
    if ((lsr & 0x10) && !(lsr & 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct serial_target target = {
        .model = &ns16550_model, .regs = &ns16550_regs, .base = NS16550_BASE, .mostly = 7, .check = check
    };

    fuzz_serial(&target, data, size);
    return 0;
}
