/* engine/compile/pass_duplicates.c: merge_duplicates: equal nodes and equal constants, once.
 *
 * Two nodes are equal when they have the same operator of the same version, equal attributes and
 * the same inputs (the two inputs of a commutative operator in either order), the operator is
 * deterministic, does not act and runs no body. One of them stays: the one whose region lies
 * around the other's, or the first. Such a merge closes no cycle: the one that stays reads only
 * what the other read, too.
 *
 * Two constants are equal when their contents are, bit for bit. Large ones are not read as a whole
 * for that, since that would bring every page of a mapped file into memory: a few samples tell
 * most apart, and only where these agree the rest is compared. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

/* Equal hashes looked at for one node or value: a bound for graphs made to collide. */
enum { CHAIN = 64 };

typedef struct tn_entry {
    uint64_t hash;
    uint32_t id, next; /* 1 + index; 0 ends */
} tn_entry;
/* Nodes (or values) by the hash of what they are. */
typedef struct tn_table {
    tn_entry *items;
    uint32_t count, capacity;
    uint32_t *heads; /* [size] 1 + index */
    uint32_t size;   /* a power of two */
} tn_table;

static bool table_grow(tn_table *table)
{
    const uint32_t size = table->size ? table->size * 2 : 256;
    uint32_t *heads = tn_alloc(size, sizeof *heads);
    if (!heads)
        return false;
    for (uint32_t k = 0; k < table->count; k++) {
        uint32_t *head = &heads[table->items[k].hash & (size - 1)];
        table->items[k].next = *head;
        *head = k + 1;
    }
    tn_free(table->heads);
    table->heads = heads;
    table->size = size;
    return true;
}

static tn_status table_add(tn_table *table, uint64_t hash, uint32_t id)
{
    uint32_t *head;
    if ((table->count >= table->size && !table_grow(table)) || !TN_GROW(table))
        return tn_raise_memory();
    head = &table->heads[hash & (table->size - 1)];
    table->items[table->count] = (tn_entry){ .hash = hash, .id = id, .next = *head };
    *head = ++table->count;
    return TN_OK;
}

static void table_fini(tn_table *table)
{
    tn_free(table->items);
    tn_free(table->heads);
}

/* ---- contents ---------------------------------------------------------------------------- */

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return tn_hash(text, strlen(text), seed);
}

static uint64_t hash_strings(const tn_text *strings, size_t count, uint64_t seed)
{
    for (size_t k = 0; k < count; k++)
        seed = tn_hash(strings[k].bytes, strings[k].count, seed + 1);
    return seed;
}

static bool same_strings(const tn_text *a, const tn_text *b, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (a[k].count != b[k].count ||
            (a[k].count && memcmp(a[k].bytes, b[k].bytes, a[k].count) != 0))
            return false;
    return true;
}

static uint64_t hash_tensor(const tn_tensor *tensor, uint64_t seed)
{
    seed = tn_hash(&tensor->dtype, sizeof tensor->dtype, seed + (uint64_t)tensor->rank);
    if (tensor->rank)
        seed = tn_hash(tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims, seed);
    return tensor->dtype == TN_STRING
               ? hash_strings(tensor->data, tensor->bytes / sizeof(tn_text), seed)
               : tn_hash_sampled(tensor->data, tensor->bytes, seed);
}

static bool same_tensor(const tn_tensor *a, const tn_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank || a->bytes != b->bytes ||
        (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0))
        return false;
    if (a->dtype == TN_STRING)
        return same_strings(a->data, b->data, a->bytes / sizeof(tn_text));
    return !a->bytes || a->data == b->data || memcmp(a->data, b->data, a->bytes) == 0;
}

/* ---- attributes -------------------------------------------------------------------------- */

static uint64_t hash_attribute(const tn_attribute *a)
{
    uint64_t seed = hash_text(a->name, a->type);
    switch (a->type) {
    case TN_ATTR_FLOAT: return tn_hash(&a->f, sizeof a->f, seed);
    case TN_ATTR_INT: return tn_hash(&a->i, sizeof a->i, seed);
    case TN_ATTR_STRING: return hash_strings(&a->s, 1, seed);
    case TN_ATTR_TENSOR: return hash_tensor(&a->tensors[0], seed);
    case TN_ATTR_FLOATS:
        return a->count ? tn_hash(a->floats, a->count * sizeof *a->floats, seed) : seed;
    case TN_ATTR_INTS: return a->count ? tn_hash(a->ints, a->count * sizeof *a->ints, seed) : seed;
    case TN_ATTR_STRINGS: return hash_strings(a->strings, a->count, seed);
    default: return seed + a->count;
    }
}

static bool same_tensors(const tn_attribute *a, const tn_attribute *b, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!same_tensor(&a->tensors[k], &b->tensors[k]))
            return false;
    return true;
}

static bool same_types(const tn_attribute *a, const tn_attribute *b, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!tn_type_equal(&a->types[k], &b->types[k]))
            return false;
    return true;
}

