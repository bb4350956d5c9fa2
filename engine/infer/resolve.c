/* Resolving: which schema each node means, under the graph's opset imports; its attributes and
 * counts checked against it; defaults filled in; functions of the model put in their places;
 * older versions brought up.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"

#define MAX_UPGRADES 64
#define ONNX_SET 27 /* the newest of ai.onnx that the operators here were held against */
#define MAX_FUNCTION_DEPTH 64
#define MAX_NODES 1000000

static const char *domain_text(const char *domain)
{
    return *domain ? domain : "ai.onnx";
}

static int64_t opset_of(const tn_graph *graph, const char *domain)
{
    int64_t version;
    const char *name;
    for (uint32_t k = 0; (name = tn_graph_opset(graph, k, &version)); k++)
        if (strcmp(name, domain) == 0)
            return version;
    return 0;
}

/* ---- finding the schema --------------------------------------------------------------------------------- */

/* What would help, where the graph is of a later operator set than any operator held. */
static void suggest_newer(driver *d, const char *domain, int64_t opset, size_t bytes, char *out)
{
    uint32_t newest = tn_registry_newest(d->registry, domain);
    *out = 0;
    if (newest && !*domain && newest < ONNX_SET)
        newest = ONNX_SET; /* the last sets brought nothing to the operators at hand */
    if (newest && !d->newest && opset > (int64_t)newest && opset < INT32_MAX)
        snprintf(out, bytes,
                 "the graph imports set %" PRId64 " of %s, and operators are held up to set %u: "
                 "export the model for that, or look for a newer Tenon or a plugin that has it",
                 opset, domain_text(domain), newest);
}

static void complain_unknown(driver *d, tn_node_id node, const tn_node_view *view, int64_t opset,
                             uint32_t newest)
{
    char text[400], suggestion[320] = "";
    const char *refusal = tn_registry_refusal(d->registry, view->domain, view->op);
    const char *near = newest || refusal
                           ? NULL
                           : tn_registry_nearest_operator(d->registry, view->domain, view->op);
    const char *near_domain = newest || near || refusal
                                  ? NULL
                                  : tn_registry_nearest_domain(d->registry, view->domain);
    if (newest)
        snprintf(text, sizeof text,
                 "operator '%s' of operator set %" PRId64
                 " of %s is not held: the versions held begin later, up to %u",
                 view->op, opset, domain_text(view->domain), newest);
    else if (refusal)
        snprintf(text, sizeof text, "operator '%s' is in a plugin that cannot be used: %s",
                 view->op, refusal);
    else
        snprintf(text, sizeof text, "no plugin brings operator '%s' of domain %s", view->op,
                 domain_text(view->domain));
    if (!newest && !refusal)
        suggest_newer(d, view->domain, opset, sizeof suggestion, suggestion);
    if (near)
        snprintf(suggestion, sizeof suggestion, "did you mean '%s'?", near);
    else if (near_domain)
        snprintf(suggestion, sizeof suggestion, "did you mean domain '%s'?", near_domain);
    driver_complain(d, node, TN_ERR_OPERATOR, TN_SEVERITY_ERROR, "/op", NULL, suggestion, text);
}

static const tn_operator *find_schema(driver *d, tn_node_id node, const tn_node_view *view)
{
    uint32_t newest = 0;
    int64_t opset = d->newest ? INT32_MAX : opset_of(d->graph, view->domain);
    if (!opset) /* domains of our own and of plugins need no import */
        opset = *view->domain ? INT32_MAX : 0;
    if (!opset) {
        driver_complain(d, node, TN_ERR_OPERATOR, TN_SEVERITY_ERROR, "/op", NULL, NULL,
                        "the graph imports no operator set of ai.onnx: \"opset\" is missing");
        return NULL;
    }
    const tn_operator *op = tn_registry_operator(d->registry, view->domain, view->op, opset,
                                                 &newest);
    if (!op)
        complain_unknown(d, node, view, opset, newest);
    return op;
}

