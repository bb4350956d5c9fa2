/* engine/tensor/dim.c: dimensions as expressions: the table, the operations, comparison.
 *
 * In: numbers and handles. Out: the handle of the simplified result, the same for equal results.
 * Two numbers never touch the table. Symbols stand for extents and are at least 0.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/dim.h"

/* ---- the table --------------------------------------------------------------------------- */

tn_status tn_dims_create(tn_dims **out)
{
    tn_dims *dims = tn_alloc(1, sizeof *dims);
    if (!dims)
        return tn_raise_memory();
    if (pthread_mutex_init(&dims->lock, NULL)) {
        tn_free(dims);
        return tn_raise_memory();
    }
    atomic_init(&dims->references, 1);
    *out = dims;
    return TN_OK;
}

tn_dims *tn_dims_ref(tn_dims *dims)
{
    atomic_fetch_add_explicit(&dims->references, 1, memory_order_relaxed);
    return dims;
}

void tn_dims_unref(tn_dims *dims)
{
    if (!dims || atomic_fetch_sub_explicit(&dims->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&dims->lock);
    tn_free(dims->entries.items);
    tn_free(dims->symbols.items);
    tn_free(dims->buckets);
    tn_map_fini(&dims->by_name);
    tn_pool_fini(&dims->pool);
    tn_free(dims);
}

/* Reading locks, too: another thread's new entry may move the table. */
void tn_dims_lock(const tn_dims *dims)
{
    pthread_mutex_lock((pthread_mutex_t *)&dims->lock);
}

void tn_dims_unlock(const tn_dims *dims)
{
    pthread_mutex_unlock((pthread_mutex_t *)&dims->lock);
}

const tn_dim_entry *tn_dims_entry(const tn_dims *dims, tn_dim dim)
{
    if (!dims || dim > TN_DIM_LOWEST || dim == TN_DIM_UNKNOWN)
        return NULL;
    const uint64_t index = (uint64_t)(TN_DIM_LOWEST - dim);
    if (index >= dims->entries.count || dims->entries.items[index].is_atom)
        return NULL;
    return &dims->entries.items[index];
}

static uint32_t size_of_dim(const tn_dims *dims, tn_dim dim)
{
    const tn_dim_entry *entry = tn_dims_entry(dims, dim);
    return entry ? entry->size : 1;
}

/* Of the tree that the words stand for; sizes of parts are at most DIM_SIZE, so sums stay small. */
static uint32_t size_of_words(const tn_dims *dims, const int64_t *words, uint32_t count,
                              bool is_atom)
{
    if (is_atom)
        return words[0] == DIM_SYMBOL
                   ? 1
                   : 1 + size_of_dim(dims, words[1]) + size_of_dim(dims, words[2]);
    uint32_t size = 1;
    for (uint32_t at = 1; at < count;) {
        const uint32_t degree = (uint32_t)words[at + 1];
        size++;
        for (uint32_t k = 0; k < degree; k++)
            size += dims->entries.items[words[at + 2 + k]].size;
        at += 2 + degree;
    }
    return size;
}

static bool grow_buckets(tn_dims *dims)
{
    const uint32_t wanted = dims->bucket_count ? dims->bucket_count * 2 : 64;
    uint32_t *buckets = tn_alloc(wanted, sizeof *buckets);
    if (!buckets)
        return false;
    for (uint32_t k = 0; k < dims->entries.count; k++) {
        uint32_t at = dims->entries.items[k].hash & (wanted - 1);
        while (buckets[at])
            at = (at + 1) & (wanted - 1);
        buckets[at] = k + 1;
    }
    tn_free(dims->buckets);
    dims->buckets = buckets;
    dims->bucket_count = wanted;
    return true;
}

uint32_t tn_dims_intern(tn_dims *dims, const int64_t *words, uint32_t count, bool is_atom)
{
    const size_t bytes = count * sizeof *words;
    const uint32_t hash = (uint32_t)tn_hash(words, bytes, is_atom);
    if (dims->entries.count >= dims->bucket_count / 2 && !grow_buckets(dims))
        return UINT32_MAX;
    uint32_t at = hash & (dims->bucket_count - 1);
    for (; dims->buckets[at]; at = (at + 1) & (dims->bucket_count - 1)) {
        const tn_dim_entry *entry = &dims->entries.items[dims->buckets[at] - 1];
        if (entry->hash == hash && entry->is_atom == is_atom && entry->count == count &&
            !memcmp(entry->words, words, bytes))
            return dims->buckets[at] - 1;
    }
    const uint32_t size = size_of_words(dims, words, count, is_atom);
    if (size > DIM_SIZE || dims->entries.count > INT32_MAX / 2 || !TN_GROW(&dims->entries))
        return UINT32_MAX;
    const int64_t *copy = tn_pool_dup(&dims->pool, words, bytes);
    if (!copy)
        return UINT32_MAX;
    dims->entries.items[dims->entries.count++] = (tn_dim_entry){ copy, count, hash, size, is_atom };
    dims->buckets[at] = dims->entries.count;
    return dims->entries.count - 1;
}

/* ---- symbols ----------------------------------------------------------------------------- */

static bool add_symbol(tn_dims *dims, const char *name, uint32_t *out)
{
    const uint32_t number = dims->symbols.count;
    if (!TN_GROW(&dims->symbols))
        return false;
    const char *copy = tn_pool_copy(&dims->pool, name);
    if (!copy || tn_map_put(&dims->by_name, name, number) != TN_OK)
        return false;
    dims->symbols.items[dims->symbols.count++] = copy;
    *out = number;
    return true;
}

tn_dim tn_dim_symbol(tn_dims *dims, const char *name)
{
    uint32_t number, atom = UINT32_MAX;
    tn_dim dim = TN_DIM_UNKNOWN;
    tn_dims_lock(dims);
    if (tn_map_get(&dims->by_name, name, &number) || add_symbol(dims, name, &number)) {
        const int64_t words[2] = { DIM_SYMBOL, number };
        atom = tn_dims_intern(dims, words, 2, true);
    }
    if (atom != UINT32_MAX) {
        tn_poly poly;
        tn_poly_of_atom(atom, &poly);
        dim = tn_poly_store(dims, &poly);
    }
    tn_dims_unlock(dims);
    return dim;
}

int32_t tn_dim_symbol_index(const tn_dims *dims, tn_dim dim)
{
    int32_t number = -1;
    if (!dims || tn_dim_known(dim))
        return -1;
    tn_dims_lock(dims);
    const tn_dim_entry *entry = tn_dims_entry(dims, dim);
    /* constant 0, coefficient 1, degree 1, an atom */
    if (entry && entry->count == 4 && !entry->words[0] && entry->words[1] == 1) {
        const int64_t *atom = dims->entries.items[entry->words[3]].words;
        number = atom[0] == DIM_SYMBOL ? (int32_t)atom[1] : -1;
    }
    tn_dims_unlock(dims);
    return number;
}

uint32_t tn_dims_symbol_count(const tn_dims *dims)
{
    tn_dims_lock(dims);
    uint32_t count = dims->symbols.count;
    tn_dims_unlock(dims);
    return count;
}

const char *tn_dims_symbol_name(const tn_dims *dims, uint32_t k)
{
    tn_dims_lock(dims);
    const char *name = k < dims->symbols.count ? dims->symbols.items[k] : "?";
    tn_dims_unlock(dims);
    return name;
}

/* ---- numbers ----------------------------------------------------------------------------- */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    const int64_t rest = a % b;
    return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

tn_dim tn_dim_op_numbers(uint32_t op, int64_t a, int64_t b)
{
    int64_t r;
    switch (op) {
    case TN_DIM_ADD: r = a + b; break; /* both below 2^62 */
    case TN_DIM_SUB: r = a - b; break;
    case TN_DIM_MUL:
        if (!tn_int_mul(a, b, &r))
            return TN_DIM_UNKNOWN;
        break;
    case TN_DIM_FLOORDIV: r = b ? floor_divide(a, b) : TN_DIM_UNKNOWN; break;
    case TN_DIM_CEILDIV: r = b ? -floor_divide(-a, b) : TN_DIM_UNKNOWN; break;
    case TN_DIM_MOD: r = b ? floor_mod(a, b) : TN_DIM_UNKNOWN; break;
    case TN_DIM_MIN: r = a < b ? a : b; break;
    case TN_DIM_MAX: r = a > b ? a : b; break;
    default: return TN_DIM_UNKNOWN;
    }
    return tn_dim_in_range(r) ? r : TN_DIM_UNKNOWN;
}

/* ---- bounds ------------------------------------------------------------------------------ */

static bool lower_of_dim(const tn_dims *dims, tn_dim dim, int64_t *out);

static bool lower_of_atom(const tn_dims *dims, uint32_t atom, int64_t *out)
{
    const int64_t *words = dims->entries.items[atom].words;
    int64_t a, b;
    if (words[0] == DIM_SYMBOL)
        return *out = 0, true;
    const bool has_a = lower_of_dim(dims, words[1], &a), has_b = lower_of_dim(dims, words[2], &b);
    switch (words[0]) {
    case TN_DIM_FLOORDIV:
    case TN_DIM_CEILDIV:
        if (!has_a || !has_b || a < 0 || b < 1)
            return false;
        *out = tn_dim_known(words[2]) ? a / words[2] : 0;
        return true;
    case TN_DIM_MOD: return *out = 0, has_b && b >= 1;
    case TN_DIM_MIN: return *out = has_a && has_b && b < a ? b : a, has_a && has_b;
    case TN_DIM_MAX: *out = !has_a || (has_b && b > a) ? b : a; return has_a || has_b;
    default: return false;
    }
}

/* A number that the polynomial is never below; false when none is evident. */
static bool lower_of_poly(const tn_dims *dims, const tn_poly *poly, int64_t *out)
{
    int64_t sum = poly->constant;
    for (uint32_t k = 0; k < poly->count; k++) {
        int64_t product = poly->terms[k].coefficient, bound;
        if (product < 0)
            return false;
        for (uint32_t j = 0; j < poly->terms[k].degree; j++)
            if (!lower_of_atom(dims, poly->terms[k].atoms[j], &bound) || bound < 0 ||
                !tn_int_mul(product, bound, &product))
                return false;
        if (!tn_int_add(sum, product, &sum))
            return false;
    }
    *out = sum;
    return true;
}

static bool lower_of_dim(const tn_dims *dims, tn_dim dim, int64_t *out)
{
    tn_poly poly;
    return tn_poly_load(dims, dim, &poly) && lower_of_poly(dims, &poly, out);
}

/* a - b is at least `least` for all values of the symbols. */
static bool exceeds(const tn_dims *dims, const tn_poly *a, const tn_poly *b, int64_t least)
{
    tn_poly difference;
    int64_t bound;
    return tn_poly_add(a, b, -1, &difference) && lower_of_poly(dims, &difference, &bound) &&
           bound >= least;
}

/* ---- operations that may stay as atoms --------------------------------------------------- */

static tn_dim store_atom(tn_dims *dims, uint32_t op, tn_dim a, tn_dim b)
{
    tn_poly poly;
    const int64_t words[3] = { op, a, b };
    if (a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN)
        return TN_DIM_UNKNOWN;
    uint32_t atom = tn_dims_intern(dims, words, 3, true);
    if (atom == UINT32_MAX)
        return TN_DIM_UNKNOWN;
    tn_poly_of_atom(atom, &poly);
    return tn_poly_store(dims, &poly);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* Splits a = whole·b + rest, where rest has only what b does not divide and 0 ≤ its constant < b. */
static void split(const tn_poly *a, int64_t b, tn_poly *whole, tn_poly *rest)
{
    whole->constant = floor_divide(a->constant, b);
    rest->constant = floor_mod(a->constant, b);
    whole->count = rest->count = 0;
    for (uint32_t k = 0; k < a->count; k++) {
        const bool even = a->terms[k].coefficient % b == 0;
        tn_poly *to = even ? whole : rest;
        to->terms[to->count] = a->terms[k];
        to->terms[to->count++].coefficient /= even ? b : 1;
    }
}

static tn_dim floordiv_by_number(tn_dims *dims, const tn_poly *a, int64_t b);

/* floor(rest / b) where rest has terms, none of which b divides: takes out a common factor, then
 * looks through a division below: floor((floor(x / m) + c) / b) = floor((x + c·m) / (m·b)). */
static tn_dim divide_rest(tn_dims *dims, tn_poly *rest, int64_t b)
{
    int64_t factor = b;
    for (uint32_t k = 0; k < rest->count; k++)
        factor = common_divisor(factor, rest->terms[k].coefficient);
    for (uint32_t k = 0; k < rest->count; k++)
        rest->terms[k].coefficient /= factor;
    rest->constant = floor_divide(rest->constant, factor);
    b /= factor;
    const tn_term *only = rest->terms;
    if (rest->count == 1 && only->degree == 1 && only->coefficient == 1) {
        const int64_t *atom = dims->entries.items[only->atoms[0]].words;
        tn_poly inner, sum;
        const tn_poly one = { .constant = rest->constant };
        int64_t product;
        if (atom[0] == TN_DIM_FLOORDIV && tn_dim_known(atom[2]) && atom[2] > 0 &&
            tn_int_mul(atom[2], b, &product) && tn_dim_in_range(product) &&
            tn_poly_load(dims, atom[1], &inner) && tn_poly_add(&inner, &one, atom[2], &sum))
            return floordiv_by_number(dims, &sum, product);
    }
    return store_atom(dims, TN_DIM_FLOORDIV, tn_poly_store(dims, rest), b);
}

static tn_dim floordiv_by_number(tn_dims *dims, const tn_poly *a, int64_t b)
{
    tn_poly whole, rest, part, sum;
    split(a, b, &whole, &rest);
    if (tn_poly_is_number(&rest)) /* its constant is below b */
        return tn_poly_store(dims, &whole);
    tn_dim divided = divide_rest(dims, &rest, b);
    if (!tn_poly_load(dims, divided, &part) || !tn_poly_add(&whole, &part, 1, &sum))
        return TN_DIM_UNKNOWN;
    return tn_poly_store(dims, &sum);
}

static tn_dim divide(tn_dims *dims, uint32_t op, const tn_poly *a, const tn_poly *b)
{
    tn_poly quotient, top = *a;
    if (tn_poly_is_number(b) && !b->constant)
        return TN_DIM_UNKNOWN;
    if (tn_poly_divide(a, b, &quotient)) /* a divisor that is a symbol is taken not to be 0 */
        return tn_poly_store(dims, &quotient);
    if (!tn_poly_is_number(b))
        return store_atom(dims, op, tn_poly_store(dims, a), tn_poly_store(dims, b));
    int64_t number = b->constant;
    if (number < 0) { /* a / b = -a / -b */
        const tn_poly zero = { .constant = 0 };
        if (!tn_poly_add(&zero, a, -1, &top))
            return TN_DIM_UNKNOWN;
        number = -number;
    }
    /* ceil(a / b) = floor((a + b - 1) / b): one form for both. */
    if (op == TN_DIM_CEILDIV && !tn_int_add(top.constant, number - 1, &top.constant))
        return TN_DIM_UNKNOWN;
    return floordiv_by_number(dims, &top, number);
}

static tn_dim modulo(tn_dims *dims, const tn_poly *a, const tn_poly *b)
{
    tn_poly quotient, reduced = { .count = 0 };
    if (tn_poly_is_number(b) && !b->constant)
        return TN_DIM_UNKNOWN;
    if (tn_poly_divide(a, b, &quotient))
        return 0;
    if (!tn_poly_is_number(b) || b->constant < 0)
        return store_atom(dims, TN_DIM_MOD, tn_poly_store(dims, a), tn_poly_store(dims, b));
    reduced.constant = floor_mod(a->constant, b->constant);
    for (uint32_t k = 0; k < a->count; k++) {
        int64_t coefficient = floor_mod(a->terms[k].coefficient, b->constant);
        if (!coefficient)
            continue;
        reduced.terms[reduced.count] = a->terms[k];
        reduced.terms[reduced.count++].coefficient = coefficient;
    }
    if (tn_poly_is_number(&reduced))
        return reduced.constant;
    return store_atom(dims, TN_DIM_MOD, tn_poly_store(dims, &reduced), b->constant);
}

static tn_dim extreme(tn_dims *dims, uint32_t op, const tn_poly *a, const tn_poly *b)
{
    const bool a_larger = exceeds(dims, a, b, 0);
    if (a_larger || exceeds(dims, b, a, 0))
        return tn_poly_store(dims, a_larger == (op == TN_DIM_MAX) ? a : b);
    tn_dim left = tn_poly_store(dims, a), right = tn_poly_store(dims, b);
    /* One order for both: numbers last, older expressions (higher handles) first. */
    const bool swap = tn_dim_known(left) || (!tn_dim_known(right) && left < right);
    return swap ? store_atom(dims, op, right, left) : store_atom(dims, op, left, right);
}

static tn_dim combine(tn_dims *dims, uint32_t op, const tn_poly *a, const tn_poly *b)
{
    tn_poly result;
    switch (op) {
    case TN_DIM_ADD:
    case TN_DIM_SUB:
        if (!tn_poly_add(a, b, op == TN_DIM_ADD ? 1 : -1, &result))
            return TN_DIM_UNKNOWN;
        return tn_poly_store(dims, &result);
    case TN_DIM_MUL:
        return tn_poly_mul(a, b, &result) ? tn_poly_store(dims, &result) : TN_DIM_UNKNOWN;
    case TN_DIM_FLOORDIV:
    case TN_DIM_CEILDIV: return divide(dims, op, a, b);
    case TN_DIM_MOD: return modulo(dims, a, b);
    case TN_DIM_MIN:
    case TN_DIM_MAX: return extreme(dims, op, a, b);
    default: return TN_DIM_UNKNOWN;
    }
}

tn_dim tn_dim_op(tn_dims *dims, uint32_t op, tn_dim a, tn_dim b)
{
    if (tn_dim_known(a) && tn_dim_known(b))
        return tn_dim_in_range(a) && tn_dim_in_range(b) ? tn_dim_op_numbers(op, a, b)
                                                        : TN_DIM_UNKNOWN;
    if (op == TN_DIM_MUL && (a == 0 || b == 0))
        return 0; /* of anything, also of what is not known */
    if (a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN)
        return TN_DIM_UNKNOWN;
    tn_poly left, right;
    tn_dims_lock(dims);
    tn_dim result = tn_poly_load(dims, a, &left) && tn_poly_load(dims, b, &right)
                        ? combine(dims, op, &left, &right)
                        : TN_DIM_UNKNOWN;
    tn_dims_unlock(dims);
    return result;
}

/* ---- comparison and evaluation ------------------------------------------------------------ */

/* Coefficients share a factor that the constant lacks: 2·N is never 2·M+1. */
static bool differs_by_parity(const tn_poly *difference)
{
    int64_t factor = 0;
    for (uint32_t k = 0; k < difference->count; k++)
        factor = common_divisor(factor, difference->terms[k].coefficient);
    return factor > 1 && difference->constant % factor != 0;
}

static uint32_t compare(tn_dims *dims, tn_dim a, tn_dim b)
{
    tn_poly left, right, difference;
    if (!tn_poly_load(dims, a, &left) || !tn_poly_load(dims, b, &right) ||
        !tn_poly_add(&left, &right, -1, &difference))
        return TN_MAYBE;
    if (tn_poly_is_number(&difference))
        return difference.constant ? TN_NO : TN_YES;
    return differs_by_parity(&difference) || exceeds(dims, &left, &right, 1) ||
                   exceeds(dims, &right, &left, 1)
               ? TN_NO
               : TN_MAYBE;
}

uint32_t tn_dim_equal(tn_dims *dims, tn_dim a, tn_dim b)
{
    if (a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN)
        return TN_MAYBE;
    if (a == b || (tn_dim_known(a) && tn_dim_known(b)))
        return a == b ? TN_YES : TN_NO;
    tn_dims_lock(dims);
    uint32_t answer = compare(dims, a, b);
    tn_dims_unlock(dims);
    return answer;
}

static tn_dim evaluate(const tn_dims *dims, tn_dim dim, const int64_t *values, uint32_t count);

static tn_dim evaluate_atom(const tn_dims *dims, int64_t atom, const int64_t *values,
                            uint32_t count)
{
    const int64_t *words = dims->entries.items[atom].words;
    if (words[0] == DIM_SYMBOL)
        return words[1] < count && tn_dim_in_range(values[words[1]]) ? values[words[1]]
                                                                     : TN_DIM_UNKNOWN;
    tn_dim a = evaluate(dims, words[1], values, count);
    tn_dim b = evaluate(dims, words[2], values, count);
    if (a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN)
        return TN_DIM_UNKNOWN;
    return tn_dim_op_numbers((uint32_t)words[0], a, b);
}

static tn_dim evaluate(const tn_dims *dims, tn_dim dim, const int64_t *values, uint32_t count)
{
    if (tn_dim_known(dim))
        return dim;
    const tn_dim_entry *entry = tn_dims_entry(dims, dim);
    if (!entry)
        return TN_DIM_UNKNOWN;
    int64_t sum = entry->words[0];
    for (uint32_t at = 1; at < entry->count;) {
        int64_t product = entry->words[at];
        const uint32_t degree = (uint32_t)entry->words[at + 1];
        for (uint32_t k = 0; k < degree; k++) {
            int64_t factor = evaluate_atom(dims, entry->words[at + 2 + k], values, count);
            if (factor == TN_DIM_UNKNOWN || !tn_int_mul(product, factor, &product))
                return TN_DIM_UNKNOWN;
        }
        if (!tn_int_add(sum, product, &sum))
            return TN_DIM_UNKNOWN;
        at += 2 + degree;
    }
    return tn_dim_in_range(sum) ? sum : TN_DIM_UNKNOWN;
}

tn_dim tn_dim_evaluate(const tn_dims *dims, tn_dim dim, const int64_t *values, uint32_t count)
{
    if (tn_dim_known(dim) || dim == TN_DIM_UNKNOWN)
        return dim;
    tn_dims_lock(dims);
    tn_dim number = evaluate(dims, dim, values, count);
    tn_dims_unlock(dims);
    return number;
}
