"""A network that `daybreak import` wrote, in the forms of other programs: used by detect_compare.py
only. Knows the layers that detectors of the YOLO family are made of, with batch norm folded."""
import struct

import numpy as np


def load(net_path, weights_path):
    """The layers as plain steps: (kind, name, inputs, numbers), and the heads' inputs."""
    import yaml
    from safetensors.numpy import load_file

    net, weights = yaml.safe_load(open(net_path)), load_file(weights_path)
    steps, heads, last, alias = [], [], "input", {}
    for entry in net["layers"]:
        (kind, options), = entry.items()
        name, source = options["name"], options.get("from", last)
        inputs = [alias.get(s, s) for s in (source if isinstance(source, list) else [source])]
        last = name
        if kind in ("dropout", "yolo"):
            alias[name] = inputs[0]
            heads += inputs if kind == "yolo" else []
            continue
        numbers = dict(options)
        if kind == "conv":
            numbers["w"], numbers["b"] = folded(name, weights, "norm" in options)
        steps.append((kind, name, inputs, numbers))
    return net["input"], steps, heads


def folded(name, weights, norm):
    w = weights[name + ".weight"].astype(np.float64)
    if not norm:
        return w.astype(np.float32), weights[name + ".bias"]
    part = lambda key: weights[f"{name}.norm.{key}"].astype(np.float64)
    scale = part("weight") / np.sqrt(part("running_var") + 1e-5)
    bias = part("bias") - part("running_mean") * scale
    return (w * scale[:, None, None, None]).astype(np.float32), bias.astype(np.float32)


def slope_of(numbers):
    act = numbers.get("act")
    if act is None:
        return None
    assert list(act) == ["leaky"], f"the peers' files know leaky only, found {act}"
    return act["leaky"]


def write_onnx(path, spec, steps, heads):
    from onnx import TensorProto, helper, numpy_helper, save, shape_inference

    nodes, initial = [], []

    def constant(name, array):
        initial.append(numpy_helper.from_array(array, name))
        return name

    for kind, name, inputs, n in steps:
        if kind == "conv":
            slope = slope_of(n)
            pad, k = n["pad"], n["size"]
            out = name if slope is None else name + ".linear"
            nodes.append(helper.make_node(
                "Conv", inputs + [constant(name + ".w", n["w"]), constant(name + ".b", n["b"])], [out],
                kernel_shape=[k, k], strides=[n.get("stride", 1)] * 2, pads=[pad] * 4,
                group=n.get("groups", 1)))
            if slope is not None:
                nodes.append(helper.make_node("LeakyRelu", [out], [name], alpha=slope))
        elif kind == "add":
            nodes.append(helper.make_node("Add", inputs, [name]))
        elif kind == "concat":
            nodes.append(helper.make_node("Concat", inputs, [name], axis=1))
        elif kind == "upsample":
            scales = constant(name + ".s", np.array([1, 1, n["scale"], n["scale"]], np.float32))
            nodes.append(helper.make_node("Resize", inputs + ["", scales], [name], mode="nearest",
                                          coordinate_transformation_mode="asymmetric",
                                          nearest_mode="floor"))
        elif kind == "maxpool":
            p = n.get("pad", 0)
            pads = [p] * 4 if isinstance(p, int) else [p[0], p[3], p[2], p[1]]
            nodes.append(helper.make_node("MaxPool", inputs, [name], kernel_shape=[n["size"]] * 2,
                                          strides=[n["stride"]] * 2, pads=pads))
        else:
            raise SystemExit(f"no ONNX form of layer {kind}")
    image = helper.make_tensor_value_info(
        "input", TensorProto.FLOAT, [1, spec["channels"], spec["height"], spec["width"]])
    outputs = [helper.make_tensor_value_info(h, TensorProto.FLOAT, None) for h in heads]
    graph = helper.make_graph(nodes, "net", [image], outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(shape_inference.infer_shapes(model), path)


def write_ncnn(param_path, bin_path, steps, heads):
    """ncnn's text and weights; a blob with several readers goes through a Split."""
    readers = {}
    for _, _, inputs, _ in steps:
        for blob in inputs:
            readers[blob] = readers.get(blob, 0) + 1
    for head in heads:
        readers[head] = readers.get(head, 0) + 1
    lines, blobs, given = [], 0, {}

    def add(kind, name, inputs, outputs, args=""):
        nonlocal blobs
        blobs += len(outputs)
        lines.append(f"{kind} {name} {len(inputs)} {len(outputs)} {' '.join(inputs + outputs)} {args}")

    def made(name):
        if readers.get(name, 0) > 1:
            add("Split", name + "_split", [name], [f"{name}_{i}" for i in range(readers[name])])

    def read(name):
        if readers[name] < 2:
            return name
        given[name] = given.get(name, -1) + 1
        return f"{name}_{given[name]}"

    with open(bin_path, "wb") as out:
        add("Input", "input", [], ["input"])
        made("input")
        for kind, name, inputs, n in steps:
            blobs_in = [read(i) for i in inputs]
            if kind == "conv":
                slope, groups = slope_of(n), n.get("groups", 1)
                args = (f"0={n['w'].shape[0]} 1={n['size']} 3={n.get('stride', 1)} 4={n['pad']} 5=1 "
                        f"6={n['w'].size}" + (f" 7={groups}" if groups > 1 else "") +
                        ("" if slope is None else f" 9=2 -23310=1,{slope}"))
                add("ConvolutionDepthWise" if groups > 1 else "Convolution", name, blobs_in, [name], args)
                out.write(struct.pack("<I", 0) + n["w"].tobytes() + n["b"].tobytes())
            elif kind == "add":
                add("BinaryOp", name, blobs_in, [name], "0=0")
            elif kind == "concat":
                add("Concat", name, blobs_in, [name], "0=0")
            elif kind == "upsample":
                add("Interp", name, blobs_in, [name], f"0=1 1={n['scale']}.0 2={n['scale']}.0")
            elif kind == "maxpool":
                p = n.get("pad", 0)
                p = p if isinstance(p, list) else [p] * 4
                add("Pooling", name, blobs_in, [name],
                    f"0=0 1={n['size']} 2={n['stride']} 3={p[3]} 13={p[0]} 14={p[1]} 15={p[2]} 5=1")
            else:
                raise SystemExit(f"no ncnn form of layer {kind}")
            made(name)
    with open(param_path, "w") as text:
        text.write(f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n")
    return [read(h) for h in heads]
