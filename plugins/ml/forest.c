/* plugins/ml/forest.c: TreeEnsemble (ONNX, domain ai.onnx.ml: TreeEnsemble, from set 5).
 *
 * Each tree sends a row from its root to a leaf, whose weight joins its target's: their sum, average
 * over the trees, smallest or largest. NaN goes the true way where nodes_missing_value_tracks_true
 * says so. The path of a row is at most as long as there are nodes, also where a model has a cycle.
 *
 * SPDX-License-Identifier: MIT */
#include "forest.h"

typedef struct forest {
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *tracks, *roots, *leaf_targets;
    int64_t nodes, trees, leaves, targets;
    ml_list modes, splits, weights, members;
    int aggregate, transform;
} forest;

static const int64_t *ints(const tn_node_view *node, const char *name, int64_t *count)
{
    const int64_t *list;
    *count = (int64_t)tn_attr_ints(node, name, &list);
    return list;
}

static forest read_forest(const tn_node_view *node)
{
    int64_t unused;
    forest f = { .modes = ml_read_list(node, "nodes_modes"),
                 .splits = ml_read_list(node, "nodes_splits"),
                 .weights = ml_read_list(node, "leaf_weights"),
                 .members = ml_read_list(node, "membership_values"),
                 .aggregate = (int)tn_attr_int(node, "aggregate_function", TREE_SUM),
                 .transform = ml_transform_of(node),
                 .targets = tn_attr_int(node, "n_targets", 1) };
    f.features = ints(node, "nodes_featureids", &f.nodes);
    f.yes = ints(node, "nodes_truenodeids", &unused);
    f.no = ints(node, "nodes_falsenodeids", &unused);
    f.yes_leaf = ints(node, "nodes_trueleafs", &unused);
    f.no_leaf = ints(node, "nodes_falseleafs", &unused);
    f.tracks = ints(node, "nodes_missing_value_tracks_true", &unused);
    f.roots = ints(node, "tree_roots", &f.trees);
    f.leaf_targets = ints(node, "leaf_targetids", &f.leaves);
    return f;
}

/* ---- inference ---------------------------------------------------------------------------------- */

/* Whether lists of nodes and leaves are as long as they should be. */
static int check_lengths(tn_infer *ctx, const forest *f)
{
    static const char *const names[] = { "nodes_truenodeids", "nodes_falsenodeids",
                                         "nodes_trueleafs",   "nodes_falseleafs",
                                         "nodes_modes",       "nodes_splits" };
    int right = 1;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const int64_t count = ml_read_list(ctx->node, names[k]).count;
        ml_check_count(ctx, names[k], count, f->nodes, f->nodes);
        right &= count == f->nodes;
    }
    const int64_t tracks = ml_read_list(ctx->node, "nodes_missing_value_tracks_true").count;
    ml_check_count(ctx, "nodes_missing_value_tracks_true", tracks, f->nodes, 0);
    ml_check_count(ctx, "leaf_weights", f->weights.count, f->leaves, f->leaves);
    return right && (tracks == 0 || tracks == f->nodes) && f->weights.count == f->leaves;
}

static void check_id(tn_infer *ctx, const char *name, int64_t k, int64_t id, int64_t count)
{
    if (id < 0 || id >= count)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s[%" PRId64 "] is %" PRId64 ": expected 0 to %" PRId64, name, k,
                                 id, count - 1);
}

