/* engine/graph/inline.c: a body in place of the node that stands for it.
 *
 * Copies the nodes, constants and bodies of a region (of this graph or of a function's) before the
 * owner, with inputs replaced; attributes that refer to the caller's (TN_ATTR_REF) take its values.
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* A copy under way: which value and region of the body became which of the graph. */
typedef struct copier {
    tn_graph *graph;
    const tn_graph *body;
    tn_node_id owner; /* TN_NONE: no references to resolve */
    tn_value_id *values;   /* by slot of the body's value; TN_NONE: not copied */
    tn_node_id before;
} copier;

static tn_status copy_region(copier *c, tn_region_id from, tn_region_id to);

/* A value that the body only sees keeps its handle when the body lies in the same graph. */
static tn_value_id value_of(const copier *c, tn_value_id id)
{
    if (id == TN_NONE)
        return TN_NONE;
    const tn_value_id copied = c->values[tn_slot_of(id)];
    return copied == TN_NONE && c->body == c->graph ? id : copied;
}

static tn_status copy_value(copier *c, tn_value_id id, tn_region_id to)
{
    const tn_value *from = tn_value_of(c->body, id);
    const char *name;
    tn_value_id made;
    if (c->values[tn_slot_of(id)] != TN_NONE)
        return TN_OK;
    TN_TRY(tn_names_unique(c->graph, to, from->view.name, &name));
    TN_TRY(tn_graph_add_value(c->graph, to, name, NULL, &made));
    if (from->constant)
        TN_TRY(tn_graph_set_constant(c->graph, made, from->constant));
    else if (from->type.kind || from->type.dtype) {
        tn_type type = from->type;
        if (c->body->dims != c->graph->dims) /* symbols of another table say nothing here */
            type.rank = -1;
        TN_TRY(tn_graph_set_type(c->graph, made, &type));
    }
    c->values[tn_slot_of(id)] = made;
    return TN_OK;
}

/* The attribute as the copy has it; false: left out, since the caller leaves it out. */
static bool resolve(const copier *c, const tn_attribute *from, tn_attribute *out)
{
    *out = *from;
    if (from->type != TN_ATTR_REF)
        return true;
    const tn_node_view *owner = c->owner == TN_NONE ? NULL : tn_graph_node(c->graph, c->owner);
    const tn_attribute *given = owner ? tn_attr(owner, from->s.bytes) : NULL;
    const tn_attribute *defaults;
    const uint32_t count = tn_graph_function_attributes(c->body, &defaults);
    for (uint32_t k = 0; !given && k < count; k++)
        if (strcmp(defaults[k].name, from->s.bytes) == 0 && defaults[k].type != TN_ATTR_UNDEFINED)
            given = &defaults[k];
    if (!given)
        return false;
    *out = *given;
    out->name = from->name;
    return true;
}

static tn_status copy_bodies(copier *c, const tn_attribute *from, tn_region_id to, tn_attribute *out, tn_region_id **made)
{
    const tn_region_id *regions;
    const uint32_t count = tn_attribute_regions(from, &regions);
    if (!count)
        return TN_OK;
    *made = tn_alloc(count, sizeof **made);
    if (!*made)
        return tn_raise_memory();
    for (uint32_t k = 0; k < count; k++) {
        TN_TRY(tn_graph_add_region(c->graph, to, &(*made)[k]));
        copier inner = *c;
        inner.before = TN_NONE;
        TN_TRY(copy_region(&inner, regions[k], (*made)[k]));
    }
    out->regions = *made;
    return TN_OK;
}

/* What one node's copy needs, freed together. */
typedef struct parts {
    tn_value_id *inputs, *outputs;
    tn_attribute *attributes;
    tn_region_id **regions;
    uint32_t attribute_count;
} parts;

static void parts_fini(parts *p, uint32_t count)
{
    for (uint32_t k = 0; p->regions && k < count; k++)
        tn_free(p->regions[k]);
    tn_free(p->inputs);
    tn_free(p->outputs);
    tn_free(p->attributes);
    tn_free(p->regions);
}

static tn_status fill_parts(copier *c, const tn_node *from, tn_region_id to, parts *p)
{
    const tn_node_view *view = &from->view;
    p->inputs = tn_alloc(view->input_count + 1, sizeof *p->inputs);
    p->outputs = tn_alloc(view->output_count + 1, sizeof *p->outputs);
    p->attributes = tn_alloc(view->attribute_count + 1, sizeof *p->attributes);
    p->regions = tn_alloc(view->attribute_count + 1, sizeof *p->regions);
    if (!p->inputs || !p->outputs || !p->attributes || !p->regions)
        return tn_raise_memory();
    for (uint32_t k = 0; k < view->input_count; k++) {
        if (view->inputs[k] != TN_NONE && tn_value_of(c->body, view->inputs[k])->constant && value_of(c, view->inputs[k]) == TN_NONE)
            TN_TRY(copy_value(c, view->inputs[k], to));
        p->inputs[k] = value_of(c, view->inputs[k]);
    }
    for (uint32_t k = 0; k < view->output_count; k++) {
        if (view->outputs[k] != TN_NONE)
            TN_TRY(copy_value(c, view->outputs[k], to));
        p->outputs[k] = view->outputs[k] == TN_NONE ? TN_NONE : c->values[tn_slot_of(view->outputs[k])];
    }
    for (uint32_t k = 0; k < view->attribute_count; k++) {
        tn_attribute *out = &p->attributes[p->attribute_count];
        if (from->attributes->slots[k].is_default || !resolve(c, &view->attributes[k], out))
            continue;
        TN_TRY(copy_bodies(c, &view->attributes[k], to, out, &p->regions[k]));
        p->attribute_count++;
    }
    return TN_OK;
}

