/* plugins/onnx/survey.c: looking at a graph before it is written.
 *
 * SPDX-License-Identifier: MIT */
#include "write.h"

#include <stdlib.h>
#include <string.h>

/* ---- IR versions ----------------------------------------------------------------------------------- */

/* docs/Versioning.md of ONNX: the IR version that an operator set came with. Version 4 is the least
 * that is written: before, every initializer had to be an input. */
static int64_t version_of_opset(int64_t opset)
{
    static const int8_t versions[] = {
        [10] = 5,  [11] = 6,  [12] = 7,  [13] = 7,  [14] = 7,  [15] = 8,
        [16] = 8,  [17] = 8,  [18] = 8,  [19] = 9,  [20] = 9,  [21] = 10,
        [22] = 10, [23] = 11, [24] = 12, [25] = 13, [26] = 13, [27] = 13
    };
    if (opset < 10)
        return 4;
    return versions[opset < 27 ? opset : 27];
}

static int64_t version_of_dtype(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT8E4M3FN:
    case TN_FLOAT8E4M3FNUZ:
    case TN_FLOAT8E5M2:
    case TN_FLOAT8E5M2FNUZ: return 9;
    case TN_UINT4:
    case TN_INT4: return 10;
    case TN_FLOAT4E2M1: return 11;
    case TN_FLOAT8E8M0: return 12;
    case TN_UINT2:
    case TN_INT2: return 13;
    default: return 4;
    }
}

static void need(writer *w, int64_t version)
{
    if (w->ir_version < version)
        w->ir_version = version;
}

static void need_type(writer *w, const tn_type *type)
{
    need(w, version_of_dtype(type->dtype));
    for (uint32_t kind = type->kind; kind; kind >>= 4)
        need(w, (kind & 15) == TN_OPTIONAL ? 8 : 4);
}

/* ---- constants ---------------------------------------------------------------------------------------- */

enum { SLOTS = 1 << 24, SEEN_WORDS = SLOTS / 64 }; /* handles have 24 bits of slot */

static bool mark_seen(writer *w, tn_value_id value)
{
    const size_t slot = value & (SLOTS - 1);
    const uint64_t bit = UINT64_C(1) << slot % 64;
    const bool before = w->seen[slot / 64] & bit;
    w->seen[slot / 64] |= bit;
    return !before;
}

static tn_status note_value(writer *w, survey *s, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : w->api->value(s->graph, value);
    if (!view || !mark_seen(w, value))
        return TN_OK;
    need_type(w, view->type);
    if (!view->constant)
        return TN_OK;
    if (s->count == s->capacity) {
        const size_t capacity = s->capacity ? s->capacity * 2 : 64;
        placed *more = pool_take(&w->pool, capacity, sizeof *more);
        if (!more)
            return TN_ERR_MEMORY;
        if (s->count)
            memcpy(more, s->constants, s->count * sizeof *more);
        s->constants = more;
        s->capacity = capacity;
    }
    s->constants[s->count] = (placed){ view->region, value, value & (SLOTS - 1), SIZE_MAX };
    s->count++;
    return TN_OK;
}

static tn_status survey_region(writer *w, survey *s, tn_region_id region);

static tn_status survey_node(writer *w, survey *s, tn_node_id id)
{
    const tn_node_view *node = w->api->node(s->graph, id);
    const char *key;
    if (*node->overload)
        need(w, 10);
    for (uint32_t k = 0; (key = w->api->node_metadata(s->graph, id, k, NULL)) != NULL; k++)
        if (!is_own_key(key))
            need(w, 10);
    TN_TRY(history_allows(w, s->graph, id));
    for (uint32_t k = 0; k < node->input_count; k++)
        TN_TRY(note_value(w, s, node->inputs[k]));
    for (uint32_t k = 0; k < node->output_count; k++)
        TN_TRY(note_value(w, s, node->outputs[k]));
    for (uint32_t k = 0; k < node->attribute_count; k++) {
        const tn_attribute *a = &node->attributes[k];
        const bool graphs = a->type == TN_ATTR_GRAPH || a->type == TN_ATTR_GRAPHS;
        const bool tensors = a->type == TN_ATTR_TENSOR || a->type == TN_ATTR_TENSORS;
        const bool types = a->type == TN_ATTR_TYPE || a->type == TN_ATTR_TYPES;
        if (types)
            need(w, 8);
        for (size_t j = 0; graphs && j < a->count; j++)
            TN_TRY(survey_region(w, s, a->regions[j]));
        for (size_t j = 0; tensors && j < a->count; j++)
            need(w, version_of_dtype(a->tensors[j].dtype));
        for (size_t j = 0; types && j < a->count; j++)
            need_type(w, &a->types[j]);
    }
    return TN_OK;
}

