/* tests/unit/test_base.c: errors, diagnostics, memory, text, maps, buffers and files.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- errors ------------------------------------------------------------------------------ */

Test(errors, keep_the_message_of_the_last_failure)
{
    cr_assert_eq(tn_raise(TN_ERR_SHAPE, "rank is %d", 3), TN_ERR_SHAPE);
    cr_assert_str_eq(tn_error_message(), "rank is 3");
    cr_assert_eq(tn_raise_at(TN_ERR_SHAPE, "attribute '%s'", "axis"), TN_ERR_SHAPE);
    cr_assert_str_eq(tn_error_message(), "attribute 'axis': rank is 3");
}

Test(errors, may_quote_the_message_that_they_replace)
{
    tn_raise(TN_ERR_IO, "inner");
    tn_raise(TN_ERR_IO, "outer (%s)", tn_error_message());
    cr_assert_str_eq(tn_error_message(), "outer (inner)");
}

Test(errors, stay_one_line_and_whole_characters)
{
    char text[3000];
    tn_raise(TN_ERR_NAME, "a\nb");
    cr_assert_str_eq(tn_error_message(), "a b");
    memset(text, 0, sizeof text);
    for (size_t k = 0; k + 3 < sizeof text; k += 3)
        memcpy(text + k, "…", 3);
    tn_raise(TN_ERR_NAME, "%s", text);
    cr_assert_eq(strlen(tn_error_message()) % 3, 0);
    cr_assert_gt(strlen(tn_error_message()), 900);
}

Test(errors, have_names_and_a_version)
{
    cr_assert_str_eq(tn_status_name(TN_OK), "TN_OK");
    cr_assert_str_eq(tn_status_name(TN_ERR_INTERNAL), "TN_ERR_INTERNAL");
    cr_assert_str_eq(tn_status_name(TN_NO_MATCH), "TN_NO_MATCH");
    cr_assert_str_eq(tn_status_name((tn_status)999), "?");
    for (int k = 0; k <= TN_ERR_INTERNAL; k++)
        cr_assert_str_neq(tn_status_name((tn_status)k), "?");
    cr_assert_str_eq(tn_version(), "0.1.0");
}

/* ---- diagnostics ------------------------------------------------------------------------- */

static const tn_diagnostic complaint = {
    .size = sizeof(tn_diagnostic),
    .status = TN_ERR_OPERATOR,
    .line = 14,
    .column = 22,
    .file = "lenet.json",
    .node = "conv1",
    .op = "Cnov",
    .message = "no plugin brings it",
    .suggestion = "did you mean 'Conv'?",
};

Test(diagnostics, compose_what_a_compiler_would_print)
{
    tn_diagnostics *list;
    cr_assert_eq(tn_diagnostics_create(&list), TN_OK);
    cr_assert_eq(tn_diagnose(list, &complaint), TN_ERR_OPERATOR);
    const tn_diagnostic *kept = tn_diagnostics_get(list, 0);
    const char *text =
        "lenet.json:14:22: node 'conv1' (Cnov): no plugin brings it; did you mean 'Conv'?";
    cr_assert_str_eq(kept->text, text);
    cr_assert_str_eq(tn_error_message(), text);
    cr_assert_str_eq(kept->region, "");
    cr_assert_null(tn_diagnostics_get(list, 1));
    tn_diagnostics_destroy(list);
}

Test(diagnostics, leave_out_what_there_is_nothing_to_say_about)
{
    tn_diagnostics *list;
    tn_diagnostics_create(&list);
    tn_diagnose(list, &(tn_diagnostic){ .status = TN_ERR_IO, .message = "cannot read" });
    tn_diagnose(list, &(tn_diagnostic){ .status = TN_OK,
                                        .severity = TN_SEVERITY_WARNING,
                                        .file = "a.json",
                                        .region = "if1/then_branch",
                                        .message = "odd" });
    cr_assert_str_eq(tn_diagnostics_get(list, 0)->text, "cannot read");
    cr_assert_str_eq(tn_diagnostics_get(list, 1)->text, "a.json: warning: in if1/then_branch: odd");
    cr_assert_str_eq(tn_error_message(), "cannot read");
    tn_diagnostics_destroy(list);
}

