# SPDX-License-Identifier: Apache-2.0
"""Small guests of our own, from tests/payload."""
import harness
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
