/* expand.c: a 1x1 Conv (ONNX: Conv) in the prologue of a kernel that reads its output by rows.
 *
 * What such a convolution makes is several times as large as what it reads, is read once, and would
 * leave the nearer caches in between. So its rows are made when they are wanted: those of one step
 * behind those of the steps before, in a ring of as many as a window sees. Each is made once.
 *
 * Sums are those of conv_direct.c, in the same order: with and without, answers agree to the bit.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

static tn_status decline(char *reason, size_t bytes, const char *why)
{
    snprintf(reason, bytes, "%s", why);
    return TN_DECLINED;
}

/* Each point of the input is one of the output. */
static bool is_pointwise(const tn_problem *p, const tn_step *step)
{
    const tn_type *x = p->inputs[0], *w;
    if (step->node->domain[0] || strcmp(step->node->op, "Conv") != 0 || step->chain_input != 0 ||
        step->inputs[1] < 0 || !p->constants[step->inputs[1]])
        return false;
    w = p->inputs[step->inputs[1]];
    return w->rank == x->rank && w->dims[1] == x->dims[1] && tn_extent(w->dims, 2, w->rank) == 1 &&
           tn_attr_int(step->node, "group", 1) == 1 && native_all_are(step->node, "strides", 1) &&
           native_all_are(step->node, "pads", 0);
}

tn_status native_expand_read(const tn_problem *p, native_expand *out, char *reason, size_t bytes)
{
    const tn_step *step = &p->prologue[0];
    memset(out, 0, sizeof *out);
    if (!(p->flags & TN_PROBLEM_SHAPES_KNOWN) || !is_pointwise(p, step))
        return decline(reason, bytes, "what comes before is no convolution of points alone");
    out->source_count = step->input_count > 2 && step->inputs[2] >= 0 ? 2 : 1;
    for (uint32_t k = 0; k < out->source_count; k++)
        out->sources[k] = (uint32_t)step->inputs[1 + k];
    if (!p->constants[out->sources[out->source_count - 1]])
        return decline(reason, bytes, "a bias that is computed");
    out->channels = p->inputs[out->sources[0]]->dims[0];
    out->depth = p->inputs[out->sources[0]]->dims[1];
    out->blocks = 1;
    TN_TRY(native_steps_read(p, step + 1, p->prologue_count - 1, 1, &out->epilogue, reason, bytes));
    if (native_has_full(&out->epilogue, 0))
        return decline(reason, bytes, "a whole tensor is added to what is never stored");
    return TN_OK;
}

/* ---- weights ---------------------------------------------------------------------------- */

/* Blocks end where panels do; the last one has what is left of a panel with its own, so that none is
 * narrower than a register unless all are. */
int64_t native_expand_channel(const native_isa *isa, const native_expand *e, int64_t block)
{
    const int64_t whole = e->channels / isa->columns;
    return block == e->blocks ? e->channels : whole * block / e->blocks * isa->columns;
}

tn_pack_def native_expand_describe(const native_isa *isa, const native_expand *e)
{
    return (tn_pack_def){
        .size = sizeof(tn_pack_def),
        .source_count = e->source_count,
        .sources = e->sources,
        .key = &e->blocks,
        .key_bytes = sizeof e->blocks,
        .bytes = native_panel_floats(isa, e->depth, e->channels) * sizeof(float),
    };
}

void native_expand_pack(const native_isa *isa, const native_expand *e, const tn_problem *p,
                        float *out)
{
    const float *weights = p->constants[e->sources[0]]->data;
    const float *bias = e->source_count > 1 ? p->constants[e->sources[1]]->data : NULL;
    for (int64_t block = 0; block < e->blocks; block++) {
        const int64_t first = native_expand_channel(isa, e, block);
        const native_source source = {
            .data = weights + first * e->depth,
            .bias = bias ? bias + first : NULL,
            .taps = 1,
            .depth = e->depth,
            .n = native_expand_channel(isa, e, block + 1) - first,
            .row = 1,
            .column = e->depth,
        };
        native_pack(isa, &source, out + first * (e->depth + 1));
    }
}

/* ---- rows ------------------------------------------------------------------------------- */

static int64_t slot_of(const native_ring *ring, int64_t row)
{
    return (row - ring->base) % ring->slots;
}

static int64_t width_of(const native_ring *ring)
{
    return native_expand_channel(ring->isa, ring->expand, ring->block + 1) -
           native_expand_channel(ring->isa, ring->expand, ring->block);
}

const float *native_ring_row(const native_ring *ring, int64_t row)
{
    return ring->rows + slot_of(ring, row) * ring->points * width_of(ring);
}

/* Rows that lie behind each other here, too. */
static void make(native_ring *ring, int64_t end)
{
    const native_expand *e = ring->expand;
    const int64_t first = native_expand_channel(ring->isa, e, ring->block), width = width_of(ring);
    const int64_t from = ring->made * ring->points, count = end * ring->points - from;
    const native_product product = {
        .isa = ring->isa,
        .epilogue = e->epilogue.count ? &e->epilogue : NULL,
        .inputs = ring->inputs,
        .m = count,
        .n = width,
        .taps = 1,
        .depth = e->depth,
        .panels = ring->pack + first * (e->depth + 1),
        .out = ring->rows + slot_of(ring, ring->made) * ring->points * width,
        .ld = width,
        .first_column = first,
    };
    for (int64_t k = 0; k < count; k++)
        ring->table[k] = ring->x + (from + k) * ring->x_step;
    native_product_run(&product, ring->table, 0, count, 0, native_ceil(width, ring->isa->columns));
    ring->made = end;
}

void native_ring_make(native_ring *ring, int64_t end)
{
    while (ring->made < end) {
        const int64_t room = ring->slots - slot_of(ring, ring->made);
        make(ring, end - ring->made < room ? end : ring->made + room);
    }
}
