/* All plugins and backends in one binary (libtenon-static.a): nothing is read from disk but the
 * model, and names that two plugins share stay apart.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include "tenon/plugin.h"

#include <stdio.h>

static fixture open_linked(const char *name)
{
    static char path[512];
    fixture f;
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS,
                                         .linked = tn_linked_plugins };
    snprintf(path, sizeof path, "%s/graphs/%s.json", getenv("TENON_SOURCE"), name);
    OK(tn_runtime_create(&options, NULL, &f.runtime));
    OK(tn_model_load(f.runtime, path, NULL, NULL, &f.model));
    return f;
}

/* Classes' probabilities of one picture, on a list of backends. */
static void classify(fixture *f, const char *backends, float out[10])
{
    static float picture[784];
    static const int64_t dims[4] = { 1, 1, 28, 28 };
    tn_session *session = make_session(f, backends, NULL, 1, 0);
    tn_context *context;
    fill(picture, 784, 11);
    const tn_tensor x = floats(picture, 4, dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, tn_session_input(session, 0)->name, &x));
    OK(tn_context_run(context, NULL));
    memcpy(out, tn_context_output(context, 0)->data, 10 * sizeof *out);
    tn_context_destroy(context);
    tn_session_destroy(session);
}

Test(static_library, every_plugin_is_loaded_and_none_from_a_file)
{
    fixture f = open_linked("xnor");
    size_t count = 0;
    for (const tn_plugin_info *info; (info = tn_runtime_plugin(f.runtime, count)); count++) {
        cr_expect_eq(info->status, TN_OK, "%s: %s", info->name, info->message);
        cr_expect_str_eq(info->file, "(linked in)");
    }
    size_t linked = 0;
    while (tn_linked_plugins[linked])
        linked++;
    cr_expect_eq(count, linked);
    cr_expect_gt(count, 13, "only %zu", count);
    close_fixture(&f);
}

Test(static_library, a_trained_network_runs_on_each_backend_that_is_linked_in)
{
    fixture f = open_linked("fashion-lenet");
    static const char *const lists[] = { "openblas,reference", "onednn,reference" };
    float right[10], got[10], sum = 0;
    classify(&f, "reference", right);
    for (int k = 0; k < 10; k++)
        sum += right[k];
    cr_expect_float_eq(sum, 1.0f, 1e-5f);
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lists[l], ","), lists[l]);
        if (tn_runtime_open_backend(f.runtime, name) != TN_OK)
            continue; /* not in this build */
        classify(&f, lists[l], got);
        for (int k = 0; k < 10; k++)
            cr_expect_float_eq(got[k], right[k], 1e-5f, "%s: class %d", lists[l], k);
    }
    close_fixture(&f);
}

Test(static_library, a_linked_plugin_of_another_abi_is_refused_and_shown)
{
    static struct tn_plugin_entry old;
    old = *tn_linked_plugins[0];
    old.abi_major = 99;
    const struct tn_plugin_entry *const entries[] = { &old, NULL };
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS,
                                         .linked = entries };
    tn_runtime *runtime;
    OK(tn_runtime_create(&options, NULL, &runtime));
    const tn_plugin_info *info = tn_runtime_plugin(runtime, 0);
    cr_assert(info);
    cr_expect_eq(info->status, TN_ERR_ABI);
    cr_expect_str_eq(info->message,
                     "(linked in) is of another ABI: its abi_major is 99, this Tenon's is 1");
    tn_runtime_destroy(runtime);
}
