/* SPDX-License-Identifier: Apache-2.0 */
/* The vGIC against a model of the specification that knows no list registers: random guests, devices and
 * schedulers; after each step both must signal, acknowledge and show the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_vgic_machine.h"

#define SPIS 64U
#define INTIDS (32U + SPIS)
#define IDLE_PRIORITY 0x100U

/* --- the model --- */

struct model_irq {
    bool enabled, group1, edge, latch, line, active;
    u8 priority, target;
};

static struct {
    u32 vcpus;
    u32 groups; /* GICD_CTLR */
    struct model_irq private[VM_MAX_VCPUS][32];
    struct model_irq spi[INTIDS];
    u64 vmcr[VM_MAX_VCPUS];
    /* Acknowledged, priority not dropped: INTID | group << 16 | priority << 24. */
    u32 stack[VM_MAX_VCPUS][64];
    u32 depth[VM_MAX_VCPUS];
} model;

static struct model_irq *irq(u32 id, u32 intid)
{
    return intid < 32 ? &model.private[id][intid] : &model.spi[intid];
}

static bool model_pending(const struct model_irq *q) { return q->latch || (q->line && !q->edge); }

static bool deliverable(u32 id, u32 intid)
{
    const struct model_irq *q = irq(id, intid);

    return model_pending(q) && !q->active && q->enabled && (model.groups >> q->group1 & 1) &&
           (intid < 32 || q->target == id) && (model.vmcr[id] & (q->group1 ? VMCR_VENG1 : VMCR_VENG0));
}

static u32 best_priority(u32 id)
{
    u32 best = IDLE_PRIORITY;

    for (u32 i = 0; i < INTIDS; i++)
        if (deliverable(id, i) && irq(id, i)->priority < best)
            best = irq(id, i)->priority;
    return best;
}

static u32 running(u32 id)
{
    return model.depth[id] ? model.stack[id][model.depth[id] - 1] >> 24 : IDLE_PRIORITY;
}

/* Whether one of the best ones may be of that group: both groups where priorities are equal. */
static bool may_signal(u32 id, bool group1)
{
    u32 best = best_priority(id);

    if (best >= VMCR_VPMR(model.vmcr[id]) || best >= running(id))
        return false;
    for (u32 i = 0; i < INTIDS; i++)
        if (deliverable(id, i) && irq(id, i)->priority == best && irq(id, i)->group1 == group1)
            return true;
    return false;
}

/* --- both sides --- */

static u32 seed;

static u32 rnd(u32 n)
{
    seed = seed * 1664525 + 1013904223;
    return (u32)((u64)(seed >> 8) * n >> 24);
}

static void compare_signals(u32 id)
{
    bool g0, g1;
    struct vcpu *v = vcpu(id);

    on_cpu_of(id);
    g0 = host_gich_signals(false);
    g1 = host_gich_signals(true);
    if (g0 || g1) {
        assert_true(may_signal(id, g1));
    } else {
        assert_false(may_signal(id, false));
        assert_false(may_signal(id, true));
    }
    if (rnd(8) == 0) /* not always: it also tidies up */
        assert_int_equal(virq_pending(v), best_priority(id) < VMCR_VPMR(model.vmcr[id]));
}

static void compare_registers(u32 id)
{
    for (u32 bank = 0; bank < model.vcpus; bank++) {
        for (u32 i = bank == 0 ? 0 : 31; i < INTIDS && (bank == 0 || i < 32); i++) {
            const struct model_irq *q = irq(bank, i);

            if (i != TIMER) /* whose line hardware alone knows */
                assert_int_equal(bit_read(id, bank, ISPENDR, i), model_pending(q));
            assert_int_equal(bit_read(id, bank, ICACTIVER, i), q->active);
            assert_int_equal(bit_read(id, bank, ICENABLER, i), q->enabled);
        }
    }
}

static void do_ack(u32 id)
{
    bool group1 = rnd(2);
    u32 intid;
    struct model_irq *q;

    on_cpu_of(id);
    if (!host_gich_signals(group1) || model.depth[id] == 32)
        return;
    intid = ack(id, group1);
    assert_true(intid < INTIDS);
    q = irq(id, intid);
    assert_true(deliverable(id, intid));
    assert_int_equal(q->priority, best_priority(id));
    assert_int_equal(q->group1, group1);
    q->latch = false;
    q->active = true;
    model.stack[id][model.depth[id]++] = intid | (u32)group1 << 16 | (u32)q->priority << 24;
}

