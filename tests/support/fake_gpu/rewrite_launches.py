#!/usr/bin/env python3
"""rewrite_launches.py IN OUT: CUDA's kernel<<<shape>>>(arguments) as a call that a C++ compiler reads, see emulate.h."""
import pathlib
import re
import sys

PAIRS = {"(": ")", "{": "}", "[": "]"}


def kernel_begin(text, end):
    """Where the kernel's name, with its template arguments, begins that ends at `end`."""
    at = end
    if text[at - 1] == ">":
        depth = 0
        while True:
            at -= 1
            depth += {">": 1, "<": -1}.get(text[at], 0)
            if depth == 0:
                break
    return at - len(re.search(r"\w+$", text[:at])[0])


def closing(text, begin):
    """Where the bracket at `begin` is closed."""
    open_brackets = []
    for at in range(begin, len(text)):
        if text[at] in PAIRS:
            open_brackets.append(PAIRS[text[at]])
        elif open_brackets and text[at] == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return at
    sys.exit("a bracket is never closed")


def rewritten(text):
    parts, done = [], 0
    for launch in re.finditer(r"\s*<<<(.*?)>>>\s*(?=\()", text, re.DOTALL):
        begin, end = kernel_begin(text, launch.start()), closing(text, launch.end())
        kernel, arguments = text[begin:launch.start()], text[launch.end() + 1:end].strip()
        parts += [text[done:begin], "::daybreak::emulate::launch(", launch[1], ", [](auto... emulated) { ", kernel,
                  "(emulated...); }", ", " if arguments else "", arguments, ")"]
        done = end + 1
    return "".join(parts) + text[done:]


source, target = map(pathlib.Path, sys.argv[1:])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(f'#line 1 "{source}"\n' + rewritten(source.read_text()))
