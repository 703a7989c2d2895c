/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt line must always be what MIS says, and FR must not contradict itself. */
#include "tests/fuzz/fuzz_serial.h"
#include "vdev/uart/pl011.h"

static u64 rd(const struct bus_region *r, u64 offset) { return r->ops->read(r->ctx, NULL, offset, 4); }

static void check(const struct bus_region *r, bool level)
{
    u64 fr = rd(r, 0x18);

    if (level != (rd(r, 0x40) != 0) || rd(r, 0x40) != (rd(r, 0x3c) & rd(r, 0x38)))
        abort();
    if ((fr & 0x50) == 0x50 || (fr & 0xa0) == 0xa0 || !(fr & 0x80) != !!(fr & 0x08))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct serial_target target = {
        .model = &pl011_model, .regs = &pl011_regs, .base = PL011_BASE, .mostly = 0x4f, .check = check
    };

    fuzz_serial(&target, data, size);
    return 0;
}
