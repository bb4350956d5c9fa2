/* plugins/attention/attention.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_ATTENTION_H
#define TENON_PLUGINS_ATTENTION_H

#include "tenon/blocks.h"
#include "tenon/upgrade.h"

#include <inttypes.h>

/* ---- inference (infer.c) -------------------------------------------------------------------- */

/* The type of an input that is there, else NULL. */
static inline const tn_type *attn_input(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

/* Complains about input k unless its rank, where known, is in [low, high]; answers whether the
 * rank is known and right. */
int attn_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t low, int32_t high);

/* Complains unless axis `axis` of input k can be `wanted`, which is `what`. */
void attn_check_extent(tn_infer *ctx, uint32_t k, const char *name, int32_t axis, tn_dim wanted,
                       const char *what);

/* Complains that attribute `name` has this value. */
void attn_bad_attribute(tn_infer *ctx, const char *name, int64_t found, const char *expected);

/* `hidden` split among `heads`, or unknown; complains where they do not divide it. */
tn_dim attn_split_heads(tn_infer *ctx, uint32_t k, const char *name, tn_dim hidden, tn_dim heads);

/* Complains unless the queries' heads are a multiple of those of keys and values. */
void attn_check_groups(tn_infer *ctx, uint32_t k, tn_dim query_heads, tn_dim heads);

/* Sets rank and extents of output k, where it is wanted. */
void attn_set_shape(tn_infer *ctx, uint32_t k, int32_t rank, const tn_dim *dims);

/* ---- rows of heads (rows.c) ------------------------------------------------------------------ */

/* Rows of one head in a tensor, [batch, heads, rows, width] or [batch, rows, heads * width]. */
typedef struct attn_rows {
    const tn_tensor *tensor;
    int64_t batch, heads, rows, width;
    int64_t batch_step, head_step, row_step; /* in elements */
} attn_rows;

/* `heads` counts only where the tensor has rank 3. */
void attn_rows_init(attn_rows *rows, const tn_tensor *tensor, int64_t heads);

static inline int64_t attn_rows_at(const attn_rows *r, int64_t batch, int64_t head, int64_t row)
{
    return batch * r->batch_step + head * r->head_step + row * r->row_step;
}
void attn_load(const tn_tensor *tensor, int64_t first, int64_t count, double *out);
/* Sum of products of a row with a vector. */
double attn_dot(const attn_rows *rows, int64_t first, const double *vector);
/* Adds factor times a row to `sum`. */
void attn_add_scaled(const attn_rows *rows, int64_t first, double factor, double *sum);

/* Softmax of `count` scores in place. */
void attn_softmax(double *scores, int64_t count);

/* Scratch of `doubles` numbers for each thread, in whole lines of the cache; never none. */
tn_status attn_scratch(tn_measure *ctx, double doubles);
static inline int64_t attn_scratch_step(int64_t doubles)
{
    return (doubles / 8 + 1) * 8;
}

static inline const tn_tensor *attn_operand(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
static inline tn_tensor *attn_output(const tn_run *ctx, uint32_t k)
{
    return k < ctx->output_count ? ctx->outputs[k] : NULL;
}

/* ---- as other operators (write.c) -------------------------------------------------------------- */

/* A node of attention that is being written out. An extent is a vector of one int64. */
typedef struct attn_writer {
    tn_edit e;
    tn_value_id q, k, v, past;    /* the inputs; keys of the past, where there are any */
    int packed;                   /* rank 3: [batch, rows, heads * size] */
    int64_t query_heads, heads;   /* of packed inputs, as attributes say */
    uint32_t dtype, values_dtype; /* of Q and K, of V */
    uint32_t wide;                /* what is computed in: float32 or float64 */
} attn_writer;

/* TN_KEEP, with the reason, where the rank of Q or a type is not known. */
tn_status attn_write_begin(attn_writer *w, tn_rewrite *ctx, tn_node_id node);

tn_value_id attn_put_transpose(tn_edit *e, tn_value_id x, const int64_t *permutation, size_t rank);
tn_value_id attn_put_cast(tn_edit *e, tn_value_id x, uint32_t from, uint32_t to);
tn_value_id attn_put_softmax(tn_edit *e, tn_value_id x);
/* Values joined along their first axis. */
tn_value_id attn_put_shape(tn_edit *e, const tn_value_id *extents, uint32_t count);
/* An extent; negative axes count from the end, and need no rank. */
tn_value_id attn_put_extent(tn_edit *e, tn_value_id x, int32_t axis);
/* A part of an extent: the last axis of a packed `x`, split among `heads`. */
tn_value_id attn_put_share(tn_edit *e, tn_value_id x, int64_t heads);
/* An output that is wanted is this value. */
void attn_give(tn_edit *e, uint32_t k, tn_value_id value);

/* Packed or not, as [batch, heads, rows, size]. */
tn_value_id attn_write_rows(attn_writer *w, tn_value_id x, int64_t heads);
/* Rows of past and new keys: an extent. */
tn_value_id attn_write_total(attn_writer *w);
/* scale * Q K^T as [batch, heads of queries, queries, keys], of type `wide`. */
tn_value_id attn_write_scores(attn_writer *w, tn_value_id keys);
/* Averages of values, laid out as Y, of Q's type. */
tn_value_id attn_write_means(attn_writer *w, tn_value_id weights, tn_value_id values);

/* `expand` of the operators. */
tn_status attention_write_out(tn_rewrite *ctx, tn_node_id node);
tn_status attention_renew(tn_rewrite *ctx, tn_node_id node);
tn_status flex_write_out(tn_rewrite *ctx, tn_node_id node);
tn_status linear_write_out(tn_rewrite *ctx, tn_node_id node);

tn_status attention_register(tn_registrar *registrar);
tn_status flex_register(tn_registrar *registrar);
tn_status linear_register(tn_registrar *registrar);
tn_status rotary_register(tn_registrar *registrar);

#endif
