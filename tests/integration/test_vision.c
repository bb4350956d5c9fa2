/* Resize and its forebears, sampling, regions, boxes, unpooling, pictures: what ONNX's own data does
 * not ask. Expected numbers are worked out from the definitions, by hand or by the loops here.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>

/* ---- graphs of one node, of constants only ------------------------------------------------ */

#define GRAPH(opset, constants, node)                                                              \
    "{\"tenon\": 1, \"opset\": " opset                                                             \
    ", \"inputs\": [], \"outputs\": [\"y\"], \"constants\": {" constants                           \
    "}, \"nodes\": [{\"name\": \"it\", " node ", \"outputs\": [\"y\"]}]}"
#define F32(name, shape, data)                                                                     \
    "\"" name "\": {\"dtype\": \"float32\", \"shape\": " shape ", \"data\": " data "}"
#define TENSOR(name, dtype, shape, data)                                                           \
    "\"" name "\": {\"dtype\": \"" dtype "\", \"shape\": " shape ", \"data\": " data "}"

typedef struct answer {
    fixture f;
    tn_session *session;
    tn_context *context;
    const tn_tensor *y;
} answer;

/* Without folding, so that kernels run as they would on inputs. */
static answer run_graph(const char *json)
{
    answer a = { .f = open_text(json) };
    a.session = make_session(&a.f, "reference", "none", 2, 0);
    OK(tn_context_create(a.session, &a.context));
    OK(tn_context_run(a.context, NULL));
    a.y = tn_context_output(a.context, 0);
    return a;
}

static void end_graph(answer *a)
{
    tn_context_destroy(a->context);
    tn_session_destroy(a->session);
    close_fixture(&a->f);
}

static void expect_shape(const tn_tensor *y, int32_t rank, const int64_t *dims)
{
    cr_assert_eq(y->rank, rank, "rank %d, expected %d", y->rank, rank);
    for (int32_t k = 0; k < rank; k++)
        cr_assert_eq(y->dims[k], dims[k], "extent %d of axis %d, expected %d", (int)y->dims[k], k,
                     (int)dims[k]);
}

static void expect_floats(const char *json, int count, const float *expected)
{
    answer a = run_graph(json);
    cr_assert_eq(a.y->bytes, (size_t)count * sizeof(float), "%zu bytes", a.y->bytes);
    for (int k = 0; k < count; k++) {
        const float found = ((const float *)a.y->data)[k];
        cr_expect(fabsf(found - expected[k]) <= 1e-6f * (1 + fabsf(expected[k])) ||
                      (isnan(found) && isnan(expected[k])),
                  "element %d is %.9g, expected %.9g", k, (double)found, (double)expected[k]);
    }
    end_graph(&a);
}

static void expect_bytes(const char *json, size_t count, const void *expected)
{
    answer a = run_graph(json);
    cr_assert_eq(a.y->bytes, count, "%zu bytes, expected %zu", a.y->bytes, count);
    for (size_t k = 0; k < count; k++)
        cr_expect_eq(((const uint8_t *)a.y->data)[k], ((const uint8_t *)expected)[k],
                     "byte %zu is %d, expected %d", k, ((const uint8_t *)a.y->data)[k],
                     ((const uint8_t *)expected)[k]);
    end_graph(&a);
}

/* The complaint of a graph that does not load, compile or run: what follows the operator. */
static void expect_complaint(const char *json, const char *expected)
{
    tn_runtime *runtime;
    tn_model *model = NULL;
    tn_session *session = NULL;
    tn_context *context = NULL;
    const tn_session_options options = {
        .size = sizeof options, .backends = "reference", .passes = "none", .threads = 1
    };
    OK(tn_runtime_create(NULL, NULL, &runtime));
    tn_status status = tn_model_load_bytes(runtime, json, strlen(json), NULL, NULL, &model);
    if (!status)
        status = tn_session_create(model, &options, NULL, &session);
    if (!status)
        status = tn_context_create(session, &context);
    if (!status)
        status = tn_context_run(context, NULL);
    cr_expect_neq(status, TN_OK, "no complaint: %s", expected);
    const char *text = strstr(tn_error_message(), "): ");
    cr_expect_str_eq(text ? text + 3 : tn_error_message(), expected);
    tn_context_destroy(context);
    tn_session_destroy(session);
    tn_model_destroy(model);
    tn_runtime_destroy(runtime);
}

#define NAN_TEXT "\"NaN\""

/* ---- Resize ------------------------------------------------------------------------------- */

#define LINE F32("x", "[1, 4]", "[1, 2, 3, 4]")
#define RESIZE(attributes, more)                                                                   \
    "\"op\": \"Resize\", \"inputs\": [\"x\"" more "], \"attributes\": {" attributes "}"

