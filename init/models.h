/* SPDX-License-Identifier: Apache-2.0 */
/* The device models of this build. */
#ifndef INIT_MODELS_H
#define INIT_MODELS_H

#include "vdev/vdev.h"

extern const struct vdev_model *const vdev_models[]; /* NULL-terminated */
extern const char *const known_devices[];            /* their compatibles, for the configuration's check */

#endif
