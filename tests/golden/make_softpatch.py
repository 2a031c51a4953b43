#!/usr/bin/python3
"""Prints softpatch.csv: what SoftPatch's official code computes on MVTec AD transistor.

    tests/golden/make_softpatch.py OFFICIAL/src TRANSISTOR WEIGHTS.safetensors > tests/golden/softpatch.csv

OFFICIAL is a checkout of TencentYoutuResearch/AnomalyDetection-SoftPatch, TRANSISTOR the category's
folder, WEIGHTS ResNet-18's. The training set is every training image in the order of file names, and
behind them NOISE defective images spread over the test set's, which leave the test set. Batches of
8, 224 pixels, layer2 and layer3, k = 6 neighbours, 15 % of the patches left out.

The official code runs as it is, on the CPU, but for these:
- timm, which its module of backbones imports, and tqdm are replaced by stand-ins that do nothing;
- its random draws (the projection of the factors, that of the coreset, the starts) are replaced by
  those that libimiad makes for seed 0, in the same order, so that both do the same from there on.
  The streams are lib/base/random.h's: Philox4x32-10, its key from SHA-256 of the seed and the
  stream's purpose.

The coreset starts from 128 rows, not 10: the official sampler's constructor hands its projection's
number of columns on as the number of starts. It keeps 1 %: the official sampler would need half an hour of a processor for its 10 %.

Rows of the table: a kind, what it belongs to, and
  train,,index,path                 the training images, in order
  factor,METHOD,row,value           outlier factors of some rows; row = image * 784 + position
  factor_norm,METHOD,,value         the L2 norm of all the factors
  image_norm,METHOD,image,value     of an image's factors
  threshold,METHOD,,value           the quantile; removed,METHOD,,count: factors above it
  procedural,lof,row,value          factors of 40 x 16 uniform rows of 128, the last 10 images copies
  left_out,lof,image,bits           rows above the threshold, as hexadecimal digits, first row first
  pick,RATIO,order,row,factor       the coreset in the order of its choice
  score,RATIO,path,value            image scores
  map,RATIO,path,y,x,value          maps, every MAP_STEP-th pixel of every MAP_STEP-th row
  map_top,RATIO,path,,,value        a map's maximum
  metric,RATIO,name,value           by scikit-learn
"""
import argparse
import hashlib
import os
import sys
import types

import numpy
import sklearn
import torch
import torchvision
from PIL import Image
from sklearn import metrics
from sklearn.neighbors import LocalOutlierFactor
from torchvision import transforms

from compare_features import read_safetensors

NOISE, SIZE, NEIGHBOURS, SHARE, RATIO, SEED = 21, 224, 6, 0.15, 0.01, 0
METHODS = ("lof", "lof_gpu", "nearest", "gaussian")
FACTOR_STEP, MAP_STEP, MAPS = 1999, 16, 4


# ---- libimiad's random streams ----

