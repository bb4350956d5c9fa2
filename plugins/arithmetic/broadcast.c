/* plugins/arithmetic/broadcast.c: see broadcast.h.
 *
 * SPDX-License-Identifier: MIT */
#include "broadcast.h"

/* True when axis can be merged into the one before it, in every operand. */
static int merges(const spread *s, int32_t before, const int64_t *strides, int64_t extent)
{
    for (int32_t k = 0; k < s->count; k++) {
        if (s->strides[k][before] != strides[k] * extent)
            return 0;
    }
    return 1;
}

void spread_init(spread *out, const tn_tensor *output, const tn_tensor *const *operands,
                 int32_t count)
{
    int64_t strides[SPREAD_OPERANDS][TN_MAX_RANK];
    *out = (spread){ .count = count, .total = tn_count(output) };
    for (int32_t k = 0; k < count; k++)
        tn_broadcast_strides(operands[k], output->rank, strides[k]);
    for (int32_t axis = 0; axis < output->rank; axis++) {
        const int64_t extent = output->dims[axis];
        int64_t here[SPREAD_OPERANDS];
        if (extent == 1)
            continue;
        for (int32_t k = 0; k < count; k++)
            here[k] = strides[k][axis];
        if (out->rank == 0 || !merges(out, out->rank - 1, here, extent))
            out->dims[out->rank++] = 1;
        out->dims[out->rank - 1] *= extent;
        for (int32_t k = 0; k < count; k++)
            out->strides[k][out->rank - 1] = here[k];
    }
    if (out->rank == 0) {
        out->rank = 1;
        out->dims[0] = 1;
    }
}

typedef struct spread_job {
    const spread *spread;
    spread_row row;
    const void *user;
} spread_job;

/* Where row number `row` starts in each operand; leaves its index for tn_next. */
static void seek(const spread *s, int64_t row, int64_t *index, int64_t *offsets)
{
    for (int32_t k = 0; k < s->count; k++)
        offsets[k] = 0;
    for (int32_t axis = s->rank - 2; axis >= 0; axis--) {
        index[axis] = row % s->dims[axis];
        row /= s->dims[axis];
        for (int32_t k = 0; k < s->count; k++)
            offsets[k] += index[axis] * s->strides[k][axis];
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const spread_job *job = user;
    const spread *s = job->spread;
    const int32_t last = s->rank - 1;
    const int64_t columns = s->dims[last];
    int64_t index[TN_MAX_RANK], offsets[SPREAD_OPERANDS], steps[SPREAD_OPERANDS];
    int64_t column = begin % columns;
    (void)thread;
    for (int32_t k = 0; k < s->count; k++)
        steps[k] = s->strides[k][last];
    seek(s, begin / columns, index, offsets);
    for (int64_t at = begin; at < end;) {
        const int64_t left = columns - column, n = left < end - at ? left : end - at;
        int64_t from[SPREAD_OPERANDS];
        for (int32_t k = 0; k < s->count; k++)
            from[k] = offsets[k] + column * steps[k];
        job->row(job->user, from, steps, at, n);
        at += n;
        column = 0;
        (void)tn_next(last, s->dims, index, s->count, s->strides, offsets);
    }
    return TN_OK;
}

tn_status spread_run(tn_call *call, const spread *s, spread_row row, const void *user)
{
    spread_job job = { s, row, user };
    return call->host->parallel_for(call, s->total, 8192, chunk, &job);
}
