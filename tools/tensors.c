/* tools/tensors.c: arrays of the command's own: made, converted, filled, read from any file.
 *
 * SPDX-License-Identifier: MIT */
#include "pb.h"
#include "tool.h"

#include "tenon/kernel.h"

#include <string.h>
#include <unistd.h>

/* ---- making --------------------------------------------------------------------------------- */

/* Elements and bytes; false when they overflow. */
static bool measure(uint32_t dtype, int32_t rank, const int64_t *dims, int64_t *count,
                    size_t *bytes)
{
    int64_t bits;
    bool empty = false;
    *count = 1;
    for (int32_t axis = 0; axis < rank; axis++) {
        if (dims[axis] < 0)
            return false;
        /* An extent of 0 makes the product 0, whatever the others are. */
        if (dims[axis] == 0)
            empty = true;
        else if (__builtin_mul_overflow(*count, dims[axis], count))
            return false;
    }
    if (empty)
        *count = 0;
    if (__builtin_mul_overflow(*count, (int64_t)tn_dtype_bits(dtype), &bits) ||
        bits > INT64_MAX - 7)
        return false;
    *bytes = ((size_t)bits + 7) / 8;
    return true;
}

int array_check(tool *t, const char *name, uint32_t dtype, int32_t rank, const int64_t *dims,
                size_t available)
{
    int64_t count;
    size_t bytes;
    if (!measure(dtype, rank, dims, &count, &bytes))
        return bad(t, EXIT_BAD, "%s: %s%s has too many elements", name, tn_dtype_name(dtype),
                   shape_text(t, rank, dims));
    if (available != SIZE_MAX && bytes != available)
        return bad(t, EXIT_BAD, "%s has %zu bytes of elements, its shape %s needs %zu", name,
                   available, shape_text(t, rank, dims), bytes);
    return EXIT_FINE;
}

tn_tensor *array_make(tool *t, uint32_t dtype, int32_t rank, const int64_t *dims)
{
    tn_tensor *tensor = keep(t, sizeof *tensor);
    int64_t *own = keep_array(t, (size_t)(rank > 0 ? rank : 1), sizeof *own), count;
    size_t bytes;
    if (rank < 0 || rank > TN_MAX_RANK) {
        bad(t, EXIT_BAD, "rank %d is outside 0 to %d", (int)rank, TN_MAX_RANK);
        return NULL;
    }
    if (!measure(dtype, rank, dims, &count, &bytes)) {
        bad(t, EXIT_BAD, "%s%s has too many elements", tn_dtype_name(dtype),
            shape_text(t, rank, dims));
        return NULL;
    }
    if (rank)
        memcpy(own, dims, (size_t)rank * sizeof *own);
    *tensor = (tn_tensor){ .size = sizeof *tensor,
                           .dtype = dtype,
                           .rank = rank,
                           .dims = own,
                           .data = keep(t, bytes),
                           .bytes = bytes };
    return tensor;
}

int64_t element_count(const tn_tensor *tensor)
{
    return tn_count(tensor);
}

tn_tensor *array_convert(tool *t, const tn_tensor *from, uint32_t dtype)
{
    tn_tensor *to = array_make(t, dtype, from->rank, from->dims);
    if (!to)
        return NULL;
    for (int64_t i = 0, n = tn_count(from); i < n; i++) {
        if (tn_dtype_is_float(dtype))
            tn_set_float(dtype, to->data, i, tn_get_double(from->dtype, from->data, i));
        else
            tn_set_int(dtype, to->data, i, tn_get_int(from->dtype, from->data, i));
    }
    return to;
}

