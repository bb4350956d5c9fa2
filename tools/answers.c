/* tools/answers.c: what a run's outputs mean: best classes, accuracy, agreement, drawn pictures.
 *
 * A row is what output 0 says about one sample: its last axis (trailing extents of 1 aside), so
 * [N, 10], [10] and [N, 10, 1, 1] all have rows of 10.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include "tenon/kernel.h"

#include <string.h>

/* ---- rows and labels ------------------------------------------------------------------------ */

typedef struct rows {
    const tn_tensor *tensor;
    int64_t count, width;
} rows;

static int find_rows(tool *t, const answers *a, rows *out)
{
    const tn_tensor *first = a->count ? a->tensors[0] : NULL;
    int32_t rank = first ? first->rank : 0;
    if (!first || tn_value_count(first) >= 0 || rank == 0 || first->dtype == TN_STRING)
        return bad(t, EXIT_BAD, "output 0 has no rows of numbers");
    while (rank > 2 && first->dims[rank - 1] == 1)
        rank--;
    *out = (rows){ first, 0, first->dims[rank - 1] };
    if (out->width)
        out->count = tn_count(first) / out->width;
    return EXIT_FINE;
}

/* The labels, one per line, from --labels or the model's metadata; none: an empty list. */
static int read_labels(tool *t, list *out)
{
    const char *text = tn_model_metadata(t->model, "labels");
    *out = (list){ NULL, 0 };
    if (t->set.labels) {
        blob bytes;
        const int code = file_read(t, t->set.labels, &bytes);
        if (code)
            return code;
        text = keep_text(t, (const char *)bytes.data, bytes.count);
    }
    while (text && *text) {
        const size_t length = strcspn(text, "\n");
        const size_t shown = length && text[length - 1] == '\r' ? length - 1 : length;
        list_add(t, out, keep_text(t, text, shown));
        text += length + (text[length] == '\n');
    }
    return EXIT_FINE;
}

static const char *label_of(tool *t, const list *labels, int64_t k)
{
    return k >= 0 && (size_t)k < labels->count ? labels->items[k]
                                               : keep_format(t, "class %lld", (long long)k);
}

/* ---- the best of each row ------------------------------------------------------------------- */

enum { MOST_ROWS = 10, DEFAULT_TOP = 5 };

/* The positions of the `top` largest elements of a row, largest first; NaN never wins. */
static void best_of(const rows *r, int64_t row, int64_t top, int64_t *out)
{
    for (int64_t k = 0; k < top; k++) {
        double most = -INFINITY;
        out[k] = -1;
        for (int64_t j = 0; j < r->width; j++) {
            const double value = tn_get_double(r->tensor->dtype, r->tensor->data,
                                               row * r->width + j);
            bool taken = false;
            for (int64_t i = 0; i < k; i++)
                taken |= out[i] == j;
            if (!taken && (value > most || (out[k] < 0 && value == most)))
                out[k] = j, most = value;
        }
    }
}

static const char *row_name(tool *t, const inputs *in, int64_t row)
{
    for (size_t k = 0; k < in->count; k++)
        if (in->items[k].pictures && row < in->items[k].picture_count)
            return in->items[k].pictures[row].name;
    return keep_format(t, "row %lld", (long long)row);
}

static void print_row_best(tool *t, const inputs *in, const list *labels, const rows *r,
                           int64_t row, int64_t top)
{
    int64_t *best = keep_array(t, (size_t)top, sizeof *best);
    table tab = { .heading = "  >value\tclass" };
    best_of(r, row, top, best);
    if (r->count > 1) {
        const char *text = keep_format(t, "  %s:", row_name(t, in, row));
        for (int64_t k = 0; k < top && k < 3 && best[k] >= 0; k++)
            text = keep_format(
                t, "%s%s %s %.4g", text, k ? "," : "", label_of(t, labels, best[k]),
                tn_get_double(r->tensor->dtype, r->tensor->data, row * r->width + best[k]));
        print_clean(stdout, text, strlen(text));
        putchar('\n');
        return;
    }
    printf("  %s\n", row_name(t, in, row));
    for (int64_t k = 0; k < top && best[k] >= 0; k++)
        table_add(t, &tab, "  %.6g\t%s%s",
                  tn_get_double(r->tensor->dtype, r->tensor->data, row * r->width + best[k]),
                  label_of(t, labels, best[k]),
                  labels->count ? keep_format(t, " (%lld)", (long long)best[k]) : "");
    table_print(&tab, stdout);
}

