#!/usr/bin/env python3
"""The authors' CFA and the IM-IAD code's, trained from libimiad's first parameters on its batches.

    tests/golden/make_cfa.py golden CFA OPEN_IAD SHARED > tests/golden/cfa.csv
    tests/golden/make_cfa.py train CFA SHARED EPOCHS RESIZE CROP
    tests/golden/make_cfa.py judge CFA SHARED SAVED_DETECTOR RESULTS.json

CFA is a checkout of github.com/sungwool/CFA_for_anomaly_localization, whose utils/cfa.py (descriptor,
bank, loss, score), utils/metric.py (upsampling, smoothing) and cnn/resnet.py run unchanged; the
optimiser and the loop are those of its trainer_cfa.py. OPEN_IAD is one of github.com/M-3LAB/open-iad,
of which models/cfa runs. SHARED holds the transistor images of MVTec AD and the ResNet-18 weights.

golden: ten steps of each of CASES on the first training images, their losses, then values of every
parameter, of the centres, and of the maps of some images. train: as many epochs over all training
images as asked, then image and pixel AUROC of the test images, of the last epoch. judge: loads a
detector that the library trained and holds the scores that the library gave
(examples/unsupervised --save --json) against the authors' scoring.

First parameters and orders are libimiad's random streams; k-means is scikit-learn's Lloyd, begun
at the centres that libimiad's k-means++ draws. The bank is made of the images in their own order.
Needs torch, torchvision, numpy, Pillow, scipy, scikit-learn and scikit-image; einops and tqdm, which
the checkouts import, are replaced.
"""
import importlib
import sys
import types

import numpy
import torch

from make_simplenet import load_images, predict, uniform
from make_stpm import (line, make_resnet18, print_differences, print_epochs, read_results,
                       read_safetensors, run_mode, sample, shuffled, stream, training_names)

SEED, BATCH, SIZE = 66, 4, 128
TESTED = ("test/bent_lead/000.png", "test/good/000.png", "test/misplaced/004.png")
# name: code, images, learning rate, gamma_c, gamma_d, radius, drop_last; tests/detectors/test_cfa.c
# has our options. repelling: positions on either side of both thresholds from the first step on
CASES = {
    "official": ("cfa", 42, 1e-3, 1, 1, 1e-5, True),
    "open_iad": ("open_iad", 38, 1e-3, 1, 1, 1e-5, False),
    "still": ("cfa", 8, 0.0, 1, 1, 1e-5, True),
    "clusters": ("cfa", 40, 1e-3, 4, 2, 1e-5, True),
    "repelling": ("cfa", 40, 1e-3, 1, 2, 0.8, True),
}


# ---- the checkouts ----

def rearrange(x, pattern, h=None):
    """The three patterns of einops.rearrange that the code has."""
    if pattern == "b c h w -> (b h w) c":
        return x.permute(0, 2, 3, 1).flatten(0, 2)
    if pattern == "b c h w -> b (h w) c":
        return x.flatten(2).transpose(1, 2)
    assert pattern == "b (h w) c -> b c h w"
    return x.transpose(1, 2).unflatten(2, (h, -1))


def load_code(code, folder):
    for name, members in (("einops", {"rearrange": rearrange}), ("tqdm", {"tqdm": iter})):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    torch.Tensor.cuda = lambda self: self  # CoordConv asks for it without looking
    sys.path.insert(0, folder)
    return importlib.import_module({"cfa": "utils.cfa", "open_iad": "models.cfa.cfa"}[code])


def make_network(code, folder, shared):
    sys.path.insert(0, folder)
    names = {"cfa": "cnn.resnet", "open_iad": "models.cfa.resnet"}
    network = importlib.import_module(names[code]).resnet18(pretrained=False)
    network.load_state_dict(make_resnet18(shared)(True).state_dict(), strict=False)
    return network.eval()


class LibraryKMeans:
    """scikit-learn's Lloyd from libimiad's k-means++: lib/detectors/parts/k_means.c."""
    def __init__(self, n_clusters, max_iter):
        self.clusters, self.steps = n_clusters, max_iter

    def draw(self, points):
        numbers = iter(stream(SEED, "cfa/centres", self.clusters))
        picks, apart = [int(next(numbers)) % len(points)], None
        while len(picks) < self.clusters:
            found = ((points - points[picks[-1]]).astype(numpy.float64) ** 2).sum(1)
            apart = found if apart is None else numpy.minimum(apart, found)
            target = (int(next(numbers)) >> 11) * 2.0**-53 * apart.sum()
            picks.append(int(numpy.searchsorted(apart.cumsum(), target, side="right")))
        return points[picks]

    def fit(self, points):
        from sklearn.cluster import KMeans
        inner = KMeans(self.clusters, init=self.draw(points), n_init=1, max_iter=self.steps, tol=0,
                       algorithm="full")
        self.cluster_centers_ = inner.fit(points).cluster_centers_
        return self


class Batches:
    """The first time in the images' order, which makes the bank; then in libimiad's orders."""
    def __init__(self, images, drop_last, turn):
        self.images, self.drop_last, self.turn, self.epoch = images, drop_last, turn, -1

    def __iter__(self):
        count = len(self.images)
        order = range(count) if self.epoch < 0 else shuffled(SEED, f"cfa/order/{self.epoch}", count)
        self.epoch += 1
        for i in range(0, count, BATCH):
            if i + BATCH <= count or not self.drop_last:
                yield self.turn(torch.stack([self.images[j] for j in order[i:i + BATCH]]))


