/* SPDX-License-Identifier: Apache-2.0 */
#include "vdev/flash/cfi_flash.h"

#include <string.h>

#include "config/guest_fdt.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/lock.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/panic.h"
#include "vdev/flash/cfi_backing.h"
#include "vdev/flash/cfi_store.h"

/* Commands, of which the low byte counts. */
enum {
    CMD_READ_ARRAY = 0xff,
    CMD_READ_ID = 0x90,
    CMD_READ_QUERY = 0x98,
    CMD_READ_STATUS = 0x70,
    CMD_CLEAR_STATUS = 0x50,
    CMD_PROGRAM = 0x40,
    CMD_PROGRAM_ALT = 0x10,
    CMD_BUFFER = 0xe8,
    CMD_ERASE = 0x20,
    CMD_CONFIRM = 0xd0,
    CMD_LOCK_SETUP = 0x60,
};

/* Status register of one device; what is read repeats it for the other. */
#define SR_READY 0x80U
#define SR_ERASE_ERROR 0x20U
#define SR_PROGRAM_ERROR 0x10U
#define SR_PROTECTED 0x02U
#define SR_SEQUENCE_ERROR (SR_ERASE_ERROR | SR_PROGRAM_ERROR)

/* What the next write is. */
enum state { IDLE, PROGRAM_DATA, ERASE_CONFIRM, LOCK_CONFIRM, BUFFER_COUNT, BUFFER_DATA, BUFFER_CONFIRM };
/* What a read shows. */
enum mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY };

struct bank {
    struct spinlock lock; /* guards all below */
    bool read_only;
    u8 status;
    enum state state;
    enum mode mode;
    u32 buffer_left; /* writes still to come */
    u64 buffer_base;
    u8 buffer[CFI_FLASH_BUFFER]; /* ones where not written: programming clears bits */
    struct cfi_store store;
    struct cfi_backing backing;
    u8 risk; /* the error that it is if the backing fails */
    struct vm *vm;
    u64 base;
    u64 window; /* offset of the MAP_WINDOW bytes of which pages are mapped, only while the array is shown; or NO_WINDOW */
    u8 *ones; /* an erased page, once one was mapped */
};

/* So much takes one table, which the VM's memory has room for. */
#define MAP_WINDOW SZ_2M
#define NO_WINDOW ~0UL

struct cfi_flash {
    u64 base;
    struct bank *bank[CFI_FLASH_BANKS];
};

/* One device's answer to CFI query, from word 0x10 on (JESD68.01, then Intel's extended table). Its
 * sizes are those of one device: 32 MiB in 256 blocks of 128 KiB. */
static const u8 query[] = {
    [0x00] = 'Q',
    'R',
    'Y',
    0x01,
    0x00,
    0x31,
    0x00, /* Intel extended set, table at 0x31 */
    [0x0b] = 0x45,
    0x55,
    0x00,
    0x00, /* 4.5 to 5.5 V, no Vpp */
    [0x0f] = 7,
    7,
    10,
    0,
    4,
    4,
    4,
    0, /* time-outs: word, buffer, block, chip; their maxima */
    [0x17] = 25,
    2,
    0,
    11,
    0, /* 2^25 bytes, x8/x16, buffer of 2^11 bytes */
    [0x1c] = 1,
    255,
    0,
    0x00,
    0x02, /* one region: 256 blocks of 0x200 * 256 bytes */
    [0x21] = 'P',
    'R',
    'I',
    '1',
    '0',
    [0x2f] = 1, /* one protection field */
};
#define QUERY_FIRST 0x10U

static u32 both(u32 one) { return one | one << 16; }

static u8 status_locked(struct bank *b)
{
    if (cfi_backing_busy(&b->backing))
        return (u8)(b->status & ~SR_READY);
    if (cfi_backing_failed(&b->backing))
        b->status |= b->risk;
    return b->status;
}

