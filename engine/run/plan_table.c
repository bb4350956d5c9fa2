/* Plans by input signature: locked, made once however many ask, least recently used goes first.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

struct tn_plan_entry {
    tn_plan_entry *next;
    tn_plan *plan;
    const tn_compile *compile; /* of how many threads */
    tn_region_id region;
    uint32_t input_count;
    uint64_t hash;
    size_t bytes;
    tn_type inputs[];
};

void tn_plan_table_init(tn_plan_table *table, uint32_t limit, uint64_t byte_limit)
{
    *table = (tn_plan_table){ .limit = limit, .byte_limit = byte_limit };
    pthread_mutex_init(&table->lock, NULL);
    pthread_mutex_init(&table->making, NULL);
}

static void entry_destroy(tn_plan_entry *entry)
{
    tn_plan_unref(entry->plan);
    tn_free(entry);
}

void tn_plan_table_fini(tn_plan_table *table)
{
    while (table->first) {
        tn_plan_entry *entry = table->first;
        table->first = entry->next;
        entry_destroy(entry);
    }
    pthread_mutex_destroy(&table->lock);
    pthread_mutex_destroy(&table->making);
}

static uint64_t hash_types(tn_region_id region, const tn_type *inputs, uint32_t count)
{
    uint64_t hash = tn_hash(&region, sizeof region, 0);
    for (uint32_t k = 0; k < count; k++) {
        const uint64_t head[3] = { inputs[k].kind, inputs[k].dtype,
                                   (uint64_t)(int64_t)inputs[k].rank };
        hash = tn_hash(head, sizeof head, hash);
        if (inputs[k].rank > 0)
            hash = tn_hash(inputs[k].dims, (size_t)inputs[k].rank * sizeof *inputs[k].dims, hash);
    }
    return hash;
}

static bool matches(const tn_plan_entry *e, uint64_t hash, const tn_compile *compile,
                    tn_region_id region, const tn_type *inputs, uint32_t count)
{
    if (e->hash != hash || e->compile != compile || e->region != region || e->input_count != count)
        return false;
    for (uint32_t k = 0; k < count; k++)
        if (!tn_type_same_shape(&e->inputs[k], &inputs[k]))
            return false;
    return true;
}

/* Finds a plan and moves it to the front. The table is locked. */
static tn_plan *find(tn_plan_table *table, uint64_t hash, const tn_compile *compile,
                     tn_region_id region, const tn_type *inputs, uint32_t count)
{
    for (tn_plan_entry **link = &table->first; *link; link = &(*link)->next) {
        tn_plan_entry *entry = *link;
        if (!matches(entry, hash, compile, region, inputs, count))
            continue;
        *link = entry->next;
        entry->next = table->first;
        table->first = entry;
        return tn_plan_ref(entry->plan);
    }
    return NULL;
}

/* Takes out what stands too far back; the newest stays whatever its size. A body keeps half as many
 * plans as the graph, and all bodies have half of the bytes: a loop whose value grows asks for a plan
 * each trip, and must push out neither the graph's plans nor those of other bodies. */
static tn_plan_entry *trim(tn_plan_table *table)
{
    const tn_plan_entry *newest = table->first;
    const uint32_t half = table->limit > 1 ? table->limit / 2 : 1;
    uint64_t body_bytes = 0;
    uint32_t of_newest = 0;
    tn_plan_entry *cut = NULL;
    table->count = 0;
    table->bytes = 0;
    for (tn_plan_entry **link = &table->first; *link;) {
        tn_plan_entry *entry = *link;
        const bool body = entry->region != TN_TOP_REGION;
        of_newest += entry->region == newest->region;
        if (entry != newest &&
            ((entry->region == newest->region && of_newest > (body ? half : table->limit)) ||
             (body && body_bytes + entry->bytes > table->byte_limit / 2) ||
             table->bytes + entry->bytes > table->byte_limit)) {
            *link = entry->next;
            entry->next = cut;
            cut = entry;
            continue;
        }
        body_bytes += body ? entry->bytes : 0;
        table->bytes += entry->bytes;
        table->count++;
        link = &entry->next;
    }
    return cut;
}

static void insert(tn_plan_table *table, tn_plan_entry *entry)
{
    pthread_mutex_lock(&table->lock);
    table->misses++;
    entry->next = table->first;
    table->first = entry;
    tn_plan_entry *cut = trim(table);
    pthread_mutex_unlock(&table->lock);
    while (cut) {
        tn_plan_entry *next = cut->next;
        entry_destroy(cut);
        cut = next;
    }
}

static tn_plan *look_up(tn_plan_table *table, uint64_t hash, const tn_compile *compile,
                        tn_region_id region, const tn_type *inputs, uint32_t count)
{
    pthread_mutex_lock(&table->lock);
    tn_plan *plan = find(table, hash, compile, region, inputs, count);
    if (plan)
        table->hits++;
    pthread_mutex_unlock(&table->lock);
    return plan;
}

static tn_status make(tn_plan_table *table, uint64_t hash, const tn_compile *compile,
                      tn_region_id region, const tn_type *inputs, uint32_t count,
                      tn_diagnostics *diagnostics, tn_plan **out)
{
    tn_plan_entry *entry = tn_alloc(1, sizeof *entry + count * sizeof *inputs);
    if (!entry)
        return tn_raise_memory();
    *entry =
        (tn_plan_entry){ .compile = compile, .region = region, .input_count = count, .hash = hash };
    if (count)
        memcpy(entry->inputs, inputs, count * sizeof *inputs);
    const tn_status status = tn_plan_create(compile, region, inputs, count, diagnostics,
                                            &entry->plan);
    if (status != TN_OK) {
        tn_free(entry);
        return status;
    }
    entry->bytes = tn_plan_bytes(entry->plan);
    *out = tn_plan_ref(entry->plan);
    insert(table, entry);
    return TN_OK;
}

tn_status tn_plan_table_get(tn_plan_table *table, const tn_compile *compile, tn_region_id region,
                            const tn_type *inputs, uint32_t count, tn_diagnostics *diagnostics,
                            tn_plan **out)
{
    const uint64_t hash = hash_types(region, inputs, count);
    tn_status status = TN_OK;
    *out = look_up(table, hash, compile, region, inputs, count);
    if (*out)
        return TN_OK;
    /* One at a time makes plans; who waited finds what the one before made. */
    pthread_mutex_lock(&table->making);
    *out = look_up(table, hash, compile, region, inputs, count);
    if (!*out)
        status = make(table, hash, compile, region, inputs, count, diagnostics, out);
    pthread_mutex_unlock(&table->making);
    return status;
}
