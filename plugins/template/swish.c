/* plugins/template/swish.c: a plugin to copy: one operator, its inference, a kernel, a test.
 * Swish(x) = x * sigmoid(beta * x) (Ramachandran et al. 2017). SPDX-License-Identifier: MIT */
#include <math.h>
#include <tenon/plugin.h>

/* What the operator takes and gives: X and Y have one type, T. */
static const tn_param_def x = { .name = "X", .constraint = "T", .types = TN_BIT(TN_FLOAT32) };
static const tn_param_def y = { .name = "Y", .constraint = "T", .types = TN_BIT(TN_FLOAT32) };
static const tn_attribute_def beta = { .name = "beta", .type = TN_ATTR_FLOAT,
                                       .flags = TN_ATTR_HAS_DEFAULT, .f = 1.0f };

/* The output has the shape of the input, whatever that is. */
static tn_status infer(tn_infer *ctx) { return tn_infer_same(ctx, 0, 0); }

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const float *in = ctx->inputs[0]->data, b = tn_attr_float(ctx->node, "beta", 1.0f);
    float *out = ctx->outputs[0]->data;
    (void)state, (void)slot;
    for (size_t i = 0; i < ctx->outputs[0]->bytes / sizeof *out; i++)
        out[i] = in[i] / (1.0f + expf(-b * in[i]));
    return TN_OK;
}

static const tn_operator_def swish = { .size = sizeof swish, .since = 1, .domain = "com.example",
    .name = "Swish", .doc = "x * sigmoid(beta * x).", .traits = TN_ELEMENTWISE, .infer = infer,
    .inputs = &x, .input_count = 1, .outputs = &y, .output_count = 1,
    .attributes = &beta, .attribute_count = 1 };
static const tn_kernel_def kernel = { .size = sizeof kernel, .domain = "com.example",
    .op = "Swish", .flags = TN_KERNEL_IN_PLACE, .run = run };

static tn_status load(const tn_host *host, tn_registrar *r)
{
    (void)host;
    TN_TRY(r->add_operator(r, &swish));
    return r->add_kernel(r, &kernel);
}
TN_PLUGIN(swish, .version = "1.0", .licence = "MIT", .description = "Swish", .load = load);

#ifdef SWISH_TEST /* a program: loads the plugin argv[1], runs the graph argv[2] on 2, checks */
#include <stdio.h>
#include <tenon/tenon.h>
int main(int argc, char **argv)
{
    float in = 2.0f, out = 0.0f;
    const tn_tensor from = { .size = sizeof from, .dtype = TN_FLOAT32, .data = &in, .bytes = 4 };
    const tn_tensor to = { .size = sizeof to, .dtype = TN_FLOAT32, .data = &out, .bytes = 4 };
    tn_runtime *r = NULL; tn_model *m = NULL; tn_session *s = NULL; tn_context *c = NULL;
    const int bad = argc != 3 || tn_runtime_create(NULL, NULL, &r) ||
        tn_runtime_load_plugin(r, argv[1], NULL) || tn_model_load(r, argv[2], NULL, NULL, &m) ||
        tn_session_create(m, NULL, NULL, &s) || tn_context_create(s, &c) ||
        tn_context_set_input(c, "x", &from) || tn_context_set_output(c, 0, &to) ||
        tn_context_run(c, NULL) || fabsf(out - 1.7615942f) > 1e-6f;
    printf("Swish(2) is %g, expected 1.7615942 %s\n", out, bad ? tn_error_message() : "");
    tn_context_destroy(c), tn_session_destroy(s), tn_model_destroy(m), tn_runtime_destroy(r);
    return bad;
}
#endif
