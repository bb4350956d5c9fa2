/* From a file to a loaded plugin: may it be opened, is it one, does its ABI fit, its load().
 *
 * In: a plugin_slot with a file. Out: its offers in the tables, or a status and a message, word for
 * word what the user gets to see. The loader's own text is always passed on. What is opened stays
 * mapped (RTLD_NODELETE): a vendor library's threads may sit in it, and a refused plugin's texts
 * are still shown.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- status and message ------------------------------------------------------------------------ */

tn_status tn_slot_refuse(tn_registry *registry, tn_plugin_slot *slot, tn_status status,
                         const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int count = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = count < 0 ? NULL : tn_pool_copy(&registry->pool, text);
    slot->plugin.info.status = status;
    slot->plugin.info.message = kept ? kept : "out of memory";
    return status;
}

void tn_slot_note(tn_registry *registry, tn_plugin_slot *slot, const char *text)
{
    tn_builder message = { 0 };
    const char *before = slot->plugin.info.message;
    tn_add(&message, "%s%sleft out: %s", before, *before ? "; " : "", text);
    const char *kept = tn_pool_copy(&registry->pool, tn_builder_text(&message));
    if (kept)
        slot->plugin.info.message = kept;
    tn_builder_fini(&message);
}

tn_status tn_slot_diagnose(const tn_plugin_slot *slot, uint32_t severity,
                           tn_diagnostics *diagnostics)
{
    const tn_plugin_info *info = &slot->plugin.info;
    if (info->status == TN_OK)
        return TN_OK;
    return tn_diagnose(diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                      .severity = severity,
                                                      .status = info->status,
                                                      .message = info->message });
}

/* "onednn" of ".../backends/onednn.so"; NULL for what is no shared object. */
static char *stem_of(tn_registry *registry, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    const size_t count = strlen(name);
    if (count <= 3 || strcmp(name + count - 3, ".so") != 0)
        return NULL;
    return tn_pool_text(&registry->pool, name, count - 3);
}

tn_plugin_slot *tn_slot_add(tn_registry *registry, const char *file, uint32_t rank)
{
    tn_plugin_slot *slot = tn_slot_new(registry, file, rank);
    return slot && tn_list_insert(&registry->plugins, registry->plugins.count, slot) ? slot : NULL;
}

tn_plugin_slot *tn_slot_new(tn_registry *registry, const char *file, uint32_t rank)
{
    tn_plugin_slot *slot = tn_pool_alloc(&registry->pool, sizeof *slot);
    const char *name = slot ? tn_pool_copy(&registry->pool, file) : NULL;
    if (!name)
        return NULL;
    slot->plugin.rank = rank;
    slot->stem = stem_of(registry, name);
    struct stat s;
    if (stat(file, &s) == 0) {
        slot->device = s.st_dev;
        slot->inode = s.st_ino;
    }
    slot->plugin.info = (tn_plugin_info){
        .size = sizeof(tn_plugin_info),
        .name = "",
        .version = "",
        .licence = "",
        .description = "",
        .file = name,
        .message = "",
    };
    return slot;
}

/* ---- may it be opened? ------------------------------------------------------------------------- */

bool tn_is_safe(const struct stat *s)
{
    return (s->st_uid == 0 || s->st_uid == geteuid()) && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

/* Another user who can change a plugin or its folder could run code as this one. */
static tn_status check_owner(tn_registry *registry, tn_plugin_slot *slot, const char *what,
                             const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "cannot open '%s': %s", path,
                              strerror(errno));
    if (tn_is_safe(&s))
        return TN_OK;
    if (s.st_uid != 0 && s.st_uid != geteuid())
        return tn_slot_refuse(
            registry, slot, TN_ERR_PLUGIN,
            "%s: refused, because its %s belongs to user %lu, neither root nor you",
            slot->plugin.info.file, what, (unsigned long)s.st_uid);
    return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN,
                          "%s: refused, because others may write to its %s (mode %04o); "
                          "'chmod go-w' would do",
                          slot->plugin.info.file, what, (unsigned)(s.st_mode & 07777));
}