Test(resize, set_10_rounds_inwards_where_it_shrinks)
{
    /* x = 0 and 1/0.6 = 1.67, up: elements 0 and 2. */
    expect_floats(GRAPH("10", LINE ", " F32("s", "[2]", "[1, 0.6]"), RESIZE("", ", \"s\"")), 2,
                  (float[]){ 1, 3 });
    /* Growing axis 0: rows 0, 0, 1, 1; shrinking axis 1 by 0.6: columns 0 and 2. No set later than
     * 10 has both in one node. */
    expect_floats(
        GRAPH("10",
              F32("x", "[2, 4]", "[1, 2, 3, 4, 5, 6, 7, 8]") ", " F32("s", "[2]", "[1.75, 0.6]"),
              RESIZE("", ", \"s\"")),
        6, (float[]){ 1, 3, 1, 3, 5, 7 });
    /* linear at 0, 2/3, 4/3, 2 … of 1 2 3 4, the border held. */
    expect_floats(GRAPH("10", LINE ", " F32("s", "[2]", "[1, 1.5]"),
                        RESIZE("\"mode\": \"linear\"", ", \"s\"")),
                  6, (float[]){ 1, 1 + 2.f / 3, 1 + 4.f / 3, 3, 3 + 2.f / 3, 4 });
}

Test(resize, set_11_has_a_transformation_of_its_own)
{
    /* (o + 0.5) / 0.5 = 1, 3 */
    expect_floats(GRAPH("11", LINE ", " F32("s", "[2]", "[1, 0.5]") ", " F32("roi", "[0]", "[]"),
                        RESIZE("\"coordinate_transformation_mode\": \"tf_half_pixel_for_nn\"",
                               ", \"roi\", \"s\"")),
                  2, (float[]){ 2, 4 });
    /* Empty scales, sizes instead; half_pixel: (o + 0.5) * 2 - 0.5 = 0.5, 2.5, half down. */
    expect_floats(GRAPH("11",
                        LINE ", " F32("e", "[0]", "[]") ", " TENSOR("n", "int64", "[2]", "[1, 2]"),
                        RESIZE("", ", \"e\", \"e\", \"n\"")),
                  2, (float[]){ 1, 3 });
}

Test(resize, rounds_and_clips_integers)
{
    /* Halves between 0 1 2 3: 0.25 steps at scale 2: 0 .25 .75 1.25 … rounded to even. */
    expect_bytes(GRAPH("19", TENSOR("x", "uint8", "[3]", "[0, 2, 255]") ", " F32("s", "[1]", "[2]"),
                       RESIZE("\"mode\": \"linear\"", ", \"\", \"s\"")),
                 6, (uint8_t[]){ 0, 0, 2, 65, 192, 255 });
    /* cubic overshoots: weights -0.10546875, 0.87890625, 0.26171875, -0.03515625 at a quarter */
    expect_bytes(GRAPH("19",
                       TENSOR("x", "uint8", "[4]", "[0, 0, 255, 255]") ", " F32("s", "[1]", "[2]"),
                       RESIZE("\"mode\": \"cubic\"", ", \"\", \"s\"")),
                 8, (uint8_t[]){ 0, 0, 0, 58, 197, 255, 255, 255 });
}

Test(resize, takes_every_type)
{
    answer a = run_graph(
        GRAPH("19", TENSOR("x", "string", "[2]", "[\"a\", \"bc\"]") ", " F32("s", "[1]", "[1.5]"),
              RESIZE("", ", \"\", \"s\"")));
    static const int64_t three[] = { 3 };
    expect_shape(a.y, 1, three);
    const tn_text *texts = a.y->data;
    cr_expect(texts[0].count == 1 && texts[1].count == 1 && texts[2].count == 2);
    end_graph(&a);
    /* Complex numbers part by part: bytes of (1, 10), (3, 20). */
    expect_floats(
        "{\"tenon\": 1, \"opset\": 19, \"inputs\": [], \"outputs\": [\"y\"], "
        "\"constants\": {\"x\": {\"dtype\": \"complex64\", \"shape\": [2], \"bytes\": "
        "\"AACAPwAAIEEAAEBAAACgQQ==\"}, " F32("s", "[1]", "[2]") "}, \"nodes\": [{" RESIZE(
            "\"mode\": \"linear\"", ", \"\", \"s\"") ", \"outputs\": [\"y\"]}]}",
        8, (float[]){ 1, 10, 1.5f, 12.5f, 2.5f, 17.5f, 3, 20 });
    expect_bytes(GRAPH("19",
                       TENSOR("x", "bool", "[2]", "[true, false]") ", " F32("s", "[1]", "[2]"),
                       RESIZE("", ", \"\", \"s\"")),
                 4, (uint8_t[]){ 1, 1, 0, 0 });
}

