/* tests/unit/test_graph.c: building, reading, editing, undoing, verifying graphs.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/graph.h"

#include <criterion/criterion.h>
#include <stdio.h>

static tn_graph *graph;

static void setup(void)
{
    cr_assert_eq(tn_graph_create(&graph), TN_OK);
}

static void teardown(void)
{
    tn_graph_destroy(graph);
}

#define GRAPH_SUITE(name) TestSuite(name, .init = setup, .fini = teardown)
GRAPH_SUITE(building);
GRAPH_SUITE(handles);
GRAPH_SUITE(editing);
GRAPH_SUITE(attributes);
GRAPH_SUITE(constants);
GRAPH_SUITE(regions);
GRAPH_SUITE(transactions);
GRAPH_SUITE(verifying);
GRAPH_SUITE(cloning);
GRAPH_SUITE(cutting);
GRAPH_SUITE(inlining);
GRAPH_SUITE(copying);
GRAPH_SUITE(whole);

/* ---- helpers ----------------------------------------------------------------------------- */

#define OK(expression) cr_assert_eq((expression), TN_OK, "%s", tn_error_message())

static tn_value_id value(tn_graph *g, tn_region_id region, const char *name)
{
    tn_value_id id;
    OK(tn_graph_add_value(g, region, name, NULL, &id));
    return id;
}

static tn_value_id input(tn_graph *g, tn_region_id region, const char *name)
{
    tn_value_id id = value(g, region, name);
    OK(tn_graph_add_input(g, region, id));
    return id;
}

static tn_node_desc describe(tn_region_id region, const char *op, const tn_value_id *inputs,
                             uint32_t count)
{
    return (tn_node_desc){ .size = sizeof(tn_node_desc),
                           .region = region,
                           .op = op,
                           .inputs = inputs,
                           .input_count = count,
                           .output_count = 1,
                           .before = TN_NONE,
                           .trace = TN_NONE };
}

static tn_node_id node(tn_graph *g, tn_region_id region, const char *op, tn_value_id a,
                       tn_value_id b)
{
    const tn_value_id inputs[] = { a, b };
    tn_node_desc desc = describe(region, op, inputs, b == TN_NONE ? 1 : 2);
    tn_node_id id;
    OK(tn_graph_add_node(g, &desc, &id));
    return id;
}

static tn_value_id out(const tn_graph *g, tn_node_id id)
{
    return tn_graph_node(g, id)->outputs[0];
}

static char *text_of(const tn_graph *g)
{
    tn_builder b = { 0 };
    tn_graph_print(g, &b);
    cr_assert_not(b.failed);
    return b.text;
}

static void expect_same(const tn_graph *g, const char *before)
{
    char *now = text_of(g);
    cr_assert_str_eq(now, before);
    tn_free(now);
    OK(tn_graph_check_lists(g));
}

static tn_attribute int_attribute(const char *name, int64_t i)
{
    return (
        tn_attribute){ .size = sizeof(tn_attribute), .type = TN_ATTR_INT, .name = name, .i = i };
}

static tn_constant_desc float_constant(const char *name, const tn_tensor *tensor)
{
    return (tn_constant_desc){
        .size = sizeof(tn_constant_desc), .name = name, .tensor = tensor, .value = TN_NONE
    };
}

static const int64_t two[] = { 2 };
static float pair[] = { 1.5f, -2 };
static const tn_tensor pair_tensor = { .size = sizeof(tn_tensor),
                                       .dtype = TN_FLOAT32,
                                       .rank = 1,
                                       .dims = two,
                                       .data = pair,
                                       .bytes = sizeof pair };

/* A node with a body: input i, reads an outer value, gives out s. */
static tn_node_id region_node(tn_graph *g, tn_region_id outer, tn_value_id captured,
                              tn_value_id given, tn_region_id *body)
{
    OK(tn_graph_add_region(g, outer, body));
    char name[32];
    snprintf(name, sizeof name, "i%u", *body);
    tn_value_id i = input(g, *body, name);
    tn_node_id inner = node(g, *body, "Add", i, captured);
    OK(tn_graph_add_output(g, *body, "s", out(g, inner)));
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_GRAPH, .name = "body", .regions = body
    };
    tn_node_desc desc = describe(outer, "Wrap", &given, 1);
    desc.attributes = &attribute;
    desc.attribute_count = 1;
    tn_node_id id;
    OK(tn_graph_add_node(g, &desc, &id));
    return id;
}

/* x → Relu → Add(w) → y, and a Wrap that captures w. */
static void sample(tn_graph *g)
{
    tn_value_id x = input(g, 0, "x"), w;
    tn_constant_desc desc = float_constant("w", &pair_tensor);
    OK(tn_graph_add_constant(g, &desc, &w));
    tn_node_id relu = node(g, 0, "Relu", x, TN_NONE), add = node(g, 0, "Add", out(g, relu), w);
    tn_attribute axis = int_attribute("axis", 1);
    OK(tn_graph_set_attribute(g, add, &axis));
    tn_region_id body;
    tn_node_id wrap = region_node(g, 0, w, out(g, add), &body);
    OK(tn_graph_add_output(g, 0, "y", out(g, wrap)));
    OK(tn_graph_set_opset(g, "", 21));
    OK(tn_graph_set_name(g, "sample", "doc"));
    OK(tn_graph_set_metadata(g, "author", "me"));
}

/* ---- building ---------------------------------------------------------------------------- */

Test(building, prints_what_was_built)
{
    sample(graph);
    char *text = text_of(graph);
    cr_assert_str_eq(text, "graph \"sample\"\n"
                           "  opset 21\n"
                           "  metadata author = \"me\"\n"
                           "  input x: ?[…]\n"
                           "  constant w: float32[2] {1.5,-2}\n"
                           "  relu: ?[…] = Relu relu(x)\n"
                           "  add: ?[…] = Add add(relu, w) axis=1\n"
                           "  wrap: ?[…] = Wrap wrap(add) body=body\n"
                           "    body:\n"
                           "      input i1: ?[…]\n"
                           "      add#2: ?[…] = Add add#2(i1, w)\n"
                           "      output s = add#2\n"
                           "  output y = wrap\n");
    tn_free(text);
    OK(tn_graph_verify(graph, NULL));
}

Test(building, makes_names_of_nodes_unique)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_desc desc = describe(0, "Conv", &x, 1);
    const char *const expected[] = { "c", "c#2", "c#3", "conv", "conv#2" };
    for (size_t k = 0; k < TN_COUNT(expected); k++) {
        tn_node_id id;
        desc.name = k < 3 ? "c" : NULL;
        OK(tn_graph_add_node(graph, &desc, &id));
        cr_assert_str_eq(tn_graph_node(graph, id)->name, expected[k]);
        cr_assert_eq(tn_graph_find_node(graph, expected[k]), id);
    }
}

Test(building, refuses_names_that_are_taken_in_scope)
{
    tn_region_id body, other;
    tn_value_id id;
    value(graph, 0, "x");
    OK(tn_graph_add_region(graph, 0, &body));
    OK(tn_graph_add_region(graph, 0, &other));
    value(graph, body, "inner");
    value(graph, other, "inner"); /* siblings do not see each other */
    cr_assert_eq(tn_graph_add_value(graph, 0, "x", NULL, &id), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_add_value(graph, body, "x", NULL, &id), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_add_value(graph, 0, "inner", NULL, &id), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_add_value(graph, 0, "", NULL, &id), TN_ERR_ARGUMENT);
    cr_assert_neq(tn_graph_find_value(graph, body, "x"), TN_NONE);
    cr_assert_eq(tn_graph_find_value(graph, 0, "inner"), TN_NONE);
    cr_assert_eq(tn_graph_find_value(graph, 0, "nothing"), TN_NONE);
}

Test(building, refuses_descriptions_that_make_no_sense)
{
    tn_value_id x = input(graph, 0, "x"), made = value(graph, 0, "made");
    tn_node_id id;
    tn_region_id body;
    OK(tn_graph_add_region(graph, 0, &body));
    tn_value_id hidden = value(graph, body, "hidden");
    char *before = text_of(graph);
    tn_node_desc desc = describe(0, "", &x, 1);
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_ARGUMENT);
    desc = describe(9, "Relu", &x, 1);
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_STALE);
    desc = describe(0, "Relu", NULL, 1);
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_ARGUMENT);
    desc = describe(0, "Relu", &hidden, 1);
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_NAME);
    desc = describe(0, "Relu", &x, 1);
    desc.outputs = &x;
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_DUPLICATE);
    const tn_value_id twice[] = { made, made };
    desc.outputs = twice;
    desc.output_count = 2;
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_DUPLICATE);
    const tn_attribute same[] = { int_attribute("a", 1), int_attribute("a", 2) };
    desc = describe(0, "Relu", &x, 1);
    desc.attributes = same;
    desc.attribute_count = 2;
    cr_assert_eq(tn_graph_add_node(graph, &desc, &id), TN_ERR_DUPLICATE);
    expect_same(graph, before);
    tn_free(before);
    cr_assert_eq(tn_graph_add_input(graph, 0, x), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_add_output(graph, 0, NULL, hidden), TN_ERR_NAME);
    OK(tn_graph_add_output(graph, 0, "y", x));
    cr_assert_eq(tn_graph_add_output(graph, 0, "y", made), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_create(NULL), TN_ERR_ARGUMENT);
    tn_graph_destroy(NULL);
}

Test(building, a_description_of_zeros_names_no_node)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_desc desc = {
        .size = sizeof desc, .op = "Relu", .inputs = &x, .input_count = 1, .output_count = 1
    };
    tn_node_id first, second;
    OK(tn_graph_add_node(graph, &desc, &first));
    OK(tn_graph_add_node(graph, &desc, &second));
    cr_assert_eq(tn_graph_next_node(graph, first), second);
    cr_assert_str_eq(tn_graph_trace(graph, second), "");
    desc.before = first;
    desc.trace = first;
    OK(tn_graph_add_node(graph, &desc, &second));
    cr_assert_eq(tn_graph_first_node(graph, 0), second);
    cr_assert_str_eq(tn_graph_trace(graph, second), "relu");
}

