/* tests/unit/test_json_hostile.c: files that lie, memory that is refused, locales with a comma.
 *
 * SPDX-License-Identifier: MIT */
#include "json_support.h"

#include <locale.h>

TestSuite(hostile, .fini = remove_folders);
TestSuite(locale, .fini = remove_folders);

/* ---- safetensors ------------------------------------------------------------------------------------- */

/* A file: the header's length (-1: the true one), the header, `data` zero bytes. */
static tn_status open_weights(const char *header, int64_t length, size_t data,
                              tn_diagnostics *diagnostics, tn_safetensors **out, tn_buffer **buffer)
{
    const size_t count = strlen(header);
    const uint64_t told = length < 0 ? count : (uint64_t)length;
    OK(tn_buffer_create(8 + count + data, buffer));
    unsigned char *bytes = tn_buffer_bytes(*buffer);
    for (int k = 0; k < 8; k++)
        bytes[k] = (unsigned char)(told >> 8 * k);
    memcpy(bytes + 8, header, count);
    return tn_safetensors_open(*buffer, "w.safetensors", diagnostics, out);
}

Test(safetensors, lists_what_it_holds)
{
    tn_buffer *buffer;
    tn_safetensors *s;
    tn_tensor t;
    OK(open_weights(
        "{\"__metadata__\": {\"format\": \"pt\"}, \"b\": {\"dtype\": \"BF16\", \"shape\": [2, 3], \"data_offsets\": [4, 16]},"
        " \"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4]}, \"none\": {\"dtype\": \"I64\", \"shape\": [0, 9], \"data_offsets\": [16, 16]}}   ",
        -1, 16, NULL, &s, &buffer));
    cr_assert(tn_safetensors_get(s, "b", &t));
    cr_expect_eq(t.dtype, TN_BFLOAT16);
    cr_expect_eq(t.rank, 2);
    cr_expect_eq(t.dims[1], 3);
    cr_expect_eq((char *)t.data - (char *)tn_buffer_bytes(buffer),
                 (ptrdiff_t)tn_buffer_size(buffer) - 12);
    cr_assert(tn_safetensors_get(s, "none", &t));
    cr_expect_eq(t.bytes, 0);
    cr_expect_not(tn_safetensors_get(s, "__metadata__", &t));
    cr_expect_str_eq(tn_safetensors_nearest(s, "nome"), "none");
    tn_safetensors_close(s);
    tn_buffer_unref(buffer);
}

