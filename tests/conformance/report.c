/* tests/conformance/report.c: what came out, as TAP and as a table by operator.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *op;
    size_t counts[OUTCOMES];
} row;
typedef struct table {
    row *rows;
    size_t count;
} table;

static row *row_of(table *t, const char *op)
{
    for (size_t k = 0; k < t->count; k++)
        if (!strcmp(t->rows[k].op, op))
            return &t->rows[k];
    t->rows = realloc(t->rows, (t->count + 1) * sizeof *t->rows);
    if (!t->rows)
        abort();
    t->rows[t->count] = (row){ .op = op };
    return &t->rows[t->count++];
}

static int by_operator(const void *a, const void *b)
{
    return strcmp(((const row *)a)->op, ((const row *)b)->op);
}

/* Cuts the tests' lists of operators into words, which the rows point to. */
static void print_table(const tests *all)
{
    table t = { NULL, 0 };
    for (size_t k = 0; k < all->count; k++) {
        char *rest = NULL;
        for (char *op = strtok_r(all->items[k].operators, " ", &rest); op;
             op = strtok_r(NULL, " ", &rest))
            row_of(&t, op)->counts[all->items[k].outcome]++;
    }
    if (t.count)
        qsort(t.rows, t.count, sizeof *t.rows, by_operator);
    printf("# %-30s %5s %7s %9s\n", "operator", "ok", "failed", "not held");
    for (size_t k = 0; k < t.count; k++)
        printf("# %-30s %5zu %7zu %9zu\n", t.rows[k].op, t.rows[k].counts[OUTCOME_OK],
               t.rows[k].counts[OUTCOME_FAILED], t.rows[k].counts[OUTCOME_NOT_HELD]);
    free(t.rows);
}

static void print_special(const tests *all)
{
    for (size_t k = 0; k < all->count; k++) {
        const exception *e = exception_of(&all->items[k]);
        if (e && !e->skip)
            printf("# not by its data alone: %s: %s\n", all->items[k].name, e->reason);
    }
}

static void print_bodies(const tests *all)
{
    size_t forced = 0, both = 0;
    for (size_t k = 0; k < all->count; k++) {
        const test *t = &all->items[k];
        const bool ran = t->outcome == OUTCOME_OK || t->outcome == OUTCOME_FAILED;
        forced += ran;
        both += ran && t->written_out;
    }
    printf("# body forced in %zu tests, %zu of them of operators that ONNX wrote out\n", forced,
           both);
}

/* ONNX wrote the operator out, and nothing was made of it here. */
static bool lacks_body(const test *t)
{
    return t->outcome == OUTCOME_NO_BODY && t->written_out;
}

bool report(const tests *all, const settings *set)
{
    size_t counts[OUTCOMES] = { 0 }, number = 0;
    for (size_t k = 0; k < all->count; k++) {
        const test *t = &all->items[k];
        counts[lacks_body(t) ? OUTCOME_FAILED : t->outcome]++;
        if (lacks_body(t))
            printf("not ok %zu - %s: ONNX wrote its operator out: expected a body here, too\n",
                   ++number, t->name);
        if (t->outcome == OUTCOME_NO_BODY)
            continue;
        if (t->outcome == OUTCOME_NOT_HELD) {
            if (set->list)
                printf("# not held: %s: %s\n", t->name, t->why);
            continue;
        }
        if (t->outcome == OUTCOME_SKIPPED) {
            printf("ok %zu - %s # SKIP the data is wrong: %s\n", ++number, t->name,
                   exception_of(t)->reason);
            continue;
        }
        printf("%sok %zu - %s%s%s\n", t->outcome == OUTCOME_OK ? "" : "not ", ++number, t->name,
               *t->why ? ": " : "", t->why);
    }
    printf("1..%zu\n", number);
    print_special(all);
    print_table(all);
    if (set->bodies)
        print_bodies(all);
    printf("# %zu ok, %zu failed, %zu not held, %zu with wrong data; backends %s, passes %s%s\n",
           counts[OUTCOME_OK], counts[OUTCOME_FAILED], counts[OUTCOME_NOT_HELD],
           counts[OUTCOME_SKIPPED], set->backends ? set->backends : "all",
           set->passes ? set->passes : "default", set->bodies ? ", bodies" : "");
    return !counts[OUTCOME_FAILED];
}
