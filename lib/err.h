/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes of every fallible function: zero is success. Mark such functions MUST_USE. */
#ifndef LIB_ERR_H
#define LIB_ERR_H

enum kerr {
    K_OK = 0,
    K_INVAL,       /* an argument or a property is wrong */
    K_RANGE,       /* an address or a count is outside what is allowed */
    K_NOMEM,       /* no memory of the wanted size and alignment */
    K_NOENT,       /* nothing of that name or at that address */
    K_EXIST,       /* already there, or overlaps what is there */
    K_BUSY,        /* in a state that forbids it now; may succeed later */
    K_UNSUPPORTED, /* this CPU, board or build cannot do it */
    K_IO,          /* the device or the firmware reported an error */
    K_TIMEOUT,     /* a bounded wait ran out */
    K_FULL,        /* a fixed-size table or ring has no room */
};

/* A short text for logs and the shell, such as "out of memory". Any context. */
const char *kerr_str(enum kerr e);

#endif
