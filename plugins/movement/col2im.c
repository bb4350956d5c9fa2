/* plugins/movement/col2im.c: adds columns of blocks up to the image they were cut from.
 *
 * ONNX: Col2Im, for any number of spatial axes. Column l of the input holds block number l, in the
 * order of the places where a window of block_shape, dilated, stands in the padded image; a pixel
 * is the sum of all block elements that lie on it, rounded once.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

enum { PLACES = TN_MAX_RANK - 2 };

/* ---- attributes ------------------------------------------------------------------------- */

/* One value for each spatial axis, in twice as many for pads. Answers 0 after a complaint. */
static int read_ints(const tn_node_view *node, const char *name, int32_t count, int64_t least,
                     int64_t otherwise, int64_t *out, tn_infer *ctx)
{
    const int64_t *given;
    const size_t found = tn_attr_ints(node, name, &given);
    int good = !given || found == (size_t)count;
    for (int32_t i = 0; i < count; i++) {
        out[i] = given && good ? given[i] : otherwise;
        good = good && out[i] >= least && out[i] <= INT32_MAX;
    }
    if (!good && ctx)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s has %lld values: expected %d of at least %lld", name,
                                 (long long)found, (int)count, (long long)least);
    return good;
}

/* The windows; the same for inference, where image and block may be unknown, and for the run. */
typedef struct windows {
    int32_t axes;
    int64_t strides[PLACES], dilations[PLACES], pads[2 * PLACES];
} windows;

static int read_windows(const tn_node_view *node, int32_t axes, windows *w, tn_infer *ctx)
{
    w->axes = axes;
    return read_ints(node, "strides", axes, 1, 1, w->strides, ctx) &&
           read_ints(node, "dilations", axes, 1, 1, w->dilations, ctx) &&
           read_ints(node, "pads", 2 * axes, 0, 0, w->pads, ctx);
}

/* How many windows stand along an axis of the image. */
static int64_t places(const windows *w, int32_t axis, int64_t image, int64_t block)
{
    const int64_t room = image + w->pads[axis] + w->pads[axis + w->axes];
    const int64_t window = w->dilations[axis] * (block - 1) + 1;
    return room < window ? 0 : (room - window) / w->strides[axis] + 1;
}

/* ---- inference -------------------------------------------------------------------------- */

/* The spatial axes: as many as the two vectors have; -1: not known, -2: after a complaint. */
static int64_t spatial(tn_infer *ctx)
{
    if (!move_check_rank(ctx, 0, "input", 3, 3) || !move_check_rank(ctx, 1, "image_shape", 1, 1) ||
        !move_check_rank(ctx, 2, "block_shape", 1, 1))
        return -2;
    const int64_t image = move_length(ctx, 1), block = move_length(ctx, 2);
    if (image >= 0 && block >= 0 && image != block) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'block_shape' has %lld elements: expected %lld as in "
                                 "'image_shape'",
                                 (long long)block, (long long)image);
        return -2;
    }
    const int64_t axes = image >= 0 ? image : block;
    if (axes < 0 || (axes >= 1 && axes <= PLACES))
        return axes < 0 ? -1 : axes;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                             "input 'image_shape' has %lld elements: expected 1 to %d",
                             (long long)axes, PLACES);
    return -2;
}

