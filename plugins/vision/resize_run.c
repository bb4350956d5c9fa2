/* plugins/vision/resize_run.c: the kernel of Resize (ONNX operators: Resize; Keys 1981).
 *
 * Each axis that changes gets a table: for each output position the first element it sees, how
 * many, and their weights. Elements beyond the border are the border's, so their weights are added
 * to its. Taps without weight are cut off at both ends: an output that lies on an element is that
 * element, whatever stands beside it.
 *
 *   linear   weight(d) = 1 - |d|
 *   cubic    (a+2)|d|^3 - (a+3)|d|^2 + 1 within 1, a|d|^3 - 5a|d|^2 + 8a|d| - 4a within 2
 *   antialias: d times min(scale, 1), weights divided by their sum
 *
 * Positions, weights and sums are double; nearest copies bytes.
 *
 * SPDX-License-Identifier: MIT */
#include "resize.h"

#include <inttypes.h>

enum {
    AXES = TN_MAX_RANK + 1, /* the two parts of complex numbers are an axis of their own */
    CHUNK = 128
};

/* One axis. Without a table every output position is the input's of the same number. */
typedef struct table {
    int64_t in, out;
    int64_t width;   /* room for weights at each position */
    int64_t *first;  /* [out] -1: outside, extrapolation_value */
    int64_t *count;  /* [out] taps */
    double *weights; /* [out][width] */
} table;

typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    resize_how how;
    int32_t rank;
    table axes[AXES];
    int64_t strides[AXES]; /* of the input, in elements */
    size_t run_bytes;      /* nearest: bytes that stay together */
    int32_t last;          /* nearest: the last axis with a table */
    uint32_t part;         /* dtype of what is mixed: complex numbers are two of them */
    _Alignas(tn_text) char outside[16]; /* extrapolation_value as an element */
} job;

/* ---- scratch ------------------------------------------------------------------------------ */

/* Taps at most: of the filter, stretched by in / out where it shrinks, and of the axis. Where
 * sizes were rounded, the scale may be that of half an element less. */
static int64_t most_taps(const resize_how *how, int64_t in, int64_t out)
{
    const int64_t reach = how->mode == RESIZE_CUBIC ? 2 : how->mode == RESIZE_LINEAR ? 1 : 0;
    int64_t taps = 2 * reach;
    if (!in || !out)
        return 0;
    if (how->antialias && 2 * out - 1 < 2 * in)
        taps = 2 * (int64_t)ceil((double)reach * 2.0 * (double)in / (double)(2 * out - 1) + 1.0);
    return taps < in ? taps : in;
}

static size_t table_bytes(const resize_how *how, int64_t in, int64_t out)
{
    return (size_t)out * (2 * sizeof(int64_t) + (size_t)most_taps(how, in, out) * sizeof(double));
}

tn_status resize_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0], *y = p->outputs[0];
    resize_how how;
    size_t bytes = 0;
    (void)state;
    if (!resize_read(NULL, p->node, x->rank, &how))
        return tn_fail(ctx, TN_DECLINED, "its attributes do not fit");
    for (int32_t k = 0; k < x->rank; k++)
        bytes += table_bytes(&how, x->dims[k], y->dims[k]);
    ctx->alternatives[0].scratch_bytes = bytes;
    return TN_OK;
}

/* ---- one axis ----------------------------------------------------------------------------- */

/* How an axis is mapped: its scale, its output extent before rounding, its region. */
typedef struct mapping {
    double scale, extent, start, end;
} mapping;

static double source(int transform, const table *t, const mapping *m, double o)
{
    const double in = (double)t->in;
    switch (transform) {
    case RESIZE_ALIGN_CORNERS: return m->extent == 1.0 ? 0.0 : o * (in - 1) / (m->extent - 1);
    case RESIZE_ASYMMETRIC: return o / m->scale;
    case RESIZE_TF_HALF_PIXEL_FOR_NN: return (o + 0.5) / m->scale;
    case RESIZE_TF_CROP_AND_RESIZE:
        return (m->extent == 1.0 ? (m->end - m->start) * (in - 1) / 2
                                 : o * (m->end - m->start) * (in - 1) / (m->extent - 1)) +
               m->start * (in - 1);
    case RESIZE_PYTORCH_HALF_PIXEL: return m->extent == 1.0 ? -0.5 : (o + 0.5) / m->scale - 0.5;
    case RESIZE_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)t->out / m->extent) + (o + 0.5) / m->scale - 0.5;
    default: return (o + 0.5) / m->scale - 0.5;
    }
}

