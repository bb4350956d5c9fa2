#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A pass that is wrong is found by random graphs, which are made small and fail again as files.

Small is: the one node that the pass looks for, with one input, one output and no constant; or an If around it,
with what its branches are of.

    tests/differential/shrinks.py DIFFERENTIAL WRONG_PASS.so        prints TAP
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM, WRONG = map(os.path.abspath, sys.argv[1:3])


def differential(plugins, *words):
    env = dict(os.environ, TENON_PLUGIN_PATH=plugins)
    return subprocess.run([PROGRAM, *words], env=env, capture_output=True, text=True, check=False, timeout=240)


def size(path):
    """Operators, inputs, outputs, constants."""
    with open(path, encoding="utf-8") as file:
        graph = json.load(file)
    return [n["op"] for n in graph["nodes"]], *(len(graph[part]) for part in ("inputs", "outputs", "constants"))


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
        sizes = [size(path) for path in files]
        small = all(s in ((["Relu"], 1, 1, 0), (["Gelu"], 1, 1, 0)) or (s[0] == ["If"] and s[1] <= 3 and s[2:] == (1, 0)) for s in sizes)
        print(f"{'ok' if small else 'not ok'} 2 - what is kept is the node that the pass looks for, and nothing else\n# {sizes}")
        fails, passes = differential(wrong, *files), differential(right, *files)
        again = fails.returncode == 1 and " 0 failed" in passes.stdout
        print("ok 3 - it fails again from its file, and not without the pass" if again else f"not ok 3 - from files\n# {fails}\n# {passes}")
        return not (found.returncode == 1 and small and again)


sys.exit(main())
