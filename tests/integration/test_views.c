/* Concat, Split and Slice as views of one buffer (engine/compile/views.c), with the toy backend,
 * whose Relu takes rows that lie apart, and the reference backend, whose kernels do not.
 *
 * Each graph is run with views and without (TN_SESSION_NO_VIEWS), and its answers are computed here,
 * too, where they are simple.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include "../toy/toy.h"
#include "tenon/plugin.h"

#include <dlfcn.h>

typedef struct outcome {
    size_t views, copies;
    uint32_t strided; /* runs of the toy's Relu on strided tensors */
    float *y;         /* of output 0 */
    size_t count;
} outcome;

static toy_counters *counters(void)
{
    void *object = dlopen(getenv("TENON_TEST_TOY"), RTLD_NOW | RTLD_LOCAL);
    cr_assert(object, "%s", dlerror());
    const struct tn_plugin_entry *entry = dlsym(object, "tn_plugin_entry");
    return (toy_counters *)(uintptr_t)entry->extension("toy.counters/1");
}

/* Graphs are written with ' for ". */
static fixture open_quoted(const char *json)
{
    char *text = malloc(strlen(json) + 1);
    for (size_t k = 0; k <= strlen(json); k++)
        text[k] = json[k] == '\'' ? '"' : json[k];
    fixture f = open_text(text);
    free(text);
    OK(tn_runtime_load_plugin(f.runtime, getenv("TENON_TEST_TOY"), NULL));
    return f;
}

static outcome run_with(fixture *f, const char *backends, uint32_t flags, float *data)
{
    outcome o = { 0 };
    tn_session *session = make_session(f, backends, "none", 1, flags);
    tn_report *report;
    tn_context *context;
    const tn_port *port = tn_session_input(session, 0);
    const tn_tensor x = floats(data, port->type.rank, port->type.dims);
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    o.views = tn_report_get_totals(report)->views;
    o.copies = tn_report_get_totals(report)->copies;
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, port->name, &x));
    const uint32_t before = counters()->strided;
    for (int k = 0; k < 2; k++) /* what a run leaves in the arena must not matter */
        OK(tn_context_run(context, NULL));
    o.strided = (counters()->strided - before) / 2;
    const tn_tensor *y = tn_context_output(context, 0);
    o.count = y->bytes / sizeof(float);
    o.y = malloc(y->bytes);
    memcpy(o.y, y->data, y->bytes);
    tn_report_destroy(report);
    tn_context_destroy(context);
    tn_session_destroy(session);
    return o;
}

/* With views; the caller compares and frees. Without them the answers must be the same bits. */
static outcome run_on(const char *json, const char *backends, float *data, size_t count)
{
    fixture f = open_quoted(json);
    fill(data, count, 5);
    /* Unfused: reference kernels would take the toy's Relus as their steps. */
    outcome with = run_with(&f, backends, TN_SESSION_NO_FUSION, data);
    outcome without = run_with(&f, backends, TN_SESSION_NO_FUSION | TN_SESSION_NO_VIEWS, data);
    cr_expect_eq(without.strided, 0);
    cr_assert_eq(with.count, without.count);
    for (size_t k = 0; k < with.count; k++)
        cr_assert_eq(with.y[k], without.y[k], "element %zu: %g and %g in\n%s", k, (double)with.y[k],
                     (double)without.y[k], json);
    free(without.y);
    close_fixture(&f);
    return with;
}

static float relu(float x)
{
    return x < 0 ? 0 : x;
}

#define EXPECT_FIGURES(o, v, c, s)                                                                 \
    cr_expect((o).views == (v) && (o).copies == (c) && (o).strided == (s),                         \
              "%zu views, %zu copies, %u strided runs", (o).views, (o).copies, (o).strided)

/* ---- joins -------------------------------------------------------------------------------------- */

Test(views, parts_of_rows_are_written_where_they_lie)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 4]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'a', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['ra']},"
        " {'name': 'n', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'b', 'op': 'Relu', 'inputs': ['nx'], 'outputs': ['rb']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['ra', 'rb'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Exp', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[12];
    outcome o = run_on(json, "toy,reference", x, 12);
    EXPECT_FIGURES(o, 1, 0, 2);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 4; k++) {
            cr_expect_float_eq(o.y[r * 8 + k], expf(relu(x[r * 4 + k])), 1e-6f);
            cr_expect_float_eq(o.y[r * 8 + 4 + k], expf(relu(-x[r * 4 + k])), 1e-6f);
        }
    free(o.y);
}

