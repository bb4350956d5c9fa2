/* engine/compile/pass_fold.c: fold_constants: what can be computed now.
 *
 * A node becomes constants when all its inputs are, or when inference knows every element that it
 * would write (Shape of a static shape). Not: defaults that a run may override, operators that are
 * not deterministic, that act, that run bodies, and results beyond limits.folded_bytes. A node that
 * cannot be computed (an index out of range) stays, to fail when it is run.
 *
 * Computed by the reference kernels (options.evaluate), as a run on `reference` would: another
 * backend may round a sum otherwise, hence rounding and not exact.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

enum { FEW = 16 };
#define FOLDED_BYTES (UINT64_C(64) << 20)

static uint64_t limit_of(const tn_manager *manager)
{
    return manager->options->limits.folded_bytes ? manager->options->limits.folded_bytes
                                                 : FOLDED_BYTES;
}

static bool may_fold(const tn_operator *op)
{
    return op && !(op->def.traits & (TN_NONDETERMINISTIC | TN_SIDE_EFFECT | TN_REGIONS));
}

/* Some output is read, every one that is read is a tensor, and none is known to be too large. */
static bool is_worth_it(const tn_manager *manager, const tn_node_view *view, bool *too_large)
{
    bool any = false;
    for (uint32_t k = 0; k < view->output_count; k++) {
        const tn_value_view *value = view->outputs[k] == TN_NONE
                                         ? NULL
                                         : tn_graph_value(manager->graph, view->outputs[k]);
        size_t bytes = 0;
        if (!value || !tn_pass_is_read(value))
            continue;
        if (value->type->kind != TN_TENSOR)
            return false;
        if (tn_type_is_known(value->type) && (tn_shape_bytes(value->type->dtype, value->type->rank,
                                                             value->type->dims, &bytes) != TN_OK ||
                                              bytes > limit_of(manager)))
            *too_large = true;
        any = true;
    }
    return any;
}

/* ---- shapes that inference knows --------------------------------------------------------- */

static bool is_spelled_out(const tn_graph *graph, tn_value_id id)
{
    const tn_value_view *value = tn_graph_value(graph, id);
    const tn_type *type = value->type;
    const tn_dim *elements;
    const int64_t count = tn_graph_elements(graph, id, &elements);
    int64_t expected;
    if (count < 0 || type->kind != TN_TENSOR ||
        (type->dtype != TN_INT64 && type->dtype != TN_INT32) || !tn_type_is_known(type) ||
        tn_shape_count(type->rank, type->dims, &expected) != TN_OK || expected != count)
        return false;
    for (int64_t k = 0; k < count; k++)
        if (!tn_dim_known(elements[k]) ||
            (type->dtype == TN_INT32 && (elements[k] < INT32_MIN || elements[k] > INT32_MAX)))
            return false;
    return true;
}

static bool all_spelled_out(const tn_graph *graph, const tn_node_view *view)
{
    for (uint32_t k = 0; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE &&
            tn_pass_is_read(tn_graph_value(graph, view->outputs[k])) &&
            !is_spelled_out(graph, view->outputs[k]))
            return false;
    return true;
}

static tn_status spell_out(const tn_graph *graph, tn_value_id id, tn_constant **out)
{
    const tn_type *type = tn_graph_value(graph, id)->type;
    const tn_dim *elements;
    const int64_t count = tn_graph_elements(graph, id, &elements);
    const size_t width = type->dtype == TN_INT64 ? sizeof(int64_t) : sizeof(int32_t);
    unsigned char *data = tn_alloc((size_t)count, width);
    tn_tensor tensor = { .size = sizeof tensor,
                         .dtype = type->dtype,
                         .rank = type->rank,
                         .dims = type->dims,
                         .data = data,
                         .bytes = (size_t)count * width };
    tn_status status;
    if (!data)
        return tn_raise_memory();
    for (int64_t k = 0; k < count; k++) {
        const int32_t narrow = (int32_t)(width == 4 ? elements[k] : 0);
        memcpy(data + (size_t)k * width,
               width == 4 ? (const void *)&narrow : (const void *)&elements[k], width);
    }
    status = tn_constant_create(&tensor, NULL, out);
    tn_free(data);
    return status;
}

static tn_status spell_all_out(const tn_graph *graph, const tn_node_view *view, tn_constant **out)
{
    for (uint32_t k = 0; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE && tn_pass_is_read(tn_graph_value(graph, view->outputs[k])))
            TN_TRY(spell_out(graph, view->outputs[k], &out[k]));
    return TN_OK;
}

/* ---- values that a kernel computes ------------------------------------------------------- */

static bool all_constant(const tn_graph *graph, const tn_node_view *view)
{
    for (uint32_t k = 0; k < view->input_count; k++)
        if (view->inputs[k] != TN_NONE && !tn_pass_constant(tn_graph_value(graph, view->inputs[k])))
            return false;
    return true;
}

static tn_status evaluate(tn_rewrite *ctx, tn_node_id node, const tn_node_view *view,
                          tn_constant **out)
{
    const tn_passes_options *options = tn_pass_manager(ctx)->options;
    const tn_tensor *few[FEW], **inputs = few;
    tn_status status;
    if (view->input_count > FEW && !(inputs = tn_alloc(view->input_count, sizeof *inputs)))
        return tn_raise_memory();
    for (uint32_t k = 0; k < view->input_count; k++)
        inputs[k] = view->inputs[k] == TN_NONE
                        ? NULL
                        : tn_graph_value(ctx->graph, view->inputs[k])->constant;
    status = options->evaluate(options->user, ctx->graph, node, inputs, out);
    if (inputs != few)
        tn_free(inputs);
    return status;
}