Test(resize, an_output_on_an_element_does_not_see_its_neighbours)
{
    expect_floats(
        GRAPH("19", F32("x", "[3]", "[1, " NAN_TEXT ", 5]") ", " TENSOR("n", "int64", "[1]", "[5]"),
              RESIZE("\"mode\": \"linear\", \"coordinate_transformation_mode\": "
                     "\"align_corners\"",
                     ", \"\", \"\", \"n\"")),
        5, (float[]){ 1, NAN, NAN, NAN, 5 });
}

Test(resize, mixes_any_number_of_axes)
{
    /* A plane in three axes stays a plane: f = z + 10 y + 100 x at (o + 0.5) / 2 - 0.5, held. */
    float expected[64];
    for (int k = 0; k < 64; k++) {
        const int o[] = { k / 16, k / 4 % 4, k % 4 };
        float value = 0, unit[] = { 1, 10, 100 };
        for (int axis = 0; axis < 3; axis++) {
            const float at = ((float)o[axis] + 0.5f) / 2 - 0.5f;
            value += unit[axis] * (at < 0 ? 0 : at > 1 ? 1 : at);
        }
        expected[k] = value;
    }
    expect_floats(GRAPH("19",
                        F32("x", "[2, 2, 2]",
                            "[0, 100, 10, 110, 1, 101, 11, 111]") ", " F32("s", "[3]", "[2, 2, 2]"),
                        RESIZE("\"mode\": \"linear\"", ", \"\", \"s\"")),
                  64, expected);
}

Test(resize, antialias_weighs_what_a_window_covers)
{
    /* linear at scale 1/2: around 0.5 the triangle of half-width 2 weighs 0 and 1 with 0.75, 2 with
     * 0.25, and -1 with 0.25, which is element 0 again; all over 2. */
    expect_floats(GRAPH("19", F32("x", "[4]", "[8, 16, 24, 0]") ", " F32("s", "[1]", "[0.5]"),
                        RESIZE("\"mode\": \"linear\", \"antialias\": 1", ", \"\", \"s\"")),
                  2, (float[]){ (8 + 0.75f * 16 + 0.25f * 24) / 2, (0.25f * 16 + 0.75f * 24) / 2 });
    expect_floats(GRAPH("19", F32("x", "[4]", "[8, 16, 24, 0]") ", " F32("s", "[1]", "[0.5]"),
                        RESIZE("\"mode\": \"linear\", \"antialias\": 1, \"exclude_outside\": 1",
                               ", \"\", \"s\"")),
                  2,
                  (float[]){ (0.75f * 8 + 0.75f * 16 + 0.25f * 24) / 1.75f,
                             (0.25f * 16 + 0.75f * 24) / 1.75f });
}

