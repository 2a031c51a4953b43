"""Kills a benchmark at any moment, runs it again, and looks whether the store is that of an undisturbed run.

    benchmark_kills.py PROGRAM [KILLS] [CELLS] [SEED]     PROGRAM: examples/imiad-benchmark of a build

Two workers run a plan of CELLS small cells. At random moments the runner is killed, or one of its workers (SIGKILL);
a killed runner is started again, with --retry-failed, as a killed worker is a cell that failed. In the end the store
must hold every cell once, no failure, and the values and evidence of the undisturbed run, costs apart, and its report
must show the same; and no worker may outlive its runner. The long form: benchmark_kills.py PROGRAM 200 100.
"""
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
    kinds = max(1, cells // 10)  # on two products; few seeds, as each has random weights of its own
    plan = {
        "plan": 1,
        "datasets": {"synthetic": {"options": {"size": 32, "train": 3, "test_good": 2, "test_defective": 2},
                                   "categories": ["fabric", "hex_nut"]}},
        "detectors": {f"padim_{i}": {"type": "padim", "weights": "random",
                                     "options": {"resize": 32, "crop": 32, "layers": "layer1", "dimension": 4 + i}}
                      for i in range(kinds)},
        "settings": [{"setting": "unsupervised"}],
        "seeds": list(range(cells // (2 * kinds))),
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


def main():
    program = os.path.abspath(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    cells = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    draw = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    scratch = tempfile.mkdtemp(prefix="imiad-benchmark-kills-")
    store = os.path.join(scratch, "killed.sqlite")
    process = None
    try:
        write_plan(scratch, cells)
        begin = time.monotonic()
        finish(program, scratch, "whole.sqlite")
        seconds = time.monotonic() - begin
        whole = values(os.path.join(scratch, "whole.sqlite"))
        if whole[1] != (cells, cells) or whole[2]:
            raise SystemExit(f"benchmark_kills: the undisturbed run has {whole[1]} cells, {whole[2]} failures")
        hit = rounds = 0
        while hit < kills:
            if process is None:
                process = start(program, scratch, store)
                rounds += 1
            time.sleep(draw.uniform(0, min(2, 2 * seconds / cells)))
            if process.poll() is not None: # it ended by itself: with all cells, or with some that were killed
                process.communicate()
                if process.returncode == 0:
                    check(store, whole)
                    os.remove(store)
                process = None
                continue
            hit += 1
            if kill_something(process, store, draw):
                process = None
        if process is not None:
            process.communicate()
            process = None
        finish(program, scratch, store)
        check(store, whole)
        reports = [shown(program, path) for path in (os.path.join(scratch, "whole.sqlite"), store)]
        if reports[0] != reports[1] or not reports[0][1]:
            raise SystemExit("benchmark_kills: the report differs from that of the undisturbed run")
    finally:
        if process is not None:
            process.kill()
            process.communicate()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"benchmark_kills: {hit} kills in {rounds} runs of {cells} cells: the store and its report are those of an "
          "undisturbed run")


if __name__ == "__main__":
    main()
