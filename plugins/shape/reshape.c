/* plugins/shape/reshape.c: the same elements in another shape.
 *
 * ONNX: Reshape. One extent may be -1 and follows from the number of elements; 0 keeps the
 * input's extent at that place, unless allowzero says that it means an empty axis. Flatten: a
 * matrix of the axes before and those from `axis` on.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- Reshape: inference ------------------------------------------------------------------- */

typedef struct reshape {
    int64_t rank;  /* of the output; -1: not known */
    int32_t open;  /* where the extent is -1; -1: nowhere */
    uint32_t kept; /* bit k: extent k is the input's */
    tn_dim dims[TN_MAX_RANK];
} reshape;

static void complain_shape(tn_infer *ctx, int64_t i, const char *expected)
{
    tn_dim shape[SHAPE_ELEMENTS] = { 0 };
    (void)shape_elements(ctx, 1, shape);
    ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                             "shape[%lld] is %lld: expected %s", (long long)i, (long long)shape[i],
                             expected);
}

/* An extent of 0 at place i. Answers 0 after a complaint. */
static int keep_extent(tn_infer *ctx, const tn_type *data, int32_t i, reshape *out)
{
    out->kept |= 1u << i;
    if (!data || data->rank < 0)
        return 1;
    if (i < data->rank) {
        out->dims[i] = data->dims[i];
        return 1;
    }
    ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                             "shape[%d] is 0, to keep the extent of an axis, but input 'data' has "
                             "rank %d",
                             (int)i, (int)data->rank);
    return 0;
}

/* Reads what the input 'shape' asks for. Answers 0 after a complaint. */
static int read_shape(tn_infer *ctx, reshape *out)
{
    const int allow_zero = tn_attr_int(ctx->node, "allowzero", 0) != 0;
    const tn_type *data = ctx->inputs[0];
    tn_dim shape[SHAPE_ELEMENTS];
    const int64_t found = shape_elements(ctx, 1, shape);
    int empty = 0;
    *out = (reshape){ .rank = found < 0 ? shape_length(ctx, 1) : found, .open = -1 };
    if (!shape_check_rank(ctx, 1, out->rank))
        return 0;
    for (int32_t i = 0; i < out->rank; i++) {
        const tn_dim extent = found < 0 ? TN_DIM_UNKNOWN : shape[i];
        out->dims[i] = extent;
        if (!tn_dim_known(extent) || extent > 0)
            continue;
        if (extent == 0) {
            empty = 1;
            if (!allow_zero) {
                out->dims[i] = TN_DIM_UNKNOWN;
                if (!keep_extent(ctx, data, i, out))
                    return 0;
            }
        } else if (extent < -1 || out->open >= 0) {
            complain_shape(ctx, i, extent < -1 ? "an extent, 0 or -1" : "-1 only once");
            return 0;
        } else {
            out->open = i;
            out->dims[i] = TN_DIM_UNKNOWN;
        }
    }
    if (allow_zero && empty && out->open >= 0) {
        complain_shape(ctx, out->open, "no -1 beside 0, since allowzero is set");
        return 0;
    }
    return 1;
}

/* A product of extents: its number, and the rest as an expression. */
typedef struct factors {
    int32_t count;
    tn_dim dims[TN_MAX_RANK];
} factors;

/* Takes the numbers out of a list of factors; their product. */
static tn_dim take_numbers(tn_infer *ctx, factors *f)
{
    tn_dim product = 1;
    int32_t left = 0;
    for (int32_t k = 0; k < f->count; k++) {
        if (tn_dim_known(f->dims[k]))
            product = tn_dim_mul(ctx, product, f->dims[k]);
        else
            f->dims[left++] = f->dims[k];
    }
    f->count = left;
    return product;
}

