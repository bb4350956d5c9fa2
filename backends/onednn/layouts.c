/* layouts.c: layouts between Tenon's numbers and the library's formats.
 *
 * Plain and channels-last are Tenon's own. The library's blocked formats (nChw16c and its
 * kin) are private layouts: a blob of this backend's name, the format's tag, type and extents, so
 * that equal blobs are equal layouts and a blob tells the bytes that a tensor takes. Only formats
 * with a tag are used: both major versions of the library can make a descriptor from it. Bytes of
 * the padding are zero: the library's primitives write them so.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

typedef struct layout_blob {
    char owner[8];
    int32_t tag;
    uint32_t dtype;
    int64_t rank;
    int64_t dims[5];
} layout_blob;

static const char layout_owner[8] = "onednn";

typedef struct block_tag {
    int32_t rank;
    int64_t block;
    dnnl_format_tag_t tag;
} block_tag;

static const block_tag block_tags[] = {
    { 3, 16, dnnl_nCw16c }, { 4, 16, dnnl_nChw16c }, { 5, 16, dnnl_nCdhw16c },
    { 3, 8, dnnl_nCw8c },   { 4, 8, dnnl_nChw8c },   { 5, 8, dnnl_nCdhw8c },
};

static tn_status tag_layout(onednn_builder *b, const tn_type *type, dnnl_format_tag_t tag,
                            uint32_t *out)
{
    layout_blob blob;
    onednn_desc desc;
    size_t bytes;
    memset(&desc, 0, sizeof desc);
    memset(&blob, 0, sizeof blob);
    if (onednn_desc_tagged(&desc, dnnl_f32, type->rank, type->dims, tag) != dnnl_success)
        return onednn_refuse(b, "oneDNN cannot describe a tensor in blocks of channels");
    bytes = dnnl_memory_desc_get_size(onednn_md_of(&desc));
    onednn_desc_clear(&desc);
    memcpy(blob.owner, layout_owner, sizeof blob.owner);
    blob.tag = (int32_t)tag;
    blob.dtype = type->dtype;
    blob.rank = type->rank;
    memcpy(blob.dims, type->dims, (size_t)type->rank * sizeof *blob.dims);
    return b->ctx->call.host->layout(&b->ctx->call, &blob, sizeof blob, bytes, out);
}

tn_status onednn_blocked_layout(onednn_builder *b, const tn_type *type, int64_t block,
                                uint32_t *out)
{
    for (size_t k = 0; k < sizeof block_tags / sizeof *block_tags; k++)
        if (block_tags[k].rank == type->rank && block_tags[k].block == block)
            return tag_layout(b, type, block_tags[k].tag, out);
    return onednn_refuse(b, "no layout in blocks of %d channels for rank %d", (int)block,
                         (int)type->rank);
}

tn_status onednn_follow_layout(onednn_builder *b, uint32_t layout, const tn_type *from,
                               const tn_type *to, uint32_t *out)
{
    dnnl_format_tag_t tag;
    *out = layout;
    if (layout <= TN_LAYOUT_CHANNELS_LAST)
        return TN_OK;
    tag = onednn_layout_tag(&b->ctx->call, layout, from);
    if (tag == dnnl_format_tag_undef || from->rank != to->rank)
        return onednn_refuse(b, "layout %u is private to another backend", layout);
    return tag_layout(b, to, tag, out);
}

dnnl_format_tag_t onednn_layout_tag(tn_call *call, uint32_t layout, const tn_type *type)
{
    size_t bytes = 0;
    const void *found = call->host->layout_blob(call, layout, &bytes);
    layout_blob blob;
    if (!found || bytes != sizeof blob)
        return dnnl_format_tag_undef;
    memcpy(&blob, found, sizeof blob);
    if (memcmp(blob.owner, layout_owner, sizeof blob.owner) != 0 || blob.rank != type->rank ||
        blob.dtype != type->dtype ||
        memcmp(blob.dims, type->dims, (size_t)type->rank * sizeof *blob.dims) != 0)
        return dnnl_format_tag_undef;
    return (dnnl_format_tag_t)blob.tag;
}

int64_t onednn_layout_block(tn_call *call, uint32_t layout, const tn_type *type)
{
    const dnnl_format_tag_t tag = onednn_layout_tag(call, layout, type);
    for (size_t k = 0; k < sizeof block_tags / sizeof *block_tags; k++)
        if (block_tags[k].tag == tag && block_tags[k].rank == type->rank)
            return block_tags[k].block;
    return 0;
}

/* One point: channels stand in a row in any layout that does not pad them. One channel: points
 * do, in channels-last. */
