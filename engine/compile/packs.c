/* Packed constants: one block per (contents, backend build, key), shared by all plans and sessions
 * of a model. The first who asks fills it, others wait until it is filled.
 *
 * In: ids of constants and the kernel's key. Out: reference-counted blocks.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

enum { FILLING, READY, FAILED };

struct tn_pack_block {
    tn_packs *owner;
    struct tn_pack_block *next;
    tn_buffer *buffer; /* its own, or shared with others */
    char *data;
    void *key; /* sources, build and the kernel's key, as one */
    size_t key_bytes, bytes;
    uint32_t refs, state;
};

struct tn_packs {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    tn_pack_block *first;
    uint64_t bytes;
    tn_buffer *room; /* where new blocks lie; NULL: each by itself */
    size_t used;     /* of it */
};

tn_status tn_packs_create(tn_packs **out)
{
    tn_packs *packs = tn_alloc(1, sizeof *packs);
    if (!packs)
        return tn_raise_memory();
    pthread_mutex_init(&packs->lock, NULL);
    pthread_cond_init(&packs->filled, NULL);
    *out = packs;
    return TN_OK;
}

void tn_packs_destroy(tn_packs *packs)
{
    if (!packs)
        return;
    assert(!packs->first); /* plans hold their model */
    tn_buffer_unref(packs->room);
    pthread_mutex_destroy(&packs->lock);
    pthread_cond_destroy(&packs->filled);
    tn_free(packs);
}

uint64_t tn_packs_bytes(tn_packs *packs)
{
    pthread_mutex_lock(&packs->lock);
    uint64_t bytes = packs->bytes;
    pthread_mutex_unlock(&packs->lock);
    return bytes;
}

/* Lengths stand in the key as well, so that no two keys run into each other. */
static void *make_key(const uint64_t *sources, uint32_t source_count, const char *build,
                      const void *key, size_t key_bytes, size_t bytes, size_t *out_bytes)
{
    const size_t build_bytes = strlen(build) + 1;
    const uint64_t head[3] = { source_count, build_bytes, bytes };
    const size_t total = sizeof head + source_count * sizeof *sources + build_bytes + key_bytes;
    char *made = tn_alloc(total, 1), *at = made;
    if (!made)
        return NULL;
    memcpy(at, head, sizeof head);
    at += sizeof head;
    if (source_count)
        memcpy(at, sources, source_count * sizeof *sources);
    at += source_count * sizeof *sources;
    memcpy(at, build, build_bytes);
    if (key_bytes)
        memcpy(at + build_bytes, key, key_bytes);
    *out_bytes = total;
    return made;
}

static tn_pack_block *find(tn_packs *packs, const void *key, size_t key_bytes)
{
    for (tn_pack_block *block = packs->first; block; block = block->next)
        if (block->state != FAILED && block->key_bytes == key_bytes &&
            memcmp(block->key, key, key_bytes) == 0)
            return block;
    return NULL;
}

void tn_packs_reserve(tn_packs *packs, size_t bytes)
{
    enum { WORTH = 256 * 1024 };
    tn_buffer *room = NULL;
    if (bytes >= WORTH && tn_buffer_create_pages(bytes, &room) != TN_OK)
        room = NULL; /* then each block finds its own place, or says that memory is short */
    pthread_mutex_lock(&packs->lock);
    tn_buffer_unref(packs->room);
    packs->room = room;
    packs->used = 0;
    pthread_mutex_unlock(&packs->lock);
}

/* Zeroed memory for a block: a part of the room, or its own. */
static bool find_place(tn_packs *packs, tn_pack_block *block, size_t bytes)
{
    const size_t left = packs->room ? tn_buffer_size(packs->room) - packs->used : 0;
    if (bytes && bytes <= left) {
        block->buffer = tn_buffer_ref(packs->room);
        block->data = (char *)tn_buffer_bytes(packs->room) + packs->used;
        packs->used += tn_align(bytes, 64) < left ? tn_align(bytes, 64) : left;
        return true;
    }
    if (tn_buffer_create(bytes, &block->buffer) != TN_OK)
        return false;
    block->data = tn_buffer_bytes(block->buffer);
    return true;
}

static tn_pack_block *block_create(tn_packs *packs, void *key, size_t key_bytes, size_t bytes)
{
    tn_pack_block *block = tn_alloc(1, sizeof *block);
    if (!block || !find_place(packs, block, bytes)) {
        tn_free(block);
        return NULL;
    }
    block->owner = packs;
    block->key = key;
    block->key_bytes = key_bytes;
    block->bytes = bytes;
    block->next = packs->first;
    packs->first = block;
    packs->bytes += bytes;
    return block;
}

tn_status tn_packs_get(tn_packs *packs, const uint64_t *sources, uint32_t source_count,
                       const char *build, const void *key, size_t key_bytes, size_t bytes,
                       tn_pack_block **out, bool *fill)
{
    size_t whole_bytes;
    void *whole = make_key(sources, source_count, build, key, key_bytes, bytes, &whole_bytes);
    tn_pack_block *block;
    if (!whole)
        return tn_raise_memory();
    pthread_mutex_lock(&packs->lock);
    /* A block that failed to fill is no longer found, so whoever waited for it tries itself. */
    while ((block = find(packs, whole, whole_bytes)) && block->state == FILLING)
        pthread_cond_wait(&packs->filled, &packs->lock);
    *fill = !block;
    if (!block) {
        block = block_create(packs, whole, whole_bytes, bytes);
        whole = block ? NULL : whole;
    }
    if (block)
        block->refs++;
    pthread_mutex_unlock(&packs->lock);
    tn_free(whole);
    if (!block)
        return tn_raise_memory();
    *out = block;
    return TN_OK;
}

void tn_pack_filled(tn_pack_block *block, bool ok)
{
    pthread_mutex_lock(&block->owner->lock);
    block->state = ok ? READY : FAILED;
    pthread_cond_broadcast(&block->owner->filled);
    pthread_mutex_unlock(&block->owner->lock);
}

void *tn_pack_data(tn_pack_block *block)
{
    return block->data;
}

void tn_pack_unref(tn_pack_block *block)
{
    tn_packs *packs;
    if (!block)
        return;
    packs = block->owner;
    pthread_mutex_lock(&packs->lock);
    const bool last = --block->refs == 0;
    if (last) {
        tn_pack_block **link = &packs->first;
        while (*link != block)
            link = &(*link)->next;
        *link = block->next;
        packs->bytes -= block->bytes;
    }
    pthread_mutex_unlock(&packs->lock);
    if (!last)
        return;
    tn_buffer_drop(block->buffer, block->data, block->bytes); /* others may stay beside it */
    tn_buffer_unref(block->buffer);
    tn_free(block->key);
    tn_free(block);
}
