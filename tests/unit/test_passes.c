/* The pass manager and the core's passes, on a plugin of tiny operators and broken passes that is
 * linked in. Folding uses a stand-in for the reference kernels.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/passes.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define OK(call) cr_assert_eq((call), TN_OK, "%s", tn_error_message())

/* ---- operators ---------------------------------------------------------------------------- */

static tn_status same(tn_infer *ctx)
{
    for (uint32_t k = 0; k < ctx->output_count; k++)
        TN_TRY(tn_infer_same(ctx, k, 0));
    return TN_OK;
}

static tn_status shape_of(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    ctx->outputs[0].dtype = TN_INT64;
    ctx->outputs[0].rank = x && x->rank >= 0 ? 1 : -1;
    if (!x || x->rank < 0)
        return TN_OK;
    ctx->outputs[0].dims[0] = x->rank;
    return ctx->call.host->output_elements(&ctx->call, 0, x->dims, x->rank);
}

/* What the caller declares holds. */
static tn_status open_ended(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

static tn_status body_type(tn_infer *ctx)
{
    return ctx->call.host->infer_region(&ctx->call, "body", NULL, 0, ctx->outputs,
                                        ctx->output_count);
}

static int32_t first_unless_second(const tn_identity *query)
{
    return query->used_outputs == 1 && !tn_attr_int(query->node, "act", 0) ? 0 : -1;
}

static int32_t first_when_constant_is_one(const tn_identity *query)
{
    const tn_tensor *one = query->constants[1];
    return one && ((const float *)one->data)[0] == 1.0f ? 0 : -1;
}

#define PARAM(n, mask, f)                                                                          \
    {                                                                                              \
        .name = n, .constraint = (mask) == TN_BIT(TN_FLOAT32) ? "T" : NULL, .types = mask,         \
        .flags = f                                                                                 \
    }
#define T TN_BIT(TN_FLOAT32)
static const tn_param_def two_in[] = { PARAM("A", T, 0), PARAM("B", T, 0) };
static const tn_param_def y_and_more[] = { PARAM("Y", T, 0), PARAM("Mask", T, TN_PARAM_OPTIONAL) };
static const tn_param_def many_in[] = {
    { .name = "X", .constraint = "T", .types = T, .flags = TN_PARAM_VARIADIC, .minimum = 1 }
};
static const tn_param_def ints_out[] = { PARAM("S", TN_BIT(TN_INT64), 0) };
static const tn_attribute_def act[] = {
    { .name = "act", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT }
};
static const tn_attribute_def body[] = {
    { .name = "body", .type = TN_ATTR_GRAPH, .flags = TN_ATTR_REQUIRED }
};

#define OP(n, in, ins, out, outs, t, ...)                                                          \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = 1, .domain = "test", .name = n, .inputs = in,    \
        .input_count = ins, .outputs = out, .output_count = outs, .traits = t, __VA_ARGS__         \
    }
static const tn_operator_def operators[] = {
    OP("Neg", two_in, 1, y_and_more, 1, TN_ELEMENTWISE, .infer = same),
    OP("Add", two_in, 2, y_and_more, 1, TN_ELEMENTWISE | TN_COMMUTATIVE, .infer = same),
    OP("Sub", two_in, 2, y_and_more, 1, TN_ELEMENTWISE, .infer = same),
    OP("Sum", many_in, 1, y_and_more, 1, TN_ELEMENTWISE | TN_COMMUTATIVE, .infer = same),
    OP("Drop", two_in, 1, y_and_more, 2, 0, .infer = same, .identity = first_unless_second,
       .attributes = act, .attribute_count = 1),
    OP("Scale", two_in, 2, y_and_more, 1, 0, .infer = same, .identity = first_when_constant_is_one),
    OP("Noise", two_in, 1, y_and_more, 1, TN_NONDETERMINISTIC, .infer = same),
    OP("Print", two_in, 1, y_and_more, 1, TN_SIDE_EFFECT, .infer = same),
    OP("Fails", two_in, 1, y_and_more, 1, TN_MAY_FAIL, .infer = same),
    OP("ShapeOf", two_in, 1, ints_out, 1, 0, .infer = shape_of),
    OP("Tuned", two_in, 1, y_and_more, 1, 0, .infer = same, .attributes = act,
       .attribute_count = 1),
    OP("Body", NULL, 0, y_and_more, 1, TN_REGIONS, .infer = body_type, .attributes = body,
       .attribute_count = 1),
    OP("Broken", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Loose", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Nearly", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Ping", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Pong", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Grow", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Idle", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Wrong", two_in, 1, y_and_more, 1, 0, .infer = same),
    OP("Any", two_in, 1, y_and_more, 1, 0, .infer = open_ended),
};

/* ---- passes, most of them bad ------------------------------------------------------------- */

static tn_node_id only_reader(tn_rewrite *ctx, tn_value_id value)
{
    tn_node_id node = TN_NONE;
    uint32_t input;
    return ctx->api->use(ctx->graph, value, 0, &node, &input) == TN_OK ? node : TN_NONE;
}

/* Edits, and then gives up. */
static tn_status match_broken(tn_rewrite *ctx, tn_node_id node)
{
    TN_TRY(ctx->api->set_operator(ctx->graph, node, "test", "Neg"));
    return tn_fail(ctx, TN_ERR_VALUE, "I broke on purpose");
}

/* Reads what it makes, through the next node. */
static tn_status match_loop(tn_rewrite *ctx, tn_node_id node)
{
    const tn_region_id region = ctx->api->node(ctx->graph, node)->region;
    tn_node_id reader = only_reader(ctx, ctx->api->node(ctx->graph, node)->outputs[0]);
    if (reader == TN_NONE)
        return TN_NO_MATCH;
    while (ctx->api->node(ctx->graph, reader)->region != region)
        reader = ctx->api->region_owner(ctx->graph, ctx->api->node(ctx->graph, reader)->region);
    return ctx->api->set_input(ctx->graph, node, 0, ctx->api->node(ctx->graph, reader)->outputs[0]);
}

static tn_status match_nearly(tn_rewrite *ctx, tn_node_id node)
{
    TN_TRY(ctx->api->set_operator(ctx->graph, node, "test", "Neg"));
    return tn_fail(ctx, TN_NO_MATCH, "%s: not folded: it is Tuesday",
                   ctx->api->node(ctx->graph, node)->name);
}

static tn_status match_ping(tn_rewrite *ctx, tn_node_id node)
{
    return ctx->api->set_operator(ctx->graph, node, "test", "Pong");
}
static tn_status match_pong(tn_rewrite *ctx, tn_node_id node)
{
    return ctx->api->set_operator(ctx->graph, node, "test", "Ping");
}
static tn_status match_idle(tn_rewrite *ctx, tn_node_id node)
{
    (void)ctx, (void)node;
    return TN_OK;
}

/* One more Grow behind each: never done. */
static tn_status match_grow(tn_rewrite *ctx, tn_node_id node)
{
    const tn_value_id out = ctx->api->node(ctx->graph, node)->outputs[0];
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = ctx->api->node(ctx->graph, node)->region,
                                .domain = "test",
                                .op = "Grow",
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &out,
                                .before = TN_NONE,
                                .trace = node };
    tn_node_id made;
    return ctx->api->add_node(ctx->graph, &desc, &made);
}

