/* tools/check.c: `tenon check`: every complaint about a model, nothing run.
 *
 * A session on the reference backend without passes goes through all that can be wrong with a
 * graph (names, operators, attributes, types, shapes) and changes nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

static int check_one(tool *t, const char *path)
{
    int code = open_model(t, path);
    if (!code)
        code = open_session(t, "reference", "none", 0, NULL, &t->session);
    if (!code) {
        tn_session_stats stats = { .size = sizeof stats };
        tn_session_get_stats(t->session, &stats);
        print_clean(stdout, path, strlen(path));
        printf(": fine, %llu node%s, %s of weights\n", (unsigned long long)stats.nodes_read,
               stats.nodes_read == 1 ? "" : "s", bytes_text(t, (double)stats.weight_bytes));
    }
    tn_session_destroy(t->session);
    tn_model_destroy(t->model);
    t->session = NULL;
    t->model = NULL;
    return code;
}

int check_main(tool *t)
{
    int worst = open_runtime(t);
    if (worst)
        return worst;
    for (size_t k = 0; k < t->set.arguments.count; k++) {
        const int code = check_one(t, t->set.arguments.items[k]);
        worst = code > worst ? code : worst;
    }
    return worst;
}
