/* plugins/text/normalize.c: StringNormalizer (ONNX operators: StringNormalizer).
 *
 * Removes the elements that are stop words, then changes case. Where nothing is left, one empty
 * text is. Case is changed one code point at a time by the C library's table for UTF-8, whatever
 * `locale` names: answers then do not depend on the machine. Bytes that are not UTF-8 stay.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* newlocale */
#endif
#include "text.h"

#include <locale.h>
#include <wctype.h>

enum { KEEP, LOWER, UPPER, UNKNOWN };

static int find_action(const tn_node_view *node)
{
    static const char *const names[] = { "NONE", "LOWER", "UPPER" };
    const char *name = tn_attr_string(node, "case_change_action", "NONE");
    int k = 0;
    while (k < UNKNOWN && strcmp(name, names[k]) != 0)
        k++;
    return k;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    if (find_action(ctx->node) == UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "case_change_action",
                                 "case_change_action is '%s': expected NONE, LOWER or UPPER",
                                 tn_attr_string(ctx->node, "case_change_action", ""));
    ctx->outputs[0].flags |= TN_TYPE_LATE;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 1 || x->rank > 2 ||
        (x->rank == 2 && tn_dim_known(x->dims[0]) && x->dims[0] != 1)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' is no list of texts: expected [C] or [1,C]");
        return TN_OK;
    }
    ctx->outputs[0].rank = x->rank;
    ctx->outputs[0].dims[0] = 1;
    ctx->outputs[0].dims[x->rank - 1] = TN_DIM_UNKNOWN;
    return TN_OK;
}

static uint32_t change(uint32_t code, int action, locale_t locale)
{
    if (action == KEEP)
        return code;
    if (!locale) {
        const int letter = action == LOWER ? code >= 'A' && code <= 'Z'
                                           : code >= 'a' && code <= 'z';
        return letter ? code ^ 0x20u : code;
    }
    return (uint32_t)(action == LOWER ? towlower_l((wint_t)code, locale)
                                      : towupper_l((wint_t)code, locale));
}

/* Whether two texts are equal, letters of both cases alike. */
static int alike(tn_text a, tn_text b, locale_t locale)
{
    size_t i = 0, j = 0, step;
    while (i < a.count && j < b.count) {
        const uint32_t x = change(utf8_read(a.bytes, a.count, i, &step), LOWER, locale);
        i += step;
        const uint32_t y = change(utf8_read(b.bytes, b.count, j, &step), LOWER, locale);
        j += step;
        if (x != y)
            return 0;
    }
    return i == a.count && j == b.count;
}

static int is_stopword(const tn_attribute *words, tn_text text, int exact, locale_t locale)
{
    for (size_t k = 0; words && k < words->count; k++) {
        if (exact ? text_equal(text, words->strings[k]) : alike(text, words->strings[k], locale))
            return 1;
    }
    return 0;
}

typedef struct job {
    tn_run *run;
    const tn_attribute *words;
    int action, exact;
    locale_t locale;
    char *room; /* four bytes for each of the longest text */
} job;

static tn_status convert(const job *j, tn_text text, tn_text *out)
{
    size_t used = 0, taken;
    *out = text;
    if (j->action == KEEP)
        return TN_OK;
    for (size_t at = 0; at < text.count; at += taken) {
        const uint32_t code = utf8_read(text.bytes, text.count, at, &taken);
        const uint32_t changed = change(code, j->action, j->locale);
        if (changed != code) {
            used += utf8_write(changed, j->room + used);
        } else {
            memcpy(j->room + used, text.bytes + at, taken);
            used += taken;
        }
    }
    return j->run->call.host->string_make(&j->run->call, j->room, used, out);
}

static tn_status normalize(const job *j)
{
    const tn_tensor *x = j->run->inputs[0];
    const tn_text *texts = x->data;
    const int64_t count = tn_count(x);
    int64_t kept = 0, dims[2] = { 1, 1 };
    for (int64_t k = 0; k < count; k++)
        kept += !is_stopword(j->words, texts[k], j->exact, j->locale);
    dims[x->rank - 1] = kept ? kept : 1;
    TN_TRY(j->run->call.host->output_alloc(&j->run->call, 0, x->rank, dims));
    tn_text *out = j->run->outputs[0]->data;
    if (!kept)
        *out = (tn_text){ "", 0 };
    for (int64_t k = 0; k < count; k++) {
        if (!is_stopword(j->words, texts[k], j->exact, j->locale))
            TN_TRY(convert(j, texts[k], out++));
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_attribute *words = tn_attr(ctx->node, "stopwords");
    const tn_text *texts = ctx->inputs[0]->data;
    size_t longest = 1;
    tn_tensor *room;
    (void)state, (void)slot;
    for (int64_t k = 0; k < tn_count(ctx->inputs[0]); k++)
        longest = texts[k].count > longest ? texts[k].count : longest;
    const tn_type type = {
        .size = sizeof type, .dtype = TN_UINT8, .rank = 1, .dims = { (int64_t)(4 * longest) }
    };
    TN_TRY(ctx->call.host->value_make(&ctx->call, &type, &room));
    const job j = { .run = ctx,
                    .words = words && words->type == TN_ATTR_STRINGS ? words : NULL,
                    .action = find_action(ctx->node),
                    .exact = tn_attr_int(ctx->node, "is_case_sensitive", 0) != 0,
                    .locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
                    .room = room->data };
    const tn_status status = normalize(&j);
    if (j.locale)
        freelocale(j.locale);
    ctx->call.host->value_release(&ctx->call, room);
    return status;
}

static const tn_param_def inputs[] = { { "X", NULL, TN_BIT(TN_STRING), 0, 0,
                                         "texts in UTF-8: [C] or [1, C]" } };
static const tn_param_def outputs[] = { { "Y", NULL, TN_BIT(TN_STRING), 0, 0,
                                          "those that are no stop words, or one empty text" } };
static const tn_attribute_def attributes[] = {
    { .name = "case_change_action",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "NONE",
      .doc = "LOWER, UPPER or NONE" },
    { .name = "is_case_sensitive",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: stop words of another case are none" },
    { .name = "locale", .type = TN_ATTR_STRING, .doc = "not looked at: case is Unicode's" },
    { .name = "stopwords", .type = TN_ATTR_STRINGS, .doc = "what is removed" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 10,
    .name = "StringNormalizer",
    .doc = "Removes stop words and changes case.",
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 4,
    .infer = infer,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "StringNormalizer", .run = run, .flags = TN_KERNEL_EMPTY
};

tn_status normalize_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