/* ---- attributes and counts ---------------------------------------------------------------------------------- */

static const char *attribute_type_name(uint32_t type)
{
    static const char *const names[] = { "undefined", "float",  "int",  "string",  "tensor",
                                         "graph",     "floats", "ints", "strings", "tensors",
                                         "graphs",    "?",      "?",    "type",    "types" };
    return type < TN_COUNT(names) ? names[type] : type == TN_ATTR_REF ? "ref" : "?";
}

static const tn_attribute_def *find_attribute(const tn_operator_def *def, const char *name)
{
    for (uint32_t k = 0; k < def->attribute_count; k++)
        if (strcmp(def->attributes[k].name, name) == 0)
            return &def->attributes[k];
    return NULL;
}

/* JSON writes 1 for 1.0, and an empty list has no type of its own. */
static bool same_kind(const tn_attribute *given, const tn_attribute_def *def)
{
    const bool list = def->type == TN_ATTR_FLOATS || def->type == TN_ATTR_INTS ||
                      def->type == TN_ATTR_STRINGS;
    return given->type == def->type || given->type == TN_ATTR_REF ||
           (list && given->count == 0 &&
            (given->type == TN_ATTR_FLOATS || given->type == TN_ATTR_INTS ||
             given->type == TN_ATTR_STRINGS));
}

static void check_attribute(driver *d, tn_node_id node, const tn_operator_def *def,
                            const tn_attribute *given)
{
    const tn_attribute_def *known = find_attribute(def, given->name);
    char text[300], part[128], suggestion[320] = "";
    const char *names[64];
    snprintf(part, sizeof part, "/attributes/%s", given->name);
    if (known && same_kind(given, known))
        return;
    if (known) {
        snprintf(text, sizeof text, "attribute '%s' is of type %s: expected %s", given->name,
                 attribute_type_name(given->type), attribute_type_name(known->type));
    } else {
        uint32_t count = 0;
        for (; count < def->attribute_count && count < TN_COUNT(names); count++)
            names[count] = def->attributes[count].name;
        const char *near = tn_nearest(given->name, names, count);
        snprintf(text, sizeof text, "%s has no attribute '%s'", def->name, given->name);
        suggest_newer(d, def->domain ? def->domain : "",
                      opset_of(d->graph, tn_graph_node(d->graph, node)->domain), sizeof suggestion,
                      suggestion);
        if (near)
            snprintf(suggestion, sizeof suggestion, "did you mean '%s'?", near);
    }
    driver_complain(d, node, TN_ERR_ATTRIBUTE, TN_SEVERITY_ERROR, part, given->name, suggestion,
                    text);
}

static tn_status set_default(tn_graph *graph, tn_node_id node, const tn_attribute_def *def)
{
    tn_attribute made = { .size = sizeof made,
                          .type = def->type,
                          .name = def->name,
                          .i = def->i,
                          .f = (double)def->f,
                          .count = def->ints_count,
                          .ints = def->ints };
    made.s = (tn_text){ def->s ? def->s : "", def->s ? strlen(def->s) : 0 };
    return tn_graph_set_default_attribute(graph, node, &made);
}

static tn_status fill_attributes(driver *d, tn_node_id node, const tn_operator_def *def)
{
    for (uint32_t k = 0; k < tn_graph_node(d->graph, node)->attribute_count; k++)
        check_attribute(d, node, def, &tn_graph_node(d->graph, node)->attributes[k]);
    for (uint32_t k = 0; k < def->attribute_count; k++) {
        const tn_attribute_def *a = &def->attributes[k];
        char text[200];
        if (tn_attr(tn_graph_node(d->graph, node), a->name))
            continue;
        if (a->flags & TN_ATTR_HAS_DEFAULT)
            TN_TRY(set_default(d->graph, node, a));
        if (!(a->flags & TN_ATTR_REQUIRED))
            continue;
        snprintf(text, sizeof text, "attribute '%s' (%s) is missing", a->name,
                 attribute_type_name(a->type));
        driver_complain(d, node, TN_ERR_ATTRIBUTE, TN_SEVERITY_ERROR, "/attributes", a->name, NULL,
                        text);
    }
    return TN_OK;
}