Test(resize, scales_and_sizes_may_come_with_the_run)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 19, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
        "\"shape\": [\"N\", 2]}, {\"name\": \"s\", \"dtype\": \"float32\", \"shape\": [2]}], "
        "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"Resize\", \"inputs\": [\"x\", \"\", \"s\"], "
        "\"outputs\": [\"y\"]}]}");
    tn_session *session = make_session(&f, "reference", NULL, 1, 0);
    tn_context *context;
    OK(tn_context_create(session, &context));
    for (int turn = 1; turn <= 3; turn++) {
        float data[] = { 1, 2 }, scale[] = { 1, (float)turn };
        static const int64_t dims[] = { 1, 2 }, two[] = { 2 };
        const tn_tensor x = floats(data, 2, dims), s = floats(scale, 1, two);
        OK(tn_context_set_input(context, "x", &x));
        OK(tn_context_set_input(context, "s", &s));
        OK(tn_context_run(context, NULL));
        const tn_tensor *y = tn_context_output(context, 0);
        expect_shape(y, 2, (int64_t[]){ 1, 2 * turn });
        for (int k = 0; k < 2 * turn; k++)
            cr_expect_eq(((const float *)y->data)[k], (float)(1 + k / turn));
    }
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* The output's shape as the session tells it. */
static void expect_dims(const char *node, const char *shape, const char *constants,
                        const char *expected)
{
    char json[2000];
    snprintf(json, sizeof json,
             "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
             "\"shape\": %s}], \"outputs\": [\"y\"], \"constants\": {%s}, \"nodes\": [{%s, "
             "\"outputs\": [\"y\"]}]}",
             shape, constants, node);
    fixture f = open_text(json);
    tn_session *session = make_session(&f, "reference", NULL, 1, 0);
    cr_expect_str_eq(tn_session_output(session, 0)->shape, expected);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(resize, follows_symbols)
{
    expect_dims(RESIZE("", ", \"\", \"s\""), "[\"N\", 3, \"H\", \"W\"]",
                F32("s", "[4]", "[1, 1, 2, 0.5]"), "[N,3,H*2,floordiv(W,2)]");
    expect_dims(RESIZE("\"axes\": [-1, 2]", ", \"\", \"\", \"n\""), "[\"N\", 3, \"H\", \"W\"]",
                TENSOR("n", "int64", "[2]", "[7, 5]"), "[N,3,5,7]");
    expect_dims(RESIZE("\"axes\": [2, 3], \"keep_aspect_ratio_policy\": \"not_larger\"",
                       ", \"\", \"\", \"n\""),
                "[\"N\", 3, 4, 8]", TENSOR("n", "int64", "[2]", "[6, 6]"), "[N,3,3,6]");
}

Test(resize, says_what_is_wrong)
{
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[1]", "[2]"), RESIZE("", ", \"\", \"s\"")),
                     "input 'scales' has 1 elements: expected 2, one for each axis of 'X'");
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[2]", "[2, 0]"), RESIZE("", ", \"\", \"s\"")),
                     "scales[1] is 0: expected a number above 0");
    expect_complaint(GRAPH("19", LINE, RESIZE("", "")),
                     "neither input 'scales' nor 'sizes' is given: expected one of them");
    expect_complaint(
        GRAPH("19", LINE ", " F32("s", "[2]", "[2, 2]") ", " TENSOR("n", "int64", "[2]", "[1, 2]"),
              RESIZE("", ", \"\", \"s\", \"n\"")),
        "both inputs 'scales' and 'sizes' are given: expected one of them");
    expect_complaint(GRAPH("19", LINE ", " TENSOR("n", "int64", "[2]", "[1, -2]"),
                           RESIZE("", ", \"\", \"\", \"n\"")),
                     "sizes[1] is -2: expected an extent of at least 0");
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[2]", "[2, 2]"),
                           RESIZE("\"antialias\": 1", ", \"\", \"s\"")),
                     "antialias is 1 with mode 'nearest': expected mode linear or cubic");
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[2]", "[2, 2]"),
                           RESIZE("\"axes\": [1, -1]", ", \"\", \"s\"")),
                     "axes[1] is -1: expected another axis in [-2, 2)");
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[2]", "[2, 2]"),
                           RESIZE("\"mode\": \"area\"", ", \"\", \"s\"")),
                     "attribute 'mode' is 'area': expected nearest, linear or cubic");
    expect_complaint(GRAPH("19", LINE ", " F32("s", "[2]", "[2, 2]"),
                           RESIZE("\"coordinate_transformation_mode\": \"tf_crop_and_resize\"",
                                  ", \"\", \"s\"")),
                     "input 'roi' is absent: expected a start and an end for each axis with "
                     "coordinate_transformation_mode tf_crop_and_resize");
    expect_complaint(GRAPH("19",
                           TENSOR("x", "string", "[1]", "[\"a\"]") ", " F32("s", "[1]", "[2]"),
                           RESIZE("\"mode\": \"linear\"", ", \"\", \"s\"")),
                     "input 'X' holds texts, which mode 'linear' cannot mix: expected mode "
                     "'nearest'");
    expect_complaint(GRAPH("19", F32("x", "[0]", "[]") ", " TENSOR("n", "int64", "[1]", "[2]"),
                           RESIZE("", ", \"\", \"\", \"n\"")),
                     "input 'X' has no element to make any of: expected one");
}

Test(upsample, is_resize_in_every_set)
{
    static const float nearest[] = { 1, 1, 2, 2, 1, 1, 2, 2 };
    static const float linear[] = { 1, 1.5f, 2, 2, 1, 1.5f, 2, 2 };
#define PICTURE F32("x", "[1, 1, 1, 2]", "[1, 2]")
    expect_floats(GRAPH("6", PICTURE,
                        "\"op\": \"Upsample\", \"inputs\": [\"x\"], \"attributes\": "
                        "{\"height_scale\": 2, \"width_scale\": 2}"),
                  8, nearest);
    expect_floats(GRAPH("6", PICTURE,
                        "\"op\": \"Upsample\", \"inputs\": [\"x\"], \"attributes\": "
                        "{\"height_scale\": 2, \"width_scale\": 2, \"mode\": \"bilinear\"}"),
                  8, linear);
    expect_floats(GRAPH("7", PICTURE,
                        "\"op\": \"Upsample\", \"inputs\": [\"x\"], \"attributes\": "
                        "{\"scales\": [1, 1, 2, 2], \"mode\": \"linear\"}"),
                  8, linear);
    expect_floats(GRAPH("9", PICTURE ", " F32("s", "[4]", "[1, 1, 2, 2]"),
                        "\"op\": \"Upsample\", \"inputs\": [\"x\", \"s\"]"),
                  8, nearest);
    expect_complaint(GRAPH("9", PICTURE ", " F32("s", "[4]", "[1, 1, 0.5, 2]"),
                           "\"op\": \"Upsample\", \"inputs\": [\"x\", \"s\"]"),
                     "scales[2] is 0.5: expected a number of at least 1");
}

/* ---- points and regions ------------------------------------------------------------------- */

#define GRID(attributes)                                                                           \
    "\"op\": \"GridSample\", \"inputs\": [\"x\", \"g\"], \"attributes\": {" attributes "}"

