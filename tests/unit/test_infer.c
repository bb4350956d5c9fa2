/* Resolving and inferring: what a graph is told, word for word, and what types it gets. The operators
 * are a handful of the test's own, linked in.
 * SPDX-License-Identifier: MIT */
#include "engine/infer/infer.h"
#include "engine/json/json.h"
#include "tenon/upgrade.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define OK(call) cr_assert_eq((call), TN_OK, "%s", tn_error_message())
#define HOST (ctx->call.host)

/* ---- the operators ------------------------------------------------------------------------------------ */

#define FLOATS TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64)
static const tn_param_def unary[] = { { "X", "T", FLOATS, 0, 0, "" } },
                          out_y[] = { { "Y", "T", FLOATS, 0, 0, "" } };
static const tn_param_def binary[] = { { "A", "T", FLOATS, 0, 0, "" },
                                       { "B", "T", FLOATS, 0, 0, "" } };
static const tn_param_def conv_in[] = { { "X", "T", FLOATS, 0, 0, "" },
                                        { "W", "T", FLOATS, 0, 0, "" },
                                        { "B", "T", FLOATS, TN_PARAM_OPTIONAL, 0, "" } };
static const tn_param_def list_in[] = { { "inputs", "T", FLOATS, TN_PARAM_VARIADIC, 2, "" } };
static const tn_param_def ints[] = { { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "" } };
static const tn_param_def reshape_in[] = { { "data", "T", FLOATS, 0, 0, "" },
                                           { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "" } };
static const tn_param_def cond_in[] = { { "cond", NULL, TN_BIT(TN_BOOL), 0, 0, "" } };
static const tn_param_def both[] = { { "Y", "V", TN_MASK_ALL, 0, 0, "" } };
static const tn_param_def sequence[] = { { "list", "T", FLOATS,
                                           TN_PARAM_SEQUENCE | TN_PARAM_NOT_TENSOR, 0, "" } };
static const tn_attribute_def conv_attributes[] = {
    { .name = "kernel_shape", .type = TN_ATTR_INTS },
    { .name = "group", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .i = 1 },
    { .name = "auto_pad", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT, .s = "NOTSET" },
};
static const tn_attribute_def cast_attributes[] = {
    { .name = "to", .type = TN_ATTR_INT, .flags = TN_ATTR_REQUIRED }
};
static const tn_attribute_def if_attributes[] = {
    { .name = "then_branch", .type = TN_ATTR_GRAPH, .flags = TN_ATTR_REQUIRED },
    { .name = "else_branch", .type = TN_ATTR_GRAPH, .flags = TN_ATTR_REQUIRED },
};
static const tn_attribute_def leaky_1[] = {
    { .name = "slope", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .i = 3 }
};
static const tn_attribute_def leaky_5[] = {
    { .name = "alpha", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = 0.5f }
};

static tn_status same(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}
static tn_status broadcast(tn_infer *ctx)
{
    return HOST->broadcast(&ctx->call, ctx->inputs, ctx->input_count, &ctx->outputs[0]);
}

static tn_status conv(tn_infer *ctx)
{
    const int64_t *kernel, group = tn_attr_int(ctx->node, "group", 0);
    if (tn_attr_ints(ctx->node, "kernel_shape", &kernel) == 1)
        HOST->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "kernel_shape",
                       "attribute 'kernel_shape' has 1 extent: expected 2");
    if (group < 1)
        HOST->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "group",
                       "attribute 'group' is %d: expected at least 1", (int)group);
    if (ctx->inputs[1]->rank >= 0 && ctx->inputs[1]->rank != 4)
        HOST->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'W' has rank %d: expected 4", ctx->inputs[1]->rank);
    return tn_infer_same(ctx, 0, 0);
}

static tn_status concat(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    for (uint32_t k = 1; k < ctx->input_count; k++)
        if (ctx->outputs[0].rank > 0 && ctx->inputs[k]->rank > 0)
            ctx->outputs[0].dims[0] = tn_dim_add(ctx, ctx->outputs[0].dims[0],
                                                 ctx->inputs[k]->dims[0]);
    return TN_OK;
}

static tn_status shape(tn_infer *ctx)
{
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = ctx->inputs[0]->rank < 0 ? TN_DIM_UNKNOWN : ctx->inputs[0]->rank;
    return ctx->inputs[0]->rank < 0
               ? TN_OK
               : HOST->output_elements(&ctx->call, 0, ctx->inputs[0]->dims, ctx->inputs[0]->rank);
}

static tn_status reshape(tn_infer *ctx)
{
    const int64_t rank = HOST->input_elements(&ctx->call, 1, ctx->outputs[0].dims, TN_MAX_RANK);
    ctx->outputs[0].rank = rank < 0 ? -1 : (int32_t)rank;
    return TN_OK;
}

