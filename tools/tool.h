/* tools/tool.h: what the files of the command `tenon` share.
 *
 * The command is an application like any other: of Tenon it includes the embedding API, and
 * tenon/kernel.h for reading elements of the small types. One file per subcommand, named like it;
 * the rest are support, named for the one thing they know (a file format, options, tables).
 *
 * Functions that can go wrong return an exit code: 0, or what the process shall end with, after
 * having said why on stderr. Memory comes from the pool of the tool and lives until the process
 * ends, so nothing here frees piece by piece.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TOOL_H
#define TENON_TOOL_H

#include "tenon/tenon.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit codes; `tenon --help` documents them. */
enum {
    EXIT_FINE = 0,
    EXIT_BAD = 1,     /* the model or an input is bad */
    EXIT_USAGE = 2,   /* the command line is */
    EXIT_BACKEND = 3, /* a backend or plugin is absent, refused, or takes no node */
    EXIT_TROUBLE = 4, /* memory, or a mistake of Tenon's own */
    EXIT_DIFFERS = 5  /* run --expect: the answers differ; --verify: a pass changed them */
};

/* ---- options.c ------------------------------------------------------------------------------ */

typedef struct list {
    const char **items;
    size_t count;
} list;

/* Every option of every command, as given. Text is NULL, numbers are 0 where not given. */
typedef struct settings {
    list arguments; /* what is no option */
    list inputs, shapes, expect, plugin_files;
    const char *plugin_path, *backend, *placement, *passes, *math, *save;
    const char *dump_after, *seeds, *opset;
    const char *labels, *size, *mean, *std, *layout, *scale, *truth, *op, *index;
    uint64_t threads, batch, limit, top, draw, seed, runs, warmup;
    double seconds, tolerance;
    bool has_top, has_warmup, has_tolerance, has_threads;
    bool random, quiet, ops, plan, graph, show_passes, open, profile, json, optimized, trust;
    bool explain, verify, fused;
    bool no_fusion, no_views, no_pieces, plain_layouts, vendor_reference, bodies, help, version;
} settings;

typedef struct tool tool;

/* A subcommand: its row in the table of main.c. */
typedef struct command {
    const char *name;
    const char *arguments; /* "MODEL" */
    size_t least, most;    /* how many of them */
    uint32_t bit;          /* CMD_*, for the table of options */
    int (*run)(tool *t);
    const char *summary; /* one line */
    const char *about;   /* what `tenon help NAME` teaches */
} command;
enum {
    CMD_RUN = 1,
    CMD_INSPECT = 2,
    CMD_CHECK = 4,
    CMD_PLUGINS = 8,
    CMD_BENCH = 16,
    CMD_COMPARE = 32,
    CMD_CONVERT = 64,
    CMD_OPTIMIZE = 128,
    CMD_ALL = 255
};

int options_parse(tool *t, const command *cmd, int count, char **words);
void options_help(const command *cmd, FILE *out);
/* The one of `names` (a list that ends with NULL) that `word` may have meant, or NULL. */
const char *nearest(const char *word, const char *const *names);

/* ---- tool.c: memory, complaints, files ------------------------------------------------------ */

struct tool {
    const command *cmd;
    settings set;
    struct piece *pool;
    tn_runtime *runtime;
    tn_model *model;
    tn_session *session;
    tn_context *context;
    tn_diagnostics *diagnostics;
    list values; /* sequences and optionals made for inputs: tn_tensor *, destroyed at the end */
};

/* Zeroed memory of the pool; ends the process with EXIT_TROUBLE when there is none. */
void *keep(tool *t, size_t bytes);
void *keep_array(tool *t, size_t count, size_t each);
char *keep_text(tool *t, const char *text, size_t count);
char *keep_format(tool *t, const char *format, ...) TN_PRINTF(2, 3);
void list_add(tool *t, list *l, const void *item);
void tool_fini(tool *t);

