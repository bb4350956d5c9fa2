/* Blocks of networks that only join and cut what they compute: on `native`, with the passes that a
 * session has, no Concat, Split or Slice may move a byte. Of a channel shuffle what is left is a Gather
 * of the channels that a unit passes on. Held against the reference backend without passes.
 *
 * SPDX-License-Identifier: MIT */
#include "graphs.h"

#define WEIGHTS(name, shape, seed)                                                                 \
    "'" name "': {'dtype': 'float32', 'shape': " shape                                             \
    ", 'random': {'distribution': 'normal', 'std': 0.3, 'seed': " seed "}}"
#define CONV(in, w, out) NODE("Conv", "'" in "', '" w "'", "'" out "'")
#define CONV3(in, w, out)                                                                          \
    NODE_WITH("Conv", "'" in "', '" w "'", "'" out "'", "'pads': [1, 1, 1, 1]")
#define DEPTHWISE(in, w, out, group)                                                               \
    NODE_WITH("Conv", "'" in "', '" w "'", "'" out "'", "'pads': [1, 1, 1, 1], 'group': " group)
#define RELU(in, out) NODE("Relu", "'" in "'", "'" out "'")
#define JOIN(in, out) NODE_WITH("Concat", in, "'" out "'", "'axis': 1")
#define CUT(in, out) NODE_WITH("Split", in, out, "'axis': 1")
#define BLOCK(channels, constants, nodes)                                                          \
    GRAPH("'inputs': [" IN("x", "float32", "[2, " channels ", 9, 8]") "], 'outputs': ['y'], "      \
                                                                      "'constants': {" constants   \
                                                                      "}, 'nodes': [" nodes "]")
#define C ", "

/* Bytes that nodes of these operators move, and what Gathers write. */
typedef struct moves {
    double bytes, gathered;
    uint32_t nodes, copies;
} moves;

static moves moves_of(tn_session *session)
{
    static const char *const ops[] = { "Concat", "Split", "Slice" };
    moves m = { 0 };
    tn_report *report;
    const tn_report_step *step;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; (step = tn_report_get(report, k)); k++) {
        for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
            if (strcmp(step->op, ops[o]) == 0) {
                m.nodes++;
                m.bytes += step->bytes;
            }
        m.gathered += strcmp(step->op, "Gather") == 0 ? (double)step->output_bytes : 0.0;
    }
    m.copies = tn_report_get_totals(report)->copies;
    tn_report_destroy(report);
    return m;
}

static float *answer(tn_session *session, size_t *count)
{
    const tn_port *port = tn_session_input(session, 0);
    float x[2 * 64 * 9 * 8], *y;
    const tn_tensor input = floats(x, port->type.rank, port->type.dims);
    tn_context *context;
    fill(x, input.bytes / sizeof *x, 11);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, port->name, &input));
    for (int run = 0; run < 2; run++)
        OK(tn_context_run(context, NULL));
    const tn_tensor *output = tn_context_output(context, 0);
    *count = output->bytes / sizeof *y;
    y = malloc(output->bytes);
    memcpy(y, output->data, output->bytes);
    tn_context_destroy(context);
    return y;
}

static void same(const float *got, const float *right, size_t count)
{
    float scale = 0, most = 0;
    for (size_t k = 0; k < count; k++) {
        const float d = fabsf(got[k] - right[k]);
        scale = fabsf(right[k]) > scale ? fabsf(right[k]) : scale;
        most = isnan(d) ? INFINITY : d > most ? d : most;
    }
    cr_expect(most <= bound(300, scale), "error %g of %g", (double)most, (double)scale);
}

/* gathered: bytes that Gathers write, joins: Concats, Splits and Slices that are left. */
static void moves_nothing(const char *text, uint32_t joins, double gathered)
{
    char *json = as_json(text);
    fixture f = open_text(json);
    tn_session *reference = make_session(&f, "reference", "none", 1, 0);
    size_t count, got_count;
    float *right = answer(reference, &count);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        tn_session *session = make_session(&f, "native,reference", NULL, threads, 0);
        const moves m = moves_of(session);
        cr_expect(m.bytes == 0 && m.copies == 0, "%g bytes in %u copies are moved", m.bytes,
                  m.copies);
        cr_expect_eq(m.nodes, joins, "%u nodes join and cut", m.nodes);
        cr_expect_eq(m.gathered, gathered, "%g bytes are gathered", m.gathered);
        float *got = answer(session, &got_count);
        cr_assert_eq(got_count, count);
        same(got, right, count);
        free(got);
        tn_session_destroy(session);
    }
    free(right);
    tn_session_destroy(reference);
    close_fixture(&f);
    free(json);
}

