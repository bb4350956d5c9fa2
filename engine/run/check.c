/* engine/run/check.c: runs a graph as it was before a pass and as it is after, on the reference
 * backend, and holds the answers against each other.
 *
 * First the parts in which the two differ (check_cut.c), then larger ones; only what does not come
 * out equal there is decided by the whole graphs. What takes a billion multiply-adds or more is run
 * on the default backends, both sides alike, and only what does not come out equal there on the
 * reference; and each kind of numbers is taken once and not twice, unless the user says how often.
 *
 * In: two graphs with the same inputs and outputs. Symbols get the extent that the user gives
 * ("N=8"), or the first of a few for which the graph as it was runs at all: 3, so that a mistaken
 * axis or broadcast shows, down to what every graph is expected to take. A seed for which the graph
 * as it was fails (an index out of range) says nothing and is left out; when none is left, a note
 * says that nothing was verified.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/check.h"
#include "tenon/kernel.h"

#include <stdio.h>

enum { SEEDS = 8, FEW_SEEDS = TN_CHECK_KINDS, MOST_SEEDS = 1000 };
#define MANY_MACS 1e9
#define NUDGE 16.0

/* One graph that can be run. */
typedef struct side {
    tn_model *model;
    tn_session *session;
    tn_context *context;
} side;

typedef struct check {
    tn_checker *checker;
    const tn_graph *graph; /* as it was */
    const char *pass, *part;
    bool fast; /* on the default backends */
    side before, after, nudged;
    tn_tensor *inputs;
    int64_t (*dims)[TN_MAX_RANK];
    uint32_t input_count, output_count;
    double *bounds; /* by output; room for one more */
    int64_t *symbols;
    uint32_t symbol_count, exactness;
    bool *same;
    char **why;
} check;

/* ---- the two sides -------------------------------------------------------------------------- */

static tn_status open_side(const check *c, const tn_graph *graph, side *out)
{
    const tn_session_options options = { .size = sizeof options,
                                         .threads = c->checker->threads,
                                         .backends = c->fast ? NULL : "reference",
                                         .passes = "none",
                                         .math = TN_MATH_STRICT,
                                         .flags = TN_SESSION_NO_FUSION,
                                         .limits = *c->checker->limits };
    tn_graph *copy;
    TN_TRY(tn_graph_clone(graph, &copy));
    const tn_status status = tn_model_from_graph(c->checker->runtime, copy, &out->model);
    if (status != TN_OK) {
        tn_graph_destroy(copy);
        return status;
    }
    TN_TRY(tn_session_create(out->model, &options, NULL, &out->session));
    return tn_context_create(out->session, &out->context);
}

static void close_side(side *s)
{
    tn_context_destroy(s->context);
    tn_session_destroy(s->session);
    tn_model_destroy(s->model);
}

/* ---- extents -------------------------------------------------------------------------------- */

/* Extent `axis` of "1x3x224x224", or -1. */
static int64_t extent_of(const char *text, int32_t axis)
{
    char *end;
    for (;; text = end + 1) {
        const long long extent = strtoll(text, &end, 10);
        if (end == text || extent < 0)
            return -1;
        if (axis-- == 0)
            return extent;
        if (*end != 'x')
            return -1;
    }
}

static void bind_symbols(check *c, int64_t otherwise)
{
    const tn_dims *dims = tn_graph_dims(c->before.session->graph);
    char text[64];
    for (uint32_t k = 0; k < c->symbol_count; k++) {
        c->symbols[k] = otherwise;
        if (tn_passes_word(c->checker->selection, tn_dims_symbol_name(dims, k), text,
                           sizeof text) &&
            extent_of(text, 0) >= 0)
            c->symbols[k] = extent_of(text, 0);
    }
}

