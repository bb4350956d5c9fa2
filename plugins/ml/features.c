/* plugins/ml/features.c: columns chosen, scaled, filled in and encoded (ONNX, domain ai.onnx.ml:
 * ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer, OneHotEncoder, Scaler).
 *
 * SPDX-License-Identifier: MIT */
#include "ml.h"

static double get(const tn_tensor *t, int64_t k)
{
    return tn_get_double(t->dtype, t->data, k);
}

static void set(tn_tensor *t, int64_t k, double value)
{
    if (tn_dtype_is_float(t->dtype))
        tn_set_float(t->dtype, t->data, k, value);
    else
        tn_set_int(t->dtype, t->data, k, (int64_t)value);
}

static tn_status infer_float(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].dtype = TN_FLOAT32;
    return TN_OK;
}

/* ---- ArrayFeatureExtractor: Z = X[..., Y] ------------------------------------------------------- */

static tn_status extract_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *y = ctx->inputs[1];
    tn_dim count = 1;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 1) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' is a scalar: expected rank 1 or more");
        return TN_OK;
    }
    for (int32_t axis = 0; y && axis < y->rank; axis++)
        count = tn_dim_mul(ctx, count, y->dims[axis]);
    /* A vector is taken for one row. */
    ctx->outputs[0].rank = x->rank == 1 ? 2 : x->rank;
    ctx->outputs[0].dims[0] = 1;
    if (x->rank > 1)
        memcpy(ctx->outputs[0].dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    ctx->outputs[0].dims[ctx->outputs[0].rank - 1] = y && y->rank >= 0 ? count : TN_DIM_UNKNOWN;
    return TN_OK;
}

static tn_status extract_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int64_t *indices = ctx->inputs[1]->data, count = tn_count(ctx->inputs[1]);
    const int64_t width = x->dims[x->rank - 1], rows = tn_extent(x->dims, 0, x->rank - 1);
    const size_t element = tn_dtype_bits(x->dtype) / 8;
    char *to = ctx->outputs[0]->data;
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++) {
        if (indices[k] < 0 || indices[k] >= width)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "index %" PRId64 " is %" PRId64 ": expected 0 to %" PRId64, k,
                           indices[k], width - 1);
    }
    for (int64_t row = 0; row < rows; row++) {
        const char *from = (const char *)x->data + (size_t)(row * width) * element;
        for (int64_t k = 0; k < count; k++, to += element)
            memcpy(to, from + (size_t)indices[k] * element, element);
    }
    return TN_OK;
}

/* ---- Binarizer: 1 where X > threshold ----------------------------------------------------------- */

static tn_status same_infer(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

static tn_status binarize_run(tn_run *ctx, const void *state, void *slot)
{
    const double threshold = (double)tn_attr_float(ctx->node, "threshold", 0);
    const int64_t count = tn_count(ctx->inputs[0]);
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++)
        set(ctx->outputs[0], k, get(ctx->inputs[0], k) > threshold);
    return TN_OK;
}

/* ---- FeatureVectorizer: columns side by side ----------------------------------------------------- */

static tn_dim columns_of(const tn_infer *ctx, const ml_list *widths, uint32_t k)
{
    const tn_type *x = ctx->inputs[k];
    if (widths->count > k)
        return widths->ints[k];
    return x && x->rank > 0 ? x->dims[x->rank - 1] : TN_DIM_UNKNOWN;
}

static tn_status vectorize_infer(tn_infer *ctx)
{
    const ml_list widths = ml_read_list(ctx->node, "inputdimensions");
    tn_dim rows = TN_DIM_UNKNOWN, columns = 0, width;
    if (widths.count)
        ml_check_count(ctx, "inputdimensions", widths.count, ctx->input_count, ctx->input_count);
    for (int64_t k = 0; k < widths.count; k++) {
        if (widths.ints[k] < 0) {
            ml_bad_number(ctx, "inputdimensions", widths.ints[k], "0 or more");
            return TN_OK;
        }
    }
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_type *x = ctx->inputs[k];
        width = columns_of(ctx, &widths, k);
        columns = tn_dim_add(ctx, columns, width);
        if (!x || x->rank < 0)
            continue;
        if (x->rank < 1 || x->rank > 2) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input %u has rank %d: expected [N,C] or [C]", k, x->rank);
            continue;
        }
        const tn_dim own = x->rank == 2 ? x->dims[0] : 1;
        if (tn_dim_known(rows) && tn_dim_known(own) && rows != own)
            ctx->call.host->complain(
                &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                "input %u has %" PRId64 " rows: expected %" PRId64 ", as the others", k, own, rows);
        rows = rows == TN_DIM_UNKNOWN ? own : rows;
    }
    ml_set_shape(ctx, 0, 2, rows, columns);
    ctx->outputs[0].dtype = TN_FLOAT32;
    return TN_OK;
}

