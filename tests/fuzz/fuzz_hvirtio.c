/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device of the host that writes what it likes into its area of the ring, and says anything of itself. What is got
 * back must be with it, once; after a reset that it obeys it must be served as at first. */
#include "tests/fuzz/fuzz_hvirtio.h"

#include "lib/bits.h"

#define SIZE 8U
#define BUFS 6U

struct op {
    u8 what, a;
    u16 b;
    u32 value;
};

static struct hvq *q;
static struct hvq_layout layout;
static bool is_with[SIZE + 1];

const struct hvirtio_driver *const hvirtio_drivers[] = { NULL };

static u32 generation(struct hvirtio *d)
{
    (void)d;
    return ++lie; /* never the same twice */
}

static u32 config_read(struct hvirtio *d, u32 offset, u32 size)
{
    (void)d, (void)size;
    return offset * 0x01010101U;
}

static u32 queue_size_max(struct hvirtio *d, u32 queue)
{
    (void)d, (void)queue;
    return SIZE;
}

static enum kerr queue_enable(struct hvirtio *d, u32 queue, const struct hvq_layout *l)
{
    (void)d, (void)queue;
    layout = *l;
    return K_OK;
}

static void fn(void *arg) { (void)arg; }

static u8 *device_area(void) { return hpa_to_ptr(layout.device); }

static void taken(const void *token)
{
    uintptr_t t = (uintptr_t)token;

    if (t == 0 || t > SIZE || !is_with[t])
        abort();
    is_with[t] = false;
}

static void add(u32 out, u32 in)
{
    struct hvq_buf buf[BUFS] = { 0 };
    uintptr_t t = 1;

    while (t <= SIZE && is_with[t])
        t++;
    if (t <= SIZE && hvq_add(q, buf, out, in, (void *)t) == K_OK)
        is_with[t] = true;
}

static void restart(void)
{
    void *token;

    hvirtio_fail(&dev, "test");
    lie = 0;
    if (hvirtio_stop(&dev) != K_OK)
        abort();
    while ((token = hvq_take_back(q)) != NULL)
        taken(token);
    for (u32 t = 1; t <= SIZE; t++)
        if (is_with[t])
            abort();
    offered |= BIT(HVIRTIO_F_VERSION_1);
    if (hvirtio_restart(&dev) != K_OK || q->free_count != SIZE)
        abort();
}

/* By the book. */
static void check_alive(void)
{
    u32 len;

    restart();
    for (u16 i = 1; i <= 3 * SIZE; i++) {
        u32 entry[2] = { q->free, 5 };

        add(1, 0);
        memcpy(device_area() + 4 + (i - 1) % SIZE * 8, entry, sizeof(entry));
        memcpy(device_area() + 2, &i, 2);
        taken(hvq_get(q, &len));
        if (len != 5)
            abort();
    }
}

static void run(const struct op *op)
{
    u32 len;
    const void *token;
    u8 config[64];
    u16 index;

    switch (op->what % 8) {
    case 0: add(op->a % 3, 1 + op->b % 3); break;
    case 1: hvq_kick(q); break;
    case 2: memcpy(device_area() + op->b % (SIZE * 8 + 4), &op->value, 4); break;
    case 3:
        index = (u16)(q->used + op->b % 3);
        memcpy(device_area() + 4 + q->used % SIZE * 8, (u32[]){ op->a % (SIZE + 1), op->value }, 8);
        memcpy(device_area() + 2, &index, 2);
        break;
    case 4:
        token = hvq_get(q, &len);
        if (token != NULL)
            taken(token);
        break;
    case 5:
        if (op->a & 1)
            hvq_silence(q);
        else
            (void)hvq_listen(q);
        break;
    case 6:
        lie = op->a;
        (void)hvirtio_ask(&dev);
        hvirtio_config(&dev, op->b, config, 1 + op->value % sizeof(config));
        lie = 0;
        break;
    default:
        if (op->a & 1)
            restart();
        else
            memcpy((u8 *)hpa_to_ptr(layout.desc) + op->b % (SIZE * 16), &op->value, 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op op;

    host_events_reset();
    if (size < 1)
        return 0;
    memset(&dev, 0, sizeof(dev));
    memset(is_with, 0, sizeof(is_with));
    dev.ops = &ops;
    dev.coherent = true;
    status = lie = 0;
    offered = BIT(HVIRTIO_F_VERSION_1) | ((data[0] & 1) != 0 ? BIT(HVIRTIO_F_EVENT_IDX) : 0) |
              ((data[0] & 2) != 0 ? BIT(HVIRTIO_F_INDIRECT_DESC) : 0);
    if (hvirtio_begin(&dev, ~0UL, 1) != K_OK ||
        hvq_create(&dev, 0, SIZE, (data[0] & 4) != 0 ? BUFS : 0, 0, fn, NULL, &q) != K_OK)
        abort();
    hvirtio_go(&dev);
    for (data++, size--; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        run(&op);
    }
    check_alive();
    forget();
    return 0;
}
