/* plugins/text/parse.c: compiles a regular expression in RE2's syntax into steps.
 *
 * alternatives := sequence ('|' sequence)*; sequence := (atom repeat?)*. Each piece is emitted where
 * it stands; what turns out to be repeated or an alternative is shifted to make room for the step
 * before it. Jumps are relative, so a shifted or copied piece stays right. Greedy and lazy repeats
 * are alike: a full match either is or is not.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

enum { MAX_STEPS = 100000, MAX_DEPTH = 200, MAX_REPEAT = 1000 };
enum { FLAG_FOLD = 1, FLAG_MULTILINE = 2, FLAG_DOT_ALL = 4 };
enum { SET_NEGATED = 1, SET_FOLDED = 2 };

typedef struct parser {
    tn_text text;
    size_t at;
    regex_step *steps; /* NULL: count only */
    int32_t count;
    int depth;
    uint32_t flags;
    const char *why;
} parser;

/* ---- emitting ------------------------------------------------------------------------------------ */

static int fail(parser *p, const char *why)
{
    if (!p->why)
        p->why = why;
    return 0;
}

static int has_room(parser *p, int64_t more)
{
    return p->count + more <= MAX_STEPS ? 1 : fail(p, "the pattern is too large");
}

static int emit(parser *p, uint8_t op, uint32_t flag, int32_t a, int32_t b)
{
    if (!has_room(p, 1))
        return 0;
    if (p->steps)
        p->steps[p->count] = (regex_step){ op, (uint8_t)flag, a, b };
    p->count++;
    return 1;
}

/* Makes room for one step at `where`. */
static int insert(parser *p, int32_t where, uint8_t op, int32_t a, int32_t b)
{
    if (!has_room(p, 1))
        return 0;
    if (p->steps) {
        memmove(p->steps + where + 1, p->steps + where,
                (size_t)(p->count - where) * sizeof *p->steps);
        p->steps[where] = (regex_step){ op, 0, a, b };
    }
    p->count++;
    return 1;
}

static int copy(parser *p, int32_t from, int32_t size)
{
    if (!has_room(p, size))
        return 0;
    if (p->steps)
        memcpy(p->steps + p->count, p->steps + from, (size_t)size * sizeof *p->steps);
    p->count += size;
    return 1;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int more(const parser *p)
{
    return p->at < p->text.count;
}

static int looking_at(const parser *p, const char *word)
{
    const size_t n = strlen(word);
    return p->text.count - p->at >= n && memcmp(p->text.bytes + p->at, word, n) == 0;
}

static int accept(parser *p, const char *word)
{
    if (!looking_at(p, word))
        return 0;
    p->at += strlen(word);
    return 1;
}

static uint32_t next(parser *p)
{
    size_t taken;
    const uint32_t code = utf8_read(p->text.bytes, p->text.count, p->at, &taken);
    p->at += taken;
    return code;
}

static int number(parser *p, int32_t *out)
{
    const size_t begin = p->at;
    *out = 0;
    while (more(p) && p->text.bytes[p->at] >= '0' && p->text.bytes[p->at] <= '9') {
        *out = *out * 10 + (p->text.bytes[p->at++] - '0');
        *out = *out > MAX_REPEAT ? MAX_REPEAT + 1 : *out;
    }
    return p->at > begin;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* After \x: two digits, or any in braces. */
static int hex(parser *p, uint32_t *out)
{
    const int braces = accept(p, "{");
    int digits = 0;
    for (*out = 0; more(p) && (braces || digits < 2); digits++) {
        const int digit = hex_digit(p->text.bytes[p->at]);
        if (digit < 0)
            break;
        *out = *out << 4 | (uint32_t)digit;
        p->at++;
        if (*out > 0x10ffff)
            return fail(p, "\\x is beyond Unicode");
    }
    if (braces ? !digits || !accept(p, "}") : digits != 2)
        return fail(p, "\\x wants two digits, or some in braces");
    return 1;
}

/* A character after a backslash that stands for one code; 0: it does not. */
static int escaped_code(parser *p, uint32_t *out)
{
    static const char letters[] = "afnrtv", codes[] = "\a\f\n\r\t\v";
    const char c = p->text.bytes[p->at];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        *out = (unsigned char)codes[letter - letters];
        p->at++;
        return 1;
    }
    if (c == 'x') {
        p->at++;
        return hex(p, out);
    }
    if (c >= '0' && c <= '7') {
        int digits = 0;
        if (c != '0' && (p->at + 1 >= p->text.count || p->text.bytes[p->at + 1] < '0' ||
                         p->text.bytes[p->at + 1] > '7'))
            return fail(p, "references to groups do not exist");
        for (*out = 0;
             digits < 3 && more(p) && p->text.bytes[p->at] >= '0' && p->text.bytes[p->at] <= '7';
             digits++)
            *out = *out << 3 | (uint32_t)(p->text.bytes[p->at++] - '0');
        return 1;
    }
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && (unsigned char)c < 128)
        return fail(p, "this escape is not known");
    if (c >= '8' && c <= '9')
        return fail(p, "references to groups do not exist");
    *out = next(p);
    return 1;
}

