# SPDX-License-Identifier: Apache-2.0
"""Whose memory is whose: VMIDs, and what a guest can reach."""
import re

import harness
import pytest
from machines import machine, vm

PAYLOAD = harness.BUILD / "payload"


def memory_vm(name, bootargs, **properties):
    """A VM with the payload that looks whether its memory is its own."""
    return vm(name, **{"kernel": PAYLOAD / "memory.bin", "initrd": None, "memory": "8M", "bootargs": bootargs,
                       **properties})


@pytest.mark.parametrize("cpu", ["cortex-a72", "neoverse-n1"])
def test_more_vms_than_vmids_each_find_their_own_memory(start, write_dts, cpu):
    vms = 24
    keel = start(write_dts(machine(
        *[memory_vm(f"v{i}", f"mode=turns rounds=400 id={i}", cpus=[int(i % 6 == 0)]) for i in range(vms)],
        on_last_stop="stay")), "--cpus", 2, "--cpu", cpu, "--", "-append", "vmid-bits=4")
    keel.expect("VMIDs of 4 bits")
    ended = set()
    while len(ended) < vms:
        keel.expect(r"vm (v\d+): (powered off|[^\n]*not in memory)", 240)
        assert keel.match.group(2) == "powered off"
        ended.add(keel.match.group(1))
    assert "FAIL" not in keel.console()
    rollovers = int(re.search(r"VMIDs of 4 bits, (\d+) rollovers", keel.keel("cpu")).group(1))
    assert rollovers >= 10
