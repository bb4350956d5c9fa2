/* engine/tensor/dim.h: how expressions over symbols are kept; between poly.c, dim.c and dim_text.c.
 *
 * An expression is a polynomial with integer coefficients over atoms. An atom is a symbol, or a
 * floordiv, ceildiv, mod, min or max of two dimensions that did not fold. Both are entries of one
 * table, found by their words, so that equal expressions have equal indices.
 *
 * Everything here but the table's own lock expects the lock to be held.
 * SPDX-License-Identifier: MIT */
#ifndef TN_DIM_H
#define TN_DIM_H

#include "engine/tensor/tensor.h"
#include "tenon/plugin.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    POLY_TERMS = 24, /* what goes beyond any of these is answered as unknown: */
    POLY_DEGREE = 6, /* no shape needs it, and a hostile graph could grow it  */
    DIM_SIZE = 256,  /* without end                                           */
    DIM_SYMBOL = 255 /* op of an atom that is a symbol; words[1] is its number */
};

typedef struct tn_term {
    int64_t coefficient;
    uint32_t degree;
    uint32_t atoms[POLY_DEGREE]; /* ascending; one stands twice for its square */
} tn_term;

typedef struct tn_poly {
    int64_t constant;
    uint32_t count;
    tn_term terms[POLY_TERMS]; /* higher degree first, then by atoms */
} tn_poly;

typedef struct tn_dim_entry {
    const int64_t *words; /* atom: op, a, b; polynomial: constant, then coefficient, degree, atoms
                             of each term */
    uint32_t count;
    uint32_t hash;
    uint32_t size; /* of the tree behind it: bounds printing and evaluating */
    bool is_atom;
} tn_dim_entry;

struct tn_dims {
    atomic_uint references;
    pthread_mutex_t lock;
    tn_pool pool;
    struct {
        tn_dim_entry *items;
        uint32_t count, capacity;
    } entries;
    struct {
        const char **items;
        uint32_t count, capacity;
    } symbols;
    tn_map by_name;    /* symbol → number */
    uint32_t *buckets; /* index + 1 of an entry; 0: free */
    uint32_t bucket_count;
};

static inline bool tn_dim_in_range(int64_t number)
{
    return number > TN_DIM_LOWEST && number < -TN_DIM_LOWEST;
}
void tn_dims_lock(const tn_dims *dims);
void tn_dims_unlock(const tn_dims *dims);
/* The polynomial's entry behind a handle, or NULL. */
const tn_dim_entry *tn_dims_entry(const tn_dims *dims, tn_dim dim);
/* The index of the entry with these words, made when there is none; UINT32_MAX: memory is short or
 * the expression is too large. */
uint32_t tn_dims_intern(tn_dims *dims, const int64_t *words, uint32_t count, bool is_atom);

/* ---- polynomials (poly.c): false on overflow or beyond the bounds, *out then undefined ------- */
bool tn_poly_load(const tn_dims *dims, tn_dim dim, tn_poly *out);
tn_dim tn_poly_store(tn_dims *dims, const tn_poly *poly); /* TN_DIM_UNKNOWN when it cannot */
void tn_poly_of_atom(uint32_t atom, tn_poly *out);
bool tn_poly_add(const tn_poly *a, const tn_poly *b, int64_t times, tn_poly *out); /* a + times·b */
bool tn_poly_mul(const tn_poly *a, const tn_poly *b, tn_poly *out);
bool tn_poly_divide(const tn_poly *a, const tn_poly *b, tn_poly *out); /* only without remainder */
static inline bool tn_poly_is_number(const tn_poly *poly)
{
    return poly->count == 0;
}

/* Two numbers; TN_DIM_UNKNOWN on overflow and division by 0. */
tn_dim tn_dim_op_numbers(uint32_t op, int64_t a, int64_t b);

#endif
