/* SPDX-License-Identifier: Apache-2.0 */
/* A guest whose drivers break every rule of virtio, PCI and the 82574L that they can: one violation after the other, each of
 * which must leave the device asking for a reset or answering with an error; then anything at random, from all CPUs at once.
 * At the end every device must serve a proper request again. Boot argument seed=N. Takes no interrupts.
 *
 * HOSTILE-IO FAIL what | HOSTILE-IO N devices, N violations, N at random, N failed */
#include "tests/payload/hostile-io.h"

static u64 seed = 0x6b65656c, done_at_random, violations, failed;
static volatile u32 finished;
static bool at_random; /* others may be at the same device */

struct device device[DEVICES_MAX];
u32 device_count;
u8 memory[MEMORY_SIZE] ALIGNED(4096);

static u64 next_random(u64 *state) /* splitmix64 */
{
    u64 z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void skip(struct rt_frame *f) { f->elr += 4; }

static void fail(const struct device *d, const char *what)
{
    if (at_random)
        return;
    failed++;
    rt_printf("HOSTILE-IO FAIL device %u (%x): %s\n", (u64)(d - device), (u64)d->id, what);
}

/* --- a driver that keeps to the rules, as far as the violations need one --- */

/* Ten seconds: the machine under us may be busy. */
static u64 deadline(void) { return rd_sys(cntvct_el0) + 10 * rd_sys(cntfrq_el0); }

static bool needs_reset(struct device *d)
{
    for (u64 end = deadline(); rd_sys(cntvct_el0) < end; relax_long())
        if (vio_status(d) & NEEDS_RESET)
            return true;
    return false;
}

static void clear(u64 at, u64 size)
{
    for (u64 i = 0; i < size; i += 8)
        wr64(at + i, 0);
}

static void negotiate(struct device *d, bool packed)
{
    u64 features;

    vio_set_status(d, 0);
    if (vio_status(d) != 0)
        fail(d, "is not reset");
    vio_set_status(d, ACKNOWLEDGE);
    vio_set_status(d, ACKNOWLEDGE | DRIVER);
    features = vio_features(d) & ~(packed ? 0 : F_PACKED) & ~F_EVENT_IDX;
    vio_accept(d, features);
    vio_set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if ((vio_status(d) & FEATURES_OK) == 0)
        fail(d, "refuses its own features");
    clear((u64)memory, RINGS_SIZE);
}

static void up(struct device *d, bool packed)
{
    negotiate(d, packed);
    for (u32 q = 0; q < d->queues; q++)
        vio_queue(d, q, RING_SIZE, ring_desc(q), ring_driver(q), ring_device(q));
    vio_set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void put(u32 q, u32 i, u64 addr, u32 len, u32 flags, u32 next)
{
    u64 at = ring_desc(q) + i * 16UL;

    wr64(at, addr);
    wr32(at + 8, len);
    wr32(at + 12, flags | next << 16);
}

/* Descriptor `head` is available. */
static void offer(struct device *d, u32 q, u32 head, u32 ahead)
{
    wr32(ring_driver(q) + 4, head | head << 16);
    dsb();
    wr32(ring_driver(q), (1 + ahead) << 16); /* flags, index */
    dsb();
    vio_notify(d, q);
}

static bool used(struct device *d, u32 q)
{
    for (u64 end = deadline(); rd_sys(cntvct_el0) < end; relax_long())
        if (rd32(ring_device(q)) >> 16 != 0 || (vio_status(d) & NEEDS_RESET))
            break;
    return rd32(ring_device(q)) >> 16 != 0;
}

/* Reads a sector of a disk. The status byte, or 0xff. */
static u32 read_sector(struct device *d, u64 header, u64 buffer, u32 len)
{
    up(d, false);
    wr64(header, 0); /* read */
    wr64(header + 8, 0);
    wr8(BUFFER + 2048, 0xff);
    put(0, 0, header, 16, D_NEXT, 1);
    put(0, 1, buffer, len, D_NEXT | D_WRITE, 2);
    put(0, 2, BUFFER + 2048, 1, D_WRITE, 0);
    offer(d, 0, 0, 0);
    return used(d, 0) ? rd32(BUFFER + 2048) & 0xff : 0xff;
}

static void serves(struct device *d)
{
    if (d->id == ID_NIC)
        return;
    negotiate(d, false);
    if (d->id == ID_BLOCK) {
        u32 status = read_sector(d, BUFFER, BUFFER + 1024, 512);

        if (status != 0) {
            rt_printf("HOSTILE-IO status %x, of the device %x\n", (u64)status, (u64)vio_status(d));
            fail(d, "does not serve any more");
        }
    }
    vio_set_status(d, 0);
}

static void quiet(struct device *d)
{
    if (d->slot != 0)
        device_place(d);
    if (d->id == ID_NIC)
        wr32(d->regs, NIC_RESET);
    else
        vio_set_status(d, 0);
}

/* --- rings: each of these must break the device --- */

enum violation {
    V_LOOP,
    V_LOOP_OF_TWO,
    V_TABLE_LOOP,
    V_TABLE_IN_TABLE,
    V_TABLE_LENGTH,
    V_TABLE_EMPTY,
    V_TABLE_HUGE,
    V_TABLE_NOWHERE,
    V_TABLE_NEXT,
    V_WRAPS,
    V_HEAD,
    V_NEXT,
    V_ORDER,
    V_INDEX_AHEAD,
    V_INDEX_BACK,
    VIOLATIONS
};

static void violate_split(struct device *d, u32 q, enum violation v)
{
    u64 table = BUFFER + 1024;
    u32 head = 0, ahead = 0;

    put(q, 0, BUFFER, 16, 0, 0);
    wr64(table, BUFFER);
    wr64(table + 8, 16);
    switch (v) {
    case V_LOOP: put(q, 0, BUFFER, 16, D_NEXT, 0); break;
    case V_LOOP_OF_TWO:
        put(q, 0, BUFFER, 16, D_NEXT, 1);
        put(q, 1, BUFFER, 16, D_NEXT, 0);
        break;
    case V_TABLE_LOOP:
        wr64(table + 8, 16 | (u64)D_NEXT << 32);
        put(q, 0, table, 64, D_INDIRECT, 0);
        break;
    case V_TABLE_IN_TABLE:
        wr64(table + 8, 16 | (u64)D_INDIRECT << 32);
        put(q, 0, table, 64, D_INDIRECT, 0);
        break;
    case V_TABLE_LENGTH: put(q, 0, table, 17, D_INDIRECT, 0); break;
    case V_TABLE_EMPTY: put(q, 0, table, 0, D_INDIRECT, 0); break;
    case V_TABLE_HUGE: put(q, 0, table, 0xfffffff0, D_INDIRECT, 0); break;
    case V_TABLE_NOWHERE: put(q, 0, NOWHERE, 64, D_INDIRECT, 0); break;
    case V_TABLE_NEXT: put(q, 0, table, 16, D_INDIRECT | D_NEXT, 1); break;
    case V_WRAPS: put(q, 0, ~0UL - 100, 4096, 0, 0); break;
    case V_HEAD: head = 0x7fff; break;
    case V_NEXT: put(q, 0, BUFFER, 16, D_NEXT, 0x8000); break;
    case V_ORDER:
        put(q, 0, BUFFER, 16, D_NEXT | D_WRITE, 1);
        put(q, 1, BUFFER, 16, 0, 0);
        break;
    case V_INDEX_AHEAD: ahead = 1000; break;
    default: ahead = 0xfff0; break;
    }
    offer(d, q, head, ahead);
}

/* A packed ring says less: what is left of these. False: nothing. */
static bool violate_packed(struct device *d, u32 q, enum violation v)
{
    u64 table = BUFFER + 1024;

    wr64(table, BUFFER);
    wr64(table + 8, 16);
    switch (v) {
    case V_LOOP: /* all are one chain that does not end */
        for (u32 i = 0; i < RING_SIZE; i++)
            put(q, i, BUFFER, 16, 0, P_AVAIL | D_NEXT);
        break;
    case V_TABLE_IN_TABLE:
        wr64(table + 8, 16 | (u64)D_INDIRECT << 48);
        put(q, 0, table, 16, 0, P_AVAIL | D_INDIRECT);
        break;
    case V_TABLE_LENGTH: put(q, 0, table, 17, 0, P_AVAIL | D_INDIRECT); break;
    case V_TABLE_EMPTY: put(q, 0, table, 0, 0, P_AVAIL | D_INDIRECT); break;
    case V_TABLE_HUGE: put(q, 0, table, 0xfffffff0, 0, P_AVAIL | D_INDIRECT); break;
    case V_TABLE_NOWHERE: put(q, 0, NOWHERE, 64, 0, P_AVAIL | D_INDIRECT); break;
    case V_WRAPS: put(q, 0, ~0UL - 100, 4096, 0, P_AVAIL); break;
    case V_ORDER:
        put(q, 1, BUFFER, 16, 0, P_AVAIL);
        put(q, 0, BUFFER, 16, 0, P_AVAIL | D_NEXT | D_WRITE);
        break;
    default: return false;
    }
    dsb();
    vio_notify(d, q);
    return true;
}

static void violate_rings(struct device *d)
{
    for (u32 v = 0; v < VIOLATIONS; v++) {
        up(d, false);
        violate_split(d, d->tx, v);
        violations++;
        if (!needs_reset(d)) {
            rt_printf("HOSTILE-IO violation %u\n", (u64)v);
            fail(d, "goes on after a violation of its split ring");
        }
        up(d, true);
        if (!violate_packed(d, d->tx, v))
            continue;
        violations++;
        if (!needs_reset(d)) {
            rt_printf("HOSTILE-IO violation %u\n", (u64)v);
            fail(d, "goes on after a violation of its packed ring");
        }
    }
}

/* --- queues that cannot be, and memory that is not ours --- */

static void violate_queues(struct device *d)
{
    static const u32 sizes[] = { 0, 3, 32768, 65535 };
    const u64 ram_end = rt_boot.ram_base + rt_boot.ram_size;
    const u64 places[] = {
        NOWHERE, ram_end, ram_end - 16, 0x08000000, PCI_MEM, PCI_ECAM, ~0UL << 12, BIT(47)
    };

    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        negotiate(d, false);
        vio_queue(d, 0, sizes[i], ring_desc(0), ring_driver(0), ring_device(0));
        violations++;
        /* What the transport's register cannot hold is as good as refused. */
        if (!(vio_status(d) & NEEDS_RESET) && vio_queue_ready(d, 0))
            fail(d, "takes a queue of any size");
    }
    for (u32 i = 0; i < 3 * ARRAY_SIZE(places); i++) {
        u64 bad = places[i / 3];

        negotiate(d, false);
        vio_queue(d, 0, RING_SIZE, i % 3 == 0 ? bad : ring_desc(0), i % 3 == 1 ? bad : ring_driver(0),
                  i % 3 == 2 ? bad : ring_device(0));
        violations++;
        if (!(vio_status(d) & NEEDS_RESET) || vio_queue_ready(d, 0))
            fail(d, "takes a queue that is no memory of ours");
    }
    negotiate(d, false);
    vio_queue(d, 0, RING_SIZE, ring_desc(0) + 1, ring_driver(0), ring_device(0));
    violations++;
    if (!(vio_status(d) & NEEDS_RESET))
        fail(d, "takes a queue that is not aligned");
    if (d->id == ID_BLOCK)
        for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
            violations += 2;
            if (read_sector(d, BUFFER, places[i], 4096) == 0)
                fail(d, "reads to where there is no memory");
            if (read_sector(d, BUFFER, BUFFER, 0xfffffe00) == 0)
                fail(d, "reads more than there is");
        }
}

