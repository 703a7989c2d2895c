/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a machine, as the hypervisor and the host tool see it. Parsed from a device
 * tree blob (or from a FIT image that holds one and the images it names); docs/configuration.md has
 * the properties. Strings and image data point into the blob, which must outlive this. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "lib/err.h"
#include "lib/types.h"

#define CFG_MAX_VMS 32U
#define CFG_MAX_VCPUS 8U
#define CFG_MAX_DEVICES 32U
#define CFG_NAME_MAX 32U
#define CFG_CPU_ANY 0xffffffffU
#define CFG_PRIO_MIN 1U
#define CFG_PRIO_MAX 31U
#define CFG_PREEMPT_DELAY_MAX_US 1000U
#define CFG_DISK_MAX (64UL * SZ_1G)
#define CFG_SVE_BITS_MAX 2048U /* the architecture's */
#define CFG_PRIO_SHARED 0U     /* time-shared by weight, or by budget */
#define CFG_WEIGHT_MAX 1000U
#define CFG_WEIGHT_DEFAULT 100U
#define CFG_BUDGET_MIN_US 50U /* below, most of it would go into switching */
#define CFG_PERIOD_MIN_US 500U
#define CFG_PERIOD_MAX_US 1000000U
/* What a CPU can promise, in parts per million: not what switching and interrupts take, and on CPU 0 not what
 * Keel's own threads are guaranteed. */
#define CFG_PROMISE_MAX_PPM 950000U
#define CFG_PROMISE_OWN_PPM 100000U
#define CFG_STOP_TIMEOUT_MAX_S 3600U
#define CFG_STOP_TIMEOUT_DEFAULT_S 60U
#define CFG_MAX_SPIS 988U /* what GICv3's numbering leaves */
#define CFG_COLOR_MAX 63U /* cache colours: what core/frames.h tells apart */
#define CFG_WAY_MAX (64UL << 20)

enum cfg_policy { CFG_STOP, CFG_RESTART };
enum cfg_watchdog { CFG_WATCHDOG_RESET, CFG_WATCHDOG_STOP, CFG_WATCHDOG_PAUSE, CFG_WATCHDOG_LOG };
enum cfg_pages { CFG_PAGES_MAX, CFG_PAGES_2M, CFG_PAGES_4K };
enum cfg_populate { CFG_POPULATE_EAGER, CFG_POPULATE_DEMAND };
enum cfg_gic { CFG_GIC_HOST, CFG_GIC_V2, CFG_GIC_V3 };  /* the host's kind, or nothing else */
enum cfg_host_end { CFG_HOST_STAY, CFG_HOST_POWEROFF }; /* when the last VM has stopped */

struct cfg_image {
    const char *name; /* file name in a .dts, image name in a FIT; NULL: none */
    const void *data; /* NULL while not loaded (host tool, before packing) */
    u64 size;
};

/* Where a virtio device is found. */
enum cfg_transport { CFG_MMIO, CFG_PCI };

/* What a device's own properties are. */
enum cfg_kind {
    CFG_PLAIN,
    CFG_IS_DISK,
    CFG_IS_NET,
    CFG_IS_RNG,
    CFG_IS_CONSOLE,
    CFG_IS_VSOCK,
    CFG_IS_BALLOON,
    CFG_IS_FLASH
};

#define CFG_QUEUES_MAX 16U
#define CFG_POLL_MAX_US 1000U

/* The thread that serves a virtio device. */
enum cfg_ring { CFG_PACKED, CFG_SPLIT };
struct cfg_backend {
    u32 ring;    /* enum cfg_ring: what a driver that knows packed rings is offered */
    u32 cpu;     /* logical host CPU, or CFG_CPU_ANY: that of the VM's first vCPU */
    u32 poll_us; /* how long it looks for more before it sleeps */
};

/* A disk's own properties. */
struct cfg_disk {
    struct cfg_image image; /* NULL name: none, the disk starts as zeros */
    const char *device;     /* a disk of the host, by name or serial; NULL: none, it is in memory */
    const char *partition;  /* of it, by name or number; NULL: all of it */
    bool overlay;           /* what is written to it stays in memory */
    u64 size;               /* bytes; 0: the image's */
    u32 queues;             /* 0: as many as the VM has vCPUs */
    bool read_only;
};

