/* plugins/vision/affine_grid.c: AffineGrid (ONNX operators: AffineGrid; Jaderberg et al. 2015).
 *
 *   grid[n, o] = theta[n] * (x(o), y(o), (z(o),) 1)
 *
 * The places of d output positions are -1 to 1: with align_corners 2o/(d-1) - 1, else the centres
 * (2o+1)/d - 1. One position with align_corners lies at -1.
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/upgrade.h"
#include "vision.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------- */

/* Spatial axes as the inputs tell: 2 or 3; -1 unknown, 0 after a complaint. */
static int32_t spatial_of(tn_infer *ctx)
{
    const tn_type *theta = ctx->inputs[0];
    const int64_t length = vision_length(ctx, 1);
    if (vision_type(ctx, 1)->rank >= 0 && !vision_check_rank(ctx, 1, "size", 1, "a vector"))
        return 0;
    if (length >= 0 && length != 4 && length != 5) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'size' has %" PRId64
                                 " elements: expected 4, [N, C, H, W], or 5, [N, C, D, H, W]",
                                 length);
        return 0;
    }
    if (length >= 0)
        return (int32_t)length - 2;
    if (theta->rank == 3 && tn_dim_known(theta->dims[1]))
        return theta->dims[1] == 2 || theta->dims[1] == 3 ? (int32_t)theta->dims[1] : -1;
    return -1;
}

static int check_theta(tn_infer *ctx, int32_t spatial, tn_dim samples)
{
    return vision_check_dim(ctx, 0, "theta", 1, spatial, "a row for each spatial axis") &&
           vision_check_dim(ctx, 0, "theta", 2, spatial + 1,
                            "a column for each spatial axis and one more") &&
           vision_check_dim(ctx, 0, "theta", 0, samples, "size[0]");
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *theta = ctx->inputs[0];
    tn_type *grid = &ctx->outputs[0];
    tn_dim size[5];
    if (!theta || !ctx->inputs[1])
        return TN_OK;
    if (theta->rank >= 0 && !vision_check_rank(ctx, 0, "theta", 3, "3, [N, 2, 3] or [N, 3, 4]"))
        return TN_OK;
    const int32_t spatial = spatial_of(ctx);
    if (spatial <= 0)
        return TN_OK;
    if (ctx->call.host->input_elements(&ctx->call, 1, size, 5) != spatial + 2)
        for (int32_t k = 0; k < spatial + 2; k++)
            size[k] = TN_DIM_UNKNOWN;
    if (theta->rank == 3 && !check_theta(ctx, spatial, size[0]))
        return TN_OK;
    for (int32_t k = 0; k < spatial + 2; k++)
        if (tn_dim_known(size[k]) && size[k] < 0) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     "size[%d] is %" PRId64 ": expected an extent of at least 0",
                                     (int)k, size[k]);
            return TN_OK;
        }
    grid->rank = spatial + 2;
    grid->dims[0] = theta->rank == 3 && theta->dims[0] != TN_DIM_UNKNOWN ? theta->dims[0] : size[0];
    for (int32_t k = 0; k < spatial; k++)
        grid->dims[k + 1] = size[k + 2];
    grid->dims[spatial + 1] = spatial;
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *grid = &ctx->outputs[0];
    out->macs = (double)(grid->rank - 1);
    for (int32_t k = 0; k < grid->rank; k++)
        out->macs *= (double)grid->dims[k];
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *theta;
    tn_tensor *grid;
    int32_t spatial;
    int corners;
} job;

static double place(const job *j, int64_t o, int64_t extent)
{
    if (j->corners)
        return extent > 1 ? -1 + (double)o * (2.0 / (double)(extent - 1)) : -1.0;
    const double step = 2.0 / (double)extent;
    return -1 + step / 2 + (double)o * step;
}

