/* plugins/ml/ensemble.c: TreeEnsembleClassifier and TreeEnsembleRegressor (ONNX, domain ai.onnx.ml).
 *
 * Nodes are named by tree and number; leaves have any number of weights, listed apart. A run first
 * finds each node's children and weights. A root is a node that is nobody's child.
 *
 * A classifier with two labels whose weights all belong to one class has one score s, as ONNX
 * Runtime defines it: where no weight is negative, the labels' scores are 1 - s and s, and the
 * second wins above 0.5; else they are -s and s (both through LOGISTIC where it is asked for), and
 * the second wins above 0.
 *
 * SPDX-License-Identifier: MIT */
#include "forest.h"

typedef struct ensemble {
    const int64_t *trees, *ids, *features, *yes, *no, *tracks;
    const int64_t *weight_trees, *weight_nodes, *weight_targets;
    int64_t nodes, weight_count, targets;
    ml_list values, weights, base;
    ml_labels labels;
    int aggregate, transform;
    int single, positive; /* classifier: one class has all weights; none is negative */
} ensemble;

static const int64_t *ints(const tn_node_view *node, const char *name, int64_t *count)
{
    const int64_t *list;
    *count = (int64_t)tn_attr_ints(node, name, &list);
    return list;
}

static const char *const aggregates[] = { "AVERAGE", "SUM", "MIN", "MAX", NULL };

static ensemble read_nodes(const tn_node_view *node)
{
    int64_t unused;
    ensemble e = { .values = ml_read_either(node, "nodes_values", "nodes_values_as_tensor"),
                   .base = ml_read_either(node, "base_values", "base_values_as_tensor"),
                   .transform = ml_transform_of(node),
                   .aggregate = ml_find_word(tn_attr_string(node, "aggregate_function", "SUM"),
                                             aggregates) };
    e.trees = ints(node, "nodes_treeids", &e.nodes);
    e.ids = ints(node, "nodes_nodeids", &unused);
    e.features = ints(node, "nodes_featureids", &unused);
    e.yes = ints(node, "nodes_truenodeids", &unused);
    e.no = ints(node, "nodes_falsenodeids", &unused);
    e.tracks = ints(node, "nodes_missing_value_tracks_true", &unused);
    return e;
}

static ensemble read_regressor(const tn_node_view *node)
{
    int64_t unused;
    ensemble e = read_nodes(node);
    e.weight_trees = ints(node, "target_treeids", &e.weight_count);
    e.weight_nodes = ints(node, "target_nodeids", &unused);
    e.weight_targets = ints(node, "target_ids", &unused);
    e.weights = ml_read_either(node, "target_weights", "target_weights_as_tensor");
    e.targets = tn_attr_int(node, "n_targets", 1);
    return e;
}

static ensemble read_classifier(const tn_node_view *node)
{
    int64_t unused;
    ensemble e = read_nodes(node);
    e.weight_trees = ints(node, "class_treeids", &e.weight_count);
    e.weight_nodes = ints(node, "class_nodeids", &unused);
    e.weight_targets = ints(node, "class_ids", &unused);
    e.weights = ml_read_either(node, "class_weights", "class_weights_as_tensor");
    e.labels = ml_read_labels(node, "classlabels_int64s", "classlabels_strings");
    e.targets = e.labels.count;
    e.single = e.targets == 2 && e.weight_count > 0;
    e.positive = 1;
    for (int64_t k = 0; k < e.weight_count && e.single && k < e.weights.count; k++) {
        e.single = e.weight_targets && e.weight_targets[k] == e.weight_targets[0];
        e.positive &= ml_number(&e.weights, k) >= 0;
    }
    return e;
}

/* ---- inference ---------------------------------------------------------------------------------- */

static void check_lists(tn_infer *ctx, const char *const *names, int64_t wanted)
{
    for (; *names; names++) {
        const tn_attribute *a = tn_attr(ctx->node, *names);
        ml_check_count(ctx, *names, a ? (int64_t)a->count : 0, wanted, wanted);
    }
}

static void check_ids(tn_infer *ctx, const char *name, tn_dim bound)
{
    const int64_t *list;
    const int64_t count = (int64_t)tn_attr_ints(ctx->node, name, &list);
    for (int64_t k = 0; k < count; k++) {
        if (list[k] >= 0 && (!tn_dim_known(bound) || list[k] < bound))
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s[%" PRId64 "] is %" PRId64 ": expected 0 to %" PRId64, name, k,
                                 list[k], tn_dim_known(bound) ? bound - 1 : INT64_MAX);
        return;
    }
}

