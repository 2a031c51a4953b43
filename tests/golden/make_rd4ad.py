#!/usr/bin/env python3
"""Two public implementations of RD4AD, trained from libimiad's first parameters on its batches.

    tests/golden/make_rd4ad.py golden RD4AD OPEN_IAD SHARED > tests/golden/rd4ad.csv
    tests/golden/make_rd4ad.py train RD4AD SHARED EPOCHS SIZE [SEED]
    tests/golden/make_rd4ad.py compare RD4AD SHARED SAVED_DETECTOR RESULTS.json

RD4AD is a checkout of github.com/hq-deng/RD4AD (main.py's train is run, test.py's anomaly map),
OPEN_IAD one of github.com/M-3LAB/open-iad (arch/reverse.py and its optimiser). SHARED holds the
transistor images of MVTec AD at 256 x 256 and the ResNet-18 weights.

golden: the wide networks' outputs for procedural features, train and eval mode; ten steps of each
code with ResNet-18 on images 000 to 079 at 64 x 64 in batches of 8, the losses, values of every
parameter after them and of the anomaly map of some images, in double precision and how far single
precision comes to lie from it; the same of a learning rate that hardly amplifies rounding, of one
step that moves running statistics only, and of procedural features. train: as many epochs as asked
in libimiad's order in batches of 16, then image and pixel AUROC. compare: image scores and maps of
the test images, from a detector that the library trained and saved, beside those that the library
gave (examples/unsupervised --save --json).
The first parameters and the orders are libimiad's random streams, computed here once more.
Needs torch, torchvision, numpy, SciPy, Pillow and scikit-learn.
"""
import sys
import types

import numpy
import torch

from make_stpm import (SEED, TESTED, compare_scores, each_precision, line, load_images,
                       missing_modules, normal, print_epochs, print_runs, procedural, read_results,
                       read_safetensors, run_mode, sample, shuffled, stream, test_aurocs,
                       training_names)

BATCH, STEPS, SIZE = 8, 10, 64
WEIGHTS = "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"


# ---- libimiad's first parameters and order ----

def uniform(seed, purpose, shape, bound):
    u = (stream(seed, purpose, int(numpy.prod(shape))) >> numpy.uint64(11)).astype(numpy.float64)
    return torch.from_numpy((2 * bound * u * 2.0**-53 - bound).astype(numpy.float32).reshape(shape))


def begin(network, part, seed=SEED):
    """`part` is bn or decoder; the branch that nobody uses keeps PyTorch's numbers."""
    for name, module in network.named_modules():
        purpose = f"rd4ad/{part}/{name}"
        if isinstance(module, torch.nn.ConvTranspose2d):
            shape = tuple(module.weight.shape)
            module.weight.data = uniform(seed, purpose, shape, (shape[1] * 4) ** -0.5)
        elif isinstance(module, torch.nn.Conv2d) and name != "conv4":
            shape = tuple(module.weight.shape)
            deviation = (2 / (shape[0] * shape[2] * shape[3])) ** 0.5
            module.weight.data = normal(seed, purpose, shape, deviation)
    return network


class Finished(Exception):
    pass


class Finite(list):
    """Once through these batches."""
    def __iter__(self):
        batches = self[:]
        self.clear()
        if not batches:
            raise Finished
        return iter(batches)


class Epochs:
    """Batches in libimiad's order, another one each time; no more than so many times."""
    def __init__(self, images, batch, epochs, turn, seed=SEED):
        self.images, self.batch, self.epochs, self.turn = images, batch, epochs, turn
        self.epoch, self.seed = 0, seed

    def __iter__(self):
        if self.epoch == self.epochs:
            raise Finished
        order = shuffled(self.seed, f"rd4ad/order/{self.epoch}", len(self.images))
        self.epoch += 1
        for i in range(0, len(order), self.batch):
            yield self.turn(torch.stack([self.images[j] for j in order[i:i + self.batch]]))


# ---- the two implementations ----

