/* engine/json/write_attribute.c: attributes as JSON: plainly where the operator's schema says the
 * type, else with it: {"float": 1.0}.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/writer.h"

/* The region stands behind brackets and starts lines of its own. */
static void write_region(tn_writer *w, tn_region_id region)
{
    tn_add(&w->out, "{");
    w->indent += 2;
    tn_write_body(w, region, false);
    w->indent -= 2;
    tn_write_line(w);
    tn_add(&w->out, "}");
}

static void write_type(tn_writer *w, const tn_type *type)
{
    tn_add(&w->out, "{");
    tn_write_type(w, type, "");
    tn_add(&w->out, "}");
}

static void write_one(tn_writer *w, const tn_node_view *node, const tn_attribute *a, size_t k)
{
    tn_builder name = { 0 };
    switch (a->type) {
    case TN_ATTR_FLOATS: tn_write_float(w, (double)a->floats[k], true); break;
    case TN_ATTR_INTS: tn_write_integer(w, (uint64_t)a->ints[k], true); break;
    case TN_ATTR_STRINGS: tn_write_text(w, a->strings[k]); break;
    case TN_ATTR_GRAPH:
    case TN_ATTR_GRAPHS: write_region(w, a->regions[k]); break;
    case TN_ATTR_TYPE:
    case TN_ATTR_TYPES: write_type(w, &a->types[k]); break;
    default:
        tn_add(&name, "%s/%s", node ? node->name : "", a->name);
        w->out.failed = w->out.failed || name.failed;
        tn_write_tensor(w, &a->tensors[k], NULL, NULL, tn_builder_text(&name));
        break;
    }
    tn_builder_fini(&name);
}

static void write_list(tn_writer *w, const tn_node_view *node, const tn_attribute *a)
{
    tn_add(&w->out, "[");
    for (size_t k = 0; k < a->count; k++) {
        tn_add(&w->out, "%s", k ? ", " : "");
        write_one(w, node, a, k);
    }
    tn_add(&w->out, "]");
}

/* What the reader would take a plain value for. A function's own types are not asked: it may be
 * read before, or not at all. */
static bool schema_says(const tn_writer *w, const tn_node_view *node, const tn_attribute *a)
{
    int64_t version, opset = INT32_MAX;
    const char *domain;
    if (!node || !w->registry)
        return false;
    for (uint32_t k = 0; (domain = tn_graph_opset(w->graph, k, &version)) != NULL; k++)
        if (strcmp(domain, node->domain) == 0)
            opset = version;
    const tn_operator *op = tn_registry_operator(w->registry, node->domain, node->op, opset, NULL);
    for (uint32_t k = 0; op && k < op->def.attribute_count; k++)
        if (strcmp(op->def.attributes[k].name, a->name) == 0)
            return op->def.attributes[k].type == a->type;
    return false;
}

/* A function of the model hides a schema of the same name, and its types count for its calls. */
static bool is_function(const tn_writer *w, const tn_node_view *node)
{
    const char *domain, *name, *overload;
    for (uint32_t k = 0; node && tn_graph_function(w->model, k, &domain, &name, &overload); k++)
        if (strcmp(domain, node->domain) == 0 && strcmp(name, node->op) == 0 &&
            strcmp(overload, node->overload) == 0)
            return true;
    return false;
}

void tn_write_attribute(tn_writer *w, const tn_node_view *node, const tn_attribute *a)
{
    static const struct {
        uint32_t type;
        const char *key;
        bool is_list, may_be_plain;
    } rows[] = {
        { TN_ATTR_FLOAT, "float", false, true },    { TN_ATTR_INT, "int", false, true },
        { TN_ATTR_STRING, "string", false, true },  { TN_ATTR_FLOATS, "floats", true, true },
        { TN_ATTR_INTS, "ints", true, true },       { TN_ATTR_STRINGS, "strings", true, true },
        { TN_ATTR_TENSOR, "tensor", false, false }, { TN_ATTR_GRAPH, "graph", false, false },
        { TN_ATTR_TYPE, "type", false, false },     { TN_ATTR_TENSORS, "tensors", true, false },
        { TN_ATTR_GRAPHS, "graphs", true, false },  { TN_ATTR_TYPES, "types", true, false },
        { TN_ATTR_REF, "ref", false, false },
    };
    size_t row = 0;
    while (row < TN_COUNT(rows) && rows[row].type != a->type)
        row++;
    if (row == TN_COUNT(rows)) {
        tn_write_complain(w, TN_ERR_FORMAT, node ? node->name : NULL,
                          "attribute '%s' is of type %" PRIu32 ", which JSON graphs do not have",
                          a->name, a->type);
        return;
    }
    const bool empty = rows[row].is_list && a->count == 0;
    const bool plain = rows[row].may_be_plain && !empty && schema_says(w, node, a) &&
                       !is_function(w, node);
    if (!plain)
        tn_add(&w->out, "{\"%s\": ", rows[row].key);
    switch (a->type) {
    case TN_ATTR_FLOAT: tn_write_float(w, a->f, true); break;
    case TN_ATTR_INT: tn_write_integer(w, (uint64_t)a->i, true); break;
    case TN_ATTR_REF: tn_write_name(w, a->s.bytes, "the name of an attribute"); break;
    case TN_ATTR_STRING: tn_write_text(w, a->s); break;
    case TN_ATTR_TENSOR:
    case TN_ATTR_GRAPH:
    case TN_ATTR_TYPE: write_one(w, node, a, 0); break;
    default: write_list(w, node, a); break;
    }
    if (!plain)
        tn_add(&w->out, "}");
}
