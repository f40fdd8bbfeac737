#!/usr/bin/env python3
"""Makes random detection cases with the figures pycocotools computes for them, as JSON: the referee
of src/detect/average_precision.cpp. Exit code 77 when pycocotools is not installed.

  coco_referee.py SEED CASES > FILE"""
import contextlib
import io
import json
import random
import sys

try:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError:
    sys.exit(77)


def box(rng, side):
    """Half pixels, so that equal overlaps come up."""
    w, h = rng.randint(1, side) / 2, rng.randint(1, side) / 2
    return [rng.randint(0, 400) / 2, rng.randint(0, 400) / 2, w, h]


def near(rng, b):
    step = rng.choice([0.5, 2, 6, 15])
    moved = [v + rng.choice([-1, 0, 0, 1]) * step for v in b]
    return [moved[0], moved[1], max(0.5, moved[2]), max(0.5, moved[3])]


def make_case(rng, number):
    classes = rng.randint(1, 4)
    crowded = number % 5 == 4  # more than 100 detections a picture and class
    truths, found = [], []
    for image in range(rng.randint(1, 12)):
        side = rng.choice([30, 120, 400])
        mine = [{"image_id": image, "category_id": rng.randint(1, classes), "bbox": box(rng, side),
                 "iscrowd": int(rng.random() < 0.1)} for _ in range(rng.randint(0, 8))]
        for truth in mine:
            truth["area"] = truth["bbox"][2] * truth["bbox"][3] * rng.choice([1.0, 0.5])
            for _ in range(rng.choice([0, 1, 1, 2]) * (20 if crowded else 1)):
                found.append({"image_id": image, "bbox": near(rng, truth["bbox"]),
                              "category_id": truth["category_id"] if rng.random() < 0.9
                              else rng.randint(1, classes), "score": rng.randint(1, 40) / 40})
        for _ in range(rng.randint(0, 6) * (10 if crowded else 1)):
            found.append({"image_id": image, "bbox": box(rng, side), "score": rng.randint(1, 40) / 40,
                          "category_id": rng.randint(1, classes)})
        truths += mine
    rng.shuffle(found)
    return classes, truths, found


def judge(classes, truths, found, images):
    data = COCO()
    data.dataset = {"images": [{"id": i} for i in range(images)],
                    "categories": [{"id": c} for c in range(1, classes + 1)],
                    "annotations": [dict(t, id=i + 1) for i, t in enumerate(truths)]}
    data.createIndex()
    if not found:
        return None
    evaluation = COCOeval(data, data.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision = evaluation.eval["precision"]  # threshold, recall, class, area, limit
    per_class = []
    for c in range(classes):
        values = precision[:, :, c, 0, 2]
        known = values[0, 0] > -1
        per_class.append({"ap": float(values.mean()) if known else -1.0,
                          "ap50": float(values[0].mean()) if known else -1.0,
                          "curve": [float(v) for v in values[0]] if known else []})
    return {"stats": [float(v) for v in evaluation.stats], "classes": per_class}


def main():
    rng = random.Random(int(sys.argv[1]))
    cases = []
    while len(cases) < int(sys.argv[2]):
        classes, truths, found = make_case(rng, len(cases))
        images = 1 + max([t["image_id"] for t in truths + found], default=0)
        with contextlib.redirect_stdout(io.StringIO()):
            result = judge(classes, truths, found, images)
        if result is None:
            continue
        cases.append({"classes": classes, "images": images,
                      "truths": [[t["image_id"], t["category_id"] - 1, *t["bbox"], t["area"],
                                  t["iscrowd"]] for t in truths],
                      "found": [[f["image_id"], f["category_id"] - 1, *f["bbox"], f["score"]]
                                for f in found], **result})
    json.dump(cases, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
