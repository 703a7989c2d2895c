# SPDX-License-Identifier: Apache-2.0
"""What a packet costs, a stock Debian guest doing the work: UDP of 18 bytes and TCP, to a peer behind QEMU's user network
by Keel's own driver of the host's virtio-net; and TCP from guest to guest."""
import gzip
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

from machine import BUILD, CPUS, TOP, BenchError
from table import cell, print_table

sys.path.insert(0, os.path.join(TOP, "tests", "system"))
import harness # noqa: E402

WARM, COUNT = 200, 2000
TCP_WARM, TCP_COUNT = 64, 256 # writes of 64 KiB: 16 MiB
# vhost on KVM (BASELINES): instructions in the guest, outside of it, exits; and the most that Keel may take.
KVM = {"send": (7500, 14200, 0.89, 3000), "burst": (5900, 6900, 0.07, 2000), "trip": (14700, 39500, 1.05, 10000),
       "tcp": (7800000, 9600000, 83, 2000000)}
NAMES = {"send": "UDP sent", "burst": "UDP received, bursts of 32", "trip": "UDP round trip", "tcp": "TCP sent, per MB",
         "pair": "TCP guest to guest, per MB, both sides"}

DTS = """/dts-v1/;
/ {{
    compatible = "keel,machine";
    on-last-stop = "poweroff";
    {networks}
    vms {{ {vms} }};
}};
"""
VM = """{name} {{
    vcpus = <1>; memory = "256M"; autostart;
    kernel = "{kernel}"; initrd = "{initrd}"; bootargs = "console=ttyAMA0 quiet";
    devices {{
        serial {{ compatible = "arm,pl011"; }};
        net {{ compatible = "keel,net"; network = "lan"; }};
    }};
}};"""


class Peer:
    """Answers on the host's side: throws away, sends bursts, echoes; takes TCP."""

    def __init__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.udp.bind(("127.0.0.1", 0))
        self.tcp = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.answer, daemon=True).start()
        threading.Thread(target=self.take, daemon=True).start()

    def answer(self):
        while True:
            packet, sender = self.udp.recvfrom(64)
            for _ in range({b"b": 32, b"t": 1}.get(packet[:1], 0)):
                self.udp.sendto(packet, sender)

    def take(self):
        while True:
            connection = self.tcp.accept()[0]
            while connection.recv(1 << 20):
                pass

    def address(self, what):
        return f"10.0.2.2 {(self.tcp if what == 'tcp' else self.udp).getsockname()[1]}"


def initrd_with_load(d):
    root = os.path.join(d, "root")
    os.makedirs(os.path.join(root, "bin"))
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O2", "-o", os.path.join(root, "bin", "netload"),
                    os.path.join(TOP, "tests", "guest", "netload.c")], check=True)
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"bin\nbin/netload\n", cwd=root,
                             capture_output=True, check=True).stdout
    path = os.path.join(d, "initrd.gz")
    with open(path, "wb") as f, open(os.path.join(BUILD, "guest", "initrd-io.gz"), "rb") as before:
        f.write(before.read() + gzip.compress(archive, mtime=0))
    return path


def counters(m, vms):
    cost = re.search(r"^\s*0\s+(\d+)\s+(\d+)\s*$", m.keel("cost"), re.M)
    if not cost:
        raise BenchError("Keel's shell does not count")
    exits = sum(int(n) for vm in vms for n in re.findall(r"^\s*\S+\s+(\d+)\s*$", m.keel(f"exits {vm}"), re.M))
    return [int(cost[1]), int(cost[2]), exits]


def phase(m, vms, what, address, count):
    counters(m, vms)
    before = counters(m, vms)
    m.focus(1)
    m.sh(f"netload {what} {address} {count}", 120)
    after = counters(m, vms)
    return after[:2] + [after[2] - before[2]]


def per_unit(m, vms, what, address, warm, count, units):
    # What goes with a command as such is in both, and falls out.
    short, long = phase(m, vms, what, address, warm), phase(m, vms, what, address, warm + count)
    return dict(zip(("guest", "keel", "exits"), ((b - a) / units for a, b in zip(short, long))))


def start(d, vms, initrd, networks, *qemu):
    text = DTS.format(networks=networks, vms="".join(
        VM.format(name=vm, kernel=os.path.join(BUILD, "guest", "vmlinuz"), initrd=initrd) for vm in vms))
    path = os.path.join(d, f"{len(vms)}.dts")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return harness.Machine("--icount", "--cpu", CPUS[0], "--cpus", "1", path, "--", "-append", "count-instructions", "-icount",
                           "shift=0,sleep=on", *qemu)


def outside(d, initrd):
    peer = Peer()
    m = start(d, ["debian"], initrd, 'networks { lan { uplink = "net0"; }; };', "-netdev", "user,id=n", "-device",
              "virtio-net-pci,netdev=n,romfile=")
    try:
        m.boot()
        m.sh("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0")
        m.sh(f"netload trip {peer.address('trip')} 10")
        figures = {what: per_unit(m, ["debian"], what, peer.address(what), WARM, COUNT, COUNT)
                   for what in ("send", "burst", "trip")}
        figures["tcp"] = per_unit(m, ["debian"], "tcp", peer.address("tcp"), TCP_WARM, TCP_COUNT, TCP_COUNT / 16)
        return figures
    finally:
        m.kill()


def inside(d, initrd):
    vms = ["left", "right"]
    m = start(d, vms, initrd, "")
    try:
        m.boot()
        m.sh("ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0")
        m.focus(2)
        m.sh("true", harness.BOOT_S)
        m.sh("ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0; while nc -l -p 5000 > /dev/null; do :; done &")
        m.focus(1)
        m.sh("ping -c 2 10.0.0.2")
        return per_unit(m, vms, "tcp", "10.0.0.2 5000", TCP_WARM, TCP_COUNT, TCP_COUNT / 16)
    finally:
        m.kill()


def measure():
    with tempfile.TemporaryDirectory() as d:
        initrd = initrd_with_load(d)
        return {"io_net": {**outside(d, initrd), "pair": inside(d, initrd)}}


def report(figures, baselines):
    del baselines
    rows = []
    for what, f in figures["io_net"].items():
        kvm = KVM.get(what)
        rows.append([NAMES[what], cell(round(f["guest"])), cell(round(f["keel"])), f"{f['exits']:.3f}",
                     *([""] * 4 if kvm is None else (cell(kvm[0]), cell(kvm[1]), f"{kvm[2]}", cell(kvm[3])))])
    print_table(["virtio-net", "guest", "Keel", "exits", "KVM guest", "host", "exits", "limit"], rows)
