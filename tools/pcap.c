/* SPDX-License-Identifier: Apache-2.0 */
/* keel pcap: finds the last complete `net dump` in a console's log, whatever stands before it and whatever guests print
 * between its lines, and writes the file that it is the text of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/keel.h"

#define LINE_MAX_CHARS 4096
#define BEGIN_MARK "-----BEGIN PCAP "
#define END_MARK "-----END PCAP-----"
#define DUMP_LINE_MAX 96U

struct bytes {
    unsigned char *data;
    size_t size, room;
};

static void add(struct bytes *b, unsigned char c)
{
    if (b->size == b->room) {
        b->room = b->room != 0 ? 2 * b->room : 4096;
        b->data = realloc(b->data, b->room);
        if (b->data == NULL) {
            complain("out of memory");
            exit(EXIT_FAILURE);
        }
    }
    b->data[b->size++] = c;
}

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c != '\0' ? strchr(digits, c) : NULL;

    return p != NULL ? (int)(p - digits) : -1;
}

/* A line of a dump: groups of four digits, filled up with '=' at the end. */
static bool decode(const char *text, size_t len, struct bytes *out)
{
    unsigned value = 0;
    size_t used = len;

    if (len == 0 || len % 4 != 0 || len > DUMP_LINE_MAX)
        return false;
    while (used > len - 2 && text[used - 1] == '=')
        used--;
    for (size_t i = 0; i < used; i++)
        if (digit(text[i]) < 0)
            return false;
    for (size_t i = 0; i < used; i++) {
        value = value << 6 | (unsigned)digit(text[i]);
        if (i % 4 != 0)
            add(out, (unsigned char)(value >> (6 - i % 4 * 2)));
    }
    return true;
}

/* Begins with the name of its port: is a guest's, which may print what it likes. */
static bool is_guests(const char *line)
{
    const char *bar = strstr(line, "| ");

    return bar != NULL && bar - line <= (int)CFG_NAME_MAX;
}

static bool read_log(FILE *log, struct bytes *last)
{
    char line[LINE_MAX_CHARS];
    struct bytes now = { 0 };
    bool within = false, found = false;

    while (fgets(line, sizeof(line), log) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (is_guests(line))
            continue;
        if (strncmp(line, BEGIN_MARK, strlen(BEGIN_MARK)) == 0) {
            within = true;
            now.size = 0;
        } else if (within && strcmp(line, END_MARK) == 0) {
            struct bytes old = *last;

            *last = now;
            now = old;
            within = false;
            found = true;
        } else if (within) {
            (void)decode(line, strlen(line), &now);
        }
    }
    free(now.data);
    return found;
}

int pcap_command(int argc, char **argv)
{
    FILE *log = stdin;
    struct bytes file = { 0 };
    bool ok;

    if (argc > 2) {
        complain("usage: keel pcap [CONSOLE.LOG] > FILE");
        return EXIT_BAD_INPUT;
    }
    if (argc == 2 && (log = fopen(argv[1], "r")) == NULL) {
        complain("%s: %s", argv[1], strerror(errno));
        return EXIT_BAD_INPUT;
    }
    ok = read_log(log, &file);
    if (log != stdin)
        fclose(log);
    if (!ok) {
        complain("%s: no 'net dump' in there that is complete", argc == 2 ? argv[1] : "stdin");
        return EXIT_BAD_INPUT;
    }
    ok = write_all(STDOUT_FILENO, file.data, file.size);
    free(file.data);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
