/* plugins/movement/trilu.c: the upper or lower triangle of matrices.
 *
 * ONNX: Trilu. The upper triangle keeps column j of row i from j = i + k on, the lower one up to
 * there; the rest is zero. All axes but the last two count matrices.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *k = move_input(ctx, 1);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    (void)move_check_rank(ctx, 0, "input", 2, TN_MAX_RANK);
    if (k && (k->rank > 1 || (k->rank == 1 && tn_dim_known(k->dims[0]) && k->dims[0] != 1)))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'k' has rank %d: expected one element", (int)k->rank);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 3)
        return TN_NO_MATCH;
    return move_samples(ctx, input_axes, output_axes);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct trilu_job {
    const char *in;
    char *out;
    size_t width;
    int64_t rows, columns; /* of a matrix */
    int64_t k;             /* within [-rows, columns] */
    int upper;
    move_value zero;
} trilu_job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const trilu_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const size_t at = (size_t)(row * job->columns) * job->width;
        int64_t edge = row % job->rows + job->k + !job->upper; /* first column of the right part */
        edge = edge < 0 ? 0 : edge > job->columns ? job->columns : edge;
        const size_t left = (size_t)edge * job->width;
        const size_t right = (size_t)(job->columns - edge) * job->width;
        if (job->upper) {
            move_fill(job->out + at, job->width, edge, &job->zero);
            memcpy(job->out + at + left, job->in + at + left, right);
        } else {
            memcpy(job->out + at, job->in + at, left);
            move_fill(job->out + at + left, job->width, job->columns - edge, &job->zero);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0], *k = ctx->input_count > 1 ? ctx->inputs[1] : NULL;
    trilu_job job = { .in = in->data,
                      .out = ctx->outputs[0]->data,
                      .width = tn_dtype_bits(in->dtype) / 8,
                      .upper = tn_attr_int(ctx->node, "upper", 1) != 0,
                      .zero = move_zero(in->dtype) };
    (void)state, (void)slot;
    if (in->rank < 2 || (k && tn_count(k) != 1))
        return tn_fail(ctx, TN_ERR_SHAPE, "expected an input of rank 2 at least and one element k");
    job.rows = in->dims[in->rank - 2], job.columns = in->dims[in->rank - 1];
    job.k = k ? move_index(k, 0) : 0;
    job.k = job.k < -job.rows - 1 ? -job.rows - 1 : job.k > job.columns ? job.columns : job.k;
    if (tn_count(in) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(in) / job.columns,
                                        1 + 16384 / job.columns, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "Matrices, of rank 2 at least." },
    { "k", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "The diagonal at which the triangle ends, 0 the main one, 1 the one above it; 0 if absent." },
};
static const tn_param_def outputs[] = { { "output", "T", MOVE_TYPES, 0, 0, "The triangles." } };
static const tn_attribute_def attributes[] = {
    { .name = "upper",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: the upper triangle; 0: the lower one." },
};

tn_status trilu_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 14,
        .name = "Trilu",
        .doc = "The upper or lower triangle of each matrix, zeros elsewhere.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "Trilu", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
