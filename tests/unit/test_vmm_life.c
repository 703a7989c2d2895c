/* SPDX-License-Identifier: Apache-2.0 */
/* The vmm thread runs here one round at a time: its task_block() jumps back to the test. Boards and
 * vCPUs are fakes; a vCPU parks as soon as it is asked, unless it is stubborn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/host/host.h"
#include "arch/time.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "drivers/console.h"
#include "vmm/slot.h"

#define SECOND 1000000000UL
#define VCPUS 2U

static struct cfg_machine cfg;
static void (*thread_fn)(void *);
static jmp_buf round_end, off;
static struct task vmm_thread, shell_thread;
static bool in_thread, woken;
static u64 next_round;

void *heap_alloc(size_t size) { return calloc(1, size); }

static struct {
    u32 boards, runs, resets, wakes, flushes, quiet;
    bool stubborn;           /* vCPUs do not park */
    enum kerr create, reset; /* what these answer */
    int powered_off;         /* 1: well, 2: failed */
    bool listens, key_down;  /* the guest, to its power key */
    u32 presses, hurries;
} w;

/* --- what is beneath --- */

enum kerr vboard_create(const struct cfg_vm *c, u32 id, const struct vdev_model *const *models,
                        struct vboard **out)
{
    struct vboard *b;

    (void)models;
    if (w.create)
        return w.create;
    b = calloc(1, sizeof(*b));
    b->cfg = c;
    b->vm.id = id;
    b->vm.vcpu_count = VCPUS;
    for (u32 i = 0; i < VCPUS; i++) {
        b->vm.vcpu[i] = calloc(1, sizeof(struct vcpu));
        b->vm.vcpu[i]->vm = &b->vm;
    }
    w.boards++;
    *out = b;
    return K_OK;
}

void vboard_destroy(struct vboard *b)
{
    assert_true(vboard_is_parked(b));
    for (u32 i = 0; i < VCPUS; i++)
        free(b->vm.vcpu[i]);
    free(b);
    w.boards--;
}

enum kerr vboard_reset(struct vboard *b)
{
    assert_true(vboard_is_parked(b));
    w.resets++;
    return w.reset;
}

void vboard_run(struct vboard *b)
{
    w.runs++;
    b->vm.end = VM_END_NONE;
    vboard_release(b, ~0U);
}

void vboard_release(struct vboard *b, u32 work)
{
    for (u32 i = 0; i < VCPUS; i++) {
        b->vm.vcpu[i]->work &= ~work;
        b->vm.vcpu[i]->parked = 0;
    }
}

bool vboard_power_key(struct vboard *b, bool down)
{
    (void)b;
    w.key_down = down;
    w.presses += down;
    return w.listens;
}

void vboard_hurry(struct vboard *b)
{
    (void)b;
    w.hurries++;
}

bool vboard_is_parked(const struct vboard *b) { return b->vm.vcpu[0]->parked && b->vm.vcpu[1]->parked; }

bool vboard_is_paused(const struct vboard *b) { return vboard_is_parked(b); }

void vcpu_request(struct vcpu *v, u32 work)
{
    v->work |= work;
    if ((work & (WORK_STOP | WORK_PAUSE)) && !w.stubborn)
        v->parked = 1;
}

void vm_end(struct vm *vm, enum vm_end how, const char *reason)
{
    if (vm->end == VM_END_NONE) {
        vm->end = how;
        strncpy(vm->end_reason, reason, sizeof(vm->end_reason) - 1);
    }
    for (u32 i = 0; i < VCPUS; i++)
        vcpu_request(vm->vcpu[i], WORK_STOP);
    vm_ended(vm);
}

void console_flush(void) { w.flushes++; }
void drivers_quiet(void) { assert_int_equal(w.quiet++, w.flushes); }
void console_expect_guest(bool expected) { assert_false(expected); }

/* --- the two threads --- */

