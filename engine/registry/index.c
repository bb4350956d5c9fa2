/* The index of a folder of plugins: what each brings, so that a plugin is opened only when one of
 * its operators, kernels, passes or formats is asked for. Opening thirty objects costs more than
 * all the rest of a small network's start.
 *
 * In: FOLDER/plugins/index, written by `tenon plugins --index FOLDER` (index_write.c), and the
 * names of the objects beside it. Out: promises, which the lookups redeem. An index counts only
 * when it names exactly the objects that are there, each with the build id that it has now, and is
 * safe from other users as a plugin must be; else it is passed over and all are opened at once, as
 * where there is none. It can save time, never change an answer.
 *
 * The file: lines of words. "tenon-index 1 ABI" first; then for each object "plugin FILE BUILD-ID"
 * and its "operator NAME SINCE", "kernel NAME", "pass NAME", "format NAME EXTENSION", "backend NAME",
 * where NAME is "Name" or "com.example::Name" and "-" stands for no extension; "sum HASH" (tn_hash
 * of all before, hexadecimal) last.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading -------------------------------------------------------------------------------------- */

typedef struct reader {
    tn_registry *registry;
    const char *folder; /* FOLDER/plugins */
    uint32_t rank;
    char *rest;    /* what is left of the text, which the words are cut out of in place */
    tn_list slots; /* of the objects named so far; not in the registry yet */
    tn_list promises;
} reader;

/* The next line's words; those that a line does not have are "". False at the end. */
static bool next_line(reader *r, char *words[3])
{
    static char none[1] = "";
    char *line = strsep(&r->rest, "\n");
    for (uint32_t k = 0; k < 3; k++) {
        char *word = line ? strsep(&line, " ") : NULL;
        words[k] = word ? word : none;
    }
    return r->rest != NULL;
}

static bool read_plugin(reader *r, const char *name, const char *id)
{
    char now[TN_BUILD_ID_TEXT];
    char *file = *name && !strchr(name, '/') ? tn_file_join(r->folder, name) : NULL;
    bool fine = file && tn_build_id(file, now) && strcmp(now, id) == 0;
    tn_plugin_slot *slot = fine ? tn_slot_new(r->registry, file, r->rank) : NULL;
    tn_free(file);
    return slot && tn_list_insert(&r->slots, r->slots.count, slot);
}

static const struct {
    const char *word;
    uint32_t kind;
} kinds[] = {
    { "operator", TN_PROMISE_OPERATOR }, { "kernel", TN_PROMISE_KERNEL },
    { "pass", TN_PROMISE_PASS },         { "format", TN_PROMISE_FORMAT },
    { "backend", TN_PROMISE_BACKEND },
};

static bool read_promise(reader *r, char *words[3])
{
    tn_promise *promise = tn_pool_alloc(&r->registry->pool, sizeof *promise);
    char *name = words[1];
    const char *colons = tn_find_last(name, "::"); /* a domain may hold some, too */
    if (!promise || !r->slots.count || !*name)
        return false;
    for (size_t k = 0; k < TN_COUNT(kinds); k++)
        if (strcmp(words[0], kinds[k].word) == 0)
            promise->kind = kinds[k].kind;
    promise->slot = r->slots.items[r->slots.count - 1];
    promise->domain = "";
    promise->name = name;
    if (promise->kind <= TN_PROMISE_KERNEL && colons) {
        name[colons - name] = '\0';
        promise->domain = name;
        promise->name = colons + 2;
    }
    if (promise->kind == TN_PROMISE_OPERATOR)
        promise->since = (uint32_t)strtoul(words[2], NULL, 10);
    if (promise->kind == TN_PROMISE_FORMAT)
        promise->extension = strcmp(words[2], "-") == 0 ? "" : words[2];
    return promise->kind && tn_list_insert(&r->promises, r->promises.count, promise);
}

/* Cuts the last line off; false when it is not the sum of what stands before. */
static bool check_sum(char *text)
{
    char *last = strstr(text, TN_INDEX_SUM);
    if (!last)
        return false;
    const size_t count = (size_t)(last + 1 - text);
    char sum[17];
    snprintf(sum, sizeof sum, "%016" PRIx64, tn_hash(text, count, 0));
    const char *held = last + strlen(TN_INDEX_SUM);
    const bool same = strncmp(held, sum, 16) == 0 && strcmp(held + 16, "\n") == 0;
    last[1] = '\0';
    return same;
}

static bool read_lines(reader *r)
{
    char *words[3], abi[16];
    snprintf(abi, sizeof abi, "%u", TN_ABI_MAJOR);
    if (!next_line(r, words) || strcmp(words[0], "tenon-index") != 0 ||
        strcmp(words[1], "1") != 0 || strcmp(words[2], abi) != 0)
        return false;
    while (next_line(r, words)) {
        const bool fine = strcmp(words[0], "plugin") == 0 ? read_plugin(r, words[1], words[2])
                                                          : read_promise(r, words);
        if (!fine)
            return false;
    }
    return true;
}

/* Exactly the objects that are there, in their order. */
static bool names_all(const reader *r, const char *const *names, uint32_t count)
{
    bool same = r->slots.count == count;
    for (uint32_t k = 0; same && k < count; k++) {
        const tn_plugin_slot *slot = r->slots.items[k];
        same = strcmp(strrchr(slot->plugin.info.file, '/') + 1, names[k]) == 0;
    }
    return same;
}

