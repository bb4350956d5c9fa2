/* plugins/activation/unary.c: runs the rows of activation.h.
 *
 * In: one tensor in any layout that input and output share. Out: the function of each element.
 * Floating-point types are computed in double and rounded once.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

const tn_param_def activation_x[1] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "Any shape." } };
const tn_param_def activation_y[1] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "The shape of X." } };
const tn_param_def activation_input[1] = { { "input", "T", TN_MASK_FLOAT, 0, 0, "Any shape." } };
const tn_param_def activation_output[1] = { { "output", "T", TN_MASK_FLOAT, 0, 0,
                                              "The shape of the input." } };

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

tn_status activation_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == 0 ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct unary_job {
    const activation *row;
    const tn_tensor *x;
    tn_tensor *y;
    double p[2];
} unary_job;

static void read_parameters(const tn_node_view *node, const activation *row, double *p)
{
    for (uint32_t k = 0; k < row->attribute_count; k++) {
        const tn_attribute_def *a = &row->attributes[k];
        if (a->type == TN_ATTR_FLOAT)
            p[k] = tn_attr_float(node, a->name, a->f);
        else
            p[k] = strcmp(tn_attr_string(node, a->name, a->s), a->s) != 0;
    }
}

static void through_doubles(const unary_job *job, int64_t begin, int64_t end)
{
    double block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_doubles(job->x->dtype, job->x->data, i, n, block);
        job->row->doubles(block, n, job->p);
        store_doubles(job->y->dtype, job->y->data, i, n, block);
    }
}

static void through_ints(const unary_job *job, int64_t begin, int64_t end)
{
    int64_t block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_ints(job->x->dtype, job->x->data, i, n, block);
        job->row->ints(block, n, job->x->dtype, job->p);
        store_ints(job->y->dtype, job->y->data, i, n, block);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const unary_job *job = user;
    (void)thread;
    if (!(TN_BIT(job->x->dtype) & TN_MASK_FLOAT))
        through_ints(job, begin, end);
    else if (job->x->dtype == TN_FLOAT32 && job->row->floats)
        job->row->floats((const float *)job->x->data + begin, (float *)job->y->data + begin,
                         end - begin, job->p);
    else
        through_doubles(job, begin, end);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    unary_job job = { ctx->call.user, ctx->inputs[0], ctx->outputs[0], { 0, 0 } };
    const int64_t bits = tn_dtype_bits(job.x->dtype);
    /* A private layout may have more places than the shape has elements. */
    const int64_t count = job.x->layout == TN_LAYOUT_PLAIN ? tn_count(job.x)
                                                           : (int64_t)job.x->bytes * 8 / bits;
    (void)state, (void)slot;
    read_parameters(ctx->node, job.row, job.p);
    return ctx->call.host->parallel_for(&ctx->call, count, 4096, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_attribute_def consumed[] = { TN_CONSUMED_INPUTS };

/* The version of set 1. */
static tn_status add_old(tn_registrar *registrar, const activation *row,
                         const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 1, 1);
    old.attributes = row->old_attributes ? row->old_attributes : consumed;
    old.attribute_count = row->old_attributes ? (uint16_t)row->old_count : 1;
    return registrar->add_operator(registrar, &old);
}

static tn_status add(tn_registrar *registrar, const activation *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = row->since,
        .accepts_from = row->accepts_from,
        .name = row->name,
        .doc = row->doc,
        .inputs = row->input,
        .input_count = 1,
        .outputs = row->output,
        .output_count = 1,
        .attributes = row->attributes,
        .attribute_count = row->attribute_count,
        .traits = TN_ELEMENTWISE,
        .infer = row->infer ? row->infer : infer,
        .samplewise = activation_samplewise,
        .body = row->body,
        .expand = row->expand,
        .upgrade = row->accepts_from == 6 ? tn_upgrade_consumed : NULL,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel,
        .flags = TN_KERNEL_ANY_LAYOUT | TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS,
        .op = row->name,
        .run = run,
        .user = (void *)row,
    };
    if (op.upgrade)
        TN_TRY(add_old(registrar, row, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status activation_add(tn_registrar *registrar, const activation *rows, size_t count)
{
    for (size_t k = 0; k < count; k++)
        TN_TRY(add(registrar, &rows[k]));
    return TN_OK;
}
