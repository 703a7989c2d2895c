# SPDX-License-Identifier: Apache-2.0
"""Notes of what a VM writes: what a write costs more by them, and what it costs to look."""
import os
import re
import subprocess
import tempfile
import threading

from machine import CPUS, KEEL, PAYLOAD, TIMEOUT_S, TOP, BenchError, machine, vm
from table import cell, print_table

PAGES = 2048 # four blocks
TICK = 16    # instructions, at 62.5 MHz
HOW = {"by the CPU": (CPUS[0], "start"), "by faults": (CPUS[0], "start-by-fault"),
       "by faults, a55": (CPUS[1], "start-by-fault")}
SHELL, GUEST = "\x1dk\r", "\x1d1"


class Session:
    """A machine with one VM, `d`: things typed, and what they bring on the console."""

    def __init__(self, dts, *args):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".dts")
        self.file.write(dts)
        self.file.flush()
        self.child = subprocess.Popen([KEEL, "run", "--icount", *args, self.file.name], cwd=TOP, bufsize=0,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.timer = threading.Timer(TIMEOUT_S, self.child.terminate)
        self.timer.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        self.child.terminate()
        self.child.wait()
        self.file.close()

    def ask(self, typed, pattern):
        self.child.stdin.write(typed.encode())
        seen = ""
        while not (m := re.search(pattern, seen)):
            byte = self.child.stdout.read(1)
            if not byte:
                raise BenchError(f"no {pattern!r} in:\n" + seen[-2000:])
            seen += byte.decode(errors="replace")
        return m

    def write(self):
        """Instructions for PAGES writes, each to another page."""
        return int(self.ask(GUEST + "m", r"DIRTY \d+ pages in (\d+) ticks\r")[1]) * TICK

    def shell(self, command, pattern="keel> "):
        return self.ask(f"{SHELL}{command}\r", re.escape(command) + r"[\s\S]*?" + pattern)

    def look(self):
        """Pages that were written, and the instructions it took to find them."""
        m = self.shell("vm dirty d", r"(\d+) pages \(\d+K\) written in \d+ ms, found in (\d+) us[\s\S]*?keel> ")
        return int(m[1]), int(m[2]) * 1000


def configuration(**properties):
    return machine(vm("d", os.path.join(PAYLOAD, "dirty.bin"), f"pages={PAGES}", vcpus=[1], cpus=[0], **properties))


def writes(cpu, start):
    with Session(configuration(), "--cpu", cpu, "--cpus", "2") as s:
        s.ask("", "DIRTY ready")
        s.write()
        plain = s.write()
        s.shell(f"vm dirty d {start}")
        split = s.write()
        s.look()
        first = s.write()
        again = s.write()
    return {"plain": plain, "split": round((split - first) / (PAGES / 512)), "first": (first - plain) / PAGES,
            "again": (again - plain) / PAGES}


def looks():
    found = {}
    for pages in ("max", "4k"):
        with Session(configuration(memory="1G", pages=pages), "--cpu", CPUS[0], "--cpus", "2") as s:
            s.ask("", "DIRTY ready")
            s.shell("vm dirty d start")
            s.look()
            found[f"{pages}, nothing written"] = s.look()
            s.write()
            found[f"{pages}, {PAGES} pages written"] = s.look()
    return found


def measure():
    return {"dirty_write": {name: writes(*how) for name, how in HOW.items()}, "dirty_look": looks()}


def report(figures, _base):
    rows = [[name, f"{w['first']:.1f}", f"{w['again']:.1f}", cell(w["split"])]
            for name, w in figures["dirty_write"].items()]
    print_table(["a write, more than without", "first to a page", "again", "first to a block"], rows)
    rows = [[name, cell(pages), cell(cost)] for name, (pages, cost) in figures["dirty_look"].items()]
    print_table(["a look at 1 GiB, pages =", "found", "instructions"], rows)
