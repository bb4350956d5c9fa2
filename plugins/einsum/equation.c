/* plugins/einsum/equation.c: reads the equation of an Einsum.
 *
 * ONNX: Einsum. Letters name axes, upper and lower case apart; "..." stands for axes without a name;
 * spaces mean nothing. Without "->" the result has the ellipsis' axes, then the letters that occur
 * once, in the order of ASCII.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

#include <stdio.h>

typedef struct reader {
    const char *text, *at;
    char *reason;
    size_t bytes;
} reader;

static char peek(reader *r)
{
    while (*r->at == ' ')
        r->at++;
    return *r->at;
}

static int letter_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

char einsum_letter(uint8_t label)
{
    if (label >= EINSUM_LETTERS)
        return '.';
    return (char)(label < 26 ? 'A' + label : 'a' + label - 26);
}

/* Letters and at most one ellipsis, up to something else. */
static int read_term(reader *r, einsum_term *term)
{
    *term = (einsum_term){ .dots = -1 };
    for (;;) {
        const char c = peek(r);
        const int letter = letter_of(c);
        if (letter >= 0 && term->count < TN_MAX_RANK) {
            term->letters[term->count++] = (uint8_t)letter;
            r->at++;
        } else if (letter >= 0) {
            snprintf(r->reason, r->bytes, "a term has more than %d letters", TN_MAX_RANK);
            return 0;
        } else if (strncmp(r->at, "...", 3) == 0 && term->dots < 0) {
            term->dots = term->count;
            r->at += 3;
        } else if (c == '.') {
            snprintf(r->reason, r->bytes,
                     "character %d is '.': expected one ellipsis '...' in a term",
                     (int)(r->at - r->text) + 1);
            return 0;
        } else {
            return 1;
        }
    }
}

static int read_operands(reader *r, uint32_t wanted, einsum_equation *out)
{
    out->operand_count = 0;
    for (;;) {
        if (out->operand_count == EINSUM_OPERANDS) {
            snprintf(r->reason, r->bytes, "there are more than %d terms", EINSUM_OPERANDS);
            return 0;
        }
        if (!read_term(r, &out->operands[out->operand_count++]))
            return 0;
        if (peek(r) != ',')
            break;
        r->at++;
    }
    if (*r->at && strncmp(r->at, "->", 2) != 0) {
        snprintf(r->reason, r->bytes, "character %d is '%c': expected a letter, '...', ',' or '->'",
                 (int)(r->at - r->text) + 1, *r->at);
        return 0;
    }
    if (out->operand_count != wanted) {
        snprintf(r->reason, r->bytes, "it has %u term%s, but the node %u input%s",
                 (unsigned)out->operand_count, out->operand_count == 1 ? "" : "s", (unsigned)wanted,
                 wanted == 1 ? "" : "s");
        return 0;
    }
    return 1;
}

/* How often each letter occurs in the operands; answers whether there is an ellipsis. */
static int count_letters(const einsum_equation *equation, int32_t *counts)
{
    int dots = 0;
    memset(counts, 0, EINSUM_LETTERS * sizeof *counts);
    for (uint32_t k = 0; k < equation->operand_count; k++) {
        const einsum_term *term = &equation->operands[k];
        dots = dots || term->dots >= 0;
        for (int32_t i = 0; i < term->count; i++)
            counts[term->letters[i]]++;
    }
    return dots;
}

static int implicit_output(reader *r, einsum_equation *out)
{
    int32_t counts[EINSUM_LETTERS];
    const int dots = count_letters(out, counts);
    out->out = (einsum_term){ .dots = dots ? 0 : -1 };
    for (int letter = 0; letter < EINSUM_LETTERS; letter++) {
        if (counts[letter] != 1)
            continue;
        if (out->out.count == TN_MAX_RANK) {
            snprintf(r->reason, r->bytes, "the result has more than %d axes", TN_MAX_RANK);
            return 0;
        }
        out->out.letters[out->out.count++] = (uint8_t)letter;
    }
    return 1;
}

static int explicit_output(reader *r, einsum_equation *out)
{
    int32_t counts[EINSUM_LETTERS];
    if (!read_term(r, &out->out))
        return 0;
    if (peek(r)) {
        snprintf(r->reason, r->bytes, "character %d is '%c': expected a letter or '...' after '->'",
                 (int)(r->at - r->text) + 1, *r->at);
        return 0;
    }
    (void)count_letters(out, counts);
    for (int32_t i = 0; i < out->out.count; i++) {
        const uint8_t letter = out->out.letters[i];
        if (counts[letter] < 1) {
            snprintf(r->reason, r->bytes, "'%c' is %s", einsum_letter(letter),
                     counts[letter] ? "twice in the result" : "in the result, but in no operand");
            return 0;
        }
        counts[letter] = -1;
    }
    return 1;
}

int einsum_parse(const char *text, uint32_t operand_count, einsum_equation *out, char *reason,
                 size_t bytes)
{
    reader r = { text, text, reason, bytes };
    if (!read_operands(&r, operand_count, out))
        return 0;
    if (!*r.at)
        return implicit_output(&r, out);
    r.at += 2;
    return explicit_output(&r, out);
}

int einsum_labels(const einsum_term *term, int32_t rank, uint8_t *labels)
{
    const int32_t unnamed = rank - term->count;
    if (rank > TN_MAX_RANK || unnamed < 0 || (unnamed > 0 && term->dots < 0))
        return 0;
    for (int32_t i = 0, axis = 0; i <= term->count; i++) {
        for (int32_t k = 0; i == term->dots && k < unnamed; k++)
            labels[axis++] = (uint8_t)(EINSUM_LABELS - unnamed + k);
        if (i < term->count)
            labels[axis++] = term->letters[i];
    }
    return 1;
}
