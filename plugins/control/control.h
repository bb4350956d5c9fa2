/* plugins/control/control.h: what the files of this folder share.
 *
 * Each operator here runs a body: it infers with host->infer_region and runs with
 * host->run_region, which lends the body its inputs and gives out handles that are released, or
 * moved on by output_set. What bodies read from outside is the host's business.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_CONTROL_H
#define TENON_PLUGINS_CONTROL_H

#include "tenon/kernel.h"

/* Inference keeps the types of a body's outputs on the stack, once for each level of nesting. */
enum { CONTROL_MOST = 256 };

#define CONTROL_ANY_KIND (TN_PARAM_SEQUENCE | TN_PARAM_OPTIONAL_TYPE)

/* ---- inference ----------------------------------------------------------------------------- */

/* Complains and answers 0 when a node has more inputs or outputs than inference has room for. */
int control_fits(tn_infer *ctx);
/* A scalar of one type. */
tn_type control_scalar(uint32_t dtype);
/* Narrows `type` to what holds for `other` too; answers whether that took something away. */
int control_unite(tn_infer *ctx, tn_type *type, const tn_type *other);
/* Complains and answers 0 when what comes out of a body cannot take the place of what went in:
 * another element type, or kind of value; but a bare value may stand for an optional. `k` counts
 * the node's outputs. */
int control_same_kind(tn_infer *ctx, uint32_t k, const char *what, const tn_type *in,
                      const tn_type *out);
/* Takes axis `axis` out of a shape, or puts one in; unknown ranks stay unknown. */
void control_drop_axis(tn_type *type, int32_t axis);
void control_add_axis(tn_type *type, int32_t axis, tn_dim extent);
/* A shape that is not wholly known is told by running only. */
void control_mark_late(tn_type *type);
/* Runs a body's inference over its state until the types of the state no longer change. In:
 * in[first … first + count) are the state's types, which lie in ctx->outputs[0 … count); made has
 * room for out_count types, of which those of the state begin at made_first. */
tn_status control_settle(tn_infer *ctx, const tn_type *const *in, uint32_t in_count, uint32_t count,
                         tn_type *made, uint32_t out_count, uint32_t made_first);
/* Bodies are costed by their own nodes. */
tn_status control_cost(tn_infer *ctx, tn_cost *out);

/* ---- kernels ------------------------------------------------------------------------------- */

/* Scratch of a run: handles that go into a body and come out of it. */
tn_status control_measure(tn_measure *ctx, void *state);
typedef struct control_room {
    const tn_tensor **in, **out;
} control_room;
control_room control_room_of(const tn_run *ctx);
/* Input k, or NULL. */
static inline const tn_tensor *control_given(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
/* The truth of a condition of one element; `what` names it in the complaint. */
tn_status control_truth(tn_run *ctx, const tn_tensor *cond, const char *what, int *out);
/* A scalar of the host's, owned. */
tn_status control_number(tn_run *ctx, uint32_t dtype, int64_t value, const tn_tensor **out);
/* Gives back `count` handles, NULLs aside, and forgets them. */
void control_release(tn_run *ctx, const tn_tensor **handles, uint32_t count);

/* SequenceMap as a Loop: its `expand`. */
tn_status sequence_map_write(tn_rewrite *ctx, tn_node_id node);

/* ---- files --------------------------------------------------------------------------------- */

tn_status if_register(tn_registrar *registrar);
tn_status loop_register(tn_registrar *registrar);
tn_status scan_register(tn_registrar *registrar);
tn_status scan_8_register(tn_registrar *registrar);
tn_status sequence_map_register(tn_registrar *registrar);

#endif
