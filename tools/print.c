/* tools/print.c: text for people: tables, tensors as numpy shows them, quantities with units.
 *
 * Names and texts come out of files that anyone may have written: control characters in them are
 * replaced, so that a model cannot drive the terminal.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include "tenon/kernel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* ---- text ----------------------------------------------------------------------------------- */

void print_clean(FILE *out, const char *text, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const unsigned char c = (unsigned char)text[k];
        fputc((c < 32 && c != '\n' && c != '\t') || c == 127 ? '?' : c, out);
    }
}

void print_to_stdout(void *user, const char *text, size_t count)
{
    (void)user;
    print_clean(stdout, text, count);
}

/* ---- tables --------------------------------------------------------------------------------- */

void table_add(tool *t, table *tab, const char *format, ...)
{
    va_list args;
    int length;
    char *text;
    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = keep(t, (size_t)(length < 0 ? 0 : length) + 1);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)(length < 0 ? 0 : length) + 1, format, args);
    va_end(args);
    list_add(t, &tab->rows, text);
}

/* Columns a UTF-8 text takes: bytes that begin a character. */
static int width_of(const char *text, size_t count)
{
    int width = 0;
    for (size_t k = 0; k < count; k++)
        width += ((unsigned char)text[k] & 0xc0) != 0x80;
    return width;
}

enum { MOST_COLUMNS = 32 };

static void measure_row(const char *row, int *widths)
{
    for (int c = 0; c < MOST_COLUMNS; c++) {
        const size_t length = strcspn(row, "\t");
        const int width = width_of(row, length);
        if (width > widths[c])
            widths[c] = width;
        if (!row[length])
            return;
        row += length + 1;
    }
}

static void print_row(const char *row, const int *widths, const bool *right, FILE *out)
{
    for (int c = 0; c < MOST_COLUMNS; c++) {
        const size_t length = strcspn(row, "\t");
        const int gap = widths[c] - width_of(row, length);
        const bool last = !row[length];
        if (right[c])
            fprintf(out, "%*s", gap, "");
        print_clean(out, row, length);
        if (!right[c] && !last)
            fprintf(out, "%*s", gap, "");
        if (last)
            break;
        fputs("  ", out);
        row += length + 1;
    }
    fputc('\n', out);
}

void table_print(const table *tab, FILE *out)
{
    int widths[MOST_COLUMNS] = { 0 };
    bool right[MOST_COLUMNS] = { false };
    char heading[1024];
    size_t at = 0;
    int column = 0;
    right[0] = tab->heading[0] == '>';
    for (const char *h = tab->heading; *h && at + 1 < sizeof heading; h++) {
        if (*h == '\t' && ++column < MOST_COLUMNS)
            right[column] = h[1] == '>';
        if (*h != '>')
            heading[at++] = *h;
    }
    heading[at] = '\0';
    measure_row(heading, widths);
    for (size_t k = 0; k < tab->rows.count; k++)
        measure_row(tab->rows.items[k], widths);
    print_row(heading, widths, right, out);
    for (size_t k = 0; k < tab->rows.count; k++)
        print_row(tab->rows.items[k], widths, right, out);
}

/* ---- quantities ----------------------------------------------------------------------------- */

/* Three significant digits. */
static const char *scaled(tool *t, double value, double base, const char *const *units)
{
    while (value >= 0.9995 * base && units[1]) {
        value /= base;
        units++;
    }
    return keep_format(t, "%.*f %s",
                       value >= 99.95 || value == (double)(int64_t)value ? 0
                       : value >= 9.995                                  ? 1
                                                                         : 2,
                       value, *units);
}

const char *count_text(tool *t, double count)
{
    static const char *const units[] = { "k", "M", "G", "T", NULL };
    if (count < 100000)
        return keep_format(t, "%.0f", count);
    return scaled(t, count / 1000, 1000, units);
}

const char *bytes_text(tool *t, double bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", NULL };
    return scaled(t, bytes, 1000, units);
}

const char *time_text(tool *t, double seconds)
{
    static const char *const units[] = { "ns", "µs", "ms", "s", NULL };
    return scaled(t, seconds * 1e9, 1000, units);
}

const char *shape_text(tool *t, int32_t rank, const int64_t *dims)
{
    const char *text = "[";
    for (int32_t axis = 0; axis < rank; axis++)
        text = keep_format(t, "%s%s%" PRId64, text, axis ? "," : "", dims[axis]);
    return keep_format(t, "%s]", text);
}

const char *type_text(tool *t, const tn_tensor *value)
{
    const int64_t count = tn_value_count(value);
    if (count < 0)
        return keep_format(t, "%s%s", tn_dtype_name(value->dtype),
                           shape_text(t, value->rank, value->dims));
    if ((value->kind & 15) == TN_OPTIONAL)
        return count ? keep_format(t, "optional with %s", type_text(t, tn_value_get(value, 0)))
                     : "optional, empty";
    return keep_format(t, "sequence of %" PRId64, count);
}

