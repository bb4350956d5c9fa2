/* plugins/text/tfidf.c: TfIdfVectorizer (ONNX operators: TfIdfVectorizer).
 *
 * Counts the n-grams of a pool in each row. An n-gram may skip up to max_skip_count items between
 * its own, the same number each time. TF: the count; IDF: the weight of what occurs; TFIDF: both.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

enum { TF, IDF, TFIDF, UNKNOWN };

static int find_mode(const tn_node_view *node)
{
    static const char *const names[] = { "TF", "IDF", "TFIDF" };
    const char *name = tn_attr_string(node, "mode", "");
    int k = 0;
    while (k < UNKNOWN && strcmp(name, names[k]) != 0)
        k++;
    return k;
}

/* ---- inference ---------------------------------------------------------------------------------- */

typedef struct pool {
    const int64_t *numbers; /* or … */
    const tn_text *texts;
    int64_t size;
    const int64_t *starts, *places; /* of n-grams of each length; in the output */
    int64_t levels, grams;
    const float *weights; /* NULL: all 1 */
    int64_t weight_count;
} pool;

static pool read_pool(const tn_node_view *node)
{
    const tn_attribute *texts = tn_attr(node, "pool_strings"), *weights = tn_attr(node, "weights");
    pool p = { 0 };
    p.size = (int64_t)tn_attr_ints(node, "pool_int64s", &p.numbers);
    if (texts && texts->type == TN_ATTR_STRINGS && !p.numbers) {
        p.texts = texts->strings;
        p.size = (int64_t)texts->count;
    }
    p.levels = (int64_t)tn_attr_ints(node, "ngram_counts", &p.starts);
    p.grams = (int64_t)tn_attr_ints(node, "ngram_indexes", &p.places);
    if (weights && weights->type == TN_ATTR_FLOATS && weights->count) {
        p.weights = weights->floats;
        p.weight_count = (int64_t)weights->count;
    }
    return p;
}

static void complain(tn_infer *ctx, const char *name, const char *verb, int64_t found,
                     const char *expected)
{
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s %s %" PRId64 ": expected %s", name, verb, found, expected);
}

static int64_t level_end(const pool *p, int64_t level)
{
    return level + 1 < p->levels ? p->starts[level + 1] : p->size;
}

/* Levels lie one after the other, in whole n-grams, as many as there are places. */
static void check_levels(tn_infer *ctx, const pool *p)
{
    int64_t grams = 0;
    for (int64_t level = 0; level < p->levels; level++) {
        const int64_t from = p->starts[level], to = level_end(p, level);
        if (from < 0 || to < from || to > p->size || (to - from) % (level + 1)) {
            ctx->call.host->complain(
                &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "ngram_counts",
                "ngram_counts leaves no whole n-grams of length %" PRId64 " in the pool",
                level + 1);
            return;
        }
        grams += (to - from) / (level + 1);
    }
    if (p->levels && p->starts[0] != 0)
        complain(ctx, "ngram_counts", "begins with", p->starts[0], "0");
    else if (grams != p->grams)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "ngram_indexes",
                                 "ngram_indexes has %" PRId64 " elements: expected %" PRId64
                                 ", one for each n-gram of the pool",
                                 p->grams, grams);
}

static void check_attributes(tn_infer *ctx, const pool *p)
{
    const int64_t shortest = tn_attr_int(ctx->node, "min_gram_length", 1);
    const int64_t longest = tn_attr_int(ctx->node, "max_gram_length", 1);
    const int64_t skips = tn_attr_int(ctx->node, "max_skip_count", 0);
    const tn_type *x = ctx->inputs[0];
    if (find_mode(ctx->node) == UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "mode",
                                 "mode is '%s': expected TF, IDF or TFIDF",
                                 tn_attr_string(ctx->node, "mode", ""));
    if (shortest < 1)
        complain(ctx, "min_gram_length", "is", shortest, "1 or more");
    if (longest < shortest || longest > p->levels)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "max_gram_length",
                                 "max_gram_length is %" PRId64 ": expected %" PRId64 " to %" PRId64
                                 ", min_gram_length to the lengths that ngram_counts has",
                                 longest, shortest, p->levels);
    if (skips < 0)
        complain(ctx, "max_skip_count", "is", skips, "0 or more");
    if (p->weights && p->weight_count != p->grams)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "weights",
                                 "weights has %" PRId64 " elements: expected %" PRId64
                                 ", as many as ngram_indexes",
                                 p->weight_count, p->grams);
    if (x && x->dtype != TN_UNDEFINED && p->size && (x->dtype == TN_STRING) != (p->texts != NULL))
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' holds %s: expected %s, as the pool does",
                                 x->dtype == TN_STRING ? "texts" : "numbers",
                                 p->texts ? "texts" : "numbers");
    check_levels(ctx, p);
}

static int64_t output_width(tn_infer *ctx, const pool *p)
{
    int64_t width = 0;
    for (int64_t k = 0; k < p->grams; k++) {
        if (p->places[k] < 0 || p->places[k] > INT32_MAX)
            complain(ctx, "ngram_indexes", "holds", p->places[k], "0 to 2147483647");
        width = p->places[k] >= width ? p->places[k] + 1 : width;
    }
    return width;
}

