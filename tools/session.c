/* tools/session.c: from options to a runtime, a model, sessions, and the shapes of a run.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- runtime -------------------------------------------------------------------------------- */

/* A build tree has the command in tools/ and its plugins in plugins/ beside that: the command then
 * works in place. Installed, there is no such folder and the library's own rule holds. Whose
 * files they are is checked by the library, as everywhere. */
static const char *build_folder(tool *t)
{
    char path[PATH_MAX];
    struct stat info;
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    for (int level = 0; level < 2 && length > 0; level++) {
        char *slash;
        path[level ? strlen(path) : (size_t)length] = '\0';
        slash = strrchr(path, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
    }
    if (length <= 0 || stat(keep_format(t, "%s/plugins", path), &info) || !S_ISDIR(info.st_mode))
        return NULL;
    return keep_text(t, path, strlen(path));
}

int open_runtime(tool *t)
{
    tn_runtime_options o = { .size = sizeof o, .flags = t->set.trust ? TN_RUNTIME_TRUST_FILES : 0 };
    const char *build = build_folder(t);
    tn_status status = tn_diagnostics_create(&t->diagnostics);
    if (status)
        return complain(t, status);
    o.plugin_path = t->set.plugin_path;
    if (build)
        o.plugin_path = o.plugin_path ? keep_format(t, "%s:%s", o.plugin_path, build) : build;
    status = tn_runtime_create(&o, t->diagnostics, &t->runtime);
    if (status)
        return complain(t, status);
    /* Refused files are `tenon plugins`' matter, not every command's. */
    tn_diagnostics_clear(t->diagnostics);
    for (size_t k = 0; k < t->set.plugin_files.count; k++) {
        status = tn_runtime_load_plugin(t->runtime, t->set.plugin_files.items[k], t->diagnostics);
        if (status)
            return complain(t, status);
    }
    return EXIT_FINE;
}

int open_model(tool *t, const char *path)
{
    tn_status status = tn_model_load(t->runtime, path, NULL, t->diagnostics, &t->model);
    return status ? complain(t, status) : EXIT_FINE;
}

/* ---- sessions ------------------------------------------------------------------------------- */

static int math_mode(tool *t, uint32_t *out)
{
    static const char *const names[] = { "fast", "strict", "bf16", "int8", NULL };
    const char *close;
    if (!t->set.math)
        return EXIT_FINE;
    for (uint32_t k = 0; names[k]; k++)
        if (strcmp(names[k], t->set.math) == 0) {
            *out = k; /* in the order of tn_math */
            return EXIT_FINE;
        }
    close = nearest(t->set.math, names);
    return bad(t, EXIT_USAGE, "--math is '%s', expected strict, fast, bf16 or int8%s%s%s",
               t->set.math, close ? "; did you mean " : "", close ? close : "", close ? "?" : "");
}

int open_session(tool *t, const char *backends, const char *passes, uint32_t flags,
                 const char *outputs, tn_session **out)
{
    const settings *s = &t->set;
    tn_session_options o = {
        .size = sizeof o,
        .threads = (uint32_t)s->threads,
        .backends = backends ? backends : s->backend,
        .placement = s->placement,
        .passes = passes ? passes : s->passes,
        .flags = flags | (s->no_fusion ? TN_SESSION_NO_FUSION : 0) |
                 (s->plain_layouts ? TN_SESSION_PLAIN_LAYOUTS : 0) |
                 (s->vendor_reference ? TN_SESSION_VENDOR_REFERENCE : 0) |
                 (s->no_views ? TN_SESSION_NO_VIEWS : 0) |
                 (s->no_pieces ? TN_SESSION_NO_PIECES : 0) |
                 (s->bodies ? TN_SESSION_PREFER_BODIES : 0),
        .outputs = outputs,
    };
    progress waiting;
    tn_status status;
    int code;
    if (s->has_threads && (s->threads < 1 || s->threads > 1024))
        return bad(t, EXIT_USAGE, "--threads is %llu, expected 1 to 1024",
                   (unsigned long long)s->threads);
    code = math_mode(t, &o.math);
    if (code)
        return code;
    progress_begin(&waiting, "", 0);
    o.progress = progress_line;
    o.progress_user = &waiting;
    status = tn_session_create(t->model, &o, t->diagnostics, out);
    progress_end(&waiting);
    if (status)
        return complain(t, status);
    print_diagnostics(t);
    return EXIT_FINE;
}

/* ---- ports and shapes ----------------------------------------------------------------------- */

size_t input_count(const tn_session *session)
{
    size_t k = 0;
    while (tn_session_input(session, k))
        k++;
    return k;
}

size_t output_count(const tn_session *session)
{
    size_t k = 0;
    while (tn_session_output(session, k))
        k++;
    return k;
}

const tn_port *find_input(tool *t, const tn_session *session, const char *name)
{
    const size_t count = input_count(session);
    const char **names = keep_array(t, count + 1, sizeof *names), *close;
    for (size_t k = 0; k < count; k++) {
        const tn_port *port = tn_session_input(session, k);
        if (strcmp(port->name, name) == 0)
            return port;
        names[k] = port->name;
    }
    close = nearest(name, names);
    if (!close && count == 1)
        close = names[0];
    bad(t, EXIT_BAD, "the model has no input '%s'%s%s%s", name, close ? "; did you mean '" : "",
        close ? close : "", close ? "'?" : "");
    return NULL;
}

/* The text of dimension `axis` in "[N, floordiv(N,2), 28]". */
static const char *dim_text(tool *t, const char *shape, int32_t axis)
{
    const char *begin = shape + (*shape == '['), *end = begin;
    int depth = 0;
    for (;; end++) {
        const bool last = *end == '\0' || (depth == 0 && *end == ']');
        if (last || (depth == 0 && *end == ',')) {
            if (axis-- == 0)
                break;
            if (last)
                return "";
            begin = end + 1;
        }
        depth += (*end == '(') - (*end == ')');
    }
    while (*begin == ' ')
        begin++;
    return keep_text(t, begin, (size_t)(end - begin));
}

static int parse_dims(tool *t, const char *option, const char *text, tn_type *type)
{
    const char *at = text;
    type->rank = 0;
    while (*at) {
        char *end;
        errno = 0;
        if (type->rank == TN_MAX_RANK)
            return bad(t, EXIT_USAGE, "--shape %s has more than %d dimensions", option,
                       TN_MAX_RANK);
        type->dims[type->rank] = strtoll(at, &end, 10);
        if (errno || end == at || type->dims[type->rank] < 0 ||
            (*end && *end != ',' && *end != 'x'))
            return bad(t, EXIT_USAGE, "--shape %s: expected numbers as in NAME=1,3,224,224",
                       option);
        type->rank++;
        at = end + (*end != '\0');
    }
    return EXIT_FINE;
}

/* Finds --shape NAME=…; *out is what stands behind '='. */
static bool find_shape(tool *t, const char *name, const char **option, const char **out)
{
    const size_t length = strlen(name);
    for (size_t k = 0; k < t->set.shapes.count; k++) {
        const char *text = t->set.shapes.items[k];
        if (strncmp(text, name, length) == 0 && text[length] == '=') {
            *option = text;
            *out = text + length + 1;
            return true;
        }
    }
    return false;
}

static int bind_dim(tool *t, const tn_port *port, int32_t axis, tn_type *type)
{
    const char *symbol = dim_text(t, port->shape, axis), *option, *value;
    tn_type one = { .size = sizeof one };
    type->dims[axis] = 1;
    if (!find_shape(t, symbol, &option, &value))
        return EXIT_FINE;
    if (parse_dims(t, option, value, &one))
        return EXIT_USAGE;
    if (one.rank != 1)
        return bad(t, EXIT_USAGE, "--shape %s: symbol %s wants one number", option, symbol);
    type->dims[axis] = one.dims[0];
    return EXIT_FINE;
}

int concrete_type(tool *t, const tn_port *port, tn_type *out)
{
    const char *option, *value;
    *out = port->type;
    if (find_shape(t, port->name, &option, &value))
        return parse_dims(t, option, value, out);
    if (out->rank < 0)
        return bad(t, EXIT_BAD, "input '%s' declares no shape: say --shape %s=…", port->name,
                   port->name);
    for (int32_t axis = 0; axis < out->rank; axis++)
        if (!tn_dim_known(out->dims[axis])) {
            const int code = bind_dim(t, port, axis, out);
            if (code)
                return code;
        }
    return EXIT_FINE;
}

/* True when some input or one of its symbols has this name. */
static bool is_known(tool *t, const tn_session *session, const char *name)
{
    const tn_port *port;
    for (size_t k = 0; (port = tn_session_input(session, k)); k++) {
        if (strcmp(port->name, name) == 0)
            return true;
        for (int32_t axis = 0; axis < port->type.rank; axis++)
            if (strcmp(dim_text(t, port->shape, axis), name) == 0)
                return true;
    }
    return false;
}

int check_shapes(tool *t, const tn_session *session)
{
    for (size_t k = 0; k < t->set.shapes.count; k++) {
        const char *text = t->set.shapes.items[k], *equals = strchr(text, '=');
        const char *name;
        if (!equals)
            return bad(t, EXIT_USAGE, "--shape is '%s', expected NAME=1,3,224,224", text);
        name = keep_text(t, text, (size_t)(equals - text));
        if (!is_known(t, session, name))
            return find_input(t, session, name) ? EXIT_FINE : EXIT_BAD;
    }
    return EXIT_FINE;
}

int shape_bindings(tool *t, const tn_session *session, tn_binding **out, size_t *count)
{
    const size_t ports = input_count(session);
    tn_binding *bindings = keep_array(t, ports, sizeof *bindings);
    int code = check_shapes(t, session);
    *out = NULL;
    *count = 0;
    if (code || t->set.shapes.count == 0)
        return code;
    for (size_t k = 0; k < ports; k++) {
        const tn_port *port = tn_session_input(session, k);
        bindings[k].name = port->name;
        code = concrete_type(t, port, &bindings[k].type);
        if (code)
            return code;
    }
    *out = bindings;
    *count = ports;
    return EXIT_FINE;
}
