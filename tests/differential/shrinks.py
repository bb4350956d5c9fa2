#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A pass that is wrong is found by random graphs, which are made small and fail again as files.

Small is: the one node that the pass looks for, with one input and one output, or the five that recognition makes
it of; or an If around it, and nothing that it does not read.

    tests/differential/shrinks.py DIFFERENTIAL WRONG_PASS.so        prints TAP
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

GELU = ["Mul", "Erf", "Mul", "Add", "Mul"] # written out, in the order of the generator
PROGRAM, WRONG = map(os.path.abspath, sys.argv[1:3])


def differential(plugins, *words):
    env = dict(os.environ, TENON_PLUGIN_PATH=plugins)
    return subprocess.run([PROGRAM, *words], env=env, capture_output=True, text=True, check=False, timeout=240)


def is_small(path):
    with open(path, encoding="utf-8") as file:
        graph = json.load(file)
    ops = [n["op"] for n in graph["nodes"]]
    values, text = [i["name"] for i in graph["inputs"]] + list(graph["constants"]), json.dumps(graph["nodes"])
    if len(graph["outputs"]) != 1:
        return False
    if ops == ["If"]:
        return ("Relu" in text or "Gelu" in text) and all(f'"{name}"' in text for name in values)
    return ops in (["Relu"], ["Gelu"], GELU) and len(graph["inputs"]) == 1 and all(f'"{name}"' in text for name in values)


def main():
    right = os.environ["TENON_PLUGIN_PATH"]
    print("1..3")
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "more", "plugins"))
        shutil.copy(WRONG, os.path.join(folder, "more", "plugins"))
        wrong = os.path.join(folder, "more") + ":" + right
        kept = os.path.join(folder, "kept")
        os.makedirs(kept)
        found = differential(wrong, "--count", "100", "--keep", kept)
        files = sorted(os.path.join(kept, name) for name in os.listdir(kept))
        print("ok 1 - a wrong pass is found" if found.returncode == 1 and len(files) == 10 else f"not ok 1 - a wrong pass is found\n# {found}")
        large = [open(path, encoding="utf-8").read() for path in files if not is_small(path)]
        print(f"{'not ok' if large else 'ok'} 2 - what is kept is the node that the pass looks for, and nothing else\n# {large}")
        fails, passes = differential(wrong, *files), differential(right, *files)
        again = fails.returncode == 1 and " 0 failed" in passes.stdout
        print("ok 3 - it fails again from its file, and not without the pass" if again else f"not ok 3 - from files\n# {fails}\n# {passes}")
        return not (found.returncode == 1 and not large and again)


sys.exit(main())
