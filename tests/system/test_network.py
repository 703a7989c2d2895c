# SPDX-License-Identifier: Apache-2.0
"""Networks between Debian guests, by the stock virtio-net driver."""
import pathlib
import re
import subprocess

import harness
import machines
import pytest
from test_emulated import until_listening, with_devices

TOP = pathlib.Path(__file__).parent.parent.parent


def configuration(left="", right="", both=""):
    text = (TOP / "guests" / "network.dts").read_text().replace('"../', f'"{TOP}/')
    head, first, second = text.split('network = "lan";')
    return f'{head}network = "lan"; {both} {left}{first}network = "lan"; {both} {right}{second}'


def bring_up(machine, options=""):
    machine.boot()
    machine.boot() # what is typed before there is a shell may be lost
    for index in (1, 2):
        machine.focus(index)
        machine.sh(f"ip addr add 10.0.0.{index}/24 dev eth0; ip link set eth0 up")
    return machine


@pytest.fixture
def pair(start, write_dts):
    """Two guests with addresses: pair(left properties, right properties, both's)."""

    def starter(*args, **kwargs):
        return bring_up(start(write_dts(configuration(*args, **kwargs))))

    return starter


def ping(machine, target="10.0.0.1", source=2):
    """Whether one echo comes back."""
    machine.focus(source)
    return "1 packets received" in machine.sh(f"ping -c 1 -W 2 {target}", check=False)


def reach(machine, target="10.0.0.1", source=2):
    """Waits for an echo: the first may come before the link is ready, or be lost in a crowd of others."""
    machine.focus(source)
    machine.sh(f"until ping -c 1 -W 2 {target} > /dev/null; do :; done")


def counters(machine, port):
    names = ["sent", "sent_bytes", "sent_large", "received", "received_bytes", "received_large", "cut", "refused",
             "dropped", "waits"]
    rows = [line.split() for line in machine.keel(f"net stats {port}").splitlines()]
    return dict(zip(names, next(row for row in rows if row[:1] == [port])[1:]))


def transfer(machine, source, target, megabytes):
    """Sends a file by TCP; both ends say the same sum."""
    machine.focus(target)
    # Typing would stop one that reads the terminal.
    machine.sh("rm -f /tmp/got; (nc -l -p 5000 < /dev/null > /tmp/got) & " + until_listening(5000))
    machine.focus(source)
    sent = machine.sh(f"dd if=/dev/urandom of=/tmp/file bs=1M count={megabytes} 2>/dev/null; md5sum < /tmp/file")
    # dd has the socket itself: nc would write a kilobyte at a time, and the kernel could find nothing to make large.
    machine.sh("printf '#!/bin/sh\\ndd if=/tmp/file bs=64k 2>/dev/null\\n' > /tmp/send; chmod +x /tmp/send")
    machine.sh(f"nc -w 10 10.0.0.{target} 5000 -e /tmp/send")
    machine.focus(target)
    assert machine.sh("while pidof nc > /dev/null; do sleep 0.1; done; md5sum < /tmp/got") == sent


@pytest.mark.parametrize("transport", ["pci", "mmio"])
def test_guests_reach_each_other_and_large_frames_stay_whole(pair, transport):
    machine = pair(both=f'transport = "{transport}";')
    reach(machine)
    transfer(machine, 1, 2, 8)
    transfer(machine, 2, 1, 8)
    for port in ("left/net0", "right/net0"):
        seen = counters(machine, port)
        assert int(seen["sent_large"]) > 100 and int(seen["received_large"]) > 100
        assert int(seen["cut"]) == 0
        assert int(seen["received"]) < 2 * 8 * 1024 * 1024 / 1448 # far fewer than segments


