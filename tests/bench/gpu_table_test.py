"""What of bench/gpu_table.py and its parts is pure or can be proved with stand-ins: needs neither PyTorch nor a GPU.

  python3 tests/bench/gpu_table_test.py
Reading JPEG pictures needs Pillow, of this Python or of that in DAYBREAK_PYTHON; without it those tests are skipped.
"""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
sys.dont_write_bytecode = True

import cifar_files  # noqa: E402
import gpu_rows  # noqa: E402
import schedules  # noqa: E402
import table_text  # noqa: E402

try:
    from PIL import Image
except ImportError:
    Image = None
    if os.environ.get("DAYBREAK_PYTHON", sys.executable) != sys.executable:
        os.execv(os.environ["DAYBREAK_PYTHON"], [os.environ["DAYBREAK_PYTHON"], *sys.argv])

RUN = {"accuracy": 0.94, "tta": 0.95, "seconds": 30.0, "whole_seconds": 36.0}
STEPS = {"batch": 512, "daybreak": [0.010, 0.011, 0.012], "compiled": [0.015, 0.0165, 0.018], "eager": [0.02, 0.022, 0.024],
         "equal_work": True, "losses_differ": 0.001}


def record(row, values, variant="bf16", **more):
    return dict({"row": row, "variant": variant, "values": values, "commands": ["run this"], "notes": [], "seconds": 1.0,
                 "time": 0.0, "whole": True}, **more)


class Verdicts(unittest.TestCase):
    def test_bounds_belong_to_what_they_are_for(self):
        for row, value, expected in (("a", 1.4, "aim"), ("a", 1.39, "must"), ("a", 1.0, "must"), ("a", 0.99, "missed"),
                                     ("c", 0.3, "aim"), ("c", 0.31, "must"), ("c", 0.6, "must"), ("c", 0.61, "missed"),
                                     ("f", 2.0, "aim"), ("f", 20.0, "must"), ("f", 20.1, "missed")):
            with self.subTest(row=row, value=value):
                self.assertIn(expected, table_text.judge(row, value))

    def test_problems_leave_it_open_and_faults_miss_it(self):
        self.assertEqual(table_text.judge("a", 9.0, ["no mode of PyTorch ran"]), "**open**: no mode of PyTorch ran")
        self.assertEqual(table_text.judge("b", 0.1, [], ["accuracies differ by -0.50"]), "**missed**: accuracies differ by -0.50")

    def verdict(self, row, values):
        cells = table_text.CELLS[row](values)
        return table_text.judge(row, cells.value, cells.problems, cells.faults)

    def test_steps_are_judged_by_the_median_of_pairs_against_compiled(self):
        cells = table_text.CELLS["a"](STEPS)
        self.assertAlmostEqual(cells.value, 1.5)
        self.assertIn("compiled 1.50 (1.50 - 1.50)<br>eager 2.00", cells.ratio)
        self.assertEqual(cells.ours, "46,545 (42,667 - 51,200) img/s")
        self.assertIn("aim", self.verdict("a", STEPS))

    def test_steps_without_compiled_or_equal_work_are_open(self):
        eager = {k: v for k, v in STEPS.items() if k != "compiled"}
        self.assertIn("**open**: PyTorch compiled did not run", self.verdict("d", eager))
        self.assertIn("**open**: first losses differ by 0.2", self.verdict("a", dict(STEPS, equal_work=False, losses_differ=0.2)))
        alone = {k: v for k, v in eager.items() if k != "eager"}
        self.assertIn("**open**", self.verdict("a", alone))

    def test_memory_is_against_the_least_of_pytorch(self):
        cells = table_text.CELLS["e"]({"daybreak": 60 * 2**20, "compiled": 200 * 2**20, "eager": 100 * 2**20})
        self.assertEqual((cells.ours, cells.ratio), ("60 MiB", "0.60 of eager"))
        self.assertAlmostEqual(cells.value, 0.6)

    def test_the_cycle_counts_only_with_equal_accuracy_and_rates(self):
        values = {"daybreak": [RUN], "torch": [dict(RUN, seconds=50.0, whole_seconds=72.0)], "mode": "compiled", "curve_differs": 1e-9}
        cells = table_text.CELLS["b"](values)
        self.assertEqual(cells.ratio, "0.60<br>process 0.50")
        self.assertIn("aim", self.verdict("b", values))
        self.assertIn("**missed**: accuracies", self.verdict("b", dict(values, daybreak=[dict(RUN, accuracy=0.936)])))
        self.assertIn("rates differ", self.verdict("b", dict(values, curve_differs=0.01)))
        self.assertIn("this is eager", self.verdict("b", dict(values, mode="eager")))
        self.assertIn("PyTorch did not run", self.verdict("b", {"daybreak": [RUN], "mode": "eager", "curve_differs": 0.0}))

    def test_processes_are_judged_with_cached_choices(self):
        values = {"first": [dict(RUN, whole_seconds=30.0)], "cached": [dict(RUN, whole_seconds=6.0)],
                  "torch": [dict(RUN, whole_seconds=15.0)], "curve_differs": 0.0}
        cells = table_text.CELLS["c"](values)
        self.assertEqual(cells.ratio, "0.40<br>first 2.00")
        self.assertIn("must", self.verdict("c", values))
        worse = dict(values, cached=[dict(RUN, tta=0.94)])
        self.assertIn("**missed**: accuracy over views is lower by 1.00", self.verdict("c", worse))

    def test_host_time_is_that_between_the_first_and_the_last_epoch(self):
        samples = [(0.0, 5.0, 0), (1.0, 9.0, 0), (2.0, 10.0, 1), (3.0, 10.2, 1), (4.0, 10.3, 2), (5.0, 10.4, 2), (6.0, 99.0, 3)]
        values = table_text.steady(samples, epochs=3)
        self.assertAlmostEqual(values["cpu_seconds"], 0.4)
        self.assertAlmostEqual(values["wall_seconds"], 3.0)
        self.assertEqual(len(values["windows"]), 3)
        self.assertAlmostEqual(table_text.CELLS["f"](values).value, 40 / 3)
        self.assertIsNone(table_text.steady(samples[:3], epochs=3))


