/* tenon/types.h: what an application and a plugin both see.
 *
 * Statuses, element types, dimensions, value types and tensors. Neither this header nor anything
 * it declares allocates memory. Compiles alone as C99, C17 and C++17.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TYPES_H
#define TENON_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TN_EXPORT __attribute__((visibility("default")))
#define TN_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define TN_EXPORT
#define TN_PRINTF(text, first)
#endif

/* What a call answers. Zero is success; the text that goes with anything else is
 * tn_error_message() for an application, and what tn_fail() was given by a plugin.
 * Values are part of the ABI: new ones are added at the end. */
typedef enum tn_status {
    TN_OK = 0,
    TN_ERR_ARGUMENT = 1,   /* the caller's argument: NULL, out of range, an unknown option   */
    TN_ERR_MEMORY = 2,     /* an allocation was refused                                      */
    TN_ERR_IO = 3,         /* a file could not be opened, read, mapped or written            */
    TN_ERR_SYNTAX = 4,     /* text or bytes are not of the format at all                     */
    TN_ERR_FORMAT = 5,     /* well-formed, but a field is missing, unknown or of wrong kind  */
    TN_ERR_NAME = 6,       /* a name that nothing has                                        */
    TN_ERR_DUPLICATE = 7,  /* a name that something else already has                         */
    TN_ERR_OPERATOR = 8,   /* an operator or a version of it that no plugin brings           */
    TN_ERR_ATTRIBUTE = 9,  /* an attribute is missing, unknown, of wrong type or value       */
    TN_ERR_TYPE = 10,      /* an element type or kind of value that does not fit             */
    TN_ERR_SHAPE = 11,     /* a rank or an extent that does not fit                          */
    TN_ERR_CYCLE = 12,     /* the graph feeds itself                                         */
    TN_ERR_VALUE = 13,     /* a value met while running: an index out of range, …            */
    TN_ERR_LIMIT = 14,     /* a budget is exceeded, or a size overflows                      */
    TN_ERR_PLUGIN = 15,    /* a file is no plugin, or could not be loaded                    */
    TN_ERR_ABI = 16,       /* a plugin of another ABI                                        */
    TN_ERR_BACKEND = 17,   /* a backend is absent or unusable, or its library answered no    */
    TN_ERR_UNPLACED = 18,  /* no backend of the session's list offers a node                 */
    TN_ERR_CANCELLED = 19, /* the caller asked the run to stop                               */
    TN_ERR_DEADLINE = 20,  /* the run's deadline passed                                      */
    TN_ERR_FORKED = 21,    /* a session of several threads, used in a forked child           */
    TN_ERR_STATE = 22,     /* a call out of its order                                        */
    TN_ERR_STALE = 23,     /* a handle to a node or value that is gone                       */
    TN_ERR_INTERNAL = 24,  /* a promise Tenon made to itself does not hold: please report    */
    /* Answers that are not errors; each callback says which of them it may give. */
    TN_DECLINED = 64,     /* offer, measure: no, with a reason                              */
    TN_NEEDS_SHAPES = 65, /* offer: yes, but only for known shapes                          */
    TN_KEEP = 66,         /* upgrade, expand: leave the node as it is, with a reason        */
    TN_NO_MATCH = 67      /* match: nothing to do here                                      */
} tn_status;

/* Element types, with the numbers of ONNX's TensorProto.DataType. */
typedef enum tn_dtype {
    TN_UNDEFINED = 0,
    TN_FLOAT32 = 1,
    TN_UINT8 = 2,
    TN_INT8 = 3,
    TN_UINT16 = 4,
    TN_INT16 = 5,
    TN_INT32 = 6,
    TN_INT64 = 7,
    TN_STRING = 8, /* elements are tn_text */
    TN_BOOL = 9,   /* one byte, 0 or 1 */
    TN_FLOAT16 = 10,
    TN_FLOAT64 = 11,
    TN_UINT32 = 12,
    TN_UINT64 = 13,
    TN_COMPLEX64 = 14,  /* two float32: real, imaginary */
    TN_COMPLEX128 = 15, /* two float64 */
    TN_BFLOAT16 = 16,
    TN_FLOAT8E4M3FN = 17,
    TN_FLOAT8E4M3FNUZ = 18,
    TN_FLOAT8E5M2 = 19,
    TN_FLOAT8E5M2FNUZ = 20,
    TN_UINT4 = 21, /* two to a byte, the first in the low bits; as for all packed types, */
    TN_INT4 = 22,  /* elements follow each other without a gap at the end of a row       */
    TN_FLOAT4E2M1 = 23,
    TN_FLOAT8E8M0 = 24,
    TN_UINT2 = 25, /* four to a byte */
    TN_INT2 = 26,
    TN_DTYPE_COUNT = 27
} tn_dtype;