static tn_status run_points(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int32_t s = j->spatial;
    (void)thread;
    for (int64_t point = begin; point < end; point++) {
        double at[4] = { 0, 0, 0, 0 }; /* x, y, (z,) 1 */
        int64_t rest = point;
        for (int32_t k = 0; k < s; k++) {
            const int64_t extent = j->grid->dims[s - k];
            at[k] = place(j, rest % extent, extent);
            rest /= extent;
        }
        at[s] = 1.0;
        for (int32_t row = 0; row < s; row++) {
            double sum = 0.0;
            for (int32_t k = 0; k <= s; k++)
                sum += vision_load(j->theta, (rest * s + row) * (s + 1) + k) * at[k];
            tn_set_float(j->grid->dtype, j->grid->data, point * s + row, sum);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .theta = ctx->inputs[0],
              .grid = ctx->outputs[0],
              .spatial = ctx->outputs[0]->rank - 2,
              .corners = tn_attr_int(ctx->node, "align_corners", 0) != 0 };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(j.grid) / j.spatial, 4096, run_points,
                                        &j);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* Element k of the vector `size`, as a scalar of int64. */
static tn_value_id put_extent(tn_edit *e, int64_t k)
{
    const tn_value_id index = tn_put_constant(e, TN_INT64, 0, 1, &k);
    return tn_put(e, "Gather", tn_edit_input(e, 1), index, TN_NONE, NULL);
}

static tn_value_id put_real(tn_edit *e, tn_value_id x)
{
    return tn_put_with(e, "Cast", x, TN_NONE, "to", TN_FLOAT64);
}

static tn_value_id put_number(tn_edit *e, double number)
{
    return tn_put_scalar(e, TN_FLOAT64, number);
}

/* The places along an axis, see place(): the first one, and steps from there. */
static tn_value_id put_axis_places(tn_edit *e, tn_value_id extent, int corners)
{
    const tn_value_id none = tn_put_scalar(e, TN_INT64, 0.0), one = tn_put_scalar(e, TN_INT64, 1.0);
    tn_value_id parts = extent, first = put_number(e, -1.0);
    if (corners) { /* a single one is the first, whatever the step */
        parts = tn_put(e, "Sub", extent, one, TN_NONE, NULL);
        parts = tn_put(e, "Max", parts, one, TN_NONE, NULL);
    }
    const tn_value_id step = tn_put(e, "Div", put_number(e, 2.0), put_real(e, parts), TN_NONE,
                                    NULL);
    if (!corners)
        first = tn_put(e, "Add", first, tn_put(e, "Div", step, put_number(e, 2.0), TN_NONE, NULL),
                       TN_NONE, NULL);
    const tn_value_id o = put_real(e, tn_put(e, "Range", none, extent, one, NULL));
    return tn_put(e, "Add", first, tn_put(e, "Mul", o, step, TN_NONE, NULL), TN_NONE, NULL);
}

/* Column k of each matrix, with an axis of 1 for each spatial axis: [N, 1, 1, (1,) rows]. */
static tn_value_id put_column(tn_edit *e, tn_value_id theta, int32_t spatial, int64_t k)
{
    static const int64_t axes[] = { 1, 2, 3 };
    const tn_value_id index = tn_put_constant(e, TN_INT64, 0, 1, &k);
    const tn_value_id column = tn_put_with(e, "Gather", theta, index, "axis", 2);
    return tn_put(e, "Unsqueeze", column, tn_put_ints(e, axes, spatial), TN_NONE, NULL);
}

/* Spatial axes as the types tell; 0: they do not. */
static int32_t spatial_from_types(const tn_edit *e)
{
    const tn_type *theta = tn_edit_type(e, tn_edit_input(e, 0));
    const tn_type *size = tn_edit_type(e, tn_edit_input(e, 1));
    if (size && size->rank == 1 && tn_dim_known(size->dims[0]))
        return (int32_t)size->dims[0] - 2;
    return theta && theta->rank == 3 && tn_dim_known(theta->dims[1]) ? (int32_t)theta->dims[1] : 0;
}

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    static const int64_t behind[] = { 1, 2, 3 };
    tn_edit e = tn_edit_node(ctx, node);
    const int32_t spatial = spatial_from_types(&e);
    const int corners = tn_attr_int(tn_edit_view(&e), "align_corners", 0) != 0;
    const tn_type *type = tn_edit_type(&e, tn_edit_input(&e, 0));
    const uint32_t dtype = type ? type->dtype : TN_UNDEFINED;
    if (dtype == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of input 'theta' is not known");
    if (spatial != 2 && spatial != 3)
        return tn_fail(ctx, TN_KEEP, "the types do not tell how many spatial axes there are");
    const tn_value_id theta = put_real(&e, tn_edit_input(&e, 0));
    tn_value_id sum = TN_NONE;
    for (int32_t k = 0; k < spatial; k++) { /* x goes with the last axis */
        tn_value_id at = put_axis_places(&e, put_extent(&e, spatial + 1 - k), corners);
        at = tn_put(&e, "Unsqueeze", at, tn_put_ints(&e, behind, k + 1), TN_NONE, NULL);
        const tn_value_id term = tn_put(&e, "Mul", put_column(&e, theta, spatial, k), at, TN_NONE,
                                        NULL);
        sum = k ? tn_put(&e, "Add", sum, term, TN_NONE, NULL) : term;
    }
    sum = tn_put(&e, "Add", sum, put_column(&e, theta, spatial, spatial), TN_NONE, NULL);
    return tn_edit_give(&e, tn_put_with(&e, "Cast", sum, TN_NONE, "to", dtype));
}

/* ---- tables ------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "theta", "T1", TN_MASK_FLOAT, 0, 0, "a matrix for each sample: [N, 2, 3] or [N, 3, 4]" },
    { "size", "T2", TN_BIT(TN_INT64), 0, 0, "of the picture to sample: [N, C, (D,) H, W]" },
};
static const tn_param_def outputs[] = {
    { "grid", "T1", TN_MASK_FLOAT, 0, 0, "points for GridSample: [N, (D,) H, W, 2 or 3]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "align_corners",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: -1 and 1 are centres of elements; 0: outer edges" },
};
static const tn_operator_def affine_grid = { .size = sizeof affine_grid,
                                             .since = 20,
                                             .name = "AffineGrid",
                                             .doc = "Points of a picture after an affine map.",
                                             .inputs = inputs,
                                             .input_count = 2,
                                             .outputs = outputs,
                                             .output_count = 1,
                                             .attributes = attributes,
                                             .attribute_count = 1,
                                             .infer = infer,
                                             .cost = cost,
                                             .expand = write_out };
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "AffineGrid", .run = run, .flags = TN_KERNEL_ANY_STEPS
};

tn_status affine_grid_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &affine_grid));
    return registrar->add_kernel(registrar, &kernel);
}
