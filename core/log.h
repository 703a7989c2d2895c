/* SPDX-License-Identifier: Apache-2.0 */
/* The log: a ring that can be read later, and the host console as far as the level allows. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line, without its newline; longer than LOG_LINE_MAX is cut. Any context; takes no lock that
 * an exit path needs. */
#define LOG_LINE_MAX 240U
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* A larger ring, for good, in place of the small one of early boot; what that holds is kept. */
void log_set_memory(char *bytes, u32 size);

/* What reaches the console; the ring takes all. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Where lines go besides the ring: set once at boot (early UART), again when the console is up.
 * The sink gets the line with its prefix and newline; NULL = ring only, and what has not been shown
 * goes to the next sink. Called with interrupts masked and no lock of the log held, by one CPU at a time. */
void log_set_sink(void (*sink)(enum log_level level, const char *text, size_t len));

/* How to push out, by polling, what the sink has taken; and to do so (before the power goes, in a panic),
 * after handing the sink what it has not seen, also where the CPU that was at it died. */
void log_set_flush(void (*flush)(void));
void log_flush(void);

/* Reads the ring from *pos (0 = oldest kept) into buf; returns bytes copied, 0 at the end; *pos is
 * what to pass next. Lines come as they were printed. Thread context. */
size_t log_read(u64 *pos, char *buf, size_t size);

/* For messages a guest can cause: at most `burst` in each second per limiter. */
struct log_limit {
    u64 window_start; /* ticks */
    u32 count;
};
MUST_USE bool log_allowed(struct log_limit *l, u32 burst);

#endif
