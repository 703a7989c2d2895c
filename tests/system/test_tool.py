# SPDX-License-Identifier: Apache-2.0
"""The host program without QEMU: what `keel check` says, what `keel pack` writes, what `keel run` would start."""
import gzip
import os
import re
import signal
import struct
import subprocess
import zlib
from pathlib import Path

import harness
import pytest

GUESTS = Path(__file__).resolve().parents[2] / "guests"

GOOD = 'vcpus = <1>; memory = "64M"; kernel = "k";'
MEMORY = 'must be a multiple of 2M, at most 255G, such as "512M" or <0x0 0x20000000>'


def image(size=4096, text_offset=0, image_size=None, body=b"\xa5"):
    """An arm64 Image: header and filling."""
    header = struct.pack("<IIQQQ24s4sI", 0x14000010, 0, text_offset, size if image_size is None else image_size, 0,
                         b"", b"ARM\x64", 0)
    return header + body * (size - len(header))


@pytest.fixture
def place(tmp_path):
    (tmp_path / "k").write_bytes(image())
    (tmp_path / "i").write_bytes(b"initrd" * 1000)
    (tmp_path / "f").write_bytes(b"\x7f" * 5000)
    return tmp_path


def machine(vm=GOOD, root='compatible = "keel,machine";', more=""):
    return "/dts-v1/; / { %s vms { a { %s }; }; %s };" % (root, vm, more)


