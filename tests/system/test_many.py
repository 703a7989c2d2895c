# SPDX-License-Identifier: Apache-2.0
"""Several guests on one machine."""
import harness
from machines import LINUX, machine, vm


def uptime(keel):
    """Seconds by the guest's own clock, which is the virtual counter."""
    return float(keel.sh("cut -d' ' -f1 /proc/uptime"))


def test_two_different_kernels_run_at_once(start, write_dts):
    keel = start(write_dts(machine(vm("stock"), vm("rt", kernel=harness.VMLINUZ_RT))), "--cpus", 2)
    keel.boot()
    keel.boot()
    keel.focus(1)
    stock = keel.sh("uname -v")
    keel.focus(2)
    realtime = keel.sh("uname -v")
    assert "PREEMPT_RT" in realtime and "PREEMPT_RT" not in stock


def test_four_vms_share_two_cpus(start, write_dts):
    names = ["north", "east", "south", "west"]
    keel = start(write_dts(machine(*[vm(n, vcpus=2, bootargs=f"{LINUX} quiet") for n in names])),
                 "--cpus", 2, "--ram", "2G")
    for _ in names:
        keel.boot()
    for index, name in enumerate(names, 1):
        keel.focus(index)
        keel.sh(f"hostname {name}")
        assert keel.sh("nproc") == "2"
    for index, name in enumerate(names, 1):
        keel.focus(index)
        assert keel.sh("hostname") == name
    for index in range(1, len(names) + 1):
        keel.focus(index)
        keel.send("poweroff -f\n")
    assert keel.wait_end() == 0


def test_guests_see_nothing_of_each_others_memory(start, write_dts):
    keel = start(write_dts(machine(vm("one"), vm("two"))), "--cpus", 2)
    keel.boot()
    keel.boot()
    keel.focus(1)
    keel.sh("echo secret > /tmp/only-here")
    keel.focus(2)
    assert keel.sh("ls /tmp") == ""


def test_timer_stays_right_beside_a_busy_vm_on_the_same_cpu(start, write_dts):
    keel = start(write_dts(machine(vm("quiet", cpus=[0]), vm("busy", cpus=[0]))), "--cpus", 1, "--icount")
    keel.boot()
    keel.boot()
    keel.focus(2)
    keel.sh("while :; do :; done & while :; do :; done &")
    keel.focus(1)
    begin = uptime(keel)
    keel.sh("i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i + 1)); done", seconds=180)
    took = uptime(keel) - begin
    # Twenty sleeps of 100 ms, each late by at most a few time slices of the other VM; `sleep` forks, too.
    assert 2.0 <= took < 5.0
