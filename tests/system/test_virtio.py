# SPDX-License-Identifier: Apache-2.0
"""The small virtio devices, by Debian's stock drivers."""
import pathlib
import re

import harness
import machines
import pytest

TOP = pathlib.Path(__file__).parent.parent.parent


def configuration(**changes):
    text = (TOP / "guests" / "virtio.dts").read_text().replace('"../', f'"{TOP}/')
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(params=["pci", "mmio"])
def guest(request, start, write_dts):
    text = re.sub(r'(compatible = "keel,(?!machine)\w+";)', rf'\1 transport = "{request.param}";', configuration())
    machine = start("--cpu", "max", write_dts(text))
    machine.boot()
    return machine


def test_random_bytes_come_from_the_host_at_a_limited_rate(guest):
    assert guest.sh("cat /sys/class/misc/hw_random/rng_current").startswith("virtio_rng")
    first, second = (guest.sh("head -c 32 /dev/hwrng | od -An -tx1 | tr -d ' \\n'") for _ in range(2))
    assert len(first) == len(second) == 64 and first != second
    # 64 KiB are there at once; three times as much takes two seconds, of the guest's own clock.
    took = guest.sh("a=$(cut -d' ' -f1 /proc/uptime); dd if=/dev/hwrng of=/dev/null bs=4k count=48 2>/dev/null; "
                    "echo $a $(cut -d' ' -f1 /proc/uptime)").split()
    assert 1.5 < float(took[1]) - float(took[0]) < 10


def test_without_a_source_there_is_no_random_device(start, write_dts):
    machine = start("--cpu", "neoverse-n1", write_dts(configuration(stay=('"poweroff"', '"stay"'))))
    machine.expect("device random: this host has no source of randomness")
    machine.wait_state("debian", "stopped")


def test_a_kernel_without_any_uart_has_its_console_on_virtio(start, write_dts):
    text = configuration(boot=("ttyAMA0", "hvc0"))
    for node in ("serial", "random"):
        text = re.sub(rf"{node} {{[^}}]*}};", "", text)
    machine = start(write_dts(text))
    machine.boot()
    assert machine.sh("cat /sys/class/tty/console/active") == "hvc0"
    assert machine.sh("ls /sys/class/tty | grep -c ttyAMA", check=False) == "0"
    assert machine.sh("stty size") == "30 100"
    machine.keel("vm terminal debian 132 43")
    machine.focus(1)
    machine.sh("until [ \"$(stty size)\" = '43 132' ]; do sleep 0.1; done")
    assert machine.sh("seq 1 400").split() == [str(n) for n in range(1, 401)]
    machine.send("reboot -f\n")
    machine.boot()
    assert machine.sh("echo a''gain") == "again"


def focus_on(machine, port, index=1):
    """Each time the key is pressed the guest's next port has the input."""
    for _ in range(4):
        machine.focus(index)
        machine.expect(r"\[console of ([^;\n]+);")
        if machine.match.group(1) == port:
            return
    raise harness.Failure(f"no port {port}")


def test_a_named_port_is_a_port_of_the_console(guest):
    name = guest.sh("grep -l agent /sys/class/virtio-ports/*/name").split("/")[-2]
    guest.sh(f"echo from the g''uest > /dev/{name}")
    guest.wait_said(r"debian\.agent\| from the guest") # in its own time
    guest.sh(f"head -n 1 < /dev/{name} > /tmp/heard &")
    focus_on(guest, "debian.agent")
    guest.send("from the host\n")
    focus_on(guest, "debian")
    assert guest.sh("until [ -s /tmp/heard ]; do sleep 0.1; done; cat /tmp/heard") == "from the host"


def bytes_sent(machine):
    """By the left guest's sockets, transmit queue."""
    rows = (line.split() for line in machine.keel("io stats left").splitlines())
    return next(int(row[5]) for row in rows if row[1:2] == ["socket"] and row[3] == "1")


