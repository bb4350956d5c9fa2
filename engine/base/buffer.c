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
    void *block; /* that is freed; NULL: mapped */
    void *bytes;
    size_t size;
};

enum { BUFFER_ALIGNMENT = 64 };

static tn_status wrap(void *block, void *bytes, size_t size, tn_buffer **out)
{
    tn_buffer *buffer = tn_alloc(1, sizeof *buffer);
    if (!buffer)
        return tn_raise_memory();
    atomic_init(&buffer->references, 1);
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
    tn_status status = wrap(block, block, bytes, out);
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

tn_status tn_buffer_wrap_block(void *block, void *bytes, size_t size, tn_buffer **out)
{
    return wrap(block, bytes, size, out);
}

tn_status tn_buffer_wrap_mapping(void *bytes, size_t size, tn_buffer **out)
{
    return wrap(NULL, bytes, size, out);
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
    if (buffer->block)
        tn_free(buffer->block);
    else
        munmap(buffer->bytes, buffer->size);
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
    return !buffer->block;
}

void tn_buffer_forget(tn_buffer *buffer, const void *data, size_t bytes)
{
    const long page_bytes = sysconf(_SC_PAGESIZE);
    const uintptr_t start = (uintptr_t)buffer->bytes, first = (uintptr_t)data;
    if (buffer->block || page_bytes <= 0 || first < start || first - start > buffer->size ||
        bytes > buffer->size - (first - start))
        return;
    /* Only whole pages: their neighbours' bytes may still be wanted soon. */
    const size_t page = (size_t)page_bytes;
    const size_t from = tn_align(first - start, page), to = (first - start + bytes) / page * page;
    if (from < to)
        madvise((char *)buffer->bytes + from, to - from, MADV_DONTNEED);
}
