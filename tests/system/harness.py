# SPDX-License-Identifier: Apache-2.0
"""Keel in QEMU, driven as a person would: by what its console says and by what one types."""
import os
import pathlib
import re
import time

import pexpect

BUILD = pathlib.Path(os.environ.get("KEEL_BUILD", "build")).resolve()
KEEL = BUILD / "keel"
VMLINUZ = BUILD / "guest" / "vmlinuz"
VMLINUZ_NEW = BUILD / "guest" / "vmlinuz-new" # Debian's newer kernel for the same release, and its initrd
INITRD_NEW = BUILD / "guest" / "initrd-new.gz"
VMLINUZ_RT = BUILD / "guest" / "vmlinuz-rt"
INITRD = BUILD / "guest" / "initrd.gz"
INITRD_RT = BUILD / "guest" / "initrd-rt.gz" # with cyclictest and hackbench
UBOOT = BUILD / "guest" / "u-boot.bin"
EDK2 = BUILD / "guest" / "edk2.fd"
DEBIAN_DISK = BUILD / "guest" / "debian.img" # not to be written to

ESCAPE = "\x1d"
SHELL_PROMPT = "keel> "
BANNER = "Welcome to Debian Linux on Keel"
PREFIX = re.compile(r"^[\w.-]{1,32}\| ?", re.M)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What a guest's kernel may say in the midst of what its programs print. Keel's log looks the same.
KERNEL_LINES = r"(?:(?:[\w.-]+\| )?\[ *\d+\.\d{6}\] [^\n]*\n(?:[\w.-]+\| )?)*"
# The end that Keel puts to a line that rests, and what others print before the rest of it comes.
OTHERS_LINES = r"(?:\r*\n(?:[^\n]*\n){0,99}?(?:[\w.-]+\| )?)?"
BREAK = KERNEL_LINES + OTHERS_LINES
ANNOUNCEMENT = re.compile(r"^\[console of [^\n]*\n?", re.M)

# Wall-clock bounds: several times what an emulated machine takes here while the other worker runs too.
BOOT_S = 180
REPLY_S = 60


def broken(word):
    """A pattern for a word that a guest's kernel, Keel or another guest may have broken up."""
    return BREAK.join(re.escape(c) for c in word)


GUEST_PROMPT = broken("debian:") + rf"(?:\S{KERNEL_LINES})*# "


class Failure(AssertionError):
    """What was awaited did not come."""


