/* The registry's tables: making and ending one, and the questions that the later stages ask.
 *
 * In: what load.c and backends.c put into the tables. Out: operators, kernels, passes and formats
 * by name. Lookups hold the tables' lock only while they search: what they answer never moves.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>

const char *tn_text_or(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

bool tn_list_insert(tn_list *list, uint32_t at, void *item)
{
    if (!TN_GROW(list))
        return false;
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(void *));
    list->items[at] = item;
    list->count++;
    return true;
}

void tn_list_remove(tn_list *list, uint32_t at)
{
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(void *));
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A linked plugin that cannot be used is refused and shown, like a file's. */
static tn_status add_linked(tn_registry *registry, const struct tn_plugin_entry *const *entries,
                            tn_diagnostics *diagnostics)
{
    for (; *entries; entries++)
        if (tn_registry_add_entry(registry, *entries, NULL, diagnostics) == TN_ERR_MEMORY)
            return TN_ERR_MEMORY;
    return TN_OK;
}

tn_status tn_registry_create(const tn_runtime_options *options, const tn_host_parts *parts,
                             tn_diagnostics *diagnostics, tn_registry **out)
{
    tn_registry *registry = tn_alloc(1, sizeof *registry);
    tn_status status;
    if (!registry)
        return tn_raise_memory();
    if (parts)
        registry->parts = *parts;
    if (!registry->parts.format)
        registry->parts.format = &tn_format_host;
    registry->flags = options ? options->flags : 0;
    registry->next_rank = TN_RANK_FILE + 1;
    pthread_mutex_init(&registry->opening, NULL);
    pthread_rwlock_init(&registry->tables, NULL);
    status = tn_discover(registry, options, diagnostics);
    if (status == TN_OK && options && TN_HAS(options, linked) && options->linked)
        status = add_linked(registry, options->linked, diagnostics);
    if (status != TN_OK) {
        tn_registry_destroy(registry);
        return status;
    }
    *out = registry;
    return TN_OK;
}

static void close_backends(const tn_list *backends)
{
    for (uint32_t k = backends->count; k-- > 0;) {
        tn_backend *backend = backends->items[k];
        if (backend->status == TN_OK && backend->def.close)
            backend->def.close(backend->instance);
    }
}

static void drop_bodies(const tn_list *operators)
{
    for (uint32_t k = 0; k < operators->count; k++)
        tn_graph_destroy((tn_graph *)((tn_operator *)operators->items[k])->function);
}

void tn_registry_destroy(tn_registry *registry)
{
    if (!registry)
        return;
    close_backends(&registry->backends);
    close_backends(&registry->closing);
    drop_bodies(&registry->operators);
    drop_bodies(&registry->retired);
    /* The last loaded goes first. The objects stay mapped: threads of a vendor's library may sit
     * in them. */
    for (uint32_t k = registry->plugins.count; k-- > 0;) {
        tn_plugin_slot *slot = registry->plugins.items[k];
        if (slot->plugin.loaded && slot->entry.unload)
            slot->entry.unload();
    }
    tn_free(registry->operators.items);
    tn_free(registry->kernels.items);
    tn_free(registry->backends.items);
    tn_free(registry->passes.items);
    tn_free(registry->formats.items);
    tn_free(registry->retired.items);
    tn_free(registry->closing.items);
    tn_free(registry->plugins.items);
    tn_free(registry->promises.items);
    tn_pool_fini(&registry->pool);
    pthread_rwlock_destroy(&registry->tables);
    pthread_mutex_destroy(&registry->opening);
    tn_free(registry);
}

size_t tn_registry_plugin_count(const tn_registry *registry)
{
    return registry->plugins.count;
}

const tn_plugin *tn_registry_plugin(const tn_registry *registry, size_t k)
{
    return k < registry->plugins.count ? &((tn_plugin_slot *)registry->plugins.items[k])->plugin
                                       : NULL;
}

const tn_plugin_info *tn_registry_info(tn_registry *registry, size_t k)
{
    const tn_plugin_info *shown = NULL;
    pthread_mutex_lock(&registry->opening);
    tn_plugin_slot *slot = k < registry->plugins.count ? registry->plugins.items[k] : NULL;
    pthread_mutex_unlock(&registry->opening);
    if (slot)
        tn_want_plugin(registry, slot);
    pthread_mutex_lock(&registry->opening);
    if (slot) {
        const tn_plugin_info *now = &slot->plugin.info;
        /* Another thread's session may open a backend while a caller reads: what was given out
         * stays as it is. A backend changes once, so copies are few. */
        if (!slot->shown || memcmp(slot->shown, now, sizeof *now) != 0) {
            tn_plugin_info *copy = tn_pool_alloc(&registry->pool, sizeof *copy);
            slot->shown = copy ? memcpy(copy, now, sizeof *copy) : slot->shown;
        }
        shown = slot->shown;
    }
    pthread_mutex_unlock(&registry->opening);
    return shown;
}

