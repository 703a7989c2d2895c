/* SPDX-License-Identifier: Apache-2.0 */
/* Reads 4 KiB at random places of a block device, past the page cache, `depth` of them under way:
 * io DEVICE COUNT DEPTH. Linux AIO; what has ended is replaced at once, in one call. The places are the same each time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 4096
#define DEPTH_MAX 64

static int fd;
static uint64_t blocks, seed = 1;
static aio_context_t context;
static struct iocb request[DEPTH_MAX];

static struct iocb *again(struct iocb *r)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    r->aio_lio_opcode = IOCB_CMD_PREAD;
    r->aio_fildes = (uint32_t)fd;
    r->aio_nbytes = BLOCK;
    r->aio_offset = (int64_t)((seed >> 33) % blocks * BLOCK);
    return r;
}

static void submit(struct iocb **list, long n)
{
    if (n != 0 && syscall(SYS_io_submit, context, n, list) != n) {
        perror("io_submit");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    long count = argc == 4 ? atol(argv[2]) : -1, depth = argc == 4 ? atol(argv[3]) : 0, sent = 0, done = 0;
    struct iocb *list[DEPTH_MAX];
    uint64_t bytes;
    char *buffer;

    if (count < 0 || depth < 1 || depth > DEPTH_MAX) {
        fprintf(stderr, "usage: io DEVICE COUNT DEPTH\n");
        return 2;
    }
    fd = open(argv[1], O_RDONLY | O_DIRECT);
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) != 0 || syscall(SYS_io_setup, DEPTH_MAX, &context) != 0 ||
        posix_memalign((void **)&buffer, BLOCK, DEPTH_MAX * BLOCK) != 0) {
        perror(argv[1]);
        return 1;
    }
    blocks = bytes / BLOCK;
    for (; sent < depth && sent < count; sent++) {
        request[sent].aio_buf = (uintptr_t)(buffer + sent * BLOCK);
        list[sent] = again(&request[sent]);
    }
    submit(list, sent);
    while (done < count) {
        struct io_event event[DEPTH_MAX];
        long next = 0, n = syscall(SYS_io_getevents, context, 1L, (long)DEPTH_MAX, event, NULL);

        if (n < 1) {
            perror("io_getevents");
            return 1;
        }
        for (long i = 0; i < n; i++, done++) {
            if (event[i].res != BLOCK) {
                fprintf(stderr, "%s: a read gave %lld\n", argv[1], (long long)event[i].res);
                return 1;
            }
            if (sent < count) {
                list[next++] = again((struct iocb *)(uintptr_t)event[i].obj);
                sent++;
            }
        }
        submit(list, next);
    }
    return 0;
}
