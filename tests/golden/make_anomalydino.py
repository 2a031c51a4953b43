#!/usr/bin/env python3
"""AnomalyDINO of the authors beside the library's.

    tests/golden/make_anomalydino.py golden ANOMALYDINO > tests/golden/anomalydino.csv
    tests/golden/make_anomalydino.py theirs ANOMALYDINO DINOV2 WEIGHTS FOLDER OUT [OPTION=VALUE...]
    tests/golden/make_anomalydino.py ours OUT [OPTION=VALUE...]

ANOMALYDINO is a checkout of github.com/dammsi/AnomalyDINO (b3435f0): its detection, its masks, its
turned images and its maps are run, with FAISS, OpenCV and scikit-learn.

`golden` runs them on tokens that this script and tests/detectors/test_anomalydino.c both compute
(`noise`): 2 images to learn from, 2 to score, 9 x 12 tokens of 16 values, once with each of
`CASES`, at 63 x 84 pixels.

    turned,WIDTH,HEIGHT,DEGREES,SHA256    of the rows of a procedural image (make_resize.py)
    component,WHICH,VALUES                first principal component, largest score positive
    mask,WHICH,SHAPE,TEXT                 1 the object, 0 the background
    tokens,CASE,IMAGE,VALUES              distances
    map,CASE,IMAGE,NORM,SAMPLES           finished
    score,CASE,IMAGE,VALUE

`theirs` runs the whole of the authors' code on a category in MVTec AD's layout (FOLDER) with the
weights of DINOv2 ViT-S/14 (WEIGHTS, .pth, or "random:SEED", which writes them to OUT/weights.pth)
in the authors' network (DINOV2 is a checkout of facebookresearch/dinov2), and `ours` the library on
the same images; they are two because each brings a libtorch of its own. Options: shots=1,
images=3 (of each kind), size=448, rotations=8, masking=0. `ours` prints the largest differences of
tokens, scores, distances and maps, and ends in 1 where one is above 1e-4. The library's Python
package must be on PYTHONPATH. Maps are compared at images of `size` pixels: FOLDER's are resized to that before.

Needs torch, torchvision, numpy, scipy, scikit-learn, tqdm, tifffile, FAISS, OpenCV; `ours` numpy
and Pillow.
"""
import hashlib
import os
import pathlib
import sys
import tempfile
import types
import unittest.mock

import numpy

from formula import noise
from make_resize import procedural

ROWS, COLUMNS, CHANNELS, TRAIN, TEST = 9, 12, 16, 2, 2
HEIGHT, WIDTH, LIMIT = 63, 84, 1e-4
CASES = {
    "plain": dict(),
    "three": dict(knn_neighbors=3),
    "l2": dict(knn_metric="L2", knn_neighbors=2),
    "masked": dict(masking=True),
    "both": dict(masking=True, mask_ref_images=True),
}
SIZES = ((37, 53), (64, 64), (5, 3), (2, 2), (1, 4), (100, 71))


def is_object(which, y, x):
    """In every other image the object is the larger part, so that its component is negative."""
    if which % 2 == 1:
        return x + y < 12
    u, v = (y - (ROWS - 1) / 2) / ROWS, (x - (COLUMNS - 1) / 2) / COLUMNS
    return u * u + v * v < 0.08


