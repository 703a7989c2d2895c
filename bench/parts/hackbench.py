# SPDX-License-Identifier: Apache-2.0
"""A stock guest that is heavy on locks and wake-ups, with more vCPUs than CPUs: hackbench on Debian's kernel."""
import os
import re

from machine import BUILD, CPUS, BenchError, keel_until, machine, vm
from table import cell, print_table

KERNEL = os.path.join(BUILD, "guest", "vmlinuz")
INITRD = os.path.join(BUILD, "guest", "initrd-rt.gz")
RUNS = 9
HACKBENCH = "hackbench -g 2 -f 4 -l 300"
COMMAND = f"head -c 1 /dev/random >/dev/null; for i in $(seq {RUNS}); do {HACKBENCH}; done; echo HACK-END"
BOOTARGS = f'console=ttyAMA0 quiet keel.run="{COMMAND}"'
UNTOLD = {"pv-time": "off"}
SETTINGS = {"off": UNTOLD, "pv-time": {}, "preempt-delay-us = 100": {"preempt_delay_us": [100], **UNTOLD},
            "gang": {"gang": [], **UNTOLD}, "all": {"preempt_delay_us": [100], "gang": []}}


def hackbench(setting):
    """Milliseconds that each run took, sorted."""
    node = vm("guest", KERNEL, BOOTARGS, INITRD, vcpus=[4], cpus=[0, 1, 0, 1], **setting)
    text = keel_until(machine(node), "HACK-END", "--cpu", CPUS[0], "--cpus", "2")
    took = sorted(round(1000 * float(s)) for s in re.findall(r"Time: ([\d.]+)", text))
    if len(took) != RUNS:
        raise BenchError("not what hackbench prints:\n" + text[-2000:])
    return took


def measure():
    return {name: hackbench(s) for name, s in SETTINGS.items()}


def report(figures, _base):
    print_table([f"{HACKBENCH}, ms, {RUNS} runs of 4 vCPUs on 2 CPUs", "shortest", "median", "mean", "longest"],
                [[name, *map(cell, (f[0], f[RUNS // 2], sum(f) / RUNS, f[-1]))] for name, f in figures.items()])