static tn_status copy_node(copier *c, const tn_node *from, tn_region_id to)
{
    parts p = { 0 };
    tn_node_id made;
    tn_status status = fill_parts(c, from, to, &p);
    const tn_node_desc desc = {
        .size = sizeof desc, .region = to, .name = from->view.name, .domain = from->view.domain, .op = from->view.op,
        .overload = from->view.overload, .input_count = from->view.input_count, .output_count = from->view.output_count,
        .inputs = p.inputs, .outputs = p.outputs, .attribute_count = p.attribute_count, .attributes = p.attributes,
        .before = c->before, .origin = from->origin, .doc = from->doc, .trace = c->owner,
    };
    if (status == TN_OK)
        status = tn_graph_add_node(c->graph, &desc, &made);
    parts_fini(&p, from->view.attribute_count);
    return status;
}

static tn_status copy_region(copier *c, tn_region_id from, tn_region_id to)
{
    const tn_region *place = &c->body->regions.items[from];
    const bool is_body = c->before == TN_NONE; /* else its nodes go into a region that exists */
    for (uint32_t k = 0; is_body && k < place->inputs.count; k++) {
        place = &c->body->regions.items[from];
        TN_TRY(copy_value(c, place->inputs.items[k], to));
        TN_TRY(tn_graph_add_input(c->graph, to, c->values[tn_slot_of(place->inputs.items[k])]));
    }
    /* Regions move when they grow: the table is read anew after each copy. */
    for (tn_node_id n = c->body->regions.items[from].first; n != TN_NONE; n = tn_node_of(c->body, n)->next)
        if (n != c->owner || c->body != c->graph)
            TN_TRY(copy_node(c, tn_node_of(c->body, n), to));
    for (uint32_t k = 0; is_body && k < c->body->regions.items[from].outputs.count; k++) {
        const tn_region_output output = c->body->regions.items[from].outputs.items[k];
        if (value_of(c, output.value) == TN_NONE)
            TN_TRY(copy_value(c, output.value, to));
        TN_TRY(tn_graph_add_output(c->graph, to, output.name, value_of(c, output.value)));
    }
    return TN_OK;
}

static tn_status inline_body(copier *c, tn_region_id body_region, const tn_value_id *inputs, uint32_t input_count,
                             tn_value_id *outputs, uint32_t output_count)
{
    const tn_region *place = &c->body->regions.items[body_region];
    const tn_region_id to = tn_node_of(c->graph, c->owner)->view.region;
    if (input_count > place->inputs.count || output_count > place->outputs.count)
        return tn_raise(TN_ERR_ARGUMENT, "the body has %u inputs and %u outputs, not %u and %u", place->inputs.count,
                        place->outputs.count, input_count, output_count);
    for (uint32_t k = 0; k < input_count; k++)
        c->values[tn_slot_of(place->inputs.items[k])] = inputs[k];
    TN_TRY(copy_region(c, body_region, to));
    for (uint32_t k = 0; k < output_count; k++) {
        const tn_value_id output = c->body->regions.items[body_region].outputs.items[k].value;
        if (value_of(c, output) == TN_NONE && tn_value_of(c->body, output)->constant)
            TN_TRY(copy_value(c, output, to));
        outputs[k] = value_of(c, output);
    }
    return TN_OK;
}

tn_status tn_graph_inline(tn_graph *graph, tn_node_id owner, const tn_graph *body, tn_region_id body_region,
                          const tn_value_id *inputs, uint32_t input_count, tn_value_id *outputs, uint32_t output_count)
{
    tn_node *node;
    tn_region *region;
    TN_TRY(tn_need_node(graph, owner, &node));
    TN_TRY(tn_need_region(body, body_region, &region));
    copier c = { .graph = graph, .body = body, .owner = owner, .before = owner };
    c.values = tn_alloc((size_t)body->values.count + 1, sizeof *c.values);
    if (!c.values)
        return tn_raise_memory();
    memset(c.values, 0xff, ((size_t)body->values.count + 1) * sizeof *c.values);
    const uint32_t mark = tn_edit_begin(graph);
    const tn_status status = tn_edit_end(graph, mark, inline_body(&c, body_region, inputs, input_count, outputs, output_count));
    tn_free(c.values);
    return status;
}
