/* plugins/image/bmp.c: Windows bitmaps (BITMAPCOREHEADER, BITMAPINFOHEADER and its successors).
 *
 * 1, 4 and 8 bits with a palette, 4 and 8 run-length encoded, too; 16, 24 and 32 bits with or
 * without masks. Numbers are little-endian, rows begin at multiples of four bytes, at the bottom
 * unless the height is negative.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

enum { PLAIN = 0, RUNS_OF_8 = 1, RUNS_OF_4 = 2, MASKS = 3, MASKS_ALPHA = 6 };

typedef struct bitmap {
    image *out;
    size_t pixels;    /* where they begin */
    size_t palette;   /* where it begins */
    uint32_t colours; /* entries of it, */
    uint32_t entry;   /* of so many bytes */
    uint32_t bits, method;
    uint32_t masks[3]; /* red, green, blue */
    int64_t height, width;
    int upwards;
} bitmap;

static uint32_t number(const image *i, size_t at, int bytes)
{
    uint32_t value = 0;
    for (int k = bytes - 1; k >= 0; k--)
        value = value << 8 | (at + (size_t)k < i->count ? i->bytes[at + (size_t)k] : 0);
    return value;
}

static int read_masks(bitmap *b, uint32_t header)
{
    static const uint32_t usual[2][3] = { { 0x7c00, 0x3e0, 0x1f }, { 0xff0000, 0xff00, 0xff } };
    for (int k = 0; k < 3; k++)
        b->masks[k] = b->method == MASKS || b->method == MASKS_ALPHA
                          ? number(b->out, 54 + 4 * (size_t)k, 4)
                          : usual[b->bits == 32][k];
    if (header == 40 && b->method != PLAIN && b->bits > 8)
        b->palette += b->method == MASKS ? 12 : 16;
    return b->masks[0] && b->masks[1] && b->masks[2];
}

static int read_header(bitmap *b)
{
    const image *i = b->out;
    const uint32_t header = number(i, 14, 4);
    const int core = header == 12;
    if (i->count < 26 || (!core && (header < 40 || i->count < 54)))
        return 0;
    b->pixels = number(i, 10, 4);
    b->width = core ? (int64_t)number(i, 18, 2) : (int32_t)number(i, 18, 4);
    b->height = core ? (int64_t)number(i, 20, 2) : (int32_t)number(i, 22, 4);
    b->bits = core ? number(i, 24, 2) : number(i, 28, 2);
    b->method = core ? PLAIN : number(i, 30, 4);
    b->palette = (size_t)header + 14;
    b->entry = core ? 3 : 4;
    b->colours = core ? 0 : number(i, 46, 4);
    b->upwards = b->height > 0;
    b->height = b->height < 0 ? -b->height : b->height;
    if (b->bits <= 8 && (!b->colours || b->colours > 1u << b->bits))
        b->colours = 1u << b->bits;
    switch (b->bits) {
    case 1: return b->method == PLAIN;
    case 4: return b->method == PLAIN || b->method == RUNS_OF_4;
    case 8: return b->method == PLAIN || b->method == RUNS_OF_8;
    case 24: return b->method == PLAIN;
    case 16:
    case 32:
        return (b->method == PLAIN || b->method == MASKS || b->method == MASKS_ALPHA) &&
               read_masks(b, header);
    default: return 0;
    }
}

/* ---- pixels ------------------------------------------------------------------------------- */

static uint8_t *pixel(const bitmap *b, int64_t row, int64_t column)
{
    const int64_t line = b->upwards ? b->height - 1 - row : row;
    return b->out->pixels + (line * b->width + column) * 3;
}

static void set_colour(const bitmap *b, uint32_t index, uint8_t *to)
{
    const size_t at = b->palette + (size_t)index * b->entry;
    for (size_t k = 0; k < 3; k++)
        to[k] = index < b->colours ? (uint8_t)number(b->out, at + 2 - k, 1) : 0;
}

/* What the mask leaves of a value, as a fraction of the mask in 255ths, rounded. */
static uint8_t masked(uint32_t value, uint32_t mask)
{
    value &= mask;
    while (!(mask & 1)) {
        mask >>= 1;
        value >>= 1;
    }
    return (uint8_t)(((uint64_t)value * 510 + mask) / (2 * (uint64_t)mask));
}

static size_t stride_of(const bitmap *b)
{
    return ((size_t)b->width * b->bits + 31) / 32 * 4;
}

/* Whether the file has the rows that its header tells of: asked before there is room for them. */
static int has_rows(const bitmap *b)
{
    return b->width > 0 && b->pixels <= b->out->count &&
           (b->out->count - b->pixels) / stride_of(b) >= (size_t)b->height;
}

static tn_status read_rows(const bitmap *b)
{
    const size_t stride = stride_of(b);
    for (int64_t row = 0; row < b->height; row++)
        for (int64_t column = 0; column < b->width; column++) {
            const size_t bit = (size_t)column * b->bits;
            const size_t at = b->pixels + (size_t)row * stride + bit / 8;
            uint8_t *to = pixel(b, row, column);
            if (b->bits <= 8)
                set_colour(b,
                           number(b->out, at, 1) >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1),
                           to);
            else
                for (int k = 0; k < 3; k++)
                    to[k] = b->bits == 24
                                ? (uint8_t)number(b->out, at + 2 - (size_t)k, 1)
                                : masked(number(b->out, at, (int)b->bits / 8), b->masks[k]);
        }
    return TN_OK;
}

/* Runs (count, colour), and after a 0: the end of a row, of all, a leap, or colours one by one. */
static tn_status read_runs(const bitmap *b)
{
    const image *i = b->out;
    int64_t row = 0, column = 0;
    for (size_t at = b->pixels; at + 1 < i->count;) {
        const uint32_t count = i->bytes[at], value = i->bytes[at + 1];
        const int literal = count == 0 && value > 2;
        at += 2;
        if (count == 0 && value == 0) {
            row++;
            column = 0;
        } else if (count == 0 && value == 1) {
            return TN_OK;
        } else if (count == 0 && value == 2) {
            column += number(i, at, 1);
            row += number(i, at + 1, 1);
            at += 2;
        }
        const uint32_t pixels = literal ? value : count;
        for (uint32_t k = 0; k < pixels; k++, column++) {
            const uint32_t byte = literal ? number(i, at + (b->bits == 4 ? k / 2 : k), 1) : value;
            if (row < b->height && column < b->width)
                set_colour(b,
                           b->bits == 8 ? byte
                           : k % 2      ? byte & 15
                                        : byte >> 4,
                           pixel(b, row, column));
        }
        if (literal) /* an even number of bytes */
            at += ((size_t)value * b->bits + 15) / 16 * 2;
    }
    return TN_NO_MATCH;
}

tn_status image_decode_bmp(image *i)
{
    bitmap b = { .out = i };
    if (!read_header(&b))
        return TN_NO_MATCH;
    const int runs = b.method == RUNS_OF_8 || b.method == RUNS_OF_4;
    if (!runs && !has_rows(&b))
        return TN_NO_MATCH;
    TN_TRY(image_make(i, b.height, b.width));
    return runs ? read_runs(&b) : read_rows(&b);
}
