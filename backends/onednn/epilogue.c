/* epilogue.c: the steps after a node, as the library's post-operations or as stages of their own.
 *
 * First choice: post-operations of the primitive. An Add of a whole tensor becomes a sum: the
 * output starts as that tensor (TN_ALIAS_STARTS_AS), which keeps the fast convolutions; other
 * operands are binary post-operations. Where the library then has no fast code, the builder is
 * asked again with `apart` set, and each step runs in place on the output.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

/* What a step does, in the library's words. */
enum { STEP_FUNCTION, STEP_BINARY };
typedef struct step_kind {
    uint32_t kind;
    dnnl_alg_kind_t alg;
    bool negate; /* the chain is subtracted: -chain + operand */
    onednn_function function;
} step_kind;

static tn_status classify(onednn_builder *b, const tn_step *step, step_kind *out)
{
    memset(out, 0, sizeof *out);
    if (step->node->domain[0] || !onednn_binary_of(step->node->op, &out->alg))
        return onednn_function_of(b->problem, step->node, step->inputs, step->input_count,
                                  &out->function, b->reason, sizeof b->reason);
    out->kind = STEP_BINARY;
    if (out->alg == dnnl_binary_sub && step->chain_input == 1) {
        out->negate = true;
        out->alg = dnnl_binary_add;
    }
    return TN_OK;
}

/* Extents of an operand against the target: ones where it repeats. */
static tn_status operand_dims(onednn_builder *b, const onednn_target *target, const tn_type *type,
                              int64_t *dims)
{
    const int32_t lead = target->rank - type->rank;
    for (int32_t axis = 0; axis < target->rank; axis++)
        dims[axis] = 1;
    if (onednn_count(type) == 1)
        return TN_OK;
    if (target->points) {
        const int64_t columns = type->dims[type->rank - 1], rows = onednn_count(type) / columns;
        if (rows != 1 && columns != 1)
            return onednn_refuse(b, "an operand of an epilogue here is a row or a column");
        dims[1] = columns;
        dims[2] = rows;
        return TN_OK;
    }
    if (target->folded) {
        if (type->dims[type->rank - 1] != onednn_count(type))
            return onednn_refuse(b, "an operand of an epilogue here repeats on all axes but the "
                                    "last");
        dims[target->rank - 1] = onednn_count(type);
        return TN_OK;
    }
    if (lead < 0)
        return onednn_refuse(b, "an operand of an epilogue has rank %d", (int)type->rank);
    for (int32_t axis = 0; axis < type->rank; axis++)
        dims[lead + axis] = type->dims[axis];
    return TN_OK;
}

static tn_status describe_operand(onednn_builder *b, const onednn_target *target,
                                  const tn_step *step, onednn_md *out)
{
    int64_t dims[DNNL_MAX_NDIMS];
    if (step->spread == TN_SPREAD_FULL) {
        b->alternative->input_layouts[step->operand] = target->layout;
        *out = target->md;
        return TN_OK;
    }
    if (target->rank > DNNL_MAX_NDIMS)
        return onednn_refuse(b, "rank is %d", (int)target->rank);
    TN_TRY(operand_dims(b, target, b->problem->inputs[step->operand], dims));
    return onednn_describe(b, target->rank, dims, NULL, out);
}

/* ---- post-operations -------------------------------------------------------------------- */

static tn_status post_operand(onednn_builder *b, dnnl_post_ops_t ops, int32_t operand)
{
    if (b->post_count == ONEDNN_MAX_POSTS)
        return onednn_refuse(b, "an epilogue of more than %d operands", ONEDNN_MAX_POSTS);
    b->posts[b->post_count].argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(dnnl_post_ops_len(ops) - 1) |
                                       DNNL_ARG_SRC_1;
    b->posts[b->post_count++].input = (uint32_t)operand;
    return TN_OK;
}

/* Compiled code keeps one table of constants for each kind of function: oneDNN 2.6.3 computes a
 * second one with the parameters of the first. */
static bool clashes(const_dnnl_post_ops_t ops, const onednn_function *f)
{
    for (int k = 0; k < dnnl_post_ops_len(ops); k++) {
        dnnl_alg_kind_t alg;
        float alpha, beta;
        if (onednn_post_read_eltwise(ops, k, &alg, &alpha, &beta) != dnnl_success)
            continue;
        for (uint32_t j = 0; j < f->count; j++)
            if (f->alg[j] == alg && (f->alpha[j] != alpha || f->beta[j] != beta))
                return true;
    }
    return false;
}

