/* Memory: weights of a mapped file are there once, packed, and come again when they are wanted.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <stdio.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* 16 MiB of weights, which native packs; 4 MiB that the reference reads where they lie. */
#define NET                                                                                        \
    "{\"tenon\": 1, \"opset\": 21,"                                                                \
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [64, 2048]}],"             \
    " \"outputs\": [\"y\"],"                                                                       \
    " \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [2048, 2048],"                    \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 0.02, \"seed\": 1}}},"  \
    " \"nodes\": [{\"op\": \"MatMul\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"y\"]}]}"

enum { WEIGHT_KB = 16 << 10 };

/* AddressSanitizer keeps what was freed: peaks say nothing then. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* A model whose weights lie in a file. */
static void save_text(const char *text, const char *path)
{
    fixture f = open_text(text);
    OK(tn_model_save(f.model, path, NULL));
    close_fixture(&f);
}

static void save(const char *path)
{
    save_text(NET, path);
}

/* How many kB of the mapping of a file are in memory; -1: it is not mapped. */
static long resident_kb(const char *file)
{
    char line[4096];
    long found = -1, kb;
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert(maps);
    while (fgets(line, sizeof line, maps)) {
        if (strchr(line, '-') && strchr(line, ':') && strstr(line, " r"))
            inside = strstr(line, file) != NULL;
        if (inside && sscanf(line, "Rss: %ld kB", &kb) == 1)
            found = (found < 0 ? 0 : found) + kb;
    }
    fclose(maps);
    return found;
}

static float run(fixture *f, const char *backends, long *kb)
{
    static float x[64 * 2048];
    const int64_t dims[2] = { 64, 2048 };
    tn_session *session = make_session(f, backends, NULL, 1, 0);
    tn_context *context;
    OK(tn_context_create(session, &context));
    fill(x, 64 * 2048, 3);
    const tn_tensor in = floats(x, 2, dims);
    OK(tn_context_set_input(context, "x", &in));
    OK(tn_context_run(context, NULL));
    const float y = ((const float *)tn_context_output(context, 0)->data)[64 * 2048 - 1];
    *kb = resident_kb("memory.onnx");
    tn_context_destroy(context);
    tn_session_destroy(session);
    return y;
}

Test(memory, weights_that_were_packed_leave_their_mapping)
{
    char folder[] = "/tmp/tenon-memory-XXXXXX", command[64];
    long packed_kb, read_kb;
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    save("memory.onnx");
    fixture f = open_file("memory.onnx");
    const float packed = run(&f, "native,reference", &packed_kb);
    cr_assert_geq(packed_kb, 0, "the file is mapped");
    cr_assert_lt(packed_kb, WEIGHT_KB / 8, "%ld kB are in memory twice", packed_kb);
    const float read = run(&f, "reference", &read_kb); /* the same model: from the file again */
    cr_assert_gt(read_kb, WEIGHT_KB / 2, "%ld kB", read_kb);
    cr_assert_float_eq(packed, read, bound(2048, 0.1f));
    close_fixture(&f);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* The largest this process has been, in kB. */
static long peak_kb(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

#define FOLDED                                                                                     \
    "{\"tenon\": 1, \"opset\": 21,"                                                                \
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2048, 2048]}],"           \
    " \"outputs\": [\"y\"],"                                                                       \
    " \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [2048, 2048],"                    \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 0.02, \"seed\": 1}}},"  \
    " \"nodes\": [{\"op\": \"Transpose\", \"inputs\": [\"w\"], \"outputs\": [\"t\"],"              \
    "   \"attributes\": {\"perm\": [1, 0]}},"                                                      \
    "  {\"op\": \"Sub\", \"inputs\": [\"x\", \"t\"], \"outputs\": [\"y\"]}]}"

/* What folding computes becomes a constant where it lies: it is in memory once, not twice. */
Test(memory, a_folded_constant_is_not_copied, .disabled = SANITIZED)
{
    fixture f = open_text(FOLDED);
    const long before = peak_kb();
    tn_session *session = make_session(&f, "reference", NULL, 1, 0);
    const long grown = peak_kb() - before;
    cr_assert_gt(grown, WEIGHT_KB / 2, "the Transpose was not folded (%ld kB)", grown);
    cr_assert_lt(grown, WEIGHT_KB + WEIGHT_KB / 2, "%ld kB for %d of contents", grown, WEIGHT_KB);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* ---- weights at odd addresses ----------------------------------------------------------------- */

/* A product that native packs; a table that the reference reads in each run and that is an output, too;
 * a convolution whose packed form depends on how many pictures there are. */
#define ODD                                                                                        \
    "{\"tenon\": 1, \"opset\": 21,"                                                                \
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 64, 7, 7]}],"      \
    " \"outputs\": [\"y\", \"t\", \"table\"],"                                                     \
    " \"constants\": {\"k\": {\"dtype\": \"float32\", \"shape\": [64, 64, 3, 3],"                  \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 0.02, \"seed\": 1}},"   \
    "  \"w\": {\"dtype\": \"float32\", \"shape\": [3136, 64],"                                     \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 0.02, \"seed\": 2}},"   \
    "  \"rows\": {\"dtype\": \"int64\", \"shape\": [3], \"data\": [7, 0, 511]},"                   \
    "  \"table\": {\"dtype\": \"float32\", \"shape\": [512, 64],"                                  \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 1.0, \"seed\": 3}}},"   \
    " \"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"k\"], \"outputs\": [\"c\"],"            \
    "   \"attributes\": {\"pads\": [1, 1, 1, 1]}},"                                                \
    "  {\"op\": \"Flatten\", \"inputs\": [\"c\"], \"outputs\": [\"f\"]},"                          \
    "  {\"op\": \"MatMul\", \"inputs\": [\"f\", \"w\"], \"outputs\": [\"y\"]},"                    \
    "  {\"op\": \"Gather\", \"inputs\": [\"table\", \"rows\"], \"outputs\": [\"t\"]}]}"

