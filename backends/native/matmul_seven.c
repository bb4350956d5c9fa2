/* matmul_seven.c: MatMul and Gemm (ONNX: MatMul, Gemm) of constant weights by Strassen's method, in
 * the form that Winograd gave it (S. Winograd, Linear Algebra and its Applications 4, 1971): once.
 *
 * A and B are cut in halves both ways. Seven products of half the rows, depth and columns do what
 * eight would, with sums of quarters before and after:
 *
 *   S1 = A21 + A22, S2 = S1 - A11, S3 = A11 - A21, S4 = A12 - S2
 *   T1 = B12 - B11, T2 = B22 - T1, T3 = B22 - B12, T4 = T2 - B21
 *   P = A11 B11, U = P + S2 T2, V = U + S3 T3, W = S1 T1
 *   C11 = P + A12 B21, C12 = U + W + S4 B22, C21 = V - A22 T4, C22 = V + W
 *
 * The sums of B are packed (seven quarters instead of four), those of A made in each run. A strip of
 * both halves' columns goes through all of it while it is in the cache, so that the sums of products
 * are the tiles' beginnings.
 *
 * Only in fast mode: products are of sums, so specials spread to the row that a row is paired with,
 * and errors are to the scale of both.
 *
 * In: A [.., M, K], B [K, N] (Gemm: perhaps transposed), Gemm's C a row of N. Out: Y with its
 * epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

/* The products in the order in which they are made, by what is left of them. */
enum { A11_B11, A12_B21, S2_T2, S3_T3, S1_T1, S4_B22, A22_T4, PRODUCTS };

typedef struct seven_state {
    native_epilogue epilogue;
    int64_t m, n, k;
    int64_t rows, depth, columns; /* of a half; a lower one may have a row less */
    int64_t panels;               /* of a half's columns */
    int64_t block, blocks;        /* rows of a half that go over the weights together */
    int64_t sum_step;             /* from row to row of a sum of A's quarters */
    size_t panel_floats;          /* of one packed panel and its bias */
    size_t sum_bytes, zero_bytes, table_bytes, strip_bytes, thread_bytes; /* of the scratch */
    uint32_t transposed;
    native_bias bias;
} seven_state;

/* ---- offer, measure ----------------------------------------------------------------------- */

enum { LEAST_ROWS = 64, LEAST_DEPTH = 512, LEAST_COLUMNS = 512 };

static tn_status seven_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_status status = native_offer_matmul(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "product, seven of eight";
    if (p->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "sums of rows spread infinities: not in strict mode");
    if (!p->constants[1] || p->inputs[1]->rank != 2)
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    return status;
}

static void read_sizes(const native_isa *isa, const tn_problem *p, seven_state *s)
{
    enum { MOST_ROWS = 120 }; /* of a block: of each half */
    const tn_type *a = p->inputs[0], *y = p->outputs[0];
    s->transposed = strcmp(p->node->op, "Gemm") == 0 && tn_attr_int(p->node, "transB", 0);
    s->k = a->dims[a->rank - 1];
    s->n = y->dims[y->rank - 1];
    s->m = native_count(y) / s->n;
    s->rows = native_ceil(s->m, 2);
    s->depth = s->k / 2;
    s->columns = s->n / 2;
    s->panels = s->columns / isa->columns;
    s->blocks = native_ceil(s->rows, MOST_ROWS);
    s->block = native_ceil(s->rows, s->blocks);
}

/* Scratch: the four sums, a row of zeros, rows' places by product, then each thread's strips. */
static size_t read_scratch(const native_isa *isa, uint32_t threads, seven_state *s)
{
    s->sum_step = (native_ceil(s->depth, 16) | 1) *
                  16; /* rows begin in different sets of a cache */
    s->sum_bytes = (size_t)(s->rows * s->sum_step) * sizeof(float);
    s->zero_bytes = (size_t)native_round_up(s->depth * 4, 64);
    s->table_bytes = (size_t)native_round_up(PRODUCTS * s->rows * (int64_t)sizeof(float *), 64);
    s->strip_bytes = (size_t)(s->block * isa->columns) * sizeof(float);
    s->thread_bytes = (size_t)native_round_up(4 * (int64_t)s->strip_bytes, 64);
    return 4 * s->sum_bytes + s->zero_bytes + s->table_bytes + threads * s->thread_bytes;
}

