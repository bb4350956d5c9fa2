/* plugins/cast/cast.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_CAST_H
#define TENON_PLUGINS_CAST_H

#include "tenon/blocks.h"

/* How numbers become numbers of a small type. */
typedef enum cast_round { ROUND_UP, ROUND_DOWN, ROUND_NEAREST, ROUND_UNKNOWN } cast_round;
typedef struct cast_rules {
    int saturate;
    cast_round round; /* of float8e8m0 only */
} cast_rules;

/* number.c: elements [first, first + n) of two tensors of numbers or bool. first is a multiple of
 * BLOCK and n at most BLOCK, so that packed outputs share no byte. */
void cast_block(const tn_tensor *in, tn_tensor *out, const cast_rules *rules, int64_t first,
                int64_t n);
/* Stores one double as any floating-point type. */
void cast_store(uint32_t dtype, void *data, int64_t i, double value, const cast_rules *rules);

/* text.c: elements [first, first + n) between strings and numbers. Writing makes strings of the
 * run, on its own thread. */
tn_status cast_from_text(tn_run *ctx, const tn_tensor *in, tn_tensor *out, const cast_rules *rules,
                         int64_t first, int64_t n);
tn_status cast_to_text(tn_run *ctx, const tn_tensor *in, tn_tensor *out);

tn_status cast_register(tn_registrar *registrar);
tn_status bit_cast_register(tn_registrar *registrar);

#endif