/* A network device's own properties. VLAN 0 is that of frames without a tag. */
#define CFG_TRUNK_MAX CFG_MAX_VCPUS
struct cfg_net {
    const char *network;
    u8 mac[6];
    u16 vlan;                 /* of frames that have no tag at the port */
    u16 trunk[CFG_TRUNK_MAX]; /* of frames that have; 0: end */
    u16 mtu;
    u8 queues;          /* pairs */
    bool isolated;      /* reaches only ports that are not */
    bool any_mac;       /* may send as anybody, as a bridge does; else as `mac` */
    bool follow_uplink; /* the link is down while the network's uplink has none */
    u32 rate_mbit;      /* of what it sends; 0: no limit */
};

struct cfg_rng {
    u32 bytes_per_s;
};

#define CFG_PORTS_MAX 6U /* beside the console itself */
#define CFG_PORT_NAME_MAX 31U
struct cfg_console {
    const char *ports; /* names, separated by commas; NULL: none */
    u32 named;         /* how many */
    u32 columns, rows; /* 0: the guest finds out, or assumes */
};

#define CFG_CID_MIN 3U
#define CFG_CID_MAX 0xfffffffeU
enum cfg_may_see { CFG_SEES_NONE, CFG_SEES_OWN, CFG_SEES_ALL };
struct cfg_vsock {
    u32 cid;           /* no other VM's */
    const char *group; /* whose members reach each other; NULL: nobody */
    u32 sees;          /* enum cfg_may_see: which VMs it may ask Keel about */
    const char
        *control; /* names of VMs, separated by commas, that it may start, stop and so on; NULL: none */
};

struct cfg_device {
    const char *node;       /* node name, for messages and the guest's tree */
    const char *compatible; /* selects the model */
    u64 base, size;  /* window; 0 size: the model's default place (config_parse fills in the board's) */
    u32 irq;         /* SPI number from 0 as in a device tree; CFG_IRQ_DEFAULT: the model's */
    const void *fdt; /* the blob, for a model's own properties; NULL: of the default set, has no node */
    int fdt_node;    /* its offset; -1 there */
    enum cfg_transport transport;
    struct cfg_backend backend; /* of virtio devices */
    enum cfg_kind kind;
    union {
        struct cfg_disk disk; /* CFG_IS_FLASH: device and partition */
        struct cfg_net net;
        struct cfg_rng rng;
        struct cfg_console console;
        struct cfg_vsock vsock;
    };
};
#define CFG_IRQ_DEFAULT 0xffffffffU
#define CFG_DISK "keel,disk"
#define CFG_NET "keel,net"                   /* by virtio */
#define CFG_NET_EMULATED "keel,net-emulated" /* what CFG_NET with io = "emulated" becomes */
#define CFG_RNG "keel,rng"
#define CFG_CONSOLE "keel,console"
#define CFG_VSOCK "keel,vsock"
#define CFG_BALLOON "keel,balloon"
#define CFG_FLASH "cfi-flash"
#define CFG_PCI_HOST "pci-host-ecam-generic"

struct cfg_vcpu {
    u32 cpu;                  /* logical host CPU, or CFG_CPU_ANY: Keel spreads them */
    u8 prio;                  /* CFG_PRIO_SHARED, or real time */
    u32 budget_us, period_us; /* 0: no budget */
};

struct cfg_vm {
    char name[CFG_NAME_MAX];
    u32 vcpu_count;
    struct cfg_vcpu vcpu[CFG_MAX_VCPUS];
    u32 weight; /* of all its vCPUs together */
    u64 mem_size;
    struct cfg_image kernel, firmware, initrd; /* kernel or firmware, not both */
    const char *bootargs;
    enum cfg_policy on_poweroff, on_crash;
    enum cfg_watchdog on_watchdog;
    u32 stop_timeout_s; /* for a guest that is asked to shut down; 0: it is not asked */
    enum cfg_pages pages;
    enum cfg_populate populate;
    bool overcommit; /* of CFG_POPULATE_DEMAND: no memory is set aside */
    u64 llc_colors;  /* bitmap of cache colours that its memory has; 0: any */
    enum cfg_gic gic;
    bool autostart;
    bool pv_time;
    u32 preempt_delay_us; /* 0: none */
    bool gang;
    bool pmu;
    u32 sve_bits; /* longest vector; 0: none */
    u32 nr_spis;
    u32 device_count;
    struct cfg_device device[CFG_MAX_DEVICES];
};

