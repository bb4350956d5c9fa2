/* plugins/arithmetic/variadic.c: operators of any number of inputs that broadcast together.
 *
 * ONNX: Min, Max, Sum, Mean. Floating-point types are accumulated in double and rounded once; NaN
 * wins over every number in Min and Max.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

typedef struct variadic {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    const tn_param_def *inputs, *output;
    void (*doubles)(double *sum, const double *v, int64_t step, int64_t n);
    void (*ints)(int64_t *sum, const int64_t *v, int64_t step, int64_t n); /* NULL: no integers */
    binary_loop floats; /* of two float32 inputs, where that gives the same; NULL: no */
    uint32_t mean;      /* 1: divided by the number of inputs */
} variadic;

/* ---- arithmetic ------------------------------------------------------------------------- */

#define FOLD(name, type, expression)                                                               \
    static void name(type *sum, const type *v, int64_t step, int64_t n)                            \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = sum[i], y = v[i * step];                                                \
            sum[i] = (expression);                                                                 \
        }                                                                                          \
    }
FOLD(min_doubles, double, x < y || isnan(x) ? x : y)
FOLD(max_doubles, double, x > y || isnan(x) ? x : y)
FOLD(sum_doubles, double, x + y)
FOLD(min_ints, int64_t, x < y ? x : y)
FOLD(max_ints, int64_t, x > y ? x : y)
BINARY_LOOP(min_floats, float, float, x < y || isnan(x) ? x : y)
BINARY_LOOP(max_floats, float, float, x > y || isnan(x) ? x : y)
BINARY_LOOP(sum_floats, float, float, x + y)

/* ---- identity --------------------------------------------------------------------------- */

