/* tests/unit/test_json.c: the JSON graph format, its random numbers and its weights files.
 *
 * Reading and writing first, then what is said about bad input, then random numbers, safetensors,
 * locale, and memory that is refused.
 *
 * SPDX-License-Identifier: MIT */
#include "json_support.h"

#include <sys/stat.h>

TestSuite(json, .fini = remove_folders);

/* ---- a graph with everything ----------------------------------------------------------------------- */

static const char everything[] =
    "{\"$schema\": \"tenon-graph.schema.json\", \"tenon\": 1, \"name\": \"all\", \"doc\": \"a \\\"doc\\\"\\n\\u00e9 \\ud83d\\ude00\","
    " \"opset\": {\"ai.onnx\": 21, \"com.example\": 3},"
    " \"metadata\": {\"labels\": \"a\\nb\", \"raw\": {\"base64\": \"/w==\"}},"
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 2, \"N*2+1\", null]},"
    "  {\"name\": \"any\", \"dtype\": \"int64\"},"
    "  {\"name\": \"seq\", \"type\": \"optional(sequence(tensor(string)))\", \"shape\": [3]},"
    "  {\"name\": \"ratio\", \"dtype\": \"float32\", \"shape\": [], \"default\": {\"data\": 0.5}},"
    "  {\"name\": \"bias\", \"dtype\": \"float32\", \"shape\": [\"M\"], \"default\": {\"shape\": [2], \"data\": [1, -0.0]}}],"
    " \"outputs\": [\"y\", {\"name\": \"again\", \"value\": \"y\", \"dtype\": \"float32\", \"shape\": [\"N\", null]}, {\"name\": \"c.bool\"}],"
    " \"constants\": {"
    "  \"c.f32\": {\"dtype\": \"float32\", \"shape\": [6], \"data\": [0.1, -0.0, 3.4028235e38, \"NaN\", \"Infinity\", \"-Infinity\"]},"
    "  \"c.f64\": {\"dtype\": \"float64\", \"shape\": [2], \"data\": [0.1, 5e-324]},"
    "  \"c.f16\": {\"dtype\": \"float16\", \"shape\": [5], \"data\": [1, 65504, 6e-8, -0.0, 0.1]},"
    "  \"c.bf16\": {\"dtype\": \"bfloat16\", \"shape\": [2], \"data\": [1.00390625, 3e38]},"
    "  \"c.e4m3\": {\"dtype\": \"float8e4m3fn\", \"shape\": [3], \"data\": [448, 0.1, \"NaN\"]},"
    "  \"c.e4m3z\": {\"dtype\": \"float8e4m3fnuz\", \"shape\": [3], \"data\": [240, -0.0, \"NaN\"]},"
    "  \"c.e5m2\": {\"dtype\": \"float8e5m2\", \"shape\": [3], \"data\": [57344, \"Infinity\", 1.25]},"
    "  \"c.e5m2z\": {\"dtype\": \"float8e5m2fnuz\", \"shape\": [2], \"data\": [57344, -1.75]},"
    "  \"c.e2m1\": {\"dtype\": \"float4e2m1\", \"shape\": [3], \"data\": [6, -0.5, 2.4]},"
    "  \"c.e8m0\": {\"dtype\": \"float8e8m0\", \"shape\": [3], \"data\": [0.5, 1.7014118346046923e38, \"NaN\"]},"
    "  \"c.i64\": {\"dtype\": \"int64\", \"shape\": [4], \"data\": [0, -1, \"9223372036854775807\", \"-9223372036854775808\"]},"
    "  \"c.u64\": {\"dtype\": \"uint64\", \"shape\": [1], \"data\": [\"18446744073709551615\"]},"
    "  \"c.i8\": {\"dtype\": \"int8\", \"shape\": [2, 1], \"data\": [[-128], [127]]},"
    "  \"c.i4\": {\"dtype\": \"int4\", \"shape\": [3], \"data\": [-8, 7, -1]},"
    "  \"c.u4\": {\"dtype\": \"uint4\", \"shape\": [3], \"data\": [15, 0, 9]},"
    "  \"c.i2\": {\"dtype\": \"int2\", \"shape\": [5], \"data\": [-2, 1, 0, -1, 1]},"
    "  \"c.u2\": {\"dtype\": \"uint2\", \"shape\": [5], \"data\": [3, 1, 2, 0, 3]},"
    "  \"c.bool\": {\"dtype\": \"bool\", \"shape\": [2], \"data\": [true, false]},"
    "  \"c.c64\": {\"dtype\": \"complex64\", \"shape\": [2], \"data\": [[1, -0.0], [\"NaN\", 2]]},"
    "  \"c.c128\": {\"dtype\": \"complex128\", \"shape\": [2, 1], \"data\": [[[0.1, 1]], [[2, 3]]]},"
    "  \"c.text\": {\"dtype\": \"string\", \"shape\": [3], \"data\": [\"a\\\"\\u0001\\u00e9\", \"\", {\"base64\": \"/wBh\"}]},"
    "  \"c.bits\": {\"dtype\": \"float32\", \"shape\": [2], \"bytes\": \"AQDAfwAAwP8=\"},"
    "  \"c.empty\": {\"dtype\": \"float32\", \"shape\": [2, 0], \"data\": []},"
    "  \"c.random\": {\"dtype\": \"float32\", \"shape\": [1000], \"random\": {\"distribution\": \"normal\", \"mean\": 1, \"std\": 0.25, \"seed\": \"18446744073709551615\"}},"
    "  \"c.uniform\": {\"dtype\": \"int32\", \"shape\": [100], \"random\": {\"distribution\": \"uniform\", \"low\": -3, \"high\": 3}}},"
    " \"nodes\": ["
    "  {\"name\": \"last\", \"op\": \"Add\", \"inputs\": [\"h\", \"\", \"t\"], \"outputs\": [\"y\"], \"doc\": \"written first\"},"
    "  {\"name\": \"conv\", \"op\": \"Conv\", \"inputs\": [\"x\", \"c.f32\"], \"outputs\": [\"\", \"h\"], \"attributes\": {"
    "   \"kernel_shape\": [3, \"3\"], \"group\": 1, \"auto_pad\": \"SAME_UPPER\", \"alpha\": 1, \"scales\": [1, 0.5, \"NaN\"],"
    "   \"labels\": [\"a\", {\"base64\": \"/w==\"}], \"value\": {\"tensor\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [1, 2]}}}},"
    "  {\"name\": \"conv\", \"op\": \"Swish\", \"domain\": \"com.example\", \"overload\": \"fast\", \"inputs\": [\"h\"], \"outputs\": [\"s\"], \"attributes\": {"
    "   \"i\": 3, \"f\": 3.0, \"s\": \"text\", \"b\": {\"base64\": \"/wA=\"}, \"is\": [1, 2], \"fs\": [1, 2.5], \"ss\": [\"a\"], \"none\": {\"ints\": []},"
    "   \"no_floats\": {\"floats\": []}, \"no_texts\": {\"strings\": []}, \"big\": {\"int\": \"-9223372036854775808\"}, \"ef\": {\"float\": \"-Infinity\"},"
    "   \"t\": {\"type\": \"sequence(tensor(float32))\"}, \"ts\": {\"types\": [{\"dtype\": \"int8\", \"shape\": [\"N\", 2]}, \"tensor(bool)\"]},"
    "   \"tensors\": {\"tensors\": [{\"dtype\": \"string\", \"shape\": [1], \"data\": [\"x\"]}, {\"dtype\": \"float32\", \"shape\": [], \"data\": [2]}]}}},"
    "  {\"op\": \"If\", \"domain\": \"ai.onnx\", \"inputs\": [\"any\"], \"outputs\": [\"t\"], \"attributes\": {"
    "   \"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [{\"name\": \"r\", \"value\": \"e\"}], \"constants\": {\"k\": {\"dtype\": \"int8\", \"shape\": [1], \"data\": [1]}},"
    "     \"nodes\": [{\"name\": \"inner\", \"op\": \"If\", \"inputs\": [\"k\"], \"outputs\": [\"e\"], \"attributes\": {\"then_branch\": {\"graph\": {\"inputs\": [\"a\", {\"name\": \"b\", \"dtype\": \"int8\"}],"
    "       \"outputs\": [\"z\"], \"nodes\": [{\"op\": \"Other\", \"inputs\": [\"x\", \"k\", \"a\"], \"outputs\": [\"z\"], \"attributes\": {\"graphs\": {\"graphs\": [{\"inputs\": [],"
    "         \"outputs\": [\"q\"], \"nodes\": [{\"op\": \"If\", \"inputs\": [\"a\"], \"outputs\": [\"q\"], \"attributes\": {\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"x\"], \"nodes\": []}}}}]}]}}}]}}}}]}},"
    "   \"else_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"e\"], \"nodes\": [{\"name\": \"inner\", \"op\": \"Relu\", \"inputs\": [\"h\"], \"outputs\": [\"e\"]}]}}}},"
    "  {\"name\": \"call\", \"op\": \"F\", \"domain\": \"local\", \"inputs\": [\"x\"], \"outputs\": [\"f\"], \"attributes\": {\"slope\": 2}}],"
    " \"functions\": [{\"name\": \"F\", \"domain\": \"local\", \"doc\": \"a function\", \"opset\": 20, \"metadata\": {\"k\": \"v\"},"
    "   \"attributes\": [\"open\", {\"name\": \"slope\", \"default\": {\"float\": 1}}, {\"name\": \"must\", \"required\": true}],"
    "   \"inputs\": [\"in\"], \"outputs\": [\"out\"], \"constants\": {\"k\": {\"dtype\": \"float32\", \"shape\": [], \"data\": [2]}},"
    "   \"nodes\": [{\"name\": \"n\", \"op\": \"Conv\", \"inputs\": [\"in\", \"k\"], \"outputs\": [\"out\"], \"attributes\": {\"alpha\": {\"ref\": \"slope\"}}}]},"
    "  {\"name\": \"G\", \"domain\": \"local\", \"overload\": \"o\", \"inputs\": [], \"outputs\": [\"v\"],"
    "   \"nodes\": [{\"op\": \"F\", \"domain\": \"local\", \"inputs\": [], \"outputs\": [\"v\"]}]}]}";