static tn_status post_binary(onednn_builder *b, dnnl_post_ops_t ops, const onednn_target *target,
                             const tn_step *step, const step_kind *kind)
{
    tn_alias *alias = &b->alternative->output_aliases[0];
    onednn_md operand;
    const onednn_function minus = { 1, { dnnl_eltwise_linear }, { -1.0f }, { 0.0f } };
    if (kind->negate && (clashes(ops, &minus) || onednn_post_eltwise(ops, dnnl_eltwise_linear,
                                                                     -1.0f, 0.0f) != dnnl_success))
        return onednn_refuse(b, "oneDNN has no linear post-operation here");
    if (target->sum && kind->alg == dnnl_binary_add && step->spread == TN_SPREAD_FULL &&
        dnnl_post_ops_len(ops) == 0) {
        alias->kind = TN_ALIAS_STARTS_AS;
        alias->input = (uint32_t)step->operand;
        b->alternative->input_layouts[step->operand] = target->layout;
        return onednn_post_sum(ops) == dnnl_success ? TN_OK
                                                    : onednn_refuse(b, "oneDNN has no sum here");
    }
    if (step->spread == TN_SPREAD_FULL && !target->whole)
        return onednn_refuse(b, "a whole tensor as operand of a post-operation");
    if (alias->kind == TN_ALIAS_STARTS_AS) /* 2.6.3: compiled code that crashes */
        return onednn_refuse(b, "a sum beside another operand");
    TN_TRY(describe_operand(b, target, step, &operand));
    if (dnnl_post_ops_append_binary(ops, kind->alg, operand) != dnnl_success)
        return onednn_refuse(b, "oneDNN has no binary post-operation here");
    return post_operand(b, ops, step->operand);
}

static tn_status post_step(onednn_builder *b, dnnl_post_ops_t ops, const onednn_target *target,
                           const tn_step *step)
{
    step_kind kind;
    TN_TRY(classify(b, step, &kind));
    if (kind.kind == STEP_BINARY)
        return post_binary(b, ops, target, step, &kind);
    if (clashes(ops, &kind.function))
        return onednn_refuse(b, "two post-operations of one kind with different parameters");
    for (uint32_t k = 0; k < kind.function.count; k++)
        if (onednn_post_eltwise(ops, kind.function.alg[k], kind.function.alpha[k],
                                kind.function.beta[k]) != dnnl_success)
            return onednn_refuse(b, "oneDNN has no %s post-operation", step->node->op);
    return TN_OK;
}

/* Attributes copy the list, so it can go at once. */
tn_status onednn_epilogue_begin(onednn_builder *b, const onednn_target *target)
{
    const uint32_t steps = b->apart ? 0 : b->problem->step_count;
    dnnl_post_ops_t ops = NULL;
    tn_status status = TN_OK;
    if (steps <= b->done && !target->scaled)
        return TN_OK;
    if (dnnl_post_ops_create(&ops) != dnnl_success)
        return onednn_refuse(b, "oneDNN made no post-operations");
    if (target->scaled &&
        onednn_post_eltwise(ops, dnnl_eltwise_linear, target->scale, 0.0f) != dnnl_success)
        status = onednn_refuse(b, "oneDNN has no linear post-operation");
    for (uint32_t k = b->done; k < steps && status == TN_OK; k++)
        status = post_step(b, ops, target, &b->problem->steps[k]);
    if (status == TN_OK && dnnl_primitive_attr_set_post_ops(b->attr, ops) != dnnl_success)
        status = onednn_refuse(b, "oneDNN refused the post-operations");
    dnnl_post_ops_destroy(ops);
    return status;
}

/* ---- stages of their own ---------------------------------------------------------------- */

/* Adds a stage that computes in place on output 0. */
static tn_status stage_in_place(onednn_builder *b, dnnl_status_t status, onednn_pd desc,
                                int32_t source)
{
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, source, ONEDNN_OUTPUT, 0, 0));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0);
}

static tn_status stage_eltwise(onednn_builder *b, onednn_md md, dnnl_alg_kind_t alg, float alpha,
                               float beta)
{
    onednn_pd desc = NULL;
    const dnnl_status_t status = onednn_eltwise(b->engine, b->attr, alg, alpha, beta, md, &desc);
    return stage_in_place(b, status, desc, DNNL_ARG_SRC);
}

static tn_status stage_step(onednn_builder *b, const onednn_target *target, const tn_step *step)
{
    step_kind kind;
    onednn_pd desc = NULL;
    onednn_md operand;
    dnnl_status_t status;
    TN_TRY(classify(b, step, &kind));
    if (kind.kind == STEP_FUNCTION) {
        for (uint32_t k = 0; k < kind.function.count; k++)
            TN_TRY(stage_eltwise(b, target->md, kind.function.alg[k], kind.function.alpha[k],
                                 kind.function.beta[k]));
        return TN_OK;
    }
    if (target->layout > TN_LAYOUT_CHANNELS_LAST && target->dims[1] % 16)
        return onednn_refuse(b, "binary operations in place on blocks that are not full");
    TN_TRY(describe_operand(b, target, step, &operand));
    if (kind.negate)
        TN_TRY(stage_eltwise(b, target->md, dnnl_eltwise_linear, -1.0f, 0.0f));
    status = onednn_binary(b->engine, b->attr, kind.alg, target->md, operand, target->md, &desc);
    TN_TRY(stage_in_place(b, status, desc, DNNL_ARG_SRC_0));
    return onednn_bind(b, DNNL_ARG_SRC_1, ONEDNN_INPUT, (uint32_t)step->operand, 0);
}

tn_status onednn_epilogue_end(onednn_builder *b, const onednn_target *target)
{
    if (b->apart) {
        TN_TRY(onednn_fresh_attributes(b));
        for (uint32_t k = b->done; k < b->problem->step_count; k++)
            TN_TRY(stage_step(b, target, &b->problem->steps[k]));
        return TN_OK;
    }
    for (uint32_t k = 0; k < b->post_count; k++)
        TN_TRY(onednn_bind(b, b->posts[k].argument, ONEDNN_INPUT, b->posts[k].input, 0));
    return TN_OK;
}
