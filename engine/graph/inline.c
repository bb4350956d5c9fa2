/* engine/graph/inline.c: puts a body in the place around its node.
 *
 * A body of the same graph (a constant If) is moved: its nodes and values stay what they are. The
 * top region of another graph (a function) is copied: values and nodes get the owner's name in
 * front, references to the caller's attributes are filled in, and the trace names the owner. So is a
 * body that is wanted elsewhere in its own graph, whose owner stays.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- moving ------------------------------------------------------------------------------ */

/* All but the body's own outputs, which nobody reads any more, read `now` instead. */
static tn_status replace_input(tn_graph *graph, tn_region_id body, tn_value *old, tn_value_id now)
{
    while (old->uses.count) {
        const tn_use use = old->uses.items[old->uses.count - 1];
        TN_TRY(tn_change_input(graph, tn_node_of(graph, use.owner), use.index, now));
    }
    for (uint32_t k = old->outputs.count; k--;) {
        const tn_use use = old->outputs.items[k];
        if (now != TN_NONE)
            TN_TRY(tn_change_region_output(graph, use.owner, use.index, tn_value_of(graph, now)));
        else if (use.owner != body)
            return tn_raise(TN_ERR_STATE, "input '%s' is absent, but a body gives it out",
                            old->view.name);
    }
    return TN_OK;
}

static tn_status move_values(tn_graph *graph, tn_region_id body, tn_region_id target)
{
    for (tn_value_id v = graph->regions.items[body].first_value, next; v != TN_NONE; v = next) {
        tn_value *value = tn_value_of(graph, v);
        next = value->next;
        if (!value->view.is_input)
            TN_TRY(tn_change_value_region(graph, value, target));
    }
    return TN_OK;
}

static tn_status move_body(tn_graph *graph, tn_region_id body, void *user)
{
    return tn_change_region_outer(graph, body, *(const tn_region_id *)user);
}

static tn_status move_nodes(tn_graph *graph, tn_region_id body, const tn_node *owner)
{
    tn_region_id target = owner->view.region;
    while (graph->regions.items[body].first != TN_NONE) {
        tn_node *node = tn_node_of(graph, graph->regions.items[body].first);
        TN_TRY(tn_each_body(graph, node, move_body, &target));
        TN_TRY(tn_change_move_node(graph, node, target, owner->id));
    }
    return TN_OK;
}

static tn_status inline_own(tn_graph *graph, const tn_node *owner, tn_region_id body,
                            const tn_value_id *inputs, uint32_t input_count)
{
    for (uint32_t k = 0; k < graph->regions.items[body].inputs.count; k++) {
        tn_value *old = tn_value_of(graph, graph->regions.items[body].inputs.items[k]);
        TN_TRY(replace_input(graph, body, old, k < input_count ? inputs[k] : TN_NONE));
    }
    TN_TRY(move_values(graph, body, owner->view.region));
    return move_nodes(graph, body, owner);
}

/* ---- copying ----------------------------------------------------------------------------- */

typedef struct copier {
    tn_graph *to;
    const tn_graph *from;
    const tn_node *owner;
    tn_region_id target; /* where the copies go, … */
    tn_node_id before;   /* … in front of this node */
    tn_value_id *values; /* by slot of `from`; TN_NONE: none, or absent */
} copier;

static bool in_one_graph(const copier *c)
{
    return c->to == c->from;
}

/* In one graph, a value that has no copy lies outside of the body: it is read where it is. */
static tn_value_id mapped(const copier *c, tn_value_id value)
{
    const tn_value_id copy = value == TN_NONE ? TN_NONE : c->values[tn_slot_of(value)];
    return copy == TN_NONE && in_one_graph(c) ? value : copy;
}

/* A dimension of another graph by its text. */
static tn_dim copy_dim(const copier *c, tn_dim dim)
{
    tn_builder text = { 0 };
    tn_dim copied = TN_DIM_UNKNOWN;
    if (tn_dim_known(dim) || c->to->dims == c->from->dims || dim == TN_DIM_UNKNOWN)
        return dim;
    tn_add_dim(&text, c->from->dims, dim);
    if (text.failed || tn_dim_parse(c->to->dims, tn_builder_text(&text), &copied) != TN_OK)
        copied = TN_DIM_UNKNOWN;
    tn_builder_fini(&text);
    return copied;
}

static tn_type copy_type(const copier *c, const tn_type *from)
{
    tn_type type = *from;
    for (int32_t k = 0; k < type.rank; k++)
        type.dims[k] = copy_dim(c, type.dims[k]);
    return type;
}

