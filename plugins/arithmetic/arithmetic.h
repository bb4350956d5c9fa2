/* plugins/arithmetic/arithmetic.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_ARITHMETIC_H
#define TENON_PLUGINS_ARITHMETIC_H

#include "broadcast.h"
#include "tenon/blocks.h"
#include "tenon/upgrade.h"

/* ---- binary operators (binary.c) ---------------------------------------------------------- */

/* out[i] = a[i * step_a] op b[i * step_b], steps 0 or 1; both are 0 only for n = 1. `out` may be a
 * or b themselves. */
typedef void (*binary_loop)(const void *a, int64_t step_a, const void *b, int64_t step_b, void *out,
                            int64_t n);

typedef struct binary {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    uint16_t attribute_count;
    uint32_t flags; /* BINARY_* */
    const tn_param_def *inputs, *output;
    const tn_attribute_def *attributes;
    tn_status (*infer)(tn_infer *ctx); /* NULL: by broadcasting */
    int32_t (*identity)(const tn_identity *query);
    const char *body; /* NULL: it is made of no others */
    /* By dtype of the inputs. float16 and bfloat16 have none: they go through float64's. */
    binary_loop loops[TN_DTYPE_COUNT];
    const struct binary *other; /* runs instead where the node's first attribute is not 0 … */
    const char *other_text;     /* … or, this being there, is this text */
} binary;
enum { BINARY_COMMUTES = 1, BINARY_IN_PLACE = 2 };

tn_status binary_add(tn_registrar *registrar, const binary *rows, size_t count);
tn_status binary_infer(tn_infer *ctx);
/* Inputs and output broadcast together: the batch is the output's axis 0. */
tn_status broadcast_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);

/* gcc sees no dependence between equal or disjoint operands once it is told; without, it would
 * take a scalar loop for work in place. */
#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

/* A binary_loop over elements of `type`, given the result as an expression of x and y. */
#define BINARY_LOOP(name, type, result, expression)                                                \
    static void name(const void *pa, int64_t step_a, const void *pb, int64_t step_b, void *po,     \
                     int64_t n)                                                                    \
    {                                                                                              \
        const type *a = pa, *b = pb;                                                               \
        result *out = po;                                                                          \
        if (step_a && step_b) {                                                                    \
            INDEPENDENT for (int64_t i = 0; i < n; i++)                                            \
            {                                                                                      \
                const type x = a[i], y = b[i];                                                     \
                out[i] = (result)(expression);                                                     \
            }                                                                                      \
        } else if (step_a) {                                                                       \
            const type y = *b;                                                                     \
            INDEPENDENT for (int64_t i = 0; i < n; i++)                                            \
            {                                                                                      \
                const type x = a[i];                                                               \
                out[i] = (result)(expression);                                                     \
            }                                                                                      \
        } else {                                                                                   \
            const type x = *a;                                                                     \
            INDEPENDENT for (int64_t i = 0; i < n; i++)                                            \
            {                                                                                      \
                const type y = b[i];                                                               \
                out[i] = (result)(expression);                                                     \
            }                                                                                      \
        }                                                                                          \
    }

/* ---- unary operators (unary.c) ------------------------------------------------------------- */

typedef struct unary {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    const tn_param_def *input, *output;
    void (*doubles)(double *v, int64_t n);
    void (*floats)(const float *x, float *y, int64_t n); /* NULL: by doubles */
    void (*ints)(int64_t *v, int64_t n, int is_signed);  /* NULL: no integers */
} unary;

tn_status unary_add(tn_registrar *registrar, const unary *rows, size_t count);

/* Parameters of float types, as the standard names them: X and Y, or input and output. */
extern const tn_param_def unary_x[1], unary_y[1], unary_input[1], unary_output[1];

/* The arithmetic of a row, as an expression of x. */
#define DOUBLES(name, expression)                                                                  \
    static void name##_doubles(double *v, int64_t n)                                               \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = v[i];                                                                 \
            v[i] = (expression);                                                                   \
        }                                                                                          \
    }
#define FLOATS(name, expression)                                                                   \
    static void name##_floats(const float *from, float *to, int64_t n)                             \
    {                                                                                              \
        INDEPENDENT for (int64_t i = 0; i < n; i++)                                                \
        {                                                                                          \
            const float x = from[i];                                                               \
            to[i] = (expression);                                                                  \
        }                                                                                          \
    }
#define INTS(name, expression)                                                                     \
    static void name##_ints(int64_t *v, int64_t n, int is_signed)                                  \
    {                                                                                              \
        (void)is_signed;                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const int64_t x = v[i];                                                                \
            v[i] = (expression);                                                                   \
        }                                                                                          \
    }

/* ---- before operator set 7 (legacy.c) ------------------------------------------------------ */

/* Adds the version of sets 1 to 6, with attributes broadcast and axis, of an operator whose newest
 * row accepts nodes from set 7 on and has `legacy_upgrade`. */
tn_status legacy_add(tn_registrar *registrar, const tn_operator_def *newest);
tn_status legacy_upgrade(tn_rewrite *ctx, tn_node_id node);
/* Adds the version of set 1 of an operator that had consumed_inputs and no other attribute; the
 * newest row has `tn_upgrade_consumed`. */
tn_status legacy_add_consumed(tn_registrar *registrar, const tn_operator_def *newest);

/* ---- small integer tensors (elements.c) ---------------------------------------------------- */

enum { MAX_ELEMENTS = 64 };

/* Elements of input k; -1: nothing known. */
int64_t elements_of(tn_infer *ctx, uint32_t k, tn_dim *out);
/* Tells the elements of output 0 of Add, Sub, Mul, Div, Mod, Min, Max, Sum, Equal, … where the
 * inputs' are known. */
tn_status elements_binary(tn_infer *ctx);
tn_status elements_where(tn_infer *ctx);

/* ---- identity ------------------------------------------------------------------------------ */

/* True when input k is constant, every element of it satisfies `is`, and output 0 has the shape of
 * input `of`. */
int constant_leaves(const tn_identity *query, uint32_t k, uint32_t of,
                    int (*is)(uint32_t dtype, const void *data, int64_t i));
int element_is_one(uint32_t dtype, const void *data, int64_t i);

/* ---- files --------------------------------------------------------------------------------- */

tn_status arithmetic_unary_register(tn_registrar *registrar);
tn_status trigonometric_register(tn_registrar *registrar);
tn_status classify_register(tn_registrar *registrar);
tn_status bitwise_register(tn_registrar *registrar);
tn_status basic_register(tn_registrar *registrar);
tn_status pow_register(tn_registrar *registrar);
tn_status compare_register(tn_registrar *registrar);
tn_status variadic_register(tn_registrar *registrar);
tn_status where_register(tn_registrar *registrar);

#endif
