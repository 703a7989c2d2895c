/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that look into VMs and change what they have. */
#include "tests/unit/test_shell_machine.h"

static void test_a_balloon_is_set_and_the_guest_asked_what_it_has(void **state)
{
    (void)state;
    assert_says("vm balloon debian", "debian has no balloon: see keel,balloon");
    assert_says("vm balloon debian 1M", "debian has no balloon: see keel,balloon");
    assert_says("vm balloon rt 1M", "rt is stopped");
    has_balloon = true;
    balloon = (struct balloon_info){
        .actual = 256, .asked = 300, .reported = 212, .given_back = 511, .reports = true
    };
    memset(balloon.stat, 0xff, sizeof(balloon.stat));
    balloon.stat[BALLOON_FREE] = 5 << 10;
    balloon.stat[BALLOON_MAJOR_FAULTS] = 7;
    assert_says("vm balloon debian 256M", "");
    assert_int_equal(balloon.target, 65536);
    assert_says("vm balloon debian 1G", "debian has less memory than that");
    assert_says("vm balloon debian 0x100000K", "debian has less memory than that");
    assert_says("vm balloon debian 17179869184G", "'17179869184G' is no size, such as 256M");
    assert_says("vm balloon debian M", "'M' is no size, such as 256M");
    assert_says("vm balloon debian 123456789012345678901234567890", "is no size");
    assert_int_equal(balloon.target, 65536);
    assert_says(
        "vm balloon debian",
        "  balloon: 1 of 256 MiB as asked, no driver; came back so far: 1 of 2 MiB; free pages are reported");
    assert_int_equal(balloon.stats_told, 0);
    balloon.up = true;
    assert_says("vm balloon debian", "  free              5 ");
    assert_says("vm balloon debian", "  major faults              7\n");
    assert_int_equal(balloon.stats_told, 2);
    assert_null(strstr(said, "all memory"));
    assert_says("vm info debian", "  balloon: 1 of 256 MiB as asked; came");
    has_balloon = false;
}

static void test_faults_are_injected_by_name(void **state)
{
    (void)state;
    command_run("vcpu inject debian 0 serror 0x1234");
    command_run("vcpu inject debian 0 abort");
    assert_string_equal(said, "");
    assert_int_equal(fault_asked, (u64)VCPU_FAULT_ABORT << 32);
    assert_says("vcpu inject debian 1 abort", "vCPU 1 of debian is off");
    assert_says("vcpu inject rt 0 abort", "vCPU 0 of rt is off");
    assert_says("vcpu inject debian 2 abort", "'2' is no vCPU: debian has 0 to 1");
    assert_says("vcpu inject debian 0 nmi", "'nmi' is no fault");
    assert_says("vcpu inject debian 0 abort 1", "'1' is no fault");
    assert_says("vcpu inject debian 0 serror 0x2000000", "is no syndrome");
}

static void test_writes_are_noted_shown_and_forgotten(void **state)
{
    (void)state;
    assert_says("vm dirty debian", "writes of debian are not noted");
    command_run("vm dirty debian start");
    assert_int_equal(dirty_how, VM_DIRTY_BY_CPU);
    assert_says("vm dirty 1 start-by-fault", "writes of debian are noted already");
    assert_says("vm dirty debian", "debian: 3 pages (12K) written in ");
    assert_says("vm dirty debian show", "by the CPU; since the start 30 pages, 20 faults, 10 blocks split");
    command_run("vm dirty debian stop");
    assert_false(dirty_on);
    command_run("vm dirty debian start-by-fault");
    assert_int_equal(dirty_how, VM_DIRTY_BY_FAULT);
    command_run("vm dirty debian stop");
    result = K_NOMEM;
    assert_says("vm dirty debian start", "cannot note writes of debian: out of memory");
    assert_says("vm dirty debian begin", "'begin': start, start-by-fault, show or stop");
    assert_says("vm dirty rt", "rt is stopped");
    dirty_on = false;
}

static void test_scheduling_is_changed_by_command(void **state)
{
    (void)state;
    called[0] = '\0';
    command_run("vcpu pin debian 1 3");
    assert_string_equal(called, "pin 0 1 3");
    command_run("vcpu prio 2 0 31");
    assert_string_equal(called, "prio 1 0 31");
    command_run("vcpu prio debian 0 shared");
    assert_string_equal(called, "prio 0 0 0");
    command_run("vcpu budget debian 1 2000 10000");
    assert_string_equal(called, "budget 0 1 2000000 10000000");
    command_run("vcpu budget debian 1 off");
    assert_string_equal(called, "budget 0 1 0 0");
    has_console = true;
    command_run("vm terminal debian 132 65535");
    assert_string_equal(called, "size 132 65535");
    command_run("vm weight debian 300");
    assert_string_equal(called, "weight 0 300");
    assert_string_equal(said, "");
    called[0] = '\0';
    assert_says("vcpu pin debian 1 4", "'4' is no CPU of this host: must be 0 to 3");
    assert_says("vcpu pin debian 2 0", "'2' is no vCPU: debian has 0 to 1");
    assert_says("vcpu prio debian 0 32", "'32' is no priority, nor 'shared': must be 1 to 31");
    assert_says("vcpu budget debian 0 200", "followed by its period");
    assert_says("vcpu budget debian 0 200 100", "'100' is no period in microseconds: must be 500 to 1000000");
    assert_says("vcpu budget debian 0 2000 1000", "'2000' is no budget in microseconds: must be 50 to 1000");
    assert_says("vm weight debian 0", "'0' is no weight: must be 1 to 1000");
    assert_says("vm terminal debian 0 25", "'0' by '25' is no size: each must be 1 to 65535");
    assert_says("vm terminal debian 80 65536", "'80' by '65536' is no size");
    assert_string_equal(called, "");
    percpu[0].promised_ppm = 600000;
    result = K_FULL;
    assert_says("vcpu budget debian 0 5000 10000",
                "CPU 0 can promise 85.0 % of its time, and has promised 60.0 %");
    result = K_NOENT;
    assert_says("vcpu prio rt 0 3", "rt is stopped");
    result = K_OK;
}

