/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile guests against the GICv2: distributor accesses of any width at any offset, any GICV_* access, lines and
 * switches. The fake list registers abort on what hardware forbids; here: whether all is delivered in the end,
 * once for each sender. */
#include "tests/fuzz/fuzz_vgic.h"

enum { ITARGETSR = 0x800, SGIR = 0xf00, SPENDSGIR = 0xf20 };

static void write_reg(u32 id, u32 offset, unsigned size, u64 value)
{
    on_cpu_of(id);
    reg_write(&gicd_v2_regs, &m.vm, vcpu(id), offset, size, value);
}

static u64 read_reg(u32 id, u32 offset, unsigned size)
{
    on_cpu_of(id);
    return reg_read(&gicd_v2_regs, &m.vm, vcpu(id), offset, size);
}

static void access_register(struct input *in, u32 id)
{
    unsigned size = 1U << byte(in) % 4;
    u32 what = byte(in), offset = (u32)number(in, 2) % (what & 2 ? 0x1000 : 0x10000 - 8);

    if (what & 4) /* often where SGIs are */
        offset = 0xf00 + offset % 0x30;
    if (what & 1)
        write_reg(id, offset, size, number(in, size));
    else
        (void)read_reg(id, offset, size);
}

static void step(struct input *in)
{
    u32 op = byte(in), id = byte(in) % m.vm.vcpu_count;

    if (op % 16 == 0 || m.cpu[id] == NOWHERE) {
        place(in, id);
        return;
    }
    on_cpu_of(id);
    switch (op % 16) {
    case 1 ... 5: access_register(in, id); break;
    case 6: vgic_spi_level(&m.vm, (u32)number(in, 2), op & 16); break;
    case 7: vgic_spi_pulse(&m.vm, (u32)number(in, 2)); break;
    case 8: vgic_ppi_level(vcpu(byte(in) % m.vm.vcpu_count), byte(in), op & 16); break;
    case 9: m.timer_line[id] = op & 16; break;
    case 10 ... 11: host_gich_ack(op & 16); break;
    case 12: host_gich_eoi(op & 16, (u32)number(in, 2)); break;
    case 13: guest_icc_dir(vcpu(id), number(in, 2) & 0x3ff); break;
    case 14: host_gich()->vmcr = number(in, 4); break;
    default: (void)virq_pending(vcpu(id)); break;
    }
    if ((op & 0xef) == 0xef)
        require(vgic_timing_set(&m.vm, op & 16) == K_OK);
}

/* What is in no list register waits in the shared state, with a sender for each latch that has some. */
static void check(void)
{
    for (u32 id = 0; id < m.vm.vcpu_count; id++) {
        struct vgic_cpu *vc = vcpu(id)->vgic;

        for (u32 sgi = 0; sgi < VGIC_SGIS; sgi++) {
            require(vc->sgi_from[sgi] >> m.vm.vcpu_count == 0);
            require(vc->sgi_from[sgi] == 0 || (vc->private.latch >> sgi & 1));
        }
    }
}

static u32 quiet(void)
{
    u32 end = vgic_intid_end(&m.vm), n = m.vm.vcpu_count;

    for (u32 id = 0; id < n; id++) {
        if (m.cpu[id] != NOWHERE)
            stop(id);
        m.timer_line[id] = false;
    }
    for (u32 id = 0; id < n; id++) {
        start(id, id);
        host_gich()->vmcr = VMCR_ALL;
        host_gich()->ap0r = host_gich()->ap1r = 0;
        for (u32 i = 16; i < 32; i++)
            vgic_ppi_level(vcpu(id), i, false);
    }
    write_reg(0, 0, 4, 3);
    for (u32 id = 0; id < n; id++) {
        write_reg(id, ICACTIVER, 4, ~0U);
        write_reg(id, ISENABLER, 4, ~0U);
        for (u32 i = 0; i < 32; i++)
            write_reg(id, 0x400 + i, 1, 0x40);
    }
    for (u32 i = 32; i < end; i++) {
        vgic_spi_level(&m.vm, i, false);
        write_reg(0, ICACTIVER + i / 32 * 4, 4, 1U << i % 32);
        write_reg(0, ISENABLER + i / 32 * 4, 4, 1U << i % 32);
        write_reg(0, 0x400 + i, 1, 0x40);
        write_reg(0, ITARGETSR + i, 1, 1U << i % n);
    }
    return n;
}

/* A guest that behaves now must get all that is pending, and then nothing. */
static void drain(void)
{
    u32 n = quiet();

    for (u32 idle = 0, turn = 0; idle < n; turn++) {
        u32 id = turn % n, intid;
        bool group1;

        require(turn < 8 * 1100);
        settle();
        on_cpu_of(id);
        group1 = host_gich_signals(true);
        intid = ack(id, group1);
        idle = intid == HOST_SPURIOUS ? idle + 1 : 0;
        if (intid == HOST_SPURIOUS)
            continue;
        require((intid & 0x3ff) < 16 || intid >> 10 == 0);
        require(intid >> 10 < n);
        eoi(id, group1, intid);
    }
    for (u32 id = 0; id < n; id++) {
        for (u32 at = 0; at < 16; at += 4)
            require(read_reg(id, SPENDSGIR + at, 4) == 0);
        for (u32 i = 0; i < vgic_intid_end(&m.vm); i += 32) {
            require(read_reg(id, ISPENDR + i / 8, 4) == 0);
            require(read_reg(id, ISACTIVER + i / 8, 4) == 0);
        }
    }
}

/* From every sender to every vCPU: each arrives exactly once. */
static void all_to_all(void)
{
    u32 n = m.vm.vcpu_count, left[VM_MAX_VCPUS][VM_MAX_VCPUS];

    for (u32 id = 0; id < n; id++) {
        write_reg(id, SGIR, 4, ((u32)BIT(n) - 1) << 16 | 9);
        for (u32 from = 0; from < n; from++)
            left[id][from] = 1;
    }
    for (u32 turn = 0; turn < n * n; turn++) {
        u32 id = turn % n, iar;
        bool group1;

        settle();
        on_cpu_of(id);
        group1 = host_gich_signals(true);
        iar = ack(id, group1);
        require((iar & 0x3ff) == 9 && left[id][iar >> 10]-- == 1);
        eoi(id, group1, iar);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u32 lrs[] = { 1, 2, 4, 16 };
    struct input in = { data, data + size };
    u32 shape = byte(&in);

    host_gic_is_v2 = true;
    machine_make(1 + shape % 4, shape & 16 ? 988 : 64, lrs[shape / 4 % 4]);
    if (shape & 32)
        (void)quiet();
    for (u32 n = 0; n < 400 && in.at < in.end; n++) {
        step(&in);
        settle();
        check();
    }
    drain();
    all_to_all();
    machine_end();
    return 0;
}
