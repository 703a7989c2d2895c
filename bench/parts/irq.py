# SPDX-License-Identifier: Apache-2.0
"""An SGI to one of several vCPUs and to all others, and many interrupts pending at once."""
import os
import tempfile

from machine import CPUS, KEEL, PAYLOAD, BenchError, keel, parse_rows, run
from table import cell, print_table

PAYLOAD_BIN = os.path.join(PAYLOAD, "bench-irq.bin")
VCPUS = [2, 4, 8]
PENDING = [32, 128, 512, 988]
KINDS = {"pending": "equal priorities", "pending_prio": "20 priorities", "pending_any": "1-of-N"}
MACHINE = """/dts-v1/;
/ {{
    compatible = "keel,machine";
    on-last-stop = "poweroff";
    vms {{
        bench {{
            vcpus = <1>;
            memory = "64M";
            spis = <988>;
            kernel = "{kernel}";
            autostart;
        }};
    }};
}};
"""


def measure():
    figures = {}
    for cpu in CPUS:
        rows = {}
        for n in VCPUS:
            rows.update(parse_rows(keel(cpu, n, n, PAYLOAD_BIN)))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "machine.dts")
            with open(path, "w", encoding="utf-8") as f:
                f.write(MACHINE.format(kernel=PAYLOAD_BIN))
            rows.update(parse_rows(run([KEEL, "run", "--quiet", "--icount", "--cpu", cpu, "--cpus", "1", path])))
        wanted = [f"{kind}_{n}" for kind in ("ipi_one", "ipi_all") for n in VCPUS] + [f"{k}_{n}" for k in KINDS for n in PENDING]
        missing = [name for name in wanted if name not in rows]
        if missing:
            raise BenchError(f"{cpu}: no figures for {', '.join(missing)}")
        figures[cpu] = {name: rows[name] for name in wanted}
    return figures


def report(figures, _):
    rows = [[f"SGI to one, of {n} vCPUs", *(cell(figures[c][f"ipi_one_{n}"]) for c in CPUS)] for n in VCPUS]
    rows += [[f"SGI to all {n - 1} others, each", *(cell(figures[c][f"ipi_all_{n}"]) for c in CPUS)] for n in VCPUS]
    rows += [[f"of {n} pending, {title}", *(cell(figures[c][f"{kind}_{n}"]) for c in CPUS)]
             for kind, title in KINDS.items() for n in PENDING]
    print_table(["instructions for each interrupt", *CPUS], rows)
