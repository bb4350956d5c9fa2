/* Memory: weights of a mapped file are there once, packed, and come again when they are wanted.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "support.h"

#include <stdio.h>

#include <sys/resource.h>
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
static void save(const char *path)
{
    fixture f = open_text(NET);
    OK(tn_model_save(f.model, path, NULL));
    close_fixture(&f);
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
