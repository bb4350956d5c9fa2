/* plugins/pool/sweep.c: windows over a tensor, a row of output positions at a time.
 *
 * In: a node's window and input. Out: for each row of output positions, what POOL_* folds of its
 * taps, in double; taps on padding are left out. One pass of the inner loop takes one tap of all
 * windows of the row, which lie `stride` apart in one row of the input.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

/* `count` elements, `step` apart, as doubles: of a float32 tensor here, of others below. */
static void load_floats(const float *from, int64_t step, int64_t count, double *out)
{
    if (step == 1)
        for (int64_t k = 0; k < count; k++)
            out[k] = (double)from[k];
    else
        for (int64_t k = 0; k < count; k++)
            out[k] = (double)from[k * step];
}

static void load_any(const tn_tensor *x, int64_t first, int64_t step, int64_t count, double *out)
{
    for (int64_t k = 0; k < count; k++)
        out[k] = tn_get_double(x->dtype, x->data, first + k * step);
}

/* NaN wins, and stays: nothing is larger than it. */
static void fold_max(double *largest, const double *taps, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        largest[k] = taps[k] <= largest[k] || isnan(largest[k]) ? largest[k] : taps[k];
}

/* The first of equal ones keeps its place, `at` + k * step. */
static void fold_place(double *largest, int64_t *place, const double *taps, int64_t count,
                       int64_t at, int64_t step)
{
    for (int64_t k = 0; k < count; k++)
        if (place[k] < 0 || !(taps[k] <= largest[k] || isnan(largest[k]))) {
            largest[k] = taps[k];
            place[k] = at + k * step;
        }
}

static void fold_sum(double *sums, const double *taps, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        sums[k] += taps[k];
}

static void fold_powers(double *sums, const double *taps, int64_t count, double power)
{
    for (int64_t k = 0; k < count; k++)
        sums[k] += power == 1.0   ? fabs(taps[k])
                   : power == 2.0 ? taps[k] * taps[k]
                                  : pow(fabs(taps[k]), power);
}

/* Tap `tap` of the last axis, for all windows of the row that have it inside the input; `line` is
 * the row of the input, counted in rows of the plane. */
static void fold_tap(const pool_job *j, pool_row *row, int64_t line, int64_t tap)
{
    const int32_t last = j->window.spatial - 1;
    const tn_tensor *x = j->run->inputs[0];
    const int64_t step = j->window.stride[last], in = j->in[last];
    const int64_t start = row->first * step - j->window.pad_begin[last] +
                          tap * j->window.dilation[last];
    int64_t from = 0, to = row->count;
    double taps[POOL_CHUNK];
    if (start < 0)
        from = (-start + step - 1) / step;
    if (start + (to - 1) * step >= in)
        to = start >= in ? 0 : (in - start + step - 1) / step;
    if (from >= to)
        return;
    const int64_t at = line * in + start + from * step, first = row->plane * j->in_count + at;
    if (x->dtype == TN_FLOAT32)
        load_floats((const float *)x->data + first, step, to - from, taps);
    else
        load_any(x, first, step, to - from, taps);
    switch (j->fold) {
    case POOL_MAX: fold_max(row->value + from, taps, to - from); break;
    case POOL_MAX_PLACE:
        fold_place(row->value + from, row->place + from, taps, to - from, at, step);
        break;
    case POOL_SUM: fold_sum(row->value + from, taps, to - from); break;
    case POOL_POWERS: fold_powers(row->value + from, taps, to - from, j->power); break;
    }
}

static void fold_row(const pool_job *j, pool_row *row)
{
    const pool_window *w = &j->window;
    const int32_t last = w->spatial - 1;
    int64_t tap[TN_MAX_RANK] = { 0 };
    for (int64_t k = 0; k < row->count; k++) {
        row->value[k] = j->fold <= POOL_MAX_PLACE ? -INFINITY : 0.0;
        row->place[k] = -1;
    }
    for (int32_t axis = 0; axis >= 0;) {
        int64_t line = 0;
        for (int32_t k = 0; k < last && line >= 0; k++) {
            const int64_t here = row->outer[k] * w->stride[k] - w->pad_begin[k] +
                                 tap[k] * w->dilation[k];
            line = here < 0 || here >= j->in[k] ? -1 : line * j->in[k] + here;
        }
        for (int64_t k = 0; line >= 0 && k < w->kernel[last]; k++)
            fold_tap(j, row, line, k);
        for (axis = last - 1; axis >= 0 && ++tap[axis] == w->kernel[axis]; axis--)
            tap[axis] = 0;
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pool_job *j = user;
    const int32_t last = j->window.spatial - 1;
    const int64_t width = j->out[last], rows = j->out_count / width;
    pool_row row;
    (void)thread;
    for (int64_t line = begin; line < end; line++) {
        int64_t rest = line % rows;
        row.plane = line / rows;
        for (int32_t k = last - 1; k >= 0; k--) {
            row.outer[k] = rest % j->out[k];
            rest /= j->out[k];
        }
        for (row.first = 0; row.first < width; row.first += POOL_CHUNK) {
            row.count = width - row.first < POOL_CHUNK ? width - row.first : POOL_CHUNK;
            fold_row(j, &row);
            j->finish(j, &row, line * width + row.first);
        }
    }
    return TN_OK;
}

tn_status pool_run(tn_run *run, pool_fold fold,
                   void (*finish)(const pool_job *job, const pool_row *row, int64_t at))
{
    const tn_tensor *x = run->inputs[0], *y = run->outputs[0] ? run->outputs[0] : run->outputs[1];
    const tn_node_view *node = run->node;
    pool_job j = { .run = run,
                   .in = x->dims + 2,
                   .out = y->dims + 2,
                   .fold = fold,
                   .finish = finish,
                   .in_count = tn_extent(x->dims, 2, x->rank),
                   .out_count = tn_extent(y->dims, 2, y->rank),
                   .include_pad = tn_attr_int(node, "count_include_pad", 0) != 0,
                   .column_major = tn_attr_int(node, "storage_order", 0) != 0,
                   .power = (double)tn_attr_int(node, "p", 2) };
    if (!tn_count(y))
        return TN_OK;
    (void)pool_read(NULL, node, x->rank - 2, &j.window);
    pool_resolve(&j.window, j.in);
    const int64_t width = y->dims[y->rank - 1];
    return run->call.host->parallel_for(&run->call, tn_count(y) / width, 1 + 4096 / width, run_rows,
                                        &j);
}
