/* The index of a folder of plugins: what it puts off, when it is passed over, what it cannot hide.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "registry_support.h"

/* A folder with these plugins and an index. */
static place make_indexed(const char *first, const char *second)
{
    place p = make_place();
    put(&p, "plugins", first, first);
    if (second)
        put(&p, "plugins", second, second);
    OK(tn_index_write(p.folder, NULL));
    return p;
}

static char *index_of(const place *p)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/plugins/index", p->folder);
    return path;
}

static bool is_loaded(const tn_registry *registry, size_t k)
{
    return tn_registry_plugin(registry, k)->loaded;
}

static size_t read_text(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "rb");
    cr_assert(file);
    const size_t count = fread(text, 1, bytes - 1, file);
    text[count] = '\0';
    fclose(file);
    return count;
}

static void write_text(const char *path, const char *text, size_t count)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(text, 1, count, file) == count);
    fclose(file);
}

/* ---- what it puts off ---------------------------------------------------------------------------- */

Test(index, a_plugin_is_opened_when_its_operator_is_asked_for)
{
    uint32_t newest = 0;
    place p = make_indexed("duplicate_a", "kitchen");
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_eq(tn_registry_plugin_count(registry), 2);
    cr_assert_not(is_loaded(registry, 0));
    cr_assert_not(is_loaded(registry, 1));
    cr_assert_null(tn_registry_operator(registry, "test.twins", "Triplet", 3, &newest));
    cr_assert_not(is_loaded(registry, 0), "another name opens nothing");
    const tn_operator *twin = tn_registry_operator(registry, "test.twins", "Twin", 3, &newest);
    cr_assert(twin);
    cr_assert_eq(newest, 3);
    cr_assert(is_loaded(registry, 0));
    cr_assert_not(is_loaded(registry, 1), "one operator opens one plugin");
    const tn_kernel *kernel = NULL;
    cr_assert_eq(tn_registry_kernels(registry, "reference", "test.twins", "Twin", 3, &kernel, 1),
                 1);
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(index, an_operator_set_is_known_without_opening)
{
    place p = make_indexed("duplicate_a", NULL);
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_eq(tn_registry_newest(registry, "test.twins"), 3);
    cr_assert_eq(tn_registry_newest(registry, "test.nobody"), 0);
    cr_assert_not(is_loaded(registry, 0));
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* The name of an operator follows the last colons. */
Test(index, a_domain_may_hold_colons)
{
    place p = make_indexed("duplicate_a", NULL);
    char text[4096], sealed[4096];
    read_text(index_of(&p), text, sizeof text);
    strcpy(strstr(text, "\noperator") + 1, "operator a::b::Twin 7\n");
    const int count = snprintf(sealed, sizeof sealed, "%ssum %016" PRIx64 "\n", text,
                               tn_hash(text, strlen(text), 0));
    write_text(index_of(&p), sealed, (size_t)count);
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_eq(tn_registry_newest(registry, "a::b"), 7);
    cr_assert_not(is_loaded(registry, 0));
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* Each question opens what it is about: by number of the question, so that each starts afresh. */
static void ask(tn_registry *registry, uint32_t question)
{
    static const char bytes[] = "no format knows these";
    tn_backend *backend = NULL;
    switch (question) {
    case 0: cr_assert_str_eq(tn_registry_pass_at(registry, 0)->def.name, "merge_scales"); break;
    case 1: cr_assert(tn_registry_format(registry, "kitchen", NULL, NULL, 0)); break;
    case 2: cr_assert(tn_registry_format(registry, NULL, "a.kitchen", NULL, 0)); break;
    case 3: tn_registry_format(registry, NULL, "a.other", bytes, sizeof bytes); break;
    case 4: OK(tn_registry_backend(registry, "kitchen", 1, &backend)); break;
    case 5: cr_assert_str_eq(tn_registry_info(registry, 0)->name, "kitchen"); break;
    case 6: cr_assert(tn_registry_operator_at(registry, 0)); break;
    case 7:
        cr_assert_str_eq(tn_registry_nearest_operator(registry, "test.kitchen", "Scall"), "Scale");
        break;
    case 8: cr_assert(tn_registry_format_at(registry, 0)); break;
    default: cr_assert(tn_registry_nearest_domain(registry, "test.kitche")); break;
    }
}

Test(index, what_is_asked_for_is_there)
{
    place p = make_indexed("kitchen", NULL);
    for (uint32_t question = 0; question < 10; question++) {
        tn_registry *registry = open_path(p.folder, NULL);
        cr_assert_null(tn_registry_format(registry, "other", NULL, NULL, 0));
        cr_assert_null(tn_registry_format(registry, NULL, "a.other", NULL, 0));
        cr_assert_not(is_loaded(registry, 0));
        ask(registry, question);
        cr_assert(is_loaded(registry, 0), "question %u", question);
        tn_registry_destroy(registry);
    }
    drop_place(&p);
}

Test(index, a_file_of_the_caller_is_ahead_of_what_is_promised)
{
    place p = make_indexed("duplicate_a", NULL);
    char file[256];
    snprintf(file, sizeof file, "%s", built("duplicate_b"));
    tn_registry *registry = open_path(p.folder, NULL);
    OK(tn_registry_load_file(registry, file, NULL));
    const tn_operator *twin = tn_registry_operator(registry, "test.twins", "Twin", 3, NULL);
    cr_assert_str_eq(twin->plugin->info.file, file);
    cr_assert(strstr(info_of(registry, "duplicate_a.so")->message, "duplicate_b.so is ahead"));
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- when it is passed over ------------------------------------------------------------------------ */

/* All are opened at once, as where there is no index. */
static void expect_passed_over(const place *p)
{
    tn_registry *registry = open_path(p->folder, NULL);
    for (size_t k = 0; k < tn_registry_plugin_count(registry); k++)
        cr_assert(is_loaded(registry, k) || tn_registry_plugin(registry, k)->info.status != TN_OK);
    cr_assert(tn_registry_plugin_count(registry));
    tn_registry_destroy(registry);
}

Test(index, an_object_of_other_contents_is_noticed)
{
    place p = make_indexed("duplicate_a", NULL);
    put(&p, "plugins", "kitchen", "duplicate_a");
    expect_passed_over(&p);
    drop_place(&p);
}

Test(index, an_object_more_or_less_is_noticed)
{
    place p = make_indexed("duplicate_a", "kitchen");
    char path[256];
    put(&p, "plugins", "no_symbol", "no_symbol");
    expect_passed_over(&p);
    snprintf(path, sizeof path, "%s/plugins/no_symbol.so", p.folder);
    cr_assert_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/plugins/kitchen.so", p.folder);
    cr_assert_eq(unlink(path), 0);
    expect_passed_over(&p);
    drop_place(&p);
}

Test(index, one_that_others_may_write_to_is_passed_over)
{
    place p = make_indexed("duplicate_a", NULL);
    cr_assert_eq(chmod(index_of(&p), 0666), 0);
    expect_passed_over(&p);
    drop_place(&p);
}

/* Cut anywhere, and with any one byte another: never a crash, never a plugin lost. */
Test(index, a_damaged_one_loses_nothing)
{
    place p = make_indexed("duplicate_a", NULL);
    char text[4096], damaged[4096];
    const size_t count = read_text(index_of(&p), text, sizeof text);
    for (size_t cut = 0; cut < count; cut++) {
        write_text(index_of(&p), text, cut);
        tn_registry *registry = open_path(p.folder, NULL);
        cr_assert_eq(tn_registry_plugin_count(registry), 1);
        cr_assert(tn_registry_operator(registry, "test.twins", "Twin", 3, NULL));
        tn_registry_destroy(registry);
    }
    for (size_t at = 0; at < count; at++) { /* a name that is another one, too */
        memcpy(damaged, text, count);
        damaged[at] ^= 0x15;
        write_text(index_of(&p), damaged, count);
        tn_registry *registry = open_path(p.folder, NULL);
        cr_assert_eq(tn_registry_plugin_count(registry), 1);
        cr_assert(tn_registry_operator(registry, "test.twins", "Twin", 3, NULL));
        tn_registry_destroy(registry);
    }
    drop_place(&p);
}

/* Even with the right sum. */
static void expect_ignored(const place *p, const char *text)
{
    char sealed[512];
    const int count = snprintf(sealed, sizeof sealed, "%ssum %016" PRIx64 "\n", text,
                               tn_hash(text, strlen(text), 0));
    write_text(index_of(p), sealed, (size_t)count);
    expect_passed_over(p);
}

Test(index, another_format_and_another_abi_are_passed_over)
{
    place p = make_indexed("duplicate_a", NULL);
    expect_ignored(&p, "tenon-index 2 1\n");
    expect_ignored(&p, "tenon-index 1 2\n");
    expect_ignored(&p, "tenon-index 1 1\nplugin ../duplicate_a.so 00\n");
    expect_ignored(&p, "tenon-index 1 1\noperator Conv 22\n");
    drop_place(&p);
}

/* ---- what it cannot hide ----------------------------------------------------------------------------- */

Test(index, a_plugin_that_cannot_be_opened_any_more_says_why)
{
    place p = make_indexed("duplicate_a", NULL);
    char file[256], expected[1024];
    snprintf(file, sizeof file, "%s/plugins/duplicate_a.so", p.folder);
    cr_assert_eq(chmod(file, 0666), 0);
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_null(tn_registry_refusal(registry, "test.twins", "Twin"), "nobody asked yet");
    cr_assert_null(tn_registry_operator(registry, "test.twins", "Twin", 3, NULL));
    snprintf(expected, sizeof expected,
             "%s: refused, because others may write to its file (mode 0666); 'chmod go-w' would do",
             file);
    cr_assert_str_eq(tn_registry_refusal(registry, "test.twins", "Twin"), expected);
    cr_assert_null(tn_registry_refusal(registry, "test.twins", "Triplet"));
    cr_assert_eq(tn_registry_info(registry, 0)->status, TN_ERR_PLUGIN);
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* The same, as who loads a graph gets to see it. */
Test(index, a_graph_that_needs_it_is_told)
{
    static const char json[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2]}],"
        " \"outputs\": [\"y\"], \"nodes\": [{\"name\": \"n\", \"domain\": \"test.twins\", \"op\": \"Twin\","
        " \"inputs\": [\"x\"], \"outputs\": [\"y\"]}]}";
    place p = make_indexed("duplicate_a", NULL);
    char file[256], expected[1024];
    snprintf(file, sizeof file, "%s/plugins/duplicate_a.so", p.folder);
    cr_assert_eq(chmod(file, 0666), 0);
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS,
                                         .plugin_path = p.folder };
    tn_runtime *runtime;
    tn_model *model;
    tn_session *session;
    put(&p, "backends", "kitchen", "kitchen");
    OK(tn_runtime_create(&options, NULL, &runtime));
    OK(tn_model_load_bytes(runtime, json, sizeof json - 1, NULL, NULL, &model));
    const tn_session_options with = { .size = sizeof with, .backends = "kitchen" };
    cr_assert_eq(tn_session_create(model, &with, NULL, &session), TN_ERR_OPERATOR);
    snprintf(expected, sizeof expected,
             "operator 'Twin' is in a plugin that cannot be used: %s: refused, because others may "
             "write to its file (mode 0666); 'chmod go-w' would do",
             file);
    cr_assert(strstr(tn_error_message(), expected), "%s", tn_error_message());
    tn_model_destroy(model);
    tn_runtime_destroy(runtime);
    drop_place(&p);
}

/* ---- writing one --------------------------------------------------------------------------------------- */

Test(index, says_what_each_brings)
{
    place p = make_indexed("duplicate_a", NULL);
    static const char rest[] = "\noperator test.twins::Twin 3\nsum ";
    char text[4096];
    read_text(index_of(&p), text, sizeof text);
    cr_assert_eq(strncmp(text, "tenon-index 1 1\nplugin duplicate_a.so ", 38), 0, "%s", text);
    cr_assert_eq(strspn(text + 38, "0123456789abcdef"), 40, "SHA-1: %s", text);
    cr_assert_eq(strncmp(text + 78, rest, strlen(rest)), 0, "%s", text);
    cr_assert_eq(strlen(text + 78 + strlen(rest)), 17);
    drop_place(&p);
}

Test(index, a_folder_with_a_plugin_that_is_none_gets_no_index)
{
    place p = make_indexed("duplicate_a", NULL);
    put(&p, "plugins", "no_symbol", "no_symbol");
    cr_assert_eq(tn_index_write(p.folder, NULL), TN_ERR_PLUGIN);
    SAYS("no index: %s/plugins/no_symbol.so is no Tenon plugin: it exports no tn_plugin_entry",
         p.folder);
    cr_assert_neq(access(index_of(&p), F_OK), 0, "the old one is gone");
    drop_place(&p);
}

Test(index, an_empty_folder_gets_no_index)
{
    place p = make_place();
    cr_assert_eq(tn_index_write(p.folder, NULL), TN_ERR_IO);
    SAYS("no index: there are no plugins in '%s/plugins'", p.folder);
    drop_place(&p);
}

Test(index, a_plugin_without_a_build_id_gets_no_index)
{
    place p = make_place();
    put(&p, "plugins", "no_build_id", "no_build_id");
    cr_assert_eq(tn_index_write(p.folder, NULL), TN_ERR_PLUGIN);
    SAYS("no index: %s/plugins/no_build_id.so has no build id; link it with -Wl,--build-id",
         p.folder);
    drop_place(&p);
}
