/* recognize_lstm, recognize_gru: cells that were written out step by step are one node with the same
 * answers; what is not quite a chain of cells stays, and the log says why. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define LSTM "none,+recognize_lstm"
#define GRU "none,+recognize_gru"
#define TIGHT 4e-6

/* Steps of 2 samples of 3 numbers, states of 2. */
static char text[1 << 15], nodes[1 << 14], constants[1 << 13];

static void put(char *to, size_t bytes, const char *format, ...)
{
    const size_t used = strlen(to);
    va_list arguments;
    va_start(arguments, format);
    const int count = vsnprintf(to + used, bytes - used, format, arguments);
    va_end(arguments);
    cr_assert_lt(used + (size_t)count, bytes);
}
#define ADD_NODES(...) put(nodes, sizeof nodes, __VA_ARGS__)
#define ADD_CONSTANTS(...) put(constants, sizeof constants, __VA_ARGS__)

static void matrix(const char *name, int rows, int columns, unsigned seed)
{
    ADD_CONSTANTS("%s float32[%d,%d] = ", name, rows, columns);
    for (int k = 0; k < rows * columns; k++)
        ADD_CONSTANTS("%s%g", k ? "," : "", (double)((int)(seed += 37 + 11u * seed) % 17) / 16.0);
    ADD_CONSTANTS("; ");
}

static void begin(void)
{
    nodes[0] = constants[0] = 0;
    matrix("w", 3, 8, 1);
    matrix("r", 2, 8, 2);
    matrix("wt", 8, 3, 3);
    matrix("rt", 8, 2, 4);
    matrix("wr", 5, 8, 5);
    matrix("b2", 1, 8, 6);
    matrix("w6", 3, 6, 7);
    matrix("r6", 2, 6, 8);
    matrix("w6t", 6, 3, 9);
    matrix("r6t", 6, 2, 10);
    matrix("wn", 3, 2, 11);
    matrix("rn", 2, 2, 12);
    matrix("w4", 3, 4, 13);
    matrix("r4", 2, 4, 14);
    ADD_CONSTANTS(
        "b float32[8] = 0.5,-0.25,1,0,0.125,2,-1,0.75; "
        "d float32[8] = -0.5,0.5,0.25,1,0.5,-2,1,0.5; b6 float32[6] = 0.5,-0.25,1,0,0.125,2; "
        "d6 float32[6] = 1,0.5,-0.25,0.5,-1,0.25; b4 float32[4] = 0.5,1,-1,0.25; "
        "bn float32[2] = 0.5,-1; one float32[] = 1; "
        "halves int64[4] = 2,2,2,2; thirds int64[3] = 2,2,2; axis0 int64[1] = 0; "
        "axis1 int64[1] = 1; i0 int64[] = 0; i1 int64[] = 1; i2 int64[] = 2; "
        "n0 int64[1] = 0; n1 int64[1] = 1; n2 int64[1] = 2; n3 int64[1] = 3; n4 int64[1] = 4; "
        "n6 int64[1] = 6; n8 int64[1] = 8; zero float32[2,2] = 0,0,0,0");
}

/* Sums of the four gates as torch's LSTMCell has them; then the cell: gates in the order i, f, g, o. */
static void lstm_sums(int t, const char *x, const char *h)
{
    ADD_NODES("Gemm %s wt b -> gx%d 'transB': 1; Gemm %s rt d -> gh%d 'transB': 1; "
              "Add gx%d gh%d -> s%d; ",
              x, t, h, t, t, t, t);
}
static void lstm_gates(int t, const char *c)
{
    ADD_NODES("Split s%d halves -> i%dp f%dp g%dp o%dp 'axis': 1; Sigmoid i%dp -> i%da; "
              "Sigmoid f%dp -> f%da; Tanh g%dp -> g%da; Sigmoid o%dp -> o%da; Mul f%da %s -> k%d; "
              "Mul i%da g%da -> u%d; Add k%d u%d -> c%d; Tanh c%d -> t%d; Mul o%da t%d -> h%d; ",
              t, t, t, t, t, t, t, t, t, t, t, t, t, t, c, t, t, t, t, t, t, t, t, t, t, t, t);
}
static void lstm_step(int t, const char *x)
{
    char h[8], c[8];
    snprintf(h, sizeof h, t ? "h%d" : "hs", t - 1);
    snprintf(c, sizeof c, t ? "c%d" : "cs", t - 1);
    lstm_sums(t, x, h);
    lstm_gates(t, c);
}

