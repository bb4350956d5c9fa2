/* engine/base/text.c: growing texts, numbers as text, matching and nearest names.
 *
 * Nothing here depends on the locale of the process: a German decimal comma must not end up in a
 * graph file.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

/* ---- builders ---------------------------------------------------------------------------- */

/* Room for `count` more bytes and the zero. */
static bool make_room(tn_builder *builder, size_t count)
{
    size_t wanted;
    if (builder->failed || !tn_size_add(builder->count, count, &wanted) ||
        !tn_size_add(wanted, 1, &wanted)) {
        builder->failed = true;
        return false;
    }
    if (wanted <= builder->capacity)
        return true;
    size_t capacity = builder->capacity < 32 ? 64 : builder->capacity;
    while (capacity < wanted)
        capacity = capacity > SIZE_MAX / 2 ? wanted : capacity * 2;
    char *text = tn_realloc(builder->text, capacity, 1);
    builder->failed = !text;
    if (!text)
        return false;
    builder->text = text;
    builder->capacity = capacity;
    return true;
}

void tn_add_bytes(tn_builder *builder, const char *bytes, size_t count)
{
    if (!make_room(builder, count))
        return;
    if (count)
        memcpy(builder->text + builder->count, bytes, count);
    builder->count += count;
    builder->text[builder->count] = 0;
}