def load_official(folder):
    missing_modules("cv2", "pandas")
    sys.path.insert(0, folder)
    import main as official
    return official


def make_networks(shared, type=torch.float32, seed=SEED):
    """Teacher, bottleneck and decoder of the authors' ResNet-18 kind."""
    import de_resnet
    import resnet
    encoder, bottleneck = resnet.resnet18()
    encoder.load_state_dict(read_safetensors(f"{shared}/{WEIGHTS}"), strict=False)
    encoder.requires_grad_(False)
    networks = encoder, begin(bottleneck, "bn", seed), begin(de_resnet.de_resnet18(), "decoder", seed)
    return [network.to(type) for network in networks]


def run_official(official, networks, epochs, rate=0.005):
    """Their train() over the batches, at another learning rate; the losses of
    its steps."""
    encoder, bottleneck, decoder = networks
    losses, inner = [], official.loss_fucntion

    def loss_function(a, b):
        loss = inner(a, b)
        losses.append(loss.item())
        return loss
    official.wide_resnet50_2 = lambda pretrained: (encoder, bottleneck)
    official.de_wide_resnet50_2 = lambda pretrained: decoder
    official.ImageFolder = official.MVTecDataset = lambda **arguments: None
    # every tenth epoch they test and save
    official.evaluation, saver = lambda *arguments: (0.0, 0.0, 0.0), torch.save
    official.loss_fucntion, loader = loss_function, torch.utils.data.DataLoader
    adam, stdout = torch.optim.Adam, sys.stdout
    torch.save = lambda *arguments: None
    torch.utils.data.DataLoader = lambda *arguments, **more: epochs
    torch.optim.Adam = lambda parameters, lr, betas: adam(parameters, lr=rate, betas=betas)
    sys.stdout = sys.stderr
    try:
        official.train("transistor")
    except Finished:
        pass
    official.loss_fucntion, torch.utils.data.DataLoader = inner, loader
    torch.optim.Adam, torch.save, sys.stdout = adam, saver, stdout
    return losses


def run_open_iad(folder, networks, epochs):
    base = types.ModuleType("arch.base")

    class ModelBase:
        def __init__(self, config):
            self.config, self.device = config, "cpu"
    base.ModelBase = ModelBase
    sys.modules["arch.base"] = base
    sys.path.insert(0, folder)
    import arch.reverse as module
    encoder, bottleneck, decoder = networks
    module.NetReverse = lambda arguments: types.SimpleNamespace(encoder=encoder, bn=bottleneck,
                                                                decoder=decoder)
    losses, inner = [], module.reverse_loss

    def loss_function(a, b):
        loss = inner(a, b)
        losses.append(loss.item())
        return loss
    module.reverse_loss = loss_function
    model = module.REVERSE({"num_epochs": 1, "_optimizer_name": "adam", "_base_lr": 0.005,
                            "_beta1": 0.5, "_beta2": 0.999, "_weight_decay": 0.000001})
    model.train_model(epochs, 0)
    module.reverse_loss = inner
    return losses


def anomaly_map(networks, image, size):
    from scipy.ndimage import gaussian_filter
    from test import cal_anomaly_map
    encoder, bottleneck, decoder = networks
    for network in networks:
        network.eval()
    with torch.no_grad():
        features = encoder(image[None])
        amap, _ = cal_anomaly_map(features, decoder(bottleneck(features)), size, amap_mode="a")
    return gaussian_filter(amap, sigma=4)


# ---- golden values ----

def learned(networks):
    """Parameters and running statistics that are used, as the authors' checkpoint names them."""
    parts = {"bn": networks[1], "decoder": networks[2]}
    return {f"{part}.{name}": value for part, network in parts.items()
            for name, value in network.state_dict().items()
            if "num_batches" not in name and not name.startswith(("conv4", "bn4"))}