int print_top(tool *t, const inputs *in, const answers *a)
{
    list labels;
    rows r;
    int64_t top;
    int code = read_labels(t, &labels);
    if (code)
        return code;
    if (t->set.has_top ? t->set.top == 0 : labels.count == 0)
        return EXIT_FINE;
    code = find_rows(t, a, &r);
    if (code)
        return code;
    top = t->set.has_top ? (int64_t)(t->set.top < 1000 ? t->set.top : 1000) : DEFAULT_TOP;
    top = top < r.width ? top : r.width;
    printf("\nbest of %s\n", a->names[0]);
    for (int64_t row = 0; row < r.count && row < MOST_ROWS; row++)
        print_row_best(t, in, &labels, &r, row, top);
    if (r.count > MOST_ROWS)
        printf("  and %lld rows more\n", (long long)(r.count - MOST_ROWS));
    return EXIT_FINE;
}

/* ---- held against the truth and against other answers --------------------------------------- */

/* How many of the first `count` rows have their largest element where `classes` says. */
static int64_t count_hits(const rows *r, const tn_tensor *classes, int64_t count)
{
    int64_t hits = 0;
    for (int64_t row = 0; row < count; row++)
        hits += row_argmax(r->tensor, row, r->width) ==
                tn_get_int(classes->dtype, classes->data, row);
    return hits;
}

static const char *percent(tool *t, int64_t part, int64_t whole)
{
    return keep_format(t, "%.2f %% (%lld of %lld)",
                       whole ? 100.0 * (double)part / (double)whole : 0.0, (long long)part,
                       (long long)whole);
}

int print_truth(tool *t, const answers *a)
{
    tn_tensor *truth;
    rows r;
    int code;
    if (!t->set.truth)
        return EXIT_FINE;
    code = find_rows(t, a, &r);
    if (!code)
        code = array_read(t, t->set.truth, NULL, &truth);
    if (code)
        return code;
    if (truth->dtype == TN_STRING || tn_dtype_is_float(truth->dtype) || tn_count(truth) < r.count)
        return bad(t, EXIT_BAD, "%s is %s, expected %lld whole numbers", t->set.truth,
                   type_text(t, truth), (long long)r.count);
    printf("accuracy %s\n", percent(t, count_hits(&r, truth, r.count), r.count));
    return EXIT_FINE;
}

static int compare_classes(tool *t, const char *file, const rows *r, const tn_tensor *classes)
{
    const int64_t count = tn_count(classes) < r->count ? tn_count(classes) : r->count;
    const int64_t hits = count_hits(r, classes, count);
    printf("agreement %s with %s\n", percent(t, hits, count), file);
    return hits == count ? EXIT_FINE : EXIT_DIFFERS;
}

/* A complex element is two numbers. */
static int64_t numbers_of(const tn_tensor *tensor)
{
    const bool twice = tensor->dtype == TN_COMPLEX64 || tensor->dtype == TN_COMPLEX128;
    return tn_count(tensor) * (twice ? 2 : 1);
}

static double number_at(const tn_tensor *tensor, int64_t k)
{
    if (tensor->dtype == TN_COMPLEX64)
        return (double)((const float *)tensor->data)[k];
    if (tensor->dtype == TN_COMPLEX128)
        return ((const double *)tensor->data)[k];
    return tn_get_double(tensor->dtype, tensor->data, k);
}

static bool is_text(const tn_tensor *tensor)
{
    return tensor->dtype == TN_STRING;
}

/* The first rows of what was found may be held against what is expected. */
static bool fits(const tn_tensor *found, const tn_tensor *expected)
{
    const bool complex = found->dtype == TN_COMPLEX64 || found->dtype == TN_COMPLEX128;
    bool same = found->kind == TN_TENSOR && expected->kind == TN_TENSOR &&
                found->rank == expected->rank && is_text(found) == is_text(expected) &&
                (!complex || found->dtype == expected->dtype);
    for (int32_t axis = 0; same && axis < found->rank; axis++)
        same = axis ? found->dims[axis] == expected->dims[axis]
                    : found->dims[0] >= expected->dims[0];
    return same;
}

