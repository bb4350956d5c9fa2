/* matmul_integer.c: QLinearMatMul and MatMulInteger (ONNX: QLinearMatMul, MatMulInteger) as products
 * of 8-bit integers, and MatMul and Gemm (ONNX: MatMul, Gemm) as one where the session asks for int8.
 *
 * Rows of A are copied as the steps of isa/integer.h, less their zero points. Constant weights are
 * packed once, and all leading axes of A are rows of one product; a computed B is packed in each
 * run, matrix by matrix.
 *
 * In int8, weights are made to integers once, each column with a scale of its own; A with one scale
 * and zero point for all, from its least and largest element in each run.
 *
 * In: A [.., M, K], B [.., K, N] (Gemm: perhaps transposed), plain. Out: Y.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

enum { LINEAR, INTEGER, NUMBERS };

typedef struct matmul_kind {
    uint32_t what;
    native_places at;
} matmul_kind;
static const matmul_kind linear = { LINEAR, { 0, 1, 2, 3, 4, 5, 6, 7, -1 } };
static const matmul_kind integer = { INTEGER, { 0, -1, 2, 1, -1, 3, -1, -1, -1 } };
static const matmul_kind numbers = { NUMBERS, { 0, -1, -1, 1, -1, -1, -1, -1, 2 } };

typedef struct matmul_state {
    native_epilogue epilogue; /* NUMBERS */
    int64_t m, n, k, steps, padded;
    native_batches batches;   /* products of their own; 1 with constant weights */
    int64_t rows, row_blocks; /* rows of a block */
    int64_t panels, panel_groups;
    uint32_t packed, transposed, quads, a_signed, b_signed;
    size_t pack_bytes, start_bytes, scale_bytes, line_bytes, table_bytes, band_bytes, thread_bytes;
} matmul_state;

/* ---- offer ------------------------------------------------------------------------------- */

static tn_status matmul_offer(tn_offer *ctx)
{
    const matmul_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    const native_places *at = &kind->at;
    ctx->algorithm = "product of integers";
    if (kind->what == NUMBERS) {
        if (p->math != TN_MATH_INT8)
            return tn_fail(ctx, TN_DECLINED, "int8 is not asked for");
        const tn_status status = native_offer_matmul(ctx);
        if (status != TN_DECLINED && (!p->constants[1] || p->inputs[1]->rank != 2))
            return tn_fail(ctx, TN_DECLINED, "weights that are computed");
        if (status != TN_DECLINED && !native_all_finite(p->constants[1]))
            return tn_fail(ctx, TN_DECLINED, "a weight is not finite: it has no 8 bits");
        return status;
    }
    const tn_status status = native_offer_integer(ctx, at);
    if (status == TN_DECLINED)
        return status;
    const int32_t a_rank = p->inputs[at->x]->rank, b_rank = p->inputs[at->w]->rank;
    if ((a_rank >= 0 && a_rank < 2) || (b_rank >= 0 && b_rank < 2))
        return tn_fail(ctx, TN_DECLINED, "a vector: matrices are wanted here");
    return status;
}

/* ---- measure ------------------------------------------------------------------------------ */

static void read_sizes(const tn_problem *p, const matmul_kind *kind, matmul_state *s)
{
    const native_places *at = &kind->at;
    const tn_type *a = p->inputs[at->x], *b = p->inputs[at->w], *y = p->outputs[0];
    const tn_type *b_zero = native_type_at(p, at->w_zero);
    s->transposed = strcmp(p->node->op, "Gemm") == 0 && tn_attr_int(p->node, "transB", 0);
    s->a_signed = a->dtype == TN_INT8;
    s->b_signed = b->dtype == TN_INT8;
    s->k = a->dims[a->rank - 1];
    s->n = y->dims[y->rank - 1];
    s->m = y->dims[y->rank - 2];
    s->packed = p->constants[at->w] && b->rank == 2 &&
                (!b_zero || native_constant_at(p, at->w_zero));
    s->batches.count = 1;
    if (b->rank == 2) {
        s->m = native_count(y) / s->n;
        return;
    }
    s->batches = native_batches_of(a, b, y);
}

