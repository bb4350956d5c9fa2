/* engine/base/buffer.c: shared memory with a count of references: blocks and mapped files.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "engine/base/buffer.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

struct tn_buffer {
    atomic_uint references;
    enum { BLOCK, MAPPED_FILE, PAGES } kind;
    void *block; /* BLOCK: what is freed */
    void *bytes;
    size_t size;
};

enum { BUFFER_ALIGNMENT = 64 };

static tn_status wrap(uint32_t kind, void *block, void *bytes, size_t size, tn_buffer **out)
{
    tn_buffer *buffer = tn_alloc(1, sizeof *buffer);
    if (!buffer)
        return tn_raise_memory();
    atomic_init(&buffer->references, 1);
    buffer->kind = kind;
    buffer->block = block;
    buffer->bytes = bytes;
    buffer->size = size;
    *out = buffer;
    return TN_OK;
}

tn_status tn_buffer_create_raw(size_t bytes, tn_buffer **out)
{
    if (bytes > PTRDIFF_MAX)
        return tn_raise(TN_ERR_MEMORY, "a block of %zu bytes is more than a machine has", bytes);
    void *block = tn_alloc_aligned(bytes, BUFFER_ALIGNMENT);
    if (!block)
        return tn_raise(TN_ERR_MEMORY, "out of memory for a block of %zu bytes", bytes);
    tn_status status = wrap(BLOCK, block, block, bytes, out);
    if (status != TN_OK)
        tn_free(block);
    return status;
}

tn_status tn_buffer_create(size_t bytes, tn_buffer **out)
{
    TN_TRY(tn_buffer_create_raw(bytes, out));
    memset((*out)->bytes, 0, bytes ? bytes : 1);
    return TN_OK;
}

tn_status tn_buffer_create_pages(size_t bytes, tn_buffer **out)
{
    void *pages = bytes > PTRDIFF_MAX / 2 ? NULL : tn_alloc_pages(bytes ? bytes : 1);
    if (!pages)
        return tn_raise(TN_ERR_MEMORY, "out of memory for a block of %zu bytes", bytes);
    const tn_status status = wrap(PAGES, NULL, pages, bytes ? bytes : 1, out);
    if (status != TN_OK)
        tn_free_pages(pages, bytes ? bytes : 1);
    return status;
}

tn_status tn_buffer_wrap_block(void *block, void *bytes, size_t size, tn_buffer **out)
{
    return wrap(BLOCK, block, bytes, size, out);
}

tn_status tn_buffer_wrap_mapping(void *bytes, size_t size, tn_buffer **out)
{
    return wrap(MAPPED_FILE, NULL, bytes, size, out);
}

tn_buffer *tn_buffer_ref(tn_buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

void tn_buffer_unref(tn_buffer *buffer)
{
    if (!buffer || atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) != 1)
        return;
    switch (buffer->kind) {
    case BLOCK: tn_free(buffer->block); break;
    case MAPPED_FILE: munmap(buffer->bytes, buffer->size); break;
    case PAGES: tn_free_pages(buffer->bytes, buffer->size); break;
    }
    tn_free(buffer);
}

void *tn_buffer_bytes(tn_buffer *buffer)
{
    return buffer->bytes;
}

size_t tn_buffer_size(const tn_buffer *buffer)
{
    return buffer->size;
}

bool tn_buffer_is_mapped(const tn_buffer *buffer)
{
    return buffer->kind == MAPPED_FILE;
}

/* Only whole pages: their neighbours' bytes may still be wanted. The last one of the buffer is whole
 * when nothing of it is left out. */
static void drop_pages(tn_buffer *buffer, const void *data, size_t bytes)
{
    const long page_bytes = sysconf(_SC_PAGESIZE);
    const uintptr_t start = (uintptr_t)buffer->bytes, first = (uintptr_t)data;
    if (page_bytes <= 0 || first < start || first - start > buffer->size ||
        bytes > buffer->size - (first - start))
        return;
    const size_t page = (size_t)page_bytes, end = first - start + bytes;
    const size_t from = tn_align(first - start, page);
    const size_t to = end == buffer->size ? tn_align(end, page) : end / page * page;
    if (from < to)
        madvise((char *)buffer->bytes + from, to - from, MADV_DONTNEED);
}

void tn_buffer_forget(tn_buffer *buffer, const void *data, size_t bytes)
{
    if (buffer->kind == MAPPED_FILE)
        drop_pages(buffer, data, bytes);
}

void tn_buffer_drop(tn_buffer *buffer, const void *data, size_t bytes)
{
    if (buffer->kind == PAGES)
        drop_pages(buffer, data, bytes);
}
