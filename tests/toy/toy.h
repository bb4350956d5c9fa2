/* tests/toy/toy.h: what the toy backend counts, for the tests that look at its life.
 *
 * Reached through the entry's extension("toy.counters/1").
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_TOY_H
#define TENON_TESTS_TOY_H

#include <stdint.h>

typedef struct toy_counters {
    uint32_t offered, measured, prepared, filled, attached, detached, finished, ran, converted;
    uint32_t strided; /* runs of Relu with a strided input or output */
} toy_counters;

#endif