/* Huang et al., arXiv:1608.06993 */
Test(blocks, dense)
{
    moves_nothing(
        BLOCK("3",
              WEIGHTS("w0", "[16, 3, 3, 3]", "1") C WEIGHTS("a1", "[24, 16, 1, 1]", "2")
                  C WEIGHTS("b1", "[12, 24, 3, 3]", "3") C WEIGHTS("a2", "[24, 28, 1, 1]", "4")
                      C WEIGHTS("b2", "[12, 24, 3, 3]", "5") C WEIGHTS("c", "[20, 40, 1, 1]", "6"),
              CONV3("x", "w0", "d0") C CONV("d0", "a1", "h1") C RELU("h1", "r1")
                  C CONV3("r1", "b1", "d1") C JOIN("'d0', 'd1'", "j1") C CONV("j1", "a2", "h2")
                      C RELU("h2", "r2") C CONV3("r2", "b2", "d2") C JOIN("'d0', 'd1', 'd2'", "j2")
                          C CONV("j2", "c", "y")),
        2, 0);
}

/* Szegedy et al., arXiv:1409.4842 */
Test(blocks, inception)
{
    moves_nothing(
        BLOCK(
            "3",
            WEIGHTS("w0", "[16, 3, 3, 3]", "1") C WEIGHTS("a", "[8, 16, 1, 1]", "2")
                C WEIGHTS("b1", "[12, 16, 1, 1]", "3") C WEIGHTS("b2", "[20, 12, 3, 3]", "4")
                    C WEIGHTS("c1", "[6, 16, 1, 1]", "5") C WEIGHTS("c2", "[10, 6, 5, 5]", "6")
                        C WEIGHTS("d", "[14, 16, 1, 1]", "7") C WEIGHTS("e", "[9, 52, 1, 1]", "8"),
            CONV3("x", "w0", "s") C CONV("s", "a", "ha") C RELU("ha", "ra") C CONV("s", "b1", "hb")
                C RELU("hb", "rb") C CONV3("rb", "b2", "hb2") C RELU("hb2", "rb2")
                    C CONV("s", "c1", "hc") C RELU("hc", "rc") C NODE_WITH(
                        "Conv", "'rc', 'c2'", "'hc2'", "'pads': [2, 2, 2, 2]") C RELU("hc2", "rc2")
                        C NODE_WITH("MaxPool", "'s'", "'p'",
                                    "'kernel_shape': [3, 3], 'pads': [1, 1, 1, 1]")
                            C CONV("p", "d", "hd") C RELU("hd", "rd")
                                C JOIN("'ra', 'rb2', 'rc2', 'rd'", "j") C CONV("j", "e", "y")),
        1, 0);
}

/* Iandola et al., arXiv:1602.07360 */
Test(blocks, fire)
{
    moves_nothing(BLOCK("3",
                        WEIGHTS("w0", "[16, 3, 3, 3]", "1") C WEIGHTS("s1", "[8, 16, 1, 1]", "2")
                            C WEIGHTS("e1", "[20, 8, 1, 1]", "3") C WEIGHTS(
                                "e3", "[20, 8, 3, 3]", "4") C WEIGHTS("c", "[9, 40, 1, 1]", "5"),
                        CONV3("x", "w0", "s") C CONV("s", "s1", "h") C RELU("h", "r")
                            C CONV("r", "e1", "h1") C RELU("h1", "r1") C CONV3("r", "e3", "h3")
                                C RELU("h3", "r3") C JOIN("'r1', 'r3'", "j") C CONV("j", "c", "y")),
                  1, 0);
}

/* Ma et al., ShuffleNet V2, arXiv:1807.11164: two units behind one with two branches. 24 channels, of
 * which 12 go on; the last shuffle is gone in the Convs behind it. */
