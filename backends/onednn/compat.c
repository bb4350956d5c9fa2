/* compat.c: oneDNN 2.x and 3.x behind one set of functions; see compat.h.
 *
 * SPDX-License-Identifier: MIT */
#include "compat.h"

#include <string.h>

/* ---- what both versions have, spelled alike --------------------------------------------- */

/* A key is a run of 64-bit numbers. */
typedef struct key_writer {
    int64_t *out;
    size_t count, capacity;
} key_writer;

static void key_put(key_writer *writer, int64_t number)
{
    if (writer->count < writer->capacity)
        writer->out[writer->count] = number;
    writer->count++;
}

static size_t key_close(const key_writer *writer)
{
    return writer->count <= writer->capacity ? writer->count * sizeof(int64_t) : 0;
}

static int is_called(const_dnnl_primitive_desc_t desc, const char *name)
{
    const char *found = NULL;
    return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&found) ==
               dnnl_success &&
           found && strstr(found, name);
}

#if DNNL_VERSION_MAJOR >= 3

/* ---- oneDNN 3.x ------------------------------------------------------------------------- */

dnnl_status_t onednn_desc_strided(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                  const int64_t *dims, const int64_t *strides)
{
    int64_t row_major[DNNL_MAX_NDIMS], step = 1;
    if (rank < 0 || rank > DNNL_MAX_NDIMS)
        return dnnl_invalid_arguments;
    for (int axis = rank - 1; axis >= 0; axis--) {
        row_major[axis] = step;
        step *= dims[axis];
    }
    return dnnl_memory_desc_create_with_strides(&desc->md, rank, dims, type,
                                                strides ? strides : row_major);
}

dnnl_status_t onednn_desc_tagged(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                 const int64_t *dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(&desc->md, rank, dims, type, tag);
}

void onednn_desc_clear(onednn_desc *desc)
{
    if (desc->md)
        dnnl_memory_desc_destroy(desc->md);
    desc->md = NULL;
}

size_t onednn_desc_key(onednn_md md, void *out, size_t capacity)
{
    key_writer writer = { out, 0, capacity / sizeof(int64_t) };
    static const dnnl_query_t per_axis[] = { dnnl_query_dims, dnnl_query_padded_dims,
                                             dnnl_query_padded_offsets, dnnl_query_strides };
    int rank = 0, blocks = 0;
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    dnnl_data_type_t type = dnnl_data_type_undef;
    const dnnl_dims_t *values;
    if (dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &rank) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_data_type, &type) != dnnl_success ||
        kind != dnnl_blocked)
        return 0;
    key_put(&writer, rank);
    key_put(&writer, (int64_t)type);
    for (size_t k = 0; k < sizeof per_axis / sizeof *per_axis; k++) {
        if (dnnl_memory_desc_query(md, per_axis[k], &values) != dnnl_success)
            return 0;
        for (int axis = 0; axis < rank; axis++)
            key_put(&writer, (*values)[axis]);
    }
    if (dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &blocks) != dnnl_success)
        return 0;
    key_put(&writer, blocks);
    if (blocks && dnnl_memory_desc_query(md, dnnl_query_inner_blks, &values) == dnnl_success)
        for (int k = 0; k < blocks; k++)
            key_put(&writer, (*values)[k]);
    if (blocks && dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &values) == dnnl_success)
        for (int k = 0; k < blocks; k++)
            key_put(&writer, (*values)[k]);
    return key_close(&writer);
}

dnnl_status_t onednn_post_scale(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops, float scale)
{
    (void)attr;
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, scale, 0.0f);
}

dnnl_status_t onednn_post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

/* 3.x gave functions whose parameters were fixed in 2.x a parameter. */
static void eltwise_parameters(dnnl_alg_kind_t alg, float *alpha, float *beta)
{
    if (alg == dnnl_eltwise_hardswish) {
        *alpha = 1.0f / 6.0f;
        *beta = 0.5f;
    }
}

dnnl_status_t onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
    eltwise_parameters(alg, &alpha, &beta);
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
}

dnnl_status_t onednn_post_read_eltwise(const_dnnl_post_ops_t ops, int index, dnnl_alg_kind_t *alg,
                                       float *alpha, float *beta)
{
    return dnnl_post_ops_get_params_eltwise(ops, index, alg, alpha, beta);
}

dnnl_status_t onednn_convolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                 onednn_md weights, onednn_md bias, onednn_md dst,
                                 const onednn_window *window, onednn_pd *out)
{
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, dnnl_convolution_direct, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after, attr);
}

