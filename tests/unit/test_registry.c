/* The registry: what is found, what is refused and with which words, what is registered.
 * Needs TENON_TEST_PLUGINS, the folder of the test plugins.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "registry_support.h"

/* ---- files that are refused, word for word ------------------------------------------------------------ */

static void refused(const char *name, tn_status status)
{
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, built(name), NULL), status);
    cr_assert_eq(tn_registry_plugin_count(registry), 1);
    cr_assert_eq(tn_registry_plugin(registry, 0)->info.status, status);
    cr_assert_str_eq(tn_registry_plugin(registry, 0)->info.message, tn_error_message());
    cr_assert_null(tn_registry_operator_at(registry, 0));
    tn_registry_destroy(registry);
}

Test(registry, no_file_is_refused)
{
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, "/nowhere/x.so", NULL), TN_ERR_PLUGIN);
    SAYS("cannot open '/nowhere/x.so': No such file or directory");
    tn_registry_destroy(registry);
}

Test(registry, an_object_without_the_symbol_is_refused)
{
    refused("no_symbol", TN_ERR_PLUGIN);
    SAYS("%s is no Tenon plugin: it exports no tn_plugin_entry", built("no_symbol"));
}

Test(registry, another_magic_is_refused)
{
    refused("abi_magic", TN_ERR_PLUGIN);
    SAYS("%s is no Tenon plugin: its magic is 0x0000000000001234, not 0x31306e6f6e6574ab",
         built("abi_magic"));
}

Test(registry, another_abi_is_refused)
{
    refused("abi_old_major", TN_ERR_ABI);
    SAYS("%s is of another ABI: its abi_major is 99, this Tenon's is 1", built("abi_old_major"));
}

Test(registry, a_small_entry_is_refused)
{
    refused("abi_size", TN_ERR_ABI);
    SAYS("%s is of another ABI: its entry's size is 32, ABI 1.0's is 80", built("abi_size"));
}

Test(registry, a_load_that_fails_leaves_nothing)
{
    refused("load_fails", TN_ERR_PLUGIN);
    SAYS("%s: the machine has no unicorn", built("load_fails"));
}

Test(registry, the_loaders_own_words_are_passed_on)
{
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, built("unresolved"), NULL), TN_ERR_PLUGIN);
    SAYS("%s cannot be loaded: %s: undefined symbol: tenon_test_nobody_has_this",
         built("unresolved"), built("unresolved"));
    tn_registry_destroy(registry);
}

Test(registry, a_text_file_is_refused_by_the_loader)
{
    place p = make_place();
    char path[256], expected[1024];
    snprintf(path, sizeof path, "%s/plugins/text.so", p.folder);
    FILE *file = fopen(path, "w");
    fputs("this is no object\n", file);
    fclose(file);
    chmod(path, 0644);
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, path, NULL), TN_ERR_PLUGIN);
    snprintf(expected, sizeof expected, "%s cannot be loaded: %s: file too short", path, path);
    cr_assert(strstr(tn_error_message(), "cannot be loaded") &&
                  (strstr(tn_error_message(), "invalid ELF header") ||
                   strcmp(tn_error_message(), expected) == 0),
              "%s", tn_error_message());
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- who may write to it ---------------------------------------------------------------------------------- */