/* Everything that the graph prints, and the bytes of its constants. */
static char *picture(const tn_graph *graph)
{
    tn_builder out = { 0 };
    tn_graph_print(graph, &out);
    for (uint32_t k = 0; k < tn_graph_value_slots(graph); k++) {
        const tn_value_id value = tn_graph_value_at(graph, k);
        const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(graph, value);
        if (!view || !view->constant)
            continue;
        if (view->constant->dtype != TN_STRING)
            tn_add(&out, "%s %016" PRIx64 "\n", view->name,
                   tn_hash(view->constant->data, view->constant->bytes, 0));
        for (size_t j = 0;
             view->constant->dtype == TN_STRING && j < view->constant->bytes / sizeof(tn_text);
             j++) {
            const tn_text *text = (const tn_text *)view->constant->data + j;
            tn_add(&out, "%s %016" PRIx64 "\n", view->name, tn_hash(text->bytes, text->count, 0));
        }
    }
    cr_assert(!out.failed);
    return out.text;
}

static void expect_same(const tn_graph *a, const tn_graph *b)
{
    char *x = picture(a), *y = picture(b);
    cr_assert_str_eq(x, y);
    tn_free(x);
    tn_free(y);
}

/* Writes, reads, writes again: the graph and both texts are the same. Answers the text. */
static char *round_trip(const tn_registry *registry, const tn_graph *graph)
{
    const char *folder = make_folder(), *path = path_in(folder, "g.json");
    OK(tn_json_write(registry, graph, path, NULL));
    tn_graph *again = read_path(registry, path);
    expect_same(graph, again);
    char *first = file_text(path);
    OK(tn_json_write(registry, again, path, NULL));
    char *second = file_text(path);
    cr_assert_str_eq(first, second);
    free(second);
    tn_graph_destroy(again);
    return first;
}

