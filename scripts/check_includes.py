#!/usr/bin/env python3
"""Proves the layering of src/: a folder includes only the folders it may, and third-party headers
stay inside the folders that own them. Prints every violation and exits 1 when there is one."""
import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"

# Folder: other folders it may include.
MAY = {
    "core": [],
    "io": ["core"],
    "config": ["core"],
    "ops": ["core"],
    "graph": ["core", "ops"],
    "layers": ["core", "config", "ops", "graph"],
    "backend": ["core", "ops"],
    "plan": ["core", "io", "ops", "graph", "backend"],
    "data": ["core", "io", "config"],
    "detect": ["core", "ops", "graph"],
    "report": ["core", "io", "data", "config", "detect"],
    "interop": ["core", "io", "config", "ops", "graph", "layers", "plan"],
    "train": ["core", "io", "config", "ops", "graph", "layers", "backend", "plan", "data", "detect", "report"],
    "cli": ["core", "io", "config", "ops", "graph", "layers", "backend", "plan", "data", "detect", "report", "interop", "train"],
}

# Third-party header prefix: places that may include it.
OWNERS = {
    "yaml-cpp/": ["config"],
    "dnnl": ["backend/cpu", "ops"],
    "opencv2/": ["data", "report", "detect/draw.cpp"],
    "pugixml": ["data"],
    "turbojpeg": ["data"],
    "png.h": ["data", "report"],
    "zlib.h": ["data", "report"],
    "CLI/": ["cli"],
    "nlohmann/": ["io", "config", "data", "report", "plan", "cli", "train"],
    "google/protobuf": ["io"],
    "cuda": ["backend/cuda", "ops"],
    "cudnn": ["backend/cuda", "ops"],
    "cublas": ["backend/cuda", "ops"],
}


def violations(path):
    relative = path.relative_to(SRC).as_posix()
    folder = relative.split("/")[0]
    kernel = re.search(r"_(ref|cpu|cuda)\.(cpp|cu|h|cuh)$", relative)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if not match:
            continue
        bracket, name = match.groups()
        first = name.split("/")[0]
        if bracket == '"' and first in MAY and first != folder:
            allowed = MAY[folder] + (["backend"] if folder == "ops" and kernel else [])
            if first not in allowed:
                yield f"{relative}:{number}: {folder} must not include {name}"
            if folder == "plan" and first == "backend" and name != "backend/backend.h":
                yield f"{relative}:{number}: plan sees backend/backend.h only, not {name}"
        for prefix, owners in OWNERS.items():
            if bracket == "<" and name.startswith(prefix):
                if not any(relative == owner or relative.startswith(owner + "/") for owner in owners):
                    yield f"{relative}:{number}: {name} belongs to {', '.join(owners)}"
                elif folder == "ops" and not kernel:
                    yield f"{relative}:{number}: only kernels in ops may include {name}"


def main():
    files = sorted(p for p in SRC.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh"))
    found = [v for path in files for v in violations(path)]
    print("\n".join(found) if found else f"includes: {len(files)} files in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
