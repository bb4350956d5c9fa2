/* plugins/vision/non_max_suppression.c: NonMaxSuppression (ONNX operators: NonMaxSuppression).
 *
 * For each sample and class, boxes are taken from the highest score down, equal ones in order; a
 * box goes when its intersection with one taken before, over their union, is above iou_threshold.
 * At most max_output_boxes_per_class are taken, of scores above score_threshold if that is given.
 *
 * Areas are float32, as the reference implementation computes them: whether a ratio is above the
 * threshold is a matter of the last bit. A score that is no number comes last.
 *
 * Boxes wait in a heap, so that only those that are looked at are sorted. The heap shrinks from
 * its end, where what is taken finds room.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

#include <inttypes.h>

enum { BOXES, SCORES, MOST, IOU, SCORE };

/* ---- inference -------------------------------------------------------------------------- */

static void check_scalars(tn_infer *ctx)
{
    static const char *const names[] = { "max_output_boxes_per_class", "iou_threshold",
                                         "score_threshold" };
    for (uint32_t k = MOST; k <= SCORE; k++) {
        const tn_type *type = vision_type(ctx, k);
        if (type && (type->rank > 1 ||
                     (type->rank == 1 && tn_dim_known(type->dims[0]) && type->dims[0] > 1)))
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' has more than one element: expected a scalar",
                                     names[k - MOST]);
    }
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *boxes = ctx->inputs[BOXES];
    tn_type *out = &ctx->outputs[0];
    const int64_t format = tn_attr_int(ctx->node, "center_point_box", 0);
    if (format != 0 && format != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "center_point_box",
                                 "center_point_box is %" PRId64 ": expected 0 or 1", format);
    check_scalars(ctx);
    out->rank = 2;
    out->dims[0] = TN_DIM_UNKNOWN;
    out->dims[1] = 3;
    out->flags |= TN_TYPE_LATE;
    const int places = vision_check_rank(ctx, BOXES, "boxes", 3, "3, [N, boxes, 4]");
    const int scores = vision_check_rank(ctx, SCORES, "scores", 3, "3, [N, classes, boxes]");
    if (!places || !vision_check_dim(ctx, BOXES, "boxes", 2, 4, "the numbers of a box") || !scores)
        return TN_OK;
    if (vision_check_dim(ctx, SCORES, "scores", 0, boxes->dims[0], "the samples of 'boxes'"))
        (void)vision_check_dim(ctx, SCORES, "scores", 2, boxes->dims[1], "one for each box");
    return TN_OK;
}

/* ---- boxes -------------------------------------------------------------------------------- */

typedef struct box {
    float low[2], high[2];
} box;

static box read_box(const float *at, int centre)
{
    box b;
    for (int k = 0; k < 2; k++) {
        const float half = at[k + 2] / 2;
        b.low[k] = centre ? at[k] - half : at[k] >= at[k + 2] ? at[k + 2] : at[k];
        b.high[k] = centre ? at[k] + half : at[k] >= at[k + 2] ? at[k] : at[k + 2];
    }
    return b;
}

static float area(const box *b)
{
    return (b->high[0] - b->low[0]) * (b->high[1] - b->low[1]);
}

static int overlap(const box *a, const box *b, float threshold)
{
    float common[2];
    for (int k = 0; k < 2; k++) {
        const float low = a->low[k] > b->low[k] ? a->low[k] : b->low[k];
        const float high = a->high[k] < b->high[k] ? a->high[k] : b->high[k];
        if (high <= low)
            return 0;
        common[k] = high - low;
    }
    /* The product of widths and heights, in the order in which areas are multiplied. */
    const float both = common[0] * common[1], areas = area(a) + area(b) - both;
    if (both <= 0 || area(a) <= 0 || area(b) <= 0 || areas <= 0)
        return 0;
    return both / areas > threshold;
}

/* ---- one class ---------------------------------------------------------------------------- */

typedef struct job {
    const float *boxes, *scores;
    int64_t samples, classes, count; /* boxes of a sample */
    int64_t most;
    float iou, score;
    int thresholded, centre;
    int64_t *places; /* [samples * classes][count]: what was taken stands at the end, backwards */
    int64_t *taken;  /* [samples * classes] */
} job;

