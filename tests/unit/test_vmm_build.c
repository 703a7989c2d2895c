/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_config.h"
#include "tests/unit/test_vmm_machine.h"

#define IMAGE_SIZE 300001U
#define INITRD_SIZE 70003U

static struct cfg_machine cfg;
static char blob[BLOB_SIZE];
static u8 kernel[IMAGE_SIZE + 64], initrd[INITRD_SIZE + 64];

static void parse(void)
{
    struct reports reports;
    struct cfg_errors errors = collect_errors(&reports);

    assert_int_equal(config_parse(blob, sizeof(blob), test_models, &cfg, &errors), K_OK);
    for (u32 i = 0; i < cfg.vm_count; i++) {
        struct cfg_vm *vm = &cfg.vm[i];

        if (vm->kernel.name)
            vm->kernel = (struct cfg_image){ vm->kernel.name, kernel + 3, IMAGE_SIZE };
        if (vm->firmware.name)
            vm->firmware = (struct cfg_image){ vm->firmware.name, kernel + 64, IMAGE_SIZE };
        if (vm->initrd.name)
            vm->initrd = (struct cfg_image){ vm->initrd.name, initrd, INITRD_SIZE };
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&m, 0, sizeof(m));
    scrubbed = 0;
    cpu_count = 4;
    for (u32 i = 0; i < sizeof(kernel); i++)
        kernel[i] = (u8)(i * 7 + i / 251);
    for (u32 i = 0; i < sizeof(initrd); i++)
        initrd[i] = (u8)(i * 13 + i / 241);
    blob_machine(blob);
    blob_cells(blob, "/vms/a", "vcpus", CELLS(3));
    blob_string(blob, "/vms/a", "memory", "64M");
    blob_string(blob, "/vms/a", "initrd", "initrd.gz");
    blob_string(blob, "/vms/a", "bootargs", "console=ttyAMA0 quiet");
    parse();
    return 0;
}

static struct vboard *build(void)
{
    struct vboard *b;

    assert_int_equal(vboard_create(&cfg.vm[0], 5, fake_models, &b), K_OK);
    return b;
}

static const u8 *at(const struct vboard *b, u64 gpa)
{
    for (u32 i = 0; i < b->vm.extent_count; i++) {
        const struct vm_extent *x = &b->vm.extent[i];

        if (gpa - x->gpa.v < x->size)
            return (const u8 *)hpa_to_ptr(x->hpa) + (gpa - x->gpa.v);
    }
    fail();
    return NULL;
}

static void test_board_has_what_the_configuration_says(void **state)
{
    struct vboard *b = build();

    (void)state;
    assert_string_equal(b->vm.name, "a");
    assert_int_equal(b->vm.id, 5);
    assert_int_equal(b->vm.vcpu_count, 3);
    assert_int_equal(m.nr_spis, cfg.vm[0].nr_spis);
    assert_int_equal(b->device_count, 4);
    assert_string_equal(b->device[0].model->compatible, "arm,gic-v3");
    assert_int_equal(b->vm.extent_count, 1);
    assert_int_equal(b->vm.extent[0].gpa.v, GUEST_RAM_BASE);
    assert_int_equal(b->vm.extent[0].size, 64 << 20);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_memory_is_mapped_in_largest_blocks(void **state)
{
    struct vboard *b = build();
    u32 attr;
    u64 size;
    hpa_t pa;

    (void)state;
    assert_int_equal(m.align[0], SZ_2M);
    assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_RAM_BASE + 0x212345, &pa, &attr, &size), K_OK);
    assert_int_equal(size, SZ_2M);
    assert_int_equal(attr, MAP_R | MAP_W | MAP_X);
    assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_RAM_BASE - 1, NULL, NULL, NULL), K_NOENT);
    assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_RAM_BASE + (64 << 20), NULL, NULL, NULL), K_NOENT);
    vboard_destroy(b);
}

static void test_pages_property_bounds_the_blocks(void **state)
{
    struct vboard *b;

    (void)state;
    blob_string(blob, "/vms/a", "pages", "4k");
    parse();
    b = build();
    assert_int_equal(b->vm.stage2.leaves[0], (64 << 20) / SZ_4K + 1); /* and the stolen-time page */
    assert_int_equal(b->vm.stage2.leaves[1], 0);
    vboard_destroy(b);
}

