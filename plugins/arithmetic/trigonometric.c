/* plugins/arithmetic/trigonometric.c: circular and hyperbolic functions and their inverses.
 *
 * ONNX: Acos, Acosh, Asin, Asinh, Atan, Atanh, Cos, Cosh, Sin, Sinh, Tan, in radians. Computed in
 * double and rounded once; NaN where a function has no real value, an infinity at a pole. (Tanh is
 * among the activations.)
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

DOUBLES(acos, acos(x))
DOUBLES(acosh, acosh(x))
DOUBLES(asin, asin(x))
DOUBLES(asinh, asinh(x))
DOUBLES(atan, atan(x))
DOUBLES(atanh, atanh(x))
DOUBLES(cos, cos(x))
DOUBLES(cosh, cosh(x))
DOUBLES(sin, sin(x))
DOUBLES(sinh, sinh(x))
DOUBLES(tan, tan(x))

#define ROW(title, oldest, text, function)                                                         \
    {                                                                                              \
        .name = title, .since = 22, .accepts_from = oldest, .input = unary_input,                  \
        .output = unary_output, .doc = text, .doubles = function                                   \
    }
static const unary rows[] = {
    ROW("Acos", 7, "The arc cosine; NaN outside [-1, 1].", acos_doubles),
    ROW("Acosh", 9, "The inverse of Cosh; NaN below 1.", acosh_doubles),
    ROW("Asin", 7, "The arc sine; NaN outside [-1, 1].", asin_doubles),
    ROW("Asinh", 9, "The inverse of Sinh.", asinh_doubles),
    ROW("Atan", 7, "The arc tangent.", atan_doubles),
    ROW("Atanh", 9, "The inverse of Tanh; NaN outside [-1, 1].", atanh_doubles),
    ROW("Cos", 7, "The cosine.", cos_doubles),
    ROW("Cosh", 9, "The hyperbolic cosine.", cosh_doubles),
    ROW("Sin", 7, "The sine.", sin_doubles),
    ROW("Sinh", 9, "The hyperbolic sine.", sinh_doubles),
    ROW("Tan", 7, "The tangent.", tan_doubles),
};

tn_status trigonometric_register(tn_registrar *registrar)
{
    return unary_add(registrar, rows, sizeof rows / sizeof *rows);
}
