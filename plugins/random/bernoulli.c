/* plugins/random/bernoulli.c: Bernoulli (ONNX operators: Bernoulli).
 *
 *   y[i] = u[i] < x[i], u uniform in [0, 1)
 *
 * so that 0 never gives 1, and 1 always.
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"
#include "tenon/upgrade.h"

#define TYPES (TN_MASK_NUMERIC | TN_BIT(TN_BOOL))

static tn_status infer(tn_infer *ctx)
{
    random_dtype(ctx, TYPES, TN_UNDEFINED, "a number's type or bool");
    return tn_infer_same(ctx, 0, 0);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    source source;
    const tn_tensor *x;
    tn_tensor *y;
} job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double x[BLOCK], u[BLOCK];
    int64_t whole[BLOCK];
    (void)thread;
    for (int64_t first = begin; first < end; first += BLOCK) {
        const int64_t n = end - first < BLOCK ? end - first : BLOCK;
        load_doubles(j->x->dtype, j->x->data, first, n, x);
        source_uniform(&j->source, first, n, u);
        for (int64_t k = 0; k < n; k++) {
            if (!(x[k] >= 0.0 && x[k] <= 1.0))
                return j->source.call->host->fail(j->source.call, TN_ERR_VALUE,
                                                  "input[%lld] is %g: expected a probability of "
                                                  "[0, 1]",
                                                  (long long)(first + k), x[k]);
            whole[k] = u[k] < x[k];
            u[k] = (double)whole[k];
        }
        if (tn_dtype_is_float(j->y->dtype))
            store_doubles(j->y->dtype, j->y->data, first, n, u);
        else
            store_ints(j->y->dtype, j->y->data, first, n, whole);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .source = source_of(ctx), .x = ctx->inputs[0], .y = ctx->outputs[0] };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(j.x), 4096, chunk, &j);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* Uniform numbers in double, of the node's seed: rounded to fewer bits one could be 1, which is not
 * below a probability of 1. */
static tn_value_id put_uniform(tn_edit *e)
{
    const tn_value_id x = tn_edit_input(e, 0);
    const tn_attribute *seed = tn_attr(tn_edit_view(e), "seed");
    tn_attribute attributes[2] = { tn_attribute_of_int("dtype", TN_FLOAT64) };
    const int seeded = seed && seed->type == TN_ATTR_FLOAT;
    if (seeded)
        attributes[1] = *seed;
    return tn_put_node(e, "RandomUniformLike", &x, 1, attributes, seeded ? 2 : 1);
}

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const tn_type *type = tn_edit_type(&e, x);
    const int64_t to = tn_attr_int(tn_edit_view(&e), "dtype", type ? type->dtype : TN_UNDEFINED);
    if (to == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of input 'input' is not known");
    const tn_value_id p = tn_put_with(&e, "Cast", x, TN_NONE, "to", TN_FLOAT64);
    const tn_value_id is_one = tn_put(&e, "Less", put_uniform(&e), p, TN_NONE, NULL);
    return tn_edit_give(&e, tn_put_with(&e, "Cast", is_one, TN_NONE, "to", to));
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T1", TN_MASK_FLOAT, 0, 0, "Probabilities of 1." },
};
static const tn_param_def outputs[] = {
    { "output", "T2", TYPES, 0, 0, "0 or 1, in the shape of the input." },
};
static const tn_attribute_def attributes[] = {
    { .name = "dtype",
      .type = TN_ATTR_INT,
      .doc = "Number of the output's type; that of the input when left out." },
    RANDOM_SEED,
};

tn_status bernoulli_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 22,
        .accepts_from = 15,
        .name = "Bernoulli",
        .doc = "1 with the probability that each element says, else 0.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_NONDETERMINISTIC | TN_MAY_FAIL,
        .infer = infer,
        .expand = write_out,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "Bernoulli", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
