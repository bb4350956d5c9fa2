/* tenon/plugin.h: all that a plugin includes.
 *
 * A plugin is a shared object that exports one data symbol, made by TN_PLUGIN below, and links to
 * nothing of Tenon: what it needs from the host comes as a table of functions with every call.
 * It offers any of: operators, kernels, backends, passes, file formats. docs/plugin_abi.md
 * teaches it from the smallest plugin up; plugins/template is one to copy.
 *
 * Rules that hold everywhere:
 *  - Structs start with their size and grow only at the end. Fill them with designated
 *    initialisers, set `.size`, leave the rest zero. The host copies what it is given. Structs
 *    without a size, and those that cross in arrays, are frozen: they never grow.
 *  - Every callback answers a tn_status. For anything but TN_OK say why:
 *    `return tn_fail(ctx, TN_ERR_VALUE, "index %d is outside [0, %d)", i, n);`
 *    The host adds file, node and operator. The first complaint of a call wins.
 *  - The host allocates: outputs, scratch, state, packs. No memory crosses heaps.
 *  - A callback only returns: no errno, exit, print, C++ exception or longjmp.
 *  - Pointers in a context hold during the callback, unless said otherwise. Text that a plugin
 *    gives (names, reasons) is copied, unless said "static": it then lives as long as the plugin.
 *  - Threads are named at each callback: [any] any thread, several at a time; [compile] one
 *    thread at a time per session; [run] the thread that runs, several runs at a time.
 *
 * Compiles alone as C99, C17 and C++17.
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGIN_H
#define TENON_PLUGIN_H

#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_ABI_MAGIC                                                                               \
    UINT64_C(0x31306e6f6e6574ab) /* bytes ab "tenon01", on a little-endian machine */
#define TN_ABI_MAJOR 1u          /* another major: refused */
#define TN_ABI_MINOR 0u          /* the lower of plugin and host is agreed on */

/* True when a struct that came across is new enough to have `member`. */
#define TN_HAS(pointer, member)                                                                    \
    ((pointer)->size >= offsetof(__typeof__(*(pointer)), member) + sizeof((pointer)->member))

typedef struct tn_host tn_host;
typedef struct tn_registrar tn_registrar;

/* The head of every context that the host hands to a callback. */
typedef struct tn_call {
    uint32_t size;  /* of the whole context */
    uint32_t minor; /* the ABI minor agreed with this plugin */
    const tn_host *host;
    void *user; /* what the definition's `user` says */
} tn_call;

/* Ends a callback: `return tn_fail(ctx, status, "format", …)`. Any thread of the call. */
#define tn_fail(ctx, ...) ((ctx)->call.host->fail(&(ctx)->call, __VA_ARGS__))
#define TN_TRY(expression)                                                                         \
    do {                                                                                           \
        tn_status tn_try_status = (expression);                                                    \
        if (tn_try_status != TN_OK)                                                                \
            return tn_try_status;                                                                  \
    } while (0)

/* ---- operators -------------------------------------------------------------------------- */

/* Sets of types as the ONNX specification uses them. */
#define TN_MASK_FLOAT                                                                              \
    (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))
#define TN_MASK_SIGNED (TN_BIT(TN_INT8) | TN_BIT(TN_INT16) | TN_BIT(TN_INT32) | TN_BIT(TN_INT64))
#define TN_MASK_UNSIGNED                                                                           \
    (TN_BIT(TN_UINT8) | TN_BIT(TN_UINT16) | TN_BIT(TN_UINT32) | TN_BIT(TN_UINT64))
#define TN_MASK_INTEGER (TN_MASK_SIGNED | TN_MASK_UNSIGNED)
#define TN_MASK_NUMERIC (TN_MASK_FLOAT | TN_MASK_INTEGER)
#define TN_MASK_FLOAT8                                                                             \
    (TN_BIT(TN_FLOAT8E4M3FN) | TN_BIT(TN_FLOAT8E4M3FNUZ) | TN_BIT(TN_FLOAT8E5M2) |                 \
     TN_BIT(TN_FLOAT8E5M2FNUZ))
#define TN_MASK_SUB_BYTE                                                                           \
    (TN_BIT(TN_UINT4) | TN_BIT(TN_INT4) | TN_BIT(TN_FLOAT4E2M1) | TN_BIT(TN_UINT2) |               \
     TN_BIT(TN_INT2))
#define TN_MASK_COMPLEX (TN_BIT(TN_COMPLEX64) | TN_BIT(TN_COMPLEX128))
#define TN_MASK_ALL                                                                                \
    (TN_MASK_NUMERIC | TN_MASK_FLOAT8 | TN_MASK_SUB_BYTE | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) |     \
     TN_BIT(TN_STRING) | TN_BIT(TN_FLOAT8E8M0))

enum {                                   /* tn_param_def.flags */
       TN_PARAM_OPTIONAL = 1u << 0,      /* may be absent */
       TN_PARAM_VARIADIC = 1u << 1,      /* the last one: repeats, all of one type */
       TN_PARAM_HETEROGENEOUS = 1u << 2, /* with VARIADIC: each of a type of its own */
       TN_PARAM_SEQUENCE = 1u << 3,      /* a sequence of tensors of these types is allowed */
       TN_PARAM_OPTIONAL_TYPE = 1u
                                << 4, /* an optional (of a tensor, or a sequence where allowed) */
       TN_PARAM_NOT_TENSOR = 1u << 5 /* a bare tensor is not allowed: only what the two above say */
};

