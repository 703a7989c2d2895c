/* SPDX-License-Identifier: Apache-2.0 */
#include "init/facts.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/stage2.h"
#include "arch/gich.h"
#include "arch/msi.h"
#include "arch/time.h"
#include "core/frames.h"
#include "core/percpu.h"
#include "core/vmid.h"
#include "irq/host.h"
#include "lib/fmt.h"

#define LINE 160U

struct llc facts_llc RO_AFTER_INIT;

static const char *part_name(u32 midr)
{
    static const struct {
        u16 part;
        const char *name;
    } names[] = {
        { 0xd03, "Cortex-A53" },  { 0xd04, "Cortex-A35" },  { 0xd05, "Cortex-A55" },
        { 0xd07, "Cortex-A57" },  { 0xd08, "Cortex-A72" },  { 0xd0b, "Cortex-A76" },
        { 0xd0c, "Neoverse-N1" }, { 0xd40, "Neoverse-V1" }, { 0xd46, "Cortex-A510" },
        { 0xd47, "Cortex-A710" }, { 0xd49, "Neoverse-N2" },
    };

    for (u32 i = 0; i < ARRAY_SIZE(names); i++)
        if (midr >> 24 == 0x41 && names[i].part == FIELD_GET(midr, 15, 4))
            return names[i].name;
    return "unknown";
}

static void cpu_facts(void (*out)(const char *line))
{
    char line[LINE];

    (void)fmt_sn(line, sizeof(line), "%-5s%-10s%-14s%-38s%s", "cpu", "affinity", "kind", "Spectre v2",
                 "Spectre-BHB");
    out(line);
    for (u32 i = 0; i < cpu_count; i++) {
        const struct percpu *p = &percpu[i];

        (void)fmt_sn(line, sizeof(line), "%-5u%-10lx%-14s%-38s%s", i, p->arch.mpidr, part_name(p->arch.midr),
                     p->arch.spectre_v2, p->arch.spectre_bhb);
        out(line);
    }
    (void)fmt_sn(line, sizeof(line),
                 "stage 2: %u-bit guest addresses; VMIDs of %u bits, %lu rollovers; counter %lu Hz",
                 stage2_ipa_bits(), vmid_bits(), vmid_rollovers(), arch_tick_hz());
    out(line);
    if (facts_llc.way_size == 0)
        (void)fmt_sn(line, sizeof(line), "last-level cache: not known, no colors");
    else
        (void)fmt_sn(line, sizeof(line), "last-level cache: ways of %lu KiB by the %s, %u colors",
                     facts_llc.way_size >> 10, facts_llc.by, frames_colors());
    out(line);
}

static void irq_facts(void (*out)(const char *line))
{
    char line[LINE];
    struct host_irq_info info;
    struct msi_info message;

    (void)fmt_sn(line, sizeof(line), "GICv%u, %u list registers, %u priority bits", gic_version(),
                 gich_lr_count, gich_pri_bits);
    out(line);
    (void)fmt_sn(line, sizeof(line), "%-8s%-6s%-16s%12s", "INTID", "CPU", "name", "count");
    out(line);
    for (u32 i = 0; host_irq_get(i, &info); i++) {
        (void)fmt_sn(line, sizeof(line), "%-8u%-6u%-16s%12lu", info.intid, info.cpu, info.name, info.count);
        out(line);
    }
    for (u32 i = 0; arch_msi_get(i, &message); i++) {
        if (message.name == NULL)
            continue;
        (void)fmt_sn(line, sizeof(line), "%-8u%-6u%-16s%12lu", message.intid, message.cpu, message.name,
                     message.count);
        out(line);
    }
}

const struct shell_facts shell_facts = { .version = KEEL_VERSION, .cpu = cpu_facts, .irq = irq_facts };
