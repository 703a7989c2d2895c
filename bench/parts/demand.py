# SPDX-License-Identifier: Apache-2.0
"""Memory on first touch: what a touch costs by the size of the piece, and what a whole boot costs."""
import os
import tempfile

from machine import BUILD, CPUS, LINUX_ARGS, PAYLOAD, keel_vm, make_initrd, make_marked_kernel, parse_linux, parse_rows
from table import cell, print_table

PAGES = ("4k", "2m", "max")
POPULATE = ("eager", "demand")
PIECES = {"4k": 4096, "2m": 2 << 20, "max": 2 << 20}
SIZE = 128 << 20 # touched of a VM's 256M


def touch(pages, populate):
    rows = parse_rows(keel_vm(CPUS[0], os.path.join(PAYLOAD, "touch.bin"), f"size={SIZE} stride={PIECES[pages]}",
                              memory="256M", pages=pages, populate=populate))
    return round(rows["first"] - rows["again"])


def boot(pages, populate, kernel, initrd):
    entry, start, init = parse_linux(keel_vm(CPUS[0], kernel, LINUX_ARGS, initrd, memory="512M", pages=pages,
                                             populate=populate))
    return {"to_entry": entry, "entry_to_init": init - start}


def measure():
    touches = {p: {how: touch(p, how) for how in POPULATE} for p in PAGES}
    with tempfile.TemporaryDirectory() as d:
        kernel, initrd = os.path.join(d, "vmlinuz"), os.path.join(d, "initrd.gz")
        make_initrd(initrd, os.path.join(PAYLOAD, "init"), os.path.join(BUILD, "guest", "initrd.gz"))
        make_marked_kernel(kernel, os.path.join(BUILD, "guest", "vmlinuz"), os.path.join(PAYLOAD, "entry-mark.bin"))
        boots = {p: {how: boot(p, how, kernel, initrd) for how in POPULATE} for p in PAGES}
    return {"demand_touch": touches, "demand_boot": boots}


def report(figures, baselines):
    del baselines
    rows = [[f"pages = {p}", cell(PIECES[p] >> 10), *(cell(figures["demand_touch"][p][how]) for how in POPULATE)]
            for p in PAGES]
    print_table(["first touch of a piece", "KiB", *POPULATE], rows)
    rows = [[f"pages = {p}, {how}", *(cell(v) for v in (b["to_entry"], b["entry_to_init"], sum(b.values())))]
            for p in PAGES for how, b in figures["demand_boot"][p].items()]
    print_table(["Linux, 512M", "reset to entry", "entry to init", "reset to init"], rows)
