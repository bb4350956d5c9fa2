/* Bad .onnx files: one clear error for each, word for word, and nothing worse.
 *
 * SPDX-License-Identifier: MIT */
#include "proto.h"

#include <stdio.h>
#include <unistd.h>

static void refused(const pb *model, tn_status status, const char *message)
{
    tn_model *loaded = NULL;
    cr_assert_eq(load(model, &loaded), status, "%s: %s", message, tn_error_message());
    cr_assert_null(loaded);
    cr_assert_str_eq(tn_error_message(), message);
}

/* Read without complaint, refused when it is compiled. */
static void not_compiled(const pb *model, tn_status status, const char *message)
{
    tn_model *loaded = NULL;
    tn_session *session = NULL;
    OK(load(model, &loaded));
    cr_assert_eq(tn_session_create(loaded, NULL, NULL, &session), status, "%s", tn_error_message());
    cr_assert_str_eq(tn_error_message(), message);
    tn_model_destroy(loaded);
}

/* x [3] → op → y */
static pb small_graph(const char *op)
{
    pb g = { .count = 0 };
    const pb n = pb_node(op, "x", NULL, "y");
    pb_text(&g, 2, "small");
    pb_in(&g, 1, &n);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    return g;
}

/* The small graph with one initializer. */
static pb with_tensor(const pb *tensor)
{
    pb g = small_graph("Relu");
    pb_in(&g, 5, tensor);
    return pb_model(&g, 8, 17);
}

/* ---- the wire -------------------------------------------------------------------------------------------- */

Test(onnx_bad, an_empty_file)
{
    tn_model *model = NULL;
    const tn_model_options options = { .size = sizeof options, .format = "onnx" };
    char text[] = "";
    cr_assert_eq(tn_model_load_bytes(runtime_of_tests(), text, 0, &options, NULL, &model),
                 TN_ERR_SYNTAX);
    cr_assert_str_eq(tn_error_message(),
                     "at byte 0, the bytes are no field of ModelProto: the file is cut "
                     "off or damaged, or no ONNX file");
}

Test(onnx_bad, a_file_cut_off_anywhere_is_refused_or_lacks_something)
{
    const pb g = small_graph("Relu"), whole = pb_model(&g, 8, 17);
    pb cut = whole;
    cut.count = whole.count - 1;
    refused(&cut, TN_ERR_SYNTAX,
            "at byte 8, the bytes are no field of ModelProto: the file is cut off or damaged, or "
            "no ONNX file");
    for (size_t count = 3; count < whole.count; count++) {
        tn_model *model = NULL;
        cut.count = count;
        cr_assert_neq(load(&cut, &model), TN_OK, "%zu bytes", count);
    }
}

Test(onnx_bad, flipped_bits_never_crash)
{
    const pb g = small_graph("Relu"), whole = pb_model(&g, 8, 17);
    for (size_t bit = 0; bit < whole.count * 8; bit++) {
        pb damaged = whole;
        tn_model *model = NULL;
        tn_session *session = NULL;
        damaged.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const tn_model_options options = { .size = sizeof options, .format = "onnx" };
        if (tn_model_load_bytes(runtime_of_tests(), damaged.bytes, damaged.count, &options, NULL,
                                &model) == TN_OK &&
            tn_session_create(model, NULL, NULL, &session) == TN_OK)
            tn_session_destroy(session);
        tn_model_destroy(model);
    }
}

Test(onnx_bad, a_wrong_wire_type)
{
    pb m = { .count = 0 };
    pb_int(&m, 1, 8);
    pb_int(&m, 7, 5); /* graph is a message */
    refused(&m, TN_ERR_FORMAT, "at byte 2, field graph is a number: expected bytes with a length");
}

Test(onnx_bad, two_graphs)
{
    const pb g = small_graph("Relu");
    pb m = pb_model(&g, 8, 17);
    pb_in(&m, 7, &g);
    refused(&m, TN_ERR_FORMAT, "at byte 65, field graph stands twice");
}

/* ---- the frame --------------------------------------------------------------------------------------------- */

Test(onnx_bad, no_operator_set_no_graph_old_version)
{
    pb m = { .count = 0 };
    pb_int(&m, 1, 8);
    pb_text(&m, 2, "nobody");
    refused(&m, TN_ERR_FORMAT,
            "model: opset_import is missing: what the operators mean depends on it");
    const pb o = pb_opset("", 17);
    pb_in(&m, 8, &o);
    refused(&m, TN_ERR_FORMAT, "model: graph is missing");
    const pb g = small_graph("Relu"), old = pb_model(&g, 2, 1);
    refused(&old, TN_ERR_FORMAT, "model: ir_version is 2: versions from 3 on are read");
}

