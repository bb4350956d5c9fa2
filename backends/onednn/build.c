/* build.c: building one variant inside measure.
 *
 * A builder collects primitive descriptors, the bindings of their arguments and constants to
 * pack; it owns the descriptors of tensors until the variant stands. What the library answers
 * with its own reference code ("ref:any", a thousand times slower than its compiled code) counts
 * as no, unless the user asked for it.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tn_status onednn_refuse(onednn_builder *b, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(b->reason, sizeof b->reason, format, list);
    va_end(list);
    return TN_DECLINED;
}

/* ---- tries ------------------------------------------------------------------------------ */

tn_status onednn_fresh_attributes(onednn_builder *b)
{
    const dnnl_fpmath_mode_t mode = b->problem->math == TN_MATH_BF16 ? dnnl_fpmath_mode_bf16
                                                                     : dnnl_fpmath_mode_strict;
    if (b->attr)
        dnnl_primitive_attr_destroy(b->attr);
    b->attr = NULL;
    if (dnnl_primitive_attr_create(&b->attr) != dnnl_success ||
        dnnl_primitive_attr_set_scratchpad_mode(b->attr, dnnl_scratchpad_mode_user) !=
            dnnl_success ||
        /* bfloat16 where it is asked for and the library has primitives for it on this processor;
         * ONEDNN_DEFAULT_FPMATH_MODE in the environment must not lower our precision. */
        dnnl_primitive_attr_set_fpmath_mode(b->attr, mode) != dnnl_success)
        return onednn_refuse(b, "oneDNN made no attributes");
    return TN_OK;
}

static void clear_builder(onednn_builder *b)
{
    for (uint32_t k = 0; k < b->desc_count; k++)
        onednn_desc_clear(&b->descs[k]);
    if (b->pending)
        dnnl_primitive_desc_destroy(b->pending);
    if (b->attr)
        dnnl_primitive_attr_destroy(b->attr);
    b->pending = NULL;
    b->attr = NULL;
    b->desc_count = 0;
}

/* The host's description of the variant that stands. */
static void describe_alternative(onednn_builder *b)
{
    tn_alternative *a = b->alternative;
    const char *name = onednn_intern(b->instance, b->name);
    a->algorithm = name ? name : "oneDNN";
    a->scratch_bytes = b->variant->scratch;
    a->slot_bytes = onednn_slot_bytes();
    a->pack_count = b->variant->pack_count;
    if (b->apart) /* each step reads and writes the output once more */
        a->seconds += b->problem->step_count * 8.0 * (double)onednn_count(b->problem->outputs[0]) /
                      15e9;
    for (uint32_t k = 0; k < b->variant->pack_count; k++) {
        const onednn_packing *packing = &b->variant->packs[k];
        const onednn_md target = dnnl_primitive_desc_query_md(
            b->variant->stages[packing->stage].desc, dnnl_query_exec_arg_md, packing->argument);
        a->packs[k].size = sizeof a->packs[k];
        a->packs[k].source_count = 1;
        a->packs[k].sources = &packing->input;
        a->packs[k].key = packing->key;
        a->packs[k].key_bytes = packing->key_bytes;
        a->packs[k].bytes = dnnl_memory_desc_get_size(target);
    }
}

static void reset_alternative(const tn_problem *p, tn_alternative *a)
{
    a->pack_count = 0;
    a->seconds = 0;
    for (uint32_t k = 0; k < p->input_count; k++)
        a->input_layouts[k] = TN_LAYOUT_PLAIN;
    for (uint32_t k = 0; k < p->output_count; k++) {
        a->output_layouts[k] = TN_LAYOUT_PLAIN;
        a->output_aliases[k].kind = TN_ALIAS_NONE;
        a->output_aliases[k].input = 0;
    }
}

static bool has_reason(const char *reason)
{
    return reason[0] != '\0';
}

static tn_status try_once(onednn_attempts *t, onednn_build_fn build, const void *form, bool apart)
{
    onednn_builder b;
    tn_status status;
    if (t->state->count == TN_MAX_ALTERNATIVES)
        return TN_DECLINED;
    memset(&b, 0, sizeof b);
    b.ctx = t->ctx;
    b.problem = t->ctx->problem;
    b.instance = t->ctx->instance;
    b.engine = onednn_engine(b.instance);
    b.variant = &t->state->variants[t->state->count];
    b.alternative = &t->ctx->alternatives[t->state->count];
    b.apart = apart;
    b.type = dnnl_f32;
    b.rate = 1.0;
    status = onednn_fresh_attributes(&b);
    if (status == TN_OK)
        status = build(&b, form);
    if (status == TN_OK) {
        describe_alternative(&b);
        t->state->count++;
    } else {
        onednn_variant_clear(b.variant);
        reset_alternative(b.problem, b.alternative);
        if (status == TN_DECLINED)
            snprintf(t->reason, sizeof t->reason, "%s", b.reason);
    }
    clear_builder(&b);
    return status;
}