/* torch's GRUCell: r, z, n; the reset gate behind the product. */
static void gru_step(int t, const char *x, const char *h)
{
    ADD_NODES(
        "Gemm %s w6t b6 -> gx%d 'transB': 1; Gemm %s r6t d6 -> gh%d 'transB': 1; "
        "Split gx%d thirds -> xr%d xz%d xn%d 'axis': 1; Split gh%d thirds -> hr%d hz%d hn%d 'axis': "
        "1; Add xr%d hr%d -> rp%d; Sigmoid rp%d -> r%d; Add xz%d hz%d -> zp%d; Sigmoid zp%d -> z%d; "
        "Mul r%d hn%d -> q%d; Add xn%d q%d -> np%d; Tanh np%d -> n%dt; Sub %s n%dt -> m%d; "
        "Mul z%d m%d -> v%d; Add n%dt v%d -> h%d; ",
        x, t, h, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, h,
        t, t, t, t, t, t, t, t);
}

#define STATES "; hs float32[2,2]; cs float32[2,2]"
#define SEPARATE "x0 float32[2,3]; x1 float32[2,3]; x2 float32[2,3]" STATES
#define SEQUENCE "x float32[3,2,3]" STATES
#define BATCH_FIRST "x float32[2,3,3]" STATES

static const char *graph_of(const char *inputs, const char *outputs)
{
    snprintf(text, sizeof text, "%s", lines(inputs, constants, nodes, outputs));
    return text;
}

static void three_lstm_steps(void)
{
    lstm_step(0, "x0");
    lstm_step(1, "x1");
    lstm_step(2, "x2");
}

/* ---- LSTM --------------------------------------------------------------------------------- */

/* 3 Unsqueeze and a Concat before it, 2 Unsqueeze of states, a Squeeze of the answer. */
Test(recognize_lstm, takes_steps_from_anywhere)
{
    begin();
    three_lstm_steps();
    rewritten(graph_of(SEPARATE, "h2"), LSTM, 8, "= LSTM", "* 39 nodes up to h2 are one LSTM",
              TIGHT);
    rewritten(graph_of(SEPARATE, "h2 c2"), LSTM, 9, "= LSTM", "", TIGHT);
    same_specials(graph_of(SEPARATE, "h2 c2"), LSTM, TIGHT);
}

Test(recognize_lstm, takes_steps_from_a_sequence)
{
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; Gather x i2 -> x2; ");
    three_lstm_steps();
    rewritten(graph_of(SEQUENCE, "h2"), LSTM, 4, "(x, ", "* 42 nodes up to h2", TIGHT);
    begin();
    ADD_NODES("Split x -> p0 p1 p2 'axis': 1, 'num_outputs': 3; Squeeze p0 axis1 -> x0; "
              "Squeeze p1 axis1 -> x1; Squeeze p2 axis1 -> x2; ");
    three_lstm_steps();
    rewritten(graph_of(BATCH_FIRST, "h2"), LSTM, 5, "= Transpose", "", TIGHT);
    begin();
    ADD_CONSTANTS("; s23 int64[2] = 2,3");
    ADD_NODES("Slice x n1 n2 axis0 -> p0; Slice x n2 n3 axis0 -> p1; Slice x n3 n4 axis0 -> p2; "
              "Reshape p0 s23 -> x0; Reshape p1 s23 -> x1; Squeeze p2 axis0 -> x2; ");
    three_lstm_steps();
    rewritten(graph_of("x float32[5,2,3]" STATES, "h2"), LSTM, 5, "= Slice", "", TIGHT);
}

Test(recognize_lstm, goes_through_a_sequence_in_reverse)
{
    begin();
    ADD_NODES("Gather x i2 -> x0; Gather x i1 -> x1; Gather x i0 -> x2; ");
    three_lstm_steps();
    ADD_NODES("Unsqueeze h0 axis0 -> y0; Unsqueeze h1 axis0 -> y1; Unsqueeze h2 axis0 -> y2; "
              "Concat y2 y1 y0 -> y 'axis': 0");
    rewritten(graph_of(SEQUENCE, "y"), LSTM, 4, "direction=\"reverse\"", "", TIGHT);
}

