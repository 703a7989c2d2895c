/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell's commands ask for, and what they print. */
#ifndef TESTS_UNIT_TEST_SHELL_MACHINE_H
#define TESTS_UNIT_TEST_SHELL_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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

void vmm_power_off(void) { abort(); }

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
    cpu_count = 4;
    strcpy(cfg[0].name, "debian");
    cfg[0].vcpu_count = 2;
    cfg[0].mem_size = 512UL << 20;
    strcpy(cfg[1].name, "rt");
    cfg[1].vcpu_count = 1;
    cfg[1].mem_size = 64UL << 20;
    strcpy(vm.name, "debian");
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

#define T(t) cmocka_unit_test_setup_teardown(t, fresh, done)

#endif