static int compare_texts(const char *file, const char *name, const tn_tensor *found,
                         const tn_tensor *expected)
{
    const tn_text *a = found->data, *b = expected->data;
    const int64_t count = tn_count(expected);
    for (int64_t k = 0; k < count; k++) {
        if (a[k].count == b[k].count &&
            (!a[k].count || memcmp(a[k].bytes, b[k].bytes, a[k].count) == 0))
            continue;
        printf("'%s' differs from %s at element %lld: '", name, file, (long long)k);
        print_clean(stdout, a[k].bytes, a[k].count);
        printf("', expected '");
        print_clean(stdout, b[k].bytes, b[k].count);
        printf("'\n");
        return EXIT_DIFFERS;
    }
    printf("'%s' agrees with %s: %lld texts\n", name, file, (long long)count);
    return EXIT_FINE;
}

/* Differences of the first rows; both NaN, or the same infinity, are equal. */
static int compare_numbers(tool *t, const char *file, const char *name, const tn_tensor *found,
                           const tn_tensor *expected)
{
    const double tolerance = t->set.has_tolerance ? t->set.tolerance : 1e-4;
    const int64_t count = numbers_of(expected);
    int64_t wrong = 0, worst = -1;
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double x = number_at(found, i), y = number_at(expected, i);
        const double distance = (isnan(x) && isnan(y)) || x == y ? 0 : fabs(x - y);
        if (distance > tolerance * (1 + fabs(y)) || isnan(distance))
            wrong++;
        if (worst < 0 || distance > largest || (isnan(distance) && !isnan(largest)))
            largest = distance, worst = i;
    }
    if (!wrong) {
        printf("'%s' agrees with %s: %lld values, largest difference %.3g\n", name, file,
               (long long)count, largest);
        return EXIT_FINE;
    }
    printf(
        "'%s' differs from %s: %lld of %lld values, the most at element %lld: %.9g, expected %.9g\n",
        name, file, (long long)wrong, (long long)count, (long long)worst, number_at(found, worst),
        number_at(expected, worst));
    return EXIT_DIFFERS;
}

static int compare_values(tool *t, const char *file, const char *name, const tn_tensor *found,
                          const tn_tensor *expected);

/* Element by element. */
static int compare_elements(tool *t, const char *file, const char *name, const tn_tensor *found,
                            const tn_tensor *expected)
{
    const int64_t count = tn_value_count(found);
    int worst = EXIT_FINE;
    if (count != tn_value_count(expected)) {
        printf("'%s' differs from %s: %s, expected %s\n", name, file, type_text(t, found),
               type_text(t, expected));
        return EXIT_DIFFERS;
    }
    if (!count)
        printf("'%s' agrees with %s: %s\n", name, file, type_text(t, found));
    for (int64_t k = 0; k < count; k++) {
        const char *element = keep_format(t, "%s[%lld]", name, (long long)k);
        const int code = compare_values(t, file, element, tn_value_get(found, k),
                                        tn_value_get(expected, k));
        if (code && code != EXIT_DIFFERS)
            return code;
        worst = code ? code : worst;
    }
    return worst;
}

static int compare_values(tool *t, const char *file, const char *name, const tn_tensor *found,
                          const tn_tensor *expected)
{
    if (found->kind && (found->kind & 15) == (expected->kind & 15))
        return compare_elements(t, file, name, found, expected);
    if (!fits(found, expected))
        return bad(t, EXIT_BAD, "%s is %s, which output '%s', %s, cannot be held against", file,
                   type_text(t, expected), name, type_text(t, found));
    return is_text(found) ? compare_texts(file, name, found, expected)
                          : compare_numbers(t, file, name, found, expected);
}

static int compare_one(tool *t, const char *text, const answers *a)
{
    const char *file = text;
    size_t output = 0;
    tn_tensor *expected;
    int code;
    for (size_t k = 0; k < a->count; k++) {
        const size_t length = strlen(a->names[k]);
        if (strncmp(text, a->names[k], length) == 0 && text[length] == '=') {
            output = k;
            file = text + length + 1;
            break;
        }
    }
    if (output >= a->count)
        return bad(t, EXIT_BAD, "--expect is '%s', but the model has no output", text);
    const tn_tensor *found = a->tensors[output];
    const tn_type type = { .size = sizeof type, .kind = found->kind, .dtype = found->dtype };
    code = array_read(t, file, &type, &expected);
    if (code)
        return code;
    if (output == 0 && !found->kind && !tn_dtype_is_float(expected->dtype) &&
        expected->dtype != TN_STRING && tn_dtype_is_float(found->dtype)) {
        rows r;
        code = find_rows(t, a, &r);
        return code ? code : compare_classes(t, file, &r, expected);
    }
    return compare_values(t, file, a->names[output], found, expected);
}

