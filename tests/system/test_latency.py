# SPDX-License-Identifier: Apache-2.0
"""Latencies of a stock guest's interrupts, by kind."""
import re

import pytest

KINDS = ["timer", "ipi", "device", "lpi"]


def stats(machine, vm="debian"):
    """{row: {kind: number}} of `irq stats`."""
    text = machine.keel(f"irq stats {vm}")
    rows = re.findall(r"^\s*(\w+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$", text, re.M)
    return {row[0]: dict(zip(KINDS, map(int, row[1:]))) for row in rows}


@pytest.fixture
def debian(linux):
    return linux("--vcpus", 2, "--cpus", 2, "--name", "debian")


def test_each_kind_of_interrupt_of_linux_is_measured(debian):
    assert "not measured" in debian.keel("irq stats debian")
    assert debian.keel("irq stats debian on").strip() == ""
    debian.focus(1)
    # Its console is the device; what runs on one CPU and wakes the other sends interrupts between them.
    debian.sh("for i in 1 2 3 4 5 6 7 8; do taskset 1 true; taskset 2 true; usleep 5000; done; dmesg | tail -n 50")
    debian.keel("irq stats debian off")
    rows = stats(debian)
    for kind in ("timer", "ipi", "device"):
        buckets = {int(name): row[kind] for name, row in rows.items() if name.isdigit()}
        assert rows["all"][kind] > 0, kind
        assert sum(buckets.values()) == rows["all"][kind]
        assert max(low for low, n in buckets.items() if n) <= rows["most"][kind] < 10**10
        assert 0 < rows["mean"][kind] <= rows["most"][kind]
    debian.focus(1)
    debian.sh("usleep 20000")
    assert stats(debian)["all"] == rows["all"] # off is off
    debian.keel("irq stats debian reset")
    assert stats(debian)["all"] == dict.fromkeys(KINDS, 0)


def test_wrong_words_are_answered(debian):
    assert "none of on, off, reset" in debian.keel("irq stats debian maybe")
    assert "there is no VM" in debian.keel("irq stats nobody")
    assert "GIC" in debian.keel("irq")