/* An operator that nobody brings. */
static tn_status match_wrong(tn_rewrite *ctx, tn_node_id node)
{
    return ctx->api->set_operator(ctx->graph, node, "test", "Nothing");
}

#define PASS(n, f, ...)                                                                            \
    {                                                                                              \
        .size = sizeof(tn_pass_def), .phase = TN_PHASE_FOLD, .name = n, .doc = n, .match = f,      \
        .roots = (const char *const[])                                                             \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }
static const tn_pass_def passes[] = {
    PASS("break_it", match_broken, "test::Broken"),
    PASS("close_loop", match_loop, "test::Loose"),
    PASS("nearly", match_nearly, "test::Nearly"),
    PASS("ping", match_ping, "test::Ping"),
    PASS("pong", match_pong, "test::Pong"),
    PASS("idle", match_idle, "test::Idle"),
    PASS("wrong", match_wrong, "test::Wrong"),
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_LATE,
      .name = "grow",
      .doc = "grows",
      .match = match_grow,
      .exactness = TN_EXACT_APPROXIMATE,
      .roots = (const char *const[]){ "test::Grow", NULL } },
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    for (size_t k = 0; k < TN_COUNT(operators); k++)
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
    for (size_t k = 0; k < TN_COUNT(passes); k++)
        TN_TRY(registrar->add_pass(registrar, &passes[k]));
    return TN_OK;
}

static const struct tn_plugin_entry entry = { .magic = TN_ABI_MAGIC,
                                              .abi_major = TN_ABI_MAJOR,
                                              .abi_minor = TN_ABI_MINOR,
                                              .size = sizeof(struct tn_plugin_entry),
                                              .name = "test",
                                              .version = "1",
                                              .licence = "MIT",
                                              .description = "for tests",
                                              .load = load };

/* ---- a network under test ----------------------------------------------------------------- */

typedef struct net {
    tn_registry *registry;
    tn_graph *graph;
    tn_diagnostics *diagnostics;
    tn_pass_log log;
    tn_limits limits;
    int evaluated;
} net;

static net begin(void)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS };
    const tn_host_parts parts = { .infer = &tn_infer_host };
    net n = { 0 };
    OK(tn_registry_create(&options, &parts, NULL, &n.registry));
    OK(tn_registry_add_entry(n.registry, &entry, "linked in", NULL));
    OK(tn_graph_create(&n.graph));
    OK(tn_graph_set_opset(n.graph, "", 21));
    OK(tn_graph_set_opset(n.graph, "test", 1));
    OK(tn_diagnostics_create(&n.diagnostics));
    return n;
}

static void end(net *n)
{
    tn_pass_log_fini(&n->log);
    tn_diagnostics_destroy(n->diagnostics);
    tn_graph_destroy(n->graph);
    tn_registry_destroy(n->registry);
}

static tn_type float_type(int64_t extent)
{
    const tn_dim dims[1] = { extent };
    return tn_type_of(TN_FLOAT32, 1, dims);
}

static tn_value_id input_in(net *n, tn_region_id region, const char *name)
{
    const tn_type type = float_type(2);
    tn_value_id value;
    OK(tn_graph_add_value(n->graph, region, name, &type, &value));
    OK(tn_graph_add_input(n->graph, region, value));
    return value;
}
static tn_value_id input(net *n, const char *name)
{
    return input_in(n, TN_TOP_REGION, name);
}

static tn_value_id constant_in(net *n, tn_region_id region, const char *name, float a, float b)
{
    float data[2] = { a, b };
    const int64_t dims[1] = { 2 };
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_FLOAT32,
                               .rank = 1,
                               .dims = dims,
                               .data = data,
                               .bytes = sizeof data };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = region, .name = name, .tensor = &tensor, .value = TN_NONE
    };
    tn_value_id value;
    OK(tn_graph_add_constant(n->graph, &desc, &value));
    return value;
}
static tn_value_id constant(net *n, const char *name, float a, float b)
{
    return constant_in(n, TN_TOP_REGION, name, a, b);
}