Test(building, keeps_absent_inputs_and_unwanted_outputs)
{
    tn_value_id x = input(graph, 0, "x"), y = value(graph, 0, "y");
    const tn_value_id inputs[] = { x, TN_NONE, x }, outputs[] = { TN_NONE, y };
    tn_node_desc desc = describe(0, "LSTM", inputs, 3);
    desc.outputs = outputs;
    desc.output_count = 2;
    tn_node_id id;
    OK(tn_graph_add_node(graph, &desc, &id));
    const tn_node_view *view = tn_graph_node(graph, id);
    cr_assert_eq(view->input_count, 3);
    cr_assert_eq(view->inputs[1], TN_NONE);
    cr_assert_eq(view->outputs[0], TN_NONE);
    cr_assert_eq(tn_graph_value(graph, y)->producer_output, 1);
    cr_assert_eq(tn_graph_value(graph, x)->use_count, 2);
    uint32_t which;
    tn_node_id user;
    OK(tn_graph_use(graph, x, 1, &user, &which));
    cr_assert_eq(user, id);
    cr_assert_eq(which, 2);
    cr_assert_eq(tn_graph_use(graph, x, 2, &user, &which), TN_ERR_ARGUMENT);
}

/* ---- handles ----------------------------------------------------------------------------- */

Test(handles, of_what_is_gone_are_refused)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id id = node(graph, 0, "Relu", x, TN_NONE);
    tn_value_id y = out(graph, id);
    OK(tn_graph_remove_node(graph, id));
    cr_assert_null(tn_graph_node(graph, id));
    cr_assert_null(tn_graph_value(graph, y));
    cr_assert_eq(tn_graph_next_node(graph, id), TN_NONE);
    cr_assert_eq(tn_graph_remove_node(graph, id), TN_ERR_STALE);
    cr_assert_eq(tn_graph_set_input(graph, id, 0, x), TN_ERR_STALE);
    cr_assert_eq(tn_graph_replace(graph, x, y), TN_ERR_STALE);
    cr_assert_eq(tn_graph_add_output(graph, 0, NULL, y), TN_ERR_STALE);
    tn_node_id again = node(graph, 0, "Relu", x, TN_NONE);
    cr_assert_eq(tn_slot_of(again), tn_slot_of(id));
    cr_assert_neq(again, id);
    cr_assert_null(tn_graph_node(graph, id));
    cr_assert_null(tn_graph_node(graph, TN_NONE));
    cr_assert_null(tn_graph_node(graph, 0));
    cr_assert_null(tn_graph_value(graph, 0));
}

Test(handles, are_never_given_out_twice)
{
    enum { ROUNDS = 3000 };
    static tn_node_id seen[ROUNDS];
    tn_value_id x = input(graph, 0, "x");
    for (int k = 0; k < ROUNDS; k++) {
        seen[k] = node(graph, 0, "Relu", x, TN_NONE);
        OK(tn_graph_remove_node(graph, seen[k]));
    }
    for (int k = 0; k < ROUNDS; k++)
        for (int j = 0; j < k; j++)
            cr_assert_neq(seen[j], seen[k]);
    cr_assert_eq(tn_graph_node_slots(graph), 2 + (ROUNDS - 1) / 256);
}

/* ---- editing ----------------------------------------------------------------------------- */

Test(editing, replace_moves_all_readers_and_outputs)
{
    sample(graph);
    tn_value_id old = tn_graph_find_value(graph, 0, "w");
    tn_value_id now = tn_graph_find_value(graph, 0, "x");
    OK(tn_graph_replace(graph, old, now));
    cr_assert_eq(tn_graph_value(graph, old)->use_count, 0);
    cr_assert_eq(tn_graph_value(graph, now)->use_count, 3);
    tn_value_id y = tn_graph_find_value(graph, 0, "wrap");
    OK(tn_graph_replace(graph, y, now));
    cr_assert_str_eq(tn_graph_output_name(graph, 0, 0), "y");
    const tn_value_id *outputs;
    cr_assert_eq(tn_graph_region_outputs(graph, 0, &outputs), 1);
    cr_assert_eq(outputs[0], now);
    OK(tn_graph_check_lists(graph));
}

Test(editing, replace_does_not_leak_values_out_of_bodies)
{
    sample(graph);
    tn_value_id inner = tn_graph_find_value(graph, 1, "add#2"),
                w = tn_graph_find_value(graph, 0, "w");
    char *before = text_of(graph);
    cr_assert_eq(tn_graph_replace(graph, w, inner), TN_ERR_NAME);
    expect_same(graph, before);
    tn_free(before);
}

Test(editing, inputs_can_be_changed_and_appended)
{
    tn_value_id x = input(graph, 0, "x"), z = input(graph, 0, "z");
    tn_node_id id = node(graph, 0, "Sum", x, TN_NONE);
    for (uint32_t k = 1; k < 40; k++)
        OK(tn_graph_set_input(graph, id, k, k % 3 ? z : TN_NONE));
    cr_assert_eq(tn_graph_set_input(graph, id, 41, z), TN_ERR_ARGUMENT);
    OK(tn_graph_set_input(graph, id, 0, z));
    cr_assert_eq(tn_graph_value(graph, x)->use_count, 0);
    cr_assert_eq(tn_graph_value(graph, z)->use_count, 27);
    OK(tn_graph_check_lists(graph));
}

Test(editing, a_node_that_is_read_stays)
{
    sample(graph);
    tn_node_id relu = tn_graph_find_node(graph, "relu"), wrap = tn_graph_find_node(graph, "wrap");
    cr_assert_eq(tn_graph_remove_node(graph, relu), TN_ERR_STATE);
    cr_assert_str_eq(tn_error_message(), "'relu' is still read by node 'add'");
    cr_assert_eq(tn_graph_remove_node(graph, wrap), TN_ERR_STATE);
    cr_assert_str_eq(tn_error_message(), "'wrap' is still read by an output");
}

Test(editing, removing_a_node_removes_its_bodies)
{
    sample(graph);
    tn_node_id wrap = tn_graph_find_node(graph, "wrap");
    OK(tn_graph_replace(graph, out(graph, wrap), tn_graph_find_value(graph, 0, "add")));
    OK(tn_graph_remove_node(graph, wrap));
    cr_assert_not(tn_graph_region_alive(graph, 1));
    cr_assert_eq(tn_graph_node_count(graph), 2);
    cr_assert_eq(tn_graph_value(graph, tn_graph_find_value(graph, 0, "w"))->use_count, 1);
    value(graph, 0, "i1"); /* its names are free again */
    OK(tn_graph_check_lists(graph));
}

Test(editing, values_are_renamed_and_removed)
{
    tn_value_id a = value(graph, 0, "a"), b = value(graph, 0, "b");
    cr_assert_eq(tn_graph_rename_value(graph, a, "b"), TN_ERR_DUPLICATE);
    OK(tn_graph_rename_value(graph, a, "c"));
    cr_assert_eq(tn_graph_find_value(graph, 0, "c"), a);
    cr_assert_eq(tn_graph_find_value(graph, 0, "a"), TN_NONE);
    OK(tn_graph_remove_value(graph, b));
    node(graph, 0, "Relu", a, TN_NONE);
    cr_assert_eq(tn_graph_remove_value(graph, a), TN_ERR_STATE);
    cr_assert_eq(tn_graph_remove_value(graph, b), TN_ERR_STALE);
}

Test(editing, a_changed_operator_loses_schema_and_defaults)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id id = node(graph, 0, "Relu", x, TN_NONE);
    tn_attribute fallback = int_attribute("axis", 0), own = int_attribute("keep", 3);
    static const int schema;
    OK(tn_graph_set_default_attribute(graph, id, &fallback));
    OK(tn_graph_set_attribute(graph, id, &own));
    tn_graph_set_schema(graph, id, &schema, 14);
    cr_assert_eq(tn_graph_node(graph, id)->version, 14);
    OK(tn_graph_set_operator(graph, id, "com.example", "Swish"));
    const tn_node_view *view = tn_graph_node(graph, id);
    cr_assert_str_eq(view->domain, "com.example");
    cr_assert_eq(view->attribute_count, 1);
    cr_assert_eq(view->version, 0);
    cr_assert_null(tn_graph_schema(graph, id));
}

/* ---- attributes -------------------------------------------------------------------------- */

Test(attributes, of_all_types_are_copied)
{
    float floats[] = { 1, 2 };
    int64_t ints[] = { 3, 4, 5 };
    tn_text texts[] = { { "ab", 2 }, { "", 0 }, { "0123456789abcdef", 16 } };
    tn_type type = tn_type_of(TN_FLOAT32, 0, NULL);
    tn_value_id x = input(graph, 0, "x");
    tn_node_id id = node(graph, 0, "Relu", x, TN_NONE);
    const tn_attribute all[] = {
        { .size = sizeof *all, .type = TN_ATTR_FLOAT, .name = "f", .f = 0.5 },
        { .size = sizeof *all, .type = TN_ATTR_INT, .name = "i", .i = -7 },
        { .size = sizeof *all, .type = TN_ATTR_STRING, .name = "s", .s = texts[2] },
        { .size = sizeof *all, .type = TN_ATTR_TENSOR, .name = "t", .tensors = &pair_tensor },
        { .size = sizeof *all, .type = TN_ATTR_FLOATS, .name = "fs", .floats = floats, .count = 2 },
        { .size = sizeof *all, .type = TN_ATTR_INTS, .name = "is", .ints = ints, .count = 3 },
        { .size = sizeof *all,
          .type = TN_ATTR_STRINGS,
          .name = "ss",
          .strings = texts,
          .count = 3 },
        { .size = sizeof *all, .type = TN_ATTR_TYPE, .name = "ty", .types = &type },
        { .size = sizeof *all, .type = TN_ATTR_INTS, .name = "none" },
        { .size = sizeof *all, .type = TN_ATTR_REF, .name = "r", .s = texts[0] },
    };
    for (size_t k = 0; k < TN_COUNT(all); k++)
        OK(tn_graph_set_attribute(graph, id, &all[k]));
    floats[0] = 9;
    ints[0] = 9;
    texts[0].bytes = "zz";
    const tn_node_view *view = tn_graph_node(graph, id);
    cr_assert_eq(view->attribute_count, TN_COUNT(all));
    cr_assert(tn_attr_float(view, "f", 0) == 0.5f);
    cr_assert_eq(tn_attr_int(view, "i", 0), -7);
    cr_assert_str_eq(tn_attr_string(view, "s", ""), "0123456789abcdef");
    cr_assert(tn_attr(view, "fs")->floats[0] == 1);
    const int64_t *got;
    cr_assert_eq(tn_attr_ints(view, "is", &got), 3);
    cr_assert_eq(got[0], 3);
    cr_assert_str_eq(tn_attr(view, "ss")->strings[0].bytes, "ab");
    cr_assert(((const float *)tn_attr(view, "t")->tensors->data)[1] == -2);
    cr_assert_eq(tn_attr(view, "ty")->types->dtype, TN_FLOAT32);
    OK(tn_graph_drop_attribute(graph, id, "i"));
    cr_assert_eq(tn_graph_drop_attribute(graph, id, "i"), TN_ERR_NAME);
    cr_assert_null(tn_attr(tn_graph_node(graph, id), "i"));
}

