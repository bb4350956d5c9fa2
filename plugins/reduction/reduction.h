/* plugins/reduction/reduction.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_REDUCTION_H
#define TENON_PLUGINS_REDUCTION_H

#include "tenon/blocks.h"

/* ---- axes.c: which elements go into one --------------------------------------------------- */

/* A tensor as a box of kept and reduced axes. Neighbours of a kind are merged and extents of 1
 * left out; strides count elements. */
typedef struct reduce_shape {
    int32_t kept_rank, reduced_rank;
    int64_t kept_dims[TN_MAX_RANK], kept_strides[TN_MAX_RANK];
    int64_t reduced_dims[TN_MAX_RANK], reduced_strides[TN_MAX_RANK];
    int64_t kept_count, reduced_count;
    int reduced_inside; /* the innermost axis is a reduced one: elements to fold lie in a row */
} reduce_shape;

/* `axes` has a bit for each reduced axis. */
void reduce_shape_init(reduce_shape *out, const tn_tensor *data, uint32_t axes);
/* Where the elements of kept number `kept` start. */
int64_t reduce_origin(const reduce_shape *shape, int64_t kept);

/* ---- fold.c: folding blocks of elements ---------------------------------------------------- */

typedef struct fold {
    /* sum[i] = sum[i] op v[i] */
    void (*doubles)(double *sum, const double *v, int64_t n);
    void (*ints)(int64_t *sum, const int64_t *v, int64_t n); /* NULL: only doubles */
    double start; /* folded with x it gives x, bit for bit */
} fold;
extern const fold fold_sum, fold_product, fold_max, fold_min;

/* What is done with an element before it is folded. */
typedef enum fold_map { MAP_NONE, MAP_ABS, MAP_SQUARE, MAP_EXP } fold_map;

/* Folds the elements behind kept numbers [first, first + n) of `data`, n at most BLOCK, into
 * sum[n]. For MAP_EXP shift[i] is subtracted before. Integers that outgrow their type are cut by
 * whoever stores them. */
void fold_doubles(const fold *op, fold_map map, const tn_tensor *data, const reduce_shape *shape,
                  int64_t first, int64_t n, const double *shift, double *sum);
/* `start` belongs to the type. uint64 is seen with its highest bit turned where `turn` is, so that
 * comparisons order it. */
void fold_ints(const fold *op, fold_map map, const tn_tensor *data, const reduce_shape *shape,
               int64_t first, int64_t n, int64_t start, int64_t turn, int64_t *sum);

/* ---- files --------------------------------------------------------------------------------- */

tn_status reduce_register(tn_registrar *registrar);
tn_status arg_register(tn_registrar *registrar);
tn_status softmax_register(tn_registrar *registrar);

#endif
