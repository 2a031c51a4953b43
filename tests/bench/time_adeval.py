"""The same maps through ADEval, which counts scores into 1,000 bins.

    time_adeval.py FOLDER SIZE OUR_WALL OUR_CPU THREADS ROUNDS

FOLDER/maps holds float32 and FOLDER/masks bytes, SIZE x SIZE a map; bench_metrics.c writes them. Both of
its ways: the accumulator, which takes one map at a time and must be told the range of the scores, and
the function, which finds the range in a pass of its own. Needs adeval, numpy below 2 and OpenCV.
"""
import resource
import statistics
import sys
import time

import cv2
import numpy
from adeval import EvalAccumulator, auroc_and_aupr, auroc_aupr_aupro


def accumulate(maps, masks):
    low, high = float(maps.min()), float(maps.max())
    begin, begin_cpu = time.perf_counter(), time.process_time()
    accumulator = EvalAccumulator(low, high)
    for anomaly_map, mask in zip(maps, masks):
        accumulator.add_anomap(anomaly_map, mask)
        accumulator.add_image(anomaly_map.max(), mask.any())
    found = accumulator.summary()
    took = time.perf_counter() - begin, time.process_time() - begin_cpu
    return took, [found[name] for name in ("i_auroc", "i_aupr", "p_auroc", "p_aupr", "p_aupro")]


def at_once(maps, masks):
    begin, begin_cpu = time.perf_counter(), time.process_time()
    images = auroc_and_aupr(maps.max((1, 2)), masks.any((1, 2)))
    pixels = auroc_aupr_aupro(list(maps), list(masks))
    return (time.perf_counter() - begin, time.process_time() - begin_cpu), [*images, *pixels]


def main():
    folder, size = sys.argv[1], int(sys.argv[2])
    wall, cpu = float(sys.argv[3]), float(sys.argv[4])
    threads, rounds = int(sys.argv[5]), int(sys.argv[6])
    cv2.setNumThreads(threads)
    maps = numpy.fromfile(folder + "/maps", numpy.float32).reshape(-1, size, size)
    masks = numpy.fromfile(folder + "/masks", numpy.uint8).reshape(-1, size, size)
    for name, compute in ("accumulator", accumulate), ("at once", at_once):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        walls, cpus = [], []
        for _ in range(rounds):
            took, values = compute(maps, masks)
            walls.append(took[0])
            cpus.append(took[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f"ADEval, {name}: {statistics.median(walls):.2f} s, {statistics.median(cpus):.2f} s of "
            f"processor, {peak / 1024:.0f} MiB above all maps and masks: "
            f"{statistics.median(walls) / wall:.1f} times ours, by processor time "
            f"{statistics.median(cpus) / cpu:.1f} times; image AUROC {values[0]:.6f}, AP "
            f"{values[1]:.6f}, pixel AUROC {values[2]:.6f}, AP {values[3]:.6f}, AUPRO {values[4]:.6f}"
        )


main()