class Records(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = table_text.Store(pathlib.Path(folder.name) / "deep" / "table.json")

    def records(self, row):
        return [r for r in self.store.read()["records"] if r["row"] == row]

    def test_a_result_replaces_a_failure_but_not_the_other_way(self):
        self.store.fail("a", "no driver", since=0)
        self.assertEqual(self.records("a")[0]["failed"], "no driver")
        self.store.put(record("a", STEPS))
        self.assertEqual(len(self.records("a")), 1)
        self.store.fail("a", "it broke", since=time.time() + 1)
        self.assertEqual(self.records("a")[0]["values"], STEPS)
        self.assertEqual(self.records("a")[0]["notes"], ["a run failed: it broke"])

    def test_what_was_measured_whole_is_not_blamed(self):
        self.store.put(record("d", STEPS, "bf16"))
        self.store.put({"row": "d", "variant": "f16", "failed": "not finished"})
        self.store.put(record("e", {"daybreak": 1}, whole=False))
        for row in "de":
            self.store.fail(row, "time", since=0)
        self.assertEqual([r.get("notes", r.get("failed")) for r in self.records("d")], [[], "time"])
        self.assertEqual(self.records("e")[0]["notes"], ["a run failed: time"])

    def test_the_table_has_every_row(self):
        self.store.about(device="a GPU", daybreak="daybreak 1", torch="2", date="today", dry=False)
        self.store.put(record("a", STEPS))
        self.store.put(record("e", {"daybreak": 2**20, "eager": 2**22}))
        self.store.put(record("f", {"cpu_seconds": 1.0, "wall_seconds": 10.0, "windows": [0.1, 0.1, 0.4]}))
        self.store.fail("c", "a | in a message\nof two lines", since=0)
        text = table_text.table(self.store.read())
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        self.assertEqual([line[2] for line in lines[1:]], list("abcdef"))
        self.assertEqual({line.count("|") for line in lines}, {9})
        self.assertIn("| 10.0 %<br>median second 10.0 % | | | 20 % | 2 % | **must reached** |", " ".join(text.split()))
        self.assertIn("0.25 of eager | 0.7x | 0.45x | **aim reached**", text)
        self.assertIn("not measured", lines[2])
        self.assertIn("**failed**: a / in a message of two lines", lines[3])
        self.assertIn("`run this`", text)
        self.assertNotIn("dry", text)

    def test_devices_are_not_mixed(self):
        self.store.about(device="one", dry=False)
        self.store.put(record("a", STEPS))
        self.store.about(device="one", dry=False, date="tomorrow")
        self.assertEqual(len(self.records("a")), 1)
        self.store.about(device="other", dry=False)
        self.assertEqual(self.records("a"), [])
        self.assertIn('"one"', self.store.path.with_suffix(".other.json").read_text())

    def test_a_dry_run_says_so_everywhere(self):
        self.store.about(dry=True)
        self.store.put(record("a", STEPS))
        text = table_text.table(self.store.read())
        self.assertIn("dry: **aim reached**", text)
        self.assertIn("no figure counts", text)


class Schedules(unittest.TestCase):
    # The values of tests/train/schedule_vectors_test.cpp, computed from fastai's formulas.
    def test_one_cycle_is_fastais(self):
        steps = schedules.one_cycle(30, 195, 1.3, 20, 0.2, 100, (0.95, 0.85))
        self.assertEqual(len(steps), 5850)
        for step, lr in {0: 0.065, 1: 0.0655278, 2339: 1.29947, 2340: 1.3, 2341: 1.29947, 4680: 0.065}.items():
            self.assertAlmostEqual(steps[step][0], lr, 5)
        steps = schedules.one_cycle(30, 196, 1.3, 20, 0.2, 100, (0.95, 0.85))
        for step, momentum in {0: 0.95, 1176: 0.9, 2352: 0.85, 2353: 0.850043, 4704: 0.95, 5879: 0.95}.items():
            self.assertAlmostEqual(steps[step][1], momentum, 6)
        self.assertAlmostEqual(steps[5879][0], 0.000704719, 8)

    def test_borders_between_steps_are_rounded_up(self):
        steps = schedules.phases([(2.27, (0.3, 1.5), (0.85, 0.85)), (3, (1.5, 1.3677), (0.85, 0.85)),
                                  (9.9, (1.3677, 0.105), (0.85, 0.85))], 48)
        self.assertEqual(len(steps), 476)
        self.assertEqual(steps[109][0], 1.5)
        self.assertEqual(steps[144][0], 1.3677)

    def test_difference_from_what_a_run_wrote(self):
        steps = [(1.0, 0.9), (3.0, 0.9), (5.0, 0.7), (7.0, 0.7), (9.0, 0.5)]
        each = [(i + 1, *step) for i, step in enumerate(steps)]
        self.assertEqual(schedules.farthest(each, steps), 0.0)
        self.assertAlmostEqual(schedules.farthest(each[:4] + [(5, 10.0, 0.5)], steps), 0.1)
        # Thinned: means of two steps; the last step is not written yet.
        self.assertEqual(schedules.farthest([(2, 2.0, 0.9), (4, 6.0, 0.7)], steps), 0.0)
        for points in ([], each[:4], [(2, 2.0, 0.9)], each + [(6, 9.0, 0.5)], [(4, 4.0, 0.8), (2, 2.0, 0.9)]):
            self.assertEqual(schedules.farthest(points, steps), float("inf"))


@unittest.skipIf(Image is None, "no Pillow; set DAYBREAK_PYTHON to a Python that has it")
class Pictures(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for part, count in (("train", 3), ("test", 1)):
            for label, name in enumerate(cifar_files.CLASSES):
                (self.folder / "pictures" / part / name).mkdir(parents=True)
                for i in range(count):
                    self.picture(label).save(self.folder / "pictures" / part / name / f"{i:04}.jpg", quality=95)

    def picture(self, label):
        """Grey above, a red that tells the label below."""
        image = Image.new("RGB", (32, 32), (128, 128, 128))
        image.paste((20 * label, 0, 0), (0, 16, 32, 32))
        return image

    def check(self, target, train, test):
        names = [f"data_batch_{i}.bin" for i in range(1, 6)]
        data = b"".join((target / name).read_bytes() for name in names)
        tests = (target / "test_batch.bin").read_bytes()
        self.assertEqual((len(data), len(tests)), (3073 * train, 3073 * test))
        labels = [part[i] for part in (data, tests) for i in range(0, len(part), 3073)]
        self.assertEqual(sorted(labels), sorted(list(range(10)) * ((train + test) // 10)))
        self.assertNotEqual(labels, sorted(labels))
        for i in range(0, len(data), 3073):
            red, green = data[i + 1:i + 1025], data[i + 1025:i + 2049]
            self.assertAlmostEqual(red[16 * 32 + 600 - 512], 20 * data[i], delta=8)
            self.assertAlmostEqual(red[40], 128, delta=8)
            self.assertAlmostEqual(green[1000], 0, delta=8)

    def test_a_folder_and_a_tar_of_it_give_the_same_files(self):
        self.assertEqual(cifar_files.convert(self.folder / "pictures", self.folder / "a"), (30, 10))
        self.check(self.folder / "a", 30, 10)
        with tarfile.open(self.folder / "pictures.tar", "w:xz") as tar:
            tar.add(self.folder / "pictures", arcname="cifar10-jpeg")
        cifar_files.convert(self.folder / "pictures.tar", self.folder / "b")
        for file in (self.folder / "a").iterdir():
            self.assertEqual(file.read_bytes(), (self.folder / "b" / file.name).read_bytes())
        self.assertFalse((self.folder / "b.tmp").exists())

    def test_a_part_has_as_many_of_each_class(self):
        cifar_files.convert(self.folder / "pictures", self.folder / "part", train=20, test=10)
        self.check(self.folder / "part", 20, 10)

    def failure(self):
        result = subprocess.run([sys.executable, ROOT / "bench/cifar_files.py", self.folder / "pictures", self.folder / "bad"],
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 4)
        self.assertFalse((self.folder / "bad").exists())
        self.assertEqual(len(result.stderr.splitlines()), 1)
        return result.stderr

    def test_bad_pictures_are_named(self):
        Image.new("RGB", (31, 32)).save(self.folder / "pictures/train/cat/0001.jpg")
        self.assertIn("cat/0001.jpg: is 31x32, not 32x32", self.failure())
        (self.folder / "pictures/train/cat/0001.jpg").write_bytes(b"no picture")
        self.assertIn("cat/0001.jpg: ", self.failure())
        (self.folder / "pictures/train/cow").mkdir()
        (self.folder / "pictures/train/cow/1.jpg").write_bytes(b"")
        self.assertIn('"cow" is no class', self.failure())


class Program(unittest.TestCase):
    """The whole program, with scripts in the place of daybreak and of a Python with PyTorch."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.script("python", 'echo "9.9 True 3.11"')

    def script(self, name, text):
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(0o755)

    def run_table(self, *more):
        command = [sys.executable, ROOT / "bench/gpu_table.py", "--daybreak", self.folder / "daybreak", "--python",
                   self.folder / "python", "--data", self.folder, "--work", self.folder / "work", "--device", "cpu", *more]
        return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=60)

    def test_what_hangs_is_ended_with_all_it_started_and_costs_no_other_row(self):
        # Rows a and e hang in a grandchild; b and f fail at once.
        self.script("daybreak", f'case "$*" in *--version*) echo daybreak 1;;'
                                f' *--dump*) sleep 1000 & echo $! > {self.folder}/pid; wait;;'
                                ' *) echo "no such data" >&2; exit 4;; esac')
        result = self.run_table("--rows", "a", "e", "f", "--limits", "a=2")
        self.assertEqual(result.returncode, 1)
        self.assertIn("| **failed**: not finished within 2 s |", result.stdout)
        self.assertIn("| **failed**: no such data |", result.stdout)
        pid = int((self.folder / "pid").read_text())
        for _ in range(50):  # a process that was killed may be left to whoever adopts it
            state = pathlib.Path(f"/proc/{pid}/stat")
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.1)
        else:
            self.fail("a process is left")
        data = json.loads((self.folder / "work/table.json").read_text())
        self.assertEqual({r["row"] for r in data["records"]}, set("aef"))

    def test_a_row_without_time_is_said(self):
        self.script("daybreak", "echo daybreak 1")
        result = self.run_table("--rows", "d", "--budget", "6")
        self.assertIn("the time was used up", result.stdout)

    def test_wrong_limits_are_refused(self):
        self.script("daybreak", "echo daybreak 1")
        result = self.run_table("--limits", "g=5")
        self.assertEqual(result.returncode, 2)
        self.assertIn('--limits takes ROW=SECONDS, found "g=5"', result.stderr)

    def test_processor_time_of_a_process(self):
        begin = gpu_rows.cpu_seconds(os.getpid())
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        self.assertGreaterEqual(gpu_rows.cpu_seconds(os.getpid()), begin + 0.08)


if __name__ == "__main__":
    unittest.main(verbosity=2)