int print_expected(tool *t, const answers *a)
{
    int worst = EXIT_FINE;
    for (size_t k = 0; k < t->set.expect.count; k++) {
        const int code = compare_one(t, t->set.expect.items[k], a);
        if (code && code != EXIT_DIFFERS)
            return code;
        worst = code ? code : worst;
    }
    return worst;
}

/* ---- pictures as text ----------------------------------------------------------------------- */

enum { DRAWN_WIDTH = 28, ACROSS = 3 };

/* The mean of the pixels that character (row, column) of rows x columns stands for. */
static double brightness(const picture *p, int64_t row, int64_t column, int64_t rows_drawn,
                         int64_t columns_drawn)
{
    const int64_t top = row * p->rows / rows_drawn, left = column * p->columns / columns_drawn;
    int64_t bottom = (row + 1) * p->rows / rows_drawn,
            right = (column + 1) * p->columns / columns_drawn;
    double sum = 0;
    bottom = bottom > top ? bottom : top + 1;
    right = right > left ? right : left + 1;
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++)
            for (int64_t c = 0; c < p->channels; c++)
                sum += p->pixels[(y * p->columns + x) * p->channels + c];
    return sum / (double)((bottom - top) * (right - left) * p->channels);
}

static int64_t drawn_columns(const picture *p)
{
    return p->columns < DRAWN_WIDTH ? p->columns : DRAWN_WIDTH;
}

/* A character is twice as high as wide. */
static int64_t drawn_rows(const picture *p)
{
    const int64_t lines = drawn_columns(p) * p->rows / p->columns / 2;
    return lines < 1 ? 1 : lines > 40 ? 40 : lines;
}

static void draw_line(const picture *p, int64_t line)
{
    static const char shades[] = " .:-=+*#%@";
    for (int64_t x = 0; x < DRAWN_WIDTH; x++) {
        const bool inside = x < drawn_columns(p) && line < drawn_rows(p);
        const double light = inside ? brightness(p, line, x, drawn_rows(p), drawn_columns(p)) : 0;
        putchar(shades[(int)(light * 9.99 / 255.0)]);
    }
}

int print_pictures(tool *t, const inputs *in, const answers *a)
{
    const input *shown = NULL;
    list labels;
    rows r;
    int64_t count = (int64_t)(t->set.draw < 1000 ? t->set.draw : 1000);
    int code;
    for (size_t k = 0; !shown && k < in->count; k++)
        if (in->items[k].pictures)
            shown = &in->items[k];
    if (!count)
        return EXIT_FINE;
    if (!shown)
        return bad(t, EXIT_BAD, "--draw: no input is made of pictures");
    code = read_labels(t, &labels);
    if (!code)
        code = find_rows(t, a, &r);
    if (code)
        return code;
    count = count < shown->picture_count ? count : shown->picture_count;
    for (int64_t first = 0; first < count; first += ACROSS) {
        const int64_t last = first + ACROSS < count ? first + ACROSS : count;
        int64_t lines = 0;
        putchar('\n');
        for (int64_t k = first; k < last; k++)
            lines = drawn_rows(&shown->pictures[k]) > lines ? drawn_rows(&shown->pictures[k])
                                                            : lines;
        for (int64_t line = 0; line < lines; line++) {
            for (int64_t k = first; k < last; k++) {
                draw_line(&shown->pictures[k], line);
                fputs("   ", stdout);
            }
            putchar('\n');
        }
        for (int64_t k = first; k < last && k < r.count; k++) {
            const int64_t best = row_argmax(r.tensor, k, r.width);
            const char *text = keep_format(
                t, "%s %.4g", label_of(t, &labels, best),
                tn_get_double(r.tensor->dtype, r.tensor->data, k * r.width + best));
            text = keep_format(t, "%-*.*s   ", DRAWN_WIDTH, DRAWN_WIDTH, text);
            print_clean(stdout, text, strlen(text));
        }
        putchar('\n');
    }
    return EXIT_FINE;
}
