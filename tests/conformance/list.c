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

/* "body" runs what ONNX wrote out, "kernel" the operators that it wrote out. */
static bool wanted(const char *name, const char *folder, const settings *set)
{
    if (set->only && fnmatch(set->only, name, 0))
        return false;
    if (!set->expand)
        return true;
    bool is_body = false, has_body = false;
    for (size_t k = 0; k < EXPANDED_ENDS; k++) {
        char *sibling = join(folder, name, expanded_ends[k]);
        is_body |= ends_with(name, expanded_ends[k]);
        has_body |= access(sibling, F_OK) == 0;
        free(sibling);
    }
    return strcmp(set->expand, "body") ? has_body : is_body;
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
                 .debian = strstr(folder, "libonnx-testdata") != NULL };
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
