/* plugins/recurrent/plugin.c: the entry of the plugin `recurrent`: LSTM, GRU and RNN of ai.onnx.
 *
 * Types as of operator set 22 (bfloat16 came with it); nodes from set 7 on mean the same.
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"
#include "tenon/upgrade.h"

#define T_MASK TN_MASK_FLOAT
#define COMMON_INPUTS                                                                              \
    { "X", "T", T_MASK, 0, 0, "the sequences: [time, batch, inputs]" },                            \
        { "W", "T", T_MASK, 0, 0, "weights of the input: [directions, gates*hidden, inputs]" },    \
        { "R", "T", T_MASK, 0, 0, "weights of the state: [directions, gates*hidden, hidden]" },    \
        { "B",    "T",                                                                             \
          T_MASK, TN_PARAM_OPTIONAL,                                                               \
          0,      "biases of W, then of R: [directions, 2*gates*hidden]" },                        \
        { "sequence_lens",   "T1", TN_BIT(TN_INT32),                                               \
          TN_PARAM_OPTIONAL, 0,    "steps of each sample: [batch]" },                              \
    {                                                                                              \
        "initial_h", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "the state to begin with; 0 when absent"   \
    }

static const tn_param_def common_inputs[] = { COMMON_INPUTS };
static const tn_param_def lstm_inputs[] = {
    COMMON_INPUTS,
    { "initial_c", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "the cell to begin with; 0 when absent" },
    { "P", "T", T_MASK, TN_PARAM_OPTIONAL, 0,
      "peepholes in the order i, o, f: [directions, 3*hidden]" },
};
static const tn_param_def outputs[] = {
    { "Y", "T", T_MASK, TN_PARAM_OPTIONAL, 0,
      "the state after each step: [time, directions, batch, hidden]" },
    { "Y_h", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "the last state: [directions, batch, hidden]" },
    { "Y_c", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "the last cell: [directions, batch, hidden]" },
};

#define COMMON_ATTRIBUTES                                                                          \
    { .name = "activations", .type = TN_ATTR_STRINGS, .doc = "names, for each direction" },        \
        { .name = "activation_alpha",                                                              \
          .type = TN_ATTR_FLOATS,                                                                  \
          .doc = "for those activations that take one" },                                          \
        { .name = "activation_beta",                                                               \
          .type = TN_ATTR_FLOATS,                                                                  \
          .doc = "for those activations that take one" },                                          \
        { .name = "clip", .type = TN_ATTR_FLOAT, .doc = "bounds what goes into activations" },     \
        { .name = "direction",                                                                     \
          .type = TN_ATTR_STRING,                                                                  \
          .flags = TN_ATTR_HAS_DEFAULT,                                                            \
          .s = "forward",                                                                          \
          .doc = "forward, reverse or bidirectional" },                                            \
    {                                                                                              \
        .name = "hidden_size", .type = TN_ATTR_INT, .doc = "extent of the state"                   \
    }
#define LAYOUT                                                                                     \
    {                                                                                              \
        .name = "layout", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT,                       \
        .doc = "1: the batch comes first"                                                          \
    }
/* Before set 7. Y is made wherever a node names it, so there is nothing left to say. */
#define OUTPUT_SEQUENCE                                                                            \
    {                                                                                              \
        .name = "output_sequence", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT,              \
        .doc = "1: Y is wanted"                                                                    \
    }
#define LINEAR_BEFORE_RESET                                                                        \
    {                                                                                              \
        .name = "linear_before_reset", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT,          \
        .doc = "1: the reset gate scales the product, not the state"                               \
    }
#define INPUT_FORGET                                                                               \
    {                                                                                              \
        .name = "input_forget", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT,                 \
        .doc = "1: f = 1 - i"                                                                      \
    }

static const tn_attribute_def rnn_attributes[] = { COMMON_ATTRIBUTES, LAYOUT };
static const tn_attribute_def gru_attributes[] = { COMMON_ATTRIBUTES, LAYOUT, LINEAR_BEFORE_RESET };
static const tn_attribute_def lstm_attributes[] = { COMMON_ATTRIBUTES, LAYOUT, INPUT_FORGET };
static const tn_attribute_def old_rnn_attributes[] = { COMMON_ATTRIBUTES, OUTPUT_SEQUENCE };
static const tn_attribute_def old_gru_attributes[] = { COMMON_ATTRIBUTES, OUTPUT_SEQUENCE,
                                                       LINEAR_BEFORE_RESET };
static const tn_attribute_def old_lstm_attributes[] = { COMMON_ATTRIBUTES, OUTPUT_SEQUENCE,
                                                        INPUT_FORGET };

static const rnn_kind lstm_kind = { 4, 3, { "Sigmoid", "Tanh", "Tanh" }, lstm_cell };
static const rnn_kind gru_kind = { 3, 2, { "Sigmoid", "Tanh" }, gru_cell };
static const rnn_kind plain_kind = { 1, 1, { "Tanh" }, plain_cell };

#define COUNT(array) ((uint16_t)(sizeof(array) / sizeof(array)[0]))
#define OPERATOR(op, text, in, out_count, attrs, which)                                            \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = 22, .accepts_from = 7, .name = op, .doc = text,  \
        .inputs = in, .input_count = COUNT(in), .outputs = outputs, .output_count = out_count,     \
        .attributes = attrs, .attribute_count = COUNT(attrs), .infer = rnn_infer,                  \
        .cost = rnn_cost, .samplewise = rnn_samplewise, .upgrade = upgrade, .user = (void *)&which \
    }
#define KERNEL(name, which)                                                                        \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY, .op = name, \
        .measure = rnn_measure, .run = rnn_run, .user = (void *)&which                             \
    }

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_drop(&e, "output_sequence");
    return e.status;
}

/* Set 1, which for GRU lasted to set 3: linear_before_reset came then. */
static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest,
                         const tn_attribute_def *attributes)
{
    tn_operator_def old = tn_old_version(newest, attributes == old_gru_attributes ? 3 : 1, 1);
    old.attributes = attributes;
    return registrar->add_operator(registrar, &old);
}

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    const tn_operator_def operators[] = {
        OPERATOR(
            "LSTM",
            "Long short-term memory: a recurrent layer whose cell is kept or forgotten by gates.",
            lstm_inputs, 3, lstm_attributes, lstm_kind),
        OPERATOR("GRU", "Gated recurrent unit: a recurrent layer with an update and a reset gate.",
                 common_inputs, 2, gru_attributes, gru_kind),
        OPERATOR("RNN", "A plain recurrent layer: the state is an activation of input and state.",
                 common_inputs, 2, rnn_attributes, plain_kind),
    };
    const tn_kernel_def kernels[] = { KERNEL("LSTM", lstm_kind), KERNEL("GRU", gru_kind),
                                      KERNEL("RNN", plain_kind) };
    (void)host;
    const tn_attribute_def *const old[] = { old_lstm_attributes, old_gru_attributes,
                                            old_rnn_attributes };
    for (size_t k = 0; k < COUNT(operators); k++) {
        TN_TRY(add_old(registrar, &operators[k], old[k]));
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}

TN_PLUGIN(recurrent, .version = "1.0", .licence = "MIT",
          .description = "LSTM, GRU and RNN over sequences, with their reference kernels",
          .load = load);
