/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a guest's device tree: libfdt's sequential writer behind calls that remember the first
 * failure, so that device models need no error handling. #address-cells and #size-cells are 2
 * everywhere; interrupts are GICv3's three cells. */
#ifndef CONFIG_GUEST_FDT_H
#define CONFIG_GUEST_FDT_H

#include "lib/err.h"
#include "lib/types.h"

struct gfdt {
    void *buf;
    int size;
    int error; /* first libfdt error, 0 = none */
    int depth; /* open nodes */
};

enum {
    GFDT_PHANDLE_GIC = 1,
    GFDT_PHANDLE_CLOCK = 2,
    GFDT_PHANDLE_ITS = 3,
    GFDT_PHANDLE_GPIO = 4,
    GFDT_PHANDLE_FREE = 16
};
enum { GFDT_SPI = 0, GFDT_PPI = 1 };
enum { GFDT_EDGE = 1, GFDT_LEVEL = 4 };

void gfdt_begin(struct gfdt *f, void *buf, size_t size);
void gfdt_node(struct gfdt *f, const char *name); /* opens */
void gfdt_node_at(struct gfdt *f, const char *name, u64 unit_addr);
void gfdt_end_node(struct gfdt *f);
void gfdt_empty(struct gfdt *f, const char *prop);
void gfdt_u32(struct gfdt *f, const char *prop, u32 v);
void gfdt_u64(struct gfdt *f, const char *prop, u64 v);
void gfdt_u32s(struct gfdt *f, const char *prop, const u32 *v, u32 n);
void gfdt_string(struct gfdt *f, const char *prop, const char *s);
void gfdt_strings(struct gfdt *f, const char *prop, const char *nul_separated, size_t len);
void gfdt_bytes(struct gfdt *f, const char *prop, const void *p, size_t len);
void gfdt_reg(struct gfdt *f, const u64 *base_size_pairs, u32 pairs); /* "reg" */
void gfdt_interrupt(struct gfdt *f, u32 kind, u32 number, u32 flags); /* "interrupts", one */
/* Closes the root and finishes; *len: bytes of the blob. */
MUST_USE enum kerr gfdt_finish(struct gfdt *f, size_t *len);

#endif
