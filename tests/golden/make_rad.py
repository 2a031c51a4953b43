#!/usr/bin/env python3
"""Golden values of RAD from the authors' code.

    tests/golden/make_rad.py RAD > tests/golden/rad.csv

RAD is a checkout of github.com/longkukuhi/RAD (59847f4): its evaluation is run on tokens of two
layers that this script and tests/detectors/test_rad.c both compute (`noise`), 5 images to learn
from and 2 to score, 6 x 6 tokens of 16 values, with each of `CASES`. Its network, its files and its
metrics are replaced; what it makes of the tokens is its own.

    grid,CASE,IMAGE,VALUES      before they are enlarged
    map,CASE,IMAGE,NORM,SAMPLES at 48 x 48, finished
    score,CASE,IMAGE,VALUE

Needs torch.
"""
import pathlib
import sys
import types
import unittest.mock

import numpy
import torch

from formula import noise

SIDE, CHANNELS, LAYERS, TRAIN, TEST, PIXELS = 6, 16, 2, 5, 2, 48
CASES = {
    "near": dict(k_image=2, use_positional_bank=True, pos_radius=1, max_ratio=0.01),
    "same": dict(k_image=5, use_positional_bank=True, pos_radius=0, max_ratio=0.01),
    "anywhere": dict(k_image=3, use_positional_bank=False, max_ratio=0.0),
    "weighted": dict(k_image=1, use_positional_bank=True, pos_radius=2, max_ratio=0.1,
                     layer_weights=[1.0, 3.0]),
}


def patches(layer, image):
    """What all images have at a place, and something of their own: places x CHANNELS."""
    count = SIDE * SIDE * CHANNELS
    values = noise(count, 100 * layer + 1) + 0.5 * noise(count, 1000 * (image + 1) + layer)
    return torch.from_numpy(values.astype(numpy.float32).reshape(SIDE * SIDE, CHANNELS))


def whole(layer, image):
    return torch.from_numpy(noise(CHANNELS, 7000 + 10 * image + layer).astype(numpy.float32))


class Network:
    def eval(self):
        return self

    def get_intermediate_layers(self, images, **_):
        image = int(images[0])
        return [(patches(layer, image)[None], whole(layer, image)[None]) for layer in range(LAYERS)]


def import_code(path):
    for name in ("dataset", "dinov3", "dinov3.hub", "dinov3.hub.backbones", "matplotlib",
                 "matplotlib.pyplot", "torchvision", "torchvision.datasets", "sklearn",
                 "sklearn.metrics"):
        sys.modules[name] = unittest.mock.MagicMock()
    kernel = (pathlib.Path(path) / "utils.py").read_text().split("def get_gaussian_kernel")[1]
    utils = types.ModuleType("utils")
    exec("import math, torch\ndef get_gaussian_kernel" + kernel.split("\ndef ")[0], utils.__dict__)
    utils.compute_pro = utils.f1_score_max = lambda *_: 0
    sys.modules["utils"] = utils
    sys.path.insert(0, path)
    import rad_mvtec_visa_3dadam as code
    return code


def line(*fields):
    print(",".join(f if isinstance(f, str) else f"{f:.9g}" for f in fields))


def run(code, name, how):
    seen = {"grid": [], "map": [], "lists": []}
    kernel, enlarge = code.get_gaussian_kernel, torch.nn.functional.interpolate

    def gaussian(**sizes):
        blur = kernel(**sizes)

        class Seen:
            def to(self, _):
                return self

            def __call__(self, maps):
                out = blur(maps)
                seen["map"].append(out[0, 0].detach().double())
                return out
        return Seen()

    def interpolate(x, **sizes):
        if sizes["mode"] == "bilinear":
            seen["grid"].append(x[0, 0].double())
        return enlarge(x, **sizes)

    code.roc_auc_score = lambda _, found: seen["lists"].append(numpy.asarray(found)) or 0
    code.get_gaussian_kernel, code.F.interpolate = gaussian, interpolate
    images = [(torch.tensor([float(TRAIN + i)]), torch.zeros(1, 1, PIXELS, PIXELS), torch.tensor([i]),
               [""]) for i in range(TEST)]
    code.eval_patch_knn_multilayer_cluster(
        Network(), list(range(LAYERS)),
        [torch.stack([whole(layer, i) for i in range(TRAIN)]) for layer in range(LAYERS)],
        [torch.stack([patches(layer, i) for i in range(TRAIN)]) for layer in range(LAYERS)],
        images, "cpu", resize_mask=PIXELS, **how)
    code.get_gaussian_kernel, code.F.interpolate = kernel, enlarge
    for i in range(TEST):
        line("grid", name, str(i), *seen["grid"][i].flatten().tolist())
        found = seen["map"][i].flatten()
        line("map", name, str(i), float(found.norm()), *found[::97].tolist())
        line("score", name, str(i), float(seen["lists"][-1][i]))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    code = import_code(sys.argv[1])
    for name, how in CASES.items():
        run(code, name, how)


if __name__ == "__main__":
    main()
