/* engine/json/source.h: the text that a graph came from, kept for complaints of later stages.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_SOURCE_H
#define TN_JSON_SOURCE_H

#include "engine/graph/graph.h"

/* Lets tn_graph_locate find line and column in the text. */
tn_status tn_json_set_source(tn_graph *graph, const char *path, const char *text, size_t count);

#endif