Test(grid_sample, one_axis_all_paddings)
{
    /* align_corners: -1, 1 are elements 0 and 2; 2 is element 3, 0.5 is 1.5. */
#define POINTS                                                                                     \
    F32("x", "[1, 1, 3]", "[1, 2, 4]") ", " F32("g", "[1, 4, 1]", "[-1, 0.5, 2, " NAN_TEXT "]")
    expect_floats(GRAPH("20", POINTS, GRID("\"align_corners\": 1")), 4, (float[]){ 1, 3, 0, 0 });
    expect_floats(GRAPH("20", POINTS, GRID("\"align_corners\": 1, \"padding_mode\": \"border\"")),
                  4, (float[]){ 1, 3, 4, 1 });
    expect_floats(
        GRAPH("20", POINTS, GRID("\"align_corners\": 1, \"padding_mode\": \"reflection\"")), 4,
        (float[]){ 1, 3, 2, 1 });
    /* nearest: halves to even, 1.5 is 2. */
    expect_floats(GRAPH("20", POINTS, GRID("\"align_corners\": 1, \"mode\": \"nearest\"")), 4,
                  (float[]){ 1, 4, 0, 0 });
}

Test(grid_sample, integers_are_cut_off_and_texts_copied)
{
    expect_bytes(
        GRAPH("20", TENSOR("x", "int8", "[1, 1, 2]", "[-3, -6]") ", " F32("g", "[1, 1, 1]", "[0]"),
              GRID("")),
        1, (int8_t[]){ -4 });
    answer a = run_graph(GRAPH("20",
                               TENSOR("x", "string", "[1, 1, 2]",
                                      "[\"ab\", \"c\"]") ", " F32("g", "[1, 2, 1]", "[-0.5, 9]"),
                               GRID("\"mode\": \"nearest\"")));
    cr_expect_eq(((const tn_text *)a.y->data)[0].count, 2);
    cr_expect_eq(((const tn_text *)a.y->data)[1].count, 0);
    end_graph(&a);
}

Test(grid_sample, set_16_called_linear_bilinear)
{
    expect_floats(
        GRAPH("16",
              F32("x", "[1, 1, 2, 2]", "[1, 2, 3, 4]") ", " F32("g", "[1, 1, 1, 2]", "[0, 0]"),
              GRID("\"mode\": \"bilinear\"")),
        1, (float[]){ 2.5f });
    expect_complaint(
        GRAPH("20",
              F32("x", "[1, 1, 2, 2]", "[1, 2, 3, 4]") ", " F32("g", "[1, 1, 1, 3]", "[0, 0, 0]"),
              GRID("")),
        "input 'grid' has extent 3 on axis 3: expected 2, a coordinate for each "
        "spatial axis of 'X'");
}

#define AFFINE "\"op\": \"AffineGrid\", \"inputs\": [\"t\", \"n\"]"
Test(affine_grid, one_position_and_what_is_wrong)
{
    expect_floats(GRAPH("20",
                        F32("t", "[1, 2, 3]", "[1, 0, 0.25, 0, 1, 0]") ", " TENSOR(
                            "n", "int64", "[4]", "[1, 1, 1, 2]"),
                        AFFINE),
                  4, (float[]){ -0.25f, 0, 0.75f, 0 });
    expect_complaint(
        GRAPH("20",
              F32("t", "[1, 2, 3]", "[1, 0, 0, 0, 1, 0]") ", " TENSOR("n", "int64", "[3]",
                                                                      "[1, 1, 2]"),
              AFFINE),
        "input 'size' has 3 elements: expected 4, [N, C, H, W], or 5, [N, C, D, H, W]");
    expect_complaint(
        GRAPH("20",
              F32("t", "[1, 2, 3]", "[1, 0, 0, 0, 1, 0]") ", " TENSOR("n", "int64", "[5]",
                                                                      "[1, 1, 2, 2, 2]"),
              AFFINE),
        "input 'theta' has extent 2 on axis 1: expected 3, a row for each spatial axis");
}

#define ROI(attributes)                                                                            \
    "\"op\": \"RoiAlign\", \"inputs\": [\"x\", \"r\", \"b\"], \"attributes\": {" attributes "}"
#define ROI_DATA(batch)                                                                            \
    F32("x", "[1, 1, 3, 3]", "[0, 1, 2, 10, 11, 12, 20, 21, 22]")                                  \
    ", " F32("r", "[1, 4]", "[0, 0, 2, 2]") ", " TENSOR("b", "int64", "[1]", "[" batch "]")

Test(roi_align, regions_were_not_moved_before_set_16)
{
    /* One point in the middle, (1, 1), or half an element before it. */
    expect_floats(GRAPH("10", ROI_DATA("0"), ROI("\"sampling_ratio\": 1")), 1, (float[]){ 11 });
    expect_floats(GRAPH("16", ROI_DATA("0"), ROI("\"sampling_ratio\": 1")), 1, (float[]){ 5.5f });
    expect_complaint(GRAPH("16", ROI_DATA("1"), ROI("")),
                     "batch_indices[0] is 1: expected a number in [0, 1)");
    expect_complaint(GRAPH("16", ROI_DATA("0"), ROI("\"output_width\": 0")),
                     "output_width is 0: expected 1 to 2147483647");
}

