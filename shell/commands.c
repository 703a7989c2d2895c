/* SPDX-License-Identifier: Apache-2.0 */
/* The table, and how a line finds its entry. */
#include "shell/commands.h"

#include <string.h>

#include "lib/fmt.h"
#include "shell/table.h"
#include "vmm/vmm.h"

#define WORDS_MAX 8U

const struct command commands[] = {
    { "help", NULL, "[COMMAND]", "what there is, or one command in detail",
      "Without an argument: all commands. With one: how that command is written and what it does.", 0, 2,
      command_help },
    { "vm", "list", "", "the VMs and their states", "One line a VM of the configuration.", 0, 0,
      command_vm_list },
    { "vm", "start", "VM", "start a VM that is stopped",
      "Builds the VM anew from its configuration and runs it.", 1, 1, command_vm_start },
    { "vm", "stop", "VM [now]", "stop a VM",
      "Asks the guest to shut down, by its power key, and ends it when its stop-timeout-s is over. One that "
      "does not "
      "listen to the key, and any with 'now', is ended at once.",
      1, 2, command_vm_stop },
    { "vm", "reset", "VM", "stop a VM and start it anew", "What the reset button of a machine does.", 1, 1,
      command_vm_reset },
    { "vm", "pause", "VM", "keep a VM's vCPUs from running", "Memory and devices stay; see vm resume.", 1, 1,
      command_vm_pause },
    { "vm", "resume", "VM", "let a paused VM go on", "", 1, 1, command_vm_resume },
    { "vm", "console", "VM", "give the input to a VM's serial port",
      "Once more: its next port. Ctrl-] k comes back here.", 1, 1, command_vm_console },
    { "vm", "info", "VM", "a VM's parts: vCPUs, memory, devices", "", 1, 1, command_vm_info },
    { "vm", "dirty", "VM [start|start-by-fault|show|stop]", "how much of its memory a VM writes",
      "start: notes what is written from now on, by the CPU itself where it can, else by faults; "
      "start-by-fault: in any case so. show, or nothing: pages written since the last look. "
      "stop: ends it, and puts split blocks together again.",
      1, 2, command_vm_dirty },
    { "vm", "balloon", "VM [SIZE]", "memory that a VM is to give back",
      "SIZE, such as 256M: what the guest is to put into its balloon, 0 for nothing; until the VM is "
      "stopped. "
      "Alone: what is in there, and what the guest says of its memory.",
      1, 2, command_vm_balloon },
    { "vm", "weight", "VM WEIGHT", "a time-shared VM's share against others'",
      "1 to 1000, 100 unless configured; all of its vCPUs have it together. Until the VM is stopped.", 2, 2,
      command_vm_weight },
    { "vm", "terminal", "VM COLUMNS ROWS", "size of the terminal behind its virtio consoles",
      "The guest is told, and its programs with it; until the VM is stopped.", 3, 3, command_vm_terminal },
    { "vcpu", "list", "", "all vCPUs: where, by what and how much they run",
      "ran: on a CPU; waited: could have run, but did not; throttled: how often a budget was used up.", 0, 0,
      command_vcpu_list },
    { "vcpu", "pin", "VM VCPU CPU", "move a vCPU to another CPU", "Until the VM is stopped.", 3, 3,
      command_vcpu_pin },
    { "vcpu", "prio", "VM VCPU PRIORITY|shared", "a vCPU's real-time priority",
      "1 to 31, above all that is time-shared; 'shared' makes it that. Until the VM is stopped.", 3, 3,
      command_vcpu_prio },
    { "vcpu", "budget", "VM VCPU BUDGET PERIOD|off", "so many microseconds of each period for a vCPU",
      "Promised, and not more. Refused where a CPU has promised too much. Until the VM is stopped.", 3, 4,
      command_vcpu_budget },
    { "vcpu", "inject", "VM VCPU serror [SYNDROME]|abort|undefined", "let a guest take a fault",
      "serror: a system error, with bits 24:0 of the syndrome register where the CPU takes them from us; "
      "waits while "
      "the guest masks it. abort: a synchronous external abort. undefined: an undefined instruction.",
      3, 4, command_vcpu_inject },
    { "exits", NULL, "[VM]", "why guests left for Keel, counted",
      "Counts by reason; with a VM, for each of its vCPUs since it was started.", 0, 1, command_exits },
    { "io", "stats", "[VM]", "what virtual devices were asked to do, by queue",
      "requests and bytes: given back to the driver. notified: exits by which it said that there is work. "
      "batches: "
      "requests given back together. polled: how often there was more before it said so.",
      0, 1, command_io_stats },
    { "mem", NULL, "", "memory in use and free", "", 0, 0, command_mem },
    { "cost", NULL, "", "instructions since the last `cost`",
      "in guests and in Keel; CPUs count when booted with count-instructions, modulo 2^32", 0, 0,
      command_cost },
    { "cpu", NULL, "", "CPUs, their load and mitigations", "", 0, 0, command_cpu },
    { "irq", "stats", "VM [on|off|reset]", "how long a VM's interrupts take to reach it",
      "From being raised (the timer: from its deadline) until the guest is entered with them, by powers of "
      "two. on, off: measure or not. reset: forget what was measured.",
      1, 2, command_irq_stats },
    { "irq", NULL, "", "interrupt controller and interrupts", "", 0, 0, command_irq },
    { "disk", "list", "", "the host's disks, their partitions and who has them",
      "A VM names one by its name or its serial number.", 0, 0, command_disk_list },
    { "pci", NULL, "", "what is on the host's PCI", "BARs as index:address+size.", 0, 0, command_pci },
    { "net", "list", "", "networks and their ports", "", 0, 0, command_net_list },
    { "net", "stats", "[PORT]", "frames by port, counted",
      "large: of those, the ones with several segments' data; cut: large ones that were cut for the port; "
      "waits: "
      "pauses until a receiver had room. With a port: why frames were refused or dropped.",
      0, 1, command_net_stats },
    { "net", "link", "PORT up|down", "plug or unplug a port's cable", "The guest is told.", 2, 2,
      command_net_link },
    { "net", "capture", "PORT on [BYTES]|off", "keep a copy of what passes a port",
      "Up to BYTES of each frame (1514 unless said), 256K in all, for net dump. on: begins anew. off: frees "
      "it.",
      2, 3, command_net_capture },
    { "net", "dump", "PORT", "print what was captured", "As text, of which 'keel pcap' makes a file.", 1, 1,
      command_net_dump },
    { "log", NULL, "[error|warn|info|debug]", "the log so far, or what of it is shown here",
      "Without an argument: prints the log's ring. With a level: lines up to it appear on the console.", 0, 1,
      command_log },
    { "version", NULL, "", "which Keel this is", "", 0, 0, command_version },
    { "poweroff", NULL, "", "end the machine, guests and all", "Guests are not asked.", 0, 0,
      command_poweroff },
    { "panic", NULL, "", "stop as a bug in Keel would",
      "To see what a panic prints, and that whoever watches the machine notices.", 0, 0, command_panic },
};
const u32 command_count = ARRAY_SIZE(commands);

