/* SPDX-License-Identifier: Apache-2.0 */
/* An 82576 of the host that writes anything into its rings and registers, at any time: what the driver hands on must be
 * a frame in a buffer of its own, and what it asks the device to send too. */
#include "tests/unit/test_igb_machine.h"

static const u8 *input;
static size_t left;

static u32 next(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static u32 next32(void) { return next() | next() << 8 | next() << 16 | next() << 24; }

static void send(void)
{
    static u8 bytes[FRAME_MAX];
    u32 what = next(), len = 14 + (next32() & 0xffff), head = 54;
    const struct net_vec vec[2] = { { bytes, head }, { bytes + head, len - head } };
    struct net_frame f = { .vec = vec, .vecs = 2, .len = len, .csum_start = 34, .csum_offset = 16 };

    memcpy(bytes + 12, "\x08\x00\x45", 3);
    if (len <= head) {
        f.vecs = 1;
        f.len = head;
    }
    f.csum = (what & 1) != 0;
    if ((what & 2) != 0 && len > head) {
        f.csum = true;
        f.gso = NET_GSO_TCP4;
        f.gso_size = (u16)next32();
        f.header_len = 54;
    }
    (void)igb_send(&igb->nic, &f);
}

static void act(u32 what)
{
    static u8 out[FRAME_MAX];
    union igb_desc context, data, *ring;

    switch (what & 0xf) {
    case 0:
    case 1:
    case 2: send(); break;
    case 3: igb_kick(&igb->nic); break;
    case 4:
    case 5: (void)device_sends(out, &context, &data); break;
    case 6:
        ring = ring_of(IGB_RDBAL) + next();
        ring->done.status = next32();
        ring->done.len = (u16)next32();
        break;
    case 7:
        ring_of(IGB_TDBAL)[next()].tx.status = next32();
        lies = true;
        break;
    case 8:
        for (u32 i = next(), end = i + next(); i < end; i++)
            device_receives(i, next32() & 0xfff, (u8)i, next() | 1);
        break;
    case 9: (void)run_worker(); break;
    case 10: irq[next() % (pci.msi != NULL ? 3 : 1)](igb); break;
    case 11: *reg(IGB_STATUS) = (what & 0x10) != 0 ? next32() : IGB_STATUS_LINK; break;
    case 12: *reg(IGB_ICR) = next32(); break;
    case 13: host_clock_advance(62500000UL * next() / 16); break;
    case 14: deaf = (what & 0x30) == 0x30; break;
    default: *reg(IGB_MDIC) = next32(); break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    input = data;
    left = size;
    if (!machine_up((next() & 1) != 0))
        abort();
    (void)run_worker();
    while (left != 0)
        act(next());
    (void)run_worker();
    return 0;
}
