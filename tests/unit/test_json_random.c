/* tests/unit/test_json_random.c: random constants are part of the format: the same bits everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "json_support.h"

Test(random, philox_gives_the_published_numbers)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } known[] = {
        /* of Random123's kat_vectors */
        { { 0 }, { 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { ~0u, ~0u, ~0u, ~0u },
          { ~0u, ~0u },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t k = 0; k < TN_COUNT(known); k++) {
        uint32_t out[4];
        tn_philox(known[k].counter, known[k].key, out);
        cr_expect_arr_eq(out, known[k].expected, sizeof out);
    }
}

static void *fill(const tn_random_spec *spec, const char *name, uint32_t dtype, int64_t count,
                  size_t *bytes)
{
    OK(tn_shape_bytes(dtype, 1, &count, bytes));
    void *data = calloc(*bytes + 1, 1);
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = dtype,
                               .rank = 1,
                               .dims = &count,
                               .data = data,
                               .bytes = *bytes };
    OK(tn_random_fill(spec, name, &tensor));
    return data;
}

/* A number that has to be the same on each machine, compiler and level of optimization. */
Test(random, bits_are_part_of_the_format)
{
    static const struct {
        uint32_t dtype;
        tn_random_spec spec;
        uint64_t expected;
    } cases[] = {
        { TN_FLOAT32,
          { .distribution = "normal", .mean = 0, .std = 1, .seed = 7 },
          UINT64_C(0xdb3a442d4cf320b1) },
        { TN_FLOAT32,
          { .distribution = "normal", .mean = -2, .std = 0.05, .seed = UINT64_MAX },
          UINT64_C(0xabe449cfb3de54d1) },
        { TN_FLOAT64,
          { .distribution = "normal", .mean = 0, .std = 1, .seed = 7 },
          UINT64_C(0x416d1f167e784ccc) },
        { TN_FLOAT16,
          { .distribution = "normal", .mean = 0, .std = 1, .seed = 7 },
          UINT64_C(0x9860855d74a62465) },
        { TN_BFLOAT16,
          { .distribution = "uniform", .low = -1, .high = 1, .seed = 7 },
          UINT64_C(0x7b0c1189addf6acd) },
        { TN_FLOAT32,
          { .distribution = "uniform", .low = 0, .high = 1, .seed = 0 },
          UINT64_C(0x10c74d30bc170fb6) },
        { TN_FLOAT64,
          { .distribution = "uniform", .low = 1, .high = 1e9, .seed = 0 },
          UINT64_C(0xdfc760f3e75027d6) },
        { TN_INT64,
          { .distribution = "uniform", .low = -100, .high = 100, .seed = 1 },
          UINT64_C(0xaf0c0d7358acff6c) },
        { TN_UINT8,
          { .distribution = "uniform", .low = 0, .high = 255, .seed = 1 },
          UINT64_C(0x726d0c3610f62dc5) },
    };
    for (size_t k = 0; k < TN_COUNT(cases); k++) {
        size_t bytes;
        void *data = fill(&cases[k].spec, "conv1.w", cases[k].dtype, 100003, &bytes);
        const uint64_t hash = tn_hash(data, bytes, 0);
        cr_expect_eq(hash, cases[k].expected, "case %zu is 0x%016" PRIx64, k, hash);
        free(data);
    }
}

/* The recipe of docs/json_format.md, written down a second time. */
Test(random, follows_the_recipe)
{
    const tn_random_spec uniform = {
        .distribution = "uniform", .low = 0, .high = 1, .seed = UINT64_C(0x123456789abcdef0)
    };
    const tn_random_spec whole = { .distribution = "uniform", .low = -3, .high = 3, .seed = 5 };
    size_t bytes;
    float *u = fill(&uniform, "w", TN_FLOAT32, 5000, &bytes);
    int32_t *n = fill(&whole, "", TN_INT32, 5000, &bytes);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t k = 0; k < 5000; k++) {
        const uint64_t h = (hash ^ 'w') * UINT64_C(0x100000001b3);
        const uint32_t counter_u[4] = { k / 4, 0, 0x9abcdef0, 0x12345678 },
                       key_u[2] = { (uint32_t)h, (uint32_t)(h >> 32) };
        const uint32_t counter_n[4] = { k / 4, 0, 5, 0 },
                       key_n[2] = { (uint32_t)hash, (uint32_t)(hash >> 32) };
        uint32_t out[4];
        tn_philox(counter_u, key_u, out);
        cr_assert_eq(u[k], (float)(out[k % 4] >> 8) * 0x1p-24f);
        tn_philox(counter_n, key_n, out);
        cr_assert_eq(n[k], -3 + (int32_t)((uint64_t)out[k % 4] * 7 >> 32));
    }
    free(u);
    free(n);
}

