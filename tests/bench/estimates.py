"""Holds what `benchmark estimate` says of cells against what they take.

    estimates.py PROGRAM SHARED [--processor]     PROGRAM: examples/imiad-benchmark of a build; SHARED: its data

Five detectors learn from eight images each of MVTec AD's transistor and of the magnetic tiles. From these cells
alone comes the estimate of learning from all normal images; then that runs. Each cell runs by itself with one thread;
what it takes is the time of its run less that of a run which finds nothing to do. It takes about ten minutes of a core.
With --processor all seconds, those in the store too, are of the processor and not of the clock: for machines that
other work shares. A clock of that kind is compiled with cc and preloaded.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile

CLOCK = r"""
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static double children;
int clock_gettime(clockid_t id, struct timespec *t)
{
    int code = (int)syscall(SYS_clock_gettime, id == CLOCK_MONOTONIC ? CLOCK_PROCESS_CPUTIME_ID : id, t);
    if (id == CLOCK_MONOTONIC) {
        double all = (double)t->tv_sec + 1e-9 * (double)t->tv_nsec + children;
        t->tv_sec = (time_t)all;
        t->tv_nsec = (long)(1e9 * (all - (double)t->tv_sec));
    }
    return code;
}
pid_t waitpid(pid_t process, int *status, int options)
{
    struct rusage used;
    pid_t ended = wait4(process, status, options, &used);
    if (ended > 0)
        children += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return ended;
}
"""

DETECTORS = {"padim": {}, "patchcore": {}, "spade": {}, "stpm": {"epochs": 2}, "cfa": {"epochs": 1}}


def write_plan(path, shared):
    plan = {
        "plan": 1,
        "datasets": {"mvtec_ad": {"root": shared + "/data/mvtec_ad", "categories": ["transistor"]},
                     "mtd": {"root": shared + "/data/mtd"}},
        "defaults": {"backbone": "resnet18", "weights": "random", "options": {"resize": 128, "crop": 128}},
        "detectors": {name: {"options": options} for name, options in DETECTORS.items()},
        "settings": [{"setting": "fewshot", "options": {"shots": [8]}}, {"setting": "unsupervised"}],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(plan, file)


class Runs:
    def __init__(self, program, folder, processor):
        self.program, self.folder = program, folder
        self.environment = dict(os.environ, OMP_NUM_THREADS="1")
        self.processor = processor
        if processor:
            with open(folder + "/clock.c", "w", encoding="utf-8") as file:
                file.write(CLOCK)
            subprocess.run(["cc", "-shared", "-fPIC", "-o", "clock.so", "clock.c"], cwd=folder, check=True)
            self.environment["LD_PRELOAD"] = folder + "/clock.so"

    def seconds(self, words):
        before = os.times()
        subprocess.run([self.program, *words, "--threads", "1"], cwd=self.folder, env=self.environment, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        if self.processor:
            return after.children_user + after.children_system - before.children_user - before.children_system
        return after.elapsed - before.elapsed

    def of_cell(self, *words):
        command = ["run", "plan.json", *words]
        return self.seconds(command) - self.seconds(command)

    def estimates(self):
        """{(detector, category): seconds} of what is still to be run."""
        text = subprocess.run([self.program, "estimate", "plan.json", "--cells", "--threads", "1"], cwd=self.folder,
                              env=self.environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        return {(name, category): float(seconds) for seconds, name, category in
                re.findall(r"^ *([0-9.]+) s .*GB  (\w+) on (\w+) of ", text, re.MULTILINE)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("shared")
    parser.add_argument("--processor", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imiad-estimates-") as folder:
        write_plan(folder + "/plan.json", os.path.abspath(arguments.shared))
        runs = Runs(os.path.abspath(arguments.program), folder, arguments.processor)
        runs.seconds(["run", "plan.json", "--setting", "fewshot"])
        expected = runs.estimates()
        print(f"{'detector':12} {'category':12} {'estimated':>10} {'took':>10} {'took more':>10}")
        for dataset, category in (("mvtec_ad", "transistor"), ("mtd", "mtd")):
            for name in DETECTORS:
                took = runs.of_cell("--setting", "unsupervised", "--dataset", dataset, "--detector", name)
                said = expected[name, category]
                print(f"{name:12} {category:12} {said:10.1f} {took:10.1f} {took / said:10.2f}", flush=True)


if __name__ == "__main__":
    main()
