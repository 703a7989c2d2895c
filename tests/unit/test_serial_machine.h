/* SPDX-License-Identifier: Apache-2.0 */
/* The world around a serial port: a console with so much room, an interrupt line that hears of changes only. */
#ifndef TEST_SERIAL_MACHINE_H
#define TEST_SERIAL_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "config/guest_fdt.h"
#include "core/heap.h"
#include "drivers/console.h"
#include "irq/inject/vgic.h"
#include "vdev/regs.h"
#include "vdev/vdev.h"

static struct console_port *ports[2];
static u32 port_count;
static char printed[256];
static size_t printed_len, console_room;
static u32 input_ready;
static bool line;
static u32 line_changes, line_intid;

void *heap_alloc(size_t size) { return calloc(1, size); }

void heap_free(void *p, size_t size)
{
    (void)size;
    free(p);
}

enum kerr console_port_add(struct console_port *port)
{
    if (port_count == ARRAY_SIZE(ports))
        return K_FULL;
    ports[port_count++] = port;
    return K_OK;
}

void console_port_remove(struct console_port *port)
{
    (void)port;
    port_count--;
}

size_t console_write(struct console_port *port, const char *p, size_t n)
{
    (void)port;
    if (n > console_room)
        n = console_room;
    memcpy(printed + printed_len, p, n);
    printed_len += n;
    console_room -= n;
    return n;
}

void console_input_ready(struct console_port *port)
{
    (void)port;
    input_ready++;
}

void vgic_spi_level(struct vm *vm, u32 intid, bool level)
{
    (void)vm;
    assert_true(level != line || intid != line_intid); /* changes only */
    line = level;
    line_intid = intid;
    line_changes++;
}

static struct vm vm;
static void *dev;

static void serial_fresh(const struct vdev_model *model, const char *node)
{
    const struct cfg_device cfg = { .node = node, .irq = CFG_IRQ_DEFAULT };

    memset(&vm, 0, sizeof(vm));
    strcpy(vm.name, "guest");
    port_count = 0;
    printed_len = 0;
    console_room = sizeof(printed);
    input_ready = line_changes = line_intid = 0;
    line = false;
    assert_int_equal(model->create(&vm, &cfg, &dev), K_OK);
    model->reset(dev);
}

static size_t type(const char *s) { return ports[0]->input(ports[0], s, strlen(s)); }

#endif
