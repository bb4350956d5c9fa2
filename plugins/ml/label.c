/* plugins/ml/label.c: LabelEncoder (ONNX, domain ai.onnx.ml: LabelEncoder).
 *
 * From set 2 on, keys are replaced by values, in lists of texts, integers or floats, or (set 4) in
 * tensors; what is no key becomes the default. NaN finds NaN, and the last of equal keys counts.
 * Set 1 knows classes: texts become their places, places become texts; it stays a row of its own,
 * since only the type of X tells which.
 *
 * SPDX-License-Identifier: MIT */
#include "ml.h"

/* Keys or values: texts, or numbers. */
typedef struct side {
    const tn_text *texts;
    ml_list numbers;
    int64_t count;
    uint32_t dtype; /* TN_UNDEFINED: none was given */
} side;

static side read_side(const tn_node_view *node, const char *strings, const char *ints,
                      const char *floats, const char *tensor)
{
    const tn_attribute *texts = ml_read_texts(node, strings);
    side s = { 0 };
    if (texts)
        return (
            side){ .texts = texts->strings, .count = (int64_t)texts->count, .dtype = TN_STRING };
    s.numbers = ml_read_list(node, ints);
    s.dtype = TN_INT64;
    if (!s.numbers.count) {
        s.numbers = ml_read_list(node, floats);
        s.dtype = TN_FLOAT32;
    }
    if (!s.numbers.count) {
        s.numbers = ml_read_list(node, tensor);
        s.dtype = s.numbers.tensor ? s.numbers.tensor->dtype : (uint32_t)TN_UNDEFINED;
    }
    s.count = s.numbers.count;
    if (s.dtype == TN_STRING)
        s.texts = s.numbers.tensor->data;
    return s;
}

static side keys_of(const tn_node_view *node)
{
    return read_side(node, "keys_strings", "keys_int64s", "keys_floats", "keys_tensor");
}

static side values_of(const tn_node_view *node)
{
    return read_side(node, "values_strings", "values_int64s", "values_floats", "values_tensor");
}

static tn_status infer(tn_infer *ctx)
{
    const side keys = keys_of(ctx->node), values = values_of(ctx->node);
    const tn_type *x = ctx->inputs[0];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (keys.dtype == TN_UNDEFINED || values.dtype == TN_UNDEFINED) {
        ctx->call.host->complain(
            &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_NODE, 0, NULL,
            "there are no %s: expected one of %s_strings, %s_int64s, %s_floats "
            "and %s_tensor",
            keys.dtype ? "values" : "keys", keys.dtype ? "values" : "keys",
            keys.dtype ? "values" : "keys", keys.dtype ? "values" : "keys",
            keys.dtype ? "values" : "keys");
        return TN_OK;
    }
    if (keys.count != values.count)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_NODE, 0, NULL,
                                 "there are %" PRId64 " keys and %" PRId64
                                 " values: expected as many of both",
                                 keys.count, values.count);
    if (x && x->dtype != TN_UNDEFINED && x->dtype != keys.dtype)
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has type %u: expected %u, the type of the keys",
                                 x->dtype, keys.dtype);
    ctx->outputs[0].dtype = values.dtype;
    return TN_OK;
}

static tn_status infer_classes(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (!ml_read_texts(ctx->node, "classes_strings"))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "classes_strings", "classes_strings is missing");
    if (x && x->dtype != TN_UNDEFINED)
        ctx->outputs[0].dtype = x->dtype == TN_STRING ? TN_INT64 : TN_STRING;
    return TN_OK;
}

/* ---- kernels ------------------------------------------------------------------------------------ */

static int same_text(tn_text a, tn_text b)
{
    return a.count == b.count && (!a.count || memcmp(a.bytes, b.bytes, a.count) == 0);
}

static int same_number(const tn_tensor *x, int64_t k, const side *keys, int64_t at)
{
    if (tn_dtype_is_float(x->dtype)) {
        const double a = tn_get_double(x->dtype, x->data, k), b = ml_number(&keys->numbers, at);
        return a == b || (isnan(a) && isnan(b));
    }
    const int64_t key = keys->numbers.ints
                            ? keys->numbers.ints[at]
                            : tn_get_int(keys->dtype, keys->numbers.tensor->data, at);
    return tn_get_int(x->dtype, x->data, k) == key;
}

/* From the last on, since that one counts. */
static int64_t find_key(const tn_tensor *x, int64_t k, const side *keys)
{
    int64_t at = keys->count - 1;
    if (keys->texts)
        while (at >= 0 && !same_text(((const tn_text *)x->data)[k], keys->texts[at]))
            at--;
    else
        while (at >= 0 && !same_number(x, k, keys, at))
            at--;
    return at;
}

static void store_value(const side *values, int64_t at, tn_tensor *out, int64_t k)
{
    if (values->texts)
        ((tn_text *)out->data)[k] = values->texts[at];
    else if (tn_dtype_is_float(out->dtype))
        tn_set_float(out->dtype, out->data, k, ml_number(&values->numbers, at));
    else
        tn_set_int(out->dtype, out->data, k,
                   values->numbers.ints ? values->numbers.ints[at]
                                        : tn_get_int(out->dtype, values->numbers.tensor->data, at));
}

