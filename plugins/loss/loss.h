/* plugins/loss/loss.h: what the files of this folder share.
 *
 * Scores are [N, C, d1, …], targets [N, d1, …], weights [C]; `inner` is the product of d1, ….
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_LOSS_H
#define TENON_PLUGINS_LOSS_H

#include "tenon/blocks.h"
#include "tenon/upgrade.h"

enum { SCORES, TARGET, WEIGHT };
typedef enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN } reduction;

/* ---- infer.c: shapes --------------------------------------------------------------------- */

/* Checks scores, targets, weights and the attribute; sets output 0. `names` are the inputs'. */
tn_status loss_infer(tn_infer *ctx, const char *const *names);
reduction loss_reduction(const tn_node_view *node);
/* Samples do not touch each other unless they are reduced. */
tn_status loss_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
/* ops: one for each score. */
tn_status loss_cost(tn_infer *ctx, tn_cost *out);

/* ---- reduce.c: from picked scores to the loss ------------------------------------------------ */

typedef struct loss_job {
    tn_call *call;
    const tn_tensor *scores, *target, *weight;
    tn_tensor *loss;               /* NULL: not wanted */
    int64_t classes, inner, count; /* count: of targets */
    int64_t ignored;
    int has_ignored;
    reduction reduction;
    const char *target_name;
    /* -log(probability) of class c for target number i */
    double (*pick)(const struct loss_job *job, int64_t i, int64_t c);
    const double *norms; /* [count] for pick: what is subtracted from a score for its logarithm */
} loss_job;

/* Fills in all that a node says; pick and norms are the caller's. */
void loss_job_init(loss_job *job, tn_run *ctx, const char *target_name);
/* Writes the loss. TN_ERR_VALUE for a target that is no class. */
tn_status loss_finish(loss_job *job);
/* Where the score of class 0 for target number i stands; the next class is `inner` further. */
static inline int64_t loss_origin(const loss_job *job, int64_t i)
{
    return i / job->inner * job->classes * job->inner + i % job->inner;
}

/* ---- write.c: as other operators -------------------------------------------------------------- */

typedef struct loss_written {
    tn_edit e;
    uint32_t dtype, wide; /* of the scores; what is computed in */
} loss_written;

/* TN_KEEP where the type of the scores, input `name`, is not known. */
tn_status loss_write_begin(loss_written *w, tn_rewrite *ctx, tn_node_id node, const char *name);
/* A value of the scores' type as what is computed in, and back. */
tn_value_id loss_write_wide(loss_written *w, tn_value_id x);
tn_value_id loss_write_narrow(loss_written *w, tn_value_id x);
/* Puts the loss, from wide logarithms of probabilities, in the node's place. The last edit. */
tn_status loss_write(loss_written *w, tn_value_id log_prob);

/* ---- files --------------------------------------------------------------------------------- */

tn_status likelihood_register(tn_registrar *registrar);
tn_status cross_entropy_register(tn_registrar *registrar);

#endif
