/* plugins/onnx/model.c: ModelProto: the frame around the graph (ONNX IR, "Models").
 *
 * SPDX-License-Identifier: MIT */
#include "external.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static tn_status check_version(reader *r, const proto_model *model)
{
    const place at = { .what = "model", .index = NO_INDEX };
    r->ir_version = model->ir_version;
    if (model->ir_version < OLDEST_IR)
        return reader_fail(r, &at, TN_ERR_FORMAT,
                           "ir_version is %" PRId64 ": versions from %d on are read",
                           model->ir_version, OLDEST_IR);
    if (model->ir_version > NEWEST_IR)
        r->ctx->call.host->complain(&r->ctx->call, TN_OK, TN_WHERE_NODE, 0, NULL,
                                    "ir_version is %" PRId64
                                    ": the newest that is known is %d; unknown fields are skipped",
                                    model->ir_version, NEWEST_IR);
    if (!model->opsets.count)
        return reader_fail(r, &at, TN_ERR_FORMAT,
                           "opset_import is missing: what the operators mean depends on it");
    if (!model->graph.bytes)
        return reader_fail(r, &at, TN_ERR_FORMAT, "graph is missing");
    return TN_OK;
}

static tn_status keep(reader *r, const char *key, wire_span text)
{
    return text.count ? keep_text(r, NULL, key, (wire_span){ 0 }, (wire_span){ 0 }, text) : TN_OK;
}

/* What stands around the graph is kept as metadata; it has no other meaning to Tenon. */
static tn_status keep_frame(reader *r, const proto_model *model)
{
    const place at = { .what = "model", .index = NO_INDEX };
    char number[32];
    TN_TRY(read_metadata(r, &at, model->metadata, ""));
    TN_TRY(keep(r, KEY_PRODUCER, model->producer));
    TN_TRY(keep(r, KEY_PRODUCER_VERSION, model->producer_version));
    TN_TRY(keep(r, KEY_DOMAIN, model->domain));
    TN_TRY(keep(r, KEY_MODEL_DOC, model->doc));
    snprintf(number, sizeof number, "%" PRId64, model->model_version);
    if (model->model_version)
        TN_TRY(keep(r, KEY_MODEL_VERSION, wire_text(number)));
    if (model->training.count)
        reader_drop(r, DROPPED_TRAINING);
    if (model->devices.count)
        reader_drop(r, DROPPED_DEVICES);
    return TN_OK;
}

static tn_status read_imports(reader *r, wire_list list)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place at = { .what = "opset_import", .index = k };
        proto_opset opset;
        const char *domain;
        TN_TRY(reader_open(r, &at, &proto_opset_message, bytes, &opset));
        TN_TRY(reader_text(r, &at, opset.domain, &domain));
        TN_TRY(reader_settle(r, &at, r->ctx->api->set_opset(r->graph, domain, opset.version)));
    }
    return TN_OK;
}

static tn_status read_graph(reader *r, wire_span bytes)
{
    const place at = { .what = "graph", .index = NO_INDEX };
    scope top = { .region = TN_TOP_REGION };
    proto_graph graph;
    const char *name, *doc;
    TN_TRY(reader_open(r, &at, &proto_graph_message, bytes, &graph));
    TN_TRY(reader_text(r, &at, graph.name, &name));
    TN_TRY(reader_text(r, &at, graph.doc, &doc));
    TN_TRY(reader_settle(r, &at, r->ctx->api->set_name(r->graph, name, doc)));
    TN_TRY(read_metadata(r, &at, graph.metadata, KEY_GRAPH_METADATA));
    if (!graph.outputs.count)
        return reader_fail(r, &at, TN_ERR_FORMAT, "the graph has no output");
    return read_body(r, &at, &top, &graph);
}

static tn_status read_all(reader *r)
{
    proto_model model;
    wire_span bytes;
    const pool_mark start = pool_here(&r->pool);
    TN_TRY(reader_open(r, NULL, &proto_model_message, r->file, &model));
    TN_TRY(check_version(r, &model));
    TN_TRY(read_imports(r, model.opsets));
    TN_TRY(keep_frame(r, &model));
    for (size_t k = 0; wire_next(&model.functions, &bytes); k++) {
        const place at = { .what = "functions", .index = k };
        TN_TRY(read_function(r, &at, bytes));
        pool_back(&r->pool, start);
    }
    return read_graph(r, model.graph);
}

tn_status read_model(tn_format_call *ctx)
{
    reader r = { .ctx = ctx,
                 .file = { ctx->bytes, ctx->count },
                 .graph = ctx->graph,
                 .pool = { .call = &ctx->call },
                 .names = { .call = &ctx->call } };
    if (!ctx->count)
        return tn_fail(ctx, TN_ERR_SYNTAX, "the file is empty");
    const tn_status status = read_all(&r);
    external_fini(&r);
    pool_fini(&r.pool);
    pool_fini(&r.names);
    return status;
}
