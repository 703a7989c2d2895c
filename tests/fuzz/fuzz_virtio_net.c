/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of a network device that does anything: all its queues lie in the same memory, which it writes as it likes,
 * while others send to it. The device must keep to its memory, and a proper driver must be served again after a reset. */
#include "tests/unit/test_virtio_net_machine.h"

#define OFFERED                                                                                              \
    0x81c0000000ffbbafUL /* all that concerns the network: what is not offered is refused anyway */

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

static void up(u64 features)
{
    mmio_write(0x70, 0);
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE);
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    accept_features((features | (ring.packed ? 1UL << VIRTIO_F_RING_PACKED : 0)) & device_features());
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    for (u32 queue = 0; queue < 5; queue++)
        queue_set_up(queue, ring.size);
    mmio_write(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

static void check_alive(void)
{
    u32 len;
    u16 id;
    u8 frame[60] = { 0 };

    memset(ring.ram, 0, sizeof(ring.ram));
    ring.next = ring.last_used = 0;
    ring.wrap = ring.used_wrap = true;
    driver_up(NET_FEATURES, 0);
    driver_offer(&ring, 0, 0, 1, 256, false);
    peer_send(guest_mac, frame, sizeof(frame));
    if (!driver_take(&ring, &id, &len) || len != NET_HDR + sizeof(frame))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_TABLE, DRIVER_BUFFERS };
    static const u8 all[NET_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static u8 frame[2048];
    struct cfg_device cfg = net_cfg(2);
    struct op op;
    void *dev;

    if (size < 1)
        return 0;
    cfg.net.any_mac = (data[0] & 2) != 0;
    cfg.net.trunk[0] = 5;
    net_make(&cfg, (data[0] & 1) != 0, &dev);
    up(NET_FEATURES | ((data[0] & 4) != 0 ? OFFERED : 0) |
       ((data[0] & 8) != 0 ? 1UL << VIRTIO_F_EVENT_IDX : 0));
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 8) {
        case 0: mmio_write(op.offset % 0x200 & ~3U, op.value); break;
        case 1: (void)mmio_read(op.offset % 0x200 & ~7U, 1U << op.area % 4); break;
        case 2: memcpy((char *)ram_at(&ring, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 3:
            driver_offer(&ring, op.area % 3, op.value & 1, 1 + (op.value >> 1 & 1), op.value >> 16 & 2047,
                         op.area >= 128);
            break;
        case 4: notify(op.value % 6); break;
        case 5: peer_send((op.area & 1) != 0 ? all : guest_mac, frame, 60 + op.offset % 1400); break;
        case 6:
            memcpy((char *)ram_at(&ring, DRIVER_BUFFERS + op.area % 3 * 256U) + op.offset % 64, &op.value, 4);
            break;
        default: run_worker(); break;
        }
    }
    check_alive();
    net_unmake(dev);
    return 0;
}
