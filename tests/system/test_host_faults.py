# SPDX-License-Identifier: Apache-2.0
"""Devices of the host that are pulled out, have no link, or do not answer, under stock Debian guests."""
import json
import re
import socket

import harness
import pytest
from test_host_disk import MIB, configuration

ECAM = 0x4010000000
BAR4 = 0x20 # of a virtio function: the common configuration is at its beginning
QUEUE_SELECT, QUEUE_SIZE, QUEUE_DESC = 0x16, 0x18, 0x20
SLOT_CONTROL = 0x18 # of the PCI Express capability
SLOT_OFF = 0x700 # power and its indicator
DEVICES = {"virtio-blk": "virtio-blk-pci,disable-legacy=on", "nvme": "nvme"}
TWO = [("debian", True, [("disk", 'device = "one";')]), ("other", True, [("disk", 'device = "two";')])]
WRITE = "dd if=/dev/urandom of=/tmp/r bs=64k count=8 2>/dev/null; dd if=/tmp/r of=/dev/vda bs=64k conv=fsync 2>/dev/null"
COMPARE = "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k count=8 2>/dev/null | cmp - /tmp/r"


class Lines:
    """A socket of QEMU's that takes lines and gives lines."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw")

    def line(self):
        return self._file.readline()

    def send(self, text):
        self._file.write(text + "\n")
        self._file.flush()


class Monitor(Lines):
    def __init__(self, path):
        super().__init__(path)
        self.line()
        self.command("qmp_capabilities")

    def command(self, name, /, **arguments):
        self.send(json.dumps({"execute": name, "arguments": arguments}))
        while "return" not in (answer := json.loads(self.line())):
            assert "error" not in answer, answer


class Bus(Lines):
    """The machine's memory as devices see it."""

    def access(self, what, address, value=None):
        self.send(f"{what} {address:#x}" + (f" {value:#x}" if value is not None else ""))
        answer = self.line().split()
        assert answer[0] == "OK", answer
        return int(answer[1], 16) if len(answer) > 1 else None

    def power_off(self, slot):
        """What the slot of the root port at 00:`slot` has is gone at once."""
        port = ECAM + (slot << 15)
        at = self.access("readb", port + 0x34)
        for _ in range(48):
            if self.access("readb", port + at) == 0x10:
                break
            at = self.access("readb", port + at + 1)
        assert self.access("readb", port + at) == 0x10
        control = port + at + SLOT_CONTROL
        self.access("writew", control, self.access("readw", control) | SLOT_OFF)

    def spoil_queue(self, slot, queue):
        """What the device at 00:`slot` was offered in that queue, to be written to, are chains without an end."""
        common = self.access("readq", ECAM + (slot << 15) + BAR4) & ~0xF
        self.access("writew", common + QUEUE_SELECT, queue)
        desc = self.access("readl", common + QUEUE_DESC) | self.access("readl", common + QUEUE_DESC + 4) << 32
        for i in range(self.access("readw", common + QUEUE_SIZE)):
            self.access("writew", desc + 16 * i + 12, 3)


