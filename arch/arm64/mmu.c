/* SPDX-License-Identifier: Apache-2.0 */
/* Keel's own address space at EL2: every address is its physical one, but for stacks, which have a
 * region of their own with a hole below each. No page is writable and executable (SCTLR_EL2.WXN
 * makes sure of it). */
#include "arch/mmu.h"

#include "arch/arm64/arm64.h"
#include "arch/cpu.h"
#include "arch/stack.h"
#include "core/frames.h"
#include "core/lock.h"
#include "core/ptw.h"
#include "lib/panic.h"

#include <asm/sysreg.h>

#define MAIR_VALUE (0xffUL | (0x04UL << 8)) /* 0: normal write-back; 1: device nGnRE */
#define STACK_REGION 0x7f0000000000UL       /* 127 TiB: above any RAM a 4-level map is used for here */
#define STACK_STRIDE (4 * PAGE_SIZE)        /* hole, stack, hole */
#define STACK_SLOTS 1024U

static u32 early_used;
static struct secondary control;
static struct page_table map;
static struct spinlock map_lock = SPINLOCK_INIT(LOCK_RANK_MMU);
static u64 stack_used[STACK_SLOTS / 64];

struct secondary *mmu_secondary(void) { return &control; }

static u64 tcr_value(void)
{
    u64 parange = sysreg_read(id_aa64mmfr0_el1) & 0xf;

    if (parange > 5)
        parange = 5; /* 48 bits: what a 4 KiB granule without LPA2 can hold */
    /* T0SZ 16; table walks inner-shareable write-back; RES1 bits 31 and 23 (D19.2.139) */
    return 16 | (1UL << 8) | (1UL << 10) | (3UL << 12) | (parange << 16) | BIT(23) | BIT(31);
}

/* Runs before the MMU and again with it on; stores are 8-byte aligned only. */
static u64 *early_next(u64 *table, u32 index)
{
    if ((table[index] & 1) == 0) {
        char *next = _early_tables + early_used * PAGE_SIZE;

        if (next == _early_end)
            return NULL;
        early_used++;
        table[index] = (u64)(uintptr_t)next | 3;
    }
    return (u64 *)(uintptr_t)(table[index] & GENMASK(47, 12));
}

#define EARLY_NORMAL (1 | (3UL << 8) | BIT(6) | BIT(10))
#define EARLY_DEVICE (1 | (1UL << 2) | BIT(6) | BIT(10) | BIT(54))

static bool early_map_2m(u64 pa, u64 attr)
{
    u64 *l1 = early_next((u64 *)_early_tables, FIELD_GET(pa, 47, 39));
    u64 *l2 = l1 != NULL ? early_next(l1, FIELD_GET(pa, 38, 30)) : NULL;

    if (l2 == NULL)
        return false;
    if (l2[FIELD_GET(pa, 29, 21)] == 0)
        l2[FIELD_GET(pa, 29, 21)] = align_down(pa, SZ_2M) | attr;
    return true;
}

static bool early_map_1g(u64 pa, u64 attr)
{
    u64 *l1 = early_next((u64 *)_early_tables, FIELD_GET(pa, 47, 39));

    if (l1 == NULL || l1[FIELD_GET(pa, 38, 30)] != 0)
        return false;
    l1[FIELD_GET(pa, 38, 30)] = pa | attr;
    return true;
}

bool mmu_early_ram(u64 base, u64 size)
{
    u64 pa = align_up(base, SZ_2M), end = align_down(base + size, SZ_2M);
    bool ok = true;

    while (pa < end && ok) {
        if (is_aligned(pa, SZ_1G) && end - pa >= SZ_1G && early_map_1g(pa, EARLY_NORMAL | BIT(54))) {
            pa += SZ_1G;
        } else {
            ok = early_map_2m(pa, EARLY_NORMAL | BIT(54));
            pa += SZ_2M;
        }
    }
    arch_pt_sync();
    return ok;
}