static void do_eoi(u32 id)
{
    u32 top;

    if (model.depth[id] == 0)
        return;
    top = model.stack[id][--model.depth[id]];
    eoi(id, top >> 16 & 1, top & 0xffff);
    if (!(model.vmcr[id] & VMCR_VEOIM))
        irq(id, top & 0xffff)->active = false;
}

static bool on_a_stack(u32 bank, u32 intid)
{
    for (u32 id = 0; id < model.vcpus; id++)
        for (u32 i = 0; i < model.depth[id]; i++)
            if ((model.stack[id][i] & 0xffff) == intid && (intid >= 32 || id == bank))
                return true;
    return false;
}

static void move_line(u32 bank, u32 intid, bool level)
{
    struct model_irq *q = irq(bank, intid);

    if (level && !q->line && q->edge)
        q->latch = true;
    q->line = level;
    if (intid < 32)
        vgic_ppi_level(vcpu(bank), intid, level);
    else
        vgic_spi_level(&m.vm, intid, level);
}

/* Register writes of vCPU id. `exact`: the guest may also do what makes an EOI that finds no list register
 * ambiguous. */
static void do_register(u32 id, bool exact)
{
    u32 intid = rnd(INTIDS), bank = rnd(model.vcpus);
    struct model_irq *q = irq(bank, intid);

    switch (rnd(12)) {
    case 0 ... 3:
        bit_write(id, bank, ISENABLER, intid);
        q->enabled = true;
        break;
    case 4:
        bit_write(id, bank, ICENABLER, intid);
        q->enabled = false;
        break;
    case 5:
        if (intid == TIMER)
            break;
        bit_write(id, bank, ISPENDR, intid);
        q->latch = true;
        break;
    case 6:
        if (intid == TIMER)
            break;
        bit_write(id, bank, ICPENDR, intid);
        q->latch = false;
        break;
    case 7:
        if (!exact || intid == TIMER || q->active)
            break;
        bit_write(id, bank, ISACTIVER, intid);
        q->active = true;
        break;
    case 8:
        if (!exact || on_a_stack(bank, intid))
            break;
        bit_write(id, bank, ICACTIVER, intid);
        q->active = false;
        break;
    case 9:
        if (q->active) /* whose priority changes then is not defined */
            break;
        q->priority = (u8)(rnd(8) * 8);
        priority_write(id, bank, intid, q->priority | 3);
        break;
    case 10:
        if (intid < 32)
            break;
        q->target = (u8)rnd(model.vcpus + 1);
        gicd_write(id, 0x6000 + 8 * intid, 8, q->target);
        break;
    case 11:
        if (q->active)
            break;
        q->group1 = !q->group1;
        if (intid < 32)
            gicr_write(id, bank, 0x10080, 4, gicr_read(id, bank, 0x10080, 4) ^ 1U << intid);
        else
            gicd_write(id, IGROUPR + intid / 32 * 4, 4,
                       gicd_read(id, IGROUPR + intid / 32 * 4, 4) ^ 1U << intid % 32);
        break;
    }
}

static void do_device(void)
{
    u32 intid = 16 + rnd(INTIDS - 16), bank = rnd(model.vcpus);

    if (intid == TIMER) {
        /* The timer falls in its handler only: hardware does not retract what it has handed over. */
        if (!m.timer_line[bank] || irq(bank, TIMER)->active) {
            m.timer_line[bank] = !m.timer_line[bank];
            irq(bank, TIMER)->line = m.timer_line[bank];
        }
    } else if (intid >= 32 && rnd(4) == 0) {
        irq(bank, intid)->latch = true;
        vgic_spi_pulse(&m.vm, intid);
    } else {
        move_line(bank, intid, rnd(2));
    }
}

static void do_interface(u32 id)
{
    u64 change = 0;

    switch (rnd(6)) {
    case 0: change = VMCR_VENG0; break;
    case 1: change = VMCR_VENG1; break;
    case 2: change = (model.vmcr[id] ^ (u64)(rnd(3) ? 31 : rnd(9)) << 27) & 0xf8000000; break;
    default: /* mostly both groups on */ change = ~model.vmcr[id] & (VMCR_VENG0 | VMCR_VENG1); break;
    }
    model.vmcr[id] ^= change;
    on_cpu_of(id);
    host_gich()->vmcr = model.vmcr[id];
}

static void do_groups(u32 id)
{
    model.groups = rnd(4) ? 3 : rnd(4);
    gicd_write(id, 0, 4, model.groups);
}

