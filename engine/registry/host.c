/* The host's side of a callback: frames, host->fail, and the table of functions a plugin gets.
 *
 * Every function of the table checks here that its stage is running, then goes on to the room that
 * brings it (tn_host_parts). So a plugin that calls out of turn gets TN_ERR_STATE and a message,
 * whatever the rooms do.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>

/* ---- frames ------------------------------------------------------------------------------------ */

_Static_assert(sizeof(tn_frame) % 16 == 0, "the ABI context follows the frame directly");

void tn_frame_init(tn_frame *frame, tn_call *call, uint32_t context_bytes, uint32_t stage,
                   const tn_plugin *plugin, void *user, void *room)
{
    frame->magic = TN_FRAME_MAGIC;
    frame->stage = stage;
    frame->room = room;
    frame->plugin = plugin;
    tn_frame_reset(frame);
    call->size = context_bytes;
    call->minor = plugin ? plugin->minor : TN_ABI_MINOR;
    call->host = plugin ? plugin->host : NULL;
    call->user = user;
}

void tn_frame_reset(tn_frame *frame)
{
    frame->status = TN_OK;
    frame->taken = 0;
    frame->message[0] = '\0';
}

/* Takes the frame's message for the caller: the first error, or the first note before any error. */
static bool take(tn_frame *frame, uint32_t level)
{
    uint32_t seen = frame->taken;
    while (seen < level)
        if (__atomic_compare_exchange_n((uint32_t *)&frame->taken, &seen, level, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/* Cut text may end inside a UTF-8 sequence: the stump goes. */
static void trim_stump(char *text, size_t count)
{
    size_t at = count;
    while (at > 0 && count - at < 4 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0 && (unsigned char)text[at - 1] >= 0xc0)
        text[at - 1] = '\0';
}

tn_status tn_frame_fail_v(tn_frame *frame, tn_status status, const char *format, va_list args)
{
    if (!take(frame, status == TN_OK ? 1 : 2))
        return status;
    frame->status = status;
    const int count = vsnprintf(frame->message, sizeof frame->message, format, args);
    if (count < 0)
        frame->message[0] = '\0';
    else if ((size_t)count >= sizeof frame->message)
        trim_stump(frame->message, sizeof frame->message - 1);
    /* One line: what a plugin says goes into lists. */
    for (char *c = frame->message; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    return status;
}

tn_status tn_frame_fail(tn_frame *frame, tn_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    status = tn_frame_fail_v(frame, status, format, args);
    va_end(args);
    return status;
}

static tn_status host_fail(tn_call *call, tn_status status, const char *format, ...)
    TN_PRINTF(3, 4);
static tn_status host_fail(tn_call *call, tn_status status, const char *format, ...)
{
    tn_frame *frame = tn_frame_of(call);
    va_list args;
    if (frame->magic != TN_FRAME_MAGIC)
        return status;
    va_start(args, format);
    status = tn_frame_fail_v(frame, status, format, args);
    va_end(args);
    return status;
}

/* ---- dispatch ---------------------------------------------------------------------------------- */

/* The room's part when it has the function and its stage is running; else NULL, and the call has
 * failed with a message. */
static const tn_host *part_for(tn_call *call, const tn_host *part, bool has, uint32_t stages,
                               const char *name)
{
    tn_frame *frame = tn_frame_of(call);
    if (frame->magic != TN_FRAME_MAGIC)
        return NULL;
    if (part && has && (frame->stage & stages))
        return part;
    tn_frame_fail(frame, TN_ERR_STATE, "host->%s is not for this callback", name);
    return NULL;
}

static const tn_host_parts *parts_of(const tn_call *call)
{
    return &((const tn_plugin_host *)(const void *)call->host)->parts;
}

#define PART(call, room, member, stages)                                                           \
    part_for(call, parts_of(call)->room, parts_of(call)->room &&parts_of(call)->room->member,      \
             stages, #member)
/* A function that answers a status, void, or something else. */
#define FORWARD(room, member, stages, ...)                                                         \
    const tn_host *part = PART(call, room, member, stages);                                        \
    return part ? part->member(call, __VA_ARGS__) : TN_ERR_STATE
#define FORWARD_ELSE(room, member, stages, other, ...)                                             \
    const tn_host *part = PART(call, room, member, stages);                                        \
    return part ? part->member(call, __VA_ARGS__) : (other)

static void host_complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                          const char *name, const char *format, ...) TN_PRINTF(6, 7);
static void host_complain(tn_call *call, tn_status status, uint32_t where, uint32_t index,
                          const char *name, const char *format, ...)
{
    tn_frame *frame = tn_frame_of(call);
    char text[512];
    va_list args;
    const tn_host *part;
    va_start(args, format);
    if (frame->magic == TN_FRAME_MAGIC && (frame->stage & TN_STAGE_REWRITE))
        tn_frame_fail_v(frame, status, format, args);
    else if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    if (frame->magic != TN_FRAME_MAGIC || (frame->stage & TN_STAGE_REWRITE))
        return;
    part = frame->stage & TN_STAGE_FORMAT ? PART(call, format, complain, TN_STAGE_FORMAT)
                                          : PART(call, infer, complain, TN_STAGE_INFER);
    if (part)
        part->complain(call, status, where, index, name, "%s", text);
}

static const void *host_extension(const tn_host *host, const char *id)
{
    const tn_host *compile = ((const tn_plugin_host *)(const void *)host)->parts.compile;
    return compile && compile->extension && id ? compile->extension(host, id) : NULL;
}

/* ---- infer --------------------------------------------------------------------------------------- */

static const tn_tensor *host_input_value(tn_call *call, uint32_t k)
{
    FORWARD_ELSE(infer, input_value, TN_STAGE_INFER, NULL, k);
}
static int64_t host_input_elements(tn_call *call, uint32_t k, tn_dim *out, int64_t capacity)
{
    FORWARD_ELSE(infer, input_elements, TN_STAGE_INFER, -1, k, out, capacity);
}
static tn_status host_output_elements(tn_call *call, uint32_t k, const tn_dim *elements,
                                      int64_t count)
{
    FORWARD(infer, output_elements, TN_STAGE_INFER, k, elements, count);
}
static tn_status host_infer_region(tn_call *call, const char *attribute,
                                   const tn_type *const *inputs, uint32_t input_count,
                                   tn_type *outputs, uint32_t output_count)
{
    FORWARD(infer, infer_region, TN_STAGE_INFER, attribute, inputs, input_count, outputs,
            output_count);
}
static tn_dim host_dim_op(tn_call *call, uint32_t op, tn_dim a, tn_dim b)
{
    FORWARD_ELSE(infer, dim_op, TN_STAGE_INFER, TN_DIM_UNKNOWN, op, a, b);
}
static uint32_t host_dim_equal(tn_call *call, tn_dim a, tn_dim b)
{
    FORWARD_ELSE(infer, dim_equal, TN_STAGE_INFER, TN_MAYBE, a, b);
}
static tn_status host_broadcast(tn_call *call, const tn_type *const *types, uint32_t count,
                                tn_type *out)
{
    FORWARD(infer, broadcast, TN_STAGE_INFER, types, count, out);
}

/* ---- run ------------------------------------------------------------------------------------------ */

static tn_status host_output_alloc(tn_call *call, uint32_t k, int32_t rank, const int64_t *dims)
{
    FORWARD(run, output_alloc, TN_STAGE_RUN, k, rank, dims);
}
static tn_status host_parallel_for(tn_call *call, int64_t n, int64_t grain, tn_chunk_fn fn,
                                   void *user)
{
    FORWARD(run, parallel_for, TN_STAGE_RUN, n, grain, fn, user);
}
static int32_t host_cancelled(tn_call *call)
{
    const tn_host *part = PART(call, run, cancelled, TN_STAGE_RUN);
    return part ? part->cancelled(call) : 0;
}
static void host_random(tn_call *call, uint32_t stream, uint64_t first, size_t count, uint32_t *out)
{
    const tn_host *part = PART(call, run, random, TN_STAGE_RUN);
    if (part)
        part->random(call, stream, first, count, out);
}
static tn_status host_string_make(tn_call *call, const char *bytes, size_t count, tn_text *out)
{
    FORWARD(run, string_make, TN_STAGE_RUN, bytes, count, out);
}
static int64_t host_seq_count(tn_call *call, const tn_tensor *sequence)
{
    FORWARD_ELSE(run, seq_count, TN_STAGE_RUN, -1, sequence);
}
static const tn_tensor *host_seq_get(tn_call *call, const tn_tensor *sequence, int64_t k)
{
    FORWARD_ELSE(run, seq_get, TN_STAGE_RUN, NULL, sequence, k);
}
static tn_status host_seq_begin(tn_call *call, uint32_t k, uint32_t from)
{
    FORWARD(run, seq_begin, TN_STAGE_RUN, k, from);
}
static tn_status host_seq_insert(tn_call *call, uint32_t k, int64_t at, const tn_tensor *element)
{
    FORWARD(run, seq_insert, TN_STAGE_RUN, k, at, element);
}
static tn_status host_seq_erase(tn_call *call, uint32_t k, int64_t at)
{
    FORWARD(run, seq_erase, TN_STAGE_RUN, k, at);
}
static const tn_tensor *host_opt_get(tn_call *call, const tn_tensor *optional)
{
    FORWARD_ELSE(run, opt_get, TN_STAGE_RUN, NULL, optional);
}
static tn_status host_opt_set(tn_call *call, uint32_t k, const tn_tensor *element)
{
    FORWARD(run, opt_set, TN_STAGE_RUN, k, element);
}
static tn_status host_output_set(tn_call *call, uint32_t k, const tn_tensor *value)
{
    FORWARD(run, output_set, TN_STAGE_RUN, k, value);
}
static tn_status host_run_region(tn_call *call, const char *attribute, const tn_tensor *const *in,
                                 uint32_t in_count, const tn_tensor **out, uint32_t out_count)
{
    FORWARD(run, run_region, TN_STAGE_RUN, attribute, in, in_count, out, out_count);
}
static void host_value_release(tn_call *call, const tn_tensor *value)
{
    const tn_host *part = PART(call, run, value_release, TN_STAGE_RUN);
    if (part)
        part->value_release(call, value);
}
static tn_status host_value_slice(tn_call *call, const tn_tensor *value, int32_t axis,
                                  int64_t index, const tn_tensor **out)
{
    FORWARD(run, value_slice, TN_STAGE_RUN, value, axis, index, out);
}
static tn_status host_value_make(tn_call *call, const tn_type *type, tn_tensor **out)
{
    FORWARD(run, value_make, TN_STAGE_RUN, type, out);
}
static tn_status host_list_push(tn_call *call, uint32_t k, const tn_tensor *element, int32_t axis,
                                int32_t reverse)
{
    FORWARD(run, list_push, TN_STAGE_RUN, k, element, axis, reverse);
}

/* ---- compile --------------------------------------------------------------------------------------- */

static tn_status host_layout(tn_call *call, const void *blob, size_t blob_bytes, size_t bytes,
                             uint32_t *out)
{
    FORWARD(compile, layout, TN_STAGE_COMPILE, blob, blob_bytes, bytes, out);
}
/* run/ answers while running, when it brings the function; its contexts are its own. */
static const void *host_layout_blob(tn_call *call, uint32_t layout, size_t *blob_bytes)
{
    const tn_host *part;
    if (tn_frame_of(call)->magic == TN_FRAME_MAGIC && (tn_frame_of(call)->stage & TN_STAGE_RUN))
        part = PART(call, run, layout_blob, TN_STAGE_RUN);
    else
        part = PART(call, compile, layout_blob, TN_STAGE_COMPILE);
    return part ? part->layout_blob(call, layout, blob_bytes) : NULL;
}

/* ---- formats --------------------------------------------------------------------------------------- */

static tn_status host_map_file(tn_call *call, const char *relative_path, tn_buffer **out)
{
    FORWARD(format, map_file, TN_STAGE_FORMAT, relative_path, out);
}
static tn_status host_buffer_create(tn_call *call, size_t bytes, tn_buffer **out)
{
    FORWARD(format, buffer_create, TN_STAGE_FORMAT, bytes, out);
}
static void *host_buffer_data(tn_buffer *buffer, size_t *bytes)
{
    if (bytes)
        *bytes = buffer ? tn_buffer_size(buffer) : 0;
    return buffer ? tn_buffer_bytes(buffer) : NULL;
}
static tn_status host_write_file(tn_call *call, const char *relative_path, const void *bytes,
                                 size_t count)
{
    FORWARD(format, write_file, TN_STAGE_FORMAT, relative_path, bytes, count);
}

static const tn_host functions = {
    .size = sizeof(tn_host),
    .graph = &tn_graph_functions,
    .fail = host_fail,
    .complain = host_complain,
    .extension = host_extension,
    .input_value = host_input_value,
    .input_elements = host_input_elements,
    .output_elements = host_output_elements,
    .infer_region = host_infer_region,
    .dim_op = host_dim_op,
    .dim_equal = host_dim_equal,
    .broadcast = host_broadcast,
    .output_alloc = host_output_alloc,
    .parallel_for = host_parallel_for,
    .cancelled = host_cancelled,
    .random = host_random,
    .string_make = host_string_make,
    .seq_count = host_seq_count,
    .seq_get = host_seq_get,
    .seq_begin = host_seq_begin,
    .seq_insert = host_seq_insert,
    .seq_erase = host_seq_erase,
    .opt_get = host_opt_get,
    .opt_set = host_opt_set,
    .output_set = host_output_set,
    .run_region = host_run_region,
    .value_release = host_value_release,
    .value_slice = host_value_slice,
    .value_make = host_value_make,
    .list_push = host_list_push,
    .layout = host_layout,
    .layout_blob = host_layout_blob,
    .map_file = host_map_file,
    .buffer_create = host_buffer_create,
    .buffer_data = host_buffer_data,
    .buffer_release = tn_buffer_unref,
    .write_file = host_write_file,
};

void tn_host_fill(tn_plugin_host *host, const tn_host_parts *parts, uint32_t minor)
{
    host->host = functions;
    host->host.minor = minor;
    host->parts = *parts;
}
