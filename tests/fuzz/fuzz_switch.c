/* SPDX-License-Identifier: Apache-2.0 */
/* Any frames, with any that their senders say of them, between ports of all kinds. Nothing a port gets may be longer
 * than its MTU, of another VLAN, or of a foreign address. */
#include <stddef.h>

#include "tests/unit/test_switch_machine.h"

#define SNAP 300U

static u8 bytes[0x11000];

static void set_up(void)
{
    memcpy(network_name, "fuzz", 5);
    for (u32 i = 0; i < PORTS; i++)
        station_configure(i);
    station[1].cfg.vlan = 10;
    station[2].cfg.trunk[0] = 10;
    station[2].port.accepts = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_USO;
    station[1].port.accepts = NET_ACCEPT_CSUM_L4;
    station[3].cfg.any_mac = true;
    station[3].cfg.mtu = 9000;
    for (u32 i = 0; i < PORTS; i++)
        if (station_up(i) != K_OK)
            abort();
}

static void check(u32 i)
{
    struct station *s = &station[i];

    for (u32 k = 0; k < s->frames && k < KEPT; k++) {
        const struct seen *x = &s->seen[k];

        if (!s->cfg.any_mac && (x->bytes[0] & 1) == 0 && memcmp(x->bytes, s->cfg.mac, NET_MAC_SIZE) != 0)
            abort();
        if (x->f.gso == NET_GSO_NONE ? x->len > s->cfg.mtu + 18U : s->port.accepts == 0)
            abort();
        if (x->f.csum && (s->port.accepts & NET_ACCEPT_CSUM) == 0)
            abort();
    }
    s->frames = 0;
}

/* What was captured is a pcap file from its first byte to its last, with as many frames as are said. */
static void check_capture(u32 i)
{
    static u8 file[NET_CAPTURE_BYTES];
    struct net_capture_info info = { 0 };
    u32 n = sizeof(file), at = 24, frames = 0, record[4];

    if (net_capture_read(station[i].port.name, 0, file, &n, &info) != K_OK || n != info.bytes || n < at)
        abort();
    for (; at != n; at += record[2], frames++) {
        if (n - at < sizeof(record))
            abort();
        memcpy(record, file + at, sizeof(record));
        at += sizeof(record);
        if (record[2] > n - at || record[2] > SNAP || record[2] > record[3] || record[1] >= 1000000000U)
            abort();
    }
    if (frames != info.frames)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static bool ready;

    if (!ready)
        set_up();
    ready = true;
    for (u32 i = 0; i < PORTS; i++)
        if (net_capture_start(station[i].port.name, SNAP) != K_OK)
            abort();
    while (size >= 16) {
        struct net_vec vec[NET_VECS_MAX];
        u32 from = data[0] % PORTS, head = data[1], step = 1U + data[2];
        struct net_frame f = { .vec = vec,
                               .len = (u32)(data[3] | data[4] << 8) + (data[5] & 1U) * 0x10000U,
                               .csum = (data[5] & 2) != 0,
                               .gso_ecn = (data[5] & 4) != 0,
                               .gso = (enum net_gso)(data[5] >> 3 & 3),
                               .csum_start = data[6],
                               .csum_offset = data[7],
                               .gso_size = (u16)(data[8] | data[9] << 8) };
        u32 left = f.len;

        data += 16;
        size -= 16;
        if (head > size)
            head = (u32)size;
        memcpy(bytes, data, head);
        data += head;
        size -= head;
        for (u32 at = 0; left != 0 && f.vecs < NET_VECS_MAX - 1; f.vecs++) {
            u32 part = f.vecs == NET_VECS_MAX - 2 || step * (f.vecs + 1) > left ? left : step * (f.vecs + 1);

            vec[f.vecs] = (struct net_vec){ bytes + at % 0x1000, part > 0x10000 ? 0x10000 : part };
            at += part;
            left -= part;
        }
        net_send(&station[from].port, &f);
        net_flush(&station[from].port);
        for (u32 i = 0; i < PORTS; i++)
            check(i);
    }
    for (u32 i = 0; i < PORTS; i++)
        check_capture(i);
    return 0;
}
