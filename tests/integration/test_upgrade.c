/* Nodes of old operator versions: brought up, they give what their own version says, and so does the
 * form of today written by hand; in the graph itself, with and without known ranks, with passes, and
 * in a function of the model under imports of its own.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"
#include "upgrade_cases.h"

#include <criterion/parameterized.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { TEXT = 8192, LATEST = 25 };

/* ---- graphs as text --------------------------------------------------------------------- */

typedef struct text {
    char bytes[TEXT];
    size_t count;
} text;

static void add(text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(t->bytes + t->count, TEXT - t->count, format, list);
    va_end(list);
    cr_assert(n >= 0 && (size_t)n < TEXT - t->count);
    t->count += (size_t)n;
}

static void to_quotes(text *t)
{
    for (size_t k = 0; k < t->count; k++)
        t->bytes[k] = t->bytes[k] == '\'' ? '"' : t->bytes[k];
}

static const char *dtype_name(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT64: return "float64";
    case TN_INT32: return "int32";
    case TN_INT64: return "int64";
    case TN_BOOL: return "bool";
    default: return "float32";
    }
}

static void add_names(text *t, const port *ports)
{
    for (int k = 0; ports[k].name; k++)
        add(t, "%s'%s'", k ? ", " : "", ports[k].name);
}

static void add_inputs(text *t, const port *ports, int ranks)
{
    add(t, "'inputs': [");
    for (int k = 0; ports[k].name; k++) {
        add(t, "%s{'name': '%s', 'dtype': '%s'", k ? ", " : "", ports[k].name,
            dtype_name(ports[k].dtype));
        for (int32_t axis = 0; ranks && axis < ports[k].rank; axis++)
            add(t, "%s%d", axis ? ", " : ", 'shape': [", (int)ports[k].dims[axis]);
        add(t, ranks && ports[k].rank ? "]}" : ranks ? ", 'shape': []}" : "}");
    }
    add(t, "], 'outputs': [");
}

static text whole_graph(const sample *s, int opset, const char *constants, const char *nodes,
                        int ranks)
{
    text t = { .count = 0 };
    add(&t, "{'tenon': 1, 'opset': %d, ", opset);
    add_inputs(&t, s->inputs, ranks);
    add_names(&t, s->outputs);
    add(&t, "], 'constants': {%s}, 'nodes': [%s]}", constants, nodes);
    to_quotes(&t);
    return t;
}

/* The graph is of today; the old nodes stand in a function with imports of its own. */
static text in_a_function(const sample *s)
{
    text t = { .count = 0 };
    add(&t, "{'tenon': 1, 'opset': {'ai.onnx': %d, 'f': 1}, ", LATEST);
    add_inputs(&t, s->inputs, 1);
    add_names(&t, s->outputs);
    add(&t, "], 'nodes': [{'op': 'f::Old', 'inputs': [");
    add_names(&t, s->inputs);
    add(&t, "], 'outputs': [");
    add_names(&t, s->outputs);
    add(&t,
        "]}], 'functions': [{'name': 'Old', 'domain': 'f', 'opset': {'ai.onnx': %d}, 'inputs': [",
        s->opset);
    add_names(&t, s->inputs);
    add(&t, "], 'outputs': [");
    add_names(&t, s->outputs);
    add(&t, "], 'constants': {%s}, 'nodes': [%s]}]}", s->old_constants, s->old_nodes);
    to_quotes(&t);
    return t;
}

/* ---- running ----------------------------------------------------------------------------- */

typedef union numbers {
    float f[MAX_NUMBERS];
    double d[MAX_NUMBERS];
    int64_t l[MAX_NUMBERS];
    int32_t i[MAX_NUMBERS];
    uint8_t b[MAX_NUMBERS];
} numbers;

static int64_t count_of(const port *p)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < p->rank; axis++)
        count *= p->dims[axis];
    return count;
}

static double get(const port *p, const numbers *from, int64_t k)
{
    switch (p->dtype) {
    case TN_FLOAT64: return from->d[k];
    case TN_INT32: return from->i[k];
    case TN_INT64: return (double)from->l[k];
    case TN_BOOL: return from->b[k];
    default: return (double)from->f[k];
    }
}

