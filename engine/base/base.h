/* engine/base/base.h: what every room of the engine uses: errors, memory, text, maps, files.
 *
 * The lowest floor: includes nothing of the engine but tenon/types.h and tenon/tenon.h.
 * SPDX-License-Identifier: MIT */
#ifndef TN_BASE_H
#define TN_BASE_H

#include "tenon/tenon.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TN_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifndef TN_TRY
#define TN_TRY(expression)                                                                         \
    do {                                                                                           \
        tn_status tn_try_status = (expression);                                                    \
        if (tn_try_status != TN_OK)                                                                \
            return tn_try_status;                                                                  \
    } while (0)
#endif

/* ---- errors (error.c) -------------------------------------------------------------------- */

/* Sets this thread's message and answers `status`. */
tn_status tn_raise(tn_status status, const char *format, ...) TN_PRINTF(2, 3);
tn_status tn_raise_v(tn_status status, const char *format, va_list args) TN_PRINTF(2, 0);
/* Puts "prefix: " before this thread's message and answers `status`. */
tn_status tn_raise_at(tn_status status, const char *format, ...) TN_PRINTF(2, 3);
/* TN_ERR_MEMORY with its standard message. */
tn_status tn_raise_memory(void);

/* ---- diagnostics (diagnostics.c) ---------------------------------------------------------- */

/* Adds a copy (diagnostics may be NULL) with its one-line `text` composed, and, for the first
 * error since the call began, makes that line this thread's message. Answers diagnostic->status.
 * Text: "file:line:col: node 'n' (Op): message; suggestion", parts that are "" or NULL left out. */
tn_status tn_diagnose(tn_diagnostics *diagnostics, const tn_diagnostic *diagnostic);
size_t tn_diagnostics_errors(const tn_diagnostics *diagnostics);
/* Around a public call that reads or compiles. begin: the next error is the call's first. end: for
 * a failure, makes the first error's line this thread's message again, whatever was raised and
 * handled since; answers `status`. NULL is fine. */
void tn_diagnostics_begin(tn_diagnostics *diagnostics);
tn_status tn_diagnostics_end(const tn_diagnostics *diagnostics, tn_status status);

/* ---- memory (memory.c) ------------------------------------------------------------------- */

/* Zeroed; NULL when refused, also for a product that overflows. Count 0 gives a block, too. */
void *tn_alloc(size_t count, size_t size);
void *tn_alloc_aligned(size_t bytes, size_t alignment); /* not zeroed; freed by tn_free */
/* Pages of the system's, zero, which take memory only once they are written. Freed by tn_free_pages. */
void *tn_alloc_pages(size_t bytes);
void tn_free_pages(void *block, size_t bytes);
void *tn_realloc(void *block, size_t count, size_t size);
void tn_free(void *block);
char *tn_strdup(const char *text); /* NULL stays NULL */
/* Allocations made by the engine on this thread so far; the zero-allocation promise is checked
 * with it. */
uint64_t tn_allocation_count(void);
/* Tests: the n-th allocation from now on this thread is refused (0: none ever). */
TN_EXPORT void tn_test_fail_allocation(uint64_t n);

