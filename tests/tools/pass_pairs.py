#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every pass has a pair of graphs, graphs/passes/PASS/before.json and after.json, and keeps its promise on it.

    tests/tools/pass_pairs.py BUILD                     prints TAP
    tests/tools/pass_pairs.py BUILD --write PASS…       writes after.json as the pass leaves it; read it before it is kept

For each pair: the pass alone makes of before.json what after.json says (compared as graphs: names of values
and nodes do not matter); both give the same answers on the reference backend, within what the pass promises,
also for small whole numbers with -0, and for NaN and infinities; there are fewer nodes afterwards. The
metadata of before.json may say more, all of it optional:

    "gain": "time"            as many nodes as before, which take less time (measured here); `doc` says why
    "backend": "LIST"         where that is measured, if not on the default backends
    "optimize": "--fused"     further options of `tenon optimize`
    "with": "PASS,PASS"       passes that are on besides, as remove_dead for what this one leaves behind
    "numbers": "finite"       NaN and infinities are left out; `doc` says why
"""
import json
import os
import re
import sys

import numpy as np

from harness import BUILD, SOURCE, expect, run_all, tenon

PAIRS = os.path.join(SOURCE, "graphs", "passes")
SYMBOL = 3  # what a symbol is in the runs
KINDS = ("plain", "whole", "special", "plain", "whole", "special")  # one seed each
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


# ---- graphs ----------------------------------------------------------------------------------

def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def known_passes():
    """{name: what it promises}, as the command lists them."""
    text = tenon("inspect", os.path.join(SOURCE, "graphs", "xnor.json"), "--passes=all", "--explain").out
    return dict(re.findall(r"^  (\w+) +(exact|rounding|approximate) ", text, re.M))


def count_nodes(body):
    """Those in bodies, too."""
    total = 0
    for node in body["nodes"]:
        total += 1
        for value in node.get("attributes", {}).values():
            if isinstance(value, dict) and "graph" in value:
                total += count_nodes(value["graph"])
    return total


class Shape:
    """What a graph is without its names: an expression for each output, shared parts shared."""

    def __init__(self, body, outer=None, arguments="input"):
        self.outer, self.known = outer, {}
        self.constants = body.get("constants", {})
        self.makers = {name: (node, k) for node in body["nodes"] for k, name in enumerate(node["outputs"]) if name}
        self.seen = {}
        for k, entry in enumerate(body["inputs"]):
            self.known[entry["name"]] = (arguments, k if outer else entry["name"], str(entry.get("dtype")), str(entry.get("shape")))
        self.outputs = [self.value(o["value"] if isinstance(o, dict) and "value" in o else o["name"] if isinstance(o, dict) else o)
                        for o in body["outputs"]]

    def value(self, name):
        if name == "":
            return None
        if name not in self.known:
            if name in self.constants:
                entry = self.constants[name]
                self.known[name] = ("constant", entry["dtype"], tuple(entry["shape"]), json.dumps(entry.get("data", entry.get("random"))))
            elif name in self.makers:
                node, k = self.makers[name]
                self.known[name] = (self.node(node), k)
            else:
                self.known[name] = self.outer.value(name)
        return self.known[name]

    def node(self, node):
        key = id(node)
        if key not in self.seen:
            attributes = [(name, Shape(value["graph"], self, f"argument of {name}").outputs if isinstance(value, dict) and "graph" in value
                           else json.dumps(value)) for name, value in sorted(node.get("attributes", {}).items())]
            self.seen[key] = (node.get("domain", ""), node["op"], attributes, [self.value(name) for name in node["inputs"]])
        return self.seen[key]


def same_numbers(a, b):
    """Constants are compared as numbers: a pass computes new ones, whose last digit may be another."""
    if a == b:
        return True
    if a == "null" or b == "null":
        return False
    a, b = (np.array(json.loads(text), dtype=object).ravel() for text in (a, b))
    if a.shape != b.shape:
        return False
    try:
        return np.allclose(a.astype(float), b.astype(float), rtol=1e-6, atol=0, equal_nan=True)
    except (TypeError, ValueError):
        return False


def same(a, b, met):
    """Two expressions are the same; those compared before are not walked again."""
    if (id(a), id(b)) in met:
        return True
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        if len(a) != len(b):
            return False
        if len(a) == 4 and a[0] == "constant" == b[0]:
            return a[1:3] == b[1:3] and same_numbers(a[3], b[3])
        met.add((id(a), id(b)))
        return all(same(x, y, met) for x, y in zip(a, b))
    return a == b


def same_graph(a, b):
    names = [[o["name"] if isinstance(o, dict) else o for o in g["outputs"]] for g in (a, b)]
    return (names[0] == names[1] and count_nodes(a) == count_nodes(b)
            and same(Shape(a).outputs, Shape(b).outputs, set()))


def optimized(path, to, passes, *options):
    expect(tenon("optimize", path, to, "--passes=" + passes, *options), 0)
    return load(to)


# ---- numbers ---------------------------------------------------------------------------------

def numbers(kind, seed, dtype, shape):
    rng = np.random.default_rng(seed)
    shape = [SYMBOL if isinstance(d, str) else d for d in shape]
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if not dtype.startswith(("float", "bfloat")):
        return rng.integers(0, 4, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if kind == "whole":
        values = np.copysign(np.round(values * 2), values)
    values = np.asarray(values)
    if kind == "special" and values.size:
        flat = values.reshape(-1)
        flat[rng.integers(0, flat.size, 1 + flat.size // 8)] = rng.choice([np.nan, np.inf, -np.inf, -0.0], 1 + flat.size // 8)
    return values.astype("float32" if dtype == "bfloat16" else dtype)


def answers(path, arrays, name):
    words = []
    for input_name, array in arrays.items():
        np.save(f"{name}-{len(words)}.npy", array)
        words += ["-i", f"{input_name}={name}-{len(words)}.npy"]
    expect(tenon("run", path, *words, "--quiet", "--save", name, "--passes=none", "--backend", "reference"), 0)
    entries = load(f"{name}/outputs.json")["outputs"]
    return {e["name"]: (e["dtype"], np.load(f"{name}/{e['file']}")) for e in entries}


def far_apart(dtype, a, b, promise):
    """None, or what is wrong with b."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{a.shape} became {b.dtype}{b.shape}"
    if dtype not in EPSILON:
        return None if (a == b).all() else "other values"
    wide = [np.atleast_1d(v.astype(np.float64)) for v in (a, b)]
    nan = np.isnan(wide[0])
    if (nan != np.isnan(wide[1])).any():
        return "NaN in other places"
    if promise == "exact":
        bits = [np.where(nan, 0.0, v) for v in wide]
        return None if (bits[0] == bits[1]).all() and (np.signbit(bits[0]) == np.signbit(bits[1])).all() else "other bits"
    finite = np.isfinite(wide[0])
    if (finite != np.isfinite(wide[1])).any() or (wide[0][~finite & ~nan] != wide[1][~finite & ~nan]).any():
        return "infinities in other places"
    if not finite.any():
        return None
    bound = (0.01 if promise == "approximate" else 64 * EPSILON[dtype]) * max(np.abs(wide[0][finite]).max(), 1e-30)
    difference = np.abs(wide[0][finite] - wide[1][finite]).max()
    return None if difference <= bound else f"{difference:.3g} apart, {bound:.3g} are promised"


