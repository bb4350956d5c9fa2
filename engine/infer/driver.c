/* The driver of inference: node by node, in order, through bodies.
 *
 * In: resolved nodes and the types of what they read. Out: types and elements of what they make.
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"

/* ---- reading and writing types --------------------------------------------------------------------- */

const tn_type *driver_type(const driver *d, tn_value_id value)
{
    return d->shapes ? &d->shapes->types[tn_slot_of(value)] : tn_graph_look(d->graph, value)->type;
}

int64_t driver_elements(const driver *d, tn_value_id value, const tn_dim **out)
{
    if (!d->shapes)
        return tn_graph_elements(d->graph, value, out);
    *out = d->shapes->elements[tn_slot_of(value)];
    return d->shapes->element_counts[tn_slot_of(value)];
}

static tn_status note_change(driver *d, tn_value_id value)
{
    if (!d->changed)
        return TN_OK;
    if (!TN_GROW(d->changed))
        return tn_raise_memory();
    d->changed->items[d->changed->count++] = value;
    return TN_OK;
}

static tn_status set_elements(driver *d, tn_value_id value, const tn_dim *elements, int64_t count)
{
    const uint32_t slot = tn_slot_of(value);
    if (!d->shapes) {
        const tn_dim *old;
        const int64_t old_count = tn_graph_elements(d->graph, value, &old);
        if (old_count == count &&
            (count <= 0 || memcmp(old, elements, (size_t)count * sizeof *old) == 0))
            return TN_OK;
        TN_TRY(note_change(d, value));
        return tn_graph_set_elements(d->graph, value, elements, count);
    }
    d->shapes->element_counts[slot] = count;
    if (count < 0)
        return TN_OK;
    d->shapes->elements[slot] = tn_pool_dup(&d->shapes->pool, elements,
                                            (size_t)(count + 1) * sizeof *elements);
    return d->shapes->elements[slot] ? TN_OK : tn_raise_memory();
}

static tn_status set_type(driver *d, tn_value_id value, const tn_type *type)
{
    if (d->shapes) {
        d->shapes->types[tn_slot_of(value)] = *type;
        return TN_OK;
    }
    if (tn_type_equal(tn_graph_look(d->graph, value)->type, type))
        return TN_OK;
    TN_TRY(note_change(d, value));
    return tn_graph_set_type(d->graph, value, type);
}

/* ---- complaints ---------------------------------------------------------------------------------------- */

/* Reading a model, shapes that cannot fit inside a body are no error yet: it may be a branch that is
 * never taken, such as exporters write behind a test of a shape. Running it would be one. */
static bool may_not_run(const driver *d, tn_node_id node, tn_status status)
{
    const tn_node_view *view = tn_graph_node(d->graph, node);
    return d->strict && (status == TN_ERR_SHAPE || status == TN_ERR_VALUE) && view &&
           tn_graph_region_owner(d->graph, view->region) != TN_NONE;
}

void driver_complain(driver *d, tn_node_id node, tn_status status, uint32_t severity,
                     const char *part, const char *about, const char *suggestion, const char *text)
{
    if (severity == TN_SEVERITY_ERROR && may_not_run(d, node, status))
        severity = TN_SEVERITY_WARNING;
    tn_diagnostic what = { .size = sizeof what, .severity = severity };
    tn_graph_locate(d->graph, node, part, &what);
    what.status = status;
    what.about = about;
    what.suggestion = suggestion;
    what.message = text;
    tn_diagnose(d->diagnostics, &what);
    if (severity != TN_SEVERITY_ERROR)
        return;
    d->errors++;
    d->status = d->status == TN_OK ? status : d->status;
}

const tn_param_def *param_of(const tn_param_def *params, uint32_t count, uint32_t k)
{
    if (k < count)
        return &params[k];
    return count && (params[count - 1].flags & TN_PARAM_VARIADIC) ? &params[count - 1] : NULL;
}

