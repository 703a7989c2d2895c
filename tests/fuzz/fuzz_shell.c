/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes typed at the shell: line editor, completion, commands. */
#include <stdlib.h>
#include <string.h>

#include "core/cost.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "core/vm_dirty.h"
#include "drivers/console.h"
#include "drivers/disk/queue.h"
#include "drivers/pci.h"
#include "irq/inject/vgic_timing.h"
#include "shell/commands.h"
#include "shell/lineedit.h"
#include "tests/unit/test_net_ports.h"
#include "vdev/balloon.h"
#include "vdev/console.h"
#include "vmm/vmm.h"

static struct cfg_vm cfg[2] = {
    { .name = "debian", .vcpu_count = 2 },
    { .name = "a-name-that-is-as-long-as-it-ge", .vcpu_count = 1 },
};
static struct vcpu vcpu;
static struct vm vm = { .vcpu_count = 1, .vcpu = { &vcpu } };
static u32 held;

u32 vmm_count(void) { return 2; }

bool vmm_find(const char *name, u32 *index)
{
    *index = 1;
    return strcmp(name, cfg[1].name) == 0;
}

void vmm_get(u32 index, struct vmm_info *out)
{
    if (index >= 2)
        abort();
    held++;
    *out = (struct vmm_info){ .cfg = &cfg[index], .state = VM_RUNNING, .vm = index ? NULL : &vm };
}

void vmm_put(u32 index)
{
    (void)index;
    held--;
}

static enum kerr change(u32 index)
{
    if (index >= 2)
        abort();
    return index ? K_BUSY : K_OK;
}

enum kerr vmm_start(u32 index) { return change(index); }

enum kerr vmm_stop(u32 index) { return change(index); }
enum kerr vmm_shutdown(u32 index) { return change(index); }

enum kerr vmm_reset(u32 index) { return change(index); }

enum kerr vmm_pause(u32 index) { return change(index); }

enum kerr vmm_resume(u32 index) { return change(index); }

enum kerr vmm_pin(u32 index, u32 n, u32 cpu)
{
    if (n >= 8 || cpu > UINT32_MAX)
        abort();
    return change(index);
}

enum kerr vmm_set_prio(u32 index, u32 n, u8 prio)
{
    if (n >= 8 || prio > TASK_PRIO_MAX)
        abort();
    return change(index);
}

enum kerr vmm_set_budget(u32 index, u32 n, u64 budget_ns, u64 period_ns)
{
    if (n >= 8 || budget_ns > period_ns || period_ns > 1000000000UL)
        abort();
    return change(index);
}

enum kerr vmm_set_weight(u32 index, u32 weight)
{
    if (weight < 1 || weight > 1000)
        abort();
    return change(index);
}

void vmm_power_off(void) { abort(); }

enum kerr vgic_timing_set(struct vm *of, bool on)
{
    (void)of, (void)on;
    return K_OK;
}

void vgic_timing_clear(struct vm *of) { (void)of; }

bool vgic_timing_get(const struct vm *of, enum vgic_kind kind, struct latency *out)
{
    (void)of, (void)kind;
    memset(out, 0xff, sizeof(*out));
    return true;
}

enum kerr vcpu_fault(struct vcpu *v, enum vcpu_fault fault, u32 syndrome)
{
    (void)v, (void)fault, (void)syndrome;
    return K_OK;
}

bool arch_stage2_logs_writes(void) { return true; }

enum kerr vm_dirty_start(struct vm *v, enum vm_dirty_how how)
{
    (void)v, (void)how;
    return K_NOMEM;
}

enum kerr vm_dirty_collect(struct vm *v, u64 *bits, u64 *pages)
{
    (void)v, (void)bits;
    *pages = ~0UL;
    return K_OK;
}

void vm_dirty_stop(struct vm *v) { (void)v; }

