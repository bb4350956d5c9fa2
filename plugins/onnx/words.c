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
    *out = (word){ name, key, text };
    return TN_OK;
}

static int by_name(const void *a, const void *b)
{
    const word *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    if (order)
        return order;
    return strcmp(x->key ? x->key : "", y->key ? y->key : "");
}

static bool begins_with(const char *text, const char *head)
{
    return !strncmp(text, head, strlen(head));
}

tn_status read_words(writer *w)
{
    const uint32_t count = w->api->metadata_count(w->graph);
    const char *text;
    w->words = pool_take(&w->pool, count + 1, sizeof *w->words);
    w->annotations = pool_take(&w->pool, count + 1, sizeof *w->annotations);
    if (!w->words || !w->annotations)
        return TN_ERR_MEMORY;
    for (uint32_t k = 0; k < count; k++) {
        const char *key = w->api->metadata(w->graph, k, &text);
        const bool is_doc = begins_with(key, KEY_VALUE_DOC);
        if (is_doc || begins_with(key, KEY_VALUE_METADATA))
            TN_TRY(take_apart(w, key + strlen(is_doc ? KEY_VALUE_DOC : KEY_VALUE_METADATA), text,
                              &w->words[w->word_count++]));
        else if (begins_with(key, KEY_QUANTIZATION))
            TN_TRY(take_apart(w, key + strlen(KEY_QUANTIZATION), text,
                              &w->annotations[w->annotation_count++]));
    }
    if (w->word_count)
        qsort(w->words, w->word_count, sizeof *w->words, by_name);
    if (w->annotation_count)
        qsort(w->annotations, w->annotation_count, sizeof *w->annotations, by_name);
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
