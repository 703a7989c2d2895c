# SPDX-License-Identifier: Apache-2.0
"""The emulated 82574L, point by point, by Debian's e1000e driver and ethtool. Two guests that have one each, booted once."""
import re
import struct
import subprocess
import time

import harness
import pytest
from machines import machine, vm
from test_emulated import load, until_listening, with_devices
from test_network import reach

INITRD = harness.BUILD / "guest" / "initrd-net.gz" # with ethtool
MAC = {1: "02:00:00:00:00:a1", 2: "02:00:00:00:00:a2"} # left, right
STRANGER = "02:00:00:00:00:99"
NET = 'compatible = "keel,net"; network = "lan"; io = "emulated"; any-mac; trunk = <5 6>; mtu = <9000>;'


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "machine.dts"
    path.write_text(machine(*(with_devices(vm(name, initrd=INITRD, memory="256M", bootargs="console=ttyAMA0 iomem=relaxed"), ("serial", 'compatible = "arm,pl011";'),
                                           ("net0", f'{NET} mac = "{MAC[index]}"; {more}'))
                              for index, name, more in ((1, "left", ""), (2, "right", "rate-mbit = <200>;")))))
    guests = harness.Machine(path)
    yield guests
    guests.kill()


@pytest.fixture
def pair(booted, request):
    """Left and right, with addresses 10.0.0.1 and .2; the input is at the left one."""
    request.node.machines = [booted]
    if not booted.seen:
        booted.boot()
        booted.boot()
        for index in (1, 2):
            booted.focus(index)
            load(booted, "e1000e")
            booted.sh(f"dmesg -n 1; ip addr add 10.0.0.{index}/24 dev eth0; ip link set eth0 up")
    reach(booted, "10.0.0.2", 1)
    return booted


def from_right(guests, command, check=False):
    guests.focus(2)
    out = guests.sh(command, check=check)
    guests.focus(1)
    return out


def serve(guests, index, port):
    """Who connects gets /tmp/file; its sum. dd has the socket itself, so that it is read to the end whatever the other side does."""
    guests.focus(index)
    guests.sh("printf '#!/bin/sh\\ndd if=/tmp/file bs=64k 2>/dev/null\\n' > /tmp/send; chmod +x /tmp/send")
    guests.sh(f"(nc -l -p {port} -e /tmp/send) & {until_listening(port)}")
    digest = guests.sh("md5sum < /tmp/file")
    guests.focus(1)
    return digest


def unwanted(guests):
    """Frames that left's own filter kept out."""
    text = guests.keel("net stats left/net0")
    guests.focus(1)
    found = re.search(r"received, not wanted: (\d+)", text)
    return int(found.group(1)) if found else 0


def seen(guests):
    """Frames that left's driver was given."""
    return int(guests.sh("cat /sys/class/net/eth0/statistics/rx_packets"))


def captured(guests, tmp_path, port):
    """What was captured at a port, by Ethernet frame."""
    mark = len(guests.seen)
    assert "END PCAP" in guests.keel(f"net dump {port}")
    guests.keel(f"net capture {port} off")
    guests.focus(1)
    log = tmp_path / "console"
    log.write_text("".join(guests.seen[mark:]))
    file = subprocess.run([harness.KEEL, "pcap", log], stdout=subprocess.PIPE, check=True).stdout
    frames, at = [], 24
    while at < len(file):
        stored, whole = struct.unpack("<II", file[at + 8:at + 16])
        assert stored == whole
        frames.append(file[at + 16:at + 16 + stored])
        at += 16 + stored
    return frames