def machine_with(start, write_dts, tmp_path, device, *options, before=()):
    """Two guests, each with a disk on a device of its own; that of the first is behind a root port at slot 2."""
    qemu = ["--", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", "-device", "pcie-root-port,id=rp,chassis=1,addr=2"]
    for name, bus in (("one", "rp"), ("two", "pcie.0")):
        image = tmp_path / f"{name}.img"
        image.write_bytes(bytes(4 * MIB))
        qemu += ["-drive", f"if=none,id={name},format=raw,file={image}",
                 "-device", f"{DEVICES[device]},id=dev-{name},drive={name},serial={name},bus={bus}"]
    machine = start(write_dts(configuration(*TWO)), *before, *qemu, *options)
    machine.boot()
    machine.boot()
    for guest in (2, 1):
        machine.focus(guest)
        machine.sh(f"until {WRITE}; do :; done") # by --icount a disk may be late at any time: then it is reset
    return machine


@pytest.mark.parametrize("device", DEVICES)
def test_a_disk_that_is_pulled_out_is_an_io_error_to_its_user_alone(start, write_dts, tmp_path, device):
    qtest = f"unix:{tmp_path}/qtest,server=on,wait=off"
    machine = machine_with(start, write_dts, tmp_path, device, "-qtest", qtest, "-qtest-log", "/dev/null")
    machine.sh("while dd if=/dev/zero of=/dev/vda bs=4k count=512 seek=200 conv=fsync 2>/dev/null; do true; done &")
    Bus(tmp_path / "qtest").power_off(2)
    # What is under way fails within a few seconds; what comes later, at once.
    assert "Input/output error" in machine.sh("wait; dd if=/dev/vda of=/dev/null bs=4k count=4 skip=900", 25, check=False)
    assert re.search(r"\bone\b.*dead", machine.keel("disk list"))
    machine.focus(2)
    machine.sh(COMPARE)
    machine.sh(WRITE)
    machine.sh(COMPARE)
    assert not re.search(r"\btwo\b.*(dead|was reset)", machine.keel("disk list"))


@pytest.mark.parametrize("device", DEVICES)
def test_a_disk_that_does_not_answer_is_reset_and_serves_again(start, write_dts, tmp_path, device):
    # Instructions are the clock, so that half a minute of waiting is over at once.
    machine = machine_with(start, write_dts, tmp_path, device, before=["--icount"])
    monitor = Monitor(tmp_path / "qmp")
    limits = dict.fromkeys(("bps", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
    monitor.command("block_set_io_throttle", device="one", bps_rd=1, **limits)
    machine.sh("echo 3 > /proc/sys/vm/drop_caches")
    assert "Input/output error" in machine.sh("dd if=/dev/vda of=/dev/null bs=64k count=8", 120, check=False)
    listing = machine.keel("disk list")
    assert re.search(r"\bone\b.*was reset", listing) and "dead" not in listing
    monitor.command("block_set_io_throttle", device="one", bps_rd=0, **limits)
    # Idle time is over at once, also while the host's disk works: what is late then is reset and asked anew.
    machine.focus(2)
    machine.sh(f"until {COMPARE}; do :; done")
    machine.focus(1)
    machine.sh(f"until {COMPARE}; do :; done")
    machine.sh(f"until {WRITE}; do :; done; until {COMPARE}; do :; done")


NET = f"""/dts-v1/;
/ {{
    compatible = "keel,machine";
    networks {{ lan {{ uplink = "net0"; }}; }};
    vms {{
        NODES
    }};
}};
"""
GUEST = """%s {
    vcpus = <1>; memory = "160M"; autostart; kernel = "%s"; initrd = "%s"; bootargs = "console=ttyAMA0";
    devices {
        serial { compatible = "arm,pl011"; };
        net0 { compatible = "keel,net"; network = "lan"; %s };
    };
};
"""


@pytest.mark.parametrize("nic", ["virtio-net-pci,disable-legacy=on", "igb"])
def test_an_interface_without_a_cable_and_one_that_is_pulled_out(start, write_dts, tmp_path, nic):
    kernel = (harness.VMLINUZ, harness.BUILD / "guest" / "initrd-io.gz")
    nodes = GUEST % ("one", *kernel, "follow-uplink;") + GUEST % ("two", *kernel, "")
    machine = start(write_dts(NET.replace("NODES", nodes)), "--", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off",
                    "-qtest", f"unix:{tmp_path}/qtest,server=on,wait=off", "-qtest-log", "/dev/null",
                    "-device", "pcie-root-port,id=rp,chassis=1,addr=2", "-netdev", "user,id=n",
                    "-device", f"{nic},id=nic,netdev=n,bus=rp,mac=52:54:00:00:00:07,romfile=")
    machine.boot()
    machine.boot()

    def carrier(guest, value):
        machine.focus(guest)
        machine.sh(f"until grep -q {value} /sys/class/net/eth0/carrier; do sleep 0.1; done")

    for guest in (1, 2):
        machine.focus(guest)
        machine.sh(f"ip addr add 10.0.2.{20 + guest}/24 dev eth0; ip link set eth0 up; ping -c 1 -W 5 10.0.2.2")
    assert re.search(r"(?m)^lan +net0 +52:54:00:00:00:07 .* up .*pci-01:00.0", machine.keel("net list"))
    machine.focus(2)
    machine.sh("ping -c 1 -W 5 10.0.2.21")
    monitor = Monitor(tmp_path / "qmp")
    monitor.command("set_link", name="nic", up=False)
    carrier(1, 0)
    carrier(2, 1)
    assert re.search(r"(?m)^lan +net0 .* down ", machine.keel("net list"))
    monitor.command("set_link", name="nic", up=True)
    carrier(1, 1)
    for guest in (1, 2):
        machine.focus(guest)
        machine.sh("ping -c 3 -W 5 10.0.2.2")
    machine.sh("ping -A -s 1400 10.0.2.2 > /dev/null &")
    Bus(tmp_path / "qtest").power_off(2)
    carrier(1, 0)
    assert re.search(r"(?m)^lan +net0 .* given up ", machine.keel("net list"))
    # What has a link of its own goes on, and so do its disks of the host and Keel.
    machine.keel("net link one/net0 up")
    carrier(2, 1)
    machine.sh("ping -c 1 -W 1 10.0.2.2 && exit 1; killall ping; true")
    machine.sh("true")


def test_an_interface_that_needs_a_reset_gets_one(start, write_dts, tmp_path):
    guest = GUEST % ("one", harness.VMLINUZ, harness.BUILD / "guest" / "initrd-io.gz", "follow-uplink;")
    machine = start(write_dts(NET.replace("NODES", guest)), "--", "-qtest", f"unix:{tmp_path}/qtest,server=on,wait=off",
                    "-qtest-log", "/dev/null", "-netdev", "user,id=n",
                    "-device", "virtio-net-pci,disable-legacy=on,netdev=n,addr=2,romfile=")
    machine.boot()
    machine.focus(1)
    machine.sh("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ping -c 1 -W 5 10.0.2.2")
    Bus(tmp_path / "qtest").spoil_queue(2, 0)
    machine.sh("ping -c 1 -W 1 10.0.2.2 && exit 1; until ping -c 1 -W 1 10.0.2.2; do :; done")
    assert re.search(r"pci-00:02.0 \(net\): needs a reset", machine.console())
