# SPDX-License-Identifier: Apache-2.0
"""Weights, budgets, priorities and CPUs of vCPUs, also changed while stock guests run."""
import re

import harness
from machines import LINUX, machine, vm

QUIET = f"{LINUX} quiet"
ROW = re.compile(r"^(\S+) +(\d+) +(\d+) +(\S+) +(shared|real-time|budget) +(weight \d+|-|\d+/\d+ us) +(\d+|-)"
                 r" +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) *$", re.M)


class Row:
    def __init__(self, m):
        self.vm, self.state, self.task_class, self.by = m[1], m[4], m[5], m[6]
        self.vcpu, self.cpu, self.ran, self.waited, self.throttled = (int(m[i]) for i in (2, 3, 8, 9, 10))


def rows(keel):
    return {(r.vm, r.vcpu): r for r in map(Row, ROW.finditer(keel.keel("vcpu list")))}


def does(keel, command):
    """A command that has nothing to say when it was done."""
    said = [line for line in keel.keel(command).splitlines() if line and not line.startswith("[console of")]
    assert said == []


def boot(start, write_dts, *vms, cpus=2):
    keel = start(write_dts(machine(*vms)), "--cpus", cpus, "--icount")
    for _ in vms:
        keel.boot()
    return keel


def burn(keel, *guests):
    for guest in guests:
        keel.focus(guest)
        keel.sh("while :; do :; done &")


def idle(keel, *guests):
    for guest in guests:
        keel.focus(guest)
        keel.sh("kill $!; wait $!; true", check=False)


def window(keel, clock, milliseconds, *vcpus):
    """What vCPUs ran while `clock`, a vCPU that burns, ran for so long; and how long that took."""
    before = rows(keel)
    while rows(keel)[clock].ran - before[clock].ran < milliseconds:
        pass
    after = rows(keel)
    took = sum(after[clock].__dict__[k] - before[clock].__dict__[k] for k in ("ran", "waited"))
    return [after[v].ran - before[v].ran for v in vcpus], took


def test_burning_vms_share_by_weight_and_by_a_new_one(start, write_dts):
    keel = boot(start, write_dts, vm("heavy", cpus=[1], weight=300, bootargs=QUIET),
                vm("light", cpus=[1], weight=100, bootargs=QUIET))
    burn(keel, 1, 2)
    (heavy, light), _ = window(keel, ("light", 0), 500, ("heavy", 0), ("light", 0))
    assert 2.85 < heavy / light < 3.15
    does(keel, "vm weight light 600")
    (heavy, light), _ = window(keel, ("heavy", 0), 500, ("heavy", 0), ("light", 0))
    assert 1.9 < light / heavy < 2.1
    assert rows(keel)["light", 0].by == "weight 600"


def test_budget_is_kept_from_both_sides(start, write_dts):
    keel = boot(start, write_dts,
                vm("promised", cpus=[1], budget_us=2000, period_us=10000, bootargs=QUIET),
                vm("rest", cpus=[1], bootargs=QUIET))
    burn(keel, 1)
    (ran,), took = window(keel, ("promised", 0), 300, ("promised", 0))
    assert 0.197 < ran / took < 0.203 # alone: no more
    burn(keel, 2)
    (ran, rest), took = window(keel, ("promised", 0), 300, ("promised", 0), ("rest", 0))
    assert 0.197 < ran / took < 0.203 # beside a burner: no less
    assert 0.78 < rest / took < 0.81
    assert rows(keel)["promised", 0].throttled > 20

    does(keel, "vcpu budget rest 0 2500 5000")
    (ran, rest), took = window(keel, ("rest", 0), 500, ("promised", 0), ("rest", 0))
    assert 0.197 < ran / took < 0.203 and 0.495 < rest / took < 0.505
    assert "CPU 1 can promise 95.0 % of its time, and has promised 70.0 %" in \
        keel.keel("vcpu budget promised 0 5000 10000")
    does(keel, "vcpu budget rest 0 off")
    does(keel, "vcpu budget promised 0 5000 10000")
    (ran,), took = window(keel, ("promised", 0), 500, ("promised", 0))
    assert 0.495 < ran / took < 0.505
    idle(keel, 1, 2)


