/* SPDX-License-Identifier: Apache-2.0 */
/* `keel run`: packs a machine and starts QEMU with Keel and the bundle: its virt board, or one of real hardware. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/fmt.h"
#include "tools/keel.h"

#define MIB (1UL << 20)
#define KEEL_SHARE (256 * MIB) /* of the host's memory, besides VMs and the bundle */
#define RAM_MIN 1024UL         /* MiB */
#define HOST_CPUS_MAX 8U
#define QEMU_ARGS_MAX 96U
#define FIRMWARE "guest/u-boot.bin" /* beside this program: what boots a disk where nothing else is named */

/* A board of QEMU's whose hardware is as it is, described by a device tree from elsewhere. */
struct board {
    const char *name, *tree; /* the tree's file beside this program */
    const char *append;      /* for Keel */
    u64 cpus, gic;
    u64 qemu_ram, ram; /* as QEMU wants it, and as its device tree then says */
};

/* Its PL011 is the first of QEMU's serial ports, though the tree's console is the second. QEMU tells of the memory
 * below the GPU's alone. */
static const struct board boards[] = {
    { "raspi4b", "guest/bcm2711-rpi-4-b.dtb", "console=serial0 failed=reset", 4, 2, 2048 * MIB, 960 * MIB },
};

struct run {
    struct vm_options vm;
    const char *dts;
    const struct board *board; /* NULL: virt */
    const char *dtb;
    const char *cpu, *accel_opts;
    u64 cpus, ram, gic; /* 0: by the machine */
    bool icount, quiet, print;
    char **qemu_args; /* NULL-terminated, what followed `--` */
};

enum option_id {
    OPT_KERNEL = 256,
    OPT_FIRMWARE,
    OPT_INITRD,
    OPT_APPEND,
    OPT_VCPUS,
    OPT_MEM,
    OPT_NAME,
    OPT_NET,
    OPT_DISK,
    OPT_MACHINE,
    OPT_DTB,
    OPT_CPUS,
    OPT_RAM,
    OPT_CPU,
    OPT_GIC,
    OPT_ICOUNT,
    OPT_ACCEL_OPTS,
    OPT_QUIET,
    OPT_PRINT,
};

static const struct option options[] = {
    { "kernel", required_argument, NULL, OPT_KERNEL },
    { "firmware", required_argument, NULL, OPT_FIRMWARE },
    { "initrd", required_argument, NULL, OPT_INITRD },
    { "append", required_argument, NULL, OPT_APPEND },
    { "vcpus", required_argument, NULL, OPT_VCPUS },
    { "mem", required_argument, NULL, OPT_MEM },
    { "name", required_argument, NULL, OPT_NAME },
    { "net", required_argument, NULL, OPT_NET },
    { "disk", required_argument, NULL, OPT_DISK },
    { "machine", required_argument, NULL, OPT_MACHINE },
    { "dtb", required_argument, NULL, OPT_DTB },
    { "cpus", required_argument, NULL, OPT_CPUS },
    { "ram", required_argument, NULL, OPT_RAM },
    { "cpu", required_argument, NULL, OPT_CPU },
    { "gic", required_argument, NULL, OPT_GIC },
    { "icount", no_argument, NULL, OPT_ICOUNT },
    { "accel-opts", required_argument, NULL, OPT_ACCEL_OPTS },
    { "quiet", no_argument, NULL, OPT_QUIET },
    { "print-command", no_argument, NULL, OPT_PRINT },
    { NULL, 0, NULL, 0 },
};

static bool number(const char *option, const char *text, u64 min, u64 max, u64 *out)
{
    if (parse_u64(text, out) && *out >= min && *out <= max)
        return true;
    complain("%s %s: must be %lu to %lu", option, text, min, max);
    return false;
}

static bool take_machine(struct run *r, const char *name)
{
    r->board = NULL;
    if (strcmp(name, "virt") == 0)
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(boards); i++)
        if (strcmp(name, boards[i].name) == 0)
            r->board = &boards[i];
    if (r->board == NULL)
        complain("--machine %s: must be virt or raspi4b", name);
    return r->board != NULL;
}

/* FILE, or FILE,ro. */
static bool take_disk(struct run *r, const char *value)
{
    size_t len = strlen(value);
    struct disk_option *d = &r->vm.disk[r->vm.disks];
    struct stat st;

    if (r->vm.disks == DISKS_MAX) {
        complain("--disk %s: at most %u disks", value, DISKS_MAX);
        return false;
    }
    d->read_only = len > 3 && strcmp(value + len - 3, ",ro") == 0;
    d->file = d->read_only ? xformat("%.*s", (int)len - 3, value) : value;
    if (access(d->file, d->read_only ? R_OK : R_OK | W_OK) != 0 || stat(d->file, &st) != 0) {
        complain("--disk %s: %s", d->file, strerror(errno));
        return false;
    }
    if (!S_ISBLK(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_size == 0)) {
        complain("--disk %s: must be a file that is not empty, or a block device", d->file);
        return false;
    }
    r->vm.disks++;
    return true;
}

