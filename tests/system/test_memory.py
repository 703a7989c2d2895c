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


OWN = ["8000000 8010000", "8080000 80c0000", "9000000 9001000", "9010000 9011000", "9030000 9031000",
       "90a0000 90a1000", "a000000 a004000", "40000000 44000000"]
# distributor; ITS and redistributor; UART; clock; power key; stolen time; places for virtio-mmio; RAM


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72", "neoverse-n1", "max"])
def test_nothing_answers_a_guest_but_what_is_its_own(start, cpu):
    keel = start("--quiet", "--kernel", PAYLOAD / "reach.bin", "--mem", "64M", "--cpu", cpu)
    assert keel.wait_end(240) == 0
    said = keel.console()
    assert re.findall(r"REACH answers (\w+ \w+)", said) == OWN
    assert re.search(r"REACH 0 of \d{4} other accesses went through\nREACH done", said)


@pytest.mark.parametrize("populate", ["eager", "demand"])
def test_a_vm_finds_nothing_in_frames_of_one_that_ended(start, write_dts, populate):
    keel = start(write_dts(machine( # more than half of what is free: they cannot but have frames in common
        memory_vm("a", "mode=fill id=5", memory="288M"),
        memory_vm("b", "mode=scan id=5", memory="288M", autostart=False, populate=populate), on_last_stop="stay")),
        "--ram", "512M")
    keel.expect("vm a: powered off")
    for _ in range(2):
        mark = keel.mark()
        keel.keel("vm start b")
        assert keel.wait_said(r"vm b: (powered off|[^\n]*not in memory)", mark, 120)[1] == "powered off"
    assert "id 5: 0 words found in 288 MiB: ok" in keel.console()
    assert "FAIL" not in keel.console()


def dirty(keel, name):
    """Pages that `vm dirty` finds now, and faults since the start."""
    said = keel.keel(f"vm dirty {name}")
    m = re.search(r"(\d+) pages \(.*; since the start \d+ pages, (\d+) faults, (\d+) blocks split", said)
    assert m, said
    return int(m.group(1)), int(m.group(2)), int(m.group(3))


CPU_NOTES = [("neoverse-n1", "start"), ("neoverse-n1", "start-by-fault"), ("cortex-a72", "start"), ("max", "start")]
SPARE = 12 # pages of the payload's own variables and stacks


@pytest.mark.parametrize("cpu, how", CPU_NOTES)
def test_exactly_the_pages_that_are_written_are_found(start, cpu, how):
    pages = 700
    keel = start("--kernel", PAYLOAD / "dirty.bin", "--append", f"pages={pages}", "--vcpus", 4, "--cpus", 2,
                 "--mem", "256M", "--cpu", cpu, "--name", "d")
    keel.expect("DIRTY ready")
    keel.keel(f"vm dirty d {how}")
    for _ in range(3):
        keel.focus(1)
        keel.send("w")
        keel.expect(f"DIRTY wrote {4 * pages} pages")
        found, faults, splits = dirty(keel, "d")
        assert 4 * pages <= found <= 4 * pages + SPARE
    if how == "start" and cpu != "cortex-a72":
        assert faults <= splits + 4 # the CPU notes; but for two that fault on one block at once
    else:
        assert faults >= 3 * 4 * pages
    assert "leaves: 1 4K" not in keel.keel("vm info d")
    keel.keel("vm dirty d stop")
    assert "not noted" in keel.keel("vm dirty d")
    assert re.search(r"leaves: [01] 4K, 128 2M", keel.keel("vm info d"))


@pytest.mark.parametrize("cpu, how", CPU_NOTES)
def test_no_write_is_lost_while_four_cpus_write_and_someone_looks(start, cpu, how):
    pages = 256
    keel = start("--kernel", PAYLOAD / "dirty.bin", "--append", f"pages={pages}", "--vcpus", 4, "--cpus", 4,
                 "--mem", "256M", "--cpu", cpu, "--name", "d")
    keel.expect("DIRTY ready")
    keel.focus(1)
    keel.send("l") # what CPUs have in their TLBs by now must not be used once writes are noted
    keel.expect("DIRTY rounds")
    keel.keel(f"vm dirty d {how}")
    for _ in range(5):
        keel.focus(1)
        keel.send("l")
        keel.expect("DIRTY rounds", 120)
        found = dirty(keel, "d")[0]
        assert 3 * pages <= found <= 3 * pages + SPARE
    keel.focus(1)
    keel.send("s")
    keel.expect("DIRTY stopped")
    dirty(keel, "d")
    assert dirty(keel, "d")[0] == 0


@pytest.mark.parametrize("cpu, how", CPU_NOTES[:3])
def test_what_linux_writes_is_found(linux, cpu, how):
    keel = linux("--cpu", cpu, "--vcpus", 2, "--cpus", 2, "--mem", "512M", "--name", "g")
    keel.keel(f"vm dirty g {how}")
    keel.focus(1)
    keel.sh("sleep 1")
    idle = dirty(keel, "g")[0]
    keel.focus(1)
    keel.sh("dd if=/dev/zero of=/tmp/f bs=1M count=64", seconds=120)
    written = dirty(keel, "g")[0]
    assert idle < 2000
    assert 64 * 256 <= written < 64 * 256 + 4000
    keel.focus(1)
    keel.sh("echo still here")
    keel.keel("vm dirty g stop")
    keel.focus(1)
    assert keel.sh("cat /tmp/f | tr -d '\\0' | wc -c") == "0"