static tn_tensor make_tensor(const port *p, numbers *room)
{
    for (int64_t k = 0; k < count_of(p); k++)
        switch (p->dtype) {
        case TN_FLOAT64: room->d[k] = p->data[k]; break;
        case TN_INT32: room->i[k] = (int32_t)p->data[k]; break;
        case TN_INT64: room->l[k] = (int64_t)p->data[k]; break;
        case TN_BOOL: room->b[k] = p->data[k] != 0; break;
        default: room->f[k] = (float)p->data[k];
        }
    return (tn_tensor){ .size = sizeof(tn_tensor),
                        .dtype = p->dtype,
                        .rank = p->rank,
                        .dims = p->dims,
                        .data = room,
                        .bytes = (size_t)count_of(p) * tn_dtype_bits(p->dtype) / 8 };
}

static void compare(const sample *s, const char *way, const port *p, const tn_tensor *found)
{
    cr_assert(found, "%s, %s: no '%s'", s->name, way, p->name);
    cr_assert_eq(found->dtype, p->dtype, "%s, %s: '%s' is of type %u", s->name, way, p->name,
                 found->dtype);
    cr_assert_eq(found->rank, p->rank, "%s, %s: '%s' has rank %d", s->name, way, p->name,
                 found->rank);
    for (int32_t axis = 0; axis < p->rank; axis++)
        cr_assert_eq(found->dims[axis], p->dims[axis], "%s, %s: '%s' has extent %d on axis %d",
                     s->name, way, p->name, (int)found->dims[axis], axis);
    for (int64_t k = 0; k < count_of(p); k++) {
        const double x = get(p, found->data, k), y = p->data[k];
        cr_assert(x == y || fabs(x - y) <= 1e-6 + 2e-6 * fabs(y),
                  "%s, %s: '%s' has %.9g at %d: expected %.9g", s->name, way, p->name, x, (int)k,
                  y);
    }
}

static void run(const sample *s, const char *way, const text *graph, const char *passes)
{
    fixture f;
    tn_context *context;
    tn_session *session;
    numbers rooms[MAX_PORTS];
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = passes
    };
    OK(tn_runtime_create(NULL, NULL, &f.runtime));
    cr_assert_eq(tn_model_load_bytes(f.runtime, graph->bytes, graph->count, NULL, NULL, &f.model),
                 TN_OK, "%s, %s: %s", s->name, way, tn_error_message());
    cr_assert_eq(tn_session_create(f.model, &options, NULL, &session), TN_OK, "%s, %s: %s", s->name,
                 way, tn_error_message());
    OK(tn_context_create(session, &context));
    for (int k = 0; s->inputs[k].name; k++) {
        const tn_tensor in = make_tensor(&s->inputs[k], &rooms[k]);
        OK(tn_context_set_input(context, s->inputs[k].name, &in));
    }
    cr_assert_eq(tn_context_run(context, NULL), TN_OK, "%s, %s: %s", s->name, way,
                 tn_error_message());
    for (int k = 0; s->outputs[k].name; k++)
        compare(s, way, &s->outputs[k], tn_context_output(context, (size_t)k));
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* Criterion moves parameters to another process: pointers would not survive. */
ParameterizedTestParameters(upgrade, old_and_new_give_what_the_definition_says)
{
    enum { COUNT = sizeof samples / sizeof *samples };
    static int which[COUNT];
    for (int k = 0; k < COUNT; k++)
        which[k] = k;
    return cr_make_param_array(int, which, COUNT);
}

ParameterizedTest(const int *number, upgrade, old_and_new_give_what_the_definition_says)
{
    const sample *s = &samples[*number];
    text graph = whole_graph(s, s->opset, s->old_constants, s->old_nodes, 1);
    run(s, "old", &graph, "none");
    run(s, "old, passes", &graph, NULL);
    graph = whole_graph(s, s->opset, s->old_constants, s->old_nodes, 0);
    run(s, "old, ranks unknown", &graph, "none");
    graph = in_a_function(s);
    run(s, "old, in a function", &graph, "none");
    if (!s->new_nodes)
        return;
    graph = whole_graph(s, LATEST, s->new_constants, s->new_nodes, 1);
    run(s, "new", &graph, "none");
}