static tn_status check_file(tn_registry *registry, tn_plugin_slot *slot)
{
    const char *file = slot->plugin.info.file;
    struct stat s;
    if (stat(file, &s) != 0)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "cannot open '%s': %s", file,
                              strerror(errno));
    if (!S_ISREG(s.st_mode))
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "%s is no file", file);
    if (registry->flags & TN_RUNTIME_TRUST_FILES)
        return TN_OK;
    char *real = realpath(file, NULL);
    char *folder = real ? tn_file_folder(real) : NULL;
    tn_status status = folder ? check_owner(registry, slot, "file", real)
                              : tn_slot_refuse(registry, slot, TN_ERR_MEMORY, "out of memory");
    if (status == TN_OK)
        status = check_owner(registry, slot, "folder", folder);
    tn_free(folder);
    free(real);
    return status;
}

/* ---- is it a plugin of our ABI? ---------------------------------------------------------------- */

/* Everything up to here is there in every entry that ever was, whatever its ABI. */
static const size_t least_entry = offsetof(struct tn_plugin_entry, name);

static tn_status check_entry(tn_registry *registry, tn_plugin_slot *slot,
                             const struct tn_plugin_entry *entry)
{
    const char *file = slot->plugin.info.file;
    slot->plugin.info.abi_major = 0;
    if (entry->magic != TN_ABI_MAGIC)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN,
                              "%s is no Tenon plugin: its magic is 0x%016" PRIx64
                              ", not 0x%016" PRIx64,
                              file, entry->magic, TN_ABI_MAGIC);
    slot->plugin.info.abi_major = entry->abi_major;
    slot->plugin.info.abi_minor = entry->abi_minor;
    if (entry->abi_major != TN_ABI_MAJOR)
        return tn_slot_refuse(registry, slot, TN_ERR_ABI,
                              "%s is of another ABI: its abi_major is %" PRIu32
                              ", this Tenon's is %u",
                              file, entry->abi_major, TN_ABI_MAJOR);
    if (entry->size < sizeof *entry)
        return tn_slot_refuse(registry, slot, TN_ERR_ABI,
                              "%s is of another ABI: its entry's size is %" PRIu32
                              ", ABI 1.0's is %zu",
                              file, entry->size, sizeof *entry);
    memcpy(&slot->entry, entry, sizeof slot->entry);
    slot->entry.name = tn_text_or(entry->name, "");
    slot->entry.version = tn_text_or(entry->version, "");
    slot->entry.licence = tn_text_or(entry->licence, "");
    slot->entry.description = tn_text_or(entry->description, "");
    slot->plugin.entry = &slot->entry;
    slot->plugin.info.name = slot->entry.name;
    slot->plugin.info.version = slot->entry.version;
    slot->plugin.info.licence = slot->entry.licence;
    slot->plugin.info.description = slot->entry.description;
    if (!*slot->entry.name)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "%s: its entry has no name", file);
    if (!entry->load)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "%s: its entry has no load", file);
    return TN_OK;
}

/* ---- load() -------------------------------------------------------------------------------------- */

static tn_status call_load(tn_registry *registry, tn_plugin_slot *slot)
{
    struct {
        tn_frame frame;
        tn_registrar registrar;
    } call;
    tn_batch batch = { .registry = registry, .slot = slot };
    call.registrar = tn_registrar_functions;
    tn_frame_init(&call.frame, &call.registrar.call, sizeof call.registrar, TN_STAGE_LOAD,
                  &slot->plugin, NULL, &batch);
    tn_status status = slot->entry.load(slot->plugin.host, &call.registrar);
    if (status == TN_OK)
        status = call.frame.status; /* a refused definition counts, also when nobody looked */
    if (status == TN_OK)
        status = tn_batch_commit(&batch);
    else if (!call.frame.message[0])
        tn_frame_fail(&call.frame, status, "its load() answered %s without a reason",
                      tn_status_name(status));
    if (status != TN_OK)
        tn_slot_refuse(registry, slot, status, "%s: %s", slot->plugin.info.file,
                       call.frame.message[0] ? call.frame.message : "out of memory");
    tn_batch_fini(&batch);
    return status;
}

