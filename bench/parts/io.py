# SPDX-License-Identifier: Apache-2.0
"""What a disk's request costs in the guest and in Keel, and how many exits and interrupts: stock Debian, Linux AIO."""
import gzip
import os
import re
import subprocess
import sys
import tempfile

from machine import BUILD, CPUS, TOP, BenchError, machine, vm
from table import print_table

sys.path.append(os.path.join(TOP, "tests", "system"))
import harness # noqa: E402

KERNEL = os.path.join(BUILD, "guest", "vmlinuz")
IMAGE = KERNEL # what the disk holds is of no interest, but that it is something
COUNT = 2000
DEPTHS = (1, 32)

# A disk of the VM: properties of its node.
DISKS = {
    "RAM disk, virtio-pci, packed": f'image = "{IMAGE}";',
    "RAM disk, virtio-pci, split": f'image = "{IMAGE}"; ring = "split";',
    "RAM disk, virtio-mmio, packed": f'image = "{IMAGE}"; transport = "mmio";',
}


def initrd(place):
    """The ready one and the program that reads."""
    os.mkdir(os.path.join(place, "bin"))
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", f"{place}/bin/io",
                    os.path.join(TOP, "bench", "guest", "io.c")], check=True)
    more = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"bin\nbin/io\n", cwd=place,
                          capture_output=True, check=True).stdout
    path = os.path.join(place, "initrd.gz")
    with open(os.path.join(BUILD, "guest", "initrd-io.gz"), "rb") as base, open(path, "wb") as out:
        out.write(base.read() + gzip.compress(more))
    return path


class Guest:
    """A stock guest on one CPU, and what a command in it costs."""

    def __init__(self, dts, *args):
        self._file = tempfile.NamedTemporaryFile("w", suffix=".dts")
        self._file.write(dts)
        self._file.flush()
        self._machine = harness.Machine("--icount", "--cpu", CPUS[0], "--cpus", 1, *args, self._file.name, "--", "-append",
                                        "count-instructions")
        self._machine.boot()
        # seeds the kernel's random generator: before, each request stirs it
        self._machine.sh("head -c 1 /dev/random > /dev/null")

    def _counters(self):
        cost = re.search(r"^\s*0\s+(\d+)\s+(\d+)\s*$", self._machine.keel("cost"), re.M)
        exits = sum(int(n) for n in re.findall(r"^\S+\s+\S+\s+(\d+)$", self._machine.keel("exits"), re.M))
        if not cost:
            raise BenchError("the CPU does not count")
        return int(cost[1]), int(cost[2]), exits

    def _once(self, command):
        _, _, before = self._counters()
        self._machine.keel("cost")
        self._machine.focus(1)
        self._machine.sh(command)
        guest, keel, after = self._counters()
        return guest, keel, after - before

    def cost(self, command, count):
        """Instructions in the guest, in Keel, and exits, each for one of `count`: typing and starting it is taken off."""
        full, empty = (self._once(command.format(n)) for n in (count, 0))
        return [round((a - b) / count, 3) for a, b in zip(full, empty)]

    def close(self):
        self._machine.kill()
        self._file.close()


def disk(properties, path, *args):
    devices = ('devices { serial { compatible = "arm,pl011"; }; '
               f'disk {{ compatible = "keel,disk"; {properties} }}; }};')
    node = vm("guest", KERNEL, "console=ttyAMA0 quiet", path, vcpus=[1])
    guest = Guest(machine(node.replace("autostart;", f"autostart; {devices}")), *args)
    try:
        guest.cost("io /dev/vda {} 1", 200) # warm
        return {str(depth): guest.cost(f"io /dev/vda {{}} {depth}", COUNT) for depth in DEPTHS}
    finally:
        guest.close()


def measure():
    with tempfile.TemporaryDirectory() as place:
        path = initrd(place)
        return {name: disk(properties, path) for name, properties in DISKS.items()}


def report(figures, base):
    header = [f"4 KiB read at depth {' / '.join(map(str, DEPTHS))}, for each", "guest", "Keel", "exits"]
    rows = []
    for name, f in figures.items():
        rows.append([name, *(" / ".join(f"{f[str(d)][i]:,.{2 * (i == 2)}f}" for d in DEPTHS) for i in range(3))])
    for name, cells in base["io"]["disk"].items():
        rows.append([name, *cells])
    print_table(header, rows)
