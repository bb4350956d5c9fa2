/* plugins/attention/plugin.c: the entry of the plugin `attention`.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(attention_register(registrar));
    TN_TRY(flex_register(registrar));
    TN_TRY(linear_register(registrar));
    return rotary_register(registrar);
}

TN_PLUGIN(attention, .version = "1.0", .licence = "MIT",
          .description = "Attention, FlexAttention, LinearAttention and RotaryEmbedding",
          .load = load);
