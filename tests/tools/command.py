#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command `tenon`, from outside: every subcommand, every option, every kind of bad input.

    tests/tools/command.py BUILD        prints TAP
"""
import gzip
import json
import os
import shutil
import sys
import zipfile

import numpy as np

from harness import BUILD, GRAPHS, SOURCE, expect, grey_jpeg, idx, png, run_all, tenon

FASHION = os.path.join(GRAPHS, "fashion-lenet.json")
XNOR = os.path.join(GRAPHS, "xnor.json")
TRUTH_TABLE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


def graph(path="net.json", inputs=(), nodes=(), outputs=("y",), **more):
    """Writes a graph; an input is (name, dtype, shape), the shape None where nothing is known of it."""
    data = {"tenon": 1, "opset": 21, "outputs": list(outputs),
            "inputs": [{"name": n, "dtype": d} | ({} if s is None else {"shape": s}) for n, d, s in inputs],
            "nodes": list(nodes)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data | more, file)
    return path


def identity(dtype, shape, path="net.json", **more):
    return graph(path, [("x", dtype, shape)], [{"op": "Identity", "inputs": ["x"], "outputs": ["y"]}], **more)


def saved(model, *words, output=0):
    """Runs with --save and gives an output back."""
    expect(tenon("run", model, *words, "--save", "out", "--backend", "reference"), 0)
    return np.load(f"out/{output}.npy")


# ---- usage -----------------------------------------------------------------------------------

def help_teaches():
    expect(tenon(), 0, "Exit codes", "tenon help COMMAND")
    expect(tenon("--help"), 0, "run", "inspect", "check", "plugins", "bench", "compare", "convert", "optimize")
    for command in ("run", "inspect", "check", "plugins", "bench", "compare", "convert", "optimize"):
        expect(tenon("help", command), 0, f"tenon {command}", "Options:", "--plugins", "\n  tenon " + command)
        assert tenon("help", command).out == tenon(command, "--help").out
    expect(tenon("help", "run"), 0, "--input [NAME=]FILE", "--save DIR", "--mean")
    expect(tenon("--version"), 0, "tenon 0.")


def wrong_usage_is_explained_and_exits_with_2():
    expect(tenon("rum"), 2, "unknown command 'rum'; did you mean 'run'?")
    expect(tenon("frobnicate"), 2, "unknown command 'frobnicate'")
    expect(tenon("help", "insect"), 2, "did you mean 'inspect'?")
    expect(tenon("run", XNOR, "--treads", "1"), 2, "unknown option --treads; did you mean --threads?")
    expect(tenon("run", XNOR, "--frobnicate"), 2, "unknown option --frobnicate")
    expect(tenon("run", XNOR, "-Z"), 2, "unknown option -Z")
    expect(tenon("run", XNOR, "--json"), 2, "--json is no option of this command")
    expect(tenon("run", XNOR, "--threads"), 2, "--threads wants a value: N")
    expect(tenon("run", XNOR, "--threads", "two"), 2, "--threads is 'two', expected a whole number")
    expect(tenon("run", XNOR, "--threads=-1"), 2, "expected a whole number")
    expect(tenon("run", XNOR, "--threads", "0", "--random"), 2, "--threads is 0, expected 1 to 1024")
    expect(tenon("run", XNOR, "--random=yes"), 2, "--random takes no value")
    expect(tenon("bench", XNOR, "--seconds", "soon"), 2, "expected a number from 0 up")
    expect(tenon("run"), 2, "expected: tenon run MODEL", "`tenon help run`")
    expect(tenon("run", XNOR, XNOR), 2, "is one argument too many")
    expect(tenon("convert", XNOR), 2, "expected: tenon convert IN OUT")
    expect(tenon("inspect"), 2, "expected a MODEL")
    expect(tenon("run", XNOR, "--random", "--math", "stricd"), 2, "did you mean strict?")
    expect(tenon("run", XNOR, "--random", "--shape", "x"), 2, "expected NAME=1,3,224,224")
    expect(tenon("run", XNOR, "--random", "--shape", "x=1,z"), 2, "expected numbers")
    expect(tenon("run", FASHION, "--input", "a.png", "--size", "big"), 1, "a.png")


# ---- run: arrays ----------------------------------------------------------------------------

def xnor_is_right_and_its_linear_twin_is_not():
    np.save("x.npy", TRUTH_TABLE)
    assert saved(XNOR, "--input", "x=x.npy").ravel().tolist() == [1, 0, 0, 1]
    assert saved(XNOR, "--input", "x.npy", "--passes", "none").ravel().tolist() == [1, 0, 0, 1]
    linear = saved(os.path.join(GRAPHS, "xnor-linear.json"), "-i", "x=x.npy").ravel().tolist()
    assert linear != [1, 0, 0, 1]


def outputs_are_printed_as_numpy_does():
    np.save("x.npy", np.arange(6, dtype=np.float32).reshape(2, 3) / 2)
    expect(tenon("run", identity("float32", [2, 3]), "-i", "x.npy"), 0, "y  float32[2,3]\n[[  0 0.5   1]\n [1.5   2 2.5]]")
    np.save("x.npy", np.array([True, False]))
    expect(tenon("run", identity("bool", [2]), "-i", "x.npy"), 0, "[ true false]")
    np.save("x.npy", np.array([np.nan, np.inf, -np.inf, -0.0], np.float32))
    expect(tenon("run", identity("float32", [4]), "-i", "x.npy"), 0, "nan", " inf", "-inf", "-0")
    np.save("x.npy", np.zeros((50, 50), np.int64))
    text = expect(tenon("run", identity("int64", [50, 50]), "-i", "x.npy"), 0, "[0 0 0 ... 0 0 0]", "\n ...\n").out
    assert text.count("\n") < 20
    np.save("x.npy", np.int64(7))
    expect(tenon("run", identity("int64", []), "-i", "x.npy"), 0, "y  int64[]\n7\n")
    quiet = expect(tenon("run", identity("int64", []), "-i", "x.npy", "--quiet"), 0)
    assert "int64" not in quiet.out


def every_numpy_type_goes_in_and_out_unchanged():
    rng = np.random.default_rng(1)
    names = ["float32", "float64", "float16", "int8", "int16", "int32", "int64",
             "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128"]
    for name in names:
        values = rng.integers(0, 100, (3, 4)).astype(name)
        np.save("x.npy", values)
        back = saved(identity(name, [3, 4]), "-i", "x.npy")
        assert back.dtype == values.dtype and (back == values).all(), name
    entry = json.load(open("out/outputs.json"))["outputs"][0]
    assert entry == {"name": "y", "kind": "tensor", "dtype": "complex128", "shape": [3, 4], "file": "0.npy"}


def types_that_numpy_lacks_travel_as_float32_and_bytes():
    np.save("x.npy", np.array([1.5, -2, 448, 0.0625], np.float32))
    for dtype in ("bfloat16", "float8e4m3fn", "float8e5m2"):
        back = saved(identity(dtype, [4]), "-i", "x.npy")
        assert back.dtype == np.float32 and np.allclose(back, [1.5, -2, 448, 0.0625]), (dtype, back)
    assert json.load(open("out/outputs.json"))["outputs"][0]["stored"] == "float32"
    np.save("x.npy", np.array([-8, 7, 3], np.int8))
    assert saved(identity("int4", [3]), "-i", "x.npy").tolist() == [-8, 7, 3]
    np.save("x.npy", np.array([0, 3, 2], np.uint8))
    assert saved(identity("uint2", [3]), "-i", "x.npy").tolist() == [0, 3, 2]


def fortran_order_and_big_endian_are_read():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save("x.npy", np.asfortranarray(values))
    assert (saved(identity("float32", [2, 3, 4]), "-i", "x.npy") == values).all()
    np.save("x.npy", values.astype(">f4"))
    assert (saved(identity("float32", [2, 3, 4]), "-i", "x.npy") == values).all()


def strings_are_read_as_text_and_as_bytes():
    np.save("x.npy", np.array(["one", "zwölf", "日本"]))
    back = saved(identity("string", [3]), "-i", "x.npy")
    assert [s.decode() for s in back] == ["one", "zwölf", "日本"]
    np.save("x.npy", np.array([b"a", b"\xff"]))
    assert saved(identity("string", [2]), "-i", "x.npy").tolist() == [b"a", b"\xff"]
    np.save("x.npy", np.array(["\x1b[31mred"]))
    assert "\x1b" not in expect(tenon("run", identity("string", [1]), "-i", "x.npy"), 0, "?[31mred").out


def empty_and_scalar_arrays_work():
    np.save("x.npy", np.zeros((0, 3), np.float32))
    assert saved(identity("float32", [None, 3]), "-i", "x.npy").shape == (0, 3)
    np.save("x.npy", np.float32(3))
    assert saved(identity("float32", []), "-i", "x.npy") == 3


def inputs_may_be_tensors_as_onnx_s_tests_have_them():
    a = np.array([[1.5, -2], [3, 1e-9]], np.float32)
    dims = b"\x08\x02\x08\x02"
    with open("raw.pb", "wb") as file:  # dims, data_type 1, name, raw_data
        file.write(dims + b"\x10\x01" + b"\x42\x03abc" + b"\x4a\x10" + a.tobytes())
    with open("typed.pb", "wb") as file:  # float_data, packed
        file.write(dims + b"\x10\x01" + b"\x22\x10" + a.tobytes())
    with open("text.pb", "wb") as file:  # string_data
        file.write(b"\x08\x02\x10\x08" + b"\x32\x02hi" + b"\x32\x00")
    with open("cut.pb", "wb") as file:
        file.write(dims + b"\x10\x01" + b"\x4a\x08" + a.tobytes()[:8])
    with open("no.pb", "wb") as file:
        file.write(b"\xff\xff\xff")
    net = identity("float32", [2, 2])
    assert (saved(net, "-i", "x=raw.pb") == a).all()
    assert (saved(net, "-i", "typed.pb") == a).all()
    expect(tenon("run", identity("string", [2]), "-i", "text.pb"), 0, "hi")
    net = identity("float32", [2, 2])
    expect(tenon("run", net, "-i", "cut.pb"), 1, "cut.pb holds no TensorProto: ", "8 bytes")
    expect(tenon("run", net, "-i", "no.pb"), 1, "no.pb holds no TensorProto: ")


def archives_give_their_members():
    a, b = np.arange(3, dtype=np.float32), np.arange(3, 6, dtype=np.float32)
    net = identity("float32", [3])
    for save in (np.savez, np.savez_compressed):
        save("two.npz", a=a, b=b)
        assert (saved(net, "-i", "x=two.npz:b") == b).all()
    expect(tenon("run", net, "-i", "two.npz"), 1, "two.npz has 2 arrays (a, b): say which as two.npz:NAME")
    expect(tenon("run", net, "-i", "two.npz:c"), 1, "two.npz has no array 'c'; it has a, b")
    np.savez("one.npz", a)
    assert (saved(net, "-i", "one.npz") == a).all()
    data = bytearray(open("two.npz", "rb").read())
    with open("cut.npz", "wb") as file:
        file.write(data[:100])
    expect(tenon("run", net, "-i", "cut.npz:a"), 1, "has no zip directory")
    data[60] ^= 255
    with open("bad.npz", "wb") as file:
        file.write(data)
    expect(tenon("run", net, "-i", "bad.npz:a"), 1, "is damaged")
    with zipfile.ZipFile("other.npz", "w") as archive:
        archive.writestr("a.npy", b"no array")
    expect(tenon("run", net, "-i", "other.npz:a"), 1, "is no .npy array")


def safetensors_give_their_tensors():
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                         "far": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}).encode()
    with open("w.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + np.array([1, 2], np.float32).tobytes())
    net = identity("float32", [2])
    assert saved(net, "-i", "w.safetensors:w").tolist() == [1, 2]
    expect(tenon("run", net, "-i", "w.safetensors:v"), 1, "has no tensor 'v'; it has w, far")
    expect(tenon("run", net, "-i", "w.safetensors:far"), 1, "tensor 'far' lies at 4 to 12 of 8 bytes")
    with open("cut.safetensors", "wb") as file:
        file.write(b"\xff" * 20)
    expect(tenon("run", net, "-i", "cut.safetensors:w"), 1, "ends inside its header")


def bad_arrays_are_refused():
    net = identity("float32", [3])
    np.save("x.npy", np.arange(3, dtype=np.float32))
    data = open("x.npy", "rb").read()
    cases = {"short": (data[:-4], "has 8 bytes of elements, its shape [3] needs 12"),
             "head": (data[:20], "ends inside its header"),
             "version": (data[:6] + b"\x09" + data[7:], ".npy version 9"),
             "garbage": (data[:10] + b"x" * 118 + data[128:], "not what numpy writes"),
             "record": (data.replace(b"'<f4'", b"[('a'"), "arrays of records"),
             "huge": (data.replace(b"(3,), ", b"(99999999999999999999,), "), ""),
             "overflow": (data.replace(b"(3,), }           ", b"(4294967296, 4294967296), }"), ""),
             "text": (b"hello, world", "is none of .npy, .npz, .safetensors, .pb, PNG, JPEG, IDX")}
    for name, (content, message) in cases.items():
        with open(name, "wb") as file:
            file.write(content)
        expect(tenon("run", net, "-i", name), 1, name, message)
    expect(tenon("run", net, "-i", "missing.npy"), 1, "missing.npy: No such file")
    expect(tenon("run", net, "-i", "."), 1, "is no regular file")
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    expect(tenon("run", net, "-i", "objects.npy"), 1, "has numpy type '|O'")


def inputs_that_do_not_fit_are_refused():
    np.save("x.npy", TRUTH_TABLE)
    np.save("three.npy", np.zeros((1, 3), np.float32))
    np.save("double.npy", TRUTH_TABLE.astype(np.float64))
    expect(tenon("run", XNOR), 1, "input 'x' (float32[N,2]) is not set: --input x=FILE, or --random")
    expect(tenon("run", XNOR, "-i", "y=x.npy"), 1, "the model has no input 'y'; did you mean 'x'?")
    expect(tenon("run", XNOR, "-i", "x=three.npy"), 1, "'x'", "2", "3")
    expect(tenon("run", XNOR, "-i", "x=double.npy"), 1, "'x'", "float64", "float32")
    expect(tenon("run", XNOR, "-i", "x=x.npy", "-i", "x=x.npy"), 1, "is given 2 files")
    graph(inputs=[("a", "float32", [1]), ("b", "float32", [1])],
          nodes=[{"op": "Add", "inputs": ["a", "b"], "outputs": ["y"]}])
    expect(tenon("run", "net.json", "-i", "x.npy"), 2, "expected NAME=FILE: the model has 2 inputs")
    expect(tenon("run", "missing.json"), 1, "missing.json")


# ---- run: random values, shapes, backends ----------------------------------------------------

def random_inputs_depend_on_the_seed_alone():
    one = saved(XNOR, "--random", "--seed", "5", "--shape", "N=3")
    assert one.shape == (3, 1)
    assert (saved(XNOR, "--random", "--seed", "5", "--shape", "x=3,2") == one).all()
    assert (saved(XNOR, "--random", "--seed", "6", "--shape", "x=3,2") != one).any()
    expect(tenon("run", XNOR, "--random", "--shape", "M=3"), 1, "the model has no input 'M'")
    for dtype in ("int64", "bool", "float16", "bfloat16", "uint4", "string", "complex64", "float8e8m0"):
        expect(tenon("run", identity(dtype, [4]), "--random", "-b", "reference"), 0, f"y  {dtype}[4]")
    expect(tenon("run", identity("float32", None), "--random"), 1, "declares no shape: say --shape x=")
    assert saved(identity("float32", None), "--random", "--shape", "x=2,2").shape == (2, 2)


def session_options_reach_the_session():
    np.save("x.npy", TRUTH_TABLE)
    common = ("run", XNOR, "-i", "x.npy")
    expect(tenon(*common, "--backend", "reference", "--threads", "1"), 0, "; reference; 1 thread\n")
    expect(tenon(*common, "--backends=reference", "-t2"), 0, "2 threads")
    expect(tenon(*common, "--backend", "nonesuch"), 3, "nonesuch")
    expect(tenon(*common, "--passes", "nonesuch"), 2, "nonesuch")
    for option in ("--no-fusion", "--plain-layouts", "--vendor-reference", "--bodies", "--math=strict", "--math=fast"):
        expect(tenon(*common, option), 0)
    expect(tenon(*common, "--place", "hidden=reference"), 0)


def threads_wait_as_the_user_said_or_as_the_command_chose():
    shown = {"OMP_DISPLAY_ENV": "verbose"}
    run = ("run", XNOR, "--random", "-b", "reference")
    assert "GOMP_SPINCOUNT = '100000'" in tenon(*run, **shown).err
    assert "GOMP_SPINCOUNT = '7'" in tenon(*run, GOMP_SPINCOUNT="7", **shown).err
    assert "GOMP_SPINCOUNT = '100000'" not in tenon(*run, OMP_WAIT_POLICY="passive", **shown).err
    assert tenon(*run, OMP_WAIT_POLICY="passive", **shown).err.count("OPENMP DISPLAY ENVIRONMENT BEGIN") == 1


# ---- run: pictures ---------------------------------------------------------------------------

def pictures_become_planes_or_pixels():
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (4, 5, 3), np.uint8)
    png("c.png", pixels)
    planes = pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    assert (saved(identity("float32", ["N", 3, 4, 5]), "-i", "c.png") == planes).all()
    assert (saved(identity("float32", ["N", 4, 5, 3]), "-i", "c.png") == planes.transpose(0, 2, 3, 1)).all()
    assert (saved(identity("float32", ["N", "C", "H", "W"]), "-i", "c.png", "--layout", "nhwc")
            == planes.transpose(0, 2, 3, 1)).all()
    assert (saved(identity("float32", [3, 4, 5]), "-i", "c.png") == planes[0]).all()
    assert (saved(identity("float32", ["N", 60]), "-i", "c.png") == planes.reshape(1, 60)).all()
    assert (saved(identity("uint8", ["N", 4, 5, 3]), "-i", "c.png") == pixels).all()
    mean, std = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.25, 2], np.float32)
    got = saved(identity("float32", ["N", 3, 4, 5]), "-i", "c.png", "--mean", "0.1,0.2,0.3", "--std", "0.5,0.25,2")
    assert np.allclose(got, (planes - mean[:, None, None]) / std[:, None, None], atol=1e-6)
    got = saved(identity("float32", ["N", 3, 4, 5]), "-i", "c.png", "--scale", "1")
    assert (got == planes * 255).all() or np.allclose(got, planes * 255)
    grey = saved(identity("float32", ["N", 1, 4, 5]), "-i", "c.png")[0, 0]
    assert np.allclose(grey, pixels @ np.array([0.299, 0.587, 0.114]) / 255, atol=1e-5)


def metadata_says_what_need_not_be_said_again():
    pixels = np.full((2, 2), 100, np.uint8)
    png("g.png", pixels)
    net = identity("float32", ["N", "C", "H", "W"], metadata={
        "image.mean": "[0.5]", "image.std": "0.25", "image.layout": "NHWC", "image.size": "4x3", "image.scale": "200"})
    got = saved(net, "-i", "g.png")
    assert got.shape == (1, 4, 3, 1) and np.allclose(got, 0)
    assert saved(net, "-i", "g.png", "--size", "2").shape == (1, 2, 2, 1)
    bad = identity("float32", ["N", 1, 2, 2], metadata={"image.mean": "half"})
    expect(tenon("run", bad, "-i", "g.png"), 1, "mean is 'half', expected numbers")
    expect(tenon("run", identity("float32", ["N", 1, 2, 2]), "-i", "g.png", "--layout", "abc"), 2, "expected nchw or nhwc")


def resizing_has_half_pixel_centres():
    def triangle(n, m):
        weights = np.zeros((m, n))
        reach = max(1, n / m)
        for i in range(m):
            away = np.abs(np.arange(n) + 0.5 - (i + 0.5) * n / m) / reach
            weights[i] = np.maximum(0, 1 - away)
        return weights / weights.sum(1, keepdims=True)

    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (13, 9), np.uint8)
    png("g.png", pixels)
    for rows, columns in ((5, 4), (20, 30), (13, 3), (1, 1)):
        got = saved(identity("float32", ["N", 1, "H", "W"]), "-i", "g.png", "--size", f"{rows}x{columns}")[0, 0]
        wanted = triangle(13, rows) @ pixels @ triangle(9, columns).T / 255
        assert got.shape == wanted.shape and np.allclose(got, wanted, atol=1e-5)


def jpeg_transparency_and_bad_pictures():
    grey_jpeg("g.jpg", 20, 12, 200)
    got = saved(identity("float32", ["N", 1, "H", "W"]), "-i", "g.jpg")
    assert got.shape == (1, 1, 20, 12) and np.allclose(got, 200 / 255, atol=0.005)
    assert saved(identity("float32", ["N", 3, 8, 8]), "-i", "g.jpg").shape == (1, 3, 8, 8)
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0, 3] = 255
    png("a.png", pixels)
    got = saved(identity("float32", ["N", 3, 2, 2]), "-i", "a.png")[0]
    assert (got[:, 0, 0] == 0).all() and (got[:, 1, 1] == 1).all()
    net = identity("float32", ["N", 3, 2, 2])
    for name, bad in (("cut.png", open("a.png", "rb").read()[:50]), ("cut.jpg", open("g.jpg", "rb").read()[:150])):
        with open(name, "wb") as file:
            file.write(bad)
        expect(tenon("run", net, "-i", name), 1, name)
    expect(tenon("run", identity("float32", ["N", 5, 2, 2]), "-i", "a.png"), 1, "has 5 channels, a picture has 1 or 3")


def several_pictures_make_a_batch():
    for k, level in enumerate((0, 51, 255)):
        png(f"{k}.png", np.full((2, 2), level, np.uint8))
    net = identity("float32", ["N", 1, 2, 2])
    three = ("-i", "0.png", "-i", "1.png", "-i", "2.png")
    for batch in ("1", "2", "3"):
        got = saved(net, *three, "--batch", batch)
        assert np.allclose(got[:, 0, 0, 0], [0, 0.2, 1]), batch
    assert saved(net, *three, "--limit", "2").shape[0] == 2
    fixed = identity("float32", [2, 1, 2, 2], "fixed.json")
    expect(tenon("run", fixed, *three), 1, "takes 2 pictures at once", "--limit 2")
    expect(tenon("run", fixed, *three, "--batch", "3"), 1, "--batch says 3")
    png("big.png", np.zeros((3, 3), np.uint8))
    free = identity("float32", ["N", 1, "H", "W"], "free.json")
    expect(tenon("run", free, "-i", "0.png", "-i", "big.png"), 1, "differ in size", "--size HxW")
    np.save("x.npy", np.zeros((1, 1, 2, 2), np.float32))
    expect(tenon("run", net, "-i", "0.png", "-i", "x.npy"), 1, "x.npy is neither PNG nor JPEG")


def idx_files_are_pictures_classes_and_numbers():
    pixels = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2) * 20
    idx("p.idx", pixels)
    with gzip.open("p.idx.gz", "wb") as file:
        file.write(open("p.idx", "rb").read())
    net = identity("float32", ["N", 1, 2, 2])
    for name in ("p.idx", "p.idx.gz"):
        assert np.allclose(saved(net, "-i", name, "--batch", "2")[:, 0], pixels / 255)
    idx("f.idx", np.array([1.5, -2], np.float64))
    assert saved(identity("float32", [2], "f.json"), "-i", "f.idx").tolist() == [1.5, -2]
    data = open("p.idx", "rb").read()
    with open("cut.idx", "wb") as file:
        file.write(data[:-1])
    expect(tenon("run", net, "-i", "cut.idx"), 1, "cut.idx is too short for its shape [3,2,2]")
    with gzip.open("bomb.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + b"\x7f\xff\xff\xff" * 3)
    expect(tenon("run", net, "-i", "bomb.gz"), 1, "too short", "[2147483647,2147483647,2147483647]")


# ---- run: what the answers are worth -----------------------------------------------------------

def classifier():
    """Two classes; the score of class k is the mean of pixel k."""
    return graph("net.json", [("x", "float32", ["N", 1, 1, 2])],
                 [{"op": "Flatten", "inputs": ["x"], "outputs": ["y"]}], metadata={"labels": "left\nright"})


def labels_and_the_best():
    idx("p.idx", np.array([[[255, 0]], [[0, 255]], [[51, 102]]], np.uint8))
    expect(tenon("run", classifier(), "-i", "p.idx"), 0, "best of y", "p.idx[0]: left 1, right 0", "p.idx[1]: right 1")
    one = expect(tenon("run", "net.json", "-i", "p.idx", "--limit", "1"), 0, "class", "left (0)").out
    assert one.index("left (0)") < one.index("right (1)")
    with open("words.txt", "w", encoding="utf-8") as file:
        file.write("L\r\nR\r\n")
    expect(tenon("run", "net.json", "-i", "p.idx", "--labels", "words.txt", "--top", "1"), 0, "p.idx[2]: R 0.4\n")
    assert "best of" not in tenon("run", "net.json", "-i", "p.idx", "--top", "0").out
    expect(tenon("run", "net.json", "-i", "p.idx", "--labels", "missing"), 1, "missing: No such file")
    drawn = expect(tenon("run", "net.json", "-i", "p.idx", "--draw", "2", "-q", "--top=0"), 0, "left 1", "right 1").out
    assert "@ " in drawn and " @" in drawn
    np.save("x.npy", np.zeros((1, 1, 1, 2), np.float32))
    expect(tenon("run", "net.json", "-i", "x.npy", "--draw", "1"), 1, "no input is made of pictures")


def truth_and_expectations():
    idx("p.idx", np.array([[[255, 0]], [[0, 255]], [[51, 102]]], np.uint8))
    idx("t.idx", np.array([0, 1, 0], np.uint8))
    common = ("run", classifier(), "-i", "p.idx", "-q", "--top", "0")
    expect(tenon(*common, "--truth", "t.idx"), 0, "accuracy 66.67 % (2 of 3)")
    expect(tenon(*common, "--expect", "t.idx"), 5, "agreement 66.67 % (2 of 3) with t.idx")
    np.save("c.npy", np.array([0, 1, 1]))
    expect(tenon(*common, "--expect", "c.npy"), 0, "agreement 100.00 % (3 of 3)")
    np.save("v.npy", np.array([[1, 0], [0, 1]], np.float32))
    expect(tenon(*common, "--expect", "v.npy", "--expect", "y=v.npy"), 0, "'y' agrees with v.npy: 4 values, largest difference 0")
    np.save("w.npy", np.array([[1, 0], [0, 0.99]], np.float32))
    expect(tenon(*common, "--expect", "w.npy"), 5, "'y' differs from w.npy: 1 of 4 values, the most at element 3: 1, expected 0.99")
    expect(tenon(*common, "--expect", "w.npy", "--tolerance", "0.1"), 0, "agrees")
    np.save("s.npy", np.zeros((1, 3), np.float32))
    expect(tenon(*common, "--expect", "s.npy"), 1, "cannot be held against")
    expect(tenon(*common, "--truth", "s.npy"), 1, "expected 3 whole numbers")


def nan_and_infinity_agree_only_with_themselves():
    special = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    np.save("x.npy", special)
    net = identity("float32", [4])
    expect(tenon("run", net, "-i", "x.npy", "--expect", "x.npy"), 0, "agrees")
    for k in range(3):
        other = special.copy()
        other[k] = 1
        np.save("o.npy", other)
        expect(tenon("run", net, "-i", "x.npy", "--expect", "o.npy"), 5, "1 of 4 values")


def several_outputs_are_saved_in_order():
    graph(inputs=[("x", "float32", [2])], outputs=["b", "a"],
          nodes=[{"op": "Neg", "inputs": ["x"], "outputs": ["a"]}, {"op": "Abs", "inputs": ["a"], "outputs": ["b"]}])
    np.save("x.npy", np.array([1, -2], np.float32))
    expect(tenon("run", "net.json", "-i", "x.npy", "--save", "deep/er/out"), 0)
    listed = json.load(open("deep/er/out/outputs.json"))["outputs"]
    assert [(o["name"], o["file"]) for o in listed] == [("b", "0.npy"), ("a", "1.npy")]
    assert np.load("deep/er/out/1.npy").tolist() == [-1, 2]
    open("file", "w").close()
    expect(tenon("run", "net.json", "-i", "x.npy", "--save", "file/out"), 1, "file/out: Not a directory")


def sequences_and_optionals():
    nodes = [{"op": "Identity", "inputs": ["x"], "outputs": ["y"]}]
    np.save("a.npy", np.array([1, 2], np.float32))
    np.save("b.npy", np.array([[3]], np.float32))
    data = {"tenon": 1, "opset": 21, "outputs": ["y"], "nodes": nodes}
    for kind, files in (("sequence(tensor(float32))", ("a.npy", "b.npy")), ("optional(tensor(float32))", ("a.npy",))):
        with open("net.json", "w", encoding="utf-8") as file:
            json.dump(data | {"inputs": [{"name": "x", "type": kind}]}, file)
        words = [word for name in files for word in ("-i", f"x={name}")]
        expect(tenon("run", "net.json", *words, "--save", "out", "-b", "reference"), 0, kind.split("(")[0])
        listed = json.load(open("out/outputs.json"))["outputs"][0]
        assert [e["file"] for e in listed["elements"]] == [f"0/{k}.npy" for k in range(len(files))]
        assert np.load("out/0/0.npy").tolist() == [1, 2]
        expect(tenon("run", "net.json", "-i", "x=", "--save", "out", "-b", "reference"), 0)
        assert json.load(open("out/outputs.json"))["outputs"][0]["elements"] == []
    expect(tenon("run", "net.json", "--random"), 1, "is not made up")


# ---- the other subcommands ---------------------------------------------------------------------

def check_says_everything_with_its_place():
    expect(tenon("check", XNOR, FASHION), 0, "xnor.json: fine, 3 nodes", "fashion-lenet.json: fine, 17 nodes")
    with open("broken.json", "w", encoding="utf-8") as file:
        file.write('{"tenon": 1,\n "opset": }')
    expect(tenon("check", "broken.json"), 1, "broken.json:2:")
    graph("two.json", [("x", "float32", [1])],
          [{"op": "Reluu", "inputs": ["x"], "outputs": ["h"]}, {"op": "Neg", "inputs": ["x", "x"], "outputs": ["y"]}])
    expect(tenon("check", "two.json"), 1, "Reluu", "Relu", "Neg")
    expect(tenon("check", XNOR, "broken.json", XNOR), 1, "broken.json:2:", "xnor.json: fine")
    expect(tenon("check", "missing.json"), 1, "missing.json")


def inspect_shows_layers_and_totals():
    expect(tenon("inspect", FASHION), 0, "fashion-lenet: ", "conv1", "float32[1,16,28,28]", "416", "314 k", "5/1",
           "multiply-adds", "parameters", "17 nodes in the file")
    expect(tenon("inspect", FASHION, "--shape", "N=8"), 0, "float32[8,16,28,28]")
    expect(tenon("inspect", FASHION, "--shape", "image=8,1,28,28"), 0, "float32[8,16,28,28]")
    expect(tenon("inspect", FASHION, "--shape", "image=8,2,28,28"), 1, "image")
    expect(tenon("inspect", FASHION, "--shape", "N=8,8"), 2, "symbol N wants one number")


def inspect_shows_plan_passes_and_graph():
    expect(tenon("inspect", FASHION, "--plan", "-b", "reference"), 0, "algorithm", "conv1", "reference", "arena")
    expect(tenon("inspect", FASHION, "--passes"), 0, "drop_identity", "remove_dead")
    kept = expect(tenon("inspect", FASHION, "--graph", "--passes=none"), 0, "Dropout")
    assert "remove_dead" not in kept.out
    assert "Dropout" not in expect(tenon("inspect", FASHION, "--graph"), 0, "Conv").out
    expect(tenon("inspect", "--passes"), 0, "fold_batch_norm")


def inspect_shows_operators():
    expect(tenon("inspect", "--op", "Conv"), 0, "Conv", "kernel_shape", "reference")
    expect(tenon("inspect", "--op", "Convv"), 1, "Conv")
    expect(tenon("inspect", "--ops"), 0, "| ", "Conv", "MatMul")


def plugins_are_listed_and_refused_ones_explained():
    expect(tenon("plugins"), 0, "activation", "loaded", "reference", "default backends: ")
    expect(tenon("plugins", "--open"), 0, "reference")
    os.makedirs("folder/plugins")
    with open("folder/plugins/text.so", "w", encoding="utf-8") as file:
        file.write("no plugin")
    expect(tenon("plugins", "--plugins", os.path.abspath("folder")), 3, "refused", "text.so")
    expect(tenon("plugins", TENON_PLUGIN_PATH=os.path.abspath("folder")), 3, "refused", "text.so")
    expect(tenon("plugins", "--index", os.path.abspath("folder")), 3, "no index: ", "text.so")
    os.makedirs("indexed/plugins")
    shutil.copy(os.path.join(BUILD, "plugins", "pool.so"), "indexed/plugins")
    expect(tenon("plugins", "--index", os.path.abspath("indexed")), 0)
    with open("indexed/plugins/index", encoding="utf-8") as file:
        assert "\nplugin pool.so " in (text := file.read()) and "\noperator MaxPool " in text
    expect(tenon("plugins", "--index", "nowhere"), 1, "nowhere")
    os.chmod("indexed/plugins/pool.so", 0o666)  # it is ahead of the build's own, and cannot be opened
    expect(tenon("plugins", "--plugins", os.path.abspath("indexed")), 3, "refused: ", "pool.so")
    expect(tenon("run", XNOR, "--random", TENON_PLUGIN_PATH=os.path.abspath("folder")), 0)
    expect(tenon("check", XNOR, "--plugin", os.path.abspath("folder/plugins/text.so")), 3, "text.so")
    expect(tenon("check", XNOR, "--plugin", "missing.so"), 3, "missing.so")
    os.chmod("folder/plugins/text.so", 0o666)
    expect(tenon("plugins", "--plugins", os.path.abspath("folder")), 3, "refused")


def bench_measures():
    expect(tenon("bench", XNOR, "--runs", "20", "--warmup", "2", "-b", "reference", "-t", "1"), 0, "median", "spread",
           "95 % under", "20 runs, 1 thread", "0 allocations by the engine")
    line = json.loads(expect(tenon("bench", XNOR, "--seconds", "0.05", "--json"), 0).out)
    assert line["least_s"] <= line["p5_s"] <= line["median_s"] <= line["p95_s"] and line["allocations"] == 0
    expect(tenon("bench", FASHION, "--seconds", "0.05", "--profile", "-b", "reference", "--shape", "N=2"), 0, "share", "conv1")
    idx("p.idx", np.zeros((5, 28, 28), np.uint8))
    expect(tenon("bench", FASHION, "--input", "p.idx", "--runs", "5", "--warmup", "0"), 0, "5 runs")
    expect(tenon("bench", FASHION, "--input", "p.idx", "--limit", "2", "--runs", "1"), 0, "1 run")


def compare_sets_backends_side_by_side():
    common = ("compare", FASHION, "--seconds", "0.05")
    expect(tenon(*common), 0, "conv1", "whole run", "not fused")
    shown = expect(tenon(*common, "--backends", "reference,reference+reference"), 0, "absolute", "NaN, inf").out
    assert "softmax" in shown and " 0 " in shown
    expect(tenon(*common, "--backends", "nonesuch"), 3, "nonesuch")
    expect(tenon(*common, "--backends", "reference,nonesuch"), 3, "nonesuch", "conv1")
    np.save("x.npy", np.array([[np.inf, 1]], np.float32))
    expect(tenon("compare", XNOR, "-i", "x.npy", "--seconds", "0.02", "--backends", "reference,reference+reference"), 0, "alike")


def lists_are_given_printed_and_saved():
    """A sequence takes a file for each element; an optional one file, or none."""
    kinds = {"l": "sequence(tensor(float32))", "m": "optional(tensor(float32))",
             "s": "optional(sequence(tensor(float32)))"}
    with open("net.json", "w", encoding="utf-8") as file:
        json.dump({"tenon": 1, "opset": 21, "inputs": [{"name": n, "type": k} for n, k in kinds.items()],
                   "outputs": ["a", "b", "c", "n"],
                   "nodes": [{"op": "Identity", "inputs": [n], "outputs": [o]} for n, o in zip("lms", "abc")]
                   + [{"op": "SequenceLength", "inputs": ["l"], "outputs": ["n"]}]}, file)
    np.save("x.npy", np.array([1, 2], np.float32))
    np.save("y.npy", np.array([[3]], np.float32))
    full = ("run", "net.json", "-i", "l=x.npy", "-i", "l=y.npy", "-i", "m=x.npy", "-i", "s=y.npy", "-i", "s=x.npy")
    expect(tenon(*full, "--save", "out"), 0, "a  sequence of 2\n0: float32[2]\n[1 2]\n1: float32[1,1]\n[[3]]\n",
           "b  optional with float32[2]\n[1 2]\n", "c  optional with sequence of 2\n0: float32[1,1]\n[[3]]\n")
    told = {o["name"]: o for o in json.load(open("out/outputs.json", encoding="utf-8"))["outputs"]}
    assert [told[n]["kind"] for n in "abcn"] == ["sequence", "optional", "optional", "tensor"]
    assert [e["file"] for e in told["a"]["elements"]] == ["0/0.npy", "0/1.npy"]
    assert told["a"]["elements"][1] | {"file": ""} == {"kind": "tensor", "dtype": "float32", "shape": [1, 1], "file": ""}
    assert np.load("out/0/1.npy").tolist() == [[3]] and np.load("out/1/0.npy").tolist() == [1, 2]
    assert told["c"]["elements"][0]["kind"] == "sequence" and np.load("out/2/0/1.npy").tolist() == [1, 2]
    empty = ("run", "net.json", "-i", "l=", "-i", "m=", "-i", "s=", "--save", "none")
    expect(tenon(*empty), 0, "a  sequence of 0\n", "b  optional, empty\n", "c  optional, empty\n")
    told = json.load(open("none/outputs.json", encoding="utf-8"))["outputs"]
    assert [o.get("elements") for o in told] == [[], [], [], None] and np.load("none/3.npy") == 0
    np.save("z.npy", np.array([1], np.int64))
    expect(tenon("run", "net.json", "-i", "l=z.npy", "-i", "m=", "-i", "s="), 1,
           "input 'l' holds int64, but is declared to hold float32")
    expect(tenon("run", "net.json", "-i", "l=", "-i", "m=x.npy", "-i", "m=x.npy", "-i", "s="), 1, "takes one file, found 2")
    expect(tenon("run", "net.json", "-i", "l=", "-i", "m="), 1, "input 's'", "is not set")


def field(number, content):
    """A field of a Protocol Buffers message, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def floats_proto(*values):
    return b"\x08" + bytes([len(values)]) + b"\x10\x01" + field(9, np.array(values, np.float32).tobytes())