/* What may stand and what must: optional ones may be absent, in the middle too. */
static void check_params(driver *d, tn_node_id node, const char *what, const tn_param_def *params,
                         uint32_t count, const tn_value_id *given, uint32_t given_count)
{
    const bool inputs = what[0] == 'i',
               variadic = count && (params[count - 1].flags & TN_PARAM_VARIADIC);
    char text[240], part[32];
    snprintf(part, sizeof part, "/%ss", what);
    if (given_count > count && !variadic) {
        snprintf(text, sizeof text, "%u %ss are given: expected at most %u", given_count, what,
                 count);
        driver_complain(d, node, TN_ERR_FORMAT, TN_SEVERITY_ERROR, part, NULL, NULL, text);
    }
    for (uint32_t k = 0; k < count; k++) {
        const bool present = k < given_count && given[k] != TN_NONE;
        const bool last = variadic && k == count - 1;
        if (present || (params[k].flags & TN_PARAM_OPTIONAL) || (!inputs && k) ||
            (last && (params[k].minimum == 0 || (!inputs && k < given_count))))
            continue; /* of several outputs none need be read */
        snprintf(text, sizeof text, "%s '%s' is missing", what, params[k].name);
        driver_complain(d, node, TN_ERR_FORMAT, TN_SEVERITY_ERROR, part, params[k].name, NULL,
                        text);
    }
    if (variadic && given_count < count - 1 + params[count - 1].minimum && given_count >= count) {
        snprintf(text, sizeof text, "%s '%s' stands %u times: expected at least %u", what,
                 params[count - 1].name, given_count - (count - 1), params[count - 1].minimum);
        driver_complain(d, node, TN_ERR_FORMAT, TN_SEVERITY_ERROR, part, params[count - 1].name,
                        NULL, text);
    }
}

static tn_status adopt(driver *d, tn_node_id node, const tn_operator *op)
{
    const tn_node_view *view = tn_graph_node(d->graph, node);
    tn_graph_set_schema(d->graph, node, op, op->def.since);
    check_params(d, node, "input", op->def.inputs, op->def.input_count, view->inputs,
                 view->input_count);
    check_params(d, node, "output", op->def.outputs, op->def.output_count, view->outputs,
                 view->output_count);
    return fill_attributes(d, node, &op->def);
}

static tn_status resolve_region(driver *d, tn_region_id region);

/* ---- functions of the model ------------------------------------------------------------------------------------ */

/* Its number among the model's functions; the count of these: it is none of them. */
static uint32_t function_of(const tn_graph *graph, const tn_node_view *view)
{
    const char *domain, *name, *overload;
    uint32_t k = 0;
    for (; tn_graph_function(graph, k, &domain, &name, &overload); k++)
        if (strcmp(domain, view->domain) == 0 && strcmp(name, view->op) == 0 &&
            strcmp(overload, view->overload) == 0)
            break;
    return k;
}

static const tn_graph *find_function(const tn_graph *graph, const tn_node_view *view)
{
    return tn_graph_function(graph, function_of(graph, view), NULL, NULL, NULL);
}

/* Nodes of a graph once the calls in it are replaced by `sizes` nodes each; at most one more than the
 * budget. */
static uint64_t count_nodes(const tn_graph *graph, const tn_graph *model, const uint64_t *sizes)
{
    uint64_t count = 0;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph) && count <= MAX_NODES; slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        if (node != TN_NONE)
            count += sizes[function_of(model, tn_graph_node(graph, node))];
    }
    return count <= MAX_NODES ? count : MAX_NODES + 1;
}

/* Functions that call each other twice double with each: counted before any is put in its place, so
 * that a small file costs neither time nor memory. */
