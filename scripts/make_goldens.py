#!/usr/bin/python3
"""Writes tests/golden/{ops,optimizers}.txt: what PyTorch computes for cases of tests/ops/op_cases*.cpp.

It proves that the reference kernels mean the same as PyTorch's operations: outputs, gradients and
running statistics in double precision. Inputs are not stored: both sides compute them by `wave`.
Needs python3-torch (Debian 12: 1.13); tests read the files and never run this.
usage: scripts/make_goldens.py [OUTPUT_FOLDER]
"""
import math
import os
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def wave(shape, k, scale=1.5, offset=0.0):
    """The number at flat position i of tensor k: offset + scale * sin(0.7 i + 1.3 k + 0.1)."""
    count = math.prod(shape)
    values = [offset + scale * math.sin(0.7 * i + 1.3 * k + 0.1) for i in range(count)]
    return torch.tensor(values).reshape(shape)


def numbers(tensor):
    return " ".join("%.8g" % v for v in tensor.detach().reshape(-1).tolist())


class Case:
    """One case: inputs x (tensors 0, 1, ...), parameters w (tensors 10, 11, ...), dy (tensor 20)."""

    def __init__(self, name, x_shapes, w_shapes, run, mode="train", positive=(), labels=None,
                 targets=False, stats=False):
        self.name, self.mode = name, mode
        self.x = [wave(s, k) for k, s in enumerate(x_shapes)]
        self.w = [wave(s, 10 + k, 0.4, 1.0) if k in positive else wave(s, 10 + k)
                  for k, s in enumerate(w_shapes)]
        if targets:
            self.x[1] = wave(x_shapes[1], 1, 0.5, 0.5)
        self.labels = labels
        if labels:
            n = x_shapes[0][0]
            self.x.append(torch.tensor([(7 * i + 3) % labels for i in range(n)]))
        self.run, self.stats = run, stats

    def write(self, out):
        trained = self.w[:-2] if self.stats else self.w
        inputs = [t for t in self.x if t.is_floating_point()]
        for t in inputs + trained:
            t.requires_grad_(True)
        y = self.run(self.x, self.w)
        dy = wave(tuple(y.shape) or (1,), 20)
        y.backward(dy.reshape(y.shape))
        out.write("case %s %s\n" % (self.name, self.mode))
        out.write("y %s\n" % numbers(y))
        if self.stats:
            out.write("running_mean %s\nrunning_var %s\n" % (numbers(self.w[-2]), numbers(self.w[-1])))
        for i, t in enumerate(inputs):
            if t.grad is not None:
                out.write("dx%d %s\n" % (i, numbers(t.grad)))
        for i, t in enumerate(trained):
            out.write("dw%d %s\n" % (i, numbers(t.grad)))


