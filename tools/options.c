/* tools/options.c: the one table of options, the parser that walks it, the help that prints it.
 *
 * In come the words after the subcommand, out goes `settings`. A row says which subcommands take
 * the option, so that one meaning has one name everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind {
    FLAG,         /* bool */
    TEXT,         /* const char *  */
    LIST,         /* list: may be repeated */
    COUNT,        /* uint64_t */
    NUMBER,       /* double, not negative */
    SHOW_OR_TEXT, /* alone a bool (`seen`), with =TEXT a text */
    FLAG_OR_TEXT, /* a bool (`seen`), perhaps with =TEXT */
    FIRST_OPTIONAL = SHOW_OR_TEXT
} kind;

typedef struct option {
    const char *name;
    char letter;
    kind kind;
    size_t place; /* in settings */
    size_t seen;  /* of a bool there that becomes true; 0: none (arguments stand at 0) */
    uint32_t commands;
    const char *value;
    const char *help; /* NULL: another spelling, not listed */
} option;

#define AT(member) offsetof(settings, member)
enum {
    MAKES_SESSIONS = CMD_RUN | CMD_INSPECT | CMD_BENCH | CMD_COMPARE | CMD_CONVERT | CMD_OPTIMIZE,
    PLANS = CMD_RUN | CMD_INSPECT | CMD_BENCH | CMD_COMPARE,
    RUNS = CMD_RUN | CMD_BENCH | CMD_COMPARE
};

