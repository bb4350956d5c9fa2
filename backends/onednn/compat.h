/* compat.h: the one place that knows which major version of oneDNN it is compiled against.
 *
 * oneDNN 2.x has open memory descriptors and an operation descriptor beside each primitive
 * descriptor; 3.x made the former opaque and dropped the latter. The rest of this folder sees
 * only what is declared here, and those functions of dnnl.h that both versions share.
 *
 * In: extents, layouts, attributes. Out: descriptors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_ONEDNN_COMPAT_H
#define TENON_ONEDNN_COMPAT_H

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>

#include <stddef.h>
#include <stdint.h>

#define ONEDNN_MAX_SPATIAL 3 /* of the library; its own arrays are longer */

/* A memory descriptor that somebody else owns … */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_md;
#else
typedef const dnnl_memory_desc_t *onednn_md;
#endif
/* … and one of our own: zeroed is empty, clear() frees whatever it holds. */
typedef struct onednn_desc {
    dnnl_memory_desc_t md;
} onednn_desc;

static inline onednn_md onednn_md_of(const onednn_desc *desc)
{
#if DNNL_VERSION_MAJOR >= 3
    return desc->md;
#else
    return &desc->md;
#endif
}

/* strides: NULL for row-major. */
dnnl_status_t onednn_desc_strided(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                  const int64_t *dims, const int64_t *strides);
dnnl_status_t onednn_desc_tagged(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                 const int64_t *dims, dnnl_format_tag_t tag);
void onednn_desc_clear(onednn_desc *desc);

/* Writes bytes that are equal for equal memory formats, extents included; answers how many, 0
 * when the format has no such bytes or more than `capacity`. */
size_t onednn_desc_key(onednn_md md, void *out, size_t capacity);

/* A sliding window over the spatial axes; dilations count from 0, as the library has them. */
typedef struct onednn_window {
    int32_t rank;
    dnnl_dims_t kernel;
    dnnl_dims_t strides;
    dnnl_dims_t dilations;
    dnnl_dims_t before;
    dnnl_dims_t after;
} onednn_window;

/* Post-operations. scale: the result of a product times a number, before any other. */
dnnl_status_t onednn_post_scale(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops, float scale);
dnnl_status_t onednn_post_sum(dnnl_post_ops_t ops);
dnnl_status_t onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                  float beta);
dnnl_status_t onednn_post_read_eltwise(const_dnnl_post_ops_t ops, int index, dnnl_alg_kind_t *alg,
                                       float *alpha, float *beta);

/* Primitive descriptors for inference. bias may be NULL. */
typedef dnnl_primitive_desc_t onednn_pd;
dnnl_status_t onednn_convolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                 onednn_md weights, onednn_md bias, onednn_md dst,
                                 const onednn_window *window, onednn_pd *out);
/* A convolution by Winograd's algorithm whose code's name has `name` in it; the library never picks
 * one by itself. */
dnnl_status_t onednn_winograd(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                              onednn_md weights, onednn_md bias, onednn_md dst,
                              const onednn_window *window, const char *name, onednn_pd *out);
dnnl_status_t onednn_deconvolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                   onednn_md weights, onednn_md bias, onednn_md dst,
                                   const onednn_window *window, onednn_pd *out);
dnnl_status_t onednn_matmul(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                            onednn_md weights, onednn_md bias, onednn_md dst, onednn_pd *out);
dnnl_status_t onednn_pooling(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             onednn_md src, onednn_md dst, const onednn_window *window,
                             onednn_pd *out);
/* Source and destination of the same format. */
dnnl_status_t onednn_eltwise(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             float alpha, float beta, onednn_md data, onednn_pd *out);
dnnl_status_t onednn_prelu(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                           onednn_md weights, onednn_pd *out);
dnnl_status_t onednn_binary(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                            onednn_md a, onednn_md b, onednn_md dst, onednn_pd *out);
dnnl_status_t onednn_softmax(dnnl_engine_t engine, dnnl_primitive_attr_t attr, int logarithm,
                             onednn_md data, int axis, onednn_pd *out);
/* With given statistics, scale and shift. */
dnnl_status_t onednn_batch_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, onednn_pd *out);
/* Over the last axis, with scale and perhaps shift. */
dnnl_status_t onednn_layer_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, int shift, onednn_pd *out);
/* Across channels. */
dnnl_status_t onednn_lrn(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                         int64_t size, float alpha, float beta, float bias, onednn_pd *out);
dnnl_status_t onednn_concat(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md dst,
                            int count, int axis, const onednn_desc *sources, onednn_pd *out);
dnnl_status_t onednn_reorder(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                             onednn_md dst, onednn_pd *out);

/* A recurrent layer: x and y [steps, batch, width], states [1, directions, batch, width]. h and c:
 * NULL for zeros; y_h and y_c: NULL where not wanted; c and y_c: of LSTM only. */
enum { ONEDNN_LSTM, ONEDNN_GRU, ONEDNN_LINEAR_GRU };
typedef struct onednn_recurrence {
    int kind;
    dnnl_rnn_direction_t direction;
    onednn_md x, h, c, w, r, bias, y, y_h, y_c;
} onednn_recurrence;
dnnl_status_t onednn_recurrent(dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                               const onednn_recurrence *layer, onednn_pd *out);

#endif
