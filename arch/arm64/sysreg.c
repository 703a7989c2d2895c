/* SPDX-License-Identifier: Apache-2.0 */
/* Trapped system registers: one const table. What is not in it is undefined for
 * the guest. */
#include "arch/arm64/arm64.h"
#include "arch/arm64/debug.h"
#include "arch/guest_events.h"

#include <asm/sysreg.h>

#define CRM_FIELD 0x1eU

struct trapped {
    u32 reg, last;                                     /* encodings that differ in CRm only */
    u64 (*read)(struct vcpu *v, u32 reg);              /* NULL: write-only */
    void (*write)(struct vcpu *v, u32 reg, u64 value); /* NULL: read-only */
};

static u64 raz(struct vcpu *v, u32 reg)
{
    (void)v;
    (void)reg;
    return 0;
}

static void wi(struct vcpu *v, u32 reg, u64 value)
{
    (void)v;
    (void)reg;
    (void)value;
}

static u64 actlr_read(struct vcpu *v, u32 reg)
{
    (void)v;
    (void)reg;
    return sysreg_read(actlr_el1);
}

static void sgi_write(struct vcpu *v, u32 reg, u64 value)
{
    v->exits[EXIT_SGI]++;
    guest_sgi(v, reg == SYSREG(3, 0, 12, 11, 6) ? SGI_REG_ASGI1R : SGI_REG_SGI0R, value);
}

static void dir_write(struct vcpu *v, u32 reg, u64 value)
{
    (void)reg;
    guest_icc_dir(v, value);
}

static u64 sre_read(struct vcpu *v, u32 reg)
{
    (void)v;
    (void)reg;
    return 7; /* system registers are the only interface; bypass is off */
}

static u64 id_read(struct vcpu *v, u32 reg)
{
    u64 value = 0;

    (void)idreg_read(v->vm, reg, &value); /* reserved ones of the space read as zero */
    return value;
}