Test(max_roi_pool, bins_overlap_and_may_be_empty)
{
    /* Three columns in two bins: 0 to 2 and 1 to 3. The second region lies outside: 0. */
    expect_floats(GRAPH("1",
                        F32("x", "[1, 1, 1, 3]",
                            "[3, 7, 5]") ", " F32("r", "[2, 5]", "[0, 0, 0, 2, 0, 0, 9, 9, 9, 9]"),
                        "\"op\": \"MaxRoiPool\", \"inputs\": [\"x\", \"r\"], \"attributes\": "
                        "{\"pooled_shape\": [1, 2]}"),
                  4, (float[]){ 7, 7, 0, 0 });
    expect_complaint(
        GRAPH("22",
              F32("x", "[1, 1, 1, 3]", "[3, 7, 5]") ", " F32("r", "[1, 5]", "[2, 0, 0, 2, 0]"),
              "\"op\": \"MaxRoiPool\", \"inputs\": [\"x\", \"r\"], \"attributes\": "
              "{\"pooled_shape\": [1, 2]}"),
        "rois[0] is of sample 2: expected a number in [0, 1)");
}

/* ---- boxes -------------------------------------------------------------------------------- */

#define BOXES                                                                                      \
    F32("b", "[1, 3, 4]", "[0, 0, 1, 1,  0, 0, 1, 1,  5, 5, 6, 6]")                                \
    ", " F32("s", "[1, 1, 3]", "[0.5, 0.5, " NAN_TEXT "]") ", " TENSOR(                            \
        "m", "int64", "[]", "3") ", " F32("t", "[]", "0.5")

Test(non_max_suppression, equal_scores_in_order_and_nan_last)
{
    answer a = run_graph(GRAPH("11", BOXES,
                               "\"op\": \"NonMaxSuppression\", \"inputs\": [\"b\", \"s\", \"m\", "
                               "\"t\"]"));
    static const int64_t expected[] = { 0, 0, 0, 0, 0, 2 };
    expect_shape(a.y, 2, (int64_t[]){ 2, 3 });
    cr_expect_eq(memcmp(a.y->data, expected, sizeof expected), 0);
    end_graph(&a);
    a = run_graph(GRAPH("11", BOXES, "\"op\": \"NonMaxSuppression\", \"inputs\": [\"b\", \"s\"]"));
    expect_shape(a.y, 2, (int64_t[]){ 0, 3 });
    end_graph(&a);
    expect_complaint(GRAPH("11",
                           F32("b", "[1, 3, 4]", "[0, 0, 1, 1,  0, 0, 1, 1,  5, 5, 6, 6]") ", " F32(
                               "s", "[1, 1, 2]", "[1, 2]"),
                           "\"op\": \"NonMaxSuppression\", \"inputs\": [\"b\", \"s\"]"),
                     "input 'scores' has extent 2 on axis 2: expected 3, one for each box");
}

/* ---- convolutions ------------------------------------------------------------------------- */

#define DEFORM(more, attributes)                                                                   \
    "\"op\": \"DeformConv\", \"inputs\": [\"x\", \"w\", \"o\"" more                                \
    "], \"attributes\": {" attributes "}"

Test(deform_conv, in_one_axis_with_offsets_groups_and_mask)
{
    /* Two channels, each with its offset group; one tap: x moved by half an element, then by one
     * beyond the end, where there is nothing. y = 2 * 3 * 1.5 and 2 * 1 * 0; 5 * 2 * 20, 5 * 0. */
    expect_floats(
        GRAPH("19",
              F32("x", "[1, 2, 2]", "[1, 2, 10, 20]") ", " F32("w", "[2, 1, 1]", "[2, 5]") ", " F32(
                  "o", "[1, 2, 2]", "[0.5, 1, 1, -9]") ", " F32("m", "[1, 2, 2]", "[3, 1, 2, 4]"),
              DEFORM(", \"\", \"m\"", "\"group\": 2, \"offset_group\": 2")),
        4, (float[]){ 9, 0, 200, 0 });
    expect_complaint(
        GRAPH("19",
              F32("x", "[1, 2, 2]", "[1, 2, 10, 20]") ", " F32("w", "[1, 2, 1]", "[2, 5]") ", " F32(
                  "o", "[1, 2, 2]", "[0, 0, 0, 0]"),
              DEFORM("", "")),
        "input 'offset' has extent 2 on axis 1: expected 1, offset groups times taps "
        "times axes");
    expect_complaint(
        GRAPH("19",
              F32("x", "[1, 2, 2]", "[1, 2, 10, 20]") ", " F32(
                  "w", "[1, 2, 3]", "[2, 5, 1, 1, 1, 1]") ", " F32("o", "[1, 3, 1]", "[0, 0, 0]"),
              DEFORM("", "")),
        "input 'X' has extent 2 on axis 2: the filter does not fit, padding included");
}

