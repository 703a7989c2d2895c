/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about mistakes: where, what was found, what would be right. */
#include <libfdt.h>

#include "config/schema.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define VALUE_MAX 72U

/* Appends to a buffer that ends up cut, never overrun. */
struct text {
    char *buf;
    size_t size, len;
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put_va(struct text *t, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

static void put_va(struct text *t, const char *fmt, va_list ap)
{
    int n = fmt_vsn(t->buf + t->len, t->size - t->len, fmt, ap);

    if (n > 0)
        t->len = min_u64(t->len + (size_t)n, t->size - 1);
}

static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_va(t, fmt, ap);
    va_end(ap);
}

static bool printable(char c) { return c >= ' ' && c <= '~'; }

/* Names in a blob may hold anything; a console must not. */
static void clean(char *s)
{
    for (; *s != '\0'; s++) {
        if (!printable(*s))
            *s = '?';
    }
}

/* Whether the value is strings one after the other, each with its NUL. */
static bool is_strings(const char *p, int len)
{
    for (int i = 0; i < len; i++) {
        if (!printable(p[i]) && (p[i] != '\0' || (len > 1 && (i == 0 || p[i - 1] == '\0'))))
            return false;
    }
    return len > 0 && p[len - 1] == '\0';
}

/* A property's value as a .dts would have it. */
static void put_value(struct text *t, const char *p, int len)
{
    size_t limit = t->len + VALUE_MAX < t->size ? t->len + VALUE_MAX : t->size - 1;
    int i = 0;

    if (len == 0) {
        put(t, "(no value)");
    } else if (is_strings(p, len)) {
        put(t, "\"");
        for (; i < len - 1 && t->len < limit; i++) {
            if (p[i] != '\0')
                put(t, "%c", p[i]);
            else
                put(t, "\", \"");
        }
        put(t, "%s\"", i < len - 1 ? "..." : "");
    } else if (len % 4 == 0) {
        put(t, "<");
        for (; i < len && t->len < limit; i += 4) {
            u32 v = fdt32_ld((const fdt32_t *)(const void *)(p + i));

            put(t, v > 0xffff ? "%s0x%x" : "%s%u", i != 0 ? " " : "", v);
        }
        put(t, "%s>", i < len ? " ..." : "");
    } else {
        put(t, "[");
        for (; i < len && t->len < limit; i++)
            put(t, "%s%02x", i != 0 ? " " : "", (u8)p[i]);
        put(t, "%s]", i < len ? " ..." : "");
    }
}

static void deliver(const struct cfg_node *n, const char *property, char *text)
{
    struct cfg_errors *e = n->errors;

    clean(text);
    if (e->count++ < CFG_MAX_REPORTS && e->report != NULL)
        e->report(e->arg, n->path, property, text);
}

void cfg_report(const struct cfg_node *n, const char *property, const char *fmt, ...)
{
    char buf[CFG_TEXT_MAX];
    struct text t = { buf, sizeof(buf), 0 };
    va_list ap;

    va_start(ap, fmt);
    put_va(&t, fmt, ap);
    va_end(ap);
    deliver(n, property, buf);
}

void cfg_report_value(const struct cfg_node *n, const char *property, const char *fmt, ...)
{
    char buf[CFG_TEXT_MAX];
    struct text t = { buf, sizeof(buf), 0 };
    int len;
    const char *p = fdt_getprop(n->blob, n->offset, property, &len);
    va_list ap;

    put(&t, "%s = ", property);
    if (p != NULL)
        put_value(&t, p, len);
    put(&t, ": ");
    va_start(ap, fmt);
    put_va(&t, fmt, ap);
    va_end(ap);
    deliver(n, property, buf);
}

void cfg_node_root(struct cfg_node *n, const void *blob, struct cfg_errors *errors)
{
    *n = (struct cfg_node){ .blob = blob, .offset = 0, .errors = errors, .path = "/" };
}

void cfg_node_child(struct cfg_node *n, const struct cfg_node *parent, int offset)
{
    struct text t = { n->path, sizeof(n->path), 0 };
    n->blob = parent->blob;
    n->offset = offset;
    n->errors = parent->errors;
    put(&t, "%s/%s", parent->path[1] == '\0' ? "" : parent->path, cfg_node_name(n));
    clean(n->path);
}

const char *cfg_node_name(const struct cfg_node *n)
{
    const char *name = fdt_get_name(n->blob, n->offset, NULL);

    return name != NULL ? name : "";
}

bool cfg_has(const struct cfg_node *n, const char *property)
{
    return fdt_getprop(n->blob, n->offset, property, NULL) != NULL;
}

void cfg_node_machine(struct cfg_node *n, struct cfg_errors *errors)
{
    *n = (struct cfg_node){ .blob = NULL, .offset = -1, .errors = errors, .path = "/" };
}

void cfg_node_vm(struct cfg_node *n, const struct cfg_vm *vm, struct cfg_errors *errors)
{
    *n = (struct cfg_node){ .blob = NULL, .offset = -1, .errors = errors };
    fmt_sn(n->path, sizeof(n->path), "/vms/%s", vm->name);
}

void cfg_format_bytes(char *buf, size_t size, u64 bytes)
{
    static const char unit[] = { 'G', 'M', 'K' };

    for (u32 i = 0; i < ARRAY_SIZE(unit); i++) {
        u32 shift = 30 - 10 * i;

        if (bytes != 0 && is_aligned(bytes, BIT(shift))) {
            fmt_sn(buf, size, "%lu%c", bytes >> shift, unit[i]);
            return;
        }
    }
    fmt_sn(buf, size, "%lu", bytes);
}