static tn_status cast(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].dtype = (uint32_t)tn_attr_int(ctx->node, "to", 0);
    return TN_OK;
}

static tn_status branch(tn_infer *ctx)
{
    tn_type then_type = ctx->outputs[0], else_type = ctx->outputs[0];
    TN_TRY(HOST->infer_region(&ctx->call, "then_branch", NULL, 0, &then_type, 1));
    TN_TRY(HOST->infer_region(&ctx->call, "else_branch", NULL, 0, &else_type, 1));
    ctx->outputs[0] = then_type;
    for (int32_t axis = 0; axis < then_type.rank; axis++)
        if (HOST->dim_equal(&ctx->call, then_type.dims[axis], else_type.dims[axis]) != TN_YES)
            ctx->outputs[0].dims[axis] = TN_DIM_UNKNOWN;
    return TN_OK;
}

static tn_status late(tn_infer *ctx)
{
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = TN_DIM_UNKNOWN;
    ctx->outputs[0].flags = TN_TYPE_LATE;
    return TN_OK;
}

static tn_status negative(tn_infer *ctx)
{
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = -2;
    return TN_OK;
}

static tn_status gives_up(tn_infer *ctx)
{
    return tn_fail(ctx, TN_ERR_SHAPE, "rank %d is not to my taste", ctx->inputs[0]->rank);
}

static tn_status dislikes(tn_infer *ctx)
{
    return tn_fail(ctx, TN_ERR_TYPE, "type %u is not to my taste", ctx->inputs[0]->dtype);
}

static tn_status leaky_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const int64_t slope = tn_attr_int(ctx->api->node(ctx->graph, node), "slope", -1);
    const tn_attribute alpha = {
        .size = sizeof alpha, .type = TN_ATTR_FLOAT, .name = "alpha", .f = (double)slope
    };
    if (slope == 9)
        return tn_fail(ctx, TN_KEEP, "nine is kept");
    if (slope == 8) {
        TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "slope"));
        return tn_fail(ctx, TN_ERR_VALUE, "eight breaks it");
    }
    TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "slope"));
    return ctx->api->set_attribute(ctx->graph, node, &alpha);
}

/* Kept: version 1 adds x to x as many times as it has axes, which only its type tells; version 5 is
 * the Leaky of version 5. */
static tn_status keeps(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP, "the rank tells");
}

static tn_status by_rank(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const int32_t rank = tn_edit_type(&e, x)->rank;
    tn_value_id sum = x;
    if (rank < 0)
        return tn_fail(ctx, TN_KEEP, "the rank is unknown");
    for (int32_t k = 0; k < rank; k++)
        sum = tn_put(&e, "Add", sum, x, TN_NONE, NULL);
    return tn_edit_give(&e, sum);
}

#define OP(op, version, in, out, function)                                                         \
    .size = sizeof(tn_operator_def), .name = op, .since = version, .inputs = in, .outputs = out,   \
    .input_count = TN_COUNT(in), .output_count = TN_COUNT(out), .infer = function
static const tn_operator_def operators[] = {
    { OP("Relu", 14, unary, out_y, same), .accepts_from = 1 },
    { OP("Add", 14, binary, out_y, broadcast), .accepts_from = 7 },
    { OP("Conv", 22, conv_in, out_y, conv), .accepts_from = 1, .attributes = conv_attributes,
      .attribute_count = 3 },
    { OP("Concat", 13, list_in, out_y, concat), .accepts_from = 4 },
    { OP("Shape", 1, unary, ints, shape) },
    { OP("Reshape", 5, reshape_in, out_y, reshape) },
    { OP("Cast", 1, unary, both, cast), .attributes = cast_attributes, .attribute_count = 1 },
    { OP("If", 1, cond_in, both, branch), .attributes = if_attributes, .attribute_count = 2,
      .traits = TN_REGIONS },
    { OP("NonZero", 1, unary, out_y, late) },
    { OP("Negative", 1, unary, out_y, negative) },
    { OP("GivesUp", 1, unary, out_y, gives_up) },
    { OP("Dislikes", 1, unary, out_y, dislikes) },
    { OP("First", 1, sequence, out_y, late) },
    { OP("Leaky", 1, unary, out_y, same), .attributes = leaky_1, .attribute_count = 1 },
    { OP("Leaky", 5, unary, out_y, same), .attributes = leaky_5, .attribute_count = 1,
      .upgrade = leaky_upgrade },
    { OP("Made", 1, unary, out_y, same),
      .body = "{\"inputs\": [\"a\"], \"outputs\": [\"b\"], \"opset\": 4, \"nodes\": [{\"op\": "
              "\"Leaky\", \"inputs\": [\"a\"], \"outputs\": [\"b\"]}]}" },
    { OP("Kept", 1, unary, out_y, same), .expand = by_rank },
    { OP("Kept", 5, unary, out_y, same), .upgrade = keeps },
    { OP("Swish", 1, unary, out_y, same), .domain = "com.example" },
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    for (size_t k = 0; k < TN_COUNT(operators); k++)
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
    return TN_OK;
}
static const struct tn_plugin_entry entry = { .magic = TN_ABI_MAGIC,
                                              .abi_major = TN_ABI_MAJOR,
                                              .size = sizeof entry,
                                              .name = "own",
                                              .load = load };

