/* SPDX-License-Identifier: Apache-2.0 */
/* Two ports of a switch that is not there, one of them its uplink, for tests of the shell. */
#ifndef TESTS_UNIT_TEST_NET_PORTS_H
#define TESTS_UNIT_TEST_NET_PORTS_H

#include <string.h>

#include "vdev/net.h"

static const struct cfg_net the_port_cfg = { .network = "lan",
                                             .mac = { 2, 0, 0, 0, 0, 0xab },
                                             .mtu = 1500,
                                             .vlan = 7,
                                             .trunk = { 8, 9 },
                                             .isolated = true };
static struct net_port the_port = { .cfg = &the_port_cfg,
                                    .name = "debian/net0",
                                    .count = { .tx_frames = 11, .tx_bytes = 660, .tx_spoofed = 5 } };
static bool port_captured;

static inline bool is_the_port(const char *name) { return strcmp(name, the_port.name) == 0; }

/* The network's interface of the host. */
static struct nic the_nic = { .name = "net0", .where = "pci-00:01.0", .mac = { 0x52, 0x54, 0, 0, 0, 7 } };
static const struct cfg_net uplink_cfg = { .network = "lan", .mtu = 1500, .any_mac = true };
static struct net_port uplink_port = { .cfg = &uplink_cfg, .name = "net0", .open = 1, .link = 1 };

struct nic *nic_find(const char *name) { return strcmp(name, the_nic.name) == 0 ? &the_nic : NULL; }

void net_for_each(void (*fn)(void *arg, const char *network, struct net_port *p), void *arg)
{
    fn(arg, "lan", &the_port);
    fn(arg, "lan", &uplink_port);
}

enum kerr net_set_link(const char *port, bool up)
{
    if (is_the_port(port))
        the_port.link = up;
    return is_the_port(port) ? K_OK : K_NOENT;
}

enum kerr net_capture_start(const char *port, u32 snap_bytes)
{
    port_captured |= is_the_port(port) && snap_bytes <= 2048;
    return is_the_port(port) ? K_OK : K_NOENT;
}

enum kerr net_capture_stop(const char *port)
{
    port_captured &= !is_the_port(port);
    return is_the_port(port) ? K_OK : K_NOENT;
}

/* A file of 100 letters. */
enum kerr net_capture_read(const char *port, u32 at, void *buf, u32 *n, struct net_capture_info *info)
{
    if (!port_captured || !is_the_port(port))
        return K_NOENT;
    *n = at >= 100 ? 0 : *n < 100 - at ? *n : 100 - at;
    memset(buf, 'a', *n);
    *info = (struct net_capture_info){ .bytes = 100, .frames = 3, .lost = 2 };
    return K_OK;
}

#endif
