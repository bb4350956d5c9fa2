/* engine/graph/metadata.c: what a graph has as a whole: name, metadata, imported operator sets,
 * model-local functions.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- name, metadata, operator sets --------------------------------------------------------- */

tn_status tn_graph_set_name(tn_graph *graph, const char *name, const char *doc)
{
    if (!graph)
        return tn_raise(TN_ERR_ARGUMENT, "the graph is NULL");
    TN_TRY(tn_intern_to(graph, name, &name));
    TN_TRY(tn_intern_to(graph, doc, &doc));
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_journal_reserve(graph) ? TN_OK : tn_raise_memory();
    if (status == TN_OK) {
        tn_journal_add(
            graph,
            &(tn_record){ .kind = RECORD_GRAPH_NAME, .old = graph->name, .old_too = graph->doc });
        graph->name = name;
        graph->doc = doc;
    }
    return tn_edit_end(graph, mark, status);
}

const char *tn_graph_name(const tn_graph *graph, const char **doc)
{
    if (doc)
        *doc = graph ? graph->doc : "";
    return graph ? graph->name : "";
}

tn_status tn_graph_set_metadata(tn_graph *graph, const char *key, const char *text)
{
    if (!graph || !key || !text)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    TN_TRY(tn_intern_to(graph, key, &key));
    TN_TRY(tn_intern_to(graph, text, &text));
    if (!tn_journal_reserve(graph) || !TN_GROW(&graph->metadata) || !tn_names_reserve(graph, 1))
        return tn_raise_memory();
    uint32_t k = tn_names_get(graph, METADATA_NAMES, key);
    const bool fresh = k == TN_NONE;
    if (fresh)
        tn_names_hold(graph, METADATA_NAMES, key, k = graph->metadata.count);
    uint32_t mark = tn_edit_begin(graph);
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_METADATA,
                                        .a = k,
                                        .old = fresh ? NULL : graph->metadata.items[k].text });
    graph->metadata.items[k].key = key;
    graph->metadata.items[k].text = text;
    graph->metadata.count += fresh;
    return tn_edit_end(graph, mark, TN_OK);
}

tn_node_metadata *tn_node_metadata_copy(const tn_node_metadata *from, uint32_t more)
{
    const uint32_t count = from ? from->count : 0;
    tn_node_metadata *copy = tn_alloc(1,
                                      sizeof *copy + (count + (size_t)more) * sizeof *copy->items);
    if (!copy)
        return NULL;
    copy->count = count;
    for (uint32_t k = 0; k < count; k++)
        copy->items[k] = from->items[k];
    return copy;
}

tn_status tn_graph_set_node_metadata(tn_graph *graph, tn_node_id id, const char *key,
                                     const char *text)
{
    tn_node *node;
    if (!graph || !key || !text)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    TN_TRY(tn_need_node(graph, id, &node));
    TN_TRY(tn_intern_to(graph, key, &key));
    TN_TRY(tn_intern_to(graph, text, &text));
    tn_node_metadata *metadata = tn_node_metadata_copy(node->metadata, 1);
    if (!metadata)
        return tn_raise_memory();
    uint32_t k = 0;
    while (k < metadata->count && metadata->items[k].key != key)
        k++;
    metadata->count += k == metadata->count;
    metadata->items[k].key = key;
    metadata->items[k].text = text;
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_node_metadata(graph, node, metadata));
}

const char *tn_graph_node_metadata(const tn_graph *graph, tn_node_id id, uint32_t k,
                                   const char **text)
{
    const tn_node *node = graph ? tn_find_node(graph, id) : NULL;
    if (!node || !node->metadata || k >= node->metadata->count)
        return NULL;
    if (text)
        *text = node->metadata->items[k].text;
    return node->metadata->items[k].key;
}

uint32_t tn_graph_metadata_count(const tn_graph *graph)
{
    return graph ? graph->metadata.count : 0;
}

const char *tn_graph_metadata(const tn_graph *graph, uint32_t k, const char **text)
{
    if (k >= tn_graph_metadata_count(graph))
        return NULL;
    if (text)
        *text = graph->metadata.items[k].text;
    return graph->metadata.items[k].key;
}

/* "ai.onnx" is the long name of "". */
static const char *plain_domain(const char *domain)
{
    return !domain || !strcmp(domain, "ai.onnx") ? "" : domain;
}

tn_status tn_graph_set_opset(tn_graph *graph, const char *domain, int64_t version)
{
    if (!graph)
        return tn_raise(TN_ERR_ARGUMENT, "the graph is NULL");
    if (version < 1)
        return tn_raise(TN_ERR_ARGUMENT, "operator set %" PRId64 " of '%s' is below 1", version,
                        plain_domain(domain));
    TN_TRY(tn_intern_to(graph, plain_domain(domain), &domain));
    if (!tn_journal_reserve(graph) || !TN_GROW(&graph->opsets) || !tn_names_reserve(graph, 1))
        return tn_raise_memory();
    uint32_t k = tn_names_get(graph, OPSET_NAMES, domain);
    const bool fresh = k == TN_NONE;
    if (fresh)
        tn_names_hold(graph, OPSET_NAMES, domain, k = graph->opsets.count);
    uint32_t mark = tn_edit_begin(graph);
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_OPSET,
                                        .a = k,
                                        .b = !fresh,
                                        .number = fresh ? 0 : graph->opsets.items[k].version });
    graph->opsets.items[k].domain = domain;
    graph->opsets.items[k].version = version;
    graph->opsets.count += fresh;
    return tn_edit_end(graph, mark, TN_OK);
}