/* ---- operators ------------------------------------------------------------------------------- */

static void read_lock(const tn_registry *registry)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)&registry->tables);
}

static void unlock(const tn_registry *registry)
{
    pthread_rwlock_unlock((pthread_rwlock_t *)&registry->tables);
}

static int compare_names(const char *domain, const char *name, const char *b_domain,
                         const char *b_name)
{
    const int by_domain = strcmp(domain, b_domain);
    return by_domain ? by_domain : strcmp(name, b_name);
}

int tn_compare_operators(const tn_operator *a, const tn_operator *b)
{
    const int by_name = compare_names(a->def.domain, a->def.name, b->def.domain, b->def.name);
    return by_name ? by_name : (a->def.since > b->def.since) - (a->def.since < b->def.since);
}

/* The first operator that is not before (domain, name). */
static uint32_t first_of(const tn_list *operators, const char *domain, const char *name)
{
    uint32_t low = 0, high = operators->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const tn_operator *op = operators->items[middle];
        if (compare_names(op->def.domain, op->def.name, domain, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_named(const tn_operator *op, const char *domain, const char *name)
{
    return compare_names(op->def.domain, op->def.name, domain, name) == 0;
}

const tn_operator *tn_registry_operator(const tn_registry *registry, const char *domain,
                                        const char *name, int64_t opset, uint32_t *newest)
{
    const tn_list *list = &registry->operators;
    const tn_operator *found = NULL;
    uint32_t last = 0;
    domain = tn_text_or(domain, "");
    tn_want_operator(registry, domain, name);
    read_lock(registry);
    for (uint32_t k = first_of(list, domain, name); k < list->count; k++) {
        const tn_operator *op = list->items[k];
        if (!is_named(op, domain, name))
            break;
        last = op->def.since;
        const int64_t from = op->def.accepts_from ? op->def.accepts_from : op->def.since;
        if (from <= opset)
            found = op;
    }
    unlock(registry);
    if (newest)
        *newest = last;
    return found;
}

const tn_operator *tn_registry_newer(const tn_registry *registry, const tn_operator *op)
{
    const tn_list *list = &registry->operators;
    const tn_operator *found = NULL;
    if (!op->plugin)
        return NULL; /* a model's own function */
    tn_want_operator(registry, op->def.domain, op->def.name);
    read_lock(registry);
    for (uint32_t k = first_of(list, op->def.domain, op->def.name); k < list->count && !found;
         k++) {
        const tn_operator *other = list->items[k];
        if (!is_named(other, op->def.domain, op->def.name))
            break;
        if (other->def.since > op->def.since)
            found = other;
    }
    unlock(registry);
    return found;
}

uint32_t tn_registry_newest(const tn_registry *registry, const char *domain)
{
    const tn_list *list = &registry->operators;
    domain = tn_text_or(domain, "");
    uint32_t newest = tn_promised_newest(registry, domain);
    read_lock(registry);
    for (uint32_t k = first_of(list, domain, ""); k < list->count; k++) {
        const tn_operator *op = list->items[k];
        if (strcmp(op->def.domain, domain) != 0)
            break;
        if (op->def.since > newest)
            newest = op->def.since;
    }
    unlock(registry);
    return newest;
}

/* Names of what there is, for a suggestion: of one domain, or (domain NULL) all domains. It opens
 * all: who asks is about to fail. */
static const char *nearest(const tn_registry *registry, const char *domain, const char *name)
{
    const tn_list *list = &registry->operators;
    const char *found = NULL;
    uint32_t count = 0;
    tn_want_kind(registry, TN_PROMISE_OPERATOR);
    read_lock(registry);
    const char **names = tn_alloc(list->count, sizeof *names);
    for (uint32_t k = 0; names && k < list->count; k++) {
        const tn_operator *op = list->items[k];
        const char *one = domain ? op->def.name : op->def.domain;
        if (domain && strcmp(op->def.domain, domain) != 0)
            continue;
        if (*one && (!count || strcmp(names[count - 1], one) != 0))
            names[count++] = one;
    }
    unlock(registry);
    if (count)
        found = tn_nearest(name, names, count);
    tn_free(names);
    return found;
}

const char *tn_registry_nearest_operator(const tn_registry *registry, const char *domain,
                                         const char *name)
{
    return nearest(registry, tn_text_or(domain, ""), name);
}

const char *tn_registry_nearest_domain(const tn_registry *registry, const char *domain)
{
    return nearest(registry, NULL, domain);
}

static const void *item_at(const tn_registry *registry, const tn_list *list, size_t k)
{
    read_lock(registry);
    const void *item = k < list->count ? list->items[k] : NULL;
    unlock(registry);
    return item;
}

const tn_operator *tn_registry_operator_at(const tn_registry *registry, size_t k)
{
    tn_want_kind(registry, TN_PROMISE_OPERATOR);
    return item_at(registry, &registry->operators, k);
}

tn_status tn_registry_body(tn_registry *registry, const tn_operator *op, tn_prepare_body_fn prepare,
                           tn_diagnostics *diagnostics, const tn_graph **out)
{
    tn_graph *body = NULL;
    if (!op->def.body || !op->plugin)
        return TN_NO_MATCH;
    read_lock(registry);
    *out = op->function;
    unlock(registry);
    if (*out)
        return TN_OK;
    if (!registry->parts.body)
        return tn_raise(TN_ERR_STATE, "operator '%s' has a body, but nothing here reads bodies",
                        op->def.name);
    /* Outside of the lock: reading asks the registry. Whoever comes second throws his away. */
    tn_status status = registry->parts.body(registry, op->def.body, diagnostics, &body);
    if (status == TN_OK && prepare)
        status = prepare(registry, body);
    if (status != TN_OK) {
        tn_graph_destroy(body);
        return tn_raise_at(status, "body of operator '%s' (%s)", op->def.name,
                           op->plugin->info.file);
    }
    pthread_rwlock_wrlock(&registry->tables);
    if (op->function) {
        *out = op->function;
    } else {
        *out = ((tn_operator *)op)->function = body;
        body = NULL;
    }
    pthread_rwlock_unlock(&registry->tables);
    tn_graph_destroy(body);
    return TN_OK;
}

/* ---- kernels, passes, formats ------------------------------------------------------------------ */

uint32_t tn_registry_kernels(const tn_registry *registry, const char *backend, const char *domain,
                             const char *op, uint32_t since, const tn_kernel **out,
                             uint32_t capacity)
{
    const tn_list *list = &registry->kernels;
    uint32_t low = 0, count = 0;
    domain = tn_text_or(domain, "");
    tn_want_operator(registry, domain, op);
    read_lock(registry);
    for (uint32_t high = list->count; low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        const tn_kernel *kernel = list->items[middle];
        if (compare_names(kernel->def.domain, kernel->def.op, domain, op) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t k = low; k < list->count; k++) {
        const tn_kernel *kernel = list->items[k];
        if (compare_names(kernel->def.domain, kernel->def.op, domain, op) != 0)
            break;
        if (strcmp(kernel->def.backend, backend) != 0 || since < kernel->def.since ||
            (kernel->def.until && since > kernel->def.until))
            continue;
        if (count < capacity)
            out[count] = kernel;
        count++;
    }
    unlock(registry);
    return count;
}

const tn_pass *tn_registry_pass_at(const tn_registry *registry, size_t k)
{
    tn_want_kind(registry, TN_PROMISE_PASS);
    return item_at(registry, &registry->passes, k);
}

const tn_format *tn_registry_format_at(const tn_registry *registry, size_t k)
{
    tn_want_kind(registry, TN_PROMISE_FORMAT);
    return item_at(registry, &registry->formats, k);
}

/* How well a format fits: by name; else who knows the bytes, those of a fitting extension first;
 * else the extension. 0: not at all. */
static int fit_of(const tn_format_def *def, const char *name, const char *path, const void *bytes,
                  size_t count)
{
    const bool extension = path && def->extension && tn_ends_with(path, def->extension);
    if (name)
        return strcmp(def->name, name) == 0 ? 3 : 0;
    if (bytes && def->sniff && def->sniff(bytes, count))
        return extension ? 3 : 2;
    return extension ? 1 : 0; /* damaged bytes: the format itself says what is wrong */
}

static const tn_format *best_format(const tn_registry *registry, const char *name, const char *path,
                                    const void *bytes, size_t count, int *best)
{
    const tn_list *list = &registry->formats;
    const tn_format *found = NULL;
    *best = 0;
    read_lock(registry);
    for (uint32_t k = 0; k < list->count; k++) {
        const tn_format *format = list->items[k];
        const int fit = fit_of(&format->def, name, path, bytes, count);
        if (fit > *best) {
            *best = fit;
            found = format;
        }
    }
    unlock(registry);
    return found;
}

const tn_format *tn_registry_format(const tn_registry *registry, const char *name, const char *path,
                                    const void *bytes, size_t count)
{
    int best;
    tn_want_format(registry, name, path);
    const tn_format *found = best_format(registry, name, path, bytes, count, &best);
    if (best == 3 || name || !bytes)
        return found;
    tn_want_kind(registry, TN_PROMISE_FORMAT); /* another one may know the bytes */
    return best_format(registry, name, path, bytes, count, &best);
}
