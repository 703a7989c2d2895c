# SPDX-License-Identifier: Apache-2.0
"""What a guest finds in its CPU: performance monitors, debug, vectors, keys, idle states."""
import re

import harness
import pytest
from machines import LINUX, machine, vm

PAYLOAD = harness.BUILD / "payload"


def run(start, payload, *options):
    keel = start("--quiet", "--icount", "--kernel", PAYLOAD / f"{payload}.bin", *options)
    assert keel.wait_end(240) == 0
    return keel.console()


def payload_vm(name, image, **properties):
    return vm(name, kernel=PAYLOAD / f"{image}.bin", initrd=None, memory="32M",
              **{"bootargs": None, "cpus": [0], **properties})


# --- performance monitors ---

@pytest.mark.parametrize("cpu, cpus, vcpus", [("cortex-a53", 1, 1), ("cortex-a55", 2, 2), ("neoverse-n1", 1, 8),
                                              ("max", 2, 3)])
def test_performance_monitors_count_what_the_guest_does(start, cpu, cpus, vcpus):
    said = run(start, "pmu", "--cpu", cpu, "--cpus", cpus, "--vcpus", vcpus)
    assert "PMU done" in said and "FAIL" not in said
    assert said.count(" overflow_interrupt ok ") == vcpus


@pytest.mark.parametrize("cpu", ["neoverse-n1", "max"])
def test_performance_monitors_of_two_vms_do_not_mix(start, write_dts, cpu):
    keel = start(write_dts(machine(payload_vm("hog", "pmu", bootargs="hog=1"),
                                   payload_vm("counts", "pmu", autostart=False), on_last_stop="stay")),
                 "--cpus", 1, "--cpu", cpu, "--icount")
    keel.expect("PMU hog")
    keel.keel("vm start counts")
    keel.wait_said("PMU done", seconds=120)
    said = keel.console()
    assert " overflow_interrupt ok " in said and " sleep_counts_nothing ok " in said and "FAIL" not in said


def test_a_vm_without_performance_monitors_has_none(start, write_dts):
    keel = start(write_dts(machine(payload_vm("without", "pmu", pmu="off"))), "--cpus", 1, "--icount")
    assert keel.wait_end() == 0
    assert " absent ok " in keel.console()


def perf(keel):
    found = re.search(r"PERF instructions (\d+) cycles (\d+) samples (\d+)", keel.sh("perf"))
    return [int(n) for n in found.groups()]


def test_linux_counts_and_samples_its_own_instructions(start, write_dts, with_programs):
    initrd = with_programs("perf")
    keel = start(write_dts(machine(vm("linux", initrd=initrd, cpus=[0]), vm("busy", cpus=[0]))), "--cpus", 1, "--icount")
    keel.boot()
    keel.boot()
    keel.focus(2)
    keel.sh("while :; do :; done &")
    keel.focus(1)
    assert "armv8_pmuv3" in keel.sh("dmesg | grep 'PMU driver'", messages=True)
    # Four million of the loop and a few around it; the exits and the other VM in between are not among them.
    for _ in range(3):
        instructions, cycles, samples = perf(keel)
        assert 4_000_000 <= instructions < 4_050_000
        assert 4_000_000 <= cycles < 4_050_000
        assert samples >= 1 # no more on bare QEMU: its overflow comes late


# --- SVE ---

@pytest.mark.parametrize("cpus, vcpus", [(1, 1), (1, 4), (2, 2)])
def test_vectors_survive_switches(start, cpus, vcpus):
    assert "SVE ok 2048 bits" in run(start, "sve", "--cpu", "max", "--cpus", cpus, "--vcpus", vcpus)


def test_vectors_of_two_vms_do_not_mix(start, write_dts):
    keel = start(write_dts(machine(
        payload_vm("long", "sve", vcpus=2, cpus=[0, 0], bootargs="id=1 rounds=80"),
        payload_vm("short", "sve", vcpus=2, cpus=[0, 0], bootargs="id=2 rounds=80", sve_bits=256))),
        "--cpus", 1, "--cpu", "max", "--icount")
    assert keel.wait_end(240) == 0
    # Who ends last is alone on the console, and has no prefix.
    assert "SVE ok 2048 bits" in keel.console()
    assert "SVE ok 256 bits" in keel.console()