/* ---- random values -------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): a step and its mix. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

tn_tensor *array_random(tool *t, const tn_type *type, uint64_t seed)
{
    static const char letters[] = "abcdefghijklmnop";
    const uint32_t dtype = type->dtype == TN_UNDEFINED ? TN_FLOAT32 : type->dtype;
    tn_tensor *tensor = array_make(t, dtype, type->rank, type->dims);
    uint64_t state = seed;
    if (!tensor)
        return NULL;
    for (int64_t i = 0, n = tn_count(tensor); i < n; i++) {
        const uint64_t bits = next_random(&state);
        const double unit = 0x1p-52 * (double)(bits >> 11) - 1.0; /* [-1, 1) */
        if (dtype == TN_STRING)
            ((tn_text *)tensor->data)[i] = (tn_text){ letters + bits % 16, 1 };
        else if (dtype == TN_COMPLEX64)
            ((float *)tensor->data)[2 * i] = (float)unit;
        else if (dtype == TN_COMPLEX128)
            ((double *)tensor->data)[2 * i] = unit;
        else if (dtype == TN_FLOAT8E8M0)
            ((uint8_t *)tensor->data)[i] = (uint8_t)(120 + bits % 8);
        else if (tn_dtype_is_float(dtype))
            tn_set_float(dtype, tensor->data, i, unit);
        else /* 0 or 1: an index that is in range for whatever it may index */
            tn_set_int(dtype, tensor->data, i, (int64_t)(bits >> 63));
    }
    return tensor;
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool begins_with(blob bytes, const char *magic, size_t count)
{
    return bytes.count >= count && memcmp(bytes.data, magic, count) == 0;
}

static void *keep_for(void *user, size_t bytes)
{
    return keep(user, bytes);
}

static void destroy_at_end(void *user, tn_tensor *value)
{
    tool *t = user;
    list_add(t, &t->values, value);
}

/* A value of the type's kind, or one element of it: the file decides. */
static int pb_read(tool *t, const char *name, blob bytes, const tn_type *type, tn_tensor **out)
{
    pb_reader reader = {
        .runtime = t->runtime, .keep = keep_for, .take = destroy_at_end, .user = t
    };
    tn_type wanted = type ? *type : (tn_type){ .size = sizeof wanted };
    if (!pb_is_wrapped(bytes.data, bytes.count))
        wanted.kind = TN_TENSOR;
    if (pb_read_value(&reader, bytes.data, bytes.count, &wanted, out))
        return EXIT_FINE;
    return bad(t, EXIT_BAD, "%s %s", name, reader.why);
}

int array_read(tool *t, const char *file, const tn_type *type, tn_tensor **out)
{
    const char *path = file, *member = NULL, *colon = strrchr(file, ':');
    blob bytes;
    int code;
    if (colon && access(file, F_OK) != 0) {
        path = keep_text(t, file, (size_t)(colon - file));
        member = colon + 1;
    }
    code = file_read(t, path, &bytes);
    if (code)
        return code;
    if (begins_with(bytes, "PK\3\4", 4) || begins_with(bytes, "PK\5\6", 4))
        return npz_read(t, path, bytes, member, out);
    if (ends_with(path, ".safetensors"))
        return safetensors_read(t, path, bytes, member, out);
    if (ends_with(path, ".pb") && !member)
        return pb_read(t, path, bytes, type, out);
    if (member)
        return bad(t, EXIT_BAD, "%s has no members; only .npz and .safetensors have", path);
    if (begins_with(bytes, "\x93NUMPY", 6))
        return npy_read(t, path, bytes, out);
    if (idx_sniff(bytes))
        return idx_read(t, path, bytes, out);
    return bad(t, EXIT_BAD, "%s is none of .npy, .npz, .safetensors, .pb, PNG, JPEG, IDX", path);
}

int64_t row_argmax(const tn_tensor *tensor, int64_t row, int64_t width)
{
    int64_t best = 0;
    double most = 0;
    for (int64_t j = 0; j < width; j++) {
        const double value = tn_get_double(tensor->dtype, tensor->data, row * width + j);
        if (j == 0 || value > most)
            best = j, most = value;
    }
    return best;
}
