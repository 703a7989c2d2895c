/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tree, and what was said of it. */
#ifndef TESTS_UNIT_TEST_BOARD_H
#define TESTS_UNIT_TEST_BOARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/fmt.h"

/* init/ is no part of the host's archive: most of it composes for the target alone. */
#include "init/board.c"
#include "init/board_node.c"
#include "init/board_pci.c"

static char said[512]; /* all that was logged */

void log_line(enum log_level level, const char *fmt, ...)
{
    size_t n = strlen(said);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    (void)fmt_vsn(said + n, sizeof(said) - n, fmt, ap);
    va_end(ap);
}

static char tree[SZ_2M];
static struct board board;

static int setup(void **state)
{
    (void)state;
    memset(&board, 0, sizeof(board));
    said[0] = 0;
    return 0;
}

static enum kerr parse(const void *dtb)
{
    enum kerr e = board_console(dtb, &board);

    return e == K_OK ? board_parse(&board) : e;
}

static void ok(int e) { assert_int_equal(e, 0); }

#endif
