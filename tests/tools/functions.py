#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every operator that ONNX defines as a function can be made of other operators here, too (`tenon run --bodies`).

    tests/tools/functions.py BUILD        prints TAP

The conformance run holds each body against ONNX's data, where that is there. This list is of ONNX's
definitions (onnx/defs, operator sets to 27) and needs no data.
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


def has_body(name):
    """Whether the newest version can be made of others; older ones are told after an empty line."""
    shown = expect(tenon("inspect", "--op", name, TENON_PLUGIN_PATH=BUILD), 0, "since operator set").out
    newest = shown.split("since operator set")[1]
    return "can be made of other operators" in newest


def every_function_has_a_body():
    missing = [name for name in FUNCTIONS if not has_body(name)]
    assert not missing, f"no body: {', '.join(missing)}"


if __name__ == "__main__":
    sys.exit(0 if run_all([every_function_has_a_body]) else 1)
