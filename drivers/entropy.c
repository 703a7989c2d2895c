/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/entropy.h"

#include <string.h>

#include "arch/cpu.h"
#include "lib/bits.h"

static struct entropy_device device;

static size_t from_cpu(void *p, size_t n)
{
    size_t done = 0;
    u64 value;

    while (done < n && arch_random(&value)) {
        size_t part = min_u64(n - done, sizeof(value));

        memcpy((char *)p + done, &value, part);
        done += part;
    }
    return done;
}

size_t entropy_get(void *p, size_t n)
{
    size_t done = from_cpu(p, n);

    if (done < n && device.get != NULL)
        done += device.get(device.arg, (char *)p + done, n - done);
    return done;
}

const char *entropy_source(void)
{
    u64 value;

    return arch_random(&value) ? "RNDR" : device.name;
}

enum kerr entropy_add(const struct entropy_device *d)
{
    if (device.get != NULL)
        return K_EXIST;
    device = *d;
    return K_OK;
}
