/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/keel.h"

void *xalloc(size_t size)
{
    void *p = calloc(1, size);

    if (p == NULL) {
        complain("out of memory");
        exit(EXIT_FAILURE);
    }
    return p;
}

char *xformat(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0) {
        complain("out of memory");
        exit(EXIT_FAILURE);
    }
    va_end(ap);
    return s;
}

void complain(const char *fmt, ...)
{
    va_list ap;

    fputs("keel: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}