Test(views, parts_that_stay_dense_need_no_kernel_s_consent)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [1, 2, 3, 2]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'a', 'op': 'Exp', 'inputs': ['x'], 'outputs': ['ea']},"
        " {'name': 'b', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nb']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['ea', 'nb'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[12];
    outcome o = run_on(json, "reference", x, 12);
    EXPECT_FIGURES(o, 1, 0, 0);
    for (size_t k = 0; k < 12; k++) {
        cr_expect_float_eq(o.y[k], -expf(x[k]), 1e-6f);
        cr_expect_eq(o.y[12 + k], x[k]);
    }
    free(o.y);
}

Test(views, a_part_whose_maker_wants_dense_rows_is_copied_alone)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 4]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'a', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['ra']},"
        " {'name': 'b', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nb']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['ra', 'nb'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[12];
    outcome o = run_on(json, "toy,reference", x, 12);
    EXPECT_FIGURES(o, 1, 1, 1);
    free(o.y);
}

Test(views, inputs_constants_and_what_comes_twice_are_copied_singly)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 3]}], 'outputs': ['y'], "
        "'constants': {'k': {'dtype': 'float32', 'shape': [2, 1], 'data': [8, 9]}}, 'nodes': ["
        " {'name': 'a', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['ra']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['x', 'ra', 'k', 'ra'], 'outputs': ['c'], 'attributes': {'axis': -1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[6];
    outcome o = run_on(json, "toy,reference", x, 6);
    EXPECT_FIGURES(o, 1, 3, 1);
    for (size_t r = 0; r < 2; r++) {
        for (size_t k = 0; k < 3; k++) {
            cr_expect_eq(o.y[r * 10 + k], -x[r * 3 + k]);
            cr_expect_eq(o.y[r * 10 + 3 + k], -relu(x[r * 3 + k]));
            cr_expect_eq(o.y[r * 10 + 7 + k], -relu(x[r * 3 + k]));
        }
        cr_expect_eq(o.y[r * 10 + 6], r ? -9 : -8);
    }
    free(o.y);
}

Test(views, joins_of_joins_share_the_last_one_s_buffer)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 2]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'r0', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['a']},"
        " {'name': 'r1', 'op': 'Relu', 'inputs': ['a'], 'outputs': ['b']},"
        " {'name': 'c1', 'op': 'Concat', 'inputs': ['a', 'b'], 'outputs': ['ab'], 'attributes': {'axis': 1}},"
        " {'name': 'r2', 'op': 'Relu', 'inputs': ['ab'], 'outputs': ['c']},"
        " {'name': 'c2', 'op': 'Concat', 'inputs': ['ab', 'c'], 'outputs': ['abc'], 'attributes': {'axis': 1}},"
        " {'name': 'r3', 'op': 'Relu', 'inputs': ['abc'], 'outputs': ['d']},"
        " {'name': 'c3', 'op': 'Concat', 'inputs': ['abc', 'd'], 'outputs': ['e'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['e'], 'outputs': ['y']}]}";
    float x[6];
    outcome o = run_on(json, "toy,reference", x, 6);
    EXPECT_FIGURES(o, 3, 0, 4);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 16; k++)
            cr_expect_eq(o.y[r * 16 + k], -relu(x[r * 2 + k % 2]));
    free(o.y);
}