/* An input with a default that a run may replace. */
static tn_value_id overridable(net *n, const char *name, float a, float b)
{
    const tn_value_id value = constant(n, name, a, b);
    OK(tn_graph_add_input(n->graph, TN_TOP_REGION, value));
    return value;
}

static tn_node_id add_node(net *n, tn_region_id region, const char *op, const char *name,
                           uint32_t outputs, const tn_value_id *inputs, uint32_t count,
                           const tn_attribute *attribute)
{
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = region,
                                .name = name,
                                .domain = "test",
                                .op = op,
                                .input_count = count,
                                .output_count = outputs,
                                .inputs = inputs,
                                .attribute_count = attribute ? 1 : 0,
                                .attributes = attribute,
                                .before = TN_NONE,
                                .trace = TN_NONE };
    tn_node_id node;
    OK(tn_graph_add_node(n->graph, &desc, &node));
    return node;
}

static tn_value_id out_of(net *n, tn_node_id node, uint32_t k)
{
    return tn_graph_node(n->graph, node)->outputs[k];
}

static tn_value_id unary(net *n, const char *op, const char *name, tn_value_id x)
{
    return out_of(n, add_node(n, TN_TOP_REGION, op, name, 1, &x, 1, NULL), 0);
}
static tn_value_id unary_in(net *n, tn_region_id region, const char *op, const char *name,
                            tn_value_id x)
{
    return out_of(n, add_node(n, region, op, name, 1, &x, 1, NULL), 0);
}
static tn_value_id binary(net *n, const char *op, const char *name, tn_value_id a, tn_value_id b)
{
    const tn_value_id inputs[2] = { a, b };
    return out_of(n, add_node(n, TN_TOP_REGION, op, name, 1, inputs, 2, NULL), 0);
}
static void output(net *n, const char *name, tn_value_id value)
{
    OK(tn_graph_add_output(n->graph, TN_TOP_REGION, name, value));
}

static tn_region_id new_body(net *n)
{
    tn_region_id region;
    OK(tn_graph_add_region(n->graph, TN_TOP_REGION, &region));
    return region;
}
static tn_value_id body_node(net *n, const char *name, tn_region_id region)
{
    const tn_attribute attribute = { .size = sizeof attribute,
                                     .type = TN_ATTR_GRAPH,
                                     .name = "body",
                                     .count = 1,
                                     .regions = &region };
    return out_of(n, add_node(n, TN_TOP_REGION, "Body", name, 1, NULL, 0, &attribute), 0);
}

/* Neg, Add, Sub and Sum as their kernels would; whatever else fails. */
static tn_status evaluate(void *user, const tn_graph *graph, tn_node_id node,
                          const tn_tensor *const *inputs, tn_constant **outputs)
{
    const tn_node_view *view = tn_graph_node(graph, node);
    const char op = *view->op == 'S' && view->op[2] == 'b' ? '-' : *view->op;
    float y[2] = { 0, 0 };
    tn_tensor tensor;
    ((net *)user)->evaluated++;
    if (op != 'N' && op != 'A' && op != '-')
        return tn_raise(TN_ERR_VALUE, "index 7 is outside [0, 2)");
    tensor = *inputs[0];
    for (int k = 0; k < 2; k++) {
        const float a = ((const float *)inputs[0]->data)[k],
                    b = op == 'N' ? 0 : ((const float *)inputs[1]->data)[k];
        y[k] = op == 'N' ? -a : op == 'A' ? a + b : a - b;
    }
    tensor.data = y;
    return tn_constant_create(&tensor, NULL, &outputs[0]);
}

static tn_status run_passes(net *n, const char *selection)
{
    const tn_passes_options options = { .registry = n->registry,
                                        .selection = selection,
                                        .limits = n->limits,
                                        .evaluate = evaluate,
                                        .user = n };
    tn_pass_log_fini(&n->log);
    tn_diagnostics_clear(n->diagnostics);
    return tn_passes_run(n->graph, &options, n->diagnostics, &n->log);
}

/* Resolves, infers and runs the passes, and sees that what is left holds together. */
static void run(net *n, const char *selection)
{
    OK(tn_graph_verify(n->graph, n->diagnostics));
    OK(tn_infer_resolve(n->registry, n->graph, n->diagnostics));
    OK(tn_infer_graph(n->registry, n->graph, n->diagnostics));
    OK(run_passes(n, selection));
    OK(tn_graph_verify(n->graph, n->diagnostics));
    OK(tn_infer_graph(n->registry, n->graph, n->diagnostics));
}

static bool has(const net *n, const char *name)
{
    return tn_graph_find_node(n->graph, name) != TN_NONE;
}
static bool has_value(const net *n, const char *name)
{
    return tn_graph_find_value(n->graph, TN_TOP_REGION, name) != TN_NONE;
}
static const tn_node_view *view_of(const net *n, const char *name)
{
    return tn_graph_node(n->graph, tn_graph_find_node(n->graph, name));
}
static tn_value_id nth_output(const net *n, uint32_t k)
{
    const tn_value_id *outputs;
    cr_assert_gt(tn_graph_region_outputs(n->graph, TN_TOP_REGION, &outputs), k);
    return outputs[k];
}
static const tn_pass_record *record(const net *n, const char *name)
{
    for (uint32_t k = 0; k < n->log.record_count; k++)
        if (strcmp(n->log.records[k].name, name) == 0)
            return &n->log.records[k];
    cr_assert_fail("no record of pass %s", name);
    return NULL;
}
static bool noted(const net *n, bool fired, const char *text)
{
    for (uint32_t k = 0; k < n->log.note_count; k++)
        if (n->log.notes[k].fired == fired && strcmp(n->log.notes[k].text, text) == 0)
            return true;
    return false;
}
static const char *warning(const net *n)
{
    for (size_t k = 0; k < tn_diagnostics_count(n->diagnostics); k++)
        if (tn_diagnostics_get(n->diagnostics, k)->severity == TN_SEVERITY_WARNING)
            return tn_diagnostics_get(n->diagnostics, k)->text;
    return "";
}