static tn_status check_functions(driver *d)
{
    const uint32_t count = tn_graph_function_count(d->graph);
    uint64_t *sizes = tn_alloc(count + 1, sizeof *sizes);
    bool changed = true;
    if (!sizes)
        return tn_raise_memory();
    for (uint32_t k = 0; k <= count; k++)
        sizes[k] = 1; /* the last one is that of any other node */
    for (uint32_t depth = 0; depth < MAX_FUNCTION_DEPTH && changed; depth++) {
        changed = false;
        for (uint32_t k = 0; k < count; k++) {
            const tn_graph *body = tn_graph_function(d->graph, k, NULL, NULL, NULL);
            const uint64_t size = count_nodes(body, d->graph, sizes);
            changed = changed || size != sizes[k];
            sizes[k] = size;
        }
    }
    const bool fits = count_nodes(d->graph, d->graph, sizes) <= MAX_NODES;
    tn_free(sizes);
    if (!fits)
        driver_complain(d, TN_NONE, TN_ERR_LIMIT, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                        "the model's functions make more than 1000000 nodes in their places");
    return TN_OK;
}

tn_status tn_infer_put_body(tn_graph *graph, tn_node_id node, const tn_graph *body)
{
    const tn_node_view *view = tn_graph_node(graph, node);
    const uint32_t inputs = view->input_count, outputs = view->output_count;
    tn_value_id *made = tn_alloc(outputs + 1, sizeof *made);
    if (!made)
        return tn_raise_memory();
    tn_status status = tn_graph_inline(graph, node, body, TN_TOP_REGION, view->inputs, inputs, made,
                                       outputs);
    for (uint32_t k = 0; k < outputs && status == TN_OK; k++) {
        const tn_value_id old = tn_graph_node(graph, node)->outputs[k];
        if (old != TN_NONE && made[k] != TN_NONE)
            status = tn_graph_replace(graph, old, made[k]);
    }
    if (status == TN_OK)
        status = tn_graph_remove_node(graph, node);
    tn_free(made);
    return status;
}

/* A function's nodes mean what its own imports say, so each body is resolved before it is used. */
static tn_status resolve_bodies(driver *d)
{
    tn_graph *body;
    for (uint32_t k = 0; (body = tn_graph_function(d->graph, k, NULL, NULL, NULL)); k++) {
        driver inner = { .registry = d->registry,
                         .graph = body,
                         .functions = d->graph,
                         .diagnostics = d->diagnostics,
                         .strict = true };
        for (tn_region_id r = 0; r < tn_graph_region_count(body); r++)
            if (tn_graph_region_alive(body, r))
                TN_TRY(resolve_region(&inner, r));
        d->status = d->status == TN_OK ? inner.status : d->status;
    }
    return TN_OK;
}

/* One level of calls; how deep they go is bounded, so that a function that calls itself ends. */
static tn_status expand_functions(driver *d, bool *again)
{
    *again = false;
    for (tn_region_id r = 0; r < tn_graph_region_count(d->graph); r++)
        for (tn_node_id n = tn_graph_first_node(d->graph, r); n != TN_NONE;) {
            const tn_node_id next = tn_graph_next_node(d->graph, n);
            const tn_graph *body = find_function(d->graph, tn_graph_node(d->graph, n));
            if (body) {
                *again = true;
                if (tn_graph_node_count(d->graph) > MAX_NODES)
                    return TN_OK; /* the caller says so */
                const tn_status status = tn_infer_put_body(d->graph, n, body);
                if (status != TN_OK)
                    return status;
            }
            n = next;
        }
    return TN_OK;
}

static tn_status put_functions(driver *d)
{
    bool again = tn_graph_function_count(d->graph) > 0;
    TN_TRY(resolve_bodies(d));
    if (again && d->status == TN_OK)
        TN_TRY(check_functions(d));
    if (d->status != TN_OK)
        return d->status;
    for (uint32_t depth = 0; again; depth++) {
        if (depth >= MAX_FUNCTION_DEPTH || tn_graph_node_count(d->graph) > MAX_NODES) {
            driver_complain(
                d, TN_NONE, TN_ERR_LIMIT, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                "the model's functions are nested without end: one of them calls itself");
            return d->status;
        }
        TN_TRY(expand_functions(d, &again));
    }
    return TN_OK;
}

