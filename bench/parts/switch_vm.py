# SPDX-License-Identifier: Apache-2.0
"""vCPU switches: between vCPUs of one VM and of two, with and without floating-point registers in use."""
import os

from machine import CPUS, PAYLOAD, keel, keel_until, machine, parse_rows, vm
from table import cell, print_table

ROWS = {"switch": "vCPU of the same VM, half an IPI round trip", "switch_fp": "the same, both use FP",
        "preempt": "another VM's interrupt: switch there, handler, switch back", "preempt_fp": "the same, both use FP"}


def preempt(cpu, fp):
    payload = os.path.join(PAYLOAD, "preempt.bin")
    vms = [vm(role, payload, f"role={role}" + (" fp=1" if fp else ""), memory="4M", vcpus=[1], cpus=[1], **extra)
           for role, extra in (("timer", {"priority": [8]}), ("work", {}))]
    text = keel_until(machine(*vms), "BENCH-END", "--cpu", cpu, "--cpus", "2")
    return parse_rows("\n".join(line.split("| ")[-1] for line in text.splitlines()))["preempt"]


def measure():
    figures = {}
    for cpu in CPUS:
        figures[cpu] = parse_rows(keel(cpu, 1, 2, os.path.join(PAYLOAD, "bench.bin"), append="rows=switch,switch_fp"))
        figures[cpu].update({"preempt": preempt(cpu, False), "preempt_fp": preempt(cpu, True)})
    return figures


def report(figures, _base):
    print_table(["switches, instructions", *figures],
                [[title, *(cell(f[name]) for f in figures.values())] for name, title in ROWS.items()])