/* Called by head.S with the MMU off: this image and the device tree, no more. */
const struct secondary *boot_map_early(u64 dtb);
const struct secondary *boot_map_early(u64 dtb)
{
    early_used = 1;
    for (u64 pa = align_down((uintptr_t)_start_image, SZ_2M); pa < (uintptr_t)_early_end; pa += SZ_2M)
        (void)early_map_2m(pa, EARLY_NORMAL);
    (void)early_map_2m(dtb, EARLY_NORMAL); /* at most 2 MiB (booting.rst), perhaps across a boundary */
    (void)early_map_2m(dtb + SZ_2M - 1, EARLY_NORMAL);
    control.ttbr = (uintptr_t)_early_tables;
    control.tcr = tcr_value();
    control.mair = MAIR_VALUE;
    control.sctlr = SCTLR_EL2_RES1 | SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_SA;
    return &control;
}

void *mmu_early_device(u64 pa)
{
    bool ok = early_map_2m(pa, EARLY_DEVICE);

    arch_pt_sync();
    return ok ? (void *)(uintptr_t)pa : NULL;
}

static void invalidate(void *owner, u64 va, u64 size)
{
    (void)owner;
    arch_stage1_invalidate(va, size);
}

void arch_stage1_invalidate(u64 va, u64 size)
{
    dsb(ishst);
    if (size > 512 * PAGE_SIZE) {
        __asm__ volatile("tlbi alle2is");
    } else {
        for (u64 a = va; a < va + size; a += PAGE_SIZE)
            __asm__ volatile("tlbi vae2is, %0" : : "r"(a >> PAGE_SHIFT));
    }
    dsb(ish);
    isb();
}

void arch_pt_sync(void)
{
    dsb(ishst);
    isb();
}

static enum kerr map_image(void)
{
    static const struct {
        char *from, *to;
        u32 attr;
    } part[] = {
        { _start_image, _text_end, MAP_R | MAP_X },
        { _text_end, _rodata_end, MAP_R },
        { _rodata_end, _boot_stack_guard, MAP_R | MAP_W },
        { _boot_stack_bottom, _end, MAP_R | MAP_W },
    };

    for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
        u64 from = (uintptr_t)part[i].from;
        enum kerr e = ptw_map(&map, from, HPA(from), (uintptr_t)part[i].to - from, part[i].attr);

        if (e != K_OK)
            return e;
    }
    return K_OK;
}

/* RAM less the image, which has its own permissions. */
static enum kerr map_ram(u64 base, u64 end)
{
    u64 image = (uintptr_t)_start_image, image_end = (uintptr_t)_end;
    enum kerr e = K_OK;

    if (end <= image || base >= image_end)
        return ptw_map(&map, base, HPA(base), end - base, MAP_R | MAP_W);
    if (base < image)
        e = ptw_map(&map, base, HPA(base), image - base, MAP_R | MAP_W);
    if (e == K_OK && end > image_end)
        e = ptw_map(&map, image_end, HPA(image_end), end - image_end, MAP_R | MAP_W);
    return e;
}

enum kerr mmu_init(const struct boot_ram *ram, u32 ranges)
{
    enum kerr e = ptw_init(&map, &arch_stage1_format, NULL);

    if (e != K_OK)
        return e;
    map.max_block = 2;
    map.contig = false; /* breaking a group would take away what Keel stands on */
    map.invalidate = invalidate;
    e = map_image();
    for (u32 i = 0; i < ranges && e == K_OK; i++)
        if (ram[i].size != 0)
            e = map_ram(ram[i].base, ram[i].base + ram[i].size);
    if (e != K_OK)
        return e;
    control.ttbr = map.root.v;
    control.sctlr |= SCTLR_WXN;
    return K_OK;
}