/* ---- constraints ---------------------------------------------------------------------------------------- */

static bool kind_allowed(const tn_param_def *param, const tn_type *type)
{
    const uint32_t outer = type->kind & 15u;
    if (outer == TN_TENSOR)
        return !(param->flags & TN_PARAM_NOT_TENSOR);
    return outer == TN_SEQUENCE ? (param->flags & TN_PARAM_SEQUENCE) != 0
                                : (param->flags & TN_PARAM_OPTIONAL_TYPE) != 0;
}

static void add_types(tn_builder *text, uint64_t mask)
{
    const char *gap = "";
    for (uint32_t dtype = 1; dtype < TN_DTYPE_COUNT; dtype++)
        if (mask & TN_BIT(dtype)) {
            tn_add(text, "%s%s", gap, tn_dtype_name(dtype));
            gap = ", ";
        }
}

static void refuse_type(node_call *call, uint32_t k, const tn_param_def *param, const tn_type *type)
{
    tn_builder text = { 0 };
    char part[32];
    snprintf(part, sizeof part, "/inputs/%u", k);
    tn_add(&text, "input '%s' is ", param->name);
    tn_add_type(&text, tn_graph_dims(call->d->graph), type);
    tn_add(&text, ": expected ");
    if (!kind_allowed(param, type))
        tn_add(&text, "%s",
               param->flags & TN_PARAM_NOT_TENSOR ? "a sequence or optional" : "a tensor");
    else
        add_types(&text, param->types);
    driver_complain(call->d, call->node, TN_ERR_TYPE, TN_SEVERITY_ERROR, part, param->name, NULL,
                    tn_builder_text(&text));
    tn_builder_fini(&text);
    call->complained = true;
}

/* The first input that has a type under the constraint's name, or `k`. It fixes the others', so nothing
 * else need be looked at: a node may have thousands of inputs. */
static uint32_t first_of_constraint(const node_call *call, const tn_type *const *inputs, uint32_t k,
                                    const char *constraint)
{
    const tn_operator_def *def = &call->op->def;
    for (uint32_t j = 0; j < k; j++) {
        const tn_param_def *other = param_of(def->inputs, def->input_count, j);
        if (inputs[j] && inputs[j]->dtype && other->constraint &&
            strcmp(other->constraint, constraint) == 0)
            return j;
    }
    return k;
}

static void check_constraint(node_call *call, const tn_type *const *inputs, uint32_t k,
                             const tn_param_def *param)
{
    const tn_operator_def *def = &call->op->def;
    const uint32_t j = first_of_constraint(call, inputs, k, param->constraint);
    char text[256], part[32];
    if (inputs[j]->dtype == inputs[k]->dtype)
        return;
    snprintf(part, sizeof part, "/inputs/%u", k);
    snprintf(text, sizeof text, "input '%s' is %s, but input '%s' is %s: they must be of one type",
             param->name, tn_dtype_name(inputs[k]->dtype),
             param_of(def->inputs, def->input_count, j)->name, tn_dtype_name(inputs[j]->dtype));
    driver_complain(call->d, call->node, TN_ERR_TYPE, TN_SEVERITY_ERROR, part, param->name, NULL,
                    text);
    call->complained = true;
}

static void check_inputs(node_call *call, const tn_type *const *inputs)
{
    const tn_operator_def *def = &call->op->def;
    for (uint32_t k = 0; k < call->ctx.input_count; k++) {
        const tn_param_def *param = param_of(def->inputs, def->input_count, k);
        if (!param || !inputs[k])
            continue;
        if (!kind_allowed(param, inputs[k]) ||
            (inputs[k]->dtype && !(param->types & TN_BIT(inputs[k]->dtype))))
            refuse_type(call, k, param, inputs[k]);
        else if (param->constraint && inputs[k]->dtype && !(param->flags & TN_PARAM_HETEROGENEOUS))
            check_constraint(call, inputs, k, param);
    }
}

