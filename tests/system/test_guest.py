# SPDX-License-Identifier: Apache-2.0
"""What a running Linux guest may ask of its machine."""


def test_cpus_go_off_line_and_come_back(linux):
    keel = linux("--vcpus", 4, "--cpus", 4)
    for cpu in (3, 1):
        keel.sh(f"echo 0 > /sys/devices/system/cpu/cpu{cpu}/online")
    assert keel.sh("cat /sys/devices/system/cpu/online") == "0,2"
    for cpu in (1, 3):
        keel.sh(f"echo 1 > /sys/devices/system/cpu/cpu{cpu}/online")
    assert keel.sh("nproc") == "4"
    assert keel.sh("taskset 8 cat /proc/self/stat | cut -d' ' -f39") == "3"


def test_cpu_hotplug_survives_repetition(linux):
    keel = linux("--vcpus", 2, "--cpus", 2)
    keel.sh("i=0; while [ $i -lt 30 ]; do echo 0 > /sys/devices/system/cpu/cpu1/online &&"
            " echo 1 > /sys/devices/system/cpu/cpu1/online || break; i=$((i + 1)); done; [ $i = 30 ]", seconds=180)


def test_interrupts_of_the_guest_arrive_on_every_cpu(linux):
    keel = linux("--vcpus", 2, "--cpus", 2)
    keel.sh("taskset 1 sleep 0.3; taskset 2 sleep 0.3")
    timers = keel.sh("grep arch_timer /proc/interrupts").split()
    assert int(timers[1]) > 0 and int(timers[2]) > 0


def test_floating_point_state_is_each_process_own(linux):
    keel = linux("--vcpus", 2, "--cpus", 1)
    sums = keel.sh("for n in 1 2 3 4; do awk -v n=$n 'BEGIN { s = 0; for (i = 1; i <= 200000; i++) s += n / i;"
                   ' printf "%.9f\\n", s / n }\' & done; wait', seconds=180)
    values = [line for line in sums.splitlines() if line[:1].isdigit()]
    assert len(values) == 4 and set(values) == {values[0]}


def test_realtime_clock_is_there(linux):
    keel = linux()
    assert int(keel.sh("cat /sys/class/rtc/rtc0/since_epoch")) > 1_500_000_000


def test_alarm_of_the_clock_comes_when_it_is_due_and_not_when_it_was_taken_back(linux):
    keel = linux("--vcpus", 2)
    keel.sh("cd /sys/class/rtc/rtc0; alarms() { awk '/rtc-pl031/ { print $2 + $3 }' /proc/interrupts; }")
    assert keel.sh("alarms") == "0"
    waited = keel.sh("t=$(cat since_epoch); echo $((t + 2)) > wakealarm; until [ $(alarms) = 1 ]; do usleep 50000; done; "
                     "echo $(($(cat since_epoch) - t))")
    assert 2 <= int(waited) < 10
    assert keel.sh("cat wakealarm") == ""
    keel.sh("echo $(($(cat since_epoch) + 2)) > wakealarm; echo 0 > wakealarm; sleep 3")
    assert keel.sh("alarms") == "1"


def test_console_takes_long_input(linux):
    keel = linux()
    text = "0123456789" * 20
    assert keel.sh(f"echo {text}") == text


def test_console_carries_much_output_without_loss(linux):
    keel = linux()
    lines = keel.sh("seq 1 3000", seconds=180).split()
    assert lines == [str(n) for n in range(1, 3001)]


def test_linux_uses_the_its_on_every_cpu_and_again_after_a_reset(linux):
    keel = linux("--vcpus", 4, "--cpus", 2)
    for _ in range(2):
        log = keel.sh("dmesg", messages=True)
        assert "ITS [mem 0x08080000-0x0809ffff]" in log
        assert "using LPI property table" in log
        for cpu in range(4):
            assert f"GICv3: CPU{cpu}: using allocated LPI pending table" in log
        assert "its@8080000 domain created" in log
        assert "memory probably corrupted" not in log
        keel.sh("echo 0 > /sys/devices/system/cpu/cpu3/online && echo 1 > /sys/devices/system/cpu/cpu3/online")
        keel.send("reboot -f\n")
        keel.boot()
