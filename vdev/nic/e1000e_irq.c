/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts (10.2.4, 7.4): causes and mask, messages by cause, auto-clear and auto-mask, and the interval below which a
 * vector is not raised again. What is too early is raised by the worker when its time has come. */
#include "arch/time.h"
#include "core/timer.h"
#include "vdev/nic/e1000e_internal.h"

#define INTX E1000E_VECTORS
#define INTERVAL_NS 256U
#define NEVER UINT64_MAX
#define OTHER_CAUSES ((u32)(ICR_LSC | ICR_RXO | ICR_MDAC))
#define IVAR_VALID 8U
#define IVAR_VECTOR 7U

/* Causes that have a vector, and where IVAR says which. */
static const struct {
    u32 cause;
    u8 shift;
} messages[] = { { (u32)ICR_RXQ0, 0 }, { (u32)ICR_TXQ0, 8 }, { (u32)ICR_OTHER, 16 } };

/* Whether this one has to wait; if not, the next one may. */
static bool too_early(struct e1000e *d, u32 which, u32 interval, u64 now)
{
    if (now < d->next_at[which]) {
        d->later = min_u64(d->later, d->next_at[which]);
        return true;
    }
    d->next_at[which] = now + time_ns_to_ticks((u64)(interval & 0xffff) * INTERVAL_NS);
    return false;
}

/* Vectors to be sent. */
static u32 messages_locked(struct e1000e *d, u64 now)
{
    u32 fire = 0;

    if (d->icr & d->ims & OTHER_CAUSES)
        d->icr |= (u32)ICR_OTHER;
    d->sent &= d->icr & d->ims;
    for (u32 i = 0; i < ARRAY_SIZE(messages); i++) {
        u32 cause = messages[i].cause, entry = d->ivar >> messages[i].shift, vector = entry & IVAR_VECTOR;

        if ((d->icr & d->ims & ~d->sent & cause) == 0)
            continue;
        if ((entry & IVAR_VALID) == 0 || vector >= E1000E_VECTORS)
            continue;
        if (too_early(d, vector, d->eitr[vector], now))
            continue;
        fire |= 1U << vector;
        d->sent |= cause;
        d->icr &= ~(d->eiac & cause);
        if (d->ctrl_ext & CTRL_EXT_EIAME)
            e1000e_store(&d->ims, d->ims & ~(d->iam & cause));
    }
    d->sent &= d->icr & d->ims; /* what was taken back with its message is told of anew when it comes again */
    return fire;
}

static void line_locked(struct e1000e *d, u64 now)
{
    bool level = (d->icr & d->ims) != 0;

    if (level == d->intx || (level && too_early(d, INTX, d->itr, now)))
        return;
    if (level)
        e1000e_count(d, STAT_IAC, 1);
    d->intx = level;
    pci_intx_set(&d->function, level);
}

/* Under lock; messages are sent without it. */
static u32 deliver_locked(struct e1000e *d)
{
    u64 now = arch_ticks(), before = d->later;
    u32 fire = 0;

    d->later = NEVER;
    if (pci_msix_enabled(&d->function))
        fire = messages_locked(d, now);
    else
        line_locked(d, now);
    if (d->later < before)
        worker_kick(&d->worker); /* it waits for that, from now on */
    return fire;
}

static void send(struct e1000e *d, u32 fire)
{
    for (; fire != 0; fire &= fire - 1) {
        e1000e_count(d, STAT_IAC, 1);
        (void)pci_msix_raise(&d->function, ctz64(fire));
    }
}

void e1000e_change_interrupts(struct e1000e *d, u32 *reg, u32 set, u32 clear)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    u32 fire;

    e1000e_store(reg, (*reg & ~clear) | set);
    fire = deliver_locked(d);
    spin_unlock_irq(&d->lock, flags);
    send(d, fire);
}

void e1000e_raise(struct e1000e *d, u32 causes) { e1000e_change_interrupts(d, &d->icr, causes, 0); }

void e1000e_update_interrupts(struct e1000e *d) { e1000e_raise(d, 0); }

/* 10.2.4.1: reading acknowledges, but for a shared line that was not ours. */
u32 e1000e_read_icr(struct e1000e *d)
{
    unsigned long flags = spin_lock_irq(&d->lock);
    bool asserted = (d->icr & d->ims) != 0;
    u32 value = d->icr | (asserted ? (u32)ICR_ASSERTED : 0), fire;

    if (asserted || d->ims == 0 || !pci_msix_enabled(&d->function)) {
        d->icr = 0;
        if (asserted && (d->ctrl_ext & CTRL_EXT_IAME))
            e1000e_store(&d->ims, d->ims & ~d->iam);
    }
    fire = deliver_locked(d);
    spin_unlock_irq(&d->lock, flags);
    send(d, fire);
    return value;
}