@pytest.mark.parametrize("cpu, properties", [("max", {"sve_bits": 0}), ("neoverse-n1", {})])
def test_a_vm_without_sve_has_none(start, write_dts, cpu, properties):
    text = machine(payload_vm("without", "sve", **properties))
    keel = start(write_dts(text), "--cpus", 1, "--icount", "--cpu", cpu)
    assert keel.wait_end() == 0
    assert "SVE absent ok" in keel.console()


def test_vectors_of_linux_processes_in_two_vms_do_not_mix(start, write_dts, with_programs):
    initrd = with_programs("sve")
    keel = start(write_dts(machine(vm("one", initrd=initrd, cpus=[0]), vm("two", initrd=initrd, cpus=[0], sve_bits=512))),
                 "--cpus", 1, "--cpu", "max")
    keel.boot()
    keel.boot()
    keel.focus(2)
    keel.sh("while sve 2; do :; done > /tmp/said &")
    keel.focus(1)
    for _ in range(3):
        assert re.match(r"SVE \d+ bits ok", keel.sh("sve 1", seconds=180))
    keel.focus(2)
    said = keel.sh("until [ -s /tmp/said ]; do sleep 0.1; done; cat /tmp/said", seconds=180).splitlines()
    assert set(said) == {"SVE 512 bits ok"}


def test_vectors_survive_what_keel_copies_for_the_guest(start, write_dts, with_programs):
    """One VM with SVE and one without share a CPU; both read a RAM disk while a process of theirs computes."""
    initrd = with_programs("simd", "sve", base=harness.BUILD / "guest" / "initrd-io.gz")
    disk = f'cpus = <0>; devices {{ serial {{ compatible = "arm,pl011"; }}; ' \
           f'disk {{ compatible = "keel,disk"; image = "{harness.INITRD}"; }}; }};'
    text = machine(vm("plain", initrd=initrd, sve_bits=0, cpus=[0]), vm("wide", initrd=initrd, sve_bits=512, cpus=[0]))
    keel = start(write_dts(text.replace("cpus = <0>;", disk)), "--cpus", 1, "--cpu", "max")
    keel.boot()
    keel.boot()
    read = "dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>/dev/null"
    for name, program, said in (1, "simd 2000", ["SIMD ok"]), (2, "for i in 1 2 3 4 5 6; do sve 1; done", ["SVE 512 bits ok"] * 6):
        keel.focus(name)
        keel.sh(read)
        keel.sh(f"(while [ ! -e /tmp/enough ]; do {read}; done) &")
        assert keel.sh(program, seconds=180).splitlines() == said
        keel.sh("touch /tmp/enough")


# --- keys, debug, what is hidden ---

def boot_two(start, write_dts, initrd, *options, **second):
    keel = start(write_dts(machine(vm("one", initrd=initrd, cpus=[0]), vm("two", initrd=initrd, cpus=[0], **second))),
                 "--cpus", 1, *options)
    keel.boot()
    keel.boot()
    return keel


@pytest.mark.parametrize("cpu", ["max", "neoverse-v1"])
def test_pointers_are_signed_with_keys_of_the_vms_own(start, write_dts, with_programs, cpu):
    keel = boot_two(start, write_dts, with_programs("pac"), "--cpu", cpu)
    signatures = []
    for guest in (1, 2):
        keel.focus(guest)
        assert "detected: Address authentication" in keel.sh("dmesg | grep -i 'address auth'", messages=True)
        said = [keel.sh("pac").split(), keel.sh("pac").split()] # each process has keys of its own, too
        assert all(s[:2] == ["PAC", "ok"] for s in said)
        signatures += [tuple(s[2:]) for s in said]
    assert len(set(signatures)) == 4


