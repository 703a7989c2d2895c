/* SPDX-License-Identifier: Apache-2.0 */
/* Construction is a table of steps. A failed start and the end of a VM take the same way back: the
 * steps that were made, in reverse. */
#include <assert.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/gich.h"
#include "config/guest_map.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/sched.h"
#include "core/vcpu.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "vmm/vboard.h"

static u32 cpu_vcpus[MAX_CPUS]; /* atomic: vCPUs of all boards by their CPU */

void vboard_count_vcpu(u32 cpu, int change)
{
    __atomic_fetch_add(&cpu_vcpus[cpu], (u32)change, __ATOMIC_RELAXED);
}

static void report_layout(void *arg, const char *node, const char *property, const char *text)
{
    (void)node, (void)property;
    log_error("vm %s: %s", (const char *)arg, text);
}

static enum kerr make_layout(struct vboard *b)
{
    struct cfg_errors errors = { .report = report_layout, .arg = b->vm.name };

    if ((b->cfg->kernel.name && !b->cfg->kernel.data) || (b->cfg->initrd.name && !b->cfg->initrd.data) ||
        (b->cfg->firmware.name && !b->cfg->firmware.data))
        return K_NOENT;
    return config_layout(b->cfg, &b->layout, &errors);
}

static enum kerr make_memory(struct vboard *b)
{
    enum kerr err = vboard_make_firmware(b);

    if (err == K_OK)
        err = vboard_make_ram(b);
    if (err)
        vboard_undo_extents(b);
    return err;
}

static void invalidate(void *owner, u64 addr, u64 size) { arch_stage2_invalidate(owner, GPA(addr), size); }

static enum kerr make_stage2(struct vboard *b)
{
    static const u8 max_block[] = { [CFG_PAGES_MAX] = 2, [CFG_PAGES_2M] = 1, [CFG_PAGES_4K] = 0 };
    struct page_table *pt = &b->vm.stage2;
    bool colored = b->cfg->llc_colors != 0;
    enum kerr err;

    b->vm.claim.places = frames_places(b->cfg->llc_colors);
    err = ptw_init(pt, &arch_stage2_format, colored ? &b->vm.claim : NULL);
    if (err)
        return err;
    pt->max_block = (u8)min_u64(pt->max_block, colored ? 0 : max_block[b->cfg->pages]);
    if (colored && b->cfg->pages == CFG_PAGES_MAX)
        log_info("vm %s: its cache colors take mappings of 4 KiB", b->cfg->name);
    pt->contig = pt->contig && b->cfg->pages == CFG_PAGES_MAX;
    pt->owner = &b->vm;
    pt->invalidate = invalidate;
    return K_OK;
}

static void undo_stage2(struct vboard *b) { ptw_destroy(&b->vm.stage2); }

static enum kerr make_arch(struct vboard *b)
{
    b->vm.cpu_options = (struct vm_cpu_options){ .pmu = b->cfg->pmu, .sve_bits = b->cfg->sve_bits };
    return arch_vm_init(&b->vm);
}

static void undo_arch(struct vboard *b) { arch_vm_destroy(&b->vm); }

/* The one with the fewest vCPUs, of those that can promise what p wants. */
static u32 choose_cpu(const struct task_params *p)
{
    u32 best = 0, ppm = sched_params_ppm(p);
    bool found = false;

    for (u32 i = 0; i < cpu_count; i++) {
        if (ppm != 0 && sched_promised_ppm(i) + ppm > sched_promise_max_ppm(i))
            continue;
        if (!found || cpu_vcpus[i] < cpu_vcpus[best])
            best = i;
        found = true;
    }
    return best;
}

u32 vboard_weight(u32 vm_weight, u32 vcpus) { return vm_weight * TASK_WEIGHT_UNIT / vcpus; }

static enum kerr make_vcpu(struct vm *vm, u32 id, const struct cfg_vm *cfg)
{
    const struct cfg_vcpu *want = &cfg->vcpu[id];
    struct task_params p = {
        .prio = want->prio,
        .weight = vboard_weight(cfg->weight, cfg->vcpu_count),
        .budget = time_ns_to_ticks(want->budget_us * 1000UL),
        .period = time_ns_to_ticks(want->period_us * 1000UL),
    };
    u32 cpu = want->cpu == CFG_CPU_ANY ? choose_cpu(&p) : want->cpu;
    enum kerr err;

    if (cpu >= cpu_count) {
        log_error("vm %s: vCPU %u: there is no CPU %u, the last is %u", vm->name, id, cpu, cpu_count - 1);
        return K_RANGE;
    }
    err = vcpu_create(vm, id, cpu, &p, &vm->vcpu[id]);
    if (err == K_FULL)
        log_error("vm %s: vCPU %u: CPU %u has promised %u of %u millionths, its budget is %u more", vm->name,
                  id, cpu, sched_promised_ppm(cpu), sched_promise_max_ppm(cpu), sched_params_ppm(&p));
    if (err)
        return err;
    vm->vcpu_count = id + 1;
    vboard_count_vcpu(cpu, 1);
    return K_OK;
}

