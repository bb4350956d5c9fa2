/* matmul.c: MatMul and Gemm (ONNX: MatMul, Gemm), plain row-major.
 *
 * Constant weights are packed once, and all leading axes of A are rows of one product. A computed
 * B is packed in each run, matrix by matrix.
 *
 * In: A [.., M, K], B [.., K, N] (Gemm: perhaps transposed), Gemm's C a row of N. Out: Y with its
 * epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

typedef struct matmul_state {
    native_epilogue epilogue;
    native_cut cut;
    int64_t m, n, k;
    native_batches batches; /* products of their own; 1 with constant weights */
    uint32_t packed, transposed;
    native_bias bias; /* where B is packed */
    size_t pack_floats, thread_bytes, table_bytes;
} matmul_state;

static bool is_gemm(const tn_problem *p)
{
    return strcmp(p->node->op, "Gemm") == 0;
}

/* A row of N, repeated. */
static bool is_row(const tn_type *type, int64_t n)
{
    return type->rank >= 1 && type->rank <= 2 && type->dims[type->rank - 1] == n &&
           (type->rank == 1 || type->dims[0] == 1);
}

static tn_status check_gemm(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (tn_attr_int(p->node, "transA", 0))
        return tn_fail(ctx, TN_DECLINED, "A is transposed");
    if (tn_attr_float(p->node, "alpha", 1.0f) != 1.0f ||
        (p->own_count > 2 && p->inputs[2] && tn_attr_float(p->node, "beta", 1.0f) != 1.0f))
        return tn_fail(ctx, TN_DECLINED, "alpha or beta is not 1");
    if (!p->constants[1])
        return tn_fail(ctx, TN_DECLINED, "Gemm's B is computed");
    if (p->own_count > 2 && p->inputs[2] && !p->constants[2])
        return tn_fail(ctx, TN_DECLINED, "Gemm's C is computed");
    if (p->own_count > 2 && p->inputs[2] &&
        !is_row(p->inputs[2], p->inputs[1]->dims[tn_attr_int(p->node, "transB", 0) ? 0 : 1]))
        return tn_fail(ctx, TN_DECLINED, "Gemm's C is not a row of N");
    return TN_OK;
}