/* ---- tensors -------------------------------------------------------------------------------- */

enum {
    ABBREVIATE = 1000, /* more elements than this: only the edges of each axis … */
    EDGE = 3,          /* … so many on either side */
    LINE = 96
};

typedef struct printer {
    FILE *out; /* NULL: measure only */
    const tn_tensor *tensor;
    bool edges;
    int width; /* of the widest element */
    int column;
} printer;

static int element_text(const tn_tensor *t, int64_t i, char *text, size_t bytes)
{
    if (t->dtype == TN_BOOL)
        return snprintf(text, bytes, "%s", tn_get_int(TN_BOOL, t->data, i) ? "true" : "false");
    if (t->dtype == TN_UINT64)
        return snprintf(text, bytes, "%" PRIu64, ((const uint64_t *)t->data)[i]);
    if (t->dtype == TN_COMPLEX64)
        return snprintf(text, bytes, "%.6g%+.6gj", (double)((const float *)t->data)[2 * i],
                        (double)((const float *)t->data)[2 * i + 1]);
    if (t->dtype == TN_COMPLEX128)
        return snprintf(text, bytes, "%.6g%+.6gj", ((const double *)t->data)[2 * i],
                        ((const double *)t->data)[2 * i + 1]);
    if (t->dtype == TN_STRING) {
        const tn_text *s = &((const tn_text *)t->data)[i];
        return snprintf(text, bytes, "'%.*s'", (int)(s->count < 60 ? s->count : 60),
                        s->count ? s->bytes : "");
    }
    if (tn_dtype_is_float(t->dtype)) {
        const double value = tn_get_double(t->dtype, t->data, i);
        if (isnan(value)) /* without the sign that C's printf may show */
            return snprintf(text, bytes, "nan");
        return snprintf(text, bytes, "%.6g", value);
    }
    return snprintf(text, bytes, "%" PRId64, tn_get_int(t->dtype, t->data, i));
}

static void print_element(printer *p, int64_t i)
{
    char text[160];
    int width;
    (void)element_text(p->tensor, i, text, sizeof text);
    width = width_of(text, strlen(text));
    if (width > p->width)
        p->width = width;
    if (!p->out)
        return;
    if (p->tensor->dtype != TN_STRING)
        fprintf(p->out, "%*s", p->width - width, "");
    print_clean(p->out, text, strlen(text));
    p->column += p->tensor->dtype == TN_STRING ? width : p->width;
}

/* Between two elements or rows: a blank, a new line when it is full, blank lines between planes. */
static void separate(printer *p, int32_t axis)
{
    const int32_t below = p->tensor->rank - 1 - axis;
    if (!p->out)
        return;
    if (below == 0 && p->column + 1 + p->width <= LINE) {
        fputc(' ', p->out);
        p->column++;
        return;
    }
    for (int32_t k = 0; k < (below ? below : 1); k++)
        fputc('\n', p->out);
    fprintf(p->out, "%*s", (int)axis + 1, "");
    p->column = axis + 1;
}

static void print_axis(printer *p, int32_t axis, int64_t offset)
{
    const tn_tensor *t = p->tensor;
    int64_t step = 1;
    if (axis == t->rank) {
        print_element(p, offset);
        return;
    }
    for (int32_t k = axis + 1; k < t->rank; k++)
        step *= t->dims[k];
    if (p->out)
        fputc('[', p->out);
    p->column = axis + 1;
    for (int64_t i = 0; i < t->dims[axis]; i++) {
        if (i)
            separate(p, axis);
        if (p->edges && t->dims[axis] > 2 * EDGE && i == EDGE) {
            i = t->dims[axis] - EDGE - 1;
            if (p->out)
                fputs("...", p->out);
            p->column += 3;
            continue;
        }
        print_axis(p, axis + 1, offset + i * step);
    }
    if (p->out)
        fputc(']', p->out);
    p->column++;
}

/* Element k of a sequence with its number and type; what an optional holds stands for itself. */
static void print_listed(FILE *out, const tn_tensor *value, int64_t k)
{
    const tn_tensor *element = tn_value_get(value, k);
    if ((value->kind & 15) == TN_SEQUENCE) {
        fprintf(out, "%" PRId64 ": %s[", k, tn_dtype_name(element->dtype));
        for (int32_t axis = 0; axis < element->rank; axis++)
            fprintf(out, "%s%" PRId64, axis ? "," : "", element->dims[axis]);
        fputs("]\n", out);
    }
    print_tensor(out, element);
}

void print_tensor(FILE *out, const tn_tensor *value)
{
    printer p = { .out = NULL, .tensor = value };
    if (tn_value_count(value) >= 0) {
        for (int64_t k = 0; k < tn_value_count(value); k++)
            print_listed(out, value, k);
        return;
    }
    p.edges = tn_count(value) > ABBREVIATE;
    print_axis(&p, 0, 0); /* measures */
    p.out = out;
    p.column = 0;
    print_axis(&p, 0, 0);
    fputc('\n', out);
}
