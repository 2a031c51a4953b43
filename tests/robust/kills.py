"""Kills a program at any moment, runs it again, and looks whether anything that was asked for is missing.

    kills.py PROGRAM [KILLS] [SEED]     PROGRAM: examples/unsupervised of a build

Each round begins with nothing, kills the program one to three times at random moments (SIGKILL), then lets it end.
After exit 0 there must be: each category's detector, as many pictures as images, each image's score in the record
(equal to those of a run that nobody killed), each cell in the store, and no file that a killed writer left.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CATEGORIES = ["hex_nut", "circuit"]


def command(program, folder):
    words = [program, "--results", "r.sqlite", "--save", "saved", "--maps", "maps", "--json", "record.json",
             "--threads", "1", "--set-dataset", "size=64", "--set-dataset", "train=6", "--set-dataset", "test_good=2", "--set-dataset",
              "test_defective=2",
             "--set", "resize=64", "--set", "crop=64", "--set", "layers=layer1", "--set", "coreset_ratio=0.02"]
    for name in CATEGORIES:
        words += ["--category", name]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(program, folder):
    process = command(program, folder)
    error = process.communicate()[1]
    if process.returncode != 0:
        raise SystemExit(f"kills: exit {process.returncode} after the kills: {error.decode(errors='replace')}")


def scores(folder):
    with open(os.path.join(folder, "record.json"), encoding="utf-8") as file:
        record = json.load(file)
    return {cell["category"]: [(image["path"], image["score"]) for image in cell["images"] or []]
            for cell in record["categories"]}


def missing(folder, whole):
    """What is not there, in words; None where all is."""
    found = scores(folder)
    if found != whole:
        return f"the record has the scores of {[(name, len(images)) for name, images in found.items()]}"
    for name in CATEGORIES:
        if not os.path.exists(os.path.join(folder, "saved", name + ".imiad")):
            return f"no detector of {name}"
        drawn = [one for one in os.listdir(os.path.join(folder, "maps", name)) if one.endswith(".png")]
        if len(drawn) != len(whole[name]):
            return f"{len(drawn)} pictures of {name}, not {len(whole[name])}"
    for place, _, files in os.walk(folder):
        left = [one for one in files if one.endswith((".tmp", ".part"))]
        if left:
            return f"left behind: {place}/{left[0]}"
    return None


def main():
    program = os.path.abspath(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    draw = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    scratch = tempfile.mkdtemp(prefix="imiad-kills-")
    try:
        start = time.monotonic()
        finish(program, scratch)
        seconds = time.monotonic() - start
        whole = scores(scratch)
        if sorted(whole) != sorted(CATEGORIES) or not all(whole.values()):
            raise SystemExit("kills: the undisturbed run has no scores")
        done = hit = rounds = 0
        while done < kills:
            shutil.rmtree(scratch)
            os.mkdir(scratch)
            for _ in range(min(draw.randint(1, 3), kills - done)):
                process = command(program, scratch)
                time.sleep(draw.uniform(0, 0.9 * seconds))
                process.send_signal(signal.SIGKILL)
                process.communicate()
                hit += process.returncode == -signal.SIGKILL
                done += 1
            finish(program, scratch)
            rounds += 1
            problem = missing(scratch, whole)
            if problem:
                raise SystemExit(f"kills: after {done} kills {problem}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"kills: {done} kills, {hit} of them while it ran, in {rounds} rounds: nothing was missing")


if __name__ == "__main__":
    main()
