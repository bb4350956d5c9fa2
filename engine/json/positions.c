/* engine/json/positions.c: finds offsets in a JSON text: of a path, of the first syntax error.
 *
 * tn_json_find trusts that the text is JSON (Jansson has read it); tn_json_fault trusts nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/positions.h"

#include <stdio.h>

typedef struct cursor {
    const char *text;
    size_t count, at;
} cursor;

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(cursor *c)
{
    while (c->at < c->count && is_space(c->text[c->at]))
        c->at++;
}

static char peek(const cursor *c)
{
    return c->at < c->count ? c->text[c->at] : 0;
}

/* From an opening quote to behind the closing one. */
static void skip_string(cursor *c)
{
    for (c->at++; c->at < c->count && c->text[c->at] != '"'; c->at++)
        c->at += c->text[c->at] == '\\';
    c->at = c->at < c->count ? c->at + 1 : c->count;
}

static void skip_plain(cursor *c) /* a number or a word; at least one byte, whatever it is */
{
    c->at += c->at < c->count;
    while (c->at < c->count && !is_space(c->text[c->at]) && !strchr(",:[]{}\"", c->text[c->at]))
        c->at++;
}

static void skip_value(cursor *c)
{
    size_t depth = 0;
    do {
        skip_space(c);
        const char ch = peek(c);
        if (ch == '"') {
            skip_string(c);
        } else if (ch == '[' || ch == '{' || ch == ']' || ch == '}' || ch == ',' || ch == ':') {
            depth += ch == '[' || ch == '{' ? 1 : 0;
            depth -= (ch == ']' || ch == '}') && depth > 0 ? 1 : 0;
            c->at++;
        } else {
            skip_plain(c);
        }
    } while (depth > 0 && c->at < c->count);
}

void tn_json_position(const char *text, size_t count, size_t offset, uint32_t *line,
                      uint32_t *column)
{
    const size_t end = offset < count ? offset : count;
    size_t lines = 1, start = 0;
    for (size_t k = 0; k < end; k++)
        if (text[k] == '\n') {
            lines++;
            start = k + 1;
        }
    *line = lines < UINT32_MAX ? (uint32_t)lines : UINT32_MAX;
    *column = end - start < UINT32_MAX ? (uint32_t)(end - start) + 1 : UINT32_MAX;
}

size_t tn_json_depth(const char *text, size_t count)
{
    size_t depth = 0, deepest = 0;
    cursor c = { text, count, 0 };
    while (c.at < count) {
        const char ch = text[c.at];
        if (ch == '"') {
            skip_string(&c);
            continue;
        }
        if (ch == '[' || ch == '{')
            deepest = ++depth > deepest ? depth : deepest;
        else if ((ch == ']' || ch == '}') && depth > 0)
            depth--;
        c.at++;
    }
    return deepest;
}

size_t tn_json_token(const char *text, size_t count, size_t end)
{
    cursor c = { text, count, 0 };
    for (;;) {
        skip_space(&c);
        const size_t start = c.at;
        if (start >= count || start >= end)
            return start < end ? start : end;
        if (peek(&c) == '"')
            skip_string(&c);
        else if (strchr(",:[]{}", peek(&c)))
            c.at++;
        else
            skip_plain(&c);
        if (c.at >= end)
            return start;
    }
}

/* ---- paths -------------------------------------------------------------------------------- */

/* The bytes of a key, one by one, with JSON's escapes undone. */
typedef struct key_bytes {
    const char *at, *end;
    unsigned char pending[4];
    unsigned count;
} key_bytes;

static unsigned hex4(const char *text)
{
    unsigned value = 0;
    for (int k = 0; k < 4; k++) {
        const char c = text[k];
        const int digit = c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
        value = value << 4 | ((unsigned)digit & 15);
    }
    return value;
}

/* Queues a character's bytes, last first. */
static void queue(key_bytes *key, unsigned code)
{
    key->count = 0;
    const unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    for (unsigned k = 0; k < more; k++, code >>= 6)
        key->pending[key->count++] = (unsigned char)(0x80 | (code & 63));
    key->pending[key->count++] = (unsigned char)(lead[more] | code);
}

static int next_byte(key_bytes *key)
{
    if (key->count)
        return key->pending[--key->count];
    if (key->at >= key->end)
        return -1;
    if (*key->at != '\\' || key->end - key->at < 2)
        return (unsigned char)*key->at++;
    const char escape = key->at[1];
    key->at += 2;
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *found = strchr(from, escape);
    if (escape != 'u')
        return found ? to[found - from] : (unsigned char)escape;
    if (key->end - key->at < 4)
        return -1;
    unsigned code = hex4(key->at);
    key->at += 4;
    if (code >= 0xd800 && code < 0xdc00 && key->end - key->at >= 6) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(key->at + 2) - 0xdc00);
        key->at += 6;
    }
    queue(key, code & 0x1fffff);
    return key->pending[--key->count];
}

/* Whether the raw key between quotes is the token of a path. */
static bool key_is(const char *raw, size_t raw_count, const char *token, size_t token_count)
{
    key_bytes key = { .at = raw, .end = raw + raw_count };
    size_t k = 0;
    for (int byte; (byte = next_byte(&key)) >= 0; k++) {
        if (k == token_count)
            return false;
        char c = token[k];
        if (c == '~' && k + 1 < token_count)
            c = token[++k] == '1' ? '/' : '~';
        if ((unsigned char)c != byte)
            return false;
    }
    return k == token_count;
}

/* From '{' to the value behind the key; *key_at is the key's own offset. */
static bool enter_member(cursor *c, const char *token, size_t token_count, size_t *key_at)
{
    for (c->at++;; c->at++) {
        skip_space(c);
        const size_t start = c->at;
        if (peek(c) != '"')
            return false;
        skip_string(c);
        const bool found = key_is(c->text + start + 1, c->at - start - 2, token, token_count);
        skip_space(c);
        c->at++; /* the colon */
        skip_space(c);
        if (found) {
            *key_at = start;
            return true;
        }
        skip_value(c);
        skip_space(c);
        if (peek(c) != ',')
            return false;
    }
}

static bool enter_item(cursor *c, const char *token, size_t token_count)
{
    size_t index = 0;
    for (size_t k = 0; k < token_count; k++) {
        if (token[k] < '0' || token[k] > '9' || index > SIZE_MAX / 16)
            return false;
        index = index * 10 + (size_t)(token[k] - '0');
    }
    for (c->at++;; c->at++) {
        skip_space(c);
        if (peek(c) == ']' || c->at >= c->count)
            return false;
        if (index-- == 0)
            return true;
        skip_value(c);
        skip_space(c);
        if (peek(c) != ',')
            return false;
    }
}

bool tn_json_find(const char *text, size_t count, const char *path, bool key, size_t *offset)
{
    cursor c = { text, count, 0 };
    size_t key_at = 0;
    skip_space(&c);
    *offset = key_at = c.at;
    while (*path == '/') {
        const char *token = path + 1;
        const size_t token_count = strcspn(token, "/");
        bool found = false;
        if (peek(&c) == '{')
            found = enter_member(&c, token, token_count, &key_at);
        else if (peek(&c) == '[' && (found = enter_item(&c, token, token_count)))
            key_at = c.at;
        if (!found)
            return false;
        *offset = c.at;
        path = token + token_count;
    }
    if (key)
        *offset = key_at;
    return true;
}
