/* SPDX-License-Identifier: Apache-2.0 */
/* DEBUG_BUILD: whether the checks are compiled in that cost too much for a release. */
#ifndef LIB_DEBUG_H
#define LIB_DEBUG_H

#ifdef KEEL_DEBUG
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

#endif
