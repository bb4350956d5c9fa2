/* plugins/movement/pad.c: widens or crops a tensor at both ends of its axes.
 *
 * ONNX: Pad. Negative pads remove elements; what is left is then padded: with a constant, or by
 * index: `edge` repeats the outermost element, `reflect` mirrors without repeating it, `wrap` goes
 * round, each as often as it takes.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP, PAD_UNKNOWN };

static int mode_of(const tn_node_view *node)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    const char *name = tn_attr_string(node, "mode", "constant");
    int mode = PAD_CONSTANT;
    while (mode < PAD_UNKNOWN && strcmp(name, names[mode]) != 0)
        mode++;
    return mode;
}

/* ---- inference -------------------------------------------------------------------------- */

/* Extents with pads added. Answers 0 after a complaint. */
static int pad_axis(tn_infer *ctx, int32_t axis, tn_dim begin, tn_dim end)
{
    tn_type *out = &ctx->outputs[0];
    const tn_dim before = out->dims[axis];
    const tn_dim after = tn_dim_add(ctx, tn_dim_add(ctx, before, begin), end);
    out->dims[axis] = after;
    if (!tn_dim_known(after) || after >= 0)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                             "pads %lld and %lld remove more than the %lld elements of axis %d",
                             (long long)begin, (long long)end, (long long)before, (int)axis);
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    tn_dim pads[MOVE_ELEMENTS], axes[MOVE_ELEMENTS];
    if (mode_of(ctx->node) == PAD_UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "mode",
                                 "mode is '%s': expected constant, reflect, edge or wrap",
                                 tn_attr_string(ctx->node, "mode", ""));
    if (!data || data->rank < 0)
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    const int some = move_present(ctx, 3);
    const int64_t listed = some ? move_elements(ctx, 3, axes) : data->rank;
    const int64_t count = some && listed < 0 ? move_length(ctx, 3) : listed;
    const int64_t found = move_elements(ctx, 1, pads);
    const int64_t length = found < 0 ? move_length(ctx, 1) : found;
    if (length >= 0 && count >= 0 && length != 2 * count) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'pads' has %lld elements: expected %lld, a begin and an "
                                 "end for each axis",
                                 (long long)length, (long long)(2 * count));
        return TN_OK;
    }
    int named = listed >= 0;
    for (int64_t i = 0; some && i < listed; i++)
        named = named && tn_dim_known(axes[i]);
    for (int32_t axis = 0; !named && axis < out->rank; axis++)
        out->dims[axis] = TN_DIM_UNKNOWN; /* any axis may be padded */
    for (int64_t i = 0; named && i < count; i++) {
        const int32_t axis = some ? move_axis_element(ctx, 3, i, axes[i], data->rank) : (int32_t)i;
        if (axis < 0 || !pad_axis(ctx, axis, found < 0 ? TN_DIM_UNKNOWN : pads[i],
                                  found < 0 ? TN_DIM_UNKNOWN : pads[i + count]))
            return TN_OK;
    }
    return TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    const tn_tensor *pads = query->node->input_count > 1 ? query->constants[1] : NULL;
    if (!pads)
        return -1;
    for (int64_t i = 0; i < tn_count(pads); i++) {
        if (tn_get_int(pads->dtype, pads->data, i) != 0)
            return -1;
    }
    return 0;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct pad_job {
    const tn_tensor *in;
    tn_tensor *out;
    int mode;
    int32_t rank;                /* at least 1 */
    size_t width;                /* bytes of an element; 0 for packed ones */
    int64_t dims[TN_MAX_RANK];   /* of the output */
    int64_t before[TN_MAX_RANK]; /* places in front of what is kept */
    int64_t first[TN_MAX_RANK];  /* of the elements kept, */
    int64_t kept[TN_MAX_RANK];   /* and how many */
    int64_t strides[TN_MAX_RANK];
    union {
        char bytes[16];
        tn_text text; /* aligns it, too */
    } value;
} pad_job;

/* The element under place `at` of an axis; -1: the constant. */
static int64_t source(const pad_job *job, int32_t axis, int64_t at)
{
    const int64_t n = job->kept[axis];
    int64_t i = at - job->before[axis];
    if (i >= 0 && i < n)
        return job->first[axis] + i;
    switch (job->mode) {
    case PAD_EDGE: i = i < 0 ? 0 : n - 1; break;
    case PAD_WRAP: i = (i % n + n) % n; break;
    case PAD_REFLECT: {
        const int64_t period = n > 1 ? 2 * (n - 1) : 1;
        i = (i % period + period) % period;
        i = i < n ? i : period - i;
        break;
    }
    default: return -1;
    }
    return job->first[axis] + i;
}

