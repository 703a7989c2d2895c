/* SPDX-License-Identifier: Apache-2.0 */
/* A guest at configuration space and BARs of a PCI function, while it raises interrupts. No access reaches beyond a
 * BAR (the BAR's memory checks that), and a masked message is sent when it is unmasked. */
#include "tests/unit/test_pci_machine.h"

struct op {
    u8 what, size_shift;
    u16 offset;
    u32 value;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op op;
    u64 at;

    machine_make();
    for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        unsigned width;

        memcpy(&op, data, sizeof(op));
        width = 1U << op.size_shift % 4;
        switch (op.what % 6) {
        case 0: config_set(op.what >> 6, op.offset & 0xfff, width, op.value); break;
        case 1: (void)config(op.what >> 6, op.offset & 0xfff, width); break;
        case 2:
        case 3:
            at = GUEST_PCI_MEM_BASE + (op.offset | (u64)(op.what >> 5) << 16);
            if (op.what % 6 == 2)
                guest_write(at, width, op.value | (u64)op.value << 32);
            else
                (void)guest_read(at, width);
            break;
        case 4: (void)pci_msix_raise(&function, op.value % 5); break;
        default: pci_intx_set(&function, (op.value & 1) != 0); break;
        }
    }
    /* Whatever is pending comes out when the driver lets it. */
    config_set(1, 0x20, 4, (u32)GUEST_PCI_MEM_BASE);
    config_set(1, 0x18, 4, 0);
    config_set(1, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (u32 i = 0; i < 3; i++) {
        guest_write(GUEST_PCI_MEM_BASE + i * 16, 8, TRANSLATER);
        guest_write(GUEST_PCI_MEM_BASE + i * 16 + 12, 4, 0);
    }
    config_set(1, function.msix_cap + 2U, 2, 0x8000);
    if (function.msix_pending != 0)
        abort();
    messages = 0;
    if (!pci_msix_raise(&function, 2) || messages != 1)
        abort();
    machine_drop();
    return 0;
}