/* An input or output of an operator. Parameters of equal `constraint` name have equal dtypes. */
typedef struct tn_param_def {
    const char *name;
    const char *constraint; /* "T"; NULL: a type of its own */
    uint64_t types;         /* TN_BIT set of allowed dtypes */
    uint32_t flags;
    uint32_t minimum; /* VARIADIC: at least this many */
    const char *doc;
} tn_param_def;

/* An attribute of an operator. Without REQUIRED and without a default it is simply optional. */
enum { TN_ATTR_REQUIRED = 1u << 0, TN_ATTR_HAS_DEFAULT = 1u << 1 };
typedef struct tn_attribute_def {
    const char *name;
    uint32_t type; /* tn_attribute_type */
    uint32_t flags;
    int64_t i;           /* default of INT */
    float f;             /* default of FLOAT */
    uint32_t ints_count; /* default of INTS; FLOATS and STRINGS take no default but "empty" */
    const char *s;       /* default of STRING */
    const int64_t *ints;
    const char *doc;
} tn_attribute_def;

enum {                           /* tn_operator_def.traits */
       TN_ELEMENTWISE = 1u << 0, /* out[i] depends on the inputs' element i (after broadcasting) */
       TN_COMMUTATIVE = 1u << 1, /* the order of its inputs does not matter */
       TN_NONDETERMINISTIC =
           1u << 2,              /* equal inputs may give other outputs: never folded or merged */
       TN_MAY_FAIL = 1u << 3,    /* some values are errors (an index out of range) */
       TN_SIDE_EFFECT = 1u << 4, /* never removed */
       TN_MOVES_BYTES = 1u << 5, /* copies elements, computes none */
       TN_REGIONS = 1u << 6,     /* has graph attributes and runs them */
       TN_RESHAPES = 1u << 7     /* output 0 is input 0's elements in row-major order: on plain
                                      layouts the host makes it a view and runs no kernel */
};

/* Context of shape and type inference. [any] Pure: may be called often, on partial knowledge.
 * Set for each wanted output k: `outputs[k]` = kind, dtype, rank, dims. Leave what is unknown
 * unknown (rank -1, TN_DIM_UNKNOWN). The schema's constraints are checked before, so dtypes that
 * are known fit; the host fills in an output's dtype from its constraint when infer leaves it. */
typedef struct tn_infer {
    tn_call call;
    const tn_node_view *node;
    uint32_t input_count;
    uint32_t output_count;
    const tn_type *const *inputs; /* NULL: absent */
    tn_type *outputs;             /* come as: kind 0, dtype by constraint, rank -1 */
} tn_infer;

typedef struct tn_cost {
    uint32_t size;
    double macs;  /* multiply-adds, as courses and papers count them: one multiply with its add.
                     Only products are counted; bias, activations and comparisons are not */
    double ops;   /* other arithmetic operations */
    double bytes; /* read and written, each operand once; 0: the host's own count */
} tn_cost;

/* What the host asks of `identity`: which of the node's outputs are read, and constant inputs. */
typedef struct tn_identity {
    uint32_t size;
    uint32_t used_outputs; /* bit k: output k is read */
    const tn_node_view *node;
    const tn_type *const *inputs;
    const tn_type *const *outputs;
    const tn_tensor *const *constants; /* [input_count]; NULL where not constant */
} tn_identity;

/* What `pieces` answers of a node that only joins tensors along an axis, or only cuts one. */
typedef struct tn_pieces {
    uint32_t size;
    int32_t axis;
    uint32_t cuts; /* 0: output 0 is all inputs, in their order, side by side;
                      1: each output is a piece of input 0, one element after the other */
    uint32_t reserved;
    int64_t *begins; /* [output_count] cuts: where along the axis each begins; comes zeroed */
} tn_pieces;

typedef struct tn_rewrite tn_rewrite;

