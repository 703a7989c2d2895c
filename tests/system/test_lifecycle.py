# SPDX-License-Identifier: Apache-2.0
"""How a guest ends, and what Keel and `keel run` make of it."""
import re

import harness
import pytest
from machines import LINUX, machine, vm


def test_poweroff_ends_the_machine_with_status_zero(linux):
    keel = linux()
    keel.send("poweroff -f\n")
    assert keel.wait_end() == 0


def test_reboot_starts_the_guest_again(start, write_dts):
    keel = start(write_dts(machine(vm("debian"))))
    keel.boot()
    keel.send("reboot -f\n")
    keel.boot()
    keel.send("poweroff -f\n")
    assert keel.wait_end() == 0


def test_on_poweroff_restart_starts_the_guest_again(start, write_dts):
    keel = start(write_dts(machine(vm("debian", on_poweroff="restart"))))
    keel.boot()
    keel.send("poweroff -f\n")
    keel.boot()


def test_panic_in_a_guest_reboots_it_when_its_kernel_says_so(start, write_dts):
    keel = start(write_dts(machine(vm("debian", bootargs=f"{LINUX} panic=1"))))
    keel.boot()
    keel.send("echo c > /proc/sysrq-trigger\n")
    keel.expect("Kernel panic")
    keel.boot()


def test_panicked_guest_is_reset_from_the_shell_and_others_go_on(start, write_dts):
    keel = start(write_dts(machine(vm("one"), vm("two", autostart=False))), "--cpus", 2)
    keel.boot()
    keel.send("echo c > /proc/sysrq-trigger\n")
    keel.expect("end Kernel panic")
    keel.keel("vm start two")
    keel.focus(2)
    keel.boot()
    assert keel.sh("echo alive") == "alive"
    keel.keel("vm reset one")
    keel.focus(1)
    keel.boot()


def test_jump_out_of_memory_is_the_guests_own_fault(start):
    keel = start("--kernel", harness.BUILD / "payload" / "wild-jump.bin")
    assert keel.wait_end() == 0
    assert "WILD-JUMP ok" in keel.console()


def test_crash_is_logged_and_ends_with_failure(start):
    keel = start("--kernel", harness.BUILD / "payload" / "fault-loop.bin")
    assert keel.wait_end() not in (0, None)
    assert re.search(r"\bpc\b.*[0-9a-f]{8}", keel.console(), re.I)


def test_panic_of_keel_prints_symbols_and_ends_with_failure(linux):
    keel = linux()
    keel.send("\x1dk")
    keel.send("\rpanic\r")
    assert keel.wait_end() not in (0, None)
    text = keel.console()
    assert "panic on CPU" in text
    assert re.search(r"[0-9a-f]{16} command_panic\+0x", text)
    assert re.search(r"[0-9a-f]{16} task_trampoline\+0x", text)


def test_crash_with_policy_restart_starts_again(start, write_dts):
    keel = start(write_dts(machine(vm("wild", kernel=harness.BUILD / "payload" / "fault-loop.bin", initrd=None,
                                      on_crash="restart"), on_last_stop="stay")))
    keel.expect(r"wild.*(crash|fault)")
    keel.expect(r"wild.*(crash|fault)")


def test_crash_of_one_guest_leaves_the_other_alone(start, write_dts):
    keel = start(write_dts(machine(
        vm("debian"),
        vm("wild", kernel=harness.BUILD / "payload" / "fault-loop.bin", initrd=None, autostart=False))))
    keel.boot()
    keel.keel("vm start wild")
    keel.wait_state("wild", "stopped")
    keel.focus(1)
    assert keel.sh("echo alive") == "alive"


def test_pause_stops_the_guests_progress_and_resume_continues_it(start, write_dts):
    keel = start(write_dts(machine(vm("debian"))))
    keel.boot()
    keel.keel("vm pause debian")
    keel.focus(1)
    keel.send("echo pro''gress\n")
    keel.quiet_for("progress", 3)
    mark = keel.mark()
    keel.keel("vm resume debian")
    keel.wait_said(harness.broken("progress"), mark)


@pytest.mark.parametrize("rounds", [500])
def test_starting_and_stopping_leaves_memory_as_it_was(start, write_dts, rounds):
    keel = start(write_dts(machine(
        vm("boot", memory="32M", kernel=None, initrd=None, bootargs=None, firmware=harness.UBOOT, autostart=False),
        on_last_stop="stay")))
    keel.keel("vm start boot")
    keel.keel("vm stop boot")
    before = keel.keel("mem")
    for _ in range(rounds):
        assert "rror" not in keel.keel("vm start boot")
        keel.keel("vm stop boot")
    assert keel.keel("mem") == before
