/* plugins/motion/einsum_to_matmul.c: an Einsum of two operands as a MatMul.
 *
 * ONNX: Einsum, MatMul. Letters of both operands and of the answer count samples, those of one operand
 * and of the answer rows or columns, those of both operands alone are summed over. Each operand is
 * turned to samples, rows, columns; several letters of a kind become one axis by a Reshape. Stays:
 * an ellipsis, a letter twice in one operand, one that is summed within one operand, nothing to sum,
 * extents of a letter not known to be equal (1 is repeated by an Einsum).
 *
 * Rounding: the same products, summed in the MatMul's order.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>

typedef struct word {
    int32_t count;
    char letters[TN_MAX_RANK];
} word;

typedef struct product {
    tn_rewrite *ctx;
    tn_node_id root;
    tn_region_id region;
    char name[96];
    word in[2], out;
    tn_value_id operands[2];
    word samples, rows, sums, columns;
    tn_dim extents[128];
} product;

static int has(const word *w, char letter)
{
    for (int32_t k = 0; k < w->count; k++)
        if (w->letters[k] == letter)
            return 1;
    return 0;
}

static int add(word *w, char letter)
{
    if (w->count == TN_MAX_RANK || has(w, letter))
        return 0;
    w->letters[w->count++] = letter;
    return 1;
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "ij,jk->ik", without an arrow: what stands once, in the order of ASCII. 0: another kind. */
static int read_equation(product *p, const char *text)
{
    word *at = &p->in[0];
    int arrow = 0, good = 1;
    for (; *text && good; text++) {
        if (is_letter(*text))
            good = add(at, *text);
        else if (*text == ',' && at == &p->in[0])
            at = &p->in[1];
        else if (text[0] == '-' && text[1] == '>' && at == &p->in[1]) {
            at = &p->out;
            arrow = 1;
            text++;
        } else
            good = *text == ' ';
    }
    for (char c = 'A'; good && !arrow && c <= 'z'; c++)
        if (is_letter(c) && has(&p->in[0], c) != has(&p->in[1], c))
            good = add(&p->out, c);
    return good && at != &p->in[0];
}

/* Which kind each letter is; 0: one of them is none. Rows are those of operand `first`. */
static int sort_letters(product *p, int first)
{
    const word *a = &p->in[first], *b = &p->in[!first];
    for (int32_t k = 0; k < p->out.count; k++) {
        const char c = p->out.letters[k];
        const int in_a = has(a, c), in_b = has(b, c);
        if (!in_a && !in_b)
            return 0;
        add(in_a && in_b ? &p->samples : in_a ? &p->rows : &p->columns, c);
    }
    for (int32_t k = 0; k < a->count; k++)
        if (has(b, a->letters[k]) && !has(&p->out, a->letters[k]))
            add(&p->sums, a->letters[k]);
    return p->sums.count > 0 && a->count == p->samples.count + p->rows.count + p->sums.count &&
           b->count == p->samples.count + p->columns.count + p->sums.count;
}

/* Extents of all letters; 0: those of one are not known to be equal. */
static int read_extents(product *p)
{
    for (int c = 0; c < 128; c++)
        p->extents[c] = TN_DIM_UNKNOWN;
    for (int side = 0; side < 2; side++) {
        const tn_type *type = motion_type(p->ctx, p->operands[side]);
        if (type->rank != p->in[side].count)
            return 0;
        for (int32_t a = 0; a < type->rank; a++) {
            tn_dim *known = &p->extents[(int)p->in[side].letters[a]];
            if (side && has(&p->in[0], p->in[side].letters[a]) &&
                (*known == TN_DIM_UNKNOWN || *known != type->dims[a]))
                return 0;
            *known = type->dims[a];
        }
    }
    return 1;
}

/* ---- building ------------------------------------------------------------------------------- */

static tn_status add_node(product *p, const char *op, const tn_value_id *inputs, uint32_t count,
                          const tn_attribute *attribute, tn_value_id *out)
{
    const motion_site site = { p->ctx, p->region, p->root, p->root, p->name };
    return motion_add_node(&site, op, op, inputs, count, attribute, out);
}

/* x, whose axes are `from`, with the axes `to`. */
static tn_status turn_to(product *p, const word *from, const word *to, tn_value_id *x)
{
    int64_t axes[TN_MAX_RANK];
    int moved = 0;
    for (int32_t a = 0; a < to->count; a++)
        for (int32_t b = 0; b < from->count; b++)
            if (from->letters[b] == to->letters[a]) {
                axes[a] = b;
                moved = moved || a != b;
            }
    if (!moved)
        return TN_OK;
    const tn_value_id input = *x;
    return add_node(p, "Transpose", &input, 1,
                    &(tn_attribute){ .size = sizeof(tn_attribute),
                                     .type = TN_ATTR_INTS,
                                     .name = "perm",
                                     .count = (size_t)to->count,
                                     .ints = axes },
                    x);
}