Test(onnx_bad, an_unknown_operator_names_the_nearest)
{
    const pb g = small_graph("Reluu"), m = pb_model(&g, 8, 17);
    not_compiled(&m, TN_ERR_OPERATOR,
                 "node 'reluu' (Reluu): no plugin brings operator 'Reluu' of domain ai.onnx; did "
                 "you mean 'Relu'?");
}

Test(onnx_bad, an_unknown_domain_names_the_nearest)
{
    static const char *const domains[2] = { "com.exmple", "ai.onnx.lm" };
    static const char *const said[2] = {
        "node 'relu' (com.exmple::Relu): no plugin brings operator 'Relu' of domain com.exmple",
        "node 'relu' (ai.onnx.lm::Relu): no plugin brings operator 'Relu' of domain ai.onnx.lm; did "
        "you mean domain 'ai.onnx.ml'?"
    };
    for (int k = 0; k < 2; k++) {
        pb g = { .count = 0 }, n = pb_node("Relu", "x", NULL, "y");
        pb_text(&n, 7, domains[k]);
        pb_in(&g, 1, &n);
        pb_value(&g, 11, "x", 3, NULL);
        pb_value(&g, 12, "y", 3, NULL);
        pb m = pb_model(&g, 8, 17);
        const pb o = pb_opset(domains[k], 1);
        pb_in(&m, 8, &o);
        not_compiled(&m, TN_ERR_OPERATOR, said[k]);
    }
}

/* Celu came with set 12. */
Test(onnx_bad, an_operator_that_its_set_does_not_have_yet)
{
    const pb g = small_graph("Celu"), m = pb_model(&g, 8, 11);
    not_compiled(
        &m, TN_ERR_OPERATOR,
        "node 'celu' (Celu): operator 'Celu' of operator set 11 of ai.onnx is not held: the "
        "versions held begin later, up to 12");
}

Test(onnx_bad, a_newer_operator_set_is_a_warning)
{
    const pb g = small_graph("Relu"), m = pb_model(&g, 8, 99);
    tn_model *model;
    tn_session *session;
    tn_diagnostics *diagnostics;
    OK(tn_diagnostics_create(&diagnostics));
    OK(load(&m, &model));
    OK(tn_session_create(model, NULL, diagnostics, &session));
    cr_assert_eq(tn_diagnostics_total(diagnostics, TN_SEVERITY_WARNING), 1);
    cr_assert_str_eq(
        tn_diagnostics_get(diagnostics, 0)->message,
        "the graph imports operator set 99 of ai.onnx; operators are held up to set 27");
    tn_session_destroy(session);
    tn_model_destroy(model);
    tn_diagnostics_destroy(diagnostics);
}

/* ---- tensors ------------------------------------------------------------------------------------------------ */

Test(onnx_bad, sizes_that_differ)
{
    pb t = pb_tensor("w", 1, 3);
    pb_data(&t, 9, "12345678", 8);
    pb m = with_tensor(&t);
    refused(&m, TN_ERR_SHAPE,
            "graph.initializer[0] 'w': raw_data has 8 bytes, but the dims need 12");
    t = pb_tensor("w", 6, 3);
    pb_int(&t, 5, 1);
    m = with_tensor(&t);
    refused(&m, TN_ERR_SHAPE,
            "graph.initializer[0] 'w': int32_data has 1 entries, but the dims need 3");
    pb_data(&t, 9, "123456789012", 12);
    m = with_tensor(&t);
    refused(&m, TN_ERR_FORMAT,
            "graph.initializer[0] 'w': the tensor has both raw_data and int32_data");
}

