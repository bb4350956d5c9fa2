/* Attention and its kin, where ONNX's own tests are silent: which keys a query sees, in each version
 * and type, caches that are empty, and what is said about what is wrong.
 *
 * With scale 0 all scores are equal: Y is the mean of the values that are seen. Keys are 0 to 3, their
 * values 1, 2, 4 and 8, so a mean tells which ones they were.
 *
 * SPDX-License-Identifier: MIT */
#include "cases.h"

#define T(name, type, shape, data)                                                                 \
    "\"" name "\": {\"dtype\": \"" type "\", \"shape\": [" shape "], \"data\": [" data "]}"
#define QKV(type)                                                                                  \
    T("q", type, "1,1,2,1", "1,2")                                                                 \
    "," T("k", type, "1,1,4,1", "3,1,2,5") "," T("v", type, "1,1,4,1", "1,2,4,8")
#define MEAN "\"scale\": {\"float\": 0}"
#define CAUSAL MEAN ", \"is_causal\": {\"int\": 1}"
#define ATTENTION(set) set, NULL, "Attention"
#define PLAIN "\"q\", \"k\", \"v\""

Test(attention, a_query_sees_the_keys_it_should)
{
    static const one_node cases[] = {
        { "all", ATTENTION("24"), MEAN, PLAIN, QKV("float32"), 1, "3.75 3.75" },
        { "causal", ATTENTION("24"), CAUSAL, PLAIN, QKV("float32"), 1, "1 1.5" },
        { "causal, set 23", ATTENTION("23"), CAUSAL, PLAIN, QKV("float32"), 1, "1 1.5" },
        { "valid rows", ATTENTION("24"), MEAN, PLAIN ", \"\", \"\", \"\", \"n\"",
          QKV("float32") "," T("n", "int64", "1", "3"), 1, "2.33333333 2.33333333" },
        { "valid rows, causal", ATTENTION("24"), CAUSAL, PLAIN ", \"\", \"\", \"\", \"n\"",
          QKV("float32") "," T("n", "int64", "1", "3"), 1, "1.5 2.33333333" },
        { "fewer keys than queries", ATTENTION("24"), CAUSAL, PLAIN ", \"\", \"\", \"\", \"n\"",
          QKV("float32") "," T("n", "int64", "1", "1"), 1, "0 1" },
        { "window to the left", ATTENTION("25"),
          MEAN ", \"left_window_size\": {\"int\": 1}, \"right_window_size\": {\"int\": 0}", PLAIN,
          QKV("float32"), 1, "1 1.5" },
        { "window to the right", ATTENTION("27"),
          MEAN ", \"left_window_size\": {\"int\": 0}, \"right_window_size\": {\"int\": 1}", PLAIN,
          QKV("float32"), 1, "1.5 3" },
        { "nothing is seen", ATTENTION("24"), MEAN, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "bool", "2,4", "false,false,false,false,true,false,false,true"),
          1, "0 4.5" },
        { "a short mask", ATTENTION("24"), MEAN, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "bool", "2,2", "true,true,false,true"), 1, "1.5 2" },
        { "a mask of 1 ends in 24", ATTENTION("24"), MEAN, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "float32", "2,1", "0,0"), 1, "1 1" },
        { "a mask of 1 repeats in 23", ATTENTION("23"), MEAN, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "float32", "2,1", "0,0"), 1, "3.75 3.75" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(attention, every_type_is_computed)
{
    static const one_node cases[] = {
        { "float16", ATTENTION("24"), CAUSAL, PLAIN, QKV("float16"), 1, "1 1.5" },
        { "bfloat16", ATTENTION("24"), CAUSAL, PLAIN, QKV("bfloat16"), 1, "1 1.5" },
        { "float64", ATTENTION("24"), CAUSAL, PLAIN, QKV("float64"), 1, "1 1.5" },
        { "a mask of integers", ATTENTION("24"), MEAN, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "int8", "4", "0,0,-100,-100"), 1, "1.5 1.5" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

#define PAST(rows, keys, values)                                                                   \
    "," T("pk", "float32", "1,1," rows ",1", keys) "," T("pv", "float32", "1,1," rows ",1", values)

static void check_present(const one_node *c, tn_context *context)
{
    const tn_tensor *present = tn_context_output(context, 2);
    check_numbers(c, context);
    cr_assert_eq(present->rank, 4);
    cr_assert_eq(present->dims[2], strcmp(c->name, "a past") == 0 ? 6 : 4);
    cr_assert_eq(((const float *)present->data)[present->dims[2] - 1], 8);
}

Test(attention, the_past_comes_first_and_may_be_empty)
{
    static const one_node cases[] = {
        { "a past", ATTENTION("24"), CAUSAL, PLAIN ", \"\", \"pk\", \"pv\"",
          QKV("float32") PAST("2", "1,1", "16,32"), 3, "16.3333333 12.75" },
        { "an empty one", ATTENTION("24"), CAUSAL, PLAIN ", \"\", \"pk\", \"pv\"",
          QKV("float32") PAST("0", "", ""), 3, "1 1.5" },
    };
    EACH(cases, run_case(&cases[k], check_present));
}

Test(attention, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "mode", ATTENTION("24"), "\"qk_matmul_output_mode\": {\"int\": 4}", PLAIN, QKV("float32"),
          1, "qk_matmul_output_mode is 4: expected 0 to 3" },
        { "precision", ATTENTION("24"), "\"softmax_precision\": {\"int\": 7}", PLAIN,
          QKV("float32"), 1,
          "softmax_precision is 7: expected 1 (float32), 10 (float16), 11 (float64) or 16 (bfloat16)" },
        { "heads", ATTENTION("24"), NULL, PLAIN,
          T("q", "float32", "1,1,2", "1,2") "," T("k", "float32", "1,1,2",
                                                  "1,2") "," T("v", "float32", "1,1,2", "1,2"),
          1, "q_num_heads is missing: inputs of rank 3 need it" },
        { "split", ATTENTION("24"), "\"q_num_heads\": {\"int\": 3}, \"kv_num_heads\": {\"int\": 1}",
          PLAIN,
          T("q", "float32", "1,1,2", "1,2") "," T("k", "float32", "1,1,2",
                                                  "1,2") "," T("v", "float32", "1,1,2", "1,2"),
          1, "input 'Q' has extent 2 on axis 2, which 3 heads do not divide" },
        { "half a past", ATTENTION("24"), NULL, PLAIN ", \"\", \"pk\"",
          QKV("float32") "," T("pk", "float32", "1,1,1,1", "1"), 1,
          "input 'past_key' stands without 'past_value': expected both or none" },
        { "mask", ATTENTION("24"), NULL, PLAIN ", \"m\"",
          QKV("float32") "," T("m", "float32", "5", "1,2,3,4,5"), 1,
          "input 'attn_mask' has extent 5 on axis 0: expected 1 or 4 at most" },
        { "valid rows", ATTENTION("24"), NULL, PLAIN ", \"\", \"\", \"\", \"n\"",
          QKV("float32") "," T("n", "int64", "1", "5"), 1,
          "nonpad_kv_seqlen[0] is 5: expected 0 to 4, the rows of 'K'" },
        { "size", ATTENTION("24"), NULL, PLAIN,
          T("q", "float32", "1,1,1,2", "1,2") "," T("k", "float32", "1,1,2,1",
                                                    "1,2") "," T("v", "float32", "1,1,2,1", "1,2"),
          1, "input 'K' has extent 1 on axis 3: expected 2, the head size of 'Q'" },
    };
    EACH(cases, refuse_case(&cases[k]));
}

