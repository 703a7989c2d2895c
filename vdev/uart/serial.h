/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of serial ports share: two FIFOs, one interrupt line, and as the other end a port of the host console.
 * The line has no speed: a byte that the console takes is out at once. */
#ifndef VDEV_UART_SERIAL_H
#define VDEV_UART_SERIAL_H

#include "core/lock.h"
#include "drivers/console.h"
#include "vdev/regs.h"
#include "vdev/vdev.h"

#define SERIAL_FIFO 16U

struct serial {
    struct spinlock lock; /* guards all of the model but kind, vm, intid, base, name */
    const struct serial_kind *kind;
    struct vm *vm;
    u32 intid;
    u64 base;
    struct console_port port;
    char name[VM_NAME_MAX + 20];

    u16 rx[SERIAL_FIFO]; /* bytes, and above them what the model notes of each */
    u8 tx[SERIAL_FIFO];  /* used only while the console's ring is full */
    u8 rx_head, rx_count, tx_head, tx_count;
    u8 depth;        /* of both FIFOs: SERIAL_FIFO, or 1 while the guest has them off */
    bool looped;     /* what is sent comes back, and nothing else comes in */
    bool rx_starved; /* the console holds input that found no room */
    bool line;
};

/* A model's part. Its functions are called with the lock held. */
struct serial_kind {
    const struct reg_block *regs; /* ctx: the model's structure */
    const struct bus_ops *ops;
    size_t size; /* bytes of the model's structure, which begins with a struct serial */
    u64 base;    /* and interrupt, where the configuration gives none */
    u32 spi;
    void (*receive)(struct serial *s, u8 byte); /* from the console; there is room */
    void (*sent)(struct serial *s);             /* the console took bytes of tx */
    void (*update)(struct serial *s); /* derives the interrupt line, and what else follows from the state */
    void (*reset)(struct serial *s);  /* what regs do not cover */
};

/* For struct vdev_model. */
MUST_USE enum kerr serial_create(const struct serial_kind *kind, struct vm *vm, const struct cfg_device *cfg,
                                 void **dev);
void serial_reset(void *dev);
void serial_destroy(void *dev);

/* Locked. */
MUST_USE bool serial_rx_put(struct serial *s, u32 entry); /* false: full */
u32 serial_rx_take(struct serial *s);                     /* 0: empty */
void serial_tx_put(struct serial *s, u8 byte);            /* not looped; lost if the FIFO is full too */
void serial_set_line(struct serial *s, bool level);

/* Drops the lock of a handler that may have made room, and has the console offer again what it holds. */
void serial_unlock(struct serial *s);

#endif
