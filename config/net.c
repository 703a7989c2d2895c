/* SPDX-License-Identifier: Apache-2.0 */
#include "config/net.h"

#include <libfdt.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/fmt.h"

enum cfg_io { IO_VIRTIO, IO_EMULATED };

const char *const cfg_io_words[] = { [IO_VIRTIO] = "virtio", [IO_EMULATED] = "emulated", NULL };

static bool hex_digit(char c, u8 *out)
{
    if (c >= '0' && c <= '9')
        *out = (u8)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *out = (u8)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
        *out = (u8)(c - 'A' + 10);
    else
        return false;
    return true;
}

/* "02:00:00:00:00:01". */
static bool parse_mac(const char *s, u8 mac[6])
{
    u8 any = 0;

    if (strlen(s) != 17)
        return false;
    for (u32 i = 0; i < 6; i++, s += 3) {
        u8 high, low;

        if (!hex_digit(s[0], &high) || !hex_digit(s[1], &low) || (i != 5 && s[2] != ':'))
            return false;
        mac[i] = (u8)(high << 4 | low);
        any |= mac[i];
    }
    return (mac[0] & 1) == 0 && any != 0; /* one station's, and not none's */
}

/* Locally administered, the same each time: FNV-1a of the names. */
static void make_mac(const char *vm, const char *node, u8 mac[6])
{
    const char *const part[] = { vm, "/", node };
    u64 h = 0xcbf29ce484222325;

    for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
        for (const char *c = part[i]; *c != '\0'; c++)
            h = (h ^ (u8)*c) * 0x100000001b3;
    }
    mac[0] = 0x02;
    for (u32 i = 1; i < 6; i++)
        mac[i] = (u8)(h >> (i * 8));
}

static void set_trunk(const struct cfg_node *n, const struct cfg_cells *trunk, struct cfg_net *net)
{
    for (u32 i = 0; i < trunk->count; i++) {
        if (trunk->v[i] == net->vlan)
            cfg_report_value(n, "trunk", "%u is the VLAN of frames without a tag", trunk->v[i]);
        for (u32 j = 0; j < i; j++) {
            if (trunk->v[j] == trunk->v[i])
                cfg_report_value(n, "trunk", "%u is there twice", trunk->v[i]);
        }
        net->trunk[i] = (u16)trunk->v[i];
    }
}

static bool name_is_good(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == ' ' || *s == '/' || *s == '"')
            return false;
    }
    return true;
}

void cfg_set_net(const struct cfg_node *n, const struct cfg_net_props *p, const struct cfg_vm *vm,
                 struct cfg_device *d)
{
    struct cfg_net *net = &d->net;

    d->kind = CFG_IS_NET;
    *net = (struct cfg_net){ .network = p->network,
                             .vlan = (u16)p->vlan,
                             .mtu = (u16)p->mtu,
                             .queues = (u8)p->queues,
                             .isolated = p->isolated,
                             .any_mac = p->any_mac,
                             .follow_uplink = p->follow_uplink,
                             .rate_mbit = p->rate_mbit };
    if (!name_is_good(p->network))
        cfg_report_value(n, "network", "must have no blank, slash or quote");
    set_trunk(n, &p->trunk, net);
    make_mac(vm->name, d->node, net->mac);
    if (p->mac != NULL && !parse_mac(p->mac, net->mac))
        cfg_report_value(n, "mac", "must be an address of one station, such as \"02:00:00:00:00:01\"");
    if (p->io != IO_EMULATED)
        return;
    d->compatible = CFG_NET_EMULATED;
    if (d->transport != CFG_PCI)
        cfg_report_value(n, "transport", "an emulated device is on PCI");
    if (p->queues != 1)
        cfg_report_value(n, "queues", "an emulated device has one queue each way");
}

struct network_props {
    const char *uplink;
    struct cfg_net_props net;
};

