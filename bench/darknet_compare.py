#!/usr/bin/env python3
"""Trains one network in Darknet (CPU build) and in daybreak, in alternating pairs: the same cfg, the same
starting weights, the same pictures at the network's size, batch and threads, no augmentation on either
side. Darknet's figure is the time it prints for an iteration, without loading; daybreak's is that of
whole epochs, with loading. Needs (not for daybreak itself): numpy opencv-python-headless."""
import argparse
import csv
import os
import re
import statistics
import subprocess
import tempfile
import xml.etree.ElementTree as xml

NAMES = ["RBC", "WBC", "Platelets"]
NET = {"subdivisions": 1, "policy": "constant", "learning_rate": 1e-5, "burn_in": 0, "angle": 0,
       "saturation": 1, "exposure": 1, "hue": 0, "flip": 0, "mosaic": 0}
HEAD = {"classes": len(NAMES), "jitter": 0, "random": 0}


def sections(text):
    """[(name, {key: value})] of a cfg, in order."""
    found = []
    for line in (raw.split("#")[0].strip() for raw in text.splitlines()):
        if line.startswith("["):
            found.append((line[1:-1], {}))
        elif line:
            key, value = line.split("=", 1)
            found[-1][1].setdefault(key.strip(), value.strip())
    return found


def three_classes(text, batch):
    """The network for BCCD's classes with a fixed batch, rate and size, nothing drawn at random."""
    parts = sections(text)
    for at, (name, keys) in enumerate(parts):
        if name == "net":
            keys.update(NET, batch=batch, max_batches=0)
            for key in ("steps", "scales"):
                keys.pop(key, None)
        elif name == "yolo":
            keys.update(HEAD)
            parts[at - 1][1]["filters"] = len(keys["mask"].split(",")) * (5 + len(NAMES))
    return parts


def write_cfg(path, parts, iterations):
    parts[0][1]["max_batches"] = iterations
    with open(path, "w") as out:
        for name, keys in parts:
            out.write(f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in keys.items()) + "\n")


def write_pictures(bccd, folder, width, height, count):
    """Pictures at the network's size, labels beside them: neither program has to resize."""
    import cv2
    os.makedirs(os.path.join(folder, "pictures"))
    paths = []
    for stem in open(os.path.join(bccd, "ImageSets/Main/train.txt")).read().split()[:count]:
        path = os.path.join(folder, "pictures", stem + ".jpg")
        picture = cv2.imread(os.path.join(bccd, "JPEGImages", stem + ".jpg"))
        cv2.imwrite(path, cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
        tree = xml.parse(os.path.join(bccd, "Annotations", stem + ".xml"))
        w, h = (int(tree.find("size/" + side).text) for side in ("width", "height"))
        with open(path[:-4] + ".txt", "w") as labels:
            for item in tree.iter("object"):
                x0, y0, x1, y1 = (float(item.find("bndbox/" + k).text) for k in ("xmin", "ymin", "xmax", "ymax"))
                if x1 > x0 and y1 > y0:
                    box = ((x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h)
                    labels.write(f"{NAMES.index(item.find('name').text)} {' '.join(f'{v:.6f}' for v in box)}\n")
        paths.append(path)
    with open(os.path.join(folder, "train.txt"), "w") as out:
        out.write("\n".join(paths) + "\n")
    with open(os.path.join(folder, "data.yaml"), "w") as out:
        out.write(f"train: train.txt\nval: train.txt\nnames: [{', '.join(NAMES)}]\n")
    with open(os.path.join(folder, "net.names"), "w") as out:
        out.write("\n".join(NAMES) + "\n")
    with open(os.path.join(folder, "net.data"), "w") as out:
        out.write(f"classes={len(NAMES)}\ntrain={folder}/train.txt\nvalid={folder}/train.txt\n"
                  f"names={folder}/net.names\nbackup={folder}\n")


def run(args, command, folder):
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    done = subprocess.run(args.wrap.split() + command, capture_output=True, text=True, errors="replace",
                          cwd=folder, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-4000:])
    return done.stdout


def darknet_round(args, folder, weights):
    """Images/s: the median of the iterations' times, the first left out."""
    command = [args.darknet, "detector", "train", "net.data", "net.cfg"]
    text = run(args, command + ([weights, "-clear"] if weights else []) + ["-dont_show"], folder)
    seconds = [float(s) for s in re.findall(r" rate, ([0-9.]+) seconds", text)]
    return args.batch / statistics.median(seconds[1:]) if len(seconds) > 1 else None


def daybreak_round(args, folder, pair):
    """Images/s: the median of the epochs, the first left out."""
    run(args, [args.daybreak, "train", "solver.yaml", "--threads", str(args.threads), "--run", f"run{pair}"], folder)
    with open(os.path.join(folder, f"run{pair}", "results.csv")) as file:
        return statistics.median([float(row["img/s"]) for row in csv.DictReader(file)][1:])


def prepare(args, folder):
    with open(args.cfg) as file:
        parts = three_classes(file.read(), args.batch)
    net = parts[0][1]
    pictures = args.batch * args.iterations
    write_pictures(args.bccd, folder, int(net["width"]), int(net["height"]), pictures)
    write_cfg(os.path.join(folder, "net.cfg"), parts, 1)
    darknet_round(args, folder, None)  # draws and writes the starting weights
    run(args, [args.daybreak, "import", "darknet", "net.cfg", "net_final.weights", "--out", "."], folder)
    with open(os.path.join(folder, "solver.yaml"), "w") as out:
        out.write(f"net: net.yaml\ninit: weights.safetensors\ndata: {{sources: [{{yolo: {{dir: .}}}}]}}\n"
                  f"batch: {args.batch}\noptimizer: {{sgd: {{weight_decay: {net['decay']}}}}}\n"
                  f"lr: {NET['learning_rate']}\nmomentum: {net['momentum']}\nlength: {args.epochs}e\n"
                  f"evaluate: {{every: {args.epochs}e}}\ncheckpoint: {{every: {args.epochs}e, keep: 1}}\n")
    write_cfg(os.path.join(folder, "net.cfg"), parts, 1 + args.iterations)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("darknet", help="its program, built with OPENMP=1 AVX=1 GPU=0")
    parser.add_argument("cfg", help="a network with [yolo] heads; classes and filters are changed to BCCD's")
    parser.add_argument("--bccd", required=True, help="the folder BCCD with JPEGImages and Annotations")
    parser.add_argument("--daybreak", default="build/release/daybreak")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=5, help="of Darknet in a round, and steps in an epoch of ours")
    parser.add_argument("--epochs", type=int, default=4, help="of daybreak in a round")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--wrap", default="", help="a command put before every run, such as: nice -n 5")
    args = parser.parse_args()
    for name in ("darknet", "cfg", "bccd", "daybreak"):
        setattr(args, name, os.path.abspath(getattr(args, name)))
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(args, folder)
        for pair in range(args.pairs):
            one = darknet_round(args, folder, "net_final.weights"), daybreak_round(args, folder, pair)
            rates.append(one)
            print(f"pair {pair + 1}: darknet {one[0]:.2f} images/s, daybreak {one[1]:.2f}, {one[1] / one[0]:.1f}x", flush=True)
    ratios = sorted(b / a for a, b in rates)
    print(f"medians: darknet {statistics.median(a for a, _ in rates):.2f}, daybreak "
          f"{statistics.median(b for _, b in rates):.2f} images/s, {statistics.median(ratios):.1f}x "
          f"({ratios[0]:.1f} to {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