static const option options[] = {
    { "input", 'i', LIST, AT(inputs), 0, RUNS, "[NAME=]FILE",
      "an input: .npy, .npz[:member], .safetensors[:tensor], ONNX's .pb (a TensorProto, SequenceProto\n"
      "or OptionalProto), PNG, JPEG, IDX (also .gz). NAME may be left out when there is one input.\n"
      "Repeat it for more pictures, or elements of a sequence" },
    { "random", 0, FLAG, AT(random), 0, CMD_RUN, NULL,
      "inputs that are not set get random values" },
    { "shape", 's', LIST, AT(shapes), 0, PLANS | CMD_OPTIMIZE, "NAME=1,3,224,224",
      "the shape of an input, or N=8: the value of a symbol; symbols are otherwise 1" },
    { "seed", 0, COUNT, AT(seed), 0, RUNS, "N", "of random inputs and random operators" },
    { "save", 'o', TEXT, AT(save), 0, CMD_RUN, "DIR",
      "write outputs as DIR/0.npy, DIR/1.npy … and DIR/outputs.json (names, types, shapes)" },
    { "backend", 'b', TEXT, AT(backend), 0, MAKES_SESSIONS, "LIST",
      "backends in order, as onednn,reference: the first that takes a node gets it, no other may.\n"
      "compare: one column each; a+b is a list of its own, reference steps in where one has no kernel" },
    { "backends", 0, TEXT, AT(backend), 0, MAKES_SESSIONS, "LIST", NULL },
    { "place", 0, TEXT, AT(placement), 0, PLANS, "conv1=reference,fc*=openblas",
      "single nodes, ahead of the list" },
    { "threads", 't', COUNT, AT(threads), AT(has_threads), PLANS, "N",
      "threads of a run; by default what affinity and the cgroup's quota allow" },
    { "passes", 0, TEXT, AT(passes), 0, RUNS | CMD_CONVERT | CMD_OPTIMIZE, "SPEC",
      "a level: none, safe (default: exact but for the rounding of sums), all; then +name,-name\n"
      "on top of it, as in none,+drop_identity or -fold_*" },
    { "passes", 0, SHOW_OR_TEXT, AT(passes), AT(show_passes), CMD_INSPECT, "[=SPEC]",
      "what each pass did, and why not; without a MODEL the passes there are.\n"
      "With =SPEC (none, safe, all, +name,-name) it chooses the passes instead" },
    { "explain", 0, FLAG, AT(explain), 0, CMD_OPTIMIZE | CMD_INSPECT, NULL,
      "for each pass: where it fired, nodes in and out, time, and where it nearly fired and why\n"
      "not; then which nodes come from which" },
    { "dump-after", 0, TEXT, AT(dump_after), 0, CMD_OPTIMIZE | CMD_INSPECT, "PASS",
      "print the graph as it stands after that pass" },
    { "verify", 0, FLAG_OR_TEXT, AT(seeds), AT(verify), CMD_OPTIMIZE | CMD_INSPECT, "[=SEEDS]",
      "run the graph before and after each pass on random inputs with special values (8 seeds),\n"
      "on the reference backend; a pass that changes answers is named, exit code 5" },
    { "opset", 0, TEXT, AT(opset), 0, CMD_OPTIMIZE, "N",
      "write it for operator set N of ai.onnx, if each node has an equal form there; by default the\n"
      "newest held here" },
    { "fused", 0, FLAG, AT(fused), 0, CMD_OPTIMIZE, NULL,
      "operators of Tenon's own (domain tenon) may be written, which other programs do not know" },
    { "math", 'm', TEXT, AT(math), 0, PLANS, "MODE",
      "strict: infinities and NaN spread as IEEE says; fast (default): also algorithms that\n"
      "round alike; bf16, int8: reduced precision" },
    { "no-fusion", 0, FLAG, AT(no_fusion), 0, PLANS, NULL, "no node runs inside another's kernel" },
    { "no-views", 0, FLAG, AT(no_views), 0, PLANS, NULL, "Concat, Split, Slice move elements" },
    { "no-pieces", 0, FLAG, AT(no_pieces), 0, PLANS, NULL,
      "a batch goes through each node as a whole" },
    { "plain-layouts", 0, FLAG, AT(plain_layouts), 0, PLANS, NULL, "row-major everywhere" },
    { "vendor-reference", 0, FLAG, AT(vendor_reference), 0, PLANS, NULL,
      "a vendor library's own reference code is fine too" },
    { "bodies", 0, FLAG, AT(bodies), 0, PLANS, NULL,
      "an operator that can be made of others is, whatever kernels there are for it" },
    { "batch", 'n', COUNT, AT(batch), 0, RUNS, "N",
      "pictures in one run; by default what the model declares, or 100" },
    { "limit", 0, COUNT, AT(limit), 0, RUNS, "N", "the first N pictures only" },
    { "size", 0, TEXT, AT(size), 0, RUNS, "HxW",
      "resize pictures (bilinear, half-pixel centres, averaging when they shrink); by default the\n"
      "shape that the input declares, metadata image.size, or the picture's own" },
    { "mean", 0, TEXT, AT(mean), 0, RUNS, "M[,M,M]",
      "an element is (pixel / scale - mean) / std; by default metadata image.mean, or 0" },
    { "std", 0, TEXT, AT(std), 0, RUNS, "S[,S,S]", "by default metadata image.std, or 1" },
    { "scale", 0, TEXT, AT(scale), 0, RUNS, "X", "by default metadata image.scale, or 255" },
    { "layout", 0, TEXT, AT(layout), 0, RUNS, "nchw|nhwc",
      "by default metadata image.layout, or where the input's shape has 1 or 3 channels" },
    { "labels", 'l', TEXT, AT(labels), 0, CMD_RUN, "FILE",
      "one label per line, for the best answers; by default metadata labels" },
    { "top", 'k', COUNT, AT(top), AT(has_top), CMD_RUN, "K",
      "the K largest elements of each row of output 0; 5 when there are labels, 0: none" },
    { "truth", 0, TEXT, AT(truth), 0, CMD_RUN, "FILE",
      "right classes (IDX, .npy …): print the accuracy of output 0's largest elements" },
    { "expect", 0, LIST, AT(expect), 0, CMD_RUN, "[NAME=]FILE",
      "answers to hold the output against: whole numbers are classes, others values.\n"
      "Exit code 5 when they differ" },
    { "tolerance", 0, NUMBER, AT(tolerance), AT(has_tolerance), CMD_RUN, "X",
      "--expect: |a - b| may be X * (1 + |b|); default 1e-4" },
    { "draw", 0, COUNT, AT(draw), 0, CMD_RUN, "K", "draw the first K pictures, with their labels" },
    { "quiet", 'q', FLAG, AT(quiet), 0, CMD_RUN, NULL, "do not print the output values" },
    { "graph", 0, FLAG, AT(graph), 0, CMD_INSPECT, NULL, "the graph after the passes, as text" },
    { "plan", 0, FLAG, AT(plan), 0, CMD_INSPECT, NULL,
      "each step: backend, algorithm, fused nodes, layouts, memory, why others were not taken" },
    { "op", 0, TEXT, AT(op), 0, CMD_INSPECT, "NAME", "an operator's schema and kernels; no MODEL" },
    { "ops", 0, FLAG, AT(ops), 0, CMD_INSPECT, NULL,
      "all operators as a Markdown table; no MODEL" },
    { "open", 0, FLAG, AT(open), 0, CMD_PLUGINS, NULL,
      "open the backends too, to see their libraries" },
    { "index", 0, TEXT, AT(index), 0, CMD_PLUGINS, "DIR",
      "write DIR/plugins/index: a plugin there is then opened only when it is needed" },
    { "runs", 0, COUNT, AT(runs), 0, CMD_BENCH | CMD_COMPARE, "N",
      "so many runs; by default as many as fit the time, at least 5" },
    { "seconds", 0, NUMBER, AT(seconds), 0, CMD_BENCH | CMD_COMPARE, "S",
      "time for the runs; default 2 (compare: 1 for each backend)" },
    { "warmup", 0, COUNT, AT(warmup), AT(has_warmup), CMD_BENCH, "N",
      "runs before that; by default a tenth of the time, at least 1" },
    { "profile", 0, FLAG, AT(profile), 0, CMD_BENCH, NULL, "the time of each step" },
    { "json", 0, FLAG, AT(json), 0, CMD_BENCH, NULL, "one line of JSON, for scripts" },
    { "optimized", 0, FLAG, AT(optimized), 0, CMD_CONVERT, NULL,
      "write the graph after the passes" },
    { "plugins", 0, TEXT, AT(plugin_path), 0, CMD_ALL, "DIR:DIR",
      "folders searched first; then TENON_PLUGIN_PATH, then the install's own" },
    { "plugin", 'p', LIST, AT(plugin_files), 0, CMD_ALL, "FILE.so",
      "load this plugin, ahead of others" },
    { "trust", 0, FLAG, AT(trust), 0, CMD_ALL, NULL, "load plugins whatever their owner and mode" },
    { "help", 'h', FLAG, AT(help), 0, CMD_ALL, NULL, "this text" },
    { "version", 0, FLAG, AT(version), 0, CMD_ALL, NULL, NULL },
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

/* ---- the nearest word ----------------------------------------------------------------------- */

/* Edit distance (Levenshtein), by one row of its table; words beyond 63 letters never match. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= 64 || strlen(a) >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; *a; a++, i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = corner + (*a != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *nearest(const char *word, const char *const *names)
{
    /* A third of the letters may be wrong: more is no slip of the finger. */
    size_t best = strlen(word) / 3 + 2;
    const char *found = NULL;
    for (; *names; names++) {
        const size_t d = distance(word, *names);
        if (d < best)
            best = d, found = *names;
    }
    return found;
}

