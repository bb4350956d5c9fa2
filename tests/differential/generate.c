/* tests/differential/generate.c: random graphs of the vision, sequence and transformer families.
 *
 * A graph grows by makers: each takes values that are there and adds a node or a few, always of fitting
 * shapes. Beside the families' operators there are nodes that do nothing, or nearly nothing; equal
 * nodes; constants equal to 0 and 1, where they are expected and where not; values with several
 * readers that are outputs, too.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

typedef bool (*maker)(net *n);
static const maker vision[] = {
    conv,       conv,           conv,     conv_transpose,   batch_norm,    batch_norm,
    batch_norm, pool,           pad,      instance_norm,    activation,    activation,
    residual,   concat,         gemm,     squeeze_excite,   channels_last, permuted_channels,
    group_norm, resize,         siblings, computed_weights, written_hard,  written_instance,
    focus,      quantized_moved
};
static const maker sequence[] = { matmul,    gemm,       lstm,   reduce,        cumulate,
                                  embedding, activation, concat, slice,         split,
                                  softmax,   arg_max,    gru,    written_cell,  matrix_product,
                                  einsum,    select_one, loop,   unrolled_lstm, unrolled_gru };
static const maker transformer[] = {
    attention,   matmul,   matmul,   layer_norm, layer_norm,       written_norm, written_activation,
    softmax,     residual, residual, rotary,     packed_attention, written_rms,  written_tanh_gelu,
    spread_norm, two_masks
};
static const maker common[] = { activation,      clip,          with_constant, with_constant,
                                with_constant,   transpose,     reshape,       shape_chain,
                                slice,           split,         unsqueeze,     reduce,
                                select_by_mask,  identity_like, identity_like, identity_like,
                                duplicate,       duplicate,     folded,        branch,
                                residual,        with_reduced,  cascade,       slice_twice,
                                turned,          odd_constant,  quantized,     quantized_weights,
                                by_a_wider_type, deep_branch,   select_one,    written_gate };

static void add_inputs(net *n, int family)
{
    const int64_t picture[] = { n->batch, 1 + below(n, 4), 4 + below(n, 4), 4 + below(n, 4) };
    const int64_t words[] = { family == 1 ? 1 + below(n, 4) : n->batch, 1 + below(n, 4),
                              1 + below(n, 6) };
    const int64_t vector[] = { n->batch, 1 + below(n, 6) };
    if (family == 0)
        add_value(n, FROM_CALLER, FLOATS, 4, picture);
    else
        add_value(n, FROM_CALLER, FLOATS, 3, words);
    if (family != 1)
        n->values[0].named_batch = one_in(n, 3);
    if (one_in(n, 2))
        add_value(n, FROM_CALLER, FLOATS, 2, vector);
}

/* What is large makes the test slow and shows nothing more. */
static bool is_too_large(const net *n)
{
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_NODE && elements(&n->values[k]) > 1500)
            return true;
    return false;
}

static void choose_outputs(net *n)
{
    int chosen = 0;
    /* float64 made of narrower numbers has their rounding, not its own: it is no output. */
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_NODE && n->values[k].kind != WIDES &&
            (!is_read(n, k) ? !one_in(n, 8) : one_in(n, n->values[k].inside ? 100 : 10))) {
            n->values[k].is_output = true;
            chosen++;
        }
    if (!chosen)
        n->values[n->value_count - 1].is_output = true;
}

void net_generate(net *n, uint64_t seed)
{
    static const char *const dtypes[] = { "float32", "float32", "float32", "float32",
                                          "float32", "float32", "float64", "float16" };
    *n = (net){ .state = seed };
    n->dtype = dtypes[below(n, COUNT(dtypes))];
    n->batch = 1 + below(n, 3);
    const int family = below(n, 3), wanted = 3 + below(n, 22);
    add_inputs(n, family);
    for (int tries = 0; n->node_count < wanted && tries < 200 && n->node_count < MOST_NODES - 20 &&
                        n->value_count < MOST_VALUES - 60 && !is_too_large(n);
         tries++) {
        if (one_in(n, 2))
            common[below(n, COUNT(common))](n);
        else if (family == 0)
            vision[below(n, COUNT(vision))](n);
        else if (family == 1)
            sequence[below(n, COUNT(sequence))](n);
        else
            transformer[below(n, COUNT(transformer))](n);
    }
    choose_outputs(n);
}
