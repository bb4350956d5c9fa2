/* engine/json/json.h: the JSON graph format (DESIGN section 8), both ways, and safetensors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_H
#define TN_JSON_H

#include "engine/registry/registry.h"

/* Reads a graph. `path` names the file for messages and for its folder (NULL: no file beside it may
 * be named); bytes is its text. Attributes are typed by the registry's schemas where these know
 * them (registry may be NULL: JSON's own types decide). All complaints in one go; *out only on
 * success. Limits as tn_limits. */
tn_status tn_json_read(const tn_registry *registry, const char *path, const void *bytes,
                       size_t count, const tn_limits *limits, tn_diagnostics *diagnostics,
                       tn_graph **out);
/* Writes path and, when constants need it, the .safetensors beside it. */
tn_status tn_json_write(const tn_registry *registry, const tn_graph *graph, const char *path,
                        tn_diagnostics *diagnostics);
/* A function body: {"inputs": ["X"], "outputs": ["Y"], "opset": …, "attributes": …, "nodes": […]}. */
tn_status tn_json_read_body(const tn_registry *registry, const char *text,
                            tn_diagnostics *diagnostics, tn_graph **out);

/* `random` constants: numbers by Philox4x32-10 from (name, seed, element), the same everywhere;
 * docs/json_format.md has the recipe, a test its checksums. TN_ERR_ARGUMENT, TN_ERR_TYPE: these
 * numbers do not go together. random.c */
typedef struct tn_random_spec {
    const char *distribution;
    double mean, std, low, high;
    uint64_t seed;
} tn_random_spec;
tn_status tn_random_check(const tn_random_spec *spec, uint32_t dtype);
tn_status tn_random_fill(const tn_random_spec *spec, const char *name, const tn_tensor *out);
/* Four 32-bit random numbers for a counter and key (Salmon et al., SC 2011). */
void tn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A random constant carries its recipe behind its elements, so that it can be written as one
 * again: the block is `bytes` long, rounded up to 64, and a recipe. recipe.c */
tn_status tn_recipe_buffer(size_t bytes, const tn_random_spec *spec, tn_buffer **out);
/* Whether the constant holds just what its recipe, under this name, makes. out->distribution is
 * static. */
bool tn_recipe_of(const tn_constant *constant, const char *name, tn_random_spec *out);

/* safetensors.c: a mapped file's directory; `file` names it in messages. Checks all of it: sizes,
 * offsets, overlaps, holes. Takes a reference to the buffer. */
typedef struct tn_safetensors tn_safetensors;
tn_status tn_safetensors_open(tn_buffer *buffer, const char *file, tn_diagnostics *diagnostics,
                              tn_safetensors **out);
void tn_safetensors_close(tn_safetensors *file);
/* The tensor of that name: dtype as stored, data inside the buffer, dims of the file's. false: none. */
bool tn_safetensors_get(const tn_safetensors *file, const char *name, tn_tensor *out);
/* The nearest name there is, or NULL. */
const char *tn_safetensors_nearest(const tn_safetensors *file, const char *name);
/* "F32"; NULL for what safetensors lacks, which is stored as "U8". */
const char *tn_safetensors_dtype(uint32_t dtype);

#endif
