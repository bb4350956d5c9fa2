/* plugins/ml/linear.c: LinearClassifier and LinearRegressor (ONNX, domain ai.onnx.ml).
 *
 *   score[e] = sum over c of X[c] * coefficients[e, c] + intercepts[e]
 *
 * then post_transform. A classifier's label is that of the largest score. One score for two labels
 * stands for the second: it wins above 0 (0.5 for LOGISTIC), and the first one's score is the rest
 * to 1. Sums are doubles, rounded once.
 *
 * SPDX-License-Identifier: MIT */
#include "ml.h"

typedef struct model {
    ml_list coefficients, intercepts;
    ml_labels labels;
    int64_t scores; /* computed for each row */
    int64_t shown;  /* in the output: 2 for one score of two labels */
    int transform;
} model;

static model read_classifier(const tn_node_view *node)
{
    model m = { .coefficients = ml_read_list(node, "coefficients"),
                .intercepts = ml_read_list(node, "intercepts"),
                .labels = ml_read_labels(node, "classlabels_ints", "classlabels_strings"),
                .transform = ml_transform_of(node) };
    m.scores = m.intercepts.count ? m.intercepts.count : m.labels.count ? m.labels.count : 1;
    m.shown = m.scores == 1 && m.labels.count == 2 ? 2 : m.scores;
    return m;
}

static model read_regressor(const tn_node_view *node)
{
    model m = { .coefficients = ml_read_list(node, "coefficients"),
                .intercepts = ml_read_list(node, "intercepts"),
                .scores = tn_attr_int(node, "targets", 1),
                .transform = ml_transform_of(node) };
    m.shown = m.scores;
    return m;
}

static void check(tn_infer *ctx, const model *m, tn_dim columns)
{
    ml_check_transform(ctx);
    if (tn_dim_known(columns) && m->scores >= 0)
        ml_check_count(ctx, "coefficients", m->coefficients.count, m->scores * columns,
                       m->scores * columns);
    if (m->intercepts.count)
        ml_check_count(ctx, "intercepts", m->intercepts.count, m->scores, m->scores);
}

static tn_status infer_classifier(tn_infer *ctx)
{
    const model m = read_classifier(ctx->node);
    tn_dim rows = TN_DIM_UNKNOWN, columns = TN_DIM_UNKNOWN;
    ctx->outputs[0].dtype = m.labels.texts ? TN_STRING : TN_INT64;
    const int known = ml_matrix(ctx, &rows, &columns);
    check(ctx, &m, columns);
    if (m.labels.count && m.labels.count != m.shown)
        ml_check_count(ctx, m.labels.texts ? "classlabels_strings" : "classlabels_ints",
                       m.labels.count, m.shown, m.shown);
    if (known) {
        ml_set_shape(ctx, 0, 1, rows, 0);
        ml_set_shape(ctx, 1, 2, rows, m.shown);
    }
    return TN_OK;
}

static tn_status infer_regressor(tn_infer *ctx)
{
    const model m = read_regressor(ctx->node);
    tn_dim rows = TN_DIM_UNKNOWN, columns = TN_DIM_UNKNOWN;
    const int known = ml_matrix(ctx, &rows, &columns);
    if (m.scores < 1) {
        ml_bad_number(ctx, "targets", m.scores, "1 or more");
        return TN_OK;
    }
    check(ctx, &m, columns);
    if (known)
        ml_set_shape(ctx, 0, 2, rows, m.scores);
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    const tn_run *run;
    model m;
    int64_t width;
    tn_tensor *labels, *scores;
    double *scratch;
} job;

