/* SPDX-License-Identifier: Apache-2.0 */
/* An 82576 as far as its driver sees it: registers that act when the driver waits, and rings that a test works on. */
#ifndef TESTS_UNIT_TEST_IGB_MACHINE_H
#define TESTS_UNIT_TEST_IGB_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "arch/mmu.h"
#include "core/frames.h"
#include "core/log.h"
#include "core/percpu.h"
#include "drivers/igb/internal.h"
#include "tests/unit/test_one_worker.h"

/* Here, so that what it knows can be forgotten. */
#include "drivers/nic.c"

#define FRAME_MAX 0x10200U

static _Alignas(8) u8 regs[IGB_REGS_SIZE];
static struct pcie_host host;
static struct pcie_device pci;
static struct igb *igb;
static void (*irq[3])(void *arg);
static u32 resets, phy_writes, master;
static bool deaf;   /* it does not come out of its reset */
static bool lies;   /* it says that frames are done which it has not looked at */
static u32 tx_head; /* the device's */
static void *objects[64];
static u32 object_count;

/* What its user saw. */
static u32 frames, batches, rooms, last_len;
static u8 last[IGB_BUFFER_SIZE];
static bool last_good, link_up;

static u32 *reg(u32 r) { return (u32 *)(void *)(regs + r); }

void *heap_alloc(size_t size) { return objects[object_count++] = calloc(1, size); }
void heap_free(void *p, size_t size) { (void)p, (void)size; }

enum kerr frames_alloc(u32 order, hpa_t *out)
{
    void *p = objects[object_count++] = aligned_alloc(4096, 4096UL << order);

    *out = ptr_to_hpa(p);
    return K_OK;
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

enum kerr pcie_map_bar(struct pcie_device *d, u32 bar, u64 offset, u64 size, uintptr_t *out)
{
    if (d != &pci || bar != 0 || offset + size > sizeof(regs))
        abort();
    *out = (uintptr_t)regs;
    return K_OK;
}

void pcie_enable(struct pcie_device *d) { (void)d; }

void pcie_set_master(struct pcie_device *d, bool on)
{
    (void)d;
    master = on;
}

enum kerr pcie_irqs_take(struct pcie_device *d, u32 wanted, u32 *vectors)
{
    *vectors = d->msi != NULL ? wanted : 1;
    return K_OK;
}

enum kerr pcie_irq_attach(struct pcie_device *d, u32 vector, u32 cpu, const char *name, void (*fn)(void *arg),
                          void *arg)
{
    (void)d, (void)cpu, (void)name, (void)arg;
    irq[vector] = fn;
    return K_OK;
}

/* The driver waits: time passes, and the device does what it was told. */
static void device_acts(void)
{
    host_clock_advance(6250); /* 100 us */
    if (*reg(IGB_STATUS) == IGB_GONE)
        return;
    if ((*reg(IGB_CTRL) & 0x4000000) != 0 && !deaf) {
        *reg(IGB_CTRL) = 0;
        *reg(IGB_RCTL) = *reg(IGB_TCTL) = *reg(IGB_RXDCTL) = *reg(IGB_TXDCTL) = 0;
        tx_head = 0;
        resets++;
    }
    if ((*reg(IGB_MDIC) & 3U << 26) != 0) {
        phy_writes += (*reg(IGB_MDIC) & 0x4000000) != 0;
        *reg(IGB_MDIC) |= 1U << 28;
    }
}

static void received(void *arg, const struct net_frame *f)
{
    if (arg != &frames || f->vecs != 1 || f->vec[0].len != f->len || f->len > sizeof(last))
        abort();
    memcpy(last, f->vec[0].at, f->len);
    last_len = f->len;
    last_good = f->csum_good;
    frames++;
}

static void batch_end(void *arg)
{
    (void)arg;
    batches++;
}

static void room(void *arg)
{
    (void)arg;
    rooms++;
}

static void link_is(void *arg, bool up)
{
    (void)arg;
    link_up = up;
}

static const struct nic_user user = { received, batch_end, room, link_is };

static union igb_desc *ring_of(u32 base) { return hpa_to_ptr(HPA(*reg(base) | (u64)*reg(base + 4) << 32)); }

/* False: the driver gave up the device. */
static bool machine_up(bool messages)
{
    for (u32 i = 0; i < object_count; i++)
        free(objects[i]);
    first = NULL;
    look_timer.armed = false;
    timer_queue_init(&this_cpu()->timers);
    host_events_reset();
    host_hooks.wait = device_acts;
    host_clock_set(1UL << 40);
    memset(regs, 0, sizeof(regs));
    memcpy(regs + IGB_RAL0, "\x52\x54\x00\x12\x34\x56\x00\x80", 8);
    *reg(IGB_EEC) = 0x200;
    *reg(IGB_STATUS) = IGB_STATUS_LINK;
    host = (struct pcie_host){ .coherent = true };
    pci = (struct pcie_device){ .host = &host, .name = "00:02.0" };
    pci.msi = messages ? (struct msi_device *)(void *)&pci : NULL;
    deaf = lies = link_up = false;
    wakes = resets = phy_writes = tx_head = object_count = 0;
    frames = batches = rooms = last_len = 0;
    if (igb_driver.probe(&pci) != K_OK)
        return false;
    igb = igb_of(nic_first());
    return nic_open(&igb->nic, &user, &frames) == K_OK;
}

/* The device receives a frame into descriptor `slot`. */
static void device_receives(u32 slot, u32 len, u8 byte, u32 status)
{
    union igb_desc *d = ring_of(IGB_RDBAL) + slot % IGB_RING;

    if (len <= IGB_BUFFER_SIZE)
        memset(hpa_to_ptr(HPA(d->rx.addr)), byte, len);
    d->done.len = (u16)len;
    d->done.status = status;
}

static void check_piece(u64 addr, u32 len)
{
    u64 pool = ptr_to_hpa(igb->tx_pool).v;

    if (addr < pool || addr - pool > (IGB_RING - 1) * IGB_BUFFER_SIZE || len == 0 || len > IGB_BUFFER_SIZE)
        abort();
}

/* The device sends the next frame: its bytes, and the descriptors of its context (may be all zeroes) and its first
 * data. 0: there is none. */
static u32 device_sends(u8 *out, union igb_desc *context, union igb_desc *data)
{
    union igb_desc *ring = ring_of(IGB_TDBAL);
    u32 len = 0, pieces = 0;

    memset(context, 0, sizeof(*context));
    while (tx_head != *reg(IGB_TDT)) {
        union igb_desc *d = &ring[tx_head];

        tx_head = (tx_head + 1) % IGB_RING;
        if ((d->tx.command >> 20 & 0xf) == 2) {
            *context = *d;
            continue;
        }
        check_piece(d->tx.addr, d->tx.command & 0xffff);
        if (pieces++ == 0)
            *data = *d;
        if (len + (d->tx.command & 0xffff) > FRAME_MAX) {
            if (!lies)
                abort();
            len = 0;
        }
        memcpy(out + len, hpa_to_ptr(HPA(d->tx.addr)), d->tx.command & 0xffff);
        len += d->tx.command & 0xffff;
        if ((d->tx.command & 0x1000000) == 0)
            continue;
        if ((d->tx.command & 0x8000000) == 0)
            abort(); /* nobody would hear of it */
        d->tx.status |= 1;
        return len;
    }
    if (len != 0 && !lies)
        abort(); /* the tail is in the midst of a frame */
    return 0;
}

#endif