/* ---- classes ------------------------------------------------------------------------------------- */

typedef struct named_class {
    const char *name;
    const char *ranges; /* pairs of ASCII */
} named_class;

static const named_class perl_classes[] = {
    { "d", "09" },
    { "s", "\t\n\f\r  " },
    { "w", "09AZ__az" },
};
static const named_class posix_classes[] = {
    { "alnum", "09AZaz" },
    { "alpha", "AZaz" },
    { "ascii", "\001\177" },
    { "blank", "\t\t  " },
    { "cntrl", "\001\037\177\177" },
    { "digit", "09" },
    { "graph", "!~" },
    { "lower", "az" },
    { "print", " ~" },
    { "punct", "!/:@[`{~" },
    { "space", "\t\r  " },
    { "upper", "AZ" },
    { "word", "09AZ__az" },
    { "xdigit", "09AFaf" },
};

static int emit_range(parser *p, uint32_t from, uint32_t to)
{
    return emit(p, REGEX_RANGE, 0, (int32_t)from, (int32_t)to);
}

/* The ranges of a class, or what lies between them. Ranges are in order and do not touch 0. */
static int emit_class(parser *p, const char *ranges, int negated, int with_zero)
{
    uint32_t from = 0;
    if (with_zero && !negated && !emit_range(p, 0, 0))
        return 0;
    if (with_zero && negated)
        from = 1;
    for (const char *r = ranges; *r; r += 2) {
        const uint32_t low = (unsigned char)r[0], high = (unsigned char)r[1];
        if (negated && low > from && !emit_range(p, from, low - 1))
            return 0;
        if (!negated && !emit_range(p, low, high))
            return 0;
        from = high + 1;
    }
    return negated ? emit_range(p, from, 0x10ffff) : 1;
}

/* \p{Lu}, \pL, \p{^Lu} and, negated, \P{Lu}; after the letter. */
static int unicode_class(parser *p, int negated)
{
    const int braces = accept(p, "{");
    negated ^= braces && accept(p, "^");
    const size_t begin = p->at;
    while (braces && more(p) && p->text.bytes[p->at] != '}')
        p->at++;
    const char *name = p->text.bytes + begin;
    if (!more(p))
        return fail(p, braces ? "'}' is missing" : "\\p wants a name");
    p->at += !braces;
    const size_t count = p->at - begin;
    const uint32_t mask = category_mask(name, count);
    p->at += (size_t)braces;
    if (count == 3 && !memcmp(name, "Any", 3))
        return negated ? 1 : emit_range(p, 0, 0x10ffff);
    return mask ? emit(p, REGEX_CATEGORIES, 0, (int32_t)mask, negated)
                : fail(p, "no category of Unicode (scripts are not known here)");
}

/* \d and its kin, after the backslash; -1: another escape. */
static int perl_class(parser *p)
{
    const char c = p->text.bytes[p->at];
    for (size_t k = 0; k < sizeof perl_classes / sizeof *perl_classes; k++) {
        if ((c | 0x20) == perl_classes[k].name[0]) {
            p->at++;
            return emit_class(p, perl_classes[k].ranges, !(c & 0x20), 0);
        }
    }
    if (accept(p, "p") || accept(p, "P"))
        return unicode_class(p, c == 'P');
    if (c == 'C')
        return fail(p, "single bytes (\\C) are not known here");
    return -1;
}

/* [:name:] after "[:"; the colon was seen. */
static int posix_class(parser *p)
{
    const int negated = accept(p, "^");
    for (size_t k = 0; k < sizeof posix_classes / sizeof *posix_classes; k++) {
        const char *name = posix_classes[k].name;
        const size_t begin = p->at;
        if (accept(p, name) && accept(p, ":]"))
            return emit_class(p, posix_classes[k].ranges, negated,
                              strcmp(name, "ascii") == 0 || strcmp(name, "cntrl") == 0);
        p->at = begin;
    }
    return fail(p, "this class in [: :] is not known");
}

static int class_code(parser *p, uint32_t *out)
{
    if (!more(p))
        return fail(p, "']' is missing");
    if (!accept(p, "\\")) {
        *out = next(p);
        return 1;
    }
    return more(p) ? escaped_code(p, out) : fail(p, "'\\' at the end");
}

