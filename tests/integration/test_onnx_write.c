/* Writing .onnx, and back: nothing is lost on the way through JSON.
 *
 * SPDX-License-Identifier: MIT */
#include "proto.h"

#include <stdio.h>
#include <unistd.h>

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/tenon-onnx-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static const char *path_of(const char *name)
{
    static char paths[4][200];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    static const char *const names[] = { "a.json", "a.onnx", "b.json", "a.safetensors",
                                         "b.safetensors" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        unlink(path_of(names[k]));
    rmdir(folder);
}

static char *slurp(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    cr_assert(file && text, "%s", path);
    *count = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

/* a.json → a.onnx → b.json: the two are equal. */
static void round_trip(tn_model *model)
{
    tn_model *again;
    size_t first, second;
    OK(tn_model_save(model, path_of("a.json"), NULL));
    OK(tn_model_save(model, path_of("a.onnx"), NULL));
    OK(tn_model_load(runtime_of_tests(), path_of("a.onnx"), NULL, NULL, &again));
    OK(tn_model_save(again, path_of("b.json"), NULL));
    char *a = slurp(path_of("a.json"), &first), *b = slurp(path_of("b.json"), &second);
    for (char *weights; (weights = strstr(a, "a.safetensors")) != NULL;)
        *weights = 'b';
    for (size_t k = 0; a[k] || b[k]; k++)
        cr_assert_eq(a[k], b[k], "from byte %zu: %.60s // %.60s", k, a + k, b + k);
    free(a);
    free(b);
    tn_model_destroy(again);
}

TestSuite(onnx_write, .init = make_folder, .fini = remove_folder);

Test(onnx_write, everything_that_a_graph_has_comes_back)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"name\": \"all\", \"doc\": \"a graph\", \"opset\": {\"ai.onnx\": 21, \"own\": 1},"
        "\"metadata\": {\"labels\": \"cat,dog\", \"onnx.producer_name\": \"someone\","
        "  \"onnx.producer_version\": \"2.5\", \"onnx.domain\": \"d\", \"onnx.model_doc\": \"a model\","
        "  \"onnx.model_version\": \"7\", \"onnx.graph_metadata/k\": \"v\", \"onnx.value_doc/h\": \"hidden\","
        "  \"onnx.quantization/h/SCALE_TENSOR\": \"scale\", \"onnx.value_metadata/a%2Fb/k%251\": \"of w\"},"
        "\"functions\": [{\"name\": \"F\", \"domain\": \"own\", \"doc\": \"a function\", \"opset\": 21,"
        "  \"metadata\": {\"m\": \"n\"}, \"attributes\": [\"a\", {\"name\": \"b\", \"default\": {\"float\": 0.5}}],"
        "  \"inputs\": [\"x\"], \"outputs\": [\"y\"], \"nodes\": [{\"name\": \"l\", \"op\": \"LeakyRelu\","
        "  \"inputs\": [\"x\"], \"outputs\": [\"y\"], \"attributes\": {\"alpha\": {\"ref\": \"b\"}}}]}],"
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"'batch size'\", 3, null]},"
        "  {\"name\": \"w\", \"dtype\": \"float32\", \"shape\": [3, 1], \"default\": {\"data\": [1, 2, 3]}},"
        "  {\"name\": \"s\", \"type\": \"optional(sequence(tensor(int4)))\"}],"
        "\"outputs\": [{\"name\": \"y\", \"dtype\": \"float32\", \"shape\": [\"'batch size'\", 3, null]}],"
        "\"constants\": {\"a/b\": {\"dtype\": \"float32\", \"shape\": [1], \"data\": [0.1]},"
        "  \"scale\": {\"dtype\": \"float32\", \"shape\": [], \"data\": [2]},"
        "  \"t\": {\"dtype\": \"string\", \"shape\": [2], \"data\": [\"one\", \"\"]}},"
        "\"nodes\": [{\"name\": \"n 1\", \"op\": \"Add\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"h\"],"
        "  \"doc\": \"adds\", \"metadata\": {\"key\": \"text\", \"more\": \"\"}},"
        " {\"name\": \"n2\", \"op\": \"F\", \"domain\": \"own\", \"inputs\": [\"h\"], \"outputs\": [\"g\"],"
        "  \"attributes\": {\"b\": {\"float\": 0.25}}},"
        " {\"name\": \"n3\", \"op\": \"Any\", \"domain\": \"own\", \"inputs\": [\"g\", \"a/b\", \"\", \"t\"],"
        "  \"outputs\": [\"y\"], \"attributes\": {\"i\": {\"int\": 3}, \"is\": {\"ints\": [1, -1]},"
        "  \"fs\": {\"floats\": [0.5]}, \"s\": {\"string\": \"text\"}, \"ss\": {\"strings\": [\"p\", \"q\"]},"
        "  \"t\": {\"tensor\": {\"dtype\": \"int4\", \"shape\": [3], \"data\": [1, -2, 3]}},"
        "  \"ty\": {\"type\": {\"dtype\": \"float16\", \"shape\": [2]}},"
        "  \"g\": {\"graph\": {\"inputs\": [], \"outputs\": [\"o\"], \"constants\": {\"c\": {\"dtype\": \"int64\","
        "    \"shape\": [1], \"data\": [4]}}, \"nodes\": [{\"name\": \"in\", \"op\": \"Mul\", \"inputs\": [\"h\", \"c\"],"
        "    \"outputs\": [\"o\"]}]}}}}]}");
    round_trip(f.model);
    close_fixture(&f);
}

