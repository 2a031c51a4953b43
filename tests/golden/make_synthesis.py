#!/usr/bin/python3
"""Prints synthesis.csv: what the public codes draw, with random numbers of the library's streams.

    tests/golden/make_synthesis.py DRAEM CUTPASTE MEMSEG > tests/golden/synthesis.csv

DRAEM, CUTPASTE and MEMSEG are clones of VitjanZ/DRAEM, Runinho/pytorch-cutpaste and TooTouch/MemSeg.
Beside them it needs imgaug 0.4.0, OpenCV, Pillow, torch and torchvision (and einops, for MemSeg).
Their random functions are replaced by ones that read the stream SEED, "synthesis/KIND", in the order
in which lib/synthesis reads it. Images are those of make_resize.py; a digest is SHA-256 of the rows'
bytes. Colours that go through another space are listed in full, as hexadecimal digits: where OpenCV
keeps rounded tables of it, they agree within a tolerance only.
"""
import hashlib
import math
import sys

import numpy as np

np.bool, np.int, np.float, np.complex, np.object = bool, int, float, complex, object  # for imgaug

import imgaug.augmenters as iaa  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torchvision.transforms import functional  # noqa: E402

from draw import below, numbers  # noqa: E402
from make_resize import procedural  # noqa: E402


class Stream:
    def __init__(self, seed, kind):
        self.numbers = numbers(seed, f"synthesis/{kind}")

    def real(self):
        return (next(self.numbers) >> 11) * 2.0**-53

    def uniform(self, low, high):
        return low + (high - low) * self.real()

    def below(self, bound):
        return below(self.numbers, bound)

    def shuffled(self, count):
        order = list(range(count))
        for i in range(count, 1, -1):
            j = self.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]
        return order

    def jitter(self, image):
        """ColorJitter(0.1, 0.1, 0.1, 0.1) of torchvision."""
        order, values = self.shuffled(4), [self.uniform(-0.1, 0.1) for _ in range(4)]
        adjust = [functional.adjust_brightness, functional.adjust_contrast,
                  functional.adjust_saturation, functional.adjust_hue]
        for i in order:
            image = adjust[i](image, values[i] + (0 if i == 3 else 1))
        return image


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


# ---- CutPaste ----

class Torch:
    """Of torch what the code draws a patch with."""
    log, exp, tensor = torch.log, torch.exp, torch.tensor

    def __init__(self, stream):
        self.stream = stream

    def empty(self, _):
        class Empty:
            uniform_ = lambda _, a, b: torch.tensor([self.stream.uniform(float(a), float(b))])
        return Empty()


def watch_paste(stream, image):
    """The image, which notes where it is cut and pasted."""
    noted = {}

    class Watched(Image.Image):
        def crop(self, box):
            noted["cut"] = [round(v) for v in box]
            return super().crop(box)

        def copy(self):
            made = super().copy()
            paste = made.paste

            def note(piece, place, mask=None):
                noted["to"] = place[:2]
                paste(piece, place, mask)
            made.paste = note
            return made

    image.__class__ = Watched
    return noted


def run_patch(cutpaste, seed, width, height):
    stream = Stream(seed, "patch")
    cutpaste.random.uniform, cutpaste.torch = stream.uniform, Torch(stream)
    image = Image.fromarray(procedural(width, height, 3))
    noted = watch_paste(stream, image)
    made = cutpaste.CutPasteNormal()
    made.colorJitter = stream.jitter
    _, pasted = made(image)
    x, y, right, below_ = noted["cut"]
    print("patch", seed, width, height, x, y, right - x, below_ - y, *noted["to"], digest(pasted),
          sep=",")


def scar_places(stream, side):
    """Where the turned strip goes: the code takes its width for its height, which the library does
    not; so the script gives it the places."""
    width, height = stream.uniform(2, 16), stream.uniform(10, 25)
    y, x = int(stream.uniform(0, side - height)), int(stream.uniform(0, side - width))
    strip = Image.new("RGB", (round(x + width) - x, round(y + height) - y))
    stream.jitter(strip)
    turned = strip.convert("RGBA").rotate(stream.uniform(-45, 45), expand=True)
    return (int(stream.uniform(0, side - turned.size[1])),
            int(stream.uniform(0, side - turned.size[0])))


