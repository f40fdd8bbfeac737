#!/usr/bin/env python3
"""Times a detector in daybreak, onnxruntime, OpenCV-DNN and ncnn, in alternating rounds: batch 1, the
same input, network only, then whole processes from file to boxes. Proves that the outputs agree first.
Needs (not for daybreak itself): numpy pyyaml safetensors onnx onnxruntime opencv-python-headless ncnn."""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import detect_peers


def onnxruntime_peer(path, image, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return "onnxruntime " + onnxruntime.__version__, lambda: session.run(None, {"input": image})


def opencv_peer(path, image, threads, heads):
    import cv2
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(path)

    def run():
        net.setInput(image)
        return net.forward(heads)
    return "OpenCV-DNN " + cv2.__version__, run


def ncnn_peer(param, binary, blobs, image, threads):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = threads, False
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(param), net.load_model(binary)
    source = ncnn.Mat(np.ascontiguousarray(image[0]))

    def run():
        extractor = net.create_extractor()
        extractor.input("input", source)
        return [np.array(extractor.extract(b)[1])[None] for b in blobs]
    return "ncnn " + ncnn.__version__, run


def daybreak_round(args, count):
    """Median network milliseconds of `count` runs in one process, and the process's seconds for one."""
    command = [args.daybreak, "detect", args.net, "--threads", str(args.threads)]
    text = subprocess.run(command + [args.image] * count, capture_output=True, text=True, check=True).stdout
    return [float(m) for m in re.findall(r"network ([0-9.]+) ms", text)]


def whole_process(args):
    command = [args.daybreak, "detect", args.net, "--threads", str(args.threads), args.image]
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return 1e3 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", help="NET.yaml of `daybreak import`, weights.safetensors beside it")
    parser.add_argument("image")
    parser.add_argument("--daybreak", default="build/release/daybreak")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=40, help="runs of each program in a round")
    args = parser.parse_args()
    weights = os.path.join(os.path.dirname(args.net), "weights.safetensors")
    spec, steps, heads = detect_peers.load(args.net, weights)
    image = np.random.default_rng(1).random((1, spec["channels"], spec["height"], spec["width"]), np.float32)
    peers = []
    with tempfile.TemporaryDirectory() as folder:
        onnx_path, param, binary = (os.path.join(folder, f) for f in ("n.onnx", "n.param", "n.bin"))
        detect_peers.write_onnx(onnx_path, spec, steps, heads)
        blobs = detect_peers.write_ncnn(param, binary, steps, heads)
        for make in (lambda: onnxruntime_peer(onnx_path, image, args.threads),
                     lambda: opencv_peer(onnx_path, image, args.threads, heads),
                     lambda: ncnn_peer(param, binary, blobs, image, args.threads)):
            try:
                peers.append(make())
            except ImportError as error:
                print(f"left out: {error}")
        reference = peers[0][1]()
        for name, run in peers[1:]:
            worst = max(np.abs(a - b.reshape(a.shape)).max() for a, b in zip(reference, run()))
            print(f"{name}: largest difference from {peers[0][0]} {worst:.2e}")
        times = {name: [] for name, _ in peers} | {"daybreak": []}
        for _ in range(args.rounds):
            times["daybreak"] += daybreak_round(args, args.count)[5:]
            for name, run in peers:
                for i in range(args.count):
                    start = time.perf_counter()
                    run()
                    if i >= 5:
                        times[name].append(1e3 * (time.perf_counter() - start))
    print(f"network, batch 1, {args.threads} threads, milliseconds: median (10th to 90th percentile)")
    for name, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        values.sort()
        low, high = values[len(values) // 10], values[len(values) * 9 // 10]
        print(f"  {name:24} {statistics.median(values):7.2f}  ({low:.2f} to {high:.2f})")
    whole = sorted(whole_process(args) for _ in range(11))
    print(f"daybreak, whole process, file to boxes: median {whole[5]:.1f} ms ({whole[1]:.1f} to {whole[9]:.1f})")


if __name__ == "__main__":
    main()
