/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <libfdt.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/fmt.h"

#define LIST_MAX 384U

/* A value as it lies in the blob. */
struct value {
    const char *p;
    int len;
};

static u32 cell(struct value v, size_t index)
{
    return fdt32_ld((const fdt32_t *)(const void *)(v.p + index * 4));
}

static u64 cell_pair(struct value v, u32 index) { return (u64)cell(v, index) << 32 | cell(v, index + 1); }

/* Exactly one string, its NUL included, with nothing in it that a console cannot show. */
static bool is_string(struct value v)
{
    if (v.len < 1 || v.p[v.len - 1] != '\0')
        return false;
    for (int i = 0; i < v.len - 1; i++) {
        if (v.p[i] < ' ' || v.p[i] > '~')
            return false;
    }
    return true;
}

static bool read_cells(const struct prop_rule *r, struct value v, struct cfg_cells *out)
{
    if (v.len < 4 || v.len % 4 != 0 || (u32)v.len > sizeof(out->v))
        return false;
    for (u32 i = 0; i < (u32)v.len / 4; i++) {
        u32 c = cell(v, i);

        if (c < r->min || c > r->max)
            return false;
        out->v[i] = c;
    }
    out->count = (u32)v.len / 4;
    return true;
}

static bool read_bytes(const struct prop_rule *r, struct value v, u64 *out)
{
    u64 n;

    if (is_string(v)) {
        if (!parse_u64(v.p, &n))
            return false;
    } else if (v.len == 8) {
        n = cell_pair(v, 0);
    } else {
        return false;
    }
    if (n < r->min || n > r->max || !is_aligned(n, r->min))
        return false;
    *out = n;
    return true;
}

/* A number up to max at *p, which moves behind it. */
static bool read_number(const char **p, u64 max, u64 *out)
{
    const char *start = *p;

    for (*out = 0; **p >= '0' && **p <= '9' && *out <= max; (*p)++)
        *out = *out * 10 + (u64)(**p - '0');
    return *p != start && *out <= max;
}

static bool read_set(const struct prop_rule *r, struct value v, u64 *out)
{
    u64 set = 0, first, last;

    if (!is_string(v))
        return false;
    for (const char *p = v.p;; p++) {
        if (!read_number(&p, r->max, &first))
            return false;
        last = first;
        if (*p == '-') {
            p++;
            if (!read_number(&p, r->max, &last))
                return false;
        }
        if (first < r->min || last < first)
            return false;
        set |= GENMASK(last, first);
        if (*p != ',') {
            *out = set;
            return *p == '\0';
        }
    }
}

