# SPDX-License-Identifier: Apache-2.0
"""What a packet costs, a stock Debian guest doing the work: UDP of 18 bytes and TCP, to a peer behind QEMU's user network
by Keel's own driver of the host's virtio-net or igb, and from guest to guest."""
import socket
import tempfile
import threading

from machine import machine, vm
from stock import COLUMNS, KERNEL, Guests, figure, initrd
from table import print_table

WARM, COUNT = 192, 1920
TCP_WARM, TCP_COUNT = 64, 256 # writes of 64 KiB: 16 MiB
TITLES = {"send": "UDP sent", "burst": "UDP received, bursts of 32", "trip": "UDP round trip", "tcp": "TCP sent, per MB"}

UP = "ip link set eth0 up; ip addr add {}/24 dev eth0"

# The VM's device: properties of its node, the name of its interrupts, and how the guest gets it.
DEVICES = {
    "virtio-net, packed": ("", "virtio", UP),
    "virtio-net, split": ('ring = "split";', "virtio", UP),
    "e1000e, emulated": ('io = "emulated";', "eth0", "insmod /modules/e1000e.ko; "
                         "until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; " + UP +
                         "; until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done"),
}


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


def node(name, path, properties):
    devices = ('devices { serial { compatible = "arm,pl011"; }; '
               f'net {{ compatible = "keel,net"; network = "lan"; {properties} }}; }};')
    return vm(name, KERNEL, "console=ttyAMA0 quiet", path, vcpus=[1]).replace("autostart;", f"autostart; {devices}")


def costs(guests, interrupts, address):
    figures = {what: guests.cost(interrupts, f"netload {what} {address(what)} {{}}", WARM, WARM + COUNT, COUNT)
               for what in ("send", "burst", "trip")}
    figures["tcp"] = guests.cost(interrupts, f"netload tcp {address('tcp')} {{}}", TCP_WARM, TCP_WARM + TCP_COUNT, TCP_COUNT / 16)
    return figures


def outside(path, properties, interrupts, up, nic="virtio-net-pci,netdev=n,romfile="):
    """Time goes on while the peer answers, so that no clock runs ahead of it: sleep=on."""
    dts = machine(node("guest", path, properties)).replace("vms {", 'networks { lan { uplink = "net0"; }; }; vms {', 1)
    peer = Peer()
    guest = Guests(dts, ["guest"], "-icount", "shift=0,sleep=on", "-netdev", "user,id=n", "-device", nic)
    try:
        guest.sh(up.format("10.0.2.15"))
        guest.sh(f"netload trip {peer.address('trip')} 10")
        return costs(guest, interrupts, peer.address)
    finally:
        guest.close()


def inside(path, properties, interrupts, up):
    """Both guests count."""
    pair = Guests(machine(node("left", path, properties), node("right", path, properties)), ["left", "right"])
    try:
        pair.sh(up.format("10.0.0.2") + "; netload peer 10.0.0.2 5000 0 &")
        pair.machine.focus(1)
        pair.sh(up.format("10.0.0.1"))
        pair.sh("ping -c 2 10.0.0.2")
        return costs(pair, interrupts, lambda what: "10.0.0.2 5000")
    finally:
        pair.close()


def measure():
    with tempfile.TemporaryDirectory() as place:
        path = initrd(place, "tests/guest/netload.c")
        figures = {where: {name: way(path, *device) for name, device in DEVICES.items()}
                   for where, way in (("outside", outside), ("inside", inside))}
        figures["outside"]["virtio-net, packed, igb"] = outside(path, *DEVICES["virtio-net, packed"], "igb,netdev=n")
        return figures


def limit(base, device, what):
    values = base["io"]["net_at_most"][device.split(",")[0]].get(what)
    return "-" if values is None else " / ".join(figure(c, v) for c, v in zip(COLUMNS[1:], values))


def row(name, values):
    return [name, *(" / ".join(figure(c, v) for c, v in zip(COLUMNS, values[what])) for what in TITLES)]


def report(figures, base):
    for where, title in (("outside", "to the host's virtio-net, or igb"), ("inside", "guest to guest, both together")):
        rows = []
        for name, f in figures[where].items():
            for what, whats in TITLES.items():
                rows.append([f"{name}: {whats}", *(figure(c, f[what][c]) for c in COLUMNS),
                             limit(base, name, what) if where == "outside" else "-"])
        print_table([title, "guest", "Keel", "exits", "interrupts", "at most: Keel / exits"], rows)
    print_table(["guest / host / exits", *TITLES.values()], [row(name, values) for name, values in base["io"]["net"].items()])
