"""Kills programs at any moment, runs them again, and looks whether anything that was asked for is missing.

    kills.py FOLDER [KILLS] [SEED] [--kinds NAME...] [--minutes N]     FOLDER: examples of a build

Four kinds share the kills, or those that are named:

outputs   detectors, pictures, record and store of two products (unsupervised)
training  the same of a detector that is trained (STPM), with fewer pictures
grid      one product at several numbers of images and seeds, in one store (fewshot)
writers   eight processes that put into the same store at once; a kill takes one of them

Each round begins with nothing, kills one to six times at random moments (SIGKILL), starts again what was killed, and
lets all end. After exit 0 there must be: each detector, as many pictures as images, each image's score in the record
(equal to those of a run that nobody killed), each cell in the store once with the values of that run (costs apart),
and no file that a killed writer left. --minutes ends it after so many, with the kills that it has made.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

COSTS = ("_seconds", "_per_second", "_bytes")
DATA = ["--threads", "1"] + [word for option in ("size=64", "train=6", "test_good=2", "test_defective=2")
                             for word in ("--set-dataset", option)]
PATCHCORE = [word for option in ("resize=64", "crop=64", "layers=layer1", "coreset_ratio=0.02")
             for word in ("--set", option)]
STPM = ["--detector", "stpm"] + [word for option in ("resize=64", "crop=64", "epochs=2", "batch=2")
                                 for word in ("--set", option)]
OUTPUTS = ["--results", "r.sqlite", "--save", "saved", "--maps", "maps", "--json", "record.json"]
WRITERS = 8


def products(*names):
    return [word for name in names for word in ("--category", name)]


KINDS = {
    "outputs": [["unsupervised"] + OUTPUTS + DATA + PATCHCORE + products("hex_nut", "circuit")],
    "training": [["unsupervised"] + OUTPUTS + DATA + STPM + products("hex_nut")],
    "grid": [["fewshot", "--shots", "1", "--shots", "2", "--repeats", "2", "--results", "r.sqlite"] + DATA + PATCHCORE
             + products("hex_nut")],
    "writers": [["unsupervised", "--seed", str(seed), "--results", "r.sqlite"] + DATA + PATCHCORE + products("hex_nut")
                for seed in range(WRITERS)],
}


class Siege:
    """What is run, killed and compared of one kind."""

    def __init__(self, programs, kind, folder):
        self.kind, self.folder = kind, folder
        self.commands = [[os.path.join(programs, words[0])] + words[1:] for words in KINDS[kind]]
        self.kills = self.hit = self.rounds = 0
        begin = time.monotonic()
        self.finish([self.start(number) for number in range(len(self.commands))])
        self.seconds = time.monotonic() - begin
        self.whole = self.left_there()

    def start(self, number):
        return subprocess.Popen(self.commands[number], cwd=self.folder, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    def finish(self, processes):
        for process in processes:
            error = process.communicate()[1]
            if process.returncode != 0:
                raise SystemExit(f"kills: {self.kind}: exit {process.returncode} after the kills: "
                                 f"{error.decode(errors='replace')}")

    def left_there(self):
        """What stands in the folder, costs apart: the same after kills as without any."""
        found = {"files": sorted(os.path.relpath(os.path.join(place, name), self.folder)
                                 for place, _, names in os.walk(self.folder) for name in names
                                 if not name.startswith("r.sqlite-"))}
        database = sqlite3.connect(os.path.join(self.folder, "r.sqlite"))
        rows = database.execute("select c.setting, c.value, c.category, c.seed, m.name, m.number from cells c join "
                                "measurements m on m.cell = c.id order by 1, 2, 3, 4, 5").fetchall()
        found["values"] = [row for row in rows if not row[4].endswith(COSTS)]
        database.close()
        if os.path.exists(os.path.join(self.folder, "record.json")):
            with open(os.path.join(self.folder, "record.json"), encoding="utf-8") as file:
                record = json.load(file)
            found["scores"] = {cell["category"]: [(image["path"], image["score"]) for image in cell["images"] or []]
                               for cell in record["categories"]}
        return found

    def round(self, draw, most):
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        running = [self.start(number) for number in range(len(self.commands))]
        for _ in range(min(draw.randint(1, 6), most)):
            time.sleep(draw.uniform(0, 0.9 * self.seconds / len(self.commands)))
            number = draw.randrange(len(running))
            running[number].send_signal(signal.SIGKILL)
            running[number].communicate()
            self.hit += running[number].returncode == -signal.SIGKILL
            self.kills += 1
            running[number] = self.start(number)
        self.finish(running)
        self.rounds += 1
        found = self.left_there()
        for what, whole in self.whole.items():
            if found.get(what) != whole:
                raise SystemExit(f"kills: {self.kind}: after {self.kills} kills the {what} are not those of a run that "
                                 f"nobody killed: {found.get(what)} and not {whole}")


def besiege(programs, kind, kills, draw, until):
    folder = tempfile.mkdtemp(prefix="imiad-kills-")
    try:
        siege = Siege(programs, kind, folder)
        if not siege.whole["values"] or not all(siege.whole.get("scores", {"": True}).values()):
            raise SystemExit(f"kills: {kind}: the undisturbed run left nothing")
        while siege.kills < kills and time.monotonic() < until:
            siege.round(draw, kills - siege.kills)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return siege


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("programs")
    arguments.add_argument("kills", nargs="?", type=int, default=8)
    arguments.add_argument("seed", nargs="?", type=int, default=1)
    arguments.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    arguments.add_argument("--minutes", type=float, default=1e6)
    given = arguments.parse_args()
    draw, begin, kinds = random.Random(given.seed), time.monotonic(), given.kinds
    for turn, kind in enumerate(kinds):
        until = begin + given.minutes * 60 * (turn + 1) / len(kinds)
        share = given.kills // len(kinds) + (turn < given.kills % len(kinds))
        siege = besiege(os.path.abspath(given.programs), kind, share, draw, until)
        print(f"kills: {kind}: {siege.kills} kills, {siege.hit} of them while it ran, in {siege.rounds} rounds: nothing was "
              "missing", flush=True)


if __name__ == "__main__":
    main()