static uint32_t only_type(uint64_t mask)
{
    return mask && !(mask & (mask - 1)) ? (uint32_t)__builtin_ctzll(mask) : TN_UNDEFINED;
}

/* An output's dtype where the schema alone tells it: by an input of the same constraint, or because
 * only one is allowed. */
static uint32_t dtype_by_constraint(const node_call *call, const tn_type *const *inputs, uint32_t k)
{
    const tn_operator_def *def = &call->op->def;
    const tn_param_def *out = param_of(def->outputs, def->output_count, k);
    if (!out)
        return TN_UNDEFINED;
    for (uint32_t j = 0; out->constraint && j < call->ctx.input_count; j++) {
        const tn_param_def *in = param_of(def->inputs, def->input_count, j);
        if (in && in->constraint && inputs[j] && !(in->flags & TN_PARAM_HETEROGENEOUS) &&
            strcmp(in->constraint, out->constraint) == 0 && inputs[j]->dtype)
            return inputs[j]->dtype;
    }
    return only_type(out->types);
}

/* ---- one node ------------------------------------------------------------------------------------------------ */

tn_status driver_call(node_call *call, const tn_type *const *inputs, tn_type *outputs)
{
    const tn_operator *op = call->op;
    tn_frame_init(&call->frame, &call->ctx.call, sizeof call->ctx, TN_STAGE_INFER, op->plugin,
                  op->def.user, call);
    call->ctx.node = tn_graph_node(call->d->graph, call->node);
    call->ctx.input_count = call->ctx.node->input_count;
    call->ctx.output_count = call->ctx.node->output_count;
    call->ctx.inputs = inputs;
    call->ctx.outputs = outputs;
    if (call->d->strict)
        check_inputs(call, inputs);
    if (call->complained)
        return TN_OK;
    for (uint32_t k = 0; k < call->ctx.output_count; k++) {
        outputs[k] = tn_type_unknown();
        outputs[k].dtype = dtype_by_constraint(call, inputs, k);
    }
    const tn_status status = op->def.infer ? op->def.infer(&call->ctx) : TN_OK;
    if (status != TN_OK && !call->complained) {
        driver_complain(call->d, call->node, status, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                        call->frame.message[0] ? call->frame.message : "inference gave no reason");
        call->complained = true;
    }
    return TN_OK;
}

/* What the file declares fills in what inference leaves open; where both know, inference wins. */
static void merge_declared(driver *d, tn_node_id node, tn_value_id value, tn_type *type)
{
    const tn_type *declared = tn_graph_look(d->graph, value)->type;
    tn_builder text = { 0 };
    if (declared->dtype && type->dtype && declared->dtype != type->dtype &&
        declared->kind == type->kind) {
        tn_add(&text, "'%s' is declared %s, but is %s", tn_graph_look(d->graph, value)->name,
               tn_dtype_name(declared->dtype), tn_dtype_name(type->dtype));
        driver_complain(d, node, TN_ERR_TYPE, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                        tn_builder_text(&text));
        tn_builder_fini(&text);
        return;
    }
    if (!type->dtype)
        type->dtype = declared->dtype;
    if (!type->kind)
        type->kind = declared->kind;
    /* What this driver, or an inference before it, wrote there is no declaration. */
    if (!d->inferred || d->inferred[tn_slot_of(value)])
        return;
    d->inferred[tn_slot_of(value)] = true;
    bool differ = declared->rank >= 0 && type->rank >= 0 && declared->rank != type->rank;
    for (int32_t axis = 0; declared->rank == type->rank && axis < type->rank; axis++)
        differ = differ || (tn_dim_known(declared->dims[axis]) && tn_dim_known(type->dims[axis]) &&
                            declared->dims[axis] != type->dims[axis]);
    if (differ && d->strict) {
        tn_add(&text, "'%s' is declared ", tn_graph_look(d->graph, value)->name);
        tn_add_type(&text, tn_graph_dims(d->graph), declared);
        tn_add(&text, ", but is ");
        tn_add_type(&text, tn_graph_dims(d->graph), type);
        driver_complain(d, node, TN_ERR_SHAPE, TN_SEVERITY_WARNING, NULL, NULL, NULL,
                        tn_builder_text(&text));
    }
    tn_builder_fini(&text);
    if (type->rank < 0 && declared->rank >= 0) {
        type->rank = declared->rank;
        for (int32_t axis = 0; axis < type->rank; axis++)
            type->dims[axis] = TN_DIM_UNKNOWN;
    }
    for (int32_t axis = 0; !differ && declared->rank == type->rank && axis < type->rank; axis++)
        if (type->dims[axis] == TN_DIM_UNKNOWN &&
            !((type->flags & TN_TYPE_LATE) && tn_dim_known(declared->dims[axis])))
            type->dims[axis] = declared->dims[axis];
}

