/* plugins/onnx/words.c: what the reader kept as metadata for want of a place, taken apart again.
 *
 * SPDX-License-Identifier: MIT */
#include "write.h"

#include <stdlib.h>
#include <string.h>

/* "a%2Fb" → "a/b", in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++)
        if (!strncmp(from, "%2F", 3) || !strncmp(from, "%25", 3)) {
            *to = from[2] == 'F' ? '/' : '%';
            from += 3;
        } else {
            *to = *from++;
        }
    *to = '\0';
}

/* Behind the prefix: NAME, or NAME/KEY. */
static tn_status take_apart(writer *w, const char *rest, const char *text, word *out)
{
    const size_t count = strlen(rest) + 1;
    char *name = pool_take(&w->pool, count, 1);
    if (!name)
        return TN_ERR_MEMORY;
    memcpy(name, rest, count);
    char *key = strchr(name, '/');
    if (key)
        *key++ = '\0';
    unescape(name);
    if (key)
        unescape(key);
    *out = (word){ name, key, text, false };
    return TN_OK;
}

static int by_name(const void *a, const void *b)
{
    const word *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order)
        return order;
    const int by_key = strcmp(x->key ? x->key : "", y->key ? y->key : "");
    return by_key ? by_key : x->is_name - y->is_name;
}

static bool begins_with(const char *text, const char *head)
{
    return !strncmp(text, head, strlen(head));
}

bool is_own_key(const char *key)
{
    return begins_with(key, KEY_REFERENCE) || begins_with(key, KEY_BODY_NAME) ||
           begins_with(key, KEY_BODY_DOC) || begins_with(key, KEY_BODY_METADATA);
}

/* What the reader keeps of a graph, and where it goes. */
typedef enum kept { KEPT_WORD, KEPT_NODE, KEPT_ANNOTATION } kept;
static const struct {
    const char *head;
    kept kind;
    bool is_name;
} heads[] = {
    { KEY_VALUE_DOC, KEPT_WORD, false },         { KEY_VALUE_METADATA, KEPT_WORD, false },
    { KEY_CONSTANT_NAME, KEPT_NODE, true },      { KEY_CONSTANT_DOC, KEPT_NODE, false },
    { KEY_CONSTANT_METADATA, KEPT_NODE, false }, { KEY_QUANTIZATION, KEPT_ANNOTATION, false },
};

static tn_status add_word(writer *w, survey *s, const char *key, const char *text)
{
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) {
        if (!begins_with(key, heads[k].head))
            continue;
        word *to = heads[k].kind == KEPT_WORD   ? &s->words[s->word_count++]
                   : heads[k].kind == KEPT_NODE ? &s->nodes[s->node_count++]
                                                : &s->annotations[s->annotation_count++];
        TN_TRY(take_apart(w, key + strlen(heads[k].head), text, to));
        to->is_name = heads[k].is_name;
        return TN_OK;
    }
    return TN_OK;
}

static void sort(word *words, size_t count)
{
    if (count)
        qsort(words, count, sizeof *words, by_name);
}

tn_status read_words(writer *w, survey *s)
{
    const uint32_t count = w->api->metadata_count(s->graph);
    const char *text;
    s->words = pool_take(&w->pool, count + 1, sizeof *s->words);
    s->nodes = pool_take(&w->pool, count + 1, sizeof *s->nodes);
    s->annotations = pool_take(&w->pool, count + 1, sizeof *s->annotations);
    if (!s->words || !s->nodes || !s->annotations)
        return TN_ERR_MEMORY;
    for (uint32_t k = 0; k < count; k++) {
        const char *key = w->api->metadata(s->graph, k, &text);
        TN_TRY(add_word(w, s, key, text));
    }
    sort(s->words, s->word_count);
    sort(s->nodes, s->node_count);
    sort(s->annotations, s->annotation_count);
    return TN_OK;
}

const word *find_words(const word *words, size_t count, const char *name, size_t *out_count)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(words[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*out_count = 0; low + *out_count < count && !strcmp(words[low + *out_count].name, name);)
        ++*out_count;
    return &words[low];
}
