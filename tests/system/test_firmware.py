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


KEEPS = """/dts-v1/; / {{ compatible = "keel,machine"; on-last-stop = "poweroff";
    vms {{ efi {{ vcpus = <1>; memory = "256M"; firmware = "{firmware}"; autostart;
        devices {{ flash {{ compatible = "cfi-flash"; device = "vars"; }}; serial {{ compatible = "arm,pl011"; }};
            clock {{ compatible = "arm,pl031"; }}; }}; }}; }}; }};"""
VARIABLE = "setvar Kept -guid 12345678-1234-1234-1234-123456789abc"


def test_variables_of_edk2_outlive_the_machine_on_a_disk(start, write_dts, tmp_path):
    image = tmp_path / "vars.img"
    image.write_bytes(bytes(1 << 20)) # as it comes: not even erased

    def shell():
        keel = start(write_dts(KEEPS.format(firmware=harness.EDK2)), "--", "-drive", f"if=none,id=v,format=raw,file={image}",
                     "-device", "virtio-blk-pci,disable-legacy=on,drive=v,serial=vars")
        keel.expect("any other key to continue", harness.BOOT_S)
        keel.send("\x1b")
        keel.expect("Shell> ", harness.BOOT_S)
        return keel

    keel = shell()
    keel.send(f"{VARIABLE} -nv -bs -rt =0x4b65656c\r")
    keel.expect("Shell> ")
    keel.send("reset -s\r")
    assert keel.wait_end() == 0
    keel = shell()
    keel.send(f"{VARIABLE}\r")
    keel.expect("6C 65 65 4B ")
