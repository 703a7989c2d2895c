# SPDX-License-Identifier: Apache-2.0
"""Disks of Debian guests, by the stock virtio-blk driver."""
import hashlib
import pathlib
import re

import harness
import pytest

TOP = pathlib.Path(__file__).parent.parent.parent


def configuration(transport):
    text = (TOP / "guests" / "disks.dts").read_text().replace('"../', f'"{TOP}/')
    return text.replace('compatible = "keel,disk";', f'compatible = "keel,disk"; transport = "{transport}";')


@pytest.fixture(params=["pci", "mmio"])
def disks(request, start, write_dts):
    machine = start(write_dts(configuration(request.param)))
    machine.boot()
    machine.transport = request.param
    return machine


def test_interrupts_come_as_messages_on_pci_and_by_a_line_on_mmio(disks):
    disks.sh("dd if=/dev/vda of=/dev/null bs=1M count=1 2>/dev/null")
    lines = disks.sh("grep virtio0 /proc/interrupts").splitlines()
    assert all(bool(re.search("ITS-(PCI-)?MSI", line)) == (disks.transport == "pci") for line in lines)
    assert sum(int(n) for line in lines if "config" not in line for n in line.split()[1:3]) > 0


def test_a_disk_has_its_nodes_name_as_serial_number_and_tells_its_block_size(disks):
    assert disks.sh("cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial").split() == ["scratch", "data"]
    assert disks.sh("cd /sys/block/vda/queue; cat logical_block_size physical_block_size minimum_io_size").split() == [
        "512", "4096", "4096"]


def test_a_read_only_image_is_read_as_it_is(disks):
    image = harness.INITRD.read_bytes()
    assert disks.sh(f"head -c {len(image)} /dev/vdb | sha256sum").split()[0] == hashlib.sha256(image).hexdigest()
    assert disks.sh("cat /sys/block/vdb/ro") == "1"
    assert disks.sh("dd if=/dev/zero of=/dev/vdb count=1 2>/dev/null", check=False) == ""


def test_what_is_written_comes_back_after_the_cache_is_dropped(disks):
    disks.sh("dd if=/dev/urandom of=/tmp/random bs=1M count=24 2>/dev/null")
    disks.sh("dd if=/tmp/random of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null")
    disks.sh("echo 3 > /proc/sys/vm/drop_caches")
    disks.sh("dd if=/dev/vda bs=64k skip=16 count=384 2>/dev/null | cmp - /tmp/random")
    disks.sh("blkdiscard /dev/vda")
    disks.sh("dd if=/dev/vda bs=1M skip=1 count=4 2>/dev/null | cmp -n 4194304 - /dev/zero")


def test_each_vcpu_has_a_queue_and_what_they_do_is_counted(disks):
    assert len(disks.sh("ls /sys/block/vda/mq").split()) == 2
    disks.sh("for cpu in 0 1; do taskset $((1 << cpu)) dd if=/dev/vda of=/dev/null bs=4k count=64 skip=$((cpu * 4096)) "
             "iflag=direct 2>/dev/null; done")
    rows = [line.split() for line in disks.keel("io stats debian").splitlines() if " scratch " in line]
    assert [row[3] for row in rows] == ["0", "1"]
    for row in rows:
        requests, size, notified, interrupts, batches = map(int, row[4:9])
        assert requests >= 64 and size >= 64 * 4096
        assert 0 < notified <= requests and 0 < interrupts <= batches <= requests # a worker awake needs no notification
    disks.focus(1)


def test_a_disk_outlives_a_reset_in_the_midst_of_writing(disks):
    disks.sh("dd if=/dev/urandom of=/tmp/random bs=1M count=4 2>/dev/null; sha256sum < /tmp/random > /tmp/sum")
    disks.sh("dd if=/tmp/random of=/dev/vda bs=1M conv=fsync 2>/dev/null")
    before = disks.sh("cat /tmp/sum")
    disks.sh("while :; do dd if=/dev/zero of=/dev/vda bs=1M seek=8 count=32 conv=fsync 2>/dev/null; done &")
    disks.keel("vm reset debian")
    disks.focus(1)
    disks.boot()
    assert disks.sh("dd if=/dev/vda bs=1M count=4 2>/dev/null | sha256sum") == before


def test_the_driver_may_be_unbound_and_bound_again(disks):
    driver = "/sys/bus/virtio/drivers/virtio_blk"
    for _ in range(3):
        disks.sh("dd if=/dev/vda of=/dev/null bs=1M count=64 2>/dev/null & true")
        disks.sh(f"echo virtio0 > {driver}/unbind; echo virtio0 > {driver}/bind")
    assert disks.sh("cat /sys/block/vda/size") == "131072"