def same_answers(before, others, promise, finite):
    inputs = load(before)["inputs"]
    for seed, kind in enumerate(KINDS):
        if kind == "special" and (finite or promise == "approximate"):
            continue
        arrays = {entry["name"]: numbers(kind, 100 * seed + k, entry["dtype"], entry["shape"]) for k, entry in enumerate(inputs)}
        wanted = answers(before, arrays, "wanted")
        for path in others:
            got = answers(path, arrays, "got")
            assert list(got) == list(wanted), f"outputs {list(wanted)} became {list(got)}"
            for name, (dtype, values) in wanted.items():
                wrong = far_apart(dtype, values, got[name][1], promise)
                assert not wrong, f"{os.path.basename(path)}, {kind} numbers, seed {seed}: output '{name}': {wrong}"


def milliseconds(path, backends):
    """With the backends that a user gets; the shortest run, which other processes disturb least."""
    words = ("--backend", backends) if backends else ()
    text = expect(tenon("bench", path, "--passes=none", "--threads", "1", "--seconds", "0.1", "--json", *words), 0).out
    return 1000 * json.loads(text)["least_s"]


def takes_less_time(before, after, backends):
    offered = tenon("plugins", "--open").out.split("default backends: ")[-1].split()[0].split(",")
    if set(backends.split(",")) - set(offered) and backends:
        print(f"# not timed: this build has no {backends}")
        return
    # A machine that is busy with other things can spoil a round, hardly five in a row.
    for _ in range(5):
        times = [min(milliseconds(path, backends) for _ in range(3)) for path in (before, after)]
        if times[1] < times[0]:
            return
    raise AssertionError(f"{times[0]:.4f} ms before, {times[1]:.4f} after")


