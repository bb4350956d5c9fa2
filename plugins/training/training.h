/* plugins/training/training.h: optimizers that step several tensors at once.
 *
 * Inputs: R (learning rate), T (count of updates), then n tensors X, their n gradients, and n of
 * each kind of memory. Outputs: n new X, then n of each new memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_TRAINING_H
#define TENON_PLUGINS_TRAINING_H

#include "tenon/blocks.h"

enum { RATE, COUNT, TENSORS }; /* inputs; TENSORS begins the variadic ones */
enum { MEMORIES = 2 };         /* at most */

/* What the attributes and the scalars say. Members that an optimizer lacks are 0. */
typedef struct setting {
    double rate;
    int64_t count;
    double alpha, beta, decay, epsilon, norm, norm_post;
    int nesterov;
} setting;

typedef struct optimizer {
    const char *name, *doc;
    const tn_attribute_def *attributes;
    uint16_t attribute_count;
    int32_t memories; /* tensors kept for each X besides itself */
    /* Steps n elements (at most BLOCK): x and memory are read and written, g is read. */
    void (*step)(const setting *s, int64_t n, double *x, const double *g, double (*memory)[BLOCK]);
} optimizer;

/* steps.c: the mathematics */
extern const optimizer optimizers[];
extern const size_t optimizer_count;

/* optimizer.c: inference and the walk over tensors */
tn_status optimizer_register(tn_registrar *registrar, const optimizer *row);

#endif
