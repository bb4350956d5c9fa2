/* plugins/onnx/history.c: whether a node may be written for an older operator set than that of its
 * form, as the schemas of ONNX say it.
 *
 * That the node means the same there is known: its form has taken the older one in. But the older one
 * may lack types, inputs, outputs and attributes that have come since.
 *
 * SPDX-License-Identifier: MIT */
#include "write.h"

#include <string.h>

typedef struct history_row {
    const char *op;
    uint16_t version, by; /* the version that has taken it in */
    const char *inputs, *outputs, *lacks;
} history_row;

#include "history.h"

/* The version that a set has of an operator; NULL: the node's own, or one that is not older. */
static const history_row *row_of(const tn_node_view *node, int64_t set)
{
    const history_row *found = NULL;
    for (size_t k = 0; k < sizeof history / sizeof *history; k++)
        if (history[k].by == node->version && history[k].version <= set &&
            strcmp(history[k].op, node->op) == 0 && (!found || found->version < history[k].version))
            found = &history[k];
    return found;
}

static size_t index_of(char letter)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return (size_t)(strchr(letters, letter) - letters);
}

/* The types of parameter k; 0: there is none. */
static uint64_t types_of(const char *parameters, uint32_t k)
{
    const size_t count = strlen(parameters);
    if (count && parameters[count - 1] == '+' && k >= count - 2)
        return history_types[index_of(parameters[count - 2])];
    return k < count ? history_types[index_of(parameters[k])] : 0;
}

/* Whether blanks separate a name from others. */
static int has_word(const char *words, const char *name)
{
    const size_t count = strlen(name);
    for (const char *at = words; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == count && memcmp(at, name, count) == 0)
            return 1;
    return 0;
}

static tn_status check_values(writer *w, const tn_graph *graph, const tn_node_view *node,
                              int64_t set, const char *parameters, const char *what, uint32_t count,
                              const tn_value_id *values)
{
    for (uint32_t k = 0; k < count; k++) {
        if (values[k] == TN_NONE)
            continue;
        const tn_type *type = w->api->value(graph, values[k])->type;
        const uint64_t types = types_of(parameters, k);
        if (!types)
            return tn_fail(w->ctx, TN_ERR_OPERATOR,
                           "node '%s' (%s) has no equal form in set %d: %s %u came later",
                           node->name, node->op, (int)set, what, k);
        if (type->kind == TN_TENSOR && type->dtype != TN_UNDEFINED &&
            !(types & TN_BIT(type->dtype)))
            return tn_fail(
                w->ctx, TN_ERR_OPERATOR,
                "node '%s' (%s) has no equal form in set %d: the type of %s %u came later",
                node->name, node->op, (int)set, what, k);
    }
    return TN_OK;
}

tn_status history_allows(writer *w, const tn_graph *graph, tn_node_id id)
{
    const tn_node_view *node = w->api->node(graph, id);
    int64_t set = INT64_MAX, version;
    const char *domain;
    for (uint32_t k = 0; (domain = w->api->opset(graph, k, &version)) != NULL; k++)
        if (!*domain)
            set = version;
    if (*node->domain || (int64_t)node->version <= set)
        return TN_OK;
    const history_row *row = row_of(node, set);
    for (uint32_t k = 0; row && k < node->attribute_count; k++)
        if (has_word(row->lacks, node->attributes[k].name))
            return tn_fail(w->ctx, TN_ERR_OPERATOR,
                           "node '%s' (%s) has no equal form in set %d: attribute %s came later",
                           node->name, node->op, (int)set, node->attributes[k].name);
    if (!row)
        return TN_OK;
    TN_TRY(
        check_values(w, graph, node, set, row->inputs, "input", node->input_count, node->inputs));
    return check_values(w, graph, node, set, row->outputs, "output", node->output_count,
                        node->outputs);
}