bool tn_same_attribute(const tn_attribute *a, const tn_attribute *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TN_ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof a->f) == 0; /* bits: -0 is not 0 */
    case TN_ATTR_INT: return a->i == b->i;
    case TN_ATTR_STRING: return same_strings(&a->s, &b->s, 1);
    case TN_ATTR_TENSOR: return same_tensors(a, b, 1);
    case TN_ATTR_TYPE: return same_types(a, b, 1);
    default: break;
    }
    if (a->count != b->count)
        return false;
    switch (a->type) {
    case TN_ATTR_FLOATS:
        return !a->count || memcmp(a->floats, b->floats, a->count * sizeof *a->floats) == 0;
    case TN_ATTR_INTS:
        return !a->count || memcmp(a->ints, b->ints, a->count * sizeof *a->ints) == 0;
    case TN_ATTR_STRINGS: return same_strings(a->strings, b->strings, a->count);
    case TN_ATTR_TENSORS: return same_tensors(a, b, a->count);
    case TN_ATTR_TYPES: return same_types(a, b, a->count);
    default: return false; /* bodies: not compared */
    }
}

/* ---- nodes ------------------------------------------------------------------------------- */

/* Only two inputs: a sum of three in another order rounds otherwise. */
static bool is_pair(const tn_graph *graph, tn_node_id node, const tn_node_view *view)
{
    return view->input_count == 2 && (tn_operator_of(graph, node)->def.traits & TN_COMMUTATIVE);
}

static uint64_t hash_node(const tn_graph *graph, tn_node_id node, const tn_node_view *view)
{
    uint64_t hash = hash_text(view->op, hash_text(view->domain, view->version)), attributes = 0;
    const uint32_t counts[2] = { view->input_count, view->output_count };
    hash = tn_hash(counts, sizeof counts, hash);
    if (is_pair(graph, node, view)) {
        const bool swap = view->inputs[0] > view->inputs[1];
        const tn_value_id inputs[2] = { view->inputs[swap], view->inputs[!swap] };
        hash = tn_hash(inputs, sizeof inputs, hash);
    } else if (view->input_count) {
        hash = tn_hash(view->inputs, view->input_count * sizeof *view->inputs, hash);
    }
    for (uint32_t k = 0; k < view->attribute_count; k++) /* a sum: their order means nothing */
        attributes += hash_attribute(&view->attributes[k]);
    return tn_hash(&attributes, sizeof attributes, hash);
}

static bool same_inputs(const tn_graph *graph, tn_node_id node, const tn_node_view *a,
                        const tn_node_view *b)
{
    if (a->input_count != b->input_count)
        return false;
    if (!a->input_count || memcmp(a->inputs, b->inputs, a->input_count * sizeof *a->inputs) == 0)
        return true;
    return is_pair(graph, node, a) && a->inputs[0] == b->inputs[1] && a->inputs[1] == b->inputs[0];
}

static bool same_node(const tn_graph *graph, tn_node_id node, const tn_node_view *a,
                      const tn_node_view *b)
{
    if (a->version != b->version || a->output_count != b->output_count ||
        a->attribute_count != b->attribute_count || strcmp(a->op, b->op) != 0 ||
        strcmp(a->domain, b->domain) != 0 || strcmp(a->overload, b->overload) != 0 ||
        !same_inputs(graph, node, a, b))
        return false;
    for (uint32_t k = 0; k < a->attribute_count; k++) {
        const tn_attribute *other = tn_attr(b, a->attributes[k].name);
        if (!other || !tn_same_attribute(&a->attributes[k], other))
            return false;
    }
    return true;
}

/* `stays` makes all that is read of `goes`. */
static bool serves(const tn_graph *graph, const tn_node_view *goes, const tn_node_view *stays)
{
    for (uint32_t k = 0; k < goes->output_count; k++)
        if (goes->outputs[k] != TN_NONE &&
            tn_pass_is_read(tn_graph_value(graph, goes->outputs[k])) &&
            stays->outputs[k] == TN_NONE)
            return false;
    return tn_pass_is_around(graph, stays->region, goes->region);
}

static bool may_merge(const tn_operator *op, const tn_node_view *view)
{
    return op && view->output_count &&
           !(op->def.traits & (TN_NONDETERMINISTIC | TN_SIDE_EFFECT | TN_REGIONS));
}

static tn_status merge(tn_rewrite *ctx, tn_node_id goes, tn_node_id stays)
{
    tn_manager *manager = tn_pass_manager(ctx);
    const tn_node_view *view = tn_graph_node(ctx->graph, goes),
                       *kept = tn_graph_node(ctx->graph, stays);
    const uint32_t count = view->output_count;
    tn_pass_say(ctx, TN_OK, "%s (%s) merged into %s", view->name, view->op, kept->name);
    /* Equal nodes have equal types, unless a declaration says more of one of them. */
    manager->quiet = true;
    for (uint32_t k = 0; k < count; k++) {
        const tn_value_id from = tn_graph_node(ctx->graph, goes)->outputs[k],
                          to = tn_graph_node(ctx->graph, stays)->outputs[k];
        if (from == TN_NONE || !tn_pass_is_read(tn_graph_value(ctx->graph, from)))
            continue;
        if (!tn_type_equal(tn_graph_value(ctx->graph, from)->type,
                           tn_graph_value(ctx->graph, to)->type))
            manager->quiet = false;
        TN_TRY(tn_graph_replace(ctx->graph, from, to));
    }
    /* The one that stays may stand behind readers of the other: positions are made anew. */
    manager->order.valid = false;
    return tn_graph_remove_node(ctx->graph, goes);
}