static bool take_option(struct run *r, int id, const char *value)
{
    switch (id) {
    case OPT_KERNEL: r->vm.kernel = value; return true;
    case OPT_FIRMWARE: r->vm.firmware = value; return true;
    case OPT_INITRD: r->vm.initrd = value; return true;
    case OPT_APPEND: r->vm.append = value; return true;
    case OPT_VCPUS: r->vm.vcpus = value; return true;
    case OPT_MEM: r->vm.memory = value; return true;
    case OPT_NAME: r->vm.name = value; return true;
    case OPT_NET:
        r->vm.net = strcmp(value, "user") == 0;
        if (!r->vm.net)
            complain("--net %s: must be user", value);
        return r->vm.net;
    case OPT_DISK: return take_disk(r, value);
    case OPT_MACHINE: return take_machine(r, value);
    case OPT_DTB: r->dtb = value; return true;
    case OPT_CPU: r->cpu = value; return true;
    case OPT_ACCEL_OPTS: r->accel_opts = value; return true;
    case OPT_ICOUNT: return r->icount = true;
    case OPT_QUIET: return r->quiet = true;
    case OPT_PRINT: return r->print = true;
    case OPT_CPUS: return number("--cpus", value, 1, HOST_CPUS_MAX, &r->cpus);
    case OPT_GIC: return number("--gic", value, 2, 4, &r->gic);
    case OPT_RAM:
        if (parse_u64(value, &r->ram) && r->ram >= 256 * MIB && is_aligned(r->ram, MIB))
            return true;
        complain("--ram %s: must be a multiple of 1M, at least 256M, such as 2G", value);
        return false;
    default: return false; /* getopt has said it */
    }
}

/* QEMU's own arguments are taken off first: getopt sorts operands, and would lose where `--` was. */
static void split_qemu_args(int *argc, char **argv, struct run *r)
{
    static char *none[] = { NULL };

    r->qemu_args = none;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            r->qemu_args = argv + i + 1;
            argv[i] = NULL;
            *argc = i;
            return;
        }
    }
}

static bool parse_options(int argc, char **argv, struct run *r)
{
    const struct vm_options *vm = &r->vm;
    char name[] = "keel run"; /* in getopt's messages */
    int id;

    split_qemu_args(&argc, argv, r);
    argv[0] = name;
    optind = 1;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(r, id, optarg))
            return false;
    }
    if (argc - optind > 1) {
        complain("run: '%s' is one operand too many; QEMU's arguments go after --", argv[optind + 1]);
        return false;
    }
    if (optind < argc)
        r->dts = argv[optind];
    if (r->dts != NULL &&
        (vm->kernel || vm->firmware || vm->initrd || vm->append || vm->vcpus || vm->memory || vm->name)) {
        complain("run: %s describes the VMs; --kernel, --firmware, --initrd, --append, --vcpus, --mem and "
                 "--name are "
                 "for a run without a file",
                 r->dts);
        return false;
    }
    if (r->board != NULL && (r->cpu || r->cpus != 0 || r->ram != 0 || r->gic != 0)) {
        complain(
            "run: %s has %lu CPUs, %lu MiB of RAM and a GICv%lu; --cpu, --cpus, --ram and --gic are for virt",
            r->board->name, r->board->cpus, r->board->ram / MIB, r->board->gic);
        return false;
    }
    if (r->board != NULL && vm->net) {
        complain("run: --net is for virt; %s has no network that Keel drives", r->board->name);
        return false;
    }
    if (r->board != NULL && vm->disks != 0) {
        complain("run: --disk is for virt; %s has no PCI", r->board->name);
        return false;
    }
    if (r->board == NULL && r->dtb != NULL) {
        complain("run: --dtb is for --machine raspi4b; QEMU describes its virt board itself");
        return false;
    }
    if (r->dts == NULL && vm->kernel == NULL && vm->firmware == NULL && vm->disks == 0) {
        complain("run: needs a FILE.dts, --kernel IMAGE, --firmware IMAGE or --disk FILE; see `keel help`");
        return false;
    }
    return true;
}

static char *beside_program(const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return xformat("%s", name);
    self[n] = '\0';
    return xformat("%s/%s", dirname(self), name);
}

static bool open_machine(struct run *r, struct machine *m)
{
    if (r->dts != NULL)
        return machine_open_file(m, r->dts);
    if (r->vm.name == NULL)
        r->vm.name = "guest";
    if (r->vm.vcpus == NULL)
        r->vm.vcpus = "1";
    if (r->vm.memory == NULL)
        r->vm.memory = "512M";
    if (r->vm.kernel == NULL && r->vm.firmware == NULL)
        r->vm.firmware = beside_program(FIRMWARE);
    return machine_open_options(m, &r->vm);
}

