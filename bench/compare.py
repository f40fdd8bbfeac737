#!/usr/bin/env python3
"""Full training steps of daybreak and PyTorch on this machine, in alternating rounds of one run.

For every network, batch and precision: both start from the same weights and the same resident batch and take the
same steps (SGD with momentum and weight decay); threads are set to the usable cores. PyTorch's modes (eager
contiguous, eager channels_last, torch.compile; malloc of glibc, jemalloc, tcmalloc where installed) are tried in
a short first round, the fastest one runs the pairs. No ratio is printed unless the first losses of both agree.
The ceilings of the machine are probed before and after; a run is void when those of arithmetic moved by more than
10 %, when the host stole time or other processes worked, and when memory bandwidth moved and the pairs disagree. Results are added to bench/results/DATE-NAME.json; table (.md) and
plot (.svg) are made from that file, so a comparison may be made in several short calls.

Every figure is a median over rounds; brackets are min - max. Peak memory of PyTorch is the smallest of all its
modes. Start-up and torch.compile are in the cold time, which no ratio contains.

With --device cuda the same on a GPU: PyTorch with cudnn.benchmark, its fused SGD, and compiled with CUDA graphs;
memory is what a program has taken of the GPU's, ceilings are products of large matrices and a copy.
"""
import argparse
import datetime
import os
import sys
import tempfile
from collections import namedtuple

import result_files
from workers import ROOT, Daybreak, Failed, Torch, Watch, allocators, describe_machine, peak_bytes

Cell = namedtuple("Cell", "net batch precision")
NETS = ["cifar10-darknet", "cifar10-darknet-half", "cifar10-resnet18", "wrn22", "fashion-mnist"]
MORE_NETS = ["resnet50"]  # by name only: of 224x224, so a batch of 128 takes a CPU minutes
QUICK = [Cell("cifar10-darknet", 128, "f32"), Cell("cifar10-darknet", 128, "bf16"),
         Cell("cifar10-resnet18", 128, "f32"), Cell("wrn22", 128, "f32"), Cell("cifar10-darknet", 8, "f32"),
         Cell("cifar10-darknet", 256, "f32")]
