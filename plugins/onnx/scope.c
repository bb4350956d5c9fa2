/* plugins/onnx/scope.c: what names stand for in a graph, a body or a function.
 *
 * ONNX lets a body's names be those of the graph around it (older exporters do it, though the
 * standard forbids it); Tenon's graphs do not. So names are looked up here, and the graph gets a
 * unique one.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <string.h>

static uint64_t hash(wire_span name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t k = 0; k < name.count; k++)
        h = (h ^ name.bytes[k]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

/* The slot of that name, or the free one where it would stand. */
static size_t slot_of(const scope *s, wire_span name)
{
    size_t at = hash(name) & (s->capacity - 1);
    while (s->entries[at].name.bytes && !wire_equal(s->entries[at].name, name))
        at = (at + 1) & (s->capacity - 1);
    return at;
}

static bool grow(reader *r, scope *s)
{
    const scope old = *s;
    s->capacity = old.capacity ? old.capacity * 4 : 16;
    s->entries = pool_take(&r->names, s->capacity, sizeof *s->entries);
    if (!s->entries)
        return false;
    memset(s->entries, 0, s->capacity * sizeof *s->entries);
    for (size_t k = 0; k < old.capacity; k++)
        if (old.entries[k].name.bytes)
            s->entries[slot_of(s, old.entries[k].name)] = old.entries[k];
    return true;
}

name_entry *scope_entry(reader *r, scope *s, wire_span name)
{
    if ((s->count + 1) * 2 > s->capacity && !grow(r, s))
        return NULL;
    name_entry *entry = &s->entries[slot_of(s, name)];
    if (entry->name.bytes)
        return entry;
    s->count++;
    *entry = (name_entry){ .name = name, .value = TN_NONE };
    return entry;
}

tn_value_id scope_find(const scope *s, wire_span name)
{
    for (; s; s = s->up) {
        const name_entry *entry = s->capacity ? &s->entries[slot_of(s, name)] : NULL;
        if (entry && entry->name.bytes && entry->value != TN_NONE)
            return entry->value;
    }
    return TN_NONE;
}
