/* SPDX-License-Identifier: Apache-2.0 */
/* A console's log from which a capture is to be taken: any bytes, and dumps among what guests print, which must come out as
 * they went in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pcap.c"

#define PAYLOAD_MAX 2048U
#define LINE_BYTES 57U
#define LOG_MAX (64U << 10)

void complain(const char *fmt, ...) { (void)fmt; }

bool write_all(int fd, const void *data, size_t size)
{
    (void)fd, (void)data, (void)size;
    return true;
}

static char text[LOG_MAX];
static size_t text_len;

static void put(const char *s)
{
    size_t n = strlen(s);

    if (text_len + n > sizeof(text))
        abort();
    memcpy(text + text_len, s, n);
    text_len += n;
}

static void encode(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned v =
            (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0U);

        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = '\0';
}

static void dump(const unsigned char *p, size_t n, unsigned how)
{
    const char *end = (how & 2) != 0 ? "\r\n" : "\n";
    char line[2 * LINE_BYTES];

    put("-----BEGIN PCAP a/net0-----"), put(end);
    for (size_t i = 0; i < n; i += LINE_BYTES) {
        encode(p + i, n - i < LINE_BYTES ? n - i : LINE_BYTES, line);
        put(line), put(end);
        if ((how & 4) != 0)
            put("other| -----BEGIN PCAP a/net0-----"), put(end);
        if ((how & 8) != 0)
            put("a-guest| -----END PCAP-----"), put(end);
    }
    put(END_MARK), put(end);
}

static void expect(const unsigned char *p, size_t n)
{
    struct bytes got = { 0 };
    FILE *log = fmemopen(text, text_len, "r");

    if (log == NULL || !read_log(log, &got) || got.size != n || (n != 0 && memcmp(got.data, p, n) != 0))
        abort();
    fclose(log);
    free(got.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < PAYLOAD_MAX ? size : PAYLOAD_MAX;
    struct bytes any = { 0 };
    FILE *log;

    if (size < 2)
        return 0;
    log = fmemopen((void *)(uintptr_t)data, size, "r");
    if (log == NULL)
        abort();
    (void)read_log(log, &any);
    fclose(log);
    free(any.data);

    text_len = 0;
    put("[    0.1] a line before\n");
    if ((data[0] & 16) != 0)
        dump(data, n / 2, data[1]); /* the last one counts */
    if ((data[0] & 32) != 0)
        put("-----BEGIN PCAP b/net0-----\nAAAA\n"); /* which never ends */
    dump(data, n, data[0]);
    if ((data[0] & 64) != 0)
        put("-----BEGIN PCAP b/net0-----\nAAAA\n");
    expect(data, n);
    return 0;
}
