/* plugins/vision/resize.h: what Resize's attributes and inputs come to, for inference and kernel.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_RESIZE_H
#define TENON_PLUGINS_RESIZE_H

#include "vision.h"

enum { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC };
enum {
    RESIZE_ROUND_PREFER_FLOOR,
    RESIZE_ROUND_PREFER_CEIL,
    RESIZE_FLOOR,
    RESIZE_CEIL,
    RESIZE_OUTWARD /* version 10: floor where it grows, ceil where it shrinks */
};
enum {
    RESIZE_HALF_PIXEL,
    RESIZE_HALF_PIXEL_SYMMETRIC,
    RESIZE_PYTORCH_HALF_PIXEL,
    RESIZE_ALIGN_CORNERS,
    RESIZE_ASYMMETRIC,
    RESIZE_TF_CROP_AND_RESIZE,
    RESIZE_TF_HALF_PIXEL_FOR_NN /* version 11 only */
};
enum { RESIZE_STRETCH, RESIZE_NOT_LARGER, RESIZE_NOT_SMALLER };

typedef struct resize_how {
    int mode, nearest, transform, policy;
    int antialias, exclude_outside;
    double cubic, extrapolation;
    int all_axes;  /* axes is left out: all, in order */
    int32_t count; /* axes that may be resized */
    int32_t axes[TN_MAX_RANK];
} resize_how;

/* Which input is what: version 10 has no roi. */
enum { RESIZE_X, RESIZE_ROI, RESIZE_SCALES, RESIZE_SIZES };
static inline uint32_t resize_place(uint32_t version, uint32_t which)
{
    return version >= 11 ? which : which == RESIZE_SCALES ? 1 : which == RESIZE_X ? 0 : UINT32_MAX;
}

/* Reads the attributes for a tensor of `rank` axes. Answers 0 after a complaint; `call` NULL:
 * silent. */
int resize_read(tn_call *call, const tn_node_view *node, int32_t rank, resize_how *out);

/* Output extent of an axis for a scale, of `sizes` for a policy: the one scale of all axes. */
int64_t resize_scaled(int64_t extent, double scale);
double resize_common_scale(const resize_how *how, const int64_t *extents, const int64_t *sizes);
int64_t resize_rounded(double extent);

tn_status resize_measure(tn_measure *ctx, void *state);
tn_status resize_run(tn_run *ctx, const void *state, void *slot);

#endif
