/* plugins/quantization/grain.c: see quantization.h.
 *
 * ONNX: QuantizeLinear, the three granularities: per tensor (a scalar), per axis (a vector as long
 * as the axis), blocked (the shape of x but for ceil(extent / block_size) on the axis).
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>
#include <stdio.h>

enum { X, SCALE, ZERO };

const char *quant_shape_text(const tn_type *type, char *text, size_t bytes)
{
    size_t at = (size_t)snprintf(text, bytes, "[");
    for (int32_t k = 0; k < type->rank && at < bytes; k++) {
        const char *comma = k ? "," : "";
        at += tn_dim_known(type->dims[k])
                  ? (size_t)snprintf(text + at, bytes - at, "%s%" PRId64, comma, type->dims[k])
                  : (size_t)snprintf(text + at, bytes - at, "%s?", comma);
    }
    if (at < bytes)
        snprintf(text + at, bytes - at, "]");
    return text;
}

/* ---- inference -------------------------------------------------------------------------- */

static void check_axis_scale(tn_infer *ctx, const char *const *names, int32_t axis)
{
    const tn_type *x = ctx->inputs[X], *scale = ctx->inputs[SCALE];
    if (ctx->call.host->dim_equal(&ctx->call, scale->dims[0], x->dims[axis]) != TN_NO)
        return;
    if (tn_dim_known(scale->dims[0]) && tn_dim_known(x->dims[axis]))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                 "input '%s' has %" PRId64 " elements, but '%s' has extent %" PRId64
                                 " along axis %d: expected one for each",
                                 names[SCALE], scale->dims[0], names[X], x->dims[axis], (int)axis);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                 "input '%s' is not as long as axis %d of '%s': expected one "
                                 "element for each place",
                                 names[SCALE], (int)axis, names[X]);
}

static void check_block_scale(tn_infer *ctx, const char *const *names, int32_t axis, int64_t block)
{
    const tn_type *x = ctx->inputs[X], *scale = ctx->inputs[SCALE];
    for (int32_t k = 0; k < x->rank; k++) {
        const tn_dim wanted = k == axis ? tn_dim_ceildiv(ctx, x->dims[k], block) : x->dims[k];
        if (ctx->call.host->dim_equal(&ctx->call, scale->dims[k], wanted) != TN_NO)
            continue;
        if (tn_dim_known(scale->dims[k]) && tn_dim_known(wanted))
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                     "input '%s' has extent %" PRId64
                                     " along axis %d: expected %" PRId64 ", since '%s' has %" PRId64
                                     " there%s",
                                     names[SCALE], scale->dims[k], (int)k, wanted, names[X],
                                     x->dims[k], k == axis ? " in blocks of block_size" : "");
        else
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                     "input '%s' does not fit '%s' along axis %d", names[SCALE],
                                     names[X], (int)k);
        return;
    }
}

/* The shape of the zero point is the scale's; one element is one, however it is written. */
static void check_zero(tn_infer *ctx, const char *const *names)
{
    const tn_type *scale = ctx->inputs[SCALE], *zero = quant_type(ctx, ZERO);
    int fits = 1;
    if (!zero || zero->rank < 0 || (quant_is_single(scale) && quant_is_single(zero)))
        return;
    fits = zero->rank == scale->rank;
    for (int32_t k = 0; fits && k < scale->rank; k++)
        fits = ctx->call.host->dim_equal(&ctx->call, zero->dims[k], scale->dims[k]) != TN_NO;
    if (!fits)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, ZERO, NULL,
            "input '%s' has shape %s, but '%s' has %s: expected the same", names[ZERO],
            quant_shape_text(zero, (char[QUANT_TEXT]){ 0 }, QUANT_TEXT), names[SCALE],
            quant_shape_text(scale, (char[QUANT_TEXT]){ 0 }, QUANT_TEXT));
}