/* The whole text, terminated, in the registry's pool; NULL when there is none that may be used. */
static char *read_text(tn_registry *registry, const char *path)
{
    struct stat s;
    tn_buffer *buffer;
    char *text = NULL;
    const bool trusted = registry->flags & TN_RUNTIME_TRUST_FILES;
    if (stat(path, &s) != 0 || (!trusted && !tn_is_safe(&s)) || s.st_size > 1 << 20 ||
        tn_file_map(path, &buffer) != TN_OK)
        return NULL;
    text = tn_pool_text(&registry->pool, tn_buffer_bytes(buffer), tn_buffer_size(buffer));
    tn_buffer_unref(buffer);
    return text;
}

static int compare_promises(const void *a, const void *b)
{
    const tn_promise *p = *(const tn_promise *const *)a, *q = *(const tn_promise *const *)b;
    const int by_domain = strcmp(p->domain, q->domain);
    return by_domain ? by_domain : strcmp(p->name, q->name);
}

static bool adopt(reader *r)
{
    tn_registry *registry = r->registry;
    bool fine = true;
    for (uint32_t k = 0; fine && k < r->slots.count; k++) {
        tn_plugin_slot *slot = r->slots.items[k];
        slot->promised = true;
        fine = tn_list_insert(&registry->plugins, registry->plugins.count, slot);
    }
    for (uint32_t k = 0; fine && k < r->promises.count; k++)
        fine = tn_list_insert(&registry->promises, registry->promises.count, r->promises.items[k]);
    if (registry->promises.count)
        qsort(registry->promises.items, registry->promises.count, sizeof(void *), compare_promises);
    return fine;
}

tn_status tn_index_read(tn_registry *registry, const char *folder, uint32_t rank,
                        const char *const *names, uint32_t count, bool *used)
{
    reader r = { .registry = registry, .folder = folder, .rank = rank };
    char *path = tn_file_join(folder, TN_INDEX_NAME);
    tn_status status = path ? TN_OK : tn_raise_memory();
    *used = false;
    r.rest = path ? read_text(registry, path) : NULL;
    if (r.rest && check_sum(r.rest) && read_lines(&r) && names_all(&r, names, count)) {
        *used = true;
        status = adopt(&r) ? TN_OK : tn_raise_memory();
    }
    tn_free(r.slots.items);
    tn_free(r.promises.items);
    tn_free(path);
    return status;
}

/* ---- redeeming ------------------------------------------------------------------------------------- */

/* Once; a plugin that cannot be opened is refused, and says why in its info. */
static void open_promised(tn_registry *registry, tn_plugin_slot *slot)
{
    if (atomic_load_explicit(&slot->tried, memory_order_acquire))
        return;
    pthread_mutex_lock(&registry->opening);
    if (!atomic_load_explicit(&slot->tried, memory_order_relaxed))
        tn_load_slot(registry, slot);
    pthread_mutex_unlock(&registry->opening);
}

/* The first promise of (domain, name) or after it. The list never changes once a registry is made. */
static uint32_t first_promise(const tn_registry *registry, const char *domain, const char *name)
{
    uint32_t low = 0, high = registry->promises.count;
    const tn_promise wanted = { .domain = domain, .name = name }, *key = &wanted;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare_promises(&registry->promises.items[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Promise k, when it is about this operator or its kernels; else NULL. */
static const tn_promise *promise_of(const tn_registry *registry, uint32_t k, const char *domain,
                                    const char *name)
{
    const tn_promise *p = k < registry->promises.count ? registry->promises.items[k] : NULL;
    return p && strcmp(p->domain, domain) == 0 && strcmp(p->name, name) == 0 ? p : NULL;
}

void tn_want_operator(const tn_registry *registry, const char *domain, const char *name)
{
    const tn_promise *p;
    for (uint32_t k = first_promise(registry, domain, name);
         (p = promise_of(registry, k, domain, name)); k++)
        if (p->kind <= TN_PROMISE_KERNEL)
            open_promised((tn_registry *)registry, p->slot);
}

void tn_want_kind(const tn_registry *registry, uint32_t kind)
{
    for (uint32_t k = 0; k < registry->promises.count; k++) {
        const tn_promise *p = registry->promises.items[k];
        if (p->kind == kind)
            open_promised((tn_registry *)registry, p->slot);
    }
}

void tn_want_format(const tn_registry *registry, const char *name, const char *path)
{
    for (uint32_t k = 0; k < registry->promises.count; k++) {
        const tn_promise *p = registry->promises.items[k];
        if (p->kind == TN_PROMISE_FORMAT &&
            (name ? strcmp(p->name, name) == 0
                  : path && *p->extension && tn_ends_with(path, p->extension)))
            open_promised((tn_registry *)registry, p->slot);
    }
}

void tn_want_plugin(tn_registry *registry, tn_plugin_slot *slot)
{
    if (slot->promised)
        open_promised(registry, slot);
}

uint32_t tn_promised_newest(const tn_registry *registry, const char *domain)
{
    uint32_t newest = 0;
    for (uint32_t k = first_promise(registry, domain, ""); k < registry->promises.count; k++) {
        const tn_promise *p = registry->promises.items[k];
        if (strcmp(p->domain, domain) != 0)
            break;
        if (p->since > newest)
            newest = p->since;
    }
    return newest;
}

const char *tn_registry_refusal(const tn_registry *registry, const char *domain, const char *name)
{
    const tn_promise *p;
    for (uint32_t k = first_promise(registry, domain, name);
         (p = promise_of(registry, k, domain, name)); k++)
        if (p->kind == TN_PROMISE_OPERATOR && atomic_load(&p->slot->tried) &&
            p->slot->plugin.info.status != TN_OK)
            return p->slot->plugin.info.message;
    return NULL;
}