static tn_status check_extents(driver *d, tn_node_id node, tn_type *type)
{
    size_t bytes;
    char text[160];
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (tn_dim_known(type->dims[axis]) && type->dims[axis] < 0) {
            snprintf(text, sizeof text, "an output would have extent %" PRId64 " on axis %d",
                     type->dims[axis], axis);
            driver_complain(d, node, TN_ERR_SHAPE, TN_SEVERITY_ERROR, NULL, NULL, NULL, text);
            return TN_ERR_SHAPE;
        }
    if (type->kind == 0 && tn_type_is_known(type) &&
        tn_shape_bytes(type->dtype, type->rank, type->dims, &bytes) != TN_OK) {
        snprintf(text, sizeof text, "%s", tn_error_message());
        driver_complain(d, node, TN_ERR_LIMIT, TN_SEVERITY_ERROR, NULL, NULL, NULL, text);
        return TN_ERR_LIMIT;
    }
    return TN_OK;
}

static tn_status store_output(node_call *call, uint32_t k, tn_type *type)
{
    driver *d = call->d;
    const tn_value_id value = call->ctx.node->outputs[k];
    const tn_param_def *param = param_of(call->op->def.outputs, call->op->def.output_count, k);
    if (value == TN_NONE)
        return TN_OK;
    type->size = sizeof *type;
    if (d->strict && param && type->dtype && !(param->types & TN_BIT(type->dtype))) {
        char text[200];
        snprintf(text, sizeof text, "output '%s' would be %s, which the operator does not make",
                 param->name, tn_dtype_name(type->dtype));
        driver_complain(d, call->node, TN_ERR_TYPE, TN_SEVERITY_ERROR, NULL, param->name, NULL,
                        text);
    }
    if (!d->shapes)
        merge_declared(d, call->node, value, type);
    else if (!type->dtype)
        type->dtype = tn_graph_look(d->graph, value)->type->dtype;
    TN_TRY(check_extents(d, call->node, type));
    TN_TRY(set_type(d, value, type));
    return set_elements(d, value, call->elements[k].items, call->elements[k].count);
}

static void poison(driver *d, const tn_node_view *node)
{
    for (uint32_t k = 0; d->poisoned && k < node->output_count; k++)
        if (node->outputs[k] != TN_NONE)
            d->poisoned[tn_slot_of(node->outputs[k])] = true;
}

static bool is_poisoned(const driver *d, const tn_node_view *node)
{
    for (uint32_t k = 0; d->poisoned && k < node->input_count; k++)
        if (node->inputs[k] != TN_NONE && d->poisoned[tn_slot_of(node->inputs[k])])
            return true;
    return false;
}

/* Bodies that the operator did not infer itself are inferred by what they declare. */
static tn_status infer_other_bodies(node_call *call)
{
    if (!(call->op->def.traits & TN_REGIONS) || (call->d->shapes && !call->d->strict))
        return TN_OK;
    for (uint32_t k = 0; k < call->ctx.node->attribute_count && k < 64; k++) {
        const tn_attribute *a = &call->ctx.node->attributes[k];
        if (a->type == TN_ATTR_GRAPH && !(call->bodies_done >> k & 1))
            TN_TRY(driver_region(call->d, a->regions[0]));
    }
    return TN_OK;
}

