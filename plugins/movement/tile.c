/* plugins/movement/tile.c: repeats a tensor along its axes.
 *
 * ONNX: Tile. output[i, …] = input[i mod extent, …], extents times repeats. Set 1 repeats along one
 * axis, both given by scalars of the input's type; it stays an operator of its own, since the number
 * of repeats to write out is the rank, which an upgrade does not know.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* A small integer vector, repeated. */
static tn_status tile_elements(tn_infer *ctx)
{
    tn_dim elements[MOVE_ELEMENTS];
    const int64_t count = move_small(&ctx->outputs[0]), own = move_elements(ctx, 0, elements);
    if (own < 1 || count < 0 || ctx->outputs[0].rank != 1)
        return TN_OK;
    for (int64_t i = own; i < count; i++)
        elements[i] = elements[i - own];
    return ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    tn_dim repeats[MOVE_ELEMENTS];
    const int64_t found = move_elements(ctx, 1, repeats);
    const int64_t count = found < 0 ? move_length(ctx, 1) : found;
    if (!input || input->rank < 0)
        return TN_OK;
    if (count >= 0 && count != input->rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'repeats' has %lld elements: expected %d, the rank of "
                                 "input 'input'",
                                 (long long)count, (int)input->rank);
        return TN_OK;
    }
    TN_TRY(tn_infer_same(ctx, 0, 0));
    for (int32_t axis = 0; axis < out->rank; axis++) {
        const tn_dim times = found < 0 ? TN_DIM_UNKNOWN : repeats[axis];
        if (tn_dim_known(times) && times < 0) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     "repeats[%d] is %lld: expected at least 0", (int)axis,
                                     (long long)times);
            return TN_OK;
        }
        out->dims[axis] = tn_dim_mul(ctx, input->dims[axis], times);
    }
    return TN_BIT(out->dtype) & TN_MASK_INTEGER ? tile_elements(ctx) : TN_OK;
}

/* The scalar behind input k of set 1; 0 when it is not known, or no whole number below 2^31. */
static int scalar_of(tn_infer *ctx, uint32_t k, int64_t *out)
{
    const tn_tensor *value = ctx->call.host->input_value(&ctx->call, k);
    if (!value || value->dtype == TN_STRING || tn_count(value) != 1)
        return 0;
    const double number = tn_get_double(value->dtype, value->data, 0);
    *out = fabs(number) < 0x1p31 ? (int64_t)number : 0;
    return fabs(number) < 0x1p31 && (double)*out == number;
}

static tn_status infer_1(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    int64_t tiles = 0, axis = 0;
    if (!input || input->rank < 0)
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    const int some = scalar_of(ctx, 1, &tiles);
    if (!scalar_of(ctx, 2, &axis)) {
        for (int32_t k = 0; k < out->rank; k++)
            out->dims[k] = TN_DIM_UNKNOWN;
        return TN_OK;
    }
    const int32_t at = move_axis_element(ctx, 2, 0, axis, input->rank);
    if (at < 0)
        return TN_OK;
    if (some && tiles < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "tiles is %lld: expected at least 0", (long long)tiles);
    out->dims[at] = some && tiles >= 0 ? tn_dim_mul(ctx, input->dims[at], tiles) : TN_DIM_UNKNOWN;
    return TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    return move_same_shape(query->inputs[0], query->outputs[0]) ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    tn_dim repeats[MOVE_ELEMENTS];
    if (move_elements(ctx, 1, repeats) < 1 || !tn_dim_known(repeats[0]) || repeats[0] != 1)
        return TN_NO_MATCH;
    return move_samples(ctx, input_axes, output_axes);
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Behind the last repeated axis all is one run, which stands `times` times in a row. */
typedef struct tile_job {
    const tn_tensor *in;
    const tn_tensor *out;
    int32_t axis; /* the last repeated one */
    size_t run;   /* bytes of that axis and all behind it */
    int64_t times;
    size_t width;
} tile_job;

/* Writes one run, then what is written behind itself, doubling. */
static void repeat(char *to, const char *from, size_t run, int64_t times)
{
    const size_t all = run * (size_t)times;
    memcpy(to, from, run);
    for (size_t done = run; done < all;) {
        const size_t more = done < all - done ? done : all - done;
        memcpy(to + done, to, more);
        done += more;
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const tile_job *job = user;
    const size_t row = job->run * (size_t)job->times;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = 0, step = 1, rest = i;
        for (int32_t axis = job->axis - 1; axis >= 0; axis--) {
            from += rest % job->out->dims[axis] % job->in->dims[axis] * step;
            rest /= job->out->dims[axis];
            step *= job->in->dims[axis];
        }
        const char *source = (const char *)job->in->data + (size_t)from * job->run;
        char *to = (char *)job->out->data + (size_t)i * row;
        if (job->run == job->width)
            move_fill(to, job->width, job->times, source);
        else
            repeat(to, source, job->run, job->times);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0], *out = ctx->outputs[0];
    tile_job job = { .in = in, .out = out, .width = tn_dtype_bits(in->dtype) / 8, .times = 1 };
    (void)state, (void)slot;
    if (in->rank != out->rank)
        return tn_fail(ctx, TN_ERR_SHAPE, "the output has rank %d: expected %d", (int)out->rank,
                       (int)in->rank);
    if (tn_count(out) == 0)
        return TN_OK;
    for (int32_t axis = 0; axis < in->rank; axis++) {
        if (in->dims[axis] != out->dims[axis])
            job.axis = axis;
    }
    if (in->rank > 0)
        job.times = out->dims[job.axis] / in->dims[job.axis];
    job.run = (size_t)tn_extent(in->dims, job.axis, in->rank) * job.width;
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(out->dims, 0, job.axis),
                                        1 + 65536 / ((int64_t)job.run * job.times), chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "The tensor to repeat." },
    { "repeats", NULL, TN_BIT(TN_INT64), 0, 0, "How often along each axis." },
};
static const tn_param_def outputs[] = { { "output", "T", MOVE_TYPES, 0, 0, "The repeated." } };

#define TILE_1 (TN_BIT(TN_FLOAT16) | TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64))
static const tn_param_def inputs_1[] = {
    { "input", "T", TILE_1, 0, 0, "The tensor to repeat." },
    { "tiles", NULL, TILE_1 | TN_BIT(TN_INT64), 0, 0, "How often, a scalar." },
    { "axis", NULL, TILE_1 | TN_BIT(TN_INT64), 0, 0, "Along which axis, a scalar." },
};
static const tn_param_def outputs_1[] = { { "output", "T", TILE_1, 0, 0, "The repeated." } };

static tn_status keep_1(tn_rewrite *ctx, tn_node_id node)
{
    if (ctx->api->node(ctx->graph, node)->input_count < 3)
        return TN_OK;
    return tn_fail(ctx, TN_KEEP, "Tile of set 1 names one axis, of a rank that is not known here");
}

static tn_status add_1(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 1,
        .name = "Tile",
        .doc = "Repeats a tensor along one axis; the form of set 1.",
        .inputs = inputs_1,
        .input_count = 3,
        .outputs = outputs_1,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer_1,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Tile",
                                   .since = 1,
                                   .until = 1,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status tile_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 6,
        .name = "Tile",
        .doc = "Repeats a tensor along its axes.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .samplewise = samplewise,
        .upgrade = keep_1,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Tile",
                                   .since = 6,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_1(registrar));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
