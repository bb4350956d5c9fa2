/* plugins/control/copy_body.h: the nodes of a body once more, inside another body.
 *
 * For operators that are written out as another one whose body does the same and more. The caller
 * says what stands for the body's inputs (copy_pair), copies the nodes, and asks what stands for its
 * outputs (copy_value). Errors are tn_fail's, TN_KEEP among them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_CONTROL_COPY_BODY_H
#define TENON_PLUGINS_CONTROL_COPY_BODY_H

#include "tenon/kernel.h"

enum { COPY_REGIONS = 64 };

typedef struct body_copy {
    tn_rewrite *ctx;
    tn_value_id (*pairs)[2]; /* [count] a value, and what stands for it */
    size_t count, room;
    tn_region_id regions[COPY_REGIONS][2]; /* [region_count] a region, and what is made of it */
    uint32_t region_count;
} body_copy;

/* `to` stands for `from`. */
tn_status copy_pair(body_copy *c, tn_value_id from, tn_value_id to);
/* What stands for a value: itself, when it comes from outside. Constants are brought along. */
tn_status copy_value(body_copy *c, tn_value_id from, tn_value_id *out);
/* Puts twins of all nodes of `from` at the end of `to`, with the bodies that they have. */
tn_status copy_nodes(body_copy *c, tn_region_id from, tn_region_id to);
void copy_fini(body_copy *c);

#endif
