/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_shell_machine.h"

static void test_ports_are_listed_and_counted(void **state)
{
    (void)state;
    the_port.link = 1;
    assert_says(
        "net list",
        "lan      debian/net0  02:00:00:00:00:ab     7  8,9    1500       -  up, no driver  isolated");
    assert_says("net stats", "debian/net0    11    660");
    assert_says("net stats debian/net0", "sent, not from the port's address: 5");
    assert_says("net stats nope", "there is no port 'nope'");
    assert_says("net link debian/net0 sideways", "'sideways': up or down");
    assert_says("net link nope down", "there is no port 'nope'");
    /* An uplink shows what its interface is. */
    assert_says("net list", "lan      net0         52:54:00:00:00:07     0  -      1500       -  up");
    assert_says("net list", "pci-00:01.0 any-mac");
    the_nic.dead = 1;
    assert_says("net list", "given up");
    command_run("net link debian/net0 down");
    assert_says("net list", "down");
}

static void test_a_capture_is_printed_as_text(void **state)
{
    (void)state;
    assert_says("net dump debian/net0", "is not captured");
    assert_says("net capture debian/net0 maybe", "'maybe': on or off");
    assert_says("net capture debian/net0 on 63", "'63': bytes of each frame, 64 to 2048");
    assert_says("net capture nope on", "there is no port 'nope'");
    command_run("net capture debian/net0 on 2048");
    assert_true(port_captured);
    assert_says(
        "net dump debian/net0",
        "-----BEGIN PCAP debian/net0-----\n"
        "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\n"
        "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYQ==\n"
        "-----END PCAP-----\n"
        "2 frames had no room\n");
    command_run("net capture debian/net0 off");
    assert_false(port_captured);
}

static void test_empty_lines_say_nothing(void **state)
{
    (void)state;
    command_run("");
    command_run("   \t ");
    assert_string_equal(said, "");
}

static void test_wrong_lines_say_what_would_be_right(void **state)
{
    (void)state;
    assert_says("foo", "unknown command 'foo'; 'help' lists what there is");
    assert_says("vm", "vm what? One of: list, start, stop, reset, pause, resume, console, info");
    assert_says("vm fly", "vm does not know 'fly'; it knows: list, start");
    assert_says("vm start", "usage: vm start VM");
    assert_says("vm start a b", "'b' is too much");
    assert_says("mem now", "usage: mem");
    assert_says("vm stop nope", "there is no VM 'nope'");
    assert_says("vm stop nope", "1=debian 2=rt");
    assert_says("vm stop 0", "there is no VM '0'");
    assert_says("vm stop 3", "there is no VM '3'");
    assert_says("log loud", "levels: error, warn, info, debug");
    assert_says("a b c d e f g h i j k l m n", "unknown command 'a'");
    assert_string_equal(called, "");
}

static void test_every_command_has_help_that_shows_its_usage(void **state)
{
    (void)state;
    for (u32 i = 0; i < command_count; i++) {
        char line[64] = "help ", usage[64] = "usage: ";

        strcat(line, commands[i].name);
        strcat(usage, commands[i].name);
        if (commands[i].sub) {
            strcat(strcat(line, " "), commands[i].sub);
            strcat(strcat(usage, " "), commands[i].sub);
        }
        assert_says(line, usage);
        assert_says("help", usage + strlen("usage: "));
    }
    assert_says("help vm", "usage: vm pause VM");
    assert_says("help nope", "unknown command 'nope'");
    assert_says("help vm nope", "vm does not know 'nope'");
}

static void test_commands_reach_the_vm_by_name_and_number(void **state)
{
    (void)state;
    command_run("vm start debian");
    command_run("  vm   stop  2 ");
    command_run("vm reset rt");
    command_run("vm pause 1");
    command_run("vm resume 1");
    assert_string_equal(called, "start0shutdown1reset1pause0resume0");
    assert_string_equal(said, "");
}

static void test_stop_asks_and_says_so_or_does_not_wait(void **state)
{
    (void)state;
    assert_says("vm stop debian",
                "debian is asked to shut down, and has 0 s; 'vm stop debian now' does not wait");
    command_run("vm stop rt now");
    assert_says("vm stop rt soon", "'soon' is not known here");
    assert_string_equal(called, "shutdown0stop1");
}