/* ---- remove_dead -------------------------------------------------------------------------- */

Test(remove_dead, removes_a_chain_that_nothing_reads_and_its_constants)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    input(&n, "unused");
    output(&n, "y", unary(&n, "Neg", "kept", x));
    unary(&n, "Neg", "dead2", binary(&n, "Add", "dead1", x, constant(&n, "c", 1, 2)));
    run(&n, NULL);
    cr_expect(has(&n, "kept"));
    cr_expect_not(has(&n, "dead1"));
    cr_expect_not(has(&n, "dead2"));
    cr_expect_not(has_value(&n, "c"));
    cr_expect(has_value(&n, "unused"), "inputs of the graph are its interface");
    cr_expect(noted(&n, true, "dead1 (Add) removed, nothing reads it"));
    cr_expect(noted(&n, true, "1 constant removed, nothing reads it: 8 bytes"));
    cr_expect_eq(n.log.nodes_before, 3);
    cr_expect_eq(n.log.nodes_after, 1);
    end(&n);
}

Test(remove_dead, keeps_what_acts_in_a_body_too)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_region_id acting = new_body(&n), idle = new_body(&n);
    output(&n, "y", unary(&n, "Neg", "kept", x));
    unary(&n, "Print", "print", x);
    OK(tn_graph_add_output(n.graph, acting, "o", unary_in(&n, acting, "Print", "inner_print", x)));
    OK(tn_graph_add_output(
        n.graph, idle, "o",
        unary_in(&n, idle, "Neg", "inner_neg", unary(&n, "Neg", "captured", x))));
    body_node(&n, "acts", acting);
    body_node(&n, "does_not", idle);
    run(&n, NULL);
    cr_expect(has(&n, "print"));
    cr_expect(has(&n, "acts"));
    cr_expect_not(has(&n, "does_not"));
    cr_expect_not(has(&n, "inner_neg"));
    cr_expect_not(has(&n, "captured"), "what only the dead body read is dead, too");
    end(&n);
}

Test(remove_dead, leaves_out_optional_outputs_that_nothing_reads)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_attribute on = { .size = sizeof on, .type = TN_ATTR_INT, .name = "act", .i = 1 };
    const tn_node_id drop = add_node(&n, TN_TOP_REGION, "Drop", "drop", 2, &x, 1, &on);
    output(&n, "y", out_of(&n, drop, 0));
    run(&n, NULL);
    cr_expect_eq(out_of(&n, drop, 1), TN_NONE);
    cr_expect_neq(out_of(&n, drop, 0), TN_NONE);
    end(&n);
}

/* ---- drop_identity ------------------------------------------------------------------------ */

Test(drop_identity, removes_a_dropout_between_two_nodes)
{
    net n = begin();
    const tn_value_id x = input(&n, "x"), a = unary(&n, "Neg", "a", x);
    const tn_node_id drop = add_node(&n, TN_TOP_REGION, "Drop", "drop", 2, &a, 1, NULL);
    output(&n, "y", unary(&n, "Neg", "b", out_of(&n, drop, 0)));
    run(&n, NULL);
    cr_expect_not(has(&n, "drop"));
    cr_expect_eq(view_of(&n, "b")->inputs[0], a);
    cr_expect_eq(record(&n, "drop_identity")->fired, 1);
    end(&n);
}

Test(drop_identity, keeps_one_whose_mask_is_read_or_that_acts)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_attribute on = { .size = sizeof on, .type = TN_ATTR_INT, .name = "act", .i = 1 };
    const tn_node_id masked = add_node(&n, TN_TOP_REGION, "Drop", "masked", 2, &x, 1, NULL);
    output(&n, "y", out_of(&n, masked, 0));
    output(&n, "mask", out_of(&n, masked, 1));
    output(&n, "z", out_of(&n, add_node(&n, TN_TOP_REGION, "Drop", "acting", 1, &x, 1, &on), 0));
    run(&n, NULL);
    cr_expect(has(&n, "masked"));
    cr_expect(has(&n, "acting"));
    end(&n);
}

Test(drop_identity, lets_outputs_of_the_graph_and_of_bodies_be_their_inputs)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_region_id body_region = new_body(&n);
    const tn_value_id *outputs;
    output(&n, "y", unary(&n, "Drop", "drop", x));
    OK(tn_graph_add_output(n.graph, body_region, "o",
                           unary_in(&n, body_region, "Drop", "inner", x)));
    output(&n, "z", body_node(&n, "body", body_region));
    run(&n, NULL);
    cr_expect_eq(nth_output(&n, 0), x);
    cr_expect_str_eq(tn_graph_output_name(n.graph, TN_TOP_REGION, 0), "y",
                     "the slot keeps its name");
    cr_assert_eq(tn_graph_region_outputs(n.graph, body_region, &outputs), 1);
    cr_expect_eq(outputs[0], x);
    cr_expect(has(&n, "body"));
    end(&n);
}