static tn_status seven_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    seven_state *s = state;
    char reason[192] = "";
    read_sizes(isa, p, s);
    if (s->m < LEAST_ROWS || s->k < LEAST_DEPTH || s->n < LEAST_COLUMNS)
        return tn_fail(ctx, TN_DECLINED, "so small that a product less saves nothing");
    if (s->k % 2 || s->columns * 2 != s->n || s->columns % isa->columns)
        return tn_fail(ctx, TN_DECLINED, "a matrix that is not to be halved");
    if (!native_all_finite(p->constants[1]))
        return tn_fail(ctx, TN_DECLINED, "a weight is not finite");
    if (native_epilogue_read(p, p->outputs[0]->rank - 1, &s->epilogue, reason, sizeof reason) !=
        TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->epilogue.ld = s->n;
    native_read_bias(p, &s->epilogue, &s->bias);
    s->panel_floats = native_panel_floats(isa, s->depth, isa->columns);
    native_epilogue_layouts(&s->epilogue, a, TN_LAYOUT_PLAIN, true);
    a->algorithm = "product, seven of eight";
    a->seconds = native_seconds(isa, 7.0 / 8.0 * (double)s->m * (double)s->n * (double)s->k, 0,
                                p->threads);
    a->scratch_bytes = read_scratch(isa, p->threads, s);
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = s->bias.source_count,
                                 .sources = s->bias.sources,
                                 .key = s->transposed ? "seven, transposed" : "seven, as it lies",
                                 .key_bytes = 17,
                                 .bytes = (size_t)(s->panels * PRODUCTS) * s->panel_floats *
                                          sizeof(float) };
    return TN_OK;
}

/* ---- prepare: sums of weights ------------------------------------------------------------- */

/* Quarter (i, j) of B, a panel of it. */
static native_source quarter_of(const seven_state *s, const native_isa *isa, const float *b,
                                int64_t i, int64_t j, int64_t panel)
{
    const int64_t row = s->transposed ? 1 : s->n, column = s->transposed ? s->k : 1;
    return (native_source){ .data = b + i * s->depth * row +
                                    (j * s->columns + panel * isa->columns) * column,
                            .taps = 1,
                            .depth = s->depth,
                            .n = isa->columns,
                            .row = row,
                            .column = column };
}

/* The panels of the seven products side by side, each with what its sums begin with behind it. */
static void pack_strip(const seven_state *s, const native_isa *isa, const float *b,
                       const float *bias, int64_t panel, float *const *out)
{
    const int64_t floats = s->depth * isa->columns;
    native_source source = quarter_of(s, isa, b, 0, 0, panel);
    native_pack(isa, &source, out[A11_B11]);
    source = quarter_of(s, isa, b, 1, 0, panel);
    source.bias = bias ? bias + panel * isa->columns : NULL;
    native_pack(isa, &source, out[A12_B21]);
    native_pack(isa, &source, out[A22_T4]);
    source = quarter_of(s, isa, b, 0, 1, panel);
    native_pack(isa, &source, out[S3_T3]);
    native_pack(isa, &source, out[S2_T2]);
    source.bias = bias ? bias + s->columns + panel * isa->columns : NULL;
    native_pack(isa, &source, out[S1_T1]);
    source = quarter_of(s, isa, b, 1, 1, panel);
    native_pack(isa, &source, out[S4_B22]);
    isa->combine(NATIVE_SUB, out[S1_T1], out[A11_B11], 1, out[S1_T1], floats);
    isa->combine(NATIVE_SUB_FROM, out[S3_T3], out[S4_B22], 1, out[S3_T3], floats);
    isa->combine(NATIVE_ADD, out[S3_T3], out[A11_B11], 1, out[S2_T2], floats);
    isa->combine(NATIVE_SUB, out[A22_T4], out[S2_T2], 1, out[A22_T4], floats);
}

