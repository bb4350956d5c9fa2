/* The backend `onednn` against the reference: recurrent layers, attention, convolutions with
 * epilogues, each with the tolerance that its types and the length of its sums give.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "libraries.h"

static const char on[] = "onednn";

/* ---- LSTM and GRU ------------------------------------------------------------------------------ */

typedef struct recurrent_case {
    const char *op;
    int gates, steps, batch, in, hidden;
    const char *direction, *inputs, *outputs, *graph_outputs, *attributes;
} recurrent_case;

/* inputs: of the node after W and R. */
static void recurrent_json(const recurrent_case *t, char *json, size_t bytes)
{
    const int d = strcmp(t->direction, "bidirectional") == 0 ? 2 : 1, rows = t->gates * t->hidden;
    static const char random[] =
        "\"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5, \"seed\"";
    snprintf(
        json, bytes,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%d, %d, %d]}, "
        "{\"name\": \"h\", \"dtype\": \"float32\", \"shape\": [%d, %d, %d]}, "
        "{\"name\": \"c\", \"dtype\": \"float32\", \"shape\": [%d, %d, %d]}], \"outputs\": [%s], \"constants\": {"
        "\"w\": {\"dtype\": \"float32\", \"shape\": [%d, %d, %d], %s: 3}}, "
        "\"r\": {\"dtype\": \"float32\", \"shape\": [%d, %d, %d], %s: 4}}, "
        "\"b\": {\"dtype\": \"float32\", \"shape\": [%d, %d], %s: 5}}}, "
        "\"nodes\": [{\"op\": \"%s\", \"inputs\": [\"x\", \"w\", \"r\"%s], \"outputs\": [%s], "
        "\"attributes\": {\"hidden_size\": %d, \"direction\": \"%s\"%s}}]}",
        t->steps, t->batch, t->in, d, t->batch, t->hidden, d, t->batch, t->hidden, t->graph_outputs,
        d, rows, t->in, random, d, rows, t->hidden, random, d, 2 * rows, random, t->op, t->inputs,
        t->outputs, t->hidden, t->direction, t->attributes);
}

static void check_recurrent(const recurrent_case *t)
{
    char json[4096];
    recurrent_json(t, json, sizeof json);
    /* Errors pass from step to step, damped by the gates. */
    check_on(on, json, TN_MATH_FAST, 2 * (t->in + t->hidden), t->op);
}

static const char *const directions[] = { "forward", "reverse", "bidirectional" };

Test(onednn_lstm, all_directions_batches_states_and_outputs)
{
    for (int k = 0; k < 3; k++)
        for (int batch = 1; batch <= 5; batch += 4) {
            const char *d = directions[k];
            const recurrent_case cases[] = {
                { "LSTM", 4, 6, batch, 13, 21, d, ", \"b\"", "\"y\"", "\"y\"", "" },
                { "LSTM", 4, 6, batch, 13, 21, d, "", "\"y\", \"yh\", \"yc\"",
                  "\"y\", \"yh\", \"yc\"", "" },
                { "LSTM", 4, 3, batch, 16, 32, d, ", \"b\", \"\", \"h\", \"c\"",
                  "\"\", \"\", \"yc\"", "\"yc\"", "" },
                { "LSTM", 4, 1, batch, 5, 7, d, ", \"\", \"\", \"h\", \"c\"", "\"y\", \"yh\"",
                  "\"yh\", \"y\"",
                  ", \"activations\": [\"Sigmoid\", \"Tanh\", \"Tanh\", \"Sigmoid\", \"Tanh\", \"Tanh\"]" },
            };
            const size_t count = sizeof cases / sizeof *cases - (k < 2 ? 1 : 0);
            for (size_t i = 0; i < count; i++)
                check_recurrent(&cases[i]);
        }
}

Test(onednn_gru, all_directions_before_and_after_the_reset)
{
    for (int k = 0; k < 3; k++)
        for (int linear = 0; linear < 2; linear++) {
            const char *d = directions[k], *form = linear ? ", \"linear_before_reset\": 1" : "";
            const recurrent_case cases[] = {
                { "GRU", 3, 6, 1, 13, 21, d, ", \"b\"", "\"y\"", "\"y\"", form },
                { "GRU", 3, 6, 4, 13, 21, d, "", "\"y\", \"yh\"", "\"y\", \"yh\"", form },
                { "GRU", 3, 3, 2, 16, 32, d, ", \"b\", \"\", \"h\"", "\"\", \"yh\"", "\"yh\"",
                  form },
            };
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                check_recurrent(&cases[i]);
        }
}

