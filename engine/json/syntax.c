/* engine/json/syntax.c: finds the first syntax error of a text that Jansson refused, to say better
 * where and what: an iterative checker of RFC 8259.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/positions.h"

#include <stdio.h>

typedef struct checker {
    const char *text;
    size_t count, at;
    size_t depth, deepest;
    char *message;
    size_t bytes;
    struct {
        char open;
        size_t at;
    } stack[TN_JSON_DEEPEST + 1];
} checker;

static char peek(const checker *c)
{
    return c->at < c->count ? c->text[c->at] : 0;
}

static void skip_space(checker *c)
{
    while (c->at < c->count && strchr(" \n\r\t", c->text[c->at]) && c->text[c->at])
        c->at++;
}

/* What stands here, for a message: a word, a character, the end. */
static const char *found(const checker *c, char *out, size_t bytes)
{
    size_t n = 0;
    if (c->at >= c->count)
        return "the end of the text";
    while (c->at + n < c->count && n < 24 && !strchr(" \n\r\t,:[]{}\"'", c->text[c->at + n]))
        n++;
    const unsigned char first = (unsigned char)c->text[c->at];
    if (n == 0 && first >= 0x20 && first < 0x7f)
        n = 1;
    bool plain = n > 0;
    for (size_t k = 0; k < n; k++)
        plain = plain && (unsigned char)c->text[c->at + k] >= 0x20 &&
                (unsigned char)c->text[c->at + k] < 0x7f;
    if (plain)
        snprintf(out, bytes, "%.*s", (int)n, c->text + c->at);
    else
        snprintf(out, bytes, "byte 0x%02x", first);
    return out;
}

static bool fault(checker *c, const char *expected)
{
    char word[40];
    const char *what = found(c, word, sizeof word);
    if (c->at >= c->count && c->depth > 0) {
        uint32_t line, column;
        tn_json_position(c->text, c->count, c->stack[c->depth - 1].at, &line, &column);
        snprintf(c->message, c->bytes, "the text ends, but the %s of line %u is still open",
                 c->stack[c->depth - 1].open == '{' ? "object" : "list", line);
    } else if (peek(c) == '/' || peek(c) == '#') {
        snprintf(c->message, c->bytes, "found %s: JSON has no comments", what);
    } else if (peek(c) == '\'') {
        snprintf(c->message, c->bytes, "found ': text stands in double quotes");
    } else {
        snprintf(c->message, c->bytes, "found %s: expected %s", what, expected);
    }
    return false;
}

static bool said(checker *c, const char *message)
{
    snprintf(c->message, c->bytes, "%s", message);
    return false;
}

static bool check_escape(checker *c)
{
    const char escape = c->at + 1 < c->count ? c->text[c->at + 1] : 0;
    c->at += 2;
    if (escape && strchr("\"\\/bfnrt", escape))
        return true;
    bool good = escape == 'u' && c->count - c->at >= 4;
    for (size_t k = 0; good && k < 4; k++)
        good = c->text[c->at + k] && strchr("0123456789abcdefABCDEF", c->text[c->at + k]);
    if (good) {
        c->at += 4;
        return true;
    }
    c->at -= 2;
    return said(
        c,
        "a backslash in a text is followed by one of \" \\ / b f n r t or u and four hexadecimal digits");
}

static bool check_string(checker *c)
{
    const size_t start = c->at;
    for (c->at++; c->at < c->count && c->text[c->at] != '"';) {
        const unsigned char ch = (unsigned char)c->text[c->at];
        if (ch == '\\') {
            if (!check_escape(c))
                return false;
            continue;
        }
        if (ch == '\n' || ch == '\r') {
            c->at = start;
            return said(c, "the text that begins here has no closing quote on its line");
        }
        if (ch < 0x20)
            return said(
                c,
                "a control character stands in a text: write it as \\u and four hexadecimal digits");
        c->at++;
    }
    if (c->at >= c->count) {
        c->at = start;
        return said(c, "the text that begins here has no closing quote");
    }
    c->at++;
    return true;
}

static size_t digits(checker *c)
{
    size_t n = 0;
    while (peek(c) >= '0' && peek(c) <= '9') {
        c->at++;
        n++;
    }
    return n;
}

