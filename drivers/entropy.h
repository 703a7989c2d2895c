/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the machine's hardware: the CPU's generator, or a device's. Nothing is made up: where the
 * hardware has none there are none. */
#ifndef DRIVERS_ENTROPY_H
#define DRIVERS_ENTROPY_H

#include "lib/err.h"
#include "lib/types.h"

/* Up to n bytes; how many there were: fewer where the source does not keep up, none where there is no source. Any
 * context. */
MUST_USE size_t entropy_get(void *p, size_t n);

/* What they come from, such as "RNDR"; NULL: there is no source. Any context. */
const char *entropy_source(void);

/* A device that has some, beside the CPU's generator, which goes first. Boot. K_EXIST: there is one already. */
struct entropy_device {
    const char *name;
    size_t (*get)(void *arg, void *p, size_t n); /* any context */
    void *arg;
};
MUST_USE enum kerr entropy_add(const struct entropy_device *d);

#endif
