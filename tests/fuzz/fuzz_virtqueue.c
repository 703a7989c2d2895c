/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that writes what it likes into a ring, split or packed, while the device takes chains out of it and gives
 * them back. Segments must be such that copies succeed or fail cleanly, and a broken queue must stay so. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test_virtio_driver.h"

static struct ring_driver d;

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

static void check(const struct vq_chain *c)
{
    u64 reads = 0, writes = 0;
    u64 bytes = 0;
    char buf[64];

    if (c->reads + c->writes > VQ_SEGMENTS_MAX || c->slots == 0 || c->slots > d.vq.size)
        abort();
    for (u32 i = 0; i < c->reads + c->writes; i++)
        *(i < c->reads ? &reads : &writes) += c->seg[i].len;
    if (reads != c->read_len || writes != c->write_len)
        abort();
    bytes = sizeof(buf);
    if (vq_copy_out(&d.vq, c, c->read_len / 2, buf, bytes) == K_OK && c->read_len - c->read_len / 2 < bytes)
        abort();
    if (vq_copy_in(&d.vq, c, c->write_len / 2, buf, bytes) == K_OK && c->write_len - c->write_len / 2 < bytes)
        abort();
}

static void device(void)
{
    static struct vq_chain c;
    bool broken = d.vq.broken;

    vq_silence(&d.vq);
    for (u32 n = 0; n < 4; n++) {
        enum kerr e = vq_pop(&d.vq, &c);

        if (broken && e != K_INVAL)
            abort();
        if (e != K_OK)
            break;
        check(&c);
        vq_push(&d.vq, &c, (u32)c.write_len);
    }
    (void)vq_publish(&d.vq);
    (void)vq_listen(&d.vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_DEVICE, DRIVER_TABLE };
    struct op op;

    if (size < 4 ||
        driver_start(&d, (data[0] & 1) != 0, (data[0] & 2) != 0 ? 8 : 4, (data[0] & 4) != 0) != K_OK)
        return 0;
    data++;
    size--;
    for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 4) {
        case 0: memcpy((char *)ram_at(&d, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 1: {
            u64 addr =
                (op.value & 1) != 0 ? DRIVER_RAM_BASE + op.value % DRIVER_RAM_SIZE : (u64)op.value << 16;

            memcpy((char *)ram_at(&d, areas[op.area % 4]) + op.offset % 16 * 16UL, &addr, 8);
            break;
        }
        case 2:
            driver_offer(&d, op.area % 3, op.offset % 3 + 1, op.offset >> 8 & 1, op.value % 64,
                         (op.value & 64) != 0);
            break;
        default: device(); break;
        }
    }
    device();
    return 0;
}
