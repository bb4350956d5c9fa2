/* A session: a model compiled for backends and options. Upgrade, verify, infer, expand and the
 * passes happen here, once; plans are made later, one for each signature of inputs.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/json.h"
#include "engine/run/check.h"
#include "engine/run/run.h"

#include <omp.h>
#include <stdio.h>
#include <unistd.h>

#define DEFAULT_PLANS 16
#define DEFAULT_PLAN_BYTES (UINT64_C(256) << 20)
#define DEFAULT_NODES 1000000
#define DEFAULT_FOLDED_BYTES (UINT64_C(64) << 20)
#define DEFAULT_ARENA_BYTES (UINT64_C(64) << 30)

/* ---- options --------------------------------------------------------------------------------------------- */

/* A full-sized copy of what the caller gave: later members stay zero for older callers. */
static tn_session_options full_options(const tn_session_options *given)
{
    tn_session_options options = { 0 };
    if (given)
        memcpy(&options, given,
               given->size && given->size < sizeof options ? given->size : sizeof options);
    options.size = sizeof options;
    return options;
}

static tn_limits full_limits(const tn_limits *given)
{
    tn_limits limits = *given;
    limits.nodes = limits.nodes ? limits.nodes : DEFAULT_NODES;
    limits.folded_bytes = limits.folded_bytes ? limits.folded_bytes : DEFAULT_FOLDED_BYTES;
    limits.arena_bytes = limits.arena_bytes ? limits.arena_bytes : DEFAULT_ARENA_BYTES;
    limits.nesting = limits.nesting ? limits.nesting : 64;
    return limits;
}

/* A cgroup's quota in whole processors; 0: none. */
static uint32_t cgroup_quota(void)
{
    long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file)
        return 0;
    const int read = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    return read == 2 && quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static uint32_t thread_count(uint32_t asked)
{
    const uint32_t processors = (uint32_t)omp_get_num_procs(), quota = cgroup_quota();
    if (asked)
        return asked;
    return quota && quota < processors ? quota : processors;
}

/* ---- backends ---------------------------------------------------------------------------------------------- */

/* What the user named is opened, and must be usable; the default list is opened as nodes need it. */
static tn_status add_backend(tn_session *s, const char *name, bool is_default)
{
    tn_compile *compile = &s->compile;
    tn_backend *backend;
    if (!is_default)
        TN_TRY(tn_registry_backend(compile->registry, name, compile->threads, &backend));
    for (uint32_t k = 0; k < compile->backend_count; k++)
        if (strcmp(compile->backends[k], name) == 0)
            return TN_OK;
    const char **list = tn_pool_alloc(&s->pool, (compile->backend_count + 1) * sizeof *list);
    char *copy = tn_pool_copy(&s->pool, name);
    if (!list || !copy)
        return tn_raise_memory();
    if (compile->backend_count)
        memcpy(list, compile->backends, compile->backend_count * sizeof *list);
    list[compile->backend_count++] = copy;
    compile->backends = list;
    return TN_OK;
}

static tn_status read_backends(tn_session *s, const char *asked, tn_diagnostics *diagnostics)
{
    const char *rest = asked ? asked : tn_registry_default_backends(s->compile.registry);
    char name[64];
    while (tn_list_next(&rest, ',', name, sizeof name)) {
        const tn_status status = add_backend(s, name, !asked);
        if (status != TN_OK)
            return tn_plan_diagnose(&s->compile, TN_NONE, status, tn_error_message(), diagnostics);
    }
    if (s->compile.backend_count)
        return TN_OK;
    return tn_plan_diagnose(
        &s->compile, TN_NONE, TN_ERR_BACKEND,
        "no backend: plugins are searched in the runtime's folders and TENON_PLUGIN_PATH",
        diagnostics);
}

static tn_status add_override(tn_session *s, char *item)
{
    tn_compile *compile = &s->compile;
    char *equals = strrchr(item, '=');
    tn_override *list = tn_pool_alloc(&s->pool, (compile->override_count + 1) * sizeof *list);
    tn_override made = { 0 };
    if (!list)
        return tn_raise_memory();
    if (!equals || equals == item)
        return tn_raise(TN_ERR_ARGUMENT, "placement '%s' is not of the form node=backend", item);
    *equals = 0;
    TN_TRY(tn_registry_backend(compile->registry, equals + 1, compile->threads, &made.backend));
    made.pattern = tn_pool_copy(&s->pool, item);
    if (compile->override_count)
        memcpy(list, compile->overrides, compile->override_count * sizeof *list);
    list[compile->override_count++] = made;
    compile->overrides = list;
    return made.pattern ? TN_OK : tn_raise_memory();
}