static tn_status finish_node(node_call *call, tn_type *outputs)
{
    if (call->complained) {
        poison(call->d, call->ctx.node);
        return TN_OK;
    }
    TN_TRY(infer_other_bodies(call));
    for (uint32_t k = 0; k < call->ctx.node->output_count; k++) {
        const tn_status status = store_output(call, k, &outputs[k]);
        if (status == TN_ERR_MEMORY)
            return status;
        if (status != TN_OK)
            poison(call->d, call->ctx.node);
    }
    return TN_OK;
}

/* Room for a node's types: on the stack for most, from the heap for variadic giants. */
enum { FEW = 8 };

tn_status driver_node(driver *d, tn_node_id id)
{
    const tn_node_view *node = tn_graph_node(d->graph, id);
    node_call call = { .d = d, .node = id, .op = tn_operator_of(d->graph, id) };
    const tn_type *few_inputs[FEW], **inputs = few_inputs;
    tn_type few_outputs[2], *outputs = few_outputs;
    struct elements {
        int64_t count;
        tn_dim items[MAX_ELEMENTS];
    } few_elements[2], *elements = few_elements;
    const bool many = node->input_count > FEW || node->output_count > 2;
    tn_status status = TN_OK;
    if (!call.op)
        return TN_OK;
    if (is_poisoned(d, node)) {
        poison(d, node);
        return TN_OK;
    }
    if (many) {
        inputs = tn_alloc(node->input_count + 1, sizeof *inputs);
        outputs = tn_alloc(node->output_count + 1, sizeof *outputs);
        elements = tn_alloc(node->output_count + 1, sizeof *elements);
        status = inputs && outputs && elements ? TN_OK : tn_raise_memory();
    }
    for (uint32_t k = 0; status == TN_OK && k < node->input_count; k++)
        inputs[k] = node->inputs[k] == TN_NONE ? NULL : driver_type(d, node->inputs[k]);
    for (uint32_t k = 0; status == TN_OK && k < node->output_count; k++)
        elements[k].count = -1;
    call.elements = (void *)elements;
    if (status == TN_OK)
        status = driver_call(&call, inputs, outputs);
    if (status == TN_OK)
        status = finish_node(&call, outputs);
    if (many) {
        tn_free(inputs);
        tn_free(outputs);
        tn_free(elements);
    }
    return status;
}

tn_status driver_region(driver *d, tn_region_id region)
{
    if (d->depth >= MAX_NESTING)
        return tn_raise(TN_ERR_LIMIT, "bodies are nested deeper than %d", MAX_NESTING);
    d->depth++;
    tn_status status = TN_OK;
    for (tn_node_id n = tn_graph_first_node(d->graph, region); n != TN_NONE && status == TN_OK;
         n = tn_graph_next_node(d->graph, n))
        status = driver_node(d, n);
    d->depth--;
    return status;
}

/* ---- the public half ------------------------------------------------------------------------------------------ */

static tn_status run_region(driver *d, tn_region_id region)
{
    const uint32_t slots = tn_graph_value_slots(d->graph) + 1;
    d->poisoned = tn_alloc(slots, sizeof *d->poisoned);
    d->inferred = d->shapes ? NULL : tn_alloc(slots, sizeof *d->inferred);
    if (!d->poisoned || (!d->shapes && !d->inferred)) {
        tn_free(d->poisoned);
        tn_free(d->inferred);
        return tn_raise_memory();
    }
    const tn_status status = driver_region(d, region);
    tn_free(d->poisoned);
    tn_free(d->inferred);
    d->poisoned = d->inferred = NULL;
    return status != TN_OK ? status : d->status;
}

tn_status tn_infer_graph(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry, .graph = graph, .diagnostics = diagnostics, .strict = true };
    return run_region(&d, TN_TOP_REGION);
}

