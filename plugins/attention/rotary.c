/* plugins/attention/rotary.c: RotaryEmbedding (ONNX operators: RotaryEmbedding; Su et al.,
 * arXiv:2104.09864).
 *
 * Pairs of elements of each head are turned by the angle of their position:
 *   (a, b) -> (cos a - sin b, sin a + cos b)
 * Pair k is (k, k + half), or (2k, 2k + 1) when interleaved. Elements from rotary_embedding_dim on
 * stay as they are. Position p of a sample finds its angles in row position_ids[sample, p] of the
 * caches, or in the caches' own row [sample, p].
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"
#include "tenon/upgrade.h"

enum { X, COS, SIN, POSITIONS };

/* ---- inference ---------------------------------------------------------------------------------- */

static tn_dim head_size(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[X];
    const int64_t heads = tn_attr_int(ctx->node, "num_heads", 0);
    if (x->rank == 4)
        return x->dims[3];
    if (heads < 1) {
        attn_bad_attribute(ctx, "num_heads", heads, "1 or more for an input of rank 3");
        return TN_DIM_UNKNOWN;
    }
    return attn_split_heads(ctx, X, "X", x->dims[2], heads);
}

static void check_caches(tn_infer *ctx, tn_dim half)
{
    static const char *const names[] = { "X", "cos_cache", "sin_cache" };
    const tn_type *x = ctx->inputs[X];
    const int32_t rank = attn_input(ctx, POSITIONS) ? 2 : 3;
    const tn_dim rows = x->dims[x->rank == 4 ? 2 : 1];
    for (uint32_t k = COS; k <= SIN; k++) {
        if (!attn_check_rank(ctx, k, names[k], rank, rank))
            continue;
        attn_check_extent(ctx, k, names[k], rank - 1, half, "half of what is rotated");
        if (rank == 3) {
            attn_check_extent(ctx, k, names[k], 0, x->dims[0], "as many samples as 'X'");
            attn_check_extent(ctx, k, names[k], 1, rows, "as many positions as 'X'");
        } else if (k == SIN && attn_input(ctx, COS) && ctx->inputs[COS]->rank == 2) {
            attn_check_extent(ctx, k, names[k], 0, ctx->inputs[COS]->dims[0],
                              "as many rows as 'cos_cache'");
        }
    }
    if (attn_check_rank(ctx, POSITIONS, "position_ids", 2, 2)) {
        attn_check_extent(ctx, POSITIONS, "position_ids", 0, x->dims[0], "as many samples as 'X'");
        attn_check_extent(ctx, POSITIONS, "position_ids", 1, rows, "as many positions as 'X'");
    }
}

static tn_status infer(tn_infer *ctx)
{
    const int64_t rotated = tn_attr_int(ctx->node, "rotary_embedding_dim", 0);
    if (rotated < 0 || rotated % 2)
        attn_bad_attribute(ctx, "rotary_embedding_dim", rotated, "an even number, or 0 for all");
    else if (attn_check_rank(ctx, X, "X", 3, 4)) {
        const tn_dim size = head_size(ctx);
        if (tn_dim_known(size) && rotated > size)
            ctx->call.host->complain(
                &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "rotary_embedding_dim",
                "rotary_embedding_dim is %" PRId64 ": expected at most %" PRId64 ", the head size",
                rotated, size);
        if (tn_dim_known(size) && !rotated && size % 2)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, X, NULL,
                                     "input 'X' has head size %" PRId64 ": expected an even number",
                                     size);
        check_caches(ctx, rotated ? rotated / 2 : tn_dim_floordiv(ctx, size, 2));
    }
    return tn_infer_same(ctx, 0, X);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const int by_table = attn_input(ctx, POSITIONS) != NULL;
    input_axes[X] = output_axes[0] = 0;
    input_axes[COS] = input_axes[SIN] = by_table ? -1 : 0;
    if (by_table)
        input_axes[POSITIONS] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    attn_rows x;
    const tn_tensor *cosines, *sines, *positions;
    int64_t half;
    int interleaved;
} job;

