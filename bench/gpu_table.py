#!/usr/bin/env python3
"""The figures that the CUDA backend has to reach, measured beside PyTorch on the same GPU in the same run, as a table.

  a  seed network, training steps: images/s against PyTorch compiled and eager, alternating rounds
  b  seed network, its whole one-cycle on CIFAR-10: accuracy, seconds of training, of the process
  c  airbench94, whole processes: seconds and accuracy, kernels' choices cached and not, against PyTorch eager
  d  ResNet-50 at 224x224, resident random data, training steps as in row a
  e  memory of row a's programs
  f  processor time of row b's training

--rows chooses. Every measurement is a process of its own with a time limit and puts its figures into WORK/table.json as
they come; the table is made from that file, so that it can be made in several calls. What fails, or is too late, is a line
of the table and costs no other row. --device cpu --dry is a dry run: the same code with small sizes.
"""
import argparse
import datetime
import os
import pathlib
import signal
import subprocess
import sys
import time

import gpu_rows
import table_text
from workers import Daybreak, Torch, describe_machine

# Seconds for a measurement; PyTorch's compiler is most of them.
LIMITS = {"ae": 170, "c": 110, "bf": 220, "d": 250}
LEAST = 15  # seconds that are worth a start
# Small sizes for a CPU: --dry
DRY = {"net": "cifar10-darknet-half", "batch": 32, "resnet_batch": 2, "airbench_batch": 50, "epochs": 3, "lr": 0.002, "pairs": 2,
       "process_pairs": 1, "round_seconds": 1.0, "resnet_precisions": ["bf16", "f16"]}


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daybreak", required=True, help="the program")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with PyTorch (default: this one)")
    parser.add_argument("--data", required=True, help="folder that holds cifar-10-batches-bin")
    parser.add_argument("--work", required=True, help="folder for results, logs and runs")
    parser.add_argument("--rows", nargs="+", default=list("abcdef"), choices=list("abcdef"))
    parser.add_argument("--budget", type=float, default=540, help="seconds for everything")
    parser.add_argument("--limits", nargs="+", default=[], metavar="ROW=SECONDS", help="other limits than "
                        + ", ".join(f"{rows} {seconds}" for rows, seconds in LIMITS.items()))
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled"], choices=["eager", "compiled"], help="PyTorch's")
    parser.add_argument("--precision", default="bf16", choices=["f32", "bf16"])
    parser.add_argument("--net", default="cifar10-darknet", help="of rows a, b, e, f")
    parser.add_argument("--batch", type=int, default=512, help="of rows a, b, e, f")
    parser.add_argument("--epochs", type=int, default=30, help="of row b")
    parser.add_argument("--lr", type=float, default=1.3, help="the highest of row b")
    parser.add_argument("--airbench-batch", type=int, default=1024)
    parser.add_argument("--resnet-batch", type=int, default=256)
    parser.add_argument("--resnet-precisions", nargs="+", default=["bf16", "f16"], choices=["f32", "bf16", "f16"])
    parser.add_argument("--pairs", type=int, default=5, help="alternating rounds of steps")
    parser.add_argument("--process-pairs", type=int, default=3, help="alternating processes of row c")
    parser.add_argument("--round-seconds", type=float, default=1.5)
    parser.add_argument("--dry", action="store_true", help=f"other defaults: {DRY}")
    parser.add_argument("--inside", nargs=2, metavar=("ROWS", "UNTIL"), help=argparse.SUPPRESS)
    if "--dry" in (sys.argv[1:] if argv is None else argv):
        parser.set_defaults(**DRY)
    args = parser.parse_args(argv)
    for limit in args.limits:
        rows, _, seconds = limit.partition("=")
        if not rows or not any(rows in measured for measured in LIMITS) or not seconds.isdigit():
            parser.error(f'--limits takes ROW=SECONDS, found "{limit}"')
    args.work, args.data = str(pathlib.Path(args.work).resolve()), str(pathlib.Path(args.data).resolve())
    args.daybreak = str(pathlib.Path(args.daybreak).resolve())
    if "/" in args.python:  # not its target: a link makes a virtual environment
        args.python = os.path.abspath(args.python)
    return args


def limit_of(measured, args):
    """Seconds for a measurement."""
    given = [float(text.partition("=")[2]) for text in args.limits if text.partition("=")[0] in measured]
    return max(given, default=LIMITS[measured])


def measure(measured, args, store, deadline):
    """One measurement in a process of its own, which is ended with all it has started when its time is over."""
    wanted = [row for row in measured if row in args.rows]
    limit = limit_of(measured, args)
    seconds = min(limit, deadline - time.time() - 5)
    if seconds < min(limit, LEAST):
        for row in wanted:
            store.fail(row, "the time was used up", time.time())
        return
    log = pathlib.Path(args.work) / "logs" / f"rows-{measured}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"rows {' '.join(wanted)}, at most {seconds:.0f} s", flush=True)
    began = time.time()
    with open(log, "w+", encoding="utf-8", errors="replace") as file:
        process = subprocess.Popen([sys.executable, *sys.argv, "--inside", measured, str(began + seconds)], stdout=file,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = "timeout"
        finally:  # also when this program is told to end
            gpu_rows.end_group(process)
        file.seek(0)
        lines = file.read().strip().splitlines() or ["nothing was said"]
    print(f"  {time.time() - began:.0f} s, exit code {code}", flush=True)
    if code != 0:
        reason = f"not finished within {seconds:.0f} s" if code == "timeout" else lines[-1][:200]
        for row in wanted:
            store.fail(row, reason, began)


def inside(args, store):
    """The process of a measurement."""
    rows = gpu_rows.Rows(args, store, float(args.inside[1]))
    try:
        dict(gpu_rows.MEASUREMENTS)[args.inside[0]](rows)
    except gpu_rows.Failed as error:
        print(error)
        return 1
    return 0


def describe(args, store):
    daybreak = Daybreak(args.daybreak, args.threads, args.device)
    gpu = daybreak.gpu() if args.device == "cuda" else None
    machine = describe_machine(args.threads, gpu)
    store.about(device=gpu or machine["processor"], machine=machine, daybreak=daybreak.version,
                torch=Torch(args.python).version or "", date=str(datetime.date.today()), dry=args.dry or args.device == "cpu")


def write_table(work, store):
    """Brings table.md up to date, so that a run that is killed leaves one; returns its text."""
    text = table_text.table(store.read())
    (work / "table.md").write_text(text, encoding="utf-8")
    return text


def main():
    args = parse()
    work = pathlib.Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    store = table_text.Store(work / "table.json")
    if args.inside:
        return inside(args, store)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that measurements are ended as well
    deadline = time.time() + args.budget
    if not (pathlib.Path(args.data) / "cifar-10-batches-bin/test_batch.bin").exists() and set(args.rows) & set("bcf"):
        print(f"gpu_table: {args.data}/cifar-10-batches-bin is not there: rows b, c and f will fail", file=sys.stderr)
    describe(args, store)
    try:
        for measured, _ in gpu_rows.MEASUREMENTS:
            if set(measured) & set(args.rows):
                measure(measured, args, store, deadline)
                write_table(work, store)
    finally:
        print("\n" + write_table(work, store), flush=True)
    missing = [r["row"] for r in store.read()["records"] if "failed" in r and r["row"] in args.rows]
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
