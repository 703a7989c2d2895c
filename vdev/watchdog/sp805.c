/* SPDX-License-Identifier: Apache-2.0 */
/* The counter runs down twice: the first time it raises its interrupt, the second time, that not having been cleared,
 * it bites. One thread waits for both, for all of them: a guest that hangs does not run. Petting only moves the time on;
 * the thread finds out when it looks. */
#include "vdev/watchdog/sp805.h"

#include "arch/time.h"
#include "config/guest_fdt.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/sched.h"
#include "core/task.h"
#include "core/timer.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "lib/list.h"

#define WATCH_PRIO 12U
/* Guests of higher priority keep the thread out for a period at most. */
#define WATCH_GUARANTEE_NS 200000UL
/* Two looks are so far apart at least, however short a time a guest asks for. */
#define LOOK_INTERVAL_NS 1000000UL
#define NEVER UINT64_MAX

#define CONTROL_INTEN 1U
#define CONTROL_RESEN 2U
#define LOCK_KEY 0x1acce551U

struct sp805 {
    struct list node;
    struct vm *vm;
    u32 intid;
    u64 base;
    u32 load, control;
    bool locked, fired, bitten; /* fired: raw interrupt status */
    bool line;
    u64 zero_at; /* ticks: when the counter gets to 0; NEVER: it stands */
    u32 left;    /* what it shows while it stands */
};

/* Guards the list and all of every device but vm, intid, base. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_VDEV);
static struct list devices = { &devices, &devices };
static struct task *thread;
static u64 next_look = NEVER; /* when the thread looks by itself */
static u64 looked_at;         /* when it did last */

static u64 ticks_of(u32 count) { return time_ns_to_ticks(((u64)count + 1) * 1000 / (SP805_HZ / 1000000)); }

static u32 count_left(const struct sp805 *d)
{
    u64 now = arch_ticks();

    if (d->zero_at == NEVER)
        return d->left;
    return d->zero_at <= now
               ? 0
               : (u32)min_u64(time_ticks_to_ns(d->zero_at - now) * (SP805_HZ / 1000000) / 1000, d->load);
}

static u64 soonest_locked(void) { return looked_at + time_ns_to_ticks(LOOK_INTERVAL_NS); }

static void look_by_locked(u64 when)
{
    when = max_u64(when, soonest_locked());
    if (when < next_look) {
        next_look = when;
        task_wake(thread);
    }
}

/* From the load value on, where it runs at all (DDI 0270 3.3.3). */
static void restart_locked(struct sp805 *d)
{
    d->left = d->load;
    d->zero_at = NEVER;
    if (d->control & CONTROL_INTEN) {
        d->zero_at = arch_ticks() + ticks_of(d->load);
        look_by_locked(d->zero_at);
    }
}

static void set_fired_locked(struct sp805 *d, bool fired)
{
    bool line = fired && (d->control & CONTROL_INTEN);

    __atomic_store_n(&d->fired, fired, __ATOMIC_RELAXED);
    if (line != d->line) {
        __atomic_store_n(&d->line, line, __ATOMIC_RELAXED);
        vgic_spi_level(d->vm, d->intid, line);
    }
}

/* A guest that is paused cannot help it. */
static bool runs(const struct sp805 *d)
{
    return __atomic_load_n(&d->vm->state, __ATOMIC_RELAXED) == VM_RUNNING;
}

/* Biting once is enough, until the guest shows itself again: the counter stands then. */
static void expire_locked(struct sp805 *d, u64 now)
{
    if (now < d->zero_at)
        return;
    if (!runs(d)) {
        d->zero_at = now + ticks_of(d->load);
    } else if (!d->fired) {
        set_fired_locked(d, true);
        d->zero_at = now + ticks_of(d->load);
    } else {
        d->left = 0;
        d->zero_at = NEVER;
        if ((d->control & CONTROL_RESEN) && !d->bitten) {
            d->bitten = true;
            vm_watchdog(d->vm);
        }
    }
}

u64 sp805_check_all(void)
{
    u64 now = arch_ticks(), next = NEVER;
    unsigned long flags = spin_lock_irq(&lock);

    list_for_each(n, &devices)
    {
        struct sp805 *d = list_entry(n, struct sp805, node);

        expire_locked(d, now);
        next = min_u64(next, d->zero_at);
    }
    looked_at = now;
    if (next != NEVER)
        next = max_u64(next, soonest_locked());
    next_look = next;
    spin_unlock_irq(&lock, flags);
    return next;
}

static void watch_loop(void *arg)
{
    (void)arg;
    for (;;) {
        u64 next = sp805_check_all();

        if (next == NEVER)
            task_block();
        else
            (void)task_block_until(next);
    }
}

static u64 value_read(void *ctx, struct vcpu *v, u32 index)
{
    u32 value;

    (void)v, (void)index;
    spin_lock(&lock);
    value = count_left(ctx);
    spin_unlock(&lock);
    return value;
}

static void load_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct sp805 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    if (!d->locked) {
        d->load = (u32)value;
        d->bitten = false;
        restart_locked(d);
    }
    spin_unlock(&lock);
}

static void control_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct sp805 *d = ctx;
    u32 old;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    if (!d->locked) {
        old = d->control;
        d->control = (u32)value & (CONTROL_INTEN | CONTROL_RESEN);
        if (~old & d->control & CONTROL_INTEN) {
            restart_locked(d);
        } else if (old & ~d->control & CONTROL_INTEN) {
            d->left = count_left(d);
            d->zero_at = NEVER;
        }
        set_fired_locked(d, d->fired);
    }
    spin_unlock(&lock);
}

