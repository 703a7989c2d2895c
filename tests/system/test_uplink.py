# SPDX-License-Identifier: Apache-2.0
"""A guest on the host's network: virtio-net in the guest, Keel's switch, Keel's driver of QEMU's virtio-net."""
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading

import harness
import pytest

INITRD_IO = harness.BUILD / "guest" / "initrd-io.gz"
CONTENT = os.urandom(4 << 20)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def do_PUT(self):
        self.server.got = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A file server on the test's side: its port."""
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()


def set_link(path, up):
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(path))
        stream = monitor.makefile("rw")
        stream.readline()
        for command in ({"execute": "qmp_capabilities"},
                        {"execute": "set_link", "arguments": {"name": "net0", "up": up}}):
            stream.write(json.dumps(command) + "\n")
            stream.flush()
            while "return" not in json.loads(stream.readline()):
                pass


CONFIGURATION = f"""/dts-v1/;
/ {{
    compatible = "keel,machine";
    on-last-stop = "poweroff";
    networks {{ lan {{ uplink = "net0"; }}; }};
    vms {{ debian {{
        vcpus = <1>; memory = "256M"; autostart;
        kernel = "{harness.VMLINUZ}"; initrd = "{INITRD_IO}"; bootargs = "console=ttyAMA0";
        devices {{
            serial {{ compatible = "arm,pl011"; }};
            net0 {{ compatible = "keel,net"; network = "lan"; }};
        }};
    }}; }};
}};
"""


@pytest.fixture
def machine_with(start, write_dts, tmp_path):
    """A guest behind an interface of the host, and QEMU's monitor: machine_with("virtio" or "igb", QEMU's options)."""

    def starter(nic, *args):
        monitor = tmp_path / "qmp"
        if nic == "virtio": # what `keel run` makes by itself
            ours = ["--kernel", harness.VMLINUZ, "--initrd", INITRD_IO, "--append", "console=ttyAMA0",
                    "--net", "user", "--"]
        else:
            ours = [write_dts(CONFIGURATION), "--", "-netdev", "user,id=net0", "-device", f"{nic},netdev=net0"]
        machine = start(*ours, "-qmp", f"unix:{monitor},server=on,wait=off", *args)
        machine.boot()
        machine.focus(1)
        machine.sh("printf '#!/bin/sh\\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface && "
                   "ip route add default via $router\\nexit 0\\n' > /tmp/bound; chmod +x /tmp/bound; "
                   "ip link set eth0 up; udhcpc -i eth0 -n -q -s /tmp/bound")
        assert "10.0.2.15/24" in machine.sh("ip addr show eth0")
        return machine, monitor

    return starter


def fetch(server):
    return f"wget -q -O - http://10.0.2.2:{server.server_port}/file | md5sum"


def counters(machine, port):
    """Columns of `net stats`: sent, bytes, large, received, bytes, large, cut, refused, dropped, waits."""
    lines = [line.split() for line in machine.keel("net stats").splitlines()]
    machine.focus(1)
    return next([int(n) for n in line[1:]] for line in lines if line[0] == port)


