"""The table of bench/gpu_table.py: its file of records, what each row must reach, verdicts, Markdown. Pure: no torch.

A record is {"row": "a" ... "f", "variant": "bf16", "values": {...} or "failed": "why", "whole": all was measured,
"commands": [...], "notes": [...], "seconds": of the measurement, "time": when}.
"""
import json
import math
import os
import pathlib
import statistics
import time
from collections import namedtuple

# higher: whether a larger value is better. unit: of the value that is judged.
Row = namedtuple("Row", "title must aim higher unit")
ROWS = {
    "a": Row("seed network, training images/s vs PyTorch compiled", 1.0, 1.4, True, "x"),
    "b": Row("seed network, one-cycle, seconds vs compiled, accuracy within 0.3", 1.0, 0.7, False, "x"),
    "c": Row("airbench94, seconds of the whole process vs eager", 0.6, 0.3, False, "x"),
    "d": Row("ResNet-50 at 224, resident data, images/s vs compiled", 1.0, 1.4, True, "x"),
    "e": Row("memory, seed network, vs PyTorch AMP", 0.7, 0.45, False, "x"),
    "f": Row("host CPU while training, of a core", 20, 2, False, " %"),
}
MOST_APART = 0.3  # of accuracies, in points
# What a record shows. value: what is judged. problems leave the question open, whatever the value; faults miss the row.
Cells = namedtuple("Cells", "ours theirs ratio value problems faults", defaults=("", "", None, (), ()))


class Store:
    """The file of records. A record replaces what was there of its row and variant, and a failure without a variant; but
    a failure replaces no result."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def read(self):
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {"about": {}, "records": []}

    def put(self, record):
        record, data = dict(record, time=time.time()), self.read()
        mine = [r for r in data["records"] if r["row"] == record["row"] and r["variant"] in (record["variant"], "")]
        good = [r for r in mine if "values" in r]
        if "failed" in record and good:
            record = dict(good[0], notes=good[0].get("notes", []) + [f"a run failed: {record['failed']}"])
        data["records"] = sorted([r for r in data["records"] if r not in mine] + [record],
                                 key=lambda r: (r["row"], r["variant"]))
        self.write(data)

    def fail(self, row, reason, since):
        """A measurement of a row has ended early: its records that are not whole, or older than `since`, say why."""
        records = [r for r in self.read()["records"] if r["row"] == row]
        for record in records or [{"variant": ""}]:
            if not record.get("whole") or record["time"] < since:
                self.put({"row": row, "variant": record["variant"], "failed": reason})

    def about(self, **facts):
        """What the records are of. Those of another device go into a file beside this one: no table mixes two."""
        data = self.read()
        if data["records"] and any(data["about"].get(key) != facts.get(key) for key in ("device", "dry")):
            os.replace(self.path, self.path.with_suffix(".other.json"))
            data = self.read()
        data["about"].update(facts)
        self.write(data)

    def write(self, data):
        """Replaces the file whole: a run that is killed leaves the records it had."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        os.replace(unfinished, self.path)


def judge(row, value, problems=(), faults=()):
    """What a row's value is worth."""
    if problems:
        return "**open**: " + "; ".join([*problems, *faults])
    if faults:
        return "**missed**: " + "; ".join(faults)
    kind = ROWS[row]
    for bound, text in ((kind.aim, "**aim reached**"), (kind.must, "**must reached**")):
        if value >= bound if kind.higher else value <= bound:
            return text
    return "**missed**"


def spread(values, digits, scale=1.0):
    """Median, and range of several."""
    scaled = [v * scale for v in values]
    text = f"{statistics.median(scaled):,.{digits}f}"
    return text if len(scaled) < 2 else f"{text} ({min(scaled):,.{digits}f} - {max(scaled):,.{digits}f})"


def bound(row, value):
    return f"{value:g}{ROWS[row].unit}"