/* ---- parsing -------------------------------------------------------------------------------- */

static const option *find(const command *cmd, const char *name, size_t length)
{
    for (size_t k = 0; k < OPTION_COUNT; k++)
        if ((options[k].commands & cmd->bit) && strlen(options[k].name) == length &&
            memcmp(options[k].name, name, length) == 0)
            return &options[k];
    return NULL;
}

static const option *find_letter(const command *cmd, char letter)
{
    for (size_t k = 0; k < OPTION_COUNT; k++)
        if ((options[k].commands & cmd->bit) && options[k].letter && options[k].letter == letter)
            return &options[k];
    return NULL;
}

static int unknown(tool *t, const command *cmd, const char *word, size_t length)
{
    const char *names[OPTION_COUNT + 1], *close;
    const char *bare = keep_text(t, word, length);
    size_t count = 0;
    for (size_t k = 0; k < OPTION_COUNT; k++) {
        if ((options[k].commands & cmd->bit))
            names[count++] = options[k].name;
        else if (strcmp(options[k].name, bare) == 0)
            return bad(t, EXIT_USAGE, "--%s is no option of this command", bare);
    }
    names[count] = NULL;
    close = nearest(bare, names);
    if (close)
        return bad(t, EXIT_USAGE, "unknown option --%s; did you mean --%s?", bare, close);
    return bad(t, EXIT_USAGE, "unknown option --%s", bare);
}