/* A zero point for each row of a matrix. */
static bool has_row_zeros(const tn_problem *p, const matmul_kind *kind)
{
    const tn_type *zero = native_type_at(p, kind->at.x_zero);
    return zero && native_count(zero) != 1;
}

static const char *misfit(const tn_problem *p, const matmul_kind *kind, const matmul_state *s)
{
    const native_places *at = &kind->at;
    const tn_type *scale = native_type_at(p, at->x_scale);
    if (!native_table_fits(native_type_at(p, at->w_zero), s->n) ||
        !native_table_fits(native_type_at(p, at->w_scale), s->n))
        return "not one scale or zero point for each column";
    if (scale && native_count(scale) != 1)
        return "a scale for each row";
    if (has_row_zeros(p, kind) &&
        (p->inputs[at->x]->rank != 2 || native_count(native_type_at(p, at->x_zero)) != s->m))
        return "a zero point for each row of a stack";
    if (kind->what != INTEGER && (double)s->k * 255.0 * 255.0 >= 2147483647.0)
        return "sums that may leave 32 bits";
    return NULL;
}

static void plan(const tn_problem *p, const matmul_kind *kind, const native_isa *isa,
                 matmul_state *s)
{
    enum { BLOCK_BYTES = 128 * 1024, MOST_ROWS = 192 };
    const int64_t panels = native_ceil(s->n, isa->columns), threads = s->packed ? p->threads : 1;
    s->steps = native_steps(s->quads, s->k);
    s->padded = panels * isa->columns;
    s->rows = BLOCK_BYTES / (s->steps * 4) / isa->rows * isa->rows;
    s->rows = s->rows > MOST_ROWS ? MOST_ROWS / isa->rows * isa->rows : s->rows;
    s->rows = s->rows < isa->rows ? isa->rows : s->rows;
    if (threads > 1) {
        const int64_t even = native_ceil(native_ceil(s->m, isa->rows), 4 * threads) * isa->rows;
        s->rows = even < s->rows ? even : s->rows;
    }
    s->row_blocks = native_ceil(s->m, s->rows);
    s->panel_groups = 1;
    if (threads > 1 && s->row_blocks < 2 * threads)
        s->panel_groups = native_ceil(2 * threads, s->row_blocks);
    s->panel_groups = s->panel_groups > panels ? panels : s->panel_groups;
    s->panels = native_ceil(panels, s->panel_groups);
    s->panel_groups = native_ceil(panels, s->panels);
    s->pack_bytes = native_integer_pack_bytes(isa, s->quads, 1, s->k, s->n);
    s->start_bytes = (size_t)native_round_up(s->padded * 4, 64);
    s->scale_bytes = (size_t)native_round_up(2 * s->padded * 4, 64);
    s->line_bytes = kind->what == NUMBERS ? (size_t)native_round_up(s->k, 64) : 0;
    s->table_bytes = (size_t)native_round_up(s->rows * 8, 64);
    s->band_bytes = (size_t)native_round_up(s->rows * s->steps * 4, 64);
    s->thread_bytes =
        s->line_bytes + s->table_bytes + s->band_bytes +
        (s->packed ? 0 : s->start_bytes + (size_t)native_round_up((int64_t)s->pack_bytes, 64));
}