static void check_nodes(tn_infer *ctx, const ensemble *e, tn_dim columns)
{
    static const char *const names[] = { "nodes_nodeids",     "nodes_featureids",
                                         "nodes_truenodeids", "nodes_falsenodeids",
                                         "nodes_modes",       NULL };
    check_lists(ctx, names, e->nodes);
    ml_check_count(ctx, "nodes_values", e->values.count, e->nodes, e->nodes);
    ml_check_count(ctx, "nodes_missing_value_tracks_true",
                   ml_read_list(ctx->node, "nodes_missing_value_tracks_true").count, e->nodes, 0);
    ml_check_transform(ctx);
    check_ids(ctx, "nodes_featureids", columns);
    if (e->nodes > INT32_MAX / 8 || e->weight_count > INT32_MAX / 8)
        ml_bad_number(ctx, "nodes_treeids", e->nodes, "fewer nodes and weights");
}

static tn_status infer_regressor(tn_infer *ctx)
{
    static const char *const names[] = { "target_nodeids", "target_ids", NULL };
    const ensemble e = read_regressor(ctx->node);
    tn_dim rows = TN_DIM_UNKNOWN, columns = TN_DIM_UNKNOWN;
    const int known = ml_matrix(ctx, &rows, &columns);
    if (e.targets < 1) {
        ml_bad_number(ctx, "n_targets", e.targets, "1 or more");
        return TN_OK;
    }
    check_nodes(ctx, &e, columns);
    check_lists(ctx, names, e.weight_count);
    ml_check_count(ctx, "target_weights", e.weights.count, e.weight_count, e.weight_count);
    ml_check_count(ctx, "base_values", e.base.count, e.targets, 0);
    check_ids(ctx, "target_ids", e.targets);
    if (e.aggregate < 0)
        ml_bad_text(ctx, "aggregate_function", "AVERAGE, SUM, MIN or MAX");
    if (known)
        ml_set_shape(ctx, 0, 2, rows, e.targets);
    return TN_OK;
}

static tn_status infer_classifier(tn_infer *ctx)
{
    static const char *const names[] = { "class_nodeids", "class_ids", NULL };
    const ensemble e = read_classifier(ctx->node);
    tn_dim rows = TN_DIM_UNKNOWN, columns = TN_DIM_UNKNOWN;
    const int known = ml_matrix(ctx, &rows, &columns);
    ctx->outputs[0].dtype = e.labels.texts ? TN_STRING : TN_INT64;
    if (e.targets < 1) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_NODE, 0, NULL,
                                 "there are no labels: expected classlabels_int64s or "
                                 "classlabels_strings");
        return TN_OK;
    }
    check_nodes(ctx, &e, columns);
    check_lists(ctx, names, e.weight_count);
    ml_check_count(ctx, "class_weights", e.weights.count, e.weight_count, e.weight_count);
    ml_check_count(ctx, "base_values", e.base.count, e.targets, e.single && e.base.count == 1);
    check_ids(ctx, "class_ids", e.targets);
    if (known) {
        ml_set_shape(ctx, 0, 1, rows, 0);
        ml_set_shape(ctx, 1, 2, rows, e.targets);
    }
    return TN_OK;
}

/* ---- the trees put together ------------------------------------------------------------------------ */

/* In scratch; indices of nodes and weights, -1: none. */
typedef struct job {
    tn_run *run;
    ensemble e;
    int32_t *modes, *yes, *no, *child; /* of each node; child: it is one */
    int32_t *first, *next;             /* a node's weights: first[node], then next[weight] */
    int64_t width, roots;
    double *scratch;
    int classifies;
} job;

static int64_t ints_needed(const ensemble *e)
{
    return (5 * e->nodes + e->weight_count + 15) / 16 * 16;
}

static int is_node(const ensemble *e, int64_t at, int64_t tree, int64_t id)
{
    return at >= 0 && at < e->nodes && e->trees[at] == tree && e->ids[at] == id;
}

