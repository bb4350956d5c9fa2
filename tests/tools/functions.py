#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every operator that ONNX defines as a function can be made of other operators here, too (`tenon run --bodies`).

    tests/tools/functions.py BUILD        prints TAP

The conformance run holds each body against ONNX's data, where that is there. This list is of ONNX's
definitions (onnx/defs, operator sets to 27) and needs no data: an operator has a body, or is in WITHOUT,
with the reason.
"""
import sys

from harness import BUILD, expect, run_all, tenon

FUNCTIONS = """
    AffineGrid Attention Bernoulli BlackmanWindow CastLike CausalConvWithState Celu CenterCropPad Clip
    DynamicQuantizeLinear Elu Gelu GreaterOrEqual GroupNormalization HammingWindow HannWindow HardSigmoid
    HardSwish LayerNormalization LeakyRelu LessOrEqual LinearAttention LogSoftmax MeanVarianceNormalization
    Mish NegativeLogLikelihoodLoss PRelu RMSNormalization Range ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceSumSquare Relu RotaryEmbedding Selu SequenceMap Shrink Softmax
    SoftmaxCrossEntropyLoss Softplus Softsign Swish ThresholdedRelu ai.onnx.preview::FlexAttention
""".split()
WITHOUT = {
    "Attention": "it has a kernel only",
    "CausalConvWithState": "it has a kernel only",
    "LinearAttention": "it has a kernel only",
    "ai.onnx.preview::FlexAttention": "it has a kernel only",
}


def has_body(name):
    """Whether the newest version can be made of others; older ones are told after an empty line."""
    shown = expect(tenon("inspect", "--op", name, TENON_PLUGIN_PATH=BUILD), 0, "since operator set").out
    newest = shown.split("since operator set")[1]
    return "can be made of other operators" in newest


def every_function_has_a_body():
    missing = [name for name in FUNCTIONS if name not in WITHOUT and not has_body(name)]
    assert not missing, f"neither a body nor a reason: {', '.join(missing)}"


def reasons_are_of_functions():
    strangers = [name for name in WITHOUT if name not in FUNCTIONS]
    assert not strangers, f"no functions of ONNX: {', '.join(strangers)}"


if __name__ == "__main__":
    sys.exit(0 if run_all([every_function_has_a_body, reasons_are_of_functions]) else 1)
