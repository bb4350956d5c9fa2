/* plugins/onnx/proto.c: onnx.proto as tables: field name, number, kind, destination.
 *
 * Numbers are those of onnx.proto of IR version 14 (ONNX 1.22), which never change: generated code
 * of Debian's older file would not know the younger fields.
 *
 * SPDX-License-Identifier: MIT */
#include "proto.h"

#define MESSAGE(type, name)                                                                        \
    const wire_message type##_message = { name, type##_fields,                                     \
                                          sizeof type##_fields / sizeof *type##_fields,            \
                                          sizeof(type) }
#define FIELD(type, member, name, number, kind)                                                    \
    {                                                                                              \
        name, number, kind, offsetof(type, member)                                                 \
    }

static const wire_field proto_entry_fields[] = {
    FIELD(proto_entry, key, "key", 1, WIRE_BYTES),
    FIELD(proto_entry, value, "value", 2, WIRE_BYTES),
};
MESSAGE(proto_entry, "StringStringEntryProto");

static const wire_field proto_opset_fields[] = {
    FIELD(proto_opset, domain, "domain", 1, WIRE_BYTES),
    FIELD(proto_opset, version, "version", 2, WIRE_INT),
};
MESSAGE(proto_opset, "OperatorSetIdProto");

static const wire_field proto_tensor_fields[] = {
    FIELD(proto_tensor, dims, "dims", 1, WIRE_INTS),
    FIELD(proto_tensor, data_type, "data_type", 2, WIRE_INT),
    FIELD(proto_tensor, float_data, "float_data", 4, WIRE_FLOATS),
    FIELD(proto_tensor, int32_data, "int32_data", 5, WIRE_INTS),
    FIELD(proto_tensor, string_data, "string_data", 6, WIRE_MANY),
    FIELD(proto_tensor, int64_data, "int64_data", 7, WIRE_INTS),
    FIELD(proto_tensor, name, "name", 8, WIRE_BYTES),
    FIELD(proto_tensor, raw, "raw_data", 9, WIRE_BYTES),
    FIELD(proto_tensor, double_data, "double_data", 10, WIRE_DOUBLES),
    FIELD(proto_tensor, uint64_data, "uint64_data", 11, WIRE_INTS),
    FIELD(proto_tensor, doc, "doc_string", 12, WIRE_BYTES),
    FIELD(proto_tensor, external_data, "external_data", 13, WIRE_MANY),
    FIELD(proto_tensor, data_location, "data_location", 14, WIRE_INT),
    FIELD(proto_tensor, metadata, "metadata_props", 16, WIRE_MANY),
};
MESSAGE(proto_tensor, "TensorProto");

static const wire_field proto_sparse_fields[] = {
    FIELD(proto_sparse, values, "values", 1, WIRE_ONCE),
    FIELD(proto_sparse, indices, "indices", 2, WIRE_ONCE),
    FIELD(proto_sparse, dims, "dims", 3, WIRE_INTS),
};
MESSAGE(proto_sparse, "SparseTensorProto");

static const wire_field proto_dim_fields[] = {
    FIELD(proto_dim, values, "dim_value", 1, WIRE_INTS),
    FIELD(proto_dim, param, "dim_param", 2, WIRE_BYTES),
    FIELD(proto_dim, denotation, "denotation", 3, WIRE_BYTES),
};
MESSAGE(proto_dim, "Dimension");

static const wire_field proto_shape_fields[] = {
    FIELD(proto_shape, dims, "dim", 1, WIRE_MANY),
};
MESSAGE(proto_shape, "TensorShapeProto");

static const wire_field proto_tensor_type_fields[] = {
    FIELD(proto_tensor_type, elem_type, "elem_type", 1, WIRE_INT),
    FIELD(proto_tensor_type, shape, "shape", 2, WIRE_ONCE),
};
MESSAGE(proto_tensor_type, "TypeProto.Tensor");

static const wire_field proto_wrapper_type_fields[] = {
    FIELD(proto_wrapper_type, elem, "elem_type", 1, WIRE_ONCE),
};
MESSAGE(proto_wrapper_type, "TypeProto.Sequence");

static const wire_field proto_type_fields[] = {
    FIELD(proto_type, tensor, "tensor_type", 1, WIRE_BYTES),
    FIELD(proto_type, sequence, "sequence_type", 4, WIRE_BYTES),
    FIELD(proto_type, map, "map_type", 5, WIRE_BYTES),
    FIELD(proto_type, denotation, "denotation", 6, WIRE_BYTES),
    FIELD(proto_type, opaque, "opaque_type", 7, WIRE_BYTES),
    FIELD(proto_type, sparse, "sparse_tensor_type", 8, WIRE_BYTES),
    FIELD(proto_type, optional, "optional_type", 9, WIRE_BYTES),
};
MESSAGE(proto_type, "TypeProto");

static const wire_field proto_value_fields[] = {
    FIELD(proto_value, name, "name", 1, WIRE_BYTES),
    FIELD(proto_value, type, "type", 2, WIRE_ONCE),
    FIELD(proto_value, doc, "doc_string", 3, WIRE_BYTES),
    FIELD(proto_value, metadata, "metadata_props", 4, WIRE_MANY),
};
MESSAGE(proto_value, "ValueInfoProto");