Test(registry, a_file_that_others_may_write_is_refused)
{
    place p = make_place();
    char file[256];
    snprintf(file, sizeof file, "%s", put(&p, "plugins", "kitchen", "kitchen"));
    chmod(file, 0666);
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, file, NULL), TN_ERR_PLUGIN);
    SAYS("%s: refused, because others may write to its file (mode 0666); 'chmod go-w' would do",
         file);
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, a_folder_that_others_may_write_is_refused_unless_trusted)
{
    place p = make_place();
    char file[256], folder[128];
    tn_registry *registry = empty();
    snprintf(file, sizeof file, "%s", put(&p, "plugins", "kitchen", "kitchen"));
    snprintf(folder, sizeof folder, "%s/plugins", p.folder);
    chmod(folder, 0777);
    cr_assert_eq(tn_registry_load_file(registry, file, NULL), TN_ERR_PLUGIN);
    SAYS("%s: refused, because others may write to its folder (mode 0777); 'chmod go-w' would do",
         file);
    tn_registry_destroy(registry);
    const tn_runtime_options trusting = {
        .size = sizeof trusting, .flags = TN_RUNTIME_NO_DEFAULT_PATHS | TN_RUNTIME_TRUST_FILES
    };
    OK(tn_registry_create(&trusting, NULL, NULL, &registry));
    OK(tn_registry_load_file(registry, file, NULL));
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, a_file_of_another_user_is_refused)
{
    if (geteuid() != 0)
        cr_skip_test("needs root, to give a file away");
    place p = make_place();
    char file[256];
    snprintf(file, sizeof file, "%s", put(&p, "plugins", "kitchen", "kitchen"));
    cr_assert_eq(chown(file, 4711, 4711), 0);
    tn_registry *registry = empty();
    cr_assert_eq(tn_registry_load_file(registry, file, NULL), TN_ERR_PLUGIN);
    SAYS("%s: refused, because its file belongs to user 4711, neither root nor you", file);
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- discovery ------------------------------------------------------------------------------------------------ */

Test(registry, plugins_are_loaded_by_name_and_backends_only_noted)
{
    place p = make_place();
    put(&p, "plugins", "kitchen", "b_kitchen");
    put(&p, "plugins", "no_symbol", "a_nothing");
    put(&p, "backends", "broken_backend", "broken_backend");
    tn_diagnostics *diagnostics;
    OK(tn_diagnostics_create(&diagnostics));
    tn_registry *registry = open_path(p.folder, diagnostics);
    cr_assert_eq(tn_registry_plugin_count(registry), 3);
    cr_assert_eq(info_of(registry, "a_nothing.so")->status, TN_ERR_PLUGIN);
    cr_assert_eq(tn_diagnostics_total(diagnostics, TN_SEVERITY_WARNING), 1);
    const tn_plugin_info *kitchen = info_of(registry, "b_kitchen.so");
    cr_assert_eq(kitchen->status, TN_OK);
    cr_assert_str_eq(kitchen->name, "kitchen");
    cr_assert_eq(kitchen->operator_count, 19);
    cr_assert_eq(kitchen->kernel_count, 18);
    cr_assert_eq(kitchen->backend_count, 1);
    cr_assert_eq(kitchen->pass_count, 1);
    cr_assert_eq(kitchen->format_count, 1);
    const tn_plugin_info *broken = info_of(registry, "broken_backend.so");
    cr_assert(broken->is_backend && !broken->opened);
    tn_registry_destroy(registry);
    tn_diagnostics_destroy(diagnostics);
    drop_place(&p);
}

Test(registry, a_named_folder_that_is_not_there_is_a_warning)
{
    tn_diagnostics *diagnostics;
    OK(tn_diagnostics_create(&diagnostics));
    tn_registry *registry = open_path("/nowhere/at/all", diagnostics);
    cr_assert_eq(tn_diagnostics_count(diagnostics), 1);
    cr_assert_str_eq(tn_diagnostics_get(diagnostics, 0)->message,
                     "cannot look for plugins in '/nowhere/at/all': No such file or directory");
    tn_registry_destroy(registry);
    tn_diagnostics_destroy(diagnostics);
}

Test(registry, the_working_folder_is_not_searched)
{
    place p = make_place();
    put(&p, "plugins", "kitchen", "kitchen");
    cr_assert_eq(chdir(p.folder), 0);
    tn_registry *registry = open_path("::", NULL);
    cr_assert_eq(tn_registry_plugin_count(registry), 0);
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, the_environment_is_searched_unless_told_not_to)
{
    place p = make_place();
    put(&p, "plugins", "kitchen", "kitchen");
    setenv("TENON_PLUGIN_PATH", p.folder, 1);
    tn_registry *registry;
    OK(tn_registry_create(NULL, NULL, NULL, &registry));
    cr_assert_eq(info_of(registry, "kitchen.so")->status, TN_OK);
    tn_registry_destroy(registry);
    registry = empty();
    cr_assert_eq(tn_registry_plugin_count(registry), 0);
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- two that offer the same --------------------------------------------------------------------------------------- */

Test(registry, twins_in_one_folder_are_an_error_that_names_both)
{
    place p = make_place();
    char expected[1024];
    put(&p, "plugins", "duplicate_a", "duplicate_a");
    put(&p, "plugins", "duplicate_b", "duplicate_b");
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_eq(info_of(registry, "duplicate_a.so")->status, TN_OK);
    cr_assert_eq(info_of(registry, "duplicate_b.so")->status, TN_ERR_DUPLICATE);
    snprintf(
        expected, sizeof expected,
        "%s/plugins/duplicate_b.so: operator 'test.twins::Twin' since 3 is in %s/plugins/duplicate_a.so, too; "
        "a plugin in a folder named earlier would be ahead",
        p.folder, p.folder);
    cr_assert_str_eq(info_of(registry, "duplicate_b.so")->message, expected);
    cr_assert_eq(info_of(registry, "duplicate_b.so")->operator_count, 0);
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, the_earlier_folder_is_ahead_and_the_later_says_so)
{
    place first = make_place(), second = make_place();
    char path[256], expected[1024];
    put(&first, "plugins", "duplicate_b", "duplicate_b");
    put(&second, "plugins", "duplicate_a", "duplicate_a");
    snprintf(path, sizeof path, "%s:%s:%s", first.folder, second.folder, first.folder);
    tn_registry *registry = open_path(path, NULL);
    cr_assert_eq(tn_registry_plugin_count(registry), 2);
    cr_assert_eq(info_of(registry, "duplicate_a.so")->status, TN_OK);
    snprintf(expected, sizeof expected,
             "left out: operator 'test.twins::Twin' since 3 (%s/plugins/duplicate_b.so is ahead); "
             "kernel of 'test.twins::Twin' on 'reference' (%s/plugins/duplicate_b.so is ahead)",
             first.folder, first.folder);
    cr_assert_str_eq(info_of(registry, "duplicate_a.so")->message, expected);
    tn_registry_destroy(registry);
    drop_place(&first);
    drop_place(&second);
}

Test(registry, a_file_that_the_caller_loads_replaces_others)
{
    place p = make_place();
    char file[256];
    put(&p, "plugins", "duplicate_a", "duplicate_a");
    tn_registry *registry = open_path(p.folder, NULL);
    const tn_operator *before = tn_registry_operator(registry, "test.twins", "Twin", 3, NULL);
    snprintf(file, sizeof file, "%s", built("duplicate_b"));
    OK(tn_registry_load_file(registry, file, NULL));
    const tn_operator *after = tn_registry_operator(registry, "test.twins", "Twin", 3, NULL);
    cr_assert_neq(before, after);
    cr_assert_str_eq(after->plugin->info.file, file);
    cr_assert_str_eq(before->def.name, "Twin", "what sessions hold stays there");
    cr_assert_eq(info_of(registry, "duplicate_a.so")->operator_count, 0);
    cr_assert(strstr(info_of(registry, "duplicate_a.so")->message,
                     "left out: operator 'test.twins::Twin' since 3"));
    OK(tn_registry_load_file(registry, file, NULL)); /* again: nothing happens */
    cr_assert_eq(tn_registry_plugin_count(registry), 2);
    snprintf(file, sizeof file, "%s", built("duplicate_a"));
    cr_assert_eq(tn_registry_load_file(registry, file, NULL), TN_ERR_DUPLICATE,
                 "two files of the caller's are equal");
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- backends ----------------------------------------------------------------------------------------------------------- */

Test(registry, a_backend_is_opened_when_asked_for)
{
    place p = make_place();
    tn_backend *backend = NULL;
    put(&p, "backends", "kitchen", "kitchen");
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_null(tn_registry_operator_at(registry, 0));
    OK(tn_registry_backend(registry, "kitchen", 2, &backend));
    cr_assert_str_eq(backend->description, "kitchen 1.0");
    cr_assert_eq(backend->status, TN_OK);
    cr_assert_eq(info_of(registry, "kitchen.so")->opened, 1);
    const tn_kernel *kernels[2];
    cr_assert_eq(tn_registry_kernels(registry, "kitchen", "test.kitchen", "Scale", 2, kernels, 2),
                 1);
    cr_assert_eq(kernels[0]->backend, backend);
    cr_assert_eq(tn_registry_kernels(registry, "kitchen", "test.kitchen", "Scale", 1, kernels, 2),
                 0);
    cr_assert_eq(
        tn_registry_kernels(registry, "never_there", "test.kitchen", "Scale", 1, kernels, 2), 1);
    cr_assert_null(kernels[0]->backend);
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, a_backend_that_does_not_open_says_why_each_time)
{
    place p = make_place();
    tn_backend *backend;
    put(&p, "backends", "broken_backend", "broken_backend");
    tn_registry *registry = open_path(p.folder, NULL);
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(tn_registry_backend(registry, "broken_backend", 1, &backend), TN_ERR_BACKEND);
        SAYS("backend 'broken_backend': libunicorn is 0.1, its header is 0.2");
    }
    cr_assert_eq(info_of(registry, "broken_backend.so")->status, TN_ERR_BACKEND);
    cr_assert_eq(tn_registry_backend(registry, "broken_bakend", 1, &backend), TN_ERR_BACKEND);
    SAYS("there is no backend 'broken_bakend'; did you mean 'broken_backend'?");
    cr_assert_str_eq(tn_registry_default_backends(registry), "");
    tn_registry_destroy(registry);
    drop_place(&p);
}

Test(registry, a_backend_file_must_bring_the_backend)
{
    place p = make_place();
    tn_backend *backend;
    char expected[512];
    put(&p, "backends", "kitchen", "oven");
    tn_registry *registry = open_path(p.folder, NULL);
    cr_assert_eq(tn_registry_backend(registry, "oven", 1, &backend), TN_ERR_BACKEND);
    snprintf(expected, sizeof expected,
             "backend 'oven': %s/backends/oven.so registers no backend of that name", p.folder);
    cr_assert_str_eq(tn_error_message(), expected);
    tn_registry_destroy(registry);
    drop_place(&p);
}

/* ---- definitions with a mistake: linked in, one each --------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}
static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    (void)ctx;
    (void)state;
    (void)slot;
    return TN_OK;
}
static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    (void)ctx;
    (void)node;
    return TN_NO_MATCH;
}

static const tn_operator_def *next_operator;
static const tn_kernel_def *next_kernel;
static const tn_pass_def *next_pass;
static const tn_format_def *next_format;
static const tn_backend_def *next_backend;

static tn_status load_next(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    if (next_operator) /* a plugin that does not look at the answer is refused all the same */
        registrar->add_operator(registrar, next_operator);
    if (next_kernel)
        registrar->add_kernel(registrar, next_kernel);
    if (next_pass)
        registrar->add_pass(registrar, next_pass);
    if (next_format)
        registrar->add_format(registrar, next_format);
    if (next_backend)
        registrar->add_backend(registrar, next_backend);
    return TN_OK;
}

static const struct tn_plugin_entry entry = { .magic = TN_ABI_MAGIC,
                                              .abi_major = TN_ABI_MAJOR,
                                              .abi_minor = TN_ABI_MINOR,
                                              .size = sizeof entry,
                                              .name = "own",
                                              .load = load_next };

static void refuses(const char *words)
{
    tn_registry *registry = empty();
    char expected[512];
    cr_assert_eq(tn_registry_add_entry(registry, &entry, "own", NULL), TN_ERR_ARGUMENT);
    snprintf(expected, sizeof expected, "own: %s", words);
    cr_assert_str_eq(tn_error_message(), expected);
    cr_assert_null(tn_registry_operator_at(registry, 0));
    tn_registry_destroy(registry);
}

static void refuses_operator(tn_operator_def def, const char *words)
{
    next_operator = &def;
    refuses(words);
    next_operator = NULL;
}

#define NAMED(name_, since_)                                                                       \
    .size = sizeof(tn_operator_def), .name = name_, .since = since_, .infer = infer
#define OPERATOR NAMED("Op", 1)

Test(registrar, operators_are_checked)
{
    const tn_param_def nameless[] = { { .types = 2 } }, typeless[] = { { .name = "X" } };
    const tn_param_def unknown[] = { { .name = "X", .types = UINT64_C(1) << 60 } },
                       odd[] = { { .name = "X", .types = 2, .flags = 64 } };
    const tn_param_def early[] = { { .name = "X", .types = 2, .flags = TN_PARAM_VARIADIC },
                                   { .name = "Y", .types = 2 } };
    const tn_param_def nothing[] = { { .name = "X", .types = 2, .flags = TN_PARAM_NOT_TENSOR } };
    refuses_operator((tn_operator_def){ .size = 16 },
                     "tn_operator_def.size is 16, but ABI 1.0 has 152");
    refuses_operator((tn_operator_def){ NAMED("", 1) }, "an operator of domain '' has no name");
    refuses_operator(
        (tn_operator_def){ .size = sizeof(tn_operator_def), .name = "Op", .infer = infer },
        "operator 'Op': since is 0; the first operator set is 1");
    refuses_operator((tn_operator_def){ OPERATOR, .accepts_from = 2 },
                     "operator 'Op': accepts_from is 2, after since, which is 1");
    refuses_operator((tn_operator_def){ .size = sizeof(tn_operator_def), .name = "Op", .since = 1 },
                     "operator 'Op': infer is NULL");
    refuses_operator((tn_operator_def){ OPERATOR, .input_count = 1 },
                     "operator 'Op': inputs is NULL, but input_count is 1");
    refuses_operator((tn_operator_def){ OPERATOR, .inputs = nameless, .input_count = 1 },
                     "operator 'Op': input 0 has no name");
    refuses_operator((tn_operator_def){ OPERATOR, .outputs = typeless, .output_count = 1 },
                     "operator 'Op': output 'X' has no types");
    refuses_operator(
        (tn_operator_def){ OPERATOR, .inputs = unknown, .input_count = 1 },
        "operator 'Op': input 'X' has unknown types 0x1000000000000000; known are 0x7fffffe");
    refuses_operator((tn_operator_def){ OPERATOR, .inputs = odd, .input_count = 1 },
                     "operator 'Op': input 'X' has unknown flags 0x40");
    refuses_operator((tn_operator_def){ OPERATOR, .inputs = early, .input_count = 2 },
                     "operator 'Op': input 'X' is variadic, but not the last");
    refuses_operator((tn_operator_def){ OPERATOR, .inputs = nothing, .input_count = 1 },
                     "operator 'Op': input 'X' is no tensor, no sequence and no optional");
}

Test(registrar, attributes_are_checked)
{
    const tn_attribute_def nameless = { .type = TN_ATTR_INT }, typeless = { .name = "a" },
                           odd = { .name = "a", .type = TN_ATTR_REF };
    const tn_attribute_def both = { .name = "a",
                                    .type = TN_ATTR_INT,
                                    .flags = TN_ATTR_REQUIRED | TN_ATTR_HAS_DEFAULT };
    const tn_attribute_def graph = { .name = "a",
                                     .type = TN_ATTR_GRAPH,
                                     .flags = TN_ATTR_HAS_DEFAULT };
    const tn_attribute_def text = { .name = "a",
                                    .type = TN_ATTR_STRING,
                                    .flags = TN_ATTR_HAS_DEFAULT };
    const tn_attribute_def twice[] = { { .name = "a", .type = TN_ATTR_INT },
                                       { .name = "a", .type = TN_ATTR_INT } };
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &nameless, .attribute_count = 1 },
                     "operator 'Op': attribute 0 has no name");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &typeless, .attribute_count = 1 },
                     "operator 'Op': attribute 'a' has unknown type 0");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &odd, .attribute_count = 1 },
                     "operator 'Op': attribute 'a' has unknown type 32");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &both, .attribute_count = 1 },
                     "operator 'Op': attribute 'a' is required and has a default");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &graph, .attribute_count = 1 },
                     "operator 'Op': attribute 'a' is of a type that has no default");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = &text, .attribute_count = 1 },
                     "operator 'Op': attribute 'a' has a default, but s is NULL");
    refuses_operator((tn_operator_def){ OPERATOR, .attributes = twice, .attribute_count = 2 },
                     "operator 'Op': attribute 'a' stands there twice");
}

