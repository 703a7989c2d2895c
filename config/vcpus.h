/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's vCPUs: where they run and what they are scheduled by. Internal to config/. */
#ifndef CONFIG_VCPUS_H
#define CONFIG_VCPUS_H

#include "config/schema.h"

struct cfg_vcpu_props {
    u32 vcpus, weight;
    struct cfg_cells cpus, priority, budget_us, period_us;
};

void cfg_set_vcpus(const struct cfg_node *n, const struct cfg_vcpu_props *p, struct cfg_vm *vm);

/* Whether CPUs can keep what the VMs together are promised on those that they name. */
void cfg_check_budgets(const struct cfg_machine *m, struct cfg_errors *errors);

#endif
