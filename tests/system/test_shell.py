# SPDX-License-Identifier: Apache-2.0
"""Keel's own shell on the host console."""
import re

import harness
import pytest

COMMANDS = ["help", "vm", "vcpu", "exits", "mem", "cpu", "irq", "log", "version", "poweroff"]


@pytest.fixture
def keel(linux):
    return linux("--vcpus", 2, "--cpus", 2, "--name", "debian")


def test_every_command_answers(keel):
    overview = keel.keel("help")
    for command in COMMANDS:
        assert re.search(rf"^\s*{command}\b", overview, re.M), command
        assert command in keel.keel(f"help {command}")
    listing = keel.keel("vm list")
    assert re.search(r"\bdebian\b.*\brunning\b", listing)
    assert keel.keel("vcpu list").count("debian") >= 2
    assert "debian" in keel.keel("vm info debian")
    for command in ("mem", "cpu", "irq", "log", "version", "exits", "exits debian"):
        assert keel.keel(command).strip(), command


def test_wrong_commands_say_what_would_be_right(keel):
    assert "help" in keel.keel("nonsense")
    assert "list" in keel.keel("vm nonsense")
    assert "nobody" in keel.keel("vm start nobody")
    assert keel.keel("vm start").strip()
    keel.focus(1)
    assert keel.sh("echo alive") == "alive"


def test_exits_count_what_the_guest_does(keel):
    def wfi():
        return sum(int(n) for n in re.findall(r"\b\d+\b", re.search(r".*\bwfi\b.*", keel.keel("exits debian"))[0]))

    first = wfi()
    keel.focus(1)
    keel.sh("sleep 1")
    assert wfi() > first


def test_history_brings_a_command_back(keel):
    keel.keel("version")
    keel.send("\x1b[A\r")
    keel.expect("keel> version")


def test_poweroff_ends_the_machine(keel):
    keel.send("\x1dk\rpoweroff\r")
    assert keel.wait_end() == 0


def test_escape_key_twice_reaches_the_guest(keel):
    keel.send("echo star''ted; head -c 2 | od -An -tx1\n")
    keel.expect(harness.broken("started"))
    keel.send("\x1d\x1d\n")
    keel.expect(harness.broken("1d 0a"))
