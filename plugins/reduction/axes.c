/* plugins/reduction/axes.c: see reduction.h.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

static void push(int32_t *rank, int64_t *dims, int64_t *strides, int64_t extent, int64_t stride,
                 int merge)
{
    if (merge) {
        dims[*rank - 1] *= extent;
        strides[*rank - 1] = stride;
        return;
    }
    dims[*rank] = extent;
    strides[(*rank)++] = stride;
}

void reduce_shape_init(reduce_shape *out, const tn_tensor *data, uint32_t axes)
{
    int64_t strides[TN_MAX_RANK];
    int before = -1; /* kind of the axis pushed last */
    *out = (reduce_shape){ .kept_count = 1, .reduced_count = 1 };
    tn_row_major(data->rank, data->dims, strides);
    for (int32_t axis = 0; axis < data->rank; axis++) {
        const int64_t extent = data->dims[axis];
        const int reduced = axes >> axis & 1;
        if (extent == 1)
            continue;
        if (reduced) {
            push(&out->reduced_rank, out->reduced_dims, out->reduced_strides, extent, strides[axis],
                 before == 1);
            out->reduced_count *= extent;
        } else {
            push(&out->kept_rank, out->kept_dims, out->kept_strides, extent, strides[axis],
                 before == 0);
            out->kept_count *= extent;
        }
        before = reduced;
    }
    out->reduced_inside = before == 1;
}

int64_t reduce_origin(const reduce_shape *shape, int64_t kept)
{
    int64_t offset = 0;
    for (int32_t axis = shape->kept_rank - 1; axis >= 0; axis--) {
        offset += kept % shape->kept_dims[axis] * shape->kept_strides[axis];
        kept /= shape->kept_dims[axis];
    }
    return offset;
}
