# SPDX-License-Identifier: Apache-2.0
"""Colours of the last-level cache: whose memory is where."""
import re

import harness
import pytest
from machines import machine, vm

PAYLOAD = harness.BUILD / "payload"


def colored(text, **host):
    """A machine with properties of the host's own."""
    lines = "".join(f'{key.replace("_", "-")} = "{value}"; ' for key, value in host.items())
    return text.replace("vms {", lines + "vms {", 1)


def frames(keel, name):
    """Colour -> pages of memory, pages of tables."""
    said = keel.keel(f"vm info {name}")
    return {int(m[1]): (int(m[3]), int(m[4]), m[2]) for m in re.finditer(r"^  (\d+)(, not its own|) +(\d+) +(\d+)$", said, re.M)}


def owners(keel):
    """Colour -> free KiB, names."""
    table = keel.keel("mem").split("color", 1)[1]
    return {int(m[1]): (int(m[2]), m[3].split()) for m in re.finditer(r"^ *(\d+) +(\d+) *(.*)$", table, re.M)}


# What the models of QEMU say of their caches, in both forms of CCSIDR: sets times line of the last one, in pages.
@pytest.mark.parametrize("cpu, colors", [("cortex-a53", 16), ("neoverse-n1", 32), ("cortex-a72", 16)])
def test_colors_are_those_of_the_cpus_cache(start, cpu, colors):
    keel = start("--cpu", cpu, "--kernel", PAYLOAD / "burn.bin", "--name", "v")
    keel.expect("BURN")
    assert re.search(rf"last-level cache: ways of {colors * 4} KiB by the CPU, {colors} colors", keel.keel("cpu"))


def test_linux_vms_of_disjoint_colors_share_none_nor_with_keel(start, write_dts):
    keel = start(write_dts(colored(machine(
        vm("low", vcpus=2, llc_colors="0-7,24-29"), vm("high", llc_colors="8-23", pages="4k", autostart=False),
        on_last_stop="stay"), llc_colors="30-31")), "--cpu", "neoverse-n1", "--ram", "640M")
    keel.boot()
    keel.keel("vm start high")
    keel.focus(2)
    keel.boot()
    assert "its cache colors take mappings of 4 KiB" in keel.keel("log")
    low, high = frames(keel, "low"), frames(keel, "high")
    assert set(low) == {*range(8), *range(24, 30)} and set(high) == set(range(8, 24))
    for found in (low, high):
        assert sum(pages for pages, _, _ in found.values()) == 192 * 256
        assert sum(tables for _, tables, _ in found.values()) >= 96 + 3
        assert max(pages for pages, _, _ in found.values()) < 2 * min(pages for pages, _, _ in found.values())
        assert not any(note for _, _, note in found.values())
    who = owners(keel)
    assert len(who) == 32 and who[30][1] == who[31][1] == ["(Keel)"]
    assert who[0][1] == who[29][1] == ["low"] and who[8][1] == ["high"]
    assert re.search(r"leaves: \d+ 4K, 0 2M, 0 1G", keel.keel("vm info low"))

    keel.keel("vm reset low") # the same frames, scrubbed
    keel.focus(1)
    keel.boot()
    assert frames(keel, "low") == low
    keel.focus(2)
    assert keel.sh("echo still he''re") == "still here"
    keel.keel("vm stop low")
    assert sum(free for free, _ in owners(keel).values()) > sum(free for free, _ in who.values()) + 192 * 1024


def test_a_vm_whose_colors_are_full_does_not_start_and_the_other_goes_on(start, write_dts):
    keel = start(write_dts(machine(vm("a", memory="256M", populate="demand", overcommit=True, llc_colors="0"),
                                   vm("b", memory="8M", llc_colors="1-31", kernel=PAYLOAD / "burn.bin", initrd=None),
                                   on_last_stop="stay")), "--cpu", "neoverse-n1", "--ram", "512M")
    said = ["vm a: cannot start: images: out of memory", "BURN"] # in any order
    assert {keel.expect(said), keel.expect(said)} == {0, 1}
    assert set(frames(keel, "b")) == set(range(1, 32))


def test_a_way_that_the_configuration_gives_makes_the_colors(start, write_dts):
    keel = start(write_dts(colored(machine(vm("a", memory="8M", kernel=PAYLOAD / "burn.bin", initrd=None, llc_colors="63"),
                                           on_last_stop="stay"), llc_way_size="1M")), "--ram", "1G")
    keel.expect("BURN")
    assert "ways of 1024 KiB by the configuration, 64 colors" in keel.keel("cpu")
    found = frames(keel, "a")
    assert found.pop(63)[0] == 8 * 256
    assert [f[:2] for f in found.values()] == [(0, 1), (0, 1)] # the root: a pair, which one colour has not


@pytest.mark.parametrize("host, properties, said", [
    ({}, {"llc_colors": "16"}, r"llc-colors: there is no color 16; this host has colors 0 to 15"),
    ({"llc_colors": "20-21"}, {}, r"config: /: llc-colors: there is no color 21; this host has colors 0 to 15"),
    ({}, {"llc_colors": "0", "memory": "256M"}, r"memory = 256M: this host has \d+ MiB of the VM's cache colors to give"),
])
def test_colors_that_the_host_has_not_are_refused(start, write_dts, host, properties, said):
    keel = start(write_dts(colored(machine(vm("a", **properties), on_last_stop="stay"), **host)), "--cpu", "cortex-a53")
    keel.expect(said)
    keel.expect("no VM is started")