/* ---- help -------------------------------------------------------------------------------------------------- */

typedef struct stage {
    tn_registry *registry;
    tn_graph *graph;
    tn_diagnostics *diagnostics;
    tn_status status;
} stage;

static stage read_text(const char *json)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS };
    const tn_host_parts parts = { .infer = &tn_infer_host, .body = tn_json_read_body };
    stage s = { .status = TN_OK };
    OK(tn_registry_create(&options, &parts, NULL, &s.registry));
    OK(tn_registry_add_entry(s.registry, &entry, NULL, NULL));
    OK(tn_diagnostics_create(&s.diagnostics));
    /* Without the registry: what a schema says of attributes is for the stage under test. */
    OK(tn_json_read(NULL, NULL, json, strlen(json), NULL, s.diagnostics, &s.graph));
    return s;
}

static stage infer_text(const char *json)
{
    stage s = read_text(json);
    s.status = tn_infer_resolve(s.registry, s.graph, s.diagnostics);
    if (s.status == TN_OK)
        s.status = tn_infer_graph(s.registry, s.graph, s.diagnostics);
    return s;
}

static void end(stage *s)
{
    tn_graph_destroy(s->graph);
    tn_diagnostics_destroy(s->diagnostics);
    tn_registry_destroy(s->registry);
}

/* One complaint and no other; its text from "node" on, for a column is the reader's affair. */
static void says(const char *json, tn_status status, const char *text)
{
    stage s = infer_text(json);
    cr_assert_eq(s.status, status, "%s: %s", tn_status_name(s.status), tn_error_message());
    cr_assert_eq(tn_diagnostics_count(s.diagnostics), 1, "%zu complaints, the last: %s",
                 tn_diagnostics_count(s.diagnostics),
                 tn_diagnostics_get(s.diagnostics, tn_diagnostics_count(s.diagnostics) - 1)->text);
    const char *got = tn_diagnostics_get(s.diagnostics, 0)->text, *from = strstr(got, "node '");
    cr_assert_str_eq(from ? from : got, text);
    end(&s);
}

static const char *type_text(const stage *s, const char *value)
{
    static char text[256];
    tn_builder out = { 0 };
    const tn_value_id id = tn_graph_find_value(s->graph, TN_TOP_REGION, value);
    cr_assert_neq(id, TN_NONE, "there is no value '%s'", value);
    tn_add_type(&out, tn_graph_dims(s->graph), tn_graph_value(s->graph, id)->type);
    snprintf(text, sizeof text, "%s", tn_builder_text(&out));
    tn_builder_fini(&out);
    return text;
}

static void types_as(const char *json, const char *value, const char *text)
{
    stage s = infer_text(json);
    OK(s.status);
    cr_assert_str_eq(type_text(&s, value), text);
    end(&s);
}

#define GRAPH(opset, more, nodes)                                                                                                           \
    "{\"tenon\": 1, \"name\": \"t\", \"opset\": " opset ", \"inputs\": ["                                                                   \
    "{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 3]}, {\"name\": \"w\", \"dtype\": \"float32\", \"shape\": [6, 3, 5, 5]}," \
    "{\"name\": \"d\", \"dtype\": \"float64\", \"shape\": [3]}, {\"name\": \"i\", \"dtype\": \"int64\", \"shape\": [2]},"                   \
    "{\"name\": \"c\", \"dtype\": \"bool\", \"shape\": []}], \"outputs\": [\"y\"], " more                                                   \
    "\"nodes\": [" nodes "]}"
#define NODE(name, op, inputs, output, more)                                                       \
    "{\"name\": \"" name "\", \"op\": \"" op "\", \"inputs\": [" inputs                            \
    "], \"outputs\": [\"" output "\"]" more "}"
#define ATTRIBUTES(text) ", \"attributes\": {" text "}"

/* ---- resolving --------------------------------------------------------------------------------------------------- */

Test(resolve, an_unknown_operator_has_a_neighbour)
{
    says(
        GRAPH("21", "", NODE("n", "Conf", "\"x\"", "y", "")), TN_ERR_OPERATOR,
        "node 'n' (Conf): no plugin brings operator 'Conf' of domain ai.onnx; did you mean 'Conv'?");
    says(GRAPH("21", "", NODE("n", "Zzzzzzzzzz", "\"x\"", "y", "")), TN_ERR_OPERATOR,
         "node 'n' (Zzzzzzzzzz): no plugin brings operator 'Zzzzzzzzzz' of domain ai.onnx");
}

