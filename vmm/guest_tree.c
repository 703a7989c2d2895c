/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's device tree: what belongs to no device, as QEMU writes it for its virt board. The
 * models write the rest. */
#include <libfdt.h>
#include <string.h>

#include "config/guest_fdt.h"
#include "core/log.h"
#include "lib/bits.h"
#include "vmm/vboard.h"

static void chosen(struct gfdt *f, const struct vboard *b, const char *stdout_path)
{
    const struct cfg_vm *cfg = b->cfg;

    gfdt_node(f, "chosen");
    gfdt_string(f, "bootargs", cfg->bootargs ? cfg->bootargs : "");
    if (stdout_path)
        gfdt_string(f, "stdout-path", stdout_path);
    if (cfg->initrd.name) {
        gfdt_u64(f, "linux,initrd-start", b->layout.initrd.v);
        gfdt_u64(f, "linux,initrd-end", b->layout.initrd.v + cfg->initrd.size);
    }
    gfdt_end_node(f);
}

static void memory(struct gfdt *f, u64 size)
{
    gfdt_node_at(f, "memory", GUEST_RAM_BASE);
    gfdt_string(f, "device_type", "memory");
    gfdt_reg(f, (const u64[]){ GUEST_RAM_BASE, size }, 1);
    gfdt_end_node(f);
}

static void cpus(struct gfdt *f, u32 count)
{
    gfdt_node(f, "cpus");
    gfdt_u32(f, "#address-cells", 1);
    gfdt_u32(f, "#size-cells", 0);
    for (u32 i = 0; i < count; i++) {
        gfdt_node_at(f, "cpu", i);
        gfdt_string(f, "device_type", "cpu");
        gfdt_string(f, "compatible", "arm,armv8");
        gfdt_u32(f, "reg", i); /* affinity: vmm/psci.c */
        gfdt_string(f, "enable-method", "psci");
        gfdt_end_node(f);
    }
    gfdt_end_node(f);
}

static void psci(struct gfdt *f)
{
    static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2\0arm,psci";

    gfdt_node(f, "psci");
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_string(f, "method", "hvc");
    gfdt_u32(f, "cpu_suspend", 0xc4000001);
    gfdt_u32(f, "cpu_off", 0x84000002);
    gfdt_u32(f, "cpu_on", 0xc4000003);
    gfdt_u32(f, "migrate", 0xc4000005);
    gfdt_end_node(f);
}

/* Secure and non-secure physical, virtual, hypervisor timer. */
static void timer(struct gfdt *f)
{
    static const char compatible[] = "arm,armv8-timer\0arm,armv7-timer";
    static const u32 interrupts[] = {
        GFDT_PPI, 13, GFDT_LEVEL, GFDT_PPI, 14, GFDT_LEVEL,
        GFDT_PPI, 11, GFDT_LEVEL, GFDT_PPI, 10, GFDT_LEVEL,
    };

    gfdt_node(f, "timer");
    gfdt_strings(f, "compatible", compatible, sizeof(compatible));
    gfdt_u32s(f, "interrupts", interrupts, ARRAY_SIZE(interrupts));
    gfdt_empty(f, "always-on");
    gfdt_end_node(f);
}

static void pmu(struct gfdt *f)
{
    gfdt_node(f, "pmu");
    gfdt_string(f, "compatible", "arm,armv8-pmuv3");
    gfdt_interrupt(f, GFDT_PPI, 7, GFDT_LEVEL);
    gfdt_end_node(f);
}

static void clock(struct gfdt *f)
{
    gfdt_node(f, "apb-pclk");
    gfdt_string(f, "compatible", "fixed-clock");
    gfdt_u32(f, "#clock-cells", 0);
    gfdt_u32(f, "clock-frequency", 24000000);
    gfdt_string(f, "clock-output-names", "clk24mhz");
    gfdt_u32(f, "phandle", GFDT_PHANDLE_CLOCK);
    gfdt_end_node(f);
}

/* The path of the first serial port; only the finished tree says: its node is the model's to write. */
static const char *find_stdout(const void *tree, char *path, int size)
{
    static const char *const serial[] = { "arm,pl011", "ns16550a" };
    int first = -1;

    for (u32 i = 0; i < ARRAY_SIZE(serial); i++) {
        int node = fdt_node_offset_by_compatible(tree, -1, serial[i]);

        if (node >= 0 && (first < 0 || node < first))
            first = node;
    }
    return first >= 0 && fdt_get_path(tree, first, path, size) == 0 ? path : NULL;
}

static enum kerr write_tree(struct vboard *b, void *buf, size_t size, const char *stdout_path, size_t *len)
{
    struct gfdt f;
    enum kerr err;

    gfdt_begin(&f, buf, size);
    gfdt_string(&f, "compatible", "linux,dummy-virt");
    gfdt_string(&f, "model", "linux,dummy-virt");
    gfdt_u32(&f, "#address-cells", 2);
    gfdt_u32(&f, "#size-cells", 2);
    gfdt_u32(&f, "interrupt-parent", GFDT_PHANDLE_GIC);
    chosen(&f, b, stdout_path);
    memory(&f, b->cfg->mem_size);
    cpus(&f, b->vm.vcpu_count);
    psci(&f);
    timer(&f);
    if (b->vm.cpu_options.pmu)
        pmu(&f);
    clock(&f);
    for (u32 i = 0; i < b->device_count; i++)
        if (b->device[i].model->fdt)
            b->device[i].model->fdt(b->device[i].dev, &f);
    err = gfdt_finish(&f, len);
    if (err)
        log_error("vm %s: device tree: %s", b->vm.name, fdt_strerror(f.error));
    return err;
}

enum kerr vboard_write_tree(struct vboard *b, void *buf, size_t size, size_t *len)
{
    char path[80];
    enum kerr err = write_tree(b, buf, size, NULL, len);

    if (err || find_stdout(buf, path, sizeof(path)) == NULL)
        return err;
    return write_tree(b, buf, size, path, len); /* libfdt's in-place editor would need FP registers */
}
