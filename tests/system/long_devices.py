# SPDX-License-Identifier: Apache-2.0
"""Drivers that go and come back, guests that are reset and paused, while sockets and consoles are busy: what follows works."""
import harness
import machines
import pytest
from test_emulated import with_devices
from test_virtio import focus_on

TURNS = 25
INITRD = harness.BUILD / "guest" / "initrd-io.gz"
SENT = "dd if=/dev/zero bs=64k count=8 2>/dev/null | tr '\\0' k"
PORT = "/dev/$(basename $(dirname $(grep -l agent /sys/class/virtio-ports/*/name)))"
REBIND = ("cd /sys/bus/virtio/drivers/{0}; for d in virtio*; do echo $d > unbind; echo $d > bind; done; cd /")
NAMES = "left", "right"
SOCKETS, CONSOLE = "vmw_vsock_virtio_transport", "virtio_console"


def vm(name, cid, initrd, transport):
    devices = (("console", 'compatible = "keel,console"; ports = "agent";'),
               ("socket", f'compatible = "keel,vsock"; cid = <{cid}>; group = "lab";'),
               ("random", 'compatible = "keel,rng"; bytes-per-second = <1048576>;'))
    return with_devices(machines.vm(name, initrd=initrd, vcpus=2, autostart=False), ("serial", 'compatible = "arm,pl011";'),
                        *((node, f'{what} transport = "{transport}";') for node, what in devices))


class Pair:
    def __init__(self, machine):
        self.machine = machine
        self.lines = 0
        self.focus = 0

    def keel(self, command):
        self.focus = 0
        return self.machine.keel(command)

    def wait_state(self, name, state):
        self.focus = 0
        self.machine.wait_state(name, state)

    def look_at(self, index):
        if index != self.focus:
            focus_on(self.machine, NAMES[index - 1], index)
        self.focus = index

    def at(self, index, command):
        self.look_at(index)
        return self.machine.sh(command)

    def start(self, index, how):
        self.keel(f"vm {how} {NAMES[index - 1]}")
        self.look_at(index)
        self.machine.boot()
        self.at(index, "dmesg -n 1; vsock sink 7000")

    def keep_busy(self, index, peer):
        """Sockets, the console and its port, and the source of random numbers, for ever."""
        for work in (f"vsock connect {peer} 7000 < /dev/zero", f"yes busy | head -n 5 > {PORT}", "echo busy > /dev/hvc0",
                     "head -c 4096 /dev/hwrng > /dev/null"):
            self.at(index, f"(while :; do {work}; sleep 0.1; done > /dev/null 2>&1 < /dev/null) &")

    def check(self):
        """Whole from left to right, and a line of each to the host."""
        self.at(2, "vsock listen 5000 > /tmp/got")
        self.at(1, f"{SENT} | vsock connect 4 5000")
        assert self.at(2, "md5sum < /tmp/got") == self.at(1, f"{SENT} | md5sum")
        for index, name in enumerate(NAMES, 1):
            self.lines += 1
            words = [f"{name}-{where}-{self.lines}." for where in ("port", "hvc0")]
            self.at(index, "; ".join(f"until echo {w[:2]}''{w[2:]} > {where}; do :; done 2>/dev/null" for w, where in zip(words, (PORT, "/dev/hvc0"))))
            for _ in range(100):
                if all(w in "".join(self.machine.seen[-2000:]) for w in words):
                    break
                self.at(index, "sleep 0.1")
            else:
                raise harness.Failure(f"no {words} on the console")
            assert int(self.at(index, "head -c 16 /dev/hwrng | wc -c")) == 16

    def turn(self, n):
        """One of them, in either guest."""
        index = n % 2 + 1
        name = NAMES[n % 2]
        if n % 5 < 2:
            self.at(index, REBIND.format((SOCKETS, CONSOLE)[n % 5]))
        elif n % 5 == 2:
            self.keel(f"vm pause {name}")
            self.wait_state(name, "paused")
            self.keel(f"vm resume {name}")
        elif n % 5 == 3:
            self.at(index, REBIND.format(SOCKETS) + "; " + REBIND.format(CONSOLE))
        else:
            self.start(index, "reset")
            self.keep_busy(index, 5 - index)


@pytest.mark.parametrize("transport", ["pci", "mmio"])
def test_devices_work_after_drivers_and_guests_come_and_go_under_load(start, write_dts, with_programs, transport):
    initrd = with_programs("vsock", base=INITRD)
    text = machines.machine(*(vm(name, cid, initrd, transport) for name, cid in (("left", 3), ("right", 4))), on_last_stop="stay")
    pair = Pair(start("--cpu", "max", write_dts(text)))
    before = pair.keel("mem")
    for index in (1, 2):
        pair.start(index, "start")
    for index in (1, 2):
        pair.keep_busy(index, 5 - index)
    for n in range(TURNS):
        pair.turn(n)
        pair.check()
    for name in NAMES:
        pair.keel(f"vm stop {name} now")
        pair.wait_state(name, "stopped")
    assert pair.keel("mem") == before
