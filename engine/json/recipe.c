/* engine/json/recipe.c: what a random constant was made of, kept behind its elements.
 *
 * The graph knows only contents. A block that the reader fills with random numbers is a little
 * longer than they are, and ends with the recipe; the writer looks there, makes the numbers anew
 * and writes the recipe instead of them when they are the same to the bit. So a block that looks
 * like one by chance, or a constant that was renamed, costs time and never a wrong file.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/json.h"

typedef struct recipe {
    unsigned char magic[16];
    uint32_t is_normal, reserved;
    double mean, std, low, high;
    uint64_t seed;
} recipe;

static const unsigned char magic[16] = "tenon random v1";

tn_status tn_recipe_buffer(size_t bytes, const tn_random_spec *spec, tn_buffer **out)
{
    size_t size;
    if (!tn_size_add(bytes, sizeof(recipe) + 64, &size))
        return tn_raise(TN_ERR_LIMIT, "a constant of %zu bytes does not fit memory", bytes);
    TN_TRY(tn_buffer_create(tn_align(bytes, 64) + sizeof(recipe), out));
    recipe end = { .is_normal = strcmp(spec->distribution, "normal") == 0,
                   .mean = spec->mean,
                   .std = spec->std,
                   .low = spec->low,
                   .high = spec->high,
                   .seed = spec->seed };
    memcpy(end.magic, magic, sizeof magic);
    memcpy((char *)tn_buffer_bytes(*out) + tn_align(bytes, 64), &end, sizeof end);
    return TN_OK;
}

/* Makes the elements anew and compares. */
static bool holds(const tn_constant *constant, const tn_random_spec *spec, const char *name)
{
    tn_buffer *again;
    tn_tensor tensor = constant->tensor;
    if (tn_random_check(spec, tensor.dtype) != TN_OK ||
        tn_buffer_create(tensor.bytes, &again) != TN_OK)
        return false;
    tensor.data = tn_buffer_bytes(again);
    const bool same = tn_random_fill(spec, name, &tensor) == TN_OK &&
                      memcmp(tensor.data, constant->tensor.data, tensor.bytes) == 0;
    tn_buffer_unref(again);
    return same;
}

bool tn_recipe_of(const tn_constant *constant, const char *name, tn_random_spec *out)
{
    recipe end;
    tn_buffer *buffer = constant->buffer;
    size_t bytes;
    if (!buffer || tn_buffer_is_mapped(buffer) ||
        constant->tensor.data != tn_buffer_bytes(buffer) ||
        tn_shape_bytes(constant->tensor.dtype, constant->tensor.rank, constant->tensor.dims,
                       &bytes) != TN_OK ||
        tn_buffer_size(buffer) != tn_align(bytes, 64) + sizeof end)
        return false;
    memcpy(&end, (const char *)tn_buffer_bytes(buffer) + tn_align(bytes, 64), sizeof end);
    *out = (tn_random_spec){ .distribution = end.is_normal ? "normal" : "uniform",
                             .mean = end.mean,
                             .std = end.std,
                             .low = end.low,
                             .high = end.high,
                             .seed = end.seed };
    return memcmp(end.magic, magic, sizeof magic) == 0 && holds(constant, out, name);
}
