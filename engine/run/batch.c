/* A batch in pieces: the steps in front of a plan run piece after piece, on shares of the caller's
 * inputs, into shares of the value that leads on. Each thread draws pieces, which it runs alone, with an
 * activation of its own; threads meet once, at the end.
 *
 * In: an activation whose inputs are bound. Out: its cell of that value is filled.
 * SPDX-License-Identifier: MIT */
#include "engine/base/parallel.h"
#include "engine/run/run.h"

/* One run of all pieces. */
typedef struct job {
    tn_activation *whole;
    int64_t next;
    int32_t status;     /* the first error … */
    char message[1024]; /* … in its thread's words */
} job;

/* ---- life ------------------------------------------------------------------------------------------ */

static tn_status worker_init(tn_piece_worker *worker, tn_plan *plan)
{
    worker->inputs = tn_alloc(plan->input_count + 1, sizeof *worker->inputs);
    worker->shown = tn_alloc(plan->input_count + 1, sizeof *worker->shown);
    if (!worker->inputs || !worker->shown)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->input_count; k++)
        worker->shown[k] = &worker->inputs[k];
    return tn_activation_create(plan, &worker->run, &worker->activation);
}

static void worker_fini(tn_piece_worker *worker)
{
    tn_activation_destroy(worker->activation);
    tn_pool_fini(&worker->run.strings);
    tn_free(worker->inputs);
    tn_free(worker->shown);
}

tn_status tn_slicing_attach(tn_activation *a)
{
    const tn_slicing *batch = a->plan->batch;
    if (!batch)
        return TN_OK;
    const uint32_t count = batch->workers + (batch->rest != NULL);
    a->workers = tn_alloc(count, sizeof *a->workers);
    if (!a->workers)
        return tn_raise_memory();
    for (; a->worker_count < count; a->worker_count++) {
        tn_plan *plan = a->worker_count < batch->workers ? batch->plan : batch->rest;
        const tn_status status = worker_init(&a->workers[a->worker_count], plan);
        if (status != TN_OK) {
            worker_fini(&a->workers[a->worker_count]);
            return status;
        }
    }
    return TN_OK;
}

void tn_slicing_detach(tn_activation *a)
{
    for (uint32_t k = 0; k < a->worker_count; k++)
        worker_fini(&a->workers[k]);
    tn_free(a->workers);
}

/* ---- running --------------------------------------------------------------------------------------- */

static void begin(tn_piece_worker *worker, const tn_run_state *run)
{
    tn_pool_fini(&worker->run.strings); /* what the last run made */
    worker->run = *run;
    worker->run.strings = (tn_pool){ 0 };
}

/* Points a worker at piece `index` and runs its steps. */
static tn_status run_piece(tn_activation *whole, tn_piece_worker *worker, int64_t index)
{
    const tn_plan *plan = whole->plan;
    const tn_slicing *batch = plan->batch;
    const tn_tensor *filled = &whole->cells[batch->value].tensor;
    const size_t first = (size_t)(index * batch->piece);
    for (uint32_t k = 0; k < plan->input_count; k++) {
        worker->inputs[k] = whole->cells[plan->inputs[k]].tensor;
        if (batch->sliced[k])
            worker->inputs[k].data = (char *)worker->inputs[k].data +
                                     worker->inputs[k].bytes / (size_t)batch->samples * first;
    }
    worker->run.piece = (uint32_t)index + 1;
    worker->activation->output_memory[0] = (char *)filled->data +
                                           filled->bytes / (size_t)batch->samples * first;
    TN_TRY(tn_activation_bind(worker->activation, worker->shown, NULL));
    return tn_execute(worker->activation);
}

/* The last piece may be smaller: then it has a plan, and a worker, of its own. */
static tn_piece_worker *worker_for(const tn_activation *whole, uint32_t thread, int64_t index)
{
    const tn_slicing *batch = whole->plan->batch;
    return &whole->workers[batch->rest && index == batch->count - 1 ? batch->workers : thread];
}

/* One after the other; all threads are inside. */
static tn_status run_in_turn(tn_activation *whole)
{
    for (int64_t index = 0; index < whole->plan->batch->count; index++)
        TN_TRY(run_piece(whole, worker_for(whole, 0, index), index));
    return TN_OK;
}

/* Draws pieces until there are none, or one of them failed. */
static void draw_pieces(void *data)
{
    job *j = data;
    const int64_t count = j->whole->plan->batch->count;
    const uint32_t thread = (uint32_t)omp_get_thread_num();
    const int before = tn_threads_enter(1);
    while (__atomic_load_n(&j->status, __ATOMIC_RELAXED) == TN_OK) {
        const int64_t index = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED);
        int32_t none = TN_OK;
        if (index >= count)
            break;
        const tn_status status = run_piece(j->whole, worker_for(j->whole, thread, index), index);
        if (status != TN_OK &&
            __atomic_compare_exchange_n(&j->status, &none, (int32_t)status, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            strncpy(j->message, tn_error_message(), sizeof j->message - 1);
    }
    tn_threads_leave(before);
}

static tn_status run_side_by_side(tn_activation *whole)
{
    job j = { .whole = whole };
    tn_parallel(draw_pieces, &j, whole->plan->batch->workers);
    return j.status == TN_OK ? TN_OK : tn_raise((tn_status)j.status, "%s", j.message);
}

tn_status tn_slicing_run(tn_activation *whole)
{
    for (uint32_t k = 0; k < whole->worker_count; k++)
        begin(&whole->workers[k], whole->run);
    return whole->plan->batch->workers > 1 ? run_side_by_side(whole) : run_in_turn(whole);
}
