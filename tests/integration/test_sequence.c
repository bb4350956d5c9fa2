/* Sequences and optionals: made, changed, taken apart, joined; as inputs and outputs.
 *
 * SPDX-License-Identifier: MIT */
#include "graphs.h"

#define LIST "{'name': 'l', 'type': 'sequence(tensor(float32))'}"
#define AT IN("at", "int64", "[]")
#define INDEX(name, data) CONSTANT(name, "int64", "[]", data)

static tn_tensor *list_of(uint32_t kind, size_t count, const tn_tensor *const *elements)
{
    tn_tensor *list;
    OK(tn_value_create(kind, elements, count, &list));
    return list;
}

static float numbers[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* [1], [1 2], [1 2 3] … */
static tn_tensor *stairs(size_t count)
{
    tn_tensor elements[8];
    const tn_tensor *pointers[8];
    static const int64_t lengths[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    for (size_t k = 0; k < count; k++) {
        elements[k] = floats(numbers, 1, &lengths[k]);
        pointers[k] = &elements[k];
    }
    return list_of(TN_SEQUENCE, count, pointers);
}

/* ---- elements ------------------------------------------------------------------------------------ */

#define EDIT(op, in)                                                                               \
    GRAPH("'inputs': [" LIST ", " AT                                                               \
          ", " IN("x", "float32", "[1]") "], 'outputs': ['y', 'n', 'l2'], "                        \
                                         "'nodes': [" NAMED("edit", op, in, "'y'", "") ", " NODE(  \
                                             "SequenceLength", "'y'",                              \
                                             "'n'") ", " NODE("Identity", "'l'", "'l2'") "]")

static void set_edit(running *r, const tn_tensor *list, int64_t *at, float *x)
{
    OK(tn_context_set_input(r->context, "l", list));
    set(r, "at", TN_INT64, SCALAR, at);
    set(r, "x", TN_FLOAT32, 1, DIMS(1), x);
}

/* The lengths of the list's tensors, as digits of a number. */
static int64_t lengths_of(const tn_tensor *list)
{
    int64_t digits = 0;
    for (int64_t k = 0; k < tn_value_count(list); k++)
        digits = digits * 10 + tn_value_get(list, k)->dims[0];
    return digits;
}

Test(sequence, an_element_is_put_anywhere)
{
    tn_tensor *list = stairs(3);
    static const struct {
        int64_t at, expected;
    } rows[] = { { 0, 1123 }, { 1, 1123 }, { 2, 1213 }, { 3, 1231 }, { -1, 1213 }, { -3, 1123 } };
    BOTH_WAYS(r, EDIT("SequenceInsert", "'l', 'x', 'at'"))
    {
        float x = 9;
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            int64_t at = rows[k].at;
            set_edit(&r, list, &at, &x);
            go(&r);
            cr_expect_eq(lengths_of(out(&r, 0)), rows[k].expected, "at %d", (int)at);
            is_ints(out(&r, 1), SCALAR, I(4));
            cr_expect_eq(lengths_of(out(&r, 2)), 123, "the input stays as it was");
        }
        int64_t at = 4;
        set_edit(&r, list, &at, &x);
        run_says(&r, TN_ERR_VALUE, "node 'edit' (SequenceInsert): position 4 is outside [-3, 3]");
    }
    BOTH_WAYS(q, EDIT("SequenceInsert", "'l', 'x'"))
    {
        set_edit(&q, list, I(0), F(9));
        go(&q);
        cr_expect_eq(lengths_of(out(&q, 0)), 1231);
        is_floats(tn_value_get(out(&q, 0), 3), 1, DIMS(1), F(9));
    }
    tn_value_destroy(list);
}

Test(sequence, an_element_is_taken_out)
{
    tn_tensor *list = stairs(3), *none = stairs(0);
    static const struct {
        int64_t at, expected;
    } rows[] = { { 0, 23 }, { 1, 13 }, { 2, 12 }, { -1, 12 }, { -3, 23 } };
    BOTH_WAYS(r, EDIT("SequenceErase", "'l', 'at'"))
    {
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            int64_t at = rows[k].at;
            set_edit(&r, list, &at, numbers);
            go(&r);
            cr_expect_eq(lengths_of(out(&r, 0)), rows[k].expected, "at %d", (int)at);
            cr_expect_eq(lengths_of(out(&r, 2)), 123, "the input stays as it was");
        }
        set_edit(&r, list, I(-4), numbers);
        run_says(&r, TN_ERR_VALUE, "node 'edit' (SequenceErase): position -4 is outside [-3, 3)");
    }
    BOTH_WAYS(q, EDIT("SequenceErase", "'l'"))
    {
        set_edit(&q, list, I(0), numbers);
        go(&q);
        cr_expect_eq(lengths_of(out(&q, 0)), 12);
        set_edit(&q, none, I(0), numbers);
        run_says(&q, TN_ERR_VALUE, "the sequence is empty: it has no last element");
    }
    tn_value_destroy(list);
    tn_value_destroy(none);
}