TOLERANCE = {"f32": 1e-3, "bf16": 1e-2, "f16": 1e-2}  # of the losses, relative; or twice what PyTorch's modes differ by
COMPARED_LOSSES = 5  # the first ones: training on one batch over and over, later steps amplify rounding
MOST_DRIFT, MOST_FOREIGN, MOST_STEAL, LEAST_SCALING = 0.10, 0.05, 0.01, 1.8
MOST_SPREAD = 1.25  # of the pairs' ratios, where memory bandwidth has moved: alternating pairs absorb slow drift


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daybreak", default=str(ROOT / "build/release/daybreak"))
    parser.add_argument("--python", action="append", metavar="FILE",
                        help="an interpreter with PyTorch; repeatable (default: /usr/bin/python3, Debian's)")
    parser.add_argument("--net", nargs="+", default=NETS, choices=NETS + MORE_NETS)
    parser.add_argument("--batch", nargs="+", type=int, default=[8, 32, 128, 256])
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16", "f16"])
    parser.add_argument("--quick", action="store_true", help=f"short rounds, and of the chosen cells only {len(QUICK)} typical ones")
    parser.add_argument("--modes", nargs="+", default=["contiguous", "channels_last", "compiled"],
                        choices=["contiguous", "channels_last", "compiled"], help="PyTorch's, to be tried")
    parser.add_argument("--allocators", nargs="+", default=list(allocators()), choices=list(allocators()),
                        help="to be tried: the first with every mode, the others with the fastest (default: all)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="of a round (default 6, --quick 1.5; whole steps)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--name", default="comparison", help="of the files in bench/results")
    parser.add_argument("--results", default=str(ROOT / "bench/results"), help="the folder of results")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def try_mode(torch, cell, state, args, mode, allocator, tried):
    """A worker that has taken a few steps, or None with a printed reason."""
    if mode == "compiled" and not torch.compiles:
        say(f"  PyTorch {torch.version} has no torch.compile: skipped")
        return None
    try:
        worker = torch.start(cell, state, mode, allocator, args.threads, args.device)
        if args.device == "cuda":  # the warm-up's mean holds what was compiled, searched for and recorded in it
            worker.steps(3)
        worker.round(args.seconds / 2)
    except Failed as error:
        say(f"  PyTorch {torch.version}, {mode}, {allocator}: skipped: {error}")
        return None
    say(f"  {worker.label}: {cell.batch / worker.step_seconds:.1f} img/s")
    tried.append({"mode": mode, "allocator": allocator, "seconds_per_step": worker.step_seconds,
                  "peak_bytes": peak_bytes(worker.last, args.device), "cold_seconds": worker.cold_seconds,
                  "losses": worker.last["losses"]})
    return worker


def faster(one, other):
    """The faster one of two workers, either of which may be None; the other one ends."""
    if one and other:
        slow, fast = (one, other) if one.step_seconds > other.step_seconds else (other, one)
        slow.close()
        return fast
    return one or other


def best_mode(torch, cell, state, args):
    """The worker of PyTorch's fastest mode, still running, and what every mode gave.

    All modes with one malloc, then the fastest of them with the others."""
    best, tried = None, []
    first, *others = args.allocators
    for mode in args.modes:
        best = faster(best, try_mode(torch, cell, state, args, mode, first, tried))
    if best:
        mode = min(tried, key=lambda t: t["seconds_per_step"])["mode"]
        for allocator in others:
            best = faster(best, try_mode(torch, cell, state, args, mode, allocator, tried))
    return best, tried


def difference(ours, theirs):
    """The largest relative difference of the first losses of two lists.

    On one batch seen again and again losses fall towards zero, where rounding is all that is left: differences
    count relative to the loss or to a tenth of the first one, whichever is larger.
    """
    pairs = list(zip(ours, theirs))[:COMPARED_LOSSES]
    return max((abs(a - b) / max(a, b, 0.1 * ours[0]) for a, b in pairs), default=float("inf"))


def check_losses(cell, ours, theirs, tried):
    """How far the first losses differ, and whether that proves equal work.

    Small batches amplify rounding from step to step: what PyTorch's own modes differ by is allowed twice.
    """
    worst, lists = difference(ours, theirs), [t["losses"] for t in tried]
    own = max(difference(a, b) for a in lists for b in lists)
    enough = min(len(ours), len(theirs)) >= COMPARED_LOSSES
    return worst, enough and worst <= max(TOLERANCE[cell.precision], 2 * own)


def moved(before, after):
    """Ceilings of all threads that differ by more than MOST_DRIFT."""
    names = ("fma_gflops", "bf16_gflops", "bandwidth_gbytes")
    return [name for name in names if min(before[-1][name], after[-1][name])
            < (1 - MOST_DRIFT) * max(before[-1][name], after[-1][name])]


def probe_again(daybreak, before):
    """The ceilings now. A probe can be disturbed for a moment: one that fell is repeated."""
    after = daybreak.ceilings()
    for _ in range(2):
        if not any(after[-1][name] < before[-1][name] for name in moved(before, after)):
            break
        again = daybreak.ceilings()
        after = [{name: max(a[name], b[name]) for name in a} for a, b in zip(after, again)]
    return after


def baseline_result(torch, cell, ours, worker, tried, times):
    own, other = times["daybreak"], times[worker.label]
    worst, equal = check_losses(cell, ours.last["losses"], worker.last["losses"], tried)
    compiled = [t["cold_seconds"] for t in tried if t["mode"] == "compiled"]
    result = {"version": torch.version, "label": worker.label, "threads": worker.last["threads"],
              "seconds_per_step": other, "losses": worker.last["losses"], "losses_differ": worst,
              "equal_work": equal, "peak_bytes": min(t["peak_bytes"] for t in tried),
              "cold_seconds": worker.cold_seconds, "compile_cold_seconds": max(compiled, default=None),
              "tried": tried}
    if equal:
        result["ratios"] = [b / a for a, b in zip(own, other)]
    else:
        print(f"{cell}: the losses differ by {worst:.2g} relative, so no ratio\n  daybreak: "
              f"{ours.last['losses']}\n  {worker.label}: {worker.last['losses']}")
    return result


def measure(cell, daybreak, torches, args):
    """One cell: modes, alternating rounds, losses, memory."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state.safetensors")
        daybreak.dump(cell, state)
        found = [(torch, *best_mode(torch, cell, state, args)) for torch in torches]
    found = [entry for entry in found if entry[1]]
    ours = daybreak.start(cell)
    runners = [ours] + [worker for _, worker, _ in found]
    for worker in runners:
        worker.steps(1)  # after the others have filled the caches
    times = {worker.label: [] for worker in runners}
    for pair in range(args.pairs):
        for worker in runners:
            times[worker.label].append(worker.round(args.seconds))
        rates = ", ".join(f"{w.label} {cell.batch / times[w.label][-1]:.1f}" for w in runners)
        say(f"  round {pair + 1}: {rates} img/s")
    for worker in runners:
        worker.close()
    return {"net": cell.net, "batch": cell.batch, "precision": cell.precision, "pairs": args.pairs,
            "round_seconds": args.seconds, "date": str(datetime.date.today()), "threads": ours.last["threads"],
            "backend": ours.last["backend"], "seconds_per_step": times["daybreak"],
            "losses": ours.last["losses"], "peak_bytes": peak_bytes(ours.last, args.device),
            "cold_seconds": ours.cold_seconds, "watch": watch.stop(),
            "baselines": [baseline_result(t, cell, ours, w, tried, times) for t, w, tried in found]}


def reasons_to_void(cell):
    """Why the figures of a cell must not be used; empty when they may."""
    reasons = []
    before, after = cell["ceilings"]
    spread = max((max(b["ratios"]) / min(b["ratios"]) for b in cell["baselines"] if "ratios" in b), default=1.0)
    for name in moved(before, after):
        if name == "bandwidth_gbytes" and spread <= MOST_SPREAD:
            continue
        reasons.append(f"{name} moved from {before[-1][name]:.0f} to {after[-1][name]:.0f}")
    for rows in cell["ceilings"]:
        scaling = rows[-1]["fma_gflops"] / rows[0]["fma_gflops"]
        if rows[-1]["threads"] == 2 and scaling < LEAST_SCALING:
            reasons.append(f"two threads did {scaling:.2f}x the work of one")
    if cell["watch"]["steal"] > MOST_STEAL:
        reasons.append(f"the host stole {cell['watch']['steal']:.1%} of the time")
    if cell["watch"]["foreign"] > MOST_FOREIGN:
        reasons.append(f"other processes took {cell['watch']['foreign']:.1%} of the time")
    return reasons


def main():
    args = parse()
    args.seconds = args.seconds or (1.5 if args.quick else 6.0)
    cells = [Cell(n, b, p) for n in args.net for p in args.precision for b in args.batch]
    if args.quick:
        cells = [cell for cell in QUICK if cell in cells]
    if args.device == "cuda":
        args.allocators = args.allocators[:1]
        args.modes = [mode for mode in args.modes if mode != "contiguous"]
    daybreak = Daybreak(args.daybreak, args.threads, args.device)
    torches = [Torch(python) for python in args.python or ["/usr/bin/python3"]]
    for torch in torches:
        if torch.version is None:
            sys.exit(f"{torch.python} has no PyTorch; Debian's is the package python3-torch")
    say(f"daybreak {daybreak.version}; {', '.join('PyTorch ' + t.version for t in torches)}; {args.threads} threads; "
        f"malloc: {', '.join(allocators())}")
    gpu = daybreak.gpu() if args.device == "cuda" else None
    store = result_files.Store(args.results, args.name, describe_machine(args.threads, gpu), daybreak.version)
    before = probe_again(daybreak, daybreak.ceilings())
    for cell in cells:
        say(f"{cell.net}, batch {cell.batch}, {cell.precision}")
        try:
            result = measure(cell, daybreak, torches, args)
        except Failed as error:
            say(f"  skipped: {error}")
            continue
        after = probe_again(daybreak, before)
        result["ceilings"], before = [before, after], after
        result["void"] = reasons_to_void(result)
        store.add(result)
        print(result_files.summary(result), flush=True)
    say(f"written: {', '.join(store.files())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
