/* tools/inspect.c: `tenon inspect`: what a model is made of and what Tenon makes of it.
 *
 * Without a choice: a table of the nodes as they stand in the file, each run by itself, so that
 * shapes, parameters, multiply-adds and receptive fields are those of the network on paper; then
 * what is left of it after the passes. --plan shows the steps that would really run.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

static const char *field_text(tool *t, const tn_window *w)
{
    if (w->kernel <= 0)
        return "";
    return keep_format(t, "%lld/%lld", (long long)w->kernel, (long long)w->stride);
}

static int make_report(tool *t, tn_session *session, tn_report **out)
{
    tn_binding *bindings;
    size_t count;
    tn_status status;
    int code = shape_bindings(t, session, &bindings, &count);
    if (code)
        return code;
    status = tn_report_create(session, bindings, count, t->diagnostics, out);
    if (status)
        return complain(t, status);
    print_diagnostics(t);
    return EXIT_FINE;
}

static void print_ports(tool *t, const tn_session *session)
{
    table tab = { .heading = "\tname\ttype\tshape" };
    const tn_port *p;
    for (size_t k = 0; (p = tn_session_input(session, k)); k++)
        table_add(t, &tab, "input\t%s\t%s\t%s%s", p->name, tn_dtype_name(p->type.dtype), p->shape,
                  p->has_default ? "  (has a default)" : "");
    for (size_t k = 0; (p = tn_session_output(session, k)); k++)
        table_add(t, &tab, "output\t%s\t%s\t%s", p->name, tn_dtype_name(p->type.dtype), p->shape);
    table_print(&tab, stdout);
}

static void print_totals(tool *t, const tn_report_totals *s)
{
    printf(
        "%llu steps, %llu of them views; %s multiply-adds, %s other operations; %s parameters (%s)\n",
        (unsigned long long)s->steps, (unsigned long long)s->views, count_text(t, s->macs),
        count_text(t, s->ops), count_text(t, (double)s->parameters),
        bytes_text(t, (double)s->weight_bytes));
    printf("arena %s, largest sum of live values %s", bytes_text(t, (double)s->arena_bytes),
           bytes_text(t, (double)s->live_bytes));
    if (s->live_bytes)
        printf(" (%.2f times)", (double)s->arena_bytes / (double)s->live_bytes);
    printf("; packed weights %s, scratch %s, slots %s; %u layout conversion%s, %u cop%s\n",
           bytes_text(t, (double)s->pack_bytes), bytes_text(t, (double)s->scratch_bytes),
           bytes_text(t, (double)s->slot_bytes), s->conversions, s->conversions == 1 ? "" : "s",
           s->copies, s->copies == 1 ? "y" : "ies");
    if (s->piece)
        printf("the batch goes through the first %llu steps in pieces of %llu%s\n",
               (unsigned long long)s->piece_steps, (unsigned long long)s->piece,
               s->piece_workers > 1 ? ", each on a thread of its own" : "");
}

/* ---- the table of nodes --------------------------------------------------------------------- */

static void print_nodes(tool *t, const tn_report *report)
{
    table tab = { .heading = "node\top\toutput\t>parameters\t>multiply-adds\t>field/jump\t>bytes" };
    const tn_report_step *s;
    for (size_t k = 0; (s = tn_report_get(report, k)); k++)
        table_add(t, &tab, "%s\t%s\t%s\t%s\t%s\t%s\t%s", s->name, s->op, s->outputs,
                  s->parameters ? count_text(t, (double)s->parameters) : "",
                  s->macs > 0 ? count_text(t, s->macs) : "", field_text(t, &s->field),
                  bytes_text(t, (double)s->output_bytes));
    table_print(&tab, stdout);
}

