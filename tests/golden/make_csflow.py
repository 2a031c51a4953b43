#!/usr/bin/env python3
"""The authors' CS-Flow, trained from libimiad's first parameters.

    tests/golden/make_csflow.py golden CSFLOW OPEN_IAD SHARED > tests/golden/csflow.csv
    tests/golden/make_csflow.py train CSFLOW SHARED EPOCHS SIZE HIDDEN [SEED]
    tests/golden/make_csflow.py compare CSFLOW SHARED SAVED_DETECTOR RESULTS.json
    tests/golden/make_csflow.py checkpoint CSFLOW SHARED SIZE HIDDEN FILE

CSFLOW is a checkout of github.com/marco-rudolph/cs-flow, OPEN_IAD one of github.com/M-3LAB/open-iad.
SHARED holds the transistor images of MVTec AD at 256 x 256 and the ResNet-18 weights: EfficientNet-B5's
are not at hand, so the flow stands on layer2 of ResNet-18, and procedural features.

golden: NumPy's permutations of 304 channels; a flow of 12 channels over procedural features with gammas
that are not zero, in double precision: its maps, log-determinant, loss, gradients and score; the first
parameters' loss and twenty steps of their loss, optimiser and clipping in double precision, and of the
IM-IAD code's optimiser; ten steps on layer2 of ResNet-18, images 000 to 039 at 64 x 64 in batches of 4,
losses, values of every parameter after them and of the anomaly map of some images, in double precision
and how far single precision comes to lie from it. train, compare, checkpoint: as make_fastflow.py's.
Needs torch, torchvision, numpy, Pillow and scikit-learn.
"""
import sys
import types

import numpy
import torch

from make_fastflow import Extractor
from make_rd4ad import uniform
from make_stpm import (SEED, TESTED, line, load_images, missing_modules, print_differences,
                       print_epochs, print_runs, procedural, read_results, read_safetensors,
                       run_mode, sample, shuffled, training_names)

BATCH, STEPS, SIZE, HIDDEN, CHANNELS = 4, 10, 64, 16, 128


# ---- libimiad's first parameters and order ----

def begin(network, seed=SEED):
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            shape = tuple(module.weight.shape)
            bound = float(numpy.prod(shape[1:])) ** -0.5
            module.weight.data = uniform(seed, f"csflow/{name}.weight", shape, bound)
            module.bias.data = uniform(seed, f"csflow/{name}.bias", shape[:1], bound)
    return network


class Batches:
    def __init__(self, items, batch, seed=SEED):
        self.items, self.batch, self.epoch, self.seed = items, batch, 0, seed

    def __iter__(self):
        order = shuffled(self.seed, f"csflow/order/{self.epoch}", len(self.items))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            chosen = [self.items[j] for j in order[i:i + self.batch]]
            yield [torch.stack([item[scale] for item in chosen]) for scale in range(3)]


# ---- the implementation ----