Test(onnx_write, weights_lie_at_multiples_of_64_and_are_used_there)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [8, 32]}],"
        "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [32, 32],"
        "\"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 7}}},"
        "\"nodes\": [{\"name\": \"m\", \"op\": \"MatMul\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"y\"]}]}");
    tn_model *again;
    size_t count;
    OK(tn_model_save(f.model, path_of("a.onnx"), NULL));
    OK(tn_model_load(f.runtime, path_of("a.onnx"), NULL, NULL, &again));
    const tn_graph *graphs[2] = { tn_model_graph(f.model), tn_model_graph(again) };
    const tn_tensor *w[2];
    for (int k = 0; k < 2; k++)
        w[k] =
            tn_graph_value(graphs[k], tn_graph_find_value(graphs[k], TN_TOP_REGION, "w"))->constant;
    cr_assert_eq(w[0]->bytes, w[1]->bytes);
    cr_assert_eq(memcmp(w[0]->data, w[1]->data, w[0]->bytes), 0);
    char *file = slurp(path_of("a.onnx"), &count);
    size_t at = 0;
    while (at + w[0]->bytes <= count && memcmp(file + at, w[0]->data, w[0]->bytes) != 0)
        at++;
    cr_assert_eq(at % 64, 0);
    /* A mapping begins at a page: the weight lies in it as it does in the file, uncopied. */
    cr_assert_eq((uintptr_t)w[1]->data % 4096, at % 4096);
    free(file);
    tn_model_destroy(again);
    close_fixture(&f);
}

Test(onnx_write, an_output_with_a_name_of_its_own_is_an_identity)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [3]}],"
        "\"outputs\": [{\"name\": \"first\", \"value\": \"h\"}, \"h\"],"
        "\"nodes\": [{\"op\": \"Abs\", \"inputs\": [\"x\"], \"outputs\": [\"h\"]}]}");
    tn_model *again;
    OK(tn_model_save(f.model, path_of("a.onnx"), NULL));
    OK(tn_model_load(f.runtime, path_of("a.onnx"), NULL, NULL, &again));
    const tn_graph *g = tn_model_graph(again);
    cr_assert_str_eq(tn_graph_output_name(g, TN_TOP_REGION, 0), "first");
    cr_assert_str_eq(tn_graph_output_name(g, TN_TOP_REGION, 1), "h");
    const tn_node_id second = tn_graph_next_node(g, tn_graph_first_node(g, TN_TOP_REGION));
    cr_assert_str_eq(tn_graph_node(g, second)->op, "Identity");
    tn_model_destroy(again);
    close_fixture(&f);
}

