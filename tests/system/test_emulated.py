# SPDX-License-Identifier: Apache-2.0
"""Emulated devices, by the stock drivers of Debian's kernel."""
import re

import harness
from machines import LINUX, machine, vm

INITRD = harness.BUILD / "guest" / "initrd-io.gz"
POWER_KEY = "01 00 74 00 01 00 00 00" # of struct input_event: EV_KEY, KEY_POWER, down


def with_devices(text, *nodes):
    """The VM, with these devices instead of the default ones."""
    body = "".join(f"{name} {{ {properties} }};" for name, properties in nodes)
    end = text.rindex("}")
    return f"{text[:end]}devices {{ {body} }};\n        {text[end:]}"


def load(guest, *modules):
    for m in modules:
        guest.sh(f"insmod /modules/{m}.ko")


def listen(guest, command):
    """Starts a command in the background that reads the power key, and waits until it has the key's file open."""
    guest.sh(f"({command}) &")
    guest.sh("until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q input/event0; do sleep 0.1; done")


def test_the_power_key_reaches_a_guest_on_a_16550_and_its_time_is_bounded(start, write_dts):
    text = vm("debian", initrd=INITRD, bootargs="console=ttyS0", stop_timeout_s=3)
    keel = start(write_dts(machine(with_devices(text, ("serial", 'compatible = "ns16550a";'),
                                                ("gpio", 'compatible = "arm,pl061";')), on_last_stop="stay")))
    keel.boot()
    assert "16550A" in keel.sh("dmesg | grep ttyS0.at", messages=True)
    line = keel.sh("grep ttyS0 /proc/interrupts")
    assert int(line.split()[1]) > 0
    load(keel, "evdev", "gpio_keys")
    listen(keel, "head -c 48 /dev/input/event0 | hexdump -C | sed s/^/EVENT/")
    mark = keel.mark()
    assert "is asked to shut down, and has 3 s" in keel.keel("vm stop debian")
    keel.wait_said(harness.broken("EVENT00000010  " + POWER_KEY), mark)
    keel.wait_said("debian: did not shut down in 3 s", mark)
    keel.wait_state("debian", "stopped")
    keel.keel("vm start debian")
    keel.focus(1)
    keel.boot()
    # Without a driver that listens there is nothing to wait for.
    assert "asked" not in keel.keel("vm stop debian")
    keel.wait_state("debian", "stopped")


def test_a_guest_that_is_asked_shuts_down_by_itself(start, write_dts):
    keel = start(write_dts(machine(vm("debian", initrd=INITRD))))
    keel.boot()
    load(keel, "evdev", "gpio_keys")
    listen(keel, "head -c 24 /dev/input/event0 > /dev/null; poweroff -f")
    keel.keel("vm stop debian")
    assert keel.wait_end() == 0
    assert "vm debian: powered off" in keel.console()


def test_the_watchdog_resets_a_guest_that_stops_petting_it_and_no_other(start, write_dts):
    hung = with_devices(vm("hung", initrd=INITRD), ("serial", 'compatible = "arm,pl011";'),
                        ("dog", 'compatible = "arm,sp805";'))
    keel = start(write_dts(machine(vm("other"), hung)))
    keel.boot()
    keel.boot()
    keel.focus(1)
    keel.sh("touch /tmp/here")
    keel.focus(2)
    load(keel, "sp805_wdt")
    keel.sh("watchdog -T 2 -t 1 /dev/watchdog0; sleep 4") # lives on past its time
    keel.sh("killall -9 watchdog")
    keel.expect("hung: its watchdog has run out: reset")
    keel.boot()
    assert "watchdog" in [w for w in keel.keel("vm list").splitlines() if "hung" in w][0]
    keel.focus(1)
    keel.sh("ls /tmp/here")


def until_listening(port):
    """A command that waits until somebody takes connections there."""
    return f"until grep -q ':{port:04X} 0*:0000 0A' /proc/net/tcp*; do sleep 0.1; done"


def serve(guest, file, port):
    """Sends a file to the first who connects to the port; returns once the port is open."""
    guest.sh(f"(nc -l -p {port} < {file}) &")
    guest.sh(until_listening(port))