/* Says what is wrong, on stderr, and answers `code`. */
int bad(tool *t, int code, const char *format, ...) TN_PRINTF(3, 4);
/* Prints what the library complained about, all of it, and answers the exit code for it. */
int complain(tool *t, tn_status status);
/* Prints what was collected and forgets it (after a success: the warnings). */
void print_diagnostics(tool *t);

typedef struct blob {
    uint8_t *data;
    size_t count;
} blob;
int file_read(tool *t, const char *path, blob *out);
double now(void); /* seconds */

/* ---- session.c: from options to sessions and shapes ----------------------------------------- */

int open_runtime(tool *t);
/* Opens every backend that was found; which cannot be, tn_runtime_plugin then says. */
void open_backends(tool *t);
int open_model(tool *t, const char *path);
/* With the options of the command line; backends, passes NULL: the options'. Flags are added. */
int open_session(tool *t, const char *backends, const char *passes, uint32_t flags,
                 const char *outputs, tn_session **out);
size_t input_count(const tn_session *session);
size_t output_count(const tn_session *session);
/* The input of that name or NULL after a complaint that gives the nearest. */
const tn_port *find_input(tool *t, const tn_session *session, const char *name);
/* Type of an input with numbers for its extents, by --shape; a symbol that nothing binds is 1. */
int concrete_type(tool *t, const tn_port *port, tn_type *out);
/* Complains about a --shape that names no input and no symbol. */
int check_shapes(tool *t, const tn_session *session);
/* Bindings of all inputs by --shape; *count 0 when there is no --shape. */
int shape_bindings(tool *t, const tn_session *session, tn_binding **out, size_t *count);
const char *base_name(const char *path);

/* ---- tensors.c: arrays, their elements, files of them --------------------------------------- */

/* NULL after a complaint (too large). Memory is zeroed. Strings point into the pool. */
tn_tensor *array_make(tool *t, uint32_t dtype, int32_t rank, const int64_t *dims);
/* For a file: the shape must need `available` bytes, or any number where that is SIZE_MAX. Asked
 * before anything is allocated, since a shape is only a promise. */
int array_check(tool *t, const char *name, uint32_t dtype, int32_t rank, const int64_t *dims,
                size_t available);
/* The same elements as another type: what numpy has no type for is stored as float32 or int8. */
tn_tensor *array_convert(tool *t, const tn_tensor *from, uint32_t dtype);
int64_t element_count(const tn_tensor *tensor);
/* "FILE", "FILE.npz:member", "FILE.safetensors:name". `type` is what it is for, or NULL: where that is
 * a sequence or optional, ONNX's .pb may hold all of it; other files hold tensors. */
int array_read(tool *t, const char *file, const tn_type *type, tn_tensor **out);
tn_tensor *array_random(tool *t, const tn_type *type, uint64_t seed);
/* Position of the largest element of row `row` when the last axis is a row. */
int64_t row_argmax(const tn_tensor *tensor, int64_t row, int64_t width);

/* ---- file formats --------------------------------------------------------------------------- */

int npy_read(tool *t, const char *name, blob bytes, tn_tensor **out);
int npy_write(tool *t, const char *path, const tn_tensor *tensor);
const char *npy_dtype(uint32_t dtype); /* as what a type is stored: "float32" for bfloat16 */
int npz_read(tool *t, const char *name, blob bytes, const char *member, tn_tensor **out);
int safetensors_read(tool *t, const char *name, blob bytes, const char *member, tn_tensor **out);
int idx_read(tool *t, const char *name, blob bytes, tn_tensor **out);
bool idx_sniff(blob bytes);

/* One picture: rows × columns × channels bytes. */
typedef struct picture {
    const uint8_t *pixels;
    int64_t rows, columns, channels;
    const char *name;
} picture;
int png_read(tool *t, const char *name, blob bytes, picture *out);
int jpeg_read(tool *t, const char *name, blob bytes, picture *out);

