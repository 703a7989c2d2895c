# SPDX-License-Identifier: Apache-2.0
"""Memory on first touch, what is set aside for it, and what happens when there is none left."""
import re

import harness
import pytest
from machines import machine, vm

MIB = 1024


def mem_row(keel, name):
    """RAM, used, tables and reserved of one VM, in KiB."""
    row = re.search(rf"^{name} .*?(\d+) +(\d+) +(\d+) +(\d+)$", keel.keel("mem"), re.M)
    return dict(zip(("ram", "used", "tables", "reserved"), map(int, row.groups())))


def claimed(keel):
    return int(re.search(r"^claimed +\d+ +(\d+)", keel.keel("mem"), re.M)[1])


def leaves(keel, name):
    """4K, 2M and 1G leaves, groups of 64K and 32M."""
    info = keel.keel(f"vm info {name}")
    m = re.search(r"leaves: (\d+) 4K, (\d+) 2M, (\d+) 1G; contiguous groups: (\d+) 64K, (\d+) 32M", info)
    return tuple(map(int, m.groups()))


def test_linux_takes_memory_as_it_touches_it_and_gives_it_back_on_reboot(start, write_dts):
    keel = start(write_dts(machine(vm("a", vcpus=2, memory="512M", populate="demand"), on_last_stop="stay")))
    keel.boot()
    booted = mem_row(keel, "a")
    assert booted["ram"] == 512 * MIB
    assert 16 * MIB < booted["used"] < 160 * MIB
    assert 512 * MIB <= booted["reserved"] < 516 * MIB
    assert claimed(keel) == booted["reserved"] - booted["used"] - booted["tables"]
    assert leaves(keel, "a")[1] == booted["used"] // 2048

    keel.focus(1)
    keel.sh("mkdir -p /t && mount -t tmpfs -o size=90% none /t")
    keel.sh("(cat /dev/urandom | head -c 64000000 >/t/a; md5sum /t/a >/t/sum) & "
            "dd if=/dev/zero of=/t/b bs=1M count=250; wait; md5sum -c /t/sum", seconds=harness.BOOT_S)
    full = mem_row(keel, "a")
    assert full["used"] > booted["used"] + 250 * MIB
    assert full["reserved"] == booted["reserved"] or full["reserved"] - booted["reserved"] < 64
    assert leaves(keel, "a")[4] >= 4 # blocks came together while both vCPUs ran

    keel.keel("vm reset a")
    keel.focus(1)
    keel.boot()
    again = mem_row(keel, "a")
    assert again["used"] < booted["used"] + 32 * MIB
    assert again["reserved"] == booted["reserved"]
    keel.keel("vm stop a")
    assert mem_row(keel, "a")["reserved"] == 0 and claimed(keel) == 0


def test_what_is_reserved_is_refused_to_others(start, write_dts):
    keel = start(write_dts(machine(
        vm("a", memory="256M", populate="demand", kernel=None, initrd=None, bootargs=None, firmware=harness.UBOOT),
        vm("b", memory="256M", autostart=False, kernel=None, initrd=None, bootargs=None, firmware=harness.UBOOT),
        vm("c", memory="256M", autostart=False, populate="demand", kernel=None, initrd=None, bootargs=None,
           firmware=harness.UBOOT), on_last_stop="stay")), "--ram", "448M")
    keel.expect("U-Boot")
    assert mem_row(keel, "a")["used"] < 64 * MIB
    for name in ("b", "c"):
        assert "out of memory" in keel.keel(f"vm start {name}")
    keel.keel("vm stop a")
    assert "out of memory" not in keel.keel("vm start b")


def test_an_overcommitted_vm_that_finds_no_memory_is_stopped_and_the_other_goes_on(start, write_dts):
    keel = start(write_dts(machine(vm("a", memory="512M", populate="demand", overcommit=True),
                                   vm("b", memory="512M", populate="demand", overcommit=True),
                                   on_last_stop="stay")), "--ram", "512M")
    keel.boot()
    keel.boot()
    assert claimed(keel) == 0
    keel.focus(1)
    keel.sh("mkdir -p /t && mount -t tmpfs none /t && head -c 20000000 /dev/urandom >/t/a && md5sum /t/a >/t/sum")
    keel.focus(2)
    keel.send("mkdir -p /t && mount -t tmpfs -o size=100% none /t && dd if=/dev/zero of=/t/x bs=1M\n")
    keel.expect(r"vm b: crashed: no host memory left for guest-physical 0x[0-9a-f]+: \d+ of 512 MiB given",
                harness.BOOT_S)
    assert "no host memory left" in keel.keel("vm info b")
    assert mem_row(keel, "b")["used"] == 0
    keel.focus(1)
    assert "a: OK" in keel.sh("md5sum -c /t/sum")
    keel.sh("dd if=/dev/zero of=/t/x bs=1M count=100") # what b had is to be had


@pytest.mark.parametrize("populate", ["eager", "demand"])
@pytest.mark.parametrize("pages", ["4k", "2m", "max"])
def test_blocks_are_as_large_as_pages_says(start, write_dts, pages, populate):
    keel = start(write_dts(machine(vm("a", memory="64M", pages=pages, populate=populate, kernel=None, initrd=None,
                                      bootargs=None, firmware=harness.UBOOT))))
    keel.expect("Hit any key")
    small, blocks, gigabytes, small_groups, groups = leaves(keel, "a")
    flash = 1024 # 4 KiB pages that U-Boot's image takes, at most
    assert gigabytes == 0
    if pages == "4k":
        assert blocks == small_groups == groups == 0
        assert small > 64 * 256 if populate == "eager" else 16 < small < 64 * 256
    else:
        assert small < flash
        assert blocks == 32 if populate == "eager" else 0 < blocks < 32
        assert (small_groups > 0) == (pages == "max")
        assert groups == (2 if pages == "max" and populate == "eager" else 0)
