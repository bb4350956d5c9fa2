/* plugins/control/scan.c: a body over the slices of tensors.
 *
 * ONNX: Scan, since version 9. The body takes N state values and a slice of each of M scan inputs;
 * it gives the next state and K elements of scan outputs. Each scan input is cut along an axis of
 * its own, forwards or backwards; each scan output is joined along one, by appending or prepending.
 * (Version 8, which had a batch, is in scan_8.c.)
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

/* What the attributes say of input or output k of the scans; `otherwise` where they are silent. */
static int64_t scan_attribute(const tn_node_view *node, const char *name, uint32_t k)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list);
    return k < count ? list[k] : 0;
}

/* ---- inference -------------------------------------------------------------------------- */

static int check_list(tn_infer *ctx, const char *name, uint32_t expected, int is_direction)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(ctx->node, name, &list);
    if (count && count != expected) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s has %zu elements: expected %u, one for each", name, count,
                                 (unsigned)expected);
        return 0;
    }
    for (size_t k = 0; k < count && is_direction; k++) {
        if (list[k] == 0 || list[k] == 1)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s[%zu] is %lld: expected 0 (forwards) or 1 (backwards)", name, k,
                                 (long long)list[k]);
        return 0;
    }
    return 1;
}

/* The number of state values, or -1 with a complaint. */
static int64_t check_counts(tn_infer *ctx)
{
    const int64_t scans = tn_attr_int(ctx->node, "num_scan_inputs", 0);
    if (scans < 1 || scans > ctx->input_count) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "num_scan_inputs", "num_scan_inputs is %lld: expected 1 to %u",
                                 (long long)scans, (unsigned)ctx->input_count);
        return -1;
    }
    const uint32_t state = ctx->input_count - (uint32_t)scans;
    if (ctx->output_count < state) {
        ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                                 "%u outputs for %u state values: expected one for each",
                                 (unsigned)ctx->output_count, (unsigned)state);
        return -1;
    }
    const uint32_t outputs = ctx->output_count - state;
    const int fine = check_list(ctx, "scan_input_axes", (uint32_t)scans, 0) &&
                     check_list(ctx, "scan_input_directions", (uint32_t)scans, 1) &&
                     check_list(ctx, "scan_output_axes", outputs, 0) &&
                     check_list(ctx, "scan_output_directions", outputs, 1);
    return fine ? (int64_t)state : -1;
}

/* A slice's type; 0 with a complaint where the axis is outside, or the lengths differ. */
static int slice_type(tn_infer *ctx, uint32_t k, uint32_t first, tn_type *slice, tn_dim *length)
{
    const int64_t named = scan_attribute(ctx->node, "scan_input_axes", k - first);
    const tn_type *input = ctx->inputs[k];
    *slice = *input;
    if (input->rank < 0)
        return 1;
    const int32_t axis = tn_axis(named, input->rank);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "scan_input_axes",
                                 "scan_input_axes[%u] is %lld, outside [%d, %d) of a scan input of "
                                 "rank %d",
                                 (unsigned)(k - first), (long long)named, -(int)input->rank,
                                 (int)input->rank, (int)input->rank);
        return 0;
    }
    const tn_dim own = input->dims[axis];
    control_drop_axis(slice, axis);
    if (*length != TN_DIM_UNKNOWN && own != TN_DIM_UNKNOWN &&
        ctx->call.host->dim_equal(&ctx->call, own, *length) == TN_NO) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "scan input %u has another length along its axis %d than the scan "
                                 "inputs before it",
                                 (unsigned)(k - first), (int)axis);
        return 0;
    }
    if (*length == TN_DIM_UNKNOWN || (!tn_dim_known(*length) && tn_dim_known(own)))
        *length = own;
    return 1;
}

