# SPDX-License-Identifier: Apache-2.0
"""A stock Debian guest on Keel with one CPU, and what its work costs: instructions in the guest and in Keel, exits,
interrupts of the device."""
import gzip
import os
import re
import subprocess
import sys
import tempfile

from machine import BUILD, CPUS, TOP, BenchError

sys.path.append(os.path.join(TOP, "tests", "system"))
import harness # noqa: E402

KERNEL = os.path.join(BUILD, "guest", "vmlinuz")
COLUMNS = ("guest", "keel", "exits", "interrupts")


def initrd(place, *sources):
    """The ready one and programs: C files below TOP, which become commands of their names."""
    root = os.path.join(place, "root")
    os.makedirs(os.path.join(root, "bin"))
    names = ["bin"]
    for source in sources:
        names.append("bin/" + os.path.basename(source)[:-2])
        subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
                        os.path.join(root, names[-1]), os.path.join(TOP, source)], check=True)
    more = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input="\n".join(names).encode() + b"\n", cwd=root,
                          capture_output=True, check=True).stdout
    path = os.path.join(place, "initrd.gz")
    with open(os.path.join(BUILD, "guest", "initrd-io.gz"), "rb") as base, open(path, "wb") as out:
        out.write(base.read() + gzip.compress(more, mtime=0))
    return path


class Guests:
    """The VMs of a configuration, each with our initrd."""

    def __init__(self, dts, vms, *qemu):
        self._vms = vms
        self._file = tempfile.NamedTemporaryFile("w", suffix=".dts")
        self._file.write(dts)
        self._file.flush()
        self.machine = harness.Machine("--icount", "--cpu", CPUS[0], "--cpus", 1, self._file.name, "--", "-append",
                                       "count-instructions", *qemu)
        for _ in vms:
            self.machine.boot()
        for i in range(len(vms)):
            if i > 0: # the first has the input; asked for again, its next port would get it
                self.machine.focus(i + 1)
            # Seeds the kernel's random generator: before, each request stirs it.
            self.sh("head -c 1 /dev/random > /dev/null")

    def sh(self, command):
        return self.machine.sh(command, harness.BOOT_S)

    def counters(self, device):
        """All so far, but of the instructions: since the last time. Leaves the input with the first guest."""
        cost = re.search(r"^\s*0\s+(\d+)\s+(\d+)\s*$", self.machine.keel("cost"), re.M)
        if not cost:
            raise BenchError("Keel's shell does not count")
        exits = taken = 0
        for i, vm in reversed(list(enumerate(self._vms))):
            exits += sum(map(int, re.findall(r"^\s*\S+\s+(\d+)\s*$", self.machine.keel(f"exits {vm}"), re.M)))
            self.machine.focus(i + 1)
            taken += sum(map(int, re.findall(rf"^ *\d+: +(\d+) .*\b{device}", self.sh("cat /proc/interrupts"), re.M)))
        return int(cost[1]), int(cost[2]), exits, taken

    def _once(self, command, device):
        _, _, *before = self.counters(device)
        self.machine.keel("cost")
        self.machine.focus(1)
        self.sh(command)
        guest, keel, *after = self.counters(device)
        return [guest, keel, *(b - a for a, b in zip(before, after))]

    def cost(self, device, command, less, more, units):
        """For each of `units`, by COLUMNS: what the command costs with `more` in its place {} beyond that with `less`. So
        what goes with a command as such is in both, and falls out. `device` names its interrupts."""
        short, long = (self._once(command.format(n), device) for n in (less, more))
        return dict(zip(COLUMNS, ((b - a) / units for a, b in zip(short, long))))

    def close(self):
        self.machine.kill()
        self._file.close()


def figure(column, value):
    return f"{value:,.0f}" if column in ("guest", "keel") else f"{value:.2f}"
