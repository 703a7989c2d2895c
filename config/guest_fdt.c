/* SPDX-License-Identifier: Apache-2.0 */
#include "config/guest_fdt.h"

#include <libfdt.h>
#include <limits.h>

#include "lib/fmt.h"

#define NODE_NAME_MAX 64U
#define CELLS_MAX 160U /* PCI's interrupt-map: 4 slots, 4 pins, 10 cells */

static void note(struct gfdt *f, int error)
{
    if (f->error == 0 && error < 0)
        f->error = error;
}

void gfdt_begin(struct gfdt *f, void *buf, size_t size)
{
    *f = (struct gfdt){ .buf = buf, .size = size > INT_MAX ? INT_MAX : (int)size };
    note(f, fdt_create(f->buf, f->size));
    if (f->error == 0)
        note(f, fdt_finish_reservemap(f->buf));
    gfdt_node(f, "");
}

void gfdt_node(struct gfdt *f, const char *name)
{
    if (f->error == 0)
        note(f, fdt_begin_node(f->buf, name));
    f->depth++;
}

void gfdt_node_at(struct gfdt *f, const char *name, u64 unit_addr)
{
    char full[NODE_NAME_MAX];

    if (fmt_sn(full, sizeof(full), "%s@%lx", name, unit_addr) >= (int)sizeof(full))
        note(f, -FDT_ERR_NOSPACE);
    gfdt_node(f, full);
}

void gfdt_end_node(struct gfdt *f)
{
    if (f->error == 0)
        note(f, fdt_end_node(f->buf));
    f->depth--;
}

void gfdt_bytes(struct gfdt *f, const char *prop, const void *p, size_t len)
{
    if (len > INT_MAX)
        note(f, -FDT_ERR_NOSPACE);
    if (f->error == 0)
        note(f, fdt_property(f->buf, prop, p, (int)len));
}

void gfdt_empty(struct gfdt *f, const char *prop) { gfdt_bytes(f, prop, NULL, 0); }

void gfdt_u32(struct gfdt *f, const char *prop, u32 v) { gfdt_u32s(f, prop, &v, 1); }

void gfdt_u64(struct gfdt *f, const char *prop, u64 v)
{
    gfdt_u32s(f, prop, (const u32[]){ (u32)(v >> 32), (u32)v }, 2);
}

void gfdt_u32s(struct gfdt *f, const char *prop, const u32 *v, u32 n)
{
    fdt32_t cells[CELLS_MAX];

    if (n > CELLS_MAX) {
        note(f, -FDT_ERR_NOSPACE);
        return;
    }
    for (u32 i = 0; i < n; i++)
        cells[i] = cpu_to_fdt32(v[i]);
    gfdt_bytes(f, prop, cells, n * sizeof(cells[0]));
}

void gfdt_string(struct gfdt *f, const char *prop, const char *s)
{
    size_t len = 0;

    while (s[len] != '\0')
        len++;
    gfdt_bytes(f, prop, s, len + 1);
}

void gfdt_strings(struct gfdt *f, const char *prop, const char *nul_separated, size_t len)
{
    gfdt_bytes(f, prop, nul_separated, len);
}

void gfdt_reg(struct gfdt *f, const u64 *base_size_pairs, u32 pairs)
{
    fdt32_t cells[CELLS_MAX];

    if (pairs > CELLS_MAX / 4) {
        note(f, -FDT_ERR_NOSPACE);
        return;
    }
    for (size_t i = 0; i < 2UL * pairs; i++) {
        cells[2 * i] = cpu_to_fdt32((u32)(base_size_pairs[i] >> 32));
        cells[2 * i + 1] = cpu_to_fdt32((u32)base_size_pairs[i]);
    }
    gfdt_bytes(f, "reg", cells, 4UL * pairs * sizeof(cells[0]));
}

void gfdt_interrupt(struct gfdt *f, u32 kind, u32 number, u32 flags)
{
    gfdt_u32s(f, "interrupts", (const u32[]){ kind, number, flags }, 3);
}

enum kerr gfdt_finish(struct gfdt *f, size_t *len)
{
    gfdt_end_node(f);
    if (f->depth != 0) /* libfdt would write such a tree */
        note(f, -FDT_ERR_BADSTRUCTURE);
    if (f->error == 0)
        note(f, fdt_finish(f->buf));
    if (f->error != 0)
        return f->error == -FDT_ERR_NOSPACE ? K_NOMEM : K_INVAL;
    *len = fdt_totalsize(f->buf);
    return K_OK;
}
