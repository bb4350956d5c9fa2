/* engine/json/function.h: functions of a model, and a function's body by itself.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_FUNCTION_H
#define TN_JSON_FUNCTION_H

#include "engine/json/reader.h"

tn_status tn_json_functions(tn_reader *r, const tn_place *at, const json_t *list);
/* Into r->model. */
tn_status tn_json_lone_function(tn_reader *r, const json_t *root);

#endif
