/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 Image header (Linux Documentation/arch/arm64/booting.rst). */
#ifndef CONFIG_IMAGE_H
#define CONFIG_IMAGE_H

#include "config/config.h"

#define IMAGE_HEADER_SIZE 64U

struct image_header {
    bool arm64;      /* has the header; else a raw binary */
    u64 text_offset; /* from a 2 MiB aligned base */
    u64 memory_size; /* of the image and what it uses behind itself (bss) */
};

/* Never fails: what has no header is a raw binary at QEMU's offset. */
void image_header(const struct cfg_image *image, struct image_header *out);

#endif
