/* primitive.c: the life that all kernels of this backend share, after measure.
 *
 * In: a state with one to four variants (build.c). prepare keeps the chosen one, packs its
 * constants and compiles its primitives. attach makes the handles of one slot: a stream and a
 * memory object for each argument; run gives them the run's pointers and executes.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <stdlib.h>
#include <string.h>

typedef struct slot {
    dnnl_stream_t stream;
    dnnl_memory_t memories[ONEDNN_MAX_BINDINGS];
    void *data[ONEDNN_MAX_BINDINGS]; /* what each memory points at: setting it is not free */
} slot;

size_t onednn_slot_bytes(void)
{
    return sizeof(slot);
}

/* ---- prepare ---------------------------------------------------------------------------- */

dnnl_status_t onednn_reorder_once(dnnl_engine_t engine, onednn_md from_md, void *from,
                                  onednn_md to_md, void *to)
{
    dnnl_memory_t memories[2] = { NULL, NULL };
    dnnl_stream_t stream = NULL;
    dnnl_primitive_t primitive = NULL;
    onednn_pd desc = NULL;
    dnnl_status_t status = onednn_reorder(engine, NULL, from_md, to_md, &desc);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, desc);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memories[0], from_md, engine, from);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memories[1], to_md, engine, to);
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = { { DNNL_ARG_FROM, memories[0] },
                                              { DNNL_ARG_TO, memories[1] } };
        status = dnnl_primitive_execute(primitive, stream, 2, arguments);
        if (status == dnnl_success)
            status = dnnl_stream_wait(stream);
    }
    if (stream)
        dnnl_stream_destroy(stream);
    for (int k = 0; k < 2; k++)
        if (memories[k])
            dnnl_memory_destroy(memories[k]);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return status;
}

static dnnl_status_t pack_as_it_lies(dnnl_engine_t engine, const onednn_packing *packing,
                                     void *from, onednn_md target, void *to)
{
    onednn_desc source;
    dnnl_status_t status;
    memset(&source, 0, sizeof source);
    status = onednn_desc_strided(&source, dnnl_f32, packing->rank, packing->dims, packing->strides);
    if (status == dnnl_success)
        status = onednn_reorder_once(engine, onednn_md_of(&source), from, target, to);
    onednn_desc_clear(&source);
    return status;
}

/* As a whole: gate by gate, by parts of the target, oneDNN 3.2 filled its own format of blocks wrongly for
 * two directions. */
static dnnl_status_t pack_gates(dnnl_engine_t engine, const onednn_packing *packing,
                                const float *from, onednn_md target, void *to)
{
    float *ordered = onednn_order_gates(packing, from);
    const dnnl_status_t status = ordered ? pack_as_it_lies(engine, packing, ordered, target, to)
                                         : dnnl_out_of_memory;
    free(ordered);
    return status;
}

static tn_status pack(tn_prepare *ctx, const onednn_variant *v, uint32_t k)
{
    const onednn_packing *packing = &v->packs[k];
    const dnnl_engine_t engine = onednn_engine(ctx->instance);
    const onednn_md target = dnnl_primitive_desc_query_md(
        v->stages[packing->stage].desc, dnnl_query_exec_arg_md, packing->argument);
    void *from = ctx->problem->constants[packing->input]->data, *to = ctx->packs[k].data;
    dnnl_status_t status = dnnl_success;
    if (!ctx->packs[k].fill)
        return TN_OK;
    if (packing->form == ONEDNN_BIASES)
        onednn_pack_biases(packing, from, to);
    else if (packing->form == ONEDNN_GATES)
        status = pack_gates(engine, packing, from, target, to);
    else
        status = pack_as_it_lies(engine, packing, from, target, to);
    if (status != dnnl_success)
        return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN packed no weights: %s",
                       dnnl_status2str(status));
    return TN_OK;
}

tn_status onednn_prepare(tn_prepare *ctx, void *state)
{
    onednn_state *s = state;
    onednn_variant *v = &s->variants[ctx->chosen_index];
    s->chosen = ctx->chosen_index;
    for (uint32_t k = 0; k < s->count; k++)
        if (k != s->chosen)
            onednn_variant_clear(&s->variants[k]);
    for (uint32_t k = 0; k < v->pack_count; k++)
        TN_TRY(pack(ctx, v, k));
    for (uint32_t k = 0; k < v->stage_count; k++) {
        const dnnl_status_t status = dnnl_primitive_create(&v->stages[k].primitive,
                                                           v->stages[k].desc);
        if (status != dnnl_success)
            return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN compiled no primitive: %s",
                           dnnl_status2str(status));
    }
    return TN_OK;
}