static void describe(tn_measure *ctx, const matmul_kind *kind, const matmul_state *s)
{
    static const uint32_t sources[3][2] = { { 3, 5 }, { 1, 3 }, { 1, 2 } };
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    a->algorithm = s->packed ? (s->quads ? "product of quads" : "product of pairs")
                             : (s->quads ? "product of quads, packed in the run"
                                         : "product of pairs, packed in the run");
    if (kind->what == NUMBERS)
        native_epilogue_layouts(&s->epilogue, a, TN_LAYOUT_PLAIN, false);
    a->seconds = native_seconds(native_isa_of(ctx->instance),
                                (double)s->batches.count * (double)s->m * (double)s->n *
                                    (double)s->k * (s->quads ? 0.25 : 0.5),
                                (double)(native_count(p->inputs[kind->at.x]) +
                                         native_count(p->inputs[kind->at.w]) +
                                         native_count(p->outputs[0])),
                                p->threads);
    a->scratch_bytes = s->start_bytes + s->scale_bytes +
                       (NATIVE_RANGE_BYTES + s->thread_bytes) * p->threads;
    if (s->packed) {
        const int second = (int)sources[kind->what][1];
        a->pack_count = 1;
        a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                     .source_count = native_type_at(p, second) ? 2 : 1,
                                     .sources = sources[kind->what],
                                     .key = s->transposed
                                                ? (s->quads ? "turned quads" : "turned pairs")
                                            : s->quads ? "as lie quads"
                                                       : "as lie pairs",
                                     .key_bytes = 12,
                                     .bytes = s->pack_bytes };
    }
}