#define CAUSAL(inputs, attributes)                                                                 \
    "\"op\": \"CausalConvWithState\", \"inputs\": [" inputs "], \"attributes\": {" attributes "}"

Test(causal_conv, what_is_carried_makes_halves_the_whole)
{
    /* x = 1 2 3 4, w = 10 1: y = 10 x[t-1] + x[t]. */
    expect_floats(GRAPH("27",
                        F32("x", "[1, 1, 2]", "[3, 4]") ", " F32(
                            "w", "[1, 1, 2]", "[10, 1]") ", " F32("p", "[1, 1, 1]", "[2]"),
                        CAUSAL("\"x\", \"w\", \"\", \"p\"", "")),
                  2, (float[]){ 23, 34 });
    expect_floats(GRAPH("27", F32("x", "[1, 1, 1]", "[2]") ", " F32("w", "[1, 1, 1]", "[0.5]"),
                        CAUSAL("\"x\", \"w\"", "\"activation\": \"swish\"")),
                  1, (float[]){ 1 / (1 + expf(-1)) });
    expect_complaint(
        GRAPH("27",
              F32("x", "[1, 1, 2]", "[3, 4]") ", " F32("w", "[1, 1, 2]", "[10, 1]") ", " F32(
                  "p", "[1, 1, 2]", "[2, 2]"),
              CAUSAL("\"x\", \"w\", \"\", \"p\"", "")),
        "input 'past_state' has extent 2 on axis 2: expected 1, one less than the taps "
        "of 'weight'");
    expect_complaint(GRAPH("27", F32("x", "[1, 1, 1]", "[2]") ", " F32("w", "[1, 1, 1]", "[0.5]"),
                           CAUSAL("\"x\", \"w\"", "\"activation\": \"tanh\"")),
                     "activation is 'tanh': expected none, silu or swish");
}

/* ---- pools -------------------------------------------------------------------------------- */

#define UNPOOL(index, more, attributes)                                                            \
    GRAPH("9", F32("x", "[1, 1, 2]", "[5, 6]") ", " TENSOR("i", "int64", "[1, 1, 2]", index) more, \
          "\"op\": \"MaxUnpool\", \"inputs\": [\"x\", \"i\"" attributes)

Test(max_unpool, checks_where_it_puts_things)
{
    expect_floats(
        UNPOOL("[3, 0]", "", "], \"attributes\": {\"kernel_shape\": [2], \"strides\": [2]}"), 4,
        (float[]){ 6, 0, 0, 5 });
    expect_complaint(
        UNPOOL("[4, 0]", "", "], \"attributes\": {\"kernel_shape\": [2], \"strides\": [2]}"),
        "element 0 of input 'I' is 4: expected a number in [0, 4)");
    expect_complaint(UNPOOL("[3, 0]", ", " TENSOR("n", "int64", "[3]", "[1, 1, 3]"),
                            ", \"n\"], \"attributes\": {\"kernel_shape\": [2], \"strides\": [2]}"),
                     "output_shape[2] is 3: expected at least 4, what the kernel covers");
}

Test(lp_pool, set_1_took_any_exponent)
{
#define NORM(op, opset, attributes)                                                                \
    GRAPH(opset, F32("x", "[1, 1, 2]", "[3, -4]"),                                                 \
          "\"op\": \"" op "\", \"inputs\": [\"x\"], \"attributes\": {" attributes "}")
    const float uneven = powf(powf(3, 1.5f) + powf(4, 1.5f), 1 / 1.5f);
    expect_floats(NORM("LpPool", "1", "\"kernel_shape\": [2], \"p\": 1.5"), 1, &uneven);
    expect_floats(NORM("GlobalLpPool", "1", "\"p\": 1.5"), 1, &uneven);
    expect_floats(NORM("LpPool", "1", "\"kernel_shape\": [2], \"p\": 1.0"), 1, (float[]){ 7 });
    expect_floats(NORM("GlobalLpPool", "1", ""), 1, (float[]){ 5 });
    expect_complaint(NORM("GlobalLpPool", "2", "\"p\": 0"), "p is 0: expected 1 or more");
}

/* ---- pictures ----------------------------------------------------------------------------- */

