/* SPDX-License-Identifier: Apache-2.0 */
/* net: the switch's ports. */
#include <string.h>

#include "lib/fmt.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "vdev/net.h"

#define SNAP_DEFAULT 1514U
#define SNAP_MIN 64U
#define SNAP_MAX 2048U /* copied with interrupts masked */
#define DUMP_BYTES 72U /* a line of 96 characters */

static u64 get(const u64 *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

static void no_port(const char *name) { command_say("there is no port '%s'; 'net list' has them", name); }

static void list_port(void *arg, const char *network, struct net_port *p)
{
    struct table *t = arg;
    const struct cfg_net *c = p->cfg;
    const struct nic *n = nic_find(p->name); /* other ports' names have a slash */
    const u8 *mac = n != NULL ? n->mac : c->mac;
    char trunk[48] = "-";
    size_t len = 0;

    for (u32 i = 0; i < CFG_TRUNK_MAX && c->trunk[i] != 0 && len < sizeof(trunk); i++)
        len += (size_t)fmt_sn(trunk + len, sizeof(trunk) - len, "%s%u", i != 0 ? "," : "", c->trunk[i]);
    table_cell(t, "%s", network);
    table_cell(t, "%s", p->name);
    table_cell(t, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    table_cell(t, "%u", c->vlan);
    table_cell(t, "%s", trunk);
    table_cell(t, "%u", c->mtu);
    if (c->rate_mbit != 0)
        table_cell(t, "%u", c->rate_mbit);
    else
        table_cell(t, "-");
    if (n != NULL && __atomic_load_n(&n->dead, __ATOMIC_RELAXED) != 0)
        table_cell(t, "given up");
    else
        table_cell(t, "%s%s", net_link_up(p) ? "up" : "down",
                   __atomic_load_n(&p->open, __ATOMIC_RELAXED) != 0 ? "" : ", no driver");
    table_cell(t, "%s%s%s%s%s", n != NULL ? n->where : "", n != NULL ? " " : "",
               c->isolated ? "isolated " : "", c->any_mac ? "any-mac " : "",
               __atomic_load_n(&p->capture, __ATOMIC_RELAXED) != NULL ? "captured" : "");
}

void command_net_list(u32 argc, const char *const *argv)
{
    struct table *t = command_table("network|port|address|#vlan|trunk|#mtu|#mbit/s|link|notes");

    (void)argc, (void)argv;
    net_for_each(list_port, t);
    table_end(t);
}

struct stats_of {
    struct table *table;
    const char *name; /* NULL: of all */
};

static void list_stats(void *arg, const char *network, struct net_port *p)
{
    const struct stats_of *s = arg;
    const struct net_counters *c = &p->count;
    const u64 *const counter[] = { &c->tx_frames, &c->tx_bytes, &c->tx_large, &c->rx_frames,
                                   &c->rx_bytes,  &c->rx_large, &c->rx_cut };
    u64 refused =
        get(&c->tx_bad) + get(&c->tx_spoofed) + get(&c->tx_vlan) + get(&c->tx_nobody) + get(&c->tx_down);
    u64 lost = get(&c->rx_full) + get(&c->rx_unwanted) + get(&c->rx_long);

    (void)network;
    if (s->name != NULL && strcmp(s->name, p->name) != 0)
        return;
    table_cell(s->table, "%s", p->name);
    for (u32 i = 0; i < ARRAY_SIZE(counter); i++)
        table_cell(s->table, "%llu", (unsigned long long)get(counter[i]));
    table_cell(s->table, "%llu", (unsigned long long)refused);
    table_cell(s->table, "%llu", (unsigned long long)lost);
    table_cell(s->table, "%llu", (unsigned long long)get(&c->tx_waits));
}

struct details_of {
    const char *name;
    bool found;
};

static void say_count(const char *what, u64 n)
{
    if (n != 0)
        command_say("  %s: %llu", what, (unsigned long long)n);
}

static void say_details(void *arg, const char *network, struct net_port *p)
{
    struct details_of *d = arg;
    const struct net_counters *c = &p->count;

    (void)network;
    if (strcmp(d->name, p->name) != 0)
        return;
    d->found = true;
    say_count("sent, malformed", get(&c->tx_bad));
    say_count("sent, not from the port's address", get(&c->tx_spoofed));
    say_count("sent, of a VLAN that the port is not in", get(&c->tx_vlan));
    say_count("sent, for nobody", get(&c->tx_nobody));
    say_count("sent, link down", get(&c->tx_down));
    say_count("received, no room", get(&c->rx_full));
    say_count("received, not wanted", get(&c->rx_unwanted));
    say_count("received, too long", get(&c->rx_long));
}

void command_net_stats(u32 argc, const char *const *argv)
{
    struct stats_of s = { .name = argc != 0 ? argv[0] : NULL };
    struct details_of d = { .name = s.name };

    s.table = command_table("port|#sent|#bytes|#large|#received|#bytes|#large|#cut|#refused|#dropped|#waits");
    net_for_each(list_stats, &s);
    if (s.name == NULL) {
        table_end(s.table);
        return;
    }
    table_end(s.table);
    net_for_each(say_details, &d);
    if (!d.found)
        no_port(s.name);
}

void command_net_link(u32 argc, const char *const *argv)
{
    bool up = strcmp(argv[1], "up") == 0;

    (void)argc;
    if (!up && strcmp(argv[1], "down") != 0)
        command_say("'%s': up or down", argv[1]);
    else if (net_set_link(argv[0], up) != K_OK)
        no_port(argv[0]);
}

void command_net_capture(u32 argc, const char *const *argv)
{
    bool on = strcmp(argv[1], "on") == 0;
    u64 snap = SNAP_DEFAULT;
    enum kerr e;

    if (!on && strcmp(argv[1], "off") != 0) {
        command_say("'%s': on or off", argv[1]);
        return;
    }
    if (argc > 2 && (!on || !parse_u64(argv[2], &snap) || snap < SNAP_MIN || snap > SNAP_MAX)) {
        command_say("'%s': bytes of each frame, %u to %u", argv[2], SNAP_MIN, SNAP_MAX);
        return;
    }
    e = on ? net_capture_start(argv[0], (u32)snap) : net_capture_stop(argv[0]);
    if (e == K_NOENT)
        no_port(argv[0]);
    else if (e != K_OK)
        command_say("cannot capture: %s", kerr_str(e));
}

static void base64(const u8 *p, u32 n, char *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (u32 i = 0; i < n; i += 3) {
        u32 v = (u32)p[i] << 16 | (i + 1 < n ? (u32)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        *out++ = digit[v >> 18];
        *out++ = digit[v >> 12 & 63];
        *out++ = i + 1 < n ? digit[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digit[v & 63] : '=';
    }
    *out = '\0';
}

void command_net_dump(u32 argc, const char *const *argv)
{
    struct net_capture_info info;
    u8 bytes[DUMP_BYTES];
    char line[DUMP_BYTES / 3 * 4 + 1];
    u32 at = 0, n = sizeof(bytes), end;

    (void)argc;
    if (net_capture_read(argv[0], 0, bytes, &n, &info) != K_OK) {
        command_say("port '%s' is not captured: 'net capture PORT on'", argv[0]);
        return;
    }
    end = info.bytes; /* what comes meanwhile is for the next time */
    command_say("-----BEGIN PCAP %s-----", argv[0]);
    while (at < end) {
        n = end - at < sizeof(bytes) ? end - at : (u32)sizeof(bytes);
        if (net_capture_read(argv[0], at, bytes, &n, &info) != K_OK || n == 0)
            break;
        base64(bytes, n, line);
        command_say("%s", line);
        at += n;
    }
    command_say("-----END PCAP-----");
    if (info.lost != 0)
        command_say("%llu frames had no room", (unsigned long long)info.lost);
}
