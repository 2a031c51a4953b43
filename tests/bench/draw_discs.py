#!/usr/bin/env python3
"""The toy of GCAD's paper, in the layout of MVTec AD: one black disc at any place on a white ground.

    draw_discs.py FOLDER [SIDE [TRAIN [TEST]]]    256 pixels, 1000 images to train with, 100 of each kind to test

Test images have one black disc (good), one of another colour (coloured) or a second black one (second) that lies so far
away that no patch of 33 pixels at 256 sees both. Sizes are those of an image of 256 pixels, scaled. The ground is drawn
from 247 to 255 and smoothed with sigma 1.5. Needs numpy, scipy and Pillow.
"""
import os
import sys

import numpy
from PIL import Image
from scipy.ndimage import gaussian_filter

COLOURS = [(220, 40, 40), (40, 160, 60), (40, 70, 210), (230, 160, 30)]


def place(random, side, radius, others):
    while True:
        at = random.uniform(radius + 1, side - radius - 1, 2)
        if all(numpy.hypot(*(at - o)) > 2 * radius + 36 * side / 256 for o in others):
            return at


def draw(random, side, kind):
    radius = 16 * side / 256
    ground = gaussian_filter(random.uniform(247, 255, (side, side)), 1.5)
    image = numpy.repeat(ground[:, :, None], 3, 2)
    rows, columns = numpy.mgrid[:side, :side]
    centres, defect = [], numpy.zeros((side, side), bool)
    for i in range(2 if kind == "second" else 1):
        centres.append(place(random, side, radius, centres))
        disc = numpy.hypot(rows - centres[-1][0], columns - centres[-1][1]) <= radius
        image[disc] = COLOURS[random.integers(len(COLOURS))] if kind == "coloured" else 0
        if kind != "good":
            defect |= disc
    return image.round().astype(numpy.uint8), defect


def main():
    folder = sys.argv[1]
    side, train, test = [int(a) for a in sys.argv[2:]] + [256, 1000, 100][len(sys.argv) - 2:]
    random = numpy.random.default_rng(0)
    for part, kind, count in (("train", "good", train), ("test", "good", test), ("test", "coloured", test),
                              ("test", "second", test)):
        for i in range(count):
            image, defect = draw(random, side, kind)
            for where, pixels, name in ((part, image, f"{i:03}.png"),
                                        ("ground_truth", defect.astype(numpy.uint8) * 255, f"{i:03}_mask.png")):
                if where == "ground_truth" and kind == "good":
                    continue
                path = os.path.join(folder, "discs", where, kind)
                os.makedirs(path, exist_ok=True)
                Image.fromarray(pixels).save(os.path.join(path, name))


if __name__ == "__main__":
    main()
