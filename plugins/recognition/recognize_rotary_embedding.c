/* plugins/recognition/recognize_rotary_embedding.c: rotary position embedding that was written out, as
 * one RotaryEmbedding (ONNX: RotaryEmbedding, 23; Su et al., arXiv:2104.09864).
 *
 *   x cos + turned(x) sin, turned(x) = (-second half, first half), as Hugging Face's models have it,
 *   or (first cos - second sin, first sin + second cos) joined,
 *
 * halves by Slice, Split, or an index into pairs; pairs that are neighbours (GPT-J) likewise, put
 * together again by Unsqueeze, Concat and Reshape, or written into a value by two ScatterND. The sign may be
 * turned in the sines, where Concat, Gather or GatherElements only changes the halves over. Where only the first elements of a head are turned
 * and a Concat puts the others behind them (GPT-NeoX), the node takes all of them.
 *
 * In the first form cos and sin are as wide as x: both numbers of a pair must be equal, which is seen
 * in a constant, or in how they are made. The node reads one of them. Rounds once where products were
 * rounded before they were added.
 *
 * SPDX-License-Identifier: MIT */
#include "rotary.h"

#include <stdlib.h>

enum { MOST_WRITTEN = 1 << 22 }; /* numbers of a cache that is written out for each sample */

/* ---- heads that were split off for this ---------------------------------------------------- */

static int is_ours(const pattern *p, const rotation *r, tn_node_id node)
{
    for (uint32_t k = 0; k < p->count; k++)
        if (p->nodes[k] == node)
            return 1;
    for (uint32_t k = 0; k < r->passed_count; k++)
        if (r->passed[k] == node)
            return 1;
    return 0;
}

static int only_we_read(const pattern *p, const rotation *r, tn_value_id value)
{
    tn_node_id reader;
    uint32_t input;
    for (uint32_t u = 0; p->ctx->api->use(p->ctx->graph, value, u, &reader, &input) == TN_OK; u++)
        if (!is_ours(p, r, reader))
            return 0;
    return !pattern_value(p, value)->output_count;
}

/* x by Reshape and Transpose of [batch, positions, heads * size]: the node takes that, and both stand
 * behind it, where attention takes them in. */
static void find_joined(const pattern *p, rotation *r)
{
    static const int64_t swapped[4] = { 0, 2, 1, 3 };
    const tn_node_id turn = pattern_maker(p, r->x, "Transpose");
    const tn_type *x = type_of(p, r->x);
    const int64_t *perm;
    r->joined = TN_NONE;
    if (turn == TN_NONE || x->rank != 4 || r->packed || !tn_dim_known(x->dims[1]) ||
        !tn_dim_known(x->dims[3]) || tn_attr_ints(pattern_node(p, turn), "perm", &perm) != 4 ||
        memcmp(perm, swapped, sizeof swapped) != 0)
        return;
    const tn_value_id apart = pattern_node(p, turn)->inputs[0];
    const tn_node_id split = pattern_maker(p, apart, "Reshape");
    const tn_value_id whole = split == TN_NONE ? TN_NONE : pattern_node(p, split)->inputs[0];
    const tn_type *w = whole == TN_NONE ? NULL : type_of(p, whole);
    if (!w || w->rank != 3 || !pattern_same(w->dims[0], x->dims[0]) ||
        !pattern_same(w->dims[1], x->dims[2]) || w->dims[2] != x->dims[1] * x->dims[3] ||
        !only_we_read(p, r, r->x) || pattern_value(p, apart)->use_count != 1)
        return;
    r->joined = whole;
    rotary_pass(r, turn);
    rotary_pass(r, split);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_with_integers(pattern *p, const char *op, tn_value_id x, const int64_t *values,
                                   int64_t count, tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(p, values, count, &inputs[1]));
    return pattern_add(p, op, inputs, 2, NULL, 0, out);
}

/* One number of each pair. */
static tn_status add_half(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    const int64_t numbers[4] = { 0, r->interleaved ? r->width : r->width / 2, -1,
                                 r->interleaved ? 2 : 1 };
    tn_value_id inputs[5] = { angles };
    if (!r->doubled) {
        *out = angles;
        return TN_OK;
    }
    for (uint32_t k = 0; k < 4; k++)
        TN_TRY(pattern_integers(p, &numbers[k], 1, &inputs[k + 1]));
    return pattern_add(p, "Slice", inputs, 5, NULL, 0, out);
}