Test(onednn_lstm, what_the_library_lacks_is_said)
{
    static const struct {
        const char *inputs, *attributes, *reason;
        uint32_t math;
    } cases[] = {
        { "", "", "loses NaN, which strict math keeps", TN_MATH_STRICT },
        { ", \"b\", \"\", \"h\"", "", "one of initial_h and initial_c without the other", 0 },
        { "", ", \"clip\": 3.0", "activations, clip, layout or input_forget", 0 },
        { "", ", \"activations\": [\"Relu\", \"Tanh\", \"Tanh\"]", "activations, clip, layout", 0 },
        { "", ", \"input_forget\": 1", "activations, clip, layout or input_forget", 0 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char json[4096];
        const recurrent_case t = {
            "LSTM", 4, 3, 1, 4, 8, "forward", cases[k].inputs, "\"y\"", "\"y\"", cases[k].attributes
        };
        recurrent_json(&t, json, sizeof json);
        expect_refused(on, json, cases[k].math, cases[k].reason);
    }
}

/* ---- Attention --------------------------------------------------------------------------------- */

typedef struct attention_case {
    int batch, heads, queries, keys, width, values, packed;
    const char *mask, *dtype, *attributes; /* extents of the mask, its type; NULL: none */
} attention_case;

/* Masks: numbers below 3, of which every fifth is -infinity, or bools; the first row of keys is hidden
 * altogether. */
static void mask_text(const attention_case *t, char *text, size_t bytes)
{
    size_t used = 0;
    int count = 1, keys = t->keys;
    const bool is_bool = t->dtype && strcmp(t->dtype, "bool") == 0;
    for (const char *at = t->mask; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        count *= atoi(at);
    used = (size_t)snprintf(text, bytes, "\"m\": {\"dtype\": \"%s\", \"shape\": [%s], \"data\": [",
                            t->dtype, t->mask);
    for (int k = 0; k < count; k++) {
        const bool hidden = k < keys || k % 5 == 2;
        const char *word = is_bool ? hidden ? "false" : "true" : hidden ? "\"-Infinity\"" : NULL;
        used += word ? (size_t)snprintf(text + used, bytes - used, "%s%s", k ? "," : "", word)
                     : (size_t)snprintf(text + used, bytes - used, "%s%.2f", k ? "," : "",
                                        k % 7 * 0.5);
    }
    snprintf(text + used, bytes - used, "]}");
}

static void check_attention(const attention_case *t)
{
    char json[16384], q[64], k[64], v[64], mask[8192] = "", heads[192] = "";
    if (t->packed) {
        snprintf(q, sizeof q, "%d, %d, %d", t->batch, t->queries, t->heads * t->width);
        snprintf(k, sizeof k, "%d, %d, %d", t->batch, t->keys, t->heads * t->width);
        snprintf(v, sizeof v, "%d, %d, %d", t->batch, t->keys, t->heads * t->values);
        snprintf(heads, sizeof heads, "\"q_num_heads\": %d, \"kv_num_heads\": %d%s", t->heads,
                 t->heads, t->attributes ? ", " : "");
    } else {
        snprintf(q, sizeof q, "%d, %d, %d, %d", t->batch, t->heads, t->queries, t->width);
        snprintf(k, sizeof k, "%d, %d, %d, %d", t->batch, t->heads, t->keys, t->width);
        snprintf(v, sizeof v, "%d, %d, %d, %d", t->batch, t->heads, t->keys, t->values);
    }
    if (t->mask)
        mask_text(t, mask, sizeof mask);
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"q\", \"dtype\": \"float32\", \"shape\": [%s]}, "
        "{\"name\": \"k\", \"dtype\": \"float32\", \"shape\": [%s]}, {\"name\": \"v\", \"dtype\": \"float32\", \"shape\": [%s]}], "
        "\"outputs\": [\"y\"], \"constants\": {%s}, \"nodes\": [{\"op\": \"Attention\", \"inputs\": [\"q\", \"k\", \"v\"%s], "
        "\"outputs\": [\"y\"], \"attributes\": {%s%s}}]}",
        q, k, v, mask, t->mask ? ", \"m\"" : "", heads, t->attributes ? t->attributes : "");
    check_on(on, json, TN_MATH_FAST, 2 * (t->width + t->keys), "Attention");
}

Test(onednn_attention, heads_apart_and_side_by_side_with_masks_of_any_kind)
{
    static const char causal[] = "\"is_causal\": 1", scaled[] = "\"scale\": 0.3";
    static const attention_case cases[] = {
        { 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL },
        { 1, 2, 7, 9, 16, 16, 0, NULL, NULL, scaled },
        { 2, 3, 17, 17, 24, 8, 1, NULL, NULL, NULL },
        { 1, 4, 33, 33, 64, 64, 1, NULL, NULL, causal },
        { 2, 3, 5, 12, 16, 16, 1, "2, 1, 1, 12", "float32", NULL },
        { 2, 3, 5, 12, 16, 16, 0, "5, 12", "float32", scaled },
        { 1, 2, 8, 8, 8, 8, 0, "2, 8, 8", "bool", NULL },
        { 2, 2, 6, 10, 8, 8, 1, "2, 2, 6, 10", "float32", NULL },
        { 2, 3, 7, 12, 16, 16, 0, "2, 1, 1, 12", "bool", NULL },
        { 2, 3, 9, 9, 8, 8, 1, "3, 1, 9", "float32", causal },
        { 2, 2, 5, 5, 4, 4, 0, "2, 1, 5, 5", "bool", causal },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_attention(&cases[k]);
}

Test(onednn_attention, what_the_library_lacks_is_said)
{
    static const struct {
        const char *attributes, *reason;
        uint32_t math;
    } cases[] = {
        { "", "softmax loses NaN, which strict math keeps", TN_MATH_STRICT },
        { "\"softcap\": 2.0", "softcap or a window", TN_MATH_FAST },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char json[1024];
        snprintf(
            json, sizeof json,
            "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"q\", \"dtype\": \"float32\", \"shape\": [1, 2, 3, 4]}], "
            "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"Attention\", \"inputs\": [\"q\", \"q\", \"q\"], "
            "\"outputs\": [\"y\"], \"attributes\": {%s}}]}",
            cases[k].attributes);
        expect_refused(on, json, cases[k].math, cases[k].reason);
    }
}

/* ---- products ---------------------------------------------------------------------------------- */

typedef struct product_case {
    const char *op, *a, *b, *attributes;
    int k, rows, columns;
    const char *steps; /* nodes from c to y; NULL: none */
} product_case;

#define BIAS ", {\"op\": \"Add\", \"inputs\": [\"c\", \"row\"], \"outputs\": [\"d\"]}"
static const char bias_gelu[] = BIAS
    ", {\"op\": \"Gelu\", \"inputs\": [\"d\"], \"outputs\": [\"y\"]}";
static const char bias_sum[] = BIAS
    ", {\"op\": \"Add\", \"inputs\": [\"r\", \"d\"], \"outputs\": [\"y\"]}";
static const char bias_relu[] = BIAS
    ", {\"op\": \"Relu\", \"inputs\": [\"d\"], \"outputs\": [\"y\"]}";
static const char times_sigmoid[] =
    ", {\"op\": \"Mul\", \"inputs\": [\"c\", \"row\"], \"outputs\": [\"d\"]}"
    ", {\"op\": \"Sigmoid\", \"inputs\": [\"d\"], \"outputs\": [\"y\"]}";
static const char minus_column[] =
    ", {\"op\": \"Sub\", \"inputs\": [\"column\", \"c\"], \"outputs\": [\"y\"]}";

static void product_json(const product_case *t, char *json, size_t bytes)
{
    snprintf(
        json, bytes,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%s]}, "
        "{\"name\": \"r\", \"dtype\": \"float32\", \"shape\": [%d, %d]}], \"outputs\": [\"%s\"], \"constants\": {"
        "\"w\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 3}}, "
        "\"row\": {\"dtype\": \"float32\", \"shape\": [%d], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 4}}, "
        "\"column\": {\"dtype\": \"float32\", \"shape\": [%d, 1], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 5}}}, "
        "\"nodes\": [{\"op\": \"%s\", \"inputs\": [\"x\", \"w\"%s], \"outputs\": [\"c\"]%s}%s]}",
        t->a, t->rows, t->columns, t->steps ? "y" : "c", t->b, t->columns, t->rows, t->op,
        strcmp(t->op, "Gemm") == 0 ? ", \"row\"" : "", t->attributes, t->steps ? t->steps : "");
}

