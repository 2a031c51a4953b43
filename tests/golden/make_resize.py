#!/usr/bin/python3
"""Prints resize.csv: SHA-256 of procedural images that Pillow resized.

    tests/golden/make_resize.py > tests/golden/resize.csv

Pixel (x, y) of channel c is (3 x^2 + 5 y^2 + 7 x y + 13 (x xor y) + 41 c) mod 256, so that any
program can make the inputs. `filter` is Pillow's name; the digest is that of the rows' bytes.
The committed table was made with the Pillow that its first line names.
"""
import hashlib

import numpy
import PIL
from PIL import Image

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
SIZES = [
    (1, 1, 1, 1), (1, 1, 7, 5), (7, 5, 1, 1), (1, 9, 4, 3), (9, 1, 3, 4), (2, 2, 3, 3),
    (3, 3, 2, 2), (5, 7, 7, 5), (8, 8, 8, 16), (8, 8, 16, 8), (16, 16, 16, 5), (16, 16, 5, 16),
    (31, 17, 32, 18), (32, 18, 31, 17), (33, 29, 256, 224), (64, 48, 63, 47), (100, 75, 224, 224),
    (256, 256, 224, 224), (248, 373, 256, 385), (300, 200, 50, 50), (400, 3, 7, 3), (3, 400, 3, 7),
    (511, 257, 255, 129), (640, 480, 341, 256), (700, 700, 256, 256), (1000, 10, 11, 300),
    (1024, 1024, 256, 256), (1024, 768, 341, 256), (1300, 900, 31, 21), (2000, 20, 1999, 21),
]


def procedural(width, height, channels):
    x, y, c = numpy.meshgrid(numpy.arange(width), numpy.arange(height), numpy.arange(channels),
                             indexing="xy")
    pixels = 3 * x * x + 5 * y * y + 7 * x * y + 13 * (x ^ y) + 41 * c
    return (pixels & 255).astype(numpy.uint8)


def main():
    print(f"# Pillow {PIL.__version__}; made by make_resize.py")
    print("filter,mode,width,height,new_width,new_height,sha256")
    for mode, channels in CHANNELS.items():
        for width, height, new_width, new_height in SIZES:
            pixels = procedural(width, height, channels)
            image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode)
            names = {"L": ("BILINEAR", "NEAREST", "BICUBIC"), "RGB": ("BILINEAR", "BICUBIC")}
            for name in names.get(mode, ("BILINEAR",)):
                resized = image.resize((new_width, new_height), getattr(Image, name))
                digest = hashlib.sha256(numpy.asarray(resized).tobytes()).hexdigest()
                print(f"{name},{mode},{width},{height},{new_width},{new_height},{digest}")


if __name__ == "__main__":
    main()
