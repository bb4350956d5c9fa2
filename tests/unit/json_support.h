/* tests/unit/json_support.h: a registry with a handful of operators, reading from a string, and a
 * folder for files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_JSON_SUPPORT_H
#define TENON_TESTS_JSON_SUPPORT_H

#include "engine/json/elements.h"
#include "engine/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), TN_OK, "%s", tn_error_message())

/* ---- operators that know the types of their attributes ------------------------------------------- */

static tn_status infer_nothing(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

static tn_status load_operators(const tn_host *host, tn_registrar *registrar)
{
    static const tn_param_def any = { .name = "x",
                                      .types = TN_MASK_ALL,
                                      .flags = TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS };
    static const tn_attribute_def conv[] = { { .name = "kernel_shape", .type = TN_ATTR_INTS },
                                             { .name = "group", .type = TN_ATTR_INT },
                                             { .name = "auto_pad", .type = TN_ATTR_STRING },
                                             { .name = "alpha", .type = TN_ATTR_FLOAT },
                                             { .name = "scales", .type = TN_ATTR_FLOATS },
                                             { .name = "labels", .type = TN_ATTR_STRINGS },
                                             { .name = "value", .type = TN_ATTR_TENSOR } };
    static const tn_attribute_def branches[] = { { .name = "then_branch", .type = TN_ATTR_GRAPH },
                                                 { .name = "else_branch", .type = TN_ATTR_GRAPH } };
    static const struct {
        const char *name;
        const tn_attribute_def *attributes;
        uint16_t count;
        uint32_t since;
    } rows[] = {
        { "Conv", conv, TN_COUNT(conv), 1 },
        { "Relu", NULL, 0, 1 },
        { "Add", NULL, 0, 1 },
        { "If", branches, TN_COUNT(branches), 1 },
    };
    (void)host;
    for (size_t k = 0; k < TN_COUNT(rows); k++) {
        const tn_operator_def def = { .size = sizeof def,
                                      .since = rows[k].since,
                                      .name = rows[k].name,
                                      .doc = "For tests.",
                                      .inputs = &any,
                                      .outputs = &any,
                                      .input_count = 1,
                                      .output_count = 1,
                                      .attributes = rows[k].attributes,
                                      .attribute_count = rows[k].count,
                                      .infer = infer_nothing };
        TN_TRY(registrar->add_operator(registrar, &def));
    }
    return TN_OK;
}

static const struct tn_plugin_entry operators_entry = { .magic = TN_ABI_MAGIC,
                                                        .abi_major = TN_ABI_MAJOR,
                                                        .abi_minor = TN_ABI_MINOR,
                                                        .size = sizeof(struct tn_plugin_entry),
                                                        .name = "operators",
                                                        .version = "1",
                                                        .licence = "MIT",
                                                        .description = "For tests.",
                                                        .load = load_operators };

static inline tn_registry *open_registry(void)
{
    const tn_runtime_options options = { .size = sizeof options,
                                         .flags = TN_RUNTIME_NO_DEFAULT_PATHS };
    tn_registry *registry;
    OK(tn_registry_create(&options, NULL, NULL, &registry));
    OK(tn_registry_add_entry(registry, &operators_entry, "operators.so", NULL));
    return registry;
}

/* ---- reading and writing --------------------------------------------------------------------------- */

static inline tn_graph *read_string(const tn_registry *registry, const char *path, const char *text)
{
    tn_graph *graph;
    OK(tn_json_read(registry, path, text, strlen(text), NULL, NULL, &graph));
    return graph;
}

static inline tn_graph *read_path(const tn_registry *registry, const char *path)
{
    tn_buffer *file;
    tn_graph *graph;
    OK(tn_file_map(path, &file));
    OK(tn_json_read(registry, path, tn_buffer_bytes(file), tn_buffer_size(file), NULL, NULL,
                    &graph));
    tn_buffer_unref(file);
    return graph;
}

/* New folders, which live until the end of the test: suites say .fini = remove_folders. */
static char json_folders[8][32];
static int json_folder_count;

static inline const char *make_folder(void)
{
    cr_assert_lt(json_folder_count, 8);
    char *folder = json_folders[json_folder_count++];
    strcpy(folder, "/tmp/tenon-json-XXXXXX");
    cr_assert(mkdtemp(folder));
    return folder;
}

static inline void remove_folders(void)
{
    char command[64];
    while (json_folder_count > 0) {
        snprintf(command, sizeof command, "rm -r '%s'", json_folders[--json_folder_count]);
        cr_assert_eq(system(command), 0);
    }
}

static inline const char *path_in(const char *folder, const char *name)
{
    static char paths[8][300];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline char *file_text(const char *path)
{
    tn_buffer *file;
    OK(tn_file_map(path, &file));
    char *text = calloc(tn_buffer_size(file) + 1, 1);
    if (tn_buffer_size(file))
        memcpy(text, tn_buffer_bytes(file), tn_buffer_size(file));
    tn_buffer_unref(file);
    return text;
}

static inline const tn_value_view *value_named(const tn_graph *graph, const char *name)
{
    const tn_value_id value = tn_graph_find_value(graph, TN_TOP_REGION, name);
    cr_assert_neq(value, TN_NONE, "there is no value %s", name);
    return tn_graph_value(graph, value);
}

static inline tn_node_id node_named(const tn_graph *graph, tn_region_id region, const char *name)
{
    for (tn_node_id node = tn_graph_first_node(graph, region); node != TN_NONE;
         node = tn_graph_next_node(graph, node))
        if (strcmp(tn_graph_node(graph, node)->name, name) == 0)
            return node;
    cr_assert_fail("there is no node %s", name);
    return TN_NONE;
}

static inline const tn_attribute *attribute_of(const tn_graph *graph, const char *node,
                                               const char *name)
{
    const tn_attribute *a = tn_attr(tn_graph_node(graph, node_named(graph, TN_TOP_REGION, node)),
                                    name);
    cr_assert(a, "node %s has no attribute %s", node, name);
    return a;
}

#endif
