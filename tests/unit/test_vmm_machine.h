/* SPDX-License-Identifier: Apache-2.0 */
/* What is beneath a board, for its tests: memory, vCPUs, interrupt controller and devices that count what
 * exists, and fail when told. */
#ifndef TESTS_UNIT_TEST_VMM_MACHINE_H
#define TESTS_UNIT_TEST_VMM_MACHINE_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "config/guest_fdt.h"
#include "config/guest_map.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/percpu.h"
#include "core/vcpu.h"
#include "irq/inject/vgic.h"
#include "lib/bits.h"
#include "vmm/vboard.h"

#define MAX_RANGES 256U

struct range {
    uintptr_t start;
    size_t size;
};

static struct {
    /* Failure: the n-th call that can fail does; 0: none. */
    u32 fail_at, calls;
    /* What is there. */
    u32 heap, pages, vcpus, vgics, archs, devices;
    u64 run_pages;
    /* What was asked of the frame allocator: where the longest run is shorter, that is what there is. */
    u64 longest[16]; /* by call, in pages; 0: no limit */
    u64 longest_ever;
    u64 align[16];
    u32 runs;
    /* What was done to memory. */
    u32 cleaned_count, synced_count;
    struct range cleaned[MAX_RANGES], synced[MAX_RANGES];
    u32 wakes, hurries, settled, vgic_resets, device_resets;
    u32 nr_spis;
} m;

static bool fails(void) { return ++m.calls == m.fail_at; }

void *heap_alloc(size_t size)
{
    if (fails())
        return NULL;
    m.heap++;
    return calloc(1, size);
}

void heap_free(void *p, size_t size)
{
    (void)size;
    if (p)
        m.heap--;
    free(p);
}

/* A claim is a number that frames_claim() sets; nothing is taken from it here. */
static u64 claimed;

enum kerr frames_claim(struct frames_claim *c, u64 pages)
{
    if (fails())
        return K_NOMEM;
    c->left = pages;
    claimed += pages;
    return K_OK;
}

void frames_unclaim(struct frames_claim *c)
{
    claimed -= c->left;
    c->left = 0;
}

enum kerr frames_alloc_for(struct frames_claim *c, u32 order, hpa_t *out)
{
    size_t size = PAGE_SIZE << order;
    char *p;

    (void)c;
    if (fails())
        return K_NOMEM;
    m.pages += 1U << order;
    p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *out = ptr_to_hpa(p + (-(uintptr_t)p & (size - 1)));
    memset(hpa_to_ptr(*out), 0x5a, size);
    return K_OK;
}

enum kerr frames_alloc_at(struct frames_claim *c, hpa_t base, u32 order)
{
    (void)c, (void)base, (void)order;
    return K_BUSY;
}

enum kerr frames_alloc_within(struct frames_claim *c, u32 order, u32 outer, u64 offset, hpa_t *out)
{
    enum kerr err = frames_alloc_for(c, order, out);

    (void)outer, (void)offset;
    if (err == K_OK)
        memset(hpa_to_ptr(*out), 0, PAGE_SIZE << order);
    return err;
}

void frames_free_for(struct frames_claim *c, hpa_t base, u32 order)
{
    (void)c;
    m.pages -= 1U << order;
    munmap(hpa_to_ptr(base), PAGE_SIZE << order);
}

void frames_free_run_for(struct frames_claim *c, hpa_t base, u64 pages)
{
    (void)c;
    m.pages -= (u32)pages;
    munmap(hpa_to_ptr(base), pages * PAGE_SIZE);
}

enum kerr frames_alloc(u32 order, hpa_t *out) { return frames_alloc_for(NULL, order, out); }

void frames_free(hpa_t base, u32 order) { frames_free_for(NULL, base, order); }

enum kerr frames_alloc_places(struct frames_claim *c, u64 pages, hpa_t *base, u64 *places)
{
    size_t size = FRAMES_PLACES * PAGE_SIZE;
    u64 wanted = c->places;
    char *p;

