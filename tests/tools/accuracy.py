#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The course's networks on every backend that was built, held against float64: tests/tools/accuracy.py BUILD

Runs bench/accuracy, which makes a network float64 throughout; so that measuring tool is tested, too.
"""
import glob
import importlib.util
import os
import re
import subprocess
import sys
import tempfile

from harness import BUILD, GRAPHS, SOURCE, expect, run_all, tenon

BOUND = 1e-5  # of the output's largest number
NETWORKS = ["depthwise-separable", "dropout-mlp", "encoder", "fashion-lenet", "inception", "infinity-conv", "lstm-classifier",
            "matmul-chain", "partial-conv", "residual", "xnor"]


def built():
    found = {os.path.basename(f)[:-3] for f in glob.glob(os.path.join(BUILD, "backends", "*.so"))}
    return [b for b in ("native", "onednn", "openblas", "reference") if b in found]


def accuracy(folder, *words):
    """The exit code, and {network: [difference on each backend]}."""
    done = subprocess.run([sys.executable, os.path.join(SOURCE, "bench", "accuracy"), "--networks", folder, "--build", BUILD,
                           "--backends", ",".join(built()), *words], capture_output=True, text=True, timeout=280)
    rows = {}
    for line in done.stdout.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if re.fullmatch(r"[\d.]+e[-+]\d+|–", cells[-1]):
            rows[cells[0]] = cells[1:]
    return done.returncode, rows, done.stdout + done.stderr


def convert(folder, name):
    expect(tenon("convert", os.path.join(GRAPHS, name + ".json"), os.path.join(folder, name + "_b1.onnx")), 0)


def test_every_network_is_within_the_bound_on_every_backend():
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            convert(folder, name)
        code, rows, text = accuracy(folder, "--bound", str(BOUND))
        assert sorted(rows) == sorted(NETWORKS), text
        for name, cells in rows.items():
            assert "–" not in cells, f"{name} did not run everywhere:\n{text}"
            assert all(float(c) <= BOUND for c in cells), text
        assert code == 0, text


def test_a_bound_that_float32_cannot_keep_is_an_error():
    with tempfile.TemporaryDirectory() as folder:
        convert(folder, "encoder")
        code, rows, text = accuracy(folder, "--bound", "1e-12")
        assert code == 1 and float(rows["encoder"][0]) > 1e-12, text


if importlib.util.find_spec("onnx") is None:
    print("1..0 # SKIP no module onnx for this Python")
    sys.exit(0)
sys.exit(0 if run_all([test_every_network_is_within_the_bound_on_every_backend,
                      test_a_bound_that_float32_cannot_keep_is_an_error]) else 1)
