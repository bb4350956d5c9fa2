/* Attention and its kin as other operators (`expand`), held against their kernels where ONNX's own
 * tests do not go: with symbols for every extent, heads in groups, empty tensors, old versions, narrow
 * types, bodies that have bodies, and on a list of backends that has no kernel for them.
 *
 * SPDX-License-Identifier: MIT */
#include "cases.h"

#define MOST 8

typedef struct input {
    const char *name;
    uint32_t dtype;
    int32_t rank;
    int64_t dims[4];
    int64_t integers[4]; /* of an int64: its elements */
} input;

typedef struct both {
    const char *name;   /* of the case */
    const char *json;   /* the graph; all extents are symbols */
    const char *op;     /* what is there no more: "= Attention " */
    double tolerance;   /* of elements, which are around 1 */
    input inputs[MOST]; /* to the first without a name */
} both;

#define IN(name, type, shape)                                                                      \
    "{\"name\": \"" name "\", \"dtype\": \"" type "\", \"shape\": [" shape "]}"
#define NET(opset, inputs, outputs, op, of, attributes)                                            \
    "{\"tenon\": 1, \"opset\": " opset ", \"inputs\": [" inputs "], \"outputs\": [" outputs "],"   \
    " \"nodes\": [{\"op\": \"" op "\", \"domain\": \"\", \"inputs\": [" of                         \
    "], \"outputs\": [" outputs "], \"attributes\": {" attributes "}}]}"

static int64_t count_of(const input *in)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < in->rank; axis++)
        count *= in->dims[axis];
    return count;
}

static tn_tensor make(const input *in, uint32_t seed)
{
    const int64_t count = count_of(in);
    float *numbers = calloc((size_t)count + 1, sizeof *numbers);
    void *data = calloc((size_t)count + 1, 8);
    cr_assert(numbers && data);
    fill(numbers, (size_t)count, seed);
    for (int64_t k = 0; k < count; k++) {
        if (in->dtype == TN_INT64)
            ((int64_t *)data)[k] = in->integers[k];
        else if (in->dtype == TN_BOOL)
            ((uint8_t *)data)[k] = numbers[k] > -0.3f;
        else
            tn_set_float(in->dtype, data, k, (double)numbers[k]);
    }
    free(numbers);
    return (tn_tensor){ .size = sizeof(tn_tensor),
                        .dtype = in->dtype,
                        .rank = in->rank,
                        .dims = in->dims,
                        .data = data,
                        .bytes = tn_dtype_bytes(in->dtype, count) };
}

static void collect(void *user, const char *text, size_t count)
{
    strncat(user, text, count);
}

static tn_context *run_one(const both *c, tn_session *session, const tn_tensor *inputs)
{
    tn_context *context;
    OK(tn_context_create(session, &context));
    for (size_t k = 0; k < MOST && c->inputs[k].name; k++)
        cr_assert_eq(tn_context_set_input(context, c->inputs[k].name, &inputs[k]), TN_OK, "%s: %s",
                     c->name, tn_error_message());
    cr_assert_eq(tn_context_run(context, NULL), TN_OK, "%s: %s", c->name, tn_error_message());
    return context;
}

static void compare(const both *c, size_t output, const tn_tensor *kernel, const tn_tensor *body)
{
    cr_assert_eq(kernel->dtype, body->dtype, "%s: output %zu", c->name, output);
    cr_assert_eq(kernel->rank, body->rank, "%s: output %zu", c->name, output);
    for (int32_t axis = 0; axis < kernel->rank; axis++)
        cr_assert_eq(kernel->dims[axis], body->dims[axis], "%s: output %zu", c->name, output);
    for (int64_t k = 0; k < tn_count(kernel); k++) {
        const double a = tn_get_double(kernel->dtype, kernel->data, k);
        const double b = tn_get_double(body->dtype, body->data, k);
        cr_assert(a == b || fabs(a - b) <= c->tolerance || (isnan(a) && isnan(b)),
                  "%s: output %zu, element %lld: the kernel says %.9g, the body %.9g", c->name,
                  output, (long long)k, a, b);
    }
}