def run_scar(cutpaste, seed, side):
    stream, places = Stream(seed, "scar"), scar_places(Stream(seed, "scar"), side)
    calls = []

    def uniform(low, high):
        calls.append(0)
        return places[len(calls) - 6] if len(calls) > 5 else stream.uniform(low, high)

    cutpaste.random.uniform = uniform
    image = Image.fromarray(procedural(side, side, 3))
    noted = watch_paste(stream, image)
    made = cutpaste.CutPasteScar()
    made.colorJitter = stream.jitter
    _, pasted = made(image)
    x, y, right, below_ = noted["cut"]
    print("scar", seed, side, side, x, y, right - x, below_ - y, *noted["to"], digest(pasted), sep=",")


# ---- imgaug's operations ----

def exact_augmenters():
    for factors in ((0.5, 1, 2), (0.77, 1.31, 1.93)):
        tables = [iaa.GammaContrast(f).augment_image for f in factors]
        yield 0, factors, lambda image, t=tables: np.dstack(
            [t[c](image[:, :, c:c + 1]) for c in range(3)])
    for factor in (0.0, 0.35, 1.0, 1.62, 2.0):
        yield 2, [factor], iaa.pillike.EnhanceSharpness(factor).augment_image
    for threshold in (32, 77, 127):
        yield 4, [threshold], iaa.Solarize(1.0, threshold=threshold).augment_image
    for bits in (1, 3, 7, 8):
        yield 5, [bits], iaa.Posterize(bits).augment_image
    yield 6, [0], iaa.Invert(1.0).augment_image
    for cutoff in (0, 1, 13, 20):
        yield 7, [cutoff], iaa.pillike.Autocontrast(cutoff).augment_image
    yield 8, [0], iaa.pillike.Equalize().augment_image
    for degrees in (-45, -12.345, 0, 33.3, 45, 90):
        yield 9, [degrees], iaa.Affine(rotate=degrees).augment_image


SPACES = ["YCrCb", "HSV", "HLS", "Lab", "Luv", "YUV"]
TOLERANCE = {"Lab": 16, "Luv": 16}


def color_augmenters():
    for space, name in enumerate(SPACES):
        for factor, summand, adds_first in ((0.8, 30, 1), (1.17, -22, 0), (1.0, 0, 0)):
            both = [iaa.Multiply(factor), iaa.Add(summand)]
            yield (1, [space, factor, summand, adds_first], TOLERANCE.get(name, 0),
                   iaa.WithBrightnessChannels(iaa.Sequential(both[::-1] if adds_first else both),
                                              to_colorspace=[name]).augment_image)
    for hue, saturation in ((-50, 50), (33, -17), (0, 0), (50, 0)):
        yield (3, [hue, saturation], 0, iaa.Sequential(
            [iaa.AddToHueAndSaturation(value_hue=hue, value_saturation=saturation)]).augment_image)


def run_augmenters():
    for kind, values, augment in exact_augmenters():
        for width, height in ((64, 64), (133, 57)):  # below 64 x 64, imgaug equalizes by Pillow
            image = procedural(width, height, 3)
            print("augmenter", kind, *(list(values) + [0] * 4)[:4], width, height, 0,
                  digest(augment(image.copy())), sep=",")
    for kind, values, tolerance, augment in color_augmenters():
        made = augment(procedural(12, 9, 3))
        print("augmenter", kind, *(list(values) + [0] * 4)[:4], 12, 9, tolerance,
              made.tobytes().hex(), sep=",")


# ---- Perlin noise ----

def angles(perlin, stream):
    def rand(rows, columns):
        return np.array([[stream.uniform(0, 2 * math.pi) / (2 * math.pi) for _ in range(columns)]
                         for _ in range(rows)])
    perlin.np.random.rand = rand


