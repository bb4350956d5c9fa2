/* plugins/random/random.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_RANDOM_H
#define TENON_PLUGINS_RANDOM_H

#include "tenon/blocks.h"

/* ---- source.c: numbers -------------------------------------------------------------------- */

/* Where a node's numbers come from. With attribute `seed`: from Philox4x32-10 with the seed's bits
 * as key, the same for every run and every node of that seed, others in each trip of a loop.
 * Without: from the host's stream 0 of the run's seed, the node and the trip. */
typedef struct source {
    tn_call *call;
    int seeded;
    uint32_t key;
    uint64_t turn;
} source;

source source_of(tn_run *ctx);
/* Uniform numbers first … first + n - 1 of [0, 1), multiples of 2^-53; n is at most BLOCK. */
void source_uniform(const source *s, int64_t first, int64_t n, double *out);

/* ---- infer.c: types ------------------------------------------------------------------------ */

/* The output's type by attribute dtype, one of `allowed`, else `fallback` (TN_UNDEFINED: that of
 * input 0). `expected` says what is allowed. */
void random_dtype(tn_infer *ctx, uint64_t allowed, uint32_t fallback, const char *expected);

/* The attributes that all have. */
#define RANDOM_SEED                                                                                \
    {                                                                                              \
        .name = "seed", .type = TN_ATTR_FLOAT,                                                     \
        .doc = "Of the random numbers; the run's when left out."                                   \
    }

/* ---- files --------------------------------------------------------------------------------- */

tn_status fill_register(tn_registrar *registrar);
tn_status bernoulli_register(tn_registrar *registrar);
tn_status multinomial_register(tn_registrar *registrar);

#endif