Test(diagnostics, keep_a_hundred_and_count_the_rest)
{
    tn_diagnostics *list;
    tn_diagnostics_create(&list);
    for (int k = 0; k < 250; k++)
        tn_diagnose(list, &complaint);
    cr_assert_eq(tn_diagnostics_count(list), 100);
    cr_assert_eq(tn_diagnostics_total(list, TN_SEVERITY_ERROR), 250);
    cr_assert_eq(tn_diagnostics_total(list, TN_SEVERITY_NOTE), 0);
    cr_assert_eq(tn_diagnostics_total(list, 7), 0);
    tn_diagnostics_clear(list);
    cr_assert_eq(tn_diagnostics_count(list), 0);
    cr_assert_eq(tn_diagnostics_errors(list), 0);
    tn_diagnostics_destroy(list);
}

Test(diagnostics, make_the_first_error_of_a_call_the_message)
{
    tn_diagnostics *list;
    tn_diagnostics_create(&list);
    tn_diagnose(list, &(tn_diagnostic){ .status = TN_ERR_IO, .message = "of an earlier call" });
    tn_diagnostics_begin(list);
    tn_diagnose(list, &(tn_diagnostic){ .severity = TN_SEVERITY_NOTE, .message = "a note" });
    tn_diagnose(list, &(tn_diagnostic){ .status = TN_ERR_NAME, .message = "first" });
    tn_diagnose(list, &(tn_diagnostic){ .status = TN_ERR_TYPE, .message = "second" });
    cr_assert_str_eq(tn_error_message(), "first");
    tn_raise(TN_ERR_VALUE, "something handled inside");
    cr_assert_eq(tn_diagnostics_end(list, TN_ERR_NAME), TN_ERR_NAME);
    cr_assert_str_eq(tn_error_message(), "first");
    tn_diagnostics_destroy(list);
}

Test(diagnostics, work_without_a_list)
{
    tn_diagnostics_begin(NULL);
    tn_diagnose(NULL, &(tn_diagnostic){ .status = TN_ERR_NAME, .message = "first" });
    tn_diagnose(NULL, &(tn_diagnostic){ .status = TN_ERR_TYPE, .message = "second" });
    cr_assert_eq(tn_diagnostics_end(NULL, TN_ERR_NAME), TN_ERR_NAME);
    cr_assert_str_eq(tn_error_message(), "first");
    tn_diagnose(NULL, &(tn_diagnostic){ .status = TN_ERR_TYPE, .message = "later" });
    cr_assert_str_eq(tn_error_message(), "later");
    tn_diagnostics_destroy(NULL);
    tn_diagnostics_clear(NULL);
    cr_assert_eq(tn_diagnostics_count(NULL), 0);
}

Test(diagnostics, count_an_error_even_when_its_copy_finds_no_memory)
{
    tn_diagnostics *list;
    tn_diagnostics_create(&list);
    for (uint64_t n = 1; n < 5; n++) {
        tn_test_fail_allocation(n);
        cr_assert_eq(tn_diagnose(list, &complaint), TN_ERR_OPERATOR);
        tn_test_fail_allocation(0);
        cr_assert_eq(tn_diagnostics_errors(list), n);
    }
    tn_diagnostics_destroy(list);
}

/* ---- memory ------------------------------------------------------------------------------ */

Test(memory, refuses_products_that_overflow)
{
    cr_assert_null(tn_alloc(SIZE_MAX / 2, 3));
    cr_assert_null(tn_realloc(NULL, SIZE_MAX / 8 + 1, 8));
    size_t out = 7;
    cr_assert_not(tn_size_mul(SIZE_MAX, 2, &out));
    cr_assert_not(tn_size_add(SIZE_MAX, 1, &out));
    cr_assert_eq(out, 7);
}

Test(memory, is_refused_once_when_a_test_says_so)
{
    tn_test_fail_allocation(2);
    void *first = tn_alloc(1, 1), *second = tn_alloc(1, 1), *third = tn_alloc(1, 1);
    cr_assert_not_null(first);
    cr_assert_null(second);
    cr_assert_not_null(third);
    tn_free(first);
    tn_free(third);
}

Test(memory, counts_allocations_of_this_thread)
{
    const uint64_t before = tn_allocation_count();
    tn_free(tn_alloc(0, 8));
    tn_free(tn_alloc_aligned(100, 64));
    cr_assert_eq(tn_allocation_count(), before + 2);
}