def load_official(folder, size=SIZE, hidden=HIDDEN, channels=CHANNELS, stride=8):
    missing_modules("efficientnet_pytorch", "tqdm")
    sys.modules.setdefault("efficientnet_pytorch", types.ModuleType("stub")).EfficientNet = None
    sys.path.insert(0, folder)
    import config
    config.device, config.n_feat, config.fc_internal = "cpu", channels, hidden
    config.map_size = (size // stride, size // stride)
    import model
    import utils
    return types.SimpleNamespace(config=config, model=model, utils=utils)


def make_network(official, seed=SEED):
    return begin(official.model.get_cs_flow_model(official.config.n_feat), seed)


def stir(network):
    """Gammas away from 0, so that the flow does something."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "gamma" in name:
                value += 0.5 + 0.1 * int(name[-1])
    return network


def take_steps(official, network, batches, eps=1e-4, clip=True):
    """Their train(): loss, clipping and optimiser; its losses."""
    adam = torch.optim.Adam(network.parameters(), lr=official.config.lr_init, eps=eps,
                            weight_decay=1e-5)
    losses = []
    for inputs in batches:
        adam.zero_grad()
        z, jacobian = official.model.nf_forward(network, inputs)
        loss = official.utils.get_loss(z, jacobian)
        losses.append(loss.item())
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), official.config.max_grad_norm)
        adam.step()
    return losses


def features(extractor, images, channels=CHANNELS):
    """Of each image at its three sizes: layer2 stands for the features of EfficientNet-B5."""
    with torch.no_grad():
        out = []
        for image in images:
            scales = []
            for s in range(3):
                small = image[None] if s == 0 else torch.nn.functional.interpolate(
                    image[None], size=[side // 2**s for side in image.shape[1:]])
                scales.append(extractor(small)[1][0, :channels])
            out.append(scales)
    return out


def judge(official, network, extractor, image):
    with torch.no_grad():
        inputs = [scale[None] for scale in features(extractor, [image])[0]]
        z = network(inputs)
        flat = official.utils.t2np(official.utils.concat_maps(z))
        score = float(numpy.mean(flat**2 / 2, axis=(1, 2))[0])
        amap = torch.nn.functional.interpolate(torch.mean(z[0] ** 2, dim=(1,))[None],
                                               size=image.shape[1:], mode="bilinear",
                                               align_corners=False)[0, 0]
    return score, amap.numpy()


# ---- golden values ----

def inputs_of(step, channels):
    return [procedural((2, channels, 8 >> i, 8 >> i), step + i) - 1 for i in range(3)]


def print_small(official):
    network = stir(make_network(official).double())
    z, jacobian = official.model.nf_forward(network, inputs_of(0, 12))
    loss = official.utils.get_loss(z, jacobian)
    for name, values in [(f"z{i}", value) for i, value in enumerate(z)] + [
            ("log_determinant", sum(jacobian)),
            ("score", (official.utils.cat_maps(z) ** 2 / 2).mean(1))]:
        places, norm = sample(values)
        line("network", "small", name, norm, *places)
    line("network", "small", "loss", float(loss), *[float(loss)] * 16)
    loss.backward()
    for name, value in network.named_parameters():
        places, norm = sample(value.grad)
        line("gradient", "small", name, norm, *places)


def golden(folder, open_iad, shared):
    for k in range(4):
        numpy.random.seed(k)
        for scale in range(3):
            line("permutation", f"seed{k}", scale,
                 *[float(i) for i in numpy.random.permutation(304)[:17]])
    official = load_official(folder, 64, 10, 12)
    print_small(official)
    for case, eps, clip in (("double", 1e-4, True), ("double_iad", 1e-8, False)):
        network = make_network(official).double()
        batches = [inputs_of(step, 12) for step in range(20)]
        print_runs(case, [(take_steps(official, network, batches, eps, clip), {}, {})])

    images = load_images(training_names(shared)[:STEPS * BATCH], SIZE)
    tested = {name: load_images([f"{shared}/data/mvtec_ad/transistor/{name}"], SIZE)[0]
              for name in TESTED}
    official = load_official(folder)

    def run(type_):
        extractor = Extractor(shared).to(type_).eval()
        network = make_network(official).to(type_)
        inputs = features(extractor, [image.to(type_) for image in images])
        losses = take_steps(official, network, Batches(inputs, BATCH))
        judged = {name: judge(official, network, extractor, image.to(type_))
                  for name, image in tested.items()}
        return losses, dict(network.named_parameters()), judged
    runs = [run(torch.float64), run(torch.float32)]
    print_runs("official", [(losses, {}, {name: amap for name, (_, amap) in judged.items()})
                            for losses, _, judged in runs])
    for name, (score, _) in runs[0][2].items():
        line("score", "official", name, score, abs(runs[1][2][name][0] / score - 1))


# ---- whole trainings ----

def trained(folder, shared, size, hidden, seed=SEED):
    official = load_official(folder, size, hidden)
    return official, make_network(official, seed), Extractor(shared).eval()


def train(folder, shared, epochs, size, hidden, seed=SEED):
    import glob
    from PIL import Image
    from sklearn.metrics import roc_auc_score
    official, network, extractor = trained(folder, shared, size, hidden, seed)
    inputs = features(extractor, load_images(training_names(shared), size))
    batches, losses = Batches(inputs, 16, seed), []
    adam = torch.optim.Adam
    optimizer = adam(network.parameters(), lr=official.config.lr_init, eps=1e-4, weight_decay=1e-5)
    torch.optim.Adam = lambda *arguments, **options: optimizer
    for _ in range(epochs):
        losses += take_steps(official, network, batches)
    torch.optim.Adam = adam
    print_epochs(losses, epochs)
    root = f"{shared}/data/mvtec_ad/transistor"
    scores, labels, pixels, truth = [], [], [], []
    for name in sorted(glob.glob(f"{root}/test/*/*.png")):
        score, amap = judge(official, network, extractor, load_images([name], size)[0])
        kind, file = name.split("/")[-2:]
        mask = numpy.zeros((size, size), bool)
        if kind != "good":
            drawn = Image.open(f"{root}/ground_truth/{kind}/{file[:-4]}_mask.png").convert("L")
            mask = numpy.array(drawn.resize((size, size), Image.BILINEAR)) >= 128
        scores.append(score)
        labels.append(kind != "good")
        pixels.append(amap.ravel())
        truth.append(mask.ravel())
    print(f"image AUROC {roc_auc_score(labels, scores):.4f}, pixel AUROC "
          f"{roc_auc_score(numpy.concatenate(truth), numpy.concatenate(pixels)):.4f}")


def compare(folder, shared, saved, results):
    options, ours = read_results(results)
    size = int(options["resize"])
    official, network, extractor = trained(folder, shared, size, int(options["hidden"]))
    weights = read_safetensors(saved)
    for name, value in network.named_parameters():
        value.data = weights[f"flow.{name}"]
    root = f"{shared}/data/mvtec_ad/transistor"
    print_differences(ours, {name: judge(official, network, extractor,
                                         load_images([f"{root}/{name}"], size)[0])[0]
                             for name in ours})


def checkpoint(folder, shared, size, hidden, path):
    official, network, extractor = trained(folder, shared, size, hidden, 1)
    torch.save(stir(network).state_dict(), path)
    for name in TESTED:
        image = load_images([f"{shared}/data/mvtec_ad/transistor/{name}"], size)[0]
        print(name, f"{judge(official, network, extractor, image)[0]:.9g}")


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "compare": compare, "checkpoint": checkpoint}, 4,
             __doc__)