static void undo_vcpus(struct vboard *b)
{
    struct vm *vm = &b->vm;

    while (vm->vcpu_count > 0) {
        struct vcpu *v = vm->vcpu[--vm->vcpu_count];

        vm->vcpu[vm->vcpu_count] = NULL;
        vboard_count_vcpu(v->task.cpu, -1);
        vcpu_destroy(v);
    }
}

static enum kerr make_vcpus(struct vboard *b)
{
    enum kerr err = K_OK;

    b->vm.preempt_delay_ticks = time_ns_to_ticks(b->cfg->preempt_delay_us * 1000UL);
    for (u32 i = 0; err == K_OK && i < b->cfg->vcpu_count; i++) {
        err = make_vcpu(&b->vm, i, b->cfg);
        if (err == K_OK)
            b->vm.vcpu[i]->task.gang = b->cfg->gang;
    }
    if (err)
        undo_vcpus(b);
    return err;
}

static enum kerr make_vgic(struct vboard *b) { return vgic_create(&b->vm, b->cfg->nr_spis); }

static void undo_vgic(struct vboard *b) { vgic_destroy(&b->vm); }

static enum kerr make_device(struct vboard *b, const struct cfg_device *cfg)
{
    struct vboard_device *d = &b->device[b->device_count];

    for (u32 i = 0; b->models[i]; i++) {
        enum kerr err;

        if (strcmp(b->models[i]->compatible, cfg->compatible) != 0)
            continue;
        d->model = b->models[i];
        err = d->model->create(&b->vm, cfg, &d->dev);
        if (err)
            log_error("vm %s: device %s: %s", b->vm.name, cfg->node, kerr_str(err));
        else
            b->device_count++;
        return err;
    }
    log_error("vm %s: device %s: no model of %s", b->vm.name, cfg->node, cfg->compatible);
    return K_NOENT;
}

static void undo_devices(struct vboard *b)
{
    while (b->device_count > 0) {
        const struct vboard_device *d = &b->device[--b->device_count];

        d->model->destroy(d->dev);
    }
}

static enum kerr make_devices(struct vboard *b)
{
    struct cfg_device gic = {
        .node = "intc",
        .compatible = "arm,gic-v3",
        .irq = CFG_IRQ_DEFAULT,
        .fdt_node = -1,
    };
    static const struct cfg_device no_virtio = {
        .node = "virtio_mmio",
        .compatible = "virtio,mmio",
        .base = GUEST_VIRTIO_BASE,
        .size = GUEST_VIRTIO_PLACES * GUEST_VIRTIO_PLACE,
        .irq = CFG_IRQ_DEFAULT,
        .fdt_node = -1,
    };
    enum kerr err;

    if (arch_gic_is_v2())
        gic.compatible = "arm,cortex-a15-gic";
    err = make_device(b, &gic);

    for (u32 i = 0; err == K_OK && i < b->cfg->device_count; i++)
        err = make_device(b, &b->cfg->device[i]);
    if (err == K_OK)
        err = make_device(b, &no_virtio);
    if (err)
        undo_devices(b);
    return err;
}

static const struct step { /* each is all or nothing */
    const char *what;
    enum kerr (*make)(struct vboard *b);
    void (*undo)(struct vboard *b); /* NULL: nothing to undo */
} steps[] = {
    { "memory layout", make_layout, NULL },
    { "stage 2", make_stage2, undo_stage2 },
    { "memory", make_memory, vboard_undo_extents },
    { "stolen time", vboard_make_pvtime, vboard_undo_pvtime },
    { "virtualization state", make_arch, undo_arch },
    { "vCPUs", make_vcpus, undo_vcpus },
    { "interrupt controller", make_vgic, undo_vgic },
    { "devices", make_devices, undo_devices },
    { "images", vboard_load, NULL },
};

enum kerr vboard_create(const struct cfg_vm *cfg, u32 id, const struct vdev_model *const *models,
                        struct vboard **out)
{
    struct vboard *b = heap_alloc(sizeof(*b));

    if (!b) {
        log_error("vm %s: cannot start: %s", cfg->name, kerr_str(K_NOMEM));
        return K_NOMEM;
    }
    static_assert(CFG_NAME_MAX == VM_NAME_MAX && CFG_MAX_VCPUS <= VM_MAX_VCPUS, "configuration fits");
    static_assert(CFG_PRIO_MAX == TASK_PRIO_MAX && CFG_PRIO_SHARED == TASK_PRIO_SHARED &&
                      CFG_PROMISE_MAX_PPM == SCHED_PROMISE_MAX_PPM &&
                      CFG_PROMISE_OWN_PPM == SCHED_PROMISE_OWN_PPM,
                  "what is checked is what is scheduled by");
    memcpy(b->vm.name, cfg->name, sizeof(b->vm.name));
    b->vm.id = id;
    b->vm.overcommit = cfg->overcommit;
    spin_init(&b->vm.lock, LOCK_RANK_VM);
    b->cfg = cfg;
    b->models = models;

