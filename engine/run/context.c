/* A context: inputs that the caller lends, runs, outputs.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"
#include "tenon/kernel.h"

#include <omp.h>
#include <unistd.h>

#define MAX_ACTIVATIONS 16

/* ---- life ------------------------------------------------------------------------------------------ */

static tn_status allocate(tn_context *c)
{
    const uint32_t inputs = c->session->input_count, outputs = c->session->output_count;
    c->inputs = tn_alloc(inputs + 1, sizeof *c->inputs);
    c->types = tn_alloc(inputs + 1, sizeof *c->types);
    c->last_types = tn_alloc(inputs + 1, sizeof *c->last_types);
    c->bound = tn_alloc(inputs + 1, sizeof *c->bound);
    c->objects = tn_alloc(inputs + 1, sizeof *c->objects);
    c->callers = tn_alloc(outputs + 1, sizeof *c->callers);
    c->outputs = tn_alloc(outputs + 1, sizeof *c->outputs);
    return c->inputs && c->types && c->last_types && c->bound && c->objects && c->callers &&
                   c->outputs
               ? TN_OK
               : tn_raise_memory();
}

tn_status tn_context_create(tn_session *session, tn_context **out)
{
    if (!session || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_context_create needs a session and a place for the context");
    tn_context *c = tn_alloc(1, sizeof *c);
    if (!c)
        return tn_raise_memory();
    c->session = tn_session_ref(session);
    pthread_mutex_init(&c->note_lock, NULL);
    const tn_status status = allocate(c);
    if (status != TN_OK) {
        tn_context_destroy(c);
        return status;
    }
    *out = c;
    return TN_OK;
}

static void release_objects(tn_context *c)
{
    for (uint32_t k = 0; c->objects && k < c->session->input_count; k++) {
        tn_object_unref(c->objects[k]);
        c->objects[k] = NULL;
    }
}

void tn_context_destroy(tn_context *c)
{
    if (!c)
        return;
    while (c->activations) {
        tn_activation *a = c->activations;
        c->activations = a->next;
        tn_activation_destroy(a);
    }
    release_objects(c);
    for (uint32_t k = 0; c->inputs && k < c->session->input_count; k++)
        tn_free(c->inputs[k].staging);
    tn_free(c->inputs);
    tn_free(c->types);
    tn_free(c->last_types);
    tn_free(c->bound);
    tn_free(c->objects);
    tn_free(c->callers);
    tn_free(c->outputs);
    tn_free(c->profile);
    pthread_mutex_destroy(&c->note_lock);
    tn_pool_fini(&c->run.strings);
    tn_session_destroy(c->session);
    tn_free(c);
}

/* ---- inputs and outputs ------------------------------------------------------------------------------- */

static tn_status find_input(const tn_session *session, const char *name, uint32_t *out)
{
    const char *names[64] = { NULL };
    uint32_t count = 0;
    for (uint32_t k = 0; k < session->input_count; k++) {
        if (strcmp(session->inputs[k].name, name) == 0) {
            *out = k;
            return TN_OK;
        }
        if (count < TN_COUNT(names))
            names[count++] = session->inputs[k].name;
    }
    const char *near = tn_nearest(name, names, count);
    return near ? tn_raise(TN_ERR_NAME, "the graph has no input '%s'; did you mean '%s'?", name,
                           near)
                : tn_raise(TN_ERR_NAME, "the graph has no input '%s'; its first is '%s'", name,
                           count ? names[0] : "");
}

static tn_status wrong_shape(const tn_port *port, const tn_tensor *tensor)
{
    const tn_type type = tn_type_of_tensor(tensor);
    tn_builder text = { 0 };
    tn_add_shape(&text, NULL, type.rank, type.dims);
    const tn_status status = tn_raise(TN_ERR_SHAPE, "input '%s' is given as %s, but is declared %s",
                                      port->name, tn_builder_text(&text), port->shape);
    tn_builder_fini(&text);
    return status;
}

/* Every tensor inside fits what is declared of them: later nobody asks again. */
static tn_status check_elements(const tn_port *port, const tn_tensor *value)
{
    for (int64_t k = 0; k < tn_value_count(value); k++)
        TN_TRY(check_elements(port, tn_value_get(value, k)));
    if (value->kind)
        return TN_OK;
    if (value->dtype != port->type.dtype && port->type.dtype != TN_UNDEFINED)
        return tn_raise(TN_ERR_TYPE, "input '%s' holds %s, but is declared to hold %s", port->name,
                        tn_dtype_name(value->dtype), tn_dtype_name(port->type.dtype));
    bool fits = port->type.rank < 0 || port->type.rank == value->rank;
    for (int32_t axis = 0; fits && port->type.rank > 0 && axis < value->rank; axis++)
        fits = !tn_dim_known(port->type.dims[axis]) || port->type.dims[axis] == value->dims[axis];
    return fits ? TN_OK : wrong_shape(port, value);
}

/* Against the declared type: what it leaves open is checked when plans are made. */
static tn_status check_tensor(const tn_port *port, const tn_tensor *tensor)
{
    size_t bytes;
    if (tensor->kind != port->type.kind)
        return tn_raise(TN_ERR_TYPE, "input '%s' is given as kind %u, but is declared as kind %u",
                        port->name, tensor->kind, port->type.kind);
    if (tensor->kind)
        return check_elements(port, tensor);
    if (tensor->dtype != port->type.dtype && port->type.dtype != TN_UNDEFINED)
        return tn_raise(TN_ERR_TYPE, "input '%s' is given as %s, but is declared %s", port->name,
                        tn_dtype_name(tensor->dtype), tn_dtype_name(port->type.dtype));
    if (tensor->rank < 0 || tensor->rank > TN_MAX_RANK || (tensor->rank && !tensor->dims))
        return tn_raise(TN_ERR_ARGUMENT, "input '%s' has rank %d, or no extents", port->name,
                        tensor->rank);
    if (port->type.rank >= 0 && port->type.rank != tensor->rank)
        return wrong_shape(port, tensor);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        if (tensor->dims[axis] < 0 ||
            (port->type.rank >= 0 && tn_dim_known(port->type.dims[axis]) &&
             port->type.dims[axis] != tensor->dims[axis]))
            return wrong_shape(port, tensor);
    TN_TRY(tn_shape_bytes(tensor->dtype, tensor->rank, tensor->dims, &bytes));
    if (!tensor->strides && tensor->bytes < bytes)
        return tn_raise(TN_ERR_ARGUMENT, "input '%s' has %zu bytes, its shape takes %zu",
                        port->name, tensor->bytes, bytes);
    if (bytes && !tensor->data)
        return tn_raise(TN_ERR_ARGUMENT, "input '%s' has no data", port->name);
    if (tensor->strides && tn_dtype_bits(tensor->dtype) < 8)
        return tn_raise(TN_ERR_TYPE, "input '%s': packed elements have no strides", port->name);
    return TN_OK;
}

tn_status tn_context_set_input(tn_context *c, const char *name, const tn_tensor *tensor)
{
    uint32_t k;
    if (!c || !name)
        return tn_raise(TN_ERR_ARGUMENT, "tn_context_set_input needs a context and a name");
    TN_TRY(find_input(c->session, name, &k));
    tn_input_slot *slot = &c->inputs[k];
    if (!tensor) {
        slot->set = false;
        return TN_OK;
    }
    TN_TRY(check_tensor(&c->session->inputs[k], tensor));
    slot->tensor = *tensor;
    slot->tensor.size = sizeof slot->tensor;
    slot->set = true;
    if (tensor->kind)
        return TN_OK;
    if (tensor->rank)
        memcpy(slot->dims, tensor->dims, (size_t)tensor->rank * sizeof *slot->dims);
    if (tensor->rank && tensor->strides)
        memcpy(slot->strides, tensor->strides, (size_t)tensor->rank * sizeof *slot->strides);
    slot->tensor.dims = slot->dims;
    slot->tensor.strides = tensor->strides ? slot->strides : NULL;
    return TN_OK;
}

tn_status tn_context_set_output(tn_context *c, size_t k, const tn_tensor *tensor)
{
    if (!c || k >= c->session->output_count)
        return tn_raise(TN_ERR_ARGUMENT, "output %zu does not exist", k);
    if (tensor && (tensor->kind || tensor->strides || !tensor->data))
        return tn_raise(TN_ERR_ARGUMENT, "output %zu needs dense, plain memory", k);
    c->callers[k] = tensor ? *tensor : (tn_tensor){ 0 };
    return TN_OK;
}

/* Element by element, from wherever the caller's strides lead. */
static void gather(const tn_input_slot *slot, size_t bytes)
{
    const size_t element = tn_dtype_bytes(slot->tensor.dtype, 1);
    int64_t index[TN_MAX_RANK] = { 0 }, strides[1][TN_MAX_RANK], offset[1] = { 0 };
    char *to = slot->staging;
    memcpy(strides[0], slot->strides, sizeof strides[0]);
    for (bool more = bytes > 0; more; to += element) {
        memcpy(to, (const char *)slot->tensor.data + offset[0] * (int64_t)element, element);
        more = tn_next(slot->tensor.rank, slot->dims, index, 1,
                       (const int64_t(*)[TN_MAX_RANK])strides, offset);
    }
}

/* What kernels see of an input: the caller's memory, or, where that is strided or not aligned to
 * its element, a dense copy. */
static tn_status stage(tn_input_slot *slot)
{
    const size_t element = tn_dtype_bytes(slot->tensor.dtype, 1), align = element > 8 ? 8 : element;
    size_t bytes;
    slot->shown = slot->tensor;
    if (!slot->tensor.strides && (uintptr_t)slot->tensor.data % align == 0)
        return TN_OK;
    TN_TRY(tn_shape_bytes(slot->tensor.dtype, slot->tensor.rank, slot->dims, &bytes));
    if (bytes > slot->staging_bytes) {
        tn_free(slot->staging);
        slot->staging_bytes = 0;
        slot->staging = tn_alloc_aligned(bytes, 64);
        if (!slot->staging)
            return tn_raise_memory();
        slot->staging_bytes = bytes;
    }
    if (slot->tensor.strides)
        gather(slot, bytes);
    else
        memcpy(slot->staging, slot->tensor.data, bytes);
    slot->shown.data = slot->staging;
    slot->shown.strides = NULL;
    return TN_OK;
}

static tn_status gather_input(tn_context *c, uint32_t k)
{
    const tn_session *session = c->session;
    tn_input_slot *slot = &c->inputs[k];
    if (!slot->set) {
        const tn_value_id *ids;
        tn_graph_region_inputs(session->graph, TN_TOP_REGION, &ids);
        c->bound[k] = tn_graph_value(session->graph, ids[k])->constant;
        if (!c->bound[k])
            return tn_raise(TN_ERR_ARGUMENT, "input '%s' is not set", session->inputs[k].name);
        c->types[k] = tn_type_of_tensor(c->bound[k]);
        return TN_OK;
    }
    if (slot->tensor.kind) {
        c->types[k] = session->inputs[k].type;
        for (int32_t axis = 0; axis < c->types[k].rank; axis++)
            if (!tn_dim_known(c->types[k].dims[axis])) /* each element may have another */
                c->types[k].dims[axis] = TN_DIM_UNKNOWN;
        TN_TRY(tn_object_copy(&slot->tensor, &c->objects[k]));
        c->bound[k] = &c->objects[k]->tensor;
        return TN_OK;
    }
    c->types[k] = tn_type_of_tensor(&slot->tensor);
    c->bound[k] = &slot->shown;
    return stage(slot);
}

/* ---- the run -------------------------------------------------------------------------------------------- */

tn_status tn_context_activation(tn_context *c, tn_plan *plan, tn_activation **out)
{
    uint32_t count = 0;
    for (tn_activation **link = &c->activations; *link; link = &(*link)->next) {
        tn_activation *a = *link;
        if (a->plan != plan || a->busy || a->held)
            continue;
        *link = a->next;
        a->next = c->activations;
        c->activations = *out = a;
        return TN_OK;
    }
    TN_TRY(tn_activation_create(plan, &c->run, out));
    (*out)->next = c->activations;
    c->activations = *out;
    for (tn_activation **link = &c->activations; *link;) {
        tn_activation *a = *link;
        if (++count <= MAX_ACTIVATIONS || a->busy || a->held || a == *out) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        if (c->current == a)
            c->current = NULL;
        tn_activation_destroy(a);
    }
    return TN_OK;
}

static bool same_types(const tn_context *c)
{
    for (uint32_t k = 0; k < c->session->input_count; k++)
        if (!tn_type_same_shape(&c->types[k], &c->last_types[k]))
            return false;
    return true;
}

/* The activation for these input types: the last one when they are the same. */
static tn_status choose(tn_context *c, const tn_compile *compile)
{
    tn_session *session = c->session;
    tn_plan *plan;
    if (c->current && c->current->plan->compile == compile && same_types(c))
        return TN_OK;
    c->current = NULL;
    TN_TRY(tn_session_check(session, c->types));
    TN_TRY(tn_plan_table_get(&session->table, compile, TN_TOP_REGION, c->types,
                             session->input_count, NULL, &plan));
    const tn_status status = tn_context_activation(c, plan, &c->current);
    tn_plan_unref(plan);
    if (status == TN_OK && session->input_count)
        memcpy(c->last_types, c->types, session->input_count * sizeof *c->types);
    return status;
}

/* Output k goes into the caller's memory when that was lent, else into the activation's own. */
static tn_status point_output(tn_context *c, tn_activation *a, uint32_t k, void **own)
{
    const tn_plan_value *value = &a->plan->values[a->plan->outputs[k]];
    const tn_tensor *lent = &c->callers[k];
    *own = a->output_memory[k];
    if (!lent->data)
        return TN_OK;
    if (value->place != TN_PLACE_OUTPUT)
        return tn_raise(TN_ERR_STATE,
                        "output '%s' has a size that only running tells: it cannot be lent memory",
                        c->session->outputs[k].name);
    if (lent->dtype != value->type->dtype || lent->rank != value->type->rank ||
        lent->bytes < value->bytes ||
        (lent->rank &&
         memcmp(lent->dims, value->type->dims, (size_t)lent->rank * sizeof *lent->dims) != 0)) {
        tn_builder text = { 0 };
        tn_add_type(&text, NULL, value->type);
        const tn_status status = tn_raise(
            TN_ERR_SHAPE, "output '%s' is %s, the memory lent for it is another type or size",
            c->session->outputs[k].name, tn_builder_text(&text));
        tn_builder_fini(&text);
        return status;
    }
    a->output_memory[k] = lent->data;
    return TN_OK;
}

static void show_outputs(tn_context *c, const tn_activation *a)
{
    for (uint32_t k = 0; k < a->plan->output_count; k++) {
        const tn_cell *cell = &a->cells[a->plan->outputs[k]];
        c->outputs[k] = cell->object ? cell->object->tensor : cell->tensor;
    }
    c->done = true;
}

static tn_status run_activation(tn_context *c, tn_activation *a)
{
    void *own[64], **kept = a->plan->output_count <= TN_COUNT(own)
                                ? own
                                : tn_alloc(a->plan->output_count, sizeof *kept);
    tn_status status = kept ? TN_OK : tn_raise_memory();
    uint32_t pointed = 0;
    for (; status == TN_OK && pointed < a->plan->output_count; pointed++)
        status = point_output(c, a, pointed, &kept[pointed]);
    a->busy = true;
    if (status == TN_OK)
        status = tn_activation_bind(a, c->bound, c->objects);
    if (status == TN_OK)
        status = tn_execute(a);
    if (status == TN_OK)
        show_outputs(c, a);
    a->busy = false;
    for (uint32_t k = 0; kept && k < pointed; k++)
        a->output_memory[k] = kept[k];
    if (kept != own)
        tn_free(kept);
    return status;
}

/* More runs at once than the threads were divided among wait for each other. */
static void enter(tn_session *session)
{
    if (session->compile.threads == 1 && session->max_runs == 1)
        return;
    pthread_mutex_lock(&session->run_lock);
    while (session->runs >= session->max_runs)
        pthread_cond_wait(&session->run_done, &session->run_lock);
    session->runs++;
    pthread_mutex_unlock(&session->run_lock);
}

static void leave(tn_session *session)
{
    if (session->compile.threads == 1 && session->max_runs == 1)
        return;
    pthread_mutex_lock(&session->run_lock);
    session->runs--;
    pthread_cond_signal(&session->run_done);
    pthread_mutex_unlock(&session->run_lock);
}

static void start(tn_context *c, const tn_run_options *options)
{
    tn_run_state *run = &c->run;
    run->session = c->session;
    run->context = c;
    run->start = tn_now();
    run->seed = options && TN_HAS(options, seed) ? options->seed : 0;
    run->profile = options && TN_HAS(options, profile) && options->profile;
    run->deadline = options && TN_HAS(options, deadline_ns) && options->deadline_ns
                        ? run->start + options->deadline_ns
                        : 0;
    run->cancel = options && TN_HAS(options, cancel) ? options->cancel : NULL;
    run->stopped = 0;
    c->profile_count = 0;
    c->done = false;
}

static tn_status run_all(tn_context *c)
{
    tn_session *session = c->session;
    const tn_compile *compile = omp_in_parallel() ? &session->single : &session->compile;
    for (uint32_t k = 0; k < session->input_count; k++)
        TN_TRY(gather_input(c, k));
    TN_TRY(choose(c, compile));
    return run_activation(c, c->current);
}

/* Pieces in their order, then what ran once. */
static int piece_after_piece(const void *a, const void *b)
{
    const tn_profile_step *x = a, *y = b;
    const uint32_t of_x = x->piece - 1, of_y = y->piece - 1; /* 0 comes last */
    if (of_x != of_y)
        return of_x < of_y ? -1 : 1;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* Threads that ran pieces side by side wrote as they came. */
static void order_notes(tn_context *c)
{
    const tn_slicing *batch = c->current ? c->current->plan->batch : NULL;
    if (batch && batch->workers > 1 && c->profile_count)
        qsort(c->profile, c->profile_count, sizeof *c->profile, piece_after_piece);
}

tn_status tn_context_run(tn_context *c, const tn_run_options *options)
{
    if (!c)
        return tn_raise(TN_ERR_ARGUMENT, "tn_context_run needs a context");
    if (c->session->compile.threads > 1 && c->session->pid != (int)getpid())
        return tn_raise(
            TN_ERR_FORKED,
            "the session has %u threads and was made before the fork: make a new one in the child",
            c->session->compile.threads);
    const uint64_t before = tn_allocation_count();
    enter(c->session);
    start(c, options);
    for (tn_activation *a = c->activations; a; a = a->next)
        tn_activation_clear(a); /* what the last run gave out */
    release_objects(c);
    tn_pool_fini(&c->run.strings);
    c->run.strings = (tn_pool){ 0 };
    const int threads = tn_threads_enter(omp_in_parallel() ? 1 : c->session->compile.threads);
    tn_diagnostics_begin(NULL);
    const tn_status status = tn_diagnostics_end(NULL, run_all(c));
    tn_threads_leave(threads);
    leave(c->session);
    order_notes(c);
    c->allocations = tn_allocation_count() - before;
    return status;
}

const tn_tensor *tn_context_output(const tn_context *c, size_t k)
{
    return c && c->done && k < c->session->output_count ? &c->outputs[k] : NULL;
}

/* ---- profile and figures ------------------------------------------------------------------------------------ */

static void add_note(tn_context *c, const tn_profile_step *note)
{
    struct {
        tn_profile_step *items;
        uint32_t count, capacity;
    } list = { c->profile, (uint32_t)c->profile_count, (uint32_t)c->profile_capacity };
    if (!TN_GROW(&list))
        return;
    c->profile = list.items;
    c->profile_capacity = list.capacity;
    c->profile[c->profile_count++] = *note;
}

void tn_context_note(const tn_run_state *run, const tn_plan_step *step, uint64_t from, uint64_t to)
{
    const bool idle = step->kind == TN_STEP_VIEW ||
                      (step->kind == TN_STEP_PIECES && !step->copy_count);
    const tn_profile_step note = {
        .size = sizeof note,
        .piece = run->piece,
        .name = step->view ? step->view->name : "",
        .op = step->view ? step->view->op : "copy",
        .backend = step->kernel ? step->kernel->def.backend : "",
        .algorithm = step->alternatives[step->chosen].algorithm
                         ? step->alternatives[step->chosen].algorithm
                     : step->algorithm ? step->algorithm
                                       : "",
        .start_ns = from - run->start,
        .ns = to - from,
    };
    if (idle)
        return;
    pthread_mutex_lock(&run->context->note_lock);
    add_note(run->context, &note);
    pthread_mutex_unlock(&run->context->note_lock);
}

const tn_profile_step *tn_context_profile(const tn_context *c, size_t k)
{
    return c && k < c->profile_count ? &c->profile[k] : NULL;
}

static void add_memory(tn_context_stats *stats, const tn_activation *a)
{
    stats->arena_bytes += a->plan->arena_bytes;
    stats->slot_bytes += a->plan->slot_bytes;
    for (uint32_t v = 0; v < a->plan->value_count; v++)
        if (a->cells[v].object)
            stats->late_bytes += a->cells[v].object->tensor.bytes;
    for (uint32_t k = 0; k < a->worker_count; k++)
        add_memory(stats, a->workers[k].activation);
}

void tn_context_get_stats(const tn_context *c, tn_context_stats *out)
{
    tn_context_stats stats = { .size = sizeof stats, .allocations = c->allocations };
    for (const tn_activation *a = c->activations; a; a = a->next)
        add_memory(&stats, a);
    for (size_t k = 0; k < c->profile_count; k++)
        if (c->profile[k].ns > stats.longest_step_ns)
            stats.longest_step_ns = c->profile[k].ns;
    memcpy(out, &stats, out->size && out->size < sizeof stats ? out->size : sizeof stats);
}
