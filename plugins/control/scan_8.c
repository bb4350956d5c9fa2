/* plugins/control/scan_8.c: Scan as it was first, over a batch of sequences.
 *
 * ONNX: Scan of version 8. Axis 0 of everything is the batch and axis 1 of the scan inputs and
 * outputs the sequence; sequence_lens may give each sample a length of its own. The standard leaves
 * the scan outputs behind a sample's length undefined: they are zero here.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

enum { FIRST = 1 /* behind sequence_lens */ };

/* ---- inference -------------------------------------------------------------------------- */

/* The number of state values, or -1 with a complaint. */
static int64_t check_counts(tn_infer *ctx)
{
    const int64_t scans = tn_attr_int(ctx->node, "num_scan_inputs", 0);
    const int64_t given = (int64_t)ctx->input_count - FIRST;
    const int64_t *list;
    const size_t count = tn_attr_ints(ctx->node, "directions", &list);
    if (scans < 1 || scans > given) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "num_scan_inputs", "num_scan_inputs is %lld: expected 1 to %lld",
                                 (long long)scans, (long long)given);
        return -1;
    }
    if (count && count != (size_t)scans) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "directions",
                                 "directions has %zu elements: expected %lld, one for each scan "
                                 "input",
                                 count, (long long)scans);
        return -1;
    }
    if (ctx->output_count >= given - scans)
        return given - scans;
    ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                             "%u outputs for %lld state values: expected one for each",
                             (unsigned)ctx->output_count, (long long)(given - scans));
    return -1;
}

static void note(tn_dim *known, const tn_type *type, int32_t axis)
{
    if (type->rank > axis && (*known == TN_DIM_UNKNOWN || tn_dim_known(type->dims[axis])))
        *known = type->dims[axis];
}

static int check_rank(tn_infer *ctx, uint32_t k, int32_t least)
{
    if (ctx->inputs[k]->rank < 0 || ctx->inputs[k]->rank >= least)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                             "rank %d: expected at least %d, for %s", (int)ctx->inputs[k]->rank,
                             (int)least, least > 1 ? "batch and sequence" : "the batch");
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    tn_type made[CONTROL_MOST], slices[CONTROL_MOST];
    const tn_type *in[CONTROL_MOST];
    tn_dim batch = TN_DIM_UNKNOWN, length = TN_DIM_UNKNOWN;
    if (!control_fits(ctx))
        return TN_OK;
    const int64_t state = check_counts(ctx);
    if (state < 0)
        return TN_OK;
    for (uint32_t k = FIRST; k < ctx->input_count; k++) {
        const uint32_t at = k - FIRST;
        if (!ctx->inputs[k])
            return tn_fail(ctx, TN_ERR_FORMAT, "input %u is absent", (unsigned)k);
        if (!check_rank(ctx, k, at < state ? 1 : 2))
            return TN_OK;
        note(&batch, ctx->inputs[k], 0);
        if (at >= state)
            note(&length, ctx->inputs[k], 1);
        slices[at] = *ctx->inputs[k];
        control_drop_axis(&slices[at], 0);
        if (at >= state)
            control_drop_axis(&slices[at], 0);
        if (at < state)
            ctx->outputs[at] = slices[at];
        in[at] = at < state ? &ctx->outputs[at] : &slices[at];
    }
    TN_TRY(control_settle(ctx, in, ctx->input_count - FIRST, (uint32_t)state, made,
                          ctx->output_count, 0));
    for (uint32_t k = 0; k < ctx->output_count; k++) {
        if (k >= state) {
            ctx->outputs[k] = made[k];
            control_add_axis(&ctx->outputs[k], 0, length);
        }
        control_add_axis(&ctx->outputs[k], 0, batch);
        control_mark_late(&ctx->outputs[k]);
    }
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct scan {
    tn_run *ctx;
    control_room room;
    uint32_t state, inputs, outputs;
    int64_t batch, length;
} scan;