def folded(data):
    """One's complement sum; 0xffff: of something with a right checksum in it."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def test_it_is_what_its_driver_takes_for_an_82574(pair):
    assert pair.sh("ethtool -i eth0 | head -n 1") == "driver: e1000e"
    link = pair.sh("ethtool eth0")
    for line in ("Speed: 1000Mb/s", "Duplex: Full", "Supports Wake-on: d", "Link detected: yes"):
        assert line in link
    features = dict(re.findall(r"^\s*([\w-]+): (on|off)", pair.sh("ethtool -k eth0"), re.M))
    for name in ("rx-checksumming", "tx-checksumming", "scatter-gather", "tx-tcp-segmentation", "tx-tcp6-segmentation",
                 "rx-vlan-offload", "tx-vlan-offload", "rx-vlan-filter"):
        assert features[name] == "on", name
    assert "MSI" in pair.sh("grep eth0-rx /proc/interrupts")


def test_eeprom_and_registers_have_the_configured_address(pair):
    row = pair.sh("ethtool -e eth0 offset 0 length 6").splitlines()[-1]
    assert row.split()[1:] == MAC[1].split(":")
    assert pair.sh("cat /sys/class/net/eth0/address") == MAC[1]
    registers = pair.sh("ethtool -d eth0")
    assert re.search(r"Receiver: +enabled", registers) and re.search(r"Link up: +link config", registers)


def test_tags_are_put_in_and_taken_out(pair, tmp_path):
    for index in (2, 1):
        pair.focus(index)
        pair.sh(f"ip link add link eth0 name eth0.5 type vlan id 5; ip link set eth0.5 up; "
                f"ip addr add 10.0.5.{index}/24 dev eth0.5")
    for state in ("on", "off"): # the device's work, the kernel's
        pair.sh(f"ethtool -K eth0 rxvlan {state} txvlan {state}")
        reach(pair, "10.0.5.2", 1)
        pair.keel("net capture left/net0 on")
        reach(pair, "10.0.5.2", 1)
        echoes = [f for f in captured(pair, tmp_path, "left/net0") if f[16:18] == b"\x08\x00" and f[27] == 1]
        assert [f[38] for f in echoes[-2:]] == [8, 0] and all(f[12:16] == b"\x81\x00\x00\x05" for f in echoes)
    pair.sh("ethtool -K eth0 rxvlan on txvlan on")
    for index in (2, 1):
        pair.focus(index)
        pair.sh("ip link del eth0.5")


def test_frames_of_vlans_that_the_driver_did_not_add_are_kept_out(pair):
    """The driver keeps the table, but loses the bit that switches the filter on: e1000e_set_rx_mode() sets it, and then writes the
    register as it had read it before. So the test sets it."""
    for index, vlans in ((2, (5, 6)), (1, (5,))):
        pair.focus(index)
        for vlan in vlans:
            pair.sh(f"ip link add link eth0 name eth0.{vlan} type vlan id {vlan}; ip link set eth0.{vlan} up; "
                    f"ip addr add 10.0.{vlan}.{index}/24 dev eth0.{vlan}")
    rctl = "$(($(cut -d ' ' -f 1 /sys/class/net/eth0/device/resource | head -n 1) + 0x100))"
    from_right(pair, f"arp -i eth0.6 -s 10.0.6.1 {MAC[1]}", check=True)
    for on in (True, False):
        pair.sh(f"devmem {rctl} 32 $(($(devmem {rctl}) {'|' if on else '&'} {'0x40000' if on else '~0x40000'}))")
        reach(pair, "10.0.5.1", 2)
        refused = unwanted(pair) # and what goes to groups, now and then
        from_right(pair, "ping -c 50 -i 0.01 -W 1 10.0.6.1")
        assert (unwanted(pair) - refused >= 50) == on
    for index, vlans in ((2, (5, 6)), (1, (5,))):
        pair.focus(index)
        for vlan in vlans:
            pair.sh(f"ip link del eth0.{vlan}")


def test_what_it_cuts_and_sums_is_right_on_the_wire(pair, tmp_path):
    """The receiver takes neither large frames nor unfinished sums."""
    pair.sh("dd if=/dev/urandom of=/tmp/file bs=64k count=1 2>/dev/null")
    digest = serve(pair, 1, 77)
    large = pair.sh("ethtool -S eth0 | grep tx_tcp_seg_good")
    pair.keel("net capture right/net0 on")
    assert from_right(pair, "nc 10.0.0.1 77 | md5sum") == digest
    assert pair.sh("ethtool -S eth0 | grep tx_tcp_seg_good") != large
    frames = [f for f in captured(pair, tmp_path, "right/net0") if f[12:14] == b"\x08\x00" and f[23] == 6]
    sent = [f for f in frames if f[6:12].hex(":") == MAC[1]]
    assert len(sent) > 65536 / 1448 and max(map(len, sent)) == 1514
    for f in sent:
        ip = f[14:14 + struct.unpack(">H", f[16:18])[0]]
        assert folded(ip[:20]) == 0xffff
        assert folded(ip[12:20] + struct.pack(">HH", 6, len(ip) - 20) + ip[20:]) == 0xffff
    assert int(pair.sh("ethtool -S eth0 | grep rx_csum_offload_good").split()[1]) > 0


def test_moderation_bounds_interrupts_and_frames_still_come(pair):
    def taken():
        """Interrupts of the receiving side, and when by its own clock, which is read first and last."""
        pair.focus(1)
        line = pair.sh("cat /proc/uptime; grep eth0-rx /proc/interrupts; cat /proc/uptime").split()
        return float(line[0]), int(line[3]), float(line[-2])

    def interrupts(usecs):
        """Of 200 frames, each with time to itself."""
        pair.sh(f"ethtool -C eth0 rx-usecs {usecs}")
        began, before, _ = taken()
        # Single ones may be lost in ping's small buffer.
        said = from_right(pair, "ping -c 200 -i 0.004 -q 10.0.0.1")
        assert int(re.search(r"(\d+) packets received", said)[1]) >= 190
        _, after, ended = taken()
        assert usecs == 0 or after - before <= (ended - began) * 1000000 / usecs + 2
        return after - before

    # On a machine with other work there may be 10 ms between any two frames.
    assert any(interrupts(0) > interrupts(10000) for _ in range(5))
    pair.sh("ethtool -C eth0 rx-usecs 3")


def test_the_link_goes_down_and_up(pair):
    for state, carrier, word in (("down", 0, "no"), ("up", 1, "yes")):
        pair.keel(f"net link left/net0 {state}")
        pair.focus(1)
        pair.sh(f"while [ $(cat /sys/class/net/eth0/carrier) != {carrier} ]; do sleep 0.1; done")
        assert f"Link detected: {word}" in pair.sh("ethtool eth0")
    reach(pair, "10.0.0.2", 1)


def test_frames_for_others_come_in_promiscuous_mode_only(pair):
    from_right(pair, f"arp -s 10.0.0.9 {STRANGER}")
    for mode, comes in (("off", False), ("on", True), ("off", False)):
        pair.sh(f"ip link set eth0 promisc {mode}")
        before, refused = seen(pair), unwanted(pair)
        from_right(pair, "ping -c 3 -i 0.1 -W 1 10.0.0.9")
        assert (unwanted(pair) - refused >= 3) != comes
        if comes:
            wait_until(lambda n=before: seen(pair) >= n + 3)


def wait_until(condition):
    """The driver reads its statistics now and then."""
    end = time.monotonic() + harness.REPLY_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_only_groups_that_it_is_in_come_through(pair):
    """IPv6 asks for an address in a group made of its last bytes; who has the address is in it."""
    from_right(pair, "ip -6 addr add fd00::2/64 dev eth0")
    pair.sh("ip -6 addr add fd00::1:1/64 dev eth0")
    from_right(pair, "until ping6 -c 1 -W 1 fd00::1:1; do true; done", check=True)
    refused = unwanted(pair)
    from_right(pair, "ping6 -c 1 -W 1 fd00::77:8899")
    assert unwanted(pair) > refused
    pair.sh("ifconfig eth0 allmulti")
    refused = unwanted(pair)
    from_right(pair, "ping6 -c 1 -W 1 fd00::77:8899")
    assert unwanted(pair) == refused
    pair.sh("ifconfig eth0 -allmulti")


def test_a_transfer_outlives_resets_and_a_new_driver(pair):
    from_right(pair, "dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null; for i in 1 2 3 4 5 6; do cat /tmp/r; done > /tmp/file",
               check=True)
    digest = serve(pair, 2, 78)
    pair.sh("(nc 10.0.0.2 78 < /dev/null > /tmp/got) & while [ ! -s /tmp/got ]; do usleep 20000; done; "
            "ethtool -r eth0; ip link set eth0 down; ip link set eth0 up; ethtool -G eth0 rx 80 tx 4096; pidof nc")
    pair.sh("cd /sys/bus/pci/drivers/e1000e; for f in 0000:*; do echo $f > unbind; echo $f > bind; done; "
            "ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up; cd")
    assert pair.sh("while pidof nc > /dev/null; do sleep 0.2; done; md5sum < /tmp/got; rm /tmp/got") == digest


def test_it_passes_its_drivers_self_test_while_others_send(pair):
    from_right(pair, "for i in 71 72 73 74; do (ping -i 0.2 10.0.0.$i > /dev/null 2>&1) & done; true")
    result = pair.sh("ethtool -t eth0 offline", check=False)
    assert "PASS" in result, result
    from_right(pair, "killall ping")
