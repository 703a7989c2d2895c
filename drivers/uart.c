/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/uart.h"

#include <string.h>

#include "drivers/uart_drivers.h"

const struct uart_driver *const uart_drivers[] = { &uart_pl011, &uart_8250, &uart_bcm2835_aux, NULL };

const struct uart_driver *uart_find(const char *compatible)
{
    for (const struct uart_driver *const *d = uart_drivers; *d; d++) {
        for (const char *const *c = (*d)->compatible; *c; c++) {
            if (strcmp(*c, compatible) == 0)
                return *d;
        }
    }
    return NULL;
}
