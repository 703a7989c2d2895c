/* SPDX-License-Identifier: Apache-2.0 */
/* Who is to be waited for before memory of a VM goes back to the host: core/vm_retire.h. */
#include "core/vm_retire.h"
#include "lib/debug.h"
#include "lib/panic.h"

/* Counted in an epoch that goes on: then whoever ends it sees the count, and whoever ended the one before had taken his
 * frames out of the map before the look-ups that follow. */
u32 vm_retire_enter(struct vm_retire *r)
{
    for (;;) { /* an epoch lasts: once more at most, but for whole epochs within these few instructions */
        u64 epoch = __atomic_load_n(&r->epoch, __ATOMIC_SEQ_CST);
        u32 parity = epoch & 1;

        (void)__atomic_fetch_add(&r->inside[parity], 1, __ATOMIC_SEQ_CST);
        if (likely(__atomic_load_n(&r->epoch, __ATOMIC_SEQ_CST) == epoch))
            return parity;
        (void)__atomic_fetch_sub(&r->inside[parity], 1, __ATOMIC_SEQ_CST);
    }
}

void vm_retire_leave(struct vm_retire *r, u32 visit)
{
    (void)__atomic_fetch_sub(&r->inside[visit], 1, __ATOMIC_RELEASE);
}

static bool has_visitors(const struct vm_retire *r)
{
    return __atomic_load_n(&r->inside[0], __ATOMIC_RELAXED) +
               __atomic_load_n(&r->inside[1], __ATOMIC_RELAXED) !=
           0;
}

void vm_check_visit(const struct vm *vm)
{
    ASSERT(!DEBUG_BUILD || vm->retire == NULL || has_visitors(vm->retire));
}

static void pin(struct vm *vm, gpa_t gpa, u64 size, u16 by)
{
    struct vm_retire *r = vm->retire;
    u64 offset, last;
    unsigned long flags;

    if (likely(r == NULL) || size == 0)
        return;
    flags = spin_lock_irq(&vm->lock);
    offset = gpa.v - r->x->gpa.v;
    last = offset + size - 1;
    for (u64 i = offset / RAM_CHUNK;
         offset < r->x->size && i <= last / RAM_CHUNK && i * RAM_CHUNK < r->x->size; i++)
        r->pins[i] = (u16)(r->pins[i] + by);
    spin_unlock_irq(&vm->lock, flags);
}

void vm_pin(struct vm *vm, gpa_t gpa, u64 size) { pin(vm, gpa, size, 1); }

void vm_unpin(struct vm *vm, gpa_t gpa, u64 size) { pin(vm, gpa, size, (u16)-1); }
