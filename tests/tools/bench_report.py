#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `bench/peers --write` makes of its rows (bench/report.py): tests/tools/bench_report.py BUILD"""
import json
import os
import sys
import tempfile

from harness import SOURCE, run_all

sys.path.insert(0, os.path.join(SOURCE, "bench"))
sys.dont_write_bytecode = True
import report


def row(name="resnet50", threads=1, batch=1, math="fast", backend="", tenon=50.0, onnxruntime=100.0, **others):
    ms = {"tenon": tenon, "onnxruntime": onnxruntime, **others}
    return {"name": name, "batch": batch, "threads": threads, "math": math, "backend": backend, "rounds": 2, "ms": ms,
            "spread": {e: 0.02 for e in ms}, "gflops": 8e3 / tenon, "core_gflops": 200.0}


def written(*calls):
    """README.md and peers.json of a folder into which each call's rows went."""
    with tempfile.TemporaryDirectory() as folder:
        report.HERE, report.ROWS = folder, os.path.join(folder, "peers.json")
        report.store("README.md", "before\n" + report.BEGIN + "\nold\n" + report.END + "\nafter\n")
        for rows in calls:
            report.write(rows)
        with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
            readme = file.read()
        with open(report.ROWS, encoding="utf-8") as file:
            kept = json.load(file)
        with open(os.path.join(folder, "peers.svg"), encoding="utf-8") as file:
            return readme, kept, file.read()


def cells(readme, name):
    return [[c.strip() for c in line.strip("|").split("|")] for line in readme.splitlines() if line.startswith("| %s |" % name)]


def test_ratios_are_against_onnx_runtime_and_the_best_peer():
    readme, _, _ = written([row(mnn=75.0)])
    assert cells(readme, "resnet50") == [["resnet50", "50 ±1 %", "100 ±1 %", "75 ±1 %", "2.00", "1.25", "1.50", "80 %"]], readme
    assert readme.startswith("before\n") and readme.endswith("\nafter\n") and "old" not in readme, readme


def test_a_row_measured_again_takes_the_place_of_the_older():
    readme, kept, _ = written([row(), row("mlp")], [row(tenon=80.0)])
    assert [k["ms"]["tenon"] for k in kept] == [80.0, 50.0], kept
    assert cells(readme, "resnet50")[0][3] == "1.25" and len(cells(readme, "mlp")) == 1, readme


def test_kinds_stand_in_tables_of_their_own():
    readme, kept, _ = written([row(math="strict"), row(threads=2), row(batch=8), row(backend="onednn"), row()])
    titles = [line for line in readme.splitlines() if line.startswith("**")]
    assert titles == ["**Batch 1, 1 thread**", "**Batch 1, 2 threads**", "**Batch 8, 1 thread**",
                      "**Batch 1, 1 thread, `--backend onednn`**", "**Batch 1, 1 thread, `--math strict`**"], titles
    assert [c[4] for c in cells(readme, "resnet50")] == ["1.25", "1.23", "", "", "1.00"], readme
    assert len(kept) == 5


def test_rows_of_another_processor_go():
    kept = report.merge([dict(row("mlp"), processor="another", versions={})], [row()])
    assert [k["name"] for k in kept] == ["resnet50"] and kept[0]["processor"] == report.processor(), kept


def test_a_peer_that_did_not_run_is_a_dash():
    without = row()
    del without["ms"]["onnxruntime"]
    readme, _, plot = written([without, row("mlp")])
    assert cells(readme, "resnet50")[0][2:4] == ["–", "–"], readme
    assert "resnet50" not in plot and "mlp, 1 thread" in plot and plot.rstrip().endswith("</svg>"), plot


sys.exit(0 if run_all([f for n, f in list(globals().items()) if n.startswith("test_")]) else 1)
