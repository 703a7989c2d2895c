/* SPDX-License-Identifier: Apache-2.0 */
/* The host's devices, and the drivers of this build. */
#ifndef INIT_DEVICES_H
#define INIT_DEVICES_H

#include "config/config.h"
#include "init/board.h"

/* Boot, all CPUs run, interrupts work. What cannot be used is logged, and stays off. */
void devices_init(struct board *b);
/* The interfaces that networks have as uplinks. After devices_init(). */
void devices_connect(const struct cfg_machine *m);

#endif
