# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests, and the console of every machine in the report of a failed one."""
import gzip
import pathlib
import subprocess

import harness
import pytest


@pytest.fixture
def start(request):
    """Starts machines: start(ARGS of `keel run`). They end with the test, whatever happened."""
    machines = []
    request.node.machines = machines

    def starter(*args, under=()):
        machine = harness.Machine(*args, under=under)
        machines.append(machine)
        return machine

    yield starter
    for machine in machines:
        machine.kill()


@pytest.fixture
def linux(start):
    """Boots one VM with Debian's kernel to its shell: linux(options of `keel run`)."""

    def starter(*args, append=""):
        machine = start("--kernel", harness.VMLINUZ, "--initrd", harness.INITRD,
                        "--append", f"console=ttyAMA0 {append}".strip(), *args)
        machine.boot()
        return machine

    return starter


@pytest.fixture
def write_dts(tmp_path):
    """Writes a machine's configuration; its path."""

    def writer(text):
        path = pathlib.Path(tmp_path, "machine.dts")
        path.write_text(text)
        return path

    return writer


@pytest.fixture
def debian_disk(tmp_path):
    """A copy of the disk with Debian; half a gigabyte, so it goes with the test."""
    path = pathlib.Path(tmp_path, "debian.img")
    subprocess.run(["cp", "--sparse=always", harness.DEBIAN_DISK, path], check=True)
    yield path
    path.unlink()


@pytest.fixture
def with_programs(tmp_path):
    """An initrd with static programs from tests/guest in /bin; its path: with_programs("perf", ...)."""

    def build(*names, base=harness.INITRD):
        root = pathlib.Path(tmp_path, "root")
        (root / "bin").mkdir(parents=True, exist_ok=True)
        for name in names:
            subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
                            root / "bin" / name, pathlib.Path(__file__).parent.parent / "guest" / f"{name}.c"],
                           check=True)
        members = "\n".join(["bin", *(f"bin/{n}" for n in names)])
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=members.encode(), cwd=root,
                                 capture_output=True, check=True).stdout
        initrd = pathlib.Path(tmp_path, base.name)
        initrd.write_bytes(base.read_bytes() + gzip.compress(archive))
        return initrd

    return build


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for machine in getattr(item, "machines", []):
            report.sections.append((f"console of {' '.join(machine.command)}", machine.console()))
