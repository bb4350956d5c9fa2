/* near misses: what a pass finds, changed in one place so that it may no longer fire there.
 *
 * Each graphs/passes/PASS/before.json, in which PASS fires, is changed in all places of its kind, one
 * at a time:
 *
 *   another reader    a value between two nodes is also read by a third
 *   an output         it is also an output of the graph
 *   in a branch       it is also read by the branches of an If
 *   out of a branch   it is also what the branches of an If give
 *   a default         a constant becomes an input with a default, which a run may replace
 *   no constant       a constant becomes an input
 *   along an axis     a constant of one element becomes one with others for each place of an axis
 *   another axis      an attribute with axes names others
 *   unknown extents   an input's extents are not known
 *
 * Whatever the pass then does, it must leave the answers as they were, and rewrite less than in the
 * unchanged graph, or not, as the table says. The table has all passes and kinds: where no change of a
 * kind keeps a pass from anything, it says why that is right. A pass without its rows fails the test.
 * Changes of other kinds are written out below.
 *
 * NEAR_MISSES=dump prints the table as it would have to be; what it says is to be judged before it is
 * kept.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#include <dirent.h>
#include <stdint.h>

typedef enum what {
    READER,
    OUTPUT,
    BRANCH,
    BRANCH_OUT,
    DEFAULT,
    INPUT,
    ALONG,
    AXIS,
    EXTENTS,
    KINDS
} what;
static const char *const kind_names[KINDS] = {
    "another reader", "an output",     "in a branch",  "out of a branch", "a default",
    "no constant",    "along an axis", "another axis", "unknown extents"
};

/* Where the pass rewrites less than it does otherwise, a part of what the log says at the first of these
 * places; if nowhere, why. */
typedef struct row {
    const char *pass;
    what kind;
    const char *stays, *says, *fires;
} row;
#define NO_PLACE "no such place" /* not one for a change of this kind */
static const row rows[] = {
#include "near_misses.h"
    { NULL, KINDS, NULL, NULL, NULL },
};

enum { PLACES = 128, NAME = 96 };

/* One change of a graph. */
typedef struct change {
    what kind;
    int place; /* the how-many-th of its kind */
    char name[NAME];
    char log[LOG_BYTES];
    int loads, rewrites;
} change;

/* ---- changes ------------------------------------------------------------------------------- */

static tn_value_id nth_inner_value(const tn_graph *g, int place)
{
    for (tn_node_id n = tn_graph_first_node(g, 0); n != TN_NONE; n = tn_graph_next_node(g, n)) {
        const tn_node_view *view = tn_graph_node(g, n);
        for (uint32_t k = 0; k < view->output_count; k++) {
            const tn_value_view *value = view->outputs[k] == TN_NONE
                                             ? NULL
                                             : tn_graph_value(g, view->outputs[k]);
            if (value && value->use_count && !value->output_count && place-- == 0)
                return view->outputs[k];
        }
    }
    return TN_NONE;
}

static tn_value_id nth_constant(const tn_graph *g, int place, int scalars)
{
    for (tn_value_id v = tn_graph_next_value(g, TN_NONE); v != TN_NONE;
         v = tn_graph_next_value(g, v)) {
        const tn_value_view *value = tn_graph_value(g, v);
        const tn_tensor *t = value->constant;
        if (!t || value->is_input || value->region || !value->use_count)
            continue;
        size_t count = 1;
        for (int32_t a = 0; a < t->rank; a++)
            count *= (size_t)t->dims[a];
        if ((!scalars || (count == 1 && t->dtype == TN_FLOAT32)) && place-- == 0)
            return v;
    }
    return TN_NONE;
}

static tn_node_id add_reader(tn_graph *g, tn_region_id region, const char *op, tn_value_id value,
                             const char *name)
{
    tn_node_id node;
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = region,
                                .name = name,
                                .op = op,
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &value };
    OK(tn_graph_add_node(g, &desc, &node));
    return node;
}