Test(attributes, that_lie_are_refused)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id id = node(graph, 0, "Relu", x, TN_NONE);
    tn_tensor small = pair_tensor;
    small.bytes = 4;
    const tn_attribute bad[] = {
        { .size = sizeof *bad, .type = TN_ATTR_INT },
        { .size = sizeof *bad, .type = 99, .name = "a" },
        { .size = sizeof *bad, .type = TN_ATTR_INTS, .name = "a", .count = 3 },
        { .size = sizeof *bad, .type = TN_ATTR_TENSOR, .name = "a" },
        { .size = sizeof *bad, .type = TN_ATTR_TENSOR, .name = "a", .tensors = &small },
        { .size = sizeof *bad,
          .type = TN_ATTR_GRAPH,
          .name = "a",
          .regions = (tn_region_id[]){ 0 } },
        { .size = sizeof *bad,
          .type = TN_ATTR_GRAPH,
          .name = "a",
          .regions = (tn_region_id[]){ 77 } },
    };
    char *before = text_of(graph);
    for (size_t k = 0; k < TN_COUNT(bad); k++)
        cr_assert_neq(tn_graph_set_attribute(graph, id, &bad[k]), TN_OK, "case %d", (int)k);
    cr_assert_eq(tn_graph_set_attribute(graph, id, NULL), TN_ERR_ARGUMENT);
    expect_same(graph, before);
    tn_free(before);
}

Test(attributes, by_default_give_way_to_the_nodes_own)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id id = node(graph, 0, "Relu", x, TN_NONE);
    tn_attribute fallback = int_attribute("axis", 0), own = int_attribute("axis", 3);
    char *before = text_of(graph);
    OK(tn_graph_set_default_attribute(graph, id, &fallback));
    cr_assert(tn_graph_attribute_is_default(graph, id, "axis"));
    expect_same(graph, before); /* printing leaves it out */
    OK(tn_graph_set_attribute(graph, id, &own));
    cr_assert_not(tn_graph_attribute_is_default(graph, id, "axis"));
    OK(tn_graph_set_default_attribute(graph, id, &fallback));
    cr_assert_eq(tn_attr_int(tn_graph_node(graph, id), "axis", -1), 3);
    tn_free(before);
}

/* ---- constants --------------------------------------------------------------------------- */

Test(constants, are_copied_or_share_their_buffer)
{
    tn_value_id a, b;
    tn_buffer *buffer;
    tn_constant_desc desc = float_constant("a", &pair_tensor);
    OK(tn_graph_add_constant(graph, &desc, &a));
    cr_assert_neq(tn_graph_value(graph, a)->constant->data, pair);
    OK(tn_buffer_create(64, &buffer));
    tn_tensor tensor = pair_tensor;
    tensor.data = (char *)tn_buffer_bytes(buffer) + 16;
    desc = float_constant("b", &tensor);
    desc.buffer = buffer;
    OK(tn_graph_add_constant(graph, &desc, &b));
    cr_assert_eq(tn_graph_value(graph, b)->constant->data, tensor.data);
    tensor.data = (char *)tn_buffer_bytes(buffer) + 17; /* no kernel could read it there */
    desc.name = "c";
    OK(tn_graph_add_constant(graph, &desc, &b));
    cr_assert_neq(tn_graph_value(graph, b)->constant->data, tensor.data);
    tensor.data = (char *)tn_buffer_bytes(buffer) + 60;
    desc.name = "d";
    cr_assert_eq(tn_graph_add_constant(graph, &desc, &b), TN_ERR_ARGUMENT);
    desc = float_constant("a", &pair_tensor);
    cr_assert_eq(tn_graph_add_constant(graph, &desc, &b), TN_ERR_DUPLICATE);
    cr_assert_neq(tn_graph_constant(graph, a)->id,
                  tn_graph_constant(graph, tn_graph_find_value(graph, 0, "b"))->id);
    tn_buffer_unref(buffer);
}

/* ---- copies of what lies at odd addresses --------------------------------------------------- */

enum { MANY = 40000 };
static const int64_t many[] = { MANY };

/* A buffer with MANY floats from its second byte on. */
static tn_buffer *odd_floats(tn_tensor *tensor)
{
    tn_buffer *buffer;
    OK(tn_buffer_create(MANY * sizeof(float) + 1, &buffer));
    char *at = (char *)tn_buffer_bytes(buffer) + 1;
    for (int k = 0; k < MANY; k++) {
        const float x = (float)k + 0.5f;
        memcpy(at + (size_t)k * sizeof x, &x, sizeof x);
    }
    *tensor = (tn_tensor){ .size = sizeof *tensor,
                           .dtype = TN_FLOAT32,
                           .rank = 1,
                           .dims = many,
                           .data = at,
                           .bytes = MANY * sizeof(float) };
    return buffer;
}

static bool is_there(const tn_tensor *tensor)
{
    const float *x = tensor->data;
    for (int k = 0; k < MANY; k++)
        if (x[k] < (float)k + 0.5f || x[k] > (float)k + 0.5f)
            return false;
    return true;
}

Test(constants, at_odd_addresses_are_copied_and_go_while_nobody_holds_them)
{
    tn_tensor tensor;
    tn_constant *constant;
    tn_buffer *buffer = odd_floats(&tensor);
    OK(tn_constant_create(&tensor, buffer, &constant));
    tn_buffer_unref(buffer);
    const void *data = constant->tensor.data;
    cr_assert(tn_constant_can_go(constant));
    cr_assert_eq((uintptr_t)data % sizeof(float), 0);
    cr_assert(is_there(&constant->tensor));
    tn_constant_hold(constant);
    tn_constant_hold(constant);
    tn_constant_let_go(constant);
    tn_constant_forget(constant); /* one holds it still */
    cr_assert(is_there(&constant->tensor));
    tn_constant_let_go(constant);
    cr_assert(is_there(&constant->tensor), "it goes when it is forgotten, not before");
    tn_constant_forget(constant);
    cr_assert_eq(((const float *)constant->tensor.data)[MANY - 1], 0.0f,
                 "the memory is given back");
    tn_constant_forget(constant);
    tn_constant_hold(constant);
    cr_assert_eq(constant->tensor.data, data);
    cr_assert(is_there(&constant->tensor), "it comes again from where it was read");
    tn_constant_let_go(constant);
    tn_constant_unref(constant);
}

Test(constants, that_may_go_stay_while_a_graph_shows_them)
{
    tn_tensor tensor;
    tn_value_id id;
    tn_graph *clone;
    tn_buffer *buffer = odd_floats(&tensor);
    tn_constant_desc desc = float_constant("w", &tensor);
    desc.buffer = buffer;
    OK(tn_graph_add_constant(graph, &desc, &id));
    tn_buffer_unref(buffer);
    tn_constant *constant = tn_graph_constant(graph, id);
    const tn_tensor *shown = tn_graph_value(graph, id)->constant;
    tn_constant_forget(constant);
    cr_assert(is_there(shown), "a reader may have kept the pointer");
    OK(tn_graph_clone(graph, &clone));
    tn_graph_let_go(graph);
    tn_constant_forget(constant);
    cr_assert_eq(((const float *)shown->data)[1], 0.0f);
    cr_assert_eq(tn_graph_look(clone, id)->constant, shown);
    cr_assert_eq(((const float *)shown->data)[1], 0.0f, "a look does not bring it back");
    cr_assert(is_there(tn_graph_value(clone, id)->constant));
    tn_constant_forget(constant);
    cr_assert(is_there(tn_graph_value(graph, id)->constant), "either graph keeps it");
    tn_graph_destroy(clone);
    tn_constant_forget(constant);
    cr_assert(is_there(shown));
}

Test(constants, held_by_a_plan_go_one_by_one)
{
    tn_tensor tensor;
    tn_constant *constant;
    tn_holds holds = { 0 };
    tn_buffer *buffer = odd_floats(&tensor);
    OK(tn_constant_create(&tensor, buffer, &constant));
    tn_buffer_unref(buffer);
    OK(tn_holds_add(&holds, constant));
    OK(tn_holds_add(&holds, constant));
    cr_assert_eq(holds.count, 1);
    tn_constant_forget(constant);
    cr_assert(is_there(&constant->tensor));
    tn_holds_drop(&holds, 0);
    cr_assert_eq(((const float *)constant->tensor.data)[1], 0.0f);
    tn_holds_drop(&holds, 0); /* nothing is left to drop */
    tn_holds_fini(&holds);
    tn_constant_unref(constant);
}

