/* tests/integration/native_wide.h: one more of native's sets of functions, where it was built: the
 * widths of AVX-512 without its instructions (-Dnative_wide=true).
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_NATIVE_WIDE_H
#define TENON_TESTS_NATIVE_WIDE_H

#if defined(NATIVE_WIDE)
#define WIDE "wide",
#else
#define WIDE
#endif

#endif