/* Offset of the input row under output row `row`; -1: all constant. */
static int64_t source_row(const pad_job *job, int64_t row)
{
    int64_t offset = 0;
    for (int32_t axis = job->rank - 2; axis >= 0; axis--) {
        const int64_t i = source(job, axis, row % job->dims[axis]);
        if (i < 0)
            return -1;
        offset += i * job->strides[axis];
        row /= job->dims[axis];
    }
    return offset;
}

static void pad_ends(const pad_job *job, char *to, const char *from, int64_t begin, int64_t end)
{
    const int32_t last = job->rank - 1;
    if (job->mode == PAD_CONSTANT) {
        move_fill(to + (size_t)begin * job->width, job->width, end - begin, &job->value);
        return;
    }
    for (int64_t at = begin; at < end; at++)
        memcpy(to + (size_t)at * job->width, from + (size_t)source(job, last, at) * job->width,
               job->width);
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pad_job *job = user;
    const int32_t last = job->rank - 1;
    const int64_t columns = job->dims[last], before = job->before[last], kept = job->kept[last];
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        char *to = (char *)job->out->data + (size_t)(row * columns) * job->width;
        const int64_t offset = source_row(job, row);
        if (offset < 0 || kept == 0) {
            move_fill(to, job->width, columns, &job->value);
            continue;
        }
        const char *from = (const char *)job->in->data + (size_t)offset * job->width;
        pad_ends(job, to, from, 0, before);
        memcpy(to + (size_t)before * job->width, from + (size_t)job->first[last] * job->width,
               (size_t)kept * job->width);
        pad_ends(job, to, from, before + kept, columns);
    }
    return TN_OK;
}

/* 2- and 4-bit elements share bytes: one by one, on one thread. */
static tn_status packed(const pad_job *job)
{
    const uint32_t width = tn_dtype_bits(job->in->dtype);
    const int64_t count = tn_count(job->out), columns = job->dims[job->rank - 1];
    memset(job->out->data, 0, tn_dtype_bytes(job->out->dtype, count));
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = source_row(job, i / columns);
        const int64_t column = source(job, job->rank - 1, i % columns);
        const uint32_t bits = row < 0 || column < 0
                                  ? tn_packed_get(job->value.bytes, width, 0)
                                  : tn_packed_get(job->in->data, width, row + column);
        tn_packed_set(job->out->data, width, i, bits);
    }
    return TN_OK;
}

/* What is kept of an axis, and what comes before it. */
static tn_status set_axis(tn_run *ctx, pad_job *job, int32_t axis, int64_t begin, int64_t end)
{
    const int64_t extent = job->in->dims[axis], full = job->dims[axis];
    const int64_t cut = begin < 0 ? -begin : 0, tail = end < 0 ? -end : 0;
    job->before[axis] = begin > 0 ? begin : 0;
    job->first[axis] = cut;
    job->kept[axis] = cut + tail < extent ? extent - cut - tail : 0;
    if (extent + begin + end != full)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "pads %lld and %lld make %lld elements of axis %d: expected %lld as "
                       "inferred",
                       (long long)begin, (long long)end, (long long)(extent + begin + end),
                       (int)axis, (long long)full);
    if (job->mode != PAD_CONSTANT && job->kept[axis] == 0 && full > 0)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "axis %d has no element left to pad with: expected one at least in mode "
                       "'%s'",
                       (int)axis, tn_attr_string(ctx->node, "mode", "constant"));
    return TN_OK;
}

