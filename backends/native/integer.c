/* integer.c: see integer.h.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

/* ---- offering ------------------------------------------------------------------------------ */

const native_places native_integer_places = { 0, -1, 2, 1, -1, 3, -1, -1, -1 };
const native_places native_linear_places = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };

const tn_type *native_type_at(const tn_problem *p, int k)
{
    return k < 0 || (uint32_t)k >= p->own_count ? NULL : p->inputs[k];
}

const tn_tensor *native_constant_at(const tn_problem *p, int k)
{
    return k < 0 || (uint32_t)k >= p->own_count ? NULL : p->constants[k];
}

const tn_tensor *native_tensor_at(const tn_run *ctx, int k)
{
    return k < 0 || (uint32_t)k >= ctx->input_count ? NULL : ctx->inputs[k];
}

tn_status native_offer_integer(tn_offer *ctx, const native_places *at)
{
    const tn_problem *p = ctx->problem;
    const int scales[] = { at->x_scale, at->w_scale, at->y_scale };
    const int bytes[] = { at->x, at->w };
    const tn_status status = native_offer_any(ctx);
    if (status == TN_DECLINED)
        return status;
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "nothing is applied to integers here");
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        const tn_type *type = native_type_at(p, scales[k]);
        if (type && type->dtype != TN_FLOAT32)
            return tn_fail(ctx, TN_DECLINED, "a scale has type number %u: float32 only",
                           type->dtype);
    }
    for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++) {
        const tn_type *type = native_type_at(p, bytes[k]);
        if (!(TN_BIT(type->dtype) & NATIVE_BYTES))
            return tn_fail(ctx, TN_DECLINED, "input %d has type number %u: uint8 and int8 only",
                           bytes[k], type->dtype);
    }
    return status;
}

bool native_table_fits(const tn_type *table, int64_t count)
{
    int64_t own = 1;
    if (!table)
        return true;
    own = native_count(table);
    return own == 1 || (own == count && table->dims[table->rank - 1] == count);
}

/* ---- tables --------------------------------------------------------------------------------- */

int32_t native_whole(const tn_tensor *table)
{
    return table ? (int32_t)tn_get_int(table->dtype, table->data, 0) : 0;
}

double native_number(const tn_tensor *table, double absent)
{
    return table ? tn_get_double(table->dtype, table->data, 0) : absent;
}

static void dynamic_scale(float low, float high, float *scale, int32_t *zero)
{
    *scale = (high == low ? 1.0f : high - low) / 255.0f;
    const float wanted = 0.0f - low / *scale;
    *zero = wanted > 0.0f ? (int32_t)lrintf(wanted < 255.0f ? wanted : 255.0f) : 0;
}

typedef struct range_job {
    const tn_run *ctx;
    const native_isa *isa;
    char *ranges;
} range_job;

static tn_status range_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const range_job *job = user;
    float *range = (float *)(void *)(job->ranges + NATIVE_RANGE_BYTES * (size_t)thread);
    job->isa->integer->range((const float *)job->ctx->inputs[0]->data + begin, end - begin, range,
                             range + 1);
    return TN_OK;
}

tn_status native_dynamic_range(tn_run *ctx, const native_isa *isa, char *ranges, float *scale,
                               int32_t *zero)
{
    range_job job = { ctx, isa, ranges };
    float low = 0.0f, high = 0.0f;
    memset(ranges, 0, NATIVE_RANGE_BYTES * (size_t)ctx->threads);
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->inputs[0]), 32768, range_chunk,
                                        &job));
    for (uint32_t k = 0; k < ctx->threads; k++) {
        const float *range = (const float *)(const void *)(ranges + NATIVE_RANGE_BYTES * (size_t)k);
        low = range[0] < low || isnan(range[0]) ? range[0] : low;
        high = range[1] > high || isnan(range[1]) ? range[1] : high;
    }
    dynamic_scale(low, high, scale, zero);
    return TN_OK;
}

static int32_t zero_of(const native_bytes *s, int64_t column)
{
    if (!s->zero)
        return 0;
    return (int32_t)tn_get_int(s->zero->dtype, s->zero->data,
                               tn_count(s->zero) == 1 ? 0 : s->first_zero + column);
}

/* ---- packing ------------------------------------------------------------------------------- */

/* Unsigned weights less 128 are signed ones; so are their zero points. */
bool native_quads_fit(const native_isa *isa, bool is_signed, const tn_tensor *zero)
{
    if (!isa->integer->quads || (!zero && !is_signed))
        return false;
    for (int64_t k = 0; zero && k < tn_count(zero); k++)
        if (tn_get_int(zero->dtype, zero->data, k) != (is_signed ? 0 : 128))
            return false;
    return true;
}

