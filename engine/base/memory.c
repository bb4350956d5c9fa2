/* engine/base/memory.c: every allocation of the engine goes through here.
 *
 * Counted per thread, so that the promise "no allocation after the first run" can be checked, and
 * refusable per thread, so that tests can see what each caller does then.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "engine/base/base.h"

#include <sys/mman.h>
#include <unistd.h>

static _Thread_local uint64_t allocations;
static _Thread_local uint64_t refuse_in;

/* Counts an allocation; false when a test wants this one refused. */
static bool granted(void)
{
    allocations++;
    return !refuse_in || --refuse_in;
}

uint64_t tn_allocation_count(void)
{
    return allocations;
}

void tn_test_fail_allocation(uint64_t n)
{
    refuse_in = n;
}

void *tn_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!tn_size_mul(count, size, &bytes) || !granted())
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

/* Pages of 2 MiB spare most misses of the address cache when weights are streamed through; a block
 * that is smaller than two of them may hold none. The system may refuse: then pages are small. */
enum { HUGE_PAGE = 2 << 20 };

static void ask_for_huge_pages(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    (void)madvise(block, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

void *tn_alloc_aligned(size_t bytes, size_t alignment)
{
    const bool large = bytes >= 2 * (size_t)HUGE_PAGE;
    void *block = NULL;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (large && alignment < HUGE_PAGE)
        alignment = HUGE_PAGE;
    if (!granted() || posix_memalign(&block, alignment, bytes ? bytes : 1))
        return NULL;
    if (large)
        ask_for_huge_pages(block, bytes);
    return block;
}

/* A mapping that begins at a huge page's place where it may hold some: what lies before is given back. */
void *tn_alloc_pages(size_t bytes)
{
    const bool large = bytes >= 2 * (size_t)HUGE_PAGE;
    size_t room;
    if (!bytes || !tn_size_add(bytes, large ? HUGE_PAGE : 0, &room) || !granted())
        return NULL;
    char *block = mmap(NULL, room, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    if (!large)
        return block;
    const size_t before = tn_align((uintptr_t)block, HUGE_PAGE) - (uintptr_t)block;
    const size_t used = tn_align(before + bytes, (size_t)sysconf(_SC_PAGESIZE));
    if (before)
        munmap(block, before);
    if (used < room)
        munmap(block + used, room - used);
    ask_for_huge_pages(block + before, bytes);
    return block + before;
}

void tn_free_pages(void *block, size_t bytes)
{
    if (block)
        munmap(block, bytes);
}

void *tn_realloc(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (!tn_size_mul(count, size, &bytes) || !granted())
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

void tn_free(void *block)
{
    free(block);
}

char *tn_strdup(const char *text)
{
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = tn_alloc(bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

bool tn_grow(void **items, uint32_t *capacity, size_t size)
{
    if (*capacity > UINT32_MAX / 2)
        return false;
    uint32_t wanted = *capacity ? *capacity * 2 : 4;
    void *block = tn_realloc(*items, wanted, size);
    if (!block)
        return false;
    *items = block;
    *capacity = wanted;
    return true;
}

/* ---- pools ------------------------------------------------------------------------------- */

struct tn_pool_block {
    struct tn_pool_block *before;
    size_t used, bytes;
    size_t unused; /* keeps what follows aligned to 16 */
};
enum { POOL_ALIGNMENT = 16, POOL_FIRST = 1024, POOL_LARGEST = 256 * 1024 };

/* A block that has room for `bytes`; blocks grow with the pool, large requests get their own. */
static struct tn_pool_block *add_block(tn_pool *pool, size_t bytes)
{
    size_t room = pool->last ? pool->last->bytes * 2 : POOL_FIRST, whole;
    if (room > POOL_LARGEST)
        room = POOL_LARGEST;
    if (room < bytes)
        room = bytes;
    if (!tn_size_add(room, sizeof(struct tn_pool_block), &whole))
        return NULL;
    struct tn_pool_block *block = tn_alloc(whole, 1);
    if (!block)
        return NULL;
    block->bytes = room;
    block->before = pool->last;
    pool->last = block;
    return block;
}

void *tn_pool_alloc(tn_pool *pool, size_t bytes)
{
    if (bytes > SIZE_MAX - POOL_ALIGNMENT)
        return NULL;
    bytes = tn_align(bytes ? bytes : 1, POOL_ALIGNMENT);
    struct tn_pool_block *block = pool->last;
    if (!block || block->bytes - block->used < bytes)
        block = add_block(pool, bytes);
    if (!block)
        return NULL;
    void *out = (char *)(block + 1) + block->used;
    block->used += bytes;
    return out;
}

char *tn_pool_text(tn_pool *pool, const char *text, size_t count)
{
    char *copy = count < SIZE_MAX ? tn_pool_alloc(pool, count + 1) : NULL;
    if (copy && count)
        memcpy(copy, text, count);
    return copy;
}

char *tn_pool_copy(tn_pool *pool, const char *text)
{
    return text ? tn_pool_text(pool, text, strlen(text)) : NULL;
}

void *tn_pool_dup(tn_pool *pool, const void *bytes, size_t count)
{
    void *copy = tn_pool_alloc(pool, count);
    if (copy && count)
        memcpy(copy, bytes, count);
    return copy;
}

void tn_pool_fini(tn_pool *pool)
{
    for (struct tn_pool_block *block = pool->last, *before; block; block = before) {
        before = block->before;
        tn_free(block);
    }
    pool->last = NULL;
}
