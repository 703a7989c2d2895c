/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration node may hold, as const tables, and the one reader that checks a node
 * against its table. Internal to config/. Any context; no state. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

#define CFG_PATH_MAX 160U
#define CFG_TEXT_MAX 512U
/* A blob of nothing but mistakes must not flood the console. */
#define CFG_MAX_REPORTS 64U

struct cfg_cells {
    u32 count;
    u32 v[CFG_MAX_VCPUS];
};

struct cfg_window {
    u64 base, size;
};

enum prop_kind {
    PROP_FLAG,   /* bool: true when there; has no value */
    PROP_CELL,   /* u32, min..max */
    PROP_CELLS,  /* struct cfg_cells, each min..max */
    PROP_BYTES,  /* u64, min..max, a multiple of min: "512M" or <hi lo> */
    PROP_STRING, /* const char * into the blob, min..max characters */
    PROP_WORD,   /* u32: index in words */
    PROP_WINDOW, /* struct cfg_window: <hi lo hi lo> */
    PROP_SET,    /* u64: bitmap of numbers min..max, at most 63: "0-3,8" */
};

struct prop_rule {
    const char *name;
    enum prop_kind kind;
    bool required;
    size_t offset; /* of the field in what schema_read fills */
    u64 min, max;
    const char *const *words; /* NULL-terminated */
};

struct node_rules {
    const struct prop_rule *prop;
    u32 count; /* at most 64 */
};

struct cfg_node {
    const void *blob;
    int offset;
    struct cfg_errors *errors;
    char path[CFG_PATH_MAX];
};

/* The root node of a blob that fdt_check_full has passed, and a child of a node. */
void cfg_node_root(struct cfg_node *n, const void *blob, struct cfg_errors *errors);
void cfg_node_child(struct cfg_node *n, const struct cfg_node *parent, int offset);
/* Stand for the root and for a VM where no blob is at hand: fit for cfg_report only. */
void cfg_node_machine(struct cfg_node *n, struct cfg_errors *errors);
void cfg_node_vm(struct cfg_node *n, const struct cfg_vm *vm, struct cfg_errors *errors);
const char *cfg_node_name(const struct cfg_node *n);
bool cfg_has(const struct cfg_node *n, const char *property);

/* Reports a mistake at node; the text is the whole sentence. property may be NULL. */
void cfg_report(const struct cfg_node *n, const char *property, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same for a property that is there: "NAME = VALUE: " comes before the text. */
void cfg_report_value(const struct cfg_node *n, const char *property, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Checks every property of n against the rules and fills *out, whose fields hold the defaults and
 * keep them where a property is absent or wrong. */
void schema_read(const struct cfg_node *n, const struct node_rules *rules, void *out);

/* Reports every child of n but the one named `allowed` (NULL: none may be). Returns its offset or -1.
 * schema_children(): one more may be there. */
int schema_children(const struct cfg_node *n, const char *allowed, const char *also);
int schema_only_child(const struct cfg_node *n, const char *allowed);

/* Writes bytes as "512M", "64K" or "100", the largest unit that divides them. */
void cfg_format_bytes(char *buf, size_t size, u64 bytes);

#endif
