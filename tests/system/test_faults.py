# SPDX-License-Identifier: Apache-2.0
"""Faults that Keel gives to guests, and 32-bit programs."""
import re

import harness
import pytest

PAYLOAD = harness.BUILD / "payload"
ARMHF = harness.BUILD / "guest" / "armhf.gz"
HOLE = 0x0b000000
UART_PERIPHID0 = 0x09000fe0
SIGBUS = 128 + 7
WITH_AARCH32 = ["cortex-a53", "cortex-a55", "cortex-a72", "neoverse-n1"]


def inject(machine, what, report, vcpu=0):
    """The guest may answer before the prompt is back: so this waits for its report alone."""
    machine.send(f"{harness.ESCAPE}k\r")
    machine.expect(re.escape(harness.SHELL_PROMPT))
    machine.send(f"vcpu inject 1 {vcpu} {what}\r")
    machine.expect(report)


RELAXED = "iomem=relaxed" # lets programs at devices that have a driver


def test_program_that_touches_a_hole_gets_sigbus(linux):
    machine = linux("--vcpus", 2, append=RELAXED)
    assert machine.sh(f"devmem {UART_PERIPHID0:#x}") == "0x00000011"
    for access in (f"{HOLE:#x}", f"{HOLE:#x} 8", f"{HOLE:#x} 64", f"{HOLE:#x} 32 1"):
        assert machine.sh(f"devmem {access}; echo status $?").endswith(f"status {SIGBUS}")
    assert machine.sh("echo alive") == "alive"


@pytest.mark.parametrize("cpu, code", [("neoverse-n1", "be001234"), ("cortex-a72", "be000000")])
def test_serror_ends_the_kernel_with_its_syndrome(linux, cpu, code):
    machine = linux("--vcpus", 2, "--cpus", 2, "--cpu", cpu)
    inject(machine, "serror 0x1234", rf"SError Interrupt on CPU1, code 0x0*{code}", vcpu=1)
    machine.expect("Kernel panic - not syncing: Asynchronous SError Interrupt")


@pytest.mark.parametrize("fault, report", [
    ("undefined", r"Oops - Undefined instruction: 0*2000000"),
    ("abort", r"synchronous external abort: 0*96000410")])
def test_fault_is_reported_by_the_kernel(linux, fault, report):
    machine = linux("--vcpus", 2, "--cpus", 2)
    inject(machine, fault, f"Internal error: {report}", vcpu=1)


@pytest.mark.parametrize("vcpus", [1, 2])
def test_masked_serror_waits_through_switches(start, vcpus):
    machine = start("--kernel", PAYLOAD / "serror.bin", "--vcpus", vcpus, "--cpus", 1)
    machine.expect("SERROR waits")
    inject(machine, "serror 0xabcde", r"SERROR masked (\d+) rounds pending 1 taken 0")
    assert int(machine.match[1]) == (8 if vcpus == 2 else 0)
    machine.expect("SERROR taken 1 esr be0abcde pending 0")


@pytest.mark.parametrize("cpu", WITH_AARCH32)
def test_faults_and_traps_of_32_bit_code(start, cpu):
    machine = start("--quiet", "--cpu", cpu, "--kernel", PAYLOAD / "a32.bin")
    assert machine.wait_end(harness.BOOT_S) == 0
    assert "FAIL" not in machine.console()
    assert re.search(r"A32 done \d+ ok 0 failed", machine.console())


@pytest.mark.parametrize("cpu", WITH_AARCH32)
def test_32_bit_busybox_runs(start, tmp_path, cpu):
    initrd = tmp_path / "initrd.gz"
    initrd.write_bytes(harness.INITRD.read_bytes() + ARMHF.read_bytes())
    machine = start("--kernel", harness.VMLINUZ, "--initrd", initrd, "--append", f"console=ttyAMA0 {RELAXED}",
                    "--cpu", cpu, "--vcpus", 2, "--cpus", 2)
    machine.boot()
    busybox = "busybox32"
    assert machine.sh(f"od -An -tx1 -j4 -N1 /bin/{busybox}").strip() == "01" # ELFCLASS32
    assert machine.sh(f"{busybox} usleep 20000 && echo slept") == "slept"
    assert machine.sh(f"echo 6 7 | {busybox} awk '{{ print $1 * $2 / 4 }}'") == "10.5"
    assert machine.sh(f"{busybox} devmem {UART_PERIPHID0:#x}") == "0x00000011"
    assert machine.sh(f"{busybox} devmem {UART_PERIPHID0:#x} 8") == "0x11"
    assert machine.sh(f"{busybox} devmem {HOLE:#x}; echo status $?").endswith(f"status {SIGBUS}")
