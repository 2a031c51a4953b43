"""The same maps through scikit-learn, and the region-overlap area by one global sort with NumPy.

    metrics_reference.py FOLDER SIZE OUR_WALL OUR_CPU [THREADS ROUNDS]

FOLDER/maps holds float32 and FOLDER/masks bytes, SIZE x SIZE a map; bench_metrics.c writes them. One
round on one thread: it takes minutes.
"""
import resource
import sys
import time

import numpy
from scipy import ndimage
from sklearn import metrics


def aupro(maps, masks, limit):
    """MVTec's definition: every pixel weighs, all scores sorted, groups of ties merged."""
    gain = numpy.zeros(maps.shape)
    regions = 0
    for i, mask in enumerate(masks):
        labels, count = ndimage.label(mask, numpy.ones((3, 3)))
        areas = numpy.bincount(labels.ravel())
        areas[0] = 1
        gain[i] = numpy.where(labels > 0, 1.0 / areas[labels], 0)
        regions += count
    order = numpy.argsort(-maps, axis=None, kind="stable")
    scores = maps.ravel()[order]
    normal = (masks.ravel() == 0)[order]
    rate = numpy.cumsum(normal) / normal.sum()
    overlap = numpy.cumsum(gain.ravel()[order]) / regions
    last = numpy.append(scores[1:] != scores[:-1], True)
    rate = numpy.append(0, rate[last])
    overlap = numpy.append(0, overlap[last])
    cut = numpy.searchsorted(rate, limit)
    top = numpy.interp(limit, rate[cut - 1 : cut + 1], overlap[cut - 1 : cut + 1])
    rate = numpy.append(rate[:cut], limit)
    overlap = numpy.append(overlap[:cut], top)
    return numpy.trapz(overlap, rate) / limit


def main():
    folder, size = sys.argv[1], int(sys.argv[2])
    wall, cpu = float(sys.argv[3]), float(sys.argv[4])
    maps = numpy.fromfile(folder + "/maps", numpy.float32).reshape(-1, size, size)
    masks = numpy.fromfile(folder + "/masks", numpy.uint8).reshape(-1, size, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    all_wall = all_cpu = 0
    for name, compute in [
        ("pixel AUROC", lambda: metrics.roc_auc_score(masks.ravel() != 0, maps.ravel())),
        ("pixel AP", lambda: metrics.average_precision_score(masks.ravel() != 0, maps.ravel())),
        ("AUPRO 0.3", lambda: aupro(maps, masks, 0.3)),
    ]:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        value = compute()
        took, took_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        all_wall += took
        all_cpu += took_cpu
        print(f"reference {name:12s} {value:.12f}  {took:.2f} s, {took_cpu:.2f} s of processor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"reference: {all_wall:.2f} s, {all_cpu:.2f} s of processor, "
        f"{(peak - before) / 1024:.0f} MiB above maps and masks: "
        f"{all_wall / wall:.0f} times ours, by processor time {all_cpu / cpu:.0f} times"
    )


if __name__ == "__main__":
    main()
