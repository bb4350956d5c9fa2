/* isa/table.c: this processor's functions, as a table.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

const native_isa ISA(native_isa) = {
    .name = TEXT(NATIVE_ISA),
    .lanes = LANES,
    .rows = NATIVE_ROWS,
    .columns = 2 * LANES,
    .tile = ISA(tile),
    .apply = ISA(apply),
    .combine = ISA(combine),
    .affine = ISA(affine),
    .depthwise = ISA(depthwise),
    .pool = ISA(pool),
    .reduce = ISA(reduce),
    .deviation = ISA(deviation),
    .softmax = ISA(softmax),
    .layer_norm = ISA(layer_norm),
    .rotate = ISA(rotate),
    .winograd_in = ISA(winograd_in),
    .winograd_out = ISA(winograd_out),
};