def send_to_a_paused_guest(machine):
    """More than waits for it outside of the sender's memory: nothing is lost."""
    ports = range(6000, 6008)
    machine.focus(2)
    for port in ports:
        machine.sh(f"vsock listen {port} > /tmp/got{port}")
    machine.focus(1)
    machine.sh("dd if=/dev/urandom of=/tmp/sent bs=64k count=12 2>/dev/null")
    for port in ports:
        machine.sh(f"((echo; until [ -e /tmp/go ]; do sleep 0.1; done; cat /tmp/sent) | vsock connect 4 {port}; echo $? > /tmp/end{port}) &")
    machine.focus(2)
    machine.sh(f"until [ $(cat /tmp/got6* | wc -c) = {len(ports)} ]; do sleep 0.1; done")
    machine.keel("vm pause right")
    machine.wait_state("right", "paused")
    first = last = bytes_sent(machine)
    machine.focus(1)
    machine.sh("touch /tmp/go")
    # All windows together are 2 MiB.
    while (sent := bytes_sent(machine)) != last or sent - first < 1 << 19:
        last = sent
    assert sent - first < 3 << 19
    machine.keel("vm resume right")
    machine.focus(1)
    machine.sh(f"until [ $(cat /tmp/end* | grep -c 0) = {len(ports)} ]; do sleep 0.1; done")
    here = machine.sh("(echo; cat /tmp/sent) | md5sum")
    machine.focus(2)
    for port in ports:
        assert machine.sh(f"md5sum < /tmp/got{port}") == here


def test_guests_of_a_group_talk_by_sockets_and_ask_keel_what_they_may(start, write_dts, with_programs):
    initrd = with_programs("vsock", base=harness.BUILD / "guest" / "initrd-io.gz")

    def vm(name, cid, rights):
        devices = (f'serial {{ compatible = "arm,pl011"; }}; '
                   f'socket {{ compatible = "keel,vsock"; cid = <{cid}>; group = "lab"; {rights} }};')
        node = machines.vm(name, initrd=initrd, vcpus=2)
        return node.rstrip()[:-2] + f"    devices {{ {devices} }};\n        }};"

    machine = start(write_dts(machines.machine(
        vm("left", 3, 'may-see = "all"; may-control = "right";'), vm("right", 4, ""))))
    machine.boot()
    machine.boot()
    machine.focus(2)
    machine.sh("vsock listen 5000 > /tmp/got")
    machine.focus(1)
    text = machine.sh("vsock connect 2 1 < /dev/null")
    assert text.startswith("vm left\ncid 3\nvcpus 2\nstate running\n") and "exits mmio " in text
    machine.sh("dd if=/dev/urandom of=/tmp/sent bs=64k count=48 2>/dev/null")
    machine.sh("vsock connect 4 5000 < /tmp/sent")
    here = machine.sh("md5sum < /tmp/sent")
    machine.focus(2)
    assert machine.sh("md5sum < /tmp/got") == here
    send_to_a_paused_guest(machine)
    # Nobody listens there; the other side's kernel says so.
    assert "reset" in machine.sh("vsock connect 3 5001 < /dev/null 2>&1; true").lower()
    # This one may ask Keel nothing; the other one may.
    for command in ("vsock connect 2 1 < /dev/null", "echo list | vsock connect 2 2"):
        assert "reset" in machine.sh(f"{command} 2>&1; true").lower()
    machine.focus(1)
    assert machine.sh("echo list | vsock connect 2 2") == "left running 3\nright running 4"
    assert machine.sh("echo reset left | vsock connect 2 2") == "error: not allowed"
    for command, state in (("pause", "paused"), ("resume", "running")):
        assert machine.sh(f"echo {command} right | vsock connect 2 2") == "ok"
        machine.sh(f"until echo show right | vsock connect 2 2 | grep -q 'state {state}'; do sleep 0.1; done")
    # With its port the prefixes of all lines go: no reading of the console meanwhile.
    machine.send("echo stop right | vsock connect 2 2\n")
    machine.wait_state("right", "stopped")
