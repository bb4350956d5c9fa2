/* engine/json/complain.c: complaints of the reader: where, what was found, what was expected.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/positions.h"
#include "engine/json/reader.h"

#include <stdio.h>

enum { MOST = 100 /* kept by a list of diagnostics: further ones are counted, not located */ };

void tn_json_add_path(tn_builder *out, const tn_place *at)
{
    if (!at || (!at->up && !at->key))
        return;
    tn_json_add_path(out, at->up);
    tn_add_bytes(out, "/", 1);
    if (!at->key) {
        tn_add(out, "%zu", at->index);
        return;
    }
    for (const char *c = at->key; *c; c++) {
        if (*c == '~' || *c == '/')
            tn_add_bytes(out, *c == '~' ? "~0" : "~1", 2);
        else
            tn_add_bytes(out, c, 1);
    }
}

static void locate(tn_reader *r, const tn_place *at, tn_diagnostic *d)
{
    tn_builder path = { 0 };
    size_t offset;
    tn_json_add_path(&path, at);
    tn_json_find(r->text, r->count, tn_builder_text(&path), at && at->at_key, &offset);
    tn_json_position(r->text, r->count, offset, &d->line, &d->column);
    tn_builder_fini(&path);
}

static void diagnose(tn_reader *r, const tn_place *at, tn_status status, const char *suggestion,
                     const char *message)
{
    tn_diagnostic d = { .size = sizeof d,
                        .severity = TN_SEVERITY_ERROR,
                        .status = status,
                        .file = r->path,
                        .node = r->node,
                        .op = r->op,
                        .message = message,
                        .region = tn_builder_text(&r->region),
                        .suggestion = suggestion };
    if (r->errors < MOST)
        locate(r, at, &d);
    if (r->errors++ == 0)
        r->status = status;
    tn_diagnose(r->diagnostics, &d);
}

void tn_json_complain(tn_reader *r, const tn_place *at, tn_status status, const char *suggestion,
                      const char *format, ...)
{
    char message[800];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    diagnose(r, at, status, suggestion, message);
}

void tn_json_complain_message(tn_reader *r, const tn_place *at, tn_status status, const char *about)
{
    char message[800];
    snprintf(message, sizeof message, "%s%s%s", about ? about : "", about ? ": " : "",
             tn_error_message());
    diagnose(r, at, status, "", message);
}

tn_status tn_json_settle(tn_reader *r, const tn_place *at, tn_status status)
{
    if (status == TN_OK || status == TN_ERR_MEMORY)
        return status;
    tn_json_complain_message(r, at, status, NULL);
    return TN_OK;
}

/* At most 40 bytes of a text, cut between characters. */
static void add_cut(tn_builder *out, const char *text, size_t count)
{
    size_t cut = count;
    if (count > 40)
        for (cut = 37; cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80; cut--)
            continue;
    tn_builder quoted = { 0 };
    tn_add_quoted(&quoted, text, cut);
    if (cut < count && quoted.count > 0 && !quoted.failed)
        tn_add(out, "%.*s…\"", (int)quoted.count - 1, quoted.text);
    else
        tn_add(out, "%s", tn_builder_text(&quoted));
    tn_builder_fini(&quoted);
}

const char *tn_json_found(tn_reader *r, const json_t *value)
{
    tn_builder text = { 0 };
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return json_array_size(value) ? "a list" : "an empty list";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    case JSON_STRING: add_cut(&text, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: tn_add(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL:
        tn_add_number(&text, json_real_value(value), false);
        if (!strpbrk(tn_builder_text(&text), ".e"))
            tn_add(&text, ".0");
        break;
    }
    const char *copy = tn_pool_copy(&r->pool, tn_builder_text(&text));
    tn_builder_fini(&text);
    return copy ? copy : "this";
}

const char *tn_json_did_you_mean(tn_reader *r, const char *name, const char *const *names,
                                 size_t count)
{
    const char *near = r->errors < MOST ? tn_nearest(name, names, count) : NULL;
    tn_builder text = { 0 };
    if (!near)
        return "";
    tn_add(&text, "did you mean \"%s\"?", near);
    const char *copy = tn_pool_copy(&r->pool, tn_builder_text(&text));
    tn_builder_fini(&text);
    return copy ? copy : "";
}
