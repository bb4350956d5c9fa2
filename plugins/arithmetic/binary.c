/* plugins/arithmetic/binary.c: runs operators of two inputs that broadcast.
 *
 * In: rows of arithmetic.h and two plain tensors. Out: one element for each pair.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- inference -------------------------------------------------------------------------- */

tn_status binary_infer(tn_infer *ctx)
{
    TN_TRY(ctx->call.host->broadcast(&ctx->call, ctx->inputs, ctx->input_count, &ctx->outputs[0]));
    return elements_binary(ctx);
}

/* An input of full rank whose first extent is not 1 has its batch there; what is repeated is
 * shared by all samples. */
tn_status broadcast_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    int32_t rank = 0, batched = 0;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        if (!ctx->inputs[k] || ctx->inputs[k]->rank < 0)
            return TN_NO_MATCH;
        rank = ctx->inputs[k]->rank > rank ? ctx->inputs[k]->rank : rank;
    }
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_type *input = ctx->inputs[k];
        const int own = input->rank == rank && rank > 0 && input->dims[0] != 1;
        if (own && input->dims[0] == TN_DIM_UNKNOWN)
            return TN_NO_MATCH;
        input_axes[k] = own ? 0 : -1;
        batched += own;
    }
    output_axes[0] = 0;
    return batched ? TN_OK : TN_NO_MATCH;
}

int constant_leaves(const tn_identity *query, uint32_t k, uint32_t of,
                    int (*is)(uint32_t dtype, const void *data, int64_t i))
{
    const tn_tensor *constant = query->constants[k];
    const tn_type *input = query->inputs[of], *output = query->outputs[0];
    if (!constant || !input || !output || input->rank < 0 || input->rank != output->rank)
        return 0;
    const int64_t count = tn_count(constant);
    for (int32_t axis = 0; axis < input->rank && !(count == 1 && constant->rank <= input->rank);
         axis++) {
        if (input->dims[axis] != output->dims[axis] || input->dims[axis] == TN_DIM_UNKNOWN)
            return 0;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!is(constant->dtype, constant->data, i))
            return 0;
    }
    return 1;
}

int element_is_one(uint32_t dtype, const void *data, int64_t i)
{
    return tn_get_double(dtype, data, i) == 1.0;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct binary_job {
    const tn_tensor *a, *b;
    tn_tensor *out;
    binary_loop loop;
    size_t width, out_width; /* bytes of an element */
} binary_job;

static void typed_row(const void *user, const int64_t *offsets, const int64_t *steps, int64_t at,
                      int64_t n)
{
    const binary_job *job = user;
    job->loop((const char *)job->a->data + (size_t)offsets[0] * job->width, steps[0],
              (const char *)job->b->data + (size_t)offsets[1] * job->width, steps[1],
              (char *)job->out->data + (size_t)at * job->out_width, n);
}

/* float16 and bfloat16: float64's loop on converted blocks. */
static void converted_row(const void *user, const int64_t *offsets, const int64_t *steps,
                          int64_t at, int64_t n)
{
    const binary_job *job = user;
    double a[BLOCK], b[BLOCK], result[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t m = n - i < BLOCK ? n - i : BLOCK;
        load_doubles(job->a->dtype, job->a->data, offsets[0] + i * steps[0], steps[0] ? m : 1, a);
        load_doubles(job->b->dtype, job->b->data, offsets[1] + i * steps[1], steps[1] ? m : 1, b);
        if (job->out->dtype == TN_BOOL) {
            job->loop(a, steps[0], b, steps[1], (uint8_t *)job->out->data + at + i, m);
            continue;
        }
        job->loop(a, steps[0], b, steps[1], result, m);
        store_doubles(job->out->dtype, job->out->data, at + i, m, result);
    }
}

static int is_other(const tn_node_view *node, const binary *row)
{
    const char *name = row->attributes[0].name;
    if (row->other_text)
        return strcmp(tn_attr_string(node, name, ""), row->other_text) == 0;
    return tn_attr_int(node, name, 0) != 0;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const binary *row = ctx->call.user;
    const uint32_t dtype = ctx->inputs[0]->dtype;
    const int half = dtype == TN_FLOAT16 || dtype == TN_BFLOAT16;
    binary_job job = { .a = ctx->inputs[0], .b = ctx->inputs[1], .out = ctx->outputs[0] };
    spread s;
    (void)state, (void)slot;
    if (row->other && is_other(ctx->node, row))
        row = row->other;
    job.loop = row->loops[half ? TN_FLOAT64 : dtype];
    job.width = tn_dtype_bits(dtype) / 8;
    job.out_width = tn_dtype_bits(job.out->dtype) / 8;
    if (!job.loop)
        return tn_fail(ctx, TN_ERR_TYPE, "%s has no kernel for element type %u", row->name,
                       (unsigned)dtype);
    spread_init(&s, job.out, ctx->inputs, 2);
    return spread_run(&ctx->call, &s, half ? converted_row : typed_row, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static tn_status add(tn_registrar *registrar, const binary *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = row->since,
        .accepts_from = row->accepts_from,
        .name = row->name,
        .doc = row->doc,
        .inputs = row->inputs,
        .input_count = 2,
        .outputs = row->output,
        .output_count = 1,
        .attributes = row->attributes,
        .attribute_count = row->attribute_count,
        .traits = TN_ELEMENTWISE | (row->flags & BINARY_COMMUTES ? TN_COMMUTATIVE : 0),
        .infer = row->infer ? row->infer : binary_infer,
        .identity = row->identity,
        .samplewise = broadcast_samplewise,
        .body = row->body,
        .upgrade = row->accepts_from == 7 ? legacy_upgrade : NULL,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel,
        .op = row->name,
        .run = run,
        .user = (void *)row,
        .flags = TN_KERNEL_ANY_STEPS | (row->flags & BINARY_IN_PLACE ? TN_KERNEL_IN_PLACE : 0),
    };
    if (op.upgrade)
        TN_TRY(legacy_add(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status binary_add(tn_registrar *registrar, const binary *rows, size_t count)
{
    for (size_t k = 0; k < count; k++)
        TN_TRY(add(registrar, &rows[k]));
    return TN_OK;
}
