/* plugins/training/optimizer.c: what the optimizers share; see training.h.
 *
 * All is computed in double and rounded once. Outputs may lie on the inputs that they replace.
 *
 * SPDX-License-Identifier: MIT */
#include "training.h"

/* ---- inference -------------------------------------------------------------------------- */

/* How many tensors are stepped, or 0 after a complaint. */
static uint32_t count_tensors(tn_infer *ctx, const optimizer *row)
{
    const uint32_t each = (uint32_t)row->memories + 2, outputs_each = each - 1;
    const uint32_t given = ctx->input_count - TENSORS;
    if (given == 0 || given % each) {
        ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                                 "%u inputs follow R and T: expected a multiple of %u (tensors, "
                                 "gradients, %s)",
                                 given, each,
                                 row->memories == 2 ? "mean gradients, mean squared gradients"
                                                    : "what is kept of former gradients");
        return 0;
    }
    if (ctx->output_count > given / each * outputs_each) {
        ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                                 "%u outputs are given, but %u tensors are stepped: expected at "
                                 "most %u",
                                 ctx->output_count, given / each, given / each * outputs_each);
        return 0;
    }
    return given / each;
}

static void check_scalars(tn_infer *ctx)
{
    for (uint32_t k = 0; k < TENSORS; k++)
        for (int32_t axis = 0; ctx->inputs[k] && axis < ctx->inputs[k]->rank; axis++)
            if (tn_dim_known(ctx->inputs[k]->dims[axis]) && ctx->inputs[k]->dims[axis] != 1) {
                ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                         "input '%s' has extent %lld along axis %d: expected a "
                                         "scalar",
                                         k == RATE ? "R" : "T",
                                         (long long)ctx->inputs[k]->dims[axis], (int)axis);
                break;
            }
}

static void check_mode(tn_infer *ctx)
{
    const char *mode = tn_attr_string(ctx->node, "mode", "standard");
    if (strcmp(mode, "standard") != 0 && strcmp(mode, "nesterov") != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "mode",
                                 "mode is '%.40s': expected standard or nesterov", mode);
}

/* Gradient and memories of a tensor have its type and shape. */
static void check_like(tn_infer *ctx, uint32_t k, uint32_t of)
{
    const tn_type *a = ctx->inputs[k], *b = ctx->inputs[of];
    if (!a || !b) {
        ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_INPUT, a ? of : k, NULL,
                                 "input %u is absent: expected a tensor", a ? of : k);
        return;
    }
    if (a->dtype && b->dtype && a->dtype != b->dtype) {
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, k, NULL,
                                 "inputs %u and %u belong together, but differ in type: expected "
                                 "the same",
                                 of, k);
        return;
    }
    if (a->rank < 0 || b->rank < 0)
        return;
    int same = a->rank == b->rank;
    for (int32_t axis = 0; same && axis < a->rank; axis++)
        same = ctx->call.host->dim_equal(&ctx->call, a->dims[axis], b->dims[axis]) != TN_NO;
    if (!same)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "inputs %u and %u belong together, but differ in shape: expected "
                                 "the same",
                                 of, k);
}

static tn_status infer(tn_infer *ctx)
{
    const optimizer *row = ctx->call.user;
    const uint32_t n = count_tensors(ctx, row);
    check_scalars(ctx);
    check_mode(ctx);
    for (uint32_t k = TENSORS + n; n && k < ctx->input_count; k++)
        check_like(ctx, k, TENSORS + (k - TENSORS) % n);
    for (uint32_t k = 0; n && k < ctx->output_count; k++)
        TN_TRY(tn_infer_same(ctx, k, TENSORS + k % n));
    for (uint32_t k = 0; n && k < ctx->output_count; k++)
        if (ctx->inputs[TENSORS + k % n])
            ctx->outputs[k].dtype = ctx->inputs[TENSORS + k % n]->dtype;
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const uint32_t each = (uint32_t)((const optimizer *)ctx->call.user)->memories + 2;
    const uint32_t n = (ctx->input_count - TENSORS) / each;
    for (uint32_t k = 0; k < n; k++) {
        double count = 1.0;
        for (int32_t axis = 0; axis < ctx->inputs[TENSORS + k]->rank; axis++)
            count *= (double)ctx->inputs[TENSORS + k]->dims[axis];
        out->ops += count * 4.0 * each;
    }
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* One tensor with all that belongs to it. */
typedef struct job {
    const optimizer *row;
    setting setting;
    const tn_tensor *x, *g, *memory[MEMORIES];
    tn_tensor *new_x, *new_memory[MEMORIES]; /* NULL: not wanted */
} job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const uint32_t dtype = j->x->dtype;
    double x[BLOCK], g[BLOCK], memory[MEMORIES][BLOCK];
    (void)thread;
    for (int64_t at = begin; at < end; at += BLOCK) {
        const int64_t n = end - at < BLOCK ? end - at : BLOCK;
        load_doubles(dtype, j->x->data, at, n, x);
        load_doubles(dtype, j->g->data, at, n, g);
        for (int32_t k = 0; k < j->row->memories; k++)
            load_doubles(dtype, j->memory[k]->data, at, n, memory[k]);
        j->row->step(&j->setting, n, x, g, memory);
        if (j->new_x)
            store_doubles(dtype, j->new_x->data, at, n, x);
        for (int32_t k = 0; k < j->row->memories; k++)
            if (j->new_memory[k])
                store_doubles(dtype, j->new_memory[k]->data, at, n, memory[k]);
    }
    return TN_OK;
}