static u32 answer_locked(struct bank *b, u64 offset)
{
    u64 word = offset / 4;

    switch (b->mode) {
    case MODE_STATUS: return both(status_locked(b));
    case MODE_ID: /* word 0 maker, 1 device; 2 of each block: not locked */
        return both((word & 0xff) == 0 ? 0x89 : (word & 0xff) == 1 ? 0x18 : 0);
    default:
        return word >= QUERY_FIRST && word - QUERY_FIRST < sizeof(query) ? both(query[word - QUERY_FIRST])
                                                                         : 0;
    }
}

static void unmap_locked(struct bank *b)
{
    enum kerr err;

    if (b->window == NO_WINDOW)
        return;
    spin_lock(&b->vm->lock);
    err = ptw_unmap(&b->vm->stage2, b->base + b->window, MAP_WINDOW);
    spin_unlock(&b->vm->lock);
    ASSERT(err == K_OK); /* there are pages only */
    b->window = NO_WINDOW;
}

static u8 *page_to_map_locked(struct bank *b, u64 offset)
{
    u8 *page = cfi_store_page(&b->store, offset);

    if (page)
        return page;
    if (!b->ones) {
        b->ones = page_alloc();
        if (b->ones)
            memset(b->ones, 0xff, PAGE_SIZE);
    }
    return b->ones;
}

static bool map_locked(struct bank *b, u64 offset)
{
    u64 window = align_down(offset, MAP_WINDOW);
    u8 *page = page_to_map_locked(b, offset);
    enum kerr err;

    if (!page)
        return false;
    if (b->window != window)
        unmap_locked(b);
    b->window = window;
    arch_dcache_clean(page, PAGE_SIZE); /* the guest may look past the caches */
    spin_lock(&b->vm->lock);
    err =
        ptw_map(&b->vm->stage2, b->base + align_down(offset, PAGE_SIZE), ptr_to_hpa(page), PAGE_SIZE, MAP_R);
    spin_unlock(&b->vm->lock);
    return err == K_OK || err == K_EXIST;
}

/* Where firmware is mapped, what is behind it has no part in this. */
static bool bank_map(void *ctx, u64 offset)
{
    struct bank *b = ctx;
    bool mapped;

    spin_lock(&b->lock);
    mapped = !b->read_only && b->mode == MODE_ARRAY && map_locked(b, offset);
    spin_unlock(&b->lock);
    return mapped;
}

static u64 bank_read(void *ctx, struct vcpu *v, u64 offset, unsigned size)
{
    struct bank *b = ctx;
    u64 value = 0;

    (void)v;
    spin_lock(&b->lock);
    for (unsigned i = 0; i < size; i++) {
        u64 at = offset + i;
        u8 byte = b->mode == MODE_ARRAY ? cfi_store_read(&b->store, at)
                                        : (u8)(answer_locked(b, at) >> (at % 4 * 8));

        value |= (u64)byte << (i * 8);
    }
    spin_unlock(&b->lock);
    return value;
}

static void changed_locked(struct bank *b, u64 offset, u64 n, u8 risk)
{
    b->risk = risk;
    cfi_backing_changed(&b->backing, offset, n);
}

static void erase_locked(struct bank *b, u64 offset)
{
    if (b->read_only) {
        b->status |= SR_ERASE_ERROR | SR_PROTECTED;
        return;
    }
    cfi_store_erase_sector(&b->store, offset);
    changed_locked(b, align_down(offset, CFI_FLASH_SECTOR), CFI_FLASH_SECTOR, SR_ERASE_ERROR);
}

static void program_locked(struct bank *b, u64 offset, const u8 *p, size_t n)
{
    if (b->read_only)
        b->status |= SR_PROGRAM_ERROR | SR_PROTECTED;
    else if (offset % PAGE_SIZE + n > PAGE_SIZE || !cfi_backing_holds(&b->backing, offset) ||
             cfi_store_program(&b->store, offset, p, n) != K_OK)
        b->status |= SR_PROGRAM_ERROR; /* unaligned across pages: no bus cycle of these chips */
    else
        changed_locked(b, offset, n, SR_PROGRAM_ERROR);
}

