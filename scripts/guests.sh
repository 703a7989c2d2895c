# SPDX-License-Identifier: Apache-2.0
# Kernels of Debian's and initrds for them. Read, after packages.sh, by the scripts beside it.

# What the file of the package of a stock kernel looks like.
stock='linux-image-6*[0-9]-arm64_*.deb'

kernel_deb() { # folder, what the package file's name looks like
    find "$1" -maxdepth 1 -name "$2" | sort -V | tail -n 1
}

# Sets deb to the package file of a kernel, fetched when the folder has none.
need_kernel() { # folder, metapackage, what the package file's name looks like, options for apt-cache...
    to=$1
    meta=$2
    pattern=$3
    shift 3
    deb=$(kernel_deb "$to" "$pattern")
    [ -z "$deb" ] || return 0
    arm64_update
    name=$(arm64_apt apt-cache "$@" depends "$meta" | sed -n 's/^ *Depends: \(linux-image-6[^ ]*\)$/\1/p' | head -n 1)
    [ -n "$name" ] || die "$meta depends on no linux-image-6*"
    say "fetching $name"
    (cd "$to" && arm64_apt apt-get download "$name")
    deb=$(kernel_deb "$to" "$pattern")
}

extract_kernel() { # file
    dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards './boot/vmlinuz-*' >"$1.new"
    # Debian's arm64 vmlinuz is a bare Image today; other releases compress it.
    if gzip -t "$1.new" 2>/dev/null; then
        gzip -dc "$1.new" >"$1.raw"
        mv "$1.raw" "$1.new"
    fi
    [ "$(dd if="$1.new" bs=1 skip=56 count=4 2>/dev/null)" = ARMd ] || die "the kernel in $deb has no arm64 Image header"
    mv "$1.new" "$1"
}

# A machine that stopped at the wrong time may leave a file short.
whole() { # file.gz
    [ -s "$1" ] && gzip -t "$1" 2>/dev/null
}

pack_initrd() { # tree, file
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) | gzip -9n >"$2.new"
    mv "$2.new" "$2"
}

# An archive with modules of the kernel in $deb, which /init loads in this order; a kernel may have some built in.
pack_modules() { # tree, file
    modules='drivers/virtio/virtio_mmio drivers/virtio/virtio_pci_modern_dev
        drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci drivers/block/virtio_blk crypto/crc32c_generic lib/crc16 lib/libcrc32c
        fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4 drivers/char/hw_random/virtio-rng drivers/char/virtio_console drivers/virtio/virtio_balloon
        net/vmw_vsock/vsock net/vmw_vsock/vmw_vsock_virtio_transport_common net/vmw_vsock/vmw_vsock_virtio_transport
        net/core/failover drivers/net/net_failover drivers/net/virtio_net
        net/llc/llc net/802/stp net/802/garp net/802/mrp net/8021q/8021q'
    # Only there, for who loads them by hand.
    more='drivers/input/evdev drivers/input/keyboard/gpio_keys drivers/watchdog/sp805_wdt
        drivers/net/ethernet/intel/e1000e/e1000e'
    rm -rf "$1"
    mkdir -p "$1/modules"
    # Once through the package, which takes seconds to unpack; tar complains of what is not there, which is looked at below.
    for m in $modules $more; do
        echo "./lib/modules/*/kernel/$m.ko*"
    done >"$2.names"
    echo './lib/modules/*/modules.builtin' >>"$2.names"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$1/modules" --wildcards -T "$2.names" --transform='s,.*/,,' 2>/dev/null || true
    rm "$2.names"
    [ -s "$1/modules/modules.builtin" ] || die "$deb is no kernel's package"
    for m in $modules $more; do
        name=${m##*/}
        if grep -q "/$m\.ko\$" "$1/modules/modules.builtin"; then
            continue
        fi
        [ ! -e "$1/modules/$name.ko.xz" ] || xz -d "$1/modules/$name.ko.xz"
        [ -s "$1/modules/$name.ko" ] || die "$deb has no module $m"
    done
    for m in $modules; do
        [ ! -e "$1/modules/${m##*/}.ko" ] || echo "${m##*/}" >>"$1/modules/order"
    done
    rm "$1/modules/modules.builtin"
    pack_initrd "$1" "$2"
}
