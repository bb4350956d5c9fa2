/* engine/graph/print.c: a graph as text for people, one line for each thing.
 *
 *     graph "lenet"
 *       opset 21
 *       input image: float32[N,1,28,28]
 *       constant w: float32[6,1,5,5]
 *       h1: float32[N,6,24,24] = Conv conv1(image, w) kernel_shape=[5,5]
 *       output probabilities = p
 *
 * Bodies follow their node, further in. Defaults that only the schema gives are left out.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

enum { SHOWN = 16 }; /* elements of a list */

static void indent(tn_builder *out, uint32_t depth)
{
    for (uint32_t k = 0; k < depth; k++)
        tn_add(out, "  ");
}

/* ---- values ------------------------------------------------------------------------------ */

static void add_text(tn_builder *out, tn_text text)
{
    tn_add(out, "\"");
    for (size_t k = 0; k < text.count && k < 256; k++) {
        const unsigned char c = (unsigned char)text.bytes[k];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            tn_add(out, "\\x%02x", c);
        else
            tn_add_bytes(out, text.bytes + k, 1);
    }
    tn_add(out, "%s\"", text.count > 256 ? "…" : "");
}

static void add_element(tn_builder *out, const tn_tensor *tensor, size_t k)
{
    switch (tensor->dtype) {
    case TN_FLOAT32: tn_add_number(out, (double)((const float *)tensor->data)[k], true); break;
    case TN_FLOAT64: tn_add_number(out, ((const double *)tensor->data)[k], false); break;
    case TN_INT64: tn_add(out, "%" PRId64, ((const int64_t *)tensor->data)[k]); break;
    case TN_INT32: tn_add(out, "%" PRId32, ((const int32_t *)tensor->data)[k]); break;
    case TN_BOOL: tn_add(out, "%d", ((const uint8_t *)tensor->data)[k]); break;
    case TN_STRING: add_text(out, ((const tn_text *)tensor->data)[k]); break;
    default: break;
    }
}

/* Contents that fit a line. */
static void add_contents(tn_builder *out, const tn_tensor *tensor)
{
    int64_t count;
    const bool shown = tensor->dtype == TN_FLOAT32 || tensor->dtype == TN_FLOAT64 ||
                       tensor->dtype == TN_INT64 || tensor->dtype == TN_INT32 ||
                       tensor->dtype == TN_BOOL || tensor->dtype == TN_STRING;
    if (!shown || tn_shape_count(tensor->rank, tensor->dims, &count) != TN_OK || count > SHOWN)
        return;
    tn_add(out, " {");
    for (int64_t k = 0; k < count; k++) {
        tn_add(out, k ? "," : "");
        add_element(out, tensor, (size_t)k);
    }
    tn_add(out, "}");
}

static void add_value(const tn_graph *graph, tn_builder *out, const tn_value *value)
{
    tn_add(out, "%s: ", value->view.name);
    tn_add_type(out, graph->dims, &value->type);
    if (value->elements) {
        tn_add(out, " of ");
        for (int64_t k = 0; k < value->elements->count && k < SHOWN; k++) {
            tn_add(out, k ? "," : "(");
            tn_add_dim(out, graph->dims, value->elements->items[k]);
        }
        tn_add(out, value->elements->count ? ")" : "()");
    }
}

/* ---- attributes -------------------------------------------------------------------------- */

static void add_tensor(const tn_graph *graph, tn_builder *out, const tn_tensor *tensor)
{
    const tn_type type = tn_type_of_tensor(tensor);
    tn_add_type(out, graph->dims, &type);
    add_contents(out, tensor);
}

static void add_one(const tn_graph *graph, tn_builder *out, const tn_attribute *a, size_t k)
{
    switch (a->type) {
    case TN_ATTR_FLOATS: tn_add_number(out, (double)a->floats[k], true); break;
    case TN_ATTR_INTS: tn_add(out, "%" PRId64, a->ints[k]); break;
    case TN_ATTR_STRINGS: add_text(out, a->strings[k]); break;
    case TN_ATTR_TENSORS: add_tensor(graph, out, &a->tensors[k]); break;
    case TN_ATTR_TYPES: tn_add_type(out, graph->dims, &a->types[k]); break;
    case TN_ATTR_GRAPHS: tn_add(out, "body"); break;
    default: break;
    }
}

static void add_attribute(const tn_graph *graph, tn_builder *out, const tn_attribute *a)
{
    tn_add(out, " %s=", a->name);
    switch (a->type) {
    case TN_ATTR_FLOAT: tn_add_number(out, a->f, true); return;
    case TN_ATTR_INT: tn_add(out, "%" PRId64, a->i); return;
    case TN_ATTR_STRING: add_text(out, a->s); return;
    case TN_ATTR_REF: tn_add(out, "@%s", a->s.bytes); return;
    case TN_ATTR_TENSOR: add_tensor(graph, out, a->tensors); return;
    case TN_ATTR_TYPE: tn_add_type(out, graph->dims, a->types); return;
    case TN_ATTR_GRAPH: tn_add(out, "body"); return;
    case TN_ATTR_UNDEFINED: tn_add(out, "?"); return;
    default: break;
    }
    tn_add(out, "[");
    for (size_t k = 0; k < a->count && k < 2 * SHOWN; k++) {
        tn_add(out, k ? "," : "");
        add_one(graph, out, a, k);
    }
    tn_add(out, a->count > 2 * SHOWN ? ",…]" : "]");
}

/* ---- nodes and regions --------------------------------------------------------------------- */

static void add_region(const tn_graph *graph, tn_builder *out, tn_region_id id, uint32_t depth);