static const struct shell_facts *known_facts;
static void (*output)(const char *line);
static struct table the_table;

void commands_init(const struct shell_facts *facts, void (*out)(const char *line))
{
    known_facts = facts;
    output = out;
}

const struct shell_facts *command_facts(void) { return known_facts; }

void command_say(const char *fmt, ...)
{
    char line[256];
    va_list ap;

    va_start(ap, fmt);
    fmt_vsn(line, sizeof(line), fmt, ap);
    va_end(ap);
    output(line);
}

struct table *command_table(const char *titles)
{
    table_begin(&the_table, output, titles);
    return &the_table;
}

static void say_vms(void)
{
    char line[200] = "VMs:";
    size_t at = strlen(line);

    for (u32 i = 0; i < vmm_count() && at < sizeof(line); i++) {
        struct vmm_info info;

        vmm_get(i, &info);
        at += (size_t)fmt_sn(line + at, sizeof(line) - at, " %u=%s", i + 1, info.cfg->name);
        vmm_put(i);
    }
    output(line);
}

bool command_vm(const char *text, u32 *index)
{
    u64 number;

    if (vmm_find(text, index))
        return true;
    if (parse_u64(text, &number) && number >= 1 && number <= vmm_count()) {
        *index = (u32)number - 1;
        return true;
    }
    command_say("there is no VM '%s'", text);
    say_vms();
    return false;
}

static void usage(const struct command *c)
{
    command_say("usage: %s%s%s%s%s", c->name, c->sub ? " " : "", c->sub ? c->sub : "", c->args[0] ? " " : "",
                c->args);
}