void mmu_enter(void)
{
    mmu_switch(&control);
    arch_dcache_clean(&control, sizeof(control));
    frames_add(ptr_to_hpa(_early_tables), (u64)(_early_end - _early_tables));
}

enum kerr arch_map_device(hpa_t base, u64 size)
{
    u64 from = align_down(base.v, PAGE_SIZE), to = align_up(base.v + size, PAGE_SIZE);
    unsigned long flags = spin_lock_irq(&map_lock);
    enum kerr e = ptw_map(&map, from, HPA(from), to - from, MAP_R | MAP_W | MAP_DEVICE);
    bool shared = e == K_EXIST; /* with a neighbour: the pages that are not mapped yet */

    if (shared)
        e = K_OK;
    for (u64 a = from; shared && a < to && e == K_OK; a += PAGE_SIZE)
        if (ptw_lookup(&map, a, NULL, NULL, NULL) == K_NOENT)
            e = ptw_map(&map, a, HPA(a), PAGE_SIZE, MAP_R | MAP_W | MAP_DEVICE);
    spin_unlock_irq(&map_lock, flags);
    return e;
}

void mmu_seal(void)
{
    unsigned long flags = spin_lock_irq(&map_lock);
    u64 from = (uintptr_t)_rodata_end, size = (uintptr_t)_ro_after_init_end - from;
    enum kerr e = size != 0 ? ptw_protect(&map, from, size, MAP_R) : K_OK;

    spin_unlock_irq(&map_lock, flags);
    if (e != K_OK)
        panic("cannot seal the read-only data: %s", kerr_str(e));
}

static enum kerr stack_map(u64 va)
{
    void *page[2] = { page_alloc(), page_alloc() };
    enum kerr e = page[0] != NULL && page[1] != NULL ? K_OK : K_NOMEM;

    if (e == K_OK)
        e = ptw_map(&map, va, ptr_to_hpa(page[0]), PAGE_SIZE, MAP_R | MAP_W);
    if (e == K_OK) {
        e = ptw_map(&map, va + PAGE_SIZE, ptr_to_hpa(page[1]), PAGE_SIZE, MAP_R | MAP_W);
        if (e != K_OK && ptw_unmap(&map, va, PAGE_SIZE) != K_OK)
            panic("stack region cannot be undone");
    }
    if (e != K_OK) {
        for (u32 i = 0; i < 2; i++)
            if (page[i] != NULL)
                page_free(page[i]);
    }
    return e;
}

void *arch_stack_alloc(void)
{
    unsigned long flags = spin_lock_irq(&map_lock);
    void *stack = NULL;

    for (u32 w = 0; w < ARRAY_SIZE(stack_used) && stack == NULL; w++) {
        if (~stack_used[w] == 0)
            continue;
        u32 bit = ctz64(~stack_used[w]);
        u64 va = STACK_REGION + (w * 64UL + bit) * STACK_STRIDE + PAGE_SIZE;

        if (stack_map(va) != K_OK)
            break;
        stack_used[w] |= BIT(bit);
        stack = (void *)(uintptr_t)va;
    }
    spin_unlock_irq(&map_lock, flags);
    return stack;
}

void arch_stack_free(void *stack)
{
    u64 va = (uintptr_t)stack, slot = (va - STACK_REGION) / STACK_STRIDE;
    unsigned long flags = spin_lock_irq(&map_lock);
    hpa_t page[2];

    for (u32 i = 0; i < 2; i++)
        if (ptw_lookup(&map, va + i * PAGE_SIZE, &page[i], NULL, NULL) != K_OK)
            panic("stack %p was not one", stack);
    if (ptw_unmap(&map, va, ARCH_STACK_SIZE) != K_OK)
        panic("stack %p does not unmap", stack);
    stack_used[slot / 64] &= ~BIT(slot % 64);
    spin_unlock_irq(&map_lock, flags);
    page_free(hpa_to_ptr(page[0]));
    page_free(hpa_to_ptr(page[1]));
}