static tn_status read_overrides(tn_session *s, const char *placement, tn_diagnostics *diagnostics)
{
    char item[256];
    while (placement && tn_list_next(&placement, ',', item, sizeof item)) {
        const tn_status status = add_override(s, item);
        if (status != TN_OK)
            return tn_plan_diagnose(&s->compile, TN_NONE, status, tn_error_message(), diagnostics);
    }
    return TN_OK;
}

/* ---- the graph's way ----------------------------------------------------------------------------------------- */

static bool is_output(const tn_graph *graph, tn_value_id value)
{
    return tn_graph_look(graph, value)->output_count > 0;
}

/* Values that the caller wants to see are outputs from now on: nothing hides or removes them. */
static tn_status keep_named(tn_session *s, const char *outputs)
{
    char name[256];
    while (outputs && strcmp(outputs, "*") != 0 && tn_list_next(&outputs, ',', name, sizeof name)) {
        const tn_value_id value = tn_graph_find_value(s->graph, TN_TOP_REGION, name);
        if (value == TN_NONE)
            return tn_raise(TN_ERR_NAME, "the graph has no value '%s' to keep", name);
        if (!is_output(s->graph, value))
            TN_TRY(tn_graph_add_output(s->graph, TN_TOP_REGION, NULL, value));
    }
    return TN_OK;
}

static tn_status keep_all(tn_session *s, const char *outputs)
{
    if (!outputs || strcmp(outputs, "*") != 0)
        return TN_OK;
    for (tn_node_id node = tn_graph_first_node(s->graph, TN_TOP_REGION); node != TN_NONE;
         node = tn_graph_next_node(s->graph, node)) {
        const uint32_t count = tn_graph_node(s->graph, node)->output_count;
        for (uint32_t k = 0; k < count; k++) {
            const tn_value_id value = tn_graph_node(s->graph, node)->outputs[k];
            if (value != TN_NONE && !is_output(s->graph, value))
                TN_TRY(tn_graph_add_output(s->graph, TN_TOP_REGION, NULL, value));
        }
    }
    return TN_OK;
}

static bool offers(void *user, const tn_operator *op)
{
    const tn_compile *compile = user;
    const tn_kernel *kernel;
    for (uint32_t k = 0; k < compile->backend_count; k++)
        if (tn_registry_kernels(compile->registry, compile->backends[k], op->def.domain,
                                op->def.name, op->def.since, &kernel, 1))
            return true;
    return false;
}

/* Nothing is run as a whole that can be made of others. */
static bool offers_nothing(void *user, const tn_operator *op)
{
    (void)user, (void)op;
    return false;
}

static tn_status expand(tn_session *s, tn_diagnostics *diagnostics)
{
    const bool bodies = s->compile.flags & TN_SESSION_PREFER_BODIES;
    return tn_infer_expand(s->compile.registry, s->graph, bodies ? offers_nothing : offers,
                           &s->compile, &s->compile.limits, diagnostics);
}

/* Whether a listed backend has one, the reference aside; an operator of ai.onnx, or "domain::Name". */
static bool has_kernel(void *user, const char *op)
{
    const tn_compile *compile = user;
    const tn_kernel *kernel;
    const char *colons = tn_find_last(op, "::");
    char domain[128] = "";
    if (colons)
        snprintf(domain, sizeof domain, "%.*s", (int)(colons - op), op);
    const tn_operator *schema = tn_registry_operator(compile->registry, domain,
                                                     colons ? colons + 2 : op, INT32_MAX, NULL);
    for (uint32_t k = 0; schema && k < compile->backend_count; k++)
        if (strcmp(compile->backends[k], "reference") != 0 && tn_compile_backend(compile, k) &&
            tn_registry_kernels(compile->registry, compile->backends[k], schema->def.domain,
                                schema->def.name, schema->def.since, &kernel, 1))
            return true;
    return false;
}

static tn_status run_passes(tn_session *s, const tn_session_options *options,
                            tn_diagnostics *diagnostics)
{
    char opset[24];
    if (tn_passes_word(options->passes, "opset", opset, sizeof opset))
        s->opset = strtoll(opset, NULL, 10);
    tn_checker checker = { .runtime = s->model->runtime,
                           .selection = options->passes,
                           .limits = &s->compile.limits,
                           .diagnostics = diagnostics,
                           .threads = s->compile.threads,
                           .progress = options->progress,
                           .progress_user = options->progress_user };
    const tn_passes_options passes = { .registry = s->compile.registry,
                                       .selection = options->passes,
                                       .math = s->compile.math,
                                       .limits = s->compile.limits,
                                       .evaluate = tn_evaluate,
                                       .has_kernel = has_kernel,
                                       .user = &s->compile,
                                       .check = tn_check,
                                       .check_user = &checker };
    return tn_passes_run(s->graph, &passes, diagnostics, &s->log);
}

