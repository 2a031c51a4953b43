#!/usr/bin/env python3
"""SubspaceAD of the authors beside the library's.

    tests/golden/make_subspacead.py golden SUBSPACEAD > tests/golden/subspacead.csv
    tests/golden/make_subspacead.py compare SUBSPACEAD BACKBONE LAYERS FOLDER [IMAGES]

SUBSPACEAD is a checkout of github.com/CLendering/SubspaceAD (2ca687e): its PCAModel, its scores of
tokens, its map and its image scores are run.

`golden` runs them on numbers that this script and tests/detectors/test_subspacead.c both compute
(`noise`): 5 images of 7 x 9 tokens with 24 values to learn from, 2 to score, once with each of
`CASES`.

    kept,CASE,COMPONENTS
    variances,CASE,VALUES                 the first six
    mean,CASE,VALUES
    projector,CASE,NORM,VALUES            C C', its diagonal
    score,CASE,METHOD,DROP,NORM,SAMPLES   of all tokens to score
    map,WHICH,NORM,SAMPLES                of the reconstruction error of the first case, at 126 x 162
    image,WHICH,METHOD,VALUE

`compare` has the library learn from the good images of a category in MVTec AD's layout (FOLDER) and
score IMAGES of each kind (all), then the authors' code on the features that the library's backbone
gave, and prints the largest relative differences. BACKBONE is "default", the default weights, or a
network, whose weights are then random; LAYERS is as the option `layers`. Images are centre-cropped
to a multiple of 14 pixels. The library's Python package must be on PYTHONPATH. Ends in 1 where a
difference is above 1e-4.

Needs torch, numpy, scikit-learn, tqdm and OpenCV.
"""
import pathlib
import sys

import numpy

from formula import noise

ROWS, COLUMNS, CHANNELS, TRAIN, TEST, RANK = 7, 9, 24, 5, 2, 6
CASES = {"share99": dict(ev=0.99), "share80": dict(ev=0.8), "three": dict(k=3), "most": dict(k=20)}
METHODS = ("reconstruction", "mahalanobis", "euclidean", "cosine")
AGGREGATES = ("max", "p99", "mtop5", "mtop1p", "mean")
HEIGHT, WIDTH, LIMIT = 126, 162, 1e-4


def tokens(images, seed):
    """Of a space of RANK directions of falling size, away from the origin, and a little beside it."""
    count = images * ROWS * COLUMNS
    within = noise(count * RANK, seed).reshape(count, RANK) / (1 + numpy.arange(RANK))
    directions = noise(RANK * CHANNELS, 2).reshape(RANK, CHANNELS)
    beside = 0.05 * noise(count * CHANNELS, seed + 1).reshape(count, CHANNELS)
    return (within @ directions + beside + 3 * noise(CHANNELS, 4)).astype(numpy.float32)


def learn(model, rows, **how):
    import torch  # the code's device is the CPU where there is no GPU
    assert rows.dtype == numpy.float32 and torch
    pca = model(**how)
    return pca.fit(lambda: iter([rows]), rows.shape[1], len(rows), 1)


def line(*fields):
    print(",".join(f if isinstance(f, str) else f"{f:.10g}" for f in fields))


def summary(values, step=1):
    values = numpy.asarray(values, numpy.float64).ravel()
    return [float(numpy.linalg.norm(values))] + values[::step].tolist()


def golden(code):
    train, test = tokens(TRAIN, 100), tokens(TEST, 200)
    for name, how in CASES.items():
        pca = learn(code.PCAModel, train, **how)
        components = pca["components"]
        line("kept", name, pca["k"])
        line("variances", name, *(pca["eigvals"][:6].tolist() + [0] * 6)[:6])
        line("mean", name, *pca["mu"].tolist())
        projector = components @ components.T
        line("projector", name, *([float(numpy.linalg.norm(projector))] +
                                  numpy.diag(projector).tolist()))
        for method in METHODS:
            for drop in (0, 2):
                scores = code.calculate_anomaly_scores(test, pca, method, drop)
                line("score", name, method, str(drop), *summary(scores, 9))
        if name == "share99":
            maps(code, code.calculate_anomaly_scores(test, pca, "reconstruction"))