static word joined(const word *a, const word *b, const word *c)
{
    const word *const parts[] = { a, b, c };
    word out = { 0 };
    for (int part = 0; part < 3; part++)
        for (int32_t k = 0; parts[part] && k < parts[part]->count; k++)
            add(&out, parts[part]->letters[k]);
    return out;
}

/* One extent for all letters of a word, or each its own; at most one may be open. 0: too many. */
static int append_extents(const product *p, const word *w, int as_one, int64_t *shape,
                          int32_t *rank, int *open)
{
    int64_t extents = 1;
    for (int32_t k = 0; k < w->count; k++) {
        const tn_dim extent = p->extents[(int)w->letters[k]];
        const int known = tn_dim_known(extent);
        if (extent == 0 || *rank == TN_MAX_RANK)
            return 0;
        *open += !known;
        extents = known && extents > 0 ? extents * extent : -1;
        if (!as_one)
            shape[(*rank)++] = known ? extent : -1;
    }
    if (as_one && *rank < TN_MAX_RANK)
        shape[(*rank)++] = extents;
    return *open <= 1;
}

/* The axes of samples, then one each for what `a` and `b` count (`as_one`), or all of them again. */
static tn_status shape_to(product *p, const word *a, const word *b, int as_one, tn_value_id *x)
{
    int64_t shape[TN_MAX_RANK];
    int32_t rank = 0;
    int open = 0;
    tn_value_id inputs[2] = { *x, TN_NONE };
    if (a->count == 1 && b->count == 1)
        return TN_OK;
    if (!append_extents(p, &p->samples, 0, shape, &rank, &open) ||
        !append_extents(p, a, as_one, shape, &rank, &open) ||
        !append_extents(p, b, as_one, shape, &rank, &open))
        return tn_fail(p->ctx, TN_NO_MATCH,
                       "%s: no MatMul: more than one extent is open, or one is 0", p->name);
    TN_TRY(motion_add_integers(p->ctx, p->region, shape, rank, &inputs[1]));
    return add_node(p, "Reshape", inputs, 2, NULL, x);
}

static tn_status build(product *p, int first)
{
    const word of_a = joined(&p->samples, &p->rows, &p->sums),
               of_b = joined(&p->samples, &p->sums, &p->columns),
               of_y = joined(&p->samples, &p->rows, &p->columns);
    const tn_value_id old = p->ctx->api->node(p->ctx->graph, p->root)->outputs[0];
    tn_value_id sides[2] = { p->operands[first], p->operands[!first] }, y;
    TN_TRY(turn_to(p, &p->in[first], &of_a, &sides[0]));
    TN_TRY(shape_to(p, &p->rows, &p->sums, 1, &sides[0]));
    TN_TRY(turn_to(p, &p->in[!first], &of_b, &sides[1]));
    TN_TRY(shape_to(p, &p->sums, &p->columns, 1, &sides[1]));
    TN_TRY(add_node(p, "MatMul", sides, 2, NULL, &y));
    TN_TRY(shape_to(p, &p->rows, &p->columns, 0, &y));
    TN_TRY(turn_to(p, &of_y, &p->out, &y));
    TN_TRY(p->ctx->api->replace(p->ctx->graph, old, y));
    TN_TRY(p->ctx->api->remove_node(p->ctx->graph, p->root));
    return tn_fail(p->ctx, TN_OK, "%s is a MatMul", p->name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    product p = { .ctx = ctx, .root = node, .region = view->region };
    if (view->input_count != 2 || view->inputs[0] == TN_NONE || view->inputs[1] == TN_NONE ||
        view->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    snprintf(p.name, sizeof p.name, "%s", view->name);
    p.operands[0] = view->inputs[0];
    p.operands[1] = view->inputs[1];
    if (!(TN_BIT(motion_type(ctx, p.operands[0])->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    if (!read_equation(&p, tn_attr_string(view, "equation", "")))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: no MatMul: an ellipsis, or a letter twice in one operand", p.name);
    /* Who has the last letter of the answer gives the columns: nothing to turn then. */
    const int first = p.out.count && has(&p.in[0], p.out.letters[p.out.count - 1]) &&
                      !has(&p.in[1], p.out.letters[p.out.count - 1]);
    if (!sort_letters(&p, first))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: no MatMul: nothing is summed over both operands, or a letter of one "
                       "alone is",
                       p.name);
    if (!read_extents(&p))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: no MatMul: the extents of a letter are not known to be equal", p.name);
    return build(&p, first);
}

tn_status einsum_to_matmul_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Einsum", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 1,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "einsum_to_matmul",
                                   .doc = "An Einsum of two operands as a MatMul, with Transposes "
                                          "and Reshapes where its letters ask for them.",
                                   .roots = roots,
                                   .match = match });
}