static double nearest(int mode, double x, double scale)
{
    const double below = floor(x), part = x - below;
    switch (mode) {
    case RESIZE_ROUND_PREFER_CEIL: return part < 0.5 ? below : below + 1;
    case RESIZE_FLOOR: return below;
    case RESIZE_CEIL: return ceil(x);
    case RESIZE_OUTWARD: return scale < 1.0 ? ceil(x) : below;
    default: return part <= 0.5 ? below : below + 1;
    }
}

static double filter(const resize_how *how, double d)
{
    const double a = how->cubic;
    d = fabs(d);
    if (how->mode == RESIZE_LINEAR)
        return d < 1 ? 1 - d : 0.0;
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0.0;
}

static int64_t bounded(double x, int64_t in)
{
    return x <= 0.0 ? 0 : x >= (double)(in - 1) ? in - 1 : (int64_t)x;
}

/* Weights of output position o around x, added up where they fall onto the same element; then
 * trimmed. */
static void weigh(const resize_how *how, const table *t, int64_t o, double x, double scale)
{
    const double stretch = how->antialias && scale < 1.0 ? scale : 1.0;
    const double reach = how->mode == RESIZE_CUBIC ? 2.0 : 1.0, base = ceil(x) - 1;
    const int64_t from = (int64_t)floor(-reach / stretch) + 1, to = 1 - from;
    const int64_t left = bounded(base + (double)from, t->in);
    double *weights = t->weights + o * t->width, sum = 0.0;
    int64_t zeros = 0, count = bounded(base + (double)to, t->in) - left + 1;
    count = count < t->width ? count : t->width;
    for (int64_t k = 0; k < count; k++)
        weights[k] = 0.0;
    for (int64_t k = from; k <= to; k++) {
        const double at = base + (double)k, weight = filter(how, (at - x) * stretch);
        const int64_t place = bounded(at, t->in) - left;
        if (how->exclude_outside && (at < 0 || at >= (double)t->in))
            continue;
        sum += weight;
        if (place < count)
            weights[place] += weight;
    }
    for (int64_t k = 0; k < count && (how->antialias || how->exclude_outside) && sum != 0.0; k++)
        weights[k] /= sum;
    while (count > 1 && weights[count - 1] == 0.0)
        count--;
    while (zeros < count - 1 && weights[zeros] == 0.0)
        zeros++;
    memmove(weights, weights + zeros, (size_t)(count - zeros) * sizeof(double));
    t->first[o] = left + zeros;
    t->count[o] = count - zeros;
}

static void fill_table(const resize_how *how, table *t, const mapping *m)
{
    const int crop = how->transform == RESIZE_TF_CROP_AND_RESIZE;
    for (int64_t o = 0; o < t->out; o++) {
        const double x = source(how->transform, t, m, (double)o);
        t->count[o] = 1;
        t->first[o] = -1;
        if (isnan(x) || (crop && !(x >= 0 && x <= (double)(t->in - 1))))
            continue;
        if (how->mode == RESIZE_NEAREST)
            t->first[o] = bounded(nearest(how->nearest, x, m->scale), t->in);
        else
            weigh(how, t, o, x, m->scale);
    }
}

/* ---- all axes ----------------------------------------------------------------------------- */

/* The mapping of the axis that is number k of those named. */
static tn_status read_mapping(tn_run *ctx, const job *j, int32_t k, double common, mapping *out)
{
    const tn_tensor *scales = vision_tensor(ctx, resize_place(ctx->node->version, RESIZE_SCALES));
    const tn_tensor *roi = vision_tensor(ctx, resize_place(ctx->node->version, RESIZE_ROI));
    const table *t = &j->axes[j->how.axes[k]];
    *out = (mapping){ .scale = (double)t->out / (double)t->in, .extent = (double)t->out, .end = 1 };
    if (scales && tn_count(scales) > 0) {
        out->scale = (double)((const float *)scales->data)[k];
        out->extent = out->scale * (double)t->in;
    } else if (common != 0.0) {
        out->scale = common;
        out->extent = common * (double)t->in;
    }
    if (!(out->scale > 0.0 && isfinite(out->scale)))
        return tn_fail(ctx, TN_ERR_VALUE, "scales[%d] is %g: expected a number above 0", (int)k,
                       out->scale);
    if (j->how.transform == RESIZE_TF_CROP_AND_RESIZE) {
        out->start = tn_get_double(roi->dtype, roi->data, k);
        out->end = tn_get_double(roi->dtype, roi->data, k + j->how.count);
    }
    return TN_OK;
}