static tn_status check_extents(scan *s)
{
    const tn_tensor *lengths = control_given(s->ctx, 0);
    for (uint32_t k = 0; k < s->state + s->inputs; k++) {
        const tn_tensor *input = s->ctx->inputs[FIRST + k];
        const int32_t least = k < s->state ? 1 : 2;
        if (input->rank < least)
            return tn_fail(s->ctx, TN_ERR_SHAPE, "input %u has rank %d: expected at least %d",
                           (unsigned)(FIRST + k), (int)input->rank, (int)least);
        if (k == 0)
            s->batch = input->dims[0];
        if (k == s->state)
            s->length = input->dims[1];
        if (input->dims[0] != s->batch || (k >= s->state && input->dims[1] != s->length))
            return tn_fail(s->ctx, TN_ERR_SHAPE,
                           "input %u has another batch or sequence than those before it",
                           (unsigned)(FIRST + k));
    }
    if (lengths && tn_count(lengths) != s->batch)
        return tn_fail(s->ctx, TN_ERR_SHAPE, "sequence_lens has %lld elements: expected %lld",
                       (long long)tn_count(lengths), (long long)s->batch);
    return TN_OK;
}

static tn_status length_of(scan *s, int64_t sample, int64_t *out)
{
    const tn_tensor *lengths = control_given(s->ctx, 0);
    *out = lengths ? ((const int64_t *)lengths->data)[sample] : s->length;
    if (*out < 0 || *out > s->length)
        return tn_fail(s->ctx, TN_ERR_VALUE, "sequence_lens[%lld] is %lld, outside [0, %lld]",
                       (long long)sample, (long long)*out, (long long)s->length);
    return TN_OK;
}

/* Element [sample, step] of a scan input. */
static tn_status cut(scan *s, int64_t sample, int64_t step, int64_t steps)
{
    const tn_host *host = s->ctx->call.host;
    const int64_t *directions;
    const size_t count = tn_attr_ints(s->ctx->node, "directions", &directions);
    for (uint32_t k = 0; k < s->inputs; k++) {
        const int64_t at = k < count && directions[k] == 1 ? steps - 1 - step : step;
        const tn_tensor *sequence;
        TN_TRY(host->value_slice(&s->ctx->call, s->ctx->inputs[FIRST + s->state + k], 0, sample,
                                 &sequence));
        const tn_status status = host->value_slice(&s->ctx->call, sequence, 0, at,
                                                   &s->room.in[s->state + k]);
        host->value_release(&s->ctx->call, sequence);
        TN_TRY(status);
    }
    return TN_OK;
}

/* Copies `element` to [sample, step] of a scan output, which the first one gives its shape. */
static tn_status place(scan *s, uint32_t k, const tn_tensor *element, int64_t sample, int64_t step)
{
    tn_tensor *out = s->ctx->outputs[k];
    const size_t bytes = tn_dtype_bytes(element->dtype, tn_count(element));
    if (!out->data) {
        int64_t dims[TN_MAX_RANK] = { s->batch, s->length };
        if (element->rank + 2 > TN_MAX_RANK)
            return tn_fail(s->ctx, TN_ERR_LIMIT, "scan output %u would have rank %d",
                           (unsigned)(k - s->state), (int)element->rank + 2);
        for (int32_t axis = 0; axis < element->rank; axis++)
            dims[axis + 2] = element->dims[axis];
        TN_TRY(s->ctx->call.host->output_alloc(&s->ctx->call, k, element->rank + 2, dims));
        out = s->ctx->outputs[k];
        memset(out->data, 0, tn_dtype_bytes(out->dtype, tn_count(out)));
    }
    if (element->rank + 2 != out->rank || tn_extent(out->dims, 2, out->rank) != tn_count(element) ||
        element->dtype != out->dtype)
        return tn_fail(s->ctx, TN_ERR_SHAPE, "scan output %u changes its shape",
                       (unsigned)(k - s->state));
    if (bytes)
        memcpy((char *)out->data + (size_t)(sample * s->length + step) * bytes, element->data,
               bytes);
    return TN_OK;
}