dnnl_status_t onednn_winograd(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                              onednn_md weights, onednn_md bias, onednn_md dst,
                              const onednn_window *window, const char *name, onednn_pd *out)
{
    onednn_pd found = NULL;
    dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
        &found, engine, dnnl_forward_inference, dnnl_convolution_winograd, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after, attr);
    while (status == dnnl_success && !is_called(found, name))
        status = dnnl_primitive_desc_next_impl(found);
    if (status == dnnl_success)
        *out = found;
    else if (found)
        dnnl_primitive_desc_destroy(found);
    return status;
}

dnnl_status_t onednn_deconvolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                   onednn_md weights, onednn_md bias, onednn_md dst,
                                   const onednn_window *window, onednn_pd *out)
{
    return dnnl_deconvolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, dnnl_deconvolution_direct, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after, attr);
}

dnnl_status_t onednn_matmul(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                            onednn_md weights, onednn_md bias, onednn_md dst, onednn_pd *out)
{
    return dnnl_matmul_primitive_desc_create(out, engine, src, weights, bias, dst, attr);
}

dnnl_status_t onednn_pooling(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             onednn_md src, onednn_md dst, const onednn_window *window,
                             onednn_pd *out)
{
    return dnnl_pooling_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, alg, src, dst, window->strides, window->kernel,
        window->dilations, window->before, window->after, attr);
}

dnnl_status_t onednn_eltwise(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             float alpha, float beta, onednn_md data, onednn_pd *out)
{
    eltwise_parameters(alg, &alpha, &beta);
    return dnnl_eltwise_forward_primitive_desc_create(out, engine, dnnl_forward_inference, alg,
                                                      data, data, alpha, beta, attr);
}

dnnl_status_t onednn_prelu(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                           onednn_md weights, onednn_pd *out)
{
    return dnnl_prelu_forward_primitive_desc_create(out, engine, dnnl_forward_inference, data,
                                                    weights, data, attr);
}

dnnl_status_t onednn_binary(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                            onednn_md a, onednn_md b, onednn_md dst, onednn_pd *out)
{
    return dnnl_binary_primitive_desc_create(out, engine, alg, a, b, dst, attr);
}

dnnl_status_t onednn_softmax(dnnl_engine_t engine, dnnl_primitive_attr_t attr, int logarithm,
                             onednn_md data, int axis, onednn_pd *out)
{
    return dnnl_softmax_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, logarithm ? dnnl_softmax_log : dnnl_softmax_accurate,
        data, data, axis, attr);
}

dnnl_status_t onednn_batch_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, onednn_pd *out)
{
    return dnnl_batch_normalization_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, data, data, epsilon,
        dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift, attr);
}

dnnl_status_t onednn_layer_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, int shift, onednn_pd *out)
{
    return dnnl_layer_normalization_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, data, data, NULL, epsilon,
        dnnl_use_scale | (shift ? (unsigned)dnnl_use_shift : 0), attr);
}

dnnl_status_t onednn_lrn(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                         int64_t size, float alpha, float beta, float bias, onednn_pd *out)
{
    return dnnl_lrn_forward_primitive_desc_create(out, engine, dnnl_forward_inference,
                                                  dnnl_lrn_across_channels, data, data, size, alpha,
                                                  beta, bias, attr);
}

dnnl_status_t onednn_concat(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md dst,
                            int count, int axis, const onednn_desc *sources, onednn_pd *out)
{
    /* An array of handles: a struct of one handle has the same layout. */
    _Static_assert(sizeof(onednn_desc) == sizeof(const_dnnl_memory_desc_t), "one handle");
    return dnnl_concat_primitive_desc_create(
        out, engine, dst, count, axis, (const const_dnnl_memory_desc_t *)(const void *)sources,
        attr);
}

dnnl_status_t onednn_reorder(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                             onednn_md dst, onednn_pd *out)
{
    return dnnl_reorder_primitive_desc_create(out, src, engine, dst, engine, attr);
}

dnnl_status_t onednn_recurrent(dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                               const onednn_recurrence *l, onednn_pd *out)
{
    const dnnl_prop_kind_t kind = dnnl_forward_inference;
    if (l->kind == ONEDNN_LSTM)
        return dnnl_lstm_forward_primitive_desc_create(out, engine, kind, l->direction, l->x, l->h,
                                                       l->c, l->w, l->r, NULL, NULL, l->bias, l->y,
                                                       l->y_h, l->y_c, dnnl_rnn_flags_undef, attr);
    return (l->kind == ONEDNN_GRU ? dnnl_gru_forward_primitive_desc_create
                                  : dnnl_lbr_gru_forward_primitive_desc_create)(
        out, engine, kind, l->direction, l->x, l->h, l->w, l->r, l->bias, l->y, l->y_h,
        dnnl_rnn_flags_undef, attr);
}

