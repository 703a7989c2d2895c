/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/err.h"

const char *kerr_str(enum kerr e)
{
    switch (e) {
    case K_OK: return "success";
    case K_INVAL: return "invalid argument";
    case K_RANGE: return "out of range";
    case K_NOMEM: return "out of memory";
    case K_NOENT: return "not found";
    case K_EXIST: return "already exists";
    case K_BUSY: return "busy";
    case K_UNSUPPORTED: return "not supported";
    case K_IO: return "I/O error";
    case K_TIMEOUT: return "timed out";
    case K_FULL: return "full";
    }
    return "unknown error";
}