Test(constants, that_are_consumed_go_before_they_are_let_go)
{
    tn_tensor tensor;
    tn_constant *constant;
    tn_buffer *buffer = odd_floats(&tensor);
    OK(tn_constant_create(&tensor, buffer, &constant));
    tn_buffer_unref(buffer);
    const float *x = constant->tensor.data;
    tn_constant_hold(constant);
    tn_constant_hold(constant);
    tn_constant_consume(constant, x, 65536);
    cr_assert(is_there(&constant->tensor), "another holds it");
    tn_constant_let_go(constant);
    tn_constant_consume(constant, x, 65536);
    cr_assert_eq(x[1], 0.0f);
    cr_assert_eq(x[MANY - 1], (float)MANY - 0.5f, "only what was consumed");
    tn_constant_forget(constant);
    cr_assert_eq(x[MANY - 1], (float)MANY - 0.5f, "it is held");
    tn_constant_let_go(constant);
    cr_assert_eq(x[MANY - 1], 0.0f);
    tn_constant_hold(constant);
    cr_assert(is_there(&constant->tensor));
    tn_constant_let_go(constant);
    tn_constant_unref(constant);
}

Test(constants, of_strings_are_copied_with_their_bytes)
{
    char first[] = "abc";
    tn_text texts[] = { { first, 3 }, { NULL, 0 } };
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_STRING,
                               .rank = 1,
                               .dims = two,
                               .data = texts,
                               .bytes = sizeof texts };
    tn_constant_desc desc = float_constant("s", &tensor);
    tn_value_id id;
    OK(tn_graph_add_constant(graph, &desc, &id));
    first[0] = 'X';
    const tn_text *kept = tn_graph_value(graph, id)->constant->data;
    cr_assert_str_eq(kept[0].bytes, "abc");
    cr_assert_eq(kept[1].count, 0);
}

Test(constants, can_be_defaults_of_inputs)
{
    tn_value_id x = input(graph, 0, "x"), id;
    tn_constant_desc desc = float_constant(NULL, &pair_tensor);
    desc.value = x;
    OK(tn_graph_add_constant(graph, &desc, &id));
    cr_assert_eq(id, x);
    cr_assert(tn_graph_value(graph, x)->is_input && tn_graph_value(graph, x)->constant);
    tn_node_id relu = node(graph, 0, "Relu", x, TN_NONE);
    desc.value = out(graph, relu);
    cr_assert_eq(tn_graph_add_constant(graph, &desc, &id), TN_ERR_STATE);
}

Test(constants, take_the_place_of_the_node_that_made_them)
{
    sample(graph);
    tn_constant *constant;
    tn_value_id made = tn_graph_find_value(graph, 0, "relu");
    char *before = text_of(graph);
    OK(tn_constant_create(&pair_tensor, NULL, &constant));
    OK(tn_graph_begin(graph));
    OK(tn_graph_set_constant(graph, made, constant));
    cr_assert_eq(tn_graph_find_node(graph, "relu"), TN_NONE);
    cr_assert_not_null(tn_graph_value(graph, made)->constant);
    OK(tn_graph_verify(graph, NULL));
    tn_graph_undo(graph);
    expect_same(graph, before);
    tn_constant_unref(constant);
    tn_free(before);
}

/* ---- regions ----------------------------------------------------------------------------- */

Test(regions, know_owner_outer_and_captures)
{
    sample(graph);
    tn_node_id wrap = tn_graph_find_node(graph, "wrap");
    const tn_value_id *captures;
    uint32_t count;
    OK(tn_graph_captures(graph, wrap, &captures, &count));
    cr_assert_eq(count, 1);
    cr_assert_eq(captures[0], tn_graph_find_value(graph, 0, "w"));
    cr_assert_eq(tn_graph_region_owner(graph, 1), wrap);
    cr_assert_eq(tn_graph_region_outer(graph, 1), 0);
    cr_assert_eq(tn_graph_region_outer(graph, 0), TN_NONE);
    cr_assert_eq(tn_graph_region_owner(graph, 0), TN_NONE);
}

Test(regions, captures_reach_through_bodies_of_bodies)
{
    tn_value_id x = input(graph, 0, "x"), z = input(graph, 0, "z");
    tn_region_id middle, inner;
    OK(tn_graph_add_region(graph, 0, &middle));
    tn_value_id m = input(graph, middle, "m");
    tn_node_id deep = region_node(graph, middle, z, m, &inner);
    OK(tn_graph_add_output(graph, middle, "o", out(graph, deep)));
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_GRAPH, .name = "body", .regions = &middle
    };
    tn_node_desc desc = describe(0, "Loop", &x, 1);
    desc.attributes = &attribute;
    desc.attribute_count = 1;
    tn_node_id loop;
    OK(tn_graph_add_node(graph, &desc, &loop));
    const tn_value_id *captures;
    uint32_t count;
    OK(tn_graph_captures(graph, loop, &captures, &count));
    cr_assert_eq(count, 1);
    cr_assert_eq(captures[0], z);
    OK(tn_graph_captures(graph, deep, &captures, &count));
    cr_assert_eq(count, 1);
    tn_node_id other = node(graph, inner, "Relu", m, TN_NONE);
    cr_assert_neq(other, TN_NONE);
    OK(tn_graph_captures(graph, deep, &captures, &count));
    cr_assert_eq(count, 2);
    OK(tn_graph_captures(graph, loop, &captures, &count));
    cr_assert_eq(count, 1);
    tn_diagnostic d = { .size = sizeof d };
    tn_graph_locate(graph, other, "", &d);
    cr_assert_str_eq(d.region, "loop/body/wrap/body");
    cr_assert_str_eq(d.op, "Relu");
}

Test(regions, belong_to_one_node)
{
    sample(graph);
    tn_region_id body = 1;
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_GRAPH, .name = "b", .regions = &body
    };
    tn_node_id relu = tn_graph_find_node(graph, "relu");
    cr_assert_eq(tn_graph_set_attribute(graph, relu, &attribute), TN_ERR_DUPLICATE);
    OK(tn_graph_add_region(graph, 0, &body));
    OK(tn_graph_set_attribute(graph, relu, &attribute));
    OK(tn_graph_set_attribute(graph, relu, &attribute)); /* the same again is fine */
    cr_assert(tn_graph_region_alive(graph, body));
    OK(tn_graph_drop_attribute(graph, relu, "b"));
    cr_assert_not(tn_graph_region_alive(graph, body));
}

Test(regions, nest_only_so_deep)
{
    tn_region_id region = 0;
    tn_status status = TN_OK;
    for (int k = 0; k < 1000 && status == TN_OK; k++)
        status = tn_graph_add_region(graph, region, &region);
    cr_assert_eq(status, TN_ERR_LIMIT);
}

/* ---- transactions ------------------------------------------------------------------------ */

Test(transactions, do_not_nest)
{
    OK(tn_graph_begin(graph));
    cr_assert_eq(tn_graph_begin(graph), TN_ERR_STATE);
    tn_graph_commit(graph);
    tn_graph_undo(graph); /* none open: nothing happens */
    OK(tn_graph_begin(graph));
    tn_graph_undo(graph);
}

Test(transactions, bring_removed_nodes_back_under_their_handles)
{
    sample(graph);
    char *before = text_of(graph);
    tn_node_id wrap = tn_graph_find_node(graph, "wrap"), inner = tn_graph_first_node(graph, 1);
    OK(tn_graph_begin(graph));
    OK(tn_graph_replace(graph, out(graph, wrap), tn_graph_find_value(graph, 0, "add")));
    OK(tn_graph_remove_node(graph, wrap));
    cr_assert_null(tn_graph_node(graph, wrap));
    tn_graph_undo(graph);
    expect_same(graph, before);
    cr_assert_not_null(tn_graph_node(graph, wrap));
    cr_assert_not_null(tn_graph_node(graph, inner));
    tn_free(before);
}

Test(transactions, put_everything_back)
{
    sample(graph);
    char *before = text_of(graph);
    const tn_node_id add = tn_graph_find_node(graph, "add");
    const tn_value_id x = tn_graph_find_value(graph, 0, "x");
    static const int schema = 1, other = 2;
    tn_graph_set_schema(graph, add, &schema, 7);
    OK(tn_graph_begin(graph));
    tn_attribute axis = int_attribute("axis", 5), fresh = int_attribute("fresh", 1);
    const tn_type type = tn_type_of(TN_FLOAT32, 1, (tn_dim[]){ 4 });
    tn_graph *function;
    OK(tn_graph_set_attribute(graph, add, &axis));
    OK(tn_graph_set_attribute(graph, add, &fresh));
    OK(tn_graph_set_operator(graph, add, "d", "Other"));
    OK(tn_graph_set_input(graph, add, 2, x));
    OK(tn_graph_set_input(graph, add, 0, x));
    OK(tn_graph_set_type(graph, x, &type));
    OK(tn_graph_set_elements(graph, x, (tn_dim[]){ 1, 2 }, 2));
    OK(tn_graph_rename_value(graph, x, "renamed"));
    OK(tn_graph_move_node(graph, add, tn_graph_first_node(graph, 0)));
    OK(tn_graph_set_name(graph, "n", NULL));
    OK(tn_graph_set_metadata(graph, "author", "you"));
    OK(tn_graph_set_metadata(graph, "k", "v"));
    OK(tn_graph_set_opset(graph, "", 22));
    OK(tn_graph_set_opset(graph, "z", 1));
    OK(tn_graph_add_function(graph, "d", "F", "", &function));
    OK(tn_graph_add_output(graph, 0, "extra", x));
    input(graph, 0, "more");
    tn_graph_set_schema(graph, add, &other, 8);
    tn_graph_undo(graph);
    expect_same(graph, before);
    cr_assert_eq(tn_graph_schema(graph, add), &schema);
    cr_assert_eq(tn_graph_node(graph, add)->version, 7);
    OK(tn_graph_add_output(graph, 0, "extra", x)); /* the name is free again */
    tn_free(before);
}

