# SPDX-License-Identifier: Apache-2.0
"""What the small virtio devices cost, two stock Debian guests doing the work: randomness from the host's virtio-rng, lines on
the console, stream sockets from guest to guest."""
import tempfile

from machine import machine, vm
from stock import COLUMNS, KERNEL, Guests, figure, initrd
from table import print_table

HOST = ("-icount", "shift=0,sleep=on", "-object", "rng-builtin,id=r0", "-device", "virtio-rng-pci,rng=r0,disable-legacy=on")
LINE = "x" * 63
# What it is called, the command, with less, with more, and how many units that is more.
WORK = {
    "4 KiB of /dev/hwrng": ("dd if=/dev/hwrng of=/dev/null bs=4k count={} 2>/dev/null", 2, 18, 16),
    "line of 64 bytes to hvc0": (f"yes {LINE} | head -n {{}} > /dev/hvc0", 5, 35, 30),
    "write of 64 bytes to a port": ("dd if=/dev/zero of=/dev/$PORT bs=64 count={} 2>/dev/null", 10, 110, 100),
    "64 bytes by vsock, there and back": ("sock trip 4 5000 {}", 20, 220, 200),
    "1 MiB by vsock": ("sock send 4 5000 {}", 16, 144, 8),
}


def node(name, path, cid):
    devices = ('devices { serial { compatible = "arm,pl011"; }; random { compatible = "keel,rng"; bytes-per-second = <16777216>; }; '
               'console { compatible = "keel,console"; ports = "agent"; }; '
               f'socket {{ compatible = "keel,vsock"; cid = <{cid}>; group = "lab"; }}; }};')
    return vm(name, KERNEL, "console=ttyAMA0 quiet", path, vcpus=[1]).replace("autostart;", f"autostart; {devices}")


def measure():
    with tempfile.TemporaryDirectory() as place:
        path = initrd(place, "bench/guest/sock.c")
        guests = Guests(machine(node("first", path, 3), node("second", path, 4)), ["first", "second"], *HOST)
        try:
            guests.sh("sock listen 5000 &") # the second has the input still
            guests.machine.focus(1)
            guests.sh("PORT=$(basename $(dirname $(grep -l agent /sys/class/virtio-ports/*/name)))")
            return {name: guests.cost("virtio", *work) for name, work in WORK.items()}
        finally:
            guests.close()


def report(figures, _):
    print_table(["each", "guest", "Keel", "exits", "interrupts"],
                [[name, *(figure(c, f[c]) for c in COLUMNS)] for name, f in figures.items()])
