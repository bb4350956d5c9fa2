/* Writing the index of a folder of plugins; index.c says what it is for and how it looks.
 *
 * In: a folder. Out: FOLDER/plugins/index, written whole or not at all, when each object of the
 * folder is a plugin that can be used and has a build id; else an error that names the object, and
 * an index from before is taken away: it would be passed over anyway.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>
#include <unistd.h>

/* Words are cut at spaces and lines. */
static bool is_word(const char *text)
{
    return *text && !strpbrk(text, " \n");
}

static void add_name(tn_builder *out, const char *domain, const char *name)
{
    tn_add(out, "%s%s%s", domain, *domain ? "::" : "", name);
    out->failed |= !is_word(name) || strstr(name, "::") || strpbrk(domain, " \n");
}

/* Versions of one operator stand side by side, the newest last. */
static void add_operators(tn_builder *out, const tn_registry *registry, const tn_plugin *plugin)
{
    for (uint32_t k = 0; k < registry->operators.count; k++) {
        const tn_operator *op = registry->operators.items[k];
        const tn_operator *next = k + 1 < registry->operators.count
                                      ? registry->operators.items[k + 1]
                                      : NULL;
        const bool newer = next && next->plugin == plugin &&
                           strcmp(next->def.domain, op->def.domain) == 0 &&
                           strcmp(next->def.name, op->def.name) == 0;
        if (op->plugin != plugin || newer)
            continue;
        tn_add(out, "operator ");
        add_name(out, op->def.domain, op->def.name);
        tn_add(out, " %" PRIu32 "\n", op->def.since);
    }
}

static bool brings(const tn_registry *registry, const tn_plugin *plugin, const tn_kernel_def *def)
{
    for (uint32_t k = 0; k < registry->operators.count; k++) {
        const tn_operator *op = registry->operators.items[k];
        if (op->plugin == plugin && strcmp(op->def.domain, def->domain) == 0 &&
            strcmp(op->def.name, def->op) == 0)
            return true;
    }
    return false;
}

/* Only of operators that another plugin brings: with an operator its own kernels come. */
static void add_kernels(tn_builder *out, const tn_registry *registry, const tn_plugin *plugin)
{
    for (uint32_t k = 0; k < registry->kernels.count; k++) {
        const tn_kernel *kernel = registry->kernels.items[k];
        if (kernel->plugin != plugin || brings(registry, plugin, &kernel->def))
            continue;
        tn_add(out, "kernel ");
        add_name(out, kernel->def.domain, kernel->def.op);
        tn_add(out, "\n");
    }
}

static void add_rest(tn_builder *out, const tn_registry *registry, const tn_plugin *plugin)
{
    for (uint32_t k = 0; k < registry->passes.count; k++) {
        const tn_pass *pass = registry->passes.items[k];
        if (pass->plugin == plugin)
            tn_add(out, "pass %s\n", pass->def.name);
    }
    for (uint32_t k = 0; k < registry->formats.count; k++) {
        const tn_format *format = registry->formats.items[k];
        if (format->plugin == plugin)
            tn_add(out, "format %s %s\n", format->def.name, tn_text_or(format->def.extension, "-"));
    }
    for (uint32_t k = 0; k < registry->backends.count; k++) {
        const tn_backend *backend = registry->backends.items[k];
        if (backend->plugin == plugin)
            tn_add(out, "backend %s\n", backend->def.name);
    }
}

static tn_status add_plugin(tn_builder *out, const tn_registry *registry,
                            const tn_plugin_slot *slot)
{
    const tn_plugin *plugin = &slot->plugin;
    const char *file = plugin->info.file, *name = strrchr(file, '/') + 1;
    char id[TN_BUILD_ID_TEXT];
    if (!plugin->loaded)
        return tn_raise(plugin->info.status, "no index: %s", plugin->info.message);
    if (!tn_build_id(file, id))
        return tn_raise(TN_ERR_PLUGIN, "no index: %s has no build id; link it with -Wl,--build-id",
                        file);
    tn_add(out, "plugin %s %s\n", name, id);
    add_operators(out, registry, plugin);
    add_kernels(out, registry, plugin);
    add_rest(out, registry, plugin);
    if (out->failed || !is_word(name))
        return tn_raise(TN_ERR_NAME, "no index: %s, or what it brings, has a name with a space",
                        file);
    return TN_OK;
}

static tn_status compose(tn_builder *out, const tn_registry *registry, const char *folder)
{
    tn_add(out, "tenon-index 1 %u\n", TN_ABI_MAJOR);
    uint32_t count = 0;
    for (uint32_t k = 0; k < registry->plugins.count; k++) {
        const tn_plugin_slot *slot = registry->plugins.items[k];
        if (slot->plugin.info.is_backend)
            continue;
        TN_TRY(add_plugin(out, registry, slot));
        count++;
    }
    const uint64_t sum = out->count ? tn_hash(out->text, out->count, 0) : 0;
    tn_add(out, "%s%016" PRIx64 "\n", &TN_INDEX_SUM[1], sum);
    if (out->failed)
        return tn_raise_memory();
    return count ? TN_OK
                 : tn_raise(TN_ERR_IO, "no index: there are no plugins in '%s/plugins'", folder);
}

tn_status tn_index_write(const char *folder, tn_diagnostics *diagnostics)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS |
                                                  TN_RUNTIME_TRUST_FILES,
                                         .plugin_path = folder };
    tn_builder text = { 0 };
    tn_registry *registry = NULL;
    char *plugins = tn_file_join(folder, "plugins");
    char *path = plugins ? tn_file_join(plugins, TN_INDEX_NAME) : NULL;
    tn_status status = path ? TN_OK : tn_raise_memory();
    if (status == TN_OK) {
        unlink(path); /* so that all are opened, and no old one stays when this fails */
        status = tn_registry_create(&options, NULL, diagnostics, &registry);
    }
    if (status == TN_OK)
        status = compose(&text, registry, folder);
    if (status == TN_OK)
        status = tn_file_write(path, text.text, text.count);
    tn_registry_destroy(registry);
    tn_builder_fini(&text);
    tn_free(plugins);
    tn_free(path);
    return status;
}
