/* tests/unit/test_dim.c: dimensions as expressions, types and sizes.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/tensor.h"
#include "tenon/plugin.h"

#include <criterion/criterion.h>
#include <stdio.h>

static tn_dims *dims;
static tn_dim N, M;

static void setup(void)
{
    cr_assert_eq(tn_dims_create(&dims), TN_OK);
    N = tn_dim_symbol(dims, "N");
    M = tn_dim_symbol(dims, "M");
}

static void teardown(void)
{
    tn_dims_unref(dims);
}

TestSuite(dim, .init = setup, .fini = teardown);

static tn_dim op(uint32_t o, tn_dim a, tn_dim b)
{
    return tn_dim_op(dims, o, a, b);
}

static tn_dim parse(const char *text)
{
    tn_dim dim;
    cr_assert_eq(tn_dim_parse(dims, text, &dim), TN_OK, "%s: %s", text, tn_error_message());
    return dim;
}

static void expect_text(tn_dim dim, const char *expected)
{
    tn_builder b = { 0 };
    tn_add_dim(&b, dims, dim);
    cr_assert_str_eq(tn_builder_text(&b), expected);
    tn_builder_fini(&b);
}

Test(dim, of_equal_expressions_are_one_handle)
{
    cr_assert_eq(op(TN_DIM_ADD, N, N), op(TN_DIM_MUL, 2, N));
    cr_assert_eq(parse("(N+1)*(N-1)"), parse("N*N-1"));
    cr_assert_eq(parse("N*M"), parse("M*N"));
    cr_assert_eq(op(TN_DIM_SUB, N, N), 0);
    cr_assert_eq(parse("N+M-N"), M);
    cr_assert_eq(parse("ceildiv(N,2)"), parse("floordiv(N+1,2)"));
    cr_assert_eq(parse("max(N,M)"), parse("max(M,N)"));
}

Test(dim, folds_divisions_that_come_out_even)
{
    cr_assert_eq(parse("floordiv(N*4,2)"), parse("N*2"));
    cr_assert_eq(parse("floordiv(N*4+3,4)"), N);
    cr_assert_eq(parse("floordiv(N*M,M)"), N);
    cr_assert_eq(parse("floordiv(N*M+M,N+1)"), M);
    cr_assert_eq(parse("floordiv(floordiv(N,2),3)"), parse("floordiv(N,6)"));
    cr_assert_eq(parse("floordiv(N*2+1,4)"), parse("floordiv(N,2)"));
    cr_assert_eq(parse("mod(N*6,3)"), 0);
    cr_assert_eq(parse("mod(N*6+5,3)"), 2);
    cr_assert_eq(parse("mod(N*M,N)"), 0);
    cr_assert_eq(parse("floordiv(N,1)"), N);
    cr_assert_eq(parse("mod(N,1)"), 0);
}

Test(dim, folds_minima_and_maxima_that_are_decided)
{
    cr_assert_eq(parse("max(N,N)"), N);
    cr_assert_eq(parse("min(N,N+1)"), N);
    cr_assert_eq(parse("max(N,0)"), N);
    cr_assert_eq(parse("max(N+3,2)"), parse("N+3"));
    cr_assert_eq(parse("min(floordiv(N,2),0)"), 0);
}

Test(dim, of_numbers_is_arithmetic)
{
    cr_assert_eq(op(TN_DIM_FLOORDIV, -7, 2), -4);
    cr_assert_eq(op(TN_DIM_CEILDIV, -7, 2), -3);
    cr_assert_eq(op(TN_DIM_CEILDIV, 7, 2), 4);
    cr_assert_eq(op(TN_DIM_MOD, -7, 3), 2);
    cr_assert_eq(op(TN_DIM_MIN, 3, 5), 3);
    cr_assert_eq(op(TN_DIM_FLOORDIV, 1, 0), TN_DIM_UNKNOWN);
    cr_assert_eq(op(TN_DIM_MOD, 1, 0), TN_DIM_UNKNOWN);
    const int64_t large = INT64_C(1) << 61;
    cr_assert_eq(op(TN_DIM_ADD, large, large), TN_DIM_UNKNOWN);
    cr_assert_eq(op(TN_DIM_MUL, large, 4), TN_DIM_UNKNOWN);
    cr_assert_eq(op(99, 1, 2), TN_DIM_UNKNOWN);
}

Test(dim, that_is_unknown_stays_unknown)
{
    cr_assert_eq(op(TN_DIM_ADD, TN_DIM_UNKNOWN, 1), TN_DIM_UNKNOWN);
    cr_assert_eq(op(TN_DIM_MUL, TN_DIM_UNKNOWN, N), TN_DIM_UNKNOWN);
    cr_assert_eq(op(TN_DIM_MUL, TN_DIM_UNKNOWN, 0), 0);
    cr_assert_eq(op(TN_DIM_FLOORDIV, N, 0), TN_DIM_UNKNOWN);
    cr_assert_eq(tn_dim_equal(dims, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN), TN_MAYBE);
    const tn_dim forged = TN_DIM_LOWEST - 1000000;
    cr_assert_eq(op(TN_DIM_ADD, forged, 1), TN_DIM_UNKNOWN);
    expect_text(forged, "?");
}

Test(dim, comparison_says_yes_no_or_maybe)
{
    cr_assert_eq(tn_dim_equal(dims, parse("N*2"), parse("N+N")), TN_YES);
    cr_assert_eq(tn_dim_equal(dims, N, parse("N+1")), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, parse("N+1"), 0), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, N, -1), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, N, 0), TN_MAYBE);
    cr_assert_eq(tn_dim_equal(dims, N, M), TN_MAYBE);
    cr_assert_eq(tn_dim_equal(dims, parse("N*2"), parse("M*2+1")), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, parse("N+M+2"), parse("N+1")), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, parse("floordiv(N,2)+1"), 0), TN_NO);
    cr_assert_eq(tn_dim_equal(dims, 3, 3), TN_YES);
    cr_assert_eq(tn_dim_equal(dims, 3, 4), TN_NO);
}

Test(dim, text_reads_back_as_the_same)
{
    static const char *const texts[] = {
        "N",          "N*2+1",    "N*M",      "-N+5", "floordiv(N,2)",     "N-M*3",
        "mod(N,7)*2", "max(N,M)", "min(N,3)", "N*N",  "floordiv(N*M,3)+4", "17",
        "-3",         "?"
    };
    for (size_t k = 0; k < TN_COUNT(texts); k++)
        expect_text(parse(texts[k]), texts[k]);
    expect_text(parse("'batch size'+1"), "'batch size'+1");
    expect_text(parse("'it''s'"), "'it''s'");
    expect_text(tn_dim_symbol(dims, "7up"), "'7up'");
    expect_text(parse(" 2 * ( N + 1 ) "), "N*2+2");
    expect_text(parse("unk__0"), "unk__0");
    expect_text(parse("floordiv"), "floordiv");
}

Test(dim, that_is_no_expression_is_refused)
{
    static const char *const bad[] = { "",
                                       "N+",
                                       "N N",
                                       "(N",
                                       "N)",
                                       "floordiv(N)",
                                       "2N",
                                       "'open",
                                       "N//2",
                                       "min(N,)",
                                       "floordiv(N,0)",
                                       "99999999999999999999" };
    tn_dim dim = 42;
    for (size_t k = 0; k < TN_COUNT(bad); k++) {
        tn_status status = tn_dim_parse(dims, bad[k], &dim);
        cr_assert(status == TN_ERR_SYNTAX || status == TN_ERR_LIMIT, "'%s'", bad[k]);
        cr_assert_eq(dim, 42);
    }
    char deep[4001];
    memset(deep, '(', 4000);
    deep[4000] = 0;
    cr_assert_eq(tn_dim_parse(dims, deep, &dim), TN_ERR_SYNTAX);
    memset(deep, '-', 4000);
    cr_assert_eq(tn_dim_parse(dims, deep, &dim), TN_ERR_SYNTAX);
}

Test(dim, symbols_are_counted)
{
    cr_assert_eq(tn_dims_symbol_count(dims), 2);
    cr_assert_eq(tn_dim_symbol(dims, "N"), N);
    cr_assert_eq(tn_dim_symbol_index(dims, N), 0);
    cr_assert_eq(tn_dim_symbol_index(dims, M), 1);
    cr_assert_eq(tn_dim_symbol_index(dims, parse("N+1")), -1);
    cr_assert_eq(tn_dim_symbol_index(dims, 5), -1);
    cr_assert_eq(tn_dim_symbol_index(dims, parse("floordiv(N,2)")), -1);
    cr_assert_str_eq(tn_dims_symbol_name(dims, 1), "M");
    cr_assert_str_eq(tn_dims_symbol_name(dims, 9), "?");
}

Test(dim, evaluates_with_values_for_its_symbols)
{
    const int64_t values[] = { 7, 3 };
    cr_assert_eq(tn_dim_evaluate(dims, parse("N*2+M"), values, 2), 17);
    cr_assert_eq(tn_dim_evaluate(dims, parse("floordiv(N,M)"), values, 2), 2);
    cr_assert_eq(tn_dim_evaluate(dims, parse("ceildiv(N,M)"), values, 2), 3);
    cr_assert_eq(tn_dim_evaluate(dims, parse("mod(N,M)"), values, 2), 1);
    cr_assert_eq(tn_dim_evaluate(dims, N, values, 0), TN_DIM_UNKNOWN);
    cr_assert_eq(tn_dim_evaluate(dims, parse("floordiv(N,M)"), (int64_t[]){ 7, 0 }, 2),
                 TN_DIM_UNKNOWN);
    cr_assert_eq(tn_dim_evaluate(dims, parse("N*M"), (int64_t[]){ INT64_C(1) << 40, 1 << 30 }, 2),
                 TN_DIM_UNKNOWN);
    cr_assert_eq(tn_dim_evaluate(dims, N, (int64_t[]){ TN_DIM_UNKNOWN }, 1), TN_DIM_UNKNOWN);
    cr_assert_eq(tn_dim_evaluate(dims, 5, NULL, 0), 5);
}

/* The oracle: the same random expression as a handle and, for fixed symbols, as a number. */
Test(dim, simplification_never_changes_a_value)
{
    uint32_t state = 7;
#define NEXT(n) ((state = state * 1664525u + 1013904223u) >> 8) % (n)
    for (int round = 0; round < 3000; round++) {
        int64_t values[2];
        values[0] = 1 + NEXT(30);
        values[1] = 1 + NEXT(30);
        tn_dim handles[12] = { N, M, 2, 3, 1, 0 };
        int64_t numbers[12] = { values[0], values[1], 2, 3, 1, 0 };
        for (uint32_t k = 6; k < 12; k++) {
            const uint32_t i = NEXT(k), j = NEXT(k), o = NEXT(8);
            handles[k] = op(o, handles[i], handles[j]);
            numbers[k] = tn_dim_op(dims, o, numbers[i], numbers[j]);
            if (handles[k] == TN_DIM_UNKNOWN || numbers[k] == TN_DIM_UNKNOWN) {
                handles[k] = numbers[k] = 4;
                continue;
            }
            const tn_dim got = tn_dim_evaluate(dims, handles[k], values, 2);
            cr_assert(got == numbers[k] || got == TN_DIM_UNKNOWN);
            tn_builder b = { 0 };
            tn_add_dim(&b, dims, handles[k]);
            cr_assert_eq(parse(tn_builder_text(&b)), handles[k], "%s", tn_builder_text(&b));
            tn_builder_fini(&b);
            for (uint32_t h = 0; h < k; h++) {
                const uint32_t equal = tn_dim_equal(dims, handles[h], handles[k]);
                if (got != TN_DIM_UNKNOWN && equal != TN_MAYBE)
                    cr_assert_eq(equal == TN_YES, numbers[h] == numbers[k]);
            }
        }
    }
#undef NEXT
}

