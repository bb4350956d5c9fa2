/* plugin.c: the backend "onednn": oneDNN (Apache-2.0), by its C interface.
 *
 * In: the library at hand. Out: one engine for all sessions of a runtime, and the kernels of the
 * other files. Opening compares the library with the headers that this file was compiled with,
 * and its threading with ours: OpenMP is the one pool of threads.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number
#define HEADER_VERSION                                                                             \
    TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH)

typedef struct name {
    struct name *next;
    char text[];
} name;

struct onednn_instance {
    dnnl_engine_t engine;
    pthread_mutex_t lock; /* of names */
    name *names;
    char description[96];
};

dnnl_engine_t onednn_engine(const onednn_instance *instance)
{
    return instance->engine;
}

const char *onednn_intern(onednn_instance *instance, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    name *found;
    pthread_mutex_lock(&instance->lock);
    for (found = instance->names; found && strcmp(found->text, text) != 0; found = found->next)
        ;
    if (!found) {
        found = malloc(sizeof *found + bytes);
        if (found) {
            memcpy(found->text, text, bytes);
            found->next = instance->names;
            instance->names = found;
        }
    }
    pthread_mutex_unlock(&instance->lock);
    return found ? found->text : NULL;
}

/* ---- open and close --------------------------------------------------------------------- */

static tn_status check_library(tn_backend_open *ctx, const dnnl_version_t *version)
{
    if (version->major != DNNL_VERSION_MAJOR || version->minor < DNNL_VERSION_MINOR)
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "libdnnl is oneDNN %d.%d.%d, but Tenon was compiled for " HEADER_VERSION,
                       version->major, version->minor, version->patch);
    if (version->cpu_runtime != DNNL_RUNTIME_OMP)
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "libdnnl was built with threading runtime %u: OpenMP (%u) is needed",
                       version->cpu_runtime, DNNL_RUNTIME_OMP);
    return TN_OK;
}

static const char *instruction_set(void)
{
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const char *text = dnnl_cpu_isa2str(isa);
    return strncmp(text, "cpu_isa_", 8) == 0 ? text + 8 : text;
}

static tn_status backend_open(tn_backend_open *ctx)
{
    const dnnl_version_t *version = dnnl_version();
    onednn_instance *instance;
    TN_TRY(check_library(ctx, version));
    instance = calloc(1, sizeof *instance);
    if (!instance)
        return tn_fail(ctx, TN_ERR_MEMORY, "out of memory");
    if (pthread_mutex_init(&instance->lock, NULL) != 0) {
        free(instance);
        return tn_fail(ctx, TN_ERR_MEMORY, "no mutex");
    }
    if (dnnl_engine_create(&instance->engine, dnnl_cpu, 0) != dnnl_success) {
        pthread_mutex_destroy(&instance->lock);
        free(instance);
        return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN %d.%d.%d made no engine for this processor",
                       version->major, version->minor, version->patch);
    }
    snprintf(instance->description, sizeof instance->description, "oneDNN %d.%d.%d, OpenMP, %s",
             version->major, version->minor, version->patch, instruction_set());
    ctx->instance = instance;
    ctx->description = instance->description;
    return TN_OK;
}

static void backend_close(void *data)
{
    onednn_instance *instance = data;
    name *next;
    if (!instance)
        return;
    dnnl_engine_destroy(instance->engine);
    for (name *it = instance->names; it; it = next) {
        next = it->next;
        free(it);
    }
    pthread_mutex_destroy(&instance->lock);
    free(instance);
}

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def),
    .name = "onednn",
    .doc = "oneDNN: code compiled for each layer, channels-last; the fast backend on x86.",
    .build = "oneDNN " HEADER_VERSION,
    .open = backend_open,
    .close = backend_close,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    static const tn_kernel_def *const tables[] = {
        onednn_conv_kernels,      onednn_matmul_kernels,    onednn_pool_kernels,
        onednn_eltwise_kernels,   onednn_binary_kernels,    onednn_softmax_kernels,
        onednn_norm_kernels,      onednn_concat_kernels,    onednn_reorder_kernels,
        onednn_recurrent_kernels, onednn_attention_kernels,
    };
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        for (const tn_kernel_def *row = tables[k]; row->op; row++)
            TN_TRY(registrar->add_kernel(registrar, row));
    return TN_OK;
}

TN_PLUGIN(onednn, .version = "1.0", .licence = "MIT",
          .description = "Kernels by oneDNN (" HEADER_VERSION " headers)", .load = load);