tn_status tn_infer_region_into(tn_registry *registry, const tn_graph *graph, tn_region_id region,
                               tn_shapes *shapes, tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry,
                 .graph = (tn_graph *)(uintptr_t)graph,
                 .shapes = shapes,
                 .diagnostics = diagnostics };
    return run_region(&d, region);
}

/* ---- after an edit ------------------------------------------------------------------------- */

/* Room for putting touched nodes into an order in which makers come before readers. */
typedef struct sorting {
    const tn_graph *graph;
    const tn_node_id *nodes;
    uint32_t count;
    uint32_t *place; /* by slot of a node: 1 + its index; 0: not one of them */
    uint32_t *next;  /* by index: the input to look at */
    uint32_t *stack;
    bool *seen; /* by index */
    tn_node_id *out;
} sorting;

/* The index of the touched node that makes input k; TN_NONE: none does. */
static uint32_t maker_of(const sorting *s, const tn_node_view *view, uint32_t k)
{
    const tn_value_view *value = view->inputs[k] == TN_NONE
                                     ? NULL
                                     : tn_graph_look(s->graph, view->inputs[k]);
    const tn_node_id maker = value ? value->producer : TN_NONE;
    const uint32_t place = maker == TN_NONE ? 0 : s->place[tn_slot_of(maker)];
    return place && s->nodes[place - 1] == maker ? place - 1 : TN_NONE;
}

/* Depth first, makers before readers; what closes a cycle is for others to find. */
static void sort_from(sorting *s, uint32_t first, uint32_t *count)
{
    uint32_t depth = 0;
    s->seen[first] = true;
    s->stack[depth++] = first;
    while (depth) {
        const uint32_t top = s->stack[depth - 1];
        const tn_node_view *view = tn_graph_node(s->graph, s->nodes[top]);
        if (!view || s->next[top] == view->input_count) {
            s->out[(*count)++] = s->nodes[top];
            depth--;
            continue;
        }
        const uint32_t maker = maker_of(s, view, s->next[top]++);
        if (maker != TN_NONE && !s->seen[maker]) {
            s->seen[maker] = true;
            s->stack[depth++] = maker;
        }
    }
}

/* The caller frees *out. */
static tn_status sort_touched(const tn_graph *graph, const tn_node_id *nodes, uint32_t count,
                              tn_node_id **out)
{
    sorting s = { .graph = graph, .nodes = nodes, .count = count };
    uint32_t sorted = 0;
    s.place = tn_alloc((size_t)tn_graph_node_slots(graph) + 1, sizeof *s.place);
    s.next = tn_alloc(count, sizeof *s.next);
    s.stack = tn_alloc(count, sizeof *s.stack);
    s.seen = tn_alloc(count, sizeof *s.seen);
    s.out = *out = tn_alloc(count, sizeof *s.out);
    const bool fine = s.place && s.next && s.stack && s.seen && s.out;
    for (uint32_t k = 0; fine && k < count; k++)
        if (tn_graph_node(graph, nodes[k]))
            s.place[tn_slot_of(nodes[k])] = k + 1;
    for (uint32_t k = 0; fine && k < count; k++)
        if (!s.seen[k])
            sort_from(&s, k, &sorted);
    tn_free(s.place);
    tn_free(s.next);
    tn_free(s.stack);
    tn_free(s.seen);
    return fine ? TN_OK : tn_raise_memory();
}

/* Few nodes were touched in an order that holds; looking at all slots for each small rewrite would
 * make many of them quadratic. */
enum { FEW_TOUCHED = 16 };

static tn_status infer_touched(tn_registry *registry, tn_graph *graph, const tn_node_id *nodes,
                               uint32_t count);

