/* onednn.h: what the files of this backend tell each other.
 *
 * The way through: an operator's file answers `offer` from the problem alone (offer.c helps). Its
 * `measure` tries a few forms; each try builds one variant with the functions below: primitive
 * descriptors, what is bound to their arguments, constants to pack. From there on all operators
 * share one life (primitive.c): prepare packs and compiles, attach makes a slot's handles, run
 * sets pointers and executes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_ONEDNN_H
#define TENON_ONEDNN_H

#include "compat.h"

#include "tenon/kernel.h"
#include "tenon/plugin.h"

#include <stdbool.h>

/* ---- the library, once per runtime (plugin.c) ------------------------------------------- */

typedef struct onednn_instance onednn_instance;
dnnl_engine_t onednn_engine(const onednn_instance *instance);
/* A copy that lives as long as the instance; NULL without memory. Any thread. */
const char *onednn_intern(onednn_instance *instance, const char *text);

/* ---- a variant: one way to run the problem ---------------------------------------------- */

enum {
    ONEDNN_MAX_STAGES = 8,    /* primitives that run one after the other */
    ONEDNN_MAX_BINDINGS = 40, /* arguments of all of them */
    ONEDNN_MAX_PACKS = 3,
    ONEDNN_KEY_BYTES = 512,
    ONEDNN_MAX_RANK = 6 /* of weights: groups, outputs, inputs, three spatial axes */
};

enum { ONEDNN_INPUT, ONEDNN_OUTPUT, ONEDNN_PACK, ONEDNN_SCRATCH };

/* Argument `argument` of a primitive is input, output or pack number `index`, or lies in the
 * run's scratch at `offset`. */
typedef struct onednn_binding {
    int32_t argument;
    uint16_t kind;
    uint16_t index;
    size_t offset;
} onednn_binding;

typedef struct onednn_stage {
    onednn_pd desc;
    dnnl_primitive_t primitive;
    uint32_t first, count; /* its bindings */
} onednn_stage;

/* How a constant becomes what the library wants: as it lies; a recurrent layer's gates change places
 * (dims and strides: of [1, directions, inputs, gates, units]); its two biases are added up. */
enum { ONEDNN_AS_IT_LIES, ONEDNN_GATES, ONEDNN_BIASES };

/* How a constant lies in the graph, and which argument's format it is packed into. */
typedef struct onednn_packing {
    uint32_t input;
    uint32_t form;
    uint32_t order; /* GATES, BIASES: gate k of the library's is gate (order >> 4 k) & 15 */
    int32_t rank;
    int64_t dims[ONEDNN_MAX_RANK];
    int64_t strides[ONEDNN_MAX_RANK];
    uint32_t stage;
    int32_t argument;
    size_t key_bytes;
    int64_t key[ONEDNN_KEY_BYTES / sizeof(int64_t)];
} onednn_packing;

typedef struct onednn_variant {
    uint32_t stage_count, binding_count, pack_count, reserved;
    size_t scratch;
    onednn_stage stages[ONEDNN_MAX_STAGES];
    onednn_binding bindings[ONEDNN_MAX_BINDINGS];
    onednn_packing packs[ONEDNN_MAX_PACKS];
} onednn_variant;

/* The state of every kernel here. */
typedef struct onednn_state {
    uint32_t count, chosen;
    onednn_variant variants[TN_MAX_ALTERNATIVES];
} onednn_state;

/* ---- offer.c: what can be said before the library is asked ------------------------------ */

enum {                              /* what a kernel takes beside the plain operator */
       ONEDNN_STEPS = 1u << 0,      /* an epilogue */
       ONEDNN_ONE_OUTPUT = 1u << 1, /* only its first output */
       ONEDNN_BOOL_MASK = 1u << 2   /* input 3 may be bool */
};

/* Types, extents, epilogue. TN_OK, TN_NEEDS_SHAPES or TN_DECLINED with the reason. */
tn_status onednn_offer(tn_offer *ctx, uint32_t flags);
int64_t onednn_count(const tn_type *type);

/* A function of one element as the library has it: one or two of its own in a row. */
typedef struct onednn_function {
    uint32_t count;
    dnnl_alg_kind_t alg[2];
    float alpha[2], beta[2];
} onednn_function;

/* The function that a node of one chain input computes. inputs: where its inputs are among the
 * problem's (the chain's does not matter), -1 for absent ones. TN_DECLINED: reason is filled. */
tn_status onednn_function_of(const tn_problem *problem, const tn_node_view *node,
                             const int32_t *inputs, uint32_t input_count, onednn_function *out,
                             char *reason, size_t bytes);

/* Add, Sub, Mul, Div, Max, Min; false for any other. */
bool onednn_binary_of(const char *op, dnnl_alg_kind_t *out);
/* Whether NaN is lost by it, which strict mode does not allow. */
bool onednn_binary_loses_nan(dnnl_alg_kind_t alg);

/* ---- window.c --------------------------------------------------------------------------- */

