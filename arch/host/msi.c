/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are what a test fires. */
#include <stdlib.h>

#include "arch/host/host.h"
#include "arch/msi.h"

#define DEVICES 8U

struct msi_device {
    u32 id, vectors;
    bool used;
    struct {
        void (*fn)(void *arg);
        void *arg;
        u32 cpu;
    } handler[HOST_MSI_VECTORS];
};

static struct msi_device devices[DEVICES];
bool host_no_msi;
u32 host_msi_room = ~0U;

bool arch_msi_present(void) { return !host_no_msi; }

enum kerr arch_msi_device_create(u32 device_id, u32 vectors, struct msi_device **out)
{
    if (host_no_msi)
        return K_UNSUPPORTED;
    if (vectors == 0 || vectors > HOST_MSI_VECTORS || vectors > host_msi_room)
        return K_FULL;
    for (u32 i = 0; i < DEVICES; i++)
        if (devices[i].used && devices[i].id == device_id)
            return K_EXIST;
    for (u32 i = 0; i < DEVICES; i++) {
        if (devices[i].used)
            continue;
        devices[i] = (struct msi_device){ .id = device_id, .vectors = vectors, .used = true };
        *out = &devices[i];
        return K_OK;
    }
    return K_FULL;
}

void arch_msi_device_destroy(struct msi_device *d) { d->used = false; }

enum kerr arch_msi_attach(struct msi_device *d, u32 vector, u32 cpu, const char *name, void (*fn)(void *arg),
                          void *arg, struct msi_message *out)
{
    (void)name;
    if (vector >= d->vectors)
        return K_RANGE;
    if (d->handler[vector].fn != NULL)
        return K_EXIST;
    d->handler[vector].fn = fn;
    d->handler[vector].arg = arg;
    d->handler[vector].cpu = cpu;
    *out = (struct msi_message){ HOST_MSI_ADDRESS, vector };
    return K_OK;
}

void arch_msi_detach(struct msi_device *d, u32 vector) { d->handler[vector].fn = NULL; }

bool arch_msi_get(u32 i, struct msi_info *out)
{
    (void)i, (void)out;
    return false;
}

bool host_msi_fire(u32 device_id, u32 vector)
{
    for (u32 i = 0; i < DEVICES; i++) {
        const struct msi_device *d = &devices[i];

        if (d->used && d->id == device_id && vector < d->vectors && d->handler[vector].fn != NULL) {
            d->handler[vector].fn(d->handler[vector].arg);
            return true;
        }
    }
    return false;
}