enum kerr thread_create_guaranteed(const char *name, u8 prio, void (*fn)(void *arg), u64 budget_ns,
                                   struct task **out)
{
    (void)name, (void)prio, (void)budget_ns;
    thread_fn = fn;
    *out = &vmm_thread;
    return K_OK;
}

struct task *task_current(void) { return in_thread ? &vmm_thread : &shell_thread; }

void task_wake(struct task *t)
{
    if (t == &vmm_thread)
        woken = true;
}

static void end_of_round(u64 deadline)
{
    next_round = deadline;
    longjmp(round_end, 1);
}

static void round_of_thread(void)
{
    woken = false;
    in_thread = true;
    if (!setjmp(round_end))
        thread_fn(NULL);
    in_thread = false;
}

void task_block(void) { end_of_round(SLOT_NEVER); }

/* The shell waits: meanwhile the thread runs, or time passes. */
bool task_block_until(u64 deadline)
{
    if (in_thread)
        end_of_round(deadline);
    if (!woken) {
        u64 then = next_round < deadline ? next_round : deadline;

        if (then > arch_ticks())
            host_clock_set(then);
        if (then == deadline)
            return false;
    }
    round_of_thread();
    return true;
}

/* Runs the thread as long as it has something to do now. */
static void settle_down(void)
{
    for (u32 i = 0; i < 10; i++)
        round_of_thread();
    assert_false(woken);
}

static void pass(u64 ns)
{
    host_clock_advance(time_ns_to_ticks(ns));
    settle_down();
}

static void power_off(bool failed)
{
    w.powered_off = failed ? 2 : 1;
    longjmp(off, 1);
}

static struct vmm_info look(u32 i)
{
    struct vmm_info info;

    vmm_get(i, &info);
    vmm_put(i);
    return info;
}

static void guest_ends(u32 i, enum vm_end how)
{
    vm_end(look(i).vm, how, "the reason");
    settle_down();
}

static int setup(void **state)
{
    (void)state;
    memset(&cfg, 0, sizeof(cfg));
    memset(&w, 0, sizeof(w));
    vmm_crashed = 0;
    vmm_had_work = false;
    host_hooks.power_off = power_off;
    cfg.vm_count = 2;
    strcpy(cfg.vm[0].name, "one");
    strcpy(cfg.vm[1].name, "two");
    cfg.vm[0].autostart = true;
    host_clock_set(1000 * time_ns_to_ticks(SECOND));
    return 0;
}

static void boot(void)
{
    assert_int_equal(vmm_init(&cfg, NULL), K_OK);
    settle_down();
}

static int teardown(void **state)
{
    (void)state;
    w.stubborn = false;
    cfg.on_last_stop = CFG_HOST_STAY;
    for (u32 i = 0; i < cfg.vm_count; i++)
        (void)vmm_stop(i);
    assert_int_equal(w.boards, 0);
    return 0;
}

/* --- tests --- */

static void test_autostart_starts_what_has_it(void **state)
{
    u32 i = 9;

    (void)state;
    boot();
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(look(0).starts, 1);
    assert_int_equal(look(1).state, VM_STOPPED);
    assert_null(look(1).vm);
    assert_true(vmm_find("two", &i));
    assert_int_equal(i, 1);
    assert_false(vmm_find("three", &i));
}

static void test_commands_in_the_wrong_state_are_busy(void **state)
{
    (void)state;
    boot();
    assert_int_equal(vmm_start(0), K_BUSY);
    assert_int_equal(vmm_resume(0), K_BUSY);
    assert_int_equal(vmm_stop(1), K_BUSY);
    assert_int_equal(vmm_reset(1), K_BUSY);
    assert_int_equal(vmm_pause(1), K_BUSY);
    assert_int_equal(vmm_start(2), K_NOENT);
}