static void command_locked(struct bank *b, u8 cmd)
{
    b->mode = MODE_STATUS;
    switch (cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT: b->state = PROGRAM_DATA; break;
    case CMD_ERASE: b->state = ERASE_CONFIRM; break;
    case CMD_LOCK_SETUP: b->state = LOCK_CONFIRM; break;
    case CMD_BUFFER: b->state = BUFFER_COUNT; break;
    case CMD_READ_STATUS: break;
    case CMD_READ_ID: b->mode = MODE_ID; break;
    case CMD_READ_QUERY: b->mode = MODE_QUERY; break;
    case CMD_CLEAR_STATUS:
        b->status = SR_READY;
        b->mode = MODE_ARRAY;
        break;
    default: /* read array, and what other makers' chips would know: AMD's reset is 0xf0 */
        b->mode = MODE_ARRAY;
        break;
    }
}

static void put_bytes(u8 *p, u64 value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (u8)(value >> (i * 8));
}

static void confirm_locked(struct bank *b, u64 offset, u8 cmd)
{
    enum state state = b->state;

    b->state = IDLE;
    if (cmd == CMD_READ_ARRAY) {
        b->mode = MODE_ARRAY;
    } else if (state == LOCK_CONFIRM) {
        /* Blocks have no locks: locking, unlocking and lock-down all succeed and do nothing. */
    } else if (cmd != CMD_CONFIRM) {
        b->status |= SR_SEQUENCE_ERROR;
    } else if (state == ERASE_CONFIRM) {
        erase_locked(b, offset);
    } else {
        program_locked(b, b->buffer_base, b->buffer, sizeof(b->buffer));
    }
}

static void buffer_data_locked(struct bank *b, u64 offset, unsigned size, u64 value)
{
    if (b->buffer_base == ~0UL) { /* the first write says which buffer's worth of flash it is */
        b->buffer_base = align_down(offset, CFI_FLASH_BUFFER);
        memset(b->buffer, 0xff, sizeof(b->buffer));
    }
    if (!range_within(offset, size, b->buffer_base, CFI_FLASH_BUFFER)) {
        b->status |= SR_SEQUENCE_ERROR;
        b->state = IDLE;
        return;
    }
    put_bytes(b->buffer + (offset - b->buffer_base), value, size);
    if (--b->buffer_left == 0)
        b->state = BUFFER_CONFIRM;
}

/* One bus cycle: at most 32 bits. A chip that is busy takes none. */
static void cycle_locked(struct bank *b, u64 offset, unsigned size, u64 value)
{
    u8 data[4];

    if (cfi_backing_busy(&b->backing))
        return;
    (void)status_locked(b); /* what went wrong is known before the next command */
    switch (b->state) {
    case IDLE: command_locked(b, (u8)value); break;
    case PROGRAM_DATA:
        b->state = IDLE;
        put_bytes(data, value, size);
        program_locked(b, offset, data, size);
        break;
    case BUFFER_COUNT: /* of writes, less one; each device counts its own half of them */
        b->buffer_left = (u32)(value & 0xffff) + 1;
        b->buffer_base = ~0UL;
        b->state = BUFFER_DATA;
        break;
    case BUFFER_DATA: buffer_data_locked(b, offset, size, value); break;
    default: confirm_locked(b, offset, (u8)value); break;
    }
}

static void bank_write(void *ctx, struct vcpu *v, u64 offset, unsigned size, u64 value)
{
    struct bank *b = ctx;

    (void)v;
    spin_lock(&b->lock);
    unmap_locked(b);
    if (size <= 4) {
        cycle_locked(b, offset, size, value);
    } else {
        cycle_locked(b, offset, 4, (u32)value);
        cycle_locked(b, offset + 4, 4, value >> 32);
    }
    spin_unlock(&b->lock);
}