static tn_status seven_prepare(tn_prepare *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const seven_state *s = state;
    const tn_problem *p = ctx->problem;
    float *at = ctx->packs[0].data, *out[PRODUCTS];
    if (!ctx->packs[0].fill)
        return TN_OK;
    for (int64_t panel = 0; panel < s->panels; panel++) {
        for (int k = 0; k < PRODUCTS; k++, at += s->panel_floats)
            out[k] = at;
        pack_strip(s, isa, p->constants[1]->data, native_bias_of(p, &s->bias), panel, out);
    }
    return TN_OK;
}

/* ---- run: sums of rows -------------------------------------------------------------------- */

typedef struct seven_job {
    const seven_state *s;
    tn_run *ctx;
    const native_isa *isa;
    float *sums[4]; /* S1 … S4 */
    float *zeros;
    const float **table; /* [PRODUCTS][rows] */
    char *strips;
} seven_job;

static tn_status add_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const seven_job *job = user;
    const seven_state *s = job->s;
    const native_isa *isa = job->isa;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const bool below = s->rows + row < s->m;
        const float *a11 = (const float *)job->ctx->inputs[0]->data + row * s->k;
        const float *a21 = below ? a11 + s->rows * s->k : job->zeros;
        const float *a12 = a11 + s->depth, *a22 = below ? a21 + s->depth : job->zeros;
        float *sum[4];
        for (int k = 0; k < 4; k++)
            sum[k] = job->sums[k] + row * s->sum_step;
        isa->combine(NATIVE_ADD, a21, a22, 1, sum[0], s->depth);
        isa->combine(NATIVE_SUB, sum[0], a11, 1, sum[1], s->depth);
        isa->combine(NATIVE_SUB, a11, a21, 1, sum[2], s->depth);
        isa->combine(NATIVE_SUB, a12, sum[1], 1, sum[3], s->depth);
        const float *left[PRODUCTS] = {
            [A11_B11] = a11,  [A12_B21] = a12,   [S2_T2] = sum[1], [S3_T3] = sum[2],
            [S1_T1] = sum[0], [S4_B22] = sum[3], [A22_T4] = a22
        };
        for (int k = 0; k < PRODUCTS; k++)
            job->table[k * s->rows + row] = left[k];
    }
    return TN_OK;
}

/* ---- run: products ------------------------------------------------------------------------ */

/* Rows [first, first + rows) of a half, and a panel of its columns. */
typedef struct strip {
    int64_t panel, first, rows;
    float *sum, *v, *w, *beside; /* `rows` rows of a panel each */
} strip;

/* One of the seven, and `add`, if any. */
static void multiply(const seven_job *job, const strip *at, int product, const float *add,
                     float *out, int64_t ld, int64_t rows)
{
    const seven_state *s = job->s;
    const int64_t width = job->isa->columns;
    const tn_tensor sum = { .data = (void *)(uintptr_t)add };
    const tn_tensor *inputs[1] = { &sum };
    const native_epilogue plus = { .count = 1,
                                   .ld = width,
                                   .steps = { { .function = NATIVE_ADD, .spread = NATIVE_FULL } } };
    const native_product p = { .isa = job->isa,
                               .epilogue = add ? &plus : NULL,
                               .inputs = inputs,
                               .m = rows,
                               .n = width,
                               .taps = 1,
                               .depth = s->depth,
                               .panels = (const float *)job->ctx->packs[0] +
                                         (size_t)(at->panel * PRODUCTS + product) * s->panel_floats,
                               .far = true,
                               .out = out,
                               .ld = ld };
    native_product_run(&p, job->table + product * s->rows + at->first, 0, rows, 0, 1);
}

/* Where a quarter of Y is made. Beside, where a step reads a tensor that may lie in the same place. */
typedef struct quarter {
    float *out;
    int64_t ld, row, rows, column;
} quarter;

static quarter quarter_at(const seven_job *job, const strip *at, int64_t i, int64_t j)
{
    const seven_state *s = job->s;
    const bool beside = native_has_full(&s->epilogue, 0);
    quarter q = { at->beside, job->isa->columns, i * s->rows + at->first, at->rows,
                  j * s->columns + at->panel * job->isa->columns };
    q.rows = s->m - q.row < q.rows ? s->m - q.row : q.rows;
    if (!beside) {
        q.out = (float *)job->ctx->outputs[0]->data + q.row * s->n + q.column;
        q.ld = s->n;
    }
    return q;
}

