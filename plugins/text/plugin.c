/* plugins/text/plugin.c: the entry of the plugin `text`.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(concat_register(registrar));
    TN_TRY(normalize_register(registrar));
    TN_TRY(regex_register(registrar));
    TN_TRY(split_register(registrar));
    return tfidf_register(registrar);
}

TN_PLUGIN(
    text, .version = "1.0", .licence = "MIT",
    .description = "Operators on strings: concatenate, split, match, normalize, count n-grams",
    .load = load);