def print_network(code, bottleneck, decoder):
    begin(bottleneck, "bn").double(), begin(decoder, "decoder").double()
    features = [procedural((2, 256 << i, 16 >> i, 16 >> i), i) for i in range(3)]
    trained = [p for name, p in bottleneck.named_parameters() if not name.startswith(("conv4", "bn4"))]
    line("count", code, "trained", float(sum(p.numel() for p in trained)
                                         + sum(p.numel() for p in decoder.parameters())))
    with torch.no_grad():
        for mode in ("train", "eval"):
            for network in (bottleneck, decoder):
                network.train(mode == "train")
            embedding = bottleneck(features)
            for name, values in zip(("embedding", "level1", "level2", "level3"),
                                    [embedding] + decoder(embedding)):
                places, norm = sample(values)
                line("network", code, f"{mode}.{name}", norm, *places)


class Teacher(torch.nn.Module):
    """Its n-th batch's features are procedural ones."""
    def forward(self, step):
        return [procedural((2, 64 << i, 16 >> i, 16 >> i), int(step) + i) for i in range(3)]


def golden(folder, open_iad, shared):
    official = load_official(folder)
    images = load_images(training_names(shared)[:STEPS * BATCH], SIZE)
    root = f"{shared}/data/mvtec_ad/transistor"
    tested = {name: load_images([f"{root}/{name}"], SIZE)[0] for name in TESTED}

    def run(type, rate, count, mapped):
        networks = make_networks(shared, type)
        batches = Epochs(images[:count], BATCH, 1, lambda x: (x.to(type), None))
        losses = run_official(official, networks, batches, rate)
        maps = {name: anomaly_map(networks, tested[name].to(type), SIZE) for name in mapped}
        return losses, learned(networks) if rate else {}, maps

    def run_iad(type):
        networks = make_networks(shared, type)
        batches = Epochs(images, BATCH, 1, lambda x: {"img": x.to(type)})
        return run_open_iad(open_iad, networks, batches), learned(networks), {}

    # rate 0: maps of given parameters, for nothing moves but the running statistics
    for case, rate, count, mapped in (("still", 0.0, BATCH, TESTED),
                                      ("slow", 0.000005, STEPS * BATCH, TESTED),
                                      ("official", 0.005, STEPS * BATCH, TESTED)):
        print_runs(case, each_precision(lambda type: run(type, rate, count, mapped)))
    print_runs("open_iad", each_precision(run_iad))

    networks = make_networks(shared, torch.float64)
    networks[0] = Teacher()
    losses = run_official(official, networks, Finite([(torch.tensor(i), None) for i in range(STEPS)]))
    print_runs("double", [(losses, learned(networks), {})])

    import de_resnet
    import resnet
    print_network("wide", resnet.wide_resnet50_2()[1], de_resnet.de_wide_resnet50_2())
    import models.reverse.net_reverse as net_reverse
    print_network("wide_iad", net_reverse.bn_layer(), net_reverse.dec_wide_resnet_50_2())


# ---- whole trainings ----

def anomaly_maps(networks, size):
    return lambda path: anomaly_map(networks, load_images([path], size)[0], size)


def train(folder, shared, epochs, size, seed=SEED):
    official = load_official(folder)
    networks = make_networks(shared, seed=seed)
    images = load_images(training_names(shared), size)
    batches = Epochs(images, 16, epochs, lambda x: (x, None), seed)
    losses = run_official(official, networks, batches)
    print_epochs(losses, epochs)
    test_aurocs(shared, anomaly_maps(networks, size), size)


def compare(folder, shared, saved, results):
    load_official(folder)
    networks, ours = make_networks(shared), read_safetensors(saved)
    for part, network in (("bn", networks[1]), ("decoder", networks[2])):
        prefix = f"student.{part}."
        network.load_state_dict({name[len(prefix):]: value for name, value in ours.items()
                                 if name.startswith(prefix)}, strict=False)
    options, scores = read_results(results)
    compare_scores(shared, anomaly_maps(networks, int(options["resize"])), scores)


if __name__ == "__main__":
    run_mode({"golden": golden, "train": train, "compare": compare}, 4, __doc__)