static tn_status shape_input(check *c, uint32_t k, int64_t otherwise)
{
    const tn_dims *dims = tn_graph_dims(c->before.session->graph);
    const tn_port *port = &c->before.session->inputs[k];
    tn_tensor *tensor = &c->inputs[k];
    char text[256] = "";
    size_t bytes;
    tn_passes_word(c->checker->selection, port->name, text, sizeof text);
    if (port->type.kind)
        return tn_raise(TN_ERR_TYPE, "input '%s' is no tensor", port->name);
    if (port->type.rank < 0 && !*text)
        return tn_raise(TN_ERR_SHAPE, "input '%s' declares no shape: give it, as in '%s=1x3'",
                        port->name, port->name);
    tensor->rank = port->type.rank;
    for (int32_t axis = 0; port->type.rank < 0 && extent_of(text, axis) >= 0; axis++)
        tensor->rank = axis + 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        int64_t extent = extent_of(text, axis);
        if (extent < 0)
            extent = tn_dim_evaluate(dims, port->type.dims[axis], c->symbols, c->symbol_count);
        c->dims[k][axis] = extent < 0 ? otherwise : extent;
    }
    tn_free(tensor->data);
    tensor->data = NULL;
    TN_TRY(tn_shape_bytes(tensor->dtype, tensor->rank, tensor->dims, &bytes));
    tensor->data = tn_alloc(bytes + 1, 1);
    tensor->bytes = bytes;
    return tensor->data ? TN_OK : tn_raise_memory();
}

static tn_status shape_inputs(check *c, int64_t otherwise)
{
    bind_symbols(c, otherwise);
    for (uint32_t k = 0; k < c->input_count; k++)
        TN_TRY(shape_input(c, k, otherwise));
    return TN_OK;
}

/* ---- runs ----------------------------------------------------------------------------------- */

/* How large inputs get: to the type's end where nothing may change; else so that sums and squares of them
 * do not overflow on one side alone. float16 ends at 65504. */
static double most_of(const check *c)
{
    if (c->exactness == TN_EXACT)
        return 0.0;
    for (uint32_t slot = 0; slot < tn_graph_value_slots(c->graph); slot++) {
        const tn_value_id value = tn_graph_value_at(c->graph, slot);
        const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(c->graph, value);
        if (view && view->type->kind == TN_TENSOR && view->type->dtype == TN_FLOAT16)
            return 8.0;
    }
    return 1e3;
}

static tn_status fill_inputs(check *c, uint64_t seed)
{
    const double most = most_of(c);
    for (uint32_t k = 0; k < c->input_count; k++)
        TN_TRY(tn_check_fill(&c->inputs[k], (uint32_t)(seed % TN_CHECK_KINDS), most,
                             seed * 1000003u + k));
    return TN_OK;
}

static tn_status run(check *c, side *s, uint64_t seed)
{
    const tn_run_options options = { .size = sizeof options, .seed = seed };
    for (uint32_t k = 0; k < c->input_count; k++)
        TN_TRY(tn_context_set_input(s->context, c->before.session->inputs[k].name, &c->inputs[k]));
    return tn_context_run(s->context, &options);
}

static void differ(check *c, const char *what, uint32_t output, uint64_t seed)
{
    tn_builder text = { 0 };
    if (output < c->output_count)
        tn_add(&text, "output '%s': ", c->before.session->outputs[output].name);
    tn_add(&text, "%s (seed %" PRIu64 ")", what, seed);
    *c->same = false;
    *c->why = tn_strdup(tn_builder_text(&text));
    tn_builder_fini(&text);
}

/* False: an answer is too far from what it was. Said only where `says`. */
static bool compare(check *c, bool nudged, bool says, uint64_t seed)
{
    bool same = true;
    for (uint32_t k = 0; k < c->output_count && same; k++) {
        const tn_tensor *moved = nudged ? tn_context_output(c->nudged.context, k) : NULL;
        const tn_allowance allowed = { c->exactness, c->bounds[k], moved, NUDGE };
        tn_builder why = { 0 };
        same = tn_check_compare(tn_context_output(c->before.context, k),
                                tn_context_output(c->after.context, k), &allowed, &why);
        if (!same && says)
            differ(c, tn_builder_text(&why), k, seed);
        tn_builder_fini(&why);
    }
    return same;
}

/* How far the answers move when the inputs do: asked for only where that decides. */
static bool run_nudged(check *c, uint64_t seed)
{
    if (!c->nudged.model && open_side(c, c->graph, &c->nudged) != TN_OK)
        return false;
    for (uint32_t k = 0; k < c->input_count; k++)
        tn_check_nudge(&c->inputs[k], NUDGE, seed * 1000003u + k);
    return run(c, &c->nudged, seed) == TN_OK;
}