/* Checked arithmetic: false on overflow, *out then untouched. */
static inline bool tn_size_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool tn_size_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool tn_int_mul(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline bool tn_int_add(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}
static inline size_t tn_align(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* Makes room for one more element of a growing array {items, count, capacity}. */
#define TN_GROW(list)                                                                              \
    ((list)->count < (list)->capacity                                                              \
         ? true                                                                                    \
         : tn_grow((void **)&(list)->items, &(list)->capacity, sizeof *(list)->items))
bool tn_grow(void **items, uint32_t *capacity, size_t size);

/* A region of memory that dies as a whole. Zero-initialise. */
typedef struct tn_pool {
    struct tn_pool_block *last;
} tn_pool;
void *tn_pool_alloc(tn_pool *pool, size_t bytes); /* zeroed, aligned to 16; NULL when refused */
char *tn_pool_text(tn_pool *pool, const char *text, size_t count); /* adds a zero byte */
char *tn_pool_copy(tn_pool *pool, const char *text);               /* NULL stays NULL */
void *tn_pool_dup(tn_pool *pool, const void *bytes, size_t count);
void tn_pool_fini(tn_pool *pool);

/* ---- caches (cache.c) -------------------------------------------------------------------- */

/* Bytes of the first processor's caches; 0: there is none, or the system does not tell. */
typedef struct tn_caches {
    size_t second, third;
    uint32_t third_shared; /* processors that share the third */
} tn_caches;
tn_caches tn_caches_of_processor(void);

/* ---- text (text.c) ----------------------------------------------------------------------- */

/* A growing text. After a refused allocation `failed` is set and it stays valid. Zero-initialise. */
typedef struct tn_builder {
    char *text;
    size_t count, capacity;
    bool failed;
} tn_builder;
void tn_add(tn_builder *builder, const char *format, ...) TN_PRINTF(2, 3);
void tn_add_bytes(tn_builder *builder, const char *bytes, size_t count);
const char *tn_builder_text(const tn_builder *builder); /* terminated; "" when empty */
void tn_builder_fini(tn_builder *builder);
/* A float or double as the shortest decimal that reads back the same, independent of the locale. */
void tn_add_number(tn_builder *builder, double value, bool is_float32);
/* Reads a number independent of the locale; false when text is not one as a whole. */
bool tn_parse_number(const char *text, double *out);

/* The name nearest to `name` among `count` (Damerau-Levenshtein, case ignored for a tie), or NULL
 * when none is near enough to suggest. */
const char *tn_nearest(const char *name, const char *const *names, size_t count);
/* Matches with * and ?. */
bool tn_glob(const char *pattern, const char *text);
bool tn_ends_with(const char *text, const char *end);
/* Where `part` stands last in a text; NULL: nowhere. */
const char *tn_find_last(const char *text, const char *part);
/* True when `name` stands in the comma-separated list. */
bool tn_list_has(const char *list, const char *name);
/* Cuts the next item of a list separated by `separator` from *rest into out; false at the end.
 * White space around it is dropped, what does not fit is cut. */
bool tn_list_next(const char **rest, char separator, char *out, size_t bytes);

/* ---- maps (map.c) ------------------------------------------------------------------------ */

/* Text → number. Keys are copied. Zero-initialise. */
typedef struct tn_map {
    struct tn_map_slot *slots;
    uint32_t count, capacity;
} tn_map;
bool tn_map_get(const tn_map *map, const char *key, uint32_t *out);  /* out may be NULL */
tn_status tn_map_put(tn_map *map, const char *key, uint32_t number); /* replaces */
void tn_map_remove(tn_map *map, const char *key);
void tn_map_fini(tn_map *map);
/* The map's own copy of the key, put with 0 when it is new. Stays in place until it is removed.
 * NULL when memory is short. */
const char *tn_map_intern(tn_map *map, const char *key);
tn_status tn_map_copy(const tn_map *map, tn_map *out);            /* writes over *out */
uint64_t tn_hash(const void *bytes, size_t count, uint64_t seed); /* FNV-1a folded, 64 bit */
/* Of long contents only pieces, evenly spread, so that weights cost no time: equal hashes say
 * nothing before the contents were compared. */
uint64_t tn_hash_sampled(const void *bytes, size_t count, uint64_t seed);

/* ---- buffers and files (buffer.c, file.c) ------------------------------------------------ */

/* Shared memory: a block (zeroed, aligned to 64) or a mapped file. One reference for the caller. */
tn_status tn_buffer_create(size_t bytes, tn_buffer **out);
tn_status tn_buffer_create_raw(size_t bytes, tn_buffer **out); /* contents undefined */
/* Zeroed by the system as it is written: as cheap as no contents. */
tn_status tn_buffer_create_pages(size_t bytes, tn_buffer **out);
/* Gives the whole pages of [data, data+bytes) back to the system, where the buffer was made so: they
 * are zero then. */
void tn_buffer_drop(tn_buffer *buffer, const void *data, size_t bytes);
/* Takes a block of tn_alloc_aligned, in which the bytes lie, when it answers TN_OK. */
tn_status tn_buffer_wrap_block(void *block, void *bytes, size_t size, tn_buffer **out);
tn_buffer *tn_buffer_ref(tn_buffer *buffer);
void tn_buffer_unref(tn_buffer *buffer); /* NULL is fine */
void *tn_buffer_bytes(tn_buffer *buffer);
size_t tn_buffer_size(const tn_buffer *buffer);
bool tn_buffer_is_mapped(const tn_buffer *buffer);
/* Tells the system that the pages of [data, data+bytes) of a mapped buffer may be dropped. */
void tn_buffer_forget(tn_buffer *buffer, const void *data, size_t bytes);

/* Maps a file for reading (empty files too). TN_ERR_IO with "cannot open 'x': No such file…". */
tn_status tn_file_map(const char *path, tn_buffer **out);
/* Maps a file named relative to a folder, by a caller that nobody trusts: refuses (TN_ERR_IO)
 * absolute paths, "..", and, after resolving symbolic links, what lies outside `folder`. */
tn_status tn_file_map_inside(const char *folder, const char *relative, tn_buffer **out);
/* Writes beside the target and renames: whole or not at all. */
tn_status tn_file_write(const char *path, const void *bytes, size_t count);
/* The folder of a path ("." when it has none), to be freed. */
char *tn_file_folder(const char *path);
char *tn_file_join(const char *folder, const char *name);

#endif