static int class_item(parser *p)
{
    uint32_t from, to;
    if (accept(p, "[:"))
        return posix_class(p);
    if (looking_at(p, "\\") && p->at + 1 < p->text.count) {
        p->at++;
        const int done = perl_class(p);
        if (done >= 0)
            return done;
        p->at--;
    }
    if (!class_code(p, &from))
        return 0;
    to = from;
    if (looking_at(p, "-") && p->at + 1 < p->text.count && p->text.bytes[p->at + 1] != ']') {
        p->at++;
        if (!class_code(p, &to))
            return 0;
    }
    if (to < from)
        return fail(p, "a range is the wrong way round");
    return emit_range(p, from, to);
}

static int emit_set(parser *p, uint32_t negated)
{
    return emit(p, REGEX_SET, negated | (p->flags & FLAG_FOLD ? SET_FOLDED : 0u), 0, 0);
}

static int close_set(parser *p, int32_t where)
{
    if (p->steps)
        p->steps[where].a = p->count - where - 1;
    return 1;
}

static int bracket(parser *p)
{
    const int32_t where = p->count;
    const int negated = accept(p, "^");
    if (!emit_set(p, negated ? SET_NEGATED : 0u))
        return 0;
    do {
        if (!more(p))
            return fail(p, "']' is missing");
        if (!class_item(p))
            return 0;
    } while (!accept(p, "]"));
    return close_set(p, where);
}

/* ---- atoms --------------------------------------------------------------------------------------- */

static int alternatives(parser *p);

static int literal(parser *p, uint32_t code)
{
    return emit(p, REGEX_CHAR, p->flags & FLAG_FOLD ? SET_FOLDED : 0u, (int32_t)code, 0);
}

/* \Q… up to \E or the end, but for its last character, which a repeat may follow. */
static int quoted(parser *p)
{
    while (more(p) && !accept(p, "\\E")) {
        if (!literal(p, next(p)))
            return 0;
    }
    return 1;
}

static int escape(parser *p)
{
    static const struct {
        char letter;
        uint8_t op;
    } places[] = { { 'A', REGEX_TEXT_BEGIN },
                   { 'z', REGEX_TEXT_END },
                   { 'b', REGEX_WORD },
                   { 'B', REGEX_NO_WORD } };
    const int32_t where = p->count;
    uint32_t code;
    if (!more(p))
        return fail(p, "'\\' at the end");
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        if (p->text.bytes[p->at] == places[k].letter) {
            p->at++;
            return emit(p, places[k].op, 0, 0, 0);
        }
    }
    if (accept(p, "Q"))
        return quoted(p);
    if (!emit_set(p, 0))
        return 0;
    const int done = perl_class(p);
    if (done >= 0)
        return done && close_set(p, where);
    p->count = where;
    return escaped_code(p, &code) && literal(p, code);
}

/* Flags after "(?", up to ':' or ')'. Answers 1 with *scoped: a group follows. */
static int flags(parser *p, int *scoped)
{
    static const char letters[] = "imsU";
    static const uint32_t bits[] = { FLAG_FOLD, FLAG_MULTILINE, FLAG_DOT_ALL, 0 };
    uint32_t set = p->flags;
    for (int off = 0; more(p);) {
        const char c = p->text.bytes[p->at++];
        const char *letter = c ? strchr(letters, c) : NULL;
        if (c == ':' || c == ')') {
            p->flags = set;
            *scoped = c == ':';
            return 1;
        }
        if (c == '-' && !off)
            off = 1;
        else if (letter)
            set = off ? set & ~bits[letter - letters] : set | bits[letter - letters];
        else
            return fail(p, "this flag is not known");
    }
    return fail(p, "')' is missing");
}

static int group_name(parser *p)
{
    const size_t begin = p->at;
    while (more(p) && p->text.bytes[p->at] != '>')
        p->at++;
    return p->at > begin && accept(p, ">") ? 1 : fail(p, "a group's name is wrong");
}

static int group(parser *p)
{
    const uint32_t before = p->flags;
    int scoped = 1;
    if (++p->depth > MAX_DEPTH)
        return fail(p, "groups are nested too deep");
    if (accept(p, "?P<") || accept(p, "?<")) {
        if (looking_at(p, "=") || looking_at(p, "!"))
            return fail(p, "looking around is not RE2");
        if (!group_name(p))
            return 0;
    } else if (accept(p, "?") && !flags(p, &scoped)) {
        return 0;
    }
    p->depth -= !scoped;
    if (!scoped) /* holds until the group around it ends */
        return 1;
    if (!alternatives(p))
        return 0;
    if (!accept(p, ")"))
        return fail(p, "')' is missing");
    p->flags = before;
    p->depth--;
    return 1;
}