Test(views, joins_that_begin_alike_lie_in_the_widest)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 2]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'r0', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['a']},"
        " {'name': 'r1', 'op': 'Relu', 'inputs': ['a'], 'outputs': ['b']},"
        " {'name': 'c1', 'op': 'Concat', 'inputs': ['a', 'b'], 'outputs': ['ab'], 'attributes': {'axis': 1}},"
        " {'name': 'r2', 'op': 'Relu', 'inputs': ['ab'], 'outputs': ['c']},"
        " {'name': 'c2', 'op': 'Concat', 'inputs': ['a', 'b', 'c'], 'outputs': ['abc'], 'attributes': {'axis': 1}},"
        " {'name': 'r3', 'op': 'Relu', 'inputs': ['abc'], 'outputs': ['d']},"
        " {'name': 'c3', 'op': 'Concat', 'inputs': ['a', 'b', 'c', 'd'], 'outputs': ['e'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['e'], 'outputs': ['y']}]}";
    float x[6];
    outcome o = run_on(json, "toy,reference", x, 6);
    EXPECT_FIGURES(o, 3, 0, 4);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 16; k++)
            cr_expect_eq(o.y[r * 16 + k], -relu(x[r * 2 + k % 2]));
    free(o.y);
}

Test(views, joins_of_both_kinds_give_the_right_answer)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 2]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'r0', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['a']},"
        " {'name': 'r1', 'op': 'Relu', 'inputs': ['a'], 'outputs': ['b']},"
        " {'name': 'c1', 'op': 'Concat', 'inputs': ['a', 'b'], 'outputs': ['ab'], 'attributes': {'axis': 1}},"
        " {'name': 'r2', 'op': 'Relu', 'inputs': ['ab'], 'outputs': ['c']},"
        " {'name': 'c2', 'op': 'Concat', 'inputs': ['ab', 'c'], 'outputs': ['abc'], 'attributes': {'axis': 1}},"
        " {'name': 'r3', 'op': 'Relu', 'inputs': ['abc'], 'outputs': ['d']},"
        " {'name': 'c3', 'op': 'Concat', 'inputs': ['a', 'b', 'c', 'd'], 'outputs': ['e'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Neg', 'inputs': ['e'], 'outputs': ['y']}]}";
    float x[6];
    outcome o = run_on(json, "toy,reference", x, 6);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 16; k++)
            cr_expect_eq(o.y[r * 16 + k], -relu(x[r * 2 + k % 2]));
    free(o.y);
}

Test(views, a_cut_takes_no_steps_that_only_the_host_would_apply)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 5]}], 'outputs': ['y'], "
        "'constants': {'b': {'dtype': 'int64', 'shape': [1], 'data': [1]},"
        " 'e': {'dtype': 'int64', 'shape': [1], 'data': [3]}}, 'nodes': ["
        " {'name': 'cut', 'op': 'Slice', 'inputs': ['x', 'b', 'e', 'b'], 'outputs': ['p']},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['y']}]}";
    fixture f = open_quoted(json);
    float x[15];
    fill(x, 15, 5);
    outcome o = run_with(&f, "toy,reference", 0, x);
    EXPECT_FIGURES(o, 1, 0, 1);
    for (size_t k = 0; k < 6; k++)
        cr_expect_eq(o.y[k], relu(x[k / 2 * 5 + 1 + k % 2]));
    free(o.y);
    close_fixture(&f);
}

Test(views, extents_of_one_behind_the_axis_are_no_rows)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 3, 1, 1]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'a', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['ra']},"
        " {'name': 'b', 'op': 'Relu', 'inputs': ['ra'], 'outputs': ['rb']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['ra', 'rb'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'out', 'op': 'Relu', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[6];
    outcome o = run_on(json, "toy,reference", x, 6);
    for (size_t k = 0; k < 12; k++)
        cr_expect_eq(o.y[k], relu(x[k / 6 * 3 + k % 3]));
    free(o.y);
}

/* ---- cuts ----------------------------------------------------------------------------------------- */

Test(views, pieces_of_rows_are_read_where_they_lie)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 5]}], 'outputs': ['y'], "
        "'constants': {'s': {'dtype': 'int64', 'shape': [2], 'data': [2, 3]}}, 'nodes': ["
        " {'name': 'n', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx', 's'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1}},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['a']},"
        " {'name': 'b', 'op': 'Relu', 'inputs': ['q'], 'outputs': ['b']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['b', 'a'], 'outputs': ['y'], 'attributes': {'axis': 1}}]}";
    float x[15];
    outcome o = run_on(json, "toy,reference", x, 15);
    EXPECT_FIGURES(o, 2, 0, 2);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 5; k++)
            cr_expect_eq(o.y[r * 5 + k], relu(-x[r * 5 + (k < 3 ? k + 2 : k - 3)]));
    free(o.y);
}

