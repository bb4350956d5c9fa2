/* plugins/movement/copy.c: copies a box of elements between two strided places.
 *
 * In: a move_box. Out: its elements at their new place, by memcpy where both sides are
 * contiguous, in square tiles where source and destination run along different axes, so that
 * each cache line is used whole while it is there.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

enum { TILE = 64 };

/* ---- rows ------------------------------------------------------------------------------- */

#define STRIDED(name, type)                                                                        \
    static void name(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n)    \
    {                                                                                              \
        type *out = (type *)to;                                                                    \
        const type *in = (const type *)from;                                                       \
        if (to_step == 1) {                                                                        \
            for (int64_t i = 0; i < n; i++)                                                        \
                out[i] = in[i * from_step];                                                        \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i * to_step] = in[i * from_step];                                                  \
    }
STRIDED(strided_1, move_1)
STRIDED(strided_2, move_2)
STRIDED(strided_4, move_4)
STRIDED(strided_8, move_8)
STRIDED(strided_16, move_16)

#define FILL(name, type)                                                                           \
    static void name(char *to, int64_t n, const void *value)                                       \
    {                                                                                              \
        type *out = (type *)to;                                                                    \
        const type v = *(const type *)value;                                                       \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = v;                                                                            \
    }
FILL(fill_2, move_2)
FILL(fill_4, move_4)
FILL(fill_8, move_8)
FILL(fill_16, move_16)

void move_fill(char *to, size_t width, int64_t n, const void *value)
{
    if (n < 1)
        return;
    switch (width) {
    case 1: memset(to, *(const uint8_t *)value, (size_t)n); break;
    case 2: fill_2(to, n, value); break;
    case 4: fill_4(to, n, value); break;
    case 8: fill_8(to, n, value); break;
    default: fill_16(to, n, value); break;
    }
}

static void copy_row(size_t width, char *to, int64_t to_step, const char *from, int64_t from_step,
                     int64_t n)
{
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, (size_t)n * width);
        return;
    }
    if (to_step == 1 && from_step == 0) {
        move_fill(to, width, n, from);
        return;
    }
    switch (width) {
    case 1: strided_1(to, to_step, from, from_step, n); break;
    case 2: strided_2(to, to_step, from, from_step, n); break;
    case 4: strided_4(to, to_step, from, from_step, n); break;
    case 8: strided_8(to, to_step, from, from_step, n); break;
    default: strided_16(to, to_step, from, from_step, n); break;
    }
}

/* ---- shape of the loops ------------------------------------------------------------------- */

static void push_axis(move_box *box, int64_t extent, int64_t from_stride, int64_t to_stride)
{
    const int32_t last = box->rank - 1;
    if (extent == 1)
        return;
    if (last >= 0 && box->from_strides[last] == from_stride * extent &&
        box->to_strides[last] == to_stride * extent) {
        box->dims[last] *= extent;
        box->from_strides[last] = from_stride;
        box->to_strides[last] = to_stride;
        return;
    }
    box->dims[box->rank] = extent;
    box->from_strides[box->rank] = from_stride;
    box->to_strides[box->rank++] = to_stride;
}

static move_box merged(const move_box *box)
{
    move_box out = { .width = box->width, .from = box->from, .to = box->to };
    for (int32_t axis = 0; axis < box->rank; axis++)
        push_axis(&out, box->dims[axis], box->from_strides[axis], box->to_strides[axis]);
    while (out.rank < 2) { /* so that there are always rows and columns */
        for (int32_t axis = out.rank; axis > 0; axis--) {
            out.dims[axis] = out.dims[axis - 1];
            out.from_strides[axis] = out.from_strides[axis - 1];
            out.to_strides[axis] = out.to_strides[axis - 1];
        }
        out.dims[0] = 1;
        out.from_strides[0] = out.to_strides[0] = out.rank == 0;
        out.rank++;
    }
    return out;
}

static void move_axis_to(move_box *box, int32_t axis, int32_t place)
{
    const int64_t extent = box->dims[axis], from = box->from_strides[axis];
    const int64_t to = box->to_strides[axis];
    for (int32_t k = axis; k < place; k++) {
        box->dims[k] = box->dims[k + 1];
        box->from_strides[k] = box->from_strides[k + 1];
        box->to_strides[k] = box->to_strides[k + 1];
    }
    box->dims[place] = extent;
    box->from_strides[place] = from;
    box->to_strides[place] = to;
}

/* The axis along which the source is contiguous goes next to the last one when that is not itself:
 * the two then make tiles. Answers whether there are such. */