/* Strikes out what stands on both sides of a fraction, once for once. */
static void cancel(tn_infer *ctx, factors *over, factors *under)
{
    for (int32_t i = 0; i < under->count; i++) {
        for (int32_t j = 0; j < over->count; j++) {
            const tn_dim a = under->dims[i], b = over->dims[j];
            if (tn_dim_known(a) || a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN ||
                ctx->call.host->dim_equal(&ctx->call, a, b) != TN_YES)
                continue;
            under->dims[i--] = under->dims[--under->count];
            over->dims[j] = over->dims[--over->count];
            break;
        }
    }
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static tn_dim product(tn_infer *ctx, const factors *f, tn_dim number)
{
    for (int32_t k = 0; k < f->count; k++)
        number = tn_dim_mul(ctx, number, f->dims[k]);
    return number;
}

/* The open extent: elements of the input over those of the other extents. */
static tn_dim open_extent(tn_infer *ctx, const tn_type *data, const reshape *r)
{
    factors over = { 0 }, under = { 0 };
    for (int32_t axis = 0; axis < data->rank; axis++) {
        if (axis >= r->rank || !(r->kept >> axis & 1))
            over.dims[over.count++] = data->dims[axis];
    }
    for (int32_t axis = 0; axis < r->rank; axis++) {
        if (axis != r->open && !(r->kept >> axis & 1))
            under.dims[under.count++] = r->dims[axis];
    }
    cancel(ctx, &over, &under);
    tn_dim a = take_numbers(ctx, &over), b = take_numbers(ctx, &under);
    if (tn_dim_known(a) && tn_dim_known(b) && a > 0 && b > 0) {
        const int64_t divisor = common_divisor(a, b);
        a /= divisor;
        b /= divisor;
    }
    a = product(ctx, &over, a);
    b = product(ctx, &under, b);
    if (tn_dim_known(b) && b == 1)
        return a;
    if (tn_dim_known(a) && tn_dim_known(b) && (b == 0 || a % b != 0)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "shape[%d] is -1, but the other extents do not divide the number "
                                 "of elements of input 'data'",
                                 (int)r->open);
        return TN_DIM_UNKNOWN;
    }
    return tn_dim_floordiv(ctx, a, b);
}

static void add_shape(char *text, size_t size, size_t *at, const tn_type *type)
{
    for (int32_t axis = 0; axis < type->rank; axis++) {
        char digits[24];
        size_t n = 0;
        int64_t left = type->dims[axis];
        do
            digits[n++] = (char)('0' + left % 10);
        while ((left /= 10) != 0);
        if (*at + n + 2 > size)
            return;
        text[(*at)++] = axis ? ',' : '[';
        while (n)
            text[(*at)++] = digits[--n];
    }
}

/* "[2,3]" of known extents. */
static const char *shape_text(char *text, size_t size, const tn_type *type)
{
    size_t at = 0;
    add_shape(text, size - 1, &at, type);
    if (type->rank == 0)
        text[at++] = '[';
    text[at++] = ']';
    text[at] = 0;
    return text;
}

/* Both numbers of elements, where they are known, must agree. */
static void check_count(tn_infer *ctx, const tn_type *data, const tn_type *out)
{
    char from[256], to[256];
    tn_dim own = 1, asked = 1;
    for (int32_t axis = 0; axis < data->rank; axis++)
        own = tn_dim_known(own) && tn_dim_known(data->dims[axis])
                  ? tn_dim_mul(ctx, own, data->dims[axis])
                  : TN_DIM_UNKNOWN;
    for (int32_t axis = 0; axis < out->rank; axis++)
        asked = tn_dim_known(asked) && tn_dim_known(out->dims[axis])
                    ? tn_dim_mul(ctx, asked, out->dims[axis])
                    : TN_DIM_UNKNOWN;
    if (!tn_dim_known(own) || !tn_dim_known(asked) || own == asked)
        return;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                             "input 'shape' asks for %s, %lld elements, but input 'data' has shape "
                             "%s: expected %lld elements",
                             shape_text(to, sizeof to, out), (long long)asked,
                             shape_text(from, sizeof from, data), (long long)own);
}

static tn_status infer_reshape(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    reshape r;
    if (!ctx->inputs[1] || !read_shape(ctx, &r) || r.rank < 0)
        return TN_OK;
    out->rank = (int32_t)r.rank;
    for (int32_t axis = 0; axis < out->rank; axis++)
        out->dims[axis] = r.dims[axis];
    if (data && data->rank >= 0) {
        if (r.open >= 0)
            out->dims[r.open] = open_extent(ctx, data, &r);
        else
            check_count(ctx, data, out);
    }
    return shape_pass_elements(ctx);
}

/* Samples stay apart when the first axis stays as it is. */
static tn_status samplewise_reshape(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0], *out = &ctx->outputs[0];
    if (!data || data->rank < 1 || out->rank < 1 || data->dims[0] != out->dims[0] ||
        data->dims[0] == TN_DIM_UNKNOWN)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = -1;
    return TN_OK;
}