static void intclr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct sp805 *d = ctx;

    (void)v, (void)index, (void)value, (void)mask;
    spin_lock(&lock);
    if (!d->locked) {
        d->bitten = false;
        set_fired_locked(d, false);
        restart_locked(d);
    }
    spin_unlock(&lock);
}

static u64 ris_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct sp805 *d = ctx;

    (void)v, (void)index;
    return __atomic_load_n(&d->fired, __ATOMIC_RELAXED) ? 1 : 0;
}

static u64 mis_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct sp805 *d = ctx;

    (void)v, (void)index;
    return __atomic_load_n(&d->line, __ATOMIC_RELAXED) ? 1 : 0;
}

static u64 lock_read(void *ctx, struct vcpu *v, u32 index)
{
    const struct sp805 *d = ctx;

    (void)v, (void)index;
    return __atomic_load_n(&d->locked, __ATOMIC_RELAXED) ? 1 : 0;
}

static void lock_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct sp805 *d = ctx;

    (void)v, (void)index, (void)mask;
    __atomic_store_n(&d->locked, value != LOCK_KEY, __ATOMIC_RELAXED);
}

static u64 id_read(void *ctx, struct vcpu *v, u32 index)
{
    static const u8 id[8] = { 0x05, 0x18, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)ctx, (void)v;
    return id[index % 8];
}

#define AT(field) (s32) offsetof(struct sp805, field)
#define REG(n, off, elements, ...)                                                                           \
    {                                                                                                        \
        .name = n, .offset = (off), .count = (elements), .size = 4, .widths = REG_W32, __VA_ARGS__           \
    }

/* Without the integration test registers. */
static const struct reg regs[] = {
    REG("LOAD", 0x000, 1, .storage = AT(load), .reset = ~0U, .write = load_write),
    REG("VALUE", 0x004, 1, .storage = -1, .read = value_read),
    REG("CONTROL", 0x008, 1, .storage = AT(control), .write = control_write),
    REG("INTCLR", 0x00c, 1, .storage = -1, .write = intclr_write),
    REG("RIS", 0x010, 1, .storage = -1, .read = ris_read),
    REG("MIS", 0x014, 1, .storage = -1, .read = mis_read),
    REG("LOCK", 0xc00, 1, .storage = -1, .read = lock_read, .write = lock_write),
    REG("ID", 0xfe0, 8, .storage = -1, .read = id_read),
};

const struct reg_block sp805_regs = {
    .name = "sp805", .size = SP805_SIZE, .count = ARRAY_SIZE(regs), .reg = regs
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&sp805_regs, ctx, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&sp805_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

static void reset_locked(struct sp805 *d)
{
    reg_reset(&sp805_regs, d);
    __atomic_store_n(&d->locked, false, __ATOMIC_RELAXED);
    d->bitten = false;
    set_fired_locked(d, false);
    d->zero_at = NEVER;
    d->left = d->load;
}

static void sp805_reset(void *dev)
{
    unsigned long flags = spin_lock_irq(&lock);

    reset_locked(dev);
    spin_unlock_irq(&lock, flags);
}

static enum kerr sp805_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct bus_region region = { .ops = &ops, .name = cfg->node, .size = SP805_SIZE };
    struct sp805 *d;
    unsigned long flags;
    enum kerr err;

    /* With the first one, for good. Devices are made by one thread, so this does not race. */
    if (!thread) {
        err = thread_create_guaranteed("watchdog", WATCH_PRIO, watch_loop, WATCH_GUARANTEE_NS, &thread);
        if (err != K_OK)
            return err;
    }
    d = heap_alloc(sizeof(*d));
    if (!d)
        return K_NOMEM;
    d->vm = vm;
    d->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? SP805_SPI : cfg->irq);
    d->base = cfg->size ? cfg->base : SP805_BASE;
    region.base = d->base;
    region.ctx = d;
    err = bus_add(&vm->mmio, &region, NULL);
    if (err != K_OK) {
        heap_free(d, sizeof(*d));
        return err;
    }
    flags = spin_lock_irq(&lock);
    reset_locked(d);
    list_insert(&devices, &d->node);
    spin_unlock_irq(&lock, flags);
    *dev = d;
    return K_OK;
}

static void sp805_destroy(void *dev)
{
    struct sp805 *d = dev;
    unsigned long flags = spin_lock_irq(&lock);

    list_remove(&d->node);
    spin_unlock_irq(&lock, flags);
    heap_free(d, sizeof(*d));
}

static void sp805_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,sp805\0arm,primecell", clocks[] = "wdog_clk\0apb_pclk";
    const u32 clock[2] = { GFDT_PHANDLE_CLOCK, GFDT_PHANDLE_CLOCK };
    struct sp805 *d = dev;
    const u64 window[2] = { d->base, SP805_SIZE };

    gfdt_node_at(f, "watchdog", d->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, d->intid - 32, GFDT_LEVEL);
    gfdt_u32s(f, "clocks", clock, 2);
    gfdt_strings(f, "clock-names", clocks, sizeof(clocks));
    gfdt_end_node(f);
}

const struct vdev_model sp805_model = {
    .compatible = "arm,sp805",
    .create = sp805_create,
    .reset = sp805_reset,
    .destroy = sp805_destroy,
    .fdt = sp805_fdt,
};
