/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile guests, devices and schedulers against the vGIC: register accesses of any width at any offset, any
 * ICC_* access, lines, switches. The fake list registers abort on what hardware forbids; here: whether
 * the bookkeeping is consistent after each step, and whether all is delivered in the end. */
#include "tests/fuzz/fuzz_vgic.h"

static void check_cpu(const struct vgic_cpu *vc)
{
    const struct vgic *g = vc->vgic;

    require((vc->used & ~vc->lr_mask) == 0);
    require(count_bits(vc->in_lr) == (u32)__builtin_popcount(vc->used));
    require(count_bits(vc->active) == vc->active_count);
    require(count_bits(vc->waiting) == vc->waiting_count);
    for (u32 left = vc->used; left != 0; left &= left - 1) {
        u32 intid = vc->lr_intid[ctz64(left)];

        require((intid < g->intid_end || intid >= VGIC_SLOT0) && (vc->in_lr[intid / 64] & vgic_bit(intid)));
        require(!(vc->active[intid / 64] & vgic_bit(intid)));
    }
    for (u32 intid = VGIC_PRIVATE; intid < g->intid_end; intid++) {
        bool held = ((vc->in_lr[intid / 64] | vc->active[intid / 64]) & vgic_bit(intid)) != 0;

        require(held == (g->holder[intid] == vc->id + 1));
    }
}

static void check(void)
{
    for (u32 id = 0; id < m.vm.vcpu_count; id++)
        check_cpu(vcpu(id)->vgic);
    settle(); /* the checks' own selection of CPUs aside, nothing may be left to do */
}

static const unsigned sizes[] = { 1, 2, 4, 8 };

/* Often where something is: first bytes of a page, or an element of an array. */
static u32 offset(struct input *in, u32 window)
{
    u32 kind = byte(in), value = (u32)number(in, 2);

    return kind & 1 ? value % 0x1000 % window
                    : (kind & 2 ? 0x10000 + value % 0x1000 : value | kind << 14) % window;
}

static void access_register(struct input *in, u32 id)
{
    unsigned size = sizes[byte(in) % 4];
    u32 what = byte(in), bank = byte(in) % m.vm.vcpu_count;

    if (what & 1) {
        u32 at = offset(in, 0x20000 - 8);

        if (what & 2)
            gicr_write(id, bank, at, size, number(in, size));
        else
            (void)gicr_read(id, bank, at, size);
    } else {
        u32 at = offset(in, 0x10000 - 8);

        if (what & 2)
            gicd_write(id, at, size, number(in, size));
        else
            (void)gicd_read(id, at, size);
    }
}

/* Off, as PSCI does it; and its standing with the scheduler, which SPIs for any vCPU go by. */
static void power(struct input *in, u32 id)
{
    u32 how = byte(in);

    vcpu(id)->task.state = how % 3;
    if (!(how & 128))
        return;
    __atomic_store_n(&vcpu(id)->power, VCPU_OFF, __ATOMIC_SEQ_CST);
    virq_off(vcpu(id));
    stop(id);
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
    case 1 ... 4: access_register(in, id); break;
    case 5: guest_sgi(vcpu(id), (enum sgi_reg)(byte(in) % 3), number(in, 7)); break;
    case 6: vgic_spi_level(&m.vm, (u32)number(in, 2), op & 16); break;
    case 7: vgic_spi_pulse(&m.vm, (u32)number(in, 2)); break;
    case 8: vgic_ppi_level(vcpu(byte(in) % m.vm.vcpu_count), byte(in), op & 16); break;
    case 9: m.timer_line[id] = op & 16; break;
    case 10 ... 11: host_gich_ack(op & 16); break;
    case 12: host_gich_eoi(op & 16, (u32)number(in, 2)); break;
    case 13: dir(id, (u32)number(in, 3)); break;
    case 14: host_gich()->vmcr = number(in, 4); break;
    case 15:
        if (op & 16) {
            power(in, id);
            break;
        }
        (void)virq_pending(vcpu(id));
        break;
    default: break;
    }
    if ((op & 0xef) == 0xef)
        require(vgic_timing_set(&m.vm, op & 16) == K_OK);
}

