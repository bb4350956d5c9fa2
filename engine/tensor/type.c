/* engine/tensor/type.c: types of values: making, sizes, as text and from text.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/tensor.h"

tn_type tn_type_unknown(void)
{
    return (tn_type){ .size = sizeof(tn_type), .rank = -1 };
}

tn_type tn_type_of(uint32_t dtype, int32_t rank, const tn_dim *dims)
{
    tn_type type = { .size = sizeof type, .dtype = dtype, .rank = rank };
    assert(rank <= TN_MAX_RANK);
    for (int32_t k = 0; k < rank; k++)
        type.dims[k] = dims[k];
    return type;
}

tn_type tn_type_of_tensor(const tn_tensor *tensor)
{
    tn_type type = tn_type_unknown();
    type.kind = tensor->kind;
    type.dtype = tensor->dtype;
    if (tensor->rank < 0 || tensor->rank > TN_MAX_RANK || (tensor->rank && !tensor->dims))
        return type; /* a handle to a sequence has no shape */
    type.rank = tensor->rank;
    for (int32_t k = 0; k < type.rank; k++)
        type.dims[k] = tensor->dims[k];
    return type;
}

bool tn_type_is_known(const tn_type *type)
{
    if (type->kind || !type->dtype || type->rank < 0)
        return false;
    for (int32_t k = 0; k < type->rank; k++)
        if (!tn_dim_known(type->dims[k]))
            return false;
    return true;
}

/* Extents beyond the rank are anything. */
bool tn_type_same_shape(const tn_type *a, const tn_type *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

bool tn_type_equal(const tn_type *a, const tn_type *b)
{
    return a->flags == b->flags && tn_type_same_shape(a, b);
}

/* ---- sizes ------------------------------------------------------------------------------- */

tn_status tn_shape_count(int32_t rank, const int64_t *dims, int64_t *out)
{
    int64_t count = 1;
    bool empty = false, fits = true;
    if (rank < 0 || rank > TN_MAX_RANK)
        return tn_raise(TN_ERR_SHAPE, "rank is %" PRId32 ", which is outside [0, %d]", rank,
                        TN_MAX_RANK);
    for (int32_t k = 0; k < rank; k++) {
        if (dims[k] < 0)
            return tn_raise(TN_ERR_SHAPE, "extent %" PRId32 " is %" PRId64 ", which is negative", k,
                            dims[k]);
        empty = empty || dims[k] == 0;
        fits = fits && tn_int_mul(count, dims[k], &count);
    }
    /* An extent of 0 makes the count 0, however large the others are. */
    if (!empty && !fits)
        return tn_raise(TN_ERR_LIMIT, "the number of elements does not fit 63 bits");
    *out = empty ? 0 : count;
    return TN_OK;
}

tn_status tn_shape_bytes(uint32_t dtype, int32_t rank, const int64_t *dims, size_t *out)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    int64_t count, total;
    if (!bits)
        return tn_raise(TN_ERR_TYPE, "%" PRIu32 " is no element type", dtype);
    TN_TRY(tn_shape_count(rank, dims, &count));
    if (bits >= 8) {
        if (!tn_int_mul(count, bits / 8, &total))
            return tn_raise(TN_ERR_LIMIT, "%" PRId64 " elements of %s do not fit memory", count,
                            tn_dtype_name(dtype));
    } else {
        const int64_t per_byte = 8 / bits;
        total = count / per_byte + (count % per_byte != 0);
    }
    if ((uint64_t)total > PTRDIFF_MAX)
        return tn_raise(TN_ERR_LIMIT, "%" PRId64 " elements of %s do not fit memory", count,
                        tn_dtype_name(dtype));
    *out = (size_t)total;
    return TN_OK;
}

/* ---- text -------------------------------------------------------------------------------- */

void tn_add_shape(tn_builder *builder, const tn_dims *dims, int32_t rank, const tn_dim *d)
{
    tn_add(builder, rank < 0 ? "[…" : "[");
    for (int32_t k = 0; k < rank; k++) {
        if (k)
            tn_add(builder, ",");
        tn_add_dim(builder, dims, d[k]);
    }
    tn_add(builder, "]");
}

/* Opens the wrappers of a kind and answers how many there are. */
static int open_wrappers(tn_builder *builder, uint32_t kind)
{
    static const char *const names[] = { "", "sequence(", "optional(", "map(" };
    int depth = 0;
    for (; kind & 15; kind >>= 4, depth++)
        tn_add(builder, "%s", (kind & 15) < TN_COUNT(names) ? names[kind & 15] : "?(");
    return depth;
}

static void close_wrappers(tn_builder *builder, int depth)
{
    while (depth-- > 0)
        tn_add(builder, ")");
}

void tn_add_type(tn_builder *builder, const tn_dims *dims, const tn_type *type)
{
    int depth = open_wrappers(builder, type->kind);
    tn_add(builder, "%s", tn_dtype_name(type->dtype));
    tn_add_shape(builder, dims, type->rank, type->dims);
    close_wrappers(builder, depth);
}

void tn_add_kind(tn_builder *builder, const tn_type *type)
{
    int depth = open_wrappers(builder, type->kind);
    tn_add(builder, "tensor(%s)", tn_dtype_name(type->dtype));
    close_wrappers(builder, depth);
}

static const char *skip_space(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

/* True when *text goes on with word and "(", which are skipped then. */
static bool opens(const char **text, const char *word)
{
    const size_t count = strlen(word);
    if (strncmp(*text, word, count) != 0)
        return false;
    const char *after = skip_space(*text + count);
    if (*after != '(')
        return false;
    *text = skip_space(after + 1);
    return true;
}

tn_status tn_type_parse(const char *text, tn_type *out)
{
    tn_type type = tn_type_unknown();
    const char *at = skip_space(text);
    uint32_t depth = 0, level = 0;
    char name[32] = "";
    for (;; level += 4, depth++) {
        if (level >= 32)
            return tn_raise(TN_ERR_FORMAT, "type '%.60s' nests deeper than 8", text);
        if (opens(&at, "sequence"))
            type.kind |= (uint32_t)TN_SEQUENCE << level;
        else if (opens(&at, "optional"))
            type.kind |= (uint32_t)TN_OPTIONAL << level;
        else
            break;
    }
    depth += opens(&at, "tensor");
    const size_t count = strspn(at,
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    if (count < sizeof name)
        memcpy(name, at, count);
    type.dtype = tn_dtype_of(name);
    if (!type.dtype) {
        const char *const examples[] = { "float32", "float64", "float16", "bfloat16", "int8",
                                         "int16",   "int32",   "int64",   "uint8",    "uint16",
                                         "uint32",  "uint64",  "bool",    "string" };
        const char *near = tn_nearest(name, examples, TN_COUNT(examples));
        return tn_raise(TN_ERR_TYPE, "'%.60s' names no element type%s%s%s", text,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    at = skip_space(at + count);
    for (; depth; depth--) {
        if (*at != ')')
            return tn_raise(TN_ERR_FORMAT, "type '%.60s' lacks a closing ')'", text);
        at = skip_space(at + 1);
    }
    if (*at)
        return tn_raise(TN_ERR_FORMAT, "type '%.60s' goes on after its end with '%.20s'", text, at);
    *out = type;
    return TN_OK;
}
