/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is only read, and over it, in host memory, what was written: by sectors, in pages. */
#ifndef DRIVERS_DISK_OVERLAY_H
#define DRIVERS_DISK_OVERLAY_H

#include "drivers/block.h"

/* base is destroyed with it, not when this fails. Host memory is taken as it is written; where there is none, but
 * for what Keel keeps for itself, the write fails. What is discarded gives it back. */
MUST_USE enum kerr overlay_create(struct block_device *base, struct block_device **out);

#endif