/* Sets of element types: bit d is set when dtype d belongs. */
#define TN_BIT(dtype) (UINT64_C(1) << (dtype))

/* A dimension, or an element of a small integer tensor whose value matters to shapes.
 *
 * A plain number is itself. TN_DIM_UNKNOWN is an extent about which nothing is known. Any other
 * value that is not a number is a handle to an expression over symbols ("N", N*2+1); handles
 * are made and read only through the host or the graph that made them, and equal handles of one
 * graph are equal expressions. Use tn_dim_known() before doing arithmetic in C. */
typedef int64_t tn_dim;
#define TN_DIM_UNKNOWN INT64_MIN
#define TN_DIM_LOWEST (-(INT64_C(1) << 62)) /* numbers are above it, handles at or below */

static inline int tn_dim_known(tn_dim dim)
{
    return dim > TN_DIM_LOWEST;
}

/* The largest rank a tensor may have. ONNX has no bound; no known model comes near this one. */
#define TN_MAX_RANK 16

/* What kind of value: a tensor, or tensors wrapped in sequences and optionals.
 * tn_type.kind lists the wrappers from the outermost in the low four bits inwards:
 * TN_OPTIONAL | TN_SEQUENCE << 4 is optional(sequence(tensor)); 0 is a plain tensor. */
enum { TN_TENSOR = 0, TN_SEQUENCE = 1, TN_OPTIONAL = 2, TN_MAP = 3 /* reserved */ };

enum {
    TN_TYPE_LATE = 1u << 0 /* only running the kernel tells the extents: it calls output_alloc */
};

/* The type of a value. A plain struct without pointers: copy it freely. For sequences and
 * optionals, dtype, rank and dims describe the innermost tensors. */
typedef struct tn_type {
    uint32_t size;  /* sizeof(tn_type) */
    uint32_t kind;  /* wrappers, see above; 0 for a tensor */
    uint32_t dtype; /* TN_UNDEFINED: not known */
    uint32_t flags; /* TN_TYPE_* */
    int32_t rank;   /* -1: not known; dims is then meaningless */
    uint32_t reserved;
    tn_dim dims[TN_MAX_RANK];
} tn_type;

/* One string element: any bytes, not necessarily UTF-8, not necessarily terminated. Immutable;
 * the model or the run that made it owns the bytes. */
typedef struct tn_text {
    const char *bytes;
    size_t count;
} tn_text;

/* How the elements of a tensor lie in memory. Axes stay logical: dims never change their order.
 * 0 and 1 are known to all; others are private to backends, interned per session. */
enum { TN_LAYOUT_PLAIN = 0 /* row-major */, TN_LAYOUT_CHANNELS_LAST = 1 /* N, spatial…, C */ };

/* A tensor, or a handle to a sequence or an optional.
 *
 * Whoever gives a tn_tensor says who owns `data`, `dims` and `object`; the struct itself owns
 * nothing. `dims` has `rank` entries, counted in elements. `strides` is NULL for a dense
 * tensor, else `rank` strides in elements. `bytes` is the size of the memory at `data`, padding
 * of a private layout included. A tensor of rank 0 has one element. */
typedef struct tn_tensor {
    uint32_t size; /* sizeof(tn_tensor) */
    uint32_t kind; /* as in tn_type */
    uint32_t dtype;
    int32_t rank;
    const int64_t *dims;
    const int64_t *strides;
    void *data;
    size_t bytes;
    uint32_t layout;
    uint32_t flags; /* none so far: 0 */
    void *object;   /* sequences and optionals: the host's object; else NULL */
} tn_tensor;

