/* plugins/recognition/plugin.c: the entry of the plugin `recognition`: passes that find an operator
 * where it was written out as several.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(recognize_swish_register(registrar));
    TN_TRY(recognize_attention_register(registrar));
    TN_TRY(recognize_channel_shuffle_register(registrar));
    TN_TRY(recognize_depth_to_space_register(registrar));
    TN_TRY(drop_requantize_register(registrar));
    TN_TRY(push_dequantize_register(registrar));
    TN_TRY(recognize_gelu_register(registrar));
    TN_TRY(recognize_group_normalization_register(registrar));
    TN_TRY(recognize_gru_register(registrar));
    TN_TRY(recognize_hard_swish_register(registrar));
    TN_TRY(recognize_hard_sigmoid_register(registrar));
    TN_TRY(recognize_instance_normalization_register(registrar));
    TN_TRY(recognize_lstm_register(registrar));
    TN_TRY(recognize_mish_register(registrar));
    TN_TRY(recognize_qlinear_register(registrar));
    TN_TRY(recognize_rotary_embedding_register(registrar));
    TN_TRY(recognize_sigmoid_register(registrar));
    TN_TRY(recognize_softplus_register(registrar));
    TN_TRY(recognize_space_to_depth_register(registrar));
    TN_TRY(recognize_split_register(registrar));
    return recognize_normalization_register(registrar);
}

TN_PLUGIN(recognition, .version = "1.0", .licence = "MIT",
          .description = "Passes that find operators written out as several", .load = load);
