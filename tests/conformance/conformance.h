/* tests/conformance: ONNX's own backend tests, run on libtenon.
 *
 * A test is a folder with model.onnx and test_data_set_0/{input,output}_K.pb, or of the "light"
 * models a file. Each runs in a process of its own, so that a crash is one failure. The way:
 * list.c finds the tests, main.c forks and collects, run.c is the child (value.c reads the data,
 * compare.c compares, exceptions.c knows what nobody can reproduce), report.c prints.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "tenon/tenon.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum outcome {
    OUTCOME_OK,
    OUTCOME_FAILED,
    OUTCOME_NOT_HELD,
    OUTCOME_SKIPPED,
    OUTCOME_NO_BODY, /* nothing in it can be made of other operators */
    OUTCOMES
} outcome;

typedef struct test {
    char *name;       /* "node/test_add" */
    char *model;      /* path of the .onnx file */
    char *data;       /* folder of the .pb files; NULL: a light model */
    bool debian;      /* of libonnx-testdata, whose version is 1.12 */
    bool written_out; /* ONNX wrote the same out of other operators, in a test beside it */
    outcome outcome;
    char *why;
    char *operators; /* of the model's graph, each once, separated by spaces; NULL: not read */
} test;

typedef struct tests {
    test *items;
    size_t count, capacity;
} tests;

typedef struct settings {
    const char *backends; /* NULL: the default list */
    const char *passes;   /* NULL: the default set */
    const char *only;     /* a pattern for names, or NULL */
    const char *expand;   /* "body", "kernel" or NULL */
    bool bodies;          /* operators that can be made of others are; only tests with such */
    bool list;
    unsigned jobs, seconds;
} settings;

/* Adds the tests of a folder ("…/node" or "…/light"), sorted; a folder that is not there adds none. */
void list_folder(tests *all, const char *folder, const settings *set);
/* Adds all of libonnx-testdata and of the folder in $TENON_ONNX_TESTS, the light models if wanted. */
void list_data(tests *all, bool light, const settings *set);
void list_free(tests *all);

/* Reads a .pb file of a value of that type (its kind: tensor, sequence, optional). What it makes
 * lives until the process ends, which is one test. */
bool value_read(tn_runtime *runtime, const char *path, const tn_type *type, tn_tensor **out,
                char *why, size_t room);
/* What the light models are fed: k/n, for k in [0, n). */
bool value_ramp(const tn_type *type, tn_tensor **out, char *why, size_t room);

/* rtol 1e-3, atol (upstream's is 1e-7) and NaN equal to NaN for floats; everything else exactly. */
bool compare_values(const tn_tensor *got, const tn_tensor *want, double atol, char *why,
                    size_t room);
/* The same kind, element type and shape. */
bool compare_types(const tn_tensor *got, const tn_tensor *want, char *why, size_t room);
/* An element of a floating-point or integer tensor as a number. */
double element_of(const tn_tensor *tensor, size_t k);
size_t elements_of(const tn_tensor *tensor);
const char *type_text(const tn_tensor *tensor, char *text, size_t room);

/* What is known of a test besides its data. */
typedef struct exception {
    const char *pattern; /* of the name without folder */
    const char *reason;
    /* Checks what chance leaves: given the inputs and the outputs; NULL: the data is wrong, and
     * only types are compared. */
    bool (*check)(const tn_tensor *const *inputs, size_t input_count,
                  const tn_tensor *const *outputs, size_t output_count, char *why, size_t room);
    bool debian_only;
    double atol;     /* not 0: compared after all, with this tolerance instead of 1e-7 */
    bool skip;       /* the inputs cannot even be given: not run */
    bool exact_sums; /* the data asks for sums in one order: no exception on `reference` alone */
} exception;
const exception *exception_of(const test *t);

/* Runs one test and prints "STATUS\nOPERATORS\nWHY" to `out`. */
void run_test(tn_runtime *runtime, const test *t, const settings *set, FILE *out);

/* TAP, the table by operator, the closing count; answers whether nothing failed. */
bool report(const tests *all, const settings *set);

#endif