static tn_status matmul_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const matmul_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    matmul_state *s = state;
    char reason[192] = "";
    read_sizes(p, kind, s);
    const char *wrong = misfit(p, kind, s);
    if (wrong)
        return tn_fail(ctx, TN_DECLINED, "%s", wrong);
    if (kind->what == NUMBERS && native_epilogue_read(p, p->outputs[0]->rank - 1, &s->epilogue,
                                                      reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->epilogue.ld = s->n;
    /* The zero points of B must be known to be those of quads. */
    const tn_tensor *b_zero = native_constant_at(p, kind->at.w_zero);
    s->quads = kind->what == NUMBERS
                   ? isa->integer->quads != NULL
                   : !has_row_zeros(p, kind) && (b_zero || !native_type_at(p, kind->at.w_zero)) &&
                         native_quads_fit(isa, s->b_signed, b_zero);
    plan(p, kind, isa, s);
    describe(ctx, kind, s);
    return TN_OK;
}

static native_bytes matrix_of(const matmul_state *s, const tn_tensor *zero)
{
    return (native_bytes){ .is_signed = s->b_signed,
                           .taps = 1,
                           .depth = s->k,
                           .n = s->n,
                           .inner = s->k,
                           .inner_step = s->transposed ? 1 : s->n,
                           .column = s->transposed ? s->k : 1,
                           .zero = zero };
}

static tn_status matmul_prepare(tn_prepare *ctx, void *state)
{
    const matmul_kind *kind = ctx->call.user;
    const matmul_state *s = state;
    const tn_problem *p = ctx->problem;
    if (!s->packed || !ctx->packs[0].fill)
        return TN_OK;
    native_bytes source = matrix_of(s, native_constant_at(p, kind->at.w_zero));
    const tn_tensor *bias = native_constant_at(p, kind->at.bias);
    if (kind->what == NUMBERS)
        source.numbers = p->constants[1]->data;
    else
        source.data = p->constants[kind->at.w]->data;
    if (kind->what == NUMBERS && bias)
        source.number_bias = bias->data;
    native_integer_pack(native_isa_of(ctx->instance), s->quads, &source, ctx->packs[0].data);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct matmul_job {
    const matmul_state *s;
    const matmul_kind *kind;
    tn_run *ctx;
    const native_isa *isa;
    const tn_tensor *a_zeros;
    int32_t a_zero;
    float a_scale; /* NUMBERS */
    const int32_t *start;
    native_requantize rescale;
    float *factor; /* NUMBERS */
    char *ranges;  /* [threads][64]: least and largest so far */
    char *threads;
} matmul_job;

/* One row of A as a product reads it. */
static void spread_row(const matmul_job *job, int64_t row, char *room, char *to)
{
    const matmul_state *s = job->s;
    const tn_tensor *a = job->ctx->inputs[job->kind->at.x];
    const uint8_t *x = (const uint8_t *)a->data + row * s->k;
    const int64_t element = s->quads ? 1 : 2;
    if (job->kind->what == NUMBERS) {
        const native_quantize how = { .scale = &job->a_scale, .zero = &job->a_zero };
        job->isa->integer->quantize(&how, (const float *)a->data + row * s->k, (uint8_t *)room,
                                    s->k);
        x = (const uint8_t *)room;
    }
    if (!s->quads) {
        const int32_t zero = job->a_zeros
                                 ? (int32_t)tn_get_int(job->a_zeros->dtype, job->a_zeros->data, row)
                                 : job->a_zero;
        job->isa->integer->widen(x, s->a_signed, zero, (int16_t *)(void *)to, s->k);
    } else {
        const uint8_t flip = s->a_signed ? 128 : 0;
        for (int64_t k = 0; k < s->k; k++)
            to[k] = (char)(x[k] ^ flip);
    }
    memset(to + s->k * element, 0, (size_t)(s->steps * 4 - s->k * element));
}

/* Rows of block `block` of matrix `a` times panels [panel, last). */
static void run_rows(const matmul_job *job, int64_t a, int64_t batch, int64_t block, bool spread,
                     int64_t panel, int64_t last, const void *pack, const int32_t *start,
                     char *scratch)
{
    const matmul_state *s = job->s;
    const int64_t first = block * s->rows, at = (batch * s->m + first) * s->n;
    const int64_t count = s->m - first < s->rows ? s->m - first : s->rows;
    const size_t element = job->kind->what == LINEAR ? 1 : 4;
    const int64_t step = 0;
    const char **table = (const char **)(void *)(scratch + s->line_bytes);
    char *band = scratch + s->line_bytes + s->table_bytes;
    for (int64_t r = 0; spread && r < count; r++) {
        table[r] = band + r * s->steps * 4;
        spread_row(job, a * s->m + first + r, scratch, band + r * s->steps * 4);
    }
    const native_integer_product product = {
        .isa = job->isa,
        .quads = s->quads,
        .n = s->n,
        .taps = 1,
        .steps = s->steps,
        .tap_bytes = &step,
        .panels = pack,
        .start = start,
        .to = job->kind->what == LINEAR    ? NATIVE_TO_BYTES
              : job->kind->what == INTEGER ? NATIVE_TO_INTEGERS
                                           : NATIVE_TO_FLOATS,
        .rescale = job->rescale,
        .factor = job->factor,
        .bias = native_columns_of(job->isa, s->quads, pack, 1, s->k, s->n).number_bias,
        .epilogue = s->epilogue.count ? &s->epilogue : NULL,
        .inputs = job->ctx->inputs,
        .first_row = batch * s->m + first,
        .out = (char *)job->ctx->outputs[0]->data + (size_t)at * element,
        .ld = s->n,
    };
    native_integer_product_run(&product, table, count, panel, last);
}

static tn_status packed_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const matmul_job *job = user;
    const matmul_state *s = job->s;
    char *scratch = job->threads + thread * s->thread_bytes;
    const int64_t panels = s->padded / job->isa->columns;
    int64_t spread = -1;
    for (int64_t item = begin; item < end; item++) {
        const int64_t panel = item % s->panel_groups * s->panels, block = item / s->panel_groups;
        run_rows(job, 0, 0, block, block != spread, panel,
                 panel + s->panels < panels ? panel + s->panels : panels, job->ctx->packs[0],
                 job->start, scratch);
        spread = block;
    }
    return TN_OK;
}

static tn_status batch_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const matmul_job *job = user;
    const matmul_state *s = job->s;
    char *scratch = job->threads + thread * s->thread_bytes;
    int32_t *room = (int32_t *)(void *)(scratch + s->line_bytes + s->table_bytes + s->band_bytes);
    char *pack = (char *)room + s->start_bytes;
    for (int64_t batch = begin; batch < end; batch++) {
        int64_t a, b;
        native_batch_at(&s->batches, batch, &a, &b);
        native_bytes source = matrix_of(s, native_tensor_at(job->ctx, job->kind->at.w_zero));
        source.data = (const uint8_t *)job->ctx->inputs[job->kind->at.w]->data + b * s->k * s->n;
        native_integer_pack(job->isa, s->quads, &source, pack);
        const int32_t *start = native_integer_start(job->isa, s->quads, pack, 1, s->k, s->n,
                                                    s->a_signed, job->a_zero, room);
        for (int64_t block = 0; block < s->row_blocks; block++)
            run_rows(job, a, batch, block, true, 0, s->padded / job->isa->columns, pack, start,
                     scratch);
    }
    return TN_OK;
}

