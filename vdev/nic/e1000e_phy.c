/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on the MAC: the PHY behind MDIC (10.2.2.7, IEEE 802.3 clause 22) and the NVM behind EERD (10.2.2.5). Both answer
 * at once. The link runs at 1 Gbit/s, full duplex, or not at all. */
#include <string.h>

#include "vdev/nic/e1000e_internal.h"

#define MDIC_DATA 0xffffU
#define MDIC_REG(v) FIELD_GET(v, 20, 16)
#define MDIC_PHY(v) FIELD_GET(v, 25, 21)
#define MDIC_OP(v) FIELD_GET(v, 27, 26)
#define MDIC_WRITE 1U
#define MDIC_READ 2U
#define MDIC_READY BIT(28)
#define MDIC_INTERRUPT BIT(29)
#define MDIC_ERROR BIT(30)
#define PHY_ADDR 1U

enum phy_reg {
    PHY_CONTROL = 0,
    PHY_STATUS = 1,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISE = 4,
    PHY_PARTNER = 5,
    PHY_EXPANSION = 6,
    PHY_1000_CONTROL = 9,
    PHY_1000_STATUS = 10,
    PHY_EXT_STATUS = 15,
    PHY_COPPER_CONTROL = 16,
    PHY_COPPER_STATUS = 17,
    PHY_PAGE = 22,
};

#define CONTROL_RESET BIT(15)
#define CONTROL_LOOPBACK BIT(14)
#define CONTROL_AUTONEG BIT(12)
#define CONTROL_RESTART BIT(9)
#define CONTROL_KEPT 0x7dc0U
#define STATUS_CAPABILITIES 0x7949U
#define STATUS_LINK BIT(2)
#define STATUS_AUTONEG_DONE BIT(5)
#define COPPER_LINK 0xac08U /* 1000, full duplex, resolved, link */

#define NVM_DEVICE 0x0dU
#define NVM_VENDOR 0x0eU
#define NVM_CHECKSUM 0x3fU
#define NVM_SUM 0xbabaU
#define EERD_START BIT(0)
#define EERD_DONE BIT(1)
#define EERD_ADDR(v) FIELD_GET(v, 15, 2)

void e1000e_phy_link(struct e1000e *d)
{
    bool up = net_link_up(&d->port);

    d->phy[PHY_STATUS] = (u16)(STATUS_CAPABILITIES | (up ? STATUS_LINK | STATUS_AUTONEG_DONE : 0));
    d->phy[PHY_COPPER_STATUS] = up ? COPPER_LINK : 0;
    d->phy[PHY_PARTNER] = up ? 0x41e1 : 0;
    d->phy[PHY_1000_STATUS] = up ? 0x3c00 : 0;
}

void e1000e_phy_reset(struct e1000e *d)
{
    memset(d->phy, 0, sizeof(d->phy));
    e1000e_store(&d->loop, 0);
    d->phy[PHY_CONTROL] = 0x1140;
    d->phy[PHY_ID1] = 0x0141;
    d->phy[PHY_ID2] = 0x0cb1;
    d->phy[PHY_ADVERTISE] = 0x0de1;
    d->phy[PHY_EXPANSION] = 0x0005;
    d->phy[PHY_1000_CONTROL] = 0x0300;
    d->phy[PHY_EXT_STATUS] = 0x3000;
    d->phy[PHY_COPPER_CONTROL] = 0x3360;
    e1000e_phy_link(d);
}

static bool read_only(u32 reg)
{
    return reg == PHY_STATUS || reg == PHY_ID1 || reg == PHY_ID2 || reg == PHY_PARTNER ||
           reg == PHY_EXPANSION || reg == PHY_1000_STATUS || reg == PHY_EXT_STATUS ||
           reg == PHY_COPPER_STATUS;
}

/* Negotiating takes no time: its end is told at once. */
static u32 phy_write(struct e1000e *d, u32 reg, u16 value)
{
    if (reg != PHY_CONTROL) {
        if (!read_only(reg))
            d->phy[reg] = value;
        return 0;
    }
    d->phy[PHY_CONTROL] = value & CONTROL_KEPT & (u16) ~(CONTROL_RESET | CONTROL_RESTART);
    e1000e_store(&d->loop, (value & CONTROL_LOOPBACK) != 0);
    e1000e_phy_link(d);
    return (value & CONTROL_AUTONEG) && (value & (CONTROL_RESTART | CONTROL_RESET)) ? (u32)ICR_LSC : 0;
}

u32 e1000e_write_mdic(struct e1000e *d, u32 value)
{
    u32 reg = (u32)MDIC_REG(value), causes = 0;
    /* The standard's registers are on all pages; besides them other pages hold nothing but the way back. */
    bool there = d->phy[PHY_PAGE] == 0 || reg <= PHY_EXT_STATUS || reg == PHY_PAGE;

    if (value & MDIC_READY) { /* the driver clears it to start */
        d->mdic = value;
        return 0;
    }
    value |= (u32)MDIC_READY;
    if (MDIC_PHY(value) != PHY_ADDR || (MDIC_OP(value) != MDIC_READ && MDIC_OP(value) != MDIC_WRITE))
        value |= (u32)MDIC_ERROR;
    else if (MDIC_OP(value) == MDIC_READ)
        value = (value & ~MDIC_DATA) | (there ? d->phy[reg] : 0);
    else if (there)
        causes = phy_write(d, reg, (u16)value);
    d->mdic = value;
    return causes | (value & MDIC_INTERRUPT ? (u32)ICR_MDAC : 0);
}

void e1000e_fill_nvm(struct e1000e *d, const u8 mac[NET_MAC_SIZE])
{
    u16 sum = 0;

    memset(d->nvm, 0, sizeof(d->nvm));
    for (u32 i = 0; i < NET_MAC_SIZE; i += 2)
        d->nvm[i / 2] = (u16)(mac[i] | mac[i + 1] << 8);
    d->nvm[NVM_DEVICE] = d->function.device;
    d->nvm[NVM_VENDOR] = d->function.vendor;
    for (u32 i = 0; i < NVM_CHECKSUM; i++)
        sum = (u16)(sum + d->nvm[i]);
    d->nvm[NVM_CHECKSUM] = (u16)(NVM_SUM - sum);
}

void e1000e_write_eerd(struct e1000e *d, u32 value)
{
    u64 addr = EERD_ADDR(value);

    if (!(value & EERD_START))
        return;
    d->eerd = (u32)(value & GENMASK(15, 2)) | (u32)EERD_DONE |
              (addr < ARRAY_SIZE(d->nvm) ? (u32)d->nvm[addr] << 16 : 0);
}
