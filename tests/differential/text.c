/* tests/differential/text.c: a random graph as JSON.
 *
 * SPDX-License-Identifier: MIT */
#include "net.h"

#include <string.h>

static void add_type(text *t, const net *n, const net_value *v, bool declared)
{
    static const char *const names[] = { NULL, "int64", "bool", "uint8", "float64" };
    add(t, "\"dtype\": \"%s\", \"shape\": [", v->kind == FLOATS ? n->dtype : names[v->kind]);
    for (int k = 0; k < v->rank; k++)
        if (declared && v->named_batch && k == 0)
            add(t, "\"N\"");
        else
            add(t, "%s%lld", k ? ", " : "", (long long)v->dims[k]);
    add(t, "]");
}

static bool is_used(const net *n, int k)
{
    return n->values[k].is_output || is_read(n, k);
}

static void add_node_text(text *t, const net_node *m, int number)
{
    add(t, "  {\"name\": \"n%d\", \"op\": \"%s\", \"inputs\": [", number, m->op);
    for (int i = 0; i < m->input_count - m->hidden; i++)
        if (m->inputs[i] < 0)
            add(t, "%s\"\"", i ? ", " : "");
        else
            add(t, "%s\"v%d\"", i ? ", " : "", m->inputs[i]);
    add(t, "], \"outputs\": [");
    for (int i = 0; i < m->output_count; i++) {
        add(t, "%s\"", i ? ", " : "");
        add(t, "v%d\"", m->outputs[i]);
    }
    add(t, "]%s%s%s}", *m->attributes ? ", \"attributes\": {" : "", m->attributes,
        *m->attributes ? "}" : "");
}

/* Without brackets for a scalar. */
static void add_data(text *t, const net_value *v)
{
    const bool bare = v->rank == 0 && *v->data == '[';
    add(t, "\"data\": %.*s", (int)strlen(v->data) - 2 * bare, v->data + bare);
}

char *net_text(const net *n)
{
    text t = { 0 };
    bool first = true;
    add(&t, "{\"tenon\": 1, \"name\": \"random\", \"opset\": 23,\n \"inputs\": [");
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_CALLER ||
            (n->values[k].origin == FROM_EITHER && is_used(n, k))) {
            add(&t, "%s{\"name\": \"v%d\", ", first ? "" : ", ", k);
            add_type(&t, n, &n->values[k], true);
            if (n->values[k].data) {
                add(&t, ", \"default\": {");
                add_data(&t, &n->values[k]);
                add(&t, "}");
            }
            add(&t, "}");
            first = false;
        }
    add(&t, "],\n \"outputs\": [");
    first = true;
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].is_output) {
            add(&t, "%s\"v%d\"", first ? "" : ", ", k);
            first = false;
        }
    add(&t, "],\n \"constants\": {");
    first = true;
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_FILE && is_used(n, k)) {
            add(&t, "%s\n  \"v%d\": {", first ? "" : ",", k);
            add_type(&t, n, &n->values[k], false);
            add(&t, ", ");
            add_data(&t, &n->values[k]);
            add(&t, "}");
            first = false;
        }
    add(&t, "},\n \"nodes\": [");
    first = true;
    for (int k = 0; k < n->node_count; k++)
        if (!n->nodes[k].gone) {
            add(&t, "%s\n", first ? "" : ",");
            add_node_text(&t, &n->nodes[k], k);
            first = false;
        }
    add(&t, "]}\n");
    return t.at;
}
