#!/usr/bin/env python3
"""cfg/solver/cifar10-darknet.yaml in PyTorch: the one-cycle of the seed network on CIFAR-10, for bench/gpu_table.py.

The same recipe: SGD, weight decay on every parameter, lr and momentum of every step, pictures padded by four repeated
pixels, cut and mirrored at random, an incomplete last batch dropped, an evaluation every epoch. Starts from the weights
in --state, daybreak's own. Random numbers are PyTorch's. Everything lies on the device; on a GPU the optimizer is the
fused one, --mode compiled uses CUDA graphs. Evaluations are eager in both modes, which spares compiling them.

Prints one line of JSON. `seconds` are training and evaluations; what is compiled, searched for and recorded before is
`warmup_seconds`: steps whose effect is undone.
"""
import argparse
import os
import time

STARTED = time.perf_counter()

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from schedules import one_cycle  # noqa: E402
from torch_cifar import (Pictures, accuracy, answer, border, cut, normalised, options, precision_type, randint,  # noqa: E402
                         set_up, wait)
from torch_nets import NETS, read_state  # noqa: E402

CYCLE = {"div": 20, "tail": 0.2, "tail_div": 100, "momentum": (0.95, 0.85)}
WEIGHT_DECAY, PAD = 1e-4, 4
WARMUP = 4  # steps: CUDA graphs are recorded in the second or third


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(parser, len(os.sched_getaffinity(0)))
    parser.add_argument("--state", required=True, help="initial weights: bench train --dump FILE")
    parser.add_argument("--net", default="cifar10-darknet")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--lr", type=float, default=1.3, help="the highest")
    parser.add_argument("--mode", default="compiled", choices=["eager", "compiled"])
    return parser.parse_args()


class Training:
    def __init__(self, args, generator):
        self.args, self.generator, self.dtype = args, generator, precision_type(args.precision)
        self.train = Pictures(args.data, True, args.device)
        self.test = Pictures(args.data, False, args.device)
        self.net = NETS[args.net][0]().to(args.device, memory_format=torch.channels_last)
        own = self.net.state_dict()
        for name, values in read_state(args.state):
            if not name.startswith("input."):
                own[name].copy_(values)
        fused = {"fused": True} if args.device == "cuda" else {}
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9, weight_decay=WEIGHT_DECAY, **fused)
        self.model = self.net
        if args.mode == "compiled":
            graphs = {"mode": "reduce-overhead"} if args.device == "cuda" else {}
            self.model = torch.compile(self.net, **graphs)
        self.edge = border(PAD, "symmetric", args.device)
        self.loss = torch.zeros((), device=args.device)  # of an epoch: the sum

    def batch(self, index):
        count = len(index)
        top, left = (randint(2 * PAD + 1, count, self.generator) for _ in range(2))
        mirrored = randint(2, count, self.generator).bool()
        return normalised(cut(self.train, index, top, left, mirrored, self.edge)), self.train.labels[index]

    def step(self, index, lr, momentum):
        x, y = self.batch(index)
        for group in self.optimizer.param_groups:
            group["lr"], group["momentum"] = lr, momentum
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.args.device, self.dtype, enabled=self.dtype != torch.float32):
            loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.loss += loss.detach()

    def warm_up(self):
        """Steps that compile, search and record, and leave no trace."""
        kept = {name: values.clone() for name, values in self.net.state_dict().items()}
        for _ in range(WARMUP):
            self.step(torch.arange(self.args.batch, device=self.args.device) % len(self.train), 1e-3, 0.9)
        accuracy(self.net, self.test, self.dtype)
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()
        with torch.no_grad():
            for name, values in self.net.state_dict().items():
                values.copy_(kept[name])
        self.loss.zero_()
        wait(self.args.device)

    def epoch(self, steps):
        """Trains with lr and momentum of `steps`; returns the mean loss and the accuracy."""
        order = torch.randperm(len(self.train), generator=self.generator, device=self.args.device)
        for i, (lr, momentum) in enumerate(steps):
            self.step(order[i * self.args.batch:(i + 1) * self.args.batch], lr, momentum)
        right = accuracy(self.net, self.test, self.dtype)
        loss = float(self.loss) / len(steps)
        self.loss.zero_()
        return loss, right


def main():
    args = parse()
    training = Training(args, set_up(args))
    wait(args.device)
    loaded = time.perf_counter()
    training.warm_up()
    begin = time.perf_counter()
    per_epoch = len(training.train) // args.batch
    curve = one_cycle(args.epochs, per_epoch, args.lr, **CYCLE)
    epochs = [training.epoch(curve[i:i + per_epoch]) for i in range(0, len(curve), per_epoch)]
    wait(args.device)
    answer(STARTED, args.device, seconds=time.perf_counter() - begin, warmup_seconds=begin - loaded,
           accuracy=epochs[-1][1], epochs=epochs, curve=curve, steps=len(curve), mode=args.mode)


if __name__ == "__main__":
    main()
