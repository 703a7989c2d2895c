/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/version.h"
#include "tools/keel.h"

static const char help_text[] =
    "keel check FILE.dts               check a configuration; print what is where in each VM\n"
    "keel pack FILE.dts -o FILE.itb    make one FIT image of a configuration and its images\n"
    "keel run FILE.dts                 pack it and start it on Keel in QEMU\n"
    "keel run --kernel IMAGE | --firmware IMAGE | --disk FILE [VM OPTIONS]\n"
    "                                  the same for one VM without a file\n"
    "keel pcap [CONSOLE.LOG] > FILE    what 'net dump' printed there, the last one, as a pcap file\n"
    "keel version\n"
    "keel help\n"
    "\n"
    "VM options:\n"
    "  --initrd FILE    --append STRING (kernel command line)\n"
    "  --vcpus N        1 to 8, default 1\n"
    "  --mem SIZE       default 512M\n"
    "  --name NAME      default guest\n"
    "Host options of run, with and without a file:\n"
    "  --disk FILE[,ro] a disk of the host, disk0 and so on, up to 8; without a file, the VM\n"
    "                   has it, and boots it by guest/u-boot.bin beside keel where neither\n"
    "                   kernel nor firmware is named\n"
    "  --net user       an interface for the host, net0, on QEMU's user network; without a\n"
    "                   file, the VM has a network device there\n"
    "  --machine M      virt (default) or raspi4b, which has 4 CPUs and a GICv2\n"
    "  --dtb FILE       device tree of such a board, default guest/ beside keel\n"
    "  --cpus N         1 to 8, default as many as the VMs need, at least 2\n"
    "  --ram SIZE       default what the VMs need and 256M, at least 1G\n"
    "  --cpu MODEL      QEMU's name, default neoverse-n1\n"
    "  --gic 2|3|4      default 3\n"
    "  --icount         count time in instructions: slower, repeatable\n"
    "  --accel-opts S   options for QEMU's -accel tcg\n"
    "  --quiet          only the guest's console on stdout; Keel's warnings on stderr\n"
    "  --print-command  print the QEMU command instead of running it\n"
    "  -- ARGS...       for QEMU\n"
    "\n"
    "run ends with 0 when all VMs have powered off, 1 when one crashed or Keel panicked, 2 when\n"
    "nothing was started. FILE.dts: docs/configuration.md.\n";

static int check_command(int argc, char **argv)
{
    struct machine *m = xalloc(sizeof(*m));

    if (argc != 2) {
        complain("usage: keel check FILE.dts");
        return EXIT_BAD_INPUT;
    }
    if (!machine_open_file(m, argv[1]))
        return EXIT_BAD_INPUT;
    map_print(m, stdout);
    return EXIT_SUCCESS;
}

/* Into a file beside it first: an interrupted run leaves the old one as it was. */
static bool write_file(const struct machine *m, const char *path)
{
    char *part = xformat("%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok;

    if (fd < 0) {
        complain("%s: %s", part, strerror(errno));
        free(part);
        return false;
    }
    ok = pack_write(m, fd, path);
    if (close(fd) != 0 && ok) {
        complain("%s: %s", part, strerror(errno));
        ok = false;
    }
    if (ok && rename(part, path) != 0) {
        complain("%s: %s", path, strerror(errno));
        ok = false;
    }
    if (!ok)
        unlink(part);
    free(part);
    return ok;
}

static int pack_command(int argc, char **argv)
{
    struct machine *m = xalloc(sizeof(*m));
    const char *dts = NULL;
    const char *out = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc && out == NULL)
            out = argv[++i];
        else if (argv[i][0] != '-' && dts == NULL)
            dts = argv[i];
        else
            goto usage;
    }
    if (dts == NULL || out == NULL)
        goto usage;
    return machine_open_file(m, dts) && write_file(m, out) ? EXIT_SUCCESS : EXIT_BAD_INPUT;

usage:
    complain("usage: keel pack FILE.dts -o FILE.itb");
    return EXIT_BAD_INPUT;
}

static int version_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("keel " KEEL_VERSION);
    return EXIT_SUCCESS;
}

static int help_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs(help_text, stdout);
    return EXIT_SUCCESS;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "check", check_command }, { "pack", pack_command },       { "run", run_command },
    { "pcap", pcap_command },   { "version", version_command }, { "help", help_command },
    { "--help", help_command },
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(help_text, stderr);
        return EXIT_BAD_INPUT;
    }
    if (argc > 2 && strcmp(argv[2], "--help") == 0)
        return help_command(argc, argv);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    complain("%s: no such command; must be check, pack, run, pcap, version or help", argv[1]);
    return EXIT_BAD_INPUT;
}