Test(views, a_slice_of_the_caller_s_memory_follows_it)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 5]}], 'outputs': ['y'], "
        "'constants': {'b': {'dtype': 'int64', 'shape': [1], 'data': [1]},"
        " 'e': {'dtype': 'int64', 'shape': [1], 'data': [-1]}}, 'nodes': ["
        " {'name': 'cut', 'op': 'Slice', 'inputs': ['x', 'b', 'e', 'b'], 'outputs': ['p']},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['y']}]}";
    float x[15];
    outcome o = run_on(json, "toy,reference", x, 15);
    EXPECT_FIGURES(o, 1, 0, 1);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 3; k++)
            cr_expect_eq(o.y[r * 3 + k], relu(x[r * 5 + 1 + k]));
    free(o.y);
}

Test(views, a_reader_that_wants_dense_rows_gets_a_copy_of_its_piece)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 5]}], 'outputs': ['y'],"
        "'constants': {'s': {'dtype': 'int64', 'shape': [2], 'data': [4, 1]}},"
        "'nodes': ["
        " {'name': 'n', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx', 's'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1}},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['a']},"
        " {'name': 'b', 'op': 'Exp', 'inputs': ['q'], 'outputs': ['b']},"
        " {'name': 'sum', 'op': 'Add', 'inputs': ['a', 'b'], 'outputs': ['y']}]}";
    float x[15];
    outcome o = run_on(json, "toy,reference", x, 15);
    EXPECT_FIGURES(o, 1, 1, 1);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 4; k++)
            cr_expect_float_eq(o.y[r * 4 + k], relu(-x[r * 5 + k]) + expf(-x[r * 5 + 4]), 1e-6f);
    free(o.y);
}

Test(views, a_cut_of_which_much_is_copied_stays_with_its_kernel)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3, 4]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'n', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1, 'num_outputs': 2}},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['a']},"
        " {'name': 'b', 'op': 'Exp', 'inputs': ['q'], 'outputs': ['b']},"
        " {'name': 'sum', 'op': 'Add', 'inputs': ['a', 'b'], 'outputs': ['y']}]}";
    float x[12];
    outcome o = run_on(json, "toy,reference", x, 12);
    EXPECT_FIGURES(o, 0, 0, 0);
    for (size_t r = 0; r < 3; r++)
        for (size_t k = 0; k < 2; k++)
            cr_expect_float_eq(o.y[r * 2 + k], relu(-x[r * 4 + k]) + expf(-x[r * 4 + 2 + k]),
                               1e-6f);
    free(o.y);
}

Test(views, nothing_is_written_over_a_piece_that_others_read)
{
    /* Relu may write over what it reads, but nx is read again behind it. */
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [1, 4, 2]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'n', 'op': 'Neg', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1, 'num_outputs': 2}},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['p'], 'outputs': ['a']},"
        " {'name': 'b', 'op': 'Relu', 'inputs': ['q'], 'outputs': ['b']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['a', 'b'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'sum', 'op': 'Sub', 'inputs': ['c', 'nx'], 'outputs': ['y']}]}";
    float x[8];
    outcome o = run_on(json, "toy,reference", x, 8);
    EXPECT_FIGURES(o, 2, 0, 0);
    for (size_t k = 0; k < 8; k++)
        cr_expect_eq(o.y[k], relu(-x[k]) + x[k]);
    free(o.y);
}

Test(views, pieces_joined_again_are_what_was_cut)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 4]}], 'outputs': ['y'],"
        "'nodes': ["
        " {'name': 'n', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1, 'num_outputs': 2}},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['q', 'p'], 'outputs': ['c'], 'attributes': {'axis': 1}},"
        " {'name': 'b', 'op': 'Relu', 'inputs': ['c'], 'outputs': ['y']}]}";
    float x[8];
    outcome o = run_on(json, "toy,reference", x, 8);
    for (size_t r = 0; r < 2; r++)
        for (size_t k = 0; k < 4; k++)
            cr_expect_eq(o.y[r * 4 + k], relu(x[r * 4 + (k + 2) % 4]));
    free(o.y);
}