def conv(name, x, oc, kernel, groups=1, **kw):
    w = [(oc, x[1] // groups) + kernel, (oc,)]
    run = lambda x, w: F.conv2d(x[0], w[0], w[1], groups=groups, **kw)
    return Case("conv2d_" + name, [x], w, run)


def conv_t(name, x, oc, kernel, groups=1, **kw):
    w = [(x[1], oc // groups) + kernel, (oc,)]
    run = lambda x, w: F.conv_transpose2d(x[0], w[0], w[1], groups=groups, **kw)
    return Case("conv2d_transpose_" + name, [x], w, run)


def norm(name, x, momentum=0.1, eps=1e-5, act=lambda y: y, mode="train"):
    c = (x[1],)
    run = lambda x, w: act(F.batch_norm(x[0], w[2], w[3], w[0], w[1], mode == "train", momentum, eps))
    return Case("batchnorm_" + name, [x], [c] * 4, run, mode, positive=(0, 3), stats=True)


def one(name, x, f):
    return Case(name, [x], [], lambda x, w: f(x[0]))


def pair(name, shape, f, **kw):
    return Case(name, [shape, shape], [], lambda x, w: f(x[0], x[1]), **kw)


def scored(name, n, k, f):
    return Case(name, [(n, k)], [], lambda x, w: f(x[0], x[1]), labels=k)


def op_cases():
    leaky = lambda y: F.leaky_relu(y, 0.10000000149011612)  # 0.1f, as daybreak stores it
    third, tenth = 0.30000001192092896, 0.10000000149011612
    yield conv("nonsquare_3x3_s2", (2, 3, 5, 9), 17, (3, 3), stride=2, padding=1)
    yield conv("stride_over_kernel", (2, 5, 8, 7), 6, (2, 2), stride=3)
    yield conv("pad_over_kernel", (2, 3, 4, 4), 5, (2, 2), padding=3)
    yield conv("dilation2", (2, 3, 7, 7), 13, (3, 3), padding=2, dilation=2)
    yield conv("groups3", (2, 9, 5, 5), 6, (3, 3), padding=1, groups=3)
    yield conv("depthwise_times3", (2, 3, 5, 5), 9, (3, 3), padding=1, groups=3)
    yield conv("k1x5_s1x2", (2, 5, 3, 9), 7, (1, 5), stride=(1, 2), padding=(0, 2))
    yield conv("k3x2_dilation2x1", (1, 3, 8, 4), 13, (3, 2), stride=(2, 1), padding=(2, 0),
               dilation=(2, 1))
    yield conv_t("c3_c13_4x4_s2", (2, 3, 4, 3), 13, (4, 4), stride=2, padding=1)
    yield conv_t("output_pad1", (2, 3, 4, 4), 5, (3, 3), stride=2, padding=1, output_padding=1)
    yield conv_t("dilation2", (2, 3, 4, 4), 5, (3, 3), padding=1, dilation=2)
    yield conv_t("dilation2_output_pad1", (1, 3, 3, 4), 5, (3, 3), padding=1, dilation=2,
                 output_padding=1)
    yield conv_t("groups3", (2, 9, 3, 3), 6, (4, 4), stride=2, padding=1, groups=3)
    yield conv_t("k3x4_s1x2", (2, 5, 4, 3), 3, (3, 4), stride=(1, 2), padding=(0, 1),
                 output_padding=(0, 1))
    yield Case("linear_image_3x2x5", [(3, 3, 2, 5)], [(7, 30), (7,)],
               lambda x, w: F.linear(x[0].flatten(1), w[0], w[1]))
    eps5, eps3, m2, m1 = 9.999999747378752e-06, 0.0010000000474974513, 0.009999999776482582, tenth
    yield norm("c3_nonsquare", (2, 3, 3, 5), m1, eps5)
    yield norm("c3_nonsquare", (2, 3, 3, 5), m1, eps5, mode="eval")
    yield norm("one_dimension", (7, 17, 1, 1), m1, eps5)
    yield norm("momentum_eps", (3, 4, 3, 3), m2, eps3)
    yield norm("leaky", (2, 16, 3, 3), m1, eps5, leaky)
    yield norm("leaky", (2, 16, 3, 3), m1, eps5, leaky, mode="eval")
    yield Case("instancenorm_c3_affine", [(2, 3, 3, 5)], [(3,), (3,)],
               lambda x, w: F.instance_norm(x[0], None, None, w[0], w[1], eps=eps5), positive=(0,))
    yield one("instancenorm_c13", (3, 13, 3, 2), lambda x: F.instance_norm(x, eps=eps5))
    yield one("act_relu_c13", (2, 13, 3, 2), F.relu)
    yield one("act_leaky_c3", (2, 3, 4, 5), leaky)
    yield one("act_sigmoid_c3", (2, 3, 3, 3), torch.sigmoid)
    yield one("act_tanh_c13", (2, 13, 2, 3), torch.tanh)
    yield one("softmax_pixels_c3", (2, 3, 4, 5), lambda x: F.softmax(x, 1))
    yield one("pool_max_c13_3x3_s2_p1", (2, 13, 6, 5), lambda x: F.max_pool2d(x, 3, 2, 1))
    yield one("pool_max_ceil", (2, 3, 6, 8), lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True))
    yield one("pool_max_ceil_pad", (2, 5, 5, 6), lambda x: F.max_pool2d(x, 3, 3, 1, ceil_mode=True))
    yield one("pool_max_ceil_dropped_window", (1, 3, 4, 4),
              lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True))
    average = lambda ceil, count: lambda x: F.avg_pool2d(x, 3, 2, 1, ceil, count)
    yield one("pool_average_c17_count_pad", (2, 17, 5, 4), average(False, True))
    yield one("pool_average_ceil_count", (2, 3, 6, 7), average(True, True))
    yield one("pool_average_ceil_no_count", (1, 5, 6, 7), average(True, False))
    adaptive = F.adaptive_avg_pool2d
    yield one("adaptive_avgpool_does_not_divide", (2, 3, 7, 5), lambda x: adaptive(x, (3, 2)))
    yield one("adaptive_avgpool_nonsquare_output", (1, 13, 5, 9), lambda x: adaptive(x, (2, 4)))
    yield one("adaptive_avgpool_larger_than_input", (2, 3, 2, 3), lambda x: adaptive(x, (3, 5)))
    up = lambda mode, k, **kw: lambda x: F.interpolate(x, scale_factor=k, mode=mode, **kw)
    yield one("upsample_nearest_c3", (2, 3, 2, 4), up("nearest", 3))
    yield one("upsample_bilinear_c3", (2, 3, 2, 4), up("bilinear", 3, align_corners=False))
    yield one("upsample_bilinear_row", (2, 5, 1, 5), up("bilinear", 2, align_corners=False))
    yield one("pad_zero_c13_uneven", (2, 13, 2, 3), lambda x: F.pad(x, (0, 3, 1, 2)))
    yield one("pad_reflect_c3", (2, 3, 4, 4), lambda x: F.pad(x, (3, 3, 3, 3), mode="reflect"))
    yield one("pad_reflect_c17_uneven", (1, 17, 3, 5),
              lambda x: F.pad(x, (1, 4, 2, 0), mode="reflect"))
    yield scored("softmax_xent_c13", 5, 13, F.cross_entropy)
    yield scored("softmax_xent_c17_smoothing", 3, 17,
                 lambda x, t: F.cross_entropy(x, t, label_smoothing=tenth))
    yield scored("softmax_xent_c127_smoothing", 2, 127,
                 lambda x, t: F.cross_entropy(x, t, label_smoothing=third))
    # PyTorch divides by the number of classes, cs231n does not.
    yield scored("hinge_c13", 5, 13, lambda x, t: 13 * F.multi_margin_loss(x, t))
    yield scored("hinge_c17_margin", 3, 17, lambda x, t: 17 * F.multi_margin_loss(x, t, margin=0.25))
    yield pair("distance_l1_c3_image", (2, 3, 4, 5), F.l1_loss)
    yield pair("distance_l2_c17", (2, 17, 2, 2), F.mse_loss)
    yield pair("distance_smooth_l1_c13_beta", (2, 13, 2, 2),
               lambda x, t: F.smooth_l1_loss(x, t, beta=0.5))
    yield pair("bce_c17", (5, 17, 1, 1),
               lambda x, t: F.binary_cross_entropy_with_logits(x, t.detach()), targets=True)


def optimizers():
    """Name, optimizer factory over parameters, clipping norm; attributes are repeated in the test."""
    o = torch.optim
    yield "sgd", lambda p: o.SGD(p, 0.1, momentum=0.9), 0
    yield "sgd_decay", lambda p: o.SGD(p, 0.1, momentum=0.9, weight_decay=0.01), 0
    yield "sgd_nesterov_decay", lambda p: o.SGD(p, 0.1, momentum=0.9, weight_decay=0.01,
                                                nesterov=True), 0
    yield "sgd_dampening", lambda p: o.SGD(p, 0.1, momentum=0.9, dampening=0.5), 0
    yield "sgd_clipped", lambda p: o.SGD(p, 0.1, momentum=0.9), 1.0
    yield "adagrad", lambda p: o.Adagrad(p, 0.1, eps=1e-10), 0
    yield "rmsprop", lambda p: o.RMSprop(p, 0.01), 0
    yield "rmsprop_momentum", lambda p: o.RMSprop(p, 0.01, momentum=0.9, weight_decay=0.01), 0
    yield "rmsprop_centered", lambda p: o.RMSprop(p, 0.01, momentum=0.5, centered=True), 0
    yield "adadelta", lambda p: o.Adadelta(p, 1.0), 0
    yield "adadelta_decay", lambda p: o.Adadelta(p, 0.5, rho=0.8, eps=1e-5, weight_decay=0.01), 0
    yield "adam", lambda p: o.Adam(p, 0.1), 0
    yield "adam_decay", lambda p: o.Adam(p, 0.1, weight_decay=0.01), 0
    yield "adam_clipped", lambda p: o.Adam(p, 0.01, betas=(0.5, 0.99), eps=1e-5), 0.5
    yield "adamw", lambda p: o.AdamW(p, 0.1, weight_decay=0.01), 0


def write_optimizers(out):
    for name, make, clip in optimizers():
        w = wave((6,), 0).requires_grad_(True)
        optimizer = make([w])
        out.write("case %s train\n" % name)
        for t in range(1, 6):
            w.grad = wave((6,), t)
            if clip:
                torch.nn.utils.clip_grad_norm_([w], clip)
            optimizer.step()
            out.write("w%d %s\n" % (t, numbers(w)))


def main():
    if sys.argv[1:] and sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if sys.argv[1:] else os.path.join(here, "..", "tests", "golden")
    with open(os.path.join(folder, "ops.txt"), "w") as out:
        for case in op_cases():
            case.write(out)
    with open(os.path.join(folder, "optimizers.txt"), "w") as out:
        write_optimizers(out)


if __name__ == "__main__":
    main()
