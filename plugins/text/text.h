/* plugins/text/text.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_TEXT_H
#define TENON_PLUGINS_TEXT_H

#include "tenon/kernel.h"

#include <inttypes.h>

/* ---- UTF-8 (utf8.c) --------------------------------------------------------------------------- */

/* The code point at `at` and how many bytes it takes; a byte that begins none is U+FFFD. */
uint32_t utf8_read(const char *bytes, size_t count, size_t at, size_t *taken);
/* Writes a code point, at most 4 bytes; answers how many. */
size_t utf8_write(uint32_t code, char *out);
/* White space as Unicode has it (White_Space=yes). */
int utf8_is_space(uint32_t code);

/* ---- Unicode's categories (categories.c, categories.py) ---------------------------------------- */

/* The categories of that name, "Lu", or that begin with it, "L"; a bit for each, 0: there is none. */
uint32_t category_mask(const char *name, size_t count);
/* Whether a code point is of one of them. */
int category_in(uint32_t mask, uint32_t code);

static inline int text_equal(tn_text a, tn_text b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, a.count) == 0);
}

/* ---- regular expressions (parse.c, match.c) ------------------------------------------------------ */

/* An instruction. Jumps are relative, so that pieces can be shifted and copied. */
typedef struct regex_step {
    uint8_t op;   /* REGEX_* */
    uint8_t flag; /* SET: it is negated; CHAR, SET: letters of both cases match */
    int32_t a,
        b; /* SPLIT, JUMP: where to; CHAR: the code; SET: how many RANGEs and CATEGORIES follow;
              RANGE: from, to; CATEGORIES: a mask, 1: all others */
} regex_step;
enum {
    REGEX_CHAR,
    REGEX_ANY,
    REGEX_LINE_ANY, /* but a line feed */
    REGEX_SET,
    REGEX_RANGE,
    REGEX_CATEGORIES,
    REGEX_SPLIT,
    REGEX_JUMP,
    REGEX_TEXT_BEGIN,
    REGEX_TEXT_END,
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_WORD,
    REGEX_NO_WORD,
    REGEX_MATCH
};

/* Compiles a pattern into `steps`, or only counts when NULL. Answers how many steps; -1: wrong, with
 * what and where in *why (static) and *at. */
int32_t regex_compile(tn_text pattern, regex_step *steps, const char **why, size_t *at);

/* Numbers that matching needs for a program of this size. */
static inline size_t regex_scratch(size_t count)
{
    return 8 * count + 16;
}
/* Whether the whole text matches. `scratch`: regex_scratch numbers, zeroed before the first call. */
int regex_full_match(const regex_step *steps, int32_t count, tn_text text, uint32_t *scratch);

tn_status concat_register(tn_registrar *registrar);
tn_status normalize_register(tn_registrar *registrar);
tn_status regex_register(tn_registrar *registrar);
tn_status split_register(tn_registrar *registrar);
tn_status tfidf_register(tn_registrar *registrar);

#endif
