/* What the host does for a running kernel: outputs whose size running tells, threads, random
 * numbers, strings, sequences, bodies.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/parallel.h"
#include "engine/json/json.h"
#include "engine/run/run.h"
#include "tenon/kernel.h"

#include <stdarg.h>

static tn_step_call *room(tn_call *call)
{
    return tn_frame_of(call)->room;
}

/* A host function's own error: this thread's message becomes the callback's, unless it had one. */
static tn_status pass_on(tn_call *call, tn_status status)
{
    return status == TN_OK ? TN_OK
                           : tn_frame_fail(tn_frame_of(call), status, "%s", tn_error_message());
}

#define FAIL(call, ...) tn_frame_fail(tn_frame_of(call), __VA_ARGS__)

/* ---- outputs ---------------------------------------------------------------------------------------- */

/* Late outputs are made once, by one of the functions below. */
static tn_status check_output(tn_call *call, uint32_t k)
{
    const tn_step_call *c = room(call);
    if (k >= c->ctx.output_count || !c->ctx.outputs[k])
        return FAIL(call, TN_ERR_ARGUMENT, "output %u is not wanted, or does not exist", k);
    if (!c->made)
        return FAIL(call, TN_ERR_STATE, "output %u is not late: its memory is there already", k);
    return TN_OK;
}

static void give(tn_step_call *c, uint32_t k, tn_object *object)
{
    tn_object_unref(c->made[k]);
    c->made[k] = object;
    ((tn_tensor **)(uintptr_t)c->ctx.outputs)[k] = &object->tensor;
}

static tn_status output_alloc(tn_call *call, uint32_t k, int32_t rank, const int64_t *dims)
{
    tn_step_call *c = room(call);
    tn_object *object;
    TN_TRY(check_output(call, k));
    if (c->made[k])
        return FAIL(call, TN_ERR_STATE, "output %u has its memory already", k);
    if (rank < 0 || rank > TN_MAX_RANK)
        return FAIL(call, TN_ERR_SHAPE, "rank %d is outside [0, %d]", rank, TN_MAX_RANK);
    uint32_t dtype = c->ctx.outputs[k]->dtype;
    if (dtype == TN_UNDEFINED)
        dtype = tn_graph_look(c->graph, c->ctx.node->outputs[k])->type->dtype;
    const tn_type type = tn_type_of(dtype, rank, dims);
    TN_TRY(pass_on(call, tn_object_create(&type, &object)));
    give(c, k, object);
    return TN_OK;
}

/* The object behind what a kernel holds: an input's, or one that a host function gave it. Plain
 * memory of an arena is copied, since it moves on. One reference. */
static tn_status object_behind(tn_step_call *c, const tn_tensor *value, tn_object **out)
{
    for (uint32_t k = 0; k < c->ctx.input_count; k++) {
        if (c->ctx.inputs[k] != value)
            continue;
        if (!c->given || !c->given[k])
            return tn_object_copy(value, out);
        *out = tn_object_ref(c->given[k]);
        return TN_OK;
    }
    *out = tn_object_ref(tn_object_of(value));
    return TN_OK;
}

static tn_status output_set(tn_call *call, uint32_t k, const tn_tensor *value)
{
    tn_step_call *c = room(call);
    tn_object *object;
    TN_TRY(check_output(call, k));
    if (!value)
        return FAIL(call, TN_ERR_ARGUMENT, "output %u is set to nothing", k);
    TN_TRY(pass_on(call, object_behind(c, value, &object)));
    give(c, k, object);
    return TN_OK;
}

/* ---- threads ---------------------------------------------------------------------------------------- */

/* One parallel_for: chunks are drawn by whoever is free. */
typedef struct loop {
    tn_run_state *run;
    tn_chunk_fn fn;
    void *user;
    int64_t n, grain, next;
    uint32_t threads;
    int32_t status;
} loop;

static bool may_stop(const loop *l)
{
    return l->run->cancel || l->run->deadline;
}

/* How many are drawn where `left` are left: the fewer, the less, so that all threads end together
 * whatever held one of them up. The same places for the same n, whoever draws. Where that would be
 * under the grain, as many chunks as there are grains for, alike for each thread. */