@pytest.mark.parametrize("nic", ["virtio", "igb"])
def test_a_guest_gets_an_address_and_files_and_outlives_a_pulled_cable(machine_with, server, nic):
    machine, monitor = machine_with(nic)
    whole = hashlib.md5(CONTENT).hexdigest()
    assert machine.sh(fetch(server)).split()[0] == whole
    # What the guest sends in large frames goes out in small ones, with their sums: Keel's, or the interface's.
    machine.sh("dd if=/dev/urandom of=/tmp/up bs=1M count=2 2>/dev/null")
    up = machine.sh("md5sum < /tmp/up").split()[0]
    # dd has the socket itself: nc would write a kilobyte at a time, and the kernel could find nothing to make large.
    machine.sh("printf '#!/bin/sh\\nprintf \"PUT /up HTTP/1.0\\\\r\\\\nContent-Length: 2097152\\\\r\\\\n\\\\r\\\\n\"\\n"
               "dd if=/tmp/up bs=64k 2>/dev/null\\ngrep 200 > /tmp/answer\\n' > /tmp/put; chmod +x /tmp/put")
    machine.sh(f"nc -w 10 10.0.2.2 {server.server_port} -e /tmp/put; grep -q 200 /tmp/answer")
    assert hashlib.md5(server.got).hexdigest() == up
    count = counters(machine, "net0")
    assert (count[6] > 0, count[5] > 0) == ((True, False) if nic == "virtio" else (False, True))
    machine.sh(f"{fetch(server)} > /tmp/sum &")
    set_link(monitor, False)
    machine.expect("net0: link down")
    set_link(monitor, True)
    machine.expect("net0: link up")
    machine.sh("true")
    assert machine.sh("wait; while [ ! -s /tmp/sum ]; do sleep 0.2; done; cat /tmp/sum").split()[0] == whole


def test_an_interface_without_messages_has_its_wire(machine_with, server, tmp_path):
    tree = tmp_path / "virt.dtb"
    machine = f"virt,virtualization=on,gic-version=3,iommu=smmuv3,dumpdtb={tree}"
    subprocess.run(["qemu-system-aarch64", "-machine", machine, "-cpu", "neoverse-n1", "-smp", "2", "-m", "1024M",
                    "-nodefaults", "-display", "none"], check=True, capture_output=True)
    subprocess.run(["fdtput", "-d", tree, "/pcie@10000000", "msi-map"], check=True)
    machine, _ = machine_with("igb", "-dtb", tree)
    assert "INTx" in machine.keel("irq")
    machine.focus(1)
    assert machine.sh(fetch(server)).split()[0] == hashlib.md5(CONTENT).hexdigest()


# A network of its own with a tap device, which takes and gives large frames, as whoever may make user namespaces can have
# it; and somebody there who sends back what he gets.
TAP = "ip link set lo up && ip tuntap add tap0 mode tap vnet_hdr && ip addr add 10.0.3.2/24 dev tap0 && ip link set tap0 up"
ECHO = """
import socket
server = socket.create_server(("10.0.3.2", 5000))
while True:
    with server.accept()[0] as peer:
        data = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        peer.sendall(data)
"""


def test_large_frames_pass_an_interface_that_takes_them_uncut(start, write_dts):
    probe = subprocess.run(["unshare", "-rn", "sh", "-c", TAP], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"this machine gives no tap device to who is not root: {probe.stderr.strip()}")
    initrd = str(harness.BUILD / "guest" / "initrd-net.gz") # with ethtool
    machine = start(write_dts(CONFIGURATION.replace(str(INITRD_IO), initrd)), "--", "-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no",
                    "-device", "virtio-net-pci,netdev=n,romfile=",
                    under=["unshare", "-rn", "sh", "-c", f'{TAP}; "$0" -c "$1" & shift; exec "$@"', sys.executable, ECHO])
    machine.boot()
    machine.focus(1)
    machine.sh("ip addr add 10.0.3.15/24 dev eth0; ip link set eth0 up; ping -c 1 -W 5 10.0.3.2")
    machine.sh("dd if=/dev/urandom of=/tmp/up bs=1M count=4 2>/dev/null")
    machine.sh("nc 10.0.3.2 5000 < /tmp/up | cmp - /tmp/up")
    out, back = counters(machine, "debian/net0"), counters(machine, "net0")
    assert out[2] > 50 and back[2] > 50
    assert (out[6], back[6]) == (0, 0)
    # A driver that wishes for no large frames any more gets none.
    machine.sh("ethtool -K eth0 rx-gro-hw off")
    machine.sh("nc 10.0.3.2 5000 < /tmp/up | cmp - /tmp/up")
    later = counters(machine, "debian/net0")
    assert later[5] == out[5] and later[6] > 10
    assert "10000Mb/s" in machine.sh("ethtool eth0")
