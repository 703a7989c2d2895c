/* SPDX-License-Identifier: Apache-2.0 */
/* From a .dts or from options to a checked machine with its images. */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <libgen.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/guest_fdt.h"
#include "config/guest_map.h"
#include "tools/keel.h"

#define BLOB_MAX (1U << 20)

static void print_error(void *arg, const char *node, const char *property, const char *text)
{
    const struct machine *m = arg;

    (void)property;
    fprintf(stderr, "%s: %s: %s\n", m->label, node, text);
}

/* All models of the tree have a place on the board, so the map's list is what a build knows. */
static const char *const *known_models(void)
{
    const char **list = xalloc((guest_device_count + 1) * sizeof(*list));

    for (u32 i = 0; i < guest_device_count; i++)
        list[i] = guest_devices[i].compatible;
    return list;
}

static bool check(struct machine *m)
{
    m->errors = (struct cfg_errors){ .report = print_error, .arg = m };
    if (config_parse(m->blob, m->blob_size, known_models(), &m->cfg, &m->errors) != K_OK)
        return false;
    images_load(m);
    if (m->errors.count != 0)
        return false;
    for (u32 i = 0; i < m->cfg.vm_count; i++) {
        if (config_layout(&m->cfg.vm[i], &m->layout[i], &m->errors) != K_OK)
            continue; /* said so; the next VM's mistakes are worth hearing too */
    }
    return m->errors.count == 0;
}

/* Reads the whole of a pipe into an aligned buffer; more than BLOB_MAX is cut and will not parse. */
static size_t read_pipe(int fd, char *buf)
{
    size_t used = 0;

    while (used < BLOB_MAX) {
        ssize_t n = read(fd, buf + used, BLOB_MAX - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    return used;
}

/* dtc prints its own messages with file and line. The checks left out are about buses of real
 * hardware: a configuration's devices have no parent bus or interrupt controller. */
static bool compile(const char *dts, void *blob, size_t *size)
{
    const char *const argv[] = { "dtc",
                                 "-I",
                                 "dts",
                                 "-O",
                                 "dtb",
                                 "-o",
                                 "-",
                                 "-W",
                                 "no-unit_address_vs_reg",
                                 "-W",
                                 "no-reg_format",
                                 "-W",
                                 "no-avoid_default_addr_size",
                                 "-W",
                                 "no-interrupts_property",
                                 "--",
                                 dts,
                                 NULL };
    posix_spawn_file_actions_t actions;
    int pipe_fd[2];
    int status = -1;
    pid_t pid;
    int e;

    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        complain("pipe: %s", strerror(errno));
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
    e = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fd[1]);
    if (e == 0) {
        *size = read_pipe(pipe_fd[0], blob);
        waitpid(pid, &status, 0);
    } else {
        complain("cannot run dtc: %s (Debian package device-tree-compiler)", strerror(e));
    }
    close(pipe_fd[0]);
    if (e == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        complain("%s: dtc could not compile it", dts);
    return e == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool machine_open_file(struct machine *m, const char *dts)
{
    struct stat st;

    m->label = dts;
    m->dir = dirname(xformat("%s", dts));
    m->blob = xalloc(BLOB_MAX);
    if (stat(dts, &st) != 0) {
        complain("%s: %s", dts, strerror(errno));
        return false;
    }
    m->newest = st.st_mtime;
    return compile(dts, m->blob, &m->blob_size) && check(m);
}

static void option_string(struct gfdt *f, const char *property, const char *value)
{
    if (value != NULL)
        gfdt_string(f, property, value);
}

static void begin_device(struct gfdt *f, const char *node, const char *compatible)
{
    gfdt_node(f, node);
    gfdt_string(f, "compatible", compatible);
}

/* What a VM has without a `devices` node, the disks, and the network. */
static void option_devices(struct gfdt *f, const struct vm_options *o)
{
    gfdt_node(f, "devices");
    for (u32 i = 0; i < guest_device_count; i++) {
        if (guest_devices[i].when == GUEST_ON_REQUEST ||
            (guest_devices[i].when == GUEST_WITH_FIRMWARE && o->firmware == NULL))
            continue;
        begin_device(f, guest_devices[i].node, guest_devices[i].compatible);
        gfdt_end_node(f);
    }
    for (unsigned i = 0; i < o->disks; i++) {
        char *name = xformat("disk%u", i);

        begin_device(f, name, CFG_DISK);
        gfdt_string(f, "device", name);
        if (o->disk[i].read_only)
            gfdt_empty(f, "read-only");
        gfdt_end_node(f);
    }
    if (o->net) {
        begin_device(f, "net0", CFG_NET);
        gfdt_string(f, "network", "user");
        gfdt_empty(f, "follow-uplink"); /* which is all that there is */
        gfdt_end_node(f);
    }
    gfdt_end_node(f);
}

static void add_uplink(struct gfdt *f)
{
    gfdt_node(f, "networks");
    gfdt_node(f, "user");
    gfdt_string(f, "uplink", "net0");
    gfdt_end_node(f);
    gfdt_end_node(f);
}

bool machine_open_options(struct machine *m, const struct vm_options *o)
{
    struct gfdt f;
    char *end;
    unsigned long vcpus = strtoul(o->vcpus, &end, 10);

    if (*o->vcpus == '\0' || *end != '\0' || vcpus > UINT32_MAX) {
        complain("--vcpus %s: must be a number", o->vcpus);
        return false;
    }
    if (*o->name == '\0' || strchr(o->name, '/') != NULL) { /* would not be one node */
        complain("--name %s: must be letters, digits, '-', '_' or '.'", o->name);
        return false;
    }
    m->label = "keel run";
    m->dir = ".";
    m->blob = xalloc(BLOB_MAX);
    gfdt_begin(&f, m->blob, BLOB_MAX);
    gfdt_string(&f, "compatible", "keel,machine");
    gfdt_string(&f, "on-last-stop", "poweroff");
    gfdt_node(&f, "vms");
    gfdt_node(&f, o->name);
    gfdt_u32(&f, "vcpus", (u32)vcpus);
    gfdt_string(&f, "memory", o->memory);
    option_string(&f, "kernel", o->kernel);
    option_string(&f, "firmware", o->firmware);
    option_string(&f, "initrd", o->initrd);
    option_string(&f, "bootargs", o->append);
    gfdt_empty(&f, "autostart");
    if (o->disks != 0 || o->net)
        option_devices(&f, o);
    gfdt_end_node(&f);
    gfdt_end_node(&f);
    if (o->net)
        add_uplink(&f);
    if (gfdt_finish(&f, &m->blob_size) != K_OK) {
        complain("the options are too long");
        return false;
    }
    return check(m);
}
