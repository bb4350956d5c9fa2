/* tests/conformance/value.c: TensorProto, SequenceProto and OptionalProto files as values, read by the
 * reader of the command.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include "tools/pb.h"

#include <stdlib.h>
#include <string.h>

static void *need(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    if (!block)
        abort();
    return block;
}

static void *keep(void *user, size_t bytes)
{
    (void)user;
    return need(bytes, 1);
}

/* It goes with the process. */
static void take(void *user, tn_tensor *value)
{
    (void)user, (void)value;
}

typedef struct file_bytes {
    uint8_t *bytes; /* NULL: it cannot be read */
    size_t count;
} file_bytes;

static file_bytes slurp(const char *path)
{
    FILE *file = fopen(path, "rb");
    file_bytes all = { 0 };
    size_t capacity = 0, got;
    if (!file)
        return all;
    do {
        if (capacity - all.count < 4096)
            all.bytes = realloc(all.bytes, capacity = capacity * 2 + 65536);
        if (!all.bytes)
            abort();
        got = fread(all.bytes + all.count, 1, capacity - all.count, file);
        all.count += got;
    } while (got);
    fclose(file);
    return all;
}

bool value_read(tn_runtime *runtime, const char *path, const tn_type *type, tn_tensor **out,
                char *why, size_t room)
{
    pb_reader reader = { .runtime = runtime, .keep = keep, .take = take };
    const file_bytes file = slurp(path);
    if (!file.bytes)
        snprintf(why, room, "cannot read %s", path);
    else if (!pb_read_value(&reader, file.bytes, file.count, type, out))
        snprintf(why, room, "%s %s", path, reader.why);
    else
        return true;
    return false;
}

bool value_ramp(const tn_type *type, tn_tensor **out, char *why, size_t room)
{
    int64_t *dims = need(TN_MAX_RANK, sizeof *dims);
    size_t count = 1;
    if (type->kind || type->dtype != TN_FLOAT32 || type->rank < 0) {
        snprintf(why, room, "an input of a light model is no float32 tensor");
        return false;
    }
    for (int32_t k = 0; k < type->rank; k++) {
        dims[k] = tn_dim_known(type->dims[k]) ? type->dims[k] : 1;
        count *= (size_t)dims[k];
    }
    float *data = need(count, sizeof *data);
    for (size_t k = 0; k < count; k++)
        data[k] = (float)((double)k / (double)count);
    *out = need(1, sizeof **out);
    **out = (tn_tensor){ .size = sizeof **out,
                         .dtype = TN_FLOAT32,
                         .rank = type->rank,
                         .dims = dims,
                         .data = data,
                         .bytes = count * sizeof *data };
    return true;
}
