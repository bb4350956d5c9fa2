/* What the host does for an operator that infers: complaints, known values, dimensions,
 * broadcasting, bodies.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"
#include "tenon/kernel.h"

static node_call *room(tn_call *call)
{
    return tn_frame_of(call)->room;
}

static const char *param_name(const node_call *c, uint32_t where, uint32_t index)
{
    const tn_operator_def *def = &c->op->def;
    const tn_param_def *param = where == TN_WHERE_INPUT
                                    ? param_of(def->inputs, def->input_count, index)
                                    : param_of(def->outputs, def->output_count, index);
    return param ? param->name : "";
}

static void complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                     const char *name, const char *format, ...) TN_PRINTF(6, 7);
static void complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                     const char *name, const char *format, ...)
{
    node_call *c = room(call);
    char text[512], part[96] = "";
    const char *about = name;
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    if (where == TN_WHERE_INPUT || where == TN_WHERE_OUTPUT) {
        snprintf(part, sizeof part, "/%s/%u", where == TN_WHERE_INPUT ? "inputs" : "outputs",
                 index);
        about = param_name(c, where, index);
    } else if (where == TN_WHERE_ATTRIBUTE && name) {
        snprintf(part, sizeof part, "/attributes/%s", name);
    }
    driver_complain(c->d, c->node, status == TN_OK ? TN_ERR_SHAPE : status, TN_SEVERITY_ERROR, part,
                    about, NULL, text);
    c->complained = true;
}

/* ---- values ----------------------------------------------------------------------------------------- */

static const tn_tensor *input_value(tn_call *call, uint32_t k)
{
    const node_call *c = room(call);
    if (k >= c->ctx.input_count || c->ctx.node->inputs[k] == TN_NONE)
        return NULL;
    if (c->values && c->values[k])
        return c->values[k]->kind ? NULL : c->values[k];
    const tn_value_id value = c->ctx.node->inputs[k];
    if (c->d->shapes && c->d->shapes->values[tn_slot_of(value)])
        return c->d->shapes->values[tn_slot_of(value)];
    const tn_value_view *view = tn_graph_value(c->d->graph, value);
    return view->is_input ? NULL : view->constant;
}

static int64_t elements_of(const tn_tensor *tensor, tn_dim *out, int64_t capacity)
{
    const int64_t count = tn_count(tensor);
    if ((tensor->dtype != TN_INT64 && tensor->dtype != TN_INT32) || count > MAX_ELEMENTS)
        return -1;
    for (int64_t k = 0; k < count && k < capacity; k++) {
        const int64_t number = tn_get_int(tensor->dtype, tensor->data, k);
        out[k] = number > TN_DIM_LOWEST ? number : TN_DIM_UNKNOWN; /* below are handles */
    }
    return count;
}

static int64_t input_elements(tn_call *call, uint32_t k, tn_dim *out, int64_t capacity)
{
    const node_call *c = room(call);
    const tn_tensor *tensor = input_value(call, k);
    const tn_dim *known;
    if (tensor)
        return elements_of(tensor, out, capacity);
    if (k >= c->ctx.input_count || c->ctx.node->inputs[k] == TN_NONE || c->values)
        return -1;
    const int64_t count = driver_elements(c->d, c->ctx.node->inputs[k], &known);
    for (int64_t i = 0; i < count && i < capacity; i++)
        out[i] = known[i];
    return count;
}

static tn_status output_elements(tn_call *call, uint32_t k, const tn_dim *elements, int64_t count)
{
    node_call *c = room(call);
    if (k >= c->ctx.output_count || count < 0 || count > MAX_ELEMENTS)
        return TN_OK; /* too many to be a shape: nothing is told */
    c->elements[k].count = count;
    if (count)
        memcpy(c->elements[k].items, elements, (size_t)count * sizeof *elements);
    return TN_OK;
}

/* ---- dimensions ----------------------------------------------------------------------------------------- */

static tn_dim dim_op(tn_call *call, uint32_t op, tn_dim a, tn_dim b)
{
    return tn_dim_op(tn_graph_dims(room(call)->d->graph), op, a, b);
}

static uint32_t dim_equal(tn_call *call, tn_dim a, tn_dim b)
{
    return tn_dim_equal(tn_graph_dims(room(call)->d->graph), a, b);
}

/* One axis of a broadcast: 1 gives way; a number beats what is not known, for at run time that is
 * either the number or 1. False: the two never fit. */
static bool broadcast_dim(tn_dims *dims, tn_dim a, tn_dim b, tn_dim *out)
{
    *out = a;
    if (a == b || b == 1)
        return true;
    *out = b;
    if (a == 1)
        return true;
    const bool a_known = tn_dim_known(a), b_known = tn_dim_known(b);
    if (a_known && b_known)
        return false;
    if (a_known || b_known)
        *out = a_known ? a : b;
    else if (tn_dim_equal(dims, a, b) != TN_YES)
        *out = TN_DIM_UNKNOWN;
    return true;
}

