/* engine/json/source.c: the text that a graph came from, kept for complaints of later stages.
 *
 * Inference complains long after the file was read and unmapped. A text of usual size is kept; a
 * huge one is looked up in its file again, if that still has as many bytes.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/source.h"
#include "engine/json/positions.h"

enum { MOST_KEPT = 64 << 20 };

typedef struct source {
    char *path, *text; /* text NULL: look into the file */
    size_t count;
} source;

static void find(const char *text, size_t count, const char *origin, const char *part,
                 uint32_t *line, uint32_t *column)
{
    tn_builder path = { 0 };
    size_t offset;
    tn_add(&path, "%s%s", origin, part);
    if (!path.failed) {
        /* A part that the text leaves out (a default attribute) stands where the node stands. */
        if (!tn_json_find(text, count, tn_builder_text(&path), false, &offset))
            tn_json_find(text, count, origin, false, &offset);
        tn_json_position(text, count, offset, line, column);
    }
    tn_builder_fini(&path);
}

static void locate(void *user, const char *origin, const char *part, uint32_t *line,
                   uint32_t *column)
{
    const source *s = user;
    tn_buffer *file;
    if (s->text) {
        find(s->text, s->count, origin, part, line, column);
    } else if (s->path && tn_file_map(s->path, &file) == TN_OK) {
        if (tn_buffer_size(file) == s->count)
            find(tn_buffer_bytes(file), s->count, origin, part, line, column);
        tn_buffer_unref(file);
    }
}

static void destroy(void *user)
{
    source *s = user;
    tn_free(s->path);
    tn_free(s->text);
    tn_free(s);
}

tn_status tn_json_set_source(tn_graph *graph, const char *path, const char *text, size_t count)
{
    source *s = tn_alloc(1, sizeof *s);
    if (!s)
        return tn_raise_memory();
    s->count = count;
    s->path = tn_strdup(path);
    s->text = count <= MOST_KEPT ? tn_alloc(count + 1, 1) : NULL;
    if ((path && !s->path) || (count <= MOST_KEPT && !s->text)) {
        destroy(s);
        return tn_raise_memory();
    }
    if (s->text && count)
        memcpy(s->text, text, count);
    tn_graph_set_source(graph, path, locate, s, destroy);
    return TN_OK;
}