static answer decode(const void *bytes, size_t count, const char *format)
{
    static char json[8000];
    size_t at = (size_t)snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 20, \"inputs\": [], \"outputs\": [\"y\"], "
        "\"constants\": {\"b\": {\"dtype\": \"uint8\", \"shape\": [%zu], "
        "\"data\": [",
        count);
    for (size_t k = 0; k < count; k++)
        at += (size_t)snprintf(json + at, sizeof json - at, "%s%d", k ? "," : "",
                               ((const uint8_t *)bytes)[k]);
    snprintf(
        json + at, sizeof json - at,
        "]}}, \"nodes\": [{\"op\": \"ImageDecoder\", \"inputs\": [\"b\"], \"outputs\": [\"y\"], "
        "\"attributes\": {\"pixel_format\": \"%s\"}}]}",
        format);
    return run_graph(json);
}

static void expect_picture(const void *bytes, size_t count, const char *format, int64_t height,
                           int64_t width, const uint8_t *pixels)
{
    answer a = decode(bytes, count, format);
    const int64_t dims[] = { height, width, format[0] == 'G' ? 1 : 3 };
    expect_shape(a.y, 3, dims);
    for (size_t k = 0; k < (size_t)(dims[0] * dims[1] * dims[2]); k++)
        cr_expect_eq(((const uint8_t *)a.y->data)[k], pixels[k], "byte %zu is %d, expected %d", k,
                     ((const uint8_t *)a.y->data)[k], pixels[k]);
    end_graph(&a);
}
#define TEXT(text) text, (sizeof(text) - 1)

Test(image_decoder, portable_maps_plain_and_raw)
{
    static const uint8_t two[] = { 255, 255, 255, 0, 0, 0 }, red[] = { 0, 128, 255 };
    expect_picture(TEXT("P1 # one\n2 1\n01"), "RGB", 1, 2, two);
    expect_picture(TEXT("P4\n2 1\n\x40"), "RGB", 1, 2, two);
    expect_picture(TEXT("P2\n2 1\n15\n15 0"), "RGB", 1, 2, two);
    expect_picture(TEXT("P3\n1 1\n255\n255 128 0"), "BGR", 1, 1, red);
    expect_picture(TEXT("P6\n1 1\n65535\n\xff\xff\x80\x80\x00\x00"), "BGR", 1, 1, red);
    /* 0.299 * 255 + 0.587 * 128 = 151.4 */
    expect_picture(TEXT("P3\n1 1\n255\n255 128 0"), "Grayscale", 1, 1, (uint8_t[]){ 151 });
}

Test(image_decoder, bitmaps_with_palettes_and_runs)
{
    /* 2 x 2, 8 bits, two colours, from the bottom: rows of four bytes. */
    uint8_t bmp[14 + 40 + 8 + 8] = { 'B', 'M' };
    bmp[10] = 62, bmp[14] = 40, bmp[18] = 2, bmp[22] = 2, bmp[26] = 1, bmp[28] = 8, bmp[46] = 2;
    bmp[54] = 1, bmp[55] = 2, bmp[56] = 3; /* colour 0: blue 1, green 2, red 3 */
    bmp[58] = 9, bmp[59] = 8, bmp[60] = 7; /* colour 1 */
    bmp[62] = 1, bmp[66] = 0, bmp[67] = 1; /* bottom row 1 0, top row 0 1 */
    static const uint8_t expected[] = { 3, 2, 1, 7, 8, 9, 7, 8, 9, 3, 2, 1 };
    expect_picture(bmp, sizeof bmp, "RGB", 2, 2, expected);
    bmp[30] = 1; /* the same in runs: 1 x 1, 1 x 0, end of row, 1 x 0, 1 x 1 … */
    static const uint8_t runs[] = { 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 1 };
    uint8_t packed[62 + sizeof runs];
    memcpy(packed, bmp, 62);
    memcpy(packed + 62, runs, sizeof runs);
    expect_picture(packed, sizeof packed, "RGB", 2, 2, expected);
    expect_picture(bmp, 60, "RGB", 0, 0, NULL);
}

Test(image_decoder, what_is_damaged_is_empty)
{
    expect_picture(TEXT("no picture"), "RGB", 0, 0, NULL);
    expect_picture(TEXT("\x89PNG\r\n\x1a\n1234"), "BGR", 0, 0, NULL);
    expect_picture(TEXT("\xff\xd8\xff\xe0"), "Grayscale", 0, 0, NULL);
    expect_picture(TEXT("P5\n9 9\n255\nabc"), "RGB", 0, 0, NULL);
    expect_picture(TEXT("RIFF....WEBPVP8 "), "RGB", 0, 0, NULL);
    expect_picture(TEXT("II*\0........"), "RGB", 0, 0, NULL);
    expect_picture(TEXT("\xff\x4f\xff\x51...."), "RGB", 0, 0, NULL);
    expect_complaint(GRAPH("20", TENSOR("b", "uint8", "[3]", "[80, 53, 10]"),
                           "\"op\": \"ImageDecoder\", \"inputs\": [\"b\"], \"attributes\": "
                           "{\"pixel_format\": \"CMYK\"}"),
                     "pixel_format is 'CMYK': expected RGB, BGR or Grayscale");
}