static void check_columns(tn_infer *ctx, const windows *w, const tn_dim *image, const tn_dim *block)
{
    const tn_type *in = ctx->inputs[0];
    int64_t count = 1, cells = 1;
    for (int32_t axis = 0; axis < w->axes; axis++) {
        if (!tn_dim_known(image[axis]) || !tn_dim_known(block[axis]) || block[axis] > INT32_MAX ||
            image[axis] > INT32_MAX || count > INT32_MAX || cells > INT32_MAX)
            return;
        count *= places(w, axis, image[axis], block[axis]);
        cells *= block[axis];
    }
    if (in && in->rank == 3 && tn_dim_known(in->dims[1]) && in->dims[1] % cells != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'input' has %lld rows: expected a multiple of %lld, the "
                                 "elements of a block",
                                 (long long)in->dims[1], (long long)cells);
    if (in && in->rank == 3 && tn_dim_known(in->dims[2]) && in->dims[2] != count)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'input' has %lld columns: expected %lld, the blocks of the "
                                 "image",
                                 (long long)in->dims[2], (long long)count);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    tn_dim image[MOVE_ELEMENTS], block[MOVE_ELEMENTS];
    windows w;
    if (in && in->dtype == TN_STRING) {
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'input' has string elements, which have no sum");
        return TN_OK;
    }
    const int64_t axes = spatial(ctx);
    if (axes < 0 || !read_windows(ctx->node, (int32_t)axes, &w, ctx))
        return TN_OK;
    const int64_t known = move_elements(ctx, 1, image), blocks = move_elements(ctx, 2, block);
    tn_dim cells = 1;
    for (int32_t axis = 0; axis < w.axes; axis++) {
        image[axis] = known < 0 ? TN_DIM_UNKNOWN : image[axis];
        block[axis] = blocks < 0 ? TN_DIM_UNKNOWN : block[axis];
        if ((tn_dim_known(image[axis]) && image[axis] < 0) ||
            (tn_dim_known(block[axis]) && block[axis] < 1)) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_NODE, 0, NULL,
                                     "axis %d has image_shape %lld and block_shape %lld: expected "
                                     "at least 0 and 1",
                                     (int)axis, (long long)image[axis], (long long)block[axis]);
            return TN_OK;
        }
        cells = tn_dim_mul(ctx, cells, block[axis]);
        out->dims[axis + 2] = image[axis];
    }
    check_columns(ctx, &w, image, block);
    out->rank = w.axes + 2;
    out->dims[0] = in && in->rank == 3 ? in->dims[0] : TN_DIM_UNKNOWN;
    out->dims[1] = in && in->rank == 3 && tn_dim_known(cells)
                       ? tn_dim_floordiv(ctx, in->dims[1], cells)
                       : TN_DIM_UNKNOWN;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct image_job {
    const tn_tensor *in;
    tn_tensor *out;
    windows w;
    int64_t block[PLACES], count[PLACES];
    int64_t cells, columns, pixels;
} image_job;

/* The column in which cell `cell` of a block lies on pixel `at`; -1: in none. */
static int64_t column_of(const image_job *job, const int64_t *at, int64_t cell)
{
    int64_t column = 0, step = 1;
    for (int32_t axis = job->w.axes - 1; axis >= 0; axis--) {
        const int64_t tap = cell % job->block[axis] * job->w.dilations[axis];
        const int64_t first = at[axis] + job->w.pads[axis] - tap;
        const int64_t place = first / job->w.strides[axis];
        if (first < 0 || first % job->w.strides[axis] != 0 || place >= job->count[axis])
            return -1;
        cell /= job->block[axis];
        column += place * step;
        step *= job->count[axis];
    }
    return column;
}

/* Element i is added to the sum: a double, two of them for complex, or an exact integer. */
typedef struct sum {
    double re, im;
    uint64_t whole;
} sum;

static void add(sum *s, const tn_tensor *in, int64_t i)
{
    if (in->dtype == TN_COMPLEX64) {
        s->re += (double)((const float *)in->data)[2 * i];
        s->im += (double)((const float *)in->data)[2 * i + 1];
    } else if (in->dtype == TN_COMPLEX128) {
        s->re += ((const double *)in->data)[2 * i];
        s->im += ((const double *)in->data)[2 * i + 1];
    } else if (tn_dtype_is_float(in->dtype)) {
        s->re += tn_get_double(in->dtype, in->data, i);
    } else if (in->dtype == TN_BOOL) {
        s->whole |= ((const uint8_t *)in->data)[i];
    } else {
        s->whole += (uint64_t)tn_get_int(in->dtype, in->data, i);
    }
}

