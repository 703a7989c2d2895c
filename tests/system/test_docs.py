# SPDX-License-Identifier: Apache-2.0
"""What the pages say is so: commands run, outputs look like that, links and files are there.

A block that begins with ```sh test runs unattended, each line a command, in the top folder; its exit status must be
zero. A ```text block that follows it is what it prints: numbers may differ, a line "..." stands for any lines.
"""
import os
import re
import subprocess
from pathlib import Path

import harness
import pexpect
import pytest

TOP = Path(__file__).resolve().parents[2]
README = TOP / "README.md"
PAGES = [README, *sorted((TOP / "docs").glob("*.md"))]
COMMAND_S = 180

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
# A source file in backquotes, with its folder: `core/sched.c`.
FILE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:c|h|S|py|dts|md|json|lds))`")


def blocks(page):
    """(info string, text, text of the ```text block right behind it or None) of each fenced block."""
    text = page.read_text()
    found = list(FENCE.finditer(text))
    result = []
    for block, after in zip(found, [*found[1:], None]):
        adjoins = after is not None and after[1] == "text" and not text[block.end():after.start()].strip()
        result.append((block[1], block[2], after[2] if adjoins else None))
    return result


def commands():
    for page in PAGES:
        for number, (info, text, output) in enumerate(blocks(page)):
            if info == "sh test":
                yield pytest.param(text, output, id=f"{page.name}-{number}")


def plain(line):
    """A line without what differs from machine to machine: numbers, their units, blanks."""
    line = re.sub(r"\b[0-9a-f]{8,}\b|[0-9]+(?:\.[0-9]+)?", "0", line)
    return re.sub(r"\s+", " ", re.sub(r"0 [KMG]iB", "0 B", line)).strip()


def looks_like(said, printed):
    """Whether the lines `said` on a page, "..." for any, are those `printed`."""
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else re.escape(plain(line)) + r"\n"
                      for line in said.splitlines())
    return re.fullmatch(pattern, "".join(plain(line) + "\n" for line in printed.splitlines())) is not None


def environment():
    """Without what an outer make left, whose job slots are not ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


@pytest.mark.parametrize("text, output", commands())
def test_command_does_what_the_page_says(text, output):
    script = "set -e\n" + text.replace("build/keel ", f"{harness.KEEL} ")
    done = subprocess.run(["/bin/sh", "-c", script], cwd=TOP, env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=COMMAND_S, check=False)
    printed = harness.clean(done.stdout)
    assert done.returncode == 0, f"{text}{printed}{done.stderr}"
    if output is not None:
        assert looks_like(output, printed), f"the page says:\n{output}\n{text}printed:\n{printed}"


def test_readme_has_commands_that_are_run():
    assert any(info == "sh test" for info, _, _ in blocks(README))


def test_make_run_reaches_a_shell():
    child = pexpect.spawn("make", ["run", f"BUILD={os.path.relpath(harness.BUILD, TOP)}"], cwd=str(TOP),
                          env=environment(), encoding="utf-8", codec_errors="replace", timeout=harness.BOOT_S)
    try:
        child.expect(harness.broken(harness.BANNER))
        child.expect(harness.GUEST_PROMPT)
        child.send("exit\n")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


def test_first_vm_of_the_readme_is_the_one_in_guests():
    described = [text for info, text, _ in blocks(README) if info == "dts"]
    source = (TOP / "guests" / "first.dts").read_text()
    assert re.sub(r"/\*.*?\*/\n", "", source) in described


def test_first_vm_goes_as_the_readme_tells(start):
    machine = start(TOP / "guests" / "first.dts")
    machine.boot()
    assert re.search(r"first\s+running", machine.keel("vm list"))
    assert re.search(r"first\s+mmio\s+\d+", machine.keel("exits"))
    machine.focus(1)
    machine.send("exit\n")
    assert machine.wait_end() == 0
    assert "vm first: powered off" in machine.console()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_of_a_page_exist(page):
    text = page.read_text()
    wanted = [page.parent / link for link in LINK.findall(text)]
    wanted += [TOP / name for name in FILE.findall(text) if not name.startswith("build/")]
    absent = [str(path.relative_to(TOP)) for path in wanted if not path.exists()]
    assert not absent
