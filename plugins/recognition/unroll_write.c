/* plugins/recognition/unroll_write.c: one node over the sequence in the place of a chain of cells: weights and
 * biases in the operator's order of gates, states and their pieces for who read them.
 *
 * SPDX-License-Identifier: MIT */
#include "unroll.h"

#include <stdlib.h>

/* ---- weights ------------------------------------------------------------------------------ */

static tn_status add_tensor(chain *c, int32_t rank, const int64_t *dims, void *data,
                            tn_value_id *out)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = c->dtype,
                               .rank = rank,
                               .dims = dims,
                               .data = data,
                               .bytes = tn_dtype_bytes(c->dtype, tn_extent(dims, 0, rank)) };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = c->p->region, .tensor = &tensor, .value = TN_NONE
    };
    return c->p->ctx->api->add_constant(c->p->ctx->graph, &desc, out);
}

/* Whether a gate says what is kept of the other: 1 - Sigmoid(a) is Sigmoid(-a). */
static int is_turned(const chain *c, uint32_t gate)
{
    return gate == 0 && c->cells[c->count - 1].keeps;
}

/* Columns of the gates' matrices as rows, gate by gate: [gates * hidden, rows of a product]. */
static tn_status add_matrix(chain *c, uint32_t which, int64_t rows, tn_value_id *out)
{
    const int64_t dims[3] = { 1, c->kind->gates * c->hidden, rows };
    const size_t element = tn_dtype_bytes(c->dtype, 1);
    char *data = malloc((size_t)(dims[1] * rows) * element + 1), *to = data;
    if (!data)
        return tn_fail(c->p->ctx, TN_ERR_MEMORY, "no memory for weights");
    for (uint32_t g = 0; g < c->kind->gates; g++) {
        const int apart = c->linear && which == 1 && g == 2, turned = is_turned(c, g);
        const product *m = &c->cells[c->count - 1].gates[apart ? 3 : g].products[apart ? 0 : which];
        const tn_tensor *from = pattern_constant(c->p, m->matrix);
        for (int64_t unit = m->column; unit < m->column + c->hidden; unit++)
            for (int64_t k = m->row; k < m->row + rows; k++, to += element) {
                const int64_t place = m->turned ? unit * from->dims[1] + k
                                                : k * from->dims[1] + unit;
                memcpy(to, (const char *)from->data + (size_t)place * element, element);
                if (turned)
                    tn_set_float(c->dtype, to, 0, -tn_get_double(c->dtype, to, 0));
            }
    }
    const tn_status status = add_tensor(c, 3, dims, data, out);
    free(data);
    return status;
}

/* All in the input's half, but for what stands behind a reset gate. */
static tn_status add_biases(chain *c, tn_value_id *out)
{
    const int64_t gates = c->kind->gates, dims[2] = { 1, 2 * gates * c->hidden };
    const cell *last = &c->cells[c->count - 1];
    void *data = calloc((size_t)dims[1], 8);
    uint32_t any = 0;
    *out = TN_NONE;
    for (uint32_t g = 0; g < sums_of(c); g++)
        any += last->gates[g].bias_count;
    if (!data)
        return tn_fail(c->p->ctx, TN_ERR_MEMORY, "no memory for biases");
    for (uint32_t g = 0; g < sums_of(c); g++)
        for (int64_t unit = 0; unit < c->hidden; unit++)
            tn_set_float(c->dtype, data, (g < gates ? g : 2 * gates - 1) * c->hidden + unit,
                         (is_turned(c, g) ? -1.0 : 1.0) *
                             chain_bias_at(c, &last->gates[g], 0, unit));
    const tn_status status = any ? add_tensor(c, 2, dims, data, out) : TN_OK;
    free(data);
    return status;
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_with(chain *c, const char *op, tn_value_id x, int64_t number, tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(c->p, &number, 1, &inputs[1]));
    return pattern_add(c->p, op, inputs, 2, NULL, 0, out);
}

static tn_status add_turn(chain *c, tn_value_id x, tn_value_id *out)
{
    static const int64_t perm[3] = { 1, 0, 2 };
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_INTS, .name = "perm", .ints = perm, .count = 3
    };
    return pattern_add(c->p, "Transpose", &x, 1, &attribute, 1, out);
}

/* The steps one behind the other: [steps, batch, in]. */
static tn_status add_joined(chain *c, tn_value_id *out)
{
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id steps[MOST_STEPS];
    for (uint32_t t = 0; t < c->count; t++)
        TN_TRY(add_with(c, "Unsqueeze", c->cells[t].gates[0].products[0].of, 0, &steps[t]));
    return pattern_add(c->p, "Concat", steps, c->count, &axis, 1, out);
}

static tn_status add_sequence(chain *c, tn_value_id *out)
{
    if (c->sequence == TN_NONE)
        return add_joined(c, out);
    *out = c->sequence;
    if (type_of(c, c->sequence)->dims[c->axis] != c->count) {
        const int64_t numbers[3] = { c->first, c->first + c->count, c->axis };
        tn_value_id inputs[4] = { c->sequence };
        for (uint32_t k = 0; k < 3; k++)
            TN_TRY(pattern_integers(c->p, &numbers[k], 1, &inputs[k + 1]));
        TN_TRY(pattern_add(c->p, "Slice", inputs, 4, NULL, 0, out));
    }
    return c->axis ? add_turn(c, *out, out) : TN_OK;
}

