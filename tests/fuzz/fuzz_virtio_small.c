/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers of the small virtio devices that do anything: registers in any order, rings and buffers of their own
 * making. A device must keep to its memory, and serve or refuse a proper driver after a reset. The first byte says
 * which device, and which kind of ring. */
#include <stdio.h>

#include "arch/time.h"
#include "core/log.h"
#include "drivers/console.h"
#include "drivers/entropy.h"
#include "lib/bits.h"
#include "tests/unit/test_virtio_machine.h"
#include "vdev/virtio/console.h"
#include "vdev/virtio/rng.h"
#include "vdev/virtio/vsock.h"
#include "vmm/slot.h"

#define PEER_WINDOW 0x200U
#define FEATURES (1UL << VIRTIO_F_VERSION_1 | 1UL << VIRTIO_F_INDIRECT_DESC)

static const struct {
    const struct vdev_model *model;
    struct cfg_device cfg;
    u64 features;
    u32 queues;
} kinds[] = {
    { &virtio_rng_model, { .rng.bytes_per_s = 65536 }, 0, 1 },
    { &virtio_console_model, { .console = { "agent,log", 2, 80, 25 } }, 7, 8 },
    { &virtio_vsock_model, { .vsock = { 3, "group", CFG_SEES_ALL, "device,other" } }, 1, 3 },
};

struct op {
    u8 what, area;
    u16 offset;
    u32 value;
};

static u32 dry;
static struct console_port *port[8];
static u32 ports;

size_t entropy_get(void *p, size_t n)
{
    if (++dry % 3 == 0)
        return 0;
    memset(p, 1, n);
    return n;
}

enum kerr console_port_add(struct console_port *p)
{
    port[ports++] = p;
    return K_OK;
}

void console_port_remove(struct console_port *p)
{
    if (port[--ports] != p)
        abort();
}

/* Now and then the console is full. */
size_t console_write(struct console_port *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dry += (u8)text[i] & 1;
    if (++dry % 4 != 0)
        return n;
    p->starved = true;
    return n / 2;
}

void console_input_ready(struct console_port *p) { (void)p; }

static void host(u32 value)
{
    struct console_port *p = ports != 0 ? port[value % ports] : NULL;

    if (p != NULL && (value & 0x100) != 0)
        (void)p->input(p, "what is typed on the host", value >> 16 & 15);
    else if (p != NULL && p->starved)
        p->room(p);
}

const char *entropy_source(void) { return "test"; }

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

bool log_allowed(struct log_limit *limit, u32 per_second)
{
    (void)limit, (void)per_second;
    return true;
}

/* One VM, for Keel's endpoint of vsock. */
static const struct cfg_vm other = { .name = "other", .vcpu_count = 1 };

u32 vmm_count(void) { return 1; }

bool vmm_find(const char *name, u32 *index)
{
    *index = 0;
    return strcmp(name, other.name) == 0;
}

void vmm_get(u32 index, struct vmm_info *out)
{
    (void)index;
    dry++;
    *out = (struct vmm_info){ .cfg = &other, .state = (enum vm_state)(dry % 4) };
    out->vm = (dry & 4) != 0 ? &ring.vm : NULL;
}

void vmm_put(u32 index) { (void)index; }

enum kerr slot_ask(u32 index, enum slot_op op)
{
    if (index != 0 || op == OP_NONE)
        abort();
    return ++dry % 3 == 0 ? K_BUSY : K_OK;
}

/* Another guest with sockets, whose driver is a proper one that now and then has a buffer. */
static struct {
    struct cfg_device cfg;
    struct ring_driver rx;
    struct worker *worker;
    void *dev; /* NULL: none */
    bool offered;
} peer;