static void check_nodes(tn_infer *ctx, const forest *f, tn_dim columns)
{
    int64_t sets = 0, members = 0;
    for (int64_t k = 0; k < f->nodes; k++) {
        check_id(ctx, "nodes_truenodeids", k, f->yes[k], f->yes_leaf[k] ? f->leaves : f->nodes);
        check_id(ctx, "nodes_falsenodeids", k, f->no[k], f->no_leaf[k] ? f->leaves : f->nodes);
        if (tn_dim_known(columns) || f->features[k] < 0)
            check_id(ctx, "nodes_featureids", k, f->features[k],
                     tn_dim_known(columns) ? columns : INT64_MAX);
        const int64_t mode = (int64_t)ml_number(&f->modes, k);
        check_id(ctx, "nodes_modes", k, mode, TREE_MEMBER + 1);
        members += mode == TREE_MEMBER;
    }
    for (int64_t k = 0; k < f->trees; k++)
        check_id(ctx, "tree_roots", k, f->roots[k], f->nodes);
    for (int64_t k = 0; k < f->leaves; k++)
        check_id(ctx, "leaf_targetids", k, f->leaf_targets[k], f->targets);
    for (int64_t k = 0; k < f->members.count; k++)
        sets += isnan(ml_number(&f->members, k)) ||
                (k == f->members.count - 1 && !isnan(ml_number(&f->members, k)));
    if (sets != members)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "membership_values",
                                 "membership_values has %" PRId64 " sets: expected %" PRId64
                                 ", one for each node that asks for one",
                                 sets, members);
}

static tn_status infer(tn_infer *ctx)
{
    const forest f = read_forest(ctx->node);
    tn_dim rows = TN_DIM_UNKNOWN, columns = TN_DIM_UNKNOWN;
    const int known = ml_matrix(ctx, &rows, &columns);
    ml_check_transform(ctx);
    if (f.aggregate < TREE_AVERAGE || f.aggregate > TREE_MAX)
        ml_bad_number(ctx, "aggregate_function", f.aggregate, "0 to 3");
    if (f.targets < 1) {
        ml_bad_number(ctx, "n_targets", f.targets, "1 or more");
        return TN_OK;
    }
    if (check_lengths(ctx, &f))
        check_nodes(ctx, &f, columns);
    if (known)
        ml_set_shape(ctx, 0, 2, rows, f.targets);
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    forest f;
    int64_t width;
    int64_t *sets; /* where in `members` a node's set begins */
    double *scratch;
} job;

static void find_sets(job *j)
{
    int64_t at = 0;
    for (int64_t k = 0; k < j->f.nodes; k++) {
        j->sets[k] = at;
        if ((int64_t)ml_number(&j->f.modes, k) != TREE_MEMBER)
            continue;
        while (at < j->f.members.count && !isnan(ml_number(&j->f.members, at)))
            at++;
        at++;
    }
}

static int is_member(const job *j, int64_t node, double value)
{
    for (int64_t at = j->sets[node]; at < j->f.members.count; at++) {
        const double member = ml_number(&j->f.members, at);
        if (isnan(member))
            return 0;
        if (member == value)
            return 1;
    }
    return 0;
}

static int goes_true(const job *j, int64_t node, int64_t row)
{
    const tn_tensor *x = j->run->inputs[0];
    const double value = tn_get_double(x->dtype, x->data, row * j->width + j->f.features[node]);
    const int mode = (int)ml_number(&j->f.modes, node);
    if (isnan(value) && j->f.tracks && j->f.tracks[node])
        return 1;
    return mode == TREE_MEMBER ? is_member(j, node, value)
                               : tree_compare(mode, value, ml_number(&j->f.splits, node));
}

/* The leaf of a tree that a row comes to; -1: it goes round for ever. */
static int64_t find_leaf(const job *j, int64_t tree, int64_t row)
{
    int64_t node = j->f.roots[tree];
    for (int64_t steps = 0; steps <= j->f.nodes; steps++) {
        const int yes = goes_true(j, node, row);
        const int64_t to = yes ? j->f.yes[node] : j->f.no[node];
        if (yes ? j->f.yes_leaf[node] : j->f.no_leaf[node])
            return to;
        node = to;
    }
    return -1;
}