Test(sequence, an_element_is_looked_at)
{
    tn_tensor *list = stairs(3);
    BOTH_WAYS(r, GRAPH("'inputs': [" LIST
                       ", " IN("at", "int32", "[]") "], 'outputs': ['y', 'z'], 'nodes': [" NAMED(
                           "look", "SequenceAt", "'l', 'at'", "'y'", "") ", " NODE("Neg", "'y'",
                                                                                   "'z'") "]"))
    {
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[...]");
        OK(tn_context_set_input(r.context, "l", list));
        for (int32_t at = -3; at < 3; at++) {
            const int64_t length = (at + 3) % 3 + 1;
            set(&r, "at", TN_INT32, SCALAR, &at);
            go(&r);
            is_floats(out(&r, 0), 1, &length, numbers);
            is_floats(out(&r, 1), 1, &length, F(-1, -2, -3));
        }
        set(&r, "at", TN_INT32, SCALAR, ((int32_t[]){ 3 }));
        run_says(&r, TN_ERR_VALUE, "node 'look' (SequenceAt): position 3 is outside [-3, 3)");
    }
    tn_value_destroy(list);
}

/* ---- types ------------------------------------------------------------------------------------------- */

/* What all elements have in common is known of each: here rank 2 and the first extent. */
Test(sequence, inference_unites_the_elements)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN("a", "float32", "['N', 3]") ", " IN("b", "float32", "['N', 4]") "], 'outputs': ['y', 'z', 'w'], 'constants': {" INDEX(
            "zero",
            "[0]") "}, 'nodes': [" NODE("SequenceConstruct", "'a', 'b'",
                                        "'l'") ", " NODE("SequenceAt", "'l', 'zero'",
                                                         "'y'") ", " NODE_WITH("ConcatFromSequence",
                                                                               "'l'", "'z'",
                                                                               "'axis': -1") ", " NODE("SequenceConstruct",
                                                                                                       "'a'",
                                                                                                       "'m'") ", " NODE("SequenceAt",
                                                                                                                        "'m', 'zero'",
                                                                                                                        "'w'") "]"))
    {
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[N,?]");
        cr_expect_str_eq(tn_session_output(r.session, 1)->shape, "[N,?]");
        cr_expect_str_eq(tn_session_output(r.session, 2)->shape, "[N,3]");
        set(&r, "a", TN_FLOAT32, 2, DIMS(1, 3), F(1, 2, 3));
        set(&r, "b", TN_FLOAT32, 2, DIMS(1, 4), F(4, 5, 6, 7));
        go(&r);
        is_floats(out(&r, 0), 2, DIMS(1, 3), F(1, 2, 3));
        is_floats(out(&r, 1), 2, DIMS(1, 7), F(1, 2, 3, 4, 5, 6, 7));
        is_floats(out(&r, 2), 2, DIMS(1, 3), F(1, 2, 3));
    }
}

