/* plugins/text/regex.c: RegexFullMatch (ONNX operators: RegexFullMatch; syntax: RE2's).
 *
 * RE2 promises time linear in the text; PCRE and POSIX engines that backtrack do not, and libre2 is
 * C++, which this project links nowhere. So the automaton is our own (parse.c, match.c): a few
 * hundred lines, and no library to look for. What RE2 knows and this does not is refused by name:
 * scripts in \p{…} and \P{…}, which take general categories (categories.c), and \C (one byte). With
 * i letters of ASCII match in both cases.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

static tn_text pattern_of(const tn_node_view *node)
{
    const tn_attribute *pattern = tn_attr(node, "pattern");
    return pattern ? pattern->s : (tn_text){ NULL, 0 };
}

static tn_status infer(tn_infer *ctx)
{
    const tn_text pattern = pattern_of(ctx->node);
    const char *why = NULL;
    size_t at = 0;
    if (!pattern.bytes)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pattern",
                                 "pattern is missing");
    else if (regex_compile(pattern, NULL, &why, &at) < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pattern",
                                 "pattern '%s': %s at byte %zu", pattern.bytes, why, at);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].dtype = TN_BOOL;
    return TN_OK;
}

/* Scratch: the program, then numbers for each thread. */
static size_t program_bytes(int32_t count)
{
    return ((size_t)count * sizeof(regex_step) + 63) / 64 * 64;
}

static size_t thread_bytes(int32_t count)
{
    return (regex_scratch((size_t)count) * sizeof(uint32_t) + 63) / 64 * 64;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const char *why;
    size_t at;
    const int32_t count = regex_compile(pattern_of(ctx->problem->node), NULL, &why, &at);
    (void)state;
    if (count < 0)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE, "pattern: %s at byte %zu", why, at);
    ctx->alternatives[0].scratch_bytes = program_bytes(count) +
                                         ctx->problem->threads * thread_bytes(count);
    return TN_OK;
}

typedef struct job {
    const tn_text *texts;
    uint8_t *out;
    const regex_step *steps;
    int32_t count;
    char *scratch;
} job;

static tn_status match_texts(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    uint32_t *scratch = (uint32_t *)(void *)(j->scratch + thread * thread_bytes(j->count));
    memset(scratch, 0, thread_bytes(j->count));
    for (int64_t k = begin; k < end; k++)
        j->out[k] = (uint8_t)regex_full_match(j->steps, j->count, j->texts[k], scratch);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const char *why;
    size_t at;
    regex_step *steps = ctx->scratch;
    const int32_t count = regex_compile(pattern_of(ctx->node), steps, &why, &at);
    job j = { ctx->inputs[0]->data, ctx->outputs[0]->data, steps, count,
              (char *)ctx->scratch + program_bytes(count) };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->inputs[0]), 16, match_texts, &j);
}

static const tn_param_def inputs[] = { { "X", "T1", TN_BIT(TN_STRING), 0, 0, "texts in UTF-8" } };
static const tn_param_def outputs[] = { { "Y", "T2", TN_BIT(TN_BOOL), 0, 0,
                                          "whether the whole text matches" } };
static const tn_attribute_def attributes[] = {
    { .name = "pattern", .type = TN_ATTR_STRING, .doc = "a regular expression as RE2 writes it" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 20,
    .name = "RegexFullMatch",
    .doc = "Tells which texts match a regular expression from their begin to their end.",
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 1,
    .traits = TN_ELEMENTWISE,
    .infer = infer,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "RegexFullMatch", .measure = measure, .run = run
};

tn_status regex_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
