# SPDX-License-Identifier: Apache-2.0
"""Memory that comes back from a running guest, by Debian's stock driver: when asked, and when it is free."""
import pathlib
import re

import harness
import pytest
from machines import machine, vm
from test_emulated import with_devices

TOP = pathlib.Path(__file__).parent.parent.parent
MIB = 1024
TMPFS = "mkdir -p /t && mount -t tmpfs -o size=90% none /t"


def free_kib(keel):
    return int(re.search(r"^free +\d+ +(\d+)", keel.keel("mem"), re.M)[1])


def used_kib(keel):
    return int(re.search(r"^debian .*?\d+ +(\d+) +\d+ +\d+$", keel.keel("mem"), re.M)[1])


def wait_for(keel, what, good, seconds=60):
    """Asks until the answer is good; the answer."""
    for _ in range(seconds * 2):
        value = what(keel)
        if good(value):
            return value
        keel.quiet_for("never printed", 0.5)
    raise harness.Failure(f"{what.__name__}: still {value}")


@pytest.fixture
def guest(start, write_dts):
    text = (TOP / "guests" / "balloon.dts").read_text().replace('"../', f'"{TOP}/').replace('"poweroff"', '"stay"')
    keel = start(write_dts(text))
    keel.boot()
    return keel


def balloon_mib(keel):
    return int(re.search(r"balloon: (\d+) of \d+ MiB as asked", keel.keel("vm balloon debian"))[1])


def test_a_balloon_takes_memory_from_a_guest_and_lets_it_have_it_again(guest):
    guest.sh(f"{TMPFS}; head -c 20000000 /dev/urandom >/t/kept; md5sum /t/kept >/t/sum; "
             "dd if=/dev/zero of=/t/a bs=1M count=200; rm /t/a")
    before = used_kib(guest)
    guest.keel("vm balloon debian 256M")
    wait_for(guest, balloon_mib, lambda n: n == 256)
    full = used_kib(guest)
    assert full < 200 * MIB and full < before
    told = guest.keel("vm balloon debian")
    assert int(re.search(r"^  free +(\d+)", told, re.M)[1]) < 240 * MIB
    assert "has less memory than that" in guest.keel("vm balloon debian 513M")

    guest.keel("vm balloon debian 0")
    wait_for(guest, balloon_mib, lambda n: n == 0)
    guest.focus(1)
    guest.sh("dd if=/dev/zero of=/t/a bs=1M count=200")
    assert "kept: OK" in guest.sh("md5sum -c /t/sum")
    assert used_kib(guest) > full + 150 * MIB


def test_memory_that_a_guest_frees_comes_back_by_itself_and_all_of_it_at_its_end(guest):
    guest.sh(f"{TMPFS}; head -c 20000000 /dev/urandom >/t/kept; md5sum /t/kept >/t/sum; "
             "dd if=/dev/zero of=/t/a bs=1M count=200")
    full, free = used_kib(guest), free_kib(guest)
    guest.focus(1)
    guest.sh("rm /t/a; echo 3 >/proc/sys/vm/drop_caches")
    wait_for(guest, used_kib, lambda n: n < full - 150 * MIB)
    assert free_kib(guest) > free + 150 * MIB
    guest.focus(1)
    guest.sh("dd if=/dev/zero of=/t/a bs=1M count=200")
    assert "kept: OK" in guest.sh("md5sum -c /t/sum")

    # A reset while memory is given back, and the stop after it, leave nothing behind.
    guest.sh("rm /t/a")
    guest.keel("vm balloon debian 300M")
    guest.keel("vm reset debian")
    guest.focus(1)
    guest.boot()
    wait_for(guest, balloon_mib, lambda n: n == 300)
    guest.keel("vm stop debian now")
    guest.wait_state("debian", "stopped")
    stopped = free_kib(guest)
    guest.keel("vm start debian")
    guest.focus(1)
    guest.boot()
    guest.keel("vm balloon debian 100M")
    wait_for(guest, balloon_mib, lambda n: n == 100)
    guest.keel("vm stop debian now")
    guest.wait_state("debian", "stopped")
    assert free_kib(guest) == stopped


def test_a_balloon_needs_memory_on_first_touch(start, write_dts):
    text = (TOP / "guests" / "balloon.dts").read_text().replace('"../', f'"{TOP}/')
    text = text.replace('populate = "demand";', "").replace("overcommit;", "")
    keel = start(write_dts(text))
    assert keel.wait_end() != 0
    assert re.search(r"debian/devices/balloon.*populate = \"demand\"", keel.console())


def test_a_guest_that_gives_back_what_it_has_not_or_still_uses_hurts_nobody(start, write_dts):
    node = vm("guest", memory="256M", populate="demand", overcommit=True, initrd=None, bootargs=None,
              kernel=harness.BUILD / "payload" / "balloon.bin")
    keel = start(write_dts(machine(with_devices(node, ("serial", 'compatible = "arm,pl011";'),
                                                ("balloon", 'compatible = "keel,balloon"; transport = "mmio";')),
                                   on_last_stop="stay")))
    keel.expect(r"BALLOON (\d+) failed", 120)
    assert int(keel.match[1]) == 0
    keel.wait_state("guest", "stopped")