static void refuses_kernel(tn_kernel_def def, const char *words)
{
    next_kernel = &def;
    refuses(words);
    next_kernel = NULL;
}

Test(registrar, kernels_are_checked)
{
    refuses_kernel((tn_kernel_def){ .size = sizeof(tn_kernel_def), .run = run },
                   "a kernel on 'reference' has no op");
    refuses_kernel((tn_kernel_def){ .size = sizeof(tn_kernel_def), .op = "Op" },
                   "kernel of 'Op' on 'reference': run is NULL");
    refuses_kernel(
        (tn_kernel_def){ .size = sizeof(tn_kernel_def), .op = "Op", .run = run, .backend = "a,b" },
        "kernel of 'Op': 'a,b' is no name of a backend");
    refuses_kernel(
        (tn_kernel_def){
            .size = sizeof(tn_kernel_def), .op = "Op", .run = run, .since = 7, .until = 3 },
        "kernel of 'Op' on 'reference': until is 3, before since, which is 7");
    refuses_kernel(
        (tn_kernel_def){ .size = sizeof(tn_kernel_def), .op = "Op", .run = run, .types = 1 },
        "kernel of 'Op' on 'reference' has unknown types 0x1; known are 0x7fffffe");
}

Test(registrar, passes_formats_and_backends_are_checked)
{
    next_pass = &(
        tn_pass_def){ .size = sizeof(tn_pass_def), .phase = 9, .name = "p", .match = match };
    refuses("pass 'p': phase is 9; phases are 1 to 5");
    next_pass = &(tn_pass_def){ .size = sizeof(tn_pass_def), .phase = 1, .name = "p" };
    refuses("pass 'p': match is NULL");
    next_pass = NULL;
    next_format = &(tn_format_def){ .size = sizeof(tn_format_def), .name = "f", .extension = "f" };
    refuses("format 'f': extension is 'f', which does not begin with '.'");
    next_format = &(tn_format_def){ .size = sizeof(tn_format_def), .name = "f", .extension = ".f" };
    refuses("format 'f': read and write are NULL");
    next_format = NULL;
    next_backend = &(tn_backend_def){ .size = sizeof(tn_backend_def), .name = "two words" };
    refuses("a backend's name is 'two words'; it may have letters, digits, '_', '-' and '.'");
    next_backend = NULL;
}

