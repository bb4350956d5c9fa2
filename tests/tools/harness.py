# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, small files to feed it, TAP lines."""
import os
import struct
import subprocess
import sys
import tempfile
import traceback
import zlib

import numpy as np

BUILD = os.path.abspath(sys.argv[1])
GRAPHS = os.environ["GRAPHS"]
SOURCE = os.environ["SOURCE"]
TENON = os.path.join(BUILD, "tools", "tenon")


class Result:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}\n{self.err}"


def tenon(*words, **environment):
    """Runs the command with an environment of its own making, in a folder that has nothing."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TENON_", "GOMP_", "OMP_"))}
    env.update(environment)
    return Result(subprocess.run([TENON, *map(str, words)], env=env, capture_output=True, text=True,
                                 errors="replace", timeout=120, stdin=subprocess.DEVNULL))


def expect(result, code, *texts):
    """The exit code, and texts that stand in the output or, for errors, among the complaints."""
    assert result.code == code, f"expected exit code {code}, got {result}"
    for text in texts:
        assert text in result.out + result.err, f"expected {text!r} in {result}"
    return result


def png(path, pixels):
    """Writes grey [h, w], colour [h, w, 3] or colour with alpha [h, w, 4] bytes."""
    pixels = np.asarray(pixels, np.uint8)
    kind = 0 if pixels.ndim == 2 else {3: 2, 4: 6}[pixels.shape[2]]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, kind, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def grey_jpeg(path, rows, columns, level):
    """A baseline JPEG of one grey: every block is its mean alone, so that it is written in a few lines."""
    def segment(marker, data):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data

    # One code each: DC difference sizes 0 to 11 as four bits; the only AC symbol, "end of block", as 0.
    dc = bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))
    ac = bytes([1] + [0] * 15) + b"\0"
    blocks = -(-rows // 8) * -(-columns // 8)
    mean = (level - 128) * 8  # with a quantizer of 1
    size = abs(mean).bit_length()
    bits = format(size, "04b") + (format(mean if mean > 0 else mean + (1 << size) - 1, f"0{size}b") if size else "") + "0"
    bits += (format(0, "04b") + "0") * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    with open(path, "wb") as file:
        file.write(b"\xff\xd8" + segment(0xdb, b"\0" + b"\1" * 64)
                   + segment(0xc0, struct.pack(">BHHB", 8, rows, columns, 1) + b"\1\x11\0")
                   + segment(0xc4, b"\0" + dc) + segment(0xc4, b"\x10" + ac)
                   + segment(0xda, b"\1\1\0\0\x3f\0") + data + b"\xff\xd9")
    return path


def idx(path, array):
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    array = np.asarray(array)
    with open(path, "wb") as file:
        file.write(struct.pack(">HBB", 0, codes[array.dtype.name], array.ndim))
        file.write(struct.pack(f">{array.ndim}I", *array.shape))
        file.write(array.astype(array.dtype.newbyteorder(">")).tobytes())
    return path


def run_all(tests):
    """Each test gets a folder of its own; answers whether all passed."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                test()
                print(f"ok {number} - {name}", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {number} - {name}", flush=True)
                for line in traceback.format_exc().splitlines():
                    print("#", line, flush=True)
            os.chdir("/")
    return failed == 0
