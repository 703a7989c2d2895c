# SPDX-License-Identifier: Apache-2.0
"""What tests of Debian on a disk share."""
import subprocess

import harness

ROOT_FIRST_MIB = 33 # where scripts/setup-debian puts the root file system
MIB = 1 << 20


def assert_root_is_clean(disk, first_mib=0):
    """Its journal is empty, and e2fsck finds nothing to mend. first_mib: where Debian's disk lies within that file."""
    root = f"{disk}?offset={(first_mib + ROOT_FIRST_MIB) * MIB}"
    done = subprocess.run(["/usr/sbin/e2fsck", "-fn", root], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def configuration(*disks, firmware=harness.EDK2):
    """A VM that firmware boots. disks: properties of each."""
    nodes = "".join(f'disk{i} {{ compatible = "keel,disk"; {properties} }};' for i, properties in enumerate(disks))
    return f"""/dts-v1/; / {{ compatible = "keel,machine"; on-last-stop = "poweroff";
        vms {{ debian {{ vcpus = <2>; memory = "512M"; firmware = "{firmware}"; autostart;
            devices {{ flash {{ compatible = "cfi-flash"; }}; serial {{ compatible = "arm,pl011"; }};
                clock {{ compatible = "arm,pl031"; }}; gpio {{ compatible = "arm,pl061"; }}; {nodes} }}; }}; }}; }};"""


DEVICES = {"nvme": "nvme", "virtio-blk": "virtio-blk-pci,disable-legacy=on"}


def disk(device, name, path):
    """QEMU's arguments for a disk of the host with that serial number."""
    return ["-drive", f"if=none,id={name},format=raw,file={path}", "-device", f"{DEVICES[device]},drive={name},serial={name}"]
