/* SPDX-License-Identifier: Apache-2.0 */
/* A guest caught in an endless loop of exceptions: its vectors lie where there is nothing. It can only be
 * stopped from outside. */
#include "tests/payload/rt.h"

#define NOWHERE 0x0f000000UL /* nothing on the board, nor under Keel */

void payload_main(void)
{
    rt_printf("FAULT-LOOP start\n");
    wr_sys(vbar_el1, NOWHERE);
    isb();
    asm volatile(".inst 0"); /* undefined */
    rt_printf("FAULT-LOOP FAIL: went on\n");
}
