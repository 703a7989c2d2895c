/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with an ITS on the fake CPUs: its memory, its tables, its commands. Includes test_vgic_machine.h. */
#ifndef TEST_ITS_MACHINE_H
#define TEST_ITS_MACHINE_H

#include "irq/inject/vgic_lpi.h"
#include "irq/inject/vits.h"
#include "test_vgic_machine.h"

#define MEM_SIZE (1UL << 20)
#define VALID (1UL << 63)
#define INDIRECT (1UL << 62)
#define PAGE_64K (2UL << 8)
#define LPI0 8192U

enum {
    QUEUE = 0x00000,
    DEVICES = 0x10000,
    COLLECTIONS = 0x20000,
    CONFIG = 0x30000,  /* 64 KiB */
    PENDING = 0x40000, /* 64 KiB for each vCPU */
    ITTS = 0xc0000,
    LEVEL2 = 0xd0000, /* to the end of memory */
};

enum {
    GITS_CTLR = 0x0,
    GITS_TYPER = 0x8,
    GITS_CBASER = 0x80,
    GITS_CWRITER = 0x88,
    GITS_CREADR = 0x90,
    GITS_BASER0 = 0x100,
    GITS_BASER1 = 0x108,
    GITS_TRANSLATER = 0x10040,
};

static inline u64 *mem64(u64 offset) { return (u64 *)(void *)(guest_memory + offset); }
static inline u8 *config(u32 lpi) { return guest_memory + CONFIG + (lpi - LPI0); }
static inline u8 *pending_byte(u32 vcpu, u32 lpi)
{
    return guest_memory + PENDING + vcpu * 0x10000 + lpi / 8;
}
static inline bool pending_bit(u32 vcpu, u32 lpi) { return *pending_byte(vcpu, lpi) >> lpi % 8 & 1; }

static inline void gits_write(u32 id, u32 offset, unsigned size, u64 value)
{
    on_cpu_of(id);
    reg_write(&gits_regs, vits_of(&m.vm), vcpu(id), offset, size, value);
}

static inline u64 gits_read(u32 id, u32 offset, unsigned size)
{
    on_cpu_of(id);
    return reg_read(&gits_regs, vits_of(&m.vm), vcpu(id), offset, size);
}

/* Into the queue; known to the ITS with the next commit(). */
static u64 queue_end;
static inline void queue(u64 w0, u64 w1, u64 w2, u64 w3)
{
    u64 *p = mem64(QUEUE + queue_end);

    p[0] = w0;
    p[1] = w1;
    p[2] = w2;
    p[3] = w3;
    queue_end = (queue_end + 32) % 0x10000;
}
static inline void commit(u32 id) { gits_write(id, GITS_CWRITER, 8, queue_end); }
static inline void command(u64 w0, u64 w1, u64 w2, u64 w3)
{
    queue(w0, w1, w2, w3);
    commit(0);
    settle();
}

static inline void mapd(u32 device, u64 itt, u32 bits, bool valid)
{
    command((u64)device << 32 | 0x08, bits - 1, (MEM_BASE + itt) | (valid ? VALID : 0), 0);
}
static inline void mapc(u32 collection, u32 target, bool valid)
{
    command(0x09, 0, (u64)target << 16 | collection | (valid ? VALID : 0), 0);
}
static inline void mapti(u32 device, u32 event, u32 lpi, u32 collection)
{
    command((u64)device << 32 | 0x0a, (u64)lpi << 32 | event, collection, 0);
}
static inline void mapi(u32 device, u32 event, u32 collection)
{
    command((u64)device << 32 | 0x0b, event, collection, 0);
}
static inline void movi(u32 device, u32 event, u32 collection)
{
    command((u64)device << 32 | 0x01, event, collection, 0);
}
static inline void int_(u32 device, u32 event) { command((u64)device << 32 | 0x03, event, 0, 0); }
static inline void clear(u32 device, u32 event) { command((u64)device << 32 | 0x04, event, 0, 0); }
static inline void sync_(void) { command(0x05, 0, 0, 0); }
static inline void inv(u32 device, u32 event) { command((u64)device << 32 | 0x0c, event, 0, 0); }
static inline void invall(u32 collection) { command(0x0d, 0, collection, 0); }
static inline void movall(u32 from, u32 to) { command(0x0e, 0, (u64)from << 16, (u64)to << 16); }
static inline void discard(u32 device, u32 event) { command((u64)device << 32 | 0x0f, event, 0, 0); }

static inline void lpis_on(u32 id, u32 bank, bool on)
{
    gicr_write(id, bank, 0x0, 4, on);
    settle();
}

/* Registers and CPU interfaces as a guest sets them up, all on; collection n is vCPU n. */
static inline void its_set_up(void)
{
    u32 n = m.vm.vcpu_count;

    gicd_write(0, 0, 4, 3);
    gits_write(0, GITS_BASER0, 8, (MEM_BASE + DEVICES) | PAGE_64K | VALID);
    gits_write(0, GITS_BASER1, 8, (MEM_BASE + COLLECTIONS) | PAGE_64K | VALID);
    gits_write(0, GITS_CBASER, 8, (MEM_BASE + QUEUE) | VALID | 15);
    for (u32 i = 0; i < n; i++) {
        on_cpu_of(i);
        host_gich()->vmcr = VMCR_ALL;
        gicr_write(0, i, 0x70, 8, (MEM_BASE + CONFIG) | 15);
        gicr_write(0, i, 0x78, 8, (MEM_BASE + PENDING + i * 0x10000UL) | 1UL << 62);
    }
    for (u32 i = 0; i < n; i++)
        lpis_on(0, i, true);
    gits_write(0, GITS_CTLR, 4, 1);
    for (u32 i = 0; i < n; i++)
        mapc(i, i, true);
}

static inline void its_machine_make(u32 vcpus, u32 lrs)
{
    machine_make(vcpus, 32, lrs);
    guest_memory = aligned_alloc(PAGE_SIZE, MEM_SIZE);
    if (!guest_memory)
        abort();
    memset(guest_memory, 0, MEM_SIZE);
    guest_memory_size = MEM_SIZE;
    queue_end = 0;
}

static inline void its_machine_end(void)
{
    machine_end();
    free(guest_memory);
}

#endif