static void test_failures_say_why(void **state)
{
    (void)state;
    result = K_BUSY;
    assert_says("vm start debian", "cannot start debian: it is running");
    result = K_NOMEM;
    assert_says("vm start rt", "cannot start rt: out of memory");
    assert_says("vm console 2", "it has no serial port now");
    command_run("vm console 1");
}

static void test_lists_are_aligned(void **state)
{
    (void)state;
    command_run("vm list");
    assert_string_equal(said, "#  name    state    vcpus  memory  starts  last end\n"
                              "1  debian  running      2    512M       3  -\n"
                              "2  rt      stopped      1     64M       3  crash\n");
    assert_says("vcpu list", "debian     0    0  waiting  shared  weight 0     -");
    assert_says("vcpu list", "debian     1    0  off      shared");
    assert_says("exits", "debian  mmio       83");
    assert_says("exits debian", "mmio");
    assert_says("exits rt", "rt is stopped");
    assert_says("mem", "used       100   400");
    assert_says("mem", "claimed     10    40");
    assert_says("mem", "debian  eager      524288  409600      36    409644\n");
    assert_says("mem", "heap: 7 objects, 700 bytes");
    assert_says("cost", "CPU 0 does not count instructions: boot with the argument count-instructions");
    cost_rounds = 1;
    assert_says("cost", "1       1001");
    cost_rounds = 3;
    assert_says("cost", "1       2000       40\n");
    assert_says("vm info debian", "0x9000000  0x1000  pl011");
    assert_says("vm info rt", "last end: crash: fault loop");
    assert_says("cpu", "neoverse-n1");
    assert_says("version", "Keel test");
    assert_says("log", "[1] one\n[2] two\n");
    assert_says("pci", "buses 01-03");
    assert_says("disk list", "pci-01:00.0    S1");
    assert_says("disk list", "partition 2  data");
    assert_says("disk list", "used by      debian/root");
    assert_says(
        "pci",
        "01:00.0  1b36:0010  010802  -         3 INTx      0:0x10000000+0x4000 1:(no room for 0x1000)");
    command_run("irq"); /* no facts: nothing */
    command_run("log warn");
    assert_int_equal(level, LOG_WARN);
}

static void test_words_are_completed_by_place(void **state)
{
    (void)state;
    assert_string_equal(command_candidate(NULL, "", 0, 0), "help");
    assert_string_equal(command_candidate(NULL, "", 0, 1), "vm");
    assert_string_equal(command_candidate(NULL, "", 0, 2), "vcpu");
    assert_string_equal(command_candidate(NULL, "vm ", 3, 1), "start");
    assert_null(command_candidate(NULL, "vm ", 3, 12));
    assert_string_equal(command_candidate(NULL, "vm start ", 9, 1), "rt");
    assert_null(command_candidate(NULL, "vm start ", 9, 2));
    assert_null(command_candidate(NULL, "vm start rt ", 12, 0));
    assert_null(command_candidate(NULL, "vm list ", 8, 0));
    assert_string_equal(command_candidate(NULL, "exits ", 6, 0), "debian");
    assert_null(command_candidate(NULL, "nope ", 5, 0));
    assert_string_equal(command_candidate(NULL, "help vm ", 8, 0), "list");
}

static void test_table_prints_more_than_it_can_hold_in_pieces(void **state)
{
    static struct table t;
    u32 lines = 0;

    (void)state;
    table_begin(&t, out, "a|#b");
    for (u32 i = 0; i < 300; i++) {
        table_cell(&t, "row");
        table_cell(&t, "%u", i);
    }
    table_end(&t);
    for (const char *p = said; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 301);
    assert_non_null(strstr(said, "row  299\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_ports_are_listed_and_counted),
        T(test_a_capture_is_printed_as_text),
        T(test_empty_lines_say_nothing),
        T(test_wrong_lines_say_what_would_be_right),
        T(test_every_command_has_help_that_shows_its_usage),
        T(test_commands_reach_the_vm_by_name_and_number),
        T(test_stop_asks_and_says_so_or_does_not_wait),
        T(test_failures_say_why),
        T(test_lists_are_aligned),
        T(test_words_are_completed_by_place),
        T(test_table_prints_more_than_it_can_hold_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
