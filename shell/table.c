/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/table.h"

#include <string.h>

#include "lib/bits.h"
#include "lib/fmt.h"

#define CELL_MAX 80U
#define ROW_MAX 160U

static void print(struct table *t)
{
    u32 width[TABLE_COLUMNS] = { 0 };

    for (u32 i = 0; i < t->cells; i++) {
        u32 len = (u32)strlen(t->text + t->cell[i]);

        width[i % t->columns] = len > width[i % t->columns] ? len : width[i % t->columns];
    }
    for (u32 row = 0; row + t->columns <= t->cells; row += t->columns) {
        char line[ROW_MAX];
        size_t at = 0;

        line[0] = '\0';
        for (u32 c = 0; c < t->columns && at < sizeof(line); c++) {
            int w = (int)width[c];

            w = t->numbers & 1U << c ? w : c + 1 == t->columns ? 0 : -w; /* no blanks at the end */
            at += (size_t)fmt_sn(line + at, sizeof(line) - at, "%s%*s", c ? "  " : "", w,
                                 t->text + t->cell[row + c]);
        }
        t->out(line);
    }
    t->used = 0;
    t->cells = 0;
}

static void add(struct table *t, const char *text, size_t len)
{
    if (t->used + len + 1 > TABLE_TEXT || t->cells == TABLE_CELLS)
        return;
    t->cell[t->cells++] = (u16)t->used;
    memcpy(t->text + t->used, text, len);
    t->used += (u32)len;
    t->text[t->used++] = '\0';
}

void table_begin(struct table *t, void (*out)(const char *line), const char *titles)
{
    t->out = out;
    t->columns = t->numbers = t->used = t->cells = 0;
    while (*titles && t->columns < TABLE_COLUMNS) {
        const char *bar = strchr(titles, '|');
        size_t len;

        if (*titles == '#') {
            t->numbers |= 1U << t->columns;
            titles++;
        }
        len = bar ? (size_t)(bar - titles) : strlen(titles);
        add(t, titles, len);
        t->columns++;
        titles += len + (titles[len] == '|');
    }
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[CELL_MAX];
    va_list ap;
    int len;

    /* Between rows only, so that no row is torn; a row is short of what is left then. */
    if (t->cells % t->columns == 0 &&
        (t->used + t->columns * CELL_MAX > TABLE_TEXT || t->cells + t->columns > TABLE_CELLS))
        print(t);
    va_start(ap, fmt);
    len = fmt_vsn(text, sizeof(text), fmt, ap);
    va_end(ap);
    add(t, text, min_u64((u64)len, sizeof(text) - 1));
}

void table_end(struct table *t) { print(t); }