/* Nodes of a tree mostly follow each other in order: where `near` stands tells where to look. */
static int64_t find_node(const ensemble *e, int64_t near, int64_t tree, int64_t id)
{
    const int64_t distance = id - e->ids[near];
    if (distance > -e->nodes && distance < e->nodes && is_node(e, near + distance, tree, id))
        return near + distance;
    for (int64_t k = 0; k < e->nodes; k++) {
        const int64_t at = (near + k) % e->nodes;
        if (is_node(e, at, tree, id))
            return at;
    }
    return -1;
}

static tn_status link_child(job *j, int64_t node, int64_t id, int32_t *out)
{
    const int64_t at = find_node(&j->e, node, j->e.trees[node], id);
    if (at < 0)
        return tn_fail(j->run, TN_ERR_ATTRIBUTE,
                       "node %" PRId64 " of tree %" PRId64 " leads to node %" PRId64
                       ", which is not there",
                       j->e.ids[node], j->e.trees[node], id);
    *out = (int32_t)at;
    j->child[at] = 1;
    return TN_OK;
}

static tn_status link_nodes(job *j)
{
    static const char *const names[] = { "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                         "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ",
                                         "",           "LEAF",      NULL };
    const tn_attribute *modes = tn_attr(j->run->node, "nodes_modes");
    for (int64_t k = 0; k < j->e.nodes; k++) {
        j->child[k] = 0;
        j->first[k] = -1;
    }
    for (int64_t k = 0; k < j->e.nodes; k++) {
        j->modes[k] = ml_find_word(modes->strings[k].bytes, names);
        if (j->modes[k] < 0 || j->modes[k] == TREE_MEMBER)
            return tn_fail(j->run, TN_ERR_ATTRIBUTE,
                           "nodes_modes[%" PRId64 "] is '%s': expected BRANCH_LEQ, BRANCH_LT, "
                           "BRANCH_GTE, BRANCH_GT, BRANCH_EQ, BRANCH_NEQ or LEAF",
                           k, modes->strings[k].bytes);
        if (j->modes[k] == TREE_LEAF)
            continue;
        TN_TRY(link_child(j, k, j->e.yes[k], &j->yes[k]));
        TN_TRY(link_child(j, k, j->e.no[k], &j->no[k]));
    }
    for (int64_t k = 0; k < j->e.nodes; k++)
        j->roots += !j->child[k];
    return TN_OK;
}

/* From the last on, so that each node's list keeps the order of the attribute. */
static tn_status link_weights(job *j)
{
    int64_t near = 0;
    for (int64_t k = j->e.weight_count - 1; k >= 0; k--) {
        near = j->e.nodes ? find_node(&j->e, near, j->e.weight_trees[k], j->e.weight_nodes[k]) : -1;
        if (near < 0)
            return tn_fail(j->run, TN_ERR_ATTRIBUTE,
                           "weight %" PRId64 " is for node %" PRId64 " of tree %" PRId64
                           ", which is not there",
                           k, j->e.weight_nodes[k], j->e.weight_trees[k]);
        j->next[k] = j->first[near];
        j->first[near] = (int32_t)k;
    }
    return TN_OK;
}

/* ---- rows ----------------------------------------------------------------------------------------- */

static int goes_true(const job *j, int64_t node, int64_t row)
{
    const tn_tensor *x = j->run->inputs[0];
    const double value = tn_get_double(x->dtype, x->data, row * j->width + j->e.features[node]);
    if (isnan(value) && j->e.tracks && j->e.tracks[node])
        return 1;
    return tree_compare(j->modes[node], value, ml_number(&j->e.values, node));
}

static tn_status add_tree(const job *j, int64_t root, int64_t row, double *targets, double *seen)
{
    int64_t node = root;
    for (int64_t steps = 0; j->modes[node] != TREE_LEAF; steps++) {
        if (steps > j->e.nodes)
            return tn_fail(j->run, TN_ERR_VALUE, "tree %" PRId64 " has a cycle", j->e.trees[root]);
        node = goes_true(j, node, row) ? j->yes[node] : j->no[node];
    }
    for (int32_t w = j->first[node]; w >= 0; w = j->next[w]) {
        const int64_t target = j->e.weight_targets[w];
        tree_join(j->e.aggregate, ml_number(&j->e.weights, w), targets + target, seen + target);
    }
    return TN_OK;
}

