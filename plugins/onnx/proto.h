/* plugins/onnx/proto.h: the messages of onnx.proto (IR version 14) that are read, as structs that
 * wire_open fills. Field numbers stand in proto.c. What is not listed there is skipped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_PROTO_H
#define ONNX_PROTO_H

#include "wire.h"

typedef struct proto_entry { /* StringStringEntryProto */
    wire_span key, value;
} proto_entry;

typedef struct proto_opset { /* OperatorSetIdProto */
    wire_span domain;
    int64_t version;
} proto_opset;

typedef struct proto_tensor { /* TensorProto */
    wire_list dims, float_data, int32_data, string_data, int64_data, double_data, uint64_data;
    wire_list external_data, metadata;
    wire_span name, doc, raw;
    int64_t data_type, data_location;
} proto_tensor;

typedef struct proto_sparse { /* SparseTensorProto */
    wire_span values, indices;
    wire_list dims;
} proto_sparse;

typedef struct proto_dim { /* TensorShapeProto.Dimension */
    wire_list values;      /* dim_value: a list, to tell 0 from absent */
    wire_span param, denotation;
} proto_dim;

typedef struct proto_shape {
    wire_list dims;
} proto_shape;

typedef struct proto_tensor_type { /* TypeProto.Tensor */
    int64_t elem_type;
    wire_span shape;
} proto_tensor_type;

typedef struct proto_wrapper_type { /* TypeProto.Sequence, TypeProto.Optional */
    wire_span elem;
} proto_wrapper_type;

typedef struct proto_type { /* TypeProto */
    wire_span tensor, sequence, map, optional, sparse, opaque, denotation;
} proto_type;

typedef struct proto_value { /* ValueInfoProto */
    wire_span name, type, doc;
    wire_list metadata;
} proto_value;

typedef struct proto_attribute { /* AttributeProto */
    wire_span name, ref, doc, s, t, g, sparse, tp;
    wire_list floats, ints, strings, tensors, graphs, sparses, types;
    int64_t type, i;
    float f;
} proto_attribute;

typedef struct proto_node { /* NodeProto */
    wire_list inputs, outputs, attributes, metadata, devices;
    wire_span name, op, domain, overload, doc;
} proto_node;

typedef struct proto_annotation { /* TensorAnnotation */
    wire_span tensor;
    wire_list entries;
} proto_annotation;

typedef struct proto_graph { /* GraphProto */
    wire_list nodes, initializers, sparse, inputs, outputs, values, annotations, metadata;
    wire_span name, doc;
} proto_graph;

typedef struct proto_function { /* FunctionProto */
    wire_span name, domain, overload, doc;
    wire_list inputs, outputs, attributes, defaults, nodes, opsets, values, metadata;
} proto_function;

typedef struct proto_model { /* ModelProto */
    int64_t ir_version, model_version;
    wire_list opsets, metadata, training, functions, devices;
    wire_span producer, producer_version, domain, doc, graph;
} proto_model;

extern const wire_message proto_entry_message, proto_opset_message, proto_tensor_message,
    proto_sparse_message, proto_dim_message, proto_shape_message, proto_tensor_type_message,
    proto_wrapper_type_message, proto_type_message, proto_value_message, proto_attribute_message,
    proto_node_message, proto_annotation_message, proto_graph_message, proto_function_message,
    proto_model_message;

#endif