Test(sequence, elements_are_of_one_type)
{
    session_says(GRAPH("'inputs': [" LIST
                       ", " IN("x", "int64", "[1]") "], 'outputs': ['y'], 'nodes': [" NODE(
                           "SequenceInsert", "'l', 'x'", "'y'") "]"),
                 TN_ERR_TYPE,
                 "the element type differs from that of 'input_sequence': expected equal ones");
    session_says(GRAPH("'inputs': [], 'outputs': ['y'], 'nodes': [" NODE_WITH(
                     "SequenceEmpty", "", "'y'", "'dtype': 16") "]"),
                 TN_ERR_ATTRIBUTE, "dtype is 16, which is no element type of sequences");
    session_says(
        GRAPH("'inputs': [" LIST "], 'outputs': ['y'], 'nodes': [" NODE("Neg", "'l'", "'y'") "]"),
        TN_ERR_TYPE, "input 'X' is sequence(float32[…]): expected a tensor");
}

static const uint32_t every_type[] = { TN_UINT8,     TN_UINT16,     TN_UINT32,  TN_UINT64,
                                       TN_INT8,      TN_INT16,      TN_INT32,   TN_INT64,
                                       TN_FLOAT16,   TN_FLOAT32,    TN_FLOAT64, TN_BOOL,
                                       TN_COMPLEX64, TN_COMPLEX128, TN_STRING };

/* Cut apart, taken through a sequence and joined again, bytes are what they were. */
Test(sequence, every_element_type_goes_through)
{
    for (size_t k = 0; k < sizeof every_type / sizeof *every_type; k++) {
        char text[1024];
        const uint32_t dtype = every_type[k], bits = tn_dtype_bits(dtype);
        static const tn_text words[6] = { { "a", 1 }, { "", 0 },  { "ccc", 3 },
                                          { "d", 1 }, { "e", 1 }, { "f", 1 } };
        uint8_t bytes[6 * 16];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(dtype == TN_BOOL ? i % 2 : i * 7);
        snprintf(
            text, sizeof text,
            GRAPH("'inputs': [{'name': 'x', 'dtype': '%s', 'shape': [2, 3]}], "
                  "'outputs': ['y'], 'nodes': [" NODE_WITH(
                      "SplitToSequence", "'x'", "'l'",
                      "'axis': 1, 'keepdims': 0") ", " NODE_WITH("ConcatFromSequence", "'l'", "'y'",
                                                                 "'axis': 1, 'new_axis': 1") "]"),
            tn_dtype_name(dtype));
        running r = start(text, "none");
        set(&r, "x", dtype, 2, DIMS(2, 3), dtype == TN_STRING ? (void *)(uintptr_t)words : bytes);
        go(&r);
        has_type(out(&r, 0), dtype, 2, DIMS(2, 3));
        cr_expect_eq(memcmp(out(&r, 0)->data, dtype == TN_STRING ? (const void *)words : bytes,
                            6 * bits / 8),
                     0, "%s", tn_dtype_name(dtype));
        stop(&r);
    }
}

/* ---- SplitToSequence, ConcatFromSequence ---------------------------------------------------------------- */

#define SPLIT(shape, attributes)                                                                   \
    GRAPH("'inputs': [" IN("x", "float32", "['N', 2]") ", " IN(                                    \
        "s", "int64", shape) "], 'outputs': ['l'], 'nodes': [" NAMED("split", "SplitToSequence",   \
                                                                     "'x', 's'", "'l'",            \
                                                                     attributes) "]")

