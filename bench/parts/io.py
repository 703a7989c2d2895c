# SPDX-License-Identifier: Apache-2.0
"""What a disk's request costs in the guest and in Keel, and how many exits and interrupts: stock Debian, Linux AIO."""
import os
import tempfile

from machine import machine, vm
from stock import COLUMNS, KERNEL, Guests, figure, initrd
from table import print_table

IMAGE = KERNEL # what the disk holds is of no interest, but that it is something
COUNT = 2000
DEPTHS = (1, 32)
HOST_MIB = 32
HOST_DISK = ("-drive", "if=none,id=d0,format=raw,file={}", "-icount", "shift=0,sleep=on", "-device")

# A disk of the VM: properties of its node, and the host's devices below it. Time goes on while those work, so that
# nobody's clock runs ahead of them: sleep=on.
DISKS = {
    "RAM disk, virtio-pci, packed": (f'image = "{IMAGE}";',),
    "RAM disk, virtio-pci, split": (f'image = "{IMAGE}"; ring = "split";',),
    "RAM disk, virtio-mmio, packed": (f'image = "{IMAGE}"; transport = "mmio";',),
    "host's virtio-blk, packed": ('device = "one";', *HOST_DISK, "virtio-blk-pci,drive=d0,disable-legacy=on,serial=one"),
    "host's virtio-blk, split": ('device = "one"; ring = "split";', *HOST_DISK,
                                 "virtio-blk-pci,drive=d0,disable-legacy=on,serial=one"),
    "host's NVMe, packed": ('device = "one";', *HOST_DISK, "nvme,drive=d0,serial=one"),
}


def disk(properties, initrd_path, image, *qemu):
    devices = ('devices { serial { compatible = "arm,pl011"; }; '
               f'disk {{ compatible = "keel,disk"; {properties} }}; }};')
    node = vm("guest", KERNEL, "console=ttyAMA0 quiet", initrd_path, vcpus=[1])
    guest = Guests(machine(node.replace("autostart;", f"autostart; {devices}")), ["guest"], *(q.format(image) for q in qemu))
    try:
        guest.sh("io /dev/vda 200 1")
        return {str(depth): guest.cost("virtio", f"io /dev/vda {{}} {depth}", 0, COUNT, COUNT) for depth in DEPTHS}
    finally:
        guest.close()


def measure():
    with tempfile.TemporaryDirectory() as place:
        path = initrd(place, "bench/guest/io.c")
        image = os.path.join(place, "disk.img")
        with open(image, "wb") as f:
            f.write(os.urandom(HOST_MIB << 20))
        return {name: disk(properties, path, image, *qemu) for name, (properties, *qemu) in DISKS.items()}


def report(figures, base):
    rows = [[name, *(" / ".join(figure(c, f[str(d)][c]) for d in DEPTHS) for c in COLUMNS),
             base["io"]["disk_at_most"][name.split(",")[0]]] for name, f in figures.items()]
    rows += [[name, *cells] for name, cells in base["io"]["disk"].items()]
    print_table([f"4 KiB read at depth {' / '.join(map(str, DEPTHS))}, for each", "guest", "Keel", "exits", "interrupts",
                 "at most"], rows)