def test_registers_of_two_vms_do_not_mix(start, write_dts):
    keel = start(write_dts(machine(*[payload_vm(f"vm{i}", "regs", vcpus=2, cpus=[0, 0], bootargs=f"id={i} rounds=40")
                                     for i in (1, 2)])), "--cpus", 1, "--cpu", "max", "--icount")
    assert keel.wait_end(240) == 0
    assert keel.console().count("REGS ok 40 rounds") == 2 # the last has no prefix, where the other has ended


def test_hardware_breakpoints_of_one_vm_do_not_stop_another(start, write_dts, with_programs):
    keel = boot_two(start, write_dts, with_programs("hwdebug"))
    keel.focus(2)
    keel.sh("(while hwdebug 200000; do :; done; echo DISTURBED) > /tmp/said 2>&1 &")
    keel.focus(1)
    assert keel.sh("hwdebug") == "HWDEBUG slots 6 4 stops 25 25"
    keel.focus(2)
    said = keel.sh("until [ -s /tmp/said ]; do sleep 0.1; done; cat /tmp/said", seconds=180).splitlines()
    assert set(said) == {"HWDEBUG undisturbed"}


def test_hardware_breakpoints_work_in_two_vms_at_once(start, write_dts, with_programs):
    keel = boot_two(start, write_dts, with_programs("hwdebug"))
    keel.focus(2)
    keel.sh("for i in 1 2 3; do hwdebug; done > /tmp/said; echo end >> /tmp/said &")
    keel.focus(1)
    for _ in range(3):
        assert keel.sh("hwdebug") == "HWDEBUG slots 6 4 stops 25 25"
    keel.focus(2)
    keel.sh("until grep -q end /tmp/said; do sleep 0.1; done", seconds=120)
    assert keel.sh("cat /tmp/said").splitlines() == ["HWDEBUG slots 6 4 stops 25 25"] * 3 + ["end"]


@pytest.mark.parametrize("cpu", ["max", "neoverse-n1"])
def test_registers_of_hidden_features_are_undefined(start, cpu):
    said = run(start, "hidden", "--cpu", cpu)
    assert "HIDDEN branch_type ok" in said and "HIDDEN done" in said and "FAIL" not in said


# --- power ---

@pytest.mark.parametrize("cpus, vcpus", [(1, 2), (2, 8)])
def test_cpus_go_off_and_on_and_sleep(start, cpus, vcpus):
    said = run(start, "power", "--cpus", cpus, "--vcpus", vcpus)
    assert "POWER off_and_on ok" in said and "POWER done" in said and "FAIL" not in said


def test_physical_timer_that_falls_due_in_a_pause_fires_after_it(start, write_dts):
    keel = start(write_dts(machine(payload_vm("sleeper", "power", bootargs="wait=2000"))), "--cpus", 1)
    keel.expect("POWER armed")
    keel.keel("vm pause sleeper")
    keel.wait_state("sleeper", "paused")
    keel.quiet_for("POWER timer", 2.5)
    keel.send("vm resume sleeper\r")
    assert keel.wait_end() == 0
    assert "POWER timer ok 1 " in keel.console()


def test_eight_cpus_go_off_line_and_come_back_in_linux(linux):
    keel = linux("--vcpus", 8, "--cpus", 2)
    for _ in range(2):
        keel.sh("for c in 1 2 3 4 5 6 7; do echo 0 > /sys/devices/system/cpu/cpu$c/online || break; done", seconds=180)
        assert keel.sh("cat /sys/devices/system/cpu/online") == "0"
        keel.sh("for c in 7 5 3 1 2 4 6; do echo 1 > /sys/devices/system/cpu/cpu$c/online || break; done", seconds=180)
        assert keel.sh("cat /sys/devices/system/cpu/online") == "0-7"


def test_idle_guests_take_no_cpu(start, write_dts):
    keel = start(write_dts(machine(vm("one", vcpus=2), vm("two", vcpus=2))), "--cpus", 2, "--icount")
    keel.boot()
    keel.boot()
    keel.focus(1)
    keel.sh("sleep 300", seconds=180) # the boot before is two seconds of that time
    idle = [int(n) for n in re.findall(r"^ *\d+ +online +(\d+)", keel.keel("cpu"), re.M)]
    assert len(idle) == 2 and min(idle) >= 98