/* Spaces separate; returns the words, of which copy holds the text. */
static u32 split(const char *line, char copy[COMMAND_LINE_MAX + 1], const char *words[WORDS_MAX + 1])
{
    u32 n = 0, i = 0;
    bool inside = false;

    for (; line[i] && i < COMMAND_LINE_MAX; i++) {
        bool space = line[i] == ' ' || line[i] == '\t';

        copy[i] = space ? '\0' : line[i];
        if (!space && !inside) {
            if (n == WORDS_MAX + 1) /* more than any command takes: the count says so */
                break;
            words[n++] = &copy[i];
        }
        inside = !space;
    }
    copy[i] = '\0';
    return n;
}

/* The entry that the words begin with. What is wrong with them is said. */
static const struct command *find(u32 n, const char *const *words)
{
    char subs[120] = "";
    size_t at = 0;

    for (u32 i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        if (strcmp(c->name, words[0]) != 0)
            continue;
        if (!c->sub || (n > 1 && strcmp(c->sub, words[1]) == 0))
            return c;
        if (at < sizeof(subs))
            at += (size_t)fmt_sn(subs + at, sizeof(subs) - at, "%s%s", at ? ", " : "", c->sub);
    }
    if (at == 0)
        command_say("unknown command '%s'; 'help' lists what there is", words[0]);
    else if (n < 2)
        command_say("%s what? One of: %s", words[0], subs);
    else
        command_say("%s does not know '%s'; it knows: %s", words[0], words[1], subs);
    return NULL;
}

void command_run(const char *line)
{
    char copy[COMMAND_LINE_MAX + 1];
    const char *words[WORDS_MAX + 1];
    u32 n = split(line, copy, words), used;
    const struct command *c;

    if (n == 0)
        return;
    c = find(n, words);
    if (!c)
        return;
    used = c->sub ? 2 : 1;
    if (n - used < c->min)
        command_say("%s%s%s needs %s", c->name, c->sub ? " " : "", c->sub ? c->sub : "", c->args);
    else if (n - used > c->max)
        command_say("'%s' is too much", words[used + c->max]);
    if (n - used < c->min || n - used > c->max)
        usage(c);
    else
        c->run(n - used, words + used);
}

void command_help(u32 argc, const char *const *argv)
{
    struct table *t;
    bool found = false;

    if (argc == 0) {
        t = command_table("command|what it does");
        for (u32 i = 0; i < command_count; i++) {
            const struct command *c = &commands[i];

            table_cell(t, "%s%s%s%s%s", c->name, c->sub ? " " : "", c->sub ? c->sub : "",
                       c->args[0] ? " " : "", c->args);
            table_cell(t, "%s", c->summary);
        }
        table_end(t);
        command_say("VM: a name or a number of 'vm list'. Ctrl-] ? tells of the console's keys.");
        return;
    }
    for (u32 i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        if (strcmp(c->name, argv[0]) != 0 || (argc > 1 && (!c->sub || strcmp(c->sub, argv[1]) != 0)))
            continue;
        usage(c);
        command_say("  %s. %s", c->summary, c->detail);
        found = true;
    }
    if (!found)
        (void)find(argc, argv);
}

static const char *nth_vm(u32 n)
{
    struct vmm_info info;

    if (n >= vmm_count())
        return NULL;
    vmm_get(n, &info);
    vmm_put(n);
    return info.cfg->name; /* the configuration stays */
}

/* First words without repetitions, or second words of one first. */
static const char *nth_word(const char *first, u32 n)
{
    for (u32 i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        bool fits = first ? c->sub && strcmp(c->name, first) == 0
                          : i == 0 || strcmp(c->name, commands[i - 1].name) != 0;

        if (fits && n-- == 0)
            return first ? c->sub : c->name;
    }
    return NULL;
}

static bool takes_vm(const struct command *c)
{
    return strncmp(c->args, "VM", 2) == 0 || strcmp(c->args, "[VM]") == 0;
}

const char *command_candidate(void *arg, const char *line, size_t word, u32 n)
{
    char copy[COMMAND_LINE_MAX + 1];
    const char *words[WORDS_MAX + 1];
    u32 before;

    (void)arg, (void)word;
    before = split(line, copy, words);
    if (before == 0)
        return nth_word(NULL, n);
    if (strcmp(words[0], "help") == 0)
        return before == 1 ? nth_word(NULL, n) : before == 2 ? nth_word(words[1], n) : NULL;
    for (u32 i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];

        if (strcmp(c->name, words[0]) != 0)
            continue;
        if (c->sub && before == 1)
            return nth_word(words[0], n);
        if (c->sub && strcmp(c->sub, words[1]) != 0)
            continue;
        return before == (c->sub ? 2U : 1U) && takes_vm(c) ? nth_vm(n) : NULL;
    }
    return NULL;
}
