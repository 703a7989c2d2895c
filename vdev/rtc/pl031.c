/* SPDX-License-Identifier: Apache-2.0 */
/* All clocks tick together, on the full seconds of the host's counter; a guest's differs by a whole number
 * of them. So alarms need no timer of their own: one thread looks at all clocks when a second begins, as long
 * as an alarm is set. That bounds what guests can make it do, and a device can go away from any CPU. */
#include "vdev/rtc/pl031.h"

#include "arch/time.h"
#include "config/guest_fdt.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/sched.h"
#include "drivers/rtc.h"
#include "irq/inject/vgic.h"
#include "lib/list.h"

#define ALARM_PRIO 12U
#define ALARM_GUARANTEE_NS 200000UL
#define INT_ALARM 1U

struct pl031 {
    struct list node;
    struct vm *vm;
    u32 intid;
    u64 base;
    u32 offset; /* atomic: DR minus the host's seconds, modulo 2^32 */
    u32 lr, mr, imsc, ris;
    bool alarm; /* mr was written and not met yet */
    bool line;
};

/* Guards the list and all of every device but vm, intid, base. Reading DR takes no lock. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_VDEV);
static struct list devices = { &devices, &devices };
static struct task *alarm_thread;
static bool ticking; /* the alarm thread will look again by itself */

static u64 seconds(void) { return arch_ticks() / arch_tick_hz(); }

static u32 count(const struct pl031 *d)
{
    return (u32)seconds() + __atomic_load_n(&d->offset, __ATOMIC_RELAXED);
}

static void update_locked(struct pl031 *d)
{
    bool line = (d->ris & d->imsc) != 0;

    if (line != d->line) {
        d->line = line;
        vgic_spi_level(d->vm, d->intid, line);
    }
}

/* The match is an equality in hardware; a second may have gone by unseen, so what counts here is the
 * distance as a signed number. */
static void match_locked(struct pl031 *d)
{
    if (d->alarm && (s32)(d->mr - count(d)) <= 0) {
        d->alarm = false;
        d->ris |= INT_ALARM;
        update_locked(d);
    }
}

bool pl031_check_alarms(void)
{
    bool any = false;
    unsigned long flags = spin_lock_irq(&lock);

    list_for_each(n, &devices)
    {
        struct pl031 *d = list_entry(n, struct pl031, node);

        match_locked(d);
        any |= d->alarm;
    }
    ticking = any;
    spin_unlock_irq(&lock, flags);
    return any;
}

static void alarm_loop(void *arg)
{
    (void)arg;
    for (;;) {
        if (pl031_check_alarms())
            (void)task_block_until((seconds() + 1) * arch_tick_hz());
        else
            task_block();
    }
}

/* A change of clock or match value. A match more than 2^31 s ahead lies behind as far as the hardware's
 * equality can tell apart: it does not fire now. */
static void rearm_locked(struct pl031 *d)
{
    d->alarm = (s32)(d->mr - count(d)) >= 0;
    match_locked(d);
    if (d->alarm && !ticking) {
        ticking = true;
        task_wake(alarm_thread);
    }
}

static u64 dr_read(void *ctx, struct vcpu *v, u32 index)
{
    (void)v, (void)index;
    return count(ctx);
}

static void mr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl031 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    d->mr = (u32)value;
    rearm_locked(d);
    spin_unlock(&lock);
}

static void lr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl031 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    d->lr = (u32)value;
    __atomic_store_n(&d->offset, d->lr - (u32)seconds(), __ATOMIC_RELAXED);
    rearm_locked(d);
    spin_unlock(&lock);
}

static void imsc_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl031 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    d->imsc = (u32)value & INT_ALARM;
    update_locked(d);
    spin_unlock(&lock);
}

static void icr_write(void *ctx, struct vcpu *v, u32 index, u64 value, u64 mask)
{
    struct pl031 *d = ctx;

    (void)v, (void)index, (void)mask;
    spin_lock(&lock);
    d->ris &= ~(u32)value;
    update_locked(d);
    spin_unlock(&lock);
}

static u64 mis_read(void *ctx, struct vcpu *v, u32 index)
{
    struct pl031 *d = ctx;
    u32 mis;

    (void)v, (void)index;
    spin_lock(&lock);
    mis = d->ris & d->imsc;
    spin_unlock(&lock);
    return mis;
}

static u64 id_read(void *ctx, struct vcpu *v, u32 index)
{
    static const u8 id[8] = { 0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)ctx, (void)v;
    return id[index % 8];
}

