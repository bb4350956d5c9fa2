/* engine/compile/pass_log.c: notes of what passes did or why not, and the log as text.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

/* Near misses come last and are what a user asks for: some room is theirs alone. */
enum { KEPT_NOTES = 1000, KEPT_FIRED = 800 };

tn_status tn_pass_say(tn_rewrite *ctx, tn_status status, const char *format, ...)
{
    tn_frame *frame = tn_frame_of(&ctx->call);
    va_list args;
    va_start(args, format);
    vsnprintf(frame->message, sizeof frame->message, format, args);
    va_end(args);
    frame->status = status;
    return status;
}

tn_status tn_pass_note_add(tn_manager *manager, uint32_t pass, bool fired, const char *text)
{
    tn_pass_log *log = manager->log;
    char *copy;
    log->note_total++;
    if (log->note_count >= (fired ? KEPT_FIRED : KEPT_NOTES))
        return TN_OK;
    if (log->note_count == log->note_capacity &&
        !tn_grow((void **)&log->notes, &log->note_capacity, sizeof *log->notes))
        return tn_raise_memory();
    copy = tn_strdup(text);
    if (!copy)
        return tn_raise_memory();
    log->notes[log->note_count++] = (tn_pass_note){ .pass = pass, .fired = fired, .text = copy };
    return TN_OK;
}

void tn_pass_log_fini(tn_pass_log *log)
{
    for (uint32_t k = 0; k < log->note_count; k++)
        tn_free(log->notes[k].text);
    tn_free(log->notes);
    tn_free(log->records);
    tn_builder_fini(&log->dump);
    memset(log, 0, sizeof *log);
}

/* Wide enough for the longest name. */
static int name_width(const tn_pass_log *log)
{
    size_t width = 20;
    for (uint32_t k = 0; k < log->record_count; k++)
        if (strlen(log->records[k].name) > width)
            width = strlen(log->records[k].name);
    return (int)width;
}

static void print_record(const tn_pass_record *record, int width, tn_builder *out)
{
    static const char *const exactness[] = { "exact", "rounding", "approximate" };
    if (!record->enabled) {
        tn_add(out, "  %-*s off\n", width, record->name);
        return;
    }
    tn_add(out,
           "  %-20s %-11s %5" PRIu32 " times  %6" PRIu64 " -> %-6" PRIu64 " nodes  %8.3f ms%s\n",
           record->name, exactness[record->exactness < TN_COUNT(exactness) ? record->exactness : 2],
           record->fired, record->nodes_before, record->nodes_after, (double)record->ns / 1e6,
           record->checked ? "  verified" : "");
}

void tn_pass_log_print(const tn_pass_log *log, tn_builder *out)
{
    tn_add(out, "passes: %" PRIu64 " -> %" PRIu64 " nodes in %.3f ms\n", log->nodes_before,
           log->nodes_after, (double)log->ns / 1e6);
    const int width = name_width(log);
    for (uint32_t k = 0; k < log->record_count; k++) {
        print_record(&log->records[k], width, out);
        for (uint32_t n = 0; n < log->note_count; n++)
            if (log->notes[n].pass == k)
                tn_add(out, "    %s %s\n", log->notes[n].fired ? "*" : "-", log->notes[n].text);
    }
    if (log->note_total > log->note_count)
        tn_add(out, "  (%" PRIu32 " more notes)\n", log->note_total - log->note_count);
}
