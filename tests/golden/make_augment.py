#!/usr/bin/python3
"""Prints augment.csv: SHA-256 of procedural images that Pillow augmented, by nearest neighbour.

    tests/golden/make_augment.py > tests/golden/augment.csv

The inputs are those of make_resize.py. `augmentation` is lib/image/augment.h's text. Rotations are
Image.rotate; scale, translate and perspective are Image.transform with the matrix of the definition
in augment.h, for corners that put no pixel's centre on the border of two; flips are
Image.transpose; jitter is ImageEnhance, brightness before contrast. The digest is that of the rows'
bytes. The committed table was made with the Pillow of its first line.
"""
import hashlib

import numpy
import PIL
from PIL import Image, ImageEnhance

from make_resize import procedural

SIZES = [(224, 224), (256, 256), (1, 1), (2, 3), (97, 61), (60, 131)]
AUGMENTATIONS = (
    [f"rotation {angle}" for angle in (0, 72, 144, 216, 288, 45, 90, 180, 270, 51.428571, -72, 360)]
    + [f"rotations {count} 5" for count in (1, 2, 3, 4, 5, 6, 11)]
    + ["flip 0 0", "flip 1 0", "flip 0 1", "flip 1 1"]
    + [f"scale {factor}" for factor in (1, 0.875, 0.75, 0.625, 0.5, 1.5, 3)]
    + ["translate 0 0", "translate 0.125 -0.25", "translate -0.3 0.017", "translate 0.5 0.5",
       "translate 1 0"]
    + ["color_jitter 1 1", "color_jitter 0.5 1.5", "color_jitter 1.5 0.5", "color_jitter 0 0",
       "color_jitter 1.234567 0.765432"]
    + ["perspective 0 0 0 0 0 0 0 0", "perspective 0.101317 0.053171 0.2471 0.003719 0.031771 0.200713 0.071973 0.125311",
       "perspective 0.249713 0.249171 0.2491 0.249377 0.249533 0.249171 0.249901 0.249659",
       "perspective 0.000131 0.000717 0.201377 0.203911 0.000171 0.000311 0.197131 0.199177"]
)


def rotations(image, count, parts):
    for i in reversed(range(int(count))):
        image = image.rotate(-round(360 * (i % parts) / parts, 6))
    return image


def flip(image, horizontal, vertical):
    image = image.transpose(Image.FLIP_LEFT_RIGHT) if horizontal else image
    return image.transpose(Image.FLIP_TOP_BOTTOM) if vertical else image


def scale(image, factor):
    step, x, y = 1 / factor, image.width * 0.5, image.height * 0.5
    matrix = (step, 0, step * -x + x, 0, step, step * -y + y)
    return image.transform(image.size, Image.AFFINE, matrix, Image.NEAREST)


def translate(image, right, down):
    moved = round(right * image.width), round(down * image.height)
    return image.transform(image.size, Image.AFFINE, (1, 0, -moved[0], 0, 1, -moved[1]),
                           Image.NEAREST)


def color_jitter(image, brightness, contrast):
    return ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(brightness)).enhance(contrast)


def perspective(image, *moved):
    w, h = image.size
    corners = [(0, 0, 1, 1), (w, 0, -1, 1), (w, h, -1, -1), (0, h, 1, -1)]
    equations, values = [], []
    for i, (x, y, inwards_x, inwards_y) in enumerate(corners):
        to_x, to_y = x + inwards_x * moved[2 * i] * w, y + inwards_y * moved[2 * i + 1] * h
        equations.append([to_x, to_y, 1, 0, 0, 0, -x * to_x, -x * to_y])
        equations.append([0, 0, 0, to_x, to_y, 1, -y * to_x, -y * to_y])
        values += [x, y]
    matrix = numpy.linalg.solve(numpy.array(equations, float), numpy.array(values, float))
    return image.transform(image.size, Image.PERSPECTIVE, matrix, Image.NEAREST)


FUNCTIONS = {"rotation": lambda image, angle: image.rotate(angle), "rotations": rotations,
             "flip": flip, "scale": scale, "translate": translate, "color_jitter": color_jitter,
             "perspective": perspective}


def main():
    print(f"# Pillow {PIL.__version__}; made by make_augment.py")
    print("augmentation,mode,width,height,sha256")
    for text in AUGMENTATIONS:
        name, *values = text.split(" ")
        for width, height in SIZES:
            for mode, channels in (("L", 1), ("RGB", 3)):
                if name == "color_jitter" and mode == "L":
                    continue
                pixels = procedural(width, height, channels)
                image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode)
                result = FUNCTIONS[name](image, *map(float, values))
                digest = hashlib.sha256(numpy.asarray(result).tobytes()).hexdigest()
                print(f"{text},{mode},{width},{height},{digest}")


if __name__ == "__main__":
    main()