/* [1 or batch, positions, half] of what has this rank; 0: it is that already. */
static tn_status add_rank(pattern *p, const rotation *r, int32_t rank, tn_value_id angles,
                          tn_value_id *out)
{
    const int64_t front = 0, heads = r->packed ? 2 : 1, shape[3] = { 1, -1, r->width / 2 };
    if (rank == 2)
        return add_with_integers(p, "Unsqueeze", angles, &front, 1, out);
    if (rank == 4)
        return add_with_integers(p, "Squeeze", angles, &heads, 1, out);
    if (rank == 3 && r->packed)
        return add_with_integers(p, "Reshape", angles, shape, 3, out);
    *out = angles;
    return TN_OK;
}

/* For each sample, where the same serve all. */
static tn_status add_batch(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    static const int64_t ones[2] = { 1, 1 };
    const tn_dim batch = type_of(p, r->x)->dims[0];
    const int64_t shape[3] = { batch, 1, 1 };
    const tn_attribute end = { .size = sizeof end, .type = TN_ATTR_INT, .name = "end", .i = 1 },
                       axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id parts[2], inputs[2] = { angles };
    if (tn_dim_known(batch))
        return add_with_integers(p, "Expand", angles, shape, 3, out);
    const tn_value_id x = r->joined != TN_NONE ? r->joined : r->x;
    TN_TRY(pattern_add(p, "Shape", &x, 1, &end, 1, &parts[0]));
    TN_TRY(pattern_integers(p, ones, 2, &parts[1]));
    TN_TRY(pattern_add(p, "Concat", parts, 2, &axis, 1, &inputs[1]));
    return pattern_add(p, "Expand", inputs, 2, NULL, 0, out);
}

/* Past an axis of heads that was put in, as far as samples and positions stand alone behind it. */
static tn_value_id before_heads(const pattern *p, const rotation *r, tn_value_id angles)
{
    const tn_node_id node = pattern_reshaper(p, angles);
    const tn_type *wide = type_of(p, angles);
    if (node == TN_NONE || wide->rank != 4)
        return angles;
    const tn_value_id inner = pattern_node(p, node)->inputs[0];
    return pattern_has_axis(wide, type_of(p, inner), r->packed ? 2 : 1, 1) ? inner : angles;
}

/* Constant angles: the cache is written out, with a copy for each sample unless that is large. */
static tn_status write_cache(pattern *p, const rotation *r, const tn_tensor *from, int second,
                             int64_t copies, tn_value_id *out)
{
    const int64_t half_width = r->width / 2, step = r->interleaved && r->doubled ? 2 : 1,
                  width = r->doubled ? r->width : half_width, rows = tn_count(from) / width,
                  start = !second          ? 0
                          : r->interleaved ? 1
                                           : half_width;
    const size_t element = tn_dtype_bytes(from->dtype, 1);
    const tn_dim positions =
        type_of(p, r->x)->dims[type_of(p, r->x)->rank == 4 && !r->packed ? 2 : 1];
    const int64_t dims[3] = { copies * (rows / positions), positions, half_width };
    const size_t bytes = tn_dtype_bytes(from->dtype, copies * rows * half_width);
    char *data = malloc(bytes + 1), *to = data;
    if (!data)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for %zu bytes of angles", bytes);
    for (int64_t row = 0; row < copies * rows; row++)
        for (int64_t k = 0; k < half_width; k++, to += element)
            memcpy(to,
                   (const char *)from->data +
                       (size_t)(row % rows * width + start + step * k) * element,
                   element);
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = from->dtype,
                               .rank = 3,
                               .dims = dims,
                               .data = data,
                               .bytes = bytes };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    const tn_status status = p->ctx->api->add_constant(p->ctx->graph, &desc, out);
    free(data);
    return status;
}

