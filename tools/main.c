/* tools/main.c: the command `tenon`: its subcommands, their help, and how it starts.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what each subcommand teaches ----------------------------------------------------------- */

static const char run_about[] =
    "Runs a model and prints its outputs.\n"
    "\n"
    "  tenon run xnor.json --input x=x.npy\n"
    "  tenon run net.json --input picture.jpg --labels labels.txt --top 3\n"
    "  tenon run net.json --random --save out             out/0.npy, out/outputs.json\n"
    "  tenon run net.json --random --shape N=8 --backend onednn,reference --threads 1\n"
    "  tenon run fashion-lenet.json --input t10k-images-idx3-ubyte.gz \\\n"
    "            --truth t10k-labels-idx1-ubyte.gz --batch 100 --quiet\n"
    "\n"
    "An input's file is recognised by its content. Arrays must have the type that the input\n"
    "declares; where numpy has no such type (bfloat16, float8, int4 …) float32 or int8 is taken.\n"
    "Pictures, also those of an IDX file, are resized and scaled, and go through in batches;\n"
    "what the model's metadata says (image.mean, image.std, image.scale, image.size,\n"
    "image.layout, labels) need not be said again.\n"
    "Random values lie in [-1, 1); whole numbers are 0 or 1. NAME= alone is an empty sequence\n"
    "or optional.\n";

static const char inspect_about[] =
    "Shows what a model is made of, and what Tenon makes of it.\n"
    "\n"
    "  tenon inspect net.json                  nodes, shapes, parameters, multiply-adds, memory\n"
    "  tenon inspect net.json --shape N=8      the same for eight samples\n"
    "  tenon inspect net.json --passes         what each pass did, and why not\n"
    "  tenon inspect net.json --plan -b onednn,reference\n"
    "  tenon inspect --op Conv                 a schema, its kernels\n"
    "\n"
    "A multiply-add is one multiplication with its addition; only products are counted. The\n"
    "receptive field is given on the first spatial axis as size/jump: how many inputs an output\n"
    "sees, and how far apart those of two neighbours lie. The arena is the memory of one run.\n";

static const char check_about[] =
    "Reads models and says everything that is wrong with them, with file, line and column.\n"
    "\n"
    "  tenon check graphs/*.json\n";

static const char plugins_about[] =
    "Lists the plugins that were found, what they bring, and which were refused and why.\n"
    "\n"
    "  tenon plugins --open\n"
    "  tenon plugins --plugin ./swish.so\n"
    "  tenon plugins --index /usr/local/lib/tenon\n"
    "\n"
    "Plugins are looked for in --plugins, then TENON_PLUGIN_PATH, then the folder installed with\n"
    "the library: plugins/*.so and backends/*.so in each. A file that another user could change is\n"
    "refused. Exit code 3 when something was refused.\n";

static const char bench_about[] =
    "Measures how long a model takes.\n"
    "\n"
    "  tenon bench net.json --threads 1\n"
    "  tenon bench net.json --shape N=8 --backend openblas,reference --profile\n"
    "  tenon bench net.json --runs 200 --warmup 20 --json\n"
    "\n"
    "Inputs that are not given are random. spread is the median distance from the median.\n"
    "GFLOP/s counts two operations for a multiply-add.\n";

static const char compare_about[] =
    "Runs one graph on several backends and compares them, node by node.\n"
    "\n"
    "  tenon compare net.json\n"
    "  tenon compare net.json --backends reference,openblas,onednn --threads 1 --math strict\n"
    "\n"
    "The first backend is the one that others are held against. For each node: its time, the\n"
    "largest absolute difference, the same relative to the value's largest magnitude, and at how\n"
    "many elements NaN or infinity stands on one side only. The rows are the file's nodes, unfused;\n"
    "the second table is whole runs as they really are, with passes, fused and not fused.\n";

static const char convert_about[] =
    "Writes a model in the format that the second name's extension says.\n"
    "\n"
    "  tenon convert net.onnx net.json         also net.safetensors\n"
    "  tenon convert net.json small.json --optimized\n";

static const char optimize_about[] =
    "Writes a model as the passes leave it: fewer nodes, the same answers.\n"
    "\n"
    "  tenon optimize net.onnx small.onnx\n"
    "  tenon optimize net.onnx net.json --passes=safe,-fold_batch_norm --explain\n"
    "  tenon optimize net.json small.json --verify --shape N=2\n"
    "  tenon optimize net.json small.json --dump-after=fold_constants\n"
    "\n"
    "What is written has standard operators only, at the newest operator set held here, so that\n"
    "other programs can run it; --fused lets passes use operators that only Tenon has. Inputs and\n"
    "outputs keep names and types. Each node that a pass made says which of the file's nodes it\n"
    "comes from (JSON: \"trace\"; ONNX: metadata tenon.trace).\n"
    "With --verify, symbols are 3 (or the first of 2, 4, 1, 8, 16 that the graph takes) unless\n"
    "--shape says otherwise.\n";