#else

/* ---- oneDNN 2.x ------------------------------------------------------------------------- */

dnnl_status_t onednn_desc_strided(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                  const int64_t *dims, const int64_t *strides)
{
    return dnnl_memory_desc_init_by_strides(&desc->md, rank, dims, type, strides);
}

dnnl_status_t onednn_desc_tagged(onednn_desc *desc, dnnl_data_type_t type, int rank,
                                 const int64_t *dims, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(&desc->md, rank, dims, type, tag);
}

void onednn_desc_clear(onednn_desc *desc)
{
    memset(desc, 0, sizeof *desc);
}

/* The struct has padding and unused tails, so its bytes will not do. */
size_t onednn_desc_key(onednn_md md, void *out, size_t capacity)
{
    key_writer writer = { out, 0, capacity / sizeof(int64_t) };
    const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
    const dnnl_wino_desc_t *wino = &md->format_desc.wino_desc;
    key_put(&writer, md->ndims);
    key_put(&writer, (int64_t)md->data_type);
    key_put(&writer, (int64_t)md->format_kind);
    key_put(&writer, md->offset0);
    key_put(&writer, (int64_t)md->extra.flags);
    for (int axis = 0; axis < md->ndims; axis++) {
        key_put(&writer, md->dims[axis]);
        key_put(&writer, md->padded_dims[axis]);
        key_put(&writer, md->padded_offsets[axis]);
    }
    if (md->format_kind == dnnl_format_kind_wino) {
        const int64_t fields[] = { (int64_t)wino->wino_format,
                                   wino->r,
                                   wino->alpha,
                                   wino->ic,
                                   wino->oc,
                                   wino->ic_block,
                                   wino->oc_block,
                                   wino->ic2_block,
                                   wino->oc2_block,
                                   (int64_t)wino->size };
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            key_put(&writer, fields[k]);
        return key_close(&writer);
    }
    if (md->format_kind != dnnl_blocked)
        return 0;
    for (int axis = 0; axis < md->ndims; axis++)
        key_put(&writer, blocking->strides[axis]);
    for (int k = 0; k < blocking->inner_nblks; k++) {
        key_put(&writer, blocking->inner_blks[k]);
        key_put(&writer, blocking->inner_idxs[k]);
    }
    return key_close(&writer);
}

dnnl_status_t onednn_post_scale(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops, float scale)
{
    (void)ops;
    return dnnl_primitive_attr_set_output_scales(attr, 1, 0, &scale);
}

dnnl_status_t onednn_post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum_v2(ops, 1.0f, dnnl_data_type_undef);
}

dnnl_status_t onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
}

dnnl_status_t onednn_post_read_eltwise(const_dnnl_post_ops_t ops, int index, dnnl_alg_kind_t *alg,
                                       float *alpha, float *beta)
{
    float scale;
    return dnnl_post_ops_get_params_eltwise(ops, index, &scale, alg, alpha, beta);
}

/* Each function: fill in the operation's descriptor, then make the primitive's from it. */
#define DESCRIBE(expression)                                                                       \
    do {                                                                                           \
        const dnnl_status_t describe_status = (expression);                                        \
        if (describe_status != dnnl_success)                                                       \
            return describe_status;                                                                \
    } while (0)

