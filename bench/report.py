# SPDX-License-Identifier: MIT
"""What `bench/peers --write` measured: kept in peers.json, told in README.md's tables and peers.svg."""
import importlib.metadata
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = os.path.join(HERE, "peers.json")
BEGIN, END = "<!-- bench/peers: begin -->", "<!-- bench/peers: end -->"
ENGINES = {"tenon": "Tenon", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "mnn": "MNN", "ncnn": "ncnn"}
ORDER = ["resnet50", "resnet18", "vgg16", "googlenet", "inception_v3", "densenet121", "mobilenet_v2", "mobilenet_v3_large",
         "efficientnet_b0", "squeezenet1_1", "shufflenet_v2", "fasternet_t0", "bert_base", "vit_b_16", "lstm", "lenet5", "mlp"]
# Targets of batch 1 against ONNX Runtime, one thread and two; `strict` has its own, whatever the network.
TARGETS = {"resnet50": (1.25, 1.23), "resnet18": (1.8, 1.7), "vgg16": (2.6, 2.4), "googlenet": (1.55, 1.4),
           "inception_v3": (1.27, 1.25), "densenet121": (1.3, 1.25), "squeezenet1_1": (1.25, 1.18), "mobilenet_v2": (1.07, 1.05),
           "mobilenet_v3_large": (1.12, 1.1), "efficientnet_b0": (1.12, 1.1), "fasternet_t0": (1.1, 1.1),
           "shufflenet_v2": (1.17, 1.17), "bert_base": (1.12, 1.14), "vit_b_16": (1.06, 1.05), "lstm": (1.07, 1.05),
           "lenet5": (1.35, 1.35), "mlp": (1.35, 1.0)}
STRICT = 1.0


def target(row):
    """The ratio asked for, or None."""
    if row["backend"]:
        return None
    if row["math"] == "strict":
        return STRICT
    pair = TARGETS.get(row["name"]) if row["math"] == "fast" and row["batch"] == 1 else None
    return pair[row["threads"] - 1] if pair and row["threads"] in (1, 2) else None


def ratios(row):
    """Against ONNX Runtime, and against the fastest peer: over 1 where Tenon is faster."""
    ms = row["ms"]
    mine, base = ms.get("tenon"), ms.get("onnxruntime")
    others = [v for e, v in ms.items() if e != "tenon"]
    return (base / mine if base and mine else None), (min(others) / mine if others and mine else None)


def share(row, core_gflops):
    """Percent of what the processor could do; Winograd's saved products count, so that it may be over 100."""
    return "%.0f %%" % (100 * row["gflops"] / (core_gflops * row["threads"])) if row["gflops"] else ""


def processor():
    """The processor as it names itself, its cores, and the widest instructions that count here."""
    flags, model = "", "?"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
            if line.startswith("flags"):
                flags = line
    wide = "AVX-512" if " avx512f" in flags else "AVX2, no AVX-512" if " avx2" in flags else "no AVX2"
    return "%s, %d cores, %s" % (model, os.cpu_count(), wide)


def versions():
    """Versions of the installed peers, by engine."""
    found = {}
    for package in ("onnxruntime", "openvino", "MNN", "ncnn"):
        try:
            found[package.lower()] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def kind(row):
    """Rows of one kind stand in one table."""
    return row["math"], row["backend"], row["batch"], row["threads"]


def merge(kept, rows):
    """The kept rows of this processor, those measured anew in the place of the older."""
    here, all_of = processor(), {}
    for row in [r for r in kept if r["processor"] == here] + [dict(r, processor=here, versions=versions()) for r in rows]:
        all_of[kind(row) + (row["name"],)] = row
    place = {name: k for k, name in enumerate(ORDER)}
    return sorted(all_of.values(), key=lambda r: (r["math"] != "fast",) + kind(r) + (place.get(r["name"], len(place)), r["name"]))


def title(row):
    words = ["Batch %d" % row["batch"], "%d thread%s" % (row["threads"], "s" if row["threads"] > 1 else "")]
    words += ["`--math %s`" % row["math"]] if row["math"] != "fast" else []
    words += ["`--backend %s`" % row["backend"]] if row["backend"] else []
    return ", ".join(words)


def cell(row, engine):
    if engine not in row["ms"]:
        return "–"
    return "%.4g ±%.0f %%" % (row["ms"][engine], 50 * row["spread"][engine])


def table(rows, core_gflops):
    engines = [e for e in ENGINES if any(e in r["ms"] for r in rows)]
    names = ["network"] + [ENGINES[e] + ", ms" for e in engines] + ["to ONNX Runtime", "target", "to the best peer", "of peak"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        base, best = ratios(row)
        asked = target(row)
        cells = [row["name"]] + [cell(row, e) for e in engines]
        cells += ["%.2f" % base if base else "–", "%.2f" % asked if asked else "", "%.2f" % best if best else "–", share(row, core_gflops)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def text(rows):
    """What stands between the two marks of README.md. The peak is the most that any run of the tool saw:
    another process can only make it less."""
    peak = max(r["core_gflops"] for r in rows)
    said = ", ".join("%s %s" % (ENGINES[e], v) for e, v in rows[-1]["versions"].items())
    lines = ["Processor: %s; one core does %.0f GFLOP/s in a matrix product that stays in its cache. Peers: %s. Milliseconds, medians of "
             "2 rounds or more with half their spread; ratios over 1: Tenon is faster. `bench/peers --write [--batch N] [--threads N] "
             "[--math strict] [--backend NAME] [NAME …]` measures a row anew." % (processor(), peak, said)]
    for key in dict.fromkeys(kind(r) for r in rows):
        those = [r for r in rows if kind(r) == key]
        lines += ["", "**%s**" % title(those[0]), ""] + table(those, peak)
    return "\n".join(lines) + "\n"


def plot(rows):
    """A bar for each network at batch 1 in fast, its length the ratio to ONNX Runtime."""
    bars = [("%s, %d thread%s" % (r["name"], r["threads"], "s" if r["threads"] > 1 else ""), ratios(r)[0]) for r in rows
            if r["batch"] == 1 and r["math"] == "fast" and not r["backend"] and ratios(r)[0]]
    scale = 400 / max([b[1] for b in bars] + [1.0])
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="720" height="%d" font-family="sans-serif" font-size="12">' % (20 * len(bars) + 30)]
    for k, (label, ratio) in enumerate(bars):
        out.append('<text x="210" y="%d" text-anchor="end">%s</text><rect x="220" y="%d" width="%.1f" height="14" fill="%s"/><text x="%.1f" y="%d">%.2f</text>'
                   % (20 * k + 26, label, 20 * k + 14, ratio * scale, "#2a7" if ratio >= 1 else "#c63", 226 + ratio * scale, 20 * k + 26, ratio))
    out.append('<line x1="%.1f" x2="%.1f" y1="8" y2="%d" stroke="black"/></svg>' % (220 + scale, 220 + scale, 20 * len(bars) + 18))
    return "\n".join(out) + "\n"


def store(name, content):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        file.write(content)


def write(rows):
    """Merges the rows into peers.json and makes the tables and the plot of what it then holds."""
    kept = []
    if os.path.exists(ROWS):
        with open(ROWS, encoding="utf-8") as file:
            kept = json.load(file)
    rows = merge(kept, rows)
    if not rows:
        return
    store("peers.json", "[\n" + ",\n".join(json.dumps(r, sort_keys=True) for r in rows) + "\n]\n")
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    store("README.md", before + BEGIN + "\n" + text(rows) + END + rest.split(END)[1])
    store("peers.svg", plot(rows))