static double element(const tn_graph *graph, const char *name, size_t k)
{
    const tn_tensor *tensor = value_named(graph, name)->constant;
    return tn_float_get(tensor->dtype, tensor->data, k);
}

static int64_t integer(const tn_graph *graph, const char *name, size_t k)
{
    const tn_tensor *tensor = value_named(graph, name)->constant;
    const uint64_t bits = tn_integer_get(tensor->dtype, tensor->data, k);
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Test(json, reads_what_the_text_says)
{
    tn_registry *registry = open_registry();
    tn_graph *g = read_string(registry, "all.json", everything);
    const char *doc, *text;
    int64_t version;
    cr_expect_str_eq(tn_graph_name(g, &doc), "all");
    cr_expect_str_eq(doc, "a \"doc\"\n\xc3\xa9 \xf0\x9f\x98\x80");
    cr_expect_str_eq(tn_graph_metadata(g, 1, &text), "raw");
    cr_expect_str_eq(text, "\xff");
    cr_expect_str_eq(tn_graph_opset(g, 1, &version), "com.example");
    cr_expect_eq(version, 3);

    const tn_type *x = value_named(g, "x")->type, *seq = value_named(g, "seq")->type;
    char dim[32];
    cr_expect_eq(x->rank, 4);
    tn_graph_dim_text(g, x->dims[2], dim, sizeof dim);
    cr_expect_str_eq(dim, "N*2+1");
    cr_expect_eq(x->dims[3], TN_DIM_UNKNOWN);
    cr_expect_eq(value_named(g, "any")->type->rank, -1);
    cr_expect_eq(seq->kind, TN_OPTIONAL | TN_SEQUENCE << 4);
    cr_expect_eq(seq->dtype, TN_STRING);
    cr_expect_eq(element(g, "ratio", 0), 0.5);
    cr_expect(__builtin_signbit(element(g, "bias", 1)));
    cr_expect_eq(value_named(g, "bias")->is_input, 1);

    cr_expect_eq(element(g, "c.f32", 0), (double)0.1f);
    cr_expect(__builtin_signbit(element(g, "c.f32", 1)));
    cr_expect_eq(element(g, "c.f32", 2), 0x1.fffffep127);
    cr_expect(__builtin_isnan(element(g, "c.f32", 3)));
    cr_expect_eq(element(g, "c.f32", 5), -__builtin_inf());
    cr_expect_eq(element(g, "c.f64", 1), 0x1p-1074);
    cr_expect_eq(element(g, "c.f16", 2), 0x1p-24);
    cr_expect_eq(element(g, "c.f16", 4), 0x1.998p-4);
    cr_expect_eq(element(g, "c.bf16", 0), 1.0, "a tie goes to the even fraction");
    cr_expect_eq(element(g, "c.e4m3", 1), 0.1015625);
    cr_expect_not(__builtin_signbit(element(g, "c.e4m3z", 1)), "the type has no minus zero");
    cr_expect(__builtin_isnan(element(g, "c.e4m3z", 2)));
    cr_expect_eq(element(g, "c.e5m2", 1), __builtin_inf());
    cr_expect_eq(element(g, "c.e5m2z", 1), -1.75);
    cr_expect_eq(element(g, "c.e2m1", 2), 2.0);
    cr_expect_eq(element(g, "c.e8m0", 1), 0x1p127);
    cr_expect_eq(integer(g, "c.i64", 3), INT64_MIN);
    cr_expect_eq(integer(g, "c.u64", 0), -1);
    cr_expect_eq(integer(g, "c.i8", 0), -128);
    cr_expect_eq(integer(g, "c.i4", 0), -8);
    cr_expect_eq(integer(g, "c.i2", 3), -1);
    cr_expect_eq(integer(g, "c.u2", 4), 3);
    const tn_text *texts = value_named(g, "c.text")->constant->data;
    cr_expect_eq(texts[2].count, 3);
    cr_expect_arr_eq(texts[2].bytes, "\xff\0a", 3);
    cr_expect_eq(((const double *)value_named(g, "c.c128")->constant->data)[1], 1.0);

    cr_expect_eq(attribute_of(g, "conv", "alpha")->type, TN_ATTR_FLOAT, "the schema says so");
    cr_expect_eq(attribute_of(g, "conv", "kernel_shape")->ints[1], 3);
    cr_expect_eq(attribute_of(g, "conv", "labels")->strings[1].count, 1);
    cr_expect_eq(attribute_of(g, "conv", "value")->tensors[0].dims[0], 2);
    cr_expect_eq(attribute_of(g, "conv#2", "i")->type, TN_ATTR_INT);
    cr_expect_eq(attribute_of(g, "conv#2", "f")->type, TN_ATTR_FLOAT);
    cr_expect_eq(attribute_of(g, "conv#2", "b")->s.count, 2);
    cr_expect_eq(attribute_of(g, "conv#2", "fs")->type, TN_ATTR_FLOATS);
    cr_expect_eq(attribute_of(g, "conv#2", "none")->type, TN_ATTR_INTS);
    cr_expect_eq(attribute_of(g, "conv#2", "big")->i, INT64_MIN);
    cr_expect_eq(attribute_of(g, "conv#2", "t")->types[0].kind, TN_SEQUENCE);
    cr_expect_eq(attribute_of(g, "conv#2", "ts")->types[0].dims[0], x->dims[0],
                 "one symbol, one handle");
    cr_expect_eq(attribute_of(g, "call", "slope")->type, TN_ATTR_FLOAT, "the function says so");

    const tn_node_view *last = tn_graph_node(g, node_named(g, TN_TOP_REGION, "last"));
    cr_expect_eq(last->inputs[1], TN_NONE);
    cr_expect_str_eq(tn_graph_node_doc(g, node_named(g, TN_TOP_REGION, "last")), "written first");
    cr_expect_eq(tn_graph_function_count(g), 2);
    cr_expect_str_eq(tn_graph_opset(tn_graph_function(g, 1, NULL, NULL, NULL), 1, &version),
                     "com.example", "as the model's");
    OK(tn_graph_verify(g, NULL));
    cr_expect_str_eq(tn_graph_node(g, tn_graph_first_node(g, TN_TOP_REGION))->name, "conv",
                     "sorted");
    tn_graph_destroy(g);
    tn_registry_destroy(registry);
}

Test(json, writes_what_it_read)
{
    tn_registry *registry = open_registry();
    tn_graph *g = read_string(registry, "all.json", everything);
    char *text = round_trip(registry, g);
    cr_expect(strstr(
        text,
        "\"c.random\": {\"dtype\": \"float32\", \"shape\": [1000], \"random\": {\"distribution\": \"normal\", \"mean\": 1.0, \"std\": 0.25, \"seed\": \"18446744073709551615\"}}"));
    cr_expect(
        strstr(text, "\"data\": [0.1, -0.0, 3.4028235e+38, \"NaN\", \"Infinity\", \"-Infinity\"]"));
    cr_expect(
        strstr(text,
               "\"c.bits\": {\"dtype\": \"float32\", \"shape\": [2], \"bytes\": \"AQDAfwAAwP8=\"}"),
        "a NaN with contents keeps them");
    cr_expect(strstr(
        text,
        "\"attributes\": {\"kernel_shape\": [3, 3], \"group\": 1, \"auto_pad\": \"SAME_UPPER\", \"alpha\": 1.0, \"scales\": [1.0, 0.5, \"NaN\"]"));
    cr_expect(
        strstr(text, "\"i\": {\"int\": 3}, \"f\": {\"float\": 3.0}, \"s\": {\"string\": \"text\"}"),
        "types are written out where no schema tells");
    cr_expect(strstr(
        text,
        "\"attributes\": [\"open\", {\"name\": \"slope\", \"default\": {\"float\": 1.0}}, {\"name\": \"must\", \"required\": true}]"));
    cr_expect_not(strstr(text, "\"weights\""));
    free(text);
    text = round_trip(NULL, g);
    cr_expect(strstr(text, "\"group\": {\"int\": 1}"));
    free(text);
    tn_graph_destroy(g);
    tn_registry_destroy(registry);
}

Test(json, leaves_out_what_the_schema_fills_in)
{
    tn_graph *g = read_string(
        NULL, "g.json",
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"],"
        "\"nodes\": [{\"name\": \"a\", \"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]}]}");
    const tn_attribute filled = {
        .size = sizeof filled, .type = TN_ATTR_INT, .name = "axis", .i = 1
    };
    OK(tn_graph_set_default_attribute(g, node_named(g, TN_TOP_REGION, "a"), &filled));
    const char *path = path_in(make_folder(), "g.json");
    OK(tn_json_write(NULL, g, path, NULL));
    char *text = file_text(path);
    cr_expect_not(strstr(text, "axis"));
    free(text);
    tn_graph_destroy(g);
}

/* ---- weights ------------------------------------------------------------------------------------------ */

static const char weighty[] =
    "{\"tenon\": 1, \"opset\": 21, \"inputs\": [], \"outputs\": [\"odd\"], \"constants\": {"
    " \"odd\": {\"dtype\": \"uint8\", \"shape\": [67], \"random\": {\"distribution\": \"uniform\", \"low\": 0, \"high\": 255}},"
    " \"text\": {\"dtype\": \"string\", \"shape\": [2], \"data\": [\"a\", \"b\"]},"
    " \"wide\": {\"dtype\": \"float64\", \"shape\": [65], \"random\": {\"distribution\": \"normal\"}},"
    " \"even\": {\"dtype\": \"float32\", \"shape\": [8, 16], \"random\": {\"distribution\": \"uniform\"}}}, \"nodes\": []}";

/* As a graph from elsewhere has them: constants without a recipe, under other names. */
static tn_graph *plain_weights(void)
{
    tn_graph *from = read_string(NULL, NULL, weighty), *g;
    OK(tn_graph_create(&g));
    OK(tn_graph_set_opset(g, "", 21));
    static const char *const names[] = { "odd", "wide", "even" };
    tn_value_id value = TN_NONE;
    for (size_t k = 0; k < TN_COUNT(names); k++) {
        const tn_constant_desc desc = { .size = sizeof desc,
                                        .name = names[k],
                                        .value = TN_NONE,
                                        .tensor = value_named(from, names[k])->constant };
        OK(tn_graph_add_constant(g, &desc, &value));
    }
    static unsigned char nibbles[40] = { 0x21, 0x43 };
    static const int64_t dims[] = { 2, 40 };
    const tn_tensor packed = { .size = sizeof packed,
                               .dtype = TN_INT4,
                               .rank = 2,
                               .dims = dims,
                               .data = nibbles,
                               .bytes = sizeof nibbles };
    const tn_constant_desc desc = {
        .size = sizeof desc, .name = "packed", .value = TN_NONE, .tensor = &packed
    };
    OK(tn_graph_add_constant(g, &desc, &value));
    OK(tn_graph_add_output(g, TN_TOP_REGION, NULL, value));
    tn_graph_destroy(from);
    return g;
}

Test(json, puts_large_constants_beside)
{
    const char *folder = make_folder(), *path = path_in(folder, "w.json"),
               *weights = path_in(folder, "w.safetensors");
    tn_graph *g = plain_weights();
    OK(tn_json_write(NULL, g, path, NULL));
    char *text = file_text(path);
    cr_expect(strstr(text, "\"weights\": \"w.safetensors\""));
    cr_expect(
        strstr(text, "\"wide\": {\"dtype\": \"float64\", \"shape\": [65], \"tensor\": \"wide\"}"));
    cr_expect(strstr(
        text, "\"packed\": {\"dtype\": \"int4\", \"shape\": [2, 40], \"tensor\": \"packed\"}"));
    free(text);
    tn_graph *again = read_path(NULL, path);
    expect_same(g, again);
    static const char *const names[] = { "odd", "wide", "even", "packed" };
    for (size_t k = 0; k < TN_COUNT(names); k++) {
        tn_constant *constant = tn_graph_constant(
            again, tn_graph_find_value(again, TN_TOP_REGION, names[k]));
        cr_expect(tn_buffer_is_mapped(constant->buffer), "%s lies in the file", names[k]);
    }
    cr_expect_eq((uintptr_t)value_named(again, "even")->constant->data % 64, 0);
    tn_buffer *file;
    tn_safetensors *directory;
    tn_tensor stored;
    OK(tn_file_map(weights, &file));
    OK(tn_safetensors_open(file, "w.safetensors", NULL, &directory));
    cr_assert(tn_safetensors_get(directory, "packed", &stored));
    cr_expect_eq(stored.dtype, TN_UINT8, "safetensors has no int4");
    cr_expect_eq(stored.dims[0], 40);
    cr_expect_not(tn_safetensors_get(directory, "text", &stored));
    tn_safetensors_close(directory);
    tn_buffer_unref(file);
    /* Written over the file that is mapped: the old one stays until nobody needs it. */
    OK(tn_json_write(NULL, again, path, NULL));
    expect_same(g, again);
    tn_graph_destroy(again);
    tn_graph_destroy(g);
}

Test(json, reads_random_constants_from_memory)
{
    tn_graph *g = read_string(NULL, NULL, weighty);
    char *text = round_trip(NULL, g);
    cr_expect_not(strstr(text, "\"tensor\""));
    free(text);
    tn_graph_destroy(g);
}

/* Files that a graph may not name; `made` is the folder. */
Test(json, stays_in_its_folder)
{
    const char *folder = make_folder(), *inside = path_in(folder, "in");
    static const struct {
        const char *weights, *message;
    } cases[] = {
        { "../secret.safetensors", "'../secret.safetensors' is no path inside the graph's folder" },
        { "a/../../secret.safetensors",
          "'a/../../secret.safetensors' is no path inside the graph's folder" },
        { "/etc/hostname", "'/etc/hostname' is no path inside the graph's folder" },
        { "link.safetensors", "'link.safetensors' leads outside the graph's folder" },
        { "", "'' is no path inside the graph's folder" },
    };
    cr_assert_eq(mkdir(inside, 0700), 0);
    OK(tn_file_write(path_in(folder, "secret.safetensors"), "\x02\0\0\0\0\0\0\0{}", 10));
    cr_assert_eq(symlink("../secret.safetensors", path_in(folder, "in/link.safetensors")), 0);
    for (size_t k = 0; k < TN_COUNT(cases); k++) {
        char text[300], expected[400];
        tn_graph *g = NULL;
        snprintf(
            text, sizeof text,
            "{\"tenon\": 1, \"opset\": 21, \"inputs\": [], \"outputs\": [\"c\"], \"weights\": \"%s\","
            " \"constants\": {\"c\": {\"dtype\": \"float32\", \"shape\": [1]}}, \"nodes\": []}",
            cases[k].weights);
        const char *path = path_in(folder, "in/g.json");
        cr_expect_eq(tn_json_read(NULL, path, text, strlen(text), NULL, NULL, &g), TN_ERR_IO);
        snprintf(expected, sizeof expected, "%s:1:70: %s", path, cases[k].message);
        cr_expect_str_eq(tn_error_message(), expected);
    }
}

static void expect_weights_complaint(const char *constant, const char *expected)
{
    static const unsigned char data[16] = { 0 };
    char bytes[300], text[400];
    const char *folder = make_folder(), *path = path_in(folder, "g.json");
    static const char header[] =
        "{\"conv.w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"flag\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[12,14]}}";
    memset(bytes, 0, 8);
    bytes[0] = (char)(sizeof header - 1);
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, data, 14);
    bytes[8 + sizeof header - 1 + 13] = 7;
    OK(tn_file_write(path_in(folder, "g.safetensors"), bytes, 8 + sizeof header - 1 + 14));
    snprintf(
        text, sizeof text,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [], \"outputs\": [\"c\"], \"weights\": \"g.safetensors\", \"nodes\": [],\n\"constants\": {\"c\": %s}}",
        constant);
    tn_graph *g;
    const tn_status status = tn_json_read(NULL, path, text, strlen(text), NULL, NULL, &g);
    cr_expect_neq(status, TN_OK);
    cr_expect_str_eq(tn_error_message() + strlen(path), expected);
}