Test(drop_identity, asks_constants_but_not_defaults_that_a_run_may_replace)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    output(&n, "y", binary(&n, "Scale", "by_one", x, constant(&n, "one", 1, 1)));
    output(&n, "z", binary(&n, "Scale", "by_input", x, overridable(&n, "maybe", 1, 1)));
    output(&n, "w", binary(&n, "Scale", "by_two", x, constant(&n, "two", 2, 2)));
    run(&n, NULL);
    cr_expect_not(has(&n, "by_one"));
    cr_expect(has(&n, "by_input"));
    cr_expect(has(&n, "by_two"));
    end(&n);
}

/* ---- fold_constants ----------------------------------------------------------------------- */

Test(fold_constants, computes_a_chain_and_keeps_the_name)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_value_id sum = binary(&n, "Add", "sum", constant(&n, "a", 1, 2),
                                   constant(&n, "b", 10, 20));
    OK(tn_graph_rename_value(n.graph, sum, "s"));
    output(&n, "y", binary(&n, "Add", "last", x, unary(&n, "Neg", "neg", sum)));
    output(&n, "s", sum);
    run(&n, NULL);
    cr_expect_not(has(&n, "sum"));
    cr_expect_not(has(&n, "neg"));
    cr_expect(has(&n, "last"));
    const tn_tensor *folded = tn_graph_value(n.graph, view_of(&n, "last")->inputs[1])->constant;
    cr_assert(folded);
    cr_expect_eq(((const float *)folded->data)[1], -22.0f);
    cr_expect_str_eq(tn_graph_value(n.graph, nth_output(&n, 1))->name, "s");
    cr_expect_eq(((const float *)tn_graph_value(n.graph, nth_output(&n, 1))->constant->data)[0],
                 11.0f);
    cr_expect_not(has_value(&n, "a"));
    cr_expect_eq(n.evaluated, 2);
    end(&n);
}

Test(fold_constants, leaves_what_is_random_acts_fails_or_may_be_replaced)
{
    net n = begin();
    const tn_value_id c = constant(&n, "c", 1, 2), d = overridable(&n, "d", 1, 2);
    output(&n, "1", unary(&n, "Noise", "noise", c));
    output(&n, "2", unary(&n, "Print", "print", c));
    output(&n, "3", unary(&n, "Fails", "fails", c));
    output(&n, "4", unary(&n, "Neg", "of_default", d));
    run(&n, NULL);
    cr_expect(has(&n, "noise"));
    cr_expect(has(&n, "print"));
    cr_expect(has(&n, "fails"));
    cr_expect(has(&n, "of_default"));
    cr_expect(noted(&n, false, "fails: not folded: index 7 is outside [0, 2)"));
    cr_expect_eq(record(&n, "fold_constants")->fired, 0);
    end(&n);
}

Test(fold_constants, writes_out_shapes_that_inference_knows)
{
    net n = begin();
    const tn_dim symbol = tn_dim_symbol(tn_graph_dims(n.graph), "N");
    const tn_type open = tn_type_of(TN_FLOAT32, 1, &symbol);
    const tn_value_id x = input(&n, "x");
    tn_value_id free_input;
    OK(tn_graph_add_value(n.graph, TN_TOP_REGION, "free", &open, &free_input));
    OK(tn_graph_add_input(n.graph, TN_TOP_REGION, free_input));
    output(&n, "known", unary(&n, "ShapeOf", "static", x));
    output(&n, "symbolic", unary(&n, "ShapeOf", "dynamic", free_input));
    run(&n, NULL);
    cr_expect_not(has(&n, "static"));
    cr_expect(has(&n, "dynamic"));
    cr_expect_eq(((const int64_t *)tn_graph_value(n.graph, nth_output(&n, 0))->constant->data)[0],
                 2);
    cr_expect_eq(n.evaluated, 0);
    end(&n);
}

Test(fold_constants, stays_below_the_limit)
{
    net n = begin();
    n.limits.folded_bytes = 7;
    output(&n, "y", unary(&n, "Neg", "neg", constant(&n, "c", 1, 2)));
    run(&n, NULL);
    cr_expect(has(&n, "neg"));
    cr_expect_eq(n.evaluated, 0);
    end(&n);
}

/* ---- merge_duplicates --------------------------------------------------------------------- */

Test(merge_duplicates, merges_equal_nodes_and_what_becomes_equal_by_it)
{
    net n = begin();
    const tn_value_id x = input(&n, "x"), y = input(&n, "y");
    output(&n, "1", unary(&n, "Neg", "n1", binary(&n, "Add", "a1", x, y)));
    output(&n, "2", unary(&n, "Neg", "n2", binary(&n, "Add", "a2", y, x)));
    run(&n, NULL);
    cr_expect_eq(tn_graph_node_count(n.graph), 2, "Add commutes");
    cr_expect_eq(nth_output(&n, 0), nth_output(&n, 1));
    cr_expect(noted(&n, true, "a2 (Add) merged into a1"));
    end(&n);
}

Test(merge_duplicates, keeps_what_differs)
{
    net n = begin();
    const tn_value_id x = input(&n, "x"), y = input(&n, "y"), z = input(&n, "z");
    const tn_value_id xyz[3] = { x, y, z }, zyx[3] = { z, y, x };
    const tn_attribute on = { .size = sizeof on, .type = TN_ATTR_INT, .name = "act", .i = 1 };
    output(&n, "1", binary(&n, "Sub", "s1", x, y));
    output(&n, "2", binary(&n, "Sub", "s2", y, x));
    output(&n, "3", unary(&n, "Noise", "r1", x));
    output(&n, "4", unary(&n, "Noise", "r2", x));
    output(&n, "5", unary(&n, "Tuned", "t1", x));
    output(&n, "6", out_of(&n, add_node(&n, TN_TOP_REGION, "Tuned", "t2", 1, &x, 1, &on), 0));
    output(&n, "7", out_of(&n, add_node(&n, TN_TOP_REGION, "Sum", "sum1", 1, xyz, 3, NULL), 0));
    output(&n, "8", out_of(&n, add_node(&n, TN_TOP_REGION, "Sum", "sum2", 1, zyx, 3, NULL), 0));
    run(&n, NULL);
    cr_expect_eq(tn_graph_node_count(n.graph), 8, "a sum of three rounds by its order");
    end(&n);
}

