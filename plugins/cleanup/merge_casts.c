/* plugins/cleanup/merge_casts.c: a Cast of a Cast as one, where the first one lost nothing.
 *
 * Exact: every number of the first type is one of the type between.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

/* Whole digits that a type holds, sign aside; 0: not a plain number. */
static const struct width {
    uint32_t dtype;
    uint8_t digits, is_signed, is_float;
    int16_t exponent;
} widths[] = {
    { TN_BOOL, 1, 0, 0, 0 },        { TN_UINT8, 8, 0, 0, 0 },      { TN_UINT16, 16, 0, 0, 0 },
    { TN_UINT32, 32, 0, 0, 0 },     { TN_UINT64, 64, 0, 0, 0 },    { TN_INT8, 7, 1, 0, 0 },
    { TN_INT16, 15, 1, 0, 0 },      { TN_INT32, 31, 1, 0, 0 },     { TN_INT64, 63, 1, 0, 0 },
    { TN_FLOAT16, 11, 1, 1, 16 },   { TN_BFLOAT16, 8, 1, 1, 128 }, { TN_FLOAT32, 24, 1, 1, 128 },
    { TN_FLOAT64, 53, 1, 1, 1024 },
};

static const struct width *width_of(uint32_t dtype)
{
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
        if (widths[k].dtype == dtype)
            return &widths[k];
    return NULL;
}

/* Every number of `from` is one of `to`. A Cast to bool asks whether a number is 0: never that. */
static int holds(uint32_t to, uint32_t from)
{
    const struct width *a = width_of(from), *b = width_of(to);
    if (!a || !b || (a->is_float && !b->is_float) || (a->is_signed && !b->is_signed))
        return 0;
    if (a == b)
        return 1;
    if (to == TN_BOOL || a->digits > b->digits)
        return 0;
    return !b->is_float || (a->is_float ? a->exponent <= b->exponent : a->digits <= b->exponent);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    char names[2][96];
    if (!cleanup_is(first, "Cast"))
        return TN_NO_MATCH;
    const tn_value_id x = first->inputs[0];
    const uint32_t from = ctx->api->value(ctx->graph, x)->type->dtype,
                   between = ctx->api->value(ctx->graph, second->inputs[0])->type->dtype;
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    if (!holds(between, from))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s not merged with %s: the type between them does not hold "
                       "every number of the first",
                       names[1], names[0]);
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    return tn_fail(ctx, TN_OK, "%s reads what %s read", names[1], names[0]);
}

tn_status merge_casts_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Cast", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_CLEAN,
                                   .order = 52,
                                   .exactness = TN_EXACT,
                                   .name = "merge_casts",
                                   .doc = "A Cast of a Cast as one, where the first loses nothing.",
                                   .roots = roots,
                                   .match = match });
}
