/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin for QEMU's translator: every stretch of instructions for which a CPU at EL2 had interrupts masked, that is longer
 * than `least`. Arguments from=ADDRESS, to=ADDRESS (Keel's text), asks=ADDRESS (where
 * it looks for interrupts by itself), least=INSTRUCTIONS, out=FILE. A line of that file is
 *
 * first-address instructions address*instructions...
 *
 * with what ran, by translation block. What of QEMU's plugin interface is used is declared here: its header is in no package. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_CPUS 8
#define MAX_BLOCKS 4096 /* different ones in one stretch; more count, but are not named */
#define INSN_ERET 0xd69f03e0U
#define INSN_WFI 0xd503207fU
#define PSTATE_I 0x80U
#define PSTATE_EL(pstate) ((pstate) >> 2 & 3)
#define READS_REGISTERS 1

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct bytes { /* GByteArray, GArray */
    uint8_t *data;
    unsigned len;
};
struct register_descriptor {
    struct qemu_plugin_register *handle;
    const char *name, *feature;
};

EXPORT int qemu_plugin_version = 4;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
void qemu_plugin_register_vcpu_init_cb(uint64_t id, void (*fn)(uint64_t id, unsigned cpu));
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*fn)(unsigned cpu, void *arg),
                                          int flags, void *arg);
struct bytes *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *handle, struct bytes *to);
struct bytes *g_byte_array_new(void);
struct bytes *g_byte_array_set_size(struct bytes *b, unsigned len);

struct block {
    uint64_t at;
    uint32_t insns;
    int starts, ends; /* a stretch: takes interrupts; returns, or waits for one */
    uint64_t ran[MAX_CPUS];
};

static struct stretch {
    uint64_t insns;
    unsigned blocks;
    struct block *block[MAX_BLOCKS];
    struct qemu_plugin_register *pstate;
    struct bytes *value;
} stretches[MAX_CPUS];

static uint64_t from, to, asks, least;
static FILE *out;

static void end_stretch(struct stretch *s, unsigned cpu)
{
    if (s->insns >= least)
        fprintf(out, "%" PRIx64 " %" PRIu64, s->block[0]->at, s->insns);
    for (unsigned i = 0; i < s->blocks; i++) {
        if (s->insns >= least)
            fprintf(out, " %" PRIx64 "*%" PRIu64, s->block[i]->at, s->block[i]->ran[cpu]);
        s->block[i]->ran[cpu] = 0;
    }
    if (s->insns >= least) {
        fputc('\n', out);
        fflush(out);
    }
    s->insns = 0;
    s->blocks = 0;
}

static void run(unsigned cpu, void *arg)
{
    struct stretch *s = &stretches[cpu];
    struct block *b = arg;
    uint32_t pstate = 0;

    g_byte_array_set_size(s->value, 0);
    if (qemu_plugin_read_register(s->pstate, s->value) < (int)sizeof(pstate))
        abort();
    memcpy(&pstate, s->value->data, sizeof(pstate));
    if (PSTATE_EL(pstate) != 2)
        return;
    if ((pstate & PSTATE_I) == 0) {
        end_stretch(s, cpu);
        return;
    }
    if (b->starts)
        end_stretch(s, cpu);
    if (b->ran[cpu] == 0 && s->blocks < MAX_BLOCKS)
        s->block[s->blocks++] = b;
    b->ran[cpu] += b->insns;
    s->insns += b->insns;
    if (b->ends)
        end_stretch(s, cpu);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    uint64_t at = qemu_plugin_tb_vaddr(tb);
    size_t insns = qemu_plugin_tb_n_insns(tb);
    uint32_t last = 0;
    struct block *b;

    (void)id;
    if (at < from || at >= to)
        return;
    b = calloc(1, sizeof(*b));
    if (b == NULL ||
        qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, insns - 1), &last, sizeof(last)) != sizeof(last))
        abort();
    b->at = at;
    b->insns = (uint32_t)insns;
    b->starts = at == asks;
    b->ends = last == INSN_ERET || last == INSN_WFI;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, run, READS_REGISTERS, b);
}

static void cpu_made(uint64_t id, unsigned cpu)
{
    struct bytes *all = qemu_plugin_get_registers();
    struct register_descriptor *r = (struct register_descriptor *)all->data;

    (void)id;
    if (cpu >= MAX_CPUS)
        abort();
    for (unsigned i = 0; i < all->len; i++)
        if (strcmp(r[i].name, "cpsr") == 0)
            stretches[cpu].pstate = r[i].handle;
    stretches[cpu].value = g_byte_array_new();
    if (stretches[cpu].pstate == NULL)
        abort();
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (value == NULL)
            return 1;
        value++;
        if (strncmp(argv[i], "from=", 5) == 0)
            from = strtoull(value, NULL, 0);
        else if (strncmp(argv[i], "to=", 3) == 0)
            to = strtoull(value, NULL, 0);
        else if (strncmp(argv[i], "asks=", 5) == 0)
            asks = strtoull(value, NULL, 0);
        else if (strncmp(argv[i], "least=", 6) == 0)
            least = strtoull(value, NULL, 0);
        else if (strncmp(argv[i], "out=", 4) == 0)
            out = fopen(value, "w");
    }
    if (out == NULL || to <= from || least == 0)
        return 1;
    qemu_plugin_register_vcpu_init_cb(id, cpu_made);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
