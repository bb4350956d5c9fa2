/* engine/graph/constant.c: contents of constants, shared by graphs, clones and sessions.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* tn_constant and its count; callers see the first member. A copy of what lies at an odd address of
 * another buffer is known with its source: while nobody holds it, its memory may be given back. */
typedef struct counted_constant {
    tn_constant constant;
    atomic_uint references;
    tn_buffer *source; /* NULL: no copy that can be made again */
    const void *source_data;
    pthread_mutex_t lock; /* with a source: guards what follows */
    pthread_cond_t gone;
    uint32_t holds;
    bool dropped;
    bool going; /* its only holder has given a part back: others wait until it lets go of all */
} counted_constant;

/* Contents are named process-wide, because what packs and caches know of them outlives graphs. An
 * address would not do: it is used again. */
static _Atomic uint64_t last_id;

tn_constant *tn_constant_ref(tn_constant *constant)
{
    atomic_fetch_add_explicit(&((counted_constant *)(void *)constant)->references, 1,
                              memory_order_relaxed);
    return constant;
}

void tn_constant_unref(tn_constant *constant)
{
    counted_constant *counted = (counted_constant *)(void *)constant;
    if (!constant || atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) != 1)
        return;
    if (counted->source) {
        pthread_mutex_destroy(&counted->lock);
        pthread_cond_destroy(&counted->gone);
    }
    tn_buffer_unref(counted->source);
    tn_buffer_unref(constant->buffer);
    tn_free(counted);
}

/* A block with the elements and, behind them, the bytes of strings. */
static tn_status copy_texts(const tn_text *texts, size_t count, tn_buffer **out)
{
    size_t bytes = count * sizeof *texts; /* was checked */
    for (size_t k = 0; k < count; k++) {
        if (!texts[k].bytes && texts[k].count)
            return tn_raise(TN_ERR_ARGUMENT, "text %zu of the tensor is NULL", k);
        if (!tn_size_add(bytes, texts[k].count, &bytes) || !tn_size_add(bytes, 1, &bytes))
            return tn_raise(TN_ERR_LIMIT, "the texts of the tensor do not fit memory");
    }
    TN_TRY(tn_buffer_create(bytes, out));
    tn_text *to = tn_buffer_bytes(*out);
    char *at = (char *)(to + count);
    for (size_t k = 0; k < count; k++) {
        to[k] = (tn_text){ at, texts[k].count };
        if (texts[k].count)
            memcpy(at, texts[k].bytes, texts[k].count);
        at += texts[k].count + 1;
    }
    return TN_OK;
}

/* From a mapping: what was copied leaves memory at once, so that there are never two of a weight. */
static void move_bytes(char *to, const char *from, size_t bytes, tn_buffer *source)
{
    enum { PIECE = 4 << 20 };
    for (size_t at = 0; at < bytes; at += PIECE) {
        const size_t count = bytes - at < PIECE ? bytes - at : PIECE;
        memcpy(to + at, from + at, count);
        if (source)
            tn_buffer_forget(source, from + at, count);
    }
}

static tn_status copy_data(counted_constant *to, const tn_tensor *tensor, size_t bytes,
                           tn_buffer *source)
{
    enum { WORTH = 64 * 1024 }; /* giving back */
    tn_buffer **out = &to->constant.buffer;
    if (tensor->dtype == TN_STRING)
        return copy_texts(tensor->data, bytes / sizeof(tn_text), out);
    const bool again = source && bytes >= WORTH;
    TN_TRY(again ? tn_buffer_create_pages(bytes, out) : tn_buffer_create_raw(bytes, out));
    move_bytes(tn_buffer_bytes(*out), tensor->data, bytes, source);
    if (!again)
        return TN_OK;
    pthread_mutex_init(&to->lock, NULL);
    pthread_cond_init(&to->gone, NULL);
    to->source = tn_buffer_ref(source);
    to->source_data = tensor->data;
    return TN_OK;
}

static bool lies_in(const tn_buffer *buffer, const void *start, const void *data, size_t bytes)
{
    const uintptr_t first = (uintptr_t)start, at = (uintptr_t)data;
    const size_t size = tn_buffer_size(buffer);
    return at >= first && at - first <= size && bytes <= size - (at - first);
}

static size_t alignment_of(uint32_t dtype)
{
    switch (dtype) { /* of the parts that are loaded as one */
    case TN_COMPLEX64: return 4;
    case TN_COMPLEX128:
    case TN_STRING: return 8;
    default: return tn_dtype_bits(dtype) < 8 ? 1 : tn_dtype_bits(dtype) / 8;
    }
}