/* ---- lookup ------------------------------------------------------------------------------------------------------------------ */

static tn_operator_def versions[] = {
    { NAMED("Clip", 6) },
    { NAMED("Clip", 13), .accepts_from = 11 },
    { NAMED("Relu", 14), .accepts_from = 1 },
    { NAMED("Swish", 1), .domain = "com.example" },
};

static tn_status load_versions(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    for (size_t k = 0; k < TN_COUNT(versions); k++)
        TN_TRY(registrar->add_operator(registrar, &versions[k]));
    return TN_OK;
}

static const struct tn_plugin_entry versions_entry = { .magic = TN_ABI_MAGIC,
                                                       .abi_major = TN_ABI_MAJOR,
                                                       .size = sizeof versions_entry,
                                                       .name = "versions",
                                                       .load = load_versions };

Test(registry, an_operator_set_picks_the_version)
{
    tn_registry *registry = empty();
    uint32_t newest;
    OK(tn_registry_add_entry(registry, &versions_entry, NULL, NULL));
    cr_assert_eq(tn_registry_operator(registry, "", "Clip", 6, NULL)->def.since, 6);
    cr_assert_eq(tn_registry_operator(registry, "", "Clip", 10, NULL)->def.since, 6);
    cr_assert_eq(tn_registry_operator(registry, NULL, "Clip", 11, NULL)->def.since, 13);
    cr_assert_null(tn_registry_operator(registry, "", "Clip", 5, &newest));
    cr_assert_eq(newest, 13);
    cr_assert_eq(tn_registry_operator(registry, "", "Relu", 1, NULL)->def.since, 14);
    cr_assert_null(tn_registry_operator(registry, "", "Clop", 21, &newest));
    cr_assert_eq(newest, 0);
    cr_assert_eq(
        tn_registry_newer(registry, tn_registry_operator(registry, "", "Clip", 6, NULL))->def.since,
        13);
    cr_assert_null(
        tn_registry_newer(registry, tn_registry_operator(registry, "", "Clip", 13, NULL)));
    cr_assert_str_eq(tn_registry_nearest_operator(registry, "", "Rellu"), "Relu");
    cr_assert_str_eq(tn_registry_nearest_domain(registry, "com.exampel"), "com.example");
    cr_assert_eq(tn_registry_newest(registry, "com.example"), 1);
    cr_assert_eq(tn_registry_newest(registry, "com.nobody"), 0);
    tn_registry_destroy(registry);
}