static int32_t identity(const tn_identity *query)
{
    return query->node->input_count == 1 ? 0 : -1;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct variadic_job {
    const variadic *row;
    const tn_tensor *const *inputs;
    uint32_t count;
    tn_tensor *out;
    int32_t rank; /* of the rows below: 1 where every input is whole or a single element */
    int64_t dims[TN_MAX_RANK];
} variadic_job;

/* Element of `input` under element `at` of the output, and its step along the last axis. */
static int64_t place(const variadic_job *job, const tn_tensor *input, int64_t at, int64_t *step)
{
    int64_t strides[TN_MAX_RANK] = { 0 }, offset = 0;
    *step = tn_count(input) == 1 ? 0 : 1;
    if (job->rank == 1)
        return *step * at;
    tn_broadcast_strides(input, job->rank, strides);
    *step = strides[job->rank - 1];
    for (int32_t axis = job->rank - 1; axis >= 0; axis--) {
        offset += at % job->dims[axis] * strides[axis];
        at /= job->dims[axis];
    }
    return offset;
}

static void double_block(const variadic_job *job, int64_t at, int64_t n)
{
    double sum[BLOCK], v[BLOCK];
    for (uint32_t k = 0; k < job->count; k++) {
        const tn_tensor *input = job->inputs[k];
        int64_t step;
        const int64_t from = place(job, input, at, &step);
        load_doubles(input->dtype, input->data, from, step ? n : 1, k ? v : sum);
        for (int64_t i = k || step ? n : 1; i < n; i++)
            sum[i] = sum[0];
        if (k)
            job->row->doubles(sum, v, step, n);
    }
    for (int64_t i = 0; job->row->mean && i < n; i++)
        sum[i] /= job->count;
    store_doubles(job->out->dtype, job->out->data, at, n, sum);
}

static void int_block(const variadic_job *job, int64_t at, int64_t n)
{
    /* uint64 is ordered like int64 once its highest bit is turned. */
    const int64_t turn = job->out->dtype == TN_UINT64 ? INT64_MIN : 0;
    int64_t sum[BLOCK], v[BLOCK];
    for (uint32_t k = 0; k < job->count; k++) {
        const tn_tensor *input = job->inputs[k];
        int64_t step;
        const int64_t from = place(job, input, at, &step);
        int64_t *to = k ? v : sum;
        load_ints(input->dtype, input->data, from, step ? n : 1, to);
        for (int64_t i = 0; i < (step ? n : 1); i++)
            to[i] ^= turn;
        for (int64_t i = k || step ? n : 1; i < n; i++)
            sum[i] = sum[0];
        if (k)
            job->row->ints(sum, v, step, n);
    }
    for (int64_t i = 0; i < n; i++)
        sum[i] ^= turn;
    store_ints(job->out->dtype, job->out->data, at, n, sum);
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const variadic_job *job = user;
    const int64_t columns = job->dims[job->rank - 1];
    (void)thread;
    for (int64_t at = begin; at < end;) {
        const int64_t left = columns - at % columns;
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        n = left < n ? left : n;
        if (tn_dtype_is_float(job->out->dtype))
            double_block(job, at, n);
        else
            int_block(job, at, n);
        at += n;
    }
    return TN_OK;
}

static void float_row(const void *user, const int64_t *offsets, const int64_t *steps, int64_t at,
                      int64_t n)
{
    const variadic_job *job = user;
    job->row->floats((const float *)job->inputs[0]->data + offsets[0], steps[0],
                     (const float *)job->inputs[1]->data + offsets[1], steps[1],
                     (float *)job->out->data + at, n);
}

static void set_rows(variadic_job *job)
{
    const int64_t total = tn_count(job->out);
    int whole = 1;
    for (uint32_t k = 0; k < job->count; k++) {
        const int64_t own = tn_count(job->inputs[k]);
        whole = whole && (own == 1 || own == total);
    }
    job->rank = whole ? 1 : job->out->rank;
    for (int32_t axis = 0; axis < job->out->rank; axis++)
        job->dims[axis] = job->out->dims[axis];
    if (whole)
        job->dims[0] = total;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    variadic_job job = { .row = ctx->call.user,
                         .inputs = ctx->inputs,
                         .count = ctx->input_count,
                         .out = ctx->outputs[0] };
    (void)state, (void)slot;
    if (job.count == 2 && job.out->dtype == TN_FLOAT32 && job.row->floats) {
        spread s;
        spread_init(&s, job.out, ctx->inputs, 2);
        return spread_run(&ctx->call, &s, float_row, &job);
    }
    set_rows(&job);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.out), 4096, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define DATA(types)                                                                                \
    {                                                                                              \
        {                                                                                          \
            "data_0", "T", types, TN_PARAM_VARIADIC, 1, "The inputs; they broadcast together."     \
        }                                                                                          \
    }
static const tn_param_def numeric_data[] = DATA(TN_MASK_NUMERIC);
static const tn_param_def float_data[] = DATA(TN_MASK_FLOAT);
static const tn_param_def min_output[] = { { "min", "T", TN_MASK_NUMERIC, 0, 0, "The least." } };
static const tn_param_def max_output[] = { { "max", "T", TN_MASK_NUMERIC, 0, 0, "The largest." } };
static const tn_param_def sum_output[] = { { "sum", "T", TN_MASK_FLOAT, 0, 0, "The sum." } };
static const tn_param_def mean_output[] = { { "mean", "T", TN_MASK_FLOAT, 0, 0, "The mean." } };

/* Version 6 wanted equal shapes, which broadcast to themselves. */
static const variadic rows[] = {
    { .name = "Min",
      .since = 13,
      .accepts_from = 6,
      .inputs = numeric_data,
      .output = min_output,
      .doc = "The least of the inputs, element by element. NaN wins.",
      .doubles = min_doubles,
      .ints = min_ints,
      .floats = min_floats },
    { .name = "Max",
      .since = 13,
      .accepts_from = 6,
      .inputs = numeric_data,
      .output = max_output,
      .doc = "The largest of the inputs, element by element. NaN wins.",
      .doubles = max_doubles,
      .ints = max_ints,
      .floats = max_floats },
    { .name = "Sum",
      .since = 13,
      .accepts_from = 6,
      .inputs = float_data,
      .output = sum_output,
      .doc = "The sum of the inputs, element by element.",
      .doubles = sum_doubles,
      .floats = sum_floats },
    { .name = "Mean",
      .since = 13,
      .accepts_from = 6,
      .inputs = float_data,
      .output = mean_output,
      .doc = "The mean of the inputs, element by element.",
      .doubles = sum_doubles,
      .mean = 1 },
};

/* One addition less than there are inputs for each element, and the division. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const variadic *row = ctx->call.user;
    double count = 1;
    for (int32_t axis = 0; axis < ctx->outputs[0].rank; axis++)
        count *= (double)ctx->outputs[0].dims[axis];
    out->ops = count * (ctx->input_count - 1 + row->mean);
    return TN_OK;
}

static tn_status add(tn_registrar *registrar, const variadic *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = row->since,
        .accepts_from = row->accepts_from,
        .name = row->name,
        .doc = row->doc,
        .inputs = row->inputs,
        .input_count = 1,
        .outputs = row->output,
        .output_count = 1,
        .traits = TN_ELEMENTWISE | TN_COMMUTATIVE,
        .infer = binary_infer,
        .identity = identity,
        .cost = cost,
        .samplewise = broadcast_samplewise,
        .upgrade = tn_upgrade_consumed,
        .user = (void *)row,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = row->name,
                                   .run = run,
                                   .user = (void *)row,
                                   .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS };
    TN_TRY(legacy_add_consumed(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status variadic_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        TN_TRY(add(registrar, &rows[k]));
    return TN_OK;
}