Test(onnx_bad, dims_that_cannot_be)
{
    pb t = pb_tensor("w", 1, -1), m = with_tensor(&t);
    refused(&m, TN_ERR_SHAPE, "graph.initializer[0] 'w': dims[0] is -1, which is negative");
    t = pb_tensor("w", 1, INT64_MAX);
    m = with_tensor(&t);
    refused(&m, TN_ERR_LIMIT,
            "graph.initializer[0] 'w': the dims multiply to more than memory holds");
    t = pb_tensor("w", 1, INT64_C(1) << 32);
    pb_int(&t, 1, INT64_C(1) << 32);
    m = with_tensor(&t);
    refused(&m, TN_ERR_LIMIT,
            "graph.initializer[0] 'w': the dims multiply to more than memory holds");
    t = pb_tensor("w", 1, INT64_C(1) << 40);
    m = with_tensor(&t);
    refused(&m, TN_ERR_SHAPE,
            "graph.initializer[0] 'w': raw_data has 0 bytes, but the dims need 4398046511104");
    t = pb_tensor("w", 1, 1);
    for (int k = 0; k < 16; k++)
        pb_int(&t, 1, 1);
    m = with_tensor(&t);
    refused(&m, TN_ERR_SHAPE,
            "graph.initializer[0] 'w': the tensor has 17 dims: expected at most 16");
}

Test(onnx_bad, types_and_values_that_are_none)
{
    pb t = pb_tensor("w", 99, 1), m = with_tensor(&t);
    refused(&m, TN_ERR_TYPE, "graph.initializer[0] 'w': data_type is 99, which is no element type");
    t = pb_tensor("w", 3, 1);
    pb_int(&t, 5, 300);
    m = with_tensor(&t);
    refused(&m, TN_ERR_VALUE,
            "graph.initializer[0] 'w': entry 0 of int32_data is 300, which the "
            "type does not hold");
    t = pb_tensor("w", 9, 1);
    pb_data(&t, 9, "\7", 1);
    m = with_tensor(&t);
    refused(&m, TN_ERR_VALUE,
            "graph.initializer[0] 'w': element 0 of a bool tensor is 7: expected 0 or 1");
}

Test(onnx_bad, a_sparse_tensor_outside_its_shape_or_too_large)
{
    for (int huge = 0; huge < 2; huge++) {
        pb values = pb_tensor("w", 1, 1), indices = pb_tensor(NULL, 7, 1), sparse = { .count = 0 };
        pb g = small_graph("Relu");
        pb_data(&values, 9, "1234", 4);
        pb_int(&indices, 7, 12);
        pb_in(&sparse, 1, &values);
        pb_in(&sparse, 2, &indices);
        pb_int(&sparse, 3, huge ? INT64_C(1) << 40 : 3);
        pb_in(&g, 15, &sparse);
        const pb m = pb_model(&g, 8, 17);
        char text[200];
        snprintf(
            text, sizeof text,
            "graph.sparse_initializer[0]: sparse tensors become more than %zu bytes when written "
            "out: the bound for a file of %zu",
            (size_t)16777216 + 1000 * m.count, m.count);
        refused(&m, huge ? TN_ERR_LIMIT : TN_ERR_VALUE,
                huge ? text
                     : "graph.sparse_initializer[0]: index 0 is 12, which is outside [0, 3)");
    }
}

Test(onnx_bad, budgets_hold_for_models_of_a_format)
{
    pb weight = pb_tensor("w", 1, 2);
    pb_data(&weight, 9, "12345678", 8);
    const pb m = with_tensor(&weight);
    for (int k = 0; k < 3; k++) {
        tn_model *model = NULL;
        tn_model_options options = { .size = sizeof options,
                                     .limits = { .size = sizeof options.limits,
                                                 .weight_bytes = k == 1 ? 7 : 8 } };
        if (k == 2)
            options.limits.nodes = 1;
        pb two = small_graph("Relu");
        const pb more = pb_node("Abs", "x", NULL, "z"),
                 whole = (pb_in(&two, 1, &more), pb_model(&two, 8, 17));
        const pb *read = k == 2 ? &whole : &m;
        const tn_status status = tn_model_load_bytes(runtime_of_tests(), read->bytes, read->count,
                                                     &options, NULL, &model);
        cr_expect_eq(status, k ? TN_ERR_LIMIT : TN_OK);
        if (k == 1)
            cr_expect_str_eq(tn_error_message(),
                             "the constants take 8 bytes; the budget of all is 7");
        if (k == 2)
            cr_expect_str_eq(tn_error_message(), "the model has 2 nodes; the budget is 1");
        tn_model_destroy(model);
    }
}

/* ---- names and graphs --------------------------------------------------------------------------------------- */

