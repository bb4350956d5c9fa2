/* Constants that passes make, once for all sessions of a model: folding the same graph again gives
 * the same contents, and equal contents are one constant, with one pack for each kernel's form.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

struct tn_interned {
    pthread_mutex_t lock;
    tn_constant **items;
    uint64_t *hashes;
    uint32_t count, capacity, hash_capacity;
};

tn_status tn_interned_create(tn_interned **out)
{
    tn_interned *table = tn_alloc(1, sizeof *table);
    if (!table)
        return tn_raise_memory();
    pthread_mutex_init(&table->lock, NULL);
    *out = table;
    return TN_OK;
}

void tn_interned_destroy(tn_interned *table)
{
    if (!table)
        return;
    for (uint32_t k = 0; k < table->count; k++)
        tn_constant_unref(table->items[k]);
    tn_free(table->items);
    tn_free(table->hashes);
    pthread_mutex_destroy(&table->lock);
    tn_free(table);
}

static bool same_contents(const tn_tensor *a, const tn_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0) &&
           (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

static bool add(tn_interned *table, tn_constant *constant, uint64_t hash)
{
    if (!TN_GROW(table) ||
        (table->count >= table->hash_capacity &&
         !tn_grow((void **)&table->hashes, &table->hash_capacity, sizeof *table->hashes)))
        return false;
    table->items[table->count] = tn_constant_ref(constant);
    table->hashes[table->count++] = hash;
    return true;
}

/* The table's constant of these contents, which may now be this one. Lent; NULL: memory is short. */
static tn_constant *intern(tn_interned *table, tn_constant *constant)
{
    const tn_tensor *tensor = &constant->tensor;
    const uint64_t hash = tn_hash(tensor->data, tensor->bytes, tensor->dtype);
    tn_constant *found = NULL;
    pthread_mutex_lock(&table->lock);
    for (uint32_t k = 0; k < table->count && !found; k++)
        if (table->hashes[k] == hash && same_contents(&table->items[k]->tensor, tensor))
            found = table->items[k];
    if (!found && add(table, constant, hash))
        found = constant;
    pthread_mutex_unlock(&table->lock);
    return found;
}

/* Strings hold pointers, whose bytes say nothing of the text. */
static bool is_new(const tn_constant *constant, uint64_t last_id)
{
    return constant && constant->id > last_id && constant->tensor.dtype != TN_STRING;
}

tn_status tn_intern_constants(tn_interned *table, tn_graph *graph, uint64_t last_id)
{
    for (uint32_t slot = 0; slot < tn_graph_value_slots(graph); slot++) {
        const tn_value_id value = tn_graph_value_at(graph, slot);
        tn_constant *own = value == TN_NONE ? NULL : tn_graph_constant(graph, value);
        if (!is_new(own, last_id))
            continue;
        tn_constant *shared = intern(table, own);
        if (!shared)
            return tn_raise_memory();
        if (shared != own)
            TN_TRY(tn_graph_set_constant(graph, value, shared));
    }
    return TN_OK;
}