static void add_bodies(const tn_graph *graph, tn_builder *out, const tn_node *node, uint32_t depth)
{
    for (uint32_t k = 0; k < node->view.attribute_count; k++) {
        const tn_region_id *regions;
        const uint32_t count = tn_attribute_regions(&node->view.attributes[k], &regions);
        for (uint32_t j = 0; j < count; j++) {
            indent(out, depth);
            tn_add(out, "%s:\n", node->view.attributes[k].name);
            add_region(graph, out, regions[j], depth + 1);
        }
    }
}

static void add_constant(tn_builder *out, tn_constant *constant)
{
    tn_constant_hold(constant);
    add_contents(out, &constant->tensor);
    tn_constant_let_go(constant);
}

static void add_node(const tn_graph *graph, tn_builder *out, const tn_node *node, uint32_t depth)
{
    const tn_node_view *view = &node->view;
    const char *rest = node->trace, *name;
    size_t count;
    indent(out, depth);
    for (uint32_t k = 0; k < view->output_count; k++) {
        tn_add(out, k ? ", " : "");
        if (view->outputs[k] == TN_NONE)
            tn_add(out, "-");
        else
            add_value(graph, out, tn_value_of(graph, view->outputs[k]));
    }
    tn_add(out, " = %s%s%s%s%s %s(", view->domain, *view->domain ? "::" : "", view->op,
           *view->overload ? ":" : "", view->overload, view->name);
    for (uint32_t k = 0; k < view->input_count; k++)
        tn_add(out, "%s%s", k ? ", " : "",
               view->inputs[k] == TN_NONE ? "-" : tn_value_of(graph, view->inputs[k])->view.name);
    tn_add(out, ")");
    for (uint32_t k = 0; k < view->attribute_count; k++)
        if (!node->attributes->slots[k].is_default)
            add_attribute(graph, out, &view->attributes[k]);
    while (tn_trace_next(&rest, &name, &count)) {
        tn_add(out, "%s", name == node->trace ? " <- " : " ");
        tn_add_bytes(out, name, count);
    }
    tn_add(out, "\n");
    add_bodies(graph, out, node, depth + 1);
}

/* Values without a producer, in the order of their slots: constants, and what nothing makes. */
static void add_loose_values(const tn_graph *graph, tn_builder *out, tn_region_id id,
                             uint32_t depth)
{
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } loose = { 0 };
    for (tn_value_id v = graph->regions.items[id].first_value; v != TN_NONE;
         v = tn_value_of(graph, v)->next) {
        const tn_value_view *view = &tn_value_of(graph, v)->view;
        if (view->is_input || view->producer != TN_NONE)
            continue;
        if (!TN_GROW(&loose)) {
            out->failed = true;
            break;
        }
        loose.items[loose.count++] = v;
    }
    if (loose.count)
        qsort(loose.items, loose.count, sizeof *loose.items, tn_compare_slots);
    for (uint32_t k = 0; k < loose.count; k++) {
        const tn_value *value = tn_value_of(graph, loose.items[k]);
        indent(out, depth);
        tn_add(out, value->constant ? "constant " : "value ");
        add_value(graph, out, value);
        if (value->constant)
            add_constant(out, value->constant);
        tn_add(out, "\n");
    }
    tn_free(loose.items);
}

static void add_region(const tn_graph *graph, tn_builder *out, tn_region_id id, uint32_t depth)
{
    const tn_region *region = &graph->regions.items[id];
    for (uint32_t k = 0; k < region->inputs.count; k++) {
        const tn_value *value = tn_value_of(graph, region->inputs.items[k]);
        indent(out, depth);
        tn_add(out, "input ");
        add_value(graph, out, value);
        if (value->constant) {
            tn_add(out, " =");
            add_constant(out, value->constant);
        }
        tn_add(out, "\n");
    }
    add_loose_values(graph, out, id, depth);
    for (tn_node_id n = region->first; n != TN_NONE; n = tn_node_of(graph, n)->next)
        add_node(graph, out, tn_node_of(graph, n), depth);
    for (uint32_t k = 0; k < region->outputs.count; k++) {
        const tn_region_output *output = &region->outputs.items[k];
        indent(out, depth);
        tn_add(out, "output %s = %s\n", output->name, tn_value_of(graph, output->value)->view.name);
    }
}

static void add_head(const tn_graph *graph, tn_builder *out, uint32_t depth)
{
    for (uint32_t k = 0; k < graph->opsets.count; k++) {
        indent(out, depth);
        tn_add(out, "opset %s%s%" PRId64 "\n", graph->opsets.items[k].domain,
               *graph->opsets.items[k].domain ? " " : "", graph->opsets.items[k].version);
    }
    for (uint32_t k = 0; k < graph->metadata.count; k++) {
        const char *text = graph->metadata.items[k].text;
        indent(out, depth);
        tn_add(out, "metadata %s = ", graph->metadata.items[k].key);
        add_text(out, (tn_text){ text, strlen(text) });
        tn_add(out, "\n");
    }
}

static void add_function(tn_builder *out, const tn_function *function)
{
    tn_add(out, "function %s", function->whole);
    const tn_attribute_list *list = function->graph->parameters;
    for (uint32_t k = 0; list && k < list->count; k++)
        add_attribute(function->graph, out, &list->items[k]);
    tn_add(out, "\n");
    add_head(function->graph, out, 1);
    add_region(function->graph, out, TN_TOP_REGION, 1);
}

void tn_graph_print(const tn_graph *graph, tn_builder *out)
{
    tn_add(out, "graph \"%s\"\n", graph->name);
    add_head(graph, out, 1);
    add_region(graph, out, TN_TOP_REGION, 1);
    for (uint32_t k = 0; k < graph->functions.count; k++)
        add_function(out, &graph->functions.items[k]);
}