Test(onnx_bad, names_that_nothing_has_or_two_have)
{
    pb g = small_graph("Relu"), n = pb_node("Relu", "nothing", NULL, "z");
    pb_in(&g, 1, &n);
    pb m = pb_model(&g, 8, 17);
    refused(&m, TN_ERR_NAME,
            "graph.node[1] (Relu): input 0 is 'nothing', which is no input, "
            "initializer or output of a node");
    g = small_graph("Relu");
    n = pb_node("Relu", "x", NULL, "y");
    pb_in(&g, 1, &n);
    m = pb_model(&g, 8, 17);
    refused(&m, TN_ERR_DUPLICATE, "graph.node[1] (Relu): the name 'y' stands for two values");
    g = small_graph("Relu");
    pb_value(&g, 12, "nowhere", 3, NULL);
    m = pb_model(&g, 8, 17);
    refused(&m, TN_ERR_NAME,
            "graph.output[1] 'nowhere': no input, initializer or output of a node "
            "has this name");
}

Test(onnx_bad, a_cycle)
{
    pb g = { .count = 0 };
    const pb a = pb_node("Relu", "q", NULL, "p"), b = pb_node("Abs", "p", NULL, "q");
    pb_in(&g, 1, &a);
    pb_in(&g, 1, &b);
    pb_value(&g, 12, "q", 3, NULL);
    const pb m = pb_model(&g, 8, 17);
    tn_model *model;
    tn_session *session;
    OK(load(&m, &model));
    cr_assert_eq(tn_session_create(model, NULL, NULL, &session), TN_ERR_CYCLE);
    cr_assert(strstr(tn_error_message(), "'relu'") && strstr(tn_error_message(), "'abs'"), "%s",
              tn_error_message());
    tn_model_destroy(model);
}

Test(onnx_bad, graphs_within_graphs_without_end)
{
    pb g = small_graph("Relu");
    for (int depth = 0; depth < 70; depth++) {
        pb a = { .count = 0 }, n = pb_node("If", NULL, NULL, "r"), outer = { .count = 0 };
        pb_text(&a, 1, "b");
        pb_in(&a, 6, &g);
        pb_int(&a, 20, 5);
        pb_in(&n, 5, &a);
        pb_in(&outer, 1, &n);
        pb_value(&outer, 12, "r", 3, NULL);
        g = outer;
    }
    const pb m = pb_model(&g, 8, 17);
    tn_model *model = NULL;
    cr_assert_eq(load(&m, &model), TN_ERR_LIMIT, "%s", tn_error_message());
    cr_assert(strstr(tn_error_message(), "graphs nest deeper than 64"), "%s", tn_error_message());
}

/* 1,300 bytes that would be a million nodes. */
Test(onnx_bad, functions_that_double_with_each_other)
{
    const pb own = pb_opset("own", 1), onnx = pb_opset("", 17);
    pb g = { .count = 0 }, call = pb_node("f19", "x", NULL, "y");
    pb_text(&call, 7, "own");
    pb_in(&g, 1, &call);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    pb m = pb_model(&g, 8, 17);
    pb_in(&m, 8, &own);
    for (int k = 0; k < 20; k++) {
        pb f = { .count = 0 };
        char name[8], inner[8];
        snprintf(name, sizeof name, "f%d", k);
        snprintf(inner, sizeof inner, "f%d", k - 1);
        pb_text(&f, 1, name);
        pb_text(&f, 4, "a");
        pb_text(&f, 5, "c");
        for (int half = 0; half < 2; half++) {
            pb n = pb_node(k ? inner : "Neg", half ? "b" : "a", NULL, half ? "c" : "b");
            if (k)
                pb_text(&n, 7, "own");
            pb_in(&f, 7, &n);
        }
        pb_in(&f, 9, &own);
        pb_in(&f, 9, &onnx);
        pb_text(&f, 10, "own");
        pb_in(&m, 25, &f);
    }
    not_compiled(&m, TN_ERR_LIMIT,
                 "the model's functions make more than 1000000 nodes in their places");
}

Test(onnx_bad, a_function_that_calls_itself)
{
    pb g = { .count = 0 }, f = { .count = 0 }, n = pb_node("F", "x", NULL, "y");
    pb_text(&n, 7, "own");
    pb_in(&g, 1, &n);
    pb_value(&g, 11, "x", 3, NULL);
    pb_value(&g, 12, "y", 3, NULL);
    pb m = pb_model(&g, 8, 17);
    const pb own = pb_opset("own", 1);
    pb_text(&f, 1, "F");
    pb_text(&f, 4, "x");
    pb_text(&f, 5, "y");
    pb_in(&f, 7, &n);
    pb_in(&f, 9, &own);
    pb_text(&f, 10, "own");
    pb_in(&m, 25, &f);
    pb_in(&m, 8, &own);
    not_compiled(&m, TN_ERR_LIMIT,
                 "the model's functions are nested without end: one of them calls itself");
}