static const product_case products[] = {
    { "MatMul", "12, 8", "8, 8", "", 8, 12, 8, bias_relu },
    { "MatMul", "33, 19", "19, 27", "", 19, 33, 27, bias_gelu },
    { "MatMul", "128, 96", "96, 40", "", 96, 128, 40, bias_sum },
    { "MatMul", "1, 17, 64", "64, 70", "", 64, 17, 70, bias_gelu },
    { "MatMul", "3, 14, 33", "33, 16", "", 33, 1, 16, bias_relu },
    { "MatMul", "20, 24", "24, 31", "", 24, 20, 31, times_sigmoid },
    { "MatMul", "21, 24", "24, 32", "", 24, 21, 32, minus_column },
    { "MatMul", "2, 24", "24, 600", "", 24, 2, 600, bias_gelu },
    { "MatMul", "1, 40", "40, 9", "", 40, 1, 9, bias_relu },
    { "Gemm", "40, 24", "31, 24", ", \"attributes\": {\"transB\": 1}", 24, 40, 31, NULL },
    { "Gemm", "24, 40", "24, 31", ", \"attributes\": {\"transA\": 1}", 24, 40, 31, NULL },
    { "Gemm", "40, 24", "24, 31", ", \"attributes\": {\"alpha\": 0.5, \"beta\": 2.0}", 24, 40, 31,
      NULL },
};