Test(json, compares_stored_tensors_with_what_is_said_1)
{
    expect_weights_complaint(
        "{\"dtype\": \"float32\", \"shape\": [4], \"tensor\": \"conv.w\"}",
        ":2:50: tensor \"conv.w\" has shape [3] in \"g.safetensors\": expected [4]");
}
Test(json, compares_stored_tensors_with_what_is_said_2)
{
    expect_weights_complaint(
        "{\"dtype\": \"int32\", \"shape\": [3], \"tensor\": \"conv.w\"}",
        ":2:30: tensor \"conv.w\" is of type float32 in \"g.safetensors\": expected int32");
}
Test(json, compares_stored_tensors_with_what_is_said_3)
{
    expect_weights_complaint(
        "{\"dtype\": \"float32\", \"shape\": [3], \"tensor\": \"conv.v\"}",
        ":2:65: \"g.safetensors\" has no tensor \"conv.v\"; did you mean \"conv.w\"?");
}
Test(json, compares_stored_tensors_with_what_is_said_4)
{
    expect_weights_complaint("{\"dtype\": \"bool\", \"shape\": [2], \"tensor\": \"flag\"}",
                             ":2:62: element 1 of type bool is byte 7: expected 0 or 1");
}
Test(json, compares_stored_tensors_with_what_is_said_5)
{
    expect_weights_complaint("{\"dtype\": \"string\", \"shape\": [2], \"tensor\": \"flag\"}",
                             ":2:20: a weights file cannot hold texts: expected \"data\"");
}

