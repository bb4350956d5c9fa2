/* Private layouts, interned per session: equal bytes are equal layouts.
 *
 * In: blobs from the kernels' measure. Out: small numbers that the plan compares.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#define FIRST_PRIVATE 2u

typedef struct entry {
    void *blob;
    size_t blob_bytes, bytes;
} entry;

struct tn_layout_table {
    pthread_mutex_t lock;
    entry **items; /* entries never move: their blobs are lent */
    uint32_t count, capacity;
};

tn_status tn_layout_table_create(tn_layout_table **out)
{
    tn_layout_table *table = tn_alloc(1, sizeof *table);
    if (!table)
        return tn_raise_memory();
    pthread_mutex_init(&table->lock, NULL);
    *out = table;
    return TN_OK;
}

void tn_layout_table_destroy(tn_layout_table *table)
{
    if (!table)
        return;
    for (uint32_t k = 0; k < table->count; k++) {
        tn_free(table->items[k]->blob);
        tn_free(table->items[k]);
    }
    tn_free(table->items);
    pthread_mutex_destroy(&table->lock);
    tn_free(table);
}

static entry *entry_create(const void *blob, size_t blob_bytes, size_t bytes)
{
    entry *made = tn_alloc(1, sizeof *made);
    void *copy = made ? tn_alloc(blob_bytes, 1) : NULL;
    if (!copy) {
        tn_free(made);
        return NULL;
    }
    memcpy(copy, blob, blob_bytes);
    *made = (entry){ .blob = copy, .blob_bytes = blob_bytes, .bytes = bytes };
    return made;
}

tn_status tn_layout_intern(tn_layout_table *table, const void *blob, size_t blob_bytes,
                           size_t bytes, uint32_t *out)
{
    tn_status status = TN_OK;
    uint32_t k = 0;
    if (!blob || !blob_bytes)
        return tn_raise(TN_ERR_ARGUMENT, "a private layout needs bytes that describe it");
    pthread_mutex_lock(&table->lock);
    while (k < table->count &&
           (table->items[k]->blob_bytes != blob_bytes || table->items[k]->bytes != bytes ||
            memcmp(table->items[k]->blob, blob, blob_bytes) != 0))
        k++;
    if (k == table->count) {
        entry *made = TN_GROW(table) ? entry_create(blob, blob_bytes, bytes) : NULL;
        if (made)
            table->items[table->count++] = made;
        else
            status = tn_raise_memory();
    }
    pthread_mutex_unlock(&table->lock);
    if (status == TN_OK)
        *out = k + FIRST_PRIVATE;
    return status;
}

static const entry *find(tn_layout_table *table, uint32_t layout)
{
    const entry *found = NULL;
    pthread_mutex_lock(&table->lock);
    if (layout >= FIRST_PRIVATE && layout - FIRST_PRIVATE < table->count)
        found = table->items[layout - FIRST_PRIVATE];
    pthread_mutex_unlock(&table->lock);
    return found;
}

const void *tn_layout_blob(tn_layout_table *table, uint32_t layout, size_t *blob_bytes)
{
    const entry *found = find(table, layout);
    *blob_bytes = found ? found->blob_bytes : 0;
    return found ? found->blob : NULL;
}

size_t tn_layout_bytes(tn_layout_table *table, uint32_t layout, const tn_type *type)
{
    const entry *found = find(table, layout);
    size_t bytes = 0;
    if (found)
        return found->bytes;
    (void)tn_shape_bytes(type->dtype, type->rank, type->dims, &bytes);
    return bytes;
}

bool tn_layout_same(uint32_t a, uint32_t b, const tn_type *type)
{
    int64_t spatial = 1;
    if (a == b)
        return true;
    if (a > TN_LAYOUT_CHANNELS_LAST || b > TN_LAYOUT_CHANNELS_LAST)
        return false;
    for (int32_t axis = 2; axis < type->rank; axis++)
        spatial *= type->dims[axis];
    return type->rank < 3 || type->dims[1] == 1 || spatial == 1;
}

/* ---- host functions ------------------------------------------------------------------------- */

static tn_status host_layout(tn_call *call, const void *blob, size_t blob_bytes, size_t bytes,
                             uint32_t *out)
{
    const tn_compile *compile = tn_frame_of(call)->room;
    return tn_layout_intern(compile->layouts, blob, blob_bytes, bytes, out);
}

static const void *host_layout_blob(tn_call *call, uint32_t layout, size_t *blob_bytes)
{
    const tn_compile *compile = tn_frame_of(call)->room;
    return tn_layout_blob(compile->layouts, layout, blob_bytes);
}

const tn_host tn_compile_host = { .layout = host_layout,
                                  .layout_blob = host_layout_blob,
                                  .extension = tn_compile_extension };