Test(sequence, a_tensor_is_cut_into_chunks)
{
    BOTH_WAYS(r, SPLIT("[]", "'axis': -2, 'keepdims': 0"))
    {
        set(&r, "x", TN_FLOAT32, 2, DIMS(3, 2), numbers);
        set(&r, "s", TN_INT64, SCALAR, I(2));
        go(&r);
        cr_assert_eq(tn_value_count(out(&r, 0)), 2);
        is_floats(tn_value_get(out(&r, 0), 0), 2, DIMS(2, 2), F(1, 2, 3, 4));
        is_floats(tn_value_get(out(&r, 0), 1), 2, DIMS(1, 2), F(5, 6));
        set(&r, "x", TN_FLOAT32, 2, DIMS(0, 2), numbers);
        go(&r);
        cr_assert_eq(tn_value_count(out(&r, 0)), 0);
        set(&r, "s", TN_INT64, SCALAR, I(0));
        run_says(&r, TN_ERR_VALUE, "node 'split' (SplitToSequence): split");
    }
    BOTH_WAYS(q, SPLIT("['K']", "'axis': 0"))
    {
        set(&q, "x", TN_FLOAT32, 2, DIMS(3, 2), numbers);
        set(&q, "s", TN_INT64, 1, DIMS(3), I(2, 0, 1));
        go(&q);
        cr_assert_eq(tn_value_count(out(&q, 0)), 3);
        has_type(tn_value_get(out(&q, 0), 1), TN_FLOAT32, 2, DIMS(0, 2));
        is_floats(tn_value_get(out(&q, 0), 2), 2, DIMS(1, 2), F(5, 6));
        set(&q, "s", TN_INT64, 1, DIMS(2), I(2, 2));
        run_says(&q, TN_ERR_VALUE, "split adds up to");
        set(&q, "s", TN_INT64, 1, DIMS(2), I(1, 1));
        run_says(&q, TN_ERR_VALUE, "split adds up to 2: expected 3, the extent to be split");
        set(&q, "s", TN_INT64, 1, DIMS(2), I(4, -1));
        cr_expect_eq(tn_context_run(q.context, NULL), TN_ERR_VALUE);
    }
    session_says(SPLIT("[]", "'axis': 2"), TN_ERR_ATTRIBUTE,
                 "axis is 2, outside [-2, 2) of input 'input' of rank 2");
}

#define JOIN(attributes)                                                                           \
    GRAPH("'inputs': [" LIST "], 'outputs': ['y'], 'nodes': [" NAMED(                              \
        "join", "ConcatFromSequence", "'l'", "'y'", attributes) "]")

Test(sequence, what_cannot_be_joined_is_said)
{
    tn_tensor *list = stairs(2), *none = stairs(0);
    running r = start(JOIN("'axis': 0, 'new_axis': 1"), NULL);
    OK(tn_context_set_input(r.context, "l", list));
    run_says(&r, TN_ERR_SHAPE,
             "node 'join' (ConcatFromSequence): element 1 has extent 2 along axis 0: "
             "expected 1 as element 0");
    OK(tn_context_set_input(r.context, "l", none));
    run_says(&r, TN_ERR_VALUE, "the sequence is empty: nothing gives the output's shape");
    stop(&r);
    r = start(JOIN("'axis': 1"), NULL);
    OK(tn_context_set_input(r.context, "l", list));
    run_says(&r, TN_ERR_ATTRIBUTE, "axis is 1, outside [-1, 1) of an output of rank 1");
    stop(&r);
    session_says(JOIN("'axis': 0, 'new_axis': 2"), TN_ERR_ATTRIBUTE,
                 "new_axis is 2: expected 0 or 1");
    tn_value_destroy(list);
    tn_value_destroy(none);
}

/* ---- optionals ----------------------------------------------------------------------------------------------- */

#define MAYBE "{'name': 'm', 'type': 'optional(tensor(float32))'}"
#define OPEN(opset)                                                                                         \
    GRAPH_OF(                                                                                               \
        opset,                                                                                              \
        "'inputs': [" MAYBE                                                                                 \
        "], 'outputs': ['has', 'y'], 'nodes': [" NODE("OptionalHasElement", "'m'", "'has'") ", " NODE_WITH( \
            "If", "'has'", "'y'",                                                                           \
            "'then_branch': "                                                                               \
            "{'graph': {'inputs': [], 'outputs': ['t'], 'nodes': [" NODE(                                   \
                "OptionalGetElement", "'m'",                                                                \
                "'t'") "]}}, 'else_branch': "                                                               \
                       "{'graph': {'inputs': [], 'outputs': ['e'], 'constants': {" CONSTANT(                \
                           "e", "float32", "[1]", "[-1]") "}, 'nodes': []}}") "]")