#define AT(field) offsetof(struct network_props, field)
static const struct prop_rule network_prop[] = {
    { "uplink", PROP_STRING, true, AT(uplink), 1, 7, NULL },
    { "vlan", PROP_CELL, false, AT(net.vlan), 1, CFG_VLAN_MAX, NULL },
    { "trunk", PROP_CELLS, false, AT(net.trunk), 1, CFG_VLAN_MAX, NULL },
};
#undef AT
static const struct node_rules network_rules = { network_prop, ARRAY_SIZE(network_prop) };
static const struct node_rules no_props = { NULL, 0 };

static void read_network(const struct cfg_node *n, struct cfg_machine *m)
{
    struct network_props p = { .net = CFG_NET_DEFAULTS };
    struct cfg_network *out = &m->network[m->network_count];

    (void)schema_only_child(n, NULL);
    schema_read(n, &network_rules, &p);
    *out = (struct cfg_network){ .uplink = p.uplink };
    out->port = (struct cfg_net){ .network = cfg_node_name(n),
                                  .mtu = (u16)p.net.mtu,
                                  .vlan = (u16)p.net.vlan,
                                  .any_mac = true,
                                  .follow_uplink = true };
    if (!name_is_good(out->port.network) || strlen(out->port.network) >= CFG_NAME_MAX)
        cfg_report(n, NULL, "a network's name must be 1 to %u characters, no blank or quote",
                   CFG_NAME_MAX - 1);
    set_trunk(n, &p.net.trunk, &out->port);
    for (u32 i = 0; i < m->network_count && p.uplink != NULL; i++) {
        if (m->network[i].uplink != NULL && strcmp(m->network[i].uplink, p.uplink) == 0)
            cfg_report_value(n, "uplink", "is also that of %.31s", m->network[i].port.network);
    }
    m->network_count++;
}

void cfg_read_networks(const struct cfg_node *networks, struct cfg_machine *m)
{
    int child;

    schema_read(networks, &no_props, NULL);
    fdt_for_each_subnode(child, networks->blob, networks->offset)
    {
        struct cfg_node n;

        if (m->network_count == CFG_MAX_NETWORKS) {
            cfg_report(networks, NULL, "too many networks; at most %u", CFG_MAX_NETWORKS);
            return;
        }
        cfg_node_child(&n, networks, child);
        read_network(&n, m);
    }
}

/* Finds a device of an earlier VM, or of the same, that would be mistaken for d. */
static const struct cfg_vm *same_mac(const struct cfg_machine *m, const struct cfg_vm *vm,
                                     const struct cfg_device *d, const struct cfg_device **other)
{
    for (const struct cfg_vm *v = m->vm; v <= vm; v++) {
        for (const struct cfg_device *e = v->device; e < v->device + v->device_count && e != d; e++) {
            if (e->kind == CFG_IS_NET && strcmp(e->net.network, d->net.network) == 0 &&
                memcmp(e->net.mac, d->net.mac, sizeof(d->net.mac)) == 0) {
                *other = e;
                return v;
            }
        }
    }
    return NULL;
}

static bool has_uplink(const struct cfg_machine *m, const char *network)
{
    for (u32 i = 0; i < m->network_count; i++) {
        if (strcmp(m->network[i].port.network, network) == 0)
            return true;
    }
    return false;
}

void cfg_check_nets(const struct cfg_machine *m, struct cfg_errors *errors)
{
    for (const struct cfg_vm *vm = m->vm; vm < m->vm + m->vm_count; vm++) {
        for (const struct cfg_device *d = vm->device; d < vm->device + vm->device_count; d++) {
            const struct cfg_vm *clash;
            const struct cfg_device *other;
            struct cfg_node n;

            if (d->kind != CFG_IS_NET)
                continue;
            cfg_node_vm(&n, vm, errors);
            if (d->net.follow_uplink && !has_uplink(m, d->net.network))
                cfg_report(&n, "follow-uplink", "follow-uplink: %.31s: network %.31s has no uplink", d->node,
                           d->net.network);
            clash = same_mac(m, vm, d, &other);
            if (clash == NULL)
                continue;
            cfg_report(&n, "mac", "mac: that of %.31s is also that of %.31s in VM %s", d->node, other->node,
                       clash->name);
        }
    }
}
