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
    uint32_t *buckets;     /* by hash, open addressing: 1 + index of an item; 0: free */
    uint32_t bucket_count; /* a power of two, more than half of it free */
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
    tn_free(table->buckets);
    pthread_mutex_destroy(&table->lock);
    tn_free(table);
}

static bool same_contents(const tn_tensor *a, const tn_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0) &&
           (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

/* Where the item of these contents stands, or would. */
static uint32_t *bucket_of(const tn_interned *table, const tn_tensor *tensor, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (table->bucket_count - 1);
    for (; table->buckets[at]; at = (at + 1) & (table->bucket_count - 1)) {
        const uint32_t k = table->buckets[at] - 1;
        if (table->hashes[k] == hash && same_contents(&table->items[k]->tensor, tensor))
            break;
    }
    return &table->buckets[at];
}

static bool make_room(tn_interned *table)
{
    const uint32_t wanted = table->bucket_count ? 2 * table->bucket_count : 64;
    uint32_t *buckets;
    if (2 * (table->count + 1) <= table->bucket_count)
        return true;
    buckets = tn_alloc(wanted, sizeof *buckets);
    if (!buckets)
        return false;
    tn_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = wanted;
    for (uint32_t k = 0; k < table->count; k++)
        *bucket_of(table, &table->items[k]->tensor, table->hashes[k]) = k + 1;
    return true;
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
    const uint64_t hash = tn_hash_sampled(tensor->data, tensor->bytes, tensor->dtype);
    tn_constant *found = NULL;
    pthread_mutex_lock(&table->lock);
    if (make_room(table)) {
        uint32_t *bucket = bucket_of(table, tensor, hash);
        if (!*bucket && add(table, constant, hash))
            *bucket = table->count;
        if (*bucket)
            found = table->items[*bucket - 1];
    }
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