static void test_latencies_are_a_table_of_powers_of_two(void **state)
{
    (void)state;
    vm.vgic = (struct vgic *)(void *)&vm; /* there is one; nobody looks into it */
    assert_says("irq stats rt", "rt is stopped");
    assert_says("irq stats debian maybe", "'maybe' is none of on, off, reset");
    assert_says("irq stats debian", "not measured yet");
    command_run("irq stats debian on");
    assert_true(timed);
    said[0] = '\0';
    command_run("irq stats debian");
    assert_string_equal(said, "from ns  timer   ipi  device  lpi\n"
                              "    256      0     3       0    0\n"
                              "    512      0     0       0    0\n"
                              "   1024      0     1       0    0\n"
                              "    all      0     4       0    0\n"
                              "   mean      0   600       0    0\n"
                              "   most      0  1500       0    0\n");
    command_run("irq stats debian reset");
    assert_string_equal(called, "clear");
    command_run("irq stats debian off");
    assert_false(timed);
    result = K_NOMEM;
    assert_says("irq stats debian on", "no memory for it");
}

static void test_io_is_shown_by_device_and_queue(void **state)
{
    struct io_queue_stats first = { .requests = 12, .bytes = 6000, .notifications = 3 },
                          second = { .interrupts = 9 };
    struct io_device d = {
        .name = "scratch", .kind = "virtio-blk", .queues = 2, .queue = { &first, &second }
    };

    (void)state;
    io_add(&vm, &d);
    assert_says("io stats debian",
                "debian  scratch  virtio-blk      0        12   6000         3           0");
    assert_says("io stats", "debian  scratch  virtio-blk      1         0      0         0           9");
    io_remove(&vm, &d);
    command_run("io stats debian");
    assert_says("io stats nope", "there is no VM 'nope'");
}

static void test_vcpus_are_listed_with_what_is_done_about_their_turns(void **state)
{
    (void)state;
    cfg[0].gang = true;
    assert_says("vcpu list", "debian     0    0  waiting  shared  weight 0, gang     -");
    cfg[0].preempt_delay_us = 100;
    assert_says("vcpu list", "debian     0    0  waiting  shared  weight 0, delay 100 us, gang     -");
    vm.vcpu[0]->task.params.prio = 9;
    assert_says("vcpu list", "debian     0    0  waiting  real-time  delay 100 us, gang               9");
    cfg[0].gang = false;
    cfg[0].preempt_delay_us = 0;
    assert_says("vcpu list", "debian     0    0  waiting  real-time  -            9");
    vm.vcpu[0]->task.params.prio = TASK_PRIO_SHARED;
}

static void test_colors_are_told_where_somebody_has_some(void **state)
{
    struct ram_map map = { .size = 3 * PAGE_SIZE };

    (void)state;
    command_run("mem");
    assert_null(strstr(said, "color"));
    cfg[0].llc_colors = 0xe;
    cfg[1].llc_colors = 0x8;
    assert_says("mem", "    3       412  debian rt\n");
    own_places = 0x0101010101010101;
    assert_says("mem", "    0       400  (Keel)\n");
    assert_says("mem", "    1       404  debian\n");
    assert_says("mem", "Keel took 3 pages outside its colors");
    vm.extent[0] = (struct vm_extent){ .gpa = GPA(0x40000000), .size = map.size, .map = &map };
    vm.extent_count = 1;
    assert_says("vm info debian", "  1                   0       0\n");
    assert_says("vm info debian", "  2                   2       0\n");
    assert_says("vm info debian", "  3                   1       1\n");
    assert_says("vm info debian", "  7, not its own      0       1\n");
    vm.extent_count = 0;
    cfg[0].llc_colors = cfg[1].llc_colors = 0;
    own_places = ~0UL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_balloon_is_set_and_the_guest_asked_what_it_has),
        T(test_faults_are_injected_by_name),
        T(test_writes_are_noted_shown_and_forgotten),
        T(test_scheduling_is_changed_by_command),
        T(test_latencies_are_a_table_of_powers_of_two),
        T(test_io_is_shown_by_device_and_queue),
        T(test_vcpus_are_listed_with_what_is_done_about_their_turns),
        T(test_colors_are_told_where_somebody_has_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