Test(dim, grows_no_further_than_its_bound)
{
    tn_dim dim = N;
    for (int k = 0; k < 100000 && dim != TN_DIM_UNKNOWN; k++)
        dim = op(TN_DIM_MAX, op(TN_DIM_FLOORDIV, op(TN_DIM_ADD, dim, M), 3),
                 op(TN_DIM_MUL, dim, M));
    cr_assert_eq(dim, TN_DIM_UNKNOWN);
}

Test(dim, is_unknown_when_memory_is_short)
{
    for (uint64_t n = 1; n < 30; n++) {
        tn_dims *own;
        if (tn_dims_create(&own) != TN_OK)
            continue;
        tn_test_fail_allocation(n);
        tn_dim a = tn_dim_symbol(own, "A"), b = tn_dim_symbol(own, "B");
        tn_dim_op(own, TN_DIM_FLOORDIV, a, b);
        tn_test_fail_allocation(0);
        a = tn_dim_symbol(own, "A");
        b = tn_dim_symbol(own, "B");
        cr_assert_neq(a, b);
        cr_assert_eq(tn_dim_op(own, TN_DIM_SUB, tn_dim_op(own, TN_DIM_ADD, a, b), b), a);
        cr_assert_eq(tn_dims_symbol_count(own), 2);
        tn_dims_unref(own);
    }
}

