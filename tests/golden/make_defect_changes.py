#!/usr/bin/env python3
"""Golden values of what labelled defects are changed by, from albumentations and OpenCV.

    tests/golden/make_defect_changes.py > tests/golden/defect_changes.csv

Image and mask are a formula that the test computes too, 48 x 40, for tiles 160 x 128 and red only. A line a change: its
name, 96 values of the image evenly through it, 96 of the mask.

Made with albumentations 1.0.3, opencv-python-headless 4.8.1 and numpy 1.24.
"""
import sys
import unittest.mock

# imported there, and not used
for name in ("skimage", "skimage.exposure", "skimage.measure", "skimage.transform", "imgaug",
             "imgaug.augmenters", "qudida", "sklearn", "sklearn.decomposition", "sklearn.preprocessing"):
    sys.modules[name] = unittest.mock.MagicMock()

import cv2
import numpy
import albumentations.augmentations.functional as functional
from albumentations.augmentations.geometric import functional as geometric

WIDTH, HEIGHT, SAMPLES = 48, 40, 96


def image(width=WIDTH, height=HEIGHT):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3]
    v = 127 + 60 * numpy.sin(0.21 * x + 0.13 * y + c) + 60 * numpy.cos(0.17 * y - 0.11 * x + 2 * c)
    return numpy.rint(v).astype(numpy.uint8)


def mask():
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return ((abs(x - 20) < 9) & (abs(y - 14) < 6)).astype(numpy.uint8) * 255


def line(name, changed, moved):
    values = []
    for a in (changed, moved):
        flat = a.reshape(-1)
        values += [flat[i * (flat.size - 1) // (SAMPLES - 1)] for i in range(SAMPLES)]
    print(",".join([name] + [str(v) for v in values]))


def geometry(name, f):
    linear = dict(interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_REFLECT_101)
    nearest = dict(interpolation=cv2.INTER_NEAREST, border_mode=cv2.BORDER_REFLECT_101)
    line(name, f(image(), linear), f(mask(), nearest))


for k in (-0.8, 0.6):
    geometry(f"lens {k}", lambda v, o: functional.optical_distortion(v, k=k, dx=0, dy=0, **o))
geometry("affine", lambda v, o: geometric.shift_scale_rotate(v, angle=30, scale=1.1, dx=0.05, dy=-0.04, **o))
steps = [0.8, 1.2, 0.9, 1.25, 1.1, 0.75], [1.3, 0.7, 1, 1.1, 0.85, 1.2]
geometry("grid", lambda v, o: functional.grid_distortion(v, num_steps=5, xsteps=steps[0], ysteps=steps[1], **o))
for limit in (1.0, 2.0):
    line(f"tiles {limit:g}", functional.clahe(image(160, 128)[:, :, 0], clip_limit=limit, tile_grid_size=(8, 8)), mask())
kernel = numpy.array([[-1.5, -0.5, 0], [-0.5, 1, 0.5], [0, 0.5, 1.5]]) * 0.4
kernel[1, 1] += 0.6
line("filter", cv2.filter2D(image(), -1, kernel), mask())
line("median", cv2.medianBlur(image(), 3), mask())
