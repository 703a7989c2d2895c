/* SPDX-License-Identifier: Apache-2.0 */
/* What `perf stat` and `perf record` ask of Linux: counts cycles and instructions of a loop of known length in
 * user mode, and samples it by overflow interrupts. With an argument: counts for that many seconds, hardware
 * events of the whole CPU, kernel included.
 *
 * PERF instructions N cycles N samples N | PERF cpu instructions N */
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 2000000UL
#define PERIOD 400000UL

static int counter(uint64_t event, uint64_t period, pid_t pid, int cpu)
{
    struct perf_event_attr attr;
    int fd;

    memset(&attr, 0, sizeof(attr));
    attr.size = sizeof(attr);
    attr.type = PERF_TYPE_HARDWARE;
    attr.config = event;
    attr.disabled = 1;
    attr.exclude_kernel = pid == 0;
    attr.exclude_hv = 1;
    attr.sample_period = period;
    attr.wakeup_events = 1;
    fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, 0);
    if (fd < 0) {
        perror("PERF perf_event_open");
        exit(1);
    }
    return fd;
}

static uint64_t count(int fd)
{
    uint64_t n = 0;

    if (read(fd, &n, sizeof(n)) != sizeof(n))
        exit(1);
    return n;
}

/* Twice ROUNDS instructions. */
static void loop(void)
{
    uint64_t n = ROUNDS;

    __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(n) : : "cc");
}

static unsigned samples(int fd)
{
    long page = sysconf(_SC_PAGESIZE);
    struct perf_event_mmap_page *ring =
        mmap(NULL, (size_t)page * 9, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *data = (char *)ring + page;
    unsigned n = 0;

    if (ring == MAP_FAILED)
        exit(1);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    loop();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    for (uint64_t at = 0; at < ring->data_head;) {
        struct perf_event_header *h = (void *)(data + at % ((uint64_t)page * 8));

        n += h->type == PERF_RECORD_SAMPLE;
        at += h->size;
    }
    return n;
}

int main(int argc, char **argv)
{
    int instructions, cycles;

    if (argc > 1) {
        instructions = counter(PERF_COUNT_HW_INSTRUCTIONS, 0, -1, 0);
        ioctl(instructions, PERF_EVENT_IOC_ENABLE, 0);
        sleep((unsigned)atoi(argv[1]));
        printf("PERF cpu instructions %lu\n", (unsigned long)count(instructions));
        return 0;
    }
    instructions = counter(PERF_COUNT_HW_INSTRUCTIONS, 0, 0, -1);
    cycles = counter(PERF_COUNT_HW_CPU_CYCLES, 0, 0, -1);
    ioctl(cycles, PERF_EVENT_IOC_ENABLE, 0);
    ioctl(instructions, PERF_EVENT_IOC_ENABLE, 0);
    loop();
    ioctl(instructions, PERF_EVENT_IOC_DISABLE, 0);
    ioctl(cycles, PERF_EVENT_IOC_DISABLE, 0);
    printf("PERF instructions %lu cycles %lu samples %u\n", (unsigned long)count(instructions),
           (unsigned long)count(cycles), samples(counter(PERF_COUNT_HW_INSTRUCTIONS, PERIOD, 0, -1)));
    return 0;
}