static tn_status read_axes(tn_run *ctx, pad_job *job)
{
    const int64_t *pads = ctx->inputs[1]->data;
    const int64_t count = tn_count(ctx->inputs[1]) / 2;
    const tn_tensor *axes = ctx->input_count > 3 ? ctx->inputs[3] : NULL;
    for (int64_t i = 0; i < count; i++) {
        const int64_t named = axes ? tn_get_int(axes->dtype, axes->data, i) : i;
        const int32_t axis = tn_axis(named, job->in->rank);
        const int64_t far = INT64_C(1) << 60; /* no tensor is as long: sums stay in range */
        if (axis < 0 || pads[i] < -far || pads[i] > far || pads[i + count] < -far ||
            pads[i + count] > far)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "pads %lld and %lld of axis %lld fit no input of rank %d",
                           (long long)pads[i], (long long)pads[i + count], (long long)named,
                           (int)job->in->rank);
        TN_TRY(set_axis(ctx, job, axis, pads[i], pads[i + count]));
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *value = ctx->input_count > 2 ? ctx->inputs[2] : NULL;
    pad_job job = { .in = ctx->inputs[0], .out = ctx->outputs[0], .mode = mode_of(ctx->node) };
    (void)state, (void)slot;
    job.width = tn_dtype_bits(job.in->dtype) / 8;
    job.rank = job.in->rank > 0 ? job.in->rank : 1;
    job.dims[0] = job.kept[0] = job.strides[0] = 1;
    tn_row_major(job.in->rank, job.in->dims, job.strides);
    for (int32_t axis = 0; axis < job.in->rank; axis++) {
        job.dims[axis] = job.out->dims[axis];
        job.kept[axis] = job.in->dims[axis];
    }
    if (job.in->dtype == TN_STRING)
        job.value.text = (tn_text){ "", 0 };
    if (value)
        memcpy(job.value.bytes, value->data, job.width ? job.width : 1);
    TN_TRY(read_axes(ctx, &job));
    if (tn_count(job.out) == 0)
        return TN_OK;
    if (job.width == 0)
        return packed(&job);
    const int64_t columns = job.dims[job.rank - 1];
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.out) / columns,
                                        1 + 16384 / columns, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "data", "T", TN_MASK_ALL, 0, 0, "The tensor to pad." },
    { "pads", NULL, TN_BIT(TN_INT64), 0, 0, "A begin for each axis, then an end for each." },
    { "constant_value", "T", TN_MASK_ALL, TN_PARAM_OPTIONAL, 0,
      "What mode constant pads with; zero, false or an empty string if absent." },
    { "axes", "Tind", MOVE_INDEX, TN_PARAM_OPTIONAL, 0, "The axes of pads; all if absent." },
};
static const tn_param_def outputs[] = { { "output", "T", TN_MASK_ALL, 0, 0, "The result." } };
static const tn_attribute_def attributes[] = {
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "constant",
      .doc = "constant, reflect, edge or wrap." },
};

/* ---- sets 1 and 2: pads and the value as attributes ----------------------------------------- */

#define OLD_ATTRIBUTES(pads)                                                                       \
    { .name = "mode",                                                                              \
      .type = TN_ATTR_STRING,                                                                      \
      .flags = TN_ATTR_HAS_DEFAULT,                                                                \
      .s = "constant",                                                                             \
      .doc = "constant, reflect or edge." },                                                       \
        { .name = pads,                                                                            \
          .type = TN_ATTR_INTS,                                                                    \
          .flags = TN_ATTR_REQUIRED,                                                               \
          .doc = "A begin for each axis, then an end for each." },                                 \
    {                                                                                              \
        .name = "value", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT,                      \
        .doc = "What mode constant pads with."                                                     \
    }
static const tn_attribute_def attributes_1[] = { OLD_ATTRIBUTES("paddings") };
static const tn_attribute_def attributes_2[] = { OLD_ATTRIBUTES("pads") };

/* Set 2 changed a name. (An example of set 1 orders its paddings otherwise than the text, which
 * this follows.) */
static tn_status upgrade_2(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_attribute pads = *tn_attr(tn_edit_view(&e), "paddings");
    pads.name = "pads";
    tn_edit_set(&e, &pads);
    tn_edit_drop(&e, "paddings");
    return e.status;
}

/* Zero is what an absent value means, too. */
static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const float value = tn_attr_float(tn_edit_view(&e), "value", 0.0f);
    tn_edit_ints_to_input(&e, "pads", 1);
    tn_edit_drop(&e, "value");
    if (!(value == 0.0f))
        tn_edit_set_input(&e, 2, tn_put_scalar_like(&e, (double)value, tn_edit_input(&e, 0)));
    return e.status;
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 2, 2);
    old.input_count = 1;
    old.attributes = attributes_2;
    old.attribute_count = 3;
    old.upgrade = upgrade_2;
    TN_TRY(registrar->add_operator(registrar, &old));
    old.since = old.accepts_from = 1;
    old.attributes = attributes_1;
    return registrar->add_operator(registrar, &old);
}

tn_status pad_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 11,
        .name = "Pad",
        .doc = "Widens or, with negative pads, crops a tensor at both ends of its axes.",
        .inputs = inputs,
        .input_count = 4,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .upgrade = upgrade,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Pad",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
