/* plugins/einsum/einsum.h: what the files of this folder share.
 *
 * An equation ("bij,bjk->bik") becomes labels for each axis of each operand. A view is a tensor seen
 * by labels: how far a step along each label goes in it. A plan contracts views two by two.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_EINSUM_H
#define TENON_PLUGINS_EINSUM_H

#include "tenon/kernel.h"

/* ---- equation.c: text to labels ------------------------------------------------------------ */

enum {
    EINSUM_OPERANDS = 32,
    EINSUM_LETTERS = 52,                         /* A to Z, then a to z: in the order of ASCII */
    EINSUM_LABELS = EINSUM_LETTERS + TN_MAX_RANK /* then the ellipsis' axes, the last one last */
};

/* The letters of one operand, and before which of them the ellipsis stands; -1: none. */
typedef struct einsum_term {
    int32_t count;
    int32_t dots;
    uint8_t letters[TN_MAX_RANK];
} einsum_term;

typedef struct einsum_equation {
    uint32_t operand_count;
    einsum_term operands[EINSUM_OPERANDS];
    einsum_term out;
} einsum_equation;

/* Reads an equation for `operand_count` inputs. Answers 0 with a reason where it is none. */
int einsum_parse(const char *text, uint32_t operand_count, einsum_equation *out, char *reason,
                 size_t bytes);
/* The label of each axis of a tensor of `rank` under a term; 0: the rank does not fit. */
int einsum_labels(const einsum_term *term, int32_t rank, uint8_t *labels);
char einsum_letter(uint8_t label); /* '.' for an ellipsis' axis */

/* ---- plan.c: which two first ---------------------------------------------------------------- */

/* A tensor by labels. Steps count elements, and are 0 where an extent of 1 is repeated. */
typedef struct einsum_view {
    uint32_t dtype;
    void *data;
    uint8_t has[EINSUM_LABELS];
    int64_t step[EINSUM_LABELS];
} einsum_view;

typedef struct einsum_step {
    uint32_t a, b; /* views; b is EINSUM_VIEWS where there is no second */
    uint32_t out;
    int32_t out_rank; /* labels of the result, in the order of its axes */
    uint8_t out_labels[EINSUM_LABELS];
    int64_t count; /* elements of the result */
} einsum_step;

enum { EINSUM_VIEWS = 2 * EINSUM_OPERANDS };

typedef struct einsum_plan {
    int64_t extent[EINSUM_LABELS];
    uint32_t view_count; /* operands, then results of the steps */
    uint32_t step_count; /* the last one makes the output */
    einsum_view views[EINSUM_VIEWS];
    einsum_step steps[EINSUM_OPERANDS];
    size_t scratch_bytes; /* of all results but the last */
    double products;      /* multiplications with their additions */
} einsum_plan;

/* Operand k has rank ranks[k] and extents dims[k]. Answers 0 where they do not fit, or a
 * size overflows. */
int einsum_plan_make(const einsum_equation *equation, const int32_t *ranks,
                     const int64_t *const *dims, einsum_plan *out);

/* ---- contract.c: one step ------------------------------------------------------------------- */

/* out = Σ a · b over the labels that the result has not. */
tn_status einsum_contract(tn_call *call, const einsum_plan *plan, const einsum_step *step);

/* ---- files ---------------------------------------------------------------------------------- */

tn_status einsum_register(tn_registrar *registrar);
tn_status det_register(tn_registrar *registrar);

#endif