static int inspect_graph(tool *t)
{
    tn_session_stats stats = { .size = sizeof stats };
    tn_report *report;
    tn_session *after = NULL;
    const char *doc = NULL, *name = tn_graph_name(tn_model_graph(t->model), &doc);
    int code = open_session(t, "reference", "none", TN_SESSION_NO_FUSION, NULL, &t->session);
    if (!code)
        code = make_report(t, t->session, &report);
    if (code)
        return code;
    print_clean(stdout, name ? name : "", name ? strlen(name) : 0);
    if (doc && *doc)
        printf(": "), print_clean(stdout, doc, strlen(doc));
    puts("\n");
    print_ports(t, t->session);
    putchar('\n');
    print_nodes(t, report);
    putchar('\n');
    print_totals(t, tn_report_get_totals(report));
    tn_report_destroy(report);
    code = open_session(t, NULL, NULL, 0, NULL, &after);
    if (code)
        return code;
    tn_session_get_stats(after, &stats);
    printf(
        "%llu nodes in the file, %llu after the passes (--passes tells what they did, --plan what runs)\n",
        (unsigned long long)stats.nodes_read, (unsigned long long)stats.nodes_left);
    tn_session_destroy(after);
    return EXIT_FINE;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static void print_steps(tool *t, const tn_report *report)
{
    table tab = { .heading = ">#\tstep\top\tbackend\talgorithm\tfused\tinputs\toutputs\tplace" };
    const tn_report_step *s;
    size_t k;
    for (k = 0; (s = tn_report_get(report, k)); k++)
        table_add(t, &tab, "%zu\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", k, s->name, s->op, s->backend,
                  s->algorithm, *s->fused ? s->fused : "-", s->inputs, s->outputs, s->place);
    table_print(&tab, stdout);
    for (k = 0; (s = tn_report_get(report, k)); k++)
        if (*s->reasons) {
            const char *text = keep_format(t, "%zu %s: %s", k, s->name, s->reasons);
            print_clean(stdout, text, strlen(text));
            putchar('\n');
        }
    putchar('\n');
    print_totals(t, tn_report_get_totals(report));
}

static int inspect_stages(tool *t)
{
    tn_status status = TN_OK;
    int code = open_explained(t, NULL, false, &t->session);
    if (!code)
        code = print_explained(t, t->session);
    if (code)
        return code;
    if (t->set.graph)
        status = tn_session_print(t->session, "graph", print_to_stdout, NULL);
    if (status)
        return complain(t, status);
    if (t->set.plan) {
        tn_report *report;
        code = make_report(t, t->session, &report);
        if (code)
            return code;
        print_steps(t, report);
        tn_report_destroy(report);
    }
    return EXIT_FINE;
}

/* ---- what needs no model -------------------------------------------------------------------- */

static int inspect_runtime(tool *t)
{
    tn_status status = TN_OK;
    if (t->set.op || t->set.ops)
        open_backends(t); /* then their kernels are known */
    if (t->set.op)
        status = tn_runtime_print_operator(t->runtime, t->set.op, print_to_stdout, NULL);
    if (!status && t->set.ops)
        status = tn_runtime_print_operators(t->runtime, print_to_stdout, NULL);
    if (!status && t->set.show_passes)
        status = tn_runtime_print_passes(t->runtime, print_to_stdout, NULL);
    return status ? complain(t, status) : EXIT_FINE;
}

int inspect_main(tool *t)
{
    const bool model = t->set.arguments.count > 0;
    int code;
    if (!model && !t->set.op && !t->set.ops && !t->set.show_passes)
        return bad(t, EXIT_USAGE, "expected a MODEL, or --op NAME, --ops, --passes");
    code = open_runtime(t);
    if (!code && (!model || t->set.op || t->set.ops))
        code = inspect_runtime(t);
    if (code || !model)
        return code;
    code = open_model(t, t->set.arguments.items[0]);
    if (code)
        return code;
    return t->set.plan || t->set.graph || t->set.show_passes || t->set.explain || t->set.verify ||
                   t->set.dump_after
               ? inspect_stages(t)
               : inspect_graph(t);
}
