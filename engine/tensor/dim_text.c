/* engine/tensor/dim_text.c: dimensions to text and back: "N", "N*2+1", "floordiv(N,2)".
 *
 * A symbol whose name is no plain word is quoted: 'batch size', with '' for a quote inside.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/dim.h"

#include <ctype.h>

static const char *const op_names[] = {
    [TN_DIM_FLOORDIV] = "floordiv", [TN_DIM_CEILDIV] = "ceildiv", [TN_DIM_MOD] = "mod",
    [TN_DIM_MIN] = "min",           [TN_DIM_MAX] = "max",
};

/* Letters of any language, digits and the marks that exporters put into names. */
static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || (c && strchr("_.:#@$", c));
}

/* ---- to text ----------------------------------------------------------------------------- */

static void add_symbol(tn_builder *builder, const char *name)
{
    bool plain = *name && !isdigit((unsigned char)*name);
    for (const char *c = name; *c; c++)
        plain = plain && is_word(*c);
    if (plain) {
        tn_add(builder, "%s", name);
        return;
    }
    tn_add(builder, "'");
    for (const char *c = name; *c; c++)
        tn_add_bytes(builder, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
    tn_add(builder, "'");
}

static void add_dim(tn_builder *builder, const tn_dims *dims, tn_dim dim);

static void add_atom(tn_builder *builder, const tn_dims *dims, uint32_t atom)
{
    const int64_t *words = dims->entries.items[atom].words;
    if (words[0] == DIM_SYMBOL) {
        add_symbol(builder, dims->symbols.items[words[1]]);
        return;
    }
    tn_add(builder, "%s(", op_names[words[0]]);
    add_dim(builder, dims, words[1]);
    tn_add(builder, ",");
    add_dim(builder, dims, words[2]);
    tn_add(builder, ")");
}

static void add_dim(tn_builder *builder, const tn_dims *dims, tn_dim dim)
{
    tn_poly poly;
    if (!tn_poly_load(dims, dim, &poly)) {
        tn_add(builder, "?");
        return;
    }
    for (uint32_t k = 0; k < poly.count; k++) {
        const tn_term *term = &poly.terms[k];
        const int64_t size = term->coefficient < 0 ? -term->coefficient : term->coefficient;
        tn_add(builder, "%s", term->coefficient < 0 ? "-" : k ? "+" : "");
        for (uint32_t j = 0; j < term->degree; j++) {
            tn_add(builder, "%s", j ? "*" : "");
            add_atom(builder, dims, term->atoms[j]);
        }
        if (size != 1)
            tn_add(builder, "*%" PRId64, size);
    }
    if (!poly.count)
        tn_add(builder, "%" PRId64, poly.constant);
    else if (poly.constant)
        tn_add(builder, "%+" PRId64, poly.constant);
}

void tn_add_dim(tn_builder *builder, const tn_dims *dims, tn_dim dim)
{
    if (tn_dim_known(dim)) {
        tn_add(builder, "%" PRId64, dim);
    } else if (!dims || dim == TN_DIM_UNKNOWN) {
        tn_add(builder, "?");
    } else {
        tn_dims_lock(dims);
        add_dim(builder, dims, dim);
        tn_dims_unlock(dims);
    }
}

/* ---- from text: sum = product {+- product}, product = factor {* factor} -------------------- */

typedef struct parser {
    tn_dims *dims;
    const char *text, *at;
    int depth;
} parser;
enum { PARSE_DEPTH = 32, NAME_BYTES = 256 };

static tn_status complain(const parser *p, const char *expected)
{
    if (!*p->at)
        return tn_raise(TN_ERR_SYNTAX, "dimension '%.80s' ends where %s is expected", p->text,
                        expected);
    return tn_raise(TN_ERR_SYNTAX, "dimension '%.80s' has '%.20s' where %s is expected", p->text,
                    p->at, expected);
}

static bool skip(parser *p, char c)
{
    p->at += strspn(p->at, " \t");
    if (*p->at != c)
        return false;
    p->at++;
    p->at += strspn(p->at, " \t");
    return true;
}

/* a op b, where the operands are known to be something. */
static tn_status apply(parser *p, uint32_t op, tn_dim a, tn_dim b, tn_dim *out)
{
    *out = tn_dim_op(p->dims, op, a, b);
    if (*out == TN_DIM_UNKNOWN)
        return tn_raise(TN_ERR_LIMIT, "dimension '%.80s' is too large, or divides by 0", p->text);
    return TN_OK;
}

static tn_status read_sum(parser *p, tn_dim *out);

static tn_status read_number(parser *p, tn_dim *out)
{
    int64_t number = 0;
    for (; isdigit((unsigned char)*p->at); p->at++)
        if (!tn_int_mul(number, 10, &number) || !tn_int_add(number, *p->at - '0', &number) ||
            !tn_dim_in_range(number))
            return tn_raise(TN_ERR_LIMIT, "dimension '%.80s' has a number beyond 2^62", p->text);
    *out = number;
    return is_word(*p->at) ? complain(p, "an operator") : TN_OK;
}

static tn_status make_symbol(parser *p, const char *name, tn_dim *out)
{
    *out = tn_dim_symbol(p->dims, name);
    return *out == TN_DIM_UNKNOWN ? tn_raise_memory() : TN_OK;
}

static tn_status read_quoted(parser *p, tn_dim *out)
{
    char name[NAME_BYTES];
    size_t count = 0;
    for (p->at++; *p->at && (*p->at != '\'' || p->at[1] == '\''); p->at++) {
        p->at += *p->at == '\'';
        if (count + 1 < sizeof name)
            name[count++] = *p->at;
    }
    name[count] = 0;
    if (*p->at != '\'' || count + 1 == sizeof name)
        return complain(p, "a closing quote");
    p->at++;
    return make_symbol(p, name, out);
}

static tn_status read_call(parser *p, uint32_t op, tn_dim *out)
{
    tn_dim a, b;
    TN_TRY(read_sum(p, &a));
    if (!skip(p, ','))
        return complain(p, "','");
    TN_TRY(read_sum(p, &b));
    if (!skip(p, ')'))
        return complain(p, "')'");
    return apply(p, op, a, b, out);
}

static tn_status read_word(parser *p, tn_dim *out)
{
    char name[NAME_BYTES];
    const char *begin = p->at;
    while (is_word(*p->at))
        p->at++;
    const size_t count = (size_t)(p->at - begin);
    if (count >= sizeof name)
        return tn_raise(TN_ERR_LIMIT, "symbol '%.40s…' is longer than %d bytes", begin,
                        NAME_BYTES - 1);
    memcpy(name, begin, count);
    name[count] = 0;
    for (uint32_t op = TN_DIM_FLOORDIV; op < TN_COUNT(op_names); op++)
        if (!strcmp(name, op_names[op]) && skip(p, '('))
            return read_call(p, op, out);
    return make_symbol(p, name, out);
}

static tn_status read_factor(parser *p, tn_dim *out)
{
    if (skip(p, '-')) {
        tn_dim operand;
        if (++p->depth > PARSE_DEPTH)
            return complain(p, "an end of the nesting");
        TN_TRY(read_factor(p, &operand));
        p->depth--;
        return apply(p, TN_DIM_SUB, 0, operand, out);
    }
    if (skip(p, '(')) {
        TN_TRY(read_sum(p, out));
        return skip(p, ')') ? TN_OK : complain(p, "')'");
    }
    if (isdigit((unsigned char)*p->at))
        return read_number(p, out);
    if (*p->at == '\'')
        return read_quoted(p, out);
    return is_word(*p->at) ? read_word(p, out) : complain(p, "a number or a symbol");
}

static tn_status read_product(parser *p, tn_dim *out)
{
    tn_dim left, right;
    TN_TRY(read_factor(p, &left));
    while (skip(p, '*')) {
        TN_TRY(read_factor(p, &right));
        TN_TRY(apply(p, TN_DIM_MUL, left, right, &left));
    }
    *out = left;
    return TN_OK;
}

static tn_status read_sum(parser *p, tn_dim *out)
{
    tn_dim left, right;
    if (++p->depth > PARSE_DEPTH)
        return complain(p, "an end of the nesting");
    TN_TRY(read_product(p, &left));
    for (;;) {
        const bool minus = skip(p, '-');
        if (!minus && !skip(p, '+'))
            break;
        TN_TRY(read_product(p, &right));
        TN_TRY(apply(p, minus ? TN_DIM_SUB : TN_DIM_ADD, left, right, &left));
    }
    p->depth--;
    *out = left;
    return TN_OK;
}

tn_status tn_dim_parse(tn_dims *dims, const char *text, tn_dim *out)
{
    parser p = { .dims = dims, .text = text, .at = text + strspn(text, " \t") };
    tn_dim dim;
    if (!strcmp(p.at, "?")) {
        *out = TN_DIM_UNKNOWN;
        return TN_OK;
    }
    TN_TRY(read_sum(&p, &dim));
    p.at += strspn(p.at, " \t");
    if (*p.at)
        return complain(&p, "an operator");
    *out = dim;
    return TN_OK;
}
