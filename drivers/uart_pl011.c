/* SPDX-License-Identifier: Apache-2.0 */
/* Arm PL011 (DDI 0183) and SBSA's generic UART, which is the part of it used here. */
#include "drivers/uart_drivers.h"
#include "lib/bits.h"
#include "lib/mmio.h"

#define DR 0x00
#define FR 0x18
#define LCRH 0x2c
#define CR 0x30
#define IMSC 0x38
#define ICR 0x44

#define DR_BYTE_MASK 0xffU
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)
#define LCRH_8N1_FIFO 0x70U
#define CR_ENABLE 0x301U /* UARTEN, TXE, RXE */
#define INT_RX 0x10U
#define INT_TX 0x20U
#define INT_RT 0x40U
#define INT_ALL 0x7ffU

static void init(uintptr_t base, u32 reg_shift, u32 io_width)
{
    (void)reg_shift, (void)io_width;
    mmio_write32(base + IMSC, 0);
    mmio_write32(base + ICR, INT_ALL);
    if ((mmio_read32(base + CR) & CR_ENABLE) != CR_ENABLE) {
        /* No firmware was here. The baud rate stays as it is: only a board's firmware knows the clock. */
        mmio_write32(base + LCRH, LCRH_8N1_FIFO);
        mmio_write32(base + CR, CR_ENABLE);
    }
}

static size_t put(uintptr_t base, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && !(mmio_read32(base + FR) & FR_TXFF))
        mmio_write32(base + DR, (u8)p[done++]);
    return done;
}

static int get(uintptr_t base)
{
    if (mmio_read32(base + FR) & FR_RXFE)
        return -1;
    return (int)(mmio_read32(base + DR) & DR_BYTE_MASK);
}

static void irq_enable(uintptr_t base, bool rx, bool tx_room)
{
    mmio_write32(base + IMSC, (rx ? INT_RX | INT_RT : 0) | (tx_room ? INT_TX : 0));
}

/* The transmit interrupt stays as it is: filling the FIFO lowers it, and clearing it here would lose the
 * moment at which room came. */
static void irq_ack(uintptr_t base) { mmio_write32(base + ICR, INT_ALL & ~INT_TX); }

static const char *const compatible[] = { "arm,pl011", "arm,sbsa-uart", NULL };

const struct uart_driver uart_pl011 = {
    .compatible = compatible,
    .init = init,
    .put = put,
    .get = get,
    .irq_enable = irq_enable,
    .irq_ack = irq_ack,
};