/* ---- types ------------------------------------------------------------------------------- */

Test(dtypes, have_names_both_ways)
{
    for (uint32_t k = 1; k < TN_DTYPE_COUNT; k++)
        cr_assert_eq(tn_dtype_of(tn_dtype_name(k)), k);
    cr_assert_str_eq(tn_dtype_name(TN_BFLOAT16), "bfloat16");
    cr_assert_str_eq(tn_dtype_name(0), "?");
    cr_assert_str_eq(tn_dtype_name(1000), "?");
    cr_assert_eq(tn_dtype_of("float"), TN_UNDEFINED);
    cr_assert_eq(tn_dtype_of(NULL), TN_UNDEFINED);
}

Test(types, know_their_size)
{
    size_t bytes;
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, 2, (int64_t[]){ 3, 5 }, &bytes), TN_OK);
    cr_assert_eq(bytes, 60);
    cr_assert_eq(tn_shape_bytes(TN_INT4, 1, (int64_t[]){ 5 }, &bytes), TN_OK);
    cr_assert_eq(bytes, 3);
    cr_assert_eq(tn_shape_bytes(TN_UINT2, 1, (int64_t[]){ 5 }, &bytes), TN_OK);
    cr_assert_eq(bytes, 2);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, 0, NULL, &bytes), TN_OK);
    cr_assert_eq(bytes, 4);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT64, 3, (int64_t[]){ INT64_MAX, 0, INT64_MAX }, &bytes),
                 TN_OK);
    cr_assert_eq(bytes, 0);
}

