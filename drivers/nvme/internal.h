/* SPDX-License-Identifier: Apache-2.0 */
/* NVM Express (Base Specification 2.0, NVM Command Set 1.0): controller.c sets the controller up, io.c carries requests. */
#ifndef DRIVERS_NVME_INTERNAL_H
#define DRIVERS_NVME_INTERNAL_H

#include <assert.h>

#include "drivers/disk/queue.h"
#include "drivers/nvme.h"

#define NVME_ENTRIES_MAX 128U
#define NVME_SECTORS_MAX 512U /* of one request: 256 KiB */
#define NVME_VECS_MAX 64U
#define NVME_LIST_ENTRIES 64U

struct nvme_command {
    u32 dw0, nsid, dw2, dw3;
    u64 metadata, prp1, prp2;
    u32 dw10, dw11, dw12, dw13, dw14, dw15;
};
static_assert(sizeof(struct nvme_command) == 64, "Base 3.3.3.1");

struct nvme_completion {
    u32 result, reserved;
    u16 sq_head, sq;
    u16 command;
    u16 status; /* bit 0: phase */
};
static_assert(sizeof(struct nvme_completion) == 16, "Base 3.3.3.2");

/* What a completion says, but for its phase, and that there is more to know or no use in trying again. */
#define NVME_STATUS(status) ((status) >> 1 & 0x7ffU)

/* A submission and a completion queue. */
struct nvme_queue {
    u32 id, entries;
    struct nvme_command *sq;
    volatile struct nvme_completion *cq;
    u32 sq_order, cq_order;
    u16 tail, head;
    u16 phase; /* of entries that are new */
    uintptr_t sq_doorbell, cq_doorbell;
};

struct nvme {
    struct disk_host host;
    struct pcie_device *pci;
    uintptr_t regs;
    u64 cap;
    u32 nsid, unit_shift; /* of the namespace; log2 of sectors in its block */
    u32 vectors;
    u32 shut_down_us; /* that it says it takes; 0: nothing */
    u32 broken;       /* atomic: it said what cannot be */
    struct nvme_queue admin;
    struct nvme_queue io[DISK_QUEUES_MAX];
    u64 *lists[DISK_QUEUES_MAX]; /* NVME_LIST_ENTRIES for each tag */
};

static inline struct nvme *nvme_of(struct disk_host *h) { return container_of(h, struct nvme, host); }

/* Puts a command in; the caller rings. */
void nvme_put(struct nvme *n, struct nvme_queue *q, const struct nvme_command *c);
void nvme_ring(struct nvme_queue *q);
/* The next completion, copied. False: none. nvme_taken() tells the controller afterwards. */
bool nvme_take(struct nvme *n, struct nvme_queue *q, struct nvme_completion *out);
void nvme_taken(struct nvme_queue *q);

enum kerr nvme_start(struct disk_queue *q, u32 tag);
void nvme_kick(struct disk_queue *q);
void nvme_reap(struct disk_queue *q);

#endif