tn_status tn_infer_touched(tn_registry *registry, tn_graph *graph, const tn_node_id *nodes,
                           uint32_t count)
{
    tn_node_id *sorted = NULL;
    tn_status status = TN_OK;
    if (count > FEW_TOUCHED)
        status = sort_touched(graph, nodes, count, &sorted);
    if (status == TN_OK)
        status = infer_touched(registry, graph, sorted ? sorted : nodes, count);
    tn_free(sorted);
    return status;
}

/* Nodes, then whoever reads what changed, until nothing does. */
static tn_status infer_touched(tn_registry *registry, tn_graph *graph, const tn_node_id *nodes,
                               uint32_t count)
{
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } changed = { 0 };
    driver d = { .registry = registry, .graph = graph, .strict = true };
    tn_status status = TN_OK;
    d.changed = (void *)&changed;
    for (uint32_t k = 0; k < count && status == TN_OK; k++)
        if (tn_graph_node(graph, nodes[k]))
            status = driver_node(&d, nodes[k]);
    for (uint32_t k = 0; k < changed.count && status == TN_OK && d.status == TN_OK; k++) {
        const tn_value_view *view = tn_graph_look(graph, changed.items[k]);
        for (uint32_t u = 0; view && u < view->use_count && status == TN_OK; u++) {
            tn_node_id node;
            uint32_t input;
            status = tn_graph_use(graph, changed.items[k], u, &node, &input);
            if (status == TN_OK)
                status = driver_node(&d, node);
            view = tn_graph_look(graph, changed.items[k]);
        }
        if (view && view->output_count && tn_graph_region_owner(graph, view->region) != TN_NONE &&
            status == TN_OK)
            status = driver_node(&d, tn_graph_region_owner(graph, view->region));
    }
    tn_free(changed.items);
    return status != TN_OK ? status : d.status;
}

tn_status tn_infer_node_into(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                             tn_shapes *shapes)
{
    driver d = { .registry = registry, .graph = (tn_graph *)(uintptr_t)graph, .shapes = shapes };
    const tn_status status = driver_node(&d, node);
    return status != TN_OK ? status : d.status;
}

tn_status tn_infer_node_now(tn_registry *registry, const tn_graph *graph, tn_node_id id,
                            const tn_type *const *inputs, const tn_tensor *const *values,
                            tn_type *outputs)
{
    driver d = { .registry = registry, .graph = (tn_graph *)(uintptr_t)graph };
    const tn_node_view *node = tn_graph_node(graph, id);
    node_call call = { .d = &d, .node = id, .op = tn_operator_of(graph, id), .values = values };
    call.elements = tn_alloc(node->output_count + 1, sizeof *call.elements);
    if (!call.elements)
        return tn_raise_memory();
    tn_status status = driver_call(&call, inputs, outputs);
    tn_free(call.elements);
    for (uint32_t k = 0; k < node->output_count && status == TN_OK; k++)
        if (!outputs[k].dtype && node->outputs[k] != TN_NONE)
            outputs[k].dtype = tn_graph_look(graph, node->outputs[k])->type->dtype;
    for (uint32_t k = 0; k < node->output_count && status == TN_OK && !call.complained; k++)
        status = check_extents(&d, id, &outputs[k]);
    return status != TN_OK ? status : d.status;
}

/* ---- costs, windows, samples --------------------------------------------------------------------------------- */

typedef struct answer {
    tn_cost *cost;
    tn_window *windows;
    int32_t window_count;
    int32_t *input_axes, *output_axes;
} answer;
typedef tn_status (*question)(node_call *call, answer *out);

static tn_status ask_cost(node_call *call, answer *out)
{
    return call->op->def.cost(&call->ctx, out->cost);
}

static tn_status ask_windows(node_call *call, answer *out)
{
    out->window_count = call->op->def.window(&call->ctx, out->windows);
    return TN_OK;
}

static tn_status ask_samples(node_call *call, answer *out)
{
    return call->op->def.samplewise(&call->ctx, out->input_axes, out->output_axes);
}