static int atom(parser *p)
{
    const uint32_t multiline = p->flags & FLAG_MULTILINE;
    if (accept(p, "("))
        return group(p);
    if (accept(p, "["))
        return bracket(p);
    if (accept(p, "."))
        return emit(p, p->flags & FLAG_DOT_ALL ? REGEX_ANY : REGEX_LINE_ANY, 0, 0, 0);
    if (accept(p, "^"))
        return emit(p, multiline ? REGEX_LINE_BEGIN : REGEX_TEXT_BEGIN, 0, 0, 0);
    if (accept(p, "$"))
        return emit(p, multiline ? REGEX_LINE_END : REGEX_TEXT_END, 0, 0, 0);
    if (accept(p, "\\"))
        return escape(p);
    if (looking_at(p, "*") || looking_at(p, "+") || looking_at(p, "?"))
        return fail(p, "there is nothing to repeat");
    return literal(p, next(p));
}

/* ---- repeats ------------------------------------------------------------------------------------- */

/* {n}, {n,} or {n,m}; 0: a brace that is plain text. */
static int bounds(parser *p, int32_t *low, int32_t *high)
{
    const size_t begin = p->at;
    if (!accept(p, "{"))
        return 0;
    if (number(p, low)) {
        *high = *low;
        if (accept(p, ",") && !number(p, high))
            *high = -1;
        if (accept(p, "}"))
            return 1;
    }
    p->at = begin;
    return 0;
}

static int repeat_sign(parser *p, int32_t *low, int32_t *high)
{
    if (accept(p, "*"))
        return *low = 0, *high = -1, 1;
    if (accept(p, "+"))
        return *low = 1, *high = -1, 1;
    if (accept(p, "?"))
        return *low = 0, *high = 1, 1;
    return bounds(p, low, high);
}

/* The piece at `where`, `low` to `high` times (-1: any number). */
static int repeat(parser *p, int32_t where, int32_t low, int32_t high)
{
    const int32_t size = p->count - where;
    int32_t piece = where;
    if (high == 0) {
        p->count = where;
        return 1;
    }
    if (low == 0 && high < 0)
        return insert(p, where, REGEX_SPLIT, 1, size + 2) && emit(p, REGEX_JUMP, 0, -size - 1, 0);
    if (low == 0) {
        if (!insert(p, where, REGEX_SPLIT, 1, size + 1))
            return 0;
        piece++;
    }
    for (int32_t k = 1; k < low; k++) {
        if (!copy(p, piece, size))
            return 0;
    }
    if (high < 0)
        return emit(p, REGEX_SPLIT, 0, -size, 1);
    for (int32_t k = low ? low : 1; k < high; k++) {
        if (!emit(p, REGEX_SPLIT, 0, 1, size + 1) || !copy(p, piece, size))
            return 0;
    }
    return 1;
}

static int repeated_atom(parser *p)
{
    int32_t where = p->count, low, high;
    const int quoted_text = looking_at(p, "\\Q");
    if (!atom(p))
        return 0;
    if (!repeat_sign(p, &low, &high))
        return 1;
    if (quoted_text && p->count > where)
        where = p->count - 1;
    if (low > MAX_REPEAT || high > MAX_REPEAT || (high >= 0 && high < low))
        return fail(p, "the bounds of a repeat are wrong (1000 is the most)");
    (void)accept(p, "?");
    if (looking_at(p, "*") || looking_at(p, "+") || looking_at(p, "?"))
        return fail(p, "two repeats follow each other");
    return repeat(p, where, low, high);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static int sequence(parser *p)
{
    while (more(p) && !looking_at(p, "|") && !looking_at(p, ")")) {
        if (!repeated_atom(p))
            return 0;
    }
    return 1;
}

/* SPLIT, sequence, JUMP to the end; and so on; the last one is bare. The jumps are aimed at last. */
static int alternatives(parser *p)
{
    const int32_t first = p->count;
    int32_t begin = first;
    if (!sequence(p))
        return 0;
    while (accept(p, "|")) {
        if (!insert(p, begin, REGEX_SPLIT, 1, p->count - begin + 2) ||
            !emit(p, REGEX_JUMP, 0, 0, 0))
            return 0;
        begin = p->count;
        if (!sequence(p))
            return 0;
    }
    for (int32_t at = first; p->steps && at < begin; at += p->steps[at].b)
        p->steps[at + p->steps[at].b - 1].a = p->count - (at + p->steps[at].b - 1);
    return 1;
}

int32_t regex_compile(tn_text pattern, regex_step *steps, const char **why, size_t *at)
{
    parser p = { .text = pattern, .steps = steps };
    const int done = alternatives(&p) && (!more(&p) || fail(&p, "')' stands without '('")) &&
                     emit(&p, REGEX_MATCH, 0, 0, 0);
    *why = p.why;
    *at = p.at;
    return done ? p.count : -1;
}
