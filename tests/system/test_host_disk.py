# SPDX-License-Identifier: Apache-2.0
"""Disks of the host, real devices as far as QEMU has them, in the hands of stock Debian guests."""
import hashlib
import os
import re
import struct
import subprocess
import zlib

import harness
import pytest

MIB = 1 << 20
INITRD_IO = harness.BUILD / "guest" / "initrd-io.gz"
DEVICES = {
    "virtio-pci": ["-device", "pcie-root-port,id=rp,chassis=1",
                   "-device", "virtio-blk-pci,drive=d0,disable-legacy=on,bus=rp,serial=one"],
    "virtio-intx": ["-device", "virtio-blk-pci,drive=d0,disable-legacy=on,vectors=0,serial=one"],
    "virtio-mmio": ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-blk-device,drive=d0,serial=one"],
    "nvme": ["-device", "pcie-root-port,id=rp,chassis=1", "-device", "nvme,drive=d0,serial=one,bus=rp"],
}


def configuration(*vms):
    """vms: (name, autostart, [(node, properties of a disk)])."""
    text = ""
    for name, autostart, disks in vms:
        nodes = "".join(f'{node} {{ compatible = "keel,disk"; {properties} }};' for node, properties in disks)
        text += f"""{name} {{ vcpus = <2>; memory = "192M"; kernel = "{harness.VMLINUZ}"; initrd = "{INITRD_IO}";
            bootargs = "console=ttyAMA0"; {"autostart;" if autostart else ""}
            devices {{ serial {{ compatible = "arm,pl011"; }}; {nodes} }}; }};"""
    return f'/dts-v1/; / {{ compatible = "keel,machine"; on-last-stop = "poweroff"; vms {{ {text} }}; }};'


@pytest.fixture
def disk_image(tmp_path):
    path = tmp_path / "disk.img"
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path), "48M"], check=True)
    return path


def qemu(image, device, drive=""):
    return ["--", "-drive", drive or f"if=none,id=d0,format=raw,file={image}", *DEVICES[device]]


@pytest.mark.parametrize("device", DEVICES)
def test_a_file_system_outlives_a_reset_and_reaches_the_hosts_disk(start, write_dts, disk_image, device, tmp_path):
    trace = tmp_path / "trace"
    machine = start(write_dts(configuration(("debian", True, [("root", 'device = "one";')]))),
                    *qemu(disk_image, device), "-trace", "pci_nvme_mmio_shutdown_set", "-D", trace)
    machine.boot()
    machine.sh("mkdir /m; mount -t ext4 /dev/vda /m")
    machine.sh("dd if=/dev/urandom of=/m/random bs=1M count=6 2>/dev/null; sync")
    before = machine.sh("sha256sum < /m/random").split()[0]
    listing = machine.keel("disk list")
    assert "one" in listing and "debian/root" in listing
    machine.focus(1)
    if device in ("virtio-pci", "nvme"):
        machine.sh("while :; do dd if=/dev/zero of=/m/more bs=64k count=64 conv=fsync 2>/dev/null; done &")
        machine.keel("vm reset debian")
        machine.focus(1)
        machine.boot()
        machine.sh("mkdir /m; mount -t ext4 /dev/vda /m; rm -f /m/more")
    machine.sh("echo 3 > /proc/sys/vm/drop_caches")
    assert machine.sh("sha256sum < /m/random").split()[0] == before
    machine.sh("umount /m")
    irqs = machine.keel("irq")
    assert ("PCI INTx" in irqs) == (device == "virtio-intx")
    machine.focus(1)
    machine.send("poweroff -f\n")
    assert machine.wait_end() == 0
    assert trace.exists() and ("shutdown" in trace.read_text()) == (device == "nvme")
    assert subprocess.run(["e2fsck", "-fn", str(disk_image)], capture_output=True).returncode == 0
    out = tmp_path / "random"
    subprocess.run(["debugfs", "-R", f"dump /random {out}", str(disk_image)], check=True, capture_output=True)
    assert hashlib.sha256(out.read_bytes()).hexdigest() == before


def test_a_disk_and_an_its_that_are_not_coherent_are_served(start, write_dts, disk_image, tmp_path):
    tree = tmp_path / "virt.dtb"
    machine = f"virt,virtualization=on,gic-version=3,iommu=smmuv3,dumpdtb={tree}"
    subprocess.run(["qemu-system-aarch64", "-machine", machine, "-cpu", "neoverse-n1", "-smp", "2", "-m", "1024M",
                    "-nodefaults", "-display", "none"], check=True, capture_output=True)
    subprocess.run(["fdtput", "-d", tree, "/pcie@10000000", "dma-coherent"], check=True)
    subprocess.run(["fdtput", "-t", "s", tree, "/intc@8000000/its@8080000", "dma-noncoherent", ""], check=True)
    machine = start(write_dts(configuration(("debian", True, [("root", 'device = "one";')]))),
                    *qemu(disk_image, "nvme"), "-device", "igb", "-dtb", tree)
    machine.boot()
    machine.sh("mkdir /m; mount -t ext4 /dev/vda /m; dd if=/dev/urandom of=/m/random bs=1M count=6 2>/dev/null; sync")
    before = machine.sh("sha256sum < /m/random").split()[0]
    assert machine.sh("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /m/random").split()[0] == before
    assert re.search(r"\n8192 +0 +pci-01:00.0 +[1-9]", machine.keel("irq"))
    assert "igb needs a host bridge that is dma-coherent" in machine.keel("log")