static int before(const float *scores, int64_t a, int64_t b)
{
    if (isnan(scores[a]) || isnan(scores[b]))
        return isnan(scores[a]) && isnan(scores[b]) ? a < b : !isnan(scores[a]);
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

static void sink(const float *scores, int64_t *heap, int64_t count, int64_t at)
{
    const int64_t moved = heap[at];
    for (int64_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && before(scores, heap[child + 1], heap[child]))
            child++;
        if (!before(scores, heap[child], moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static int suppressed(const job *j, const float *boxes, int64_t candidate, const int64_t *end,
                      int64_t taken)
{
    const box own = read_box(boxes + 4 * candidate, j->centre);
    for (int64_t k = 1; k <= taken; k++) {
        const box other = read_box(boxes + 4 * end[-k], j->centre);
        if (overlap(&own, &other, j->iou))
            return 1;
    }
    return 0;
}

static tn_status run_classes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const float *scores = j->scores + at * j->count;
        const float *boxes = j->boxes + at / j->classes * j->count * 4;
        int64_t *heap = j->places + at * j->count, waiting = 0, taken = 0;
        for (int64_t k = 0; k < j->count; k++)
            if (!j->thresholded || scores[k] > j->score)
                heap[waiting++] = k;
        for (int64_t k = waiting / 2 - 1; k >= 0; k--)
            sink(scores, heap, waiting, k);
        while (waiting > 0 && taken < j->most) {
            const int64_t best = heap[0];
            heap[0] = heap[--waiting];
            if (waiting > 0)
                sink(scores, heap, waiting, 0);
            if (!suppressed(j, boxes, best, heap + j->count, taken))
                heap[j->count - ++taken] = best;
        }
        j->taken[at] = taken;
    }
    return TN_OK;
}

/* ---- all ---------------------------------------------------------------------------------- */

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *scores = ctx->problem->inputs[SCORES];
    (void)state;
    ctx->alternatives[0].scratch_bytes = (size_t)(scores->dims[0] * scores->dims[1]) *
                                         (size_t)(scores->dims[2] + 1) * sizeof(int64_t);
    return TN_OK;
}

static tn_status store(tn_run *ctx, const job *j)
{
    int64_t dims[] = { 0, 3 };
    for (int64_t k = 0; k < j->samples * j->classes; k++)
        dims[0] += j->taken[k];
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, 2, dims));
    int64_t *out = ctx->outputs[0]->data;
    for (int64_t k = 0; k < j->samples * j->classes; k++)
        for (int64_t rank = 1; rank <= j->taken[k]; rank++) {
            *out++ = k / j->classes;
            *out++ = k % j->classes;
            *out++ = j->places[(k + 1) * j->count - rank];
        }
    return TN_OK;
}

static const tn_tensor *given(const tn_run *ctx, uint32_t k)
{
    const tn_tensor *input = vision_tensor(ctx, k);
    return input && tn_count(input) > 0 ? input : NULL;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *scores = ctx->inputs[SCORES], *most = given(ctx, MOST);
    const tn_tensor *iou = given(ctx, IOU), *score = given(ctx, SCORE);
    job j = { .boxes = ctx->inputs[BOXES]->data,
              .scores = scores->data,
              .samples = scores->dims[0],
              .classes = scores->dims[1],
              .count = scores->dims[2],
              .most = most ? *(const int64_t *)most->data : 0,
              .iou = iou ? *(const float *)iou->data : 0,
              .score = score ? *(const float *)score->data : 0,
              .thresholded = score != NULL,
              .centre = tn_attr_int(ctx->node, "center_point_box", 0) != 0 };
    const int64_t classes = j.samples * j.classes;
    (void)state, (void)slot;
    j.taken = ctx->scratch;
    j.places = j.taken + classes;
    if (classes > 0)
        TN_TRY(ctx->call.host->parallel_for(&ctx->call, classes, 1, run_classes, &j));
    return store(ctx, &j);
}

/* ---- tables ------------------------------------------------------------------------------- */

#define F32 TN_BIT(TN_FLOAT32)
static const tn_param_def inputs[] = {
    { "boxes", NULL, F32, 0, 0, "[N, boxes, 4]" },
    { "scores", NULL, F32, 0, 0, "[N, classes, boxes]" },
    { "max_output_boxes_per_class", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "boxes to take of each sample and class; 0" },
    { "iou_threshold", NULL, F32, TN_PARAM_OPTIONAL, 0, "overlap that two boxes may have; 0" },
    { "score_threshold", NULL, F32, TN_PARAM_OPTIONAL, 0, "scores above it are looked at; all" },
};
static const tn_param_def outputs[] = {
    { "selected_indices", NULL, TN_BIT(TN_INT64), 0, 0, "sample, class, box: [taken, 3]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "center_point_box",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "0: a box is two corners, y1, x1, y2, x2; 1: its centre x, y and its width, height" },
};
static const tn_operator_def non_max_suppression = {
    .size = sizeof non_max_suppression,
    .since = 11,
    .accepts_from = 10,
    .name = "NonMaxSuppression",
    .doc = "Picks boxes by score and leaves out those that overlap with one picked before.",
    .inputs = inputs,
    .input_count = 5,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 1,
    .infer = infer
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "NonMaxSuppression",
                                      .measure = measure,
                                      .run = run,
                                      .flags = TN_KERNEL_EMPTY };

tn_status non_max_suppression_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &non_max_suppression));
    return registrar->add_kernel(registrar, &kernel);
}
