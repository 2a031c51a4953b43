"""Kills a benchmark at any moment, runs it again, and looks whether the store is that of an undisturbed run.

    benchmark_kills.py PROGRAM [KILLS] [CELLS] [SEED] [--folder DIR] [--minutes N]

PROGRAM is examples/imiad-benchmark of a build. Two workers run a plan of CELLS small cells. At random moments the
runner is killed, or one of its workers (SIGKILL); a killed runner is started again, with --retry-failed, as a killed
worker is a cell that failed. In the end the store must hold every cell once, no failure, and the values and evidence
of the undisturbed run, costs apart; a merge with it must find nothing that differs; its report must show the same;
and no worker may outlive its runner. The long form: benchmark_kills.py PROGRAM 200 100. With --folder what it has so
far lies in DIR: --minutes ends it after so many, with exit status 3, and the same command goes on.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

COSTS = ("_seconds", "_per_second", "_bytes")


def write_plan(folder, cells):
    kinds = cells // 2  # on two products; one seed, as each has random weights of its own
    plan = {
        "plan": 1,
        "datasets": {"synthetic": {"options": {"size": 32, "train": 3, "test_good": 2, "test_defective": 2},
                                   "categories": ["fabric", "hex_nut"]}},
        "detectors": {f"padim_{i}": {"type": "padim", "weights": "random",
                                     "options": {"resize": 32, "crop": 32, "layers": "layer1", "dimension": 4 + i}}
                      for i in range(kinds)},
        "settings": [{"setting": "unsupervised"}],
    }
    with open(os.path.join(folder, "plan.json"), "w", encoding="utf-8") as file:
        json.dump(plan, file)


def start(program, folder, store):
    words = [program, "run", "plan.json", "--store", store, "--workers", "2", "--threads", "2", "--retry-failed"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def workers_of(store):
    """Processes of ours that put into the store."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if name.isdigit() and b"work" in words[:2] and store.encode() in words:
            found.append(int(name))
    return found


def finish(program, folder, store):
    """Runs until nothing is left; a cell whose worker was killed fails once more at most."""
    process = start(program, folder, store)
    error = process.communicate()[1].decode(errors="replace")
    if process.returncode != 0:
        raise SystemExit(f"benchmark_kills: exit {process.returncode} after the kills: {error}")


def values(path):
    database = sqlite3.connect(path)
    rows = database.execute("select c.category, c.seed, c.options, m.name, m.number from cells c join measurements m on "
                            "m.cell = c.id order by 1, 2, 3, 4").fetchall()
    cells = database.execute("select count(*), count(distinct run || category) from cells").fetchone()
    rows += database.execute("select c.category, c.seed, c.options, e.name, e.text from cells c join evidence e on "
                             "e.cell = c.id order by 1, 2, 3, 4").fetchall()
    tables = database.execute("select count(*) from sqlite_master where name = 'failures'").fetchone()[0]
    failed = database.execute("select count(*) from failures").fetchone()[0] if tables else 0
    database.close()
    return [row for row in rows if not row[3].endswith(COSTS)], cells, failed


def shown(program, store):
    """What the report of a store says of its cells: how many, and all averages but costs."""
    page = store + ".html"
    subprocess.run([program, "report", store, "-o", page], check=True, stdout=subprocess.DEVNULL)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    tables = re.findall("Means over categories, deviation over runs</caption>(.*?)</table>", text, re.DOTALL)
    return re.findall(r"[0-9]+ finished cells of [0-9]+ configurations", text), tables


def check(store, whole):
    if values(store) != whole:
        raise SystemExit(f"benchmark_kills: the store differs: {values(store)[1:]} and not {whole[1:]}")


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(") ", 1)[1][0] in "ZX"
    except OSError:
        return True


def kill_something(process, store, draw):
    """Kills the runner or one of its workers. Whether the runner is gone."""
    workers = workers_of(store)
    if workers and draw.random() < 0.4:
        try:
            os.kill(draw.choice(workers), signal.SIGKILL)
        except OSError:
            pass
        return False
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 30
    while not all(is_dead(pid) for pid in workers):
        if time.monotonic() > until:
            raise SystemExit("benchmark_kills: a worker outlived its runner")
        time.sleep(0.02)
    return True


