/* move.c: Transpose, Slice, Pad with a constant, Gather (ONNX): elements that move and are not
 * touched, plain or channels last.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { SIDE = 4 }; /* elements that are moved at once */

typedef struct move_state {
    uint32_t from, to;                             /* layouts */
    int32_t rank;                                  /* of the input */
    bool picks;                                    /* Gather: from each row */
    int64_t start[TN_MAX_RANK], step[TN_MAX_RANK]; /* Slice: by axis; Pad: what comes before */
} move_state;

static tn_status move_offer(tn_offer *ctx)
{
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    if (ctx->problem->step_count)
        return tn_fail(ctx, TN_DECLINED, "it moves only: no epilogue");
    ctx->algorithm = "runs";
    return status;
}

/* Copies go by strides. Pad fills its output from one end to the other; a Gather knows rows where it
 * picks from each. */
static uint32_t from_strided(const tn_problem *p, uint32_t layout)
{
    int32_t axes[TN_MAX_RANK];
    const int32_t rank = p->inputs[0]->rank;
    if (strcmp(p->node->op, "Gather") != 0)
        return TN_LAYOUT_STRIDED;
    native_axes_of(rank, layout, axes);
    return rank > 1 && p->inputs[1]->rank == 1 &&
                   axes[rank - 1] == tn_axis(tn_attr_int(p->node, "axis", 0), rank)
               ? TN_LAYOUT_STRIDED
               : 0;
}

static uint32_t to_strided(const tn_problem *p, uint32_t layout)
{
    return strcmp(p->node->op, "Pad") == 0 ? 0 : from_strided(p, layout);
}

static void describe(tn_measure *ctx, uint32_t k, uint32_t from, uint32_t to)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[k];
    a->input_layouts[0] = from | from_strided(p, from);
    a->output_layouts[0] = to | to_strided(p, to);
    a->algorithm = "runs";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                8.0 * (double)native_count(p->outputs[0]), p->threads);
}

/* The same layout on both sides. */
static void describe_both(tn_measure *ctx)
{
    describe(ctx, 0, TN_LAYOUT_PLAIN, TN_LAYOUT_PLAIN);
    if (ctx->problem->outputs[0]->rank < 3)
        return;
    ctx->alternative_count = 2;
    describe(ctx, 1, TN_LAYOUT_CHANNELS_LAST, TN_LAYOUT_CHANNELS_LAST);
}

static tn_status both_prepare(tn_prepare *ctx, void *state)
{
    move_state *s = state;
    s->from = s->to = ctx->chosen_index ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN;
    return TN_OK;
}

/* Whether the inputs [first, count) are constants or absent. */
static bool are_constant(const tn_problem *p, uint32_t first)
{
    for (uint32_t k = first; k < p->own_count; k++)
        if (p->inputs[k] && !p->constants[k])
            return false;
    return true;
}

static const tn_tensor *constant_of(const tn_problem *p, uint32_t k)
{
    return k < p->own_count ? p->constants[k] : NULL;
}

static int64_t element_of(const tn_tensor *tensor, int64_t k)
{
    return tn_get_int(tensor->dtype, tensor->data, k);
}

/* ---- Transpose -------------------------------------------------------------------------- */

/* Alternatives: plain or channels last, on both sides alike or not. */
static const uint32_t sides[][2] = {
    { TN_LAYOUT_PLAIN, TN_LAYOUT_PLAIN },
    { TN_LAYOUT_CHANNELS_LAST, TN_LAYOUT_PLAIN },
    { TN_LAYOUT_PLAIN, TN_LAYOUT_CHANNELS_LAST },
    { TN_LAYOUT_CHANNELS_LAST, TN_LAYOUT_CHANNELS_LAST },
};

static tn_status transpose_measure(tn_measure *ctx, void *state)
{
    (void)state;
    ctx->alternative_count = ctx->problem->outputs[0]->rank < 3 ? 1 : 4;
    for (uint32_t k = 0; k < ctx->alternative_count; k++)
        describe(ctx, k, sides[k][0], sides[k][1]);
    return TN_OK;
}

static tn_status transpose_prepare(tn_prepare *ctx, void *state)
{
    move_state *s = state;
    s->from = sides[ctx->chosen_index][0];
    s->to = sides[ctx->chosen_index][1];
    return TN_OK;
}