static void test_a_gigabyte_is_aligned_for_the_largest_block(void **state)
{
    struct vboard *b;

    (void)state;
    blob_string(blob, "/vms/a", "memory", "1026M");
    parse();
    b = build();
    assert_int_equal(m.align[0], SZ_1G);
    assert_int_equal(b->vm.stage2.leaves[2], 1);
    assert_int_equal(b->vm.stage2.leaves[1], 1);
    vboard_destroy(b);

    m.runs = 0;
    m.longest[0] = 1000; /* no such run: the next best is aligned for 2 MiB */
    b = build();
    assert_int_equal(m.align[1], SZ_2M);
    assert_int_equal(b->vm.extent_count, 1);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_memory_in_pieces_appears_as_one(void **state)
{
    struct vboard *b;
    u64 gpa = GUEST_RAM_BASE;

    (void)state;
    m.longest[0] = 5 * 512 + 100; /* the odd end goes back */
    m.longest[1] = 512;
    b = build();
    assert_int_equal(b->vm.extent_count, 3);
    assert_int_equal(b->vm.extent[0].size, 5 * SZ_2M);
    assert_int_equal(b->vm.extent[1].size, SZ_2M);
    for (u32 i = 0; i < 3; i++) {
        assert_int_equal(b->vm.extent[i].gpa.v, gpa);
        gpa += b->vm.extent[i].size;
    }
    assert_int_equal(gpa, GUEST_RAM_BASE + (64 << 20));
    assert_int_equal(m.run_pages * PAGE_SIZE, 64 << 20);
    assert_int_equal(*at(b, b->layout.kernel.v + 100), kernel[103]);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_image_across_extents_is_whole(void **state)
{
    static u8 big[3 * SZ_2M];
    struct vboard *b;

    (void)state;
    for (u32 i = 0; i < sizeof(big); i++)
        big[i] = (u8)(i * 31 + i / 253);
    cfg.vm[0].initrd.data = big + 1;
    cfg.vm[0].initrd.size = sizeof(big) - 1;
    m.longest_ever = 512;
    cfg.vm[0].mem_size = 32 << 20;
    b = build();
    assert_int_equal(b->vm.extent_count, 16);
    for (u32 i = 0; i < sizeof(big) - 1; i++)
        assert_int_equal(*at(b, b->layout.initrd.v + i), big[1 + i]);
    vboard_destroy(b);
}

static void test_memory_in_crumbs_is_an_error(void **state)
{
    struct vboard *b;

    (void)state;
    m.longest_ever = 512;
    cfg.vm[0].mem_size = (VM_MAX_EXTENTS + 1) * SZ_2M;
    assert_int_equal(vboard_create(&cfg.vm[0], 0, fake_models, &b), K_FULL);
    assert_true(nothing_left());
    m.longest_ever = 511;
    assert_int_equal(vboard_create(&cfg.vm[0], 0, fake_models, &b), K_NOMEM);
    assert_true(nothing_left());
}

static void test_images_are_in_place_and_reach_memory(void **state)
{
    struct vboard *b = build();
    const u8 *k = at(b, b->layout.kernel.v), *i = at(b, b->layout.initrd.v);

    (void)state;
    assert_memory_equal(k, kernel + 3, IMAGE_SIZE);
    assert_memory_equal(i, initrd, INITRD_SIZE);
    assert_true(range_noted(m.synced, m.synced_count, k, IMAGE_SIZE));
    assert_true(range_noted(m.cleaned, m.cleaned_count, i, INITRD_SIZE));
    vboard_destroy(b);
}

static void test_any_alignment_of_an_image_is_copied_right(void **state)
{
    struct vboard *b = build();

    (void)state;
    for (u32 off = 0; off < 64; off += 7) {
        for (u32 size = 0; size < 260; size += 13) {
            const u8 *dst = at(b, GUEST_RAM_BASE + 0x300000 + off);

            memset((u8 *)at(b, GUEST_RAM_BASE + 0x300000), 0xee, 512);
            assert_int_equal(
                vboard_place(&b->vm, GPA(GUEST_RAM_BASE + 0x300000 + off), kernel + 5, size, false), K_OK);
            assert_memory_equal(dst, kernel + 5, size);
            assert_int_equal(dst[size], 0xee);
            assert_int_equal(
                vboard_place(&b->vm, GPA(GUEST_RAM_BASE + 0x300000 + off), initrd + off, size, false), K_OK);
            assert_memory_equal(dst, initrd + off, size);
            assert_int_equal(dst[size], 0xee);
        }
    }
    vboard_destroy(b);
}

static void test_placing_outside_memory_is_refused(void **state)
{
    struct vboard *b = build();
    u64 end = GUEST_RAM_BASE + (64 << 20);

    (void)state;
    assert_int_equal(vboard_place(&b->vm, GPA(end - 8), kernel, 9, false), K_RANGE);
    assert_int_equal(vboard_place(&b->vm, GPA(end), kernel, 1, false), K_RANGE);
    assert_int_equal(vboard_place(&b->vm, GPA(GUEST_RAM_BASE - 1), kernel, 2, false), K_RANGE);
    assert_int_equal(vboard_place(&b->vm, GPA(~0UL - 3), kernel, 8, false), K_RANGE);
    assert_int_equal(vboard_place(&b->vm, GPA(end - 8), kernel, 8, false), K_OK);
    vboard_destroy(b);
}

static void test_firmware_is_read_only_at_0(void **state)
{
    struct vboard *b;
    u32 attr;
    hpa_t pa;

    (void)state;
    assert_int_equal(fdt_delprop(blob, fdt_path_offset(blob, "/vms/a"), "kernel"), 0);
    assert_int_equal(fdt_delprop(blob, fdt_path_offset(blob, "/vms/a"), "initrd"), 0);
    blob_string(blob, "/vms/a", "firmware", "u-boot.bin");
    parse();
    b = build();
    assert_int_equal(b->vm.extent_count, 2);
    assert_true(b->vm.extent[0].read_only);
    assert_int_equal(b->vm.extent[0].gpa.v, 0);
    assert_int_equal(b->vm.extent[0].size, align_up(IMAGE_SIZE, PAGE_SIZE));
    assert_false(b->vm.extent[1].read_only);
    assert_int_equal(ptw_lookup(&b->vm.stage2, 0x1000, &pa, &attr, NULL), K_OK);
    assert_int_equal(attr, MAP_R | MAP_X);
    assert_int_equal(ptw_lookup(&b->vm.stage2, b->vm.extent[0].size, NULL, NULL, NULL), K_NOENT);
    assert_memory_equal(at(b, 0), kernel + 64, IMAGE_SIZE);

    vboard_run(b);
    assert_int_equal(b->vm.vcpu[0]->arch.entry.v, 0);
    assert_int_equal(b->vm.vcpu[0]->arch.arg, GUEST_RAM_BASE);
    assert_int_equal(fdt_check_header(at(b, GUEST_RAM_BASE)), 0);

    assert_int_equal(vboard_reset(b), K_OK);
    assert_memory_equal(at(b, 0), kernel + 64, IMAGE_SIZE);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_running_starts_the_first_vcpu_alone(void **state)
{
    struct vboard *b = build();

    (void)state;
    for (u32 i = 0; i < 3; i++)
        b->vm.vcpu[i]->work = WORK_STOP | WORK_IRQ;
    b->vm.end = VM_END_CRASH;
    vboard_run(b);
    assert_int_equal(b->vm.end, VM_END_NONE);
    assert_int_equal(b->vm.state, VM_RUNNING);
    for (u32 i = 0; i < 3; i++) {
        assert_int_equal(b->vm.vcpu[i]->power, i == 0 ? VCPU_ON : VCPU_OFF);
        assert_int_equal(b->vm.vcpu[i]->work, WORK_IRQ);
        assert_int_equal(b->vm.vcpu[i]->arch.resets, 1);
    }
    assert_int_equal(b->vm.vcpu[0]->arch.entry.v, b->layout.entry.v);
    assert_int_equal(b->vm.vcpu[0]->arch.arg, b->layout.dtb.v);
    assert_int_equal(m.wakes, 3);
    vboard_destroy(b);
}

static void test_parked_is_when_all_are_parked_and_quiet(void **state)
{
    struct vboard *b = build();
    struct vcpu *last = b->vm.vcpu[2];

    (void)state;
    assert_false(vboard_is_parked(b));
    b->vm.vcpu[0]->parked = b->vm.vcpu[1]->parked = 1;
    last->power = VCPU_ON;
    assert_false(vboard_is_parked(b));
    assert_false(vboard_is_paused(b));
    last->power = VCPU_OFF;
    assert_false(vboard_is_parked(b));
    assert_true(vboard_is_paused(b));
    m.hurries = 0;
    vboard_hurry(b);
    assert_int_equal(m.hurries, 1);
    last->task.hurry = 1; /* and it is let go on before it has parked: it is to calm */
    last->work = WORK_PAUSE;
    vboard_release(b, WORK_PAUSE);
    assert_int_equal(last->work, WORK_RESET);
    last->task.hurry = 0;
    last->parked = 1;
    assert_true(vboard_is_parked(b));
    last->task.state = TASK_READY;
    assert_false(vboard_is_parked(b));
    assert_false(vboard_is_paused(b));
    vboard_destroy(b);
}

static void test_reset_scrubs_and_loads_anew(void **state)
{
    struct vboard *b = build();
    u8 *junk = (u8 *)at(b, GUEST_RAM_BASE + 0x1234567), *k = (u8 *)at(b, b->layout.kernel.v);
    u32 objects = m.heap, pages = m.pages;

    (void)state;
    *junk = 0x77;
    memset(k, 0x66, 4096);
    m.cleaned_count = 0;
    assert_int_equal(vboard_reset(b), K_OK);
    assert_int_equal(*junk, 0);
    assert_memory_equal(k, kernel + 3, IMAGE_SIZE);
    assert_int_equal(fdt_check_header(at(b, b->layout.dtb.v)), 0);
    for (u64 done = 0; done < 64 << 20; done += VM_MEM_MAX)
        assert_true(range_noted(m.cleaned, m.cleaned_count, hpa_to_ptr(HPA(b->vm.extent[0].hpa.v + done)),
                                VM_MEM_MAX));
    assert_int_equal(m.vgic_resets, 1);
    assert_int_equal(m.device_resets, 2);
    assert_int_equal(m.heap, objects);
    assert_int_equal(m.pages, pages);
    vboard_destroy(b);
}

static void test_stolen_time_is_a_page_that_the_guest_can_only_read(void **state)
{
    struct vboard *b = build();
    u32 attr;
    u64 size;
    hpa_t pa;

    (void)state;
    assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_PVTIME_BASE, &pa, &attr, &size), K_OK);
    assert_int_equal(attr, MAP_R);
    assert_int_equal(size, PAGE_SIZE);
    assert_null(b->vm.vcpu[0]->stolen_ns);
    for (u32 i = 0; i < 3; i++)
        b->vm.vcpu[i]->task.wait_ticks = 1000 * i;
    vboard_run(b);
    for (u32 i = 0; i < 3; i++) {
        const struct vcpu *v = b->vm.vcpu[i];

        assert_ptr_equal(v->stolen_ns, (char *)hpa_to_ptr(pa) + 64 * i + 8);
        assert_int_equal(*v->stolen_ns, 0);
        assert_int_equal(v->stolen_base, 1000 * i);
        assert_int_equal(v->stolen_told, 1000 * i);
    }
    *b->vm.vcpu[1]->stolen_ns = 77;
    assert_int_equal(vboard_reset(b), K_OK);
    vboard_run(b); /* a new life has lost nothing yet */
    assert_int_equal(*b->vm.vcpu[1]->stolen_ns, 0);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_stolen_time_can_be_left_out(void **state)
{
    struct vboard *b;

    (void)state;
    cfg.vm[0].pv_time = false;
    b = build();
    assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_PVTIME_BASE, NULL, NULL, NULL), K_NOENT);
    vboard_run(b);
    assert_null(b->vm.vcpu[0]->stolen_ns);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void make_demand(bool overcommit)
{
    blob_string(blob, "/vms/a", "populate", "demand");
    parse();
    cfg.vm[0].overcommit = overcommit;
}

static void test_demand_claims_all_and_takes_what_is_loaded(void **state)
{
    struct vboard *b;
    u32 objects, pages;

    (void)state;
    make_demand(false);
    b = build();
    assert_int_equal(b->vm.extent_count, 1);
    assert_int_equal(claimed, (64 << 20) / PAGE_SIZE + 32 + 32 + 1 + 10);
    assert_true(b->vm.ram_pages > 0 && b->vm.ram_pages < (32 << 20) / PAGE_SIZE);
    assert_memory_equal(vm_mem(&b->vm, b->layout.kernel, IMAGE_SIZE, false), kernel + 3, IMAGE_SIZE);
    objects = m.heap, pages = m.pages;
    memset(vm_mem(&b->vm, GPA(GUEST_RAM_BASE + (62 << 20)), SZ_2M, true), 0x77, SZ_2M);
    assert_int_equal(m.pages, pages + 512);
    assert_int_equal(vboard_reset(b), K_OK);
    assert_int_equal(m.pages, pages); /* the rest went back */
    assert_int_equal(m.heap, objects);
    assert_memory_equal(vm_mem(&b->vm, b->layout.kernel, IMAGE_SIZE, false), kernel + 3, IMAGE_SIZE);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_overcommit_claims_nothing(void **state)
{
    struct vboard *b;

    (void)state;
    make_demand(true);
    b = build();
    assert_int_equal(claimed, 0);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_demand_leaves_nothing_wherever_building_fails(void **state)
{
    struct vboard *b = NULL;
    u32 n = 1;

    (void)state;
    make_demand(false);
    for (;; n++) {
        m.calls = 0;
        m.fail_at = n;
        if (vboard_create(&cfg.vm[0], 0, fake_models, &b) == K_OK && m.calls < n)
            break;
        if (b) /* a smaller piece served instead */
            vboard_destroy(b);
        b = NULL;
        assert_true(nothing_left());
    }
    assert_true(n > 15);
    vboard_destroy(b);
}

static void make_colored(void)
{
    blob_string(blob, "/vms/a", "memory", "4M");
    blob_string(blob, "/vms/a", "llc-colors", "3,8-11,63");
    parse();
}

static void test_colored_memory_is_of_the_colors_alone(void **state)
{
    struct vboard *b;
    u32 attr, pages;
    char *p;

    (void)state;
    make_colored();
    b = build();
    assert_int_equal(b->vm.extent_count, 1);
    assert_int_equal(b->vm.ram_pages, 1024);
    assert_true(b->vm.claim.places == b->cfg->llc_colors);
    for (u64 at = 0; at < 4 << 20; at += PAGE_SIZE) {
        hpa_t mapped, noted;
        u64 size, run;

        assert_int_equal(ptw_lookup(&b->vm.stage2, GUEST_RAM_BASE + at, &mapped, &attr, &size), K_OK);
        assert_int_equal(ram_map_find(b->vm.extent[0].map, at, 1, &noted, &run), K_OK);
        assert_int_equal(mapped.v, noted.v);
        assert_int_equal(size, PAGE_SIZE);
        assert_int_equal(attr, MAP_R | MAP_W | MAP_X);
        assert_true((b->cfg->llc_colors >> mapped.v / PAGE_SIZE % 64 & 1) != 0);
    }
    p = vm_mem(&b->vm, GPA(GUEST_RAM_BASE + 0x345678), 8, true);
    memset(p, 0x77, 8);
    pages = m.pages;
    assert_int_equal(vboard_reset(b), K_OK);
    assert_int_equal(m.pages, pages); /* the same memory, clean */
    assert_ptr_equal(vm_mem(&b->vm, GPA(GUEST_RAM_BASE + 0x345678), 8, true), p);
    assert_int_equal(*p, 0);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_colored_memory_leaves_nothing_wherever_building_fails(void **state)
{
    struct vboard *b = NULL;
    u32 n = 0;

    (void)state;
    make_colored();
    for (;;) {
        m.calls = 0;
        m.fail_at = ++n;
        if (vboard_create(&cfg.vm[0], 0, fake_models, &b) == K_OK && m.calls < n)
            break;
        if (b) /* the root lies elsewhere */
            vboard_destroy(b);
        b = NULL;
        assert_true(nothing_left());
    }
    assert_true(n > 1024 / 6);
    vboard_destroy(b);
    assert_true(nothing_left());
}

static void test_vcpus_spread_over_the_least_loaded_cpus(void **state)
{
    struct vboard *b, *c;

    (void)state;
    b = build();
    for (u32 i = 0; i < 3; i++)
        assert_int_equal(b->vm.vcpu[i]->task.cpu, i);
    c = build();
    assert_int_equal(c->vm.vcpu[0]->task.cpu, 3);
    assert_int_equal(c->vm.vcpu[1]->task.cpu, 0);
    vboard_destroy(b);
    vboard_destroy(c);
    b = build();
    assert_int_equal(b->vm.vcpu[0]->task.cpu, 0);
    vboard_destroy(b);
}

static void test_vcpu_on_a_missing_cpu_is_an_error(void **state)
{
    struct vboard *b;

    (void)state;
    cfg.vm[0].vcpu[1] = (struct cfg_vcpu){ .cpu = 3, .prio = 9 };
    b = build();
    assert_int_equal(b->vm.vcpu[1]->task.cpu, 3);
    assert_int_equal(b->vm.vcpu[1]->task.params.prio, 9);
    vboard_destroy(b);
    cfg.vm[0].vcpu[1].cpu = 4;
    assert_int_equal(vboard_create(&cfg.vm[0], 0, fake_models, &b), K_RANGE);
    assert_true(nothing_left());
}

static void test_missing_image_or_model_is_an_error(void **state)
{
    static const struct vdev_model *const no_rtc[] = { &gic_model, &uart_model, NULL };
    struct vboard *b;

    (void)state;
    assert_int_equal(vboard_create(&cfg.vm[0], 0, no_rtc, &b), K_NOENT);
    assert_true(nothing_left());
    cfg.vm[0].initrd.data = NULL;
    assert_int_equal(vboard_create(&cfg.vm[0], 0, fake_models, &b), K_NOENT);
    assert_true(nothing_left());
}

static void test_failure_at_any_step_leaves_nothing_behind(void **state)
{
    struct vboard *b;
    u32 n = 0;

    (void)state;
    blob_string(blob, "/vms/a", "pages", "4k"); /* many tables, many steps */
    parse();
    for (;;) {
        enum kerr err;

        m.calls = 0;
        m.runs = 0;
        m.fail_at = ++n;
        err = vboard_create(&cfg.vm[0], 0, fake_models, &b);
        if (err == K_OK)
            break;
        assert_true(nothing_left());
        assert_true(n < 1000);
    }
    assert_true(n > 40); /* tables, memory, VMID, vCPUs, devices, tree */
    m.calls = 0;
    m.fail_at = 1;
    assert_int_equal(vboard_reset(b), K_NOMEM); /* room for the tree */
    vboard_destroy(b);
    assert_true(nothing_left());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_board_has_what_the_configuration_says, setup),
        cmocka_unit_test_setup(test_memory_is_mapped_in_largest_blocks, setup),
        cmocka_unit_test_setup(test_pages_property_bounds_the_blocks, setup),
        cmocka_unit_test_setup(test_a_gigabyte_is_aligned_for_the_largest_block, setup),
        cmocka_unit_test_setup(test_memory_in_pieces_appears_as_one, setup),
        cmocka_unit_test_setup(test_image_across_extents_is_whole, setup),
        cmocka_unit_test_setup(test_memory_in_crumbs_is_an_error, setup),
        cmocka_unit_test_setup(test_images_are_in_place_and_reach_memory, setup),
        cmocka_unit_test_setup(test_any_alignment_of_an_image_is_copied_right, setup),
        cmocka_unit_test_setup(test_placing_outside_memory_is_refused, setup),
        cmocka_unit_test_setup(test_firmware_is_read_only_at_0, setup),
        cmocka_unit_test_setup(test_running_starts_the_first_vcpu_alone, setup),
        cmocka_unit_test_setup(test_parked_is_when_all_are_parked_and_quiet, setup),
        cmocka_unit_test_setup(test_reset_scrubs_and_loads_anew, setup),
        cmocka_unit_test_setup(test_stolen_time_is_a_page_that_the_guest_can_only_read, setup),
        cmocka_unit_test_setup(test_stolen_time_can_be_left_out, setup),
        cmocka_unit_test_setup(test_colored_memory_is_of_the_colors_alone, setup),
        cmocka_unit_test_setup(test_colored_memory_leaves_nothing_wherever_building_fails, setup),
        cmocka_unit_test_setup(test_demand_claims_all_and_takes_what_is_loaded, setup),
        cmocka_unit_test_setup(test_overcommit_claims_nothing, setup),
        cmocka_unit_test_setup(test_demand_leaves_nothing_wherever_building_fails, setup),
        cmocka_unit_test_setup(test_vcpus_spread_over_the_least_loaded_cpus, setup),
        cmocka_unit_test_setup(test_vcpu_on_a_missing_cpu_is_an_error, setup),
        cmocka_unit_test_setup(test_missing_image_or_model_is_an_error, setup),
        cmocka_unit_test_setup(test_failure_at_any_step_leaves_nothing_behind, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
