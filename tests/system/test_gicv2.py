# SPDX-License-Identifier: Apache-2.0
"""Hosts with a GICv2, whose guests have one: QEMU's virt board and a Raspberry Pi 4."""
import harness
import pytest
from machines import machine, vm

VIRT = ("--gic", 2, "--cpu", "cortex-a72")
PI = ("--machine", "raspi4b")
PAYLOAD = harness.BUILD / "payload"


@pytest.mark.parametrize("vcpus", [1, 2, 8])
def test_debian_reaches_a_shell_on_a_gicv2(linux, vcpus):
    keel = linux(*VIRT, "--vcpus", vcpus, "--cpus", max(vcpus, 2))
    assert keel.sh("nproc") == str(vcpus)
    assert "GIC-0" in keel.sh("grep arch_timer /proc/interrupts")
    assert "arm,cortex-a15-gic" in keel.sh("tr '\\0' '\\n' < /proc/device-tree/intc@8000000/compatible")
    keel.send("exit\n")
    assert keel.wait_end() == 0


@pytest.mark.parametrize("vcpus", [1, 2])
def test_virtual_gicv2_behaves_as_the_specification_says(start, vcpus):
    keel = start(*VIRT, "--quiet", "--vcpus", vcpus, "--cpus", 2, "--kernel", PAYLOAD / "gicv2.bin")
    assert keel.wait_end(240) == 0
    said = keel.console()
    assert "FAIL" not in said
    assert " ok 0 failed" in said


def test_debian_reaches_a_shell_on_a_raspberry_pi(linux):
    keel = linux(*PI, "--vcpus", 4)
    assert keel.sh("nproc") == "4"
    for cpu in (3, 1):
        keel.sh(f"echo 0 > /sys/devices/system/cpu/cpu{cpu}/online")
        keel.sh(f"echo 1 > /sys/devices/system/cpu/cpu{cpu}/online")
    assert keel.sh("taskset 8 cat /proc/self/stat | cut -d' ' -f39") == "3"
    assert "GICv2" in keel.keel("irq")
    keel.focus(1)
    keel.send("\nexit\n")
    assert keel.wait_end() == 0


def test_two_vms_share_a_raspberry_pi(start, write_dts):
    keel = start(write_dts(machine(vm("one", vcpus=2, cpus=[1, 2]), vm("two", vcpus=2, cpus=[2, 3]))), *PI)
    keel.boot()
    keel.boot()
    for index in (1, 2):
        keel.focus(index)
        assert keel.sh("nproc") == "2"


def test_end_of_a_raspberry_pi_says_whether_it_failed(start):
    keel = start(*PI, "--quiet", "--kernel", PAYLOAD / "fault-loop.bin")
    assert keel.wait_end() == 1


def test_other_gic_than_the_hosts_is_refused(start, write_dts):
    keel = start(write_dts(machine(vm("one", gic="v3"))), *VIRT)
    assert keel.wait_end() == 2
    assert "this host has a GICv2" in keel.console()
    keel = start(write_dts(machine(vm("one", gic="v2"))))
    assert keel.wait_end() == 2
    assert "this host has a GICv3" in keel.console()


def test_hostile_guest_on_a_gicv2_hurts_only_itself(start, write_dts):
    keel = start(write_dts(machine(
        vm("debian"), vm("hostile", kernel=PAYLOAD / "hostile.bin", initrd=None, bootargs="seed=7", autostart=False))),
        *VIRT, "--cpus", 2)
    keel.boot()
    keel.keel("vm start hostile")
    keel.wait_said(r"HOSTILE done \d+ accesses, \d+ faults", seconds=240)
    keel.focus(1)
    assert keel.sh("echo alive") == "alive"
