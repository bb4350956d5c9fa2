/* tenon/upgrade.h: help for `upgrade` and `expand`, for whoever wants it.
 *
 * In: a node of an old version and the editor (tn_rewrite). Out: the same node in the newer form,
 * with small constants and nodes made in front of it. Everything here is static inline over
 * tenon/plugin.h. The first error is kept in tn_edit.status; what follows it does nothing, so that
 * an upgrade reads as the formula that it writes.
 *
 * An old version is a row of its own: tn_old_version copies the newest row, the caller puts in the
 * old attributes. `upgrade` stands in the newer row. Where only types tell the newer form (ranks, an
 * element type), `upgrade` answers TN_KEEP and the old row has `expand`, which runs after inference;
 * its `infer` then has to be a real one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_UPGRADE_H
#define TENON_UPGRADE_H

#include "tenon/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nodes of set 1 list inputs that the operator may overwrite; that says nothing about values. */
#define TN_CONSUMED_INPUTS                                                                         \
    {                                                                                              \
        "consumed_inputs", TN_ATTR_INTS, 0, 0, 0.0f, 0, NULL, NULL, "Ignored: a hint of set 1."    \
    }

/* ---- rows of old versions --------------------------------------------------------------- */

/* For versions that are always brought up: nothing is inferred before. */
static inline tn_status tn_infer_nothing(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

/* The row of an old version: parameters and attributes of `newest`, nothing of what it does. */
static inline tn_operator_def tn_old_version(const tn_operator_def *newest, uint32_t since,
                                             uint16_t accepts_from)
{
    tn_operator_def old = *newest;
    old.since = since;
    old.accepts_from = accepts_from;
    old.infer = tn_infer_nothing;
    old.identity = NULL;
    old.cost = NULL;
    old.window = NULL;
    old.samplewise = NULL;
    old.pieces = NULL;
    old.body = NULL;
    old.expand = NULL;
    old.upgrade = NULL;
    return old;
}

/* ---- editing ---------------------------------------------------------------------------- */

/* Edits around one node. */
typedef struct tn_edit {
    tn_rewrite *ctx;
    tn_node_id node;
    tn_status status; /* the first error, or TN_OK */
} tn_edit;

static inline tn_edit tn_edit_node(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e;
    e.ctx = ctx;
    e.node = node;
    e.status = TN_OK;
    return e;
}

/* The node as it is now; asked again after each edit. */
static inline const tn_node_view *tn_edit_view(const tn_edit *e)
{
    return e->ctx->api->node(e->ctx->graph, e->node);
}

/* Input k; TN_NONE where it is absent. */
static inline tn_value_id tn_edit_input(const tn_edit *e, uint32_t k)
{
    const tn_node_view *view = tn_edit_view(e);
    return k < view->input_count ? view->inputs[k] : TN_NONE;
}

/* Output k; TN_NONE where it is not wanted. */
static inline tn_value_id tn_edit_output(const tn_edit *e, uint32_t k)
{
    const tn_node_view *view = tn_edit_view(e);
    return k < view->output_count ? view->outputs[k] : TN_NONE;
}

/* What is known of a value's type: before inference what is declared. NULL: nothing. */
static inline const tn_type *tn_edit_type(const tn_edit *e, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : e->ctx->api->value(e->ctx->graph, value);
    return view ? view->type : NULL;
}

/* Keeps the first error. */
static inline void tn_edit_did(tn_edit *e, tn_status status)
{
    if (e->status == TN_OK)
        e->status = status;
}

static inline tn_attribute tn_attribute_of_int(const char *name, int64_t i)
{
    tn_attribute a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.type = TN_ATTR_INT;
    a.name = name;
    a.i = i;
    return a;
}

static inline void tn_edit_set(tn_edit *e, const tn_attribute *attribute)
{
    if (e->status == TN_OK)
        e->status = e->ctx->api->set_attribute(e->ctx->graph, e->node, attribute);
}

static inline void tn_edit_set_int(tn_edit *e, const char *name, int64_t i)
{
    const tn_attribute a = tn_attribute_of_int(name, i);
    tn_edit_set(e, &a);
}

/* Takes an attribute away, if it is there. */
static inline void tn_edit_drop(tn_edit *e, const char *name)
{
    if (e->status == TN_OK && tn_attr(tn_edit_view(e), name))
        e->status = e->ctx->api->drop_attribute(e->ctx->graph, e->node, name);
}

/* Sets input k; those before it that are not there become absent ones. */
static inline void tn_edit_set_input(tn_edit *e, uint32_t k, tn_value_id value)
{
    while (e->status == TN_OK && tn_edit_view(e)->input_count < k)
        e->status = e->ctx->api->set_input(e->ctx->graph, e->node, tn_edit_view(e)->input_count,
                                           TN_NONE);
    if (e->status == TN_OK)
        e->status = e->ctx->api->set_input(e->ctx->graph, e->node, k, value);
}

/* ---- making ----------------------------------------------------------------------------- */

static inline tn_value_id tn_put_constant(tn_edit *e, uint32_t dtype, int32_t rank, int64_t count,
                                          const void *data)
{
    tn_constant_desc desc;
    tn_tensor tensor;
    tn_value_id made = TN_NONE;
    if (e->status != TN_OK)
        return TN_NONE;
    memset(&desc, 0, sizeof desc);
    memset(&tensor, 0, sizeof tensor);
    tensor.size = sizeof tensor;
    tensor.dtype = dtype;
    tensor.rank = rank;
    tensor.dims = &count;
    tensor.data = (void *)(uintptr_t)data;
    tensor.bytes = tn_dtype_bytes(dtype, count);
    desc.size = sizeof desc;
    desc.region = tn_edit_view(e)->region;
    desc.tensor = &tensor;
    desc.value = TN_NONE;
    e->status = e->ctx->api->add_constant(e->ctx->graph, &desc, &made);
    return made;
}

/* A vector of int64. */
static inline tn_value_id tn_put_ints(tn_edit *e, const int64_t *items, int64_t count)
{
    return tn_put_constant(e, TN_INT64, 1, count, items);
}

/* A vector of one int64. */
static inline tn_value_id tn_put_int(tn_edit *e, int64_t item)
{
    return tn_put_constant(e, TN_INT64, 1, 1, &item);
}

/* The integer of a type that is nearest to a number, as tn_set_int takes it; NaN is 0. */
static inline int64_t tn_integer_within(uint32_t dtype, double number)
{
    const int is_signed = tn_dtype_is_signed(dtype);
    const int bits = dtype == TN_BOOL ? 1 : (int)tn_dtype_bits(dtype);
    const double above = ldexp(1.0, bits - is_signed); /* the first too large */
    if (isnan(number))
        return 0;
    if (number >= above)
        return bits - is_signed == 64 ? -1 : (int64_t)((UINT64_C(1) << (bits - is_signed)) - 1);
    if (number < (is_signed ? -above : 0.0))
        return is_signed ? (int64_t)-above : 0;
    return number < 0x1p63 ? (int64_t)number : (int64_t)(uint64_t)number;
}

/* A scalar of a real or integer type; an integer one is truncated and kept within the type. */
static inline tn_value_id tn_put_scalar(tn_edit *e, uint32_t dtype, double number)
{
    uint64_t room[2] = { 0, 0 };
    if (tn_dtype_is_float(dtype))
        tn_set_float(dtype, room, 0, number);
    else
        tn_set_int(dtype, room, 0, tn_integer_within(dtype, number));
    return tn_put_constant(e, dtype, 0, 1, room);
}

/* A node of ai.onnx with one output, in front of the edited one. */
static inline tn_value_id tn_put_node(tn_edit *e, const char *op, const tn_value_id *inputs,
                                      uint32_t input_count, const tn_attribute *attributes,
                                      uint32_t attribute_count)
{
    tn_node_desc desc;
    tn_node_id made = TN_NONE;
    if (e->status != TN_OK)
        return TN_NONE;
    memset(&desc, 0, sizeof desc);
    desc.size = sizeof desc;
    desc.region = tn_edit_view(e)->region;
    desc.op = op;
    desc.inputs = inputs;
    desc.input_count = input_count;
    desc.output_count = 1;
    desc.attributes = attributes;
    desc.attribute_count = attribute_count;
    desc.before = e->node;
    desc.trace = e->node;
    e->status = e->ctx->api->add_node(e->ctx->graph, &desc, &made);
    return e->status == TN_OK ? e->ctx->api->node(e->ctx->graph, made)->outputs[0] : TN_NONE;
}

/* The same of up to three inputs, which end with the last that is not TN_NONE; `attribute` may be
 * NULL. */
static inline tn_value_id tn_put(tn_edit *e, const char *op, tn_value_id a, tn_value_id b,
                                 tn_value_id c, const tn_attribute *attribute)
{
    const tn_value_id inputs[3] = { a, b, c };
    return tn_put_node(e, op, inputs,
                       c != TN_NONE   ? 3
                       : b != TN_NONE ? 2
                       : a != TN_NONE ? 1
                                      : 0,
                       attribute, attribute != NULL);
}

/* The same with an integer attribute. */
static inline tn_value_id tn_put_with(tn_edit *e, const char *op, tn_value_id a, tn_value_id b,
                                      const char *name, int64_t i)
{
    const tn_attribute attribute = tn_attribute_of_int(name, i);
    return tn_put(e, op, a, b, TN_NONE, &attribute);
}

/* Reshape with every extent as written, zeros too. */
static inline tn_value_id tn_put_reshape(tn_edit *e, tn_value_id data, tn_value_id shape)
{
    return tn_put_with(e, "Reshape", data, shape, "allowzero", 1);
}

/* Extents joined to one shape. */
static inline tn_value_id tn_put_join(tn_edit *e, tn_value_id a, tn_value_id b, tn_value_id c)
{
    const tn_attribute axis = tn_attribute_of_int("axis", 0);
    return tn_put(e, "Concat", a, b, c, &axis);
}

/* A vector of as many ones as the vector of one int64 `count` says. */
static inline tn_value_id tn_put_ones(tn_edit *e, tn_value_id count)
{
    const int64_t one = 1, dim = 1;
    tn_attribute value;
    tn_tensor tensor;
    memset(&value, 0, sizeof value);
    memset(&tensor, 0, sizeof tensor);
    tensor.size = sizeof tensor;
    tensor.dtype = TN_INT64;
    tensor.rank = 1;
    tensor.dims = &dim;
    tensor.data = (void *)(uintptr_t)&one;
    tensor.bytes = sizeof one;
    value.size = sizeof value;
    value.type = TN_ATTR_TENSOR;
    value.name = "value";
    value.count = 1;
    value.tensors = &tensor;
    return tn_put(e, "ConstantOfShape", count, TN_NONE, TN_NONE, &value);
}

/* A scalar of the element type of `like`, converted when running where that is not known yet. */
static inline tn_value_id tn_put_scalar_like(tn_edit *e, double number, tn_value_id like)
{
    const tn_type *type = tn_edit_type(e, like);
    if (type && type->dtype != TN_UNDEFINED)
        return tn_put_scalar(e, type->dtype, number);
    return tn_put(e, "CastLike", tn_put_scalar(e, TN_FLOAT32, number), like, TN_NONE, NULL);
}

/* ---- whole upgrades --------------------------------------------------------------------- */

/* A list of integers that became input k. */
static inline void tn_edit_ints_to_input(tn_edit *e, const char *name, uint32_t k)
{
    const int64_t *items;
    const size_t count = tn_attr_ints(tn_edit_view(e), name, &items);
    if (!tn_attr(tn_edit_view(e), name))
        return;
    tn_edit_set_input(e, k, tn_put_ints(e, items, (int64_t)count));
    tn_edit_drop(e, name);
}

/* `value` takes the place of output 0; the node goes when no other output is read. */
static inline tn_status tn_edit_give(tn_edit *e, tn_value_id value)
{
    if (e->status == TN_OK)
        e->status = e->ctx->api->replace(e->ctx->graph, tn_edit_output(e, 0), value);
    if (e->status == TN_OK)
        e->status = e->ctx->api->remove_node(e->ctx->graph, e->node);
    return e->status;
}

/* For expand: the edited node is of the newest version from here on. The last edit. */
static inline tn_status tn_edit_renew(tn_edit *e)
{
    const tn_node_view *view = tn_edit_view(e);
    if (e->status == TN_OK)
        e->status = e->ctx->api->set_operator(e->ctx->graph, e->node, view->domain, view->op);
    return e->status;
}

/* `upgrade` of rows whose version of set 1 had only that hint more. */
static inline tn_status tn_upgrade_consumed(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_drop(&e, "consumed_inputs");
    return e.status;
}

#ifdef __cplusplus
}
#endif
#endif
