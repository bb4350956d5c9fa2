/* tools/compare.c: `tenon compare`: one graph on several backends, node by node.
 *
 * For each backend a session keeps the value of every node ("*", so that no fusion hides one) and
 * is run with a profile; its values are held against those of the first backend. The passes are
 * off there, so that the rows are the nodes of the file. Below: whole runs as one would really run
 * them, with and without fusion, and how far their outputs are from the first backend's.
 *
 * SPDX-License-Identifier: MIT */
#include "timing.h"

#include "tenon/kernel.h"

#include <string.h>

enum { PROFILED_RUNS = 7 };

typedef struct difference {
    bool compared;
    double absolute, relative; /* relative: to the largest magnitude of the first backend's value */
    int64_t specials;          /* elements where NaN or infinity stands on one side only */
    int64_t own_specials;      /* NaN and infinities of this backend */
} difference;

typedef struct node_row {
    const char *name, *op;
    list outputs; /* names of its values */
} node_row;

typedef struct cell {
    double seconds; /* < 0: no step of that name */
    bool fell_back; /* another backend of the list ran it */
    difference away;
} cell;

typedef struct column {
    const char *name, *backends;
    tn_session *session; /* with all values */
    tn_context *context;
    cell *cells;
    timing fused, unfused;
    difference outputs;
    uint64_t nodes_left;
    int code;
} column;

/* ---- differences ---------------------------------------------------------------------------- */

static bool comparable(const tn_tensor *a, const tn_tensor *b)
{
    if (!a || !b || tn_value_count(a) >= 0 || tn_value_count(b) >= 0 || a->dtype == TN_STRING ||
        a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int32_t axis = 0; axis < a->rank; axis++)
        if (a->dims[axis] != b->dims[axis])
            return false;
    return true;
}

/* Adds what `found` is away from `truth`. */
static void add_difference(const tn_tensor *truth, const tn_tensor *found, difference *d)
{
    double scale = 0, most = 0;
    if (!comparable(truth, found))
        return;
    d->compared = true;
    for (int64_t i = 0, n = tn_count(truth); i < n; i++) {
        const double x = tn_get_double(truth->dtype, truth->data, i);
        const double y = tn_get_double(found->dtype, found->data, i);
        d->own_specials += !isfinite(y);
        if (isfinite(x) && fabs(x) > scale)
            scale = fabs(x);
        if (isfinite(x) && isfinite(y))
            most = fmax(most, fabs(x - y));
        else if (!(x == y || (isnan(x) && isnan(y))))
            d->specials++;
    }
    d->absolute = fmax(d->absolute, most);
    d->relative = fmax(d->relative, scale > 0 ? most / scale : most);
}

static const tn_tensor *value_of(const column *c, const char *name)
{
    const tn_port *port;
    for (size_t k = 0; (port = tn_session_output(c->session, k)); k++)
        if (strcmp(port->name, name) == 0)
            return tn_context_output(c->context, k);
    return NULL;
}

/* ---- rows: the nodes of the file ------------------------------------------------------------ */

/* The name under which a session gives a value out: an output of the graph has one of its own. */
static const char *given_name(const tn_graph *graph, tn_value_id value)
{
    const tn_value_id *outputs;
    const tn_value_view *view = tn_graph_value(graph, value);
    const uint32_t count = tn_graph_region_outputs(graph, TN_TOP_REGION, &outputs);
    for (uint32_t k = 0; k < count; k++)
        if (outputs[k] == value)
            return tn_graph_output_name(graph, TN_TOP_REGION, k);
    return view ? view->name : "";
}

static size_t list_nodes(tool *t, node_row **out)
{
    const tn_graph *graph = tn_model_graph(t->model);
    size_t count = 0, k = 0;
    for (tn_node_id n = tn_graph_first_node(graph, TN_TOP_REGION); n != TN_NONE;
         n = tn_graph_next_node(graph, n))
        count++;
    *out = keep_array(t, count, sizeof **out);
    for (tn_node_id n = tn_graph_first_node(graph, TN_TOP_REGION); n != TN_NONE;
         n = tn_graph_next_node(graph, n), k++) {
        const tn_node_view *view = tn_graph_node(graph, n);
        (*out)[k] = (node_row){ .name = view->name, .op = view->op };
        for (uint32_t i = 0; i < view->output_count; i++)
            if (view->outputs[i] != TN_NONE)
                list_add(t, &(*out)[k].outputs, given_name(graph, view->outputs[i]));
    }
    return count;
}

/* ---- one column ----------------------------------------------------------------------------- */