def keel(*args, cwd=None, **env):
    return subprocess.run([harness.KEEL, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=60,
                          stdin=subprocess.DEVNULL, env={**os.environ, **env})


def check(place, text):
    (place / "m.dts").write_text(text)
    return keel("check", "m.dts", cwd=place)


def disk(properties):
    return GOOD + f'devices {{ d {{ compatible = "keel,disk"; {properties} }}; }};'


MISTAKES = [
    # what stands in the VM's node, the line that must come
    (GOOD.replace("<1>", "<9>"), "/vms/a: vcpus = <9>: must be 1 to 8"),
    (GOOD.replace("<1>", '"1"'), '/vms/a: vcpus = "1": must be 1 to 8'),
    (GOOD.replace("vcpus = <1>;", ""), "/vms/a: vcpus: missing, must be 1 to 8"),
    (GOOD.replace("64M", "65M1"), '/vms/a: memory = "65M1": ' + MEMORY),
    (GOOD.replace("64M", "1M"), '/vms/a: memory = "1M": ' + MEMORY),
    (GOOD.replace('"64M"', "<0 0x100000>"), "/vms/a: memory = <0 0x100000>: " + MEMORY),
    (GOOD.replace('memory = "64M";', ""), "/vms/a: memory: missing, " + MEMORY),
    (GOOD.replace('kernel = "k";', ""), "/vms/a: kernel: missing, must be the path of an image (or firmware must)"),
    (GOOD + 'firmware = "f";', '/vms/a: firmware = "f": a VM boots by kernel or by firmware, not by both'),
    (GOOD.replace('"k"', '"none"'), '/vms/a: kernel = "none": No such file or directory'),
    (GOOD.replace('"k"', '"."'), '/vms/a: kernel = ".": not a regular file'),
    (GOOD + 'initrd = "empty";', '/vms/a: initrd = "empty": the file is empty'),
    (GOOD.replace('"k"', '"elf"'), '/vms/a: kernel = "elf": is an ELF file; must be an arm64 Image or a raw binary '
                                   '(objcopy -O binary)'),
    (GOOD.replace('"k"', '"bad.gz"'), '/vms/a: kernel = "bad.gz": its gzip data is damaged'),
    (GOOD.replace('"k"', '"zstd.efi"'), '/vms/a: kernel = "zstd.efi": its EFI compression is not gzip; must be an Image, '
                                        'or Image.gz'),
    (GOOD.replace('"k"', '"large"'), "/vms/a: memory = 64M: too small for a kernel of 65536 KiB at offset 0x0 and an "
                                     "initrd of 0 KiB"),
    (GOOD.replace("kernel", "firmware").replace('"k"', '"flash"'), "/vms/a: firmware: 65537 KiB; flash has 65536 KiB"),
    (GOOD + "cpus = <0 1>;", "/vms/a: cpus = <0 1>: must name one CPU for each vCPU, 1"),
    (GOOD + "priority = <0>;", "/vms/a: priority = <0>: must be 1 to 8 numbers, each 1 to 31"),
    (GOOD + "priority = <1 2>;", "/vms/a: priority = <1 2>: must be one number, or one for each vCPU, 1"),
    (GOOD + "bootargs = <1>;", "/vms/a: bootargs = <1>: must be one string of 0 to 2047 printable characters"),
    (GOOD + "autostart = <1>;", "/vms/a: autostart = <1>: must have no value: there or not there"),
    (GOOD + 'on-poweroff = "off";', '/vms/a: on-poweroff = "off": must be "stop" or "restart"'),
    (GOOD + 'on-crash = "reboot";', '/vms/a: on-crash = "reboot": must be "stop" or "restart"'),
    (GOOD + 'pages = "1g";', '/vms/a: pages = "1g": must be "max" or "2m" or "4k"'),
    (GOOD + "overcommit;", '/vms/a: overcommit: memory is given at once; must go with populate = "demand"'),
    (GOOD + "spis = <40>;", "/vms/a: spis = <40>: must be a multiple of 32, or 988"),
    (GOOD + "vcpu = <1>;", "/vms/a: vcpu: unknown property; may be vcpus, cpus, priority, budget-us, period-us, "
                           "weight, memory, kernel, firmware, initrd, bootargs, autostart, on-poweroff, on-crash, on-watchdog, stop-timeout-s, "
                           "pages, pv-time, preempt-delay-us, gang, pmu, sve-bits, populate, overcommit, llc-colors, gic, spis"),
    (GOOD + "disk {};", "/vms/a/disk: unknown node; may be devices"),
    (GOOD + 'devices { d { compatible = "x,y"; }; };',
     '/vms/a/devices/d: compatible = "x,y": no such device model; must be "arm,pl011" or "arm,pl031" or "arm,pl061" '
     'or "arm,sp805" or "ns16550a" or "cfi-flash" or "pci-host-ecam-generic" or "keel,disk" or "keel,net" '
     'or "keel,console" or "keel,rng" or "keel,balloon" or "keel,vsock"'),
    (GOOD + "devices { d { }; };",
     "/vms/a/devices/d: compatible: missing, must be one string of 1 to 63 printable characters"),
    (disk(""), "/vms/a/devices/d: image: missing; a disk has an image, or a size, or both, or a device"),
    (disk('size = "0";'), '/vms/a/devices/d: size = "0": must be a multiple of 4K, at most 64G, such as "512M" or <0x0 0x20000000>'),
    (disk('image = "none";'), '/vms/a/devices/d: image = "none": No such file or directory'),
    (disk('image = "empty";'), '/vms/a/devices/d: image = "empty": the file is empty'),
    (disk('image = "i"; size = "4K";'), "/vms/a: disk d: size = 4 KiB: must hold the image's 6 KiB"),
    (disk('device = "one"; size = "1M";'), '/vms/a/devices/d: device = "one": a disk of the host has neither image nor size'),
    (disk('size = "1M"; overlay;'), "/vms/a/devices/d: device: missing; partition and overlay are of a disk of the host"),
    (GOOD + 'devices { f { compatible = "cfi-flash"; partition = "vars"; }; };',
     "/vms/a/devices/f: device: missing; a partition is of a disk of the host"),
    (GOOD + 'devices { f { compatible = "cfi-flash"; device = "one"; overlay; }; };',
     "/vms/a/devices/f: overlay: unknown property; may be compatible, reg, interrupts, device, partition"),
    (disk('partition = "root";'), "/vms/a/devices/d: device: missing; partition and overlay are of a disk of the host"),
    (disk('device = "one"; overlay; read-only;'), "/vms/a/devices/d: overlay: what is read-only has no use for it"),
    (disk('size = "1M"; read-only;'), "/vms/a/devices/d: read-only: a disk without an image must be written to be of use"),
    (disk('size = "1M"; queues = <17>;'), "/vms/a/devices/d: queues = <17>: must be 1 to 16"),
    (disk('size = "1M"; ring = "spilt";'), '/vms/a/devices/d: ring = "spilt": must be "packed" or "split"'),
    (disk('size = "1M"; transport = "isa";'), '/vms/a/devices/d: transport = "isa": must be "mmio" or "pci"'),
    (disk('size = "1M"; io = "virtio";'), "/vms/a/devices/d: io: unknown property; may be compatible, reg, interrupts, transport, "
                                          "cpu, ring, poll-us, image, size, device, partition, overlay, read-only, queues"),
    (GOOD + 'devices { d { compatible = "arm,pl011"; reg = <0 0x40001000 0 0x1000>; }; };',
     "/vms/a/devices/d: 0x40001000-0x40001fff (arm,pl011) overlaps memory at 0x40000000-0x43ffffff"),
    (GOOD + 'devices { d { compatible = "arm,pl011"; interrupts = <32>; }; };',
     "/vms/a/devices/d: interrupts = <32>: must be below the VM's number of SPIs, 32"),
    (GOOD + 'devices { c { compatible = "arm,pl031"; }; d { compatible = "arm,pl031"; '
            'reg = <0 0x0a000000 0 0x1000>; }; };',
     "/vms/a/devices/d: SPI 2 is also that of c"),
]


@pytest.mark.parametrize("vm,message", MISTAKES, ids=[m[1][:50] for m in MISTAKES])
def test_mistake_is_named_with_file_node_and_reason(place, vm, message):
    (place / "empty").write_bytes(b"")
    (place / "elf").write_bytes(b"\x7fELF" + bytes(100))
    (place / "bad.gz").write_bytes(gzip.compress(image())[:-8])
    (place / "zstd.efi").write_bytes(b"MZ\0\0zimg" + struct.pack("<IIII", 64, 64, 0, 0) + b"zstd\0" + bytes(200))
    (place / "large").write_bytes(image(image_size=64 << 20))
    with open(place / "flash", "wb") as f:
        f.truncate((64 << 20) + 1024)
    r = check(place, machine(vm))
    assert r.stderr == "m.dts: %s\n" % message
    assert r.returncode == 2
    assert r.stdout == ""


@pytest.mark.parametrize("text,message", [
    (machine(root=""), '/: compatible: missing, must be "keel,machine"'),
    (machine(root='compatible = "keel,vm";'), '/: compatible = "keel,vm": must be "keel,machine"'),
    (machine(root='compatible = "keel,machine"; on-last-stop = "x";'),
     '/: on-last-stop = "x": must be "stay" or "poweroff"'),
    (machine(more="chosen {};"), "/chosen: unknown node; may be vms or networks"),
    ('/dts-v1/; / { compatible = "keel,machine"; };', "/: vms: missing; must hold one node for each VM"),
    ('/dts-v1/; / { compatible = "keel,machine"; vms { }; };', "/vms: no VM here; must hold one node for each"),
])
def test_mistake_outside_a_vm_is_named(place, text, message):
    r = check(place, text)
    assert r.stderr == "m.dts: %s\n" % message
    assert r.returncode == 2


def test_all_mistakes_come_at_once(place):
    r = check(place, machine('vcpus = <0>; memory = "1"; kernel = "k"; pages = "x";'))
    assert r.stderr.count("\n") == 3


def test_messages_of_dtc_are_passed_on(place):
    r = check(place, "/dts-v1/; / { vms { ; };")
    assert "m.dts:1" in r.stderr and "syntax error" in r.stderr
    assert "keel: m.dts: dtc could not compile it" in r.stderr
    assert r.returncode == 2


def test_missing_file_is_named(place):
    r = keel("check", "absent.dts", cwd=place)
    assert r.stderr == "keel: absent.dts: No such file or directory\n"
    assert r.returncode == 2


def test_check_prints_the_map(place):
    r = check(place, machine('vcpus = <2>; cpus = <1 0>; memory = "64M"; kernel = "k"; initrd = "i"; bootargs = "x=y";'
                             'devices { serial@9000000 { compatible = "arm,pl011"; reg = <0 0x9000000 0 0x1000>; '
                             'interrupts = <1>; }; };'))
    assert r.stderr == ""
    assert r.returncode == 0
    for line in ["m.dts: 1 VM; when the last has stopped the host stays",
                 "a: 2 vCPUs (CPU 1, CPU 0), weight 100",
                 "  0009000000-0009000fff       4 KiB  serial@9000000: arm,pl011, SPI 1",
                 "  0040000000-0043ffffff      64 MiB  memory",
                 "  0040200000-0040200fff       4 KiB    kernel (arm64 Image): k",
                 "  0042000000-004200176f     5.9 KiB    initrd: i"]:
        assert line in r.stdout.splitlines()


def fdt(blob):
    """A device tree as nested dicts; properties are bytes."""
    _, _, struct_at, strings_at = struct.unpack(">IIII", blob[:16])
    stack, at = [{}], struct_at
    while True:
        tag, = struct.unpack_from(">I", blob, at)
        at += 4
        if tag == 1:
            end = blob.index(b"\0", at)
            node = {}
            stack[-1][blob[at:end].decode()] = node
            stack.append(node)
            at = (end + 4) & ~3
        elif tag == 2:
            stack.pop()
        elif tag == 3:
            size, name = struct.unpack_from(">II", blob, at)
            start = strings_at + name
            stack[-1][blob[start:blob.index(b"\0", start)].decode()] = blob[at + 8:at + 8 + size]
            at = (at + 8 + size + 3) & ~3
        elif tag == 9:
            return stack[0][""]


def image_data(fit, node):
    position, = struct.unpack(">I", node["data-position"])
    size, = struct.unpack(">I", node["data-size"])
    assert position % 4096 == 0
    data = fit[position:position + size]
    assert len(data) == size
    assert struct.unpack(">I", node["hash-1"]["value"])[0] == zlib.crc32(data)
    return data


def pack(place, text):
    (place / "m.dts").write_text(text)
    r = keel("pack", place / "m.dts", "-o", place / "m.itb")
    assert r.stderr == ""
    assert r.returncode == 0
    return (place / "m.itb").read_bytes()


def test_packed_images_are_found_by_the_names_in_the_configuration(place):
    fit = pack(place, machine('vcpus = <1>; memory = "64M"; kernel = "k"; initrd = "i";'))
    images = fdt(fit)["images"]
    config = fdt(image_data(fit, images["config"]))["vms"]["a"]
    assert image_data(fit, images[config["kernel"][:-1].decode()]) == (place / "k").read_bytes()
    assert image_data(fit, images[config["initrd"][:-1].decode()]) == (place / "i").read_bytes()
    assert sorted(images) == ["config", "kernel-1", "ramdisk-1"]


def test_a_file_named_twice_is_packed_once(place):
    fit = pack(place, machine(more="").replace("vms {", "vms { b { %s };" % GOOD))
    images = fdt(fit)["images"]
    assert sorted(images) == ["config", "kernel-1"]


@pytest.mark.parametrize("form", ["gzip", "zboot"])
def test_gzip_kernels_are_unpacked(place, form):
    packed = gzip.compress(image(300000))
    if form == "zboot":
        packed = b"MZ\0\0zimg" + struct.pack("<IIII", 64, len(packed), 0, 0) + b"gzip\0" + bytes(35) + packed
    (place / "z").write_bytes(packed)
    fit = pack(place, machine(GOOD.replace('"k"', '"z"')))
    assert image_data(fit, fdt(fit)["images"]["kernel-1"]) == image(300000)


def test_same_input_gives_same_bytes(place):
    assert pack(place, machine()) == pack(place, machine())


def test_mkimage_lists_the_bundle(place):
    pack(place, machine(GOOD.replace("kernel", "firmware").replace('"k"', '"f"') + 'initrd = "i";'))
    out = subprocess.run(["mkimage", "-l", place / "m.itb"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Image 0 \(config\)", out)
    assert re.search(r"Type: +Firmware", out) and re.search(r"Type: +RAMDisk Image", out)
    assert "Default Configuration: 'conf-1'" in out
    subprocess.run(["dumpimage", "-T", "flat_dt", "-p", "2", "-o", place / "out", place / "m.itb"], check=True,
                   capture_output=True)
    assert (place / "out").read_bytes() == (place / "i").read_bytes()


def test_pack_leaves_the_old_file_when_it_fails(place):
    (place / "m.itb").write_bytes(b"old")
    (place / "m.dts").write_text(machine("vcpus = <0>;"))
    assert keel("pack", "m.dts", "-o", "m.itb", cwd=place).returncode == 2
    assert (place / "m.itb").read_bytes() == b"old"
    assert keel("pack", "m.dts", "-o", "no/such/dir/m.itb", cwd=place).returncode == 2


def command(place, *args):
    r = keel("run", "--print-command", *args, cwd=place, KEEL_IMAGE="keel.bin")
    assert r.stderr == ""
    assert r.returncode == 0
    return r.stdout


def test_run_has_sensible_defaults(place):
    out = command(place, "--kernel", "k")
    assert "-machine virt,virtualization=on,gic-version=3,iommu=smmuv3 -cpu neoverse-n1 -smp 2 -m 1024M" in out
    assert "-kernel keel.bin -initrd /proc/self/fd/" in out
    assert "signal=off" in out
    assert "-icount" not in out and "-append" not in out


def test_run_sizes_the_host_by_its_vms(place):
    (place / "m.dts").write_text(machine('vcpus = <3>; cpus = <0 4 1>; memory = "2G"; kernel = "k";'))
    assert "-smp 5 -m 2368M" in command(place, "m.dts")
    assert "-smp 4" in command(place, "--kernel", "k", "--vcpus", "4")


def test_run_options_reach_qemu(place):
    out = command(place, "--firmware", "f", "--cpus", "3", "--ram", "3G", "--cpu", "cortex-a55", "--gic", "4",
                  "--icount", "--accel-opts", "tb-size=64", "--quiet", "--", "-device", "edu", "-name", "a b")
    assert "gic-version=4" in out
    assert "-accel tcg,tb-size=64 -icount shift=0,sleep=off -cpu cortex-a55 -smp 3 -m 3072M" in out
    assert "-append 'quiet log=serial1 loglevel=1'" in out
    assert out.endswith(" -device edu -name 'a b'\n")


def test_run_starts_other_boards(place):
    assert "gic-version=2 -cpu cortex-a72" in command(place, "--kernel", "k", "--gic", "2", "--cpu", "cortex-a72")
    out = command(place, "--kernel", "k", "--machine", "raspi4b", "--quiet", "--dtb", "t.dtb")
    assert "-machine raspi4b -dtb t.dtb -smp 4 -m 2048M" in out
    assert "-append 'quiet log=serial1 loglevel=1 console=serial0 failed=reset'" in out
    assert "pvpanic" not in out


@pytest.mark.parametrize("args,message", [
    ([], "keel: run: needs a FILE.dts, --kernel IMAGE, --firmware IMAGE or --disk FILE; see `keel help`"),
    (["m.dts", "--mem", "1G"], "keel: run: m.dts describes the VMs; --kernel, --firmware, --initrd, --append, --vcpus, "
                               "--mem and --name are for a run without a file"),
    (["m.dts", "n.dts"], "keel: run: 'n.dts' is one operand too many; QEMU's arguments go after --"),
    (["--kernel", "k", "--cpus", "9"], "keel: --cpus 9: must be 1 to 8"),
    (["--kernel", "k", "--gic", "5"], "keel: --gic 5: must be 2 to 4"),
    (["--kernel", "k", "--machine", "pc"], "keel: --machine pc: must be virt or raspi4b"),
    (["--kernel", "k", "--machine", "raspi4b", "--cpus", "2"],
     "keel: run: raspi4b has 4 CPUs, 960 MiB of RAM and a GICv2; --cpu, --cpus, --ram and --gic are for virt"),
    (["--kernel", "k", "--machine", "raspi4b", "--mem", "960M"],
     'keel run: /vms/guest: memory = 960M: this host has 959 MiB to give'),
    (["--kernel", "k", "--dtb", "x"], "keel: run: --dtb is for --machine raspi4b; QEMU describes its virt board itself"),
    (["--kernel", "k", "--ram", "100M"], "keel: --ram 100M: must be a multiple of 1M, at least 256M, such as 2G"),
    (["--kernel", "k", "--vcpus", "x"], "keel: --vcpus x: must be a number"),
    (["--kernel", "k", "--vcpus", "9"], "keel run: /vms/guest: vcpus = <9>: must be 1 to 8"),
    (["--kernel", "k", "--mem", "512"], 'keel run: /vms/guest: memory = "512": ' + MEMORY),
    (["--kernel", "k", "--name", "a b"], "keel run: /vms/a b: a VM's name must be 1 to 31 letters, digits, '-', '_' or "
                                         "'.'"),
    (["--kernel", "k", "--name", "a/b"], "keel: --name a/b: must be letters, digits, '-', '_' or '.'"),
    (["--kernel", "x"], 'keel run: /vms/guest: kernel = "x": No such file or directory'),
    (["--kernel", "k", "--firmware", "f"],
     'keel run: /vms/guest: firmware = "f": a VM boots by kernel or by firmware, not by both'),
    (["--kernel", "k", "--mem", "1G", "--ram", "1G"],
     "keel run: /vms/guest: memory = 1G: this host has 1023 MiB to give"),
    (["--kernel", "k", "--disk", "none"], "keel: --disk none: No such file or directory"),
    (["--kernel", "k", "--disk", "."], "keel: --disk .: must be a file that is not empty, or a block device"),
    (["--kernel", "k", "--disk", "/dev/null,ro"], "keel: --disk /dev/null: must be a file that is not empty, or a block device"),
    (["--kernel", "k", "--disk", "f,ro", "--net", "tap"], "keel: --net tap: must be user"),
    (["--kernel", "k", "--frob"], "keel run: unrecognized option '--frob'"),
    (["--kernel"], "keel run: option '--kernel' requires an argument"),
])
def test_wrong_use_of_run_is_named(place, args, message):
    r = keel("run", *args, cwd=place)
    assert r.stderr == message + "\n"
    assert r.returncode == 2


def test_missing_hypervisor_image_is_named(place):
    r = keel("run", "--kernel", "k", cwd=place, KEEL_IMAGE="nowhere.bin")
    assert r.stderr.startswith("keel: nowhere.bin: No such file or directory")
    assert r.returncode == 2


@pytest.mark.parametrize("args", [[], ["frob"], ["check"], ["pack", "m.dts"], ["pack", "-o", "x"],
                                  ["pack", "a", "b", "-o", "c"]])
def test_wrong_use_ends_with_2(args):
    r = keel(*args)
    assert r.returncode == 2
    assert r.stderr != "" and r.stdout == ""


def test_version_and_help():
    assert re.fullmatch(r"keel \d+\.\d+\n", keel("version").stdout)
    for args in (["help"], ["--help"], ["run", "--help"], ["check", "--help"]):
        asked = keel(*args)
        assert "keel check FILE.dts" in asked.stdout and asked.returncode == 0


FAKE_QEMU = """#!/bin/sh
echo "guest bytes"
for a; do case $a in fd=*,set=1) n=${a#fd=}; eval "echo 'log line' >&${n%%,*}";; esac; done
%s
"""


def fake_qemu(place, script):
    """A stand-in named as QEMU is, so that only the parent's part is tested."""
    (place / "bin").mkdir()
    qemu = place / "bin" / "qemu-system-aarch64"
    qemu.write_text(FAKE_QEMU % script)
    qemu.chmod(0o755)
    (place / "keel.bin").write_bytes(b"x")
    return {"PATH": "%s:%s" % (place / "bin", os.environ["PATH"]), "KEEL_IMAGE": str(place / "keel.bin")}


@pytest.mark.parametrize("status", [0, 1, 7])
def test_exit_status_is_that_of_qemu(place, status):
    env = fake_qemu(place, "exit %d" % status)
    assert keel("run", "--kernel", place / "k", **env).returncode == status


def test_quiet_keeps_stdout_for_the_guest(place):
    r = keel("run", "--kernel", place / "k", "--quiet", **fake_qemu(place, "exit 0"))
    assert r.stdout == "guest bytes\n"
    assert r.stderr == "log line\n"


def test_bundle_is_readable_by_qemu(place):
    env = fake_qemu(place, 'while [ "$1" != -initrd ]; do shift; done; head -c 4 "$2" | od -An -tx1')
    assert "d0 0d fe ed" in keel("run", "--kernel", place / "k", **env).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_qemu_and_are_no_success(place, number):
    env = fake_qemu(place, "trap 'echo ended; exit 0' TERM INT HUP; echo ready; while :; do sleep 0.1; done")
    p = subprocess.Popen([harness.KEEL, "run", "--kernel", place / "k"], env={**os.environ, **env}, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         # a test that runs under nohup hands on an ignored one
                         preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    assert p.stdout.readline() == "guest bytes\n"
    assert p.stdout.readline() == "ready\n"
    p.send_signal(number)
    assert p.communicate(timeout=30)[0] == "ended\n"
    assert p.returncode == 128 + number


def test_qemu_does_not_outlive_keel(place):
    env = fake_qemu(place, "trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    p = subprocess.Popen([harness.KEEL, "run", "--kernel", place / "k"], env={**os.environ, **env}, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert p.stdout.readline() == "guest bytes\n"
    assert p.stdout.readline() == "ready\n"
    p.kill()
    assert p.communicate(timeout=30)[0] == "ended\n"


@pytest.mark.parametrize("dts", sorted(p.name for p in GUESTS.glob("*.dts")))
def test_configurations_of_the_tree_are_right(dts):
    r = keel("check", GUESTS / dts)
    assert r.stderr == ""
    assert r.returncode == 0
