"""Table, plot and raw figures of bench/compare.py."""
import datetime
import json
import pathlib
import statistics
from html import escape


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def rate_text(cell, seconds):
    return spread([cell["batch"] / s for s in seconds], 1)


def peak(entry):
    """Peak bytes of a cell or a baseline; the name of before there were GPUs is understood."""
    return entry["peak_bytes"] if "peak_bytes" in entry else entry["peak_rss_bytes"]


def title(cell):
    return f"{cell['net']}, batch {cell['batch']}, {cell['precision']}"


def summary(cell):
    """A few lines about one cell."""
    lines = [f"{title(cell)}: daybreak {rate_text(cell, cell['seconds_per_step'])} img/s, "
             f"{peak(cell) / 1e6:.0f} MB"]
    for base in cell["baselines"]:
        ratio = f"ratio {spread(base['ratios'], 2)}" if "ratios" in base else "no ratio: the work differs"
        lines.append(f"  {base['label']}: {rate_text(cell, base['seconds_per_step'])} img/s, {ratio}; memory "
                     f"{peak(cell) / peak(base):.2f} of {peak(base) / 1e6:.0f} MB; "
                     f"losses within {base['losses_differ']:.1g}")
    lines += [f"  VOID: {reason}" for reason in cell["void"]]
    return "\n".join(lines)


def table(data):
    machine, cells = data["machine"], data["cells"]
    lines = [f"# daybreak and PyTorch, {data['date']}", "",
             f"{machine['processor']}, {machine['threads']} threads for each program, {machine['memory_gb']} GB, Linux "
             f"{machine['linux']}; {data['daybreak']}; {cells[0]['backend']}.",
             "Made by `bench/compare.py`: full training steps of whole networks in alternating rounds of one run, "
             "median (min - max); a ratio above 1 means daybreak is faster. The first losses of both agree, or there "
             "is no ratio. Memory is " + ("what a program has taken of the GPU's" if machine.get("gpu") else
                                          "the peak resident size") + "; PyTorch's is the smallest of its modes.", "",
             "| network | batch | | daybreak img/s | PyTorch, its best mode | img/s | ratio | memory | losses within |",
             "|---|---|---|---|---|---|---|---|---|"]
    for cell in cells:
        for base in cell["baselines"]:
            void = " **void**" if cell["void"] else ""
            ratio = f"**{statistics.median(base['ratios']):.2f}** ({min(base['ratios']):.2f} - " \
                    f"{max(base['ratios']):.2f}){void}" if "ratios" in base else "work differs"
            lines.append(
                f"| {cell['net']} | {cell['batch']} | {cell['precision']} | {rate_text(cell, cell['seconds_per_step'])} "
                f"| {base['label'].removeprefix('PyTorch ')} | {rate_text(cell, base['seconds_per_step'])} | {ratio} | "
                f"{peak(cell) / 1e6:.0f} / {peak(base) / 1e6:.0f} MB = {peak(cell) / peak(base):.2f} | {base['losses_differ']:.1g} |")
    speed = "products in f32, GFLOP/s" if machine.get("gpu") else "FMA GFLOP/s, 1 and all threads"
    lines += ["", f"| run | {speed}, before / after | bf16 | memory GB/s | cold seconds, daybreak "
              "and PyTorch (compiled) | other processes, steal |", "|---|---|---|---|---|---|"]
    lines += [machine_row(cell) for cell in cells]
    reasons = [f"* {title(cell)} is void: {'; '.join(cell['void'])}" for cell in cells if cell["void"]]
    return "\n".join(lines + ([""] + reasons if reasons else [])) + "\n"