static tn_status add_cache(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    const tn_type *x = type_of(p, r->x);
    const int shared = rotary_laid(type_of(p, angles), 0, x->rank) == 1 && x->dims[0] != 1;
    const tn_tensor *constant = pattern_constant(p, angles);
    const tn_value_id inner = before_heads(p, r, angles);
    const int32_t rank = inner == angles ? type_of(p, angles)->rank : 0;
    tn_value_id halves;
    if (constant) {
        const tn_dim copies = shared && tn_dim_known(x->dims[0]) ? x->dims[0] : 1;
        const int few = copies > 0 && tn_count(constant) < MOST_WRITTEN / copies;
        TN_TRY(write_cache(p, r, constant, r->second && angles == r->sines, few ? copies : 1, out));
        return shared && !(few && copies > 1) ? add_batch(p, r, *out, out) : TN_OK;
    }
    TN_TRY(add_half(p, r, inner, &halves));
    TN_TRY(add_rank(p, r, rank, halves, out));
    return shared ? add_batch(p, r, *out, out) : TN_OK;
}

static uint32_t describe(const pattern *p, const rotation *r, tn_attribute *out)
{
    const tn_type *x = type_of(p, r->x);
    uint32_t count = 0;
    const struct {
        const char *name;
        int64_t value, absent;
    } all[] = { { "interleaved", r->interleaved, 0 },
                { "num_heads",
                  r->packed              ? x->dims[2]
                  : r->joined != TN_NONE ? x->dims[1]
                                         : x->rank == 3,
                  0 },
                { "rotary_embedding_dim", r->partial, 0 } };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k].value != all[k].absent)
            out[count++] = (tn_attribute){
                .size = sizeof *out, .type = TN_ATTR_INT, .name = all[k].name, .i = all[k].value
            };
    return count;
}

/* What the node reads: heads side by side where they do not stand in front. */
static tn_status add_input(pattern *p, const rotation *r, tn_value_id *out)
{
    const tn_type *x = type_of(p, r->x);
    const int64_t packed[3] = { 0, 0, r->packed ? x->dims[2] * x->dims[3] : 0 };
    *out = r->joined != TN_NONE ? r->joined : r->x;
    return r->packed ? add_with_integers(p, "Reshape", r->x, packed, 3, out) : TN_OK;
}

/* And what it makes, as x was. */
static tn_status add_output(pattern *p, const rotation *r, tn_value_id y, tn_value_id *out)
{
    static const int64_t swapped[4] = { 0, 2, 1, 3 };
    const tn_type *x = type_of(p, r->x);
    const int front = r->joined != TN_NONE;
    const int64_t apart[4] = { 0, 0, x->dims[front ? 1 : 2], x->dims[3] };
    const tn_attribute perm = {
        .size = sizeof perm, .type = TN_ATTR_INTS, .name = "perm", .ints = swapped, .count = 4
    };
    *out = y;
    if (!front && !r->packed)
        return TN_OK;
    TN_TRY(add_with_integers(p, "Reshape", y, apart, 4, out));
    return front ? pattern_add(p, "Transpose", out, 1, &perm, 1, out) : TN_OK;
}

static tn_status rewrite(pattern *p, rotation *r)
{
    tn_attribute attributes[3];
    tn_value_id inputs[3], y, out;
    const uint32_t count = describe(p, r, attributes);
    TN_TRY(add_cache(p, r, r->cosines, &inputs[1]));
    TN_TRY(add_cache(p, r, r->sines, &inputs[2]));
    TN_TRY(add_input(p, r, &inputs[0]));
    TN_TRY(pattern_add(p, p->wanted, inputs, 3, attributes, count, &y));
    TN_TRY(add_output(p, r, y, &out));
    for (uint32_t k = 0; k < r->passed_count; k++)
        pattern_absorb(p, r->passed[k]);
    return pattern_finish(p, out, y);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    rotation r = { .x = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "RotaryEmbedding"))
        return TN_NO_MATCH;
    if (!rotary_find(&p, &r) || !rotary_angles_fit(&p, &r) || !pattern_closed(&p))
        return pattern_miss(&p);
    find_joined(&p, &r);
    return rewrite(&p, &r);
}

tn_status recognize_rotary_embedding_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Neg", "Sub", "Concat", "Gather", "GatherElements", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 34,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "recognize_rotary_embedding",
                                   .doc = "Pairs of elements turned by angles, written out with "
                                          "halves or neighbours, as one RotaryEmbedding.",
                                   .roots = roots,
                                   .match = match,
                                   .makes = "RotaryEmbedding" });
}