static tn_status prefixed(const copier *c, const char *name, tn_builder *out)
{
    tn_add(out, "%s/%s", c->owner->view.name, name);
    return out->failed ? tn_raise_memory() : TN_OK;
}

static tn_status copy_value(copier *c, const tn_value *from, tn_region_id target)
{
    tn_builder wanted = { 0 };
    const tn_type type = copy_type(c, &from->type);
    const char *name = NULL;
    tn_value *value = NULL;
    tn_status status = prefixed(c, from->view.name, &wanted);
    if (status == TN_OK)
        status = tn_names_unique(c->to, target, tn_builder_text(&wanted), &name);
    tn_builder_fini(&wanted);
    if (status == TN_OK)
        status = tn_make_value(c->to, target, name, &type, &value);
    if (status == TN_OK && from->constant)
        status = tn_change_constant(c->to, value, tn_constant_ref(from->constant));
    if (status == TN_OK && from->elements && c->to->dims == c->from->dims)
        status = tn_graph_set_elements(c->to, value->id, from->elements->items,
                                       from->elements->count);
    if (status == TN_OK)
        c->values[tn_slot_of(from->id)] = value->id;
    return status;
}

static tn_status copy_values(copier *c, tn_region_id body, tn_region_id target)
{
    for (tn_value_id v = c->from->regions.items[body].first_value; v != TN_NONE;
         v = tn_value_of(c->from, v)->next)
        if (target != c->target || !tn_value_of(c->from, v)->view.is_input)
            TN_TRY(copy_value(c, tn_value_of(c->from, v), target));
    return TN_OK;
}

static tn_status copy_region(copier *c, tn_region_id body, tn_region_id target);

/* A body of a body: a region of its own in the target. */
static tn_status copy_body(copier *c, tn_region_id body, tn_region_id outer, tn_region_id *out)
{
    TN_TRY(tn_graph_add_region(c->to, outer, out)); /* in one graph regions move */
    const uint32_t inputs = c->from->regions.items[body].inputs.count;
    const uint32_t outputs = c->from->regions.items[body].outputs.count;
    TN_TRY(copy_values(c, body, *out));
    for (uint32_t k = 0; k < inputs; k++)
        TN_TRY(tn_graph_add_input(c->to, *out,
                                  mapped(c, c->from->regions.items[body].inputs.items[k])));
    TN_TRY(copy_region(c, body, *out));
    for (uint32_t k = 0; k < outputs; k++) {
        const tn_region_output from = c->from->regions.items[body].outputs.items[k];
        const tn_value_id value = mapped(c, from.value);
        if (value == TN_NONE)
            return tn_raise(TN_ERR_STATE, "output '%s' of a body is an input that is absent",
                            from.name);
        TN_TRY(tn_graph_add_output(c->to, *out, from.name, value));
    }
    return TN_OK;
}

/* What the caller gives under that name, or the function's default; NULL: neither. */
static const tn_attribute *caller_attribute(const copier *c, const char *name)
{
    const tn_attribute *given = tn_attr(&c->owner->view, name);
    if (given)
        return given;
    const tn_attribute_list *list = c->from->parameters;
    for (uint32_t k = 0; list && k < list->count; k++)
        if (!strcmp(list->items[k].name, name) && list->items[k].type != TN_ATTR_UNDEFINED)
            return &list->items[k];
    return NULL;
}

/* Bodies and types belong to a graph: *out gets copies, in memory of `pool`. */
static tn_status copy_attribute(copier *c, const tn_attribute *from, tn_region_id target,
                                tn_pool *pool, tn_attribute *out)
{
    const bool types = from->type == TN_ATTR_TYPE || from->type == TN_ATTR_TYPES;
    const tn_region_id *regions;
    const uint32_t count = tn_attribute_regions(from, &regions);
    *out = *from;
    if (count) {
        tn_region_id *own = tn_pool_dup(pool, regions, count * sizeof *own);
        if (!own)
            return tn_raise_memory();
        out->regions = own;
        for (uint32_t k = 0; k < count; k++)
            TN_TRY(copy_body(c, regions[k], target, &own[k]));
    }
    if (types && c->to->dims != c->from->dims) {
        tn_type *own = tn_pool_dup(pool, from->types, from->count * sizeof *own);
        if (!own)
            return tn_raise_memory();
        out->types = own;
        for (size_t k = 0; k < from->count; k++)
            own[k] = copy_type(c, &from->types[k]);
    }
    return TN_OK;
}

/* The attributes that the node itself has; those that refer to the caller's take its contents, and
 * are left out where the caller has none. */
