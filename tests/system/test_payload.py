# SPDX-License-Identifier: Apache-2.0
"""Small guests of our own, from tests/payload."""
import hashlib
import os

import harness
import pytest
from machines import machine, vm
from test_emulated import with_devices

PAYLOAD = harness.BUILD / "payload"


def test_hostile_guest_finishes_and_keel_lives(start, write_dts):
    keel = start(write_dts(machine(
        vm("hostile", vcpus=2, kernel=PAYLOAD / "hostile.bin", initrd=None, bootargs=None), on_last_stop="stay")),
        "--cpus", 2)
    keel.expect(r"HOSTILE done \d+ accesses, \d+ faults", 240)
    assert "hostile" in keel.keel("vm list")


def test_hostile_guest_hurts_only_itself(start, write_dts):
    keel = start(write_dts(machine(
        vm("debian"), vm("hostile", kernel=PAYLOAD / "hostile.bin", initrd=None, bootargs="seed=7", autostart=False))),
        "--cpus", 2)
    keel.boot()
    keel.keel("vm start hostile")
    keel.wait_said(r"HOSTILE done \d+ accesses, \d+ faults", seconds=240)
    keel.focus(1)
    assert keel.sh("echo alive") == "alive"


def test_drivers_that_break_every_rule_hurt_only_their_own_devices(start, write_dts, tmp_path):
    before = os.urandom(4 << 20)
    images = [tmp_path / "one.img", tmp_path / "two.img"]
    for image in images:
        image.write_bytes(before)
    qemu = ["-device", "virtio-rng-pci,disable-legacy=on"]
    for name, image, device in zip(("one", "two"), images, ("virtio-blk-pci,disable-legacy=on", "nvme")):
        qemu += ["-drive", f"if=none,id={name},format=raw,file={image}", "-device", f"{device},drive={name},serial={name}"]
    serial = ("serial", 'compatible = "arm,pl011";')
    network = ("net0", 'compatible = "keel,net"; network = "lan";')
    debian = with_devices(vm("debian", initrd=harness.BUILD / "guest" / "initrd-io.gz"), serial, network,
                          ("disk", 'compatible = "keel,disk"; device = "one";'))
    # The last one's disk is the host's: its device reads and writes the VM's memory directly.
    hostile = with_devices(
        vm("hostile", vcpus=2, memory="64M", kernel=PAYLOAD / "hostile-io.bin", initrd=None, bootargs=None, autostart=False),
        serial, network, ("net1", 'compatible = "keel,net"; network = "lan"; io = "emulated";'),
        ("ram", 'compatible = "keel,disk"; size = "1M"; transport = "mmio";'),
        ("console", 'compatible = "keel,console";'), ("random", 'compatible = "keel,rng";'),
        ("vsock", 'compatible = "keel,vsock"; group = "g"; cid = <3>;'),
        ("host", 'compatible = "keel,disk"; device = "two";'))
    keel = start(write_dts(machine(debian, hostile, on_last_stop="stay")), "--cpus", 2, "--", *qemu)
    keel.boot()
    keel.sh("while :; do sha256sum < /dev/vda >> /tmp/sums; echo 3 > /proc/sys/vm/drop_caches; done &")
    keel.keel("vm start hostile")
    done = keel.wait_said(r"HOSTILE-IO (\d+) devices, (\d+) violations, (\d+) at random, (\d+) failed", seconds=180)
    assert [int(n) for n in done.groups()][::3] == [7, 0]
    assert int(done[2]) > 300
    keel.focus(1)
    # The sums of a disk that nobody else has: one value, whatever happened beside it.
    assert keel.sh("sort -u /tmp/sums | cut -d' ' -f1") == hashlib.sha256(before).hexdigest()
    keel.keel("vm stop debian now")
    keel.wait_state("debian", "stopped")
    assert images[0].read_bytes() == before


def test_cpus_of_a_guest_race_at_its_interrupt_controller(start):
    said = run(start, "storm", "--vcpus", 4, "--cpus", 2, "--append", "seed=2 rounds=30000")
    assert "STORM done 30000 rounds" in said


def test_a_vm_is_paused_reset_and_stopped_in_a_storm(start, write_dts):
    keel = start(write_dts(machine(vm("storm", vcpus=4, cpus=[0, 1, 0, 1], kernel=PAYLOAD / "storm.bin", initrd=None,
                                      bootargs="seed=9"), on_last_stop="stay")), "--cpus", 2)
    keel.expect("STORM blows", 60)
    for _ in range(4):
        for command in ("irq stats storm on", "vm pause storm", "vm resume storm", "vm reset storm"):
            keel.keel(command)
        keel.quiet_for("crashed|cannot", 0.5)
    keel.keel("vm stop storm")
    keel.wait_state("storm", "stopped")


def run(start, payload, *options):
    keel = start("--quiet", "--kernel", PAYLOAD / f"{payload}.bin", *options)
    assert keel.wait_end(240) == 0
    return keel.console()


@pytest.mark.parametrize("cpu, gic", [("cortex-a53", 3), ("neoverse-n1", 3), ("max", 4)])
def test_virtual_gic_behaves_as_the_specification_says(start, cpu, gic):
    said = run(start, "gic", "--cpu", cpu, "--gic", gic, "--vcpus", 2)
    assert "FAIL" not in said
    assert " ok 0 failed" in said


@pytest.mark.parametrize("vcpus, cpus, gic", [(1, 1, 3), (2, 2, 4), (4, 2, 3), (8, 4, 3)])
def test_virtual_its_behaves_as_the_specification_says(start, vcpus, cpus, gic):
    said = run(start, "its", "--gic", gic, "--vcpus", vcpus, "--cpus", cpus)
    assert "FAIL" not in said
    assert " ok 0 failed" in said


@pytest.mark.parametrize("cpu", ["cortex-a72", "neoverse-n1", "max"])
@pytest.mark.parametrize("cpus", [1, 2])
def test_registers_survive_switches(start, cpu, cpus):
    assert "REGS ok" in run(start, "regs", "--cpu", cpu, "--cpus", cpus, "--vcpus", 4, "--append", "rounds=40")


@pytest.mark.parametrize("cpu", ["cortex-a53", "neoverse-n1", "max"])
def test_steps_breakpoints_and_watchpoints_work_in_a_guest(start, cpu):
    said = run(start, "debug", "--cpu", cpu)
    assert "DEBUG done" in said
    assert "FAIL" not in said
