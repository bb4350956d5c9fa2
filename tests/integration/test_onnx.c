/* Reading .onnx: what the conformance data does not show.
 *
 * SPDX-License-Identifier: MIT */
#include "proto.h"

static const float three[3] = { -1, 2, -3 };

/* Runs a model of one input x [3] and gives the first output. */
static void run_three(const pb *m, float *out)
{
    static const int64_t dims[1] = { 3 };
    float data[3];
    tn_model *model;
    tn_session *session;
    tn_context *context;
    OK(load(m, &model));
    OK(tn_session_create(model, NULL, NULL, &session));
    OK(tn_context_create(session, &context));
    memcpy(data, three, sizeof data);
    const tn_tensor x = floats(data, 1, dims);
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    memcpy(out, tn_context_output(context, 0)->data, 3 * sizeof *out);
    tn_context_destroy(context);
    tn_session_destroy(session);
    tn_model_destroy(model);
}

static void assert_three(const float *got, float a, float b, float c)
{
    cr_assert(got[0] == a && got[1] == b && got[2] == c, "%g %g %g", (double)got[0], (double)got[1],
              (double)got[2]);
}

/* x + w → y */
static pb graph_with(const pb *tensor, bool is_input)
{
    pb g = { .count = 0 };
    const pb n = pb_node("Add", "x", "w", "y");
    pb_in(&g, 1, &n);
    pb_in(&g, 5, tensor);
    pb_value(&g, 11, "x", 3, NULL);
    if (is_input)
        pb_value(&g, 11, "w", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    return g;
}

static pb weights(void)
{
    static const float data[3] = { 10, 20, 30 };
    pb t = pb_tensor("w", 1, 3);
    pb_data(&t, 9, data, sizeof data);
    return t;
}

Test(onnx, an_initializer_that_is_an_input_is_a_default_from_ir_4_on)
{
    const pb t = weights(), g = graph_with(&t, true);
    for (int ir = 3; ir <= 4; ir++) {
        const pb m = pb_model(&g, ir, 7);
        tn_model *model;
        tn_session *session;
        float y[3];
        OK(load(&m, &model));
        OK(tn_session_create(model, NULL, NULL, &session));
        cr_assert_eq(tn_session_input(session, 1) != NULL, ir == 4);
        if (ir == 4)
            cr_assert_eq(tn_session_input(session, 1)->has_default, 1);
        tn_session_destroy(session);
        tn_model_destroy(model);
        run_three(&m, y);
        assert_three(y, 9, 22, 27);
    }
}

Test(onnx, floats_in_typed_fields_packed_or_not)
{
    static const float data[3] = { 10, 20, 30 };
    pb packed = pb_tensor("w", 1, 3), loose = pb_tensor("w", 1, 3);
    float y[3];
    pb_data(&packed, 4, data, sizeof data);
    for (int k = 0; k < 3; k++) {
        pb_varint(&loose, 4 << 3 | 5);
        pb_raw(&loose, &data[k], 4);
    }
    const pb a = graph_with(&packed, false), b = graph_with(&loose, false);
    const pb m = pb_model(&a, 8, 17), n = pb_model(&b, 8, 17);
    run_three(&m, y);
    assert_three(y, 9, 22, 27);
    run_three(&n, y);
    assert_three(y, 9, 22, 27);
}

Test(onnx, a_sparse_initializer_is_written_out)
{
    static const float two[2] = { 5, 7 };
    pb g = { .count = 0 }, values = pb_tensor("w", 1, 2), indices = pb_tensor(NULL, 7, 2),
       sparse = { .count = 0 };
    const pb n = pb_node("Add", "x", "w", "y");
    float y[3];
    pb_data(&values, 9, two, sizeof two);
    pb_int(&indices, 7, 0);
    pb_int(&indices, 7, 2);
    pb_in(&sparse, 1, &values);
    pb_in(&sparse, 2, &indices);
    pb_int(&sparse, 3, 3);
    pb_in(&g, 1, &n);
    pb_in(&g, 15, &sparse);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    const pb m = pb_model(&g, 8, 17);
    run_three(&m, y);
    assert_three(y, 4, 2, 4);
}

Test(onnx, nodes_may_stand_in_any_order_and_names_may_hold_anything)
{
    pb g = { .count = 0 };
    const pb second = pb_node("Neg", "a/b %2F\xc3\xa9 :0", NULL, "y"),
             first = pb_node("Abs", "x", NULL, "a/b %2F\xc3\xa9 :0");
    float y[3];
    pb_in(&g, 1, &second);
    pb_in(&g, 1, &first);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    const pb m = pb_model(&g, 8, 17);
    run_three(&m, y);
    assert_three(y, -1, -2, -3);
}

Test(onnx, a_constant_node_is_a_constant)
{
    pb g = { .count = 0 }, a = { .count = 0 }, c = pb_node("Constant", NULL, NULL, "w");
    const pb n = pb_node("Add", "x", "w", "y"), t = weights();
    tn_model *model;
    float y[3];
    pb_text(&a, 1, "value");
    pb_in(&a, 5, &t);
    pb_int(&a, 20, 4);
    pb_in(&c, 5, &a);
    pb_in(&g, 1, &c);
    pb_in(&g, 1, &n);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    const pb m = pb_model(&g, 8, 17);
    run_three(&m, y);
    assert_three(y, 9, 22, 27);
    OK(load(&m, &model));
    const tn_graph *graph = tn_model_graph(model);
    const tn_node_id only = tn_graph_first_node(graph, TN_TOP_REGION);
    cr_assert_str_eq(tn_graph_node(graph, only)->op, "Add");
    cr_assert_eq(tn_graph_next_node(graph, only), TN_NONE);
    tn_model_destroy(model);
}

Test(onnx, symbols_of_any_name_are_equal_where_their_names_are)
{
    pb g = { .count = 0 };
    const pb n = pb_node("Add", "x", "z", "y");
    tn_model *model;
    tn_session *session;
    pb_in(&g, 1, &n);
    pb_value(&g, 11, "x", 0, "batch size-1 (it's)");
    pb_value(&g, 11, "z", 0, "batch size-1 (it's)");
    pb_value(&g, 12, "y", 0, "batch size-1 (it's)");
    const pb m = pb_model(&g, 8, 17);
    OK(load(&m, &model));
    OK(tn_session_create(model, NULL, NULL, &session));
    cr_assert_str_eq(tn_session_output(session, 0)->shape, "['batch size-1 (it''s)']");
    cr_assert_str_eq(tn_session_input(session, 0)->shape, "['batch size-1 (it''s)']");
    tn_session_destroy(session);
    tn_model_destroy(model);
}

/* F(x; alpha = 0.5) = LeakyRelu(x; alpha), under an operator set of its own. */
static pb model_with_function(bool overload, bool give)
{
    pb g = { .count = 0 }, f = { .count = 0 }, call = pb_node("F", "x", NULL, "y"),
       leaky = pb_node("LeakyRelu", "x", NULL, "y"), reference = { .count = 0 },
       standard = { .count = 0 }, given = { .count = 0 };
    const float half = 0.5f, quarter = 0.25f;
    pb_text(&reference, 1, "alpha");
    pb_text(&reference, 21, "slope");
    pb_int(&reference, 20, 1);
    pb_in(&leaky, 5, &reference);
    pb_text(&standard, 1, "slope");
    pb_varint(&standard, 2 << 3 | 5);
    pb_raw(&standard, &half, 4);
    pb_int(&standard, 20, 1);
    pb_text(&given, 1, "slope");
    pb_varint(&given, 2 << 3 | 5);
    pb_raw(&given, &quarter, 4);
    pb_int(&given, 20, 1);
    pb_text(&call, 7, "own");
    if (overload)
        pb_text(&call, 8, "leaky");
    if (give)
        pb_in(&call, 5, &given);
    pb_in(&g, 1, &call);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    pb m = pb_model(&g, 10, 21);
    const pb own = pb_opset("own", 1), older = pb_opset("", 6);
    pb_text(&f, 1, "F");
    pb_text(&f, 4, "x");
    pb_text(&f, 5, "y");
    pb_in(&f, 7, &leaky);
    pb_in(&f, 9, &older);
    pb_text(&f, 10, "own");
    pb_in(&f, 11, &standard);
    if (overload)
        pb_text(&f, 13, "leaky");
    pb_in(&m, 25, &f);
    pb_in(&m, 8, &own);
    return m;
}

Test(onnx, functions_have_defaults_overloads_and_operator_sets_of_their_own)
{
    for (int k = 0; k < 4; k++) {
        const pb m = model_with_function(k & 1, k & 2);
        float y[3];
        run_three(&m, y);
        assert_three(y, k & 2 ? -0.25f : -0.5f, 2, k & 2 ? -0.75f : -1.5f);
    }
}

Test(onnx, what_is_left_out_is_said_once)
{
    const pb t = weights(), g = graph_with(&t, false), empty = { .count = 0 };
    pb m = pb_model(&g, 8, 17);
    tn_model *model;
    tn_diagnostics *diagnostics;
    pb_in(&m, 20, &empty);
    pb_in(&m, 20, &empty);
    pb_in(&m, 26, &empty);
    OK(tn_diagnostics_create(&diagnostics));
    OK(tn_model_load_bytes(runtime_of_tests(), m.bytes, m.count, NULL, diagnostics, &model));
    cr_assert_eq(tn_diagnostics_total(diagnostics, TN_SEVERITY_WARNING), 2);
    cr_assert_str_eq(tn_diagnostics_get(diagnostics, 0)->message,
                     "training_info is left out: Tenon runs the inference graph");
    cr_assert_str_eq(tn_diagnostics_get(diagnostics, 1)->message,
                     "device configurations are left out: backends are a session's choice");
    tn_model_destroy(model);
    tn_diagnostics_destroy(diagnostics);
}
