/* SPDX-License-Identifier: Apache-2.0 */
/* Debian builds libfdt.a with stack protection. */
#include <stdint.h>

#include "lib/panic.h"

extern uintptr_t __stack_chk_guard;
uintptr_t __stack_chk_guard = 0x00a5f00d0a0dff00; /* NUL, LF, CR and 0xff stop string functions */

NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void) { panic("stack overrun in libfdt"); }
