/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything is joined: from the device tree to running guests. Boot CPU, boot stack. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/debug.h"
#include "arch/arm64/pmu.h"
#include "arch/arm64/stage2.h"
#include "arch/gich.h"
#include "arch/irq.h"
#include "arch/time.h"
#include "config/config.h"
#include "core/frames.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/sched.h"
#include "core/vmid.h"
#include "drivers/bcm2835_pm.h"
#include "drivers/console.h"
#include "drivers/disk/queue.h"
#include "drivers/pvpanic.h"
#include "drivers/rtc.h"
#include "drivers/uart.h"
#include "init/board.h"
#include "init/devices.h"
#include "init/facts.h"
#include "init/llc.h"
#include "init/models.h"
#include "irq/host.h"
#include "lib/bits.h"
#include "lib/checked.h"
#include "lib/fmt.h"
#include "lib/panic.h"
#include "shell/shell.h"
#include "vmm/vmm.h"

#define UART_WINDOW SZ_4K
#define ECAM_BUS0 0x100000UL
#define CPU_START_TIMEOUT_NS 2000000000UL
#define PUT_TRIES 1000000U
#define LOG_RING_SIZE 65536U

void boot_main(const void *dtb);

static struct board board;
static struct cfg_machine *machine;
static struct uart console_uart, log_uart;

/* Boot messages, polled, until the console thread is there; then the second UART's, where the log has one. */
static void polled_put(const struct uart *u, const char *p, size_t n)
{
    for (u32 i = 0; i < PUT_TRIES && n > 0; i++) {
        size_t done = u->drv->put(u->base, p, n);

        p += done;
        n -= done;
    }
}

static void early_sink(enum log_level level, const char *text, size_t len)
{
    (void)level;
    polled_put(&console_uart, text, len);
}

static void second_uart_sink(enum log_level level, const char *text, size_t len)
{
    (void)level;
    polled_put(&log_uart, text, len);
}

static bool uart_open(const struct board_uart *b, struct uart *u)
{
    u->drv = b->compatible != NULL ? uart_find(b->compatible) : NULL;
    if (u->drv == NULL)
        return false;
    u->base = b->base;
    u->irq = b->irq;
    u->drv->init(u->base, b->reg_shift, b->io_width);
    return true;
}

static void early_console(void)
{
    if (board.uart[0].compatible == NULL || mmu_early_device(board.uart[0].base) == NULL)
        return;
    if (uart_open(&board.uart[0], &console_uart) && !board_has_arg(&board, "quiet"))
        log_set_sink(early_sink);
}

/* Adds [base, end) to the allocator, less what is reserved. Each reservation cuts a range in two at most. */
static void add_free(u64 base, u64 end, u32 from)
{
    for (u32 i = from; i < board.reserved_count; i++) {
        u64 r = align_down(board.reserved[i].base, PAGE_SIZE);
        u64 r_end = align_up(board.reserved[i].base + board.reserved[i].size, PAGE_SIZE);

        if (!ranges_overlap(base, end - base, r, r_end - r))
            continue;
        if (base < r)
            add_free(base, r, i + 1);
        if (end > r_end)
            add_free(r_end, end, i + 1);
        return;
    }
    if (end > base)
        frames_add(HPA(base), end - base);
}

static void reserve(u64 base, u64 size)
{
    if (board.reserved_count == BOARD_RANGES)
        panic("board: more than %u reserved ranges", BOARD_RANGES);
    board.reserved[board.reserved_count++] = (struct boot_ram){ base, size };
}

/* A place for the allocator's bitmaps: behind the image, or else the first gap that holds them. */
static u64 find_room(u64 size)
{
    for (u32 i = 0; i < board.ram_count; i++) {
        u64 at = board.ram[i].base, end = at + board.ram[i].size;
        bool moved = true;

        while (moved && at + size <= end) {
            moved = false;
            for (u32 j = 0; j < board.reserved_count; j++)
                if (ranges_overlap(at, size, board.reserved[j].base, board.reserved[j].size)) {
                    at = align_up(board.reserved[j].base + board.reserved[j].size, PAGE_SIZE);
                    moved = true;
                }
        }
        if (at + size <= end)
            return at;
    }
    panic("no room for the frame allocator's %#lx bytes", size);
}

