/* Folders of plugins for a test, and a registry over them. Needs TENON_TEST_PLUGINS, the folder of
 * the test plugins.
 * SPDX-License-Identifier: MIT */
#ifndef REGISTRY_SUPPORT_H
#define REGISTRY_SUPPORT_H

#include "engine/registry/registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), TN_OK, "%s", tn_error_message())
#define SAYS(...)                                                                                  \
    do {                                                                                           \
        char expected[2048];                                                                       \
        snprintf(expected, sizeof expected, __VA_ARGS__);                                          \
        cr_assert_str_eq(tn_error_message(), expected);                                            \
    } while (0)

static inline tn_registry *empty(void)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS };
    tn_registry *registry;
    OK(tn_registry_create(&options, NULL, NULL, &registry));
    return registry;
}

static inline const char *built(const char *name)
{
    static char path[4096];
    const char *folder = getenv("TENON_TEST_PLUGINS");
    cr_assert(folder, "TENON_TEST_PLUGINS is not set");
    snprintf(path, sizeof path, "%s/%s.so", folder, name);
    return path;
}

/* A folder of its own with plugins/ and backends/, gone at the end. */
typedef struct place {
    char folder[64];
} place;

static inline place make_place(void)
{
    place p = { "/tmp/tenon-registry-XXXXXX" };
    char path[128];
    cr_assert(mkdtemp(p.folder));
    snprintf(path, sizeof path, "%s/plugins", p.folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/backends", p.folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    return p;
}

static inline const char *put(const place *p, const char *kind, const char *name, const char *as)
{
    static char to[256];
    char buffer[65536];
    size_t count;
    snprintf(to, sizeof to, "%s/%s/%s.so", p->folder, kind, as);
    unlink(to); /* the old one may be mapped */
    FILE *in = fopen(built(name), "rb"), *out = fopen(to, "wb");
    cr_assert(in && out);
    while ((count = fread(buffer, 1, sizeof buffer, in)) > 0)
        cr_assert_eq(fwrite(buffer, 1, count, out), count);
    fclose(in);
    fclose(out);
    cr_assert_eq(chmod(to, 0644), 0);
    return to;
}

static inline void drop_place(const place *p)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    cr_assert_eq(system(command), 0);
}

static inline tn_registry *open_path(const char *path, tn_diagnostics *diagnostics)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS,
                                         .plugin_path = path };
    tn_registry *registry;
    OK(tn_registry_create(&options, NULL, diagnostics, &registry));
    return registry;
}

static inline const tn_plugin_info *info_of(const tn_registry *registry, const char *file_end)
{
    for (size_t k = 0; k < tn_registry_plugin_count(registry); k++) {
        const tn_plugin_info *info = &tn_registry_plugin(registry, k)->info;
        const size_t a = strlen(info->file), b = strlen(file_end);
        if (a >= b && strcmp(info->file + a - b, file_end) == 0)
            return info;
    }
    cr_assert(false, "no plugin %s was found", file_end);
    return NULL;
}

#endif