static void collect(void *user, const char *text, size_t count)
{
    tn_add_bytes(user, text, count);
}

Test(registry, operators_are_described)
{
    tn_registry *registry = empty();
    tn_builder text = { 0 };
    OK(tn_registry_add_entry(registry, &versions_entry, NULL, NULL));
    OK(tn_registry_print_operator(registry, "ai.onnx::Clip", collect, &text));
    cr_assert_str_eq(
        tn_builder_text(&text),
        "Clip, since operator set 13, takes nodes from set 11 on  (versions)\n  no kernels are loaded\n\n"
        "Clip, since operator set 6  (versions)\n  nodes of it become those of set 13 when a model is read\n");
    tn_builder_fini(&text);
    text = (tn_builder){ 0 };
    OK(tn_registry_print_operators(registry, collect, &text));
    cr_assert(strstr(tn_builder_text(&text), "| com.example::Swish | 1 | 1 |  |  | versions |\n"));
    tn_builder_fini(&text);
    cr_assert_eq(tn_registry_print_operator(registry, "Clap", collect, &text), TN_ERR_NAME);
    SAYS("no plugin brings operator 'Clap' of domain ai.onnx; did you mean 'Clip'?");
    tn_registry_destroy(registry);
}

/* ---- the host's side of a callback ---------------------------------------------------------------------------------------------- */