/* ---- complaints ------------------------------------------------------------------------------------------ */

/* Text with ¶ as line break and \t as tab, put into a frame at %. */
static void add_framed(tn_builder *out, const char *frame, const char *text)
{
    for (const char *c = frame; *c; c++) {
        if (*c == '%' && text) {
            add_framed(out, text, NULL);
        } else if (strncmp(c, "\xc2\xb6", 2) == 0 || strncmp(c, "\\t", 2) == 0) {
            tn_add_bytes(out, *c == '\\' ? "\t" : "\n", 1);
            c++;
        } else {
            tn_add_bytes(out, c, 1);
        }
    }
}

static void check_case(const tn_registry *registry, const char *text, const char *expected)
{
    tn_builder said = { 0 };
    tn_diagnostics *diagnostics;
    tn_graph *g = NULL;
    OK(tn_diagnostics_create(&diagnostics));
    const tn_status status = tn_json_read(registry, "g.json", text, strlen(text), NULL, diagnostics,
                                          &g);
    cr_expect_neq(status, TN_OK, "%s", text);
    cr_expect_null(g);
    for (size_t k = 0; k < tn_diagnostics_count(diagnostics); k++)
        tn_add(&said, "    %s\n", tn_diagnostics_get(diagnostics, k)->text);
    cr_expect_str_eq(tn_builder_text(&said), expected, "%s\nsaid\n%sexpected\n%s", text,
                     tn_builder_text(&said), expected);
    if (tn_diagnostics_count(diagnostics) > 0) {
        cr_expect_str_eq(tn_error_message(), tn_diagnostics_get(diagnostics, 0)->text);
        cr_expect_eq(status, tn_diagnostics_get(diagnostics, 0)->status);
    }
    /* The same without a list. */
    cr_expect_eq(tn_json_read(registry, "g.json", text, strlen(text), NULL, NULL, &g), status);
    if (tn_diagnostics_count(diagnostics) > 0)
        cr_expect_str_eq(tn_error_message(), tn_diagnostics_get(diagnostics, 0)->text);
    tn_builder_fini(&said);
    tn_diagnostics_destroy(diagnostics);
}

