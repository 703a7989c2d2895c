/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVERS_QUIET_H
#define DRIVERS_QUIET_H

/* Before the machine ends: disks have what was written, their controllers know that it ends, and nothing on PCI reaches
 * memory any more. What others want of a disk from then on waits for ever. Bounded, but who calls it second waits for
 * the end. Thread context; sleeps. */
void drivers_quiet(void);

#endif
