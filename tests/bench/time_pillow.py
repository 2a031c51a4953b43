"""time_pillow.py FILE SIZE ROUNDS Pillow|OpenCV: median seconds of the processor to decode FILE and to resize it.

Pillow resizes bilinearly, which averages when it shrinks; OpenCV by area, its way of doing so.
"""
import statistics
import sys
import time


def pillow(path, size):
    from PIL import Image

    begin = time.process_time()
    image = Image.open(path)
    image.load()
    decoded = time.process_time()
    image.resize((size, size), Image.BILINEAR)
    return decoded - begin, time.process_time() - decoded


def opencv(path, size):
    import cv2

    cv2.setNumThreads(1)
    begin = time.process_time()
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    decoded = time.process_time()
    cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return decoded - begin, time.process_time() - decoded


path, size, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
way = {"Pillow": pillow, "OpenCV": opencv}[sys.argv[4]]
times = [way(path, size) for _ in range(rounds + 1)][1:]
print(*(statistics.median(each) for each in zip(*times)))