static const struct trapped table[] = {
    { SYSREG(2, 0, 0, 2, 0), SYSREG(2, 0, 0, 2, 0), raz, wi },                     /* MDCCINT_EL1 */
    { SYSREG(2, 3, 0, 1, 0), SYSREG(2, 3, 0, 1, 0), raz, NULL },                   /* MDCCSR_EL0 */
    { SYSREG(2, 3, 0, 5, 0), SYSREG(2, 3, 0, 5, 0), raz, wi },                     /* DBGDTRRX/TX_EL0 */
    { SYSREG(2, 0, 1, 0, 0), SYSREG(2, 0, 1, 0, 0), raz, NULL },                   /* MDRAR_EL1 */
    { SYSREG(2, 0, 0, 0, 2), SYSREG(2, 0, 0, 0, 2), raz, wi },                     /* OSDTRRX_EL1 */
    { SYSREG(2, 0, 0, 2, 2), SYSREG(2, 0, 0, 2, 2), mdscr_read, mdscr_write },     /* MDSCR_EL1 */
    { SYSREG(2, 0, 0, 3, 2), SYSREG(2, 0, 0, 3, 2), raz, wi },                     /* OSDTRTX_EL1 */
    { SYSREG(2, 0, 0, 6, 2), SYSREG(2, 0, 0, 6, 2), raz, wi },                     /* OSECCR_EL1 */
    { SYSREG(2, 0, 1, 0, 4), SYSREG(2, 0, 1, 0, 4), NULL, oslar_write },           /* OSLAR_EL1 */
    { SYSREG(2, 0, 1, 1, 4), SYSREG(2, 0, 1, 1, 4), oslsr_read, NULL },            /* OSLSR_EL1 */
    { SYSREG(2, 0, 1, 3, 4), SYSREG(2, 0, 1, 3, 4), raz, wi },                     /* OSDLR_EL1 */
    { SYSREG(2, 0, 1, 4, 4), SYSREG(2, 0, 1, 4, 4), raz, wi },                     /* DBGPRCR_EL1 */
    { SYSREG(2, 0, 7, 8, 6), SYSREG(2, 0, 7, 8, 6), raz, wi },                     /* DBGCLAIMSET_EL1 */
    { SYSREG(2, 0, 7, 9, 6), SYSREG(2, 0, 7, 9, 6), raz, wi },                     /* DBGCLAIMCLR_EL1 */
    { SYSREG(2, 0, 7, 14, 6), SYSREG(2, 0, 7, 14, 6), raz, NULL },                 /* DBGAUTHSTATUS_EL1 */
    { SYSREG(2, 0, 0, 0, 4), SYSREG(2, 0, 0, 15, 4), debug_read, debug_write },    /* DBGBVR<n>_EL1 */
    { SYSREG(2, 0, 0, 0, 5), SYSREG(2, 0, 0, 15, 5), debug_read, debug_write },    /* DBGBCR<n>_EL1 */
    { SYSREG(2, 0, 0, 0, 6), SYSREG(2, 0, 0, 15, 6), debug_read, debug_write },    /* DBGWVR<n>_EL1 */
    { SYSREG(2, 0, 0, 0, 7), SYSREG(2, 0, 0, 15, 7), debug_read, debug_write },    /* DBGWCR<n>_EL1 */
    { SYSREG(3, 0, 1, 0, 1), SYSREG(3, 0, 1, 0, 1), actlr_read, wi },              /* ACTLR_EL1 */
    { SYSREG(3, 0, 12, 11, 1), SYSREG(3, 0, 12, 11, 1), NULL, dir_write },         /* ICC_DIR_EL1 */
    { SYSREG(3, 0, 12, 11, 6), SYSREG(3, 0, 12, 11, 6), NULL, sgi_write },         /* ICC_ASGI1R_EL1 */
    { SYSREG(3, 0, 12, 11, 7), SYSREG(3, 0, 12, 11, 7), NULL, sgi_write },         /* ICC_SGI0R_EL1 */
    { SYSREG(3, 0, 12, 12, 5), SYSREG(3, 0, 12, 12, 5), sre_read, wi },            /* ICC_SRE_EL1 */
    { SYSREG(3, 3, 14, 2, 0), SYSREG(3, 3, 14, 2, 0), ptimer_read, ptimer_write }, /* CNTP_TVAL_EL0 */
    { SYSREG(3, 3, 14, 2, 1), SYSREG(3, 3, 14, 2, 1), ptimer_read, ptimer_write }, /* CNTP_CTL_EL0 */
    { SYSREG(3, 3, 14, 2, 2), SYSREG(3, 3, 14, 2, 2), ptimer_read, ptimer_write }, /* CNTP_CVAL_EL0 */
};

static const struct trapped *find(u32 reg)
{
    for (u32 i = 0; i < ARRAY_SIZE(table); i++)
        if (reg >= table[i].reg && reg <= table[i].last && (reg & ~CRM_FIELD) == (table[i].reg & ~CRM_FIELD))
            return &table[i];
    return NULL;
}

bool sysreg_access(struct vcpu *v, u32 reg, bool read, u64 *value)
{
    static const struct trapped id = { 0, 0, id_read, NULL };
    bool is_id = FIELD_GET(reg, 21, 20) == 3 && FIELD_GET(reg, 16, 14) == 0 && FIELD_GET(reg, 13, 10) == 0 &&
                 FIELD_GET(reg, 4, 1) >= 1 && FIELD_GET(reg, 4, 1) <= 7;
    const struct trapped *t = is_id ? &id : find(reg);

    if (t == NULL || (read ? t->read == NULL : t->write == NULL))
        return false;
    if (read)
        *value = t->read(v, reg);
    else
        t->write(v, reg, *value);
    return true;
}

bool sysreg_emulate(struct vcpu *v, u32 iss)
{
    u32 rt = ISS_SYSREG_RT(iss);
    bool read = (iss & ISS_SYSREG_READ) != 0;
    u64 value = read || rt == 31 ? 0 : v->arch.frame->x[rt];

    if (!sysreg_access(v, iss & ISS_SYSREG_MASK, read, &value))
        return false;
    if (read)
        v->arch.frame->x[rt] = value;
    return true;
}
