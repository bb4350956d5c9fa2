/* Backends on demand: the plugin's file is loaded and the library behind it opened when somebody
 * asks for the name, once, under the registry's lock.
 *
 * In: a name. Out: an opened backend, or TN_ERR_BACKEND with the reason, the same one each time.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <sched.h>

#ifndef TN_DEFAULT_BACKENDS /* an option of the build */
#define TN_DEFAULT_BACKENDS "native,onednn,openblas,reference"
#endif

/* ---- finding by name --------------------------------------------------------------------------- */

static tn_backend *registered(const tn_registry *registry, const char *name)
{
    for (uint32_t k = 0; k < registry->backends.count; k++) {
        tn_backend *backend = registry->backends.items[k];
        if (strcmp(backend->def.name, name) == 0)
            return backend;
    }
    return NULL;
}

/* The file backends/<name>.so of the first folder that has one. */
static tn_plugin_slot *noted(const tn_registry *registry, const char *name)
{
    for (uint32_t k = 0; k < registry->plugins.count; k++) {
        tn_plugin_slot *slot = registry->plugins.items[k];
        if (slot->plugin.info.is_backend && slot->stem && strcmp(slot->stem, name) == 0)
            return slot;
    }
    return NULL;
}

/* Names of all backends there are, loaded or only noted, each once, sorted. Answers how many; the
 * caller frees *out. */
static uint32_t all_names(const tn_registry *registry, const char ***out)
{
    const uint32_t most = registry->backends.count + registry->plugins.count;
    const char **names = *out = tn_alloc(most, sizeof *names);
    uint32_t count = 0;
    for (uint32_t k = 0; names && k < most; k++) {
        const char *name = NULL;
        if (k < registry->backends.count) {
            name = ((tn_backend *)registry->backends.items[k])->def.name;
        } else {
            const tn_plugin_slot *slot = registry->plugins.items[k - registry->backends.count];
            if (slot->plugin.info.is_backend && slot->stem && !slot->plugin.loaded)
                name = slot->stem;
        }
        uint32_t at = 0;
        while (name && at < count && strcmp(names[at], name) < 0)
            at++;
        if (!name || (at < count && strcmp(names[at], name) == 0))
            continue;
        memmove(names + at + 1, names + at, (count - at) * sizeof *names);
        names[at] = name;
        count++;
    }
    return count;
}

static tn_status unknown_name(const tn_registry *registry, const char *name)
{
    const char **names;
    const uint32_t count = all_names(registry, &names);
    const char *near = count ? tn_nearest(name, names, count) : NULL;
    tn_builder known = { 0 };
    for (uint32_t k = 0; k < count; k++)
        tn_add(&known, "%s%s", k ? ", " : "", names[k]);
    if (near)
        tn_raise(TN_ERR_BACKEND, "there is no backend '%s'; did you mean '%s'?", name, near);
    else
        tn_raise(TN_ERR_BACKEND, "there is no backend '%s'; there are: %s", name,
                 count ? tn_builder_text(&known) : "none");
    tn_builder_fini(&known);
    tn_free(names);
    return TN_ERR_BACKEND;
}

/* ---- opening ------------------------------------------------------------------------------------- */

/* Once: a library that did not open stays unusable, with its reason. */
static void open_once(tn_registry *registry, tn_backend *backend, uint32_t threads)
{
    struct {
        tn_frame frame;
        tn_backend_open ctx;
    } call = { .ctx = { .threads = threads } };
    tn_plugin_slot *slot = (tn_plugin_slot *)(void *)backend->plugin;
    tn_status status = TN_OK;
    if (backend->status != TN_ERR_STATE)
        return;
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_COMPILE, backend->plugin,
                  backend->def.user, NULL);
    if (backend->def.open)
        status = backend->def.open(&call.ctx);
    if (status == TN_OK) {
        const char *text = call.ctx.description
                               ? tn_pool_copy(&registry->pool, call.ctx.description)
                               : NULL;
        backend->instance = call.ctx.instance;
        backend->description = tn_text_or(text, "");
        if (text && !*slot->plugin.info.message)
            slot->plugin.info.message = text;
    } else {
        const char *text = call.frame.message[0] ? tn_pool_copy(&registry->pool, call.frame.message)
                                                 : NULL;
        backend->reason = tn_text_or(text, "it gives no reason");
        tn_slot_refuse(registry, slot, TN_ERR_BACKEND, "%s", backend->reason);
        status = TN_ERR_BACKEND;
    }
    pthread_rwlock_wrlock(&registry->tables);
    backend->status = status;
    pthread_rwlock_unlock(&registry->tables);
}

