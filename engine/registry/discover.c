/* Where plugins are looked for: the caller's folders, TENON_PLUGIN_PATH, the install's own. Never
 * the working folder.
 *
 * In: folders. Out: plugins/<name>.so of each loaded, in the order of their names, or, where an
 * index says what they bring, noted (index.c); backends/<name>.so noted, to be opened when a session
 * asks. A file that cannot be used is refused and shown; it is
 * no error here. A folder's rank is its place in the search: the earlier one is ahead.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int is_object(const struct dirent *entry)
{
    const size_t count = strlen(entry->d_name);
    return entry->d_name[0] != '.' && count > 3 && strcmp(entry->d_name + count - 3, ".so") == 0;
}

/* By bytes, not by the locale: the same order everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Opens a plugin; notes a backend. */
static tn_status take_file(tn_registry *registry, const char *folder, const char *name,
                           uint32_t rank, bool is_backend, tn_diagnostics *diagnostics)
{
    char *file = tn_file_join(folder, name);
    tn_plugin_slot *slot = file ? tn_slot_add(registry, file, rank) : NULL;
    tn_free(file);
    if (!slot)
        return tn_raise_memory();
    slot->plugin.info.is_backend = is_backend;
    if (is_backend)
        slot->plugin.info.name = tn_text_or(slot->stem, "");
    else if (tn_load_slot(registry, slot) != TN_OK)
        tn_slot_diagnose(slot, TN_SEVERITY_WARNING, diagnostics);
    return TN_OK;
}

/* The objects of a folder: by its index, where it has a true one, else file by file. */
static tn_status take_files(tn_registry *registry, const char *folder, const char *const *names,
                            uint32_t count, uint32_t rank, bool are_backends,
                            tn_diagnostics *diagnostics)
{
    bool indexed = false;
    if (count && !are_backends)
        TN_TRY(tn_index_read(registry, folder, rank, names, count, &indexed));
    for (uint32_t k = 0; !indexed && k < count; k++)
        TN_TRY(take_file(registry, folder, names[k], rank, are_backends, diagnostics));
    return TN_OK;
}

/* One of the two folders inside; *found tells whether it is there. */
static tn_status walk(tn_registry *registry, const char *folder, const char *kind, uint32_t rank,
                      bool *found, tn_diagnostics *diagnostics)
{
    struct dirent **entries = NULL;
    char *path = tn_file_join(folder, kind);
    const int count = path ? scandir(path, &entries, is_object, by_name) : -1;
    const char **names = path ? tn_alloc(count > 0 ? (size_t)count : 1, sizeof *names) : NULL;
    tn_status status = names ? TN_OK : tn_raise_memory();
    if (count >= 0)
        *found = true;
    for (int k = 0; names && k < count; k++)
        names[k] = entries[k]->d_name;
    if (names && count > 0)
        status = take_files(registry, path, names, (uint32_t)count, rank,
                            strcmp(kind, "backends") == 0, diagnostics);
    for (int k = 0; k < count; k++)
        free(entries[k]);
    free(entries);
    tn_free(names);
    tn_free(path);
    return status;
}

typedef struct seen_folders {
    struct {
        dev_t device;
        ino_t inode;
    } items[64];
    uint32_t count;
} seen_folders;

/* A folder that two of the paths name is searched once. */
static bool is_new(seen_folders *seen, const struct stat *s)
{
    for (uint32_t k = 0; k < seen->count; k++)
        if (seen->items[k].device == s->st_dev && seen->items[k].inode == s->st_ino)
            return false;
    if (seen->count < TN_COUNT(seen->items)) {
        seen->items[seen->count].device = s->st_dev;
        seen->items[seen->count++].inode = s->st_ino;
    }
    return true;
}

static void warn(tn_diagnostics *diagnostics, const char *format, const char *folder,
                 const char *why)
{
    tn_builder text = { 0 };
    tn_add(&text,
           format[0] == 'c' ? "cannot look for plugins in '%s': %s"
                            : "there are neither plugins/ nor backends/ in '%s'%s",
           folder, why);
    tn_diagnose(diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                               .severity = TN_SEVERITY_WARNING,
                                               .status = TN_ERR_IO,
                                               .message = tn_builder_text(&text) });
    tn_builder_fini(&text);
}

/* `named`: the user named it, and is told when nothing is there. */
static tn_status search(tn_registry *registry, const char *folder, bool named, seen_folders *seen,
                        tn_diagnostics *diagnostics)
{
    struct stat s;
    bool found = false;
    if (stat(folder, &s) != 0) {
        if (named)
            warn(diagnostics, "cannot", folder, strerror(errno));
        return TN_OK;
    }
    if (!is_new(seen, &s))
        return TN_OK;
    const uint32_t rank = registry->next_rank++;
    TN_TRY(walk(registry, folder, "plugins", rank, &found, diagnostics));
    TN_TRY(walk(registry, folder, "backends", rank, &found, diagnostics));
    if (named && !found)
        warn(diagnostics, "neither", folder, "");
    return TN_OK;
}

static tn_status search_path(tn_registry *registry, const char *path, seen_folders *seen,
                             tn_diagnostics *diagnostics)
{
    char folder[4096];
    while (path && tn_list_next(&path, ':', folder, sizeof folder))
        if (*folder) /* an empty item is no "here" */
            TN_TRY(search(registry, folder, true, seen, diagnostics));
    return TN_OK;
}

/* The library's (or, linked statically, the program's) own place: <libdir>/tenon beside it, or
 * lib/tenon beside its folder. */
static tn_status search_install(tn_registry *registry, seen_folders *seen,
                                tn_diagnostics *diagnostics)
{
    static const char *const places[] = { "tenon", "../lib/tenon" };
    Dl_info info;
    if (!dladdr((const void *)(uintptr_t)&tn_registry_create, &info) || !info.dli_fname ||
        !strchr(info.dli_fname, '/'))
        return TN_OK;
    char *own = tn_file_folder(info.dli_fname);
    tn_status status = own ? TN_OK : tn_raise_memory();
    for (size_t k = 0; status == TN_OK && k < TN_COUNT(places); k++) {
        char *folder = tn_file_join(own, places[k]);
        status = folder ? search(registry, folder, false, seen, diagnostics) : tn_raise_memory();
        tn_free(folder);
    }
    tn_free(own);
    return status;
}

tn_status tn_discover(tn_registry *registry, const tn_runtime_options *options,
                      tn_diagnostics *diagnostics)
{
    seen_folders seen = { .count = 0 };
    if (options)
        TN_TRY(search_path(registry, options->plugin_path, &seen, diagnostics));
    if (registry->flags & TN_RUNTIME_NO_DEFAULT_PATHS)
        return TN_OK;
    /* Not from the environment of a caller with fewer rights (setuid programs). */
    TN_TRY(search_path(registry, secure_getenv("TENON_PLUGIN_PATH"), &seen, diagnostics));
    return search_install(registry, &seen, diagnostics);
}