static void memory_init(void)
{
    u64 low = ~0UL, high = 0, meta, meta_size;
    enum kerr e;

    for (u32 i = 0; i < board.ram_count; i++) {
        low = min_u64(low, board.ram[i].base);
        high = max_u64(high, board.ram[i].base + board.ram[i].size);
        if (!mmu_early_ram(board.ram[i].base, board.ram[i].size))
            panic("RAM at %#lx does not fit the boot map", board.ram[i].base);
    }
    reserve(0, PAGE_SIZE); /* NULL must be nobody's memory */
    reserve((uintptr_t)_start_image, (u64)(_early_end - _start_image));
    meta_size = align_up(frames_meta_size(HPA(low), HPA(high)), PAGE_SIZE);
    meta = find_room(meta_size);
    reserve(meta, meta_size);
    frames_init(HPA(low), HPA(high), (void *)(uintptr_t)meta);
    for (u32 i = 0; i < board.ram_count; i++)
        add_free(board.ram[i].base, board.ram[i].base + board.ram[i].size, 0);

    e = mmu_init(board.ram, board.ram_count);
    for (u32 i = 0; i < ARRAY_SIZE(board.uart) && e == K_OK; i++)
        if (board.uart[i].compatible != NULL)
            e = arch_map_device(HPA(board.uart[i].base), UART_WINDOW);
    if (e == K_OK)
        e = arch_map_device(HPA(board.gic.gicd), board.gic.gicd_size);
    if (e == K_OK && board.gic.version == 2)
        e = arch_map_device(HPA(board.gic.gicc), board.gic.gicc_size);
    if (e == K_OK && board.gic.version == 2)
        e = arch_map_device(HPA(board.gic.gich), board.gic.gich_size);
    for (u32 i = 0; i < board.gic.gicr_count && e == K_OK; i++)
        e = arch_map_device(HPA(board.gic.gicr[i]), board.gic.gicr_size[i]);
    if (e == K_OK && board.rtc != 0)
        e = arch_map_device(HPA(board.rtc), PAGE_SIZE);
    if (e == K_OK && board.bcm2835_pm != 0)
        e = arch_map_device(HPA(board.bcm2835_pm), PAGE_SIZE);
    if (e != K_OK)
        panic("no memory for Keel's own map: %s", kerr_str(e));
    mmu_enter();
}

/* What would only make the image larger. */
static void buffers_init(void)
{
    char *ring = heap_alloc(LOG_RING_SIZE);

    machine = heap_alloc(sizeof(*machine));
    if (ring == NULL || machine == NULL)
        panic("no memory for the log and the configuration");
    log_set_memory(ring, LOG_RING_SIZE);
}

/* As many as the CPU has, or fewer by `vmid-bits=N`: to see generations change. */
static void vmids_init(void)
{
    char text[4];
    u64 bits = stage2_vmid_bits(), n;

    if (board_arg(&board, "vmid-bits", text, sizeof(text)) != NULL && parse_u64(text, &n))
        bits = min_u64(bits, n);
    vmid_init((u32)bits, board.cpu_count);
}

/* A reset is what who started the machine can tell from its end. */
static void bcm2835_off(bool failed)
{
    char how[8];

    if (failed && board_arg(&board, "failed", how, sizeof(how)) != NULL && strcmp(how, "reset") == 0)
        bcm2835_pm_reset();
    else
        bcm2835_pm_off();
}

static void power_init(void)
{
    if (board.bcm2835_pm != 0) {
        bcm2835_pm_init(board.bcm2835_pm);
        arch_board_off = bcm2835_off;
        arch_board_reset = bcm2835_pm_reset;
    }
    /* Failures from here on; pcie_probe() finds the device again, where it has placed it. */
    if (board.pcie.ecam_size < ECAM_BUS0 || board.pcie.low.size == 0 ||
        board.pcie.low.cpu != board.pcie.low.bus)
        return;
    if (arch_map_device(board.pcie.ecam, ECAM_BUS0) == K_OK &&
        pvpanic_find(board.pcie.ecam.v, (u32)board.pcie.low.bus) &&
        arch_map_device(HPA(board.pcie.low.cpu), PAGE_SIZE) == K_OK)
        arch_failure_report = pvpanic_report;
}

/* Logical CPU 0 is this one; the others follow in the tree's order. */
static void start_cpus(void)
{
    u64 deadline;
    u32 n = 1, online = 1;

    for (u32 i = 0; i < board.cpu_count; i++)
        if (board.mpidr[i] != percpu[0].arch.mpidr) {
            percpu[n].arch.mpidr = board.mpidr[i];
            percpu[n++].arch.release = board.release[i];
        }
    for (u32 i = 1; i < n; i++) {
        int r = arch_cpu_start(i);

        if (r != 0)
            panic("CPU %u (affinity %#lx): firmware refuses to start it: %d", i, percpu[i].arch.mpidr, r);
    }
    deadline = arch_ticks() + time_ns_to_ticks(CPU_START_TIMEOUT_NS);
    while (online < n && arch_ticks() < deadline) {
        if (__atomic_load_n(&percpu[online].online, __ATOMIC_ACQUIRE) != 0)
            online++;
        else
            arch_relax();
    }
    if (online < n)
        panic("CPU %u (affinity %#lx) did not come up", online, percpu[online].arch.mpidr);
    cpu_count = n;
    cpu_keep(n);
}

