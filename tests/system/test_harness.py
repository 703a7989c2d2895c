# SPDX-License-Identifier: Apache-2.0
"""What the tests themselves stand on: a guest's words are found and put together whatever breaks them up."""
import sys

import harness
import pytest

# Greets, and answers each command with its marks, its text and its status. What breaks in comes into a word of the greeting
# and the prompt, for "#" of the text, and into the marks: the n-th time behind their n-th letter.
GUEST = r"""
import re, sys
breaks, prefix, text, status = sys.argv[1:5]
breaks = breaks.encode().decode("unicode_escape")
def say(line, at, end="\r\n"):
    sys.stdout.write(prefix + line[:at] + breaks + line[at:] + end)
say("Welcome to Debian Linux on Keel: it", 14)
say("debian:~# ", 3, "")
sys.stdout.flush()
for line in sys.stdin:
    n = re.search(r'"@@"S(\d+)', line)[1]
    say("@@S" + n, int(n) - 1)
    sys.stdout.write(prefix + text.replace("#", breaks) + "\r\n")
    say(f"@@E{n} {status}", int(n) - 1)
    sys.stdout.flush()
"""
KERNEL = "[    1.234567] random: crng init done\\r\\n"
LOG = "\\r\\n[    0.123456] vm other: started: 1 vCPU, 64 MiB\\r\\n"
ANNOUNCED = "\\r\\n[console of debian; Ctrl-] ? for help]\\r\\n"
OTHER = "\\r\\nright| [    2.000000] usbcore: registered\\r\\nright| and more\\r\\nleft| "


@pytest.fixture
def guest(start):
    def starter(breaks, text="said", prefix="", status="0"):
        machine = start(under=[sys.executable, "-c", GUEST, breaks, prefix, text, status])
        machine.boot()
        return machine

    return starter


@pytest.mark.parametrize("breaks, prefix", [("", ""), (KERNEL, ""), (LOG, ""), (ANNOUNCED, ""), (OTHER, "left| "),
                                            (KERNEL + "left| ", "left| "), (KERNEL + "left| " + OTHER, "left| ")],
                         ids=["nothing", "kernel", "log", "announcement", "guest", "kernel-of-two", "kernel-and-guest"])
def test_a_guest_is_understood_whatever_breaks_its_words_up(guest, breaks, prefix):
    machine = guest(breaks, prefix=prefix)
    for _ in range(8):
        assert machine.sh("say", seconds=10) == "said"


def test_what_a_kernel_says_within_the_output_is_left_out_and_status_is_told(guest):
    with pytest.raises(harness.Failure, match="status 3: half a word"):
        guest(KERNEL, "half a# word", status="3").sh("say")


def test_words_that_another_wait_took_along_are_found(guest):
    machine = guest(KERNEL)
    machine.sh("say")
    assert machine.wait_said("Welcome (to)")[1] == "to"
    machine.send("\x04") # the end of what is typed
    with pytest.raises(harness.Failure, match="before the machine ended"):
        machine.wait_said("never", machine.mark())
