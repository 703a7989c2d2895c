/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may ask of Keel, and what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/vcpu.h"
#include "lib/bits.h"
#include "vdev/manage.h"
#include "vmm/slot.h"

#define VMS 3U

static const char *const names[VMS] = { "left", "right", "third" };
static struct cfg_vm cfg[VMS];
static struct vm vm[VMS];
static struct vcpu vcpu;
static enum vm_state vm_state[VMS];
static u32 held, asked_index;
static enum slot_op asked;
static enum kerr refusal;
static struct manage_answer answer;

u32 vmm_count(void) { return VMS; }

bool vmm_find(const char *name, u32 *index)
{
    for (*index = 0; *index < VMS; (*index)++)
        if (strcmp(names[*index], name) == 0)
            return true;
    return false;
}

void vmm_get(u32 index, struct vmm_info *out)
{
    held++;
    *out = (struct vmm_info){ .cfg = &cfg[index], .state = vm_state[index], .starts = 2 };
    if (vm_state[index] != VM_STOPPED)
        out->vm = &vm[index];
}

void vmm_put(u32 index)
{
    (void)index;
    held--;
}

enum kerr slot_ask(u32 index, enum slot_op op)
{
    asked_index = index;
    asked = op;
    return refusal;
}

void log_line(enum log_level level, const char *fmt, ...) { (void)level, (void)fmt; }

bool log_allowed(struct log_limit *limit, u32 per_second)
{
    (void)limit, (void)per_second;
    return true;
}

static int setup(void **state)
{
    (void)state;
    memset(cfg, 0, sizeof(cfg));
    memset(vm, 0, sizeof(vm));
    for (u32 i = 0; i < VMS; i++) {
        strcpy(cfg[i].name, names[i]);
        strcpy(vm[i].name, names[i]);
        cfg[i].vcpu_count = vm[i].vcpu_count = 1;
        vm[i].vcpu[0] = &vcpu;
        vm_state[i] = VM_RUNNING;
    }
    cfg[1].device_count = 1;
    cfg[1].device[0] = (struct cfg_device){ .kind = CFG_IS_VSOCK, .vsock = { .cid = 77 } };
    vcpu.exits[EXIT_MMIO] = 5;
    vm_state[2] = VM_STOPPED;
    asked = OP_NONE;
    refusal = K_OK;
    return 0;
}

/* What `left` is told. */
static const char *tell(u32 sees, const char *control, const char *command)
{
    struct cfg_vsock rights = { .sees = sees, .control = control };
    char line[MANAGE_LINE_MAX];

    strcpy(line, command);
    manage_command(&vm[0], &rights, line, &answer);
    assert_in_range(answer.len, 1, MANAGE_TEXT_MAX - 1);
    assert_int_equal(held, 0);
    answer.text[answer.len] = '\0';
    return answer.text;
}

static void test_who_may_see_all_is_told_of_all(void **state)
{
    (void)state;
    assert_string_equal(tell(CFG_SEES_ALL, NULL, "list"),
                        "left running -\nright running 77\nthird stopped -\n");
    assert_non_null(strstr(tell(CFG_SEES_ALL, NULL, "show right"),
                           "vm right\ncid 77\nvcpus 1\nstate running\nstarts 2\n"));
    assert_non_null(strstr(answer.text, "\nexits mmio 5\n"));
    assert_string_equal(tell(CFG_SEES_ALL, NULL, "show third"),
                        "vm third\ncid -\nvcpus 1\nstate stopped\nstarts 2\n");
    assert_string_equal(tell(CFG_SEES_ALL, NULL, "show fourth"), "error: no such VM\n");
}

static void test_who_may_see_itself_learns_of_no_other(void **state)
{
    static const char *const others[] = { "list", "show right", "show fourth", "show lef", "show leftt" };

    (void)state;
    assert_non_null(strstr(tell(CFG_SEES_OWN, "right", "show left"), "vm left\n"));
    assert_non_null(strstr(tell(CFG_SEES_OWN, "right", "show"), "vm left\n"));
    for (u32 i = 0; i < ARRAY_SIZE(others); i++)
        assert_string_equal(tell(CFG_SEES_OWN, "right", others[i]), "error: not allowed\n");
    assert_string_equal(tell(CFG_SEES_NONE, "right,left", "show"), "error: not allowed\n");
}

static void test_who_is_named_may_be_controlled(void **state)
{
    static const struct {
        const char *command;
        enum vm_state from;
        enum slot_op op;
    } commands[] = {
        { "start right", VM_STOPPED, OP_START },  { "stop right", VM_RUNNING, OP_SHUTDOWN },
        { "reset right", VM_PAUSED, OP_RESET },   { "pause right", VM_RUNNING, OP_PAUSE },
        { "resume right", VM_PAUSED, OP_RESUME },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        vm_state[1] = commands[i].from;
        asked = OP_NONE;
        assert_string_equal(tell(CFG_SEES_NONE, "third,right", commands[i].command), "ok\n");
        assert_int_equal(asked, commands[i].op);
        assert_int_equal(asked_index, 1);
        asked = OP_NONE;
        assert_string_equal(tell(CFG_SEES_ALL, "third,righ,rightt", commands[i].command),
                            "error: not allowed\n");
        assert_string_equal(tell(CFG_SEES_ALL, NULL, commands[i].command), "error: not allowed\n");
        assert_int_equal(asked, OP_NONE);
    }
}

static void test_what_cannot_be_done_now_is_said(void **state)
{
    (void)state;
    assert_string_equal(tell(CFG_SEES_NONE, "right,third", "start right"), "error: it is running\n");
    assert_string_equal(tell(CFG_SEES_NONE, "right,third", "resume right"), "error: it is running\n");
    assert_string_equal(tell(CFG_SEES_NONE, "right,third", "stop third"), "error: it is stopped\n");
    assert_int_equal(asked, OP_NONE);
    refusal = K_BUSY;
    assert_string_equal(tell(CFG_SEES_NONE, "right,third", "reset right"), "error: busy\n");
}

static void test_nonsense_is_told_what_would_be_right(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "lis",
        "list all",
        "start",
        "destroy right",
        "show left right",
        "stop right now please",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
        "\x01\xff",
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
        assert_non_null(
            strstr(tell(CFG_SEES_ALL, "left,right,third", lines[i]), "error: must be list, show"));
    assert_int_equal(asked, OP_NONE);
    assert_string_equal(tell(CFG_SEES_NONE, "right", "  pause   right "), "ok\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_who_may_see_all_is_told_of_all, setup),
        cmocka_unit_test_setup(test_who_may_see_itself_learns_of_no_other, setup),
        cmocka_unit_test_setup(test_who_is_named_may_be_controlled, setup),
        cmocka_unit_test_setup(test_what_cannot_be_done_now_is_said, setup),
        cmocka_unit_test_setup(test_nonsense_is_told_what_would_be_right, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
