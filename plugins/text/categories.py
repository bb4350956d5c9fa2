#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes Unicode's general categories as a table for categories.c, when building.

    categories.py OUT

The data is that of Python's unicodedata, which every machine that runs Meson has: no library to look for, and
no table of a thousand lines to keep. An entry is where a run of one category begins, its code times 32, and
the category's number; what is not assigned (Cn) has a number of its own behind the others.
"""
import sys
import unicodedata

NAMES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()


def runs():
    before = None
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category != before:
            yield code << 5 | NAMES.index(category)
            before = category


with open(sys.argv[1], "w", encoding="ascii") as out:
    print(f"/* Unicode {unicodedata.unidata_version}; made by categories.py */", file=out)
    print("static const char names[][3] = {", *(f'"{name}",' for name in NAMES[:-1]), "};", file=out)
    print("static const uint32_t begins[] = {", *(f"{run}u," for run in runs()), "};", sep="\n", file=out)