/* The reference kernel against the body; without passes and with all. */
static void run_both(const both *c)
{
    static char text[65536];
    fixture f = open_text(c->json);
    tn_tensor inputs[MOST];
    for (uint32_t k = 0; k < MOST && c->inputs[k].name; k++)
        inputs[k] = make(&c->inputs[k], 7 + k);
    tn_session *plain = make_session(&f, "reference", "none", 1, 0);
    tn_context *wanted = run_one(c, plain, inputs);
    for (uint32_t passes = 0; passes < 2; passes++) {
        tn_session *session = make_session(&f, "reference", passes ? "all" : "none", 1,
                                           TN_SESSION_PREFER_BODIES);
        *text = '\0';
        OK(tn_session_print(session, "graph", collect, text));
        cr_assert_null(strstr(text, c->op), "%s: %s", c->name, text);
        tn_context *context = run_one(c, session, inputs);
        for (size_t k = 0; tn_session_output(session, k); k++)
            compare(c, k, tn_context_output(wanted, k), tn_context_output(context, k));
        tn_context_destroy(context);
        tn_session_destroy(session);
    }
    tn_context_destroy(wanted);
    tn_session_destroy(plain);
    for (uint32_t k = 0; k < MOST && c->inputs[k].name; k++)
        free(inputs[k].data);
    close_fixture(&f);
}

/* ---- Attention ------------------------------------------------------------------------------------- */

#define S4(a, b, c, d) "\"" a "\",\"" b "\",\"" c "\",\"" d "\""
#define QKV(type)                                                                                  \
    IN("q", type, S4("B", "H", "L", "D"))                                                          \
    "," IN("k", type, S4("B", "G", "S", "D")) "," IN("v", type, S4("B", "G", "S", "E"))
#define PAST(type)                                                                                 \
    "," IN("pk", type, S4("B", "G", "P", "D")) "," IN("pv", type, S4("B", "G", "P", "E"))
