/* engine/json/text.c: bytes as text: base64, UTF-8, and text in JSON's quotes.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tn_add_base64(tn_builder *builder, const void *bytes, size_t count)
{
    const unsigned char *b = bytes;
    for (size_t k = 0; k < count; k += 3) {
        const size_t left = count - k;
        const uint32_t word = (uint32_t)b[k] << 16 | (left > 1 ? (uint32_t)b[k + 1] << 8 : 0) |
                              (left > 2 ? b[k + 2] : 0u);
        const char four[4] = { alphabet[word >> 18], alphabet[word >> 12 & 63],
                               left > 1 ? alphabet[word >> 6 & 63] : '=',
                               left > 2 ? alphabet[word & 63] : '=' };
        tn_add_bytes(builder, four, sizeof four);
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes; answers false for a character outside the alphabet or stray bits before the padding. */
static bool decode(const char *text, size_t digits, unsigned char *out)
{
    uint32_t word = 0;
    int bits = 0;
    for (size_t k = 0; k < digits; k++) {
        const int digit = digit_of(text[k]);
        if (digit < 0)
            return false;
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (unsigned char)(word >> bits);
            word &= (1u << bits) - 1;
        }
    }
    return word == 0;
}

tn_status tn_base64_decode(tn_pool *pool, const char *text, size_t count, const char **out,
                           size_t *bytes, bool *valid)
{
    size_t digits = count;
    while (digits > 0 && count - digits < 2 && text[digits - 1] == '=')
        digits--;
    *valid = count % 4 == 0;
    if (!*valid)
        return TN_OK;
    const size_t size = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
    unsigned char *block = tn_pool_alloc(pool, size + 1);
    if (!block)
        return tn_raise_memory();
    *valid = decode(text, digits, block);
    *out = (const char *)block;
    *bytes = size;
    return TN_OK;
}

/* Bytes of the character that starts here; 0: it is none. */
static size_t character(const unsigned char *s, size_t count)
{
    if (s[0] < 0x80)
        return s[0] != 0;
    const size_t size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || size > count)
        return 0;
    for (size_t k = 1; k < size; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool surrogate = s[0] == 0xed && s[1] >= 0xa0, beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

bool tn_is_utf8(const char *text, size_t count)
{
    for (size_t k = 0; k < count;) {
        const size_t size = character((const unsigned char *)text + k, count - k);
        if (size == 0)
            return false;
        k += size;
    }
    return true;
}

void tn_add_quoted(tn_builder *builder, const char *text, size_t count)
{
    size_t plain = 0;
    tn_add_bytes(builder, "\"", 1);
    for (size_t k = 0; k <= count; k++) {
        const unsigned char c = k < count ? (unsigned char)text[k] : 0;
        if (k < count && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        tn_add_bytes(builder, text + plain, k - plain);
        plain = k + 1;
        if (k == count)
            break;
        if (c == '"' || c == '\\')
            tn_add(builder, "\\%c", c);
        else if (c == '\n')
            tn_add(builder, "\\n");
        else if (c == '\t')
            tn_add(builder, "\\t");
        else
            tn_add(builder, "\\u%04x", c);
    }
    tn_add_bytes(builder, "\"", 1);
}
