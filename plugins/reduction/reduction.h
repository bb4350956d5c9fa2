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

/* ---- arg.c: where the largest or least element stands --------------------------------------- */

typedef struct arg_job {
    const tn_tensor *data;
    int64_t *out;
    int64_t extent, inner; /* elements along the axis, and behind it */
    int last;              /* of equal ones the last */
    int least;
} arg_job;

/* Positions along the axis for lines `at` on, at most n of them; answers how many it found. Lines
 * are numbered by what is in front of the axis and what is behind it. */
int64_t arg_find(const arg_job *job, int64_t at, int64_t n, int64_t *found);

/* ---- softmax.c: what Hardmax shares, along one axis of the same shape ------------------------ */

extern const tn_attribute_def softmax_attributes[1]; /* axis */
tn_status softmax_infer(tn_infer *ctx);
tn_status softmax_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
/* Versions of sets 1 and 11, over all axes from `axis` on; `newest` has softmax_upgrade. */
tn_status softmax_add_old(tn_registrar *registrar, const tn_operator_def *newest);
tn_status softmax_upgrade(tn_rewrite *ctx, tn_node_id node);

/* ---- files --------------------------------------------------------------------------------- */

tn_status reduce_register(tn_registrar *registrar);
tn_status arg_register(tn_registrar *registrar);
tn_status cumulative_register(tn_registrar *registrar);
tn_status hardmax_register(tn_registrar *registrar);
tn_status softmax_register(tn_registrar *registrar);

#endif
