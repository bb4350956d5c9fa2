/* tools/tool.c: what every subcommand stands on: memory, complaints, whole files, time.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- memory --------------------------------------------------------------------------------- */

struct piece {
    struct piece *next;
    void *data;
};

void *keep(tool *t, size_t bytes)
{
    struct piece *piece = malloc(sizeof *piece);
    void *data = calloc(1, bytes ? bytes : 1);
    if (!piece || !data) {
        fprintf(stderr, "tenon: no memory for %zu bytes\n", bytes);
        exit(EXIT_TROUBLE);
    }
    piece->data = data;
    piece->next = t->pool;
    t->pool = piece;
    return data;
}

void *keep_array(tool *t, size_t count, size_t each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, each, &bytes))
        bytes = SIZE_MAX; /* refused by calloc, with its message */
    return keep(t, bytes);
}

char *keep_text(tool *t, const char *text, size_t count)
{
    char *copy = keep(t, count + 1);
    if (count)
        memcpy(copy, text, count);
    return copy;
}

char *keep_format(tool *t, const char *format, ...)
{
    va_list args;
    int length;
    char *text;
    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = keep(t, length < 0 ? 1 : (size_t)length + 1);
    va_start(args, format);
    (void)vsnprintf(text, length < 0 ? 1 : (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void list_add(tool *t, list *l, const void *item)
{
    /* A list grows when its count is a power of two, so it needs no capacity. */
    if ((l->count & (l->count - 1)) == 0) {
        const char **items = keep_array(t, l->count ? 2 * l->count : 1, sizeof *items);
        if (l->count)
            memcpy(items, l->items, l->count * sizeof *items);
        l->items = items;
    }
    l->items[l->count++] = item;
}

void tool_fini(tool *t)
{
    tn_context_destroy(t->context);
    for (size_t k = 0; k < t->values.count; k++)
        tn_value_destroy((tn_tensor *)(uintptr_t)t->values.items[k]);
    tn_session_destroy(t->session);
    tn_model_destroy(t->model);
    tn_runtime_destroy(t->runtime);
    tn_diagnostics_destroy(t->diagnostics);
    while (t->pool) {
        struct piece *piece = t->pool;
        t->pool = piece->next;
        free(piece->data);
        free(piece);
    }
}

/* ---- complaints ----------------------------------------------------------------------------- */

int bad(tool *t, int code, const char *format, ...)
{
    va_list args;
    char text[1024];
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "tenon%s%s: ", t->cmd ? " " : "", t->cmd ? t->cmd->name : "");
    print_clean(stderr, text, strlen(text));
    fputc('\n', stderr);
    if (code == EXIT_USAGE)
        fprintf(stderr, "`tenon help%s%s` shows how it is used.\n", t->cmd ? " " : "",
                t->cmd ? t->cmd->name : "");
    return code;
}

void print_diagnostics(tool *t)
{
    const tn_diagnostic *d;
    size_t kept, total = 0;
    if (!t->diagnostics)
        return;
    fflush(stdout);
    for (size_t k = 0; (d = tn_diagnostics_get(t->diagnostics, k)); k++) {
        print_clean(stderr, d->text, strlen(d->text));
        fputc('\n', stderr);
    }
    kept = tn_diagnostics_count(t->diagnostics);
    for (uint32_t severity = TN_SEVERITY_ERROR; severity <= TN_SEVERITY_NOTE; severity++)
        total += tn_diagnostics_total(t->diagnostics, severity);
    if (total > kept)
        fprintf(stderr, "and %zu more\n", total - kept);
    tn_diagnostics_clear(t->diagnostics);
}

static int exit_code(tn_status status)
{
    switch (status) {
    case TN_OK: return EXIT_FINE;
    case TN_ERR_ARGUMENT: return EXIT_USAGE;
    case TN_ERR_PLUGIN:
    case TN_ERR_ABI:
    case TN_ERR_BACKEND:
    case TN_ERR_UNPLACED: return EXIT_BACKEND;
    case TN_ERR_MEMORY:
    case TN_ERR_FORKED:
    case TN_ERR_STATE:
    case TN_ERR_STALE:
    case TN_ERR_INTERNAL:
    case TN_ERR_CANCELLED:
    case TN_ERR_DEADLINE: return EXIT_TROUBLE;
    default: return EXIT_BAD;
    }
}

int complain(tool *t, tn_status status)
{
    /* The message first: printing the list may make calls that change it. */
    const char *message = keep_format(t, "%s", tn_error_message());
    const bool differs = t->set.verify && status == TN_ERR_VALUE;
    if (t->diagnostics && tn_diagnostics_total(t->diagnostics, TN_SEVERITY_ERROR)) {
        print_diagnostics(t);
        return differs ? EXIT_DIFFERS : exit_code(status);
    }
    print_diagnostics(t);
    fprintf(stderr, "tenon %s: ", t->cmd ? t->cmd->name : "");
    print_clean(stderr, message, strlen(message));
    fputc('\n', stderr);
    return differs ? EXIT_DIFFERS : exit_code(status);
}

/* ---- files and time ------------------------------------------------------------------------- */

static int read_all(tool *t, const char *path, FILE *file, blob *out)
{
    struct stat info;
    if (fstat(fileno(file), &info))
        return bad(t, EXIT_BAD, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return bad(t, EXIT_BAD, "%s is no regular file", path);
    out->count = (size_t)info.st_size;
    out->data = keep(t, out->count);
    if (fread(out->data, 1, out->count, file) != out->count)
        return bad(t, EXIT_BAD, "%s: %s", path,
                   ferror(file) ? strerror(errno) : "it became shorter");
    return EXIT_FINE;
}

int file_read(tool *t, const char *path, blob *out)
{
    FILE *file = fopen(path, "rb");
    int code;
    if (!file)
        return bad(t, EXIT_BAD, "%s: %s", path, strerror(errno));
    code = read_all(t, path, file, out);
    fclose(file);
    return code;
}

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