static tn_status copy_attributes(copier *c, const tn_node *from, tn_pool *pool, tn_node_desc *desc)
{
    const uint32_t count = from->view.attribute_count;
    tn_attribute *own = tn_pool_alloc(pool, count * sizeof *own);
    if (!own)
        return tn_raise_memory();
    desc->attributes = own;
    for (uint32_t k = 0; k < count; k++) {
        const tn_attribute *attribute = &from->view.attributes[k];
        if (from->attributes->slots[k].is_default)
            continue;
        if (attribute->type == TN_ATTR_REF && !in_one_graph(c)) {
            const tn_attribute *given = caller_attribute(c, attribute->s.bytes);
            if (!given || given->type == TN_ATTR_GRAPH || given->type == TN_ATTR_GRAPHS)
                continue;
            own[desc->attribute_count] = *given;
            own[desc->attribute_count++].name = attribute->name;
            continue;
        }
        TN_TRY(copy_attribute(c, attribute, desc->region, pool, &own[desc->attribute_count]));
        desc->attribute_count++;
    }
    return TN_OK;
}

static tn_status copy_links(const copier *c, const tn_node *from, tn_pool *pool, tn_node_desc *desc)
{
    tn_value_id *inputs = tn_pool_alloc(pool, from->view.input_count * sizeof *inputs);
    tn_value_id *outputs = tn_pool_alloc(pool, from->view.output_count * sizeof *outputs);
    if (!inputs || !outputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < from->view.input_count; k++)
        inputs[k] = mapped(c, from->inputs[k]);
    for (uint32_t k = 0; k < from->view.output_count; k++)
        outputs[k] = mapped(c, from->outputs[k]);
    desc->input_count = from->view.input_count;
    desc->output_count = from->view.output_count;
    desc->inputs = inputs;
    desc->outputs = outputs;
    return TN_OK;
}

static tn_status add_copy(copier *c, const tn_node *from, const tn_node_desc *desc)
{
    tn_node_id id;
    TN_TRY(tn_graph_add_node(c->to, desc, &id));
    for (uint32_t k = 0; k < from->view.attribute_count; k++)
        if (from->attributes->slots[k].is_default)
            TN_TRY(tn_graph_set_default_attribute(c->to, id, &from->view.attributes[k]));
    for (uint32_t k = 0; from->metadata && k < from->metadata->count; k++)
        TN_TRY(tn_graph_set_node_metadata(c->to, id, from->metadata->items[k].key,
                                          from->metadata->items[k].text));
    tn_graph_set_schema(c->to, id, from->schema, from->view.version);
    return TN_OK;
}

static tn_status copy_node(copier *c, const tn_node *from, tn_region_id target)
{
    tn_pool pool = { 0 };
    tn_builder name = { 0 };
    tn_node_desc desc = {
        .size = sizeof desc,
        .region = target,
        .domain = from->view.domain,
        .op = from->view.op,
        .overload = from->view.overload,
        .before = target == c->target ? c->before : TN_NONE,
        .origin = c->to->source == c->from->source ? from->origin : c->owner->origin,
        .doc = from->doc,
        .trace = c->owner->id,
    };
    tn_status status = prefixed(c, from->view.name, &name);
    desc.name = tn_builder_text(&name);
    if (status == TN_OK)
        status = copy_links(c, from, &pool, &desc);
    if (status == TN_OK)
        status = copy_attributes(c, from, &pool, &desc);
    if (status == TN_OK)
        status = add_copy(c, from, &desc);
    tn_builder_fini(&name);
    tn_pool_fini(&pool);
    return status;
}

static tn_status copy_region(copier *c, tn_region_id body, tn_region_id target)
{
    for (tn_node_id n = c->from->regions.items[body].first; n != TN_NONE;
         n = tn_node_of(c->from, n)->next)
        TN_TRY(copy_node(c, tn_node_of(c->from, n), target));
    return TN_OK;
}

static tn_status copy_whole(copier *c, tn_region_id body, const tn_value_id *inputs,
                            uint32_t input_count)
{
    const tn_region *from = &c->from->regions.items[body];
    c->values = tn_alloc(c->from->values.count, sizeof *c->values);
    if (!c->values)
        return tn_raise_memory();
    memset(c->values, 0xff, c->from->values.count * sizeof *c->values); /* TN_NONE */
    for (uint32_t k = 0; k < from->inputs.count; k++)
        c->values[tn_slot_of(from->inputs.items[k])] = k < input_count ? inputs[k] : TN_NONE;
    TN_TRY(copy_values(c, body, c->target));
    return copy_region(c, body, c->target);
}

/* ---- both -------------------------------------------------------------------------------- */

