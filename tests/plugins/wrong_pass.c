/* tests/plugins/wrong_pass.c: passes that lie about what they do, for --verify.
 *
 *   abs_for_relu   says exact: Relu becomes Abs, the same only where nothing is below 0
 *   gelu_by_tanh   says rounding: Gelu becomes its approximation, which is more
 *   gelu_loosely   the same, honest: approximate
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

#include <string.h>

static tn_status match_relu(tn_rewrite *ctx, tn_node_id node)
{
    return ctx->api->set_operator(ctx->graph, node, "", "Abs");
}

static tn_status match_gelu(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_attribute by_tanh = {
        .size = sizeof by_tanh, .type = TN_ATTR_STRING, .name = "approximate", .s = { "tanh", 4 }
    };
    for (uint32_t k = 0; k < view->attribute_count; k++)
        if (strcmp(view->attributes[k].name, "approximate") == 0 &&
            *view->attributes[k].s.bytes == 't')
            return TN_NO_MATCH;
    return ctx->api->set_attribute(ctx->graph, node, &by_tanh);
}

static const char *const relu[] = { "Relu", NULL };
static const char *const gelu[] = { "Gelu", NULL };
static const tn_pass_def passes[] = {
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_FOLD,
      .exactness = TN_EXACT,
      .name = "abs_for_relu",
      .doc = "Wrong.",
      .roots = relu,
      .match = match_relu },
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_FOLD,
      .exactness = TN_EXACT_ROUNDING,
      .name = "gelu_by_tanh",
      .doc = "Wrong.",
      .roots = gelu,
      .match = match_gelu },
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_LATE,
      .exactness = TN_EXACT_APPROXIMATE,
      .name = "gelu_loosely",
      .doc = "Approximates Gelu.",
      .roots = gelu,
      .match = match_gelu },
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    for (size_t k = 0; k < sizeof passes / sizeof *passes; k++)
        TN_TRY(registrar->add_pass(registrar, &passes[k]));
    return TN_OK;
}

TN_PLUGIN(wrong_pass, .version = "1", .licence = "MIT", .description = "passes that lie, for tests",
          .load = load);