def ratios(ours, theirs):
    return [b / a for a, b in zip(ours, theirs)]


# ---- what each kind of row shows ------------------------------------------------------------------------------

def steps_cells(values):
    """Rows a and d: seconds of a step in alternating rounds."""
    batch, ours = values["batch"], values["daybreak"]
    modes = [mode for mode in ("compiled", "eager") if values.get(mode)]
    if not modes:
        return Cells(rate(batch, ours), problems=["no mode of PyTorch ran"])
    problems = [] if modes[0] == "compiled" else ["PyTorch compiled did not run"]
    if not values["equal_work"]:
        problems.append(f"first losses differ by {values['losses_differ']:.2g}")
    theirs = "<br>".join(f"{mode} {rate(batch, values[mode])}" for mode in modes)
    shown = "<br>".join(f"{mode} {spread(ratios(ours, values[mode]), 2)}" for mode in modes)
    return Cells(rate(batch, ours), theirs, shown, statistics.median(ratios(ours, values[modes[0]])), problems)


def rate(batch, seconds):
    return spread([batch / s for s in seconds], 0) + " img/s"


def memory_cells(values):
    theirs = {mode: values[mode] for mode in ("compiled", "eager") if values.get(mode)}
    ours = f"{values['daybreak'] / 2**20:,.0f} MiB"
    if not theirs:
        return Cells(ours, problems=["no mode of PyTorch ran"])
    least = min(theirs, key=theirs.get)
    shown = "<br>".join(f"{mode} {size / 2**20:,.0f} MiB" for mode, size in theirs.items())
    value = values["daybreak"] / theirs[least]
    return Cells(ours, shown, f"{value:.2f} of {least}", value)


def runs_text(runs, key):
    return f"{spread([run['accuracy'] for run in runs], 2, 100)} %, {spread([run[key] for run in runs], 1)} s"


def mean_accuracy(runs, key="accuracy"):
    return 100 * statistics.fmean(run[key] for run in runs)


def same_recipe(values):
    """Why two trainings are not the same; nothing when they are."""
    return [] if values["curve_differs"] < 1e-4 else [f"rates differ by {values['curve_differs']:.2g}"]


def cycle_cells(values):
    """Row b: the training alone decides; whole processes are shown beside it."""
    ours, theirs = values["daybreak"], values.get("torch", [])
    shown = [f"{runs_text(runs, 'seconds')}<br>process {spread([r['whole_seconds'] for r in runs], 1)} s"
             for runs in (ours, theirs) if runs]
    if not theirs:
        return Cells(shown[0], problems=["PyTorch did not run"])
    value = statistics.median(r["seconds"] for r in ours) / statistics.median(r["seconds"] for r in theirs)
    whole = statistics.median(r["whole_seconds"] for r in ours) / statistics.median(r["whole_seconds"] for r in theirs)
    problems = same_recipe(values)
    if values["mode"] != "compiled":
        problems.append("PyTorch compiled did not run, this is eager")
    apart = mean_accuracy(ours) - mean_accuracy(theirs)
    faults = [f"accuracies differ by {apart:+.2f}"] if abs(apart) > MOST_APART else []
    return Cells(shown[0], shown[1], f"{value:.2f}<br>process {whole:.2f}", value, problems, faults)


def process_cells(values):
    """Row c: whole processes, once with nothing tuned before, then with the choices of the first run."""
    first, cached, theirs = values.get("first", []), values.get("cached", []), values.get("torch", [])
    seconds = {name: [r["whole_seconds"] for r in runs] for name, runs in
               (("first", first), ("cached", cached), ("torch", theirs))}
    ours = "<br>".join(f"{name} {process_text(runs)}" for name, runs in (("first", first), ("cached", cached)) if runs)
    if not cached or not theirs:
        return Cells(ours, problems=["not both have run"])
    middle = {name: statistics.median(s) for name, s in seconds.items() if s}
    value = middle["cached"] / middle["torch"]
    shown = f"{value:.2f}" + (f"<br>first {middle['first'] / middle['torch']:.2f}" if first else "")
    apart = mean_accuracy(cached, "tta") - mean_accuracy(theirs, "tta")
    faults = [f"accuracy over views is lower by {-apart:.2f}"] if apart < -MOST_APART else []
    return Cells(ours, process_text(theirs), shown, value, same_recipe(values), faults)