def run_noise(perlin):
    for seed, (rows, columns, width, height) in enumerate(
            [(1, 1, 256, 256), (4, 32, 256, 256), (32, 32, 256, 256), (2, 8, 96, 64)]):
        angles(perlin, Stream(seed, "noise"))
        noise = perlin.rand_perlin_2d_np((height, width), (rows, columns))
        places = [(y, x) for y in range(3, height, height // 5) for x in range(1, width, width // 4)]
        print("noise", seed, rows, columns, width, height,
              ";".join(f"{noise[p]:.17g}" for p in places), sep=",")


def run_masks(perlin):
    for seed in range(24):
        stream = Stream(seed, "mask")
        rows, columns = 2 ** stream.below(6), 2 ** stream.below(6)
        angles(perlin, stream)
        noise = perlin.rand_perlin_2d_np((256, 256), (rows, columns))
        noise = iaa.Affine(rotate=stream.uniform(-90, 90))(image=noise)
        mask = np.where(noise > 0.5, 255, 0).astype(np.uint8)
        print("mask", seed, int((mask > 0).sum()), digest(mask), sep=",")


# ---- blending ----

def run_blend(loader, perlin):
    """DRAEM's own augment_image up to the damaged image, of injected mask, texture and beta."""
    stream = Stream(0, "blend")
    image, texture = procedural(32, 24, 3), procedural(32, 24, 3)[::-1, ::-1].copy()
    mask = (procedural(32, 24, 1)[:, :, 0] > 127).astype(np.float64)
    data = loader.MVTecDRAEMTrainDataset.__new__(loader.MVTecDRAEMTrainDataset)
    data.resize_shape = [24, 32]
    data.randAugmenter = lambda: lambda image: image
    data.rot = lambda image: image
    loader.cv2.imread = lambda _: texture
    loader.rand_perlin_2d_np = lambda shape, cells: mask
    beta = np.float32(stream.real())
    drawn = [torch.tensor([beta]), torch.tensor([0.0])]
    loader.torch.rand = lambda _: drawn.pop(0)
    clean = image.astype(np.float32) / 255.0
    damaged, _, _ = data.augment_image(clean, "")
    print("blend", repr(float(beta)), ";".join(f"{v:.9g}" for v in damaged.ravel()[::17]), sep=",")


def run_memseg(dataset):
    data = dataset.MemSegDataset.__new__(dataset.MemSegDataset)
    image = procedural(64, 48, 3)
    for threshold, brighter in ((100, False), (100, True), (180, False)):
        data.bg_threshold, data.bg_reverse = threshold, brighter
        mask = data.generate_target_foreground_mask(image).astype(np.uint8) * 255
        print("foreground", threshold, int(brighter), digest(mask), sep=",")
    stream = Stream(0, "parts")
    data.structure_grid_size, data.rand_augment = 8, lambda: lambda image: image
    order = np.array(stream.shuffled(64))

    def shuffle(values):
        values[:] = order
    dataset.np.random.shuffle = shuffle
    square = procedural(48, 48, 3)
    print("parts", 0, digest(data._structure_source(square).astype(np.uint8)), sep=",")
    run_memseg_blend(data, dataset)


def run_memseg_blend(data, dataset):
    image, texture = procedural(48, 48, 3), procedural(48, 48, 3)[::-1].copy()
    data.use_mask, data.resize, data.transparency_range = False, [48, 48], [0.15, 1.0]
    data.generate_perlin_noise_mask = lambda img_size: (procedural(48, 48, 1)[:, :, 0] > 99) * 1.0
    data.anomaly_source = lambda img, texture_img_list: texture.astype(np.float32)
    for opacity in (0.15, 0.4321, 1.0):
        dataset.np.random.uniform = lambda low, high, size, o=opacity: [o]
        made, _ = data.generate_anomaly(image, None)
        print("memseg", opacity, digest(made), sep=",")


def main():
    draem, cutpaste_folder, memseg = sys.argv[1:]
    sys.path[:0] = [draem, cutpaste_folder]
    import cutpaste
    import data_loader
    import perlin
    print("# what the public codes draw; made by make_synthesis.py")
    for seed in range(12):
        run_patch(cutpaste, seed, *((64, 64), (100, 100), (256, 256))[seed % 3])
        run_scar(cutpaste, seed, (64, 100, 256)[seed % 3])
    run_augmenters()
    for degrees in (-90, -37.5, 0.5, 88):
        image = procedural(50, 40, 3)
        print("rotate", degrees, digest(iaa.Affine(rotate=degrees)(image=image)), sep=",")
    run_noise(perlin)
    run_masks(perlin)
    run_blend(data_loader, perlin)
    sys.path[0] = memseg
    import data.dataset as dataset
    run_memseg(dataset)


if __name__ == "__main__":
    main()