/* What an input has too little of is 0, what it has too much of is left out. */
static tn_status vectorize_run(tn_run *ctx, const void *state, void *slot)
{
    const ml_list widths = ml_read_list(ctx->node, "inputdimensions");
    tn_tensor *y = ctx->outputs[0];
    int64_t first = 0;
    (void)state, (void)slot;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_tensor *x = ctx->inputs[k];
        const int64_t own = x->dims[x->rank - 1];
        const int64_t width = widths.count > k ? widths.ints[k] : own;
        for (int64_t row = 0; row < y->dims[0]; row++) {
            for (int64_t c = 0; c < width; c++)
                set(y, row * y->dims[1] + first + c, c < own ? get(x, row * own + c) : 0);
        }
        first += width;
    }
    return TN_OK;
}

/* ---- Imputer: one value replaced ------------------------------------------------------------------ */

static ml_list imputed(const tn_node_view *node, uint32_t dtype)
{
    return ml_read_list(node,
                        tn_dtype_is_float(dtype) ? "imputed_value_floats" : "imputed_value_int64s");
}

static tn_status impute_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    if (x && x->dtype != TN_UNDEFINED) {
        const ml_list values = imputed(ctx->node, x->dtype);
        const tn_dim width = x->rank > 0 ? x->dims[x->rank - 1] : TN_DIM_UNKNOWN;
        const char *name = tn_dtype_is_float(x->dtype) ? "imputed_value_floats"
                                                       : "imputed_value_int64s";
        if (!values.count || tn_dim_known(width))
            ml_check_count(ctx, name, values.count, tn_dim_known(width) ? width : 1, 1);
    }
    return tn_infer_same(ctx, 0, 0);
}

static tn_status impute_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const ml_list values = imputed(ctx->node, x->dtype);
    const int64_t width = x->rank ? x->dims[x->rank - 1] : 1, count = tn_count(x);
    const double lost = (double)tn_attr_float(ctx->node, "replaced_value_float", 0);
    const int64_t lost_int = tn_attr_int(ctx->node, "replaced_value_int64", 0);
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++) {
        const int64_t from = values.count == 1 ? 0 : k % width;
        if (tn_dtype_is_float(x->dtype)) {
            const double v = get(x, k);
            const int hit = v == lost || (isnan(v) && isnan(lost));
            set(ctx->outputs[0], k, hit ? ml_number(&values, from) : v);
        } else {
            const int64_t v = tn_get_int(x->dtype, x->data, k);
            tn_set_int(x->dtype, ctx->outputs[0]->data, k, v == lost_int ? values.ints[from] : v);
        }
    }
    return TN_OK;
}

/* ---- Normalizer: rows divided by their largest element, or their norm ----------------------------- */

static const char *const norms[] = { "MAX", "L1", "L2", NULL };

static tn_status normalize_infer(tn_infer *ctx)
{
    tn_dim rows, columns;
    if (ml_find_word(tn_attr_string(ctx->node, "norm", "MAX"), norms) < 0)
        ml_bad_text(ctx, "norm", "MAX, L1 or L2");
    (void)ml_matrix(ctx, &rows, &columns);
    return infer_float(ctx);
}

static double divisor(const tn_tensor *x, int64_t first, int64_t width, int norm)
{
    double sum = norm ? 0 : -INFINITY;
    for (int64_t k = first; k < first + width; k++) {
        const double v = get(x, k);
        sum = norm == 0 ? (v > sum ? v : sum) : norm == 1 ? sum + fabs(v) : sum + v * v;
    }
    return norm == 2 ? sqrt(sum) : sum;
}

static tn_status normalize_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int norm = ml_find_word(tn_attr_string(ctx->node, "norm", "MAX"), norms);
    const int64_t width = x->dims[x->rank - 1], count = tn_count(x);
    (void)state, (void)slot;
    for (int64_t first = 0; first < count; first += width) {
        const double by = divisor(x, first, width, norm);
        for (int64_t k = first; k < first + width; k++)
            set(ctx->outputs[0], k, by == 0 ? get(x, k) : get(x, k) / by);
    }
    return TN_OK;
}

/* ---- OneHotEncoder: a new axis with a 1 at the category ------------------------------------------- */

