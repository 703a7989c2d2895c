/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/disk.h"

#include <string.h>

#include "arch/mmu.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/task.h"
#include "drivers/disk/gpt.h"
#include "drivers/disk/overlay.h"
#include "lib/checked.h"
#include "lib/fmt.h"

#define DISK_SAY_MAX 100U

/* Part of a disk, or all, in the hands of one user. */
struct part {
    struct block_device dev;
    struct disk *disk;
    u64 sector; /* where it begins */
    const char *user;
    struct part *next;
};

static struct disk *disks[DISKS_MAX]; /* from boot on */
static u32 disk_count;
static struct part *parts; /* under the lock */
static struct spinlock lock = SPINLOCK_INIT(LOCK_RANK_HOST_DEVICE);

enum kerr disk_add(struct disk *d)
{
    if (disk_count == DISKS_MAX)
        return K_FULL;
    disks[disk_count++] = d;
    return K_OK;
}

const struct disk *disk_get(u32 i) { return i < disk_count ? disks[i] : NULL; }

/* --- waiting --- */

struct waiter {
    struct block_request r;
    struct task *task;
    u32 done; /* atomic */
    enum kerr result;
};

static void wake(struct block_request *r, enum kerr result)
{
    struct waiter *w = container_of(r, struct waiter, r);
    struct task *t = w->task;

    w->result = result;
    __atomic_store_n(&w->done, 1, __ATOMIC_RELEASE); /* w is gone as soon as its owner sees it */
    task_wake(t);
}

enum kerr disk_request(struct block_device *d, enum block_op op, u64 sector, void *buf, u64 sectors)
{
    struct block_vec vec = { ptr_to_hpa(buf), (u32)(sectors * BLOCK_SECTOR) };
    struct waiter w = { .r = { .op = op,
                               .sector = sector,
                               .sectors = sectors,
                               .vec = &vec,
                               .vecs = buf != NULL,
                               .done = wake },
                        .task = task_current() };

    if (!range_within(sector, sectors, 0, d->sectors) || sectors > d->max_sectors)
        return K_RANGE;
    d->ops->submit(d, &w.r);
    while (__atomic_load_n(&w.done, __ATOMIC_ACQUIRE) == 0)
        task_block();
    return w.result;
}

static enum kerr source_read(void *arg, u64 sector, void *buf, u64 sectors)
{
    struct disk *d = arg;
    u64 most = d->dev.max_sectors, n;
    enum kerr e = K_OK;

    for (u64 done = 0; done < sectors && e == K_OK; done += n) {
        n = sectors - done < most ? sectors - done : most;
        e = disk_request(&d->dev, BLOCK_READ, sector + done, (char *)buf + done * BLOCK_SECTOR, n);
    }
    return e;
}

enum kerr disk_partitions(const struct disk *d, void (*each)(void *arg, const struct disk_partition *p),
                          void *arg)
{
    struct gpt_source s = {
        .sectors = d->dev.sectors, .unit = d->dev.unit, .read = source_read, .arg = (void *)(uintptr_t)d
    };

    return gpt_read(&s, each, arg);
}

/* --- opening --- */

static void part_submit(struct block_device *dev, struct block_request *first)
{
    struct part *p = container_of(dev, struct part, dev);
    struct block_device *base = &p->disk->dev;

    for (struct block_request *r = first; r != NULL; r = r->next)
        r->sector += p->sector;
    base->ops->submit(base, first);
}

static void part_destroy(struct block_device *dev)
{
    struct part *p = container_of(dev, struct part, dev);
    unsigned long flags = spin_lock_irq(&lock);
    struct part **at = &parts;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    spin_unlock_irq(&lock, flags);
    heap_free(p, sizeof(*p));
}

static const struct block_ops part_ops = { .submit = part_submit, .destroy = part_destroy };

static struct disk *find(const char *device)
{
    for (u32 i = 0; i < disk_count; i++)
        if (strcmp(disks[i]->name, device) == 0)
            return disks[i];
    for (u32 i = 0; i < disk_count; i++)
        if (disks[i]->serial[0] != '\0' && strcmp(disks[i]->serial, device) == 0)
            return disks[i];
    return NULL;
}

static void say_disks(const char *device, char *why, size_t size)
{
    int n = fmt_sn(why, size, "this host has no disk '%s'; it has", device);

    if (disk_count == 0)
        (void)fmt_sn(why + n, (size_t)n < size ? size - (size_t)n : 0, " none");
    for (u32 i = 0; i < disk_count && (size_t)n < size; i++)
        n += fmt_sn(why + n, size - (size_t)n, "%s %s%s%s%s", i != 0 ? "," : "", disks[i]->name,
                    disks[i]->serial[0] != '\0' ? " (" : "", disks[i]->serial,
                    disks[i]->serial[0] != '\0' ? ")" : "");
}