static tn_status transpose_run(tn_run *ctx, const void *state, void *slot)
{
    const move_state *s = state;
    const tn_tensor *x = ctx->inputs[0], *y = ctx->outputs[0];
    int64_t from[TN_MAX_RANK], to[TN_MAX_RANK];
    int32_t axes[TN_MAX_RANK];
    const int64_t *perm;
    const bool given = tn_attr_ints(ctx->node, "perm", &perm) > 0;
    native_copy copy = { 0 };
    (void)slot;
    native_axes_of(y->rank, s->to, axes);
    native_strides(x, from);
    native_strides(y, to);
    for (int32_t k = 0; k < y->rank; k++)
        native_copy_axis(&copy, y->dims[axes[k]],
                         from[given ? perm[axes[k]] : y->rank - 1 - axes[k]], to[axes[k]]);
    return native_copy_run(ctx, &copy, x->data, y->data);
}

/* ---- Slice ------------------------------------------------------------------------------ */

static tn_status slice_offer(tn_offer *ctx)
{
    if (!are_constant(ctx->problem, 1))
        return tn_fail(ctx, TN_DECLINED, "ends that are computed");
    return move_offer(ctx);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static tn_status slice_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0];
    const tn_tensor *starts = p->constants[1], *axes = constant_of(p, 3),
                    *steps = constant_of(p, 4);
    move_state *s = state;
    for (int32_t axis = 0; axis < x->rank; axis++)
        s->step[axis] = 1;
    for (int64_t k = 0; k < tn_count(starts); k++) {
        const int32_t axis = tn_axis(axes ? element_of(axes, k) : k, x->rank);
        const int64_t extent = x->dims[axis], start = element_of(starts, k);
        s->step[axis] = steps ? element_of(steps, k) : 1;
        s->start[axis] = clamp(start < 0 ? start + extent : start, 0, extent - 1);
    }
    describe_both(ctx);
    return TN_OK;
}

static tn_status slice_run(tn_run *ctx, const void *state, void *slot)
{
    const move_state *s = state;
    const tn_tensor *x = ctx->inputs[0], *y = ctx->outputs[0];
    int64_t from[TN_MAX_RANK], to[TN_MAX_RANK], first = 0;
    int32_t axes[TN_MAX_RANK];
    native_copy copy = { 0 };
    (void)slot;
    native_axes_of(y->rank, s->to, axes);
    native_strides(x, from);
    native_strides(y, to);
    for (int32_t k = 0; k < y->rank; k++) {
        const int32_t axis = axes[k];
        native_copy_axis(&copy, y->dims[axis], from[axis] * s->step[axis], to[axis]);
        first += from[axis] * s->start[axis];
    }
    return native_copy_run(ctx, &copy, (const float *)x->data + first, y->data);
}

/* ---- Pad -------------------------------------------------------------------------------- */

static tn_status pad_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (strcmp(tn_attr_string(p->node, "mode", "constant"), "constant") != 0)
        return tn_fail(ctx, TN_DECLINED, "padding that is taken from the tensor");
    if (!constant_of(p, 1) || !are_constant(p, 3))
        return tn_fail(ctx, TN_DECLINED, "pads that are computed");
    return move_offer(ctx);
}

static tn_status pad_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_tensor *pads = p->constants[1], *axes = constant_of(p, 3);
    move_state *s = state;
    for (int64_t k = 0; k < tn_count(pads) / 2; k++)
        s->start[tn_axis(axes ? element_of(axes, k) : k, p->inputs[0]->rank)] = element_of(pads, k);
    describe_both(ctx);
    return TN_OK;
}

typedef struct fill_job {
    float value, *to;
} fill_job;

static tn_status fill_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const fill_job *job = user;
    (void)thread;
    for (int64_t k = begin; k < end; k++)
        job->to[k] = job->value;
    return TN_OK;
}

