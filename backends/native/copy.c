/* copy.c: copies of a block of elements between two tensors by strides: what Transpose, Slice, Pad
 * and their like come down to.
 *
 * Axes that lie together in both tensors become one. Then the innermost axis is a run of bytes,
 * or, where another axis is the one that is dense in the source, both are turned in squares.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum {
    SIDE = 4,    /* of what is turned in registers */
    BLOCK = 16,  /* lines that are turned together: they fill cache lines on both sides */
    GRAIN = 8192 /* elements that are worth a thread */
};

typedef float four __attribute__((vector_size(16)));

/* ---- layouts ---------------------------------------------------------------------------- */

void native_axes_of(int32_t rank, uint32_t layout, int32_t *axes)
{
    for (int32_t k = 0; k < rank; k++)
        axes[k] = k;
    if (layout != TN_LAYOUT_CHANNELS_LAST || rank < 3)
        return;
    for (int32_t k = 1; k < rank - 1; k++)
        axes[k] = k + 1;
    axes[rank - 1] = 1;
}

void native_strides_of(int32_t rank, const int64_t *dims, uint32_t layout, int64_t *strides)
{
    int32_t axes[TN_MAX_RANK];
    int64_t step = 1;
    native_axes_of(rank, layout, axes);
    for (int32_t k = rank - 1; k >= 0; k--) {
        strides[axes[k]] = step;
        step *= dims[axes[k]];
    }
}

void native_strides(const tn_tensor *tensor, int64_t *strides)
{
    if (tensor->strides)
        memcpy(strides, tensor->strides, (size_t)tensor->rank * sizeof *strides);
    else
        native_strides_of(tensor->rank, tensor->dims, tensor->layout, strides);
}

/* ---- making it small -------------------------------------------------------------------- */

void native_copy_axis(native_copy *c, int64_t extent, int64_t from, int64_t to)
{
    const int32_t last = c->rank - 1;
    if (extent == 1)
        return;
    if (last >= 0 && c->from[last] == from * extent && c->to[last] == to * extent) {
        c->dims[last] *= extent;
        c->from[last] = from;
        c->to[last] = to;
        return;
    }
    c->dims[c->rank] = extent;
    c->from[c->rank] = from;
    c->to[c->rank++] = to;
}

/* ---- turning ---------------------------------------------------------------------------- */

/* to[r][c] = from[c][r], 4 by 4. */
static void turn_square(const float *from, int64_t from_step, float *to, int64_t to_step)
{
    four a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + from_step, sizeof b);
    memcpy(&c, from + 2 * from_step, sizeof c);
    memcpy(&d, from + 3 * from_step, sizeof d);
    const four ac = __builtin_shufflevector(a, c, 0, 4, 1, 5);
    const four bd = __builtin_shufflevector(b, d, 0, 4, 1, 5);
    const four ac2 = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    const four bd2 = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    const four rows[SIDE] = { __builtin_shufflevector(ac, bd, 0, 4, 1, 5),
                              __builtin_shufflevector(ac, bd, 2, 6, 3, 7),
                              __builtin_shufflevector(ac2, bd2, 0, 4, 1, 5),
                              __builtin_shufflevector(ac2, bd2, 2, 6, 3, 7) };
    for (int k = 0; k < SIDE; k++)
        memcpy(to + k * to_step, &rows[k], sizeof rows[k]);
}

void native_turn(const float *from, int64_t from_step, float *to, int64_t to_step, int64_t rows,
                 int64_t columns)
{
    for (int64_t c0 = 0; c0 < columns; c0 += BLOCK) {
        const int64_t c1 = c0 + BLOCK < columns ? c0 + BLOCK : columns;
        int64_t r = 0;
        for (; r + SIDE <= rows; r += SIDE) {
            int64_t c = c0;
            for (; c + SIDE <= c1; c += SIDE)
                turn_square(from + c * from_step + r, from_step, to + r * to_step + c, to_step);
            for (; c < c1; c++)
                for (int64_t k = r; k < r + SIDE; k++)
                    to[k * to_step + c] = from[c * from_step + k];
        }
        for (; r < rows; r++)
            for (int64_t c = c0; c < c1; c++)
                to[r * to_step + c] = from[c * from_step + r];
    }
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct copy_job {
    native_copy copy;
    const float *from;
    float *to;
    int32_t turned; /* the axis before the innermost one that is dense in the source, -1: none */
    int64_t lines;  /* pieces of that axis */
} copy_job;

static void copy_run(const float *from, int64_t from_step, float *to, int64_t to_step, int64_t n)
{
    if (from_step == 1 && to_step == 1) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t k = 0; k < n; k++)
        to[k * to_step] = from[k * from_step];
}

/* One piece: a run, or BLOCK runs that are turned. */
static void copy_piece(const copy_job *job, int64_t piece)
{
    const native_copy *c = &job->copy;
    const int32_t last = c->rank - 1;
    const float *from = job->from;
    float *to = job->to;
    int64_t rest = job->turned < 0 ? piece : piece / job->lines;
    for (int32_t k = last - 1; k >= 0; k--) {
        if (k == job->turned)
            continue;
        from += rest % c->dims[k] * c->from[k];
        to += rest % c->dims[k] * c->to[k];
        rest /= c->dims[k];
    }
    if (job->turned < 0) {
        copy_run(from, c->from[last], to, c->to[last], c->dims[last]);
        return;
    }
    const int64_t first = piece % job->lines * BLOCK, left = c->dims[job->turned] - first;
    native_turn(from + first, c->from[last], to + first * c->to[job->turned], c->to[job->turned],
                left < BLOCK ? left : BLOCK, c->dims[last]);
}

static tn_status copy_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for (int64_t piece = begin; piece < end; piece++)
        copy_piece(user, piece);
    return TN_OK;
}

tn_status native_copy_run(tn_run *ctx, const native_copy *c, const float *from, float *to)
{
    copy_job job = { .copy = *c, .from = from, .to = to, .turned = -1, .lines = 1 };
    int64_t pieces = 1, work;
    if (job.copy.rank == 0) /* a single element */
        job.copy = (native_copy){ .rank = 1, .dims = { 1 }, .from = { 1 }, .to = { 1 } };
    c = &job.copy;
    const int32_t last = job.copy.rank - 1;
    for (int32_t k = 0; k < last; k++) {
        if (c->from[last] != 1 && c->from[last] != 0 && c->to[last] == 1 && c->from[k] == 1)
            job.turned = k;
        pieces *= c->dims[k];
    }
    work = job.copy.dims[last];
    if (job.turned >= 0) {
        job.lines = native_ceil(c->dims[job.turned], BLOCK);
        pieces = pieces / c->dims[job.turned] * job.lines;
        work *= BLOCK;
    }
    return ctx->call.host->parallel_for(&ctx->call, pieces, 1 + GRAIN / work, copy_chunk, &job);
}
