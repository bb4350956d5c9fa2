/* engine/base/error.c: statuses and this thread's message.
 *
 * In: a status and a text. Out: the status, and the text kept for tn_error_message(). The message
 * is a fixed array per thread, so that a refused allocation can still be reported.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

#include <stdio.h>

#ifndef TN_VERSION
#define TN_VERSION "0.1.0"
#endif

enum { MESSAGE_BYTES = 1024 };
static _Thread_local char message[MESSAGE_BYTES];

const char *tn_version(void)
{
    return TN_VERSION;
}

const char *tn_error_message(void)
{
    return message;
}

const char *tn_status_name(tn_status status)
{
    static const struct {
        tn_status status;
        const char *name;
    } names[] = {
#define ROW(name) { name, #name }
        ROW(TN_OK),           ROW(TN_ERR_ARGUMENT),  ROW(TN_ERR_MEMORY),   ROW(TN_ERR_IO),
        ROW(TN_ERR_SYNTAX),   ROW(TN_ERR_FORMAT),    ROW(TN_ERR_NAME),     ROW(TN_ERR_DUPLICATE),
        ROW(TN_ERR_OPERATOR), ROW(TN_ERR_ATTRIBUTE), ROW(TN_ERR_TYPE),     ROW(TN_ERR_SHAPE),
        ROW(TN_ERR_CYCLE),    ROW(TN_ERR_VALUE),     ROW(TN_ERR_LIMIT),    ROW(TN_ERR_PLUGIN),
        ROW(TN_ERR_ABI),      ROW(TN_ERR_BACKEND),   ROW(TN_ERR_UNPLACED), ROW(TN_ERR_CANCELLED),
        ROW(TN_ERR_DEADLINE), ROW(TN_ERR_FORKED),    ROW(TN_ERR_STATE),    ROW(TN_ERR_STALE),
        ROW(TN_ERR_INTERNAL), ROW(TN_DECLINED),      ROW(TN_NEEDS_SHAPES), ROW(TN_KEEP),
        ROW(TN_NO_MATCH),
#undef ROW
    };
    for (size_t k = 0; k < TN_COUNT(names); k++)
        if (names[k].status == status)
            return names[k].name;
    return "?";
}

/* Names come from files: a line break in one must not break the one-line rule. */
static void store(const char *text, size_t count)
{
    if (count > MESSAGE_BYTES - 1) {
        count = MESSAGE_BYTES - 1;
        while (count && ((unsigned char)text[count] & 0xc0) == 0x80)
            count--; /* not within a character of several bytes */
    }
    for (size_t k = 0; k < count; k++)
        message[k] = (unsigned char)text[k] < 0x20 || text[k] == 0x7f ? ' ' : text[k];
    message[count] = 0;
}

tn_status tn_raise_v(tn_status status, const char *format, va_list args)
{
    char text[MESSAGE_BYTES + 8]; /* an argument may well be the old message */
    int count = vsnprintf(text, sizeof text, format, args);
    if (count >= 0)
        store(text, (size_t)count < sizeof text ? (size_t)count : sizeof text - 1);
    return status;
}

tn_status tn_raise(tn_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn_raise_v(status, format, args);
    va_end(args);
    return status;
}

tn_status tn_raise_at(tn_status status, const char *format, ...)
{
    char prefix[MESSAGE_BYTES], text[2 * MESSAGE_BYTES + 4];
    va_list args;
    va_start(args, format);
    int count = vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    if (count < 0)
        return status;
    count = snprintf(text, sizeof text, "%s: %s", prefix, message);
    if (count >= 0)
        store(text, strlen(text));
    return status;
}

tn_status tn_raise_memory(void)
{
    return tn_raise(TN_ERR_MEMORY, "out of memory");
}
