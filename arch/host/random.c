/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/cpu.h"
#include "arch/host/host.h"

u32 host_random_left;
u64 host_random_next;

bool arch_random(u64 *out)
{
    if (host_random_left == 0)
        return false;
    host_random_left--;
    *out = host_random_next++;
    return true;
}