bool vm_dirty_get(const struct vm *v, enum vm_dirty_how *how, struct vm_dirty_stats *stats)
{
    (void)v;
    *how = VM_DIRTY_BY_CPU;
    memset(stats, 0xff, sizeof(*stats));
    return true;
}

enum kerr console_resize(const struct vm *v, u16 columns, u16 rows)
{
    (void)v;
    if (columns == 0 || rows == 0)
        abort();
    return rows % 2 != 0 ? K_OK : K_NOENT;
}

enum kerr balloon_set(struct vm *v, u64 pages)
{
    (void)v;
    return pages % 2 != 0 ? K_OK : K_RANGE;
}

enum kerr balloon_get(struct vm *v, struct balloon_info *info)
{
    (void)v;
    memset(info, 0xff, sizeof(*info));
    info->up = info->reports = true;
    return K_OK;
}

void balloon_ask(struct vm *v) { (void)v; }

bool task_block_until(u64 deadline)
{
    (void)deadline;
    return false;
}

bool console_focus_guest(u32 guest) { return guest == 1; }

void console_flush(void) {}

const struct disk_host *disk_hosts(void) { return NULL; }

enum kerr disk_partitions(const struct disk *d, void (*each)(void *arg, const struct disk_partition *p),
                          void *arg)
{
    (void)d, (void)each, (void)arg;
    abort();
}

void disk_uses(const struct disk *d, void (*each)(void *arg, const struct disk_use *u), void *arg)
{
    (void)d, (void)each, (void)arg;
    abort();
}

struct pcie_device *pcie_first(void) { return NULL; }
void frames_get_stats(struct frames_stats *s) { memset(s, 0xff, sizeof(*s)); }

bool cost_read(u32 cpu, struct arch_cost *c)
{
    *c = (struct arch_cost){ .guest = cpu, .keel = ~0U };
    return true;
}

u32 frames_colors(void) { return 64; }
u64 frames_own(void) { return 5; }
u64 frames_free_of(u32 color) { return ~0UL - color; }

enum kerr ram_map_find(const struct ram_map *map, u64 offset, u64 wanted, hpa_t *pa, u64 *run)
{
    (void)map, (void)offset, (void)wanted, (void)pa, (void)run;
    return K_NOENT;
}

void ptw_each_table(const struct page_table *pt, void (*fn)(void *arg, hpa_t page), void *arg)
{
    (void)pt;
    fn(arg, HPA(0x3000));
}

void heap_get_stats(struct heap_stats *s) { memset(s, 0xff, sizeof(*s)); }

size_t log_read(u64 *pos, char *buf, size_t size)
{
    (void)pos, (void)buf, (void)size;
    return 0;
}

void log_set_level(enum log_level level)
{
    if (level > LOG_DEBUG)
        abort();
}

static void write_out(void *arg, const char *p, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\0')
            abort();
    }
}

static void line_out(const char *line)
{
    if (strlen(line) > 300)
        abort();
}

static struct lineedit e;

static void key(char c)
{
    const char *line = lineedit_key(&e, c);

    if (e.len > LINEEDIT_MAX || e.cursor > e.len || e.line[e.len] != '\0')
        abort();
    if (line && !strstr(line, "poweroff") && !strstr(line, "panic"))
        command_run(line);
    if (held != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct shell_facts facts = { .version = "fuzz" };

    memset(&e, 0, sizeof(e));
    e.prompt = "> ";
    e.out = write_out;
    e.candidate = command_candidate;
    commands_init(&facts, line_out);
    for (size_t i = 0; i < size; i++) {
        const struct command *c = &commands[data[i] % command_count];

        if (data[i] < 0xc0) {
            key((char)data[i]);
            continue;
        }
        /* Words of the table come often, so that lines make sense now and then. */
        for (const char *p = data[i] < 0xe0 ? c->name : c->sub; p && *p; p++)
            key(*p);
        key(' ');
    }
    return 0;
}
