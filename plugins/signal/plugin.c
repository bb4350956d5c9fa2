/* plugins/signal/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(dft_register(registrar));
    TN_TRY(stft_register(registrar));
    TN_TRY(window_register(registrar));
    return mel_register(registrar);
}

TN_PLUGIN(signal, .version = "1.0", .licence = "MIT",
          .description = "Signals: DFT, STFT, windows, MelWeightMatrix", .load = load);
