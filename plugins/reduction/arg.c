/* plugins/reduction/arg.c: where the largest or least element stands along an axis.
 *
 * ONNX: ArgMax, ArgMin. Of equal ones the first, or the last with select_last_index. NaN counts
 * as the largest and as the least, as numpy has it.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

typedef struct arg {
    const char *name;
    const char *doc;
    int least;
} arg;

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    const int64_t named = tn_attr_int(ctx->node, "axis", 0);
    const int keep = tn_attr_int(ctx->node, "keepdims", 1) != 0;
    out->dtype = TN_INT64;
    if (!data || data->rank < 0)
        return TN_OK;
    const int32_t reduced = tn_axis(named, data->rank);
    /* A scalar has no axis, but numpy and older models take it for a vector of one. */
    if (reduced < 0 && !(data->rank == 0 && (named == 0 || named == -1))) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of input 'data' of rank %d",
                                 (long long)named, -(int)data->rank, (int)data->rank,
                                 (int)data->rank);
        return TN_OK;
    }
    if (reduced >= 0 && data->dims[reduced] == 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'data' has extent 0 along axis %d: expected an element to "
                                 "choose",
                                 (int)reduced);
        return TN_OK;
    }
    out->rank = 0;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        if (axis != reduced)
            out->dims[out->rank++] = data->dims[axis];
        else if (keep)
            out->dims[out->rank++] = 1;
    }
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    out->ops = 1;
    for (int32_t axis = 0; ctx->inputs[0] && axis < ctx->inputs[0]->rank; axis++)
        out->ops *= (double)ctx->inputs[0]->dims[axis];
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0];
    if (!data || data->rank < 1 || tn_axis(tn_attr_int(ctx->node, "axis", 0), data->rank) < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Whether y takes the place of x. Comparisons with NaN are false, so it is asked for by name. */
static int doubles_beat(const arg_job *job, double y, double x)
{
    if (isnan(x))
        return job->last && isnan(y);
    if (isnan(y) || (job->last && y == x))
        return 1;
    return job->least ? y < x : y > x;
}

static int ints_beat(const arg_job *job, int64_t y, int64_t x)
{
    if (job->last && y == x)
        return 1;
    return job->least ? y < x : y > x;
}

static void load_ordered(const tn_tensor *data, int64_t at, int64_t n, int64_t *v)
{
    load_ints(data->dtype, data->data, at, n, v);
    for (int64_t i = 0; data->dtype == TN_UINT64 && i < n; i++)
        v[i] ^= INT64_MIN; /* ordered like int64 */
}

/* ROW: one place behind the axis, elements in a row. COLUMNS: n of them side by side from `first`
 * on, which lie in one slice. */
#define ARG(name, type, LOAD, beats)                                                               \
    static int64_t name##_row(const arg_job *job, int64_t first)                                   \
    {                                                                                              \
        type best = 0, v[BLOCK];                                                                   \
        int64_t found = 0;                                                                         \
        for (int64_t k = 0; k < job->extent; k += BLOCK) {                                         \
            const int64_t n = job->extent - k < BLOCK ? job->extent - k : BLOCK;                   \
            LOAD(job->data, first + k, n, v);                                                      \
            for (int64_t i = 0; i < n; i++) {                                                      \
                if (k + i == 0 || beats(job, v[i], best)) {                                        \
                    best = v[i];                                                                   \
                    found = k + i;                                                                 \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return found;                                                                              \
    }                                                                                              \
    static void name##_columns(const arg_job *job, int64_t first, int64_t n, int64_t *found)       \
    {                                                                                              \
        type best[BLOCK], v[BLOCK];                                                                \
        for (int64_t k = 0; k < job->extent; k++) {                                                \
            LOAD(job->data, first + k * job->inner, n, v);                                         \
            for (int64_t i = 0; i < n; i++) {                                                      \
                if (k == 0 || beats(job, v[i], best[i])) {                                         \
                    best[i] = v[i];                                                                \
                    found[i] = k;                                                                  \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

static void load_numbers(const tn_tensor *data, int64_t at, int64_t n, double *v)
{
    load_doubles(data->dtype, data->data, at, n, v);
}
ARG(doubles, double, load_numbers, doubles_beat)
ARG(ints, int64_t, load_ordered, ints_beat)

int64_t arg_find(const arg_job *job, int64_t at, int64_t n, int64_t *found)
{
    const int is_float = tn_dtype_is_float(job->data->dtype);
    const int64_t outer = at / job->inner, column = at % job->inner;
    const int64_t first = outer * job->extent * job->inner + column;
    const int64_t left = job->inner - column;
    n = n < BLOCK ? n : BLOCK;
    n = left < n ? left : n;
    if (job->inner == 1)
        *found = is_float ? doubles_row(job, first) : ints_row(job, first);
    else
        (is_float ? doubles_columns : ints_columns)(job, first, n, found);
    return n;
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const arg_job *job = user;
    (void)thread;
    for (int64_t at = begin; at < end;)
        at += arg_find(job, at, end - at, job->out + at);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const arg *row = ctx->call.user;
    const tn_tensor *data = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), data->rank);
    arg_job job = { .data = data,
                    .out = ctx->outputs[0]->data,
                    .extent = 1,
                    .inner = 1,
                    .last = tn_attr_int(ctx->node, "select_last_index", 0) != 0,
                    .least = row->least };
    (void)state, (void)slot;
    if (axis >= 0) {
        job.extent = data->dims[axis];
        job.inner = tn_extent(data->dims, axis + 1, data->rank);
    }
    if (tn_count(ctx->outputs[0]) == 0)
        return TN_OK;
    if (job.extent == 0)
        return tn_fail(ctx, TN_ERR_SHAPE,
                       "input 'data' has extent 0 along axis %d: expected an element to choose",
                       (int)axis);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->outputs[0]),
                                        1 + 16384 / job.extent, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "data", "T", TN_MASK_NUMERIC, 0, 0, "Any tensor." },
};
static const tn_param_def outputs[] = {
    { "reduced", NULL, TN_BIT(TN_INT64), 0, 0, "Indices along the axis." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "The axis to search; negative counts from the end." },
    { .name = "keepdims",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: the axis stays, with extent 1." },
    { .name = "select_last_index",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "1: of equal elements the last, else the first." },
};
static const arg rows[] = {
    { "ArgMax", "Where the largest element stands along an axis. NaN wins.", 0 },
    { "ArgMin", "Where the least element stands along an axis. NaN wins.", 1 },
};

tn_status arg_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const tn_operator_def op = {
            .size = sizeof op,
            .since = 13,
            .accepts_from = 1,
            .name = rows[k].name,
            .doc = rows[k].doc,
            .inputs = inputs,
            .input_count = 1,
            .outputs = outputs,
            .output_count = 1,
            .attributes = attributes,
            .attribute_count = 3,
            .infer = infer,
            .cost = cost,
            .samplewise = samplewise,
        };
        const tn_kernel_def kernel = { .size = sizeof kernel,
                                       .op = rows[k].name,
                                       .run = run,
                                       .user = (void *)&rows[k],
                                       .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