typedef struct tn_operator_def {
    uint32_t size;      /* sizeof(tn_operator_def) */
    uint32_t since;     /* operator set of `domain` that brought this version */
    const char *domain; /* NULL is "", ai.onnx */
    const char *name;
    const char *doc; /* one or two sentences */
    const tn_param_def *inputs;
    const tn_param_def *outputs;
    const tn_attribute_def *attributes;
    uint16_t input_count, output_count, attribute_count;
    uint16_t accepts_from; /* nodes of older versions back to this one mean the same under this
                              schema (later versions only added types or attributes); 0: since */
    uint32_t traits;
    uint32_t reserved;
    /* Required. */
    tn_status (*infer)(tn_infer *ctx);
    /* NULL: never. The input that output 0 equals bit for bit, or -1. [any] */
    int32_t (*identity)(const tn_identity *query);
    /* NULL: one operation for each element of output 0. Called with known shapes. [any] */
    tn_status (*cost)(tn_infer *ctx, tn_cost *out);
    /* NULL: no window. Fills windows[axis] for each spatial axis (at most TN_MAX_RANK), answers
     * how many. [any] */
    int32_t (*window)(tn_infer *ctx, tn_window *windows);
    /* NULL: never. The axis that counts samples, independent of each other, in each input and
     * output; -1: shared by all samples. TN_NO_MATCH: these types or attributes do not allow
     * it. [any] */
    tn_status (*samplewise)(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
    /* The operator as a graph of others: NULL or a function in Tenon's JSON format
     * ({"inputs": […], "outputs": […], "opset": …, "nodes": […]}), parsed when first needed.
     * An attribute {"ref": "alpha"} is the node's. TN_BODY spares the quotes. */
    const char *body;
    /* The same, made by code: build nodes before the node with ctx->api, then replace its
     * outputs and remove it. TN_KEEP: cannot for these types, with a reason. [compile] */
    tn_status (*expand)(tn_rewrite *ctx, tn_node_id node);
    /* Takes a node of the version before to this one by editing it or what stands around it,
     * writing old defaults out. TN_KEEP: no equal form exists; the node then stays an operator of
     * its old version. NULL: the attributes and inputs are taken as they are. [compile] */
    tn_status (*upgrade)(tn_rewrite *ctx, tn_node_id node);
    void *user; /* ends up in call.user */
    /* NULL: never. The node moves whole pieces along one axis (Concat, Split, Slice by steps of 1):
     * where kernels allow, the host lets makers write and readers read them in one buffer, and
     * nothing runs. Asked with known shapes. TN_NO_MATCH: not with these attributes, or what they
     * are is computed. [any] */
    tn_status (*pieces)(const tn_identity *query, tn_pieces *out);
} tn_operator_def;

/* JSON as a string: `.body = TN_BODY({"inputs": ["x"], …})`. */
#define TN_BODY(...) #__VA_ARGS__

/* ---- kernels ---------------------------------------------------------------------------- */

/* One step of an epilogue: an elementwise node that was moved into the one before it. The chain
 * value is the step's input number `chain_input`; `inputs` says what its other inputs are (Clip's
 * bounds, the other summand), `operand` the first of them for the common case of one. */
typedef struct tn_step {
    uint32_t size;
    uint32_t chain_input;
    const tn_node_view *node; /* the operator, its attributes */
    int32_t operand;          /* index into the problem's inputs (node's own first); -1: none */
    uint32_t spread;          /* TN_SPREAD_* of that operand against the output */
    uint32_t input_count;     /* of the step's node */
    uint32_t version;         /* since-version of its schema */
    const int32_t *inputs; /* [input_count] index into the problem's inputs; -1: absent, or chain */
    const uint32_t *spreads; /* [input_count] */
} tn_step;
enum {
    TN_SPREAD_FULL = 0,    /* the output's shape */
    TN_SPREAD_SCALAR = 1,  /* one element */
    TN_SPREAD_CHANNEL = 2, /* extent C on axis 1, else 1 */
    TN_SPREAD_OTHER = 3    /* any other broadcasting */
};

enum {                                    /* tn_problem.flags */
       TN_PROBLEM_SHAPES_KNOWN = 1u << 0, /* every extent of inputs and outputs is a number */
       TN_PROBLEM_VENDOR_REFERENCE =
           1u << 1 /* the user allows a vendor library's own reference code */
};

/* What is to be run, complete: offer, measure, prepare and run see the same one, with more known
 * each time. Kernels that depend on anything else are wrong. Inputs are the node's own, then the
 * operands of the epilogue's steps, then those of the prologue's. */
typedef struct tn_problem {
    uint32_t size;
    uint32_t flags;
    uint32_t
        threads;   /* threads the kernel will have; OpenMP's count is set to it in each callback */
    uint32_t math; /* tn_math */
    const tn_node_view *node;
    uint32_t own_count;   /* inputs of the node itself */
    uint32_t input_count; /* with operands of steps */
    uint32_t output_count;
    uint32_t step_count;
    const tn_type *const *inputs;      /* NULL: absent */
    const tn_type *const *outputs;     /* NULL: not wanted */
    const tn_tensor *const *constants; /* [input_count]; NULL where not constant; readable in
                                          offer, measure and prepare, plain and dense */
    const tn_step *steps;
    /* TN_KERNEL_PROLOGUE: the node that makes the node's input 0, then its epilogue; the first one's
     * chain is inputs[0], which is what is really read, and of its type. Their other operands stand
     * behind all others. Extents of what is between are not in the problem. 0 from a 1.0 host. */
    const tn_step *prologue;
    uint32_t prologue_count;
    uint32_t input_layout;  /* `tenon::Convert` only: from this layout */
    uint32_t output_layout; /* to this one */
} tn_problem;

typedef struct tn_offer {
    tn_call call;
    const tn_problem *problem;
    double seconds;        /* out: estimate; 0: no idea */
    const char *algorithm; /* out, static: what would run, as far as known */
} tn_offer;

/* A constant in the form a kernel wants it. The model owns one block per (contents of the sources,
 * backend, key), shared by all plans and sessions. */
typedef struct tn_pack_def {
    uint32_t size;
    uint32_t source_count;   /* constants that it is made of, in order … */
    const uint32_t *sources; /* … as indices of inputs; copied after measure */
    const void *key;         /* bytes that fix the form: algorithm, layout, blocking; copied */
    size_t key_bytes;
    size_t bytes; /* of the packed block; aligned to 64 */
} tn_pack_def;
#define TN_MAX_PACKS 8
#define TN_MAX_ALTERNATIVES 4

enum { TN_ALIAS_NONE = 0, TN_ALIAS_MAY_REUSE = 1, TN_ALIAS_STARTS_AS = 2 };
/* How an output may lie on an input. NONE: shares no byte with any input. MAY_REUSE: may be input
 * `input` itself, if it dies here and has the same bytes. STARTS_AS: must begin as a copy of
 * input `input` (a sum in place); free of cost when that dies here. */
typedef struct tn_alias {
    uint32_t kind;
    uint32_t input;
} tn_alias;

/* Added to a layout in an alternative (channels-last | strided): this input or output may also be a
 * view whose rows lie further apart than they are long. A row is the innermost axis of the layout,
 * its elements side by side; rows are equally far apart: tensor->strides is then not NULL
 * (tn_row_step in tenon/kernel.h). What lies between rows is somebody else's: never written, not
 * even with what was read. Whether it is one is told by the tensor of each run. */
#define TN_LAYOUT_STRIDED (UINT32_C(1) << 31)

/* One way to run the problem. The host gives the arrays, zeroed: everything plain, no alias. */
typedef struct tn_alternative {
    uint32_t size;
    uint32_t pack_count;
    uint32_t *input_layouts;  /* [input_count] the layout each input must have, and whether it may
                                 be strided. A packed constant's does not count: the kernel then
                                 reads its pack only */
    uint32_t *output_layouts; /* [output_count] likewise */
    tn_alias *output_aliases; /* [output_count] */
    const char *algorithm;    /* static: the implementation's name, for the report */
    double seconds;           /* estimate; 0: no idea */
    size_t scratch_bytes;     /* per run, aligned to 64, contents undefined */
    size_t slot_bytes;        /* per context, zeroed before attach */
    tn_pack_def packs[TN_MAX_PACKS];
} tn_alternative;

/* A layout that an input can have without a conversion, from the one who makes it. */
typedef struct tn_layouts {
    uint32_t count;
    const uint32_t *layouts;
} tn_layouts;

typedef struct tn_measure {
    tn_call call;
    const tn_problem *problem;
    const tn_layouts *candidates; /* [input_count] what the inputs' makers could give */
    uint32_t alternative_count;   /* out: 1 … TN_MAX_ALTERNATIVES; comes as 1 */
    uint32_t reserved;
    tn_alternative *alternatives;
    void *instance; /* the backend's, see tn_backend_def.open */
} tn_measure;

typedef struct tn_pack {
    void *data;
    size_t bytes;
    uint32_t fill; /* 1: the kernel must write it now; 0: someone did already, read only */
    uint32_t reserved;
} tn_pack;

typedef struct tn_prepare {
    tn_call call;
    const tn_problem *problem;
    const tn_alternative *chosen; /* as measured */
    uint32_t chosen_index;
    uint32_t reserved;
    tn_pack *packs; /* [chosen->pack_count] */
    void *instance;
} tn_prepare;

/* A run of a kernel. Inputs are the problem's: the node's own, then the operands of the epilogue.
 * Inputs and outputs are in the chosen layouts; extents of 0 never get here,
 * except where an operator's answer needs none of the elements and the kernel says so
 * (TN_KERNEL_EMPTY). Absent ones are NULL. */
typedef struct tn_run {
    tn_call call;
    const tn_node_view *node;
    uint32_t input_count;
    uint32_t output_count;
    const tn_tensor *const *inputs;
    tn_tensor *const *outputs; /* data is the kernel's to fill; for late outputs it is NULL until
                                  output_alloc */
    void *scratch;
    const void *const *packs;
    void *instance;
    uint32_t threads;
    uint32_t math;
    uint64_t seed; /* of the run */
    uint64_t turn; /* tells one trip of a loop's body from another, the same in each run; 0 outside
                      of bodies. `random` knows it; a kernel with numbers of its own mixes it in */
} tn_run;

typedef struct tn_slot_call {
    tn_call call;
    const tn_problem *problem;
    void *instance;
} tn_slot_call;

enum {                            /* tn_kernel_def.flags */
       TN_KERNEL_EMPTY = 1u << 0, /* also call run when an input or output has no element */
       TN_KERNEL_ANY_STEPS =
           1u << 1, /* any epilogue is fine: the host applies it after run with this
                                       backend's kernels of the steps' own operators; run sees the
                                       node's own inputs only */
       TN_KERNEL_ANY_LAYOUT =
           1u << 2, /* looks at elements one by one, in any order: inputs and outputs
                                       of equal shape may all be plain, or all channels-last */
       TN_KERNEL_IN_PLACE =
           1u << 3, /* output 0 may be input 0 or, of the same type and extents, any
                                       other input (without a measure of its own) */
       TN_KERNEL_STEPS_ONLY = 1u << 4, /* reserved */
       TN_KERNEL_PROLOGUE =
           1u << 5 /* may be asked to run the node that makes its input 0, too, where nobody else
                      reads it: offer sees it as problem->prologue, and may decline */
};

/* A kernel: runs an operator on a backend. Only `run` is required: without `offer` it takes every
 * problem of its operator, types and versions; without `measure` it has no state, plain layouts,
 * no scratch. Life: offer → measure → prepare → attach (per context) → run … → detach → finish.
 * finish and detach are called exactly once for whatever was measured or attached, in any
 * condition, also half made (state comes zeroed). */
typedef struct tn_kernel_def {
    uint32_t size; /* sizeof(tn_kernel_def) */
    uint32_t flags;
    const char *domain; /* NULL is "" */
    const char *op;
    const char *backend; /* NULL is "reference" */
    uint32_t since;      /* lowest and … */
    uint32_t until;      /* … highest since-version of the schema it runs; 0: no bound */
    uint64_t types;      /* quick no: dtypes of input 0 it can take; 0: all */
    uint32_t state_bytes;
    uint32_t reserved;
    tn_status (*offer)(tn_offer *ctx); /* [compile] or TN_DECLINED, TN_NEEDS_SHAPES */
    tn_status (*measure)(tn_measure *ctx, void *state); /* [compile] or TN_DECLINED */
    tn_status (*prepare)(tn_prepare *ctx, void *state); /* [compile] */
    tn_status (*attach)(tn_slot_call *ctx, const void *state, void *slot); /* [any] */
    tn_status (*run)(tn_run *ctx, const void *state, void *slot);          /* [run] */
    void (*detach)(tn_slot_call *ctx, const void *state, void *slot);      /* [any] */
    void (*finish)(void *state);                                           /* [any] */
    void *user; /* ends up in call.user */
} tn_kernel_def;

/* ---- backends --------------------------------------------------------------------------- */

typedef struct tn_backend_open {
    tn_call call;
    uint32_t threads;
    uint32_t reserved;
    void *instance;          /* out: handed to measure, prepare and run; NULL is fine */
    const char *description; /* out, static or living as long as the instance: library, version */
} tn_backend_open;

/* A backend: a name under which kernels are registered. Its plugin's file is called like it
 * (backends/<name>.so) and opened when a session first asks for it. */
typedef struct tn_backend_def {
    uint32_t size;
    uint32_t reserved;
    const char *name;
    const char *doc;
    /* Bytes that fix the form of packed constants: library, version, processor. Static. */
    const char *build;
    /* NULL: nothing to open. Once per runtime. TN_ERR_BACKEND with the reason when the library at
     * hand does not fit the headers, its threading, this processor. [compile] */
    tn_status (*open)(tn_backend_open *ctx);
    void (*close)(void *instance);
    void *user;
} tn_backend_def;

/* ---- passes and formats ----------------------------------------------------------------- */

/* Reading and editing a graph: the same functions that tenon.h declares as tn_graph_…; see there
 * for what each does, owns and answers. Threads: one at a time edits a graph. */
typedef struct tn_graph_api {
    uint32_t size;
    uint32_t reserved;
    /* Reading. NULL or TN_NONE for a stale handle. */
    tn_node_id (*first_node)(const tn_graph *graph, tn_region_id region);
    tn_node_id (*next_node)(const tn_graph *graph, tn_node_id node);
    const tn_node_view *(*node)(const tn_graph *graph, tn_node_id node);
    const tn_value_view *(*value)(const tn_graph *graph, tn_value_id value);
    tn_status (*use)(const tn_graph *graph, tn_value_id value, uint32_t k, tn_node_id *node,
                     uint32_t *input);
    uint32_t (*region_inputs)(const tn_graph *graph, tn_region_id region, const tn_value_id **out);
    uint32_t (*region_outputs)(const tn_graph *graph, tn_region_id region, const tn_value_id **out);
    const char *(*output_name)(const tn_graph *graph, tn_region_id region, uint32_t k);
    tn_value_id (*find_value)(const tn_graph *graph, tn_region_id region, const char *name);
    tn_node_id (*region_owner)(const tn_graph *graph, tn_region_id region);
    /* Building. */
    tn_status (*add_region)(tn_graph *graph, tn_region_id outer, tn_region_id *out);
    tn_status (*add_value)(tn_graph *graph, tn_region_id region, const char *name,
                           const tn_type *type, tn_value_id *out);
    tn_status (*add_input)(tn_graph *graph, tn_region_id region, tn_value_id value);
    tn_status (*add_output)(tn_graph *graph, tn_region_id region, const char *name,
                            tn_value_id value);
    tn_status (*add_constant)(tn_graph *graph, const tn_constant_desc *desc, tn_value_id *out);
    tn_status (*add_node)(tn_graph *graph, const tn_node_desc *desc, tn_node_id *out);
    /* Editing. */
    tn_status (*set_attribute)(tn_graph *graph, tn_node_id node, const tn_attribute *attribute);
    tn_status (*drop_attribute)(tn_graph *graph, tn_node_id node, const char *name);
    tn_status (*set_input)(tn_graph *graph, tn_node_id node, uint32_t input, tn_value_id value);
    tn_status (*set_operator)(tn_graph *graph, tn_node_id node, const char *domain, const char *op);
    tn_status (*replace)(tn_graph *graph, tn_value_id old_value, tn_value_id new_value);
    tn_status (*remove_node)(tn_graph *graph, tn_node_id node);
    /* The graph as a whole. */
    tn_status (*set_name)(tn_graph *graph, const char *name, const char *doc);
    tn_status (*set_metadata)(tn_graph *graph, const char *key, const char *text);
    tn_status (*set_opset)(tn_graph *graph, const char *domain, int64_t version);
    const char *(*name)(const tn_graph *graph, const char **doc);
    uint32_t (*metadata_count)(const tn_graph *graph);
    const char *(*metadata)(const tn_graph *graph, uint32_t k, const char **text);
    uint32_t (*opset_count)(const tn_graph *graph);
    const char *(*opset)(const tn_graph *graph, uint32_t k, int64_t *version);
    /* Model-local functions: each a graph of its own whose top region is the body. */
    tn_status (*add_function)(tn_graph *graph, const char *domain, const char *name,
                              const char *overload, tn_graph **out);
    uint32_t (*function_count)(const tn_graph *graph);
    tn_graph *(*function)(const tn_graph *graph, uint32_t k, const char **domain, const char **name,
                          const char **overload);
    tn_status (*add_function_attribute)(tn_graph *function, const tn_attribute *attribute,
                                        uint32_t required);
    uint32_t (*function_attributes)(const tn_graph *function, const tn_attribute **out);
    const char *(*node_doc)(const tn_graph *graph, tn_node_id node);
    const char *(*node_origin)(const tn_graph *graph, tn_node_id node);
    /* Dimensions: a symbol, an expression; dim_text writes one ("N*2+1"), bounded by `bytes`. */
    tn_status (*dim_parse)(tn_graph *graph, const char *text, tn_dim *out);
    size_t (*dim_text)(const tn_graph *graph, tn_dim dim, char *text, size_t bytes);
    /* Texts that a node carries along; the engine does not read them. */
    tn_status (*set_node_metadata)(tn_graph *graph, tn_node_id node, const char *key,
                                   const char *text);
    const char *(*node_metadata)(const tn_graph *graph, tn_node_id node, uint32_t k,
                                 const char **text);
    /* What the last function of this table that did not answer TN_OK said, on this thread. */
    const char *(*error_message)(void);
    tn_value_id (*next_value)(const tn_graph *graph, tn_value_id value);
    tn_status (*copy_body)(tn_graph *graph, tn_region_id body, tn_region_id region,
                           tn_node_id before, const tn_value_id *inputs, uint32_t input_count,
                           tn_value_id *outputs, uint32_t output_count);
} tn_graph_api;

/* Context of a rewrite (a pass's match, upgrade, expand). Edits are one transaction: they are
 * checked and inferred again when the callback answers TN_OK, and undone when it does not or when
 * the check complains. */
struct tn_rewrite {
    tn_call call;
    tn_graph *graph;
    const tn_graph_api *api;
    uint32_t math; /* the session's: exactness that is allowed */
    uint32_t reserved;
};

enum {
    TN_PHASE_CLEAN = 1,
    TN_PHASE_RECOGNIZE = 2,
    TN_PHASE_FOLD = 3,
    TN_PHASE_MOVE = 4,
    TN_PHASE_LATE = 5
};
enum { TN_EXACT = 0, TN_EXACT_ROUNDING = 1 /* sums in another order */, TN_EXACT_APPROXIMATE = 2 };

/* A pass: rewrites around root operators, driven by the host over all regions to a fixpoint. */
typedef struct tn_pass_def {
    uint32_t size;
    uint32_t phase; /* TN_PHASE_* */
    uint32_t order; /* within the phase, low first */
    uint32_t exactness;
    const char *name; /* what it does: "fold_batch_norm" */
    const char *doc;
    const char *const *roots; /* operators whose nodes are tried: "Name" or
                                 "domain::Name"; ends with NULL. NULL: every node */
    /* TN_OK: rewrote (a note of what it did: tn_fail(ctx, TN_OK, "…")). TN_NO_MATCH: nothing here;
     * with a reason when it nearly matched. Anything else is an error. [compile] */
    tn_status (*match)(tn_rewrite *ctx, tn_node_id node);
    void *user;
    /* An operator that it makes of others, which pays only where a backend has a kernel for it that
     * is faster than they are: "Attention". By the level `safe` the pass then runs only where a
     * listed backend other than the reference has one. NULL: always. */
    const char *makes;
} tn_pass_def;

typedef struct tn_format_call {
    tn_call call;
    const char *path;  /* of the file; may be NULL when only bytes are given */
    const void *bytes; /* read: the mapped file */
    size_t count;
    tn_buffer *buffer; /* read: what `bytes` lies in: constants may lie there (tn_constant_desc) */
    tn_graph *graph;   /* read: empty, to be filled; write: to be written */
    const tn_graph_api *api;
} tn_format_call;

/* A file format. */
typedef struct tn_format_def {
    uint32_t size;
    uint32_t reserved;
    const char *name;      /* "onnx" */
    const char *extension; /* ".onnx" */
    const char *doc;
    /* NULL: decided by the extension. 1 when the bytes look like this format. [any] */
    int32_t (*sniff)(const void *bytes, size_t count);
    tn_status (*read)(tn_format_call *ctx);  /* NULL: cannot. [any] */
    tn_status (*write)(tn_format_call *ctx); /* NULL: cannot. Writes by host->write_file. [any] */
    void *user;
} tn_format_def;

/* ---- the host --------------------------------------------------------------------------- */

enum {
    TN_DIM_ADD,
    TN_DIM_SUB,
    TN_DIM_MUL,
    TN_DIM_FLOORDIV,
    TN_DIM_CEILDIV,
    TN_DIM_MOD,
    TN_DIM_MIN,
    TN_DIM_MAX
};
enum { TN_NO = 0, TN_YES = 1, TN_MAYBE = 2 };
enum { TN_WHERE_NODE = 0, TN_WHERE_INPUT = 1, TN_WHERE_OUTPUT = 2, TN_WHERE_ATTRIBUTE = 3 };

/* One chunk of a parallel_for: [begin, end), on thread number `thread` of those of the run. */
typedef tn_status (*tn_chunk_fn)(void *user, int64_t begin, int64_t end, uint32_t thread);

/* What the host does for a plugin. Reached as ctx->call.host; the `call` argument is always
 * &ctx->call of the callback one is in. Thread: that of the callback, unless [any]. */
struct tn_host {
    uint32_t size;
    uint32_t minor;
    const tn_graph_api *graph;

    /* [any] Records why; answers `status`. */
    tn_status (*fail)(tn_call *call, tn_status status, const char *format, ...) TN_PRINTF(3, 4);
    /* infer, format read: records a complaint about one input, output or attribute and goes on, so that a user
     * sees all at once. `index` counts inputs and outputs; `name` is the attribute's. A format, which
     * writes with it, too, gives TN_OK for what is only a warning. */
    void (*complain)(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                     const char *name, const char *format, ...) TN_PRINTF(6, 7);
    /* NULL when the host has no such extension. Ids look like "tenon.trace/1". */
    const void *(*extension)(const tn_host *host, const char *id);

    /* infer: the value of input k, or NULL when it is not known (yet). */
    const tn_tensor *(*input_value)(tn_call *call, uint32_t k);
    /* infer: elements of a small integer input as numbers and expressions. Answers how many, at
     * most `capacity` are written; -1: nothing is known. */
    int64_t (*input_elements)(tn_call *call, uint32_t k, tn_dim *out, int64_t capacity);
    /* infer: tells the elements of integer output k (at most 64), so that shapes follow through. */
    tn_status (*output_elements)(tn_call *call, uint32_t k, const tn_dim *elements, int64_t count);
    /* infer: infers the body behind graph attribute `attribute` with these input types (NULL:
     * unknown); fills outputs[count]. */
    tn_status (*infer_region)(tn_call *call, const char *attribute, const tn_type *const *inputs,
                              uint32_t input_count, tn_type *outputs, uint32_t output_count);
    /* infer, cost: a (TN_DIM_op) b. Unknown with unknown is unknown; overflow and division by 0
     * answer unknown. */
    tn_dim (*dim_op)(tn_call *call, uint32_t op, tn_dim a, tn_dim b);
    /* TN_YES: equal for every value of the symbols; TN_NO: never equal; TN_MAYBE. */
    uint32_t (*dim_equal)(tn_call *call, tn_dim a, tn_dim b);
    /* infer: multidirectional broadcasting (ONNX: Broadcasting in ONNX) of `count` inputs'
     * shapes into out's rank and dims; complains about what does not fit. */
    tn_status (*broadcast)(tn_call *call, const tn_type *const *types, uint32_t count,
                           tn_type *out);

    /* run: memory for late output k; sets its dims and data. Once for each late output. */
    tn_status (*output_alloc)(tn_call *call, uint32_t k, int32_t rank, const int64_t *dims);
    /* [any] run: calls fn on chunks of [0, n) of at least `grain`, on up to `threads` threads; the
     * first error ends it. Serial when inside another one. Chunks get smaller towards the end, so
     * small items make threads end together; as many items as threads: number t is thread t's. */
    tn_status (*parallel_for)(tn_call *call, int64_t n, int64_t grain, tn_chunk_fn fn, void *user);
    /* [any] run: 1 when the caller wants the run to stop; parallel_for asks by itself. */
    int32_t (*cancelled)(tn_call *call);
    /* [any] run: uniformly random 32-bit numbers number first … first+count-1 of the stream
     * that (run seed, node, stream) names; Philox4x32-10 (Salmon et al., SC 2011). */
    void (*random)(tn_call *call, uint32_t stream, uint64_t first, size_t count, uint32_t *out);
    /* run: a string element of the run's own pool. */
    tn_status (*string_make)(tn_call *call, const char *bytes, size_t count, tn_text *out);
    /* run: sequences. get lends; push appends a copy of the handle; insert and erase at [0, n].
     * seq_begin makes output k an empty sequence, or the sequence of input `from` (UINT32_MAX:
     * none), changed in place when nobody else holds it. */
    int64_t (*seq_count)(tn_call *call, const tn_tensor *sequence);
    const tn_tensor *(*seq_get)(tn_call *call, const tn_tensor *sequence, int64_t k);
    tn_status (*seq_begin)(tn_call *call, uint32_t k, uint32_t from);
    tn_status (*seq_insert)(tn_call *call, uint32_t k, int64_t at, const tn_tensor *element);
    tn_status (*seq_erase)(tn_call *call, uint32_t k, int64_t at);
    /* run: optionals. get: NULL when empty. set: output k holds `element` (NULL: empty). */
    const tn_tensor *(*opt_get)(tn_call *call, const tn_tensor *optional);
    tn_status (*opt_set)(tn_call *call, uint32_t k, const tn_tensor *element);
    /* run: output k becomes another handle to `value` (an input, an element, a region's output);
     * nothing is copied when that can be. */
    tn_status (*output_set)(tn_call *call, uint32_t k, const tn_tensor *value);
    /* run, on the calling thread: runs the body behind graph attribute `attribute`. `in` is lent;
     * out[k] are owned handles, given back by value_release or moved by output_set. */
    tn_status (*run_region)(tn_call *call, const char *attribute, const tn_tensor *const *in,
                            uint32_t in_count, const tn_tensor **out, uint32_t out_count);
    void (*value_release)(tn_call *call, const tn_tensor *value);
    /* run: a slice of `value` along axis at index (rank one less), as an owned handle. */
    tn_status (*value_slice)(tn_call *call, const tn_tensor *value, int32_t axis, int64_t index,
                             const tn_tensor **out);
    /* run: an owned tensor of its own, to fill: an element for a sequence, a value for a body. */
    tn_status (*value_make)(tn_call *call, const tn_type *type, tn_tensor **out);
    /* run: collects a scan output: `element` is one slice of late output k; they are joined along
     * `axis` once, when the kernel returns; reverse: the last one first. Zero pushes: an extent 0. */
    tn_status (*list_push)(tn_call *call, uint32_t k, const tn_tensor *element, int32_t axis,
                           int32_t reverse);

    /* measure: the number of a private layout. Equal bytes are equal layouts; `bytes` is what a
     * tensor in it takes, padding included. */
    tn_status (*layout)(tn_call *call, const void *blob, size_t blob_bytes, size_t bytes,
                        uint32_t *out);
    /* measure, prepare, run: the blob of a layout; NULL for 0 and 1 and unknown ones. */
    const void *(*layout_blob)(tn_call *call, uint32_t layout, size_t *blob_bytes);

    /* format: maps a file named relative to the model's folder; refused when it would leave that
     * folder. The buffer is owned by the caller: buffer_release. */
    tn_status (*map_file)(tn_call *call, const char *relative_path, tn_buffer **out);
    tn_status (*buffer_create)(tn_call *call, size_t bytes, tn_buffer **out);
    void *(*buffer_data)(tn_buffer *buffer, size_t *bytes);
    void (*buffer_release)(tn_buffer *buffer);
    /* format: writes a file beside ctx->path (relative_path NULL: ctx->path itself), whole or not
     * at all. */
    tn_status (*write_file)(tn_call *call, const char *relative_path, const void *bytes,
                            size_t count);
};

/* Inference in fewer words. */
#define tn_dim_add(ctx, a, b) ((ctx)->call.host->dim_op(&(ctx)->call, TN_DIM_ADD, (a), (b)))
#define tn_dim_sub(ctx, a, b) ((ctx)->call.host->dim_op(&(ctx)->call, TN_DIM_SUB, (a), (b)))
#define tn_dim_mul(ctx, a, b) ((ctx)->call.host->dim_op(&(ctx)->call, TN_DIM_MUL, (a), (b)))
#define tn_dim_floordiv(ctx, a, b)                                                                 \
    ((ctx)->call.host->dim_op(&(ctx)->call, TN_DIM_FLOORDIV, (a), (b)))
#define tn_dim_ceildiv(ctx, a, b) ((ctx)->call.host->dim_op(&(ctx)->call, TN_DIM_CEILDIV, (a), (b)))

/* The type of output k is that of input j, extents included. */
static inline tn_status tn_infer_same(tn_infer *ctx, uint32_t k, uint32_t j)
{
    if (k < ctx->output_count && j < ctx->input_count && ctx->inputs[j]) {
        const uint32_t dtype = ctx->outputs[k].dtype;
        ctx->outputs[k] = *ctx->inputs[j];
        ctx->outputs[k].flags = 0;
        if (dtype != TN_UNDEFINED)
            ctx->outputs[k].dtype = dtype;
    }
    return TN_OK;
}

/* ---- what a plugin is ------------------------------------------------------------------- */

/* Where load() registers what the plugin offers. Each function copies its definition (the texts
 * and tables that it points to must live as long as the plugin) and answers TN_ERR_DUPLICATE,
 * TN_ERR_ARGUMENT with a message that says which member is wrong. */
struct tn_registrar {
    tn_call call;
    tn_status (*add_operator)(tn_registrar *registrar, const tn_operator_def *def);
    tn_status (*add_kernel)(tn_registrar *registrar, const tn_kernel_def *def);
    tn_status (*add_backend)(tn_registrar *registrar, const tn_backend_def *def);
    tn_status (*add_pass)(tn_registrar *registrar, const tn_pass_def *def);
    tn_status (*add_format)(tn_registrar *registrar, const tn_format_def *def);
};

/* The one exported symbol. Readable without running any code of the plugin. */
struct tn_plugin_entry { /* no typedef: the symbol has the same name */
    uint64_t magic;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t size; /* sizeof(struct tn_plugin_entry) */
    uint32_t flags;
    const char *name;
    const char *version;
    const char *licence; /* an SPDX expression */
    const char *description;
    /* Registers what the plugin offers. Once per runtime that loads it. [compile] */
    tn_status (*load)(const tn_host *host, tn_registrar *registrar);
    /* NULL: nothing to do. Before the runtime goes; the object stays mapped. */
    void (*unload)(void);
    /* NULL: none. Rare powers that a host may ask for, by id. [any] */
    const void *(*extension)(const char *id);
};

/* Defines the entry: TN_PLUGIN(swish, .version = "1.0", .licence = "MIT", .description = "…",
 * .load = load). Linked statically, each plugin's symbol carries its id. */
#ifdef TN_STATIC
#define TN_PLUGIN_SYMBOL(id) tn_plugin_entry_##id
#else
#define TN_PLUGIN_SYMBOL(id) tn_plugin_entry
#endif
#define TN_PLUGIN(id, ...)                                                                         \
    extern TN_EXPORT const struct tn_plugin_entry TN_PLUGIN_SYMBOL(id);                            \
    const struct tn_plugin_entry TN_PLUGIN_SYMBOL(id) = { .magic = TN_ABI_MAGIC,                   \
                                                          .abi_major = TN_ABI_MAJOR,               \
                                                          .abi_minor = TN_ABI_MINOR,               \
                                                          .size = sizeof(struct tn_plugin_entry),  \
                                                          .name = #id,                             \
                                                          __VA_ARGS__ }

/* Offsets are frozen for ABI 1 on 64-bit machines; see tests/abi for the whole list. */

#ifdef __cplusplus
}
#endif
#endif
