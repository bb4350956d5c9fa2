/* forms: the same operators as exporters write them. Each graph of tests/integration/forms was exported by
 * another program from a formula or a layer as its users write it, and says which operator it `becomes`.
 *
 * With the passes the operator is there, as it was not before, and the answers are what they were: each pass is
 * verified by running the graph before and after it (seeds: plain numbers, whole ones, special and large ones).
 *
 * SPDX-License-Identifier: MIT */
#include "rewrites.h"

#include <dirent.h>

/* All of them, also where only the reference has a kernel for what they make. */
#define PASSES "all,-merge_matmuls,verify=4"

typedef struct form {
    char path[512], name[128];
    tn_model *model;
} form;

static void print_with(const form *f, const char *passes, const char *what, char *text)
{
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = passes
    };
    tn_session *session;
    cr_assert_eq(tn_session_create(f->model, &options, NULL, &session), TN_OK, "%s: %s", f->name,
                 tn_error_message());
    text[0] = 0;
    OK(tn_session_print(session, what, append_text, text));
    tn_session_destroy(session);
}

static void holds(const form *f)
{
    static char before[LOG_BYTES], after[LOG_BYTES];
    const char *becomes = tn_model_metadata(f->model, "becomes");
    char op[80];
    cr_assert(becomes, "%s does not say what it becomes", f->name);
    snprintf(op, sizeof op, "= %s ", becomes);
    print_with(f, "none", "graph", before);
    print_with(f, PASSES, "graph", after);
    cr_expect_not(strstr(before, op), "%s has a %s to begin with", f->name, becomes);
    cr_expect(strstr(after, op), "%s: no %s is left:\n%s", f->name, becomes, after);
}

Test(forms, become_the_operators_that_they_are)
{
    char folder[400];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/tests/integration/forms", getenv("TENON_SOURCE"));
    tn_runtime *runtime;
    OK(tn_runtime_create(NULL, NULL, &runtime));
    DIR *all = opendir(folder);
    cr_assert(all, "%s", folder);
    for (struct dirent *entry; (entry = readdir(all));) {
        form f = { 0 };
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(f.name, sizeof f.name, "%s", entry->d_name);
        snprintf(f.path, sizeof f.path, "%s/%s", folder, f.name);
        cr_assert_eq(tn_model_load(runtime, f.path, NULL, NULL, &f.model), TN_OK, "%s: %s", f.name,
                     tn_error_message());
        holds(&f);
        tn_model_destroy(f.model);
        count++;
    }
    closedir(all);
    tn_runtime_destroy(runtime);
    cr_expect_gt(count, 100);
}