/* Passes that only approximate promise nothing about special and large values. */
static bool is_promised(const check *c, uint64_t seed)
{
    return c->exactness <= TN_EXACT_ROUNDING || seed % TN_CHECK_KINDS <= TN_CHECK_SMALL;
}

static tn_status check_seed(check *c, uint64_t seed)
{
    TN_TRY(fill_inputs(c, seed));
    TN_TRY(run(c, &c->before, seed));
    if (run(c, &c->after, seed) != TN_OK) {
        differ(c, tn_error_message(), UINT32_MAX, seed);
        return TN_OK;
    }
    if (c->exactness == TN_EXACT)
        compare(c, false, true, seed);
    else if (!compare(c, false, false, seed))
        compare(c, run_nudged(c, seed), true, seed);
    return TN_OK;
}

/* ---- one check ------------------------------------------------------------------------------ */

static tn_status open_check(check *c, const tn_graph *before, const tn_graph *after)
{
    TN_TRY(open_side(c, before, &c->before));
    const tn_session *s = c->before.session;
    c->input_count = s->input_count;
    c->output_count = s->output_count;
    c->symbol_count = tn_dims_symbol_count(tn_graph_dims(s->graph));
    c->inputs = tn_alloc(c->input_count, sizeof *c->inputs);
    c->dims = tn_alloc(c->input_count, sizeof *c->dims);
    c->bounds = tn_alloc(c->output_count, sizeof *c->bounds);
    c->symbols = tn_alloc(c->symbol_count, sizeof *c->symbols);
    if (!c->inputs || !c->dims || !c->bounds || !c->symbols)
        return tn_raise_memory();
    for (uint32_t k = 0; k < c->input_count; k++)
        c->inputs[k] = (tn_tensor){ .size = sizeof(tn_tensor),
                                    .dtype = s->inputs[k].type.dtype,
                                    .dims = c->dims[k] };
    /* What a session says to the graph as it is now is the pass's doing. */
    if (open_side(c, after, &c->after) != TN_OK)
        differ(c, tn_error_message(), UINT32_MAX, 0);
    return TN_OK;
}

static void close_check(check *c)
{
    close_side(&c->before);
    close_side(&c->after);
    close_side(&c->nudged);
    for (uint32_t k = 0; c->inputs && k < c->input_count; k++)
        tn_free(c->inputs[k].data);
    tn_free(c->inputs);
    tn_free(c->dims);
    tn_free(c->bounds);
    tn_free(c->symbols);
}

static tn_status find_extents(check *c)
{
    static const int64_t tries[] = { 3, 2, 4, 1, 8, 16 };
    tn_status status = TN_OK;
    for (size_t k = 0; k < TN_COUNT(tries); k++) {
        status = shape_inputs(c, tries[k]);
        if (status == TN_OK)
            status = fill_inputs(c, 0);
        if (status == TN_OK)
            status = run(c, &c->before, 0);
        if (status == TN_OK || status == TN_ERR_TYPE)
            break;
    }
    return status;
}

static void note(check *c, const char *message)
{
    char text[600];
    if (c->checker->warned)
        return;
    c->checker->warned = true;
    snprintf(text, sizeof text, "nothing was verified: %s", message);
    tn_diagnose(c->checker->diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                           .severity = TN_SEVERITY_WARNING,
                                                           .status = TN_ERR_VALUE,
                                                           .message = text });
}

/* What is about to be done, for whoever waits. */
static void tell(check *c, double macs, uint64_t seed, uint64_t seeds)
{
    char line[300];
    if (!c->checker->progress)
        return;
    snprintf(line, sizeof line,
             "verify %s: %s%s, %" PRIu32 " nodes, %.0f million multiply-adds, seed %" PRIu64
             " of %" PRIu64,
             c->pass, c->part, c->fast ? "" : " (reference)", tn_graph_node_count(c->graph),
             macs / 1e6, seed + 1, seeds);
    c->checker->progress(c->checker->progress_user, line);
}

/* As many as the user says; else fewer where they take long. */
static uint64_t seeds_of(const check *c, double macs)
{
    char text[32] = "";
    tn_passes_word(c->checker->selection, "verify", text, sizeof text);
    const uint64_t seeds = *text ? strtoull(text, NULL, 10) : macs < MANY_MACS ? SEEDS : FEW_SEEDS;
    return seeds > MOST_SEEDS ? MOST_SEEDS : seeds;
}

