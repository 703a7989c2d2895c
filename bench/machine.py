# SPDX-License-Identifier: Apache-2.0
"""What every measurement needs: running Keel and QEMU, and reading what they print."""
import gzip
import os
import re
import struct
import subprocess
import tempfile
import threading

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
KEEL = os.path.join(BUILD, "keel")
PAYLOAD = os.path.join(BUILD, "payload")
CPUS = ["neoverse-n1", "cortex-a55"]
TIMEOUT_S = 120
LINUX_ARGS = "console=ttyAMA0 quiet"


class BenchError(Exception):
    pass


# --- parsing ---

def parse_rows(text):
    """BENCH name iterations total_ns ns_per_op_x100 -> {name: ns per operation}"""
    return {m[1]: int(m[4]) / 100 for m in re.finditer(r"^BENCH (\w+) (\d+) (\d+) (\d+)\s*$", text, re.M)}


def parse_entry(text):
    """Nanoseconds since reset and on the guest's own counter at a payload's first instruction."""
    m = re.search(r"MARK entry_pct_ns (\d+) entry_vct_ns (\d+)", text)
    if not m:
        raise BenchError("no entry mark in:\n" + text[-2000:])
    return int(m[1]), int(m[2])


def parse_linux(text):
    """(since reset at entry, guest's counter at entry, guest's counter at init), nanoseconds."""
    entry = re.search(r"MARK entry ([0-9a-f]{16}) ([0-9a-f]{16})", text)
    init = re.search(r"MARK init\s+([0-9a-f]{16})\s+([0-9a-f]{16})", text)
    if not entry or not init:
        raise BenchError("Linux gave no marks:\n" + text[-2000:])
    hz = int(init[2], 16)
    return tuple(int(t, 16) * 1000000000 // hz for t in (entry[1], entry[2], init[1]))


def parse_fdt(text):
    m = re.search(r"FDT-BEGIN\s(.*?)FDT-END", text, re.S)
    if not m:
        raise BenchError("Linux printed no device tree:\n" + text[-2000:])
    fdt = bytearray.fromhex("".join(m[1].split()))
    # QEMU's tree ends in a megabyte of nothing, with which it would be too large for Linux the next time
    struct_at, strings_at = struct.unpack_from(">II", fdt, 8)
    strings_size, struct_size = struct.unpack_from(">II", fdt, 32)
    used = max(struct_at + struct_size, strings_at + strings_size)
    struct.pack_into(">I", fdt, 4, used)
    return bytes(fdt[:used])


def parse_size(text):
    """`size` in Berkeley format -> text, data, bss"""
    return tuple(int(n) for n in text.splitlines()[1].split()[:3])


def parse_mem_free_kib(text):
    m = re.search(r"^free\s+\d+\s+(\d+)", text, re.M)
    if not m:
        raise BenchError("no `free` row in what `mem` printed:\n" + text[-2000:])
    return int(m[1])


# --- running ---

def run(argv, stdin=b""):
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=TIMEOUT_S, cwd=TOP, check=False)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    if done.returncode:
        raise BenchError(f"{' '.join(argv)}: exit status {done.returncode}\n{text[-2000:]}"
                         f"{done.stderr.decode(errors='replace')[-2000:]}")
    return text


def keel(cpu, cpus, vcpus, kernel, append=None, initrd=None, gic=3):
    argv = [KEEL, "run", "--quiet", "--icount", "--cpu", cpu, "--cpus", str(cpus), "--vcpus", str(vcpus),
            "--gic", str(gic), "--kernel", kernel]
    if append:
        argv += ["--append", append]
    if initrd:
        argv += ["--initrd", initrd]
    return run(argv)


