/* plugins/recognition/clip.c: what is cut off below and above, however it is written: Clip; Min of a Max or
 * Relu; Max of a Min.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

/* Min or Max of a value and a number, which goes where it belongs. */
static tn_value_id read_bound(pattern *p, tn_node_id node, clipped *out)
{
    const tn_node_view *view = pattern_node(p, node);
    double *bound = pattern_is(p, node, "Min") ? &out->high : &out->low;
    for (uint32_t k = 0; view->input_count == 2 && k < 2; k++)
        if (pattern_scalar(p, view->inputs[k], bound))
            return view->inputs[1 - k];
    return TN_NONE;
}

static int read_inner(pattern *p, tn_node_id node, clipped *out)
{
    if (node == TN_NONE || !pattern_take(p, node))
        return 0;
    if (pattern_is(p, node, "Relu")) {
        out->low = 0.0;
        out->of = pattern_node(p, node)->inputs[0];
    } else {
        out->of = read_bound(p, node, out);
    }
    return out->of != TN_NONE;
}

int pattern_clip(pattern *p, clipped *out)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const int is_min = pattern_is(p, p->root, "Min");
    if (pattern_is(p, p->root, "Clip")) {
        out->of = view->inputs[0];
        return view->input_count == 3 && pattern_scalar(p, view->inputs[1], &out->low) &&
               pattern_scalar(p, view->inputs[2], &out->high);
    }
    const tn_value_id inner = read_bound(p, p->root, out);
    tn_node_id node = pattern_maker(p, inner, is_min ? "Max" : "Min");
    if (node == TN_NONE && is_min)
        node = pattern_maker(p, inner, "Relu");
    return read_inner(p, node, out) && out->low < out->high;
}