static tn_status survey_region(writer *w, survey *s, tn_region_id region)
{
    const tn_value_id *values;
    uint32_t count = w->api->region_inputs(s->graph, region, &values);
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(note_value(w, s, values[k]));
    for (tn_node_id n = w->api->first_node(s->graph, region); n != TN_NONE;
         n = w->api->next_node(s->graph, n))
        TN_TRY(survey_node(w, s, n));
    count = w->api->region_outputs(s->graph, region, &values);
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(note_value(w, s, values[k]));
    return TN_OK;
}

static int by_region(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->region != y->region)
        return x->region < y->region ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static tn_status survey_graph(writer *w, survey *s, tn_graph *graph)
{
    int64_t version;
    s->graph = graph;
    memset(w->seen, 0, SEEN_WORDS * sizeof *w->seen);
    for (uint32_t k = 0; w->api->opset(graph, k, &version); k++)
        if (!*w->api->opset(graph, k, &version))
            need(w, version_of_opset(version));
    TN_TRY(read_words(w, s));
    for (size_t k = 0; k < s->node_count; k++)
        if (s->nodes[k].key)
            need(w, 10);
    TN_TRY(survey_region(w, s, TN_TOP_REGION));
    /* What nobody reads, too: an annotation may name it, or the user wants it kept. */
    for (tn_value_id v = w->api->next_value(graph, TN_NONE); v != TN_NONE;
         v = w->api->next_value(graph, v))
        if (w->api->value(graph, v)->constant)
            TN_TRY(note_value(w, s, v));
    if (s->count)
        qsort(s->constants, s->count, sizeof *s->constants, by_region);
    return TN_OK;
}

/* ---- external data ------------------------------------------------------------------------------------- */

/* A protobuf message ends at 2 GiB; beyond that, and with room for the rest, the large constants of
 * the model go to a file of their own, at multiples of 4096, which can be mapped. The graph may ask for
 * that earlier. */
enum { IN_MODEL = 1024, PAGE = 4096 };
#define EXTERNAL_FROM UINT64_C(0x7c000000)

static uint64_t external_from(const writer *w)
{
    const char *key, *text;
    for (uint32_t k = 0; (key = w->api->metadata(w->graph, k, &text)) != NULL; k++)
        if (!strcmp(key, KEY_EXTERNAL_FROM) && *text >= '0' && *text <= '9') {
            const uint64_t from = strtoull(text, NULL, 10);
            return from < EXTERNAL_FROM ? from : EXTERNAL_FROM;
        }
    return EXTERNAL_FROM;
}

static void place_externally(writer *w)
{
    survey *s = w->surveys;
    uint64_t total = 0;
    for (size_t k = 0; k < s->count; k++)
        total += w->api->value(s->graph, s->constants[k].value)->constant->bytes;
    if (total < external_from(w))
        return;
    for (size_t k = 0; k < s->count; k++) {
        const tn_tensor *tensor = w->api->value(s->graph, s->constants[k].value)->constant;
        if (tensor->bytes < IN_MODEL || tensor->dtype == TN_STRING)
            continue;
        s->constants[k].offset = (w->external_bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
        w->external_bytes = s->constants[k].offset + tensor->bytes;
    }
}

tn_status survey_all(writer *w)
{
    const tn_graph_api *api = w->api;
    const uint32_t functions = api->function_count(w->graph);
    w->surveys = pool_take(&w->pool, (size_t)functions + 1, sizeof *w->surveys);
    w->seen = pool_take(&w->pool, SEEN_WORDS, sizeof *w->seen);
    if (!w->surveys || !w->seen)
        return TN_ERR_MEMORY;
    memset(w->surveys, 0, ((size_t)functions + 1) * sizeof *w->surveys);
    w->ir_version = 4;
    if (functions)
        need(w, 8);
    TN_TRY(survey_graph(w, w->surveys, w->graph));
    if (w->surveys->annotation_count)
        need(w, 5);
    for (uint32_t k = 0; k < functions; k++) {
        const char *overload;
        const tn_attribute *attributes;
        tn_graph *function = api->function(w->graph, k, NULL, NULL, &overload);
        const uint32_t count = api->function_attributes(function, &attributes);
        if (*overload || api->metadata_count(function))
            need(w, 10);
        for (uint32_t j = 0; j < count; j++)
            if (attributes[j].type)
                need(w, 9);
        TN_TRY(survey_graph(w, &w->surveys[k + 1], function));
    }
    place_externally(w);
    return TN_OK;
}