static bool is_first_of(const char *backends, const char *name)
{
    const size_t length = strcspn(backends, ",");
    return strlen(name) == length && memcmp(backends, name, length) == 0;
}

/* Median of the step called like the node over the profiled runs. */
static int profile_nodes(tool *t, column *c, const node_row *nodes, size_t count)
{
    const tn_run_options options = { .size = sizeof options, .profile = 1, .seed = t->set.seed };
    double *times = keep_array(t, count * PROFILED_RUNS, sizeof *times);
    for (size_t run = 0; run < PROFILED_RUNS; run++) {
        const tn_profile_step *p;
        const tn_status status = tn_context_run(c->context, &options);
        if (status)
            return complain(t, status);
        for (size_t k = 0, guess = 0; (p = tn_context_profile(c->context, k)); k++) {
            size_t n = 0; /* steps come in the order of the nodes, nearly always */
            while (n < count && strcmp(nodes[(guess + n) % count].name, p->name) != 0)
                n++;
            if (n == count)
                continue;
            guess = (guess + n) % count;
            times[guess * PROFILED_RUNS + run] += 1e-9 * (double)p->ns;
            c->cells[guess].seconds = 0;
            c->cells[guess].fell_back = !is_first_of(c->backends, p->backend);
        }
    }
    for (size_t k = 0; k < count; k++)
        if (c->cells[k].seconds >= 0) {
            sort_times(times + k * PROFILED_RUNS, PROFILED_RUNS);
            c->cells[k].seconds = quantile(times + k * PROFILED_RUNS, PROFILED_RUNS, 0.5);
        }
    return EXIT_FINE;
}

/* A whole run as it really is: its time, and its outputs against the first column's. */
static int time_whole(tool *t, const column *first, column *c, const inputs *in, uint32_t flags,
                      timing *out, difference *away)
{
    const double seconds = t->set.seconds > 0 ? t->set.seconds : 1.0;
    tn_session_stats stats = { .size = sizeof stats };
    tn_session *session = NULL;
    tn_context *context = NULL;
    const tn_port *port;
    int code = open_session(t, c->backends, NULL, flags, NULL, &session);
    if (!code)
        code = context_make(t, session, in, &context);
    if (!code)
        code = time_runs(t, context, seconds / 2, c->name, out);
    for (size_t k = 0; !code && away && (port = tn_session_output(session, k)); k++)
        add_difference(value_of(first, port->name), tn_context_output(context, k), away);
    if (!code) {
        tn_session_get_stats(session, &stats);
        c->nodes_left = stats.nodes_left;
    }
    tn_context_destroy(context);
    tn_session_destroy(session);
    return code;
}

static int measure_column(tool *t, const column *first, column *c, const inputs *in,
                          const node_row *nodes, size_t count)
{
    int code = context_make(t, c->session, in, &c->context);
    c->cells = keep_array(t, count, sizeof *c->cells);
    for (size_t k = 0; k < count; k++)
        c->cells[k].seconds = -1;
    if (!code)
        code = profile_nodes(t, c, nodes, count);
    for (size_t k = 0; !code && k < count; k++)
        for (size_t i = 0; i < nodes[k].outputs.count; i++)
            add_difference(value_of(first, nodes[k].outputs.items[i]),
                           value_of(c, nodes[k].outputs.items[i]), &c->cells[k].away);
    if (!code)
        code = time_whole(t, first, c, in, 0, &c->fused, &c->outputs);
    if (!code)
        code = time_whole(t, first, c, in, TN_SESSION_NO_FUSION, &c->unfused, NULL);
    if (c != first) { /* the first one's values are what the others are held against */
        tn_context_destroy(c->context);
        c->context = NULL;
    }
    return code;
}

/* ---- the list of columns -------------------------------------------------------------------- */

/* "a,b+c" is the columns a and b,c. Alone, a backend gets the reference behind it for what it has
 * no kernel for; such a time carries a star. */
static column *make_columns(tool *t, const char *names, size_t *count)
{
    column *out = keep_array(t, strlen(names) + 2, sizeof *out);
    *count = 0;
    for (const char *at = names; *at;) {
        const size_t length = strcspn(at, ",");
        char *name = keep_text(t, at, length);
        column *c = &out[(*count)++];
        c->name = name;
        c->backends = keep_text(t, name, length);
        for (char *p = (char *)(uintptr_t)c->backends; *p; p++)
            *p = *p == '+' ? ',' : *p;
        if (!strchr(name, '+') && strcmp(name, "reference") != 0)
            c->backends = keep_format(t, "%s,reference", name);
        at += length + (at[length] == ',');
    }
    return out;
}