/* What came out is what inference promised: dtype, and no more bytes than allowed. */
static tn_status check(tn_rewrite *ctx, const tn_node_view *view, tn_constant *const *constants)
{
    for (uint32_t k = 0; k < view->output_count; k++) {
        const tn_value_view *value = view->outputs[k] == TN_NONE
                                         ? NULL
                                         : tn_graph_value(ctx->graph, view->outputs[k]);
        if (!value || !tn_pass_is_read(value))
            continue;
        if (!constants[k] ||
            (value->type->dtype && value->type->dtype != constants[k]->tensor.dtype))
            return tn_pass_say(ctx, TN_ERR_INTERNAL, "evaluation gives '%s' as %s, inference as %s",
                               value->name,
                               constants[k] ? tn_dtype_name(constants[k]->tensor.dtype) : "nothing",
                               tn_dtype_name(value->type->dtype));
        if (constants[k]->tensor.bytes > limit_of(tn_pass_manager(ctx)))
            return tn_pass_say(
                ctx, TN_NO_MATCH,
                "%s: not folded: '%s' has %zu bytes, more than limits.folded_bytes allows",
                view->name, value->name, constants[k]->tensor.bytes);
    }
    return TN_OK;
}

/* ---- the rewrite ------------------------------------------------------------------------- */

/* The constant takes the place of the output and, once the node is gone, its name. */
static tn_status put(tn_graph *graph, tn_node_id node, tn_constant *const *constants)
{
    const tn_node_view *view = tn_graph_node(graph, node);
    const uint32_t count = view->output_count;
    tn_value_id few[FEW], *made = few;
    char **names = tn_alloc(count, sizeof *names);
    tn_status status = names ? TN_OK : tn_raise_memory();
    if (count > FEW && !(made = tn_alloc(count, sizeof *made))) {
        tn_free(names);
        return tn_raise_memory();
    }
    for (uint32_t k = 0; status == TN_OK && k < count; k++) {
        const tn_value_id old = tn_graph_node(graph, node)->outputs[k];
        if (!constants[k] || old == TN_NONE || !tn_pass_is_read(tn_graph_value(graph, old)))
            continue;
        names[k] = tn_strdup(tn_graph_value(graph, old)->name);
        status = names[k] ? tn_graph_new_constant(graph, tn_graph_node(graph, node)->region, NULL,
                                                  constants[k], &made[k])
                          : tn_raise_memory();
        if (status == TN_OK)
            status = tn_graph_replace(graph, old, made[k]);
    }
    if (status == TN_OK)
        status = tn_graph_remove_node(graph, node);
    for (uint32_t k = 0; k < count && names; k++) {
        if (status == TN_OK && names[k])
            status = tn_graph_rename_value(graph, made[k], names[k]);
        tn_free(names[k]);
    }
    tn_free(names);
    if (made != few)
        tn_free(made);
    return status;
}

static tn_status fold(tn_rewrite *ctx, tn_node_id node, bool compute, tn_constant **constants)
{
    const tn_node_view *view = tn_graph_node(ctx->graph, node);
    if (!compute) {
        TN_TRY(spell_all_out(ctx->graph, view, constants));
        tn_pass_say(ctx, TN_OK, "%s (%s) folded: its shape is known", view->name, view->op);
    } else {
        const tn_status status = evaluate(ctx, node, view, constants);
        if (status != TN_OK)
            return tn_pass_say(ctx, TN_NO_MATCH, "%s: not folded: %s", view->name,
                               tn_error_message());
        TN_TRY(check(ctx, view, constants));
        tn_pass_say(ctx, TN_OK, "%s (%s) folded", view->name, view->op);
    }
    return put(ctx->graph, node, constants);
}

tn_status tn_match_constant(tn_rewrite *ctx, tn_node_id node)
{
    const tn_manager *manager = tn_pass_manager(ctx);
    const tn_node_view *view = tn_graph_node(ctx->graph, node);
    const uint32_t count = view->output_count;
    bool too_large = false, compute;
    tn_constant *few[FEW] = { 0 }, **constants = few;
    tn_status status;
    if (!manager->options->evaluate || !may_fold(tn_operator_of(ctx->graph, node)) ||
        !is_worth_it(manager, view, &too_large))
        return TN_NO_MATCH;
    compute = !all_spelled_out(ctx->graph, view);
    if (compute && !all_constant(ctx->graph, view))
        return TN_NO_MATCH;
    if (too_large)
        return tn_pass_say(
            ctx, TN_NO_MATCH,
            "%s: not folded: an output has more bytes than limits.folded_bytes allows", view->name);
    if (count > FEW && !(constants = tn_alloc(count, sizeof *constants)))
        return tn_raise_memory();
    status = fold(ctx, node, compute, constants);
    for (uint32_t k = 0; k < count; k++)
        if (constants[k])
            tn_constant_unref(constants[k]);
    if (constants != few)
        tn_free(constants);
    return status;
}