# ---- the pairs -------------------------------------------------------------------------------

def parts(name):
    before = os.path.join(PAIRS, name, "before.json")
    graph = load(before)
    metadata = graph.get("metadata", {})
    passes = "none," + "".join(f"+{word}," for word in metadata.get("with", "").split(",") if word) + "+" + name
    return before, graph, metadata, passes, metadata.get("optimize", "").split()


def keeps_its_promise(name, promise):
    before, graph, metadata, passes, options = parts(name)
    after = os.path.join(PAIRS, name, "after.json")
    assert graph.get("doc"), "before.json has no doc"
    made = optimized(before, "made.json", passes, *options, "--verify=4")
    wanted = optimized(after, "wanted.json", "none", "--fused")
    assert same_graph(made, wanted), "the pass makes another graph than after.json:\n" + json.dumps(made["nodes"], indent=1)
    same_answers(before, ["made.json", after], promise, metadata.get("numbers") == "finite")
    nodes = [count_nodes(g) for g in (graph, made)]
    if metadata.get("gain") == "time":
        assert "less time" in graph["doc"], "doc does not say what takes less time"
        takes_less_time(before, "made.json", metadata.get("backend", ""))
    else:
        assert nodes[1] < nodes[0], f"{nodes[0]} nodes before, {nodes[1]} after"


def tests():
    passes = known_passes()

    def every_pass_has_a_pair_and_every_pair_a_pass():
        folders = set(os.listdir(PAIRS))
        assert passes and folders == set(passes), (f"no folder in graphs/passes for {sorted(set(passes) - folders)}, "
                                                   f"no pass for {sorted(folders - set(passes))}")
    found = [every_pass_has_a_pair_and_every_pair_a_pass]
    for name in sorted(set(passes) & set(os.listdir(PAIRS))):
        def test(name=name):
            keeps_its_promise(name, passes[name])
        test.__name__ = name + " keeps its promise"
        found.append(test)
    return found


# ---- writing after.json ----------------------------------------------------------------------

def used_constants(body):
    """Names read by nodes or outputs, at any depth."""
    found = {o.get("value", o["name"]) if isinstance(o, dict) else o for o in body["outputs"]}
    for node in body["nodes"]:
        found.update(node["inputs"])
        for value in node.get("attributes", {}).values():
            if isinstance(value, dict) and "graph" in value:
                found |= used_constants(value["graph"])
    return found


def text_of(graph):
    """As people write it: one line for each input, constant and node."""
    def lines(items):
        return ",\n    ".join(items)
    head = [f'  "{key}": {json.dumps(graph[key])}' for key in ("tenon", "name", "doc", "opset", "metadata") if key in graph]
    body = [f'  "inputs": [\n    {lines(map(json.dumps, graph["inputs"]))}\n  ]',
            f'  "outputs": [\n    {lines(map(json.dumps, graph["outputs"]))}\n  ]']
    if graph.get("constants"):
        entries = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in graph["constants"].items())
        body.append(f'  "constants": {{\n    {lines(entries)}\n  }}')
    body.append(f'  "nodes": [\n    {lines(map(json.dumps, graph["nodes"]))}\n  ]')
    return '{\n  "$schema": "../../tenon-graph.schema.json",\n' + ",\n".join(head + body) + "\n}\n"


def write(name):
    import tempfile
    before, graph, _, passes, options = parts(name)
    with tempfile.TemporaryDirectory() as folder:
        made = optimized(before, os.path.join(folder, "made.json"), passes, *options)
    used = used_constants(made)
    made["constants"] = {k: v for k, v in made.get("constants", {}).items() if k in used}
    made["doc"] = f"What {name} makes of before.json."
    made.pop("metadata", None)
    made["name"] = graph.get("name", name)
    with open(os.path.join(PAIRS, name, "after.json"), "w", encoding="utf-8") as file:
        file.write(text_of(made))


if __name__ == "__main__":
    if sys.argv[2:3] == ["--write"]:
        for pass_name in sys.argv[3:]:
            write(pass_name)
    else:
        sys.exit(0 if run_all(tests()) else 1)
