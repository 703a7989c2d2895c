/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bcm2835_pm.h"

#include "lib/mmio.h"

#define RSTC 0x1c
#define RSTS 0x20
#define WDOG 0x24
#define PASSWORD 0x5a000000U /* writes without it are ignored */
#define RSTC_CONFIG_MASK 0x30U
#define RSTC_FULL_RESET 0x20U
#define RSTS_HALT 0x555U /* partition 63: the boot ROM's sign to stay off */
#define WATCHDOG_TICKS 10U

static uintptr_t pm;

void bcm2835_pm_init(uintptr_t base) { pm = base; }

void bcm2835_pm_reset(void)
{
    mmio_write32(pm + WDOG, PASSWORD | WATCHDOG_TICKS);
    mmio_write32(pm + RSTC, PASSWORD | (mmio_read32(pm + RSTC) & ~RSTC_CONFIG_MASK) | RSTC_FULL_RESET);
}

void bcm2835_pm_off(void)
{
    mmio_write32(pm + RSTS, PASSWORD | mmio_read32(pm + RSTS) | RSTS_HALT);
    bcm2835_pm_reset();
}