static void test_stop_and_start_leave_no_board(void **state)
{
    (void)state;
    boot();
    for (u32 i = 0; i < 500; i++) {
        assert_int_equal(vmm_stop(0), K_OK);
        assert_int_equal(w.boards, 0);
        assert_int_equal(look(0).state, VM_STOPPED);
        assert_int_equal(look(0).last_end, VM_END_COMMAND);
        assert_int_equal(vmm_start(0), K_OK);
        assert_int_equal(w.boards, 1);
    }
    assert_int_equal(look(0).starts, 501);
    assert_false(vmm_any_crash());
}

static void test_pause_parks_and_resume_releases(void **state)
{
    (void)state;
    boot();
    assert_int_equal(vmm_pause(0), K_OK);
    assert_int_equal(look(0).state, VM_PAUSED);
    assert_int_equal(look(0).vm->vcpu[1]->work, WORK_PAUSE);
    assert_int_equal(vmm_pause(0), K_BUSY);
    assert_int_equal(vmm_resume(0), K_OK);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(look(0).vm->vcpu[1]->work, 0);
    assert_int_equal(look(0).vm->vcpu[1]->parked, 0);
}

static void test_pause_of_a_stubborn_vcpu_times_out_and_it_runs_on(void **state)
{
    (void)state;
    boot();
    w.stubborn = true;
    w.hurries = 0;
    assert_int_equal(vmm_pause(0), K_TIMEOUT);
    assert_true(w.hurries > 0);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(look(0).vm->vcpu[0]->work, 0);
}

static void test_paused_vm_can_be_stopped(void **state)
{
    (void)state;
    boot();
    assert_int_equal(vmm_pause(0), K_OK);
    assert_int_equal(vmm_stop(0), K_OK);
    assert_int_equal(w.boards, 0);
}

static void test_power_off_stops_by_policy(void **state)
{
    (void)state;
    boot();
    guest_ends(0, VM_END_POWER_OFF);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(look(0).last_end, VM_END_POWER_OFF);
    assert_int_equal(w.boards, 0);
    assert_false(vmm_any_crash());
}

static void test_power_off_restarts_by_policy(void **state)
{
    (void)state;
    cfg.vm[0].on_poweroff = CFG_RESTART;
    boot();
    pass(2 * SECOND);
    guest_ends(0, VM_END_POWER_OFF);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(w.resets, 1);
    assert_int_equal(w.boards, 1);
    assert_int_equal(look(0).starts, 2);
}

static void test_guest_that_resets_in_a_loop_is_slowed_down(void **state)
{
    (void)state;
    boot();
    guest_ends(0, VM_END_RESET);
    assert_int_equal(look(0).state, VM_STOPPING);
    assert_int_equal(w.resets, 0);
    pass(SECOND / 2);
    assert_int_equal(w.resets, 0);
    pass(SECOND / 2 + 1000);
    assert_int_equal(w.resets, 1);
    assert_int_equal(look(0).state, VM_RUNNING);
    for (u32 i = 0; i < 20; i++) { /* for as long as it likes */
        pass(SECOND);
        guest_ends(0, VM_END_RESET);
    }
    assert_int_equal(w.resets, 21);
    assert_false(vmm_any_crash());
}

static void test_reset_command_is_done_at_once(void **state)
{
    (void)state;
    boot();
    assert_int_equal(vmm_reset(0), K_OK);
    assert_int_equal(vmm_reset(0), K_OK);
    assert_int_equal(w.resets, 2);
    assert_int_equal(look(0).state, VM_RUNNING);
    guest_ends(0, VM_END_RESET); /* waits for its second */
    assert_int_equal(vmm_reset(0), K_OK);
    assert_int_equal(w.resets, 3);
    assert_int_equal(look(0).last_end, VM_END_RESET);
}

static void test_stop_while_waiting_for_a_restart(void **state)
{
    (void)state;
    boot();
    guest_ends(0, VM_END_RESET);
    assert_int_equal(vmm_stop(0), K_OK);
    assert_int_equal(w.boards, 0);
    pass(2 * SECOND);
    assert_int_equal(w.boards, 0);
}

