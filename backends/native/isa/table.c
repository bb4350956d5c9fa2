/* isa/table.c: this processor's functions, as a table.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"
#include "vector.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

/* NATIVE_TABLE is NATIVE_ISA, or the name of a processor that has more for integers alone. */
const native_isa JOIN(native_isa_, NATIVE_TABLE) = {
    .name = TEXT(NATIVE_TABLE),
    .lanes = LANES,
    .rows = NATIVE_ROWS,
    .columns = 2 * LANES,
    .tile = ISA(tile),
    .apply = ISA(apply),
    .apply_rows = ISA(apply_rows),
    .combine = ISA(combine),
    .combine_rows = ISA(combine_rows),
    .affine = ISA(affine),
    .depthwise = ISA(depthwise),
    .pool = ISA(pool),
    .pool_line = ISA(pool_line),
    .reduce = ISA(reduce),
    .deviation = ISA(deviation),
    .softmax = ISA(softmax),
    .layer_norm = ISA(layer_norm),
    .rotate = ISA(rotate),
    .winograd_in = ISA(winograd_in),
    .winograd_out = ISA(winograd_out),
    .winograd_weights = ISA(winograd_weights),
    .integer = &JOIN(native_integer_, NATIVE_TABLE),
};