static void rotate(const job *j, int64_t first, int64_t angles)
{
    const tn_tensor *x = j->x.tensor;
    tn_tensor *y = j->run->outputs[0];
    for (int64_t k = 0; k < j->half; k++) {
        const int64_t a = first + (j->interleaved ? 2 * k : k);
        const int64_t b = j->interleaved ? a + 1 : a + j->half;
        const double c = tn_get_double(x->dtype, j->cosines->data, angles + k);
        const double s = tn_get_double(x->dtype, j->sines->data, angles + k);
        const double va = tn_get_double(x->dtype, x->data, a);
        const double vb = tn_get_double(x->dtype, x->data, b);
        tn_set_float(x->dtype, y->data, a, c * va - s * vb);
        tn_set_float(x->dtype, y->data, b, s * va + c * vb);
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const size_t element = tn_dtype_bits(j->x.tensor->dtype) / 8;
    const int64_t kept = 2 * j->half;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t h = row % j->x.heads, p = row / j->x.heads % j->x.rows;
        const int64_t b = row / j->x.heads / j->x.rows, position = b * j->x.rows + p;
        const int64_t first = attn_rows_at(&j->x, b, h, p);
        const int64_t angles = j->positions ? ((const int64_t *)j->positions->data)[position]
                                            : position;
        rotate(j, first, angles * j->half);
        memmove((char *)j->run->outputs[0]->data + (size_t)(first + kept) * element,
                (const char *)j->x.tensor->data + (size_t)(first + kept) * element,
                (size_t)(j->x.width - kept) * element);
    }
    return TN_OK;
}