Test(transactions, list_what_was_touched)
{
    sample(graph);
    const tn_node_id add = tn_graph_find_node(graph, "add"),
                     relu = tn_graph_find_node(graph, "relu");
    const tn_value_id x = tn_graph_find_value(graph, 0, "x");
    const tn_node_id *touched;
    OK(tn_graph_begin(graph));
    cr_assert_eq(tn_graph_touched(graph, &touched), 0);
    tn_attribute axis = int_attribute("axis", 5);
    OK(tn_graph_set_attribute(graph, add, &axis));
    OK(tn_graph_set_attribute(graph, add, &axis));
    cr_assert_eq(tn_graph_touched(graph, &touched), 1);
    cr_assert_eq(touched[0], add);
    tn_node_id fresh = node(graph, 0, "Neg", out(graph, relu), TN_NONE); /* touches relu, too */
    cr_assert_eq(tn_graph_touched(graph, &touched), 3);
    OK(tn_graph_remove_node(graph, fresh));
    cr_assert_eq(tn_graph_touched(graph, &touched), 2);
    OK(tn_graph_set_input(graph, add, 1, x));
    tn_graph_commit(graph);
    cr_assert_eq(tn_graph_touched(graph, &touched), 0);
}

Test(transactions, record_where_new_nodes_come_from)
{
    sample(graph);
    const tn_value_id relu = tn_graph_find_value(graph, 0, "relu"),
                      add = tn_graph_find_value(graph, 0, "add");
    OK(tn_graph_begin(graph));
    tn_node_id fused = node(graph, 0, "Fused", tn_graph_find_value(graph, 0, "x"), TN_NONE);
    OK(tn_graph_replace(graph, add, out(graph, fused)));
    OK(tn_graph_replace(graph, relu, out(graph, fused)));
    cr_assert_str_eq(tn_graph_trace(graph, fused), "add\nrelu");
    tn_graph_commit(graph);
    cr_assert_str_eq(tn_graph_trace(graph, tn_graph_find_node(graph, "add")), "");
}

Test(transactions, know_which_nodes_inference_must_see)
{
    sample(graph);
    const tn_dim dims[1] = { 3 };
    const tn_type type = tn_type_of(TN_FLOAT32, 1, dims);
    const tn_value_id relu = tn_graph_find_value(graph, 0, "relu"),
                      x = tn_graph_find_value(graph, 0, "x"),
                      w = tn_graph_find_value(graph, 0, "w");
    const tn_node_id add = tn_graph_find_node(graph, "add"),
                     maker = tn_graph_find_node(graph, "relu");
    OK(tn_graph_set_type(graph, relu, &type));
    OK(tn_graph_begin(graph));
    OK(tn_graph_set_input(graph, add, 0, x));
    cr_expect(tn_graph_stale(graph, add), "x has another type");
    tn_graph_undo(graph);
    OK(tn_graph_set_type(graph, x, &type));
    OK(tn_graph_begin(graph));
    cr_expect_not(tn_graph_stale(graph, add));
    OK(tn_graph_set_input(graph, add, 0, x));
    cr_expect_not(tn_graph_stale(graph, add), "x has the same type");
    OK(tn_graph_set_input(graph, add, 0, w));
    cr_expect(tn_graph_stale(graph, add), "w is a constant");
    OK(tn_graph_set_operator(graph, maker, "", "Neg"));
    cr_expect(tn_graph_stale(graph, maker));
    tn_graph_undo(graph);
    cr_expect_not(tn_graph_stale(graph, maker));
}

Test(transactions, record_what_a_changed_node_takes_over)
{
    sample(graph);
    const tn_value_id relu = tn_graph_find_value(graph, 0, "relu"),
                      add = tn_graph_find_value(graph, 0, "add"),
                      x = tn_graph_find_value(graph, 0, "x");
    const tn_node_id first = tn_graph_find_node(graph, "relu");
    OK(tn_graph_begin(graph));
    OK(tn_graph_replace(graph, add, relu));
    cr_assert_str_eq(tn_graph_trace(graph, first), "", "it has more readers, and is what it was");
    tn_graph_undo(graph);
    OK(tn_graph_begin(graph));
    OK(tn_graph_set_input(graph, first, 0, tn_graph_find_value(graph, 0, "w")));
    OK(tn_graph_replace(graph, add, relu));
    cr_assert_str_eq(tn_graph_trace(graph, first), "relu\nadd");
    tn_graph_undo(graph);
    cr_assert_str_eq(tn_graph_trace(graph, first), "");
    cr_assert_eq(tn_graph_node(graph, first)->inputs[0], x);
}

Test(editing, traces_can_be_set_and_walked)
{
    sample(graph);
    const tn_node_id relu = tn_graph_find_node(graph, "relu");
    const char *rest, *name;
    size_t count;
    OK(tn_graph_set_trace(graph, relu, "a b\nc\na b"));
    rest = tn_graph_trace(graph, relu);
    cr_assert_str_eq(rest, "a b\nc", "each name once");
    cr_assert(tn_trace_next(&rest, &name, &count));
    cr_assert(count == 3 && memcmp(name, "a b", 3) == 0);
    cr_assert(tn_trace_next(&rest, &name, &count));
    cr_assert(count == 1 && *name == 'c');
    cr_assert_not(tn_trace_next(&rest, &name, &count));
    cr_assert_eq(tn_graph_set_trace(graph, TN_NONE, "a"), TN_ERR_STALE);
}

/* Random edits, each round taken back or kept; what is taken back must look as before. */
static void random_edit(tn_graph *g, uint32_t *state)
{
#define NEXT(n) ((*state = *state * 1664525u + 1013904223u) >> 8) % (n)
    const uint32_t slots = tn_graph_node_slots(g), values = tn_graph_value_slots(g);
    const tn_node_id n = tn_graph_node_at(g, NEXT(slots)), other = tn_graph_node_at(g, NEXT(slots));
    const tn_value_id v = tn_graph_value_at(g, NEXT(values)),
                      w = tn_graph_value_at(g, NEXT(values));
    const uint32_t number = NEXT(1000);
    tn_attribute attribute = int_attribute(number % 2 ? "axis" : "keep", number);
    char name[16];
    tn_value_id made;
    tn_region_id body;
    tn_constant *constant;
    const tn_type type = tn_type_of(TN_FLOAT32, 1, (tn_dim[]){ number });
    snprintf(name, sizeof name, "n%u", number);
    const tn_node_view *view = tn_graph_node(g, n);
    const tn_value_view *about = tn_graph_value(g, v);
    tn_node_desc desc = describe(about ? about->region : 0, "Add", (tn_value_id[]){ v, w }, 2);
    switch (NEXT(16)) {
    case 0:
    case 1:
    case 2: tn_graph_add_node(g, &desc, NULL); break;
    case 3:
    case 4: tn_graph_remove_node(g, n); break;
    case 5: tn_graph_replace(g, v, w); break;
    case 6:
        tn_graph_set_input(g, n, view ? number % (view->input_count + 1) : 0,
                           number % 5 ? v : TN_NONE);
        break;
    case 7: tn_graph_set_attribute(g, n, &attribute); break;
    case 8: tn_graph_drop_attribute(g, n, "axis"); break;
    case 9: tn_graph_rename_value(g, v, name); break;
    case 10: tn_graph_set_type(g, v, &type); break;
    case 11: tn_graph_move_node(g, n, number % 4 ? other : TN_NONE); break;
    case 12: tn_graph_remove_value(g, v); break;
    case 13:
        if (tn_constant_create(&pair_tensor, NULL, &constant) == TN_OK) {
            tn_graph_set_constant(g, v, constant);
            tn_constant_unref(constant);
        }
        break;
    case 14:
        if (view && tn_graph_region_count(g) < 40 &&
            tn_graph_add_region(g, view->region, &body) == TN_OK) {
            attribute.type = TN_ATTR_GRAPH;
            attribute.name = "body";
            attribute.regions = &body;
            if (tn_graph_add_value(g, body, NULL, NULL, &made) == TN_OK)
                tn_graph_add_input(g, body, made);
            tn_graph_set_attribute(g, n, &attribute);
        }
        break;
    default:
        /* The body's input is replaced by v, the rest moves out. */
        for (tn_region_id r = 1; view && r < tn_graph_region_count(g); r++)
            if (tn_graph_region_owner(g, r) == n && tn_graph_region_alive(g, r)) {
                const uint32_t wanted = tn_graph_region_inputs(g, r, NULL);
                tn_graph_inline(g, n, g, r, &v, wanted ? 1 : 0, NULL, 0);
                break;
            }
        break;
    }
#undef NEXT
}

Test(transactions, thousands_of_random_rounds_can_be_taken_back)
{
    uint32_t state = 99;
    sample(graph);
    for (int round = 0; round < 4000; round++) {
        char *before = text_of(graph);
        OK(tn_graph_begin(graph));
        for (uint32_t edits = 1 + (state >> 10) % 12; edits; edits--)
            random_edit(graph, &state);
        OK(tn_graph_check_lists(graph));
        if (round % 8) {
            tn_graph_undo(graph);
            expect_same(graph, before);
        } else {
            tn_graph_commit(graph);
        }
        tn_free(before);
        if (tn_graph_region_count(graph) >= 40 || tn_graph_node_count(graph) > 60) {
            tn_graph_destroy(graph);
            setup();
            sample(graph);
        }
    }
}

Test(transactions, survive_refused_allocations_anywhere)
{
    uint32_t state = 5;
    sample(graph);
    for (uint64_t round = 0; round < 6000; round++) {
        char *before = text_of(graph);
        if (round % 2)
            OK(tn_graph_begin(graph));
        tn_test_fail_allocation(1 + round % 23);
        random_edit(graph, &state);
        tn_test_fail_allocation(0);
        OK(tn_graph_check_lists(graph));
        if (round % 2) {
            tn_graph_undo(graph);
            expect_same(graph, before);
        }
        tn_free(before);
        if (tn_graph_region_count(graph) >= 40 || tn_graph_node_count(graph) > 60) {
            tn_graph_destroy(graph);
            setup();
            sample(graph);
        }
    }
}