static const command commands[] = {
    { "run", "MODEL", 1, 1, CMD_RUN, run_main, "run a model on files, pictures or random values",
      run_about },
    { "inspect", "[MODEL]", 0, 1, CMD_INSPECT, inspect_main, "show a graph, its plan, an operator",
      inspect_about },
    { "check", "MODEL…", 1, 1000, CMD_CHECK, check_main,
      "say everything that is wrong with a model", check_about },
    { "plugins", "", 0, 0, CMD_PLUGINS, plugins_main, "list plugins and backends, refused ones too",
      plugins_about },
    { "bench", "MODEL", 1, 1, CMD_BENCH, bench_main, "measure times", bench_about },
    { "compare", "MODEL", 1, 1, CMD_COMPARE, compare_main, "compare backends node by node",
      compare_about },
    { "convert", "IN OUT", 2, 2, CMD_CONVERT, convert_main, "write a model in another format",
      convert_about },
    { "optimize", "IN OUT", 2, 2, CMD_OPTIMIZE, optimize_main,
      "write a model as the passes leave it", optimize_about },
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

/* ---- help ----------------------------------------------------------------------------------- */

static int help(void)
{
    printf("tenon %s: runs neural networks on backends of your choice.\n\n"
           "  tenon run graphs/xnor.json --random          run a model\n"
           "  tenon inspect graphs/fashion-lenet.json      see its layers\n"
           "  tenon compare graphs/fashion-lenet.json      see who is fast, and who is right\n\n",
           tn_version());
    for (size_t k = 0; k < COMMAND_COUNT; k++)
        printf("  %-8s %-8s %s\n", commands[k].name,
               strcmp(commands[k].arguments, "MODEL…") == 0 ? "MODEL…  " : commands[k].arguments,
               commands[k].summary);
    fputs(
        "\n`tenon help COMMAND` shows its options and examples.\n\n"
        "Exit codes:\n"
        "  0  fine\n"
        "  1  the model or an input is bad\n"
        "  2  the command line is wrong\n"
        "  3  a backend or plugin is absent, was refused, or takes no node\n"
        "  4  out of memory, or a mistake of Tenon's own\n"
        "  5  run --expect: the answers differ; --verify: a pass changed them\n\n"
        "Environment:\n"
        "  TENON_PLUGIN_PATH               folders with plugins, separated by ':'\n"
        "  GOMP_SPINCOUNT, OMP_WAIT_POLICY how threads wait between parallel loops. When neither\n"
        "                                  is set, run, bench and compare start themselves again\n"
        "                                  with GOMP_SPINCOUNT=100000, since it is read at load\n",
        stdout);
    return EXIT_FINE;
}

static int help_command(const command *cmd)
{
    printf("tenon %s%s%s [options]\n\n%s", cmd->name, *cmd->arguments ? " " : "", cmd->arguments,
           cmd->about);
    options_help(cmd, stdout);
    return EXIT_FINE;
}

static const command *find_command(tool *t, const char *name, int *code)
{
    const char *names[COMMAND_COUNT + 2] = { "help" }, *close;
    for (size_t k = 0; k < COMMAND_COUNT; k++) {
        if (strcmp(commands[k].name, name) == 0)
            return &commands[k];
        names[k + 1] = commands[k].name;
    }
    close = nearest(name, names);
    *code = close ? bad(t, EXIT_USAGE, "unknown command '%s'; did you mean '%s'?", name, close)
                  : bad(t, EXIT_USAGE, "unknown command '%s'", name);
    return NULL;
}

/* ---- start ---------------------------------------------------------------------------------- */

/* libgomp reads once, when it is loaded, how long a thread spins before it sleeps, and the command
 * is linked to it: so the process starts itself again with the variable set. A middle spin count
 * is as fast as the default on a quiet machine and far better on a busy one. Whoever set a policy
 * is left alone. In the second life both variables are taken out again, so that nothing that the
 * command might start would inherit them. */
static void choose_waiting(char **argv)
{
    static const char mark[] = "TENON_STARTED_AGAIN", spin[] = "GOMP_SPINCOUNT";
    if (getenv(mark)) {
        unsetenv(mark);
        unsetenv(spin);
        return;
    }
    if (getenv(spin) || getenv("OMP_WAIT_POLICY") || setenv(mark, "1", 1) ||
        setenv(spin, "100000", 1))
        return;
    execv("/proc/self/exe", argv); /* comes back only when there is no /proc: then without it */
    unsetenv(mark);
    unsetenv(spin);
}

static bool runs_networks(const char *name)
{
    return strcmp(name, "run") == 0 || strcmp(name, "bench") == 0 || strcmp(name, "compare") == 0;
}

static int dispatch(tool *t, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    const command *cmd;
    int code = EXIT_FINE;
    if (strcmp(name, "--version") == 0)
        return printf("tenon %s\n", tn_version()) < 0;
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        if (argc < 3)
            return help();
        cmd = find_command(t, argv[2], &code);
        return cmd ? help_command(cmd) : code;
    }
    cmd = find_command(t, name, &code);
    if (!cmd)
        return code;
    t->cmd = cmd;
    code = options_parse(t, cmd, argc - 2, argv + 2);
    if (code)
        return code;
    if (t->set.help)
        return help_command(cmd);
    if (t->set.version)
        return printf("tenon %s\n", tn_version()) < 0;
    return cmd->run(t);
}

int main(int argc, char **argv)
{
    tool t = { .cmd = NULL };
    int code;
    if (argc > 1 && runs_networks(argv[1]))
        choose_waiting(argv);
    code = dispatch(&t, argc, argv);
    tool_fini(&t);
    if (fflush(stdout) || ferror(stdout)) {
        fputs("tenon: the output could not be written\n", stderr);
        code = code ? code : EXIT_TROUBLE;
    }
    return code;
}