static tn_status infer(tn_infer *ctx)
{
    const pool p = read_pool(ctx->node);
    const tn_type *x = ctx->inputs[0];
    check_attributes(ctx, &p);
    const int64_t width = output_width(ctx, &p);
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 1 || x->rank > 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected 1 or 2", x->rank);
        return TN_OK;
    }
    ctx->outputs[0].rank = x->rank;
    ctx->outputs[0].dims[0] = x->dims[0];
    ctx->outputs[0].dims[x->rank - 1] = width;
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (ctx->inputs[0]->rank != 2)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    const tn_node_view *node;
    const tn_tensor *x;
    tn_tensor *y;
    pool p;
    int mode;
    int64_t length, width; /* of a row of X, of Y */
} job;

static int same_item(const job *j, int64_t at, int64_t in_pool)
{
    if (j->p.texts)
        return text_equal(((const tn_text *)j->x->data)[at], j->p.texts[in_pool]);
    return tn_get_int(j->x->dtype, j->x->data, at) == j->p.numbers[in_pool];
}

/* The n-gram's number, with `before` n-grams of shorter length; -1: not in the pool. */
static int64_t find_gram(const job *j, int64_t first, int64_t step, int64_t n, int64_t before)
{
    const int64_t from = j->p.starts[n - 1], to = level_end(&j->p, n - 1);
    for (int64_t at = from; at < to; at += n) {
        int64_t k = 0;
        while (k < n && same_item(j, first + k * step, at + k))
            k++;
        if (k == n)
            return before + (at - from) / n;
    }
    return -1;
}

static void note(const job *j, float *out, int64_t gram)
{
    const float weight = j->p.weights ? j->p.weights[gram] : 1;
    float *place = out + j->p.places[gram];
    if (j->mode == IDF)
        *place = weight;
    else
        *place += j->mode == TF ? 1 : weight;
}

static void count_grams(const job *j, int64_t row, int64_t n, int64_t before, float *out)
{
    const int64_t skips = n == 1 ? 0 : tn_attr_int(j->node, "max_skip_count", 0);
    const int64_t first = row * j->length;
    for (int64_t step = 1; step <= skips + 1 && (n - 1) * step < j->length; step++) {
        for (int64_t at = 0; at + (n - 1) * step < j->length; at++) {
            const int64_t gram = find_gram(j, first + at, step, n, before);
            if (gram >= 0)
                note(j, out, gram);
        }
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t shortest = tn_attr_int(j->node, "min_gram_length", 1);
    const int64_t longest = tn_attr_int(j->node, "max_gram_length", 1);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        float *out = (float *)j->y->data + row * j->width;
        int64_t before = 0;
        if (j->width)
            memset(out, 0, (size_t)j->width * sizeof *out);
        for (int64_t n = 1; n <= longest; n++) {
            if (n >= shortest)
                count_grams(j, row, n, before, out);
            before += (level_end(&j->p, n - 1) - j->p.starts[n - 1]) / n;
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0], *y = ctx->outputs[0];
    const job j = { .node = ctx->node,
                    .x = x,
                    .y = ctx->outputs[0],
                    .p = read_pool(ctx->node),
                    .mode = find_mode(ctx->node),
                    .length = x->dims[x->rank - 1],
                    .width = y->dims[y->rank - 1] };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, x->rank == 2 ? x->dims[0] : 1, 1, run_rows,
                                        (void *)(uintptr_t)&j);
}

static const tn_param_def inputs[] = {
    { "X", "T", TN_BIT(TN_STRING) | TN_BIT(TN_INT32) | TN_BIT(TN_INT64), 0, 0, "[C] or [N, C]" }
};
static const tn_param_def outputs[] = { { "Y", "T1", TN_BIT(TN_FLOAT32), 0, 0,
                                          "for each row, as long as ngram_indexes asks for" } };
static const tn_attribute_def attributes[] = {
    { .name = "max_gram_length",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "the longest n-grams that count" },
    { .name = "max_skip_count",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "items that may be skipped between two" },
    { .name = "min_gram_length",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "the shortest n-grams that count" },
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_REQUIRED,
      .doc = "TF, IDF or TFIDF" },
    { .name = "ngram_counts",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "where in the pool the n-grams of each length begin" },
    { .name = "ngram_indexes",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "where in Y each n-gram counts" },
    { .name = "pool_int64s", .type = TN_ATTR_INTS, .doc = "n-grams of numbers, short ones first" },
    { .name = "pool_strings",
      .type = TN_ATTR_STRINGS,
      .doc = "n-grams of texts, short ones first" },
    { .name = "weights", .type = TN_ATTR_FLOATS, .doc = "of each n-gram; 1" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 9,
    .name = "TfIdfVectorizer",
    .doc = "Counts the n-grams of a pool in each row.",
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 9,
    .infer = infer,
    .samplewise = samplewise,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "TfIdfVectorizer", .run = run, .flags = TN_KERNEL_EMPTY
};

tn_status tfidf_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
