/* engine/graph/build.c: adding regions, values, inputs, outputs and nodes.
 *
 * In: descriptions by people nobody trusts. Out: objects of the graph, or an error and the graph
 * as it was.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- objects ----------------------------------------------------------------------------- */

tn_node *tn_node_create(tn_graph *graph, uint32_t input_count, uint32_t output_count)
{
    const uint32_t capacity = input_count ? input_count : 1;
    tn_node *node = tn_alloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->inputs = tn_alloc(capacity, sizeof *node->inputs);
    node->use_at = tn_alloc(capacity, sizeof *node->use_at);
    node->outputs = tn_alloc(output_count, sizeof *node->outputs);
    if (!node->inputs || !node->use_at || !node->outputs ||
        tn_slots_take(&graph->nodes, node, &node->id) != TN_OK) {
        tn_node_destroy(node);
        return NULL;
    }
    node->input_capacity = capacity;
    node->previous = node->next = TN_NONE;
    node->view.size = sizeof node->view;
    node->view.input_count = input_count;
    node->view.output_count = output_count;
    node->view.inputs = node->inputs;
    node->view.outputs = node->outputs;
    for (uint32_t k = 0; k < output_count; k++)
        node->outputs[k] = TN_NONE;
    return node;
}

void tn_node_destroy(tn_node *node)
{
    tn_free(node->inputs);
    tn_free(node->use_at);
    tn_free(node->outputs);
    tn_free(node->captures.items);
    tn_attribute_list_destroy(node->attributes);
    tn_free(node->metadata);
    tn_free(node);
}

void tn_value_destroy_object(tn_value *value)
{
    tn_free(value->uses.items);
    tn_free(value->outputs.items);
    tn_free(value->elements);
    tn_constant_unref(value->constant);
    tn_free(value);
}

tn_status tn_make_value(tn_graph *graph, tn_region_id region, const char *name, const tn_type *type,
                        tn_value **out)
{
    tn_value *value = tn_alloc(1, sizeof *value);
    if (!value)
        return tn_raise_memory();
    value->type = type ? *type : tn_type_unknown();
    value->type.size = sizeof value->type;
    value->view = (tn_value_view){ .size = sizeof value->view,
                                   .region = region,
                                   .name = name,
                                   .type = &value->type,
                                   .producer = TN_NONE };
    tn_status status = tn_intern_to(graph, "", &value->origin);
    if (status == TN_OK)
        status = tn_slots_take(&graph->values, value, &value->id);
    if (status != TN_OK) {
        tn_free(value);
        return status;
    }
    status = tn_change_add_value(graph, value);
    if (status != TN_OK) {
        tn_slots_release(&graph->values, value->id);
        tn_free(value);
        return status;
    }
    *out = value;
    return TN_OK;
}

/* ---- regions and values -------------------------------------------------------------------- */

tn_status tn_graph_add_region(tn_graph *graph, tn_region_id outer, tn_region_id *out)
{
    tn_region *place;
    TN_TRY(tn_need_region(graph, outer, &place));
    if (place->depth + 1 >= REGION_NESTING)
        return tn_raise(TN_ERR_LIMIT, "bodies nest deeper than %d", REGION_NESTING);
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_add_region(graph, outer, out));
}

static tn_status add_value(tn_graph *graph, tn_region_id region, const char *name,
                           const tn_type *type, tn_value **out)
{
    if (!name) {
        TN_TRY(tn_names_unique(graph, region, "value", &name));
        return tn_make_value(graph, region, name, type, out);
    }
    if (!*name)
        return tn_raise(TN_ERR_ARGUMENT, "the name of a value is empty");
    TN_TRY(tn_intern_to(graph, name, &name));
    if (tn_names_taken(graph, region, name))
        return tn_raise(TN_ERR_DUPLICATE, "the name '%s' stands for another value in this scope",
                        name);
    return tn_make_value(graph, region, name, type, out);
}

/* A type of another minor, as ours. */
static tn_status adopt_type(const tn_type *type, tn_type *out)
{
    *out = tn_type_unknown();
    if (!type)
        return TN_OK;
    memcpy(out, type, type->size && type->size < sizeof *out ? type->size : sizeof *out);
    return tn_type_check(out);
}

tn_status tn_graph_add_value(tn_graph *graph, tn_region_id region, const char *name,
                             const tn_type *type, tn_value_id *out)
{
    tn_region *place;
    tn_type own;
    tn_value *value = NULL;
    TN_TRY(tn_need_region(graph, region, &place));
    TN_TRY(adopt_type(type, &own));
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, add_value(graph, region, name, &own, &value));
    if (status == TN_OK)
        *out = value->id;
    return status;
}

