/* plugins/control/sequence_map_write.c: SequenceMap as a Loop over SequenceAt, which collects what
 * the body gives by SequenceInsert (ONNX: SequenceMap, Loop).
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"
#include "tenon/upgrade.h"

enum { MOST_INPUTS = 64, MOST_OUTPUTS = 32 };

/* The loop that is being made. */
typedef struct map {
    tn_edit *e;
    tn_region_id from, body;         /* SequenceMap's body, and the loop's */
    tn_value_id trip, go;            /* its first two inputs */
    tn_value_id first[MOST_OUTPUTS]; /* [carried] empty sequences */
    tn_value_id held[MOST_OUTPUTS];  /* [carried] the sequences so far, in the loop's body */
    uint32_t outputs[MOST_OUTPUTS];  /* [carried] which output of the node each becomes */
    uint32_t carried;
    tn_value_id given[MOST_INPUTS]; /* what goes into SequenceMap's body */
    uint32_t given_count;
} map;

/* A node of one output at the end of the loop's body. */
static tn_status put_inside(map *m, const char *op, tn_value_id a, tn_value_id b, tn_value_id *out)
{
    const tn_graph_api *api = m->e->ctx->api;
    const tn_value_id inputs[2] = { a, b };
    tn_node_id made;
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = m->body,
                                .op = op,
                                .inputs = inputs,
                                .input_count = b == TN_NONE ? 1 : 2,
                                .output_count = 1,
                                .before = TN_NONE,
                                .trace = m->e->node };
    TN_TRY(api->add_node(m->e->ctx->graph, &desc, &made));
    *out = api->node(m->e->ctx->graph, made)->outputs[0];
    return TN_OK;
}

static tn_status add_input(map *m, const tn_type *type, tn_value_id *out)
{
    const tn_graph_api *api = m->e->ctx->api;
    TN_TRY(api->add_value(m->e->ctx->graph, m->body, NULL, type, out));
    return api->add_input(m->e->ctx->graph, m->body, *out);
}

/* The node's outputs that are wanted, as empty sequences that the loop carries. */
static tn_status begin_outputs(map *m)
{
    const uint32_t count = tn_edit_view(m->e)->output_count;
    for (uint32_t k = 0; k < count; k++) {
        const tn_value_id output = tn_edit_output(m->e, k);
        const tn_type *type = tn_edit_type(m->e, output);
        if (output == TN_NONE)
            continue;
        if (!type || type->dtype == TN_UNDEFINED)
            return tn_fail(m->e->ctx, TN_KEEP, "the element type of output %u is not known",
                           (unsigned)k);
        if (m->carried == MOST_OUTPUTS)
            return tn_fail(m->e->ctx, TN_KEEP, "it has more than %d outputs", MOST_OUTPUTS);
        m->outputs[m->carried] = k;
        m->first[m->carried++] = tn_put_with(m->e, "SequenceEmpty", TN_NONE, TN_NONE, "dtype",
                                             type->dtype);
    }
    return m->e->status;
}

static tn_status begin_body(map *m)
{
    const tn_type number = { .size = sizeof number, .dtype = TN_INT64 };
    const tn_type truth = { .size = sizeof truth, .dtype = TN_BOOL };
    TN_TRY(m->e->ctx->api->add_region(m->e->ctx->graph, tn_edit_view(m->e)->region, &m->body));
    TN_TRY(add_input(m, &number, &m->trip));
    TN_TRY(add_input(m, &truth, &m->go));
    for (uint32_t k = 0; k < m->carried; k++) {
        const tn_type type = {
            .size = sizeof type,
            .kind = TN_SEQUENCE,
            .dtype = tn_edit_type(m->e, tn_edit_output(m->e, m->outputs[k]))->dtype,
            .rank = -1
        };
        TN_TRY(add_input(m, &type, &m->held[k]));
    }
    return TN_OK;
}

