# SPDX-License-Identifier: Apache-2.0
# Sources are found by folder: adding a file needs no change here. `make help` lists what there is.

BUILD ?= build
LIBFDT_DIR ?= $(BUILD)/libfdt
VM ?= guests/debian.dts
DEBUG ?= 0
FUZZ_SECONDS ?= 60

# `make CC=gcc` or `make TOOLCHAIN=gcc` cross-builds the hypervisor with gcc and its linker.
ifeq ($(origin CC),default)
TOOLCHAIN ?= clang
else
TOOLCHAIN ?= $(if $(findstring gcc,$(CC)),gcc,clang)
endif

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

rfind = $(sort $(shell find $(wildcard $(1)) -name '$(2)' 2>/dev/null))

# --- sources ---

PORTABLE := $(filter-out lib/libc/%,$(call rfind,lib observe core irq drivers vdev config vmm shell,*.c))
TARGET_SRC := $(PORTABLE) $(call rfind,lib/libc init arch/arm64,*.c) $(call rfind,lib/libc arch/arm64,*.S)
HOST_SRC := $(PORTABLE) $(call rfind,arch/host,*.c)
TOOL_SRC := $(call rfind,tools,*.c)
TOOL_LIB_SRC := $(filter config/% lib/% observe/%,$(PORTABLE))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))

# --- compilers and flags ---

# gnu17 for asm and statement expressions; -ffile-prefix-map (and clang -ffile-compilation-dir, for .S) keeps paths of this machine out of the binary.
CFLAGS_COMMON := -std=gnu17 -g -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Werror -fno-common -ffile-prefix-map=$(CURDIR)=.
DEBUG_FLAGS := $(if $(filter 1,$(DEBUG)),-DKEEL_DEBUG)

ifeq ($(TOOLCHAIN),gcc)
TARGET_CC := aarch64-linux-gnu-gcc
TARGET_LD := aarch64-linux-gnu-ld
TARGET_AR := aarch64-linux-gnu-ar
TARGET_ONLY :=
TARGET_RELOCS := # this linker packs none for arm64
else
TARGET_CC := clang --target=aarch64-linux-gnu
TARGET_LD := ld.lld
TARGET_AR := llvm-ar
TARGET_ONLY := -nostdlibinc -ffile-compilation-dir=.
TARGET_RELOCS := --pack-dyn-relocs=relr
endif
TARGET_INC := -I. -Iarch/include -Iarch/arm64/include -isystem lib/libc/include -isystem $(LIBFDT_DIR)/include
TARGET_MACHINE := -ffreestanding -march=armv8-a -mgeneral-regs-only -mno-outline-atomics -ffixed-x18 -mfix-cortex-a53-835769 -fpie \
	-fno-stack-protector -fno-omit-frame-pointer -fno-asynchronous-unwind-tables $(TARGET_ONLY)
TARGET_CFLAGS := $(CFLAGS_COMMON) -O2 $(TARGET_MACHINE) -ffunction-sections -fdata-sections $(TARGET_INC) \
	$(DEBUG_FLAGS)
TARGET_COLD := config/% init/% shell/% drivers/pci/% drivers/virtio/pci drivers/virtio/mmio drivers/disk/% drivers/uart% drivers/console% \
	vmm/build vmm/load vmm/life vmm/guest_tree vmm/ram vmm/tune vmm/vmm vmm/manage vdev/pci/% vdev/rtc/% vdev/flash/% vdev/gpio/% vdev/watchdog/% \
	vdev/uart/ns16550 vdev/uart/serial vdev/virtio/transport vdev/virtio/pci vdev/virtio/mmio vdev/virtio/net_ctrl vdev/virtio/console vdev/virtio/rng vdev/virtio/balloon vdev/virtio/vsock% \
	vdev/nic/e1000e vdev/nic/e1000e_phy drivers/nvme/controller drivers/igb/controller drivers/entropy drivers/nic drivers/virtio/device drivers/virtio/net core/frames_% core/heap core/ptw_merge core/vm_dirty core/vm_retire core/ram_map core/vmid core/sched_change core/log
TARGET_ASFLAGS := $(CFLAGS_COMMON) $(TARGET_MACHINE) $(TARGET_INC) $(DEBUG_FLAGS) -D__ASSEMBLY__
# Keel relocates itself, so text must need no relocation.
TARGET_LDFLAGS := -pie --fix-cortex-a53-843419 --no-dynamic-linker -z text -z norelro -z max-page-size=4096 -z noexecstack --build-id=none \
	--gc-sections --fatal-warnings $(TARGET_RELOCS)
LDSCRIPT := arch/arm64/keel.lds
LIBFDT := $(LIBFDT_DIR)/lib/libfdt.a

