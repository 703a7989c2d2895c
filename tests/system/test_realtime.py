# SPDX-License-Identifier: Apache-2.0
"""A real-time guest beside one that is never done. Under -icount: a nanosecond is an instruction."""
import re

import harness
import pytest
from machines import LINUX, machine, vm

BURN = harness.BUILD / "payload" / "burn.bin"
# Without a hypervisor the guest takes up to 17,400; docs/scheduling.md derives what Keel adds at most.
LATE_NS = 30000


@pytest.mark.parametrize("neighbour", ["spin", "exits"])
@pytest.mark.parametrize("cpus", [1, 2], ids=["shared-cpu", "own-cpu"])
def test_realtime_guest_wakes_on_time_beside(start, write_dts, neighbour, cpus):
    keel = start(write_dts(machine(
        vm("rt", kernel=harness.VMLINUZ_RT, initrd=harness.INITRD_RT, bootargs=f"{LINUX} quiet", cpus=[cpus - 1],
           priority=20),
        vm("busy", kernel=BURN, initrd=None, bootargs=f"mode={neighbour}", memory="4M", cpus=[0]))),
                 "--cpus", cpus, "--icount")
    keel.boot()
    keel.sh("head -c 1 /dev/random >/dev/null", seconds=180) # until the kernel's generator is seeded it is slow
    said = keel.sh("cyclictest -q -m -N -t 1 -p 90 -i 200 -l 1000", seconds=180)
    latest = int(re.search(r"Max: +(\d+)", said)[1])
    assert latest <= LATE_NS


def test_vms_that_need_the_cpu_of_one_that_spins_can_be_paused_and_stopped(start, write_dts):
    """Its priority is above that of all others' threads. The first has a device's thread there, the second a vCPU."""
    first = vm("served", kernel=BURN, initrd=None, bootargs="mode=spin", memory="4M", cpus=[0])
    devices = 'devices { console { compatible = "keel,console"; cpu = <1>; }; };'
    keel = start(write_dts(machine(
        first.rstrip()[:-2] + f"{devices} }};",
        vm("starved", kernel=BURN, initrd=None, bootargs="mode=spin", memory="4M", cpus=[1]),
        vm("spinner", kernel=BURN, initrd=None, bootargs="mode=spin", memory="4M", cpus=[1], priority=31),
        on_last_stop="stay")), "--cpus", 2)
    keel.expect("spinner: started")
    for name in ("served", "starved"):
        assert "error" not in keel.keel(f"vm pause {name}")
        keel.wait_state(name, "paused")
        keel.keel(f"vm resume {name}")
        keel.keel(f"vm reset {name}")
        keel.wait_state(name, "running")
        keel.keel(f"vm stop {name} now")
        keel.wait_state(name, "stopped")
    assert re.search(r"spinner +running", keel.keel("vm list"))
