/* plugins/cast/cast.c: Cast and CastLike.
 *
 * ONNX: Cast, to the type that an attribute names; CastLike, to that of a second input. number.c
 * and text.c say what becomes of each element.
 *
 * SPDX-License-Identifier: MIT */
#include "cast.h"
#include "tenon/upgrade.h"

#define CAST_TYPES (TN_MASK_ALL & ~TN_MASK_COMPLEX)
enum { CAST_ELEMENTS = 64 };

/* ---- attributes ------------------------------------------------------------------------- */

static cast_rules rules_of(const tn_node_view *node)
{
    static const char *const names[] = { "up", "down", "nearest" };
    const char *mode = tn_attr_string(node, "round_mode", "up");
    cast_rules rules = { tn_attr_int(node, "saturate", 1) != 0, ROUND_UP };
    while (rules.round < ROUND_UNKNOWN && strcmp(mode, names[rules.round]) != 0)
        rules.round++;
    return rules;
}

/* ---- inference -------------------------------------------------------------------------- */

/* What does not fit the type loses bits when it runs. */
static tn_dim in_type(uint32_t dtype, tn_dim value)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    if (value == TN_DIM_UNKNOWN || (!tn_dim_known(value) && dtype == TN_BOOL))
        return TN_DIM_UNKNOWN;
    if (dtype == TN_BOOL)
        return value != 0;
    if (!tn_dim_known(value) || bits == 64)
        return value;
    const int64_t top = INT64_C(1) << (tn_dtype_is_signed(dtype) ? bits - 1 : bits);
    const int64_t bottom = tn_dtype_is_signed(dtype) ? -top : 0;
    return value < bottom || value >= top ? TN_DIM_UNKNOWN : value;
}

/* Small integer tensors stay known; a host need not keep bool. */
static tn_status pass_elements(tn_infer *ctx)
{
    const uint64_t kept = TN_MASK_INTEGER | TN_BIT(TN_BOOL);
    const uint32_t dtype = ctx->outputs[0].dtype;
    tn_dim elements[CAST_ELEMENTS];
    if (!ctx->inputs[0] || !(TN_BIT(ctx->inputs[0]->dtype) & kept) || !(TN_BIT(dtype) & kept))
        return TN_OK;
    const int64_t count = ctx->call.host->input_elements(&ctx->call, 0, elements, CAST_ELEMENTS);
    if (count < 0 || count > CAST_ELEMENTS)
        return TN_OK;
    for (int64_t i = 0; i < count; i++)
        elements[i] = in_type(dtype, elements[i]);
    const tn_status status = ctx->call.host->output_elements(&ctx->call, 0, elements, count);
    return dtype == TN_BOOL ? TN_OK : status;
}

static tn_status infer_to(tn_infer *ctx, uint32_t dtype)
{
    if (rules_of(ctx->node).round == ROUND_UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "round_mode",
                                 "round_mode is '%s': expected up, down or nearest",
                                 tn_attr_string(ctx->node, "round_mode", ""));
    ctx->outputs[0].dtype = dtype; /* tn_infer_same keeps one that is set */
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].dtype = dtype;
    return pass_elements(ctx);
}

static tn_status infer_cast(tn_infer *ctx)
{
    const int64_t to = tn_attr_int(ctx->node, "to", TN_UNDEFINED);
    if (to > TN_UNDEFINED && to < TN_DTYPE_COUNT && TN_BIT(to) & CAST_TYPES)
        return infer_to(ctx, (uint32_t)to);
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "to",
                             "to is %lld: expected the number of an element type that is not "
                             "complex, such as 1 for float32",
                             (long long)to);
    return TN_OK;
}

static tn_status infer_cast_like(tn_infer *ctx)
{
    return infer_to(ctx, ctx->inputs[1] ? ctx->inputs[1]->dtype : TN_UNDEFINED);
}