Test(resolve, an_unknown_domain_has_a_neighbour)
{
    says(
        GRAPH(
            "21", "",
            "{\"name\": \"n\", \"domain\": \"com.exampel\", \"op\": \"Swish\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]}"),
        TN_ERR_OPERATOR,
        "node 'n' (com.exampel::Swish): no plugin brings operator 'Swish' of domain com.exampel; did you mean domain 'com.example'?");
}

Test(resolve, an_operator_set_may_be_too_old)
{
    says(
        GRAPH("4", "", NODE("n", "Reshape", "\"x\", \"i\"", "y", "")), TN_ERR_OPERATOR,
        "node 'n' (Reshape): operator 'Reshape' of operator set 4 of ai.onnx is not held: the versions held begin later, up to 5");
}

Test(resolve, an_operator_set_may_be_newer_than_any)
{
    stage s = infer_text(GRAPH("99", "", NODE("n", "Relu", "\"x\"", "y", "")));
    OK(s.status);
    cr_assert_eq(tn_diagnostics_total(s.diagnostics, TN_SEVERITY_WARNING), 1);
    cr_assert_str_eq(
        tn_diagnostics_get(s.diagnostics, 0)->message,
        "the graph imports operator set 99 of ai.onnx; operators are held up to set 27");
    end(&s);
}

Test(resolve, what_a_newer_set_brought_is_told_so)
{
    stage s = infer_text(GRAPH("99", "", NODE("n", "Zyzzyva", "\"x\"", "y", "")));
    cr_assert_eq(s.status, TN_ERR_OPERATOR);
    cr_assert(
        strstr(tn_error_message(),
               "node 'n' (Zyzzyva): no plugin brings operator 'Zyzzyva' of domain ai.onnx; "
               "the graph imports set 99 of ai.onnx, and operators are held up to set 27: "
               "export the model for that, or look for a newer Tenon or a plugin that has it"),
        "%s", tn_error_message());
    end(&s);
    s = infer_text(
        GRAPH("99", "", NODE("n", "Conv", "\"x\", \"w\"", "y", ATTRIBUTES("\"novelty\": 1"))));
    cr_assert_eq(s.status, TN_ERR_ATTRIBUTE);
    cr_assert(
        strstr(tn_error_message(),
               "node 'n' (Conv): Conv has no attribute 'novelty'; the graph imports set 99 of "
               "ai.onnx, and operators are held up to set 27: export the model for that, or "
               "look for a newer Tenon or a plugin that has it"),
        "%s", tn_error_message());
    end(&s);
}

Test(resolve, attributes_are_known)
{
    says(GRAPH("21", "",
               NODE("n", "Conv", "\"x\", \"w\"", "y", ATTRIBUTES("\"kernel_shap\": [3, 3]"))),
         TN_ERR_ATTRIBUTE,
         "node 'n' (Conv): Conv has no attribute 'kernel_shap'; did you mean 'kernel_shape'?");
    says(GRAPH("21", "", NODE("n", "Conv", "\"x\", \"w\"", "y", ATTRIBUTES("\"group\": \"two\""))),
         TN_ERR_ATTRIBUTE, "node 'n' (Conv): attribute 'group' is of type string: expected int");
    says(GRAPH("21", "", NODE("n", "Cast", "\"x\"", "y", "")), TN_ERR_ATTRIBUTE,
         "node 'n' (Cast): attribute 'to' (int) is missing");
}

Test(resolve, defaults_are_filled_in)
{
    stage s = infer_text(GRAPH("21", "", NODE("n", "Conv", "\"x\", \"w\"", "y", "")));
    OK(s.status);
    const tn_node_id node = tn_graph_first_node(s.graph, TN_TOP_REGION);
    const tn_node_view *view = tn_graph_node(s.graph, node);
    cr_assert_eq(tn_attr_int(view, "group", 77), 1);
    cr_assert_str_eq(tn_attr_string(view, "auto_pad", "?"), "NOTSET");
    cr_assert_null(tn_attr(view, "kernel_shape"));
    cr_assert_eq(view->version, 22);
    cr_assert(tn_graph_attribute_is_default(s.graph, node, "group"));
    end(&s);
}

