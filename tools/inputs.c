/* tools/inputs.c: what a run is given: --input, read into tensors or pictures; the rest random.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

enum { DEFAULT_BATCH = 100 };

/* ---- which file belongs to which input ------------------------------------------------------ */

static const char *file_of(const char *text, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(text, name, length) == 0 && text[length] == '=' ? text + length + 1 : NULL;
}

static int check_names(tool *t, const tn_session *session)
{
    for (size_t k = 0; k < t->set.inputs.count; k++) {
        const char *text = t->set.inputs.items[k], *equals = strchr(text, '=');
        const tn_port *port;
        bool found = false;
        for (size_t p = 0; !found && (port = tn_session_input(session, p)); p++)
            found = file_of(text, port->name) != NULL;
        if (found || (!equals && input_count(session) == 1))
            continue;
        if (!equals)
            return bad(t, EXIT_USAGE,
                       "--input is '%s', expected NAME=FILE: the model has %zu inputs", text,
                       input_count(session));
        return find_input(t, session, keep_text(t, text, (size_t)(equals - text))) ? EXIT_FINE
                                                                                   : EXIT_BAD;
    }
    return EXIT_FINE;
}

static list files_of(tool *t, const tn_session *session, const tn_port *port)
{
    list files = { NULL, 0 };
    for (size_t k = 0; k < t->set.inputs.count; k++) {
        const char *text = t->set.inputs.items[k], *file = file_of(text, port->name);
        if (!file && !strchr(text, '=') && input_count(session) == 1)
            file = text;
        if (file)
            list_add(t, &files, file);
    }
    return files;
}

/* ---- pictures ------------------------------------------------------------------------------- */

typedef enum content { OTHER, PNG, JPEG, IDX } content;

static content sniff(const char *path)
{
    uint8_t head[8] = { 0 };
    FILE *file = fopen(path, "rb");
    size_t count = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    if (count == 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0)
        return PNG;
    if (count == 8 && memcmp(head, "\xff\xd8\xff", 3) == 0)
        return JPEG;
    return idx_sniff((blob){ head, count }) ? IDX : OTHER;
}

static int read_picture_files(tool *t, const list *files, input *in)
{
    in->pictures = keep_array(t, files->count, sizeof *in->pictures);
    in->picture_count = (int64_t)files->count;
    for (size_t k = 0; k < files->count; k++) {
        const char *path = files->items[k];
        const content kind = sniff(path);
        blob bytes;
        int code;
        if (kind != PNG && kind != JPEG)
            return bad(t, EXIT_BAD, "%s is neither PNG nor JPEG, as the others of input '%s' are",
                       path, in->port->name);
        code = file_read(t, path, &bytes);
        if (!code)
            code = kind == PNG ? png_read(t, path, bytes, &in->pictures[k])
                               : jpeg_read(t, path, bytes, &in->pictures[k]);
        if (code)
            return code;
    }
    return EXIT_FINE;
}

/* An IDX file of bytes is pictures: [N, rows, columns] or [N, rows, columns, channels]. */
static int split_pictures(tool *t, const char *path, const tn_tensor *idx, input *in)
{
    const int64_t channels = idx->rank == 4 ? idx->dims[3] : 1;
    const int64_t bytes = idx->dims[1] * idx->dims[2] * channels;
    if (channels != 1 && channels != 3)
        return bad(t, EXIT_BAD, "%s has %lld channels, expected 1 or 3", path, (long long)channels);
    if (idx->dims[0] == 0 || bytes == 0)
        return bad(t, EXIT_BAD, "%s has no pictures", path);
    in->picture_count = idx->dims[0];
    in->pictures = keep_array(t, (size_t)in->picture_count, sizeof *in->pictures);
    for (int64_t k = 0; k < in->picture_count; k++)
        in->pictures[k] = (picture){ (const uint8_t *)idx->data + k * bytes, idx->dims[1],
                                     idx->dims[2], channels,
                                     keep_format(t, "%s[%lld]", base_name(path), (long long)k) };
    return EXIT_FINE;
}

/* Settles what the recipe left open by the first picture; the others must then be alike. */
static int settle_recipe(tool *t, input *in)
{
    const picture *first = &in->pictures[0];
    recipe *r = &in->recipe;
    const bool open = !r->rows || !r->columns;
    int code = recipe_make(t, in->port, r);
    if (code)
        return code;
    if (open && (!r->rows || !r->columns)) {
        for (int64_t k = 1; k < in->picture_count; k++)
            if (in->pictures[k].rows != first->rows || in->pictures[k].columns != first->columns)
                return bad(t, EXIT_BAD,
                           "%s and %s differ in size and the model declares none: say --size HxW",
                           first->name, in->pictures[k].name);
        r->rows = first->rows;
        r->columns = first->columns;
    }
    if (!r->channels)
        r->channels = first->channels;
    if (t->set.limit && (int64_t)t->set.limit < in->picture_count)
        in->picture_count = (int64_t)t->set.limit;
    return EXIT_FINE;
}