Test(onednn_matmul, as_products_and_as_points_with_what_follows)
{
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
        char json[4096];
        product_json(&products[k], json, sizeof json);
        check_on(on, json, TN_MATH_FAST, products[k].k, products[k].op);
        check_on(on, json, TN_MATH_STRICT, products[k].k, products[k].op);
    }
}

/* bfloat16 where the processor has it, float32 elsewhere: 8 bits of a factor are left. */
Test(onednn_matmul, bfloat16_is_as_near_as_its_bits_allow)
{
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
        char json[4096];
        product_json(&products[k], json, sizeof json);
        check_on(on, json, TN_MATH_BF16, 40000, products[k].op);
    }
}

Test(onednn_matmul, not_a_number_and_infinity_go_through_in_strict_math)
{
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
        char json[4096];
        product_json(&products[k], json, sizeof json);
        check_poisoned(on, json, TN_MATH_STRICT, NAN, products[k].k, products[k].op);
        check_poisoned(on, json, TN_MATH_STRICT, INFINITY, products[k].k, products[k].op);
    }
}

/* ---- Concat ------------------------------------------------------------------------------------ */

Test(onednn_concat, on_any_axis_of_plain_tensors)
{
    static const char *const shapes[][3] = { { "2, 3, 5, 7", "2, 4, 5, 7", "1" },
                                             { "2, 3, 5, 7", "6, 3, 5, 7", "0" },
                                             { "2, 3, 5, 7", "2, 3, 5, 1", "-1" },
                                             { "9", "4", "0" },
                                             { "3, 33", "3, 31", "1" } };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        char json[1024];
        snprintf(
            json, sizeof json,
            "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"a\", \"dtype\": \"float32\", \"shape\": [%s]}, "
            "{\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [%s]}], \"outputs\": [\"y\"], "
            "\"nodes\": [{\"op\": \"Concat\", \"inputs\": [\"a\", \"b\", \"a\"], \"outputs\": [\"y\"], \"attributes\": {\"axis\": %s}}]}",
            shapes[k][0], shapes[k][1], shapes[k][2]);
        check_on(on, json, TN_MATH_STRICT, 0, "Concat");
    }
}

/* Between convolutions the channels come last. */
Test(onednn_concat, of_channels_that_come_last)
{
    check_on(
        on,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 16, 9, 7]}], \"outputs\": [\"y\"], "
        "\"constants\": {\"v\": {\"dtype\": \"float32\", \"shape\": [24, 16, 3, 3], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 3}}, "
        "\"w\": {\"dtype\": \"float32\", \"shape\": [19, 40, 1, 1], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 4}}}, "
        "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"v\"], \"outputs\": [\"a\"], \"attributes\": {\"pads\": [1, 1, 1, 1]}}, "
        "{\"op\": \"MaxPool\", \"inputs\": [\"x\"], \"outputs\": [\"b\"], \"attributes\": {\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1]}}, "
        "{\"op\": \"Concat\", \"inputs\": [\"a\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {\"axis\": 1}}, "
        "{\"op\": \"Conv\", \"inputs\": [\"c\", \"w\"], \"outputs\": [\"y\"]}]}",
        TN_MATH_FAST, 144 + 40, "Concat");
}