def test_an_emulated_and_a_virtio_port_of_one_network_understand_each_other(start, write_dts):
    serial = ("serial", 'compatible = "arm,pl011";')
    left = with_devices(vm("left", initrd=INITRD), serial,
                        ("net0", 'compatible = "keel,net"; network = "lan"; io = "emulated"; mtu = <9000>;'))
    right = with_devices(vm("right", initrd=INITRD), serial,
                         ("net0", 'compatible = "keel,net"; network = "lan"; mtu = <9000>;'))
    keel = start(write_dts(machine(left, right)))
    keel.boot()
    keel.boot()
    keel.focus(1)
    load(keel, "e1000e")
    keel.sh("ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0")
    keel.focus(2)
    keel.sh("ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0; dd if=/dev/urandom of=/tmp/r bs=1M count=8 2>/dev/null")
    keel.sh("for i in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 1 10.0.0.1 >/dev/null && break; done; ping -c 3 10.0.0.1")
    digest = keel.sh("md5sum < /tmp/r")
    for _ in range(5):
        serve(keel, "/tmp/r", 99)
        keel.focus(1)
        keel.sh("nc 10.0.0.2 99 > /tmp/r")
        assert keel.sh("md5sum < /tmp/r") == digest
        keel.focus(2)
    keel.focus(1)
    interrupts = keel.sh("grep eth0-rx /proc/interrupts")
    assert re.search("ITS-(PCI-)?MSI", interrupts) and int(interrupts.split()[1]) > 0
    serve(keel, "/tmp/r", 98)
    keel.focus(2)
    assert keel.sh("nc 10.0.0.1 98 | md5sum") == digest
    # Large frames, by packet split.
    keel.sh("ip link set eth0 mtu 9000")
    keel.focus(1)
    keel.sh("ip link set eth0 mtu 9000; sleep 3; ping -c 3 -s 8000 10.0.0.2")


def test_devices_without_messages_share_the_four_lines_of_their_bus(start, write_dts):
    """Slots 1 and 5 have the same line, and 2 and 6; the others have nothing to say meanwhile."""
    serial = ("serial", 'compatible = "arm,pl011";')
    disk = 'compatible = "keel,disk"; size = "16M";'
    left = with_devices(vm("left", vcpus=2, initrd=INITRD, bootargs=f"{LINUX} pci=nomsi"), serial,
                        ("disk1", disk), ("net2", 'compatible = "keel,net"; network = "lan"; io = "emulated";'),
                        ("disk3", disk), ("disk4", disk), ("net5", 'compatible = "keel,net"; network = "wan";'),
                        ("disk6", disk))
    right = with_devices(vm("right", initrd=INITRD), serial, ("net0", 'compatible = "keel,net"; network = "lan";'),
                         ("net1", 'compatible = "keel,net"; network = "wan";'))
    keel = start(write_dts(machine(left, right)))
    keel.boot()
    keel.boot()
    keel.focus(1)
    load(keel, "e1000e")
    keel.sh("name() { basename /sys/bus/pci/devices/0000:00:0$1.0/$2/*; }; a=$(name 1 virtio*/block); d=$(name 6 virtio*/block); "
            "lan=$(name 2 net); wan=$(name 5 virtio*/net); dd if=/dev/urandom of=/tmp/r bs=1M count=1 2>/dev/null")
    keel.sh("i=0; for n in $lan $wan; do ip link set $n up; ip addr add 10.0.$i.1/24 dev $n; i=$((i + 1)); done")
    digest = keel.sh("md5sum < /tmp/r")
    keel.focus(2)
    keel.sh("for i in 0 1; do ip link set eth$i up; ip addr add 10.0.$i.2/24 dev eth$i; "
            "until ping -c 1 -W 1 10.0.$i.1; do :; done; done")

    def taken():
        """Interrupts of each line that devices of the bus share."""
        rows = [line.split() for line in keel.sh("grep -E 'virtio.*,|eth' /proc/interrupts").splitlines()]
        assert all(row[3:5] == ["GICv3", row[4]] and row[5] == "Level" for row in rows)
        return [int(row[1]) + int(row[2]) for row in rows]

    for port, (disk_of, net) in enumerate((("$a", 1), ("$d", 0))): # each pair at work at once
        keel.focus(1)
        before = taken()
        keel.sh(f"(while [ ! -e /tmp/enough{port} ]; do dd if=/tmp/r of=/dev/{disk_of} bs=64k conv=fsync 2>/dev/null; "
                f"echo 3 > /proc/sys/vm/drop_caches; cmp -n 1048576 /tmp/r /dev/{disk_of} || echo WR''ONG; done; touch /tmp/end) &")
        serve(keel, "/tmp/r", 90 + port)
        keel.focus(2)
        assert keel.sh(f"nc 10.0.{net}.1 {90 + port} | md5sum") == digest
        keel.focus(1)
        keel.sh(f"touch /tmp/enough{port}; until rm /tmp/end 2>/dev/null; do usleep 50000; done")
        assert sum(after > n + 100 for n, after in zip(before, taken())) == 1
    assert keel.sh("dmesg | grep 'nobody cared'", check=False) == ""
    assert "WRONG" not in keel.console()
