"""The measurements of bench/gpu_table.py. Each puts its records into the store as they grow, so that one that is ended
from outside keeps what it has."""
import csv
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import threading
import time

import schedules
from compare import Cell, check_losses
from table_text import steady
from workers import ROOT, Daybreak, Failed, Torch, peak_bytes

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.2


def shown(command):
    """A command as it could be typed."""
    return " ".join(shlex.quote(str(part)) for part in command)


def cpu_seconds(pid):
    """User and system time of all threads of a process so far."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()  # behind the name, which may hold anything
    return (int(fields[11]) + int(fields[12])) / TICKS


def gpu_used_mib():
    """What all programs have taken of the first GPU, their contexts too; None without nvidia-smi."""
    try:
        result = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
                                capture_output=True, text=True, timeout=20, check=True)
        return int(result.stdout.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def log_rows(run):
    """Epochs that a run has written into its table so far."""
    try:
        return max(0, len((run / "results.csv").read_text().splitlines()) - 1)
    except OSError:
        return 0


def read_curve(run):
    """[(step, lr, momentum)] that a run wrote."""
    with open(run / "steps.csv", newline="", encoding="utf-8") as file:
        return [(int(row["step"]), float(row["lr"]), float(row["momentum"])) for row in csv.DictReader(file)]


class Rows:
    """What all rows share. `args`: gpu_table.py's; `until`: when the row's time is over."""

    def __init__(self, args, store, until):
        self.args, self.store, self.until, self.began = args, store, until, time.time()
        self.work = pathlib.Path(args.work)
        self.data = pathlib.Path(args.data)
        self.env = dict(os.environ, DAYBREAK_DATA=str(self.data), OMP_NUM_THREADS=str(args.threads))
        os.environ["XDG_CACHE_HOME"] = self.env["XDG_CACHE_HOME"] = str(self.work / "cache")
        self.daybreak = Daybreak(args.daybreak, args.threads, args.device)

    def left(self):
        return self.until - time.time()

    def put(self, row, variant, values, commands, notes=(), whole=True):
        self.store.put({"row": row, "variant": variant, "values": values, "commands": [shown(c) for c in commands],
                        "notes": list(notes), "seconds": time.time() - self.began, "whole": whole})

    def call(self, name, command, env=None, watch=None):
        """Runs a program to its end: (its output, seconds from start to exit). Raises Failed. `watch(pid)` is called
        again and again meanwhile."""
        log = self.work / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with open(log, "w+", encoding="utf-8", errors="replace") as errors, \
                open(log.with_suffix(".out"), "w+", encoding="utf-8") as out:
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=errors, cwd=self.work,
                                       env=env or self.env)
            if watch:
                over = threading.Event()
                watcher = threading.Thread(target=sample, args=(process.pid, watch, over))
                watcher.start()
            code = process.wait()
            seconds = time.perf_counter() - begin
            if watch:
                over.set()
                watcher.join()
            errors.seek(0)
            out.seek(0)
            if code != 0:
                lines = errors.read().strip().splitlines() or [f"exit code {code}"]
                raise Failed(lines[-1].strip()[:200])
            return out.read(), seconds

    # ---- rows a, e and d: steps on demand -----------------------------------------------------------------------

    def seed_steps(self):
        cell = Cell(self.args.net, self.args.batch, self.args.precision)
        Rounds(self, "a", cell).measure()

    def resnet_steps(self):
        for precision in self.args.resnet_precisions:
            cell = Cell("resnet50", self.args.resnet_batch, precision)
            self.began = time.time()
            rounds = Rounds(self, "d", cell)
            self.store.put({"row": "d", "variant": rounds.variant, "failed": "not finished"})
            try:
                rounds.measure()
            except Failed as error:
                self.store.put({"row": "d", "variant": rounds.variant, "failed": str(error)})

    # ---- rows b and f: the one-cycle ----------------------------------------------------------------------------

    def cycle(self):
        args, variant = self.args, f"{self.args.precision}, batch {self.args.batch}, {self.args.epochs:g} epochs"
        ours = self.train("cycle", f"cfg/solver/{args.net}.yaml", 1, {"batch": args.batch, "one_cycle.length": f"{args.epochs:g}e",
                                                               "one_cycle.lr": args.lr}, self.env)
        host = steady(ours.pop("samples"), args.epochs)
        if "f" in args.rows and host:
            self.put("f", "row b's training", host, [ours["command"]],
                     [f"from the end of the first epoch to that of the last but one: {host['wall_seconds']:.1f} s with "
                      "evaluations and checkpoints"])
        elif "f" in args.rows:
            self.store.put({"row": "f", "variant": "row b's training", "failed": "too short to have a steady part"})
        if "b" not in args.rows:
            return
        values, commands, notes = {"daybreak": [ours], "mode": "eager", "curve_differs": 0.0}, [ours.pop("command")], []
        self.put("b", variant, values, commands, notes, whole=False)
        state = self.work / "cycle.safetensors"
        weights = Daybreak(args.daybreak, args.threads).command(Cell(args.net, 2, "f32"), "--tune", "off", "--dump", state)
        self.call("cycle-state", weights)
        for mode in sorted(args.modes):  # compiled, and if it does not run, eager
            command = [args.python, ROOT / "bench/torch_cycle.py", "--data", self.data / "cifar-10-batches-bin", "--state",
                       state, "--net", args.net, "--batch", args.batch, "--epochs", args.epochs, "--lr", args.lr,
                       "--precision", args.precision, "--device", args.device, "--threads", args.threads, "--mode", mode]
            try:
                theirs = self.run_torch("cycle-torch", command)
                break
            except Failed as error:
                notes.append(f"PyTorch {mode}: {error}")
        else:
            return self.put("b", variant, values, commands, notes)
        differs = schedules.farthest(ours.pop("curve"), theirs.pop("curve"))
        values.update(mode=mode, torch=[theirs], curve_differs=differs)
        notes += [f"{mode}: {theirs['warmup_seconds']:.1f} s of compiling and recording are not in its training's seconds",
                  f"lr and momentum of all {theirs['steps']} steps agree within {differs:.1g}, relative",
                  "both start from daybreak's initial weights; daybreak also writes its checkpoints every epoch",
                  losses_text(ours, theirs["epochs"])]
        self.put("b", variant, values, commands + [command], notes)

    def train(self, name, solver, seed, sets, env):
        """A whole training by daybreak: its figures, curve and samples of its processor time."""
        run, result = self.work / name, self.work / f"{name}.json"
        shutil.rmtree(run, ignore_errors=True)
        command = [self.args.daybreak, "train", ROOT / solver, "--device", self.args.device, "--precision",
                   self.args.precision, "--threads", self.args.threads, "--seed", seed, "--run", run, "--json", result, "--quiet"]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        samples = []
        _, seconds = self.call(name, command, env, lambda pid: samples.append((time.time(), cpu_seconds(pid), log_rows(run))))
        summary = json.loads(result.read_text())
        with open(run / "results.csv", newline="", encoding="utf-8") as file:
            losses = [float(row["train/loss"]) for row in csv.DictReader(file)]
        return {"accuracy": summary["final"]["top1"], "tta": summary["final"].get("tta_top1"), "losses": losses,
                "seconds": summary["seconds"], "whole_seconds": seconds, "curve": read_curve(run), "samples": samples,
                "command": command}

    def run_torch(self, name, command):
        out, seconds = self.call(name, command)
        answer = [line for line in out.splitlines() if line.startswith("{")][-1]
        return dict(json.loads(answer), whole_seconds=seconds)

    # ---- row c: whole processes ---------------------------------------------------------------------------------

    def airbench(self):
        args = self.args
        fresh = self.work / "fresh-cache"
        shutil.rmtree(fresh, ignore_errors=True)  # nothing is tuned for the first run
        env = dict(self.env, XDG_CACHE_HOME=str(fresh))
        values = {"first": [], "cached": [], "torch": [], "curve_differs": 0.0}
        variant = f"{args.precision}, batch {args.airbench_batch}"
        for pair in range(args.process_pairs + 1):
            began, whole = time.time(), pair == args.process_pairs
            ours = self.train("airbench", "cfg/solver/airbench94.yaml", max(1, pair), {"batch": args.airbench_batch}, env)
            values["cached" if pair else "first"].append(ours)
            ours.pop("samples")
            curve, command = ours.pop("curve"), ours.pop("command")
            if pair == 0:
                self.put("c", variant, values, [command], whole=False)
                continue
            theirs_command = [args.python, ROOT / "bench/torch_airbench.py", "--data", self.data / "cifar-10-batches-bin",
                              "--device", args.device, "--precision", args.precision, "--threads", args.threads, "--batch",
                              args.airbench_batch, "--seed", pair]
            theirs = self.run_torch("airbench-torch", theirs_command)
            values["torch"].append(theirs)
            values["curve_differs"] = max(values["curve_differs"], schedules.farthest(curve, theirs.pop("curve")))
            notes = [losses_text(ours, [(x,) for x in theirs["losses"]])]
            over = not whole and self.left() < 1.3 * (time.time() - began)
            if over:
                notes.append(f"{pair} of {args.process_pairs} pairs: the time was used up")
            self.put("c", variant, values, [command, theirs_command], notes, whole=whole or over)
            if over:
                break


class Rounds:
    """Alternating rounds of daybreak and PyTorch's modes on one cell; row "a" also gives row e."""

    MODES = {"eager": "channels_last", "compiled": "compiled"}  # as bench/torch_train.py calls them

    def __init__(self, rows, row, cell):
        self.rows, self.args, self.row, self.cell = rows, rows.args, row, cell
        self.variant = f"{cell.precision}, batch {cell.batch}"
        self.state = str(rows.work / f"{cell.net}-{cell.precision}.safetensors")
        self.workers, self.times, self.taken, self.notes = {}, {}, {}, []

    def measure(self):
        try:
            self.start_all()
            self.times = {}
            for pair in range(1, self.args.pairs + 1):
                self.round()
                over = pair < self.args.pairs and self.rows.left() < 3 * self.args.round_seconds * len(self.workers)
                if over:
                    self.notes.append(f"{pair} of {self.args.pairs} rounds: the time was used up")
                self.put(whole=over or pair == self.args.pairs)
                if over:
                    break
            for worker in self.workers.values():
                worker.close()
        finally:  # the next cell needs the memory
            for worker in self.workers.values():
                worker.kill()

    def start_all(self):
        """What compiles comes last: when the time ends before it does, the others have been measured."""
        self.rows.daybreak.dump(self.cell, self.state, "--tune", "off")  # so that the start's seconds are with it
        self.start("daybreak", lambda: self.rows.daybreak.start(self.cell))
        torch = Torch(self.args.python, self.rows.store.read()["about"].get("torch"))
        for mode in sorted(self.args.modes, reverse=True):
            if mode == "compiled":
                self.round()
                self.put(whole=False)
            self.start(mode, lambda m=mode: torch.start(self.cell, self.state, self.MODES[m], "glibc", self.args.threads,
                                                        self.args.device))

    def start(self, name, make):
        """A worker behind all that is compiled, searched for and recorded; a mode of PyTorch may fail."""
        used = gpu_used_mib()
        try:
            worker = make()
            worker.steps(3)
            self.workers[name] = worker
            self.notes.append(f"{name}: {worker.cold_seconds:.1f} s until its second step")
        except Failed as error:  # the program has ended
            if name == "daybreak":
                raise
            self.notes.append(f"PyTorch {name} did not run: {error}")
        if used is not None:
            self.taken[name] = (gpu_used_mib() or used) - used

    def round(self):
        for name, worker in self.workers.items():
            self.times.setdefault(name, []).append(worker.round(self.args.round_seconds))

    def commands(self):
        return [worker.process.args for worker in self.workers.values()]

    def put(self, whole):
        lists = {name: worker.last["losses"] for name, worker in self.workers.items()}
        values, notes = dict(self.times, batch=self.cell.batch), list(self.notes)
        judged = lists.get("compiled") or lists.get("eager")
        if judged:
            tried = [{"losses": losses} for name, losses in lists.items() if name != "daybreak"]
            values["losses_differ"], values["equal_work"] = check_losses(self.cell, lists["daybreak"], judged, tried)
            notes.append("first losses: " + "; ".join(f"{name} {', '.join(f'{x:.4f}' for x in losses[:5])}"
                                                      for name, losses in lists.items()))
        if self.row in self.args.rows:
            self.rows.put(self.row, self.variant, values, self.commands(), notes, whole)
        if self.row == "a" and "e" in self.args.rows:
            sizes = {name: peak_bytes(worker.last, self.args.device) for name, worker in self.workers.items()}
            seen = ", ".join(f"{name} {mib:,} MiB" for name, mib in self.taken.items())
            told = [f"taken of the GPU by nvidia-smi, contexts and libraries too: {seen}"] if seen else []
            self.rows.put("e", self.variant, sizes, self.commands(), told, whole)


def sample(pid, watch, over):
    """Calls `watch` until `over` is set or the process is gone."""
    while not over.wait(SAMPLE_SECONDS):
        try:
            watch(pid)
        except OSError:
            return


def losses_text(ours, epochs):
    """The training losses of some epochs of both."""
    pairs = list(zip(ours.get("losses", []), epochs))
    some = pairs[:: max(1, len(pairs) // 5)]
    return "mean training losses, daybreak / PyTorch: " + ", ".join(f"{a:.3f} / {b[0]:.3f}" for a, b in some)


# Which measurement gives which rows, the cheap and the telling first.
MEASUREMENTS = [("ae", Rows.seed_steps), ("c", Rows.airbench), ("bf", Rows.cycle), ("d", Rows.resnet_steps)]


def end_group(process):
    """Ends a process that leads its own group, with everything it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
