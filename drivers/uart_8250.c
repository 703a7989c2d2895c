/* SPDX-License-Identifier: Apache-2.0 */
/* 16550A and its kin. Registers lie 1 << reg_shift apart and are io_width bytes wide, as the ns16550
 * binding has it. One instance: the console. */
#include "drivers/uart_drivers.h"
#include "lib/mmio.h"

#define RBR 0 /* THR when written */
#define IER 1
#define IIR 2 /* FCR when written */
#define MCR 4
#define LSR 5
#define DW_USR 31 /* DesignWare: reading it ends a busy-detect interrupt */

#define IER_RX 0x01U
#define IER_THRE 0x02U
#define IIR_ID_MASK 0x0fU
#define IIR_DW_BUSY 0x07U
#define FCR_FIFO 0x01U
#define MCR_OUT2 0x08U  /* gates the interrupt line on PC-like boards */
#define MCR_READY 0x03U /* DTR, RTS */
#define LSR_DR 0x01U
#define LSR_THRE 0x20U
#define IIR_FIFO_ON 0xc0U
#define FIFO_BYTES 16U /* of a 16550A; its relatives have no less */

#define MINI_UART_FIFO_BYTES 8U

static u32 shift, width, fifo; /* set before anything else runs */

static u32 reg_get(uintptr_t base, u32 reg)
{
    uintptr_t a = base + ((uintptr_t)reg << shift);

    return width == 4 ? mmio_read32(a) : width == 2 ? mmio_read16(a) : mmio_read8(a);
}

static void reg_put(uintptr_t base, u32 reg, u32 value)
{
    uintptr_t a = base + ((uintptr_t)reg << shift);

    if (width == 4)
        mmio_write32(a, value);
    else if (width == 2)
        mmio_write16(a, (u16)value);
    else
        mmio_write8(a, (u8)value);
}

static void init(uintptr_t base, u32 reg_shift, u32 io_width)
{
    shift = reg_shift;
    width = io_width;
    reg_put(base, IER, 0);
    reg_put(base, IIR, FCR_FIFO);
    fifo = (reg_get(base, IIR) & IIR_FIFO_ON) == IIR_FIFO_ON ? FIFO_BYTES : 1;
    reg_put(base, MCR, MCR_OUT2 | MCR_READY);
}

/* THRE says that the FIFO is empty, and nothing says that it is full: so a FIFO's worth at most each time. */
static size_t put(uintptr_t base, const char *p, size_t n)
{
    size_t done = 0;

    if (!(reg_get(base, LSR) & LSR_THRE))
        return 0;
    while (done < n && done < fifo)
        reg_put(base, RBR, (u8)p[done++]);
    return done;
}

static int get(uintptr_t base)
{
    if (!(reg_get(base, LSR) & LSR_DR))
        return -1;
    return (int)(reg_get(base, RBR) & 0xff);
}

static void irq_enable(uintptr_t base, bool rx, bool tx_room)
{
    reg_put(base, IER, (rx ? IER_RX : 0) | (tx_room ? IER_THRE : 0));
}

static void irq_ack(uintptr_t base)
{
    if ((reg_get(base, IIR) & IIR_ID_MASK) == IIR_DW_BUSY)
        (void)reg_get(base, DW_USR);
}

static const char *const compatible[] = { "ns16550a", "ns16550", "snps,dw-apb-uart", NULL };

/* BCM2835's "mini UART": its tree says nothing of how far its registers are apart. */
static void init_mini(uintptr_t base, u32 reg_shift, u32 io_width)
{
    (void)reg_shift, (void)io_width;
    init(base, 2, 4);
    fifo = MINI_UART_FIFO_BYTES;
}

static const char *const compatible_mini[] = { "brcm,bcm2835-aux-uart", NULL };

const struct uart_driver uart_bcm2835_aux = {
    .compatible = compatible_mini,
    .init = init_mini,
    .put = put,
    .get = get,
    .irq_enable = irq_enable,
    .irq_ack = irq_ack,
};

const struct uart_driver uart_8250 = {
    .compatible = compatible,
    .init = init,
    .put = put,
    .get = get,
    .irq_enable = irq_enable,
    .irq_ack = irq_ack,
};