def wrapped(number, *elements):
    """A SequenceProto or OptionalProto: its name, what is within, and each element in field `number`."""
    return field(1, b"it") + bytes([2 << 3, number - 2]) + b"".join(field(number, e) for e in elements)


def lists_may_be_as_onnx_s_tests_have_them():
    kinds = {"l": "sequence(tensor(float32))", "m": "optional(tensor(float32))",
             "s": "optional(sequence(tensor(float32)))"}
    with open("net.json", "w", encoding="utf-8") as file:
        json.dump({"tenon": 1, "opset": 21, "inputs": [{"name": n, "type": k} for n, k in kinds.items()],
                   "outputs": ["a", "b", "c"],
                   "nodes": [{"op": "Identity", "inputs": [n], "outputs": [o]} for n, o in zip("lms", "abc")]}, file)
    one, two = floats_proto(1, 2), floats_proto(3)
    files = {"one": one, "two": two, "list": wrapped(3, one, two), "other": wrapped(3, one, floats_proto(4)),
             "none": field(1, b"it") + b"\x10\x00", "some": wrapped(3, two), "deep": wrapped(5, wrapped(3, two, one)),
             "maps": wrapped(6, b""), "sparse": wrapped(4, b""), "bad": wrapped(3, one, b"\xff\xff"),
             "both": wrapped(3, one) + field(5, wrapped(3)), "cut": wrapped(3, one)[:-1]}
    for name, content in files.items():
        with open(name + ".pb", "wb") as file:
            file.write(content)

    def run(l="none", m="none", s="none", *more):
        return tenon("run", "net.json", "-i", f"l={l}.pb", "-i", f"m={m}.pb", "-i", f"s={s}.pb", *more)
    expect(run("list", "some", "deep"), 0, "a  sequence of 2\n0: float32[2]\n[1 2]\n1: float32[1]\n[3]\n",
           "b  optional with float32[1]\n[3]\n", "c  optional with sequence of 2\n0: float32[1]\n[3]\n")
    expect(run(), 0, "a  sequence of 0\n", "b  optional, empty\n", "c  optional, empty\n")
    expect(run("one", "one", "two"), 0, "a  sequence of 1\n", "b  optional with float32[2]\n",
           "c  optional with sequence of 1\n0: float32[1]\n[3]\n")  # tensors are elements
    expect(run("one", "none", "none", "-i", "l=two.pb"), 0, "a  sequence of 2\n")
    expect(run("list", "some", "deep", "--expect", "a=list.pb", "--expect", "b=some.pb", "--expect", "c=deep.pb"), 0,
           "'a[1]' agrees with list.pb: 1 values", "'b[0]' agrees", "'c[0][1]' agrees with deep.pb: 2 values")
    expect(run("list", "none", "none", "--expect", "a=other.pb", "--expect", "b=none.pb"), 5,
           "'a[1]' differs from other.pb: 1 of 1 values, the most at element 0: 3, expected 4",
           "'b' agrees with none.pb: optional, empty")
    expect(run("list", "none", "none", "--expect", "a=some.pb"), 5,
           "'a' differs from some.pb: sequence of 2, expected sequence of 1")
    expect(run("list", "none", "none", "--expect", "a=one.pb"), 1,
           "one.pb is float32[2], which output 'a', sequence of 2, cannot be held against")
    refusals = {"maps": "maps are not supported", "sparse": "sparse tensors are not supported",
                "deep": "its elements are of another kind than the model's",
                "bad": "element 1 holds no TensorProto: "}
    for name, message in refusals.items():
        expect(run(name), 1, f"{name}.pb holds no SequenceProto: {message}")
    expect(run("none", "deep"), 1, "deep.pb holds no OptionalProto: its elements are of another kind than the model's")
    for name in ("both", "cut"):  # no sequence at all, so perhaps an element
        expect(run(name), 1, f"{name}.pb holds no TensorProto: ")
    expect(run("list", "none", "none", "-i", "l=one.pb"), 1, "list.pb holds all of input 'l', which is given 2 files")
    expect(run("none", "list"), 1, "list.pb holds no OptionalProto: ")
    expect(tenon("run", identity("float32", [2]), "-i", "list.pb"), 1, "list.pb holds no TensorProto: ")


