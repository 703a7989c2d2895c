/* SPDX-License-Identifier: Apache-2.0 */
/* A line editor for a VT100-like terminal, one byte of input at a time. Pure: output and completion go
 * through the caller. */
#ifndef SHELL_LINEEDIT_H
#define SHELL_LINEEDIT_H

#include "lib/types.h"

#define LINEEDIT_MAX 200U /* characters of a line */
#define LINEEDIT_HISTORY 16U

struct lineedit {
    const char *prompt;
    void (*out)(void *arg, const char *p, size_t n);
    /* The n-th word that could stand where the word that begins at line[word] stands; line is the text up
     * to there. NULL past the last. The editor checks what fits the letters typed. NULL: no completion. */
    const char *(*candidate)(void *arg, const char *line, size_t word, u32 n);
    void *arg;

    char line[LINEEDIT_MAX + 1];
    u32 len, cursor;
    u8 sequence; /* bytes of an escape sequence seen so far */
    u8 parameter;
    bool after_cr, after_tab;
    char done[LINEEDIT_MAX + 1];
    char kept[LINEEDIT_MAX + 1]; /* what was typed before history was called up */
    char history[LINEEDIT_HISTORY][LINEEDIT_MAX + 1];
    u32 entries; /* ever stored */
    u32 back;    /* how far back the line shown is, 0: it is a new one */
};

/* prompt, out, candidate and arg are set by the caller; the rest is zero. */
void lineedit_prompt(
    struct lineedit *e); /* draws prompt and line, from the start of an empty terminal line */
void lineedit_redraw(struct lineedit *e); /* draws them over whatever the terminal line holds */
/* One byte of input; returns the line when c ends it, else NULL. Valid until the next call. */
const char *lineedit_key(struct lineedit *e, char c);

#endif