static bool check_number(checker *c)
{
    const size_t start = c->at;
    c->at += peek(c) == '-';
    const bool zero = peek(c) == '0';
    const size_t whole = digits(c);
    bool good = whole > 0 && !(zero && whole > 1);
    if (good && peek(c) == '.') {
        c->at++;
        good = digits(c) > 0;
    }
    if (good && (peek(c) == 'e' || peek(c) == 'E')) {
        c->at++;
        c->at += peek(c) == '-' || peek(c) == '+';
        good = digits(c) > 0;
    }
    if (good && (c->at >= c->count || strchr(" \n\r\t,:[]{}\"", peek(c))))
        return true;
    c->at = start;
    return fault(c, "a number such as -1, 0.5 or 1e-5");
}

/* A value's beginning; containers are pushed. */
static bool check_value(checker *c)
{
    static const char *const words[] = { "true", "false", "null" };
    const char ch = peek(c);
    if (ch == '[' || ch == '{') {
        if (c->depth >= c->deepest) {
            snprintf(c->message, c->bytes, "brackets nest deeper than %zu", c->deepest);
            return false;
        }
        c->stack[c->depth].open = ch;
        c->stack[c->depth++].at = c->at++;
        return true;
    }
    if (ch == '"')
        return check_string(c);
    if (ch == '-' || (ch >= '0' && ch <= '9')) {
        if (c->count - c->at < 9 || memcmp(c->text + c->at, "-Infinity", 9) != 0)
            return check_number(c);
    }
    char word[40];
    found(c, word, sizeof word);
    for (size_t k = 0; k < TN_COUNT(words); k++)
        if (strcmp(word, words[k]) == 0 && c->at < c->count) {
            c->at += strlen(word);
            return true;
        }
    if (c->at < c->count &&
        (!strcmp(word, "NaN") || !strcmp(word, "Infinity") || !strcmp(word, "-Infinity")))
        return fault(c, "it in quotes: \"NaN\", \"Infinity\", \"-Infinity\"");
    return fault(c, "a value");
}

/* Behind a value: commas and closing brackets, up to where the next value begins. */
static bool check_between(checker *c, bool *done)
{
    for (;;) {
        skip_space(c);
        if (c->depth == 0) {
            *done = true;
            return c->at == c->count || fault(c, "nothing behind the graph's closing brace");
        }
        const char open = c->stack[c->depth - 1].open, close = open == '{' ? '}' : ']';
        if (peek(c) == close) {
            c->at++;
            c->depth--;
            continue;
        }
        if (peek(c) != ',')
            return fault(c, open == '{' ? "a comma or }" : "a comma or ]");
        c->at++;
        skip_space(c);
        if (peek(c) == close)
            return said(c, open == '{'
                               ? "found } behind a comma: JSON has no comma at the end of an object"
                               : "found ] behind a comma: JSON has no comma at the end of a list");
        return true;
    }
}

static bool check_key(checker *c)
{
    if (peek(c) != '"')
        return fault(c, "a key in double quotes");
    if (!check_string(c))
        return false;
    skip_space(c);
    if (peek(c) != ':')
        return fault(c, "a colon behind the key");
    c->at++;
    skip_space(c);
    return true;
}

static bool check(checker *c)
{
    bool done = false;
    skip_space(c);
    if (peek(c) != '{' && peek(c) != '[')
        return fault(c, "a graph, which begins with {");
    while (!done) {
        const size_t depth = c->depth;
        if (depth > 0 && c->stack[depth - 1].open == '{' && !check_key(c))
            return false;
        if (!check_value(c))
            return false;
        if (c->depth > depth) { /* a container was opened: its first item, or its end */
            skip_space(c);
            if (peek(c) != (c->stack[depth].open == '{' ? '}' : ']'))
                continue;
            c->at++;
            c->depth--;
        }
        if (!check_between(c, &done))
            return false;
    }
    return true;
}

bool tn_json_fault(const char *text, size_t count, size_t deepest, size_t *offset, char *message,
                   size_t bytes)
{
    checker *c = tn_alloc(1, sizeof *c);
    if (!c)
        return false;
    *c = (checker){ .text = text, .count = count, .message = message, .bytes = bytes };
    c->deepest = deepest < TN_JSON_DEEPEST ? deepest : TN_JSON_DEEPEST;
    const bool good = check(c);
    *offset = c->at;
    tn_free(c);
    return !good;
}