/* ---- Flatten ------------------------------------------------------------------------------ */

/* Number of axes in front: [-rank, rank], so that all of them can be. -1 when it is outside. */
static int32_t flatten_axis(const tn_node_view *node, int32_t rank)
{
    const int64_t axis = tn_attr_int(node, "axis", 1);
    if (axis < -(int64_t)rank || axis > rank)
        return -1;
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

static tn_status infer_flatten(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    out->rank = 2;
    out->dims[0] = out->dims[1] = TN_DIM_UNKNOWN;
    if (!data || data->rank < 0)
        return TN_OK;
    const int32_t front = flatten_axis(ctx->node, data->rank);
    if (front < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d] of input 'input' of rank %d",
                                 (long long)tn_attr_int(ctx->node, "axis", 1), -(int)data->rank,
                                 (int)data->rank, (int)data->rank);
        return TN_OK;
    }
    out->dims[0] = out->dims[1] = 1;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        tn_dim *side = &out->dims[axis >= front];
        *side = tn_dim_mul(ctx, *side, data->dims[axis]);
    }
    return shape_pass_elements(ctx);
}

static tn_status samplewise_flatten(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0];
    if (!data || data->rank < 1 || flatten_axis(ctx->node, data->rank) != 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def reshape_inputs[] = {
    { "data", "T", TN_MASK_ALL, 0, 0, "Any tensor." },
    { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "The new extents; one may be -1." },
};
static const tn_param_def reshape_outputs[] = {
    { "reshaped", "T", TN_MASK_ALL, 0, 0, "The same elements." },
};
static const tn_attribute_def reshape_attributes[] = {
    { .name = "allowzero",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "0: an extent of 0 keeps the input's; 1: it is an empty axis." },
};
static const tn_param_def flatten_inputs[] = {
    { "input", "T", TN_MASK_ALL, 0, 0, "Any tensor." },
};
static const tn_param_def flatten_outputs[] = {
    { "output", "T", TN_MASK_ALL, 0, 0, "The same elements as a matrix." },
};
static const tn_attribute_def flatten_attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "The first axis that goes into the columns." },
};

/* ---- set 1: the shape as an attribute ------------------------------------------------------ */

static const tn_attribute_def reshape_old[] = {
    { .name = "shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "The new extents; one may be -1." },
    TN_CONSUMED_INPUTS,
};

static tn_status upgrade_reshape(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_ints_to_input(&e, "shape", 1);
    tn_edit_drop(&e, "consumed_inputs");
    return e.status;
}

tn_status reshape_register(tn_registrar *registrar)
{
    const tn_operator_def reshape_op = {
        .size = sizeof reshape_op,
        .since = 25,
        .accepts_from = 5,
        .name = "Reshape",
        .doc = "Gives a tensor another shape of as many elements.",
        .inputs = reshape_inputs,
        .input_count = 2,
        .outputs = reshape_outputs,
        .output_count = 1,
        .attributes = reshape_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_RESHAPES,
        .infer = infer_reshape,
        .identity = shape_identity,
        .cost = shape_cost,
        .samplewise = samplewise_reshape,
        .upgrade = upgrade_reshape,
    };
    tn_operator_def old = tn_old_version(&reshape_op, 1, 1);
    const tn_operator_def flatten_op = {
        .size = sizeof flatten_op,
        .since = 25,
        .accepts_from = 1,
        .name = "Flatten",
        .doc = "Makes a matrix of the axes in front of `axis` and those behind.",
        .inputs = flatten_inputs,
        .input_count = 1,
        .outputs = flatten_outputs,
        .output_count = 1,
        .attributes = flatten_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_RESHAPES,
        .infer = infer_flatten,
        .identity = shape_identity,
        .cost = shape_cost,
        .samplewise = samplewise_flatten,
    };
    old.input_count = 1;
    old.attributes = reshape_old;
    old.attribute_count = 2;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(shape_add(registrar, &reshape_op, shape_copy, TN_KERNEL_IN_PLACE | TN_KERNEL_EMPTY));
    return shape_add(registrar, &flatten_op, shape_copy, TN_KERNEL_IN_PLACE);
}