/* ---- what has no numbers to compare with ------------------------------------------------- */

#define ONE_NODE(opset, op, inputs, outputs, attributes)                                           \
    "{'tenon': 1, 'opset': " opset ", 'inputs': [{'name': 'x', 'dtype': 'float32', "               \
    "'shape': [2, 3]}, {'name': 'b', 'dtype': 'float32', 'shape': [3]}], 'outputs': [" outputs     \
    "], 'nodes': [{'name': 'n', 'op': '" op "', 'inputs': [" inputs "], 'outputs': [" outputs      \
    "], 'attributes': {" attributes "}}]}"

static tn_status compile(const char *json, fixture *f, tn_session **session)
{
    text t = { .count = 0 };
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = "none"
    };
    add(&t, "%s", json);
    to_quotes(&t);
    OK(tn_runtime_create(NULL, NULL, &f->runtime));
    OK(tn_model_load_bytes(f->runtime, t.bytes, t.count, NULL, NULL, &f->model));
    return tn_session_create(f->model, &options, NULL, session);
}

static void refuses(const char *json, tn_status status, const char *message)
{
    fixture f;
    tn_session *session;
    cr_assert_eq(compile(json, &f, &session), status, "%s", tn_error_message());
    cr_assert(strstr(tn_error_message(), message), "%s", tn_error_message());
    close_fixture(&f);
}

Test(upgrade, tells_what_old_attributes_cannot_mean)
{
    refuses(ONE_NODE("6", "Add", "'x', 'b'", "'y'", "'broadcast': 1, 'axis': 2"), TN_ERR_ATTRIBUTE,
            "node 'n' (Add): axis is 2: input 'B' of rank 1 does not lie on the 2 axes of 'A' from "
            "there");
    refuses(ONE_NODE("6", "Add", "'x', 'b'", "'y'", "'broadcast': 1, 'axis': 0"), TN_ERR_SHAPE,
            "node 'n' (Add): axis 0 of input 'B' differs from axis 0 of 'A', on which attribute "
            "axis puts it");
    refuses(ONE_NODE("1", "Cast", "'x'", "'y'", "'to': 'REAL'"), TN_ERR_ATTRIBUTE,
            "node 'n' (Cast): to is 'REAL': expected the name of an element type, such as FLOAT or "
            "INT64");
    refuses(ONE_NODE("1", "GlobalLpPool", "'x'", "'y'", "'p': -1.5"), TN_ERR_ATTRIBUTE,
            "node 'n' (GlobalLpPool): p is -1.5: expected a number above 0");
    refuses(ONE_NODE("1", "Reshape", "'x'", "'y'", ""), TN_ERR_ATTRIBUTE,
            "node 'n' (Reshape): attribute 'shape' (ints) is missing");
    refuses(ONE_NODE("12", "Softmax", "'x'", "'y'", "'axis': 2"), TN_ERR_ATTRIBUTE,
            "node 'n' (Softmax): axis is 2, outside [-2, 2) of input 'input' of rank 2");
    refuses(ONE_NODE("11", "Unsqueeze", "'x', 'b'", "'y'", "'axes': [0]"), TN_ERR_FORMAT,
            "node 'n' (Unsqueeze): 2 inputs are given: expected at most 1");
}

/* A node that lacks what it must have is left alone, whatever was wrong before it. */
Test(upgrade, is_not_tried_on_what_is_wrong)
{
    refuses("{'tenon': 1, 'opset': 1, 'inputs': [{'name': 'x', 'dtype': 'float32'}], "
            "'outputs': ['y'], 'nodes': [{'name': 'a', 'op': 'Relo', 'inputs': ['x'], "
            "'outputs': ['h']}, {'name': 'b', 'op': 'Pad', 'inputs': ['h'], 'outputs': ['y']}]}",
            TN_ERR_OPERATOR, "node 'a' (Relo): no plugin brings operator 'Relo'");
}