    for (; b->steps_made < ARRAY_SIZE(steps); b->steps_made++) {
        enum kerr err = steps[b->steps_made].make(b);

        if (err) {
            log_error("vm %s: cannot start: %s: %s", cfg->name, steps[b->steps_made].what, kerr_str(err));
            vboard_destroy(b);
            return err;
        }
    }
    *out = b;
    return K_OK;
}

void vboard_destroy(struct vboard *b)
{
    /* One that never ran may have been woken all the same: it parks, for which it needs what goes now. */
    for (u32 i = 0; i < b->vm.vcpu_count; i++)
        vcpu_settle(b->vm.vcpu[i]);
    while (b->steps_made > 0) {
        const struct step *s = &steps[--b->steps_made];

        if (s->undo)
            s->undo(b);
    }
    heap_free(b, sizeof(*b));
}

enum kerr vboard_reset(struct vboard *b)
{
    for (u32 i = 0; i < b->device_count; i++)
        if (b->device[i].model->reset)
            b->device[i].model->reset(b->device[i].dev);
    vgic_reset(&b->vm); /* after the devices, which may have moved their lines */
    vboard_scrub_ram(b);
    arch_stage2_invalidate(&b->vm, GPA(0), ~0UL); /* a CPU comes out of reset with an empty TLB */
    return vboard_load(b);
}

bool vboard_power_key(struct vboard *b, bool down)
{
    bool heard = false;

    for (u32 i = 0; i < b->device_count; i++)
        if (b->device[i].model->power_key)
            heard |= b->device[i].model->power_key(b->device[i].dev, down);
    return heard;
}

/* No vCPU sees the state of another from before: all are ready when the first is woken. */
void vboard_run(struct vboard *b)
{
    struct vm *vm = &b->vm;

    vm->end_reason[0] = 0;
    __atomic_store_n(&vm->watchdog, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&vm->end, VM_END_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&vm->state, VM_RUNNING, __ATOMIC_RELEASE);
    vboard_reset_pvtime(b);
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *v = vm->vcpu[i];

        if (i == 0)
            arch_vcpu_reset(v, b->layout.entry, b->layout.dtb.v);
        else
            arch_vcpu_reset(v, GPA(0), 0);
        __atomic_store_n(&v->power, i == 0 ? VCPU_ON : VCPU_OFF, __ATOMIC_RELEASE);
    }
    vboard_release(b, WORK_STOP | WORK_PAUSE);
}

/* A vCPU sets and clears `parked` itself, so what it reads may be just going out of date. Quiet first: a
 * vCPU that was asked to park and is quiet sits where it parked, or has not seen the request. */
static bool is_parked(const struct vcpu *v)
{
    return task_quiet(&v->task) && __atomic_load_n(&v->parked, __ATOMIC_ACQUIRE) != 0;
}

bool vboard_is_parked(const struct vboard *b)
{
    for (u32 i = 0; i < b->vm.vcpu_count; i++)
        if (!is_parked(b->vm.vcpu[i]))
            return false;
    return true;
}

void vboard_hurry(struct vboard *b)
{
    for (u32 i = 0; i < b->vm.vcpu_count; i++)
        if (!is_parked(b->vm.vcpu[i]))
            task_hurry(&b->vm.vcpu[i]->task);
}

bool vboard_is_paused(const struct vboard *b)
{
    for (u32 i = 0; i < b->vm.vcpu_count; i++) {
        const struct vcpu *v = b->vm.vcpu[i];

        if (!task_quiet(&v->task))
            return false;
        if (!__atomic_load_n(&v->parked, __ATOMIC_ACQUIRE) &&
            __atomic_load_n(&v->power, __ATOMIC_ACQUIRE) != VCPU_OFF)
            return false;
    }
    return true;
}

void vboard_release(struct vboard *b, u32 work)
{
    for (u32 i = 0; i < b->vm.vcpu_count; i++) {
        struct vcpu *v = b->vm.vcpu[i];

        /* Hurried, and not parked: there it calms. */
        if (__atomic_load_n(&v->task.hurry, __ATOMIC_RELAXED) != 0)
            __atomic_fetch_or(&v->work, WORK_RESET, __ATOMIC_SEQ_CST);
        __atomic_fetch_and(&v->work, ~work, __ATOMIC_SEQ_CST);
        task_wake(&v->task);
    }
}