tn_status tn_graph_add_input(tn_graph *graph, tn_region_id region, tn_value_id id)
{
    tn_region *place;
    tn_value *value;
    TN_TRY(tn_need_region(graph, region, &place));
    TN_TRY(tn_need_value(graph, id, &value));
    if (value->view.region != region)
        return tn_raise(TN_ERR_ARGUMENT, "'%s' belongs to another region", value->view.name);
    if (value->view.is_input)
        return tn_raise(TN_ERR_DUPLICATE, "'%s' is an input already", value->view.name);
    if (value->view.producer != TN_NONE)
        return tn_raise(TN_ERR_STATE, "'%s' is made by node '%s': it cannot be an input",
                        value->view.name, tn_node_of(graph, value->view.producer)->view.name);
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_add_region_input(graph, region, value));
}

tn_status tn_graph_add_output(tn_graph *graph, tn_region_id region, const char *name,
                              tn_value_id id)
{
    tn_region *place;
    tn_value *value;
    TN_TRY(tn_need_region(graph, region, &place));
    TN_TRY(tn_need_value(graph, id, &value));
    TN_TRY(tn_need_visible(graph, value, region));
    TN_TRY(tn_intern_to(graph, name ? name : value->view.name, &name));
    if (tn_names_get(graph, region | OUTPUT_NAMES, name) != TN_NONE)
        return tn_raise(TN_ERR_DUPLICATE, "there is an output called '%s' already", name);
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_add_region_output(graph, region, name, value));
}

tn_value_id tn_graph_find_value(const tn_graph *graph, tn_region_id region, const char *name)
{
    const char *kept = graph && name && tn_find_region(graph, region) ? tn_intern(graph, name)
                                                                      : NULL;
    for (tn_region_id r = kept ? region : TN_NONE; r != TN_NONE;
         r = graph->regions.items[r].outer) {
        tn_value_id value = tn_names_get(graph, r, kept);
        if (value != TN_NONE)
            return value;
    }
    return TN_NONE;
}

tn_node_id tn_graph_find_node(const tn_graph *graph, const char *name)
{
    const char *kept = name ? tn_intern(graph, name) : NULL;
    return kept ? tn_names_get(graph, NODE_NAMES, kept) : TN_NONE;
}

/* ---- nodes ------------------------------------------------------------------------------- */

/* A name for a node of this operator: "name" for Name. */
static tn_status name_node(tn_graph *graph, const tn_node_desc *desc, const char **out)
{
    char text[64];
    if (desc->name && *desc->name)
        return tn_names_unique(graph, NODE_NAMES, desc->name, out);
    size_t k = 0;
    for (; desc->op[k] && k + 1 < sizeof text; k++)
        text[k] = desc->op[k] >= 'A' && desc->op[k] <= 'Z' ? (char)(desc->op[k] + 32) : desc->op[k];
    text[k] = 0;
    return tn_names_unique(graph, NODE_NAMES, text, out);
}

static tn_status set_texts(tn_graph *graph, tn_node *node, const tn_node_desc *desc)
{
    TN_TRY(name_node(graph, desc, &node->view.name));
    TN_TRY(tn_intern_to(graph, desc->domain, &node->view.domain));
    TN_TRY(tn_intern_to(graph, desc->op, &node->view.op));
    TN_TRY(tn_intern_to(graph, desc->overload, &node->view.overload));
    TN_TRY(tn_intern_to(graph, desc->origin, &node->origin));
    TN_TRY(tn_intern_to(graph, desc->doc, &node->doc));
    const tn_node *from = desc->trace == TN_NONE ? NULL : tn_find_node(graph, desc->trace);
    return tn_intern_to(graph, from ? tn_trace_of(from) : "", &node->trace);
}

static tn_status set_inputs(tn_graph *graph, tn_node *node, const tn_node_desc *desc)
{
    for (uint32_t k = 0; k < desc->input_count; k++) {
        tn_value *value;
        node->inputs[k] = desc->inputs[k];
        if (desc->inputs[k] == TN_NONE)
            continue;
        TN_TRY(tn_need_value(graph, desc->inputs[k], &value));
        TN_TRY(tn_need_visible(graph, value, desc->region));
    }
    return TN_OK;
}

static tn_status make_output(tn_graph *graph, tn_node *node, uint32_t k)
{
    tn_builder wanted = { 0 };
    tn_value *value = NULL;
    const char *name = NULL;
    tn_add(&wanted, k ? "%s:%" PRIu32 : "%s", node->view.name, k);
    tn_status status = wanted.failed ? tn_raise_memory()
                                     : tn_names_unique(graph, node->view.region,
                                                       tn_builder_text(&wanted), &name);
    tn_builder_fini(&wanted);
    if (status == TN_OK)
        status = tn_make_value(graph, node->view.region, name, NULL, &value);
    if (status == TN_OK)
        node->outputs[k] = value->id;
    return status;
}