Test(safetensors, says_what_is_wrong_word_for_word)
{
#define T(offsets)                                                                                 \
    "{\"conv.w\": {\"dtype\": \"F32\", \"shape\": [2, 2], \"data_offsets\": " offsets "}}"
#define TWO(a, b)                                                                                  \
    "{\"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": " a                             \
    "}, \"b\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": " b "}}"
    static const struct {
        const char *header;
        int64_t length;
        size_t data;
        tn_status status;
        const char *message;
    } cases[] = {
        { T("[0, 16]"), -1, 12, TN_ERR_FORMAT,
          "tensor 'conv.w': its bytes are [0, 16) behind the header, where the file has 12: the file is too short" },
        { T("[0, 16]"), 1000, 0, TN_ERR_FORMAT,
          "the header has 1000 bytes, but the file ends after 70: the file is too short" },
        { T("[0, 16]"), INT64_MAX, 0, TN_ERR_LIMIT,
          "the header has 9223372036854775807 bytes: expected at most 100000000 (is this a safetensors file?)" },
        { T("[0, 16]"), 10, 100, TN_ERR_SYNTAX,
          "the header is no JSON: unexpected token near end of file, at its byte 10" },
        { T("[0, 16]"), -1, 20, TN_ERR_FORMAT, "4 bytes behind the last tensor belong to none" },
        { T("[4, 20]"), -1, 20, TN_ERR_FORMAT,
          "tensor 'conv.w': it begins at byte 4, but the one before it ends at 0: expected no gap" },
        { T("[0, 12]"), -1, 12, TN_ERR_SHAPE,
          "tensor 'conv.w': its data_offsets leave 12 bytes: expected 16, by its dtype and shape" },
        { T("[16, 0]"), -1, 16, TN_ERR_FORMAT,
          "tensor 'conv.w': data_offsets is no [begin, end] with 0 <= begin <= end" },
        { T("[-16, 0]"), -1, 16, TN_ERR_FORMAT,
          "tensor 'conv.w': data_offsets is no [begin, end] with 0 <= begin <= end" },
        { T("[0]"), -1, 16, TN_ERR_FORMAT,
          "tensor 'conv.w': data_offsets is no [begin, end] with 0 <= begin <= end" },
        { T("{}"), -1, 16, TN_ERR_FORMAT,
          "tensor 'conv.w': data_offsets is no [begin, end] with 0 <= begin <= end" },
        { TWO("[0, 8]", "[4, 12]"), -1, 12, TN_ERR_FORMAT,
          "tensor 'b': it begins at byte 4, within 'a', which ends at 8" },
        { TWO("[0, 8]", "[0, 8]"), -1, 8, TN_ERR_FORMAT,
          "tensor 'b': it begins at byte 0, within 'a', which ends at 8" },
        { TWO("[8, 16]", "[20, 28]"), -1, 28, TN_ERR_FORMAT,
          "tensor 'a': it begins at byte 8, but the one before it ends at 0: expected no gap" },
        { "{\"a\": {\"dtype\": \"F33\", \"shape\": [], \"data_offsets\": [0, 4]}}", -1, 4,
          TN_ERR_TYPE,
          "tensor 'a': dtype is \"F33\": expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL, F8_E4M3, F8_E5M2" },
        { "{\"a\": {\"dtype\": \"F32\", \"data_offsets\": [0, 4]}}", -1, 4, TN_ERR_FORMAT,
          "tensor 'a': there is no shape: expected a list of numbers" },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1.5], \"data_offsets\": [0, 4]}}", -1, 4,
          TN_ERR_SHAPE, "tensor 'a': extent 0 of the shape is no number from 0" },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", -1, 4,
          TN_ERR_SHAPE, "tensor 'a': extent 0 of the shape is no number from 0" },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], \"data_offsets\": [0, 0]}}",
          -1, 0, TN_ERR_LIMIT, "tensor 'a': the number of elements does not fit 63 bits" },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], \"data_offsets\": [0, 4]}}",
          -1, 4, TN_ERR_LIMIT, "tensor 'a': the shape has 17 extents: expected at most 16" },
        { "{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4], \"x\": 1}}", -1, 4,
          TN_ERR_FORMAT,
          "tensor 'a': there is no key \"x\": expected dtype, shape and data_offsets" },
        { "{\"a\": 3}", -1, 0, TN_ERR_FORMAT,
          "tensor 'a': expected an object with dtype, shape and data_offsets" },
        { "{\"a\": {}, \"a\": {}}", -1, 0, TN_ERR_SYNTAX,
          "the header is no JSON: duplicate object key near '\"a\"', at its byte 13" },
        { "[]", -1, 0, TN_ERR_FORMAT, "the header is no object of tensors" },
        { "{\"__metadata__\": []}", -1, 0, TN_ERR_FORMAT, "__metadata__ is no object" },
        { "{\"__metadata__\": {\"a\": 1}}", -1, 0, TN_ERR_FORMAT, "__metadata__ \"a\" is no text" },
    };
    for (size_t k = 0; k < TN_COUNT(cases); k++) {
        char expected[400];
        tn_buffer *buffer;
        tn_safetensors *s = NULL;
        tn_diagnostics *diagnostics;
        OK(tn_diagnostics_create(&diagnostics));
        const tn_status status = open_weights(cases[k].header, cases[k].length, cases[k].data,
                                              diagnostics, &s, &buffer);
        cr_assert_gt(tn_diagnostics_count(diagnostics), 0);
        const char *said = tn_diagnostics_get(diagnostics, 0)->text;
        snprintf(expected, sizeof expected, "w.safetensors: %s", cases[k].message);
        cr_expect_eq(status, cases[k].status, "case %zu: %s", k, tn_status_name(status));
        cr_expect_str_eq(said, expected, "case %zu: %s", k, said);
        cr_expect_null(s);
        tn_diagnostics_destroy(diagnostics);
        tn_buffer_unref(buffer);
    }
}

Test(safetensors, needs_eight_bytes)
{
    for (size_t size = 0; size < 8; size++) {
        tn_buffer *buffer;
        tn_safetensors *s;
        OK(tn_buffer_create(size, &buffer));
        cr_expect_eq(tn_safetensors_open(buffer, "w", NULL, &s), TN_ERR_FORMAT);
        tn_buffer_unref(buffer);
    }
}

/* ---- texts that are cut or changed ---------------------------------------------------------------------- */