tn_status onednn_try(onednn_attempts *t, onednn_build_fn build, const void *form)
{
    tn_status status = try_once(t, build, form, false);
    if (status == TN_DECLINED && t->ctx->problem->step_count)
        status = try_once(t, build, form, true);
    return status == TN_DECLINED ? TN_OK : status;
}

tn_status onednn_measured(onednn_attempts *t)
{
    if (!t->state->count)
        return tn_fail(t->ctx, TN_DECLINED, "%s",
                       has_reason(t->reason) ? t->reason : "oneDNN has no implementation");
    t->ctx->alternative_count = t->state->count;
    return TN_OK;
}

/* ---- stages ----------------------------------------------------------------------------- */

static bool is_reference(const char *name)
{
    return strstr(name, "ref:") != NULL; /* "ref:any", "bnorm_ref:any" */
}

/* How far the library's kinds of code are from its best, as measured on large layers. */
static double rate_of(const char *name)
{
    if (is_reference(name))
        return 0.001;
    if (strstr(name, "gemm") || strstr(name, "wino")) /* Winograd's: with its transforms */
        return 0.6;
    return 1.0;
}

tn_status onednn_accept(onednn_builder *b, dnnl_status_t status, onednn_pd desc)
{
    const char *name = NULL;
    size_t used = strlen(b->name);
    if (status == dnnl_out_of_memory)
        return b->ctx->call.host->fail(&b->ctx->call, TN_ERR_MEMORY, "oneDNN: out of memory");
    if (status != dnnl_success)
        return onednn_refuse(b, "oneDNN has no implementation for this (%s)",
                             dnnl_status2str(status));
    b->pending = desc;
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name) !=
            dnnl_success ||
        !name)
        name = "unnamed";
    if (is_reference(name) && !(b->problem->flags & TN_PROBLEM_VENDOR_REFERENCE))
        return onednn_refuse(b, "oneDNN has only its reference code (%s)", name);
    if (b->rate > rate_of(name))
        b->rate = rate_of(name);
    snprintf(b->name + used, sizeof b->name - used, "%s%s", used ? " + " : "", name);
    return TN_OK;
}

tn_status onednn_scratch(onednn_builder *b, size_t bytes, size_t *offset)
{
    if (bytes > SIZE_MAX - 63 || b->variant->scratch > SIZE_MAX - ((bytes + 63) & ~(size_t)63))
        return onednn_refuse(b, "scratch memory of more than %zu bytes", SIZE_MAX);
    *offset = b->variant->scratch;
    b->variant->scratch += (bytes + 63) & ~(size_t)63;
    return TN_OK;
}

tn_status onednn_bind(onednn_builder *b, int32_t argument, uint32_t kind, uint32_t index,
                      size_t offset)
{
    onednn_variant *v = b->variant;
    if (v->binding_count == ONEDNN_MAX_BINDINGS)
        return onednn_refuse(b, "more than %d tensors", ONEDNN_MAX_BINDINGS);
    v->bindings[v->binding_count++] = (onednn_binding){
        .argument = argument, .kind = (uint16_t)kind, .index = (uint16_t)index, .offset = offset
    };
    v->stages[v->stage_count - 1].count++;
    return TN_OK;
}

tn_status onednn_stage_add(onednn_builder *b)
{
    onednn_variant *v = b->variant;
    onednn_md scratchpad;
    size_t bytes, offset = 0;
    if (v->stage_count == ONEDNN_MAX_STAGES)
        return onednn_refuse(b, "more than %d primitives", ONEDNN_MAX_STAGES);
    v->stages[v->stage_count++] = (onednn_stage){ .desc = b->pending, .first = v->binding_count };
    scratchpad = dnnl_primitive_desc_query_md(b->pending, dnnl_query_scratchpad_md, 0);
    b->pending = NULL;
    bytes = scratchpad ? dnnl_memory_desc_get_size(scratchpad) : 0;
    if (!bytes)
        return TN_OK;
    TN_TRY(onednn_scratch(b, bytes, &offset));
    return onednn_bind(b, DNNL_ARG_SCRATCHPAD, ONEDNN_SCRATCH, 0, offset);
}

/* ---- weights ---------------------------------------------------------------------------- */