static void store(const sum *s, tn_tensor *out, int64_t i)
{
    if (out->dtype == TN_COMPLEX64) {
        ((float *)out->data)[2 * i] = (float)s->re;
        ((float *)out->data)[2 * i + 1] = (float)s->im;
    } else if (out->dtype == TN_COMPLEX128) {
        ((double *)out->data)[2 * i] = s->re;
        ((double *)out->data)[2 * i + 1] = s->im;
    } else if (tn_dtype_is_float(out->dtype)) {
        tn_set_float(out->dtype, out->data, i, s->re);
    } else {
        tn_set_int(out->dtype, out->data, i, (int64_t)s->whole);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const image_job *job = user;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = i / job->pixels * job->cells * job->columns;
        int64_t at[PLACES], rest = i % job->pixels;
        sum total = { 0, 0, 0 };
        for (int32_t axis = job->w.axes - 1; axis >= 0; axis--) {
            at[axis] = rest % job->out->dims[axis + 2];
            rest /= job->out->dims[axis + 2];
        }
        for (int64_t cell = 0; cell < job->cells; cell++) {
            const int64_t column = column_of(job, at, cell);
            if (column >= 0)
                add(&total, job->in, first + cell * job->columns + column);
        }
        store(&total, job->out, i);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    image_job job = { .in = ctx->inputs[0], .out = ctx->outputs[0], .cells = 1, .columns = 1 };
    const int32_t axes = job.out->rank - 2;
    const tn_tensor *block = ctx->inputs[2];
    (void)state, (void)slot;
    if (!read_windows(ctx->node, axes, &job.w, NULL) || tn_count(block) != axes)
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'block_shape' has %lld elements: expected %d",
                       (long long)tn_count(block), (int)axes);
    job.pixels = tn_extent(job.out->dims, 2, job.out->rank);
    if (tn_count(job.out) == 0)
        return TN_OK;
    for (int32_t axis = 0; axis < axes; axis++) {
        job.block[axis] = move_index(block, axis);
        if (job.block[axis] < 1 || job.block[axis] > job.in->dims[1])
            return tn_fail(ctx, TN_ERR_VALUE, "block_shape[%d] is %lld: expected 1 to %lld",
                           (int)axis, (long long)job.block[axis], (long long)job.in->dims[1]);
        job.count[axis] = places(&job.w, axis, job.out->dims[axis + 2], job.block[axis]);
        job.cells *= job.block[axis];
        job.columns *= job.count[axis];
        if (job.cells > job.in->dims[1] || job.columns > job.in->dims[2])
            break;
    }
    if (job.cells * job.out->dims[1] != job.in->dims[1] || job.columns != job.in->dims[2])
        return tn_fail(ctx, TN_ERR_SHAPE,
                       "input 'input' has shape [%lld,%lld,%lld]: blocks and image do not fit it",
                       (long long)job.in->dims[0], (long long)job.in->dims[1],
                       (long long)job.in->dims[2]);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.out), 1 + 4096 / job.cells, chunk,
                                        &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "Samples, channels times block elements, blocks." },
    { "image_shape", NULL, TN_BIT(TN_INT64), 0, 0, "The image's spatial extents." },
    { "block_shape", NULL, TN_BIT(TN_INT64), 0, 0, "A block's extents, before dilation." },
};
static const tn_param_def outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "Samples, channels, and the image." },
};
static const tn_attribute_def attributes[] = {
    { .name = "dilations",
      .type = TN_ATTR_INTS,
      .doc = "Distance of block elements; 1 if absent." },
    { .name = "pads",
      .type = TN_ATTR_INTS,
      .doc = "A begin for each axis, then an end; 0 if absent." },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "Distance of blocks; 1 if absent." },
};

tn_status col2im_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 18,
        .name = "Col2Im",
        .doc = "Adds columns of blocks up to the image they were cut from.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 3,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = move_cost,
        .samplewise = move_samples,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Col2Im",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