def expected_texts_and_complex_numbers_are_compared():
    for name, last in (("a.pb", b"\x32\x02hi"), ("b.pb", b"\x32\x02ho")):
        with open(name, "wb") as file:
            file.write(b"\x08\x02\x10\x08" + b"\x32\x00" + last)
    net = identity("string", [2])
    expect(tenon("run", net, "-i", "a.pb", "--expect", "a.pb"), 0, "'y' agrees with a.pb: 2 texts")
    expect(tenon("run", net, "-i", "a.pb", "--expect", "b.pb"), 5, "'y' differs from b.pb at element 1: 'hi', expected 'ho'")
    np.save("x.npy", np.array([1 + 2j], np.complex64))
    np.save("y.npy", np.array([1 + 3j], np.complex64))
    net = identity("complex64", [1])
    expect(tenon("run", net, "-i", "x.npy", "--expect", "x.npy"), 0, "'y' agrees")
    expect(tenon("run", net, "-i", "x.npy", "--expect", "y.npy"), 5, "1 of 2 values, the most at element 1: 2, expected 3")


def bfloat16_may_stand_as_uint16_in_onnx_s_data():
    with open("x.pb", "wb") as file:  # numpy had no bfloat16 when it was written
        file.write(b"\x08\x01\x10\x04" + field(9, b"\xc0\x3f"))
    expect(tenon("run", identity("bfloat16", [1]), "-i", "x.pb"), 0, "y  bfloat16[1]\n[1.5]")


