# SPDX-License-Identifier: Apache-2.0
"""Debian's newer kernel, which knows of virtio what the older one does not: large UDP frames, in and out."""
import pathlib
import socket
import struct
import subprocess

import harness
import pytest
from machines import machine, vm
from test_82574 import captured, folded
from test_emulated import load, with_devices
from test_network import counters

PORT = 5000
SENDER, PEER, OLDER, CARD = 1, 2, 3, 4
NAMES = {SENDER: "sender", PEER: "peer", OLDER: "older", CARD: "card"}
HOST = "10.0.2.2" # of QEMU's user network
SIZES = ((1448, 300), (100, 1500), (15, 200)) # bytes, datagrams; an answer has 12
MTU = 1500


def address(index):
    return f"10.0.2.{14 + index}"


def configuration(new, old):
    """Two guests alike, one with the older kernel, one with another NIC; and a way out."""
    def guest(index, kernel, initrd, io):
        return with_devices(vm(NAMES[index], kernel=kernel, initrd=initrd, memory="256M"), ("serial", 'compatible = "arm,pl011";'),
                            ("net0", f'compatible = "keel,net"; network = "lan"; io = "{io}";'))

    text = machine(guest(SENDER, harness.VMLINUZ_NEW, new, "virtio"), guest(PEER, harness.VMLINUZ_NEW, new, "virtio"),
                   guest(OLDER, harness.VMLINUZ, old, "virtio"), guest(CARD, harness.VMLINUZ_NEW, new, "emulated"))
    return text.replace("vms {", 'networks { lan { uplink = "net0"; }; };\n    vms {', 1)


@pytest.fixture
def outside(tmp_path):
    """The receiver on the test's side: its port."""
    program = tmp_path / "segments"
    subprocess.run(["gcc", "-O2", "-o", program, pathlib.Path(__file__).parent.parent / "guest" / "segments.c"], check=True)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with subprocess.Popen([program, "receive", str(port)]) as process:
        yield port
        process.kill()


def frames_of(path):
    """A pcap file's."""
    data, at, frames = path.read_bytes(), 24, []
    while at + 16 <= len(data):
        stored = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + stored])
        at += 16 + stored
    return frames


def check_wire(frames, size, count, summed=True):
    """All datagrams in frames of their own, the last one shorter, with right sums and numbers; `summed`: UDP's too."""
    seen, numbers = set(), set()
    for f in frames:
        v6 = f[12:14] == b"\x86\xdd"
        ip = f[14:14 + 40 + struct.unpack(">H", f[18:20])[0]] if v6 else f[14:14 + struct.unpack(">H", f[16:18])[0]]
        if f[12:14] not in (b"\x08\x00", b"\x86\xdd") or ip[6 if v6 else 9] != 17:
            continue
        udp = ip[40:] if v6 else ip[20:]
        if len(udp) not in (8 + size, 8 + size - 1):
            continue
        pseudo = (ip[8:40] if v6 else ip[12:20]) + struct.pack(">HH", 17, len(udp))
        assert not summed or (folded(pseudo + udp) == 0xffff and udp[6:8] != b"\0\0")
        assert struct.unpack(">H", udp[4:6])[0] == len(udp)
        number, length = struct.unpack(">II", udp[8:16])
        assert length == len(udp) - 8
        seen.add(number)
        if not v6:
            assert folded(ip[:20]) == 0xffff
            numbers.add((ip[4:6], number))
    assert seen == set(range(count))
    return numbers


def count(keel, port, *names):
    seen = counters(keel, port)
    keel.focus(SENDER)
    return [int(seen[n]) for n in names]


def send(keel, target, port, size, datagrams):
    assert f"{datagrams} datagrams answered" in keel.sh(f"segments send {target} {port} {size} {datagrams}")


def test_large_udp_frames_stay_whole_for_who_takes_them_and_are_cut_rightly_for_others(start, write_dts, with_programs, outside, tmp_path):
    new, old = (with_programs("segments", base=base) for base in (harness.INITRD_NEW, harness.BUILD / "guest" / "initrd-net.gz"))
    dump = tmp_path / "wire"
    keel = start(write_dts(configuration(new, old)), "--", "-netdev", "user,id=net0",
                 "-device", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile=",
                 "-object", f"filter-dump,id=dump,netdev=net0,file={dump},maxlen=2000")
    for _ in NAMES:
        keel.boot()
    for index in (CARD, OLDER, PEER, SENDER):
        keel.focus(index)
        if index == CARD:
            load(keel, "e1000e")
        keel.sh(f"dmesg -n 1; ip addr add {address(index)}/24 dev eth0; ip -6 addr add fd00::{index}/64 dev eth0; ip link set eth0 up")
        if index != SENDER:
            keel.sh(f"segments receive {PORT} < /dev/null &")
    for index in (PEER, OLDER, CARD):
        keel.sh(f"until ping6 -c 1 -W 1 fd00::{index} > /dev/null; do true; done")
    keel.sh("ethtool -K eth0 tx-udp-segmentation on") # Linux does not begin with it
    assert "tx-udp-segmentation: on" in keel.sh("ethtool -k eth0")
    for target in (address(PEER), "fd00::2"):
        for size, datagrams in SIZES:
            large, taken = count(keel, "sender/net0", "sent_large"), count(keel, "peer/net0", "received")
            send(keel, target, PORT, size, datagrams)
            assert count(keel, "sender/net0", "sent_large")[0] - large[0] >= datagrams * size // 60000
            assert count(keel, "peer/net0", "received")[0] - taken[0] < datagrams // 4
    assert count(keel, "peer/net0", "cut")[0] == 0 and count(keel, "peer/net0", "received_large")[0] > 0
    for index, port in ((OLDER, "older/net0"), (CARD, "card/net0")):
        for target in (address(index), f"fd00::{index}"):
            for size, datagrams in SIZES:
                send(keel, target, PORT, size, datagrams)
            keel.keel(f"net capture {port} on")
            keel.focus(SENDER)
            send(keel, target, PORT, 1000, 59)
            # A virtio driver is told that what is not summed is right.
            check_wire(captured(keel, tmp_path, port), 1000, 59, index == CARD)
        cut, large = count(keel, port, "cut", "received_large")
        assert cut > 0 and large == 0
    for size, datagrams in SIZES:
        send(keel, HOST, outside, size, datagrams)
    numbers = [check_wire(frames_of(dump), *what) for what in SIZES]
    assert [len(n) for n in numbers] == [datagrams for _, datagrams in SIZES]
    assert max(map(len, frames_of(dump))) <= 14 + MTU
    # Who wishes for no large frames any more gets none, and the answers still come.
    keel.focus(PEER)
    keel.sh("ethtool -K eth0 rx-gro-hw off")
    large = count(keel, "peer/net0", "received_large")
    send(keel, address(PEER), PORT, 1448, 300)
    assert count(keel, "peer/net0", "cut")[0] > 0 and count(keel, "peer/net0", "received_large") == large
    for name in NAMES.values():
        assert count(keel, f"{name}/net0", "refused") == [0]