/* A quarter turn: (a, b) becomes (-b, a). */
#define ROTARY "24", NULL, "RotaryEmbedding"
#define TURN T("c", "float32", "2,1", "1,0") "," T("s", "float32", "2,1", "0,1")
#define TWO T("x", "float32", "1,1,2,3", "1,2,9,3,4,9")

Test(rotary, pairs_turn_and_the_rest_stays)
{
    static const one_node cases[] = {
        { "by position", ROTARY, "\"rotary_embedding_dim\": {\"int\": 2}",
          "\"x\", \"c\", \"s\", \"p\"", TWO "," TURN "," T("p", "int64", "1,2", "1,0"), 1,
          "-2 1 9 3 4 9" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(rotary, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "position", ROTARY, "\"rotary_embedding_dim\": {\"int\": 2}",
          "\"x\", \"c\", \"s\", \"p\"", TWO "," TURN "," T("p", "int64", "1,2", "1,2"), 1,
          "position_ids holds 2: expected 0 to 1, the rows of 'cos_cache'" },
        { "odd", ROTARY, NULL, "\"x\", \"c\", \"s\", \"p\"",
          TWO "," TURN "," T("p", "int64", "1,2", "1,0"), 1,
          "input 'X' has head size 3: expected an even number" },
    };
    EACH(cases, refuse_case(&cases[k]));
}

/* One head of size 1: S becomes S + k v, and with decay ln 2 first twice S. */
#define LINEAR "27", NULL, "LinearAttention"
#define HEADS(rule)                                                                                \
    "\"q_num_heads\": {\"int\": 1}, \"kv_num_heads\": {\"int\": 1}, \"scale\": {\"float\": 1},"    \
    " \"update_rule\": {\"string\": \"" rule "\"}"
#define STEPS                                                                                      \
    T("q", "float32", "1,2,1", "1,10")                                                             \
    "," T("k", "float32", "1,2,1", "1,2") "," T("v", "float32", "1,2,1",                           \
                                                "3,5") "," T("s", "float32", "1,1,1,1", "1")
#define GATE T("g", "float32", "1,2,1", "0.69314718,0.69314718")

Test(linear, each_rule_goes_its_way)
{
    static const one_node cases[] = {
        { "linear", LINEAR, HEADS("linear"), "\"q\", \"k\", \"v\", \"s\"", STEPS, 2, "4 140" },
        { "gated", LINEAR, HEADS("gated"), "\"q\", \"k\", \"v\", \"s\", \"g\"", STEPS "," GATE, 2,
          "5 200" },
        /* 1 + 1/2 (3 - 1) = 2; 2 + 1/2 * 2 (5 - 4) = 3 */
        { "delta", LINEAR, HEADS("delta"), "\"q\", \"k\", \"v\", \"s\", \"\", \"b\"",
          STEPS "," T("b", "float32", "1,2,1", "0.5,0.5"), 2, "2 30" },
        /* 2 + 1/2 (3 - 2) = 2.5; 5 + 1/2 * 2 (5 - 10) = 0 */
        { "gated delta", LINEAR, HEADS("gated_delta"), "\"q\", \"k\", \"v\", \"s\", \"g\", \"b\"",
          STEPS "," GATE "," T("b", "float32", "1,2,1", "0.5,0.5"), 2, "2.5 0" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(linear, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "rule", LINEAR, HEADS("cubic"), "\"q\", \"k\", \"v\"", STEPS, 2,
          "update_rule is 'cubic': expected linear, gated, delta or gated_delta" },
        { "no decay", LINEAR, HEADS("gated"), "\"q\", \"k\", \"v\"", STEPS, 2,
          "update_rule 'gated' needs input 'decay'" },
        { "a decay", LINEAR, HEADS("linear"), "\"q\", \"k\", \"v\", \"\", \"g\"", STEPS "," GATE, 2,
          "update_rule 'linear' takes no input 'decay'" },
    };
    EACH(cases, refuse_case(&cases[k]));
}

#define FLEX "{\"ai.onnx\": 26, \"ai.onnx.preview\": 1}", "ai.onnx.preview", "FlexAttention"

Test(flex, a_body_changes_the_probabilities)
{
    static const one_node cases[] = {
        { "twice", FLEX,
          MEAN ", \"prob_mod\": {\"graph\": {\"inputs\": [{\"name\": \"p\", \"dtype\": \"float32\","
               " \"shape\": [1,1,2,4]}], \"outputs\": [\"t\"], \"nodes\": [{\"op\": \"Add\","
               " \"inputs\": [\"p\", \"p\"], \"outputs\": [\"t\"]}]}}",
          PLAIN, QKV("float32"), 1, "7.5 7.5" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(attention, shapes_follow_with_symbols)
{
    static const char *const shapes[] = { "[B,4,L,6]", "[B,2,S+P,5]", "[B,2,S+P,6]",
                                          "[B,4,L,S+P]" };
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": ["
        " {\"name\": \"q\", \"dtype\": \"float32\", \"shape\": [\"B\", 4, \"L\", 5]},"
        " {\"name\": \"k\", \"dtype\": \"float32\", \"shape\": [\"B\", 2, \"S\", 5]},"
        " {\"name\": \"v\", \"dtype\": \"float32\", \"shape\": [\"B\", 2, \"S\", 6]},"
        " {\"name\": \"pk\", \"dtype\": \"float32\", \"shape\": [\"B\", 2, \"P\", 5]},"
        " {\"name\": \"pv\", \"dtype\": \"float32\", \"shape\": [\"B\", 2, \"P\", 6]}],"
        " \"outputs\": [\"y\", \"a\", \"b\", \"c\"], \"nodes\": [{\"op\": \"Attention\","
        " \"inputs\": [\"q\", \"k\", \"v\", \"\", \"pk\", \"pv\"],"
        " \"outputs\": [\"y\", \"a\", \"b\", \"c\"]}]}");
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    for (size_t k = 0; k < 4; k++)
        cr_expect_str_eq(tn_session_output(session, k)->shape, shapes[k], "output %zu: %s", k,
                         tn_session_output(session, k)->shape);
    tn_session_destroy(session);
    close_fixture(&f);
}
