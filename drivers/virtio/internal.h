/* SPDX-License-Identifier: Apache-2.0 */
/* Between device.c (status, features), ring.c and the transports, mmio.c and pci.c. */
#ifndef DRIVERS_VIRTIO_INTERNAL_H
#define DRIVERS_VIRTIO_INTERNAL_H

#include "drivers/virtio.h"

/* Interrupt status bits, 4.1.4.5 and 4.2.2. */
#define ISR_QUEUE 1U
#define ISR_CONFIG 2U

/* Interrupts, as a transport sees them: of one queue, of all, of the configuration. */
void hvirtio_queue_irq(void *queue);
void hvirtio_queues_irq(struct hvirtio *d);
void hvirtio_config_irq(struct hvirtio *d);

/* ring.c: empty again; tells the device. */
MUST_USE enum kerr hvq_reset(struct hvq *q);

#endif