def write_gpt(path, sectors, partitions):
    """partitions: [(name, first, last)]."""
    entries = bytearray(128 * 128)
    for i, (name, first, last) in enumerate(partitions):
        entry = struct.pack("<16s16sQQQ72s", b"\x01" * 16, bytes([i + 1]) * 16, first, last, 0,
                            name.encode("utf-16-le"))
        entries[i * 128:(i + 1) * 128] = entry

    def header(own, other, table):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, sectors - 34, b"\x07" * 16, table, 128, 128,
                  zlib.crc32(entries)]
        packed = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
        fields[3] = zlib.crc32(packed)
        return struct.pack("<8sIIIIQQQQ16sQIII", *fields).ljust(512, b"\0")

    with open(path, "r+b") as f:
        f.seek(512)
        f.write(header(1, sectors - 1, 2) + entries)
        f.seek((sectors - 33) * 512)
        f.write(bytes(entries) + header(sectors - 1, 1, sectors - 33))


def test_partitions_overlays_and_shares_keep_to_what_is_theirs(start, write_dts, tmp_path):
    image = tmp_path / "disk.img"
    content = os.urandom(4 * MIB)
    image.write_bytes(content * 4)
    write_gpt(image, 16 * MIB // 512, [("root", 2048, 10239), ("data", 10240, 20479), ("shared", 20480, 30719)])
    before = image.read_bytes()
    first = [("a", 'device = "one"; partition = "root";'), ("b", 'device = "one"; partition = "data"; overlay;'),
             ("c", 'device = "one"; partition = "3"; read-only;')]
    second = [("c", 'device = "one"; partition = "shared"; read-only;')]
    machine = start(write_dts(configuration(("debian", True, first), ("other", False, second),
                                            ("greedy", False, [("all", 'device = "one";')]),
                                            ("lost", False, [("none", 'device = "two";')]),
                                            ("absent", False, [("none", 'device = "one"; partition = "home";')]),
                                            ("writer", False, [("w", 'device = "one"; partition = "3";')]))), *qemu(image, "virtio-pci"))
    machine.boot()
    assert [machine.sh(f"cat /sys/block/vd{d}/size") for d in "abc"] == ["8192", "10240", "10240"]
    for disk, first_sector in (("a", 2048), ("b", 10240), ("c", 20480)):
        expected = hashlib.sha256(before[first_sector * 512:(first_sector + 8192) * 512]).hexdigest()
        assert machine.sh(f"head -c {4 * MIB} /dev/vd{disk} | sha256sum").split()[0] == expected
    machine.sh("for d in a b; do dd if=/dev/zero of=/dev/vd$d bs=4k seek=10 count=100 conv=fsync 2>/dev/null; done")
    machine.sh("dd if=/dev/zero of=/dev/vda bs=4k seek=1023 count=1 conv=fsync 2>/dev/null; "
               "echo 3 > /proc/sys/vm/drop_caches")
    zeroed = bytearray(before[10240 * 512:20480 * 512])
    zeroed[10 * 4096:110 * 4096] = bytes(100 * 4096)
    assert machine.sh("sha256sum < /dev/vdb").split()[0] == hashlib.sha256(zeroed).hexdigest()
    assert machine.sh("dd if=/dev/zero of=/dev/vdc count=1 2>/dev/null", check=False) == ""
    listing = machine.keel("disk list")
    assert "partition 2" in listing and "data" in listing
    for vm, why in (("greedy", "they may share what both only read"), ("lost", "this host has no disk 'two'"),
                    ("absent", "no partition 'home'; it has 1 (root), 2 (data), 3 (shared)"),
                    ("writer", "is read by debian/c: they may share what both only read")):
        machine.keel(f"vm start {vm}")
        assert why in machine.keel("log")
    machine.keel("vm start other")
    machine.wait_state("other", "running")
    machine.keel("vm stop other")
    machine.focus(1)
    machine.send("poweroff -f\n")
    assert machine.wait_end() == 0
    after = image.read_bytes()
    expected = bytearray(before)
    for at, count in ((10, 100), (1023, 1)):
        expected[2048 * 512 + at * 4096:2048 * 512 + (at + count) * 4096] = bytes(count * 4096)
    assert after == expected


def test_an_overlay_that_finds_no_more_memory_is_an_io_error_and_the_rest_goes_on(start, write_dts, tmp_path):
    image = tmp_path / "disk.img"
    with open(image, "wb") as f:
        f.truncate(512 * MIB)
    machine = start(write_dts(configuration(("debian", True, [("disk", 'device = "one"; overlay;')]),
                                            ("other", True, [("disk", 'size = "16M";')]))),
                    "--ram", "512M", *qemu(image, "virtio-pci"))
    machine.boot()
    machine.boot()
    machine.focus(1)
    fill = "dd if=/tmp/r of=/dev/vda bs=1M seek=$n conv=fsync 2>/dev/null"
    machine.sh("dd if=/dev/urandom of=/tmp/r bs=1M count=1 2>/dev/null")
    written = int(machine.sh(f"n=0; while {fill}; do n=$((n + 1)); done; echo $n"))
    assert 8 <= written < 128
    pages = dict(re.findall(r"^(\w+) +(\d+) +\d+$", machine.keel("mem"), re.M))
    assert 256 <= int(pages["free"]) - int(pages["claimed"]) < 512 # what Keel keeps for itself
    machine.focus(2)
    machine.sh("dd if=/dev/urandom of=/tmp/r bs=1M count=16 2>/dev/null; dd if=/tmp/r of=/dev/vda bs=1M conv=fsync 2>/dev/null")
    machine.sh("echo 3 > /proc/sys/vm/drop_caches; cmp /dev/vda /tmp/r")
    machine.focus(1)
    machine.sh("echo 3 > /proc/sys/vm/drop_caches")
    machine.sh(f"dd if=/dev/vda bs=1M skip={written - 1} count=1 2>/dev/null | cmp - /tmp/r")
    machine.sh("blkdiscard /dev/vda")
    machine.sh(f"n=300; while [ $n -lt 308 ]; do {fill} || exit 1; n=$((n + 1)); done")
    assert image.stat().st_blocks == 0


@pytest.mark.parametrize("device", ["virtio-pci", "nvme"])
def test_errors_of_the_hosts_disk_are_the_guests_and_the_rest_goes_on(start, write_dts, tmp_path, device):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(16 * MIB))
    drive = ("if=none,id=d0,driver=raw,file.driver=blkdebug,"
             f"file.image.driver=file,file.image.filename={image}")
    errors = (("read_aio", "sector=4096"), ("write_aio", "sector=8192"), ("flush_to_disk", "once=on"))
    for i, (event, when) in enumerate(errors):
        drive += f",file.inject-error.{i}.event={event},file.inject-error.{i}.errno=5,file.inject-error.{i}.{when}"
    machine = start(write_dts(configuration(("debian", True, [("disk", 'device = "one";')]))),
                    *qemu(image, device, drive))
    machine.boot()
    machine.sh("dd if=/dev/vda of=/dev/null bs=4k count=64 2>/dev/null")
    assert machine.sh("dd if=/dev/vda of=/dev/null bs=4k skip=512 count=1 2>/dev/null || echo rea''d",
                      check=False).endswith("read")
    assert machine.sh("dd if=/dev/zero of=/dev/vda bs=4k seek=1024 count=1 conv=fsync 2>/dev/null || echo wri''te",
                      check=False).endswith("write")
    # The write succeeds, and it is the flush after it that fails, once.
    machine.sh("dd if=/dev/urandom of=/tmp/r bs=4k count=64 2>/dev/null; dd if=/tmp/r of=/dev/vda bs=4k 2>/dev/null")
    assert machine.sh("dd if=/tmp/r of=/dev/vda bs=4k conv=fsync 2>/dev/null || echo flu''sh", check=False).endswith("flush")
    machine.sh("dd if=/tmp/r of=/dev/vda bs=4k conv=fsync 2>/dev/null")
    machine.sh("echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=4k count=64 2>/dev/null | cmp - /tmp/r")


def test_a_disk_by_an_option_is_there(start, tmp_path):
    writable, fixed = tmp_path / "a,b.img", tmp_path / "fixed.img"
    writable.write_bytes(bytes(MIB))
    fixed.write_bytes(b"fixed" * 1024 * 13)
    machine = start("--kernel", harness.VMLINUZ, "--initrd", INITRD_IO, "--append", "console=ttyAMA0",
                    "--disk", writable, "--disk", f"{fixed},ro")
    machine.boot()
    machine.sh("head -c 5 /dev/vdb | dd of=/dev/vda conv=fsync 2>/dev/null")
    assert machine.sh("cat /sys/block/vdb/ro") == "1"
    machine.send("poweroff -f\n")
    assert machine.wait_end() == 0
    assert writable.read_bytes()[:6] == b"fixed\0"
