# SPDX-License-Identifier: Apache-2.0
"""Small guests of our own, from tests/payload."""
import harness
import pytest
from machines import machine, vm

PAYLOAD = harness.BUILD / "payload"


def test_hostile_guest_finishes_and_keel_lives(start, write_dts):
    keel = start(write_dts(machine(
        vm("hostile", vcpus=2, kernel=PAYLOAD / "hostile.bin", initrd=None, bootargs=None), on_last_stop="stay")),
        "--cpus", 2)
    keel.expect(r"HOSTILE done \d+ accesses, \d+ faults", 240)
    assert "hostile" in keel.keel("vm list")


def test_hostile_guest_hurts_only_itself(start, write_dts):
    keel = start(write_dts(machine(
        vm("debian"), vm("hostile", kernel=PAYLOAD / "hostile.bin", initrd=None, bootargs="seed=7", autostart=False))),
        "--cpus", 2)
    keel.boot()
    keel.keel("vm start hostile")
    keel.expect(r"HOSTILE done \d+ accesses, \d+ faults", 240)
    keel.focus(1)
    assert keel.sh("echo alive") == "alive"


def run(start, payload, *options):
    keel = start("--quiet", "--kernel", PAYLOAD / f"{payload}.bin", *options)
    assert keel.wait_end(240) == 0
    return keel.console()


@pytest.mark.parametrize("cpu, gic", [("cortex-a53", 3), ("neoverse-n1", 3), ("max", 4)])
def test_virtual_gic_behaves_as_the_specification_says(start, cpu, gic):
    said = run(start, "gic", "--cpu", cpu, "--gic", gic, "--vcpus", 2)
    assert "FAIL" not in said
    assert " ok 0 failed" in said


@pytest.mark.parametrize("vcpus, cpus, gic", [(1, 1, 3), (2, 2, 4), (4, 2, 3), (8, 4, 3)])
def test_virtual_its_behaves_as_the_specification_says(start, vcpus, cpus, gic):
    said = run(start, "its", "--gic", gic, "--vcpus", vcpus, "--cpus", cpus)
    assert "FAIL" not in said
    assert " ok 0 failed" in said


@pytest.mark.parametrize("cpu", ["cortex-a72", "neoverse-n1", "max"])
@pytest.mark.parametrize("cpus", [1, 2])
def test_registers_survive_switches(start, cpu, cpus):
    assert "REGS ok" in run(start, "regs", "--cpu", cpu, "--cpus", cpus, "--vcpus", 4, "--append", "rounds=40")


@pytest.mark.parametrize("cpu", ["cortex-a53", "neoverse-n1", "max"])
def test_steps_breakpoints_and_watchpoints_work_in_a_guest(start, cpu):
    said = run(start, "debug", "--cpu", cpu)
    assert "DEBUG done" in said
    assert "FAIL" not in said