uint32_t tn_graph_opset_count(const tn_graph *graph)
{
    return graph ? graph->opsets.count : 0;
}

const char *tn_graph_opset(const tn_graph *graph, uint32_t k, int64_t *version)
{
    if (k >= tn_graph_opset_count(graph))
        return NULL;
    if (version)
        *version = graph->opsets.items[k].version;
    return graph->opsets.items[k].domain;
}

/* ---- functions --------------------------------------------------------------------------- */

/* "domain::name:overload" */
static tn_status join(tn_graph *graph, tn_function *function)
{
    tn_builder text = { 0 };
    tn_add(&text, "%s%s%s%s%s", function->domain, *function->domain ? "::" : "", function->name,
           *function->overload ? ":" : "", function->overload);
    tn_status status = text.failed ? tn_raise_memory()
                                   : tn_intern_to(graph, tn_builder_text(&text), &function->whole);
    tn_builder_fini(&text);
    return status;
}

static tn_status add_function(tn_graph *graph, const tn_function *function)
{
    if (!tn_journal_reserve(graph) || !TN_GROW(&graph->functions) || !tn_names_reserve(graph, 1))
        return tn_raise_memory();
    tn_function added = *function;
    TN_TRY(tn_graph_create_sharing(graph->dims, graph->texts, &added.graph));
    added.graph->name = function->name;
    added.graph->source = graph->source ? tn_source_ref(graph->source) : NULL;
    tn_names_hold(graph, FUNCTION_NAMES, added.whole, graph->functions.count);
    graph->functions.items[graph->functions.count++] = added;
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_FUNCTION });
    return TN_OK;
}

tn_status tn_graph_add_function(tn_graph *graph, const char *domain, const char *name,
                                const char *overload, tn_graph **out)
{
    tn_function function = { 0 };
    if (!graph || !name || !*name || !out)
        return tn_raise(TN_ERR_ARGUMENT, "a function needs a graph and a name");
    TN_TRY(tn_intern_to(graph, plain_domain(domain), &function.domain));
    TN_TRY(tn_intern_to(graph, name, &function.name));
    TN_TRY(tn_intern_to(graph, overload, &function.overload));
    TN_TRY(join(graph, &function));
    if (tn_names_get(graph, FUNCTION_NAMES, function.whole) != TN_NONE)
        return tn_raise(TN_ERR_DUPLICATE, "there is a function '%s' already", function.whole);
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, add_function(graph, &function));
    if (status == TN_OK)
        *out = graph->functions.items[graph->functions.count - 1].graph;
    return status;
}

uint32_t tn_graph_function_count(const tn_graph *graph)
{
    return graph ? graph->functions.count : 0;
}

tn_graph *tn_graph_function(const tn_graph *graph, uint32_t k, const char **domain,
                            const char **name, const char **overload)
{
    if (k >= tn_graph_function_count(graph))
        return NULL;
    const tn_function *function = &graph->functions.items[k];
    if (domain)
        *domain = function->domain;
    if (name)
        *name = function->name;
    if (overload)
        *overload = function->overload;
    return function->graph;
}

tn_status tn_graph_add_function_attribute(tn_graph *function, const tn_attribute *attribute,
                                          uint32_t required)
{
    tn_attribute_box *box;
    if (!function)
        return tn_raise(TN_ERR_ARGUMENT, "the function is NULL");
    tn_attribute_list *old = function->parameters;
    const uint32_t count = old ? old->count : 0;
    if (count >= ATTRIBUTE_LIMIT)
        return tn_raise(TN_ERR_LIMIT, "the function has more than %d attributes", ATTRIBUTE_LIMIT);
    TN_TRY(tn_attribute_box_create(function->texts, attribute, &box));
    tn_attribute_list *list = NULL;
    bool taken = false;
    for (uint32_t k = 0; k < count; k++)
        taken = taken || old->items[k].name == box->attribute.name;
    if (!taken)
        list = tn_attribute_list_create(count + 1);
    if (!list) {
        tn_attribute_box_unref(box);
        return taken
                   ? tn_raise(TN_ERR_DUPLICATE, "attribute '%s' is declared twice", attribute->name)
                   : tn_raise_memory();
    }
    for (uint32_t k = 0; k < count; k++)
        tn_attribute_list_add(list, tn_attribute_box_ref(old->slots[k].box),
                              old->slots[k].is_default);
    tn_attribute_list_add(list, box, required != 0);
    function->parameters = list;
    tn_attribute_list_destroy(old);
    return TN_OK;
}

uint32_t tn_graph_function_attributes(const tn_graph *function, const tn_attribute **out)
{
    if (out)
        *out = function && function->parameters ? function->parameters->items : NULL;
    return function && function->parameters ? function->parameters->count : 0;
}

bool tn_graph_function_attribute_required(const tn_graph *function, uint32_t k)
{
    return k < tn_graph_function_attributes(function, NULL) &&
           function->parameters->slots[k].is_default;
}
