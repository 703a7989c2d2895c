/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBC_ASSERT_H
#define LIBC_ASSERT_H

#define static_assert _Static_assert

#endif
