/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vcpu.h"
#include "core/vm.h"
#include "lib/fmt.h"

void vm_end(struct vm *vm, enum vm_end how, const char *reason)
{
    u32 none = VM_END_NONE;

    if (!__atomic_compare_exchange_n(&vm->end, &none, (u32)how, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    fmt_sn(vm->end_reason, sizeof(vm->end_reason), "%s", reason);
    for (u32 i = 0; i < vm->vcpu_count; i++)
        vcpu_request(vm->vcpu[i], WORK_STOP);
    vm_ended(vm);
}