tn_status native_offer_matmul(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    char reason[192] = "";
    native_epilogue unused;
    const tn_status status = native_offer_product(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "product";
    if (p->inputs[1]->dtype != TN_FLOAT32 || p->inputs[0]->rank == 1 || p->inputs[1]->rank == 1)
        return tn_fail(ctx, TN_DECLINED, "a vector: matrices are wanted here");
    if (is_gemm(p))
        TN_TRY(check_gemm(ctx));
    if (native_epilogue_read(p, p->outputs[0]->rank - 1, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static void read_sizes(const tn_problem *p, matmul_state *s)
{
    const tn_type *a = p->inputs[0], *b = p->inputs[1], *y = p->outputs[0];
    s->transposed = is_gemm(p) && tn_attr_int(p->node, "transB", 0);
    s->k = a->dims[a->rank - 1];
    s->n = y->dims[y->rank - 1];
    s->m = y->dims[y->rank - 2];
    s->packed = p->constants[1] && b->rank == 2;
    s->batches.count = 1;
    if (s->packed) {
        s->m = native_count(y) / s->n;
        return;
    }
    s->batches = native_batches_of(a, b, y);
}

void native_read_bias(const tn_problem *p, native_epilogue *e, native_bias *out)
{
    const native_step *first = &e->steps[0];
    *out = (native_bias){ .sources = { 1 }, .source_count = 1 };
    if (is_gemm(p) && p->own_count > 2 && p->inputs[2]) {
        out->sources[out->source_count++] = 2;
    } else if (e->count && first->function == NATIVE_ADD && first->spread == NATIVE_COLUMN &&
               p->constants[first->input]) {
        out->sources[out->source_count++] = (uint32_t)first->input;
        memmove(e->steps, e->steps + 1, --e->count * sizeof *e->steps);
    }
}

const float *native_bias_of(const tn_problem *p, const native_bias *bias)
{
    return bias->source_count > 1 ? p->constants[bias->sources[1]]->data : NULL;
}

static tn_status matmul_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    matmul_state *s = state;
    char reason[192] = "";
    read_sizes(p, s);
    if (native_epilogue_read(p, p->outputs[0]->rank - 1, &s->epilogue, reason, sizeof reason) !=
        TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->epilogue.ld = s->n;
    if (s->packed)
        native_read_bias(p, &s->epilogue, &s->bias);
    s->pack_floats = native_panel_floats(isa, s->k, s->n);
    const native_extents extents = { s->m, s->n, s->k, s->k };
    s->cut = native_cut_of(isa, &extents, s->packed ? p->threads : 1);
    s->table_bytes = (size_t)native_round_up(s->cut.rows * (int64_t)sizeof(float *), 64);
    s->thread_bytes = s->table_bytes +
                      (s->packed ? 0 : (size_t)native_round_up((int64_t)s->pack_floats * 4, 64));
    a->algorithm = s->packed ? "product" : "product, packed in the run";
    native_epilogue_layouts(&s->epilogue, a, TN_LAYOUT_PLAIN, true);
    a->seconds = native_seconds(
        isa, (double)s->batches.count * (double)s->m * (double)s->n * (double)s->k,
        4.0 * (double)(native_count(p->inputs[0]) + native_count(p->inputs[1]) +
                       native_count(p->outputs[0])),
        p->threads);
    a->scratch_bytes = s->thread_bytes * p->threads;
    if (s->packed) {
        a->pack_count = 1;
        a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                     .source_count = s->bias.source_count,
                                     .sources = s->bias.sources,
                                     .key = s->transposed ? "transposed" : "as it lies",
                                     .key_bytes = 10,
                                     .bytes = s->pack_floats * sizeof(float) };
    }
    return TN_OK;
}

static native_source matrix_of(const matmul_state *s, const float *b, const float *bias)
{
    return (native_source){ .data = b,
                            .bias = bias,
                            .taps = 1,
                            .depth = s->k,
                            .n = s->n,
                            .row = s->transposed ? 1 : s->n,
                            .column = s->transposed ? s->k : 1 };
}

static tn_status matmul_prepare(tn_prepare *ctx, void *state)
{
    const matmul_state *s = state;
    const tn_problem *p = ctx->problem;
    if (!s->packed || !ctx->packs[0].fill)
        return TN_OK;
    native_source source = matrix_of(s, p->constants[1]->data, native_bias_of(p, &s->bias));
    source.call = &ctx->call;
    native_pack(native_isa_of(ctx->instance), &source, ctx->packs[0].data);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct matmul_job {
    const matmul_state *s;
    tn_run *ctx;
    const native_isa *isa;
} matmul_job;

static void run_part(const matmul_job *job, const float *a, const float *panels, int64_t batch,
                     const native_part *part, const float **table)
{
    const matmul_state *s = job->s;
    const native_product product = {
        .isa = job->isa,
        .epilogue = s->epilogue.count ? &s->epilogue : NULL,
        .inputs = job->ctx->inputs,
        .m = s->m,
        .n = s->n,
        .taps = 1,
        .depth = s->k,
        .panels = panels,
        .out = (float *)job->ctx->outputs[0]->data + batch * s->m * s->n,
        .ld = s->n,
        .first_row = batch * s->m,
    };
    for (int64_t r = part->first; r < part->last; r++)
        table[r - part->first] = a + r * s->k;
    native_product_run(&product, table, part->first, part->last, part->panel, part->panel_end);
}

static tn_status packed_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const matmul_job *job = user;
    const matmul_state *s = job->s;
    char *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    while (begin < end) {
        const native_part part = native_part_of(&s->cut, begin, end);
        run_part(job, job->ctx->inputs[0]->data, job->ctx->packs[0], 0, &part,
                 (const float **)(void *)scratch);
        begin += part.items;
    }
    return TN_OK;
}

static tn_status batch_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const matmul_job *job = user;
    const matmul_state *s = job->s;
    char *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    float *panels = (float *)(void *)(scratch + s->table_bytes);
    for (int64_t batch = begin; batch < end; batch++) {
        int64_t a, b;
        native_batch_at(&s->batches, batch, &a, &b);
        const native_source source = matrix_of(
            s, (const float *)job->ctx->inputs[1]->data + b * s->k * s->n, NULL);
        native_pack(job->isa, &source, panels);
        const int64_t items = native_cut_items(&s->cut);
        native_part part;
        for (int64_t item = 0; item < items; item += part.items) {
            part = native_part_of(&s->cut, item, items);
            run_part(job, (const float *)job->ctx->inputs[0]->data + a * s->m * s->k, panels, batch,
                     &part, (const float **)(void *)scratch);
        }
    }
    return TN_OK;
}

static tn_status matmul_run(tn_run *ctx, const void *state, void *slot)
{
    const matmul_state *s = state;
    matmul_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    if (s->packed)
        return ctx->call.host->parallel_for(&ctx->call, native_cut_items(&s->cut), 1, packed_chunk,
                                            &job);
    return ctx->call.host->parallel_for(&ctx->call, s->batches.count, 1, batch_chunk, &job);
}

#define MATMUL(op)                                                                                 \
    NATIVE_KERNEL(op, .state_bytes = sizeof(matmul_state), .offer = native_offer_matmul,           \
                  .measure = matmul_measure, .prepare = matmul_prepare, .run = matmul_run)

const tn_kernel_def native_matmul_kernels[] = { MATMUL("MatMul"), MATMUL("Gemm"), { .op = NULL } };
