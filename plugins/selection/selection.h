/* plugins/selection/selection.h: what the files of this folder share: the order of elements.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_SELECTION_H
#define TENON_PLUGINS_SELECTION_H

#include "tenon/kernel.h"

/* Types of operators that were not revised since bfloat16 came. */
#define SELECT_OLD_TYPES                                                                           \
    ((TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16)) | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) |                \
     TN_BIT(TN_STRING))

/* A number whose order, unsigned, is that of the values of a real, integer or bool type: equal
 * values have equal keys (-0 that of 0), NaN is above all and equal to itself, as numpy sorts. */
uint64_t select_key(uint32_t dtype, const void *data, int64_t i);
/* The same for any double. */
uint64_t select_key_of(double value);
/* Below, at or above 0 as element i of any type comes before, with or behind element j. Complex
 * numbers by real part first, strings by their bytes. */
int select_compare(const tn_tensor *data, int64_t i, int64_t j);

/* The axis that attribute "axis" names; complains and answers -1 when it is outside. */
int32_t select_axis(tn_infer *ctx, int64_t axis, int32_t rank, const char *input);
/* Selecting costs bytes, no products. */
tn_status select_cost(tn_infer *ctx, tn_cost *out);

tn_status top_k_register(tn_registrar *registrar);
tn_status unique_register(tn_registrar *registrar);
tn_status non_zero_register(tn_registrar *registrar);
tn_status compress_register(tn_registrar *registrar);

#endif