    if (fails())
        return K_NOMEM;
    p = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *base = ptr_to_hpa(p + (-(uintptr_t)p & (size - 1)));
    *places = 0;
    for (; pages > 0 && wanted != 0; pages--, wanted &= wanted - 1) {
        *places |= wanted & -wanted;
        m.pages++;
    }
    return K_OK;
}

u64 frames_places(u64 colors) { return colors; }

void *page_alloc_for(struct frames_claim *c)
{
    hpa_t page;

    return frames_alloc_for(c, 0, &page) == K_OK ? memset(hpa_to_ptr(page), 0, PAGE_SIZE) : NULL;
}

void page_free_for(struct frames_claim *c, void *page) { frames_free_for(c, ptr_to_hpa(page), 0); }

void *page_alloc(void) { return page_alloc_for(NULL); }

void page_free(void *page) { page_free_for(NULL, page); }

/* Each run is dirty when it is handed out, and has to come back clean. */
enum kerr frames_alloc_run(u64 pages, u64 min, u64 align, hpa_t *out, u64 *out_pages)
{
    u32 i = m.runs++;
    u64 n = pages;
    char *p;

    m.align[i % ARRAY_SIZE(m.align)] = align;
    if (fails())
        return K_NOMEM;
    if (i < ARRAY_SIZE(m.longest) && m.longest[i] != 0 && m.longest[i] < pages)
        n = m.longest[i];
    if (m.longest_ever != 0 && m.longest_ever < n)
        n = m.longest_ever;
    if (n < min)
        return K_NOMEM;
    p = mmap(NULL, n * PAGE_SIZE + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
             -1, 0);
    p += -(uintptr_t)p & (align - 1);
    for (u64 k = 0; k < n; k += n < 65536 ? 1 : 4096)
        p[k * PAGE_SIZE] = 0x5a;
    m.run_pages += n;
    *out = ptr_to_hpa(p);
    *out_pages = n;
    return K_OK;
}

void frames_free_run(hpa_t base, u64 pages)
{
    m.run_pages -= pages;
    munmap(hpa_to_ptr(base), pages * PAGE_SIZE);
}

static void note(struct range *list, u32 *count, const void *p, size_t size)
{
    list[(*count)++ % MAX_RANGES] = (struct range){ (uintptr_t)p, size };
}

void arch_dcache_clean(const void *p, size_t size) { note(m.cleaned, &m.cleaned_count, p, size); }

void arch_code_sync(const void *p, size_t size) { note(m.synced, &m.synced_count, p, size); }

void arch_copy_bulk(void *dst, const void *src, size_t size)
{
    if (((uintptr_t)dst | (uintptr_t)src | size) & 63)
        abort();
    memcpy(dst, src, size);
}

static u64 scrubbed;

void arch_zero_bulk(void *dst, size_t size)
{
    if (((uintptr_t)dst | size) & 63)
        abort();
    scrubbed += size;
    madvise(dst, size, MADV_DONTNEED);
}

/* Nobody has asked to note writes. */
void vm_dirty_note(struct vm *vm, gpa_t gpa, u64 size)
{
    (void)vm, (void)gpa, (void)size;
    abort();
}

void vm_dirty_free(struct vm *vm) { (void)vm; }

void arch_stage2_invalidate(struct vm *vm, gpa_t gpa, u64 size) { (void)vm, (void)gpa, (void)size; }

void arch_stage1_invalidate(u64 va, u64 size) { (void)va, (void)size; }

void arch_pt_sync(void) {}

enum kerr arch_vm_init(struct vm *vm)
{
    (void)vm;
    if (fails())
        return K_FULL;
    m.archs++;
    return K_OK;
}

void arch_vm_destroy(struct vm *vm)
{
    (void)vm;
    m.archs--;
}

void arch_vcpu_reset(struct vcpu *v, gpa_t entry, u64 arg)
{
    v->arch.entry = entry;
    v->arch.arg = arg;
    v->arch.resets++;
}

enum kerr vcpu_create(struct vm *vm, u32 id, u32 cpu, const struct task_params *p, struct vcpu **out)
{
    struct vcpu *v;