class Features:
    """A frozen network: the features of a batch that came before are not computed again."""
    def __init__(self, network):
        self.network, self.kept = network, {}

    def to(self, _):
        return self

    def __call__(self, images):
        features = [self.of_one(image) for image in images]
        return [torch.stack(layer) for layer in zip(*features)]

    def of_one(self, image):
        key = hash(image.numpy().tobytes())
        if key not in self.kept:
            with torch.no_grad():
                self.kept[key] = [layer[0] for layer in self.network(image[None])]
        return self.kept[key]


def make_loss(code, module, features, batches, gamma_c, gamma_d, radius):
    """Their DSVDD with libimiad's first parameters, which the bank is made with."""
    inner = module.Descriptor.__init__

    def begin(descriptor, *arguments):
        inner(descriptor, *arguments)
        conv = descriptor.layer.conv
        outputs, inputs = conv.weight.shape[:2]
        bound = inputs ** -0.5
        conv.weight.data = uniform("cfa/weight", outputs * inputs, bound).reshape(conv.weight.shape)
        conv.bias.data = uniform("cfa/bias", outputs, bound)
    module.Descriptor.__init__, module.KMeans = begin, LibraryKMeans
    name = {"cfa": "res18", "open_iad": "resnet18"}[code]
    loss = module.DSVDD(features, batches, name, gamma_c, gamma_d, "cpu")
    module.Descriptor.__init__ = inner
    loss.r.data = torch.tensor([numpy.float32(radius)])
    return loss


def learn(loss, features, batches, epochs, rate):
    """The loop of trainer_cfa.py; the loss of every step."""
    optimizer = torch.optim.AdamW(loss.parameters(), lr=rate, weight_decay=5e-4, amsgrad=True)
    losses = []
    loss.train()
    for _ in range(epochs):
        for x in batches:
            x = x["img"] if isinstance(x, dict) else x[0]
            optimizer.zero_grad()
            value, _ = loss(features(x))
            value.backward()
            optimizer.step()
            losses.append(float(value))
    loss.eval()
    return losses


class Model:
    """What make_simplenet.predict asks for: trainer_cfa.py's maps of one image."""
    def __init__(self, loss, features, size):
        self.loss, self.features, self.size = loss, features, size

    def _predict(self, image):
        metric = importlib.import_module("utils.metric")
        with torch.no_grad():
            _, score = self.loss(self.features(image))
        grid = torch.cat([score.mean(1).float()] * 2)  # upsample() drops a dimension of one
        amap = metric.gaussian_smooth(metric.upsample(grid, size=self.size, mode="bilinear"))[0]
        return [amap.max()], [amap], None


# ---- golden values ----

def run_case(case, folders, shared):
    code, count, rate, gamma_c, gamma_d, radius, drop_last = CASES[case]
    turn = {"cfa": lambda x: (x, None, None), "open_iad": lambda x: {"img": x}}[code]
    images = load_images(training_names(shared)[:count], SIZE, SIZE)
    features = Features(make_network(code, folders[code], shared))
    batches = Batches(images, drop_last, turn)
    module = load_code(code, folders[code])
    loss = make_loss(code, module, features, batches, gamma_c, gamma_d, radius)
    losses = learn(loss, features, batches, 1, rate)
    return loss, features, losses


def learned(loss):
    conv = loss.Descriptor.layer.conv
    return {"weight": conv.weight, "bias": conv.bias, "radius": loss.r,
            "centres": loss.C.t().contiguous()}


def golden(cfa, open_iad, shared):
    load_code("cfa", cfa)
    importlib.import_module("utils.metric")
    for case in CASES:
        loss, features, losses = run_case(case, {"cfa": cfa, "open_iad": open_iad}, shared)
        for step, value in enumerate(losses):
            line("loss", case, step, value)
        for name, value in learned(loss).items():
            places, norm = sample(value)
            line("parameter", case, f"descriptor.{name}", norm, *places)
        for name in TESTED:
            image = load_images([f"{shared}/data/mvtec_ad/transistor/{name}"], SIZE, SIZE)[0][None]
            scores, maps, _ = Model(loss, features, SIZE)._predict(image)
            places, _ = sample(torch.from_numpy(maps[0]))
            line("map", case, name, float(scores[0]), float(numpy.abs(maps[0]).max()), *places)


# ---- whole trainings ----

def train(cfa, shared, epochs, resize, crop):
    images = load_images(training_names(shared), resize, crop)
    features = Features(make_network("cfa", cfa, shared))
    batches = Batches(images, True, lambda x: (x, None, None))
    module = load_code("cfa", cfa)
    loss = make_loss("cfa", module, features, batches, 1, 1, 1e-5)
    losses = learn(loss, features, batches, epochs, 1e-3)
    print_epochs(losses, epochs)
    predict(Model(loss, features, crop), shared, resize, crop)


def judge(cfa, shared, saved, results):
    options, ours = read_results(results)
    resize, crop = (int(options[name]) for name in ("resize", "crop"))
    tensors = read_safetensors(saved)
    features = Features(make_network("cfa", cfa, shared))
    images = load_images(training_names(shared)[:BATCH], resize, crop)
    loss = make_loss("cfa", load_code("cfa", cfa), features,
                     Batches(images, True, lambda x: (x, None, None)), 1, 1, 1e-5)
    conv = loss.Descriptor.layer.conv
    conv.weight.data, conv.bias.data = (tensors[f"descriptor.{n}"] for n in ("weight", "bias"))
    loss.C.data = tensors["descriptor.centres"].t().contiguous()
    theirs = predict(Model(loss.eval(), features, crop), shared, resize, crop)
    print_differences(ours, theirs)


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "judge": judge}, 4, __doc__)