/* The one scale of all axes, where a policy asks for it; else 0. */
static double read_common(const tn_run *ctx, const job *j)
{
    const tn_tensor *sizes = vision_tensor(ctx, resize_place(ctx->node->version, RESIZE_SIZES));
    return sizes && tn_count(sizes) > 0 && j->how.policy != RESIZE_STRETCH
               ? resize_common_scale(&j->how, j->x->dims, sizes->data)
               : 0.0;
}

static tn_status make_tables(tn_run *ctx, job *j)
{
    char *room = ctx->scratch;
    const double common = read_common(ctx, j);
    for (int32_t k = 0; k < j->how.count; k++) {
        table *t = &j->axes[j->how.axes[k]];
        mapping m;
        TN_TRY(read_mapping(ctx, j, k, common, &m));
        if (m.scale == 1.0 && t->in == t->out && m.start == 0.0 && m.end == 1.0)
            continue;
        t->width = most_taps(&j->how, t->in, t->out);
        t->first = (int64_t *)(void *)room;
        t->count = t->first + t->out;
        t->weights = (double *)(void *)(t->count + t->out);
        room += table_bytes(&j->how, t->in, t->out);
        fill_table(&j->how, t, &m);
    }
    return TN_OK;
}

/* Offsets of output row `row`, all axes before `last` fixed; -1: outside. */
static int64_t row_offset(const job *j, int64_t row, int32_t last)
{
    int64_t offset = 0;
    for (int32_t k = last - 1; k >= 0; k--) {
        const table *t = &j->axes[k];
        const int64_t o = row % t->out, i = t->first ? t->first[o] : o;
        row /= t->out;
        if (i < 0)
            return -1;
        offset += i * j->strides[k];
    }
    return offset;
}

/* ---- nearest ------------------------------------------------------------------------------ */

static void copy_run(void *to, const void *from, size_t bytes)
{
    switch (bytes) {
    case 1: memcpy(to, from, 1); break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, bytes);
    }
}

static void fill_outside(const job *j, char *to)
{
    const size_t width = tn_dtype_bits(j->x->dtype) / 8;
    for (size_t k = 0; k < j->run_bytes; k += width)
        memcpy(to + k, j->outside, width);
}

static tn_status copy_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const table *t = &j->axes[j->last];
    const size_t width = tn_dtype_bits(j->x->dtype) / 8;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t offset = row_offset(j, row, j->last);
        const char *from = (const char *)j->x->data + (size_t)(offset < 0 ? 0 : offset) * width;
        char *to = (char *)j->y->data + (size_t)(row * t->out) * j->run_bytes;
        for (int64_t o = 0; o < t->out; o++, to += j->run_bytes) {
            if (offset < 0 || t->first[o] < 0)
                fill_outside(j, to);
            else
                copy_run(to, from + (size_t)t->first[o] * j->run_bytes, j->run_bytes);
        }
    }
    return TN_OK;
}

static tn_status run_nearest(tn_run *ctx, job *j)
{
    j->last = j->rank - 1;
    while (j->last >= 0 && !j->axes[j->last].first)
        j->last--;
    if (j->last < 0) {
        memcpy(j->y->data, j->x->data, j->y->bytes);
        return TN_OK;
    }
    j->run_bytes = (size_t)j->strides[j->last] * (tn_dtype_bits(j->x->dtype) / 8);
    if (j->x->dtype == TN_STRING)
        *(tn_text *)(void *)j->outside = (tn_text){ "", 0 };
    else if (TN_BIT(j->x->dtype) & TN_MASK_COMPLEX)
        tn_set_float(j->part, j->outside, 0, j->how.extrapolation);
    else
        vision_store(j->x->dtype, j->outside, 0, j->how.extrapolation);
    int64_t rows = 1;
    for (int32_t k = 0; k < j->last; k++)
        rows *= j->axes[k].out;
    const int64_t bytes = j->axes[j->last].out * (int64_t)j->run_bytes;
    return ctx->call.host->parallel_for(&ctx->call, rows, 1 + 65536 / bytes, copy_rows, j);
}

/* ---- linear, cubic ------------------------------------------------------------------------ */

/* Adds weight times the elements that output positions [first, first + count) of the last axis
 * see in the input row at `offset`. */
