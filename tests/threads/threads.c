/* tests/threads/threads.c: one session in many threads, many sessions of one model, plans made by
 * several at once. A plain program, for ThreadSanitizer, under which Criterion does not live.
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/tenon.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, RUNS = 6, SIZES = 3, PIXELS = 28 * 28 };

static tn_runtime *runtime;
static tn_model *model;
static tn_session *shared;
static float pictures[SIZES * PIXELS], right[SIZES][SIZES * 10];
static int failures;

static void fail(const char *what)
{
    __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "FAILED  %s: %s\n", what, tn_error_message());
}

static tn_session *make_session(void)
{
    tn_session *session = NULL;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = getenv("TENON_TEST_BACKENDS") };
    if (tn_session_create(model, &options, NULL, &session) != TN_OK)
        fail("session");
    return session;
}

/* Batches of 1 to SIZES pictures, in an order of the thread's own. */
static void run(tn_session *session, int seed, float (*store)[SIZES * 10])
{
    tn_context *context = NULL;
    if (!session || tn_context_create(session, &context) != TN_OK) {
        fail("context");
        return;
    }
    for (int k = 0; k < (store ? SIZES : RUNS); k++) {
        const int batch = 1 + (k + seed) % SIZES;
        const int64_t dims[4] = { batch, 1, 28, 28 };
        const tn_tensor x = { .size = sizeof x,
                              .dtype = TN_FLOAT32,
                              .rank = 4,
                              .dims = dims,
                              .data = pictures,
                              .bytes = (size_t)batch * PIXELS * sizeof(float) };
        if (tn_context_set_input(context, "image", &x) != TN_OK ||
            tn_context_run(context, NULL) != TN_OK) {
            fail("run");
            continue;
        }
        const tn_tensor *y = tn_context_output(context, 0);
        if (store)
            memcpy(store[batch - 1], y->data, y->bytes);
        else if (memcmp(right[batch - 1], y->data, y->bytes) != 0)
            fail("another answer than alone");
    }
    tn_context_destroy(context);
}

static void *use_shared(void *seed)
{
    run(shared, (int)(intptr_t)seed, NULL);
    return NULL;
}

static void *use_own(void *seed)
{
    tn_session *session = make_session();
    run(session, (int)(intptr_t)seed, NULL);
    tn_session_destroy(session);
    return NULL;
}

/* Half of the threads open all backends, half read what is known of plugins meanwhile. */
static void *open_and_read(void *number)
{
    const tn_plugin_info *info;
    static const char *const names[] = { "reference", "native", "openblas", "onednn" };
    if (!*tn_runtime_default_backends(runtime))
        fail("no backend");
    for (size_t k = 0; (intptr_t)number % 2 == 0 && k < sizeof names / sizeof *names; k++)
        (void)tn_runtime_open_backend(runtime,
                                      names[k]); /* which there are is the build's choice */
    for (int round = 0; round < 50; round++)
        for (size_t k = 0; (info = tn_runtime_plugin(runtime, k)); k++)
            if (!info->name || !info->message || strlen(info->file) == 0)
                fail("a plugin without a file");
    return NULL;
}

static void together(void *(*work)(void *))
{
    pthread_t threads[THREADS];
    for (intptr_t k = 0; k < THREADS; k++)
        if (pthread_create(&threads[k], NULL, work, (void *)k) != 0)
            abort();
    for (int k = 0; k < THREADS; k++)
        pthread_join(threads[k], NULL);
}

/* Packed weights of one session, and of eight at once: the same bytes. */
static void check_packs(void)
{
    tn_session *sessions[THREADS];
    tn_session_stats one = { .size = sizeof one }, all = { .size = sizeof all };
    for (int k = 0; k < THREADS; k++) {
        sessions[k] = make_session();
        if (!sessions[k] || tn_session_warm(sessions[k], NULL, 0, NULL) != TN_OK)
            fail("warm");
        if (sessions[k])
            tn_session_get_stats(sessions[k], k ? &all : &one);
    }
    if (one.pack_bytes != all.pack_bytes)
        fail("eight sessions hold more packed weights than one");
    printf("packed weights of one session %llu bytes, of eight %llu\n",
           (unsigned long long)one.pack_bytes, (unsigned long long)all.pack_bytes);
    for (int k = 0; k < THREADS; k++)
        tn_session_destroy(sessions[k]);
}

int main(void)
{
    char path[512];
    for (int k = 0; k < SIZES * PIXELS; k++)
        pictures[k] = (float)(k * 37 % 251) / 251.0f;
    snprintf(path, sizeof path, "%s/graphs/fashion-lenet.json", getenv("TENON_SOURCE"));
    if (tn_runtime_create(NULL, NULL, &runtime) != TN_OK ||
        tn_model_load(runtime, path, NULL, NULL, &model) != TN_OK) {
        fail("load");
        return 1;
    }
    together(open_and_read);
    shared = make_session();
    run(shared, 0, right);
    tn_session_destroy(shared);
    shared = make_session(); /* a new one: its plans are made by all threads at once */
    together(use_shared);
    together(use_own);
    tn_session_destroy(shared);
    check_packs();
    tn_model_destroy(model);
    tn_runtime_destroy(runtime);
    printf("%s\n", failures ? "FAILED" : "ok");
    return failures != 0;
}