static int join_type(tn_infer *ctx, uint32_t k, uint32_t first, const tn_type *element,
                     tn_dim length)
{
    const int64_t named = scan_attribute(ctx->node, "scan_output_axes", k - first);
    tn_type *out = &ctx->outputs[k];
    *out = *element;
    if (element->kind) {
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                 "scan output %u is no tensor: only tensors can be joined",
                                 (unsigned)(k - first));
        return 0;
    }
    if (element->rank < 0)
        return 1;
    const int32_t axis = tn_axis(named, element->rank + 1);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "scan_output_axes",
                                 "scan_output_axes[%u] is %lld, outside [%d, %d) of a scan output "
                                 "of rank %d",
                                 (unsigned)(k - first), (long long)named, -(int)element->rank - 1,
                                 (int)element->rank + 1, (int)element->rank + 1);
        return 0;
    }
    control_add_axis(out, axis, length);
    return 1;
}

static tn_status infer(tn_infer *ctx)
{
    tn_type made[CONTROL_MOST], slices[CONTROL_MOST];
    const tn_type *in[CONTROL_MOST];
    tn_dim length = TN_DIM_UNKNOWN;
    if (!control_fits(ctx))
        return TN_OK;
    const int64_t counted = check_counts(ctx);
    if (counted < 0)
        return TN_OK;
    const uint32_t state = (uint32_t)counted;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        if (!ctx->inputs[k])
            return tn_fail(ctx, TN_ERR_FORMAT, "input %u is absent", (unsigned)k);
        in[k] = k < state ? &ctx->outputs[k] : &slices[k];
        if (k < state)
            ctx->outputs[k] = *ctx->inputs[k];
        else if (!slice_type(ctx, k, state, &slices[k], &length))
            return TN_OK;
    }
    TN_TRY(control_settle(ctx, in, ctx->input_count, state, made, ctx->output_count, 0));
    for (uint32_t k = state; k < ctx->output_count; k++)
        if (!join_type(ctx, k, state, &made[k], length))
            return TN_OK;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        control_mark_late(&ctx->outputs[k]);
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct scan {
    tn_run *ctx;
    control_room room;
    uint32_t state, inputs, outputs; /* how many values of state, scan inputs, scan outputs */
    int64_t length;
    int owned; /* the state is a result of a trip, not the node's input */
} scan;

static tn_status measure_length(scan *s)
{
    for (uint32_t k = 0; k < s->inputs; k++) {
        const tn_tensor *input = s->ctx->inputs[s->state + k];
        const int32_t axis = tn_axis(scan_attribute(s->ctx->node, "scan_input_axes", k),
                                     input->rank);
        if (axis < 0)
            return tn_fail(s->ctx, TN_ERR_ATTRIBUTE,
                           "scan_input_axes[%u] is outside a scan input of rank %d", (unsigned)k,
                           (int)input->rank);
        if (k && input->dims[axis] != s->length)
            return tn_fail(s->ctx, TN_ERR_SHAPE,
                           "scan input %u has %lld slices: expected %lld as those before it",
                           (unsigned)k, (long long)input->dims[axis], (long long)s->length);
        s->length = input->dims[axis];
    }
    return TN_OK;
}

static tn_status cut(scan *s, int64_t trip)
{
    for (uint32_t k = 0; k < s->inputs; k++) {
        const tn_tensor *input = s->ctx->inputs[s->state + k];
        const int32_t axis = tn_axis(scan_attribute(s->ctx->node, "scan_input_axes", k),
                                     input->rank);
        const int back = scan_attribute(s->ctx->node, "scan_input_directions", k) == 1;
        TN_TRY(s->ctx->call.host->value_slice(&s->ctx->call, input, axis,
                                              back ? s->length - 1 - trip : trip,
                                              &s->room.in[s->state + k]));
    }
    return TN_OK;
}

