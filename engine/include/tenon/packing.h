/* tenon/packing.h: what a kernel that packs large constants can ask of the host beside tn_host: an
 * extension, which a host may lack.
 *
 *     const tn_packing *packing = host->extension(host, TN_PACKING);
 *     if (packing && TN_HAS(packing, consumed)) …
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PACKING_H
#define TENON_PACKING_H

#include "tenon/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_PACKING "tenon.packing/1"

typedef struct tn_packing {
    uint32_t size; /* sizeof(tn_packing) */
    uint32_t reserved;
    /* prepare, on its thread: `bytes` bytes from `data` on, of a constant that is a source of a pack to
     * fill, have been packed, and this callback does not read them again. Their memory may go, so that
     * a large constant is not there twice. A few MB at a time are enough. */
    void (*consumed)(tn_call *call, const void *data, size_t bytes);
} tn_packing;

#ifdef __cplusplus
}
#endif

#endif
