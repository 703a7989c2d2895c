# SPDX-License-Identifier: Apache-2.0
"""Memory that a guest gives back by its balloon: what that costs in all, and what the next touch does."""
import os
import subprocess
import tempfile

from machine import CPUS, KEEL, PAYLOAD, TIMEOUT_S, TOP, BenchError, machine, parse_rows, vm
from table import cell, print_table

ROWS = {"inflate_run": "a page, of 256 that follow each other", "again_run": "its first touch again",
        "inflate_scattered": "a page, of 256 that do not", "again_scattered": "its first touch again",
        "report_2m": "2 MiB, reported free", "again_2m": "its first touch again"}
DEVICES = ('devices { serial { compatible = "arm,pl011"; }; '
           'balloon { compatible = "keel,balloon"; transport = "mmio"; }; };')


def measure():
    node = vm("guest", os.path.join(PAYLOAD, "balloon.bin"), "", vcpus=[1], populate="demand")
    with tempfile.NamedTemporaryFile("w", suffix=".dts") as f:
        f.write(machine(node.replace("autostart;", f"autostart; {DEVICES}")))
        f.flush()
        out = subprocess.run([KEEL, "run", "--quiet", "--icount", "--cpu", CPUS[0], "--cpus", "1", f.name], cwd=TOP,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    text = out.stdout.decode(errors="replace").replace("\r", "")
    rows = parse_rows(text)
    if "BALLOON 0 failed" not in text or set(rows) != set(ROWS):
        raise BenchError("the balloon's guest says:\n" + text[-2000:])
    return {"balloon": {name: round(cost) for name, cost in rows.items()}}


def report(figures, _base):
    print_table(["memory given back, each", "instructions in all"],
                [[text, cell(figures["balloon"][name])] for name, text in ROWS.items()])