static void add_row(const job *j, int64_t offset, double weight, int64_t first, int64_t count,
                    double *sums)
{
    const table *t = &j->axes[j->rank - 1];
    const tn_tensor x = { .dtype = j->part, .data = j->x->data };
    for (int64_t k = 0; k < count; k++) {
        const int64_t o = first + k;
        if (!t->first) {
            sums[k] += weight * vision_load(&x, offset + o);
            continue;
        }
        const double *weights = t->weights + o * t->width;
        double sum = 0.0;
        for (int64_t tap = 0; t->first[o] >= 0 && tap < t->count[o]; tap++)
            sum += weights[tap] * vision_load(&x, offset + t->first[o] + tap);
        sums[k] += weight * sum;
    }
}

/* All taps of the other axes: an odometer over them. */
static void sum_row(const job *j, const int64_t *out, int64_t first, int64_t count, double *sums)
{
    int64_t tap[AXES] = { 0 };
    for (int32_t axis = 0; axis >= 0;) {
        int64_t offset = 0;
        double weight = 1.0;
        for (int32_t k = 0; k < j->rank - 1; k++) {
            const table *t = &j->axes[k];
            offset += (t->first ? t->first[out[k]] + tap[k] : out[k]) * j->strides[k];
            weight *= t->first ? t->weights[out[k] * t->width + tap[k]] : 1.0;
        }
        add_row(j, offset, weight, first, count, sums);
        for (axis = j->rank - 2; axis >= 0; axis--) {
            const table *t = &j->axes[axis];
            if (++tap[axis] < (t->first ? t->count[out[axis]] : 1))
                break;
            tap[axis] = 0;
        }
    }
}

static tn_status mix_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const table *t = &j->axes[j->rank - 1];
    double sums[CHUNK];
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t out[AXES], rest = row;
        for (int32_t k = j->rank - 2; k >= 0; k--) {
            out[k] = rest % j->axes[k].out;
            rest /= j->axes[k].out;
        }
        const int outside = row_offset(j, row, j->rank - 1) < 0;
        for (int64_t first = 0; first < t->out; first += CHUNK) {
            const int64_t count = t->out - first < CHUNK ? t->out - first : CHUNK;
            memset(sums, 0, sizeof sums);
            if (!outside)
                sum_row(j, out, first, count, sums);
            for (int64_t k = 0; k < count; k++) {
                const int beyond = outside || (t->first && t->first[first + k] < 0);
                vision_store(j->part, j->y->data, row * t->out + first + k,
                             beyond ? j->how.extrapolation : sums[k]);
            }
        }
    }
    return TN_OK;
}

static tn_status run_mix(tn_run *ctx, job *j)
{
    int64_t rows = 1;
    for (int32_t k = 0; k < j->rank - 1; k++)
        rows *= j->axes[k].out;
    return ctx->call.host->parallel_for(&ctx->call, rows, 1 + 2048 / j->axes[j->rank - 1].out,
                                        mix_rows, j);
}

/* ---- run ---------------------------------------------------------------------------------- */

/* Complex numbers are mixed part by part: an axis of two behind the others. */
static void set_axes(job *j)
{
    const int complex = (TN_BIT(j->x->dtype) & TN_MASK_COMPLEX) && j->how.mode != RESIZE_NEAREST;
    int64_t stride = 1;
    j->part = j->x->dtype == TN_COMPLEX64    ? TN_FLOAT32
              : j->x->dtype == TN_COMPLEX128 ? TN_FLOAT64
                                             : j->x->dtype;
    j->rank = j->x->rank + complex;
    for (int32_t k = j->rank - 1; k >= 0; k--) {
        j->axes[k].in = k < j->x->rank ? j->x->dims[k] : 2;
        j->axes[k].out = k < j->x->rank ? j->y->dims[k] : 2;
        j->strides[k] = stride;
        stride *= j->axes[k].in;
    }
}

tn_status resize_run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[0], .y = ctx->outputs[0] };
    (void)state, (void)slot;
    (void)resize_read(NULL, ctx->node, j.x->rank, &j.how);
    set_axes(&j);
    if (!tn_count(j.y))
        return TN_OK;
    if (!tn_count(j.x))
        return tn_fail(ctx, TN_ERR_VALUE, "input 'X' has no element to make any of: expected one");
    TN_TRY(make_tables(ctx, &j));
    if (j.how.mode == RESIZE_NEAREST || j.rank == 0)
        return run_nearest(ctx, &j);
    return run_mix(ctx, &j);
}
