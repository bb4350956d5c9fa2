/* A runtime: a set of plugins. Here the rooms' parts of the host table come together.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/json.h"
#include "engine/run/run.h"

static const tn_host_parts parts = { .infer = &tn_infer_host,
                                     .compile = &tn_compile_host,
                                     .run = &tn_run_host,
                                     .body = tn_json_read_body };

tn_status tn_runtime_create(const tn_runtime_options *options, tn_diagnostics *diagnostics,
                            tn_runtime **out)
{
    if (!out)
        return tn_raise(TN_ERR_ARGUMENT, "tn_runtime_create needs a place for the runtime");
    tn_runtime *runtime = tn_alloc(1, sizeof *runtime);
    if (!runtime)
        return tn_raise_memory();
    runtime->refs = 1;
    const tn_status status = tn_registry_create(options, &parts, diagnostics, &runtime->registry);
    if (status != TN_OK) {
        tn_free(runtime);
        return status;
    }
    *out = runtime;
    return TN_OK;
}

tn_runtime *tn_runtime_ref(tn_runtime *runtime)
{
    __atomic_add_fetch(&runtime->refs, 1, __ATOMIC_RELAXED);
    return runtime;
}

void tn_runtime_destroy(tn_runtime *runtime)
{
    if (!runtime || __atomic_sub_fetch(&runtime->refs, 1, __ATOMIC_ACQ_REL))
        return;
    tn_registry_destroy(runtime->registry);
    tn_free(runtime);
}

static tn_status need(const tn_runtime *runtime, const void *what, const char *name)
{
    return runtime && what
               ? TN_OK
               : tn_raise(TN_ERR_ARGUMENT, "%s needs a runtime and an argument, not NULL", name);
}

tn_status tn_runtime_load_plugin(tn_runtime *runtime, const char *file, tn_diagnostics *diagnostics)
{
    TN_TRY(need(runtime, file, "tn_runtime_load_plugin"));
    return tn_registry_load_file(runtime->registry, file, diagnostics);
}

tn_status tn_index_plugins(const char *folder, tn_diagnostics *diagnostics)
{
    if (!folder || !*folder)
        return tn_raise(TN_ERR_ARGUMENT, "tn_index_plugins needs a folder");
    tn_diagnostics_begin(diagnostics);
    return tn_diagnostics_end(diagnostics, tn_index_write(folder, diagnostics));
}

const tn_plugin_info *tn_runtime_plugin(tn_runtime *runtime, size_t k)
{
    return runtime ? tn_registry_info(runtime->registry, k) : NULL;
}

tn_status tn_runtime_open_backend(tn_runtime *runtime, const char *name)
{
    tn_backend *backend;
    TN_TRY(need(runtime, name, "tn_runtime_open_backend"));
    return tn_registry_backend(runtime->registry, name, 1, &backend);
}

const char *tn_runtime_default_backends(tn_runtime *runtime)
{
    return runtime ? tn_registry_default_backends(runtime->registry) : "";
}

tn_status tn_runtime_print_operator(tn_runtime *runtime, const char *op, tn_print_fn print,
                                    void *user)
{
    TN_TRY(need(runtime, op, "tn_runtime_print_operator"));
    return tn_registry_print_operator(runtime->registry, op, print, user);
}

tn_status tn_runtime_print_operators(tn_runtime *runtime, tn_print_fn print, void *user)
{
    TN_TRY(need(runtime, (const void *)(uintptr_t)print, "tn_runtime_print_operators"));
    return tn_registry_print_operators(runtime->registry, print, user);
}

tn_status tn_runtime_print_passes(tn_runtime *runtime, tn_print_fn print, void *user)
{
    TN_TRY(need(runtime, (const void *)(uintptr_t)print, "tn_runtime_print_passes"));
    uint32_t count;
    const tn_pass_def *core = tn_core_passes(&count);
    return tn_registry_print_passes(runtime->registry, core, count, print, user);
}
