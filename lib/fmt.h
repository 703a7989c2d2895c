/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text for a freestanding program. The subset of C's printf that Keel uses:
 * %d %i %u %x %X %c %s %p %%, with -, 0, # (of x), width, precision (strings), * and the lengths hh h l ll z. */
#ifndef LIB_FMT_H
#define LIB_FMT_H

#include <stdarg.h>

#include "lib/types.h"

/* As C's vsnprintf: writes at most size bytes including the NUL, returns the length that was wanted. */
int fmt_vsn(char *buf, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
int fmt_sn(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Parses an unsigned number, decimal or 0x hexadecimal, with an optional K, M or G suffix (powers
 * of 1024). The whole string must be the number. Returns false where it is not one or overflows. */
MUST_USE bool parse_u64(const char *s, u64 *out);

#endif
