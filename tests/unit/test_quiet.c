/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/task.h"
#include "drivers/disk/queue.h"
#include "drivers/pci.h"
#include "drivers/quiet.h"

static jmp_buf waits;
static u32 disks, buses;

void task_block(void) { longjmp(waits, 1); }

/* While it sleeps another thread ends the machine, too. */
void disks_shut_down(void)
{
    disks++;
    if (setjmp(waits) == 0) {
        drivers_quiet();
        fail();
    }
    assert_int_equal(buses, 0);
}

void pcie_quiet(void)
{
    assert_int_equal(disks, 1);
    buses++;
}

static void test_disks_come_first_and_who_comes_second_waits_for_the_end(void **state)
{
    (void)state;
    drivers_quiet();
    assert_int_equal(disks, 1);
    assert_int_equal(buses, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disks_come_first_and_who_comes_second_waits_for_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
