/* SPDX-License-Identifier: Apache-2.0 */
/* Lines go into the ring first. Then one CPU at a time hands what is new to the sink, outside the
 * lock, so that a sink may take its own locks, be slow, or log. */
#include "core/log.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/time.h"
#include "core/percpu.h"
#include "core/timer.h"
#include "lib/bits.h"
#include "lib/fmt.h"

#define EARLY_SIZE 4096U
#define PREFIX_MAX 32U
#define RECORD_TEXT_MAX (PREFIX_MAX + LOG_LINE_MAX + 1)
/* So many lines one CPU hands over in a row for the others, with its interrupts masked. */
#define DRAIN_MAX 256U

struct record {
    u16 len; /* of the text that follows */
    u8 level;
};

static char early_bytes[EARLY_SIZE];

/* Positions count all bytes ever written; modulo the size they are places in the ring. */
static struct {
    u32 locked; /* atomic: who holds it, id + 1 */
    u64 oldest, end, sunk;
    bool draining; /* atomic for who has no lock */
    u32 size;
    char *bytes;
} ring = { .size = EARLY_SIZE, .bytes = early_bytes };

static enum log_level console_level = LOG_INFO;
static void (*current_sink)(enum log_level level, const char *text, size_t len);
static void (*current_flush)(void);

/* Not a spinlock: a fault in here ends in a panic on the same CPU, which logs. It finds the ring whole,
 * since `end` moves last. */
static unsigned long ring_lock(void)
{
    unsigned long flags = arch_irq_save();
    u32 me = this_cpu()->id + 1, holder;

    for (;;) {
        holder = 0;
        if (__atomic_compare_exchange_n(&ring.locked, &holder, me, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED) ||
            holder == me)
            break;
        arch_relax();
    }
    return flags;
}

static void ring_unlock(unsigned long flags)
{
    __atomic_store_n(&ring.locked, 0, __ATOMIC_RELEASE);
    arch_irq_restore(flags);
}

static void ring_put(u64 pos, const void *p, size_t n)
{
    size_t at = pos % ring.size, first = min_u64(n, ring.size - at);

    memcpy(ring.bytes + at, p, first);
    memcpy(ring.bytes, (const char *)p + first, n - first);
}

static void ring_get(u64 pos, void *p, size_t n)
{
    size_t at = pos % ring.size, first = min_u64(n, ring.size - at);

    memcpy(p, ring.bytes + at, first);
    memcpy((char *)p + first, ring.bytes, n - first);
}

static struct record record_at(u64 pos)
{
    struct record r;

    ring_get(pos, &r, sizeof(r));
    return r;
}

static u64 record_end(u64 pos) { return pos + sizeof(struct record) + record_at(pos).len; }

static void append(enum log_level level, const char *text, size_t len)
{
    struct record r = { .len = (u16)len, .level = (u8)level };
    unsigned long flags = ring_lock();

    while (ring.end + sizeof(r) + len - ring.oldest > ring.size)
        ring.oldest = record_end(ring.oldest);
    ring.sunk = max_u64(ring.sunk, ring.oldest);
    ring_put(ring.end, &r, sizeof(r));
    ring_put(ring.end + sizeof(r), text, len);
    ring.end += sizeof(r) + len;
    ring_unlock(flags);
}

static void drain(char *text)
{
    unsigned long flags = ring_lock();

    if (!ring.draining) {
        __atomic_store_n(&ring.draining, true, __ATOMIC_RELAXED);
        for (u32 i = 0; i < DRAIN_MAX && current_sink && ring.sunk < ring.end; i++) {
            struct record r = record_at(ring.sunk);

            ring_get(ring.sunk + sizeof(r), text, r.len);
            ring.sunk += sizeof(r) + r.len;
            if (r.level <= log_get_level()) {
                void (*sink)(enum log_level, const char *, size_t) = current_sink;

                __atomic_store_n(&ring.locked, 0, __ATOMIC_RELEASE);
                sink(r.level, text, r.len);
                ring_lock();
            }
        }
        __atomic_store_n(&ring.draining, false, __ATOMIC_RELAXED);
    }
    ring_unlock(flags);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char text[RECORD_TEXT_MAX];
    u64 us = time_now_ns() / 1000;
    size_t len;
    va_list ap;

    len = (size_t)fmt_sn(text, PREFIX_MAX, "[%5llu.%06llu] ", (unsigned long long)(us / 1000000),
                         (unsigned long long)(us % 1000000));
    va_start(ap, fmt);
    len += min_u64((u64)fmt_vsn(text + len, LOG_LINE_MAX + 1, fmt, ap), LOG_LINE_MAX);
    va_end(ap);
    text[len++] = '\n';
    append(level, text, len);
    drain(text);
}

void log_set_memory(char *bytes, u32 size)
{
    unsigned long flags = ring_lock();

    for (u64 pos = ring.oldest; pos < ring.end; pos++)
        bytes[pos % size] = ring.bytes[pos % ring.size];
    ring.bytes = bytes;
    ring.size = size;
    ring_unlock(flags);
}

void log_set_level(enum log_level level) { __atomic_store_n(&console_level, level, __ATOMIC_RELAXED); }

enum log_level log_get_level(void) { return __atomic_load_n(&console_level, __ATOMIC_RELAXED); }

/* How long a flush waits for a CPU that may be dead, in ticks. */
static u64 patience(void) { return arch_tick_hz() / 8; }

/* Whoever was handing lines over never comes back, or is another sink's. */
static void drain_anew(void)
{
    char text[RECORD_TEXT_MAX];
    unsigned long flags = ring_lock();

    __atomic_store_n(&ring.draining, false, __ATOMIC_RELAXED);
    ring_unlock(flags);
    drain(text);
}

void log_set_sink(void (*sink)(enum log_level level, const char *text, size_t len))
{
    unsigned long flags = ring_lock();

    current_sink = sink;
    ring_unlock(flags);
    drain_anew();
}

void log_set_flush(void (*flush)(void)) { current_flush = flush; }

void log_flush(void)
{
    u64 start = arch_ticks();

    while (__atomic_load_n(&ring.draining, __ATOMIC_RELAXED) && arch_ticks() - start <= patience())
        arch_relax();
    drain_anew();
    if (current_flush)
        current_flush();
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
    unsigned long flags = ring_lock();
    u64 at = max_u64(*pos, ring.oldest);
    size_t got = 0;

    while (at < ring.end) {
        struct record r = record_at(at);
        size_t n = r.len;

        if (n > size - got) {
            if (got != 0)
                break;
            n = size; /* not even one line: cut, so that the reader gets on */
        }
        ring_get(at + sizeof(r), buf + got, n);
        got += n;
        at += sizeof(r) + r.len;
    }
    *pos = at;
    ring_unlock(flags);
    return got;
}

bool log_allowed(struct log_limit *l, u32 burst)
{
    u64 now = arch_ticks();

    if (now - __atomic_load_n(&l->window_start, __ATOMIC_RELAXED) >= arch_tick_hz()) {
        __atomic_store_n(&l->window_start, now, __ATOMIC_RELAXED);
        __atomic_store_n(&l->count, 0, __ATOMIC_RELAXED);
    }
    return __atomic_fetch_add(&l->count, 1, __ATOMIC_RELAXED) < burst;
}