/* An If whose branches read the value, or give it as it is. */
static void add_branches(tn_graph *g, const char *reader, tn_value_id value, int give)
{
    static const char *const names[] = { "then_branch", "else_branch" };
    const tn_type flag = { .kind = TN_TENSOR, .dtype = TN_BOOL };
    tn_region_id regions[2];
    tn_attribute attributes[2];
    tn_value_id condition;
    tn_node_id node;
    OK(tn_graph_add_value(g, 0, "near_condition", &flag, &condition));
    OK(tn_graph_add_input(g, 0, condition));
    for (int k = 0; k < 2; k++) {
        OK(tn_graph_add_region(g, 0, &regions[k]));
        const tn_value_id made = give ? value
                                      : tn_graph_node(g, add_reader(g, regions[k], reader, value,
                                                                    k ? "near_else" : "near_then"))
                                            ->outputs[0];
        OK(tn_graph_add_output(g, regions[k], k ? "near_e" : "near_t", made));
        attributes[k] = (tn_attribute){ .size = sizeof(tn_attribute),
                                        .type = TN_ATTR_GRAPH,
                                        .name = names[k],
                                        .count = 1,
                                        .regions = &regions[k] };
    }
    const tn_node_desc desc = { .size = sizeof desc,
                                .name = "near_if",
                                .op = "If",
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &condition,
                                .attribute_count = 2,
                                .attributes = attributes };
    OK(tn_graph_add_node(g, &desc, &node));
    OK(tn_graph_add_output(g, 0, "near_y", tn_graph_node(g, node)->outputs[0]));
}

static int change_value(tn_graph *g, change *c, const char *pass)
{
    const tn_value_id value = nth_inner_value(g, c->place);
    /* An Identity would be dropped, and a Shape moved. */
    const char *reader = strcmp(pass, "drop_identity") == 0 ? "Shape" : "Identity";
    if (value == TN_NONE)
        return 0;
    snprintf(c->name, sizeof c->name, "%s", tn_graph_value(g, value)->name);
    if (c->kind == READER)
        OK(tn_graph_add_output(
            g, 0, "near_y", tn_graph_node(g, add_reader(g, 0, reader, value, "near"))->outputs[0]));
    else if (c->kind == OUTPUT)
        OK(tn_graph_add_output(g, 0, "near_y", value));
    else
        add_branches(g, reader, value, c->kind == BRANCH_OUT);
    return 1;
}

static int change_constant(tn_graph *g, change *c)
{
    const tn_value_id value = nth_constant(g, c->place, 0);
    tn_value_id input;
    if (value == TN_NONE)
        return 0;
    const tn_value_view *view = tn_graph_value(g, value);
    snprintf(c->name, sizeof c->name, "%s", view->name);
    if (c->kind == DEFAULT) {
        OK(tn_graph_add_input(g, 0, value));
        return 1;
    }
    tn_type type = { .kind = TN_TENSOR,
                     .dtype = view->constant->dtype,
                     .rank = view->constant->rank };
    for (int32_t a = 0; a < type.rank; a++)
        type.dims[a] = view->constant->dims[a];
    OK(tn_graph_add_value(g, 0, "near_input", &type, &input));
    OK(tn_graph_add_input(g, 0, input));
    OK(tn_graph_replace(g, value, input));
    return 1;
}

/* Places count scalars times lengths: one that does not fit will not load. */
static int change_scalar(tn_graph *g, change *c)
{
    enum { LENGTHS = 7 };
    const tn_value_id value = nth_constant(g, c->place / LENGTHS, 1);
    const int64_t length = 2 + c->place % LENGTHS;
    float data[LENGTHS + 2];
    tn_value_id vector;
    if (value == TN_NONE)
        return 0;
    const tn_value_view *view = tn_graph_value(g, value);
    snprintf(c->name, sizeof c->name, "%s", view->name);
    for (int64_t k = 0; k < length; k++)
        data[k] = *(const float *)view->constant->data * (1.0f + 0.25f * (float)k);
    const tn_tensor tensor = tensor_of(TN_FLOAT32, 1, &length, data);
    const tn_constant_desc desc = { .size = sizeof desc, .tensor = &tensor, .value = TN_NONE };
    OK(tn_graph_add_constant(g, &desc, &vector));
    OK(tn_graph_replace(g, value, vector));
    return 1;
}

static int names_axes(const tn_attribute *a)
{
    return (strcmp(a->name, "axis") == 0 && a->type == TN_ATTR_INT) ||
           ((strcmp(a->name, "axes") == 0 || strcmp(a->name, "perm") == 0) &&
            a->type == TN_ATTR_INTS && a->count);
}

/* An axis becomes the one before it; a permutation is turned by one place. */
static int change_axis(tn_graph *g, change *c)
{
    int place = c->place;
    for (tn_node_id n = tn_graph_first_node(g, 0); n != TN_NONE; n = tn_graph_next_node(g, n)) {
        const tn_node_view *view = tn_graph_node(g, n);
        for (uint32_t k = 0; k < view->attribute_count; k++) {
            tn_attribute a = view->attributes[k];
            int64_t other[8] = { 0 };
            if (!names_axes(&a) || a.count > 8 || place-- > 0)
                continue;
            snprintf(c->name, sizeof c->name, "%s", view->name);
            for (size_t i = 0; i < a.count; i++)
                other[i] = strcmp(a.name, "perm") == 0 ? a.ints[(i + 1) % a.count] : a.ints[i] - 1;
            a.i -= 1;
            a.ints = other;
            OK(tn_graph_set_attribute(g, n, &a));
            return 1;
        }
    }
    return 0;
}