Test(onnx_bad, a_map_is_not_held)
{
    pb map = { .count = 0 }, type = { .count = 0 }, value = { .count = 0 }, g = small_graph("Relu");
    pb_int(&map, 1, 7);
    pb_in(&type, 5, &map);
    pb_text(&value, 1, "m");
    pb_in(&value, 2, &type);
    pb_in(&g, 11, &value);
    const pb m = pb_model(&g, 8, 17);
    refused(&m, TN_ERR_TYPE,
            "graph.input[1] 'm': the type is a map, which Tenon does not hold: "
            "expected a tensor, a sequence or an optional");
}

/* ---- external data --------------------------------------------------------------------------------------------- */

static char folder[64];

static void write_at(const char *name, const void *bytes, size_t count)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/tenon-onnx-XXXXXX");
    cr_assert(mkdtemp(folder));
    write_at("w.bin", "0123456789abcdef", 16);
}

static void remove_folder(void)
{
    static const char *const names[] = { "w.bin", "m.onnx", "link", "hard" };
    char path[200];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        unlink(path);
    }
    rmdir(folder);
}

/* A model whose three floats stand elsewhere. */
static tn_status load_external(const char *location, const char *offset, const char *length,
                               tn_model **out)
{
    char path[200];
    pb t = pb_tensor("w", 1, 3);
    pb_entry(&t, 13, "location", location);
    if (offset)
        pb_entry(&t, 13, "offset", offset);
    if (length)
        pb_entry(&t, 13, "length", length);
    pb_int(&t, 14, 1);
    const pb m = with_tensor(&t);
    write_at("m.onnx", m.bytes, m.count);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    return tn_model_load(runtime_of_tests(), path, NULL, NULL, out);
}

static void external_refused(const char *location, const char *offset, const char *length,
                             tn_status status, const char *message)
{
    char whole[400];
    tn_model *model = NULL;
    cr_assert_eq(load_external(location, offset, length, &model), status, "%s: %s", message,
                 tn_error_message());
    snprintf(whole, sizeof whole, "%s/m.onnx: %s", folder, message);
    cr_assert_str_eq(tn_error_message(), whole);
}

Test(onnx_bad, external_data_stays_in_the_folder, .init = make_folder, .fini = remove_folder)
{
    char path[200], other[200];
    external_refused("../w.bin", NULL, NULL, TN_ERR_IO,
                     "'../w.bin' is no path inside the graph's folder");
    external_refused("/etc/passwd", NULL, NULL, TN_ERR_IO,
                     "'/etc/passwd' is no path inside the graph's folder");
    snprintf(path, sizeof path, "%s/link", folder);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    external_refused("link", NULL, NULL, TN_ERR_IO, "'link' leads outside the graph's folder");
    snprintf(path, sizeof path, "%s/w.bin", folder);
    snprintf(other, sizeof other, "%s/hard", folder);
    cr_assert_eq(link(path, other), 0);
    external_refused(
        "hard", NULL, NULL, TN_ERR_IO,
        "'hard' is a hard link: another name of it may lie outside the graph's folder");
    unlink(other);
}

Test(onnx_bad, external_data_lies_within_its_file, .init = make_folder, .fini = remove_folder)
{
    tn_model *model;
    OK(load_external("w.bin", "4", "12", &model));
    tn_model_destroy(model);
    external_refused("w.bin", "8", NULL, TN_ERR_FORMAT,
                     "graph.initializer[0] 'w': external data is bytes 8 to 20 of 'w.bin', which "
                     "has 16");
    external_refused("w.bin", "18446744073709551615", NULL, TN_ERR_FORMAT,
                     "graph.initializer[0] 'w': external data is bytes 18446744073709551615 to 11 "
                     "of 'w.bin', which has 16");
    external_refused("w.bin", "-1", NULL, TN_ERR_FORMAT,
                     "graph.initializer[0] 'w'.external_data[1]: offset is '-1': expected a number "
                     "of bytes");
    external_refused("w.bin", "0", "16", TN_ERR_SHAPE,
                     "graph.initializer[0] 'w': external data has length 16, but the dims need 12 "
                     "bytes");
}
