# SPDX-License-Identifier: Apache-2.0
"""A vCPU switch by what both vCPUs use of the CPU: nothing, FP, SVE of 2048 bits, counters, breakpoints."""
import os

from machine import CPUS, PAYLOAD, keel, parse_rows
from table import cell, print_table

USES = ("none", "fp", "sve", "pmu", "debug")
SVE_CPU = "max" # slow to emulate, and the only one with SVE


def measure():
    def cost(cpu, use):
        return parse_rows(keel(cpu, 1, 2, os.path.join(PAYLOAD, "switch.bin"), f"use={use}"))[f"switch_{use}"]

    return {cpu: {use: cost(cpu, use) for use in USES if use != "sve" or cpu == SVE_CPU} for cpu in (*CPUS, SVE_CPU)}


def report(figures, baselines):
    del baselines
    print_table(["vCPU switch; both use", *figures],
                [[use, *(cell(figures[cpu].get(use)) for cpu in figures)] for use in USES])