static tn_status check(const tn_graph *graph, const tn_region *body, tn_region_id target,
                       const tn_value_id *inputs, uint32_t input_count, uint32_t output_count)
{
    if (output_count > body->outputs.count || input_count > body->inputs.count)
        return tn_raise(TN_ERR_ARGUMENT,
                        "the body has %" PRIu32 " inputs and %" PRIu32 " outputs, but %" PRIu32
                        " and %" PRIu32 " are asked for",
                        body->inputs.count, body->outputs.count, input_count, output_count);
    for (uint32_t k = 0; k < input_count; k++) {
        tn_value *value;
        if (inputs[k] == TN_NONE)
            continue;
        TN_TRY(tn_need_value(graph, inputs[k], &value));
        TN_TRY(tn_need_visible(graph, value, target));
    }
    return TN_OK;
}

tn_status tn_graph_inline(tn_graph *graph, tn_node_id owner_id, const tn_graph *body,
                          tn_region_id body_region, const tn_value_id *inputs, uint32_t input_count,
                          tn_value_id *outputs, uint32_t output_count)
{
    tn_node *owner;
    tn_region *place;
    const bool own = body == graph;
    TN_TRY(tn_need_node(graph, owner_id, &owner));
    TN_TRY(tn_need_region(body, body_region, &place));
    if (own ? place->owner != owner->id : body_region != TN_TOP_REGION)
        return tn_raise(TN_ERR_ARGUMENT, "the region is no body of node '%s'", owner->view.name);
    TN_TRY(check(graph, place, owner->view.region, inputs, input_count, output_count));
    copier c = {
        .to = graph, .from = body, .owner = owner, .target = owner->view.region, .before = owner->id
    };
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = own ? inline_own(graph, owner, body_region, inputs, input_count)
                           : copy_whole(&c, body_region, inputs, input_count);
    status = tn_edit_end(graph, mark, status);
    for (uint32_t k = 0; status == TN_OK && k < output_count; k++) {
        const tn_value_id value = body->regions.items[body_region].outputs.items[k].value;
        const tn_value *kept = tn_value_of(body, value);
        if (!own)
            outputs[k] = mapped(&c, value);
        else /* an input that is still there is one that was absent */
            outputs[k] = kept->view.is_input && kept->view.region == body_region ? TN_NONE : value;
    }
    tn_free(c.values);
    return status;
}

static tn_status check_place(const tn_graph *graph, tn_region_id body, tn_region_id target,
                             tn_node_id before)
{
    tn_region *place;
    tn_node *node;
    TN_TRY(tn_need_region(graph, target, &place));
    for (tn_region_id r = target; r != TN_TOP_REGION; r = graph->regions.items[r].outer)
        if (r == body)
            return tn_raise(TN_ERR_ARGUMENT, "a body cannot be copied into itself");
    if (before == TN_NONE)
        return TN_OK;
    TN_TRY(tn_need_node(graph, before, &node));
    return node->view.region == target
               ? TN_OK
               : tn_raise(TN_ERR_ARGUMENT, "node '%s' lies in another region", node->view.name);
}

tn_status tn_graph_copy_body(tn_graph *graph, tn_region_id body, tn_region_id target,
                             tn_node_id before, const tn_value_id *inputs, uint32_t input_count,
                             tn_value_id *outputs, uint32_t output_count)
{
    tn_region *place;
    if (!graph || (input_count && !inputs) || (output_count && !outputs))
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    TN_TRY(tn_need_region(graph, body, &place));
    if (place->owner == TN_NONE)
        return tn_raise(TN_ERR_ARGUMENT, "the region is no body of a node");
    if (input_count != place->inputs.count)
        return tn_raise(TN_ERR_ARGUMENT, "the body has %" PRIu32 " inputs, not %" PRIu32,
                        place->inputs.count, input_count);
    for (uint32_t k = 0; k < input_count; k++)
        if (inputs[k] == TN_NONE)
            return tn_raise(TN_ERR_ARGUMENT, "nothing stands for input %" PRIu32 " of the body", k);
    TN_TRY(check_place(graph, body, target, before));
    TN_TRY(check(graph, place, target, inputs, input_count, output_count));
    copier c = { .to = graph,
                 .from = graph,
                 .owner = tn_node_of(graph, place->owner),
                 .target = target,
                 .before = before };
    uint32_t mark = tn_edit_begin(graph);
    const tn_status status = tn_edit_end(graph, mark, copy_whole(&c, body, inputs, input_count));
    for (uint32_t k = 0; status == TN_OK && k < output_count; k++)
        outputs[k] = mapped(&c, graph->regions.items[body].outputs.items[k].value);
    tn_free(c.values);
    return status;
}
