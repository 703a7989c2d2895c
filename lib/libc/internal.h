/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBC_INTERNAL_H
#define LIBC_INTERNAL_H

/* Keeps the compiler from recognising a loop as the very function that it implements. */
#if defined(__clang__)
#define NO_IDIOM __attribute__((no_builtin))
#else
#define NO_IDIOM __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

#endif