Test(onnx_write, what_is_made_for_one_output_is_called_like_it)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [3]}],"
        "\"outputs\": [{\"name\": \"first\", \"value\": \"h\"}, {\"name\": \"second\", \"value\": \"x\"}],"
        "\"nodes\": [{\"op\": \"Abs\", \"inputs\": [\"x\"], \"outputs\": [\"h\"]}, "
        "{\"op\": \"Neg\", \"inputs\": [\"h\"], \"outputs\": [\"n\"]}]}");
    tn_model *again;
    OK(tn_model_save(f.model, path_of("a.onnx"), NULL));
    OK(tn_model_load(f.runtime, path_of("a.onnx"), NULL, NULL, &again));
    const tn_graph *g = tn_model_graph(again);
    const tn_node_id abs = tn_graph_first_node(g, TN_TOP_REGION), neg = tn_graph_next_node(g, abs);
    cr_assert_str_eq(tn_graph_output_name(g, TN_TOP_REGION, 0), "first");
    cr_assert_str_eq(tn_graph_value(g, tn_graph_node(g, abs)->outputs[0])->name, "first");
    cr_assert_eq(tn_graph_node(g, neg)->inputs[0], tn_graph_node(g, abs)->outputs[0]);
    cr_assert_str_eq(tn_graph_node(g, tn_graph_next_node(g, neg))->op, "Identity");
    tn_model_destroy(again);
    close_fixture(&f);
}

/* Weights of 4096 and 1024 bytes go to the file beside, at whole pages; what is small stays. */
Test(onnx_write, weights_go_to_a_file_beside_the_model)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 21, \"metadata\": {\"onnx.external_from\": \"5000\"},"
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [8, 32]}],"
        "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [32, 32],"
        "\"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 7}},"
        "\"v\": {\"dtype\": \"float32\", \"shape\": [8, 32],"
        "\"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 8}},"
        "\"c\": {\"dtype\": \"float32\", \"shape\": [1], \"data\": [2]}},"
        "\"nodes\": [{\"op\": \"MatMul\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"h\"]},"
        " {\"op\": \"Add\", \"inputs\": [\"h\", \"v\"], \"outputs\": [\"g\"]},"
        " {\"op\": \"Mul\", \"inputs\": [\"g\", \"c\"], \"outputs\": [\"y\"]}]}");
    static const char *const names[] = { "w", "v", "c" };
    tn_model *again;
    size_t count, beside;
    OK(tn_model_save(f.model, path_of("a.onnx"), NULL));
    OK(tn_model_load(f.runtime, path_of("a.onnx"), NULL, NULL, &again));
    for (int k = 0; k < 3; k++) {
        const tn_tensor *t[2];
        for (int m = 0; m < 2; m++) {
            const tn_graph *g = tn_model_graph(m ? again : f.model);
            t[m] = tn_graph_value(g, tn_graph_find_value(g, TN_TOP_REGION, names[k]))->constant;
        }
        cr_assert_eq(t[0]->bytes, t[1]->bytes);
        cr_assert_eq(memcmp(t[0]->data, t[1]->data, t[0]->bytes), 0, "%s", names[k]);
        cr_assert(k == 2 || (uintptr_t)t[1]->data % 4096 == 0, "%s", names[k]);
    }
    char *model = slurp(path_of("a.onnx"), &count), *data = slurp(path_of("a.onnx.data"), &beside);
    cr_assert_lt(count, 1024);
    cr_assert_eq(beside, 4096 + 1024);
    free(model);
    free(data);
    tn_model_destroy(again);
    close_fixture(&f);
    unlink(path_of("a.onnx.data"));
}

