/* tests/conformance/list.c: finding tests.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* a, '/', b, and what comes behind. */
static char *join(const char *a, const char *b, const char *behind)
{
    const size_t room = strlen(a) + strlen(b) + strlen(behind) + 2;
    char *text = malloc(room);
    if (!text)
        abort();
    snprintf(text, room, "%s/%s%s", a, b, behind);
    return text;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Where an operator has several bodies, the name goes on: "test_relu_expanded_ver18". */
static const char *const expanded_ends[] = { "_expanded", "_expanded_ver18", "_expanded_ver26" };
enum { EXPANDED_ENDS = sizeof expanded_ends / sizeof *expanded_ends };

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool is_expanded(const char *name)
{
    for (size_t k = 0; k < EXPANDED_ENDS; k++)
        if (ends_with(name, expanded_ends[k]))
            return true;
    return false;
}

static bool has_expanded(const char *name, const char *folder)
{
    bool found = false;
    for (size_t k = 0; k < EXPANDED_ENDS; k++) {
        char *sibling = join(folder, name, expanded_ends[k]);
        found |= access(sibling, F_OK) == 0;
        free(sibling);
    }
    return found;
}

/* "body" runs what ONNX wrote out, "kernel" the operators that it wrote out. */
static bool wanted(const char *name, const char *folder, const settings *set)
{
    if (set->only && fnmatch(set->only, name, 0))
        return false;
    if (!set->expand)
        return true;
    return strcmp(set->expand, "body") ? has_expanded(name, folder) : is_expanded(name);
}

static void add(tests *all, const char *folder, const char *entry, bool light)
{
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 256;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        if (!all->items)
            abort();
    }
    char *path = join(folder, entry, "");
    test *t = &all->items[all->count++];
    *t = (test){ .name = join(base(folder), entry, ""),
                 .debian = strstr(folder, "libonnx-testdata") != NULL,
                 .written_out = has_expanded(entry, folder) };
    if (light) {
        t->model = path;
        t->name[strlen(t->name) - strlen(".onnx")] = '\0';
        return;
    }
    t->model = join(path, "model.onnx", "");
    t->data = join(path, "test_data_set_0", "");
    free(path);
}

void list_free(tests *all)
{
    for (size_t k = 0; k < all->count; k++) {
        free(all->items[k].name);
        free(all->items[k].model);
        free(all->items[k].data);
    }
    free(all->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const test *)a)->name, ((const test *)b)->name);
}

void list_folder(tests *all, const char *folder, const settings *set)
{
    const size_t before = all->count;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        const bool light = ends_with(name, ".onnx");
        char *model = join(folder, name, "/model.onnx");
        if (*name != '.' && wanted(name, folder, set) && (light || access(model, F_OK) == 0))
            add(all, folder, name, light);
        free(model);
    }
    if (dir)
        closedir(dir);
    if (all->count > before)
        qsort(all->items + before, all->count - before, sizeof *all->items, by_name);
}

void list_data(tests *all, bool light, const settings *set)
{
    static const char *const kinds[] = { "node", "simple", "pytorch-converted", "pytorch-operator",
                                         "light" };
    const size_t count = sizeof kinds / sizeof *kinds - !light;
    const char *roots[] = { "/usr/share/libonnx-testdata/data", getenv("TENON_ONNX_TESTS") };
    for (size_t r = 0; r < sizeof roots / sizeof *roots; r++)
        for (size_t k = 0; roots[r] && *roots[r] && k < count; k++) {
            char *folder = join(roots[r], kinds[k], "");
            list_folder(all, folder, set);
            free(folder);
        }
}