Test(memory, pools_give_zeroed_pieces_aligned_to_16)
{
    tn_pool pool = { 0 };
    for (size_t bytes = 0; bytes < 5000; bytes += 37) {
        unsigned char *piece = tn_pool_alloc(&pool, bytes);
        cr_assert_not_null(piece);
        cr_assert_eq((uintptr_t)piece % 16, 0);
        for (size_t k = 0; k < bytes; k++)
            cr_assert_eq(piece[k], 0);
        memset(piece, 0xff, bytes);
    }
    cr_assert_null(tn_pool_alloc(&pool, SIZE_MAX - 3));
    cr_assert_str_eq(tn_pool_copy(&pool, "text"), "text");
    cr_assert_str_eq(tn_pool_text(&pool, "text", 2), "te");
    cr_assert_null(tn_pool_copy(&pool, NULL));
    tn_pool_fini(&pool);
    tn_pool_fini(&pool);
}

/* ---- text -------------------------------------------------------------------------------- */

Test(text, grows_and_survives_a_refused_allocation)
{
    tn_builder b = { 0 };
    cr_assert_str_eq(tn_builder_text(&b), "");
    for (int k = 0; k < 1000; k++)
        tn_add(&b, "%d,", k);
    cr_assert_eq(b.count, 10 * 2 + 90 * 3 + 900 * 4);
    tn_test_fail_allocation(1);
    char large[8192];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    const size_t before = b.count;
    tn_add(&b, "%s", large);
    tn_test_fail_allocation(0);
    cr_assert(b.failed);
    cr_assert_eq(b.count, before);
    cr_assert_eq(strlen(tn_builder_text(&b)), before);
    tn_builder_fini(&b);
}

static void expect_number(double value, bool is_float32, const char *expected)
{
    tn_builder b = { 0 };
    tn_add_number(&b, value, is_float32);
    cr_assert_str_eq(tn_builder_text(&b), expected);
    tn_builder_fini(&b);
}

Test(text, writes_numbers_as_short_as_they_read_back)
{
    expect_number(0.1, false, "0.1");
    expect_number((double)0.1f, true, "0.1");
    expect_number((double)0.1f, false, "0.10000000149011612");
    expect_number(-0.0, false, "-0");
    expect_number((double)1e-45f, true, "1e-45");
    expect_number(5e-324, false, "5e-324");
    expect_number(3, true, "3");
    expect_number((double)NAN, true, "NaN");
    expect_number(-(double)INFINITY, true, "-Infinity");
}

Test(text, reads_every_float_back_that_it_writes)
{
    uint32_t bits = 12345;
    for (int k = 0; k < 20000; k++) {
        bits = bits * 1664525u + 1013904223u;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        tn_builder b = { 0 };
        double back;
        tn_add_number(&b, (double)value, true);
        cr_assert(tn_parse_number(tn_builder_text(&b), &back), "%s", tn_builder_text(&b));
        cr_assert((float)back == value, "%s", tn_builder_text(&b));
        tn_builder_fini(&b);
    }
}