Test(resolve, inputs_are_counted)
{
    says(GRAPH("21", "", NODE("n", "Relu", "\"x\", \"x\"", "y", "")), TN_ERR_FORMAT,
         "node 'n' (Relu): 2 inputs are given: expected at most 1");
    says(GRAPH("21", "", NODE("n", "Conv", "\"x\"", "y", "")), TN_ERR_FORMAT,
         "node 'n' (Conv): input 'W' is missing");
    says(GRAPH("21", "", NODE("n", "Conv", "\"\", \"w\"", "y", "")), TN_ERR_FORMAT,
         "node 'n' (Conv): input 'X' is missing");
    says(GRAPH("21", "", NODE("n", "Concat", "\"x\"", "y", "")), TN_ERR_FORMAT,
         "node 'n' (Concat): input 'inputs' stands 1 times: expected at least 2");
}

Test(resolve, all_complaints_come_in_one_go)
{
    stage s = infer_text(
        GRAPH("21", "",
              NODE("a", "Conf", "\"x\"", "h", "") "," NODE("b", "Cast", "\"h\"", "k", "") "," NODE(
                  "c", "Relu", "\"k\"", "y", ATTRIBUTES("\"alpha\": 1"))));
    cr_assert_eq(s.status, TN_ERR_OPERATOR);
    cr_assert_eq(tn_diagnostics_count(s.diagnostics), 3);
    end(&s);
}

/* ---- upgrades --------------------------------------------------------------------------------------------------------- */

static const tn_node_view *leaky(stage *s)
{
    return tn_graph_node(s->graph, tn_graph_first_node(s->graph, TN_TOP_REGION));
}

Test(upgrade, old_defaults_are_written_out)
{
    stage s = infer_text(GRAPH("4", "", NODE("n", "Leaky", "\"x\"", "y", "")));
    OK(s.status);
    cr_assert_eq(leaky(&s)->version, 5);
    cr_assert_float_eq((double)tn_attr_float(leaky(&s), "alpha", 0.0f), 3.0, 0.0);
    cr_assert_null(tn_attr(leaky(&s), "slope"));
    end(&s);
}

Test(upgrade, a_node_of_the_newest_version_stays)
{
    stage s = infer_text(GRAPH("5", "", NODE("n", "Leaky", "\"x\"", "y", "")));
    OK(s.status);
    cr_assert_float_eq((double)tn_attr_float(leaky(&s), "alpha", 0.0f), 0.5, 0.0);
    end(&s);
}

Test(upgrade, keep_leaves_the_old_version)
{
    stage s = infer_text(
        GRAPH("4", "", NODE("n", "Leaky", "\"x\"", "y", ATTRIBUTES("\"slope\": 9"))));
    OK(s.status);
    cr_assert_eq(leaky(&s)->version, 1);
    cr_assert_eq(tn_attr_int(leaky(&s), "slope", 0), 9);
    end(&s);
}

Test(upgrade, a_failure_is_told_and_undone)
{
    stage s = infer_text(
        GRAPH("4", "", NODE("n", "Leaky", "\"x\"", "y", ATTRIBUTES("\"slope\": 8"))));
    cr_assert_eq(s.status, TN_ERR_VALUE);
    cr_assert(strstr(tn_error_message(), "node 'n' (Leaky): eight breaks it"), "%s",
              tn_error_message());
    cr_assert_eq(tn_attr_int(leaky(&s), "slope", 0), 8);
    end(&s);
}

/* Every body and function is resolved like the graph, the function by its own imports. */
Test(upgrade, bodies_are_brought_up)
{
#define BRANCH(slope)                                                                              \
    "{\"graph\": {\"inputs\": [], \"outputs\": [\"t" slope "\"], \"nodes\": [" NODE(               \
        "n" slope, "Leaky", "\"x\"", "t" slope, ATTRIBUTES("\"slope\": " slope)) "]}}"
    stage s = infer_text(GRAPH("4", "",
                               NODE("n", "If", "\"c\"", "y",
                                    ATTRIBUTES("\"then_branch\": " BRANCH("7") ", \"else_branch\": "
                                                                               "" BRANCH("6")))));
    OK(s.status);
    const tn_node_view *node = leaky(&s);
    for (int k = 0; k < 2; k++) {
        const tn_attribute *branch = tn_attr(node, k ? "else_branch" : "then_branch");
        const tn_node_view *inner = tn_graph_node(s.graph,
                                                  tn_graph_first_node(s.graph, branch->regions[0]));
        cr_assert_eq(inner->version, 5);
        cr_assert_float_eq((double)tn_attr_float(inner, "alpha", 0.0f), 7.0 - k, 0.0);
    }
    end(&s);
}

#define CALLS(opset, attributes)                                                                    \
    GRAPH(                                                                                          \
        "{\"ai.onnx\": 21, \"f\": 1}",                                                              \
        "\"functions\": [{\"name\": \"F\", \"domain\": \"f\", \"opset\": {\"ai.onnx\": " opset      \
        "}, \"inputs\": [\"a\"], \"outputs\": [\"b\"], \"attributes\": [\"s\"], \"nodes\": [" NODE( \
            "l", "Leaky", "\"a\"", "b", ATTRIBUTES("\"slope\": {\"ref\": \"s\"}")) "]}], ",         \
        NODE("n", "f::F", "\"x\"", "y", attributes))

