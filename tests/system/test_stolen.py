# SPDX-License-Identifier: Apache-2.0
"""Stolen time as a stock kernel reads it: Arm's paravirtual time."""
import harness
from machines import LINUX, machine, vm

BURN = "while :; do :; done &"


def ticks(keel):
    """User, idle and stolen time of /proc/stat's first line, in 1/100 s."""
    fields = [int(n) for n in keel.sh("head -n 1 /proc/stat").split()[1:]]
    return fields[0], fields[3], fields[7]


def grown(keel, seconds):
    before = ticks(keel)
    keel.sh(f"sleep {seconds}", seconds=180)
    return [b - a for a, b in zip(before, ticks(keel))]


def test_two_busy_guests_on_one_cpu_each_see_half_of_it_stolen(start, write_dts):
    keel = start(write_dts(machine(vm("one", cpus=[0], bootargs=f"{LINUX} loglevel=6"), vm("two", cpus=[0]))),
                 "--cpus", 1, "--icount")
    keel.boot()
    keel.boot()
    for index in (1, 2):
        keel.focus(index)
        keel.sh(BURN)
    for index in (1, 2):
        keel.focus(index)
        assert "using stolen time PV" in keel.sh("dmesg", messages=True)
        user, idle, stolen = grown(keel, 2)
        assert idle <= 5
        assert 0.4 <= stolen / (user + stolen) <= 0.6


def test_nothing_is_stolen_from_a_guest_with_a_cpu_of_its_own(linux):
    keel = linux("--cpus", 1, "--icount")
    keel.sh(BURN)
    user, _, stolen = grown(keel, 2)
    assert user > 150
    assert stolen <= 2


def test_guest_without_the_property_sees_no_stolen_time(start, write_dts):
    keel = start(write_dts(machine(vm("plain", pv_time="off"))), "--cpus", 1)
    keel.boot()
    assert "stolen time PV" not in keel.sh("dmesg", messages=True)
