/* SPDX-License-Identifier: Apache-2.0 */
/* The commands themselves: what a line says is done, and answered through `out`. */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#include "shell/shell.h"

struct vm;

#define COMMAND_LINE_MAX 200U

struct command {
    const char *name, *sub; /* sub: second word, or NULL */
    const char *args;       /* as the usage shows them, "" for none */
    const char *summary, *detail;
    u8 min, max;                                    /* arguments behind name and sub */
    void (*run)(u32 argc, const char *const *argv); /* those arguments */
};

extern const struct command commands[];
extern const u32 command_count;

void commands_init(const struct shell_facts *facts, void (*out)(const char *line));
/* Carries out one line; thread context. */
void command_run(const char *line);
/* Completion: see struct lineedit. */
const char *command_candidate(void *arg, const char *line, size_t word, u32 n);

/* For the files that hold commands. */
void command_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
struct table *command_table(const char *titles); /* the one there is; ends with table_end() */
const struct shell_facts *command_facts(void);
/* A VM by name or by its number in `vm list`; says so where there is none. */
bool command_vm(const char *text, u32 *index);

/* commands_colors.c: what `mem` and `vm info` say of cache colours, where there are any. */
void command_colors_of_all(void);
void command_colors_of_vm(struct vm *vm, u64 colors);

/* commands_balloon.c: a line of `vm info`, where it has one. */
void command_balloon_of_vm(struct vm *vm);

void command_vm_list(u32 argc, const char *const *argv);
void command_vm_start(u32 argc, const char *const *argv);
void command_vm_stop(u32 argc, const char *const *argv);
void command_vm_reset(u32 argc, const char *const *argv);
void command_vm_pause(u32 argc, const char *const *argv);
void command_vm_resume(u32 argc, const char *const *argv);
void command_vm_console(u32 argc, const char *const *argv);
void command_vm_info(u32 argc, const char *const *argv);
void command_vm_dirty(u32 argc, const char *const *argv);
void command_vm_balloon(u32 argc, const char *const *argv);
void command_vm_terminal(u32 argc, const char *const *argv);
void command_vm_weight(u32 argc, const char *const *argv);
void command_vcpu_list(u32 argc, const char *const *argv);
void command_vcpu_pin(u32 argc, const char *const *argv);
void command_vcpu_prio(u32 argc, const char *const *argv);
void command_vcpu_budget(u32 argc, const char *const *argv);
void command_vcpu_inject(u32 argc, const char *const *argv);
void command_exits(u32 argc, const char *const *argv);
void command_io_stats(u32 argc, const char *const *argv);
void command_mem(u32 argc, const char *const *argv);
void command_cost(u32 argc, const char *const *argv);
void command_cpu(u32 argc, const char *const *argv);
void command_irq_stats(u32 argc, const char *const *argv);
void command_irq(u32 argc, const char *const *argv);
void command_disk_list(u32 argc, const char *const *argv);
void command_pci(u32 argc, const char *const *argv);
void command_net_list(u32 argc, const char *const *argv);
void command_net_stats(u32 argc, const char *const *argv);
void command_net_link(u32 argc, const char *const *argv);
void command_net_capture(u32 argc, const char *const *argv);
void command_net_dump(u32 argc, const char *const *argv);
void command_log(u32 argc, const char *const *argv);
void command_version(u32 argc, const char *const *argv);
void command_poweroff(u32 argc, const char *const *argv);
void command_panic(u32 argc, const char *const *argv);
void command_help(u32 argc, const char *const *argv);

#endif