/* Reads kernel_shape, strides, dilations, pads, auto_pad. kernel: extents of the weights' spatial
 * axes, NULL: from kernel_shape. transposed: ConvTranspose's arithmetic. The extents after are
 * those of pads; they are widened where the output (ceil_mode) reaches further. */
tn_status onednn_window_read(const tn_node_view *node, const int64_t *kernel, const tn_type *x,
                             const tn_type *y, bool transposed, onednn_window *out, char *reason,
                             size_t bytes);

/* Whether each window of a Conv or a pool meets at least one element of x. */
bool onednn_window_covers(const onednn_window *window, const tn_type *x, const tn_type *y);

/* ---- build.c: building a variant inside measure ----------------------------------------- */

enum { ONEDNN_MAX_DESCS = 48, ONEDNN_MAX_STEPS = 3, ONEDNN_MAX_POSTS = 8 };

typedef struct onednn_builder {
    tn_measure *ctx;
    const tn_problem *problem;
    onednn_instance *instance;
    dnnl_engine_t engine;
    onednn_variant *variant;
    tn_alternative *alternative;
    /* What lives only while building. */
    onednn_desc descs[ONEDNN_MAX_DESCS];
    uint32_t desc_count;
    dnnl_data_type_t type;      /* of the next descriptors */
    dnnl_primitive_attr_t attr; /* of the next primitive */
    onednn_pd pending;          /* accepted, but no stage yet */
    struct {
        int32_t argument;
        uint32_t input;
    } posts[ONEDNN_MAX_POSTS];
    uint32_t post_count;
    uint32_t done; /* the first steps that the primitive does by itself: its bias */
    bool apart;    /* the epilogue runs as stages of its own */
    double rate;   /* of the main primitive, against the best code of the library */
    char name[128];
    char reason[256];
} onednn_builder;

typedef tn_status (*onednn_build_fn)(onednn_builder *builder, const void *form);

/* Tries a form; when it can be built, the measure has one alternative more. Answers TN_OK
 * whatever came of it, but for errors. With steps, a form is tried twice: with the library's
 * post-operations, then with the epilogue apart. */
typedef struct onednn_attempts {
    tn_measure *ctx;
    onednn_state *state;
    char reason[256]; /* of the last form that could not be built: the plain one tells most */
} onednn_attempts;
tn_status onednn_try(onednn_attempts *attempts, onednn_build_fn build, const void *form);
/* Closes a measure: TN_DECLINED with the reason when nothing could be built. */
tn_status onednn_measured(onednn_attempts *attempts);

/* Records why a form cannot be built; answers TN_DECLINED. */
tn_status onednn_refuse(onednn_builder *builder, const char *format, ...) TN_PRINTF(2, 3);

/* Descriptors that live as long as the builder. */
tn_status onednn_describe(onednn_builder *builder, int32_t rank, const int64_t *dims,
                          const int64_t *strides, onednn_md *out);
tn_status onednn_describe_any(onednn_builder *builder, int32_t rank, const int64_t *dims,
                              onednn_md *out);
/* A tensor of this type in this layout; plain and channels-last ones of more axes than the
 * library has are refused. */
tn_status onednn_describe_layout(onednn_builder *builder, const tn_type *type, uint32_t layout,
                                 onednn_md *out);
/* The same for code that looks at elements one by one: dense layouts become one axis. */
tn_status onednn_describe_flat(onednn_builder *builder, const tn_type *type, uint32_t layout,
                               onednn_md *out);

/* Takes what the library answered: refuses its failures and its own reference code. */
tn_status onednn_accept(onednn_builder *builder, dnnl_status_t status, onednn_pd desc);
/* Attributes without post-operations, for the next primitive. */
tn_status onednn_fresh_attributes(onednn_builder *builder);
/* Memory of a run that lives from one stage to another. */
tn_status onednn_scratch(onednn_builder *builder, size_t bytes, size_t *offset);
/* The pending primitive becomes a stage; its scratchpad is bound. */
tn_status onednn_stage_add(onednn_builder *builder);
/* Binds an argument of the last stage. */
tn_status onednn_bind(onednn_builder *builder, int32_t argument, uint32_t kind, uint32_t index,
                      size_t offset);
/* Argument `argument` of the pending primitive shall be input `input`, which lies with these
 * strides (NULL: row-major): directly where the formats are the same, packed where it is
 * constant, else converted by a stage before. Then makes the pending one a stage and binds it. */
tn_status onednn_stage_with_weights(onednn_builder *builder, int32_t argument, uint32_t input,
                                    int32_t rank, const int64_t *dims, const int64_t *strides);
/* Whether bfloat16 is asked for and this processor multiplies it. */
bool onednn_narrows(const tn_problem *problem);
/* Input 0 as `from` becomes `to` in scratch memory at `offset`, by a stage before all others. */
tn_status onednn_narrow(onednn_builder *builder, onednn_md from, onednn_md to, size_t *offset);
/* A constant of the last stage: `plan` says all but the stage and the key. */
tn_status onednn_pack(onednn_builder *builder, int32_t argument, const onednn_packing *plan);
/* Fills in the estimate from the main stage's arithmetic and memory traffic. */
void onednn_estimate(onednn_builder *builder, double macs, double bytes);

