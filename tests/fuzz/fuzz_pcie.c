/* SPDX-License-Identifier: Apache-2.0 */
/* Functions and bridges of any shape behind the host bridge: what is placed must be reached, alone and aligned. Or a host
 * bridge that answers at random: finding out what is there must end. */
#include "tests/unit/test_pcie_machine.h"

static const uint8_t *input;
static size_t left;

static u32 next(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static u32 random_read(void *arg, u16 rid, u32 offset, u32 size)
{
    (void)arg, (void)rid, (void)offset, (void)size;
    host_clock_advance(1000000);
    if (left < 4)
        return ~0U;
    return next() | next() << 8 | next() << 16 | next() << 24;
}

static void random_write(void *arg, u16 rid, u32 offset, u32 size, u32 value)
{
    (void)arg, (void)rid, (void)offset, (void)size, (void)value;
}

static const struct pcie_config_ops random_ops = { random_read, random_write };

static void wait(void) { host_clock_advance(100000000); }

static void add_one(void)
{
    u32 what = next(), at = next(), flags;
    int parent = fake_count != 0 && (what & 0xf) < fake_count ? (int)(what & 0xf) : FAKE_ROOT, i;

    if (parent != FAKE_ROOT && !is_bridge(&fakes[parent]))
        parent = FAKE_ROOT;
    i = (what & 0x10) != 0 ? fake_bridge(parent, (u8)(at & 31), (what & 0x20) != 0)
                           : fake_add(parent, (u8)(at & 31), (u8)(at >> 5), 1);
    if ((what & 0x40) != 0)
        fakes[i].config[CFG_HEADER_TYPE] |= HEADER_MULTIFUNCTION;
    for (u32 bar = 0; bar < next() % 8 && bar < PCIE_BARS; bar++) {
        flags = next();
        if ((flags & 0x40) != 0)
            fakes[i].bar_mask[bar] = next() << 24 | next() << 12;
        else
            fake_bar(i, bar, 1UL << next() % 64, flags & BAR_FLAGS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    host_events_reset();
    fake_reset();
    host_hooks.wait = wait;
    input = data;
    left = size;
    if (next() == 0xff) {
        host.ops = &random_ops;
        (void)pcie_enumerate(&host);
        return 0;
    }
    while (left != 0 && fake_count < 16)
        add_one();
    (void)pcie_enumerate(&host);
    check_places();
    return 0;
}