static tn_status push(scan *s)
{
    tn_status status = TN_OK;
    for (uint32_t k = 0; k < s->outputs && status == TN_OK; k++) {
        const int64_t axis = scan_attribute(s->ctx->node, "scan_output_axes", k);
        const int64_t front = scan_attribute(s->ctx->node, "scan_output_directions", k);
        if (s->ctx->outputs[s->state + k])
            status = s->ctx->call.host->list_push(
                &s->ctx->call, s->state + k, s->room.out[s->state + k], (int32_t)axis, front == 1);
    }
    control_release(s->ctx, s->room.out + s->state, s->outputs);
    return status;
}

static tn_status run_trip(scan *s, int64_t trip)
{
    tn_status status = cut(s, trip);
    if (status == TN_OK)
        status = s->ctx->call.host->run_region(&s->ctx->call, "body", s->room.in,
                                               s->state + s->inputs, s->room.out,
                                               s->state + s->outputs);
    control_release(s->ctx, s->room.in + s->state, s->inputs);
    TN_TRY(status);
    if (s->owned)
        control_release(s->ctx, s->room.in, s->state);
    for (uint32_t k = 0; k < s->state; k++)
        s->room.in[k] = s->room.out[k];
    s->owned = 1;
    return push(s);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    scan s = { .ctx = ctx,
               .room = control_room_of(ctx),
               .inputs = (uint32_t)tn_attr_int(ctx->node, "num_scan_inputs", 0) };
    tn_status status = TN_OK;
    (void)state, (void)slot;
    s.state = ctx->input_count - s.inputs;
    s.outputs = ctx->output_count - s.state;
    TN_TRY(measure_length(&s));
    for (uint32_t k = 0; k < s.state; k++)
        s.room.in[k] = ctx->inputs[k];
    for (int64_t trip = 0; trip < s.length && status == TN_OK; trip++)
        status = ctx->call.host->cancelled(&ctx->call) ? TN_ERR_CANCELLED : run_trip(&s, trip);
    for (uint32_t k = 0; k < s.state && status == TN_OK; k++)
        if (ctx->outputs[k])
            status = ctx->call.host->output_set(&ctx->call, k, s.room.in[k]);
    if (s.owned)
        control_release(ctx, s.room.in, s.state);
    return status;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define STATE (TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS)
static const tn_param_def inputs[] = {
    { "initial_state_and_scan_inputs", "V", TN_MASK_ALL, STATE, 1,
      "The state before the first trip, then the tensors to be cut." },
};
static const tn_param_def outputs[] = {
    { "final_state_and_scan_outputs", "V", TN_MASK_ALL, STATE, 1,
      "The state after the last trip, then what the trips gave, joined." },
};
static const tn_attribute_def attributes[] = {
    { .name = "body",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Takes the state and a slice of each scan input; gives the next state and an element "
             "of each scan output." },
    { .name = "num_scan_inputs",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "How many of the inputs, the last ones, are scan inputs." },
    { .name = "scan_input_axes",
      .type = TN_ATTR_INTS,
      .doc = "Along which axis each scan input is cut; absent: 0 for all." },
    { .name = "scan_input_directions",
      .type = TN_ATTR_INTS,
      .doc = "For each scan input 1 to begin with the last slice; absent: 0 for all." },
    { .name = "scan_output_axes",
      .type = TN_ATTR_INTS,
      .doc = "Along which new axis each scan output is joined; absent: 0 for all." },
    { .name = "scan_output_directions",
      .type = TN_ATTR_INTS,
      .doc = "For each scan output 1 to prepend instead of append; absent: 0 for all." },
};

/* Scan-8 has a batch and lengths, which no node of version 9 has. */
static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP, "Scan of version 8 has a batch axis, which later ones have not");
}

tn_status scan_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 9,
        .name = "Scan",
        .doc = "Runs a body over the slices of tensors, with a state that goes from one to the "
               "next.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 6,
        .traits = TN_REGIONS,
        .infer = infer,
        .cost = control_cost,
        .upgrade = upgrade,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Scan",
                                   .since = 9,
                                   .flags = TN_KERNEL_EMPTY,
                                   .measure = control_measure,
                                   .run = run };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