def tokens(which):
    """Of the object and of the background, and something of their own: places x CHANNELS."""
    count = ROWS * COLUMNS * CHANNELS
    direction = noise(CHANNELS, 1)
    values = noise(count, 10 + which).reshape(ROWS * COLUMNS, CHANNELS) + 2 * noise(CHANNELS, 2)
    shared = noise(count, 3).reshape(ROWS * COLUMNS, CHANNELS)
    for place in range(ROWS * COLUMNS):
        part = 1 if is_object(which, place // COLUMNS, place % COLUMNS) else -1
        values[place] += (9 * part + 3 * shared[place, 0]) * direction + shared[place]
    return values.astype(numpy.float32)


def import_code(path):
    for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.colors", "src.visualize"):
        sys.modules.setdefault(name, unittest.mock.MagicMock())
    sys.path.insert(0, path)
    import src.backbones
    import src.detection
    import src.utils
    import torch
    torch.cuda.synchronize = lambda: None  # where there is no GPU
    src.detection.tqdm = lambda items, **_: items
    return types.SimpleNamespace(backbones=src.backbones, detection=src.detection, utils=src.utils)


def line(*fields):
    print(",".join(f if isinstance(f, str) else f"{f:.9g}" for f in fields))


# ---- golden ----

def turned(code):
    for width, height in SIZES:
        pixels = procedural(width, height, 3)
        for degrees in range(0, 360, 45):
            found = code.utils.rotate_image(pixels, degrees)
            digest = hashlib.sha256(numpy.ascontiguousarray(found).tobytes()).hexdigest()
            line("turned", str(width), str(height), str(degrees), digest)


def find_mask(code, found, shape):
    network = code.backbones.DINOv2Wrapper.__new__(code.backbones.DINOv2Wrapper)
    dilate, close = code.backbones.cv2.dilate, code.backbones.cv2.morphologyEx
    if shape == "grid":  # as the code says it, were its tokens not in one column
        code.backbones.cv2 = types.SimpleNamespace(
            MORPH_CLOSE=code.backbones.cv2.MORPH_CLOSE,
            dilate=lambda m, k: dilate(m.reshape(ROWS, COLUMNS), k),
            morphologyEx=lambda m, how, k: close(m.reshape(ROWS, COLUMNS), how, k).ravel())
    try:
        return network.compute_background_mask(found, (ROWS, COLUMNS), 10, True)
    finally:
        import cv2
        code.backbones.cv2 = cv2


def masks(code):
    from sklearn.decomposition import PCA
    for which in range(4):
        found = tokens(which)
        scores = PCA(n_components=1, svd_solver="full").fit_transform(found.astype(numpy.float64))
        scores = scores.ravel() * numpy.sign(scores[numpy.abs(scores).argmax(), 0])
        assert numpy.abs(numpy.abs(scores) - 10).min() > 1e-3, "no token may lie on the edge"
        line("component", str(which), *scores.tolist())
        for shape in ("grid", "raster"):
            mask = find_mask(code, found, shape)
            line("mask", str(which), shape, "".join("01"[int(m)] for m in mask.ravel()))


class Network:
    """Sees which image it is by its brightness."""
    def __init__(self, code):
        self.code = code

    def prepare_image(self, image):
        return int(image[0, 0, 0]), (ROWS, COLUMNS)

    def extract_features(self, which):
        return tokens(which)

    def compute_background_mask(self, found, grid, threshold, masking_type):
        assert grid == (ROWS, COLUMNS) and threshold == 10
        if not masking_type:
            return numpy.ones(len(found), bool)
        return find_mask(self.code, found, "raster")


def run(code, name, how):
    import cv2
    import tifffile
    with tempfile.TemporaryDirectory() as folder:
        for kind, first, count in (("train/good", 0, TRAIN), ("test/odd", TRAIN, TEST)):
            os.makedirs(f"{folder}/part/{kind}")
            for i in range(count):
                image = numpy.full((HEIGHT, WIDTH, 3), first + i, numpy.uint8)
                cv2.imwrite(f"{folder}/part/{kind}/{i}.png", image)
        os.makedirs(f"{folder}/part/test/good")
        found, _, _ = code.detection.run_anomaly_detection(
            Network(code), "part", folder, TRAIN, {"part": ["odd"]}, f"{folder}/out", seed=0,
            faiss_on_cpu=True, save_tiffs=True, **how)
        for i in range(TEST):
            base = f"{folder}/out/anomaly_maps/seed=0/part/test/odd/{i}"
            line("tokens", name, str(i), *numpy.load(base + ".npy").ravel().tolist())
            finished = tifffile.imread(base + ".tiff").astype(numpy.float64).ravel()
            line("map", name, str(i), float(numpy.linalg.norm(finished)), *finished[::97].tolist())
            line("score", name, str(i), float(found[f"odd/{i}.png"]))


# ---- the whole, beside the library ----

def read_options(given):
    wanted = dict(shots=1, images=3, size=448, rotations=8, masking=0)
    for one in given:
        name, value = one.split("=")
        wanted[name] = type(wanted[name])(value)
    return types.SimpleNamespace(**wanted)


def copy_images(folder, out, o):
    from PIL import Image
    for source in sorted(pathlib.Path(folder).glob("*/*/*.png")):
        kind = source.parent.relative_to(folder)
        if kind.parts[0] not in ("train", "test"):
            continue
        goal = out / "part" / kind
        goal.mkdir(parents=True, exist_ok=True)
        if len(list(goal.iterdir())) < (o.shots if kind.parts[0] == "train" else o.images):
            image = Image.open(source).convert("RGB")
            image.resize((o.size, o.size), Image.BICUBIC).save(goal / source.name)


def theirs(code, dinov2, weights, folder, out, o):
    import torch
    sys.path.insert(0, dinov2)
    import dinov2.hub.backbones
    out = pathlib.Path(out)
    copy_images(folder, out, o)
    network = dinov2.hub.backbones.dinov2_vits14(pretrained=False)
    if weights.startswith("random:"):
        torch.manual_seed(int(weights[7:]))
        for parameter in network.parameters():  # layers that start as nothing take part too
            torch.nn.init.trunc_normal_(parameter, std=0.05 if parameter.dim() > 1 else 0.5)
    else:
        network.load_state_dict(torch.load(weights))
    torch.save(network.state_dict(), out / "weights.pth")
    network.eval()
    with unittest.mock.patch.object(torch.hub, "load", lambda *_, **__: network):
        wrapper = code.backbones.get_model("dinov2_vits14", "cpu", o.size)
    plain = wrapper.extract_features

    def extract(image):
        found = plain(image)
        numpy.save(out / f"tokens{len(list(out.glob('tokens*')))}.npy", found)
        return found
    wrapper.extract_features = extract
    kinds = sorted(p.name for p in (out / "part/test").iterdir() if p.name != "good")
    found, _, _ = code.detection.run_anomaly_detection(
        wrapper, "part", str(out), -1, {"part": list(kinds)}, str(out), seed=0, faiss_on_cpu=True,
        save_tiffs=True, masking=bool(o.masking), rotation=o.rotations == 8)
    import tifffile
    for name in found:
        base = f"{out}/anomaly_maps/seed=0/part/test/{name[:-4]}"
        numpy.savez(out / (name.replace("/", "-")[:-4] + ".npz"), score=found[name],
                    distances=numpy.load(base + ".npy"), map=tifffile.imread(base + ".tiff"))


def ours(out, o):
    import imiad
    from PIL import Image
    out = pathlib.Path(out)
    backbone = imiad.Backbone("dinov2_vits14", weights=str(out / "weights.pth"))
    read = lambda path: numpy.asarray(Image.open(path).convert("RGB"))
    options = dict(resize=o.size, rotations=o.rotations, foreground="test" if o.masking else "none",
                   foreground_shape="raster")
    detector = imiad.Detector("anomalydino", backbone, **options)
    train = sorted((out / "part/train/good").iterdir())
    detector.fit([read(path) for path in train])
    worst = {"token": 0.0, "score": 0.0, "map": 0.0}
    image = read(train[0]).astype(numpy.float32) / 255
    side = o.size - o.size % 14
    image = ((image - backbone.input[0]) / backbone.input[1])[:side, :side].transpose(2, 0, 1)
    found = backbone.features("norm", numpy.ascontiguousarray(image[None], numpy.float32))
    found, wanted = found[0].reshape(found.shape[1], -1).T, numpy.load(out / "tokens0.npy")
    worst["token"] = float(numpy.linalg.norm(found - wanted) / numpy.linalg.norm(wanted))
    count = 0
    for path in sorted((out / "part/test").glob("*/*.png")):
        wanted = numpy.load(out / f"{path.parent.name}-{path.stem}.npz")
        found = detector.score(read(path))
        worst["score"] = max(worst["score"], abs(found.score / float(wanted["score"]) - 1))
        worst["map"] = max(worst["map"],
                           float(numpy.abs(found.map - wanted["map"]).max() / wanted["map"].max()))
        count += 1
    print(f"{len(train)} images learned, {count} scored at {o.size} pixels")
    for what, error in worst.items():
        print(f"largest relative difference of a {what}: {error:.2g}")
    return max(worst.values()) <= LIMIT


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "golden":
        code = import_code(sys.argv[2])
        turned(code)
        masks(code)
        for name, how in CASES.items():
            run(code, name, how)
    elif len(sys.argv) > 6 and sys.argv[1] == "theirs":
        theirs(import_code(sys.argv[2]), *sys.argv[3:7], read_options(sys.argv[7:]))
    elif len(sys.argv) > 2 and sys.argv[1] == "ours":
        if not ours(sys.argv[2], read_options(sys.argv[3:])):
            sys.exit(1)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
