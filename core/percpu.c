/* SPDX-License-Identifier: Apache-2.0 */
#include "core/percpu.h"

u32 cpu_count RO_AFTER_INIT;
