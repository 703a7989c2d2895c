# SPDX-License-Identifier: Apache-2.0
"""A VM with more vCPUs than CPUs, whose vCPUs contend for locks: what helps, and by how much."""
import os
import re

from machine import CPUS, PAYLOAD, BenchError, keel_until, machine, vm
from table import cell, print_table

LOCKS_MS = 50

SETTINGS = {"off": {}, "preempt-delay-us = 100": {"preempt_delay_us": [100]}, "gang": {"gang": []},
            "both": {"preempt_delay_us": [100], "gang": []}}


def beside(neighbour):
    if not neighbour:
        return []
    return [vm("neighbour", os.path.join(PAYLOAD, "burn.bin"), "mode=spin", memory="4M", vcpus=[2], cpus=[0, 1])]


def spinlock(kind, neighbour, setting):
    """Times a lock was taken in a millisecond."""
    node = vm("guest", os.path.join(PAYLOAD, "locks.bin"), f"ms={LOCKS_MS} kind={kind}", memory="4M", vcpus=[4],
              cpus=[0, 1, 0, 1], **setting)
    text = keel_until(machine(node, *beside(neighbour)), "LOCKS-END", "--cpu", CPUS[0], "--cpus", "2")
    m = re.search(r"LOCKS (\d+) \d+", text)
    if not m:
        raise BenchError("no result in:\n" + text[-2000:])
    return round(int(m[1]) / LOCKS_MS)


def measure():
    return {name: {where: {kind: spinlock(kind, where == "beside", s) for kind in ("plain", "ticket")}
                   for where in ("alone", "beside")} for name, s in SETTINGS.items()}


def report(figures, _base):
    for where, title in (("alone", "4 vCPUs on 2 CPUs"), ("beside", "the same, beside a VM that burns both CPUs")):
        print_table([title, "spinlock, per ms", "ticket lock, per ms"],
                    [[name, *(cell(f[where][k]) for k in ("plain", "ticket"))] for name, f in figures.items()])
