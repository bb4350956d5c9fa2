#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every version of the ONNX operators held is held: each set that changed one has a row that takes it.

    tests/conformance/versions.py BUILD

Compares `tenon inspect --ops` with the history of schemas in python3-onnx. Operators that no plugin
brings are not asked about; a version that its successor declared obsolete is. Prints TAP.
"""
import collections
import os
import subprocess
import sys

try:
    from onnx import defs
except ImportError:
    print("1..0 # SKIP no python3-onnx")
    sys.exit(0)


def rows_held(build):
    """Of each operator of ai.onnx: (since, the oldest version whose nodes the row takes)."""
    environment = dict(os.environ, TENON_PLUGIN_PATH=build)
    table = subprocess.run([os.path.join(build, "tools", "tenon"), "inspect", "--ops"], env=environment, check=True,
                           capture_output=True, text=True).stdout
    held = collections.defaultdict(list)
    for line in table.splitlines()[2:]:
        name, since, oldest = [cell.strip() for cell in line.split("|")[1:4]]
        if "::" not in name:
            held[name].append((int(since), int(oldest)))
    return held


def main():
    held = rows_held(os.path.abspath(sys.argv[1]))
    history = collections.defaultdict(set)
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.name in held:
            history[schema.name].add(schema.since_version)
    print("1..%d" % len(history))
    for number, (name, versions) in enumerate(sorted(history.items()), 1):
        missing = [v for v in sorted(versions) if not any(oldest <= v for _, oldest in held[name])]
        print("%s %d - %s: sets %s%s" % ("not ok" if missing else "ok", number, name, ", ".join(map(str, sorted(versions))),
                                         "; not held: %s" % missing if missing else ""))


main()
