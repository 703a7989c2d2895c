/* SPDX-License-Identifier: Apache-2.0 */
/* The release, for the hypervisor's and the host tool's `version`. */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define KEEL_VERSION "0.1"

#endif