static int change_extents(tn_graph *g, change *c)
{
    const tn_value_id *inputs;
    const uint32_t count = tn_graph_region_inputs(g, 0, &inputs);
    tn_value_id input;
    if ((uint32_t)c->place >= count)
        return 0;
    const tn_value_id old = inputs[c->place];
    tn_type type = *tn_graph_value(g, old)->type;
    snprintf(c->name, sizeof c->name, "%s", tn_graph_value(g, old)->name);
    for (int32_t a = 0; a < type.rank; a++)
        type.dims[a] = TN_DIM_UNKNOWN;
    if (type.rank <= 0 || tn_graph_value(g, old)->constant)
        return -1;
    OK(tn_graph_add_value(g, 0, "near_input", &type, &input));
    OK(tn_graph_add_input(g, 0, input));
    OK(tn_graph_replace(g, old, input));
    return 1;
}

/* 0: there is no such place; -1: it is none. */
static int apply(tn_graph *g, change *c, const char *pass)
{
    switch (c->kind) {
    case DEFAULT:
    case INPUT: return change_constant(g, c);
    case ALONG: return change_scalar(g, c);
    case AXIS: return change_axis(g, c);
    case EXTENTS: return change_extents(g, c);
    default: return change_value(g, c, pass);
    }
}

/* ---- runs ---------------------------------------------------------------------------------- */

static void read_log(tn_session *session, change *c)
{
    c->log[0] = 0;
    OK(tn_session_print(session, "passes", append_text, c->log));
    c->rewrites = 0;
    for (const char *at = c->log; (at = strstr(at, "\n    * ")); at++)
        c->rewrites++;
}

/* The words for the session: the pass alone, those that its pair has besides, and its check. */
static void words_for(const tn_model *model, const char *pass, char *words, size_t bytes)
{
    const char *with = tn_model_metadata(model, "with");
    snprintf(words, bytes, "none,+%s,verify=4", pass);
    for (const char *at = with ? with : ""; *at; at += strcspn(at, ","), at += *at == ',')
        snprintf(words + strlen(words), bytes - strlen(words), ",+%.*s", (int)strcspn(at, ","), at);
}

/* 0: there is no such place. */
static int try(tn_runtime *runtime, const char *pass, change *c)
{
    char path[512], words[256];
    tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = "none"
    };
    tn_model *model;
    tn_session *session;
    snprintf(path, sizeof path, "%s/graphs/passes/%s/before.json", getenv("TENON_SOURCE"), pass);
    OK(tn_model_load(runtime, path, NULL, NULL, &model));
    const int there = c->kind == KINDS
                          ? 1
                          : apply((tn_graph *)(uintptr_t)tn_model_graph(model), c, pass);
    c->loads = there > 0 && tn_session_create(model, &options, NULL, &session) == TN_OK;
    if (c->loads) {
        tn_session_destroy(session);
        words_for(model, pass, words, sizeof words);
        options.passes = words;
        cr_assert_eq(tn_session_create(model, &options, NULL, &session), TN_OK, "%s, %s %s: %s",
                     pass, c->name, c->kind == KINDS ? "unchanged" : kind_names[c->kind],
                     tn_error_message());
        read_log(session, c);
        tn_session_destroy(session);
    }
    tn_model_destroy(model);
    return there;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const row *row_of(const char *pass, what of)
{
    for (const row *r = rows; r->pass; r++)
        if (r->kind == of && strcmp(r->pass, pass) == 0)
            return r;
    return NULL;
}

/* Whether a blank-separated list has the name. */
static int is_in(const char *list, const char *name)
{
    const size_t count = strlen(name);
    for (const char *at = list; at && *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == count && memcmp(at, name, count) == 0)
            return 1;
    return 0;
}

/* What the pass did at all places of a kind. */
typedef struct found {
    char stays[2000], fires[2000]; /* names, a blank between them */
    char says[LOG_BYTES];          /* the log at the first that stays */
} found;

static void add_name(char *list, const char *name)
{
    if (!is_in(list, name))
        snprintf(list + strlen(list), 2000 - strlen(list), "%s%s", *list ? " " : "", name);
}