tn_status tn_match_duplicate(tn_rewrite *ctx, tn_node_id node)
{
    tn_table *table = tn_pass_manager(ctx)->state;
    const tn_node_view *view = tn_graph_node(ctx->graph, node);
    uint32_t looked = 0;
    uint64_t hash;
    if (!may_merge(tn_operator_of(ctx->graph, node), view))
        return TN_NO_MATCH;
    hash = hash_node(ctx->graph, node, view);
    for (uint32_t k = table->size ? table->heads[hash & (table->size - 1)] : 0; k;
         k = table->items[k - 1].next) {
        const tn_entry *entry = &table->items[k - 1];
        const tn_node_view *other = entry->hash == hash ? tn_graph_node(ctx->graph, entry->id)
                                                        : NULL;
        if (!other)
            continue;
        if (entry->id == node)
            return TN_NO_MATCH; /* met before, and nothing about it has changed */
        if (++looked > CHAIN)
            break;
        if (!same_node(ctx->graph, node, view, other))
            continue;
        if (serves(ctx->graph, view, other))
            return merge(ctx, node, entry->id);
        if (serves(ctx->graph, other, view)) {
            const tn_node_id goes = entry->id;
            TN_TRY(table_add(table, hash, node));
            return merge(ctx, goes, node);
        }
    }
    TN_TRY(table_add(table, hash, node));
    return TN_NO_MATCH;
}

/* ---- constants --------------------------------------------------------------------------- */

static bool is_plain_constant(const tn_value_view *value)
{
    return value && value->constant && !value->is_input && value->producer == TN_NONE &&
           tn_pass_is_read(value);
}

static tn_status merge_constant(tn_manager *manager, tn_value_id goes, tn_value_id stays)
{
    const uint32_t pass = (uint32_t)(manager->row - manager->rows);
    char text[300];
    tn_status status;
    snprintf(text, sizeof text, "constant '%.120s' merged into '%.120s'",
             tn_graph_value(manager->graph, goes)->name,
             tn_graph_value(manager->graph, stays)->name);
    TN_TRY(tn_graph_begin(manager->graph));
    status = tn_graph_replace(manager->graph, goes, stays);
    if (status == TN_OK)
        status = tn_graph_remove_value(manager->graph, goes);
    if (status != TN_OK) {
        tn_graph_undo(manager->graph);
        return status;
    }
    tn_pass_commit(manager);
    manager->log->records[pass].fired++;
    return tn_pass_note_add(manager, pass, true, text);
}

static tn_status try_constant(tn_manager *manager, tn_table *table, tn_value_id id)
{
    const tn_graph *graph = manager->graph;
    const tn_value_view *value = tn_graph_value(graph, id);
    const uint64_t hash = hash_tensor(value->constant, 0);
    uint32_t looked = 0;
    for (uint32_t k = table->size ? table->heads[hash & (table->size - 1)] : 0; k && looked < CHAIN;
         k = table->items[k - 1].next) {
        const tn_value_id other_id = table->items[k - 1].id;
        const tn_value_view *other = table->items[k - 1].hash == hash
                                         ? tn_graph_value(graph, other_id)
                                         : NULL;
        if (!other)
            continue;
        looked++;
        if (!same_tensor(value->constant, other->constant))
            continue;
        if (tn_pass_is_around(graph, other->region, value->region))
            return merge_constant(manager, id, other_id);
        if (tn_pass_is_around(graph, value->region, other->region)) {
            TN_TRY(table_add(table, hash, id));
            return merge_constant(manager, other_id, id);
        }
    }
    return table_add(table, hash, id);
}

static tn_status merge_constants(tn_manager *manager)
{
    tn_table table = { 0 };
    tn_status status = TN_OK;
    for (uint32_t slot = 0; slot < tn_graph_value_slots(manager->graph) && status == TN_OK;
         slot++) {
        const tn_value_id id = tn_graph_value_at(manager->graph, slot);
        if (id != TN_NONE && is_plain_constant(tn_graph_value(manager->graph, id)))
            status = try_constant(manager, &table, id);
    }
    table_fini(&table);
    return status;
}

tn_status tn_duplicates_begin(tn_manager *manager)
{
    manager->state = tn_alloc(1, sizeof(tn_table));
    if (!manager->state)
        return tn_raise_memory();
    return merge_constants(manager);
}

tn_status tn_duplicates_end(tn_manager *manager)
{
    if (manager->state)
        table_fini(manager->state);
    tn_free(manager->state);
    manager->state = NULL;
    return TN_OK;
}
