"""The networks of cfg/net in PyTorch, and the files of weights that daybreak writes.

Modules carry the names of daybreak's layers, so that state_dict() has the names of a weights file that
daybreak wrote. Written for speed as a PyTorch user would: in-place activations, nn.Sequential.
"""
import json
from collections import OrderedDict

import torch
from torch import nn

TYPES = {"F32": torch.float32, "U8": torch.uint8, "I32": torch.int32}


class Conv(nn.Conv2d):
    """Convolution, batch norm, activation: NAME.weight, NAME.norm.weight, ..."""

    def __init__(self, cin, cout, size=3, stride=1, momentum=0.1, act=None):
        super().__init__(cin, cout, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(cout, momentum=momentum)
        self.act = act or nn.Identity()

    def forward(self, x):
        return self.act(self.norm(super().forward(x)))


def plain_conv(cin, cout, size=3, stride=1):
    return nn.Conv2d(cin, cout, size, stride, size // 2, bias=False)


class ResLayer(nn.Module):
    """x + conv3(conv1(x)) with half as many channels between: the block of `res_layer`."""

    def __init__(self, channels, **kind):
        super().__init__()
        self.conv1 = Conv(channels, channels // 2, 1, **kind)
        self.conv2 = Conv(channels // 2, channels, 3, **kind)

    def forward(self, x):
        return x + self.conv2(self.conv1(x))


def named(*pairs):
    return nn.Sequential(OrderedDict(pairs))


def head(channels, classes=10):
    return [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("head", nn.Linear(channels, classes))]


def darknet(cin, stem, groups, momentum):
    """A stem and `res_group`s g1, g2, ... of (filters, blocks, stride)."""
    kind = {"momentum": momentum, "act": nn.LeakyReLU(0.1, inplace=True)}
    return named(("stem", Conv(cin, stem, **kind)), *res_groups(stem, groups, 1, **kind), *head(groups[-1][0]))


def res_groups(channels, groups, first, **kind):
    layers = []
    for g, (filters, blocks, stride) in enumerate(groups, first):
        group = [("conv", Conv(channels, filters, 3, stride, **kind))]
        group += [(str(i), ResLayer(filters, **kind)) for i in range(1, blocks + 1)]
        layers.append((f"g{g}", named(*group)))
        channels = filters
    return layers


def seed(nf):
    """Darknet([1, 2, 4, 6, 3], nf) of fast.ai 2018."""
    shape = zip((1, 2, 4, 6, 3), (2, 1, 2, 2, 2))
    return darknet(3, nf, [(nf * 2 ** i, blocks, stride) for i, (blocks, stride) in enumerate(shape, 1)], 0.01)


def fashion():
    kind = {"act": nn.LeakyReLU(0.1, inplace=True)}
    stem = [("stem", nn.Conv2d(1, 16, 3, padding=1)), ("act", kind["act"]), ("maxpool", nn.MaxPool2d(2))]
    return named(*stem, ("g1", ResLayer(16, **kind)), *res_groups(16, [(64, 1, 2), (192, 1, 2)], 2, **kind), *head(192))


class BasicBlock(nn.Module):
    """ResNet's block (He et al. 2015)."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = Conv(cin, cout, 3, stride, act=self.relu)
        self.conv2 = Conv(cout, cout, 3)
        same = stride == 1 and cin == cout
        self.shortcut = nn.Identity() if same else named(("conv1", Conv(cin, cout, 1, stride)))

    def forward(self, x):
        return self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


def resnet18():
    layers, cin = [("stem", Conv(3, 64, act=nn.ReLU(inplace=True)))], 64
    for i, (cout, stride) in enumerate(((64, 1), (128, 2), (256, 2), (512, 2)), 1):
        layers.append((f"layer{i}", nn.Sequential(BasicBlock(cin, cout, stride), BasicBlock(cout, cout, 1))))
        cin = cout
    return named(*layers, *head(512))


class Bottleneck(nn.Module):
    """ResNet's block of three convolutions, the stride in the 3x3 one (v1.5)."""

    def __init__(self, cin, width, stride):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = Conv(cin, width, 1, act=self.relu)
        self.conv2 = Conv(width, width, 3, stride, act=self.relu)
        self.conv3 = Conv(width, 4 * width, 1)
        self.shortcut = nn.Identity() if cin == 4 * width else named(("conv1", Conv(cin, 4 * width, 1, stride)))

    def forward(self, x):
        return self.relu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))


def resnet50():
    layers, cin = [("stem", Conv(3, 64, 7, 2, act=nn.ReLU(inplace=True))), ("maxpool", nn.MaxPool2d(3, 2, 1))], 64
    for i, (width, blocks, stride) in enumerate(((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)), 1):
        stage = []
        for b in range(blocks):
            stage.append(Bottleneck(cin, width, stride if b == 0 else 1))
            cin = 4 * width
        layers.append((f"layer{i}", nn.Sequential(*stage)))
    return named(*layers, *head(cin, 1000))


class WideBody(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = Conv(cin, cout, 3, stride, act=nn.ReLU(inplace=True))
        self.conv2 = plain_conv(cout, cout)
        self.shortcut = named(("conv1", plain_conv(cin, cout, 1, stride))) if stride != 1 or cin != cout else None


class WideBlock(nn.Module):
    """fast.ai's pre-activation block: a = relu(bn(x)); shortcut(a) + 0.2 * conv(relu(bn(conv(a)))).

    Without a convolution the shortcut is `a` as well: cfg/net/wrn22.yaml puts the norm in front of the sum.
    """

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn = nn.BatchNorm2d(cin)
        self.relu = nn.ReLU(inplace=True)
        self.res = WideBody(cin, cout, stride)

    def forward(self, x):
        a = self.relu(self.bn(x))
        skip = a if self.res.shortcut is None else self.res.shortcut(a)
        return skip + 0.2 * self.res.conv2(self.res.conv1(a))


def wrn22(k=6):
    layers, cin = [("stem", plain_conv(3, 16))], 16
    for g, cout in enumerate((16 * k, 32 * k, 64 * k), 1):
        blocks = [WideBlock(cin, cout, 2 if g > 1 else 1), WideBlock(cout, cout, 1), WideBlock(cout, cout, 1)]
        layers.append((f"g{g}", nn.Sequential(*blocks)))
        cin = cout
    last = named(("bn", nn.BatchNorm2d(cin)), ("relu", nn.ReLU(inplace=True)))
    return named(*layers, ("last", last), *head(cin))


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
# name: (network, (mean, std) of the pictures, label smoothing)
NETS = {
    "cifar10-darknet": (lambda: seed(32), CIFAR, 0.0),
    "cifar10-darknet-half": (lambda: seed(16), CIFAR, 0.0),
    "cifar10-resnet18": (resnet18, CIFAR, 0.0),
    "resnet50": (resnet50, IMAGENET, 0.1),
    "wrn22": (wrn22, CIFAR, 0.0),
    "fashion-mnist": (fashion, ((0.2860,), (0.3530,)), 0.1),
}


def read_state(path):
    """The tensors of a safetensors file, one after the other so that memory stays small."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        base = file.tell()
        for name, info in header.items():
            if name == "__metadata__":
                continue
            begin, end = info["data_offsets"]
            file.seek(base + begin)
            data = bytearray(file.read(end - begin))
            yield name, torch.frombuffer(data, dtype=TYPES[info["dtype"]]).reshape(info["shape"])