static void look(tn_runtime *runtime, const char *pass, what of, found *out)
{
    static change c;
    memset(out, 0, sizeof *out);
    c = (change){ .kind = KINDS };
    cr_assert(try(runtime, pass, &c) && c.rewrites, "%s does nothing in its own pair", pass);
    const int usual = c.rewrites;
    for (int place = 0; place < PLACES; place++) {
        c = (change){ .kind = of, .place = place };
        if (!try(runtime, pass, &c))
            break;
        const int less = c.rewrites < usual;
        if (c.loads && less && !*out->stays)
            memcpy(out->says, c.log, sizeof c.log);
        if (c.loads)
            add_name(less ? out->stays : out->fires, c.name);
    }
}

/* The near miss of the log, without where it was; "" where it says nothing. */
static void first_miss(const found *f, char *text, size_t bytes)
{
    const char *at = strstr(f->says, "\n    - ");
    at = at ? at + 7 : "";
    const char *behind = strstr(at, ": ");
    if (behind && behind < at + strcspn(at, "\n"))
        at = behind + 2;
    snprintf(text, bytes, "%.*s", (int)strcspn(at, "\n"), at);
}

static void dump(const char *pass, what of, const found *f)
{
    static const char *const kinds[KINDS] = { "READER", "OUTPUT", "BRANCH", "BRANCH_OUT", "DEFAULT",
                                              "INPUT",  "ALONG",  "AXIS",   "EXTENTS" };
    const row *r = row_of(pass, of);
    char miss[300];
    first_miss(f, miss, sizeof miss);
    const char *why = *f->stays                                      ? ""
                      : !*f->fires                                   ? NO_PLACE
                      : r && *r->fires && strcmp(r->fires, NO_PLACE) ? r->fires
                                                                     : "?";
    fprintf(stderr, "{ \"%s\", %s, \"%s\", \"%s\", \"%s\" },%s%s\n", pass, kinds[of], f->stays,
            miss, why, *f->fires ? " // fires: " : "", f->fires);
}

static void judge(const char *pass, what of, const found *f)
{
    const row *r = row_of(pass, of);
    cr_expect(r, "%s, %s: there is no row", pass, kind_names[of]);
    if (!r)
        return;
    cr_expect_str_eq(f->stays, r->stays, "%s, %s: stays away at '%s', not at '%s'; fires at '%s'",
                     pass, kind_names[of], f->stays, r->stays, f->fires);
    cr_expect(strstr(f->says, r->says), "%s, %s: %s\ndoes not say: %s", pass, kind_names[of],
              f->says, r->says);
    cr_expect(*r->stays || *r->fires, "%s, %s: no reason for firing", pass, kind_names[of]);
    cr_expect_eq(!*f->stays && !*f->fires, strcmp(r->fires, NO_PLACE) == 0,
                 "%s, %s: places at '%s' and '%s'", pass, kind_names[of], f->stays, f->fires);
}

/* Calls for each pass of the registry, as its log lists them. */
static void each_pass(void (*call)(tn_runtime *runtime, const char *pass))
{
    static char log[LOG_BYTES];
    char name[NAME];
    const tn_session_options options = { .size = sizeof options, .passes = "all" };
    fixture f = open_text("{\"tenon\": 1, \"name\": \"t\", \"opset\": 21, \"inputs\": "
                          "[{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": []}], "
                          "\"outputs\": [\"x\"], \"nodes\": []}");
    tn_session *session = session_of(&f, &options);
    log[0] = 0;
    OK(tn_session_print(session, "passes", append_text, log));
    tn_session_destroy(session);
    for (const char *at = strchr(log, '\n'); at && sscanf(at, "\n  %95[a-z_]", name) == 1;
         at = strchr(at + 1, '\n'))
        call(f.runtime, name);
    close_fixture(&f);
}

static int passes_seen;

static void check_pass(tn_runtime *runtime, const char *pass)
{
    static found f;
    for (int of = 0; of < KINDS; of++) {
        look(runtime, pass, (what)of, &f);
        if (getenv("NEAR_MISSES"))
            dump(pass, (what)of, &f);
        else
            judge(pass, (what)of, &f);
    }
    passes_seen++;
}

Test(near_misses, all_passes_have_their_rows_and_keep_to_them)
{
    each_pass(check_pass);
    cr_expect_geq(passes_seen, 40, "the log lists %d passes", passes_seen);
}

static void is_known(tn_runtime *runtime, const char *pass)
{
    (void)runtime;
    for (const row *r = rows; r->pass; r++)
        passes_seen += strcmp(r->pass, pass) == 0;
}

Test(near_misses, the_table_has_no_row_of_a_pass_that_is_gone)
{
    passes_seen = 0;
    each_pass(is_known);
    cr_expect_eq((size_t)passes_seen + 1, sizeof rows / sizeof *rows);
}

