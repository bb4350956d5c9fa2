/* engine/graph/slots.c: handles: a slot (24 bits) and its generation (8 bits).
 *
 * A slot whose generations are used up is given out no more, so that a stale handle is never taken
 * for a fresh one.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

enum { SLOT_BITS = 24, SLOT_LIMIT = (1 << SLOT_BITS) - 1 };

static tn_status add_slot(tn_slots *slots, uint32_t *out)
{
    if (slots->count >= SLOT_LIMIT)
        return tn_raise(TN_ERR_LIMIT, "the graph has more than %d nodes or values", SLOT_LIMIT);
    if (!TN_GROW(slots))
        return tn_raise_memory();
    slots->items[slots->count] = (tn_slot){ 0 };
    *out = slots->count++;
    return TN_OK;
}

tn_status tn_slots_take(tn_slots *slots, void *object, uint32_t *handle)
{
    uint32_t slot = slots->free_head;
    if (!slots->count)
        TN_TRY(add_slot(slots, &slot)); /* the one that is never given out */
    if (slot)
        slots->free_head = slots->items[slot].next_free;
    else
        TN_TRY(add_slot(slots, &slot));
    slots->items[slot].object = object;
    *handle = slot | (uint32_t)slots->items[slot].generation << SLOT_BITS;
    return TN_OK;
}

void tn_slots_release(tn_slots *slots, uint32_t handle)
{
    const uint32_t slot = tn_slot_of(handle);
    tn_slot *item = &slots->items[slot];
    assert(!item->alive);
    item->object = NULL;
    if (item->generation == UINT8_MAX)
        return;
    item->generation++;
    item->next_free = slots->free_head;
    slots->free_head = slot;
}

void *tn_slots_find(const tn_slots *slots, uint32_t handle)
{
    const uint32_t slot = tn_slot_of(handle);
    if (slot >= slots->count || !slots->items[slot].alive ||
        slots->items[slot].generation != handle >> SLOT_BITS)
        return NULL;
    return slots->items[slot].object;
}

void tn_slots_set_alive(tn_slots *slots, uint32_t handle, bool alive)
{
    tn_slot *item = &slots->items[tn_slot_of(handle)];
    if (item->alive != alive)
        slots->alive += alive ? 1u : UINT32_MAX;
    item->alive = alive;
}

int tn_compare_slots(const void *a, const void *b)
{
    const uint32_t x = tn_slot_of(*(const uint32_t *)a), y = tn_slot_of(*(const uint32_t *)b);
    return (x > y) - (x < y);
}
