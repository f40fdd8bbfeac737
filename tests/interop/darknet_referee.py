#!/usr/bin/env python3
"""Proves that imported networks compute what OpenCV's own importer makes of the same files. Writes to OUT
t.cfg (the input resized to --size if the network has heads), t.weights (random, as many as a reading of
the cfg that shares nothing with the program says), input.f32 and, when OpenCV can load the pair,
raw-N.f32: what each head reads, or the last layer's output. Exit code 77 without OpenCV 4, 3 when OpenCV
cannot load the pair.

  darknet_referee.py CFG OUT [--size N]"""
import argparse
import os
import re
import sys

try:
    import cv2
    import numpy as np
    READ = cv2.dnn.readNetFromDarknet
except (ImportError, AttributeError):
    sys.exit(77)


def sections(text):
    result = []
    for line in text.splitlines():
        line = line.split("#")[0].replace(" ", "").replace("\t", "").strip()
        if line.startswith("["):
            result.append((line[1:-1], {}))
        elif "=" in line and not line.startswith(";"):
            key, value = line.split("=", 1)
            result[-1][1].setdefault(key, value)
    return result


class Weights:
    def __init__(self):
        self.random = np.random.default_rng(5)
        self.parts = []

    def normal(self, count, deviation):
        self.parts.append(self.random.normal(0, deviation, count).astype(np.float32))

    def around_one(self, count):
        self.parts.append(self.random.uniform(0.5, 1.5, count).astype(np.float32))

    def norm(self, channels):  # what follows the shift: scale, mean, variance
        self.around_one(channels)
        self.normal(channels, 0.1)
        self.around_one(channels)


def convolution(keys, shape, weights):
    number = lambda key, default: int(keys.get(key, default))
    c, h, w = shape
    filters, size, groups = number("filters", 1), number("size", 1), number("groups", 1)
    stride, dilation = number("stride", 1), number("dilation", 1)
    pad = size // 2 if number("pad", 0) else number("padding", 0)
    weights.normal(filters, 0.1)
    if number("batch_normalize", 0):
        weights.norm(filters)
    fan_in = c // groups * size * size
    weights.normal(filters * fan_in, (1.0 / fan_in) ** 0.5)
    reach = dilation * (size - 1)
    extent = lambda x, s: (x + 2 * pad * dilation - reach - 1) // s + 1
    return (filters, extent(h, number("stride_y", stride)), extent(w, number("stride_x", stride)))


def walk(net, layers):
    """Random weights for all layers, and the index of every head."""
    weights, shapes, heads = Weights(), [], []
    shape = tuple(int(net[key]) for key in ("channels", "height", "width"))
    for index, (name, keys) in enumerate(layers):
        number = lambda key, default: int(keys.get(key, default))
        layer = lambda i: shapes[i if i >= 0 else index + i]
        c, h, w = shape
        if name in ("convolutional", "conv"):
            shape = convolution(keys, shape, weights)
        elif name in ("maxpool", "local_avgpool"):
            stride = number("stride", 1)
            size = number("size", stride)
            pad = number("padding", size - 1)
            shape = (c, (h + pad - size) // stride + 1, (w + pad - size) // stride + 1)
        elif name == "avgpool":
            shape = (c, 1, 1)
        elif name == "crop":
            shape = (c, number("crop_height", 1), number("crop_width", 1))
        elif name == "connected":
            outputs, inputs = number("output", 1), c * h * w
            weights.normal(outputs, 0.1)
            weights.normal(outputs * inputs, (1.0 / inputs) ** 0.5)
            if number("batch_normalize", 0):
                weights.norm(outputs)
            shape = (outputs, 1, 1)
        elif name == "route":
            parts = [layer(int(i)) for i in keys["layers"].split(",") if i]
            shape = (sum(part[0] for part in parts) // number("groups", 1),) + parts[0][1:]
        elif name == "upsample":
            shape = (c, h * number("stride", 2), w * number("stride", 2))
        elif name in ("reorg", "reorg3d"):
            s = number("stride", 1)
            shape = (c * s * s, h // s, w // s)
        elif name in ("scale_channels", "sam"):
            shape = layer(number("from", 0))
        elif name in ("yolo", "region"):
            heads.append(index)
        elif name not in ("shortcut", "dropout", "softmax", "cost", "activation"):
            sys.exit(f"[{name}] is not known here")
        shapes.append(shape)
    return weights.parts, heads


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cfg")
    parser.add_argument("out")
    parser.add_argument("--size", type=int, default=0)
    args = parser.parse_args()
    text = open(args.cfg, encoding="utf-8").read()
    if args.size and re.search(r"^\s*\[(yolo|region)\]", text, re.M):
        text = re.sub(r"^\s*(width|height)\s*=.*$", rf"\1={args.size}", text, flags=re.M)
    path = lambda name: os.path.join(args.out, name)
    open(path("t.cfg"), "w", encoding="utf-8").write(text)
    (_, net), *layers = sections(text)
    parts, heads = walk(net, layers)
    with open(path("t.weights"), "wb") as file:
        np.array([0, 2, 5, 0, 0], np.int32).tofile(file)
        np.concatenate(parts).tofile(file)
    shape = [1] + [int(net[key]) for key in ("channels", "height", "width")]
    picture = np.random.default_rng(6).random(shape, np.float32)
    picture.tofile(path("input.f32"))
    cv2.setNumThreads(1)
    try:
        model = READ(path("t.cfg"), path("t.weights"))
        names = list(model.getLayerNames())
        if heads:  # the layer in front of [permute and] the head
            found = [i for i, name in enumerate(names) if re.match(r"(yolo|region|detection_out)", name)]
            wanted = [names[i - 2] if names[i - 1].startswith("permute") else names[i - 1] for i in found]
        else:
            wanted = [names[-1]]
        model.setInput(picture)
        outputs = model.forward(wanted)
    except cv2.error as error:
        print(str(error).strip().splitlines()[0])
        sys.exit(3)
    for i, output in enumerate(outputs):
        np.ascontiguousarray(output, np.float32).tofile(path(f"raw-{i}.f32"))


if __name__ == "__main__":
    main()