/* ---- upgrade ------------------------------------------------------------------------------------------------------ */

/* One step up, as one transaction; TN_KEEP: it stays what it is. */
static tn_status upgrade_once(driver *d, tn_node_id node, const tn_operator *newer, bool *kept)
{
    struct {
        tn_frame frame;
        tn_rewrite ctx;
    } call = { .ctx = { .graph = d->graph, .api = &tn_graph_functions } };
    tn_status status = TN_OK;
    *kept = false;
    if (newer->def.upgrade) {
        tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_REWRITE, newer->plugin,
                      newer->def.user, d);
        TN_TRY(tn_graph_begin(d->graph));
        status = newer->def.upgrade(&call.ctx, node);
        if (status == TN_OK)
            tn_graph_commit(d->graph);
        else
            tn_graph_undo(d->graph);
    }
    if (status == TN_KEEP) {
        *kept = true;
        return TN_OK;
    }
    if (status != TN_OK)
        driver_complain(d, node, status, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                        call.frame.message[0] ? call.frame.message : "upgrade gave no reason");
    return TN_OK;
}

/* Under the newer schema another default may stand for what is left out. */
static tn_status write_out_defaults(tn_graph *graph, tn_node_id node)
{
    for (uint32_t k = 0; k < tn_graph_node(graph, node)->attribute_count; k++) {
        const tn_attribute *a = &tn_graph_node(graph, node)->attributes[k];
        if (tn_graph_attribute_is_default(graph, node, a->name))
            TN_TRY(tn_graph_set_attribute(graph, node, a));
    }
    return TN_OK;
}

/* Inside a function's body: what the caller says is not known before the body is in its place. */
static bool asks_the_caller(const tn_node_view *view)
{
    for (uint32_t k = 0; k < view->attribute_count; k++)
        if (view->attributes[k].type == TN_ATTR_REF)
            return true;
    return false;
}

static tn_status upgrade(driver *d, tn_node_id node, const tn_operator *op)
{
    for (uint32_t step = 0; step < MAX_UPGRADES; step++) {
        const tn_operator *newer = tn_registry_newer(d->registry, op);
        bool kept;
        if (!newer || asks_the_caller(tn_graph_node(d->graph, node)))
            return TN_OK;
        TN_TRY(write_out_defaults(d->graph, node));
        TN_TRY(upgrade_once(d, node, newer, &kept));
        if (kept || d->status != TN_OK || !tn_graph_node(d->graph, node))
            return TN_OK;
        op = newer;
        TN_TRY(adopt(d, node, op));
    }
    return TN_OK;
}

/* ---- all together ----------------------------------------------------------------------------------------------------- */

static tn_status resolve_node(driver *d, tn_node_id node)
{
    if (tn_graph_schema(d->graph, node) ||
        find_function(d->functions ? d->functions : d->graph, tn_graph_node(d->graph, node)))
        return TN_OK;
    const tn_operator *op = find_schema(d, node, tn_graph_node(d->graph, node));
    if (!op)
        return TN_OK;
    const uint32_t before = d->errors;
    TN_TRY(adopt(d, node, op));
    return d->errors == before ? upgrade(d, node, op) : TN_OK;
}

static tn_status resolve_region(driver *d, tn_region_id region)
{
    for (tn_node_id n = tn_graph_first_node(d->graph, region); n != TN_NONE;) {
        const tn_node_id next = tn_graph_next_node(d->graph, n);
        TN_TRY(resolve_node(d, n));
        n = next;
    }
    return TN_OK;
}