/* Cuts the line at *at from the text; NULL at the end. */
static char *next_line(char **at)
{
    char *line = **at ? *at : NULL, *end = line ? strchr(line, '\n') : NULL;
    if (line)
        *at = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

Test(json, says_what_is_wrong_word_for_word)
{
    const char *source = getenv("TENON_SOURCE");
    char path[600], *frames[32], *line;
    if (!source)
        cr_skip_test("TENON_SOURCE is not set");
    snprintf(path, sizeof path, "%s/tests/bad-input/json/messages.txt", source);
    tn_registry *registry = open_registry();
    char *all = file_text(path), *at = all;
    size_t frame_count = 0, cases = 0;
    while ((line = next_line(&at)) != NULL) {
        if (strncmp(line, "#! ", 3) == 0 && frame_count < TN_COUNT(frames))
            frames[frame_count++] = line + 3;
        if (!*line || *line == '#')
            continue;
        char *text = strchr(line, ' ');
        cr_assert(text && text != line, "%s", line);
        *text++ = 0;
        size_t k = 0;
        while (k < frame_count &&
               (strncmp(frames[k], line, strlen(line)) != 0 || frames[k][strlen(line)] != ' '))
            k++;
        cr_assert_lt(k, frame_count, "there is no frame %s", line);
        tn_builder framed = { 0 }, expected = { 0 };
        add_framed(&framed, frames[k] + strlen(line) + 1, text);
        while (strncmp(at, "    ", 4) == 0)
            tn_add(&expected, "%s\n", next_line(&at));
        check_case(registry, tn_builder_text(&framed), tn_builder_text(&expected));
        tn_builder_fini(&framed);
        tn_builder_fini(&expected);
        cases++;
    }
    cr_expect_gt(cases, 150);
    free(all);
    tn_registry_destroy(registry);
}

Test(json, keeps_traces)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"], \"nodes\": ["
        "{\"name\": \"r\", \"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"y\"], \"trace\": [\"my conv\", \"bn1\"]}]}";
    tn_graph *g = read_string(NULL, "g.json", text);
    cr_expect_str_eq(tn_graph_trace(g, node_named(g, TN_TOP_REGION, "r")), "my conv\nbn1");
    char path[64];
    snprintf(path, sizeof path, "%s/g.json", make_folder());
    OK(tn_json_write(NULL, g, path, NULL));
    tn_graph *again = read_path(NULL, path);
    cr_expect_str_eq(tn_graph_trace(again, node_named(again, TN_TOP_REGION, "r")), "my conv\nbn1");
    tn_graph_destroy(again);
    tn_graph_destroy(g);
    static const char bad[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"],\n\"nodes\": ["
        "{\"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"y\"], \"trace\": [\"a\", 3]}]}";
    cr_expect_eq(tn_json_read(NULL, "g.json", bad, strlen(bad), NULL, NULL, &g), TN_ERR_FORMAT);
    cr_expect_not_null(strstr(tn_error_message(), "g.json:2:"));
    cr_expect_not_null(strstr(tn_error_message(), "expected the name of a node"), "%s",
                       tn_error_message());
}

Test(json, finds_nodes_again_for_later_stages)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 21,\n \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"],\n \"nodes\": [\n"
        "  {\"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"h\"]},\n"
        "  {\"name\": \"b\", \"op\": \"Conv\", \"inputs\": [\"h\",\n   \"x\"], \"outputs\": [\"y\"], \"attributes\": {\"a\\u002fb\": 1}}]}";
    tn_graph *g = read_string(NULL, "dir/g.json", text), *clone;
    tn_diagnostic d = { 0 };
    tn_graph_locate(g, node_named(g, TN_TOP_REGION, "b"), "/inputs/1", &d);
    cr_expect_str_eq(d.file, "dir/g.json");
    cr_expect_eq(d.line, 6);
    cr_expect_eq(d.column, 4);
    tn_graph_locate(g, node_named(g, TN_TOP_REGION, "b"), "/attributes/a~1b", &d);
    cr_expect_eq(d.column, 55);
    OK(tn_graph_clone(g, &clone));
    tn_graph_destroy(g);
    tn_graph_locate(clone, node_named(clone, TN_TOP_REGION, "b"), "/attributes/none", &d);
    cr_expect_eq(d.line, 5);
    cr_expect_eq(d.column, 3, "what is not there stands where the node does");
    tn_graph_destroy(clone);
}