Test(recognize_lstm, gives_all_states_to_who_collects_them_and_single_ones_to_others)
{
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; Gather x i2 -> x2; ");
    three_lstm_steps();
    ADD_NODES("Unsqueeze h0 axis0 -> y0; Unsqueeze h1 axis0 -> y1; Unsqueeze h2 axis0 -> y2; "
              "Concat y0 y1 y2 -> y 'axis': 0; ");
    rewritten(graph_of(SEQUENCE, "y"), LSTM, 4, "= LSTM", "", TIGHT);
    rewritten(graph_of(SEQUENCE, "y h2 c2"), LSTM, 6, "= LSTM", "", TIGHT);
    ADD_NODES("Abs h1 -> z");
    rewritten(graph_of(SEQUENCE, "y z"), LSTM, 6, "= Gather", "", TIGHT);
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; Gather x i2 -> x2; ");
    three_lstm_steps();
    ADD_NODES("Unsqueeze h0 axis1 -> y0; Unsqueeze h1 axis1 -> y1; Unsqueeze h2 axis1 -> y2; "
              "Concat y0 y1 y2 -> y 'axis': 1; ");
    rewritten(graph_of(SEQUENCE, "y"), LSTM, 5, "= Transpose", "", TIGHT);
}

/* Layer upon layer, step by step: the states of one are the steps of the next. */
Test(recognize_lstm, finds_layers_that_stand_one_upon_the_other)
{
    begin();
    matrix("; w9", 8, 2, 21);
    for (int t = 0; t < 3; t++) {
        char x[8];
        ADD_NODES("Gather x i%d -> x%d; ", t, t);
        snprintf(x, sizeof x, "x%d", t);
        lstm_step(t, x);
    }
    for (int t = 3; t < 6; t++) {
        char x[8], h[8], c[8];
        snprintf(x, sizeof x, "h%d", t - 3);
        snprintf(h, sizeof h, t > 3 ? "h%d" : "hz", t - 1);
        snprintf(c, sizeof c, t > 3 ? "c%d" : "cz", t - 1);
        ADD_NODES("Gemm %s w9 b -> gx%d 'transB': 1; Gemm %s rt d -> gh%d 'transB': 1; "
                  "Add gx%d gh%d -> s%d; ",
                  x, t, h, t, t, t, t);
        lstm_gates(t, c);
    }
    constants[strlen(constants) - 2] = 0;
    rewritten(graph_of(SEQUENCE "; hz float32[2,2]; cz float32[2,2]", "h5 h2"),
              "none,+recognize_lstm,+remove_dead", 9, "= LSTM", "", TIGHT);
}

/* '@' is the number of a step, '$' the state before it. */
static void add_step(const char *pattern, int t)
{
    for (; *pattern; pattern++)
        if (*pattern == '@')
            ADD_NODES("%d", t);
        else if (*pattern == '$' && t)
            ADD_NODES("h%d", t - 1);
        else if (*pattern == '$')
            ADD_NODES("hs");
        else
            ADD_NODES("%c", *pattern);
}

#define TWO_STEPS "x0 float32[2,3]; x1 float32[2,3]" STATES

Test(recognize_lstm, reads_sums_however_they_are_written)
{
    static const char *const sums[] = {
        "MatMul x@ w -> a@; MatMul $ r -> e@; Add a@ e@ -> m@; Add m@ b -> s@; ",
        "MatMul x@ w -> a@; Add a@ b2 -> p@; MatMul $ r -> e@; Add d e@ -> q@; Add q@ p@ -> s@; ",
        "Concat x@ $ -> j@ 'axis': 1; Gemm j@ wr b -> s@; ",
        "Concat $ x@ -> j@ 'axis': -1; MatMul j@ wr -> a@; Add a@ b -> s@; ",
        "Gemm $ rt d -> e@ 'transB': 1; Gemm x@ w e@ -> s@; ",
    };
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
        begin();
        add_step(sums[k], 0);
        lstm_gates(0, "cs");
        add_step(sums[k], 1);
        lstm_gates(1, "c0");
        rewritten(graph_of(TWO_STEPS, "h1 c1"), LSTM, 8, "= LSTM", "", TIGHT);
    }
}