static size_t panel_bytes(const native_isa *isa, bool quads, int64_t taps, int64_t depth)
{
    return (size_t)(taps * native_steps(quads, depth) * isa->columns) * 4;
}

size_t native_integer_pack_bytes(const native_isa *isa, bool quads, int64_t taps, int64_t depth,
                                 int64_t n)
{
    const int64_t panels = native_ceil(n, isa->columns);
    return (size_t)panels * panel_bytes(isa, quads, taps, depth) +
           (size_t)(panels * isa->columns) * 4 * sizeof(int32_t);
}

native_columns native_columns_of(const native_isa *isa, bool quads, const void *pack, int64_t taps,
                                 int64_t depth, int64_t n)
{
    const int64_t padded = native_round_up(n, isa->columns);
    const char *tail = (const char *)pack +
                       (size_t)(padded / isa->columns) * panel_bytes(isa, quads, taps, depth);
    const int32_t *bias = (const int32_t *)(const void *)tail;
    const float *scale = (const float *)(const void *)(bias + 2 * padded);
    return (native_columns){ bias, bias + padded, scale, scale + padded };
}

/* Where element e of tap t of a column lies. */
static int64_t place_of(const native_bytes *s, int64_t t, int64_t e, int64_t column)
{
    return t * s->tap + e / s->inner * s->outer_step + e % s->inner * s->inner_step +
           column * s->column;
}

/* What the largest weight of a column makes 127 of. */
static float scale_of(const native_bytes *s, int64_t column)
{
    float most = 0.0f;
    for (int64_t t = 0; t < s->taps; t++)
        for (int64_t e = 0; e < s->depth; e++) {
            const float size = fabsf(s->numbers[place_of(s, t, e, column)]);
            most = size > most ? size : most;
        }
    return most > 0.0f ? most / 127.0f : 1.0f;
}

/* A NaN is 0 here: offers see to it that there is none. */
static int32_t whole_number(float x, float scale)
{
    const float y = x / scale;
    return y > 127.0f ? 127 : y < -127.0f ? -127 : y == y ? (int32_t)lrintf(y) : 0;
}

/* One column of a panel: its steps stand `columns` apart. Answers their sum. */
static int32_t pack_column(const native_isa *isa, bool quads, const native_bytes *s, int64_t column,
                           float scale, char *out)
{
    const int64_t width = native_step_elements(quads), steps = native_steps(quads, s->depth);
    const int32_t zero = zero_of(s, column);
    uint32_t total = 0;
    for (int64_t t = 0; t < s->taps; t++)
        for (int64_t k = 0; k < steps; k++, out += isa->columns * 4)
            for (int64_t i = 0; i < width; i++) {
                const int64_t e = k * width + i, at = place_of(s, t, e, column);
                const int32_t value = e >= s->depth  ? 0
                                      : s->numbers   ? whole_number(s->numbers[at], scale)
                                      : s->is_signed ? (int8_t)s->data[at] - zero
                                                     : s->data[at] - zero;
                total += (uint32_t)value;
                if (quads)
                    out[i] = (char)value;
                else
                    ((int16_t *)(void *)out)[i] = (int16_t)value;
            }
    return (int32_t)total;
}

void native_integer_pack(const native_isa *isa, bool quads, const native_bytes *s, void *out)
{
    const size_t panel = panel_bytes(isa, quads, s->taps, s->depth);
    const int64_t padded = native_round_up(s->n, isa->columns);
    int32_t *bias = (int32_t *)(void *)((char *)out + (size_t)(padded / isa->columns) * panel);
    int32_t *sums = bias + padded;
    float *scales = (float *)(void *)(sums + padded), *number_bias = scales + padded;
    if (padded > s->n)
        memset((char *)out + (size_t)(padded / isa->columns - 1) * panel, 0, panel);
    memset(bias, 0, (size_t)padded * 4 * sizeof *bias);
    for (int64_t c = 0; c < s->n; c++) {
        char *to = (char *)out + (size_t)(c / isa->columns) * panel + c % isa->columns * 4;
        scales[c] = s->numbers ? scale_of(s, c) : 1.0f;
        sums[c] = pack_column(isa, quads, s, c, scales[c], to);
        bias[c] = s->bias ? s->bias[c] : 0;
        number_bias[c] = s->number_bias ? s->number_bias[c] : 0.0f;
    }
}