/* A host large enough for the machine, where the user did not say. */
static void size_host(struct run *r, const struct machine *m, u64 bundle_size)
{
    u64 cpus = 2;
    u64 memory = KEEL_SHARE + bundle_size;

    if (r->board != NULL) {
        r->cpus = r->board->cpus;
        r->ram = r->board->ram;
        r->gic = r->board->gic;
        return;
    }
    if (r->cpu == NULL)
        r->cpu = "neoverse-n1";
    if (r->gic == 0)
        r->gic = 3;
    for (u32 i = 0; i < m->cfg.vm_count; i++) {
        const struct cfg_vm *vm = &m->cfg.vm[i];

        memory += vm->mem_size + config_disk_memory(vm);
        cpus = max_u64(cpus, vm->vcpu_count);
        for (u32 v = 0; v < vm->vcpu_count; v++) {
            if (vm->vcpu[v].cpu != CFG_CPU_ANY)
                cpus = max_u64(cpus, (u64)vm->vcpu[v].cpu + 1);
        }
    }
    if (r->cpus == 0)
        r->cpus = min_u64(cpus, HOST_CPUS_MAX);
    if (r->ram == 0)
        r->ram = max_u64(align_up(memory, 64 * MIB), RAM_MIN * MIB);
}

/* $KEEL_IMAGE, or keel.bin beside this program. */
static char *hypervisor_image(void)
{
    const char *chosen = getenv("KEEL_IMAGE");

    return chosen != NULL ? xformat("%s", chosen) : beside_program("keel.bin");
}

/* In memory, inherited by QEMU under its number: nothing is left behind whatever happens. */
static int make_bundle(const struct machine *m)
{
    int fd = memfd_create("keel-bundle", 0);

    if (fd < 0) {
        complain("memfd_create: %s", strerror(errno));
        return -1;
    }
    return pack_write(m, fd, "bundle") ? fd : -1;
}

/* Keel's log, on the board's second serial port, comes to stderr through a pipe: stderr itself may
 * be a terminal or a socket, which QEMU's file back end does not take. */
static bool make_log_pipe(int *read_end, int *write_end)
{
    int p[2];

    if (pipe(p) != 0) {
        complain("pipe: %s", strerror(errno));
        return false;
    }
    fcntl(p[0], F_SETFD, FD_CLOEXEC);
    *read_end = p[0];
    *write_end = p[1];
    return true;
}

/* A pair of sockets: QEMU's monitor has the other end. */
static bool make_monitor(int *ours, int *qemus)
{
    int s[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0) {
        complain("socketpair: %s", strerror(errno));
        return false;
    }
    fcntl(s[0], F_SETFD, FD_CLOEXEC);
    *ours = s[0];
    *qemus = s[1];
    return true;
}

struct args {
    char *v[QEMU_ARGS_MAX];
    u32 count;
};

static void add(struct args *a, const char *option, char *value)
{
    a->v[a->count++] = xformat("%s", option);
    if (value != NULL)
        a->v[a->count++] = value;
}

static void host_args(const struct run *r, const char *image, int bundle, struct args *a)
{
    add(a, "qemu-system-aarch64", NULL);
    add(a, "-nodefaults", NULL);
    if (r->board != NULL)
        add(a, "-machine", xformat("%s", r->board->name));
    else
        add(a, "-machine",
            xformat("virt,virtualization=on,gic-version=%lu%s", r->gic, r->gic == 2 ? "" : ",iommu=smmuv3"));
    if (r->accel_opts != NULL)
        add(a, "-accel", xformat("tcg,%s", r->accel_opts));
    if (r->icount)
        add(a, "-icount", xformat("shift=0,sleep=off"));
    if (r->board != NULL)
        add(a, "-dtb", r->dtb != NULL ? xformat("%s", r->dtb) : beside_program(r->board->tree));
    else
        add(a, "-cpu", xformat("%s", r->cpu));
    add(a, "-smp", xformat("%lu", r->cpus));
    add(a, "-m", xformat("%luM", (r->board != NULL ? r->board->qemu_ram : r->ram) / MIB));
    if (r->vm.net) {
        add(a, "-netdev", xformat("user,id=net0"));
        add(a, "-device", xformat("virtio-net-pci,netdev=net0,romfile="));
    }
    add(a, "-kernel", xformat("%s", image));
    add(a, "-initrd", xformat("/proc/self/fd/%d", bundle));
}

