/* plugins/onnx/write_parts.c: TensorProto, TypeProto, ValueInfoProto, AttributeProto.
 *
 * Field numbers are those of proto.c.
 *
 * SPDX-License-Identifier: MIT */
#include "write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors --------------------------------------------------------------------------------------- */

static size_t alignment_of(const tn_tensor *tensor)
{
    const uint32_t bits = tn_dtype_bits(tensor->dtype);
    if (tensor->bytes >= 1024)
        return 64;
    return bits <= 8 ? 1 : bits >= 64 ? 8 : bits / 8;
}

static void write_external(writer *w, const tn_tensor *tensor, size_t offset)
{
    char number[32];
    emit_entry(&w->e, 13, "location", w->external_name);
    snprintf(number, sizeof number, "%zu", offset);
    emit_entry(&w->e, 13, "offset", number);
    snprintf(number, sizeof number, "%zu", tensor->bytes);
    emit_entry(&w->e, 13, "length", number);
    emit_int(&w->e, 14, 1);
}

static void write_tensor_words(writer *w, const char *name)
{
    size_t count;
    const word *words = find_words(w->now->words, w->now->word_count, name, &count);
    for (size_t k = 0; k < count; k++)
        if (words[k].key)
            emit_entry(&w->e, 16, words[k].key, words[k].text);
        else
            emit_word(&w->e, 12, words[k].text);
}

void write_tensor(writer *w, uint32_t field, const tn_tensor *tensor, const char *name,
                  size_t offset)
{
    const emit_mark mark = emit_begin(&w->e, field, true);
    for (int32_t k = 0; k < tensor->rank; k++)
        emit_int(&w->e, 1, tensor->dims[k]);
    emit_int(&w->e, 2, tensor->dtype);
    if (name) {
        emit_text(&w->e, 8, name);
        write_tensor_words(w, name);
    }
    const tn_text *texts = tensor->data;
    if (offset != SIZE_MAX)
        write_external(w, tensor, offset);
    else if (tensor->dtype == TN_STRING)
        for (size_t k = 0; k < tensor->bytes / sizeof *texts; k++)
            emit_bytes(&w->e, 6, texts[k].bytes, texts[k].count);
    else {
        emit_padding(&w->e, tensor->bytes, alignment_of(tensor));
        emit_bytes(&w->e, 9, tensor->data, tensor->bytes);
    }
    emit_end(&w->e, mark);
}

/* ---- types ------------------------------------------------------------------------------------------ */

/* A quoted symbol without its quotes; an expression as it is. */
static void write_symbol(writer *w, tn_dim dim)
{
    const size_t count = w->api->dim_text(w->graph, dim, NULL, 0);
    const pool_mark mark = pool_here(&w->pool);
    char *text = pool_take(&w->pool, count + 1, 1), *to = text;
    if (!text) {
        w->e.status = TN_ERR_MEMORY;
        return;
    }
    w->api->dim_text(w->graph, dim, text, count + 1);
    if (*text == '\'') {
        const char *from = text + 1;
        for (; *from && (*from != '\'' || from[1] == '\''); from++) {
            from += *from == '\'';
            *to++ = *from;
        }
        if (!from[0] || !from[1])
            *to = '\0';
        else /* an expression that begins with a quoted symbol */
            w->api->dim_text(w->graph, dim, text, count + 1);
    }
    emit_text(&w->e, 2, text);
    pool_back(&w->pool, mark);
}

static void write_tensor_type(writer *w, const tn_type *type)
{
    const emit_mark mark = emit_begin(&w->e, 1, false);
    emit_int(&w->e, 1, type->dtype);
    if (type->rank >= 0) {
        const emit_mark shape = emit_begin(&w->e, 2, false);
        for (int32_t k = 0; k < type->rank; k++) {
            const emit_mark dim = emit_begin(&w->e, 1, false);
            if (tn_dim_known(type->dims[k]))
                emit_int(&w->e, 1, type->dims[k]);
            else if (type->dims[k] != TN_DIM_UNKNOWN)
                write_symbol(w, type->dims[k]);
            emit_end(&w->e, dim);
        }
        emit_end(&w->e, shape);
    }
    emit_end(&w->e, mark);
}

/* What is inside of a TypeProto whose wrappers are left in `kind`. */
static void write_type_body(writer *w, const tn_type *type, uint32_t kind)
{
    if (!kind) {
        write_tensor_type(w, type);
        return;
    }
    const emit_mark wrapper = emit_begin(&w->e, (kind & 15) == TN_SEQUENCE ? 4 : 9, false);
    const emit_mark inner = emit_begin(&w->e, 1, false);
    write_type_body(w, type, kind >> 4);
    emit_end(&w->e, inner);
    emit_end(&w->e, wrapper);
}

void write_type(writer *w, uint32_t field, const tn_type *type)
{
    const emit_mark mark = emit_begin(&w->e, field, false);
    if (type->dtype)
        write_type_body(w, type, type->kind);
    emit_end(&w->e, mark);
}

