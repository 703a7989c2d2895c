/* SPDX-License-Identifier: Apache-2.0 */
/* Keel's own end of vsock: two ports, for guests that may ask it something. What it answers is sent whole, so that there is
 * no connection to keep. */
#include <string.h>

#include "core/heap.h"
#include "vdev/manage.h"
#include "vdev/virtio/vsock_internal.h"

#define PORT_STATE 1U   /* tells at once */
#define PORT_COMMAND 2U /* hears one line */
#define ROOM 4096U      /* what we say that we take */
#define SHUTDOWN_BOTH 3U

static void say(struct vsock *s, const struct vsock_header *to, enum vsock_op op, u32 flags, const char *text,
                u32 len)
{
    const struct vsock_header h = { VSOCK_CID_KEEL, s->cid,  to->dst_port, to->src_port, 0,
                                    TYPE_STREAM,    (u16)op, flags,        ROOM,         0 };
    struct vsock_packet *p = vsock_packet_make(&h, len);

    if (p != NULL)
        memcpy(p->data, text, len);
    vsock_post(s, p);
}

/* Its answer, and the end: so there is no connection to keep. False: the answer does not fit. */
static bool command(struct vsock *s, const struct vsock_header *h, char *line)
{
    struct manage_answer *a = heap_alloc(sizeof(*a));
    bool fits;

    if (a == NULL)
        return false;
    manage_command(s->dev.vm, s->cfg, line, a);
    fits = a->len <= h->buf_alloc;
    if (fits) {
        say(s, h, OP_RW, 0, a->text, a->len);
        say(s, h, OP_SHUTDOWN, SHUTDOWN_BOTH, "", 0);
    }
    heap_free(a, sizeof(*a));
    return fits;
}

/* The packet that is in s->chain is a command: one line, whole. */
static bool hear(struct vsock *s, const struct vq *q, const struct vsock_header *h)
{
    char line[MANAGE_LINE_MAX];

    if (h->len == 0 || h->len > sizeof(line) || vq_copy_out(q, &s->chain, sizeof(*h), line, h->len) != K_OK ||
        line[h->len - 1] != '\n')
        return false;
    line[h->len - 1] = '\0';
    return command(s, h, line);
}

/* Whether there is such a port for this guest. */
static bool keel_listens(const struct vsock *s, u32 port)
{
    const struct cfg_vsock *c = s->cfg;

    return (port == PORT_STATE && c->sees != CFG_SEES_NONE) ||
           (port == PORT_COMMAND && (c->sees != CFG_SEES_NONE || c->control != NULL));
}

void vsock_to_keel(struct vsock *s, const struct vq *q, const struct vsock_header *h)
{
    bool good = keel_listens(s, h->dst_port), commands = h->dst_port == PORT_COMMAND;
    char own[] = MANAGE_OWN;

    if (good && h->op == OP_REQUEST) {
        say(s, h, OP_RESPONSE, 0, "", 0);
        good = commands || command(s, h, own);
    } else if (h->op == OP_RW) {
        good = good && commands && hear(s, q, h);
    } else if (h->op == OP_SHUTDOWN) {
        good = false;
    } else if (h->op != OP_REQUEST) {
        return;
    }
    if (!good)
        vsock_refuse(s, h);
}