/* ---- changes of other kinds ----------------------------------------------------------------- */

/* Graphs in which the pass finds nothing to do. */
static const struct more {
    const char *pass, *inputs, *constants, *nodes, *outputs, *why;
    int opset; /* 0: that of lines() */
} more[] = {
    /* -0 + 0 is 0 */
    { "drop_identity", "x float32[4]", "c float32[] = 0", "Add x c -> y", "y", "", 0 },
    { "drop_identity", "x float32[4]", "c float32[] = 0", "Add c x -> y", "y", "", 0 },
    /* 0 - x, 1 / x */
    { "drop_identity", "x float32[4]", "c float32[] = 0", "Sub c x -> y", "y", "", 0 },
    { "drop_identity", "x float32[4]", "c float32[] = 1", "Div c x -> y", "y", "", 0 },
    /* it broadcasts, or may */
    { "drop_identity", "x float32[1]", "c float32[4] = 1,1,1,1", "Mul x c -> y", "y", "", 0 },
    { "drop_identity", "x float32['N']", "c float32[3] = 1,1,1", "Mul x c -> y", "y", "", 0 },
    { "drop_identity", "x float32[4]", "c float32[1,1] = 1", "Mul x c -> y", "y", "", 0 },
    /* all but one are 1 */
    { "drop_identity", "x float32[4]", "c float32[4] = 1,1,2,1", "Mul x c -> y", "y", "", 0 },
    { "drop_identity", "x float32[4]", "", "Cast x -> y 'to': 10", "y", "", 0 },
    /* a type in the middle that does not hold all */
    { "merge_casts", "x float32[4]", "", "Cast x -> h 'to': 10; Cast h -> y 'to': 1", "y",
      "the type between them does not hold every number of the first", 0 },
    { "merge_casts", "x int64[4]", "", "Cast x -> h 'to': 1; Cast h -> y 'to': 7", "y",
      "the type between them does not hold every number of the first", 0 },
    /* equal but for the type, for the sign of 0, for the order of a difference */
    { "merge_duplicates", "x float32[4]", "a float32[] = 0; b float32[] = -0.0",
      "Div x a -> y; Div x b -> z", "y z", "", 0 },
    { "merge_duplicates", "x float32[4]", "a float32[] = 2", "Sub x a -> y; Sub a x -> z", "y z",
      "", 0 },
    { "merge_duplicates", "x float32[4]", "", "Cast x -> y 'to': 11; Cast x -> z 'to': 10", "y z",
      "", 0 },
    /* Softmax below 13 is over all axes from that one on */
    { "recognize_attention", "q float32[1,2,3,4]; k float32[1,2,4,3]; v float32[1,2,3,4]", "",
      "MatMul q k -> s; Softmax s -> p 'axis': 2; MatMul p v -> y", "y",
      "Softmax is not over the keys", 0 },
    { "recognize_attention", "q float32[1,2,3,4]; k float32[1,2,4,3]; v float32[1,2,3,4]", "",
      "MatMul q k -> s; Softmax s -> p 'axis': 1; MatMul p v -> y", "y", "", 12 },
    { "recognize_attention", "q float32[1,2,3,4]; k float32[1,2,4,3]; v float32[1,2,3,4]", "",
      "MatMul q k -> s; Softmax s -> p; MatMul p v -> y", "y", "", 12 },
    /* along another axis, or two */
    { "join_split", "x float32[4,4]", "",
      "Split x -> a b 'axis': 0, 'num_outputs': 2; "
      "Concat a b -> y 'axis': 1",
      "y", "the axes differ", 0 },
    { "merge_concats", "x float32[2,2]; z float32[2,4]", "",
      "Concat x x -> m 'axis': 1; Concat m z -> y 'axis': 0", "y", "", 0 },
    /* one scale for each place where one for all is needed */
    { "drop_requantize", "q uint8[2,3]", "s float32[3] = 1,2,3; t float32[] = 1",
      "DequantizeLinear q s -> x 'axis': 1; QuantizeLinear x t -> y; Cast y -> z 'to': 1", "z",
      "scale or zero point are not the same constants", 0 },
};

Test(near_misses, of_other_kinds)
{
    for (size_t k = 0; k < sizeof more / sizeof *more; k++) {
        const struct more *m = &more[k];
        lines(m->inputs, m->constants, m->nodes, m->outputs);
        char *opset = strstr(lines_text, "'opset': 21");
        if (m->opset)
            memcpy(opset + 9, m->opset < 13 ? "12" : "13", 2);
        untouched(lines_text, m->pass, m->why);
    }
}