static void peer_make(void)
{
    struct worker *first = worker;

    peer.cfg = (struct cfg_device){
        .vsock = { .cid = 4, .group = "group" },
        .base = MMIO_BASE + PEER_WINDOW,
        .size = PEER_WINDOW,
        .irq = 16,
        .node = "peer",
    };
    peer.offered = false;
    ring.vm.id = 1;
    if (virtio_vsock_model.create(&ring.vm, &peer.cfg, &peer.dev) != K_OK)
        abort();
    virtio_vsock_model.reset(peer.dev);
    peer.worker = worker;
    worker = first;
    machine_add_ring(&peer.rx, 0x50000000, ring.packed, 8);
    window = PEER_WINDOW;
    driver_begin(FEATURES);
    queue_set_up_on(&peer.rx, 0, 8);
    driver_ready();
    window = 0;
}

static void run_both(void)
{
    struct worker *first = worker;

    run_worker();
    if (peer.dev == NULL)
        return;
    worker = peer.worker;
    kicks = 1;
    run_worker();
    worker = first;
    kicks = 1;
    run_worker();
}

static void peer_takes(void)
{
    u32 len;
    u16 id;

    if (peer.offered && !driver_take(&peer.rx, &id, &len))
        return;
    peer.offered = true;
    driver_offer(&peer.rx, 0, 0, 1, 65536, false);
    window = PEER_WINDOW;
    mmio_write(0x50, 0);
    window = 0;
}

/* A vsock packet of this guest's, in case it is that device. */
static void packet(u32 id, u32 value, u32 shift)
{
    static const char *const commands[] = { "list",       "show",         "show other",
                                            "stop other", "start device", "pause x" };
    u32 h[11] = { 3,
                  0,
                  (value & 1) == 0      ? 2
                  : (value & 0x80) == 0 ? 4
                                        : 3,
                  0,
                  1000,
                  value >> 1 & 3,
                  (value >> 8 & 255) << shift,
                  1U | (value >> 16 & 7) << 16,
                  value >> 24,
                  4096,
                  0 };
    char *place = ram_at(&ring, DRIVER_BUFFERS + id * 256U);
    const char *command = commands[(value >> 3 & 7) % ARRAY_SIZE(commands)];

    if ((value & 0x40) != 0)
        h[6] = (u32)strlen(command) + 1;
    memcpy(place, h, sizeof(h));
    (void)snprintf(place + sizeof(h), 64, "%s\n", command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const u32 areas[] = { DRIVER_DESC, DRIVER_AREA, DRIVER_TABLE, DRIVER_BUFFERS };
    struct cfg_device cfg;
    struct op op;
    u32 kind;
    void *dev;

    if (size < 1)
        return 0;
    kind = data[0] >> 2 & 7;
    if (kind >= ARRAY_SIZE(kinds))
        return 0;
    cfg = kinds[kind].cfg;
    host_clock_set(0);
    machine_make(kinds[kind].model, &cfg, (data[0] & 1) != 0, 8, &dev);
    driver_up(FEATURES | kinds[kind].features, data[0] >> 5 < kinds[kind].queues ? data[0] >> 5 : 0);
    peer.dev = NULL;
    if (kinds[kind].model == &virtio_vsock_model)
        peer_make();
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        switch (op.what % 7) {
        case 0: mmio_write(op.offset % 0x200 & ~3U, op.value); break;
        case 1: (void)mmio_read(op.offset % 0x200 & ~7U, 1U << op.area % 4); break;
        case 2: memcpy((char *)ram_at(&ring, areas[op.area % 4]) + op.offset % 512, &op.value, 4); break;
        case 3:
            packet(op.area % 3, op.value, op.offset >> 8 & 7);
            driver_offer(&ring, op.area % 3, op.offset & 1, 1 + (op.offset >> 1 & 1),
                         op.value % 300 << (op.offset >> 8 & 7), op.area >= 128);
            break;
        case 4: notify(op.area % 8); break;
        case 5: host(op.value); break;
        default:
            host_clock_set(arch_ticks() + ((u64)op.value << 4));
            if (peer.dev != NULL && (op.area & 1) != 0)
                peer_takes();
            run_both();
            break;
        }
    }
    mmio_write(0x70, 0);
    if (mmio_read(0x70, 4) != 0)
        abort();
    kinds[kind].model->destroy(dev);
    if (peer.dev != NULL)
        virtio_vsock_model.destroy(peer.dev);
    return 0;
}
