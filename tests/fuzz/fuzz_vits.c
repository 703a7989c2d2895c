/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile guests against the virtual ITS and LPIs: commands, registers, and the tables in memory under its hands;
 * devices that signal and schedulers that switch meanwhile. The fake list registers abort on what hardware
 * forbids; here: whether the bookkeeping is consistent, and whether a guest that behaves again gets its LPIs. */
#include "irq/inject/vgic_lpis.h"
#include "tests/fuzz/fuzz_vgic.h"
#include "tests/unit/test_its_machine.h"

static void check_slot(const struct vgic_cpu *vc, u32 slot)
{
    u64 bit = BIT(slot), busy = vc->in_lr[VGIC_SLOT0 / 64] | vc->active[VGIC_SLOT0 / 64] | vc->lpi.latch;

    require(((vc->lpi_used & bit) != 0) == ((busy & bit) != 0));
    if (!(vc->lpi_used & bit))
        return;
    require(vc->lpi_intid[slot] >= VGIC_LPI_FIRST);
    for (u32 other = 0; other < slot; other++)
        require(!(vc->lpi_used >> other & 1) || vc->lpi_intid[other] != vc->lpi_intid[slot]);
}

static void check(void)
{
    for (u32 id = 0; id < m.vm.vcpu_count; id++) {
        const struct vgic_cpu *vc = vcpu(id)->vgic;

        require(count_bits(vc->in_lr) == (u32)__builtin_popcount(vc->used));
        require(count_bits(vc->active) == vc->active_count);
        require(count_bits(vc->waiting) == vc->waiting_count);
        for (u32 slot = 0; slot < VGIC_SLOTS; slot++)
            check_slot(vc, slot);
    }
}

/* Mostly where something is. */
static u64 address(struct input *in)
{
    u32 kind = byte(in);

    return kind & 0x80 ? number(in, 8)
                       : MEM_BASE + ((u64)(kind & 15) << 16) + (kind & 0x40 ? number(in, 2) : 0);
}

static u32 small(struct input *in)
{
    u32 v = byte(in);

    return v & 0x80 ? (u32)number(in, 4) : v & 0xf;
}

static u32 some_lpi(struct input *in)
{
    u32 v = byte(in);

    return v & 0x80 ? (u32)number(in, 4) : LPI0 + v;
}

static void some_command(struct input *in)
{
    u32 code = byte(in) & 0x1f, valid = byte(in);
    u64 w1 = small(in), w2 = valid & 1 ? VALID : 0;

    if (code == 0x08)
        w2 |= address(in);
    else
        w2 |= (u64)small(in) << 16 | small(in);
    if (code == 0x0a)
        w1 |= (u64)some_lpi(in) << 32;
    queue((u64)small(in) << 32 | code, w1, w2, (u64)small(in) << 16);
}

static void write_memory(struct input *in)
{
    u64 at = number(in, 3) % (MEM_SIZE - 8) & ~7UL;
    u32 kind = byte(in);

    if (kind & 1)
        memset(guest_memory + at, (int)byte(in), min_u64(number(in, 2), MEM_SIZE - at));
    else
        *mem64(at) = kind & 2 ? VALID | address(in) : number(in, 8);
}

static const unsigned sizes[] = { 1, 2, 4, 8 };

static void access_register(struct input *in, u32 id)
{
    static const u32 known[] = { 0x0, 0x80, 0x84, 0x88, 0x90, 0x100, 0x108, 0x10040 };
    u32 what = byte(in), bank = byte(in) % m.vm.vcpu_count;
    unsigned size = sizes[what >> 1 & 3];
    u32 at = what & 8 ? known[byte(in) % ARRAY_SIZE(known)] : (u32)number(in, 3) % (0x20000 - 8);

    if (what & 16) {
        static const u32 lpi[] = { 0x0, 0x70, 0x78, 0x7c };

        at = lpi[at % ARRAY_SIZE(lpi)];
        if (what & 1)
            gicr_write(id, bank, at, size, what & 32 ? address(in) | byte(in) : number(in, size));
        else
            (void)gicr_read(id, bank, at, size);
    } else if (what & 1) {
        gits_write(id, at, size, what & 32 ? VALID | address(in) | number(in, 2) : number(in, size));
    } else {
        (void)gits_read(id, at, size);
    }
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
    case 1 ... 3: some_command(in); break;
    case 4 ... 5: commit(id); break;
    case 6: gits_write(id, GITS_CWRITER, 8, number(in, 3)); break;
    case 7: write_memory(in); break;
    case 8 ... 9: access_register(in, id); break;
    case 10: vits_msi(&m.vm, small(in), small(in)); break;
    case 11: vgic_lpi_raise(vcpu(byte(in) % m.vm.vcpu_count), some_lpi(in)); break;
    case 12: host_gich_ack(true); break;
    case 13: host_gich_eoi(true, some_lpi(in)); break;
    case 14: *config(LPI0 + byte(in)) = (u8)byte(in); break;
    default: (void)virq_pending(vcpu(id)); break;
    }
    if ((op & 0xef) == 0xef)
        require(vgic_timing_set(&m.vm, op & 16) == K_OK);
}

#define PROBE (LPI0 + 200)

/* Where hardware takes LPIs for active, those of before may be in all list registers. */
static void end_all(u32 id)
{
    while (ack(id, true) != HOST_SPURIOUS)
        host_gich()->ap1r = 0;
    for (u32 n = 0; n < 2 * VGIC_SLOTS; n++) {
        u32 left = vcpu(id)->vgic->used;

        host_gich()->ap1r = 1;
        eoi(id, true, left ? LR_GET_VINTID(arch_lr_read(ctz64(left))) : PROBE);
        settle();
    }
    on_cpu_of(id);
    host_gich()->ap1r = 0;
}

/* A guest that starts afresh, without a reset. */
static void recover(void)
{
    for (u32 id = 0; id < m.vm.vcpu_count; id++)
        if (m.cpu[id] != NOWHERE)
            stop(id);
    for (u32 id = 0; id < m.vm.vcpu_count; id++) {
        start(id, id);
        host_gich()->vmcr = VMCR_ALL;
        host_gich()->ap0r = host_gich()->ap1r = 0;
        lpis_on(id, id, false);
        end_all(id);
    }
    gits_write(0, GITS_CTLR, 4, 0);
    settle();
    memset(guest_memory, 0, MEM_SIZE);
    queue_end = 0;
    its_set_up();
    *config(PROBE) = 0x83;
    mapd(77, ITTS, 5, true);
    mapti(77, 30, PROBE, 0);
    inv(77, 30);
    int_(77, 30);
    require(ack(0, true) == PROBE);
    eoi(0, true, PROBE);
    settle();
    require(ack(0, true) == HOST_SPURIOUS);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u32 lrs[] = { 1, 2, 4, 16 };
    struct input in = { data, data + size };
    u32 shape = byte(&in);

    its_machine_make(1 + shape % 4, lrs[shape / 4 % 4]);
    if (shape & 16)
        host_gich_lpis_active();
    if (shape & 32) {
        its_set_up();
        memset(guest_memory + CONFIG, 0x83, 256);
        for (u32 d = 0; d < 4; d++)
            mapd(d, ITTS + d * 0x1000UL, 8, true);
    }
    for (u32 n = 0; n < 300 && in.at < in.end; n++) {
        step(&in);
        settle();
        check();
    }
    recover();
    its_machine_end();
    return 0;
}