def test_priority_takes_effect_at_run_time(start, write_dts):
    keel = boot(start, write_dts, vm("first", cpus=[1], bootargs=QUIET), vm("second", cpus=[1], bootargs=QUIET))
    burn(keel, 1, 2)
    does(keel, "vcpu prio first 0 5")
    (first, second), _ = window(keel, ("first", 0), 300, ("first", 0), ("second", 0))
    assert second < first / 100
    does(keel, "vcpu prio first 0 shared")
    (first, second), _ = window(keel, ("first", 0), 300, ("first", 0), ("second", 0))
    assert 0.9 < first / second < 1.1


def served(keel, guest):
    return int(re.search(r"threads of its devices ran (\d+) ms", keel.keel(f"vm info {guest}"))[1])


def test_work_of_devices_comes_off_the_share_of_their_vm(start, write_dts):
    disk = 'devices { serial { compatible = "arm,pl011"; }; disk { compatible = "keel,disk"; size = "64M"; }; };'
    reader = vm("reader", cpus=[1], initrd=harness.INITRD.with_name("initrd-io.gz"), bootargs=QUIET)
    reader = reader[:reader.rindex("}")] + disk + "};"
    keel = boot(start, write_dts, reader, vm("burner", cpus=[1], bootargs=QUIET))
    keel.focus(1)
    keel.sh("while :; do dd if=/dev/vda of=/dev/null bs=1M count=64 iflag=direct 2>/dev/null; done &")
    burn(keel, 2)
    before = served(keel, "reader")
    (reader, burner), _ = window(keel, ("burner", 0), 1000, ("reader", 0), ("burner", 0))
    devices = served(keel, "reader") - before
    assert devices > reader / 10
    assert 0.94 < (reader + devices) / burner < 1.06
    idle(keel, 1, 2)


def test_vcpus_move_under_load(start, write_dts):
    keel = boot(start, write_dts, vm("mover", vcpus=2, cpus=[0, 1], bootargs=QUIET),
                vm("other", vcpus=2, cpus=[1, 0], bootargs=QUIET), cpus=3)
    keel.focus(1)
    keel.sh("head -c 3000000 /dev/urandom > /tmp/data; md5sum /tmp/data > /tmp/sum")
    keel.sh("(while :; do md5sum -c /tmp/sum > /dev/null || echo WR''ONG; done) &")
    keel.sh("(while :; do md5sum -c /tmp/sum > /dev/null || echo WR''ONG; done) &")
    keel.sh("(while :; do sleep 0.01; done) &")
    burn(keel, 2)
    for n in range(12):
        for vcpu in (0, 1):
            cpu = (n * 2 + vcpu) % 3
            does(keel, f"vcpu pin mover {vcpu} {cpu}")
            assert rows(keel)["mover", vcpu].cpu == cpu
    # A vCPU that is off, and one that waits for its turn beside another
    keel.focus(1)
    assert keel.sh("nproc") == "2"
    keel.sh("echo 0 > /sys/devices/system/cpu/cpu1/online")
    assert rows(keel)["mover", 1].state == "off"
    does(keel, "vcpu pin mover 1 2")
    does(keel, "vcpu pin mover 0 1")
    keel.focus(1)
    keel.sh("echo 1 > /sys/devices/system/cpu/cpu1/online")
    assert rows(keel)["mover", 1].cpu == 2
    keel.focus(1)
    assert keel.sh("sleep 0.2; jobs | grep -c Running") == "3"
    assert "WRONG" not in keel.console()
    assert "is no CPU of this host" in keel.keel("vcpu pin mover 0 3")


def test_shell_gets_through_a_guest_of_the_highest_priority(start, write_dts):
    keel = boot(start, write_dts, vm("greedy", cpus=[0], priority=31, bootargs=QUIET),
                vm("other", cpus=[0], bootargs=QUIET), cpus=1)
    burn(keel, 1)
    (greedy,), took = window(keel, ("greedy", 0), 200, ("greedy", 0))
    assert greedy > 0.8 * took
    keel.keel("vm stop greedy")
    keel.wait_state("greedy", "stopped")
    keel.focus(2)
    keel.sh("true")