    if (fails())
        return K_NOMEM;
    m.vcpus++;
    v = calloc(1, sizeof(*v));
    v->id = id;
    v->vm = vm;
    v->task.cpu = cpu;
    v->task.params = *p;
    *out = v;
    return K_OK;
}

void vcpu_settle(struct vcpu *v)
{
    if (v->vm->vgic == NULL && m.vgics > 0)
        abort(); /* it may be about to use that */
    m.settled++;
}

void vcpu_destroy(struct vcpu *v)
{
    m.vcpus--;
    free(v);
}

enum kerr vgic_create(struct vm *vm, u32 nr_spis)
{
    if (fails())
        return K_NOMEM;
    m.vgics++;
    m.nr_spis = nr_spis;
    vm->vgic = (struct vgic *)&m;
    return K_OK;
}

void vgic_destroy(struct vm *vm)
{
    vm->vgic = NULL;
    m.vgics--;
}

void vgic_reset(struct vm *vm)
{
    (void)vm;
    m.vgic_resets++;
}

void vm_end(struct vm *vm, enum vm_end how, const char *reason)
{
    (void)reason;
    vm->end = how;
}

bool task_quiet(const struct task *t) { return t->state == TASK_BLOCKED; }

void task_hurry(struct task *t)
{
    (void)t;
    m.hurries++;
}

void task_wake(struct task *t)
{
    (void)t;
    m.wakes++;
}

/* --- device models --- */

struct fake_device {
    char node[32];
    u64 base;
};

static enum kerr device_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct fake_device *d;

    if (!vm->vgic || vm->vcpu_count == 0)
        abort();
    if (fails())
        return K_EXIST;
    d = calloc(1, sizeof(*d));
    d->base = cfg->base;
    m.devices++;
    *dev = d;
    return K_OK;
}

static void device_reset(void *dev)
{
    (void)dev;
    m.device_resets++;
}

static void device_destroy(void *dev)
{
    m.devices--;
    free(dev);
}

static void gic_fdt(void *dev, struct gfdt *f)
{
    (void)dev;
    gfdt_node_at(f, "intc", 0x8000000);
    gfdt_string(f, "compatible", "arm,gic-v3");
    gfdt_empty(f, "interrupt-controller");
    gfdt_u32(f, "#interrupt-cells", 3);
    gfdt_u32(f, "phandle", GFDT_PHANDLE_GIC);
    gfdt_end_node(f);
}

static void uart_fdt(void *dev, struct gfdt *f)
{
    static const char compatible[] = "arm,pl011\0arm,primecell";
    const struct fake_device *d = dev;

    gfdt_node_at(f, "pl011", d->base);
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_end_node(f);
}

static const struct vdev_model gic_model = { "arm,gic-v3",   device_create, device_reset,
                                             device_destroy, gic_fdt,       NULL };
static const struct vdev_model uart_model = { "arm,pl011",    device_create, device_reset,
                                              device_destroy, uart_fdt,      NULL };
static const struct vdev_model rtc_model = { "arm,pl031", device_create, NULL, device_destroy, NULL, NULL };
static const struct vdev_model flash_model = { "cfi-flash", device_create, NULL, device_destroy, NULL, NULL };
static const struct vdev_model empty_model = {
    "virtio,mmio", device_create, NULL, device_destroy, NULL, NULL
};
static const struct vdev_model *const fake_models[] = { &rtc_model,   &uart_model,  &gic_model,
                                                        &flash_model, &empty_model, NULL };

static inline bool nothing_left(void)
{
    return m.heap == 0 && m.pages == 0 && m.vcpus == 0 && m.vgics == 0 && m.archs == 0 && m.devices == 0 &&
           m.run_pages == 0 && claimed == 0;
}

static inline bool range_noted(const struct range *list, u32 count, const void *p, size_t size)
{
    for (u32 i = 0; i < count && i < MAX_RANGES; i++)
        if ((uintptr_t)p >= list[i].start && (uintptr_t)p + size <= list[i].start + list[i].size)
            return true;
    return false;
}

#endif