tn_status tn_constant_create(const tn_tensor *tensor, tn_buffer *buffer, tn_constant **out)
{
    size_t bytes;
    TN_TRY(tn_tensor_check(tensor, &bytes));
    if (buffer && bytes && !lies_in(buffer, tn_buffer_bytes(buffer), tensor->data, bytes))
        return tn_raise(TN_ERR_ARGUMENT, "the tensor's data lies outside its buffer");
    counted_constant *counted = tn_alloc(1, sizeof *counted);
    if (!counted)
        return tn_raise_memory();
    tn_constant *constant = &counted->constant;
    const bool shared = buffer && bytes &&
                        (uintptr_t)tensor->data % alignment_of(tensor->dtype) == 0;
    if (shared) {
        constant->buffer = tn_buffer_ref(buffer);
    } else { /* also a mapped one that no kernel could read where it lies */
        const tn_status status = copy_data(counted, tensor, bytes, bytes ? buffer : NULL);
        if (status != TN_OK) {
            tn_free(counted);
            return status;
        }
    }
    for (int32_t k = 0; k < tensor->rank; k++)
        constant->dims[k] = tensor->dims[k];
    constant->tensor = (tn_tensor){
        .size = sizeof(tn_tensor),
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .dims = constant->dims,
        .data = shared ? tensor->data : tn_buffer_bytes(constant->buffer),
        .bytes = bytes,
    };
    constant->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    atomic_init(&counted->references, 1);
    *out = constant;
    return TN_OK;
}

void tn_constant_forget(tn_constant *constant)
{
    counted_constant *counted = (counted_constant *)(void *)constant;
    if (!counted->source) {
        if (constant->buffer)
            tn_buffer_forget(constant->buffer, constant->tensor.data, constant->tensor.bytes);
        return;
    }
    pthread_mutex_lock(&counted->lock);
    if (!counted->holds && !counted->dropped) {
        tn_buffer_drop(constant->buffer, constant->tensor.data, constant->tensor.bytes);
        counted->dropped = true;
    }
    pthread_mutex_unlock(&counted->lock);
}

/* ---- copies that may go ------------------------------------------------------------------- */

bool tn_constant_can_go(const tn_constant *constant)
{
    return ((const counted_constant *)(const void *)constant)->source != NULL;
}

void tn_constant_hold(tn_constant *constant)
{
    counted_constant *counted = (counted_constant *)(void *)constant;
    if (!counted->source)
        return;
    pthread_mutex_lock(&counted->lock);
    while (counted->going)
        pthread_cond_wait(&counted->gone, &counted->lock);
    counted->holds++;
    if (counted->dropped)
        move_bytes(tn_buffer_bytes(constant->buffer), counted->source_data, constant->tensor.bytes,
                   counted->source);
    counted->dropped = false;
    pthread_mutex_unlock(&counted->lock);
}

void tn_constant_let_go(tn_constant *constant)
{
    counted_constant *counted = (counted_constant *)(void *)constant;
    if (!counted->source)
        return;
    pthread_mutex_lock(&counted->lock);
    assert(counted->holds);
    counted->holds--;
    if (counted->going) {
        tn_buffer_drop(constant->buffer, constant->tensor.data, constant->tensor.bytes);
        counted->dropped = true;
        counted->going = false;
        pthread_cond_broadcast(&counted->gone);
    }
    pthread_mutex_unlock(&counted->lock);
}

void tn_constant_consume(tn_constant *constant, const void *data, size_t bytes)
{
    counted_constant *counted = (counted_constant *)(void *)constant;
    if (!counted->source) {
        if (constant->buffer)
            tn_buffer_forget(constant->buffer, data, bytes);
        return;
    }
    pthread_mutex_lock(&counted->lock);
    if (counted->holds == 1) {
        tn_buffer_drop(constant->buffer, data, bytes);
        counted->going = true;
    }
    pthread_mutex_unlock(&counted->lock);
}

tn_status tn_holds_add(tn_holds *holds, tn_constant *constant)
{
    if (!tn_constant_can_go(constant))
        return TN_OK;
    for (uint32_t k = 0; k < holds->count; k++)
        if (holds->items[k] == constant)
            return TN_OK;
    if (!TN_GROW(holds))
        return tn_raise_memory();
    tn_constant_hold(constant);
    holds->items[holds->count++] = tn_constant_ref(constant);
    return TN_OK;
}

void tn_holds_fini(tn_holds *holds)
{
    for (uint32_t k = 0; k < holds->count; k++) {
        if (!holds->items[k])
            continue;
        tn_constant_let_go(holds->items[k]);
        tn_constant_unref(holds->items[k]);
    }
    tn_free(holds->items);
    *holds = (tn_holds){ 0 };
}

void tn_holds_drop(tn_holds *holds, uint32_t k)
{
    tn_constant *constant = holds->items[k];
    holds->items[k] = NULL;
    if (!constant)
        return;
    tn_constant_let_go(constant);
    tn_constant_forget(constant);
    tn_constant_unref(constant);
}

/* ---- what readers of a graph were shown ----------------------------------------------------- */

/* A reader may keep the pointer that the view has: the contents stay until the graph lets go of all.
 * If memory is too short to remember that, they stay for good. */
