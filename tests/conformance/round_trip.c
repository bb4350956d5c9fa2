/* tests/conformance/round_trip.c: the program `round_trip`: each of ONNX's test models goes to JSON,
 * from there to ONNX, and to JSON again. Both JSON files, and their weights, are equal.
 *
 *     round_trip [--only GLOB] [--folder DIR]…
 *
 * Without --folder: libonnx-testdata, and the folders in $TENON_ONNX_TESTS. Prints TAP. A model that
 * cannot be read is the conformance program's matter.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bytes {
    char *data; /* NULL: there is no such file */
    size_t count;
} bytes;

static bytes slurp(const char *path)
{
    bytes all = { NULL, 0 };
    FILE *file = fopen(path, "rb");
    char block[65536];
    size_t got;
    while (file && (got = fread(block, 1, sizeof block, file)) > 0) {
        all.data = realloc(all.data, all.count + got);
        if (!all.data)
            abort();
        memcpy(all.data + all.count, block, got);
        all.count += got;
    }
    if (file)
        fclose(file);
    return all;
}

/* ---- one model ------------------------------------------------------------------------------------ */

/* The three files lie in folders of their own, so that the names of weights are equal. */
typedef struct round {
    tn_runtime *runtime;
    char folders[3][64];
    char why[400];
} round_trip;

static const char *path_in(const round_trip *r, int k, const char *ending, char *path, size_t room)
{
    snprintf(path, room, "%s/model%s", r->folders[k], ending);
    return path;
}

static bool convert(round_trip *r, const char *from, const char *to)
{
    tn_model *model;
    if (tn_model_load(r->runtime, from, NULL, NULL, &model) != TN_OK) {
        snprintf(r->why, sizeof r->why, "%s", tn_error_message());
        return false;
    }
    const tn_status status = tn_model_save(model, to, NULL);
    if (status != TN_OK)
        snprintf(r->why, sizeof r->why, "%s", tn_error_message());
    tn_model_destroy(model);
    return status == TN_OK;
}

/* Says where they differ by what stands there. */
static bool same_files(round_trip *r, const char *ending)
{
    char path[128];
    const bytes a = slurp(path_in(r, 0, ending, path, sizeof path));
    const bytes b = slurp(path_in(r, 2, ending, path, sizeof path));
    const bool same = a.count == b.count && (!a.count || !memcmp(a.data, b.data, a.count));
    size_t at = 0;
    while (!same && at < a.count && at < b.count && a.data[at] == b.data[at])
        at++;
    if (!same) {
        const size_t before = at < 40 ? at : 40, left = a.count - at, there = b.count - at;
        snprintf(r->why, sizeof r->why, "model%s: ...%.*s| there, %.*s| back", ending,
                 (int)(before + (left < 80 ? left : 80)), a.data ? a.data + at - before : "",
                 (int)(there < 80 ? there : 80), b.data ? b.data + at : "");
        for (char *c = r->why; *c; c++)
            *c = *c == '\n' ? ' ' : *c;
    }
    free(a.data);
    free(b.data);
    return same;
}

static void remove_files(const round_trip *r)
{
    static const char *const endings[] = { ".json", ".safetensors", ".onnx", ".onnx.data" };
    char path[128];
    for (int k = 0; k < 3; k++)
        for (size_t j = 0; j < sizeof endings / sizeof *endings; j++)
            unlink(path_in(r, k, endings[j], path, sizeof path));
}

static bool goes_round(round_trip *r, const char *model)
{
    char there[128], onnx[128], back[128];
    path_in(r, 0, ".json", there, sizeof there);
    path_in(r, 1, ".onnx", onnx, sizeof onnx);
    path_in(r, 2, ".json", back, sizeof back);
    const bool good = convert(r, model, there) && convert(r, there, onnx) &&
                      convert(r, onnx, back) && same_files(r, ".json") &&
                      same_files(r, ".safetensors");
    remove_files(r);
    return good;
}

/* ---- all ------------------------------------------------------------------------------------------ */

static bool make_folders(round_trip *r, const char *base)
{
    bool good = true;
    for (int k = 0; k < 3; k++) {
        snprintf(r->folders[k], sizeof r->folders[k], "%s-%d-XXXXXX", base, k);
        good = good && mkdtemp(r->folders[k]);
    }
    return good;
}

int main(int argc, char **argv)
{
    settings set = { 0 };
    tests all = { NULL, 0, 0 };
    round_trip r = { 0 };
    size_t failed = 0;
    bool everything = true;
    for (int k = 1; k + 1 < argc; k += 2)
        if (!strcmp(argv[k], "--only"))
            set.only = argv[k + 1];
    for (int k = 1; k + 1 < argc; k += 2)
        if (!strcmp(argv[k], "--folder")) {
            list_folder(&all, argv[k + 1], &set);
            everything = false;
        }
    if (everything)
        list_data(&all, false, &set);
    if (!all.count) {
        printf("1..0 # SKIP no test data: install libonnx-testdata or set TENON_ONNX_TESTS\n");
        return 0;
    }
    if (!make_folders(&r, "/tmp/tenon-round-trip") ||
        tn_runtime_create(NULL, NULL, &r.runtime) != TN_OK) {
        fprintf(stderr, "round_trip: no folder in /tmp, or no plugins\n");
        return 2;
    }
    for (size_t k = 0; k < all.count; k++) {
        const bool good = goes_round(&r, all.items[k].model);
        printf("%sok %zu - %s%s%s\n", good ? "" : "not ", k + 1, all.items[k].name,
               good ? "" : ": ", good ? "" : r.why);
        failed += !good;
    }
    printf("1..%zu\n# %zu the same there and back, %zu not\n", all.count, all.count - failed,
           failed);
    for (int k = 0; k < 3; k++)
        rmdir(r.folders[k]);
    tn_runtime_destroy(r.runtime);
    list_free(&all);
    return failed ? 1 : 0;
}