static setting read_setting(const tn_run *ctx)
{
    const tn_node_view *node = ctx->node;
    return (setting){
        .rate = tn_get_double(ctx->inputs[RATE]->dtype, ctx->inputs[RATE]->data, 0),
        .count = tn_get_int(TN_INT64, ctx->inputs[COUNT]->data, 0),
        .alpha = (double)tn_attr_float(node, "alpha", 0.0f),
        .beta = (double)tn_attr_float(node, "beta", 0.0f),
        .decay = (double)tn_attr_float(node, "decay_factor", 0.0f),
        .epsilon = (double)tn_attr_float(node, "epsilon", 0.0f),
        .norm = (double)tn_attr_float(node, "norm_coefficient", 0.0f),
        .norm_post = (double)tn_attr_float(node, "norm_coefficient_post", 0.0f),
        .nesterov = !strcmp(tn_attr_string(node, "mode", "standard"), "nesterov"),
    };
}

static tn_tensor *output(const tn_run *ctx, uint32_t k)
{
    return k < ctx->output_count ? ctx->outputs[k] : NULL;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const optimizer *row = ctx->call.user;
    const uint32_t n = (ctx->input_count - TENSORS) / ((uint32_t)row->memories + 2);
    job j = { .row = row, .setting = read_setting(ctx) };
    (void)state, (void)slot;
    for (uint32_t i = 0; i < n; i++) {
        j.x = ctx->inputs[TENSORS + i];
        j.g = ctx->inputs[TENSORS + n + i];
        j.new_x = output(ctx, i);
        for (uint32_t k = 0; k < (uint32_t)row->memories; k++) {
            j.memory[k] = ctx->inputs[TENSORS + (2 + k) * n + i];
            j.new_memory[k] = output(ctx, (1 + k) * n + i);
        }
        TN_TRY(ctx->call.host->parallel_for(&ctx->call, tn_count(j.x), 4096, chunk, &j));
    }
    return TN_OK;
}

/* Each output may take the place of the tensor that it is the next state of. */
static tn_status measure(tn_measure *ctx, void *state)
{
    const uint32_t memories = (uint32_t)((const optimizer *)ctx->call.user)->memories;
    const uint32_t n = (ctx->problem->own_count - TENSORS) / (memories + 2);
    (void)state;
    for (uint32_t k = 0; k < ctx->problem->output_count; k++)
        ctx->alternatives[0].output_aliases[k] = (tn_alias){ .kind = TN_ALIAS_MAY_REUSE,
                                                             .input = k < n ? TENSORS + k
                                                                            : TENSORS + n + k };
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define NUMBERS (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64))
static const tn_param_def inputs[] = {
    { "R", "T1", NUMBERS, 0, 0, "The learning rate, a scalar." },
    { "T", "T2", TN_BIT(TN_INT64), 0, 0, "How many updates there were, a scalar." },
    { "inputs", "T3", NUMBERS, TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS, 1,
      "The tensors, their gradients, and what is kept of former gradients, one kind after the "
      "other." },
};
static const tn_param_def outputs[] = {
    { "outputs", "T3", NUMBERS, TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS, 1,
      "The new tensors, and what is to be kept, one kind after the other." },
};

tn_status optimizer_register(tn_registrar *registrar, const optimizer *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 1,
        .domain = "ai.onnx.preview.training",
        .name = row->name,
        .doc = row->doc,
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = row->attributes,
        .attribute_count = row->attribute_count,
        .infer = infer,
        .cost = cost,
        .user = (void *)row,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .domain = "ai.onnx.preview.training",
                                   .op = row->name,
                                   .measure = measure,
                                   .run = run,
                                   .user = (void *)row };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
