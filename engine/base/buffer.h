/* engine/base/buffer.h: what file.c needs of buffer.c and nobody else does.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_BUFFER_H
#define TN_BUFFER_H

#include "engine/base/base.h"

/* Takes a mapping made by mmap, when it answers TN_OK. */
tn_status tn_buffer_wrap_mapping(void *bytes, size_t size, tn_buffer **out);

#endif
