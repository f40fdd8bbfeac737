#!/usr/bin/env python3
"""Proves that `daybreak test` judges a detector as pycocotools does: takes the file of
`daybreak test RUN --boxes BOXES --json METRICS` and exits 1 when a figure differs by more than 1e-6.
Exit code 77 when pycocotools is not installed.

  check_map.py BOXES METRICS"""
import contextlib
import io
import json
import sys

try:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError:
    sys.exit(77)


def main():
    boxes = json.load(open(sys.argv[1], encoding="utf-8"))
    metrics = json.load(open(sys.argv[2], encoding="utf-8"))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = boxes
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(boxes["detections"]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ["map", "map50", "map75", "map_small", "map_medium", "map_large", None, None, "recall"]
    pairs = [(name, metrics.get(name, -1.0), evaluation.stats[i])
             for i, name in enumerate(names) if name]
    precision = evaluation.eval["precision"]
    for c, entry in enumerate(metrics["classes"]):
        values = precision[:, :, c, 0, 2]
        if values[0, 0] > -1:
            pairs.append((entry["name"] + " ap50", entry["ap50"], values[0].mean()))
            pairs.append((entry["name"] + " ap", entry["ap"], values.mean()))
    worst = max(abs(ours - theirs) for _, ours, theirs in pairs)
    for name, ours, theirs in pairs:
        print(f"{name:20} {ours:.9f} {theirs:.9f}")
    print(f"largest difference {worst:.1e} over {len(boxes['detections'])} detections")
    sys.exit(0 if worst <= 1e-6 else 1)


if __name__ == "__main__":
    main()
