/* plugins/cast/text.c: numbers as text and back.
 *
 * ONNX: Cast from and to strings. Text is a decimal number, plain or with an exponent, or INF,
 * +INF, -INF, NaN in any case; true and false are 1 and 0; anything else is an error. Numbers are
 * written with the fewest digits that read back as the same number, plainly from 1e-4 up to 1e16,
 * as numpy does. Nothing depends on the process's locale.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* uselocale */
#endif
#include "cast.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Text longer than this is taken for no number. */
enum { LONGEST = 511 };

/* strtod and snprintf follow the thread's locale: this one's point is a point. */
static locale_t plain_locale(locale_t *before)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *before = plain ? uselocale(plain) : (locale_t)0;
    return plain;
}

static void restore_locale(locale_t plain, locale_t before)
{
    if (!plain)
        return;
    (void)uselocale(before);
    freelocale(plain);
}

/* ---- reading ---------------------------------------------------------------------------- */

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Without white space around it, terminated, in lower case. Answers 0 when it is too long. */
static int copy_text(tn_text text, char *out)
{
    size_t begin = 0, end = text.count;
    while (begin < end && is_space(text.bytes[begin]))
        begin++;
    while (begin < end && is_space(text.bytes[end - 1]))
        end--;
    if (end - begin > LONGEST)
        return 0;
    for (size_t i = begin; i < end; i++) {
        const char c = text.bytes[i];
        out[i - begin] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[end - begin] = 0;
    return 1;
}

/* digits [. digits] [e [sign] digits], one digit at least before the exponent. */
static int is_decimal(const char *s)
{
    int digits = 0;
    for (; is_digit(*s); s++)
        digits++;
    if (*s == '.')
        s++;
    for (; is_digit(*s); s++)
        digits++;
    if (digits && *s == 'e') {
        s++;
        s += *s == '+' || *s == '-';
        digits = is_digit(*s);
        while (is_digit(*s))
            s++;
    }
    return digits && *s == 0;
}

/* A word that stands for a number. */
static int is_word(const char *s, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {
        { "inf", INFINITY }, { "infinity", INFINITY }, { "nan", NAN },
        { "true", 1 },       { "false", 0 },
    };
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (strcmp(s, words[k].word) == 0) {
            *out = words[k].value;
            return 1;
        }
    }
    return 0;
}

