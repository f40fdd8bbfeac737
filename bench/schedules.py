"""Learning rate and momentum, step by step, of the recipes that PyTorch's side of bench/gpu_table.py trains."""
import math

SLACK = 1e-6  # a border this little above a whole step is rounding


def phases(stretches, per_epoch):
    """[(lr, momentum)] of all steps. A stretch is (until, (lr, lr), (momentum, momentum)): its end in epochs from the
    start of training, and what goes linearly from the first value to the second."""
    steps, epochs_before = [], 0.0
    for until, lr, momentum in stretches:
        begin, length = len(steps), (until - epochs_before) * per_epoch
        end = max(math.ceil(until * per_epoch - SLACK), begin + 1)
        for step in range(begin, end):
            t = min((step - begin) / length, 1.0)
            steps.append((lr[0] + (lr[1] - lr[0]) * t, momentum[0] + (momentum[1] - momentum[0]) * t))
        epochs_before = until
    return steps


def one_cycle(epochs, per_epoch, lr, div, tail, tail_div, momentum):
    """fastai 0.7's cycle: up from lr / div and down again in equal times, then a tail to lr / div / tail_div."""
    low, (high_momentum, low_momentum) = lr / div, momentum
    top, cycle = epochs * (1 - tail) / 2, epochs * (1 - tail)
    return phases([(top, (low, lr), (high_momentum, low_momentum)), (cycle, (lr, low), (low_momentum, high_momentum)),
                   (epochs, (low, low / tail_div), (high_momentum, high_momentum))], per_epoch)


def farthest(points, steps):
    """The largest relative difference between what a run wrote and a schedule. `points`: (step, lr, momentum), a long
    run's are means over the steps since the point before; `steps`: as above. Infinite when they do not cover each other."""
    begin, worst, longest = 0, 0.0, 0
    for step, *values in points:
        if not begin < step <= len(steps):
            return math.inf
        longest = max(longest, step - begin)
        for at, value in enumerate(values):
            mean = math.fsum(s[at] for s in steps[begin:step]) / (step - begin)
            worst = max(worst, abs(value - mean) / max(abs(value), abs(mean), 1e-12))
        begin = step
    return worst if len(steps) - begin < max(1, longest) else math.inf
