/* SPDX-License-Identifier: Apache-2.0 */
/* What memory costs when it is touched for the first time: one store in each piece of stride=N bytes, of
 * size=N bytes from the RAM's 64th MiB on, and the same again. For `-icount shift=0`: a nanosecond is an
 * instruction.
 *
 * BENCH first|again touches total_ns ns_per_touch_x100 */
#include "tests/payload/rt.h"

#define FROM 0x44000000UL

static u64 number(const char *key)
{
    char text[24];
    u64 v = 0;

    if (!rt_arg(key, text, sizeof(text)))
        return 0;
    for (const char *s = text; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (u64)(*s - '0');
    return v;
}

static void touch(const char *name, u64 size, u64 stride)
{
    u64 start, ns;

    isb();
    start = rd_sys(cntvct_el0);
    for (u64 a = FROM; a < FROM + size; a += stride)
        wr64(a, a);
    isb();
    ns = (rd_sys(cntvct_el0) - start) * 1000000000UL / rd_sys(cntfrq_el0);
    rt_printf("BENCH %s %u %u %u\n", name, size / stride, ns, ns * 100 / (size / stride));
}

void payload_main(void)
{
    u64 size = number("size"), stride = number("stride");

    if (size == 0 || stride == 0 || size < stride) {
        rt_printf("BENCH-ERROR size and stride must be given\n");
        return;
    }
    touch("first", size, stride);
    touch("again", size, stride);
    rt_printf("BENCH-END\n");
}