static int64_t category_count(const tn_node_view *node)
{
    const tn_attribute *texts = ml_read_texts(node, "cats_strings");
    const int64_t *ints;
    return texts ? (int64_t)texts->count : (int64_t)tn_attr_ints(node, "cats_int64s", &ints);
}

static tn_status one_hot_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const char *wanted = x && x->dtype == TN_STRING ? "cats_strings" : "cats_int64s";
    if (x && x->dtype != TN_UNDEFINED && !tn_attr(ctx->node, wanted))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, wanted,
                                 "%s is missing: input 'X' holds %s", wanted,
                                 x->dtype == TN_STRING ? "texts" : "numbers");
    ctx->outputs[0].dtype = TN_FLOAT32;
    if (!x || x->rank < 0 || x->rank == TN_MAX_RANK)
        return TN_OK;
    ctx->outputs[0].rank = x->rank + 1;
    memcpy(ctx->outputs[0].dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    ctx->outputs[0].dims[x->rank] = category_count(ctx->node);
    return TN_OK;
}

static int64_t find_category(const tn_run *ctx, int64_t k)
{
    const tn_tensor *x = ctx->inputs[0];
    const tn_attribute *texts = ml_read_texts(ctx->node, "cats_strings");
    const int64_t *ints;
    const int64_t count = (int64_t)tn_attr_ints(ctx->node, "cats_int64s", &ints);
    if (x->dtype == TN_STRING) {
        const tn_text text = ((const tn_text *)x->data)[k];
        for (size_t c = 0; texts && c < texts->count; c++) {
            if (text.count == texts->strings[c].count &&
                (!text.count || memcmp(text.bytes, texts->strings[c].bytes, text.count) == 0))
                return (int64_t)c;
        }
        return -1;
    }
    const double number = get(x, k);
    if (!(fabs(number) < 0x1p63))
        return -1;
    const int64_t value = tn_dtype_is_float(x->dtype) ? (int64_t)number
                                                      : tn_get_int(x->dtype, x->data, k);
    for (int64_t c = 0; c < count; c++) {
        if (ints[c] == value)
            return c;
    }
    return -1;
}

static tn_status one_hot_run(tn_run *ctx, const void *state, void *slot)
{
    const int64_t count = tn_count(ctx->inputs[0]), width = category_count(ctx->node);
    const int may_miss = tn_attr_int(ctx->node, "zeros", 1) != 0;
    float *out = ctx->outputs[0]->data;
    (void)state, (void)slot;
    memset(out, 0, (size_t)(count * width) * sizeof *out);
    for (int64_t k = 0; k < count; k++) {
        const int64_t category = find_category(ctx, k);
        if (category >= 0)
            out[k * width + category] = 1;
        else if (!may_miss)
            return tn_fail(ctx, TN_ERR_VALUE, "element %" PRId64 " is in no category", k);
    }
    return TN_OK;
}

/* ---- Scaler: (X - offset) * scale ------------------------------------------------------------------ */

static tn_status scale_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const tn_dim width = x && x->rank > 0 ? x->dims[x->rank - 1] : TN_DIM_UNKNOWN;
    static const char *const names[] = { "offset", "scale" };
    for (int k = 0; k < 2 && tn_dim_known(width); k++) {
        const int64_t count = ml_read_list(ctx->node, names[k]).count;
        if (count)
            ml_check_count(ctx, names[k], count, width, 1);
    }
    return infer_float(ctx);
}

static tn_status scale_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const ml_list offset = ml_read_list(ctx->node, "offset"),
                  scale = ml_read_list(ctx->node, "scale");
    const int64_t width = x->rank ? x->dims[x->rank - 1] : 1, count = tn_count(x);
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++) {
        const double shift = offset.count ? ml_number(&offset, offset.count == 1 ? 0 : k % width)
                                          : 0;
        const double factor = scale.count ? ml_number(&scale, scale.count == 1 ? 0 : k % width) : 1;
        set(ctx->outputs[0], k, (get(x, k) - shift) * factor);
    }
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define ANY (ML_NUMBERS | TN_BIT(TN_STRING))
#define FLOAT TN_BIT(TN_FLOAT32)
static const tn_param_def extract_inputs[] = {
    { "X", "T", ANY, 0, 0, "data: [..., C]" },
    { "Y", NULL, TN_BIT(TN_INT64), 0, 0, "which columns" },
};
static const tn_param_def any_outputs[] = { { "Z", "T", ANY, 0, 0, "the chosen columns" } };
static const tn_param_def number_input[] = { { "X", "T", ML_NUMBERS, 0, 0,
                                               "data: [N, C] or [C]" } };
