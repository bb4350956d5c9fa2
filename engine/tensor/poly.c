/* engine/tensor/poly.c: arithmetic on polynomials of fixed size, in canonical order.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/dim.h"

static bool by_atoms_less(const tn_term *a, const tn_term *b, int *order)
{
    for (uint32_t k = 0; k < a->degree; k++)
        if (a->atoms[k] != b->atoms[k])
            return *order = a->atoms[k] < b->atoms[k] ? -1 : 1, true;
    return *order = 0, false;
}

/* The order of terms: graded lexicographic, so that leading terms divide as polynomials do. */
static int compare(const tn_term *a, const tn_term *b)
{
    int order;
    if (a->degree != b->degree)
        return a->degree > b->degree ? -1 : 1;
    by_atoms_less(a, b, &order);
    return order;
}

bool tn_poly_load(const tn_dims *dims, tn_dim dim, tn_poly *out)
{
    out->count = 0;
    if (tn_dim_known(dim)) {
        out->constant = dim;
        return true;
    }
    const tn_dim_entry *entry = tn_dims_entry(dims, dim);
    if (!entry)
        return false;
    out->constant = entry->words[0];
    for (uint32_t at = 1; at < entry->count;) {
        tn_term *term = &out->terms[out->count++];
        term->coefficient = entry->words[at++];
        term->degree = (uint32_t)entry->words[at++];
        for (uint32_t k = 0; k < term->degree; k++)
            term->atoms[k] = (uint32_t)entry->words[at++];
    }
    return true;
}

tn_dim tn_poly_store(tn_dims *dims, const tn_poly *poly)
{
    int64_t words[1 + POLY_TERMS * (2 + POLY_DEGREE)];
    uint32_t count = 0;
    if (!tn_dim_in_range(poly->constant))
        return TN_DIM_UNKNOWN;
    if (tn_poly_is_number(poly))
        return poly->constant;
    words[count++] = poly->constant;
    for (uint32_t k = 0; k < poly->count; k++) {
        words[count++] = poly->terms[k].coefficient;
        words[count++] = poly->terms[k].degree;
        for (uint32_t j = 0; j < poly->terms[k].degree; j++)
            words[count++] = poly->terms[k].atoms[j];
    }
    uint32_t index = tn_dims_intern(dims, words, count, false);
    return index == UINT32_MAX ? TN_DIM_UNKNOWN : TN_DIM_LOWEST - (int64_t)index;
}

void tn_poly_of_atom(uint32_t atom, tn_poly *out)
{
    out->constant = 0;
    out->count = 1;
    out->terms[0] = (tn_term){ .coefficient = 1, .degree = 1, .atoms = { atom } };
}

/* Appends a term; one with coefficient 0 disappears. */
static bool push(tn_poly *out, const tn_term *term, int64_t coefficient)
{
    if (!coefficient)
        return true;
    if (out->count == POLY_TERMS || !tn_dim_in_range(coefficient))
        return false;
    out->terms[out->count] = *term;
    out->terms[out->count++].coefficient = coefficient;
    return true;
}

bool tn_poly_add(const tn_poly *a, const tn_poly *b, int64_t times, tn_poly *out)
{
    int64_t scaled;
    uint32_t i = 0, j = 0;
    out->count = 0;
    if (!tn_int_mul(b->constant, times, &scaled) ||
        !tn_int_add(a->constant, scaled, &out->constant))
        return false;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : compare(&a->terms[i], &b->terms[j]);
        int64_t sum = order <= 0 ? a->terms[i].coefficient : 0;
        if (order >= 0 && (!tn_int_mul(b->terms[j].coefficient, times, &scaled) ||
                           !tn_int_add(sum, scaled, &sum)))
            return false;
        if (!push(out, order <= 0 ? &a->terms[i] : &b->terms[j], sum))
            return false;
        i += order <= 0;
        j += order >= 0;
    }
    return true;
}

/* a · b as monomials, coefficient included. */
static bool multiply_terms(const tn_term *a, const tn_term *b, tn_term *out)
{
    uint32_t i = 0, j = 0;
    if (a->degree + b->degree > POLY_DEGREE ||
        !tn_int_mul(a->coefficient, b->coefficient, &out->coefficient))
        return false;
    out->degree = a->degree + b->degree;
    for (uint32_t k = 0; k < out->degree; k++)
        out->atoms[k] = j == b->degree || (i < a->degree && a->atoms[i] <= b->atoms[j])
                            ? a->atoms[i++]
                            : b->atoms[j++];
    return true;
}

/* a times one term. */
static bool multiply_by(const tn_poly *a, const tn_term *term, tn_poly *out)
{
    const tn_term constant = { .coefficient = a->constant };
    out->constant = 0;
    out->count = a->count;
    for (uint32_t k = 0; k < a->count; k++)
        if (!multiply_terms(&a->terms[k], term, &out->terms[k]))
            return false;
    if (!a->constant)
        return true;
    if (out->count == POLY_TERMS)
        return false;
    /* The order of monomials survives multiplication, and the constant was the lowest. */
    return multiply_terms(&constant, term, &out->terms[out->count++]);
}

bool tn_poly_mul(const tn_poly *a, const tn_poly *b, tn_poly *out)
{
    tn_poly sum = { .constant = 0, .count = 0 }, product, next;
    if (!tn_poly_add(&sum, a, b->constant, &next))
        return false;
    sum = next;
    for (uint32_t k = 0; k < b->count; k++) {
        if (!multiply_by(a, &b->terms[k], &product) || !tn_poly_add(&sum, &product, 1, &next))
            return false;
        sum = next;
    }
    *out = sum;
    return true;
}

/* a / b as monomials; false when it does not come out even. */
static bool divide_terms(const tn_term *a, const tn_term *b, tn_term *out)
{
    uint32_t j = 0;
    if (a->coefficient % b->coefficient != 0 || a->degree < b->degree)
        return false;
    out->coefficient = a->coefficient / b->coefficient;
    out->degree = 0;
    for (uint32_t i = 0; i < a->degree; i++)
        if (j < b->degree && a->atoms[i] == b->atoms[j])
            j++;
        else if (out->degree == a->degree - b->degree)
            return false;
        else
            out->atoms[out->degree++] = a->atoms[i];
    return j == b->degree;
}

static tn_term leading(const tn_poly *poly)
{
    return poly->count ? poly->terms[0] : (tn_term){ .coefficient = poly->constant };
}

bool tn_poly_divide(const tn_poly *a, const tn_poly *b, tn_poly *out)
{
    tn_poly rest = *a, product, next;
    const tn_term divisor = leading(b);
    out->constant = 0;
    out->count = 0;
    if (!divisor.coefficient)
        return false;
    while (rest.count || rest.constant) {
        tn_term first = leading(&rest), quotient = { 0 };
        if (!divide_terms(&first, &divisor, &quotient))
            return false;
        if (!quotient.degree)
            out->constant = quotient.coefficient;
        else if (!push(out, &quotient, quotient.coefficient))
            return false;
        if (quotient.degree
                ? !multiply_by(b, &quotient, &product) || !tn_poly_add(&rest, &product, -1, &next)
                : !tn_poly_add(&rest, b, -quotient.coefficient, &next))
            return false;
        rest = next;
    }
    return true;
}
