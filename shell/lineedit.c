/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/lineedit.h"

#include <string.h>

#include "lib/fmt.h"

#define CTRL(c) ((c)&0x1f)
#define BELL "\a"
#define CLEAR_TO_END "\x1b[K"
#define CLEAR_SCREEN "\x1b[H\x1b[2J"

static void put(struct lineedit *e, const char *s) { e->out(e->arg, s, strlen(s)); }

static void cursor_left(struct lineedit *e, u32 n)
{
    char s[16];

    if (n > 0) {
        fmt_sn(s, sizeof(s), "\x1b[%uD", n);
        put(e, s);
    }
}

void lineedit_prompt(struct lineedit *e)
{
    put(e, e->prompt);
    e->out(e->arg, e->line, e->len);
    cursor_left(e, e->len - e->cursor);
}

void lineedit_redraw(struct lineedit *e)
{
    put(e, "\r" CLEAR_TO_END);
    lineedit_prompt(e);
}

static void move(struct lineedit *e, u32 to)
{
    if (to > e->cursor)
        e->out(e->arg, e->line + e->cursor, to - e->cursor);
    else
        cursor_left(e, e->cursor - to);
    e->cursor = to;
}

static void insert(struct lineedit *e, const char *p, size_t n)
{
    if (n > LINEEDIT_MAX - e->len) {
        put(e, BELL);
        return;
    }
    memmove(e->line + e->cursor + n, e->line + e->cursor, e->len - e->cursor);
    memcpy(e->line + e->cursor, p, n);
    e->len += (u32)n;
    e->cursor += (u32)n;
    e->line[e->len] = '\0';
    if (e->cursor == e->len)
        e->out(e->arg, p, n);
    else
        lineedit_redraw(e);
}

/* Removes line[from..to). */
static void cut(struct lineedit *e, u32 from, u32 to)
{
    if (from >= to)
        return;
    memmove(e->line + from, e->line + to, e->len - to);
    e->len -= to - from;
    e->cursor = from;
    e->line[e->len] = '\0';
    lineedit_redraw(e);
}

static u32 word_start(const struct lineedit *e)
{
    u32 at = e->cursor;

    while (at > 0 && e->line[at - 1] == ' ')
        at--;
    while (at > 0 && e->line[at - 1] != ' ')
        at--;
    return at;
}

static u32 history_kept(const struct lineedit *e)
{
    return e->entries < LINEEDIT_HISTORY ? e->entries : LINEEDIT_HISTORY;
}

static char *history_at(struct lineedit *e, u32 back)
{
    return e->history[(e->entries - back) % LINEEDIT_HISTORY];
}

static void show_history(struct lineedit *e, u32 back)
{
    const char *text = back ? history_at(e, back) : e->kept;

    if (e->back == 0)
        memcpy(e->kept, e->line, sizeof(e->kept));
    e->back = back;
    e->len = e->cursor = (u32)strlen(text);
    memcpy(e->line, text, e->len + 1U);
    lineedit_redraw(e);
}

static void history_older(struct lineedit *e)
{
    if (e->back < history_kept(e))
        show_history(e, e->back + 1);
}

static void history_newer(struct lineedit *e)
{
    if (e->back > 0)
        show_history(e, e->back - 1);
}

static void remember(struct lineedit *e)
{
    if (e->len == 0 || (e->entries > 0 && strcmp(history_at(e, 1), e->line) == 0))
        return;
    memcpy(e->history[e->entries % LINEEDIT_HISTORY], e->line, sizeof(e->line));
    e->entries++;
    if (e->entries == 2 * LINEEDIT_HISTORY) /* stays full, does not wrap */
        e->entries = LINEEDIT_HISTORY;
}

static size_t common(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    while (i < n && a[i] && a[i] == b[i])
        i++;
    return i;
}

