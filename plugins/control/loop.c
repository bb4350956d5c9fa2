/* plugins/control/loop.c: a body, again and again.
 *
 * ONNX: Loop. The body takes the trip's number, the condition and N carried values; it gives the
 * next condition, the next carried values and K elements of scan outputs, which are joined along a
 * new first axis. The loop ends after M trips, or when the condition is false; without either it
 * would go on for ever. Carried values may change their shape from trip to trip.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

enum { FIRST = 2 /* carried values, among the inputs of node and body */ };

static uint32_t carried_count(uint32_t input_count)
{
    return input_count > FIRST ? input_count - FIRST : 0;
}

/* ---- inference -------------------------------------------------------------------------- */

/* The value of a scalar input where it is known; `otherwise` where not. */
static int64_t known_number(tn_infer *ctx, uint32_t k, int64_t otherwise)
{
    const tn_tensor *value = k < ctx->input_count && ctx->inputs[k]
                                 ? ctx->call.host->input_value(&ctx->call, k)
                                 : NULL;
    return value && tn_count(value) == 1 ? tn_get_int(value->dtype, value->data, 0) : otherwise;
}

static int check_counts(tn_infer *ctx, uint32_t carried)
{
    for (uint32_t k = 0; k < carried; k++) {
        if (ctx->inputs[FIRST + k])
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_INPUT, FIRST + k, NULL,
                                 "carried value %u is absent: expected its initial value",
                                 (unsigned)k);
        return 0;
    }
    if (ctx->output_count >= carried)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                             "%u outputs for %u carried values: expected one for each",
                             (unsigned)ctx->output_count, (unsigned)carried);
    return 0;
}

static int check_scalar(tn_infer *ctx, uint32_t k)
{
    const tn_type *type = k < ctx->input_count ? ctx->inputs[k] : NULL;
    for (int32_t axis = 0; type && axis < type->rank; axis++) {
        if (!tn_dim_known(type->dims[axis]) || type->dims[axis] == 1)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "extent %lld along axis %d: expected one element",
                                 (long long)type->dims[axis], (int)axis);
        return 0;
    }
    return 1;
}

static void infer_scans(tn_infer *ctx, uint32_t carried, const tn_type *made, tn_dim trips)
{
    for (uint32_t k = carried; k < ctx->output_count; k++) {
        ctx->outputs[k] = made[1 + k];
        if (made[1 + k].kind) {
            ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                     "scan output %u is no tensor: only tensors can be joined",
                                     (unsigned)(k - carried));
            return;
        }
        control_add_axis(&ctx->outputs[k], 0, trips);
    }
}

