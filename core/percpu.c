/* SPDX-License-Identifier: Apache-2.0 */
#include "core/percpu.h"

struct percpu percpu[MAX_CPUS];
u32 cpu_count RO_AFTER_INIT;
