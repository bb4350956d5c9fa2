/* Running a format: the frame around its read and write, and what the host does for it.
 *
 * In: a format, a mapped file. Out: a graph, or a file; complaints. Files that a model names are
 * opened only inside of the folder that the model's own file is in.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>

/* Behind the frame of a format's call. */
typedef struct format_room {
    const tn_format *format;
    const char *path; /* "" when there is none */
    tn_diagnostics *diagnostics;
    tn_status complained; /* the first complaint's status */
    bool writes;
} format_room;

static void format_complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                            const char *name, const char *format, ...) TN_PRINTF(6, 7);
static void format_complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                            const char *name, const char *format, ...)
{
    format_room *room = tn_frame_of(call)->room;
    char text[512];
    va_list args;
    (void)where;
    (void)index;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    if (room->complained == TN_OK)
        room->complained = status;
    tn_diagnose(
        room->diagnostics,
        &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                          .severity = status == TN_OK ? TN_SEVERITY_WARNING : TN_SEVERITY_ERROR,
                          .status = status,
                          .file = room->path,
                          .about = name,
                          .message = text });
}

/* A host function's own error: the thread's message goes into the frame. */
static tn_status pass_on(tn_call *call, tn_status status)
{
    return status == TN_OK ? TN_OK
                           : tn_frame_fail(tn_frame_of(call), status, "%s", tn_error_message());
}

static tn_status format_map_file(tn_call *call, const char *relative_path, tn_buffer **out)
{
    const format_room *room = tn_frame_of(call)->room;
    if (!*room->path)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_IO,
                             "'%s' stands beside the model, but the model came from memory",
                             relative_path);
    char *folder = tn_file_folder(room->path);
    if (!folder)
        return pass_on(call, tn_raise_memory());
    const tn_status status = tn_file_map_inside(folder, relative_path, out);
    tn_free(folder);
    return pass_on(call, status);
}

static tn_status format_buffer_create(tn_call *call, size_t bytes, tn_buffer **out)
{
    return pass_on(call, tn_buffer_create(bytes, out));
}

/* Beside the target only: no folder of its own, nothing above. */
static tn_status format_write_file(tn_call *call, const char *relative_path, const void *bytes,
                                   size_t count)
{
    const format_room *room = tn_frame_of(call)->room;
    if (!room->writes)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_STATE,
                             "host->write_file is not for reading");
    if (!relative_path)
        return pass_on(call, tn_file_write(room->path, bytes, count));
    if (strchr(relative_path, '/') || strcmp(relative_path, "..") == 0 || !*relative_path)
        return tn_frame_fail(tn_frame_of(call), TN_ERR_IO, "'%s' is not a plain file name",
                             relative_path);
    char *folder = tn_file_folder(room->path);
    char *path = folder ? tn_file_join(folder, relative_path) : NULL;
    const tn_status status = path ? tn_file_write(path, bytes, count) : tn_raise_memory();
    tn_free(path);
    tn_free(folder);
    return pass_on(call, status);
}

const tn_host tn_format_host = {
    .complain = format_complain,
    .map_file = format_map_file,
    .buffer_create = format_buffer_create,
    .write_file = format_write_file,
};

typedef struct format_frame {
    tn_frame frame;
    tn_format_call ctx;
} format_frame;

static void begin(format_frame *call, format_room *room)
{
    tn_frame_init(&call->frame, &call->ctx.call, sizeof call->ctx, TN_STAGE_FORMAT,
                  room->format->plugin, room->format->def.user, room);
    call->ctx.path = *room->path ? room->path : NULL;
    call->ctx.api = &tn_graph_functions;
}

/* What the callback answered, after its complaints and with its words. */
static tn_status settle(const format_frame *call, const format_room *room, tn_status status)
{
    if (status == TN_OK)
        status = call->frame.status;
    if (status == TN_OK)
        return room->complained;
    if (!call->frame.message[0] && room->complained != TN_OK)
        return room->complained;
    char own[96];
    snprintf(own, sizeof own, "format '%s' gives no reason (%s)", room->format->def.name,
             tn_status_name(status));
    return tn_diagnose(
        room->diagnostics,
        &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                          .status = status,
                          .file = room->path,
                          .message = call->frame.message[0] ? call->frame.message : own });
}

tn_status tn_format_read(const tn_format *format, const char *path, tn_buffer *buffer,
                         tn_diagnostics *diagnostics, tn_graph **out)
{
    format_room room = { .format = format,
                         .path = tn_text_or(path, ""),
                         .diagnostics = diagnostics };
    format_frame call = { .ctx = { .bytes = tn_buffer_bytes(buffer),
                                   .count = tn_buffer_size(buffer),
                                   .buffer = buffer } };
    tn_graph *graph = NULL;
    if (!format->def.read)
        return tn_raise(TN_ERR_ARGUMENT, "format '%s' is not for reading", format->def.name);
    TN_TRY(tn_graph_create(&graph));
    tn_graph_set_source(graph, room.path, NULL, NULL, NULL);
    begin(&call, &room);
    call.ctx.graph = graph;
    const tn_status status = settle(&call, &room, format->def.read(&call.ctx));
    if (status != TN_OK) {
        tn_graph_destroy(graph);
        return status;
    }
    *out = graph;
    return TN_OK;
}

tn_status tn_format_write(const tn_format *format, const char *path, tn_graph *graph,
                          tn_diagnostics *diagnostics)
{
    format_room room = {
        .format = format, .path = path, .diagnostics = diagnostics, .writes = true
    };
    format_frame call = { .ctx = { .graph = graph } };
    if (!format->def.write)
        return tn_raise(TN_ERR_ARGUMENT, "format '%s' is not for writing", format->def.name);
    begin(&call, &room);
    return settle(&call, &room, format->def.write(&call.ctx));
}
