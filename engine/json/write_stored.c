/* engine/json/write_stored.c: the weights file.
 *
 * safetensors has no gaps between tensors, so their order makes the alignment: the header is padded
 * to 64, tensors of a multiple of 64 bytes come first, then those of 32, 16 … So each lies aligned
 * to its own elements, and nearly all of a network to 64.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/writer.h"

static size_t evenness(size_t bytes)
{
    size_t power = 64;
    while (bytes % power)
        power /= 2;
    return power;
}

static int by_evenness(const void *a, const void *b)
{
    const tn_stored *x = a, *y = b;
    const size_t ex = evenness(x->bytes), ey = evenness(y->bytes);
    if (ex != ey)
        return ex > ey ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset; /* as they came */
}

static void add_entry(tn_builder *header, const tn_stored *s)
{
    const tn_tensor *tensor = s->tensor;
    const char *dtype = tn_safetensors_dtype(tensor->dtype);
    tn_add_quoted(header, s->name, strlen(s->name));
    tn_add(header, ":{\"dtype\":\"%s\",\"shape\":[", dtype ? dtype : "U8");
    for (int32_t k = 0; dtype && k < tensor->rank; k++)
        tn_add(header, "%s%" PRId64, k ? "," : "", tensor->dims[k]);
    if (!dtype)
        tn_add(header, "%zu", s->bytes);
    tn_add(header, "],\"data_offsets\":[%zu,%zu]}", s->offset, s->offset + s->bytes);
}

/* The length, the header, and spaces up to a multiple of 64. */
static void add_header(tn_writer *w, tn_builder *header)
{
    tn_add_bytes(header, "\0\0\0\0\0\0\0\0", 8);
    for (uint32_t k = 0; k < w->stored.count; k++) {
        tn_add(header, "%s", k ? "," : "{");
        add_entry(header, &w->stored.items[k]);
    }
    tn_add(header, "}");
    while (header->count % 64 && !header->failed)
        tn_add_bytes(header, " ", 1);
    const uint64_t length = header->count - 8;
    for (int k = 0; k < 8 && !header->failed; k++)
        header->text[k] = (char)(length >> 8 * k & 0xff);
}

tn_status tn_write_stored(tn_writer *w, const char *file)
{
    tn_builder text = { 0 };
    tn_stored *items = w->stored.items;
    size_t data = 0, total = 0;
    bool fits = true;
    for (uint32_t k = 0; k < w->stored.count; k++)
        items[k].offset = k;
    qsort(items, w->stored.count, sizeof *items, by_evenness);
    for (uint32_t k = 0; k < w->stored.count; k++) {
        items[k].offset = data;
        fits = fits && tn_size_add(data, items[k].bytes, &data);
    }
    add_header(w, &text);
    char *bytes = !text.failed && fits && tn_size_add(text.count, data, &total) ? tn_alloc(total, 1)
                                                                                : NULL;
    tn_status status = bytes ? TN_OK : tn_raise_memory();
    if (status == TN_OK) {
        memcpy(bytes, text.text, text.count);
        for (uint32_t k = 0; k < w->stored.count; k++)
            if (items[k].bytes)
                memcpy(bytes + text.count + items[k].offset, items[k].tensor->data, items[k].bytes);
        status = tn_file_write(file, bytes, total);
    }
    tn_free(bytes);
    tn_builder_fini(&text);
    return status;
}