/* ---- what a region and a constant have no place for --------------------------------------------- */

static size_t occurrences(const char *text, size_t count, const char *what)
{
    size_t found = 0;
    for (size_t k = 0; k + strlen(what) <= count; k++)
        found += !memcmp(text + k, what, strlen(what));
    return found;
}

/* An If whose branches are called "yes" (with doc and metadata) and by Tenon's own habit; in the
 * first a Constant node with a name, doc and metadata; beside it a weight that nobody reads. */
static pb model_with_words(void)
{
    static const float number = 2.5f;
    pb value = pb_tensor(NULL, 1, 1), attribute = { .count = 0 }, constant = { .count = 0 };
    pb yes = { .count = 0 }, no = { .count = 0 }, node = { .count = 0 }, graph = { .count = 0 };
    pb_data(&value, 9, &number, sizeof number);
    pb_text(&attribute, 1, "value");
    pb_in(&attribute, 5, &value);
    pb_int(&attribute, 20, 4);
    pb_text(&constant, 2, "c");
    pb_text(&constant, 3, "the constant");
    pb_text(&constant, 4, "Constant");
    pb_in(&constant, 5, &attribute);
    pb_text(&constant, 6, "two and a half");
    pb_entry(&constant, 9, "unit", "metre");
    const pb sum = pb_node("Add", "x", "c", "s"), same = pb_node("Identity", "x", NULL, "t");
    pb_in(&yes, 1, &constant);
    pb_in(&yes, 1, &sum);
    pb_text(&yes, 2, "yes");
    pb_text(&yes, 10, "if it is so");
    pb_entry(&yes, 16, "colour", "green");
    pb_value(&yes, 12, "s", 1, NULL);
    pb_in(&no, 1, &same);
    pb_text(&no, 2, "choice.else_branch");
    pb_value(&no, 12, "t", 1, NULL);
    pb_text(&node, 1, "b");
    pb_text(&node, 2, "y");
    pb_text(&node, 3, "choice");
    pb_text(&node, 4, "If");
    for (int k = 0; k < 2; k++) {
        pb branch = { .count = 0 };
        pb_text(&branch, 1, k ? "else_branch" : "then_branch");
        pb_in(&branch, 6, k ? &no : &yes);
        pb_int(&branch, 20, 5);
        pb_in(&node, 5, &branch);
    }
    pb unread = pb_tensor("nobody", 1, 1);
    pb_data(&unread, 9, &number, sizeof number);
    pb_in(&graph, 1, &node);
    pb_text(&graph, 2, "g");
    pb_in(&graph, 5, &unread);
    pb_value(&graph, 11, "x", 1, NULL);
    pb_value(&graph, 11, "b", 1, NULL);
    pb_value(&graph, 12, "y", 1, NULL);
    return graph;
}

Test(onnx_write, names_and_docs_of_bodies_and_constant_nodes_stay)
{
    static const char *const words[] = { "the constant", "two and a half", "unit",   "metre",
                                         "yes",          "if it is so",    "colour", "green",
                                         "nobody",       "Constant" };
    const pb graph = model_with_words();
    pb file = pb_model(&graph, 10, 21);
    tn_model *model, *again;
    size_t count;
    pb_text(&file, 2, "someone"); /* else the writer says who it was */
    OK(load(&file, &model));
    round_trip(model);
    OK(tn_model_load(runtime_of_tests(), path_of("a.json"), NULL, NULL, &again));
    OK(tn_model_save(again, path_of("a.onnx"), NULL));
    char *text = slurp(path_of("a.onnx"), &count);
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        cr_assert_eq(occurrences(text, count, words[k]), 1, "'%s': %zu times", words[k],
                     occurrences(text, count, words[k]));
    cr_assert_eq(occurrences(text, count, "onnx."), 0);
    free(text);
    tn_model_destroy(again);
    tn_model_destroy(model);
}
