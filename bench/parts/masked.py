# SPDX-License-Identifier: Apache-2.0
"""For how long Keel keeps interrupts masked while guests do much I/O, and where: a plugin of QEMU's looks at each block of
instructions (bench/plugin/masked.c)."""
import bisect
import collections
import os
import subprocess
import tempfile
import time

from machine import BUILD, machine, vm
from parts.net import Peer
from stock import KERNEL, Guests, initrd
from table import print_table

KEEL_ELF = os.path.join(BUILD, "keel.elf")
LOADED_AT = 0x40200000 # by QEMU
LEAST = 2000
ROWS_MAX = 12
DISK_MIB = 16
E1000E = ("insmod /modules/e1000e.ko; until [ -e /sys/class/net/{0} ]; do sleep 0.1; done; ip link set {0} up; "
          "ip addr add {1}/24 dev {0}; until [ $(cat /sys/class/net/{0}/carrier) = 1 ]; do sleep 0.1; done")
UP = "ip link set {0} up; ip addr add {1}/24 dev {0}; "
DD = "dd if={} of={} bs=1M count=8 {}flag=direct 2>/dev/null"

BOTH = 'lan { compatible = "keel,net"; network = "lan"; }; '
LEFT = ('wan0 { compatible = "keel,net"; network = "wan0"; }; wan1 { compatible = "keel,net"; network = "wan1"; }; '
        f'ram {{ compatible = "keel,disk"; size = "{DISK_MIB}M"; }}; disk {{ compatible = "keel,disk"; device = "one"; }}; '
        'nvme { compatible = "keel,disk"; device = "two"; }; ')
LAST = 'old { compatible = "keel,net"; network = "old"; io = "emulated"; }; '
QEMU = ("-icount", "shift=0,sleep=on", "-netdev", "user,id=a", "-device", "virtio-net-pci,netdev=a,romfile=",
        "-netdev", "user,id=b,net=10.0.3.0/24", "-device", "igb,netdev=b",
        "-drive", "if=none,id=d,format=raw,file={0}", "-device", "virtio-blk-pci,drive=d,disable-legacy=on,serial=one",
        "-drive", "if=none,id=e,format=raw,file={1}", "-device", "nvme,drive=e,serial=two",
        "-object", "rng-builtin,id=r0", "-device", "virtio-rng-pci,rng=r0,disable-legacy=on")


def node(name, path, cid, devices):
    devices = (f'devices {{ serial {{ compatible = "arm,pl011"; }}; {devices} console {{ compatible = "keel,console"; }}; '
               f'random {{ compatible = "keel,rng"; }}; balloon {{ compatible = "keel,balloon"; }}; '
               f'socket {{ compatible = "keel,vsock"; cid = <{cid}>; group = "lab"; }}; }};')
    return vm(name, KERNEL, "console=ttyAMA0 quiet", path, vcpus=[1], populate="demand").replace("autostart;", f"autostart; {devices}")


def loads(peer):
    """What the first guest does. The second has peers for all of it."""
    disks = {"memory": "vda", "the host's virtio-blk": "vdb", "the host's NVMe": "vdc"}
    outside = {what: peer.address(what) for what in ("tcp", "send", "burst")}
    for name, to in (("virtio-net", "10.0.0.2"), ("82574L", "10.0.1.2")):
        yield f"{name} to {name}, TCP", f"netload tcp {to} 5000 256"
        yield f"{name} to {name}, UDP", f"netload send {to} 5000 3000; netload burst {to} 5000 3000"
    for name, net in (("virtio-net", 2), ("igb", 3)):
        at = {what: address.replace("10.0.2.2", f"10.0.{net}.2") for what, address in outside.items()}
        yield f"virtio-net to the host's {name}", \
            f"netload tcp {at['tcp']} 128; netload send {at['send']} 2000; netload burst {at['burst']} 2000"
    for name, disk in disks.items():
        yield f"disk on {name}", (f"io /dev/{disk} 2000 32; " + DD.format(f"/dev/{disk}", "/dev/null", "i") + "; " +
                                  DD.format("/dev/zero", f"/dev/{disk}", "o"))
    yield "vsock", "sock send 4 5000 128; sock trip 4 5000 100"
    yield "console and randomness", ("yes $(seq 100) | head -n 100 > /dev/hvc0; "
                                     "dd if=/dev/hwrng of=/dev/null bs=4k count=8 2>/dev/null")