static tn_status check_positions(const job *j)
{
    const int64_t *positions = j->positions->data, count = tn_count(j->positions);
    for (int64_t k = 0; k < count; k++) {
        if (positions[k] < 0 || positions[k] >= j->cosines->dims[0])
            return tn_fail(j->run, TN_ERR_VALUE,
                           "position_ids holds %" PRId64 ": expected 0 to %" PRId64
                           ", the rows of 'cos_cache'",
                           positions[k], j->cosines->dims[0] - 1);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const int64_t rotated = tn_attr_int(ctx->node, "rotary_embedding_dim", 0);
    job j = { .run = ctx,
              .cosines = ctx->inputs[COS],
              .sines = ctx->inputs[SIN],
              .positions = attn_operand(ctx, POSITIONS),
              .interleaved = tn_attr_int(ctx->node, "interleaved", 0) != 0 };
    (void)state, (void)slot;
    attn_rows_init(&j.x, ctx->inputs[X], tn_attr_int(ctx->node, "num_heads", 1));
    j.half = (rotated ? rotated : j.x.width) / 2;
    if (j.positions)
        TN_TRY(check_positions(&j));
    return ctx->call.host->parallel_for(&ctx->call, j.x.batch * j.x.heads * j.x.rows,
                                        1 + 8192 / (j.x.width + 1), run_rows, &j);
}

/* ---- as other operators ----------------------------------------------------------------------- */

/* Elements from, from + step, … before `to` of each head. */
static tn_value_id put_slice(tn_edit *e, tn_value_id x, tn_value_id from, tn_value_id to,
                             int64_t step)
{
    const tn_value_id inputs[5] = { x, from, to, tn_put_int(e, -1), tn_put_int(e, step) };
    return tn_put_node(e, "Slice", inputs, 5, NULL, 0);
}

static tn_value_id put_side_by_side(tn_edit *e, tn_value_id a, tn_value_id b)
{
    return tn_put_with(e, "Concat", a, b, "axis", -1);
}

/* [batch, positions, heads * size] as [batch, positions, heads, size]. */
static tn_value_id put_heads(tn_edit *e, tn_value_id x)
{
    const tn_value_id heads = tn_put_int(e, tn_attr_int(tn_edit_view(e), "num_heads", 1));
    const tn_value_id rows = tn_put_with(e, "Shape", x, TN_NONE, "end", 2);
    const tn_value_id all = tn_put_with(e, "Shape", x, TN_NONE, "start", 2);
    const tn_value_id size = tn_put(e, "Div", all, heads, TN_NONE, NULL);
    return tn_put_reshape(e, x, tn_put_join(e, rows, heads, size));
}

/* Cosines or sines of each position, with an axis for the heads. */
static tn_value_id put_angles(tn_edit *e, uint32_t input, int64_t heads_axis)
{
    const tn_value_id positions = tn_edit_input(e, POSITIONS);
    tn_value_id angles = tn_edit_input(e, input);
    if (positions != TN_NONE)
        angles = tn_put(e, "Gather", angles, positions, TN_NONE, NULL);
    return tn_put(e, "Unsqueeze", angles, tn_put_int(e, heads_axis), TN_NONE, NULL);
}

/* x a + sign * y b */
static tn_value_id put_turned(tn_edit *e, const char *sign, tn_value_id x, tn_value_id a,
                              tn_value_id y, tn_value_id b)
{
    const tn_value_id one = tn_put(e, "Mul", x, a, TN_NONE, NULL);
    return tn_put(e, sign, one, tn_put(e, "Mul", y, b, TN_NONE, NULL), TN_NONE, NULL);
}

/* The two halves a and b of each pair as they were in x: next to each other, or one behind the
 * other. */
static tn_value_id put_pairs(tn_edit *e, tn_value_id x, tn_value_id a, tn_value_id b,
                             tn_value_id both, int interleaved)
{
    if (!interleaved)
        return put_side_by_side(e, a, b);
    const tn_value_id last = tn_put_int(e, -1);
    const tn_value_id pairs = put_side_by_side(e, tn_put(e, "Unsqueeze", a, last, TN_NONE, NULL),
                                               tn_put(e, "Unsqueeze", b, last, TN_NONE, NULL));
    const tn_value_id rows = tn_put_with(e, "Shape", x, TN_NONE, "end", -1);
    return tn_put_reshape(e, pairs, tn_put_join(e, rows, both, TN_NONE));
}

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, X);
    const tn_type *type = tn_edit_type(&e, x);
    const int32_t rank = type ? type->rank : -1;
    const int interleaved = tn_attr_int(tn_edit_view(&e), "interleaved", 0) != 0;
    const int partly = tn_attr_int(tn_edit_view(&e), "rotary_embedding_dim", 0) != 0;
    if (rank < 0)
        return tn_fail(ctx, TN_KEEP, "the rank of input 'X' is not known");
    const tn_value_id all = rank == 3 ? put_heads(&e, x) : x;
    const tn_value_id c = put_angles(&e, COS, rank == 3 ? 2 : 1);
    const tn_value_id s = put_angles(&e, SIN, rank == 3 ? 2 : 1);
    const tn_value_id none = tn_put_int(&e, 0);
    const tn_value_id half = tn_put_with(&e, "Shape", tn_edit_input(&e, COS), TN_NONE, "start", -1);
    const tn_value_id both = tn_put(&e, "Add", half, half, TN_NONE, NULL);
    const tn_value_id a = interleaved ? put_slice(&e, all, none, both, 2)
                                      : put_slice(&e, all, none, half, 1);
    const tn_value_id b = interleaved ? put_slice(&e, all, tn_put_int(&e, 1), both, 2)
                                      : put_slice(&e, all, half, both, 1);
    const tn_value_id first = put_turned(&e, "Sub", c, a, s, b);
    const tn_value_id second = put_turned(&e, "Add", s, a, c, b);
    tn_value_id y = put_pairs(&e, all, first, second, both, interleaved);
    if (partly)
        y = put_side_by_side(&e, y, put_slice(&e, all, both, tn_put_int(&e, INT64_MAX), 1));
    if (rank == 3)
        y = tn_put_reshape(&e, y, tn_put(&e, "Shape", x, TN_NONE, TN_NONE, NULL));
    return tn_edit_give(&e, y);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "X", "T", T_MASK, 0, 0,
      "[batch, heads, positions, size] or [batch, positions, heads * size]" },
    { "cos_cache", "T", T_MASK, 0, 0,
      "cosines: [rows, half], or [batch, positions, half] without position_ids" },
    { "sin_cache", "T", T_MASK, 0, 0, "sines, like cos_cache" },
    { "position_ids", "M", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "rows of the caches: [batch, positions]" },
};
static const tn_param_def outputs[] = { { "Y", "T", T_MASK, 0, 0, "the shape of X" } };
static const tn_attribute_def attributes[] = {
    { .name = "interleaved",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: pairs are neighbours; 0: the second half goes with the first" },
    { .name = "num_heads", .type = TN_ATTR_INT, .doc = "heads of an input of rank 3" },
    { .name = "rotary_embedding_dim",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "how many elements of a head are rotated; 0: all" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 23,
    .name = "RotaryEmbedding",
    .doc = "Turns pairs of elements by an angle that tells their position.",
    .inputs = inputs,
    .input_count = 4,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 3,
    .traits = TN_MAY_FAIL,
    .infer = infer,
    .samplewise = samplewise,
    .expand = write_out,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "RotaryEmbedding", .run = run, .flags = TN_KERNEL_ANY_STEPS
};

tn_status rotary_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