/* NUMBERS: scale and zero point of this run's A, then what sums are multiplied with. */
static tn_status read_numbers(matmul_job *job)
{
    const matmul_state *s = job->s;
    TN_TRY(native_dynamic_range(job->ctx, job->isa, job->ranges, &job->a_scale, &job->a_zero));
    const native_columns columns = native_columns_of(job->isa, s->quads, job->ctx->packs[0], 1,
                                                     s->k, s->n);
    for (int64_t c = 0; c < s->padded; c++)
        job->factor[c] = job->a_scale * columns.scale[c];
    return TN_OK;
}

static tn_status matmul_run(tn_run *ctx, const void *state, void *slot)
{
    const matmul_state *s = state;
    matmul_job job = {
        .s = s, .kind = ctx->call.user, .ctx = ctx, .isa = native_isa_of(ctx->instance)
    };
    const native_places *at = &job.kind->at;
    const tn_tensor *a_zero = native_tensor_at(ctx, at->x_zero);
    (void)slot;
    int32_t *start = ctx->scratch;
    job.factor = (float *)(void *)((char *)ctx->scratch + s->start_bytes);
    job.ranges = (char *)job.factor + s->scale_bytes;
    job.threads = job.ranges + NATIVE_RANGE_BYTES * (size_t)ctx->threads;
    job.a_zeros = a_zero && tn_count(a_zero) > 1 ? a_zero : NULL;
    job.a_zero = native_whole(a_zero);
    if (job.kind->what == NUMBERS)
        TN_TRY(read_numbers(&job));
    if (job.kind->what == LINEAR)
        native_rescale_read(&job.rescale, native_number(native_tensor_at(ctx, at->x_scale), 1.0),
                            native_tensor_at(ctx, at->w_scale),
                            native_number(native_tensor_at(ctx, at->y_scale), 1.0),
                            native_tensor_at(ctx, at->y_zero), ctx->outputs[0]->dtype, s->n,
                            s->padded, job.factor);
    if (!s->packed)
        return ctx->call.host->parallel_for(&ctx->call, s->batches.count, 1, batch_chunk, &job);
    job.start = native_integer_start(job.isa, s->quads, ctx->packs[0], 1, s->k, s->n, s->a_signed,
                                     job.a_zero, start);
    return ctx->call.host->parallel_for(&ctx->call, s->row_blocks * s->panel_groups, 1,
                                        packed_chunk, &job);
}

#define MATMUL                                                                                     \
    .state_bytes = sizeof(matmul_state), .offer = matmul_offer, .measure = matmul_measure,         \
    .prepare = matmul_prepare, .run = matmul_run

const tn_kernel_def native_integer_matmul_kernels[] = {
    NATIVE_BYTE_KERNEL("QLinearMatMul", MATMUL, .user = (void *)(uintptr_t)&linear),
    NATIVE_BYTE_KERNEL("MatMulInteger", MATMUL, .user = (void *)(uintptr_t)&integer),
    NATIVE_KERNEL("MatMul", MATMUL, .user = (void *)(uintptr_t)&numbers),
    NATIVE_KERNEL("Gemm", MATMUL, .user = (void *)(uintptr_t)&numbers),
    { .op = NULL },
};