Test(registry, a_call_out_of_turn_is_answered)
{
    tn_registry *registry = empty();
    struct {
        tn_frame frame;
        tn_infer ctx;
    } call;
    int64_t dims[1] = { 1 };
    OK(tn_registry_add_entry(registry, &versions_entry, NULL, NULL));
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_INFER,
                  tn_registry_plugin(registry, 0), NULL, NULL);
    cr_assert_eq(call.ctx.call.host->output_alloc(&call.ctx.call, 0, 1, dims), TN_ERR_STATE);
    cr_assert_str_eq(call.frame.message, "host->output_alloc is not for this callback");
    cr_assert_eq(call.frame.status, TN_ERR_STATE);
    tn_registry_destroy(registry);
}

Test(registry, the_first_failure_of_a_call_wins_and_beats_a_note)
{
    tn_registry *registry = empty();
    struct {
        tn_frame frame;
        tn_infer ctx;
    } call, *ctx = &call;
    OK(tn_registry_add_entry(registry, &versions_entry, NULL, NULL));
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_INFER,
                  tn_registry_plugin(registry, 0), NULL, NULL);
    tn_fail(&ctx->ctx, TN_OK, "a note");
    cr_assert_str_eq(call.frame.message, "a note");
    cr_assert_eq(tn_fail(&ctx->ctx, TN_ERR_SHAPE, "one\nline %d", 1), TN_ERR_SHAPE);
    cr_assert_eq(tn_fail(&ctx->ctx, TN_ERR_TYPE, "another"), TN_ERR_TYPE);
    cr_assert_eq(call.frame.status, TN_ERR_SHAPE);
    cr_assert_str_eq(call.frame.message, "one line 1");
    tn_registry_destroy(registry);
}