static void do_sgi(u32 id)
{
    u32 intid = rnd(16), targets = rnd(1U << model.vcpus);
    bool all = rnd(8) == 0;

    on_cpu_of(id);
    guest_sgi(vcpu(id), SGI_REG_SGI1R, (u64)intid << 24 | targets | (all ? BIT(40) : 0));
    for (u32 t = 0; t < model.vcpus; t++)
        if (all ? t != id : (targets >> t & 1) != 0)
            irq(t, intid)->latch = true;
}

/* With EOImode 1, any vCPU may deactivate any SPI; private ones are their own vCPU's. */
static void do_dir(u32 id)
{
    u32 intid = rnd(INTIDS);

    if (!(model.vmcr[id] & VMCR_VEOIM) || on_a_stack(id, intid) || !irq(id, intid)->active)
        return;
    dir(id, intid);
    irq(id, intid)->active = false;
}

/* vCPUs move between CPUs; some CPU may have none. */
static void do_schedule(void)
{
    u32 id = rnd(model.vcpus), cpu = rnd(model.vcpus);

    if (m.cpu[id] != NOWHERE) {
        stop(id);
        if (rnd(2))
            return;
    }
    for (u32 other = 0; other < model.vcpus; other++)
        if (m.cpu[other] == cpu)
            stop(other);
    start(id, cpu);
}

static void run(u32 vcpus, u32 lrs, bool eoi_mode1, u32 steps)
{
    memset(&model, 0, sizeof(model));
    machine_make(vcpus, SPIS, lrs);
    model.vcpus = vcpus;
    for (u32 id = 0; id < vcpus; id++) {
        for (u32 i = 0; i < 16; i++)
            model.private[id][i].edge = true;
        model.vmcr[id] = VMCR_ALL | (eoi_mode1 ? VMCR_VEOIM : 0);
        on_cpu_of(id);
        host_gich()->vmcr = model.vmcr[id];
    }
    for (u32 i = 48; i < INTIDS; i++)
        model.spi[i].edge = true;
    for (u32 reg = 3; reg < INTIDS / 16; reg++)
        gicd_write(0, 0xc00 + 4 * reg, 4, 0xaaaaaaaa);

    for (u32 step = 0; step < steps; step++) {
        u32 id = rnd(vcpus), busy = step / 1000 % 4; /* phases: from idle to all at once */

        if (m.cpu[id] == NOWHERE) {
            do_schedule();
            settle();
            continue;
        }
        switch (rnd(24)) {
        case 0 ... 5: do_ack(id); break;
        case 6 ... 10: do_eoi(id); break;
        case 11 ... 12: do_register(id, eoi_mode1); break;
        case 13 ... 15:
            if (rnd(4) <= busy)
                do_device();
            break;
        case 16: do_interface(id); break;
        case 17:
            if (rnd(8) == 0)
                do_groups(id);
            break;
        case 18 ... 19: do_sgi(id); break;
        case 20 ... 22: do_dir(id); break;
        default: do_schedule(); break;
        }
        settle();
        for (u32 other = 0; other < vcpus; other++)
            if (m.cpu[other] != NOWHERE)
                compare_signals(other);
        if (step % 64 == 0 && m.cpu[id] != NOWHERE) {
            compare_registers(id);
            settle();
        }
    }
    machine_end();
}

static void run_all(u32 lrs, u32 steps)
{
    for (u32 vcpus = 1; vcpus <= 4; vcpus++) {
        run(vcpus, lrs, false, steps);
        run(vcpus, lrs, true, steps);
    }
}

static void test_one_list_register_agrees_with_the_specification(void **state)
{
    (void)state;
    run_all(1, 12000);
}

static void test_two_list_registers_agree_with_the_specification(void **state)
{
    (void)state;
    run_all(2, 12000);
}

static void test_four_list_registers_agree_with_the_specification(void **state)
{
    (void)state;
    run_all(4, 12000);
}

static void test_sixteen_list_registers_agree_with_the_specification(void **state)
{
    (void)state;
    run_all(16, 12000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_list_register_agrees_with_the_specification),
        cmocka_unit_test(test_two_list_registers_agree_with_the_specification),
        cmocka_unit_test(test_four_list_registers_agree_with_the_specification),
        cmocka_unit_test(test_sixteen_list_registers_agree_with_the_specification),
    };

    seed = argc > 1 ? (u32)atoi(argv[1]) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
