# SPDX-License-Identifier: Apache-2.0
"""iperf3 and ping between guests, and to the host, by the emulated NIC and by virtio-net."""
import json
import socket
import subprocess

import harness
import pytest
from machines import machine, vm
from test_emulated import load, with_devices

INITRD = harness.BUILD / "guest" / "initrd-net.gz" # with iperf3
ADDRESS = {1: "10.0.2.15", 2: "10.0.2.16"} # left, right; QEMU's user network is 10.0.2.0/24
HOST = "10.0.2.2"


def configuration():
    text = machine(*(with_devices(vm(name, initrd=INITRD), ("serial", 'compatible = "arm,pl011";'),
                                  ("net0", f'compatible = "keel,net"; network = "lan"; io = "{io}";'))
                     for name, io in (("left", "emulated"), ("right", "virtio"))))
    return text.replace("vms {", 'networks { lan { uplink = "net0"; }; };\n    vms {', 1)


@pytest.fixture
def server():
    """iperf3 on the test's side: its port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with subprocess.Popen(["iperf3", "-s", "--forceflush", "-p", str(port)], stdout=subprocess.PIPE, text=True) as process:
        while "listening" not in process.stdout.readline():
            assert process.poll() is None
        yield port
        process.kill()


def iperf(guest, options):
    """What the measurement says at its end."""
    return json.loads(guest.sh(f"iperf3 -J -i 0 {options}"))["end"]


def measure(guest, target, port):
    assert "3 packets received" in guest.sh(f"ping -c 3 {target}")
    for way in ("", "-R"):
        # The last of it, what both sides' buffers hold, may be under way when the receiver is asked.
        assert iperf(guest, f"-c {target} -p {port} -n 2M -w 128K {way}")["sum_received"]["bytes"] > 1 << 20
    end = iperf(guest, f"-c {target} -p {port} -u -b 4M -t 1 --bidir")
    for way in (end["sum_received"], end["sum_received_bidir_reverse"]):
        assert way["packets"] > 50 and way["lost_packets"] < way["packets"] / 2


def test_tcp_and_udp_flow_both_ways_between_guests_and_to_the_host(start, write_dts, server):
    keel = start(write_dts(configuration()), "--", "-netdev", "user,id=net0",
                 "-device", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile=")
    keel.boot()
    keel.boot()
    for index, address in ADDRESS.items():
        keel.focus(index)
        if index == 1:
            load(keel, "e1000e")
        keel.sh(f"ip addr add {address}/24 dev eth0; ip link set eth0 up")
    keel.sh("iperf3 -s -D")
    measure(keel, HOST, server)
    keel.focus(1)
    measure(keel, HOST, server)
    measure(keel, ADDRESS[2], 5201)
