"""Programs that take training steps on demand, and the machine they run on, for bench/compare.py."""
import glob
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A program that ended instead of answering; the text is its last line of errors."""


class Worker:
    """A training that waits between the rounds it is asked for."""

    def __init__(self, label, command, env):
        self.label, self.errors = label, tempfile.TemporaryFile("w+")
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=env)
        self.last = self.read()
        self.cold_seconds = time.perf_counter() - started
        self.step_seconds = self.last["seconds"][-1]

    def read(self):
        for line in iter(self.process.stdout.readline, ""):
            if line.startswith("{"):  # and not what a compiler has to say
                return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines() or [f"exit code {self.process.returncode}"]
        raise Failed(lines[-1].strip()[:200])

    def steps(self, count):
        """Mean seconds of a step over a round."""
        try:
            self.process.stdin.write(f"{count}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: reading says why
        self.last = self.read()
        self.step_seconds = sum(self.last["seconds"]) / count
        return self.step_seconds

    def round(self, seconds):
        """A round of whole steps that lasts about so long."""
        return self.steps(max(1, round(seconds / self.step_seconds)))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()

    def kill(self):
        """Ends it wherever it is."""
        self.process.kill()
        self.process.wait()


def allocators():
    """Libraries to preload in front of PyTorch: none (glibc's own malloc) and what is installed."""
    found = {"glibc": None}
    for name in ("jemalloc", "tcmalloc", "tcmalloc_minimal"):
        paths = glob.glob(f"/usr/lib/*/lib{name}.so.*") or glob.glob(f"/usr/lib/lib{name}.so.*")
        if paths and not (name == "tcmalloc_minimal" and "tcmalloc" in found):
            found[name] = sorted(paths)[0]
    return found


def environment(threads, preload=None):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if preload:
        env["LD_PRELOAD"] = preload
    return env


class Torch:
    """A Python with PyTorch in it; `version` is None when it has none. A known version is not asked for again, which
    takes seconds."""

    def __init__(self, python, version=None):
        self.python, self.version, self.compiles = python, version, True
        if version is None:
            self.ask()

    def ask(self):
        code = "import torch, sys; print(torch.__version__, hasattr(torch, 'compile'), sys.version.split()[0])"
        result = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        words = result.stdout.split()
        self.version, self.compiles = (words[0], words[1] == "True") if len(words) == 3 else (None, False)

    def start(self, cell, state, mode, allocator, threads, device="cpu", warmup=2):
        command = [self.python, str(ROOT / "bench/torch_train.py"), "--net", cell.net, "--state", state, "--precision",
                   cell.precision, "--mode", mode, "--device", device, "--threads", str(threads), "--warmup",
                   str(warmup)]
        return Worker(f"PyTorch {self.version}, {mode}, {allocator}", command,
                      environment(threads, allocators()[allocator]))


class Daybreak:
    def __init__(self, binary, threads, device="cpu"):
        self.binary, self.threads, self.device = binary, threads, device
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
        self.version = version.stdout.strip() or "unknown"

    def command(self, cell, *more):
        return [self.binary, "bench", "train", str(ROOT / f"cfg/net/{cell.net}.yaml"), "--batch", str(cell.batch),
                "--precision", cell.precision, "--device", self.device, "--threads", str(self.threads), *more]

    def dump(self, cell, path, *more):
        result = subprocess.run(self.command(cell, "--dump", path, *more), capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Failed(result.stderr.strip().splitlines()[-1])

    def start(self, cell, warmup=2):
        return Worker("daybreak", self.command(cell, "--paired", "--warmup", str(warmup)), environment(self.threads))

    def gpu(self):
        """How `bench machine` names the GPU, in its first line."""
        result = subprocess.run([self.binary, "bench", "machine", "--device", self.device], capture_output=True,
                                text=True, check=False)
        if result.returncode != 0:
            sys.exit(result.stderr.strip() or "bench machine failed")
        return result.stdout.splitlines()[0]

    def ceilings(self):
        """Rows of `bench machine`: one thread, and all; of a GPU one row, whose fma_gflops are those of products."""
        result = subprocess.run([self.binary, "bench", "machine", "--device", self.device, "--threads",
                                 str(self.threads), "--json", "-"],
                                capture_output=True, text=True, check=True)
        return json.loads(result.stdout.strip().splitlines()[-1])


class Watch:
    """What the kernel counted since it was made: time stolen by the host, time of foreign processes."""

    def __init__(self):
        self.start, self.ours, self.wall = self.read(), self.own(), time.perf_counter()

    @staticmethod
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(x) for x in file.readline().split()[1:9]]
        ticks = os.sysconf("SC_CLK_TCK")
        user, nice, system, _, _, irq, softirq, steal = (f / ticks for f in fields)
        return user + nice + system + irq + softirq, steal

    @staticmethod
    def own():
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usages)

    def stop(self):
        """Shares of the machine's time; call it when all workers are closed."""
        busy, steal = self.read()
        available = (time.perf_counter() - self.wall) * os.cpu_count()
        foreign = busy - self.start[0] - (self.own() - self.ours)
        return {"steal": (steal - self.start[1]) / available, "foreign": max(0.0, foreign / available)}


def peak_bytes(answer, device):
    """Peak memory in an answer of a worker: of the process, or on the GPU what the program has taken of it."""
    return answer["peak_rss_bytes" if device == "cpu" else "device_bytes"]


def describe_machine(threads, gpu=None):
    """`gpu`: how the backend names it, when it is what is measured."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    machine = {"processor": model, "threads": threads, "memory_gb": round(gigabytes), "linux": platform.release()}
    return machine if gpu is None else dict(machine, gpu=gpu)