static void score(const job *j, int64_t row, double *out)
{
    const tn_tensor *x = j->run->inputs[0];
    for (int64_t e = 0; e < j->m.scores; e++) {
        double sum = j->m.intercepts.count ? ml_number(&j->m.intercepts, e) : 0;
        for (int64_t c = 0; c < j->width; c++)
            sum += tn_get_double(x->dtype, x->data, row * j->width + c) *
                   ml_number(&j->m.coefficients, e * j->width + c);
        out[e] = sum;
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *scores = j->scratch + thread * ml_step(j->m.shown);
    for (int64_t row = begin; row < end; row++) {
        score(j, row, scores);
        int64_t best = j->m.shown == j->m.scores ? ml_largest(scores, j->m.scores) : 0;
        ml_transform(j->m.transform, scores, j->m.scores);
        if (j->m.shown != j->m.scores) {
            best = scores[0] > (j->m.transform == ML_LOGISTIC ? 0.5 : 0);
            scores[1] = scores[0];
            scores[0] = 1 - scores[1];
        }
        ml_store_label(&j->m.labels, j->labels, row, best);
        for (int64_t e = 0; j->scores && e < j->m.shown; e++)
            tn_set_float(j->scores->dtype, j->scores->data, row * j->m.shown + e, scores[e]);
    }
    return TN_OK;
}

static tn_status run_model(tn_run *ctx, job *j)
{
    const tn_tensor *x = ctx->inputs[0];
    j->run = ctx;
    j->width = x->dims[x->rank - 1];
    j->scratch = ctx->scratch;
    return ctx->call.host->parallel_for(&ctx->call, x->rank == 2 ? x->dims[0] : 1, 16, run_rows, j);
}

static tn_status run_classifier(tn_run *ctx, const void *state, void *slot)
{
    job j = { .m = read_classifier(ctx->node),
              .labels = ml_output(ctx, 0),
              .scores = ml_output(ctx, 1) };
    (void)state, (void)slot;
    return run_model(ctx, &j);
}

static tn_status run_regressor(tn_run *ctx, const void *state, void *slot)
{
    job j = { .m = read_regressor(ctx->node), .scores = ml_output(ctx, 0) };
    (void)state, (void)slot;
    return run_model(ctx, &j);
}

static tn_status need(tn_measure *ctx, int64_t scores)
{
    ctx->alternatives[0].scratch_bytes = (size_t)ml_step(scores) * ctx->problem->threads *
                                         sizeof(double);
    return TN_OK;
}

static tn_status measure_classifier(tn_measure *ctx, void *state)
{
    (void)state;
    return need(ctx, read_classifier(ctx->problem->node).shown);
}

static tn_status measure_regressor(tn_measure *ctx, void *state)
{
    (void)state;
    return need(ctx, read_regressor(ctx->problem->node).shown);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def classifier_inputs[] = { { "X", "T1", ML_NUMBERS, 0, 0,
                                                    "[N, C] or [C]" } };
static const tn_param_def classifier_outputs[] = {
    { "Y", "T2", ML_LABELS, 0, 0, "the label of each row" },
    { "Z", NULL, TN_BIT(TN_FLOAT32), 0, 0, "the score of each label" },
};
static const tn_param_def regressor_inputs[] = { { "X", "T", ML_NUMBERS, 0, 0, "[N, C] or [C]" } };
static const tn_param_def regressor_outputs[] = { { "Y", NULL, TN_BIT(TN_FLOAT32), 0, 0,
                                                    "the targets of each row" } };
static const tn_attribute_def classifier_attributes[] = {
    { .name = "classlabels_ints", .type = TN_ATTR_INTS, .doc = "labels that are numbers" },
    { .name = "classlabels_strings", .type = TN_ATTR_STRINGS, .doc = "labels that are texts" },
    { .name = "coefficients",
      .type = TN_ATTR_FLOATS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "factors: [scores, C]" },
    { .name = "intercepts", .type = TN_ATTR_FLOATS, .doc = "summands of each score" },
    { .name = "multi_class",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "how it was trained; changes nothing" },
    ML_TRANSFORM,
};
static const tn_attribute_def regressor_attributes[] = {
    { .name = "coefficients", .type = TN_ATTR_FLOATS, .doc = "factors: [targets, C]" },
    { .name = "intercepts", .type = TN_ATTR_FLOATS, .doc = "summands of each target" },
    ML_TRANSFORM,
    { .name = "targets",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "how many there are" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 1,
      .domain = ML_DOMAIN,
      .name = "LinearClassifier",
      .doc = "Scores that are sums of weighted columns, and the label of the largest.",
      .inputs = classifier_inputs,
      .input_count = 1,
      .outputs = classifier_outputs,
      .output_count = 2,
      .attributes = classifier_attributes,
      .attribute_count = ML_COUNT(classifier_attributes),
      .infer = infer_classifier,
      .samplewise = ml_samplewise },
    { .size = sizeof(tn_operator_def),
      .since = 1,
      .domain = ML_DOMAIN,
      .name = "LinearRegressor",
      .doc = "Sums of weighted columns.",
      .inputs = regressor_inputs,
      .input_count = 1,
      .outputs = regressor_outputs,
      .output_count = 1,
      .attributes = regressor_attributes,
      .attribute_count = ML_COUNT(regressor_attributes),
      .infer = infer_regressor,
      .samplewise = ml_samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .domain = ML_DOMAIN,
      .op = "LinearClassifier",
      .measure = measure_classifier,
      .run = run_classifier },
    { .size = sizeof(tn_kernel_def),
      .domain = ML_DOMAIN,
      .op = "LinearRegressor",
      .measure = measure_regressor,
      .run = run_regressor },
};

tn_status linear_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < 2; k++) {
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}