static const char *default_columns(tool *t)
{
    const char *all = tn_runtime_default_backends(t->runtime), *text = "reference";
    for (const char *at = all; *at;) {
        const size_t length = strcspn(at, ",");
        const char *name = keep_text(t, at, length);
        if (strcmp(name, "reference") != 0 && tn_runtime_open_backend(t->runtime, name) == TN_OK)
            text = keep_format(t, "%s,%s", text, name);
        at += length + (at[length] == ',');
    }
    return text;
}

/* ---- the tables ----------------------------------------------------------------------------- */

static const char *difference_cells(tool *t, const difference *d)
{
    if (!d->compared)
        return "\t-\t-\t-";
    return keep_format(t, "\t%.2g\t%.2g\t%s", d->absolute, d->relative,
                       d->specials       ? keep_format(t, "%lld differ", (long long)d->specials)
                       : d->own_specials ? keep_format(t, "%lld alike", (long long)d->own_specials)
                                         : "none");
}

static void print_columns(tool *t, const column *c, size_t columns, const node_row *nodes,
                          size_t count)
{
    table tab = { .heading = "node\top" };
    bool star = false;
    for (size_t k = 0; k < columns; k++)
        if (!c[k].code)
            tab.heading = keep_format(t, "%s\t>%s%s", tab.heading, c[k].name,
                                      k ? "\t>absolute\t>relative\t>NaN, inf" : "");
    for (size_t n = 0; n < count; n++) {
        const char *row = keep_format(t, "%s\t%s", nodes[n].name, nodes[n].op);
        for (size_t k = 0; k < columns; k++) {
            const cell *x = c[k].code ? NULL : &c[k].cells[n];
            if (!x)
                continue;
            star |= x->fell_back;
            row = keep_format(t, "%s\t%s%s%s", row, x->seconds < 0 ? "-" : time_text(t, x->seconds),
                              x->fell_back ? "*" : "", k ? difference_cells(t, &x->away) : "");
        }
        table_add(t, &tab, "%s", row);
    }
    table_print(&tab, stdout);
    if (star)
        puts(
            "* run by another backend of the list; `tenon inspect MODEL --plan --backend LIST` says why");
}

static void print_whole(tool *t, const column *c, size_t columns)
{
    table tab = {
        .heading =
            "whole run\t>nodes\t>fused\t>spread\t>not fused\t>spread\t>absolute\t>relative\t>NaN, inf"
    };
    for (size_t k = 0; k < columns; k++)
        if (!c[k].code)
            table_add(t, &tab, "%s\t%llu\t%s\t%s\t%s\t%s%s", c[k].backends,
                      (unsigned long long)c[k].nodes_left, time_text(t, c[k].fused.median),
                      time_text(t, c[k].fused.spread), time_text(t, c[k].unfused.median),
                      time_text(t, c[k].unfused.spread), difference_cells(t, &c[k].outputs));
    putchar('\n');
    table_print(&tab, stdout);
}

static int measure_all(tool *t, column *c, size_t columns, const node_row *nodes, size_t count)
{
    inputs in = { 0 };
    int worst = EXIT_FINE;
    for (size_t k = 0; k < columns; k++) {
        column *x = &c[k];
        x->code = open_session(t, x->backends, t->set.passes ? NULL : "none", 0, "*", &x->session);
        if (!x->code && !in.items)
            x->code = inputs_read(t, x->session, true, &in);
        if (!x->code)
            x->code = measure_column(t, &c[0], x, &in, nodes, count);
        worst = x->code > worst ? x->code : worst;
        if (k == 0 && x->code) /* nothing to hold the others against */
            break;
    }
    return worst;
}

int compare_main(tool *t)
{
    node_row *nodes;
    column *c;
    size_t columns, count;
    int code = open_runtime(t);
    if (!code)
        code = open_model(t, t->set.arguments.items[0]);
    if (code)
        return code;
    c = make_columns(t, t->set.backend ? t->set.backend : default_columns(t), &columns);
    if (columns == 0)
        return bad(t, EXIT_USAGE, "--backends names none");
    count = list_nodes(t, &nodes);
    code = measure_all(t, c, columns, nodes, count);
    if (!c[0].code) {
        print_columns(t, c, columns, nodes, count);
        print_whole(t, c, columns);
    }
    for (size_t k = 0; k < columns; k++) {
        tn_context_destroy(c[k].context);
        tn_session_destroy(c[k].session);
    }
    return code;
}
