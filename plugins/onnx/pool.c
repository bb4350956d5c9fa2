/* plugins/onnx/pool.c: memory from the host in blocks, given back all at once or down to a mark.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <string.h>

struct pool_block {
    pool_block *before;
    tn_buffer *buffer;
    size_t used, capacity;
    char pad[32]; /* data begins at a multiple of 64 */
};
enum { BLOCK_BYTES = 1 << 16 };

static pool_block *add_block(pool *p, size_t bytes)
{
    const tn_host *host = p->call->host;
    tn_buffer *buffer;
    const size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    if (room > SIZE_MAX / 2 ||
        host->buffer_create(p->call, room + sizeof(pool_block), &buffer) != TN_OK)
        return NULL;
    pool_block *block = host->buffer_data(buffer, NULL);
    *block = (pool_block){ .before = p->last, .buffer = buffer, .capacity = room };
    p->last = block;
    return block;
}

void *pool_take(pool *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return p->call->host->fail(p->call, TN_ERR_LIMIT, "a size overflows"), NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    pool_block *block = p->last;
    if (!block || block->capacity - block->used < bytes)
        block = add_block(p, bytes);
    if (!block)
        return NULL;
    void *piece = (char *)(block + 1) + block->used;
    block->used += bytes;
    return piece;
}

pool_mark pool_here(const pool *p)
{
    return (pool_mark){ p->last, p->last ? p->last->used : 0 };
}

void pool_back(pool *p, pool_mark mark)
{
    while (p->last != mark.block) {
        pool_block *block = p->last;
        p->last = block->before;
        p->call->host->buffer_release(block->buffer);
    }
    if (p->last)
        p->last->used = mark.used;
}

void pool_fini(pool *p)
{
    pool_back(p, (pool_mark){ NULL, 0 });
}
