# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel reaches its shell: on every kind of machine that Keel supports."""
import harness
import pytest


@pytest.mark.parametrize("vcpus", [1, 4])
def test_debian_reaches_a_shell(linux, vcpus):
    machine = linux("--vcpus", vcpus, "--cpus", 4)
    assert machine.sh("nproc") == str(vcpus)
    assert machine.sh("uname -sm") == "Linux aarch64"
    machine.send("exit\n")
    assert machine.wait_end() == 0


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a55", "cortex-a72", "neoverse-n1", "neoverse-n2", "max"])
def test_boots_on_cpu_model(linux, cpu):
    machine = linux("--cpu", cpu, "--cpus", 2, "--vcpus", 2)
    assert machine.sh("nproc") == "2"


@pytest.mark.parametrize("cpu", ["neoverse-n1", "max"])
def test_boots_with_gicv4(linux, cpu):
    machine = linux("--cpu", cpu, "--gic", 4, "--cpus", 2, "--vcpus", 2)
    assert machine.sh("nproc") == "2"


@pytest.mark.parametrize("cpus", [1, 8])
def test_boots_on_number_of_cpus(linux, cpus):
    machine = linux("--cpus", cpus, "--vcpus", cpus)
    assert machine.sh("nproc") == str(cpus)


def test_boots_in_256_mib(linux):
    linux("--ram", "256M", "--mem", "160M")


def test_guest_sees_the_memory_it_was_given(linux):
    machine = linux("--mem", "512M")
    total_kb = int(machine.sh("awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
    assert 420 * 1024 < total_kb < 512 * 1024


def test_kernel_of_the_guest_finds_nothing_to_complain_of(linux):
    machine = linux("--vcpus", 2)
    complaints = machine.sh("dmesg | grep -E 'WARNING|BUG|Oops|Call trace|rcu.*stall|soft lockup|[Uu]ndefined'",
                            check=False, messages=True)
    assert complaints == ""


def test_kernel_command_line_is_passed(linux):
    machine = linux(append='keel.run="echo it-$((6 * 7))"')
    machine.wait_said(harness.broken("it-42"))
    machine.wait_said(harness.broken("keel.run: exit status 0"))


def test_quiet_prints_the_guests_bytes_only(start):
    machine = start("--quiet", "--kernel", harness.VMLINUZ, "--initrd", harness.INITRD,
                    "--append", 'console=ttyAMA0 quiet loglevel=0 keel.run="echo only-this; poweroff -f"')
    assert machine.wait_end(harness.BOOT_S) == 0
    lines = [line for line in machine.console().splitlines() if line.strip()]
    assert lines[0].startswith(harness.BANNER)
    assert lines[-1].strip() == "only-this"
