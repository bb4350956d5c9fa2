/* engine/graph/source.c: where in which file things stand, for complaints.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

tn_source *tn_source_ref(tn_source *source)
{
    atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
    return source;
}

void tn_source_unref(tn_source *source)
{
    if (!source || atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) != 1)
        return;
    if (source->fini)
        source->fini(source->user);
    tn_free(source->file);
    tn_free(source);
}

void tn_graph_set_source(tn_graph *graph, const char *file, tn_locate_fn locate, void *user,
                         void (*fini)(void *))
{
    tn_source *source = tn_alloc(1, sizeof *source);
    if (source)
        source->file = tn_strdup(file ? file : "");
    if (!source || !source->file) { /* complaints then go without a place */
        tn_free(source);
        if (fini)
            fini(user);
        return;
    }
    atomic_init(&source->references, 1);
    source->locate = locate;
    source->user = user;
    source->fini = fini;
    tn_source_unref(graph->source);
    graph->source = source;
    for (uint32_t k = 0; k < graph->functions.count; k++) {
        tn_graph *function = graph->functions.items[k].graph;
        tn_source_unref(function->source);
        function->source = tn_source_ref(source);
    }
}

const char *tn_graph_file(const tn_graph *graph)
{
    return graph && graph->source ? graph->source->file : "";
}

/* Writes "if1/then_branch/loop2/body", from the outside in. */
static void add_path(const tn_graph *graph, tn_region_id region, tn_builder *out)
{
    const tn_node *owner = region == TN_TOP_REGION || region >= graph->regions.count
                               ? NULL
                               : tn_find_node(graph, graph->regions.items[region].owner);
    if (!owner)
        return;
    add_path(graph, owner->view.region, out);
    tn_add(out, "%s%s", out->count ? "/" : "", owner->view.name);
    for (uint32_t k = 0; k < owner->view.attribute_count; k++)
        if (tn_attribute_has_region(&owner->view.attributes[k], region))
            tn_add(out, "/%s", owner->view.attributes[k].name);
}

/* The text as one that lives as long as the graph; "" when memory is short. */
static const char *keep(const tn_graph *graph, tn_builder *text)
{
    const char *kept = text->failed ? NULL : tn_intern(graph, tn_builder_text(text));
    tn_builder_fini(text);
    return kept ? kept : "";
}

void tn_graph_locate(tn_graph *graph, tn_node_id id, const char *part, tn_diagnostic *out)
{
    const tn_node *node = tn_find_node(graph, id);
    out->file = tn_graph_file(graph);
    out->line = out->column = 0;
    out->region = out->node = out->op = "";
    if (!node)
        return;
    tn_builder path = { 0 }, op = { 0 };
    add_path(graph, node->view.region, &path);
    tn_add(&op, "%s%s%s", node->view.domain, *node->view.domain ? "::" : "", node->view.op);
    out->region = keep(graph, &path);
    out->op = keep(graph, &op);
    out->node = node->view.name;
    if (graph->source && graph->source->locate && *node->origin)
        graph->source->locate(graph->source->user, node->origin, part ? part : "", &out->line,
                              &out->column);
}