Test(upgrade, what_a_function_asks_of_its_caller_is_waited_for)
{
    stage s = infer_text(CALLS("4", ATTRIBUTES("\"s\": {\"int\": 7}")));
    OK(s.status);
    cr_assert_eq(leaky(&s)->version, 5);
    cr_assert_float_eq((double)tn_attr_float(leaky(&s), "alpha", 0.0f), 7.0, 0.0);
    end(&s);
    s = infer_text(CALLS("4", "")); /* version 1's default */
    OK(s.status);
    cr_assert_float_eq((double)tn_attr_float(leaky(&s), "alpha", 0.0f), 3.0, 0.0);
    end(&s);
}

static bool always(void *user, const tn_operator *op)
{
    (void)user, (void)op;
    return true;
}

Test(upgrade, what_types_must_tell_is_expanded_ahead_of_kernels)
{
    int64_t version;
    stage s = infer_text(GRAPH("4", "", NODE("n", "Kept", "\"x\"", "y", "")));
    OK(s.status);
    cr_assert_eq(leaky(&s)->version, 1);
    tn_graph_opset(s.graph, 0, &version);
    cr_assert_eq(version, 4);
    OK(tn_infer_expand(s.registry, s.graph, always, NULL, NULL, s.diagnostics));
    cr_assert_eq(tn_graph_node_count(s.graph), 2);
    cr_assert_str_eq(leaky(&s)->op, "Add", "Add-14, though the graph imported set 4");
    cr_assert_eq(leaky(&s)->version, 14);
    tn_graph_opset(s.graph, 0, &version);
    cr_assert_eq(version, 22, "nothing old is left");
    end(&s);
    s = infer_text(GRAPH("5", "", NODE("n", "Kept", "\"x\"", "y", "")));
    OK(tn_infer_expand(s.registry, s.graph, always, NULL, NULL, s.diagnostics));
    cr_assert_str_eq(leaky(&s)->op, "Kept", "a kernel runs the newest version");
    end(&s);
}

static bool never(void *user, const tn_operator *op)
{
    (void)user, (void)op;
    return false;
}

Test(upgrade, a_body_means_what_its_own_imports_say)
{
    stage s = infer_text(GRAPH("21", "", NODE("n", "Made", "\"x\"", "y", "")));
    OK(s.status);
    OK(tn_infer_expand(s.registry, s.graph, never, NULL, NULL, s.diagnostics));
    cr_assert_eq(leaky(&s)->version, 5);
    cr_assert_float_eq((double)tn_attr_float(leaky(&s), "alpha", 0.0f), 3.0, 0.0,
                       "version 1's default, though the graph imports set 21");
    end(&s);
}

/* ---- types --------------------------------------------------------------------------------------------------------------- */

Test(infer, symbols_go_through)
{
    types_as(GRAPH("21", "", NODE("n", "Relu", "\"x\"", "y", "")), "y", "float32[N,3]");
    types_as(GRAPH("21", "", NODE("n", "Concat", "\"x\", \"x\"", "y", "")), "y", "float32[N*2,3]");
    types_as(GRAPH("21", "", NODE("n", "Cast", "\"x\"", "y", ATTRIBUTES("\"to\": 7"))), "y",
             "int64[N,3]");
}

Test(infer, elements_go_through)
{
    types_as(GRAPH("21", "",
                   NODE("a", "Concat", "\"x\", \"x\"", "h",
                        "") "," NODE("b", "Shape", "\"h\"", "s",
                                     "") "," NODE("c", "Reshape", "\"x\", \"s\"", "y", "")),
             "y", "float32[N*2,3]");
    types_as(
        GRAPH("21",
              "\"constants\": {\"k\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [4, 5]}}, ",
              NODE("c", "Reshape", "\"x\", \"k\"", "y", "")),
        "y", "float32[4,5]");
}

Test(infer, shapes_broadcast)
{
    types_as(
        GRAPH(
            "21",
            "\"constants\": {\"k\": {\"dtype\": \"float32\", \"shape\": [2, 1, 1], \"data\": [4, 5]}}, ",
            NODE("c", "Add", "\"x\", \"k\"", "y", "")),
        "y", "float32[2,N,3]");
    says(
        GRAPH("21", "", NODE("n", "Add", "\"x\", \"w\"", "y", "")), TN_ERR_SHAPE,
        "node 'n' (Add): shapes [N,3] and [6,3,5,5] do not broadcast: extents on axis -1, counted from the last, differ and are not 1");
}