def process_text(runs):
    return f"{spread([r['whole_seconds'] for r in runs], 1)} s, {mean_accuracy(runs):.2f} %, views {mean_accuracy(runs, 'tta'):.2f} %"


def host_cells(values):
    share = 100 * values["cpu_seconds"] / values["wall_seconds"]
    middle = 100 * statistics.median(values["windows"])
    return Cells(f"{share:.1f} %<br>median second {middle:.1f} %", value=share)


CELLS = {"a": steps_cells, "b": cycle_cells, "c": process_cells, "d": steps_cells, "e": memory_cells, "f": host_cells}


def steady(samples, epochs):
    """Row f's values: samples (time, CPU seconds of the process, epochs done) from the end of the first epoch to
    before the end of the last, or None when there are too few of them."""
    inside = [s for s in samples if 1 <= s[2] < epochs]
    if len(inside) < 2 or inside[-1][0] - inside[0][0] <= 0:
        return None
    windows, start = [], inside[0]
    for sample in inside[1:]:
        if sample[0] - start[0] >= 1 or sample is inside[-1]:
            windows.append((sample[1] - start[1]) / (sample[0] - start[0]))
            start = sample
    return {"cpu_seconds": inside[-1][1] - inside[0][1], "wall_seconds": inside[-1][0] - inside[0][0], "windows": windows}


def row_line(row, record, dry):
    kind = ROWS[row]
    title = kind.title + (f", {record['variant']}" if record and record["variant"] else "")
    ends = f"{bound(row, kind.must)} | {bound(row, kind.aim)}"
    if record is None:
        return f"| {row} | {title} | | | | {ends} | not measured |"
    if "failed" in record:
        reason = " ".join(record["failed"].replace("|", "/").split())
        return f"| {row} | {title} | | | | {ends} | **failed**: {reason} |"
    cells = CELLS[row](record["values"])
    verdict = judge(row, math.nan if cells.value is None else cells.value, cells.problems, cells.faults)
    return f"| {row} | {title} | {cells.ours} | {cells.theirs} | {cells.ratio} | {ends} | {'dry: ' if dry else ''}{verdict} |"


def table(data):
    """The Markdown of all records."""
    about, records = data["about"], data["records"]
    lines = [f"# {about.get('device', 'unknown device')}", "",
             f"{about.get('daybreak', '?')}; PyTorch {about.get('torch', '?')}; {about.get('date', '?')}. Medians (ranges). "
             "A ratio of images/s above 1 means that daybreak is faster; one of seconds or memory below 1 that it takes less."]
    if about.get("dry"):
        lines += ["", "**A dry run with small sizes on a CPU: it proves that the rows can be made, and no figure counts.**"]
    lines += ["", "| | what | daybreak | PyTorch | ratio | must | aim | |", "|---|---|---|---|---|---|---|---|"]
    for row in ROWS:
        lines += [row_line(row, r, about.get("dry")) for r in [r for r in records if r["row"] == row] or [None]]
    lines += ["", "What was run:", ""]
    said = {}
    for record in records:
        commands = record.get("commands", [])
        name = f"{record['row']} {record['variant']}".strip()
        first = said.setdefault(str(commands), name)
        text = "; ".join(f"`{c}`" for c in commands) if first == name else f"the programs of {first}"
        lines.append(f"* {name}, {record.get('seconds', 0):.0f} s: {text}")
        lines += [f"  * {note}" for note in record.get("notes", [])]
    return "\n".join(lines) + "\n"