Test(merge_duplicates, prefers_the_node_around_a_body_and_never_joins_two_bodies)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    const tn_region_id one = new_body(&n), two = new_body(&n);
    OK(tn_graph_add_output(n.graph, one, "o", unary_in(&n, one, "Neg", "in_one", x)));
    OK(tn_graph_add_output(n.graph, two, "o", unary_in(&n, two, "Neg", "in_two", x)));
    output(&n, "1", body_node(&n, "b1", one));
    output(&n, "2", body_node(&n, "b2", two));
    run(&n, NULL);
    cr_expect(has(&n, "in_one") && has(&n, "in_two"));
    end(&n);

    n = begin();
    const tn_value_id v = input(&n, "x");
    const tn_region_id inner = new_body(&n);
    const tn_value_id *outputs;
    OK(tn_graph_add_output(n.graph, inner, "o", unary_in(&n, inner, "Neg", "inside", v)));
    output(&n, "1", body_node(&n, "body", inner));
    output(&n, "2", unary(&n, "Neg", "outside", v));
    run(&n, NULL);
    cr_expect_not(has(&n, "inside"));
    cr_expect(has(&n, "outside"));
    cr_assert_eq(tn_graph_region_outputs(n.graph, inner, &outputs), 1);
    cr_expect_eq(outputs[0], nth_output(&n, 1));
    cr_expect_eq(tn_graph_first_node(n.graph, TN_TOP_REGION),
                 tn_graph_find_node(n.graph, "outside"), "it has to come first now");
    end(&n);
}

Test(merge_duplicates, merges_constants_bit_for_bit)
{
    net n = begin();
    const tn_value_id x = input(&n, "x");
    output(&n, "1", binary(&n, "Sub", "s1", x, constant(&n, "a", 0.0f, 1)));
    output(&n, "2", binary(&n, "Sub", "s2", x, constant(&n, "b", 0.0f, 1)));
    output(&n, "3", binary(&n, "Sub", "s3", x, constant(&n, "c", -0.0f, 1)));
    output(&n, "4", binary(&n, "Sub", "s4", x, overridable(&n, "d", 0.0f, 1)));
    run(&n, NULL);
    cr_expect_not(has(&n, "s2"));
    cr_expect(has(&n, "s3"), "-0 is not 0");
    cr_expect(has(&n, "s4"), "a run may replace it");
    cr_expect(noted(&n, true, "constant 'b' merged into 'a'"));
    end(&n);
}

/* ---- which are on ------------------------------------------------------------------------- */

static net with_identity(void)
{
    net n = begin();
    output(&n, "y", unary(&n, "Drop", "drop", unary(&n, "Neg", "neg", input(&n, "x"))));
    return n;
}

Test(selection, switches_passes_off_and_on)
{
    static const struct {
        const char *selection;
        bool dropped;
    } cases[] = {
        { NULL, true },
        { "", true },
        { "safe", true },
        { "all", true },
        { "none", false },
        { "-drop_identity", false },
        { "none,+drop_identity", true },
        { "none, +drop_*", true },
        { "-*,+drop_identity", true },
        { "+drop_identity,-drop_identity", false },
    };
    for (size_t k = 0; k < TN_COUNT(cases); k++) {
        net n = with_identity();
        run(&n, cases[k].selection);
        cr_expect_eq(!has(&n, "drop"), cases[k].dropped, "%s",
                     cases[k].selection ? cases[k].selection : "(default)");
        cr_expect_eq(record(&n, "drop_identity")->enabled, cases[k].dropped);
        end(&n);
    }
}

Test(selection, leaves_approximate_passes_off_unless_asked)
{
    net n = with_identity();
    run(&n, NULL);
    cr_expect_not(record(&n, "grow")->enabled);
    run(&n, "all");
    cr_expect(record(&n, "grow")->enabled);
    end(&n);
}

Test(selection, names_what_it_does_not_know)
{
    net n = with_identity();
    cr_expect_eq(run_passes(&n, "-drop_identiti"), TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(),
                     "no pass is called 'drop_identiti'; did you mean 'drop_identity'?");
    cr_expect_eq(run_passes(&n, "+xyz"), TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(), "no pass is called 'xyz'");
    cr_expect_eq(run_passes(&n, "drop_identity"), TN_ERR_ARGUMENT);
    cr_expect_str_eq(
        tn_error_message(),
        "passes: 'drop_identity' has no sign: write '+drop_identity' or '-drop_identity', or one of none, safe, all");
    cr_expect(has(&n, "drop"));
    end(&n);
}

Test(selection, knows_words_that_choose_no_pass)
{
    net n = with_identity();
    cr_expect_eq(run_passes(&n, "saef"), TN_ERR_ARGUMENT);
    cr_expect_str_eq(
        tn_error_message(),
        "passes: 'saef' has no sign: write '+saef' or '-saef', or one of none, safe, all; did you mean 'safe'?");
    cr_expect_eq(run_passes(&n, "none,dump=drop_identiti"), TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(),
                     "no pass is called 'drop_identiti'; did you mean 'drop_identity'?");
    OK(run_passes(&n, "none,standard,verify=2,N=8,x=1x3"));
    cr_expect(has(&n, "drop"));
    end(&n);
}