static const wire_field proto_attribute_fields[] = {
    FIELD(proto_attribute, name, "name", 1, WIRE_BYTES),
    FIELD(proto_attribute, f, "f", 2, WIRE_FLOAT),
    FIELD(proto_attribute, i, "i", 3, WIRE_INT),
    FIELD(proto_attribute, s, "s", 4, WIRE_BYTES),
    FIELD(proto_attribute, t, "t", 5, WIRE_ONCE),
    FIELD(proto_attribute, g, "g", 6, WIRE_ONCE),
    FIELD(proto_attribute, floats, "floats", 7, WIRE_FLOATS),
    FIELD(proto_attribute, ints, "ints", 8, WIRE_INTS),
    FIELD(proto_attribute, strings, "strings", 9, WIRE_MANY),
    FIELD(proto_attribute, tensors, "tensors", 10, WIRE_MANY),
    FIELD(proto_attribute, graphs, "graphs", 11, WIRE_MANY),
    FIELD(proto_attribute, doc, "doc_string", 13, WIRE_BYTES),
    FIELD(proto_attribute, tp, "tp", 14, WIRE_ONCE),
    FIELD(proto_attribute, types, "type_protos", 15, WIRE_MANY),
    FIELD(proto_attribute, type, "type", 20, WIRE_INT),
    FIELD(proto_attribute, ref, "ref_attr_name", 21, WIRE_BYTES),
    FIELD(proto_attribute, sparse, "sparse_tensor", 22, WIRE_ONCE),
    FIELD(proto_attribute, sparses, "sparse_tensors", 23, WIRE_MANY),
};
MESSAGE(proto_attribute, "AttributeProto");

static const wire_field proto_node_fields[] = {
    FIELD(proto_node, inputs, "input", 1, WIRE_MANY),
    FIELD(proto_node, outputs, "output", 2, WIRE_MANY),
    FIELD(proto_node, name, "name", 3, WIRE_BYTES),
    FIELD(proto_node, op, "op_type", 4, WIRE_BYTES),
    FIELD(proto_node, attributes, "attribute", 5, WIRE_MANY),
    FIELD(proto_node, doc, "doc_string", 6, WIRE_BYTES),
    FIELD(proto_node, domain, "domain", 7, WIRE_BYTES),
    FIELD(proto_node, overload, "overload", 8, WIRE_BYTES),
    FIELD(proto_node, metadata, "metadata_props", 9, WIRE_MANY),
    FIELD(proto_node, devices, "device_configurations", 10, WIRE_MANY),
};
MESSAGE(proto_node, "NodeProto");

static const wire_field proto_annotation_fields[] = {
    FIELD(proto_annotation, tensor, "tensor_name", 1, WIRE_BYTES),
    FIELD(proto_annotation, entries, "quant_parameter_tensor_names", 2, WIRE_MANY),
};
MESSAGE(proto_annotation, "TensorAnnotation");

static const wire_field proto_graph_fields[] = {
    FIELD(proto_graph, nodes, "node", 1, WIRE_MANY),
    FIELD(proto_graph, name, "name", 2, WIRE_BYTES),
    FIELD(proto_graph, initializers, "initializer", 5, WIRE_MANY),
    FIELD(proto_graph, doc, "doc_string", 10, WIRE_BYTES),
    FIELD(proto_graph, inputs, "input", 11, WIRE_MANY),
    FIELD(proto_graph, outputs, "output", 12, WIRE_MANY),
    FIELD(proto_graph, values, "value_info", 13, WIRE_MANY),
    FIELD(proto_graph, annotations, "quantization_annotation", 14, WIRE_MANY),
    FIELD(proto_graph, sparse, "sparse_initializer", 15, WIRE_MANY),
    FIELD(proto_graph, metadata, "metadata_props", 16, WIRE_MANY),
};
MESSAGE(proto_graph, "GraphProto");

static const wire_field proto_function_fields[] = {
    FIELD(proto_function, name, "name", 1, WIRE_BYTES),
    FIELD(proto_function, inputs, "input", 4, WIRE_MANY),
    FIELD(proto_function, outputs, "output", 5, WIRE_MANY),
    FIELD(proto_function, attributes, "attribute", 6, WIRE_MANY),
    FIELD(proto_function, nodes, "node", 7, WIRE_MANY),
    FIELD(proto_function, doc, "doc_string", 8, WIRE_BYTES),
    FIELD(proto_function, opsets, "opset_import", 9, WIRE_MANY),
    FIELD(proto_function, domain, "domain", 10, WIRE_BYTES),
    FIELD(proto_function, defaults, "attribute_proto", 11, WIRE_MANY),
    FIELD(proto_function, values, "value_info", 12, WIRE_MANY),
    FIELD(proto_function, overload, "overload", 13, WIRE_BYTES),
    FIELD(proto_function, metadata, "metadata_props", 14, WIRE_MANY),
};
MESSAGE(proto_function, "FunctionProto");

static const wire_field proto_model_fields[] = {
    FIELD(proto_model, ir_version, "ir_version", 1, WIRE_INT),
    FIELD(proto_model, producer, "producer_name", 2, WIRE_BYTES),
    FIELD(proto_model, producer_version, "producer_version", 3, WIRE_BYTES),
    FIELD(proto_model, domain, "domain", 4, WIRE_BYTES),
    FIELD(proto_model, model_version, "model_version", 5, WIRE_INT),
    FIELD(proto_model, doc, "doc_string", 6, WIRE_BYTES),
    FIELD(proto_model, graph, "graph", 7, WIRE_ONCE),
    FIELD(proto_model, opsets, "opset_import", 8, WIRE_MANY),
    FIELD(proto_model, metadata, "metadata_props", 14, WIRE_MANY),
    FIELD(proto_model, training, "training_info", 20, WIRE_MANY),
    FIELD(proto_model, functions, "functions", 25, WIRE_MANY),
    FIELD(proto_model, devices, "configuration", 26, WIRE_MANY),
};
MESSAGE(proto_model, "ModelProto");