static const char small[] =
    "{\"tenon\": 1, \"name\": \"n\", \"opset\": {\"ai.onnx\": 21}, \"metadata\": {\"k\": \"v\"},\n"
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 2]}, {\"name\": \"d\", \"dtype\": \"int8\", \"shape\": [], \"default\": {\"data\": [1]}}],\n"
    " \"outputs\": [{\"name\": \"out\", \"value\": \"y\", \"dtype\": \"float32\"}], \"weights\": \"w.safetensors\",\n"
    " \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [3]}, \"r\": {\"dtype\": \"float32\", \"shape\": [70], \"random\": {\"distribution\": \"normal\", \"seed\": 3}},\n"
    "  \"s\": {\"dtype\": \"string\", \"shape\": [2], \"data\": [\"a\\u00e9\", {\"base64\": \"/wA=\"}]}, \"b\": {\"dtype\": \"int4\", \"shape\": [3], \"bytes\": \"IQM=\"}},\n"
    " \"nodes\": [{\"name\": \"c\", \"op\": \"Conv\", \"inputs\": [\"x\", \"w\", \"\"], \"outputs\": [\"h\"], \"attributes\": {\"kernel_shape\": [1, 2], \"alpha\": 0.5,\n"
    "  \"value\": {\"tensor\": {\"dtype\": \"int64\", \"shape\": [1], \"data\": [7]}}, \"labels\": [\"l\"], \"t\": {\"type\": \"tensor(int8)\"}}},\n"
    "  {\"name\": \"i\", \"op\": \"If\", \"inputs\": [\"d\"], \"outputs\": [\"y\"], \"attributes\": {\"then_branch\": {\"graph\": {\"inputs\": [\"a\"], \"outputs\": [\"z\"],\n"
    "   \"nodes\": [{\"op\": \"F\", \"domain\": \"l\", \"inputs\": [\"h\"], \"outputs\": [\"z\"]}]}}}}],\n"
    " \"functions\": [{\"name\": \"F\", \"domain\": \"l\", \"attributes\": [{\"name\": \"q\", \"default\": {\"floats\": [1]}}], \"inputs\": [\"p\"], \"outputs\": [\"o\"],\n"
    "  \"nodes\": [{\"op\": \"Relu\", \"inputs\": [\"p\"], \"outputs\": [\"o\"]}]}]}";

/* The path of a graph beside whose place "w.safetensors" is. */
static const char *place_weights(void)
{
    static const char header[] =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    char bytes[8 + sizeof header - 1 + 12] = { (char)(sizeof header - 1) };
    const char *folder = make_folder();
    memcpy(bytes + 8, header, sizeof header - 1);
    OK(tn_file_write(path_in(folder, "w.safetensors"), bytes, sizeof bytes));
    return path_in(folder, "g.json");
}

Test(hostile, no_prefix_is_a_graph)
{
    const char *path = place_weights();
    tn_registry *registry = open_registry();
    for (size_t count = 0; count < sizeof small - 1; count++) {
        tn_graph *g;
        char *cut = malloc(count ? count : 1); /* so that the sanitizer sees its end */
        memcpy(cut, small, count);
        cr_assert_neq(tn_json_read(registry, path, cut, count, NULL, NULL, &g), TN_OK, "%zu",
                      count);
        free(cut);
    }
    tn_registry_destroy(registry);
}

Test(hostile, changed_bytes_never_crash)
{
    const char *path = place_weights();
    tn_registry *registry = open_registry();
    const uint32_t key[2] = { 1, 2 };
    for (uint32_t k = 0; k < 6000; k++) {
        char text[sizeof small];
        const uint32_t counter[4] = { k };
        uint32_t random[4];
        tn_graph *g = NULL;
        static const char likely[] = "{}[]\",:0123456789-.eE\\untx \n";
        memcpy(text, small, sizeof small);
        tn_philox(counter, key, random);
        text[random[0] % (sizeof small - 1)] = random[1] & 1
                                                   ? likely[random[2] % (sizeof likely - 1)]
                                                   : (char)random[2];
        if (random[1] & 2)
            text[random[3] % (sizeof small - 1)] = likely[random[1] / 4 % (sizeof likely - 1)];
        if (tn_json_read(registry, path, text, sizeof small - 1, NULL, NULL, &g) == TN_OK)
            tn_graph_destroy(g);
        else
            cr_assert_neq(tn_error_message()[0], 0);
    }
    tn_registry_destroy(registry);
}

/* ---- memory ------------------------------------------------------------------------------------------------ */

static tn_graph *const untouched = (tn_graph *)(uintptr_t)8;

Test(hostile, reading_survives_each_refused_allocation, .timeout = 100)
{
    const char *path = place_weights();
    tn_registry *registry = open_registry();
    tn_graph *g = read_string(registry, path, small);
    const uint64_t before = tn_allocation_count();
    tn_graph_destroy(g);
    g = read_string(registry, path, small);
    const uint64_t count = tn_allocation_count() - before;
    tn_graph_destroy(g);
    cr_expect_gt(count, 50);
    for (uint64_t n = 1; n <= count; n++) {
        g = untouched;
        tn_test_fail_allocation(n);
        const tn_status status = tn_json_read(registry, path, small, sizeof small - 1, NULL, NULL,
                                              &g);
        tn_test_fail_allocation(0);
        cr_expect(status == TN_ERR_MEMORY || status == TN_OK, "allocation %" PRIu64 ": %s %s", n,
                  tn_status_name(status), tn_error_message());
        if (status == TN_OK)
            tn_graph_destroy(g);
        else
            cr_expect_eq(g, untouched);
    }
    tn_registry_destroy(registry);
}

Test(hostile, complaining_survives_each_refused_allocation, .timeout = 100)
{
    static const char bad[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float23\"}], \"outputs\": [\"none\"], \"zzz\": 1,"
        " \"constants\": {\"c\": {\"dtype\": \"int8\", \"shape\": [1], \"data\": [1000]}}, \"nodes\": [{\"op\": \"Relu\", \"inputs\": [\"picture\"], \"outputs\": [\"pictur\"]}]}";
    for (uint64_t n = 1; n < 200; n++) {
        tn_graph *g;
        tn_test_fail_allocation(n);
        const tn_status status = tn_json_read(NULL, "g.json", bad, sizeof bad - 1, NULL, NULL, &g);
        tn_test_fail_allocation(0);
        cr_expect_neq(status, TN_OK, "allocation %" PRIu64, n);
    }
}

Test(hostile, writing_survives_each_refused_allocation, .timeout = 100)
{
    const char *path = place_weights();
    tn_registry *registry = open_registry();
    tn_graph *g = read_string(registry, path, small);
    const char *out = path_in(make_folder(), "out.json");
    uint64_t before = tn_allocation_count();
    OK(tn_json_write(registry, g, out, NULL));
    const uint64_t count = tn_allocation_count() - before;
    char *whole = file_text(out);
    for (uint64_t n = 1; n <= count; n++) {
        tn_test_fail_allocation(n);
        const tn_status status = tn_json_write(registry, g, out, NULL);
        tn_test_fail_allocation(0);
        cr_expect(status == TN_ERR_MEMORY || status == TN_OK, "allocation %" PRIu64 ": %s %s", n,
                  tn_status_name(status), tn_error_message());
        /* Without memory a random constant may be written as numbers; nothing else may differ. */
        char *now = file_text(out);
        cr_expect_eq(strlen(now) > 0, true);
        if (status != TN_OK)
            cr_expect(strstr(now, "\"tenon\": 1") != NULL);
        free(now);
    }
    free(whole);
    tn_graph_destroy(g);
    tn_registry_destroy(registry);
}

/* ---- locale ------------------------------------------------------------------------------------------------- */

/* Some locale with a decimal comma: an installed one, or one that is made for this test. */
static bool use_comma(void)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "it_IT.UTF-8",
                                         "es_ES.UTF-8" };
    for (size_t k = 0; k < TN_COUNT(names); k++)
        if (setlocale(LC_ALL, names[k]))
            return true;
    char command[400];
    const char *folder = make_folder();
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
             folder);
    return system(command) == 0 && setenv("LOCPATH", folder, 1) == 0 &&
           setlocale(LC_ALL, "de_DE.UTF-8");
}