/* Under `opening`. */
static tn_status open_backend(tn_registry *registry, const char *name, uint32_t threads,
                              tn_backend **out)
{
    tn_backend *backend = registered(registry, name);
    tn_plugin_slot *slot = noted(registry, name);
    if (!backend && slot) {
        if (!slot->plugin.info.opened && slot->plugin.info.status == TN_OK) {
            slot->plugin.info.opened = 1;
            tn_load_slot(registry, slot);
        }
        if (!slot->plugin.loaded)
            return tn_raise(TN_ERR_BACKEND, "backend '%s': %s", name, slot->plugin.info.message);
        backend = registered(registry, name);
        if (!backend)
            return tn_raise(TN_ERR_BACKEND, "backend '%s': %s registers no backend of that name",
                            name, slot->plugin.info.file);
    }
    if (!backend)
        return unknown_name(registry, name);
    open_once(registry, backend, threads);
    if (backend->status != TN_OK)
        return tn_raise(TN_ERR_BACKEND, "backend '%s': %s", name, backend->reason);
    *out = backend;
    return TN_OK;
}

tn_status tn_registry_backend(tn_registry *registry, const char *name, uint32_t threads,
                              tn_backend **out)
{
    if (!name || !*name)
        return tn_raise(TN_ERR_ARGUMENT, "no backend is named");
    tn_want_kind(registry, TN_PROMISE_BACKEND);
    pthread_mutex_lock(&registry->opening);
    const tn_status status = open_backend(registry, name, threads, out);
    pthread_mutex_unlock(&registry->opening);
    return status;
}

/* What a library may use, when no session has said it yet. */
static uint32_t processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    return 1;
}

tn_status tn_open_backends_of(tn_registry *registry, tn_plugin_slot *slot)
{
    tn_backend *backend;
    for (uint32_t k = 0; k < registry->backends.count; k++) {
        const tn_backend *one = registry->backends.items[k];
        if (one->plugin == &slot->plugin)
            TN_TRY(open_backend(registry, one->def.name, processors(), &backend));
    }
    return TN_OK;
}

/* Whether a backend may still be of use: not opened yet, or opened well. */
static bool is_promising(const tn_registry *registry, const char *name)
{
    const tn_backend *backend = registered(registry, name);
    const tn_plugin_slot *slot = noted(registry, name);
    if (backend)
        return backend->status == TN_OK || backend->status == TN_ERR_STATE;
    return slot && slot->plugin.info.status == TN_OK;
}

/* The list that the build names, without what is not here or was found unusable. Nothing is opened:
 * a session whose first backend takes every node never loads the libraries of the others. */
const char *tn_registry_default_backends(tn_registry *registry)
{
    const char *rest = TN_DEFAULT_BACKENDS;
    tn_builder list = { 0 };
    char name[64];
    tn_want_kind(registry, TN_PROMISE_BACKEND);
    pthread_mutex_lock(&registry->opening);
    while (tn_list_next(&rest, ',', name, sizeof name))
        if (is_promising(registry, name))
            tn_add(&list, "%s%s", list.count ? "," : "", name);
    if (!registry->defaults || strcmp(registry->defaults, tn_builder_text(&list)) != 0)
        registry->defaults = tn_pool_copy(&registry->pool, tn_builder_text(&list));
    const char *defaults = tn_text_or(registry->defaults, "");
    pthread_mutex_unlock(&registry->opening);
    tn_builder_fini(&list);
    return defaults;
}
