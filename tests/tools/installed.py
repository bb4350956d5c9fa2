#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What someone sees who has only the installed files: headers, pkg-config, plugins, the command.

    tests/tools/installed.py BUILD      prints TAP; needs a C and a C++ compiler
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import BUILD, GRAPHS, SOURCE, run_all

ROOT = tempfile.mkdtemp(prefix="tenon-installed-")
OPTIONS = {o["name"]: o["value"] for o in json.loads(subprocess.check_output(
    ["meson", "introspect", "--buildoptions", BUILD]))}
PREFIX = ROOT + OPTIONS["prefix"]
LIB = os.path.join(PREFIX, OPTIONS["libdir"])
SANITIZE = OPTIONS.get("b_sanitize", "none")
# A program that loads a library with a sanitizer must have it, too.
EXTRA = [] if SANITIZE == "none" else [f"-fsanitize={SANITIZE}"]
ENV = {k: v for k, v in os.environ.items() if not k.startswith("TENON_")} | {
    "PKG_CONFIG_PATH": os.path.join(LIB, "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": ROOT,
    "LD_LIBRARY_PATH": LIB, "PATH": os.path.join(PREFIX, "bin") + ":" + os.environ["PATH"]}
TEMPLATE = os.path.join(SOURCE, "plugins", "template")
WARN = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
DIALECTS = (["gcc", "-std=c99"], ["gcc", "-std=c17"], ["g++", "-x", "c++", "-std=c++17"])


def sh(*words, code=0, **more):
    """Runs and answers what was printed; a shell line when it is one text."""
    words = words[0] if len(words) == 1 else list(map(str, words))
    process = subprocess.run(words, shell=isinstance(words, str), env=ENV, text=True, errors="replace",
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200, check=False, **more)
    assert process.returncode == code, f"{words}: expected exit code {code}, got {process.returncode}\n{process.stdout}"
    return process.stdout


def flags(package):
    return sh("pkg-config", "--cflags", "--libs", package).split()


def everything_is_installed():
    sh("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", ROOT)
    for name in ("include/tenon/tenon.h", "include/tenon/plugin.h", "include/tenon/types.h", "include/tenon/kernel.h", "bin/tenon"):
        assert os.path.exists(os.path.join(PREFIX, name)), name
    assert os.path.exists(os.path.join(LIB, "tenon", "plugins", "conv.so"))
    assert os.path.exists(os.path.join(LIB, "tenon", "backends", "reference.so"))


def plugins_are_opened_when_needed():
    """The installed index is true of the installed files, and a small network needs few of them."""
    folder = os.path.join(LIB, "tenon", "plugins")
    opened = sh("env", "LD_DEBUG=files", "tenon", "run", os.path.join(GRAPHS, "xnor.json"), "--random", "--passes", "none",
                "--backend", "reference")
    opened = set(re.findall(r"calling init: .*/tenon/plugins/(\w+)\.so", opened))
    assert "gemm" in opened and len(opened) < len(os.listdir(folder)) / 3, opened


def headers_compile_alone():
    for dialect in DIALECTS:
        for header in ("types", "tenon", "plugin", "kernel"):
            with open("one.c", "w", encoding="utf-8") as file:
                file.write(f'#include <tenon/{header}.h>\nint nothing;\n')
            sh(*dialect, *WARN, "-fsyntax-only", "one.c", *[f for f in flags("tenon-plugin") if f.startswith("-I")])


def embedding_example_runs_in_three_languages():
    text = open(os.path.join(SOURCE, "docs", "embed.c"), encoding="utf-8").read()
    body = text[text.index("int main"):]
    assert 10 <= len(re.findall(r"\S[^\n]*\n", body[body.index("{") + 1:body.rindex("}")])) <= 15
    for dialect in DIALECTS:
        sh(*dialect, *WARN, *EXTRA, os.path.join(SOURCE, "docs", "embed.c"), "-x", "none", "-o", "embed", *flags("tenon"))
        lines = sh("./embed", os.path.join(GRAPHS, "fashion-lenet.json")).splitlines()
        assert len(lines) == 10 and abs(sum(float(line.split()[-1]) for line in lines) - 1) < 0.001, lines
        assert "missing.json" in sh("./embed", "missing.json", code=1)


def template_builds_by_the_line_in_its_readme():
    source = os.path.join(TEMPLATE, "swish.c")
    assert len(open(source, encoding="utf-8").readlines()) < 60
    for name in ("swish.c", "swish.json"):
        shutil.copy(os.path.join(TEMPLATE, name), ".")
    readme = open(os.path.join(TEMPLATE, "README.md"), encoding="utf-8").read()
    block = re.search(r"```sh\n(cc .*?)```", readme, re.S).group(1)
    line, inspect, run = block.strip().splitlines()
    sh(line.replace("cc ", "cc " + " ".join(EXTRA + WARN) + " ", 1))
    symbols = sh("nm -D --defined-only swish.so").split()
    assert [s for s in symbols if s.startswith("tn_")] == ["tn_plugin_entry"], symbols
    shown = sh(inspect)
    assert "Swish" in shown and "beta" in shown and "reference" in shown, shown
    assert "y  float32[]" in sh(run)


def template_builds_and_tests_itself_with_meson():
    shutil.copytree(TEMPLATE, "swish")
    sh("meson", "setup", "swish/build", "swish", f"-Db_sanitize={SANITIZE}", "--werror")
    assert re.search(r"Ok:\s+1\b", sh("meson", "test", "-C", "swish/build"))


def smallest_plugin_of_the_document_loads():
    text = open(os.path.join(SOURCE, "docs", "plugin_abi.md"), encoding="utf-8").read()
    code, line = re.search(r"```c\n(.*?)```.*?```sh\n(.*?)\n", text, re.S).groups()
    with open("nothing.c", "w", encoding="utf-8") as file:
        file.write(code)
    sh(line.replace("cc ", "cc " + " ".join(EXTRA + WARN) + " ", 1))
    assert "nothing" in sh("tenon plugins --plugin ./nothing.so")


def installed_command_finds_installed_plugins():
    shown = sh("tenon", "plugins", cwd="/")
    assert os.path.join(LIB, "tenon", "plugins", "conv.so") in shown and BUILD not in shown, shown
    sh("tenon", "run", os.path.join(GRAPHS, "xnor.json"), "--random", cwd="/")


def library_needs_little():
    library = os.path.join(LIB, "libtenon.so")
    needed = re.findall(r"NEEDED.*\[(.*?)\]", sh("readelf", "-d", library))
    if SANITIZE != "none":
        return
    few = ("libc.so", "libm.so", "libdl.so", "libgomp.so", "libjansson.so", "libpthread.so", "ld-linux")
    assert all(name.startswith(few) for name in needed), needed
    # Tables for unwinding, which only builds for debugging have.
    sh("strip", "-R", ".eh_frame", "-R", ".eh_frame_hdr", "-o", "stripped.so", library)
    assert os.path.getsize("stripped.so") < 400_000, os.path.getsize("stripped.so")


TESTS = [everything_is_installed, plugins_are_opened_when_needed, headers_compile_alone, embedding_example_runs_in_three_languages,
         template_builds_by_the_line_in_its_readme, template_builds_and_tests_itself_with_meson,
         smallest_plugin_of_the_document_loads, installed_command_finds_installed_plugins, library_needs_little]

if __name__ == "__main__":
    try:
        fine = run_all(TESTS)
    finally:
        shutil.rmtree(ROOT)
    sys.exit(0 if fine else 1)