#define SHUFFLE(in, out)                                                                           \
    NODE("Reshape", "'" in "', 'groups'", "'" out "5'")                                            \
    C NODE_WITH("Transpose", "'" out "5'", "'" out "t'", "'perm': [0, 2, 1, 3, 4]")                \
        C NODE("Reshape", "'" out "t', 'flat'", "'" out "'")
#define UNIT(n, in, out)                                                                           \
    CUT("'" in "', 'halves'", "'k" n "', 'u" n "'")                                                \
    C CONV("u" n, "a" n, "h" n) C RELU("h" n, "r" n) C DEPTHWISE("r" n, "d" n, "g" n, "12")        \
        C CONV("g" n, "b" n, "o" n) C RELU("o" n, "q" n) C JOIN("'k" n "', 'q" n "'", "j" n)       \
            C SHUFFLE("j" n, out)
#define UNIT_WEIGHTS(n)                                                                            \
    WEIGHTS("a" n, "[12, 12, 1, 1]", n "1")                                                        \
    C WEIGHTS("d" n, "[12, 1, 3, 3]", n "2") C WEIGHTS("b" n, "[12, 12, 1, 1]", n "3")

Test(blocks, shuffle)
{
    moves_nothing(
        BLOCK("3",
              WEIGHTS("w0", "[12, 3, 3, 3]", "1") C WEIGHTS("w1", "[12, 3, 3, 3]", "2")
                  C UNIT_WEIGHTS("1") C UNIT_WEIGHTS("2") C UNIT_WEIGHTS("3")
                      C WEIGHTS("e1", "[24, 1, 3, 3]", "3") C WEIGHTS("e2", "[10, 24, 1, 1]", "4")
                          C WEIGHTS("f", "[10, 24, 1, 1]", "5")
                              C CONSTANT("groups", "int64", "[5]", "[2, 2, 12, 9, 8]")
                                  C CONSTANT("flat", "int64", "[4]", "[2, 24, 9, 8]")
                                      C CONSTANT("halves", "int64", "[2]", "[12, 12]"),
              CONV3("x", "w0", "s0") C RELU("s0", "t0") C CONV3("x", "w1", "s1") C RELU("s1", "t1")
                  C JOIN("'t0', 't1'", "j0") C SHUFFLE("j0", "x1") C UNIT("1", "x1", "x2")
                      C UNIT("2", "x2", "x3") C UNIT("3", "x3", "x4")
                          C DEPTHWISE("x4", "e1", "v", "24") C CONV("v", "e2", "v2")
                              C CONV("x4", "f", "v3") C NODE("Add", "'v2', 'v3'", "'y'")),
        7, 3.0 * 2 * 12 * 9 * 8 * 4);
}

/* Chen et al., FasterNet, arXiv:2303.03667, two blocks. */
#define PARTIAL(n, in, out)                                                                        \
    CUT("'" in "', 'parts'", "'p" n "', 'q" n "'")                                                 \
    C CONV3("p" n, "w" n, "f" n) C JOIN("'f" n "', 'q" n "'", "j" n) C CONV("j" n, "a" n, "h" n)   \
        C RELU("h" n, "r" n) C CONV("r" n, "b" n, "o" n)                                           \
            C NODE("Add", "'" in "', 'o" n "'", "'" out "'")
#define PARTIAL_WEIGHTS(n)                                                                         \
    WEIGHTS("w" n, "[8, 8, 3, 3]", n "1")                                                          \
    C WEIGHTS("a" n, "[48, 32, 1, 1]", n "2") C WEIGHTS("b" n, "[32, 48, 1, 1]", n "3")

Test(blocks, partial)
{
    moves_nothing(BLOCK("3",
                        WEIGHTS("w0", "[32, 3, 3, 3]", "1") C PARTIAL_WEIGHTS("1")
                            C PARTIAL_WEIGHTS("2") C WEIGHTS("e", "[9, 32, 1, 1]", "2")
                                C CONSTANT("parts", "int64", "[2]", "[8, 24]"),
                        CONV3("x", "w0", "x1") C PARTIAL("1", "x1", "x2") C PARTIAL("2", "x2", "x3")
                            C CONV("x3", "e", "y")),
                  6, 0);
}