void tn_graph_show(tn_graph *graph, tn_value *value)
{
    pthread_mutex_lock(&graph->show_lock);
    if (!value->is_shown && tn_holds_add(&graph->shown, value->constant) != TN_OK)
        tn_constant_hold(value->constant);
    atomic_store_explicit(&value->is_shown, true, memory_order_release);
    pthread_mutex_unlock(&graph->show_lock);
}

void tn_graph_let_go(tn_graph *graph)
{
    pthread_mutex_lock(&graph->show_lock);
    for (uint32_t slot = 0; slot < graph->values.count; slot++)
        if (graph->values.items[slot].object)
            ((tn_value *)graph->values.items[slot].object)->is_shown = false;
    tn_holds_fini(&graph->shown);
    pthread_mutex_unlock(&graph->show_lock);
}

/* ---- constants of a graph ----------------------------------------------------------------- */

/* Detaches the value from its node, which goes with its last output. */
static tn_status leave_producer(tn_graph *graph, tn_value *value)
{
    tn_node *node = tn_find_node(graph, value->view.producer);
    if (!node)
        return TN_OK;
    TN_TRY(tn_change_node_output(graph, node, value->view.producer_output));
    for (uint32_t k = 0; k < node->view.output_count; k++)
        if (node->outputs[k] != TN_NONE)
            return TN_OK;
    return tn_erase_node(graph, node);
}

static tn_status set_constant(tn_graph *graph, tn_value *value, tn_constant *constant)
{
    const tn_type type = tn_type_of_tensor(&constant->tensor);
    TN_TRY(leave_producer(graph, value));
    TN_TRY(tn_change_type(graph, value, &type));
    return tn_change_constant(graph, value, tn_constant_ref(constant));
}

tn_status tn_graph_set_constant(tn_graph *graph, tn_value_id id, tn_constant *constant)
{
    tn_value *value;
    TN_TRY(tn_need_value(graph, id, &value));
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, set_constant(graph, value, constant));
}

static tn_status new_constant(tn_graph *graph, tn_region_id region, const char *name,
                              tn_constant *constant, tn_value_id *out)
{
    tn_value_id id;
    if (name)
        TN_TRY(tn_graph_add_value(graph, region, name, NULL, &id));
    else {
        TN_TRY(tn_names_unique(graph, region, "constant", &name));
        TN_TRY(tn_graph_add_value(graph, region, name, NULL, &id));
    }
    TN_TRY(tn_graph_set_constant(graph, id, constant));
    *out = id;
    return TN_OK;
}

tn_status tn_graph_new_constant(tn_graph *graph, tn_region_id region, const char *name,
                                tn_constant *constant, tn_value_id *out)
{
    tn_region *place;
    TN_TRY(tn_need_region(graph, region, &place));
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, new_constant(graph, region, name, constant, out));
}

static tn_status put_constant(tn_graph *graph, const tn_constant_desc *desc, tn_constant *constant,
                              tn_value_id *out)
{
    tn_value *value;
    tn_value_id id = desc->value;
    const char *origin;
    TN_TRY(tn_intern_to(graph, desc->origin, &origin));
    if (!id || id == TN_NONE) {
        TN_TRY(tn_graph_new_constant(graph, desc->region, desc->name, constant, &id));
        TN_TRY(tn_need_value(graph, id, &value));
    } else {
        TN_TRY(tn_need_value(graph, id, &value));
        if (value->view.producer != TN_NONE)
            return tn_raise(TN_ERR_STATE, "'%s' is made by node '%s': it cannot be a constant",
                            value->view.name, tn_node_of(graph, value->view.producer)->view.name);
        if (value->type.dtype && value->type.dtype != constant->tensor.dtype)
            return tn_raise(TN_ERR_TYPE, "'%s' is declared as %s, but its contents are %s",
                            value->view.name, tn_dtype_name(value->type.dtype),
                            tn_dtype_name(constant->tensor.dtype));
        /* An input's declared type stays: a caller may set another shape. */
        if (!value->view.is_input) {
            const tn_type type = tn_type_of_tensor(&constant->tensor);
            TN_TRY(tn_change_type(graph, value, &type));
        }
        TN_TRY(tn_change_constant(graph, value, tn_constant_ref(constant)));
    }
    value->origin = origin;
    *out = id;
    return TN_OK;
}

tn_status tn_graph_add_constant(tn_graph *graph, const tn_constant_desc *desc, tn_value_id *out)
{
    tn_constant_desc own = { .value = TN_NONE };
    tn_constant *constant;
    if (!graph || !desc || !out)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    memcpy(&own, desc, desc->size && desc->size < sizeof own ? desc->size : sizeof own);
    TN_TRY(tn_constant_create(own.tensor, own.buffer, &constant));
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, put_constant(graph, &own, constant, out));
    tn_constant_unref(constant);
    return status;
}
