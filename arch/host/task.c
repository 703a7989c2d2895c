/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as ucontexts, on stacks that are larger than the target's, since sanitizers want more. */
#include <pthread.h>
#include <stdlib.h>
#include <ucontext.h>

#include "arch/cpu.h"
#include "arch/stack.h"
#include "core/sched.h"
#include "lib/panic.h"

#define HOST_STACK_SIZE (256 * 1024UL)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size)
{
    (void)save, (void)bottom, (void)size;
}
static void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size)
{
    (void)save, (void)bottom, (void)size;
}
#endif

struct context {
    ucontext_t uc;
    struct context *next;
    const struct task *task;
    void (*entry)(void *);
    void *arg;
    void *stack;        /* NULL: the thread's own */
    void *fake_stack;   /* the sanitizer's */
    const void *bottom; /* of the stack that runs: learnt from the sanitizer for a thread's own */
    size_t size;
    struct context *from; /* who switched here last */
};

static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *contexts; /* never freed: a task struct at the same address reuses its context */

static struct context *context_of(struct task *task)
{
    struct context *c;

    pthread_mutex_lock(&contexts_lock);
    for (c = contexts; c && c->task != task; c = c->next)
        ;
    if (!c) {
        c = calloc(1, sizeof(*c));
        ASSERT(c);
        c->task = task;
        c->next = contexts;
        contexts = c;
    }
    pthread_mutex_unlock(&contexts_lock);
    return c;
}

static void arrive(struct context *self)
{
    const void *bottom = NULL;
    size_t size = 0;

    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
    if (self->from && !self->from->stack) {
        self->from->bottom = bottom;
        self->from->size = size;
    }
}

static void start(unsigned int low, unsigned int high)
{
    struct context *c = (struct context *)(((uintptr_t)high << 32) | low);

    arrive(c);
    task_started();
    arch_irq_restore(0);
    c->entry(c->arg);
    panic("host: a task's entry returned");
}

void *arch_stack_alloc(void) { return malloc(HOST_STACK_SIZE); }

void arch_stack_free(void *stack) { free(stack); }

void arch_task_init(struct task *task, void (*entry)(void *), void *arg)
{
    struct context *c = context_of(task);

    c->stack = task->stack;
    ASSERT(c->stack);
    ASSERT(getcontext(&c->uc) == 0);
    c->entry = entry;
    c->arg = arg;
    c->fake_stack = NULL;
    c->bottom = c->stack;
    c->size = HOST_STACK_SIZE;
    c->uc.uc_stack.ss_sp = c->stack;
    c->uc.uc_stack.ss_size = HOST_STACK_SIZE;
    c->uc.uc_link = NULL;
    makecontext(&c->uc, (void (*)(void))start, 2, (unsigned int)(uintptr_t)c,
                (unsigned int)((uintptr_t)c >> 32));
    task->stack_pointer = c;
}

void arch_task_switch(struct task *prev, struct task *next)
{
    struct context *from = context_of(prev), *to = next->stack_pointer;

    ASSERT(arch_irqs_masked());
    ASSERT(to && to != from);
    prev->stack_pointer = from;
    to->from = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
    swapcontext(&from->uc, &to->uc);
    arrive(from);
    /* Whoever switched here had them masked, but a new task's start unmasks on its own stack. */
    arch_irq_save();
}
