/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a guest, virtio on MMIO and PCI and the 82574L, as a driver reaches them. Structures of a virtio function lie
 * where Keel places them: a page each in BAR 0. */
#ifndef PAYLOAD_HOSTILE_IO_H
#define PAYLOAD_HOSTILE_IO_H

#include "tests/payload/rt.h"

#define DEVICES_MAX 12U
#define RING_SIZE 8U
#define QUEUES_SHOWN 4U
#define RINGS_SIZE (QUEUES_SHOWN * SZ_4K)
#define MEMORY_SIZE (8 * SZ_4K)
#define AT_RANDOM 15000UL
#define PCI_MEM 0x10000000UL
#define PCI_ECAM 0x3f000000UL
#define VIRTIO_MMIO 0x0a000000UL
#define NOWHERE 0x0b000000UL
#define BUFFER ((u64)memory + RINGS_SIZE)

enum { ID_NET = 1, ID_BLOCK = 2, ID_CONSOLE = 3, ID_RNG = 4, ID_VSOCK = 19, ID_NIC = 0x10d3 };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4, P_AVAIL = 0x80 };
#define NIC_RESET (1U << 26)
#define F_EVENT_IDX BIT(29)
#define F_PACKED BIT(34)

struct device {
    u32 id;
    u32 slot; /* 0: on MMIO */
    u32 bar;  /* BAR 0 */
    u64 regs, size;
    u32 queues, tx; /* those that are set up; the one whose entries are work at once */
};

extern struct device device[DEVICES_MAX];
extern u32 device_count;
extern u8 memory[MEMORY_SIZE]; /* rings, then buffers */

static inline u64 ring_desc(u32 q) { return (u64)memory + q * SZ_4K; }
static inline u64 ring_driver(u32 q) { return ring_desc(q) + 1024; }
static inline u64 ring_device(u32 q) { return ring_desc(q) + 2048; }

static inline u32 rd8(u64 a)
{
    u32 v;

    asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}
static inline u32 rd16(u64 a)
{
    u32 v;

    asm volatile("ldrh %w0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}
static inline void wr16(u64 a, u32 v) { asm volatile("strh %w0, [%1]" : : "r"(v), "r"(a) : "memory"); }

static inline u32 cfg_read(u32 slot, u32 offset) { return rd32(PCI_ECAM + (slot << 15) + offset); }
static inline void cfg_write(u32 slot, u32 offset, u32 v) { wr32(PCI_ECAM + (slot << 15) + offset, v); }

static inline u32 vio_status(const struct device *d)
{
    return d->slot != 0 ? rd8(d->regs + 0x14) : rd32(d->regs + 0x70);
}

static inline void vio_set_status(const struct device *d, u32 status)
{
    if (d->slot != 0)
        wr8(d->regs + 0x14, status);
    else
        wr32(d->regs + 0x70, status);
}

static inline u64 vio_features(const struct device *d)
{
    u64 half = d->slot != 0 ? 0 : 0x14, at = d->slot != 0 ? 4 : 0x10, v;

    wr32(d->regs + half, 0);
    v = rd32(d->regs + at);
    wr32(d->regs + half, 1);
    return v | (u64)rd32(d->regs + at) << 32;
}

static inline void vio_accept(const struct device *d, u64 features)
{
    u64 half = d->slot != 0 ? 8 : 0x24, at = d->slot != 0 ? 0xc : 0x20;

    wr32(d->regs + half, 0);
    wr32(d->regs + at, (u32)features);
    wr32(d->regs + half, 1);
    wr32(d->regs + at, (u32)(features >> 32));
}

/* Sets a queue up and makes it ready. */
static inline void vio_queue(const struct device *d, u32 q, u32 size, u64 desc, u64 driver, u64 dev)
{
    const u64 area[3] = { desc, driver, dev };

    if (d->slot != 0) {
        wr16(d->regs + 0x16, q);
        wr16(d->regs + 0x18, size);
        for (u32 i = 0; i < 3; i++) {
            wr32(d->regs + 0x20 + 8 * i, (u32)area[i]);
            wr32(d->regs + 0x24 + 8 * i, (u32)(area[i] >> 32));
        }
        wr16(d->regs + 0x1c, 1);
        return;
    }
    wr32(d->regs + 0x30, q);
    wr32(d->regs + 0x38, size);
    for (u32 i = 0; i < 3; i++) {
        wr32(d->regs + 0x80 + 16 * i, (u32)area[i]);
        wr32(d->regs + 0x84 + 16 * i, (u32)(area[i] >> 32));
    }
    wr32(d->regs + 0x44, 1);
}

static inline bool vio_queue_ready(const struct device *d, u32 q)
{
    if (d->slot != 0) {
        wr16(d->regs + 0x16, q);
        return rd16(d->regs + 0x1c) != 0;
    }
    wr32(d->regs + 0x30, q);
    return rd32(d->regs + 0x44) != 0;
}

static inline void vio_notify(const struct device *d, u32 q)
{
    if (d->slot != 0)
        wr16(d->regs + 0x3000 + q % 64 * 4, q);
    else
        wr32(d->regs + 0x50, q);
}

/* BARs to places of their own, and the function on. */
static inline void device_place(const struct device *d)
{
    cfg_write(d->slot, 0x10, d->bar);
    cfg_write(d->slot, 0x14, d->bar + SZ_64K * 4);
    cfg_write(d->slot, 0x18, d->bar + SZ_64K * 5);
    cfg_write(d->slot, 0x1c, d->bar + SZ_64K * 6);
    cfg_write(d->slot, 4, 6); /* memory, master */
}

static inline void device_add(u32 id, u32 slot, u64 regs, u64 size)
{
    u32 tx = id == ID_NET || id == ID_CONSOLE || id == ID_VSOCK ? 1 : 0;

    if (device_count == DEVICES_MAX)
        return;
    device[device_count] = (struct device){ id, slot, (u32)regs, regs, size, tx == 0 ? 1 : 2, tx };
    if (slot != 0)
        device_place(&device[device_count]);
    device_count++;
}

static inline void devices_find(void)
{
    for (u32 i = 0; i < 32; i++) {
        u32 id = rd32(VIRTIO_MMIO + i * 0x200 + 8);

        if (id != 0)
            device_add(id, 0, VIRTIO_MMIO + i * 0x200, 0x200);
    }
    for (u32 slot = 1; slot < 32; slot++) {
        u32 id = cfg_read(slot, 0);
        u64 bar = PCI_MEM + slot * (8 * SZ_64K);

        if (id == (ID_NIC << 16 | 0x8086))
            device_add(ID_NIC, slot, bar, 0x20000);
        else if ((id & 0xffff) == 0x1af4)
            device_add((id >> 16) - 0x1040, slot, bar, 0x4000);
    }
}

#endif