def philox(counters, key):
    """Ten rounds on counters of shape n x 4; all words are uint32 in uint64."""
    mask = numpy.uint64(0xFFFFFFFF)
    x, (k0, k1) = [counters[:, i] for i in range(4)], key
    for _ in range(10):
        a, b = numpy.uint64(0xD2511F53) * x[0], numpy.uint64(0xCD9E8D57) * x[2]
        x = [(b >> numpy.uint64(32)) ^ x[1] ^ numpy.uint64(k0), b & mask,
             (a >> numpy.uint64(32)) ^ x[3] ^ numpy.uint64(k1), a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return numpy.stack(x, 1)


def stream_u64(purpose, count):
    digest = hashlib.sha256(SEED.to_bytes(8, "little") + purpose.encode()).digest()
    key = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
    counters = numpy.zeros(((count + 1) // 2, 4), numpy.uint64)
    counters[:, 0] = numpy.arange(len(counters), dtype=numpy.uint64)
    words = philox(counters, key).reshape(-1)
    return (words[0::2] << numpy.uint64(32) | words[1::2])[:count]


def stream_real(purpose, count):
    return (stream_u64(purpose, count) >> numpy.uint64(11)) * 2.0 ** -53


def drawn_projection(purpose, rows, columns):
    bound = 1 / numpy.sqrt(float(columns))
    real = stream_real(purpose, rows * columns)
    return (-bound + 2 * bound * real).astype(numpy.float32).reshape(rows, columns)


def drawn_rows(purpose, count, below):
    """The first `count` distinct ones; 2^64 is so far above `below` that none needs rejection."""
    found = []
    for number in stream_u64(purpose, 10 * count):
        row = int(number) % below
        if row not in found:
            found.append(row)
    return found[:count]


class Draws:
    """Stands in for torch.nn.Linear and numpy.random.choice within a fit."""

    def __enter__(self):
        self.linear, self.choice = torch.nn.Linear, numpy.random.choice
        purposes = iter(("softpatch/projection", "coreset/projection"))

        def linear(columns, rows, bias):
            assert not bias
            layer = self.linear(columns, rows, bias=False)
            layer.weight.data = torch.from_numpy(
                drawn_projection(next(purposes), rows, columns))
            return layer

        def choice(below, count, replace):
            assert not replace
            return numpy.array(drawn_rows("coreset/starts", int(count), below))

        torch.nn.Linear, numpy.random.choice = linear, choice

    def __exit__(self, *_):
        torch.nn.Linear, numpy.random.choice = self.linear, self.choice


# ---- the official code ----

def import_official(folder):
    class Silent:
        def __init__(self, items, **_):
            self.items = items

        def __iter__(self):
            return iter(self.items)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    sys.modules["timm"] = types.ModuleType("timm")
    sys.modules["tqdm"] = types.ModuleType("tqdm")
    sys.modules["tqdm"].tqdm = Silent
    sys.path.insert(0, folder)
    import common
    import sampler
    import softpatch
    return common, sampler, softpatch


class Images(torch.utils.data.Dataset):
    prepare = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(SIZE), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    prepare_mask = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(SIZE), transforms.ToTensor()])

    def __init__(self, folder, paths):
        self.folder, self.paths = folder, paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        path = self.paths[index]
        kind, name = path.split("/")[1:]
        image = self.prepare(Image.open(os.path.join(self.folder, path)).convert("RGB"))
        mask = torch.zeros(1, SIZE, SIZE)
        if kind != "good":
            mask_path = os.path.join(self.folder, "ground_truth", kind, name[:-4] + "_mask.png")
            mask = self.prepare_mask(Image.open(mask_path))
        return {"image": image, "mask": mask, "is_anomaly": int(kind != "good")}

    def loader(self):
        return torch.utils.data.DataLoader(self, batch_size=8, shuffle=False)


def split(folder):
    def listed(part):
        return [f"{part}/{kind}/{name}" for kind in sorted(os.listdir(os.path.join(folder, part)))
                for name in sorted(os.listdir(os.path.join(folder, part, kind)))]
    defective = [path for path in listed("test") if "/good/" not in path]
    noise = [path for i, path in enumerate(defective)
             if (i + 1) * NOISE // len(defective) > i * NOISE // len(defective)]
    assert len(noise) == NOISE
    return listed("train") + noise, [path for path in listed("test") if path not in noise]


def make(official, weights, method):
    common, sampler, softpatch = official
    cpu = torch.device("cpu")
    network = torchvision.models.resnet18()
    assert not network.load_state_dict(read_safetensors(weights), strict=False).unexpected_keys
    model = softpatch.SoftPatch(cpu)
    model.load(backbone=network.eval(), device=cpu, input_shape=(3, SIZE, SIZE),
               layers_to_extract_from=("layer2", "layer3"),
               featuresampler=sampler.ApproximateGreedyCoresetSampler(RATIO, cpu),
               nn_method=common.FaissNN(False, torch.get_num_threads()), lof_k=NEIGHBOURS,
               threshold=SHARE, weight_method=method)
    return model


# ---- the table ----

def print_procedural(images=40, positions=16, columns=128, copied=10):
    """scikit-learn on uniform numbers; the last images are copies of those before them."""
    rows = stream_real("softpatch/procedural", images * positions * columns)
    rows = rows.astype(numpy.float32).reshape(images, positions, columns)
    rows[-copied:] = rows[-2 * copied:-copied]
    factors = numpy.empty((images, positions))
    for position in range(positions):
        model = LocalOutlierFactor(n_neighbors=NEIGHBOURS, metric="l2").fit(rows[:, position])
        factors[:, position] = -model.negative_outlier_factor_
    for row, factor in enumerate(factors.ravel()):
        print(f"procedural,lof,{row},{factor:.9g}")


def print_factors(method, factors, images):
    threshold = torch.quantile(factors, 1 - SHARE)
    factors, threshold = factors.numpy(), threshold.item()
    for row in range(0, len(factors), FACTOR_STEP):
        print(f"factor,{method},{row},{factors[row]:.9g}")
    for image, values in enumerate(factors.reshape(images, -1)):
        print(f"image_norm,{method},{image},{numpy.linalg.norm(values.astype(float)):.9g}")
    print(f"factor_norm,{method},,{numpy.linalg.norm(factors.astype(float)):.9g}")
    print(f"threshold,{method},,{threshold:.9g}")
    print(f"removed,{method},,{(factors > threshold).sum()}")


def print_results(test, scores, maps, labels, masks):
    for path, score in zip(test, scores):
        print(f"score,{RATIO},{path},{score:.9g}")
    for i in range(0, len(test), len(test) // MAPS):
        for y in range(0, SIZE, MAP_STEP):
            for x in range(0, SIZE, MAP_STEP):
                print(f"map,{RATIO},{test[i]},{y},{x},{maps[i][y, x]:.9g}")
        print(f"map_top,{RATIO},{test[i]},,,{maps[i].max():.9g}")
    pixels = numpy.stack(masks).ravel().astype(int), numpy.stack(maps).ravel()
    for name, pair in (("image", (labels, scores)), ("pixel", pixels)):
        print(f"metric,{RATIO},{name}_auroc,{metrics.roc_auc_score(*pair):.9f}")
        print(f"metric,{RATIO},{name}_ap,{metrics.average_precision_score(*pair):.9f}")


def fit(model, train):
    """The official fit; the sampler's picks are caught on their way."""
    choose = model.featuresampler._compute_greedy_coreset_indices
    picks = []

    def caught(features):
        picks.extend(choose(features))
        return numpy.array(picks)

    model.featuresampler._compute_greedy_coreset_indices = caught
    with Draws():
        model.fit(train.loader())
    factors = model.patch_weight.numpy()
    for order, row in enumerate(picks):
        print(f"pick,{RATIO},{order},{row},{factors[row]:.9g}")


def print_left_out(factors, images):
    above = factors > torch.quantile(factors, 1 - SHARE)
    for image, bits in enumerate(numpy.packbits(above.numpy().reshape(images, -1), 1)):
        print(f"left_out,lof,{image},{bits.tobytes().hex()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("official")
    parser.add_argument("transistor")
    parser.add_argument("weights")
    given = parser.parse_args()
    official = import_official(given.official)
    train, test = split(given.transistor)
    images, queries = Images(given.transistor, train), Images(given.transistor, test)
    print(f"# torch {torch.__version__}, scikit-learn {sklearn.__version__}; "
          "made by make_softpatch.py")
    for index, path in enumerate(train):
        print(f"train,,{index},{path}")
    print_procedural()
    for method in METHODS[1:]:
        model = make(official, given.weights, method)
        with torch.no_grad(), Draws():
            features = numpy.concatenate([model._embed(b["image"]) for b in images.loader()])
            model.feature_shape = [28, 28]
            print_factors(method, model._compute_patch_weight(features).reshape(-1), len(train))
    model = make(official, given.weights, METHODS[0])
    fit(model, images)
    print_factors(METHODS[0], model.patch_weight, len(train))
    print_left_out(model.patch_weight, len(train))
    print_results(test, *model.predict(queries.loader()))


if __name__ == "__main__":
    main()
