/* tests/differential/makers.h: what a random graph grows by. Each adds a node or a few, of fitting shapes, and
 * answers false when there is nothing to add them to.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_MAKERS_H
#define TENON_TESTS_MAKERS_H

#include "net.h"

/* vision.c */
bool conv(net *n);
bool conv_transpose(net *n);
bool batch_norm(net *n);
bool pool(net *n);
bool pad(net *n);
bool instance_norm(net *n);
bool squeeze_excite(net *n);
bool channels_last(net *n);
bool permuted_channels(net *n);
bool group_norm(net *n);
bool resize(net *n);
bool siblings(net *n);

/* sequence.c */
bool matmul(net *n);
bool gemm(net *n);
bool lstm(net *n);
bool reduce(net *n);
bool embedding(net *n);
bool cumulate(net *n);
bool arg_max(net *n);
bool gru(net *n);
bool written_cell(net *n);
bool matrix_product(net *n);
bool einsum(net *n);
bool select_one(net *n);

/* transformer.c */
bool softmax(net *n);
bool layer_norm(net *n);
bool written_norm(net *n);
bool written_activation(net *n);
bool attention(net *n);
bool rotary(net *n);
bool packed_attention(net *n);
bool written_rms(net *n);
bool written_tanh_gelu(net *n);

bool written_instance(net *n);

/* unrolled.c */
bool unrolled_lstm(net *n);
bool unrolled_gru(net *n);

/* movement.c */
bool concat(net *n);
bool transpose(net *n);
bool reshape(net *n);
bool shape_chain(net *n);
bool slice(net *n);
bool split(net *n);
bool unsqueeze(net *n);
bool slice_twice(net *n);
bool turned(net *n);

/* elementwise.c */
bool activation(net *n);
bool clip(net *n);
bool with_constant(net *n);
bool residual(net *n);
bool select_by_mask(net *n);
bool with_reduced(net *n);
bool cascade(net *n);
bool written_hard(net *n);

/* forms.c */
bool focus(net *n);
bool quantized_moved(net *n);
bool spread_norm(net *n);
bool two_masks(net *n);
bool written_gate(net *n);

/* lures.c */
bool identity_like(net *n);
bool duplicate(net *n);
bool folded(net *n);
bool branch(net *n);
bool odd_constant(net *n);
bool computed_weights(net *n);
bool deep_branch(net *n);
bool loop(net *n);
bool quantized(net *n);
bool quantized_weights(net *n);
bool by_a_wider_type(net *n);

#endif
