/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/timer.h"
#include "drivers/virtio/internal.h"
#include "lib/bits.h"

#define STATUS_ACKNOWLEDGE 1U
#define STATUS_DRIVER 2U
#define STATUS_DRIVER_OK 4U
#define STATUS_FEATURES_OK 8U
#define STATUS_NEEDS_RESET 64U
#define STATUS_FAILED 128U
#define STATUS_GONE 0xffU
#define RESET_NS 1000000000UL
#define CONFIG_TRIES 8U

enum kerr hvirtio_probe(struct hvirtio *d)
{
    for (u32 i = 0; hvirtio_drivers[i] != NULL; i++) {
        enum kerr e;

        if (hvirtio_drivers[i]->id != d->id)
            continue;
        d->driver = hvirtio_drivers[i];
        e = d->driver->probe(d);
        if (e != K_OK) {
            hvirtio_fail(d, kerr_str(e));
            if (hvirtio_stop(d) != K_OK)
                log_error("virtio %s: does not stop", d->name);
        }
        return e;
    }
    return K_NOENT;
}

void hvirtio_fail(struct hvirtio *d, const char *why)
{
    if (__atomic_exchange_n(&d->failed, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    log_error("virtio %s (%s): %s", d->name, d->driver != NULL ? d->driver->name : "no driver", why);
}

enum kerr hvirtio_stop(struct hvirtio *d)
{
    u64 deadline = arch_ticks() + time_ns_to_ticks(RESET_NS);

    d->ops->set_status(d, 0);
    while (d->ops->status(d) != 0) {
        if (d->ops->status(d) == STATUS_GONE) /* unplugged: it reaches nothing any more */
            return K_OK;
        if (arch_ticks() > deadline) {
            if (d->ops->reach != NULL)
                d->ops->reach(d, false);
            return K_TIMEOUT;
        }
        arch_relax();
    }
    return K_OK;
}

static enum kerr agree(struct hvirtio *d)
{
    u64 offered;
    enum kerr e = hvirtio_stop(d);

    if (e != K_OK)
        return e;
    if (d->ops->reach != NULL)
        d->ops->reach(d, true);
    d->ops->set_status(d, STATUS_ACKNOWLEDGE);
    d->ops->set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    offered = d->ops->features(d);
    if ((offered >> HVIRTIO_F_VERSION_1 & 1) == 0 || offered == ~0UL)
        return K_UNSUPPORTED;
    /* Addresses are physical, and barriers those of real devices, in any case. */
    d->features = offered & (d->wanted | BIT(HVIRTIO_F_VERSION_1) | BIT(HVIRTIO_F_ACCESS_PLATFORM) |
                             BIT(HVIRTIO_F_ORDER_PLATFORM));
    if (d->driver != NULL && d->driver->choose != NULL)
        d->features = d->driver->choose(d->features);
    d->ops->accept(d, d->features);
    d->ops->set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return (d->ops->status(d) & STATUS_FEATURES_OK) != 0 ? K_OK : K_UNSUPPORTED;
}

enum kerr hvirtio_begin(struct hvirtio *d, u64 wanted, u32 queues)
{
    enum kerr e;

    if (queues > HVIRTIO_QUEUES_MAX)
        return K_RANGE;
    d->wanted = wanted;
    e = agree(d);
    return e == K_OK ? d->ops->irqs(d, queues) : e;
}

void hvirtio_go(struct hvirtio *d) { d->ops->set_status(d, d->ops->status(d) | STATUS_DRIVER_OK); }

enum kerr hvirtio_restart(struct hvirtio *d)
{
    u64 before = d->features;
    enum kerr e = agree(d);

    if (e == K_OK && d->features != before)
        e = K_UNSUPPORTED; /* others know already what it has */
    if (e == K_OK)
        d->ops->irqs_again(d);
    for (u32 i = 0; i < HVIRTIO_QUEUES_MAX && e == K_OK; i++)
        if (d->queue[i] != NULL)
            e = hvq_reset(d->queue[i]);
    if (e != K_OK)
        return e;
    __atomic_store_n(&d->failed, 0, __ATOMIC_SEQ_CST);
    hvirtio_go(d);
    return K_OK;
}

void hvirtio_config(struct hvirtio *d, u32 offset, void *buf, u32 len)
{
    u32 before;

    for (u32 i = 0; i < CONFIG_TRIES; i++) {
        before = d->ops->generation(d);
        for (u32 done = 0, n; done < len; done += n) {
            u32 value, at = offset + done;

            n = (at & 3) == 0 && len - done >= 4 ? 4 : (at & 1) == 0 && len - done >= 2 ? 2 : 1;
            value = d->ops->config_read(d, at, n);
            memcpy((char *)buf + done, &value, n);
        }
        if (d->ops->generation(d) == before)
            return;
    }
}

void hvirtio_queue_irq(void *queue)
{
    struct hvq *q = queue;

    q->fn(q->arg);
}

void hvirtio_queues_irq(struct hvirtio *d)
{
    for (u32 i = 0; i < HVIRTIO_QUEUES_MAX; i++)
        if (d->queue[i] != NULL)
            hvirtio_queue_irq(d->queue[i]);
}

bool hvirtio_ask(struct hvirtio *d)
{
    u32 status = d->ops->status(d);

    if (status == STATUS_GONE)
        hvirtio_fail(d, "is gone");
    else if ((status & STATUS_NEEDS_RESET) != 0)
        hvirtio_fail(d, "needs a reset");
    return !hvirtio_failed(d);
}

void hvirtio_config_irq(struct hvirtio *d)
{
    (void)hvirtio_ask(d);
    if (d->config_changed != NULL)
        d->config_changed(d);
}