/* ---- what stays as it is ------------------------------------------------------------------------------ */

Test(views, outputs_of_the_graph_are_dense_and_their_own)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 4]}], 'outputs': ['c', 'p', 'q'], 'nodes': ["
        " {'name': 'n', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1, 'num_outputs': 2}},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['nx', 'p'], 'outputs': ['c'], 'attributes': {'axis': 1}}]}";
    float x[8];
    outcome o = run_on(json, "toy,reference", x, 8);
    for (size_t r = 0; r < 2; r++)
        for (size_t k = 0; k < 6; k++)
            cr_expect_eq(o.y[r * 6 + k], relu(x[r * 4 + k % 4]));
    free(o.y);
}

Test(views, a_branch_that_reads_a_piece_gets_its_elements)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 4]}], 'outputs': ['y'], "
        "'constants': {'t': {'dtype': 'bool', 'shape': [], 'data': [true]}}, 'nodes': ["
        " {'name': 'n', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1, 'num_outputs': 2}},"
        " {'name': 'top', 'op': 'Split', 'inputs': ['nx'], 'outputs': ['u', 'v'], 'attributes': {'axis': 0, 'num_outputs': 2}},"
        " {'name': 'r', 'op': 'Relu', 'inputs': ['q'], 'outputs': ['rq']},"
        " {'name': 'if', 'op': 'If', 'inputs': ['t'], 'outputs': ['w'], 'attributes': {'then_branch': {'graph': {'name': 't', 'inputs': [], 'outputs': ['a1'], 'nodes': ["
        " {'name': 'a0', 'op': 'Concat', 'inputs': ['v', 'v'], 'outputs': ['vv'], 'attributes': {'axis': 0}},"
        " {'name': 'a1', 'op': 'Concat', 'inputs': ['p', 'vv'], 'outputs': ['a1'], 'attributes': {'axis': 1}}]}},"
        "'else_branch': {'graph': {'name': 'e', 'inputs': [], 'outputs': ['b1'], 'nodes': ["
        " {'name': 'b0', 'op': 'Concat', 'inputs': ['v', 'v'], 'outputs': ['b0'], 'attributes': {'axis': 0}},"
        " {'name': 'b1', 'op': 'Concat', 'inputs': ['q', 'b0'], 'outputs': ['b1'], 'attributes': {'axis': 1}}]}}}},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['w', 'rq'], 'outputs': ['y'], 'attributes': {'axis': 1}}]}";
    float x[8];
    outcome o = run_on(json, "toy,reference", x, 8);
    cr_assert_eq(o.count, 16);
    for (size_t r = 0; r < 2; r++)
        for (size_t k = 0; k < 8; k++) {
            const size_t from = k < 2 ? r * 4 + k : k < 6 ? 4 + k - 2 : r * 4 + 2 + k - 6;
            cr_expect_eq(o.y[r * 8 + k], relu(x[from]), "row %zu, column %zu", r, k);
        }
    free(o.y);
}

Test(views, empty_parts_and_other_axes_are_left_to_kernels)
{
    static const char json[] =
        "{'tenon': 1, 'opset': 21, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [2, 3, 2]}], 'outputs': ['y'], "
        "'constants': {'s': {'dtype': 'int64', 'shape': [2], 'data': [0, 3]}}, 'nodes': ["
        " {'name': 'n', 'op': 'Relu', 'inputs': ['x'], 'outputs': ['nx']},"
        " {'name': 'cut', 'op': 'Split', 'inputs': ['nx', 's'], 'outputs': ['p', 'q'], 'attributes': {'axis': 1}},"
        " {'name': 'a', 'op': 'Relu', 'inputs': ['q'], 'outputs': ['a']},"
        " {'name': 'cat', 'op': 'Concat', 'inputs': ['p', 'a', 'p'], 'outputs': ['y'], 'attributes': {'axis': 1}}]}";
    float x[12];
    outcome o = run_on(json, "toy,reference", x, 12);
    EXPECT_FIGURES(o, 0, 0, 0);
    for (size_t k = 0; k < 12; k++)
        cr_expect_eq(o.y[k], relu(x[k]));
    free(o.y);
}