static void complete(struct lineedit *e)
{
    u32 word = e->cursor, fits = 0;
    const char *first = NULL, *c;
    char before[LINEEDIT_MAX + 1];
    size_t typed, same = 0;

    if (!e->candidate)
        return;
    while (word > 0 && e->line[word - 1] != ' ')
        word--;
    typed = e->cursor - word;
    memcpy(before, e->line, word);
    before[word] = '\0';
    for (u32 n = 0; (c = e->candidate(e->arg, before, word, n)) != NULL; n++) {
        if (strncmp(c, e->line + word, typed) != 0)
            continue;
        same = fits++ ? common(first, c, same) : strlen(c);
        first = fits == 1 ? c : first;
    }
    if (fits == 0) {
        put(e, BELL);
    } else if (same > typed || fits == 1) {
        insert(e, first + typed, same - typed);
        if (fits == 1 && (e->cursor == e->len || e->line[e->cursor] != ' '))
            insert(e, " ", 1);
    } else if (!e->after_tab) {
        put(e, BELL);
        e->after_tab = true; /* again: shows them */
        return;
    } else {
        put(e, "\n");
        for (u32 n = 0; (c = e->candidate(e->arg, before, word, n)) != NULL; n++) {
            if (strncmp(c, e->line + word, typed) == 0) {
                put(e, c);
                put(e, "  ");
            }
        }
        put(e, "\n");
        lineedit_prompt(e);
    }
    e->after_tab = false;
}

/* ESC [ parameter final, or ESC O final. True while c belongs to a sequence. */
static bool escape_sequence(struct lineedit *e, char c)
{
    if (c == '\x1b') {
        e->sequence = 1;
        e->parameter = 0;
        return true;
    }
    if (e->sequence == 0)
        return false;
    if (e->sequence == 1) {
        e->sequence = c == '[' || c == 'O' ? 2 : 0;
        return true; /* Alt with a key: nothing */
    }
    if ((c >= '0' && c <= '9') || c == ';') {
        e->parameter = c == ';' ? 0 : (u8)(c - '0');
        return true;
    }
    e->sequence = 0;
    if (c == 'A')
        history_older(e);
    else if (c == 'B')
        history_newer(e);
    else if (c == 'C' && e->cursor < e->len)
        move(e, e->cursor + 1);
    else if (c == 'D' && e->cursor > 0)
        move(e, e->cursor - 1);
    else if (c == 'H' || (c == '~' && (e->parameter == 1 || e->parameter == 7)))
        move(e, 0);
    else if (c == 'F' || (c == '~' && (e->parameter == 4 || e->parameter == 8)))
        move(e, e->len);
    else if (c == '~' && e->parameter == 3 && e->cursor < e->len)
        cut(e, e->cursor, e->cursor + 1);
    return true;
}

static const char *finish(struct lineedit *e)
{
    put(e, "\n");
    remember(e);
    memcpy(e->done, e->line, e->len + 1U);
    e->len = e->cursor = e->back = 0;
    e->line[0] = '\0';
    return e->done;
}

static void control_key(struct lineedit *e, char c)
{
    switch (c) {
    case CTRL('a'): move(e, 0); break;
    case CTRL('e'): move(e, e->len); break;
    case CTRL('b'): move(e, e->cursor > 0 ? e->cursor - 1 : 0); break;
    case CTRL('f'): move(e, e->cursor < e->len ? e->cursor + 1 : e->len); break;
    case CTRL('p'): history_older(e); break;
    case CTRL('n'): history_newer(e); break;
    case CTRL('k'): cut(e, e->cursor, e->len); break;
    case CTRL('u'): cut(e, 0, e->cursor); break;
    case CTRL('w'): cut(e, word_start(e), e->cursor); break;
    case CTRL('d'):
        if (e->cursor < e->len)
            cut(e, e->cursor, e->cursor + 1);
        break;
    case CTRL('l'):
        put(e, CLEAR_SCREEN);
        lineedit_redraw(e);
        break;
    case CTRL('c'):
        put(e, "^C\n");
        e->len = e->cursor = e->back = 0;
        e->line[0] = '\0';
        lineedit_prompt(e);
        break;
    case '\b':
    case 0x7f:
        if (e->cursor > 0)
            cut(e, e->cursor - 1, e->cursor);
        break;
    default: break;
    }
}

const char *lineedit_key(struct lineedit *e, char c)
{
    bool was_cr = e->after_cr;

    e->after_cr = false;
    if (escape_sequence(e, c))
        return NULL;
    if (c == '\t') {
        complete(e);
        return NULL;
    }
    e->after_tab = false;
    if (c == '\n' && was_cr) /* the second half of one line end */
        return NULL;
    if (c == '\r' || c == '\n') {
        e->after_cr = c == '\r';
        return finish(e);
    }
    if (c >= ' ' && c <= '~')
        insert(e, &c, 1);
    else
        control_key(e, c);
    return NULL;
}