def convert_keeps_answers():
    np.save("x.npy", TRUTH_TABLE)
    for options in ((), ("--optimized",)):
        expect(tenon("convert", XNOR, "copy.json", *options), 0)
        assert saved("copy.json", "-i", "x.npy").ravel().tolist() == [1, 0, 0, 1]
    expect(tenon("convert", FASHION, "small.json", "--optimized"), 0)
    assert os.path.exists("small.safetensors")
    expect(tenon("check", "small.json"), 0)
    expect(tenon("convert", XNOR, "copy.nonesuch"), 1, "nonesuch")


# ---- optimize --------------------------------------------------------------------------------

WRONG = ("--plugin", os.path.join(BUILD, "tests", "plugins", "wrong_pass.so"))


def optimize_writes_a_smaller_graph_with_the_same_answers():
    np.save("x.npy", np.random.default_rng(3).standard_normal((2, 1, 28, 28)).astype(np.float32))
    before = saved(FASHION, "-i", "x.npy", "--passes", "none")
    expect(tenon("optimize", FASHION, "small.json"), 0, "small.json: 17 nodes before, 13 after\n")
    after = saved("small.json", "-i", "x.npy", "--passes", "none")
    assert np.abs(before - after).max() < 1e-6
    expect(tenon("optimize", FASHION, "same.json", "--passes", "none"), 0, "17 nodes before, 17 after")
    assert (saved("same.json", "-i", "x.npy", "--passes", "none") == before).all()
    nodes = {n["name"]: n for n in json.load(open("small.json"))["nodes"]}
    assert nodes["conv1"]["trace"] == ["conv1", "bn1"] and "trace" not in nodes["relu1"]
    expect(tenon("inspect", "small.json", "--passes"), 0, "conv1 (Conv) comes from conv1 bn1\n")
    expect(tenon("optimize", "small.json", "again.json"), 0, "13 nodes before, 13 after")
    assert json.load(open("again.json"))["nodes"][0]["trace"] == ["conv1", "bn1"]
    expect(tenon("optimize", FASHION, "small.onnx"), 0, "17 nodes before, 13 after")
    expect(tenon("optimize", "small.onnx", "again.json", "--explain"), 0, "conv2 (Conv) comes from conv2 bn2\n")
    assert {n["name"]: n for n in json.load(open("again.json"))["nodes"]}["conv2"]["trace"] == ["conv2", "bn2"]