Test(sequence, an_optional_is_asked_and_opened)
{
    const tn_tensor x = floats(numbers, 1, DIMS(2)), *inside = &x;
    tn_tensor *full = list_of(TN_OPTIONAL, 1, &inside), *empty = list_of(TN_OPTIONAL, 0, NULL);
    static const char *const versions[] = { OPEN(15), OPEN(18) };
    for (size_t k = 0; k < 2; k++)
        BOTH_WAYS(r, versions[k])
        {
            OK(tn_context_set_input(r.context, "m", full));
            go(&r);
            cr_expect_eq(*(const uint8_t *)out(&r, 0)->data, 1);
            is_floats(out(&r, 1), 1, DIMS(2), F(1, 2));
            OK(tn_context_set_input(r.context, "m", empty));
            go(&r);
            cr_expect_eq(*(const uint8_t *)out(&r, 0)->data, 0);
            is_floats(out(&r, 1), 1, DIMS(1), F(-1));
        }
    running q = start(GRAPH("'inputs': [" MAYBE "], 'outputs': ['y'], 'nodes': [" NAMED(
                          "open", "OptionalGetElement", "'m'", "'y'", "") "]"),
                      NULL);
    OK(tn_context_set_input(q.context, "m", empty));
    run_says(&q, TN_ERR_VALUE, "node 'open' (OptionalGetElement): the optional is empty");
    stop(&q);
    tn_value_destroy(full);
    tn_value_destroy(empty);
}

/* Since version 18 tensors and sequences are taken for optionals that hold them. */
Test(sequence, a_bare_value_is_there)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN("x", "float32", "['N']") "], 'outputs': ['a', 'b', 'c', 'y', 'z'], 'nodes': [" NODE(
            "SequenceConstruct", "'x'",
            "'l'") ", " NODE("OptionalHasElement", "'x'",
                             "'a'") ", " NODE("OptionalHasElement", "'l'",
                                              "'b'") ", " NODE("OptionalHasElement", "",
                                                               "'c'") ", " NODE("OptionalGetElement",
                                                                                "'x'",
                                                                                "'y'") ", " NODE("OptionalGetElement",
                                                                                                 "'l'",
                                                                                                 "'z'") "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), numbers);
        go(&r);
        for (size_t k = 0; k < 3; k++)
            cr_expect_eq(*(const uint8_t *)out(&r, k)->data, k < 2);
        is_floats(out(&r, 3), 1, DIMS(2), F(1, 2));
        cr_expect_eq(tn_value_count(out(&r, 4)), 1);
        set(&r, "x", TN_FLOAT32, 1, DIMS(0), numbers);
        go(&r);
        cr_expect_eq(*(const uint8_t *)out(&r, 0)->data, 1,
                     "a tensor without elements is there too");
    }
}