static tn_status read_limited(const char *text, tn_limits limits)
{
    tn_graph *g = NULL;
    limits.size = sizeof limits;
    const tn_status status = tn_json_read(NULL, "g.json", text, strlen(text), &limits, NULL, &g);
    tn_graph_destroy(g);
    return status;
}

Test(json, keeps_to_its_limits)
{
    static const char two[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"],"
        "\"nodes\": [{\"op\": \"If\", \"inputs\": [\"x\"], \"outputs\": [\"h\"], \"attributes\": {\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"z\"],"
        "\"nodes\": [{\"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"z\"]}]}}}}, {\"op\": \"Relu\", \"inputs\": [\"h\"], \"outputs\": [\"y\"]}]}";
    cr_expect_eq(
        read_limited(two, (tn_limits){ .nodes = 3, .nesting = 1, .file_bytes = sizeof two - 1 }),
        TN_OK);
    cr_expect_eq(read_limited(two, (tn_limits){ .nodes = 2 }), TN_ERR_LIMIT);
    cr_expect_str_eq(
        tn_error_message(),
        "g.json:1:230: in If/then_branch: there are 3 nodes up to here: the limit is 2");
    cr_expect_eq(read_limited(two, (tn_limits){ .file_bytes = 100 }), TN_ERR_LIMIT);
    cr_expect_str_eq(tn_error_message(), "g.json:1:1: the graph has 337 bytes: the limit is 100");
    cr_expect_eq(read_limited(weighty, (tn_limits){ .weight_bytes = 610 }), TN_ERR_LIMIT);
    cr_expect_str_eq(
        tn_error_message(),
        "g.json:1:251: with 520 bytes here, the constants take more than the limit of 610");

    tn_builder deep = { 0 };
    for (int k = 0; k < 3000; k++)
        tn_add(&deep, "[");
    cr_expect_eq(read_limited(tn_builder_text(&deep), (tn_limits){ .nesting = 64 }), TN_ERR_LIMIT);
    cr_expect_str_eq(tn_error_message(), "g.json:1:409: brackets nest deeper than 408");
    cr_expect_eq(read_limited(tn_builder_text(&deep), (tn_limits){ .nesting = 100000 }),
                 TN_ERR_LIMIT);
    cr_expect_str_eq(tn_error_message(), "g.json:1:2001: brackets nest deeper than 2000");
    tn_builder_fini(&deep);

    tn_builder nested = { 0 };
    tn_add(
        &nested,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"x\"], \"nodes\": [");
    for (int k = 0; k < 5; k++)
        tn_add(
            &nested,
            "{\"op\": \"If\", \"inputs\": [\"x\"], \"outputs\": [\"v%d\"], \"attributes\": {\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"x\"], \"nodes\": [",
            k);
    for (int k = 0; k < 5; k++)
        tn_add(&nested, "]}}}}");
    tn_add(&nested, "]}");
    cr_expect_eq(read_limited(tn_builder_text(&nested), (tn_limits){ .nesting = 5 }), TN_OK);
    cr_expect_eq(read_limited(tn_builder_text(&nested), (tn_limits){ .nesting = 4 }), TN_ERR_LIMIT);
    cr_expect(strstr(tn_error_message(), "node 'v4'") ||
              strstr(tn_error_message(), "graphs nest deeper than 4"));
    tn_builder_fini(&nested);
}

Test(json, counts_complaints_beyond_a_hundred)
{
    tn_builder text = { 0 };
    tn_diagnostics *diagnostics;
    tn_graph *g;
    tn_add(&text,
           "{\"tenon\": 1, \"opset\": 21, \"inputs\": [], \"outputs\": [\"y\"], \"nodes\": [");
    for (int k = 0; k < 150; k++)
        tn_add(&text, "%s{\"op\": \"Relu\", \"inputs\": [\"none%d\"], \"outputs\": []}",
               k ? ", " : "", k);
    tn_add(&text, "]}");
    OK(tn_diagnostics_create(&diagnostics));
    cr_expect_eq(tn_json_read(NULL, "g.json", text.text, text.count, NULL, diagnostics, &g),
                 TN_ERR_NAME);
    cr_expect_eq(tn_diagnostics_count(diagnostics), 100);
    cr_expect_eq(tn_diagnostics_total(diagnostics, TN_SEVERITY_ERROR), 151);
    tn_diagnostics_destroy(diagnostics);
    tn_builder_fini(&text);
}

Test(json, writer_refuses_what_json_cannot_say)
{
    tn_graph *g;
    tn_value_id x;
    const char *path = path_in(make_folder(), "g.json");
    OK(tn_graph_create(&g));
    OK(tn_graph_add_value(g, TN_TOP_REGION, "\xff", NULL, &x));
    OK(tn_graph_add_input(g, TN_TOP_REGION, x));
    tn_diagnostics *diagnostics;
    OK(tn_diagnostics_create(&diagnostics));
    cr_expect_eq(tn_json_write(NULL, g, path, diagnostics), TN_ERR_FORMAT);
    cr_assert_eq(tn_diagnostics_count(diagnostics), 3);
    cr_expect_str_eq(tn_diagnostics_get(diagnostics, 0)->message,
                     "the graph imports no operator set, which a JSON graph must say");
    cr_expect_str_eq(tn_diagnostics_get(diagnostics, 1)->message,
                     "input '\xff' has no element type, which a JSON graph must say");
    cr_expect_str_eq(tn_diagnostics_get(diagnostics, 2)->message,
                     "the name of an input is not UTF-8, which a name in JSON must be");
    cr_expect_neq(access(path, F_OK), 0, "nothing was written");
    cr_expect_eq(tn_json_write(NULL, g, path, NULL), TN_ERR_FORMAT);
    cr_expect_str_eq(tn_error_message() + strlen(path),
                     ": the graph imports no operator set, which a JSON graph must say");
    cr_expect_eq(tn_json_write(NULL, g, "/nowhere/g.json", NULL), TN_ERR_FORMAT);
    OK(tn_graph_set_opset(g, "", 21));
    OK(tn_graph_rename_value(g, x, "x"));
    OK(tn_graph_set_type(g, x,
                         &(tn_type){ .size = sizeof(tn_type), .dtype = TN_FLOAT32, .rank = -1 }));
    cr_expect_eq(tn_json_write(NULL, g, "/nowhere/g.json", NULL), TN_ERR_IO);
    cr_expect_str_eq(tn_error_message(),
                     "cannot write '/nowhere/g.json': No such file or directory");
    tn_diagnostics_destroy(diagnostics);
    tn_graph_destroy(g);
}

Test(json, reads_a_function_by_itself)
{
    static const char body[] =
        "{\"inputs\": [\"X\"], \"outputs\": [\"Y\"], \"opset\": 13, \"attributes\": [{\"name\": \"alpha\", \"default\": {\"float\": 1}}],"
        " \"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"X\"], \"outputs\": [\"Y\"], \"attributes\": {\"alpha\": {\"ref\": \"alpha\"}}}]}";
    tn_graph *g;
    const tn_attribute *attributes;
    OK(tn_json_read_body(NULL, body, NULL, &g));
    cr_expect_eq(tn_graph_function_attributes(g, &attributes), 1);
    cr_expect_eq(attributes[0].f, 1.0);
    cr_expect_eq(attribute_of(g, "conv", "alpha")->type, TN_ATTR_REF);
    tn_graph_destroy(g);
    cr_expect_eq(tn_json_read_body(
                     NULL, "{\"inputs\": [\"X\"], \"outputs\": [\"Z\"], \"nodes\": []}", NULL, &g),
                 TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(),
                     "1:31: an output is \"Z\", which is no input, constant or output of a node");
}

Test(json, reads_behind_a_byte_order_mark)
{
    tn_graph_destroy(read_string(
        NULL, NULL,
        "\xef\xbb\xbf{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"x\"], \"nodes\": []}"));
}