static tn_status pad_run(tn_run *ctx, const void *state, void *slot)
{
    const move_state *s = state;
    const tn_tensor *x = ctx->inputs[0], *y = ctx->outputs[0];
    const tn_tensor *value = ctx->node->input_count > 2 ? ctx->inputs[2] : NULL;
    fill_job fill = { value ? *(const float *)value->data : 0.0f, y->data };
    int64_t from[TN_MAX_RANK], to[TN_MAX_RANK], from_first = 0, to_first = 0;
    int32_t axes[TN_MAX_RANK];
    native_copy copy = { 0 };
    (void)slot;
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, tn_count(y), 16384, fill_chunk, &fill));
    native_axes_of(y->rank, s->to, axes);
    native_strides(x, from);
    native_strides(y, to);
    for (int32_t k = 0; k < y->rank; k++) {
        const int32_t axis = axes[k];
        const int64_t before = s->start[axis], skipped = before < 0 ? -before : 0;
        const int64_t at = before < 0 ? 0 : before;
        const int64_t room = y->dims[axis] - at, left = x->dims[axis] - skipped;
        if (room <= 0 || left <= 0) /* nothing of the input is left */
            return TN_OK;
        native_copy_axis(&copy, room < left ? room : left, from[axis], to[axis]);
        from_first += from[axis] * skipped;
        to_first += to[axis] * at;
    }
    return native_copy_run(ctx, &copy, (const float *)x->data + from_first, fill.to + to_first);
}

/* ---- Gather ----------------------------------------------------------------------------- */

/* Elements of a row that lie side by side on both sides. */
typedef struct gather_piece {
    int64_t from, count;
    bool loose; /* some more may be written, which the pieces behind it make good */
} gather_piece;

static tn_status gather_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    (void)state;
    describe(ctx, 0, TN_LAYOUT_PLAIN, TN_LAYOUT_PLAIN);
    if (p->inputs[1]->rank == 1) /* as many axes as before */
        describe_both(ctx);
    for (uint32_t k = 0; k < ctx->alternative_count; k++)
        if (ctx->alternatives[k].input_layouts[0] & TN_LAYOUT_STRIDED)
            ctx->alternatives[k].scratch_bytes = (size_t)native_count(p->inputs[1]) *
                                                 sizeof(gather_piece);
    return TN_OK;
}

static tn_status gather_prepare(tn_prepare *ctx, void *state)
{
    move_state *s = state;
    s->picks = ctx->chosen->scratch_bytes > 0;
    return both_prepare(ctx, state);
}

typedef struct gather_job {
    tn_run *ctx;
    int64_t extent, count, width; /* of the axis, indices, elements of a run */
    int64_t x_step, y_step;       /* from row to row */
    const gather_piece *pieces;   /* of a row */
    int64_t piece_count;
} gather_job;

/* Single elements, from rows: the indices are looked at once for many of these. */
static tn_status element_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    enum { ROWS = 4 };
    const gather_job *job = user;
    const int64_t *index = job->ctx->inputs[1]->data;
    const float *from = (const float *)job->ctx->inputs[0]->data + begin * job->x_step;
    float *to = (float *)job->ctx->outputs[0]->data + begin * job->y_step;
    (void)thread;
    for (int64_t rows; begin < end; begin += rows) {
        rows = end - begin < ROWS ? 1 : ROWS;
        for (int64_t k = 0; k < job->count; k++) {
            const int64_t at = index[k] < 0 ? index[k] + job->extent : index[k];
            if (rows == 1) {
                to[k] = from[at];
                continue;
            }
            for (int64_t r = 0; r < ROWS; r++)
                to[r * job->y_step + k] = from[r * job->x_step + at];
        }
        from += rows * job->x_step;
        to += rows * job->y_step;
    }
    return TN_OK;
}

/* to: the elements of a and b in turn. */
static void zip(const float *restrict a, const float *restrict b, float *restrict to, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        to[2 * k] = a[k];
        to[2 * k + 1] = b[k];
    }
}

/* Whether the indices take turns between the first half and the second: two groups of channels that
 * are shuffled. */
static bool takes_turns(const gather_job *job)
{
    const tn_tensor *indices = job->ctx->inputs[1];
    const int64_t half = job->extent / 2;
    if (job->count != job->extent || job->count % 2 != 0)
        return false;
    for (int64_t k = 0; k < half; k++)
        if (element_of(indices, 2 * k) != k || element_of(indices, 2 * k + 1) != half + k)
            return false;
    return true;
}

static tn_status zip_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gather_job *job = user;
    const float *x = job->ctx->inputs[0]->data;
    float *y = job->ctx->outputs[0]->data;
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        zip(x + row * job->x_step, x + row * job->x_step + job->count / 2, y + row * job->y_step,
            job->count / 2);
    return TN_OK;
}

/* Pieces are short: a call of memcpy would take longer than the move. */
static void move_piece(const float *from, float *to, const gather_piece *piece)
{
    const int64_t whole = piece->loose ? piece->count : piece->count / SIDE * SIDE;
    int64_t k = 0;
    for (; k < whole; k += SIDE)
        memcpy(to + k, from + k, SIDE * sizeof *to);
    for (; k < piece->count; k++)
        to[k] = from[k];
}