/* default_tensor, else the default for lists of that type, else what the standard names. */
static void store_default(const tn_node_view *node, tn_tensor *out, int64_t k)
{
    const tn_attribute *tensor = tn_attr(node, "default_tensor");
    const tn_attribute *text = tn_attr(node, "default_string");
    const size_t element = tn_dtype_bits(out->dtype) / 8;
    if (tensor && tensor->type == TN_ATTR_TENSOR && tensor->tensors[0].dtype == out->dtype &&
        tn_count(tensor->tensors) > 0)
        memcpy((char *)out->data + (size_t)k * element, tensor->tensors[0].data, element);
    else if (out->dtype == TN_STRING)
        ((tn_text *)out->data)[k] = text ? text->s : (tn_text){ "_Unused", 7 };
    else if (tn_dtype_is_float(out->dtype))
        tn_set_float(out->dtype, out->data, k, (double)tn_attr_float(node, "default_float", -0.0f));
    else
        tn_set_int(out->dtype, out->data, k, tn_attr_int(node, "default_int64", -1));
}

typedef struct job {
    const tn_run *run;
    side keys, values;
} job;

static tn_status encode(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        const int64_t at = find_key(j->run->inputs[0], k, &j->keys);
        if (at < 0)
            store_default(j->run->node, j->run->outputs[0], k);
        else
            store_value(&j->values, at, j->run->outputs[0], k);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { ctx, keys_of(ctx->node), values_of(ctx->node) };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->inputs[0]), 256, encode, &j);
}

static tn_status run_classes(tn_run *ctx, const void *state, void *slot)
{
    const tn_attribute *classes = ml_read_texts(ctx->node, "classes_strings");
    const tn_tensor *x = ctx->inputs[0];
    const side keys = { .texts = classes->strings,
                        .count = (int64_t)classes->count,
                        .dtype = TN_STRING };
    const int64_t count = tn_count(x);
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++) {
        const int64_t at = x->dtype == TN_STRING ? find_key(x, k, &keys)
                                                 : ((const int64_t *)x->data)[k];
        if (at < 0 || at >= keys.count)
            store_default(ctx->node, ctx->outputs[0], k);
        else if (x->dtype == TN_STRING)
            ((int64_t *)ctx->outputs[0]->data)[k] = at;
        else
            ((tn_text *)ctx->outputs[0]->data)[k] = keys.texts[at];
    }
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------------- */

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    if (!tn_attr(view, "classes_strings"))
        return TN_OK;
    return tn_fail(ctx, TN_KEEP, "classes_strings goes both ways, as the type of X tells");
}

#define TYPES                                                                                      \
    (ML_LABELS | TN_BIT(TN_FLOAT32) | TN_BIT(TN_INT32) | TN_BIT(TN_INT16) | TN_BIT(TN_FLOAT64))
static const tn_param_def inputs[] = { { "X", "T1", TYPES, 0, 0, "keys, any shape" } };
static const tn_param_def outputs[] = { { "Y", "T2", TYPES, 0, 0, "their values" } };
static const tn_param_def class_inputs[] = { { "X", "T1", ML_LABELS, 0, 0,
                                               "classes or places, any shape" } };
static const tn_param_def class_outputs[] = { { "Y", "T2", ML_LABELS, 0, 0, "places or classes" } };
#define DEFAULTS                                                                                   \
    { .name = "default_int64",                                                                     \
      .type = TN_ATTR_INT,                                                                         \
      .flags = TN_ATTR_HAS_DEFAULT,                                                                \
      .i = -1,                                                                                     \
      .doc = "for what is not found" },                                                            \
    {                                                                                              \
        .name = "default_string", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT,            \
        .s = "_Unused", .doc = "for what is not found"                                             \
    }
static const tn_attribute_def attributes[] = {
    DEFAULTS,
    { .name = "default_float",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = -0.0f,
      .doc = "for what is not found" },
    { .name = "default_tensor",
      .type = TN_ATTR_TENSOR,
      .doc = "one element, for what is not found" },
    { .name = "keys_floats", .type = TN_ATTR_FLOATS, .doc = "keys" },
    { .name = "keys_int64s", .type = TN_ATTR_INTS, .doc = "keys" },
    { .name = "keys_strings", .type = TN_ATTR_STRINGS, .doc = "keys" },
    { .name = "keys_tensor", .type = TN_ATTR_TENSOR, .doc = "keys of any type" },
    { .name = "values_floats", .type = TN_ATTR_FLOATS, .doc = "values" },
    { .name = "values_int64s", .type = TN_ATTR_INTS, .doc = "values" },
    { .name = "values_strings", .type = TN_ATTR_STRINGS, .doc = "values" },
    { .name = "values_tensor", .type = TN_ATTR_TENSOR, .doc = "values of any type" },
};
static const tn_attribute_def class_attributes[] = {
    { .name = "classes_strings", .type = TN_ATTR_STRINGS, .doc = "the classes, in order" },
    DEFAULTS,
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 1,
      .domain = ML_DOMAIN,
      .name = "LabelEncoder",
      .doc = "Replaces classes by their places in a list, or places by classes.",
      .inputs = class_inputs,
      .input_count = 1,
      .outputs = class_outputs,
      .output_count = 1,
      .attributes = class_attributes,
      .attribute_count = ML_COUNT(class_attributes),
      .traits = TN_ELEMENTWISE,
      .infer = infer_classes },
    { .size = sizeof(tn_operator_def),
      .since = 4,
      .accepts_from = 2,
      .domain = ML_DOMAIN,
      .name = "LabelEncoder",
      .doc = "Replaces keys by values.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = ML_COUNT(attributes),
      .traits = TN_ELEMENTWISE,
      .infer = infer,
      .upgrade = upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .domain = ML_DOMAIN,
      .op = "LabelEncoder",
      .run = run_classes,
      .since = 1,
      .until = 1 },
    { .size = sizeof(tn_kernel_def),
      .domain = ML_DOMAIN,
      .op = "LabelEncoder",
      .run = run,
      .since = 2 },
};

tn_status label_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < 2; k++) {
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}