# One archive serves unit tests and fuzzers. -ffreestanding as on the target.
HOST_CC := clang
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_INC := -I. -Iarch/include -Iarch/host/include
HOST_CFLAGS := $(CFLAGS_COMMON) -O1 -fno-omit-frame-pointer -DKEEL_DEBUG $(HOST_INC)
HOST_LIB_CFLAGS := $(HOST_CFLAGS) -ffreestanding $(SANITIZE) -fsanitize=fuzzer-no-link
UNIT_CFLAGS := $(HOST_CFLAGS) -Wno-missing-prototypes $(SANITIZE)
FUZZ_CFLAGS := $(UNIT_CFLAGS) -fsanitize=fuzzer
TOOL_CFLAGS := $(CFLAGS_COMMON) -O2 $(HOST_INC) -D_GNU_SOURCE -DZLIB_CONST=

# --- objects ---

T := $(BUILD)/obj/$(TOOLCHAIN)$(if $(DEBUG_FLAGS),-debug)
H := $(BUILD)/obj/host
K := $(BUILD)/obj/tool
TARGET_OBJ := $(TARGET_SRC:%=$(T)/%.o)
HOST_OBJ := $(HOST_SRC:%=$(H)/%.o)
TOOL_OBJ := $(TOOL_SRC:%=$(K)/%.o)
TOOL_LIB_OBJ := $(TOOL_LIB_SRC:%=$(K)/%.o)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
KEEL_FILES := $(BUILD)/keel.elf $(BUILD)/keel.bin

.PHONY: help setup debian all run test test-unit test-system test-long check bench fuzz clean unit-tests fuzz-targets payloads \
	keel tool tidy FORCE

help:
	@echo 'make run      boot Debian Linux in a VM on Keel in QEMU (VM=FILE.dts for another)'
	@echo 'make test     unit tests, fuzzers for a moment, system tests; ends with "N passed, N failed"'
	@echo 'make test-long  what takes too long for that: a Debian disk under load, resets in the midst'
	@echo 'make all      hypervisor, host tool, payloads, test programs (TOOLCHAIN=gcc, DEBUG=1)'
	@echo 'make setup    install Debian packages, fetch arm64 guests into $(BUILD)/ (run, test, bench do it too)'
	@echo 'make debian   a disk with Debian, $(BUILD)/guest/debian.img (test and run do it where they need it)'
	@echo 'make check    format, lint, layering, both compilers, reproducibility, size'
	@echo 'make bench    what exits and interrupts cost, beside other hypervisors; writes $(BUILD)/bench.json'
	@echo 'make fuzz     every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make clean    remove what was built; fetched packages stay'
	@echo 'parts: keel tool payloads unit-tests fuzz-targets test-unit test-system'

setup:
	@scripts/setup $(BUILD)

debian: setup
	@scripts/setup-debian $(BUILD)

# To be written to; it stays.
$(BUILD)/debian-disk.img: | debian
	@cp --sparse=always $(BUILD)/guest/debian.img $@.new && mv $@.new $@

all: keel tool payloads unit-tests fuzz-targets
keel: $(KEEL_FILES)
tool: $(BUILD)/keel
unit-tests: $(UNIT_BIN)
fuzz-targets: $(FUZZ_BIN)

# What the host of a configuration has besides: options for `keel run`, of which files here are made.
HOST_guests/debian-disk.dts := --disk $(BUILD)/debian-disk.img --net user

run: setup $(filter $(BUILD)/%,$(HOST_$(VM)))
	@$(MAKE) --no-print-directory keel tool payloads
	$(BUILD)/keel run $(HOST_$(VM)) $(VM)

test: setup debian
	@scripts/test $(BUILD) unit fuzz system

test-unit: setup
	@scripts/test $(BUILD) unit

test-system: setup debian
	@scripts/test $(BUILD) system

test-long: setup debian
	@scripts/setup-packages $(BUILD)
	@scripts/setup-kernel $(BUILD)
	@scripts/test $(BUILD) long

bench: setup
	@$(MAKE) --no-print-directory keel tool payloads
	bench/run

fuzz: fuzz-targets
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/test $(BUILD) fuzz

check: setup
	@scripts/check $(BUILD)