static void finish_quarter(const seven_job *job, const strip *at, const quarter *q)
{
    const seven_state *s = job->s;
    const int64_t width = job->isa->columns;
    float *out = (float *)job->ctx->outputs[0]->data + q->row * s->n + q->column;
    native_finish(job->isa, &s->epilogue, job->ctx->inputs, q->out, q->ld, q->row, q->rows,
                  q->column, width);
    for (int64_t r = 0; r < q->rows && q->out == at->beside; r++)
        memcpy(out + r * s->n, q->out + r * width, (size_t)width * sizeof *out);
}

static void add_strips(const seven_job *job, const float *x, const float *y, float *out, int64_t ld,
                       int64_t rows)
{
    const int64_t width = job->isa->columns;
    const native_rows sum = { .x = x,
                              .operand = y,
                              .y = out,
                              .x_step = width,
                              .operand_step = width,
                              .y_step = ld,
                              .rows = rows,
                              .count = width,
                              .along = true };
    job->isa->combine_rows(NATIVE_ADD, &sum);
}

static void run_strip(const seven_job *job, const strip *at)
{
    const int64_t width = job->isa->columns;
    quarter q = quarter_at(job, at, 0, 0);
    multiply(job, at, A11_B11, NULL, at->sum, width, at->rows);
    multiply(job, at, A12_B21, at->sum, q.out, q.ld, q.rows);
    finish_quarter(job, at, &q);
    multiply(job, at, S2_T2, at->sum, at->sum, width, at->rows); /* U */
    multiply(job, at, S3_T3, at->sum, at->v, width, at->rows);
    multiply(job, at, S1_T1, NULL, at->w, width, at->rows);
    add_strips(job, at->sum, at->w, at->sum, width, at->rows);
    q = quarter_at(job, at, 0, 1);
    multiply(job, at, S4_B22, at->sum, q.out, q.ld, q.rows);
    finish_quarter(job, at, &q);
    q = quarter_at(job, at, 1, 0);
    if (q.rows <= 0)
        return;
    multiply(job, at, A22_T4, at->v, q.out, q.ld, q.rows);
    finish_quarter(job, at, &q);
    q = quarter_at(job, at, 1, 1);
    add_strips(job, at->v, at->w, q.out, q.ld, q.rows);
    finish_quarter(job, at, &q);
}

/* Items are panels of a half, block by block of the rows. */
static tn_status multiply_strips(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const seven_job *job = user;
    const seven_state *s = job->s;
    float *own = (float *)(void *)(job->strips + thread * s->thread_bytes);
    const int64_t floats = s->block * job->isa->columns;
    for (int64_t item = begin; item < end; item++) {
        const int64_t first = item / s->panels * s->block, left = s->rows - first;
        const strip at = { .panel = item % s->panels,
                           .first = first,
                           .rows = left < s->block ? left : s->block,
                           .sum = own,
                           .v = own + floats,
                           .w = own + 2 * floats,
                           .beside = own + 3 * floats };
        run_strip(job, &at);
    }
    return TN_OK;
}

static tn_status seven_run(tn_run *ctx, const void *state, void *slot)
{
    const seven_state *s = state;
    seven_job job = { .s = s, .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    char *scratch = ctx->scratch;
    (void)slot;
    for (int k = 0; k < 4; k++, scratch += s->sum_bytes)
        job.sums[k] = (float *)(void *)scratch;
    job.zeros = memset(scratch, 0, s->zero_bytes);
    job.table = (const float **)(void *)(scratch + s->zero_bytes);
    job.strips = scratch + s->zero_bytes + s->table_bytes;
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, s->rows, 1 + 8192 / s->depth, add_rows, &job));
    return ctx->call.host->parallel_for(&ctx->call, s->blocks * s->panels, 1, multiply_strips,
                                        &job);
}

#define SEVEN(op)                                                                                  \
    NATIVE_KERNEL(op, .state_bytes = sizeof(seven_state), .offer = seven_offer,                    \
                  .measure = seven_measure, .prepare = seven_prepare, .run = seven_run)

const tn_kernel_def native_matmul_seven_kernels[] = { SEVEN("MatMul"),
                                                      SEVEN("Gemm"),
                                                      { .op = NULL } };
