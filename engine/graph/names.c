/* engine/graph/names.c: texts kept once, and who has which name.
 *
 * The names of nodes are unique in the graph, those of values in their scope: no two in one region,
 * and none that a region further in or out has. For that, each region knows how often a name is
 * used below it.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- texts ------------------------------------------------------------------------------- */

tn_texts *tn_texts_create(void)
{
    tn_texts *texts = tn_alloc(1, sizeof *texts);
    if (!texts)
        return NULL;
    if (pthread_mutex_init(&texts->lock, NULL)) {
        tn_free(texts);
        return NULL;
    }
    atomic_init(&texts->references, 1);
    return texts;
}

tn_texts *tn_texts_ref(tn_texts *texts)
{
    atomic_fetch_add_explicit(&texts->references, 1, memory_order_relaxed);
    return texts;
}

void tn_texts_unref(tn_texts *texts)
{
    if (!texts || atomic_fetch_sub_explicit(&texts->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&texts->lock);
    tn_map_fini(&texts->map);
    tn_free(texts);
}

const char *tn_texts_intern(tn_texts *texts, const char *text)
{
    pthread_mutex_lock(&texts->lock);
    const char *kept = tn_map_intern(&texts->map, text);
    pthread_mutex_unlock(&texts->lock);
    return kept;
}

const char *tn_intern(const tn_graph *graph, const char *text)
{
    return tn_texts_intern(graph->texts, text);
}

tn_status tn_intern_to(const tn_graph *graph, const char *text, const char **out)
{
    const char *kept = tn_intern(graph, text ? text : "");
    if (!kept)
        return tn_raise_memory();
    *out = kept;
    return TN_OK;
}

/* ---- the table --------------------------------------------------------------------------- */

static uint32_t hash_of(tn_region_id region, const char *name)
{
    const uint64_t mixed = ((uint64_t)(uintptr_t)name >> 4 ^ (uint64_t)region << 32 ^ region) *
                           UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32);
}

/* The entry, or the free one where it would go. The table is never full. */
static tn_name_entry *find(const tn_names *names, tn_region_id region, const char *name)
{
    uint32_t at = hash_of(region, name) & (names->capacity - 1);
    while (names->items[at].name &&
           (names->items[at].name != name || names->items[at].region != region))
        at = (at + 1) & (names->capacity - 1);
    return &names->items[at];
}

bool tn_names_reserve(tn_graph *graph, uint32_t more)
{
    tn_names *names = &graph->names;
    if ((uint64_t)names->count + more < (uint64_t)names->capacity / 4 * 3)
        return true;
    tn_names larger = { .count = names->count, .capacity = names->capacity };
    do {
        if (larger.capacity > UINT32_MAX / 4)
            return false;
        larger.capacity = larger.capacity ? larger.capacity * 2 : 64;
    } while ((uint64_t)names->count + more >= (uint64_t)larger.capacity / 4 * 3);
    larger.items = tn_alloc(larger.capacity, sizeof *larger.items);
    if (!larger.items)
        return false;
    for (uint32_t k = 0; k < names->capacity; k++)
        if (names->items[k].name)
            *find(&larger, names->items[k].region, names->items[k].name) = names->items[k];
    tn_free(names->items);
    *names = larger;
    return true;
}

static tn_name_entry *get(const tn_graph *graph, tn_region_id region, const char *name)
{
    if (!graph->names.count)
        return NULL;
    tn_name_entry *entry = find(&graph->names, region, name);
    return entry->name ? entry : NULL;
}

static tn_name_entry *need(tn_graph *graph, tn_region_id region, const char *name)
{
    tn_name_entry *entry = find(&graph->names, region, name);
    if (!entry->name) {
        *entry = (tn_name_entry){ name, region, TN_NONE, 0 };
        graph->names.count++;
    }
    return entry;
}

/* Removes an entry that says nothing any more; later ones move back, so that there are no graves. */
static void tidy(tn_graph *graph, tn_name_entry *entry)
{
    tn_names *names = &graph->names;
    const uint32_t mask = names->capacity - 1;
    if (entry->handle != TN_NONE || entry->below)
        return;
    names->count--;
    uint32_t hole = (uint32_t)(entry - names->items);
    for (uint32_t at = (hole + 1) & mask; names->items[at].name; at = (at + 1) & mask) {
        uint32_t home = hash_of(names->items[at].region, names->items[at].name) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            names->items[hole] = names->items[at];
            hole = at;
        }
    }
    names->items[hole] = (tn_name_entry){ 0 };
}

static tn_region_id outer_of(const tn_graph *graph, tn_region_id region)
{
    return region & OUTPUT_NAMES ? TN_NONE : graph->regions.items[region].outer;
}

uint32_t tn_names_get(const tn_graph *graph, tn_region_id region, const char *name)
{
    const tn_name_entry *entry = get(graph, region, name);
    return entry ? entry->handle : TN_NONE;
}

bool tn_names_taken(const tn_graph *graph, tn_region_id region, const char *name)
{
    const tn_name_entry *entry = get(graph, region, name);
    if (entry) /* its own, or one below */
        return true;
    for (tn_region_id r = outer_of(graph, region); r != TN_NONE; r = outer_of(graph, r))
        if (tn_names_get(graph, r, name) != TN_NONE)
            return true;
    return false;
}

void tn_names_hold(tn_graph *graph, tn_region_id region, const char *name, uint32_t handle)
{
    need(graph, region, name)->handle = handle;
    for (tn_region_id r = outer_of(graph, region); r != TN_NONE; r = outer_of(graph, r))
        need(graph, r, name)->below++;
}

void tn_names_drop(tn_graph *graph, tn_region_id region, const char *name)
{
    tn_name_entry *entry = find(&graph->names, region, name);
    entry->handle = TN_NONE;
    tidy(graph, entry);
    for (tn_region_id r = outer_of(graph, region); r != TN_NONE; r = outer_of(graph, r)) {
        entry = find(&graph->names, r, name);
        entry->below--;
        tidy(graph, entry);
    }
}

/* ---- names made unique -------------------------------------------------------------------- */

tn_status tn_names_unique(tn_graph *graph, tn_region_id region, const char *wanted,
                          const char **out)
{
    tn_map *suffixes = region == NODE_NAMES ? &graph->node_suffixes : &graph->value_suffixes;
    uint32_t next = 2;
    const char *name = NULL;
    TN_TRY(tn_intern_to(graph, wanted, &name));
    if (!tn_names_taken(graph, region, name)) {
        *out = name;
        return TN_OK;
    }
    tn_map_get(suffixes, wanted, &next);
    for (tn_builder text = { 0 };; text.count = 0) {
        tn_add(&text, "%s#%" PRIu32, wanted, next++);
        name = text.failed ? NULL : tn_intern(graph, tn_builder_text(&text));
        if (name && tn_names_taken(graph, region, name))
            continue;
        tn_builder_fini(&text);
        break;
    }
    if (!name)
        return tn_raise_memory();
    TN_TRY(tn_map_put(suffixes, wanted, next));
    *out = name;
    return TN_OK;
}
