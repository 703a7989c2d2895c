/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/cost.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/io_stats.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "drivers/console.h"
#include "drivers/disk/queue.h"
#include "drivers/pci.h"
#include "irq/inject/vgic_timing.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "tests/unit/test_net_ports.h"
#include "vdev/balloon.h"
#include "vmm/vmm.h"

/* --- two VMs, of which the first runs --- */

static struct cfg_vm cfg[2];
static struct vm vm;
static struct vcpu vcpu[2];
static enum kerr result;
static int held;
static char called[64];
static enum log_level level;
static u64 fault_asked; /* kind and syndrome */
static u32 cost_rounds;
static u64 own_places = ~0UL;

u32 vmm_count(void) { return 2; }

bool vmm_find(const char *name, u32 *index)
{
    for (u32 i = 0; i < 2; i++) {
        if (strcmp(cfg[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

void vmm_get(u32 index, struct vmm_info *out)
{
    held++;
    memset(out, 0, sizeof(*out));
    out->cfg = &cfg[index];
    out->state = index == 0 ? VM_RUNNING : VM_STOPPED;
    out->vm = index == 0 ? &vm : NULL;
    out->starts = 3;
    if (index == 1) {
        out->last_end = VM_END_CRASH;
        strcpy(out->last_reason, "fault loop");
    }
}

void vmm_put(u32 index)
{
    (void)index;
    held--;
}

static enum kerr call(const char *what, u32 index)
{
    strcat(called, what);
    strcat(called, index == 0 ? "0" : "1");
    return result;
}

enum kerr vmm_start(u32 index) { return call("start", index); }

enum kerr vmm_stop(u32 index) { return call("stop", index); }
enum kerr vmm_shutdown(u32 index) { return call("shutdown", index); }

enum kerr vmm_reset(u32 index) { return call("reset", index); }

enum kerr vmm_pause(u32 index) { return call("pause", index); }

enum kerr vmm_resume(u32 index) { return call("resume", index); }

enum kerr vmm_pin(u32 index, u32 n, u32 cpu)
{
    snprintf(called, sizeof(called), "pin %u %u %u", index, n, cpu);
    return result;
}

enum kerr vmm_set_prio(u32 index, u32 n, u8 prio)
{
    snprintf(called, sizeof(called), "prio %u %u %u", index, n, prio);
    return result;
}

enum kerr vmm_set_budget(u32 index, u32 n, u64 budget_ns, u64 period_ns)
{
    snprintf(called, sizeof(called), "budget %u %u %lu %lu", index, n, budget_ns, period_ns);
    return result;
}

enum kerr vmm_set_weight(u32 index, u32 weight)
{
    snprintf(called, sizeof(called), "weight %u %u", index, weight);
    return result;
}

bool vmm_any_crash(void) { return false; }

static bool timed;

enum kerr vgic_timing_set(struct vm *of, bool on)
{
    assert_ptr_equal(of, &vm);
    timed = on;
    return result;
}

void vgic_timing_clear(struct vm *of)
{
    assert_ptr_equal(of, &vm);
    strcat(called, "clear");
}

bool vgic_timing_get(const struct vm *of, enum vgic_kind kind, struct latency *out)
{
    assert_ptr_equal(of, &vm);
    memset(out, 0, sizeof(*out));
    if (kind == VGIC_IPI) {
        out->bucket[8] = 3;
        out->bucket[10] = 1;
        out->count = 4;
        out->sum_ns = 2400;
        out->max_ns = 1500;
    }
    return timed;
}

enum kerr vcpu_fault(struct vcpu *v, enum vcpu_fault fault, u32 syndrome)
{
    fault_asked = (u64)fault << 32 | syndrome;
    return v->power == VCPU_ON ? K_OK : K_BUSY;
}

bool console_focus_guest(u32 guest) { return guest == 1; }

void console_flush(void) { strcat(called, "flush"); }

void frames_get_stats(struct frames_stats *s)
{
    memset(s, 0, sizeof(*s));
    s->total_pages = 1000;
    s->free_pages = 900;
    s->claimed_pages = 10;
    s->strayed_pages = 3;
    s->free_blocks[3] = 5;
}

bool cost_read(u32 cpu, struct arch_cost *c)
{
    *c = (struct arch_cost){ .guest = cost_rounds * 1000 + cpu, .keel = 0xfffffff0U + cost_rounds * 20 };
    return cost_rounds != 0;
}

static struct pcie_device pci_disk = { .name = "01:00.0",
                                       .vendor = 0x1b36,
                                       .device = 0x10,
                                       .class_code = 0x010802,
                                       .vectors = 3,
                                       .bar = { { .size = 0x4000, .base = { 0x10000000 } },
                                                { .size = 0x1000 } } };
static struct pcie_device pci_port = {
    .next = &pci_disk, .name = "00:02.0", .is_bridge = true, .secondary = 1, .subordinate = 3
};

struct pcie_device *pcie_first(void) { return &pci_port; }

/* Eight colours; VM 0 of the two is of some. */
u32 frames_colors(void) { return 8; }
u64 frames_own(void) { return own_places; }
u64 frames_free_of(u32 color) { return 100 + color; }

enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run)
{
    (void)map, (void)wanted;
    *pa = HPA(offset / PAGE_SIZE % 2 == 0 ? 0x2000 : 0x3000);
    *run = PAGE_SIZE;
    return K_OK;
}

void ptw_each_table(const struct page_table *pt, void (*fn)(void *arg, hpa_t page), void *arg)
{
    (void)pt;
    fn(arg, HPA(0x3000));
    fn(arg, HPA(0x7000));
}

static struct disk_host nvme = { .disk = { .dev = { .sectors = 8 << 11, .unit = 512 },
                                           .name = "pci-01:00.0",
                                           .serial = "S1",
                                           .driver = "nvme" },
                                 .queues = 2 };

const struct disk_host *disk_hosts(void) { return &nvme; }

enum kerr disk_partitions(const struct disk *d, void (*each)(void *arg, const struct disk_partition *p),
                          void *arg)
{
    static const struct disk_partition p = { 2, "data", 2048, 4096 };

    assert_ptr_equal(d, &nvme.disk);
    each(arg, &p);
    return K_OK;
}

void disk_uses(const struct disk *d, void (*each)(void *arg, const struct disk_use *u), void *arg)
{
    static const struct disk_use u = { "debian/root", 2048, 4096, true };

    assert_ptr_equal(d, &nvme.disk);
    each(arg, &u);
}

void heap_get_stats(struct heap_stats *s)
{
    *s = (struct heap_stats){ .objects = 7, .bytes = 700, .pages = 2 };
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
    static const char text[] = "[1] one\n[2] two\n";

    if (*pos)
        return 0;
    *pos = 1;
    assert_true(size >= sizeof(text));
    memcpy(buf, text, sizeof(text) - 1);
    return sizeof(text) - 1;
}

void log_set_level(enum log_level l) { level = l; }

/* --- what vm dirty asks for --- */

static enum vm_dirty_how dirty_how;
static bool dirty_on;

bool arch_stage2_logs_writes(void) { return true; }

enum kerr vm_dirty_start(struct vm *v, enum vm_dirty_how how)
{
    (void)v;
    if (dirty_on)
        return K_BUSY;
    dirty_how = how;
    dirty_on = true;
    return result;
}

enum kerr vm_dirty_collect(struct vm *v, u64 *bits, u64 *pages)
{
    (void)v, (void)bits;
    *pages = 3;
    return dirty_on ? K_OK : K_NOENT;
}

void vm_dirty_stop(struct vm *v)
{
    (void)v;
    dirty_on = false;
}

bool vm_dirty_get(const struct vm *v, enum vm_dirty_how *how, struct vm_dirty_stats *stats)
{
    (void)v;
    *how = dirty_how;
    *stats = (struct vm_dirty_stats){ .pages = 30, .faults = 20, .splits = 10 };
    return dirty_on;
}

static bool has_console;

enum kerr console_resize(const struct vm *v, u16 columns, u16 rows)
{
    (void)v;
    snprintf(called, sizeof(called), "size %u %u", columns, rows);
    return has_console ? K_OK : K_NOENT;
}

/* --- what vm balloon asks for --- */

static struct balloon_info balloon;
static bool has_balloon;
static u32 balloon_answers; /* looks until the guest's answer is there */

enum kerr balloon_set(struct vm *v, u64 pages)
{
    (void)v;
    if (!has_balloon)
        return K_NOENT;
    if (pages > 65536)
        return K_RANGE;
    balloon.target = pages;
    return K_OK;
}

enum kerr balloon_get(struct vm *v, struct balloon_info *info)
{
    (void)v;
    if (balloon_answers != 0 && --balloon_answers == 0)
        balloon.stats_told++;
    *info = balloon;
    return has_balloon ? K_OK : K_NOENT;
}

void balloon_ask(struct vm *v)
{
    (void)v;
    balloon_answers = 3;
}

bool task_block_until(u64 deadline)
{
    (void)deadline;
    return false;
}

/* --- help --- */

static char said[16384];

static void out(const char *text)
{
    assert_true(strlen(said) + strlen(text) + 2 < sizeof(said));
    strcat(said, text);
    strcat(said, "\n");
}

static void facts_cpu(void (*line)(const char *)) { line("neoverse-n1"); }

static const struct shell_facts facts = { .version = "Keel test", .cpu = facts_cpu };

static int fresh(void **state)
{
    (void)state;
    strcpy(cfg[0].name, "debian");
    cfg[0].vcpu_count = 2;
    cfg[0].mem_size = 512UL << 20;
    strcpy(cfg[1].name, "rt");
    cfg[1].vcpu_count = 1;
    cfg[1].mem_size = 64UL << 20;
    vm.vcpu_count = 2;
    for (u32 i = 0; i < 2; i++) {
        vm.vcpu[i] = &vcpu[i];
        vcpu[i].power = i == 0 ? VCPU_ON : VCPU_OFF;
        vcpu[i].exits[EXIT_MMIO] = 41 + i;
    }
    vm.mmio.count = 1;
    vm.ram_pages = 102400;
    vm.claim.left = 2;
    vm.stage2.table_pages = 9;
    vm.mmio.region[0] = (struct bus_region){ .base = 0x09000000, .size = 0x1000, .name = "pl011" };
    held = 0;
    called[0] = said[0] = '\0';
    result = K_OK;
    commands_init(&facts, out);
    return 0;
}

static int done(void **state)
{
    (void)state;
    assert_int_equal(held, 0);
    return 0;
}

static void assert_says(const char *line, const char *expected)
{
    said[0] = '\0';
    command_run(line);
    if (!strstr(said, expected))
        fail_msg("'%s' says:\n%s\nand not '%s'", line, said, expected);
}

/* --- tests --- */

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

static void test_a_balloon_is_set_and_the_guest_asked_what_it_has(void **state)
{
    (void)state;
    strcpy(vm.name, "debian");
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
    strcpy(vm.name, "debian");
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
    cpu_count = 4;
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

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

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
        T(test_a_balloon_is_set_and_the_guest_asked_what_it_has),
        T(test_failures_say_why),
        T(test_faults_are_injected_by_name),
        T(test_writes_are_noted_shown_and_forgotten),
        T(test_scheduling_is_changed_by_command),
        T(test_latencies_are_a_table_of_powers_of_two),
        T(test_io_is_shown_by_device_and_queue),
        T(test_lists_are_aligned),
        T(test_vcpus_are_listed_with_what_is_done_about_their_turns),
        T(test_colors_are_told_where_somebody_has_some),
        T(test_words_are_completed_by_place),
        T(test_table_prints_more_than_it_can_hold_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
