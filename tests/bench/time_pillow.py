#!/usr/bin/python3
"""time_pillow.py FILE SIZE ROUNDS: Pillow's best seconds to decode FILE and to resize it."""
import sys
import time

from PIL import Image

path, size, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
decode = resize = float("inf")
for _ in range(rounds):
    t0 = time.perf_counter()
    image = Image.open(path)
    image.load()
    t1 = time.perf_counter()
    image.resize((size, size), Image.BILINEAR)
    t2 = time.perf_counter()
    decode, resize = min(decode, t1 - t0), min(resize, t2 - t1)
print(decode, resize)
