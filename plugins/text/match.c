/* plugins/text/match.c: runs a compiled pattern over a text, all ways at once.
 *
 * The set of steps that are alive goes along the text (Thompson, CACM 1968): time is at most the
 * product of text and program, whatever the pattern.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

typedef struct machine {
    const regex_step *steps;
    uint32_t *seen;  /* [count] the turn in which a step was added last */
    uint32_t *stack; /* [4 * count] steps to look at */
    uint32_t turn;
    tn_text text;
} machine;

static int is_word(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
           (code >= 'A' && code <= 'Z') || code == '_';
}

static int holds(const machine *m, uint8_t op, size_t at)
{
    const int begin = at == 0, end = at == m->text.count;
    const char *s = m->text.bytes;
    const int before = !begin && is_word((unsigned char)s[at - 1]);
    const int after = !end && is_word((unsigned char)s[at]);
    switch (op) {
    case REGEX_TEXT_BEGIN: return begin;
    case REGEX_TEXT_END: return end;
    case REGEX_LINE_BEGIN: return begin || s[at - 1] == '\n';
    case REGEX_LINE_END: return end || s[at] == '\n';
    case REGEX_WORD: return before != after;
    default: return before == after;
    }
}

/* Adds a step and all that can be reached from it without a character; answers the new count. */
static uint32_t add(machine *m, uint32_t *list, uint32_t count, uint32_t first, size_t at)
{
    uint32_t depth = 0;
    m->stack[depth++] = first;
    while (depth) {
        const uint32_t pc = m->stack[--depth];
        const regex_step *s = &m->steps[pc];
        if (m->seen[pc] == m->turn)
            continue;
        m->seen[pc] = m->turn;
        if (s->op == REGEX_SPLIT)
            m->stack[depth++] = pc + (uint32_t)s->b;
        if (s->op == REGEX_SPLIT || s->op == REGEX_JUMP)
            m->stack[depth++] = pc + (uint32_t)s->a;
        else if (s->op >= REGEX_TEXT_BEGIN && s->op <= REGEX_NO_WORD) {
            if (holds(m, s->op, at))
                m->stack[depth++] = pc + 1;
        } else
            list[count++] = pc;
    }
    return count;
}

static uint32_t other_case(uint32_t code)
{
    const uint32_t letter = code | 0x20u;
    return letter >= 'a' && letter <= 'z' && code < 128 ? code ^ 0x20u : code;
}

static int in_range(const regex_step *s, uint32_t code)
{
    return code >= (uint32_t)s->a && code <= (uint32_t)s->b;
}

/* A letter counts in both its cases before a category is negated: when cases are one, all but
 * \p{Lu} is without "a", too. */
static int in_set(const regex_step *set, uint32_t code, uint32_t other)
{
    for (const regex_step *s = set + 1; s <= set + set->a; s++) {
        const uint32_t mask = (uint32_t)s->a;
        if (s->op == REGEX_RANGE ? in_range(s, code) || in_range(s, other)
                                 : (category_in(mask, code) || category_in(mask, other)) != s->b)
            return 1;
    }
    return 0;
}

enum { NEGATED = 1, FOLDED = 2 };
static int takes(const regex_step *s, uint32_t code)
{
    const uint32_t other = s->flag & FOLDED ? other_case(code) : code;
    switch (s->op) {
    case REGEX_CHAR: return code == (uint32_t)s->a || other == (uint32_t)s->a;
    case REGEX_ANY: return 1;
    case REGEX_LINE_ANY: return code != '\n';
    case REGEX_SET: return in_set(s, code, other) != (s->flag & NEGATED);
    default: return 0;
    }
}

int regex_full_match(const regex_step *steps, int32_t count, tn_text text, uint32_t *scratch)
{
    const uint32_t n = (uint32_t)count;
    uint32_t *now = scratch + 1, *next = now + n, *swap;
    machine m = { steps, next + n, next + 2 * n, scratch[0], text };
    size_t taken;
    /* Turns number what `seen` holds; before they could come round it is wiped. */
    if (text.count >= UINT32_MAX - 2 - m.turn) {
        memset(m.seen, 0, n * sizeof *m.seen);
        m.turn = 0;
    }
    m.turn++;
    uint32_t alive = add(&m, now, 0, 0, 0);
    for (size_t at = 0; at < text.count && alive; at += taken) {
        const uint32_t code = utf8_read(text.bytes, text.count, at, &taken);
        uint32_t after = 0;
        m.turn++;
        for (uint32_t k = 0; k < alive; k++) {
            const regex_step *s = &steps[now[k]];
            if (takes(s, code))
                after = add(&m, next, after, now[k] + 1 + (s->op == REGEX_SET ? (uint32_t)s->a : 0),
                            at + taken);
        }
        swap = now, now = next, next = swap;
        alive = after;
    }
    scratch[0] = m.turn;
    for (uint32_t k = 0; k < alive; k++) {
        if (steps[now[k]].op == REGEX_MATCH)
            return 1;
    }
    return 0;
}