/* ---- epilogue.c ------------------------------------------------------------------------- */

/* The destination that an epilogue works on, as the primitive sees it. */
typedef struct onednn_target {
    onednn_md md;
    uint32_t layout;
    int32_t rank;
    const int64_t *dims;
    bool folded; /* axes before the last were made one: per-channel operands have no axis then */
    bool points; /* a matrix as [1, columns, rows]: the columns are channels */
    bool sum;    /* the primitive knows sum as a post-operation */
    bool whole;  /* … and whole tensors as operands of others: oneDNN 2.6.3 gets them wrong in
                    convolutions by matrix products, and beside per-channel ones elsewhere */
    bool scaled; /* the primitive's own result is multiplied by `scale` first */
    float scale;
} onednn_target;

/* Before the primitive: steps as post-operations in builder->attr; no steps when apart. */
tn_status onednn_epilogue_begin(onednn_builder *builder, const onednn_target *target);
/* After its stage was added: binds the operands, or adds the stages that run apart. */
tn_status onednn_epilogue_end(onednn_builder *builder, const onednn_target *target);

/* ---- layouts.c -------------------------------------------------------------------------- */

/* The library's blocked layouts that are known by name: nCw16c, nChw16c, nCdhw16c and 8c. */
tn_status onednn_blocked_layout(onednn_builder *builder, const tn_type *type, int64_t block,
                                uint32_t *out);
/* The layout of a tensor like `to` that corresponds to that of one like `from`. */
tn_status onednn_follow_layout(onednn_builder *builder, uint32_t layout, const tn_type *from,
                               const tn_type *to, uint32_t *out);
/* The tag of a private layout of ours that fits this type, dnnl_format_tag_undef for others. */
dnnl_format_tag_t onednn_layout_tag(tn_call *call, uint32_t layout, const tn_type *type);
/* Channels of a block of such a layout, 0 for others. */
int64_t onednn_layout_block(tn_call *call, uint32_t layout, const tn_type *type);
/* Layouts that input k could have without a conversion, the plain one at the end; at most
 * TN_MAX_ALTERNATIVES. */
uint32_t onednn_candidates(const tn_measure *ctx, uint32_t k, uint32_t *out);
/* The plain layout where this one puts every element of such a tensor at the same place, so that
 * nobody converts for nothing; else the layout itself. The library shall still see the other:
 * it has code for more of them. */
uint32_t onednn_simplest(tn_measure *ctx, uint32_t layout, const tn_type *type);

/* ---- primitive.c: the common life ------------------------------------------------------- */

tn_status onednn_prepare(tn_prepare *ctx, void *state);
dnnl_status_t onednn_reorder_once(dnnl_engine_t engine, onednn_md from_md, void *from,
                                  onednn_md to_md, void *to);
/* recurrent.c: a copy of weights with the gates in the library's order, for the caller to free; NULL: no
 * memory. */
float *onednn_order_gates(const onednn_packing *packing, const float *from);
/* recurrent.c. from: NULL for biases that there are not. */
void onednn_pack_biases(const onednn_packing *packing, const float *from, float *to);
tn_status onednn_attach(tn_slot_call *ctx, const void *state, void *slot);
tn_status onednn_run(tn_run *ctx, const void *state, void *slot);
/* Stages [first, end) only. */
tn_status onednn_run_stages(tn_run *ctx, const void *state, void *slot, uint32_t first,
                            uint32_t end);
void onednn_detach(tn_slot_call *ctx, const void *state, void *slot);
void onednn_finish(void *state);
void onednn_variant_clear(onednn_variant *variant);
size_t onednn_slot_bytes(void);

/* A row of a kernel table. */
#define ONEDNN_KERNEL(name, first, offer_fn, measure_fn)                                           \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .op = name, .backend = "onednn", .since = first,            \
        .types = TN_BIT(TN_FLOAT32), .state_bytes = sizeof(onednn_state), .offer = offer_fn,       \
        .measure = measure_fn, .prepare = onednn_prepare, .attach = onednn_attach,                 \
        .run = onednn_run, .detach = onednn_detach, .finish = onednn_finish                        \
    }

/* Each ends with a row without an operator. */
extern const tn_kernel_def onednn_conv_kernels[];
extern const tn_kernel_def onednn_matmul_kernels[];
extern const tn_kernel_def onednn_pool_kernels[];
extern const tn_kernel_def onednn_eltwise_kernels[];
extern const tn_kernel_def onednn_binary_kernels[];
extern const tn_kernel_def onednn_softmax_kernels[];
extern const tn_kernel_def onednn_norm_kernels[];
extern const tn_kernel_def onednn_concat_kernels[];
extern const tn_kernel_def onednn_reorder_kernels[];
extern const tn_kernel_def onednn_recurrent_kernels[];
extern const tn_kernel_def onednn_attention_kernels[];

#endif
