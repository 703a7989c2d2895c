/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may ask of Keel by the management endpoint of virtio-vsock, as its configuration allows.
 * docs/virtio.md has the commands. Supplied by vmm/. */
#ifndef VDEV_MANAGE_H
#define VDEV_MANAGE_H

#include "config/config.h"
#include "core/vm.h"

#define MANAGE_LINE_MAX 64U   /* of a command, its newline included */
#define MANAGE_TEXT_MAX 3072U /* of an answer: a line for each of CFG_MAX_VMS */
#define MANAGE_OWN "show"     /* alone: the VM that asks */

struct manage_answer {
    u32 len;
    char text[MANAGE_TEXT_MAX];
};

/* Carries out one command, a string, for vm, and answers. Waits for nothing; what was asked to begin may still fail, as
 * the VM's state shows then. Thread context. */
void manage_command(const struct vm *vm, const struct cfg_vsock *rights, char *line, struct manage_answer *a);

#endif
