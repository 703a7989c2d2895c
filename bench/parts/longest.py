# SPDX-License-Identifier: Apache-2.0
"""How long one instruction of a guest keeps Keel, with interrupts masked: what a better task may have to wait."""
import os
import re

from machine import CPUS, PAYLOAD, BenchError, keel
from table import print_table

ROWS = {"write": "longest write to a GIC register", "read": "longest read of a GIC register", "sgi": "SGI to all"}


def measure():
    figures = {}
    for vcpus in (1, 8):
        text = keel(CPUS[0], 1, vcpus, os.path.join(PAYLOAD, "longest.bin"))
        found = {m[1]: int(m[2]) for m in re.finditer(r"^LONGEST (\w+) (\d+) at", text, re.M)}
        if set(found) != set(ROWS):
            raise BenchError("not what longest.bin prints:\n" + text[-2000:])
        figures[str(vcpus)] = found
    return figures


def report(figures, _base):
    print_table(["masked at most, instructions", *(f"{n} vCPU{'s' if n != '1' else ''}" for n in figures)],
                [[title, *(str(f[name]) for f in figures.values())] for name, title in ROWS.items()])