static bool read_word(const struct prop_rule *r, struct value v, u32 *out)
{
    if (!is_string(v))
        return false;
    for (u32 i = 0; r->words[i] != NULL; i++) {
        if (strcmp(v.p, r->words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool read_value(const struct prop_rule *r, struct value v, void *field)
{
    struct cfg_cells cells;

    switch (r->kind) {
    case PROP_FLAG: *(bool *)field = v.len == 0; return v.len == 0;
    case PROP_CELL:
        if (v.len != 4 || !read_cells(r, v, &cells))
            return false;
        *(u32 *)field = cells.v[0];
        return true;
    case PROP_CELLS:
        if (!read_cells(r, v, &cells))
            return false;
        *(struct cfg_cells *)field = cells;
        return true;
    case PROP_BYTES: return read_bytes(r, v, field);
    case PROP_STRING:
        if (!is_string(v) || (u64)v.len - 1 < r->min || (u64)v.len - 1 > r->max)
            return false;
        *(const char **)field = v.p;
        return true;
    case PROP_WORD: return read_word(r, v, field);
    case PROP_WINDOW:
        if (v.len != 16)
            return false;
        *(struct cfg_window *)field = (struct cfg_window){ cell_pair(v, 0), cell_pair(v, 2) };
        return true;
    case PROP_SET: return read_set(r, v, field);
    }
    return false;
}

static void list_words(char *buf, const char *const *words)
{
    size_t len = 0;

    for (u32 i = 0; words[i] != NULL && len < LIST_MAX; i++)
        len += (size_t)fmt_sn(buf + len, LIST_MAX - len, "%s\"%s\"", i != 0 ? " or " : "", words[i]);
}

/* What would have been right. */
static void describe(const struct prop_rule *r, char *buf)
{
    char low[24], high[24];

    switch (r->kind) {
    case PROP_FLAG: fmt_sn(buf, LIST_MAX, "must have no value: there or not there"); break;
    case PROP_CELL: fmt_sn(buf, LIST_MAX, "must be %lu to %lu", r->min, r->max); break;
    case PROP_CELLS:
        fmt_sn(buf, LIST_MAX, "must be 1 to %u numbers, each %lu to %lu", CFG_MAX_VCPUS, r->min, r->max);
        break;
    case PROP_BYTES:
        cfg_format_bytes(low, sizeof(low), r->min);
        cfg_format_bytes(high, sizeof(high), r->max);
        fmt_sn(buf, LIST_MAX, "must be a multiple of %s, at most %s, such as \"512M\" or <0x0 0x20000000>",
               low, high);
        break;
    case PROP_STRING:
        fmt_sn(buf, LIST_MAX, "must be one string of %lu to %lu printable characters", r->min, r->max);
        break;
    case PROP_WORD: {
        size_t len = (size_t)fmt_sn(buf, LIST_MAX, "must be ");

        list_words(buf + len, r->words);
        break;
    }
    case PROP_WINDOW:
        fmt_sn(buf, LIST_MAX,
               "must be an address and a size of two cells each, "
               "such as <0x0 0x09000000 0x0 0x1000>");
        break;
    case PROP_SET:
        fmt_sn(buf, LIST_MAX, "must be numbers and ranges of them from %lu to %lu, such as \"0-3,8\"", r->min,
               r->max);
        break;
    }
}

static void report_unknown(const struct cfg_node *n, const struct node_rules *rules, const char *name)
{
    char known[LIST_MAX];
    size_t len = 0;

    known[0] = '\0';
    for (u32 i = 0; i < rules->count && len < sizeof(known); i++)
        len +=
            (size_t)fmt_sn(known + len, sizeof(known) - len, "%s%s", i != 0 ? ", " : "", rules->prop[i].name);
    if (rules->count == 0)
        cfg_report(n, name, "%.31s: unknown property; no property may be here", name);
    else
        cfg_report(n, name, "%.31s: unknown property; may be %s", name, known);
}

static const struct prop_rule *find_rule(const struct node_rules *rules, const char *name, u32 *index)
{
    for (u32 i = 0; i < rules->count; i++) {
        if (strcmp(rules->prop[i].name, name) == 0) {
            *index = i;
            return &rules->prop[i];
        }
    }
    return NULL;
}

void schema_read(const struct cfg_node *n, const struct node_rules *rules, void *out)
{
    char want[LIST_MAX + 16];
    u64 seen = 0;
    int prop;

    fdt_for_each_property_offset(prop, n->blob, n->offset)
    {
        const char *name;
        struct value v;
        const struct prop_rule *r;
        u32 index = 0;

        v.p = fdt_getprop_by_offset(n->blob, prop, &name, &v.len);
        if (v.p == NULL)
            break;
        r = find_rule(rules, name, &index);
        if (r == NULL) {
            report_unknown(n, rules, name);
        } else if (seen & BIT(index)) {
            cfg_report(n, r->name, "%s: given twice", r->name);
        } else {
            seen |= BIT(index);
            if (!read_value(r, v, (char *)out + r->offset)) {
                describe(r, want);
                cfg_report_value(n, r->name, "%s", want);
            }
        }
    }
    for (u32 i = 0; i < rules->count; i++) {
        if (rules->prop[i].required && !(seen & BIT(i))) {
            describe(&rules->prop[i], want);
            cfg_report(n, rules->prop[i].name, "%s: missing, %s", rules->prop[i].name, want);
        }
    }
}

int schema_only_child(const struct cfg_node *n, const char *allowed)
{
    return schema_children(n, allowed, NULL);
}

int schema_children(const struct cfg_node *n, const char *allowed, const char *also)
{
    bool had_also = false;
    int found = -1;
    int child;

    fdt_for_each_subnode(child, n->blob, n->offset)
    {
        struct cfg_node c;
        bool is_also;

        cfg_node_child(&c, n, child);
        is_also = also != NULL && strcmp(cfg_node_name(&c), also) == 0;
        if (allowed == NULL)
            cfg_report(&c, NULL, "unknown node; no node may be here");
        else if (!is_also && strcmp(cfg_node_name(&c), allowed) != 0)
            cfg_report(&c, NULL, "unknown node; may be %s%s%s", allowed, also != NULL ? " or " : "",
                       also != NULL ? also : "");
        else if (is_also ? had_also : found >= 0)
            cfg_report(&c, NULL, "given twice");
        else if (is_also)
            had_also = true;
        else
            found = child;
    }
    return found;
}