static tn_status infer(tn_infer *ctx)
{
    tn_type made[CONTROL_MOST + 1];
    const tn_type *in[CONTROL_MOST + FIRST];
    const tn_type number = control_scalar(TN_INT64), cond = control_scalar(TN_BOOL);
    const uint32_t carried = carried_count(ctx->input_count);
    const int none = known_number(ctx, 0, 1) <= 0 || known_number(ctx, 1, 1) == 0;
    if (!control_fits(ctx) || !check_counts(ctx, carried) || !check_scalar(ctx, 0) ||
        !check_scalar(ctx, 1))
        return TN_OK;
    in[0] = &number;
    in[1] = &cond;
    for (uint32_t k = 0; k < carried; k++) {
        ctx->outputs[k] = *ctx->inputs[FIRST + k];
        in[FIRST + k] = &ctx->outputs[k];
    }
    TN_TRY(control_settle(ctx, in, FIRST + carried, carried, made, ctx->output_count + 1, 1));
    for (uint32_t k = 0; k < carried && none; k++)
        ctx->outputs[k] = *ctx->inputs[FIRST + k]; /* it goes through untouched */
    infer_scans(ctx, carried, made, none ? 0 : TN_DIM_UNKNOWN);
    for (uint32_t k = 0; k < ctx->output_count; k++)
        control_mark_late(&ctx->outputs[k]);
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* The state between two trips: in[1] the condition, behind it the carried values. */
typedef struct loop {
    tn_run *ctx;
    control_room room;
    uint32_t carried, scans;
    int owned; /* the carried values are results of a trip, not the node's inputs */
} loop;

static void let_go(loop *l)
{
    control_release(l->ctx, l->room.in + 1, 1 + (l->owned ? l->carried : 0));
}

static tn_status collect_scans(loop *l)
{
    const tn_tensor **made = l->room.out + 1 + l->carried;
    tn_status status = TN_OK;
    for (uint32_t k = 0; k < l->scans && status == TN_OK; k++)
        if (l->ctx->outputs[l->carried + k])
            status = l->ctx->call.host->list_push(&l->ctx->call, l->carried + k, made[k], 0, 0);
    control_release(l->ctx, made, l->scans);
    return status;
}

static tn_status run_trip(loop *l, int64_t trip)
{
    const tn_host *host = l->ctx->call.host;
    TN_TRY(control_number(l->ctx, TN_INT64, trip, &l->room.in[0]));
    const tn_status status = host->run_region(&l->ctx->call, "body", l->room.in, FIRST + l->carried,
                                              l->room.out, 1 + l->carried + l->scans);
    control_release(l->ctx, l->room.in, 1);
    TN_TRY(status);
    let_go(l);
    for (uint32_t k = 0; k <= l->carried; k++)
        l->room.in[1 + k] = l->room.out[k];
    l->owned = 1;
    return collect_scans(l);
}

static tn_status run_trips(loop *l, int64_t limit)
{
    int go_on = 0;
    TN_TRY(control_truth(l->ctx, l->room.in[1], "the condition", &go_on));
    for (int64_t trip = 0; trip < limit && go_on; trip++) {
        if (l->ctx->call.host->cancelled(&l->ctx->call))
            return TN_ERR_CANCELLED;
        TN_TRY(run_trip(l, trip));
        TN_TRY(control_truth(l->ctx, l->room.in[1], "the body's condition", &go_on));
    }
    return TN_OK;
}

static tn_status trip_limit(tn_run *ctx, int64_t *out)
{
    const tn_tensor *limit = control_given(ctx, 0);
    *out = INT64_MAX;
    if (!limit)
        return TN_OK;
    if (tn_count(limit) != 1)
        return tn_fail(ctx, TN_ERR_SHAPE, "the trip count has %lld elements: expected one",
                       (long long)tn_count(limit));
    *out = *(const int64_t *)limit->data;
    return TN_OK;
}

/* The condition is copied, so that it is ours as those of the trips to come. */
static tn_status first_condition(loop *l)
{
    const tn_tensor *cond = control_given(l->ctx, 1);
    int truth = 1;
    if (cond)
        TN_TRY(control_truth(l->ctx, cond, "the condition", &truth));
    return control_number(l->ctx, TN_BOOL, truth, &l->room.in[1]);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    loop l = { .ctx = ctx,
               .room = control_room_of(ctx),
               .carried = carried_count(ctx->input_count) };
    int64_t limit;
    (void)state, (void)slot;
    l.scans = ctx->output_count - l.carried;
    TN_TRY(trip_limit(ctx, &limit));
    TN_TRY(first_condition(&l));
    for (uint32_t k = 0; k < l.carried; k++)
        l.room.in[FIRST + k] = ctx->inputs[FIRST + k];
    tn_status status = run_trips(&l, limit);
    for (uint32_t k = 0; k < l.carried && status == TN_OK; k++)
        if (ctx->outputs[k])
            status = ctx->call.host->output_set(&ctx->call, k, l.room.in[FIRST + k]);
    let_go(&l);
    return status;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define STATE (TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS | CONTROL_ANY_KIND)
static const tn_param_def inputs[] = {
    { "M", "I", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "At most so many trips: a scalar." },
    { "cond", "B", TN_BIT(TN_BOOL), TN_PARAM_OPTIONAL, 0,
      "Whether there is a first trip: a scalar; absent: there is." },
    { "v_initial", "V", TN_MASK_ALL, STATE, 0, "The carried values before the first trip." },
};
static const tn_param_def outputs[] = {
    { "v_final_and_scan_outputs", "V", TN_MASK_ALL, STATE, 1,
      "The carried values after the last trip, then what the trips gave, joined." },
};
static const tn_attribute_def attributes[] = {
    { .name = "body",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Takes the trip's number, the condition and the carried values; gives the next "
             "condition, the next carried values and an element of each scan output." },
};

tn_status loop_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 1,
        .name = "Loop",
        .doc = "Runs a body for a number of trips, or while a condition holds.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_REGIONS | TN_MAY_FAIL,
        .infer = infer,
        .cost = control_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Loop",
                                   .flags = TN_KERNEL_EMPTY,
                                   .measure = control_measure,
                                   .run = run };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