static tn_status broadcast(tn_call *call, const tn_type *const *types, uint32_t count, tn_type *out)
{
    node_call *c = room(call);
    tn_dims *dims = tn_graph_dims(c->d->graph);
    int32_t rank = 0;
    for (uint32_t k = 0; k < count; k++) {
        if (!types[k] || types[k]->rank < 0) {
            out->rank = -1;
            return TN_OK;
        }
        rank = types[k]->rank > rank ? types[k]->rank : rank;
    }
    out->rank = rank;
    for (int32_t axis = 0; axis < rank; axis++) {
        tn_dim dim = 1;
        for (uint32_t k = 0; k < count; k++) {
            const int32_t own = axis - (rank - types[k]->rank);
            if (own < 0 || broadcast_dim(dims, dim, types[k]->dims[own], &dim))
                continue;
            tn_builder text = { 0 };
            tn_add(&text, "shapes ");
            for (uint32_t j = 0; j <= k; j++) {
                tn_add(&text, j == 0 ? "" : j == k ? " and " : ", ");
                tn_add_shape(&text, dims, types[j]->rank, types[j]->dims);
            }
            tn_add(
                &text,
                " do not broadcast: extents on axis %d, counted from the last, differ and are not 1",
                axis - rank);
            complain(call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL, "%s", tn_builder_text(&text));
            tn_builder_fini(&text);
            return TN_ERR_SHAPE;
        }
        out->dims[axis] = dim;
    }
    return TN_OK;
}

/* ---- bodies ------------------------------------------------------------------------------------------------ */

/* What the owner says of a body's input, over what the body declares. Said `again` in one call of
 * infer, a rank that is not known takes back one that the first time made known. */
static void give_input(driver *d, tn_value_id value, const tn_type *given, bool again)
{
    tn_type type = *driver_type(d, value);
    if (!given)
        return;
    if (given->dtype)
        type.dtype = given->dtype;
    if (given->kind)
        type.kind = given->kind;
    if (given->rank >= 0) {
        type.rank = given->rank;
        memcpy(type.dims, given->dims, sizeof type.dims);
    } else if (d->shapes || again) {
        type.rank = -1;
    }
    type.flags = 0;
    if (d->shapes)
        d->shapes->types[tn_slot_of(value)] = type;
    else
        (void)tn_graph_set_type(d->graph, value, &type);
}

/* While binding, a body whose shapes do not fit is a branch that may not be taken: nothing is known
 * of its outputs, and whoever runs it is told then. */
static tn_status infer_body(driver *d, tn_region_id region, bool *fits)
{
    tn_diagnostics *aside = NULL;
    const tn_status before = d->status;
    tn_diagnostics *const kept = d->diagnostics;
    if (!d->shapes || d->strict) {
        /* The walk sees to all readers inside; types on the way to a fixpoint are no news. */
        void *const changed = d->changed;
        d->changed = NULL;
        const tn_status inside = driver_region(d, region);
        d->changed = changed;
        return inside;
    }
    TN_TRY(tn_diagnostics_create(&aside));
    d->diagnostics = aside;
    d->status = TN_OK;
    const tn_status status = driver_region(d, region);
    *fits = d->status == TN_OK;
    d->status = before;
    d->diagnostics = kept;
    tn_diagnostics_destroy(aside);
    return status;
}

static tn_status infer_region(tn_call *call, const char *attribute, const tn_type *const *inputs,
                              uint32_t input_count, tn_type *outputs, uint32_t output_count)
{
    node_call *c = room(call);
    const tn_attribute *found = tn_attr(c->ctx.node, attribute);
    const tn_value_id *ids;
    if (!found || found->type != TN_ATTR_GRAPH)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_ATTRIBUTE, "attribute '%s' is no graph",
                             attribute);
    const tn_region_id region = found->regions[0];
    uint32_t count = tn_graph_region_inputs(c->d->graph, region, &ids);
    if (count != input_count)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_SHAPE,
                             "body '%s' takes %u inputs, but gets %u", attribute, count,
                             input_count);
    const size_t at = (size_t)(found - c->ctx.node->attributes);
    const uint64_t done = at < 64 ? UINT64_C(1) << at : 0;
    for (uint32_t k = 0; k < count; k++)
        give_input(c->d, ids[k], inputs[k], c->bodies_done & done);
    bool fits = true;
    TN_TRY(infer_body(c->d, region, &fits));
    c->bodies_done |= done;
    count = tn_graph_region_outputs(c->d->graph, region, &ids);
    if (count != output_count)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_SHAPE,
                             "body '%s' has %u outputs, expected %u", attribute, count,
                             output_count);
    for (uint32_t k = 0; k < count; k++) {
        outputs[k] = fits ? *driver_type(c->d, ids[k]) : *tn_graph_look(c->d->graph, ids[k])->type;
        outputs[k].flags = 0;
        if (!fits || (c->d->poisoned && c->d->poisoned[tn_slot_of(ids[k])]))
            outputs[k].rank = -1;
    }
    return TN_OK;
}

const tn_host tn_infer_host = {
    .complain = complain,
    .input_value = input_value,
    .input_elements = input_elements,
    .output_elements = output_elements,
    .infer_region = infer_region,
    .dim_op = dim_op,
    .dim_equal = dim_equal,
    .broadcast = broadcast,
};
