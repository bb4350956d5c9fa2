/* tests/conformance/run.c: one test, in the child.
 *
 * Nothing is freed: the process ends with the test.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 64 }; /* inputs or outputs of a test */

typedef struct child {
    tn_runtime *runtime;
    const test *test;
    const settings *set;
    tn_diagnostics *diagnostics;
    tn_model *model;
    tn_session *session;
    tn_context *context;
    const tn_tensor *inputs[MOST], *outputs[MOST];
    tn_tensor *wanted[MOST];
    size_t input_count, output_count;
    char why[600];
} child;

/* Nothing of the test's operators is wrong: they are just not there. */
static bool only_lacks_operators(const tn_diagnostics *diagnostics)
{
    size_t errors = 0;
    for (size_t k = 0; k < tn_diagnostics_count(diagnostics); k++) {
        const tn_diagnostic *d = tn_diagnostics_get(diagnostics, k);
        if (d->severity != TN_SEVERITY_ERROR)
            continue;
        errors++;
        if (d->status != TN_ERR_OPERATOR)
            return false;
    }
    return errors > 0;
}

static bool fits(child *c, tn_status status)
{
    if (status != TN_OK)
        snprintf(c->why, sizeof c->why, "%s", tn_error_message());
    return status == TN_OK;
}

/* input_K.pb or output_K.pb; of a light model MODEL_output_K.pb. "" when it is not there. */
static const char *data_path(const child *c, const char *what, size_t k, char *path, size_t room)
{
    if (c->test->data)
        snprintf(path, room, "%s/%s_%zu.pb", c->test->data, what, k);
    else
        snprintf(path, room, "%.*s_%s_%zu.pb", (int)(strlen(c->test->model) - strlen(".onnx")),
                 c->test->model, what, k);
    if (access(path, F_OK))
        *path = '\0';
    return path;
}

static bool set_inputs(child *c)
{
    char path[1024];
    const tn_port *port;
    for (size_t k = 0; (port = tn_session_input(c->session, k)) && k < MOST; k++) {
        tn_tensor *v = NULL;
        const bool light = !c->test->data;
        if (light ? port->has_default : !*data_path(c, "input", k, path, sizeof path))
            continue;
        if (light ? !value_ramp(&port->type, &v, c->why, sizeof c->why)
                  : !value_read(c->runtime, path, &port->type, &v, c->why, sizeof c->why))
            return false;
        c->inputs[k] = v;
        c->input_count = k + 1;
        if (!fits(c, tn_context_set_input(c->context, port->name, v)))
            return false;
    }
    return true;
}

static bool read_wanted(child *c)
{
    char path[1024];
    const tn_port *port;
    for (size_t k = 0; (port = tn_session_output(c->session, k)) && k < MOST; k++) {
        if (!*data_path(c, "output", k, path, sizeof path))
            continue;
        if (!value_read(c->runtime, path, &port->type, &c->wanted[k], c->why, sizeof c->why))
            return false;
        c->output_count = k + 1;
    }
    if (!c->output_count)
        snprintf(c->why, sizeof c->why, "there is no expected output");
    return c->output_count > 0;
}

static bool compare_outputs(child *c)
{
    const exception *special = exception_of(c->test);
    char why[400];
    if (special && special->exact_sums && c->set->backends &&
        strcmp(c->set->backends, "reference") == 0)
        special = NULL;
    for (size_t k = 0; k < c->output_count; k++) {
        c->outputs[k] = tn_context_output(c->context, k);
        if (!c->wanted[k])
            continue;
        if (!c->outputs[k]) {
            snprintf(c->why, sizeof c->why, "output %zu is not there", k);
            return false;
        }
        const double atol = special && special->atol > 0 ? special->atol : 1e-7;
        const bool types_only = special && !(special->atol > 0);
        if (types_only ? compare_types(c->outputs[k], c->wanted[k], why, sizeof why)
                       : compare_values(c->outputs[k], c->wanted[k], atol, why, sizeof why))
            continue;
        snprintf(c->why, sizeof c->why, "output %zu %s", k, why);
        return false;
    }
    return !special || !special->check ||
           special->check(c->inputs, c->input_count, c->outputs, c->output_count, c->why,
                          sizeof c->why);
}

/* ---- bodies ---------------------------------------------------------------------------------------- */