/* Plain digits that fit 64 bits, exactly. */
static int is_whole(const char *s, int negative, int64_t *out)
{
    uint64_t value = 0;
    const char *first = s;
    for (; is_digit(*s); s++) {
        const uint64_t digit = (uint64_t)(*s - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return s > first && *s == 0;
}

/* float32 is read as such: by way of double it could be rounded twice. */
static int read_number(const char *s, uint32_t dtype, double *out)
{
    const int negative = *s == '-';
    const char *plain = s + (*s == '-' || *s == '+');
    if (is_word(plain, out)) {
        *out = negative ? -*out : *out;
        return 1;
    }
    if (!is_decimal(plain))
        return 0;
    *out = dtype == TN_FLOAT32 ? strtof(s, NULL) : strtod(s, NULL);
    return 1;
}

static int read_element(tn_text text, tn_tensor *out, const cast_rules *rules, int64_t i)
{
    char s[LONGEST + 1];
    int64_t whole;
    double number;
    if (!copy_text(text, s))
        return 0;
    if (!tn_dtype_is_float(out->dtype) &&
        is_whole(s + (*s == '-' || *s == '+'), *s == '-', &whole)) {
        tn_set_int(out->dtype, out->data, i, whole);
        return 1;
    }
    if (!read_number(s, out->dtype, &number))
        return 0;
    if (tn_dtype_is_float(out->dtype))
        cast_store(out->dtype, out->data, i, number, rules);
    else
        tn_set_int(out->dtype, out->data, i,
                   out->dtype == TN_BOOL ? number != 0 : truncated(number));
    return 1;
}

tn_status cast_from_text(tn_run *ctx, const tn_tensor *in, tn_tensor *out, const cast_rules *rules,
                         int64_t first, int64_t n)
{
    const tn_text *texts = in->data;
    const uint32_t bits = tn_dtype_bits(out->dtype);
    tn_status status = TN_OK;
    locale_t before;
    const locale_t plain = plain_locale(&before);
    if (bits < 8)
        memset((char *)out->data + first * bits / 8, 0, tn_dtype_bytes(out->dtype, n));
    for (int64_t i = first; i < first + n && status == TN_OK; i++) {
        if (!read_element(texts[i], out, rules, i))
            status = tn_fail(ctx, TN_ERR_VALUE,
                             "element %lld is '%.*s': expected a number, INF or NaN", (long long)i,
                             (int)(texts[i].count < 40 ? texts[i].count : 40),
                             texts[i].count ? texts[i].bytes : "");
    }
    restore_locale(plain, before);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* Whether text reads as this value of this type. */
static int reads_back(const char *text, uint32_t dtype, double value)
{
    static const cast_rules nearest = { 1, ROUND_NEAREST };
    union {
        double align;
        char bytes[8];
    } element = { 0 };
    if (dtype == TN_FLOAT32)
        return (double)strtof(text, NULL) == value;
    cast_store(dtype, element.bytes, 0, strtod(text, NULL), &nearest);
    return tn_get_double(dtype, element.bytes, 0) == value;
}

/* The fewest digits that do, without sign or point; answers the power of ten of the first one. */
static int shortest_digits(double magnitude, uint32_t dtype, char *digits)
{
    char text[40];
    int exponent, used = 0;
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, magnitude);
        if (reads_back(text, dtype, magnitude))
            break;
    }
    for (const char *s = text; *s && *s != 'e'; s++) {
        if (is_digit(*s))
            digits[used++] = *s;
    }
    while (used > 1 && digits[used - 1] == '0')
        used--;
    digits[used] = 0;
    exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    return exponent;
}

/* "0.00012", "12300.0" or "1.23e+20". */
static int write_digits(char *out, size_t size, const char *sign, const char *digits, int exponent)
{
    const int count = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16)
        return snprintf(out, size, "%s%c%s%se%+03d", sign, digits[0], count > 1 ? "." : "",
                        digits + 1, exponent);
    if (exponent < 0)
        return snprintf(out, size, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    if (count <= exponent + 1)
        return snprintf(out, size, "%s%s%.*s.0", sign, digits, exponent + 1 - count,
                        "0000000000000000");
    return snprintf(out, size, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static int write_double(char *out, size_t size, uint32_t dtype, double value)
{
    char digits[40];
    const char *sign = signbit(value) ? "-" : "";
    if (isnan(value))
        return snprintf(out, size, "nan");
    if (isinf(value))
        return snprintf(out, size, "%sinf", sign);
    if (value == 0)
        return snprintf(out, size, "%s0.0", sign);
    const int exponent = shortest_digits(fabs(value), dtype, digits);
    return write_digits(out, size, sign, digits, exponent);
}

static int write_element(char *out, size_t size, const tn_tensor *in, int64_t i)
{
    if (tn_dtype_is_float(in->dtype))
        return write_double(out, size, in->dtype, tn_get_double(in->dtype, in->data, i));
    const int64_t value = tn_get_int(in->dtype, in->data, i);
    if (in->dtype == TN_BOOL)
        return snprintf(out, size, "%s", value ? "True" : "False");
    if (in->dtype == TN_UINT64)
        return snprintf(out, size, "%llu", (unsigned long long)value);
    return snprintf(out, size, "%lld", (long long)value);
}

tn_status cast_to_text(tn_run *ctx, const tn_tensor *in, tn_tensor *out)
{
    tn_text *texts = out->data;
    const int64_t count = tn_count(in);
    tn_status status = TN_OK;
    locale_t before;
    const locale_t plain = plain_locale(&before);
    for (int64_t i = 0; i < count && status == TN_OK; i++) {
        char text[64];
        const int written = write_element(text, sizeof text, in, i);
        status = ctx->call.host->string_make(&ctx->call, text, (size_t)written, &texts[i]);
    }
    restore_locale(plain, before);
    return status;
}