static void violate_order(struct device *d)
{
    negotiate(d, false);
    vio_notify(d, 0);
    vio_set_status(d, 0);
    vio_set_status(d, DRIVER_OK); /* no features were agreed on */
    violations++;
    if (vio_status(d) & DRIVER_OK)
        fail(d, "goes without features");
    vio_set_status(d, 0);
    vio_set_status(d, ACKNOWLEDGE | DRIVER);
    vio_accept(d, ~0UL);
    vio_set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    violations++;
    if (vio_status(d) & FEATURES_OK)
        fail(d, "agrees on what it does not offer");
    for (u32 i = 0; i < 30; i++) { /* resets in the midst of requests */
        up(d, (i & 1) != 0);
        wr64(BUFFER, 0x2e2e2e2e2e2e2e2e);
        put(d->tx, 0, BUFFER, 8, 0, P_AVAIL);
        offer(d, d->tx, 0, 0);
        for (u32 q = 0; q < 70; q++)
            vio_notify(d, q);
    }
    vio_set_status(d, 0);
    violations++;
}

/* --- BARs where they do not belong --- */

static void move_bars(struct device *d)
{
    const u64 places[] = { (u64)memory, rt_boot.ram_base, 0, 0x08000000, 0x09000000, 0xfffff000, PCI_ECAM };
    u64 before = rd64((u64)memory + 0x3000);
    u32 bar = cfg_read(d->slot, 0x10);

    for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
        cfg_write(d->slot, 0x10, (u32)places[i]);
        cfg_write(d->slot, 0x14, (u32)places[i]);
        wr64((u64)memory + 0x3000, i);
        violations++;
        if (rd64((u64)memory + 0x3000) != i)
            fail(d, "lies over memory");
    }
    wr64((u64)memory + 0x3000, before);
    cfg_write(d->slot, 0x10, bar);
    cfg_write(d->slot, 0x14, bar + SZ_64K * 4);
}