/* Each gate with a product of its own with the input, cut by Slice out of one with the state. */
Test(recognize_lstm, reads_gates_one_by_one_in_any_order)
{
    begin();
    for (int t = 0; t < 2; t++) {
        add_step("MatMul $ r -> e@; ", t);
        for (int g = 0; g < 4; g++)
            ADD_NODES("Slice e%d n%d n%d axis1 -> e%d%c; MatMul x%d wn -> a%d%c; "
                      "Add a%d%c e%d%c -> %c%dp; ",
                      t, 2 * g, 2 * g + 2, t, "ofgi"[g], t, t, "ofgi"[g], t, "ofgi"[g], t,
                      "ofgi"[g], "ofgi"[g], t);
        add_step("Sigmoid i@p -> i@a; Sigmoid f@p -> f@a; Tanh g@p -> g@a; Sigmoid o@p -> o@a; ",
                 t);
        ADD_NODES(t ? "Mul c0 f1a -> k1; " : "Mul cs f0a -> k0; ");
        add_step("Mul g@a i@a -> u@; Add u@ k@ -> c@; Tanh c@ -> t@; Mul t@ o@a -> h@; ", t);
    }
    rewritten(graph_of(TWO_STEPS, "h1"), LSTM, 7, "= LSTM", "", TIGHT);
}

Test(recognize_lstm, leaves_a_single_step)
{
    begin();
    lstm_step(0, "x0");
    untouched(graph_of("x0 float32[2,3]" STATES, "h0"), "recognize_lstm",
              "- t0: no LSTM: a single step is no faster as a node\n");
}

/* A first state of zeros that was multiplied out: a constant stands in the place of its product. */
Test(recognize_lstm, begins_with_zeros)
{
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; ");
    ADD_NODES("Gemm x0 wt b -> gx0 'transB': 1; Add gx0 folded -> s0; ");
    lstm_gates(0, "zero");
    lstm_step(1, "x1");
    ADD_CONSTANTS(
        "; folded float32[2,8] = -0.5,0.5,0.25,1,0.5,-2,1,0.5,-0.5,0.5,0.25,1,0.5,-2,1,0.5");
    rewritten(graph_of("x float32[2,2,3]", "h1"), LSTM, 2, "= LSTM", "", TIGHT);
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; ");
    ADD_NODES("Gemm x0 wt b -> gx0 'transB': 1; Add gx0 folded -> s0; ");
    lstm_gates(0, "zero");
    lstm_step(1, "x1");
    ADD_CONSTANTS(
        "; folded float32[2,8] = -0.5,0.5,0.25,1,0.5,-2,1,0.5,-0.5,0.5,0.25,1,0.5,-2,1,0.75");
    untouched(graph_of("x float32[2,2,3]", "h1"), "recognize_lstm",
              "no LSTM: biases differ by step\n");
}

Test(recognize_lstm, works_in_other_types_and_with_symbols)
{
    begin();
    three_lstm_steps();
    for (char *at = constants; (at = strstr(at, "float32"));)
        memcpy(at, "float64", 7);
    rewritten(graph_of("x0 float64[2,3]; x1 float64[2,3]; x2 float64[2,3]; hs float64[2,2]; "
                       "cs float64[2,2]",
                       "h2"),
              LSTM, 8, "= LSTM", "", 1e-12);
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; Gather x i2 -> x2; ");
    three_lstm_steps();
    rewritten(graph_of("x float32[3,'N',3]; hs float32['N',2]; cs float32['N',2]", "h2"), LSTM, 4,
              "= LSTM", "", TIGHT);
}

Test(recognize_lstm, leaves_what_others_read)
{
    begin();
    three_lstm_steps();
    untouched(graph_of(SEPARATE, "h2 g1a"), "recognize_lstm",
              "- t2: no LSTM: Tanh's output is also an output of the graph or of a body\n");
    untouched(graph_of(SEPARATE, "h2 c1"), "recognize_lstm",
              "- t2: no LSTM: Add's output is also an output of the graph or of a body\n");
    ADD_NODES("Abs f0p -> z");
    untouched(graph_of(SEPARATE, "h2 z"), "recognize_lstm",
              "- t2: no LSTM: Split's output is also read by z\n");
    begin();
    three_lstm_steps();
    ADD_NODES(
        "If q -> z 'then_branch': {'graph': {'inputs': [], 'outputs': ['z1'], 'nodes': [{'op': "
        "'Abs', 'inputs': ['u1'], 'outputs': ['z1']}]}}, 'else_branch': {'graph': {'inputs': [], "
        "'outputs': ['z2'], 'nodes': [{'op': 'Abs', 'inputs': ['hs'], 'outputs': ['z2']}]}}");
    untouched(graph_of(SEPARATE "; q bool[]", "h2 z"), "recognize_lstm",
              "- t2: no LSTM: Mul's output is also read by");
}