/* How pictures become elements of an input: element = (pixel / scale - mean) / std. */
typedef struct recipe {
    int64_t rows, columns, channels; /* 0: as the picture has it */
    bool channels_last;
    bool raw; /* an integer input takes the pixels as they are */
    float mean[4], std[4];
    float scale;
} recipe;
int recipe_make(tool *t, const tn_port *port, recipe *out);
/* Writes one picture at element `at` of `into`. */
int picture_store(tool *t, const picture *from, const recipe *r, tn_tensor *into, int64_t at);

/* ---- inputs.c: what a run is given ---------------------------------------------------------- */

typedef struct input {
    const tn_port *port;
    const char *file;  /* for the summary; NULL: random or default */
    tn_tensor *tensor; /* NULL: pictures, or left to its default */
    picture *pictures;
    int64_t picture_count;
    recipe recipe;
} input;
typedef struct inputs {
    input *items;
    size_t count;
    int64_t pictures; /* 0: no input is made of pictures */
    int64_t batch;
} inputs;
/* Reads --input, fills the rest by random values when `random`. */
int inputs_read(tool *t, const tn_session *session, bool random, inputs *out);
/* Sets the inputs for pictures [first, first + count); without pictures, call it once. */
int inputs_set(tool *t, tn_context *context, const inputs *in, int64_t first, int64_t count);
/* The types that were set, for reports. After inputs_set. */
tn_binding *inputs_bindings(tool *t, const inputs *in, size_t *count);
/* For bench and compare: one batch of the inputs (--random is implied), set in a new context. */
int context_make(tool *t, tn_session *session, const inputs *in, tn_context **out);

/* ---- print.c, progress.c, save.c, answers.c ------------------------------------------------- */

/* A table: cells separated by tabs in a row's text; a '>' before a heading aligns right. */
typedef struct table {
    list rows;
    const char *heading;
} table;
void table_add(tool *t, table *tab, const char *format, ...) TN_PRINTF(3, 4);
void table_print(const table *tab, FILE *out);
/* Text of others with control characters replaced, so that a file cannot drive the terminal. */
void print_clean(FILE *out, const char *text, size_t count);
void print_to_stdout(void *user, const char *text, size_t count);
void print_tensor(FILE *out, const tn_tensor *tensor);
const char *shape_text(tool *t, int32_t rank, const int64_t *dims);
const char *type_text(tool *t, const tn_tensor *tensor);
const char *count_text(tool *t, double count);  /* "2.27 M" */
const char *bytes_text(tool *t, double bytes);  /* "474 kB" */
const char *time_text(tool *t, double seconds); /* "12.3 µs" */

typedef struct progress {
    const char *what;
    int64_t total;
    double begin, shown;
    bool visible;
} progress;
void progress_begin(progress *p, const char *what, int64_t total);
void progress_step(progress *p, int64_t done);
void progress_end(progress *p);
/* Shows a line in the bar's place; `user` is a progress. */
void progress_line(void *user, const char *line);

typedef struct answers {
    const char **names;
    const tn_tensor **tensors;
    size_t count;
} answers;
int save_outputs(tool *t, const char *folder, const answers *a);
/* --top and --labels, --truth, --expect, --draw. */
int print_top(tool *t, const inputs *in, const answers *a);
int print_truth(tool *t, const answers *a);
int print_expected(tool *t, const answers *a);
int print_pictures(tool *t, const inputs *in, const answers *a);

/* ---- optimize.c: what passes did --------------------------------------------------------------- */

/* A session with --verify and --dump-after; `standard`: with standard operators only. */
int open_explained(tool *t, const char *backends, bool standard, tn_session **out);
/* --explain, --passes and --dump-after. */
int print_explained(tool *t, const tn_session *session);

/* ---- the subcommands ------------------------------------------------------------------------ */

int run_main(tool *t);
int inspect_main(tool *t);
int check_main(tool *t);
int plugins_main(tool *t);
int bench_main(tool *t);
int compare_main(tool *t);
int convert_main(tool *t);
int optimize_main(tool *t);

#endif
