#!/usr/bin/env python3
"""PyTorch's side of bench/compare.py: full training steps of a network on resident data.

Starts from the weights and the batch of a file that `daybreak bench train --dump FILE` wrote, and takes the
same steps: SGD, rate 0.001, momentum 0.9, weight decay 1e-4 on every parameter. Speaks the protocol of
`bench train --paired`: a line of JSON when the warm-up is done; then every line of standard input is a number
of steps and every answer a line of JSON. Works with PyTorch 1.13 and later.
"""
import argparse
import json
import os
import resource
import sys
import time

STARTED = time.perf_counter()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", required=True)
    parser.add_argument("--state", required=True, help="weights and batch, as daybreak wrote them")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--mode", default="channels_last", choices=["contiguous", "channels_last", "compiled"],
                        help="compiled: torch.compile over channels_last, on a GPU with its CUDA graphs")
    return parser.parse_args()


ARGS = parse()
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)
import torch  # noqa: E402  (the thread count must be known before)
from torch_nets import NETS, read_state  # noqa: E402

MOST_LOSSES = 20
ON_GPU = ARGS.device == "cuda"
SHORT = torch.float16 if ARGS.precision == "f16" else torch.bfloat16


def taken_of_gpu():
    """Most bytes that PyTorch's allocator has held of the GPU, beside the driver's and the libraries' own."""
    return torch.cuda.max_memory_reserved() if ON_GPU else 0


def forget_search():
    """Gives back what the search for engines took: training does not need it, and daybreak's figure leaves it out too."""
    if ON_GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def load(net, statistics):
    """Fills the network; returns pictures [N, C, H, W], normalised, and labels [N]."""
    own = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    image = labels = None
    for name, values in read_state(ARGS.state):
        if name == "input.image":
            mean, std = (torch.tensor(s).view(1, -1, 1, 1) for s in statistics)
            image = ((values.permute(0, 3, 1, 2).float() / 255 - mean) / std).contiguous()
        elif name == "input.labels":
            labels = values.long()
        elif name not in own or own[name].shape != values.shape:
            sys.exit(f"{ARGS.net}: bench/torch_nets.py has no \"{name}\" of shape {list(values.shape)}")
        else:
            own.pop(name).copy_(values)
    if own or image is None or labels is None:
        sys.exit(f"{ARGS.state} lacks {', '.join(own) or 'the batch'}")
    return image, labels


class Training:
    def __init__(self):
        make, statistics, smoothing = NETS[ARGS.net]
        net = make()
        self.x, self.y = load(net, statistics)
        if ARGS.mode != "contiguous":
            net = net.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        net, self.x, self.y = net.to(ARGS.device), self.x.to(ARGS.device), self.y.to(ARGS.device)
        fused = {"fused": True} if ON_GPU else {}
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4, **fused)
        self.loss_function = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
        self.scaler = torch.amp.GradScaler(ARGS.device) if ARGS.precision == "f16" else None
        self.model = net
        if ARGS.mode == "compiled":
            self.model = torch.compile(net, mode="reduce-overhead") if ON_GPU else torch.compile(net)
        self.losses = []

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(ARGS.device, SHORT, enabled=ARGS.precision != "f32"):
            loss = self.loss_function(self.model(self.x), self.y)
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        # A compiled step may write the next loss into the same memory.
        return loss.detach().clone() if len(self.losses) < MOST_LOSSES else loss.detach()

    def timed_steps(self, count):
        """Seconds of every step; on a GPU, where steps are queued without waiting, their mean."""
        at_once = count if ON_GPU else 1
        seconds = []
        while len(seconds) < count:
            start = time.perf_counter()
            losses = [self.step() for _ in range(at_once)]
            if ON_GPU:
                torch.cuda.synchronize()
            seconds += [(time.perf_counter() - start) / at_once] * at_once
            self.losses += [float(loss) for loss in losses[:MOST_LOSSES - len(self.losses)]]
        return seconds

    def answer(self, seconds):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "losses": self.losses, "threads": torch.get_num_threads(),
                          "peak_rss_bytes": peak, "device_bytes": taken_of_gpu(), "since_start": time.perf_counter() - STARTED,
                          "backend": f"PyTorch {torch.__version__}"}), flush=True)


def main():
    torch.set_num_threads(ARGS.threads)
    if ON_GPU:  # f32 means f32 on both sides; the fastest engines are searched for
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    training = Training()
    training.answer(training.timed_steps(ARGS.warmup))
    forget_search()
    for line in sys.stdin:
        training.answer(training.timed_steps(int(line)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
