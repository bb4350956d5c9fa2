/* plugins/onnx/reader.c: messages of the reader, and the small things that all its parts need.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ------------------------------------------------------------------------------------- */

typedef struct line {
    char text[900];
    size_t count;
} line;

static void add(line *l, const char *format, ...) TN_PRINTF(2, 3);
static void add(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int count = vsnprintf(l->text + l->count, sizeof l->text - l->count, format, args);
    va_end(args);
    if (count > 0)
        l->count += (size_t)count;
    if (l->count >= sizeof l->text)
        l->count = sizeof l->text - 1;
}

/* Of a deep place the inner part tells most. */
static void add_place(line *l, const place *at, int levels)
{
    if (!at)
        return;
    if (at->up && !levels)
        add(l, "….");
    if (at->up && levels) {
        add_place(l, at->up, levels - 1);
        add(l, ".");
    }
    add(l, "%s", at->what);
    if (at->index != NO_INDEX)
        add(l, "[%zu]", at->index);
    if (at->name.count)
        add(l, " '%.*s'", (int)(at->name.count < 80 ? at->name.count : 80),
            (const char *)at->name.bytes);
    if (at->op.count)
        add(l, " (%.*s)", (int)(at->op.count < 40 ? at->op.count : 40), (const char *)at->op.bytes);
}

tn_status reader_fail(reader *r, const place *at, tn_status status, const char *format, ...)
{
    line l = { .count = 0 };
    char text[512];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    add_place(&l, at, 8);
    return tn_fail(r->ctx, status, "%s%s%s", l.text, l.count ? ": " : "", text);
}

tn_status reader_settle(reader *r, const place *at, tn_status status)
{
    const tn_graph_api *api = r->ctx->api;
    if (status == TN_OK)
        return TN_OK;
    const char *why = TN_HAS(api, error_message) ? api->error_message() : "";
    return reader_fail(r, at, status, "%s", *why ? why : "the graph refuses it");
}

void reader_drop(reader *r, uint32_t kind)
{
    static const struct {
        uint32_t kind;
        const char *text;
    } texts[] = {
        { DROPPED_TRAINING, "training_info is left out: Tenon runs the inference graph" },
        { DROPPED_DEVICES, "device configurations are left out: backends are a session's choice" },
        { DROPPED_ATTRIBUTE_DOC, "doc strings of attributes are left out" },
        { DROPPED_DENOTATION, "denotations of types and dimensions are left out" },
    };
    if (r->dropped & kind)
        return;
    r->dropped |= kind;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (texts[k].kind == kind)
            r->ctx->call.host->complain(&r->ctx->call, TN_OK, TN_WHERE_NODE, 0, NULL, "%s",
                                        texts[k].text);
}

/* ---- opening and copying --------------------------------------------------------------------------- */

tn_status reader_open(reader *r, const place *at, const wire_message *message, wire_span bytes,
                      void *out)
{
    wire_error error;
    if (wire_open(message, bytes, r->file, out, &error) == TN_OK)
        return TN_OK;
    return reader_fail(r, at, error.status, "%s", error.text);
}

tn_status reader_text(reader *r, const place *at, wire_span text, const char **out)
{
    if (text.count && memchr(text.bytes, 0, text.count))
        return reader_fail(r, at, TN_ERR_NAME, "a name holds a zero byte");
    char *copy = pool_take(&r->pool, text.count + 1, 1);
    if (!copy)
        return TN_ERR_MEMORY;
    if (text.count)
        memcpy(copy, text.bytes, text.count);
    copy[text.count] = '\0';
    *out = copy;
    return TN_OK;
}

/* ---- metadata ------------------------------------------------------------------------------------------ */

/* Names and keys may hold anything; '/' parts them, so it and '%' are written %2F and %25. */
static char *put_escaped(char *to, wire_span text)
{
    for (size_t k = 0; k < text.count; k++)
        if (text.bytes[k] == '/' || text.bytes[k] == '%') {
            memcpy(to, text.bytes[k] == '/' ? "%2F" : "%25", 3);
            to += 3;
        } else {
            *to++ = (char)text.bytes[k];
        }
    return to;
}

tn_status keep_text(reader *r, const place *at, const char *prefix, wire_span name, wire_span key,
                    wire_span text)
{
    const char *value = NULL;
    const size_t head = strlen(prefix);
    if ((name.count && memchr(name.bytes, 0, name.count)) ||
        (key.count && memchr(key.bytes, 0, key.count)))
        return reader_fail(r, at, TN_ERR_NAME, "a name holds a zero byte");
    TN_TRY(reader_text(r, at, text, &value));
    char *whole = pool_take(&r->pool, head + 3 * (name.count + key.count) + 2, 1);
    if (!whole)
        return TN_ERR_MEMORY;
    memcpy(whole, prefix, head);
    char *end = put_escaped(whole + head, name);
    if (key.bytes) {
        *end++ = '/';
        end = put_escaped(end, key);
    }
    *end = '\0';
    return reader_settle(r, at, r->ctx->api->set_metadata(r->graph, whole, value));
}

tn_status read_metadata(reader *r, const place *at, wire_list list, const char *prefix)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "metadata_props", .index = k };
        proto_entry entry;
        TN_TRY(reader_open(r, &here, &proto_entry_message, bytes, &entry));
        if (*prefix) {
            TN_TRY(keep_text(r, &here, prefix, entry.key, (wire_span){ 0 }, entry.value));
            continue;
        }
        const char *key = NULL, *value = NULL;
        TN_TRY(reader_text(r, &here, entry.key, &key));
        TN_TRY(reader_text(r, &here, entry.value, &value));
        TN_TRY(reader_settle(r, &here, r->ctx->api->set_metadata(r->graph, key, value)));
    }
    return TN_OK;
}
