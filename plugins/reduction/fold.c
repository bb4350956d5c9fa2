/* plugins/reduction/fold.c: folds many elements into one.
 *
 * In: a tensor seen as kept and reduced axes. Out: for a range of kept elements, the fold over all
 * reduced ones. Where those lie in a row, BLOCK sums run side by side and are folded pairwise at
 * the end; else a block of kept elements runs side by side. Either way the order of operations
 * depends on the shape alone, never on threads.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

/* ---- operations ------------------------------------------------------------------------- */

#define FOLD(name, type, expression)                                                               \
    static void name(type *sum, const type *v, int64_t n)                                          \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = sum[i], y = v[i];                                                       \
            sum[i] = (expression);                                                                 \
        }                                                                                          \
    }
FOLD(sum_doubles, double, x + y)
FOLD(product_doubles, double, x *y)
FOLD(max_doubles, double, x > y || isnan(x) ? x : y)
FOLD(min_doubles, double, x < y || isnan(x) ? x : y)
FOLD(sum_ints, int64_t, (int64_t)((uint64_t)x + (uint64_t)y))
FOLD(product_ints, int64_t, (int64_t)((uint64_t)x *(uint64_t)y))
FOLD(max_ints, int64_t, x > y ? x : y)
FOLD(min_ints, int64_t, x < y ? x : y)

/* -0 + x is x for every x; 0 + -0 would be 0. */
const fold fold_sum = { sum_doubles, sum_ints, -0.0 };
const fold fold_product = { product_doubles, product_ints, 1.0 };
const fold fold_max = { max_doubles, max_ints, -INFINITY };
const fold fold_min = { min_doubles, min_ints, INFINITY };

/* shift[i * step]; step is 0 where one shift serves all. */
static void map_doubles(fold_map map, double *v, int64_t n, const double *shift, int64_t step)
{
    for (int64_t i = 0; map == MAP_ABS && i < n; i++)
        v[i] = fabs(v[i]);
    for (int64_t i = 0; map == MAP_SQUARE && i < n; i++)
        v[i] *= v[i];
    for (int64_t i = 0; map == MAP_EXP && i < n; i++)
        v[i] = exp(v[i] - shift[i * step]);
}

static void map_ints(fold_map map, int is_signed, int64_t *v, int64_t n)
{
    for (int64_t i = 0; map == MAP_ABS && is_signed && i < n; i++)
        v[i] = v[i] < 0 ? (int64_t)(0 - (uint64_t)v[i]) : v[i];
    for (int64_t i = 0; map == MAP_SQUARE && i < n; i++)
        v[i] = (int64_t)((uint64_t)v[i] * (uint64_t)v[i]);
}

/* ---- walking ---------------------------------------------------------------------------- */

/* Steps through the reduced axes but the last `inner` ones. */
typedef struct walk {
    int32_t rank;
    int64_t index[TN_MAX_RANK];
    int64_t offset;
} walk;

static int next(const reduce_shape *shape, walk *w)
{
    for (int32_t axis = w->rank - 1; axis >= 0; axis--) {
        w->offset += shape->reduced_strides[axis];
        if (++w->index[axis] < shape->reduced_dims[axis])
            return 1;
        w->offset -= shape->reduced_strides[axis] * shape->reduced_dims[axis];
        w->index[axis] = 0;
    }
    return 0;
}

/* The shape of both folds, for doubles and for integers: LOAD reads and maps m elements from `at`
 * on into v, number `column` of the kept ones being the first. */
#define FOLD_ROW(type, operation, first_value, LOAD, result)                                       \
    do {                                                                                           \
        const int64_t length = shape->reduced_dims[shape->reduced_rank - 1];                       \
        int64_t lanes = length < BLOCK ? length : BLOCK;                                           \
        walk w = { .rank = shape->reduced_rank - 1 };                                              \
        type lane[BLOCK], v[BLOCK];                                                                \
        for (int64_t i = 0; i < lanes; i++)                                                        \
            lane[i] = first_value;                                                                 \
        do {                                                                                       \
            for (int64_t i = 0; i < length; i += BLOCK) {                                          \
                const int64_t m = length - i < BLOCK ? length - i : BLOCK;                         \
                const int64_t at = origin + w.offset + i;                                          \
                LOAD;                                                                              \
                operation(lane, v, m);                                                             \
            }                                                                                      \
        } while (next(shape, &w));                                                                 \
        while (lanes > 1) {                                                                        \
            const int64_t half = (lanes + 1) / 2;                                                  \
            operation(lane, lane + half, lanes - half);                                            \
            lanes = half;                                                                          \
        }                                                                                          \
        result = lane[0];                                                                          \
    } while (0)

#define FOLD_COLUMNS(type, operation, first_value, LOAD)                                           \
    do {                                                                                           \
        walk w = { .rank = shape->reduced_rank };                                                  \
        type v[BLOCK];                                                                             \
        for (int64_t i = 0; i < m; i++)                                                            \
            sum[column + i] = first_value;                                                         \
        do {                                                                                       \
            const int64_t at = origin + w.offset;                                                  \
            LOAD;                                                                                  \
            operation(sum + column, v, m);                                                         \
        } while (next(shape, &w));                                                                 \
    } while (0)

/* Kept elements from `kept` on that lie side by side. */
static int64_t side_by_side(const reduce_shape *shape, int64_t kept, int64_t n)
{
    const int32_t last = shape->kept_rank - 1;
    if (last < 0)
        return 1;
    const int64_t left = shape->kept_dims[last] - kept % shape->kept_dims[last];
    return left < n ? left : n;
}

void fold_doubles(const fold *op, fold_map map, const tn_tensor *data, const reduce_shape *shape,
                  int64_t first, int64_t n, const double *shift, double *sum)
{
    for (int64_t column = 0; column < n;) {
        const int64_t origin = reduce_origin(shape, first + column);
        if (shape->reduced_inside) {
            FOLD_ROW(double, op->doubles, op->start,
                     load_doubles(data->dtype, data->data, at, m, v);
                     map_doubles(map, v, m, shift ? shift + column : NULL, 0), sum[column]);
            column++;
            continue;
        }
        const int64_t m = side_by_side(shape, first + column, n - column);
        FOLD_COLUMNS(double, op->doubles, op->start,
                     load_doubles(data->dtype, data->data, at, m, v);
                     map_doubles(map, v, m, shift ? shift + column : NULL, 1));
        column += m;
    }
}

static void load_turned(const tn_tensor *data, int64_t at, int64_t n, int64_t turn, fold_map map,
                        int64_t *v)
{
    load_ints(data->dtype, data->data, at, n, v);
    map_ints(map, tn_dtype_is_signed(data->dtype), v, n);
    for (int64_t i = 0; turn && i < n; i++)
        v[i] ^= turn;
}

void fold_ints(const fold *op, fold_map map, const tn_tensor *data, const reduce_shape *shape,
               int64_t first, int64_t n, int64_t start, int64_t turn, int64_t *sum)
{
    for (int64_t column = 0; column < n;) {
        const int64_t origin = reduce_origin(shape, first + column);
        if (shape->reduced_inside) {
            FOLD_ROW(int64_t, op->ints, start, load_turned(data, at, m, turn, map, v), sum[column]);
            column++;
            continue;
        }
        const int64_t m = side_by_side(shape, first + column, n - column);
        FOLD_COLUMNS(int64_t, op->ints, start, load_turned(data, at, m, turn, map, v));
        column += m;
    }
}
