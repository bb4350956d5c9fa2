/* tools/run.c: `tenon run`: a model over inputs, its outputs as text and files.
 *
 * Pictures go through in batches; what the batches answer is joined along the first axis.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include "tenon/kernel.h"

#include <string.h>

/* Adds what a batch answered for output k. Elements of less than a byte cannot be joined so, nor
 * what has no axis for the batch. */
static int join(tool *t, const answers *a, size_t k, const tn_tensor *part, int64_t first,
                int64_t count, int64_t total)
{
    tn_tensor *all = (tn_tensor *)(uintptr_t)a->tensors[k];
    int64_t dims[TN_MAX_RANK];
    size_t bytes;
    if (tn_value_count(part) >= 0 || part->rank == 0 || part->dims[0] != count ||
        tn_dtype_bits(part->dtype) < 8 || part->dtype == TN_STRING)
        return bad(t, EXIT_BAD,
                   "output '%s' is %s in a batch of %lld, which cannot be joined: --batch %lld",
                   a->names[k], type_text(t, part), (long long)count, (long long)total);
    if (!all) {
        memcpy(dims, part->dims, (size_t)part->rank * sizeof *dims);
        dims[0] = total;
        all = array_make(t, part->dtype, part->rank, dims);
        if (!all)
            return EXIT_BAD;
        a->tensors[k] = all;
    }
    bytes = tn_dtype_bytes(part->dtype, tn_count(part));
    if (all->rank != part->rank || bytes / (size_t)count * (size_t)total != all->bytes)
        return bad(t, EXIT_BAD,
                   "output '%s' changes its shape from batch to batch; use --batch %lld",
                   a->names[k], (long long)total);
    if (bytes)
        memcpy((char *)all->data + all->bytes / (size_t)total * (size_t)first, part->data, bytes);
    return EXIT_FINE;
}

static int collect(tool *t, const answers *a, const inputs *in, int64_t first, int64_t count)
{
    for (size_t k = 0; k < a->count; k++) {
        const tn_tensor *part = tn_context_output(t->context, k);
        int code = EXIT_FINE;
        if (!part)
            return bad(t, EXIT_TROUBLE, "output '%s' has no value after the run", a->names[k]);
        if (in->pictures > count)
            code = join(t, a, k, part, first, count, in->pictures);
        else
            a->tensors[k] = part;
        if (code)
            return code;
    }
    return EXIT_FINE;
}

static int run_batches(tool *t, const inputs *in, const answers *a, double *seconds)
{
    const tn_run_options options = { .size = sizeof options, .seed = t->set.seed };
    const int64_t total = in->pictures ? in->pictures : 1, batch = in->pictures ? in->batch : 1;
    progress bar;
    int code = EXIT_FINE;
    progress_begin(&bar, "run", total);
    for (int64_t first = 0; !code && first < total; first += batch) {
        const int64_t count = first + batch < total ? batch : total - first;
        double begin;
        tn_status status;
        code = inputs_set(t, t->context, in, first, count);
        if (code)
            break;
        begin = now();
        status = tn_context_run(t->context, &options);
        *seconds += now() - begin;
        if (status)
            progress_end(&bar);
        code = status ? complain(t, status) : collect(t, a, in, first, count);
        progress_step(&bar, first + count);
    }
    progress_end(&bar);
    return code;
}

static void print_summary(tool *t, const inputs *in, double seconds, double begin)
{
    tn_session_stats stats = { .size = sizeof stats };
    const char *name = tn_graph_name(tn_model_graph(t->model), NULL);
    tn_session_get_stats(t->session, &stats);
    print_clean(stdout, name ? name : "", name ? strlen(name) : 0);
    printf("%s%llu node%s, %llu after the passes; %s; %u thread%s\n", name && *name ? ": " : "",
           (unsigned long long)stats.nodes_read, stats.nodes_read == 1 ? "" : "s",
           (unsigned long long)stats.nodes_left,
           t->set.backend ? t->set.backend : tn_runtime_default_backends(t->runtime), stats.threads,
           stats.threads == 1 ? "" : "s");
    if (in->pictures)
        printf("%lld picture%s in batches of %lld: %s (%s each), %s from load to last answer\n",
               (long long)in->pictures, in->pictures == 1 ? "" : "s", (long long)in->batch,
               time_text(t, seconds), time_text(t, seconds / (double)in->pictures),
               time_text(t, now() - begin));
    else
        printf("run %s, %s from load to last answer\n", time_text(t, seconds),
               time_text(t, now() - begin));
}

static int print_answers(tool *t, const inputs *in, const answers *a)
{
    int code = print_pictures(t, in, a), differs;
    if (!code)
        code = print_top(t, in, a);
    for (size_t k = 0; !code && !t->set.quiet && k < a->count; k++) {
        putchar('\n');
        print_clean(stdout, a->names[k], strlen(a->names[k]));
        printf("  %s\n", type_text(t, a->tensors[k]));
        print_tensor(stdout, a->tensors[k]);
    }
    if (!code && t->set.save)
        code = save_outputs(t, t->set.save, a);
    if (code)
        return code;
    if (t->set.truth || t->set.expect.count)
        putchar('\n');
    code = print_truth(t, a);
    differs = code ? code : print_expected(t, a);
    return differs;
}

int run_main(tool *t)
{
    const double begin = now();
    inputs in;
    answers a = { 0 };
    double seconds = 0;
    tn_status status;
    int code = open_runtime(t);
    if (!code)
        code = open_model(t, t->set.arguments.items[0]);
    if (!code)
        code = open_session(t, NULL, NULL, 0, NULL, &t->session);
    if (!code)
        code = inputs_read(t, t->session, t->set.random, &in);
    if (code)
        return code;
    status = tn_context_create(t->session, &t->context);
    if (status)
        return complain(t, status);
    a.count = output_count(t->session);
    a.names = keep_array(t, a.count, sizeof *a.names);
    a.tensors = keep_array(t, a.count, sizeof *a.tensors);
    for (size_t k = 0; k < a.count; k++)
        a.names[k] = tn_session_output(t->session, k)->name;
    code = run_batches(t, &in, &a, &seconds);
    if (code)
        return code;
    print_summary(t, &in, seconds, begin);
    return print_answers(t, &in, &a);
}
