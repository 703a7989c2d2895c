# SPDX-License-Identifier: Apache-2.0
"""Exits and interrupts on a host with a GICv2, whose guests have one."""
import os

from machine import PAYLOAD, BenchError, keel, parse_rows
from table import cell, print_table

CPUS = ["cortex-a72", "cortex-a53"]
ROWS = {"mmio_gicd": "MMIO read, GICD_IIDR", "eoi": "EOI", "ipi": "IPI, target running", "ipi_wfi": "IPI, target in WFI",
        "timer": "timer, set to handler", "switch": "vCPU switch (half an IPI round trip)"}


def measure():
    figures = {}
    for cpu in CPUS:
        payload = os.path.join(PAYLOAD, "bench-gicv2.bin")
        rows = parse_rows(keel(cpu, 2, 2, payload, gic=2))
        rows.update(parse_rows(keel(cpu, 1, 2, payload, append="rows=switch", gic=2)))
        if set(rows) != set(ROWS):
            raise BenchError(f"{cpu}: rows {', '.join(rows)}")
        figures[cpu] = rows
    return figures


def report(figures, _base):
    print_table(["GICv2, instructions", *figures],
                [[title, *(cell(f[name]) for f in figures.values())] for name, title in ROWS.items()])
