/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration blobs for tests: a good machine to make one change to, and what was reported. */
#ifndef TESTS_UNIT_TEST_CONFIG_H
#define TESTS_UNIT_TEST_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "config/config.h"

#define BLOB_SIZE 16384U

static const char *const test_models[] = { "arm,pl011", "arm,pl031", "cfi-flash", "test,free", NULL };

struct reports {
    u32 count;
    char all[8192]; /* lines "node: text" */
    char property[64];
};

static inline void collect(void *arg, const char *node, const char *property, const char *text)
{
    struct reports *r = arg;
    size_t used = strlen(r->all);

    r->count++;
    snprintf(r->all + used, sizeof(r->all) - used, "%s: %s\n", node, text);
    snprintf(r->property, sizeof(r->property), "%s", property != NULL ? property : "");
}

static inline struct cfg_errors collect_errors(struct reports *r)
{
    memset(r, 0, sizeof(*r));
    return (struct cfg_errors){ .report = collect, .arg = r };
}

/* The offset of a node, made with its parents where missing. */
static inline int blob_node(void *blob, const char *path)
{
    char parent[256];
    const char *name = strrchr(path, '/') + 1;
    int at = fdt_path_offset(blob, path);

    if (at >= 0)
        return at;
    snprintf(parent, sizeof(parent), "%.*s", (int)(name - path - 1), path);
    at = fdt_add_subnode(blob, parent[0] == '\0' ? 0 : blob_node(blob, parent), name);
    assert_true(at >= 0);
    return at;
}

static inline void blob_set(void *blob, const char *path, const char *property, const void *value, size_t len)
{
    assert_int_equal(
        fdt_setprop(blob, path[1] == '\0' ? 0 : blob_node(blob, path), property, value, (int)len), 0);
}

static inline void blob_string(void *blob, const char *path, const char *property, const char *value)
{
    blob_set(blob, path, property, value, strlen(value) + 1);
}

static inline void blob_cells(void *blob, const char *path, const char *property, const u32 *cells, u32 count)
{
    fdt32_t be[16];

    for (u32 i = 0; i < count; i++)
        be[i] = cpu_to_fdt32(cells[i]);
    blob_set(blob, path, property, be, count * sizeof(be[0]));
}

#define CELLS(...) (const u32[]){ __VA_ARGS__ }, (u32)(sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))

/* The smallest right configuration: VM "a". */
static inline void blob_machine(void *blob)
{
    assert_int_equal(fdt_create_empty_tree(blob, BLOB_SIZE), 0);
    blob_string(blob, "/", "compatible", "keel,machine");
    blob_cells(blob, "/vms/a", "vcpus", CELLS(2));
    blob_string(blob, "/vms/a", "memory", "512M");
    blob_string(blob, "/vms/a", "kernel", "vmlinuz");
}

#endif