Test(locale, a_decimal_comma_changes_nothing, .timeout = 60)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\"}], \"outputs\": [\"y\"],"
        " \"constants\": {\"c\": {\"dtype\": \"float64\", \"shape\": [2], \"data\": [1234.5678, -2.5e-3]}},"
        " \"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"c\"], \"outputs\": [\"y\"], \"attributes\": {\"alpha\": 0.25}}]}";
    if (!use_comma())
        cr_skip_test("there is no locale with a decimal comma");
    char number[16];
    snprintf(number, sizeof number, "%.1f", 0.5);
    cr_assert_str_eq(number, "0,5");
    tn_graph *g = read_string(NULL, "g.json", text);
    cr_expect_eq(((const double *)value_named(g, "c")->constant->data)[0], 1234.5678);
    cr_expect_eq(((const double *)value_named(g, "c")->constant->data)[1], -2.5e-3);
    cr_expect_eq(attribute_of(g, "conv", "alpha")->f, 0.25);
    const char *path = path_in(make_folder(), "g.json");
    OK(tn_json_write(NULL, g, path, NULL));
    char *written = file_text(path);
    cr_expect(strstr(written, "\"data\": [1234.5678, -0.0025]"), "%s", written);
    free(written);
    tn_graph_destroy(g);
    cr_expect_eq(tn_json_read(NULL, "g.json", "{\"tenon\": 1.5}", 14, NULL, NULL, &g),
                 TN_ERR_FORMAT);
    cr_expect_str_eq(
        tn_error_message(),
        "g.json:1:11: \"tenon\" is 1.5: expected 1, the one version of the format there is");
}