void write_value(writer *w, uint32_t field, const char *name, const tn_type *type)
{
    size_t count;
    const word *words = find_words(w->now->words, w->now->word_count, name, &count);
    const emit_mark mark = emit_begin(&w->e, field, false);
    emit_text(&w->e, 1, name);
    if (type->dtype)
        write_type(w, 2, type);
    for (size_t k = 0; k < count; k++)
        if (words[k].key)
            emit_entry(&w->e, 4, words[k].key, words[k].text);
        else
            emit_word(&w->e, 3, words[k].text);
    emit_end(&w->e, mark);
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

static bool holds_tensors(const tn_attribute *a)
{
    return a->type == TN_ATTR_TENSOR || a->type == TN_ATTR_TENSORS || a->type == TN_ATTR_GRAPH ||
           a->type == TN_ATTR_GRAPHS;
}

/* What is behind "HEAD ATTRIBUTE [#k]" in a key of the node; NULL: it is another key. */
static const char *behind(const char *key, const char *head, const tn_attribute *a, size_t k)
{
    char number[24] = "";
    if (a->type == TN_ATTR_GRAPHS)
        snprintf(number, sizeof number, "#%zu", k);
    const char *parts[] = { head, a->name, number };
    for (size_t p = 0; p < 3; p++) {
        const size_t count = strlen(parts[p]);
        if (strncmp(key, parts[p], count) != 0)
            return NULL;
        key += count;
    }
    return key;
}

static void write_usual_name(writer *w, const tn_attribute *a, const tn_node_view *node)
{
    const pool_mark here = pool_here(&w->pool);
    const size_t room = strlen(node->name) + strlen(a->name) + 2;
    char *name = pool_take(&w->pool, room, 1);
    if (name) {
        snprintf(name, room, "%s.%s", node->name, a->name);
        emit_text(&w->e, 2, name);
    } else {
        w->e.status = TN_ERR_MEMORY;
    }
    /* What the emitter took meanwhile would go with the name: only the second pass takes none. */
    if (!w->e.counting)
        pool_back(&w->pool, here);
}

/* Name, doc and metadata of the graph behind an attribute, as they were read or as is usual. */
static void write_body_words(writer *w, const tn_attribute *a, size_t k, const tn_node_view *node,
                             tn_node_id id)
{
    const char *key, *text, *rest;
    bool named = false;
    for (uint32_t j = 0; (key = w->api->node_metadata(w->graph, id, j, &text)) != NULL; j++) {
        if ((rest = behind(key, KEY_BODY_NAME, a, k)) && !*rest) {
            emit_text(&w->e, 2, text);
            named = true;
        } else if ((rest = behind(key, KEY_BODY_DOC, a, k)) && !*rest) {
            emit_word(&w->e, 10, text);
        } else if ((rest = behind(key, KEY_BODY_METADATA, a, k)) && *rest == '/') {
            emit_entry(&w->e, 16, rest + 1, text);
        }
    }
    if (!named)
        write_usual_name(w, a, node);
}

static void write_graphs(writer *w, const tn_attribute *a, const tn_node_view *node, tn_node_id id)
{
    for (size_t k = 0; k < a->count; k++) {
        const emit_mark mark = emit_begin(&w->e, a->type == TN_ATTR_GRAPH ? 6 : 11, true);
        write_body_words(w, a, k, node, id);
        write_region(w, a->regions[k]);
        emit_end(&w->e, mark);
    }
}

static void write_contents(writer *w, const tn_attribute *a, const tn_node_view *node,
                           tn_node_id id)
{
    emitter *e = &w->e;
    switch (a->type) {
    case TN_ATTR_FLOAT: emit_float(e, 2, (float)a->f); return;
    case TN_ATTR_INT: emit_int(e, 3, a->i); return;
    case TN_ATTR_STRING: emit_bytes(e, 4, a->s.bytes, a->s.count); return;
    case TN_ATTR_TENSOR: write_tensor(w, 5, a->tensors, NULL, SIZE_MAX); return;
    case TN_ATTR_GRAPH:
    case TN_ATTR_GRAPHS: write_graphs(w, a, node, id); return;
    case TN_ATTR_TYPE: write_type(w, 14, a->types); return;
    default: break;
    }
    for (size_t k = 0; k < a->count; k++)
        switch (a->type) {
        case TN_ATTR_FLOATS: emit_float(e, 7, a->floats[k]); break;
        case TN_ATTR_INTS: emit_int(e, 8, a->ints[k]); break;
        case TN_ATTR_STRINGS: emit_bytes(e, 9, a->strings[k].bytes, a->strings[k].count); break;
        case TN_ATTR_TENSORS: write_tensor(w, 10, &a->tensors[k], NULL, SIZE_MAX); break;
        default: write_type(w, 15, &a->types[k]); break; /* TN_ATTR_TYPES */
        }
}

/* Of a reference the file must say the type: as it was read, or as the function declares it. */
static int64_t type_of_reference(const writer *w, const tn_attribute *a, tn_node_id id)
{
    const tn_attribute *parameters;
    const char *key, *text;
    const size_t head = strlen(KEY_REFERENCE);
    for (uint32_t k = 0; (key = w->api->node_metadata(w->graph, id, k, &text)) != NULL; k++)
        if (!strncmp(key, KEY_REFERENCE, head) && !strcmp(key + head, a->name))
            return strtol(text, NULL, 10);
    const uint32_t count = w->api->function_attributes(w->graph, &parameters);
    for (uint32_t k = 0; k < count; k++)
        if (!strcmp(parameters[k].name, a->s.bytes))
            return parameters[k].type;
    return 0;
}

void write_attribute(writer *w, uint32_t field, const tn_attribute *a, const tn_node_view *node,
                     tn_node_id id)
{
    const emit_mark mark = emit_begin(&w->e, field, holds_tensors(a));
    emit_text(&w->e, 1, a->name);
    if (a->type == TN_ATTR_REF) {
        emit_bytes(&w->e, 21, a->s.bytes, a->s.count);
        emit_int(&w->e, 20, type_of_reference(w, a, id));
    } else {
        write_contents(w, a, node, id);
        emit_int(&w->e, 20, a->type);
    }
    emit_end(&w->e, mark);
}
