/* plugins/recognition/recognize_depth_to_space.c: Reshape, Transpose and Reshape that turn channels
 * into blocks of pixels or back, as one DepthToSpace or SpaceToDepth (ONNX: DepthToSpace, 13;
 * SpaceToDepth, 13; Shi et al., arXiv:1609.05158).
 *
 *   mode DCR   [N, b, b, C, H, W]   0 3 4 1 5 2   [N, C, H b, W b]
 *   mode CRD   [N, C, b, b, H, W]   0 1 4 2 5 3   [N, C, H b, W b]
 *   back       [N, C, H, b, W, b]   0 3 5 1 2 4   [N, b b C, H, W]
 *
 * Exact: elements move. The way back of CRD (0 1 3 5 2 4) has no operator.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdio.h>

/* Where samples, the two sides of a block, channels, rows and columns are in the middle. */
typedef struct block_form {
    const char *op, *mode; /* mode NULL: none */
    int64_t perm[6];
    int32_t sides[2], channels, rows, columns;
} block_form;

static const block_form forms[] = {
    { "DepthToSpace", "DCR", { 0, 3, 4, 1, 5, 2 }, { 1, 2 }, 3, 4, 5 },
    { "DepthToSpace", "CRD", { 0, 1, 4, 2, 5, 3 }, { 2, 3 }, 1, 4, 5 },
    { "SpaceToDepth", NULL, { 0, 3, 5, 1, 2, 4 }, { 3, 5 }, 1, 2, 4 },
};

static const block_form *form_of(const tn_node_view *transpose)
{
    const int64_t *perm;
    const size_t count = tn_attr_ints(transpose, "perm", &perm);
    for (size_t k = 0; count == 6 && k < sizeof forms / sizeof *forms; k++)
        if (memcmp(perm, forms[k].perm, sizeof forms[k].perm) == 0)
            return &forms[k];
    return NULL;
}

static int same(tn_dim a, tn_dim b)
{
    return a == b && a != TN_DIM_UNKNOWN;
}

/* Whether `large` is `small` times a number. */
static int is_multiple(const pattern *p, tn_dim large, tn_dim small, int64_t times)
{
    char text[200], product[256];
    tn_dim expected;
    if (tn_dim_known(small) && tn_dim_known(large))
        return large == small * times;
    if (small == TN_DIM_UNKNOWN || large == TN_DIM_UNKNOWN ||
        p->ctx->api->dim_text(p->ctx->graph, small, text, sizeof text) >= sizeof text)
        return 0;
    snprintf(product, sizeof product, "(%s)*%lld", text, (long long)times);
    return p->ctx->api->dim_parse(p->ctx->graph, product, &expected) == TN_OK && expected == large;
}

/* depth: [N, b b C, H, W]; space: [N, C, H b, W b]. */
static int shapes_fit(const pattern *p, const block_form *f, const tn_type *depth,
                      const tn_type *middle, const tn_type *space)
{
    const int64_t side = middle->dims[f->sides[0]];
    const tn_dim *m = middle->dims;
    if (depth->rank != 4 || middle->rank != 6 || space->rank != 4 || !tn_dim_known(side) ||
        side < 1 || side > 1024 || m[f->sides[1]] != side)
        return 0;
    return same(depth->dims[0], m[0]) && same(space->dims[0], m[0]) &&
           same(space->dims[1], m[f->channels]) && same(depth->dims[2], m[f->rows]) &&
           same(depth->dims[3], m[f->columns]) &&
           is_multiple(p, depth->dims[1], m[f->channels], side * side) &&
           is_multiple(p, space->dims[2], m[f->rows], side) &&
           is_multiple(p, space->dims[3], m[f->columns], side);
}

static int find(pattern *p, const block_form *f, tn_value_id *x, int64_t *side)
{
    const tn_value_id middle = pattern_node(p, p->root)->inputs[0];
    const tn_node_id before = pattern_maker(p, middle, "Reshape"),
                     behind = pattern_reader(p, p->y, "Reshape");
    if (before == TN_NONE || behind == TN_NONE || pattern_node(p, behind)->inputs[0] != p->y)
        return 0;
    *x = pattern_node(p, before)->inputs[0];
    if (!pattern_take(p, before) || !pattern_follow(p, behind))
        return 0;
    const tn_type *types[3] = { pattern_value(p, *x)->type, pattern_value(p, middle)->type,
                                pattern_value(p, p->y)->type };
    *side = types[1]->rank == 6 ? types[1]->dims[f->sides[0]] : 0;
    return shapes_fit(p, f, types[f->mode ? 0 : 2], types[1], types[f->mode ? 2 : 0]) ||
           pattern_refuse(p, "what is in front and what comes out are not known to be blocks of a "
                             "square");
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const block_form *form = form_of(ctx->api->node(ctx->graph, node));
    pattern p;
    tn_value_id x;
    int64_t side;
    if (!form)
        return TN_NO_MATCH;
    if (!pattern_begin(&p, ctx, node, form->op) || !find(&p, form, &x, &side))
        return pattern_miss(&p);
    const tn_attribute attributes[] = {
        { .size = sizeof *attributes, .type = TN_ATTR_INT, .name = "blocksize", .i = side },
        { .size = sizeof *attributes,
          .type = TN_ATTR_STRING,
          .name = "mode",
          .s = { form->mode, form->mode ? strlen(form->mode) : 0 } }
    };
    return pattern_replace(&p, &x, 1, attributes, form->mode ? 2 : 1);
}

tn_status recognize_depth_to_space_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 61,
                                               .exactness = TN_EXACT,
                                               .name = "recognize_depth_to_space",
                                               .doc = "Reshape, Transpose and Reshape that move "
                                                      "blocks of pixels as one DepthToSpace or "
                                                      "SpaceToDepth.",
                                               .roots = roots,
                                               .match = match });
}
