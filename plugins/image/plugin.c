/* plugins/image/plugin.c: ImageDecoder (ONNX operators: ImageDecoder), and the plugin's entry.
 *
 *   image[h, w, :] = the pixel, as RGB, BGR or grey (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B)
 *
 * The format is told by the first bytes. What is damaged or of no known format is an image of
 * extents 0, 0, as the standard asks; a format whose library was absent when this was built is an
 * error. Transparency is dropped.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <inttypes.h>

/* ---- formats ------------------------------------------------------------------------------ */

typedef struct format {
    const char *name;
    size_t at, count;
    const char *magic;
    tn_status (*decode)(image *i); /* NULL: this build has no library for it */
} format;

#ifdef IMAGE_PNG
#define PNG_DECODER image_decode_png
#else
#define PNG_DECODER NULL
#endif
#ifdef IMAGE_JPEG
#define JPEG_DECODER image_decode_jpeg
#else
#define JPEG_DECODER NULL
#endif
#ifdef IMAGE_JPEG2000
#define JPEG2000_DECODER image_decode_jpeg2000
#else
#define JPEG2000_DECODER NULL
#endif
#ifdef IMAGE_TIFF
#define TIFF_DECODER image_decode_tiff
#else
#define TIFF_DECODER NULL
#endif
#ifdef IMAGE_WEBP
#define WEBP_DECODER image_decode_webp
#else
#define WEBP_DECODER NULL
#endif

static const format formats[] = {
    { "BMP", 0, 2, "BM", image_decode_bmp },
    { "PNG", 0, 8, "\x89PNG\r\n\x1a\n", PNG_DECODER },
    { "JPEG", 0, 3, "\xff\xd8\xff", JPEG_DECODER },
    { "JPEG2000", 4, 8, "jP  \r\n\x87\n", JPEG2000_DECODER },
    { "JPEG2000", 0, 4, "\xff\x4f\xff\x51", JPEG2000_DECODER },
    { "TIFF", 0, 4, "II*\0", TIFF_DECODER },
    { "TIFF", 0, 4, "MM\0*", TIFF_DECODER },
    { "WebP", 8, 4, "WEBP", WEBP_DECODER },
    { "PNM", 0, 2, "P1", image_decode_pnm },
    { "PNM", 0, 2, "P2", image_decode_pnm },
    { "PNM", 0, 2, "P3", image_decode_pnm },
    { "PNM", 0, 2, "P4", image_decode_pnm },
    { "PNM", 0, 2, "P5", image_decode_pnm },
    { "PNM", 0, 2, "P6", image_decode_pnm },
};

static const format *format_of(const image *i)
{
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const format *f = &formats[k];
        if (i->count >= f->at + f->count && memcmp(i->bytes + f->at, f->magic, f->count) == 0)
            return f;
    }
    return NULL;
}

/* ---- pixels ------------------------------------------------------------------------------- */

#define MOST_PIXELS (INT64_C(1) << 28) /* beyond it a header is an attack on memory */

static tn_status make_bytes(image *i, int64_t count, tn_tensor **out)
{
    const tn_type type = { .size = sizeof type, .dtype = TN_UINT8, .rank = 1, .dims = { count } };
    return i->run->call.host->value_make(&i->run->call, &type, out);
}

tn_status image_room(image *i, int64_t count, uint8_t **out)
{
    TN_TRY(make_bytes(i, count, &i->room));
    *out = i->room->data;
    return TN_OK;
}

tn_status image_make(image *i, int64_t height, int64_t width)
{
    if (height < 1 || width < 1)
        return TN_NO_MATCH;
    if (height > MOST_PIXELS / width)
        return tn_fail(i->run, TN_ERR_LIMIT,
                       "the picture has %" PRId64 " x %" PRId64 " pixels: expected at most %" PRId64
                       " in all",
                       height, width, MOST_PIXELS);
    TN_TRY(make_bytes(i, height * width * 3, &i->made));
    i->height = height;
    i->width = width;
    i->pixels = i->made->data;
    memset(i->pixels, 0, (size_t)(height * width * 3));
    return TN_OK;
}

enum { RGB, BGR, GREY, UNKNOWN };