def optimize_explains_itself():
    shared = graph(inputs=[("x", "float32", [1, 1, 4, 4])], outputs=["y", "conv.y"], nodes=[
        {"name": "conv3", "op": "Conv", "inputs": ["x", "w"], "outputs": ["conv.y"]},
        {"name": "bn3", "op": "BatchNormalization", "inputs": ["conv.y", "s", "b", "m", "v"], "outputs": ["y"]},
        {"name": "lost", "op": "Neg", "inputs": ["x"], "outputs": ["z"]}],
        constants={"w": {"dtype": "float32", "shape": [1, 1, 1, 1], "data": [2]}}
        | {k: {"dtype": "float32", "shape": [1], "data": [1]} for k in "sbmv"})
    text = expect(tenon("optimize", shared, "o.json", "--explain", "--dump-after=remove_dead"), 0,
                  "* lost (Neg) removed", "conv3: BatchNormalization not folded", "3 -> 2 ", " ms\n",
                  "after remove_dead:\n", "= BatchNormalization bn3(").out
    assert "Neg lost" not in text
    expect(tenon("inspect", shared, "--explain"), 0, "* lost (Neg) removed")
    expect(tenon("optimize", shared, "o.json", "--dump-after=remove_ded"), 1,
           "no pass is called 'remove_ded'; did you mean 'remove_dead'?")
    expect(tenon("optimize", shared, "o.json", "--passes", "saef"), 2, "did you mean 'safe'?")