static tn_status run_row(const job *j, int64_t row, double *targets, double *seen)
{
    tn_tensor *y = j->run->outputs[0];
    memset(targets, 0, (size_t)j->f.targets * sizeof *targets);
    memset(seen, 0, (size_t)j->f.targets * sizeof *seen);
    for (int64_t tree = 0; tree < j->f.trees; tree++) {
        const int64_t leaf = find_leaf(j, tree, row);
        if (leaf < 0)
            return tn_fail(j->run, TN_ERR_VALUE, "tree %" PRId64 " has a cycle", tree);
        const int64_t target = j->f.leaf_targets[leaf];
        tree_join(j->f.aggregate, ml_number(&j->f.weights, leaf), targets + target, seen + target);
    }
    for (int64_t t = 0; t < j->f.targets && j->f.aggregate == TREE_AVERAGE && j->f.trees; t++)
        targets[t] /= (double)j->f.trees;
    ml_transform(j->f.transform, targets, j->f.targets);
    for (int64_t t = 0; t < j->f.targets; t++)
        tn_set_float(y->dtype, y->data, row * j->f.targets + t, targets[t]);
    return TN_OK;
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *targets = j->scratch + thread * ml_step(2 * j->f.targets);
    for (int64_t row = begin; row < end; row++)
        TN_TRY(run_row(j, row, targets, targets + j->f.targets));
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    job j = { .run = ctx, .f = read_forest(ctx->node), .width = x->dims[x->rank - 1] };
    (void)state, (void)slot;
    j.sets = ctx->scratch;
    j.scratch = (double *)ctx->scratch + ml_step(j.f.nodes);
    find_sets(&j);
    return ctx->call.host->parallel_for(&ctx->call, x->rank == 2 ? x->dims[0] : 1, 16, run_rows,
                                        &j);
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const forest f = read_forest(ctx->problem->node);
    (void)state;
    ctx->alternatives[0].scratch_bytes = ((size_t)ml_step(f.nodes) +
                                          (size_t)ml_step(2 * f.targets) * ctx->problem->threads) *
                                         sizeof(double);
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64) | TN_BIT(TN_FLOAT16))
#define INTS(label, required, text)                                                                \
    {                                                                                              \
        .name = label, .type = TN_ATTR_INTS, .flags = required, .doc = text                        \
    }
#define TENSOR(label, required, text)                                                              \
    {                                                                                              \
        .name = label, .type = TN_ATTR_TENSOR, .flags = required, .doc = text                      \
    }
#define YES TN_ATTR_REQUIRED
static const tn_param_def inputs[] = { { "X", "T", T_MASK, 0, 0, "[rows, features]" } };
static const tn_param_def outputs[] = { { "Y", "T", T_MASK, 0, 0, "[rows, n_targets]" } };
static const tn_attribute_def attributes[] = {
    { .name = "aggregate_function",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = TREE_SUM,
      .doc = "0: average, 1: sum, 2: smallest, 3: largest" },
    INTS("leaf_targetids", YES, "the target of each leaf"),
    TENSOR("leaf_weights", YES, "the weight of each leaf"),
    TENSOR("membership_values", 0, "the sets that nodes ask for, NaN after each"),
    { .name = "n_targets", .type = TN_ATTR_INT, .doc = "how many there are" },
    INTS("nodes_falseleafs", YES, "1: the false branch is a leaf"),
    INTS("nodes_falsenodeids", YES, "the node or leaf of the false branch"),
    INTS("nodes_featureids", YES, "the column that a node looks at"),
    TENSOR("nodes_hitrates", 0, "a hint that changes no answer"),
    INTS("nodes_missing_value_tracks_true", 0, "1: NaN goes the true way"),
    TENSOR("nodes_modes", YES, "0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 is in the set"),
    TENSOR("nodes_splits", YES, "what a node compares with"),
    INTS("nodes_trueleafs", YES, "1: the true branch is a leaf"),
    INTS("nodes_truenodeids", YES, "the node or leaf of the true branch"),
    { .name = "post_transform",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "0: none, 1: softmax, 2: logistic, 3: softmax without zeros, 4: probit" },
    INTS("tree_roots", YES, "the root of each tree"),
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 5,
    .domain = ML_DOMAIN,
    .name = "TreeEnsemble",
    .doc = "Adds up the weights of the leaves that trees send a row to.",
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = ML_COUNT(attributes),
    .infer = infer,
    .samplewise = ml_samplewise,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .domain = ML_DOMAIN, .op = "TreeEnsemble", .measure = measure, .run = run
};

tn_status forest_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