/* Calls back an operator with the types of a binding. */
static tn_status call_with_shapes(tn_registry *registry, const tn_graph *graph, tn_node_id id,
                                  const tn_shapes *shapes, question ask, answer *out)
{
    driver d = { .registry = registry,
                 .graph = (tn_graph *)(uintptr_t)graph,
                 .shapes = (tn_shapes *)(uintptr_t)shapes };
    const tn_node_view *node = tn_graph_node(graph, id);
    node_call call = { .d = &d, .node = id, .op = tn_operator_of(graph, id) };
    const tn_type **inputs = tn_alloc(node->input_count + 1, sizeof *inputs);
    tn_type *outputs = tn_alloc(node->output_count + 1, sizeof *outputs);
    tn_status status = inputs && outputs && call.op ? TN_OK : tn_raise_memory();
    for (uint32_t k = 0; status == TN_OK && k < node->input_count; k++)
        inputs[k] = node->inputs[k] == TN_NONE ? NULL : driver_type(&d, node->inputs[k]);
    for (uint32_t k = 0; status == TN_OK && k < node->output_count; k++)
        outputs[k] = node->outputs[k] == TN_NONE ? tn_type_unknown()
                                                 : *driver_type(&d, node->outputs[k]);
    if (status == TN_OK) {
        tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_INFER, call.op->plugin,
                      call.op->def.user, &call);
        call.ctx.node = node;
        call.ctx.input_count = node->input_count;
        call.ctx.output_count = node->output_count;
        call.ctx.inputs = inputs;
        call.ctx.outputs = outputs;
        status = ask(&call, out);
    }
    tn_free(inputs);
    tn_free(outputs);
    return status;
}

static bool all_known(const tn_graph *graph, const tn_node_view *node, const tn_shapes *shapes)
{
    (void)graph;
    for (uint32_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] != TN_NONE &&
            !tn_type_is_known(&shapes->types[tn_slot_of(node->inputs[k])]))
            return false;
    for (uint32_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] != TN_NONE &&
            !tn_type_is_known(&shapes->types[tn_slot_of(node->outputs[k])]))
            return false;
    return true;
}

tn_status tn_infer_cost(tn_registry *registry, const tn_graph *graph, tn_node_id id,
                        const tn_shapes *shapes, tn_cost *out)
{
    const tn_node_view *node = tn_graph_node(graph, id);
    const tn_operator *op = tn_operator_of(graph, id);
    *out = (tn_cost){ .size = sizeof *out };
    if (!op || !all_known(graph, node, shapes))
        return TN_OK;
    if (op->def.cost)
        return call_with_shapes(registry, graph, id, shapes, ask_cost, &(answer){ .cost = out });
    if ((op->def.traits & (TN_MOVES_BYTES | TN_RESHAPES)) || !node->output_count ||
        node->outputs[0] == TN_NONE)
        return TN_OK;
    const tn_type *type = &shapes->types[tn_slot_of(node->outputs[0])];
    int64_t count = 0;
    TN_TRY(tn_shape_count(type->rank, type->dims, &count));
    out->ops = (double)count;
    return TN_OK;
}

int32_t tn_infer_windows(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                         const tn_shapes *shapes, tn_window *out)
{
    const tn_operator *op = tn_operator_of(graph, node);
    answer found = { .windows = out };
    if (!op || !op->def.window || !all_known(graph, tn_graph_node(graph, node), shapes))
        return 0;
    return call_with_shapes(registry, graph, node, shapes, ask_windows, &found) == TN_OK
               ? found.window_count
               : 0;
}

tn_status tn_infer_samplewise(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                              const tn_shapes *shapes, int32_t *input_axes, int32_t *output_axes)
{
    const tn_operator *op = tn_operator_of(graph, node);
    if (!op || !op->def.samplewise || !all_known(graph, tn_graph_node(graph, node), shapes))
        return TN_NO_MATCH;
    return call_with_shapes(registry, graph, node, shapes, ask_samples,
                            &(answer){ .input_axes = input_axes, .output_axes = output_axes });
}
