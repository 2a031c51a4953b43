"""imiad.metrics beside scikit-learn on the same arrays: values and times.

    IMIAD_LIBRARY=build/lib/libimiad.so.0 PYTHONPATH=build/bindings/python \\
        python3 tests/bench/time_python_metrics.py [MAPS] [SIDE]

Smooth procedural maps from a seed, one square defect in every second one.
"""
import sys
import time

import numpy as np
from scipy import ndimage
from sklearn import metrics as reference

from imiad import metrics


def seconds(work):
    begin = time.perf_counter()
    value = work()
    return value, time.perf_counter() - begin


def main():
    count, side = (int(word) for word in (sys.argv[1:] + ["20", "256"][len(sys.argv) - 1:]))
    random = np.random.default_rng(0)
    masks = np.zeros((count, side, side), bool)
    for mask in masks[::2]:
        y, x = random.integers(0, side * 3 // 4, 2)
        mask[y:y + side // 6, x:x + side // 5] = True
    drawn = random.standard_normal(masks.shape) * 4 + masks
    smooth = np.stack([ndimage.gaussian_filter(one, 4) for one in drawn])
    for kind in (np.float32, np.float64):
        maps = smooth.astype(kind)
        for name, ours, theirs in [("AUROC", metrics.auroc, reference.roc_auc_score),
                                   ("AP", metrics.average_precision, reference.average_precision_score)]:
            value, mine = min((seconds(lambda: ours(masks, maps)) for _ in range(3)), key=lambda at: at[1])
            expected, its = seconds(lambda: theirs(masks.ravel(), maps.ravel()))
            print(f"{name:5} of {count} maps of {side} x {side}, {np.dtype(kind).name}: "
                  f"imiad {mine:.4f} s, scikit-learn {its:.4f} s: {its / mine:.1f} times; "
                  f"values differ by {abs(value - expected):.1e}")
        value, mine = seconds(lambda: metrics.aupro(masks, maps))
        print(f"AUPRO of the same: {value:.6f}, {mine:.4f} s")


main()
