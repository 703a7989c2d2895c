# SPDX-License-Identifier: Apache-2.0
"""Two guests that send to each other for minutes while both load their disks, on few and many CPUs: nothing stalls."""
import harness
import machines
import pytest
from test_emulated import load, with_devices

INITRD = harness.BUILD / "guest" / "initrd-net.gz" # with iperf3
ROUNDS = 12
RUN_S = 120 # one takes seconds at most; a stall lasts
LOAD = ("(while :; do echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=16k count=256 2>/dev/null | cmp - /tmp/r || echo WRO''NG; "
        "dd if=/tmp/r of=/dev/vda bs=64k conv=fsync 2>/dev/null; done) < /dev/null &")


@pytest.mark.parametrize("left, right, cpus, vcpus", [("emulated", "emulated", 2, 2), ("emulated", "virtio", 1, 1),
                                                      ("virtio", "emulated", 4, 2), ("virtio", "virtio", 2, 1)])
def test_a_pair_under_load_never_stalls(start, write_dts, left, right, cpus, vcpus):
    guests = [with_devices(machines.vm(name, initrd=INITRD, memory="256M", vcpus=vcpus),
                           ("serial", 'compatible = "arm,pl011";'),
                           ("net0", f'compatible = "keel,net"; network = "lan"; io = "{io}";'),
                           ("disk", 'compatible = "keel,disk"; size = "16M";'))
              for name, io in (("left", left), ("right", right))]
    keel = start(write_dts(machines.machine(*guests)), "--cpus", cpus)
    keel.boot()
    keel.boot()
    for index, io in ((1, left), (2, right)):
        keel.focus(index)
        if io == "emulated":
            load(keel, "e1000e")
        keel.sh(f"dmesg -n 1; ip link set eth0 up; ip addr add 10.0.0.{index}/24 dev eth0; iperf3 -s -D < /dev/null")
        keel.sh("dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null; dd if=/tmp/r of=/dev/vda bs=64k conv=fsync 2>/dev/null")
        keel.sh(LOAD)
    for _ in range(ROUNDS):
        for index, peer in ((1, 2), (2, 1)):
            keel.focus(index)
            for what in ("-n 8M", "-n 4M -R", "-u -b 20M -l 200 -n 200K --bidir"):
                keel.sh(f"iperf3 -c 10.0.0.{peer} -i 0 {what} < /dev/null | grep receiver", RUN_S)
    assert "WRONG" not in keel.console()