def maps(code, scores):
    for which, grid in enumerate(scores.reshape(TEST, ROWS, COLUMNS)):
        finished = code.post_process_map(grid, (HEIGHT, WIDTH))
        line("map", str(which), *summary(finished, 997))
        for method in AGGREGATES:
            line("image", str(which), method, code.aggregate_image_score(finished, method))


# ---- beside the library ----

def read(folder, kind, most):
    from PIL import Image
    paths = sorted(pathlib.Path(folder).glob(kind))[:most]
    images = [numpy.asarray(Image.open(path).convert("RGB")) for path in paths]
    side = min(images[0].shape[:2]) // 14 * 14 if images else 0
    edges = [[(size - side) // 2 for size in image.shape[:2]] for image in images]
    return [numpy.ascontiguousarray(image[y:y + side, x:x + side])
            for image, (y, x) in zip(images, edges)]


def features(backbone, layers, image):
    """positions x channels: layers with + between averaged, coarser ones on the first one's grid."""
    import torch
    mean, deviation = backbone.input
    planes = (image / numpy.float32(255) - numpy.float32(mean)) / numpy.float32(deviation)
    planes = numpy.ascontiguousarray(planes.transpose(2, 0, 1)[None], numpy.float32)
    parts = [torch.stack([torch.from_numpy(backbone.features(layer, planes))
                          for layer in group.split("+")]).mean(0) for group in layers.split(",")]
    parts = [parts[0]] + [torch.nn.functional.interpolate(
        p, parts[0].shape[2:], mode="bilinear", align_corners=False) for p in parts[1:]]
    together = torch.cat(parts, 1)[0]
    return together.flatten(1).T.contiguous().numpy(), tuple(together.shape[1:])


def compare(code, name, layers, folder, most):
    import imiad
    backbone = imiad.Backbone.default() if name == "default" else imiad.Backbone(name)
    train = read(folder, "train/good/*.png", most)
    test = [image for kind in sorted(p.name for p in (pathlib.Path(folder) / "test").iterdir())
            for image in read(folder, f"test/{kind}/*.png", most)]
    side = train[0].shape[0]
    detector = imiad.Detector("subspacead", backbone, layers=layers, resize_mode="squash",
                              resize=side, crop=0)
    detector.fit(train)
    rows = numpy.concatenate([features(backbone, layers, image)[0] for image in train])
    pca = learn(code.PCAModel, rows, ev=0.99)
    worst = {"score": 0.0, "map": 0.0}
    for image in test:
        ours = detector.score(image)
        found, grid = features(backbone, layers, image)
        theirs = code.post_process_map(
            code.calculate_anomaly_scores(found, pca, "reconstruction").reshape(grid), side)
        score = code.aggregate_image_score(theirs, "mtop1p")
        worst["score"] = max(worst["score"], abs(ours.score / score - 1))
        worst["map"] = max(worst["map"], numpy.abs(ours.map - theirs).max() / theirs.max())
    print(f"{len(train)} images learned, {len(test)} scored, {rows.shape[1]} values, "
          f"{pca['k']} components")
    for what, error in worst.items():
        print(f"largest relative difference of a {what}: {error:.2g}")
    return max(worst.values()) <= LIMIT


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("golden", "compare"):
        sys.exit(__doc__)
    sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "src"))
    import subspacead.core.pca
    import subspacead.post_process.scoring as code
    code.PCAModel = subspacead.core.pca.PCAModel
    if sys.argv[1] == "golden":
        golden(code)
    elif not compare(code, *sys.argv[3:6], int(sys.argv[6]) if len(sys.argv) > 6 else None):
        sys.exit(1)


if __name__ == "__main__":
    main()