static tn_status add_trees(const job *j, int64_t row, double *targets, double *seen)
{
    memset(targets, 0, (size_t)j->e.targets * sizeof *targets);
    memset(seen, 0, (size_t)j->e.targets * sizeof *seen);
    for (int64_t root = 0; root < j->e.nodes; root++) {
        if (!j->child[root])
            TN_TRY(add_tree(j, root, row, targets, seen));
    }
    for (int64_t t = 0; t < j->e.targets; t++) {
        if (j->e.aggregate == TREE_AVERAGE && j->roots)
            targets[t] /= (double)j->roots;
        if (j->e.base.count == j->e.targets)
            targets[t] += ml_number(&j->e.base, t);
    }
    return TN_OK;
}

/* One score for two labels: see the head of this file. Answers the label. */
static int64_t spread(const job *j, double *scores)
{
    const int64_t own = j->e.weight_targets[0];
    double s = scores[own];
    if (j->e.base.count == 2) /* its own class's was added, the second one's counts */
        s += ml_number(&j->e.base, 1) - ml_number(&j->e.base, own);
    else if (j->e.base.count == 1)
        s += ml_number(&j->e.base, 0);
    const int64_t label = s > (j->e.positive ? 0.5 : 0);
    const int logistic = j->e.transform == ML_LOGISTIC && !j->e.positive;
    scores[1] = logistic ? ml_logistic(s) : s;
    scores[0] = logistic ? ml_logistic(-s) : j->e.positive ? 1 - s : -s;
    return label;
}

static void store(const job *j, uint32_t output, int64_t row, const double *targets)
{
    tn_tensor *y = ml_output(j->run, output);
    for (int64_t t = 0; y && t < j->e.targets; t++)
        tn_set_float(y->dtype, y->data, row * j->e.targets + t, targets[t]);
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *targets = j->scratch + thread * ml_step(2 * j->e.targets);
    for (int64_t row = begin; row < end; row++) {
        TN_TRY(add_trees(j, row, targets, targets + j->e.targets));
        if (j->classifies) {
            const int64_t label = j->e.single ? spread(j, targets)
                                              : ml_largest(targets, j->e.targets);
            ml_store_label(&j->e.labels, ml_output(j->run, 0), row, label);
        }
        if (!j->classifies || !j->e.single)
            ml_transform(j->e.transform, targets, j->e.targets);
        store(j, j->classifies ? 1 : 0, row, targets);
    }
    return TN_OK;
}

static tn_status run_job(job *j)
{
    const tn_tensor *x = j->run->inputs[0];
    int32_t *room = j->run->scratch;
    j->width = x->dims[x->rank - 1];
    j->modes = room;
    j->yes = room + j->e.nodes;
    j->no = room + 2 * j->e.nodes;
    j->child = room + 3 * j->e.nodes;
    j->first = room + 4 * j->e.nodes;
    j->next = room + 5 * j->e.nodes;
    j->scratch = (double *)(void *)(room + ints_needed(&j->e));
    TN_TRY(link_nodes(j));
    TN_TRY(link_weights(j));
    return j->run->call.host->parallel_for(&j->run->call, x->rank == 2 ? x->dims[0] : 1, 16,
                                           run_rows, j);
}

static tn_status run_regressor(tn_run *ctx, const void *state, void *slot)
{
    job j = { .run = ctx, .e = read_regressor(ctx->node) };
    (void)state, (void)slot;
    return run_job(&j);
}

static tn_status run_classifier(tn_run *ctx, const void *state, void *slot)
{
    job j = { .run = ctx, .e = read_classifier(ctx->node), .classifies = 1 };
    (void)state, (void)slot;
    return run_job(&j);
}

static tn_status need(tn_measure *ctx, const ensemble *e)
{
    ctx->alternatives[0].scratch_bytes = (size_t)ints_needed(e) * sizeof(int32_t) +
                                         (size_t)ml_step(2 * e->targets) * ctx->problem->threads *
                                             sizeof(double);
    return TN_OK;
}

static tn_status measure_regressor(tn_measure *ctx, void *state)
{
    const ensemble e = read_regressor(ctx->problem->node);
    (void)state;
    return need(ctx, &e);
}