static void test_crash_stops_by_policy_and_is_remembered(void **state)
{
    (void)state;
    boot();
    guest_ends(0, VM_END_CRASH);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_string_equal(look(0).last_reason, "the reason");
    assert_true(vmm_any_crash());
}

static void test_crash_loop_is_given_up(void **state)
{
    (void)state;
    cfg.vm[0].on_crash = CFG_RESTART;
    boot();
    for (u32 i = 1; i <= CRASHES_MAX; i++) {
        guest_ends(0, VM_END_CRASH);
        pass(SECOND + 1000);
        assert_int_equal(w.resets, i);
    }
    guest_ends(0, VM_END_CRASH);
    pass(2 * SECOND);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(w.resets, CRASHES_MAX);

    assert_int_equal(vmm_start(0), K_OK); /* who starts it by hand means it */
    guest_ends(0, VM_END_CRASH);
    pass(SECOND + 1000);
    assert_int_equal(look(0).state, VM_RUNNING);
}

static void test_rare_crashes_are_restarted_for_ever(void **state)
{
    (void)state;
    cfg.vm[0].on_crash = CFG_RESTART;
    boot();
    for (u32 i = 1; i <= 30; i++) {
        pass(15 * SECOND);
        guest_ends(0, VM_END_CRASH);
        assert_int_equal(w.resets, i);
    }
}

static void test_stop_command_wins_over_restart_policy(void **state)
{
    (void)state;
    cfg.vm[0].on_crash = CFG_RESTART;
    boot();
    look(0).vm->end = VM_END_CRASH; /* at the same moment */
    assert_int_equal(vmm_stop(0), K_OK);
    assert_int_equal(w.boards, 0);
    assert_int_equal(w.resets, 0);
}

static void test_shutdown_of_a_guest_that_does_not_listen_stops_it_at_once(void **state)
{
    (void)state;
    boot();
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(look(0).last_end, VM_END_COMMAND);
}

static void test_guest_that_is_asked_shuts_down_by_itself_and_stays_so(void **state)
{
    (void)state;
    cfg.vm[0].on_poweroff = CFG_RESTART;
    cfg.vm[0].stop_timeout_s = 60;
    w.listens = true;
    boot();
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_true(w.key_down);
    pass(SECOND);
    assert_false(w.key_down); /* pressed for a moment */
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(w.presses, 2); /* who asks again presses again */
    guest_ends(0, VM_END_POWER_OFF);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(look(0).last_end, VM_END_POWER_OFF);
}

static void test_guest_that_takes_too_long_to_shut_down_is_stopped(void **state)
{
    (void)state;
    cfg.vm[0].stop_timeout_s = 60;
    w.listens = true;
    boot();
    assert_int_equal(vmm_shutdown(0), K_OK);
    pass(30 * SECOND);
    assert_int_equal(vmm_shutdown(0), K_OK);
    pass(29 * SECOND);
    assert_int_equal(look(0).state, VM_RUNNING);
    pass(2 * SECOND); /* asking again gave it no more time */
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(look(0).last_end, VM_END_COMMAND);
    /* The next run is not under way to its end. */
    assert_int_equal(vmm_start(0), K_OK);
    pass(100 * SECOND);
    assert_int_equal(look(0).state, VM_RUNNING);
}

static void test_stop_does_not_wait_for_a_guest_that_was_asked(void **state)
{
    (void)state;
    cfg.vm[0].stop_timeout_s = 60;
    w.listens = true;
    boot();
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(vmm_stop(0), K_OK);
    assert_int_equal(look(0).state, VM_STOPPED);
}

static void test_paused_or_never_asked_guests_are_stopped_at_once(void **state)
{
    (void)state;
    cfg.vm[0].stop_timeout_s = 60;
    w.listens = true;
    boot();
    assert_int_equal(vmm_pause(0), K_OK);
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(look(0).state, VM_STOPPED);
    cfg.vm[0].stop_timeout_s = 0;
    assert_int_equal(vmm_start(0), K_OK);
    assert_int_equal(vmm_shutdown(0), K_OK);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(w.presses, 0);
}

