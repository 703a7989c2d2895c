# SPDX-License-Identifier: Apache-2.0
"""Emulated devices, by the stock drivers of Debian's kernel."""
import harness
from machines import machine, vm

INITRD = harness.BUILD / "guest" / "initrd-io.gz"
POWER_KEY = "01 00 74 00 01 00 00 00" # of struct input_event: EV_KEY, KEY_POWER, down


def with_devices(text, *nodes):
    """The VM, with these devices instead of the default ones."""
    body = "".join(f"{name} {{ {properties} }};" for name, properties in nodes)
    end = text.rindex("}")
    return f"{text[:end]}devices {{ {body} }};\n        {text[end:]}"


def load(guest, *modules):
    for m in modules:
        guest.sh(f"insmod /modules/{m}.ko")


def test_the_power_key_reaches_a_guest_on_a_16550_and_its_time_is_bounded(start, write_dts):
    text = vm("debian", initrd=INITRD, bootargs="console=ttyS0", stop_timeout_s=3)
    keel = start(write_dts(machine(with_devices(text, ("serial", 'compatible = "ns16550a";'),
                                                ("gpio", 'compatible = "arm,pl061";')), on_last_stop="stay")))
    keel.boot()
    assert "16550A" in keel.sh("dmesg | grep ttyS0.at", messages=True)
    line = keel.sh("grep ttyS0 /proc/interrupts")
    assert int(line.split()[1]) > 0
    load(keel, "evdev", "gpio_keys")
    keel.sh("(head -c 48 /dev/input/event0 | hexdump -C | sed s/^/EVENT/) &")
    assert "is asked to shut down, and has 3 s" in keel.keel("vm stop debian")
    keel.expect(r"EVENT00000010  " + POWER_KEY)
    keel.expect("debian: did not shut down in 3 s")
    keel.wait_state("debian", "stopped")
    keel.keel("vm start debian")
    keel.focus(1)
    keel.boot()
    # Without a driver that listens there is nothing to wait for.
    assert "asked" not in keel.keel("vm stop debian")
    keel.wait_state("debian", "stopped")


def test_a_guest_that_is_asked_shuts_down_by_itself(start, write_dts):
    keel = start(write_dts(machine(vm("debian", initrd=INITRD))))
    keel.boot()
    load(keel, "evdev", "gpio_keys")
    keel.sh("(head -c 24 /dev/input/event0 > /dev/null; poweroff -f) &")
    keel.keel("vm stop debian")
    assert keel.wait_end() == 0
    assert "vm debian: powered off" in keel.console()


def test_the_watchdog_resets_a_guest_that_stops_petting_it_and_no_other(start, write_dts):
    hung = with_devices(vm("hung", initrd=INITRD), ("serial", 'compatible = "arm,pl011";'),
                        ("dog", 'compatible = "arm,sp805";'))
    keel = start(write_dts(machine(vm("other"), hung)))
    keel.boot()
    keel.boot()
    keel.focus(1)
    keel.sh("touch /tmp/here")
    keel.focus(2)
    load(keel, "sp805_wdt")
    keel.sh("watchdog -T 2 -t 1 /dev/watchdog0; sleep 4") # lives on past its time
    keel.sh("killall -9 watchdog")
    keel.expect("hung: its watchdog has run out: reset")
    keel.boot()
    assert "watchdog" in [w for w in keel.keel("vm list").splitlines() if "hung" in w][0]
    keel.focus(1)
    keel.sh("ls /tmp/here")
