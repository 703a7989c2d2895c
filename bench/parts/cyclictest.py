# SPDX-License-Identifier: Apache-2.0
"""How late a real-time guest wakes: cyclictest on Debian's -rt kernel, alone and beside a VM that is never done."""
import os
import re

from machine import BUILD, CPUS, PAYLOAD, BenchError, keel_until, machine, qemu, vm
from table import print_table

KERNEL = os.path.join(BUILD, "guest", "vmlinuz-rt")
INITRD = os.path.join(BUILD, "guest", "initrd-rt.gz")
LOOPS = 5000
INTERVAL_US = 200
PRIORITY = 20 # above the neighbour's 8, where they share
# Reading /dev/random waits until the kernel's generator is seeded: before, each system call hashes.
COMMAND = ("head -c 1 /dev/random >/dev/null; mkdir -p /dev/shm; "
           f"cyclictest -q -m -N -t 1 -p 90 -i {INTERVAL_US} -l {LOOPS} -h 200000 --histfile=/tmp/h >/dev/null; "
           "grep -v 000000$ /tmp/h; echo CYCLIC-END")
BOOTARGS = f'console=ttyAMA0 quiet keel.run="{COMMAND}"'

NEIGHBOURS = {"alone": None, "beside spin": "spin", "beside exits": "exits"}


def parse(text):
    """Minimum, average, 99.9 percentile and maximum of cyclictest's histogram, in nanoseconds."""
    counts = {int(m[1]): int(m[2]) for m in re.finditer(r"^(?:\w+\| )?(\d{6}) (\d{6})$", text, re.M)}
    overflows = re.search(r"Histogram Overflows: (\d+)", text)
    longest = re.search(r"Max Latencies: (\d+)", text)
    total = sum(counts.values())
    if not overflows or not longest or total + int(overflows[1]) != LOOPS:
        raise BenchError("not cyclictest's histogram:\n" + text[-2000:])
    late, p999 = 0, None
    for ns in sorted(counts, reverse=True): # the one that a thousandth is above
        late += counts[ns]
        if late + int(overflows[1]) > LOOPS // 1000:
            p999 = ns
            break
    return {"min": min(counts), "avg": round(sum(ns * n for ns, n in counts.items()) / total), "p999": p999,
            "max": int(longest[1])}


def on_keel(cpus, cpu, neighbour):
    vms = [vm("rt", KERNEL, BOOTARGS, INITRD, vcpus=[1], cpus=[cpu], priority=[PRIORITY])]
    if neighbour:
        vms.append(vm("neighbour", os.path.join(PAYLOAD, "burn.bin"), f"mode={neighbour}", memory="4M", vcpus=[1],
                      cpus=[0]))
    return parse(keel_until(machine(*vms), "CYCLIC-END", "--cpu", CPUS[0], "--cpus", str(cpus)))


def measure():
    text = qemu("virt,gic-version=3", "-cpu", CPUS[0], "-smp", "1", "-m", "256", "-kernel", KERNEL, "-initrd", INITRD,
                "-append", BOOTARGS.replace("CYCLIC-END", "; poweroff -f"))
    figures = {"no hypervisor": parse(text.replace("\r", ""))}
    for where, cpus, cpu in (("own CPU", 2, 1), ("shared CPU", 1, 0)):
        for name, neighbour in NEIGHBOURS.items():
            figures[f"{where}, {name}"] = on_keel(cpus, cpu, neighbour)
    return figures


def report(figures, _base):
    columns = ["min", "avg", "p999", "max"]
    print_table([f"cyclictest, {LOOPS} wake-ups, instructions late", "min", "average", "99.9 %", "max"],
                [[name, *(str(f[c]) for c in columns)] for name, f in figures.items()])
