# SPDX-License-Identifier: Apache-2.0
"""A guest on the host's network: virtio-net in the guest, Keel's switch, Keel's driver of QEMU's virtio-net."""
import hashlib
import http.server
import json
import os
import socket
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


def test_a_guest_gets_an_address_and_files_and_outlives_a_pulled_cable(start, server, tmp_path):
    monitor = tmp_path / "qmp"
    machine = start("--kernel", harness.VMLINUZ, "--initrd", INITRD_IO, "--append", "console=ttyAMA0", "--net", "user",
                    "--", "-qmp", f"unix:{monitor},server=on,wait=off")
    machine.boot()
    machine.sh("printf '#!/bin/sh\\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface && "
               "ip route add default via $router\\nexit 0\\n' > /tmp/bound; chmod +x /tmp/bound; "
               "ip link set eth0 up; udhcpc -i eth0 -n -q -s /tmp/bound")
    assert "10.0.2.15/24" in machine.sh("ip addr show eth0")
    url = f"http://10.0.2.2:{server.server_port}/file"
    whole = hashlib.md5(CONTENT).hexdigest()
    assert machine.sh(f"wget -q -O - {url} | md5sum").split()[0] == whole
    # What the guest sends in large frames goes out in small ones, with their sums.
    machine.sh("dd if=/dev/urandom of=/tmp/up bs=1M count=2 2>/dev/null")
    up = machine.sh("md5sum < /tmp/up").split()[0]
    machine.sh(f"{{ printf 'PUT /up HTTP/1.0\\r\\nContent-Length: 2097152\\r\\n\\r\\n'; cat /tmp/up; }} | "
               f"nc -w 10 10.0.2.2 {server.server_port} | grep -q 200")
    assert hashlib.md5(server.got).hexdigest() == up
    cut = machine.keel("net stats").splitlines()
    assert any(line.split()[0] == "net0" and int(line.split()[7]) > 0 for line in cut[1:])
    machine.focus(1)
    machine.sh(f"wget -q -O - {url} | md5sum > /tmp/sum &")
    set_link(monitor, False)
    machine.expect("net0: link down")
    set_link(monitor, True)
    machine.expect("net0: link up")
    machine.sh("true")
    assert machine.sh("wait; while [ ! -s /tmp/sum ]; do sleep 0.2; done; cat /tmp/sum").split()[0] == whole
