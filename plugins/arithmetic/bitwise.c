/* plugins/arithmetic/bitwise.c: operations on the bits of integers.
 *
 * ONNX: BitwiseAnd, BitwiseOr, BitwiseXor, BitShift (BitwiseNot is in unary.c). A shift by the
 * width of the type or more leaves no bit.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- loops ------------------------------------------------------------------------------ */

#define BITS(name, op)                                                                             \
    BINARY_LOOP(name##_8, uint8_t, uint8_t, x op y)                                                \
    BINARY_LOOP(name##_16, uint16_t, uint16_t, x op y)                                             \
    BINARY_LOOP(name##_32, uint32_t, uint32_t, x op y)                                             \
    BINARY_LOOP(name##_64, uint64_t, uint64_t, x op y)
BITS(and, &)
BITS(or, |)
BITS(xor, ^)
#define SHIFT(name, op)                                                                            \
    BINARY_LOOP(name##_8, uint8_t, uint8_t, y < 8 ? (uint32_t)x op y : 0)                          \
    BINARY_LOOP(name##_16, uint16_t, uint16_t, y < 16 ? (uint32_t)x op y : 0)                      \
    BINARY_LOOP(name##_32, uint32_t, uint32_t, y < 32 ? x op y : 0)                                \
    BINARY_LOOP(name##_64, uint64_t, uint64_t, y < 64 ? x op y : 0)
SHIFT(left, <<)
SHIFT(right, >>)

#define UNSIGNED_LOOPS(name)                                                                       \
    [TN_UINT8] = name##_8, [TN_UINT16] = name##_16, [TN_UINT32] = name##_32, [TN_UINT64] = name##_64
#define SIGNED_LOOPS(name)                                                                         \
    [TN_INT8] = name##_8, [TN_INT16] = name##_16, [TN_INT32] = name##_32, [TN_INT64] = name##_64

/* ---- BitShift --------------------------------------------------------------------------- */

static tn_status shift_infer(tn_infer *ctx)
{
    const char *direction = tn_attr_string(ctx->node, "direction", "");
    if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "direction",
                                 "direction is '%s': expected 'LEFT' or 'RIGHT'", direction);
    return binary_infer(ctx);
}

static const binary right_row = { .name = "BitShift", .loops = { UNSIGNED_LOOPS(right) } };
static const tn_attribute_def shift_attributes[] = {
    { .name = "direction",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_REQUIRED,
      .doc = "LEFT, towards the high bits, or RIGHT." },
};

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def shift_xy[] = {
    { "X", "T", TN_MASK_UNSIGNED, 0, 0, "What is shifted." },
    { "Y", "T", TN_MASK_UNSIGNED, 0, 0, "By how many bits; the two broadcast." },
};
static const tn_param_def shift_z[] = { { "Z", "T", TN_MASK_UNSIGNED, 0, 0, "The result." } };
static const tn_param_def ab[] = {
    { "A", "T", TN_MASK_INTEGER, 0, 0, "First operand." },
    { "B", "T", TN_MASK_INTEGER, 0, 0, "Second operand; the two broadcast." },
};
static const tn_param_def c[] = { { "C", "T", TN_MASK_INTEGER, 0, 0, "The result." } };

#define BITWISE(title, text, loop)                                                                 \
    {                                                                                              \
        .name = title, .since = 18, .accepts_from = 18, .inputs = ab, .output = c, .doc = text,    \
        .flags = BINARY_COMMUTES | BINARY_IN_PLACE, .loops = {                                     \
            SIGNED_LOOPS(loop),                                                                    \
            UNSIGNED_LOOPS(loop)                                                                   \
        }                                                                                          \
    }
static const binary rows[] = {
    BITWISE("BitwiseAnd", "The bits that both have.", and),
    BITWISE("BitwiseOr", "The bits that one of them has.", or),
    BITWISE("BitwiseXor", "The bits that exactly one has.", xor),
    { .name = "BitShift",
      .since = 11,
      .accepts_from = 11,
      .inputs = shift_xy,
      .output = shift_z,
      .doc = "X with its bits moved by Y places, zeros moving in.",
      .flags = BINARY_IN_PLACE,
      .attributes = shift_attributes,
      .attribute_count = 1,
      .infer = shift_infer,
      .other = &right_row,
      .other_text = "RIGHT",
      .loops = { UNSIGNED_LOOPS(left) } },
};

tn_status bitwise_register(tn_registrar *registrar)
{
    return binary_add(registrar, rows, sizeof rows / sizeof *rows);
}
