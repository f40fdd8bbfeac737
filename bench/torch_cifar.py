"""CIFAR-10's binary files in the memory of a device, cut and mirrored there: what bench/torch_cycle.py and
bench/torch_airbench.py train PyTorch with."""
import functools
import json
import pathlib
import resource
import time

import torch
from torch.nn import functional as F

SIDE = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
# Views of a picture for evaluation and their weights, as `tta: shift`: (mirrored, moved by, weight).
SHIFTED = [(mirrored, move, weight) for move, weight in ((0, 0.25), (1, 0.125), (-1, 0.125)) for mirrored in (False, True)]


class Pictures:
    """A part of the data set: bytes [N, 32, 32, 3] and labels [N] on the device."""

    def __init__(self, folder, train, device):
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
        data = b"".join((pathlib.Path(folder) / name).read_bytes() for name in names)
        records = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(-1, 1 + 3 * SIDE * SIDE).to(device)
        self.labels = records[:, 0].long()
        self.pixels = records[:, 1:].reshape(-1, 3, SIDE, SIDE).permute(0, 2, 3, 1).contiguous()
        self.device = device

    def __len__(self):
        return len(self.labels)


def border(pad, mode, device):
    """Which row or column lies at a place of a picture with `pad` more on each side, [32 + 2 pad]. symmetric repeats
    the outermost pixel, reflect does not."""
    inside = list(range(SIDE))
    skip = 1 if mode == "reflect" else 0
    before, after = inside[skip:pad + skip][::-1], inside[SIDE - pad - skip:SIDE - skip][::-1]
    return torch.tensor(before + inside + after, device=device)


def cut(pictures, index, top, left, mirrored, edge):
    """The pictures `index` [N] from row top [N] and column left [N] of the bordered ones, some of them mirrored: bytes
    [N, 3, 32, 32], channels last."""
    across = torch.arange(SIDE, device=pictures.device)
    rows = edge[top[:, None] + across]
    columns = edge[left[:, None] + torch.where(mirrored[:, None], SIDE - 1 - across, across)]
    return pictures.pixels[index[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@functools.lru_cache
def statistics(device):
    """Mean and deviation on the device: sent once, because a copy from the host would wait for it in every step."""
    return [torch.tensor(s, device=device).view(1, 3, 1, 1) for s in (MEAN, STD)]


def normalised(pixels):
    mean, std = statistics(pixels.device)
    return (pixels.float() / 255 - mean) / std


def randint(most, count, generator):
    return torch.randint(0, most, (count,), generator=generator, device=generator.device)


def accuracy(net, pictures, dtype, views=((False, 0, 1.0),), batch=1000):
    """Share of right answers; of several views the mean of the probabilities counts."""
    right, edge = 0, border(1, "reflect", pictures.device)
    net.eval()
    with torch.no_grad(), torch.autocast(torch.device(pictures.device).type, dtype, enabled=dtype != torch.float32):
        for index in torch.arange(len(pictures), device=pictures.device).split(batch):
            scores = 0.0
            for mirrored, move, weight in views:
                place, turned = torch.full_like(index, 1 + move), torch.full_like(index, mirrored, dtype=torch.bool)
                view = normalised(cut(pictures, index, place, place, turned, edge))
                scores = scores + weight * F.softmax(net(view).float(), 1)
            right = right + (scores.argmax(1) == pictures.labels[index]).sum()
    net.train()
    return int(right) / len(pictures)


def wait(device):
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def precision_type(name):
    return {"f32": torch.float32, "bf16": torch.bfloat16}[name]


def set_up(args):
    """Threads, and on a GPU searched engines and no TF32."""
    torch.set_num_threads(args.threads)
    if args.device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(args.seed)
    return torch.Generator(args.device).manual_seed(args.seed)


def options(parser, threads):
    parser.add_argument("--data", required=True, help="folder of CIFAR-10's binary files")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="bf16", choices=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--seed", type=int, default=1)


def answer(started, device, **figures):
    """Prints the result: one line of JSON."""
    gpu = torch.cuda.max_memory_reserved() if torch.device(device).type == "cuda" else 0
    print(json.dumps(dict(figures, since_start=time.perf_counter() - started, device_bytes=gpu,
                          peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                          backend=f"PyTorch {torch.__version__}")), flush=True)