def keel_until(dts, last, *args):
    """Runs the VMs of a configuration until a line of the console ends in `last`; what was printed up to it."""
    with tempfile.NamedTemporaryFile("w", suffix=".dts") as f:
        f.write(dts)
        f.flush()
        child = subprocess.Popen([KEEL, "run", "--icount", *args, f.name], cwd=TOP, text=True, errors="replace",
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        timer = threading.Timer(5 * TIMEOUT_S, child.terminate)
        timer.start()
        seen = []
        try:
            for line in child.stdout:
                seen.append(line.rstrip())
                if seen[-1].endswith(last):
                    return "\n".join(seen)
        finally:
            timer.cancel()
            child.terminate()
            child.wait()
    raise BenchError(f"no {last!r} in:\n" + "\n".join(seen)[-2000:])


def vm(name, kernel, bootargs, initrd=None, **properties):
    """A VM's node for keel_until()."""
    strings = {"kernel": kernel, "bootargs": bootargs.replace('"', '\\"'), "memory": properties.pop("memory", "256M")}
    if initrd:
        strings["initrd"] = initrd
    for key in [k for k, v in properties.items() if isinstance(v, str)]:
        strings[key] = properties.pop(key)
    body = [f'{k} = "{v}";' for k, v in strings.items()]
    body += [f"{k.replace('_', '-')} = <{' '.join(map(str, v))}>;" for k, v in properties.items()]
    return f"{name} {{ {' '.join(body)} autostart; }};"


def machine(*vms):
    return ('/dts-v1/; / { compatible = "keel,machine"; on-last-stop = "poweroff"; vms { ' + " ".join(vms) + " }; };")


def keel_vm(cpu, kernel, bootargs, initrd=None, **properties):
    """One VM with 1 vCPU, alone on one CPU, until it powers off; what it printed."""
    with tempfile.NamedTemporaryFile("w", suffix=".dts") as f:
        f.write(machine(vm("guest", kernel, bootargs, initrd, vcpus=[1], **properties)))
        f.flush()
        return run([KEEL, "run", "--quiet", "--icount", "--cpu", cpu, "--cpus", "1", f.name])


def qemu(machine, *args, stdin=b""):
    return run(["qemu-system-aarch64", "-nodefaults", "-display", "none", "-serial", "stdio",
                "-machine", machine, "-icount", "shift=0,sleep=off", *args], stdin)


def bare(cpu, kernel, append, initrd, dtb=None):
    return qemu("virt,gic-version=3", "-cpu", cpu, "-smp", "1", "-m", "512", "-kernel", kernel,
                "-initrd", initrd, "-append", append, *(["-dtb", dtb] if dtb else []))


def make_initrd(path, init, before):
    """A newc archive with /init and /dev/console, after the archive `before`, whose /init it replaces."""
    out = bytearray()

    def member(name, mode, data=b"", device=(0, 0)):
        fields = (len(out) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        out.extend(b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4) + data)
        out.extend(b"\0" * (-len(out) % 4))

    member("dev", 0o040755)
    member("dev/console", 0o020600, device=(5, 1))
    with open(init, "rb") as f:
        member("init", 0o100755, f.read())
    member("TRAILER!!!", 0)
    with open(before, "rb") as f:
        first = f.read()
    with open(path, "wb") as f:
        f.write(first + gzip.compress(bytes(out), mtime=0))


def branch(source, target):
    return struct.pack("<I", 0x14000000 | (target - source) // 4 & 0x3ffffff)


def make_marked_kernel(path, kernel, mark):
    """The kernel with entry-mark.bin behind it: the header's branch goes there first."""
    with open(kernel, "rb") as f:
        image = bytearray(f.read())
    with open(mark, "rb") as f:
        stub = f.read()
    size, = struct.unpack_from("<Q", image, 16)
    old, = struct.unpack_from("<I", image, 4)
    if old >> 26 != 5:
        raise BenchError(f"{kernel}: the header's second instruction is no branch")
    target = 4 + 4 * ((old & 0x3ffffff) - (old << 1 & 0x4000000))
    place = max(size, len(image)) + 4095 & ~4095
    image.extend(bytes(place - len(image)) + stub + bytes(-len(stub) % 4096))
    image[4:8] = branch(4, place)
    onward = image.index(struct.pack("<I", 0x14000000), place) # `b .`
    image[onward:onward + 4] = branch(onward, target)
    struct.pack_into("<Q", image, 16, len(image))
    with open(path, "wb") as f:
        f.write(image)
