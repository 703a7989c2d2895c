/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of an 82574: any register, any descriptor, while frames come and time goes by. */
#include "tests/unit/test_e1000e_machine.h"

struct record {
    u8 op, where;
    u16 offset;
    u32 value;
};

/* Where something happens. */
static const u32 places[] = { 0x0000, 0x0018, 0x0020, 0x00c0, 0x00c8, 0x00d0, 0x00d8, 0x00dc,
                              0x00e0, 0x00e4, 0x00e8, 0x0100, 0x0400, 0x2170, 0x2800, 0x2804,
                              0x2808, 0x2810, 0x2818, 0x3800, 0x3808, 0x3810, 0x3818, 0x5000,
                              0x5008, 0x5200, 0x5400, 0x5404, 0x5600, 0x0038, 0x0014, 0x4074 };

static void begin(void)
{
    wr(0x3800, RAM_BASE + 0x1000);
    wr(0x3808, 0x100);
    wr(0x2800, RAM_BASE + 0x2000);
    wr(0x2808, 0x100);
    for (u32 i = 0; i < 16; i++) {
        u64 addr[2] = { RAM_BASE + 0x8000 + i * 0x800, 0 };

        memcpy(ram + 0x2000 + i * 16, addr, 16);
        addr[1] = 60 | 0x09UL << 24;
        memcpy(ram + 0x1000 + i * 16, addr, 16);
    }
    wr(0x0400, 2);
    wr(0x0100, 2 | 0x18);
    wr(0x2818, 15);
}

static void arrives(u32 len, u32 flags)
{
    static unsigned char bytes[9018];
    struct net_vec vec[2] = { { bytes, NET_HEAD_SIZE }, { bytes + NET_HEAD_SIZE, 0 } };
    struct net_frame f = { .vec = vec, .vecs = 1, .len = len };
    enum kerr e;

    bytes[12] = flags & 1 ? 0x81 : 8;
    bytes[14] = (unsigned char)(flags >> 8);
    bytes[15] = (unsigned char)(flags >> 16);
    f.csum_good = flags & 2;
    if (len <= NET_HEAD_SIZE) {
        vec[0].len = len;
    } else {
        vec[1].len = len - NET_HEAD_SIZE;
        f.vecs = 2;
    }
    if (!port_open)
        return;
    e = port->ops->receive(port, &f);
    port->ops->flush(port);
    (void)e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine_make();
    if (!reg_block_valid(&e1000e_regs))
        abort();
    begin();
    for (; size >= sizeof(struct record); data += sizeof(struct record), size -= sizeof(struct record)) {
        struct record r;

        memcpy(&r, data, sizeof(r));
        switch (r.op & 7) {
        case 0: memcpy(ram + 0x1000 + (r.offset & 0x1ffc), &r.value, 4); break;
        case 1: wr(places[r.where % ARRAY_SIZE(places)], r.value); break;
        case 2: wr(r.offset << 2 & 0x1fffc, r.value); break;
        case 3:
            (void)rd(r.op & 0x80 ? (u32)r.offset << 2 & 0x1fffcU : places[r.where % ARRAY_SIZE(places)]);
            break;
        case 4: arrives(14 + r.value % 9000, r.value >> 8); break;
        case 5: host_clock_advance(r.value & 0xffff); break;
        case 6:
            if (r.op & 0x80)
                config_set(r.offset & 0x7c, r.value);
            else
                worker_kicked = true;
            break;
        default:
            wr(0x3818, r.value & 15);
            wr(0x2818, r.value >> 8 & 15);
            break;
        }
        run_worker();
        if (worker->halt != 0)
            abort();
    }
    machine_drop();
    return 0;
}