static void bite(u32 i)
{
    vm_watchdog(look(i).vm);
    settle_down();
}

static void test_watchdog_resets(void **state)
{
    (void)state;
    boot();
    pass(2 * SECOND);
    bite(0);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(look(0).last_end, VM_END_WATCHDOG);
    assert_int_equal(w.resets, 1);
    assert_int_equal(look(0).starts, 2);
}

static void test_watchdog_stops_by_policy(void **state)
{
    (void)state;
    cfg.vm[0].on_watchdog = CFG_WATCHDOG_STOP;
    boot();
    bite(0);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(look(0).last_end, VM_END_WATCHDOG);
}

static void test_watchdog_pauses_by_policy(void **state)
{
    (void)state;
    cfg.vm[0].on_watchdog = CFG_WATCHDOG_PAUSE;
    boot();
    bite(0);
    assert_int_equal(look(0).state, VM_PAUSED);
    assert_int_equal(vmm_resume(0), K_OK);
    assert_int_equal(look(0).state, VM_RUNNING);
}

static void test_watchdog_only_logs_by_policy(void **state)
{
    (void)state;
    cfg.vm[0].on_watchdog = CFG_WATCHDOG_LOG;
    boot();
    bite(0);
    assert_int_equal(look(0).state, VM_RUNNING);
    assert_int_equal(look(0).last_end, VM_END_NONE);
    assert_int_equal(w.resets, 0);
}

static void test_vm_stays_while_someone_looks_at_it(void **state)
{
    struct vmm_info info;

    (void)state;
    boot();
    vmm_get(0, &info);
    guest_ends(0, VM_END_POWER_OFF);
    assert_int_equal(w.boards, 1);
    assert_int_equal(info.vm->vcpu_count, VCPUS);
    vmm_put(0);
    assert_true(woken);
    settle_down();
    assert_int_equal(w.boards, 0);
}

static void test_memory_is_not_taken_for_a_reset_while_someone_looks_at_it(void **state)
{
    struct vmm_info info;

    (void)state;
    boot();
    pass(SECOND);
    vmm_get(0, &info);
    guest_ends(0, VM_END_RESET);
    assert_int_equal(w.resets, 0);
    vmm_put(0);
    assert_true(woken);
    settle_down();
    assert_int_equal(w.resets, 1);
    assert_int_equal(look(0).state, VM_RUNNING);
}

static void test_vcpu_that_does_not_stop_keeps_its_vm(void **state)
{
    u64 before;

    (void)state;
    boot();
    w.stubborn = true;
    before = arch_ticks();
    w.hurries = 0;
    assert_int_equal(vmm_stop(0), K_TIMEOUT);
    assert_int_equal(arch_ticks() - before, time_ns_to_ticks(10 * SECOND));
    assert_true(w.hurries != 0);
    assert_int_equal(look(0).state, VM_STOPPING);
    assert_int_equal(w.boards, 1);
    assert_int_equal(vmm_start(1), K_OK); /* others are served */
    for (u32 i = 0; i < VCPUS; i++)
        look(0).vm->vcpu[i]->parked = 1;
    vm_ended(look(0).vm);
    settle_down();
    assert_int_equal(look(0).state, VM_STOPPED);
    w.stubborn = false;
    assert_int_equal(vmm_start(0), K_OK);
}

static void test_failed_start_is_reported(void **state)
{
    (void)state;
    boot();
    w.create = K_NOMEM;
    assert_int_equal(vmm_start(1), K_NOMEM);
    assert_int_equal(look(1).state, VM_STOPPED);
    assert_false(vmm_any_crash());
    w.create = K_OK;
    assert_int_equal(vmm_start(1), K_OK);
}

