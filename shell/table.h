/* SPDX-License-Identifier: Apache-2.0 */
/* Text in aligned columns. Rows are collected, then printed with every column as wide as its widest cell. */
#ifndef SHELL_TABLE_H
#define SHELL_TABLE_H

#include "lib/types.h"

#define TABLE_COLUMNS 12U
#define TABLE_TEXT 4096U /* when full, the rows so far are printed first */
#define TABLE_CELLS 512U

struct table {
    void (*out)(const char *line); /* gets lines without newline */
    u32 columns, numbers;          /* numbers: bit i: column i is aligned to the right */
    u32 used, cells;
    u16 cell[TABLE_CELLS]; /* where it begins in text */
    char text[TABLE_TEXT];
};

/* titles: columns separated by '|'; those of numbers, aligned to the right, begin with '#' (not shown). */
void table_begin(struct table *t, void (*out)(const char *line), const char *titles);
/* Cells go from left to right; the one after a row's last begins the next. */
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_end(struct table *t);

#endif