static int make_tiles(move_box *box)
{
    const int32_t last = box->rank - 1;
    if (box->from_strides[last] == 1 || box->from_strides[last] == 0 || box->to_strides[last] != 1)
        return 0;
    for (int32_t axis = last - 1; axis >= 0; axis--) {
        if (box->from_strides[axis] == 1 && box->dims[axis] > 1) {
            move_axis_to(box, axis, last - 1);
            return 1;
        }
    }
    return 0;
}

/* ---- runs ------------------------------------------------------------------------------- */

typedef struct move_job {
    move_box box;
    int64_t step;  /* rows of the last but one axis in a piece: 1, or TILE at least */
    int64_t steps; /* pieces along that axis */
} move_job;

/* A tile of `rows` by n elements, read along the source and written along the destination: it is
 * turned round in a small buffer, so that no line of cache is asked for twice, however far apart
 * rows and columns are. */
#define TURN(name, type)                                                                           \
    static void name(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t rows, \
                     int64_t n)                                                                    \
    {                                                                                              \
        type buffer[TILE * TILE];                                                                  \
        for (int64_t column = 0; column < n; column++) {                                           \
            const type *in = (const type *)from + column * from_step;                              \
            for (int64_t row = 0; row < rows; row++)                                               \
                buffer[row * n + column] = in[row];                                                \
        }                                                                                          \
        if (to_step == n) {                                                                        \
            memcpy(to, buffer, (size_t)(rows * n) * sizeof(type));                                 \
            return;                                                                                \
        }                                                                                          \
        for (int64_t row = 0; row < rows; row++)                                                   \
            memcpy((type *)to + row * to_step, buffer + row * n, (size_t)n * sizeof(type));        \
    }
TURN(turn_1, move_1)
TURN(turn_2, move_2)
TURN(turn_4, move_4)
TURN(turn_8, move_8)
TURN(turn_16, move_16)

/* Rows of the last but one axis against the whole last one, TILE columns at a time. */
static void copy_tile(const move_box *box, const char *from, char *to, int64_t rows)
{
    const int32_t last = box->rank - 1;
    const int64_t columns = box->dims[last], step = (int64_t)box->width;
    const int64_t to_step = box->to_strides[last - 1], from_step = box->from_strides[last];
    for (int64_t column = 0; column < columns; column += TILE) {
        const int64_t n = columns - column < TILE ? columns - column : TILE;
        char *out = to + column * step;
        const char *in = from + column * from_step * step;
        switch (box->width) {
        case 1: turn_1(out, to_step, in, from_step, rows, n); break;
        case 2: turn_2(out, to_step, in, from_step, rows, n); break;
        case 4: turn_4(out, to_step, in, from_step, rows, n); break;
        case 8: turn_8(out, to_step, in, from_step, rows, n); break;
        default: turn_16(out, to_step, in, from_step, rows, n); break;
        }
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const move_job *job = user;
    const move_box *box = &job->box;
    const int32_t last = box->rank - 1;
    (void)thread;
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t row = piece % job->steps * job->step;
        int64_t rest = piece / job->steps;
        int64_t from = row * box->from_strides[last - 1], to = row * box->to_strides[last - 1];
        for (int32_t axis = last - 2; axis >= 0; axis--) {
            from += rest % box->dims[axis] * box->from_strides[axis];
            to += rest % box->dims[axis] * box->to_strides[axis];
            rest /= box->dims[axis];
        }
        const int64_t left = box->dims[last - 1] - row;
        from *= (int64_t)box->width, to *= (int64_t)box->width;
        if (job->step > 1)
            copy_tile(box, box->from + from, box->to + to, left < job->step ? left : job->step);
        else
            copy_row(box->width, box->to + to, box->to_strides[last], box->from + from,
                     box->from_strides[last], box->dims[last]);
    }
    return TN_OK;
}

tn_status move_run(tn_call *call, const move_box *box)
{
    move_job job = { .box = merged(box), .step = 1 };
    const int32_t last = job.box.rank - 1;
    if (tn_extent(job.box.dims, 0, job.box.rank) == 0)
        return TN_OK;
    if (make_tiles(&job.box)) /* few columns: as many more rows */
        job.step = job.box.dims[last] < TILE ? TILE * TILE / job.box.dims[last] : TILE;
    job.steps = (job.box.dims[last - 1] + job.step - 1) / job.step;
    const int64_t pieces = tn_extent(job.box.dims, 0, last - 1) * job.steps;
    const int64_t bytes = job.box.dims[last] * job.step * (int64_t)job.box.width;
    return call->host->parallel_for(call, pieces, 1 + 65536 / bytes, chunk, &job);
}