#define PLAIN "\"q\", \"k\", \"v\""
#define ALL "\"y\", \"a\", \"b\", \"c\""
#define MODE(n) "\"qk_matmul_output_mode\": {\"int\": " #n "}"
#define Q(type, b, h, l, d)                                                                        \
    {                                                                                              \
        "q", type, 4, { b, h, l, d },                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define K(type, b, g, s, d)                                                                        \
    {                                                                                              \
        "k", type, 4, { b, g, s, d },                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define V(type, b, g, s, e)                                                                        \
    {                                                                                              \
        "v", type, 4, { b, g, s, e },                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

Test(attention_bodies, heads_in_groups_with_a_past_and_symbols_everywhere)
{
    static const char *const modes[] = {
        NET("24", QKV("float32") PAST("float32"), ALL, "Attention", PLAIN ",\"\",\"pk\",\"pv\"",
            MODE(0) ", \"softcap\": {\"float\": 0.5}"),
        NET("24", QKV("float32") PAST("float32"), ALL, "Attention", PLAIN ",\"\",\"pk\",\"pv\"",
            MODE(1) ", \"softcap\": {\"float\": 0.5}, \"scale\": {\"float\": -2}"),
        NET("24", QKV("float32") PAST("float32"), ALL, "Attention", PLAIN ",\"\",\"pk\",\"pv\"",
            MODE(2) ", \"is_causal\": {\"int\": 1}"),
        NET("24", QKV("float32") PAST("float32"), ALL, "Attention", PLAIN ",\"\",\"pk\",\"pv\"",
            MODE(3) ", \"is_causal\": {\"int\": 1}"),
    };
    static const int64_t pasts[] = { 3, 0 };
    for (size_t m = 0; m < 4; m++)
        for (size_t p = 0; p < 2; p++) {
            const both c = { "past",
                             modes[m],
                             "= Attention ",
                             2e-6,
                             { Q(TN_FLOAT32, 2, 6, 5, 4),
                               K(TN_FLOAT32, 2, 2, 3, 4),
                               V(TN_FLOAT32, 2, 2, 3, 7),
                               { "pk", TN_FLOAT32, 4, { 2, 2, pasts[p], 4 }, { 0 } },
                               { "pv", TN_FLOAT32, 4, { 2, 2, pasts[p], 7 }, { 0 } } } };
            run_both(&c);
        }
}

#define PACKED(type)                                                                               \
    IN("q", type, "\"B\",\"L\",\"H\"")                                                             \
    "," IN("k", type, "\"B\",\"S\",\"G\"") "," IN("v", type, "\"B\",\"S\",\"E\"")
#define HEADS "\"q_num_heads\": {\"int\": 4}, \"kv_num_heads\": {\"int\": 2}"

Test(attention_bodies, packed_heads_and_narrow_types)
{
    static const both cases[] = {
        { "packed",
          NET("24", PACKED("float32"), ALL, "Attention", PLAIN, HEADS),
          "= Attention ",
          2e-6,
          { { "q", TN_FLOAT32, 3, { 2, 3, 12 }, { 0 } },
            { "k", TN_FLOAT32, 3, { 2, 5, 6 }, { 0 } },
            { "v", TN_FLOAT32, 3, { 2, 5, 10 }, { 0 } } } },
        { "no query",
          NET("24", PACKED("float32"), ALL, "Attention", PLAIN, HEADS),
          "= Attention ",
          0,
          { { "q", TN_FLOAT32, 3, { 2, 0, 12 }, { 0 } },
            { "k", TN_FLOAT32, 3, { 2, 5, 6 }, { 0 } },
            { "v", TN_FLOAT32, 3, { 2, 5, 10 }, { 0 } } } },
        { "no key",
          NET("24", PACKED("float32"), ALL, "Attention", PLAIN, HEADS),
          "= Attention ",
          0,
          { { "q", TN_FLOAT32, 3, { 2, 3, 12 }, { 0 } },
            { "k", TN_FLOAT32, 3, { 2, 0, 6 }, { 0 } },
            { "v", TN_FLOAT32, 3, { 2, 0, 10 }, { 0 } } } },
        { "float16",
          NET("24", QKV("float16"), ALL, "Attention", PLAIN, MODE(3)),
          "= Attention ",
          1e-3,
          { Q(TN_FLOAT16, 1, 2, 3, 8), K(TN_FLOAT16, 1, 1, 5, 8), V(TN_FLOAT16, 1, 1, 5, 2) } },
        { "float64",
          NET("24", QKV("float64"), ALL, "Attention", PLAIN, MODE(2)),
          "= Attention ",
          1e-14,
          { Q(TN_FLOAT64, 1, 2, 3, 8), K(TN_FLOAT64, 1, 2, 5, 8), V(TN_FLOAT64, 1, 2, 5, 2) } },
    };
    EACH(cases, run_both(&cases[k]));
}

#define MASK(type, shape) "," IN("m", type, shape)
#define VALID "," IN("n", "int64", "\"B\"")
#define CAUSAL "\"is_causal\": {\"int\": 1}"
#define WINDOW "\"left_window_size\": {\"int\": 2}, \"right_window_size\": {\"int\": 1}"
#define QKV_OF(rows)                                                                               \
    Q(TN_FLOAT32, 2, 2, 4, 3), K(TN_FLOAT32, 2, 2, rows, 3), V(TN_FLOAT32, 2, 2, rows, 3)

Test(attention_bodies, every_mask_hides_the_same_keys)
{
    static const both cases[] = {
        { "bool, short",
          NET("24", QKV("float32") MASK("bool", S4("B", "one", "L", "M")), ALL, "Attention",
              PLAIN ",\"m\"", MODE(2)),
          "= Attention ",
          1e-6,
          { QKV_OF(6), { "m", TN_BOOL, 4, { 2, 1, 4, 3 }, { 0 } } } },
        { "float16 on float32, short by symbols",
          NET("24", QKV("float32") MASK("float16", "\"L\", \"M\""), ALL, "Attention",
              PLAIN ",\"m\"", CAUSAL),
          "= Attention ",
          1e-6,
          { QKV_OF(6), { "m", TN_FLOAT16, 2, { 4, 5 }, { 0 } } } },
        { "a vector",
          NET("24", QKV("float32") MASK("float32", "\"S\""), ALL, "Attention", PLAIN ",\"m\"",
              MODE(3)),
          "= Attention ",
          1e-6,
          { QKV_OF(6), { "m", TN_FLOAT32, 1, { 6 }, { 0 } } } },
        { "extent 1 ends in 24",
          NET("24", QKV("float32") MASK("float32", "\"L\", \"M\""), ALL, "Attention",
              PLAIN ",\"m\"", MODE(2)),
          "= Attention ",
          1e-6,
          { QKV_OF(6), { "m", TN_FLOAT32, 2, { 4, 1 }, { 0 } } } },
        { "valid rows, causal, with a mask",
          NET("24", QKV("float32") MASK("bool", "\"L\", \"M\"") VALID, ALL, "Attention",
              PLAIN ",\"m\",\"\",\"\",\"n\"", CAUSAL "," MODE(3)),
          "= Attention ",
          1e-6,
          { QKV_OF(6),
            { "m", TN_BOOL, 2, { 4, 6 }, { 0 } },
            { "n", TN_INT64, 1, { 2 }, { 2, 6 } } } },
        { "a window",
          NET("25", QKV("float32"), ALL, "Attention", PLAIN, WINDOW "," MODE(2)),
          "= Attention ",
          1e-6,
          { QKV_OF(7) } },
        { "a window that is causal, over valid rows",
          NET("25", QKV("float32") VALID, ALL, "Attention", PLAIN ",\"\",\"\",\"\",\"n\"",
              WINDOW "," CAUSAL),
          "= Attention ",
          1e-6,
          { QKV_OF(7), { "n", TN_INT64, 1, { 2 }, { 3, 7 } } } },
    };
    EACH(cases, run_both(&cases[k]));
}

/* Whether it repeats, only the run tells here: with the mask of 1 all keys weigh the same as without,
 * and the mean of the values is their mean. */
Test(attention_bodies, a_mask_of_1_repeats_in_version_23)
{
    fixture f = open_text(NET("23", QKV("float32") MASK("float32", "\"L\", \"M\""), "\"y\"",
                              "Attention", PLAIN ",\"m\"", "\"scale\": {\"float\": 0}"));
    const int64_t q_dims[4] = { 1, 1, 2, 1 }, k_dims[4] = { 1, 1, 4, 1 }, m_dims[2] = { 2, 1 };
    float q[2] = { 1, 2 }, k[4] = { 3, 1, 2, 5 }, v[4] = { 1, 2, 4, 8 }, m[2] = { 0, -3 };
    const tn_tensor inputs[] = { floats(q, 4, q_dims), floats(k, 4, k_dims), floats(v, 4, k_dims),
                                 floats(m, 2, m_dims) };
    static const char *const names[] = { "q", "k", "v", "m" };
    for (uint32_t bodies = 0; bodies < 2; bodies++) {
        tn_session *session = make_session(&f, "reference", "none", 1,
                                           bodies ? TN_SESSION_PREFER_BODIES : 0);
        tn_context *context;
        OK(tn_context_create(session, &context));
        for (size_t j = 0; j < 4; j++)
            OK(tn_context_set_input(context, names[j], &inputs[j]));
        OK(tn_context_run(context, NULL));
        for (size_t j = 0; j < 2; j++)
            cr_expect_float_eq(((const float *)tn_context_output(context, 0)->data)[j], 3.75f,
                               1e-6f);
        tn_context_destroy(context);
        tn_session_destroy(session);
    }
    close_fixture(&f);
}

Test(attention_bodies, a_node_of_no_rank_stays_whole)
{
    char text[4096] = "";
    fixture f = open_text("{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"q\","
                          " \"dtype\": \"float32\"}], \"outputs\": [\"y\"], \"nodes\": [{\"op\":"
                          " \"Attention\", \"inputs\": [\"q\", \"q\", \"q\"],"
                          " \"outputs\": [\"y\"]}]}");
    tn_session *session = make_session(&f, "reference", "none", 1, TN_SESSION_PREFER_BODIES);
    OK(tn_session_print(session, "graph", collect, text));
    cr_expect(strstr(text, "= Attention "), "%s", text);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* ---- FlexAttention ------------------------------------------------------------------------------------ */

#define BODY(nodes)                                                                                \
    "{\"graph\": {\"inputs\": [{\"name\": \"s\", \"dtype\": \"float32\"}],"                        \
    " \"outputs\": [\"t\"], \"constants\": {\"half\": {\"dtype\": \"float32\", \"shape\": [],"     \
    " \"data\": [0.5]}}, \"nodes\": [" nodes "]}}"
#define SUM(a, b, y)                                                                               \
    "{\"op\": \"Add\", \"inputs\": [\"" a "\", \"" b "\"], \"outputs\": [\"" y "\"]}"
#define BRANCH(nodes, y)                                                                           \
    "{\"graph\": {\"inputs\": [], \"outputs\": [\"" y "\"], \"nodes\": [" nodes "]}}"
#define FLEX(inputs, attributes)                                                                   \
    "{\"tenon\": 1, \"opset\": {\"ai.onnx\": 26, \"ai.onnx.preview\": 1}, \"inputs\": [" inputs    \
    "], \"outputs\": [\"y\"], \"nodes\": [{\"op\": \"FlexAttention\", \"domain\":"                 \
    " \"ai.onnx.preview\", \"inputs\": [" PLAIN "], \"outputs\": [\"y\"],"                         \
    " \"attributes\": {" attributes "}}]}"

Test(attention_bodies, flex_takes_its_bodies_apart)
{
    /* s + 0.5 * … in a branch that reads a value of the graph, one of the body and a constant of it */
    static const both cases[] = {
        { "none", FLEX(QKV("float32"), ""), "FlexAttention", 1e-6, { QKV_OF(5) } },
        { "both",
          FLEX(QKV("float32"),
               "\"score_mod\": " BODY(SUM("s", "half", "t")) ", \"prob_mod\": " BODY(
                   "{\"op\": \"Mul\", \"inputs\": [\"s\", \"half\"], \"outputs\": [\"t\"]}")),
          "FlexAttention",
          1e-6,
          { QKV_OF(5) } },
        { "a body of a body",
          FLEX(QKV("float32") "," IN("c", "bool", "") "," IN("x", "float32", ""),
               "\"score_mod\": " BODY(
                   SUM("s", "s", "u") ",{\"op\": \"If\", \"inputs\": [\"c\"], \"outputs\": [\"t\"],"
                                      " \"attributes\": {\"then_branch\": " BRANCH(
                                          SUM("u", "half", "d") "," SUM("d", "x", "e"),
                                          "e") ", \"else_branch\": " BRANCH(SUM("s", "x", "g"),
                                                                            "g") "}}")),
          "FlexAttention",
          1e-6,
          { QKV_OF(5), { "c", TN_BOOL, 0, { 0 }, { 0 } }, { "x", TN_FLOAT32, 0, { 0 }, { 0 } } } },
    };
    EACH(cases, run_both(&cases[k]));
}

/* ---- LinearAttention, CausalConvWithState -------------------------------------------------------------- */

#define LINEAR(rule, more, of)                                                                     \
    NET("27", PACKED("float32") more, "\"y\", \"z\"", "LinearAttention", of,                       \
        HEADS ", \"update_rule\": {\"string\": \"" rule "\"}")
#define STEPS(count)                                                                               \
    { "q", TN_FLOAT32, 3, { 2, count, 12 }, { 0 } },                                               \
        { "k", TN_FLOAT32, 3, { 2, count, 6 }, { 0 } },                                            \
    {                                                                                              \
        "v", TN_FLOAT32, 3, { 2, count, 10 },                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define DECAY "," IN("g", "float32", "\"B\",\"L\",\"X\"")
#define BETA "," IN("b", "float32", "\"B\",\"L\",\"Y\"")

Test(attention_bodies, linear_goes_step_by_step)
{
    static const both cases[] = {
        { "linear", LINEAR("linear", "", PLAIN), "LinearAttention", 1e-5, { STEPS(4) } },
        { "no step", LINEAR("linear", "", PLAIN), "LinearAttention", 0, { STEPS(0) } },
        { "gated by head",
          LINEAR("gated", DECAY, PLAIN ",\"\",\"g\""),
          "LinearAttention",
          1e-5,
          { STEPS(4), { "g", TN_FLOAT32, 3, { 2, 4, 2 }, { 0 } } } },
        { "delta, one rate, a past",
          LINEAR("delta", "," IN("s", "float32", S4("B", "two", "N", "M")) BETA,
                 PLAIN ",\"s\",\"\",\"b\""),
          "LinearAttention",
          1e-5,
          { STEPS(4),
            { "s", TN_FLOAT32, 4, { 2, 2, 3, 5 }, { 0 } },
            { "b", TN_FLOAT32, 3, { 2, 4, 1 }, { 0 } } } },
        { "gated delta",
          LINEAR("gated_delta", DECAY BETA, PLAIN ",\"\",\"g\",\"b\""),
          "LinearAttention",
          1e-5,
          { STEPS(4),
            { "g", TN_FLOAT32, 3, { 2, 4, 6 }, { 0 } },
            { "b", TN_FLOAT32, 3, { 2, 4, 2 }, { 0 } } } },
    };
    EACH(cases, run_both(&cases[k]));
}

#define CONV(channels, of, more)                                                                   \
    NET("27",                                                                                      \
        IN("x", "float32", "\"B\"," channels ",\"L\"") "," IN(                                     \
            "w", "float32", channels ",1,\"k\"") "," IN("b", "float32", channels) more,            \
        "\"y\", \"z\"", "CausalConvWithState", of, "\"activation\": {\"string\": \"silu\"}")
#define CONV_PAST "," IN("p", "float32", "\"B\",\"C\",\"K\"")
#define X(length)                                                                                  \
    {                                                                                              \
        "x", TN_FLOAT32, 3, { 2, 3, length },                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define W(taps)                                                                                    \
    {                                                                                              \
        "w", TN_FLOAT32, 3, { 3, 1, taps },                                                        \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define B                                                                                          \
    {                                                                                              \
        "b", TN_FLOAT32, 1, { 3 },                                                                 \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

Test(attention_bodies, causal_conv_with_and_without_a_number_of_channels)
{
    static const both cases[] = {
        { "channels",
          CONV("3", "\"x\", \"w\", \"b\"", ""),
          "CausalConvWithState",
          1e-6,
          { X(5), W(4), B } },
        { "symbols",
          CONV("\"C\"", "\"x\", \"w\", \"b\"", ""),
          "CausalConvWithState",
          1e-6,
          { X(5), W(4), B } },
        { "symbols, a past",
          CONV("\"C\"", "\"x\", \"w\", \"\", \"p\"", CONV_PAST),
          "CausalConvWithState",
          1e-6,
          { X(2), W(4), B, { "p", TN_FLOAT32, 3, { 2, 3, 3 }, { 0 } } } },
        { "one tap",
          CONV("\"C\"", "\"x\", \"w\", \"b\"", ""),
          "CausalConvWithState",
          1e-6,
          { X(5), W(1), B } },
        { "no step",
          CONV("\"C\"", "\"x\", \"w\", \"b\"", ""),
          "CausalConvWithState",
          1e-6,
          { X(0), W(4), B } },
        { "no step, channels",
          CONV("3", "\"x\", \"w\", \"b\"", ""),
          "CausalConvWithState",
          1e-6,
          { X(0), W(4), B } },
    };
    EACH(cases, run_both(&cases[k]));
}

/* `native` has kernels for all that the body is made of, and none for the operator. With weight 1 for
 * each tap and no activation, the answers are sums of neighbours. */
Test(attention_bodies, a_list_without_a_kernel_takes_the_body)
{
    static const float expected[4] = { 111, 12, 3, 6 };
    char text[4096] = "";
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 27, \"inputs\": [" IN("x", "float32", "1,1,4") "," IN(
            "p", "float32", "1,1,2") "], \"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\":"
                                     " \"float32\", \"shape\": [1,1,3], \"data\": [1,1,1]}},"
                                     " \"nodes\": [{\"op\": \"CausalConvWithState\", \"inputs\":"
                                     " [\"x\", \"w\", \"\", \"p\"], \"outputs\": [\"y\"]}]}");
    tn_session *session = make_session(&f, "native", "none", 1, 0);
    const int64_t dims[3] = { 1, 1, 4 }, past_dims[3] = { 1, 1, 2 };
    float x[4] = { 1, 1, 1, 4 }, past[2] = { 100, 10 };
    const tn_tensor now = floats(x, 3, dims), before = floats(past, 3, past_dims);
    tn_context *context;
    OK(tn_session_print(session, "graph", collect, text));
    cr_assert_null(strstr(text, "CausalConvWithState"), "%s", text);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &now));
    OK(tn_context_set_input(context, "p", &before));
    OK(tn_context_run(context, NULL));
    for (size_t k = 0; k < 4; k++)
        cr_expect_eq(((const float *)tn_context_output(context, 0)->data)[k], expected[k]);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}
