/* plugins/einsum/plan.c: in which order operands are contracted.
 *
 * In: labels and extents. Out: steps of two views each, the cheapest pair first, until one is left.
 * Results in between are float64 or int64: sums of integers are exact modulo 2^64 in any order, and
 * a floating-point result is rounded to its type once.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

/* ---- operands as views ------------------------------------------------------------------ */

/* 0: an extent differs from that of the same label before. */
static int add_operand(einsum_plan *plan, const uint8_t *labels, int32_t rank, const int64_t *dims)
{
    einsum_view *view = &plan->views[plan->view_count++];
    int64_t strides[TN_MAX_RANK];
    tn_row_major(rank, dims, strides);
    for (int32_t axis = 0; axis < rank; axis++) {
        int64_t *extent = &plan->extent[labels[axis]];
        view->has[labels[axis]] = 1;
        if (dims[axis] == 1)
            continue;
        if (*extent != 1 && *extent != dims[axis])
            return 0;
        *extent = dims[axis];
        view->step[labels[axis]] += strides[axis]; /* a label twice is the diagonal */
    }
    return 1;
}

/* ---- sizes ------------------------------------------------------------------------------ */

/* Elements of all labels that a or b has; as a double it cannot overflow. */
static double volume(const einsum_plan *plan, uint32_t a, uint32_t b)
{
    double product = 1;
    for (int label = 0; label < EINSUM_LABELS; label++)
        if (plan->views[a].has[label] || (b < EINSUM_VIEWS && plan->views[b].has[label]))
            product *= (double)plan->extent[label];
    return product;
}

static int count_elements(const einsum_plan *plan, einsum_step *step)
{
    step->count = 1;
    for (int32_t i = 0; i < step->out_rank; i++)
        if (__builtin_mul_overflow(step->count, plan->extent[step->out_labels[i]], &step->count))
            return 0;
    return 1;
}

/* ---- steps ------------------------------------------------------------------------------ */

/* The result's view: dense, its labels in the order of its axes. */
static void add_result(einsum_plan *plan, einsum_step *step)
{
    einsum_view *view = &plan->views[plan->view_count];
    int64_t stride = 1;
    step->out = plan->view_count++;
    for (int32_t i = step->out_rank - 1; i >= 0; i--) {
        view->has[step->out_labels[i]] = 1;
        view->step[step->out_labels[i]] = stride;
        stride *= plan->extent[step->out_labels[i]];
    }
}

static int push_step(einsum_plan *plan, const uint8_t *alive, const uint8_t *in_output, uint32_t a,
                     uint32_t b)
{
    einsum_step *step = &plan->steps[plan->step_count++];
    size_t bytes;
    *step = (einsum_step){ .a = a, .b = b };
    for (int label = 0; label < EINSUM_LABELS; label++) {
        int wanted = in_output[label];
        for (uint32_t k = 0; k < plan->view_count; k++)
            wanted = wanted || (alive[k] && k != a && k != b && plan->views[k].has[label]);
        if (wanted && (plan->views[a].has[label] || plan->views[b].has[label]))
            step->out_labels[step->out_rank++] = (uint8_t)label;
    }
    if (!count_elements(plan, step) ||
        __builtin_mul_overflow((size_t)step->count, sizeof(double), &bytes) ||
        __builtin_add_overflow(plan->scratch_bytes, bytes, &plan->scratch_bytes))
        return 0;
    plan->products += volume(plan, a, b);
    add_result(plan, step);
    return 1;
}

/* The pair with the fewest products; of equal ones the first. */
static void cheapest(const einsum_plan *plan, const uint8_t *alive, uint32_t *a, uint32_t *b)
{
    double best = INFINITY;
    *a = *b = EINSUM_VIEWS;
    for (uint32_t i = 0; i < plan->view_count; i++) {
        for (uint32_t k = i + 1; k < plan->view_count; k++) {
            const double products = alive[i] && alive[k] ? volume(plan, i, k) : INFINITY;
            if (products < best || (*a == EINSUM_VIEWS && alive[i] && alive[k])) {
                best = products;
                *a = i;
                *b = k;
            }
        }
    }
}

static int last_step(einsum_plan *plan, const uint8_t *alive, const uint8_t *labels, int32_t rank)
{
    einsum_step *step = &plan->steps[plan->step_count++];
    uint32_t found[2] = { EINSUM_VIEWS, EINSUM_VIEWS }, count = 0;
    for (uint32_t k = 0; k < plan->view_count; k++)
        if (alive[k])
            found[count++] = k;
    *step = (einsum_step){ .a = found[0], .b = found[1], .out_rank = rank };
    memcpy(step->out_labels, labels, (size_t)rank);
    plan->products += count > 1 ? volume(plan, found[0], found[1]) : 0;
    if (!count_elements(plan, step))
        return 0;
    add_result(plan, step);
    return 1;
}

static int add_operands(einsum_plan *plan, const einsum_equation *equation, const int32_t *ranks,
                        const int64_t *const *dims, int32_t *ellipsis)
{
    uint8_t labels[TN_MAX_RANK];
    *ellipsis = 0;
    for (int label = 0; label < EINSUM_LABELS; label++)
        plan->extent[label] = 1;
    for (uint32_t k = 0; k < equation->operand_count; k++) {
        const int32_t unnamed = ranks[k] - equation->operands[k].count;
        if (!einsum_labels(&equation->operands[k], ranks[k], labels) ||
            !add_operand(plan, labels, ranks[k], dims[k]))
            return 0;
        *ellipsis = unnamed > *ellipsis ? unnamed : *ellipsis;
    }
    return 1;
}

int einsum_plan_make(const einsum_equation *equation, const int32_t *ranks,
                     const int64_t *const *dims, einsum_plan *out)
{
    uint8_t labels[TN_MAX_RANK], alive[EINSUM_VIEWS] = { 0 }, in_output[EINSUM_LABELS] = { 0 };
    int32_t ellipsis;
    memset(out, 0, sizeof *out);
    if (!add_operands(out, equation, ranks, dims, &ellipsis))
        return 0;
    const int32_t rank = equation->out.count + (equation->out.dots >= 0 ? ellipsis : 0);
    if (!einsum_labels(&equation->out, rank, labels))
        return 0;
    for (int32_t i = 0; i < rank; i++)
        in_output[labels[i]] = 1;
    memset(alive, 1, equation->operand_count);
    for (uint32_t left = equation->operand_count; left > 2; left--) {
        uint32_t a, b;
        cheapest(out, alive, &a, &b);
        if (!push_step(out, alive, in_output, a, b))
            return 0;
        alive[a] = alive[b] = 0;
        alive[out->view_count - 1] = 1;
    }
    return last_step(out, alive, labels, rank);
}
