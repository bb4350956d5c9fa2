/* tools/optimize.c: `tenon optimize`: a model with the passes applied, for Tenon or for others.
 *
 * What is written has standard operators only, unless --fused asks for those of domain tenon: the
 * passes then see the session's backends, otherwise the reference backend alone, and what they made
 * of operators of our own is written out again (the word "standard").
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

/* The words for tn_session_options.passes that the options ask for, behind the user's own. */
static int passes_text(tool *t, bool standard, const char **out)
{
    const settings *s = &t->set;
    const char *text = s->passes ? s->passes : "safe";
    if (standard)
        text = keep_format(t, "%s,standard", text);
    if (s->dump_after)
        text = keep_format(t, "%s,dump=%s", text, s->dump_after);
    if (s->opset)
        text = keep_format(t, "%s,opset=%s", text, s->opset);
    if (s->verify)
        text = keep_format(t, "%s,verify%s%s", text, s->seeds ? "=" : "", s->seeds ? s->seeds : "");
    for (size_t k = 0; s->verify && k < s->shapes.count; k++) {
        char *shape = keep_format(t, "%s", s->shapes.items[k]);
        if (!strchr(shape, '='))
            return bad(t, EXIT_USAGE, "--shape is '%s', expected NAME=1,3,224,224", shape);
        for (char *at = shape; *at; at++)
            *at = *at == ',' ? 'x' : *at;
        text = keep_format(t, "%s,%s", text, shape);
    }
    *out = text;
    return EXIT_FINE;
}

static int check_options(tool *t)
{
    const settings *s = &t->set;
    if (t->cmd->bit == CMD_OPTIMIZE && s->shapes.count && !s->verify)
        return bad(t, EXIT_USAGE, "--shape is for --verify, which runs the graph");
    if (s->opset && (!*s->opset || *s->opset == '0' || strlen(s->opset) > 4 ||
                     s->opset[strspn(s->opset, "0123456789")]))
        return bad(t, EXIT_USAGE, "--opset is '%s', expected the number of an operator set",
                   s->opset);
    if (s->seeds && (!*s->seeds || s->seeds[strspn(s->seeds, "0123456789")]))
        return bad(t, EXIT_USAGE, "--verify is '%s', expected a whole number", s->seeds);
    return EXIT_FINE;
}

int open_explained(tool *t, const char *backends, bool standard, tn_session **out)
{
    const char *passes = NULL;
    int code = check_options(t);
    if (!code)
        code = passes_text(t, standard, &passes);
    return code ? code : open_session(t, backends, passes, 0, NULL, out);
}

int print_explained(tool *t, const tn_session *session)
{
    tn_session *own = (tn_session *)(uintptr_t)session;
    tn_status status = TN_OK;
    if (t->set.explain || t->set.show_passes)
        status = tn_session_print(own, "passes", print_to_stdout, NULL);
    if (!status && t->set.dump_after)
        status = tn_session_print(own, "dump", print_to_stdout, NULL);
    return status ? complain(t, status) : EXIT_FINE;
}

int optimize_main(tool *t)
{
    const char *from = t->set.arguments.items[0], *to = t->set.arguments.items[1];
    const char *backends = t->set.fused || t->set.backend ? NULL : "reference";
    tn_session_stats stats = { .size = sizeof stats };
    tn_status status;
    int code = open_runtime(t);
    if (!code)
        code = open_model(t, from);
    if (!code)
        code = open_explained(t, backends, !t->set.fused, &t->session);
    if (!code)
        code = print_explained(t, t->session);
    if (code)
        return code;
    status = tn_session_save(t->session, to, t->diagnostics);
    if (status)
        return complain(t, status);
    print_diagnostics(t);
    tn_session_get_stats(t->session, &stats);
    printf("%s: %llu nodes before, %llu after%s\n", to, (unsigned long long)stats.nodes_read,
           (unsigned long long)stats.nodes_left,
           !t->set.verify   ? ""
           : stats.verified ? ", verified"
                            : ", nothing to verify");
    return EXIT_FINE;
}