clean:
	rm -rf $(filter-out $(BUILD)/debs,$(wildcard $(BUILD)/*))

# What `make setup` supplies: say so instead of failing on a missing header.
$(LIBFDT):
	@echo "$@ is not there: run 'make setup' first" >&2; exit 1

$(LDSCRIPT):
	@echo "$@: the linker script is missing from the tree" >&2; exit 1

tools_needed := $(firstword $(TARGET_CC)) $(TARGET_LD) $(TARGET_AR) $(HOST_CC) llvm-objcopy llvm-nm llvm-objdump python3
tools_absent := $(strip $(foreach t,$(tools_needed),$(if $(shell command -v $(t)),,$(t))))

# Objects are rebuilt when their flags change.
define flags_file
$(1)/flags: FORCE
	@$(if $(tools_absent),echo "not installed: $(tools_absent); run 'make setup' first" >&2; exit 1,:)
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' >$$@
endef
$(eval $(call flags_file,$(T),$(TARGET_CC) $(TARGET_CFLAGS) $(TARGET_COLD)))
$(eval $(call flags_file,$(H),$(HOST_CC) $(HOST_LIB_CFLAGS)))
$(eval $(call flags_file,$(K),$(HOST_CC) $(TOOL_CFLAGS)))

compile = @echo '  CC    $<'; mkdir -p $(@D); $(1) -MD -MP -c $< -o $@

$(T)/%.c.o: %.c $(T)/flags | $(LIBFDT)
	$(call compile,$(TARGET_CC) $(TARGET_CFLAGS))

# What no guest waits for is built for size.
$(filter $(TARGET_COLD:%=$(T)/%.c.o),$(TARGET_OBJ)): TARGET_CFLAGS += -Oz

# The C library's own functions must not be turned into calls of themselves.
$(T)/lib/libc/%.o: TARGET_CFLAGS += -fno-builtin

# Some of it runs with the MMU off, when all memory is Device memory.
$(T)/arch/arm64/mmu.c.o: TARGET_CFLAGS += -mstrict-align

$(T)/%.S.o: %.S $(T)/flags
	$(call compile,$(TARGET_CC) $(TARGET_ASFLAGS))

$(H)/%.c.o: %.c $(H)/flags
	$(call compile,$(HOST_CC) $(HOST_LIB_CFLAGS))

$(K)/%.c.o: %.c $(K)/flags
	$(call compile,$(HOST_CC) $(TOOL_CFLAGS))

archive = @echo '  AR    $@'; rm -f $@; $(1) rcsD $@ $(filter %.o,$^)

# The list of members is a dependency, so that a removed source leaves the archive.
define members_file
$(1).members: FORCE
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' >$$@
endef
$(eval $(call members_file,$(H)/keel.a,$(HOST_OBJ)))
$(eval $(call members_file,$(K)/common.a,$(TOOL_LIB_OBJ)))
$(eval $(call members_file,$(BUILD)/keel.elf,$(TARGET_LD) $(TARGET_LDFLAGS) $(TARGET_OBJ)))

$(H)/keel.a: $(HOST_OBJ) $(H)/keel.a.members
	$(call archive,llvm-ar)

$(K)/common.a: $(TOOL_LIB_OBJ) $(K)/common.a.members
	$(call archive,llvm-ar)

# --- products ---

$(BUILD)/keel.elf: $(TARGET_OBJ) $(BUILD)/keel.elf.members $(LIBFDT) $(LDSCRIPT) scripts/link scripts/symtab \
		scripts/check-fp
	@echo '  LINK  $@'
	@CC='$(TARGET_CC)' scripts/link $@ $(T)/symtab $(TARGET_LD) $(TARGET_LDFLAGS) -T $(LDSCRIPT) $(TARGET_OBJ) $(LIBFDT)
	@scripts/check-fp $@ $(filter %/fp.S.o,$(TARGET_OBJ)) || { rm -f $@; exit 1; }

$(BUILD)/keel.bin: $(BUILD)/keel.elf
	@llvm-objcopy -O binary $< $@

$(BUILD)/keel: $(TOOL_OBJ) $(K)/common.a
	@echo '  LINK  $@'
	@$(if $(TOOL_OBJ),,echo 'tools/ has no source: the host tool cannot be built' >&2; exit 1;) \
		$(HOST_CC) $(filter %.o,$^) $(K)/common.a -lfdt -lz -o $@

$(BUILD)/unit/%: tests/unit/%.c $(H)/keel.a
	@echo '  UNIT  $@'; mkdir -p $(@D)
	@$(HOST_CC) $(UNIT_CFLAGS) -MD -MP -MF $@.d $< $(H)/keel.a -lcmocka -lfdt -o $@

$(BUILD)/fuzz/%: tests/fuzz/%.c $(H)/keel.a
	@echo '  FUZZ  $@'; mkdir -p $(@D)
	@$(HOST_CC) $(FUZZ_CFLAGS) -MD -MP -MF $@.d $< $(H)/keel.a -lfdt -o $@

# clang-tidy as a build product: only what changed is linted again. An object stands for its headers.
TIDY_SRC := $(filter-out lib/libc/%,$(filter %.c,$(TARGET_SRC)))
tidy: $(TIDY_SRC:%=$(T)/%.tidy)

$(T)/%.tidy: % $(T)/%.o .clang-tidy
	@clang-tidy --quiet $< -- --target=aarch64-linux-gnu $(TARGET_CFLAGS) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

-include tests/payload/payload.mk
-include $(TARGET_OBJ:.o=.d) $(HOST_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(TOOL_LIB_OBJ:.o=.d) \
	$(UNIT_BIN:=.d) $(FUZZ_BIN:=.d)
