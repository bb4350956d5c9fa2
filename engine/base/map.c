/* engine/base/map.c: text → number, and the hash that other tables use too.
 *
 * Open addressing with linear probing; a removal moves later entries back, so that there are no
 * graves and a table that never shrinks can take back what was removed without allocating.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

struct tn_map_slot {
    char *key; /* NULL: free */
    uint32_t hash;
    uint32_t number;
};

uint64_t tn_hash(const void *bytes, size_t count, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t k = 0; k < count; k++)
        hash = (hash ^ p[k]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

uint64_t tn_hash_sampled(const void *bytes, size_t count, uint64_t seed)
{
    enum { SAMPLES = 16, SAMPLE_BYTES = 64 };
    const char *data = bytes;
    if (count <= (size_t)SAMPLES * SAMPLE_BYTES)
        return count ? tn_hash(data, count, seed) : seed;
    for (size_t k = 0; k < SAMPLES; k++)
        seed = tn_hash(data + (count - SAMPLE_BYTES) / (SAMPLES - 1) * k, SAMPLE_BYTES, seed);
    return seed;
}

static uint32_t hash_of(const char *key)
{
    return (uint32_t)tn_hash(key, strlen(key), 0);
}

/* The slot that holds `key`, or the free one where it would go. The table is never full. */
static uint32_t find(const tn_map *map, const char *key, uint32_t hash)
{
    uint32_t at = hash & (map->capacity - 1);
    while (map->slots[at].key &&
           (map->slots[at].hash != hash || strcmp(map->slots[at].key, key) != 0))
        at = (at + 1) & (map->capacity - 1);
    return at;
}

static bool make_room(tn_map *map)
{
    if ((uint64_t)map->count * 4 + 4 <= (uint64_t)map->capacity * 3)
        return true;
    if (map->capacity > UINT32_MAX / 4)
        return false;
    tn_map larger = { .count = map->count, .capacity = map->capacity ? map->capacity * 2 : 16 };
    larger.slots = tn_alloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (uint32_t k = 0; k < map->capacity; k++)
        if (map->slots[k].key)
            larger.slots[find(&larger, map->slots[k].key, map->slots[k].hash)] = map->slots[k];
    tn_free(map->slots);
    *map = larger;
    return true;
}

bool tn_map_get(const tn_map *map, const char *key, uint32_t *out)
{
    if (!map->count)
        return false;
    const struct tn_map_slot *slot = &map->slots[find(map, key, hash_of(key))];
    if (slot->key && out)
        *out = slot->number;
    return slot->key != NULL;
}

static struct tn_map_slot *put(tn_map *map, const char *key, uint32_t number)
{
    if (!make_room(map))
        return NULL;
    uint32_t hash = hash_of(key);
    struct tn_map_slot *slot = &map->slots[find(map, key, hash)];
    if (!slot->key) {
        char *copy = tn_strdup(key);
        if (!copy)
            return NULL;
        *slot = (struct tn_map_slot){ copy, hash, 0 };
        map->count++;
    }
    slot->number = number;
    return slot;
}

tn_status tn_map_put(tn_map *map, const char *key, uint32_t number)
{
    return put(map, key, number) ? TN_OK : tn_raise_memory();
}

const char *tn_map_intern(tn_map *map, const char *key)
{
    if (map->count) {
        const struct tn_map_slot *slot = &map->slots[find(map, key, hash_of(key))];
        if (slot->key)
            return slot->key;
    }
    const struct tn_map_slot *slot = put(map, key, 0);
    return slot ? slot->key : NULL;
}

tn_status tn_map_copy(const tn_map *map, tn_map *out)
{
    tn_map copy = { 0 };
    for (uint32_t k = 0; k < map->capacity; k++)
        if (map->slots[k].key && !put(&copy, map->slots[k].key, map->slots[k].number)) {
            tn_map_fini(&copy);
            return tn_raise_memory();
        }
    *out = copy;
    return TN_OK;
}

void tn_map_remove(tn_map *map, const char *key)
{
    if (!map->count)
        return;
    const uint32_t mask = map->capacity - 1;
    uint32_t hole = find(map, key, hash_of(key));
    if (!map->slots[hole].key)
        return;
    tn_free(map->slots[hole].key);
    map->count--;
    for (uint32_t at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
        uint32_t home = map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct tn_map_slot){ 0 };
}

void tn_map_fini(tn_map *map)
{
    for (uint32_t k = 0; k < map->capacity; k++)
        tn_free(map->slots[k].key);
    tn_free(map->slots);
    *map = (tn_map){ 0 };
}
