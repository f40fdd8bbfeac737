#!/usr/bin/env python3
"""Measures full PyTorch training steps of a network on resident random data.

Prints one JSON line: images per second, seconds of every step, peak resident memory.
Used by bench/compare_gpu.py as the other side of a paired measurement; works with Debian's
python3-torch and with newer releases.
"""
import argparse
import json
import os
import resource
import sys
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", default="cifar10-darknet",
                        choices=["cifar10-darknet", "cifar10-darknet-half", "cifar10-resnet18", "wrn22"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--contiguous", action="store_true", help="NCHW instead of channels_last")
    parser.add_argument("--compile", action="store_true", help="torch.compile (PyTorch 2)")
    return parser.parse_args()


ARGS = parse()
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)
import torch  # noqa: E402  (the thread count must be known before)
from torch import nn  # noqa: E402


def conv_block(cin, cout, size=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(cout, momentum=0.01),
        nn.LeakyReLU(0.1, inplace=True))


class ResLayer(nn.Module):
    """x + conv3(conv1(x)), the block of the seed network."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = conv_block(channels, channels // 2, 1)
        self.conv2 = conv_block(channels // 2, channels, 3)

    def forward(self, x):
        return x + self.conv2(self.conv1(x))


def darknet(nf, blocks=(1, 2, 4, 6, 3), strides=(2, 1, 2, 2, 2)):
    layers = [conv_block(3, nf)]
    channels = nf
    for count, stride in zip(blocks, strides):
        layers.append(conv_block(channels, channels * 2, 3, stride))
        channels *= 2
        layers += [ResLayer(channels) for _ in range(count)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class BasicBlock(nn.Module):
    """ResNet's block (He et al. 2015)."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.c1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.n1 = nn.BatchNorm2d(cout)
        self.c2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Identity()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.n2(self.c2(self.relu(self.n1(self.c1(x)))))
        return self.relu(y + self.shortcut(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    cin = 64
    for cout, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [BasicBlock(cin, cout, stride), BasicBlock(cout, cout, 1)]
        cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class WideBlock(nn.Module):
    """fast.ai's pre-activation block: x + 0.2 * conv(act(bn(conv(act(bn(x))))))."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.n1 = nn.BatchNorm2d(cin)
        self.c1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.n2 = nn.BatchNorm2d(cout)
        self.c2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.shortcut = None
        if stride != 1 or cin != cout:
            self.shortcut = nn.Conv2d(cin, cout, 1, stride, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        a = self.relu(self.n1(x))
        skip = x if self.shortcut is None else self.shortcut(a)
        return skip + self.c2(self.relu(self.n2(self.c1(a)))) * 0.2


def wrn22(k=6, blocks=3):
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    cin = 16
    for group, cout in enumerate((16 * k, 32 * k, 64 * k)):
        for block in range(blocks):
            layers.append(WideBlock(cin, cout, 2 if group > 0 and block == 0 else 1))
            cin = cout
    layers += [nn.BatchNorm2d(cin), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 10))


def main():
    torch.set_num_threads(ARGS.threads)
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    on_gpu = ARGS.device == "cuda"
    net = {"cifar10-darknet": lambda: darknet(32), "cifar10-darknet-half": lambda: darknet(16),
           "cifar10-resnet18": resnet18, "wrn22": wrn22}[ARGS.net]()
    x = torch.randn(ARGS.batch, 3, 32, 32)
    y = torch.randint(0, 10, (ARGS.batch,))
    if not ARGS.contiguous:
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    net, x, y = net.to(ARGS.device), x.to(ARGS.device), y.to(ARGS.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4,
                                **({"fused": True} if on_gpu else {}))
    scaler = torch.amp.GradScaler(ARGS.device) if ARGS.precision == "f16" else None
    kind = torch.float16 if ARGS.precision == "f16" else torch.bfloat16
    loss_function = nn.CrossEntropyLoss()
    model = torch.compile(net) if ARGS.compile else net
    seconds = []
    for step in range(ARGS.warmup + ARGS.steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(ARGS.device, kind, enabled=ARGS.precision != "f32"):
            loss = loss_function(model(x), y)
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        if on_gpu:
            torch.cuda.synchronize()
        if step >= ARGS.warmup:
            seconds.append(time.perf_counter() - start)
    median = sorted(seconds)[len(seconds) // 2]
    print(json.dumps({
        "images_per_second": ARGS.batch / median, "seconds_per_step": median, "seconds": seconds,
        "batch": ARGS.batch, "precision": ARGS.precision, "threads": torch.get_num_threads(),
        "layout": "contiguous" if ARGS.contiguous else "channels_last", "compiled": ARGS.compile,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if on_gpu else 0,
        "torch": torch.__version__, "loss": float(loss)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