dnnl_status_t onednn_convolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                 onednn_md weights, onednn_md bias, onednn_md dst,
                                 const onednn_window *window, onednn_pd *out)
{
    dnnl_convolution_desc_t desc;
    DESCRIBE(dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference, dnnl_convolution_direct, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_winograd(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                              onednn_md weights, onednn_md bias, onednn_md dst,
                              const onednn_window *window, const char *name, onednn_pd *out)
{
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_iterator_t it = NULL;
    dnnl_status_t status;
    DESCRIBE(dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference, dnnl_convolution_winograd, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after));
    status = dnnl_primitive_desc_iterator_create(&it, &desc, attr, engine, NULL);
    for (; status == dnnl_success; status = dnnl_primitive_desc_iterator_next(it)) {
        const onednn_pd found = dnnl_primitive_desc_iterator_fetch(it);
        if (found && is_called(found, name)) {
            *out = found;
            break;
        }
        if (found)
            dnnl_primitive_desc_destroy(found);
    }
    if (it)
        dnnl_primitive_desc_iterator_destroy(it);
    return status;
}

dnnl_status_t onednn_deconvolution(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                                   onednn_md weights, onednn_md bias, onednn_md dst,
                                   const onednn_window *window, onednn_pd *out)
{
    dnnl_deconvolution_desc_t desc;
    DESCRIBE(dnnl_dilated_deconvolution_forward_desc_init(
        &desc, dnnl_forward_inference, dnnl_deconvolution_direct, src, weights, bias, dst,
        window->strides, window->dilations, window->before, window->after));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_matmul(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                            onednn_md weights, onednn_md bias, onednn_md dst, onednn_pd *out)
{
    dnnl_matmul_desc_t desc;
    DESCRIBE(dnnl_matmul_desc_init(&desc, src, weights, bias, dst));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_pooling(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             onednn_md src, onednn_md dst, const onednn_window *window,
                             onednn_pd *out)
{
    dnnl_pooling_v2_desc_t desc;
    DESCRIBE(dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_inference, alg, src, dst,
                                               window->strides, window->kernel, window->dilations,
                                               window->before, window->after));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_eltwise(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                             float alpha, float beta, onednn_md data, onednn_pd *out)
{
    dnnl_eltwise_desc_t desc;
    DESCRIBE(dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, alg, data, alpha, beta));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_prelu(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                           onednn_md weights, onednn_pd *out)
{
    dnnl_prelu_desc_t desc;
    DESCRIBE(dnnl_prelu_forward_desc_init(&desc, dnnl_forward_inference, data, weights));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_binary(dnnl_engine_t engine, dnnl_primitive_attr_t attr, dnnl_alg_kind_t alg,
                            onednn_md a, onednn_md b, onednn_md dst, onednn_pd *out)
{
    dnnl_binary_desc_t desc;
    DESCRIBE(dnnl_binary_desc_init(&desc, alg, a, b, dst));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_softmax(dnnl_engine_t engine, dnnl_primitive_attr_t attr, int logarithm,
                             onednn_md data, int axis, onednn_pd *out)
{
    dnnl_softmax_v2_desc_t desc;
    DESCRIBE(dnnl_softmax_v2_forward_desc_init(&desc, dnnl_forward_inference,
                                               logarithm ? dnnl_softmax_log : dnnl_softmax_accurate,
                                               data, data, axis));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_batch_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, onednn_pd *out)
{
    dnnl_batch_normalization_desc_t desc;
    DESCRIBE(dnnl_batch_normalization_forward_desc_init(
        &desc, dnnl_forward_inference, data, epsilon,
        dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_layer_norm(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                                float epsilon, int shift, onednn_pd *out)
{
    dnnl_layer_normalization_desc_t desc;
    DESCRIBE(dnnl_layer_normalization_forward_desc_init(
        &desc, dnnl_forward_inference, data, NULL, epsilon,
        dnnl_use_scale | (shift ? (unsigned)dnnl_use_shift : 0)));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_lrn(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md data,
                         int64_t size, float alpha, float beta, float bias, onednn_pd *out)
{
    dnnl_lrn_desc_t desc;
    DESCRIBE(dnnl_lrn_forward_desc_init(&desc, dnnl_forward_inference, dnnl_lrn_across_channels,
                                        data, size, alpha, beta, bias));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

dnnl_status_t onednn_concat(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md dst,
                            int count, int axis, const onednn_desc *sources, onednn_pd *out)
{
    return dnnl_concat_primitive_desc_create(out, dst, count, axis, &sources->md, attr, engine);
}

dnnl_status_t onednn_reorder(dnnl_engine_t engine, dnnl_primitive_attr_t attr, onednn_md src,
                             onednn_md dst, onednn_pd *out)
{
    return dnnl_reorder_primitive_desc_create(out, src, engine, dst, engine, attr);
}

dnnl_status_t onednn_recurrent(dnnl_engine_t engine, dnnl_primitive_attr_t attr,
                               const onednn_recurrence *l, onednn_pd *out)
{
    const dnnl_prop_kind_t kind = dnnl_forward_inference;
    dnnl_rnn_desc_t desc;
    if (l->kind == ONEDNN_LSTM)
        DESCRIBE(dnnl_lstm_forward_desc_init(&desc, kind, l->direction, l->x, l->h, l->c, l->w,
                                             l->r, l->bias, l->y, l->y_h, l->y_c,
                                             dnnl_rnn_flags_undef));
    else
        DESCRIBE(
            (l->kind == ONEDNN_GRU ? dnnl_gru_forward_desc_init : dnnl_lbr_gru_forward_desc_init)(
                &desc, kind, l->direction, l->x, l->h, l->w, l->r, l->bias, l->y, l->y_h,
                dnnl_rnn_flags_undef));
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

#endif
