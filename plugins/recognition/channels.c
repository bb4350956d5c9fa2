/* plugins/recognition/channels.c: constants of one number for each channel, as scale and bias of a
 * normalization.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdlib.h>

/* Of a value of rank `rank`, whose channels lie on axis 1. */
static int is_by_channel(const tn_tensor *constant, int64_t channels, int32_t rank)
{
    const int32_t axis = constant ? constant->rank - (rank - 1) : -1;
    return axis >= 0 && constant->rank <= rank && constant->dims[axis] == channels &&
           tn_count(constant) == channels;
}

tn_value_id pattern_follow_channels(pattern *p, int64_t channels, int32_t rank, const char *op)
{
    const tn_node_id reader = pattern_reader(p, p->y, op);
    const tn_value_id other = reader == TN_NONE ? TN_NONE : pattern_other(p, reader, p->y, NULL);
    p->why[0] = 0; /* that it does not go on is fine */
    return is_by_channel(pattern_constant(p, other), channels, rank) && pattern_follow(p, reader)
               ? other
               : TN_NONE;
}

tn_status pattern_channels(pattern *p, uint32_t dtype, int64_t channels, tn_value_id source,
                           double number, tn_value_id *out)
{
    const tn_tensor *from = pattern_constant(p, source);
    tn_tensor tensor = { .size = sizeof tensor,
                         .kind = TN_TENSOR,
                         .dtype = dtype,
                         .rank = 1,
                         .dims = &channels,
                         .bytes = tn_dtype_bytes(dtype, channels) };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    void *data = from ? NULL : malloc(tensor.bytes);
    if (!from && !data)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for %d channels", (int)channels);
    for (int64_t k = 0; data && k < channels; k++)
        tn_set_float(dtype, data, k, number);
    tensor.data = from ? from->data : data;
    const tn_status status = p->ctx->api->add_constant(p->ctx->graph, &desc, out);
    free(data);
    return status;
}