/* An existing value as output: nobody else may make it. */
static tn_status take_output(tn_graph *graph, tn_node *node, const tn_node_desc *desc, uint32_t k)
{
    tn_value *value;
    TN_TRY(tn_need_value(graph, desc->outputs[k], &value));
    const tn_value_view *view = &value->view;
    if (view->region != desc->region)
        return tn_raise(TN_ERR_ARGUMENT, "output '%s' belongs to another region", view->name);
    if (view->producer != TN_NONE)
        return tn_raise(TN_ERR_DUPLICATE, "'%s' is made by node '%s' already", view->name,
                        tn_node_of(graph, view->producer)->view.name);
    if (view->is_input || view->constant)
        return tn_raise(TN_ERR_DUPLICATE, "'%s' is %s: no node can make it", view->name,
                        view->is_input ? "an input" : "a constant");
    for (uint32_t j = 0; j < k; j++)
        if (desc->outputs[j] == desc->outputs[k])
            return tn_raise(TN_ERR_DUPLICATE, "'%s' is both output %" PRIu32 " and output %" PRIu32,
                            view->name, j, k);
    node->outputs[k] = value->id;
    return TN_OK;
}

static tn_status set_outputs(tn_graph *graph, tn_node *node, const tn_node_desc *desc)
{
    for (uint32_t k = 0; k < desc->output_count; k++)
        if (!desc->outputs)
            TN_TRY(make_output(graph, node, k));
        else if (desc->outputs[k] != TN_NONE)
            TN_TRY(take_output(graph, node, desc, k));
    return TN_OK;
}

static tn_status set_attributes(tn_graph *graph, tn_node *node, const tn_node_desc *desc)
{
    if (!desc->attribute_count)
        return TN_OK;
    tn_attribute_list *list = tn_attribute_list_create(desc->attribute_count);
    if (!list)
        return tn_raise_memory();
    node->attributes = list;
    node->view.attributes = list->items;
    for (uint32_t k = 0; k < desc->attribute_count; k++) {
        tn_attribute_box *box;
        TN_TRY(tn_attribute_box_create(graph->texts, &desc->attributes[k], &box));
        for (uint32_t j = 0; j < list->count; j++)
            if (list->items[j].name == box->attribute.name) {
                tn_attribute_box_unref(box);
                return tn_raise(TN_ERR_DUPLICATE, "attribute '%s' is given twice",
                                list->items[j].name);
            }
        tn_attribute_list_add(list, box, false);
        node->view.attribute_count = list->count;
        TN_TRY(tn_claim_regions(graph, node, &list->items[k]));
    }
    return TN_OK;
}

static tn_status fill_node(tn_graph *graph, tn_node *node, const tn_node_desc *desc)
{
    node->view.region = desc->region;
    TN_TRY(set_texts(graph, node, desc));
    TN_TRY(set_inputs(graph, node, desc));
    TN_TRY(set_outputs(graph, node, desc));
    TN_TRY(set_attributes(graph, node, desc));
    return tn_change_add_node(graph, node, desc->before);
}

static tn_status check_desc(const tn_graph *graph, tn_node_desc *desc)
{
    tn_region *region;
    tn_node *before;
    TN_TRY(tn_need_region(graph, desc->region, &region));
    if (!desc->op || !*desc->op)
        return tn_raise(TN_ERR_ARGUMENT, "the operator of node '%s' is empty",
                        desc->name ? desc->name : "");
    if ((desc->input_count && !desc->inputs) || (desc->attribute_count && !desc->attributes))
        return tn_raise(TN_ERR_ARGUMENT, "inputs or attributes of node '%s' are NULL",
                        desc->name ? desc->name : "");
    if (desc->attribute_count > ATTRIBUTE_LIMIT)
        return tn_raise(TN_ERR_LIMIT, "node '%s' has more than %d attributes",
                        desc->name ? desc->name : "", ATTRIBUTE_LIMIT);
    if (!desc->before)
        desc->before = TN_NONE;
    if (!desc->trace)
        desc->trace = TN_NONE;
    if (desc->before == TN_NONE)
        return TN_OK;
    TN_TRY(tn_need_node(graph, desc->before, &before));
    if (before->view.region != desc->region)
        return tn_raise(TN_ERR_ARGUMENT, "node '%s' stands in another region", before->view.name);
    return TN_OK;
}

tn_status tn_graph_add_node(tn_graph *graph, const tn_node_desc *desc, tn_node_id *out)
{
    tn_node_desc own = { .before = TN_NONE, .trace = TN_NONE };
    if (!graph || !desc)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    memcpy(&own, desc, desc->size && desc->size < sizeof own ? desc->size : sizeof own);
    TN_TRY(check_desc(graph, &own));
    tn_node *node = tn_node_create(graph, own.input_count, own.output_count);
    if (!node)
        return tn_raise_memory();
    const tn_node_id id = node->id;
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, fill_node(graph, node, &own));
    if (status != TN_OK) {
        tn_slots_release(&graph->nodes, id);
        tn_node_destroy(node);
        return status;
    }
    if (out)
        *out = id;
    return TN_OK;
}