/* Which algorithms a session may use. */
typedef enum tn_math {
    TN_MATH_FAST = 0,   /* also algorithms whose error stays at the type's rounding level     */
    TN_MATH_STRICT = 1, /* IEEE specials hold: infinity times a zero weight is NaN everywhere */
    /* Reduced precision is a permission, and only ever asked for: a backend that gains nothing by
     * it runs as in fast, and the report says what ran. BF16: products of numbers rounded to
     * bfloat16, summed in float32. INT8: products with constant weights in 8-bit integers, weights
     * with a scale for each output channel, inputs with one for each run; within some 2 % of the
     * largest answer. */
    TN_MATH_BF16 = 2,
    TN_MATH_INT8 = 3
} tn_math;

/* Handles of nodes and values of a graph: a slot and its generation. A handle to something that
 * is gone is refused with TN_ERR_STALE, never followed. */
typedef uint32_t tn_node_id;
typedef uint32_t tn_value_id;
typedef uint32_t tn_region_id;
#define TN_NONE UINT32_MAX /* no node, no value: an absent input */
#define TN_TOP_REGION 0u   /* the graph itself; others are graph attributes of nodes */

/* Attribute types, with the numbers of ONNX's AttributeProto.AttributeType. */
typedef enum tn_attribute_type {
    TN_ATTR_UNDEFINED = 0,
    TN_ATTR_FLOAT = 1,
    TN_ATTR_INT = 2,
    TN_ATTR_STRING = 3,
    TN_ATTR_TENSOR = 4,
    TN_ATTR_GRAPH = 5,
    TN_ATTR_FLOATS = 6,
    TN_ATTR_INTS = 7,
    TN_ATTR_STRINGS = 8,
    TN_ATTR_TENSORS = 9,
    TN_ATTR_GRAPHS = 10,
    TN_ATTR_TYPE = 13,
    TN_ATTR_TYPES = 14,
    TN_ATTR_REF = 32 /* Tenon's: inside a function body, the name of the caller's attribute */
} tn_attribute_type;

/* One attribute of a node. Only the member that `type` names is meaningful:
 * FLOAT f; INT i; STRING s; FLOATS, INTS, STRINGS `count` of floats, ints, strings;
 * TENSOR tensors[0]; TENSORS `count` of tensors; GRAPH regions[0]; GRAPHS `count` of regions;
 * TYPE types[0]; TYPES `count` of types; REF s. */
typedef struct tn_attribute {
    uint32_t size; /* sizeof(tn_attribute) */
    uint32_t type; /* tn_attribute_type */
    const char *name;
    int64_t i;
    double f;  /* a float32 value, as ONNX keeps it */
    tn_text s; /* terminated by a zero byte that count does not include */
    size_t count;
    const float *floats;
    const int64_t *ints;
    const tn_text *strings;
    const tn_tensor *tensors;
    const tn_region_id *regions;
    const tn_type *types;
} tn_attribute;

/* What a node is, for reading. Attributes that the node leaves out stand there with the schema's
 * default, once the graph has been checked. The struct and all it points to belong to the graph
 * and hold until the next edit of it. */
typedef struct tn_node_view {
    uint32_t size;      /* sizeof(tn_node_view) */
    uint32_t version;   /* since-version of its schema; 0 before it is resolved */
    const char *name;   /* unique in the graph, never empty */
    const char *domain; /* "" is ai.onnx */
    const char *op;
    const char *overload; /* "" but for overloaded functions */
    uint32_t input_count; /* absent ones in the middle included */
    uint32_t output_count;
    const tn_value_id *inputs;  /* TN_NONE: absent */
    const tn_value_id *outputs; /* TN_NONE: not wanted */
    uint32_t attribute_count;
    tn_region_id region; /* where the node stands */
    const tn_attribute *attributes;
} tn_node_view;

/* The attribute called `name`, or NULL. */
static inline const tn_attribute *tn_attr(const tn_node_view *node, const char *name)
{
    for (uint32_t k = 0; k < node->attribute_count; k++) {
        const char *a = node->attributes[k].name, *b = name;
        while (*a && *a == *b)
            a++, b++;
        if (*a == *b)
            return &node->attributes[k];
    }
    return NULL;
}

/* The value of an attribute, or `fallback` where the node and its schema leave it open. The
 * schema's type was checked before: only names are looked up. */
