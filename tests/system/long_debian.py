# SPDX-License-Identifier: Apache-2.0
"""Debian on a disk under load for minutes, with restarts in the midst."""
import shutil
import subprocess

import debian
import harness
import pytest
from test_host_disk import write_gpt

LOAD_S = 1800
VARIABLE = "/sys/firmware/efi/efivars/Kept-12345678-1234-1234-1234-123456789abc"
FILE = "--name=v --filename=/m/verify --size=1g --bs=64k --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c"


def wait_for_data(machine, path):
    """Until a file that is being written has some."""
    machine.sh(f"while [ ! -s {path} ]; do sleep 0.2; done", harness.BOOT_S)


@pytest.fixture
def within_partition(tmp_path, debian_disk):
    """A larger disk, on which Debian's is one of two partitions."""
    path = tmp_path / "host.img"
    mib = debian_disk.stat().st_size // debian.MIB
    with open(path, "wb") as f:
        f.truncate((mib + 4) * debian.MIB)
    subprocess.run(["dd", f"if={debian_disk}", f"of={path}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"], check=True)
    write_gpt(path, (mib + 4) * 2048, [("guest", 2048, (mib + 1) * 2048 - 1), ("other", (mib + 1) * 2048, (mib + 2) * 2048 - 1)])
    yield path
    path.unlink()


@pytest.mark.parametrize("partition", [False, True], ids=["whole", "partition"])
@pytest.mark.parametrize("device", debian.DEVICES)
@pytest.mark.parametrize("firmware", [harness.EDK2, harness.UBOOT], ids=["edk2", "u-boot"])
def test_firmware_boots_debian_to_a_login(start, write_dts, request, debian_disk, firmware, device, partition):
    path = request.getfixturevalue("within_partition") if partition else debian_disk
    wanted = 'device = "root"; partition = "guest";' if partition else 'device = "root";'
    machine = start(write_dts(debian.configuration(wanted, firmware=firmware)), "--", *debian.disk(device, "root", path))
    machine.login(LOAD_S)
    assert machine.sh("systemctl is-system-running --wait", LOAD_S) == "running"
    machine.sh("dd if=/dev/urandom of=/root/random bs=1M count=16 2>/dev/null; sync")
    machine.send("poweroff\n")
    assert machine.wait_end(harness.BOOT_S) == 0
    debian.assert_root_is_clean(path, 1 if partition else 0)


def test_apt_installs_packages_that_are_as_they_were_packed(start, write_dts, tmp_path, debian_disk):
    for folder in ("apt", "repository"):
        shutil.copytree(harness.BUILD / "debs" / folder, tmp_path / "tree" / folder)
    debs = tmp_path / "debs.img"
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-L", "debs", "-d", tmp_path / "tree", debs, "64M"], check=True)
    machine = start(write_dts(debian.configuration('device = "root";', 'device = "debs"; read-only;')), "--",
                    *debian.disk("nvme", "root", debian_disk), *debian.disk("virtio-blk", "debs", debs))
    machine.login(LOAD_S)
    machine.sh("mkdir /d; mount -r LABEL=debs /d; export DEBIAN_FRONTEND=noninteractive")
    machine.sh("dpkg -i -E /d/apt/*.deb > /root/log 2>&1 || { tail /root/log; false; }", LOAD_S)
    machine.sh("echo 'deb [trusted=yes] file:/d/repository ./' > /etc/apt/sources.list; apt-get update > /root/log 2>&1")
    machine.sh("apt-get install -y perl > /root/log 2>&1 || { tail /root/log; false; }", LOAD_S)
    # What is in use is replaced too.
    machine.sh("dpkg -i /d/repository/*.deb > /root/log 2>&1 || { tail /root/log; false; }", LOAD_S)
    machine.send("reboot\n")
    machine.login(LOAD_S)
    assert machine.sh("dpkg --audit; dpkg --verify apt dpkg libc6 tar perl-base perl perl-modules-5.36 libperl5.36", LOAD_S) == ""
    assert machine.sh("perl -MDigest::MD5=md5_hex -e 'print md5_hex(\"a\")'") == "0cc175b9c0f1b6a831c399e269772661"
    machine.send("poweroff\n")
    assert machine.wait_end(harness.BOOT_S) == 0
    debian.assert_root_is_clean(debian_disk)


# Each form of ring, each transport and each device of the host in company with each other.
@pytest.mark.parametrize("device,ring,transport", [("virtio-blk", "packed", "pci"), ("virtio-blk", "split", "mmio"),
                                                   ("nvme", "split", "pci"), ("nvme", "packed", "mmio")])
def test_a_gigabyte_is_what_was_written_through_a_reboot_and_a_reset(start, write_dts, tmp_path, debian_disk, device, ring,
                                                                     transport):
    data = tmp_path / "data.img"
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-L", "data", data, "1600M"], check=True)
    how = f'ring = "{ring}"; transport = "{transport}";'
    machine = start(write_dts(debian.configuration(f'device = "root"; {how}', f'device = "data"; {how}')), "--",
                    *debian.disk("nvme", "root", debian_disk), *debian.disk(device, "data", data))
    machine.login(LOAD_S)
    machine.sh("mkdir /m; mount LABEL=data /m")
    machine.sh(f"fio {FILE} --rw=randwrite --do_verify=1 --end_fsync=1 --output=/root/fio", LOAD_S)
    assert "err= 0" in machine.sh("grep err= /root/fio")
    machine.sh(f"printf '\\7\\0\\0\\0kept' > {VARIABLE}; sync")

    # A tree of files copied again and again, while somebody restarts the guest.
    machine.sh("(n=0; while :; do cp -a /usr/lib/python3.11 /root/copy$n; rm -rf /root/copy$n; n=$((n + 1)); done) &")
    wait_for_data(machine, "/root/copy0")
    machine.send("reboot\n")
    machine.login(LOAD_S)
    assert machine.sh(f"tail -c 4 {VARIABLE}") == "kept"
    machine.sh("mkdir -p /m; mount LABEL=data /m")

    # The same, and a reset of the machine under it.
    machine.sh("rm -rf /root/copy*; sync; (while :; do cp -a /usr/lib/python3.11 /root/more; cp /m/verify /dev/null; "
               "dd if=/dev/urandom of=/m/other bs=1M count=64 2>/dev/null; rm -rf /root/more; done) &")
    wait_for_data(machine, "/m/other")
    machine.keel("vm reset debian")
    machine.focus(1)
    machine.login(LOAD_S)
    assert machine.sh(f"tail -c 4 {VARIABLE}") == "kept"
    machine.sh("mkdir -p /m; mount LABEL=data /m")
    machine.sh(f"fio {FILE} --rw=randread --verify_only=1 --output=/root/fio", LOAD_S)
    assert "err= 0" in machine.sh("grep err= /root/fio")
    machine.sh("rm -rf /root/more /m/other; umount /m")
    machine.send("poweroff\n")
    assert machine.wait_end(harness.BOOT_S) == 0
    debian.assert_root_is_clean(debian_disk)
    done = subprocess.run(["/usr/sbin/e2fsck", "-fn", data], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    data.unlink()