static void warn_newer(driver *d)
{
    int64_t version;
    const char *domain;
    for (uint32_t k = 0; (domain = tn_graph_opset(d->graph, k, &version)); k++) {
        const uint32_t newest = tn_registry_newest(d->registry, domain);
        char text[200];
        if (!newest || version <= ONNX_SET || *domain || version <= newest)
            continue;
        snprintf(text, sizeof text,
                 "the graph imports operator set %" PRId64
                 " of ai.onnx; operators are held up to set %d",
                 version, ONNX_SET);
        driver_complain(d, TN_NONE, TN_ERR_OPERATOR, TN_SEVERITY_WARNING, NULL, NULL, NULL, text);
    }
}

/* Nodes that an upgrade puts in have no schema yet: again, until all have one. */
static tn_status resolve_all(driver *d)
{
    for (tn_region_id r = 0; r < tn_graph_region_count(d->graph); r++)
        if (tn_graph_region_alive(d->graph, r))
            TN_TRY(resolve_region(d, r));
    return TN_OK;
}

static bool all_resolved(const tn_graph *graph)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        if (node != TN_NONE && !tn_graph_schema(graph, node))
            return false;
    }
    return true;
}

static bool is_old(const driver *d, tn_node_id node)
{
    const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(d->graph, node);
    return op && tn_registry_newer(d->registry, op);
}

/* What stood in a function's body and asked its caller: the attributes are there now, or are left
 * out, and the old version's defaults hold. */
static tn_status upgrade_left(driver *d)
{
    const uint32_t slots = tn_graph_function_count(d->graph) ? tn_graph_node_slots(d->graph) : 0;
    for (uint32_t slot = 0; slot < slots && d->status == TN_OK; slot++) {
        const tn_node_id node = tn_graph_node_at(d->graph, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(d->graph, node);
        if (!op)
            continue;
        TN_TRY(adopt(d, node, op));
        if (d->status == TN_OK)
            TN_TRY(upgrade(d, node, op));
    }
    return TN_OK;
}

/* Once all nodes are of the newest versions held, so the graph says when it is written. */
static tn_status raise_imports(driver *d)
{
    int64_t version;
    const char *domain;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(d->graph); slot++)
        if (is_old(d, tn_graph_node_at(d->graph, slot)))
            return TN_OK;
    for (uint32_t k = 0; (domain = tn_graph_opset(d->graph, k, &version)); k++) {
        const uint32_t newest = tn_registry_newest(d->registry, domain);
        if (version < (int64_t)newest)
            TN_TRY(tn_graph_set_opset(d->graph, domain, newest));
    }
    return TN_OK;
}

static tn_status resolve_new(driver *d)
{
    d->newest = true;
    for (uint32_t round = 0; round < MAX_UPGRADES && d->status == TN_OK && !all_resolved(d->graph);
         round++)
        TN_TRY(resolve_all(d));
    if (d->status == TN_OK)
        TN_TRY(raise_imports(d));
    return d->status;
}

tn_status tn_infer_resolve(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry, .graph = graph, .diagnostics = diagnostics, .strict = true };
    warn_newer(&d);
    TN_TRY(resolve_all(&d));
    if (d.status == TN_OK)
        TN_TRY(put_functions(&d));
    if (d.status == TN_OK)
        TN_TRY(upgrade_left(&d));
    return resolve_new(&d);
}

tn_status tn_infer_resolve_new(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry, .graph = graph, .diagnostics = diagnostics, .strict = true };
    return resolve_new(&d);
}

tn_status tn_infer_resolve_node(tn_registry *registry, tn_graph *graph, tn_node_id node,
                                tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry,
                 .graph = graph,
                 .diagnostics = diagnostics,
                 .strict = true,
                 .newest = true };
    if (!tn_graph_node(graph, node))
        return TN_OK;
    const tn_operator *op = tn_operator_of(graph, node);
    if (op) /* edited since: attributes may have changed */
        TN_TRY(adopt(&d, node, op));
    else {
        op = find_schema(&d, node, tn_graph_node(graph, node));
        if (op)
            TN_TRY(adopt(&d, node, op));
    }
    return d.status;
}