static inline int64_t tn_attr_int(const tn_node_view *node, const char *name, int64_t fallback)
{
    const tn_attribute *a = tn_attr(node, name);
    return a && a->type == TN_ATTR_INT ? a->i : fallback;
}
static inline float tn_attr_float(const tn_node_view *node, const char *name, float fallback)
{
    const tn_attribute *a = tn_attr(node, name);
    return a && a->type == TN_ATTR_FLOAT ? (float)a->f : fallback;
}
static inline const char *tn_attr_string(const tn_node_view *node, const char *name,
                                         const char *fallback)
{
    const tn_attribute *a = tn_attr(node, name);
    return a && a->type == TN_ATTR_STRING ? a->s.bytes : fallback;
}
/* Points *out to the integers and answers how many; 0 and NULL where there are none. */
static inline size_t tn_attr_ints(const tn_node_view *node, const char *name, const int64_t **out)
{
    const tn_attribute *a = tn_attr(node, name);
    *out = a && a->type == TN_ATTR_INTS ? a->ints : NULL;
    return *out ? a->count : 0;
}

/* Bits of one element: 4 for int4, 128 for complex128 and strings; 0 for TN_UNDEFINED. */
static inline uint32_t tn_dtype_bits(uint32_t dtype)
{
    static const uint8_t bits[TN_DTYPE_COUNT] = { 0, 32, 8,  8,  16, 16, 32,  64, 128,
                                                  8, 16, 64, 32, 64, 64, 128, 16, 8,
                                                  8, 8,  8,  4,  4,  4,  8,   2,  2 };
    return dtype < TN_DTYPE_COUNT ? bits[dtype] : 0;
}

/* One axis of a sliding window, for receptive fields (Araujo et al., Distill 2019). */
typedef struct tn_window {
    int64_t kernel, stride, dilation, pad_begin, pad_end;
} tn_window;

/* ---- describing graphs ------------------------------------------------------------------ */

typedef struct tn_graph tn_graph;   /* nodes and values of all regions of one model or function */
typedef struct tn_buffer tn_buffer; /* shared, reference-counted memory: a mapped file or a block */

/* What a new node shall be. Everything is copied. */
typedef struct tn_node_desc {
    uint32_t size; /* sizeof(tn_node_desc) */
    tn_region_id region;
    const char *name;   /* NULL or taken: made unique from it or from the operator (`conv#2`) */
    const char *domain; /* NULL is "" */
    const char *op;
    const char *overload; /* NULL is "" */
    uint32_t input_count;
    uint32_t output_count;
    const tn_value_id *inputs;  /* TN_NONE: absent */
    const tn_value_id *outputs; /* values without a producer that become outputs; TN_NONE: not
                                   wanted. NULL: all outputs are made, with generated names */
    uint32_t attribute_count;
    tn_node_id before; /* stand before this node; 0-filled descs: use TN_NONE for "at the end" */
    const tn_attribute *attributes;
    const char
        *origin;      /* where it stands in the source, in the format's own words; NULL: nowhere */
    const char *doc;  /* NULL: none */
    tn_node_id trace; /* a node that this one comes from (a rewrite keeps it); TN_NONE: none */
} tn_node_desc;

/* What a new constant shall be. */
typedef struct tn_constant_desc {
    uint32_t size; /* sizeof(tn_constant_desc) */
    tn_region_id region;
    const char *name;        /* NULL: generated; taken: TN_ERR_DUPLICATE */
    const tn_tensor *tensor; /* dense and plain; dims are copied */
    tn_buffer *buffer;       /* NULL: data (and the bytes of strings) are copied; else data lies
                                inside this buffer, of which a reference is taken */
    const char *origin;
    tn_value_id value; /* an existing value without a producer that becomes the constant, such as
                          an input with a default; TN_NONE: a new one */
} tn_constant_desc;

/* What a value is, for reading; holds until the next edit of the graph. */
typedef struct tn_value_view {
    uint32_t size; /* sizeof(tn_value_view) */
    tn_region_id region;
    const char *name; /* unique in its scope */
    const tn_type *type;
    tn_node_id producer; /* TN_NONE: an input of its region, a constant, or nothing yet */
    uint32_t producer_output;
    const tn_tensor *constant; /* NULL: none. An input with a constant has an overridable default */
    uint32_t use_count;        /* inputs of nodes that read it, at any depth */
    uint32_t output_count;     /* how many outputs of regions it is */
    uint32_t is_input;         /* 1: an input of its region */
} tn_value_view;

#ifdef __cplusplus
}
#endif
#endif
