# SPDX-License-Identifier: Apache-2.0
# The payloads: tests/payload/NAME.c and the runtime become $(BUILD)/payload/NAME.bin (arm64 Image). Also what
# bench/run puts into Linux. Included by the top Makefile; works alone: make -f tests/payload/payload.mk payloads
BUILD ?= build
PAYLOAD_DIR := $(BUILD)/payload
# Every .c file here is one, but these parts of others.
PAYLOADS := $(filter-out rt gic-order,$(patsubst tests/payload/%.c,%,$(sort $(wildcard tests/payload/*.c))))
PAYLOAD_CC ?= clang --target=aarch64-linux-gnu
PAYLOAD_LD ?= $(PAYLOAD_CC) -fuse-ld=lld
PAYLOAD_OBJCOPY ?= llvm-objcopy

# -mstrict-align: the MMU is off and all memory is Device then, where unaligned accesses fault
PAYLOAD_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Werror -ffreestanding -fno-builtin -fno-common -fpie -fno-stack-protector -fno-asynchronous-unwind-tables \
	-march=armv8-a -mgeneral-regs-only -mno-outline-atomics -mstrict-align -I. -MMD -MP
PAYLOAD_LDFLAGS := -nostdlib -static-pie -Wl,-T,tests/payload/payload.lds -Wl,--no-dynamic-linker \
	-Wl,-z,notext -Wl,-z,norelro -Wl,--build-id=none
PAYLOAD_RT := $(PAYLOAD_DIR)/head.o $(PAYLOAD_DIR)/rt.o
PAYLOAD_SELF := tests/payload/payload.mk

.PHONY: payloads
payloads: $(PAYLOADS:%=$(PAYLOAD_DIR)/%.bin) $(PAYLOAD_DIR)/init $(PAYLOAD_DIR)/entry-mark.bin
	@:

payload_compile = @echo '  CC    $<'; mkdir -p $(@D); $(PAYLOAD_CC) $(PAYLOAD_CFLAGS) -c -o $@ $<

$(PAYLOAD_DIR)/%.o: tests/payload/%.c $(PAYLOAD_SELF)
	$(payload_compile)
$(PAYLOAD_DIR)/%.o: tests/payload/%.S $(PAYLOAD_SELF)
	$(payload_compile)
$(PAYLOAD_DIR)/%.o: bench/%.c $(PAYLOAD_SELF)
	$(payload_compile)
$(PAYLOAD_DIR)/%.o: bench/%.S $(PAYLOAD_SELF)
	$(payload_compile)

$(PAYLOAD_DIR)/gic.elf: $(PAYLOAD_DIR)/gic-order.o
$(PAYLOAD_DIR)/%.elf: $(PAYLOAD_DIR)/%.o $(PAYLOAD_RT) tests/payload/payload.lds
	@echo '  LINK  $@'; $(PAYLOAD_LD) $(PAYLOAD_LDFLAGS) -o $@ $(filter %.o,$^)

$(PAYLOAD_DIR)/init: $(PAYLOAD_DIR)/init.o
	@echo '  LINK  $@'; $(PAYLOAD_LD) -nostdlib -static -Wl,--build-id=none -o $@ $<

$(PAYLOAD_DIR)/entry-mark.elf: $(PAYLOAD_DIR)/entry-mark.o
	@echo '  LINK  $@'; $(PAYLOAD_LD) -nostdlib -static -Wl,-Ttext=0 -Wl,--build-id=none -o $@ $<

$(PAYLOAD_DIR)/%.bin: $(PAYLOAD_DIR)/%.elf
	@$(PAYLOAD_OBJCOPY) -O binary $< $@

.SECONDARY:
-include $(wildcard $(PAYLOAD_DIR)/*.d)