/* Each single edit, with its n-th allocation refused, for all n: it fails as a whole, or not. */
Test(editing, fails_as_a_whole_when_memory_is_short)
{
    enum { EDITS = 13 };
    for (int edit = 0; edit < EDITS; edit++)
        for (uint64_t n = 1;; n++) {
            tn_graph_destroy(graph);
            setup();
            sample(graph);
            const tn_node_id add = tn_graph_find_node(graph, "add"),
                             wrap = tn_graph_find_node(graph, "wrap");
            const tn_value_id x = tn_graph_find_value(graph, 0, "x"),
                              w = tn_graph_find_value(graph, 0, "w");
            const tn_attribute axis = int_attribute("other", 2);
            tn_node_desc desc = describe(0, "Concat", (tn_value_id[]){ x, w, x }, 3);
            desc.attributes = &axis;
            desc.attribute_count = 1;
            desc.output_count = 3;
            tn_constant_desc constant = float_constant(NULL, &pair_tensor);
            tn_value_id made = TN_NONE;
            tn_graph *function;
            tn_status status;
            char *before = text_of(graph);
            tn_test_fail_allocation(n);
            switch (edit) {
            case 0: status = tn_graph_add_node(graph, &desc, NULL); break;
            case 1: status = tn_graph_replace(graph, w, x); break;
            case 2: status = tn_graph_set_attribute(graph, add, &axis); break;
            case 3: status = tn_graph_add_constant(graph, &constant, &made); break;
            case 4: status = tn_graph_set_operator(graph, add, "dd", "Oo"); break;
            case 5: status = tn_graph_add_function(graph, "dd", "Ff", "", &function); break;
            case 6: status = tn_graph_inline(graph, wrap, graph, 1, &x, 1, &made, 1); break;
            case 7: status = tn_graph_set_metadata(graph, "kk", "vv"); break;
            case 8: status = tn_graph_add_output(graph, 0, "oo", x); break;
            case 9: status = tn_graph_rename_value(graph, x, "rr"); break;
            case 10:
                status = tn_graph_set_constant(graph, tn_graph_find_value(graph, 0, "relu"),
                                               tn_graph_constant(graph, w));
                break;
            case 11: status = tn_graph_copy_body(graph, 1, 0, wrap, &x, 1, &made, 1); break;
            default: status = tn_graph_drop_attribute(graph, wrap, "body"); break;
            }
            tn_test_fail_allocation(0);
            OK(tn_graph_check_lists(graph));
            cr_assert(status == TN_OK || status == TN_ERR_MEMORY, "edit %d: %s", edit,
                      tn_error_message());
            if (status != TN_OK)
                expect_same(graph, before);
            tn_free(before);
            cr_assert_lt(n, 200);
            if (status == TN_OK && n > 40)
                break;
        }
}

/* ---- verifying --------------------------------------------------------------------------- */

Test(verifying, sorts_makers_before_readers)
{
    tn_value_id x = input(graph, 0, "x"), mid = value(graph, 0, "mid");
    tn_node_id last = node(graph, 0, "Neg", mid, TN_NONE);
    tn_node_desc desc = describe(0, "Relu", &x, 1);
    desc.outputs = &mid;
    tn_node_id first;
    OK(tn_graph_add_node(graph, &desc, &first));
    cr_assert_eq(tn_graph_first_node(graph, 0), last);
    OK(tn_graph_verify(graph, NULL));
    cr_assert_eq(tn_graph_first_node(graph, 0), first);
    cr_assert_eq(tn_graph_next_node(graph, first), last);
}

Test(verifying, leaves_a_right_order_alone)
{
    sample(graph);
    char *before = text_of(graph);
    OK(tn_graph_verify(graph, NULL));
    expect_same(graph, before);
    tn_free(before);
}

Test(verifying, sorts_by_what_bodies_capture)
{
    tn_value_id x = input(graph, 0, "x"), late = value(graph, 0, "late");
    tn_region_id body;
    tn_node_id wrap = region_node(graph, 0, late, x, &body);
    tn_node_desc desc = describe(0, "Relu", &x, 1);
    desc.outputs = &late;
    tn_node_id maker;
    OK(tn_graph_add_node(graph, &desc, &maker));
    OK(tn_graph_verify(graph, NULL));
    cr_assert_eq(tn_graph_first_node(graph, 0), maker);
    cr_assert_eq(tn_graph_next_node(graph, maker), wrap);
}

static const char *complaint_of(tn_status expected)
{
    static char text[512];
    tn_diagnostics *list;
    OK(tn_diagnostics_create(&list));
    cr_assert_eq(tn_graph_verify(graph, list), expected);
    snprintf(text, sizeof text, "%s", tn_diagnostics_get(list, 0)->text);
    tn_diagnostics_destroy(list);
    return text;
}

Test(verifying, names_the_nodes_of_a_cycle)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id a = node(graph, 0, "Add", x, x), b = node(graph, 0, "Relu", out(graph, a), TN_NONE),
               c = node(graph, 0, "Neg", out(graph, b), TN_NONE);
    OK(tn_graph_set_input(graph, a, 1, out(graph, c)));
    cr_assert_str_eq(complaint_of(TN_ERR_CYCLE),
                     "node 'add' (Add): the graph feeds itself: 'add' → 'relu' → 'neg' → 'add'");
}

Test(verifying, sees_a_node_that_reads_itself)
{
    tn_value_id x = input(graph, 0, "x");
    tn_node_id a = node(graph, 0, "Add", x, x);
    OK(tn_graph_set_input(graph, a, 1, out(graph, a)));
    cr_assert_str_eq(complaint_of(TN_ERR_CYCLE),
                     "node 'add' (Add): the graph feeds itself: 'add' → 'add'");
}

Test(verifying, sees_a_body_that_reads_its_own_node)
{
    tn_value_id x = input(graph, 0, "x");
    tn_region_id body;
    tn_node_id wrap = region_node(graph, 0, x, x, &body);
    node(graph, body, "Relu", out(graph, wrap), TN_NONE);
    cr_assert_not_null(strstr(complaint_of(TN_ERR_CYCLE), "'wrap' → 'wrap'"));
}

Test(verifying, says_what_is_read_but_never_made)
{
    tn_value_id weight = input(graph, 0, "weight"), wieght = value(graph, 0, "wieght");
    node(graph, 0, "Add", weight, wieght);
    OK(tn_graph_add_output(graph, 0, "y", wieght));
    tn_diagnostics *list;
    OK(tn_diagnostics_create(&list));
    cr_assert_eq(tn_graph_verify(graph, list), TN_ERR_NAME);
    cr_assert_eq(tn_diagnostics_count(list), 2);
    cr_assert_str_eq(
        tn_diagnostics_get(list, 0)->text,
        "node 'add' (Add): input 1 is 'wieght', which is no node's output, no input and no constant; "
        "did you mean 'weight'?");
    tn_diagnostics_destroy(list);
}

static void locate(void *user, const char *origin, const char *part, uint32_t *line,
                   uint32_t *column)
{
    cr_assert_str_eq(origin, "/nodes/0");
    *line = *(uint32_t *)user;
    *column = strcmp(part, "/inputs/0") ? 1 : 22;
}

static uint32_t fini_calls;

static void fini(void *user)
{
    (void)user;
    fini_calls++;
}

Test(verifying, tells_file_and_line)
{
    uint32_t line = 14;
    fini_calls = 0;
    tn_graph_set_source(graph, "lenet.json", locate, &line, fini);
    tn_value_id missing = value(graph, 0, "missing");
    tn_node_desc desc = describe(0, "Conv", &missing, 1);
    desc.origin = "/nodes/0";
    desc.domain = "com.example";
    OK(tn_graph_add_node(graph, &desc, NULL));
    cr_assert_eq(strncmp(complaint_of(TN_ERR_NAME),
                         "lenet.json:14:22: node 'conv' (com.example::Conv): ", 48),
                 0);
    cr_assert_str_eq(tn_graph_file(graph), "lenet.json");
    tn_graph *clone;
    OK(tn_graph_clone(graph, &clone));
    teardown();
    cr_assert_eq(fini_calls, 0);
    tn_graph_destroy(clone);
    cr_assert_eq(fini_calls, 1);
    setup();
}

Test(verifying, a_long_chain_needs_no_deep_stack)
{
    tn_value_id previous = input(graph, 0, "x");
    enum { LENGTH = 50000 };
    for (int k = 0; k < LENGTH; k++) {
        tn_node_desc desc = describe(0, "Relu", &previous, 1);
        desc.before = k ? tn_graph_first_node(graph, 0) : TN_NONE; /* in the worst order */
        tn_node_id id;
        OK(tn_graph_add_node(graph, &desc, &id));
        previous = out(graph, id);
    }
    OK(tn_graph_verify(graph, NULL));
    cr_assert_str_eq(tn_graph_node(graph, tn_graph_first_node(graph, 0))->name, "relu");
}

Test(verifying, is_undone_with_its_transaction)
{
    tn_value_id x = input(graph, 0, "x"), mid = value(graph, 0, "mid");
    node(graph, 0, "Neg", mid, TN_NONE);
    tn_node_desc desc = describe(0, "Relu", &x, 1);
    desc.outputs = &mid;
    OK(tn_graph_add_node(graph, &desc, NULL));
    char *before = text_of(graph);
    OK(tn_graph_begin(graph));
    OK(tn_graph_verify(graph, NULL));
    tn_graph_undo(graph);
    expect_same(graph, before);
    tn_free(before);
}

/* ---- cloning ----------------------------------------------------------------------------- */

Test(cloning, gives_an_equal_graph_of_its_own)
{
    tn_graph *clone, *function;
    sample(graph);
    OK(tn_graph_add_function(graph, "d", "F", "", &function));
    input(function, 0, "p");
    char *before = text_of(graph);
    OK(tn_graph_clone(graph, &clone));
    expect_same(clone, before);
    const tn_value_id w = tn_graph_find_value(graph, 0, "w");
    cr_assert_eq(tn_graph_constant(clone, w), tn_graph_constant(graph, w));
    OK(tn_graph_replace(clone, w, tn_graph_find_value(clone, 0, "x")));
    node(clone, 0, "Neg", w, TN_NONE);
    expect_same(graph, before);
    tn_free(before);
    before = text_of(clone);
    teardown();
    expect_same(clone, before);
    OK(tn_graph_verify(clone, NULL));
    tn_free(before);
    graph = clone;
}

