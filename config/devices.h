/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's devices: which, where, and that they are out of each other's way. Internal to config/. */
#ifndef CONFIG_DEVICES_H
#define CONFIG_DEVICES_H

#include "config/schema.h"

/* Reads the VM's `devices` node (offset `devices`, -1: the default set) into vm, whose vCPUs, memory
 * and SPIs are known; 0 where they were wrong. */
void cfg_read_devices(const struct cfg_node *vm_node, int devices, const char *const *known,
                      struct cfg_vm *vm);

/* Vsock devices of all VMs together: no two have one CID, and who may be controlled is there. */
void cfg_check_sockets(const struct cfg_machine *m, struct cfg_errors *errors);

#endif