def verify_names_a_wrong_pass_and_node():
    net = graph(inputs=[("x", "float32", ["N", 5])], nodes=[
        {"name": "a", "op": "Abs", "inputs": ["x"], "outputs": ["va"]},
        {"name": "r1", "op": "Relu", "inputs": ["va"], "outputs": ["v1"]},
        {"name": "r2", "op": "Relu", "inputs": ["x"], "outputs": ["v2"]},
        {"name": "g", "op": "Gelu", "inputs": ["v1"], "outputs": ["v3"]},
        {"name": "s", "op": "Add", "inputs": ["v3", "v2"], "outputs": ["y"]}])
    words = ("optimize", net, "o.json", *WRONG, "--verify")
    expect(tenon(*words, "--passes", "none,+abs_for_relu"), 5,
           "pass 'abs_for_relu' changes the answers, first at node 'r2': output 'y': element")
    expect(tenon(*words, "--passes", "none,+gelu_by_tanh"), 5,
           "pass 'gelu_by_tanh' changes the answers, first at node 'g': output 'y'", "apart may they lie")
    assert not os.path.exists("o.json")
    expect(tenon(*words, "--passes", "none,+gelu_loosely"), 0, "5 after, verified")
    expect(tenon("optimize", net, "o.json", *WRONG, "--passes", "none,+abs_for_relu"), 0, "5 after\n")
    expect(tenon("optimize", FASHION, "o.json", "--verify=2", "--shape", "N=2", "--explain"), 0, "13 after, verified", "verified\n")
    expect(tenon("optimize", FASHION, "o.json", "--verify=two"), 2, "--verify is 'two', expected a whole number")
    expect(tenon("optimize", FASHION, "o.json", "--shape", "N=2"), 2, "--shape is for --verify")
    expect(tenon("optimize", identity("float32", None), "o.json", "--verify"), 0,
           "nothing was verified: input 'x' declares no shape: give it, as in 'x=1x3'", "nothing to verify")
    expect(tenon("optimize", identity("float32", None), "o.json", "--verify", "--shape", "x=2,3"), 0, "verified")