void onednn_variant_clear(onednn_variant *v)
{
    for (uint32_t k = 0; k < v->stage_count; k++) {
        if (v->stages[k].primitive)
            dnnl_primitive_destroy(v->stages[k].primitive);
        if (v->stages[k].desc)
            dnnl_primitive_desc_destroy(v->stages[k].desc);
    }
    memset(v, 0, sizeof *v);
}

void onednn_finish(void *state)
{
    onednn_state *s = state;
    for (uint32_t k = 0; k < TN_MAX_ALTERNATIVES; k++)
        onednn_variant_clear(&s->variants[k]);
    s->count = 0;
}

/* ---- slots ------------------------------------------------------------------------------ */

tn_status onednn_attach(tn_slot_call *ctx, const void *state, void *memory)
{
    const onednn_state *s = state;
    const onednn_variant *v = &s->variants[s->chosen];
    const dnnl_engine_t engine = onednn_engine(ctx->instance);
    slot *own = memory;
    if (dnnl_stream_create(&own->stream, engine, dnnl_stream_default_flags) != dnnl_success)
        return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN made no stream");
    for (uint32_t k = 0; k < v->stage_count; k++) {
        const onednn_stage *stage = &v->stages[k];
        for (uint32_t j = stage->first; j < stage->first + stage->count; j++) {
            const onednn_md md = dnnl_primitive_desc_query_md(stage->desc, dnnl_query_exec_arg_md,
                                                              v->bindings[j].argument);
            if (!md ||
                dnnl_memory_create(&own->memories[j], md, engine, DNNL_MEMORY_NONE) != dnnl_success)
                return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN made no memory object");
        }
    }
    return TN_OK;
}

void onednn_detach(tn_slot_call *ctx, const void *state, void *memory)
{
    slot *own = memory;
    (void)ctx;
    (void)state;
    for (uint32_t k = 0; k < ONEDNN_MAX_BINDINGS; k++)
        if (own->memories[k])
            dnnl_memory_destroy(own->memories[k]);
    if (own->stream)
        dnnl_stream_destroy(own->stream);
    memset(own, 0, sizeof *own);
}

/* ---- run -------------------------------------------------------------------------------- */

/* The library takes `void *` for what it only reads, too. */
static void *bound_data(const tn_run *ctx, const onednn_binding *binding)
{
    union {
        const void *read;
        void *any;
    } data;
    switch (binding->kind) {
    case ONEDNN_INPUT: return ctx->inputs[binding->index]->data;
    case ONEDNN_OUTPUT: return ctx->outputs[binding->index]->data;
    case ONEDNN_PACK: data.read = ctx->packs[binding->index]; return data.any;
    default: return (char *)ctx->scratch + binding->offset;
    }
}

static tn_status point(tn_run *ctx, const onednn_variant *v, slot *own, dnnl_exec_arg_t *arguments)
{
    for (uint32_t k = 0; k < v->binding_count; k++) {
        void *data = bound_data(ctx, &v->bindings[k]);
        if (data != own->data[k]) {
            if (dnnl_memory_set_data_handle(own->memories[k], data) != dnnl_success)
                return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN refused a pointer");
            own->data[k] = data;
        }
        arguments[k].arg = v->bindings[k].argument;
        arguments[k].memory = own->memories[k];
    }
    return TN_OK;
}

tn_status onednn_run_stages(tn_run *ctx, const void *state, void *memory, uint32_t first,
                            uint32_t end)
{
    const onednn_state *s = state;
    const onednn_variant *v = &s->variants[s->chosen];
    slot *own = memory;
    dnnl_exec_arg_t arguments[ONEDNN_MAX_BINDINGS];
    TN_TRY(point(ctx, v, own, arguments));
    for (uint32_t k = first; k < end; k++) {
        const onednn_stage *stage = &v->stages[k];
        const dnnl_status_t status = dnnl_primitive_execute(
            stage->primitive, own->stream, (int)stage->count, arguments + stage->first);
        if (status != dnnl_success)
            return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN: %s", dnnl_status2str(status));
    }
    if (dnnl_stream_wait(own->stream) != dnnl_success)
        return tn_fail(ctx, TN_ERR_BACKEND, "oneDNN: the stream did not finish");
    return TN_OK;
}

tn_status onednn_run(tn_run *ctx, const void *state, void *memory)
{
    const onednn_state *s = state;
    return onednn_run_stages(ctx, state, memory, 0, s->variants[s->chosen].stage_count);
}
