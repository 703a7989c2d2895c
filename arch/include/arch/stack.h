/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of tasks: in a region of their own with an unmapped page below each, so that an overflow
 * is a fault at once and not someone else's data. */
#ifndef ARCH_STACK_H
#define ARCH_STACK_H

#define ARCH_STACK_SIZE 8192UL

/* Lowest byte of a fresh stack; NULL when memory is out. Thread context or boot. */
void *arch_stack_alloc(void);
void arch_stack_free(void *stack);

#endif
