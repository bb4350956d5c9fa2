/* tools/convert.c: `tenon convert`: a model from one file format into another.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

int convert_main(tool *t)
{
    const char *from = t->set.arguments.items[0], *to = t->set.arguments.items[1];
    tn_status status;
    int code = open_runtime(t);
    if (!code)
        code = open_model(t, from);
    if (!code && t->set.optimized)
        code = open_session(t, NULL, NULL, 0, NULL, &t->session);
    if (code)
        return code;
    status = t->set.optimized ? tn_session_save(t->session, to, t->diagnostics)
                              : tn_model_save(t->model, to, t->diagnostics);
    if (status)
        return complain(t, status);
    print_diagnostics(t);
    return EXIT_FINE;
}