/* Sets 1 and 6 dropped unless told otherwise; the mask had the type of the data. */
Test(upgrade, dropout_of_set_6_trains)
{
    fixture f;
    tn_session *session;
    tn_context *context;
    enum { COUNT = 4096 };
    static float data[COUNT];
    static const int64_t dims[1] = { COUNT };
    int kept = 0;
    for (int k = 0; k < COUNT; k++)
        data[k] = 1.0f + (float)k;
    OK(compile("{'tenon': 1, 'opset': 6, 'inputs': [{'name': 'x', 'dtype': 'float32'}], "
               "'outputs': ['y', 'm'], 'nodes': [{'op': 'Dropout', 'inputs': ['x'], "
               "'outputs': ['y', 'm'], 'attributes': {'ratio': 0.75}}]}",
               &f, &session));
    OK(tn_context_create(session, &context));
    const tn_tensor x = floats(data, 1, dims);
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    const tn_tensor *y = tn_context_output(context, 0), *mask = tn_context_output(context, 1);
    cr_assert_eq(mask->dtype, TN_FLOAT32);
    for (int k = 0; k < COUNT; k++) {
        const float m = ((const float *)mask->data)[k];
        cr_assert(m == 0.0f || m == 1.0f);
        cr_assert_eq(((const float *)y->data)[k], m * data[k] * 4.0f);
        kept += m == 1.0f;
    }
    /* A quarter: 1024, with a deviation of 28. */
    cr_assert(abs(kept - COUNT / 4) < 6 * 28, "%d are kept", kept);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

static void append_log(void *user, const char *part, size_t count)
{
    char *to = user;
    cr_assert_lt(strlen(to) + count, (size_t)1 << 14);
    strncat(to, part, count);
}

/* Scan of set 8 has no form of today; Clip of set 6 has, and a file can name but one set. */
Test(upgrade, a_mixture_of_sets_is_not_saved)
{
    fixture f;
    tn_session *session;
    OK(compile(
        "{'tenon': 1, 'opset': 8, 'inputs': [{'name': 's', 'dtype': 'float32', 'shape': "
        "['B']}, {'name': 'x', 'dtype': 'float32', 'shape': ['B', 'T']}], 'outputs': ['f', "
        "'y'], 'nodes': [{'op': 'Scan', 'inputs': ['', 's', 'x'], 'outputs': ['f', 'p'], "
        "'attributes': {'num_scan_inputs': 1, 'body': {'graph': {'inputs': [{'name': 'h'}, {'name': "
        "'u'}], 'outputs': ['g', 'm'], 'nodes': [{'op': 'Add', 'inputs': ['h', 'u'], "
        "'outputs': ['g']}, {'op': 'Mul', 'inputs': ['h', 'u'], 'outputs': ['m']}]}}}}, "
        "{'name': 'c', 'op': 'Clip', 'inputs': ['p'], 'outputs': ['y'], 'attributes': "
        "{'min': 0.0}}]}",
        &f, &session));
    cr_assert_eq(tn_session_save(session, "/nowhere/mixed.json", NULL), TN_ERR_OPERATOR);
    cr_assert_str_eq(
        tn_error_message(),
        "node 'c' (Clip) is of version 13 by now, but node 'scan' (Scan) (Scan of "
        "version 8 has a batch axis, which later ones have not) has no form beyond set "
        "8: save the model as it was read instead");
    char log[1 << 14] = "";
    OK(tn_session_print(session, "passes", append_log, log));
    cr_expect(strstr(log,
                     "old versions:\n  scan (Scan) stays at version 8: Scan of version 8 has a "
                     "batch axis, which later ones have not\n"),
              "%s", log);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* Each branch is brought up like the graph around it, whose values it captures: by ranks where they
 * are declared, by shapes when running where not. */
Test(upgrade, branches_are_brought_up)
{
#define BRANCHES(shape)                                                                            \
    "{'tenon': 1, 'opset': 6, 'inputs': [{'name': 'c', 'dtype': 'bool', 'shape': []}, "            \
    "{'name': 'x', 'dtype': 'float32'" shape "}, {'name': 'b', 'dtype': 'float32', "               \
    "'shape': [2]}], 'outputs': ['y'], 'nodes': [{'op': 'If', 'inputs': ['c'], 'outputs': ['y'], " \
    "'attributes': {'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': ["          \
    "{'op': 'Sub', 'inputs': ['x', 'b'], 'outputs': ['d'], 'attributes': {'axis': 0, "             \
    "'broadcast': 1}}, {'op': 'Clip', 'inputs': ['d'], 'outputs': ['t'], 'attributes': "           \
    "{'min': 0.0}}]}}, 'else_branch': {'graph': {'inputs': [], 'outputs': ['e'], 'nodes': ["       \
    "{'op': 'Softmax', 'inputs': ['x'], 'outputs': ['e'], 'attributes': {'axis': 0}}]}}}}]}"
    static const char *const graphs[] = { BRANCHES(", 'shape': [2, 2]"), BRANCHES("") };
    static const int64_t dims[2] = { 2, 2 }, two[1] = { 2 };
    float data[4] = { 1, 2, 3, 4 }, summand[2] = { 2, 1 };
    const double sum = 1 + exp(1) + exp(2) + exp(3);
    for (int k = 0; k < 4; k++) {
        fixture f;
        tn_session *session;
        tn_context *context;
        uint8_t condition = k % 2 == 0;
        const tn_tensor x = floats(data, 2, dims), b = floats(summand, 1, two),
                        c = { .size = sizeof c, .dtype = TN_BOOL, .data = &condition, .bytes = 1 };
        OK(compile(graphs[k / 2], &f, &session));
        OK(tn_context_create(session, &context));
        OK(tn_context_set_input(context, "c", &c));
        OK(tn_context_set_input(context, "x", &x));
        OK(tn_context_set_input(context, "b", &b));
        OK(tn_context_run(context, NULL));
        const float *y = tn_context_output(context, 0)->data;
        for (int i = 0; i < 4; i++) {
            const double expected = condition ? fmax(0, (double)(data[i] - summand[i / 2]))
                                              : exp(i) / sum;
            cr_assert_float_eq((double)y[i], expected, 1e-6, "graph %d, element %d: %g", k, i,
                               (double)y[i]);
        }
        tn_context_destroy(context);
        tn_session_destroy(session);
        close_fixture(&f);
    }
}

/* What a session saves is of one operator set, and means the same when it is read again. */
Test(upgrade, what_is_saved_is_of_today)
{
    fixture f, again;
    tn_session *session, *second;
    tn_context *context;
    char folder[] = "/tmp/tenon-upgrade-XXXXXX", path[64];
    float data[6] = { 1, 2, 3, 4, 5, 6 }, summand[2] = { 10, 20 };
    static const int64_t dims[2] = { 2, 3 }, two[1] = { 2 };
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/today.json", folder);
    OK(compile("{'tenon': 1, 'opset': 6, 'inputs': [{'name': 'x', 'dtype': 'float32', "
               "'shape': [2, 3]}, {'name': 'b', 'dtype': 'float32', 'shape': [2]}], "
               "'outputs': ['y'], 'nodes': [{'op': 'Add', 'inputs': ['x', 'b'], 'outputs': ['s'], "
               "'attributes': {'axis': 0, 'broadcast': 1}}, {'op': 'Clip', 'inputs': ['s'], "
               "'outputs': ['y'], 'attributes': {'min': 12.0, 'max': 25.0}}]}",
               &f, &session));
    OK(tn_session_save(session, path, NULL));
    again = open_file(path);
    second = make_session(&again, "reference", "none", 1, 0);
    OK(tn_context_create(second, &context));
    const tn_tensor x = floats(data, 2, dims), b = floats(summand, 1, two);
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_set_input(context, "b", &b));
    OK(tn_context_run(context, NULL));
    const float expected[6] = { 12, 12, 13, 24, 25, 25 };
    cr_assert_arr_eq(tn_context_output(context, 0)->data, expected, sizeof expected);
    tn_context_destroy(context);
    tn_session_destroy(second);
    tn_session_destroy(session);
    close_fixture(&again);
    close_fixture(&f);
    unlink(path);
    rmdir(folder);
}