def machine_row(cell):
    before, after = cell["ceilings"]

    def both(name, digits):
        return f"{before[-1][name]:.{digits}f} / {after[-1][name]:.{digits}f}"

    cold = ", ".join(f"{b['cold_seconds']:.1f}" + (f" ({b['compile_cold_seconds']:.0f})"
                                                   if b["compile_cold_seconds"] else "") for b in cell["baselines"])
    fma = f"{before[0]['fma_gflops']:.0f}, {before[-1]['fma_gflops']:.0f} / {after[0]['fma_gflops']:.0f}, " \
          f"{after[-1]['fma_gflops']:.0f}"
    return f"| {title(cell)} | {fma} | {both('bf16_gflops', 0)} | {both('bandwidth_gbytes', 1)} | " \
           f"{cell['cold_seconds']:.1f}; {cold} | {cell['watch']['foreign']:.1%}, {cell['watch']['steal']:.1%} |"


def plot(data):
    """Bars of the ratios with whiskers from the smallest to the largest, as SVG."""
    bars = [(title(cell), base["version"], base["ratios"]) for cell in data["cells"] for base in cell["baselines"]
            if "ratios" in base and not cell["void"]]
    left, width, row, top = 350, 420, 26, 56
    most = max([1.5] + [max(ratios) for _, _, ratios in bars]) * 1.05
    height = top + row * len(bars) + 30

    def x(ratio):
        return left + width * ratio / most

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
             '<text x="10" y="20" font-size="14">Training speed over PyTorch in its best mode (higher is better)</text>',
             f'<text x="10" y="38" fill="#555">{escape(data["machine"].get("gpu") or data["machine"]["processor"])}, '
             f'{data["machine"]["threads"]} threads, {data["date"]}</text>']
    for i, (name, version, ratios) in enumerate(bars):
        y, median = top + row * i, statistics.median(ratios)
        parts += [f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(name)} '
                  f'<tspan fill="#777">{escape(version)}</tspan></text>',
                  f'<rect x="{left}" y="{y + 3}" width="{x(median) - left:.1f}" height="16" fill="#4477aa"/>',
                  f'<path d="M{x(min(ratios)):.1f} {y + 11}H{x(max(ratios)):.1f}" stroke="black" stroke-width="1.5"/>',
                  f'<text x="{x(max(ratios)) + 5:.1f}" y="{y + 15}">{median:.2f}</text>']
    parts += [f'<path d="M{x(1):.1f} {top - 6}V{height - 24}" stroke="#cc3311" stroke-dasharray="4 3"/>',
              f'<text x="{x(1):.1f}" y="{height - 10}" text-anchor="middle" fill="#cc3311">1: equal</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def shorter(value):
    """Numbers with six digits: the files are read by people too."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: shorter(item) for key, item in value.items()}
    return [shorter(item) for item in value] if isinstance(value, list) else value


class Store:
    """DATE-NAME.json of a folder; a cell measured again replaces what was there."""

    def __init__(self, folder, name, machine, daybreak):
        self.stem = pathlib.Path(folder) / f"{datetime.date.today()}-{name}"
        self.data = {"date": str(datetime.date.today()), "machine": machine, "daybreak": daybreak, "cells": []}
        if self.file(".json").exists():
            stored = json.loads(self.file(".json").read_text(encoding="utf-8"))
            if stored["machine"] == machine:
                self.data["cells"] = stored["cells"]

    def file(self, suffix):
        return self.stem.with_name(self.stem.name + suffix)

    def add(self, cell):
        """Writes all files at once: a long run that is stopped keeps what it has measured."""
        def key(c):
            return c["net"], c["precision"], c["batch"]

        self.data["cells"] = [c for c in self.data["cells"] if key(c) != key(cell)] + [cell]
        self.data["cells"].sort(key=key)
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        self.file(".json").write_text(json.dumps(shorter(self.data)) + "\n", encoding="utf-8")
        self.file(".md").write_text(table(self.data), encoding="utf-8")
        self.file(".svg").write_text(plot(self.data), encoding="utf-8")

    def files(self):
        return [str(self.file(suffix)) for suffix in (".json", ".md", ".svg")]
