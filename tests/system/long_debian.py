# SPDX-License-Identifier: Apache-2.0
"""Debian on a disk under load for minutes, with restarts in the midst."""
import subprocess

import debian
import harness

LOAD_S = 1800
FILE = "--name=v --filename=/m/verify --size=1g --bs=64k --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c"


def wait_for_data(machine, path):
    """Until a file that is being written has some."""
    machine.sh(f"while [ ! -s {path} ]; do sleep 0.2; done", harness.BOOT_S)


def test_a_gigabyte_is_what_was_written_through_a_reboot_and_a_reset(start, write_dts, tmp_path, debian_disk):
    data = tmp_path / "data.img"
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", data, "1600M"], check=True)
    machine = start(write_dts(debian.configuration('device = "root";', 'device = "data";')), "--",
                    *debian.nvme("root", debian_disk), "-drive", f"if=none,id=d,format=raw,file={data}",
                    "-device", "virtio-blk-pci,drive=d,serial=data,disable-legacy=on")
    machine.login(LOAD_S)
    machine.sh("mkdir /m; mount /dev/vdb /m")
    machine.sh(f"fio {FILE} --rw=randwrite --do_verify=1 --end_fsync=1 --output=/root/fio", LOAD_S)
    assert "err= 0" in machine.sh("grep err= /root/fio")
    machine.sh("sync")

    # A tree of files copied again and again, while somebody restarts the guest.
    machine.sh("(n=0; while :; do cp -a /usr/lib/python3.11 /root/copy$n; rm -rf /root/copy$n; n=$((n + 1)); done) &")
    wait_for_data(machine, "/root/copy0")
    machine.send("reboot\n")
    machine.login(LOAD_S)
    machine.sh("mkdir -p /m; mount /dev/vdb /m")

    # The same, and a reset of the machine under it.
    machine.sh("rm -rf /root/copy*; sync; (while :; do cp -a /usr/lib/python3.11 /root/more; cp /m/verify /dev/null; "
               "dd if=/dev/urandom of=/m/other bs=1M count=64 2>/dev/null; rm -rf /root/more; done) &")
    wait_for_data(machine, "/m/other")
    machine.keel("vm reset debian")
    machine.focus(1)
    machine.login(LOAD_S)
    machine.sh("mkdir -p /m; mount /dev/vdb /m")
    machine.sh(f"fio {FILE} --rw=randread --verify_only=1 --output=/root/fio", LOAD_S)
    assert "err= 0" in machine.sh("grep err= /root/fio")
    machine.sh("rm -rf /root/more /m/other; umount /m")
    machine.send("poweroff\n")
    assert machine.wait_end(harness.BOOT_S) == 0
    debian.assert_root_is_clean(debian_disk)
    done = subprocess.run(["/usr/sbin/e2fsck", "-fn", data], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    data.unlink()