def verify_looks_into_bodies_and_at_what_they_read():
    def net(outside, inside):
        def branch(name, op):
            return {"graph": {"inputs": [], "outputs": [name], "nodes": [
                {"name": "n" + name, "op": op, "inputs": ["v"], "outputs": [name]}]}}
        return graph(inputs=[("x", "float32", ["N", 5]), ("c", "bool", [])], nodes=[
            {"name": "before", "op": "Sin", "inputs": ["x"], "outputs": ["s"]},
            {"name": "r", "op": outside, "inputs": ["s"], "outputs": ["v"]},
            {"name": "if", "op": "If", "inputs": ["c"], "outputs": ["w"],
             "attributes": {"then_branch": branch("t", inside), "else_branch": branch("e", "Neg")}},
            {"name": "after", "op": "Cos", "inputs": ["w"], "outputs": ["y"]}])
    words = ("o.json", *WRONG, "--verify", "--passes", "none,+abs_for_relu")
    expect(tenon("optimize", net("Relu", "Exp"), *words), 5, "first at node 'r': output 'y': element")
    expect(tenon("optimize", net("Neg", "Relu"), *words), 5, "first at node 'nt': output 'y': element")
    expect(tenon("optimize", net("Abs", "Relu"), *words), 0, "6 nodes before, 6 after, verified")
    expect(tenon("optimize", net("Abs", "Exp"), *words), 0, "nothing to verify")


def verify_runs_a_billion_products_on_fast_backends_and_lets_the_reference_decide():
    """1000 x 1024 x 1000 multiply-adds: what is equal is so at once, what is not is told by the reference."""
    def net(*behind):
        constants = {"w": {"dtype": "float32", "shape": [1024, 1000], "random": {"distribution": "normal", "std": 0.05, "seed": 1}},
                     "b": {"dtype": "float32", "shape": [1000], "random": {"distribution": "normal", "seed": 2}}}
        return graph(inputs=[("x", "float32", [1000, 1024])], constants=constants, nodes=[
            {"name": "p", "op": "MatMul", "inputs": ["x", "w"], "outputs": ["p"]},
            {"name": "n", "op": behind[0], "inputs": ["p", *behind[1:]], "outputs": ["y"]}])
    expect(tenon("optimize", net("Add", "b"), "o.json", "--verify"), 0, "2 nodes before, 1 after, verified")
    expect(tenon("optimize", net("Relu"), "o.json", *WRONG, "--passes", "none,+abs_for_relu", "--verify=1"), 5,
           "pass 'abs_for_relu' changes the answers, first at node 'n': output 'y': element")