def test_ports_keep_to_their_address_their_vlan_and_their_link(pair, tmp_path):
    machine = pair(left="trunk = <10>; any-mac;")
    reach(machine)
    # VLAN: the right guest is in none, so that what has a tag is not for it.
    machine.focus(1)
    machine.sh("ip link add link eth0 name eth0.10 type vlan id 10 2>/dev/null || vconfig add eth0 10; "
               "ip addr add 10.0.10.1/24 dev eth0.10; ip link set eth0.10 up")
    assert not ping(machine, "10.0.10.2", 1)
    assert int(counters(machine, "left/net0")["sent"]) > int(counters(machine, "right/net0")["received"])
    # The right one's address is its own: another is refused, by the device and by the switch.
    machine.focus(2)
    assert machine.sh("ip link set eth0 down; ip link set eth0 address 02:11:22:33:44:55; ip link set eth0 up; "
                      "cat /sys/class/net/eth0/address", check=False).splitlines()[-1] != "02:11:22:33:44:55"
    reach(machine)
    # The left one may have any.
    machine.focus(1)
    machine.sh("ip link set eth0 down; ip link set eth0 address 02:11:22:33:44:55; ip link set eth0 up")
    machine.focus(2)
    machine.sh("ip neigh flush dev eth0")
    reach(machine)
    # The cable.
    machine.keel("net link right/net0 down")
    machine.focus(2)
    machine.sh("while [ $(cat /sys/class/net/eth0/carrier) != 0 ]; do sleep 0.1; done")
    machine.keel("net link right/net0 up")
    machine.focus(2)
    machine.sh("while [ $(cat /sys/class/net/eth0/carrier) != 1 ]; do sleep 0.1; done")
    reach(machine)
    # What passes is captured, as a file that others read.
    machine.keel("net capture right/net0 on")
    reach(machine)
    assert "END PCAP" in machine.keel("net dump right/net0")
    log = tmp_path / "console"
    log.write_text("".join(machine.seen))
    capture = subprocess.run([harness.KEEL, "pcap", log], stdout=subprocess.PIPE, check=True).stdout
    frames = subprocess.run(["tcpdump", "-n", "-r", "-", "icmp"], input=capture, stdout=subprocess.PIPE,
                            check=True).stdout.decode()
    assert re.findall("ICMP echo (request|reply), .*, length 64", frames)[-2:] == ["request", "reply"]


def test_isolated_guests_do_not_reach_each_other(pair):
    machine = pair(both="isolated;")
    assert not ping(machine)
    assert int(counters(machine, "left/net0")["received"]) == 0


def test_a_network_outlives_the_reset_of_a_guest(pair):
    machine = pair(both="queues = <2>;")
    machine.focus(1)
    machine.sh("ping -i 0.01 10.0.0.2 > /dev/null & true")
    machine.keel("vm reset right")
    machine.focus(2)
    machine.boot()
    machine.sh("ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up")
    reach(machine)
    transfer(machine, 1, 2, 2)


def test_a_guest_gives_way_to_another_with_its_address_while_others_go_on(start, write_dts):
    """The other comes on another port, with a NIC of another kind; and the first one comes back."""
    def guest(name, address, io, more="", mac="", **properties):
        run = f"{mac and f'ip link set eth0 address {mac}; '}ip addr add 10.0.0.{address}/24 dev eth0; ip link set eth0 up"
        run = f"insmod /modules/e1000e.ko; {run}" if io == "emulated" else run
        return with_devices(machines.vm(name, initrd=harness.BUILD / "guest" / "initrd-io.gz",
                                        bootargs=f'console=ttyAMA0 keel.run="{run}"', **properties),
                            ("serial", 'compatible = "arm,pl011";'),
                            ("net0", f'compatible = "keel,net"; network = "lan"; io = "{io}"; {more}'))

    def ports():
        listing = keel.keel("net list")
        keel.focus(1)
        return sorted(re.findall(r"^lan +(\S+)", listing, re.M))

    shared = {"more": "any-mac;", "mac": "02:00:00:00:00:09"}
    configured = machines.machine(guest("asks", 1, "virtio"), guest("answers", 2, "emulated"),
                                  guest("first", 9, "emulated", **shared),
                                  guest("second", 9, "virtio", **shared, autostart=False))
    keel = start(write_dts(configured))
    for _ in range(3):
        keel.boot()
    keel.focus(1)
    keel.sh("until ping -c 1 -W 1 10.0.0.9 && ping -c 1 -W 1 10.0.0.2; do true; done")
    keel.sh("(ping -i 0.02 10.0.0.2 > /tmp/answers) & (ping -i 0.02 10.0.0.9 > /tmp/nine) &")
    for old, new in (("first", "second"), ("second", "first")):
        keel.keel(f"vm stop {old} now")
        keel.wait_state(old, "stopped")
        assert ports() == ["answers/net0", "asks/net0"]
        keel.keel(f"vm start {new}")
        keel.boot()
        assert ports() == sorted(["answers/net0", "asks/net0", f"{new}/net0"])
        keel.sh("n=$(grep -c seq= /tmp/nine); until [ $(grep -c seq= /tmp/nine) -gt $((n + 20)) ]; do sleep 0.1; done")
        sent, received = (int(counters(keel, f"{new}/net0")[way]) for way in ("sent", "received"))
        keel.focus(1)
        assert sent > 20 and received > 20
    keel.sh("killall -INT ping; while pidof ping > /dev/null; do true; done")
    # Never for half a second; single ones may be lost in ping's small buffer.
    answered = sorted(int(n) for n in keel.sh("sed -n 's/.*seq=\\([0-9]*\\).*/\\1/p' /tmp/answers").split())
    assert len(answered) > 100 and max(b - a for a, b in zip([-1, *answered], answered)) < 25
