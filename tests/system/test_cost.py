# SPDX-License-Identifier: Apache-2.0
"""Instructions counted in guests and in Keel."""
import re


def cost(keel):
    m = re.search(r"^\s*0\s+(\d+)\s+(\d+)\s*$", keel.keel("cost"), re.M)
    return int(m[1]), int(m[2])


def test_instructions_of_guest_and_of_keel_are_told_apart(linux):
    keel = linux("--icount", "--", "-append", "count-instructions")
    keel.sh("i=0; while [ $i -lt 100 ]; do i=$((i+1)); done")
    cost(keel)
    short = cost(keel)
    keel.focus(1)
    keel.sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    guest, own = cost(keel)
    assert guest > 20000 * 100
    assert own < guest / 10
    assert short[0] < guest / 10
    # the counters are Keel's
    keel.focus(1)
    assert keel.sh("ls /sys/bus/event_source/devices | grep -c pmuv3", check=False) == "0"


def test_counting_is_off_unless_asked_for(linux):
    assert "boot with the argument count-instructions" in linux().keel("cost")