static tn_status piece_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gather_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *from = (const float *)job->ctx->inputs[0]->data + row * job->x_step;
        float *to = (float *)job->ctx->outputs[0]->data + row * job->y_step;
        for (int64_t k = 0; k < job->piece_count; k++) {
            move_piece(from + job->pieces[k].from, to, &job->pieces[k]);
            to += job->pieces[k].count;
        }
    }
    return TN_OK;
}

/* The element of the axis that index k means; -1: none, and said so. */
static int64_t element_at(const gather_job *job, int64_t k)
{
    const int64_t index = element_of(job->ctx->inputs[1], k);
    const int64_t at = index < 0 ? index + job->extent : index;
    if (at >= 0 && at < job->extent)
        return at;
    tn_fail(job->ctx, TN_ERR_VALUE, "indices[%lld] is %lld, outside [%lld, %lld)", (long long)k,
            (long long)index, (long long)-job->extent, (long long)job->extent);
    return -1;
}

static tn_status gather_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gather_job *job = user;
    const float *x = job->ctx->inputs[0]->data;
    float *to = (float *)job->ctx->outputs[0]->data + begin * job->width;
    (void)thread;
    for (int64_t run = begin; run < end; run++, to += job->width) {
        const int64_t at = element_at(job, run % job->count);
        if (at < 0)
            return TN_ERR_VALUE;
        const float *from = x + (run / job->count * job->extent + at) * job->width;
        if (job->width == 1)
            *to = *from;
        else
            memcpy(to, from, (size_t)job->width * sizeof *to);
    }
    return TN_OK;
}

static tn_status find_pieces(gather_job *job, gather_piece *pieces)
{
    int64_t next = -1, begin = 0;
    job->pieces = pieces;
    for (int64_t k = 0; k < job->count; k++) {
        const int64_t at = element_at(job, k);
        if (at < 0)
            return TN_ERR_VALUE;
        if (at != next)
            pieces[job->piece_count++] = (gather_piece){ .from = at };
        pieces[job->piece_count - 1].count++;
        next = at + 1;
    }
    for (int64_t k = 0; k < job->piece_count; begin += pieces[k++].count) {
        const int64_t wide = native_round_up(pieces[k].count, SIDE);
        pieces[k].loose = begin + wide <= job->count && pieces[k].from + wide <= job->extent;
    }
    return TN_OK;
}

/* The same from each row. */
static tn_status pick(gather_job *job)
{
    tn_run *ctx = job->ctx;
    TN_TRY(find_pieces(job, ctx->scratch));
    const bool single = 4 * job->piece_count > job->count && ctx->inputs[1]->dtype == TN_INT64;
    job->x_step = tn_row_step(ctx->inputs[0]);
    job->y_step = tn_row_step(ctx->outputs[0]);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->outputs[0]) / job->count,
                                        1 + 8192 / job->count,
                                        takes_turns(job) ? zip_chunk
                                        : single         ? element_chunk
                                                         : piece_chunk,
                                        job);
}

static tn_status gather_run(tn_run *ctx, const void *state, void *slot)
{
    const move_state *s = state;
    const tn_tensor *x = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), x->rank);
    int64_t strides[TN_MAX_RANK];
    gather_job job = { .ctx = ctx, .extent = x->dims[axis], .count = tn_count(ctx->inputs[1]) };
    (void)slot;
    native_strides_of(x->rank, x->dims, s->from, strides);
    job.width = strides[axis];
    if (s->picks)
        return pick(&job);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->outputs[0]) / job.width,
                                        1 + 8192 / job.width, gather_chunk, &job);
}

#define MOVE(op, name, ...)                                                                        \
    NATIVE_KERNEL(op, .state_bytes = sizeof(move_state), .measure = name##_measure,                \
                  .run = name##_run, __VA_ARGS__)

const tn_kernel_def native_move_kernels[] = {
    MOVE("Transpose", transpose, .offer = move_offer, .prepare = transpose_prepare),
    MOVE("Slice", slice, .since = 10, .offer = slice_offer, .prepare = both_prepare),
    MOVE("Pad", pad, .since = 11, .offer = pad_offer, .prepare = both_prepare),
    MOVE("Gather", gather, .offer = move_offer, .prepare = gather_prepare),
    { .op = NULL },
};
