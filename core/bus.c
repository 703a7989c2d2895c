/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bus.h"

#include <string.h>

#include "lib/checked.h"

enum kerr bus_add(struct bus *bus, const struct bus_region *r, const char **clash)
{
    u32 at = bus->count;
    u64 end;

    if (r->size == 0 || add_wraps(r->base, r->size - 1, &end))
        return K_INVAL;
    for (u32 i = bus->count; i-- > 0;) {
        const struct bus_region *other = &bus->region[i];

        if (ranges_overlap(r->base, r->size, other->base, other->size)) {
            if (clash)
                *clash = other->name;
            return K_EXIST;
        }
        if (other->base > r->base)
            at = i;
    }
    if (bus->count == BUS_MAX_REGIONS)
        return K_FULL;
    memmove(&bus->region[at + 1], &bus->region[at], (bus->count - at) * sizeof(*r));
    bus->region[at] = *r;
    bus->count++;
    return K_OK;
}