static tn_status run_step(scan *s, int64_t sample, int64_t step, int64_t steps)
{
    const tn_host *host = s->ctx->call.host;
    tn_status status = cut(s, sample, step, steps);
    if (status == TN_OK)
        status = host->run_region(&s->ctx->call, "body", s->room.in, s->state + s->inputs,
                                  s->room.out, s->state + s->outputs);
    control_release(s->ctx, s->room.in + s->state, s->inputs);
    TN_TRY(status);
    control_release(s->ctx, s->room.in, s->state);
    for (uint32_t k = 0; k < s->state; k++)
        s->room.in[k] = s->room.out[k];
    for (uint32_t k = 0; k < s->outputs && status == TN_OK; k++)
        if (s->ctx->outputs[s->state + k])
            status = place(s, s->state + k, s->room.out[s->state + k], sample, step);
    control_release(s->ctx, s->room.out + s->state, s->outputs);
    return status;
}

static tn_status run_sample(scan *s, int64_t sample)
{
    const tn_host *host = s->ctx->call.host;
    int64_t steps;
    TN_TRY(length_of(s, sample, &steps));
    for (uint32_t k = 0; k < s->state; k++)
        TN_TRY(
            host->value_slice(&s->ctx->call, s->ctx->inputs[FIRST + k], 0, sample, &s->room.in[k]));
    for (int64_t step = 0; step < steps; step++) {
        if (host->cancelled(&s->ctx->call))
            return TN_ERR_CANCELLED;
        TN_TRY(run_step(s, sample, step, steps));
    }
    for (uint32_t k = 0; k < s->state; k++)
        if (s->ctx->outputs[k])
            TN_TRY(host->list_push(&s->ctx->call, k, s->room.in[k], 0, 0));
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    scan s = { .ctx = ctx,
               .room = control_room_of(ctx),
               .inputs = (uint32_t)tn_attr_int(ctx->node, "num_scan_inputs", 0) };
    tn_status status = TN_OK;
    (void)state, (void)slot;
    s.state = ctx->input_count - FIRST - s.inputs;
    s.outputs = ctx->output_count - s.state;
    TN_TRY(check_extents(&s));
    for (int64_t sample = 0; sample < s.batch && status == TN_OK; sample++) {
        status = run_sample(&s, sample);
        control_release(ctx, s.room.in, s.state);
    }
    return status;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define TYPES                                                                                      \
    ((TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16)) | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) |                \
     TN_BIT(TN_STRING))
#define STATE (TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS)
static const tn_param_def inputs[] = {
    { "sequence_lens", "I", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "The length of each sample's sequence; absent: all have the longest." },
    { "initial_state_and_scan_inputs", "V", TYPES, STATE, 1,
      "The state before the first trip, then the tensors to be cut, all with a batch." },
};
static const tn_param_def outputs[] = {
    { "final_state_and_scan_outputs", "V", TYPES, STATE, 1,
      "The state after the last trip, then what the trips gave, joined, all with a batch." },
};
static const tn_attribute_def attributes[] = {
    { .name = "body",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Takes the state and an element of each scan input; gives the next state and an "
             "element of each scan output." },
    { .name = "num_scan_inputs",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "How many of the inputs, the last ones, are scan inputs." },
    { .name = "directions",
      .type = TN_ATTR_INTS,
      .doc = "For each scan input 1 to begin with the last element; absent: 0 for all." },
};

tn_status scan_8_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 8,
        .name = "Scan",
        .doc = "Runs a body over the sequences of a batch, with a state that goes from one element "
               "to the next.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 3,
        .traits = TN_REGIONS | TN_MAY_FAIL,
        .infer = infer,
        .cost = control_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Scan",
                                   .since = 8,
                                   .until = 8,
                                   .flags = TN_KERNEL_EMPTY,
                                   .measure = control_measure,
                                   .run = run };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