static bool is_foreign(void *user, const tn_operator *op)
{
    (void)user;
    return strcmp(op->def.domain, "tenon") != 0;
}

/* The word "standard": operators of Tenon's own that passes made are written out again, for a graph
 * that others are to run. */
static tn_status expand_ours(tn_session *s, const char *selection, tn_diagnostics *diagnostics)
{
    if (!tn_passes_word(selection, "standard", NULL, 0))
        return TN_OK;
    return tn_infer_expand(s->compile.registry, s->graph, is_foreign, NULL, &s->compile.limits,
                           diagnostics);
}

/* Looking for twins has read every weight; what is read again comes from the file again, and what is
 * packed then goes at once (tn_kernel_prepare). Copies stay until they are packed. */
static void forget_constants(const tn_session *s)
{
    tn_graph_let_go(s->graph); /* the passes are done with what they were shown */
    for (uint32_t slot = 0; slot < tn_graph_value_slots(s->graph); slot++) {
        const tn_value_id value = tn_graph_value_at(s->graph, slot);
        tn_constant *constant = value == TN_NONE ? NULL : tn_graph_constant(s->graph, value);
        if (constant && !tn_constant_can_go(constant))
            tn_constant_forget(constant);
    }
}

static tn_status compile_graph(tn_session *s, const tn_session_options *options,
                               tn_diagnostics *diagnostics)
{
    tn_registry *registry = s->compile.registry;
    TN_TRY(tn_graph_verify(s->graph, diagnostics));
    s->nodes_read = tn_graph_node_count(s->graph);
    TN_TRY(tn_infer_resolve(registry, s->graph, diagnostics));
    TN_TRY(tn_infer_graph(registry, s->graph, diagnostics));
    TN_TRY(expand(s, diagnostics));
    TN_TRY(keep_named(s, options->outputs));
    TN_TRY(run_passes(s, options, diagnostics));
    if (s->compile.flags & TN_SESSION_PREFER_BODIES) /* what a pass recognized again */
        TN_TRY(expand(s, diagnostics));
    TN_TRY(expand_ours(s, options->passes, diagnostics));
    TN_TRY(tn_intern_constants(s->model->interned, s->graph, s->model->last_id));
    forget_constants(s);
    return keep_all(s, options->outputs);
}

/* Captures are derived and remembered by the graph; plans of several threads then only read them. */
static tn_status freeze(tn_session *s)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(s->graph); slot++) {
        const tn_node_id node = tn_graph_node_at(s->graph, slot);
        const tn_value_id *captures;
        uint32_t count;
        if (node != TN_NONE && (tn_operator_of(s->graph, node)->def.traits & TN_REGIONS))
            TN_TRY(tn_graph_captures(s->graph, node, &captures, &count));
    }
    return TN_OK;
}

static tn_status make_port(tn_session *s, tn_value_id value, const char *name, tn_port *port)
{
    const tn_value_view *view = tn_graph_look(s->graph, value);
    tn_builder text = { 0 };
    *port = (tn_port){ .size = sizeof *port,
                       .has_default = view->is_input && view->constant,
                       .type = *view->type };
    if (view->type->rank >= 0)
        tn_add_shape(&text, tn_graph_dims(s->graph), view->type->rank, view->type->dims);
    else
        tn_add(&text, "[...]");
    port->shape = tn_pool_copy(&s->pool, tn_builder_text(&text));
    port->name = tn_pool_copy(&s->pool, name);
    tn_builder_fini(&text);
    return port->shape && port->name ? TN_OK : tn_raise_memory();
}