/* The same model with all its bytes so far further on: a producer's name in front, which the file's
 * own then replaces. */
static void shift_file(const char *from, const char *to, uint8_t bytes)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    cr_assert(in && out && bytes >= 2);
    fputc(0x12, out);
    fputc(bytes - 2, out);
    for (int k = 2; k < bytes; k++)
        fputc('x', out);
    for (int c; (c = fgetc(in)) != EOF;)
        fputc(c, out);
    fclose(in);
    fclose(out);
}

typedef struct answers {
    float y[2 * 64], t[3 * 64], table[512 * 64];
} answers;

static void run_odd(tn_session *session, int64_t pictures, answers *out)
{
    static float x[2 * 3136];
    const int64_t dims[4] = { pictures, 64, 7, 7 };
    float *const to[] = { out->y, out->t, out->table };
    tn_context *context;
    OK(tn_context_create(session, &context));
    fill(x, sizeof x / sizeof *x, 3);
    const tn_tensor in = floats(x, 4, dims);
    OK(tn_context_set_input(context, "x", &in));
    OK(tn_context_run(context, NULL));
    for (size_t k = 0; k < 3; k++) {
        const tn_tensor *got = tn_context_output(context, k);
        memcpy(to[k], got->data, got->bytes);
    }
    tn_context_destroy(context);
}

static void run_all(const char *path, const char *backends, answers out[4])
{
    fixture f = open_file(path);
    tn_session *session = make_session(&f, backends, NULL, 1, 0);
    run_odd(session, 1, &out[0]);
    run_odd(session, 2, &out[1]); /* other packs of the same weights, which are gone by now */
    tn_session *second = make_session(&f, backends, NULL, 1, 0);
    tn_session_destroy(session);
    run_odd(second, 2, &out[2]);
    OK(tn_model_save(f.model, "again.onnx", NULL));
    tn_session_destroy(second);
    close_fixture(&f);
    f = open_file("again.onnx");
    session = make_session(&f, backends, NULL, 1, 0);
    run_odd(session, 2, &out[3]);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(memory, weights_at_odd_addresses_give_the_same_answers)
{
    static const char *const lists[] = { "native,reference", "reference" };
    static answers even[4], odd[4];
    char folder[] = "/tmp/tenon-memory-XXXXXX", command[64];
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    fixture f = open_text(ODD);
    OK(tn_model_save(f.model, "even.onnx", NULL));
    close_fixture(&f);
    for (size_t k = 0; k < 2; k++)
        for (uint8_t shift = 3; shift <= 5; shift++) {
            memset(even, 0, sizeof even);
            memset(odd, 0, sizeof odd);
            shift_file("even.onnx", "odd.onnx", shift);
            run_all("even.onnx", lists[k], even);
            run_all("odd.onnx", lists[k], odd);
            cr_expect_arr_eq(odd, even, sizeof even, "%s, %d bytes on", lists[k], shift);
        }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* What a process has in memory now, in kB. */
static long now_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "r");
    cr_assert(status);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld kB", &kb) == 1)
            break;
    fclose(status);
    return kb;
}

Test(memory, a_copy_of_weights_goes_once_it_is_packed, .disabled = SANITIZED)
{
    char folder[] = "/tmp/tenon-memory-XXXXXX", command[64];
    long kb;
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    save("memory.onnx");
    shift_file("memory.onnx", "odd-memory.onnx", 3);
    fixture f = open_file("odd-memory.onnx");
    const long before = now_kb();
    run(&f, "native,reference", &kb); /* its session and packs are gone when it returns */
    const long packed = now_kb();
    cr_expect_lt(packed, before - WEIGHT_KB / 2, "%ld kB before, %ld after", before, packed);
    run(&f, "reference", &kb);
    close_fixture(&f);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* The same, with columns that lie in one piece each, as most files have them; so many that they are
 * not to be halved into whole panels (matmul_seven.c). */
#define TURNED                                                                                     \
    "{\"tenon\": 1, \"opset\": 21,"                                                                \
    " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [64, 2048]}],"             \
    " \"outputs\": [\"y\"],"                                                                       \
    " \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [2056, 2048],"                    \
    "   \"random\": {\"distribution\": \"normal\", \"mean\": 0.0, \"std\": 0.02, \"seed\": 1}}},"  \
    " \"nodes\": [{\"op\": \"Gemm\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"y\"],"            \
    "   \"attributes\": {\"transB\": 1}}]}"

/* 16 MiB are never there twice: what has been packed goes while the rest is read. */
Test(memory, a_large_matrix_goes_while_it_is_packed, .disabled = SANITIZED)
{
    char folder[] = "/tmp/tenon-memory-XXXXXX", command[64];
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    const int child = fork(); /* whose peak is its own */
    if (child == 0) {
        save_text(TURNED, "memory.onnx");
        _exit(0); /* nothing of the test runner's is to end here */
    }
    cr_assert_eq(waitpid(child, NULL, 0), child);
    for (uint8_t shift = 3; shift <= 4; shift++) { /* a copy, and where the file has it */
        long kb;
        shift_file("memory.onnx", "shifted-memory.onnx", shift);
        const long before = now_kb();
        fixture f = open_file("shifted-memory.onnx");
        cr_expect(isfinite(run(&f, "native,reference", &kb)));
        close_fixture(&f);
        const long grown = peak_kb() - before;
        cr_expect_lt(grown, WEIGHT_KB + WEIGHT_KB * 5 / 8, "%ld kB, %d bytes on", grown, shift);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
