#!/usr/bin/env python3
"""Full training steps of daybreak and PyTorch on this machine, alternating in one run.

Each pair measures both programs one after the other on resident random data with the same network,
batch and optimizer (SGD with momentum and weight decay), threads set to the usable cores. Prints
medians, the ratio of every pair and peak resident memory as a Markdown table; --out appends it to a
file. Give PyTorch's interpreter with --python (Debian's python3-torch belongs to /usr/bin/python3).
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daybreak", default=str(ROOT / "build/release/daybreak"))
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--net", default="cifar10-darknet")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", help="file to append the table to")
    return parser.parse_args()


def run(command):
    env = dict(os.environ, OMP_NUM_THREADS=str(len(os.sched_getaffinity(0))))
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(result.stdout.strip().splitlines()[-1])


def measure(args):
    ours, theirs = [], []
    common = ["--device", args.device, "--precision", args.precision]
    for pair in range(args.pairs):
        ours.append(run([args.daybreak, "bench", "train", str(ROOT / f"cfg/net/{args.net}.yaml"), "--batch",
                         str(args.batch), "--steps", str(args.steps), "--warmup", "2", "--json", "-"] + common))
        theirs.append(run([args.python, str(ROOT / "bench/torch_train_gpu.py"), "--net", args.net, "--batch",
                           str(args.batch), "--steps", str(args.steps), "--warmup", "2"] + common))
        print(f"pair {pair + 1}: {ours[-1]['images_per_second']:.1f} and "
              f"{theirs[-1]['images_per_second']:.1f} img/s", file=sys.stderr)
    return ours, theirs


def table(args, ours, theirs):
    a = [r["images_per_second"] for r in ours]
    b = [r["images_per_second"] for r in theirs]
    ratios = [x / y for x, y in zip(a, b)]
    rss_a = max(r["peak_rss_bytes"] for r in ours) / 1e6
    rss_b = max(r["peak_rss_bytes"] for r in theirs) / 1e6
    peak = statistics.median(r["peak_gflops"] for r in ours)
    where = f"FMA peak {peak:.0f} GFLOP/s; " if args.device == "cpu" else ""
    return "\n".join([
        f"{args.net}, batch {args.batch}, {args.precision}, {ours[0]['threads']} threads each, {args.pairs} alternating pairs, "
        f"{datetime.date.today()}",
        f"{ours[0]['backend']}; PyTorch {theirs[0]['torch']}, {theirs[0]['layout']}; "
        f"{where}Linux {platform.release()}",
        "",
        "| | img/s median (min - max) | peak resident memory |",
        "|---|---|---|",
        f"| daybreak | {statistics.median(a):.1f} ({min(a):.1f} - {max(a):.1f}) | {rss_a:.0f} MB |",
        f"| PyTorch | {statistics.median(b):.1f} ({min(b):.1f} - {max(b):.1f}) | {rss_b:.0f} MB |",
        f"| ratio | {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) | {rss_a / rss_b:.2f} |",
        ""])


def main():
    args = parse()
    ours, theirs = measure(args)
    text = table(args, ours, theirs)
    print(text)
    if args.out:
        with open(args.out, "a", encoding="utf-8") as file:
            file.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
