#!/usr/bin/env python3
"""The first losses of a solver in several ways, each against the first way: how far precision and kernels move them.

A way is LABEL:OPTIONS of `daybreak train`; the run ends after --steps steps. Rounding moves single losses whatever
causes it, so a second f32 way (other kernels, another number of threads) says how much of a difference is noise.

  bench/first_losses.py cfg/solver/fashion-mnist.yaml "f32:--precision f32" "bf16:--precision bf16" \\
      "f32, direct:--precision f32 --conv direct"
"""
import argparse
import csv
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WINDOW = 10  # losses a mean


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solver")
    parser.add_argument("way", nargs="+", metavar="LABEL:OPTIONS")
    parser.add_argument("--daybreak", default=str(ROOT / "build/release/daybreak"))
    parser.add_argument("--steps", type=int, default=200)
    return parser.parse_args()


def read(run):
    try:
        with open(os.path.join(run, "steps.csv"), newline="") as file:
            return [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]
    except FileNotFoundError:
        return []


def losses(args, options, folder):
    """The first losses of a run, which is stopped as Ctrl-C would."""
    run = os.path.join(folder, "run")
    command = [args.daybreak, "train", args.solver, *options.split(), "--quiet", "--run", run]
    with open(os.path.join(folder, "log"), "w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None and len(read(run)) < args.steps:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.wait()
        found = read(run)[:args.steps]
        if len(found) < args.steps:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: {len(found)} steps\n{log.read()}")
    return found


def apart(ours, theirs):
    """Relative differences of two lists."""
    return [abs(a - b) / abs(a) for a, b in zip(ours, theirs)]


def means(values):
    return [statistics.fmean(values[i:i + WINDOW]) for i in range(0, len(values), WINDOW)]


def main():
    args, first, base = parse(), None, None
    print(f"| against the first, {args.steps} steps | mean | largest | steps over 2 % | means of {WINDOW}: largest | last loss |")
    print("|---|---|---|---|---|---|")
    for way in args.way:
        label, _, options = way.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            found = losses(args, options, folder)
        if first is None:
            first, base = found, label
            print(f"| {label} | | | | | {found[-1]:.4f} |", flush=True)
            continue
        single, smooth = apart(first, found), apart(means(first), means(found))
        print(f"| {label} against {base} | {statistics.fmean(single):.2%} | {max(single):.2%} "
              f"| {sum(d > 0.02 for d in single)} | {max(smooth):.2%} | {found[-1]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
