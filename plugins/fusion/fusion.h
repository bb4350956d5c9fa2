/* plugins/fusion/fusion.h: what the passes of this plugin share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef FUSION_H
#define FUSION_H

#include "tenon/kernel.h"

tn_status fold_batch_norm_register(tn_registrar *registrar);
tn_status fold_pad_register(tn_registrar *registrar);
tn_status fold_scale_register(tn_registrar *registrar);
tn_status fold_shift_register(tn_registrar *registrar);
tn_status fold_sum_register(tn_registrar *registrar);
tn_status fold_transpose_register(tn_registrar *registrar);

/* ---- linear nodes (linear.c) -------------------------------------------------------------- */

/* Conv, ConvTranspose, Gemm and MatMul as one thing: sums over inputs i of x[i] * w[o][i] plus a
 * bias, for each output channel o. The weights lie as [a][b][inner], where a or b counts output
 * channels, the other one input channels of a group. Tensors are lent until the graph is edited. */
typedef struct linear {
    tn_node_id id;
    tn_region_id region;
    char name[96];
    const char *op; /* static */
    const tn_tensor *weights;
    const tn_tensor *bias; /* NULL: none */
    char weights_name[96];
    int64_t a, b, inner, group;
    int64_t outs, ins;
    int64_t bias_rows;  /* 1; rows of Gemm's C where each row of the answer has its own */
    double alpha, beta; /* of Gemm; else 1 */
    int out_first;      /* a counts output channels */
    int is_matrix;      /* Gemm, MatMul: channels lie on axis 1 only in rank 2 */
    int turned;         /* Gemm with transA: channels of the input are rows of the answer */
    int any_rank;       /* MatMul of more than matrices: no bias, channels on the last axis */
    int borders;        /* some sums leave inputs out: padding, or a ConvTranspose */
} linear;

enum { WHY_BYTES = 400 };

/* Whether the node is a linear operator at all. */
int linear_is(const tn_node_view *view);
/* Reads one. TN_NO_MATCH when it cannot be rewritten, and why. */
tn_status linear_read(tn_rewrite *ctx, tn_node_id node, linear *out, char why[WHY_BYTES]);
/* Channel of the output (of the input) that weights [a][b] belong to. */
int64_t linear_out(const linear *l, int64_t a, int64_t b);
int64_t linear_in(const linear *l, int64_t a, int64_t b);

/* A constant that no run can replace, or NULL with the reason, beginning with `what`. */
const tn_tensor *fusion_constant(tn_rewrite *ctx, tn_value_id value, const char *what,
                                 char why[WHY_BYTES]);
/* That only `reader` reads the value; else why, beginning with `what`: "Conv's output". */
int fusion_is_single(tn_rewrite *ctx, tn_value_id value, tn_node_id reader, const char *what,
                     char why[WHY_BYTES]);
/* Adds a constant named "name/by", or as the graph likes where that is taken. */
tn_status fusion_add_constant(tn_rewrite *ctx, tn_region_id region, const tn_tensor *tensor,
                              const char *name, const char *by, tn_value_id *out);

/* ---- maps of channels (affine.c) ------------------------------------------------------------- */

/* A node that is y = factor*x + shift for each channel. */
typedef struct affine affine;
struct affine {
    tn_node_id id;
    const char *what;       /* the operator, static */
    const char *not_finite; /* what to say then, static */
    char name[96];
    tn_value_id x, y;
    int64_t channels;
    double *factor, *shift; /* [channels]; freed by affine_fold */
    char why[WHY_BYTES];
    /* Fills channels, factor and shift, given the linear node that it is to go into. */
    tn_status (*read)(tn_rewrite *ctx, affine *map, const linear *partner, int before);
};

/* Why not; answers TN_NO_MATCH. */
tn_status affine_refuse(affine *map, const char *format, ...) TN_PRINTF(2, 3);
tn_status affine_allocate(tn_rewrite *ctx, affine *map, int64_t channels);
/* Folds it into the linear node that makes x, else into the one that reads y. */
tn_status affine_fold(tn_rewrite *ctx, affine *map);

/* The match of fold_scale and fold_shift: a node of two inputs, one of them constant. */
tn_status affine_match_binary(tn_rewrite *ctx, tn_node_id node);

#endif
