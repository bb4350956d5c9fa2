/* engine/tensor/tensor.h: element types by name, types and shapes as text, sizes, dimensions as
 * expressions.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_TENSOR_H
#define TN_TENSOR_H

#include "engine/base/base.h"

typedef struct tn_dims tn_dims; /* expressions over symbols, see below */

/* ---- types (type.c) ---------------------------------------------------------------------- */

tn_type tn_type_unknown(void); /* tensor, no dtype, no rank */
tn_type tn_type_of(uint32_t dtype, int32_t rank, const tn_dim *dims);
tn_type tn_type_of_tensor(const tn_tensor *tensor);
bool tn_type_is_known(const tn_type *type); /* a tensor with dtype, rank and all extents numbers */
/* Kind, element type, rank and extents; equal: flags, too. */
bool tn_type_same_shape(const tn_type *a, const tn_type *b);
bool tn_type_equal(const tn_type *a, const tn_type *b);
/* Bytes of a dense tensor with these extents. TN_ERR_SHAPE: negative; TN_ERR_LIMIT: overflow. */
tn_status tn_shape_bytes(uint32_t dtype, int32_t rank, const int64_t *dims, size_t *out);
tn_status tn_shape_count(int32_t rank, const int64_t *dims, int64_t *out);
/* "float32[N,1,28,28]", "sequence(float32[?])"; "float32[…]" for an unknown rank. */
void tn_add_type(tn_builder *builder, const tn_dims *dims, const tn_type *type);
/* "[6,3,5,5]" */
void tn_add_shape(tn_builder *builder, const tn_dims *dims, int32_t rank, const tn_dim *d);
/* Reads "optional(sequence(tensor(float32)))", "tensor(int64)" or a plain dtype name. */
tn_status tn_type_parse(const char *text, tn_type *out);
/* Writes the same. */
void tn_add_kind(tn_builder *builder, const tn_type *type);

/* ---- dimensions (dim.c) ------------------------------------------------------------------ */

/* A table of hash-consed expressions over symbols. Reference-counted, since a graph and its
 * clones share one; locked inside, so that inference may run on any thread. */
tn_status tn_dims_create(tn_dims **out);
tn_dims *tn_dims_ref(tn_dims *dims);
void tn_dims_unref(tn_dims *dims);

/* The symbol's handle; TN_DIM_UNKNOWN when memory is short. */
tn_dim tn_dim_symbol(tn_dims *dims, const char *name);
/* a op b (TN_DIM_ADD … of plugin.h), simplified to a canonical sum of products, so that N+N and
 * 2*N are one handle; floordiv, ceildiv, mod, min, max fold where they can ((4*N) floordiv 2). */
tn_dim tn_dim_op(tn_dims *dims, uint32_t op, tn_dim a, tn_dim b);
/* TN_YES, TN_NO (differ for all values: N and N+1), TN_MAYBE. Symbols are at least 0. */
uint32_t tn_dim_equal(tn_dims *dims, tn_dim a, tn_dim b);
/* The number when symbols have these values; TN_DIM_UNKNOWN when one is missing, on overflow, and
 * for a division by 0. values[k] belongs to symbol number k. */
tn_dim tn_dim_evaluate(const tn_dims *dims, tn_dim dim, const int64_t *values, uint32_t count);
/* Number of a plain symbol's handle, for `values` above; -1 when it is no plain symbol. */
int32_t tn_dim_symbol_index(const tn_dims *dims, tn_dim dim);
uint32_t tn_dims_symbol_count(const tn_dims *dims);
const char *tn_dims_symbol_name(const tn_dims *dims, uint32_t k);
/* "N", "N*2+1", "floordiv(N,2)", "?" */
void tn_add_dim(tn_builder *builder, const tn_dims *dims, tn_dim dim);
tn_status tn_dim_parse(tn_dims *dims, const char *text, tn_dim *out);

#endif