_Static_assert(CFI_FLASH_BUFFER == PAGE_SIZE, "the buffer is programmed as one piece of a page");

static const struct bus_ops ops = { .read = bank_read, .write = bank_write, .map = bank_map };

static void bank_reset(struct bank *b)
{
    b->status = SR_READY;
    b->state = IDLE;
    b->mode = MODE_ARRAY;
}

static void flash_reset(void *dev)
{
    struct cfi_flash *f = dev;

    for (u32 i = 0; i < CFI_FLASH_BANKS; i++) {
        cfi_backing_wait(&f->bank[i]->backing);
        bank_reset(f->bank[i]);
    }
}

static void flash_destroy(void *dev)
{
    struct cfi_flash *f = dev;

    for (u32 i = 0; i < CFI_FLASH_BANKS; i++) {
        if (f->bank[i]) {
            cfi_backing_close(&f->bank[i]->backing);
            cfi_store_drop(&f->bank[i]->store);
            if (f->bank[i]->ones)
                page_free(f->bank[i]->ones);
        }
        heap_free(f->bank[i], sizeof(*f->bank[i]));
    }
    heap_free(f, sizeof(*f));
}

static enum kerr flash_create(struct vm *vm, const struct cfg_device *cfg, void **dev)
{
    struct cfi_flash *f;
    enum kerr err = K_OK;

    if (cfg->size != 0 && cfg->size != CFI_FLASH_BANKS * GUEST_FLASH_SIZE)
        return K_INVAL;
    f = heap_alloc(sizeof(*f));
    if (!f)
        return K_NOMEM;
    f->base = cfg->size ? cfg->base : GUEST_FLASH_BASE;
    for (u32 i = 0; i < CFI_FLASH_BANKS && err == K_OK; i++) {
        struct bank *b = heap_alloc(sizeof(*b));

        f->bank[i] = b;
        if (!b) {
            err = K_NOMEM;
            break;
        }
        spin_init(&b->lock, LOCK_RANK_VDEV);
        b->read_only = i == 0;
        b->vm = vm;
        b->base = f->base + i * GUEST_FLASH_SIZE;
        b->window = NO_WINDOW;
        bank_reset(b);
    }
    if (err == K_OK && cfg->kind == CFG_IS_FLASH && cfg->disk.device)
        err = cfi_backing_open(&f->bank[1]->backing, vm, cfg, &f->bank[1]->store);
    /* The bus forgets nothing, so both windows go in last; a VM whose second one fails is not started. */
    for (u32 i = 0; i < CFI_FLASH_BANKS && err == K_OK; i++) {
        const struct bus_region region = { .base = f->bank[i]->base,
                                           .size = GUEST_FLASH_SIZE,
                                           .ops = &ops,
                                           .ctx = f->bank[i],
                                           .name = cfg->node };

        err = bus_add(&vm->mmio, &region, NULL);
    }
    if (err != K_OK) {
        flash_destroy(f);
        return err;
    }
    *dev = f;
    return K_OK;
}

static void flash_fdt(void *dev, struct gfdt *fdt)
{
    struct cfi_flash *f = dev;
    const u64 banks[2 * CFI_FLASH_BANKS] = { f->base, GUEST_FLASH_SIZE, f->base + GUEST_FLASH_SIZE,
                                             GUEST_FLASH_SIZE };

    gfdt_node_at(fdt, "flash", f->base);
    gfdt_string(fdt, "compatible", "cfi-flash");
    gfdt_reg(fdt, banks, CFI_FLASH_BANKS);
    gfdt_u32(fdt, "bank-width", 4);
    gfdt_end_node(fdt);
}

const struct vdev_model cfi_flash_model = {
    .compatible = "cfi-flash",
    .create = flash_create,
    .reset = flash_reset,
    .destroy = flash_destroy,
    .fdt = flash_fdt,
};