static tn_tensor *picture_tensor(tool *t, const input *in, int64_t count)
{
    const recipe *r = &in->recipe;
    const tn_type *type = &in->port->type;
    const uint32_t dtype = type->dtype ? type->dtype : TN_FLOAT32;
    const int64_t planes[4] = { count, r->channels, r->rows, r->columns };
    const int64_t pixels[4] = { count, r->rows, r->columns, r->channels };
    const int64_t flat[2] = { count, r->rows * r->columns * r->channels };
    if (type->rank == 2)
        return array_make(t, dtype, 2, flat);
    if (type->rank == 3) /* no axis for the batch: one at a time */
        return array_make(t, dtype, 3, (r->channels_last ? pixels : planes) + 1);
    return array_make(t, dtype, 4, r->channels_last ? pixels : planes);
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* A tensor; of ONNX's .pb perhaps all that a sequence or optional is. */
static int read_tensor(tool *t, const char *file, const tn_port *port, tn_tensor **out)
{
    const uint32_t want = port->type.dtype;
    const bool idx = sniff(file) == IDX;
    int code = array_read(t, file, &port->type, out);
    if (code || (*out)->kind || !want || (*out)->dtype == want || want == TN_STRING ||
        (*out)->dtype == TN_STRING)
        return code;
    /* Numbers of IDX have a type only by accident; others are meant as they are, except where
     * numpy has no such type at all. */
    if (idx || strcmp(tn_dtype_name((*out)->dtype), npy_dtype(want)) == 0)
        *out = array_convert(t, *out, want);
    return *out ? EXIT_FINE : EXIT_BAD;
}

/* Makes a list of copies; it lives as long as the command. */
static int make_list(tool *t, uint32_t kind, const tn_tensor *const *elements, size_t count,
                     tn_tensor **out)
{
    const tn_status status = tn_value_create(kind, elements, count, out);
    if (status)
        return complain(t, status);
    list_add(t, &t->values, *out);
    return EXIT_FINE;
}

/* A sequence is its files, in order; NAME= alone an empty one. An optional is its file, or none; one
 * of a sequence holds the sequence of all files. One file of ONNX's may hold the whole. */
static int read_elements(tool *t, const list *files, input *in)
{
    const uint32_t kind = in->port->type.kind, inner = kind >> 4;
    const tn_tensor **elements = keep_array(t, files->count, sizeof *elements);
    size_t count = 0;
    const bool single = files->count == 1 && *files->items[0];
    tn_tensor *sequence;
    int code = single ? read_tensor(t, files->items[0], in->port, &in->tensor) : EXIT_FINE;
    if (code || (single && in->tensor->kind))
        return code;
    if ((inner && inner != TN_SEQUENCE) || (inner && (kind & 15) != TN_OPTIONAL))
        return bad(t, EXIT_BAD, "input '%s' is a type inside a type, which --input cannot make",
                   in->port->name);
    for (size_t k = 0; k < files->count; k++) {
        tn_tensor *element;
        if (!*files->items[k]) /* NAME= alone: an empty one */
            continue;
        if (read_tensor(t, files->items[k], in->port, &element))
            return EXIT_BAD;
        if (element->kind)
            return bad(t, EXIT_BAD, "%s holds all of input '%s', which is given %zu files",
                       files->items[k], in->port->name, files->count);
        elements[count++] = element;
    }
    if (inner && count) {
        code = make_list(t, TN_SEQUENCE, elements, count, &sequence);
        if (code)
            return code;
        elements[0] = sequence;
        count = 1;
    }
    if ((kind & 15) == TN_OPTIONAL && count > 1)
        return bad(t, EXIT_BAD, "input '%s' is optional and takes one file, found %zu",
                   in->port->name, count);
    return make_list(t, kind, elements, count, &in->tensor);
}

static int read_input(tool *t, const list *files, input *in)
{
    const content kind = sniff(files->items[0]);
    int code;
    in->file = files->items[0];
    if (in->port->type.kind)
        return read_elements(t, files, in);
    if (kind == PNG || kind == JPEG) {
        code = read_picture_files(t, files, in);
        return code ? code : settle_recipe(t, in);
    }
    if (files->count > 1)
        return bad(t, EXIT_BAD,
                   "input '%s' is given %zu files; only pictures and sequences take several",
                   in->port->name, files->count);
    if (kind == IDX) {
        tn_tensor *idx;
        code = array_read(t, files->items[0], NULL, &idx);
        if (!code && idx->dtype == TN_UINT8 && (idx->rank == 3 || idx->rank == 4)) {
            code = split_pictures(t, files->items[0], idx, in);
            return code ? code : settle_recipe(t, in);
        }
        if (code)
            return code;
    }
    return read_tensor(t, files->items[0], in->port, &in->tensor);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int fill(tool *t, size_t k, bool random, input *in)
{
    tn_type type;
    int code;
    if (in->port->has_default)
        return EXIT_FINE;
    if (!random)
        return bad(t, EXIT_BAD, "input '%s' (%s%s) is not set: --input %s=FILE, or --random",
                   in->port->name, in->port->type.dtype ? tn_dtype_name(in->port->type.dtype) : "",
                   in->port->shape, in->port->name);
    if (in->port->type.kind)
        return bad(t, EXIT_BAD,
                   "input '%s' is a sequence or optional, which is not made up: --input %s=FILE",
                   in->port->name, in->port->name);
    code = concrete_type(t, in->port, &type);
    if (code)
        return code;
    in->tensor = array_random(t, &type, t->set.seed * UINT64_C(0x9e3779b97f4a7c15) + k);
    return in->tensor ? EXIT_FINE : EXIT_BAD;
}

/* How many pictures go into one run. */
static int choose_batch(tool *t, inputs *all)
{
    int64_t fixed = 0;
    for (size_t k = 0; k < all->count; k++) {
        const input *in = &all->items[k];
        if (!in->pictures)
            continue;
        if (all->pictures && all->pictures != in->picture_count)
            return bad(t, EXIT_BAD, "input '%s' has %lld pictures, another has %lld",
                       in->port->name, (long long)in->picture_count, (long long)all->pictures);
        all->pictures = in->picture_count;
        if (in->port->type.rank == 3)
            fixed = 1;
        else if (in->port->type.rank > 0 && tn_dim_known(in->port->type.dims[0]))
            fixed = in->port->type.dims[0];
    }
    all->batch = fixed > 0 ? fixed : DEFAULT_BATCH;
    if (t->set.batch)
        all->batch = t->set.batch > INT32_MAX ? INT32_MAX : (int64_t)t->set.batch;
    if (fixed > 0 && t->set.batch && all->batch != fixed)
        return bad(t, EXIT_BAD, "the model takes %lld picture%s at once, --batch says %lld",
                   (long long)fixed, fixed == 1 ? "" : "s", (long long)all->batch);
    if (fixed > 0 && all->pictures % fixed)
        return bad(
            t, EXIT_BAD,
            "the model takes %lld pictures at once, of which %lld is no multiple: --limit %lld",
            (long long)fixed, (long long)all->pictures, (long long)(all->pictures / fixed * fixed));
    if (all->pictures && all->batch > all->pictures)
        all->batch = all->pictures;
    return EXIT_FINE;
}

int inputs_read(tool *t, const tn_session *session, bool random, inputs *out)
{
    int code = check_names(t, session);
    if (!code)
        code = check_shapes(t, session);
    *out = (inputs){ .count = input_count(session) };
    out->items = keep_array(t, out->count, sizeof *out->items);
    for (size_t k = 0; !code && k < out->count; k++) {
        input *in = &out->items[k];
        list files;
        in->port = tn_session_input(session, k);
        files = files_of(t, session, in->port);
        code = files.count ? read_input(t, &files, in) : fill(t, k, random, in);
    }
    return code ? code : choose_batch(t, out);
}

int inputs_set(tool *t, tn_context *context, const inputs *all, int64_t first, int64_t count)
{
    for (size_t k = 0; k < all->count; k++) {
        input *in = &all->items[k];
        tn_status status;
        if (in->pictures) {
            const int64_t each = in->recipe.rows * in->recipe.columns * in->recipe.channels;
            if (!in->tensor || element_count(in->tensor) != each * count)
                in->tensor = picture_tensor(t, in, count);
            if (!in->tensor)
                return EXIT_BAD;
            for (int64_t i = 0; i < count; i++) {
                const int code = picture_store(t, &in->pictures[first + i], &in->recipe, in->tensor,
                                               i * each);
                if (code)
                    return code;
            }
        }
        if (!in->tensor)
            continue;
        status = tn_context_set_input(context, in->port->name, in->tensor);
        if (status)
            return complain(t, status);
    }
    return EXIT_FINE;
}

tn_binding *inputs_bindings(tool *t, const inputs *all, size_t *count)
{
    tn_binding *out = keep_array(t, all->count, sizeof *out);
    *count = 0;
    for (size_t k = 0; k < all->count; k++) {
        const tn_tensor *tensor = all->items[k].tensor;
        tn_binding *b = &out[*count];
        if (!tensor || tn_value_count(tensor) >= 0)
            continue;
        b->name = all->items[k].port->name;
        b->type =
            (tn_type){ .size = sizeof(tn_type), .dtype = tensor->dtype, .rank = tensor->rank };
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            b->type.dims[axis] = tensor->dims[axis];
        ++*count;
    }
    return out;
}

int context_make(tool *t, tn_session *session, const inputs *all, tn_context **out)
{
    const tn_status status = tn_context_create(session, out);
    if (status)
        return complain(t, status);
    return inputs_set(t, *out, all, 0, all->pictures ? all->batch : 1);
}
