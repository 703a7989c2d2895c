/* SPDX-License-Identifier: Apache-2.0 */
/* All that libfdt wants of C's <stdlib.h>. */
#ifndef LIBC_STDLIB_H
#define LIBC_STDLIB_H

#include <stddef.h>

unsigned long strtoul(const char *restrict s, char **restrict end, int base);

#endif