typedef struct text {
    char *bytes;
    size_t count;
} text;

static void append(void *user, const char *bytes, size_t count)
{
    text *to = user;
    to->bytes = realloc(to->bytes, to->count + count + 1);
    if (!to->bytes)
        abort();
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
    to->bytes[to->count] = '\0';
}

/* Whether an operator of the model is nowhere in the printed graph any more. */
static bool lacks_operator(const child *c, const char *printed)
{
    const tn_graph *graph = tn_model_graph(c->model);
    char sign[200];
    for (tn_node_id n = tn_graph_first_node(graph, TN_TOP_REGION); n != TN_NONE;
         n = tn_graph_next_node(graph, n)) {
        const tn_node_view *node = tn_graph_node(graph, n);
        snprintf(sign, sizeof sign, "= %s%s%s ", node->domain, *node->domain ? "::" : "", node->op);
        if (!strstr(printed, sign))
            return true;
    }
    return false;
}

/* The graph that a session runs without passes; NULL: no session can be made of it. */
static const char *graph_of(const child *c, const tn_session_options *with, uint32_t flags)
{
    tn_session_options options = *with;
    tn_session *session;
    text printed = { 0 };
    options.passes = "none";
    options.flags = flags;
    return tn_session_create(c->model, &options, NULL, &session) == TN_OK &&
                   tn_session_print(session, "graph", append, &printed) == TN_OK
               ? printed.bytes
               : NULL;
}

/* Whether the graph is another one when operators are written out; where ONNX wrote one out, that
 * one is gone. What no session can be made of is for the run itself to complain about. */
static bool has_body(const child *c, const tn_session_options *with)
{
    const char *as_read = graph_of(c, with, 0);
    const char *written_out = graph_of(c, with, TN_SESSION_PREFER_BODIES);
    if (!as_read || !written_out)
        return true;
    return strcmp(as_read, written_out) &&
           (!c->test->written_out || lacks_operator(c, written_out));
}

static outcome run(child *c)
{
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = c->set->backends,
                                         .passes = c->set->passes,
                                         .flags = c->set->bodies ? TN_SESSION_PREFER_BODIES : 0 };
    const tn_status status = tn_session_create(c->model, &options, c->diagnostics, &c->session);
    if (!fits(c, status))
        return only_lacks_operators(c->diagnostics) ? OUTCOME_NOT_HELD : OUTCOME_FAILED;
    if (c->set->bodies && !has_body(c, &options))
        return OUTCOME_NO_BODY;
    const bool good = fits(c, tn_context_create(c->session, &c->context)) && set_inputs(c) &&
                      read_wanted(c) && fits(c, tn_context_run(c->context, NULL)) &&
                      compare_outputs(c);
    return good ? OUTCOME_OK : OUTCOME_FAILED;
}

static void print_operators(const tn_graph *graph, FILE *out)
{
    const char *seen[512];
    size_t count = 0;
    for (tn_node_id n = tn_graph_first_node(graph, TN_TOP_REGION); n != TN_NONE && count < 512;
         n = tn_graph_next_node(graph, n)) {
        const char *op = tn_graph_node(graph, n)->op;
        size_t k = 0;
        while (k < count && strcmp(seen[k], op) != 0)
            k++;
        if (k < count)
            continue;
        seen[count++] = op;
        fprintf(out, "%s%s", count > 1 ? " " : "", op);
    }
    /* The model is nothing but a constant: read, it has no node. */
    if (!count)
        fprintf(out, "Constant");
    fprintf(out, "\n");
}

void run_test(tn_runtime *runtime, const test *t, const settings *set, FILE *out)
{
    child *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->runtime = runtime;
    c->test = t;
    c->set = set;
    outcome result = OUTCOME_FAILED;
    if (fits(c, tn_diagnostics_create(&c->diagnostics)) &&
        fits(c, tn_model_load(runtime, t->model, NULL, c->diagnostics, &c->model))) {
        print_operators(tn_model_graph(c->model), out);
        fflush(out); /* known, even when what follows crashes */
        const exception *special = exception_of(t);
        result = special && special->skip ? OUTCOME_SKIPPED : run(c);
    } else {
        fprintf(out, "\n");
    }
    fprintf(out, "%d\n%s\n", (int)result, c->why);
}