static tn_status check_seeds(check *c)
{
    tn_registry *registry = c->before.model->runtime->registry;
    tn_status status = TN_OK;
    uint64_t done = 0;
    double macs;
    TN_TRY(find_extents(c));
    TN_TRY(tn_check_bounds(registry, c->before.session->graph, c->symbols, c->symbol_count,
                           c->bounds));
    TN_TRY(tn_check_macs(registry, c->before.session->graph, c->symbols, c->symbol_count, &macs));
    const uint64_t seeds = seeds_of(c, macs);
    for (uint64_t seed = 0; status != TN_ERR_MEMORY && seed < seeds && *c->same; seed++)
        if (is_promised(c, seed)) {
            tell(c, macs, seed, seeds);
            const tn_status one = check_seed(c, seed);
            done += one == TN_OK;
            status = one == TN_OK ? status : one;
        }
    return done ? TN_OK : status;
}

/* Multiply-adds with 3 for each symbol: near enough to choose where they are done. */
static bool takes_long(const check *c, const tn_graph *graph)
{
    const uint32_t count = tn_dims_symbol_count(tn_graph_dims(graph));
    int64_t *symbols = tn_alloc(count, sizeof *symbols);
    double macs = 0;
    if (!symbols)
        return false;
    for (uint32_t k = 0; k < count; k++)
        symbols[k] = 3;
    if (tn_check_macs(c->checker->runtime->registry, (tn_graph *)(uintptr_t)graph, symbols, count,
                      &macs) != TN_OK)
        macs = 0;
    tn_free(symbols);
    return macs >= MANY_MACS;
}

static tn_status run_both(check *c, const tn_graph *before, const tn_graph *after)
{
    *c->same = true;
    *c->why = NULL;
    c->graph = before;
    tn_status status = open_check(c, before, after);
    if (status == TN_OK && *c->same)
        status = check_seeds(c);
    close_check(c);
    return status;
}

/* What is not the same on fast kernels is decided by the reference, if this is the last word. */
static tn_status check_graphs(const check *all, const tn_graph *before, const tn_graph *after,
                              bool last)
{
    check c = *all;
    c.fast = takes_long(&c, before);
    tn_status status = run_both(&c, before, after);
    if (!c.fast || !last || status == TN_ERR_MEMORY || (status == TN_OK && *c.same))
        return status;
    tn_free(*c.why);
    c = *all;
    return run_both(&c, before, after);
}

/* Whether the parts that differ give the same answers. False: that is not known; nothing is said. */
static tn_status check_parts(const check *all, const tn_graph *before, const tn_graph *after,
                             bool wide, bool *done)
{
    tn_graph *part_before, *part_after;
    bool same = true;
    char *why = NULL;
    check c = *all;
    c.part = wide ? "what is around what changed" : "what changed";
    c.same = &same;
    c.why = &why;
    tn_status status = tn_check_cut(before, after, wide, &part_before, &part_after);
    if (status == TN_OK && part_before)
        status = check_graphs(&c, part_before, part_after, false);
    *done = status == TN_OK && same;
    tn_free(why);
    tn_graph_destroy(part_before);
    tn_graph_destroy(part_after);
    return status == TN_ERR_MEMORY ? status : TN_OK;
}

tn_status tn_check(void *user, const tn_graph *before, const tn_graph *after,
                   const tn_pass_def *pass, bool *same, char **why)
{
    tn_checker *checker = user;
    check c = { .checker = checker,
                .pass = pass->name,
                .part = "the whole graph",
                .exactness = pass->exactness,
                .same = same,
                .why = why };
    bool done = false;
    *same = true;
    *why = NULL;
    for (int wide = 0; wide < 2 && !done; wide++)
        TN_TRY(check_parts(&c, before, after, wide, &done));
    if (done)
        return TN_OK;
    tn_status status = check_graphs(&c, before, after, true);
    if (status != TN_OK && status != TN_ERR_MEMORY) {
        note(&c, tn_error_message()); /* it does not run: nothing can be said */
        status = TN_NO_MATCH;
    }
    return status;
}
