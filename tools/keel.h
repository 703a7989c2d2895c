/* SPDX-License-Identifier: Apache-2.0 */
/* The host program `keel`. An ordinary hosted C program around config/, which the hypervisor uses as
 * well. Functions that return bool have said what went wrong, on stderr, when they return false. */
#ifndef TOOLS_KEEL_H
#define TOOLS_KEEL_H

#include <stdio.h>
#include <time.h>

#include "config/config.h"

enum { EXIT_BAD_INPUT = 2 }; /* usage or configuration; found before anything was started */

#define MAX_IMAGES (4 * CFG_MAX_VMS)
#define IMAGE_NAME_MAX 16U

/* A file that a VM names, as Keel will load it. Two VMs that name the same file share one. */
struct image {
    char *path;
    char fit_name[IMAGE_NAME_MAX];
    const char *type; /* FIT's word: kernel, firmware, ramdisk, filesystem */
    const void *data;
    size_t size;
    bool unpacked;
};

/* What a VM names once; then what its devices may. */
enum { VM_KERNEL, VM_FIRMWARE, VM_INITRD, VM_IMAGES, VM_DISK = VM_IMAGES };

struct machine {
    const char *label; /* stands before messages: the .dts, or "keel run" */
    const char *dir;   /* image paths are relative to it */
    void *blob;
    size_t blob_size;
    time_t newest; /* of the files read; 0: none */
    struct cfg_machine cfg;
    struct cfg_errors errors;
    struct image image[MAX_IMAGES];
    u32 image_count;
    struct image *vm_image[CFG_MAX_VMS][VM_IMAGES];
    struct image *disk_image[CFG_MAX_VMS][CFG_MAX_DEVICES];
    struct cfg_layout layout[CFG_MAX_VMS];
};

#define DISKS_MAX 8U

/* A file that QEMU makes a disk of the host of; its serial number is "diskN", counted from 0. */
struct disk_option {
    const char *file;
    bool read_only;
};

/* One VM by command-line options instead of a file. NULL: not given. */
struct vm_options {
    const char *name, *kernel, *firmware, *initrd, *append, *memory, *vcpus;
    struct disk_option disk[DISKS_MAX];
    unsigned disks;
    bool net; /* a network device, on the host's first interface */
};

/* Read, check, load images, lay out. Release never: the program ends soon. */
MUST_USE bool machine_open_file(struct machine *m, const char *dts);
MUST_USE bool machine_open_options(struct machine *m, const struct vm_options *options);

/* images.c: loads what the VMs name; mistakes go to m->errors. */
void images_load(struct machine *m);

/* map.c */
void map_print(const struct machine *m, FILE *out);

/* pack.c: writes the FIT image. name is for messages. */
MUST_USE bool pack_write(const struct machine *m, int fd, const char *name);

/* run.c: everything after "run". Returns the exit status. */
int run_command(int argc, char **argv);

/* pcap.c: everything after "pcap". Returns the exit status. */
int pcap_command(int argc, char **argv);

/* child.c: runs argv[0] with fd `log` (-1: none) copied to stderr; passes signals on; returns an
 * exit status as a shell would. monitor (-1: none): QEMU's; that the guest reset the machine is a failure then. */
MUST_USE int child_run(char **argv, int log, int monitor);

/* util.c */
void *xalloc(size_t size); /* zeroed; exits when there is no memory */
char *xformat(const char *fmt, ...) PRINTF_LIKE(1, 2);
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2); /* "keel: ..." and a newline, on stderr */
MUST_USE bool write_all(int fd, const void *data, size_t size);

#endif
