/* plugins/image/pnm.c: portable bitmaps, greymaps and pixmaps (netpbm: pbm, pgm, ppm), plain and raw.
 *
 * Samples are scaled from [0, maxval] to [0, 255], rounded. In a bitmap 1 is black.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static int is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Skips blanks and comments. */
static void skip(reader *r)
{
    int comment = 0;
    for (; r->at < r->end && (comment || is_space(*r->at) || *r->at == '#'); r->at++)
        comment = *r->at == '#' || (comment && *r->at != '\n');
}

/* A number of up to nine digits; -1: none. */
static int64_t read_number(reader *r)
{
    int64_t value = 0;
    int digits = 0;
    skip(r);
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && digits < 9; digits++)
        value = value * 10 + (*r->at++ - '0');
    return digits ? value : -1;
}

/* The next sample of a plain or raw file; -1: the file ends. Bits stand in bytes, `bit` the next. */
static int64_t read_sample(reader *r, int kind, int64_t most, int *bit)
{
    int64_t value = -1;
    switch (kind) {
    case 1:
        skip(r);
        return r->at < r->end && (*r->at == '0' || *r->at == '1') ? *r->at++ - '0' : -1;
    case 2:
    case 3: return read_number(r);
    case 4:
        if (r->at >= r->end)
            return -1;
        value = *r->at >> (7 - *bit) & 1;
        *bit = (*bit + 1) % 8;
        r->at += *bit == 0;
        return value;
    default:
        if (r->end - r->at < (most > 255 ? 2 : 1))
            return -1;
        value = *r->at++;
        return most > 255 ? value << 8 | *r->at++ : value;
    }
}

tn_status image_decode_pnm(image *i)
{
    reader r = { i->bytes + 2, i->bytes + i->count };
    const int kind = i->bytes[1] - '0', colour = kind % 3 == 0, bits = kind % 3 == 1;
    const int64_t width = read_number(&r), height = read_number(&r);
    const int64_t most = bits ? 1 : read_number(&r);
    int bit = 0;
    if (most < 1 || most > 65535 || width < 1)
        return TN_NO_MATCH;
    if (height > (int64_t)i->count * 8 / width) /* not even a bit for each pixel */
        return TN_NO_MATCH;
    r.at += r.at < r.end; /* one blank before raw samples */
    TN_TRY(image_make(i, height, width));
    for (int64_t at = 0; at < height * width * 3; at++) {
        if (at % 3 && !colour) {
            i->pixels[at] = i->pixels[at - 1];
            continue;
        }
        if (at % (3 * width) == 0 && bit) { /* rows of bits begin with a byte */
            r.at++;
            bit = 0;
        }
        int64_t value = read_sample(&r, kind, most, &bit);
        if (value < 0 || value > most)
            return TN_NO_MATCH;
        value = bits ? 1 - value : value;
        i->pixels[at] = (uint8_t)((value * 255 * 2 + most) / (2 * most));
    }
    return TN_OK;
}