const int32_t *native_integer_start(const native_isa *isa, bool quads, const void *pack,
                                    int64_t taps, int64_t depth, int64_t n, bool x_signed,
                                    int32_t zero, int32_t *room)
{
    const native_columns columns = native_columns_of(isa, quads, pack, taps, depth, n);
    if (!quads)
        return columns.bias;
    /* x is read as an unsigned byte: a signed one and its zero point are 128 more. */
    const uint32_t less = (uint32_t)(zero + (x_signed ? 128 : 0));
    for (int64_t c = 0; c < native_round_up(n, isa->columns); c++)
        room[c] = (int32_t)((uint32_t)columns.bias[c] - less * (uint32_t)columns.sums[c]);
    return room;
}

/* ---- rescaling ------------------------------------------------------------------------------ */

void native_rescale_read(native_requantize *out, double x_scale, const tn_tensor *w_scale,
                         double y_scale, const tn_tensor *y_zero, uint32_t y_dtype, int64_t count,
                         int64_t padded, float *room)
{
    float *factor = room, *scale = room + padded;
    const bool one = !w_scale || tn_count(w_scale) == 1;
    const int32_t zero = native_whole(y_zero), low = y_dtype == TN_INT8 ? -128 : 0;
    *out = (native_requantize){ .factor = factor,
                                .w_scale = scale,
                                .x_scale = x_scale,
                                .y_scale = y_scale,
                                .least = (float)(low - zero),
                                .most = (float)(low + 255 - zero),
                                .zero = zero };
    for (int64_t c = 0; c < padded; c++) {
        scale[c] = c >= count ? 0.0f : w_scale ? ((const float *)w_scale->data)[one ? 0 : c] : 1.0f;
        factor[c] = c >= count ? 0.0f : (float)(x_scale * (double)scale[c] / y_scale);
        if (!isfinite(factor[c]))
            out->exact = true;
    }
}

/* ---- products ------------------------------------------------------------------------------ */

/* A tile that lies beside the output, into it. */
static void finish(const native_integer_product *p, const int32_t *sums, int64_t row, int64_t rows,
                   int64_t column, int64_t columns)
{
    const native_isa *isa = p->isa;
    float tile[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    const int64_t at = row * p->ld + column, side = isa->columns;
    if (p->to == NATIVE_TO_BYTES) {
        native_requantize how = p->rescale;
        how.factor += column;
        how.w_scale += column;
        isa->integer->requantize(&how, sums, side, rows, columns, (uint8_t *)p->out + at, p->ld);
        return;
    }
    if (p->to == NATIVE_TO_INTEGERS) {
        for (int64_t r = 0; r < rows; r++)
            memcpy((int32_t *)p->out + at + r * p->ld, sums + r * side,
                   (size_t)columns * sizeof *sums);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        isa->integer->scale(sums + r * side, p->factor + column, p->bias + column, tile + r * side,
                            columns);
    if (p->epilogue)
        native_finish(isa, p->epilogue, p->inputs, tile, side, p->first_row + row, rows,
                      p->first_column + column, columns);
    for (int64_t r = 0; r < rows; r++)
        memcpy((float *)p->out + at + r * p->ld, tile + r * side, (size_t)columns * sizeof *tile);
}

void native_integer_product_run(const native_integer_product *p, const char *const *rows,
                                int64_t count, int64_t panel, int64_t last)
{
    const native_isa *isa = p->isa;
    int32_t beside[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    void (*run)(const native_integer_tile *) = p->quads ? isa->integer->quads : isa->integer->pairs;
    for (; panel < last; panel++) {
        const int64_t column = panel * isa->columns;
        const int64_t columns = p->n - column < isa->columns ? p->n - column : isa->columns;
        const bool direct = p->to == NATIVE_TO_INTEGERS &&
                            (columns == isa->columns || columns == isa->lanes);
        native_integer_tile tile = {
            .taps = p->tap_bytes,
            .panel = p->panels + (size_t)(panel * p->taps * p->steps * isa->columns) * 4,
            .start = p->start + column,
            .out = beside,
            .ld = direct ? p->ld : isa->columns,
            .tap_count = p->taps,
            .steps = p->steps,
            .narrow = columns <= isa->lanes,
        };
        for (int64_t row = 0; row < count; row += isa->rows) {
            tile.rows = rows + row;
            tile.row_count = (int32_t)(count - row < isa->rows ? count - row : isa->rows);
            if (direct)
                tile.out = (int32_t *)p->out + row * p->ld + column;
            run(&tile);
            if (!direct)
                finish(p, beside, row, tile.row_count, column, columns);
        }
    }
}
