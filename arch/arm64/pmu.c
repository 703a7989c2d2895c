/* SPDX-License-Identifier: Apache-2.0 */
/* Performance monitors (DDI 0487 D13). A guest's accesses trap until its first, which puts the vCPU's
 * registers into the CPU; from then on they are the CPU's own, without exits. A vCPU whose PMU neither counts
 * nor has an interrupt to show when it is switched out gives it up, and its next access traps again: so only a
 * guest that measures pays on a switch.
 *
 * Nothing counts at EL2: what Keel does for a guest is not in its counters. MDCR_EL2.HPMD and HCCD say so to a
 * PMU that has them. An older one would listen to NSH in the guest's filters, which no guest needs: see docs/cpu.md. */
#include "arch/arm64/pmu.h"

#include "arch/arm64/arm64.h"
#include "arch/cost.h"
#include "arch/guest_events.h"
#include "core/vm.h"

#include <asm/sysreg.h>

#define PMUVER_V3P1 4U
#define PMUVER_V3P5 6U
#define PMUVER_V3P8 8U

#define PMCR_E BIT(0)
#define PMCR_P BIT(1)
#define PMCR_C BIT(2)
#define PMCR_N(pmcr) ((u32)FIELD_GET(pmcr, 15, 11))
#define FILTER_P BIT(31)
#define FILTER_U BIT(30)
#define FILTER_NSH BIT(27)
#define EVENT_INST_RETIRED 0x08U
#define ALL_COUNTERS 0xffffffffUL

/* clang-format off */
#define EACH_COUNTER(X)                                                                                     \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)                   \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30)
/* clang-format on */

RO_AFTER_INIT u32 irq_pmu;
static RO_AFTER_INIT bool counts; /* for Keel itself */

static u32 version(void)
{
    u32 v = (u32)FIELD_GET(sysreg_read(id_aa64dfr0_el1), 11, 8);

    return v == 0xf ? 0 : v; /* implementation defined */
}

/* PMUv3p9 has registers beyond those that are switched here, and no trap of their own for them. */
void pmu_init(u32 ppi, bool count)
{
    u32 v = version();

    counts = count && v != 0 && (sysreg_read(pmceid0_el0) & BIT(EVENT_INST_RETIRED)) != 0;
    irq_pmu = !counts && v != 0 && v <= PMUVER_V3P8 && ppi >= 16 && ppi < 32 ? ppi : 0;
}

bool pmu_present(void) { return irq_pmu != 0; }

static void silence(void)
{
    sysreg_write(pmcr_el0, 0);
    sysreg_write(pmcntenclr_el0, ALL_COUNTERS);
    sysreg_write(pmintenclr_el1, ALL_COUNTERS);
    sysreg_write(pmovsclr_el0, ALL_COUNTERS);
    sysreg_write(pmuserenr_el0, 0);
    isb();
}

static void count_instructions(void)
{
    sysreg_write(pmevtyper0_el0, EVENT_INST_RETIRED);
    sysreg_write(pmevtyper1_el0, EVENT_INST_RETIRED | FILTER_P | FILTER_U | FILTER_NSH);
    sysreg_write(pmevcntr0_el0, 0);
    sysreg_write(pmevcntr1_el0, 0);
    sysreg_write(pmcntenset_el0, BIT(0) | BIT(1));
    sysreg_write(pmcr_el0, PMCR_E);
}

bool arch_cost_read(struct arch_cost *c)
{
    if (!counts)
        return false;
    c->guest = (u32)sysreg_read(pmevcntr0_el0);
    c->keel = (u32)sysreg_read(pmevcntr1_el0);
    return true;
}

/* HPMN as large as the PMU: the counters are the guests', or all Keel's. */
u64 pmu_cpu_init(void)
{
    u32 v = version();

    if (v == 0)
        return 0;
    silence();
    if (counts) {
        count_instructions();
        return PMCR_N(sysreg_read(pmcr_el0));
    }
    return PMCR_N(sysreg_read(pmcr_el0)) | (v >= PMUVER_V3P1 ? MDCR_HPMD : 0) |
           (v >= PMUVER_V3P5 ? MDCR_HCCD : 0);
}