/* The first state, or nothing where it is 0. */
static tn_status add_state(chain *c, tn_value_id state, tn_value_id *out)
{
    *out = TN_NONE;
    return state == TN_NONE || cell_is_zero(c->p, state) ? TN_OK
                                                         : add_with(c, "Unsqueeze", state, 0, out);
}

/* Attributes of the node; answers how many. */
static uint32_t describe(const chain *c, tn_attribute *out)
{
    uint32_t count = 0;
    out[count++] = (tn_attribute){
        .size = sizeof *out, .type = TN_ATTR_INT, .name = "hidden_size", .i = c->hidden
    };
    if (c->reverse)
        out[count++] = (tn_attribute){
            .size = sizeof *out, .type = TN_ATTR_STRING, .name = "direction", .s = { "reverse", 7 }
        };
    if (c->linear)
        out[count++] = (tn_attribute){
            .size = sizeof *out, .type = TN_ATTR_INT, .name = "linear_before_reset", .i = 1
        };
    return count;
}

static tn_status add_recurrent(chain *c, tn_value_id outputs[3])
{
    const cell *first = &c->cells[0];
    tn_attribute attributes[3];
    const uint32_t attribute_count = describe(c, attributes);
    tn_value_id inputs[7] = { TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE };
    TN_TRY(add_sequence(c, &inputs[0]));
    TN_TRY(add_matrix(c, 0, c->in, &inputs[1]));
    TN_TRY(add_matrix(c, 1, c->hidden, &inputs[2]));
    TN_TRY(add_biases(c, &inputs[3]));
    TN_TRY(add_state(c, has_state(first) ? first->last_h : TN_NONE, &inputs[5]));
    if (c->kind->states == 2)
        TN_TRY(add_state(c, first->last_c, &inputs[6]));
    return pattern_add_outputs(c->p, c->kind->op, inputs, c->kind->states == 2 ? 7 : 6, attributes,
                               attribute_count, outputs, 1 + c->kind->states);
}

static tn_status replace(chain *c, tn_value_id old, tn_value_id new)
{
    return c->p->ctx->api->replace(c->p->ctx->graph, old, new);
}

/* One step of Y, [steps, batch, hidden], for who reads the state after it. */
static tn_status give_step(chain *c, tn_value_id rows, uint32_t step)
{
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id inputs[2] = { rows }, one;
    TN_TRY(pattern_index(c->p, place_of(c, step), &inputs[1]));
    TN_TRY(pattern_add(c->p, "Gather", inputs, 2, &axis, 1, &one));
    return replace(c, c->cells[step].h, one);
}

/* Who reads states: all of them, some, or the last one, which is Y_h where it alone is wanted. */
static tn_status give_states(chain *c, const tn_value_id outputs[3])
{
    tn_value_id rows = TN_NONE, all, last;
    int single = 0;
    for (uint32_t t = 0; t + 1 < c->count; t++)
        single = single || chain_is_wanted(c, c->cells[t].h);
    if (single || c->join != TN_NONE)
        TN_TRY(add_with(c, "Squeeze", outputs[0], 1, &rows));
    all = rows;
    if (c->join != TN_NONE && c->join_axis)
        TN_TRY(add_turn(c, rows, &all));
    for (uint32_t t = 0; single && t < c->count; t++)
        if (chain_is_wanted(c, c->cells[t].h))
            TN_TRY(give_step(c, rows, t));
    if (c->join != TN_NONE)
        TN_TRY(replace(c, c->join, all));
    if (single || !chain_is_wanted(c, c->cells[c->count - 1].h))
        return TN_OK;
    TN_TRY(add_with(c, "Squeeze", outputs[1], 0, &last));
    return replace(c, c->cells[c->count - 1].h, last);
}

/* What multiplied all steps at once goes where nothing else reads it. */
static void absorb_sums(chain *c, tn_value_id value)
{
    for (int depth = 0; depth <= MOST_BIASES; depth++) {
        const tn_node_id node = pattern_value(c->p, value)->producer;
        if (!pattern_is(c->p, node, "Add") && !pattern_is(c->p, node, "MatMul"))
            return;
        pattern_absorb(c->p, node);
        const tn_value_id *in = pattern_node(c->p, node)->inputs;
        value = in[pattern_constant(c->p, in[0]) ? 1 : 0];
    }
}

tn_status chain_rewrite(chain *c)
{
    const cell *last = &c->cells[c->count - 1];
    tn_value_id outputs[3], squeezed;
    piece one;
    tn_node_id squeeze;
    TN_TRY(add_recurrent(c, outputs));
    TN_TRY(give_states(c, outputs));
    if (c->kind->states == 2 && chain_is_wanted(c, last->c)) {
        TN_TRY(add_with(c, "Squeeze", outputs[2], 0, &squeezed));
        TN_TRY(replace(c, last->c, squeezed));
    }
    for (uint32_t t = 0; c->sequence != TN_NONE && t < c->count; t++)
        if (chain_read_step(c, &c->cells[t].gates[0].products[0], &one, &squeeze)) {
            if (squeeze != TN_NONE)
                pattern_absorb(c->p, squeeze);
            if (one.node != TN_NONE)
                pattern_absorb(c->p, one.node);
        }
    for (uint32_t g = 0; g < c->kind->gates; g++)
        if (c->cells[0].gates[g].products[0].all_steps)
            absorb_sums(c, c->cells[0].gates[g].products[0].sums);
    return pattern_finish(c->p, outputs[0], outputs[0]);
}