class Machine:
    """One `keel run`. Every wait is bounded and everything seen is kept for the report. `under`: what runs it."""

    def __init__(self, *args, under=()):
        self.seen = []
        self._marks = 0
        self._greeted = 0
        self.command = [*under, str(KEEL), "run", *map(str, args)]
        self._child = pexpect.spawn(self.command[0], self.command[1:], encoding="utf-8", codec_errors="replace",
                                    dimensions=(50, 200), timeout=REPLY_S)
        self._child.logfile_read = self
        self._child.delaybeforesend = None

    # pexpect writes what it reads here.
    def write(self, text):
        self.seen.append(text)

    def flush(self):
        pass

    def console(self):
        return unadorned("".join(self.seen))

    def expect(self, pattern, seconds=REPLY_S):
        """Waits for a regular expression (or several: returns the index) on the console."""
        try:
            return self._child.expect(pattern, timeout=seconds)
        except pexpect.TIMEOUT:
            raise Failure(f"no {pattern!r} within {seconds} s") from None
        except pexpect.EOF:
            self._child.close()
            raise Failure(f"the machine ended (status {self._child.exitstatus}) before {pattern!r}") from None

    @property
    def match(self):
        return self._child.match

    @property
    def before(self):
        return self._child.before

    def send(self, text):
        self._child.send(text)

    def mark(self):
        """A place in what was seen, for wait_said()."""
        return len(self.seen)

    def wait_said(self, pattern, since=0, seconds=REPLY_S):
        """Waits until a regular expression has come since that mark, also if something awaited since took it along;
        the match. Takes nothing itself."""
        end = time.monotonic() + seconds
        ended = False
        while not (found := re.search(pattern, unadorned("".join(self.seen[since:])))):
            if ended or time.monotonic() > end:
                raise Failure(f"no {pattern!r} {'before the machine ended' if ended else f'within {seconds} s'}")
            ended = self._child.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=0.1) == 1
        return found

    def quiet_for(self, pattern, seconds):
        """Asserts that the pattern does not come within that time."""
        try:
            self._child.expect(pattern, timeout=seconds)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            raise Failure("the machine ended") from None
        raise Failure(f"unexpected {pattern!r}")

    def wait_end(self, seconds=REPLY_S):
        """Waits until QEMU ended; the exit status of `keel run`."""
        try:
            self._child.expect(pexpect.EOF, timeout=seconds)
        except pexpect.TIMEOUT:
            raise Failure(f"still runs after {seconds} s") from None
        self._child.close()
        return self._child.exitstatus

    def kill(self):
        if not self._child.closed:
            self._child.close(force=True)

    # --- guests ---

    def focus(self, index):
        """Input goes to guest number `index`, counted from 1."""
        self.send(f"{ESCAPE}{index}")

    def boot(self, seconds=BOOT_S):
        """Waits for the shell of a guest that runs our initrd. Guests that start together may all greet before the
        first of them is ready: who greeted meanwhile is remembered for the next call."""
        if self._greeted:
            self._greeted -= 1
        else:
            self.expect(broken(BANNER), seconds)
        self.expect(GUEST_PROMPT, seconds)
        self._greeted += len(re.findall(broken(BANNER), self.before))

    def login(self, seconds=BOOT_S):
        """Waits for Debian with systemd, and logs in."""
        self.expect(broken("debian login: "), seconds)
        self.send("root\n")
        self.expect(GUEST_PROMPT, seconds)
        self.sh("bind 'set enable-bracketed-paste off'; dmesg -n 1")

    def sh(self, command, seconds=REPLY_S, check=True, messages=False):
        """Runs a command in the shell of the guest that has the input; what it printed, and with `messages`
        what the guest's kernel said meanwhile."""
        self._marks += 1
        n = self._marks
        # One line, or the terminal would echo the next one into the midst of what this one prints. The quotes keep
        # the echo from looking like the marks.
        end = "" if command.rstrip().endswith("&") else ";"
        self.send(f'echo "@@"S{n}; {command}{end} echo "@@"E{n} $?\n')
        self.expect(rf"(?m)((?:^[\w.-]+\| )?)[^\n]*{broken(f'@@S{n}')}{KERNEL_LINES}\r*\n", seconds)
        prefix = self.match.group(1)
        self.expect(rf"{broken(f'@@E{n} ')}{BREAK}((?:\d{KERNEL_LINES})+)\r*\n", seconds)
        # Other guests may print in between: their lines have other prefixes.
        lines = unadorned(self.before).splitlines()
        output = ANNOUNCEMENT.sub("", clean("".join(f"{line}\n" for line in lines if line.startswith(prefix))))
        if not messages:
            output = re.sub(KERNEL_LINES, "", output)
        status = int(re.sub(KERNEL_LINES, "", self.match.group(1)))
        if check and status != 0:
            raise Failure(f"{command!r} in the guest: status {status}: {output}")
        return output.strip("\n")

    # --- Keel's shell ---

    def keel(self, command, seconds=REPLY_S):
        """Runs a command in Keel's own shell; what it printed. The input stays there: focus() moves it."""
        self.send(f"{ESCAPE}k")
        self.send("\r")
        self.expect(re.escape(SHELL_PROMPT), seconds)
        # What was printed before and prompts that are still under way end at the echo of the command.
        self.send(f"{command}\r")
        self.expect(broken(command) + r"[^\n]*\r*\n", seconds)
        self.expect(r"(?:^|\n)" + re.escape(SHELL_PROMPT), seconds)
        # Guests may print in between. One that is alone has no prefix.
        return "\n".join(line for line in unadorned(self.before).split("\n") if not PREFIX.match(line))

    def wait_state(self, vm, state, seconds=REPLY_S):
        """Asks `vm list` until the VM's line says `state`."""
        end = time.monotonic() + seconds
        while True:
            listing = self.keel("vm list")
            if re.search(rf"\b{re.escape(vm)}\b.*\b{state}\b", listing):
                return listing
            if time.monotonic() > end:
                raise Failure(f"{vm} is not {state} after {seconds} s: {listing}")
            time.sleep(0.2)


def unadorned(text):
    """Console text without control sequences and carriage returns."""
    return CONTROL.sub("", text).replace("\r", "")


def clean(text):
    """The same without the prefixes of ports."""
    return PREFIX.sub("", unadorned(text))
