# SPDX-License-Identifier: Apache-2.0
"""Memory of some colours of the last-level cache: what a boot costs with it. (TLB misses and cache hits are not seen.)"""
import os
import tempfile

from machine import BUILD, CPUS, LINUX_ARGS, PAYLOAD, keel_vm, make_initrd, make_marked_kernel, parse_linux
from table import cell, print_table

VMS = {
    "max": {"pages": "max"},
    "4k": {"pages": "4k"},
    "16 of 32 colors": {"llc-colors": "0-15"},
    "4 of 32 colors": {"llc-colors": "0-3"},
}
MEMORY = "112M"


def boot(properties, kernel, initrd):
    entry, start, init = parse_linux(keel_vm(CPUS[0], kernel, LINUX_ARGS, initrd, memory=MEMORY, **properties))
    return {"to_entry": entry, "entry_to_init": init - start}


def measure():
    with tempfile.TemporaryDirectory() as d:
        kernel, initrd = os.path.join(d, "vmlinuz"), os.path.join(d, "initrd.gz")
        make_initrd(initrd, os.path.join(PAYLOAD, "init"), os.path.join(BUILD, "guest", "initrd.gz"))
        make_marked_kernel(kernel, os.path.join(BUILD, "guest", "vmlinuz"), os.path.join(PAYLOAD, "entry-mark.bin"))
        return {"colors_boot": {name: boot(properties, kernel, initrd) for name, properties in VMS.items()}}


def report(figures, baselines):
    del baselines
    rows = [[name, *(cell(v) for v in (b["to_entry"], b["entry_to_init"], sum(b.values())))]
            for name, b in figures["colors_boot"].items()]
    print_table([f"Linux, {MEMORY}", "reset to entry", "entry to init", "reset to init"], rows)