/* x -> Neg a -> Abs b -> Exp c, and b -> Wrap (its body reads a) -> d */
Test(cutting, keeps_what_lies_between)
{
    tn_region_id body;
    const tn_value_id x = input(graph, 0, "x");
    const tn_value_id a = out(graph, node(graph, 0, "Neg", x, TN_NONE));
    const tn_value_id b = out(graph, node(graph, 0, "Abs", a, TN_NONE));
    const tn_value_id c = out(graph, node(graph, 0, "Exp", b, TN_NONE));
    const tn_value_id d = out(graph, region_node(graph, 0, a, b, &body));
    const tn_value_id wanted[] = { c, d };
    tn_graph *part;
    OK(tn_graph_add_output(graph, 0, "y", d));
    char *before = text_of(graph);
    OK(tn_graph_cut(graph, &a, 1, wanted, 2, &part));
    expect_same(graph, before);
    OK(tn_graph_verify(part, NULL));
    cr_expect_eq(tn_graph_value(part, a), NULL, "Neg is gone");
    const tn_value_id in = tn_graph_find_value(part, 0, "cut in 0");
    cr_assert_neq(in, TN_NONE);
    cr_expect(tn_graph_value(part, in)->is_input);
    cr_expect_eq(tn_graph_value(part, in)->use_count, 2, "Abs and the body read it");
    const tn_value_id *outputs;
    cr_assert_eq(tn_graph_region_outputs(part, 0, &outputs), 2);
    cr_expect_eq(outputs[0], c);
    cr_expect_eq(outputs[1], d);
    cr_expect_str_eq(tn_graph_output_name(part, 0, 0), "y", "the first place is the graph's own");
    tn_graph_destroy(part);
    OK(tn_graph_cut(graph, &b, 1, &c, 1, &part));
    cr_expect_eq(tn_graph_node_count(part), 1, "only Exp is left");
    tn_graph_destroy(part);
    tn_free(before);
}

Test(cloning, is_clean_when_memory_is_short)
{
    tn_graph *clone, *function;
    sample(graph);
    OK(tn_graph_add_function(graph, "d", "F", "", &function));
    char *before = text_of(graph);
    for (uint64_t n = 1;; n++) {
        tn_test_fail_allocation(n);
        tn_status status = tn_graph_clone(graph, &clone);
        tn_test_fail_allocation(0);
        expect_same(graph, before);
        if (status == TN_OK) {
            expect_same(clone, before);
            tn_graph_destroy(clone);
            break;
        }
        cr_assert_eq(status, TN_ERR_MEMORY);
    }
    tn_free(before);
    OK(tn_graph_begin(graph));
    cr_assert_eq(tn_graph_clone(graph, &clone), TN_ERR_STATE);
    tn_graph_undo(graph);
}

Test(cloning, creating_is_clean_when_memory_is_short)
{
    for (uint64_t n = 1;; n++) {
        tn_graph *own;
        tn_test_fail_allocation(n);
        tn_status status = tn_graph_create(&own);
        tn_test_fail_allocation(0);
        if (status == TN_OK) {
            tn_graph_destroy(own);
            break;
        }
        cr_assert_eq(status, TN_ERR_MEMORY);
    }
}

/* ---- inlining ---------------------------------------------------------------------------- */

Test(inlining, moves_a_body_around_its_node)
{
    sample(graph);
    const tn_node_id wrap = tn_graph_find_node(graph, "wrap"),
                     inner = tn_graph_first_node(graph, 1);
    const tn_value_id given = tn_graph_find_value(graph, 0, "add");
    tn_value_id result;
    char *before = text_of(graph);
    OK(tn_graph_begin(graph));
    OK(tn_graph_inline(graph, wrap, graph, 1, &given, 1, &result, 1));
    cr_assert_eq(tn_graph_node(graph, inner)->region, 0);
    cr_assert_eq(tn_graph_node(graph, inner)->inputs[0], given);
    cr_assert_eq(result, out(graph, inner));
    cr_assert_eq(tn_graph_next_node(graph, inner), wrap);
    OK(tn_graph_replace(graph, out(graph, wrap), result));
    OK(tn_graph_remove_node(graph, wrap));
    OK(tn_graph_verify(graph, NULL));
    tn_graph_undo(graph);
    expect_same(graph, before);
    tn_free(before);
}

Test(inlining, takes_nested_bodies_along)
{
    tn_value_id x = input(graph, 0, "x"), z = input(graph, 0, "z");
    tn_region_id middle, inner;
    OK(tn_graph_add_region(graph, 0, &middle));
    tn_value_id m = input(graph, middle, "m");
    tn_node_id deep = region_node(graph, middle, m, z, &inner);
    OK(tn_graph_add_output(graph, middle, "o", m)); /* an input given out directly */
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_GRAPH, .name = "body", .regions = &middle
    };
    tn_node_desc desc = describe(0, "If", &x, 1);
    desc.attributes = &attribute;
    desc.attribute_count = 1;
    tn_node_id owner;
    tn_value_id result;
    OK(tn_graph_add_node(graph, &desc, &owner));
    char *before = text_of(graph);
    OK(tn_graph_begin(graph));
    OK(tn_graph_inline(graph, owner, graph, middle, &x, 1, &result, 1));
    cr_assert_eq(result, x);
    cr_assert_eq(tn_graph_region_outer(graph, inner), 0);
    cr_assert_eq(tn_graph_region_owner(graph, inner), deep);
    OK(tn_graph_remove_node(graph, owner));
    cr_assert_not(tn_graph_region_alive(graph, middle));
    cr_assert(tn_graph_region_alive(graph, inner));
    OK(tn_graph_verify(graph, NULL));
    tn_graph_undo(graph);
    expect_same(graph, before);
    tn_free(before);
}

/* ---- copies of bodies -------------------------------------------------------------------- */

Test(copying, puts_a_body_before_a_node_and_leaves_it)
{
    sample(graph);
    const tn_node_id wrap = tn_graph_find_node(graph, "wrap"),
                     inner = tn_graph_first_node(graph, 1);
    const tn_value_id given = tn_graph_find_value(graph, 0, "add");
    tn_value_id result;
    char *before = text_of(graph);
    OK(tn_graph_begin(graph));
    OK(tn_graph_copy_body(graph, 1, 0, wrap, &given, 1, &result, 1));
    const tn_node_id copy = tn_graph_value(graph, result)->producer;
    cr_assert_neq(copy, inner);
    cr_assert_eq(tn_graph_next_node(graph, copy), wrap);
    cr_assert_str_eq(tn_graph_node(graph, copy)->op, tn_graph_node(graph, inner)->op);
    cr_assert_eq(tn_graph_node(graph, copy)->inputs[0], given);
    cr_assert_eq(tn_graph_node(graph, inner)->region, 1);
    cr_assert_eq(tn_graph_value(graph, tn_graph_node(graph, inner)->inputs[0])->region, 1);
    cr_assert_str_eq(tn_graph_trace(graph, copy), "wrap");
    OK(tn_graph_verify(graph, NULL));
    tn_graph_undo(graph);
    expect_same(graph, before);
    tn_free(before);
}

Test(copying, takes_nested_bodies_and_captures_into_another_body)
{
    tn_value_id x = input(graph, 0, "x"), z = input(graph, 0, "z");
    tn_region_id middle, inner, target;
    OK(tn_graph_add_region(graph, 0, &middle));
    tn_value_id m = input(graph, middle, "m");
    const tn_node_id deep = region_node(graph, middle, m, z, &inner);
    OK(tn_graph_add_output(graph, middle, "o", out(graph, deep)));
    OK(tn_graph_add_output(graph, middle, "p", m)); /* an input given out directly */
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_GRAPH, .name = "body", .regions = &middle
    };
    tn_node_desc desc = describe(0, "If", &x, 1);
    desc.attributes = &attribute;
    desc.attribute_count = 1;
    tn_node_id owner;
    OK(tn_graph_add_node(graph, &desc, &owner));
    OK(tn_graph_add_region(graph, 0, &target));
    tn_value_id t = input(graph, target, "t"), results[2];
    OK(tn_graph_copy_body(graph, middle, target, TN_NONE, &t, 1, results, 2));
    cr_assert_eq(results[1], t);
    const tn_node_id copy = tn_graph_value(graph, results[0])->producer;
    cr_assert_eq(tn_graph_node(graph, copy)->region, target);
    const tn_attribute *body = tn_attr(tn_graph_node(graph, copy), "body");
    cr_assert(body && body->type == TN_ATTR_GRAPH);
    cr_assert_neq(body->regions[0], inner);
    cr_assert_eq(tn_graph_region_outer(graph, body->regions[0]), target);
    cr_assert_eq(tn_graph_region_outer(graph, inner), middle);
    /* What was read from around both is read as it is. */
    const tn_value_id *captures;
    uint32_t count;
    OK(tn_graph_captures(graph, owner, &captures, &count));
    const bool reads_z = count == 1 && captures[0] == z;
    OK(tn_graph_captures(graph, copy, &captures, &count));
    for (uint32_t k = 0; k < count; k++)
        cr_assert(captures[k] == z || captures[k] == t);
    cr_assert(reads_z || tn_graph_node(graph, deep)->inputs[1] == z);
    OK(tn_graph_check_lists(graph));
}

Test(copying, refuses_what_does_not_fit)
{
    sample(graph);
    const tn_node_id wrap = tn_graph_find_node(graph, "wrap"),
                     inner = tn_graph_first_node(graph, 1);
    tn_value_id x = tn_graph_find_value(graph, 0, "x"), none = TN_NONE, results[2];
    char *before = text_of(graph);
    cr_assert_eq(tn_graph_copy_body(graph, 9, 0, wrap, &x, 1, results, 1), TN_ERR_STALE);
    cr_assert_eq(tn_graph_copy_body(graph, 1, 9, wrap, &x, 1, results, 1), TN_ERR_STALE);
    cr_assert_eq(tn_graph_copy_body(graph, 0, 0, wrap, &x, 1, results, 1), TN_ERR_ARGUMENT);
    cr_assert_str_eq(tn_error_message(), "the region is no body of a node");
    cr_assert_eq(tn_graph_copy_body(graph, 1, 0, wrap, NULL, 0, results, 1), TN_ERR_ARGUMENT);
    cr_assert_str_eq(tn_error_message(), "the body has 1 inputs, not 0");
    cr_assert_eq(tn_graph_copy_body(graph, 1, 0, wrap, &none, 1, results, 1), TN_ERR_ARGUMENT);
    cr_assert_str_eq(tn_error_message(), "nothing stands for input 0 of the body");
    cr_assert_eq(tn_graph_copy_body(graph, 1, 0, wrap, &x, 1, results, 2), TN_ERR_ARGUMENT);
    cr_assert_eq(tn_graph_copy_body(graph, 1, 0, inner, &x, 1, results, 1), TN_ERR_ARGUMENT);
    cr_assert(strstr(tn_error_message(), "lies in another region"));
    cr_assert_eq(tn_graph_copy_body(graph, 1, 1, TN_NONE, &x, 1, results, 1), TN_ERR_ARGUMENT);
    cr_assert_str_eq(tn_error_message(), "a body cannot be copied into itself");
    expect_same(graph, before);
    tn_free(before);
}