static int64_t chunk_of(const loop *l, int64_t left)
{
    const int64_t threads = l->threads, even = (left + 2 * threads - 1) / (2 * threads);
    int64_t parts = left / l->grain;
    if (threads == 1 && !may_stop(l))
        return left;
    if (even >= l->grain)
        return even;
    if (parts > threads)
        parts -= parts % threads;
    return parts > 1 ? (left + parts - 1) / parts : left;
}

static void run_chunk(loop *l, int64_t begin, int64_t end, uint32_t thread)
{
    tn_status status = may_stop(l) ? tn_run_check(l->run) : TN_OK;
    int32_t none = TN_OK;
    if (status == TN_OK)
        status = l->fn(l->user, begin, end, thread);
    if (status != TN_OK)
        __atomic_compare_exchange_n(&l->status, &none, (int32_t)status, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
}

static void draw_chunks(void *data)
{
    loop *l = data;
    const uint32_t thread = (uint32_t)omp_get_thread_num() * (l->threads > 1);
    int64_t begin = __atomic_load_n(&l->next, __ATOMIC_RELAXED);
    while (begin < l->n && __atomic_load_n(&l->status, __ATOMIC_RELAXED) == TN_OK) {
        const int64_t end = begin + chunk_of(l, l->n - begin);
        if (!__atomic_compare_exchange_n(&l->next, &begin, end, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            continue; /* another was quicker: begin is where it left off */
        run_chunk(l, begin, end, thread);
        begin = __atomic_load_n(&l->next, __ATOMIC_RELAXED);
    }
}

/* One item for each thread: the same thread gets it each time, which finds in its cache what it had
 * there. The pool may have fewer threads than were asked for. */
static void own_chunk(void *data)
{
    loop *l = data;
    const uint32_t thread = (uint32_t)omp_get_thread_num();
    for (int64_t k = thread; k < l->n; k += omp_get_num_threads())
        run_chunk(l, k, k + 1, thread);
}

static tn_status parallel_for(tn_call *call, int64_t n, int64_t grain, tn_chunk_fn fn, void *user)
{
    const tn_step_call *c = room(call);
    loop l = {
        .run = c->run, .fn = fn, .user = user, .n = n, .grain = grain < 1 ? 1 : grain, .threads = 1
    };
    if (n / l.grain > 1 && c->ctx.threads > 1 && !omp_in_parallel())
        l.threads = c->ctx.threads;
    if (l.threads == 1)
        draw_chunks(&l);
    else
        tn_parallel(n == l.threads ? own_chunk : draw_chunks, &l, l.threads);
    return (tn_status)l.status;
}

static int32_t cancelled(tn_call *call)
{
    return tn_run_check(room(call)->run) != TN_OK;
}

/* ---- random numbers, strings --------------------------------------------------------------------------- */

/* Counter: the number's block and the stream; key: the run's seed, the node's name and, in a body,
 * which trip it is. */
static void host_random(tn_call *call, uint32_t stream, uint64_t first, size_t count, uint32_t *out)
{
    const tn_step_call *c = room(call);
    const uint64_t node = tn_hash(c->ctx.node->name, strlen(c->ctx.node->name), 0) ^
                          (c->ctx.seed >> 32) * UINT64_C(0x9e3779b97f4a7c15) ^ c->ctx.turn;
    const uint32_t key[2] = { (uint32_t)c->ctx.seed, (uint32_t)node };
    uint32_t four[4] = { 0 };
    for (size_t k = 0; k < count; k++) {
        const uint64_t i = first + k;
        const uint32_t counter[4] = { (uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), stream,
                                      (uint32_t)(node >> 32) };
        if (k == 0 || i % 4 == 0)
            tn_philox(counter, key, four);
        out[k] = four[i % 4];
    }
}

static tn_status string_make(tn_call *call, const char *bytes, size_t count, tn_text *out)
{
    char *copy = tn_pool_text(&room(call)->run->strings, bytes, count);
    if (!copy)
        return pass_on(call, tn_raise_memory());
    *out = (tn_text){ copy, count };
    return TN_OK;
}

/* ---- sequences and optionals ------------------------------------------------------------------------------ */

static int64_t seq_count(tn_call *call, const tn_tensor *sequence)
{
    (void)call;
    return tn_value_count(sequence);
}

static const tn_tensor *seq_get(tn_call *call, const tn_tensor *sequence, int64_t k)
{
    (void)call;
    return tn_value_get(sequence, k);
}

static tn_status seq_begin(tn_call *call, uint32_t k, uint32_t from)
{
    tn_step_call *c = room(call);
    tn_object *list;
    TN_TRY(check_output(call, k));
    const tn_type *type = tn_graph_look(c->graph, c->ctx.node->outputs[k])->type;
    if (from == UINT32_MAX) {
        TN_TRY(pass_on(call,
                       tn_object_list(type->kind ? type->kind : TN_SEQUENCE, type->dtype, &list)));
        give(c, k, list);
        return TN_OK;
    }
    if (from >= c->ctx.input_count || !c->ctx.inputs[from] ||
        (c->ctx.inputs[from]->kind & 15u) != TN_SEQUENCE)
        return FAIL(call, TN_ERR_TYPE, "input %u is no sequence", from);
    if (c->given &&
        c->given[from]) { /* the input's reference moves on: a sole owner is changed in place */
        tn_object *held = c->given[from];
        TN_TRY(pass_on(call, tn_object_own(held, &list)));
        c->given[from] = tn_object_ref(list);
        ((const tn_tensor **)(uintptr_t)c->ctx.inputs)[from] = &list->tensor;
    } else {
        TN_TRY(pass_on(call, tn_object_copy(c->ctx.inputs[from], &list)));
    }
    give(c, k, list);
    return TN_OK;
}

static tn_status check_list(tn_call *call, uint32_t k, int64_t at, int64_t beyond)
{
    tn_step_call *c = room(call);
    if (k >= c->ctx.output_count || !c->made || !c->made[k] || !c->made[k]->tensor.kind)
        return FAIL(call, TN_ERR_STATE, "output %u is no sequence yet: seq_begin comes first", k);
    const int64_t count = c->made[k]->count;
    if (at < 0 || at >= count + beyond)
        return FAIL(call, TN_ERR_VALUE, "position %" PRId64 " is outside a sequence of %" PRId64,
                    at, count);
    return TN_OK;
}

static tn_status seq_insert(tn_call *call, uint32_t k, int64_t at, const tn_tensor *element)
{
    tn_step_call *c = room(call);
    tn_object *item;
    TN_TRY(check_list(call, k, at, 1));
    TN_TRY(pass_on(call, object_behind(c, element, &item)));
    if (c->made[k]->tensor.dtype == TN_UNDEFINED)
        c->made[k]->tensor.dtype = item->tensor.dtype;
    return pass_on(call, tn_object_insert(c->made[k], at, item));
}

static tn_status seq_erase(tn_call *call, uint32_t k, int64_t at)
{
    TN_TRY(check_list(call, k, at, 0));
    return pass_on(call, tn_object_erase(room(call)->made[k], at));
}

static const tn_tensor *opt_get(tn_call *call, const tn_tensor *optional)
{
    (void)call;
    if (!optional || (optional->kind & 15u) != TN_OPTIONAL)
        return optional; /* a bare value where an optional may stand */
    return tn_value_get(optional, 0);
}

static tn_status opt_set(tn_call *call, uint32_t k, const tn_tensor *element)
{
    tn_step_call *c = room(call);
    tn_object *optional, *item;
    TN_TRY(check_output(call, k));
    const tn_type *type = tn_graph_look(c->graph, c->ctx.node->outputs[k])->type;
    const uint32_t kind = (type->kind & 15u) == TN_OPTIONAL
                              ? type->kind
                              : TN_OPTIONAL | (element ? element->kind << 4 : 0);
    TN_TRY(pass_on(call, tn_object_list(kind, element ? element->dtype : type->dtype, &optional)));
    give(c, k, optional);
    if (!element)
        return TN_OK;
    TN_TRY(pass_on(call, object_behind(c, element, &item)));
    return pass_on(call, tn_object_insert(optional, 0, item));
}

/* ---- bodies ------------------------------------------------------------------------------------------------ */

static tn_status run_region(tn_call *call, const char *attribute, const tn_tensor *const *in,
                            uint32_t in_count, const tn_tensor **out, uint32_t out_count)
{
    tn_step_call *c = room(call);
    const tn_attribute *found = tn_attr(c->ctx.node, attribute);
    const uint64_t budget = c->compile->limits.loop_trips;
    if (!found || found->type != TN_ATTR_GRAPH)
        return FAIL(call, TN_ERR_ATTRIBUTE, "attribute '%s' is no graph", attribute);
    if (++c->bodies > budget && budget)
        return FAIL(call, TN_ERR_LIMIT, "more than %" PRIu64 " trips, the budget of one loop",
                    budget);
    return pass_on(call, tn_run_body(c, found->regions[0], in, in_count, out, out_count));
}

static void value_release(tn_call *call, const tn_tensor *value)
{
    (void)call;
    if (value)
        tn_object_unref(tn_object_of(value));
}

static tn_status value_slice(tn_call *call, const tn_tensor *value, int32_t axis, int64_t index,
                             const tn_tensor **out)
{
    tn_object *slice;
    if (!value || value->kind || axis < 0 || axis >= value->rank || index < 0 ||
        index >= value->dims[axis])
        return FAIL(call, TN_ERR_VALUE, "slice %" PRId64 " of axis %d does not exist", index, axis);
    tn_type type = tn_type_of_tensor(value);
    memmove(type.dims + axis, type.dims + axis + 1,
            (size_t)(value->rank - axis - 1) * sizeof *type.dims);
    type.rank--;
    TN_TRY(pass_on(call, tn_object_create(&type, &slice)));
    const size_t outer = (size_t)tn_extent(value->dims, 0, axis);
    const size_t inner = (size_t)tn_extent(value->dims, axis + 1, value->rank);
    const size_t step = inner * (size_t)value->dims[axis];
    for (size_t k = 0; k < outer; k++)
        tn_copy_elements(value->dtype, slice->tensor.data, k * inner, value->data,
                         k * step + (size_t)index * inner, inner);
    *out = &slice->tensor;
    return TN_OK;
}

static tn_status value_make(tn_call *call, const tn_type *type, tn_tensor **out)
{
    tn_object *made;
    if (type->kind)
        TN_TRY(pass_on(call, tn_object_list(type->kind, type->dtype, &made)));
    else if (!tn_type_is_known(type))
        return FAIL(call, TN_ERR_SHAPE, "a tensor is made with known extents only");
    else
        TN_TRY(pass_on(call, tn_object_create(type, &made)));
    *out = &made->tensor;
    return TN_OK;
}

static tn_status list_push(tn_call *call, uint32_t k, const tn_tensor *element, int32_t axis,
                           int32_t reverse)
{
    tn_step_call *c = room(call);
    tn_object *item;
    TN_TRY(check_output(call, k));
    tn_scan *scan = &c->scans[k];
    TN_TRY(pass_on(call, object_behind(c, element, &item)));
    if (!TN_GROW(scan)) {
        tn_object_unref(item);
        return pass_on(call, tn_raise_memory());
    }
    scan->items[scan->count++] = item;
    scan->axis = axis;
    scan->reverse = reverse;
    return TN_OK;
}

static const void *layout_blob(tn_call *call, uint32_t layout, size_t *blob_bytes)
{
    return tn_layout_blob(room(call)->compile->layouts, layout, blob_bytes);
}

const tn_host tn_run_host = {
    .output_alloc = output_alloc,
    .parallel_for = parallel_for,
    .cancelled = cancelled,
    .random = host_random,
    .string_make = string_make,
    .seq_count = seq_count,
    .seq_get = seq_get,
    .seq_begin = seq_begin,
    .seq_insert = seq_insert,
    .seq_erase = seq_erase,
    .opt_get = opt_get,
    .opt_set = opt_set,
    .output_set = output_set,
    .run_region = run_region,
    .value_release = value_release,
    .value_slice = value_slice,
    .value_make = value_make,
    .list_push = list_push,
    .layout_blob = layout_blob,
};