static tn_status measure_classifier(tn_measure *ctx, void *state)
{
    const ensemble e = read_classifier(ctx->problem->node);
    (void)state;
    return need(ctx, &e);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define INTS(label, text)                                                                          \
    {                                                                                              \
        .name = label, .type = TN_ATTR_INTS, .doc = text                                           \
    }
#define FLOATS(label, text)                                                                        \
    {                                                                                              \
        .name = label, .type = TN_ATTR_FLOATS, .doc = text                                         \
    }
#define TENSOR(label, text)                                                                        \
    {                                                                                              \
        .name = label, .type = TN_ATTR_TENSOR, .doc = text                                         \
    }
#define NODES                                                                                      \
    FLOATS("base_values", "added to each score in the end"),                                       \
        TENSOR("base_values_as_tensor", "the same as float64"),                                    \
        INTS("nodes_falsenodeids", "where the false branch leads"),                                \
        INTS("nodes_featureids", "the column that a node looks at"),                               \
        FLOATS("nodes_hitrates", "a hint that changes no answer"),                                 \
        TENSOR("nodes_hitrates_as_tensor", "the same as float64"),                                 \
        INTS("nodes_missing_value_tracks_true", "1: NaN goes the true way"),                       \
        { .name = "nodes_modes",                                                                   \
          .type = TN_ATTR_STRINGS,                                                                 \
          .doc = "BRANCH_LEQ, _LT, _GTE, _GT, _EQ, _NEQ or LEAF" },                                \
        INTS("nodes_nodeids", "the number of each node in its tree"),                              \
        INTS("nodes_treeids", "the tree of each node"),                                            \
        INTS("nodes_truenodeids", "where the true branch leads"),                                  \
        FLOATS("nodes_values", "what a node compares with"),                                       \
        TENSOR("nodes_values_as_tensor", "the same as float64"), ML_TRANSFORM
static const tn_attribute_def regressor_attributes[] = {
    NODES,
    { .name = "aggregate_function",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "SUM",
      .doc = "AVERAGE, SUM, MIN or MAX" },
    { .name = "n_targets", .type = TN_ATTR_INT, .doc = "how many there are" },
    INTS("target_ids", "the target of each weight"),
    INTS("target_nodeids", "the node of each weight"),
    INTS("target_treeids", "the tree of each weight"),
    FLOATS("target_weights", "the weights of leaves"),
    TENSOR("target_weights_as_tensor", "the same as float64"),
};
static const tn_attribute_def classifier_attributes[] = {
    NODES,
    INTS("class_ids", "the class of each weight"),
    INTS("class_nodeids", "the node of each weight"),
    INTS("class_treeids", "the tree of each weight"),
    FLOATS("class_weights", "the weights of leaves"),
    TENSOR("class_weights_as_tensor", "the same as float64"),
    INTS("classlabels_int64s", "labels that are numbers"),
    { .name = "classlabels_strings", .type = TN_ATTR_STRINGS, .doc = "labels that are texts" },
};
static const tn_param_def regressor_inputs[] = { { "X", "T", ML_NUMBERS, 0, 0, "[N, F]" } };
static const tn_param_def regressor_outputs[] = { { "Y", NULL, TN_BIT(TN_FLOAT32), 0, 0,
                                                    "[N, n_targets]" } };
static const tn_param_def classifier_inputs[] = { { "X", "T1", ML_NUMBERS, 0, 0, "[N, F]" } };
static const tn_param_def classifier_outputs[] = {
    { "Y", "T2", ML_LABELS, 0, 0, "the label of each row" },
    { "Z", NULL, TN_BIT(TN_FLOAT32), 0, 0, "the score of each label: [N, labels]" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 3,
      .accepts_from = 1,
      .domain = ML_DOMAIN,
      .name = "TreeEnsembleClassifier",
      .doc = "Trees whose leaves vote for labels.",
      .inputs = classifier_inputs,
      .input_count = 1,
      .outputs = classifier_outputs,
      .output_count = 2,
      .attributes = classifier_attributes,
      .attribute_count = ML_COUNT(classifier_attributes),
      .infer = infer_classifier,
      .samplewise = ml_samplewise },
    { .size = sizeof(tn_operator_def),
      .since = 3,
      .accepts_from = 1,
      .domain = ML_DOMAIN,
      .name = "TreeEnsembleRegressor",
      .doc = "Trees whose leaves add to targets.",
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
      .op = "TreeEnsembleClassifier",
      .measure = measure_classifier,
      .run = run_classifier },
    { .size = sizeof(tn_kernel_def),
      .domain = ML_DOMAIN,
      .op = "TreeEnsembleRegressor",
      .measure = measure_regressor,
      .run = run_regressor },
};

tn_status ensemble_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < 2; k++) {
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}