static const tn_param_def number_output[] = { { "Y", "T", ML_NUMBERS, 0, 0, "the shape of X" } };
static const tn_param_def float_output[] = { { "Y", NULL, FLOAT, 0, 0, "as many rows as X" } };
static const tn_param_def many_inputs[] = { { "X", "T1", ML_NUMBERS, TN_PARAM_VARIADIC, 1,
                                              "data: [N, C] or [C] each" } };
static const tn_param_def category_input[] = { { "X", "T", ANY, 0, 0, "categories, any shape" } };
static const tn_attribute_def threshold[] = {
    { .name = "threshold",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "what is above it becomes 1" },
};
static const tn_attribute_def widths[] = {
    { .name = "inputdimensions", .type = TN_ATTR_INTS, .doc = "columns of each input" },
};
static const tn_attribute_def impute[] = {
    { .name = "imputed_value_floats",
      .type = TN_ATTR_FLOATS,
      .doc = "put in, one or for each column" },
    { .name = "imputed_value_int64s", .type = TN_ATTR_INTS, .doc = "the same, for integers" },
    { .name = "replaced_value_float",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "what is replaced; NaN too" },
    { .name = "replaced_value_int64",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "the same, for integers" },
};
static const tn_attribute_def norm[] = {
    { .name = "norm",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "MAX",
      .doc = "MAX, L1 or L2" },
};
static const tn_attribute_def one_hot[] = {
    { .name = "cats_int64s", .type = TN_ATTR_INTS, .doc = "the categories of numbers" },
    { .name = "cats_strings", .type = TN_ATTR_STRINGS, .doc = "the categories of texts" },
    { .name = "zeros",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "0: an element in no category is an error" },
};
static const tn_attribute_def scale[] = {
    { .name = "offset", .type = TN_ATTR_FLOATS, .doc = "taken away first; one or for each column" },
    { .name = "scale", .type = TN_ATTR_FLOATS, .doc = "multiplied by; one or for each column" },
};

#define OPERATOR(op, text, in, out, attrs, attribute_count_, infer_, traits_, samplewise_)         \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = 1, .domain = ML_DOMAIN, .name = op, .doc = text, \
        .inputs = in, .input_count = ML_COUNT(in), .outputs = out, .output_count = 1,              \
        .attributes = attrs, .attribute_count = attribute_count_, .infer = infer_,                 \
        .traits = traits_, .samplewise = samplewise_                                               \
    }
#define KERNEL(name, run_)                                                                         \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .domain = ML_DOMAIN, .op = name, .run = run_,               \
        .flags = TN_KERNEL_ANY_STEPS                                                               \
    }
static const tn_operator_def operators[] = {
    OPERATOR("ArrayFeatureExtractor", "Chooses columns by index.", extract_inputs, any_outputs,
             NULL, 0, extract_infer, TN_MAY_FAIL | TN_MOVES_BYTES, NULL),
    OPERATOR("Binarizer", "1 where an element is above a threshold, else 0.", number_input,
             number_output, threshold, 1, same_infer, TN_ELEMENTWISE, ml_samplewise),
    OPERATOR("FeatureVectorizer", "Puts the columns of all inputs side by side.", many_inputs,
             float_output, widths, 1, vectorize_infer, 0, NULL),
    OPERATOR("Imputer", "Replaces one value, such as NaN, by others.", number_input, number_output,
             impute, ML_COUNT(impute), impute_infer, 0, ml_samplewise),
    OPERATOR("Normalizer", "Divides each row by its largest element or its norm.", number_input,
             float_output, norm, 1, normalize_infer, 0, ml_samplewise),
    OPERATOR("OneHotEncoder", "A new last axis with a 1 at the place of the category.",
             category_input, float_output, one_hot, ML_COUNT(one_hot), one_hot_infer, TN_MAY_FAIL,
             NULL),
    OPERATOR("Scaler", "(X - offset) * scale, for each column.", number_input, float_output, scale,
             ML_COUNT(scale), scale_infer, 0, ml_samplewise),
};
static const tn_kernel_def kernels[] = {
    KERNEL("ArrayFeatureExtractor", extract_run),
    KERNEL("Binarizer", binarize_run),
    KERNEL("FeatureVectorizer", vectorize_run),
    KERNEL("Imputer", impute_run),
    KERNEL("Normalizer", normalize_run),
    KERNEL("OneHotEncoder", one_hot_run),
    KERNEL("Scaler", scale_run),
};

tn_status features_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < ML_COUNT(operators); k++) {
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}
