/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the management endpoint. Nothing here waits for the vmm thread: it may be waiting for the thread that
 * this runs in, a device's. */
#include "vdev/manage.h"

#include <stdarg.h>
#include <string.h>

#include "arch/cpu.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "lib/bits.h"
#include "lib/fmt.h"
#include "vmm/slot.h"

#define WORDS_MAX 4U /* one more than any command has */
#define LINES_PER_SECOND 2U

static const struct verb {
    const char *name;
    enum slot_op op;
} verbs[] = {
    { "start", OP_START }, { "stop", OP_SHUTDOWN }, { "reset", OP_RESET },
    { "pause", OP_PAUSE }, { "resume", OP_RESUME },
};

static void say(struct manage_answer *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct manage_answer *a, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsn(a->text + a->len, MANAGE_TEXT_MAX - a->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        a->len = (u32)min_u64(a->len + (u32)n, MANAGE_TEXT_MAX - 1);
}

static void say_cid(struct manage_answer *a, const char *before, const struct cfg_vm *vm, const char *none)
{
    for (u32 i = 0; i < vm->device_count; i++)
        if (vm->device[i].kind == CFG_IS_VSOCK) {
            say(a, "%s%u", before, vm->device[i].vsock.cid);
            return;
        }
    say(a, "%s", none);
}

static void list(struct manage_answer *a)
{
    for (u32 i = 0; i < vmm_count(); i++) {
        struct vmm_info info;

        vmm_get(i, &info);
        vmm_put(i);
        say(a, "%s %s", info.cfg->name, vm_state_name(info.state));
        say_cid(a, " ", info.cfg, " -");
        say(a, "\n");
    }
}

/* Interrupts are masked while the VM is looked at: who holds it from going away is not kept off the CPU by another. */
static void show(struct manage_answer *a, u32 index)
{
    u64 exits[EXIT_REASONS] = { 0 };
    unsigned long flags = arch_irq_save();
    struct vmm_info info;

    vmm_get(index, &info);
    for (u32 i = 0; info.vm != NULL && i < info.vm->vcpu_count; i++)
        for (u32 r = 0; r < EXIT_REASONS; r++)
            exits[r] += __atomic_load_n(&info.vm->vcpu[i]->exits[r], __ATOMIC_RELAXED);
    vmm_put(index);
    arch_irq_restore(flags);

    say(a, "vm %s\n", info.cfg->name);
    say_cid(a, "cid ", info.cfg, "cid -");
    say(a, "\nvcpus %u\nstate %s\nstarts %llu\n", info.cfg->vcpu_count, vm_state_name(info.state),
        (unsigned long long)info.starts);
    for (u32 r = 0; info.vm != NULL && r < EXIT_REASONS; r++)
        say(a, "exits %s %llu\n", exit_reason_names[r], (unsigned long long)exits[r]);
}

static bool state_allows(enum slot_op op, enum vm_state state)
{
    switch (op) {
    case OP_START: return state == VM_STOPPED;
    case OP_PAUSE: return state == VM_RUNNING;
    case OP_RESUME: return state == VM_PAUSED;
    default: return state != VM_STOPPED;
    }
}

static void change(struct manage_answer *a, const struct vm *by, enum slot_op op, const char *verb, u32 index)
{
    static struct log_limit lines;
    struct vmm_info info;

    vmm_get(index, &info);
    vmm_put(index);
    if (!state_allows(op, info.state)) {
        say(a, "error: it is %s\n", vm_state_name(info.state));
    } else if (slot_ask(index, op) != K_OK) {
        say(a, "error: busy\n");
    } else {
        if (log_allowed(&lines, LINES_PER_SECOND))
            log_info("vm %s: asks to %s %s", by->name, verb, info.cfg->name);
        say(a, "ok\n");
    }
}

static u32 split(char *line, const char **word)
{
    u32 words = 0;

    for (char *p = line; *p != '\0' && words < WORDS_MAX;) {
        if (*p == ' ') {
            *p++ = '\0';
            continue;
        }
        word[words++] = p;
        while (*p != ' ' && *p != '\0')
            p++;
    }
    return words;
}

static bool may_see(const struct cfg_vsock *rights, const struct vm *by, const char *name)
{
    return rights->sees == CFG_SEES_ALL || (rights->sees == CFG_SEES_OWN && strcmp(name, by->name) == 0);
}

/* Whether there is a VM of a name is told to those alone who may see it. */
static void obey(struct manage_answer *a, const struct vm *by, const struct cfg_vsock *rights,
                 const char *const *word, u32 words)
{
    const char *name = words == 2 ? word[1] : by->name;
    const struct verb *verb = NULL;
    u32 index;

    for (u32 i = 0; words == 2 && i < ARRAY_SIZE(verbs); i++)
        if (strcmp(word[0], verbs[i].name) == 0)
            verb = &verbs[i];
    if (words == 1 && strcmp(word[0], "list") == 0) {
        if (rights->sees == CFG_SEES_ALL)
            list(a);
        else
            say(a, "error: not allowed\n");
    } else if (verb == NULL && (words == 0 || words > 2 || strcmp(word[0], MANAGE_OWN) != 0)) {
        say(a, "error: must be list, show [VM], or start, stop, reset, pause or resume VM\n");
    } else if (verb != NULL ? !cfg_list_has(rights->control, name) : !may_see(rights, by, name)) {
        say(a, "error: not allowed\n");
    } else if (!vmm_find(name, &index)) {
        say(a, "error: no such VM\n");
    } else if (verb != NULL) {
        change(a, by, verb->op, verb->name, index);
    } else {
        show(a, index);
    }
}

void manage_command(const struct vm *vm, const struct cfg_vsock *rights, char *line, struct manage_answer *a)
{
    const char *word[WORDS_MAX];

    a->len = 0;
    obey(a, vm, rights, word, split(line, word));
}