static void config_error(void *arg, const char *node, const char *property, const char *text)
{
    (void)arg;
    (void)property; /* the text names it */
    log_error("config: %s: %s", node, text);
}

static void colors_init(void)
{
    struct llc llc = { .by = "CPU" };

    llc.way_size = cache_last_level_way(&llc.level);
    llc = llc_find(board.dtb, llc);
    if (machine->llc_way_size != 0)
        llc = (struct llc){ .way_size = machine->llc_way_size, .by = "configuration" };
    frames_set_way(llc.way_size);
    facts_llc = llc;
}

static void configure(void)
{
    struct cfg_errors errors = { .report = config_error };
    struct frames_stats memory;
    struct cfg_host host = { .cpus = board.cpu_count, .gic = gic_version() };
    enum kerr e;

    if (board.bundle_size == 0) {
        log_warn("no bundle: pass what `keel pack` made as the initrd; there is only the shell now");
        colors_init();
        return;
    }
    e = config_parse_fit((const void *)(uintptr_t)board.bundle, board.bundle_size, known_devices, machine,
                         &errors);
    colors_init();
    frames_get_stats(&memory);
    host.mem_free = memory.free_pages * PAGE_SIZE;
    host.colors = frames_colors();
    if (e != K_OK || config_check_host(machine, &host, &errors) != K_OK) {
        log_error("config: %u error%s: no VM is started", errors.count, errors.count == 1 ? "" : "s");
        console_flush();
        if (board_has_arg(&board, "quiet"))
            arch_power_off(true);
        memset(machine, 0, sizeof(*machine));
    }
    if (machine->llc_colors != 0)
        frames_set_own(frames_places(machine->llc_colors));
}

static void say_hello(void)
{
    struct frames_stats memory;

    frames_get_stats(&memory);
    log_info("Keel %s: %u CPU%s, %lu MiB RAM free, stage 2 of %u bits, VMIDs of %u bits, GICv%u with %u list "
             "registers",
             KEEL_VERSION, board.cpu_count, board.cpu_count == 1 ? "" : "s",
             memory.free_pages >> (20 - PAGE_SHIFT), stage2_ipa_bits(), vmid_bits(), gic_version(),
             gich_lr_count);
    log_info("CPU %#x: Spectre v2: %s; Spectre-BHB: %s", percpu[0].arch.midr, percpu[0].arch.spectre_v2,
             percpu[0].arch.spectre_bhb);
}

static void services(void)
{
    bool quiet = board_has_arg(&board, "quiet");
    enum kerr e = K_OK;

    if (console_uart.drv != NULL) {
        e = console_init(&console_uart, quiet);
        if (e == K_OK)
            e = host_irq_attach(console_uart.irq, board.uart[0].edge, 0, "console", console_irq, NULL);
        log_set_flush(console_flush);
    }
    if (log_uart.drv != NULL)
        log_set_sink(second_uart_sink);
    for (u32 i = 0; i < machine->vm_count; i++)
        if (machine->vm[i].autostart && console_uart.drv != NULL)
            console_expect_guest(true);
    devices_connect(machine);
    if (e == K_OK)
        e = disk_watch_init();
    if (e == K_OK)
        e = vmm_init(machine, vdev_models);
    if (e == K_OK)
        e = shell_init(&shell_facts);
    if (e != K_OK)
        panic("services do not start: %s", kerr_str(e));
}

void boot_main(const void *dtb)
{
    char level[4];
    u64 n;
    enum kerr e;

    cpu_early_init();
    cpu_count = 1;
    if (board_console(dtb, &board) != K_OK)
        for (;;) /* no device tree, so no console to say it on */
            arch_wait();
    if (board_arg(&board, "loglevel", level, sizeof(level)) != NULL && parse_u64(level, &n) && n <= LOG_DEBUG)
        log_set_level((enum log_level)n);
    early_console();
    if (board_parse(&board) != K_OK)
        panic("this board cannot be used");
    psci_init(board.psci_smc);
    irq_vtimer = board.irq_vtimer;
    irq_htimer = board.irq_htimer;
    stage2_init();
    debug_init();
    pmu_init(board.irq_pmu, board_has_arg(&board, "count-instructions"));
    gic_select(&board.gic);
    memory_init();
    vmids_init();
    buffers_init();
    power_init();
    if (board_arg(&board, "log", level, sizeof(level)) != NULL && uart_open(&board.uart[1], &log_uart))
        log_set_sink(second_uart_sink);
    e = gic_init(&board.gic);
    if (e != K_OK)
        panic("the CPU and the device tree disagree about the GIC: %s", kerr_str(e));
    cpu_init_el2();
    idregs_init();
    if (board.rtc != 0)
        rtc_init(board.rtc);
    say_hello();
    configure(); /* before what it takes memory for: Keel's own may be of some colours */
    start_cpus();
    devices_init(&board);
    services();
    mmu_seal();
    sched_idle_loop();
}
