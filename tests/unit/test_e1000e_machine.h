/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with an 82574 at the address that its BAR 0 is given, and 256 KiB of memory. The worker runs when the test says
 * so; the switch keeps the last frame. For the unit test and the fuzz target. */
#ifndef TESTS_UNIT_TEST_E1000E_MACHINE_H
#define TESTS_UNIT_TEST_E1000E_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "arch/host/host.h"
#include "config/guest_map.h"
#include "core/heap.h"
#include "core/vcpu.h"
#include "core/worker.h"
#include "irq/inject/vgic.h"
#include "irq/inject/vits.h"
#include "vdev/net.h"
#include "vdev/nic/e1000e.h"
#include "vdev/pci.h"

#define RAM_BASE 0x40000000UL
#define RAM_SIZE 0x40000U
#define NIC_BAR 0x10000000UL
#define NIC_SLOT 1U
#define FRAME_ROOM 0x12000U

static struct vm vm;
static struct vcpu vcpu;
static _Alignas(4096) unsigned char ram[RAM_SIZE];
static void *bridge, *nic;
static struct task worker_task;
static struct worker *worker;
static struct net_port *port;
static bool port_open, link_is_up, worker_kicked;
static u32 messages, last_vector, sent, rooms, halts;
static unsigned char frame[FRAME_ROOM]; /* the last one sent */
static struct net_frame frame_info;
static bool intx;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run)
{
    (void)map, (void)offset, (void)wanted, (void)pa, (void)run;
    abort();
}

enum kerr vm_populate(struct vm *which, const struct vm_extent *x, u64 offset)
{
    (void)which, (void)x, (void)offset;
    abort();
}

void vm_dirty_note(struct vm *which, gpa_t gpa, u64 size)
{
    (void)which, (void)gpa, (void)size;
    abort();
}

enum kerr worker_create(struct worker *w, const char *name, u32 cpu, u8 prio, void (*fn)(void *arg),
                        void *arg)
{
    (void)name, (void)cpu, (void)prio;
    *w = (struct worker){ .task = &worker_task, .fn = fn, .arg = arg, .halt = 1 };
    worker = w;
    return K_OK;
}

void worker_destroy(struct worker *w) { (void)w; }

void worker_kick(struct worker *w)
{
    (void)w;
    worker_kicked = true;
}

bool worker_kick_later(struct worker *w)
{
    worker_kick(w);
    return true;
}

void worker_halt(struct worker *w)
{
    w->halt = 1;
    halts++;
}

void worker_go(struct worker *w) { w->halt = 0; }

void vgic_spi_level(struct vm *which, u32 intid, bool level)
{
    (void)which;
    if (intid != 32 + GUEST_PCI_SPI + NIC_SLOT || level == intx)
        abort();
    intx = level;
}

void vits_msi(struct vm *which, u32 device_id, u32 event_id)
{
    (void)which;
    if (device_id != NIC_SLOT << 3)
        abort();
    messages++;
    last_vector = event_id;
}

struct vits *vits_of(const struct vm *which)
{
    (void)which;
    return NULL;
}

enum kerr net_attach(struct net_port *p, const char *name, const char *node)
{
    (void)name, (void)node;
    port = p;
    p->link = link_is_up;
    return K_OK;
}

void net_detach(struct net_port *p) { (void)p; }
void net_open(struct net_port *p) { port_open = p == port; }

void net_close(struct net_port *p)
{
    (void)p;
    port_open = false;
}

void net_send(struct net_port *p, const struct net_frame *f)
{
    u32 at = 0;

    if (p != port || f->vecs == 0 || f->vecs > NET_VECS_MAX - 1)
        abort();
    for (u32 i = 0; i < f->vecs; i++) {
        if (f->vec[i].len > FRAME_ROOM - at)
            abort();
        memcpy(frame + at, f->vec[i].at, f->vec[i].len);
        at += f->vec[i].len;
    }
    if (at != f->len)
        abort();
    frame_info = *f;
    sent++;
}

void net_flush(struct net_port *p) { (void)p; }

u64 net_ready_at(const struct net_port *p)
{
    (void)p;
    return 0;
}

void net_room(struct net_port *p)
{
    (void)p;
    rooms++;
}

static inline void run_worker(void)
{
    for (u32 i = 0; worker_kicked && worker->halt == 0; i++) {
        if (i == 10000)
            abort();
        worker_kicked = false;
        worker->fn(worker->arg);
    }
}

static inline u64 guest_access(u64 addr, unsigned size, bool write, u64 value)
{
    const struct bus_region *r = bus_find(&vm.mmio, addr, size);

    if (r == NULL)
        return 0;
    if (!write)
        return r->ops->read(r->ctx, &vcpu, addr - r->base, size);
    r->ops->write(r->ctx, &vcpu, addr - r->base, size, value);
    return 0;
}

static inline u32 rd(u32 offset) { return (u32)guest_access(NIC_BAR + offset, 4, false, 0); }
static inline void wr(u32 offset, u32 value) { (void)guest_access(NIC_BAR + offset, 4, true, value); }

static inline void config_set(u32 offset, u32 value)
{
    (void)guest_access(GUEST_PCI_ECAM_BASE + (NIC_SLOT << 15) + offset, 4, true, value);
}

static inline u32 config_get(u32 offset)
{
    return (u32)guest_access(GUEST_PCI_ECAM_BASE + (NIC_SLOT << 15) + offset, 4, false, 0);
}

static inline void machine_make(void)
{
    static struct cfg_device host_cfg = { .node = "pcie" };
    static struct cfg_device cfg = { .node = "net0",
                                     .kind = CFG_IS_NET,
                                     .net = { .network = "lan", .mac = { 2, 0x4b, 0x4c, 1, 2, 3 } } };

    memset(&vm, 0, sizeof(vm));
    memset(ram, 0, sizeof(ram));
    vm.extent[0] = (struct vm_extent){ .gpa = GPA(RAM_BASE), .hpa = ptr_to_hpa(ram), .size = RAM_SIZE };
    vm.extent_count = 1;
    vm.vcpu[0] = &vcpu;
    vm.vcpu_count = 1;
    port_open = worker_kicked = intx = false;
    link_is_up = true;
    messages = sent = rooms = 0;
    host_clock_set(0x100000);
    if (pci_host_model.create(&vm, &host_cfg, &bridge) != K_OK ||
        e1000e_model.create(&vm, &cfg, &nic) != K_OK)
        abort();
    e1000e_model.reset(nic);
    config_set(0x10, NIC_BAR);
    config_set(0x1c, NIC_BAR + 0x100000);
    config_set(0x04, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void machine_drop(void)
{
    e1000e_model.destroy(nic);
    pci_host_model.destroy(bridge);
}

#endif