Test(text, ignores_the_locale)
{
    double value;
    const char *const locales[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C" };
    for (size_t k = 0; k < TN_COUNT(locales); k++) {
        if (!setlocale(LC_ALL, locales[k]))
            continue;
        expect_number(1.5, false, "1.5");
        cr_assert(tn_parse_number("2.25", &value));
        cr_assert(value == 2.25);
        cr_assert_not(tn_parse_number("2,25", &value));
    }
}

Test(text, parses_only_whole_numbers)
{
    double value = 9;
    const char *const bad[] = {
        "", ".", "1x", "1e", "1e+", "0x10", "inf", "nan", " 1", "1 ", "--1"
    };
    for (size_t k = 0; k < TN_COUNT(bad); k++)
        cr_assert_not(tn_parse_number(bad[k], &value), "'%s'", bad[k]);
    cr_assert(value == 9);
    cr_assert(tn_parse_number("-1.5e3", &value) && value == -1500);
    cr_assert(tn_parse_number("-Infinity", &value) && isinf(value) && value < 0);
    char digits[400];
    memset(digits, '0', sizeof digits);
    memcpy(digits, "0.", 2);
    digits[sizeof digits - 2] = '1';
    digits[sizeof digits - 1] = 0;
    cr_assert(tn_parse_number(digits, &value)); /* longer than what fits the stack */
}

Test(text, suggests_the_nearest_name)
{
    static const char *const names[] = {
        "Conv", "ConvTranspose", "MatMul", "Relu", "PRelu", "Gemm"
    };
    cr_assert_str_eq(tn_nearest("Cnov", names, TN_COUNT(names)), "Conv");
    cr_assert_str_eq(tn_nearest("relu", names, TN_COUNT(names)), "Relu");
    cr_assert_str_eq(tn_nearest("Matmull", names, TN_COUNT(names)), "MatMul");
    cr_assert_null(tn_nearest("Softmax", names, TN_COUNT(names)));
    cr_assert_null(tn_nearest("", names, TN_COUNT(names)));
    cr_assert_null(tn_nearest("x", NULL, 0));
}

Test(text, matches_patterns)
{
    cr_assert(tn_glob("fc*", "fc1"));
    cr_assert(tn_glob("*", ""));
    cr_assert(tn_glob("a*b*c", "aXbYbZc"));
    cr_assert(tn_glob("?x", "ax"));
    cr_assert_not(tn_glob("fc?", "fc"));
    cr_assert_not(tn_glob("a*b", "abc"));
}

Test(text, cuts_lists)
{
    const char *rest = " a , bcdef,,d ";
    char item[4];
    cr_assert(tn_list_next(&rest, ',', item, sizeof item));
    cr_assert_str_eq(item, "a");
    cr_assert(tn_list_next(&rest, ',', item, sizeof item));
    cr_assert_str_eq(item, "bcd");
    cr_assert(tn_list_next(&rest, ',', item, sizeof item));
    cr_assert_str_eq(item, "");
    cr_assert(tn_list_next(&rest, ',', item, sizeof item));
    cr_assert_str_eq(item, "d");
    cr_assert_not(tn_list_next(&rest, ',', item, sizeof item));
    cr_assert(tn_list_has("onednn, reference", "reference"));
    cr_assert_not(tn_list_has("onednn,reference", "ref"));
    cr_assert_not(tn_list_has(NULL, "ref"));
}

/* ---- maps -------------------------------------------------------------------------------- */

Test(map, holds_what_an_array_would)
{
    enum { KEYS = 300 };
    tn_map map = { 0 };
    int64_t expected[KEYS];
    char key[16];
    uint32_t state = 1, count = 0, got;
    for (int k = 0; k < KEYS; k++)
        expected[k] = -1;
    for (uint32_t round = 0; round < 20000; round++) {
        state = state * 1664525u + 1013904223u;
        const uint32_t k = (state >> 8) % KEYS;
        snprintf(key, sizeof key, "key%u", k);
        if (state >> 31) {
            count += expected[k] < 0;
            cr_assert_eq(tn_map_put(&map, key, round), TN_OK);
            expected[k] = round;
        } else {
            count -= expected[k] >= 0;
            tn_map_remove(&map, key);
            expected[k] = -1;
        }
        cr_assert_eq(map.count, count);
    }
    for (int k = 0; k < KEYS; k++) {
        snprintf(key, sizeof key, "key%d", k);
        cr_assert_eq(tn_map_get(&map, key, &got), expected[k] >= 0);
        cr_assert(expected[k] < 0 || got == (uint32_t)expected[k]);
    }
    tn_map_fini(&map);
}

Test(map, stays_whole_when_memory_is_refused)
{
    tn_map map = { 0 };
    char key[16];
    for (uint64_t k = 0; k < 200; k++) {
        snprintf(key, sizeof key, "key%d", (int)k);
        tn_test_fail_allocation(k % 3);
        (void)tn_map_put(&map, key, (uint32_t)k);
        tn_test_fail_allocation(0);
        cr_assert_eq(tn_map_put(&map, key, (uint32_t)k), TN_OK);
    }
    cr_assert_eq(map.count, 200);
    tn_map copy = { 0 };
    cr_assert_eq(tn_map_copy(&map, &copy), TN_OK);
    cr_assert_eq(copy.count, 200);
    tn_map_fini(&copy);
    const char *kept = tn_map_intern(&map, "key7");
    cr_assert_eq(kept, tn_map_intern(&map, "key7"));
    tn_map_fini(&map);
}

/* ---- buffers and files ---------------------------------------------------------------------- */

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/tenon-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(files, .init = make_folder, .fini = remove_folder);

Test(buffers, are_zeroed_aligned_and_counted)
{
    tn_buffer *buffer;
    cr_assert_eq(tn_buffer_create(100, &buffer), TN_OK);
    cr_assert_eq((uintptr_t)tn_buffer_bytes(buffer) % 64, 0);
    cr_assert_eq(tn_buffer_size(buffer), 100);
    cr_assert_not(tn_buffer_is_mapped(buffer));
    for (size_t k = 0; k < 100; k++)
        cr_assert_eq(((unsigned char *)tn_buffer_bytes(buffer))[k], 0);
    tn_buffer_forget(buffer, tn_buffer_bytes(buffer), 100);
    tn_buffer_unref(tn_buffer_ref(buffer));
    tn_buffer_unref(buffer);
    tn_buffer_unref(NULL);
    cr_assert_eq(tn_buffer_create(SIZE_MAX, &buffer), TN_ERR_MEMORY);
    for (uint64_t n = 1; n <= 2; n++) {
        tn_test_fail_allocation(n);
        cr_assert_eq(tn_buffer_create(100, &buffer), TN_ERR_MEMORY);
    }
}

Test(files, come_back_as_they_were_written)
{
    tn_buffer *buffer;
    char *path = tn_file_join(folder, "a.bin");
    cr_assert_eq(tn_file_write(path, "hello", 5), TN_OK);
    cr_assert_eq(tn_file_write(path, "world!", 6), TN_OK);
    cr_assert_eq(tn_file_map(path, &buffer), TN_OK);
    cr_assert_eq(tn_buffer_size(buffer), 6);
    cr_assert_eq(memcmp(tn_buffer_bytes(buffer), "world!", 6), 0);
    cr_assert(tn_buffer_is_mapped(buffer));
    tn_buffer_forget(buffer, tn_buffer_bytes(buffer), 6);
    tn_buffer_unref(buffer);
    cr_assert_eq(tn_file_write(path, NULL, 0), TN_OK);
    cr_assert_eq(tn_file_map(path, &buffer), TN_OK);
    cr_assert_eq(tn_buffer_size(buffer), 0);
    tn_buffer_unref(buffer);
    tn_free(path);
}

Test(files, that_cannot_be_used_say_why)
{
    tn_buffer *buffer;
    cr_assert_eq(tn_file_map("/nonexistent/x", &buffer), TN_ERR_IO);
    cr_assert_str_eq(tn_error_message(), "cannot open '/nonexistent/x': No such file or directory");
    cr_assert_eq(tn_file_map(folder, &buffer), TN_ERR_IO);
    cr_assert_not_null(strstr(tn_error_message(), "is a folder"));
    char *pipe_path = tn_file_join(folder, "pipe");
    cr_assert_eq(mkfifo(pipe_path, 0600), 0);
    cr_assert_eq(tn_file_map(pipe_path, &buffer), TN_ERR_IO);
    tn_free(pipe_path);
    char *gone = tn_file_join(folder, "no/such/folder");
    cr_assert_eq(tn_file_write(gone, "x", 1), TN_ERR_IO);
    tn_free(gone);
}

Test(files, of_a_graph_may_not_lead_outside_its_folder)
{
    tn_buffer *buffer;
    char *inside = tn_file_join(folder, "w.bin"), *link = tn_file_join(folder, "link"),
         *good = tn_file_join(folder, "good");
    cr_assert_eq(tn_file_write(inside, "x", 1), TN_OK);
    cr_assert_eq(symlink("/etc/passwd", link), 0);
    cr_assert_eq(symlink("w.bin", good), 0);
    cr_assert_eq(tn_file_map_inside(folder, "w.bin", &buffer), TN_OK);
    tn_buffer_unref(buffer);
    cr_assert_eq(tn_file_map_inside(folder, "good", &buffer), TN_OK);
    tn_buffer_unref(buffer);
    const char *const bad[] = { "/etc/passwd", "../x", "a/../../x", "..", "", "link" };
    for (size_t k = 0; k < TN_COUNT(bad); k++)
        cr_assert_eq(tn_file_map_inside(folder, bad[k], &buffer), TN_ERR_IO, "'%s'", bad[k]);
    cr_assert_eq(tn_file_map_inside(folder, "..w", &buffer), TN_ERR_IO); /* a name, of no file */
    cr_assert_not_null(strstr(tn_error_message(), "No such file"));
    tn_free(inside);
    tn_free(link);
    tn_free(good);
}

Test(paths, are_taken_apart_and_joined)
{
    const char *const cases[][2] = {
        { "a/b", "a" }, { "a", "." }, { "/a", "/" }, { "/a/b/c", "/a/b" }
    };
    for (size_t k = 0; k < TN_COUNT(cases); k++) {
        char *got = tn_file_folder(cases[k][0]);
        cr_assert_str_eq(got, cases[k][1]);
        tn_free(got);
    }
    char *joined = tn_file_join("a/", "b");
    cr_assert_str_eq(joined, "a/b");
    tn_free(joined);
}
