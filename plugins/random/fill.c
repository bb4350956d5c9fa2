/* plugins/random/fill.c: tensors of random numbers (ONNX operators: RandomNormal, RandomUniform,
 * RandomNormalLike, RandomUniformLike).
 *
 *   uniform  low + u (high - low), u of [0, 1) with as many bits as the output's type has
 *   normal   mean + scale z, where z[2k], z[2k+1] = sqrt(-2 ln(1 - u[2k])) (cos, sin)(2 pi u[2k+1])
 *            (Box and Muller, 1958)
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"

#define FLOAT_NAMES "float32, float64, float16 or bfloat16"

typedef struct filling {
    const char *name, *doc;
    const tn_attribute_def *attributes;
    uint16_t attribute_count;
    int like, normal;
} filling;

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer_shape(tn_infer *ctx)
{
    const int64_t *shape;
    const size_t count = tn_attr_ints(ctx->node, "shape", &shape);
    if (count > TN_MAX_RANK)
        return tn_fail(ctx, TN_ERR_LIMIT, "attribute 'shape' has %zu extents: expected at most %d",
                       count, TN_MAX_RANK);
    ctx->outputs[0].rank = (int32_t)count;
    for (size_t k = 0; k < count; k++) {
        ctx->outputs[0].dims[k] = shape[k];
        if (shape[k] >= 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "shape",
                                 "shape[%zu] is %lld: expected an extent of at least 0", k,
                                 (long long)shape[k]);
        ctx->outputs[0].rank = -1;
        return TN_OK;
    }
    return TN_OK;
}

static tn_status infer(tn_infer *ctx)
{
    const filling *row = ctx->call.user;
    random_dtype(ctx, TN_MASK_FLOAT, row->like ? TN_UNDEFINED : TN_FLOAT32, FLOAT_NAMES);
    return row->like ? tn_infer_same(ctx, 0, 0) : infer_shape(ctx);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    source source;
    tn_tensor *out;
    int normal;
    double from, scale; /* low and high - low, or mean and deviation */
    double steps;       /* 2 to the bits of a uniform number */
} job;

static void make_uniform(const job *j, int64_t n, double *v)
{
    for (int64_t k = 0; k < n; k++)
        v[k] = j->from + floor(v[k] * j->steps) / j->steps * j->scale;
}

/* n is even. */
static void make_normal(const job *j, int64_t n, double *v)
{
    for (int64_t k = 0; k < n; k += 2) {
        const double radius = sqrt(-2.0 * log1p(-v[k])), angle = 0x1.921fb54442d18p2 * v[k + 1];
        v[k] = j->from + j->scale * (radius * cos(angle));
        v[k + 1] = j->from + j->scale * (radius * sin(angle));
    }
}

/* Counts blocks, so that pairs stay together. */
static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t count = tn_count(j->out);
    double v[BLOCK];
    (void)thread;
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * BLOCK;
        const int64_t n = count - first < BLOCK ? count - first : BLOCK;
        const int64_t even = n + n % 2;
        source_uniform(&j->source, first, even, v);
        if (j->normal)
            make_normal(j, even, v);
        else
            make_uniform(j, n, v);
        store_doubles(j->out->dtype, j->out->data, first, n, v);
    }
    return TN_OK;
}

static double uniform_steps(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT32: return 0x1p24;
    case TN_FLOAT16: return 0x1p11;
    case TN_BFLOAT16: return 0x1p8;
    default: return 0x1p53;
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const filling *row = ctx->call.user;
    job j = { .source = source_of(ctx), .out = ctx->outputs[0], .normal = row->normal };
    (void)state, (void)slot;
    if (row->normal) {
        j.from = (double)tn_attr_float(ctx->node, "mean", 0.0f);
        j.scale = (double)tn_attr_float(ctx->node, "scale", 1.0f);
    } else {
        j.from = (double)tn_attr_float(ctx->node, "low", 0.0f);
        j.scale = (double)tn_attr_float(ctx->node, "high", 1.0f) - j.from;
        j.steps = uniform_steps(j.out->dtype);
    }
    return ctx->call.host->parallel_for(&ctx->call, (tn_count(j.out) + BLOCK - 1) / BLOCK, 16,
                                        chunk, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define NUMBER(key, value, text)                                                                   \
    {                                                                                              \
        .name = key, .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = value, .doc = text  \
    }
#define NORMAL                                                                                     \
    RANDOM_SEED, NUMBER("mean", 0.0f, "Of the distribution."),                                     \
        NUMBER("scale", 1.0f, "The standard deviation.")
#define UNIFORM                                                                                    \
    RANDOM_SEED, NUMBER("high", 1.0f, "Where the range ends."),                                    \
        NUMBER("low", 0.0f, "Where the range begins.")
#define SHAPED                                                                                     \
    { .name = "dtype",                                                                             \
      .type = TN_ATTR_INT,                                                                         \
      .flags = TN_ATTR_HAS_DEFAULT,                                                                \
      .i = TN_FLOAT32,                                                                             \
      .doc = "Number of the output's type." },                                                     \
    {                                                                                              \
        .name = "shape", .type = TN_ATTR_INTS, .flags = TN_ATTR_REQUIRED, .doc = "Of the output."  \
    }
#define LIKE                                                                                       \
    {                                                                                              \
        .name = "dtype", .type = TN_ATTR_INT,                                                      \
        .doc = "Number of the output's type; that of the input when left out."                     \
    }
static const tn_attribute_def normal[] = { NORMAL, SHAPED };
static const tn_attribute_def uniform[] = { UNIFORM, SHAPED };
static const tn_attribute_def normal_like[] = { NORMAL, LIKE };
static const tn_attribute_def uniform_like[] = { UNIFORM, LIKE };
static const tn_param_def inputs[] = {
    { "input", NULL, TN_MASK_NUMERIC | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) | TN_BIT(TN_STRING), 0, 0,
      "Gives its shape and, without dtype, its type." },
};
static const tn_param_def outputs[] = {
    { "output", NULL, TN_MASK_FLOAT, 0, 0, "Random numbers." },
};
#define ATTRIBUTES(list) .attributes = list, .attribute_count = sizeof(list) / sizeof *(list)
static const filling rows[] = {
    { .name = "RandomNormal",
      .doc = "Numbers of a normal distribution.",
      .normal = 1,
      ATTRIBUTES(normal) },
    { .name = "RandomUniform", .doc = "Numbers of a uniform distribution.", ATTRIBUTES(uniform) },
    { .name = "RandomNormalLike",
      .doc = "Numbers of a normal distribution, in the shape of a tensor.",
      .like = 1,
      .normal = 1,
      ATTRIBUTES(normal_like) },
    { .name = "RandomUniformLike",
      .doc = "Numbers of a uniform distribution, in the shape of a tensor.",
      .like = 1,
      ATTRIBUTES(uniform_like) },
};

tn_status fill_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const filling *row = &rows[k];
        const tn_operator_def op = {
            .size = sizeof op,
            .since = 22,
            .accepts_from = 1,
            .name = row->name,
            .doc = row->doc,
            .inputs = inputs,
            .input_count = (uint16_t)row->like,
            .outputs = outputs,
            .output_count = 1,
            .attributes = row->attributes,
            .attribute_count = row->attribute_count,
            .traits = TN_NONDETERMINISTIC,
            .infer = infer,
            .user = (void *)row,
        };
        const tn_kernel_def kernel = { .size = sizeof kernel,
                                       .op = row->name,
                                       .run = run,
                                       .user = (void *)row,
                                       .flags = TN_KERNEL_ANY_STEPS };
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