Test(types, refuse_sizes_that_are_none)
{
    size_t bytes;
    const int64_t large = INT64_C(1) << 40;
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, 1, (int64_t[]){ -1 }, &bytes), TN_ERR_SHAPE);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, 2, (int64_t[]){ large, large }, &bytes), TN_ERR_LIMIT);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT64, 1, (int64_t[]){ INT64_MAX }, &bytes), TN_ERR_LIMIT);
    cr_assert_eq(tn_shape_bytes(TN_UNDEFINED, 0, NULL, &bytes), TN_ERR_TYPE);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, 17, NULL, &bytes), TN_ERR_SHAPE);
    cr_assert_eq(tn_shape_bytes(TN_FLOAT32, -1, NULL, &bytes), TN_ERR_SHAPE);
}

Test(dim, types_are_written_with_their_shape)
{
    tn_builder b = { 0 };
    tn_type type = tn_type_of(TN_FLOAT32, 3, (tn_dim[]){ N, 28, TN_DIM_UNKNOWN });
    tn_add_type(&b, dims, &type);
    tn_add(&b, " ");
    type.kind = TN_SEQUENCE;
    type.rank = -1;
    tn_add_type(&b, dims, &type);
    cr_assert_str_eq(tn_builder_text(&b), "float32[N,28,?] sequence(float32[…])");
    tn_builder_fini(&b);
    cr_assert_not(tn_type_is_known(&type));
    type = tn_type_of(TN_INT8, 1, (tn_dim[]){ 4 });
    cr_assert(tn_type_is_known(&type));
}

Test(types, of_values_are_read_from_text)
{
    static const struct {
        const char *text;
        uint32_t kind, dtype;
    } good[] = {
        { "float32", 0, TN_FLOAT32 },
        { "tensor(int64)", 0, TN_INT64 },
        { "sequence(tensor(float32))", TN_SEQUENCE, TN_FLOAT32 },
        { "optional(sequence(tensor(string)))", TN_OPTIONAL | TN_SEQUENCE << 4, TN_STRING },
    };
    tn_type type;
    for (size_t k = 0; k < TN_COUNT(good); k++) {
        cr_assert_eq(tn_type_parse(good[k].text, &type), TN_OK);
        cr_assert_eq(type.kind, good[k].kind);
        cr_assert_eq(type.dtype, good[k].dtype);
        cr_assert_eq(type.rank, -1);
        tn_builder b = { 0 };
        tn_add_kind(&b, &type);
        if (k)
            cr_assert_str_eq(tn_builder_text(&b), good[k].text);
        tn_builder_fini(&b);
    }
    static const char *const bad[] = { "",         "flot32",           "tensor(float32",
                                       "float32)", "sequence(float3)", "tensor(float32) x",
                                       "sequence", "optional()" };
    for (size_t k = 0; k < TN_COUNT(bad); k++)
        cr_assert_neq(tn_type_parse(bad[k], &type), TN_OK, "'%s'", bad[k]);
    cr_assert_eq(tn_type_parse("flot32", &type), TN_ERR_TYPE);
    cr_assert_not_null(strstr(tn_error_message(), "did you mean 'float32'"));
    cr_assert_eq(tn_type_parse("sequence(sequence(sequence(sequence(sequence(sequence(sequence("
                               "sequence(sequence(tensor(int8))))))))))",
                               &type),
                 TN_ERR_FORMAT);
}