/* F(a, b) with attribute "axis" (default 4): Softmax(a) axis=@axis, then Wrap with a body. */
static tn_graph *make_function(tn_graph *g)
{
    tn_graph *f;
    tn_region_id body;
    OK(tn_graph_add_function(g, "d", "F", "", &f));
    tn_attribute parameter = int_attribute("axis", 4);
    OK(tn_graph_add_function_attribute(f, &parameter, 0));
    tn_value_id a = input(f, 0, "a");
    input(f, 0, "b");
    tn_node_id softmax = node(f, 0, "Softmax", a, TN_NONE);
    const tn_attribute reference = {
        .size = sizeof reference, .type = TN_ATTR_REF, .name = "axis", .s = { "axis", 4 }
    };
    const tn_attribute gone = {
        .size = sizeof gone, .type = TN_ATTR_REF, .name = "beta", .s = { "beta", 4 }
    };
    OK(tn_graph_set_attribute(f, softmax, &reference));
    OK(tn_graph_set_attribute(f, softmax, &gone));
    tn_node_id wrap = region_node(f, 0, out(f, softmax), a, &body);
    OK(tn_graph_add_output(f, 0, "r", out(f, wrap)));
    OK(tn_graph_add_output(f, 0, "same", a));
    return f;
}

Test(inlining, copies_a_function_with_the_callers_attributes)
{
    tn_graph *f = make_function(graph);
    tn_value_id x = input(graph, 0, "x"), results[2];
    tn_node_desc desc = describe(0, "F", &x, 1);
    const tn_attribute axis = int_attribute("axis", 2);
    desc.domain = "d";
    desc.output_count = 2;
    tn_node_id call, plain;
    OK(tn_graph_add_node(graph, &desc, &plain));
    desc.attributes = &axis;
    desc.attribute_count = 1;
    OK(tn_graph_add_node(graph, &desc, &call));
    char *function_before = text_of(f);
    OK(tn_graph_inline(graph, call, f, 0, &x, 1, results, 2));
    cr_assert_eq(results[1], x);
    tn_node_id copy = tn_graph_find_node(graph, "f#2/softmax");
    cr_assert_neq(copy, TN_NONE);
    cr_assert_eq(tn_graph_node(graph, copy)->attribute_count, 1);
    cr_assert_eq(tn_attr_int(tn_graph_node(graph, copy), "axis", 0), 2);
    cr_assert_str_eq(tn_graph_trace(graph, copy), "f#2");
    OK(tn_graph_inline(graph, plain, f, 0, &x, 1, results, 2));
    copy = tn_graph_find_node(graph, "f/softmax");
    cr_assert_eq(tn_attr_int(tn_graph_node(graph, copy), "axis", 0), 4);
    OK(tn_graph_verify(graph, NULL));
    expect_same(f, function_before);
    tn_free(function_before);
}

Test(inlining, a_function_is_clean_when_memory_is_short)
{
    tn_graph *f = make_function(graph);
    tn_value_id x = input(graph, 0, "x"), results[2];
    tn_node_desc desc = describe(0, "F", &x, 1);
    tn_node_id call;
    desc.output_count = 2;
    OK(tn_graph_add_node(graph, &desc, &call));
    char *before = text_of(graph);
    for (uint64_t n = 1; n < 1000; n++) {
        OK(tn_graph_begin(graph));
        tn_test_fail_allocation(n);
        tn_status status = tn_graph_inline(graph, call, f, 0, &x, 1, results, 2);
        tn_test_fail_allocation(0);
        cr_assert(status == TN_OK || status == TN_ERR_MEMORY, "%s", tn_error_message());
        if (status != TN_OK)
            expect_same(graph, before);
        tn_graph_undo(graph);
        expect_same(graph, before);
        if (status == TN_OK && n > 300)
            break;
    }
    tn_free(before);
}

Test(inlining, between_strangers_translates_dimensions)
{
    tn_graph *other;
    OK(tn_graph_create(&other));
    tn_dim n, unused;
    OK(tn_graph_dim_parse(graph, "unused", &unused));
    OK(tn_graph_dim_parse(other, "N*2", &n));
    tn_value_id a = input(other, 0, "a"), x = input(graph, 0, "x"), result;
    tn_node_id relu = node(other, 0, "Relu", a, TN_NONE);
    const tn_type type = tn_type_of(TN_FLOAT32, 1, &n);
    OK(tn_graph_set_type(other, out(other, relu), &type));
    OK(tn_graph_add_output(other, 0, "r", out(other, relu)));
    tn_node_id call = node(graph, 0, "F", x, TN_NONE);
    OK(tn_graph_inline(graph, call, other, 0, &x, 1, &result, 1));
    char text[16];
    tn_graph_destroy(other);
    cr_assert_eq(
        tn_graph_dim_text(graph, tn_graph_value(graph, result)->type->dims[0], text, sizeof text),
        3);
    cr_assert_str_eq(text, "N*2");
}

Test(inlining, refuses_what_does_not_fit)
{
    sample(graph);
    tn_value_id x = tn_graph_find_value(graph, 0, "x"), results[2];
    tn_node_id wrap = tn_graph_find_node(graph, "wrap"), relu = tn_graph_find_node(graph, "relu");
    cr_assert_eq(tn_graph_inline(graph, relu, graph, 1, &x, 1, results, 1), TN_ERR_ARGUMENT);
    cr_assert_eq(tn_graph_inline(graph, wrap, graph, 1, &x, 1, results, 2), TN_ERR_ARGUMENT);
    cr_assert_eq(tn_graph_inline(graph, wrap, graph, 1, (tn_value_id[]){ x, x }, 2, results, 1),
                 TN_ERR_ARGUMENT);
    cr_assert_eq(tn_graph_inline(graph, wrap, graph, 9, &x, 1, results, 1), TN_ERR_STALE);
}

/* ---- the graph as a whole ------------------------------------------------------------------ */

Test(whole, has_name_metadata_and_operator_sets)
{
    const char *doc, *text;
    int64_t version;
    OK(tn_graph_set_name(graph, "n", "d"));
    cr_assert_str_eq(tn_graph_name(graph, &doc), "n");
    cr_assert_str_eq(doc, "d");
    OK(tn_graph_set_metadata(graph, "a", "1"));
    OK(tn_graph_set_metadata(graph, "b", "2"));
    OK(tn_graph_set_metadata(graph, "a", "3"));
    cr_assert_eq(tn_graph_metadata_count(graph), 2);
    cr_assert_str_eq(tn_graph_metadata(graph, 0, &text), "a");
    cr_assert_str_eq(text, "3");
    cr_assert_null(tn_graph_metadata(graph, 2, &text));
    OK(tn_graph_set_opset(graph, "ai.onnx", 13));
    OK(tn_graph_set_opset(graph, "", 21));
    cr_assert_eq(tn_graph_opset_count(graph), 1);
    cr_assert_str_eq(tn_graph_opset(graph, 0, &version), "");
    cr_assert_eq(version, 21);
    cr_assert_eq(tn_graph_set_opset(graph, "", 0), TN_ERR_ARGUMENT);
}

Test(whole, functions_are_unique_and_declare_attributes)
{
    tn_graph *f, *again;
    const char *domain, *name, *overload;
    const tn_attribute *declared;
    OK(tn_graph_add_function(graph, "d", "F", "", &f));
    cr_assert_eq(tn_graph_add_function(graph, "d", "F", "", &again), TN_ERR_DUPLICATE);
    OK(tn_graph_add_function(graph, "d", "F", "v2", &again));
    cr_assert_eq(tn_graph_function_count(graph), 2);
    cr_assert_eq(tn_graph_function(graph, 1, &domain, &name, &overload), again);
    cr_assert_str_eq(overload, "v2");
    cr_assert_null(tn_graph_function(graph, 2, NULL, NULL, NULL));
    const tn_attribute open = { .size = sizeof open, .name = "k" };
    OK(tn_graph_add_function_attribute(f, &open, 1));
    cr_assert_eq(tn_graph_add_function_attribute(f, &open, 1), TN_ERR_DUPLICATE);
    cr_assert_eq(tn_graph_function_attributes(f, &declared), 1);
    cr_assert_eq(declared[0].type, TN_ATTR_UNDEFINED);
    cr_assert(tn_graph_function_attribute_required(f, 0));
    cr_assert_eq(tn_graph_dims(f), tn_graph_dims(graph));
}

Test(whole, the_table_for_plugins_has_no_gap)
{
    const unsigned char *bytes = (const unsigned char *)&tn_graph_functions;
    for (size_t at = offsetof(tn_graph_api, first_node); at < sizeof tn_graph_functions;
         at += sizeof(void *)) {
        void *function;
        memcpy(&function, bytes + at, sizeof function);
        cr_assert_not_null(function, "at offset %d", (int)at);
    }
    cr_assert_eq(tn_graph_functions.size, sizeof(tn_graph_api));
}

Test(whole, dimension_text_is_cut_to_size)
{
    char text[4];
    tn_dim dim;
    OK(tn_graph_dim_parse(graph, "length", &dim));
    cr_assert_eq(tn_graph_dim_text(graph, dim, text, sizeof text), 6);
    cr_assert_str_eq(text, "len");
    cr_assert_eq(tn_graph_dim_text(graph, 12345, NULL, 0), 5);
}