uint32_t onednn_simplest(tn_measure *ctx, uint32_t layout, const tn_type *type)
{
    const bool point = type->rank >= 2 && tn_extent(type->dims, 2, type->rank) == 1;
    dnnl_format_tag_t tag;
    if (layout == TN_LAYOUT_PLAIN || type->rank < 3)
        return TN_LAYOUT_PLAIN;
    if (layout == TN_LAYOUT_CHANNELS_LAST)
        return point || type->dims[1] == 1 ? TN_LAYOUT_PLAIN : layout;
    tag = onednn_layout_tag(&ctx->call, layout, type);
    for (size_t k = 0; point && k < sizeof block_tags / sizeof *block_tags; k++)
        if (block_tags[k].tag == tag && type->dims[1] % block_tags[k].block == 0)
            return TN_LAYOUT_PLAIN;
    return layout;
}

uint32_t onednn_candidates(const tn_measure *ctx, uint32_t k, uint32_t *out)
{
    const tn_layouts *given = &ctx->candidates[k];
    uint32_t count = 0;
    for (uint32_t j = 0; ctx->candidates && j < given->count && count + 1 < TN_MAX_ALTERNATIVES;
         j++) {
        uint32_t seen = given->layouts[j] == TN_LAYOUT_PLAIN;
        for (uint32_t i = 0; i < count; i++)
            seen |= out[i] == given->layouts[j];
        if (!seen)
            out[count++] = given->layouts[j];
    }
    out[count++] = TN_LAYOUT_PLAIN;
    return count;
}

/* ---- descriptors ------------------------------------------------------------------------ */

static tn_status describe(onednn_builder *b, int32_t rank, const int64_t *dims,
                          const int64_t *strides, dnnl_format_tag_t tag, onednn_md *out)
{
    onednn_desc *desc;
    dnnl_status_t status;
    if (rank > DNNL_MAX_NDIMS || b->desc_count == ONEDNN_MAX_DESCS)
        return onednn_refuse(b, "oneDNN takes at most %d axes, and %d tensors here; rank is %d",
                             DNNL_MAX_NDIMS, ONEDNN_MAX_DESCS, (int)rank);
    desc = &b->descs[b->desc_count++];
    status = tag == dnnl_format_tag_undef ? onednn_desc_strided(desc, b->type, rank, dims, strides)
                                          : onednn_desc_tagged(desc, b->type, rank, dims, tag);
    if (status != dnnl_success)
        return onednn_refuse(b, "oneDNN has no descriptor for a tensor of rank %d (%s)", (int)rank,
                             dnnl_status2str(status));
    *out = onednn_md_of(desc);
    return TN_OK;
}

tn_status onednn_describe(onednn_builder *b, int32_t rank, const int64_t *dims,
                          const int64_t *strides, onednn_md *out)
{
    return describe(b, rank, dims, strides, dnnl_format_tag_undef, out);
}

tn_status onednn_describe_any(onednn_builder *b, int32_t rank, const int64_t *dims, onednn_md *out)
{
    return describe(b, rank, dims, NULL, dnnl_format_tag_any, out);
}

tn_status onednn_describe_layout(onednn_builder *b, const tn_type *type, uint32_t layout,
                                 onednn_md *out)
{
    static const int64_t one = 1;
    static const dnnl_format_tag_t last[] = { dnnl_nwc, dnnl_nhwc, dnnl_ndhwc };
    dnnl_format_tag_t tag;
    if (type->rank == 0)
        return onednn_describe(b, 1, &one, NULL, out);
    if (layout == TN_LAYOUT_PLAIN || (layout == TN_LAYOUT_CHANNELS_LAST && type->rank < 3))
        return onednn_describe(b, type->rank, type->dims, NULL, out);
    if (type->rank > 5)
        return onednn_refuse(b, "rank is %d: oneDNN has channels-last up to rank 5",
                             (int)type->rank);
    if (layout == TN_LAYOUT_CHANNELS_LAST)
        return describe(b, type->rank, type->dims, NULL, last[type->rank - 3], out);
    tag = onednn_layout_tag(&b->ctx->call, layout, type);
    if (tag == dnnl_format_tag_undef)
        return onednn_refuse(b, "layout %u is private to another backend", layout);
    return describe(b, type->rank, type->dims, NULL, tag, out);
}

tn_status onednn_describe_flat(onednn_builder *b, const tn_type *type, uint32_t layout,
                               onednn_md *out)
{
    const int64_t count = onednn_count(type);
    if (layout <= TN_LAYOUT_CHANNELS_LAST)
        return onednn_describe(b, 1, &count, NULL, out);
    return onednn_describe_layout(b, type, layout, out);
}