Test(selection, finds_words_and_their_values)
{
    char value[8] = "?";
    cr_expect(tn_passes_word("safe, verify", "verify", value, sizeof value));
    cr_expect_str_eq(value, "");
    cr_expect(tn_passes_word("verify=12,N=8", "N", value, sizeof value));
    cr_expect_str_eq(value, "8");
    cr_expect(tn_passes_word("x=1x3x224x224", "x", value, sizeof value));
    cr_expect_str_eq(value, "1x3x224", "cut to its room");
    cr_expect_not(tn_passes_word("verify_all,-verify", "verify", value, sizeof value));
    cr_expect_not(tn_passes_word(NULL, "verify", value, sizeof value));
}

/* ---- dumps and checks ----------------------------------------------------------------------- */

Test(watch, prints_the_graph_after_a_pass)
{
    net n = with_identity();
    run(&n, "dump=drop_identity");
    const char *text = tn_builder_text(&n.log.dump);
    cr_expect_eq(strstr(text, "after drop_identity:\n"), text);
    cr_expect_not_null(strstr(text, "Neg neg(x)"));
    cr_expect_null(strstr(text, "Drop drop"));
    end(&n);
}

/* Says that graphs differ as soon as the node is gone. */
static tn_status needs_node(void *user, const tn_graph *before, const tn_graph *after,
                            const tn_pass_def *pass, bool *same, char **why)
{
    (void)before;
    *same = pass->exactness != TN_EXACT || tn_graph_find_node(after, user) != TN_NONE;
    *why = *same ? NULL : tn_strdup("it is gone");
    return TN_OK;
}

Test(watch, names_the_pass_and_the_rewrite_that_changed_answers)
{
    char guilty[] = "drop3";
    net n = begin();
    tn_value_id value = input(&n, "x");
    for (int k = 0; k < 8; k++) {
        char name[8];
        snprintf(name, sizeof name, "drop%d", k);
        value = unary(&n, "Drop", name, unary(&n, "Neg", "neg", value));
    }
    output(&n, "y", value);
    OK(tn_graph_verify(n.graph, n.diagnostics));
    OK(tn_infer_resolve(n.registry, n.graph, n.diagnostics));
    OK(tn_infer_graph(n.registry, n.graph, n.diagnostics));
    const tn_passes_options options = { .registry = n.registry,
                                        .selection = "verify",
                                        .limits = n.limits,
                                        .check = needs_node,
                                        .check_user = guilty };
    cr_expect_eq(tn_passes_run(n.graph, &options, n.diagnostics, &n.log), TN_ERR_VALUE);
    cr_expect_str_eq(tn_error_message(),
                     "pass 'drop_identity' changes the answers, first at node 'drop3': it is gone");
    end(&n);
}

Test(selection, orders_by_phase_order_and_name)
{
    static const char *const expected[] = {
        "remove_dead", "drop_identity", "fold_constants", "merge_duplicates",
        "break_it",    "close_loop",    "idle",           "nearly",
        "ping",        "pong",          "wrong",          "grow"
    };
    net n = with_identity();
    run(&n, "none");
    cr_assert_eq(n.log.record_count, TN_COUNT(expected));
    for (size_t k = 0; k < TN_COUNT(expected); k++)
        cr_expect_str_eq(n.log.records[k].name, expected[k]);
    end(&n);
}

/* ---- passes that go wrong ----------------------------------------------------------------- */

Test(manager, undoes_a_pass_that_breaks_and_goes_on)
{
    net n = begin();
    output(&n, "y", unary(&n, "Drop", "drop", unary(&n, "Broken", "broken", input(&n, "x"))));
    run(&n, NULL);
    cr_expect_str_eq(view_of(&n, "broken")->op, "Broken");
    cr_expect_not(has(&n, "drop"));
    cr_expect_str_eq(
        warning(&n),
        "warning: node 'broken' (test::Broken): pass 'break_it' is left out here, what it did was undone: I broke on purpose");
    cr_expect_eq(tn_diagnostics_total(n.diagnostics, TN_SEVERITY_WARNING), 1,
                 "once, however many rounds");
    end(&n);
}

Test(manager, undoes_a_rewrite_that_closes_a_cycle)
{
    net n = begin();
    output(&n, "y", unary(&n, "Neg", "neg", unary(&n, "Loose", "loose", input(&n, "x"))));
    run(&n, NULL);
    cr_expect_eq(view_of(&n, "loose")->inputs[0], tn_graph_find_value(n.graph, TN_TOP_REGION, "x"));
    cr_expect(strstr(warning(&n), "would read what it makes"), "%s", warning(&n));
    end(&n);
}

Test(manager, undoes_a_cycle_through_a_body)
{
    net n = begin();
    const tn_region_id region = new_body(&n);
    const tn_value_id x = input(&n, "x"), loose = unary(&n, "Loose", "loose", x);
    OK(tn_graph_add_output(n.graph, region, "o", unary_in(&n, region, "Neg", "inner", loose)));
    output(&n, "y", unary(&n, "Neg", "after", body_node(&n, "body", region)));
    run(&n, NULL);
    cr_expect_eq(view_of(&n, "loose")->inputs[0], x);
    cr_expect(strstr(warning(&n), "would read what it makes"), "%s", warning(&n));
    end(&n);
}

