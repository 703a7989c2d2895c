# SPDX-License-Identifier: Apache-2.0
"""Firmware as a guest."""
import harness


def boot_uboot(start, *args):
    keel = start("--firmware", harness.UBOOT, *args)
    keel.expect("U-Boot 20", harness.BOOT_S)
    keel.expect("Hit any key to stop autoboot", harness.BOOT_S)
    keel.send(" ")
    keel.expect("=> ")
    return keel


def test_uboot_reaches_its_prompt(start):
    keel = boot_uboot(start)
    keel.send("bdinfo\r")
    keel.expect(r"-> start +(= )?0x0*40000000")
    keel.expect("=> ")


def test_uboot_powers_off(start):
    keel = boot_uboot(start)
    keel.send("poweroff\r")
    assert keel.wait_end() == 0


def test_uboot_resets(start):
    keel = boot_uboot(start)
    keel.send("reset\r")
    keel.expect("U-Boot 20", harness.BOOT_S)