tn_status tn_load_entry(tn_registry *registry, tn_plugin_slot *slot,
                        const struct tn_plugin_entry *entry)
{
    if (entry->magic == TN_ABI_MAGIC && entry->size < least_entry)
        return tn_slot_refuse(registry, slot, TN_ERR_ABI,
                              "%s is of another ABI: its entry's size is %" PRIu32
                              ", ABI 1.0's is %zu",
                              slot->plugin.info.file, entry->size, sizeof *entry);
    TN_TRY(check_entry(registry, slot, entry));
    const uint32_t own = TN_ABI_MINOR;
    slot->plugin.minor = slot->entry.abi_minor < own ? slot->entry.abi_minor : own;
    tn_host_fill(&slot->host, &registry->parts, slot->plugin.minor);
    slot->plugin.host = &slot->host.host;
    slot->plugin.info.opened = 1;
    TN_TRY(call_load(registry, slot));
    slot->plugin.loaded = true;
    slot->plugin.info.status = TN_OK;
    return TN_OK;
}

/* Opened by a path with a slash: a bare name would be searched for in the system's folders. */
static void *open_object(const char *file)
{
    char *path = strchr(file, '/') ? tn_strdup(file) : tn_file_join(".", file);
    void *object = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    tn_free(path);
    return object;
}

static tn_status load_file(tn_registry *registry, tn_plugin_slot *slot)
{
    const char *file = slot->plugin.info.file;
    const struct tn_plugin_entry *entry;
    TN_TRY(check_file(registry, slot));
    dlerror();
    slot->plugin.object = open_object(file);
    if (!slot->plugin.object) {
        const char *text = dlerror();
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN, "%s cannot be loaded: %s", file,
                              text ? text : "out of memory");
    }
    entry = dlsym(slot->plugin.object, "tn_plugin_entry");
    if (!entry)
        return tn_slot_refuse(registry, slot, TN_ERR_PLUGIN,
                              "%s is no Tenon plugin: it exports no tn_plugin_entry", file);
    return tn_load_entry(registry, slot, entry);
}

tn_status tn_load_slot(tn_registry *registry, tn_plugin_slot *slot)
{
    const tn_status status = load_file(registry, slot);
    atomic_store_explicit(&slot->tried, true, memory_order_release);
    return status;
}

/* ---- one more, by the caller --------------------------------------------------------------------- */

/* The plugin of that file that is loaded, or a backend's that may still be. */
static tn_plugin_slot *known_file(const tn_registry *registry, const char *file)
{
    struct stat s;
    if (stat(file, &s) != 0)
        return NULL;
    for (uint32_t k = 0; k < registry->plugins.count; k++) {
        tn_plugin_slot *slot = registry->plugins.items[k];
        if (slot->stem && slot->device == s.st_dev && slot->inode == s.st_ino &&
            (slot->plugin.loaded || !slot->plugin.object))
            return slot;
    }
    return NULL;
}

static tn_status load_ahead(tn_registry *registry, const char *file, tn_plugin_slot **out)
{
    tn_plugin_slot *slot = *out = known_file(registry, file);
    if (slot && slot->plugin.loaded)
        return TN_OK;
    if (!slot)
        slot = *out = tn_slot_add(registry, file, TN_RANK_FILE);
    if (!slot)
        return tn_raise_memory();
    slot->plugin.rank = TN_RANK_FILE;
    return tn_load_slot(registry, slot);
}

tn_status tn_registry_load_file(tn_registry *registry, const char *file,
                                tn_diagnostics *diagnostics)
{
    tn_plugin_slot *slot;
    if (!file || !*file)
        return tn_raise(TN_ERR_ARGUMENT, "no plugin file is named");
    pthread_mutex_lock(&registry->opening);
    tn_status status = load_ahead(registry, file, &slot);
    if (status == TN_OK)
        status = tn_open_backends_of(registry, slot);
    if (slot)
        tn_slot_diagnose(slot, TN_SEVERITY_ERROR, diagnostics);
    pthread_mutex_unlock(&registry->opening);
    return status;
}

tn_status tn_registry_add_entry(tn_registry *registry, const struct tn_plugin_entry *entry,
                                const char *file, tn_diagnostics *diagnostics)
{
    tn_status status;
    pthread_mutex_lock(&registry->opening);
    tn_plugin_slot *slot = tn_slot_add(registry, tn_text_or(file, "(linked in)"), TN_RANK_LINKED);
    status = slot ? tn_load_entry(registry, slot, entry) : tn_raise_memory();
    if (slot)
        tn_slot_diagnose(slot, TN_SEVERITY_ERROR, diagnostics);
    pthread_mutex_unlock(&registry->opening);
    return status;
}