/* --- the 82574L --- */

static void nic_rings(struct device *d, u64 base, u32 len, u32 head, u32 tail)
{
    for (u32 ring = 0x2800; ring <= 0x3800; ring += 0x1000) {
        wr32(d->regs + ring, (u32)base);
        wr32(d->regs + ring + 4, (u32)(base >> 32));
        wr32(d->regs + ring + 8, len);
        wr32(d->regs + ring + 0x10, head);
    }
    wr32(d->regs + 0x100, 0x1a); /* receive, promiscuous */
    wr32(d->regs + 0x400, 0xa);
    wr32(d->regs + 0x2818, tail);
    wr32(d->regs + 0x3818, tail);
    for (u32 i = 0; i < 20; i++)
        relax_long();
    wr32(d->regs, NIC_RESET);
    violations++;
}

static void violate_nic(struct device *d)
{
    const u64 bad[] = { NOWHERE, 0, PCI_MEM, BIT(47), ~0xfUL, rt_boot.ram_base + rt_boot.ram_size - 16 };
    static const u32 lens[] = { 0, 128, 0xfff80, 0xffffffff };

    for (u32 i = 0; i < ARRAY_SIZE(bad) * ARRAY_SIZE(lens); i++)
        nic_rings(d, bad[i / 4], lens[i % 4], i % 3 * 0x7fff, i % 5 * 0x3fff);
    for (u32 what = 0; what < 24; what++) { /* descriptors: legacy, context, data; every length and command */
        for (u32 i = 0; i < 8; i++) {
            wr64(ring_desc(0) + i * 16UL, what & 1 ? NOWHERE : BUFFER);
            wr64(ring_desc(0) + i * 16UL + 8,
                 (what & 2 ? 0xffff : 60) | (u64)(what >> 2) << 20 | 0xffUL << 24 | (u64)what << 40);
        }
        nic_rings(d, ring_desc(0), 128, 0, 7);
    }
    if ((rd32(d->regs + 8) & 2) == 0 && rd32(d->regs + 0x400) != 0)
        fail(d, "is not reset");
}