MANAGEMENT = {
    "balloon of 128 MiB": ("vm balloon right 128M",),
    "dirty log": ("vm dirty right start", "vm dirty right", "vm dirty right stop"),
    "a VM stops and starts": ("vm stop right now", "vm start right"),
}


class Places:
    """Where an address is in Keel."""

    def __init__(self):
        text = subprocess.run(["llvm-nm", "-n", "--defined-only", KEEL_ELF], capture_output=True, text=True, check=True).stdout
        symbols = [line.split() for line in text.splitlines()]
        symbols = [(int(a, 16), name) for a, kind, name in symbols if kind in "tT" and not name.startswith("$")]
        self._at = [a for a, _ in symbols]
        self._names = [name for _, name in symbols]

    def address(self, name):
        return LOADED_AT + self._at[self._names.index(name)]

    def name(self, address):
        return self._names[bisect.bisect(self._at, address - LOADED_AT) - 1]


class Stretches:
    """What the plugin has written since the last look."""

    def __init__(self, path, places):
        self._file = open(path, encoding="ascii")
        self._places = places

    def look(self):
        """{function that most of it was in: [longest, how many, its functions]}"""
        found = {}
        for line in iter(self._file.readline, ""):
            _, total, *blocks = line.split()
            ran = collections.Counter()
            for block in blocks:
                at, instructions = block.split("*")
                ran[self._places.name(int(at, 16))] += int(instructions)
            most = ran.most_common(4)
            place = found.setdefault(most[0][0], [0, 0, ""])
            place[1] += 1
            if int(total) > place[0]:
                place[0] = int(total)
                place[2] = ", ".join(f"{name} {n}" for name, n in most)
        return found


def arguments(place, places, log):
    path = os.path.join(place, "masked.so")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path,
                    os.path.join(os.path.dirname(__file__), "..", "plugin", "masked.c")], check=True)
    return (f"{path},from={LOADED_AT},to={places.address('_text_end')},asks={places.address('arch_vcpu_take_irqs')},"
            f"least={LEAST},out={log}")


def measure():
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        path = initrd(place, "tests/guest/netload.c", "bench/guest/io.c", "bench/guest/sock.c")
        images = [os.path.join(place, name) for name in ("one", "two")]
        for image in images:
            with open(image, "wb") as f:
                f.truncate(DISK_MIB << 20)
        places, log = Places(), os.path.join(place, "masked")
        dts = machine(node("left", path, 3, BOTH + LEFT + LAST), node("right", path, 4, BOTH + LAST)).replace(
            "vms {", 'networks { wan0 { uplink = "net0"; }; wan1 { uplink = "net1"; }; }; vms {', 1)
        guests = Guests(dts, ["left", "right"], *(a.format(*images) for a in QEMU), "-plugin",
                        arguments(place, places, log))
        try:
            guests.sh(UP.format("eth0", "10.0.0.2") + E1000E.format("eth1", "10.0.1.2"))
            guests.sh("netload peer 10.0.0.2 5000 0 &")
            guests.sh("netload peer 10.0.1.2 5000 0 &")
            guests.sh("sock listen 5000 &")
            guests.machine.focus(1)
            guests.sh(UP.format("eth0", "10.0.0.1") + UP.format("eth1", "10.0.2.15") + UP.format("eth2", "10.0.3.15") +
                      E1000E.format("eth3", "10.0.1.1"))
            stretches = Stretches(log, places)
            stretches.look()
            for name, command in loads(Peer()):
                guests.sh(command)
                figures[name] = stretches.look()
            for name, commands in MANAGEMENT.items():
                for command in commands:
                    guests.machine.keel(command)
                time.sleep(1)
                figures[name] = stretches.look()
            guests.machine.boot()
            figures["a VM boots"] = stretches.look()
        finally:
            guests.close()
    return figures


def report(figures, _base):
    rows = []
    for load, found in figures.items():
        best = sorted(found.items(), key=lambda f: -f[1][0])[:ROWS_MAX]
        rows += [[load if i == 0 else "", str(longest), str(count), text] for i, (_, (longest, count, text)) in enumerate(best)]
    print_table(["interrupts masked at once", "instructions", f"times over {LEAST}", "mostly in"], rows)