Test(recognize_lstm, wants_weights_that_stay)
{
    begin();
    three_lstm_steps();
    char *at = strstr(constants, "wt float32[8,3]");
    at[0] = 'v'; /* the constant goes another name, the weights come from outside */
    untouched(graph_of(SEPARATE "; wt float32[8,3]", "h2"), "recognize_lstm", "");
    untouched(graph_of(SEPARATE
                       "; wt float32[8,3] = 1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6",
                       "h2"),
              "recognize_lstm", "");
}

Test(recognize_lstm, ends_a_chain_where_weights_change)
{
    begin();
    matrix("; w9", 8, 3, 21);
    constants[strlen(constants) - 2] = 0;
    lstm_step(0, "x0");
    lstm_step(1, "x1");
    ADD_NODES(
        "Gemm x2 w9 b -> gx2 'transB': 1; Gemm h1 rt d -> gh2 'transB': 1; Add gx2 gh2 -> s2; ");
    lstm_gates(2, "c1");
    rewritten(graph_of(SEPARATE, "h2"), LSTM, 21, "= LSTM", "* 26 nodes up to h1 are one LSTM",
              TIGHT);
}

/* The step is made of the state before: no sequence is there before the states are. */
Test(recognize_lstm, leaves_a_step_that_is_made_of_a_state)
{
    begin();
    lstm_step(0, "x0");
    ADD_NODES("Concat h0 col -> x1 'axis': 1; ");
    lstm_step(1, "x1");
    untouched(graph_of("x0 float32[2,3]; col float32[2,1]" STATES, "h1"), "recognize_lstm",
              "- t1: no LSTM: a step is made of the state before it\n");
}

Test(recognize_lstm, leaves_other_cells)
{
    static const char *const cells[] = {
        /* c added, not kept by a gate; no Tanh of c; Relu for Tanh; Sigmoid for Tanh */
        "Mul i0a g0a -> u0; Add cs u0 -> c0; Tanh c0 -> t0; Mul o0a t0 -> h0",
        "Mul f0a cs -> k0; Mul i0a g0a -> u0; Add k0 u0 -> c0; Relu c0 -> t0; Mul o0a t0 -> h0",
        "Mul f0a cs -> k0; Mul i0a g0a -> u0; Sub k0 u0 -> c0; Tanh c0 -> t0; Mul o0a t0 -> h0",
        "Mul f0a cs -> k0; Mul i0a g0a -> u0; Add k0 u0 -> c0; Tanh c0 -> t0; Add o0a t0 -> h0",
        "Mul f0a cs -> k0; Mul i0a f0a -> u0; Add k0 u0 -> c0; Tanh c0 -> t0; Mul o0a t0 -> h0",
    };
    for (size_t k = 0; k < sizeof cells / sizeof *cells; k++) {
        begin();
        lstm_sums(0, "x0", "hs");
        ADD_NODES(
            "Split s0 halves -> i0p f0p g0p o0p 'axis': 1; Sigmoid i0p -> i0a; Sigmoid f0p -> f0a; "
            "Tanh g0p -> g0a; Sigmoid o0p -> o0a; %s",
            cells[k]);
        untouched(graph_of("x0 float32[2,3]" STATES, "h0 g0a"), "recognize_lstm", "");
    }
    begin(); /* gates along the samples */
    ADD_NODES(
        "Gemm x0 wt b -> gx0 'transB': 1; Gemm hs rt d -> gh0 'transB': 1; Add gx0 gh0 -> s0; ");
    lstm_gates(0, "cs");
    char *at = strstr(nodes, "'axis': 1; Sigmoid");
    at[8] = '0';
    untouched(graph_of("x0 float32[8,3]; hs float32[8,2]; cs float32[2,8]", "h0"), "recognize_lstm",
              "");
}

Test(recognize_lstm, leaves_samples_that_are_not_known_to_be_as_many)
{
    begin();
    lstm_step(0, "x0");
    untouched(graph_of("x0 float32['N',3]; hs float32['M',2]; cs float32['N',2]", "h0"),
              "recognize_lstm", "");
    untouched(graph_of("x0 float32[1,3]; hs float32[2,2]; cs float32[2,2]", "h0"), "recognize_lstm",
              "- t0: no LSTM: steps are not known to have as many samples as states\n");
    untouched(graph_of("x0 float32[2,3]; hs float32[2,2]; cs float32[1,2]", "h0"), "recognize_lstm",
              "- t0: no LSTM: the first cell has another shape\n");
}