#define AT(field) (s32) offsetof(struct pl031, field)
#define REG(n, off, ...)                                                                                     \
    {                                                                                                        \
        .name = n, .offset = (off), .count = 1, .size = 4, .widths = REG_W32, __VA_ARGS__                    \
    }

static const struct reg regs[] = {
    REG("DR", 0x00, .storage = -1, .read = dr_read),
    REG("MR", 0x04, .storage = AT(mr), .write = mr_write),
    REG("LR", 0x08, .storage = AT(lr), .write = lr_write),
    REG("CR", 0x0c, .storage = -1, .reset = 1), /* runs from reset on; stopping it has no effect (3.3.4) */
    REG("IMSC", 0x10, .storage = AT(imsc), .write = imsc_write),
    REG("RIS", 0x14, .storage = AT(ris)),
    REG("MIS", 0x18, .storage = -1, .read = mis_read),
    REG("ICR", 0x1c, .storage = -1, .write = icr_write),
    { .name = "ID",
      .offset = 0xfe0,
      .count = 8,
      .size = 4,
      .widths = REG_W8 | REG_W16 | REG_W32,
      .storage = -1,
      .read = id_read },
};

const struct reg_block pl031_regs = {
    .name = "pl031", .size = PL031_SIZE, .count = ARRAY_SIZE(regs), .reg = regs
};

static u64 bus_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    return reg_read(&pl031_regs, ctx, v, offset, size);
}

static void bus_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    reg_write(&pl031_regs, ctx, v, offset, size, value);
}

static const struct bus_ops ops = { .read = bus_read, .write = bus_write };

/* The clock goes on where it was: like the board's, it is backed by a battery while the VM lives. */
static void pl031_reset(void *dev)
{
    struct pl031 *d = dev;
    unsigned long flags = spin_lock_irq(&lock);

    reg_reset(&pl031_regs, d);
    d->alarm = false;
    update_locked(d);
    spin_unlock_irq(&lock, flags);
}

static enum kerr pl031_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct pl031 *d;
    struct bus_region region = { .ops = &ops, .name = cfg->node, .size = PL031_SIZE };
    enum kerr err;
    unsigned long flags;

    if (cfg->size != 0 && cfg->size < PL031_SIZE)
        return K_INVAL;
    /* With the first clock, for good. Devices are made by one thread, so this does not race. */
    if (!alarm_thread) {
        err = thread_create_guaranteed("rtc", ALARM_PRIO, alarm_loop, ALARM_GUARANTEE_NS, &alarm_thread);
        if (err != K_OK)
            return err;
    }
    d = heap_alloc(sizeof(*d));
    if (!d)
        return K_NOMEM;
    d->vm = vm;
    d->intid = 32 + (cfg->irq == CFG_IRQ_DEFAULT ? PL031_SPI : cfg->irq);
    d->base = cfg->size ? cfg->base : PL031_BASE;
    d->offset = (u32)(rtc_seconds() - seconds());

    region.base = d->base;
    region.ctx = d;
    err = bus_add(&vm->mmio, &region, NULL);
    if (err != K_OK) {
        heap_free(d, sizeof(*d));
        return err;
    }
    flags = spin_lock_irq(&lock);
    list_insert(&devices, &d->node);
    spin_unlock_irq(&lock, flags);
    *dev = d;
    return K_OK;
}

static void pl031_destroy(void *dev)
{
    struct pl031 *d = dev;
    unsigned long flags = spin_lock_irq(&lock);

    list_remove(&d->node);
    spin_unlock_irq(&lock, flags);
    heap_free(d, sizeof(*d));
}

static void pl031_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,pl031\0arm,primecell", clocks[] = "apb_pclk";
    struct pl031 *d = dev;
    const u64 window[2] = { d->base, PL031_SIZE };

    gfdt_node_at(f, "pl031", d->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_reg(f, window, 1);
    gfdt_interrupt(f, GFDT_SPI, d->intid - 32, GFDT_LEVEL);
    gfdt_u32(f, "clocks", GFDT_PHANDLE_CLOCK);
    gfdt_strings(f, "clock-names", clocks, sizeof(clocks));
    gfdt_end_node(f);
}

const struct vdev_model pl031_model = {
    .compatible = "arm,pl031",
    .create = pl031_create,
    .reset = pl031_reset,
    .destroy = pl031_destroy,
    .fdt = pl031_fdt,
};