/* Registers that MDCR_EL2.TPM traps: CRn 9 with CRm 12 to 14, CRn 14 with CRm 8 to 15. */
static bool is_pmu(u32 reg)
{
    u32 op1 = (u32)FIELD_GET(reg, 16, 14), crn = (u32)FIELD_GET(reg, 13, 10), crm = (u32)FIELD_GET(reg, 4, 1);

    if (FIELD_GET(reg, 21, 20) != 3)
        return false;
    if (crn == 9)
        return (op1 == 3 && crm >= 12 && crm <= 14) || (op1 == 0 && crm == 14);
    return op1 == 3 && crn == 14 && crm >= 8;
}

bool pmu_trap(struct vcpu *v, u32 iss)
{
    if (!v->vm->cpu_options.pmu || (v->arch.extras & EXTRA_PMU) != 0 || !is_pmu(iss & ISS_SYSREG_MASK))
        return false;
    v->arch.extras |= EXTRA_PMU;
    pmu_load(v);
    return true;
}

static u32 counters(void) { return (u32)this_cpu()->arch.mdcr & MDCR_HPMN_MASK; }

/* The filters first, the enables last: nothing counts by another's rule. */
void pmu_load(struct vcpu *v)
{
    const struct pmu_state *s = &v->arch.pmu;
    u32 n = counters();

    sysreg_write(pmccfiltr_el0, s->ccfiltr);
    sysreg_write(pmccntr_el0, s->ccntr);
#define X(i)                                                                                                 \
    if (n > i) {                                                                                             \
        sysreg_write(pmevtyper##i##_el0, s->typer[i]);                                                       \
        sysreg_write(pmevcntr##i##_el0, s->counter[i]);                                                      \
    }
    EACH_COUNTER(X)
#undef X
    sysreg_write(pmselr_el0, s->selr);
    sysreg_write(pmovsset_el0, s->overflow);
    sysreg_write(pmintenset_el1, s->interrupt);
    sysreg_write(pmcntenset_el0, s->enabled);
    sysreg_write(pmuserenr_el0, s->userenr);
    sysreg_write(mdcr_el2, this_cpu()->arch.mdcr | (MDCR_GUEST & ~(MDCR_TPM | MDCR_TPMCR)));
    isb();
    sysreg_write(pmcr_el0, s->cr);
}

static bool line_is_up(const struct pmu_state *s)
{
    return (s->cr & PMCR_E) != 0 && (s->overflow & s->interrupt) != 0;
}

void pmu_unload(struct vcpu *v)
{
    struct pmu_state *s = &v->arch.pmu;
    u32 n = counters();

    s->cr = sysreg_read(pmcr_el0) & ~(PMCR_P | PMCR_C);
    sysreg_write(pmcr_el0, s->cr & ~PMCR_E);
    isb();
    s->overflow = sysreg_read(pmovsset_el0);
    s->interrupt = sysreg_read(pmintenset_el1);
    s->enabled = sysreg_read(pmcntenset_el0);
    s->userenr = sysreg_read(pmuserenr_el0);
    s->selr = sysreg_read(pmselr_el0);
    s->ccfiltr = sysreg_read(pmccfiltr_el0) & ~FILTER_NSH;
    s->ccntr = sysreg_read(pmccntr_el0);
#define X(i)                                                                                                 \
    if (n > i) {                                                                                             \
        s->typer[i] = sysreg_read(pmevtyper##i##_el0) & ~FILTER_NSH;                                         \
        s->counter[i] = sysreg_read(pmevcntr##i##_el0);                                                      \
    }
    EACH_COUNTER(X)
#undef X
    silence();
    if (line_is_up(s)) /* since interrupts were masked here */
        guest_pmu_due(v, irq_pmu);
    else if (((s->cr & PMCR_E) == 0 || s->enabled == 0) && s->userenr == 0)
        v->arch.extras &= ~(u32)EXTRA_PMU;
}
