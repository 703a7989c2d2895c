/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fmt.h"

struct out {
    char *buf;
    size_t size, len; /* len: wanted so far, may pass size */
};

struct spec {
    bool left, zero, negative, alternate;
    size_t width;
    size_t precision; /* SIZE_MAX: none given */
};

static void put(struct out *o, char c)
{
    if (o->len < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, size_t from, size_t to)
{
    for (; from < to; from++)
        put(o, c);
}

static void put_text(struct out *o, const char *s, size_t n, const struct spec *sp)
{
    if (!sp->left)
        pad(o, ' ', n, sp->width);
    for (size_t i = 0; i < n; i++)
        put(o, s[i]);
    if (sp->left)
        pad(o, ' ', n, sp->width);
}

static void put_string(struct out *o, const char *s, const struct spec *sp)
{
    size_t n = 0;

    if (!s)
        s = "(null)";
    while (n < sp->precision && s[n])
        n++;
    put_text(o, s, n, sp);
}

static void put_number(struct out *o, u64 v, unsigned base, bool upper, const struct spec *sp)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    size_t at = sizeof(tmp), prefix = sp->negative ? 1 : sp->alternate ? 2 : 0, body;

    do {
        tmp[--at] = digits[v % base];
        v /= base;
    } while (v);
    body = sizeof(tmp) - at;
    if (!sp->left && !sp->zero)
        pad(o, ' ', prefix + body, sp->width);
    if (sp->negative) {
        put(o, '-');
    } else if (sp->alternate) {
        put(o, '0');
        put(o, 'x');
    }
    if (!sp->left && sp->zero)
        pad(o, '0', prefix + body, sp->width);
    while (at < sizeof(tmp))
        put(o, tmp[at++]);
    if (sp->left)
        pad(o, ' ', prefix + body, sp->width);
}

enum length { LEN_CHAR, LEN_SHORT, LEN_INT, LEN_LONG };

static enum length parse_length(const char **fmt)
{
    const char *f = *fmt;
    enum length len = LEN_INT;

    if (*f == 'h') {
        len = *++f == 'h' ? LEN_CHAR : LEN_SHORT;
        f += len == LEN_CHAR;
    } else if (*f == 'l') {
        len = LEN_LONG;
        f += f[1] == 'l' ? 2 : 1;
    } else if (*f == 'z') {
        len = LEN_LONG;
        f++;
    }
    *fmt = f;
    return len;
}

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(long) == sizeof(size_t), "LEN_LONG: l, ll and z");

static u64 truncate(u64 v, enum length len, bool is_signed)
{
    switch (len) {
    case LEN_CHAR: return is_signed ? (u64)(s64)(signed char)v : (unsigned char)v;
    case LEN_SHORT: return is_signed ? (u64)(s64)(short)v : (unsigned short)v;
    case LEN_INT: return is_signed ? (u64)(s64)(int)v : (unsigned)v;
    case LEN_LONG: break;
    }
    return v;
}

static size_t parse_digits(const char **fmt)
{
    size_t n = 0;

    while (**fmt >= '0' && **fmt <= '9')
        n = n * 10 + (size_t)(*(*fmt)++ - '0');
    return n;
}

struct args {
    va_list ap; /* in a struct, since a parameter of this type cannot be passed on by address */
};

static void parse_spec(const char **fmt, struct args *args, struct spec *sp)
{
    const char *f = *fmt;

    *sp = (struct spec){ .precision = SIZE_MAX };
    for (; *f == '-' || *f == '0' || *f == '#'; f++) {
        sp->left |= *f == '-';
        sp->zero |= *f == '0';
        sp->alternate |= *f == '#';
    }
    if (*f == '*') {
        int w = va_arg(args->ap, int);

        sp->left |= w < 0;
        sp->width = w < 0 ? 0U - (unsigned)w : (unsigned)w;
        f++;
    } else {
        sp->width = parse_digits(&f);
    }
    if (*f == '.' && f[1] == '*') {
        int p = va_arg(args->ap, int);

        sp->precision = p < 0 ? SIZE_MAX : (size_t)p;
        f += 2;
    } else if (*f == '.') {
        f++;
        sp->precision = parse_digits(&f);
    }
    *fmt = f;
}

/* False where c is none of ours. */
static bool convert(struct out *o, char c, enum length len, struct spec *sp, struct args *args)
{
    char one;
    u64 v;

    switch (c) {
    case 'd':
    case 'i':
        v = truncate(len == LEN_LONG ? va_arg(args->ap, u64) : va_arg(args->ap, unsigned), len, true);
        sp->negative = (s64)v < 0;
        sp->alternate = false;
        put_number(o, sp->negative ? 0 - v : v, 10, false, sp);
        return true;
    case 'u':
    case 'x':
    case 'X':
        v = truncate(len == LEN_LONG ? va_arg(args->ap, u64) : va_arg(args->ap, unsigned), len, false);
        sp->alternate = sp->alternate && c != 'u' && v != 0;
        put_number(o, v, c == 'u' ? 10 : 16, c == 'X', sp);
        return true;
    case 'p':
        sp->alternate = true;
        put_number(o, (uintptr_t)va_arg(args->ap, void *), 16, false, sp);
        return true;
    case 'c':
        one = (char)va_arg(args->ap, int);
        put_text(o, &one, 1, sp);
        return true;
    case 's': put_string(o, va_arg(args->ap, const char *), sp); return true;
    case '%': put(o, '%'); return true;
    default: return false;
    }
}

int fmt_vsn(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = { buf, size ? size - 1 : 0, 0 };
    struct args args;

    va_copy(args.ap, ap);
    while (*fmt) {
        struct spec sp;
        enum length len;

        if (*fmt != '%') {
            put(&o, *fmt++);
            continue;
        }
        fmt++;
        parse_spec(&fmt, &args, &sp);
        len = parse_length(&fmt);
        if (convert(&o, *fmt, len, &sp, &args))
            fmt++;
        else
            put(&o, '%'); /* what follows is shown as it stands, and the end of the text is not passed */
    }
    va_end(args.ap);
    if (size)
        buf[o.len < o.size ? o.len : o.size] = '\0';
    return (int)o.len;
}

int fmt_sn(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsn(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

bool parse_u64(const char *s, u64 *out)
{
    unsigned base = 10, shift = 0;
    u64 v = 0;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    if (digit_value(*s) >= base)
        return false;
    for (; digit_value(*s) < base; s++) {
        if (__builtin_mul_overflow(v, (u64)base, &v) || __builtin_add_overflow(v, (u64)digit_value(*s), &v))
            return false;
    }
    switch (*s) {
    case 'k':
    case 'K': shift = 10; break;
    case 'm':
    case 'M': shift = 20; break;
    case 'g':
    case 'G': shift = 30; break;
    }
    if (shift)
        s++;
    if (*s || v > UINT64_MAX >> shift)
        return false;
    *out = v << shift;
    return true;
}