Test(infer, types_are_checked)
{
    says(GRAPH("21", "", NODE("n", "Relu", "\"i\"", "y", "")), TN_ERR_TYPE,
         "node 'n' (Relu): input 'X' is int64[2]: expected float32, float64");
    says(
        GRAPH("21", "", NODE("n", "Add", "\"x\", \"d\"", "y", "")), TN_ERR_TYPE,
        "node 'n' (Add): input 'B' is float64, but input 'A' is float32: they must be of one type");
    says(GRAPH("21", "", NODE("n", "First", "\"x\"", "y", "")), TN_ERR_TYPE,
         "node 'n' (First): input 'list' is float32[N,3]: expected a sequence or optional");
}

Test(infer, one_operator_may_complain_twice)
{
    stage s = infer_text(GRAPH(
        "21", "",
        NODE("n", "Conv", "\"x\", \"x\"", "y", ATTRIBUTES("\"kernel_shape\": [3], \"group\": 0"))));
    cr_assert_eq(s.status, TN_ERR_ATTRIBUTE);
    cr_assert_eq(tn_diagnostics_count(s.diagnostics), 3);
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 0)->message,
                     "attribute 'kernel_shape' has 1 extent: expected 2");
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 0)->about, "kernel_shape");
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 1)->message,
                     "attribute 'group' is 0: expected at least 1");
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 2)->message,
                     "input 'W' has rank 2: expected 4");
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 2)->about, "W");
    end(&s);
}

Test(infer, what_follows_from_a_complaint_is_not_told)
{
    says(GRAPH("21", "",
               NODE("a", "GivesUp", "\"x\"", "h", "") "," NODE(
                   "b", "Add", "\"h\", \"d\"", "k", "") "," NODE("c", "GivesUp", "\"k\"", "y", "")),
         TN_ERR_SHAPE, "node 'a' (GivesUp): rank 2 is not to my taste");
}

Test(infer, an_extent_below_zero_is_an_error)
{
    says(GRAPH("21", "", NODE("n", "Negative", "\"x\"", "y", "")), TN_ERR_SHAPE,
         "node 'n' (Negative): an output would have extent -2 on axis 0");
}

#define DECLARED(dtype, shape, node)                                                                                             \
    "{\"tenon\": 1, \"name\": \"t\", \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 3]}]," \
    "\"outputs\": [{\"name\": \"y\", \"dtype\": \"" dtype "\", \"shape\": " shape                                                \
    "}], \"nodes\": [" node "]}"

Test(infer, a_declared_shape_gives_way_with_a_warning)
{
    stage s = infer_text(DECLARED("float32", "[2, 4]", NODE("n", "Relu", "\"x\"", "y", "")));
    OK(s.status);
    cr_assert_str_eq(type_text(&s, "y"), "float32[2,3]");
    cr_assert_eq(tn_diagnostics_total(s.diagnostics, TN_SEVERITY_WARNING), 1);
    cr_assert_str_eq(tn_diagnostics_get(s.diagnostics, 0)->message,
                     "'y' is declared float32[2,4], but is float32[2,3]");
    end(&s);
}

Test(infer, a_declared_dtype_does_not)
{
    says(DECLARED("float64", "[2, 3]", NODE("n", "Relu", "\"x\"", "y", "")), TN_ERR_TYPE,
         "node 'n' (Relu): 'y' is declared float64, but is float32");
}

Test(infer, a_symbol_names_what_only_running_tells)
{
    types_as(DECLARED("float32", "[\"K\"]", NODE("n", "NonZero", "\"x\"", "y", "")), "y",
             "float32[K]");
}

/* ---- bodies -------------------------------------------------------------------------------------------------------------------- */

#define IF(then_nodes, else_nodes)                                                                     \
    "{\"name\": \"if1\", \"op\": \"If\", \"inputs\": [\"c\"], \"outputs\": [\"y\"], \"attributes\": {" \
    "\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"t\"], \"nodes\": [" then_nodes      \
    "]}},"                                                                                             \
    "\"else_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"e\"], \"nodes\": [" else_nodes      \
    "]}}}}"

Test(infer, bodies_see_outer_types)
{
    types_as(GRAPH("21", "",
                   NODE("r", "Relu", "\"x\"", "h",
                        "") "," IF(NODE("a", "Relu", "\"h\"", "t", ""),
                                   NODE("b", "Concat", "\"h\", \"x\"", "e", ""))),
             "y", "float32[?,3]");
}

Test(infer, an_error_in_a_body_says_where)
{
    says(GRAPH("21", "",
               IF(NODE("a", "Dislikes", "\"x\"", "t", ""), NODE("b", "Relu", "\"x\"", "e", ""))),
         TN_ERR_TYPE, "node 'a' (Dislikes) in if1/then_branch: type 1 is not to my taste");
}