struct search {
    const char *name;
    u64 number; /* 0: by name */
    u32 found;
    struct disk_partition p;
    char there[DISK_SAY_MAX]; /* all that there are */
    int said;
};

static void look(void *arg, const struct disk_partition *p)
{
    struct search *s = arg;

    if (s->said < (int)sizeof(s->there))
        s->said += fmt_sn(s->there + s->said, sizeof(s->there) - (size_t)s->said, "%s %u%s%s%s",
                          s->said != 0 ? "," : "", p->number, p->name[0] != '\0' ? " (" : "", p->name,
                          p->name[0] != '\0' ? ")" : "");
    if (s->number != 0 ? p->number == s->number : strcmp(p->name, s->name) == 0) {
        s->p = *p;
        s->found++;
    }
}

static enum kerr find_partition(struct disk *d, const char *name, struct disk_partition *out, char *why,
                                size_t size)
{
    struct search s = { .name = name };
    enum kerr e;

    if (!parse_u64(name, &s.number))
        s.number = 0;
    e = disk_partitions(d, look, &s);
    if (e == K_NOENT)
        (void)fmt_sn(why, size, "%s has no partition table (GPT)", d->name);
    else if (e == K_INVAL)
        (void)fmt_sn(why, size, "the partition table of %s is damaged", d->name);
    else if (e != K_OK)
        (void)fmt_sn(why, size, "the partition table of %s cannot be read: %s", d->name, kerr_str(e));
    if (e != K_OK)
        return e;
    if (s.found != 1) {
        (void)fmt_sn(why, size, "%s has %s partition '%s'; it has%s", d->name,
                     s.found == 0 ? "no" : "more than one", name, s.said != 0 ? s.there : " none");
        return K_NOENT;
    }
    *out = s.p;
    return K_OK;
}

/* Takes p's place if nobody is in the way. */
static enum kerr claim(struct part *p, char *why, size_t size)
{
    unsigned long flags = spin_lock_irq(&lock);
    const struct part *other = parts;

    while (other != NULL && (other->disk != p->disk || (other->dev.read_only && p->dev.read_only) ||
                             !ranges_overlap(p->sector, p->dev.sectors, other->sector, other->dev.sectors)))
        other = other->next;
    if (other == NULL) {
        p->next = parts;
        parts = p;
    }
    spin_unlock_irq(&lock, flags);
    if (other == NULL)
        return K_OK;
    (void)fmt_sn(why, size, "%s is %s by %s: they may share what both only read, or different partitions",
                 p->disk->name, other->dev.read_only ? "read" : "written", other->user);
    return K_BUSY;
}

static enum kerr open_part(const struct disk_want *want, struct block_device **out, char *why, size_t size)
{
    struct disk *d = find(want->device);
    bool reads_only = want->read_only || want->overlay;
    struct disk_partition place = { .sector = 0 };
    struct part *p;
    enum kerr e = K_OK;

    if (d == NULL) {
        say_disks(want->device, why, size);
        return K_NOENT;
    }
    place.sectors = d->dev.sectors;
    if (want->partition != NULL)
        e = find_partition(d, want->partition, &place, why, size);
    if (e != K_OK)
        return e;
    if (d->dev.read_only && !reads_only) {
        (void)fmt_sn(why, size, "%s cannot be written: wants read-only or an overlay", d->name);
        return K_INVAL;
    }
    p = heap_alloc(sizeof(*p));
    if (p == NULL)
        return K_NOMEM;
    p->dev = d->dev;
    p->dev.ops = &part_ops;
    p->dev.sectors = place.sectors;
    p->dev.read_only = reads_only;
    p->disk = d;
    p->sector = place.sector;
    p->user = want->user;
    e = claim(p, why, size);
    if (e != K_OK)
        heap_free(p, sizeof(*p));
    else
        *out = &p->dev;
    return e;
}

enum kerr disk_open(const struct disk_want *want, struct block_device **out, char *why, size_t why_size)
{
    struct block_device *part;
    enum kerr e;

    why[0] = '\0';
    e = open_part(want, &part, why, why_size);
    if (e != K_OK || !want->overlay) {
        if (e == K_OK)
            *out = part;
        return e;
    }
    e = overlay_create(part, out);
    if (e != K_OK)
        part->ops->destroy(part);
    return e;
}

void disk_uses(const struct disk *d, void (*each)(void *arg, const struct disk_use *u), void *arg)
{
    unsigned long flags = spin_lock_irq(&lock);

    for (const struct part *p = parts; p != NULL; p = p->next) {
        struct disk_use u = { p->user, p->sector, p->dev.sectors, !p->dev.read_only };

        if (p->disk == d)
            each(arg, &u);
    }
    spin_unlock_irq(&lock, flags);
}