static void check_scale(tn_infer *ctx, const char *const *names, int64_t block)
{
    const tn_type *x = ctx->inputs[X], *scale = ctx->inputs[SCALE];
    const int64_t named = tn_attr_int(ctx->node, "axis", 1);
    const int32_t axis = tn_axis(named, x->rank);
    if (scale->rank != (block ? x->rank : 1)) {
        if (block)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                     "input '%s' has rank %d, but '%s' has rank %d: expected the "
                                     "same for blocks, or a scalar",
                                     names[SCALE], scale->rank, names[X], x->rank);
        else
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCALE, NULL,
                                     "input '%s' has rank %d: expected a scalar or a vector when "
                                     "block_size is 0",
                                     names[SCALE], scale->rank);
        return;
    }
    if (!block && !tn_dim_known(scale->dims[0]) && axis < 0)
        return; /* it may yet be one element */
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %" PRId64 ", outside [%d, %d)", named, -(int)x->rank,
                                 (int)x->rank);
        return;
    }
    if (block)
        check_block_scale(ctx, names, axis, block);
    else
        check_axis_scale(ctx, names, axis);
}

void grain_check(tn_infer *ctx, const char *const *names)
{
    const tn_type *x = quant_type(ctx, X), *scale = quant_type(ctx, SCALE);
    const int64_t block = tn_attr_int(ctx->node, "block_size", 0);
    if (block < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "block_size",
                                 "block_size is %" PRId64 ": expected 0 (no blocks) or more",
                                 block);
        return;
    }
    if (!scale || scale->rank < 0)
        return;
    if (x && x->rank >= 0 && !quant_is_single(scale))
        check_scale(ctx, names, block);
    check_zero(ctx, names);
}

tn_status grain_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[X], *scale = ctx->inputs[SCALE];
    const int64_t block = tn_attr_int(ctx->node, "block_size", 0);
    if (x->rank < 1 || scale->rank < 0)
        return TN_NO_MATCH;
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 1), x->rank);
    const int whole = quant_is_single(scale);
    if (!whole && axis < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == X || (!whole && block) ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

grain grain_of(const tn_node_view *node, const tn_tensor *x, const tn_tensor *scale)
{
    const int32_t axis = tn_axis(tn_attr_int(node, "axis", 1), x->rank);
    grain g = { .kind = GRAIN_WHOLE, .extent = 1, .inner = 1, .block = 1, .blocks = 1 };
    if (axis < 0 || tn_count(scale) == 1)
        return g;
    g.extent = x->dims[axis];
    g.inner = tn_extent(x->dims, axis + 1, x->rank);
    g.block = tn_attr_int(node, "block_size", 0);
    g.kind = g.block ? GRAIN_BLOCKS : GRAIN_AXIS;
    g.blocks = g.block ? scale->dims[axis] : g.extent;
    return g;
}

/* Elements from `at` on whose table index is `*index`, `*index` + `*step`, …: how many. */
static int64_t next_run(const grain *g, int64_t at, int64_t *index, int64_t *step)
{
    const int64_t in = at % g->inner, place = at / g->inner % g->extent;
    const int64_t out = at / g->inner / g->extent;
    const int64_t left = g->extent - place;
    if (g->kind == GRAIN_AXIS) {
        *index = place;
        *step = g->inner == 1;
        return g->inner == 1 ? left : g->inner - in;
    }
    *index = (out * g->blocks + place / g->block) * g->inner + in;
    *step = g->inner > 1;
    if (g->inner > 1)
        return g->inner - in;
    const int64_t in_block = g->block - place % g->block;
    return in_block < left ? in_block : left;
}

void grain_load(const grain *g, const tn_tensor *table, double absent, int64_t first, int64_t n,
                double *out)
{
    if (!table || g->kind == GRAIN_WHOLE) {
        const double one = table ? tn_get_double(table->dtype, table->data, 0) : absent;
        for (int64_t k = 0; k < n; k++)
            out[k] = one;
        return;
    }
    for (int64_t done = 0; done < n;) {
        int64_t index, step;
        const int64_t run = next_run(g, first + done, &index, &step);
        const int64_t count = run < n - done ? run : n - done;
        if (step) {
            load_doubles(table->dtype, table->data, index, count, out + done);
        } else {
            const double one = tn_get_double(table->dtype, table->data, index);
            for (int64_t k = 0; k < count; k++)
                out[done + k] = one;
        }
        done += count;
    }
}