static void test_failed_restart_stops_the_vm(void **state)
{
    (void)state;
    boot();
    w.reset = K_NOMEM;
    assert_int_equal(vmm_reset(0), K_IO);
    assert_int_equal(look(0).state, VM_STOPPED);
    assert_int_equal(w.boards, 0);
}

static void test_host_ends_with_the_last_vm(void **state)
{
    (void)state;
    cfg.on_last_stop = CFG_HOST_POWEROFF;
    cfg.vm[1].autostart = true;
    boot();
    guest_ends(0, VM_END_POWER_OFF);
    assert_int_equal(w.powered_off, 0);
    if (!setjmp(off))
        guest_ends(1, VM_END_POWER_OFF);
    in_thread = false;
    assert_int_equal(w.powered_off, 1);
    assert_int_equal(w.flushes, 1);
    assert_int_equal(w.quiet, 1);
    assert_int_equal(w.boards, 0);
}

static void test_host_ends_failed_after_a_crash(void **state)
{
    (void)state;
    cfg.on_last_stop = CFG_HOST_POWEROFF;
    boot();
    if (!setjmp(off))
        guest_ends(0, VM_END_CRASH);
    in_thread = false;
    assert_int_equal(w.powered_off, 2);
}

static void test_host_ends_failed_when_autostart_fails(void **state)
{
    (void)state;
    cfg.on_last_stop = CFG_HOST_POWEROFF;
    w.create = K_NOMEM;
    if (!setjmp(off))
        boot();
    in_thread = false;
    assert_int_equal(w.powered_off, 2);
}

static void test_host_stays_where_nothing_was_started(void **state)
{
    (void)state;
    cfg.on_last_stop = CFG_HOST_POWEROFF;
    cfg.vm[0].autostart = false;
    boot();
    assert_int_equal(w.powered_off, 0);
    w.create = K_NOMEM;
    assert_int_equal(vmm_start(0), K_NOMEM);
    assert_int_equal(w.powered_off, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_autostart_starts_what_has_it),
        TEST(test_commands_in_the_wrong_state_are_busy),
        TEST(test_stop_and_start_leave_no_board),
        TEST(test_pause_parks_and_resume_releases),
        TEST(test_pause_of_a_stubborn_vcpu_times_out_and_it_runs_on),
        TEST(test_paused_vm_can_be_stopped),
        TEST(test_power_off_stops_by_policy),
        TEST(test_power_off_restarts_by_policy),
        TEST(test_guest_that_resets_in_a_loop_is_slowed_down),
        TEST(test_reset_command_is_done_at_once),
        TEST(test_stop_while_waiting_for_a_restart),
        TEST(test_crash_stops_by_policy_and_is_remembered),
        TEST(test_crash_loop_is_given_up),
        TEST(test_rare_crashes_are_restarted_for_ever),
        TEST(test_stop_command_wins_over_restart_policy),
        TEST(test_shutdown_of_a_guest_that_does_not_listen_stops_it_at_once),
        TEST(test_guest_that_is_asked_shuts_down_by_itself_and_stays_so),
        TEST(test_guest_that_takes_too_long_to_shut_down_is_stopped),
        TEST(test_stop_does_not_wait_for_a_guest_that_was_asked),
        TEST(test_paused_or_never_asked_guests_are_stopped_at_once),
        TEST(test_watchdog_resets),
        TEST(test_watchdog_stops_by_policy),
        TEST(test_watchdog_pauses_by_policy),
        TEST(test_watchdog_only_logs_by_policy),
        TEST(test_vm_stays_while_someone_looks_at_it),
        TEST(test_memory_is_not_taken_for_a_reset_while_someone_looks_at_it),
        TEST(test_vcpu_that_does_not_stop_keeps_its_vm),
        TEST(test_failed_start_is_reported),
        TEST(test_failed_restart_stops_the_vm),
        TEST(test_host_ends_with_the_last_vm),
        TEST(test_host_ends_failed_after_a_crash),
        TEST(test_host_ends_failed_when_autostart_fails),
        TEST(test_host_stays_where_nothing_was_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