/* A network with a way out: a port for an interface of the host. */
#define CFG_MAX_NETWORKS 8U
struct cfg_network {
    struct cfg_net port;
    const char *uplink; /* its name: "net0" and so on */
};

struct cfg_machine {
    enum cfg_host_end on_last_stop;
    u64 llc_way_size; /* bytes of one way of the last-level cache; 0: as the host says */
    u64 llc_colors;   /* Keel's own; 0: any */
    u32 vm_count;
    struct cfg_vm vm[CFG_MAX_VMS];
    u32 network_count;
    struct cfg_network network[CFG_MAX_NETWORKS];
};

/* One message a mistake: node path, property, the value found, what would be right. Calls do not stop at
 * the first. text is the whole sentence after the node's path, as in "vcpus = <9>: must be 1 to 8";
 * property (NULL: the node itself) is only for who looks for it. */
struct cfg_errors {
    u32 count;
    void (*report)(void *arg, const char *node, const char *property, const char *text);
    void *arg;
};

/* Checks the whole blob and fills *m. K_INVAL when anything was reported. size: bytes that may be
 * read. `known_devices`: NULL-terminated list of the compatibles that this build has. Never trusts the blob. */
MUST_USE enum kerr config_parse(const void *blob, size_t size, const char *const *known_devices,
                                struct cfg_machine *m, struct cfg_errors *errors);

/* Finds the configuration within a FIT image and binds every image a VM names to its data. Compressed
 * images are refused: keel pack unpacks them. */
MUST_USE enum kerr config_parse_fit(const void *fit, size_t size, const char *const *known_devices,
                                    struct cfg_machine *m, struct cfg_errors *errors);

struct cfg_host {
    u32 cpus;
    u64 mem_free;
    u32 gic;    /* its version, 2 or 3 */
    u32 colors; /* of its last-level cache, where llc-way-size does not say; 1: none known; 0: not looked at */
};

/* Host memory that may come to hold what is written to the VM's disks in memory, in bytes; 0 where it overcommits. */
u64 config_disk_memory(const struct cfg_vm *vm);

/* What depends on the host: CPUs that exist, memory that is there, the GIC, cache colours. */
MUST_USE enum kerr config_check_host(const struct cfg_machine *m, const struct cfg_host *host,
                                     struct cfg_errors *errors);

/* Name i, less than c->named, of a console's further ports: not terminated. */
static inline const char *cfg_port_name(const struct cfg_console *c, u32 i, u32 *len)
{
    const char *p = c->ports;

    for (; i != 0; p++)
        i -= *p == ',';
    for (*len = 0; p[*len] != '\0' && p[*len] != ',';)
        (*len)++;
    return p;
}

/* Whether a list of names that are separated by commas has this one. NULL: an empty list. */
static inline bool cfg_list_has(const char *list, const char *name)
{
    for (const char *p = list; p != NULL; p++) {
        const char *n = name;

        for (; *n != '\0' && *p == *n; n++)
            p++;
        if (*n == '\0' && (*p == ',' || *p == '\0'))
            return true;
        while (*p != ',' && *p != '\0')
            p++;
        if (*p == '\0')
            return false;
    }
    return false;
}

static inline u32 config_promise_max_ppm(u32 cpu)
{
    return CFG_PROMISE_MAX_PPM - (cpu == 0 ? CFG_PROMISE_OWN_PPM : 0);
}

/* Where things go in a guest's physical memory (arch/include's guest map; arm64: QEMU's virt board). */
#define GUEST_RAM_BASE 0x40000000UL
#define GUEST_FLASH_BASE 0x0UL
#define GUEST_FLASH_SIZE 0x04000000UL /* of each of two banks */

struct cfg_layout {
    gpa_t kernel, initrd, dtb, entry; /* initrd 0: none */
    u64 dtb_room;                     /* bytes that may be used for the tree */
};

/* All as QEMU's -kernel does it. arm64 Image header (Linux Documentation/arch/arm64/booting.rst):
 * goes to RAM + text_offset, a text_offset below 4 KiB to the next 2 MiB; anything else to RAM +
 * 512 KiB. initrd at half of RAM but at most 128 MiB into it, the tree behind it at 2 MiB. Where RAM
 * is too small for that, all moves closer together. firmware: entry 0, tree at the start of RAM.
 * The kernel's first 64 bytes must be loaded. Reports what does not fit. */
MUST_USE enum kerr config_layout(const struct cfg_vm *vm, struct cfg_layout *out, struct cfg_errors *errors);

#endif
