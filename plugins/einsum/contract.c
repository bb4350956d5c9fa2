/* plugins/einsum/contract.c: sums of products of two views, or sums of one.
 *
 * In: a step of a plan. Out: for each element of its result the sum over all other labels, the
 * longest of them innermost. Floating-point types are summed in double, integers modulo 2^64; the
 * result is rounded, or cut, once.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

/* Labels as nested loops: extents, and how far each goes in a and b. */
typedef struct nest {
    int32_t rank;
    int64_t dims[EINSUM_LABELS];
    int64_t steps[2][EINSUM_LABELS];
} nest;

typedef struct contraction {
    const einsum_view *a, *b; /* b NULL: none */
    const einsum_view *out;
    nest kept, summed; /* without the innermost sum, which is: */
    int64_t length, step_a, step_b;
    int empty; /* some summed extent is 0: sums of nothing */
    int64_t (*ints)(const struct contraction *c, int64_t a, int64_t b);
    double (*doubles)(const struct contraction *c, int64_t a, int64_t b);
} contraction;

/* ---- innermost sums --------------------------------------------------------------------- */

#define DOT(name, type)                                                                            \
    static double name(const contraction *c, int64_t a, int64_t b)                                 \
    {                                                                                              \
        const type *x = (const type *)c->a->data + a, *y = (const type *)c->b->data + b;           \
        double sum = 0;                                                                            \
        for (int64_t i = 0; i < c->length; i++)                                                    \
            sum += (double)x[i * c->step_a] * (double)y[i * c->step_b];                            \
        return sum;                                                                                \
    }
DOT(dot_float32, float)
DOT(dot_float64, double)

static double dot_any(const contraction *c, int64_t a, int64_t b)
{
    double sum = 0;
    for (int64_t i = 0; i < c->length; i++)
        sum += tn_get_double(c->a->dtype, c->a->data, a + i * c->step_a) *
               (c->b ? tn_get_double(c->b->dtype, c->b->data, b + i * c->step_b) : 1.0);
    return sum;
}

static int64_t dot_ints(const contraction *c, int64_t a, int64_t b)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < c->length; i++)
        sum += (uint64_t)tn_get_int(c->a->dtype, c->a->data, a + i * c->step_a) *
               (c->b ? (uint64_t)tn_get_int(c->b->dtype, c->b->data, b + i * c->step_b) : 1u);
    return (int64_t)sum;
}

/* ---- loops ------------------------------------------------------------------------------ */

/* The next index of a nest, offsets with it; 0 after the last. */
static int advance(const nest *n, int64_t *index, int64_t *a, int64_t *b)
{
    for (int32_t k = n->rank - 1; k >= 0; k--) {
        *a += n->steps[0][k];
        *b += n->steps[1][k];
        if (++index[k] < n->dims[k])
            return 1;
        *a -= n->steps[0][k] * n->dims[k];
        *b -= n->steps[1][k] * n->dims[k];
        index[k] = 0;
    }
    return 0;
}

static void sum_one(const contraction *c, int64_t a, int64_t b, int64_t at)
{
    int64_t index[EINSUM_LABELS] = { 0 };
    const int is_float = tn_dtype_is_float(c->out->dtype);
    double sum = 0;
    uint64_t whole = 0;
    if (!c->empty) {
        do {
            if (is_float)
                sum += c->doubles(c, a, b);
            else
                whole += (uint64_t)c->ints(c, a, b);
        } while (advance(&c->summed, index, &a, &b));
    }
    if (is_float)
        tn_set_float(c->out->dtype, c->out->data, at, sum);
    else
        tn_set_int(c->out->dtype, c->out->data, at, (int64_t)whole);
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const contraction *c = user;
    int64_t index[EINSUM_LABELS], a = 0, b = 0, rest = begin;
    (void)thread;
    for (int32_t k = c->kept.rank - 1; k >= 0; k--) {
        index[k] = rest % c->kept.dims[k];
        rest /= c->kept.dims[k];
        a += index[k] * c->kept.steps[0][k];
        b += index[k] * c->kept.steps[1][k];
    }
    for (int64_t at = begin; at < end; at++) {
        sum_one(c, a, b, at);
        (void)advance(&c->kept, index, &a, &b);
    }
    return TN_OK;
}

/* ---- one step --------------------------------------------------------------------------- */

static void push(nest *n, const contraction *c, uint8_t label, int64_t extent)
{
    n->dims[n->rank] = extent;
    n->steps[0][n->rank] = c->a->step[label];
    n->steps[1][n->rank++] = c->b ? c->b->step[label] : 0;
}

/* The longest summed loop goes innermost, out of the nest. */
static void take_longest(contraction *c)
{
    nest *n = &c->summed;
    int32_t longest = 0;
    c->length = 1;
    if (n->rank == 0)
        return;
    for (int32_t k = 1; k < n->rank; k++)
        longest = n->dims[k] > n->dims[longest] ? k : longest;
    c->length = n->dims[longest];
    c->step_a = n->steps[0][longest];
    c->step_b = n->steps[1][longest];
    n->rank--;
    for (int32_t k = longest; k < n->rank; k++) {
        n->dims[k] = n->dims[k + 1];
        n->steps[0][k] = n->steps[0][k + 1];
        n->steps[1][k] = n->steps[1][k + 1];
    }
}

tn_status einsum_contract(tn_call *call, const einsum_plan *plan, const einsum_step *step)
{
    contraction c = { .a = &plan->views[step->a],
                      .b = step->b < EINSUM_VIEWS ? &plan->views[step->b] : NULL,
                      .out = &plan->views[step->out],
                      .ints = dot_ints,
                      .doubles = dot_any };
    double work = 1;
    if (step->count == 0)
        return TN_OK;
    for (int32_t i = 0; i < step->out_rank; i++)
        push(&c.kept, &c, step->out_labels[i], plan->extent[step->out_labels[i]]);
    for (uint8_t label = 0; label < EINSUM_LABELS; label++) {
        const int in_either = c.a->has[label] || (c.b && c.b->has[label]);
        if (!in_either || c.out->has[label] || plan->extent[label] == 1)
            continue;
        push(&c.summed, &c, label, plan->extent[label]);
        c.empty = c.empty || plan->extent[label] == 0;
        work *= (double)plan->extent[label];
    }
    take_longest(&c);
    if (c.b && c.a->dtype == c.b->dtype && c.a->dtype == TN_FLOAT32)
        c.doubles = dot_float32;
    if (c.b && c.a->dtype == c.b->dtype && c.a->dtype == TN_FLOAT64)
        c.doubles = dot_float64;
    return call->host->parallel_for(call, step->count, 1 + (int64_t)(16384.0 / (work + 1.0)), chunk,
                                    &c);
}
