/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's network devices: their own properties, and that no two of a network have one address. Internal to config/. */
#ifndef CONFIG_NET_H
#define CONFIG_NET_H

#include "config/schema.h"

struct cfg_net_props {
    const char *network, *mac;
    u32 vlan, mtu, queues, rate_mbit, io;
    struct cfg_cells trunk;
    bool isolated, any_mac, follow_uplink;
};

#define CFG_NET_DEFAULTS                                                                                     \
    {                                                                                                        \
        .mtu = 1500, .queues = 1                                                                             \
    }
#define CFG_NET_QUEUES_MAX 4U
#define CFG_NET_MTU_MIN 576U
#define CFG_NET_MTU_MAX 9000U
#define CFG_VLAN_MAX 4094U
#define CFG_NET_RATE_MAX 100000U
extern const char *const cfg_io_words[];

/* d's kind becomes CFG_IS_NET. vm has its name. */
void cfg_set_net(const struct cfg_node *n, const struct cfg_net_props *p, const struct cfg_vm *vm,
                 struct cfg_device *d);
/* The machine's `networks` node. */
void cfg_read_networks(const struct cfg_node *networks, struct cfg_machine *m);
/* All VMs together. */
void cfg_check_nets(const struct cfg_machine *m, struct cfg_errors *errors);

#endif
