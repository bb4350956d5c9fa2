/* engine/base/gomp/omp.h: what the engine calls of GNU's OpenMP, for compilers without its header.
 *
 * OpenMP's header belongs to the compiler: with clang there is none, or that of another runtime,
 * while the pool of this process is GNU's (the vendor libraries are linked with it). Found only by
 * builds with such compilers, see engine/meson.build and base/parallel.h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_GOMP_OMP_H
#define TN_GOMP_OMP_H

int omp_get_max_threads(void);
int omp_get_num_procs(void);
int omp_get_num_threads(void);
int omp_get_thread_num(void);
int omp_in_parallel(void);
void omp_set_num_threads(int count);
void GOMP_parallel(void (*fn)(void *), void *data, unsigned threads, unsigned flags);

#endif