static int pixel_format(const tn_node_view *node)
{
    static const char *const names[] = { "RGB", "BGR", "Grayscale" };
    const char *name = tn_attr_string(node, "pixel_format", "RGB");
    int k = RGB;
    while (k < UNKNOWN && strcmp(name, names[k]) != 0)
        k++;
    return k;
}

/* Weights are fractions of 2^16 that add up to one. */
static void convert(const uint8_t *rgb, int64_t count, int to, uint8_t *out)
{
    for (int64_t k = 0; k < count; k++, rgb += 3) {
        if (to == GREY) {
            out[k] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >>
                               16);
            continue;
        }
        out[3 * k] = rgb[to == RGB ? 0 : 2];
        out[3 * k + 1] = rgb[1];
        out[3 * k + 2] = rgb[to == RGB ? 2 : 0];
    }
}

/* ---- inference and kernel ----------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *stream = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    const int to = pixel_format(ctx->node);
    if (to == UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "pixel_format",
                                 "pixel_format is '%.40s': expected RGB, BGR or Grayscale",
                                 tn_attr_string(ctx->node, "pixel_format", "RGB"));
    if (stream && stream->rank >= 0 && stream->rank != 1)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
            "input 'encoded_stream' has rank %d: expected the bytes of a file, "
            "a vector",
            (int)stream->rank);
    out->rank = 3;
    out->dims[0] = out->dims[1] = TN_DIM_UNKNOWN;
    out->dims[2] = to == GREY ? 1 : 3;
    out->flags |= TN_TYPE_LATE;
    return TN_OK;
}

static tn_status decode(image *i)
{
    const format *f = format_of(i);
    if (f && !f->decode)
        return tn_fail(i->run, TN_ERR_BACKEND,
                       "the picture is %s, and Tenon was built without the library for it",
                       f->name);
    return f ? f->decode(i) : TN_NO_MATCH;
}

static tn_status store(tn_run *ctx, const image *i, int to)
{
    const int64_t dims[] = { i->height, i->width, to == GREY ? 1 : 3 };
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, 3, dims));
    if (i->height * i->width > 0)
        convert(i->pixels, i->height * i->width, to, ctx->outputs[0]->data);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    image i = { .run = ctx, .bytes = ctx->inputs[0]->data, .count = ctx->inputs[0]->bytes };
    tn_status status = decode(&i);
    (void)state, (void)slot;
    if (status == TN_NO_MATCH) {
        i.height = i.width = 0;
        status = TN_OK;
    }
    if (status == TN_OK)
        status = store(ctx, &i, pixel_format(ctx->node));
    if (i.made)
        ctx->call.host->value_release(&ctx->call, i.made);
    if (i.room)
        ctx->call.host->value_release(&ctx->call, i.room);
    return status;
}

/* ---- tables ------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "encoded_stream", "T1", TN_BIT(TN_UINT8), 0, 0, "the bytes of a picture's file" },
};
static const tn_param_def outputs[] = {
    { "image", "T2", TN_BIT(TN_UINT8), 0, 0, "[height, width, channels]; [0, 0, …]: undecodable" },
};
static const tn_attribute_def attributes[] = {
    { .name = "pixel_format",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "RGB",
      .doc = "RGB, BGR or Grayscale" },
};
static const tn_operator_def image_decoder = { .size = sizeof image_decoder,
                                               .since = 20,
                                               .name = "ImageDecoder",
                                               .doc = "Decodes a picture: BMP, JPEG, JPEG2000, "
                                                      "TIFF, PNG, WebP, PNM.",
                                               .inputs = inputs,
                                               .input_count = 1,
                                               .outputs = outputs,
                                               .output_count = 1,
                                               .attributes = attributes,
                                               .attribute_count = 1,
                                               .infer = infer };
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "ImageDecoder", .run = run, .flags = TN_KERNEL_EMPTY
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_operator(registrar, &image_decoder));
    return registrar->add_kernel(registrar, &kernel);
}

TN_PLUGIN(image, .version = "1.0", .licence = "MIT",
          .description = "ImageDecoder: pictures out of files' bytes", .load = load);