static int store(tool *t, const option *o, const char *value)
{
    char *base = (char *)&t->set, *end = NULL;
    errno = 0;
    if (o->seen)
        *(bool *)(base + o->seen) = true;
    switch (o->kind) {
    case FLAG: *(bool *)(base + o->place) = true; return EXIT_FINE;
    case TEXT: *(const char **)(base + o->place) = value; return EXIT_FINE;
    case LIST: list_add(t, (list *)(void *)(base + o->place), value); return EXIT_FINE;
    case FLAG_OR_TEXT: *(const char **)(base + o->place) = value; return EXIT_FINE;
    case SHOW_OR_TEXT:
        if (value) { /* it chooses, and shows nothing */
            *(const char **)(base + o->place) = value;
            *(bool *)(base + o->seen) = false;
        }
        return EXIT_FINE;
    case COUNT:
        *(uint64_t *)(base + o->place) = strtoull(value, &end, 10);
        if (errno || end == value || *end || *value == '-')
            return bad(t, EXIT_USAGE, "--%s is '%s', expected a whole number", o->name, value);
        return EXIT_FINE;
    case NUMBER: break;
    }
    *(double *)(base + o->place) = strtod(value, &end);
    if (end == value || *end || !(*(double *)(base + o->place) >= 0))
        return bad(t, EXIT_USAGE, "--%s is '%s', expected a number from 0 up", o->name, value);
    return EXIT_FINE;
}

/* Takes the option at words[k] and its value; answers how many words in *used. */
static int take(tool *t, const command *cmd, int left, char **words, int *used)
{
    const char *word = words[0], *value = NULL;
    const option *o;
    *used = 1;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        const size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
        o = find(cmd, word + 2, length);
        if (!o)
            return unknown(t, cmd, word + 2, length);
        value = equals ? equals + 1 : NULL;
    } else {
        o = find_letter(cmd, word[1]);
        if (!o)
            return bad(t, EXIT_USAGE, "unknown option -%c", word[1]);
        value = word[2] ? word + 2 + (word[2] == '=') : NULL;
    }
    if (o->kind == FLAG && value)
        return bad(t, EXIT_USAGE, "--%s takes no value, found '%s'", o->name, value);
    if (o->kind < FIRST_OPTIONAL && o->kind != FLAG && !value) {
        if (left < 2)
            return bad(t, EXIT_USAGE, "--%s wants a value: %s", o->name, o->value);
        value = words[1];
        *used = 2;
    }
    return store(t, o, value);
}

int options_parse(tool *t, const command *cmd, int count, char **words)
{
    bool only_arguments = false;
    int used = 1;
    for (int k = 0; k < count; k += used) {
        used = 1;
        if (!only_arguments && strcmp(words[k], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && words[k][0] == '-' && words[k][1]) {
            const int code = take(t, cmd, count - k, words + k, &used);
            if (code)
                return code;
        } else {
            list_add(t, &t->set.arguments, words[k]);
        }
    }
    if (t->set.help || t->set.version)
        return EXIT_FINE;
    if (t->set.arguments.count > cmd->most)
        return bad(t, EXIT_USAGE, "'%s' is one argument too many; expected: %s",
                   t->set.arguments.items[cmd->most], *cmd->arguments ? cmd->arguments : "options");
    if (t->set.arguments.count < cmd->least)
        return bad(t, EXIT_USAGE, "expected: tenon %s %s", cmd->name, cmd->arguments);
    return EXIT_FINE;
}

/* ---- help ----------------------------------------------------------------------------------- */

static void print_indented(FILE *out, const char *text, int column)
{
    for (; *text; text++) {
        fputc(*text, out);
        if (*text == '\n')
            fprintf(out, "%*s", column, "");
    }
    fputc('\n', out);
}

void options_help(const command *cmd, FILE *out)
{
    enum { COLUMN = 30 };
    fputs("\nOptions:\n", out);
    for (size_t k = 0; k < OPTION_COUNT; k++) {
        const option *o = &options[k];
        char letter[8] = "    ";
        int width;
        if (!o->help || !(o->commands & cmd->bit))
            continue;
        if (o->letter)
            (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
        width = fprintf(out, "  %s--%s%s%s", letter, o->name,
                        o->value && o->kind < FIRST_OPTIONAL ? " " : "", o->value ? o->value : "");
        if (width > COLUMN - 2)
            fprintf(out, "\n%*s", COLUMN, "");
        else
            fprintf(out, "%*s", COLUMN - width, "");
        print_indented(out, o->help, COLUMN);
    }
}