/* What goes into SequenceMap's body: an element of each sequence, and tensors as they are. */
static tn_status give_inputs(map *m)
{
    const uint32_t count = tn_edit_view(m->e)->input_count;
    if (count > MOST_INPUTS)
        return tn_fail(m->e->ctx, TN_KEEP, "it has more than %d inputs", MOST_INPUTS);
    for (uint32_t k = 0; k < count; k++) {
        const tn_value_id given = tn_edit_input(m->e, k);
        const tn_type *type = tn_edit_type(m->e, given);
        if (!type)
            return tn_fail(m->e->ctx, TN_KEEP, "the type of input %u is not known", (unsigned)k);
        m->given[m->given_count] = given;
        if ((type->kind & 15u) == TN_SEQUENCE)
            TN_TRY(put_inside(m, "SequenceAt", given, m->trip, &m->given[m->given_count]));
        m->given_count++;
    }
    return TN_OK;
}

static tn_status take_outputs(map *m)
{
    const tn_graph_api *api = m->e->ctx->api;
    tn_graph *graph = m->e->ctx->graph;
    const tn_value_id *inner;
    tn_value_id again, elements[MOST_OUTPUTS], longer;
    const uint32_t count = api->region_outputs(graph, m->from, &inner);
    if (count > MOST_OUTPUTS || (m->carried && m->outputs[m->carried - 1] >= count))
        return tn_fail(m->e->ctx, TN_KEEP, "its body has %u outputs", (unsigned)count);
    TN_TRY(api->copy_body(graph, m->from, m->body, TN_NONE, m->given, m->given_count, elements,
                          count));
    TN_TRY(put_inside(m, "Identity", m->go, TN_NONE, &again));
    TN_TRY(api->add_output(graph, m->body, NULL, again));
    for (uint32_t k = 0; k < m->carried; k++) {
        TN_TRY(put_inside(m, "SequenceInsert", m->held[k], elements[m->outputs[k]], &longer));
        TN_TRY(api->add_output(graph, m->body, NULL, longer));
    }
    return TN_OK;
}

static tn_status put_loop(map *m)
{
    const tn_graph_api *api = m->e->ctx->api;
    tn_value_id inputs[2 + MOST_OUTPUTS];
    tn_node_id loop;
    const tn_attribute body = {
        .size = sizeof body, .type = TN_ATTR_GRAPH, .name = "body", .count = 1, .regions = &m->body
    };
    inputs[0] = tn_put(m->e, "SequenceLength", tn_edit_input(m->e, 0), TN_NONE, TN_NONE, NULL);
    inputs[1] = TN_NONE;
    memcpy(inputs + 2, m->first, m->carried * sizeof *inputs);
    TN_TRY(m->e->status);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = tn_edit_view(m->e)->region,
                                .op = "Loop",
                                .inputs = inputs,
                                .input_count = 2 + m->carried,
                                .output_count = m->carried,
                                .attributes = &body,
                                .attribute_count = 1,
                                .before = m->e->node,
                                .trace = m->e->node };
    TN_TRY(api->add_node(m->e->ctx->graph, &desc, &loop));
    for (uint32_t k = 0; k < m->carried; k++)
        TN_TRY(api->replace(m->e->ctx->graph, tn_edit_output(m->e, m->outputs[k]),
                            api->node(m->e->ctx->graph, loop)->outputs[k]));
    return api->remove_node(m->e->ctx->graph, m->e->node);
}

static tn_status write_loop(map *m)
{
    TN_TRY(begin_outputs(m));
    TN_TRY(begin_body(m));
    TN_TRY(give_inputs(m));
    TN_TRY(take_outputs(m));
    return put_loop(m);
}

tn_status sequence_map_write(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_attribute *body = tn_attr(tn_edit_view(&e), "body");
    map m = { .e = &e };
    if (!body || body->type != TN_ATTR_GRAPH)
        return tn_fail(ctx, TN_KEEP, "it has no body");
    m.from = body->regions[0];
    return write_loop(&m);
}