class Siege:
    """The kills so far, which may go on in another run of this script."""

    def __init__(self, arguments, folder):
        self.program = os.path.abspath(arguments.program)
        self.kills, self.cells = arguments.kills, arguments.cells
        self.folder, self.process = folder, None
        self.draw = random.Random(arguments.seed)
        self.survey = self.seconds = 0  # until a run begins with its cells; of all cells
        self.hit = self.hit_workers = self.rounds = 0
        self.path = os.path.join(folder, "kills.json")
        self.whole = os.path.join(folder, "whole.sqlite")
        self.store = os.path.join(folder, "killed.sqlite")
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.survey, self.seconds, self.hit, self.hit_workers, self.rounds, cells, state = json.load(file)
            if cells != self.cells:
                raise SystemExit(f"benchmark_kills: {folder} has {cells} cells, not {self.cells}")
            self.draw.setstate((state[0], tuple(state[1]), state[2]))
        self.until = time.monotonic() + 60 * arguments.minutes

    def keep(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump([self.survey, self.seconds, self.hit, self.hit_workers, self.rounds, self.cells,
                       self.draw.getstate()], file)
        os.replace(self.path + ".new", self.path)

    def run_undisturbed(self):
        if self.seconds == 0:
            write_plan(self.folder, self.cells)
            begin = time.monotonic()
            finish(self.program, self.folder, self.whole)
            self.seconds = time.monotonic() - begin
            begin = time.monotonic()
            finish(self.program, self.folder, self.whole)
            self.survey = time.monotonic() - begin
            self.keep()
        found = values(self.whole)
        if found[1] != (self.cells, self.cells) or found[2]:
            raise SystemExit(f"benchmark_kills: the undisturbed run has {found[1]} cells, {found[2]} failures")
        return found

    def wait_moment(self):
        """One in four before the first cell, the others while cells run, however slow the machine is now."""
        if self.draw.random() < 0.25:
            time.sleep(self.draw.uniform(0, self.survey))
            return
        while self.process.poll() is None and not workers_of(self.store):
            time.sleep(0.05)
        time.sleep(self.draw.uniform(0, 2 * self.seconds / self.cells))

    def kill_once(self, expected):
        if self.process is None:
            self.process = start(self.program, self.folder, self.store)
            self.rounds += 1
        self.wait_moment()
        if self.process.poll() is not None: # it ended by itself: with all cells, or with some that were killed
            self.process.communicate()
            if self.process.returncode == 0:
                check(self.store, expected)
                os.remove(self.store)
            self.process = None
            return
        self.hit += 1
        if kill_something(self.process, self.store, self.draw):
            self.process = None
        else:
            self.hit_workers += 1
        self.keep()

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def finish(self, expected):
        if self.process is not None:
            self.process.communicate()
            self.process = None
        finish(self.program, self.folder, self.store)
        check(self.store, expected)
        merged = os.path.join(self.folder, "merged.sqlite")
        subprocess.run([self.program, "merge", self.whole, self.store, "-o", merged], check=True,
                       stdout=subprocess.DEVNULL)
        check(merged, expected)
        reports = [shown(self.program, path) for path in (self.whole, self.store, merged)]
        if any(report != reports[0] for report in reports) or not reports[0][1]:
            raise SystemExit("benchmark_kills: the report differs from that of the undisturbed run")


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("kills", type=int, nargs="?", default=4)
    parser.add_argument("cells", type=int, nargs="?", default=6)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("--folder")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser.parse_args()


def main():
    arguments = read_arguments()
    if arguments.folder:
        os.makedirs(arguments.folder, exist_ok=True)
    folder = os.path.abspath(arguments.folder) if arguments.folder else tempfile.mkdtemp(prefix="imiad-benchmark-kills-")
    siege = Siege(arguments, folder)
    try:
        expected = siege.run_undisturbed()
        while siege.hit < siege.kills:
            siege.kill_once(expected)
            if time.monotonic() > siege.until:
                print(f"benchmark_kills: {siege.hit} kills so far; the same command goes on", file=sys.stderr)
                raise SystemExit(3)
        siege.finish(expected)
    finally:
        siege.end()
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"benchmark_kills: {siege.hit} kills, {siege.hit_workers} of them of workers, in {siege.rounds} runs of "
          f"{siege.cells} cells: the store, what it merges to and its report are those of an undisturbed run")


if __name__ == "__main__":
    main()