static int32_t identity(const tn_identity *query)
{
    const tn_type *in = query->inputs[0], *out = query->outputs[0];
    return in && out && in->dtype != TN_UNDEFINED && in->dtype == out->dtype ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == 0 ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct cast_job {
    tn_run *ctx;
    const tn_tensor *in;
    tn_tensor *out;
    cast_rules rules;
    int64_t count;
} cast_job;

/* Pieces are blocks of BLOCK elements. */
static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const cast_job *job = user;
    (void)thread;
    for (int64_t first = begin * BLOCK; first < end * BLOCK && first < job->count; first += BLOCK) {
        const int64_t n = job->count - first < BLOCK ? job->count - first : BLOCK;
        if (job->in->dtype == TN_STRING)
            TN_TRY(cast_from_text(job->ctx, job->in, job->out, &job->rules, first, n));
        else
            cast_block(job->in, job->out, &job->rules, first, n);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    cast_job job = { ctx, ctx->inputs[0], ctx->outputs[0], rules_of(ctx->node),
                     tn_count(ctx->inputs[0]) };
    (void)state, (void)slot;
    if (job.count == 0)
        return TN_OK;
    if (job.in->dtype == job.out->dtype) {
        memcpy(job.out->data, job.in->data, tn_dtype_bytes(job.in->dtype, job.count));
        return TN_OK;
    }
    if (job.out->dtype == TN_STRING)
        return cast_to_text(ctx, job.in, job.out);
    return ctx->call.host->parallel_for(&ctx->call, (job.count + BLOCK - 1) / BLOCK, 16, chunk,
                                        &job);
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_status like_as_cast(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_type *like = tn_edit_type(&e, tn_edit_input(&e, 1));
    if (!like || like->dtype == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of input 'target_type' is not known");
    const tn_node_view *view = tn_edit_view(&e);
    tn_attribute all[3] = { tn_attribute_of_int("to", like->dtype) };
    uint32_t count = 1;
    for (uint32_t k = 0; k < view->attribute_count && count < 3; k++)
        all[count++] = view->attributes[k];
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = view->region,
                                .op = "Cast",
                                .inputs = view->inputs,
                                .input_count = 1,
                                .output_count = 1,
                                .attributes = all,
                                .attribute_count = count,
                                .before = node,
                                .trace = node };
    tn_node_id made;
    TN_TRY(ctx->api->add_node(ctx->graph, &desc, &made));
    return tn_edit_give(&e, ctx->api->node(ctx->graph, made)->outputs[0]);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T1", CAST_TYPES, 0, 0, "Any tensor that is not complex." },
    { "target_type", "T2", CAST_TYPES, 0, 0, "A tensor of the type wanted; not read." },
};
static const tn_param_def outputs[] = {
    { "output", "T2", CAST_TYPES, 0, 0, "The same values in the other type." },
};
static const tn_attribute_def attributes[] = {
    { .name = "saturate",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "float8: 1 makes the largest number of what is too large, 0 NaN or infinity." },
    { .name = "round_mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "up",
      .doc = "float8e8m0: up, down or nearest." },
    { .name = "to",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Number of the element type, as in TensorProto." },
};

/* ---- set 1: the type by name ------------------------------------------------------------- */

static const tn_attribute_def old_attributes[] = {
    { .name = "to",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Name of the element type, as in TensorProto." },
};
static const char *const type_names[] = {
    "",      "FLOAT",  "UINT8", "INT8",    "UINT16", "INT16",  "INT32",
    "INT64", "STRING", "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64",
};

static int same_name(const char *a, const char *b)
{
    while (*a && (*a == *b || *a - 'a' + 'A' == *b))
        a++, b++;
    return *a == *b;
}

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const char *name = tn_attr_string(tn_edit_view(&e), "to", "");
    int64_t to = sizeof type_names / sizeof *type_names - 1;
    while (to && !same_name(name, type_names[to]))
        to--;
    if (!to)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE,
                       "to is '%s': expected the name of an element type, such as FLOAT or INT64",
                       name);
    tn_edit_drop(&e, "to");
    tn_edit_set_int(&e, "to", to);
    return e.status;
}

tn_status cast_register(tn_registrar *registrar)
{
    /* CastLike has all but the last attribute. */
    const tn_operator_def cast_op = {
        .size = sizeof cast_op,
        .since = 25,
        .accepts_from = 6,
        .name = "Cast",
        .doc = "The elements in another type.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 3,
        .traits = TN_ELEMENTWISE | TN_MAY_FAIL,
        .infer = infer_cast,
        .identity = identity,
        .samplewise = samplewise,
        .upgrade = upgrade,
    };
    tn_operator_def old = tn_old_version(&cast_op, 1, 1);
    const tn_operator_def like_op = {
        .size = sizeof like_op,
        .since = 25,
        .accepts_from = 15,
        .name = "CastLike",
        .doc = "The elements in the type of another tensor.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MAY_FAIL,
        .infer = infer_cast_like,
        .identity = identity,
        .samplewise = samplewise,
        .expand = like_as_cast,
    };
    tn_kernel_def kernel = { .size = sizeof kernel,
                             .op = "Cast",
                             .run = run,
                             .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    old.attributes = old_attributes;
    old.attribute_count = 1;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, &cast_op));
    TN_TRY(registrar->add_operator(registrar, &like_op));
    TN_TRY(registrar->add_kernel(registrar, &kernel));
    kernel.op = "CastLike";
    return registrar->add_kernel(registrar, &kernel);
}
