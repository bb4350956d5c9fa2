/* engine/json/positions.h: where things stand in a JSON text. Jansson keeps no positions; these
 * functions walk the text again when there is something to complain about.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_POSITIONS_H
#define TN_JSON_POSITIONS_H

#include "engine/base/base.h"

enum { TN_JSON_DEEPEST = 2000 }; /* brackets within brackets; Jansson itself gives up at 2048 */

/* Offset of what a path such as "/nodes/3/inputs/1" leads to ("~" and "/" in keys are written "~0"
 * and "~1"); of the key instead of its value when `key` is true. When the path leads further than
 * the text, the last thing that is there; false then. `text` is JSON. */
bool tn_json_find(const char *text, size_t count, const char *path, bool key, size_t *offset);
/* Line and column, from 1, the column in bytes. */
void tn_json_position(const char *text, size_t count, size_t offset, uint32_t *line,
                      uint32_t *column);
/* How deep brackets nest. */
size_t tn_json_depth(const char *text, size_t count);
/* The first thing that is no JSON: where, and a message. false: nothing was found. */
bool tn_json_fault(const char *text, size_t count, size_t deepest, size_t *offset, char *message,
                   size_t bytes);
/* Where the token starts that `end` is the end of, or lies in. */
size_t tn_json_token(const char *text, size_t count, size_t end);

#endif
