/* engine/base/diagnostics.c: a list of complaints, each composed into one line.
 *
 * Keeps the first 100 and counts the rest. A complaint whose copy finds no memory is counted, too,
 * so that an error never turns into success.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

enum { KEPT = 100, SEVERITIES = 3 };

struct tn_diagnostics {
    tn_pool pool;
    uint32_t count;
    size_t totals[SEVERITIES];
    size_t errors_before; /* the call under way began */
    tn_diagnostic items[KEPT];
};

/* Without a list: whether this thread's message is already the first error of the call. */
static _Thread_local enum { ALONE, WAITING, HELD } first_error;

tn_status tn_diagnostics_create(tn_diagnostics **out)
{
    if (!out)
        return tn_raise(TN_ERR_ARGUMENT, "out is NULL");
    tn_diagnostics *diagnostics = tn_alloc(1, sizeof *diagnostics);
    if (!diagnostics)
        return tn_raise_memory();
    *out = diagnostics;
    return TN_OK;
}

void tn_diagnostics_destroy(tn_diagnostics *diagnostics)
{
    if (diagnostics)
        tn_pool_fini(&diagnostics->pool);
    tn_free(diagnostics);
}

void tn_diagnostics_clear(tn_diagnostics *diagnostics)
{
    if (!diagnostics)
        return;
    tn_pool_fini(&diagnostics->pool);
    memset(diagnostics, 0, sizeof *diagnostics);
}

size_t tn_diagnostics_count(const tn_diagnostics *diagnostics)
{
    return diagnostics ? diagnostics->count : 0;
}

size_t tn_diagnostics_total(const tn_diagnostics *diagnostics, uint32_t severity)
{
    return diagnostics && severity < SEVERITIES ? diagnostics->totals[severity] : 0;
}

size_t tn_diagnostics_errors(const tn_diagnostics *diagnostics)
{
    return tn_diagnostics_total(diagnostics, TN_SEVERITY_ERROR);
}

const tn_diagnostic *tn_diagnostics_get(const tn_diagnostics *diagnostics, size_t k)
{
    return diagnostics && k < diagnostics->count ? &diagnostics->items[k] : NULL;
}

void tn_diagnostics_begin(tn_diagnostics *diagnostics)
{
    first_error = WAITING;
    if (diagnostics)
        diagnostics->errors_before = tn_diagnostics_errors(diagnostics);
}

tn_status tn_diagnostics_end(const tn_diagnostics *diagnostics, tn_status status)
{
    first_error = ALONE;
    if (status == TN_OK || !diagnostics)
        return status;
    size_t errors = 0;
    for (size_t k = 0; k < diagnostics->count; k++)
        if (diagnostics->items[k].severity == TN_SEVERITY_ERROR &&
            errors++ == diagnostics->errors_before)
            return tn_raise(status, "%s", diagnostics->items[k].text);
    return status;
}

static bool says(const char *text)
{
    return text && *text;
}

/* "file:line:col: warning: node 'n' (Op) in region: message; suggestion" */
static void compose(tn_builder *out, const tn_diagnostic *d)
{
    static const char *const severities[SEVERITIES] = { "", "warning: ", "note: " };
    if (says(d->file))
        tn_add(out, "%s:", d->file);
    if (d->line)
        tn_add(out, "%" PRIu32 ":", d->line);
    if (d->line && d->column)
        tn_add(out, "%" PRIu32 ":", d->column);
    if (out->count)
        tn_add(out, " ");
    tn_add(out, "%s", d->severity < SEVERITIES ? severities[d->severity] : "");
    if (says(d->node))
        tn_add(out, "node '%s'", d->node);
    if (says(d->op))
        tn_add(out, "%s%s%s", says(d->node) ? " (" : "", d->op, says(d->node) ? ")" : "");
    if (says(d->region))
        tn_add(out, "%sin %s", says(d->node) || says(d->op) ? " " : "", d->region);
    if (says(d->node) || says(d->op) || says(d->region))
        tn_add(out, ": ");
    tn_add(out, "%s", d->message ? d->message : "");
    if (says(d->suggestion))
        tn_add(out, "; %s", d->suggestion);
    for (size_t k = 0; k < out->count; k++)
        if ((unsigned char)out->text[k] < 0x20 || out->text[k] == 0x7f)
            out->text[k] = ' ';
}

/* Copies all texts of `d` to the list's pool; false when memory is short. */
static bool keep(tn_diagnostics *list, const tn_diagnostic *d, const char *text)
{
    tn_diagnostic *item = &list->items[list->count];
    *item = *d;
    item->size = sizeof *item;
    item->text = text;
    const char **texts[] = { &item->file,  &item->region,  &item->node,       &item->op,
                             &item->about, &item->message, &item->suggestion, &item->text };
    for (size_t k = 0; k < TN_COUNT(texts); k++) {
        *texts[k] = tn_pool_copy(&list->pool, *texts[k] ? *texts[k] : "");
        if (!*texts[k])
            return false;
    }
    list->count++;
    return true;
}

tn_status tn_diagnose(tn_diagnostics *diagnostics, const tn_diagnostic *diagnostic)
{
    const uint32_t severity = diagnostic->severity < SEVERITIES ? diagnostic->severity : 0;
    bool first = severity == TN_SEVERITY_ERROR;
    tn_builder text = { 0 };
    compose(&text, diagnostic);
    if (diagnostics) {
        first = first && tn_diagnostics_errors(diagnostics) == diagnostics->errors_before;
        if (diagnostics->count < KEPT)
            keep(diagnostics, diagnostic, tn_builder_text(&text));
        diagnostics->totals[severity]++;
    } else if (first) {
        first = first_error != HELD;
        first_error = first_error == ALONE ? ALONE : HELD;
    }
    if (first && text.failed) /* a cut line would be half a sentence */
        tn_raise(diagnostic->status, "%s", diagnostic->message ? diagnostic->message : "");
    else if (first)
        tn_raise(diagnostic->status, "%s", tn_builder_text(&text));
    tn_builder_fini(&text);
    return diagnostic->status;
}
