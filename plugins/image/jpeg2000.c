/* plugins/image/jpeg2000.c: JPEG 2000, in its file format or bare, by OpenJPEG.
 *
 * One component is grey, three and more are colour, YCbCr where the file says so; samples of other
 * depths are scaled to 8 bits by shifting.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <openjpeg.h>

typedef struct source {
    const uint8_t *bytes;
    size_t count, at;
} source;

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T wanted, void *user)
{
    source *s = user;
    const size_t count = wanted < s->count - s->at ? wanted : s->count - s->at;
    if (!count)
        return (OPJ_SIZE_T)-1;
    memcpy(to, s->bytes + s->at, count);
    s->at += count;
    return count;
}

static OPJ_OFF_T skip(OPJ_OFF_T wanted, void *user)
{
    source *s = user;
    if (wanted < 0)
        return -1;
    const size_t left = s->count - s->at;
    const size_t count = (uint64_t)wanted < left ? (size_t)wanted : left;
    s->at += count;
    return count ? (OPJ_OFF_T)count : -1;
}

static OPJ_BOOL seek(OPJ_OFF_T at, void *user)
{
    source *s = user;
    if (at < 0 || (uint64_t)at > s->count)
        return OPJ_FALSE;
    s->at = (size_t)at;
    return OPJ_TRUE;
}

/* ---- pixels ------------------------------------------------------------------------------- */

/* Sample of component c at a pixel, in 0 to 255. */
static int sample(const opj_image_t *from, uint32_t c, int64_t row, int64_t column)
{
    const opj_image_comp_t *p = &from->comps[c];
    const int64_t y = row / p->dy < p->h ? row / p->dy : p->h - 1;
    const int64_t x = column / p->dx < p->w ? column / p->dx : p->w - 1;
    int64_t value = p->data[y * p->w + x] + (p->sgnd ? INT64_C(1) << (p->prec - 1) : 0);
    value = p->prec > 8 ? value >> (p->prec - 8) : value << (8 - p->prec);
    return value < 0 ? 0 : value > 255 ? 255 : (int)value;
}

static uint8_t rounded(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5);
}

static void store(image *i, const opj_image_t *from)
{
    const int grey = from->numcomps < 3;
    for (int64_t at = 0; at < i->height * i->width; at++) {
        const int64_t row = at / i->width, column = at % i->width;
        uint8_t *to = i->pixels + 3 * at;
        int v[3];
        for (uint32_t c = 0; c < 3; c++)
            v[c] = sample(from, grey ? 0 : c, row, column);
        for (int c = 0; c < 3; c++)
            to[c] = (uint8_t)v[c];
        if (!grey && from->color_space == OPJ_CLRSPC_SYCC) {
            const double blue = v[1] - 128, red = v[2] - 128;
            to[0] = rounded(v[0] + 1.402 * red);
            to[1] = rounded(v[0] - 0.344136 * blue - 0.714136 * red);
            to[2] = rounded(v[0] + 1.772 * blue);
        }
    }
}

static int usable(const opj_image_t *from)
{
    for (uint32_t c = 0; c < from->numcomps && c < 3; c++) {
        const opj_image_comp_t *p = &from->comps[c];
        if (!p->data || !p->w || !p->h || !p->dx || !p->dy || !p->prec || p->prec > 31)
            return 0;
    }
    return from->numcomps > 0;
}

/* ---- decoding ----------------------------------------------------------------------------- */

static tn_status read_picture(image *i, opj_codec_t *codec, opj_stream_t *stream)
{
    opj_dparameters_t parameters;
    opj_image_t *from = NULL;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &from))
        return TN_NO_MATCH;
    tn_status status = image_make(i, (int64_t)from->y1 - from->y0, (int64_t)from->x1 - from->x0);
    if (status == TN_OK &&
        (!opj_decode(codec, stream, from) || !opj_end_decompress(codec, stream) || !usable(from)))
        status = TN_NO_MATCH;
    if (status == TN_OK)
        store(i, from);
    opj_image_destroy(from);
    return status;
}

tn_status image_decode_jpeg2000(image *i)
{
    source s = { i->bytes, i->count, 0 };
    opj_codec_t *codec = opj_create_decompress(i->bytes[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    tn_status status;
    if (codec && stream) {
        opj_stream_set_user_data(stream, &s, NULL);
        opj_stream_set_user_data_length(stream, s.count);
        opj_stream_set_read_function(stream, read_bytes);
        opj_stream_set_skip_function(stream, skip);
        opj_stream_set_seek_function(stream, seek);
        status = read_picture(i, codec, stream);
    } else {
        status = tn_fail(i->run, TN_ERR_MEMORY, "OpenJPEG has no memory");
    }
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return status;
}