/* A guest that behaves now must get all that is pending, and then nothing. */
static void drain(void)
{
    u32 n = m.vm.vcpu_count, end = vgic_intid_end(&m.vm);

    for (u32 id = 0; id < n; id++) {
        if (m.cpu[id] != NOWHERE)
            stop(id);
        m.timer_line[id] = false;
    }
    for (u32 id = 0; id < n; id++) {
        vcpu(id)->power = VCPU_ON;
        start(id, id);
        host_gich()->vmcr = VMCR_ALL;
        host_gich()->ap0r = host_gich()->ap1r = 0;
        for (u32 i = 16; i < 32; i++)
            vgic_ppi_level(vcpu(id), i, false);
    }
    gicd_write(0, 0, 4, 3);
    for (u32 id = 0; id < n; id++) {
        gicr_write(id, id, 0x10000 + ICACTIVER, 4, 0xffffffff);
        gicr_write(id, id, 0x10000 + ISENABLER, 4, 0xffffffff);
        for (u32 i = 0; i < 32; i++)
            priority_write(id, id, i, 0x40);
    }
    for (u32 i = 32; i < end; i++) {
        vgic_spi_level(&m.vm, i, false);
        bit_write(0, 0, ICACTIVER, i);
        bit_write(0, 0, ISENABLER, i);
        priority_write(0, 0, i, 0x40);
        gicd_write(0, 0x6000 + 8 * i, 8, i % n);
    }
    for (u32 idle = 0, turn = 0; idle < n; turn++) {
        u32 id = turn % n;
        bool group1;
        u32 intid;

        require(turn < 8 * 1100);
        settle();
        on_cpu_of(id);
        group1 = host_gich_signals(true);
        intid = ack(id, group1);
        idle = intid == HOST_SPURIOUS ? idle + 1 : 0;
        if (intid != HOST_SPURIOUS)
            eoi(id, group1, intid);
    }
    for (u32 id = 0; id < n; id++) {
        require(gicr_read(id, id, 0x10000 + ISPENDR, 4) == 0);
        require(gicr_read(id, id, 0x10000 + ISACTIVER, 4) == 0);
    }
    for (u32 i = 32; i < end; i += 32) {
        require(gicd_read(0, ISPENDR + i / 8, 4) == 0);
        require(gicd_read(0, ISACTIVER + i / 8, 4) == 0);
    }
}

/* Half of all runs begin where a guest has set its interrupts up. */
static void set_up(void)
{
    gicd_write(0, 0, 4, 3);
    for (u32 id = 0; id < m.vm.vcpu_count; id++) {
        gicr_write(id, id, 0x10000 + ISENABLER, 4, 0xffffffff);
        host_gich()->vmcr = VMCR_ALL;
    }
    for (u32 i = 32; i < vgic_intid_end(&m.vm); i += 32) {
        gicd_write(0, ISENABLER + i / 8, 4, 0xffffffff);
        gicd_write(0, IGROUPR + i / 8, 4, 0x55555555);
    }
    for (u32 i = 32; i < vgic_intid_end(&m.vm); i++) {
        gicd_write(0, 0x6000 + 8 * i, 4, i % 3 == 2 ? BIT(31) : i % m.vm.vcpu_count);
        priority_write(0, 0, i, (u8)(i * 24));
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u32 lrs[] = { 1, 2, 4, 16 };
    struct input in = { data, data + size };
    u32 shape = byte(&in);

    machine_make(1 + shape % 4, shape & 16 ? 988 : 64, lrs[shape / 4 % 4]);
    if (shape & 32)
        set_up();
    for (u32 n = 0; n < 400 && in.at < in.end; n++) {
        step(&in);
        settle();
        check();
    }
    drain();
    machine_end();
    return 0;
}