/* Lists that come from one another share their elements, and must not see each other's changes. */
Test(sequence, lists_of_one_origin_part)
{
    tn_tensor *list = stairs(2);
    static const int64_t three[] = { 3 }, four[] = { 4 };
    BOTH_WAYS(
        r,
        GRAPH(
            "'inputs': [" LIST
            ", " IN("x", "float32", "[3]") ", " IN("z", "float32", "[4]") "], 'outputs': ['a', 'b', 'c', 'd', 'e', 'f'], 'constants': {" INDEX("zero", "[0]") "}, 'nodes': [" NODE(
                "SequenceInsert", "'l', 'x'",
                "'a'") ", " NODE("SequenceInsert", "'l', 'z'",
                                 "'b'") ", " NODE("SequenceErase", "'a'",
                                                  "'c'") ", " NODE("SequenceInsert", "'c', 'z'",
                                                                   "'d'") ", " NODE("SequenceInsert",
                                                                                    "'a', 'z', 'zero'",
                                                                                    "'e'") ", " NODE("SequenceErase",
                                                                                                     "'a', 'zero'",
                                                                                                     "'f'") "]"))
    {
        static const int64_t expected[] = { 123, 124, 12, 124, 4123, 23 };
        OK(tn_context_set_input(r.context, "l", list));
        set(&r, "x", TN_FLOAT32, 1, three, numbers);
        set(&r, "z", TN_FLOAT32, 1, four, numbers);
        for (int turn = 0; turn < 2; turn++) {
            go(&r);
            for (size_t k = 0; k < 6; k++)
                cr_expect_eq(lengths_of(out(&r, k)), expected[k], "list %zu is %d", k,
                             (int)lengths_of(out(&r, k)));
        }
    }
    tn_value_destroy(list);
}

Test(sequence, identity_passes_any_kind)
{
    tn_tensor *list = stairs(2);
    BOTH_WAYS(r,
              GRAPH("'inputs': [" LIST
                    "], 'outputs': ['y', 'o'], 'nodes': [" NODE("Identity", "'l'", "'y'") ", " NODE(
                        "Optional", "'l'", "'m'") ", " NODE("Identity", "'m'", "'o'") "]"))
    {
        OK(tn_context_set_input(r.context, "l", list));
        go(&r);
        cr_expect_eq(lengths_of(out(&r, 0)), 12);
        cr_expect_eq(out(&r, 1)->kind, (uint32_t)(TN_OPTIONAL | TN_SEQUENCE << 4));
        cr_expect_eq(lengths_of(tn_value_get(out(&r, 1), 0)), 12);
    }
    tn_value_destroy(list);
}

Test(sequence, an_optional_needs_a_type)
{
    session_says(
        GRAPH("'inputs': [], 'outputs': ['y'], 'nodes': [" NODE("Optional", "", "'y'") "]"),
        TN_ERR_ATTRIBUTE,
        "Optional has neither an input nor attribute 'type': nothing tells what it may hold");
}

/* ---- as inputs ---------------------------------------------------------------------------------------------------- */

Test(sequence, what_a_sequence_holds_is_checked_when_it_is_given)
{
    const tn_tensor x = floats(numbers, 1, DIMS(2)), *inside = &x;
    tn_tensor *list = list_of(TN_SEQUENCE, 1, &inside), *maybe = list_of(TN_OPTIONAL, 1, &inside);
    running r = start(
        GRAPH(
            "'inputs': [{'name': 'l', 'type': 'sequence(tensor(int64))'}, "
            "{'name': 'k', 'type': 'sequence(tensor(float32))', 'shape': ['N', 2]}, " IN(
                "x", "float32",
                "['N']") "], 'outputs': ['n', 'm'], 'nodes': [" NODE("SequenceLength", "'l'",
                                                                     "'n'") ", " NODE("SequenceLength",
                                                                                      "'k'",
                                                                                      "'m'") "]"),
        NULL);
    cr_expect_eq(tn_context_set_input(r.context, "l", list), TN_ERR_TYPE);
    cr_expect_str_eq(tn_error_message(), "input 'l' holds float32, but is declared to hold int64");
    cr_expect_eq(tn_context_set_input(r.context, "k", list), TN_ERR_SHAPE);
    cr_expect_str_eq(tn_error_message(), "input 'k' is given as [2], but is declared [N,2]");
    cr_expect_eq(tn_context_set_input(r.context, "l", maybe), TN_ERR_TYPE);
    cr_expect_eq(tn_context_set_input(r.context, "l", &x), TN_ERR_TYPE);
    tn_value_destroy(list);
    tn_value_destroy(maybe);
    stop(&r);
}
