/* SPDX-License-Identifier: Apache-2.0 */
/* The access bus: which device model answers an address of a VM. Lookup takes no lock: regions are a
 * sorted array that is published whole; a device is called straight from the exit. */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include "lib/err.h"
#include "lib/types.h"

struct vcpu;

/* size is 1, 2, 4 or 8; offset is from the region's base and need not be aligned to size, but the
 * access lies within the region. value holds size bytes. A handler that finds an access bad answers
 * as the device would (zero, ignore) or injects a fault into v. It never sleeps. v is the current
 * vCPU.
 *
 * map, where there is one: a load at offset that the CPU does not describe (a pair, one with write-back). True: the
 * model has mapped memory there, or it is being changed: the guest tries again. */
struct bus_ops {
    u64 (*read)(void *ctx, struct vcpu *v, u64 offset, unsigned size);
    void (*write)(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value);
    bool (*map)(void *ctx, u64 offset);
};

struct bus_region {
    u64 base, size;
    const struct bus_ops *ops;
    void *ctx;
    const char *name; /* device node's name, for `vm info` and errors */
};

#define BUS_MAX_REGIONS 64U

struct bus {
    u32 count;
    struct bus_region region[BUS_MAX_REGIONS]; /* sorted by base, no overlaps */
};

/* While the VM's vCPUs do not run. K_EXIST on overlap (name of the other in *clash if not NULL). */
MUST_USE enum kerr bus_add(struct bus *bus, const struct bus_region *r, const char **clash);

/* The region that holds all of [addr, addr+size), or NULL. */
static inline const struct bus_region *bus_find(const struct bus *bus, u64 addr, unsigned size)
{
    u32 lo = 0, n = bus->count;

    while (n > 0) { /* lo + n never exceeds count: bounded by log2(BUS_MAX_REGIONS) rounds */
        u32 half = n / 2;
        const struct bus_region *r = &bus->region[lo + half];

        if (addr - r->base < r->size)
            return r->size - (addr - r->base) >= size ? r : NULL;
        if (addr < r->base) {
            n = half;
        } else {
            lo += half + 1;
            n -= half + 1;
        }
    }
    return NULL;
}

#endif