static tn_status make_ports(tn_session *s)
{
    const tn_value_id *inputs, *outputs;
    s->input_count = tn_graph_region_inputs(s->graph, TN_TOP_REGION, &inputs);
    s->output_count = tn_graph_region_outputs(s->graph, TN_TOP_REGION, &outputs);
    s->inputs = tn_pool_alloc(&s->pool, (s->input_count + 1) * sizeof *s->inputs);
    s->outputs = tn_pool_alloc(&s->pool, (s->output_count + 1) * sizeof *s->outputs);
    if (!s->inputs || !s->outputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < s->input_count; k++)
        TN_TRY(make_port(s, inputs[k], tn_graph_look(s->graph, inputs[k])->name, &s->inputs[k]));
    for (uint32_t k = 0; k < s->output_count; k++)
        TN_TRY(make_port(s, outputs[k], tn_graph_output_name(s->graph, TN_TOP_REGION, k),
                         &s->outputs[k]));
    return TN_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static tn_status check_options(const tn_session_options *options)
{
    if (options->math > TN_MATH_INT8)
        return tn_raise(TN_ERR_ARGUMENT,
                        "math %u: expected fast (0), strict (1), bf16 (2) or int8 (3)",
                        options->math);
    if (options->threads > 4096)
        return tn_raise(TN_ERR_ARGUMENT, "%u threads; at most 4096 are possible", options->threads);
    return TN_OK;
}

static tn_status fill(tn_session *s, const tn_session_options *options, tn_diagnostics *diagnostics)
{
    tn_compile *compile = &s->compile;
    TN_TRY(check_options(options));
    TN_TRY(tn_graph_clone(s->model->graph, &s->graph));
    TN_TRY(tn_layout_table_create(&compile->layouts));
    s->max_runs = options->max_parallel_runs ? options->max_parallel_runs : 1;
    compile->registry = s->model->runtime->registry;
    compile->graph = s->graph;
    compile->threads = thread_count(options->threads) / s->max_runs;
    compile->threads = compile->threads ? compile->threads : 1;
    compile->math = options->math;
    compile->flags = options->flags;
    compile->packs = s->model->packs;
    compile->limits = full_limits(&options->limits);
    compile->run_once = tn_run_once;
    compile->cache_bytes = options->cache_bytes;
    TN_TRY(read_backends(s, options->backends, diagnostics));
    TN_TRY(read_overrides(s, options->placement, diagnostics));
    TN_TRY(compile_graph(s, options, diagnostics));
    TN_TRY(freeze(s));
    TN_TRY(make_ports(s));
    s->single = *compile;
    s->single.threads = 1;
    return TN_OK;
}

tn_status tn_session_create(tn_model *model, const tn_session_options *given,
                            tn_diagnostics *diagnostics, tn_session **out)
{
    const uint64_t start = tn_now();
    if (!model || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_session_create needs a model and a place for the session");
    const tn_session_options options = full_options(given);
    tn_session *s = tn_alloc(1, sizeof *s);
    if (!s)
        return tn_raise_memory();
    s->refs = 1;
    s->model = tn_model_ref(model);
    s->pid = (int)getpid();
    pthread_mutex_init(&s->run_lock, NULL);
    pthread_cond_init(&s->run_done, NULL);
    tn_plan_table_init(&s->table, options.plan_count ? options.plan_count : DEFAULT_PLANS,
                       options.plan_bytes ? options.plan_bytes : DEFAULT_PLAN_BYTES);
    tn_diagnostics_begin(diagnostics);
    const tn_status status = tn_diagnostics_end(diagnostics, fill(s, &options, diagnostics));
    if (status != TN_OK) {
        tn_session_destroy(s);
        return status;
    }
    s->create_ns = tn_now() - start;
    *out = s;
    return TN_OK;
}

tn_session *tn_session_ref(tn_session *session)
{
    __atomic_add_fetch(&session->refs, 1, __ATOMIC_RELAXED);
    return session;
}

void tn_session_destroy(tn_session *s)
{
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
        return;
    tn_plan_table_fini(&s->table);
    tn_layout_table_destroy(s->compile.layouts);
    tn_pass_log_fini(&s->log);
    tn_graph_destroy(s->graph);
    tn_pool_fini(&s->pool);
    pthread_mutex_destroy(&s->run_lock);
    pthread_cond_destroy(&s->run_done);
    tn_model_destroy(s->model);
    tn_free(s);
}

/* ---- signatures ------------------------------------------------------------------------------------------------- */

const tn_port *tn_session_input(const tn_session *session, size_t k)
{
    return session && k < session->input_count ? &session->inputs[k] : NULL;
}

const tn_port *tn_session_output(const tn_session *session, size_t k)
{
    return session && k < session->output_count ? &session->outputs[k] : NULL;
}

static tn_status raise_symbol(const tn_session *s, uint32_t input, int32_t axis, int64_t found,
                              int64_t expected)
{
    tn_builder text = { 0 };
    tn_add_dim(&text, tn_graph_dims(s->graph), s->inputs[input].type.dims[axis]);
    const tn_status status = tn_raise(TN_ERR_SHAPE,
                                      "input '%s' has extent %" PRId64
                                      " on axis %d, where '%s' is %" PRId64 " by the inputs before",
                                      s->inputs[input].name, found, axis, tn_builder_text(&text),
                                      expected);
    tn_builder_fini(&text);
    return status;
}

/* Plain symbols take the value they first meet; then every declared extent must come out as given. */
tn_status tn_session_check(const tn_session *s, const tn_type *types)
{
    const tn_dims *dims = tn_graph_dims(s->graph);
    const uint32_t count = tn_dims_symbol_count(dims);
    int64_t *values = tn_alloc(count + 1, sizeof *values);
    tn_status status = values ? TN_OK : tn_raise_memory();
    for (uint32_t k = 0; values && k < count; k++)
        values[k] = TN_DIM_UNKNOWN;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t k = 0; k < s->input_count && status == TN_OK; k++) {
            const tn_type *declared = &s->inputs[k].type;
            if (declared->kind)
                continue; /* elements may differ */
            for (int32_t axis = 0; axis < declared->rank && axis < types[k].rank && status == TN_OK;
                 axis++) {
                const int32_t symbol = tn_dim_symbol_index(dims, declared->dims[axis]);
                if (pass == 0 && symbol >= 0 && values[symbol] == TN_DIM_UNKNOWN)
                    values[symbol] = types[k].dims[axis];
                const tn_dim expected = pass ? tn_dim_evaluate(dims, declared->dims[axis], values,
                                                               count)
                                             : TN_DIM_UNKNOWN;
                if (expected != TN_DIM_UNKNOWN && expected != types[k].dims[axis])
                    status = raise_symbol(s, k, axis, types[k].dims[axis], expected);
            }
        }
    tn_free(values);
    return status;
}

tn_status tn_session_types(tn_session *s, const tn_binding *bindings, size_t count, tn_type *types)
{
    for (uint32_t k = 0; k < s->input_count; k++) {
        types[k] = s->inputs[k].type;
        for (int32_t axis = 0; axis < types[k].rank; axis++)
            if (!tn_dim_known(types[k].dims[axis]))
                types[k].dims[axis] = types[k].kind ? TN_DIM_UNKNOWN : 1;
        for (size_t b = 0; b < count; b++)
            if (strcmp(bindings[b].name, s->inputs[k].name) == 0)
                types[k] = bindings[b].type;
        if (!types[k].kind && !tn_type_is_known(&types[k]))
            return tn_raise(TN_ERR_SHAPE,
                            "input '%s' is declared %s: a binding must give its shape",
                            s->inputs[k].name, s->inputs[k].shape);
    }
    for (size_t b = 0; b < count; b++) {
        bool found = false;
        for (uint32_t k = 0; k < s->input_count; k++)
            found |= strcmp(bindings[b].name, s->inputs[k].name) == 0;
        if (!found)
            return tn_raise(TN_ERR_NAME, "the graph has no input '%s'", bindings[b].name);
    }
    return TN_OK;
}

static tn_status find_plan(tn_session *s, const tn_binding *bindings, size_t count,
                           tn_diagnostics *diagnostics, tn_plan **out)
{
    tn_type *types = tn_alloc(s->input_count + 1, sizeof *types);
    if (!types)
        return tn_raise_memory();
    tn_status status = tn_session_types(s, bindings, count, types);
    if (status == TN_OK)
        status = tn_session_check(s, types);
    if (status == TN_OK)
        status = tn_plan_table_get(&s->table, &s->compile, TN_TOP_REGION, types, s->input_count,
                                   diagnostics, out);
    tn_free(types);
    return status;
}

static tn_status plan_for(tn_session *s, const tn_binding *bindings, size_t count,
                          tn_diagnostics *diagnostics, tn_plan **out)
{
    tn_diagnostics_begin(diagnostics);
    return tn_diagnostics_end(diagnostics, find_plan(s, bindings, count, diagnostics, out));
}

tn_status tn_session_warm(tn_session *session, const tn_binding *bindings, size_t count,
                          tn_diagnostics *diagnostics)
{
    tn_plan *plan;
    if (!session || (count && !bindings))
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_session_warm needs a session, and bindings where there are any");
    TN_TRY(plan_for(session, bindings, count, diagnostics, &plan));
    tn_plan_unref(plan);
    return TN_OK;
}

tn_status tn_report_create(tn_session *session, const tn_binding *bindings, size_t count,
                           tn_diagnostics *diagnostics, tn_report **out)
{
    tn_plan *plan;
    if (!session || (count && !bindings) || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_report_create needs a session and a place for the report");
    TN_TRY(plan_for(session, bindings, count, diagnostics, &plan));
    const tn_status status = tn_plan_report(plan, out);
    tn_plan_unref(plan);
    return status;
}
