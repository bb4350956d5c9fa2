/* engine/base/parallel.h: one function on several threads of GNU's OpenMP pool.
 *
 * The pragma is the documented way, and only gcc turns it into this runtime's calls: clang calls its
 * own, and then two pools would share the processors with the vendor libraries'. There, libgomp's
 * entry is called by name: it is the ABI that gcc's programs have used since version 4.9
 * (GCC manual, "The GNU OpenMP library ABI").
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_PARALLEL_H
#define TN_PARALLEL_H

#include <omp.h>
#include <stdint.h>

/* Runs fn(data) on `threads` threads, the caller's among them, and waits for all. Each finds its
 * number by omp_get_thread_num(). */
static inline void tn_parallel(void (*fn)(void *), void *data, uint32_t threads)
{
#ifdef _OPENMP
#pragma omp parallel num_threads((int)threads)
    fn(data);
#else
    GOMP_parallel(fn, data, threads, 0);
#endif
}

#endif