/* The branch may never be taken: only running it would be an error. */
Test(infer, shapes_that_cannot_fit_in_a_body_are_a_warning)
{
    const char *text = GRAPH(
        "21", "", IF(NODE("a", "GivesUp", "\"x\"", "t", ""), NODE("b", "Relu", "\"x\"", "e", "")));
    says(text, TN_OK, "node 'a' (GivesUp) in if1/then_branch: rank 2 is not to my taste");
    stage s = infer_text(text);
    cr_expect_eq(tn_diagnostics_get(s.diagnostics, 0)->severity, TN_SEVERITY_WARNING);
    end(&s);
    types_as(text, "y", "?[…]");
}

/* ---- functions -------------------------------------------------------------------------------------------------------------------- */

#define FUNCTION(op)                                                                                                                             \
    "\"functions\": [{\"name\": \"F\", \"domain\": \"own\", \"inputs\": [\"a\"], \"outputs\": [\"b\"], \"attributes\": [\"g\"], \"nodes\": [" op \
    "]}], "
#define CALL(more)                                                                                         \
    "{\"name\": \"f\", \"domain\": \"own\", \"op\": \"F\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]" more \
    "}"

Test(infer, functions_are_put_in_place)
{
    stage s = infer_text(GRAPH(
        "21", FUNCTION(NODE("r", "Cast", "\"a\"", "b", ATTRIBUTES("\"to\": {\"ref\": \"g\"}"))),
        CALL(ATTRIBUTES("\"g\": 11"))));
    OK(s.status);
    const tn_node_view *node = tn_graph_node(s.graph, tn_graph_first_node(s.graph, TN_TOP_REGION));
    cr_assert_str_eq(node->op, "Cast");
    cr_assert_eq(tn_attr_int(node, "to", 0), 11);
    cr_assert_eq(tn_graph_node_count(s.graph), 1);
    const tn_value_id *outputs;
    cr_assert_eq(tn_graph_region_outputs(s.graph, TN_TOP_REGION, &outputs), 1);
    cr_assert_str_eq(tn_graph_output_name(s.graph, TN_TOP_REGION, 0), "y");
    cr_assert_eq(tn_graph_value(s.graph, outputs[0])->type->dtype, TN_FLOAT64);
    end(&s);
}

Test(infer, a_function_that_calls_itself_ends)
{
    stage s = infer_text(GRAPH(
        "21",
        FUNCTION(
            "{\"name\": \"again\", \"domain\": \"own\", \"op\": \"F\", \"inputs\": [\"a\"], \"outputs\": [\"b\"]}"),
        CALL("")));
    cr_assert_eq(s.status, TN_ERR_LIMIT);
    cr_assert_str_eq(tn_error_message(),
                     "the model's functions are nested without end: one of them calls itself");
    end(&s);
}

/* ---- binding -------------------------------------------------------------------------------------------------------------------------- */

Test(infer, binding_puts_numbers_for_symbols)
{
    stage s = infer_text(GRAPH(
        "21", "",
        NODE("a", "Concat", "\"x\", \"x\"", "h", "") "," NODE("b", "Relu", "\"h\"", "y", "")));
    tn_shapes shapes;
    OK(s.status);
    OK(tn_shapes_init(&shapes, s.graph));
    const uint32_t x = tn_slot_of(tn_graph_find_value(s.graph, TN_TOP_REGION, "x"));
    const uint32_t y = tn_slot_of(tn_graph_find_value(s.graph, TN_TOP_REGION, "y"));
    shapes.types[x].dims[0] = 5;
    OK(tn_infer_region_into(s.registry, s.graph, TN_TOP_REGION, &shapes, NULL));
    cr_assert_eq(shapes.types[y].dims[0], 10);
    cr_assert_str_eq(type_text(&s, "y"), "float32[N*2,3]", "the graph itself stays");
    tn_cost cost;
    OK(tn_infer_cost(
        s.registry, s.graph,
        tn_graph_value(s.graph, tn_graph_find_value(s.graph, TN_TOP_REGION, "y"))->producer,
        &shapes, &cost));
    cr_assert_float_eq(cost.ops, 30.0, 0.0);
    tn_shapes_fini(&shapes);
    end(&s);
}

Test(infer, an_edit_is_followed)
{
    stage s = infer_text(
        GRAPH("21", "",
              NODE("a", "Relu", "\"x\"", "h", "") "," NODE("b", "Relu", "\"h\"", "k", "") "," NODE(
                  "c", "Relu", "\"k\"", "y", "")));
    const tn_node_id first = tn_graph_first_node(s.graph, TN_TOP_REGION);
    OK(s.status);
    OK(tn_graph_set_input(s.graph, first, 0, tn_graph_find_value(s.graph, TN_TOP_REGION, "w")));
    OK(tn_infer_touched(s.registry, s.graph, &first, 1));
    cr_assert_str_eq(type_text(&s, "y"), "float32[6,3,5,5]");
    end(&s);
}