/* ---- GRU ---------------------------------------------------------------------------------- */

Test(recognize_gru, finds_the_reset_gate_behind_the_product)
{
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; Gather x i2 -> x2; ");
    gru_step(0, "x0", "hs");
    gru_step(1, "x1", "h0");
    gru_step(2, "x2", "h1");
    rewritten(graph_of("x float32[3,2,3]; hs float32[2,2]", "h2"), GRU, 3, "linear_before_reset=1",
              "nodes up to h2 are one GRU", TIGHT);
    same_specials(graph_of("x float32[3,2,3]; hs float32[2,2]", "h2"), GRU, TIGHT);
    ADD_NODES("Unsqueeze h0 axis1 -> y0; Unsqueeze h1 axis1 -> y1; Unsqueeze h2 axis1 -> y2; "
              "Concat y0 y1 y2 -> y 'axis': 1; Abs h1 -> z");
    rewritten(graph_of("x float32[3,2,3]; hs float32[2,2]", "y z"), GRU, 6, "= Gather", "", TIGHT);
}

/* z and r of one product, the candidate of its own: the reset gate before it. */
static void gru_before(int t, const char *x, const char *h)
{
    ADD_NODES(
        "MatMul %s w4 -> a%d; MatMul %s r4 -> e%d; Add a%d e%d -> m%d; Add m%d b4 -> p%d; "
        "Split p%d n2n2 -> zp%d rp%d 'axis': -1; Sigmoid zp%d -> z%d; Sigmoid rp%d -> r%d; "
        "Mul r%d %s -> q%d; MatMul q%d rn -> qn%d; Gemm %s wn bn -> xn%d; Add qn%d xn%d -> np%d; "
        "Tanh np%d -> n%dt; Sub one z%d -> o%d; Mul o%d n%dt -> v%d; Mul z%d %s -> k%d; "
        "Add v%d k%d -> h%d; ",
        x, t, h, t, t, t, t, t, t, t, t, t, t, t, t, t, t, h, t, t, t, x, t, t, t, t, t, t, t, t, t,
        t, t, t, h, t, t, t, t);
}

Test(recognize_gru, finds_the_reset_gate_before_the_product)
{
    begin();
    ADD_CONSTANTS("; n2n2 int64[2] = 2,2");
    gru_before(0, "x0", "hs");
    gru_before(1, "x1", "h0");
    rewritten(graph_of("x0 float32[2,3]; x1 float32[2,3]; hs float32[2,2]", "h1"), GRU, 6,
              "GRU h1/GRU(", "nodes up to h1 are one GRU", TIGHT);
}

Test(recognize_gru, begins_with_zeros)
{
    begin();
    ADD_NODES("Gather x i0 -> x0; Gather x i1 -> x1; ");
    gru_step(0, "x0", "zero");
    gru_step(1, "x1", "h0");
    rewritten(graph_of("x float32[2,2,3]", "h1"), "safe,+recognize_gru", 2, "= GRU", "", TIGHT);
}

Test(recognize_gru, leaves_what_is_no_chain)
{
    begin();
    gru_step(0, "x0", "hs");
    gru_step(1, "x1", "h0");
#define TWO "x0 float32[2,3]; x1 float32[2,3]; hs float32[2,2]"
    untouched(graph_of(TWO, "h1 z0"), "recognize_gru",
              "no GRU: Sigmoid's output is also an output of the graph or of a body\n");
    untouched(graph_of(TWO, "h1 q1"), "recognize_gru",
              "no GRU: Mul's output is also an output of the graph or of a body\n");
    begin(); /* n - h for h - n */
    gru_step(0, "x0", "hs");
    char *at = strstr(nodes, "Sub hs n0t");
    memcpy(at, "Sub n0t hs", 10);
    untouched(graph_of("x0 float32[2,3]; hs float32[2,2]", "h0"), "recognize_gru", "");
    begin(); /* another state is kept than is multiplied */
    gru_step(0, "x0", "hs");
    at = strstr(nodes, "Sub hs n0t");
    memcpy(at, "Sub ho n0t", 10);
    untouched(graph_of("x0 float32[2,3]; hs float32[2,2]; ho float32[2,2]", "h0"), "recognize_gru",
              "no GRU: gates do not all read the same input and state\n");
}
