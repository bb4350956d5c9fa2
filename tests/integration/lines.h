/* tests/integration/lines.h: graphs for tests of passes, a line for each node.
 *
 *   lines("x float32[2,'N']; b bool[] = true",          inputs, some with a default
 *         "c float32[] = 8; two int64[1] = 2",          constants
 *         "Mul x c -> s; Softmax s -> y 'axis': -1",    nodes, each called like its first output
 *         "y")                                          outputs
 *
 * An absent input is _. Attributes are JSON, ' for ". The text is made anew by each call.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_LINES_H
#define TENON_TESTS_LINES_H

#include "rewrites.h"

#include <ctype.h>

static char lines_text[1 << 15];

static inline void lines_put(const char *format, ...)
{
    const size_t used = strlen(lines_text);
    va_list arguments;
    va_start(arguments, format);
    const int count = vsnprintf(lines_text + used, sizeof lines_text - used, format, arguments);
    va_end(arguments);
    cr_assert_lt(used + (size_t)count, sizeof lines_text);
}

/* The next item before `stop`, without blanks around it; NULL: none is left. */
static inline char *lines_next(char **rest, const char *stop)
{
    char *item = *rest;
    while (item && isspace((unsigned char)*item))
        item++;
    if (!item || !*item)
        return NULL;
    char *end = strstr(item, stop);
    *rest = end ? end + strlen(stop) : NULL;
    end = end ? end : item + strlen(item);
    while (end > item && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    return item;
}

/* "name dtype[dims] = data" of an input or a constant. */
static inline void lines_value(char *item, int is_input)
{
    char *rest = item, *name = lines_next(&rest, " "), *dtype = lines_next(&rest, "["),
         *dims = lines_next(&rest, "]");
    const int scalar = !rest || (dims && strchr(dims, '='));
    char *data = rest ? strchr(rest, '=') : NULL;
    if (scalar && dims) { /* "[]" leaves nothing between */
        data = strchr(dims, '=');
        dims = NULL;
    }
    if (data)
        data++;
    if (is_input)
        lines_put("{'name': '%s', 'dtype': '%s', 'shape': [%s]", name, dtype, dims ? dims : "");
    else
        lines_put("'%s': {'dtype': '%s', 'shape': [%s], 'data': [%s]}", name, dtype,
                  dims ? dims : "", data);
    if (is_input && data)
        lines_put(", 'default': {'dtype': '%s', 'shape': [%s], 'data': [%s]}", dtype,
                  dims ? dims : "", data);
    if (is_input)
        lines_put("}");
}

static inline void lines_names(char *names)
{
    const char *comma = "";
    for (char *name; (name = lines_next(&names, " ")); comma = ", ")
        lines_put("%s'%s'", comma, strcmp(name, "_") == 0 ? "" : name);
}

/* "Op in in -> out out 'attribute': value". */
static inline void lines_node(char *item)
{
    char *rest = item, *left = lines_next(&rest, "->"), *attributes = rest ? strchr(rest, '\'') : 0;
    char first[64] = "", *inputs = left, *op = lines_next(&inputs, " ");
    static char shown[4096];
    snprintf(shown, sizeof shown, "%s", attributes ? attributes : "");
    if (attributes)
        *attributes = 0;
    cr_assert(rest && sscanf(rest, " %63s", first) == 1, "%s has no output", op);
    lines_put("{'name': '%s', 'op': '%s', 'inputs': [", first, op);
    lines_names(inputs);
    lines_put("], 'outputs': [");
    lines_names(rest);
    lines_put("], 'attributes': {%s}}", shown);
}

static inline const char *lines(const char *inputs, const char *constants, const char *nodes,
                                const char *outputs)
{
    char *copies[4] = { strdup(inputs), strdup(constants), strdup(nodes), strdup(outputs) };
    char *rest = copies[0];
    const char *comma = "";
    snprintf(lines_text, sizeof lines_text, "{'tenon': 1, 'name': 't', 'opset': 21, 'inputs': [");
    for (char *item; (item = lines_next(&rest, ";")); comma = ", ")
        lines_put("%s", comma), lines_value(item, 1);
    lines_put("], 'constants': {");
    rest = copies[1], comma = "";
    for (char *item; (item = lines_next(&rest, ";")); comma = ", ")
        lines_put("%s", comma), lines_value(item, 0);
    lines_put("}, 'nodes': [");
    rest = copies[2], comma = "";
    for (char *item; (item = lines_next(&rest, ";")); comma = ", ")
        lines_put("%s", comma), lines_node(item);
    lines_put("], 'outputs': [");
    lines_names(copies[3]);
    lines_put("]}");
    for (int k = 0; k < 4; k++)
        free(copies[k]);
    return lines_text;
}

#endif