/* --- anything, from all CPUs --- */

static void anything(u32 cpu)
{
    u64 state = seed + cpu, n = 0;

    for (; n < AT_RANDOM; n++) {
        u64 r = next_random(&state), value = next_random(&state);
        struct device *d = &device[r % device_count];
        u64 place = d->regs + (r >> 8) % d->size;

        if (d->id == ID_CONSOLE) /* what it says would be read */
            continue;
        /* Addresses are of rings and buffers, or nowhere: what devices write must not end this program. */
        value = r & BIT(60) ? ring_desc((u32)value % 4) : value & 0x3fffffff3fffffff;
        switch (r >> 40 & 15) {
        case 0: vio_set_status(d, value & 3 ? (u32)value & 0x8f : 0); break;
        case 1:
            if (d->slot != 0)
                cfg_write(d->slot, (u32)(r >> 8) & 0xfc, (u32)value);
            break;
        case 2: wr32(place & ~3UL, (u32)value); break;
        case 3: wr64(place & ~7UL, value); break;
        case 4: wr8(place, (u32)value); break;
        case 5: (void)rd64(place & ~7UL); break;
        case 6: up(d, (r & BIT(50)) != 0); break;
        case 7:
            if (d->slot != 0) {
                cfg_write(d->slot, 0x10, d->bar);
                cfg_write(d->slot, 4, 6);
            }
            break;
        case 8: offer(d, (u32)value % 3, (u32)(value >> 8) & 7, (u32)(value >> 16) & 3); break;
        case 9:
            put((u32)value % 3, (u32)value >> 8 & 7, value << 3 & 0xffff8, (u32)r, (u32)value >> 20 & 7, 1);
            break;
        case 10:
            put((u32)value % 3, (u32)value >> 8 & 7, BUFFER, (u32)r & 0xfff, (u32)value >> 20 & 3,
                (u32)value >> 12 & 7);
            break;
        default: vio_notify(d, (u32)value % 4); break;
        }
    }
    __atomic_fetch_add(&done_at_random, n, __ATOMIC_RELAXED);
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

static void on_other_cpu(u32 cpu)
{
    rt_mmu_on();
    anything(cpu);
}

static void all_at_random(void)
{
    u32 cpus = 1;

    at_random = true;
    for (u32 i = 1; i < rt_boot.cpus; i++)
        cpus += rt_cpu_start(i, on_other_cpu);
    anything(0);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < cpus)
        relax_long();
    at_random = false;
    for (u32 i = 0; i < device_count; i++)
        quiet(&device[i]);
}

void payload_main(void)
{
    seed += rt_arg_number("seed");
    rt_handlers[RT_SYNC] = rt_handlers[RT_SERROR] = skip;
    rt_mmu_on();
    devices_find();
    for (u32 i = 0; i < device_count; i++) {
        struct device *d = &device[i];

        if (d->id == ID_NIC) {
            violate_nic(d);
        } else {
            violate_rings(d);
            violate_queues(d);
            violate_order(d);
        }
        if (d->slot != 0)
            move_bars(d);
        serves(d);
    }
    all_at_random();
    for (u32 i = 0; i < device_count; i++)
        serves(&device[i]);
    rt_printf("HOSTILE-IO %u devices, %u violations, %u at random, %u failed\n", (u64)device_count,
              violations, done_at_random, failed);
}