void tn_add(tn_builder *builder, const char *format, ...)
{
    char text[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int count = vsnprintf(text, sizeof text, format, args);
    if (count < 0) {
        builder->failed = true;
    } else if ((size_t)count < sizeof text) {
        tn_add_bytes(builder, text, (size_t)count);
    } else if (make_room(builder, (size_t)count)) {
        vsnprintf(builder->text + builder->count, (size_t)count + 1, format, again);
        builder->count += (size_t)count;
    }
    va_end(again);
    va_end(args);
}

const char *tn_builder_text(const tn_builder *builder)
{
    return builder->text ? builder->text : "";
}

void tn_builder_fini(tn_builder *builder)
{
    tn_free(builder->text);
    *builder = (tn_builder){ 0 };
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* What the locale puts between 0 and 5 of 0.5, and its length. */
static size_t decimal_point(char *out, size_t bytes)
{
    int count = snprintf(out, bytes, "%.1f", 0.5);
    if (count < 3 || (size_t)count >= bytes) {
        memcpy(out, ".", 2);
        return 1;
    }
    memmove(out, out + 1, (size_t)count - 2);
    out[count - 2] = 0;
    return (size_t)count - 2;
}

/* Replaces whatever is no part of a number by one point. */
static void use_point(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (strchr("0123456789+-eE", *from))
            *to++ = *from;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    *to = 0;
}

void tn_add_number(tn_builder *builder, double value, bool is_float32)
{
    if (isnan(value) || isinf(value)) {
        tn_add(builder, "%s", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    /* What fits 6 (15) digits prints shortest with just that many, but for denormal numbers, which
     * have fewer. */
    const bool tiny = fabs(value) < (is_float32 ? (double)FLT_MIN : DBL_MIN);
    const int most = is_float32 ? 9 : 17;
    char text[64] = "0";
    for (int digits = tiny ? 1 : most - (is_float32 ? 3 : 2); digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL); /* both in the same locale */
        if (is_float32 ? (float)back == (float)value : back == value)
            break;
    }
    use_point(text);
    tn_add(builder, "%s", text);
}

/* The end of [+-]digits[.digits][e[+-]digits], or NULL; *point: where the point stands, or NULL. */
static const char *scan_number(const char *text, const char **point)
{
    size_t digits = 0;
    *point = NULL;
    text += *text == '-' || *text == '+';
    for (; isdigit((unsigned char)*text); text++)
        digits++;
    if (*text == '.')
        for (*point = text++; isdigit((unsigned char)*text); text++)
            digits++;
    if (!digits)
        return NULL;
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '-' || text[1] == '+');
        if (!isdigit((unsigned char)*text))
            return NULL;
        while (isdigit((unsigned char)*text))
            text++;
    }
    return text;
}

bool tn_parse_number(const char *text, double *out)
{
    const bool minus = *text == '-';
    if (!strcmp(text, "NaN"))
        return *out = (double)NAN, true;
    const char *word = minus ? text + 1 : text;
    if (!strcmp(word, "Infinity"))
        return *out = minus ? -(double)INFINITY : (double)INFINITY, true;
    const char *point, *end = scan_number(text, &point);
    if (!end || *end)
        return false;
    char mark[16], near[160], *copy = near;
    size_t count = (size_t)(end - text), width = decimal_point(mark, sizeof mark);
    if (count + width >= sizeof near && !(copy = tn_alloc(count + width + 1, 1)))
        return false;
    size_t head = point ? (size_t)(point - text) : count;
    memcpy(copy, text, head);
    copy[head] = 0;
    if (point) {
        memcpy(copy + head, mark, width);
        memcpy(copy + head + width, point + 1, count - head); /* with the zero */
    }
    *out = strtod(copy, NULL);
    if (copy != near)
        tn_free(copy);
    return true;
}

/* ---- names ------------------------------------------------------------------------------- */

enum { NAME_LONGEST = 96 };

static bool same(char a, char b)
{
    return a == b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Insertions, deletions, changes and swaps of neighbours that take a to b (optimal string
 * alignment). */
static unsigned distance(const char *a, size_t m, const char *b, size_t n,
                         bool (*equal)(char, char))
{
    unsigned rows[3][NAME_LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= n; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= m; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = last[j - 1] + !equal(a[i - 1], b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && equal(a[i - 1], b[j - 2]) && equal(a[i - 2], b[j - 1]))
                best = before[j - 2] + 1 < best ? before[j - 2] + 1 : best;
            now[j] = best;
        }
        unsigned *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[n];
}

const char *tn_nearest(const char *name, const char *const *names, size_t count)
{
    const size_t length = strlen(name);
    const char *nearest = NULL;
    unsigned best = UINT32_MAX;
    if (!length || length > NAME_LONGEST)
        return NULL;
    for (size_t k = 0; k < count; k++) {
        const size_t other = names[k] ? strlen(names[k]) : 0;
        const size_t longer = other > length ? other : length;
        if (!other || other > NAME_LONGEST)
            continue;
        /* Case counts for little: "name" is near "Name", and nearer than "Same". */
        unsigned loose = distance(name, length, names[k], other, same_letter);
        unsigned allowed = longer < 3 ? 0 : longer < 6 ? 1 : longer < 10 ? 2 : 3;
        if (loose > allowed)
            continue;
        unsigned score = loose * 256 + distance(name, length, names[k], other, same);
        if (score < best) {
            best = score;
            nearest = names[k];
        }
    }
    return nearest;
}

bool tn_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

bool tn_list_next(const char **rest, char separator, char *out, size_t bytes)
{
    const char *begin = *rest;
    if (!begin || !*begin)
        return false;
    const char *end = strchr(begin, separator);
    if (!end)
        end = begin + strlen(begin);
    *rest = *end ? end + 1 : end;
    while (begin < end && isspace((unsigned char)*begin))
        begin++;
    while (begin < end && isspace((unsigned char)end[-1]))
        end--;
    if (bytes) {
        size_t count = (size_t)(end - begin) < bytes ? (size_t)(end - begin) : bytes - 1;
        memcpy(out, begin, count);
        out[count] = 0;
    }
    return true;
}

const char *tn_find_last(const char *text, const char *part)
{
    const char *found = NULL;
    for (const char *at = strstr(text, part); at; at = strstr(at + strlen(part), part))
        found = at;
    return found;
}

bool tn_ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

bool tn_list_has(const char *list, const char *name)
{
    const size_t length = strlen(name);
    while (list && *list) {
        const char *begin = list, *end = strchr(list, ',');
        end = end ? end : list + strlen(list);
        list = *end ? end + 1 : end;
        while (begin < end && isspace((unsigned char)*begin))
            begin++;
        while (begin < end && isspace((unsigned char)end[-1]))
            end--;
        if ((size_t)(end - begin) == length && !memcmp(begin, name, length))
            return true;
    }
    return false;
}
