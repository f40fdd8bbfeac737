#!/usr/bin/env python3
"""cfg/solver/airbench94.yaml in PyTorch, eager: after Keller Jordan's airbench94 (2024), for bench/gpu_table.py.

The same recipe as the YAML files, with PyTorch's random numbers: a frozen whitening layer whose bias learns for three
epochs, convolutions that start as the identity, norm biases that learn 64 times as fast, Nesterov's momentum, a triangle
of rates, label smoothing, alternating flips, moves by two reflected pixels, lookahead, and six views at the end. Everything
lies on the device. Nothing is warmed up: the whole process is what is timed. Prints one line of JSON.
"""
import argparse
import os
import time

STARTED = time.perf_counter()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from schedules import phases  # noqa: E402
from torch_cifar import (SHIFTED, Pictures, accuracy, answer, border, cut, normalised, options, precision_type,  # noqa: E402
                         randint, set_up, wait)

EPOCHS, WHITEN_EPOCHS = 9.9, 3
STRETCHES = [(2.27, (0.3, 1.5), (0.85, 0.85)), (3, (1.5, 1.3677), (0.85, 0.85)), (EPOCHS, (1.3677, 0.105), (0.85, 0.85))]
WEIGHT_DECAY, BIAS_RATE, SMOOTHING, PAD = 1.3304e-3, 64, 0.2, 2
EVERY, DECAY, POWER = 5, 0.77378, 3  # of lookahead
WHITEN_PICTURES, WHITEN_EPS = 5000, 5e-4


class Group(nn.Module):
    """Two convolutions, the first with a pool behind it."""

    def __init__(self, cin, cout):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.norm1, self.norm2 = (nn.BatchNorm2d(cout, eps=1e-12, momentum=0.4) for _ in range(2))
        for conv in (self.conv1, self.conv2):  # filters beyond the input's channels keep PyTorch's random start
            nn.init.dirac_(conv.weight[:conv.weight.size(1)])
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad = False

    def forward(self, x):
        x = gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return gelu(self.norm2(self.conv2(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        nn.init.zeros_(self.whiten.bias)
        self.groups = nn.Sequential(Group(24, 64), Group(64, 256), Group(256, 256))
        self.head = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = self.groups(gelu(self.whiten(x)))
        return self.head(F.max_pool2d(x, 3).flatten(1)).float() / 9


def gelu(x):
    return F.gelu(x, approximate="tanh")


def whiten(net, pictures):
    """Filters from the eigenvectors of the pictures' patches, then the same with the other sign."""
    x = normalised(pictures.pixels[:WHITEN_PICTURES].permute(0, 3, 1, 2))
    patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh((patches.T @ patches / len(patches)).cpu())
    filters = (vectors / (values + WHITEN_EPS).sqrt()).T.flip(0).reshape(12, 3, 2, 2).float()
    with torch.no_grad():
        net.whiten.weight.copy_(torch.cat([filters, -filters]))


class Lookahead:
    """Slow weights, running statistics among them, which the trained ones are set back to every few steps."""

    def __init__(self, net):
        self.fast = [values for values in net.state_dict().values() if values.is_floating_point()]
        self.slow = [values.clone() for values in self.fast]

    @torch.no_grad()
    def after_step(self, step, steps):
        due = step % EVERY == 0
        if due:
            torch._foreach_lerp_(self.slow, self.fast, 1 - DECAY * (step / steps) ** POWER)
        if due or step == steps:
            torch._foreach_copy_(self.fast, self.slow)


def make_optimizer(net, device):
    trained = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    fast = [p for name, p in trained if ".norm" in name]
    rest = [p for name, p in trained if ".norm" not in name]
    fused = {"fused": True} if device == "cuda" else {}
    groups = [{"params": fast, "weight_decay": WEIGHT_DECAY / BIAS_RATE, "rate": BIAS_RATE},
              {"params": rest, "weight_decay": WEIGHT_DECAY, "rate": 1}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.85, nesterov=True, **fused)


def train(args, net, pictures, curve, per_epoch, generator):
    """Returns the mean loss of every epoch."""
    optimizer, lookahead, edge = make_optimizer(net, args.device), Lookahead(net), border(PAD, "reflect", args.device)
    dtype, first_side = precision_type(args.precision), randint(2, len(pictures), generator).bool()
    losses = []
    for step, (lr, momentum) in enumerate(curve):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = torch.randperm(len(pictures), generator=generator, device=args.device)
            losses.append(torch.zeros((), device=args.device))
            net.whiten.bias.requires_grad = epoch < WHITEN_EPOCHS
        index = order[place * args.batch:(place + 1) * args.batch]
        top, left = (randint(2 * PAD + 1, len(index), generator) for _ in range(2))
        x = normalised(cut(pictures, index, top, left, first_side[index] ^ (epoch % 2 == 1), edge))
        for group in optimizer.param_groups:
            group["lr"], group["momentum"] = lr * group["rate"], momentum
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(args.device, dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(net(x), pictures.labels[index], label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        lookahead.after_step(step + 1, len(curve))
        losses[-1] += loss.detach()
    counts = [min(per_epoch, len(curve) - i * per_epoch) for i in range(len(losses))]
    return [float(loss) / count for loss, count in zip(losses, counts)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(parser, len(os.sched_getaffinity(0)))
    parser.add_argument("--batch", type=int, default=1024)
    args = parser.parse_args()
    generator = set_up(args)
    pictures, test = (Pictures(args.data, part, args.device) for part in (True, False))
    net = Net().to(args.device, memory_format=torch.channels_last)
    whiten(net, pictures)
    begin = time.perf_counter()
    per_epoch = len(pictures) // args.batch
    curve = phases(STRETCHES, per_epoch)
    losses = train(args, net, pictures, curve, per_epoch, generator)
    dtype = precision_type(args.precision)
    plain, views = accuracy(net, test, dtype), accuracy(net, test, dtype, SHIFTED)
    wait(args.device)
    answer(STARTED, args.device, seconds=time.perf_counter() - begin, accuracy=plain, tta=views, losses=losses,
           curve=curve, steps=len(curve))


if __name__ == "__main__":
    main()