def vision_transformer(blocks=2, width=8, heads=2, classes=5):
    """As exporters write one: patches by a Conv, a class token, LayerNormalization, attention and Gelu written out."""
    nodes, constants = [], {}

    def value(shape, data=None, dtype="float32"):
        name = f"c{len(constants)}"
        constants[name] = {"dtype": dtype, "shape": shape} | (
            {"random": {"distribution": "normal", "std": 0.3, "seed": len(constants)}} if data is None else {"data": data})
        return name

    def node(op, *inputs, **attributes):
        nodes.append({"name": f"n{len(nodes)}", "op": op, "inputs": list(inputs), "outputs": [f"v{len(nodes)}"], "attributes": attributes})
        return nodes[-1]["outputs"][0]

    def linear(x, to, of=width):
        return node("Add", node("MatMul", x, value([of, to])), value([to]))

    def norm(x):
        d = node("Sub", x, node("ReduceMean", x, value([1], [-1], "int64")))
        variance = node("ReduceMean", node("Pow", d, value([], [2])), value([1], [-1], "int64"))
        d = node("Div", d, node("Sqrt", node("Add", variance, value([], [1e-6]))))
        return node("Add", node("Mul", d, value([width])), value([width]))

    def gelu(x):
        e = node("Add", node("Erf", node("Div", x, value([], [1.4142135381698608]))), value([], [1]))
        return node("Mul", node("Mul", x, e), value([], [0.5]))

    def attention(x):
        qkv = node("Reshape", linear(x, 3 * width), value([5], [0, -1, 3, heads, width // heads], "int64"))
        qkv = node("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (node("Gather", qkv, value([], [i], "int64"), axis=0) for i in range(3))
        scores = node("Mul", node("MatMul", q, node("Transpose", k, perm=[0, 1, 3, 2])), value([], [(width // heads) ** -0.5]))
        mixed = node("Transpose", node("MatMul", node("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return linear(node("Reshape", mixed, value([3], [0, -1, width], "int64")), width)

    patches = node("Conv", "x", value([width, 3, 4, 4]), value([width]), kernel_shape=[4, 4], strides=[4, 4])
    patches = node("Transpose", node("Reshape", patches, value([3], [0, width, -1], "int64")), perm=[0, 2, 1])
    token = node("Expand", value([1, 1, width]), node("Concat", node("Shape", "x", end=1), value([2], [1, 1], "int64"), axis=0))
    x = node("Add", node("Concat", token, patches, axis=1), value([1, 10, width]))
    for _ in range(blocks):
        x = node("Add", x, attention(norm(x)))
        x = node("Add", x, linear(gelu(linear(norm(x), 4 * width)), width, 4 * width))
    y = linear(node("Gather", norm(x), value([], [0], "int64"), axis=1), classes)
    return graph("vit.json", [("x", "float32", ["N", 3, 12, 12])], nodes, [y], constants=constants)


def verify_looks_at_each_sweep_over_a_vision_transformer():
    text = expect(tenon("optimize", vision_transformer(), "o.json", "--fused", "--passes", "all,-merge_matmuls", "--verify",
                        "--explain"), 0, "verified\n").out
    assert "nothing was verified" not in text
    left = [n["op"] for n in json.load(open("o.json"))["nodes"]]
    assert left.count("LayerNormalization") == 5 and left.count("Attention") == 2 and left.count("Gelu") == 2
    assert not {"Erf", "Softmax", "Sqrt", "ReduceMean"} & set(left)


def optimize_writes_for_an_older_set():
    np.save("x.npy", np.random.default_rng(3).standard_normal((2, 1, 28, 28)).astype(np.float32))
    before = saved(FASHION, "-i", "x.npy", "--passes", "none")
    for suffix in ("onnx", "json"):
        expect(tenon("optimize", FASHION, "old." + suffix, "--opset", 13), 0, "17 nodes before, 13 after")
        assert np.abs(before - saved("old." + suffix, "-i", "x.npy", "--passes", "none")).max() < 1e-6
    assert json.load(open("old.json"))["opset"] == 13

    def one(op, dtype, count=1, **attributes):
        return graph(inputs=[(name, dtype if name == "x" else "int64", [4]) for name in "xs"[:count]], nodes=[
            {"name": "n", "op": op, "inputs": list("xs"[:count]), "outputs": ["y"], "attributes": attributes}])

    def optimize(net, opset, *words):
        return tenon("optimize", net, "old.onnx", "--passes", "none", "--opset", opset, *words)
    expect(optimize(one("Gelu", "float32"), 20), 0)
    expect(optimize(one("Gelu", "float32"), 19), 1, "node 'n' (Gelu) has no equal form in set 19: the lowest for all nodes is 20")
    expect(optimize(one("Relu", "float32"), 6), 0)
    expect(optimize(one("Relu", "bfloat16"), 13), 0)
    expect(optimize(one("Relu", "bfloat16"), 12), 1, "node 'n' (Relu) has no equal form in set 12: the type of input 0 came later")
    expect(optimize(one("Shape", "float32", start=1), 15), 0)
    expect(optimize(one("Shape", "float32", start=1), 14), 1, "node 'n' (Shape) has no equal form in set 14: attribute start came later")
    expect(optimize(one("Shape", "float32", start=0), 14), 0)
    expect(optimize(one("Relu", "float32"), 28), 1, "set 28 is not held: the newest is 27")
    expect(optimize(one("Relu", "float32"), "new"), 2, "--opset is 'new', expected the number of an operator set")


def operators_document_is_what_the_command_prints():
    if tenon("plugins", "--open").out.splitlines()[-1] != "default backends: native,onednn,openblas,reference":
        return # a build without a library has fewer kernels
    with open(os.path.join(SOURCE, "docs", "operators.md"), encoding="utf-8") as file:
        kept = [line for line in file.read().splitlines() if line.startswith("|")]
    made = tenon("inspect", "--ops").out.splitlines()
    assert kept == made, "run tools/operators-doc BUILD >docs/operators.md; first difference: %s" % [
        pair for pair in zip(kept, made) if pair[0] != pair[1]][:1]


def hostile_names_do_not_drive_the_terminal():
    graph(inputs=[("x", "float32", [1])], outputs=["\x1b[2Jy"],
          nodes=[{"op": "Neg", "name": "\x1b[31m", "inputs": ["x"], "outputs": ["\x1b[2Jy"]}])
    for words in (("run", "net.json", "--random"), ("inspect", "net.json"), ("inspect", "net.json", "--plan"),
                  ("inspect", "net.json", "--graph"), ("compare", "net.json", "--seconds", "0.01"), ("check", "net.json"),
                  ("bench", "net.json", "--runs", "1", "--profile")):
        result = tenon(*words)
        assert "\x1b" not in result.out + result.err, words


def a_full_disk_is_noticed():
    import subprocess
    from harness import TENON
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = subprocess.run([TENON, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 4 and "could not be written" in process.stderr


TESTS = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == "__main__"
         and name not in ("graph", "identity", "saved", "classifier", "field", "floats_proto", "wrapped",
                          "vision_transformer")]

if __name__ == "__main__":
    sys.exit(0 if run_all(TESTS) else 1)