Test(random, distributions_are_what_they_say)
{
    const tn_random_spec normal = { .distribution = "normal", .mean = 3, .std = 2 },
                         tight = { .distribution = "uniform", .low = 1, .high = 2 };
    enum { COUNT = 400000 };
    size_t bytes;
    double sum = 0, squares = 0, beyond = 0, above = 0;
    float *z = fill(&normal, "w", TN_FLOAT32, COUNT, &bytes),
          *u = fill(&tight, "w", TN_FLOAT32, COUNT, &bytes);
    unsigned char *h = fill(&tight, "w", TN_FLOAT16, COUNT, &bytes);
    for (size_t k = 0; k < COUNT; k++) {
        const double s = ((double)z[k] - 3) / 2;
        sum += s;
        squares += s * s;
        beyond += s > 2 || s < -2;
        above += s > 3;
        cr_assert(u[k] >= 1 && u[k] < 2, "rounding must not reach the upper bound");
        cr_assert(tn_float_get(TN_FLOAT16, h, k) < 2);
    }
    cr_expect_lt(sum / COUNT, 0.006);
    cr_expect_gt(sum / COUNT, -0.006);
    cr_expect(squares / COUNT > 0.99 && squares / COUNT < 1.01);
    cr_expect(beyond / COUNT > 0.0445 && beyond / COUNT < 0.0465, "%g", beyond / COUNT);
    cr_expect(above / COUNT > 0.0012 && above / COUNT < 0.0015, "%g", above / COUNT);
    free(z);
    free(u);
    free(h);
}

Test(random, names_and_seeds_tell_streams_apart)
{
    tn_random_spec spec = { .distribution = "uniform", .high = 1, .seed = 1 };
    size_t bytes;
    float *a = fill(&spec, "a", TN_FLOAT32, 100, &bytes),
          *b = fill(&spec, "b", TN_FLOAT32, 100, &bytes);
    spec.seed = UINT64_C(1) << 32 | 1;
    float *c = fill(&spec, "a", TN_FLOAT32, 100, &bytes);
    cr_expect_arr_neq(a, b, bytes);
    cr_expect_arr_neq(a, c, bytes);
    free(a);
    free(b);
    free(c);
}

/* Every number of a small type is read back as it was written. */
Test(elements, small_types_round_trip)
{
    for (uint32_t dtype = 1; dtype < TN_DTYPE_COUNT; dtype++) {
        const uint32_t bits = tn_dtype_bits(dtype);
        if (bits > 16 || dtype == TN_BOOL || dtype == TN_STRING)
            continue;
        for (uint32_t code = 0; code < 1u << bits; code++) {
            unsigned char from[2] = { (unsigned char)code, (unsigned char)(code >> 8) },
                          to[2] = { 0 };
            if (!tn_dtype_is_float(dtype)) {
                tn_integer_set(dtype, to, 0, tn_integer_get(dtype, from, 0));
                cr_assert_arr_eq(from, to, 2);
                continue;
            }
            const char *why = tn_float_set(dtype, to, 0, tn_float_get(dtype, from, 0));
            cr_assert_null(why, "%s %x: %s", tn_dtype_name(dtype), code, why);
            if (tn_float_is_plain(dtype, from, 0))
                cr_assert_arr_eq(from, to, 2, "%s %x became %02x%02x", tn_dtype_name(dtype), code,
                                 to[1], to[0]);
        }
    }
}

Test(elements, floats_are_rounded_once)
{
    static const double values[] = { 0,
                                     -0.0,
                                     1,
                                     0.1,
                                     1.0 / 3,
                                     0x1.000001p0,
                                     0x1.000001000001p0,
                                     0x1.fffffefp127,
                                     0x1p-149,
                                     0x1.8p-150,
                                     0x1p-150,
                                     0x1p-151,
                                     3e-320,
                                     -1e-40 };
    for (size_t k = 0; k < TN_COUNT(values); k++) {
        float got;
        const float expected = (float)values[k];
        cr_expect_null(tn_float_set(TN_FLOAT32, &got, 0, values[k]));
        cr_expect_arr_eq(&got, &expected, sizeof got, "%a", values[k]);
        double same;
        cr_expect_null(tn_float_set(TN_FLOAT64, &same, 0, values[k]));
        cr_expect_arr_eq(&same, &values[k], sizeof same);
    }
    float none;
    cr_expect_str_eq(tn_float_set(TN_FLOAT32, &none, 0, 0x1.ffffffp127),
                     "it is beyond the type's largest number");
}

Test(elements, base64_takes_what_it_gives)
{
    static const char *const bad[] = { "A",    "AA",   "AAA",  "A===",   "====",    "AA=A",
                                       "AB==", "AAB=", "AA-_", "AAAA\n", "AA==AAAA" };
    tn_pool pool = { 0 };
    const char *out;
    size_t bytes;
    bool valid;
    for (size_t count = 0; count < 70; count++) {
        unsigned char data[70];
        tn_builder text = { 0 };
        for (size_t k = 0; k < count; k++)
            data[k] = (unsigned char)(k * 37 + count);
        tn_add_base64(&text, data, count);
        OK(tn_base64_decode(&pool, tn_builder_text(&text), text.count, &out, &bytes, &valid));
        cr_assert(valid && bytes == count && (count == 0 || memcmp(out, data, count) == 0),
                  "%zu bytes", count);
        tn_builder_fini(&text);
    }
    for (size_t k = 0; k < TN_COUNT(bad); k++) {
        OK(tn_base64_decode(&pool, bad[k], strlen(bad[k]), &out, &bytes, &valid));
        cr_expect_not(valid, "%s", bad[k]);
    }
    tn_pool_fini(&pool);
}