/* The key: how the source lies and what is done to it, then the format it is packed into. */
tn_status onednn_pack(onednn_builder *b, int32_t argument, const onednn_packing *plan)
{
    const uint32_t stage = b->variant->stage_count - 1;
    const onednn_md target = dnnl_primitive_desc_query_md(b->variant->stages[stage].desc,
                                                          dnnl_query_exec_arg_md, argument);
    const size_t rank = (size_t)plan->rank, head = 2 + 2 * rank;
    onednn_packing *packing = &b->variant->packs[b->variant->pack_count];
    size_t format;
    if (b->variant->pack_count == ONEDNN_MAX_PACKS || plan->rank > ONEDNN_MAX_RANK)
        return onednn_refuse(b, "more than %d constants to pack", ONEDNN_MAX_PACKS);
    *packing = *plan;
    packing->stage = stage;
    packing->argument = argument;
    packing->key[0] = plan->form;
    packing->key[1] = plan->order;
    memcpy(packing->key + 2, plan->dims, rank * sizeof *plan->dims);
    memcpy(packing->key + 2 + rank, plan->strides, rank * sizeof *plan->strides);
    format = onednn_desc_key(target, packing->key + head,
                             sizeof packing->key - head * sizeof *packing->key);
    if (!format)
        return onednn_refuse(b, "oneDNN packs these weights into a format without a name");
    packing->key_bytes = head * sizeof *packing->key + format;
    return onednn_bind(b, argument, ONEDNN_PACK, b->variant->pack_count++, 0);
}

static tn_status pack_as_it_lies(onednn_builder *b, int32_t argument, uint32_t input, int32_t rank,
                                 const int64_t *dims, const int64_t *strides)
{
    onednn_packing plan;
    if (rank > ONEDNN_MAX_RANK)
        return onednn_refuse(b, "weights of %d axes", (int)rank);
    memset(&plan, 0, sizeof plan);
    plan.input = input;
    plan.rank = rank;
    memcpy(plan.dims, dims, (size_t)rank * sizeof *dims);
    if (strides)
        memcpy(plan.strides, strides, (size_t)rank * sizeof *strides);
    else
        tn_row_major(rank, dims, plan.strides);
    return onednn_pack(b, argument, &plan);
}

tn_status onednn_stage_with_weights(onednn_builder *b, int32_t argument, uint32_t input,
                                    int32_t rank, const int64_t *dims, const int64_t *strides)
{
    const onednn_pd main = b->pending;
    const onednn_md target = dnnl_primitive_desc_query_md(main, dnnl_query_exec_arg_md, argument);
    onednn_md source;
    onednn_pd reorder = NULL;
    size_t offset = 0;
    TN_TRY(onednn_describe(b, rank, dims, strides, &source));
    if (dnnl_memory_desc_equal(source, target)) {
        TN_TRY(onednn_stage_add(b));
        return onednn_bind(b, argument, ONEDNN_INPUT, input, 0);
    }
    if (b->problem->constants[input]) {
        TN_TRY(onednn_stage_add(b));
        return pack_as_it_lies(b, argument, input, rank, dims, strides);
    }
    /* Computed weights: into the format that the primitive wants, in each run. The first one
     * waits outside, `pending` is the next to become a stage. */
    TN_TRY(onednn_scratch(b, dnnl_memory_desc_get_size(target), &offset));
    b->pending = NULL;
    if (dnnl_success != onednn_reorder(b->engine, NULL, source, target, &reorder)) {
        b->pending = main;
        return onednn_refuse(b, "oneDNN cannot reorder computed weights");
    }
    b->pending = reorder;
    if (onednn_stage_add(b) != TN_OK) {
        if (b->pending)
            dnnl_primitive_desc_destroy(b->pending);
        b->pending = main;
        return TN_DECLINED;
    }
    b->pending = main;
    TN_TRY(onednn_bind(b, DNNL_ARG_FROM, ONEDNN_INPUT, input, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_TO, ONEDNN_SCRATCH, 0, offset));
    TN_TRY(onednn_stage_add(b));
    return onednn_bind(b, argument, ONEDNN_SCRATCH, 0, offset);
}

/* ---- bfloat16 --------------------------------------------------------------------------- */

/* Code for it without the processor's instructions exists, and is slower than float32. */
bool onednn_narrows(const tn_problem *problem)
{
    return problem->math == TN_MATH_BF16 &&
           (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
               dnnl_cpu_isa_avx512_core_bf16;
}

tn_status onednn_narrow(onednn_builder *b, onednn_md from, onednn_md to, size_t *offset)
{
    onednn_pd desc = NULL;
    const dnnl_status_t status = onednn_reorder(b->engine, b->attr, from, to, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_scratch(b, dnnl_memory_desc_get_size(to), offset));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_FROM, ONEDNN_INPUT, 0, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_TO, ONEDNN_SCRATCH, 0, *offset));
    return onednn_fresh_attributes(b);
}

/* ---- estimates -------------------------------------------------------------------------- */

/* One core: 50 billion multiply-adds and 15 GB a second, half a microsecond to start a primitive.
 * The unit is a guess about machines; what matters is how alternatives compare. */
void onednn_estimate(onednn_builder *b, double macs, double bytes)
{
    const double cores = b->problem->threads ? b->problem->threads : 1;
    b->alternative->seconds = 5e-7 * b->variant->stage_count + macs / (5e10 * cores * b->rate) +
                              bytes / (15e9 * cores);
}
