# SPDX-License-Identifier: Apache-2.0
"""Guests whose CPUs wait for each other on shared CPUs: gangs, and turns whose end is put off."""
import re
import time

import harness
from machines import LINUX, machine, vm

WORK_S = 120


def counted(keel, guest, pattern):
    """Asks `vm info` until it counts something there."""
    end = time.monotonic() + WORK_S
    while True:
        said = keel.keel(f"vm info {guest}")
        count = int(re.search(pattern, said)[1])
        if count > 0:
            return count
        if time.monotonic() > end:
            raise harness.Failure(f"nothing counted after {WORK_S} s: {said}")


def test_guests_work_as_gang_and_with_their_preemption_put_off(start, write_dts):
    both = {"vcpus": 2, "cpus": [0, 1], "initrd": harness.INITRD_RT, "bootargs": f"{LINUX} quiet"}
    keel = start(write_dts(machine(vm("together", gang=True, **both), vm("delayed", preempt_delay_us=100, **both))),
                 "--cpus", 2, "--icount")
    for _ in range(2):
        keel.boot()
    for index in (1, 2):
        keel.focus(index)
        keel.sh("(while hackbench -g 1 -f 2 -l 100 >/dev/null; do :; done; echo WR''ONG) &")
    counted(keel, "together", r"gang: (\d+) turns by call")
    counted(keel, "delayed", r"preemption put off by 100 us at most: (\d+) times")
    assert "put off" not in keel.keel("vm info together")
    assert "gang" not in keel.keel("vm info delayed")
    for index in (1, 2):
        keel.focus(index)
        keel.sh("kill $!; hackbench -g 1 -f 2 -l 100 | grep -q Time:", seconds=WORK_S)
    assert "WRONG" not in keel.console()
