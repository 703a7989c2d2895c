# SPDX-License-Identifier: Apache-2.0
"""Debian with systemd on a disk, booted by firmware."""
import os

import debian
import harness
import pexpect
import test_docs

VERIFY = ("fio --name=v --filename=/root/verify --size=24M --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 "
          "--verify=crc32c --end_fsync=1 --output=/root/fio")


def test_edk2_boots_debian_from_nvme_and_its_disk_is_clean_afterwards(start, write_dts, debian_disk):
    machine = start(write_dts(debian.configuration('device = "root";')), "--", *debian.disk("nvme", "root", debian_disk))
    machine.expect("UEFI firmware", harness.BOOT_S)
    machine.expect("Booting `Debian'", harness.BOOT_S)
    machine.login()
    assert machine.sh("systemctl is-system-running --wait", harness.BOOT_S) == "running"
    assert int(machine.sh("ls /sys/firmware/efi/efivars | wc -l")) > 0
    machine.sh(VERIFY, harness.BOOT_S)
    assert "err= 0" in machine.sh("grep err= /root/fio")
    machine.send("poweroff\n")
    assert machine.wait_end(harness.BOOT_S) == 0
    debian.assert_root_is_clean(debian_disk)


def test_uboot_boots_the_disk_that_an_option_names(start, debian_disk):
    machine = start("--disk", debian_disk, "--net", "user", "--vcpus", 2)
    machine.expect("U-Boot 20", harness.BOOT_S)
    machine.expect("Booting `Debian'", harness.BOOT_S)
    machine.expect(harness.broken("debian-root: clean"), harness.BOOT_S)


def test_make_run_boots_the_disk_that_a_configuration_names():
    child = pexpect.spawn("make", ["run", "VM=guests/debian-disk.dts", f"BUILD={os.path.relpath(harness.BUILD, test_docs.TOP)}"],
                          cwd=str(test_docs.TOP), env=test_docs.environment(), encoding="utf-8",
                          codec_errors="replace", timeout=harness.BOOT_S)
    try:
        child.expect("UEFI firmware")
        child.expect("Booting `Debian'")
    finally:
        child.close(force=True)