Test(manager, undoes_an_operator_that_nobody_brings)
{
    net n = begin();
    output(&n, "y", unary(&n, "Wrong", "wrong", input(&n, "x")));
    run(&n, NULL);
    cr_expect_str_eq(view_of(&n, "wrong")->op, "Wrong");
    cr_expect(strstr(warning(&n), "pass 'wrong' is left out here, what it did was undone: "), "%s",
              warning(&n));
    end(&n);
}

Test(manager, undoes_edits_of_a_near_miss_and_notes_its_reason_once)
{
    net n = begin();
    output(&n, "y", unary(&n, "Drop", "drop", unary(&n, "Nearly", "near", input(&n, "x"))));
    run(&n, NULL);
    cr_expect_str_eq(view_of(&n, "near")->op, "Nearly");
    cr_expect(noted(&n, false, "near: not folded: it is Tuesday"));
    cr_expect_eq(tn_diagnostics_total(n.diagnostics, TN_SEVERITY_WARNING), 0);
    uint32_t count = 0;
    for (uint32_t k = 0; k < n.log.note_count; k++)
        count += !n.log.notes[k].fired;
    cr_expect_eq(count, 1);
    end(&n);
}

Test(manager, stops_passes_that_undo_each_other)
{
    net n = begin();
    output(&n, "y", unary(&n, "Ping", "ball", input(&n, "x")));
    run(&n, NULL);
    cr_expect(has(&n, "ball"));
    cr_expect_leq(record(&n, "ping")->fired + record(&n, "pong")->fired, 64 * 17);
    end(&n);
}

Test(manager, stops_a_pass_that_grows_for_ever)
{
    net n = begin();
    n.limits.nodes = 100;
    output(&n, "y", unary(&n, "Grow", "seed", input(&n, "x")));
    run(&n, "all,-remove_dead,-merge_duplicates");
    cr_expect_leq(tn_graph_node_count(n.graph), 100);
    cr_expect(has(&n, "seed"));
    end(&n);
}

Test(manager, takes_a_rewrite_that_changes_nothing_for_none)
{
    net n = begin();
    output(&n, "y", unary(&n, "Idle", "idle_node", input(&n, "x")));
    run(&n, NULL);
    cr_expect_eq(record(&n, "idle")->fired, 0);
    end(&n);
}

Test(manager, prints_what_happened)
{
    net n = begin();
    tn_builder text = { 0 };
    output(&n, "y", unary(&n, "Drop", "drop", unary(&n, "Nearly", "near", input(&n, "x"))));
    run(&n, "-fold_constants");
    tn_pass_log_print(&n.log, &text);
    cr_expect(strstr(tn_builder_text(&text), "passes: 2 -> 1 nodes"));
    cr_expect(strstr(tn_builder_text(&text), "    - near: not folded: it is Tuesday\n"));
    cr_expect(strstr(tn_builder_text(&text), "  fold_constants       off\n"));
    tn_builder_fini(&text);
    end(&n);
}

/* ---- many nodes --------------------------------------------------------------------------- */

/* Half of them are identities, each with a duplicate behind it. */
Test(manager, keeps_its_work_proportional_on_long_chains)
{
    enum { PAIRS = 8000 };
    net n = begin();
    tn_value_id x = input(&n, "x");
    for (int k = 0; k < PAIRS; k++)
        x = unary(&n, "Drop", NULL, unary(&n, "Neg", NULL, x));
    output(&n, "y", x);
    run(&n, NULL);
    cr_expect_eq(tn_graph_node_count(n.graph), PAIRS);
    cr_expect_eq(record(&n, "drop_identity")->fired, PAIRS);
    cr_expect_eq(n.log.note_total, PAIRS);
    cr_expect_leq(n.log.note_count, 1000);
    end(&n);
}

Test(manager, keeps_its_work_proportional_on_wide_graphs)
{
    enum { WIDTH = 16000 };
    net n = begin();
    const tn_value_id x = unary(&n, "Neg", "source", input(&n, "x"));
    for (int k = 0; k < WIDTH; k++)
        unary(&n, "Print", NULL, unary(&n, "Neg", NULL, unary(&n, "Drop", NULL, x)));
    output(&n, "y", x);
    run(&n, NULL);
    cr_expect_eq(tn_graph_node_count(n.graph), WIDTH + 2, "one Neg behind the source serves all");
    end(&n);
}

/* Any allocation may be refused: an ordinary error, no leak, and a graph that is whole. */
Test(manager, survives_every_refused_allocation)
{
    uint64_t last = 1;
    for (uint64_t k = 0; k <= last; k++) {
        net n = begin();
        const tn_value_id x = input(&n, "x"), c = constant(&n, "c", 1, 2),
                          d = constant(&n, "d", 1, 2);
        output(&n, "y",
               binary(&n, "Add", "add", unary(&n, "Drop", "drop", x),
                      binary(&n, "Add", "fold", c, d)));
        unary(&n, "Neg", "dead", x);
        OK(tn_graph_verify(n.graph, NULL));
        OK(tn_infer_resolve(n.registry, n.graph, NULL));
        OK(tn_infer_graph(n.registry, n.graph, NULL));
        const uint64_t before = tn_allocation_count();
        tn_test_fail_allocation(k);
        const tn_status status = run_passes(&n, NULL);
        tn_test_fail_allocation(0);
        if (!k)
            last = tn_allocation_count() - before;
        cr_assert(status == TN_OK || status == TN_ERR_MEMORY, "allocation %d: %s", (int)k,
                  tn_error_message());
        OK(tn_graph_verify(n.graph, NULL));
        OK(tn_infer_graph(n.registry, n.graph, NULL));
        end(&n);
    }
    cr_expect_gt(last, 50);
}