static void console_args(const struct run *r, int log, struct args *a)
{
    add(a, "-display", xformat("none"));
    add(a, "-chardev", xformat("stdio,id=console,signal=off"));
    add(a, "-serial", xformat("chardev:console"));
    if (!r->quiet) {
        if (r->board != NULL)
            add(a, "-append", xformat("%s", r->board->append));
        return;
    }
    add(a, "-add-fd", xformat("fd=%d,set=1", log));
    add(a, "-chardev", xformat("file,id=log,path=/dev/fdset/1,append=on"));
    add(a, "-serial", xformat("chardev:log"));
    add(a, "-append",
        xformat("quiet log=serial1 loglevel=1%s%s", r->board != NULL ? " " : "",
                r->board != NULL ? r->board->append : ""));
}

/* virt has a device that makes QEMU end with a failure. On other boards a failed run resets the machine, of which
 * QEMU's monitor tells. */
static void end_args(const struct run *r, int monitor, struct args *a)
{
    if (r->board == NULL) {
        add(a, "-device", xformat("pvpanic-pci"));
    } else {
        add(a, "-chardev", xformat("socket,id=monitor,fd=%d", monitor));
        add(a, "-mon", xformat("chardev=monitor,mode=control"));
    }
    add(a, "-action", xformat("panic=exit-failure,reboot=shutdown"));
}

/* A comma in a file's name is two in QEMU's arguments. */
static char *qemu_path(const char *file)
{
    char *out = xalloc(2 * strlen(file) + 1), *to = out;

    for (; *file != '\0'; file++) {
        if (*file == ',')
            *to++ = ',';
        *to++ = *file;
    }
    return out;
}

static void disk_args(const struct run *r, struct args *a)
{
    for (unsigned i = 0; i < r->vm.disks; i++) {
        const struct disk_option *d = &r->vm.disk[i];

        add(a, "-drive",
            xformat("if=none,id=disk%u,format=raw%s,file=%s", i, d->read_only ? ",readonly=on" : "",
                    qemu_path(d->file)));
        add(a, "-device", xformat("virtio-blk-pci,drive=disk%u,serial=disk%u,disable-legacy=on", i, i));
    }
}

/* The built arguments, then the user's. */
static char **join(const struct args *a, char **user)
{
    u32 count = 0;
    char **all;

    while (user[count] != NULL)
        count++;
    all = xalloc((a->count + count + 1) * sizeof(*all));
    memcpy(all, a->v, a->count * sizeof(*all));
    memcpy(all + a->count, user, count * sizeof(*all));
    return all;
}

static void print_command(char **argv)
{
    for (; *argv != NULL; argv++) {
        bool plain = **argv != '\0' && strpbrk(*argv, " \t\n'\"\\$`*?;&|<>()#~") == NULL;

        if (plain) {
            fputs(*argv, stdout);
        } else {
            putchar('\'');
            for (const char *c = *argv; *c != '\0'; c++)
                fputs(*c == '\'' ? "'\\''" : (char[]){ *c, '\0' }, stdout);
            putchar('\'');
        }
        putchar(argv[1] != NULL ? ' ' : '\n');
    }
}

static int start(struct run *r, const char *image, int bundle)
{
    struct args a = { .count = 0 };
    int log_read = -1;
    int log_write = -1;
    int monitor = -1;
    int monitor_qemu = -1;
    char **argv;

    if (r->quiet && !make_log_pipe(&log_read, &log_write))
        return EXIT_BAD_INPUT;
    if (r->board != NULL && !make_monitor(&monitor, &monitor_qemu))
        return EXIT_BAD_INPUT;
    host_args(r, image, bundle, &a);
    console_args(r, log_write, &a);
    end_args(r, monitor_qemu, &a);
    disk_args(r, &a);
    argv = join(&a, r->qemu_args);
    if (r->print) {
        print_command(argv);
        return EXIT_SUCCESS;
    }
    if (access(image, R_OK) != 0) {
        complain("%s: %s; `make` builds it, KEEL_IMAGE names another", image, strerror(errno));
        return EXIT_BAD_INPUT;
    }
    return child_run(argv, log_read, monitor);
}

int run_command(int argc, char **argv)
{
    struct run r = { .dts = NULL };
    struct machine *m = xalloc(sizeof(*m));
    struct cfg_host host;
    u64 size;
    int bundle;

    if (!parse_options(argc, argv, &r) || !open_machine(&r, m))
        return EXIT_BAD_INPUT;
    bundle = make_bundle(m);
    if (bundle < 0)
        return EXIT_BAD_INPUT;
    size = (u64)lseek(bundle, 0, SEEK_END);
    size_host(&r, m, size);
    host = (struct cfg_host){ .cpus = (u32)r.cpus,
                              .mem_free = r.ram - min_u64(r.ram, size),
                              .gic = r.gic == 2 ? 2 : 3 };
    if (config_check_host(&m->cfg, &host, &m->errors) != K_OK)
        return EXIT_BAD_INPUT;
    return start(&r, hypervisor_image(), bundle);
}
